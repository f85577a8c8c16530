//! What was decided wrongly is put right: undone, reopened, corrected, ordered by a court; by another, with a trace.

use chrono::{NaiveDate, TimeDelta};
use propusk::domain::event::Change;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::app::{
    AUDITOR, EMPLOYER, MIGRANT, OFFICER, OTHER_MIGRANT, OTHER_OFFICER, OTHER_SENIOR, Person, Reply,
    SENIOR, TestApp,
};
use crate::support::drive::{BIRTH_DATE, Case, blocked_by, fresh, misfits};

fn undo() -> Value {
    json!({ "command": "undo", "reason": "Meant for a namesake." })
}

fn reopen() -> Value {
    json!({ "command": "reopen", "reason": "The certificate is there.", "basis": "Complaint 12" })
}

fn court_order() -> Value {
    json!({
        "command": "courtOrder", "reason": "The decision is void.",
        "basis": { "court": "Tverskoy", "number": "02a-1/2026", "judgedOn": "2026-03-01" },
    })
}

impl TestApp {
    /// Refused by somebody, and meanwhile nothing else.
    async fn refused(&self, applicant: Person, by: Person) -> Case {
        let case = self.checking(applicant).await;
        self.refuse(&case, by).await;
        case
    }

    async fn refuse(&self, case: &Case, by: Person) {
        let refuse = json!({ "command": "refuse", "grounds": ["G04"], "reason": "Forged." });
        self.command(by, &case.id, refuse).await.expect(200);
    }

    /// Annulled: proposed by [`OFFICER`], confirmed by somebody.
    async fn annulled(&self, by: Person) -> Case {
        let case = self.in_force(MIGRANT).await;
        let propose =
            json!({ "command": "proposeAnnulment", "grounds": ["G90"], "reason": "No copy." });
        self.command(OFFICER, &case.id, propose).await.expect(200);
        self.command(by, &case.id, json!({ "command": "confirmAnnulment" })).await.expect(200);
        case
    }

    async fn status(&self, case: &Case) -> Value {
        self.get(&format!("/v1/status/{}", case.reference)).send().await.expect(200).json()
    }

    async fn details(&self, case: &Case) -> Value {
        let path = format!("/v1/status/{}/details", case.reference);
        self.post(&path).json(json!({ "birthDate": BIRTH_DATE })).send().await.expect(200).json()
    }

    async fn history(&self, case: &Case, by: Person) -> Vec<Value> {
        let history = self.get(&case.path("/history?limit=100")).by(by).send().await.expect(200);
        history.json()["items"].as_array().unwrap().clone()
    }

    async fn clock_of(&self, case: &Case) -> Value {
        self.get(&case.path("/clock")).by(case.applicant).send().await.expect(200).json()
    }
}

/// The day on which an event of a kind happened last, and its id.
fn last(history: &[Value], kind: &str) -> Value {
    history.iter().rfind(|event| event["kind"] == kind).unwrap()["id"].clone()
}

// ── Undo ─────────────────────────────────────────────────────────────────────────────────────────────────────

#[actix_web::test]
async fn a_refusal_is_undone_within_the_hour_as_if_it_had_never_been() {
    let app = TestApp::spawn().await;
    let case = app.checking(MIGRANT).await;
    let promised = app.status(&case).await["dueOn"].clone();
    assert_eq!(promised, "2026-03-17", "ten working days; 9 March is off");
    app.refuse(&case, OTHER_OFFICER).await;
    assert_eq!(app.status(&case).await["dueOn"], Value::Null);
    assert_eq!(app.work(&case.id).await, None);

    app.advance(TimeDelta::minutes(60));
    let undone = app.command(SENIOR, &case.id, undo()).await.expect(200).json();
    assert_eq!((&undone["state"], &undone["decision"]), (&json!("checking"), &Value::Null));

    // The public page says what it said before, and so does the clock.
    let status = app.status(&case).await;
    assert_eq!((&status["state"], &status["dueOn"]), (&json!("checking"), &promised));
    let details = app.details(&case).await;
    assert_eq!((&details["decision"], &details["grounds"]), (&Value::Null, &json!([])));
    assert_eq!(details["corrections"][0]["kind"], "undone");
    let clock = app.clock_of(&case).await;
    assert_eq!((&clock["stoppedOn"], &clock["suspensions"]), (&Value::Null, &json!([])));

    // It waits to be checked and decided again, and is.
    assert_eq!(app.work(&case.id).await.as_deref(), Some("checks"));
    app.clear(&case.id).await;
    app.command(OTHER_OFFICER, &case.id, json!({ "command": "grant" })).await.expect(200);
    app.agreed(&case.id).await;
    assert_eq!(app.mails(&case.id).await, ["accepted", "decided", "undone", "decided"]);
}

