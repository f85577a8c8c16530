//! Erasure: a person's data goes wherever it lies, never before its term, and the log with all its proofs stays.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::{Command as Process, Output};
use std::sync::Arc;

use chrono::{DateTime, Days, NaiveDate, TimeDelta, Utc};
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use propusk::app;
use propusk::audit::inspect;
use propusk::casework::Received;
use propusk::casework::erasure::{Kept, Reason, Round, Standing, Whose};
use propusk::clock::Clock as _;
use propusk::domain::event::Job;
use propusk::domain::fee::{Money, Payment};
use propusk::domain::workflow::command::Command;
use propusk::domain::workflow::definition::CommandName;
use propusk::error::{Error, ErrorCode, Refusal, Result};
use propusk::storage::audit;
use propusk::worker::documents::DocumentsHandler;
use propusk::worker::retention::{Retention, RetentionDoor, Rounds};
use propusk::worker::{Handler, Handlers, Outcome, Task, Wake, Worker, WorkerOptions};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tokio_postgres::Client;
use uuid::Uuid;

use crate::support::app::{
    AUDITOR, MIGRANT, OFFICER, OTHER_MIGRANT, OTHER_OFFICER, Person, SENIOR, TestApp,
};
use crate::support::cases::grounds;
use crate::support::db::test_dir;
use crate::support::drive::{Case, fresh};
use crate::support::office::{Office, render, start};

const REQUEST: Reason<'static> =
    Reason::Request { basis: "order 12-3 of the archive", role: "operator" };

// ── What is found, and where ─────────────────────────────────────────────────────────────────────────────────

/// Finds texts in any column of any table, partitions of the log included: where each is, as `schema.table.column`.
async fn places(client: &Client, texts: &[&str]) -> BTreeMap<String, BTreeSet<String>> {
    let columns = client
        .query(
            "SELECT table_schema::text, table_name::text, column_name::text, data_type::text \
             FROM information_schema.columns JOIN information_schema.tables \
             USING (table_schema, table_name) WHERE table_type = 'BASE TABLE' \
             AND table_schema NOT IN ('pg_catalog', 'information_schema')",
            &[],
        )
        .await
        .unwrap();
    assert!(columns.len() > 150, "only {} columns", columns.len());
    assert!(columns.iter().any(|row| row.get::<_, &str>(0) == "events_by_month"));
    let mut looks = Vec::new();
    for row in columns {
        let [schema, table, column, kind] = [0, 1, 2, 3].map(|at| row.get::<_, String>(at));
        let found = if kind == "bytea" {
            format!("position(convert_to(text, 'UTF8') IN \"{column}\") > 0")
        } else {
            format!("strpos(lower(\"{column}\"::text), lower(text)) > 0")
        };
        looks.push(format!(
            "SELECT text, '{schema}.{table}.{column}' FROM unnest($1::text[]) AS text \
             WHERE EXISTS (SELECT FROM \"{schema}\".\"{table}\" WHERE {found})"
        ));
    }
    let rows = client.query(&looks.join(" UNION ALL "), &[&texts]).await.unwrap();
    let mut places: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for row in rows {
        places.entry(row.get(0)).or_default().insert(row.get(1));
    }
    places
}

/// Finds a text in the names and contents of all files below a directory.
fn files_with(dir: &Path, text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(files_with(&path, text));
            continue;
        }
        let bytes = std::fs::read(&path).unwrap();
        let name = path.to_string_lossy().into_owned();
        if name.contains(text) || bytes.windows(text.len()).any(|part| part == text.as_bytes()) {
            found.push(name);
        }
    }
    found
}

/// One event: all but content and salt, the content, and whether there is a salt.
type Logged = (Value, Option<String>, bool);

/// Every event, in order.
async fn log(client: &Client) -> Vec<Logged> {
    let all = "SELECT (to_jsonb(e) - 'content' - 'salt')::text, content, salt IS NOT NULL FROM events e \
               ORDER BY id";
    let rows = client.query(all, &[]).await.unwrap();
    let json = |text: &str| serde_json::from_str(text).unwrap();
    rows.iter().map(|row| (json(row.get(0)), row.get(1), row.get(2))).collect()
}

/// Gives the ids that a query selects as text.
async fn ids(client: &Client, query: &str) -> BTreeSet<Uuid> {
    let rows = client.query(query, &[]).await.unwrap();
    rows.iter().map(|row| row.get::<_, &str>(0).parse().unwrap()).collect()
}

async fn count(client: &Client, of: &str) -> i64 {
    client.query_one(&format!("SELECT count(*) FROM {of}"), &[]).await.unwrap().get(0)
}

fn digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn paper(marker: &str) -> Vec<u8> {
    format!("%PDF-1.7\n% {marker}\n1 0 obj\n<< /Type /Catalog >>\nendobj\ntrailer <<>>\n%%EOF\n")
        .into_bytes()
}

// ── Everything of a person ───────────────────────────────────────────────────────────────────────────────────

/// What the person states that nobody else does.
const OWN: [&str; 27] = [
    "Рахмонзода",
    "Фирдавсджон",
    "Сулаймонович",
    "ZQ7654321",
    "1987-11-29",
    "9173 7654321",
    "7704407589",
    "ООО «Неповторимая»",
    "Верхолаз-уникум",
    "firdavs.unique@example.org",
    "+79035551234",
    "fine 4471-unique",
    "note about him",
    "a namesake of his",
    "page two of his papers",
    "illegible, says Anna of him",
    "his answer is here",
    "his false contract",
    "he did work there",
    "a word with his landlord",
    "his child is ill",
    "the child of his is well",
    "payer-account-of-his",
    "zq 7654-321",
    "his wife has paid, too",
    "RAKHMONZODA FIRDAVSDZHON",
    ADDRESS,
];

/// By which he logs in.
const ADDRESS: &str = "his.own.account@example.org";

fn own_form(app: &TestApp) -> Value {
    let mut form = app.form();
    form["person"] = json!({
        "familyName": "Рахмонзода", "givenName": "Фирдавсджон", "patronymic": "Сулаймонович",
        "birthDate": "1987-11-29", "sex": "male", "citizenship": "UZB",
    });
    form["passport"]["number"] = json!("ZQ7654321");
    form["entry"]["migrationCard"] = json!("9173 7654321");
    form["entry"]["fineReceipt"] = json!("fine 4471-unique");
    form["occupation"]["title"] = json!("Верхолаз-уникум");
    form["employer"] = json!({ "inn": "7704407589", "name": "ООО «Неповторимая»" });
    form["contact"] =
        json!({ "email": "firdavs.unique@example.org", "phone": "+79035551234", "language": "ru" });
    form
}

async fn hand_in(app: &TestApp, case: &Case, kind: &str, bytes: &[u8]) {
    let version = app.version(&case.id).await;
    app.put(&case.path(&format!("/documents/{kind}")))
        .by(case.applicant)
        .if_match(version)
        .body("application/pdf", bytes.to_vec())
        .send()
        .await
        .expect(200);
}

