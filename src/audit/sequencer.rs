//! The one who numbers: takes committed events, extends the tree, signs, and publishes last.
//!
//! Any number of processes run a [`Sequencer`]; the one that holds the database's lock works, the others take over
//! within seconds of its end. What was appended but not signed when a process died is signed by the next; what was
//! signed but not published is published under a newer signature. Nobody reads what is not published.
//!
//! Before each signature stands what a signer must never do, sign two trees that contradict one another: the last
//! checkpoint signed here is kept in a file outside the database, and the tree must contain the one it tells of. A
//! database that was put back to an older backup does not, and is not signed for.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use super::checkpoint::Checkpoint;
use super::edge::{Edge, FullTile};
use super::file::{self, Readers};
use super::note::{self, LONGEST_NOTE, LogKeys, SignedCheckpoint, VerifierKey};
use super::tile::Level;
use super::tree;
use super::witness::client::Witness;
use super::witness::cosigning::Witnesses;
use crate::clock::SharedClock;
use crate::error::{Error, Result};
use crate::storage::Db;
use crate::storage::log::{self, LogWriter, NewTile, Position};

/// How a [`Sequencer`] works.
#[derive(Debug, Clone)]
pub struct SequencerOptions {
    /// How often it looks for new events: the delay until an event is published is half of this on average.
    pub interval: Duration,
    /// How often an idle log is signed anew, so that everybody sees that it is alive.
    pub resign: TimeDelta,
    /// How often a process that is not the sequencer tries to become it.
    pub takeover: Duration,
    /// Events for one checkpoint, about.
    pub batch: i64,
}

impl Default for SequencerOptions {
    fn default() -> Self {
        Self {
            interval: Duration::from_millis(400),
            resign: TimeDelta::seconds(10),
            takeover: Duration::from_secs(2),
            batch: 10_000,
        }
    }
}

/// What the sequencer of a process is doing, for metrics.
#[derive(Debug, Default)]
pub struct Status {
    /// Whether this process is the sequencer.
    pub active: AtomicBool,
    /// Whether it refuses to sign: the database contradicts what was signed.
    pub refusing: AtomicBool,
    /// Leaves under the last checkpoint that it published.
    pub size: AtomicU64,
    /// When it published last, in seconds of the Unix epoch.
    pub published_at: AtomicI64,
    /// How old the oldest event of the last checkpoint was when it was published, in milliseconds.
    pub delay_millis: AtomicI64,
}

/// Where a tick stands. Tests stop it at each: a process can die anywhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Events were read.
    Read,
    /// They have numbers, and the tiles that they fill are kept.
    Appended,
    /// A checkpoint is signed.
    Signed,
    /// It is kept outside the database.
    Kept,
    /// It is published.
    Published,
}

/// What a tick did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tick {
    /// Events that got a number.
    pub taken: usize,
    /// Whether more wait.
    pub more: bool,
    /// Whether a checkpoint was published.
    pub published: bool,
}

/// Numbers events whenever this process holds the lock.
pub struct Sequencer {
    url: String,
    keys: LogKeys,
    kept: KeptCheckpoint,
    clock: SharedClock,
    options: SequencerOptions,
    witnesses: Witnesses,
    db: Db,
    status: Arc<Status>,
}

/// What a sequencer is made of.
pub struct SequencerParts {
    /// The database's URL, as the service's account.
    pub url: String,
    /// The service's connections, for what witnesses are shown and answer.
    pub db: Db,
    /// Who is asked to sign beside us.
    pub witnesses: Vec<Witness>,
    /// The keys that sign.
    pub keys: LogKeys,
    /// The directory that keeps the last signed checkpoint, outside the database.
    pub directory: PathBuf,
    /// Time.
    pub clock: SharedClock,
    /// What it is doing.
    pub status: Arc<Status>,
    /// How it works.
    pub options: SequencerOptions,
}

