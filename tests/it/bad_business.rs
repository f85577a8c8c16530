//! What fits the schema and is still wrong: each gets a problem that names the obstacle, and nothing is written.

use chrono::{Days, Months, TimeDelta};
use serde_json::{Value, json};

use crate::support::app::{
    AUDITOR, EMPLOYER, MIGRANT, OFFICER, OTHER_MIGRANT, OTHER_OFFICER, PETERSBURG_OFFICER, Person,
    Reply, SENIOR, TestApp, WEBHOOK_KEY,
};
use crate::support::drive::{Case, fresh, signature};

/// Opens an application with a form, which must be refused: gives the slug and the errors, `pointer code`.
async fn opening(app: &TestApp, form: Value) -> (String, Vec<String>) {
    let before = app.written().await;
    let body = json!({ "track": "patent", "unit": "77", "form": form });
    let call = app.post("/v1/applications").by(MIGRANT).key(&fresh().to_string()).json(body);
    let reply = call.send().await;
    assert_eq!(app.written().await, before, "a refused opening wrote");
    refused(&reply)
}

/// The slug and the errors of a problem.
fn refused(reply: &Reply) -> (String, Vec<String>) {
    let problem = reply.json();
    let slug = problem["type"].as_str().unwrap().rsplit('/').next().unwrap().to_owned();
    assert_eq!(reply.problem(&slug)["status"], reply.status);
    assert!(problem["detail"].as_str().is_some_and(|detail| !detail.is_empty()));
    let mut errors: Vec<String> = problem["errors"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|error| {
            let part = |name: &str| error[name].as_str().unwrap().to_owned();
            assert!(part("detail").ends_with('.'), "{error}");
            format!("{} {}", part("pointer"), part("code"))
        })
        .collect();
    errors.sort();
    (slug, errors)
}

fn rule(errors: &[&str]) -> (String, Vec<String>) {
    ("rule-refused".to_owned(), errors.iter().map(|&error| error.to_owned()).collect())
}

fn unfit(errors: &[&str]) -> (String, Vec<String>) {
    ("invalid-request".to_owned(), errors.iter().map(|&error| error.to_owned()).collect())
}

/// Gives a command that must be refused and write nothing.
async fn command(app: &TestApp, person: Person, case: &Case, command: Value) -> Reply {
    let before = app.written().await;
    let reply = app.command(person, &case.id, command).await;
    assert!(reply.status >= 400, "{}", reply.text());
    assert_eq!(app.written().await, before, "a refused command wrote: {}", reply.text());
    reply
}

/// Hands in a complete draft whose form was changed; it must be blocked by these guards.
async fn submitting(app: &TestApp, change: impl FnOnce(&mut Value), guards: &[&str]) {
    let mut form = app.form();
    change(&mut form);
    let case = app.draft_with(MIGRANT, "patent", form).await;
    let reply = command(app, MIGRANT, &case, json!({ "command": "submit" })).await.expect(422);
    let problem = reply.problem("rule-refused");
    let blocked: Vec<&str> = problem["blockedBy"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["guard"].as_str().unwrap())
        .collect();
    assert_eq!(blocked, guards, "{problem}");
    assert_eq!(app.state(&case.id).await, "draft");
    // The draft's own page says the same before anything is tried.
    let seen = app.get(&case.path("")).by(MIGRANT).send().await.expect(200).json();
    let submit = &seen["commands"].as_array().unwrap()[0];
    assert_eq!(submit["command"], "submit");
    let shown: Vec<&Value> =
        submit["blockedBy"].as_array().unwrap().iter().map(|one| &one["guard"]).collect();
    assert_eq!(shown, guards);
}

// ── The form ──────────────────────────────────────────────────────────────────────────────────────────────

/// The check digit of ICAO 9303-3, 4.9: weights 7, 3, 1.
fn digit(text: &str) -> char {
    let value = |c: char| match c {
        '<' => 0,
        c => c.to_digit(36).unwrap(),
    };
    let sum: u32 =
        text.chars().map(value).zip([7, 3, 1].into_iter().cycle()).map(|(a, b)| a * b).sum();
    char::from_digit(sum % 10, 10).unwrap()
}

