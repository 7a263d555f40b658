//! IDX files, plain and gzipped.

use super::*;
use crate::data::error::Origin;
use crate::data::input::Extent;
use flate2::{Compression, write::GzEncoder};
use std::io::{self, Read, Write};

fn file(code: u8, dims: &[u32], data: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0, 0, code, dims.len() as u8];
    bytes.extend(dims.iter().flat_map(|d| d.to_be_bytes()));
    bytes.extend(data);
    bytes
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn every_type_is_read_from_big_endian() {
    let scratch = Scratch::new();
    let cases = [
        (0x08, vec![1, 255], Tensor::from_slice(&[1u8, 255], [1, 2])),
        (0x09, vec![1, 255], Tensor::from_slice(&[1i8, -1], [1, 2])),
        (0x0B, vec![1, 2, 255, 255], Tensor::from_slice(&[258i16, -1], [1, 2])),
        (
            0x0C,
            [258i32, -1].map(i32::to_be_bytes).concat(),
            Tensor::from_slice(&[258i32, -1], [1, 2]),
        ),
        (
            0x0D,
            [1.5f32, -2.0].map(f32::to_be_bytes).concat(),
            Tensor::from_slice(&[1.5f32, -2.0], [1, 2]),
        ),
        (
            0x0E,
            [1.5f64, -2.0].map(f64::to_be_bytes).concat(),
            Tensor::from_slice(&[1.5f64, -2.0], [1, 2]),
        ),
    ];
    for (code, data, expected) in cases {
        let bytes = file(code, &[1, 2], &data);
        assert_eq!(scratch.one("x.idx", &bytes), expected, "{code:x}");
        assert_eq!(scratch.one("x.idx2-ubyte.gz", &gzip(&bytes)), expected, "{code:x}");
    }
    assert_eq!(scratch.one("x.idx", &file(0x08, &[], &[7])), Tensor::scalar(7u8));
    assert_eq!(scratch.one("x.idx", &file(0x08, &[0, 5], &[])), Tensor::zeros(DType::U8, [0, 5]));
}

#[test]
fn what_is_written_reads_back() {
    let scratch = Scratch::new();
    for tensor in samples() {
        for name in ["w.idx", "w.idx3-ubyte.gz"] {
            let path = scratch.path(name);
            let held = TYPES_HELD.contains(&tensor.dtype());
            match save(&path, &tensor) {
                Ok(()) => assert_eq!(load(&path).unwrap().into_tensor().unwrap(), tensor),
                Err(error) => {
                    assert!(!held, "{error}");
                    assert!(error.to_string().contains("an IDX file holds u8, i8, i16, i32"));
                }
            }
        }
    }
    let bytes = file(0x0B, &[2], &[1, 2, 255, 255]);
    save(&scratch.path("w.idx"), &Tensor::from_slice(&[258i16, -1], [2])).unwrap();
    assert_eq!(fs::read(scratch.path("w.idx")).unwrap(), bytes);
}

const TYPES_HELD: [DType; 6] =
    [DType::U8, DType::I8, DType::I16, DType::I32, DType::F32, DType::F64];

