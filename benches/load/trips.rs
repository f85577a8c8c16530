//! Counts round trips to the database: a proxy between the service and the server's socket that counts the messages after
//! which a client of PostgreSQL waits, `Sync` and `Query`.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{UnixListener, UnixStream};

const SOCKET: &str = ".s.PGSQL.5432";

/// A proxy that runs for as long as the process.
pub struct Trips {
    count: Arc<AtomicU64>,
    dir: PathBuf,
}

impl Trips {
    /// Listens in a new directory of `dir`'s own, before the server whose socket is in `server`.
    pub fn open(dir: &Path, server: &Path) -> Self {
        std::fs::create_dir_all(dir).unwrap();
        let listener = UnixListener::bind(dir.join(SOCKET)).unwrap();
        let count = Arc::new(AtomicU64::new(0));
        let (counter, server) = (Arc::clone(&count), server.join(SOCKET));
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let server = UnixStream::connect(&server).await.unwrap();
                let (from_client, to_client) = client.into_split();
                let (from_server, to_server) = server.into_split();
                tokio::spawn(pass(from_server, to_client));
                tokio::spawn(count_and_pass(from_client, to_server, Arc::clone(&counter)));
            }
        });
        Self { count, dir: dir.to_owned() }
    }

    /// Gives how many there were so far.
    pub fn count(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }

    /// Gives `url` with the proxy in place of the server.
    pub fn url(&self, url: &str) -> String {
        let (before, _) = url.split_once("host=").unwrap();
        format!("{before}host={}", self.dir.display())
    }
}

async fn pass(mut from: OwnedReadHalf, mut to: OwnedWriteHalf) {
    let _ = tokio::io::copy(&mut from, &mut to).await;
}

/// The first message has a length and no type; each other one a type, and a length that counts itself.
async fn count_and_pass(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, count: Arc<AtomicU64>) {
    let mut buffer = vec![0; 64 * 1024];
    let mut pending: Vec<u8> = Vec::new();
    let mut started = false;
    while let Ok(read @ 1..) = from.read(&mut buffer).await {
        pending.extend_from_slice(&buffer[..read]);
        let mut at = 0;
        loop {
            let typed = usize::from(started);
            let Some(length) = pending.get(at + typed..at + typed + 4) else { break };
            let length = u32::from_be_bytes(length.try_into().unwrap()) as usize;
            if pending.len() < at + typed + length {
                break;
            }
            if started && matches!(pending[at], b'S' | b'Q') {
                count.fetch_add(1, Ordering::Relaxed);
            }
            started = true;
            at += typed + length;
        }
        pending.drain(..at);
        if to.write_all(&buffer[..read]).await.is_err() {
            return;
        }
    }
}