/// The zone of a passport, all check digits right.
fn mrz(number: &str, country: &str, birth: &str, expiry: &str) -> Value {
    let number = format!("{number:<<9}");
    let number = format!("{number}{}", digit(&number));
    let birth = format!("{birth}{}", digit(birth));
    let expiry = format!("{expiry}{}", digit(expiry));
    let optional = format!("{}0", "<".repeat(14));
    let composite = digit(&format!("{number}{birth}{expiry}{optional}"));
    json!({
        "line1": format!("{:<<44}", "P<UZBKARIMOV<<RUSTAM"),
        "line2": format!("{number}{country}{birth}M{expiry}{optional}{composite}"),
    })
}

#[actix_web::test]
async fn a_machine_readable_zone_is_checked_and_compared() {
    let app = TestApp::spawn().await;
    let mut form = app.form();
    form["passport"]["number"] = json!("FA1234567");
    let with = |zone: Value| {
        let mut form = form.clone();
        form["passport"]["mrz"] = zone;
        form
    };
    let right = mrz("FA1234567", "UZB", "900517", "310101");
    app.open(MIGRANT, "patent", with(right.clone())).await;
    // Each digit of the lower line that is another one is noticed.
    let line = right["line2"].as_str().unwrap();
    for (place, letter) in line.char_indices().filter(|(_, letter)| letter.is_ascii_digit()) {
        let other = char::from_digit((letter.to_digit(10).unwrap() + 1) % 10, 10).unwrap();
        let mut wrong = line.to_owned();
        wrong.replace_range(place..=place, &other.to_string());
        let zone = json!({ "line1": right["line1"], "line2": wrong });
        let expected = rule(&["/form/passport/mrz invalid-mrz"]);
        assert_eq!(opening(&app, with(zone)).await, expected, "{place}");
    }
    for (zone, pointer) in [
        (mrz("FA1234568", "UZB", "900517", "310101"), "/form/passport/number"),
        (mrz("FA1234567", "TJK", "900517", "310101"), "/form/person/citizenship"),
        (mrz("FA1234567", "UZB", "900518", "310101"), "/form/person/birthDate"),
        (mrz("FA1234567", "UZB", "900517", "310102"), "/form/passport/expiresOn"),
    ] {
        let expected = rule(&[&format!("{pointer} mrz-disagrees")]);
        assert_eq!(opening(&app, with(zone)).await, expected);
    }
    let short = json!({ "line1": "P<UZB", "line2": line });
    assert_eq!(opening(&app, with(short)).await, unfit(&["/form/passport/mrz/line1 length"]));
}

#[actix_web::test]
async fn numbers_and_dates_that_cannot_be_are_named_all_at_once() {
    let app = TestApp::spawn().await;
    let mut form = app.form();
    form["employer"]["inn"] = json!("7707083894");
    assert_eq!(opening(&app, form.clone()).await, rule(&["/form/employer/inn invalid-inn"]));
    form["employer"]["inn"] = json!("500100732250");
    assert_eq!(opening(&app, form.clone()).await, rule(&["/form/employer/inn invalid-inn"]));

    let tomorrow = app.today() + Days::new(2);
    form["person"]["birthDate"] = json!(tomorrow);
    form["person"]["citizenship"] = json!("XYZ");
    form["passport"]["issuedOn"] = json!("2032-01-01");
    form["entry"]["enteredOn"] = json!(tomorrow);
    form["contract"]["endsOn"] = json!("2020-01-01");
    form["contact"]["email"] = json!("nobody");
    form["contact"]["phone"] = json!("8 999 000");
    let expected = rule(&[
        "/form/contact/email invalid-email",
        "/form/contact/phone invalid-phone",
        "/form/contract/endsOn dates-reversed",
        "/form/employer/inn invalid-inn",
        "/form/entry/enteredOn date-in-future",
        "/form/passport/expiresOn dates-reversed",
        "/form/passport/issuedOn date-in-future",
        "/form/person/birthDate date-in-future",
        "/form/person/citizenship unknown-country",
    ]);
    assert_eq!(opening(&app, form.clone()).await, expected);

    // The same of a draft's form, and the draft stays as it was.
    let case = app.patent_draft().await;
    let before = app.written().await;
    let call = app.put(&case.path("/form")).by(MIGRANT).if_match(app.version(&case.id).await);
    let (slug, errors) = refused(&call.json(form).send().await.expect(422));
    assert_eq!((slug.as_str(), errors.len()), ("rule-refused", 9));
    assert!(errors.contains(&"/person/birthDate date-in-future".to_owned()), "{errors:?}");
    assert_eq!(app.written().await, before);
}

