//! What is owed after issue: told, reminded of, proved, looked at, let go, found overdue, and what follows from that.

use chrono::{Days, NaiveDate, TimeDelta};
use serde_json::{Value, json};

use crate::calendars::calendar;
use crate::support::app::{
    ADMINISTRATOR, AUDITOR, MIGRANT, OFFICER, OTHER_MIGRANT, OTHER_OFFICER, OTHER_SENIOR,
    PETERSBURG_OFFICER, SENIOR, TestApp,
};
use crate::support::drive::{BIRTH_DATE, Case, blocked_by, fresh, misfits};

fn report() -> Value {
    json!({ "command": "reportDuty", "duty": "contractCopy", "document": "contractCopy" })
}

/// That the worker was hired, or left, on a day.
fn notice(kind: &str, on: NaiveDate) -> Value {
    json!({
        "command": "reportDuty", "duty": "employerNotice", "notice": {
            "kind": kind, "on": on, "employer": { "inn": "7707083893", "name": "ООО «Стройка»" },
        },
    })
}

fn with_document(mut report: Value) -> Value {
    report["document"] = "employerNotice".into();
    report
}

fn confirm(number: u32) -> Value {
    json!({ "command": "confirmDuty", "number": number })
}

fn reject(number: u32) -> Value {
    json!({ "command": "rejectDutyProof", "number": number, "reason": "It is not signed." })
}

fn excuse(number: u32) -> Value {
    json!({ "command": "excuseDuty", "number": number, "reason": "He was in hospital." })
}

fn propose(ground: &str) -> Value {
    json!({ "command": "proposeAnnulment", "grounds": [ground], "reason": "No copy came." })
}

impl TestApp {
    /// A patent in force, issued today and paid for half a year.
    async fn patent(&self) -> Case {
        let mut form = self.form();
        form["prepaidMonths"] = 6.into();
        let case = self.draft_with(MIGRANT, "patent", form).await;
        self.command(MIGRANT, &case.id, json!({ "command": "submit" })).await.expect(200);
        self.pay(&case.id).await;
        self.command(OFFICER, &case.id, json!({ "command": "accept" })).await.expect(200);
        self.clear(&case.id).await;
        self.command(OTHER_OFFICER, &case.id, json!({ "command": "grant" })).await.expect(200);
        self.pay(&case.id).await;
        self.command(OFFICER, &case.id, json!({ "command": "handOver" })).await.expect(200);
        case
    }

    /// Moves the clock to nine in the morning in Moscow, and runs what is due.
    async fn on(&self, day: &str) {
        let day: NaiveDate = day.parse().unwrap();
        self.advance(TimeDelta::days((day - self.today()).num_days()));
        self.drain().await;
    }

    /// What is owed, as the office sees it: duty, last day, status.
    async fn standing(&self, case: &Case) -> Vec<(String, String, String)> {
        let seen = self.see(&case.id).await;
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let duties = seen["duties"].as_array().unwrap().iter();
        duties
            .filter(|duty| !duty["owed"].is_null())
            .map(|duty| {
                let owed = &duty["owed"];
                (text(&duty["id"]), text(&owed["dueOn"]), text(&owed["status"]))
            })
            .collect()
    }

    /// The status of the copy of the contract.
    async fn copy(&self, case: &Case) -> String {
        self.standing(case).await[0].2.clone()
    }

    async fn mailed(&self, case: &Case, message: &str) -> usize {
        self.mails(&case.id).await.iter().filter(|one| *one == message).count()
    }
}

fn owed(duty: &str, due_on: &str, status: &str) -> (String, String, String) {
    (duty.to_owned(), due_on.to_owned(), status.to_owned())
}

