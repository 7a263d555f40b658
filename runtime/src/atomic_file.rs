//! Writing a file so that it is there whole or not at all.
//!
//! The bytes go to a temporary file in the same directory, are flushed to the disk, and the
//! temporary file takes the name in one step. Where anything fails the temporary file is removed
//! and what was there before stays as it was. Where the system has files without a name, the
//! temporary one gets a name when it is whole, so that a process that is stopped leaves nothing.
//! Everything that `tensc` writes goes through here, but for the log of a run, which is appended
//! to.
//!
//! Two things a Unix user expects are kept: a symbolic link is written *through*, and a device or
//! a pipe (`/dev/stdout`) is written *to*, never replaced.

use std::fs::{self, File};
use std::io::{self, BufWriter, Seek, Write};
use std::path::{Path, PathBuf};

/// What the writer of an output file writes to.
pub type Aside<'a> = BufWriter<&'a File>;

/// Writes the file at `path` by `fill`: all of it, or nothing.
///
/// ```
/// use std::io::{self, Write};
/// # let dir = tempfile::tempdir()?;
/// let path = dir.path().join("losses.txt");
/// tensc_runtime::write_atomically(&path, |out| writeln!(out, "0.25"))?;
/// let failed = tensc_runtime::write_atomically(&path, |out| {
///     writeln!(out, "0.1")?;
///     Err(io::Error::other("the disk is full"))
/// });
/// assert!(failed.is_err());
/// assert_eq!(std::fs::read_to_string(&path)?, "0.25\n");
/// # io::Result::Ok(())
/// ```
pub fn write_atomically<E: From<io::Error>>(
    path: &Path,
    fill: impl FnOnce(&mut Aside<'_>) -> Result<(), E>,
) -> Result<(), E> {
    let (target, before) = followed(path)?;
    match &before {
        Some(old) if old.is_dir() => {
            Err(io::Error::new(io::ErrorKind::IsADirectory, "it is a directory").into())
        }
        Some(old) if !old.is_file() => write_to_device(&target, fill),
        _ => write_and_rename(&target, before, fill),
    }
}

/// Where a path leads through links, also to a file that is not there yet, and what is there.
fn followed(path: &Path) -> io::Result<(PathBuf, Option<fs::Metadata>)> {
    let mut target = fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf());
    loop {
        match fs::metadata(&target) {
            Ok(there) => return Ok((target, Some(there))),
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
            Err(_) => match fs::read_link(&target) {
                Ok(link) => target = directory_of(&target).join(link),
                Err(_) => return Ok((target, None)),
            },
        }
    }
}

fn write_and_rename<E: From<io::Error>>(
    target: &Path,
    before: Option<fs::Metadata>,
    fill: impl FnOnce(&mut Aside<'_>) -> Result<(), E>,
) -> Result<(), E> {
    let directory = directory_of(target);
    let mut builder = tempfile::Builder::new();
    builder.prefix(".tensc-").suffix(".part");
    let whole = |file: &File| -> Result<(), E> {
        fill_and_flush(file, fill)?;
        if let Some(old) = before {
            file.set_permissions(old.permissions())?;
        }
        Ok(file.sync_all()?)
    };
    let temporary = match unnamed::create(&directory) {
        Some(file) => {
            whole(&file)?;
            builder.make_in(&directory, |path| unnamed::name(&file, path))?.into_temp_path()
        }
        None => {
            // Opened here, so that a failure speaks of no path: the user knows the file by another
            // name.
            let open =
                |path: &Path| File::options().read(true).write(true).create_new(true).open(path);
            let temporary = builder.make_in(&directory, open)?;
            whole(temporary.as_file())?;
            temporary.into_temp_path()
        }
    };
    temporary.persist(target).map_err(|e| e.error)?;
    // The new name must reach the disk too. Some file systems cannot sync a directory; the file
    // is whole all the same, so that is no failure.
    if let Ok(handle) = File::open(&directory) {
        let _ = handle.sync_all();
    }
    Ok(())
}

/// Files without a name.
#[cfg(target_os = "linux")]
mod unnamed {
    use rustix::fs::{AtFlags, CWD, linkat};
    use std::fs::File;
    use std::io;
    use std::os::fd::AsRawFd;
    use std::os::unix::fs::OpenOptionsExt;
    use std::path::{Path, PathBuf};

    /// A file in a directory that has no name; `None` where there is no such thing, or no way to
    /// name it later.
    pub fn create(directory: &Path) -> Option<File> {
        let mut options = File::options();
        let file = options.read(true).write(true).custom_flags(libc::O_TMPFILE).open(directory);
        file.ok().filter(|file| open_at(file).exists())
    }

    /// Gives a file a name that nothing has.
    pub fn name(file: &File, path: &Path) -> io::Result<()> {
        Ok(linkat(CWD, open_at(file), CWD, path, AtFlags::SYMLINK_FOLLOW)?)
    }

    fn open_at(file: &File) -> PathBuf {
        PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd()))
    }
}

/// Elsewhere there are none.
#[cfg(not(target_os = "linux"))]
mod unnamed {
    use std::fs::File;
    use std::io;
    use std::path::Path;

    pub fn create(_: &Path) -> Option<File> {
        None
    }

