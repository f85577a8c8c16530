//! Reads of personal data by staff: each stands in the log before its answer leaves, or there is no answer.

use actix_web::http::Method;
use chrono::TimeDelta;
use propusk::api::reading::Purpose;
use serde_json::{Value, json};

use crate::support::app::{
    AUDITOR, EMPLOYER, MIGRANT, OFFICER, OTHER_OFFICER, Person, Reply, SENIOR, TestApp,
};
use crate::support::drive::Case;

/// A read of the log, as its row says it.
#[derive(Debug, PartialEq)]
struct Row {
    kind: String,
    actor: String,
    role: String,
    unit: Option<String>,
    application: Option<String>,
    purpose: String,
    subjects: Vec<String>,
    content: Value,
}

/// The reads in the log, oldest first.
async fn rows(app: &TestApp) -> Vec<Row> {
    let select = "SELECT kind, actor_id::text, actor_role, unit_code, application_id::text, purpose, \
                  coalesce(subjects, '{}')::text[], content FROM events WHERE purpose IS NOT NULL ORDER BY id";
    let rows = app.sql().await.query(select, &[]).await.unwrap();
    let row = |row: tokio_postgres::Row| Row {
        kind: row.get(0),
        actor: row.get(1),
        role: row.get(2),
        unit: row.get(3),
        application: row.get(4),
        purpose: row.get(5),
        subjects: row.get(6),
        content: serde_json::from_str(row.get(7)).unwrap(),
    };
    rows.into_iter().map(row).collect()
}

/// The read that the call leaves; there must be exactly one.
async fn left(app: &TestApp, person: Person, path: &str) -> Row {
    let before = rows(app).await.len();
    app.advance(TimeDelta::seconds(1));
    app.get(path).by(person).send().await.expect(200);
    let mut all = rows(app).await;
    assert_eq!(all.len(), before + 1, "{path}");
    all.pop().unwrap()
}

async fn waiting_payment(app: &TestApp) {
    let payment = json!({ "amountKopecks": 7, "paidAt": app.now(), "payer": "Каримов Рустам" });
    app.callback(payment).await.expect(200);
}

/// Every read that shows staff somebody's data, of a log that is published.
async fn staff_reads(app: &TestApp, case: &Case) -> Vec<(Person, String)> {
    app.publish().await;
    let opening = "SELECT id::text FROM events WHERE application_id::text = $1 AND seq = 1";
    let opening = app.sql().await.query_one(opening, &[&case.id]).await.unwrap();
    let opening: &str = opening.get(0);
    vec![
        (OFFICER, case.path("")),
        (SENIOR, case.path("")),
        (AUDITOR, case.path("")),
        (OFFICER, case.path("/documents/passport")),
        (OFFICER, case.path("/history")),
        (OFFICER, case.path("/clock")),
        (OFFICER, case.path(&format!("/history/{opening}/receipt"))),
        (OFFICER, "/v1/queues/checks/applications".to_owned()),
        (OFFICER, "/v1/search?q=karimov".to_owned()),
        (SENIOR, "/v1/payments".to_owned()),
        (AUDITOR, "/v1/audit/events".to_owned()),
        (AUDITOR, format!("/v1/audit/events/{opening}/proof")),
        (AUDITOR, format!("/v1/audit/accesses?application={}", case.id)),
        (AUDITOR, "/v1/audit/export?format=ndjson".to_owned()),
        (AUDITOR, "/v1/audit/export?format=csv".to_owned()),
    ]
}

