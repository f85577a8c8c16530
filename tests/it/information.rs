//! What the applicant is asked for: each thing with its reason, answered one by one, while the clock stands still.

use chrono::TimeDelta;
use propusk::domain::event::Change;
use propusk::domain::workflow::definition::CommandName;
use serde_json::{Value, json};

use crate::support::app::{MIGRANT, OFFICER, OTHER_MIGRANT, OTHER_OFFICER, SENIOR, TestApp};
use crate::support::drive::{Case, blocked_by, misfits};

fn ask(items: &Value) -> Value {
    json!({ "command": "requestInformation", "items": items })
}

fn refuse() -> Value {
    json!({ "command": "refuse", "grounds": ["G04"], "reason": "No certificate." })
}

fn answers(answers: &Value) -> Value {
    json!({ "command": "answerInformation", "answers": answers })
}

/// One thing of a kind, with what else is said of it.
fn item(kind: &str, more: &Value) -> Value {
    let mut item = json!({
        "kind": kind, "subject": "As agreed", "reason": "It cannot be read.", "dueOn": "2026-03-12",
    });
    item.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    item
}

async fn find(app: &TestApp, case: &Case, check: &str, outcome: &str) {
    let finding = json!({ "command": "recordFinding", "check": check, "outcome": outcome });
    app.command(OFFICER, &case.id, finding).await.expect(200);
}

#[actix_web::test]
async fn a_refusal_waits_until_the_applicant_was_asked_about_what_means_asking() {
    let app = TestApp::spawn().await;
    let case = app.checking(MIGRANT).await;
    find(&app, &case, "language", "noData").await;
    let reply = app.command(OTHER_OFFICER, &case.id, refuse()).await;
    assert_eq!(blocked_by(&reply), ["askedFirst"]);
    let problem = reply.json();
    assert_eq!(problem["blockedBy"][0]["parts"], json!(["language"]));
    assert!(problem["blockedBy"][0]["detail"].as_str().unwrap().contains("language"));
    let seen = app.get(&case.path("")).by(OTHER_OFFICER).send().await.expect(200).json();
    let refusing =
        seen["commands"].as_array().unwrap().iter().find(|one| one["command"] == "refuse");
    assert_eq!(refusing.unwrap()["blockedBy"][0]["guard"], "askedFirst");

    // Asking about something else does not count, and neither does a check that asks nothing.
    let other = ask(&json!([item("visit", &json!({}))]));
    app.command(OFFICER, &case.id, other).await.expect(200);
    app.command(MIGRANT, &case.id, answers(&json!([{ "item": 1, "text": "Came." }])))
        .await
        .expect(200);
    let reply = app.command(OTHER_OFFICER, &case.id, refuse()).await;
    assert_eq!(blocked_by(&reply), ["askedFirst"]);
    for wrong in ["entryBan", "weather"] {
        let wrong = ask(&json!([item("document", &json!({ "check": wrong }))]));
        let reply = app.command(OFFICER, &case.id, wrong).await;
        assert_eq!(misfits(&reply), ["/items/0/check check-does-not-ask"]);
        assert!(reply.text().contains("language"), "it names the one that asks");
    }

    let right = ask(&json!([item("document", &json!({ "check": "language" }))]));
    app.command(OFFICER, &case.id, right).await.expect(200);
    app.command(MIGRANT, &case.id, answers(&json!([{ "item": 2, "text": "I have none." }])))
        .await
        .expect(200);
    app.command(OTHER_OFFICER, &case.id, refuse()).await.expect(200);
    app.agreed(&case.id).await;
}

