//! Share codes: a holder shows his permit to whom he likes, as often as he likes, and sees who looked.

use std::num::NonZeroU32;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::TimeDelta;
use propusk::casework::erasure::{Reason, Whose};
use propusk::storage::shares;
use serde_json::{Value, json};

use crate::support::app::{AUDITOR, MIGRANT, OFFICER, OTHER_MIGRANT, Reply, SENIOR, TestApp};
use crate::support::drive::{BIRTH_DATE, Case};

const SHARED: &str = "/v1/permits/shared";

impl TestApp {
    /// Asks for a code; gives the answer.
    async fn ask_share(&self, case: &Case, valid_for: &str) -> Reply {
        let body = json!({ "birthDate": BIRTH_DATE, "validFor": valid_for, "label": "Стройка" });
        self.post(&format!("/v1/status/{}/shares", case.reference)).json(body).send().await
    }

    async fn share(&self, case: &Case, valid_for: &str) -> (String, String) {
        let made = self.ask_share(case, valid_for).await.expect(201).json();
        let text = |name: &str| made[name].as_str().unwrap().to_owned();
        (text("id"), text("code"))
    }

    async fn look(&self, code: &str, birth_date: &str) -> Reply {
        let body = json!({ "code": code, "birthDate": birth_date, "viewer": "ООО «Стройка»",
            "purpose": "Before hiring" });
        self.post(SHARED).json(body).send().await
    }

    /// The codes and their uses, as the holder sees them without an account.
    async fn shares(&self, case: &Case) -> Value {
        let path = format!("/v1/status/{}/shares/list", case.reference);
        self.post(&path).json(json!({ "birthDate": BIRTH_DATE })).send().await.expect(200).json()
    }
}

fn states(list: &Value) -> Vec<&str> {
    list["items"].as_array().unwrap().iter().map(|one| one["state"].as_str().unwrap()).collect()
}

#[actix_web::test]
async fn a_code_shows_the_whole_permit_and_its_holder_sees_who_looked_when_and_why() {
    let app = TestApp::spawn().await;
    let case = app.in_force(MIGRANT).await;
    let made = app.ask_share(&case, "days90").await.expect(201);
    assert_eq!(made.header("cache-control"), Some("no-store"));
    let made = made.json();
    assert_eq!(made["expiresAt"], json!(app.now() + TimeDelta::days(90)));
    let code = made["code"].as_str().unwrap();
    assert_eq!(code.len(), 19);
    app.advance(TimeDelta::hours(5));
    // As people type it.
    let typed = code.to_lowercase().replace('-', " ").replace('0', "o");
    let shown = app.look(&typed, BIRTH_DATE).await.expect(200);
    assert_eq!(shown.header("cache-control"), Some("no-store"));
    let mut shown = shown.json();
    let jpeg = STANDARD.decode(shown["photo"].as_str().unwrap()).unwrap();
    assert!(jpeg.starts_with(b"\xff\xd8"));
    shown.as_object_mut().unwrap().remove("photo");
    let seen = app.see(&case.id).await;
    let permit = &seen["permit"];
    assert_eq!(
        shown,
        json!({
            "number": permit["number"], "valid": true, "reason": "inForce",
            "holderName": "Каримов Рустам Алишерович", "latinName": "KARIMOV RUSTAM ALISHEROVICH",
            "birthDate": BIRTH_DATE, "citizenship": "UZB",
            "passportNumber": seen["form"]["passport"]["number"],
            "profession": "Каменщик", "professionCode": "7112", "territory": "77", "unit": "Moscow",
            "issuedOn": "2026-03-02", "paidThrough": "2026-04-02", "endsOn": "2027-03-02",
        })
    );
    let list = app.shares(&case).await;
    assert_eq!(states(&list), ["usable"]);
    assert!(!list.to_string().contains(code), "a code is shown once");
    assert_eq!(
        (&list["items"][0]["views"], &list["items"][0]["label"]),
        (&json!(1), &json!("Стройка"))
    );
    let look = json!({ "at": app.now(), "share": made["id"], "label": "Стройка",
        "viewer": "ООО «Стройка»", "purpose": "Before hiring" });
    assert_eq!(list["uses"], json!([look]));

    // The same for who has an account; nothing of it for others.
    let path = case.path("/shares");
    assert_eq!(app.get(&path).by(MIGRANT).send().await.expect(200).json(), list);
    app.get(&path).by(OTHER_MIGRANT).send().await.expect(404);
    let accesses = app.get(&case.path("/accesses")).by(MIGRANT).send().await.expect(200).json();
    let accesses = accesses["items"].as_array().unwrap();
    let access = accesses.iter().find(|one| one["kind"] == "permitShown").unwrap();
    assert_eq!(
        (&access["viewer"], &access["statedPurpose"], &access["purpose"], &access["role"]),
        (&json!("ООО «Стройка»"), &json!("Before hiring"), &json!("share"), &json!("viewer"))
    );
    // Auditors find it among the reads.
    let path = format!("/v1/audit/accesses?application={}", case.id);
    let audited = app.get(&path).by(AUDITOR).send().await.expect(200).text();
    assert!(audited.contains("permitShown"));
    // What the database keeps is no code.
    let kept = "SELECT count(*) FROM shares WHERE encode(digest, 'escape') LIKE '%' || $1 || '%'";
    let bare = code.replace('-', "");
    let kept: i64 = app.sql().await.query_one(kept, &[&bare]).await.unwrap().get(0);
    assert_eq!(kept, 0);

    // A permit that is over says so.
    app.advance(TimeDelta::days(40));
    let shown = app.look(code, BIRTH_DATE).await.expect(200).json();
    assert_eq!((&shown["valid"], &shown["reason"]), (&json!(false), &json!("lapsed")));
    assert_eq!(shown["invalidSince"], "2026-04-03");
}