#[actix_web::test]
async fn everybody_may_be_born_today_where_he_is_and_nobody_tomorrow() {
    let app = TestApp::spawn().await;
    let mut form = app.form();
    form["person"]["birthDate"] = json!(app.today());
    app.open(MIGRANT, "patent", form).await;
}

#[actix_web::test]
async fn an_unknown_track_or_office_is_named() {
    let app = TestApp::spawn().await;
    let before = app.written().await;
    let open = async |track: &str, unit: &str| {
        let body = json!({ "track": track, "unit": unit });
        let call = app.post("/v1/applications").by(MIGRANT).key(&fresh().to_string()).json(body);
        refused(&call.send().await)
    };
    assert_eq!(open("visa", "77").await, unfit(&["/track unknown-track"]));
    assert_eq!(open("patent", "99").await, unfit(&["/unit unknown-unit"]));
    assert_eq!(open("", "7").await, unfit(&["/track length", "/unit length"]));
    // A migrant cannot petition for himself as a highly qualified specialist.
    assert_eq!(open("highly-qualified-specialist", "77").await.0, "forbidden");
    assert_eq!(app.written().await, before);
}

// ── Handing in ────────────────────────────────────────────────────────────────────────────────────────────

#[actix_web::test]
async fn a_passport_that_ends_before_the_permit_would_blocks() {
    let app = TestApp::spawn().await;
    let needed = app.today() + Months::new(12);
    let last = needed - Days::new(1);
    submitting(
        &app,
        |form| form["passport"]["expiresOn"] = json!(last),
        &["passportValidForMonths"],
    )
    .await;
    let mut form = app.form();
    form["passport"]["expiresOn"] = json!(needed);
    let case = app.draft_with(MIGRANT, "patent", form).await;
    app.command(MIGRANT, &case.id, json!({ "command": "submit" })).await.expect(200);
}

#[actix_web::test]
async fn an_applicant_is_of_age_on_his_birthday() {
    let app = TestApp::spawn().await;
    let birthday = app.today() - Months::new(18 * 12);
    let tomorrow = birthday + Days::new(1);
    submitting(&app, |form| form["person"]["birthDate"] = json!(tomorrow), &["ageAtLeast"]).await;
    let mut form = app.form();
    form["person"]["birthDate"] = json!(birthday);
    let case = app.draft_with(MIGRANT, "patent", form).await;
    app.command(MIGRANT, &case.id, json!({ "command": "submit" })).await.expect(200);
}

#[actix_web::test]
async fn citizens_of_the_union_need_no_patent() {
    let app = TestApp::spawn().await;
    for country in ["ARM", "BLR", "KAZ", "KGZ"] {
        let change = |form: &mut Value| form["person"]["citizenship"] = json!(country);
        submitting(&app, change, &["citizenshipNotIn"]).await;
    }
}

#[actix_web::test]
async fn whoever_is_late_proves_that_the_fine_was_paid() {
    let app = TestApp::spawn().await;
    let late = app.today() - Days::new(31);
    submitting(
        &app,
        |form| form["entry"]["enteredOn"] = json!(late),
        &["withinDaysOfEntryOrFined"],
    )
    .await;
    let mut form = app.form();
    form["entry"]["enteredOn"] = json!(late);
    form["entry"]["fineReceipt"] = json!("18810277260000000001");
    let case = app.draft_with(MIGRANT, "patent", form).await;
    app.command(MIGRANT, &case.id, json!({ "command": "submit" })).await.expect(200);
    let mut form = app.form();
    form["entry"]["enteredOn"] = json!(app.today() - Days::new(30));
    let case = app.draft_with(MIGRANT, "patent", form).await;
    app.command(MIGRANT, &case.id, json!({ "command": "submit" })).await.expect(200);
}