#[actix_web::test]
async fn a_read_says_who_saw_what_of_which_application_and_what_for() {
    let app = TestApp::spawn().await;
    let case = app.checking(MIGRANT).await;
    let row = |kind: &str, content: Value| Row {
        kind: kind.to_owned(),
        actor: OFFICER.id().to_string(),
        role: "officer".to_owned(),
        unit: Some("77".to_owned()),
        application: Some(case.id.clone()),
        purpose: "casework".to_owned(),
        subjects: Vec::new(),
        content,
    };
    let groups = json!({ "fields": ["summary", "form", "documents", "checks", "charges"] });
    let shown = left(&app, OFFICER, &case.path("")).await;
    assert_eq!(shown, row("applicationRead", groups.clone()));
    let shown = left(&app, OFFICER, &case.path("/documents/passport")).await;
    let content = json!({ "fields": ["document"], "document": "passport" });
    assert_eq!(shown, row("documentRead", content));
    let shown = left(&app, OFFICER, &case.path("/history?limit=2")).await;
    let content = json!({ "fields": ["history"], "firstSeq": 1, "lastSeq": 2 });
    assert_eq!(shown, row("historyRead", content));
    let shown = left(&app, OFFICER, &case.path("/clock")).await;
    assert_eq!(shown, row("clockRead", json!({ "fields": ["clock"] })));
    let shown = left(&app, OFFICER, "/v1/queues/checks/applications").await;
    let content = json!({
        "fields": ["summary", "personName", "lastNote", "openChecks"], "queue": "checks" });
    let subjects = vec![case.id.clone()];
    let expected = Row { application: None, subjects, ..row("queueRead", content) };
    assert_eq!(shown, expected);

    waiting_payment(&app).await;
    let shown = left(&app, SENIOR, "/v1/payments").await;
    assert_eq!((shown.kind.as_str(), shown.purpose.as_str()), ("paymentsRead", "supervision"));
    assert_eq!((shown.role.as_str(), shown.unit.as_deref()), ("seniorOfficer", Some("77")));
    assert_eq!(shown.content["fields"], json!(["payment", "payer"]));
    assert_eq!(shown.content["payments"].as_array().unwrap().len(), 1);

    app.publish().await;
    let opening = app.get(&case.path("/history?limit=1")).by(MIGRANT).send().await.json();
    let opening = opening["items"][0]["id"].as_str().unwrap().to_owned();
    let content = json!({ "fields": ["receipt"], "event": opening });
    let shown = left(&app, OFFICER, &case.path(&format!("/history/{opening}/receipt"))).await;
    assert_eq!(shown, row("receiptRead", content.clone()));
    let shown = left(&app, AUDITOR, &format!("/v1/audit/events/{opening}/proof")).await;
    assert_eq!((shown.kind.as_str(), &shown.content), ("receiptRead", &content));
    assert_eq!((shown.unit.as_deref(), shown.application.as_ref()), (Some("77"), Some(&case.id)));

    // An auditor belongs to no unit; the application's own stands in the log.
    let shown = left(&app, AUDITOR, &case.path("")).await;
    let auditor = Row {
        actor: AUDITOR.id().to_string(),
        role: "auditor".to_owned(),
        purpose: "audit".to_owned(),
        ..row("applicationRead", groups)
    };
    assert_eq!(shown, auditor);
}

#[actix_web::test]
async fn a_question_to_the_log_says_the_filter_and_whose_events_it_showed() {
    let app = TestApp::spawn().await;
    let (case, other) = (app.submitted(MIGRANT).await, app.submitted(EMPLOYER).await);
    let about_one = format!("/v1/audit/events?application={}&only=changes&limit=3", case.id);
    let shown = left(&app, AUDITOR, &about_one).await;
    assert_eq!((shown.kind.as_str(), shown.purpose.as_str()), ("logQueried", "audit"));
    assert_eq!((shown.application.as_ref(), shown.subjects.len()), (Some(&case.id), 0));
    let filter = json!({ "application": case.id, "only": "changes" });
    assert_eq!(shown.content, json!({ "fields": ["events"], "filter": filter, "rows": 3 }));

    // A page about many names them: who saw a file has no hole.
    let shown = left(&app, AUDITOR, "/v1/audit/events?kind=submitted").await;
    let mut both = [case.id.clone(), other.id.clone()];
    both.sort();
    assert_eq!((shown.application, shown.subjects), (None, both.to_vec()));
    assert_eq!(shown.content["rows"], 2);

    let path = format!("/v1/audit/accesses?application={}&purpose=audit", case.id);
    let shown = left(&app, AUDITOR, &path).await;
    assert_eq!((shown.kind.as_str(), shown.application.as_ref()), ("logQueried", Some(&case.id)));
    assert_eq!(shown.content["fields"], json!(["accesses"]));

    let from = "2026-03-02T06:00:00Z";
    let shown = left(&app, AUDITOR, &format!("/v1/audit/export?format=csv&from={from}")).await;
    assert_eq!((shown.kind.as_str(), shown.application), ("logExported", None));
    let content =
        json!({ "fields": ["events"], "filter": { "from": from }, "format": "csv", "treeSize": 0 });
    assert_eq!(shown.content, content);
}

