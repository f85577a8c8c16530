//! Money: what is owed and to whom, what was paid, what is given back; never a kopeck apart.

use std::net::TcpListener;

use chrono::TimeDelta;
use propusk::domain::fee::Uin;
use propusk::domain::fee::page::PaymentPage;
use propusk::domain::fee::statement::Statement;
use propusk::provider_sim::{Mode, Options, Pay, Simulator};
use propusk::webhook::Key;
use serde_json::{Value, json};

use crate::support::app::{
    EMPLOYER, MIGRANT, OFFICER, OTHER_MIGRANT, PETERSBURG_OFFICER, Person, Reply, SENIOR, TestApp,
    WEBHOOK_KEY,
};
use crate::support::drive::fresh;

// ── Bills ─────────────────────────────────────────────────────────────────────────────────────────────────

#[actix_web::test]
async fn a_charge_names_its_payee_and_its_payment_order_can_be_scanned() {
    let app = TestApp::spawn().await;
    let case = app.handed_in(MIGRANT).await;
    let owed = app.owed(&case.id).await;
    let payee = &owed["payee"];
    assert_eq!(payee["oktmo"], "45000000", "{owed}");
    assert!(payee["kbk"].as_str().unwrap().starts_with("188"));

    let path = case.path(&format!("/charges/{}/qr", owed["id"].as_str().unwrap()));
    let ask = async |accept: &str| app.get(&path).by(MIGRANT).header("accept", accept).send().await;
    let reply = ask("text/plain").await.expect(200);
    let text = reply.text();
    let said = |key: &str, value: &str| {
        assert!(text.split('|').any(|part| part == format!("{key}={value}")), "{key}: {text}");
    };
    assert!(text.starts_with("ST00012|Name="), "{text}");
    said("Sum", &owed["outstanding"]["kopecks"].to_string());
    for (key, member) in [
        ("Name", "name"),
        ("PersonalAcc", "account"),
        ("BankName", "bank"),
        ("BIC", "bic"),
        ("CorrespAcc", "correspondentAccount"),
        ("PayeeINN", "inn"),
        ("KPP", "kpp"),
        ("CBC", "kbk"),
        ("OKTMO", "oktmo"),
        ("Purpose", "purpose"),
    ] {
        said(key, payee[member].as_str().unwrap());
    }
    said("UIN", owed["uin"].as_str().unwrap());
    said("TechCode", "05");

    let svg = ask("image/svg+xml, image/png").await.expect(200);
    assert_eq!(svg.header("content-type"), Some("image/svg+xml"));
    assert!(svg.text().starts_with("<svg "));
    assert_eq!(ask("*/*").await.expect(200).header("content-type"), Some("image/svg+xml"));
    let png = ask("image/png").await.expect(200);
    assert_eq!(png.header("content-type"), Some("image/png"));
    assert!(png.body.starts_with(b"\x89PNG\r\n"));
    ask("application/json").await.expect(406).problem("not-acceptable");

    // Nobody else's business, and nothing that is not there.
    app.get(&path).by(OTHER_MIGRANT).send().await.expect(404);
    app.get(&case.path("/charges/00000000-0000-7000-8000-000000000000/qr"))
        .by(MIGRANT)
        .send()
        .await
        .expect(404);
    app.get(&path).by(OFFICER).send().await.expect(200);

    app.pay(&case.id).await;
    ask("text/plain").await.expect(409).problem("wrong-state");
}

#[actix_web::test]
async fn a_charge_without_a_payee_has_no_payment_order() {
    let app = TestApp::spawn().await;
    let case = app.handed_in(MIGRANT).await;
    let owed = app.owed(&case.id).await;
    app.sql().await.execute("UPDATE charges SET requisites = NULL", &[]).await.unwrap();
    let path = case.path(&format!("/charges/{}/qr", owed["id"].as_str().unwrap()));
    let reply = app.get(&path).by(MIGRANT).send().await.expect(422);
    assert!(reply.problem("rule-refused")["detail"].as_str().unwrap().contains("payee"));
    assert_eq!(app.owed(&case.id).await.get("payee"), None);
}

#[actix_web::test]
async fn a_highly_qualified_specialists_employer_pays_under_another_code() {
    let app = TestApp::spawn().await;
    let case = app.draft(EMPLOYER, "highly-qualified-specialist").await;
    app.command(EMPLOYER, &case.id, json!({ "command": "submit" })).await.expect(200);
    let owed = app.owed(&case.id).await;
    assert_eq!(owed["payee"]["kbk"], "18810806000010017110", "{owed}");
}