#[actix_web::test]
async fn an_answer_that_means_refusing_needs_no_question() {
    let app = TestApp::spawn().await;
    let case = app.checking(MIGRANT).await;
    find(&app, &case, "language", "noData").await;
    find(&app, &case, "entryBan", "hit").await;
    let wrong = ask(&json!([item("visit", &json!({ "check": "entryBan" }))]));
    let reply = app.command(OFFICER, &case.id, wrong).await;
    assert_eq!(misfits(&reply), ["/items/0/check check-does-not-ask"]);
    app.command(OTHER_OFFICER, &case.id, refuse()).await.expect(200);

    // What was set aside does not ask.
    let app = TestApp::spawn().await;
    let case = app.checking(MIGRANT).await;
    find(&app, &case, "language", "noData").await;
    let aside =
        json!({ "command": "overrideFinding", "check": "language", "reason": "Seen on paper." });
    app.command(SENIOR, &case.id, aside).await.expect(200);
    // Both cases are one person's: that was cleared up.
    find(&app, &case, "duplicatePerson", "clear").await;
    let wrong = ask(&json!([item("visit", &json!({ "check": "language" }))]));
    let reply = app.command(OFFICER, &case.id, wrong).await;
    assert_eq!(misfits(&reply), ["/items/0/check check-does-not-ask"]);
    app.command(OTHER_OFFICER, &case.id, refuse()).await.expect(200);
}

#[actix_web::test]
async fn what_is_named_in_a_request_must_be_there_and_of_its_kind() {
    let app = TestApp::spawn().await;
    let case = app.checking(MIGRANT).await;
    let wrong = ask(&json!([
        item("document", &json!({ "document": "selfie" })),
        item("document", &json!({ "field": "person" })),
        item("field", &json!({ "field": "person.shoeSize" })),
        item("visit", &json!({ "document": "passport" })),
    ]));
    let reply = app.command(OFFICER, &case.id, wrong).await;
    assert_eq!(
        misfits(&reply),
        [
            "/items/0/document unknown-document-kind",
            "/items/1/field wrong-kind",
            "/items/2/field unknown-field",
            "/items/3/document wrong-kind",
        ]
    );
    assert_eq!(app.state(&case.id).await, "checking");
}

#[actix_web::test]
async fn a_document_that_was_asked_for_is_handed_in_before_it_is_answered() {
    let app = TestApp::spawn().await;
    let case = app.checking(MIGRANT).await;
    app.advance(TimeDelta::minutes(5));
    let request = ask(&json!([item("document", &json!({ "document": "photo" }))]));
    app.command(OFFICER, &case.id, request).await.expect(200);
    app.advance(TimeDelta::minutes(5));
    let answer = answers(&json!([{ "item": 1, "text": "Here it is." }]));
    // The photograph of the draft is the one that cannot be read.
    let reply = app.command(MIGRANT, &case.id, answer.clone()).await;
    assert_eq!(misfits(&reply), ["/answers/0/item document-not-attached"]);
    assert!(reply.text().contains("photo"));
    app.attach(&case, "passport").await.expect(200);
    app.command(MIGRANT, &case.id, answer.clone()).await.expect(422);
    app.attach(&case, "photo").await.expect(200);
    app.command(MIGRANT, &case.id, answer).await.expect(200);
    assert_eq!(app.state(&case.id).await, "checking");
    app.agreed(&case.id).await;
}