#[actix_web::test]
async fn a_purpose_is_one_of_a_list_and_stands_in_the_log() {
    let app = TestApp::spawn().await;
    let case = app.checking(MIGRANT).await;
    for purpose in Purpose::ALL {
        let call = app.get(&case.path("")).by(OFFICER).header("access-purpose", purpose.name());
        app.advance(TimeDelta::seconds(1));
        call.send().await.expect(200);
        assert_eq!(rows(&app).await.pop().unwrap().purpose, purpose.name());
    }
    let before = app.reads().await;
    for (person, path) in staff_reads(&app, &case).await {
        for wrong in ["curiosity", "", "Casework"] {
            let reply = app.get(&path).by(person).header("access-purpose", wrong).send().await;
            let reply = reply.expect(400);
            assert_eq!(reply.errors(), ["Access-Purpose unknown-value"], "{path}");
            let detail = "Send one of: casework, supervision, audit, complaint, court, statistics.";
            assert_eq!(reply.json()["errors"][0]["detail"], detail);
        }
    }
    assert_eq!(app.reads().await, before);
}

#[actix_web::test]
async fn a_read_that_cannot_be_recorded_is_refused() {
    let app = TestApp::spawn().await;
    let case = app.checking(MIGRANT).await;
    waiting_payment(&app).await;
    app.submitted(MIGRANT).await;
    let staff_reads = staff_reads(&app, &case).await;
    let before = app.written().await;
    let sql = app.sql().await;
    sql.batch_execute("REVOKE INSERT ON events FROM propusk_service").await.unwrap();
    for (person, path) in staff_reads.clone() {
        let reply = app.get(&path).by(person).send().await.expect(500);
        let mut problem = reply.problem("internal");
        problem["instance"] = json!("");
        let title = "The service failed";
        let kind = "https://propusk.example/problems/internal";
        let bare = json!({ "type": kind, "title": title, "status": 500, "instance": "" });
        assert_eq!(problem, bare, "{path}");
    }
    // The applicant is shown his own.
    for path in [case.path(""), case.path("/history"), case.path("/documents/passport")] {
        app.get(&path).by(MIGRANT).send().await.expect(200);
    }
    assert_eq!(app.written().await, before);
    sql.batch_execute("GRANT INSERT ON events TO propusk_service").await.unwrap();
    for (person, path) in &staff_reads {
        app.get(path).by(*person).send().await.expect(200);
    }
    let reads = i64::try_from(staff_reads.len()).unwrap();
    assert_eq!(app.written().await[0], before[0] + reads);
}

#[actix_web::test]
async fn a_read_that_cannot_be_recorded_in_time_can_be_sent_again() {
    let app = TestApp::spawn().await;
    let case = app.checking(MIGRANT).await;
    let sql = app.sql().await;
    // Whoever only reads goes on; the event waits, and not for ever.
    sql.batch_execute("BEGIN; LOCK TABLE events IN SHARE MODE").await.unwrap();
    let reply = app.get(&case.path("")).by(OFFICER).send().await.expect(503);
    reply.problem("unavailable");
    assert_eq!(reply.header("retry-after"), Some("2"));
    assert!(!reply.text().contains("Каримов"), "{}", reply.text());
    sql.batch_execute("ROLLBACK").await.unwrap();
    app.get(&case.path("")).by(OFFICER).send().await.expect(200);
}

