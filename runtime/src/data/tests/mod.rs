//! Round trips over all formats here; each format's own cases, and hostile files, beside.

mod formats;
mod hostile;
mod idx;
mod npy;

use super::*;
use crate::dtype::{BF16, DType, F16};
use std::fs;
use std::path::PathBuf;
use tempfile::TempDir;

/// A scratch folder for one test's files.
struct Scratch(TempDir);

impl Scratch {
    fn new() -> Scratch {
        Scratch(tempfile::tempdir().unwrap())
    }
    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }
    fn file(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, bytes).unwrap();
        path
    }
    /// Loads a file of these bytes.
    fn load(&self, name: &str, bytes: &[u8]) -> Result<Loaded, DataError> {
        load(&self.file(name, bytes))
    }
    /// Loads a file of these bytes, which must hold one tensor.
    fn one(&self, name: &str, bytes: &[u8]) -> Tensor {
        self.load(name, bytes).unwrap().into_tensor().unwrap()
    }
    /// The message of loading a file of these bytes, without the scratch folder's name.
    fn complaint(&self, name: &str, bytes: &[u8]) -> String {
        let error = self.load(name, bytes).unwrap_err();
        assert_eq!(error.path(), self.path(name));
        self.shorten(&error)
    }
    fn shorten(&self, error: &DataError) -> String {
        error.to_string().replace(&format!("{}/", self.0.path().display()), "")
    }
}

/// A tensor of each type, with the extremes of the type.
fn samples() -> Vec<Tensor> {
    vec![
        Tensor::from_slice(&[true, false, false, true, true, false], [2, 3]),
        Tensor::from_slice(&[0u8, 1, 127, 128, 254, 255], [3, 2]),
        Tensor::from_slice(&[0i8, 1, -1, 127, -128, 5], [6]),
        Tensor::from_slice(&[i16::MIN, -1, 0, i16::MAX], [2, 1, 2]),
        Tensor::from_slice(&[i32::MIN, -1, 0, i32::MAX], [4]),
        Tensor::from_slice(&[i64::MIN, -1, 0, i64::MAX], [2, 2]),
        Tensor::from_slice(&[0.0, -0.0, 1.5, 6e-8, 65504.0].map(F16::from_f32), [5]),
        Tensor::from_slice(&[0.0, -0.0, 1.5, 1e-40, 3e38].map(BF16::from_f32), [5]),
        Tensor::from_slice(&[0.1f32, -0.0, f32::MIN_POSITIVE, 1e-45, f32::INFINITY], [5, 1]),
        Tensor::from_slice(&[0.1f64, -0.0, 5e-324, f64::MAX, f64::NEG_INFINITY], [1, 5]),
        Tensor::scalar(2.5f32),
        Tensor::zeros(DType::F64, [0]),
        Tensor::zeros(DType::U8, [3, 0, 2]),
    ]
}

#[test]
fn npy_round_trips_every_type_but_bf16() {
    let scratch = Scratch::new();
    let path = scratch.path("x.npy");
    for tensor in samples() {
        let saved = save(&path, &tensor);
        if tensor.dtype() == DType::BF16 {
            let error = scratch.shorten(&saved.unwrap_err());
            let expected = "cannot save `x.npy`: numpy has no bf16; .safetensors has, or cast it \
                            to f32";
            assert_eq!(error, expected);
            continue;
        }
        saved.unwrap();
        assert_eq!(load(&path).unwrap(), Loaded::One(tensor));
    }
}

#[test]
fn named_formats_round_trip_and_keep_names() {
    let scratch = Scratch::new();
    for name in ["x.npz", "x.safetensors"] {
        let path = scratch.path(name);
        let mut all: Vec<(String, Tensor)> = Vec::new();
        for (i, tensor) in samples().into_iter().enumerate() {
            if name != "x.npz" || tensor.dtype() != DType::BF16 {
                all.push((format!("layer.{i}/größe"), tensor));
            }
        }
        let borrowed: Vec<(&str, &Tensor)> = all.iter().map(|(n, t)| (n.as_str(), t)).collect();
        save_named(&path, &borrowed).unwrap();
        let loaded = load(&path).unwrap();
        assert_eq!(loaded.names().len(), all.len());
        for (name, tensor) in &all {
            assert_eq!(loaded.get(name), Some(tensor), "{name}");
        }
        let some = load_members(&path, &["layer.3/größe", "nowhere"]).unwrap();
        assert_eq!(some.names(), ["layer.3/größe"]);
        assert_eq!(some.into_tensor().as_ref(), Some(&all[3].1));
        // The same tensors give the same file.
        let first = fs::read(&path).unwrap();
        save_named(&path, &borrowed).unwrap();
        assert_eq!(fs::read(&path).unwrap(), first);
    }
}

#[test]
fn an_empty_set_of_tensors_is_a_file_too() {
    let scratch = Scratch::new();
    for name in ["x.npz", "x.safetensors"] {
        save_named::<&str>(&scratch.path(name), &[]).unwrap();
        assert_eq!(load(&scratch.path(name)).unwrap(), Loaded::Named(Vec::new()));
    }
}