impl Sequencer {
    /// Makes a sequencer; it does nothing until [`run`](Self::run) or [`sit`](Self::sit).
    #[must_use]
    pub fn new(parts: SequencerParts) -> Self {
        let SequencerParts { url, db, witnesses, keys, directory, clock, status, options } = parts;
        let witnesses = Witnesses::new(witnesses, db.clone(), Arc::clone(&clock));
        let kept = KeptCheckpoint { directory };
        Self { url, keys, kept, clock, options, witnesses, db, status }
    }

    /// Numbers, signs and publishes until `shutdown` is ready, or waits to take over.
    ///
    /// Outlives the database: while it is away, the sequencer waits for it.
    pub async fn run(&self, shutdown: impl Future<Output = ()>) {
        let mut shutdown = pin!(shutdown);
        loop {
            let work = async {
                if let Err(error) = self.work().await {
                    tracing::error!(error = %crate::telemetry::chain(&error), "the log is not published");
                }
                tokio::time::sleep(self.options.takeover).await;
            };
            tokio::select! {
                biased;
                () = &mut shutdown => break,
                () = work => {}
            }
            self.status.active.store(false, Ordering::Relaxed);
        }
        self.status.active.store(false, Ordering::Relaxed);
    }

    /// Gives the witnesses that are asked.
    #[must_use]
    pub const fn witnesses(&self) -> &Witnesses {
        &self.witnesses
    }

    /// Works for as long as nothing fails; when another process holds the lock, looks at what that one publishes.
    async fn work(&self) -> Result<()> {
        let Some(mut seat) = self.sit().await? else { return self.follow().await };
        self.status.active.store(true, Ordering::Relaxed);
        tracing::info!(
            size = seat.edge.size(),
            origin = self.keys.name(),
            "this process is the sequencer"
        );
        loop {
            let tick = seat.tick(&|_| Ok(())).await?;
            if !tick.more {
                tokio::time::sleep(self.options.interval).await;
            }
        }
    }

    /// Keeps what another process has published, once it goes on from what is kept here: so that whichever process is the
    /// sequencer next knows what was signed, wherever it runs.
    ///
    /// # Errors
    /// [`Error::Internal`] when the database fails, or what is published does not go on: this process then refuses.
    pub async fn follow(&self) -> Result<()> {
        let mut conn = self.db.conn().await?;
        let Some(row) = log::find_latest(&mut conn).await? else { return Ok(()) };
        let verifiers = self.keys.verifiers();
        let published = note::open_checkpoint(&row.note, &verifiers)
            .map_err(|error| {
                Error::internal("the published checkpoint is not signed by our keys", error)
            })?
            .checkpoint;
        let kept = self.kept.read(&verifiers)?.map(|signed| signed.checkpoint);
        if kept
            .as_ref()
            .is_some_and(|kept| kept.size == published.size && kept.root == published.root)
        {
            return Ok(());
        }
        let size = log::size(&mut conn).await?;
        for known in kept.iter().chain([&published]) {
            let goes_on =
                known.size <= size && tree::edge(&mut conn, known.size).await?.root() == known.root;
            self.status.refusing.store(!goes_on, Ordering::Relaxed);
            if !goes_on {
                return Err(Error::bug(format!(
                    "what another process publishes does not go on from the {} events of a checkpoint that is kept here: \
                     the database was put back to an older state, or has a second history",
                    known.size
                )));
            }
        }
        self.kept.write(&row.note, published.size, &self.keys).await.map(drop)
    }

