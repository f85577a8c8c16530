//! What officers do besides deciding: notes, urgency, reassignment, reminders, many at once, and leaving.

use chrono::TimeDelta;
use propusk::auth::{AccountChange, change_user};
use propusk::domain::actor::Role;
use serde_json::{Value, json};

use crate::support::app::{
    AUDITOR, MIGRANT, OFFICER, OTHER_OFFICER, OTHER_SENIOR, PASSWORD, PETERSBURG_OFFICER, Person,
    Reply, SENIOR, TestApp,
};
use crate::support::drive::{Case, blocked_by, fresh};

/// Gives `pointer code` of each error of a request that a rule refuses.
#[track_caller]
fn ruled(reply: &Reply) -> Vec<String> {
    let problem = reply.problem("rule-refused");
    let text = |error: &Value| {
        let part = |name: &str| error[name].as_str().unwrap().to_owned();
        format!("{} {}", part("pointer"), part("code"))
    };
    problem["errors"].as_array().unwrap().iter().map(text).collect()
}

impl TestApp {
    async fn note(&self, who: Person, case: &Case, text: &str) -> Reply {
        let call = self.post(&case.path("/notes")).by(who).key(&fresh().to_string());
        let call = call.if_match(self.version(&case.id).await);
        call.json(json!({ "text": text })).send().await
    }

    async fn claim(&self, who: Person, case: &Case) -> Reply {
        let call = self.put(&case.path("/claim")).by(who);
        call.if_match(self.version(&case.id).await).send().await
    }

    async fn reassign(&self, who: Person, case: &Case, to: Person) -> Reply {
        let call = self.put(&case.path("/claim/holder")).by(who);
        let body = json!({ "to": to.id(), "reason": "on leave" });
        call.if_match(self.version(&case.id).await).json(body).send().await
    }

    async fn remind(&self, who: Person, case: &Case) -> Reply {
        let call = self.post(&case.path("/reminders")).by(who).key(&fresh().to_string());
        let call = call.if_match(self.version(&case.id).await);
        call.json(json!({ "reason": "two weeks gone" })).send().await
    }

    async fn seen_by(&self, who: Person, case: &Case) -> Value {
        self.get(&case.path("")).by(who).send().await.expect(200).json()
    }

    /// Folds every application's events and compares with its row.
    async fn agree(&self, case: &Case) {
        let id = case.id.parse().unwrap();
        let mut conn = self.app.db.conn().await.unwrap();
        let events = propusk::storage::audit::history(&mut conn, id).await.unwrap();
        drop(conn);
        let row = self
            .app
            .casework
            .see(&AUDITOR.identity().actor(), id, |seen| Ok(seen.application.clone()))
            .await
            .unwrap();
        assert_eq!(propusk::casework::Casework::differences(&row, &events), Vec::<String>::new());
    }
}

#[actix_web::test]
async fn a_note_is_for_colleagues_and_auditors_and_never_for_the_applicant() {
    let app = TestApp::spawn().await;
    let case = app.submitted(MIGRANT).await;
    let noted = app.note(OFFICER, &case, "Called; comes tomorrow.").await.expect(200).json();
    assert_eq!(noted["notes"][0]["text"], "Called; comes tomorrow.");
    app.note(SENIOR, &case, "Agreed.").await.expect(200);
    for reader in [OFFICER, OTHER_OFFICER, AUDITOR] {
        let notes = app.seen_by(reader, &case).await["notes"].clone();
        assert_eq!(notes[1]["text"], "Agreed.", "{}", reader.name);
        assert_eq!(notes[0]["by"], json!(OFFICER.id()));
    }
    let mine = app.seen_by(MIGRANT, &case).await;
    assert_eq!(mine.get("notes"), None);
    let history = app.get(&case.path("/history")).by(MIGRANT).send().await.text();
    assert!(!history.contains("Called") && !history.contains("Agreed"), "{history}");
    app.note(PETERSBURG_OFFICER, &case, "x").await.expect(404);
    app.note(MIGRANT, &case, "x").await.expect(403);
    let long = "x".repeat(2001);
    app.note(OFFICER, &case, &long).await.expect(400).problem("invalid-request");
    app.agree(&case).await;
}