#[actix_web::test]
async fn a_correction_names_the_event_that_it_corrects_and_the_applicant_sees_no_names() {
    let app = TestApp::spawn().await;
    let case = app.refused(MIGRANT, OTHER_OFFICER).await;
    app.command(SENIOR, &case.id, undo()).await.expect(200);
    let history = app.history(&case, AUDITOR).await;
    let (refused, undone) = (last(&history, "refused"), history.last().unwrap());
    assert_eq!((&undone["kind"], &undone["corrects"]), (&json!("undone"), &refused));

    let inside = app.see(&case.id).await["corrections"][0].clone();
    let expected = json!({
        "kind": "undone", "at": app.now(), "corrects": refused,
        "reason": "Meant for a namesake.", "by": SENIOR.id(),
    });
    assert_eq!(inside, expected);
    let own = app.get(&case.path("")).by(MIGRANT).send().await.expect(200).json();
    let mut without_name = expected;
    without_name.as_object_mut().unwrap().remove("by");
    assert_eq!(own["corrections"], json!([without_name]));
    let seen = app.history(&case, MIGRANT).await.last().unwrap().clone();
    assert_eq!((&seen["corrects"], &seen["actor"]), (&refused, &Value::Null));

    let events = app.agreed(&case.id).await;
    let correction = events.last().unwrap().changes.iter().find_map(|change| match change {
        Change::Corrected { correction } => Some(correction.corrects),
        _ => None,
    });
    assert_eq!(json!(correction), refused);
}

#[actix_web::test]
async fn who_decided_cannot_correct_and_an_officer_never() {
    let app = TestApp::spawn().await;
    let refused = app.refused(MIGRANT, SENIOR).await;
    for command in [undo(), reopen(), court_order()] {
        let reply = app.command(SENIOR, &refused.id, command.clone()).await;
        assert_eq!(blocked_by(&reply), ["fourEyes"], "{command}");
        for person in [OFFICER, OTHER_OFFICER] {
            app.command(person, &refused.id, command.clone()).await.expect(403);
        }
        app.command(MIGRANT, &refused.id, command).await.expect(403);
    }
    app.command(OTHER_SENIOR, &refused.id, undo()).await.expect(200);

    let annulled = app.annulled(SENIOR).await;
    let reply = app.command(SENIOR, &annulled.id, court_order()).await;
    assert_eq!(blocked_by(&reply), ["fourEyes"]);
}

#[actix_web::test]
async fn after_the_hour_a_decision_is_not_undone_but_reopened() {
    let app = TestApp::spawn().await;
    let case = app.refused(MIGRANT, OTHER_OFFICER).await;
    app.advance(TimeDelta::minutes(60) + TimeDelta::seconds(1));
    let reply = app.command(SENIOR, &case.id, undo()).await;
    assert_eq!(blocked_by(&reply), ["decidedWithinMinutes"]);
    let seen = app.get(&case.path("")).by(SENIOR).send().await.expect(200).json();
    let commands = seen["commands"].as_array().unwrap();
    let blocked: Vec<(&str, usize)> = commands
        .iter()
        .map(|one| (one["command"].as_str().unwrap(), one["blockedBy"].as_array().unwrap().len()))
        .collect();
    assert_eq!(blocked, [("undo", 1), ("reopen", 0), ("courtOrder", 0)]);
    app.command(SENIOR, &case.id, reopen()).await.expect(200);
}

