//! Registers answer at once, later, twice, wrongly or not at all; nothing of it is lost, and nobody else waits for it.
//!
//! The simulator answers over real sockets; the worker is drained under a clock that stands still.

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use propusk::app;
use propusk::config::Config;
use propusk::domain::checks::Outcome;
use propusk::register_sim::{Mode, Options, Play, REGISTERS, Running, Simulator};
use propusk::registers::Register;
use propusk::registers::protocol::AnswerOutcome;
use propusk::storage::registers::{self, Begun, BreakerState, RegisterRow};
use propusk::webhook::Key;
use propusk::worker::{DrainReport, Worker};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::app::{
    MIGRANT, OFFICER, OTHER_OFFICER, PETERSBURG_OFFICER, Person, Reply, SENIOR, TestApp,
};
use crate::support::drive::{Case, fresh};

/// The key that the office and the simulator share.
const KEY: &[u8] = b"a key of registers for the tests";

/// The checks of a patent that registers answer, by register.
const ASKED: [(&str, &str); 6] = [
    ("borderCrossings", "entry"),
    ("controlledPersons", "entryBan"),
    ("criminalRecords", "criminalRecord"),
    ("educationDocuments", "language"),
    ("medicalCertificates", "medical"),
    ("taxNumbers", "taxNumber"),
];

/// An office that asks simulated registers.
struct Office {
    app: TestApp,
    worker: Worker,
    simulator: Simulator,
    running: Running,
}

impl Office {
    async fn open() -> Self {
        Self::open_with(Duration::from_secs(10), |_| ()).await
    }

    async fn open_with(timeout: Duration, adapt: impl FnOnce(&mut Config)) -> Self {
        let clock = TestApp::clock();
        let simulator = Simulator::new(Options {
            key: Some(Key::new(KEY.to_vec())),
            keys: BTreeMap::new(),
            callback_base: None,
            clock: clock.clone(),
        });
        let running = simulator.start().unwrap();
        let configured = simulator.registers(running.address, timeout);
        let app = TestApp::spawn_at(clock, |config| {
            config.registers = configured;
            adapt(config);
        })
        .await;
        let worker = app::worker(&app.app).unwrap();
        Self { app, worker, simulator, running }
    }

    /// Runs what is due.
    async fn drain(&self) -> DrainReport {
        self.worker.drain().await.unwrap()
    }

    /// An application of a passport number that ends like this, taken in; its registers are not asked yet.
    async fn checking(&self, ends: &str) -> Case {
        let mut form = self.app.form();
        form["passport"]["number"] = json!(format!("FB{}{ends}", fresh() % 100_000 + 100_000));
        form["person"]["familyName"] = json!(name(fresh()));
        let case = self.app.draft_with(MIGRANT, "patent", form).await;
        self.app.command(MIGRANT, &case.id, json!({ "command": "submit" })).await.expect(200);
        self.app.pay(&case.id).await;
        self.app.command(OFFICER, &case.id, json!({ "command": "accept" })).await.expect(200);
        case
    }

    async fn check(&self, case: &Case, id: &str) -> Value {
        let seen = self.app.see(&case.id).await;
        let checks = seen["checks"].as_array().unwrap();
        checks.iter().find(|check| check["id"] == id).unwrap().clone()
    }

    /// Outcome and reason of a check.
    async fn found(&self, case: &Case, id: &str) -> (Option<String>, Option<String>) {
        let check = self.check(case, id).await;
        let text = |name: &str| check[name].as_str().map(str::to_owned);
        (text("outcome"), text("reason"))
    }

    async fn breaker(&self, register: &str) -> Option<RegisterRow> {
        registers::find(&mut self.app.app.db.conn().await.unwrap(), register).await.unwrap()
    }

    /// Status, outcome, use and error of an application's request to a register.
    async fn request(&self, case: &Case, register: &str) -> Request {
        let row = self
            .app
            .sql()
            .await
            .query_one(
                "SELECT id::text, status, outcome, used, attempts, last_error FROM register_requests \
                 WHERE application_id::text = $1 AND register = $2 ORDER BY round DESC LIMIT 1",
                &[&case.id, &register],
            )
            .await
            .unwrap();
        Request {
            id: row.get::<_, String>(0).parse().unwrap(),
            status: row.get(1),
            outcome: row.get(2),
            used: row.get(3),
            attempts: row.get(4),
            error: row.get(5),
        }
    }

    /// How many answers were ignored of an application.
    async fn ignored(&self, case: &Case) -> i64 {
        let count = "SELECT count(*) FROM events WHERE kind = 'registerAnswerIgnored' \
                     AND application_id::text = $1 AND actor_role = 'register'";
        self.app.sql().await.query_one(count, &[&case.id]).await.unwrap().get(0)
    }

    /// Sends a callback as a register does.
    async fn call_back(
        &self,
        register: &str,
        id: &str,
        key: &[u8],
        body: &impl std::fmt::Display,
    ) -> Reply {
        let body = body.to_string();
        let signed = Key::new(key.to_vec()).sign(id, self.app.now(), body.as_bytes());
        let mut call = self.app.post(&format!("/v1/callbacks/registers/{register}")).text(&body);
        for (name, value) in signed.fields() {
            call = call.header(name, value);
        }
        call.send().await
    }

