//! `.npy` files as numpy writes them, read by us, and ours read by another implementation.

use super::*;
use npyz::{NpyFile, WriterBuilder};
use proptest::prelude::*;

/// A version 1.0 file with this header dictionary and these data.
fn file(header: &str, data: &[u8]) -> Vec<u8> {
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((header.len() as u16 + 1).to_le_bytes());
    bytes.extend(header.bytes().chain(*b"\n"));
    bytes.extend(data);
    bytes
}

fn header(descr: &str, order: &str, shape: &str) -> String {
    format!("{{'descr': '{descr}', 'fortran_order': {order}, 'shape': {shape}, }}")
}

#[test]
fn orders_and_byte_orders_are_converted() {
    let scratch = Scratch::new();
    let expected = Tensor::from_slice(&[1i16, 2, 3, 4, 5, 6], [2, 3]);
    let columns: Vec<u8> = [1i16, 4, 2, 5, 3, 6].into_iter().flat_map(i16::to_be_bytes).collect();
    let bytes = file(&header(">i2", "True", "(2, 3)"), &columns);
    assert_eq!(scratch.one("x.npy", &bytes), expected);
    let rows: Vec<u8> = (1..=6i16).flat_map(i16::to_be_bytes).collect();
    assert_eq!(scratch.one("x.npy", &file(&header(">i2", "False", "(2, 3)"), &rows)), expected);
    let rows: Vec<u8> = (1..=6i16).flat_map(i16::to_le_bytes).collect();
    for (descr, shape) in [("<i2", "(2,3)"), ("=i2", "(2L, 3L)"), ("i2", " ( 2 , 3 , ) ")] {
        let bytes = file(&header(descr, "False", shape), &rows);
        assert_eq!(scratch.one("x.npy", &bytes), expected, "{descr} {shape}");
    }
}

#[test]
fn unsigned_elements_are_widened() {
    let scratch = Scratch::new();
    let load = |descr: &str, data: &[u8]| {
        scratch.load("x.npy", &file(&header(descr, "True", "(1, 2)"), data))
    };
    let one = |descr: &str, data: &[u8]| load(descr, data).unwrap().into_tensor().unwrap();
    let expected = Tensor::from_slice(&[65535i32, 1], [1, 2]);
    assert_eq!(one("<u2", &[255, 255, 1, 0]), expected);
    assert_eq!(one(">u2", &[255, 255, 0, 1]), expected);
    let data = [u32::MAX, 1].map(u32::to_le_bytes).concat();
    assert_eq!(one("<u4", &data), Tensor::from_slice(&[4294967295i64, 1], [1, 2]));
    let data = [i64::MAX as u64, 1].map(u64::to_le_bytes).concat();
    assert_eq!(one("<u8", &data), Tensor::from_slice(&[i64::MAX, 1], [1, 2]));
    let error = load("<u8", &[255; 16]).unwrap_err();
    let expected = "`x.npy`: element 0 is 18446744073709551615, too large for i64";
    assert_eq!(scratch.shorten(&error), expected);
}

#[test]
fn fortran_order_of_three_axes_is_that_of_the_reference() {
    let scratch = Scratch::new();
    let path = scratch.path("x.npy");
    for dims in [[2u64, 3, 4], [1, 5, 2], [3, 1, 1], [2, 0, 3]] {
        let count = dims.iter().product::<u64>() as i32;
        let mut out = fs::File::create(&path).unwrap();
        let mut writer = npyz::WriteOptions::new()
            .default_dtype()
            .order(npyz::Order::Fortran)
            .shape(&dims)
            .writer(&mut out)
            .begin_nd()
            .unwrap();
        writer.extend(0..count).unwrap();
        writer.finish().unwrap();
        let tensor = load(&path).unwrap().into_tensor().unwrap();
        let [a, b, c] = dims.map(|d| d as usize);
        for (i, j, k) in
            (0..a).flat_map(|i| (0..b).flat_map(move |j| (0..c).map(move |k| (i, j, k))))
        {
            let row_major = tensor.as_slice::<i32>()[(i * b + j) * c + k];
            assert_eq!(row_major as usize, i + a * (j + b * k));
        }
    }
}

#[test]
fn another_implementation_reads_what_is_written() {
    let scratch = Scratch::new();
    let path = scratch.path("x.npy");
    let values = [0.5f32, -1.0, f32::MAX, 1e-45, 0.0, -0.0];
    for shape in [&[6][..], &[2, 3], &[1, 2, 3, 1]] {
        save(&path, &Tensor::from_slice(&values, shape)).unwrap();
        let bytes = fs::read(&path).unwrap();
        assert_eq!((bytes.len() - 24) % 64, 0, "the data are aligned");
        let read = NpyFile::new(&bytes[..]).unwrap();
        assert_eq!(read.order(), npyz::Order::C);
        let dims: Vec<u64> = shape.iter().map(|&d| d as u64).collect();
        assert_eq!(read.shape(), dims);
        assert_eq!(read.into_vec::<f32>().unwrap(), values);
    }
    save(&path, &Tensor::scalar(7i64)).unwrap();
    let bytes = fs::read(&path).unwrap();
    let read = NpyFile::new(&bytes[..]).unwrap();
    assert_eq!((read.shape(), read.header().dtype().descr().as_str()), (&[][..], "'<i8'"));
}