// ── What is paid ──────────────────────────────────────────────────────────────────────────────────────────

/// The sums of the table: received, matched, waiting, refunded, and what the charges were paid.
async fn sums(app: &TestApp) -> (i64, i64, i64, i64, i64) {
    let all = "SELECT coalesce(sum(amount_kopecks), 0)::bigint, coalesce(sum(matched_kopecks), 0)::bigint, \
               coalesce(sum(waiting_kopecks), 0)::bigint, coalesce(sum(refunded_kopecks), 0)::bigint, \
               (SELECT coalesce(sum(paid_kopecks), 0)::bigint FROM charges) FROM payments";
    let row = app.sql().await.query_one(all, &[]).await.unwrap();
    (row.get(0), row.get(1), row.get(2), row.get(3), row.get(4))
}

/// What waits, the oldest first.
async fn waiting(app: &TestApp) -> Vec<Value> {
    let list = app.get("/v1/payments").by(SENIOR).send().await.expect(200).json();
    list["items"].as_array().unwrap().clone()
}

/// Tells of a payment; gives what became of it.
async fn told(app: &TestApp, payment: Value) -> String {
    let reply = app.callback(payment).await.expect(200).json();
    reply["outcome"].as_str().unwrap().to_owned()
}

/// Sends a step about a payment as it was last seen.
async fn act(app: &TestApp, person: Person, payment: &Value, below: &str, body: Value) -> Reply {
    let path = format!("/v1/payments/{}", payment["id"].as_str().unwrap());
    let seen = app.get(&path).by(OFFICER).send().await.expect(200);
    app.post(&format!("{path}/{below}"))
        .by(person)
        .key(&fresh().to_string())
        .if_match(seen.version())
        .json(body)
        .send()
        .await
}

#[actix_web::test]
async fn what_is_paid_beyond_a_charge_waits_and_is_not_lost_on_it() {
    let app = TestApp::spawn().await;
    let case = app.handed_in(MIGRANT).await;
    let owed = app.owed(&case.id).await;
    let due = owed["outstanding"]["kopecks"].as_i64().unwrap();
    let pay = |id: &str, kopecks: i64| json!({ "id": id, "uin": owed["uin"], "amountKopecks": kopecks, "paidAt": app.now() });
    assert_eq!(told(&app, pay("part", 1000)).await, "booked");
    let half = app.see(&case.id).await["charges"][0].clone();
    assert_eq!((&half["acknowledgement"], &half["changeStatus"]), (&json!(2), &json!(1)));
    assert_eq!(told(&app, pay("rest and more", due)).await, "booked");
    assert_eq!(app.state(&case.id).await, "submitted");
    let charge = app.see(&case.id).await["charges"][0].clone();
    assert_eq!(charge["paid"]["kopecks"], due, "no more than was owed");
    assert_eq!(charge["acknowledgement"], 1);
    // A second payer of the same bill.
    assert_eq!(told(&app, pay("a second payer", due)).await, "waiting");
    assert_eq!(sums(&app).await, (1000 + 2 * due, due, 1000 + due, 0, due));
    let list = waiting(&app).await;
    let shown: Vec<_> = list
        .iter()
        .map(|one| (one["matched"]["kopecks"].as_i64(), one["waiting"]["kopecks"].as_i64()))
        .collect();
    assert_eq!(shown, [(Some(due - 1000), Some(1000)), (Some(0), Some(due))]);
    assert_eq!(list[0]["application"], json!(case.id));
}

#[actix_web::test]
async fn a_uin_with_a_wrong_check_digit_is_kept_as_it_was_given() {
    let app = TestApp::spawn().await;
    for (id, uin) in [("a", "18800000000000000011"), ("b", "no number"), ("c", "0")] {
        let payment = json!({ "id": id, "uin": uin, "amountKopecks": 100, "paidAt": app.now() });
        assert_eq!(told(&app, payment).await, "waiting");
    }
    let mut quoted: Vec<String> =
        waiting(&app).await.iter().map(|one| one["uin"].as_str().unwrap().to_owned()).collect();
    // Told in one instant, they have no order.
    quoted.sort();
    assert_eq!(quoted, ["0", "18800000000000000011", "no number"]);
}

