//! `tensc run --fn` with what a call has besides files: defaults, numbers, types.

use super::{assert_success, folder, stderr, stdout, tensc};
use tempfile::TempDir;
use tensc::Tensor;
use tensc_runtime::data;

const MODEL: &str = r"
struct Line[T: float = f32] { w: T[2], b: T }

fn scaled[T: float, S...](x: T[S...], p: T = 0.5, static k: i64 = 2) -> T[S...] = x * p + k

fn predict[N, T: float](m: Line[T], x: T[N, 2]) -> T[N] = x @ m.w + m.b

fn first[P: tree](pair: (P, P)) -> P = pair.0

fn turned(x: f64[2], on: bool, n: i64) -> f64[2] = if on { -x * f64(n) } else { x }

fn own[T: float](w: T[2]) -> T = sum(w)

fn applied(f: fn(f32) -> f32, x: f32) -> f32 = f(x)
";

fn model() -> TempDir {
    let dir = folder(&[("model.tx", MODEL)]);
    let x = Tensor::from_slice(&[1.0f64, 2.0], [2]);
    data::save(&dir.path().join("x.npy"), &x).expect("saved");
    data::save(&dir.path().join("rows.npy"), &Tensor::from_slice(&[1.0f64; 4], [2, 2])).unwrap();
    // The order of a file is not that of the fields.
    let line = [("b", &Tensor::scalar(0.5f64)), ("w", &x), ("more", &x)];
    data::save_named(&dir.path().join("m.npz"), &line).expect("saved");
    data::save_named(&dir.path().join("pair.npz"), &[("1", &x), ("0", &x)]).expect("saved");
    dir
}

fn call(dir: &TempDir, arguments: &str) -> String {
    let words: Vec<&str> = arguments.split(' ').collect();
    let out = tensc(dir, &[&["run", "model.tx", "--fn"][..], &words].concat());
    assert_success(&out);
    stdout(&out)
}

#[test]
fn what_is_not_given_is_what_it_is_by_default() {
    let dir = model();
    assert_eq!(call(&dir, "scaled --in x=x.npy"), "result = [2.5, 3.0]\n");
    assert_eq!(call(&dir, "scaled --in x=x.npy --in k=1"), "result = [1.5, 2.0]\n");
}

#[test]
fn numbers_and_flags_are_given_as_they_are() {
    let dir = model();
    assert_eq!(call(&dir, "scaled --in p=3 --in x=x.npy"), "result = [5.0, 8.0]\n");
    assert_eq!(call(&dir, "scaled --in p=-2.5e-1 --in x=8"), "result = 0.0\n");
    let turned = "turned --in x=x.npy --in on=true --in n=3";
    assert_eq!(call(&dir, turned), "result = [-3.0, -6.0]\n");
    std::fs::copy(dir.path().join("x.npy"), dir.path().join("3.npy")).expect("copied");
    assert_eq!(call(&dir, "scaled --in x=3.npy"), "result = [2.5, 3.0]\n");
}

#[test]
fn types_are_those_of_the_files() {
    let dir = model();
    let predicted = call(&dir, "predict --in m=m.npz --in x=rows.npy");
    assert_eq!(predicted, "result = [3.5, 3.5]\n");
    assert_eq!(call(&dir, "first --in pair=pair.npz"), "result = [1.0, 2.0]\n");
    assert_eq!(call(&dir, "scaled --in x=m.npz:w --in k=0"), "result = [0.5, 1.0]\n");
    assert_eq!(call(&dir, "own --in w=m.npz"), "result = 3.0\n");
}

#[test]
fn what_does_not_fit_is_told_at_the_parameter() {
    let dir = model();
    let refused = |arguments: &str, code: i32| {
        let words: Vec<&str> = arguments.split(' ').collect();
        let out = tensc(&dir, &[&["run", "model.tx", "--fn"][..], &words].concat());
        assert_eq!(out.status.code(), Some(code), "{arguments}: {}", stderr(&out));
        stderr(&out)
    };
    let message = refused("turned --in x=rows.npy --in on=true --in n=1", 1);
    assert!(message.contains("`x` of `turned` is f64[2], found f64[2, 2]"), "{message}");
    assert!(message.contains("model.tx:10:"), "{message}");
    let message = refused("turned --in x=x.npy --in on=true --in n=1.5", 1);
    assert!(message.contains("found the float 1.5"), "{message}");
    let message = refused("predict --in m=x.npy --in x=rows.npy", 1);
    assert!(message.contains("`m` of `predict` is Line[T], found f64[2]"), "{message}");
    let message = refused("predict --in m=pair.npz --in x=rows.npy", 1);
    assert!(message.contains("`m` is Line[T], found 1: f64[2], 0: f64[2]"), "{message}");
    let message = refused("scaled --in x=m.npz", 2);
    assert!(message.contains("`m.npz` holds nothing called `x`, it has b, w, more"), "{message}");
    let message = refused("scaled --in x=m.npz:v", 2);
    assert!(message.contains("parameter `x`: `m.npz` holds nothing called `v`"), "{message}");
    let message = refused("scaled --in x=x.npy --out y=y.npy", 2);
    assert!(message.contains("there is no result `y`, there is result"), "{message}");
    assert!(!dir.path().join("y=y.npy").exists());
    let message = refused("scaled --in x=x.npy --in x=x.npy", 2);
    assert!(message.contains("`x` is given twice"), "{message}");
    let message = refused("applied --in x=1", 2);
    assert!(message.contains("parameter `f` needs `--in f=FILE`"), "{message}");
    let out = tensc(&dir, &["dump", "model.tx", "--fn", "scaled"]);
    assert!(stderr(&out).contains("types and functions that a call tells"), "{}", stderr(&out));
}
