//! An office on a database of its own: rules, three units, an account for every role, and the door.

use std::sync::Arc;

use chrono::{DateTime, NaiveDate, TimeDelta, TimeZone, Utc};
use diesel_async::{AsyncConnection, AsyncPgConnection, SimpleAsyncConnection};
use propusk::auth::OPERATOR;
use propusk::casework::{Answer, Ask, Casework, Idempotency, Seen};
use propusk::clock::{Clock, FixedClock};
use propusk::domain::actor::{Actor, Role};
use propusk::domain::application::{Application, Document};
use propusk::domain::checks::Outcome;
use propusk::domain::event::Event;
use propusk::domain::fee::Payment;
use propusk::domain::form::{
    Contact, Contract, Employer, Entry, Form, Occupation, Passport, Person, SalaryPeriod,
};
use propusk::domain::identity::{CountryCode, EmailAddress, Inn, PassportNumber, Sex};
use propusk::domain::rules::Rulebook;
use propusk::domain::workflow::command::Command;
use propusk::domain::workflow::embedded::FILES;
use propusk::error::Result;
use propusk::storage::audit::history;
use propusk::storage::{Db, DbOptions, migrate};
use uuid::Uuid;

use super::db::TestDatabase;

/// The instant at which every test begins: a working Tuesday at noon in Moscow.
pub fn start() -> DateTime<Utc> {
    Utc.with_ymd_and_hms(2026, 3, 10, 9, 0, 0).unwrap()
}

/// The rules that ship with the binary.
pub fn rulebook() -> Arc<Rulebook> {
    let files: Vec<(String, String)> =
        FILES.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned())).collect();
    Arc::new(Rulebook::parse(&files).unwrap())
}

/// An account that a test acts as.
#[derive(Debug, Clone)]
pub struct Colleague {
    pub id: Uuid,
    pub role: Role,
    pub unit: Option<&'static str>,
}

impl Colleague {
    pub fn actor(&self) -> Actor {
        Actor::User { id: self.id, role: self.role, unit: self.unit.map(str::to_owned) }
    }

    pub fn ask(&self) -> Ask {
        Ask { actor: self.actor(), if_match: None, idempotency: None }
    }

    pub fn ask_with_key(&self, key: &str) -> Ask {
        let idempotency = Some(Idempotency { key: key.to_owned(), fingerprint: [7; 32] });
        Ask { actor: self.actor(), if_match: None, idempotency }
    }
}

pub struct Office {
    pub database: TestDatabase,
    pub db: Db,
    pub clock: Arc<FixedClock>,
    pub rules: Arc<Rulebook>,
    pub casework: Casework,
    pub migrant: Colleague,
    pub employer: Colleague,
    pub anna: Colleague,
    pub boris: Colleague,
    pub senior: Colleague,
    pub vera: Colleague,
    pub auditor: Colleague,
}

/// What a test reads of an application after a change.
#[derive(Debug, Clone)]
pub struct Now {
    pub application: Application,
}

