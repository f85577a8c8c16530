//! Sends a message and records what came of it.

use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use uuid::Uuid;

use super::{Handler, Outcome, Task};
use crate::clock::SharedClock;
use crate::domain::application::Application;
use crate::domain::event::Job;
use crate::domain::rules::Rulebook;
use crate::error::{Error, ErrorCode, Result};
use crate::notify::{Case, Composer, Mailer, NoEmail};
use crate::storage::Db;
use crate::storage::applications::{self, Key, Wants};
use crate::storage::messages::{self, MessageStatus, NewMessage};
use crate::telemetry::chain;

/// Where the mail handler reads applications.
pub trait CaseSource: Send + Sync + 'static {
    /// Loads the application as it stands, its definition and the title of its unit.
    fn load(&self, application: Uuid) -> BoxFuture<'_, Result<Case>>;
}

/// Reads applications from the database and their definitions from the rules in force.
pub struct StoredCases {
    db: Db,
    rules: Arc<Rulebook>,
}

impl StoredCases {
    /// Makes a source.
    #[must_use]
    pub fn new(db: Db, rules: Arc<Rulebook>) -> Self {
        Self { db, rules }
    }
}

impl CaseSource for StoredCases {
    fn load(&self, application: Uuid) -> BoxFuture<'_, Result<Case>> {
        async move {
            let mut conn = self.db.conn().await?;
            let loaded = applications::find(&mut conn, Key::Id(application), Wants::default())
                .await?
                .ok_or_else(Error::not_found)?;
            let Application { track, workflow_version, .. } = &loaded.application;
            let definition = self.rules.definition(track, *workflow_version).ok_or_else(|| {
                Error::bug(format!("there is no version {workflow_version} of {track}"))
            })?;
            Ok(Case {
                definition: Arc::new(definition.clone()),
                unit_title: loaded.unit.title,
                time_zone: loaded.unit.time_zone,
                application: loaded.application,
            })
        }
        .boxed()
    }
}

/// Runs [`Job::Mail`].
pub struct MailHandler {
    db: Db,
    clock: SharedClock,
    cases: Arc<dyn CaseSource>,
    composer: Composer,
    mailer: Mailer,
}

/// What came of an attempt, before it is recorded.
struct Ending<'a> {
    status: MessageStatus,
    language: &'a str,
    recipient: Option<&'a str>,
    provider_id: Option<&'a str>,
    error: Option<&'a str>,
}

impl MailHandler {
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

    async fn deliver(
        &self,
        task: &Task,
        application: Uuid,
        message: &str,
        event: Uuid,
    ) -> Result<Outcome> {
        // The process may have died between the server's answer and the end of the job.
        if messages::is_sent(&mut *self.db.conn().await?, &task.key).await? {
            return Ok(Outcome::Done);
        }
        let case = self.cases.load(application).await?;
        let contact = case.application.form.contact.as_ref();
        let mut ending = Ending {
            status: MessageStatus::Failed,
            language: contact.map_or("-", |contact| &contact.language),
            recipient: contact.map(|contact| contact.email.as_str()),
            provider_id: None,
            error: None,
        };
        let email = match self.composer.compose(&case, message, event, self.clock.now()) {
            Ok(email) => email,
            Err(NoEmail::Overtaken) => {
                ending.status = MessageStatus::Overtaken;
                self.record(task, application, message, &ending).await?;
                return Ok(Outcome::Done);
            }
            Err(NoEmail::Broken(error)) => return Err(error),
            Err(error @ (NoEmail::NoAddress | NoEmail::Unknown(_))) => {
                let reason = error.to_string();
                ending.error = Some(&reason);
                self.record(task, application, message, &ending).await?;
                return Ok(Outcome::Fail(reason));
            }
        };
        ending.language = email.language;
        // No connection to the database is held while the mail server takes its time.
        match self.mailer.send(&email).await {
            Ok(delivery) => {
                ending.status = MessageStatus::Sent;
                ending.provider_id = Some(&delivery.provider_id);
                self.record(task, application, message, &ending).await?;
                Ok(Outcome::Done)
            }
            Err(error) if error.permanent || task.last => {
                ending.error = Some(&error.reason);
                self.record(task, application, message, &ending).await?;
                Ok(Outcome::Fail(error.reason))
            }
            Err(error) => Ok(Outcome::Retry(error.reason)),
        }
    }

    async fn record(
        &self,
        task: &Task,
        application: Uuid,
        message: &str,
        ending: &Ending<'_>,
    ) -> Result<()> {
        let row = NewMessage {
            id: self.clock.new_id(),
            job_key: &task.key,
            application_id: application,
            message,
            language: ending.language,
            recipient: ending.recipient,
            status: ending.status.name(),
            provider_id: ending.provider_id,
            error: ending.error,
            attempts: task.attempt,
            at: self.clock.now(),
        };
        messages::insert(&mut *self.db.conn().await?, &row).await
    }
}

impl Handler for MailHandler {
    fn run<'a>(&'a self, task: &'a Task) -> BoxFuture<'a, Outcome> {
        async move {
            let Job::Mail { application, message, event } = &task.job else {
                return Outcome::Fail("no mail job".to_owned());
            };
            match self.deliver(task, *application, message, *event).await {
                Ok(outcome) => outcome,
                Err(error) if error.code() == ErrorCode::NotFound => Outcome::Fail(chain(&error)),
                Err(error) => Outcome::Retry(chain(&error)),
            }
        }
        .boxed()
    }
}
