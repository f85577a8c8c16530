//! Where nothing is issued for a time, and which activities are barred: dated data that guards read.

use std::path::Path;

use chrono::TimeDelta;
use propusk::domain::workflow::embedded::FILES;
use serde_json::{Value, json};

use crate::support::app::{MIGRANT, OFFICER, OTHER_OFFICER, TestApp};
use crate::support::db::test_dir;
use crate::support::drive::blocked_by;

/// What is restricted in Moscow: from Wednesday, 4 March 2026, to Friday, 6 March.
const RESTRICTIONS: &str = r#"
[[stop]]
track = "patent"
region = "77"
from = 2026-03-04
to = 2026-03-06
reason.en = "Enough workers."
reason.ru = "Работников достаточно."
basis = "order 1"
confidence = "K"

[[ban]]
region = "77"
okved = "47.2"
from = 2026-03-04
to = 2026-03-06
basis = "decree 2"
confidence = "K"
"#;

/// Writes the rules that ship with other restrictions, laid out as they are read.
fn write_rules(directory: &Path) {
    std::fs::create_dir_all(directory.join("calendars")).unwrap();
    for (path, text) in FILES {
        let name = path.trim_start_matches("workflows/");
        let text = if name == "restrictions.toml" { RESTRICTIONS } else { *text };
        std::fs::write(directory.join(name), text).unwrap();
    }
}

async fn spawn(name: &str) -> TestApp {
    let directory = test_dir(&format!("restrictions-{name}"));
    write_rules(&directory);
    TestApp::spawn_with(|config| config.workflows_directory = Some(directory)).await
}

fn accept() -> Value {
    json!({ "command": "accept" })
}

fn grant() -> Value {
    json!({ "command": "grant" })
}

#[actix_web::test]
async fn nothing_is_taken_in_from_the_first_day_of_a_stop_to_its_last() {
    let app = spawn("accept").await;
    let case = app.submitted(MIGRANT).await;
    let accepted = async |app: &TestApp| {
        let shown = app.see_commands(&case.id).await;
        let accept = shown.into_iter().find(|one| one["command"] == "accept").unwrap();
        accept["blockedBy"].as_array().unwrap().is_empty()
    };
    // Tuesday 3 to Saturday 7 March, at nine in the morning.
    let mut told = Vec::new();
    for _ in 0..5 {
        app.advance(TimeDelta::days(1));
        told.push(accepted(&app).await);
    }
    assert_eq!(told, [true, false, false, false, true]);
    app.advance(-TimeDelta::days(1));
    let refused = app.command(OFFICER, &case.id, accept()).await.expect(422);
    assert_eq!(blocked_by(&refused), ["issuingNotStopped"]);
    let detail = refused.json()["blockedBy"][0]["detail"].as_str().unwrap().to_owned();
    for part in ["region 77", "2026-03-04", "2026-03-06", "Enough workers.", "order 1"] {
        assert!(detail.contains(part), "{part}: {detail}");
    }
    app.advance(TimeDelta::days(1));
    app.command(OFFICER, &case.id, accept()).await.expect(200);
}

#[actix_web::test]
async fn a_stop_is_a_ground_to_refuse_intake_and_to_refuse() {
    let app = spawn("refuse").await;
    let (case, other) = (app.submitted(MIGRANT).await, app.checking(MIGRANT).await);
    app.clear(&other.id).await;
    app.advance(TimeDelta::days(2));
    let refuse = json!({ "command": "refuseIntake", "grounds": ["I06"], "reason": "Order 1." });
    app.command(OFFICER, &case.id, refuse).await.expect(200);
    assert_eq!(app.state(&case.id).await, "intakeRefused");
    let blocked = app.command(OTHER_OFFICER, &other.id, grant()).await.expect(422);
    assert_eq!(blocked_by(&blocked), ["issuingNotStopped"]);
    let refuse = json!({ "command": "refuse", "grounds": ["G18"], "reason": "Order 1." });
    app.command(OTHER_OFFICER, &other.id, refuse).await.expect(200);
}

#[actix_web::test]
async fn what_was_granted_before_a_stop_is_handed_over_and_what_waits_is_granted_after_it() {
    let app = spawn("grant").await;
    let (granted, waits) = (app.granted(MIGRANT).await, app.checking(MIGRANT).await);
    app.clear(&waits.id).await;
    app.pay(&granted.id).await;
    app.advance(TimeDelta::days(2));
    app.command(OFFICER, &granted.id, json!({ "command": "handOver" })).await.expect(200);
    app.command(OTHER_OFFICER, &waits.id, grant()).await.expect(422);
    app.advance(TimeDelta::days(3));
    app.command(OTHER_OFFICER, &waits.id, grant()).await.expect(200);
}

