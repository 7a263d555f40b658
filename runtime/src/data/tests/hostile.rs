//! Valid files, damaged in every way a few bytes can be: the answer may be tensors or an error,
//! never a panic, and never a tensor that breaks the invariants of its type.

use super::*;
use flate2::{Compression, write::GzEncoder};
use proptest::prelude::*;
use std::io::Write;
use std::sync::LazyLock;

/// One small valid file of each format.
static VALID: LazyLock<Vec<(&str, Vec<u8>)>> = LazyLock::new(|| {
    let scratch = Scratch::new();
    let a = Tensor::from_slice(&[0.5f32, 1.5, -2.0, 4.0, 5.0, 6.0], [2, 3]);
    let b = Tensor::from_slice(&[true, false], [2]);
    let image = Tensor::from_slice(&[7u8; 24], [2, 4, 3]);
    let written = |name: &'static str, tensors: &[(&str, &Tensor)]| {
        save_named(&scratch.path(name), tensors).unwrap();
        (name, fs::read(scratch.path(name)).unwrap())
    };
    let idx = [&[0, 0, 8, 2, 0, 0, 0, 2, 0, 0, 0, 3][..], &[1, 2, 3, 4, 5, 6]].concat();
    let mut gz = GzEncoder::new(Vec::new(), Compression::fast());
    gz.write_all(&idx).unwrap();
    vec![
        written("a.npy", &[("a", &a)]),
        written("b.npy", &[("b", &b)]),
        written("ab.npz", &[("a", &a), ("b", &b)]),
        written("ab.safetensors", &[("a", &a), ("b", &b)]),
        written("a.csv", &[("a", &a)]),
        written("i.png", &[("i", &image)]),
        ("x.idx", idx),
        ("x.idx.gz", gz.finish().unwrap()),
    ]
});

/// Loads the file; where it gives tensors, they must be whole.
fn examine(scratch: &Scratch, name: &str, bytes: &[u8]) {
    match scratch.load(name, bytes) {
        Err(error) => assert_eq!(error.path(), scratch.path(name)),
        Ok(Loaded::One(tensor)) => examine_tensor(&tensor),
        Ok(Loaded::Named(all)) => all.iter().for_each(|(_, tensor)| examine_tensor(tensor)),
    }
}

fn examine_tensor(tensor: &Tensor) {
    assert_eq!(tensor.as_bytes().len(), tensor.len() * tensor.dtype().size());
    assert!(tensor.dtype() != DType::Bool || tensor.as_bytes().iter().all(|&b| b < 2));
    let _ = tensor.shape().strides();
}

#[test]
fn the_valid_files_are_valid() {
    let scratch = Scratch::new();
    for (name, bytes) in VALID.iter() {
        scratch.load(name, bytes).unwrap();
    }
}

#[test]
fn every_prefix_is_refused_but_a_tables() {
    let scratch = Scratch::new();
    for (name, bytes) in VALID.iter() {
        for cut in 0..bytes.len() {
            examine(&scratch, name, &bytes[..cut]);
            let refused = scratch.load(name, &bytes[..cut]).is_err();
            assert!(refused || name.ends_with("csv"), "{name} cut at {cut}");
        }
    }
}

#[test]
fn bytes_after_the_end_are_refused() {
    let scratch = Scratch::new();
    for (name, bytes) in VALID.iter().filter(|(name, _)| !name.ends_with("csv")) {
        let longer = [&bytes[..], &[0]].concat();
        // A zip archive may be followed by bytes: its directory is found from behind.
        let allowed = name.ends_with("npz");
        assert!(scratch.load(name, &longer).is_err() || allowed, "{name}");
    }
}

#[test]
fn every_byte_may_be_anything_extreme() {
    let scratch = Scratch::new();
    for (name, bytes) in VALID.iter() {
        let mut damaged = bytes.clone();
        for at in 0..bytes.len() {
            for value in [0, 1, 0x7F, 0x80, 0xFF, bytes[at] ^ 1, b'9', b'-', b'('] {
                damaged[at] = value;
                examine(&scratch, name, &damaged);
            }
            damaged[at] = bytes[at];
        }
    }
}

/// A change of some bytes: where, how many go, what comes.
type Edit = (prop::sample::Index, usize, Vec<u8>);

fn edits() -> impl Strategy<Value = Vec<Edit>> {
    let bytes = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..10),
        Just(vec![0xFF; 8]),
        Just(vec![0; 4]),
        "[0-9]{1,20}".prop_map(String::into_bytes),
    ];
    prop::collection::vec((any::<prop::sample::Index>(), 0..10usize, bytes), 1..5)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn edited_files_are_answered(edits in edits()) {
        let scratch = Scratch::new();
        for (name, bytes) in VALID.iter() {
            let mut bytes = bytes.clone();
            for (at, gone, new) in &edits {
                let start = at.index(bytes.len() + 1);
                let end = (start + gone).min(bytes.len());
                bytes.splice(start..end, new.iter().copied());
            }
            examine(&scratch, name, &bytes);
        }
    }

    #[test]
    fn noise_is_answered(noise in prop::collection::vec(any::<u8>(), 0..200)) {
        let scratch = Scratch::new();
        for (name, bytes) in VALID.iter() {
            examine(&scratch, name, &noise);
            let marked = [&bytes[..bytes.len().min(16)], &noise].concat();
            examine(&scratch, name, &marked);
        }
    }
}
