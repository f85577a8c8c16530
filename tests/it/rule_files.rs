//! Rules that are data: whatever changes them is registered with its event, and nobody works by others.

use chrono::TimeDelta;
use propusk::clock::{Clock as _, FixedClock};
use propusk::domain::rules::Rulebook;
use propusk::domain::workflow::embedded::FILES;
use propusk::storage::{Db, DbOptions, migrate, rule_files};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tokio_postgres::{Client, NoTls};

use crate::support::db::TestDatabase;
use crate::support::office::start;

/// A migrated database without rules.
struct Registry {
    database: TestDatabase,
    clock: FixedClock,
    client: Client,
    db: Db,
}

impl Registry {
    async fn new() -> Self {
        let database = TestDatabase::new().await;
        let (client, connection) = tokio_postgres::connect(database.url(), NoTls).await.unwrap();
        tokio::spawn(connection);
        let db = Db::new(&DbOptions {
            url: database.url().to_owned(),
            pool_size: 1,
            wait: std::time::Duration::from_secs(30),
            statement_timeout: std::time::Duration::from_secs(30),
        });
        Self { database, clock: FixedClock::new(start(), 1), client, db: db.unwrap() }
    }

    async fn register(&self, rules: &Rulebook) -> propusk::error::Result<Vec<String>> {
        migrate::register(self.database.url(), rules, &self.clock, "operator").await
    }

    /// As the service sees it.
    async fn unregistered(&self, rules: &Rulebook) -> Vec<String> {
        migrate::unregistered(&mut self.db.conn().await.unwrap(), rules).await.unwrap()
    }

    /// The events so far: kind, role and content.
    async fn events(&self) -> Vec<(String, String, Value)> {
        let events = "SELECT kind, actor_role, content FROM events ORDER BY id";
        let rows = self.client.query(events, &[]).await.unwrap();
        let content = |text: &str| serde_json::from_str(text).unwrap();
        rows.iter().map(|row| (row.get(0), row.get(1), content(row.get(2)))).collect()
    }
}

/// The rules that ship, with a comment at the end of the file that is named so.
fn rules(changed: &str) -> Rulebook {
    let files = FILES.iter().map(|(path, text)| {
        let end = if path.ends_with(changed) { "\n# changed\n" } else { "" };
        ((*path).to_owned(), format!("{text}{end}"))
    });
    Rulebook::parse(&files.collect::<Vec<_>>()).unwrap()
}

#[tokio::test]
async fn every_file_is_registered_once_with_its_event() {
    let registry = Registry::new().await;
    let rules = rules("none");
    assert_eq!(registry.unregistered(&rules).await.len(), FILES.len());
    let added = registry.register(&rules).await.unwrap();
    assert_eq!(added.len(), FILES.len());
    assert_eq!(registry.unregistered(&rules).await, Vec::<String>::new());

    let events = registry.events().await;
    assert_eq!(events.len(), FILES.len());
    assert!(events.iter().all(|(_, role, _)| role == "operator"));
    let count = |kind: &str| events.iter().filter(|(one, ..)| one == kind).count();
    assert_eq!(count("definitionRegistered"), 2);
    assert_eq!(count("calendarChanged"), 4);
    for kind in [
        "ratesChanged",
        "requisitesChanged",
        "groundsChanged",
        "retentionChanged",
        "templatesChanged",
        "restrictionsChanged",
    ] {
        assert_eq!(count(kind), 1, "{kind}");
    }
    let content = |kind: &str| &events.iter().find(|(one, ..)| one == kind).unwrap().2;
    let digest = |name: &str| {
        let (_, text) = FILES.iter().find(|(path, _)| path.ends_with(name)).unwrap();
        Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect::<String>()
    };
    // Of one instant, so in no order.
    let patent = json!({ "track": "patent", "version": 1, "digest": digest("patent.toml") });
    assert!(events.iter().any(|(.., content)| *content == patent));
    assert_eq!(
        *content("ratesChanged"),
        json!({ "name": "rates.toml", "digest": digest("rates.toml") })
    );
    assert!(events.iter().any(|(.., content)| content["name"] == "calendars/russia-2026.toml"));

    assert_eq!(registry.register(&rules).await.unwrap(), Vec::<String>::new());
    assert_eq!(registry.events().await.len(), FILES.len());
}

