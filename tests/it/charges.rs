//! What a charge can become by the word of two officers: clarified, annulled, owed again, taken for paid.

use chrono::TimeDelta;
use propusk::casework::erasure::{Reason, Whose};
use serde_json::{Value, json};

use crate::support::app::{
    MIGRANT, OFFICER, OTHER_OFFICER, OTHER_SENIOR, PETERSBURG_OFFICER, Person, Reply, SENIOR,
    TestApp,
};
use crate::support::drive::{Case, blocked_by, fresh, misfits};

/// What a test asks about charges.
impl TestApp {
    async fn revise_seen(&self, who: Person, case: &Case, charge: &Value, body: Value) -> Reply {
        let version = self.version(&case.id).await;
        self.revise_at(version, who, case, charge, body).await
    }

    async fn revise_at(
        &self,
        version: i64,
        who: Person,
        case: &Case,
        charge: &Value,
        body: Value,
    ) -> Reply {
        let path = format!("/charges/{}/revision", charge["id"].as_str().unwrap());
        let call = self.post(&case.path(&path)).by(who).key(&fresh().to_string());
        call.if_match(version).json(body).send().await
    }

    /// Has an officer propose a change and a senior officer agree.
    async fn agree_on(&self, case: &Case, charge: &Value, body: Value) -> Value {
        self.revise_seen(OFFICER, case, charge, body).await.expect(200);
        self.revise_seen(SENIOR, case, charge, confirm()).await.expect(200).json()
    }

    async fn charge(&self, case: &Case, charge: &Value) -> Value {
        let seen = self.get(&case.path("")).by(OFFICER).send().await.expect(200).json();
        let all = seen["charges"].as_array().unwrap();
        all.iter().find(|one| one["id"] == charge["id"]).unwrap().clone()
    }

    async fn told_of(&self, charge: &Value, kopecks: i64) -> Value {
        let payment = json!({ "id": format!("pay_{}", fresh()), "uin": charge["uin"],
            "amountKopecks": kopecks, "paidAt": self.now() });
        self.callback(payment).await.expect(200).json()["outcome"].clone()
    }

    /// What was received, what of it is matched, and what the charges say was paid.
    async fn received(&self) -> (i64, i64, i64) {
        let all = "SELECT coalesce(sum(amount_kopecks), 0)::bigint, coalesce(sum(matched_kopecks), 0)::bigint, \
                   (SELECT coalesce(sum(paid_kopecks), 0)::bigint FROM charges) FROM payments";
        let row = self.sql().await.query_one(all, &[]).await.unwrap();
        (row.get(0), row.get(1), row.get(2))
    }
}

fn propose(change: &str) -> Value {
    json!({ "step": "propose", "change": change, "reason": "Looked at again." })
}

fn clarify(part: &str, value: impl Into<Value>) -> Value {
    let mut body = propose("clarify");
    body[part] = value.into();
    body
}

fn confirm() -> Value {
    json!({ "step": "confirm" })
}

fn reject() -> Value {
    json!({ "step": "reject", "reason": "Wrong." })
}

impl TestApp {
    fn acknowledge(&self) -> Value {
        let mut body = propose("acknowledge");
        body["document"] = json!("order 17");
        body["paidOn"] = json!(self.today());
        body
    }
}

/// How a charge stands: its status and what GIS GMP has for it, by name and number.
fn stands(charge: &Value) -> Value {
    assert_eq!(
        ["new", "clarified", "annulled", "deannulled"]
            [usize::try_from(charge["changeStatus"].as_u64().unwrap()).unwrap() - 1],
        charge["changeStatusName"]
    );
    json!([
        charge["status"],
        charge["changeStatusName"],
        charge["acknowledgement"],
        charge["acknowledgementName"]
    ])
}