#[actix_web::test]
async fn the_copy_of_the_contract_is_owed_from_issue_and_its_holder_is_told_until_when() {
    let app = TestApp::spawn().await;
    let granted = app.granted(MIGRANT).await;
    assert_eq!(app.see(&granted.id).await["duties"], json!([]), "nothing is owed before issue");
    app.command(MIGRANT, &granted.id, report()).await.expect(409).problem("wrong-state");
    // Issued on Monday, 2 March: 2 May is a Saturday.
    let case = app.patent().await;
    assert_eq!(app.standing(&case).await, [owed("contractCopy", "2026-05-04", "open")]);
    let seen = app.get(&case.path("")).by(MIGRANT).header("accept-language", "en").send().await;
    let seen = seen.expect(200).json();
    let copy = &seen["duties"][0];
    assert_eq!((&copy["owedBy"], &copy["grounds"]), (&json!("holder"), &json!(["G15"])));
    assert_eq!(copy["owed"]["number"], 1);
    assert_eq!(
        copy["next"],
        "Hand in the document 'contractCopy' and report it (reportDuty) by 2026-05-04."
    );
    let employers = &seen["duties"][1];
    assert_eq!((&employers["owedBy"], &employers["owed"]), (&json!("employer"), &Value::Null));
    // Without an account, too.
    let path = format!("/v1/status/{}/details", case.reference);
    let call = app.post(&path).header("accept-language", "ru");
    let details = call.json(json!({ "birthDate": BIRTH_DATE })).send().await.expect(200).json();
    assert_eq!(details["duties"][0]["owed"]["dueOn"], "2026-05-04");
    assert!(details["duties"][0]["next"].as_str().unwrap().starts_with("До 2026-05-04"));
    app.agreed(&case.id).await;
}

#[actix_web::test]
async fn the_holder_is_reminded_twice_and_told_once_that_it_is_late() {
    let app = TestApp::spawn().await;
    let case = app.patent().await;
    let mut told = Vec::new();
    for day in [
        "2026-04-19",
        "2026-04-20",
        "2026-04-21",
        "2026-04-30",
        "2026-05-01",
        "2026-05-04",
        "2026-05-05",
        "2026-05-06",
        "2026-05-20",
    ] {
        app.on(day).await;
        app.drain().await;
        let reminders = app.mailed(&case, "dutyReminder").await;
        told.push((reminders, app.mailed(&case, "dutyOverdue").await, app.copy(&case).await));
    }
    let expected = [
        (0, 0, "open"),
        (1, 0, "open"),
        (1, 0, "open"),
        (1, 0, "open"),
        (2, 0, "open"),
        (2, 0, "open"),
        (2, 1, "overdue"),
        (2, 1, "overdue"),
        (2, 1, "overdue"),
    ];
    assert_eq!(told, expected.map(|(r, o, status)| (r, o, status.to_owned())));
    let sent = "SELECT message, status FROM messages WHERE message LIKE 'duty%' ORDER BY id";
    let rows = app.sql().await.query(sent, &[]).await.unwrap();
    let sent: Vec<(String, String)> = rows.iter().map(|row| (row.get(0), row.get(1))).collect();
    let count =
        |name: &str| sent.iter().filter(|one| *one == &(name.into(), "sent".into())).count();
    assert_eq!((count("dutyReminder"), count("dutyOverdue")), (2, 1), "{sent:?}");
    assert_eq!(count("dutyFoundOverdue"), 2, "both senior officers of the unit are told: {sent:?}");
    assert_eq!(app.state(&case.id).await, "inForce", "nothing follows by itself");
    app.agreed(&case.id).await;
}

