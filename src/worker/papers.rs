//! Prints a paper: what stood in the application right after the event that calls for it, whenever that is done.

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use uuid::Uuid;

use super::{Handler, Outcome, Task, documents};
use crate::casework::Casework;
use crate::clock::SharedClock;
use crate::documents::{BlobStore, MediaType, PHOTO, print_copy};
use crate::domain::application::{Application, Decision};
use crate::domain::event::{Act, Change, Event, Job};
use crate::domain::form::{Form, Person};
use crate::domain::ground::Grounds;
use crate::domain::paper::{LatinName, PaperKind, bound_to};
use crate::domain::permit::PermitStatus;
use crate::domain::rules::Rulebook;
use crate::domain::workflow::definition::{CommandName, Definition, Texts};
use crate::domain::workflow::engine::Unit;
use crate::error::{Error, ErrorCode, Result};
use crate::papers::{self, Bilingual, DecisionLetter, PermitPaper, Printer};
use crate::permits::keys::PermitKeys;
use crate::permits::statement::Statement;
use crate::storage::applications::{self, Key, Wants};
use crate::storage::papers::{self as store, Kept, Paper};
use crate::storage::{Db, audit};
use crate::telemetry::chain;

/// What papers are printed with.
pub struct Press {
    /// The database.
    pub db: Db,
    /// When it is.
    pub clock: SharedClock,
    /// The rules.
    pub casework: Casework,
    /// Where photographs lie, and papers will.
    pub blobs: BlobStore,
    /// What signs the QR.
    pub keys: PermitKeys,
    /// How the world reaches the service.
    pub public_url: String,
}

/// Runs [`Job::MakePaper`].
pub struct PapersHandler {
    press: Press,
    printer: std::sync::Arc<Printer>,
}

/// What a paper is printed from.
struct Case<'a> {
    application: Application,
    event: &'a Event,
    unit: &'a Unit,
    definition: &'a Definition,
    rules: &'a Rulebook,
    signatory: String,
}

/// What is to be set.
enum Content {
    Permit(Box<PermitPaper>),
    Decision(Box<DecisionLetter>),
}

impl PapersHandler {
    /// Makes a handler.
    ///
    /// # Errors
    /// [`Error::Internal`] when the texts in the binary are broken.
    pub fn new(press: Press) -> Result<Self> {
        Ok(Self { press, printer: std::sync::Arc::new(Printer::new()?) })
    }

    async fn make(&self, application: Uuid, kind: PaperKind, event: Uuid) -> Result<()> {
        let Press { db, clock, blobs, .. } = &self.press;
        let mut conn = db.conn().await?;
        if store::standing(&mut conn, application, kind, event).await? != Kept::New {
            return Ok(());
        }
        let loaded = applications::find(&mut conn, Key::Id(application), Wants::default()).await?;
        let unit = loaded.ok_or_else(Error::not_found)?.unit;
        let mut events = audit::history(&mut conn, application).await?;
        // What came after it is another paper's.
        let at = events.iter().position(|one| one.id == event).ok_or_else(Error::not_found)?;
        events.truncate(at + 1);
        let event = &events[at];
        let signatory = match event.actor.account() {
            Some(account) => store::signatory(&mut conn, account).await?,
            None => None,
        };
        drop(conn);
        let replayed = Application::replay(application, &events)
            .map_err(|error| Error::internal("a history does not replay", error))?;
        let application = replayed.ok_or_else(Error::not_found)?;
        let rules = self.press.casework.rules();
        let definition = rules.definition(&application.track, application.workflow_version);
        let definition = definition.ok_or_else(|| Error::bug("a definition is not loaded"))?;
        let case = Case {
            application,
            event,
            unit: &unit,
            definition,
            rules: &rules,
            signatory: signatory.unwrap_or_default(),
        };
        let content = match kind {
            PaperKind::Permit => {
                let photo = self.photo(&case.application).await?;
                Content::Permit(Box::new(case.permit(&self.press, photo)?))
            }
            PaperKind::Decision => Content::Decision(Box::new(case.letter(&self.press)?)),
        };
        let (id, seq, event) = (case.application.id, event.seq, event.id);
        let pdf = self.set(content).await?;
        let digest = blobs.put(pdf.clone()).await?;
        let bytes = i64::try_from(pdf.len()).unwrap_or(i64::MAX);
        let made_at = clock.now();
        let paper =
            Paper { application: id, seq, kind, event, digest: digest.clone(), bytes, made_at };
        let kept = store::insert(&mut db.conn().await?, &paper).await?;
        match kept {
            // The same bytes may have been thrown away in between; see BlobStore::set_aside.
            Kept::New => blobs.put_again(&digest, pdf).await,
            // Another worker was quicker, or the person's data went meanwhile.
            Kept::Known | Kept::Erased => documents::delete(db, blobs, &digest).await,
        }
    }

