//! The figures of a unit against a count by hand.

use chrono::TimeDelta;
use serde_json::{Value, json};

use crate::support::app::{
    EMPLOYER, MIGRANT, OFFICER, OTHER_OFFICER, PETERSBURG_OFFICER, SENIOR, TestApp,
};
use crate::support::drive::Case;

async fn workload(app: &TestApp, query: &str) -> Value {
    app.get(&format!("/v1/workload{query}")).by(OFFICER).send().await.expect(200).json()
}

/// The parts of figures that are not zero or absent.
fn figures(of: &Value) -> Value {
    let of = of.as_object().unwrap().iter().filter(|(_, value)| **value != json!(0));
    Value::Object(of.map(|(name, value)| (name.clone(), value.clone())).collect())
}

#[actix_web::test]
async fn the_figures_are_those_of_a_count_by_hand() {
    let app = TestApp::spawn().await;
    let empty = workload(&app, "").await;
    assert_eq!(figures(&empty["total"]), json!({}));
    assert_eq!(empty["holders"], json!([]));
    assert_eq!((&empty["today"], &empty["since"]), (&json!("2026-03-02"), &json!("2025-12-03")));

    // Monday, 2 March: all are taken in, due on the 17th (the 9th is a day off).
    let open = app.checking(MIGRANT).await;
    let mut cases: Vec<Case> = Vec::new();
    for _ in 0..4 {
        cases.push(app.checking(EMPLOYER).await);
    }
    let paused = app.checking(EMPLOYER).await;
    let ask = json!({ "command": "requestInformation", "items": [{
        "kind": "document", "subject": "passport", "reason": "illegible", "dueOn": "2026-04-20" }] });
    app.command(OFFICER, &paused.id, ask).await.expect(200);
    app.submitted(EMPLOYER).await;
    app.draft(EMPLOYER, "patent").await;
    // Tuesday: one is granted, on working day 1. Thursday: two more, on day 3; one of them is paid and in force.
    let grant = async |case: &Case| {
        app.clear(&case.id).await;
        app.command(OTHER_OFFICER, &case.id, json!({ "command": "grant" })).await.expect(200);
    };
    app.advance(TimeDelta::days(1));
    grant(&cases[0]).await;
    app.advance(TimeDelta::days(2));
    grant(&cases[1]).await;
    grant(&cases[2]).await;
    app.pay(&cases[2].id).await;
    app.command(OFFICER, &cases[2].id, json!({ "command": "handOver" })).await.expect(200);
    let withdrawn = app.submitted(EMPLOYER).await;
    app.command(EMPLOYER, &withdrawn.id, json!({ "command": "withdraw" })).await.expect(200);
    let turned_away = app.submitted(EMPLOYER).await;
    let refuse = json!({ "command": "refuseIntake", "grounds": ["I01"], "reason": "incomplete" });
    app.command(OFFICER, &turned_away.id, refuse).await.expect(200);
    // Another office's are not ours.
    let other = app.get("/v1/workload").by(PETERSBURG_OFFICER).send().await.expect(200).json();
    assert_eq!((figures(&other["total"]), &other["unit"]), (json!({}), &json!("78")));

    // Thursday, 5 March. Open: the first and the fourth in checks, the paused one, one at intake, two granted and unpaid.
    let expected = json!({
        "open": 6, "paused": 1, "decided": 3, "decidedInTime": 3, "shareInTime": 1.0,
        "medianWorkingDays": 3.0, "ninthDecileWorkingDays": 3.0, "withdrawn": 1, "endedOtherwise": 1,
    });
    let now = workload(&app, "").await;
    assert_eq!(figures(&now["total"]), expected);
    assert_eq!(now["tracks"].as_array().unwrap().len(), 2);
    assert_eq!(now["tracks"][1]["track"], "patent");
    assert_eq!(figures(&now["tracks"][1]["figures"]), expected);
    assert_eq!(figures(&now["tracks"][0]["figures"]), json!({}));
    // Of today alone: two decided.
    let today = workload(&app, "?days=1").await;
    assert_eq!((&today["total"]["decided"], &today["since"]), (&json!(2), &json!("2026-03-05")));

    // Friday, 13 March: two working days to the 17th.
    app.advance(TimeDelta::days(8));
    assert_eq!(workload(&app, "").await["total"]["dueSoon"], 2);
    app.advance(TimeDelta::days(-1));
    assert_eq!(workload(&app, "").await["total"]["dueSoon"], 0);
    // Wednesday, 18 March: late. The fourth is granted all the same, on day 11.
    app.advance(TimeDelta::days(6));
    assert_eq!(workload(&app, "").await["total"]["overdue"], 2);
    grant(&cases[3]).await;
    let now = workload(&app, "").await;
    let expected = json!({
        "open": 6, "paused": 1, "overdue": 1, "decided": 4, "decidedInTime": 3, "shareInTime": 0.75,
        "medianWorkingDays": 3.0, "ninthDecileWorkingDays": 11.0, "withdrawn": 1, "endedOtherwise": 1,
    });
    assert_eq!(figures(&now["total"]), expected);
    let soon = workload(&app, "?days=5").await;
    assert_eq!((&soon["total"]["decided"], &soon["total"]["withdrawn"]), (&json!(1), &json!(0)));

    // Who holds what: one from the queue, one picked by hand, one that a senior officer gave out.
    app.post("/v1/queues/checks/claims").by(OFFICER).key("a").send().await.expect(200);
    let call = app.put(&cases[0].path("/claim")).by(OFFICER);
    call.if_match(app.version(&cases[0].id).await).send().await.expect(200);
    app.post("/v1/queues/intake/claims").by(SENIOR).key("a").send().await.expect(200);
    let holders = workload(&app, "").await["holders"].clone();
    let holder = |person: crate::support::app::Person, [holds, picked, assigned]: [i64; 3]| {
        json!({
            "account": person.id(), "name": person.name,
            "holds": holds, "picked": picked, "assigned": assigned,
        })
    };
    assert_eq!(holders, json!([holder(OFFICER, [2, 1, 0]), holder(SENIOR, [1, 0, 0])]));
    let give = json!({ "to": OTHER_OFFICER.id(), "reason": "He knows the firm." });
    let call = app.put(&cases[0].path("/claim/holder")).by(SENIOR).json(give);
    let given = call.if_match(app.version(&cases[0].id).await).send().await.expect(200).json();
    assert_eq!(given["claim"]["assignedBy"], json!(SENIOR.id()));
    // A sign of life changes nothing about that, and blames nobody.
    let call = app.put(&cases[0].path("/claim")).by(OTHER_OFFICER);
    call.if_match(app.version(&cases[0].id).await).send().await.expect(200);
    let path = format!("/v1/queues/payment/applications?holder={}", OTHER_OFFICER.id());
    let listed = app.get(&path).by(OFFICER).send().await.expect(200).json();
    assert_eq!(listed["items"][0]["claim"]["assignedBy"], json!(SENIOR.id()));
    let history = app.get(&cases[0].path("/history?limit=100")).by(SENIOR).send().await;
    let history = history.expect(200).json()["items"].as_array().unwrap().clone();
    let claims: Vec<&Value> = history.iter().filter(|one| one["kind"] == "claimed").collect();
    let picked: Vec<&Value> = claims.iter().map(|one| &one["picked"]).collect();
    assert_eq!(picked, [&json!(true), &json!(false)]);
    app.agreed(&cases[0].id).await;
    let holders = workload(&app, "").await["holders"].clone();
    let mut expected =
        [(OFFICER, [1, 0, 0]), (OTHER_OFFICER, [1, 0, 1]), (SENIOR, [1, 0, 0])].to_vec();
    expected.sort_by_key(|(person, _)| person.name);
    let expected: Vec<Value> =
        expected.into_iter().map(|(person, counts)| holder(person, counts)).collect();
    assert_eq!(holders, json!(expected));
    app.advance(TimeDelta::minutes(31));
    assert_eq!(workload(&app, "").await["holders"], json!([]), "leases end by themselves");
    let _ = open;
    app.get("/v1/workload?days=0").by(OFFICER).send().await.expect(400);
    app.get("/v1/workload?days=400").by(OFFICER).send().await.expect(400);
}

#[actix_web::test]
async fn whoever_is_awaited_after_the_date_is_awaited_and_not_overdue() {
    let app = TestApp::spawn().await;
    let case = app.checking(MIGRANT).await;
    app.advance(TimeDelta::days(20));
    assert_eq!(figures(&workload(&app, "").await["total"]), json!({ "open": 1, "overdue": 1 }));
    let ask = json!({ "command": "requestInformation", "items": [{
        "kind": "document", "subject": "passport", "reason": "illegible", "dueOn": "2026-04-20" }] });
    let asked = app.command(OFFICER, &case.id, ask).await.expect(200).json();
    assert_eq!(asked["waitsFor"], "applicant");
    assert_eq!(figures(&workload(&app, "").await["total"]), json!({ "open": 1, "paused": 1 }));
    app.command(MIGRANT, &case.id, json!({ "command": "withdraw" })).await.expect(200);
    let over = json!({ "withdrawn": 1 });
    assert_eq!(figures(&workload(&app, "").await["total"]), over);
}