#[actix_web::test]
async fn the_holders_note_renews_the_lease_and_a_colleagues_does_not() {
    let app = TestApp::spawn().await;
    let case = app.submitted(MIGRANT).await;
    let first = app.claim(OFFICER, &case).await.expect(200).json()["claim"]["until"].clone();
    app.advance(TimeDelta::minutes(20));
    let other = app.note(OTHER_OFFICER, &case, "x").await.expect(200).json();
    assert_eq!(other["claim"]["until"], first);
    let own = app.note(OFFICER, &case, "y").await.expect(200).json();
    let until: chrono::DateTime<chrono::Utc> =
        serde_json::from_value(own["claim"]["until"].clone()).unwrap();
    assert_eq!(until - app.now(), TimeDelta::minutes(30));
    app.agree(&case).await;
}

#[actix_web::test]
async fn an_expedited_application_goes_first_and_the_reason_is_seen_by_the_office_alone() {
    let app = TestApp::spawn().await;
    let early = app.submitted(MIGRANT).await;
    app.advance(TimeDelta::minutes(5));
    let late = app.submitted(crate::support::app::OTHER_MIGRANT).await;
    let put = |who: Person, version: i64| {
        let call = app.put(&late.path("/expedition")).by(who).if_match(version);
        call.json(json!({ "reason": "the visa ends" }))
    };
    put(OFFICER, app.version(&late.id).await).send().await.expect(403);
    let view = put(SENIOR, app.version(&late.id).await).send().await.expect(200).json();
    assert_eq!(view["expedited"]["reason"], "the visa ends");
    let mine = app.get(&late.path("")).by(crate::support::app::OTHER_MIGRANT).send().await;
    assert!(!mine.text().contains("the visa ends"));
    let next = app.post("/v1/queues/intake/claims").by(OFFICER).key("n1").send().await;
    assert_eq!(next.expect(200).json()["id"], json!(late.id));
    let next = app.post("/v1/queues/intake/claims").by(OFFICER).key("n2").send().await;
    assert_eq!(next.expect(200).json()["id"], json!(early.id));
    let end = |reason: &str| {
        let path = late.path(&format!("/expedition{reason}"));
        app.delete(&path).by(SENIOR)
    };
    let version = app.version(&late.id).await;
    let refused = end("").if_match(version).send().await.expect(400);
    assert_eq!(refused.errors(), ["reason required"]);
    // The holder's colleague ends it: what goes first is not the holder's to say.
    let view = end("?reason=solved").if_match(version).send().await.expect(200).json();
    assert_eq!(view.get("expedited"), None);
    let again = end("?reason=x").if_match(version + 1).send().await.expect(422);
    again.problem("rule-refused");
    app.agree(&late).await;
}

#[actix_web::test]
async fn a_senior_officer_gives_a_held_application_to_a_colleague_and_four_eyes_hold_through_it() {
    let app = TestApp::spawn().await;
    let case = app.checking(MIGRANT).await;
    app.clear(&case.id).await;
    app.claim(OTHER_OFFICER, &case).await.expect(200);
    app.reassign(OTHER_OFFICER, &case, OFFICER).await.expect(403);
    for (stranger, why) in [(PETERSBURG_OFFICER, "another unit"), (MIGRANT, "no officer")] {
        let refused = app.reassign(SENIOR, &case, stranger).await.expect(422);
        assert_eq!(ruled(&refused), ["/to no-such-officer"], "{why}");
    }
    let given = app.reassign(SENIOR, &case, OFFICER).await.expect(200).json();
    assert_eq!(given["claim"]["by"], json!(OFFICER.id()));
    let blocked = app.command(OTHER_OFFICER, &case.id, json!({ "command": "grant" })).await;
    blocked.expect(409).problem("claimed-by-another");
    // OFFICER took it in: that it was given to him makes him no second pair of eyes.
    let refused = app.command(OFFICER, &case.id, json!({ "command": "grant" })).await.expect(422);
    assert!(ruled(&refused).contains(&" four-eyes".to_owned()), "{}", refused.text());
    app.agree(&case).await;
}

/// Somebody who was made senior officer of his office meanwhile: his account is changed, and he has logged in anew.
struct Promoted<'a> {
    app: &'a TestApp,
    person: Person,
    token: String,
}