#[actix_web::test]
async fn of_two_who_use_a_code_for_once_at_a_moment_one_sees_the_permit() {
    let app = TestApp::spawn().await;
    let case = app.in_force(MIGRANT).await;
    for _ in 0..3 {
        let (_, code) = app.share(&case, "once").await;
        // Whoever tries with a wrong date uses nothing up.
        app.look(&code, "1990-05-18").await.expect(404);
        let looks =
            futures_util::future::join_all((0..6).map(|_| app.look(&code, BIRTH_DATE))).await;
        let mut statuses: Vec<u16> = looks.iter().map(|one| one.status).collect();
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 404, 404, 404, 404, 404]);
    }
    let list = app.shares(&case).await;
    assert_eq!(states(&list), ["used"; 3]);
    assert_eq!(list["uses"].as_array().unwrap().len(), 3, "an event for each look, and no other");
}

#[actix_web::test]
async fn whatever_is_wrong_with_a_code_the_answer_is_the_same() {
    let app = TestApp::spawn().await;
    let case = app.in_force(MIGRANT).await;
    let (_, used) = app.share(&case, "once").await;
    app.look(&used, BIRTH_DATE).await.expect(200);
    let (id, revoked) = app.share(&case, "days90").await;
    let path = format!("/v1/status/{}/shares/revoke", case.reference);
    let revoke = || app.post(&path).json(json!({ "birthDate": BIRTH_DATE, "share": id }));
    revoke().send().await.expect(204);
    revoke().send().await.expect(204);
    let (_, good) = app.share(&case, "days90").await;
    let (_, old) = app.share(&case, "days90").await;
    let written = app.written().await;
    let mut answers = Vec::new();
    for (code, birth_date) in [
        (&*used, BIRTH_DATE),
        (&revoked, BIRTH_DATE),
        (&good, "1990-05-18"),
        ("0000-0000-0000-0000", BIRTH_DATE),
        ("no code at all", BIRTH_DATE),
    ] {
        answers.push(app.look(code, birth_date).await);
    }
    app.advance(TimeDelta::days(90) - TimeDelta::seconds(1));
    app.look(&good, BIRTH_DATE).await.expect(200);
    app.advance(TimeDelta::seconds(1));
    answers.push(app.look(&old, BIRTH_DATE).await);
    let bodies: Vec<Value> = answers
        .into_iter()
        .map(|answer| {
            let mut problem = answer.expect(404).problem("not-found");
            problem["instance"] = json!("");
            problem
        })
        .collect();
    assert!(bodies.iter().all(|body| *body == bodies[0]), "{bodies:#?}");
    // A refused look leaves no event.
    assert_eq!(app.written().await[0], written[0] + 1);
    // Nor does a holder's own mistake tell anything.
    let ask = async |reference: &str, birth_date: &str| {
        let body = json!({ "birthDate": birth_date, "validFor": "once", "label": "x" });
        let reply = app.post(&format!("/v1/status/{reference}/shares")).json(body).send().await;
        let mut problem = reply.expect(404).problem("not-found");
        problem["instance"] = json!("");
        problem
    };
    let wrong_date = ask(&case.reference, "1990-05-18").await;
    for reference in ["00000-00000-0000", "AAAAA-AAAAA-AAAA", "nonsense"] {
        assert_eq!(ask(reference, BIRTH_DATE).await, wrong_date, "{reference}");
    }
}

