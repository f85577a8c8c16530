//! The demo's applications: some three hundred over the last months, made by the same commands as real ones.
//!
//! `story` plans who does what and when; here it is done, day by day, each application under a clock of its own
//! that shows the time of the step. Deadlines pass at midnight, as they do in service: the worker runs the jobs of
//! each day under the clock of that day, and so sends the mail into the demo's directory, too. What is told is the
//! same on every machine; only numbers from the database's sequences can differ.

mod names;
mod story;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use chrono::{DateTime, Days, TimeDelta, Utc};
use futures_util::{StreamExt as _, TryStreamExt as _};
use uuid::Uuid;

use self::story::{Act, Applicant, OFFICERS, Step, Story, local, midnight};
use super::people::{self, ACCOUNTS};
use crate::app::{self, App};
use crate::auth;
use crate::casework::{Ask, Casework, Seen};
use crate::clock::{Clock, FixedClock};
use crate::documents::PHOTO;
use crate::domain::actor::{Actor, Role};
use crate::domain::application::{Application, Document, InformationKind};
use crate::domain::checks::{Outcome, supported_grounds};
use crate::domain::fee::Payment;
use crate::domain::form::Person;
use crate::domain::ground::Grounds;
use crate::domain::workflow::command::{Answer, Command, RequestedItem};
use crate::domain::workflow::definition::{CommandName, Consequence};
use crate::error::{Error, Result};
use crate::storage::accounts::{self, NewAccount};
use crate::storage::applications;
use crate::storage::events::PlainEvent;

/// A document as small as one can be that the upload rules take.
pub const PDF: &[u8] =
    b"%PDF-1.4\n1 0 obj\n<< /Type /Catalog >>\nendobj\ntrailer << /Root 1 0 R >>\n%%EOF\n";

/// A photograph of nobody.
pub const PORTRAIT: &[u8] = include_bytes!("seed/portrait.png");

/// Gives what is handed in as a document of this kind, and its media type.
#[must_use]
pub fn document(kind: &str) -> (&'static [u8], &'static str) {
    if kind == PHOTO { (PORTRAIT, "image/png") } else { (PDF, "application/pdf") }
}

/// Applications worked on at the same time.
const AT_ONCE: usize = 8;

/// Jobs run at the same time.
const WORKERS: usize = 4;

/// How many days the stories go back.
const DAYS: u64 = 300;

/// Gives the instant that the data ends with: `now`, as far as there are rates for it.
fn end(now: DateTime<Utc>) -> DateTime<Utc> {
    // The last day of which every rate is known.
    now.min(
        midnight(chrono::NaiveDate::from_ymd_opt(2027, 1, 1).unwrap_or_default())
            - TimeDelta::hours(6),
    )
}

/// Makes the applications up to `now`; `clock` is the app's own. Tells `progress` of each month.
///
/// # Errors
/// [`Error::Internal`] naming the story and the step that did not go as planned.
pub async fn sow(
    app: &App,
    clock: &FixedClock,
    now: DateTime<Utc>,
    progress: &dyn Fn(&str),
) -> Result<usize> {
    let now = end(now);
    let earliest = chrono::NaiveDate::from_ymd_opt(2026, 1, 5).unwrap_or_default();
    let start = (now - Days::new(DAYS)).max(midnight(earliest)).min(now);
    clock.set(start);
    let stories = story::plan(&app.casework.rules(), start, now)?;
    let cast = Cast::gather(app, &stories).await?;
    let digests = [app.blobs.put(PDF).await?, app.blobs.put(PORTRAIT).await?];
    let mut cases = Vec::new();
    let mut days: BTreeMap<_, BTreeMap<usize, Vec<Step>>> = BTreeMap::new();
    for (number, story) in stories.iter().enumerate() {
        for step in &story.steps {
            let day = days.entry(local(step.at)).or_default();
            day.entry(number).or_default().push(*step);
        }
        cases.push(Case::new(app, story, number, &digests));
    }
    let worker = app::worker(app)?;
    let mut month = String::new();
    let mut day = local(start);
    while day <= local(now) {
        let name = day.format("%B %Y").to_string();
        if name != month {
            progress(&format!("filling the office: {name}"));
            month = name;
        }
        clock.set(midnight(day).max(start));
        run_jobs(&worker).await?;
        let steps = days.remove(&day).unwrap_or_default();
        futures_util::stream::iter(steps)
            .map(|(number, steps)| {
                let (case, cast) = (&cases[number], &cast);
                async move {
                    for step in steps {
                        case.take(&step, cast).await.map_err(|error| {
                            let what = format!("story {number}, {:?} at {}", step.act, step.at);
                            Error::internal(format!("the seed does not come up: {what}"), error)
                        })?;
                    }
                    Ok::<_, Error>(())
                }
            })
            .buffer_unordered(AT_ONCE)
            .try_collect::<()>()
            .await?;
        day = day + Days::new(1);
    }
    clock.set(now);
    run_jobs(&worker).await?;
    Ok(stories.len())
}

