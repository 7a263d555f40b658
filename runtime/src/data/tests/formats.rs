//! `.npz`, `.safetensors`, `.csv` and `.png`: what each alone can get wrong.

use super::*;
use ::safetensors::{SafeTensors, tensor::Dtype};
use std::io::{Cursor, Write};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipArchive, ZipWriter};

fn npy(tensor: &Tensor) -> Vec<u8> {
    let scratch = Scratch::new();
    save(&scratch.path("x.npy"), tensor).unwrap();
    fs::read(scratch.path("x.npy")).unwrap()
}

fn zipped(members: &[(&str, &[u8])], method: CompressionMethod) -> Vec<u8> {
    let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in members {
        let options = SimpleFileOptions::default().compression_method(method);
        archive.start_file(name, options).unwrap();
        archive.write_all(bytes).unwrap();
    }
    archive.finish().unwrap().into_inner()
}

#[test]
fn npz_is_read_stored_and_deflated() {
    let scratch = Scratch::new();
    let (a, b) = (Tensor::from_slice(&[1.5f32; 5000], [50, 100]), Tensor::scalar(3i64));
    let members = [("a.npy", &npy(&a)[..]), ("b", &npy(&b))];
    for method in [CompressionMethod::Stored, CompressionMethod::Deflated] {
        let loaded = scratch.load("x.npz", &zipped(&members, method)).unwrap();
        let expected = [("a".to_string(), a.clone()), ("b".to_string(), b.clone())];
        assert_eq!(loaded, Loaded::Named(expected.to_vec()), "{method}");
    }
    save_named(&scratch.path("x.npz"), &[("a", &a)]).unwrap();
    let bytes = fs::read(scratch.path("x.npz")).unwrap();
    let mut archive = ZipArchive::new(Cursor::new(&bytes)).unwrap();
    assert_eq!(archive.by_name("a.npy").unwrap().size(), members[0].1.len() as u64);
}

#[test]
fn npz_members_that_lie_are_named() {
    let scratch = Scratch::new();
    let good = npy(&Tensor::from_slice(&[1.0f32, 2.0], [2]));
    let said = |bytes: &[u8]| {
        let members = [("a.npy", &good[..]), ("b.npy", bytes)];
        let file = zipped(&members, CompressionMethod::Deflated);
        let message = scratch.complaint("x.npz", &file);
        // What is wrong with one does not concern those who do not ask for it.
        assert_eq!(load_members(&scratch.path("x.npz"), &["a"]).unwrap().names(), ["a"]);
        message
    };
    let cut = "`x.npz`, tensor `b`: the file is cut short: 8 bytes are promised, 7 are there";
    assert_eq!(said(&good[..good.len() - 1]), cut);
    let longer = [&good[..], &[0]].concat();
    let long = "`x.npz`, tensor `b`: there are bytes after the end of the data, which is 8 bytes \
                long";
    assert_eq!(said(&longer), long);
    assert!(said(b"text").starts_with("`x.npz`, tensor `b`: not a valid .npz file: the header"));
    let wide = String::from_utf8_lossy(&good[10..128]).replace("<f4", "<U8");
    let mut unicode = good[..10].to_vec();
    unicode.extend(wide.bytes());
    assert!(said(&unicode).contains("element type `<U8` has no counterpart"));
}

