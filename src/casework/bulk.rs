//! Many applications at once: each by itself, through the same door, with an answer for each.
//!
//! A request is repeated safely at any point: every application has a key of its own that follows from the request's, so
//! what was done is answered again and what was not is done.

use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::{Answer, Ask, Casework, Idempotency, reused};
use crate::error::{Error, Result};
use crate::storage::applications as store;

/// How many applications one request can name.
pub const MAX_ITEMS: usize = 200;

/// What to do with each of them. There is no refusing of many at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Give it to an officer of the unit.
    Reassign {
        /// His account.
        to: Uuid,
    },
    /// End its lease.
    Release,
    /// Remind its applicant.
    Remind,
}

impl Casework {
    /// Does the same with each of some applications, one event each; gives what became of each, in their order.
    ///
    /// One that is refused stops none of the others.
    ///
    /// # Errors
    /// [`ErrorCode::IdempotencyKeyReused`](crate::error::ErrorCode::IdempotencyKeyReused) when the key was used with
    /// another request; [`Error::Internal`] when the database fails.
    pub async fn bulk(
        &self,
        ask: &Ask,
        action: &Action,
        reason: &str,
        applications: &[Uuid],
    ) -> Result<Vec<(Uuid, Result<Answer>)>> {
        let (Some(account), Some(idempotency)) = (ask.actor.account(), &ask.idempotency) else {
            return Err(Error::bug("a bulk request needs an account and an idempotency key"));
        };
        let known = store::begin_kept_answer(
            &mut self.db.conn().await?,
            account,
            &idempotency.key,
            &idempotency.fingerprint,
            self.clock.now(),
        )
        .await?;
        if !known {
            return Err(reused());
        }
        let digest = crate::storage::hex(&Sha256::digest(idempotency.key.as_bytes()));
        let nothing = |_: &super::Seen<'_>| Ok(String::new());
        let mut answers = Vec::with_capacity(applications.len());
        for id in applications {
            let ask = Ask {
                idempotency: Some(Idempotency {
                    key: format!("bulk:{digest}:{id}"),
                    fingerprint: idempotency.fingerprint,
                }),
                ..ask.clone()
            };
            let answer = match action {
                Action::Reassign { to } => self.reassign(&ask, *id, *to, reason, &nothing).await,
                Action::Release => self.release(&ask, *id, Some(reason), &nothing).await,
                Action::Remind => self.remind(&ask, *id, reason, &nothing).await,
            };
            answers.push((*id, answer));
        }
        Ok(answers)
    }
}
