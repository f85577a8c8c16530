//! Tells the office: the holder of an application and the senior officers of its unit.

use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use uuid::Uuid;

use super::mail::CaseSource;
use super::{Handler, Outcome, Task};
use crate::clock::SharedClock;
use crate::domain::event::{Alert, Job};
use crate::error::{ErrorCode, Result};
use crate::notify::{Composer, Mailer, NoEmail};
use crate::storage::messages::{self, MessageStatus, NewMessage};
use crate::storage::{Db, accounts};
use crate::telemetry::chain;

/// The language of the office.
const LANGUAGE: &str = "ru";

/// Runs [`Job::Alert`].
pub struct AlertHandler {
    db: Db,
    clock: SharedClock,
    cases: Arc<dyn CaseSource>,
    composer: Composer,
    mailer: Mailer,
}

impl AlertHandler {
    /// Makes a handler.
    #[must_use]
    pub fn new(
        db: Db,
        clock: SharedClock,
        cases: Arc<dyn CaseSource>,
        composer: Composer,
        mailer: Mailer,
    ) -> Self {
        Self { db, clock, cases, composer, mailer }
    }

    /// Tells each who was not told yet, so that a repeated attempt tells nobody twice.
    async fn tell(
        &self,
        task: &Task,
        application: Uuid,
        alert: Alert,
        event: Uuid,
    ) -> Result<Outcome> {
        let case = self.cases.load(application).await?;
        let holder = case.application.claim_at(self.clock.now()).map(|claim| claim.by);
        let unit = case.application.unit.clone();
        let staff = accounts::list_alerted(&self.db, &unit, holder).await?;
        let mut failed: Option<String> = None;
        for (account, address) in staff {
            let key = format!("{}:{account}", task.key);
            if messages::is_sent(&mut *self.db.conn().await?, &key).await? {
                continue;
            }
            let now = self.clock.now();
            let email = match self.composer.alert(
                &case,
                alert,
                (account, &address),
                LANGUAGE,
                event,
                now,
            ) {
                Ok(email) => email,
                // Decided meanwhile: there is nothing to warn of.
                Err(NoEmail::Overtaken) => return Ok(Outcome::Done),
                Err(NoEmail::Broken(error)) => return Err(error),
                Err(other) => return Ok(Outcome::Fail(other.to_string())),
            };
            let sent = self.mailer.send(&email).await;
            let (status, provider_id, error) = match &sent {
                Ok(delivery) => (MessageStatus::Sent, Some(delivery.provider_id.as_str()), None),
                Err(error) => (MessageStatus::Failed, None, Some(error.reason.as_str())),
            };
            let row = NewMessage {
                id: self.clock.new_id(),
                job_key: &key,
                application_id: application,
                message: alert.name(),
                language: email.language,
                recipient: Some(&address),
                status: status.name(),
                provider_id,
                error,
                attempts: task.attempt,
                at: now,
            };
            messages::insert(&mut *self.db.conn().await?, &row).await?;
            // One address that is refused keeps nobody else from being told.
            if let Err(error) = sent
                && !error.permanent
            {
                failed = Some(error.reason);
            }
        }
        Ok(failed.map_or(Outcome::Done, Outcome::Retry))
    }
}

impl Handler for AlertHandler {
    fn run<'a>(&'a self, task: &'a Task) -> BoxFuture<'a, Outcome> {
        async move {
            let Job::Alert { application, alert, event } = task.job else {
                return Outcome::Fail("no alert".to_owned());
            };
            match self.tell(task, application, alert, event).await {
                Ok(outcome) => outcome,
                Err(error) if error.code() == ErrorCode::NotFound => Outcome::Fail(chain(&error)),
                Err(error) => Outcome::Retry(chain(&error)),
            }
        }
        .boxed()
    }
}