    async fn answer(&self, case: &Case, register: &str, outcome: &str) -> Value {
        let id = self.request(case, register).await.id.to_string();
        let body = json!({ "requestId": id, "outcome": outcome });
        self.call_back(register, &id, KEY, &body).await.expect(200).json()["outcome"].clone()
    }

    /// What officers are shown of a register.
    async fn shown(&self, register: &str) -> Value {
        let list = self.app.get("/v1/registers").by(OFFICER).send().await.expect(200).json();
        let items = list["items"].as_array().unwrap();
        items.iter().find(|item| item["register"] == register).unwrap().clone()
    }

    /// The registers that the page of the queues calls down.
    async fn down(&self, by: Person) -> Value {
        let page = self.app.get("/v1/queues").by(by).send().await.expect(200).json();
        page["registersDown"].clone()
    }

    async fn metrics(&self) -> String {
        self.app.get("/metrics").send().await.expect(200).text()
    }
}

#[derive(Debug)]
struct Request {
    id: Uuid,
    status: String,
    outcome: Option<String>,
    used: Option<bool>,
    attempts: i32,
    error: Option<String>,
}

/// A family name that nobody else in this process has, nor one that differs in a letter alone: the office looks for people
/// who apply twice, and slips of the pen do not hide them.
fn name(number: u32) -> String {
    let letters = ['а', 'б', 'в', 'г', 'д', 'е', 'л', 'з', 'м', 'к'];
    let digits = (u64::from(number) * 48_271 % 2_147_483_647).to_string();
    digits.bytes().flat_map(|digit| [letters[usize::from(digit - b'0')], 'о']).collect()
}

fn only<T: std::fmt::Debug>(mut of: Vec<T>) -> T {
    assert_eq!(of.len(), 1, "{of:?}");
    of.remove(0)
}

/// The callback that was taken. Those before it met another answer to the same question and were told to come again.
fn taken(mut callbacks: Vec<Value>) -> Value {
    let last = callbacks.pop().expect("a callback");
    assert!(callbacks.iter().all(|one| one["status"] == 503), "{callbacks:?}");
    last
}

#[actix_web::test]
async fn registers_answer_at_once_and_the_decision_opens() {
    let office = Office::open().await;
    let case = office.checking("000").await;
    let done = office.drain().await.done;
    assert_eq!(done.iter().filter(|key| key.starts_with("askRegister:")).count(), ASKED.len());
    for (register, check) in ASKED {
        assert_eq!(office.found(&case, check).await.0.as_deref(), Some("clear"), "{check}");
        let request = office.request(&case, register).await;
        assert_eq!((request.status.as_str(), request.used), ("answered", Some(true)));
        assert_eq!((request.outcome.as_deref(), request.attempts), (Some("clear"), 1));
        assert_eq!(office.shown(register).await["waiting"], 0);
        assert_eq!(office.breaker(register).await.unwrap().last_ok_at, Some(office.app.now()));
    }
    for check in ["passport", "security"] {
        let finding = json!({ "command": "recordFinding", "check": check, "outcome": "clear" });
        office.app.command(OFFICER, &case.id, finding).await.expect(200);
    }
    office.app.command(OTHER_OFFICER, &case.id, json!({ "command": "grant" })).await.expect(200);

    let metrics = office.metrics().await;
    for line in [
        "propusk_register_up{register=\"borderCrossings\"} 1",
        "propusk_register_requests_total{register=\"borderCrossings\",outcome=\"clear\"} 1",
        "propusk_register_seconds_count{register=\"borderCrossings\"} 1",
    ] {
        assert!(metrics.contains(line), "{line}\n{metrics}");
    }
}

#[actix_web::test]
async fn a_hit_blocks_for_its_reason_and_a_reason_that_nobody_knows_is_kept_in_words() {
    let office = Office::open().await;
    let case = office.checking("911").await;
    office.drain().await;
    let noentry = (Some("hit".to_owned()), Some("noEntry".to_owned()));
    assert_eq!(office.found(&case, "entry").await, noentry);
    assert_eq!(office.check(&case, "entry").await["consequence"], "refuse");
    assert_eq!(office.found(&case, "criminalRecord").await.0.as_deref(), Some("clear"));

    let case = office.checking("999").await;
    office.drain().await;
    for (_, check) in ASKED {
        let check = office.check(&case, check).await;
        assert_eq!((&check["outcome"], &check["clear"]), (&json!("hit"), &json!(false)));
        assert_eq!(check["reason"], Value::Null);
        assert_eq!(check["note"], "(simulated)");
    }
}