#[actix_web::test]
async fn everything_that_blocks_is_named_and_what_is_missing_too() {
    let app = TestApp::spawn().await;
    let change = |form: &mut Value| {
        form["person"]["birthDate"] = json!("2015-01-01");
        form["person"]["citizenship"] = json!("KAZ");
        form["passport"]["expiresOn"] = json!("2026-06-01");
        form["entry"]["enteredOn"] = json!("2025-06-01");
    };
    let all =
        ["ageAtLeast", "citizenshipNotIn", "passportValidForMonths", "withinDaysOfEntryOrFined"];
    submitting(&app, change, &all).await;

    let case = app.open(MIGRANT, "patent", json!({})).await;
    let reply = command(&app, MIGRANT, &case, json!({ "command": "submit" })).await.expect(422);
    let blocked = reply.problem("rule-refused")["blockedBy"][0].clone();
    assert_eq!(blocked["guard"], "formComplete");
    let parts = blocked["parts"].as_array().unwrap();
    assert_eq!(parts.len(), 12, "six sections and six documents: {blocked}");
    assert!(parts.contains(&json!("form.passport")) && parts.contains(&json!("documents.photo")));
}

#[actix_web::test]
async fn one_person_has_one_application_under_way() {
    let app = TestApp::spawn().await;
    let form = app.form();
    let first = app.draft_with(MIGRANT, "patent", form.clone()).await;
    // Whoever opened it: the passport is the same.
    let second = app.draft_with(OTHER_MIGRANT, "patent", form).await;
    app.command(MIGRANT, &first.id, json!({ "command": "submit" })).await.expect(200);
    let submit = json!({ "command": "submit" });
    let reply = command(&app, OTHER_MIGRANT, &second, submit.clone()).await.expect(422);
    let problem = reply.problem("rule-refused");
    assert_eq!(problem["blockedBy"][0]["guard"], "noOtherOpenApplication");
    assert!(!problem.to_string().contains(&first.id), "nothing of the other is told");
    app.command(MIGRANT, &first.id, json!({ "command": "withdraw" })).await.expect(200);
    app.command(OTHER_MIGRANT, &second.id, submit).await.expect(200);
}

// ── Commands ──────────────────────────────────────────────────────────────────────────────────────────────

#[actix_web::test]
async fn a_command_in_a_wrong_state_says_where_it_is_allowed() {
    let app = TestApp::spawn().await;
    let case = app.submitted(MIGRANT).await;
    let grant = json!({ "command": "grant" });
    let problem =
        command(&app, OTHER_OFFICER, &case, grant).await.expect(409).problem("wrong-state");
    assert_eq!(problem["state"], "submitted");
    assert_eq!(problem["allowedIn"], json!(["checking"]));
    let submit = json!({ "command": "submit" });
    let problem = command(&app, MIGRANT, &case, submit).await.expect(409).problem("wrong-state");
    assert_eq!(problem["allowedIn"], json!(["draft"]));
    // What was handed in is not changed under the officer's hands.
    let before = app.written().await;
    let version = app.version(&case.id).await;
    let call = app.put(&case.path("/form")).by(MIGRANT).if_match(version).json(app.form());
    call.send().await.expect(409).problem("wrong-state");
    app.attach(&case, "photo").await.expect(409).problem("wrong-state");
    assert_eq!(app.written().await, before);
}

#[actix_web::test]
async fn a_command_of_the_other_side_is_forbidden() {
    let app = TestApp::spawn().await;
    let case = app.submitted(MIGRANT).await;
    let accept = json!({ "command": "accept" });
    let problem = command(&app, MIGRANT, &case, accept).await.expect(403).problem("forbidden");
    assert_eq!(problem["parties"], json!(["officer"]));
    let withdraw = json!({ "command": "withdraw" });
    let problem = command(&app, OFFICER, &case, withdraw).await.expect(403).problem("forbidden");
    assert_eq!(problem["parties"], json!(["applicant"]));
    let finding = json!({ "command": "overrideFinding", "check": "entryBan", "reason": "x" });
    command(&app, OFFICER, &case, finding).await.expect(403).problem("forbidden");
}

#[actix_web::test]
async fn what_a_colleague_holds_is_his_until_the_lease_ends() {
    let app = TestApp::spawn().await;
    let case = app.submitted(MIGRANT).await;
    let call = app.put(&case.path("/claim")).by(OFFICER).if_match(app.version(&case.id).await);
    call.send().await.expect(200);
    let accept = json!({ "command": "accept" });
    for colleague in [OTHER_OFFICER, SENIOR] {
        let reply = command(&app, colleague, &case, accept.clone()).await.expect(409);
        let problem = reply.problem("claimed-by-another");
        assert_eq!(problem["holder"], json!(OFFICER.id()));
        assert_eq!(problem["holderName"], OFFICER.name);
        assert!(problem["until"].is_string());
    }
    let before = app.written().await;
    let call = app.delete(&case.path("/claim")).by(OTHER_OFFICER);
    let reply = call.if_match(app.version(&case.id).await).send().await;
    reply.expect(409).problem("claimed-by-another");
    assert_eq!(app.written().await, before);
    app.advance(TimeDelta::minutes(31));
    app.command(OTHER_OFFICER, &case.id, accept).await.expect(200);
}