#[actix_web::test]
async fn a_slip_in_the_form_is_mended_in_the_section_asked_for_and_shown_as_a_difference() {
    let app = TestApp::spawn().await;
    let case = app.checking(MIGRANT).await;
    let request = ask(&json!([
        item("field", &json!({ "field": "person.familyName" })),
        item("field", &json!({ "subject": "entry" })),
        item("visit", &json!({})),
    ]));
    app.command(OFFICER, &case.id, request).await.expect(200);
    let form = app.see(&case.id).await["form"].clone();
    let mut person = form["person"].clone();
    person["familyName"] = json!("Каримоф");

    let wrong = answers(&json!([
        { "item": 1, "text": "So.", "form": { "passport": form["passport"] } },
        { "item": 2, "text": "So.", "form": {} },
        { "item": 3, "text": "I was there.", "form": { "person": person } },
        { "item": 3, "text": "Twice." },
    ]));
    let reply = app.command(MIGRANT, &case.id, wrong).await;
    assert_eq!(
        misfits(&reply),
        [
            "/answers/0/form/passport section-not-asked",
            "/answers/1/form required",
            "/answers/2/form/person section-not-asked",
            "/answers/3/item not-asked",
        ]
    );
    let mut unborn = person.clone();
    unborn["birthDate"] = json!("2046-01-01");
    let unborn = answers(&json!([{ "item": 1, "text": "So.", "form": { "person": unborn } }]));
    let reply = app.command(MIGRANT, &case.id, unborn).await;
    assert_eq!(misfits(&reply), ["/answers/0/form/person/birthDate date-in-future"]);

    let mut entry = form["entry"].clone();
    entry["fineReceipt"] = json!("18810");
    let right = answers(&json!([
        { "item": 1, "text": "A slip.", "form": { "person": person } },
        { "item": 2, "text": "Paid.", "form": { "entry": entry } },
    ]));
    let seen = app.command(MIGRANT, &case.id, right).await.expect(200).json();
    assert_eq!(seen["state"], "informationRequested", "the visit is still awaited");
    assert_eq!(
        seen["information"][0]["amended"],
        json!([{ "field": "person.familyName", "before": "Каримов", "after": "Каримоф" }])
    );
    assert_eq!(
        seen["information"][1]["amended"],
        json!([{ "field": "entry.fineReceipt", "after": "18810" }])
    );
    assert_eq!(seen["form"]["person"]["familyName"], "Каримоф");
    assert_eq!(seen["form"]["passport"], form["passport"]);
    let name = format!("SELECT person_name FROM applications WHERE id = '{}'", case.id);
    let name: String = app.sql().await.query_one(&name, &[]).await.unwrap().get(0);
    assert_eq!(name, "Каримоф Рустам Алишерович");
    // The words that it kept have the new one beside them, too.
    let words = format!(
        "SELECT array_agg(word ORDER BY word), array_agg(DISTINCT all_words) FROM application_words \
         WHERE application_id = '{}'",
        case.id
    );
    let words = app.sql().await.query_one(&words, &[]).await.unwrap();
    let each: Vec<String> = words.get(0);
    assert!(each.contains(&"karimof".to_owned()) && each.len() == 4, "{each:?}");
    assert_eq!(words.get::<_, Vec<String>>(1), [format!(" {} ", each.join(" "))]);
    let events = app.agreed(&case.id).await;
    let versions = events.last().unwrap().changes.iter().filter_map(|change| match change {
        Change::FormReplaced { item, changed, .. } => Some((*item, changed.len())),
        _ => None,
    });
    assert_eq!(versions.collect::<Vec<_>>(), [(Some(1), 1), (Some(2), 1)]);
}

#[actix_web::test]
async fn what_was_answered_about_the_old_form_is_asked_about_the_new_one() {
    let app = TestApp::spawn().await;
    let case = app.checking(MIGRANT).await;
    app.clear(&case.id).await;
    let request = ask(&json!([item("field", &json!({ "field": "passport.number" }))]));
    app.command(OFFICER, &case.id, request).await.expect(200);
    let mut passport = app.see(&case.id).await["form"]["passport"].clone();
    passport["number"] = json!("AB7654321");
    let answer =
        answers(&json!([{ "item": 1, "text": "A slip.", "form": { "passport": passport } }]));
    let seen = app.command(MIGRANT, &case.id, answer).await.expect(200).json();
    let check = |id: &str| {
        let checks = seen["checks"].as_array().unwrap();
        let check = checks.iter().find(|check| check["id"] == id).unwrap();
        (check["round"].clone(), check["outcome"].clone())
    };
    // A register that was sent the number; an officer; what the engine finds; what it looks up.
    assert_eq!(check("entryBan"), (json!(2), Value::Null));
    assert_eq!(check("passport"), (json!(1), json!("clear")));
    assert_eq!(check("age"), (json!(2), json!("clear")));
    assert_eq!(check("duplicatePerson"), (json!(2), json!("clear")));
    assert_eq!(check("permitBan"), (json!(2), json!("clear")));
    let reply = app.command(OTHER_OFFICER, &case.id, json!({ "command": "grant" })).await;
    assert_eq!(blocked_by(&reply), ["checksClear"]);
    app.agreed(&case.id).await;
}