#[actix_web::test]
async fn a_payment_that_quotes_nothing_finds_its_charge_by_document_kbk_and_amount_or_not_at_all() {
    let app = TestApp::spawn().await;
    let case = app.handed_in(MIGRANT).await;
    let owed = app.owed(&case.id).await;
    let passport =
        app.see(&case.id).await["form"]["passport"]["number"].as_str().unwrap().to_owned();
    let (due, kbk) = (owed["outstanding"]["kopecks"].as_i64().unwrap(), &owed["payee"]["kbk"]);
    let pay = |id: &str, kopecks: i64, document: &str, kbk: &Value| json!({ "id": id, "amountKopecks": kopecks, "paidAt": app.now(), "payerDocument": document, "kbk": kbk });
    let other_kbk = json!("18210102040011000110");
    for (id, kopecks, document, kbk) in [
        ("amount", due - 1, passport.as_str(), kbk),
        ("kbk", due, &passport, &other_kbk),
        ("document", due, "ZZ0000000", kbk),
    ] {
        assert_eq!(told(&app, pay(id, kopecks, document, kbk)).await, "waiting", "{id}");
    }
    assert_eq!(app.state(&case.id).await, "awaitingDuty");
    let spaced = format!("{} {}", &passport[..2], &passport[2..]).to_lowercase();
    assert_eq!(told(&app, pay("fits", due, &spaced, kbk)).await, "booked");
    assert_eq!(told(&app, pay("fits", due, &spaced, kbk)).await, "known");
    assert_eq!(app.state(&case.id).await, "submitted");
    let charge = app.see(&case.id).await["charges"][0].clone();
    assert_eq!(charge["acknowledgement"], 5, "put to it without quoting it");
    assert_eq!(told(&app, pay("again", due, &spaced, kbk)).await, "waiting");
}

#[actix_web::test]
async fn what_was_paid_before_the_bill_was_made_is_booked_when_it_is() {
    let app = TestApp::spawn().await;
    let case = app.draft(MIGRANT, "patent").await;
    let other = app.draft(OTHER_MIGRANT, "patent").await;
    let passport = app.see(&case.id).await["form"]["passport"]["number"].clone();
    let early = |id: &str, kopecks: i64| {
        json!({ "id": id, "amountKopecks": kopecks, "paidAt": app.now(),
        "payerDocument": passport, "kbk": "18810806000010000110" })
    };
    assert_eq!(told(&app, early("another amount", 100)).await, "waiting");
    assert_eq!(told(&app, early("early", 420_000)).await, "waiting");
    for (who, case) in [(OTHER_MIGRANT, &other), (MIGRANT, &case)] {
        app.command(who, &case.id, json!({ "command": "submit" })).await.expect(200);
        app.drain().await;
    }
    assert_eq!(app.state(&case.id).await, "submitted");
    assert_eq!(app.state(&other.id).await, "awaitingDuty", "somebody else's money");
    assert_eq!(sums(&app).await, (420_100, 420_000, 100, 0, 420_000));
    app.agreed(&case.id).await;
}

#[actix_web::test]
async fn two_open_charges_that_fit_leave_the_choice_to_an_officer() {
    let app = TestApp::spawn().await;
    let case = app.handed_in(MIGRANT).await;
    let owed = app.owed(&case.id).await;
    let seen = app.see(&case.id).await;
    let again = "INSERT INTO charges SELECT (jsonb_populate_record(h, jsonb_build_object('id', gen_random_uuid(), \
                 'uin', '18800000000000099991'))).* FROM charges h";
    app.sql().await.execute(again, &[]).await.unwrap();
    let payment = json!({ "id": "x", "amountKopecks": owed["outstanding"]["kopecks"], "paidAt": app.now(),
        "payerDocument": seen["form"]["passport"]["number"], "kbk": owed["payee"]["kbk"] });
    assert_eq!(told(&app, payment).await, "waiting");
}