impl<'a> Promoted<'a> {
    async fn make(app: &'a TestApp, person: Person) -> Self {
        let role = Role::SeniorOfficer;
        // By way of another office: what he did in this one stays his.
        for (role, unit) in [(Role::Officer, "78"), (role, "77")] {
            let moved = AccountChange::Moved { role, unit: Some(unit.into()) };
            change_user(&app.app.db, &*app.app.clock, &person.email(), &moved).await.unwrap();
        }
        let login = json!({ "email": person.email(), "password": PASSWORD });
        let session = app.post("/v1/session").json(login).send().await.expect(200).json();
        assert_eq!(session["account"]["role"], "seniorOfficer", "{session}");
        let token = session["accessToken"].as_str().unwrap().to_owned();
        Self { app, person: Person { role, ..person }, token }
    }

    async fn command(&self, case: &Case, command: Value) -> Reply {
        let version = self.app.version(&case.id).await;
        let call = self.app.post(&case.path("/commands")).bearer(&self.token);
        call.key(&fresh().to_string()).if_match(version).json(command).send().await
    }

    /// Tries the command by himself, when a colleague gave him the application, and when he was given many at once.
    async fn is_no_second_pair_of_eyes(&self, case: &Case, command: &Value) {
        for way in ["by himself", "reassigned", "reassigned in bulk"] {
            match way {
                "reassigned" => {
                    let given = self.app.reassign(SENIOR, case, self.person).await;
                    assert_eq!(given.expect(200).json()["claim"]["by"], json!(self.person.id()));
                }
                "reassigned in bulk" => {
                    let release = self.app.delete(&case.path("/claim")).bearer(&self.token);
                    let version = self.app.version(&case.id).await;
                    release.if_match(version).send().await.expect(200);
                    let mut body = bulk("reassign", &[case]);
                    body["to"] = json!(self.person.id());
                    let call = self.app.post("/v1/bulk").by(SENIOR).key(&fresh().to_string());
                    let done = call.json(&body).send().await.expect(200).json();
                    assert_eq!(done["items"][0]["status"], 200, "{done}");
                }
                _ => {}
            }
            let refused = self.command(case, command.clone()).await.expect(422);
            assert_eq!(blocked_by(&refused), ["fourEyes"], "{way}: {command}");
        }
        let release = self.app.delete(&case.path("/claim")).bearer(&self.token);
        release.if_match(self.app.version(&case.id).await).send().await.expect(200);
    }
}

#[actix_web::test]
async fn an_officer_made_senior_between_two_acts_does_not_decide_what_he_took_in_or_checked() {
    let app = TestApp::spawn().await;
    let case = app.checking(MIGRANT).await;
    app.clear(&case.id).await;
    // Another took this one in; of the checks he answered one.
    let checked = app.submitted(crate::support::app::OTHER_MIGRANT).await;
    app.command(SENIOR, &checked.id, json!({ "command": "accept" })).await.expect(200);
    app.clear(&checked.id).await;
    let theirs = app.in_force(crate::support::app::EMPLOYER).await;
    let propose = json!({ "command": "proposeAnnulment", "grounds": ["G90"], "reason": "Asked." });
    app.command(OTHER_OFFICER, &theirs.id, propose).await.expect(200);
    let promoted = Promoted::make(&app, OFFICER).await;
    let grant = json!({ "command": "grant" });
    let refuse = json!({ "command": "refuse", "grounds": ["G04"], "reason": "Forged." });
    for case in [&case, &checked] {
        promoted.is_no_second_pair_of_eyes(case, &grant).await;
        promoted.is_no_second_pair_of_eyes(case, &refuse).await;
    }
    app.command(OTHER_OFFICER, &case.id, grant).await.expect(200);
    // What others proposed is his to decide: he is a senior officer.
    promoted.command(&theirs, json!({ "command": "confirmAnnulment" })).await.expect(200);
    for case in [&case, &checked, &theirs] {
        app.agree(case).await;
    }
}

#[actix_web::test]
async fn an_officer_made_senior_between_two_acts_does_not_confirm_or_drop_what_he_proposed() {
    let app = TestApp::spawn().await;
    let case = app.in_force(MIGRANT).await;
    let propose = json!({ "command": "proposeAnnulment", "grounds": ["G90"], "reason": "Asked." });
    app.command(OTHER_OFFICER, &case.id, propose).await.expect(200);
    let promoted = Promoted::make(&app, OTHER_OFFICER).await;
    let drop = json!({ "command": "rejectAnnulment", "reason": "Mended." });
    promoted.is_no_second_pair_of_eyes(&case, &json!({ "command": "confirmAnnulment" })).await;
    promoted.is_no_second_pair_of_eyes(&case, &drop).await;
    app.command(SENIOR, &case.id, drop).await.expect(200);
    app.agree(&case).await;
}