#[actix_web::test]
async fn a_proof_is_looked_at_by_an_officer_and_owed_again_when_it_does_not_do() {
    let app = TestApp::spawn().await;
    let case = app.patent().await;
    let refused = app.command(MIGRANT, &case.id, report()).await.expect(422);
    assert_eq!(misfits(&refused), ["/document document-not-attached"]);
    let wrong = json!({ "command": "reportDuty", "duty": "contractCopy", "document": "passport" });
    let refused = app.command(MIGRANT, &case.id, wrong).await.expect(422);
    assert_eq!(misfits(&refused), ["/document wrong-document"]);
    app.attach(&case, "passport").await.expect(422);
    app.attach(&case, "contractCopy").await.expect(200);
    assert_eq!(app.work(&case.id).await, None, "what was not reported is nobody's work");
    app.command(MIGRANT, &case.id, report()).await.expect(200);
    assert_eq!(app.work(&case.id).await.as_deref(), Some("dutyProof"));
    app.attach(&case, "contractCopy").await.expect(422);
    let again = app.command(MIGRANT, &case.id, report()).await.expect(422);
    assert_eq!(misfits(&again), ["/duty not-owed"]);

    let listed = app.get("/v1/queues/duty-proofs/applications").by(OFFICER).send().await;
    assert_eq!(listed.expect(200).json()["items"][0]["id"], json!(case.id));
    let claim = app.post("/v1/queues/duty-proofs/claims").by(OFFICER).key("one").send().await;
    assert_eq!(claim.expect(200).json()["id"], json!(case.id));
    let held = app.command(OTHER_OFFICER, &case.id, reject(1)).await.expect(409);
    held.problem("claimed-by-another");
    app.command(OFFICER, &case.id, reject(1)).await.expect(200);
    assert_eq!(app.standing(&case).await, [owed("contractCopy", "2026-05-04", "open")]);
    let seen = app.get(&case.path("")).by(MIGRANT).send().await.expect(200).json();
    assert_eq!(seen["duties"][0]["owed"]["reason"], "It is not signed.");
    assert_eq!(seen["duties"][0]["owed"]["proof"], Value::Null);
    assert_eq!(app.mailed(&case, "dutyProofRejected").await, 1);
    assert_eq!(app.work(&case.id).await, None);
    app.command(OFFICER, &case.id, confirm(1)).await.expect(422);

    app.attach(&case, "contractCopy").await.expect(200);
    app.command(MIGRANT, &case.id, report()).await.expect(200);
    // Looked at after its last day: it was handed in before.
    app.on("2026-05-10").await;
    assert_eq!(app.copy(&case).await, "reported");
    app.command(OTHER_OFFICER, &case.id, confirm(1)).await.expect(200);
    assert_eq!((app.copy(&case).await.as_str(), app.work(&case.id).await), ("fulfilled", None));
    app.on("2026-06-10").await;
    assert_eq!(
        (app.mailed(&case, "dutyReminder").await, app.mailed(&case, "dutyOverdue").await),
        (0, 0)
    );
    app.agreed(&case.id).await;
}

#[actix_web::test]
async fn each_act_on_a_duty_is_its_persons_and_nobody_elses() {
    let app = TestApp::spawn().await;
    let case = app.patent().await;
    app.attach(&case, "contractCopy").await.expect(200);
    for (who, status) in [
        (OFFICER, 403),
        (SENIOR, 403),
        (AUDITOR, 403),
        (OTHER_MIGRANT, 404),
        (PETERSBURG_OFFICER, 404),
        (ADMINISTRATOR, 404),
    ] {
        let reply = app.command_as_seen(who, &case, report()).await;
        assert!(reply == status || reply == 403, "{who:?}: {reply}");
    }
    app.command(MIGRANT, &case.id, report()).await.expect(200);
    for command in [confirm(1), reject(1), excuse(1)] {
        app.command(MIGRANT, &case.id, command.clone()).await.expect(403).problem("forbidden");
        assert_ne!(app.command_as_seen(PETERSBURG_OFFICER, &case, command).await, 200);
    }
    for command in [confirm(2), reject(2), excuse(2)] {
        let refused = app.command(OFFICER, &case.id, command).await.expect(422);
        assert_eq!(misfits(&refused), ["/number unknown-duty"]);
    }
    for wrong in [
        json!({ "command": "confirmDuty" }),
        json!({ "command": "confirmDuty", "number": 0 }),
        json!({ "command": "excuseDuty", "number": 1 }),
        json!({ "command": "rejectDutyProof", "number": 1, "reason": "" }),
        json!({ "command": "reportDuty" }),
    ] {
        app.command(OFFICER, &case.id, wrong).await.expect(400);
    }
}