async fn tell_of_payment(app: &TestApp, uin: &Value, kopecks: &Value, payer: &str, outcome: &str) {
    let mut payment = json!({
        "id": format!("pay_{}", fresh()), "amountKopecks": kopecks, "paidAt": app.now(), "payer": payer,
    });
    if !uin.is_null() {
        payment["uin"] = uin.clone();
    }
    let reply = app.callback(payment).await.expect(200);
    assert_eq!(reply.json()["outcome"], outcome);
}

/// Walks an application of the migrant's through everything that takes a word of his or about him, to its annulment.
async fn whole_life(app: &TestApp) -> Case {
    let case = app.open(MIGRANT, "patent", own_form(app)).await;
    app.attach_all(&case, "patent").await;
    hand_in(app, &case, "fineReceipt", &paper("an earlier paper of his")).await;
    hand_in(app, &case, "fineReceipt", &paper("a paper of his")).await;
    hand_in(app, &case, "passport", &paper("a paper that two have")).await;
    let give = async |who: Person, command: Value| {
        app.command(who, &case.id, command).await.expect(200);
    };
    give(MIGRANT, json!({ "command": "submit" })).await;
    let owed = app.owed(&case.id).await;
    let amount = &owed["outstanding"]["kopecks"];
    tell_of_payment(app, &owed["uin"], amount, "payer-account-of-his", "booked").await;
    // Paid twice, and once without saying for what.
    tell_of_payment(app, &owed["uin"], amount, "payer-account-of-his", "waiting").await;
    tell_of_payment(app, &Value::Null, amount, "uzb, zq 765-4321", "waiting").await;
    let payment = json!({ "id": "by document", "amountKopecks": 1, "paidAt": app.now(),
        "payerDocument": "zq 7654-321", "kbk": "18210102040011000110" });
    assert_eq!(app.callback(payment).await.expect(200).json()["outcome"], "waiting");
    // One of them is about to be given back.
    let twice = "SELECT id::text FROM payments WHERE status = 'waiting' AND uin IS NOT NULL";
    let twice: String = app.sql().await.query_one(twice, &[]).await.unwrap().get(0);
    app.post(&format!("/v1/payments/{twice}/refund"))
        .by(OFFICER)
        .key("refund")
        .if_match(1)
        .json(json!({ "step": "propose", "reason": "his wife has paid, too" }))
        .send()
        .await
        .expect(200);
    give(OFFICER, json!({ "command": "accept" })).await;
    let version = app.version(&case.id).await;
    let note = app.post(&case.path("/notes")).by(OFFICER).key("a-note").if_match(version);
    note.json(json!({ "text": "a word with his landlord" })).send().await.expect(200);
    let first = app.put(&case.path("/expedition")).by(SENIOR).if_match(version + 1);
    first.json(json!({ "reason": "his child is ill" })).send().await.expect(200);
    let path = case.path("/expedition?reason=the%20child%20of%20his%20is%20well");
    app.delete(&path).by(SENIOR).if_match(version + 2).send().await.expect(200);
    let again = app.put(&case.path("/expedition")).by(SENIOR).if_match(version + 3);
    again.json(json!({ "reason": "his child is ill" })).send().await.expect(200);
    let until = app.today() + Days::new(5);
    give(
        OFFICER,
        json!({ "command": "requestInformation", "items": [{
            "kind": "document", "subject": "page two of his papers",
            "reason": "illegible, says Anna of him", "dueOn": until }] }),
    )
    .await;
    hand_in(app, &case, "registration", &paper("an answer of his")).await;
    give(
        MIGRANT,
        json!({ "command": "answerInformation", "answers": [{ "item": 1, "text": "his answer is here" }] }),
    )
    .await;
    app.clear(&case.id).await;
    give(
        OFFICER,
        json!({ "command": "recordFinding", "check": "entry", "outcome": "hit", "note": "note about him" }),
    )
    .await;
    give(
        SENIOR,
        json!({ "command": "overrideFinding", "check": "entry", "reason": "a namesake of his" }),
    )
    .await;
    give(OTHER_OFFICER, json!({ "command": "grant" })).await;
    app.pay(&case.id).await;
    give(OFFICER, json!({ "command": "handOver" })).await;
    let propose = json!({ "command": "proposeAnnulment", "grounds": ["G17"], "reason": "his false contract" });
    give(OFFICER, propose.clone()).await;
    give(SENIOR, json!({ "command": "rejectAnnulment", "reason": "he did work there" })).await;
    give(OFFICER, propose).await;
    app::worker(&app.app).unwrap().drain().await.unwrap();
    give(SENIOR, json!({ "command": "confirmAnnulment" })).await;
    assert_eq!(app.state(&case.id).await, "annulled");
    case
}