impl Office {
    pub async fn open() -> Self {
        let database = TestDatabase::new().await;
        let clock = Arc::new(FixedClock::new(start(), 7));
        let rules = rulebook();
        let mut owner = AsyncPgConnection::establish(database.url()).await.unwrap();
        let dice = FixedClock::new(start(), 1);
        migrate::register(database.url(), &rules, &dice, OPERATOR).await.unwrap();
        owner
            .batch_execute(
                "INSERT INTO units VALUES ('77', 'Moscow', '77', 'Europe/Moscow'), \
                 ('78', 'St Petersburg', '78', 'Europe/Moscow') ON CONFLICT DO NOTHING",
            )
            .await
            .unwrap();
        let mut next = 0u128;
        let mut accounts = String::new();
        let mut person = |name: &str, role: Role, unit: Option<&'static str>| {
            next += 1;
            let id = Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0000 + next);
            accounts.push_str(&format!(
                "INSERT INTO accounts (id, email, name, role, unit_code, password_hash, created_at) \
                 VALUES ('{id}', '{name}@example.org', '{name}', '{}', {}, 'x', now());",
                role.name(),
                unit.map_or_else(|| "NULL".to_owned(), |unit| format!("'{unit}'"))
            ));
            Colleague { id, role, unit }
        };
        let migrant = person("migrant", Role::Migrant, None);
        let employer = person("employer", Role::Employer, None);
        let anna = person("anna", Role::Officer, Some("77"));
        let boris = person("boris", Role::Officer, Some("77"));
        let senior = person("senior", Role::SeniorOfficer, Some("77"));
        let vera = person("vera", Role::Officer, Some("78"));
        let auditor = person("auditor", Role::Auditor, None);
        owner.batch_execute(&accounts).await.unwrap();
        let db = Db::new(&DbOptions {
            url: database.url().to_owned(),
            pool_size: 8,
            wait: std::time::Duration::from_secs(30),
            statement_timeout: std::time::Duration::from_secs(30),
        })
        .unwrap();
        let casework = Casework::new(
            db.clone(),
            Arc::clone(&rules),
            clock.clone(),
            TimeDelta::minutes(30),
            Arc::new(|| ()),
        );
        Self {
            database,
            db,
            clock,
            rules,
            casework,
            migrant,
            employer,
            anna,
            boris,
            senior,
            vera,
            auditor,
        }
    }

    pub fn today(&self) -> NaiveDate {
        (self.clock.now() + TimeDelta::hours(3)).date_naive()
    }

    /// [`form`].
    pub fn form(&self, passport: &str) -> Form {
        form(passport)
    }

    /// Opens an application of a track with a complete form and all its required documents.
    pub async fn draft(&self, who: &Colleague, track: &str, passport: &str) -> Result<Uuid> {
        let answer =
            self.casework.open(&who.ask(), track, "77", self.form(passport), &render).await?;
        let id = id_of(&answer);
        let kinds: Vec<String> = self
            .rules
            .current(track, self.today())
            .unwrap()
            .documents
            .iter()
            .filter(|rule| rule.required)
            .map(|rule| rule.id.clone())
            .collect();
        for kind in kinds {
            let document = Document {
                kind,
                digest: "00".repeat(32),
                size: 1,
                media_type: "application/pdf".into(),
                attached_at: self.clock.now(),
            };
            self.casework.attach(&who.ask(), id, &document, &render).await?;
        }
        Ok(id)
    }

    pub async fn give(&self, who: &Colleague, id: Uuid, command: Command) -> Result<Now> {
        self.casework.execute(&who.ask(), id, &command, &render).await?;
        Ok(self.now(id).await)
    }

    pub async fn now(&self, id: Uuid) -> Now {
        self.casework
            .see(&self.auditor.actor(), id, |seen| {
                Ok(Now { application: seen.application.clone() })
            })
            .await
            .unwrap()
    }

    /// Gives an application's history, and sees that it is dense and that folding it gives the row.
    pub async fn agreed(&self, id: Uuid) -> Vec<Event> {
        let mut conn = self.db.conn().await.unwrap();
        let events = history(&mut conn, id).await.unwrap();
        drop(conn);
        let row = self.now(id).await.application;
        assert_eq!(Casework::differences(&row, &events), Vec::<String>::new());
        let numbers: Vec<i32> = events.iter().map(|event| event.seq).collect();
        assert_eq!(numbers, (1..=row.version).collect::<Vec<_>>());
        events
    }

    /// Connects as the owner of the database.
    pub async fn owner(&self) -> tokio_postgres::Client {
        let url = self.database.url();
        let (client, connection) =
            tokio_postgres::connect(url, tokio_postgres::NoTls).await.unwrap();
        tokio::spawn(connection);
        client
    }

    /// Opens an application, hands it in and pays the duty.
    pub async fn submitted(&self, who: &Colleague, track: &str, passport: &str) -> Uuid {
        let id = self.draft(who, track, passport).await.unwrap();
        self.give(who, id, Command::Submit).await.unwrap();
        self.pay(id).await;
        id
    }

    /// Walks a patent to a permit in force.
    pub async fn in_force(&self, passport: &str) -> Uuid {
        let id = self.checked("patent", passport).await;
        self.give(&self.boris, id, Command::Grant).await.unwrap();
        self.pay(id).await;
        self.give(&self.boris, id, Command::HandOver).await.unwrap();
        id
    }

    /// Pays what is open, as the provider would tell of it.
    pub async fn pay(&self, id: Uuid) -> propusk::casework::Received {
        let open = self
            .now(id)
            .await
            .application
            .charges
            .into_iter()
            .find(|charge| charge.outstanding().kopecks() > 0)
            .expect("something is owed");
        let payment = Payment {
            provider_id: format!("test:{}", open.uin),
            uin: Some(open.uin.clone()),
            amount: open.outstanding(),
            paid_at: self.clock.now(),
            payer: None,
            ..Payment::default()
        };
        self.casework.receive(&payment).await.unwrap()
    }

    /// Records a clear answer to every check of an application.
    pub async fn clear(&self, who: &Colleague, id: Uuid) {
        self.clear_all_but(who, id, "").await;
    }

    /// As [`Office::clear`], but for one check.
    pub async fn clear_all_but(&self, who: &Colleague, id: Uuid, but: &str) {
        for check in self.now(id).await.application.checks {
            // What the engine found clear itself needs nobody.
            let open = check.finding.is_none_or(|found| found.outcome == Outcome::Hit);
            if open && check.id != but {
                self.give(who, id, finding(&check.id, Outcome::Clear)).await.unwrap();
            }
        }
    }

    /// Walks an application of a track to the state that waits for a decision.
    pub async fn checked(&self, track: &str, passport: &str) -> Uuid {
        let who = if track == "patent" { &self.migrant } else { &self.employer };
        let id = self.submitted(who, track, passport).await;
        self.give(&self.anna, id, Command::Accept).await.unwrap();
        self.clear(&self.anna, id).await;
        id
    }
}