#[tokio::test]
async fn rates_that_changed_are_refused_until_they_are_registered_anew_and_so_are_the_old_ones_then()
 {
    let registry = Registry::new().await;
    registry.register(&rules("none")).await.unwrap();
    let count =
        async |kind: &str| registry.events().await.iter().filter(|(one, ..)| one == kind).count();
    for (name, kind) in [
        ("retention.toml", "retentionChanged"),
        ("rates.toml", "ratesChanged"),
        ("requisites.toml", "requisitesChanged"),
        ("templates.toml", "templatesChanged"),
        ("restrictions.toml", "restrictionsChanged"),
    ] {
        let (changed, before) = (rules(name), count(kind).await);
        assert_eq!(registry.unregistered(&changed).await, [name]);
        // Neither in the same instant nor with a clock that was put back is it taken for the older one.
        registry.clock.set(registry.clock.now() - TimeDelta::hours(1));
        assert_eq!(registry.register(&changed).await.unwrap(), [name]);
        assert_eq!(registry.unregistered(&changed).await, Vec::<String>::new());
        assert_eq!(registry.unregistered(&rules("none")).await, [name]);
        assert_eq!(registry.register(&rules("none")).await.unwrap(), [name]);
        assert_eq!(count(kind).await, before + 2, "{kind}");
    }
    let kept = "SELECT count(*), count(DISTINCT name) FROM rule_files WHERE sha256(convert_to(source, 'UTF8')) = digest";
    let row = registry.client.query_one(kept, &[]).await.unwrap();
    assert_eq!((row.get::<_, i64>(0), row.get::<_, i64>(1)), (10 + 2 * 5, 10));
}

#[tokio::test]
async fn a_calendar_is_registered_once_and_an_old_binary_does_not_take_it_back() {
    let registry = Registry::new().await;
    let (old, name) = (rules("none"), "calendars/russia-2026.toml");
    let changed = rules(name);
    registry.register(&old).await.unwrap();
    assert_eq!(registry.unregistered(&changed).await, [name]);
    assert_eq!(registry.register(&changed).await.unwrap(), [name]);
    let in_force = async || {
        let mut conn = registry.db.conn().await.unwrap();
        let calendars = rule_files::calendars(&mut conn).await.unwrap();
        calendars.files.into_iter().find(|file| file.name == name).unwrap().text
    };
    assert!(in_force().await.ends_with("# changed\n"));
    // Both binaries may run; neither brings its own file back.
    for binary in [&old, &changed] {
        assert_eq!(registry.unregistered(binary).await, Vec::<String>::new());
        assert_eq!(registry.register(binary).await.unwrap(), Vec::<String>::new());
        assert!(in_force().await.ends_with("# changed\n"));
    }
    let jobs = "SELECT key FROM jobs WHERE kind = 'redate'";
    let rows = registry.client.query(jobs, &[]).await.unwrap();
    assert_eq!(rows.len(), 1, "the first calendar of a year dates nothing anew, the second does");
}

#[tokio::test]
async fn a_definition_in_use_that_was_changed_is_refused_and_nothing_else_is_registered_with_it() {
    let registry = Registry::new().await;
    registry.register(&rules("none")).await.unwrap();
    let events = registry.events().await.len();
    let mut changed = rules("patent.toml");
    changed.files = rules("rates.toml").files;
    let error = registry.register(&changed).await.unwrap_err().to_string();
    assert!(error.contains("version 1 of the track 'patent' is in use"), "{error}");
    assert_eq!(registry.unregistered(&changed).await, ["patent v1", "rates.toml"]);
    assert_eq!(registry.events().await.len(), events);
}
