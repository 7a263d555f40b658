//! What can be wrong with a data file, said so that its owner can mend it.

use super::Format;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// Why a data file was not loaded or not saved.
#[derive(Debug, thiserror::Error)]
pub enum DataError {
    /// The system would not let us read it.
    #[error("cannot read `{}`: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// The system would not let us write it.
    #[error("cannot write `{}`: {source}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// Its name stands for no format.
    #[error(
        "cannot tell the format of `{}` from its name: known are .npy, .npz, .safetensors, .csv, \
         .png and IDX (such as `x.idx3-ubyte`, also with .gz)",
        path.display()
    )]
    UnknownFormat {
        /// The file.
        path: PathBuf,
    },
    /// Its bytes are not what the format prescribes.
    #[error("{at}: not a valid {format} file: {what}")]
    Malformed {
        /// The file.
        at: Place,
        /// The format its name stands for.
        format: Format,
        /// What is wrong.
        what: String,
    },
    /// It ends too early.
    #[error("{at}: the file is cut short: {needed} bytes are promised, {found} are there")]
    Truncated {
        /// The file.
        at: Place,
        /// How many bytes the header makes necessary.
        needed: u64,
        /// How many there are.
        found: u64,
    },
    /// It goes on after its end.
    #[error("{at}: there are bytes after the end of the data, which is {needed} bytes long")]
    Oversized {
        /// The file.
        at: Place,
        /// How many bytes the header accounts for.
        needed: u64,
    },
    /// It is valid, but what it holds has no counterpart here.
    #[error("{at}: {what}")]
    Unsupported {
        /// The file.
        at: Place,
        /// What it holds, and what to do about it.
        what: String,
    },
    /// A cell of a table is not a number.
    #[error("{at}, line {line}, column {column}: `{text}` is not a number")]
    Cell {
        /// The file.
        at: Place,
        /// The line, counted from 1.
        line: u64,
        /// The column of the table, counted from 1.
        column: u64,
        /// What stands there.
        text: String,
    },
    /// The tensors cannot be expressed in the format.
    #[error("cannot save `{}`: {what}", path.display())]
    Unsavable {
        /// The file that was to be written.
        path: PathBuf,
        /// The format its name stands for.
        format: Format,
        /// What it cannot hold.
        what: String,
    },
}

impl DataError {
    /// The file that the error is about.
    pub fn path(&self) -> &Path {
        match self {
            DataError::Read { path, .. }
            | DataError::Write { path, .. }
            | DataError::UnknownFormat { path }
            | DataError::Unsavable { path, .. } => path,
            DataError::Malformed { at, .. }
            | DataError::Truncated { at, .. }
            | DataError::Oversized { at, .. }
            | DataError::Unsupported { at, .. }
            | DataError::Cell { at, .. } => &at.path,
        }
    }
}

/// A file, or one tensor of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Place {
    /// The file.
    pub path: PathBuf,
    /// The tensor's name, where the file names its tensors.
    pub member: Option<String>,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`", self.path.display())?;
        match &self.member {
            Some(member) => write!(f, ", tensor `{}`", member.escape_debug()),
            None => Ok(()),
        }
    }
}

/// Where a reader is, to say so in its errors.
#[derive(Clone, Copy)]
pub(super) struct Origin<'a> {
    pub path: &'a Path,
    pub format: Format,
    pub member: Option<&'a str>,
}

impl<'a> Origin<'a> {
    /// The same file, at the tensor called `name`.
    pub fn member(self, name: &'a str) -> Origin<'a> {
        Origin { member: Some(name), ..self }
    }

    pub fn malformed(self, what: impl Into<String>) -> DataError {
        DataError::Malformed { at: self.place(), format: self.format, what: what.into() }
    }

    pub fn unsupported(self, what: impl Into<String>) -> DataError {
        DataError::Unsupported { at: self.place(), what: what.into() }
    }

    pub fn truncated(self, needed: u64, found: u64) -> DataError {
        DataError::Truncated { at: self.place(), needed, found }
    }

    pub fn oversized(self, needed: u64) -> DataError {
        DataError::Oversized { at: self.place(), needed }
    }

    pub fn cell(self, line: u64, column: u64, text: String) -> DataError {
        DataError::Cell { at: self.place(), line, column, text }
    }

    /// What the system or a decoder said while bytes were read.
    ///
    /// Decoders report bad data through the same type as the system reports a bad disk.
    pub fn reading(self, source: io::Error) -> DataError {
        match source.kind() {
            io::ErrorKind::InvalidData
            | io::ErrorKind::InvalidInput
            | io::ErrorKind::UnexpectedEof => self.malformed(source.to_string()),
            _ => DataError::Read { path: self.path.to_path_buf(), source },
        }
    }

    fn place(self) -> Place {
        Place { path: self.path.to_path_buf(), member: self.member.map(str::to_string) }
    }
}

/// Why the bytes of an output file did not come about.
pub(super) enum Unwritten {
    System(io::Error),
    /// The format cannot hold the tensors.
    Unfit(String),
}

impl Unwritten {
    pub fn at(self, path: &Path, format: Format) -> DataError {
        let path = path.to_path_buf();
        match self {
            Unwritten::System(source) => DataError::Write { path, source },
            Unwritten::Unfit(what) => DataError::Unsavable { path, format, what },
        }
    }
}

impl From<io::Error> for Unwritten {
    fn from(source: io::Error) -> Unwritten {
        Unwritten::System(source)
    }
}