#[actix_web::test]
async fn a_register_is_told_what_its_check_sends_and_nothing_else() {
    let office = Office::open().await;
    let case = office.checking("000").await;
    office.drain().await;
    let form = office.app.see(&case.id).await["form"].clone();
    for (register, check) in ASKED {
        let question = only(office.simulator.questions(register));
        let members: Vec<&str> = question.as_object().unwrap().keys().map(String::as_str).collect();
        let mut all = [
            "requestId",
            "register",
            "check",
            "question",
            "subject",
            "askedAt",
            "answerBy",
            "callbackUrl",
        ];
        all.sort_unstable();
        assert_eq!(members, all);
        assert_eq!((&question["register"], &question["check"]), (&json!(register), &json!(check)));

        let rules = office.app.app.casework.rules();
        let rules = rules.current("patent", office.app.today()).unwrap();
        let mut sends = rules.check(check).unwrap().sends.clone();
        assert!(!sends.is_empty());
        let mut sent = Vec::new();
        for (section, fields) in question["subject"].as_object().unwrap() {
            for (field, value) in fields.as_object().unwrap() {
                assert_eq!(*value, form[section][field], "{section}.{field}");
                sent.push(format!("{section}.{field}"));
            }
        }
        sent.sort();
        sends.sort();
        assert_eq!(sent, sends, "{register}");
        let text = question.to_string();
        for kept in ["rustam@example.org", "ООО", &case.reference, &case.id] {
            assert!(!text.contains(kept), "{register} is told {kept}: {text}");
        }
    }
    let question = only(office.simulator.questions("borderCrossings"));
    assert_eq!(question["answerBy"], "2026-03-04T21:00:00Z", "the end of its last day in Moscow");
    let url = question["callbackUrl"].as_str().unwrap();
    assert!(url.ends_with("/v1/callbacks/registers/borderCrossings"), "{url}");
}

#[actix_web::test]
async fn a_register_answers_later_by_a_callback_that_repeats_harmlessly() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let office = Office::open_with(Duration::from_secs(10), |config| config.public_url = url).await;
    let served = app::serve(office.app.app.clone(), listener, 1).unwrap();
    let handle = served.handle();
    actix_web::rt::spawn(served);
    office.simulator.play("borderCrossings", Mode::Later);
    office.simulator.play("taxNumbers", Mode::Twice);
    office.simulator.play("medicalCertificates", Mode::Contradicting);
    let case = office.checking("912").await;
    let report = office.drain().await;
    // The job waits for the callback to the end of the check's last day, and that is no failure.
    let (key, until) = only(report.later);
    assert!(key.contains(":entry:"), "{key}");
    assert_eq!(until, "2026-03-04T21:00:00Z".parse::<DateTime<Utc>>().unwrap());
    assert_eq!(report.retried, []);
    office.simulator.settled().await;

    let later = taken(office.simulator.callbacks("borderCrossings"));
    assert_eq!((&later["status"], &later["answer"]), (&json!(200), &json!({"outcome": "taken"})));
    let purpose = (Some("hit".to_owned()), Some("purposeNotWork".to_owned()));
    assert_eq!(office.found(&case, "entry").await, purpose);
    let request = office.request(&case, "borderCrossings").await;
    assert_eq!((request.status.as_str(), request.used), ("answered", Some(true)));

    // Told at once and by a callback: one of them is known.
    let twice = taken(office.simulator.callbacks("taxNumbers"));
    assert_eq!(twice["status"], 200);
    assert_eq!(office.found(&case, "taxNumber").await.0.as_deref(), Some("clear"));
    // Told clear and hit, in whichever order they came: the hit counts.
    assert_eq!(taken(office.simulator.callbacks("medicalCertificates"))["status"], 200);
    assert_eq!(office.found(&case, "medical").await.0.as_deref(), Some("hit"));

    let version = office.app.version(&case.id).await;
    let id = request.id.to_string();
    let again = format!(r#"{{"requestId":"{id}","outcome":"hit","reason":"purposeNotWork"}}"#);
    let reply = office.call_back("borderCrossings", &id, KEY, &again).await.expect(200).json();
    assert_eq!(reply, json!({ "outcome": "known" }));
    // A hit does not go away by itself.
    assert_eq!(office.answer(&case, "borderCrossings", "clear").await, "ignored");
    assert_eq!(office.answer(&case, "taxNumbers", "noData").await, "ignored");
    assert_eq!(office.found(&case, "entry").await, purpose);
    assert_eq!(office.app.version(&case.id).await, version, "nothing changed");

    office.app.advance(TimeDelta::days(4));
    assert!(office.drain().await.done.contains(&key), "the job ends when nothing is left to do");
    assert_eq!(office.found(&case, "entry").await, purpose);
    // Not before: connections to the database live where they were opened.
    handle.stop(false).await;
}