#[actix_web::test]
async fn who_guesses_runs_out_of_tries() {
    let app = TestApp::spawn_with(|config| {
        config.public_lookups_per_minute = NonZeroU32::new(30).unwrap();
    })
    .await;
    let case = app.in_force(MIGRANT).await;
    let (_, code) = app.share(&case, "days90").await;
    for day in 10..20 {
        app.look(&code, &format!("1990-05-{day}")).await.expect(if day == 17 { 200 } else { 404 });
    }
    let reply = app.look(&code, BIRTH_DATE).await.expect(429);
    reply.problem("too-many-requests");
    assert_eq!(reply.header("ratelimit-policy"), Some("\"share\";q=10;w=3600"));
    // Writing it in another way is no other code.
    app.look(&code.to_lowercase().replace('-', ""), BIRTH_DATE).await.expect(429);
    app.advance(TimeDelta::minutes(6));
    app.look(&code, BIRTH_DATE).await.expect(200);
    // Who tries code after code runs out by his address.
    let mut refused = 0;
    for number in 1000..1040 {
        let status = app.look(&format!("{number}-0000-0000-0000"), BIRTH_DATE).await.status;
        refused += usize::from(status == 429);
    }
    assert!(refused >= 10, "{refused}");
    // The holder's tries are those of the reference.
    app.advance(TimeDelta::hours(1));
    for _ in 0..10 {
        let body = json!({ "birthDate": "1990-05-18" });
        let path = format!("/v1/status/{}/shares/list", case.reference);
        app.post(&path).from([192, 0, 2, 9]).json(body).send().await.expect(404);
    }
    let details = app.post(&format!("/v1/status/{}/details", case.reference));
    let details = details.from([192, 0, 2, 9]).json(json!({ "birthDate": BIRTH_DATE }));
    details.send().await.expect(429);
}

#[actix_web::test]
async fn there_is_nothing_to_share_before_a_permit_and_not_more_than_twenty_codes() {
    let app = TestApp::spawn().await;
    let case = app.granted(MIGRANT).await;
    app.ask_share(&case, "once").await.expect(409).problem("wrong-state");
    app.pay(&case.id).await;
    app.command(OFFICER, &case.id, json!({ "command": "handOver" })).await.expect(200);
    let mut ids = Vec::new();
    for _ in 0..20 {
        app.advance(TimeDelta::minutes(6));
        ids.push(app.share(&case, "once").await.0);
    }
    app.advance(TimeDelta::minutes(6));
    app.ask_share(&case, "once").await.expect(422).problem("rule-refused");
    let revoke = |who, id: &str| app.delete(&case.path(&format!("/shares/{id}"))).by(who).send();
    revoke(OTHER_MIGRANT, &ids[0]).await.expect(404);
    revoke(MIGRANT, &case.id).await.expect(404).problem("not-found");
    revoke(MIGRANT, &ids[0]).await.expect(204);
    app.advance(TimeDelta::minutes(6));
    app.share(&case, "once").await;
    let list = app.get(&case.path("/shares")).by(MIGRANT).send().await.expect(200).json();
    assert_eq!(states(&list).iter().filter(|state| **state == "usable").count(), 20);
    for (name, value) in
        [("label", json!("")), ("label", json!("a\nb")), ("validFor", json!("ever"))]
    {
        app.advance(TimeDelta::minutes(6));
        let mut body = json!({ "birthDate": BIRTH_DATE, "validFor": "once", "label": "x" });
        body[name] = value;
        let path = format!("/v1/status/{}/shares", case.reference);
        let errors = app.post(&path).json(body).send().await.expect(400).errors();
        assert!(errors[0].starts_with(&format!("/{name} ")), "{errors:?}");
    }
}

#[actix_web::test]
async fn codes_that_ended_are_removed_and_who_used_them_stays() {
    let app = TestApp::spawn().await;
    let case = app.in_force(MIGRANT).await;
    let (_, code) = app.share(&case, "once").await;
    app.look(&code, BIRTH_DATE).await.expect(200);
    app.advance(TimeDelta::days(80));
    app.share(&case, "days90").await;
    app.advance(TimeDelta::days(11));
    let mut conn = app.app.db.conn().await.unwrap();
    assert_eq!(shares::prune(&mut conn, app.now()).await.unwrap(), 1);
    assert_eq!(shares::prune(&mut conn, app.now()).await.unwrap(), 0);
    drop(conn);
    let list = app.shares(&case).await;
    assert_eq!(states(&list), ["usable"]);
    assert_eq!(list["uses"].as_array().unwrap().len(), 1);
}

#[actix_web::test]
async fn with_a_person_s_data_go_his_codes_and_who_looked() {
    let app = TestApp::spawn().await;
    let case = app.in_force(MIGRANT).await;
    let propose =
        json!({ "command": "proposeAnnulment", "grounds": ["G90"], "reason": "His wish." });
    app.command(OFFICER, &case.id, propose).await.expect(200);
    app.command(SENIOR, &case.id, json!({ "command": "confirmAnnulment" })).await.expect(200);
    app.advance(TimeDelta::days(4000));
    let (_, code) = app.share(&case, "days90").await;
    app.look(&code, BIRTH_DATE).await.expect(200);
    let reason = Reason::Request { basis: "order 12-3 of the archive", role: "operator" };
    let id = Whose::Application(case.id.parse().unwrap());
    app.app.casework.erase(id, reason).await.unwrap();
    app.look(&code, BIRTH_DATE).await.expect(404).problem("not-found");
    let left = "SELECT (SELECT count(*) FROM shares), \
                (SELECT count(*) FROM events WHERE kind IN ('permitShown', 'shareMade') AND content IS NOT NULL)";
    let left = app.sql().await.query_one(left, &[]).await.unwrap();
    assert_eq!((left.get::<_, i64>(0), left.get::<_, i64>(1)), (0, 0));
    app.ask_share(&case, "once").await.expect(404);
}
