//! One application walks the whole way through HTTP, as the README tells it, and the conventions hold on the way.

use std::collections::BTreeSet;
use std::num::NonZeroU32;

use chrono::{Days, TimeDelta};
use serde_json::{Value, json};

use crate::support::app::{
    AUDITOR, EMPLOYER, MIGRANT, OFFICER, OTHER_MIGRANT, OTHER_OFFICER, OTHER_SENIOR, Person, Reply,
    SENIOR, TestApp,
};
use crate::support::drive::{BIRTH_DATE, Case, PDF, fresh};

/// The public status, after making sure that nothing in it is about a person.
async fn status(app: &TestApp, case: &Case) -> Value {
    let reply = app.get(&format!("/v1/status/{}", case.reference)).send().await.expect(200);
    nothing_personal(app, case, &reply).await;
    reply.json()
}

/// Fails when the answer has anything of what the form states of the person, or of who works on it.
async fn nothing_personal(app: &TestApp, case: &Case, reply: &Reply) {
    let form = app.see(&case.id).await["form"].clone();
    let text = reply.text().to_lowercase();
    for pointer in [
        "/person/familyName",
        "/person/givenName",
        "/person/patronymic",
        "/person/birthDate",
        "/passport/number",
        "/passport/expiresOn",
        "/entry/migrationCard",
        "/employer/inn",
        "/employer/name",
        "/contact/email",
    ] {
        let value = form.pointer(pointer).and_then(Value::as_str).unwrap().to_lowercase();
        assert!(!text.contains(&value), "{pointer} is public: {text}");
    }
    for secret in
        ["holderName", "UZB", "personName", &case.id, &MIGRANT.id().to_string(), "officer@"]
    {
        assert!(!text.contains(&secret.to_lowercase()), "{secret} is public: {text}");
    }
}

#[actix_web::test]
async fn a_patent_walks_from_draft_to_a_permit_in_force() {
    let app =
        TestApp::spawn_with(|config| config.public_lookups_per_minute = NonZeroU32::MAX).await;
    let stands = async |case: &Case, state: &str, phase: &str, turn: &str| {
        let shown = status(&app, case).await;
        let told = [&shown["state"], &shown["phase"], &shown["waitsFor"]];
        assert_eq!(told, [state, phase, turn], "{shown}");
        assert!(!shown["stage"].as_str().unwrap().is_empty());
        assert!(!shown["next"].as_str().unwrap().is_empty());
        shown
    };
    let gives = async |person, case: &Case, command: Value| {
        app.command(person, &case.id, command).await.expect(200).json()
    };

    // The migrant opens a draft, hands in the documents and the application.
    let case = app.open(MIGRANT, "patent", app.form()).await;
    let shown = stands(&case, "draft", "submission", "applicant").await;
    assert_eq!(shown["submittedAt"], Value::Null);
    let page = app.get(&case.path("")).by(MIGRANT).send().await.expect(200).json();
    let names: Vec<&Value> =
        page["commands"].as_array().unwrap().iter().map(|one| &one["command"]).collect();
    assert_eq!(names, ["submit", "withdraw"]);
    app.attach_all(&case, "patent").await;
    gives(MIGRANT, &case, json!({ "command": "submit" })).await;
    stands(&case, "awaitingDuty", "submission", "applicant").await;

    // He pays the state duty; the provider tells of it.
    app.pay(&case.id).await;
    let shown = stands(&case, "submitted", "submission", "office").await;
    assert_eq!(shown["dueOn"], Value::Null, "the clock starts with acceptance");

    // An officer takes it in and asks the registers.
    let claims = app.post("/v1/queues/intake/claims").by(OFFICER).key("first");
    let claimed = claims.send().await.expect(200).json();
    assert_eq!((&claimed["id"], &claimed["claim"]["by"]), (&json!(case.id), &json!(OFFICER.id())));
    gives(OFFICER, &case, json!({ "command": "accept" })).await;
    let shown = stands(&case, "checking", "checks", "office").await;
    // Ten working days from Monday, 2 March 2026; the 9th is a holiday (the 8th falls on a Sunday).
    assert_eq!((&shown["dueOn"], &shown["overdue"]), (&json!("2026-03-17"), &json!(false)));
    app.clear(&case.id).await;

    // Another officer decides.
    let granted = gives(OTHER_OFFICER, &case, json!({ "command": "grant" })).await;
    assert_eq!(granted["decision"]["outcome"], "granted");
    stands(&case, "awaitingPayment", "fee", "applicant").await;
    app.pay(&case.id).await;
    stands(&case, "ready", "issuance", "applicant").await;
    let issued = gives(OFFICER, &case, json!({ "command": "handOver" })).await;
    stands(&case, "inForce", "inForce", "applicant").await;

    // Whoever reads the number can ask whether it is valid.
    let number = issued["permit"]["number"].as_str().unwrap();
    let path = format!("/v1/permits/{number}");
    let reply = app.get(&path).send().await.expect(200);
    nothing_personal(&app, &case, &reply).await;
    let expected = json!({
        "number": number, "valid": true, "reason": "inForce", "territory": "77",
        "profession": "Каменщик", "issuedOn": "2026-03-02", "paidThrough": "2026-04-02",
        "endsOn": "2027-03-02",
    });
    assert_eq!(reply.json(), expected);
    let shouted = format!("/v1/permits/{}", number.replace('-', ""));
    assert_eq!(app.get(&shouted).send().await.expect(200).json(), expected);
    // The day after the last paid one it is not, even before the timer has come by.
    app.advance(TimeDelta::days(32));
    let later = app.get(&path).send().await.expect(200).json();
    assert_eq!([&later["valid"], &later["reason"]], [&json!(false), &json!("lapsed")]);
    assert_eq!(later["invalidSince"], "2026-04-03");

    // Every step stands in the history, numbered without gaps, and the log has no other.
    let history = app.get(&format!("{}?limit=100", case.path("/history")));
    let history = history.by(MIGRANT).send().await.expect(200).json();
    let events = history["items"].as_array().unwrap();
    let numbers: Vec<i64> = events.iter().map(|event| event["seq"].as_i64().unwrap()).collect();
    assert_eq!(numbers, (1..=i64::try_from(events.len()).unwrap()).collect::<Vec<_>>());
    assert_eq!(app.version(&case.id).await, *numbers.last().unwrap());
    assert!(events.iter().all(|event| event["actor"] == Value::Null), "applicants see no names");
    let states: Vec<&str> = events
        .iter()
        .filter(|event| event["from"] != event["to"])
        .map(|event| event["to"].as_str().unwrap())
        .collect();
    let way =
        ["draft", "awaitingDuty", "submitted", "checking", "awaitingPayment", "ready", "inForce"];
    assert_eq!(states, way);

    for track in ["", "/patent", "/patent/diagram", "/patent/diagram?format=mermaid"] {
        let reply = app.get(&format!("/v1/workflows{track}")).send().await.expect(200);
        nothing_personal(&app, &case, &reply).await;
    }
}

