//! The term that the law promises: extended, warned of, broken, and what is said about it.

use chrono::NaiveDate;
use propusk::auth::{AccountChange, change_user};
use propusk::domain::event::Change;
use serde_json::{Value, json};

use crate::support::app::{
    AUDITOR, MIGRANT, OFFICER, OTHER_OFFICER, OTHER_SENIOR, Reply, SENIOR, TestApp,
};
use crate::support::drive::{Case, blocked_by};

impl TestApp {
    async fn extend(&self, days: u32, case: &Case) -> Reply {
        let command = json!({ "command": "extendClock", "workingDays": days,
            "reason": "another country is asked", "basis": "order 4, section 12" });
        self.command(SENIOR, &case.id, command).await
    }

    async fn status_in(&self, case: &Case, language: &str) -> Value {
        let call = self.get(&format!("/v1/status/{}", case.reference));
        call.header("accept-language", language).send().await.expect(200).json()
    }

    /// Gives message and recipient of what was sent to the office.
    async fn alerts(&self) -> Vec<(String, String)> {
        let query = "SELECT message, recipient FROM messages \
                     WHERE message IN ('dueSoon', 'overdue') AND status = 'sent' ORDER BY 1, 2";
        let rows = self.sql().await.query(query, &[]).await.unwrap();
        rows.iter().map(|row| (row.get(0), row.get(1))).collect()
    }

    /// Moves the clock to the morning of a day in Moscow.
    fn morning_of(&self, date: &str) {
        let date: NaiveDate = date.parse().unwrap();
        let morning = date.and_hms_opt(6, 0, 0).unwrap().and_utc();
        self.advance(morning - self.now());
    }
}

#[actix_web::test]
async fn a_senior_officer_extends_the_term_once_and_both_dates_are_told() {
    let app = TestApp::spawn().await;
    let case = app.checking(MIGRANT).await;
    // Accepted on Monday, 2 March 2026; the 9th is off.
    let before = app.see(&case.id).await;
    assert_eq!((&before["dueOn"], before.get("standardDueOn")), (&json!("2026-03-17"), None));
    let command =
        json!({ "command": "extendClock", "workingDays": 5, "reason": "x", "basis": "y" });
    app.command(OFFICER, &case.id, command).await.expect(403);
    let long = app.extend(21, &case).await.expect(422).problem("rule-refused");
    assert_eq!(long["errors"][0]["code"], "too-long");
    let view = app.extend(5, &case).await.expect(200).json();
    assert_eq!(
        (&view["dueOn"], &view["standardDueOn"]),
        (&json!("2026-03-24"), &json!("2026-03-17"))
    );
    let twice = app.extend(2, &case).await.expect(422).problem("rule-refused");
    assert!(
        twice["errors"][0]["detail"].as_str().unwrap().contains("5 working days on 2026-03-02")
    );
    let clock = app.get(&case.path("/clock")).by(MIGRANT).send().await.expect(200).json();
    assert_eq!((&clock["workingDays"], &clock["dueOn"]), (&json!(10), &json!("2026-03-24")));
    assert_eq!(clock["standardDueOn"], "2026-03-17");
    assert_eq!(clock["extension"]["basis"], "order 4, section 12");
    let status = app.status_in(&case, "en").await;
    assert_eq!(
        status["extension"],
        json!({ "workingDays": 5, "basis": "order 4, section 12",
        "on": "2026-03-02", "standardDueOn": "2026-03-17" })
    );
    let back = json!({ "command": "withdrawExtension", "reason": "answered sooner" });
    let view = app.command(SENIOR, &case.id, back.clone()).await.expect(200).json();
    assert_eq!((&view["dueOn"], view.get("standardDueOn")), (&json!("2026-03-17"), None));
    app.command(SENIOR, &case.id, back).await.expect(422);
    assert_eq!(app.status_in(&case, "en").await.get("extension"), None);
    let told = "SELECT count(*) FROM jobs WHERE key LIKE 'mail:%:dateChanged'";
    let count: i64 = app.sql().await.query_one(told, &[]).await.unwrap().get(0);
    assert_eq!(count, 2, "the applicant is told of each change");
}