#[actix_web::test]
async fn grounds_are_known_and_fit_the_command() {
    let app = TestApp::spawn().await;
    let case = app.checking(MIGRANT).await;
    let refuse = async |grounds: Value| {
        let body = json!({ "command": "refuse", "grounds": grounds, "reason": "Forged." });
        refused(&command(&app, OTHER_OFFICER, &case, body).await)
    };
    assert_eq!(refuse(json!(["G4"])).await, rule(&["/grounds/0 unknown-ground"]));
    assert_eq!(refuse(json!(["G04", "X01"])).await, rule(&["/grounds/1 unknown-ground"]));
    assert_eq!(refuse(json!(["G04", "G77"])).await, rule(&["/grounds/1 ground-not-allowed"]));
    assert_eq!(
        refuse(json!(["I01", "G90"])).await,
        rule(&["/grounds/0 ground-not-allowed", "/grounds/1 ground-not-allowed",])
    );
    assert_eq!(refuse(json!([])).await, unfit(&["/grounds length"]));
    assert_eq!(refuse(json!("G04")).await, unfit(&["/grounds wrong-type"]));
    let bare = json!({ "command": "refuse" });
    let missing = unfit(&["/grounds required", "/reason required"]);
    assert_eq!(refused(&command(&app, OTHER_OFFICER, &case, bare).await), missing);
}

#[actix_web::test]
async fn a_command_that_there_is_not_is_named() {
    let app = TestApp::spawn().await;
    let case = app.checking(MIGRANT).await;
    for (body, code) in [
        (json!({ "command": "approve" }), "/command unknown-command"),
        (json!({ "command": "lapse" }), "/command unknown-command"),
        (json!({ "command": 7 }), "/command wrong-type"),
        (json!({}), "/command required"),
        (json!({ "command": "grant", "reason": "x" }), "/reason unknown-member"),
    ] {
        let reply = command(&app, OFFICER, &case, body).await;
        assert_eq!(refused(&reply), unfit(&[code]));
    }
}

#[actix_web::test]
async fn checks_that_there_are_not_have_no_answers() {
    let app = TestApp::spawn().await;
    let case = app.checking(MIGRANT).await;
    let finding = json!({ "command": "recordFinding", "check": "mood", "outcome": "clear" });
    let reply = command(&app, OFFICER, &case, finding).await.expect(422);
    assert_eq!(refused(&reply), rule(&["/check unknown-check"]));
    let finding = json!({ "command": "recordFinding", "check": "entryBan", "outcome": "fine" });
    let reply = command(&app, OFFICER, &case, finding).await.expect(400);
    assert_eq!(refused(&reply).0, "invalid-request");
    let over = json!({ "command": "overrideFinding", "check": "entryBan", "reason": "Namesake." });
    let reply = command(&app, SENIOR, &case, over).await.expect(422);
    assert_eq!(refused(&reply), rule(&["/check nothing-to-override"]));
}