#[actix_web::test]
async fn what_is_late_is_the_officers_to_decide_who_can_let_it_go() {
    let app = TestApp::spawn().await;
    let case = app.patent().await;
    app.on("2026-05-05").await;
    assert_eq!(app.work(&case.id).await.as_deref(), Some("dutyOverdue"));
    let listed = app.get("/v1/queues/duties-overdue/applications").by(OFFICER).send().await;
    assert_eq!(listed.expect(200).json()["items"][0]["id"], json!(case.id));
    // Late, but handed in; it does not do, and is as late as before.
    app.attach(&case, "contractCopy").await.expect(200);
    app.command(MIGRANT, &case.id, report()).await.expect(200);
    let blocked = app.command(OFFICER, &case.id, propose("G15")).await.expect(422);
    assert_eq!(blocked_by(&blocked), ["dutyMissed"]);
    app.command(OFFICER, &case.id, reject(1)).await.expect(200);
    assert_eq!(app.copy(&case).await, "overdue");
    app.command(OFFICER, &case.id, excuse(1)).await.expect(200);
    assert_eq!((app.copy(&case).await.as_str(), app.work(&case.id).await), ("excused", None));
    let seen = app.get(&case.path("")).by(MIGRANT).send().await.expect(200).json();
    assert_eq!(seen["duties"][0]["owed"]["reason"], "He was in hospital.");
    let blocked = app.command(OFFICER, &case.id, propose("G15")).await.expect(422);
    assert_eq!(blocked_by(&blocked), ["dutyMissed"]);
    app.command(OFFICER, &case.id, excuse(1)).await.expect(422);
    app.agreed(&case.id).await;
}

#[actix_web::test]
async fn only_a_copy_that_is_overdue_annuls_by_four_eyes_and_bars_for_a_year_until_a_court_reverses_it()
 {
    let app = TestApp::spawn().await;
    let case = app.patent().await;
    let passport = app.see(&case.id).await["form"]["passport"]["number"].clone();
    app.on("2026-05-04").await;
    let early = app.command(SENIOR, &case.id, propose("G15")).await.expect(422);
    assert_eq!(blocked_by(&early), ["dutyMissed"]);
    assert_eq!(early.json()["blockedBy"][0]["parts"], json!(["contractCopy"]));
    // Another ground has nothing to do with it.
    app.command(SENIOR, &case.id, propose("G17")).await.expect(200);
    let turn_down = json!({ "command": "rejectAnnulment", "reason": "Not shown." });
    app.command(OTHER_SENIOR, &case.id, turn_down).await.expect(200);

    app.on("2026-05-05").await;
    app.command(SENIOR, &case.id, propose("G15")).await.expect(200);
    let confirmation = json!({ "command": "confirmAnnulment" });
    let own = app.command(SENIOR, &case.id, confirmation.clone()).await.expect(422);
    assert_eq!(blocked_by(&own), ["fourEyes"]);
    assert_eq!(app.copy(&case).await, "overdue");
    app.command(OTHER_SENIOR, &case.id, confirmation).await.expect(200);
    assert_eq!(app.state(&case.id).await, "annulled");
    assert_eq!(app.copy(&case).await, "breached");
    app.agreed(&case.id).await;

    let ban = async |app: &TestApp| {
        let mut form = app.form();
        form["passport"]["number"] = passport.clone();
        let next = app.draft_with(MIGRANT, "patent", form).await;
        app.command(MIGRANT, &next.id, json!({ "command": "submit" })).await.expect(200);
        app.pay(&next.id).await;
        app.command(OFFICER, &next.id, json!({ "command": "accept" })).await.expect(200);
        let seen = app.see(&next.id).await;
        let checks = seen["checks"].as_array().unwrap();
        let found = checks.iter().find(|one| one["id"] == "permitBan").unwrap();
        let outcome = found["outcome"].as_str().unwrap().to_owned();
        app.command(MIGRANT, &next.id, json!({ "command": "withdraw" })).await.expect(200);
        outcome
    };
    assert_eq!(ban(&app).await, "hit");
    app.advance(TimeDelta::days(30));
    let order = json!({
        "command": "courtOrder", "reason": "It had been sent by post.",
        "basis": { "court": "Tverskoy", "number": "02a-7/2026", "judgedOn": "2026-06-01" },
    });
    app.command(OFFICER, &case.id, order.clone()).await.expect(403);
    let own = app.command(OTHER_SENIOR, &case.id, order.clone()).await.expect(422);
    assert_eq!(blocked_by(&own), ["fourEyes"]);
    app.command(SENIOR, &case.id, order).await.expect(200);
    assert_eq!(app.state(&case.id).await, "inForce");
    assert_eq!(app.copy(&case).await, "overdue", "it is as late as it was");
    assert_eq!(app.work(&case.id).await.as_deref(), Some("dutyOverdue"));
    assert_eq!(ban(&app).await, "clear", "the bar goes with the annulment");
    app.agreed(&case.id).await;
}