#[actix_web::test]
async fn a_grant_is_undone_with_its_charge_while_nothing_was_paid_on_it() {
    let app = TestApp::spawn().await;
    let case = app.granted(MIGRANT).await;
    let first = app.owed(&case.id).await;
    app.command(SENIOR, &case.id, undo()).await.expect(200);
    let seen = app.see(&case.id).await;
    let charge = seen["charges"].as_array().unwrap().iter().find(|one| one["id"] == first["id"]);
    assert_eq!(charge.unwrap()["status"], "annulled");
    assert_eq!((&seen["state"], &seen["phase"]), (&json!("checking"), &json!("checks")));
    assert_eq!(app.work(&case.id).await.as_deref(), Some("decision"));

    // Granted anew, it is charged anew; what is paid on that is not undone.
    app.command(OTHER_OFFICER, &case.id, json!({ "command": "grant" })).await.expect(200);
    let owed = app.owed(&case.id).await;
    let seen = app.see(&case.id).await;
    let open = seen["charges"].as_array().unwrap().iter().filter(|one| one["status"] == "open");
    assert_eq!(open.count(), 1);
    let second = seen["charges"].as_array().unwrap().iter().find(|one| one["status"] == "open");
    let part = json!({
        "id": format!("pay_{}", fresh()), "uin": second.unwrap()["uin"], "amountKopecks": 1,
        "paidAt": app.now(),
    });
    app.callback(part).await.expect(200);
    let reply = app.command(SENIOR, &case.id, undo()).await;
    assert_eq!(blocked_by(&reply), ["nothingPaid"], "{owed}");
    app.agreed(&case.id).await;
}

#[actix_web::test]
async fn a_refusal_of_intake_is_undone_and_the_application_taken_in() {
    let app = TestApp::spawn().await;
    let case = app.submitted(MIGRANT).await;
    let refuse = json!({ "command": "refuseIntake", "grounds": ["I01"], "reason": "No photo." });
    app.command(OFFICER, &case.id, refuse.clone()).await.expect(200);
    app.command(SENIOR, &case.id, undo()).await.expect(200);
    assert_eq!(app.work(&case.id).await.as_deref(), Some("intake"));
    assert_eq!(app.details(&case).await["decision"], Value::Null);
    app.command(OFFICER, &case.id, refuse).await.expect(200);
    app.advance(TimeDelta::days(3));
    app.command(SENIOR, &case.id, reopen()).await.expect(200);
    app.command(OFFICER, &case.id, json!({ "command": "accept" })).await.expect(200);
    // Thursday, 5 March: its first day is the 6th, its tenth the 20th.
    assert_eq!(app.status(&case).await["dueOn"], "2026-03-20");
    let kinds: Vec<_> = app.see(&case.id).await["corrections"].as_array().unwrap().clone();
    assert_eq!(kinds.iter().map(|one| &one["kind"]).collect::<Vec<_>>(), ["undone", "reopened"]);
    app.agreed(&case.id).await;
}

// ── Reopen ───────────────────────────────────────────────────────────────────────────────────────────────────

#[actix_web::test]
async fn the_clock_of_what_is_reopened_goes_on_where_it_stopped() {
    let app = TestApp::spawn().await;
    let case = app.checking(MIGRANT).await;
    app.advance(TimeDelta::days(2));
    app.refuse(&case, OTHER_OFFICER).await;
    app.advance(TimeDelta::days(2));
    let seen = app.command(SENIOR, &case.id, reopen()).await.expect(200).json();
    // Taken in on 2 March; 3 and 4 March were days 1 and 2; 5 and 6 March are taken out, 9 March is off: day 3 is the
    // 10th, day 10 the 19th.
    assert_eq!(seen["dueOn"], "2026-03-19");
    assert_eq!(app.status(&case).await["dueOn"], "2026-03-19");
    let clock = app.clock_of(&case).await;
    let closed = json!([{ "from": "2026-03-04", "to": "2026-03-06", "reason": "closed" }]);
    assert_eq!(clock["suspensions"], closed);
    assert_eq!((&clock["clockStopped"], &clock["workingDaysLeft"]), (&json!(false), &json!(8)));
    let correction = &seen["corrections"][0];
    assert_eq!(
        (&correction["kind"], &correction["basis"]),
        (&json!("reopened"), &json!("Complaint 12"))
    );

    // The timer escalates by the new date, not by the old one.
    let escalate =
        "SELECT run_at::text FROM jobs WHERE key LIKE 'timer:%:escalate' AND finished_at IS NULL";
    let due: String = app.sql().await.query_one(escalate, &[]).await.unwrap().get(0);
    assert!(due.starts_with("2026-03-19 21:00:00"), "midnight in Moscow: {due}");

    // Decided again, only what counted is counted.
    app.clear(&case.id).await;
    app.command(OTHER_OFFICER, &case.id, json!({ "command": "grant" })).await.expect(200);
    let used = format!("SELECT decided_in FROM applications WHERE id = '{}'", case.id);
    let used: i32 = app.sql().await.query_one(&used, &[]).await.unwrap().get(0);
    assert_eq!(used, 2);
    app.agreed(&case.id).await;
}