#[actix_web::test]
async fn of_two_answers_at_the_same_time_the_hit_counts_whichever_is_first() {
    let office = Office::open().await;
    let case = office.checking("000").await;
    office.drain().await;
    let id = office.request(&case, "taxNumbers").await.id;
    let db = &office.app.app.db;
    let begin = async |outcome, digest: &str, at| {
        let mut conn = db.conn().await.unwrap();
        registers::begin_answer(&mut conn, id, outcome, digest, at).await.unwrap()
    };
    let reopen = "UPDATE register_requests SET status = 'accepted', outcome = NULL, used = NULL";
    let now = office.app.now();
    let (clear, hit, minute) = ("c".repeat(64), "d".repeat(64), TimeDelta::minutes(1));

    office.app.sql().await.batch_execute(reopen).await.unwrap();
    assert_eq!(begin(Outcome::Hit, &hit, now).await, Begun::Yes);
    assert_eq!(begin(Outcome::Clear, &clear, now + minute).await, Begun::Settled);
    assert_eq!(begin(Outcome::Hit, &hit, now).await, Begun::Yes, "who began it may be gone");

    office.app.sql().await.batch_execute(reopen).await.unwrap();
    assert_eq!(begin(Outcome::Clear, &clear, now).await, Begun::Yes);
    assert_eq!(begin(Outcome::Hit, &hit, now).await, Begun::Busy, "it must come again");
    let mut conn = db.conn().await.unwrap();
    registers::end_answer(&mut conn, id, &clear, true, None).await.unwrap();
    assert_eq!(begin(Outcome::Clear, &clear, now).await, Begun::Known);
    assert_eq!(begin(Outcome::Hit, &hit, now).await, Begun::Yes);
    // Too late to say that the clear one was taken: the hit counts now.
    registers::end_answer(&mut conn, id, &clear, true, None).await.unwrap();
    assert_eq!(office.request(&case, "taxNumbers").await.used, None);

    office.app.sql().await.batch_execute(reopen).await.unwrap();
    assert_eq!(begin(Outcome::Clear, &clear, now).await, Begun::Yes);
    assert_eq!(
        begin(Outcome::Hit, &hit, now + minute).await,
        Begun::Yes,
        "nobody waits for the dead"
    );
}

#[actix_web::test]
async fn a_callback_needs_a_signature_a_request_and_its_own_register() {
    let office = Office::open().await;
    office.simulator.play("borderCrossings", Mode::Later);
    let case = office.checking("000").await;
    office.drain().await;
    let id = office.request(&case, "borderCrossings").await.id.to_string();
    let body = json!({ "requestId": id, "outcome": "clear" });
    let before = office.app.written().await;
    for (register, key, status, problem) in [
        ("borderCrossings", &[7; 32][..], 401, "unauthenticated"),
        ("weather", KEY, 401, "unauthenticated"),
        ("taxNumbers", KEY, 404, "not-found"),
    ] {
        let reply = office.call_back(register, &id, key, &body).await.expect(status);
        let problem = reply.problem(problem);
        assert!(!problem.to_string().contains(&id), "{problem}");
    }
    let nobodys = Uuid::from_u128(1).to_string();
    let unknown = json!({ "requestId": nobodys, "outcome": "clear" });
    office.call_back("borderCrossings", &nobodys, KEY, &unknown).await.expect(404);
    let mixed = office.call_back("borderCrossings", &nobodys, KEY, &body).await.expect(400);
    assert_eq!(mixed.errors(), ["/requestId mismatch"]);
    for (body, errors) in [
        (json!({ "requestId": id }), "/outcome required"),
        (json!({ "requestId": id, "outcome": "timedOut" }), "/outcome unknown-variant"),
        (json!({ "requestId": id, "outcome": "clear", "more": 1 }), "/more unknown-member"),
    ] {
        let reply = office.call_back("borderCrossings", &id, KEY, &body).await.expect(400);
        assert_eq!(reply.errors().len(), 1, "{errors}: {:?}", reply.errors());
    }
    let huge = json!({ "requestId": id, "outcome": "clear", "note": "a".repeat(70_000) });
    office.call_back("borderCrossings", &id, KEY, &huge).await.expect(413);
    assert_eq!(office.app.written().await, before, "nothing was written");
    assert_eq!(office.request(&case, "borderCrossings").await.status, "accepted");
    assert_eq!(office.answer(&case, "borderCrossings", "clear").await, "taken");
}

#[actix_web::test]
async fn a_register_that_is_down_blocks_its_own_checks_alone_until_it_is_back() {
    let office = Office::open().await;
    let register = "borderCrossings";
    office.simulator.play(register, Mode::Down);
    let mut cases = Vec::new();
    for _ in 0..5 {
        cases.push(office.checking("000").await);
    }
    assert_eq!(office.down(OFFICER).await, json!([]));
    let report = office.drain().await;
    // Each was tried once, and with the fifth failure the breaker opened; the other registers went on.
    assert_eq!(report.retried.len(), 5, "{report:?}");
    assert!(report.retried.iter().all(|(key, why)| key.contains(":entry:") && why.contains("503")));
    for case in &cases {
        assert_eq!(office.found(case, "entry").await.0, None);
        for (_, check) in &ASKED[1..] {
            assert_eq!(office.found(case, check).await.0.as_deref(), Some("clear"), "{check}");
        }
    }
    let open = office.breaker(register).await.unwrap();
    assert_eq!((open.state, open.failures), (BreakerState::Open, 5));
    let retry_at = open.retry_at.unwrap();
    assert_eq!(retry_at - office.app.now(), TimeDelta::seconds(30));
    let shown = office.shown(register).await;
    assert_eq!((&shown["state"], &shown["waiting"]), (&json!("open"), &json!(5)));
    assert_eq!(office.shown("taxNumbers").await["state"], "closed");
    let told = |waiting: u32| {
        let since = json!(open.since);
        json!([{ "register": register, "since": since, "retryAt": retry_at, "waiting": waiting }])
    };
    assert_eq!(office.down(OFFICER).await, told(5));
    assert_eq!(office.down(PETERSBURG_OFFICER).await, told(0), "each unit counts its own");
    assert!(office.metrics().await.contains("propusk_register_up{register=\"borderCrossings\"} 0"));
    assert!(office.metrics().await.contains("propusk_register_up{register=\"taxNumbers\"} 1"));

    // While it is open nothing is sent: the jobs are put off, and no attempt is counted.
    let asked = office.simulator.asked(register);
    office.app.advance(TimeDelta::seconds(20));
    let report = office.drain().await;
    assert_eq!((report.later.len(), report.retried.len()), (5, 0), "{report:?}");
    assert!(report.later.iter().all(|(_, at)| *at >= retry_at));
    assert_eq!(office.simulator.asked(register), asked);
    assert_eq!(office.request(&cases[0], register).await.attempts, 1);

    // One question finds out that it is still down; then it is left alone for twice as long.
    office.app.advance(TimeDelta::seconds(30));
    let report = office.drain().await;
    assert_eq!((report.retried.len(), report.later.len()), (1, 4), "{report:?}");
    assert_eq!(office.simulator.asked(register), asked + 1);
    let again = office.breaker(register).await.unwrap();
    assert_eq!((again.state, again.since), (BreakerState::Open, open.since));
    assert_eq!(again.retry_at.unwrap() - office.app.now(), TimeDelta::seconds(60));

    // It is back: the first answer closes the breaker, and all that waited is asked.
    office.simulator.play(register, Mode::Normal);
    office.app.advance(TimeDelta::minutes(2));
    let report = office.drain().await;
    assert_eq!(report.done.len(), 5, "{report:?}");
    for case in &cases {
        assert_eq!(office.found(case, "entry").await.0.as_deref(), Some("clear"));
    }
    let closed = office.breaker(register).await.unwrap();
    assert_eq!((closed.state, closed.failures), (BreakerState::Closed, 0));
    let shown = office.shown(register).await;
    assert_eq!((&shown["state"], &shown["waiting"]), (&json!("closed"), &json!(0)));
    assert_eq!(office.down(OFFICER).await, json!([]));
    assert!(office.metrics().await.contains("propusk_register_up{register=\"borderCrossings\"} 1"));
}