#[actix_web::test]
async fn an_employer_petitions_for_a_highly_qualified_specialist() {
    let app = TestApp::spawn().await;
    let mut form = app.form();
    form["contract"]["salaryKopecks"] = json!(74_999_999);
    let case = app.draft_with(EMPLOYER, "highly-qualified-specialist", form.clone()).await;
    let submit = json!({ "command": "submit" });
    let problem = app.command(EMPLOYER, &case.id, submit.clone()).await.expect(422);
    let problem = problem.problem("rule-refused");
    assert_eq!(problem["blockedBy"][0]["guard"], "salaryAtLeast");
    form["contract"]["salaryKopecks"] = json!(75_000_000);
    form["contract"]["endsOn"] = json!("2027-12-31");
    let call = app.put(&case.path("/form")).by(EMPLOYER);
    call.if_match(app.version(&case.id).await).json(form).send().await.expect(200);
    app.command(EMPLOYER, &case.id, submit).await.expect(200);
    app.pay(&case.id).await;
    app.command(OFFICER, &case.id, json!({ "command": "accept" })).await.expect(200);
    let shown = status(&app, &case).await;
    // Fourteen working days, the 9th of March not among them.
    assert_eq!((&shown["state"], &shown["dueOn"]), (&json!("checking"), &json!("2026-03-23")));
    app.clear(&case.id).await;
    app.command(OTHER_OFFICER, &case.id, json!({ "command": "grant" })).await.expect(200);
    let handed = app.command(OFFICER, &case.id, json!({ "command": "handOver" })).await.expect(200);
    assert_eq!(handed.json()["permit"]["endsOn"], "2027-12-31", "no longer than the contract");
    assert_eq!(status(&app, &case).await["phase"], "inForce");
}