#[test]
fn large_plain_files_are_mapped_and_survive_being_saved_over() {
    let scratch = Scratch::new();
    let old = Tensor::from_slice(&vec![1.0f32; 100_000], [100, 1000]);
    let new = Tensor::from_slice(&[2.0f32], [1]);
    for name in ["x.npy", "x.safetensors"] {
        let path = scratch.path(name);
        save(&path, &old).unwrap();
        let loaded = load(&path).unwrap().into_tensor().unwrap();
        assert!(loaded.is_mapped(), "{name}");
        save(&path, &new).unwrap();
        assert_eq!(loaded, old, "{name}");
        assert_eq!(load(&path).unwrap().into_tensor(), Some(new.clone()), "{name}");
        let mut copy = loaded.clone();
        copy.as_mut_slice::<f32>()[0] = 9.0;
        assert!(!copy.is_mapped() && loaded == old);
    }
}

#[test]
fn the_name_says_the_format() {
    let format = |name: &str| Format::of(Path::new(name)).ok();
    for (name, expected) in [
        ("a/b.npy", Some(Format::Npy)),
        ("B.NPZ", Some(Format::Npz)),
        ("m.safetensors", Some(Format::Safetensors)),
        ("t.csv", Some(Format::Csv)),
        ("i.png", Some(Format::Png)),
        ("train-images-idx3-ubyte", Some(Format::Idx)),
        ("train-images.idx3-ubyte", Some(Format::Idx)),
        ("t10k-labels.idx1-ubyte.gz", Some(Format::IdxGz)),
        ("x.idx", Some(Format::Idx)),
        ("x.idx.gz", Some(Format::IdxGz)),
        ("x.npy.gz", None),
        ("x.gz", None),
        ("x.txt", None),
        ("npy", None),
        ("idx", None),
        ("my-idx-notes.txt", None),
        ("", None),
    ] {
        assert_eq!(format(name), expected, "{name}");
    }
}

#[test]
fn files_that_cannot_be_opened_say_so() {
    let scratch = Scratch::new();
    let said = |name: &str| scratch.shorten(&load(&scratch.path(name)).unwrap_err());
    assert_eq!(said("no.npy"), "cannot read `no.npy`: No such file or directory (os error 2)");
    fs::create_dir(scratch.path("folder.npy")).unwrap();
    assert_eq!(said("folder.npy"), "cannot read `folder.npy`: it is a directory");
    assert!(said("x.txt").starts_with("cannot tell the format of `x.txt` from its name: known"));
    let device = load(Path::new("/dev/zero")).unwrap_err();
    assert!(matches!(device, DataError::UnknownFormat { .. }));
}

#[test]
fn what_a_format_cannot_hold_is_refused_and_nothing_is_written() {
    let scratch = Scratch::new();
    let x = Tensor::scalar(1.0f32);
    let said = |name: &str, tensors: &[(&str, &Tensor)]| {
        let error = save_named(&scratch.path(name), tensors).unwrap_err();
        assert_eq!(fs::read_dir(scratch.0.path()).unwrap().count(), 0, "{name}");
        scratch.shorten(&error)
    };
    let two = [("a", &x), ("b", &x)];
    assert_eq!(
        said("x.npy", &two),
        "cannot save `x.npy`: a .npy file holds one tensor, not 2; .npz and .safetensors hold any \
         number"
    );
    let twice = [("a", &x), ("a", &x)];
    assert_eq!(said("x.npz", &twice), "cannot save `x.npz`: two tensors are called `a`");
    assert!(said("x.idx", &two).contains("an IDX file holds one tensor, not 2"));
    assert!(said("x.txt", &two[..1]).contains("known are .npy"));
    assert!(said("x.png", &two[..1]).contains("a .png file holds u8, not f32"));
    let flat = Tensor::zeros(DType::U8, [4]);
    assert!(said("x.png", &[("a", &flat)]).contains("holds [H, W] or [H, W, 1 to 4], not [4]"));
    let none = Tensor::zeros(DType::U8, [0, 4]);
    assert!(said("x.png", &[("a", &none)]).contains("an image cannot be 4 by 0 pixels"));
    let cube = Tensor::zeros(DType::U8, [2, 2, 2]);
    assert!(said("x.csv", &[("a", &cube)]).contains("no tensor of shape [2, 2, 2]"));
    let half = Tensor::zeros(DType::BF16, [2]);
    assert!(said("x.npz", &[("a", &x), ("b", &half)]).contains("numpy has no bf16"));
    let kept = [("__metadata__", &x)];
    assert!(said("x.safetensors", &kept).contains("keeps the name `__metadata__`"));
    let nowhere = save(&scratch.path("no/folder/x.npy"), &x).unwrap_err();
    assert!(matches!(nowhere, DataError::Write { .. }), "{nowhere}");
}