    /// Takes the lock and looks at what there is; `None` when another process holds it.
    ///
    /// # Errors
    /// [`Error::Internal`] when the database fails, or contradicts what was signed before: then nothing is signed.
    pub async fn sit(&self) -> Result<Option<Seat<'_>>> {
        let Some(mut writer) = LogWriter::open(&self.url).await? else { return Ok(None) };
        let checked = self.check(&mut writer).await;
        self.status.refusing.store(matches!(&checked, Ok(Err(_))), Ordering::Relaxed);
        let (edge, last) = checked??;
        let position = writer.position().await?;
        Ok(Some(Seat { sequencer: self, writer, position, edge, last }))
    }

    /// Reads the tree and holds it against the checkpoints that were published and kept. The inner error is a tree
    /// that must not be signed for.
    async fn check(&self, writer: &mut LogWriter) -> Result<Result<(Edge, Option<Last>)>> {
        let size = log::size(writer.reader()).await?;
        let edge = tree::edge(writer.reader(), size).await?;
        let published = log::find_latest(writer.reader()).await?;
        let kept = match self.kept.read(&self.keys.verifiers()) {
            Ok(kept) => kept,
            Err(error) => return Ok(Err(error)),
        };
        let mut known: Vec<(&str, u64, Vec<u8>)> = Vec::new();
        if let Some(row) = &published {
            known.push((
                "published",
                u64::try_from(row.size).unwrap_or_default(),
                row.root.clone(),
            ));
        }
        if let Some(checkpoint) = &kept {
            let SignedCheckpoint { checkpoint, .. } = checkpoint;
            known.push(("signed here", checkpoint.size, checkpoint.root.to_vec()));
        }
        for (what, known_size, root) in known {
            if known_size > size {
                return Ok(Err(Error::bug(format!(
                    "a checkpoint of {known_size} events was {what}, and the database has {size}: it was put back to \
                     an older state. Nothing is signed until the missing events are restored"
                ))));
            }
            if tree::edge(writer.reader(), known_size).await?.root() != root[..] {
                return Ok(Err(Error::bug(format!(
                    "the first {known_size} events are not those of the checkpoint that was {what}: signing would \
                     publish a second history. Nothing is signed; `propusk audit verify` names what differs"
                ))));
            }
        }
        let last = published
            .map(|row| Last { size: u64::try_from(row.size).unwrap_or_default(), at: row.at });
        Ok(Ok((edge, last)))
    }
}

/// The last published checkpoint.
#[derive(Debug, Clone, Copy)]
struct Last {
    size: u64,
    at: DateTime<Utc>,
}

/// The place of the one sequencer, for as long as it holds the lock.
pub struct Seat<'a> {
    sequencer: &'a Sequencer,
    writer: LogWriter,
    position: Position,
    edge: Edge,
    last: Option<Last>,
}

impl Seat<'_> {
    /// Takes a batch of what has committed, and signs and publishes when there is something new or it is time.
    ///
    /// `at` is told of each step, and may end the tick there as a crash would. After an error the seat is of no more
    /// use: what it remembers may not be what the database has.
    ///
    /// # Errors
    /// [`Error::Internal`] when the database fails or the checkpoint cannot be kept.
    pub async fn tick(&mut self, at: &(dyn Fn(Step) -> Result<()> + Sync)) -> Result<Tick> {
        let Sequencer { options, clock, status, .. } = self.sequencer;
        let pending = self.writer.pending(&self.position, options.batch).await?;
        at(Step::Read)?;
        let oldest = pending.leaves.iter().map(|leaf| leaf.at).min();
        let taken = pending.leaves.len();
        if taken > 0 || pending.more {
            self.append(pending.leaves, pending.position).await?;
            at(Step::Appended)?;
        } else if pending.position.open != self.position.open {
            // Only moves the memory on; the next batch writes it down.
            self.position = pending.position;
        }
        let now = clock.now();
        let due = self.last.is_none_or(|last| {
            let since = now.signed_duration_since(last.at);
            // Also when the clock was put back, or nobody would see for as long that the log lives.
            last.size != self.edge.size() || since >= options.resign || since < TimeDelta::zero()
        });
        if due {
            self.publish(now, at).await?;
            if let Some(oldest) = oldest {
                let delay = now.timestamp_millis() - oldest * 1000;
                status.delay_millis.store(delay, Ordering::Relaxed);
            }
        }
        Ok(Tick { taken, more: pending.more, published: due })
    }

    async fn append(
        &mut self,
        leaves: Vec<crate::domain::event::leaf::Leaf>,
        position: Position,
    ) -> Result<()> {
        let first = self.edge.size();
        let mut full = Vec::new();
        let events: Vec<_> = leaves.iter().map(|leaf| leaf.event).collect();
        for leaf in leaves {
            self.edge
                .push(leaf.encode(), &mut full)
                .map_err(|error| Error::internal("an event makes no leaf", error))?;
        }
        let tiles: Vec<NewTile> = full.into_iter().map(row).collect::<Result<_>>()?;
        self.writer.append(first, &events, &tiles, &position).await?;
        self.position = position;
        Ok(())
    }

    async fn publish(
        &mut self,
        now: DateTime<Utc>,
        at: &(dyn Fn(Step) -> Result<()> + Sync),
    ) -> Result<()> {
        let Sequencer { keys, kept, status, witnesses, .. } = self.sequencer;
        let checkpoint = Checkpoint {
            origin: keys.name().to_owned(),
            size: self.edge.size(),
            root: self.edge.root(),
        };
        let seconds = u64::try_from(now.timestamp()).unwrap_or_default();
        let note = keys
            .sign_checkpoint(&checkpoint, seconds)
            .map_err(|error| Error::internal("cannot sign the checkpoint", error))?;
        at(Step::Signed)?;
        if !kept.write(&note, checkpoint.size, keys).await? {
            return Err(Error::bug(
                "a larger checkpoint is kept here than the one to be published",
            ));
        }
        at(Step::Kept)?;
        let id = self.writer.publish(checkpoint.size, &checkpoint.root, now, &note).await?;
        at(Step::Published)?;
        self.last = Some(Last { size: checkpoint.size, at: now });
        status.size.store(checkpoint.size, Ordering::Relaxed);
        status.published_at.store(now.timestamp(), Ordering::Relaxed);
        witnesses.ask(id, checkpoint.size, &note);
        Ok(())
    }
}