#[actix_web::test]
async fn what_a_register_owed_before_a_refusal_is_asked_again_once_it_is_undone() {
    let office = Office::open().await;
    office.simulator.play("borderCrossings", Mode::Down);
    let case = office.checking("000").await;
    office.drain().await;
    let refuse = json!({ "command": "refuse", "grounds": ["G04"], "reason": "Forged." });
    office.app.command(OTHER_OFFICER, &case.id, refuse).await.expect(200);
    // It is back while nobody asks it anything.
    office.simulator.play("borderCrossings", Mode::Normal);
    office.app.advance(TimeDelta::minutes(30));
    office.drain().await;
    assert_eq!(office.found(&case, "entry").await.0, None);

    let undo = json!({ "command": "undo", "reason": "Meant for a namesake." });
    office.app.command(SENIOR, &case.id, undo).await.expect(200);
    office.drain().await;
    assert_eq!(office.found(&case, "entry").await.0.as_deref(), Some("clear"));
    assert_eq!(office.check(&case, "entry").await["round"], 2);
    // What was answered within the hour stands.
    assert_eq!(office.check(&case, "entryBan").await["round"], 1);
    office.app.agreed(&case.id).await;
}

#[actix_web::test]
async fn months_after_a_refusal_every_register_is_asked_anew_and_officers_answers_stay() {
    let office = Office::open().await;
    for (command, more) in [
        ("reopen", json!({ "basis": "Complaint 12" })),
        (
            "courtOrder",
            json!({ "basis": { "court": "Tverskoy", "number": "2a-1", "judgedOn": "2026-03-01" } }),
        ),
    ] {
        let case = office.checking("000").await;
        office.drain().await;
        let found = json!({ "command": "recordFinding", "check": "passport", "outcome": "clear" });
        office.app.command(OFFICER, &case.id, found).await.expect(200);
        let refuse = json!({ "command": "refuse", "grounds": ["G04"], "reason": "Forged." });
        office.app.command(OTHER_OFFICER, &case.id, refuse).await.expect(200);
        office.app.advance(TimeDelta::days(60));
        let mut again = json!({ "command": command, "reason": "It was not forged." });
        again.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        office.app.command(SENIOR, &case.id, again).await.expect(200);
        office.drain().await;
        for (_, check) in ASKED {
            let check = office.check(&case, check).await;
            assert_eq!((&check["round"], &check["outcome"]), (&json!(2), &json!("clear")));
        }
        let passport = office.check(&case, "passport").await;
        assert_eq!((&passport["round"], &passport["outcome"]), (&json!(1), &json!("clear")));
        office.app.agreed(&case.id).await;
    }
}