#[actix_web::test]
async fn nothing_of_a_person_is_found_after_erasure_and_everything_of_others_is() {
    let mut documents = None;
    let app =
        TestApp::spawn_with(|config| documents = Some(config.documents_directory.clone())).await;
    let documents = documents.unwrap();
    let owner = app.sql().await;
    let own = "UPDATE accounts SET name = 'RAKHMONZODA FIRDAVSDZHON', email = $2 WHERE email = $1";
    owner.execute(own, &[&MIGRANT.email(), &ADDRESS]).await.unwrap();
    let login = json!({ "email": ADDRESS, "password": crate::support::app::PASSWORD });
    app.post("/v1/session").json(login).send().await.expect(200);

    let case = whole_life(&app).await;
    let id: Uuid = case.id.parse().unwrap();
    let number = app.see(&case.id).await["permit"]["number"].as_str().unwrap().to_owned();
    // Somebody else, who has one paper in common with him.
    let other = app.draft(OTHER_MIGRANT, "patent").await;
    hand_in(&app, &other, "fineReceipt", &paper("a paper that two have")).await;
    app.command(OTHER_MIGRANT, &other.id, json!({ "command": "withdraw" })).await.expect(200);
    let others = app.see(&other.id).await;

    let known = places(&owner, &OWN).await;
    for text in OWN {
        assert!(known.contains_key(text), "{text} is nowhere to begin with");
    }
    for place in [
        "accounts.name",
        "applications.form",
        "applications.notes",
        "applications.expedited",
        "payments.payer",
        "payments.payer_document",
        "payments.refund",
        "messages.recipient",
    ] {
        let place = format!("public.{place}");
        assert!(known.values().any(|places| places.contains(&place)), "{place}");
    }
    for text in ["an earlier paper of his", "a paper of his", "an answer of his"] {
        assert_eq!(files_with(&documents, text).len(), 1, "{text}");
    }
    app.publish().await;
    let verified = async || {
        let keys = app.app.log_keys.verifiers();
        inspect::verify(&app.app.db, &keys, &[], None, &|_, _| ()).await.unwrap().unwrap()
    };
    assert_eq!(verified().await.erased, 0);
    let before = log(&owner).await;
    let rows = "SELECT to_jsonb(c)::text FROM charges c UNION ALL SELECT (to_jsonb(p) - 'payer' - 'payer_document' - 'refund')::text \
                FROM payments p UNION ALL SELECT (to_jsonb(c) - 'note' - 'override_reason')::text \
                FROM checks c ORDER BY 1";
    let texts = async || -> Vec<String> {
        owner.query(rows, &[]).await.unwrap().iter().map(|row| row.get(0)).collect()
    };
    let numbers = texts().await;

    // Five years after the last day that is printed on the permit.
    let from: NaiveDate = "2032-03-03".parse().unwrap();
    app.clock.set(
        from.and_hms_opt(0, 0, 0).unwrap().and_utc() - TimeDelta::hours(3) - TimeDelta::seconds(1),
    );
    let refused = app.app.casework.erase(Whose::Application(id), REQUEST).await;
    assert_eq!(refusal(refused).facts["possibleFrom"], "2032-03-03");
    app.advance(TimeDelta::seconds(1));
    app.app.casework.erase(Whose::Application(id), REQUEST).await.unwrap();
    let done = app::worker(&app.app).unwrap().drain().await.unwrap();
    assert_eq!(done.done, [format!("deleteDocuments:{id}")], "{done:?}");

    assert_eq!(places(&owner, &OWN).await, BTreeMap::new());
    for text in ["an earlier paper of his", "a paper of his", "an answer of his"] {
        assert_eq!(files_with(&documents, text), Vec::<String>::new(), "{text}");
        assert_eq!(files_with(&documents, &digest(&paper(text))), Vec::<String>::new(), "{text}");
    }
    let after = log(&owner).await;
    // What two have is still there for the other one, as is all the rest of his.
    assert_eq!(app.see(&other.id).await, others);
    let photo = format!("/v1/applications/{}/documents/fineReceipt", other.id);
    let bytes = app.get(&photo).by(OTHER_MIGRANT).send().await.expect(200).body;
    assert_eq!(bytes, paper("a paper that two have"));
    assert_eq!(texts().await, numbers);

    // The log: every event in its place with everything but the content of his; one more.
    assert_eq!(after.len(), before.len() + 1);
    let mut erased = BTreeMap::new();
    for ((old, before, _), (new, content, salt)) in before.iter().zip(&after) {
        assert_eq!(old, new);
        let money = ["paymentReceived", "refundProposed"].map(|kind| json!(kind));
        let his = old["application_id"] == json!(id) || money.contains(&old["kind"]);
        assert_eq!((content.is_some(), *salt), (!his, !his), "{old}");
        if his {
            *erased.entry(old["kind"].as_str().unwrap().to_owned()).or_insert(0) += 1;
        } else {
            assert_eq!(before, content);
        }
    }
    assert_eq!((erased["paymentReceived"], erased["refundProposed"]), (3, 1));
    let (event, content, _) = after.last().unwrap();
    assert_eq!((&event["kind"], &event["unit_code"]), (&json!("erased"), &json!("77")));
    assert_eq!((&event["application_id"], &event["actor_role"]), (&json!(id), &json!("operator")));
    let content: Value = serde_json::from_str(content.as_ref().unwrap()).unwrap();
    assert_eq!(content["basis"], "order 12-3 of the archive");
    assert_eq!(content["endedOn"], "2027-03-02");
    assert_eq!(content["possibleFrom"], "2032-03-03");
    assert_eq!(content["term"]["length"], "5 years");
    assert_eq!(content["term"]["outcome"], "granted");
    let receipts = after.iter().filter(|(event, ..)| {
        ["paymentReceived", "refundProposed"].map(|kind| json!(kind)).contains(&event["kind"])
    });
    let receipts: Vec<&Value> = receipts.map(|(event, ..)| &event["id"]).collect();
    assert_eq!(content["receipts"], json!(receipts));

    // Whoever verifies the log tells what was erased from what is missing.
    app.publish().await;
    let verified = verified().await;
    let leaves = log(&owner).await.len() as u64;
    assert_eq!((verified.leaves, verified.erased), (leaves, erased.values().sum()));

    is_seen_by_nobody(&app, &case, &number).await;
}

/// What each side of the counter gets to see of an application that was erased.
async fn is_seen_by_nobody(app: &TestApp, case: &Case, number: &str) {
    for who in [MIGRANT, OFFICER, SENIOR, AUDITOR] {
        for below in ["", "/history", "/clock", "/documents/fineReceipt"] {
            let reply = app.get(&case.path(below)).by(who).send().await.expect(404);
            reply.problem("not-found");
        }
    }
    for (who, command) in [(MIGRANT, "withdraw"), (OFFICER, "accept")] {
        let call = app.post(&case.path("/commands")).by(who).key(&fresh().to_string()).if_match(9);
        call.json(json!({ "command": command })).send().await.expect(404);
    }
    let list = app.get("/v1/applications").by(MIGRANT).send().await.expect(200).json();
    assert_eq!(list["items"], json!([]));
    app.get(&format!("/v1/status/{}", case.reference)).send().await.expect(404);
    for birth_date in ["1987-11-29", "1990-05-17"] {
        app.post(&format!("/v1/status/{}/details", case.reference))
            .json(json!({ "birthDate": birth_date }))
            .send()
            .await
            .expect(404);
    }
    // Whoever holds the paper in his hand still learns that it is not valid, and no more.
    let permit = app.get(&format!("/v1/permits/{number}")).send().await.expect(200).json();
    assert_eq!((&permit["valid"], &permit["reason"]), (&json!(false), &json!("annulled")));
    assert_eq!(permit.get("profession"), None);
    // The account is gone: neither the old password nor any other opens it.
    let login = json!({ "email": ADDRESS, "password": crate::support::app::PASSWORD });
    app.post("/v1/session").json(login).send().await.expect(401);
    // Auditors see that it was, when, by whom in which role; but for the erasure itself not what.
    let events = format!("/v1/audit/events?application={}&limit=100", case.id);
    let events = app.get(&events).by(AUDITOR).send().await.expect(200).json();
    let items = events["items"].as_array().unwrap();
    assert!(items.len() > 20);
    for item in items {
        assert_eq!(item.get("content").is_some(), item["kind"] == "erased", "{item}");
    }
}

// ── When ─────────────────────────────────────────────────────────────────────────────────────────────────────

fn refusal<T: std::fmt::Debug>(result: Result<T>) -> Box<Refusal> {
    match result.unwrap_err() {
        Error::Refused(refusal) => refusal,
        other => panic!("{other:?}"),
    }
}

fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

/// An application of the migrant's that was handed in and withdrawn at the start.
async fn withdrawn(office: &Office, passport: &str) -> Uuid {
    let id = office.draft(&office.migrant, "patent", passport).await.unwrap();
    office.give(&office.migrant, id, Command::Submit).await.unwrap();
    office.give(&office.migrant, id, Command::Withdraw { reason: None }).await.unwrap();
    id
}

/// A patent that was handed over at the start and has lapsed a month later.
async fn lapsed(office: &Office, passport: &str) -> Uuid {
    let id = office.in_force(passport).await;
    office.clock.set(start() + TimeDelta::days(33));
    office.casework.deadline(id, CommandName::Lapse).await.unwrap();
    assert_eq!(office.now(id).await.application.state, "lapsed");
    id
}