#[actix_web::test]
async fn the_bar_of_a_year_ends_with_the_year() {
    let app = TestApp::spawn().await;
    let case = app.patent().await;
    let passport = app.see(&case.id).await["form"]["passport"]["number"].clone();
    app.on("2026-05-05").await;
    app.command(OFFICER, &case.id, propose("G15")).await.expect(200);
    app.command(SENIOR, &case.id, json!({ "command": "confirmAnnulment" })).await.expect(200);
    let mut told = Vec::new();
    for day in ["2027-05-04", "2027-05-05", "2027-05-06"] {
        app.on(day).await;
        let mut form = app.form();
        form["passport"]["number"] = passport.clone();
        let next = app.draft_with(MIGRANT, "patent", form).await;
        app.command(MIGRANT, &next.id, json!({ "command": "submit" })).await.expect(200);
        app.pay(&next.id).await;
        app.command(OFFICER, &next.id, json!({ "command": "accept" })).await.expect(200);
        let seen = app.see(&next.id).await;
        let checks = seen["checks"].as_array().unwrap().clone();
        let found = checks.into_iter().find(|one| one["id"] == "permitBan").unwrap();
        told.push(found["outcome"].as_str().unwrap().to_owned());
        app.command(MIGRANT, &next.id, json!({ "command": "withdraw" })).await.expect(200);
    }
    assert_eq!(told[0], "hit");
    assert_eq!(told[2], "clear", "{told:?}");
}

#[actix_web::test]
async fn each_hiring_and_ending_opens_a_notice_due_in_three_working_days() {
    let app = TestApp::spawn().await;
    let case = app.patent().await;
    let today = app.today();
    let asks = [
        (notice("hiring", today + Days::new(1)), "/notice/on date-in-future"),
        (notice("hiring", today - Days::new(1)), "/notice/on date-before-issue"),
        (json!({ "command": "reportDuty", "duty": "employerNotice" }), "/notice required"),
        (json!({ "command": "reportDuty", "duty": "rent" }), "/duty unknown-duty"),
        (with_document(notice("hiring", today)), "/document document-not-attached"),
    ];
    for (command, told) in asks {
        let refused = app.command(MIGRANT, &case.id, command).await.expect(422);
        assert_eq!(misfits(&refused), [told]);
    }
    let mut copy = report();
    copy["notice"] = notice("hiring", today)["notice"].clone();
    let refused = app.command(MIGRANT, &case.id, copy).await.expect(422);
    assert_eq!(misfits(&refused), ["/notice not-expected"]);
    let mut wrong = notice("hiring", today);
    wrong["notice"]["employer"]["inn"] = "7707083894".into();
    let refused = app.command(MIGRANT, &case.id, wrong).await.expect(422);
    assert_eq!(misfits(&refused), ["/notice/employer/inn invalid-inn"]);

    // Monday, 2 March; the 9th is off.
    app.command(MIGRANT, &case.id, notice("hiring", today)).await.expect(200);
    let open = owed("employerNotice", "2026-03-05", "open");
    assert_eq!(app.standing(&case).await[1], open);
    let twice = app.command(MIGRANT, &case.id, notice("hiring", today)).await.expect(422);
    assert_eq!(misfits(&twice), ["/document required"]);
    app.attach(&case, "employerNotice").await.expect(200);
    app.command(MIGRANT, &case.id, with_document(notice("hiring", today))).await.expect(200);
    app.command(OFFICER, &case.id, confirm(2)).await.expect(200);
    assert_eq!(app.standing(&case).await[1], owed("employerNotice", "2026-03-05", "fulfilled"));

    // The proof of one event is none of another.
    app.advance(TimeDelta::days(4));
    let ending = with_document(notice("ending", app.today()));
    let refused = app.command(MIGRANT, &case.id, ending.clone()).await.expect(422);
    assert_eq!(misfits(&refused), ["/document document-not-attached"]);
    app.attach(&case, "employerNotice").await.expect(200);
    app.command(MIGRANT, &case.id, ending).await.expect(200);
    assert_eq!(app.standing(&case).await[2], owed("employerNotice", "2026-03-12", "reported"));
    let seen = app.see(&case.id).await;
    assert_eq!(seen["duties"][2]["owed"]["notice"]["kind"], "ending");
    // Who has only reference and birth date is told no employer.
    let path = format!("/v1/status/{}/details", case.reference);
    let details = app.post(&path).json(json!({ "birthDate": BIRTH_DATE })).send().await.expect(200);
    assert!(!details.text().contains("Стройка") && !details.text().contains("7707083893"));
    app.agreed(&case.id).await;
}