#[actix_web::test]
async fn the_clock_stands_still_while_the_applicant_is_asked() {
    let app = TestApp::spawn().await;
    let case = app.checking(MIGRANT).await;
    let clock = async || app.get(&case.path("/clock")).by(MIGRANT).send().await.expect(200).json();
    let before = clock().await;
    assert_eq!((&before["workingDays"], &before["workingDaysLeft"]), (&json!(10), &json!(10)));
    assert_eq!(
        (&before["startedOn"], &before["dueOn"]),
        (&json!("2026-03-02"), &json!("2026-03-17"))
    );
    let holiday = before["days"].as_array().unwrap().iter().find(|day| day["date"] == "2026-03-09");
    assert_eq!(holiday.unwrap()["why"], "holiday");

    app.advance(TimeDelta::days(2)); // Wednesday
    let item = |subject: &str| json!({ "kind": "document", "subject": subject, "reason": "Blurred.", "dueOn": "2026-03-20" });
    let ask =
        json!({ "command": "requestInformation", "items": [item("photo"), item("passport")] });
    app.command(OFFICER, &case.id, ask).await.expect(200);
    let shown = status(&app, &case).await;
    assert_eq!((&shown["clockStopped"], &shown["dueOn"]), (&json!(true), &Value::Null));
    let stopped = clock().await;
    assert_eq!((&stopped["dueOn"], &stopped["workingDaysLeft"]), (&Value::Null, &Value::Null));
    assert_eq!(
        stopped["suspensions"],
        json!([
        { "from": "2026-03-04", "reason": "informationRequested" }])
    );

    // Whoever has reference and birth date sees what is asked.
    let details = app.post(&format!("/v1/status/{}/details", case.reference));
    let details = details.json(json!({ "birthDate": BIRTH_DATE })).send().await.expect(200).json();
    let missing = details["missing"].as_array().unwrap();
    assert_eq!(missing.len(), 2);
    assert_eq!((&missing[0]["item"], &missing[1]["subject"]), (&json!(1), &json!("passport")));

    app.advance(TimeDelta::days(2)); // Friday
    app.attach(&case, "photo").await.expect(200);
    let answer = |item: u32| {
        let answer = json!({ "item": item, "text": "A better copy." });
        json!({ "command": "answerInformation", "answers": [answer] })
    };
    app.command(MIGRANT, &case.id, answer(2)).await.expect(200);
    assert_eq!(app.state(&case.id).await, "informationRequested", "one answer is still missing");
    app.command(MIGRANT, &case.id, answer(1)).await.expect(200);
    let after = clock().await;
    assert_eq!(
        after["suspensions"],
        json!([
        { "from": "2026-03-04", "to": "2026-03-06", "reason": "informationRequested" }])
    );
    // Thursday and Friday did not count: two working days later.
    assert_eq!((&after["dueOn"], &after["workingDaysLeft"]), (&json!("2026-03-19"), &json!(8)));
    let shown = status(&app, &case).await;
    assert_eq!((&shown["state"], &shown["clockStopped"]), (&json!("checking"), &json!(false)));
    assert_eq!(shown["dueOn"], "2026-03-19");
    // Nobody was in time: the promised date is over, and everybody can see it.
    app.advance(TimeDelta::days(14));
    assert_eq!(status(&app, &case).await["overdue"], true);
    let late = clock().await;
    assert_eq!(late["workingDaysLeft"], -1);
}

#[actix_web::test]
async fn a_refusal_names_its_grounds_in_the_language_asked_for() {
    let app = TestApp::spawn().await;
    let case = app.checking(MIGRANT).await;
    let hit = json!({ "command": "recordFinding", "check": "medical", "outcome": "hit", "note": "secret" });
    app.command(OFFICER, &case.id, hit).await.expect(200);
    let refuse =
        json!({ "command": "refuse", "grounds": ["G04", "G06", "G04"], "reason": "Forged." });
    let reply = app.command(OTHER_OFFICER, &case.id, refuse).await.expect(200).json();
    assert_eq!((&reply["state"], &reply["phase"]), (&json!("refused"), &json!("closed")));
    let read = async |language: &str| {
        let call = app.get(&case.path("")).by(MIGRANT).header("accept-language", language);
        call.send().await.expect(200).json()["decision"].clone()
    };
    let (english, russian) = (read("en").await, read("ru-RU, en;q=0.5").await);
    let codes: Vec<&Value> =
        english["grounds"].as_array().unwrap().iter().map(|one| &one["code"]).collect();
    assert_eq!(codes, ["G04", "G06"]);
    assert_eq!(
        english["grounds"][0]["wording"],
        "Forged documents or false statements were handed in."
    );
    assert_eq!(
        russian["grounds"][0]["wording"],
        "Представлены поддельные документы или заведомо ложные сведения."
    );
    assert_eq!((&english["outcome"], &english["reason"]), (&json!("refused"), &json!("Forged.")));
    assert_eq!(english["by"], Value::Null, "applicants do not see who decided");
    let page = app.get(&case.path("")).by(MIGRANT).send().await.expect(200);
    assert!(!page.text().contains("secret"), "nor the office's notes");
    let inside = app.get(&case.path("")).by(OFFICER).send().await.expect(200);
    assert!(
        inside.text().contains("secret") && inside.text().contains(&OTHER_OFFICER.id().to_string())
    );
    let details = app.post(&format!("/v1/status/{}/details", case.reference));
    let details = details.json(json!({ "birthDate": BIRTH_DATE })).send().await.expect(200).json();
    assert_eq!(details["decision"], "refused");
    assert_eq!(details["grounds"], english["grounds"]);
    // It is over: nothing is left but to complain.
    let seen = app.get(&case.path("")).by(MIGRANT).send().await.json();
    assert_eq!(seen["commands"], json!([{ "command": "complain", "blockedBy": [] }]));
    let again = json!({ "command": "withdraw" });
    app.command(MIGRANT, &case.id, again).await.expect(409).problem("wrong-state");
}