#[actix_web::test]
async fn a_payment_that_names_another_kbk_waits_and_an_officer_matches_it() {
    let app = TestApp::spawn().await;
    let case = app.handed_in(MIGRANT).await;
    let owed = app.owed(&case.id).await;
    let payment = json!({ "id": "kbk", "uin": owed["uin"], "amountKopecks": owed["outstanding"]["kopecks"],
        "paidAt": app.now(), "kbk": "18210102040011000110" });
    assert_eq!(told(&app, payment).await, "waiting");
    let metrics = app.get("/metrics").send().await.expect(200).text();
    let gauge = |name: &str| {
        let line = metrics.lines().find(|line| line.starts_with(&format!("propusk_{name} ")));
        line.unwrap().rsplit(' ').next().unwrap().parse::<i64>().unwrap()
    };
    assert_eq!(gauge("payments_not_moved_on"), 1, "somebody paid, and nothing moved");
    assert_eq!(gauge("money_waiting_kopecks"), owed["outstanding"]["kopecks"].as_i64().unwrap());
    assert_eq!(gauge("money_waiting_oldest_timestamp_seconds"), app.now().timestamp());
    let one = waiting(&app).await[0].clone();
    assert_eq!((&one["uin"], &one["kbk"]), (&owed["uin"], &json!("18210102040011000110")));

    // Not by the office of another unit, not on a charge that there is not, not on a UIN that is none.
    let body = json!({ "uin": owed["uin"] });
    let refused = act(&app, PETERSBURG_OFFICER, &one, "match", body.clone()).await.expect(422);
    assert_eq!(refused.problem("rule-refused")["errors"][0]["code"], "unknown-charge");
    let unknown = json!({ "uin": Uin::compose("188", 9999).as_str() });
    let refused = act(&app, OFFICER, &one, "match", unknown).await.expect(422);
    assert_eq!(refused.problem("rule-refused")["errors"][0]["code"], "unknown-charge");
    let refused = act(&app, OFFICER, &one, "match", json!({ "uin": "188" })).await.expect(422);
    assert_eq!(refused.problem("rule-refused")["errors"][0]["code"], "invalid-uin");
    assert_eq!(app.state(&case.id).await, "awaitingDuty");

    let path = format!("/v1/payments/{}", one["id"].as_str().unwrap());
    let matching = |key: &str| {
        app.post(&format!("{path}/match")).by(OFFICER).key(key).if_match(1).json(body.clone())
    };
    let matched = matching("once").send().await.expect(200);
    assert_eq!(matched.json()["state"], "submitted");
    assert_eq!(matched.header("etag"), None, "the tag would be the application's");
    // Sent again: the same answer, and nothing happens; with another key the payment is not what was seen.
    let before = app.written().await;
    assert_eq!(matching("once").send().await.expect(200).json(), matched.json());
    matching("another").send().await.expect(412);
    assert_eq!(app.written().await, before);
    assert_eq!(waiting(&app).await, Vec::<Value>::new());
    let charge = app.see(&case.id).await["charges"][0].clone();
    assert_eq!((&charge["status"], &charge["acknowledgement"]), (&json!("settled"), &json!(5)));
    let refused = act(&app, OFFICER, &one, "match", body.clone()).await.expect(409);
    refused.problem("wrong-state");
}

// ── What is given back ────────────────────────────────────────────────────────────────────────────────────

#[actix_web::test]
async fn a_refund_takes_two_officers_and_each_step_stands_in_the_log() {
    let app = TestApp::spawn().await;
    let payment =
        json!({ "id": "lost", "amountKopecks": 777, "paidAt": app.now(), "payer": "A B" });
    assert_eq!(told(&app, payment).await, "waiting");
    let one = waiting(&app).await[0].clone();
    let step = async |person, body: Value| {
        app.advance(TimeDelta::seconds(1));
        act(&app, person, &one, "refund", body).await
    };
    let status = |reply: &Reply| reply.json()["status"].as_str().unwrap().to_owned();

    // What needs words says so; what is not next is not possible.
    let reply = step(OFFICER, json!({ "step": "propose" })).await.expect(400);
    assert_eq!(reply.problem("invalid-request")["errors"][0]["pointer"], "/reason");
    step(OFFICER, json!({ "step": "complete" })).await.expect(409).problem("wrong-state");
    let nothing = sums(&app).await;

    let reply = step(SENIOR, json!({ "step": "propose", "reason": "Nobody's" })).await.expect(200);
    assert_eq!(status(&reply), "refundProposed");
    assert_eq!(reply.json()["waiting"]["kopecks"], 777);
    let reply = step(SENIOR, json!({ "step": "confirm" })).await.expect(422);
    assert_eq!(reply.problem("rule-refused")["errors"][0]["code"], "four-eyes");
    step(OFFICER, json!({ "step": "confirm" })).await.expect(403);
    // Dropped, and proposed again by another.
    let reply = step(SENIOR, json!({ "step": "reject", "reason": "Wait" })).await.expect(200);
    assert_eq!((status(&reply), reply.json().get("refund")), ("waiting".to_owned(), None));
    step(OFFICER, json!({ "step": "propose", "reason": "Nobody's" })).await.expect(200);
    let proposed =
        app.get("/v1/payments?status=refundProposed").by(SENIOR).send().await.expect(200);
    assert_eq!(proposed.json()["items"].as_array().unwrap().len(), 1);
    assert_eq!(waiting(&app).await, Vec::<Value>::new());
    step(SENIOR, json!({ "step": "confirm" })).await.expect(200);
    step(OFFICER, json!({ "step": "send", "document": "17" })).await.expect(200);
    // The bank sends it back; the whole way again.
    let reply = step(OFFICER, json!({ "step": "comeBack", "reason": "Closed account" })).await;
    assert_eq!(status(&reply.expect(200)), "waiting");
    assert_eq!(sums(&app).await, nothing);
    step(OFFICER, json!({ "step": "propose", "reason": "New account" })).await.expect(200);
    step(SENIOR, json!({ "step": "confirm" })).await.expect(200);
    step(OFFICER, json!({ "step": "send", "document": "18" })).await.expect(200);
    let reply = step(OFFICER, json!({ "step": "complete" })).await.expect(200).json();
    assert_eq!(
        (&reply["status"], &reply["refunded"]["kopecks"]),
        (&json!("refunded"), &json!(777))
    );
    assert_eq!(reply["refund"]["document"], "18");
    assert_eq!(sums(&app).await, (777, 0, 0, 777, 0));
    step(OFFICER, json!({ "step": "propose", "reason": "More" })).await.expect(409);

    let kinds = "SELECT kind FROM events WHERE kind LIKE 'refund%' ORDER BY at, id";
    let rows = app.sql().await.query(kinds, &[]).await.unwrap();
    let kinds: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
    assert_eq!(
        kinds,
        [
            "refundProposed",
            "refundRejected",
            "refundProposed",
            "refundConfirmed",
            "refundSent",
            "refundCameBack",
            "refundProposed",
            "refundConfirmed",
            "refundSent",
            "refundCompleted"
        ]
    );
    let known = "SELECT cardinality(events)::bigint FROM payments";
    let row = app.sql().await.query_one(known, &[]).await.unwrap();
    assert_eq!(row.get::<_, i64>(0), 10, "so that erasing finds them");
}

