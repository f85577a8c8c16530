//! Asks the configured witnesses for cosignatures, beside the publishing and never before it.
//!
//! One request a witness at a time: while it is under way, newer checkpoints pass by, and the next one is asked for from
//! where the witness is. So a witness that is slow or away delays nothing.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::task::JoinSet;

use super::client::{AskError, Witness};
use crate::audit::tree;
use crate::clock::SharedClock;
use crate::error::{Error, Result};
use crate::storage::Db;
use crate::storage::log;
use crate::telemetry::chain;

/// How often one checkpoint is shown to a witness that turns out to know another one.
const ATTEMPTS: usize = 3;

/// The witnesses of a log.
pub struct Witnesses {
    asked: Vec<Arc<Asked>>,
    under_way: Mutex<JoinSet<()>>,
    db: Db,
    clock: SharedClock,
}

/// A witness and what is known of it.
struct Asked {
    witness: Witness,
    /// Whether a request is under way.
    busy: AtomicBool,
    /// The size of the checkpoint that it cosigned last, as far as is known.
    known: AtomicU64,
    /// Whether it failed the last time: a change is logged, not each failure.
    failing: AtomicBool,
}

impl Witnesses {
    /// Makes the list; nobody is asked yet.
    #[must_use]
    pub fn new(witnesses: Vec<Witness>, db: Db, clock: SharedClock) -> Self {
        let asked = witnesses.into_iter().map(|witness| {
            Arc::new(Asked {
                witness,
                busy: AtomicBool::new(false),
                known: AtomicU64::new(0),
                failing: AtomicBool::new(false),
            })
        });
        Self { asked: asked.collect(), under_way: Mutex::default(), db, clock }
    }

    /// Shows the published checkpoint `id` of `size` leaves to every witness that is not busy; returns at once.
    pub fn ask(&self, id: i64, size: u64, note: &str) {
        let mut under_way = self.under_way.lock().unwrap_or_else(PoisonError::into_inner);
        while under_way.try_join_next().is_some() {}
        for asked in &self.asked {
            if asked.busy.swap(true, Ordering::AcqRel) {
                continue;
            }
            let (asked, db, clock) = (Arc::clone(asked), self.db.clone(), Arc::clone(&self.clock));
            let note = note.to_owned();
            under_way.spawn(async move {
                let outcome = asked.cosign(&db, &clock, id, size, &note).await;
                asked.tell(outcome);
                asked.busy.store(false, Ordering::Release);
            });
        }
    }
}

impl Witnesses {
    /// Waits until every witness that was asked has answered, or was given up. For tests.
    pub async fn settled(&self) {
        let under_way =
            std::mem::take(&mut *self.under_way.lock().unwrap_or_else(PoisonError::into_inner));
        under_way.join_all().await;
    }
}

impl Asked {
    async fn cosign(
        self: &Arc<Self>,
        db: &Db,
        clock: &SharedClock,
        id: i64,
        size: u64,
        note: &str,
    ) -> Result<()> {
        for _ in 0..ATTEMPTS {
            let old = self.known.load(Ordering::Relaxed);
            if old > size {
                tracing::error!(
                    witness = self.witness.key().name(),
                    "has cosigned {old} leaves of this log, and there are {size}: the database was put back to an older \
                     state, or another service signs with the same key"
                );
                return Err(Error::bug("the witness knows a larger log"));
            }
            let proof = tree::consistency(&mut *db.conn().await?, old, size).await?;
            let (asked, note) = (Arc::clone(self), note.to_owned());
            let answer = tokio::task::spawn_blocking(move || asked.witness.ask(old, &proof, &note));
            let answer = answer
                .await
                .map_err(|error| Error::internal("asking the witness was interrupted", error))?;
            match answer {
                Ok(line) => {
                    self.known.store(size, Ordering::Relaxed);
                    let name = self.witness.key().name();
                    let mut conn = db.conn().await?;
                    return log::insert_cosignature(&mut conn, id, name, &line, clock.now()).await;
                }
                Err(AskError::Known { size }) => self.known.store(size, Ordering::Relaxed),
                Err(error) => return Err(Error::internal("no cosignature", error)),
            }
        }
        Err(Error::bug("the witness names another size each time it is asked"))
    }

    fn tell(&self, outcome: Result<()>) {
        let witness = self.witness.key().name();
        match outcome {
            Ok(()) => {
                if self.failing.swap(false, Ordering::Relaxed) {
                    tracing::info!(witness, "the witness cosigns again");
                }
            }
            Err(error) => {
                if !self.failing.swap(true, Ordering::Relaxed) {
                    tracing::warn!(witness, error = %chain(&error), "the witness does not cosign");
                }
            }
        }
    }
}