async fn refused(office: &Office, passport: &str) -> Uuid {
    let id = office.checked("patent", passport).await;
    let refuse = Command::Refuse { grounds: grounds("G01"), reason: "no".into() };
    office.give(&office.boris, id, refuse).await.unwrap();
    id
}

/// What is erased.
async fn erased(office: &Office) -> BTreeSet<Uuid> {
    let erased = "SELECT id::text FROM applications WHERE erased_at IS NOT NULL";
    ids(&office.owner().await, erased).await
}

async fn erase(office: &Office, id: Uuid) -> Result<Vec<Kept>> {
    office.casework.erase(Whose::Application(id), REQUEST).await
}

#[tokio::test]
async fn what_was_erased_is_not_reopened_and_why_it_once_was_is_gone() {
    let office = Office::open().await;
    let id = refused(&office, "FA1234567").await;
    let reopen = Command::Reopen { reason: "Karimov asked".into(), basis: "complaint".into() };
    office.give(&office.senior, id, reopen.clone()).await.unwrap();
    let refuse = Command::Refuse { grounds: grounds("G01"), reason: "no".into() };
    office.give(&office.boris, id, refuse).await.unwrap();
    office.clock.set(at("2046-03-11T21:00:00Z"));
    erase(&office, id).await.unwrap();
    let again = office.casework.execute(&office.senior.ask(), id, &reopen, &render).await;
    assert_eq!(refusal(again).code, ErrorCode::NotFound);
    let left = format!("SELECT corrections::text FROM applications WHERE id = '{id}'");
    let left: String = office.owner().await.query_one(&left, &[]).await.unwrap().get(0);
    assert!(left.contains("\"reopen\"") && !left.contains("Karimov"), "{left}");
}

#[tokio::test]
async fn what_is_over_is_kept_to_the_last_moment_of_its_term() {
    let office = Office::open().await;
    let id = withdrawn(&office, "FA1234567").await;
    // The last second of the last day, in Moscow.
    office.clock.set(at("2027-03-10T20:59:59Z"));
    let refused = refusal(erase(&office, id).await);
    assert_eq!(refused.code, ErrorCode::RuleRefused);
    assert_eq!(refused.facts["possibleFrom"], "2027-03-11");
    assert_eq!(
        refused.detail,
        "It is kept until its term is over; it can be erased from 2027-03-11 on."
    );
    assert_eq!(erased(&office).await, BTreeSet::new());
    office.clock.set(at("2027-03-10T21:00:00Z"));
    let gone = erase(&office, id).await.unwrap();
    assert_eq!(gone.len(), 1);
    assert_eq!(gone[0].standing, Standing::Erased(at("2027-03-10T21:00:00Z")));
    assert_eq!(erased(&office).await, BTreeSet::from([id]));
}

#[tokio::test]
async fn a_lapsed_permit_is_kept_from_the_day_that_is_printed_on_it() {
    let office = Office::open().await;
    let id = lapsed(&office, "FA1234567").await;
    let permit = office.now(id).await.application.permit.unwrap();
    assert_eq!(permit.ends_on, "2027-03-10".parse().unwrap());
    office.clock.set(at("2032-03-10T12:00:00Z"));
    assert_eq!(refusal(erase(&office, id).await).facts["possibleFrom"], "2032-03-11");
    office.clock.set(at("2032-03-11T12:00:00Z"));
    erase(&office, id).await.unwrap();
}

#[tokio::test]
async fn what_is_open_is_not_erased_however_old() {
    let office = Office::open().await;
    let draft = office.draft(&office.migrant, "patent", "FA1234567").await.unwrap();
    let in_force = office.in_force("FA7654321").await;
    office.clock.set(at("2099-01-01T00:00:00Z"));
    for (id, state) in [(draft, "draft"), (in_force, "inForce")] {
        let refused = refusal(erase(&office, id).await);
        assert_eq!(refused.code, ErrorCode::RuleRefused);
        let told =
            format!("It is still open, in the state '{state}'; only what is over can be erased.");
        assert_eq!(refused.detail, told);
        assert!(!refused.facts.contains_key("possibleFrom"));
    }
    assert_eq!(erased(&office).await, BTreeSet::new());
    assert_eq!(office.agreed(in_force).await.len(), 21);
}

#[tokio::test]
async fn what_was_erased_is_not_erased_twice_and_what_is_not_there_not_at_all() {
    let office = Office::open().await;
    let id = withdrawn(&office, "FA1234567").await;
    office.clock.set(at("2028-01-01T00:00:00Z"));
    erase(&office, id).await.unwrap();
    let twice = refusal(erase(&office, id).await);
    assert_eq!(twice.code, ErrorCode::RuleRefused);
    assert_eq!(twice.detail, "It was erased on 2028-01-01; nothing is left to erase.");
    assert_eq!(refusal(erase(&office, Uuid::nil()).await).code, ErrorCode::NotFound);
    assert_eq!(count(&office.owner().await, "events WHERE kind = 'erased'").await, 1);
}

#[tokio::test]
async fn a_person_is_erased_whole_or_not_at_all() {
    let office = Office::open().await;
    let first = withdrawn(&office, "FA1234567").await;
    let stranger = withdrawn(&office, "FA7654321").await;
    office.clock.set(at("2026-10-01T09:00:00Z"));
    let second = office.draft(&office.migrant, "patent", "FA1234567").await.unwrap();
    office.give(&office.migrant, second, Command::Withdraw { reason: None }).await.unwrap();
    let draft = office.draft(&office.migrant, "patent", "FA1234567").await.unwrap();
    let whose = Whose::Person("UZB:FA1234567");
    let told = async || {
        let refused = refusal(office.casework.erase(whose, REQUEST).await);
        assert_eq!(refused.code, ErrorCode::RuleRefused);
        assert!(refused.detail.starts_with("Nothing was erased"), "{}", refused.detail);
        let told = refused.violations.iter().map(|one| (one.pointer.clone(), one.code.to_string()));
        let told: BTreeMap<String, String> = told.collect();
        let from = refused.facts.get("possibleFrom").map(|from| from.as_str().unwrap().to_owned());
        (told, from)
    };
    let says = |ids: &[(Uuid, &str)]| -> BTreeMap<String, String> {
        ids.iter().map(|(id, code)| (id.to_string(), (*code).to_owned())).collect()
    };

    office.clock.set(at("2027-06-01T00:00:00Z"));
    assert_eq!(told().await, (says(&[(second, "within-term"), (draft, "open")]), None));
    office.give(&office.migrant, draft, Command::Withdraw { reason: None }).await.unwrap();
    let from = Some("2028-06-02".to_owned());
    assert_eq!(told().await, (says(&[(second, "within-term"), (draft, "within-term")]), from));
    assert_eq!(erased(&office).await, BTreeSet::new());

    office.clock.set(at("2028-07-01T00:00:00Z"));
    let kept = office.casework.kept(whose).await.unwrap();
    assert!(kept.iter().all(|one| matches!(one.standing, Standing::Since(_))), "{kept:?}");
    let gone = office.casework.erase(whose, REQUEST).await.unwrap();
    let all = BTreeSet::from([first, second, draft]);
    assert_eq!(gone.iter().map(|one| one.id).collect::<BTreeSet<_>>(), all);
    assert_eq!(erased(&office).await, all);
    assert_eq!(office.casework.kept(whose).await.unwrap(), []);
    let nobody = office.casework.erase(whose, REQUEST).await;
    assert_eq!(refusal(nobody).code, ErrorCode::NotFound);
    assert!(office.casework.see(&office.migrant.actor(), stranger, |_| Ok(())).await.is_ok());
}