#[actix_web::test]
async fn an_extension_holds_through_a_pause_and_moves_the_timers_with_it() {
    let app = TestApp::spawn().await;
    let case = app.checking(MIGRANT).await;
    let due = app.today() + chrono::Days::new(10);
    let ask = json!({ "command": "requestInformation", "items": [
        { "kind": "visit", "subject": "Fingerprints", "reason": "unreadable", "dueOn": due }] });
    app.command(OFFICER, &case.id, ask).await.expect(200);
    let view = app.extend(5, &case).await.expect(200).json();
    assert_eq!((view.get("dueOn"), view.get("standardDueOn")), (None, None), "it stands still");
    app.morning_of("2026-03-04");
    let answer =
        json!({ "command": "answerInformation", "answers": [{ "item": 1, "text": "done" }] });
    let view = app.command(MIGRANT, &case.id, answer).await.expect(200).json();
    // The 3rd and the 4th are taken out: fifteen days from the 5th on, without the 9th.
    assert_eq!(
        (&view["dueOn"], &view["standardDueOn"]),
        (&json!("2026-03-26"), &json!("2026-03-19"))
    );
    app.drain().await;
    app.morning_of("2026-03-20");
    app.drain().await;
    assert_eq!(app.see(&case.id).await.get("escalatedAt"), None, "the usual date alone has passed");
    app.morning_of("2026-03-27");
    app.drain().await;
    assert_eq!(app.see(&case.id).await["escalatedAt"], json!(app.now()));
}

#[actix_web::test]
async fn holder_and_senior_officers_are_told_before_the_date_and_after_it_and_nobody_else() {
    let app = TestApp::spawn().await;
    let case = app.checking(MIGRANT).await;
    let gone = AccountChange::Disabled;
    change_user(&app.app.db, &*app.app.clock, &OTHER_SENIOR.email(), &gone).await.unwrap();
    app.drain().await;
    app.morning_of("2026-03-12");
    app.drain().await;
    assert_eq!(app.alerts().await, [], "three working days are left");
    app.morning_of("2026-03-13");
    let claim = app.put(&case.path("/claim")).by(OFFICER);
    claim.if_match(app.version(&case.id).await).send().await.expect(200);
    app.drain().await;
    let warned = [("dueSoon", OFFICER), ("dueSoon", SENIOR)];
    let expected = |list: &[(&str, crate::support::app::Person)]| {
        let mut list: Vec<(String, String)> =
            list.iter().map(|(what, who)| ((*what).to_owned(), who.email())).collect();
        list.sort();
        list
    };
    assert_eq!(app.alerts().await, expected(&warned));
    app.drain().await;
    assert_eq!(app.alerts().await, expected(&warned), "once");
    app.morning_of("2026-03-18");
    app.drain().await;
    let both = [warned[0], warned[1], ("overdue", SENIOR)];
    assert_eq!(app.alerts().await, expected(&both), "the lease is over");
    let mails: String = std::fs::read_dir(&app.mail_directory)
        .unwrap()
        .map(|entry| std::fs::read_to_string(entry.unwrap().path()).unwrap())
        .filter(|text| text.contains(&SENIOR.email()))
        .collect();
    assert!(mails.contains(&case.reference), "{mails}");
    for secret in ["1990-05", "FA", "UZB", "Рустам"] {
        assert!(!mails.contains(secret), "{secret}");
    }
}

#[actix_web::test]
async fn what_was_decided_before_the_warning_went_out_warns_nobody() {
    let app = TestApp::spawn().await;
    let case = app.checking(MIGRANT).await;
    app.clear(&case.id).await;
    app.drain().await;
    app.morning_of("2026-03-13");
    let id = case.id.parse().unwrap();
    app.app
        .casework
        .deadline(id, propusk::domain::workflow::definition::CommandName::Warn)
        .await
        .unwrap();
    app.command(OTHER_OFFICER, &case.id, json!({ "command": "grant" })).await.expect(200);
    app.drain().await;
    assert_eq!(app.alerts().await, []);
}

#[actix_web::test]
async fn the_public_page_says_that_the_promise_was_broken_and_how_to_complain() {
    let app = TestApp::spawn().await;
    let case = app.checking(MIGRANT).await;
    app.morning_of("2026-03-17");
    let status = app.status_in(&case, "en").await;
    assert_eq!((&status["overdue"], status.get("complaint")), (&json!(false), None));
    app.morning_of("2026-03-18");
    for (language, words) in [("en", "promised a decision"), ("ru", "обещало решение")]
    {
        let status = app.status_in(&case, language).await;
        let complaint = &status["complaint"];
        assert_eq!(
            (&status["overdue"], &complaint["promisedOn"]),
            (&json!(true), &json!("2026-03-17"))
        );
        assert!(complaint["detail"].as_str().unwrap().contains(words), "{complaint}");
        assert_eq!(complaint["types"].as_array().unwrap().len(), 7);
        assert_eq!(complaint["types"][0], "lateService");
    }
    // Overdue decides nothing: the office can still grant, and the page then says no more of it.
    app.clear(&case.id).await;
    app.command(OTHER_OFFICER, &case.id, json!({ "command": "grant" })).await.expect(200);
    assert_eq!(app.status_in(&case, "en").await.get("complaint"), None);
    let seen = app.get(&case.path("")).by(AUDITOR).send().await.expect(200).json();
    assert_eq!(seen["state"], "awaitingPayment");
}

