//! A program of the suite: its source, and what the comments in it ask of the harness.

use std::fs;
use std::path::{Path, PathBuf};
use tensc::{Failure, Module};

/// What a `.tx` file of the suite says to the harness, a comment line each:
///
/// - `// expect: TEXT`: the next line that `main` prints;
/// - `// sizes: N=3 M=7`: one more set of sizes to call the functions with;
/// - `// tolerance: 1e-9`: how far printed numbers may be from the expected ones, relatively;
/// - `// fn: NAME`: the function that a rewrite is shown on;
/// - `// kernels: N`: how many kernels it must become;
/// - `// fails:`: below it stands what it prints and the message with which it ends.
#[derive(Clone, Debug)]
pub struct Program {
    pub path: PathBuf,
    pub text: String,
}

impl Program {
    /// Every program of a folder below `tests/suite`, in order.
    pub fn all(folder: &str) -> Vec<Program> {
        let folder = Path::new("tests/suite").join(folder);
        let entries = fs::read_dir(&folder).expect("the folder is there");
        let mut paths: Vec<PathBuf> =
            entries.map(|e| e.expect("the folder is readable").path()).collect();
        paths.retain(|p| p.extension().is_some_and(|e| e == "tx"));
        paths.sort();
        assert!(!paths.is_empty(), "{} has no programs", folder.display());
        paths.into_iter().map(|path| Program::read(&path)).collect()
    }

    pub fn read(path: &Path) -> Program {
        // Relative to the package, where Cargo runs tests: messages are then the same everywhere.
        let relative = path.strip_prefix(env!("CARGO_MANIFEST_DIR")).unwrap_or(path);
        let text = fs::read_to_string(path).expect("a program is readable");
        Program { path: relative.to_path_buf(), text }
    }

    pub fn name(&self) -> String {
        self.path.file_stem().expect("a program has a name").to_string_lossy().into_owned()
    }

    /// The checked source. A program that writes files names their folder `@dir@`.
    pub fn module(&self, dir: &Path) -> Result<Module, Failure> {
        if self.text.contains("@dir@") {
            let text = self.text.replace("@dir@", &dir.to_string_lossy());
            Module::from_source(&self.path.to_string_lossy(), text)
        } else {
            Module::from_file(&self.path)
        }
    }

    /// The values of a directive, in order.
    pub fn directives(&self, name: &str) -> Vec<&str> {
        let start = format!("// {name}: ");
        self.text.lines().filter_map(|line| line.strip_prefix(&start)).collect()
    }

    /// The sets of sizes that the program asks for.
    pub fn sizes(&self) -> Vec<Vec<(String, i64)>> {
        let size = |word: &str| {
            let (name, value) = word.split_once('=').expect("NAME=VALUE");
            (name.to_string(), value.parse().expect("a size is a number"))
        };
        let set = |line: &str| line.split_whitespace().map(size).collect();
        self.directives("sizes").into_iter().map(set).collect()
    }

    pub fn tolerance(&self) -> Option<f64> {
        let given = self.directives("tolerance");
        given.first().map(|t| t.parse().expect("a tolerance is a number"))
    }
}