#[actix_web::test]
async fn a_repeated_step_of_a_refund_answers_the_same_and_does_nothing() {
    let app = TestApp::spawn().await;
    let payment = json!({ "id": "lost", "amountKopecks": 777, "paidAt": app.now() });
    told(&app, payment).await;
    let path = format!("/v1/payments/{}/refund", waiting(&app).await[0]["id"].as_str().unwrap());
    let send = |version: i64, key: &str, reason: &str| {
        let body = json!({ "step": "propose", "reason": reason });
        app.post(&path).by(OFFICER).key(key).if_match(version).json(body)
    };
    send(2, "early", "x").send().await.expect(412);
    let first = send(1, "k", "x").send().await.expect(200);
    let before = app.written().await;
    let again = send(1, "k", "x").send().await.expect(200);
    assert_eq!(again.json(), first.json());
    assert_eq!(again.header("idempotency-replayed"), Some("true"));
    send(1, "k", "y").send().await.expect(422).problem("idempotency-key-reused");
    assert_eq!(app.written().await, before);
}

#[actix_web::test]
async fn of_a_withdrawn_application_the_duty_is_kept_and_what_was_paid_beyond_it_is_given_back() {
    let app = TestApp::spawn().await;
    let case = app.handed_in(MIGRANT).await;
    let owed = app.owed(&case.id).await;
    let due = owed["outstanding"]["kopecks"].as_i64().unwrap();
    let payment = json!({ "id": "more", "uin": owed["uin"], "amountKopecks": due + 500, "paidAt": app.now() });
    assert_eq!(told(&app, payment).await, "booked");
    app.command(MIGRANT, &case.id, json!({ "command": "withdraw" })).await.expect(200);
    let one = waiting(&app).await[0].clone();
    let why = json!({ "reason": "Withdrawn" });
    let refused = act(&app, OFFICER, &one, "release", why).await.expect(422);
    assert_eq!(refused.problem("rule-refused")["blockedBy"][0]["guard"], "refund");
    let propose = json!({ "step": "propose", "reason": "Paid too much" });
    act(&app, OFFICER, &one, "refund", propose).await.expect(200);
    act(&app, SENIOR, &one, "refund", json!({ "step": "confirm" })).await.expect(200);
    act(&app, OFFICER, &one, "refund", json!({ "step": "send", "document": "1" }))
        .await
        .expect(200);
    act(&app, OFFICER, &one, "refund", json!({ "step": "complete" })).await.expect(200);
    assert_eq!(sums(&app).await, (due + 500, due, 0, 500, due));
}