#[actix_web::test]
async fn an_officer_made_senior_between_two_acts_does_not_put_right_what_he_decided() {
    let app = TestApp::spawn().await;
    let refused = app.checking(MIGRANT).await;
    let refuse = json!({ "command": "refuse", "grounds": ["G04"], "reason": "Forged." });
    app.command(OTHER_OFFICER, &refused.id, refuse).await.expect(200);
    let granted = app.granted(crate::support::app::EMPLOYER).await;
    let promoted = Promoted::make(&app, OTHER_OFFICER).await;
    let undo = json!({ "command": "undo", "reason": "A namesake." });
    let reopen = json!({ "command": "reopen", "reason": "It is there.", "basis": "Complaint 12" });
    let blocked = |reply: Reply| assert_eq!(blocked_by(&reply.expect(422)), ["fourEyes"]);
    // What is over nobody holds, so nobody can be given it.
    blocked(promoted.command(&refused, undo.clone()).await);
    blocked(promoted.command(&refused, reopen).await);
    let person = app.see(&granted.id).await["form"]["person"].clone();
    let mut correct =
        json!({ "command": "correct", "reason": "A letter.", "form": { "person": person } });
    correct["form"]["person"]["givenName"] = json!("Рустем");
    promoted.is_no_second_pair_of_eyes(&granted, &undo).await;
    promoted.is_no_second_pair_of_eyes(&granted, &correct).await;
    app.command(SENIOR, &granted.id, correct).await.expect(200);
    app.command(SENIOR, &refused.id, undo).await.expect(200);
    for case in [&refused, &granted] {
        app.agree(case).await;
    }
}

#[actix_web::test]
async fn a_colleagues_lease_is_ended_by_a_senior_officer_who_says_why() {
    let app = TestApp::spawn().await;
    let case = app.submitted(MIGRANT).await;
    app.claim(OFFICER, &case).await.expect(200);
    let release = |who: Person, query: &str, version: i64| {
        app.delete(&case.path(&format!("/claim{query}"))).by(who).if_match(version).send()
    };
    let version = app.version(&case.id).await;
    release(OTHER_OFFICER, "?reason=x", version).await.expect(409).problem("claimed-by-another");
    let refused = release(SENIOR, "", version).await.expect(422);
    assert_eq!(ruled(&refused), ["reason required"]);
    let free = release(SENIOR, "?reason=on%20sick%20leave", version).await.expect(200).json();
    assert_eq!(free.get("claim"), None);
    let history = app.get(&case.path("/history")).by(AUDITOR).send().await.json();
    let last = history["items"].as_array().unwrap().last().unwrap().clone();
    assert_eq!(last["request"], json!({ "reason": "on sick leave" }));
    app.claim(OFFICER, &case).await.expect(200);
    release(OFFICER, "", version + 2).await.expect(200);
}

#[actix_web::test]
async fn an_applicant_is_reminded_once_a_day_of_what_is_awaited() {
    let app = TestApp::spawn().await;
    let waiting = app.submitted(MIGRANT).await;
    app.remind(OFFICER, &waiting).await.expect(409).problem("wrong-state");
    let case = app.granted(crate::support::app::EMPLOYER).await;
    app.drain().await;
    let told = app.remind(OFFICER, &case).await.expect(200).json();
    assert_eq!(told["remindedAt"], json!(app.now()));
    let again = app.remind(SENIOR, &case).await.expect(422);
    assert_eq!(ruled(&again), [" reminded-today"]);
    assert_eq!(app.drain().await, 1);
    let sent = "SELECT count(*) FROM messages WHERE message = 'reminder' AND status = 'sent'";
    let count: i64 = app.sql().await.query_one(sent, &[]).await.unwrap().get(0);
    assert_eq!(count, 1);
    app.advance(TimeDelta::hours(24));
    app.remind(SENIOR, &case).await.expect(200);
    app.agree(&case).await;
}