#[actix_web::test]
async fn what_is_not_owed_is_annulled_by_two_officers_and_owed_again_by_two() {
    let app = TestApp::spawn().await;
    let case = app.handed_in(MIGRANT).await;
    let owed = app.owed(&case.id).await;
    let due = owed["outstanding"]["kopecks"].as_i64().unwrap();
    let proposed = app.revise_seen(SENIOR, &case, &owed, propose("annul")).await.expect(200).json();
    let revision = &proposed["charges"][0]["revision"];
    assert_eq!((&revision["change"], &revision["waits"]), (&json!("annul"), &json!(true)));
    assert_eq!(stands(&proposed["charges"][0]), json!(["open", "new", 3, "notMatched"]));
    assert_eq!(revision["reason"], "Looked at again.");
    let own = app.get(&case.path("")).by(MIGRANT).send().await.expect(200).json();
    assert_eq!(own["charges"][0].get("revision"), None, "the office's business until it is done");

    // Not by whoever proposed it, and not by an officer alone; while it waits nothing else is proposed.
    let before = app.written().await;
    let same = app.revise_seen(SENIOR, &case, &owed, confirm()).await.expect(422);
    assert_eq!(same.problem("rule-refused")["errors"][0]["code"], "four-eyes");
    app.revise_seen(OTHER_OFFICER, &case, &owed, confirm()).await.expect(403).problem("forbidden");
    let other = app.revise_seen(OFFICER, &case, &owed, app.acknowledge()).await.expect(409);
    assert_eq!(other.problem("wrong-state")["chargeStatus"], "open");
    assert_eq!(app.written().await, before);
    app.revise_seen(OTHER_SENIOR, &case, &owed, confirm()).await.expect(200);
    let charge = app.charge(&case, &owed).await;
    assert_eq!(stands(&charge), json!(["annulled", "annulled", 3, "notMatched"]));
    assert_eq!(charge["revision"]["confirmedBy"], json!(OTHER_SENIOR.id()));
    assert_eq!(app.told_of(&owed, due).await, "waiting", "nothing is owed");
    app.revise_seen(SENIOR, &case, &owed, confirm()).await.expect(409).problem("wrong-state");

    // Owed again, it takes the money that came meanwhile, and the application goes on.
    app.agree_on(&case, &owed, propose("deannul")).await;
    assert_eq!(
        stands(&app.charge(&case, &owed).await),
        json!(["open", "deannulled", 3, "notMatched"])
    );
    app.drain().await;
    assert_eq!(app.state(&case.id).await, "submitted");
    assert_eq!(
        stands(&app.charge(&case, &owed).await),
        json!(["settled", "deannulled", 1, "matched"])
    );
    let kinds: Vec<&str> = app.agreed(&case.id).await.iter().map(|one| one.act.event()).collect();
    let revised = kinds.iter().filter(|kind| kind.starts_with("chargeRevision")).copied();
    let pair = ["chargeRevisionProposed", "chargeRevisionConfirmed"];
    assert_eq!(revised.collect::<Vec<_>>(), [pair, pair].concat());
}

#[actix_web::test]
async fn what_was_paid_in_another_way_settles_the_charge_and_is_no_money_received() {
    let app = TestApp::spawn().await;
    let case = app.handed_in(MIGRANT).await;
    let owed = app.owed(&case.id).await;
    let due = owed["outstanding"]["kopecks"].as_i64().unwrap();
    assert_eq!(app.told_of(&owed, 1000).await, "booked");
    let done = app.agree_on(&case, &owed, app.acknowledge()).await;
    assert_eq!(done["state"], "submitted", "what waited for the payment goes on");
    let charge = app.charge(&case, &owed).await;
    assert_eq!(stands(&charge), json!(["settled", "new", 4, "withoutPayment"]));
    assert_eq!(charge["paidOutside"]["kopecks"], due - 1000);
    assert_eq!(charge["paid"]["kopecks"], 1000);
    assert_eq!(charge["outstanding"]["kopecks"], 0);
    assert_eq!(app.received().await, (1000, 1000, 1000));
    assert_eq!(app.told_of(&owed, due).await, "waiting", "paid twice, it waits to be given back");
    assert_eq!(app.received().await, (1000 + due, 1000, 1000));
    for change in ["annul", "clarify", "deannul"] {
        let mut body = propose(change);
        if change == "clarify" {
            body["amountKopecks"] = json!(due + 1);
        }
        let refused = app.revise_seen(OFFICER, &case, &owed, body).await.expect(409);
        assert_eq!(refused.problem("wrong-state")["chargeStatus"], "settled", "{change}");
    }
    app.agreed(&case.id).await;
}