#[actix_web::test]
async fn what_cannot_be_taken_in_is_refused_at_the_door() {
    let app = TestApp::spawn().await;
    let case = app.submitted(MIGRANT).await;
    let refuse = json!({ "command": "refuseIntake", "grounds": ["I02"], "reason": "Unreadable." });
    let reply = app.command(OFFICER, &case.id, refuse).await.expect(200).json();
    assert_eq!(reply["state"], "intakeRefused");
    assert_eq!(reply["decision"]["grounds"][0]["code"], "I02");
    assert_eq!(status(&app, &case).await["waitsFor"], "nobody");
    app.get(&case.path("/clock")).by(MIGRANT).send().await.expect(404);
    // The person can come again.
    let mut form = app.form();
    form["passport"]["number"] = app.see(&case.id).await["form"]["passport"]["number"].clone();
    let again = app.draft_with(MIGRANT, "patent", form).await;
    app.command(MIGRANT, &again.id, json!({ "command": "submit" })).await.expect(200);
}

#[actix_web::test]
async fn an_annulment_takes_four_eyes() {
    let app = TestApp::spawn().await;
    let case = app.in_force(MIGRANT).await;
    let number = app.see(&case.id).await["permit"]["number"].as_str().unwrap().to_owned();
    let valid = async || app.get(&format!("/v1/permits/{number}")).send().await.expect(200).json();
    let propose =
        json!({ "command": "proposeAnnulment", "grounds": ["G17"], "reason": "No contract." });
    app.command(SENIOR, &case.id, propose.clone()).await.expect(200);
    assert_eq!(valid().await["valid"], true, "a proposal takes nothing from anybody");
    let seen = app.get(&case.path("")).by(MIGRANT).send().await.expect(200).json();
    assert_eq!(seen["proposal"], Value::Null, "and is the office's own");

    let confirm = json!({ "command": "confirmAnnulment" });
    app.command(OFFICER, &case.id, confirm.clone()).await.expect(403).problem("forbidden");
    let problem = app.command(SENIOR, &case.id, confirm.clone()).await.expect(422);
    let problem = problem.problem("rule-refused");
    assert_eq!(problem["blockedBy"][0]["guard"], "fourEyes");
    assert_eq!(problem["blockedBy"][0]["parts"], json!(["proposeAnnulment"]));

    let reject = json!({ "command": "rejectAnnulment", "reason": "It had arrived." });
    app.command(SENIOR, &case.id, reject.clone()).await.expect(422).problem("rule-refused");
    app.command(OTHER_SENIOR, &case.id, reject).await.expect(200);
    assert_eq!(app.state(&case.id).await, "inForce");

    app.command(OFFICER, &case.id, propose).await.expect(200);
    let annulled = app.command(OTHER_SENIOR, &case.id, confirm).await.expect(200).json();
    assert_eq!(annulled["state"], "annulled");
    let shown = valid().await;
    assert_eq!([&shown["valid"], &shown["reason"]], [&json!(false), &json!("annulled")]);
    // Why it was annulled is nobody's business without the date of birth.
    assert_eq!((&shown["grounds"], &shown["invalidSince"]), (&json!(null), &json!("2026-03-02")));
}

#[actix_web::test]
async fn whoever_books_a_payment_by_hand_does_not_hand_the_permit_over() {
    let app = TestApp::spawn().await;
    let case = app.granted(MIGRANT).await;
    let owed = app.owed(&case.id).await;
    let pay = json!({
        "command": "recordPayment", "uin": owed["uin"], "paidAt": app.now(),
        "amountKopecks": owed["outstanding"]["kopecks"], "documentNumber": "receipt 4711",
    });
    app.command(SENIOR, &case.id, pay).await.expect(200);
    let hand_over = json!({ "command": "handOver" });
    let problem = app.command(SENIOR, &case.id, hand_over.clone()).await.expect(422);
    assert_eq!(problem.problem("rule-refused")["blockedBy"][0]["guard"], "fourEyes");
    app.command(OFFICER, &case.id, hand_over).await.expect(200);
    assert_eq!(app.state(&case.id).await, "inForce");
}

// ── Conventions ───────────────────────────────────────────────────────────────────────────────────────────