#[test]
fn archives_that_lie_are_refused() {
    let scratch = Scratch::new();
    let tensor = npy(&Tensor::from_slice(&[1u8; 300], [300]));
    let twice = zipped(&[("a.npy", &tensor), ("a", &tensor)], CompressionMethod::Stored);
    assert!(scratch.complaint("x.npz", &twice).contains("two members are called `a`"));

    // Two entries of the directory over the same bytes, as a zip bomb has them.
    let pair = zipped(&[("a.npy", &tensor), ("b.npy", &tensor)], CompressionMethod::Stored);
    let entries: Vec<usize> =
        (0..pair.len()).filter(|&i| pair[i..].starts_with(b"PK\x01\x02")).collect();
    let mut overlapping = pair.clone();
    let header_offset = entries[1] + 42;
    overlapping[header_offset..header_offset + 4].fill(0);
    let message = scratch.complaint("x.npz", &overlapping);
    assert!(message.contains("the same bytes"), "{message}");

    let mut damaged = pair.clone();
    damaged[200] ^= 1;
    assert!(scratch.complaint("x.npz", &damaged).contains("tensor `a`"));
    assert!(scratch.complaint("x.npz", b"").contains("the mark of a zip archive"));
    assert!(scratch.complaint("x.npz", &tensor).contains("the mark of a zip archive"));
    for cut in (0..pair.len()).step_by(7) {
        assert!(scratch.load("x.npz", &pair[..cut]).is_err(), "cut at {cut}");
    }
}

fn safetensors(header: &str, data: &[u8]) -> Vec<u8> {
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend(header.bytes());
    bytes.extend(data);
    bytes
}

#[test]
fn safetensors_agree_with_the_formats_own_crate() {
    let scratch = Scratch::new();
    let path = scratch.path("x.safetensors");
    let (a, b) =
        (Tensor::from_slice(&[1u8, 2, 3], [3]), Tensor::from_slice(&[1.0f64, 2.0], [2, 1]));
    save_named(&path, &[("a", &a), ("b", &b)]).unwrap();
    let bytes = fs::read(&path).unwrap();
    let read = SafeTensors::deserialize(&bytes).unwrap();
    assert_eq!(read.tensor("a").unwrap().data(), a.as_bytes());
    let theirs = read.tensor("b").unwrap();
    assert_eq!((theirs.dtype(), theirs.shape()), (Dtype::F64, &[2, 1][..]));
    assert_eq!(theirs.data(), b.as_bytes());
    assert_eq!(theirs.data().as_ptr().addr() % 8, bytes.as_ptr().addr() % 8, "aligned in the file");
    // The widest come first.
    assert_eq!(load(&path).unwrap().names(), ["b", "a"]);
}

#[test]
fn safetensors_out_of_alignment_are_copied() {
    let scratch = Scratch::new();
    let header = r#"{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},
        "b":{"dtype":"F32","shape":[2],"data_offsets":[1,9]},"__metadata__":{"by":"hand"}}"#;
    let data = [&[5][..], &1.5f32.to_le_bytes(), &2.5f32.to_le_bytes()].concat();
    for pad in 0..4 {
        let header = format!("{header}{}", " ".repeat(pad));
        let loaded = scratch.load("x.safetensors", &safetensors(&header, &data)).unwrap();
        assert_eq!(loaded.names(), ["a", "b"]);
        assert_eq!(loaded.get("b").unwrap().as_slice::<f32>(), [1.5, 2.5]);
    }
}

#[test]
fn safetensors_of_unsigned_elements_are_widened() {
    let scratch = Scratch::new();
    let header = r#"{"a":{"dtype":"U16","shape":[2],"data_offsets":[0,4]},
        "b":{"dtype":"U32","shape":[1],"data_offsets":[4,8]}}"#;
    let loaded = scratch.load("x.safetensors", &safetensors(header, &[255; 8])).unwrap();
    assert_eq!(loaded.get("a"), Some(&Tensor::from_slice(&[65535i32; 2], [2])));
    assert_eq!(loaded.get("b"), Some(&Tensor::from_slice(&[4294967295i64], [1])));
}