fn row(tile: FullTile) -> Result<NewTile> {
    let level = match tile.level {
        Level::Entries => -1,
        Level::Hashes(level) => i16::from(level),
    };
    let index =
        i64::try_from(tile.index).map_err(|error| Error::internal("a tile beyond 2^63", error))?;
    Ok(NewTile { level, index, bytes: tile.bytes, root: tile.root })
}

/// Reads the checkpoint that a sequencer keeps in its directory; `None` when it has kept none.
///
/// # Errors
/// [`Error::Internal`] when it cannot be read, or is not one of this log.
pub fn kept(directory: &Path, keys: &[VerifierKey]) -> Result<Option<SignedCheckpoint>> {
    KeptCheckpoint { directory: directory.to_owned() }.read(keys)
}

/// The last checkpoint that was signed here, in a file.
#[derive(Clone)]
struct KeptCheckpoint {
    directory: PathBuf,
}

impl KeptCheckpoint {
    fn path(&self) -> PathBuf {
        self.directory.join("checkpoint")
    }

    fn read(&self, keys: &[VerifierKey]) -> Result<Option<SignedCheckpoint>> {
        let path = self.path();
        let text = match file::read_text(&path, LONGEST_NOTE) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => {
                return Err(Error::internal(format!("cannot read {}", path.display()), error));
            }
        };
        note::open_checkpoint(&text, keys).map(Some).map_err(
            |error| {
                Error::internal(
                    format!(
                        "{} does not hold a checkpoint of this log signed with one of its keys; nothing is signed until \
                         it is put right",
                        path.display()
                    ),
                    error,
                )
            },
        )
    }

    /// Writes it, so that it is on the disk when this returns; `false` when a larger one is kept already. Processes that
    /// share the directory take turns.
    async fn write(&self, note: &str, size: u64, keys: &LogKeys) -> Result<bool> {
        let (kept, note, keys) = (self.clone(), note.to_owned(), keys.verifiers());
        let written = tokio::task::spawn_blocking(move || {
            let failed = |error| Error::internal("cannot keep the last signed checkpoint", error);
            fs::create_dir_all(&kept.directory).map_err(failed)?;
            let lock = fs::File::create(kept.directory.join("lock")).map_err(failed)?;
            lock.lock().map_err(failed)?;
            if kept.read(&keys)?.is_some_and(|larger| larger.checkpoint.size > size) {
                return Ok(false);
            }
            file::replace(&kept.path(), note.as_bytes(), Readers::Everyone)
                .map(|()| true)
                .map_err(failed)
        });
        written
            .await
            .map_err(|error| Error::internal("keeping the checkpoint was interrupted", error))?
    }
}