#[actix_web::test]
async fn a_repeated_request_gets_the_same_answer() {
    let app = TestApp::spawn().await;
    let body = json!({ "track": "patent", "unit": "77", "form": app.form() });
    let open = async |key: &str, body: &Value| {
        app.post("/v1/applications").by(MIGRANT).key(key).json(body).send().await
    };
    let first = open("one", &body).await.expect(201);
    let written = app.written().await;
    app.advance(TimeDelta::minutes(1));
    let second = open("one", &body).await.expect(201);
    same_answer(&first, &second);
    assert_eq!(app.written().await, written);
    let mut other = body.clone();
    other["form"]["prepaidMonths"] = json!(2);
    open("one", &other).await.expect(422).problem("idempotency-key-reused");
    assert_eq!(app.written().await, written);
    // The key is the caller's own.
    let stranger = app.post("/v1/applications").by(OTHER_MIGRANT).key("one").json(&body);
    assert_ne!(stranger.send().await.expect(201).json()["id"], first.json()["id"]);

    let case = app.patent_draft().await;
    let version = app.version(&case.id).await;
    let give = async |key: &str, command: Value| {
        let call = app.post(&case.path("/commands")).by(MIGRANT).if_match(version).key(key);
        call.json(command).send().await
    };
    let first = give("two", json!({ "command": "submit" })).await.expect(200);
    // The version that the request names is stale now, and the answer is the same all the same.
    let second = give("two", json!({ "command": "submit" })).await.expect(200);
    same_answer(&first, &second);
    give("two", json!({ "command": "withdraw" }))
        .await
        .expect(422)
        .problem("idempotency-key-reused");
    assert_eq!(app.state(&case.id).await, "awaitingDuty");
    // A key stands for one operation on one application.
    let elsewhere = app.patent_draft().await;
    let call = app.post(&elsewhere.path("/commands")).by(MIGRANT).key("two");
    let reply = call.if_match(1).json(json!({ "command": "submit" })).send().await;
    reply.expect(422).problem("idempotency-key-reused");
    // What was refused has used no key up.
    let stale = give("three", json!({ "command": "withdraw" })).await.expect(412);
    let tag = stale.problem("stale-version")["currentETag"].as_str().unwrap().to_owned();
    let call = app.post(&case.path("/commands")).by(MIGRANT).header("if-match", &tag).key("three");
    call.json(json!({ "command": "withdraw" })).send().await.expect(200);
}

fn same_answer(first: &Reply, second: &Reply) {
    assert_eq!(first.status, second.status);
    assert_eq!(first.text(), second.text());
    for name in ["etag", "location", "content-type"] {
        assert_eq!(first.header(name), second.header(name), "{name}");
    }
    assert_eq!(first.header("idempotency-replayed"), None);
    assert_eq!(second.header("idempotency-replayed"), Some("true"));
}

#[actix_web::test]
async fn a_change_names_the_version_it_was_decided_on() {
    let app = TestApp::spawn().await;
    let case = app.patent_draft().await;
    let version = app.version(&case.id).await;
    let body = json!({ "command": "submit" });
    let form = app.form();
    let calls = || {
        [
            app.post(&case.path("/commands")).by(MIGRANT).key(&fresh().to_string()).json(&body),
            app.put(&case.path("/form")).by(MIGRANT).json(&form),
            app.put(&case.path("/documents/registration")).by(MIGRANT).body("application/pdf", PDF),
        ]
    };
    let written = app.written().await;
    for call in calls() {
        call.send().await.expect(428).problem("precondition-required");
    }
    for call in calls() {
        let problem = call.if_match(version - 1).send().await.expect(412).problem("stale-version");
        assert_eq!(problem["currentETag"], format!("\"v{version}\""));
        assert_eq!(problem["state"], "draft");
    }
    for call in calls() {
        call.header("if-match", &format!("W/\"v{version}\"")).send().await.expect(412);
    }
    assert_eq!(app.written().await, written);

    let read = async |tag: &str| {
        app.get(&case.path("")).by(MIGRANT).header("if-none-match", tag).send().await
    };
    let reply = read(&format!("\"v{version}\"")).await.expect(304);
    assert!(reply.body.is_empty());
    assert_eq!(reply.version(), version);
    read(&format!("\"v{}\"", version - 1)).await.expect(200);
}

/// Follows the `next` links from `path`; gives the ids in order and how many pages there were.
async fn follow(app: &TestApp, person: Person, path: &str) -> (Vec<String>, usize) {
    let (mut at, mut ids, mut pages) = (path.to_owned(), Vec::new(), 0);
    loop {
        let reply = app.get(&at).by(person).send().await.expect(200);
        pages += 1;
        let items = reply.json()["items"].as_array().unwrap().clone();
        ids.extend(items.iter().map(|item| item["id"].as_str().unwrap().to_owned()));
        let Some(link) = reply.header("link") else { return (ids, pages) };
        at = link.strip_prefix('<').unwrap().strip_suffix(">; rel=\"next\"").unwrap().to_owned();
    }
}