#[actix_web::test]
async fn whoever_is_like_the_person_of_the_mended_form_is_found_at_once() {
    let app = TestApp::spawn().await;
    let mut form = app.form();
    form["person"]["citizenship"] = json!("TJK");
    form["person"]["birthDate"] = json!("1985-01-02");
    form["passport"]["number"] = json!("AB7654321");
    let other = app.draft_with(OTHER_MIGRANT, "patent", form).await;
    app.command(OTHER_MIGRANT, &other.id, json!({ "command": "submit" })).await.expect(200);
    let case = app.checking(MIGRANT).await;
    let found = async || {
        let seen = app.get(&case.path("")).by(OFFICER).send().await.expect(200).json();
        let checks = seen["checks"].as_array().unwrap();
        let check = checks.iter().find(|check| check["id"] == "duplicatePerson").unwrap();
        (check["outcome"].clone(), check["reason"].clone(), check["note"].clone())
    };
    assert_eq!(found().await.0, "clear");
    let request = ask(&json!([
        item("field", &json!({ "field": "passport.number" })),
        item("field", &json!({ "field": "person" })),
    ]));
    app.command(OFFICER, &case.id, request).await.expect(200);
    let stated = app.see(&case.id).await["form"].clone();
    let (mut passport, mut person) = (stated["passport"].clone(), stated["person"].clone());
    person["birthDate"] = json!("1985-01-02");
    passport["number"] = json!("AB7654321");
    for (answer, wanted) in [
        (json!([{ "item": 2, "text": "A slip.", "form": { "person": person } }]), "samePerson"),
        (
            json!([{ "item": 1, "text": "A slip.", "form": { "passport": passport } }]),
            "samePassport",
        ),
    ] {
        app.command(MIGRANT, &case.id, answers(&answer)).await.expect(200);
        let (outcome, reason, note) = found().await;
        assert_eq!((outcome, reason), (json!("hit"), json!(wanted)));
        assert!(note.as_str().unwrap().contains(&other.reference), "{note}");
    }
    app.agreed(&case.id).await;
}

#[actix_web::test]
async fn an_answer_cannot_make_the_form_that_of_somebody_with_an_application_under_way() {
    let app = TestApp::spawn().await;
    let case = app.checking(MIGRANT).await;
    let other = app.submitted(MIGRANT).await;
    let request = ask(&json!([item("field", &json!({ "field": "passport.number" }))]));
    app.command(OFFICER, &case.id, request).await.expect(200);
    let passport = app.see(&other.id).await["form"]["passport"].clone();
    let answer =
        answers(&json!([{ "item": 1, "text": "Mine.", "form": { "passport": passport } }]));
    let reply = app.command(MIGRANT, &case.id, answer).await;
    assert_eq!(blocked_by(&reply), ["noOtherOpenApplication"]);
}

#[actix_web::test]
async fn the_clock_stands_still_from_the_request_to_the_complete_answer_and_says_so() {
    let app = TestApp::spawn().await;
    let case = app.checking(MIGRANT).await;
    app.advance(TimeDelta::days(1));
    let request = ask(&json!([item("visit", &json!({})), item("document", &json!({}))]));
    app.command(OFFICER, &case.id, request).await.expect(200);
    app.advance(TimeDelta::days(2));
    app.command(MIGRANT, &case.id, answers(&json!([{ "item": 2, "text": "Here." }])))
        .await
        .expect(200);

    // Half answered on Thursday, 5 March: it still stands still, since Tuesday.
    let status = app.get(&format!("/v1/status/{}", case.reference)).send().await.expect(200).json();
    let own = app.get(&case.path("")).by(MIGRANT).send().await.expect(200).json();
    let clock = app.get(&case.path("/clock")).by(MIGRANT).send().await.expect(200).json();
    for view in [&status, &own, &clock] {
        assert_eq!(view["clockStopped"], true, "{view}");
        assert_eq!(view["clockStoppedSince"], "2026-03-03", "{view}");
        assert_eq!(view["clockStoppedReason"], "informationRequested", "{view}");
        assert_eq!(view["dueOn"], Value::Null, "{view}");
    }
    assert_eq!(
        (&status["waitsFor"], &status["actBy"]),
        (&json!("applicant"), &json!("2026-03-12"))
    );
    let open: Vec<_> = own["information"].as_array().unwrap().iter().map(|i| &i["open"]).collect();
    assert_eq!(open, [true, false]);

    app.advance(TimeDelta::days(1));
    app.command(MIGRANT, &case.id, answers(&json!([{ "item": 1, "text": "Came." }])))
        .await
        .expect(200);
    let status = app.get(&format!("/v1/status/{}", case.reference)).send().await.expect(200).json();
    // 3 March is day 1; 4 to 6 March are taken out; 9 March is off: day 2 is the 10th, day 10 the 20th.
    assert_eq!((&status["dueOn"], &status["clockStopped"]), (&json!("2026-03-20"), &json!(false)));
    assert_eq!(status["clockStoppedSince"], Value::Null);
    app.agreed(&case.id).await;
}