#[actix_web::test]
async fn applicants_header_fields_and_what_has_not_changed_leave_no_read() {
    let app = TestApp::spawn().await;
    let case = app.checking(MIGRANT).await;
    waiting_payment(&app).await;
    let before = app.reads().await;
    for below in ["", "/documents/passport", "/history", "/clock", "/accesses"] {
        app.get(&case.path(below)).by(MIGRANT).send().await.expect(200);
    }
    app.get("/v1/applications").by(MIGRANT).send().await.expect(200);
    for (person, path) in staff_reads(&app, &case).await {
        let reply = app.request(Method::HEAD, &path).by(person).send().await.expect(200);
        assert!(reply.body.is_empty(), "{path}");
    }
    let version = app.version(&case.id).await;
    let same = app.get(&case.path("")).by(OFFICER);
    same.header("if-none-match", &format!("\"v{version}\"")).send().await.expect(304);
    // What is not there, not his, or not asked for properly shows nothing.
    app.get(&case.path("/documents/none")).by(OFFICER).send().await.expect(404);
    app.get(&case.path("/history?limit=0")).by(OFFICER).send().await.expect(400);
    app.get(&case.path("")).send().await.expect(401);
    assert_eq!(app.reads().await, before);
    let stale = app.get(&case.path("")).by(OFFICER).header("if-none-match", "\"v1\"");
    stale.send().await.expect(200);
    assert_eq!(app.reads().await, before + 1);
}

#[actix_web::test]
async fn an_empty_list_shows_nobody_but_a_question_to_the_log_is_always_one() {
    let app = TestApp::spawn().await;
    app.get("/v1/queues/intake/applications").by(OFFICER).send().await.expect(200);
    app.get("/v1/payments").by(SENIOR).send().await.expect(200);
    assert_eq!(app.reads().await, 0);
    let nothing = left(&app, AUDITOR, "/v1/audit/events?kind=none").await;
    assert_eq!((nothing.content["rows"].clone(), nothing.application), (json!(0), None));
    // Of an application that does not exist, too: the log can only name those that do.
    let unknown = MIGRANT.id();
    for path in [
        format!("/v1/audit/events?application={unknown}"),
        format!("/v1/audit/accesses?application={unknown}"),
        format!("/v1/audit/export?format=csv&application={unknown}"),
    ] {
        let nothing = left(&app, AUDITOR, &path).await;
        assert_eq!(nothing.content["filter"]["application"], json!(unknown), "{path}");
        assert_eq!(nothing.application, None, "{path}");
    }
}