#[actix_web::test]
async fn both_who_took_a_tax_for_paid_leave_the_handing_over_to_a_third() {
    let app = TestApp::spawn().await;
    let case = app.granted(MIGRANT).await;
    let owed = app.owed(&case.id).await;
    let done = app.agree_on(&case, &owed, app.acknowledge()).await;
    assert_eq!(done["state"], "ready");
    let hand_over = json!({ "command": "handOver" });
    for who in [OFFICER, SENIOR] {
        let refused = app.command(who, &case.id, hand_over.clone()).await.expect(422);
        assert_eq!(blocked_by(&refused), ["fourEyes"]);
    }
    let who = OTHER_SENIOR;
    let given = app.command(who, &case.id, hand_over).await.expect(200).json();
    assert_eq!(given["state"], "inForce");
    app.agreed(&case.id).await;
}

#[actix_web::test]
async fn a_month_that_was_paid_in_another_way_prolongs_the_permit_at_the_price_of_its_day() {
    let app = TestApp::spawn().await;
    let case = app.in_force(MIGRANT).await;
    let before = app.see(&case.id).await["permit"]["paidThrough"].clone();
    let owed = app.owed(&case.id).await;
    let refused = app.revise_seen(OFFICER, &case, &owed, clarify("amountKopecks", 1)).await;
    assert_eq!(misfits(&refused.expect(422)), ["/amountKopecks month-priced-when-paid"]);
    app.agree_on(&case, &owed, app.acknowledge()).await;
    let seen = app.see(&case.id).await;
    assert_ne!(seen["permit"]["paidThrough"], before);
    assert_eq!(stands(&app.charge(&case, &owed).await)[3], "withoutPayment");
    let next = app.owed(&case.id).await;
    assert_ne!(next["uin"], owed["uin"], "the next month is owed");
    app.agreed(&case.id).await;

    // Annulled and owed again, it is paid as before.
    app.agree_on(&case, &next, propose("annul")).await;
    app.agree_on(&case, &next, propose("deannul")).await;
    app.pay(&case.id).await;
    app.agreed(&case.id).await;
}

#[actix_web::test]
async fn a_charge_is_clarified_under_its_uin_and_never_below_what_is_paid() {
    let app = TestApp::spawn().await;
    let case = app.handed_in(MIGRANT).await;
    let owed = app.owed(&case.id).await;
    let due = owed["outstanding"]["kopecks"].as_i64().unwrap();
    assert_eq!(app.told_of(&owed, 1000).await, "booked");
    let before = app.written().await;
    for (body, expected) in [
        (clarify("amountKopecks", 999), "/amountKopecks below-what-is-paid"),
        (clarify("amountKopecks", 0), "/amountKopecks nothing-owed"),
        (clarify("amountKopecks", due), "/amountKopecks same-amount"),
        (clarify("renewPayee", true), "/renewPayee same-payee"),
        (clarify("purpose", owed["payee"]["purpose"].clone()), "/purpose same-payee"),
        (clarify("purpose", "|~_^#$%&*+=@!;:,?/{}[]<>\u{1}"), "/purpose unfit-purpose"),
        (clarify("renewPayee", false), " nothing-to-clarify"),
    ] {
        let refused = app.revise_seen(OFFICER, &case, &owed, body).await.expect(422);
        assert_eq!(misfits(&refused), [expected]);
    }
    assert_eq!(app.written().await, before);
    app.agree_on(&case, &owed, clarify("purpose", "Duty for a patent, corrected")).await;
    let charge = app.charge(&case, &owed).await;
    assert_eq!(stands(&charge), json!(["open", "clarified", 2, "preliminary"]));
    assert_eq!(charge["payee"]["purpose"], "Duty for a patent, corrected");
    assert_eq!(charge["payee"]["account"], owed["payee"]["account"]);
    let qr = case.path(&format!("/charges/{}/qr", owed["id"].as_str().unwrap()));
    let order = app.get(&qr).by(MIGRANT).header("accept", "text/plain").send().await.expect(200);
    assert!(order.text().contains("Purpose=Duty for a patent, corrected"), "{}", order.text());

    app.agree_on(&case, &owed, clarify("amountKopecks", 3000)).await;
    let charge = app.charge(&case, &owed).await;
    assert_eq!((&charge["uin"], &charge["outstanding"]["kopecks"]), (&owed["uin"], &json!(2000)));
    assert_eq!(charge["rule"], "30.00 RUB, set by the office");
    // The very amount that is paid leaves nothing due: the application goes on.
    let done = app.agree_on(&case, &owed, clarify("amountKopecks", 1000)).await;
    assert_eq!(done["state"], "submitted");
    assert_eq!(
        stands(&app.charge(&case, &owed).await),
        json!(["settled", "clarified", 1, "matched"])
    );
    assert_eq!(app.received().await, (1000, 1000, 1000));
    app.agreed(&case.id).await;
}