#[actix_web::test]
async fn what_was_paid_in_part_on_a_bill_that_is_annulled_is_released_and_given_back() {
    let app = TestApp::spawn().await;
    let case = app.handed_in(MIGRANT).await;
    let owed = app.owed(&case.id).await;
    let pay = |id: &str| json!({ "id": id, "uin": owed["uin"], "amountKopecks": 100, "paidAt": app.now() });
    assert_eq!(told(&app, pay("part")).await, "booked");
    app.command(MIGRANT, &case.id, json!({ "command": "withdraw" })).await.expect(200);
    let charge = app.see(&case.id).await["charges"][0].clone();
    assert_eq!((&charge["status"], &charge["changeStatus"]), (&json!("annulled"), &json!(3)));
    assert_eq!(told(&app, pay("late")).await, "waiting", "a bill that is annulled is owed no more");
    let part = "SELECT id::text FROM payments WHERE provider_id = 'provider:part'";
    let row = app.sql().await.query_one(part, &[]).await.unwrap();
    let part = json!({ "id": row.get::<_, String>(0) });
    let released = act(&app, OFFICER, &part, "release", json!({ "reason": "Withdrawn" })).await;
    assert_eq!(released.expect(200).json()["charges"][0]["paid"]["kopecks"], 0);
    assert_eq!(sums(&app).await, (200, 0, 200, 0, 0));
    let events = app.agreed(&case.id).await;
    assert_eq!(events.last().unwrap().act.event(), "paymentReleased");
    let again = act(&app, OFFICER, &part, "release", json!({ "reason": "Again" })).await;
    again.expect(409).problem("wrong-state");
}

#[actix_web::test]
async fn a_payment_of_another_units_application_is_not_there() {
    let app = TestApp::spawn().await;
    let case = app.handed_in(MIGRANT).await;
    app.pay(&case.id).await;
    let row = app.sql().await.query_one("SELECT id::text FROM payments", &[]).await.unwrap();
    let one = json!({ "id": row.get::<_, String>(0) });
    let path = format!("/v1/payments/{}", one["id"].as_str().unwrap());
    app.get(&path).by(PETERSBURG_OFFICER).send().await.expect(404);
    for (below, body) in [
        ("match", json!({ "uin": Uin::compose("188", 9999).as_str() })),
        ("release", json!({ "reason": "x" })),
        ("refund", json!({ "step": "propose", "reason": "x" })),
    ] {
        act(&app, PETERSBURG_OFFICER, &one, below, body).await.expect(404);
    }
    assert_eq!(app.get(&path).by(OFFICER).send().await.expect(200).json()["status"], "matched");
}

#[actix_web::test]
async fn two_officers_who_match_one_payment_at_once_book_it_once() {
    let app = TestApp::spawn().await;
    let (first, second) = (app.handed_in(MIGRANT).await, app.handed_in(OTHER_MIGRANT).await);
    let owed = app.owed(&first.id).await;
    let other = app.owed(&second.id).await;
    let payment =
        json!({ "id": "x", "amountKopecks": owed["outstanding"]["kopecks"], "paidAt": app.now() });
    told(&app, payment).await;
    let path = format!("/v1/payments/{}/match", waiting(&app).await[0]["id"].as_str().unwrap());
    let matching = |uin: &Value, key: &str| {
        app.post(&path).by(OFFICER).key(key).if_match(1).json(json!({ "uin": uin })).send()
    };
    let (one, two) = tokio::join!(matching(&owed["uin"], "one"), matching(&other["uin"], "two"));
    let mut statuses = [one.status, two.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 412], "{} {}", one.text(), two.text());
    let due = owed["outstanding"]["kopecks"].as_i64().unwrap();
    assert_eq!(sums(&app).await, (due, due, 0, 0, due));
}

// ── The provider ──────────────────────────────────────────────────────────────────────────────────────────

