//! `fail/*.tx`: programs that are right but fail when they run, with what they print and their
//! message at the end. They run in a folder with data files that are damaged in known ways, and
//! leave nothing in it.

use crate::engines::engines;
use crate::program::Program;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use tensc::codegen::Isa;
use tensc::script::Transcript;
use tensc::{Module, RunOptions, Tensor};
use tensc_runtime::data;

#[test]
fn failures() {
    let engines = engines(Isa::widest());
    for program in Program::all("fail") {
        let mut messages = Vec::new();
        for engine in &engines {
            let dir = tempfile::tempdir().expect("a folder for data");
            damaged_files(dir.path());
            let source = dir.path().join(format!("{}.tx", program.name()));
            let text = program.text.replace("@dir@", &dir.path().to_string_lossy());
            fs::write(&source, text).expect("the program is written");
            let before = names(dir.path());
            let module = Module::from_file(&source);
            let module = module.unwrap_or_else(|failure| panic!("{failure}"));
            let mut transcript = Transcript::default();
            let options = RunOptions::default();
            let message = match module.run(&engine.session, &options, &mut transcript) {
                Ok(()) => panic!("{} succeeds on {}", program.name(), engine.name),
                Err(failure) => failure.to_string(),
            };
            assert_eq!(names(dir.path()), before, "a failed run leaves no file");
            let folder = format!("{}/", dir.path().display());
            let printed = transcript.lines.join("\n") + "\n";
            messages.push(printed.trim_start().to_string() + &message.replace(&folder, ""));
        }
        // How exactly an index is described depends on the engine, and what fusion left of its
        // place; what was printed before, the code and the line do not.
        let places: Vec<String> = messages.iter().map(|m| place(m)).collect();
        assert!(places.iter().all(|p| *p == places[0]), "{messages:#?}");
        let (found, expected) = (commented(&messages[2]), expected(&program));
        assert!(found == expected, "{}: expected\n{expected}\nfound\n{found}", program.name());
    }
}

/// What stands below `// fails:` at the end of a program.
fn expected(program: &Program) -> &str {
    let (_, expected) = program.text.split_once("\n// fails:\n").expect("it says how it fails");
    expected
}

/// Text as lines of a comment.
fn commented(text: &str) -> String {
    let line = |line: &str| format!("// {line}").trim_end().to_string() + "\n";
    text.trim_end().lines().map(line).collect()
}

/// What was printed before, the code of the error and the line it is about.
fn place(message: &str) -> String {
    let (printed, error) = message.split_once("error[").expect("a message has a code");
    let code = error.split(']').next().unwrap_or_default();
    let at = error.lines().find_map(|line| line.trim_start().strip_prefix("--> "));
    let (line, _column) = at.and_then(|at| at.rsplit_once(':')).unwrap_or_default();
    format!("{printed}{code} {line}")
}

/// The data files that the programs find beside them.
fn damaged_files(dir: &Path) {
    let write = |name: &str, bytes: &[u8]| fs::write(dir.join(name), bytes).expect("written");
    let x = Tensor::from_slice(&[1.0f32, 2.0, 3.0, 4.0, 5.0, 6.0], [2, 3]);
    let labels = Tensor::from_slice(&[1u8, 0, 3, 2], [4]);
    data::save(&dir.join("good.npy"), &x).expect("saved");
    data::save_named(&dir.join("good.npz"), &[("x", &x), ("labels", &labels)]).expect("saved");
    let npy = fs::read(dir.join("good.npy")).expect("read");
    write("truncated.npy", &npy[..npy.len() - 5]);
    let digits = b"(2, 3)";
    let at = npy.windows(digits.len()).position(|w| w == digits).expect("the shape is there");
    let mut lying = npy.clone();
    lying[at..at + digits.len()].copy_from_slice(b"(9, 9)");
    write("lying.npy", &lying);
    let npz = fs::read(dir.join("good.npz")).expect("read");
    write("truncated.npz", &npz[..npz.len() / 2]);
    // Three images of 2 x 2 are announced, two and a half are there.
    let header = [0, 0, 8, 3, 0, 0, 0, 3, 0, 0, 0, 2, 0, 0, 0, 2];
    write("truncated.idx3-ubyte", &[&header[..], &[7; 10]].concat());
    let huge = [0, 0, 8, 3, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff];
    write("huge.idx3-ubyte", &[&huge[..], &[7; 10]].concat());
    write("garbage.npz", b"this is no archive");
    write("letters.csv", b"1,2\n3,four\n");
}

fn names(dir: &Path) -> BTreeSet<String> {
    let entries = fs::read_dir(dir).expect("the folder is there");
    entries.map(|e| e.expect("readable").file_name().to_string_lossy().into_owned()).collect()
}
