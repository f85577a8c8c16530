//! Compares the provider's statements with the ledger, as they come into a folder.
//!
//! Each file is looked at once, whatever it is called and however many workers look: its digest says which it is. What the
//! ledger lacks is taken as if the provider had told of it. No file is moved or removed: what is no statement stays, and is
//! named in the log.

use std::path::{Path, PathBuf};

use chrono::{DateTime, TimeDelta, Utc};
use sha2::{Digest as _, Sha256};

use crate::casework::Casework;
use crate::clock::SharedClock;
use crate::domain::fee::statement::Statement;
use crate::error::{Error, Result};
use crate::storage::Db;
use crate::storage::statements::{self, Outcome};
use crate::telemetry::chain;

/// How often the folder is looked through. A file that is still being written is refused as it is and taken when it is whole:
/// its digest is another one then.
const EVERY: TimeDelta = TimeDelta::minutes(10);

/// The largest file that is read.
const LARGEST: u64 = 64 * 1024 * 1024;

/// Looks a folder through.
pub struct Statements {
    db: Db,
    clock: SharedClock,
    casework: Casework,
    folder: PathBuf,
}

impl Statements {
    /// Makes what looks `folder` through.
    #[must_use]
    pub const fn new(db: Db, clock: SharedClock, casework: Casework, folder: PathBuf) -> Self {
        Self { db, clock, casework, folder }
    }

    /// Looks the folder through if it is time; `looked_at` is when it was last. Never fails: what goes wrong is logged.
    pub async fn go_on(&self, looked_at: &mut Option<DateTime<Utc>>) {
        let now = self.clock.now();
        if looked_at.is_some_and(|at| now < at + EVERY) {
            return;
        }
        *looked_at = Some(now);
        let files = match self.files() {
            Ok(files) => files,
            Err(error) => {
                tracing::error!(folder = %self.folder.display(), %error, "cannot look for statements");
                return;
            }
        };
        for file in files {
            if let Err(error) = self.take(&file).await {
                tracing::error!(file = %file.display(), error = %chain(&error), "cannot compare a statement");
            }
        }
    }

    fn files(&self) -> std::io::Result<Vec<PathBuf>> {
        let mut files = Vec::new();
        for entry in std::fs::read_dir(&self.folder)? {
            let entry = entry?;
            if entry.file_type()?.is_file() {
                files.push(entry.path());
            }
        }
        files.sort();
        Ok(files)
    }

    async fn take(&self, file: &Path) -> Result<()> {
        let unreadable = |error| Error::internal(format!("cannot read {}", file.display()), error);
        let size = tokio::fs::metadata(file).await.map_err(unreadable)?.len();
        if size > LARGEST {
            return Err(Error::bug(format!(
                "a statement has at most {LARGEST} bytes, it has {size}"
            )));
        }
        let bytes = tokio::fs::read(file).await.map_err(unreadable)?;
        let digest = Sha256::digest(&bytes);
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        let begun =
            statements::begin(&mut *self.db.conn().await?, &digest, &name, self.clock.now())
                .await?;
        if !begun {
            return Ok(());
        }
        let told;
        let outcome = match Statement::parse(&bytes) {
            Ok(statement) => {
                let done = self.casework.reconcile(&statement, true).await?;
                let comparison = &done.comparison;
                let differences = comparison.missing_in_ledger.len()
                    + comparison.missing_in_statement.len()
                    + comparison.differing.len()
                    + comparison.duplicates.len();
                let (booked, waiting) = (done.booked, done.waiting);
                if differences == 0 {
                    tracing::info!(%name, booked, waiting, "a statement and the ledger are alike");
                } else {
                    tracing::warn!(%name, booked, waiting, differences, "a statement and the ledger are not alike");
                }
                Outcome::Compared { booked, waiting, differences }
            }
            Err(error) => {
                told = error.to_string();
                tracing::error!(%name, error = told, "a file among the statements is none");
                Outcome::Refused { error: &told }
            }
        };
        statements::end(&mut *self.db.conn().await?, &digest, outcome).await
    }
}