#[actix_web::test]
async fn what_runs_out_is_marked_and_goes_back_to_the_office() {
    let app = TestApp::spawn().await;
    let case = app.checking(MIGRANT).await;
    find(&app, &case, "language", "noData").await;
    let request =
        ask(&json!(
            [item("document", &json!({ "check": "language" })), item("visit", &json!({})),]
        ));
    app.command(OFFICER, &case.id, request).await.expect(200);
    assert_eq!(app.work(&case.id).await, None, "the applicant is awaited");
    app.command(MIGRANT, &case.id, answers(&json!([{ "item": 2, "text": "Came." }])))
        .await
        .expect(200);
    let expire =
        || app.app.casework.deadline(case.id.parse().unwrap(), CommandName::ExpireInformation);
    app.advance(TimeDelta::days(10));
    // 12 March still counts: the timer comes with the next day in Moscow.
    let later = expire().await.unwrap().unwrap();
    assert_eq!(later.to_rfc3339(), "2026-03-12T21:00:00+00:00");
    assert_eq!(app.state(&case.id).await, "informationRequested");
    app.advance(TimeDelta::days(1));
    assert_eq!(expire().await.unwrap(), None);

    let seen = app.get(&case.path("")).by(OTHER_OFFICER).send().await.expect(200).json();
    assert_eq!((&seen["state"], &seen["waitsFor"]), (&json!("checking"), &json!("office")));
    let item = |index: usize| {
        let item = &seen["information"][index];
        (item["open"].clone(), item["expired"].clone(), item["check"].clone())
    };
    assert_eq!(item(0), (json!(false), json!(true), json!("language")));
    assert_eq!(item(1), (json!(false), json!(false), Value::Null));
    assert_eq!(app.work(&case.id).await.as_deref(), Some("checks"));
    // The clock goes on with the last day on which he could have answered: 13 March is day 1, 26 March day 10.
    assert_eq!(seen["dueOn"], "2026-03-26");
    // He was asked, and did not answer: now it can be refused.
    app.command(OTHER_OFFICER, &case.id, refuse()).await.expect(200);
    app.agreed(&case.id).await;
}

#[actix_web::test]
async fn the_clock_goes_on_with_the_latest_answer_where_what_is_left_was_due_before_it() {
    let app = TestApp::spawn().await;
    let case = app.checking(MIGRANT).await;
    let request =
        ask(&json!([item("visit", &json!({})), item("visit", &json!({ "dueOn": "2026-03-31" }))]));
    app.command(OFFICER, &case.id, request).await.expect(200);
    // The first date is past, and means nothing while the second is to come.
    app.advance(TimeDelta::days(18));
    let answer = answers(&json!([{ "item": 2, "text": "Came." }]));
    app.command(MIGRANT, &case.id, answer).await.expect(200);
    app.drain().await;
    let seen = app.see(&case.id).await;
    assert_eq!(
        (&seen["state"], &seen["information"][0]["expired"]),
        (&json!("checking"), &json!(true))
    );
    // He answered on 20 March, a Friday: day 1 is the 23rd, day 10 3 April.
    let status = app.get(&format!("/v1/status/{}", case.reference)).send().await.expect(200).json();
    assert_eq!((&status["dueOn"], &status["overdue"]), (&json!("2026-04-03"), &json!(false)));
    app.agreed(&case.id).await;
}