#[actix_web::test]
async fn what_was_taken_back_while_an_answer_was_awaited_is_reopened_to_be_decided() {
    let app = TestApp::spawn().await;
    let case = app.checking(MIGRANT).await;
    let ask = json!({ "command": "requestInformation", "items": [
        { "kind": "visit", "subject": "The original", "reason": "The copy is pale.", "dueOn": "2026-03-20" },
    ] });
    app.command(OTHER_OFFICER, &case.id, ask).await.expect(200);
    app.advance(TimeDelta::days(1));
    app.command(MIGRANT, &case.id, json!({ "command": "withdraw" })).await.expect(200);
    app.advance(TimeDelta::days(1));
    let seen = app.command(SENIOR, &case.id, reopen()).await.expect(200).json();
    assert_eq!(seen["state"], "checking");
    // What was asked is asked no more, and has not expired.
    let item = &seen["information"][0];
    assert_eq!((&item["open"], &item["expired"]), (&json!(false), &json!(false)));
    // 3 and 4 March are taken out: day 1 is the 5th, day 10 the 19th.
    assert_eq!(seen["dueOn"], "2026-03-19");
    app.agreed(&case.id).await;
}

#[actix_web::test]
async fn a_person_has_one_application_under_way_reopened_ones_too() {
    let app = TestApp::spawn().await;
    let form = app.form();
    let first = app.draft_with(MIGRANT, "patent", form.clone()).await;
    app.command(MIGRANT, &first.id, json!({ "command": "submit" })).await.expect(200);
    app.pay(&first.id).await;
    app.command(OFFICER, &first.id, json!({ "command": "accept" })).await.expect(200);
    app.refuse(&first, OTHER_OFFICER).await;
    let second = app.draft_with(MIGRANT, "patent", form).await;
    app.command(MIGRANT, &second.id, json!({ "command": "submit" })).await.expect(200);
    for command in [undo(), reopen(), court_order()] {
        let reply = app.command(SENIOR, &first.id, command).await;
        assert_eq!(blocked_by(&reply), ["noOtherOpenApplication"]);
    }
    app.command(MIGRANT, &second.id, json!({ "command": "withdraw" })).await.expect(200);
    app.command(SENIOR, &first.id, reopen()).await.expect(200);
}

// ── Court ────────────────────────────────────────────────────────────────────────────────────────────────────

#[actix_web::test]
async fn a_court_has_a_refusal_decided_anew() {
    let app = TestApp::spawn().await;
    let case = app.refused(MIGRANT, OTHER_OFFICER).await;
    app.advance(TimeDelta::days(4));
    let mut tomorrow = court_order();
    tomorrow["basis"]["judgedOn"] = json!("2026-03-07");
    let reply = app.command(SENIOR, &case.id, tomorrow).await;
    assert_eq!(misfits(&reply), ["/basis/judgedOn date-in-future"]);
    let seen = app.command(SENIOR, &case.id, court_order()).await.expect(200).json();
    assert_eq!((&seen["state"], &seen["dueOn"]), (&json!("checking"), &json!("2026-03-23")));
    let correction = &seen["corrections"][0];
    assert_eq!(correction["basis"], "Tverskoy, 02a-1/2026, 2026-03-01");
    assert_eq!(app.mails(&case.id).await, ["accepted", "decided", "courtOrdered"]);
    app.agreed(&case.id).await;
}