    pub fn name(_: &File, _: &Path) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

/// A device or pipe gets its bytes only when all of them are known to be there.
fn write_to_device<E: From<io::Error>>(
    target: &Path,
    fill: impl FnOnce(&mut Aside<'_>) -> Result<(), E>,
) -> Result<(), E> {
    let mut spool = tempfile::tempfile()?;
    fill_and_flush(&spool, fill)?;
    spool.rewind()?;
    let mut device = File::options().write(true).open(target)?;
    io::copy(&mut spool, &mut device)?;
    Ok(())
}

fn fill_and_flush<E: From<io::Error>>(
    file: &File,
    fill: impl FnOnce(&mut Aside<'_>) -> Result<(), E>,
) -> Result<(), E> {
    let mut out = BufWriter::with_capacity(1 << 16, file);
    let filled = fill(&mut out).and_then(|()| Ok(out.flush()?));
    if filled.is_err() {
        // Dropping the buffer would write what is left of it, to a file about to be removed.
        let _ = out.into_parts();
    }
    filled
}

fn directory_of(path: &Path) -> PathBuf {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_path_buf(),
        _ => PathBuf::from("."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(directory: &Path) -> Vec<String> {
        let entries = fs::read_dir(directory).unwrap();
        let mut names: Vec<_> =
            entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn writes_the_whole_file_and_leaves_nothing_beside_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.bin");
        write_atomically(&path, |out| out.write_all(&[7; 200_000])).unwrap();
        assert_eq!(fs::read(&path).unwrap(), vec![7; 200_000]);
        assert_eq!(names(dir.path()), ["a.bin"]);
    }

    /// A process that is stopped while it writes removes nothing.
    #[cfg(target_os = "linux")]
    #[test]
    fn while_it_is_written_the_file_has_no_name() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.bin");
        if unnamed::create(dir.path()).is_none() {
            return;
        }
        write_atomically(&path, |out| {
            out.write_all(&[7; 200_000])?;
            assert!(names(dir.path()).is_empty());
            io::Result::Ok(())
        })
        .unwrap();
        assert_eq!(names(dir.path()), ["a.bin"]);
    }

    #[test]
    fn where_nothing_can_be_made_the_message_names_no_temporary_file() {
        let dir = tempfile::tempdir().unwrap();
        let failed: io::Result<()> = write_atomically(&dir.path().join("none/a.bin"), |_| Ok(()));
        assert_eq!(failed.unwrap_err().to_string(), "No such file or directory (os error 2)");
    }

    #[test]
    fn a_failure_keeps_the_old_file_and_removes_the_temporary_one() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.bin");
        fs::write(&path, b"old").unwrap();
        let failed: io::Result<()> = write_atomically(&path, |out| {
            out.write_all(&[7; 200_000])?;
            Err(io::Error::other("no space"))
        });
        assert_eq!(failed.unwrap_err().to_string(), "no space");
        assert_eq!(fs::read(&path).unwrap(), b"old");
        assert_eq!(names(dir.path()), ["a.bin"]);
    }

    #[test]
    fn a_missing_directory_is_an_error_and_a_directory_is_not_overwritten() {
        let dir = tempfile::tempdir().unwrap();
        let write = |path: &Path| write_atomically(path, |out| out.write_all(b"x"));
        assert!(write(&dir.path().join("no/such/place")).is_err());
        assert_eq!(write(dir.path()).unwrap_err().kind(), io::ErrorKind::IsADirectory);
    }

    #[cfg(unix)]
    #[test]
    fn permissions_are_kept_and_default_to_the_umask() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let (ours, plain) = (dir.path().join("ours"), dir.path().join("plain"));
        fs::write(&plain, b"").unwrap();
        write_atomically(&ours, |out| out.write_all(b"x")).unwrap();
        let mode = |p: &Path| fs::metadata(p).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&ours), mode(&plain));
        fs::set_permissions(&ours, fs::Permissions::from_mode(0o640)).unwrap();
        write_atomically(&ours, |out| out.write_all(b"y")).unwrap();
        assert_eq!(mode(&ours), 0o640);
    }

    #[cfg(unix)]
    #[test]
    fn a_link_is_written_through_and_a_pipe_is_written_to() {
        use std::io::Read;
        let dir = tempfile::tempdir().unwrap();
        let (real, link) = (dir.path().join("real"), dir.path().join("link"));
        fs::write(&real, b"old").unwrap();
        std::os::unix::fs::symlink(&real, &link).unwrap();
        write_atomically(&link, |out| out.write_all(b"new")).unwrap();
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::read(&real).unwrap(), b"new");

        // Also where the file is not there yet, and over several links.
        let (new, far) = (dir.path().join("new"), dir.path().join("far"));
        std::os::unix::fs::symlink("new", dir.path().join("near")).unwrap();
        std::os::unix::fs::symlink(dir.path().join("near"), &far).unwrap();
        write_atomically(&far, |out| out.write_all(b"first")).unwrap();
        assert!(fs::symlink_metadata(&far).unwrap().is_symlink());
        assert!(fs::symlink_metadata(&new).unwrap().is_file());
        assert_eq!(fs::read(&far).unwrap(), b"first");
        let circle = dir.path().join("circle");
        std::os::unix::fs::symlink("circle", &circle).unwrap();
        assert!(write_atomically(&circle, |out| out.write_all(b"x")).is_err());
        assert!(fs::symlink_metadata(&circle).unwrap().is_symlink());

        let (mut reader, writer) = io::pipe().unwrap();
        let fd = std::os::fd::AsRawFd::as_raw_fd(&writer);
        let path = PathBuf::from(format!("/proc/self/fd/{fd}"));
        if path.exists() {
            write_atomically(&path, |out| out.write_all(b"through")).unwrap();
            drop(writer);
            let mut text = String::new();
            reader.read_to_string(&mut text).unwrap();
            assert_eq!(text, "through");
        }
    }
}