#[test]
fn files_that_lie_are_refused() {
    let scratch = Scratch::new();
    let images = file(0x08, &[2, 3], &[9; 6]);
    for cut in 0..images.len() {
        let plain = scratch.complaint("x.idx", &images[..cut]);
        let zipped = scratch.complaint("x.idx.gz", &gzip(&images[..cut]));
        assert!(plain.contains("cut short") && zipped.contains("cut short"), "{plain} {zipped}");
    }
    assert_eq!(
        scratch.complaint("x.idx", &images[..16]),
        "`x.idx`: the file is cut short: 18 bytes are promised, 16 are there"
    );
    assert_eq!(
        scratch.complaint("x.idx.gz", &gzip(&images[..16])),
        "`x.idx.gz`: the file is cut short: 6 bytes are promised, 4 are there"
    );
    let longer = [&images[..], &[0]].concat();
    assert!(scratch.complaint("x.idx", &longer).contains("after the end of the data"));
    assert!(scratch.complaint("x.idx.gz", &gzip(&longer)).contains("after the end of the data"));
    let large = file(0x0E, &[u32::MAX; 2], &[]);
    assert!(scratch.complaint("x.idx", &large).contains("is beyond all memory"));
    assert!(scratch.complaint("x.idx.gz", &gzip(&large)).contains("is beyond all memory"));
    let large = file(0x08, &[u32::MAX, 1 << 20], &[1; 100]);
    assert!(scratch.complaint("x.idx", &large).contains("4503599626321932 bytes are promised"));
    assert!(scratch.complaint("x.idx.gz", &gzip(&large)).contains("100 are there"));
    let ranks = [&[0, 0, 8, 255][..], &[0; 255 * 4]].concat();
    assert!(scratch.complaint("x.idx", &ranks).contains("255 axes"));
    let kind = scratch.complaint("x.idx", &file(0x0A, &[1], &[0]));
    assert_eq!(kind, "`x.idx`: not a valid IDX file: there is no element type 0x0a");
    assert!(scratch.complaint("x.idx", b"\x01\0\x08\x01").contains("two zero bytes"));
    assert!(scratch.complaint("x.idx.gz", &images).contains("the mark of gzip"));
}

#[test]
fn the_gzip_layer_is_checked_to_its_end() {
    let scratch = Scratch::new();
    let good = gzip(&file(0x08, &[3], &[1, 2, 3]));
    assert_eq!(scratch.one("x.idx.gz", &good), Tensor::from_slice(&[1u8, 2, 3], [3]));
    for cut in 0..good.len() {
        assert!(scratch.load("x.idx.gz", &good[..cut]).is_err(), "cut at {cut}");
    }
    let mut wrong_sum = good.clone();
    let at = wrong_sum.len() - 8;
    wrong_sum[at] ^= 1;
    assert!(scratch.load("x.idx.gz", &wrong_sum).is_err());
    assert!(scratch.load("x.idx.gz", &[&good[..], b"garbage"].concat()).is_err());
    // A file may consist of several gzip members, which count as one text.
    let text = file(0x08, &[3], &[1, 2, 3]);
    let parts = [gzip(&text[..5]), gzip(&text[5..])].concat();
    assert_eq!(scratch.one("x.idx.gz", &parts), Tensor::from_slice(&[1u8, 2, 3], [3]));
}

#[test]
fn a_bomb_is_left_after_one_byte_more_than_promised() {
    struct Endless(u64);
    impl Read for Endless {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            buffer.fill(0);
            self.0 += buffer.len() as u64;
            Ok(buffer.len())
        }
    }
    let origin = Origin { path: Path::new("x.idx.gz"), format: Format::IdxGz, member: None };
    let extent = Extent::new(origin, DType::U8, &[1000]).unwrap();
    let mut bomb = Endless(0);
    let error = extent.read_all(origin, &mut bomb).unwrap_err();
    assert!(matches!(error, DataError::Oversized { needed: 1000, .. }));
    assert_eq!(bomb.0, 1001);

    let scratch = Scratch::new();
    let mut bomb = file(0x08, &[10], &[]);
    bomb.resize(64 << 20, 0);
    assert!(scratch.complaint("x.idx.gz", &gzip(&bomb)).contains("after the end"));
}

#[test]
fn memory_grows_with_what_arrives_not_with_what_is_promised() {
    // A pebibyte is promised; reserving it would end the process.
    let origin = Origin { path: Path::new("x"), format: Format::IdxGz, member: None };
    let extent = Extent::new(origin, DType::U8, &[1 << 50]).unwrap();
    let error = extent.read_all(origin, &mut &[7u8; 300_000][..]).unwrap_err();
    assert!(
        matches!(error, DataError::Truncated { needed, found: 300_000, .. } if needed == 1 << 50)
    );
}