#[actix_web::test]
async fn whoever_was_asked_is_reminded_three_days_before_the_date() {
    let app = TestApp::spawn().await;
    let case = app.checking(MIGRANT).await;
    let due = app.today() + chrono::Days::new(10);
    let ask = json!({ "command": "requestInformation", "items": [
        { "kind": "visit", "subject": "Fingerprints", "reason": "unreadable", "dueOn": due }] });
    app.command(OFFICER, &case.id, ask).await.expect(200);
    app.drain().await;
    app.advance(TimeDelta::days(7) - TimeDelta::hours(10));
    assert_eq!(app.drain().await, 0, "the evening before, nothing goes out");
    app.advance(TimeDelta::hours(10));
    assert_eq!(app.drain().await, 2, "the timer's command and the message");
    let view = app.seen_by(MIGRANT, &case).await;
    assert_eq!(view["remindedAt"], json!(app.now()));
    assert_eq!(view["state"], "informationRequested");
    app.agree(&case).await;
}

fn bulk(action: &str, cases: &[&Case]) -> Value {
    let ids: Vec<&String> = cases.iter().map(|case| &case.id).collect();
    json!({ "action": action, "applications": ids, "reason": "on leave" })
}

#[actix_web::test]
async fn many_at_once_are_answered_each_and_one_bad_one_stops_no_other() {
    let app = TestApp::spawn().await;
    let first = app.submitted(MIGRANT).await;
    let closed = app.submitted(crate::support::app::OTHER_MIGRANT).await;
    let refusal = json!({ "command": "refuseIntake", "grounds": ["I01"], "reason": "incomplete" });
    app.command(OFFICER, &closed.id, refusal).await.expect(200);
    let draft = app.draft(MIGRANT, "patent").await;
    let last = app.submitted(crate::support::app::EMPLOYER).await;
    let mut body = bulk("reassign", &[&first, &closed, &draft, &last]);
    body["to"] = json!(OTHER_OFFICER.id());
    let send = |who: Person, key: &'static str, body: &Value| {
        app.post("/v1/bulk").by(who).key(key).json(body).send()
    };
    send(OFFICER, "k0", &body).await.expect(403);
    let done = send(SENIOR, "k1", &body).await.expect(200).json();
    let statuses: Vec<i64> = done["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["status"].as_i64().unwrap())
        .collect();
    assert_eq!(statuses, [200, 409, 404, 200]);
    assert_eq!(done["items"][1]["problem"]["title"], "The state does not allow this");
    assert_eq!(done["items"][3]["etag"], json!(format!("\"v{}\"", app.version(&last.id).await)));
    for case in [&first, &last] {
        let view = app.seen_by(SENIOR, case).await;
        assert_eq!(view["claim"]["by"], json!(OTHER_OFFICER.id()));
        app.agree(case).await;
    }
    let version = app.version(&first.id).await;
    let again = send(SENIOR, "k1", &body).await.expect(200).json();
    assert_eq!(again["items"][0], done["items"][0], "what was done is answered again");
    assert_eq!(app.version(&first.id).await, version, "and not done again");
    let other = bulk("release", &[&first]);
    send(SENIOR, "k1", &other).await.expect(422).problem("idempotency-key-reused");
    assert_eq!(app.version(&first.id).await, version);
    let released = send(OTHER_SENIOR, "k1", &other).await.expect(200).json();
    assert_eq!(released["items"][0]["status"], 200, "another's key is another key");
}

#[actix_web::test]
async fn a_bulk_request_is_at_most_two_hundred_different_applications_with_what_they_need() {
    let app = TestApp::spawn().await;
    let id = |number: u128| uuid::Uuid::from_u128(number).to_string();
    let ids = |count: u128| (0..count).map(id).collect::<Vec<_>>();
    for (body, errors) in [
        (
            json!({ "action": "release", "applications": ids(201), "reason": "x" }),
            "/applications length",
        ),
        (json!({ "action": "release", "applications": [], "reason": "x" }), "/applications length"),
        (
            json!({ "action": "release", "applications": [id(1), id(1)], "reason": "x" }),
            "/applications listed-twice",
        ),
        (json!({ "action": "reassign", "applications": [id(1)], "reason": "x" }), "/to required"),
        (
            json!({ "action": "refuse", "applications": [id(1)], "reason": "x" }),
            "/action unknown-value",
        ),
        (json!({ "action": "release", "applications": [id(1)], "reason": "" }), "/reason length"),
    ] {
        let reply = app.post("/v1/bulk").by(SENIOR).key("k").json(&body).send().await;
        assert_eq!(reply.expect(400).errors(), [errors], "{body}");
    }
    let body = json!({ "action": "release", "applications": ids(200), "reason": "x" });
    let reply = app.post("/v1/bulk").by(SENIOR).key("k").json(&body).send().await;
    assert_eq!(reply.expect(200).json()["items"].as_array().unwrap().len(), 200);
}