#[test]
fn safetensors_that_lie_are_refused() {
    let scratch = Scratch::new();
    let said =
        |header: &str, data: &[u8]| scratch.complaint("x.safetensors", &safetensors(header, data));
    let f32s = |shape: &str, from: u64, to: u64| {
        format!(r#"{{"w":{{"dtype":"F32","shape":{shape},"data_offsets":[{from},{to}]}}}}"#)
    };
    assert!(said(&f32s("[2]", 0, 8), &[0; 7]).contains("cut short"));
    assert!(said(&f32s("[2]", 0, 8), &[0; 9]).contains("bytes after the end"));
    for (shape, from, to) in [
        ("[3]", 0, 8),
        ("[2]", 1, 9),
        ("[2]", 8, 0),
        ("[-2]", 0, 8),
        ("[2.5]", 0, 8),
        ("[4294967296,4294967296]", 0, 8),
        ("[18446744073709551615,2]", 0, 8),
        ("[18446744073709551616]", 0, 8),
        ("[4611686018427387904]", 0, 0),
    ] {
        let message = said(&f32s(shape, from, to), &[0; 8]);
        assert!(message.contains("not a valid .safetensors file"), "{shape}: {message}");
    }
    assert!(said(&f32s("[0,4294967296,4294967296]", 0, 0), &[]).contains("beyond all memory"));
    let complex = r#"{"w":{"dtype":"C64","shape":[1],"data_offsets":[0,8]}}"#;
    let expected = "`x.safetensors`, tensor `w`: element type C64 has no counterpart";
    assert_eq!(said(complex, &[0; 8]), expected);
    let unsigned = r#"{"w":{"dtype":"U64","shape":[1],"data_offsets":[0,8]}}"#;
    assert!(said(unsigned, &[255; 8]).contains("element 0 is 18446744073709551615, too large"));
    let truth = r#"{"w":{"dtype":"BOOL","shape":[2],"data_offsets":[0,2]}}"#;
    assert!(said(truth, &[1, 3]).contains("element 1 is a bool of value 3"));
    // Sizes that fit one by one, and whose sum with the header would wrap around.
    let huge = (1u64 << 61) - 1;
    let entry = |i: u64, len: u64| {
        let (from, to) = (i * huge, i * huge + len);
        format!(r#""t{i}":{{"dtype":"U8","shape":[{len}],"data_offsets":[{from},{to}]}}"#)
    };
    let all: Vec<String> = (0..8).map(|i| entry(i, huge)).chain([entry(8, 7)]).collect();
    assert!(said(&format!("{{{}}}", all.join(",")), &[]).contains("cut short"));
    let deep = format!("{{\"w\":{}", "[".repeat(100_000));
    assert!(said(&deep, &[]).contains("in the header"));
    let bare = |bytes: &[u8]| scratch.complaint("x.safetensors", bytes);
    assert!(bare(b"").contains("8 bytes are promised, 0 are there"));
    assert!(bare(&u64::MAX.to_le_bytes()).contains("promise a header of 18446744073709551615"));
    assert!(bare(&99_999_999u64.to_le_bytes()).contains("100000007 bytes are promised, 8"));
    assert!(bare(&safetensors("[]", &[])).contains("in the header"));
    assert!(bare(&safetensors("\u{1}", &[])).contains("in the header"));
}

#[test]
fn csv_reads_tables_with_and_without_header() {
    let scratch = Scratch::new();
    let table = Tensor::from_slice(&[1.0, -2.5, 3e5, 4.0], [2, 2]);
    for text in [
        "1,-2.5\n3e5,4\n",
        "x,y\n1,-2.5\n3e5,4",
        "\u{feff}x,y\r\n 1 ,\t-2.5\r\n+3e5,4.0\r\n",
        "\"the x, in m\",y\n\"1\",-2.5\n\n3e5,4\n\n",
    ] {
        assert_eq!(scratch.one("x.csv", text.as_bytes()), table, "{text:?}");
    }
    assert_eq!(scratch.one("x.csv", b"a,b,c\n"), Tensor::zeros(DType::F64, [0, 3]));
    let special = scratch.one("x.csv", b"nan,inf,-inf\n1,2,3\n");
    assert_eq!(special.shape(), &crate::Shape::new(&[2, 3]));
    assert!(special.as_slice::<f64>()[0].is_nan());
}

#[test]
fn csv_cells_with_nothing_in_them_are_nan() {
    let scratch = Scratch::new();
    for text in ["x,y\n1,\n , 4\n", "1,\n,4\n"] {
        let table = scratch.one("x.csv", text.as_bytes());
        let nan: Vec<bool> = table.as_slice::<f64>().iter().map(|x| x.is_nan()).collect();
        assert_eq!(nan, [false, true, true, false], "{text:?}");
    }
    let first = scratch.one("x.csv", b",\n1,2\n");
    assert_eq!(first.shape(), &crate::Shape::new(&[2, 2]));
}

#[test]
fn csv_mistakes_name_line_and_column() {
    let scratch = Scratch::new();
    for (text, expected) in [
        ("x,y\n1,2\n3,four\n", "`x.csv`, line 3, column 2: `four` is not a number"),
        ("1,x\n", "`x.csv`, line 1, column 2: `x` is not a number"),
        (
            "1;2\n",
            "`x.csv`: not a valid .csv file: cells are separated by commas, here by semicolons",
        ),
        (
            "1\t2\n3\t4\n",
            "`x.csv`: not a valid .csv file: cells are separated by commas, here by tabs",
        ),
        ("x;y\n1;2\n", "`x.csv`, line 2, column 1: `1;2` is not a number"),
        ("1,2\n\n3,4;5\n", "`x.csv`, line 3, column 2: `4;5` is not a number"),
        ("1,2\n3\n", "`x.csv`: not a valid .csv file: line 2 has 1 cells, the first has 2"),
        ("", "`x.csv`: not a valid .csv file: it is empty"),
        ("\n\n", "`x.csv`: not a valid .csv file: it is empty"),
    ] {
        assert_eq!(scratch.complaint("x.csv", text.as_bytes()), expected);
    }
    let binary = scratch.complaint("x.csv", b"1,2\n\xff\x00\x1b[2J,4\n");
    assert_eq!(binary, "`x.csv`, line 2, column 1: `\u{fffd}\\0\\u{1b}[2J` is not a number");
}

#[test]
fn csv_numbers_read_back_as_they_were() {
    let scratch = Scratch::new();
    let path = scratch.path("x.csv");
    for tensor in samples() {
        let Ok(()) = save(&path, &tensor) else {
            assert!(tensor.shape().rank() > 2 || tensor.shape().get(1) == Some(&0));
            continue;
        };
        let Ok(read) = load(&path) else {
            assert!(tensor.is_empty());
            continue;
        };
        let read = read.into_tensor().unwrap();
        let columns = tensor.shape().get(1).copied().unwrap_or(1);
        assert_eq!(read.shape()[..], [tensor.len() / columns, columns]);
        let again = Tensor::from_f64_slice(tensor.dtype(), read.as_slice(), tensor.shape().clone());
        // 2^63 - 1 is no f64.
        assert!(again == tensor || tensor.dtype() == DType::I64, "{tensor:?}");
    }
    save(&path, &Tensor::from_slice(&[1e300, 0.1, -0.0, 2.0], [2, 2])).unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), "1e300,0.1\n-0.0,2.0\n");
}

