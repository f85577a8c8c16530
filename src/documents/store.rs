//! Keeps bytes under their digest.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use sha2::{Digest, Sha256};

use crate::error::{Error, Result};

/// Keeps blobs in a folder, each under `aa/bb/<SHA-256>`; clones share the folder.
///
/// Any number of processes may share it, too: a blob appears whole or not at all, and never changes.
#[derive(Debug, Clone)]
pub struct BlobStore {
    root: Arc<Path>,
}

impl BlobStore {
    /// Opens a store, making its folder where there is none.
    ///
    /// # Errors
    /// [`Error::Internal`] when the folder cannot be made.
    pub fn open(dir: impl AsRef<Path>) -> Result<Self> {
        let root = dir.as_ref();
        fs::create_dir_all(root.join("tmp"))
            .map_err(|error| Error::internal("cannot make the folder of documents", error))?;
        Ok(Self { root: root.into() })
    }

    /// Keeps `bytes` and gives their digest, lower-case hexadecimal. Safe to repeat.
    ///
    /// When this returns, the bytes are on the disk.
    ///
    /// # Errors
    /// [`Error::Internal`] when they cannot be written.
    pub async fn put<B>(&self, bytes: B) -> Result<String>
    where
        B: AsRef<[u8]> + Send + 'static,
    {
        let store = self.clone();
        blocking(move || {
            let digest = hex(&Sha256::digest(bytes.as_ref()));
            store
                .write(&digest, bytes.as_ref())
                .map_err(|error| Error::internal("cannot keep a document", error))?;
            Ok(digest)
        })
        .await
    }

    /// Keeps bytes that were put before, if they are not there any more; see [`set_aside`](Self::set_aside).
    ///
    /// # Errors
    /// [`Error::Internal`] when they cannot be written.
    pub async fn put_again<B>(&self, digest: &str, bytes: B) -> Result<()>
    where
        B: AsRef<[u8]> + Send + 'static,
    {
        let (store, digest) = (self.clone(), digest.to_owned());
        blocking(move || {
            store
                .write(&digest, bytes.as_ref())
                .map_err(|error| Error::internal("cannot keep a document", error))
        })
        .await
    }

    /// Gives the bytes with this digest, having compared them with it.
    ///
    /// # Errors
    /// A not-found refusal when there are none; [`Error::Corrupt`] when they are no longer what was put.
    pub async fn get(&self, digest: &str) -> Result<Vec<u8>> {
        if !is_digest(digest) {
            return Err(Error::not_found());
        }
        let path = self.path(digest);
        let digest = digest.to_owned();
        blocking(move || {
            let bytes = fs::read(path).map_err(|error| match error.kind() {
                ErrorKind::NotFound => Error::not_found(),
                _ => Error::internal("cannot read a document", error),
            })?;
            if hex(&Sha256::digest(&bytes)) != digest {
                return Err(Error::Corrupt { table: "documents", column: "digest", row: digest });
            }
            Ok(bytes)
        })
        .await
    }

    /// Sets a blob aside, so that it can be removed or put back; `None` when there is none, here or set aside before.
    ///
    /// Whoever refers to a blob puts its bytes again once the reference is written: a blob that was set aside in between
    /// is then there again. So what nobody refers to *after* it was set aside can be removed. Until it is put
    /// back, [`get`](Self::get) does not find it.
    ///
    /// # Errors
    /// [`Error::Internal`] when it cannot be moved.
    pub async fn set_aside(&self, digest: &str) -> Result<Option<SetAside>> {
        if !is_digest(digest) {
            return Ok(None);
        }
        let path = self.path(digest);
        let aside = self.root.join("tmp").join(format!("{digest}.removed"));
        blocking(move || match fs::rename(&path, &aside) {
            Ok(()) => Ok(Some(SetAside { path, aside })),
            // An attempt that broke off may have left it there.
            Err(error) if error.kind() == ErrorKind::NotFound => {
                Ok(aside.exists().then_some(SetAside { path, aside }))
            }
            Err(error) => Err(Error::internal("cannot set a document aside", error)),
        })
        .await
    }

    fn path(&self, digest: &str) -> PathBuf {
        self.root.join(&digest[0..2]).join(&digest[2..4]).join(digest)
    }

    fn write(&self, digest: &str, bytes: &[u8]) -> std::io::Result<()> {
        let path = self.path(digest);
        // A name in place means whole bytes on the disk; only a damaged file has another length.
        if fs::metadata(&path).is_ok_and(|known| known.len() == bytes.len() as u64) {
            return Ok(());
        }
        let (partial, mut file) = self.create_partial(digest)?;
        let written = (|| {
            file.write_all(bytes)?;
            file.sync_all()?;
            let Some(folder) = path.parent() else { return Ok(()) };
            fs::create_dir_all(folder)?;
            fs::rename(&partial, &path)?;
            // The name is as durable as the bytes only once its folders are.
            for folder in path.ancestors().skip(1).take(3) {
                File::open(folder)?.sync_all()?;
            }
            Ok(())
        })();
        if written.is_err() {
            let _ = fs::remove_file(&partial);
        }
        written
    }