#[actix_web::test]
async fn whoever_leaves_his_role_or_unit_holds_nothing_any_more_and_verify_agrees() {
    let app = TestApp::spawn().await;
    let first = app.submitted(MIGRANT).await;
    let second = app.submitted(crate::support::app::OTHER_MIGRANT).await;
    let others = app.submitted(crate::support::app::EMPLOYER).await;
    for case in [&first, &second] {
        app.claim(OFFICER, case).await.expect(200);
    }
    app.claim(OTHER_OFFICER, &others).await.expect(200);
    let login = json!({ "email": OFFICER.email(), "password": PASSWORD });
    let session = app.post("/v1/session").json(&login).send().await.expect(200).json();
    app.drain().await;
    let moved = AccountChange::Moved { role: Role::Officer, unit: Some("78".into()) };
    change_user(&app.app.db, &*app.app.clock, &OFFICER.email(), &moved).await.unwrap();
    assert_eq!(app.drain().await, 1);
    for case in [&first, &second] {
        assert_eq!(app.seen_by(SENIOR, case).await.get("claim"), None);
        app.agree(case).await;
    }
    assert_eq!(app.seen_by(SENIOR, &others).await["claim"]["by"], json!(OTHER_OFFICER.id()));
    let refresh = json!({ "refreshToken": session["refreshToken"] });
    app.post("/v1/session/refresh").json(&refresh).send().await.expect(401);
    let again = change_user(&app.app.db, &*app.app.clock, &OFFICER.email(), &moved).await;
    assert!(again.unwrap_err().to_string().contains("already"));

    let disabled = AccountChange::Disabled;
    change_user(&app.app.db, &*app.app.clock, &OFFICER.email(), &disabled).await.unwrap();
    app.post("/v1/session").json(&login).send().await.expect(401);
    let unfounded = async || {
        let mut conn = app.app.db.conn().await.unwrap();
        propusk::storage::log::inspection::find_unfounded(&mut conn).await.unwrap()
    };
    assert_eq!(unfounded().await, None);
    let id = OFFICER.id();
    for (tamper, found, back) in [
        ("unit_code = '50'", "office that no event", "unit_code = '78'"),
        ("disabled_at = NULL", "logged in with", "disabled_at = now()"),
        ("role = 'seniorOfficer'", "role that no event", "role = 'officer'"),
    ] {
        let set = |what: &str| format!("UPDATE accounts SET {what} WHERE id = '{id}'");
        app.sql().await.batch_execute(&set(tamper)).await.unwrap();
        let told = unfounded().await.unwrap_or_default();
        assert!(told.contains(found) && told.contains(&id.to_string()), "{tamper}: {told}");
        app.sql().await.batch_execute(&set(back)).await.unwrap();
    }
    let enabled = AccountChange::Enabled;
    change_user(&app.app.db, &*app.app.clock, &OFFICER.email(), &enabled).await.unwrap();
    app.post("/v1/session").json(&login).send().await.expect(200);
    assert_eq!(unfounded().await, None);
}