#[tokio::test]
async fn a_basis_that_is_empty_or_names_the_person_is_refused() {
    let office = Office::open().await;
    let id = withdrawn(&office, "FA1234567").await;
    office.clock.set(at("2028-01-01T00:00:00Z"));
    let long = "x".repeat(501);
    for (basis, code) in [
        (" ", "length"),
        ("two\nlines", "length"),
        (&long, "length"),
        ("Request of Mr. КАРИМОВ", "names-the-person"),
        ("passport fa1234567", "names-the-person"),
    ] {
        let reason = Reason::Request { basis, role: "operator" };
        let refused = refusal(office.casework.erase(Whose::Application(id), reason).await);
        assert_eq!(refused.code, ErrorCode::InvalidRequest);
        assert_eq!(refused.violations[0].code, code, "{basis}");
    }
    assert_eq!(erased(&office).await, BTreeSet::new());
}

// ── Who else ─────────────────────────────────────────────────────────────────────────────────────────────────

#[tokio::test]
async fn a_migrants_account_goes_with_his_last_application_and_an_employers_stays() {
    let office = Office::open().await;
    let owner = office.owner().await;
    let first = withdrawn(&office, "FA1234567").await;
    let second = withdrawn(&office, "FA7654321").await;
    let company = office.draft(&office.employer, "patent", "FB1234567").await.unwrap();
    office.give(&office.employer, company, Command::Withdraw { reason: None }).await.unwrap();
    let session = "INSERT INTO sessions SELECT gen_random_uuid(), id, now(), now() + interval '10 years' \
                   FROM accounts";
    owner.batch_execute(session).await.unwrap();
    let account = async |id: Uuid| -> Value {
        let one = format!(
            "SELECT jsonb_build_object('email', email, 'name', name, 'hash', password_hash, 'disabledAt', \
             disabled_at AT TIME ZONE 'UTC', 'sessions', (SELECT count(*) FROM sessions s \
             WHERE s.account_id = a.id))::text FROM accounts a WHERE id = '{id}'"
        );
        serde_json::from_str(owner.query_one(&one, &[]).await.unwrap().get(0)).unwrap()
    };
    office.clock.set(at("2028-01-01T00:00:00Z"));
    let (migrant, employer) = (account(office.migrant.id).await, account(office.employer.id).await);
    erase(&office, first).await.unwrap();
    assert_eq!(account(office.migrant.id).await, migrant);
    erase(&office, company).await.unwrap();
    assert_eq!(account(office.employer.id).await, employer);
    erase(&office, second).await.unwrap();
    let gone = json!({
        "email": format!("erased-{}@erased.invalid", office.migrant.id), "name": "[erased]", "hash": "",
        "disabledAt": "2028-01-01T00:00:00", "sessions": 0,
    });
    assert_eq!(account(office.migrant.id).await, gone);
    assert_eq!(account(office.employer.id).await, employer);
}

#[tokio::test]
async fn two_who_are_erased_at_once_do_not_leave_their_common_document_to_one_another() {
    let office = Office::open().await;
    let ids = [withdrawn(&office, "FA1234567").await, withdrawn(&office, "FA7654321").await];
    office.clock.set(at("2028-01-01T00:00:00Z"));
    let (one, other) = tokio::join!(erase(&office, ids[0]), erase(&office, ids[1]));
    one.unwrap();
    other.unwrap();
    let digests = "SELECT payload -> 'digests' ->> 0 FROM jobs WHERE kind = 'deleteDocuments'";
    let rows = office.owner().await.query(digests, &[]).await.unwrap();
    let digests: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
    assert_eq!(digests, ["00".repeat(32)]);
}

#[actix_web::test]
async fn a_document_that_somebody_else_hands_in_before_it_is_deleted_stays() {
    let app = TestApp::spawn().await;
    let case = app.draft(MIGRANT, "patent").await;
    hand_in(&app, &case, "fineReceipt", &paper("shared")).await;
    app.command(MIGRANT, &case.id, json!({ "command": "withdraw" })).await.expect(200);
    app.advance(TimeDelta::days(400));
    let id = case.id.parse().unwrap();
    app.app.casework.erase(Whose::Application(id), REQUEST).await.unwrap();

    let other = app.open(OTHER_MIGRANT, "patent", json!({})).await;
    hand_in(&app, &other, "fineReceipt", &paper("shared")).await;
    let done = app::worker(&app.app).unwrap().drain().await.unwrap();
    assert!(done.done.contains(&format!("deleteDocuments:{id}")), "{done:?}");
    let photo = other.path("/documents/fineReceipt");
    let bytes = app.get(&photo).by(OTHER_MIGRANT).send().await.expect(200).body;
    assert_eq!(bytes, paper("shared"));
    // The ones that only he had are gone.
    assert_eq!(
        app.app.blobs.get(&digest(crate::support::drive::PDF)).await.unwrap_err().code(),
        ErrorCode::NotFound
    );

    // A job that is run again, and one that broke off half way, end the same.
    let handler = DocumentsHandler::new(app.app.db.clone(), app.app.blobs.clone());
    let digests = vec![digest(&paper("shared")), "no digest".to_owned(), digest(b"unknown")];
    let job = Job::DeleteDocuments { application: id, digests };
    let task = Task { key: job.key(), job, attempt: 2, last: false };
    drop(app.app.blobs.set_aside(&digest(&paper("shared"))).await.unwrap());
    assert_eq!(handler.run(&task).await, Outcome::Done);
    app.get(&photo).by(OTHER_MIGRANT).send().await.expect(200);
}

#[tokio::test]
async fn money_that_comes_after_the_erasure_waits_for_an_officer() {
    let office = Office::open().await;
    let id = withdrawn(&office, "FA1234567").await;
    let charge = office.now(id).await.application.charges[0].clone();
    office.clock.set(at("2028-01-01T00:00:00Z"));
    erase(&office, id).await.unwrap();
    let payment = Payment {
        provider_id: "test:late".into(),
        uin: Some(charge.uin),
        amount: Money::from_kopecks(100).unwrap(),
        paid_at: office.clock.now(),
        payer: None,
        ..Payment::default()
    };
    assert_eq!(office.casework.receive(&payment).await.unwrap(), Received::Waiting);
    assert_eq!(office.casework.receive(&payment).await.unwrap(), Received::Known);
}