#[actix_web::test]
async fn what_was_paid_while_its_change_waited_is_not_changed_and_the_proposal_can_be_dropped() {
    let app = TestApp::spawn().await;
    let case = app.handed_in(MIGRANT).await;
    let owed = app.owed(&case.id).await;
    app.revise_seen(OFFICER, &case, &owed, clarify("amountKopecks", 500)).await.expect(200);
    assert_eq!(app.told_of(&owed, 501).await, "booked");
    let late = app.revise_seen(SENIOR, &case, &owed, confirm()).await.expect(409);
    assert!(late.problem("wrong-state")["detail"].as_str().unwrap().contains("5.01 RUB"));
    app.revise_seen(OFFICER, &case, &owed, reject()).await.expect(200);
    app.revise_seen(OFFICER, &case, &owed, propose("annul")).await.expect(200);
    app.pay(&case.id).await;
    app.revise_seen(SENIOR, &case, &owed, confirm()).await.expect(409).problem("wrong-state");
    app.revise_seen(OTHER_OFFICER, &case, &owed, reject()).await.expect(200);
    app.revise_seen(OFFICER, &case, &owed, reject()).await.expect(409).problem("wrong-state");
    assert_eq!(app.charge(&case, &owed).await.get("revision"), None);
    assert_eq!(stands(&app.charge(&case, &owed).await), json!(["settled", "new", 1, "matched"]));
    app.agreed(&case.id).await;
}

#[actix_web::test]
async fn a_change_that_does_not_fit_is_refused_by_name_and_changes_nothing() {
    let app = TestApp::spawn().await;
    let case = app.handed_in(MIGRANT).await;
    let owed = app.owed(&case.id).await;
    let before = app.written().await;
    let nobodys = json!({ "id": "00000000-0000-7000-8000-000000000000" });
    app.revise_seen(OFFICER, &case, &nobodys, propose("annul")).await.expect(404);
    app.revise_seen(PETERSBURG_OFFICER, &case, &owed, propose("annul")).await.expect(404);
    app.revise_seen(MIGRANT, &case, &owed, propose("annul")).await.expect(403);
    app.revise_seen(SENIOR, &case, &owed, confirm()).await.expect(409).problem("wrong-state");
    app.revise_seen(OFFICER, &case, &owed, reject()).await.expect(409).problem("wrong-state");
    let deannul = app.revise_seen(OFFICER, &case, &owed, propose("deannul")).await.expect(409);
    assert_eq!(deannul.problem("wrong-state")["chargeStatus"], "open");
    let mut tomorrow = app.acknowledge();
    tomorrow["paidOn"] = json!(app.today().succ_opt());
    let refused = app.revise_seen(OFFICER, &case, &owed, tomorrow).await.expect(422);
    assert_eq!(misfits(&refused), ["/paidOn date-in-future"]);
    for (body, errors) in [
        (json!({ "step": "propose" }), vec!["/change required", "/reason required"]),
        (json!({ "step": "reject" }), vec!["/reason required"]),
        (json!({ "step": "confirm", "reason": "x" }), vec!["/reason unknown-field"]),
        (propose("acknowledge"), vec!["/document required", "/paidOn required"]),
        (
            json!({ "step": "propose", "change": "annul", "reason": "x", "amountKopecks": 5, "paidOn": "2026-03-02" }),
            vec!["/amountKopecks unknown-field", "/paidOn unknown-field"],
        ),
    ] {
        let refused = app.revise_seen(OFFICER, &case, &owed, body).await.expect(400);
        assert_eq!(refused.errors(), errors);
    }
    let negative = app.revise_seen(OFFICER, &case, &owed, clarify("amountKopecks", -1)).await;
    negative.expect(400);
    app.revise_at(1, OFFICER, &case, &owed, propose("annul")).await.expect(412);
    assert_eq!(app.written().await, before);
}