#[actix_web::test]
async fn a_provider_that_repeats_reorders_and_forges_over_real_sockets_moves_nothing_twice() {
    let app = TestApp::spawn().await;
    let case = app.handed_in(MIGRANT).await;
    let owed = app.owed(&case.id).await;
    let due = owed["outstanding"]["kopecks"].as_i64().unwrap();
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let office = format!("http://{}", listener.local_addr().unwrap());
    let served = propusk::app::serve(app.app.clone(), listener, 1).unwrap();
    let handle = served.handle();
    actix_web::rt::spawn(served);
    let key = Key::new(WEBHOOK_KEY.to_vec());
    let provider = Simulator::new(Options { key, office, clock: app.clock.clone() });
    let pay = |kopecks: i64| Pay {
        amount_kopecks: kopecks,
        uin: owed["uin"].as_str().map(str::to_owned),
        ..Pay::default()
    };
    for mode in [Mode::Forge, Mode::Alter, Mode::Late, Mode::Ahead, Mode::Silent] {
        provider.play(mode);
        provider.pay(pay(due)).await;
    }
    let told = |provider: &Simulator| -> Vec<(i64, Value)> {
        let told = provider.told();
        told.iter()
            .map(|one| (one["status"].as_i64().unwrap(), one["answer"]["outcome"].clone()))
            .collect()
    };
    assert_eq!(told(&provider), vec![(401, Value::Null); 4]);
    assert_eq!(sums(&app).await, (0, 0, 0, 0, 0));

    // What was kept silent is what the bank's statement shows.
    let statement = Statement::parse(provider.statement().as_bytes()).unwrap();
    let found = app.app.casework.reconcile(&statement, false).await.unwrap();
    assert_eq!(found.comparison.missing_in_ledger.len(), 5);

    provider.play(Mode::Repeat);
    provider.pay(pay(due - 200)).await;
    provider.play(Mode::Reorder);
    provider.pay(pay(150)).await;
    provider.pay(pay(100)).await;
    assert_eq!(sums(&app).await.0, due - 200, "nothing is told before its time");
    assert_eq!(provider.flush().await, 2);
    let outcomes: Vec<Value> = told(&provider).split_off(4).into_iter().map(|one| one.1).collect();
    assert_eq!(outcomes, ["booked", "known", "known", "booked", "booked"]);
    assert_eq!(app.state(&case.id).await, "submitted");
    assert_eq!(sums(&app).await, (due + 50, due, 50, 0, due));
    handle.stop(false).await;
}

// ── The bank's word ───────────────────────────────────────────────────────────────────────────────────────

#[actix_web::test]
async fn a_statement_finds_what_the_ledger_lacks_books_it_when_told_to_and_then_agrees() {
    let app = TestApp::spawn().await;
    let case = app.handed_in(MIGRANT).await;
    let owed = app.owed(&case.id).await;
    let (uin, due) =
        (owed["uin"].as_str().unwrap(), owed["outstanding"]["kopecks"].as_i64().unwrap());
    let day = app.now().date_naive();
    let told_of = json!({ "id": "told", "amountKopecks": 500, "paidAt": app.now() });
    assert_eq!(told(&app, told_of).await, "waiting");
    let entry = |id: &str, kopecks: i64, uin: &str| {
        format!(
            "<Ntry><Amt Ccy=\"RUB\">{}.{:02}</Amt><CdtDbtInd>CRDT</CdtDbtInd><BookgDt><Dt>{day}</Dt></BookgDt>\
             <NtryDtls><TxDtls><Refs><TxId>{id}</TxId></Refs><RmtInf><Strd><CdtrRefInf><Ref>{uin}</Ref>\
             </CdtrRefInf></Strd></RmtInf></TxDtls></NtryDtls></Ntry>",
            kopecks / 100,
            kopecks % 100
        )
    };
    let statement = |entries: &[String]| {
        let text = format!(
            "<Document><BkToCstmrStmt><Stmt>{}</Stmt></BkToCstmrStmt></Document>",
            entries.concat()
        );
        Statement::parse(text.as_bytes()).unwrap()
    };
    let both = statement(&[entry("told", 500, "0"), entry("not told", due, uin)]);
    let before = app.written().await;
    let casework = &app.app.casework;
    let found = casework.reconcile(&both, false).await.unwrap();
    assert_eq!(app.written().await, before, "looking changes nothing");
    assert_eq!(found.comparison.agreed, 1);
    let missing: Vec<&str> =
        found.comparison.missing_in_ledger.iter().map(|one| one.id.as_str()).collect();
    assert_eq!(missing, ["not told"]);

    let done = casework.reconcile(&both, true).await.unwrap();
    assert!(done.comparison.is_clean());
    assert_eq!((done.booked, done.waiting), (1, 0));
    assert_eq!(app.state(&case.id).await, "submitted", "through the same door");
    // Once more, and when the provider tells of it after all: nothing happens.
    let before = app.written().await;
    let again = casework.reconcile(&both, true).await.unwrap();
    assert_eq!((again.comparison.agreed, again.booked, again.waiting), (2, 0, 0));
    let late = json!({ "id": "not told", "uin": uin, "amountKopecks": due, "paidAt": app.now() });
    assert_eq!(told(&app, late).await, "known");
    assert_eq!(app.written().await, before);

    // Another amount, and one of ours that the bank does not have.
    let other = statement(&[entry("told", 501, "0")]);
    let found = casework.reconcile(&other, true).await.unwrap().comparison;
    assert_eq!((found.differing.len(), found.missing_in_statement.len()), (1, 1));
    assert_eq!(found.missing_in_statement[0].provider_id, "provider:not told");
    assert_eq!(app.written().await, before, "what differs is nobody's to change but an officer's");
}