#[tokio::test]
async fn money_that_names_the_passport_alone_keeps_its_payer_while_the_person_has_another_application()
 {
    let office = Office::open().await;
    let first = withdrawn(&office, "FA1234567").await;
    office.clock.advance(TimeDelta::days(1));
    let second = withdrawn(&office, "FA1234567").await;
    let pay = async |provider_id: &str, payer: &str| {
        let payment = Payment {
            provider_id: provider_id.into(),
            uin: None,
            amount: Money::from_kopecks(100).unwrap(),
            paid_at: office.clock.now(),
            payer: Some(payer.into()),
            ..Payment::default()
        };
        assert_eq!(office.casework.receive(&payment).await.unwrap(), Received::Waiting);
    };
    pay("test:his", "UZB FA 1234567").await;
    pay("test:another", "UZB FA7654321").await;
    let owner = office.owner().await;
    let payers = async || -> Vec<(String, bool)> {
        let all = "SELECT payer, (SELECT bool_and(content IS NOT NULL) FROM events e \
                   WHERE e.at = p.received_at AND e.kind = 'paymentReceived' \
                   AND coalesce(strpos(e.content, p.provider_id) > 0, true)) \
                   FROM payments p ORDER BY provider_id";
        let rows = owner.query(all, &[]).await.unwrap();
        rows.iter().map(|row| (row.get(0), row.get::<_, bool>(1))).collect()
    };
    office.clock.set(at("2028-01-01T00:00:00Z"));
    erase(&office, first).await.unwrap();
    let both = [("UZB FA7654321".to_owned(), true), ("UZB FA 1234567".to_owned(), true)];
    assert_eq!(payers().await, both);
    erase(&office, second).await.unwrap();
    let after = payers().await;
    assert_eq!(after[0].0, "UZB FA7654321");
    assert_eq!(after[1], ("[erased]".to_owned(), false));
    assert_eq!(
        count(&owner, "events WHERE kind = 'paymentReceived' AND content IS NOT NULL").await,
        1
    );
}

#[tokio::test]
async fn what_is_erased_is_not_replayed() {
    let office = Office::open().await;
    let gone = withdrawn(&office, "FA1234567").await;
    let there = withdrawn(&office, "FA7654321").await;
    office.clock.set(at("2028-01-01T00:00:00Z"));
    erase(&office, gone).await.unwrap();
    let mut conn = office.db.conn().await.unwrap();
    assert_eq!(audit::application_ids(&mut conn, None, 10).await.unwrap(), [there]);
    drop(conn);
    office.agreed(there).await;
}

// ── The database defends it ──────────────────────────────────────────────────────────────────────────────────

#[tokio::test]
async fn the_service_can_erase_what_is_closed_and_nothing_else_in_any_other_way() {
    let office = Office::open().await;
    let open = office.submitted(&office.migrant, "patent", "FA1234567").await;
    let closed = withdrawn(&office, "FA7654321").await;
    let gone = withdrawn(&office, "FB7654321").await;
    office.clock.set(at("2028-01-01T00:00:00Z"));
    erase(&office, gone).await.unwrap();
    let before = log(&office.owner().await).await;
    let service = office.owner().await;
    service.batch_execute("SET ROLE propusk_service").await.unwrap();
    let empty = "form = '{}', documents = '[]', information = '[]', proposal = NULL, person_key = NULL, \
                 person_name = NULL, birth_date = NULL, decision = NULL";
    for statement in [
        format!(
            "SET propusk.erasing = '{closed}'; UPDATE events SET content = NULL, salt = NULL WHERE application_id = '{closed}'"
        ),
        "SET propusk.erasing = ''; DELETE FROM events".to_owned(),
        format!("SELECT erase_application('{open}', now(), 'x')"),
        format!("SELECT erase_application('{gone}', now(), 'x')"),
        format!("SELECT erase_application('{}', now(), 'x')", Uuid::nil()),
        // Nobody hides a change by calling the application erased, or fills an erased one with another's data.
        format!(
            "UPDATE applications SET {empty}, erased_at = now(), erasure_basis = 'x' WHERE id = '{closed}'"
        ),
        format!(
            "UPDATE applications SET erased_at = NULL, erasure_basis = NULL, person_key = 'x', \
             birth_date = now() WHERE id = '{gone}'"
        ),
        format!("UPDATE applications SET version = version + 1 WHERE id = '{gone}'"),
        format!(
            "INSERT INTO applications (id, reference, track, workflow_version, unit_code, applicant_id, state, \
                 phase, version, created_at, state_since, form, erased_at, erasure_basis) \
                 VALUES (gen_random_uuid(), 'R', 'patent', 1, '77', '{}', 'withdrawn', 'closed', 1, now(), \
                 now(), '{{}}', now(), 'x')",
            office.migrant.id
        ),
        "CREATE OR REPLACE FUNCTION refuse_writing_erased() RETURNS trigger LANGUAGE plpgsql \
         AS 'BEGIN RETURN NEW; END'"
            .to_owned(),
    ] {
        let error = service.batch_execute(&statement).await.expect_err(&statement);
        assert_eq!(error.code().unwrap().code(), "42501", "{statement}");
    }
    assert_eq!(log(&office.owner().await).await, before);
    // What the function does, it does whole, and not without an event that says so.
    let function = format!("SELECT erase_application('{closed}', now(), 'x')");
    let error = service.batch_execute(&function).await.unwrap_err();
    assert_eq!(error.code().unwrap().code(), "23000");
    assert_eq!(log(&office.owner().await).await, before);
    service
        .batch_execute(&format!(
            "BEGIN; {function}; INSERT INTO events (id, at, kind, actor_role, application_id, content, salt, \
             commitment, pseudonym) VALUES (gen_random_uuid(), now(), 'erased', 'operator', '{closed}', '{{}}', \
             sha256(''), sha256(''), substr(sha256(''), 1, 16)); COMMIT"
        ))
        .await
        .unwrap();
    let left = format!("events WHERE application_id = '{closed}' AND content IS NOT NULL");
    assert_eq!(count(&service, &left).await, 1);
}

// ── Once a day ───────────────────────────────────────────────────────────────────────────────────────────────

fn retention(office: &Office) -> Retention {
    Retention::new(office.db.clone(), office.clock.clone(), office.casework.clone())
}

/// Goes once round.
async fn go_round(retention: &Retention, rounds: &mut Rounds) {
    while retention.go_on(rounds).await {}
}