#[actix_web::test]
async fn a_mended_form_waits_for_the_registers_alone_and_then_for_the_decision() {
    let office = Office::open().await;
    let case = office.checking("000").await;
    office.drain().await;
    for check in ["passport", "security"] {
        let finding = json!({ "command": "recordFinding", "check": check, "outcome": "clear" });
        office.app.command(OFFICER, &case.id, finding).await.expect(200);
    }
    assert_eq!(office.app.work(&case.id).await.as_deref(), Some("decision"));
    let due = office.app.today() + chrono::Days::new(10);
    let ask = json!({ "command": "requestInformation", "items": [{ "kind": "field",
        "subject": "The number", "reason": "A slip.", "dueOn": due, "field": "passport.number" }] });
    office.app.command(OFFICER, &case.id, ask).await.expect(200);
    let mut passport = office.app.see(&case.id).await["form"]["passport"].clone();
    passport["number"] = json!(format!("FC{}000", fresh() % 100_000 + 100_000));
    let answer = json!({ "command": "answerInformation",
        "answers": [{ "item": 1, "text": "A slip.", "form": { "passport": passport } }] });
    office.app.command(MIGRANT, &case.id, answer).await.expect(200);
    assert_eq!(office.app.work(&case.id).await.as_deref(), Some("registers"));
    office.drain().await;
    assert_eq!(office.app.work(&case.id).await.as_deref(), Some("decision"));
}

#[actix_web::test]
async fn of_many_processes_one_probes_a_register_that_is_half_open() {
    let office = Office::open().await;
    let now = office.app.now();
    let db = &office.app.app.db;
    let open = |row: &RegisterRow| RegisterRow {
        state: BreakerState::Open,
        failures: 5,
        retry_at: Some(now),
        ..row.clone()
    };
    let mut conn = db.conn().await.unwrap();
    registers::change(&mut conn, "taxNumbers", now, open).await.unwrap();
    drop(conn);
    let tries = (0..8).map(|_| async {
        let mut conn = db.conn().await.unwrap();
        let until = now + TimeDelta::seconds(60);
        registers::probe(&mut conn, "taxNumbers", now, until).await.unwrap()
    });
    let taken = futures_util::future::join_all(tries).await;
    assert_eq!(taken.iter().filter(|taken| **taken).count(), 1);
    let half_open = office.breaker("taxNumbers").await.unwrap();
    assert_eq!(half_open.state, BreakerState::HalfOpen);
    assert_eq!(office.shown("taxNumbers").await["state"], "halfOpen");
    assert_eq!(only(office.down(OFFICER).await.as_array().unwrap().clone())["since"], json!(now));

    // Whoever took the probe and died holds it up for a minute, not for ever.
    let case = office.checking("000").await;
    assert!(only(office.drain().await.later).0.contains(":taxNumber:"));
    office.app.advance(TimeDelta::minutes(2));
    office.drain().await;
    assert_eq!(office.found(&case, "taxNumber").await.0.as_deref(), Some("clear"));
    assert_eq!(office.breaker("taxNumbers").await.unwrap().state, BreakerState::Closed);
}

#[actix_web::test]
async fn nothing_is_believed_that_is_not_signed_whole_and_to_the_question() {
    let office = Office::open().await;
    let register = "taxNumbers";
    let case = office.checking("000").await;
    for (mode, why) in [
        (Mode::Lying, "another request"),
        (Mode::WrongSignature, "signature"),
        (Mode::Unsigned, "signature"),
        (Mode::Garbage, "cannot be read"),
    ] {
        office.simulator.play(register, mode);
        let report = office.drain().await;
        let (key, error) = only(report.retried);
        assert!(key.contains(":taxNumber:") && error.contains(why), "{mode:?}: {error}");
        assert_eq!(office.found(&case, "taxNumber").await.0, None, "{mode:?}");
        assert_eq!(office.request(&case, register).await.error.as_deref(), Some(error.as_str()));
        office.app.advance(TimeDelta::minutes(10));
    }
    assert_eq!(office.breaker(register).await.unwrap().failures, 4);
    office.simulator.play(register, Mode::Huge);
    assert!(only(office.drain().await.retried).1.contains("more than is read"));
    assert_eq!(office.breaker(register).await.unwrap().state, BreakerState::Open);
    office.app.advance(TimeDelta::minutes(10));

    office.simulator.play(register, Mode::Normal);
    office.drain().await;
    assert_eq!(office.found(&case, "taxNumber").await.0.as_deref(), Some("clear"));
    let request = office.request(&case, register).await;
    assert_eq!((request.attempts, request.error), (6, None));
    // The same request, whenever it was sent.
    let ids: Vec<Value> =
        office.simulator.questions(register).iter().map(|one| one["requestId"].clone()).collect();
    assert_eq!(ids.len(), 6);
    assert!(ids.iter().all(|id| *id == json!(request.id.to_string())), "{ids:?}");
    let metrics = office.metrics().await;
    let failed = "propusk_register_requests_total{register=\"taxNumbers\",outcome=\"failed\"} 5";
    assert!(metrics.contains(failed), "{metrics}");
}

#[actix_web::test]
async fn a_question_that_is_refused_is_not_sent_again() {
    let office = Office::open().await;
    office.simulator.play("taxNumbers", Mode::Refusing);
    let case = office.checking("000").await;
    let report = office.drain().await;
    assert_eq!((report.retried, report.dead), (vec![], vec![]));
    let check = office.check(&case, "taxNumber").await;
    assert_eq!((&check["outcome"], &check["clear"]), (&json!("error"), &json!(false)));
    assert_eq!(check["note"], "taxNumbers answers 400");
    let request = office.request(&case, "taxNumbers").await;
    assert_eq!((request.status.as_str(), request.outcome.as_deref()), ("failed", Some("error")));
    assert_eq!(office.breaker("taxNumbers").await.unwrap().failures, 1);

    // Once it is put right, the check is asked anew.
    office.simulator.play("taxNumbers", Mode::Normal);
    let again = json!({ "command": "repeatCheck", "check": "taxNumber", "reason": "Исправлено." });
    office.app.command(OFFICER, &case.id, again).await.expect(200);
    office.drain().await;
    let check = office.check(&case, "taxNumber").await;
    assert_eq!((&check["outcome"], &check["round"]), (&json!("clear"), &json!(2)));
}

