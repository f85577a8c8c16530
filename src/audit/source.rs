//! Where a log is read from: a folder of files, or an address. The paths are those of C2SP tlog-tiles.

use std::io::ErrorKind;
use std::path::PathBuf;
use std::time::Duration;

use ureq::Agent;
use ureq::http::StatusCode;

use super::file;
use super::tile::{self, Level, Tile, bundle};

/// The longest checkpoint that is fetched, in bytes.
const LONGEST_CHECKPOINT: usize = super::note::LONGEST_NOTE;
/// The longest tile of hashes, in bytes.
const LONGEST_TILE: usize = tile::WIDTH as usize * 32;
/// The longest entry bundle, in bytes.
const LONGEST_BUNDLE: usize = tile::WIDTH as usize * (2 + bundle::LONGEST);
/// How long one answer may take, from the name's resolution to the last byte.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long to wait before each further attempt.
const PAUSES: [Duration; 3] =
    [Duration::from_millis(200), Duration::from_secs(1), Duration::from_secs(5)];

/// Gives the files of a log.
pub trait Source: Sync {
    /// Gives the bytes of the file at a path below the log's prefix; `None` when there is none.
    ///
    /// # Errors
    /// [`SourceError`] when it cannot be read, or has more than `most` bytes.
    fn get(&self, path: &str, most: usize) -> Result<Option<Vec<u8>>, SourceError>;

    /// Gives how many files are worth asking for at the same time.
    fn at_once(&self) -> usize;
}

/// Says that a file of the log could not be read: nothing is proved by it, for or against the log.
#[derive(Debug, thiserror::Error)]
#[error("cannot read {path}: {why}")]
pub struct SourceError {
    /// The path, below the log's prefix.
    pub path: String,
    /// Why.
    pub why: String,
}

/// Opens a log at an address (`http://…` or `https://…`, its prefix) or in a folder.
#[must_use]
pub fn open(place: &str) -> Box<dyn Source> {
    if place.starts_with("http://") || place.starts_with("https://") {
        Box::new(Remote::new(place))
    } else {
        Box::new(Folder(PathBuf::from(place)))
    }
}

/// A log in a folder, as `propusk audit export` writes it.
#[derive(Debug, Clone)]
pub struct Folder(pub PathBuf);

impl Source for Folder {
    fn get(&self, path: &str, most: usize) -> Result<Option<Vec<u8>>, SourceError> {
        match file::read(&self.0.join(path), most) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(SourceError { path: path.to_owned(), why: error.to_string() }),
        }
    }

    fn at_once(&self) -> usize {
        std::thread::available_parallelism().map_or(1, usize::from)
    }
}

/// A log at an address.
#[derive(Debug, Clone)]
pub struct Remote {
    agent: Agent,
    prefix: String,
}

impl Remote {
    /// Names the log at a prefix such as `https://permits.example.org/log`; nothing is asked yet.
    #[must_use]
    pub fn new(prefix: &str) -> Self {
        let agent = Agent::config_builder()
            .timeout_global(Some(PATIENCE))
            .user_agent(concat!("propusk/", env!("CARGO_PKG_VERSION")))
            .max_redirects(3)
            .http_status_as_error(false)
            .build();
        Self { agent: agent.into(), prefix: prefix.trim_end_matches('/').to_owned() }
    }

    fn ask(&self, path: &str, most: usize) -> Result<Option<Vec<u8>>, ureq::Error> {
        let mut answer = self.agent.get(format!("{}/{path}", self.prefix)).call()?;
        match answer.status() {
            status if status.is_success() => {
                answer.body_mut().with_config().limit(most as u64).read_to_vec().map(Some)
            }
            StatusCode::NOT_FOUND | StatusCode::GONE => Ok(None),
            status => Err(ureq::Error::StatusCode(status.as_u16())),
        }
    }
}

impl Source for Remote {
    fn get(&self, path: &str, most: usize) -> Result<Option<Vec<u8>>, SourceError> {
        let mut pauses = PAUSES.iter();
        loop {
            match self.ask(path, most) {
                Ok(answer) => return Ok(answer),
                Err(error) => match pauses.next() {
                    Some(pause) if passes(&error) => std::thread::sleep(*pause),
                    _ => {
                        return Err(SourceError { path: path.to_owned(), why: error.to_string() });
                    }
                },
            }
        }
    }

    fn at_once(&self) -> usize {
        8
    }
}

/// Tells whether asking again makes sense.
fn passes(error: &ureq::Error) -> bool {
    match error {
        ureq::Error::StatusCode(status) => matches!(status, 429 | 500..=599),
        ureq::Error::Io(error) => error.kind() != ErrorKind::InvalidInput,
        ureq::Error::Timeout(_) | ureq::Error::ConnectionFailed => true,
        _ => false,
    }
}

/// Gives the log's newest checkpoint.
///
/// # Errors
/// [`SourceError`] when there is none or it cannot be read.
pub fn checkpoint(source: &dyn Source) -> Result<String, SourceError> {
    let unreadable = |why: String| SourceError { path: "checkpoint".to_owned(), why };
    let bytes = source
        .get("checkpoint", LONGEST_CHECKPOINT)?
        .ok_or_else(|| unreadable("there is none".to_owned()))?;
    String::from_utf8(bytes).map_err(|_| unreadable("it is not UTF-8".to_owned()))
}

/// Gives the bytes of a tile or bundle. Where a partial one is no longer kept, it is cut from the full one.
///
/// # Errors
/// [`SourceError`] when it cannot be read. `None` when there is none.
pub fn tile(source: &dyn Source, tile: Tile) -> Result<Option<Vec<u8>>, SourceError> {
    let most = match tile.level() {
        Level::Entries => LONGEST_BUNDLE,
        Level::Hashes(_) => LONGEST_TILE,
    };
    if let Some(bytes) = source.get(&tile.path(), most)? {
        return Ok(Some(bytes));
    }
    let Some(full) = Tile::full(tile.level(), tile.index()).filter(|_| !tile.is_full()) else {
        return Ok(None);
    };
    Ok(source.get(&full.path(), most)?.map(|mut bytes| {
        let width = usize::from(tile.width());
        let length = match tile.level() {
            Level::Entries => {
                bundle::entries(&bytes).take(width).flatten().map(|leaf| 2 + leaf.len()).sum()
            }
            Level::Hashes(_) => 32 * width,
        };
        bytes.truncate(length);
        bytes
    }))
}