#[test]
fn later_versions_of_the_format_are_read() {
    let scratch = Scratch::new();
    let text = header("|u1", "False", "(3,)");
    for major in [2u8, 3] {
        let mut bytes = b"\x93NUMPY".to_vec();
        bytes.extend([major, 0]);
        bytes.extend((text.len() as u32).to_le_bytes());
        bytes.extend(text.bytes().chain([1, 2, 3]));
        assert_eq!(scratch.one("x.npy", &bytes), Tensor::from_slice(&[1u8, 2, 3], [3]));
    }
}

#[test]
fn what_is_wrong_is_named() {
    let scratch = Scratch::new();
    let said = |descr: &str, order: &str, shape: &str, data: &[u8]| {
        scratch.complaint("x.npy", &file(&header(descr, order, shape), data))
    };
    let types = "(read are b1 u1 i1 i2 i4 i8 f2 f4 f8 u2 u4 u8)";
    assert_eq!(
        said("<c8", "False", "(1,)", &[0; 8]),
        format!("`x.npy`: element type `<c8` has no counterpart {types}")
    );
    assert_eq!(
        said("|V2", "False", "(1,)", &[0; 2]),
        format!(
            "`x.npy`: element type `|V2` has no counterpart {types}; if that is bf16, convert it \
             to float32 or use .safetensors"
        )
    );
    assert_eq!(
        said("<f4", "False", "(3,)", &[0; 11]),
        "`x.npy`: the file is cut short: 80 bytes are promised, 79 are there"
    );
    assert_eq!(
        said("<f4", "False", "(3,)", &[0; 13]),
        "`x.npy`: there are bytes after the end of the data, which is 80 bytes long"
    );
    assert_eq!(
        said("|b1", "False", "(3,)", &[0, 1, 2]),
        "`x.npy`: not a valid .npy file: element 2 is a bool of value 2, not 0 or 1"
    );
    assert_eq!(
        said("<f4", "False", "(-3,)", &[]),
        "`x.npy`: not a valid .npy file: in the header, at byte 51: an axis has a negative size"
    );
    for (shape, expected) in [
        ("(18446744073709551616,)", "is not the size of an axis, a whole number below 2^64"),
        ("(4294967296, 4294967296, 4294967296)", "is beyond all memory"),
        ("(0, 4294967296, 4294967296)", "is beyond all memory"),
        ("(4611686018427387904,)", "is beyond all memory"),
        ("(2305843009213693951,)", "the file is cut short: 9223372036854775"),
        ("(3", "the size of an axis or `)` should be here"),
        ("3", "`(` should be here"),
        ("(3.0,)", "should be here"),
        ("(,)", "the size of an axis or `)` should be here"),
        ("(3 4)", "`)` should be here"),
    ] {
        let message = said("<f4", "False", shape, &[0; 12]);
        assert!(message.contains(expected), "{shape}: {message}");
    }
    let many = format!("({})", "1, ".repeat(65));
    assert!(said("|u1", "False", &many, &[0]).contains("65 axes; at most 64 are read"));
    assert!(said("<f4", "Maybe", "(3,)", &[0; 12]).contains("`True` or `False` should be here"));
    for (text, expected) in [
        ("{'descr': '<f4', 'shape': (1,), }", "`fortran_order` is missing"),
        ("{'descr': '<f4', 'descr': '<f4'}", "`descr` stands there twice"),
        ("{'descr': [('a', '<f4')]}", "structured elements"),
        ("{'shape': (1,), 'color': 1}", "unknown key `color`"),
        ("{'descr': '<f4}", "a string does not end"),
        ("((((((((", "`{` should be here"),
        ("", "`{` should be here"),
    ] {
        let message = scratch.complaint("x.npy", &file(text, &[0; 4]));
        assert!(message.contains(expected), "{text}: {message}");
    }
    assert!(scratch.complaint("x.npy", b"PK\x03\x04").contains("4 of its next 8 bytes"));
    assert!(scratch.complaint("x.npy", b"not numpy's").contains("numpy's mark"));
    assert!(scratch.complaint("x.npy", b"").contains("0 of its next 8 bytes"));
    let version = scratch.complaint("x.npy", b"\x93NUMPY\x09\x00\x00\x00");
    assert!(version.contains("numpy format version 9.0"), "{version}");
    let long = scratch.complaint("x.npy", b"\x93NUMPY\x02\x00\xff\xff\xff\xff");
    assert!(long.contains("a header of 4294967295 bytes; at most 65536"), "{long}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn any_header_text_is_answered(text in "[{}()\\[\\],:' \"a-z0-9<|-]{0,80}") {
        let scratch = Scratch::new();
        prop_assert!(scratch.load("x.npy", &file(&text, &[0; 16])).is_err());
    }

    #[test]
    fn any_shape_round_trips(dims in prop::collection::vec(0usize..4, 0..6)) {
        let scratch = Scratch::new();
        let count: usize = dims.iter().product();
        let values: Vec<i32> = (0..count as i32).collect();
        let tensor = Tensor::from_slice(&values, &dims[..]);
        save(&scratch.path("x.npy"), &tensor).unwrap();
        prop_assert_eq!(load(&scratch.path("x.npy")).unwrap(), Loaded::One(tensor));
    }

    #[test]
    fn any_shape_and_size_is_answered(dims in prop::collection::vec(any::<u64>(), 0..5)) {
        let scratch = Scratch::new();
        let shape = format!("({})", dims.iter().map(|d| format!("{d},")).collect::<String>());
        for order in ["True", "False"] {
            let bytes = file(&header("<f8", order, &shape), &[0; 8]);
            if let Ok(loaded) = scratch.load("x.npy", &bytes) {
                prop_assert_eq!(loaded.into_tensor().unwrap().len(), 1);
            }
        }
    }
}