#[actix_web::test]
async fn an_answer_that_is_too_late_is_recorded_and_ignored() {
    let office = Office::open().await;
    for register in REGISTERS {
        office.simulator.play(register, Mode::Later);
    }
    // Taken back meanwhile.
    let case = office.checking("000").await;
    office.drain().await;
    office.app.command(MIGRANT, &case.id, json!({ "command": "withdraw" })).await.expect(200);
    let version = office.app.version(&case.id).await;
    assert_eq!(office.answer(&case, "borderCrossings", "hit").await, "ignored");
    let request = office.request(&case, "borderCrossings").await;
    assert_eq!((request.status.as_str(), request.used), ("answered", Some(false)));
    assert_eq!(request.outcome.as_deref(), Some("hit"));
    assert_eq!(office.ignored(&case).await, 1);
    assert_eq!(office.answer(&case, "borderCrossings", "hit").await, "known");
    assert_eq!(office.ignored(&case).await, 1, "once recorded, it is known");
    assert_eq!(office.found(&case, "entry").await.0, None);
    assert_eq!(office.app.version(&case.id).await, version);

    // Asked anew meanwhile: the answer to the earlier question no longer counts.
    let case = office.checking("000").await;
    office.drain().await;
    let first = office.request(&case, "taxNumbers").await.id.to_string();
    let again =
        json!({ "command": "repeatCheck", "check": "taxNumber", "reason": "Новые данные." });
    office.app.command(OFFICER, &case.id, again).await.expect(200);
    office.drain().await;
    assert_ne!(office.request(&case, "taxNumbers").await.id.to_string(), first);
    let body = json!({ "requestId": first, "outcome": "hit" });
    let reply = office.call_back("taxNumbers", &first, KEY, &body).await.expect(200).json();
    assert_eq!(reply, json!({ "outcome": "ignored" }));
    assert_eq!(office.found(&case, "taxNumber").await.0, None);
    assert_eq!(office.ignored(&case).await, 1);
    assert_eq!(office.answer(&case, "taxNumbers", "clear").await, "taken");

    // Answered by hand before the register was asked: it is not told anything.
    office.simulator.play("taxNumbers", Mode::Normal);
    let case = office.checking("000").await;
    let asked = office.simulator.asked("taxNumbers");
    let finding = json!({ "command": "recordFinding", "check": "taxNumber", "outcome": "clear" });
    office.app.command(OFFICER, &case.id, finding).await.expect(200);
    office.drain().await;
    assert_eq!(office.simulator.asked("taxNumbers"), asked);
}

#[actix_web::test]
async fn the_same_answer_in_other_words_is_known_and_leaves_no_event() {
    let office = Office::open().await;
    let case = office.checking("911").await;
    office.drain().await;
    let before = office.app.written().await;
    let say = async |register: &str, mut body: Value| {
        let id = office.request(&case, register).await.id.to_string();
        body["requestId"] = json!(id);
        // As another program would write it: the bytes are not those of before.
        let body = format!(" {} ", serde_json::to_string_pretty(&body).unwrap());
        office.call_back(register, &id, KEY, &body).await.expect(200).json()["outcome"].clone()
    };
    let same = json!({ "outcome": "hit", "reason": "noEntry" });
    assert_eq!(say("borderCrossings", same).await, "known");
    for note in ["Нет въезда.", "Въезда нет; запрос 2."] {
        let worded = json!({ "outcome": "hit", "reason": "noEntry", "note": note });
        assert_eq!(say("borderCrossings", worded).await, "known");
        let worded = json!({ "outcome": "clear", "note": note });
        assert_eq!(say("taxNumbers", worded).await, "known");
    }
    assert_eq!(office.app.written().await, before, "nothing was written");
    // Another reason is another answer.
    let other = json!({ "outcome": "hit", "reason": "purposeNotWork" });
    assert_eq!(say("borderCrossings", other).await, "ignored");
    assert_eq!(office.ignored(&case).await, 1);

    // The same holds of what came too late.
    office.app.command(MIGRANT, &case.id, json!({ "command": "withdraw" })).await.expect(200);
    let late = json!({ "outcome": "hit", "reason": "illness" });
    assert_eq!(say("medicalCertificates", late).await, "ignored");
    assert_eq!(office.ignored(&case).await, 2);
    let worded = json!({ "outcome": "hit", "reason": "illness", "note": "Справка 7." });
    assert_eq!(say("medicalCertificates", worded).await, "known");
    assert_eq!(office.ignored(&case).await, 2);
}