#[tokio::test]
async fn each_day_exactly_what_has_outlived_its_term_goes() {
    let office = Office::open().await;
    let undecided = withdrawn(&office, "FA0000001").await;
    let expired_draft = office.draft(&office.migrant, "patent", "FA0000002").await.unwrap();
    let refused = refused(&office, "FA0000003").await;
    let specialist =
        office.submitted(&office.employer, "highly-qualified-specialist", "FA0000004").await;
    office.give(&office.employer, specialist, Command::Withdraw { reason: None }).await.unwrap();
    let open = office.in_force("FA0000005").await;
    let lapsed = lapsed(&office, "FA0000006").await;
    office.casework.deadline(expired_draft, CommandName::ExpireDraft).await.unwrap();

    let (retention, mut rounds) = (retention(&office), Rounds::default());
    let mut gone = BTreeSet::new();
    for (day, due) in [
        ("2027-03-10T12:00:00Z", vec![]),
        ("2027-03-11T12:00:00Z", vec![undecided, specialist]),
        ("2027-04-12T12:00:00Z", vec![]),
        ("2027-04-13T12:00:00Z", vec![expired_draft]),
        ("2031-03-10T12:00:00Z", vec![]),
        ("2031-03-11T12:00:00Z", vec![refused]),
        ("2032-03-10T12:00:00Z", vec![]),
        ("2032-03-11T12:00:00Z", vec![lapsed]),
        ("2090-01-01T00:00:00Z", vec![]),
    ] {
        office.clock.set(at(day));
        go_round(&retention, &mut rounds).await;
        assert_eq!((rounds.erased, rounds.failed), (due.len(), 0), "{day}");
        gone.extend(due);
        assert_eq!(erased(&office).await, gone, "{day}");
        // A day has one round.
        office.clock.advance(TimeDelta::hours(11));
        go_round(&retention, &mut rounds).await;
    }
    assert!(office.casework.see(&office.anna.actor(), open, |_| Ok(())).await.is_ok());
    let roles =
        "SELECT DISTINCT actor_role, content::jsonb ->> 'basis' FROM events WHERE kind = 'erased'";
    let rows = office.owner().await.query(roles, &[]).await.unwrap();
    assert_eq!(rows.len(), 1);
    assert_eq!(rows[0].get::<_, &str>(0), "timer");
    assert_eq!(rows[0].get::<_, &str>(1), "the term of retention is over");
}

#[tokio::test]
async fn one_that_cannot_be_erased_does_not_stop_the_others_and_comes_again() {
    let office = Office::open().await;
    let mut ids = BTreeSet::new();
    for number in 1..=4 {
        ids.insert(withdrawn(&office, &format!("FA000000{number}")).await);
        office.clock.advance(TimeDelta::minutes(1));
    }
    let stuck = *ids.iter().nth(1).unwrap();
    let owner = office.owner().await;
    owner
        .batch_execute(&format!(
            "CREATE FUNCTION get_stuck() RETURNS trigger LANGUAGE plpgsql AS \
             'BEGIN RAISE EXCEPTION ''stuck''; END'; \
             CREATE TRIGGER stuck BEFORE UPDATE ON applications FOR EACH ROW \
             WHEN (OLD.id = '{stuck}') EXECUTE FUNCTION get_stuck()"
        ))
        .await
        .unwrap();
    office.clock.set(at("2028-01-01T00:00:00Z"));
    // Of another one nobody can tell which day it is.
    let strange = *ids.first().unwrap();
    owner
        .batch_execute(&format!(
            "INSERT INTO units VALUES ('99', 'Base', '99', 'Mars/Base'); \
             UPDATE applications SET unit_code = '99' WHERE id = '{strange}'"
        ))
        .await
        .unwrap();
    let (retention, mut rounds) = (retention(&office), Rounds::default());
    go_round(&retention, &mut rounds).await;
    assert_eq!((rounds.erased, rounds.failed), (2, 1));
    let left: BTreeSet<_> = ids.difference(&erased(&office).await).copied().collect();
    assert_eq!(left, BTreeSet::from([strange, stuck]));
    // Nothing of it is gone: neither the content of its events nor the rest.
    let content = format!("events WHERE application_id = '{stuck}' AND content IS NULL");
    assert_eq!(count(&owner, &content).await, 0);
    let mend = "DROP TRIGGER stuck ON applications; UPDATE applications SET unit_code = '77' \
                WHERE erased_at IS NULL";
    owner.batch_execute(mend).await.unwrap();
    office.clock.advance(TimeDelta::days(1));
    go_round(&retention, &mut rounds).await;
    assert_eq!((rounds.erased, rounds.failed), (2, 0));
    assert_eq!(erased(&office).await, ids);
}

#[tokio::test]
async fn a_walk_through_many_is_a_page_at_a_time_and_misses_none() {
    let office = Office::open().await;
    let first = withdrawn(&office, "FA0000001").await;
    let owner = office.owner().await;
    // 230 more of the same instant, so that pages end between equal times.
    owner
        .batch_execute(&format!(
            "INSERT INTO applications (id, reference, track, workflow_version, unit_code, applicant_id, state, \
             phase, version, created_at, state_since, form) SELECT gen_random_uuid(), 'R' || n, track, \
             workflow_version, unit_code, applicant_id, state, phase, version, created_at, state_since, '{{}}' \
             FROM applications, generate_series(1, 230) AS n WHERE id = '{first}'"
        ))
        .await
        .unwrap();
    office.clock.set(at("2028-01-01T00:00:00Z"));
    let (mut round, mut pages, mut seen) = (Round::default(), 0, BTreeSet::new());
    while let Some(page) = office.casework.outlived(&mut round).await.unwrap() {
        assert!(page.len() <= 100);
        pages += usize::from(!page.is_empty());
        for id in page {
            assert!(seen.insert(id));
        }
    }
    assert_eq!((pages, seen.len()), (3, 231));
    // The table is too small for an index to pay; what matters is that it fits.
    owner.batch_execute("SET enable_seqscan = off; SET enable_bitmapscan = off").await.unwrap();
    let plan = owner
        .query(
            &format!(
                "EXPLAIN SELECT id FROM applications WHERE phase = 'closed' AND erased_at IS NULL \
             AND track = 'patent' AND coalesce(decision ->> 'outcome', 'undecided') = 'undecided' \
             AND state_since < now() AND (state_since, id) > (now() - interval '1 day', '{first}') \
             ORDER BY state_since, id LIMIT 100"
            ),
            &[],
        )
        .await
        .unwrap();
    let plan: Vec<String> = plan.iter().map(|row| row.get(0)).collect();
    let plan = plan.join("\n");
    assert!(plan.contains("applications_closed") && !plan.contains("Sort"), "{plan}");
    let condition = plan.lines().find(|line| line.contains("Index Cond: ")).unwrap();
    assert!(condition.contains("(ROW(state_since, id) > ROW("), "{plan}");
}

#[tokio::test]
async fn a_round_that_breaks_off_begins_anew_in_an_hour() {
    let office = Office::open().await;
    let id = withdrawn(&office, "FA1234567").await;
    let owner = office.owner().await;
    office.clock.set(at("2028-01-01T00:00:00Z"));
    let (retention, mut rounds) = (retention(&office), Rounds::default());
    owner.batch_execute("ALTER TABLE permits RENAME TO hidden").await.unwrap();
    go_round(&retention, &mut rounds).await;
    owner.batch_execute("ALTER TABLE hidden RENAME TO permits").await.unwrap();
    office.clock.advance(TimeDelta::minutes(59));
    go_round(&retention, &mut rounds).await;
    assert_eq!(erased(&office).await, BTreeSet::new());
    office.clock.advance(TimeDelta::minutes(1));
    go_round(&retention, &mut rounds).await;
    assert_eq!(erased(&office).await, BTreeSet::from([id]));
}

/// A door that tells of each round.
struct Told(tokio::sync::mpsc::UnboundedSender<DateTime<Utc>>, Arc<propusk::clock::FixedClock>);

impl RetentionDoor for Told {
    fn outlived<'a>(&'a self, _: &'a mut Round) -> BoxFuture<'a, Result<Option<Vec<Uuid>>>> {
        self.0.send(self.1.now()).unwrap();
        async { Ok(None) }.boxed()
    }