#[test]
fn png_round_trips_all_its_shapes() {
    let scratch = Scratch::new();
    let path = scratch.path("x.png");
    for dims in [&[3, 5][..], &[3, 5, 2], &[3, 5, 3], &[3, 5, 4], &[1, 1], &[200, 100, 3]] {
        let count: usize = dims.iter().product();
        let values: Vec<u8> = (0..count).map(|i| (i * 37 % 251) as u8).collect();
        let image = Tensor::from_slice(&values, dims);
        save(&path, &image).unwrap();
        assert_eq!(load(&path).unwrap(), Loaded::One(image));
    }
    save(&path, &Tensor::zeros(DType::U8, [2, 2, 1])).unwrap();
    assert_eq!(load(&path).unwrap(), Loaded::One(Tensor::zeros(DType::U8, [2, 2])));
}

/// A PNG file of these raw settings; `data` is what deflate gets, filter bytes included.
fn png(
    size: [u32; 2],
    depth: u8,
    color: u8,
    interlaced: bool,
    chunks: &[(&[u8; 4], &[u8])],
) -> Vec<u8> {
    let mut bytes = b"\x89PNG\r\n\x1a\n".to_vec();
    let mut chunk = |name: &[u8; 4], body: &[u8]| {
        bytes.extend((body.len() as u32).to_be_bytes());
        let mut sum = flate2::Crc::new();
        sum.update(name);
        sum.update(body);
        bytes.extend(name.iter().chain(body));
        bytes.extend(sum.sum().to_be_bytes());
    };
    let sides = size.map(u32::to_be_bytes).concat();
    chunk(b"IHDR", &[&sides[..], &[depth, color, 0, 0, u8::from(interlaced)]].concat());
    for (name, body) in chunks {
        chunk(name, body);
    }
    chunk(b"IEND", &[]);
    bytes
}