#[actix_web::test]
async fn a_check_whose_last_day_passes_is_timed_out_and_a_late_answer_still_counts() {
    let office = Office::open().await;
    office.simulator.play("borderCrossings", Mode::Down);
    office.simulator.play("controlledPersons", Mode::Later);
    let case = office.checking("000").await;
    office.drain().await;
    let end: DateTime<Utc> = "2026-03-04T21:00:00Z".parse().unwrap();
    office.app.clock.set(end - TimeDelta::seconds(2));
    let report = office.drain().await;
    assert!(only(report.retried).0.contains(":entry:"));
    // However long the wait has grown, it ends with the last day.
    let next = "SELECT extract(epoch FROM run_at)::bigint FROM jobs \
                WHERE key LIKE 'askRegister:%:entry:1' AND finished_at IS NULL";
    let next: i64 = office.app.sql().await.query_one(next, &[]).await.unwrap().get(0);
    assert_eq!(next, end.timestamp());
    for check in ["entry", "entryBan"] {
        assert_eq!(office.found(&case, check).await.0, None);
    }
    office.app.clock.set(end);
    office.drain().await;
    for (register, check) in &ASKED[..2] {
        assert_eq!(office.found(&case, check).await.0.as_deref(), Some("timedOut"));
        let request = office.request(&case, register).await;
        assert_eq!(request.status, "timedOut");
        assert_eq!(request.outcome.as_deref(), Some(Outcome::TimedOut.name()));
        assert_eq!(office.check(&case, check).await["consequence"], "ask");
    }
    // Better late than never, while the application waits.
    assert_eq!(office.answer(&case, "controlledPersons", "clear").await, "taken");
    assert_eq!(office.found(&case, "entryBan").await.0.as_deref(), Some("clear"));
    assert_eq!(office.request(&case, "controlledPersons").await.status, "answered");
}

#[actix_web::test]
async fn a_register_that_nobody_listens_for_is_away() {
    // Bound but not listening: connections are refused, and nobody else gets the port.
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let url = format!("http://{}/", socket.local_addr().unwrap());
    let office = Office::open_with(Duration::from_secs(10), |config| {
        let key = Key::new(KEY.to_vec());
        config.registers =
            vec![Register::new("taxNumbers", &url, vec![key], Duration::from_secs(5))];
    })
    .await;
    let case = office.checking("000").await;
    let (_, error) = only(office.drain().await.retried);
    assert!(error.contains("does not answer"), "{error}");
    // The others are not configured: they are an officer's work, and no job asks them.
    assert_eq!(office.found(&case, "entry").await.0, None);
    assert_eq!(office.simulator.asked("borderCrossings"), 0);
    let (waiting, asked) = ("waiting", office.shown("taxNumbers").await);
    assert_eq!(asked[waiting], 1);
}

#[actix_web::test]
async fn a_register_that_is_slow_is_given_up_after_its_time_limit() {
    let office = Office::open_with(Duration::from_millis(300), |_| ()).await;
    office.simulator.play("taxNumbers", Mode::Slow);
    let case = office.checking("000").await;
    let (key, error) = only(office.drain().await.retried);
    assert!(key.contains(":taxNumber:") && error.contains("within 0.3 seconds"), "{error}");
    assert_eq!(office.found(&case, "language").await.0.as_deref(), Some("clear"));
    office.running.stop().await;
}

#[actix_web::test]
async fn a_slow_register_keeps_two_places_and_nobody_else_waits() {
    let office = Office::open_with(Duration::from_secs(30), |_| ()).await;
    office.simulator.play("taxNumbers", Play { delay_ms: Some(20_000), ..Mode::Slow.into() });
    let mut cases = Vec::new();
    for _ in 0..4 {
        cases.push(office.checking("000").await);
    }
    let worker = office.worker.clone();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let running = actix_web::rt::spawn(async move {
        worker.run(async move { drop(stopped.await) }).await;
    });
    // Everything else gets done while the slow one has two questions, and no more.
    let others = "SELECT count(*) FROM jobs WHERE finished_at IS NULL AND kind IN ('mail', 'askRegister') \
                  AND run_at <= to_timestamp($1::bigint::double precision) AND key NOT LIKE '%:taxNumber:%'";
    let sql = office.app.sql().await;
    let now = office.app.now().timestamp();
    let within = async {
        while sql.query_one(others, &[&now]).await.unwrap().get::<_, i64>(0) > 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(15), within)
        .await
        .expect("they wait for the slow one");
    assert_eq!(office.simulator.asked("taxNumbers"), 2);
    for case in &cases {
        for (_, check) in &ASKED[..5] {
            assert_eq!(office.found(case, check).await.0.as_deref(), Some("clear"));
        }
    }
    drop(stop);
    running.abort();
    office.running.stop().await;
}

#[actix_web::test]
async fn no_secret_and_no_answer_is_shown_or_logged() {
    let office = Office::open().await;
    let register = office.app.app.registers.get("taxNumbers").unwrap();
    let shown = format!("{register:?} {:?}", register.keys());
    let bytes = format!("{:?}", &KEY[..4]);
    assert!(!shown.contains(bytes.trim_matches(['[', ']'])), "{shown}");
    office
        .simulator
        .play("taxNumbers", Play { outcome: Some(AnswerOutcome::Hit), ..Mode::Lying.into() });
    let case = office.checking("000").await;
    let (_, error) = only(office.drain().await.retried);
    let request = office.request(&case, "taxNumbers").await;
    for told in [error, request.error.unwrap()] {
        assert_eq!(told, "answers another request");
    }
}