#[actix_web::test]
async fn a_command_says_itself_who_saw_what_it_answers() {
    let app = TestApp::spawn().await;
    app.checking(MIGRANT).await;
    let case = app.submitted(MIGRANT).await;
    let claim = async |key: &str| -> Reply {
        app.post("/v1/queues/intake/claims").by(OFFICER).key(key).send().await.expect(200)
    };
    claim("a").await;
    let version = app.version(&case.id).await;
    app.put(&case.path("/claim")).by(OFFICER).if_match(version).send().await.expect(200);
    app.command(OFFICER, &case.id, json!({ "command": "accept" })).await.expect(200);
    let seen: Vec<Row> = rows(&app).await.into_iter().filter(|row| row.role == "officer").collect();
    assert_eq!(seen, []);
    // The lists of who saw the file say so, too.
    let whole = json!(["application"]);
    // The sign of life keeps the queue that gave it out.
    let acts =
        [("accepted", Value::Null), ("claimed", json!("intake")), ("claimed", json!("intake"))];
    let audited = format!("/v1/audit/accesses?application={}&purpose=casework", case.id);
    for (person, path) in [(MIGRANT, case.path("/accesses")), (AUDITOR, audited)] {
        let told = app.get(&path).by(person).send().await.expect(200).json();
        let mut told = told["items"].as_array().unwrap().clone();
        // The auditor's reads are those by which this test learns of versions; all was done at one instant.
        told.retain(|one| one["role"] != "auditor");
        told.sort_by_key(|one| one["kind"].as_str().unwrap().to_owned());
        assert_eq!(told.len(), acts.len(), "{told:?}");
        for (one, (kind, queue)) in told.iter().zip(&acts) {
            assert_eq!((&one["kind"], &one["queue"]), (&json!(kind), queue), "{one}");
            assert_eq!((&one["role"], &one["fields"]), (&json!("officer"), &whole), "{one}");
            let named = one.get("name").is_some();
            assert_eq!(named, person.role == AUDITOR.role, "{one}");
        }
    }
    let court = format!("/v1/audit/accesses?application={}&purpose=court", case.id);
    let none = app.get(&court).by(AUDITOR).send().await.expect(200).json();
    assert_eq!(none["items"], json!([]));
    // A repeated claim shows the application as it has become since.
    app.advance(TimeDelta::seconds(1));
    let again = claim("a").await;
    assert_eq!(again.header("idempotency-replayed"), Some("true"));
    let row = rows(&app).await.pop().unwrap();
    assert_eq!((row.kind.as_str(), row.application), ("applicationRead", Some(case.id)));
    assert_eq!(row.content, json!({ "fields": ["application"], "queue": "intake" }));
    assert_eq!((row.actor, row.unit.as_deref()), (OFFICER.id().to_string(), Some("77")));
}

#[actix_web::test]
async fn a_repeated_command_shows_staff_the_application_once_more_and_says_so() {
    let app = TestApp::spawn().await;
    let case = app.submitted(MIGRANT).await;
    let give = async |person: Person, version: i64, command: &str| -> Reply {
        let call = app.post(&case.path("/commands")).by(person).if_match(version).key(command);
        call.header("access-purpose", "complaint").json(json!({ "command": command })).send().await
    };
    let version = app.version(&case.id).await;
    let first = give(OFFICER, version, "accept").await.expect(200);
    let withdrawn = give(MIGRANT, version + 1, "withdraw").await.expect(200);
    let before = (app.reads().await, app.written().await[0]);
    let by_office = rows(&app).await.into_iter().filter(|row| row.role == "officer").count();
    assert_eq!(by_office, 0, "the commands' own events say it of the first answers");

    app.advance(TimeDelta::seconds(1));
    let again = give(OFFICER, version, "accept").await.expect(200);
    assert_eq!((again.header("idempotency-replayed"), again.text()), (Some("true"), first.text()));
    let row = Row {
        kind: "applicationRead".to_owned(),
        actor: OFFICER.id().to_string(),
        role: "officer".to_owned(),
        unit: Some("77".to_owned()),
        application: Some(case.id.clone()),
        purpose: "complaint".to_owned(),
        subjects: Vec::new(),
        content: json!({ "fields": ["application"] }),
    };
    assert_eq!(rows(&app).await.pop(), Some(row));
    assert_eq!((app.reads().await, app.written().await[0]), (before.0 + 1, before.1 + 1));

    // An applicant is shown his own, and what is refused shows nothing.
    let again = give(MIGRANT, version + 1, "withdraw").await.expect(200);
    assert_eq!(again.text(), withdrawn.text());
    give(OFFICER, version, "grant").await.expect(412);
    assert_eq!(app.reads().await, before.0 + 1);
    let call = app.post(&case.path("/commands")).by(OFFICER).if_match(version).key("accept");
    let call = call.header("access-purpose", "curiosity").json(json!({ "command": "accept" }));
    assert_eq!(call.send().await.expect(400).errors(), ["Access-Purpose unknown-value"]);

    // What cannot be written down is not shown again.
    let sql = app.sql().await;
    sql.batch_execute("REVOKE INSERT ON events FROM propusk_service").await.unwrap();
    give(OFFICER, version, "accept").await.expect(500).problem("internal");
    give(MIGRANT, version + 1, "withdraw").await.expect(200);
    sql.batch_execute("GRANT INSERT ON events TO propusk_service").await.unwrap();
    give(OFFICER, version, "accept").await.expect(200);
    assert_eq!(app.reads().await, before.0 + 2);
}