#[actix_web::test]
async fn whoever_has_left_his_unit_works_there_no_more_with_the_token_that_he_still_has() {
    let app = TestApp::spawn().await;
    let case = app.submitted(MIGRANT).await;
    let held = app.submitted(crate::support::app::OTHER_MIGRANT).await;
    let login = json!({ "email": OFFICER.email(), "password": PASSWORD });
    let session = app.post("/v1/session").json(&login).send().await.expect(200).json();
    let token = session["accessToken"].as_str().unwrap().to_owned();
    let claim = app.put(&held.path("/claim")).bearer(&token);
    claim.if_match(app.version(&held.id).await).send().await.expect(200);
    let change = async |change: AccountChange| {
        change_user(&app.app.db, &*app.app.clock, &OFFICER.email(), &change).await.unwrap();
        app.drain().await;
    };
    let refused = async || {
        let before = app.written().await;
        let version = app.version(&case.id).await;
        let accept = json!({ "command": "accept" });
        for call in [
            app.post("/v1/queues/intake/claims").key("next"),
            app.put(&case.path("/claim")).if_match(version),
            app.post(&case.path("/commands")).key("accept").if_match(version).json(accept),
            app.post(&case.path("/notes"))
                .key("note")
                .if_match(version)
                .json(json!({ "text": "mine" })),
            app.get(&case.path("")),
        ] {
            let refused = call.bearer(&token).send().await.expect(401);
            let problem = refused.problem("unauthenticated");
            assert!(problem["detail"].as_str().unwrap().ends_with("log in again."), "{problem}");
        }
        assert_eq!(app.written().await, before);
    };
    change(AccountChange::Moved { role: Role::Officer, unit: Some("78".into()) }).await;
    assert_eq!(app.seen_by(SENIOR, &held).await.get("claim"), None);
    refused().await;
    let to_him = app.reassign(SENIOR, &case, OFFICER).await.expect(422);
    assert_eq!(ruled(&to_him), ["/to no-such-officer"]);
    change(AccountChange::Moved { role: Role::SeniorOfficer, unit: Some("77".into()) }).await;
    refused().await;
    change(AccountChange::Moved { role: Role::Officer, unit: Some("77".into()) }).await;
    change(AccountChange::Disabled).await;
    refused().await;
    // Who is what his token says is heard.
    change(AccountChange::Enabled).await;
    let next = app.post("/v1/queues/intake/claims").bearer(&token).key("later").send().await;
    next.expect(200);
}

#[actix_web::test]
async fn what_was_given_out_in_bulk_is_still_decided_by_other_eyes() {
    let app = TestApp::spawn().await;
    let case = app.checking(MIGRANT).await;
    app.clear(&case.id).await;
    let mut body = bulk("reassign", &[&case]);
    body["to"] = json!(OFFICER.id());
    let done = app.post("/v1/bulk").by(SENIOR).key("k").json(&body).send().await.expect(200);
    assert_eq!(done.json()["items"][0]["status"], 200);
    // OFFICER took it in.
    let refused = app.command(OFFICER, &case.id, json!({ "command": "grant" })).await.expect(422);
    assert!(ruled(&refused).contains(&" four-eyes".to_owned()), "{}", refused.text());
    let released = bulk("release", &[&case]);
    app.post("/v1/bulk").by(SENIOR).key("l").json(&released).send().await.expect(200);
    app.command(OTHER_OFFICER, &case.id, json!({ "command": "grant" })).await.expect(200);
    app.agree(&case).await;
}

#[actix_web::test]
async fn nothing_is_given_to_whoever_cannot_log_in() {
    let app = TestApp::spawn().await;
    let case = app.submitted(MIGRANT).await;
    let (db, clock) = (&app.app.db, &*app.app.clock);
    change_user(db, clock, &OTHER_OFFICER.email(), &AccountChange::Disabled).await.unwrap();
    let refused = app.reassign(SENIOR, &case, OTHER_OFFICER).await.expect(422);
    assert_eq!(ruled(&refused), ["/to no-such-officer"]);
    change_user(db, clock, &OTHER_OFFICER.email(), &AccountChange::Enabled).await.unwrap();
    app.reassign(SENIOR, &case, OTHER_OFFICER).await.expect(200);
}

#[actix_web::test]
async fn notes_are_taken_after_the_end_and_not_without_end() {
    let app = TestApp::spawn().await;
    let case = app.submitted(MIGRANT).await;
    let refusal = json!({ "command": "refuseIntake", "grounds": ["I01"], "reason": "incomplete" });
    app.command(OFFICER, &case.id, refusal).await.expect(200);
    app.note(OTHER_OFFICER, &case, "He came to ask.").await.expect(200);
    app.agree(&case).await;
    let fill = "UPDATE applications SET notes = (SELECT jsonb_agg(jsonb_set(notes -> 0, '{note}', to_jsonb(n))) \
                FROM generate_series(1, 499) AS n) WHERE id = $1::text::uuid";
    app.sql().await.execute(fill, &[&case.id]).await.unwrap();
    let last = app.note(OFFICER, &case, "The last one.").await.expect(200).json();
    assert_eq!(last["notes"][499]["note"], 500);
    let refused = app.note(OFFICER, &case, "One too many.").await.expect(422);
    assert_eq!(ruled(&refused), [" notes-limit"]);
}
