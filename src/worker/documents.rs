//! Deletes the bytes of documents that belonged to an application that was erased.

use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use super::{Handler, Outcome, Task};
use crate::documents::BlobStore;
use crate::domain::event::Job;
use crate::error::Result;
use crate::storage::{Db, erasure};
use crate::telemetry::chain;

/// Runs [`Job::DeleteDocuments`].
pub struct DocumentsHandler {
    db: Db,
    blobs: BlobStore,
}

impl DocumentsHandler {
    /// Makes a handler.
    #[must_use]
    pub fn new(db: Db, blobs: BlobStore) -> Self {
        Self { db, blobs }
    }
}

/// Deletes what nobody refers to: somebody else may have handed the same bytes in since.
pub(super) async fn delete(db: &Db, blobs: &BlobStore, digest: &str) -> Result<()> {
    // Looked at once it is out of the way: see BlobStore::set_aside.
    let Some(aside) = blobs.set_aside(digest).await? else { return Ok(()) };
    match is_referred_to(db, digest).await {
        Ok(false) => aside.remove().await,
        Ok(true) => aside.put_back().await,
        Err(error) => aside.put_back().await.and(Err(error)),
    }
}

async fn is_referred_to(db: &Db, digest: &str) -> Result<bool> {
    erasure::is_referred_to(&mut *db.conn().await?, digest).await
}

impl Handler for DocumentsHandler {
    fn run<'a>(&'a self, task: &'a Task) -> BoxFuture<'a, Outcome> {
        async move {
            let Job::DeleteDocuments { digests, .. } = &task.job else {
                return Outcome::Fail("no job to delete documents".to_owned());
            };
            for digest in digests {
                if let Err(error) = delete(&self.db, &self.blobs, digest).await {
                    return Outcome::Retry(chain(&error));
                }
            }
            Outcome::Done
        }
        .boxed()
    }
}