/// Gives the public reference of the latest application of the demo's own migrant.
///
/// # Errors
/// [`Error::Internal`] when the database fails.
pub async fn a_reference(app: &App) -> Result<Option<String>> {
    let migrant = accounts::find_by_email(&app.db, &ACCOUNTS[0].email()).await?;
    let Some(migrant) = migrant else { return Ok(None) };
    let mut conn = app.db.conn().await?;
    let own = applications::list_of_applicant(&mut conn, migrant.account.id, None, 1).await?;
    Ok(own.into_iter().next().map(|one| one.reference))
}

async fn run_jobs(worker: &crate::worker::Worker) -> Result<()> {
    let drains = (0..WORKERS).map(|_| worker.drain());
    for report in futures_util::future::try_join_all(drains).await? {
        if let Some((job, reason)) = report.dead.first().or_else(|| report.retried.first()) {
            return Err(Error::bug(format!("the seed does not come up: job {job}: {reason}")));
        }
    }
    Ok(())
}

/// Everybody who acts.
struct Cast {
    /// By story, for those in which the worker applies himself.
    workers: BTreeMap<usize, Uuid>,
    rustam: Uuid,
    companies: Vec<Uuid>,
    officers: BTreeMap<&'static str, Vec<Uuid>>,
    seniors: BTreeMap<&'static str, Uuid>,
}