    fn create_partial(&self, digest: &str) -> std::io::Result<(PathBuf, File)> {
        static SERIAL: AtomicU64 = AtomicU64::new(0);
        loop {
            let serial = SERIAL.fetch_add(1, Ordering::Relaxed);
            let name = format!("{digest}.{}.{serial}", std::process::id());
            let path = self.root.join("tmp").join(name);
            match OpenOptions::new().write(true).create_new(true).open(&path) {
                Ok(file) => return Ok((path, file)),
                // Another machine's process of this number shares the folder, or a dead one left this.
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
    }
}

/// A blob that was set aside; dropped, it stays there until it is set aside again.
#[derive(Debug)]
#[must_use]
pub struct SetAside {
    path: PathBuf,
    aside: PathBuf,
}

impl SetAside {
    /// Puts the blob back.
    ///
    /// # Errors
    /// [`Error::Internal`] when it cannot be moved.
    pub async fn put_back(self) -> Result<()> {
        blocking(move || {
            fs::rename(&self.aside, &self.path)
                .map_err(|error| Error::internal("cannot put a document back", error))
        })
        .await
    }

    /// Removes the blob for good: when this returns, its name is off the disk.
    ///
    /// # Errors
    /// [`Error::Internal`] when it cannot be removed.
    pub async fn remove(self) -> Result<()> {
        blocking(move || {
            let removed = fs::remove_file(&self.aside).and_then(|()| {
                let folders = [self.aside.parent(), self.path.parent()];
                folders.into_iter().flatten().try_for_each(|folder| File::open(folder)?.sync_all())
            });
            removed.map_err(|error| Error::internal("cannot remove a document", error))
        })
        .await
    }
}

async fn blocking<T, F>(work: F) -> Result<T>
where
    T: Send + 'static,
    F: FnOnce() -> Result<T> + Send + 'static,
{
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| Error::internal("the work on a document broke off", error))?
}

fn is_digest(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorCode;

    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("propusk-{name}-{}", std::process::id()));
            let _ = fs::remove_dir_all(&path);
            Self(path)
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[tokio::test]
    async fn what_was_put_is_got_and_putting_it_again_changes_nothing() {
        let folder = Folder::new("blobs-put");
        let store = BlobStore::open(&folder.0).unwrap();
        let digest = store.put(b"abc".to_vec()).await.unwrap();
        // FIPS 180-4's example.
        assert_eq!(digest, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        assert_eq!(store.put(b"abc".to_vec()).await.unwrap(), digest);
        assert_eq!(store.get(&digest).await.unwrap(), b"abc");
        assert!(folder.0.join("ba/78").join(&digest).is_file());
        assert_eq!(fs::read_dir(folder.0.join("tmp")).unwrap().count(), 0);
    }

    #[tokio::test]
    async fn changed_bytes_are_noticed_and_mended_by_putting_them_again() {
        let folder = Folder::new("blobs-changed");
        let store = BlobStore::open(&folder.0).unwrap();
        let digest = store.put(b"abc".to_vec()).await.unwrap();
        fs::write(store.path(&digest), b"abcd").unwrap();
        assert!(matches!(store.get(&digest).await, Err(Error::Corrupt { .. })));
        store.put(b"abc".to_vec()).await.unwrap();
        assert_eq!(store.get(&digest).await.unwrap(), b"abc");
    }

    #[tokio::test]
    async fn what_is_set_aside_comes_back_or_goes_for_good_also_after_a_broken_attempt() {
        let folder = Folder::new("blobs-aside");
        let store = BlobStore::open(&folder.0).unwrap();
        let digest = store.put(b"abc".to_vec()).await.unwrap();
        store.set_aside(&digest).await.unwrap().unwrap().put_back().await.unwrap();
        assert_eq!(store.get(&digest).await.unwrap(), b"abc");

        // Whoever set it aside died; somebody else has put the same bytes meanwhile.
        drop(store.set_aside(&digest).await.unwrap().unwrap());
        assert_eq!(store.get(&digest).await.unwrap_err().code(), ErrorCode::NotFound);
        let again = store.set_aside(&digest).await.unwrap().unwrap();
        store.put_again(&digest, b"abc".to_vec()).await.unwrap();
        again.put_back().await.unwrap();
        assert_eq!(store.get(&digest).await.unwrap(), b"abc");

        store.set_aside(&digest).await.unwrap().unwrap().remove().await.unwrap();
        assert!(store.set_aside(&digest).await.unwrap().is_none());
        assert!(store.set_aside("../tmp").await.unwrap().is_none());
        assert_eq!(fs::read_dir(folder.0.join("tmp")).unwrap().count(), 0);
    }

    #[tokio::test]
    async fn what_is_no_digest_never_becomes_a_path() {
        let folder = Folder::new("blobs-path");
        let store = BlobStore::open(&folder.0).unwrap();
        let unknown = "0".repeat(64);
        for digest in ["", "../../etc/passwd", "é", &"A".repeat(64), &unknown] {
            let error = store.get(digest).await.unwrap_err();
            assert_eq!(error.code(), ErrorCode::NotFound, "{digest}");
        }
    }
}