#[actix_web::test]
async fn lists_of_twenty_five_come_in_pages_without_gap_or_repetition() {
    let app = TestApp::spawn().await;
    let mut opened = Vec::new();
    for number in 0..25 {
        if number % 5 == 0 {
            app.advance(TimeDelta::minutes(1));
        }
        opened.push(app.submitted(MIGRANT).await.id);
    }
    // Ids begin with the instant: what was opened in the same one has an order, too, if no meaning.
    let mut newest_first = opened.clone();
    newest_first.sort_by(|one, other| other.cmp(one));
    assert!(opened[20..].contains(&newest_first[0]) && opened[..5].contains(&newest_first[24]));
    let all: BTreeSet<&String> = opened.iter().collect();
    for (limit, pages) in [("", 2), ("?limit=10", 3), ("?limit=25", 1), ("?limit=1", 25)] {
        let found = follow(&app, MIGRANT, &format!("/v1/applications{limit}")).await;
        assert_eq!(found, (newest_first.clone(), pages), "{limit}");
        let path = format!("/v1/queues/intake/applications{limit}");
        let (queued, counted) = follow(&app, OFFICER, &path).await;
        assert_eq!(
            (queued.iter().collect::<BTreeSet<_>>(), counted),
            (all.clone(), pages),
            "{limit}"
        );
        assert_eq!(queued.len(), 25);
    }
    // A page begun does not change its order when the list does: the 26th stands before, not among them.
    let first = app.get("/v1/applications?limit=10").by(MIGRANT).send().await.expect(200);
    let link = first.header("link").unwrap()[1..].split('>').next().unwrap().to_owned();
    app.open(MIGRANT, "patent", json!({})).await;
    let second = app.get(&link).by(MIGRANT).send().await.expect(200).json();
    assert_eq!(second["items"][0]["id"], json!(newest_first[10]));
    // The log has every event once; those of asking for it page by page are newer than the first page.
    let written = usize::try_from(app.written().await[0]).unwrap();
    app.advance(TimeDelta::seconds(1));
    let (events, _) = follow(&app, AUDITOR, "/v1/audit/events?limit=100").await;
    let distinct: BTreeSet<&String> = events.iter().collect();
    assert_eq!((distinct.len(), events.len()), (written, written));
}

#[actix_web::test]
async fn a_queue_gives_each_application_to_one_officer() {
    let app = TestApp::spawn().await;
    let next = async |person, key: &str| {
        app.post("/v1/queues/intake/claims").by(person).key(key).send().await
    };
    next(OFFICER, "early").await.expect(204);
    let first = app.submitted(MIGRANT).await;
    app.advance(TimeDelta::seconds(1));
    let second = app.submitted(MIGRANT).await;
    let reply = next(OFFICER, "a").await.expect(200);
    assert_eq!(reply.json()["id"], json!(first.id), "the earliest comes first");
    assert_eq!(reply.json()["claim"]["name"], OFFICER.name);
    assert_eq!(reply.version(), app.version(&first.id).await);
    let again = next(OFFICER, "a").await.expect(200);
    assert_eq!(again.json()["id"], json!(first.id), "a repeated claim claims nothing more");
    assert_eq!(again.header("idempotency-replayed"), Some("true"));
    assert_eq!(next(OTHER_OFFICER, "b").await.expect(200).json()["id"], json!(second.id));
    next(OTHER_OFFICER, "c").await.expect(204);

    let queues = app.get("/v1/queues").by(OFFICER).send().await.expect(200).json();
    assert_eq!(queues["items"][0]["queue"], "intake");
    assert_eq!(
        (&queues["items"][0]["waiting"], &queues["items"][0]["free"]),
        (&json!(2), &json!(0))
    );

    let claim = async |person| {
        let call = app.put(&first.path("/claim")).by(person);
        call.if_match(app.version(&first.id).await).send().await
    };
    let problem = claim(OTHER_OFFICER).await.expect(409).problem("claimed-by-another");
    assert_eq!(problem["holderName"], OFFICER.name);
    // A sign of life makes the lease longer.
    app.advance(TimeDelta::minutes(20));
    let until = claim(OFFICER).await.expect(200).json()["claim"]["until"].clone();
    assert_eq!(until, json!(app.now() + TimeDelta::minutes(30)));
    app.advance(TimeDelta::minutes(20));
    claim(OTHER_OFFICER).await.expect(409);
    // A senior officer can end a colleague's.
    let call = app.delete(&first.path("/claim?reason=ill")).by(SENIOR);
    call.if_match(app.version(&first.id).await).send().await.expect(200);
    claim(OTHER_OFFICER).await.expect(200);
    let call = app.delete(&first.path("/claim")).by(OTHER_OFFICER);
    let freed = call.if_match(app.version(&first.id).await).send().await.expect(200).json();
    assert_eq!(freed["claim"], Value::Null);
    app.get("/v1/queues/nowhere/applications").by(OFFICER).send().await.expect(404);
}