impl Cast {
    /// Adds the accounts that are still needed. Nobody knows the password of these.
    async fn gather(app: &App, stories: &[Story]) -> Result<Self> {
        let mut secret = [0; 32];
        app.clock.fill(&mut secret);
        let secret: String = secret.iter().map(|byte| format!("{byte:02x}")).collect();
        let hash = app.passwords.hash(secret, [26; 16]).await?;
        let known = |login: &'static str| async move {
            let account = ACCOUNTS.iter().find(|one| one.login == login);
            let email = account.map(people::DemoAccount::email).unwrap_or_default();
            let found = accounts::find_by_email(&app.db, &email).await?;
            found.map(|one| one.account.id).ok_or_else(|| Error::bug("an account is missing"))
        };
        let add = |login: String, name: String, role: Role, unit: Option<&'static str>| {
            add(app, login, name, role, unit, hash.clone())
        };
        let mut officers: BTreeMap<&'static str, Vec<Uuid>> = BTreeMap::new();
        let mut seniors = BTreeMap::new();
        for account in ACCOUNTS {
            let Some(unit) = account.unit else { continue };
            let id = known(account.login).await?;
            if account.role == Role::Officer {
                officers.entry(unit).or_default().push(id);
            } else {
                seniors.insert(unit, id);
            }
        }
        let mut colleagues =
            ["Ольга Титова", "Павел Жуков", "Нина Ершова", "Олег Фомин", "Юлия Белова"].into_iter();
        for (unit, _) in people::UNITS {
            let own = officers.entry(unit).or_default();
            while own.len() < OFFICERS {
                let name = colleagues.next().unwrap_or("Коллега").to_owned();
                let login = format!("officer{unit}-{}", own.len() + 1);
                own.push(add(login, name, Role::Officer, Some(unit)).await?);
            }
            if let std::collections::btree_map::Entry::Vacant(place) = seniors.entry(unit) {
                let (login, name) = (format!("senior{unit}"), "Софья Громова".to_owned());
                place.insert(add(login, name, Role::SeniorOfficer, Some(unit)).await?);
            }
        }
        let mut companies = vec![known("employer").await?];
        for (number, (name, _)) in names::COMPANIES.iter().enumerate().skip(1) {
            let login = format!("company{number}");
            companies.push(add(login, (*name).to_owned(), Role::Employer, None).await?);
        }
        let workers = futures_util::stream::iter(stories.iter().enumerate())
            .filter(|(_, story)| std::future::ready(story.applicant == Applicant::Worker))
            .map(|(number, story)| {
                let name = story.form.person.as_ref().map(Person::full_name).unwrap_or_default();
                let adding = add(format!("worker{number}"), name, Role::Migrant, None);
                async move { adding.await.map(|id| (number, id)) }
            })
            .buffer_unordered(AT_ONCE)
            .try_collect()
            .await?;
        Ok(Self { workers, rustam: known("migrant").await?, companies, officers, seniors })
    }
}

async fn add(
    app: &App,
    login: String,
    name: String,
    role: Role,
    unit: Option<&'static str>,
    password_hash: String,
) -> Result<Uuid> {
    let account = NewAccount {
        id: app.clock.new_id(),
        email: format!("{login}@demo.propusk.example"),
        name,
        role,
        unit: unit.map(str::to_owned),
        password_hash,
        created_at: app.clock.now(),
    };
    let content = serde_json::json!({ "account": account.id, "role": account.role });
    let event = PlainEvent::now(&*app.clock, "accountAdded", auth::OPERATOR, content)
        .in_unit(account.unit.clone());
    accounts::insert(&app.db, &account, &event).await?;
    Ok(account.id)
}

/// One story as it goes on.
struct Case<'a> {
    number: usize,
    story: &'a Story,
    /// Of what is handed in: papers, and the photograph.
    digests: &'a [String; 2],
    clock: Arc<FixedClock>,
    casework: Casework,
    /// As the last step left it.
    seen: Mutex<Option<Application>>,
}

impl<'a> Case<'a> {
    fn new(app: &App, story: &'a Story, number: usize, digests: &'a [String; 2]) -> Self {
        let clock = Arc::new(FixedClock::new(DateTime::UNIX_EPOCH, 2026 + number as u64));
        let shared: Arc<dyn Clock> = clock.clone();
        let casework = Casework::new(
            app.db.clone(),
            app.casework.rules(),
            shared,
            TimeDelta::minutes(30),
            Arc::new(|| ()),
        );
        Self { number, story, digests, clock, casework, seen: Mutex::default() }
    }

    fn application(&self) -> Result<Application> {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.clone().ok_or_else(|| Error::bug("it was not opened"))
    }