#[actix_web::test]
async fn a_court_puts_an_annulled_permit_back_into_force() {
    let app = TestApp::spawn().await;
    let case = app.annulled(SENIOR).await;
    let number = app.see(&case.id).await["permit"]["number"].as_str().unwrap().to_owned();
    let path = format!("/v1/permits/{number}");
    let valid = || async { app.get(&path).send().await.expect(200).json() };
    assert_eq!(valid().await["valid"], false);
    assert_eq!(app.details(&case).await["grounds"][0]["code"], "G90");

    app.advance(TimeDelta::days(10));
    let seen = app.command(OTHER_SENIOR, &case.id, court_order()).await.expect(200).json();
    let permit = &seen["permit"];
    assert_eq!((&seen["state"], &permit["status"]), (&json!("inForce"), &json!("inForce")));
    assert_eq!((&permit["closedOn"], &seen["proposal"]), (&Value::Null, &Value::Null));
    assert_eq!(valid().await["valid"], true);
    assert_eq!(app.details(&case).await["grounds"], json!([]));
    let history = app.history(&case, AUDITOR).await;
    assert_eq!(history.last().unwrap()["corrects"], last(&history, "annulled"));

    // Its months still end, and can be annulled anew.
    let timers = "SELECT array_agg(payload ->> 'command' ORDER BY key) FROM jobs \
                  WHERE kind = 'timer' AND finished_at IS NULL";
    let timers: Vec<String> = app.sql().await.query_one(timers, &[]).await.unwrap().get(0);
    assert_eq!(timers, ["dutyOverdue", "expire", "lapse", "remind", "remindAgain", "remindDuty"]);
    let propose = json!({ "command": "proposeAnnulment", "grounds": ["G90"], "reason": "Again." });
    app.command(OFFICER, &case.id, propose).await.expect(200);
    app.agreed(&case.id).await;
}

#[actix_web::test]
async fn a_permit_whose_paid_period_is_over_is_not_put_back_into_force() {
    let app = TestApp::spawn().await;
    let case = app.annulled(SENIOR).await;
    let paid: NaiveDate =
        app.see(&case.id).await["permit"]["paidThrough"].as_str().unwrap().parse().unwrap();
    app.advance((paid - app.today()) + TimeDelta::days(1));
    let reply = app.command(OTHER_SENIOR, &case.id, court_order()).await;
    assert_eq!(blocked_by(&reply), ["permitLasts"]);
    assert!(reply.text().contains("2026-04-02"), "it says until when: {}", reply.text());
    let seen = app.see(&case.id).await;
    assert_eq!((&seen["state"], &seen["corrections"]), (&json!("annulled"), &json!([])));
}

// ── Correct ──────────────────────────────────────────────────────────────────────────────────────────────────

/// Corrects the worker's name: the section as it stands, with this changed.
async fn corrected(
    app: &TestApp,
    by: Person,
    case: &Case,
    basis: Option<&str>,
    change: impl FnOnce(&mut Value),
) -> Reply {
    let mut form = app.see(&case.id).await["form"].clone();
    let sections = form.as_object_mut().unwrap();
    sections
        .retain(|name, _| ["person", "passport", "occupation", "contact"].contains(&name.as_str()));
    change(&mut form);
    let mut command = json!({ "command": "correct", "reason": "A letter was lost.", "form": form });
    if let Some(basis) = basis {
        command["basis"] = json!(basis);
    }
    app.command(by, &case.id, command).await
}

#[actix_web::test]
async fn a_misspelt_name_is_corrected_in_the_form_the_permit_and_the_list() {
    let app = TestApp::spawn().await;
    let case = app.in_force(MIGRANT).await;
    let before = app.see(&case.id).await;
    let reply = corrected(&app, SENIOR, &case, None, |form| {
        form["person"]["familyName"] = json!("Каримоф");
        form["occupation"]["title"] = json!("Маляр");
    });
    let seen = reply.await.expect(200).json();
    assert_eq!(
        (&seen["state"], &seen["decision"]["outcome"]),
        (&json!("inForce"), &json!("granted"))
    );
    let (permit, old) = (&seen["permit"], &before["permit"]);
    assert_eq!(permit["holderName"], "Каримоф Рустам Алишерович");
    assert_eq!(permit["profession"], "Маляр");
    for same in ["number", "status", "issuedOn", "paidThrough", "endsOn", "territory"] {
        assert_eq!(permit[same], old[same], "{same}");
    }
    assert_eq!(seen["form"]["contact"], before["form"]["contact"]);
    let name = format!("SELECT person_name FROM applications WHERE id = '{}'", case.id);
    let name: String = app.sql().await.query_one(&name, &[]).await.unwrap().get(0);
    assert_eq!(name, "Каримоф Рустам Алишерович");

    // It corrects the decision, and the event holds what stood there before.
    let events = app.agreed(&case.id).await;
    let granted = events.iter().find(|event| event.act.event() == "granted").unwrap();
    assert_eq!(seen["corrections"][0]["corrects"], json!(granted.id));
    let changed = events.last().unwrap().changes.iter().find_map(|change| match change {
        Change::FormReplaced { changed, .. } => Some(json!(changed)),
        _ => None,
    });
    assert_eq!(
        changed.unwrap(),
        json!([
            { "field": "person.familyName", "before": "Каримов", "after": "Каримоф" },
            { "field": "occupation.title", "before": "Каменщик", "after": "Маляр" },
        ])
    );
    assert_eq!(app.mails(&case.id).await.last().unwrap(), "corrected");
}