#[actix_web::test]
async fn nobody_decides_what_he_checked_nor_before_it_is_clear() {
    let app = TestApp::spawn().await;
    let case = app.checking(MIGRANT).await;
    let grant = json!({ "command": "grant" });
    let guards = |reply: Reply| {
        let problem = reply.expect(422).problem("rule-refused");
        let list = problem["blockedBy"].as_array().unwrap();
        list.iter().map(|one| one["guard"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let reply = command(&app, OFFICER, &case, grant.clone()).await;
    assert_eq!(guards(reply), ["fourEyes", "checksClear"]);
    let reply = command(&app, OTHER_OFFICER, &case, grant.clone()).await;
    assert_eq!(guards(reply), ["checksClear"]);
    app.clear(&case.id).await;
    assert_eq!(guards(command(&app, OFFICER, &case, grant).await), ["fourEyes"]);
}

#[actix_web::test]
async fn what_was_not_asked_is_not_answered_and_yesterday_is_too_late() {
    let app = TestApp::spawn().await;
    let case = app.checking(MIGRANT).await;
    let ask = |due_on: chrono::NaiveDate| {
        let item = json!({ "kind": "document", "subject": "photo", "reason": "Blurred.",
                           "dueOn": due_on });
        json!({ "command": "requestInformation", "items": [item] })
    };
    for date in [app.today() - Days::new(1), app.today()] {
        let reply = command(&app, OFFICER, &case, ask(date)).await.expect(422);
        assert_eq!(refused(&reply), rule(&["/items/0/dueOn date-not-in-future"]));
    }
    app.command(OFFICER, &case.id, ask(app.today() + Days::new(7))).await.expect(200);
    let answer = |items: &[u32]| {
        let answers: Vec<Value> =
            items.iter().map(|item| json!({ "item": item, "text": "Here." })).collect();
        json!({ "command": "answerInformation", "answers": answers })
    };
    for (items, pointers) in [
        (&[7][..], &["/answers/0/item not-asked"][..]),
        (&[1, 1], &["/answers/1/item not-asked"]),
        (&[1, 2, 3], &["/answers/1/item not-asked", "/answers/2/item not-asked"]),
    ] {
        let reply = command(&app, MIGRANT, &case, answer(items)).await.expect(422);
        assert_eq!(refused(&reply), rule(pointers));
    }
    app.command(MIGRANT, &case.id, answer(&[1])).await.expect(200);
}

// ── Money ─────────────────────────────────────────────────────────────────────────────────────────────────

/// Turns the check digit of a UIN into another one.
fn mistyped(uin: &str) -> String {
    let (before, last) = uin.split_at(uin.len() - 1);
    format!("{before}{}", (last.parse::<u8>().unwrap() + 1) % 10)
}

#[actix_web::test]
async fn a_payment_document_counts_once() {
    let app = TestApp::spawn().await;
    let case = app.handed_in(MIGRANT).await;
    let owed = app.owed(&case.id).await;
    let half = owed["outstanding"]["kopecks"].as_i64().unwrap() / 2;
    let pay = |uin: &Value, number: &str| {
        json!({ "command": "recordPayment", "uin": uin, "amountKopecks": half,
                "paidAt": app.now(), "documentNumber": number })
    };
    app.command(OFFICER, &case.id, pay(&owed["uin"], "receipt 1")).await.expect(200);
    assert_eq!(app.state(&case.id).await, "awaitingDuty", "a half does not settle");
    let reply = command(&app, OFFICER, &case, pay(&owed["uin"], "receipt 1")).await.expect(422);
    assert!(reply.problem("rule-refused")["detail"].as_str().unwrap().contains("document number"));
    let wrong = json!(mistyped(owed["uin"].as_str().unwrap()));
    let reply = command(&app, OFFICER, &case, pay(&wrong, "receipt 2")).await.expect(422);
    assert_eq!(refused(&reply), rule(&["/uin invalid-uin"]));
    // A UIN that is right and another application's.
    let other = app.handed_in(MIGRANT).await;
    let foreign = app.owed(&other.id).await;
    let reply = command(&app, OFFICER, &case, pay(&foreign["uin"], "receipt 2")).await.expect(422);
    assert_eq!(refused(&reply).0, "rule-refused");
    app.command(OFFICER, &case.id, pay(&owed["uin"], "receipt 2")).await.expect(200);
    assert_eq!(app.state(&case.id).await, "submitted");
}

#[actix_web::test]
async fn a_callback_that_is_not_signed_in_time_tells_nothing() {
    let app = TestApp::spawn().await;
    let case = app.handed_in(MIGRANT).await;
    let owed = app.owed(&case.id).await;
    let body = json!({ "type": "payment.received", "data": {
        "id": "pay_1", "uin": owed["uin"], "amountKopecks": owed["amount"]["kopecks"],
        "paidAt": app.now() } })
    .to_string();
    let now = app.now().timestamp();
    let send = async |id: Option<&str>, at: Option<i64>, sign: Option<String>, body: &str| {
        let mut call = app.post("/v1/callbacks/payments").text(body);
        if let Some(id) = id {
            call = call.header("webhook-id", id);
        }
        if let Some(at) = at {
            call = call.header("webhook-timestamp", &at.to_string());
        }
        if let Some(sign) = sign {
            call = call.header("webhook-signature", &sign);
        }
        call.send().await
    };
    let right = |at: i64| Some(signature(WEBHOOK_KEY, "msg_1", at, &body));
    let before = app.written().await;
    let paid_more = body.replace("pay_1", "pay_2");
    let unprefixed = signature(WEBHOOK_KEY, "msg_1", now, &body).replace("v1,", "");
    for (id, at, sign, body) in [
        (None, Some(now), right(now), body.as_str()),
        (Some("msg_1"), None, right(now), &body),
        (Some("msg_1"), Some(now), None, &body),
        (Some("msg_2"), Some(now), right(now), &body),
        (Some("msg_1"), Some(now), right(now), &paid_more),
        (Some("msg_1"), Some(now + 1), right(now), &body),
        (Some("msg_1"), Some(now - 301), right(now - 301), &body),
        (Some("msg_1"), Some(now + 301), right(now + 301), &body),
        (Some("msg_1"), Some(now), Some(signature(b"another key", "msg_1", now, &body)), &body),
        (Some("msg_1"), Some(now), Some("v1,".to_owned()), &body),
        (Some("msg_1"), Some(now), Some(unprefixed), &body),
    ] {
        let reply = send(id, at, sign, body).await;
        assert_eq!(reply.status, 401, "{id:?} {at:?}");
        assert_eq!(reply.header("www-authenticate"), Some("Bearer"));
        reply.problem("unauthenticated");
    }
    assert_eq!(app.written().await, before);
    assert_eq!(app.state(&case.id).await, "awaitingDuty");
    // One right signature among others is enough, at the edge of the window, too: keys are changed that way.
    let two = format!("v1,AAAA {} v2,x", right(now - 300).unwrap());
    let reply = send(Some("msg_1"), Some(now - 300), Some(two), &body).await;
    assert_eq!(reply.expect(200).json(), json!({ "outcome": "booked" }));
    // Told again, in a new message or the same: it counts once.
    let before = app.written().await;
    for at in [now - 300, now] {
        let reply = send(Some("msg_1"), Some(at), right(at), &body).await;
        assert_eq!(reply.expect(200).json(), json!({ "outcome": "known" }));
    }
    assert_eq!(app.written().await, before);
    assert_eq!(app.state(&case.id).await, "submitted");
}

#[actix_web::test]
async fn a_signed_message_that_does_not_fit_is_refused() {
    let app = TestApp::spawn().await;
    let before = app.written().await;
    let send = async |body: &str| {
        let (id, at) = (format!("msg_{}", fresh()), app.now().timestamp());
        let call = app
            .post("/v1/callbacks/payments")
            .header("webhook-id", &id)
            .header("webhook-timestamp", &at.to_string())
            .header("webhook-signature", &signature(WEBHOOK_KEY, &id, at, body));
        refused(&call.text(body).send().await)
    };
    assert_eq!(send("{").await, unfit(&[" malformed-json"]));
    let body = json!({ "type": "payment.received", "data": { "amountKopecks": 0 } });
    let expected = unfit(&["/data/amountKopecks range", "/data/paidAt required"]);
    assert_eq!(send(&body.to_string()).await, expected);
    let body = json!({ "type": "refund", "data": { "amountKopecks": 1, "paidAt": app.now() } });
    assert_eq!(send(&body.to_string()).await, unfit(&["/type unknown-type"]));
    assert_eq!(app.written().await, before);
}

#[actix_web::test]
async fn money_that_matches_nothing_waits_for_an_officer() {
    let app = TestApp::spawn().await;
    let case = app.handed_in(MIGRANT).await;
    let owed = app.owed(&case.id).await;
    let uin = owed["uin"].as_str().unwrap();
    let payment = |id: &str, uin: Option<&str>| json!({ "id": id, "uin": uin, "amountKopecks": 100, "paidAt": app.now(), "payer": "A B" });
    let (wrong, unknown) = (mistyped(uin), "18800000000000099991");
    for (id, uin) in [("a", Some(wrong.as_str())), ("b", Some(unknown)), ("c", None)] {
        let reply = app.callback(payment(id, uin)).await.expect(200);
        assert_eq!(reply.json(), json!({ "outcome": "waiting" }), "{id}");
        let reply = app.callback(payment(id, uin)).await.expect(200);
        assert_eq!(reply.json(), json!({ "outcome": "known" }), "{id}");
    }
    assert_eq!(app.state(&case.id).await, "awaitingDuty");
    let list = app.get("/v1/payments").by(SENIOR).send().await.expect(200).json();
    let items = list["items"].as_array().unwrap();
    assert_eq!(items.len(), 3, "{list}");
    assert!(items.iter().all(|one| one["amount"]["kopecks"] == 100 && one["payer"] == "A B"));
    let page = app.get("/v1/payments?limit=2").by(SENIOR).send().await.expect(200);
    let link = page.header("link").unwrap();
    let next = link[1..].split('>').next().unwrap();
    let rest = app.get(next).by(SENIOR).send().await.expect(200).json();
    assert_eq!(rest["items"].as_array().unwrap().len(), 1);
}

// ── Times of no clock ─────────────────────────────────────────────────────────────────────────────────────

#[actix_web::test]
async fn a_far_year_is_a_slip_of_the_pen() {
    let app = TestApp::spawn().await;
    let case = app.checking(MIGRANT).await;
    for date in ["2027-03-03", "9999-12-31", "+262142-12-31"] {
        let item = json!({ "kind": "visit", "subject": "x", "reason": "x", "dueOn": date });
        let ask = json!({ "command": "requestInformation", "items": [item] });
        let reply = command(&app, OFFICER, &case, ask).await.expect(422);
        assert_eq!(refused(&reply), rule(&["/items/0/dueOn date-too-late"]), "{date}");
    }
    let waits = app.handed_in(MIGRANT).await;
    let owed = app.owed(&waits.id).await;
    let before = app.written().await;
    for at in ["-200000-01-01T00:00:00Z", "+262142-12-31T00:00:00Z", "1815-01-01T00:00:00Z"] {
        let pay = json!({ "command": "recordPayment", "uin": owed["uin"], "amountKopecks": 1,
                          "paidAt": at, "documentNumber": "1" });
        let reply = app.command(OFFICER, &waits.id, pay).await.expect(400);
        assert_eq!(refused(&reply).0, "invalid-request", "{at}");
        let reply = app.callback(json!({ "amountKopecks": 1, "paidAt": at })).await.expect(400);
        assert_eq!(refused(&reply).0, "invalid-request", "{at}");
        let path = format!("/v1/audit/events?from={0}&to={0}", at.replace('+', "%2B"));
        let reply = app.get(&path).by(AUDITOR).send().await.expect(400);
        assert_eq!(refused(&reply).1.len(), 2, "{at}");
    }
    assert_eq!(app.written().await, before);
}

// ── Cursors ───────────────────────────────────────────────────────────────────────────────────────────────

#[actix_web::test]
async fn a_cursor_is_good_for_the_list_that_gave_it() {
    let app = TestApp::spawn().await;
    let case = app.draft(EMPLOYER, "patent").await;
    let other = app.draft(EMPLOYER, "patent").await;
    let cursor = async |path: &str| {
        let reply = app.get(path).by(EMPLOYER).send().await.expect(200);
        let link = reply.header("link").unwrap().to_owned();
        link.split("cursor=").nth(1).unwrap().split('>').next().unwrap().to_owned()
    };
    let mine = cursor("/v1/applications?limit=1").await;
    let history = cursor(&format!("{}?limit=2", case.path("/history"))).await;
    let turned: String = mine.chars().rev().collect();
    let with = |path: &str, cursor: &str| format!("{path}?cursor={cursor}");
    let expected = unfit(&["cursor invalid-cursor"]);
    for path in [
        with("/v1/applications", &turned),
        with("/v1/applications", &mine[1..]),
        with("/v1/applications", "MQ"),
        with("/v1/applications", &history),
        with(&case.path("/history"), &mine),
        with(&other.path("/history"), &history),
    ] {
        let reply = app.get(&path).by(EMPLOYER).send().await.expect(400);
        assert_eq!(refused(&reply), expected, "{path}");
    }
    for (list, reader) in
        [("/v1/queues/intake/applications", PETERSBURG_OFFICER), ("/v1/payments", SENIOR)]
    {
        let reply = app.get(&with(list, &mine)).by(reader).send().await.expect(400);
        assert_eq!(refused(&reply), expected, "{list}");
    }
    let reply = app.get(&with("/v1/applications", &mine)).by(EMPLOYER).send().await.expect(200);
    assert_eq!(reply.json()["items"].as_array().unwrap().len(), 1);
}