#[actix_web::test]
async fn what_is_wrong_and_what_is_unknown_look_alike() {
    let app = TestApp::spawn().await;
    let case = app.handed_in(MIGRANT).await;
    let details = async |reference: &str, birth_date: &str| {
        let call = app.post(&format!("/v1/status/{reference}/details"));
        call.header("x-request-id", "same").json(json!({ "birthDate": birth_date })).send().await
    };
    let found = details(&case.reference, BIRTH_DATE).await.expect(200);
    nothing_personal_but_money(&found);
    let typed = case.reference.to_lowercase().replace('-', "");
    assert_eq!(details(&typed, BIRTH_DATE).await.expect(200).text(), found.text());
    let other = propusk::domain::reference::Reference::from_random([9; 8]).to_string();
    let mistyped = {
        let (before, last) = case.reference.split_at(case.reference.len() - 1);
        format!("{before}{}", if last == "0" { "1" } else { "0" })
    };
    let expected = details(&case.reference, "1990-05-18").await.expect(404);
    expected.problem("not-found");
    for (reference, birth_date) in [
        (case.reference.as_str(), "1890-01-01"),
        (other.as_str(), BIRTH_DATE),
        (mistyped.as_str(), BIRTH_DATE),
        ("nonsense", BIRTH_DATE),
    ] {
        let reply = details(reference, birth_date).await.expect(404);
        assert_eq!(reply.body, expected.body, "{reference} {birth_date}");
        let names = |reply: &Reply| {
            reply.headers.iter().map(|(name, _)| name.to_string()).collect::<BTreeSet<_>>()
        };
        assert_eq!(names(&reply), names(&expected), "{reference} {birth_date}");
    }
    let status = async |reference: &str| {
        let call = app.get(&format!("/v1/status/{reference}")).header("x-request-id", "same");
        call.send().await.expect(404)
    };
    let (unknown, mistyped) = (status(&other).await, status(&mistyped).await);
    assert_eq!(unknown.body, mistyped.body);
    let permit = async |number: &str| {
        let call = app.get(&format!("/v1/permits/{number}")).header("x-request-id", "same");
        call.send().await.expect(404)
    };
    assert_eq!(permit("77-0000000016").await.body, permit("77-0000000017").await.body);
}

fn nothing_personal_but_money(details: &Reply) {
    let text = details.text();
    for personal in ["Каримов", "Рустам", BIRTH_DATE, "FA1", "rustam@"] {
        assert!(!text.contains(personal), "{personal}: {text}");
    }
    let charges = details.json()["charges"].clone();
    assert_eq!(charges[0]["fee"], "stateDuty");
    assert!(charges[0]["uin"].is_string());
}

#[actix_web::test]
async fn guessing_at_a_birth_date_ends_soon_wherever_it_comes_from() {
    let app = TestApp::spawn().await;
    let case = app.handed_in(MIGRANT).await;
    let guess = async |address: u8, reference: &str, birth_date: &str| {
        let call = app.post(&format!("/v1/status/{reference}/details")).from([192, 0, 2, address]);
        call.json(json!({ "birthDate": birth_date })).send().await
    };
    for day in 1..=10 {
        guess(day, &case.reference, &format!("1990-06-{day:02}")).await.expect(404);
    }
    let lowercase = case.reference.to_lowercase();
    for reference in [&case.reference, &lowercase] {
        let reply = guess(99, reference, BIRTH_DATE).await.expect(429);
        reply.problem("too-many-requests");
        assert_eq!(reply.header("retry-after"), Some("360"));
    }
    // Another reference has its own budget, and the status is not what was guessed at.
    let other = app.handed_in(MIGRANT).await;
    guess(99, &other.reference, BIRTH_DATE).await.expect(200);
    status(&app, &case).await;
    app.advance(TimeDelta::seconds(360));
    guess(99, &case.reference, BIRTH_DATE).await.expect(200);
}

#[actix_web::test]
async fn a_mistyped_reference_has_a_budget_as_an_unknown_one_has() {
    let app = TestApp::spawn().await;
    let unknown = propusk::domain::reference::Reference::from_random([9; 8]).to_string();
    let guess = async |address: u8, reference: &str| {
        let call = app.post(&format!("/v1/status/{reference}/details"));
        let call = call.from([192, 0, 2, address]).json(json!({ "birthDate": BIRTH_DATE }));
        call.send().await.status
    };
    for reference in [unknown.as_str(), "00000-00000-0001", "nonsense"] {
        let mut answers = Vec::new();
        for address in 1..=11 {
            answers.push(guess(address, reference).await);
        }
        assert_eq!(answers, [[404; 10].as_slice(), &[429]].concat(), "{reference}");
    }
}

#[actix_web::test]
async fn looking_up_is_rationed_by_address() {
    let app = TestApp::spawn_with(|config| {
        config.public_lookups_per_minute = NonZeroU32::new(3).unwrap();
    })
    .await;
    let path = "/v1/status/00000-00000-0000";
    for left in ["2", "1", "0"] {
        let reply = app.get(path).send().await.expect(404);
        assert!(reply.header("ratelimit").unwrap().contains(&format!("r={left};")));
        assert_eq!(reply.header("ratelimit-policy"), Some("\"lookups\";q=3;w=60"));
    }
    for path in [path, "/v1/permits/77-0000000016", "/v1/workflows/patent"] {
        let reply = app.get(path).send().await.expect(429);
        reply.problem("too-many-requests");
        assert_eq!(reply.header("retry-after"), Some("20"), "{path}");
    }
    app.get(path).from([192, 0, 2, 2]).send().await.expect(404);
    for unrationed in ["/health/live", "/v1/workflows"] {
        app.get(unrationed).send().await.expect(200);
    }
    app.advance(TimeDelta::seconds(20));
    app.get(path).send().await.expect(404);
}