fn deflated(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn png_palettes_bits_and_interlacing_are_expanded() {
    let scratch = Scratch::new();
    let palette: (&[u8; 4], &[u8]) = (b"PLTE", &[255, 0, 0, 0, 0, 255]);
    let rows = deflated(&[0, 0b0100_0000]);
    let indexed = png([2, 1], 1, 3, false, &[palette, (b"IDAT", &rows)]);
    let red_blue = Tensor::from_slice(&[255u8, 0, 0, 0, 0, 255], [1, 2, 3]);
    assert_eq!(scratch.one("x.png", &indexed), red_blue);

    let bits = png([3, 1], 1, 0, false, &[(b"IDAT", &deflated(&[0, 0b1010_0000]))]);
    assert_eq!(scratch.one("x.png", &bits), Tensor::from_slice(&[255u8, 0, 255], [1, 3]));

    // 3 by 3: pass 1 has (0, 0); pass 5 row 2's even columns; 4 and 6 the odd columns of the even
    // rows; 7 the odd row.
    let passes = deflated(&[0, 1, 0, 3, 0, 7, 9, 0, 2, 0, 8, 0, 4, 5, 6]);
    let interlaced = png([3, 3], 8, 0, true, &[(b"IDAT", &passes)]);
    let expected = Tensor::from_slice(&[1u8, 2, 3, 4, 5, 6, 7, 8, 9], [3, 3]);
    assert_eq!(scratch.one("x.png", &interlaced), expected);
}

#[test]
fn png_files_that_lie_are_refused() {
    let scratch = Scratch::new();
    let two = deflated(&[0, 1, 2, 0, 3, 4]);
    let good = png([2, 2], 8, 0, false, &[(b"IDAT", &two)]);
    assert_eq!(scratch.one("x.png", &good), Tensor::from_slice(&[1u8, 2, 3, 4], [2, 2]));
    for cut in 0..good.len() {
        assert!(scratch.load("x.png", &good[..cut]).is_err(), "cut at {cut}");
    }
    let trailing = [&good[..], b"more"].concat();
    assert!(scratch.complaint("x.png", &trailing).contains("bytes after the end"));
    let taller = png([2, 3], 8, 0, false, &[(b"IDAT", &two)]);
    assert!(scratch.load("x.png", &taller).is_err());
    for interlaced in [false, true] {
        let size = [(1 << 31) - 1, (1 << 31) - 1];
        let large = png(size, 8, 6, interlaced, &[(b"IDAT", &two)]);
        let message = scratch.complaint("x.png", &large);
        assert!(
            message.contains("2147483647 by 2147483647 pixels cannot be in a file"),
            "{message}"
        );
        let wide = png([(1 << 31) - 1, 1], 8, 0, interlaced, &[(b"IDAT", &two)]);
        assert!(scratch.load("x.png", &wide).is_err());
    }
    let deep = png([1, 1], 16, 0, false, &[(b"IDAT", &deflated(&[0, 1, 2]))]);
    assert!(scratch.complaint("x.png", &deep).contains("16 bits a sample"));
    assert!(scratch.load("x.png", b"").is_err());
    assert!(scratch.load("x.png", b"GIF89a..............").is_err());
    let none = png([0, 2], 8, 0, false, &[(b"IDAT", &two)]);
    assert!(scratch.load("x.png", &none).is_err());
}