#[actix_web::test]
async fn the_public_is_told_of_a_stop_while_it_holds_and_of_nothing_once_it_is_decided() {
    let app = spawn("public").await;
    let (case, granted) = (app.checking(MIGRANT).await, app.granted(MIGRANT).await);
    let status = async |app: &TestApp, reference: &str| {
        let path = format!("/v1/status/{reference}");
        let call = app.get(&path).header("accept-language", "ru");
        call.send().await.expect(200).json()["stop"].clone()
    };
    let listed =
        async |app: &TestApp| app.get("/v1/workflows/patent").send().await.expect(200).json();
    assert_eq!(status(&app, &case.reference).await, Value::Null);
    assert_eq!(listed(&app).await["stops"], json!([]));
    app.advance(TimeDelta::days(2));
    let stop = json!({ "region": "77", "from": "2026-03-04", "to": "2026-03-06",
        "reason": "Работников достаточно.", "basis": "order 1" });
    assert_eq!(status(&app, &case.reference).await, stop);
    assert_eq!(status(&app, &granted.reference).await, Value::Null);
    let track = listed(&app).await;
    assert_eq!(track["stops"][0]["reason"], "Enough workers.");
    assert_eq!(track["bans"][0]["okved"], "47.2");
    app.advance(TimeDelta::days(3));
    assert_eq!(status(&app, &case.reference).await, Value::Null);
}

#[actix_web::test]
async fn an_application_for_a_barred_activity_is_not_handed_in_on_the_days_of_the_ban() {
    let app = spawn("ban").await;
    let draft = async |app: &TestApp, okved: &str| {
        let mut form = app.form();
        form["employer"]["okved"] = okved.into();
        app.draft_with(MIGRANT, "patent", form).await
    };
    let submit = || json!({ "command": "submit" });
    app.advance(TimeDelta::days(1));
    let before = draft(&app, "47.25").await;
    app.command(MIGRANT, &before.id, submit()).await.expect(200);
    app.advance(TimeDelta::days(1));
    for okved in ["47.2", "47.25", "47.25.12"] {
        let case = draft(&app, okved).await;
        let refused = app.command(MIGRANT, &case.id, submit()).await.expect(422);
        assert_eq!(blocked_by(&refused), ["activityNotBanned"], "{okved}");
        let blocked = &refused.json()["blockedBy"][0];
        assert_eq!(blocked["parts"], json!(["form.employer.okved"]));
        assert!(blocked["detail"].as_str().unwrap().contains("decree 2"), "{blocked}");
    }
    let other = draft(&app, "47.3").await;
    app.command(MIGRANT, &other.id, submit()).await.expect(200);
    let last = draft(&app, "47.25").await;
    app.advance(TimeDelta::days(2));
    app.command(MIGRANT, &last.id, submit()).await.expect(422);
    app.advance(TimeDelta::days(1));
    app.command(MIGRANT, &last.id, submit()).await.expect(200);
}

#[actix_web::test]
async fn a_ban_that_begins_later_bars_the_grant_and_the_report_of_a_hiring_and_of_no_ending() {
    let app = spawn("later-ban").await;
    let mut form = app.form();
    form["employer"]["okved"] = "47.25".into();
    let waits = app.draft_with(MIGRANT, "patent", form).await;
    app.command(MIGRANT, &waits.id, json!({ "command": "submit" })).await.expect(200);
    app.pay(&waits.id).await;
    app.command(OFFICER, &waits.id, accept()).await.expect(200);
    app.clear(&waits.id).await;
    let holder = app.in_force(MIGRANT).await;
    app.advance(TimeDelta::days(4));
    let blocked = app.command(OTHER_OFFICER, &waits.id, grant()).await.expect(422);
    assert_eq!(blocked_by(&blocked), ["issuingNotStopped", "activityNotBanned"]);
    let notice = |kind: &str, okved: &str| {
        json!({ "command": "reportDuty", "duty": "employerNotice", "notice": {
            "kind": kind, "on": "2026-03-06",
            "employer": { "inn": "7707083893", "name": "ООО «Вино»", "okved": okved } } })
    };
    let blocked = app.command(MIGRANT, &holder.id, notice("hiring", "47.25")).await.expect(422);
    assert_eq!(blocked_by(&blocked), ["activityNotBanned"]);
    let blocked = &blocked.json()["blockedBy"][0];
    assert_eq!(blocked["parts"], json!(["notice.okved"]));
    for free in [notice("hiring", "41.20"), notice("ending", "47.25")] {
        app.command(MIGRANT, &holder.id, free).await.expect(200);
    }
    app.advance(TimeDelta::days(1));
    app.command(OTHER_OFFICER, &waits.id, grant()).await.expect(200);
}

#[actix_web::test]
async fn a_code_of_no_activity_is_refused_by_its_place() {
    let app = TestApp::spawn().await;
    for wrong in ["4725", "47.251", "47,25"] {
        let mut form = app.form();
        form["employer"]["okved"] = wrong.into();
        let body = json!({ "track": "patent", "unit": "77", "form": form });
        let refused = app.post("/v1/applications").by(MIGRANT).key(wrong).json(body).send().await;
        let problem = refused.expect(422).problem("rule-refused");
        assert_eq!(problem["errors"][0]["pointer"], "/form/employer/okved", "{problem}");
        assert_eq!(problem["errors"][0]["code"], "invalid-okved");
    }
}

impl TestApp {
    /// What an officer of the unit can ask for.
    async fn see_commands(&self, id: &str) -> Vec<Value> {
        let path = format!("/v1/applications/{id}");
        let shown = self.get(&path).by(OFFICER).send().await.expect(200).json();
        shown["commands"].as_array().unwrap().clone()
    }
}