#[actix_web::test]
async fn each_statement_in_the_folder_is_compared_once_and_what_is_none_stays_and_is_named() {
    use propusk::worker::statements::Statements;
    let folder = crate::support::db::test_dir("statements");
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).unwrap();
    let app = TestApp::spawn().await;
    let case = app.handed_in(MIGRANT).await;
    let owed = app.owed(&case.id).await;
    let due = owed["outstanding"]["kopecks"].as_i64().unwrap();
    // The provider takes the money and tells nobody; the bank does.
    let key = Key::new(WEBHOOK_KEY.to_vec());
    let office = "http://127.0.0.1:1".to_owned();
    let provider = Simulator::new(Options { key, office, clock: app.clock.clone() });
    provider.play(Mode::Silent);
    provider
        .pay(Pay {
            amount_kopecks: due,
            uin: owed["uin"].as_str().map(str::to_owned),
            ..Pay::default()
        })
        .await;
    std::fs::write(folder.join("monday.xml"), provider.statement()).unwrap();
    std::fs::write(folder.join("photo.xml"), "no statement").unwrap();
    let looking = || {
        let (db, clock) = (app.app.db.clone(), app.clock.clone());
        Statements::new(db, clock, app.app.casework.clone(), folder.clone())
    };
    let (mut one, mut other) = (None, None);
    let (first, second) = (looking(), looking());
    tokio::join!(first.go_on(&mut one), second.go_on(&mut other));
    assert_eq!(app.state(&case.id).await, "submitted", "booked as if it had been told of");
    assert_eq!(sums(&app).await, (due, due, 0, 0, due));
    let rows = async || {
        let all = "SELECT name, outcome, booked, error FROM statements ORDER BY name";
        let rows = app.sql().await.query(all, &[]).await.unwrap();
        let shown = |row: &tokio_postgres::Row| {
            let (name, outcome): (String, String) = (row.get(0), row.get(1));
            (name, outcome, row.get::<_, i32>(2), row.get::<_, Option<String>>(3).is_some())
        };
        rows.iter().map(shown).collect::<Vec<_>>()
    };
    let found = [
        ("monday.xml".to_owned(), "alike".to_owned(), 1, false),
        ("photo.xml".to_owned(), "refused".to_owned(), 0, true),
    ];
    assert_eq!(rows().await, found);
    assert!(folder.join("photo.xml").exists(), "nothing is removed");
    // The same under another name, an hour later: it was compared.
    std::fs::rename(folder.join("monday.xml"), folder.join("tuesday.xml")).unwrap();
    let before = app.written().await;
    app.advance(TimeDelta::hours(1));
    first.go_on(&mut one).await;
    assert_eq!((app.written().await, rows().await), (before, found.to_vec()));
    let metrics = app.get("/metrics").send().await.expect(200).text();
    for line in
        ["propusk_statements{outcome=\"alike\"} 1", "propusk_statements{outcome=\"refused\"} 1"]
    {
        assert!(metrics.lines().any(|one| one == line), "{line}: {metrics}");
    }
}

#[actix_web::test]
async fn a_charge_says_where_it_is_paid_at_once_while_something_is_due() {
    let page = "https://pay.example/bill?uin={uin}&amount={kopecks}&sum={roubles}";
    let app = TestApp::spawn_with(|config| {
        config.payment_page = Some(PaymentPage::parse(page).unwrap());
    })
    .await;
    let case = app.handed_in(MIGRANT).await;
    let owed = app.owed(&case.id).await;
    let link = format!(
        "https://pay.example/bill?uin={}&amount=420000&sum=4200.00",
        owed["uin"].as_str().unwrap()
    );
    assert_eq!(owed["paymentPage"], json!(link));
    let part = json!({ "id": "part", "uin": owed["uin"], "amountKopecks": 5, "paidAt": app.now() });
    told(&app, part).await;
    let rest = app.owed(&case.id).await["paymentPage"].as_str().unwrap().to_owned();
    assert!(rest.ends_with("&amount=419995&sum=4199.95"), "{rest}");
    let birth = json!({ "birthDate": crate::support::drive::BIRTH_DATE });
    let path = format!("/v1/status/{}/details", case.reference);
    let details = app.post(&path).json(birth).send().await.expect(200).json();
    assert_eq!(details["charges"][0]["paymentPage"], json!(rest));
    app.pay(&case.id).await;
    assert_eq!(app.see(&case.id).await["charges"][0].get("paymentPage"), None);
}