#[actix_web::test]
async fn a_mistyped_address_is_corrected_and_the_letter_about_it_goes_to_the_right_one() {
    let app = TestApp::spawn().await;
    let case = app.granted(MIGRANT).await;
    app.drain().await;
    let mistyped = |form: &mut Value| form["contact"]["email"] = json!("rustam@example");
    let reply = corrected(&app, SENIOR, &case, None, mistyped).await;
    assert_eq!(misfits(&reply), ["/form/contact/email invalid-email"]);
    let reply = corrected(&app, SENIOR, &case, None, |form| {
        form["contact"]["email"] = json!("rustam.karimov@example.org");
        form["contact"]["phone"] = json!("+79161234567");
    });
    let seen = reply.await.expect(200).json();
    assert_eq!(seen["form"]["contact"]["email"], "rustam.karimov@example.org");
    let events = app.agreed(&case.id).await;
    let changed = events.last().unwrap().changes.iter().find_map(|change| match change {
        Change::FormReplaced { changed, .. } => Some(json!(changed)),
        _ => None,
    });
    assert_eq!(
        changed.unwrap(),
        json!([
            { "field": "contact.email", "before": "rustam@example.org",
              "after": "rustam.karimov@example.org" },
            { "field": "contact.phone", "before": null, "after": "+79161234567" },
        ])
    );
    app.advance(TimeDelta::minutes(1));
    app.drain().await;
    let sent = "SELECT message, recipient FROM messages WHERE application_id::text = $1 \
                AND status = 'sent' ORDER BY at DESC LIMIT 2";
    let rows = app.sql().await.query(sent, &[&case.id]).await.unwrap();
    let sent: Vec<(String, String)> = rows.iter().map(|row| (row.get(0), row.get(1))).collect();
    let to = |message: &str, address: &str| (message.to_owned(), address.to_owned());
    assert_eq!(
        sent,
        [to("corrected", "rustam.karimov@example.org"), to("decided", "rustam@example.org")]
    );
}

#[actix_web::test]
async fn what_is_misspelt_is_corrected_while_an_annulment_is_proposed_and_the_proposal_stands() {
    let app = TestApp::spawn().await;
    let case = app.in_force(MIGRANT).await;
    let propose = json!({ "command": "proposeAnnulment", "grounds": ["G90"], "reason": "Asked." });
    app.command(OFFICER, &case.id, propose).await.expect(200);
    let before = app.see(&case.id).await;
    let reply = corrected(&app, SENIOR, &case, None, |form| {
        form["person"]["familyName"] = json!("Каримоф");
        form["contact"]["email"] = json!("rustam.karimov@example.org");
    });
    let seen = reply.await.expect(200).json();
    assert_eq!(seen["permit"]["holderName"], "Каримоф Рустам Алишерович");
    for same in ["state", "proposal", "decision"] {
        assert_eq!(seen[same], before[same], "{same}");
    }
    app.command(SENIOR, &case.id, json!({ "command": "confirmAnnulment" })).await.expect(200);
    app.agreed(&case.id).await;
}

#[actix_web::test]
async fn who_the_person_is_changes_only_on_a_basis() {
    let app = TestApp::spawn().await;
    let case = app.granted(MIGRANT).await;
    let born = |form: &mut Value| form["person"]["birthDate"] = json!("1990-05-18");
    let reply = corrected(&app, SENIOR, &case, None, born).await;
    assert_eq!(misfits(&reply), ["/basis basis-required"]);
    let citizen = |form: &mut Value| form["person"]["citizenship"] = json!("TJK");
    let reply = corrected(&app, SENIOR, &case, None, citizen).await;
    assert_eq!(misfits(&reply), ["/basis basis-required"]);
    corrected(&app, SENIOR, &case, Some("Birth certificate 1-AA"), born).await.expect(200);
    // From now on the look-up asks for the date that is right.
    let path = format!("/v1/status/{}/details", case.reference);
    app.post(&path).json(json!({ "birthDate": BIRTH_DATE })).send().await.expect(404);
    app.post(&path).json(json!({ "birthDate": "1990-05-18" })).send().await.expect(200);
    app.agreed(&case.id).await;
}