#[actix_web::test]
async fn a_notice_that_is_late_has_no_consequence_but_that_people_are_told() {
    let app = TestApp::spawn().await;
    let case = app.patent().await;
    app.command(MIGRANT, &case.id, notice("hiring", app.today())).await.expect(200);
    app.on("2026-03-04").await;
    assert_eq!(app.mailed(&case, "dutyReminder").await, 1);
    app.on("2026-03-06").await;
    assert_eq!(app.standing(&case).await[1], owed("employerNotice", "2026-03-05", "overdue"));
    assert_eq!(app.copy(&case).await, "open", "another duty has its own last day");
    let blocked = app.command(OFFICER, &case.id, propose("G15")).await.expect(422);
    assert_eq!(blocked_by(&blocked), ["dutyMissed"]);
    app.on("2026-04-20").await;
    assert_eq!(app.mailed(&case, "dutyReminder").await, 2, "the copy is reminded of on its day");
    app.agreed(&case.id).await;
}

#[actix_web::test]
async fn another_calendar_moves_the_last_day_of_what_is_open() {
    let app = TestApp::spawn().await;
    let (case, done) = (app.patent().await, app.patent().await);
    app.attach(&done, "contractCopy").await.expect(200);
    app.command(MIGRANT, &done.id, report()).await.expect(200);
    let shown = app.get("/v1/calendars/RUS/2026").by(ADMINISTRATOR).send().await.expect(200);
    let text = calendar(&["2026-05-04"], &[]);
    app.put_calendar("", shown.version(), &text).await.expect(200);
    app.drain().await;
    assert_eq!(app.standing(&case).await, [owed("contractCopy", "2026-05-05", "open")]);
    assert_eq!(app.standing(&done).await, [owed("contractCopy", "2026-05-04", "reported")]);
    app.on("2026-04-20").await;
    assert_eq!(app.mailed(&case, "dutyReminder").await, 0);
    app.on("2026-04-21").await;
    assert_eq!(app.mailed(&case, "dutyReminder").await, 1);
    app.on("2026-05-05").await;
    assert_eq!(app.copy(&case).await, "open");
    app.on("2026-05-06").await;
    assert_eq!(app.copy(&case).await, "overdue");
    app.agreed(&case.id).await;
}

#[actix_web::test]
async fn a_permit_that_has_ended_owes_nothing_by_a_day_any_more() {
    let app = TestApp::spawn().await;
    let case = app.in_force(MIGRANT).await;
    // One month was paid: on 3 April it lapses.
    app.on("2026-04-03").await;
    assert_eq!(app.state(&case.id).await, "lapsed");
    app.on("2026-06-01").await;
    assert_eq!(
        (app.mailed(&case, "dutyReminder").await, app.copy(&case).await.as_str()),
        (0, "open")
    );
    app.command(MIGRANT, &case.id, report()).await.expect(409).problem("wrong-state");
    let due = "SELECT duty_due_on IS NULL FROM applications";
    assert!(app.sql().await.query_one(due, &[]).await.unwrap().get::<_, bool>(0));
    app.agreed(&case.id).await;
}

impl TestApp {
    /// Gives a command on the current version, whoever may see that; gives the status.
    async fn command_as_seen(
        &self,
        who: crate::support::app::Person,
        case: &Case,
        command: Value,
    ) -> u16 {
        let version = self.version(&case.id).await;
        let call = self.post(&case.path("/commands")).by(who).key(&fresh().to_string());
        call.if_match(version).json(command).send().await.status
    }
}
