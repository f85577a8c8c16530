//! Files that must not be lost or half written: keys, and the checkpoints that somebody relies on.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

/// Who may read a file that is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Readers {
    /// Its owner alone (mode 0600).
    Owner,
    /// Whoever the process's mask lets (mode 0666 less the mask).
    Everyone,
}

impl Readers {
    const fn mode(self) -> u32 {
        match self {
            Self::Owner => 0o600,
            Self::Everyone => 0o666,
        }
    }
}

/// Writes a new file; when this returns, it is on the disk.
///
/// # Errors
/// [`io::ErrorKind::AlreadyExists`] when there is one already, which is left as it is; every other error of writing.
pub fn create(path: &Path, bytes: &[u8], readers: Readers) -> io::Result<()> {
    let file = OpenOptions::new().write(true).create_new(true).mode(readers.mode()).open(path)?;
    fill(file, bytes).inspect_err(|_| {
        let _ = fs::remove_file(path);
    })?;
    sync_folder(path)
}

/// Writes a file in place of another, or a new one; a reader sees the old bytes or the new ones, and when this
/// returns, the new ones are on the disk. Two at a time must not write the same file.
///
/// # Errors
/// Every error of writing; the old file is then as it was.
pub fn replace(path: &Path, bytes: &[u8], readers: Readers) -> io::Result<()> {
    let mut name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?.to_owned();
    name.push(".new");
    let partial = path.with_file_name(name);
    // One that a crash left behind may have another mode.
    match fs::remove_file(&partial) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let file =
        OpenOptions::new().write(true).create_new(true).mode(readers.mode()).open(&partial)?;
    fill(file, bytes).and_then(|()| fs::rename(&partial, path)).inspect_err(|_| {
        let _ = fs::remove_file(&partial);
    })?;
    sync_folder(path)
}

/// Reads a file that has at most `most` bytes.
///
/// # Errors
/// [`io::ErrorKind::FileTooLarge`] when it has more; every other error of reading.
pub fn read(path: &Path, most: usize) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(most as u64 + 1).read_to_end(&mut bytes)?;
    if bytes.len() > most { Err(io::ErrorKind::FileTooLarge.into()) } else { Ok(bytes) }
}

/// Reads a text file that has at most `most` bytes.
///
/// # Errors
/// [`io::ErrorKind::InvalidData`] when it is not UTF-8; see [`read`] for the others.
pub fn read_text(path: &Path, most: usize) -> io::Result<String> {
    String::from_utf8(read(path, most)?).map_err(|_| io::ErrorKind::InvalidData.into())
}

fn fill(mut file: File, bytes: &[u8]) -> io::Result<()> {
    file.write_all(bytes)?;
    file.sync_all()
}

/// Makes sure that the name of a file is on the disk too.
fn sync_folder(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(folder) if folder.as_os_str().is_empty() => File::open(".")?.sync_all(),
        Some(folder) => File::open(folder)?.sync_all(),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_file_is_made_once_and_replaced_whole() {
        let folder = std::env::temp_dir().join(format!("propusk-file-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let path = folder.join("a");
        create(&path, b"one", Readers::Owner).unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&path), 0o600);
        let again = create(&path, b"two", Readers::Owner).unwrap_err();
        assert_eq!(again.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(read_text(&path, 3).unwrap(), "one");
        fs::write(folder.join("a.new"), "left behind").unwrap();
        replace(&path, b"three", Readers::Owner).unwrap();
        assert_eq!(read(&path, 5).unwrap(), b"three");
        assert_eq!(mode(&path), 0o600);
        assert_eq!(read(&path, 4).unwrap_err().kind(), io::ErrorKind::FileTooLarge);
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 1);
        replace(&path, &[0xff], Readers::Everyone).unwrap();
        assert_eq!(read_text(&path, 4).unwrap_err().kind(), io::ErrorKind::InvalidData);
        fs::remove_dir_all(folder).unwrap();
    }
}