    async fn set(&self, content: Content) -> Result<Vec<u8>> {
        let printer = std::sync::Arc::clone(&self.printer);
        let work = move || match content {
            Content::Permit(paper) => printer.permit(&paper),
            Content::Decision(letter) => printer.letter(&letter),
        };
        tokio::task::spawn_blocking(work)
            .await
            .map_err(|error| Error::internal("the printing of a paper broke off", error))?
    }

    /// Gives the photograph as it is printed. What was handed in before photographs were looked at may be none.
    async fn photo(&self, application: &Application) -> Result<Option<Vec<u8>>> {
        let photo = application.documents.iter().find(|document| document.kind == PHOTO);
        let Some(photo) = photo else { return Ok(None) };
        let bytes = self.press.blobs.get(&photo.digest).await?;
        let kind = MediaType::parse(&photo.media_type).unwrap_or(MediaType::Pdf);
        match print_copy(bytes, kind).await {
            Ok(jpeg) => Ok(Some(jpeg)),
            Err(error) if error.code() == ErrorCode::RuleRefused => {
                let application = application.id;
                tracing::warn!(%application, %error, "the permit is printed without a photograph");
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }
}

impl Case<'_> {
    fn permit(&self, press: &Press, photo: Option<Vec<u8>>) -> Result<PermitPaper> {
        let application = &self.application;
        let missing = || Error::bug("a permit to be printed lacks its holder or passport");
        let permit = application.permit.as_ref().ok_or_else(missing)?;
        let person = application.form.person.as_ref().ok_or_else(missing)?;
        let passport = application.form.passport.as_ref().ok_or_else(missing)?;
        let statement = Statement::of(application, self.unit.time_zone, &press.public_url);
        let on = self.event.at.with_timezone(&self.unit.time_zone).date_naive();
        let latin = LatinName::of(&application.form, &permit.holder_name, on);
        let code = application.form.occupation.as_ref().map(|one| one.code.as_str());
        Ok(PermitPaper {
            language: language(&application.form),
            title: both(&self.definition.title, &application.form),
            number: format!("{} {}", permit.number.series(), permit.number.number()),
            blank: application.valid_blank().map(|blank| blank.number.to_string()),
            photo,
            name: permit.holder_name.clone(),
            latin_of_passport: latin.of_passport,
            latin_name: latin.text,
            birth_date: person.birth_date,
            citizenship: person.citizenship.to_string(),
            passport: passport.number.to_string(),
            profession: permit.profession.as_ref().map(|title| match code {
                Some(code) => format!("{title} ({code})"),
                None => title.clone(),
            }),
            inn: person.inn.as_ref().map(ToString::to_string),
            employer: bound_to(&application.form, self.definition)
                .map(|employer| format!("{}, ИНН {}", employer.name, employer.inn)),
            territory: permit.territory.clone(),
            unit: self.unit.title.clone(),
            issued_on: permit.issued_on,
            paid_through: permit.paid_through,
            ends_on: permit.ends_on,
            issued_by: self.signatory.clone(),
            reference: application.reference.to_string(),
            code: statement.ok_or_else(missing)?.sign(&press.keys),
            check_at: format!("{}/v1/permits/{}", press.public_url, permit.number),
            at: self.event.at,
        })
    }

    fn letter(&self, press: &Press) -> Result<DecisionLetter> {
        let (application, event) = (&self.application, self.event);
        let no_decision = || Error::bug("an event to be told in a letter decides nothing");
        let decided = event.changes.iter().find_map(|change| match change {
            Change::Decided { decision } => Some(Some(decision)),
            Change::PermitEnded { status: PermitStatus::Annulled, .. } => Some(None),
            _ => None,
        });
        let (outcome, grounds, reason) = match decided.ok_or_else(no_decision)? {
            Some(Decision::Granted { .. }) => (papers::Outcome::Granted, None, None),
            Some(Decision::Refused { grounds, reason, .. }) => {
                let intake = event.act == Act::Command(CommandName::RefuseIntake);
                let outcome = match intake {
                    true => papers::Outcome::IntakeRefused,
                    false => papers::Outcome::Refused,
                };
                (outcome, Some(grounds), Some(reason))
            }
            None => {
                let proposal = application.proposal.as_ref();
                let (grounds, reason) = proposal.map(|one| (&one.grounds, &one.reason)).unzip();
                (papers::Outcome::Annulled, grounds, reason)
            }
        };
        let form = &application.form;
        let language = language(form);
        let wording = |code, language: &str| {
            self.rules.grounds.wording(code, language).unwrap_or_default().to_owned()
        };
        let annulled = application.permit.as_ref().filter(|_| outcome == papers::Outcome::Annulled);
        let state = self.definition.state(&event.to);
        Ok(DecisionLetter {
            outcome,
            unit: self.unit.title.clone(),
            reference: application.reference.to_string(),
            number: event.seq,
            on: event.at.with_timezone(&self.unit.time_zone).date_naive(),
            name: form.person.as_ref().map(Person::full_name).unwrap_or_default(),
            title: both(&self.definition.title, form),
            permit: annulled
                .map(|permit| format!("{} {}", permit.number.series(), permit.number.number())),
            basis: self.basis().unwrap_or_default().to_owned(),
            grounds: grounds
                .into_iter()
                .flat_map(Grounds::iter)
                .map(|code| {
                    let (official, own) = (wording(code, "ru"), wording(code, &language));
                    (code.to_string(), Bilingual { official, own })
                })
                .collect(),
            reason: reason.cloned(),
            next: state.and_then(|state| {
                let next = |language: &str| state.wording.get(language).map(|one| one.next.clone());
                let official = next("ru")?;
                Some(Bilingual {
                    own: next(&language).unwrap_or_else(|| official.clone()),
                    official,
                })
            }),
            look_at: format!("{}/v1/status/{}", press.public_url, application.reference),
            decided_by: self.signatory.clone(),
            at: event.at,
            language,
        })
    }

    /// Gives the article that allows the step.
    fn basis(&self) -> Option<&str> {
        let Act::Command(command) = self.event.act else { return None };
        let (from, to) = (&self.event.from, &self.event.to);
        let mut taken = self.definition.transitions_for(from, command);
        taken.find(|one| one.target(from) == to).map(|one| one.basis.as_str())
    }
}

fn language(form: &Form) -> String {
    form.contact.as_ref().map_or_else(|| "ru".to_owned(), |contact| contact.language.clone())
}

fn both(texts: &Texts, form: &Form) -> Bilingual {
    let official = texts.get("ru").cloned().unwrap_or_default();
    let own = texts.get(&language(form)).unwrap_or(&official).clone();
    Bilingual { official, own }
}

impl Handler for PapersHandler {
    fn run<'a>(&'a self, task: &'a Task) -> BoxFuture<'a, Outcome> {
        async move {
            let Job::MakePaper { application, paper, event } = task.job else {
                return Outcome::Fail("no job about a paper".to_owned());
            };
            match self.make(application, paper, event).await {
                Ok(()) => Outcome::Done,
                Err(error) => Outcome::Retry(chain(&error)),
            }
        }
        .boxed()
    }
}