#[actix_web::test]
async fn a_read_by_staff_costs_one_round_trip_more_and_one_by_applicants_none() {
    let app = TestApp::spawn().await;
    let case = app.checking(MIGRANT).await;
    waiting_payment(&app).await;
    let cost = async |person: Person, path: &str| {
        let before = app.app.db.statements();
        app.get(path).by(person).send().await.expect(200);
        app.app.db.statements() - before
    };
    for (below, own) in [("", 1), ("/documents/passport", 1), ("/history", 2), ("/clock", 1)] {
        assert_eq!(cost(MIGRANT, &case.path(below)).await, own, "{below}");
        for person in [OFFICER, SENIOR, AUDITOR] {
            assert_eq!(cost(person, &case.path(below)).await, own + 1, "{below} {}", person.name);
        }
    }
    // The queue's own definition is read each time: another process may have changed it.
    assert_eq!(cost(OFFICER, "/v1/queues/checks/applications").await, 3);
    assert_eq!(cost(OFFICER, "/v1/queues/intake/applications").await, 2, "nothing was shown");
    assert_eq!(cost(OFFICER, &format!("/v1/search?q={}", case.reference)).await, 2);
    assert_eq!(cost(SENIOR, "/v1/payments").await, 2);
    assert_eq!(cost(AUDITOR, "/v1/audit/events?limit=100").await, 2);
    let accesses = format!("/v1/audit/accesses?application={}", case.id);
    assert_eq!(cost(AUDITOR, &accesses).await, 2);
    assert_eq!(cost(MIGRANT, &case.path("/accesses")).await, 2);
}

#[actix_web::test]
async fn reads_are_no_part_of_an_applications_history_and_name_nobody() {
    let app = TestApp::spawn().await;
    let case = app.checking(MIGRANT).await;
    waiting_payment(&app).await;
    let history =
        async || app.get(&case.path("/history?limit=100")).by(MIGRANT).send().await.json();
    let before = (history().await, app.version(&case.id).await);
    for (person, path) in staff_reads(&app, &case).await {
        app.get(&path).by(person).send().await.expect(200);
    }
    assert_eq!((history().await, app.version(&case.id).await), before);
    let whole = "SELECT content FROM events WHERE purpose IS NOT NULL AND (salt IS NULL \
                 OR (application_id IS NULL) <> (pseudonym IS NULL) OR seq IS NOT NULL)";
    assert!(app.sql().await.query(whole, &[]).await.unwrap().is_empty());
    for row in rows(&app).await {
        let content = row.content.to_string();
        for personal in ["Каримов", "Рустам", "FA1", "rustam@", "1990-05-17", "Каменщик"]
        {
            assert!(!content.contains(personal), "{content}");
        }
    }
}

#[actix_web::test]
async fn two_officers_reading_at_once_each_leave_their_own() {
    let app = TestApp::spawn().await;
    let case = app.checking(MIGRANT).await;
    let read = |person: Person| app.get(&case.path("")).by(person).send();
    let replies = futures_util::future::join_all(
        (0..12).map(|turn| read(if turn % 2 == 0 { OFFICER } else { OTHER_OFFICER })),
    )
    .await;
    assert!(replies.iter().all(|reply| reply.status == 200));
    let count = |person: Person, all: &[Row]| {
        all.iter().filter(|row| row.actor == person.id().to_string()).count()
    };
    let all = rows(&app).await;
    assert_eq!((count(OFFICER, &all), count(OTHER_OFFICER, &all)), (6, 6));
}