    fn erase(&self, _: Uuid) -> BoxFuture<'_, Result<()>> {
        async { Ok(()) }.boxed()
    }
}

/// Does nothing.
struct Idle;

impl Handler for Idle {
    fn run<'a>(&'a self, _: &'a Task) -> BoxFuture<'a, Outcome> {
        async { Outcome::Done }.boxed()
    }
}

#[tokio::test]
async fn the_worker_goes_round_at_its_start_and_once_a_day_and_the_log_gets_its_months() {
    let office = Office::open().await;
    let owner = office.owner().await;
    let months = "pg_class WHERE relnamespace = 'events_by_month'::regnamespace AND relkind = 'r'";
    let made = count(&owner, months).await;
    let (send, mut told) = tokio::sync::mpsc::unbounded_channel();
    let idle: Arc<dyn Handler> = Arc::new(Idle);
    let handlers = Handlers {
        timer: Arc::clone(&idle),
        redate: Arc::clone(&idle),
        mail: Arc::clone(&idle),
        alert: Arc::clone(&idle),
        registers: Arc::clone(&idle),
        money: Arc::clone(&idle),
        leaving: Arc::clone(&idle),
        papers: Arc::clone(&idle),
        documents: idle,
    };
    let wake = Wake::default();
    let worker = Worker::new(
        office.db.clone(),
        office.clock.clone(),
        handlers,
        wake.clone(),
        WorkerOptions::default(),
    )
    .with_retention(Retention::new(
        office.db.clone(),
        office.clock.clone(),
        Told(send, office.clock.clone()),
    ));
    // Six months after the last month that there is.
    let last = "SELECT to_char(max(to_date(relname, '\"events_\"YYYY_MM')), 'YYYY-MM-DD\"T00:00:00Z\"') \
                FROM pg_class WHERE relnamespace = 'events_by_month'::regnamespace AND relkind = 'r' \
                AND relname LIKE 'events\\_%'";
    let last = at(owner.query_one(last, &[]).await.unwrap().get(0));
    office.clock.set(last - TimeDelta::days(550));
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let running = tokio::spawn(async move { worker.run(stopped.map(|_| ())).await });
    let first = told.recv().await.unwrap();
    assert_eq!(first, office.clock.now());
    assert_eq!(count(&owner, months).await - made, 6);
    office.clock.advance(TimeDelta::hours(23));
    wake.poke();
    office.clock.advance(TimeDelta::hours(1));
    wake.poke();
    assert_eq!(told.recv().await.unwrap(), first + TimeDelta::hours(24));
    stop.send(()).unwrap();
    running.await.unwrap();
    assert!(told.try_recv().is_err());
}

// ── At the command line ──────────────────────────────────────────────────────────────────────────────────────

fn run(url: &str, rules: Option<&Path>, arguments: &[&str]) -> (i32, String) {
    let mut process = Process::new(env!("CARGO_BIN_EXE_propusk"));
    process.args(["person", "erase"]).args(arguments).env_clear().env("DATABASE_URL", url);
    if let Some(rules) = rules {
        process.env("PROPUSK_WORKFLOWS_DIRECTORY", rules);
    }
    let Output { status, stdout, stderr } = process.output().unwrap();
    let text = [stdout, stderr].map(|bytes| String::from_utf8(bytes).unwrap()).concat();
    (status.code().unwrap(), text)
}

/// Rules under which what was never decided is kept for a month.
fn hasty_rules() -> std::path::PathBuf {
    let dir = test_dir("hasty-rules");
    std::fs::create_dir_all(dir.join("calendars")).unwrap();
    for (path, text) in propusk::domain::workflow::embedded::FILES {
        let text = if path.ends_with("retention.toml") {
            text.replace("years = 1\n", "months = 1\n")
        } else {
            (*text).to_owned()
        };
        std::fs::write(dir.join(path.strip_prefix("workflows/").unwrap()), text).unwrap();
    }
    dir
}

#[actix_web::test]
async fn an_operator_erases_a_person_under_the_registered_terms_alone() {
    let dir = hasty_rules();
    let app = TestApp::spawn_with(|config| config.workflows_directory = Some(dir.clone())).await;
    app.clock.set(at("2025-10-01T09:00:00Z"));
    let mut form = app.form();
    form["passport"]["number"] = json!("FA1234567");
    let case = app.draft_with(MIGRANT, "patent", form.clone()).await;
    app.command(MIGRANT, &case.id, json!({ "command": "withdraw" })).await.expect(200);
    let url = app.database.url();
    let person = ["--citizenship", "UZB", "--passport", "fa 1234567"];
    let with = |more: &[&'static str]| -> Vec<&'static str> { [&person[..], more].concat() };

    // The terms in the binary are others.
    let (code, text) = run(url, None, &with(&["--basis", "order 1"]));
    assert_eq!(code, 1, "{text}");
    assert!(text.contains("does not know these rules as they are: retention.toml"), "{text}");

    // Wrong usage says so by its code.
    for wrong in [
        vec!["--basis", "order 1"],
        vec!["--citizenship", "UZB", "--basis", "order 1"],
        vec!["--citizenship", "Uzbekistan", "--passport", "FA1234567", "--basis", "order 1"],
        vec!["--application", "one", "--basis", "order 1"],
        person.to_vec(),
    ] {
        assert_eq!(run(url, Some(&dir), &wrong).0, 2, "{wrong:?}");
    }

    let draft = app.draft_with(MIGRANT, "patent", form).await;
    let (code, text) = run(url, Some(&dir), &with(&["--basis", "order 1"]));
    assert_eq!(code, 1, "{text}");
    assert!(text.contains("can be erased since 2025-11-02"), "{text}");
    assert!(text.contains("draft; still open"), "{text}");
    assert!(text.contains("nothing can be erased before all of it can"), "{text}");
    app.command(MIGRANT, &draft.id, json!({ "command": "withdraw" })).await.expect(200);

    let (code, text) = run(url, Some(&dir), &with(&["--dry-run"]));
    assert_eq!(code, 0, "{text}");
    assert_eq!(text.lines().count(), 2, "{text}");
    assert!(text.contains(&case.reference) && text.contains(&draft.id), "{text}");
    let (code, text) = run(url, Some(&dir), &with(&["--basis", "request of Каримов"]));
    assert_eq!(code, 1, "{text}");
    assert!(text.contains("name an order or a file number"), "{text}");
    app.see(&case.id).await;

    let (code, text) = run(url, Some(&dir), &with(&["--basis", "order 1"]));
    assert_eq!(code, 0, "{text}");
    assert!(text.contains("2 erased"), "{text}");
    app.get(&case.path("")).by(AUDITOR).send().await.expect(404);
    let (code, text) = run(url, Some(&dir), &with(&["--basis", "order 1"]));
    assert_eq!(code, 1, "{text}");
    assert!(text.contains("there is no such application"), "{text}");
    let (code, text) = run(url, Some(&dir), &["--application", &case.id, "--basis", "order 1"]);
    assert_eq!(code, 1, "{text}");
    assert!(text.contains("was erased on"), "{text}");
}