    async fn take(&self, step: &Step, cast: &Cast) -> Result<()> {
        self.clock.set(step.at);
        let story = self.story;
        let keep = |seen: &Seen<'_>| {
            *self.seen.lock().unwrap_or_else(PoisonError::into_inner) =
                Some(seen.application.clone());
            Ok(String::new())
        };
        let applicant = match story.applicant {
            Applicant::Rustam => Some(cast.rustam),
            Applicant::Worker => cast.workers.get(&self.number).copied(),
            Applicant::Company(number) => cast.companies.get(number).copied(),
        };
        let applicant = user(applicant, story.role, None)?;
        let officer = |number: usize| {
            let officers = cast.officers.get(story.unit);
            let id = officers.and_then(|all| all.get(number)).copied();
            user(id, Role::Officer, Some(story.unit))
        };
        let senior =
            || user(cast.seniors.get(story.unit).copied(), Role::SeniorOfficer, Some(story.unit));
        if step.act == Act::Open {
            let form = story.form.clone();
            self.casework.open(&applicant, &story.track, story.unit, form, &keep).await?;
            return Ok(());
        }
        let application = self.application()?;
        let (who, command) = match step.act {
            Act::Open => return Ok(()),
            Act::Attach => {
                for kind in self.required_documents(&application) {
                    let (bytes, media_type) = document(&kind);
                    let document = Document {
                        digest: self.digests[usize::from(kind == PHOTO)].clone(),
                        kind,
                        size: bytes.len() as u64,
                        media_type: media_type.to_owned(),
                        attached_at: step.at,
                    };
                    self.casework.attach(&applicant, application.id, &document, &keep).await?;
                }
                return Ok(());
            }
            Act::Pay => {
                for charge in
                    application.charges.iter().filter(|one| one.outstanding().kopecks() > 0)
                {
                    let payment = Payment {
                        provider_id: format!("provider:seed-{}", charge.uin),
                        uin: Some(charge.uin.clone()),
                        amount: charge.outstanding(),
                        paid_at: step.at,
                        payer: None,
                        ..Payment::default()
                    };
                    self.casework.receive(&payment).await?;
                }
                return Ok(());
            }
            Act::Clear(by, but) => {
                let (open, answered): (Vec<_>, Vec<_>) =
                    application.checks.iter().partition(|check| check.finding.is_none());
                let count = open.len().saturating_sub(but);
                // Two people of the demo can be alike by chance; an officer tells them apart.
                let alike = answered.into_iter().filter(|check| {
                    check.finding.as_ref().is_some_and(|found| {
                        found.answered_by.is_none() && found.outcome == Outcome::Hit
                    })
                });
                for check in open.into_iter().take(count).chain(alike) {
                    let command = Command::RecordFinding {
                        check: check.id.clone(),
                        outcome: Outcome::Clear,
                        reason: None,
                        note: None,
                        digest: None,
                    };
                    self.casework.execute(&officer(by)?, application.id, &command, &keep).await?;
                }
                return Ok(());
            }
            Act::Submit => (applicant, Command::Submit),
            Act::Withdraw => (applicant, Command::Withdraw { reason: None }),
            Act::Accept(by) => (officer(by)?, Command::Accept),
            Act::RefuseIntake(by) => {
                let (grounds, reason) = self.grounds(&application, CommandName::RefuseIntake)?;
                (officer(by)?, Command::RefuseIntake { grounds, reason })
            }
            Act::Hit(by) => {
                let check = application.checks.iter().rfind(|check| check.finding.is_none());
                let check = check.ok_or_else(|| Error::bug("every check has its answer"))?;
                let note = Some("Ответ реестра от сегодняшнего дня.".to_owned());
                let (check, outcome) = (check.id.clone(), Outcome::Hit);
                let rules = self.casework.rules();
                let reason = rules
                    .definition(&application.track, application.workflow_version)
                    .and_then(|definition| definition.check(&check))
                    .and_then(|rule| {
                        rule.reasons.iter().find(|one| one.means == Consequence::Refuse)
                    })
                    .map(|reason| reason.id.clone());
                let digest = None;
                (officer(by)?, Command::RecordFinding { check, outcome, reason, note, digest })
            }
            Act::Override => {
                let hit = application.checks.iter().find(|check| {
                    check.finding.as_ref().is_some_and(|one| one.outcome == Outcome::Hit)
                });
                let check = hit.ok_or_else(|| Error::bug("there is no hit"))?.id.clone();
                let reason = "Однофамилец: дата рождения не совпадает.".to_owned();
                (senior()?, Command::OverrideFinding { check, reason })
            }
            Act::Ask(by) => {
                let subject = self.required_documents(&application).pop().unwrap_or_default();
                let item = RequestedItem {
                    kind: InformationKind::Document,
                    subject,
                    reason: "Копия не читается, приложите более чёткую.".to_owned(),
                    due_on: local(step.at) + Days::new(10),
                    check: None,
                    document: None,
                    field: None,
                };
                (officer(by)?, Command::RequestInformation { items: vec![item] })
            }
            Act::Answer => {
                let answers = application.information.iter().filter(|item| item.is_open());
                let text = "Приложил новую копию.".to_owned();
                let answers = answers
                    .map(|item| Answer { item: item.item, text: text.clone(), form: None })
                    .collect();
                (applicant, Command::AnswerInformation { answers })
            }
            Act::Grant(by) => (officer(by)?, Command::Grant),
            Act::Refuse(by) => {
                let (grounds, reason) = self.grounds(&application, CommandName::Refuse)?;
                (officer(by)?, Command::Refuse { grounds, reason })
            }
            Act::HandOver(by) => (officer(by)?, Command::HandOver),
            Act::Propose(by) => {
                let (grounds, reason) =
                    self.grounds(&application, CommandName::ProposeAnnulment)?;
                (officer(by)?, Command::ProposeAnnulment { grounds, reason })
            }
            Act::Confirm => (senior()?, Command::ConfirmAnnulment),
            Act::Reject => {
                let reason = "Копия договора поступила в срок.".to_owned();
                (senior()?, Command::RejectAnnulment { reason })
            }
        };
        self.casework.execute(&who, application.id, &command, &keep).await.map(drop)
    }

    fn required_documents(&self, application: &Application) -> Vec<String> {
        let rules = self.casework.rules();
        let definition = rules.definition(&application.track, application.workflow_version);
        let documents = definition.map(|one| one.documents.as_slice()).unwrap_or_default();
        documents.iter().filter(|one| one.required).map(|one| one.id.clone()).collect()
    }

    /// Gives the ground that the findings support, or else one of those that the track lists for a command, with its
    /// wording as the reason.
    fn grounds(
        &self,
        application: &Application,
        command: CommandName,
    ) -> Result<(Grounds, String)> {
        let rules = self.casework.rules();
        let definition = rules.definition(&application.track, application.workflow_version);
        let mut codes: Vec<_> = definition
            .filter(|_| command == CommandName::Refuse)
            .map(|definition| supported_grounds(definition, &application.checks))
            .unwrap_or_default();
        if codes.is_empty() {
            let listed = definition
                .into_iter()
                .flat_map(|definition| &definition.transitions)
                .filter(|transition| transition.command == command)
                .flat_map(|transition| &transition.grounds);
            codes = listed.cloned().collect();
            if let Some(definition) = definition
                && command == CommandName::ProposeAnnulment
            {
                // What follows from a duty can be named only while that is overdue.
                codes.retain(|code| !definition.permit.duties.iter().any(|one| one.follows(code)));
            }
        }
        let code = codes
            .get(self.number % codes.len().max(1))
            .ok_or_else(|| Error::bug("the track lists no grounds"))?;
        let reason = rules.grounds.wording(code, "ru").unwrap_or_default().to_owned();
        let grounds = Grounds::new(vec![code.clone()]);
        Ok((grounds.ok_or_else(|| Error::bug("no ground"))?, reason))
    }
}

fn user(id: Option<Uuid>, role: Role, unit: Option<&str>) -> Result<Ask> {
    let id = id.ok_or_else(|| Error::bug("nobody plays this part"))?;
    let actor = Actor::User { id, role, unit: unit.map(str::to_owned) };
    Ok(Ask { actor, if_match: None, idempotency: None })
}