#[actix_web::test]
async fn documents_are_what_they_say_and_wanted() {
    let app = TestApp::spawn().await;
    let case = app.open(MIGRANT, "patent", app.form()).await;
    let before = app.written().await;
    let version = app.version(&case.id).await;
    let put = async |kind: &str, media_type: &str, body: Vec<u8>| {
        let call = app.put(&case.path(&format!("/documents/{kind}"))).by(MIGRANT);
        call.if_match(version).body(media_type, body).send().await
    };
    for (media_type, body) in [
        ("text/plain", PDF),
        ("image/png", PDF),
        ("application/pdf", b"GIF89a\x01\0\x01\0".as_slice()),
        ("application/pdf", b"hello"),
    ] {
        let reply = put("registration", media_type, body.to_vec()).await.expect(415);
        reply.problem("unsupported-media-type");
    }
    for body in [&PDF[..PDF.len() - 6], b"".as_slice(), b"%PDF-1.7 /JavaScript %%EOF"] {
        put("registration", "application/pdf", body.to_vec())
            .await
            .expect(422)
            .problem("rule-refused");
    }
    let mut large = PDF.to_vec();
    large.splice(9..9, vec![b' '; 10 * 1024 * 1024]);
    let problem = put("registration", "application/pdf", large).await.expect(413);
    assert_eq!(problem.problem("payload-too-large")["limitBytes"], 10 * 1024 * 1024);
    let problem = put("selfie", "application/pdf", PDF.to_vec()).await.expect(422);
    let problem = problem.problem("rule-refused");
    assert_eq!(problem["errors"][0]["code"], "unknown-document-kind");
    assert_eq!(app.written().await, before);

    // A later one takes the earlier one's place.
    put("registration", "application/pdf", PDF.to_vec()).await.expect(200);
    let newer = [PDF, b"% newer\n%%EOF\n"].concat();
    let call = app.put(&case.path("/documents/registration")).by(MIGRANT).if_match(version + 1);
    let taken = call.body("application/pdf", newer.clone()).send().await.expect(200).json();
    assert_eq!(taken["documents"].as_array().unwrap().len(), 1);
    // The office does not see a draft yet.
    app.get(&case.path("/documents/registration")).by(OFFICER).send().await.expect(404);
    for reader in [MIGRANT, AUDITOR] {
        let read =
            app.get(&case.path("/documents/registration")).by(reader).send().await.expect(200);
        assert_eq!(read.body, newer);
        assert_eq!(read.header("content-type"), Some("application/pdf"));
        assert_eq!(
            read.header("content-disposition"),
            Some("attachment; filename=\"registration\"")
        );
        assert_eq!(read.header("cache-control"), Some("no-store"));
    }
    app.get(&case.path("/documents/passport")).by(MIGRANT).send().await.expect(404);
}

#[actix_web::test]
async fn answers_speak_the_language_asked_for() {
    let app = TestApp::spawn().await;
    let case = app.submitted(MIGRANT).await;
    let path = format!("/v1/status/{}", case.reference);
    let stage = async |accept: Option<&str>| {
        let call = app.get(&path);
        let call = match accept {
            Some(accept) => call.header("accept-language", accept),
            None => call,
        };
        let reply = call.send().await.expect(200);
        assert_eq!(reply.header("vary"), Some("Accept-Language"));
        let language = reply.header("content-language").unwrap().to_owned();
        (language, reply.json()["stage"].as_str().unwrap().to_owned())
    };
    let english = ("en".to_owned(), "Handed in".to_owned());
    let russian = ("ru".to_owned(), "Подано".to_owned());
    assert_eq!(stage(None).await, english);
    for accept in ["ru", "RU-ru", "de, ru;q=0.8, en;q=0.7", "uz, tg, ru;q=0.1"] {
        assert_eq!(stage(Some(accept)).await, russian, "{accept}");
    }
    for accept in ["en-GB, ru;q=0.9", "de", "*", "ru;q=0", "ru;q=0.3, en;q=0.5", ";;,q=,"] {
        assert_eq!(stage(Some(accept)).await, english, "{accept}");
    }
    let call = app.get("/v1/workflows/patent").header("accept-language", "ru");
    assert_eq!(call.send().await.expect(200).json()["title"], "Патент на работу");
}

#[actix_web::test]
async fn the_same_person_can_apply_again_once_it_is_over() {
    let app = TestApp::spawn().await;
    let form = app.form();
    let first = app.draft_with(MIGRANT, "patent", form.clone()).await;
    app.command(MIGRANT, &first.id, json!({ "command": "submit" })).await.expect(200);
    app.command(MIGRANT, &first.id, json!({ "command": "withdraw", "reason": "Home." }))
        .await
        .expect(200);
    let charges = app.see(&first.id).await["charges"].clone();
    assert_eq!(charges[0]["status"], "annulled");
    assert_eq!(status(&app, &first).await["state"], "withdrawn");
    app.advance(TimeDelta::days(1));
    let mut form = form;
    form["contract"]["startsOn"] = json!(app.today() + Days::new(30));
    let second = app.draft_with(MIGRANT, "patent", form).await;
    app.command(MIGRANT, &second.id, json!({ "command": "submit" })).await.expect(200);
}