#[actix_web::test]
async fn only_what_can_be_misspelt_is_corrected_and_only_by_another() {
    let app = TestApp::spawn().await;
    let case = app.checking(MIGRANT).await;
    app.clear(&case.id).await;
    let misspelt = |form: &mut Value| form["person"]["givenName"] = json!("Рустем");
    let early = corrected(&app, OTHER_SENIOR, &case, None, misspelt).await;
    early.problem("wrong-state");
    app.command(SENIOR, &case.id, json!({ "command": "grant" })).await.expect(200);

    assert_eq!(blocked_by(&corrected(&app, SENIOR, &case, None, misspelt).await), ["fourEyes"]);
    corrected(&app, OTHER_OFFICER, &case, None, misspelt).await.expect(403);
    let same = corrected(&app, OTHER_SENIOR, &case, None, |_| ()).await;
    assert_eq!(misfits(&same), ["/form nothing-to-correct"]);
    let more = corrected(&app, OTHER_SENIOR, &case, None, |form| form["prepaidMonths"] = json!(3));
    assert_eq!(misfits(&more.await), ["/form/prepaidMonths section-not-correctable"]);
    let late = |form: &mut Value| form["passport"]["expiresOn"] = json!("2020-01-01");
    let reversed = corrected(&app, OTHER_SENIOR, &case, None, late).await;
    assert_eq!(misfits(&reversed), ["/form/passport/expiresOn dates-reversed"]);
    corrected(&app, OTHER_SENIOR, &case, None, misspelt).await.expect(200);

    app.pay(&case.id).await;
    app.command(OFFICER, &case.id, json!({ "command": "handOver" })).await.expect(200);
    let short = |form: &mut Value| form["passport"]["expiresOn"] = json!("2026-12-31");
    let reply = corrected(&app, OTHER_SENIOR, &case, None, short).await;
    assert_eq!(misfits(&reply), ["/form/passport/expiresOn passport-ends-before-permit"]);
}

#[actix_web::test]
async fn a_corrected_passport_is_not_that_of_somebody_with_an_application_under_way() {
    let app = TestApp::spawn().await;
    let mine = app.granted(MIGRANT).await;
    let theirs = app.submitted(OTHER_MIGRANT).await;
    let number = app.see(&theirs.id).await["form"]["passport"]["number"].clone();
    let reply = corrected(&app, SENIOR, &mine, None, |form| form["passport"]["number"] = number);
    assert_eq!(blocked_by(&reply.await), ["noOtherOpenApplication"]);
    let key = |id: &str| format!("SELECT person_key FROM applications WHERE id = '{id}'");
    let client = app.sql().await;
    let before: String = client.query_one(&key(&mine.id), &[]).await.unwrap().get(0);
    corrected(&app, SENIOR, &mine, None, |form| form["passport"]["number"] = json!("AB7654321"))
        .await
        .expect(200);
    let after: String = client.query_one(&key(&mine.id), &[]).await.unwrap().get(0);
    assert_ne!(before, after);
    assert_eq!(after, "UZB:AB7654321");
}

// ── The other track ──────────────────────────────────────────────────────────────────────────────────────────

#[actix_web::test]
async fn a_specialists_grant_is_undone_before_anything_is_handed_over() {
    let app = TestApp::spawn().await;
    let case = app.petition().await;
    app.command(EMPLOYER, &case.id, json!({ "command": "submit" })).await.expect(200);
    app.pay(&case.id).await;
    app.command(OFFICER, &case.id, json!({ "command": "accept" })).await.expect(200);
    app.clear(&case.id).await;
    app.command(OTHER_OFFICER, &case.id, json!({ "command": "grant" })).await.expect(200);
    let seen = app.command(SENIOR, &case.id, undo()).await.expect(200).json();
    assert_eq!((&seen["state"], &seen["decision"]), (&json!("checking"), &Value::Null));
    let id: Uuid = case.id.parse().unwrap();
    assert_eq!(app.agreed(&id.to_string()).await.last().unwrap().act.event(), "undone");
}