#[actix_web::test]
async fn a_charge_is_not_owed_again_where_it_cannot_be_paid() {
    let app = TestApp::spawn().await;
    let case = app.handed_in(MIGRANT).await;
    let owed = app.owed(&case.id).await;
    app.command(MIGRANT, &case.id, json!({ "command": "withdraw" })).await.expect(200);
    let refused = app.revise_seen(OFFICER, &case, &owed, propose("deannul")).await.expect(409);
    let problem = refused.problem("wrong-state");
    assert!(problem["allowedIn"].as_array().unwrap().contains(&json!("awaitingDuty")), "{problem}");
}

#[actix_web::test]
async fn a_charge_is_not_owed_again_once_another_has_taken_its_place() {
    let app = TestApp::spawn().await;
    let case = app.in_force(MIGRANT).await;
    let duty = async || {
        let seen = app.see(&case.id).await;
        let all = seen["charges"].as_array().unwrap();
        let last = all.iter().rfind(|one| one["position"] == "onRequest");
        last.unwrap().clone()
    };
    let request = json!({ "command": "requestDuplicate", "cause": "lost", "reason": "In a bus." });
    app.command(MIGRANT, &case.id, request.clone()).await.expect(200);
    let first = duty().await;
    app.command(MIGRANT, &case.id, json!({ "command": "withdrawRequest" })).await.expect(200);
    assert_eq!(app.charge(&case, &first).await["status"], "annulled");
    let refused = app.revise_seen(OFFICER, &case, &first, propose("deannul")).await.expect(409);
    let allowed = refused.problem("wrong-state")["allowedIn"].clone();
    assert_eq!(allowed, json!(["changeRequested", "duplicateRequested"]));
    app.advance(TimeDelta::minutes(1));
    app.command(MIGRANT, &case.id, request).await.expect(200);
    let second = duty().await;
    assert_ne!(second["uin"], first["uin"]);
    let refused = app.revise_seen(OFFICER, &case, &first, propose("deannul")).await.expect(409);
    let detail = refused.problem("wrong-state")["detail"].as_str().unwrap().to_owned();
    assert!(detail.contains(second["uin"].as_str().unwrap()), "{detail}");
}

#[actix_web::test]
async fn of_two_senior_officers_who_agree_at_once_one_does_and_of_two_proposals_one_stands() {
    let app = TestApp::spawn().await;
    let case = app.handed_in(MIGRANT).await;
    let owed = app.owed(&case.id).await;
    let both = async |people: [Person; 2], bodies: [Value; 2]| {
        let version = app.version(&case.id).await;
        let [one, two] = bodies;
        let (one, two) = tokio::join!(
            app.revise_at(version, people[0], &case, &owed, one),
            app.revise_at(version, people[1], &case, &owed, two)
        );
        let mut statuses = [one.status, two.status];
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 412], "{} {}", one.text(), two.text());
    };
    both([OFFICER, OTHER_OFFICER], [app.acknowledge(), app.acknowledge()]).await;
    both([SENIOR, OTHER_SENIOR], [confirm(), confirm()]).await;
    assert_eq!(app.state(&case.id).await, "submitted");
    assert_eq!(app.charge(&case, &owed).await["paidOutside"], owed["outstanding"]);
    let events = app.agreed(&case.id).await;
    let revised = events.iter().filter(|one| one.act.event().starts_with("chargeRevision"));
    assert_eq!(revised.count(), 2, "one of each was written");
}

#[actix_web::test]
async fn why_a_charge_was_to_be_changed_goes_with_the_persons_data() {
    let app = TestApp::spawn().await;
    let case = app.handed_in(MIGRANT).await;
    let owed = app.owed(&case.id).await;
    app.revise_seen(OFFICER, &case, &owed, app.acknowledge()).await.expect(200);
    app.command(MIGRANT, &case.id, json!({ "command": "withdraw" })).await.expect(200);
    app.advance(TimeDelta::days(4000));
    let reason = Reason::Request { basis: "order 12-3 of the archive", role: "operator" };
    let id = case.id.parse().unwrap();
    app.app.casework.erase(Whose::Application(id), reason).await.unwrap();
    let left = "SELECT count(*) FROM charges WHERE revision IS NOT NULL";
    assert_eq!(app.sql().await.query_one(left, &[]).await.unwrap().get::<_, i64>(0), 0);
}