/// An answer to a check, without a reason.
pub fn finding(check: &str, outcome: Outcome) -> Command {
    let check = check.to_owned();
    Command::RecordFinding { check, outcome, reason: None, note: None, digest: None }
}

/// A complete form of a worker who entered five days before the start.
pub fn form(passport: &str) -> Form {
    let start = start().date_naive();
    Form {
        person: Some(Person {
            family_name: "Каримов".into(),
            given_name: "Рустам".into(),
            patronymic: None,
            birth_date: NaiveDate::from_ymd_opt(1990, 5, 17).unwrap(),
            sex: Sex::Male,
            citizenship: CountryCode::parse("UZB").unwrap(),
            inn: None,
        }),
        passport: Some(Passport {
            number: PassportNumber::parse(passport).unwrap(),
            issued_on: NaiveDate::from_ymd_opt(2021, 1, 2).unwrap(),
            expires_on: NaiveDate::from_ymd_opt(2031, 1, 1).unwrap(),
            mrz: None,
        }),
        entry: Some(Entry {
            entered_on: start - chrono::Days::new(5),
            migration_card: "4526 1234567".into(),
            fine_receipt: None,
        }),
        occupation: Some(Occupation { code: "7112".into(), title: "Каменщик".into() }),
        employer: Some(Employer {
            inn: Inn::parse("7707083893").unwrap(),
            name: "ООО «Стройка»".into(),
            okved: None,
        }),
        contract: Some(Contract {
            salary: propusk::domain::fee::Money::from_kopecks(90_000_000).unwrap(),
            salary_period: SalaryPeriod::Quarter,
            starts_on: start + chrono::Days::new(30),
            ends_on: None,
        }),
        contact: Some(Contact {
            email: EmailAddress::parse("rustam@example.org").unwrap(),
            phone: None,
            language: "ru".into(),
        }),
        prepaid_months: Some(1),
        reissues: None,
    }
}

/// Renders nothing: these tests look at the application itself.
pub fn render(seen: &Seen<'_>) -> Result<String> {
    Ok(seen.application.id.to_string())
}

pub fn id_of(answer: &Answer) -> Uuid {
    answer.body.parse().unwrap()
}