#[actix_web::test]
async fn a_broken_promise_is_not_mended_by_a_longer_term() {
    let app = TestApp::spawn().await;
    let case = app.checking(MIGRANT).await;
    app.morning_of("2026-03-18");
    let reply = app.extend(5, &case).await;
    assert_eq!(blocked_by(&reply), ["notOverdue"]);
    assert!(reply.text().contains("2026-03-17"), "it names the date");
    let status = app.status_in(&case, "en").await;
    assert_eq!((&status["dueOn"], &status["overdue"]), (&json!("2026-03-17"), &json!(true)));
    assert_eq!(status["complaint"]["promisedOn"], "2026-03-17");
    // Nor while the applicant is asked, which moves no date that has passed.
    app.command(OFFICER, &case.id, ask()).await.expect(200);
    assert_eq!(blocked_by(&app.extend(5, &case).await), ["notOverdue"]);
    // On the last day it is in time.
    let case = app.checking(MIGRANT).await;
    app.morning_of(app.see(&case.id).await["dueOn"].as_str().unwrap());
    app.extend(5, &case).await.expect(200);
}

fn ask() -> Value {
    json!({ "command": "requestInformation", "items": [{ "kind": "visit",
        "subject": "Fingerprints", "reason": "unreadable", "dueOn": "2026-03-30" }] })
}

#[actix_web::test]
async fn that_a_date_was_broken_is_told_once_and_nobody_is_warned_of_it_afterwards() {
    let app = TestApp::spawn().await;
    let case = app.checking(MIGRANT).await;
    app.drain().await;
    app.morning_of("2026-03-13");
    app.drain().await;
    app.morning_of("2026-03-18");
    app.drain().await;
    let told = app.alerts().await;
    let kinds =
        |told: &[(String, String)], kind: &str| told.iter().filter(|one| one.0 == kind).count();
    assert_eq!((kinds(&told, "dueSoon"), kinds(&told, "overdue")), (2, 2), "{told:?}");
    assert_eq!(app.see(&case.id).await["escalatedAt"], json!(app.now()));

    // The applicant is asked and answers: the same date is as late as before.
    app.command(OFFICER, &case.id, ask()).await.expect(200);
    app.drain().await;
    app.morning_of("2026-03-20");
    let answer = json!({ "command": "answerInformation",
        "answers": [{ "item": 1, "text": "done" }] });
    app.command(MIGRANT, &case.id, answer).await.expect(200);
    app.drain().await;
    assert_eq!(app.alerts().await, told);
    // So is what was refused and undone.
    let refuse = json!({ "command": "refuse", "grounds": ["G04"], "reason": "Forged." });
    app.command(OTHER_OFFICER, &case.id, refuse).await.expect(200);
    let undo = json!({ "command": "undo", "reason": "Meant for a namesake." });
    app.command(SENIOR, &case.id, undo).await.expect(200);
    app.drain().await;
    assert_eq!(app.alerts().await, told);
    assert_eq!(app.see(&case.id).await["overdue"], true);
    app.agreed(&case.id).await;
}

#[actix_web::test]
async fn who_comes_after_the_date_is_told_that_it_is_past_and_not_that_it_is_near() {
    let app = TestApp::spawn().await;
    let case = app.checking(MIGRANT).await;
    // Nobody ran the timer until the date was past.
    app.morning_of("2026-03-18");
    app.drain().await;
    let told = app.alerts().await;
    assert!(!told.is_empty() && told.iter().all(|(what, _)| what == "overdue"), "{told:?}");
    let events = app.agreed(&case.id).await;
    assert!(!events.iter().flat_map(|event| &event.changes).any(|one| *one == Change::Warned));

    // An event that told the office before its mail went out does not keep the mail back.
    let case = app.checking(MIGRANT).await;
    let due: NaiveDate = app.see(&case.id).await["dueOn"].as_str().unwrap().parse().unwrap();
    app.morning_of(&(due + chrono::Days::new(1)).to_string());
    let escalate = propusk::domain::workflow::definition::CommandName::Escalate;
    app.app.casework.deadline(case.id.parse().unwrap(), escalate).await.unwrap();
    let ask = json!({ "command": "requestInformation", "items": [{ "kind": "visit",
        "subject": "Fingerprints", "reason": "unreadable", "dueOn": "2026-04-20" }] });
    app.command(OFFICER, &case.id, ask).await.expect(200);
    app.drain().await;
    assert_eq!(app.alerts().await.len(), 2 * told.len());
}
