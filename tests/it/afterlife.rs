//! What becomes of a permit: other papers, other data, its holder gives it up, the office suspends it.

use chrono::TimeDelta;
use propusk::domain::permit::PermitNumber;
use propusk::permits::keys::PublishedKeys;
use propusk::permits::statement::STATUS_LIST_PATH;
use propusk::permits::status_list::{self, Status};
use serde_json::{Value, json};

use crate::support::app::{
    EMPLOYER, MIGRANT, OFFICER, OTHER_OFFICER, OTHER_SENIOR, SENIOR, TestApp,
};
use crate::support::drive::{Case, blocked_by, fresh, misfits};

fn duplicate() -> Value {
    json!({ "command": "requestDuplicate", "cause": "lost", "reason": "Left in a bus." })
}

fn surrender() -> Value {
    json!({ "command": "surrender", "reason": "I go home." })
}

fn suspend() -> Value {
    json!({ "command": "suspendPermit", "grounds": ["G04"], "reason": "A forged certificate?" })
}

fn give(command: &str) -> Value {
    json!({ "command": command })
}

fn said(command: &str) -> Value {
    json!({ "command": command, "reason": "It is so." })
}

impl TestApp {
    /// What anyone is told of a case's permit, and of one of its papers.
    async fn looked_up(&self, case: &Case, query: &str) -> Value {
        let number = self.see(&case.id).await["permit"]["number"].as_str().unwrap().to_owned();
        self.get(&format!("/v1/permits/{number}{query}")).send().await.expect(200).json()
    }

    async fn listed(&self, case: &Case) -> Status {
        // The list is made once a minute.
        self.advance(TimeDelta::minutes(1));
        let number = self.see(&case.id).await["permit"]["number"].as_str().unwrap().to_owned();
        let keys = self.get("/.well-known/jwks.json").send().await.expect(200).text();
        let keys = PublishedKeys::parse(&keys).unwrap();
        let text = self.get(STATUS_LIST_PATH).send().await.expect(200).text();
        let list = status_list::open(&text, &keys, self.now()).unwrap();
        list.bits.get(PermitNumber::parse(&number).unwrap().serial()).unwrap()
    }

    /// The numbers of a case's papers and how each stands.
    async fn blanks(&self, case: &Case) -> Vec<(String, String)> {
        let seen = self.see(&case.id).await;
        let papers = seen["blanks"].as_array().unwrap();
        let text = |one: &Value, name: &str| one[name].as_str().unwrap().to_owned();
        papers.iter().map(|one| (text(one, "number"), text(one, "status"))).collect()
    }

    /// The form's passport, with another number.
    async fn new_passport(&self, case: &Case, expires_on: &str) -> Value {
        let mut passport = self.see(&case.id).await["form"]["passport"].clone();
        passport["number"] = json!(format!("FB{}", fresh()));
        passport["issuedOn"] = json!("2026-02-01");
        passport["expiresOn"] = json!(expires_on);
        json!({
            "command": "requestChange", "reason": "A new passport.", "form": { "passport": passport },
        })
    }
}

// ── Papers ───────────────────────────────────────────────────────────────────────────────────────────────────

#[actix_web::test]
async fn a_duplicate_is_a_new_paper_of_the_same_permit() {
    let app = TestApp::spawn().await;
    let case = app.in_force(MIGRANT).await;
    let before = app.see(&case.id).await["permit"].clone();
    let [(first, status)] = app.blanks(&case).await.try_into().unwrap();
    assert_eq!(status, "valid");

    let asked = app.command(MIGRANT, &case.id, duplicate()).await.expect(200).json();
    assert_eq!(asked["state"], "duplicateRequested");
    assert_eq!(
        asked["request"],
        json!({ "kind": "duplicate", "at": app.now(), "cause": "lost", "reason": "Left in a bus." })
    );
    assert_eq!(app.work(&case.id).await.as_deref(), Some("request"));
    let waits = app.get("/v1/queues/requests/applications").by(OFFICER).send().await.expect(200);
    assert_eq!(waits.json()["items"][0]["id"], json!(case.id));
    // It stays in force meanwhile.
    assert_eq!(app.looked_up(&case, "").await["valid"], true);
    assert_eq!(app.listed(&case).await, Status::Valid);

    let owed = app.owed(&case.id).await;
    assert_eq!((&owed["fee"], &owed["position"]), (&json!("changeDuty"), &json!("onRequest")));
    assert_eq!(owed["amount"]["kopecks"], 210_000);
    let unpaid = app.command(OFFICER, &case.id, give("issueDuplicate")).await;
    assert_eq!(blocked_by(&unpaid), ["feeSettled"]);
    app.pay(&case.id).await;
    assert_eq!(app.state(&case.id).await, "duplicateRequested");
    let issued = app.command(OFFICER, &case.id, give("issueDuplicate")).await.expect(200).json();
    assert_eq!((&issued["state"], &issued["permit"]), (&json!("inForce"), &before));
    assert_eq!((&issued["request"], app.work(&case.id).await), (&Value::Null, None));

    let [old, new] = app.blanks(&case).await.try_into().unwrap();
    assert_eq!(old, (first.clone(), "superseded".into()));
    assert_ne!(new.0, first);
    assert_eq!(new.1, "valid");
    for (paper, said) in [(&first, "superseded"), (&new.0, "valid")] {
        let found = app.looked_up(&case, &format!("?blank={paper}")).await;
        assert_eq!((&found["blank"], &found["valid"]), (&json!(said), &json!(true)));
    }
    assert_eq!(app.mails(&case.id).await.last().unwrap(), "permitRenewed");
    app.agreed(&case.id).await;
}

#[actix_web::test]
async fn a_paper_of_another_permit_and_a_mistyped_one_are_unknown() {
    let app = TestApp::spawn().await;
    let (one, other) = (app.in_force(MIGRANT).await, app.in_force(EMPLOYER).await);
    let theirs = app.blanks(&other).await[0].0.clone();
    for paper in [theirs.as_str(), "B77-0000000017", "nonsense", ""] {
        let found = app.looked_up(&one, &format!("?blank={paper}")).await;
        assert_eq!(found["blank"], "unknown", "{paper}");
    }
    assert_eq!(app.looked_up(&one, "").await.get("blank"), None);
}

#[actix_web::test]
async fn a_second_duplicate_needs_a_second_duty() {
    let app = TestApp::spawn().await;
    let case = app.in_force(MIGRANT).await;
    app.command(MIGRANT, &case.id, duplicate()).await.expect(200);
    app.pay(&case.id).await;
    app.command(OFFICER, &case.id, give("issueDuplicate")).await.expect(200);

    app.command(MIGRANT, &case.id, duplicate()).await.expect(200);
    let unpaid = app.command(OFFICER, &case.id, give("issueDuplicate")).await;
    assert_eq!(blocked_by(&unpaid), ["feeSettled"]);
    app.pay(&case.id).await;
    app.command(OFFICER, &case.id, give("issueDuplicate")).await.expect(200);
    let papers = app.blanks(&case).await;
    let stand: Vec<&str> = papers.iter().map(|(_, status)| status.as_str()).collect();
    assert_eq!(stand, ["superseded", "superseded", "valid"]);
    app.agreed(&case.id).await;
}

#[actix_web::test]
async fn what_is_taken_back_or_refused_is_owed_no_more_and_prints_nothing() {
    let app = TestApp::spawn().await;
    let case = app.in_force(MIGRANT).await;
    for (person, command) in [(MIGRANT, "withdrawRequest"), (OFFICER, "refuseRequest")] {
        app.command(MIGRANT, &case.id, duplicate()).await.expect(200);
        let back = app.command(person, &case.id, said(command)).await.expect(200).json();
        assert_eq!((&back["state"], &back["request"]), (&json!("inForce"), &Value::Null));
        let charge = back["charges"].as_array().unwrap().last().unwrap().clone();
        assert_eq!((&charge["fee"], &charge["status"]), (&json!("changeDuty"), &json!("annulled")));
    }
    assert_eq!(app.blanks(&case).await.len(), 1);
    assert_eq!(app.mails(&case.id).await.last().unwrap(), "requestRefused");
    app.agreed(&case.id).await;
}

#[actix_web::test]
async fn a_spoilt_paper_is_printed_anew_for_nothing_by_a_senior_officer_alone() {
    let app = TestApp::spawn().await;
    let case = app.in_force(MIGRANT).await;
    for person in [MIGRANT, OFFICER] {
        app.command(person, &case.id, said("replaceBlank")).await.expect(403);
    }
    let seen = app.command(SENIOR, &case.id, said("replaceBlank")).await.expect(200).json();
    let stand: Vec<&Value> =
        seen["blanks"].as_array().unwrap().iter().map(|one| &one["status"]).collect();
    assert_eq!(stand, ["spoilt", "valid"]);
    let owed = |one: &&Value| one["position"] == "onRequest";
    assert_eq!(
        seen["charges"].as_array().unwrap().iter().filter(owed).count(),
        0,
        "nothing new is owed"
    );
    app.agreed(&case.id).await;
}

#[actix_web::test]
async fn who_booked_the_duty_by_hand_does_not_print() {
    let app = TestApp::spawn().await;
    let case = app.in_force(MIGRANT).await;
    app.command(MIGRANT, &case.id, duplicate()).await.expect(200);
    let owed = app.owed(&case.id).await;
    let book = json!({
        "command": "recordPayment", "uin": owed["uin"], "amountKopecks": 210_000,
        "paidAt": app.now(), "documentNumber": "receipt 1",
    });
    app.command(OFFICER, &case.id, book).await.expect(200);
    let reply = app.command(OFFICER, &case.id, give("issueDuplicate")).await;
    assert_eq!(blocked_by(&reply), ["fourEyes"]);
    app.command(OTHER_OFFICER, &case.id, give("issueDuplicate")).await.expect(200);
}

// ── Other data ───────────────────────────────────────────────────────────────────────────────────────────────

#[actix_web::test]
async fn a_new_passport_and_another_trade_are_printed_once_paid_and_proven() {
    let app = TestApp::spawn().await;
    let case = app.in_force(MIGRANT).await;
    let mut ask = app.new_passport(&case, "2036-01-01").await;
    ask["form"]["occupation"] = json!({ "code": "7115", "title": "Плотник" });
    let asked = app.command(MIGRANT, &case.id, ask.clone()).await.expect(200).json();
    assert_eq!(asked["state"], "changeRequested");
    let fields: Vec<&Value> =
        asked["request"]["changes"].as_array().unwrap().iter().map(|one| &one["field"]).collect();
    assert_eq!(
        fields,
        [
            "passport.number",
            "passport.issuedOn",
            "passport.expiresOn",
            "occupation.code",
            "occupation.title"
        ]
    );
    // Until it is made, nothing has changed.
    assert_eq!(app.looked_up(&case, "").await["profession"], "Каменщик");
    let reply = app.command(OFFICER, &case.id, give("makeChange")).await;
    assert_eq!(blocked_by(&reply), ["feeSettled", "changeProven"]);
    app.pay(&case.id).await;
    let reply = app.command(OFFICER, &case.id, give("makeChange")).await;
    assert_eq!(blocked_by(&reply), ["changeProven"]);
    app.advance(TimeDelta::minutes(1));
    app.attach(&case, "passport").await.expect(200);
    let made = app.command(OFFICER, &case.id, give("makeChange")).await.expect(200).json();
    assert_eq!(
        (&made["state"], &made["permit"]["profession"]),
        (&json!("inForce"), &json!("Плотник"))
    );
    assert_eq!(made["form"]["passport"]["number"], ask["form"]["passport"]["number"]);
    assert_eq!(made["blanks"].as_array().unwrap().len(), 2);
    assert_eq!(app.looked_up(&case, "").await["profession"], "Плотник");
    // What it said before stays in the log.
    let events = app.agreed(&case.id).await;
    let content = serde_json::to_string(&events.last().unwrap().changes).unwrap();
    assert!(content.contains("Каменщик"), "{content}");
}

#[actix_web::test]
async fn a_change_that_cannot_be_is_refused_by_name() {
    let app = TestApp::spawn().await;
    let case = app.in_force(MIGRANT).await;
    let form = app.see(&case.id).await["form"].clone();
    let mut born = form["person"].clone();
    born["birthDate"] = json!("1991-05-17");
    let ask = |form: Value| json!({ "command": "requestChange", "reason": "So.", "form": form });
    for (command, wrong) in [
        (
            app.new_passport(&case, "2026-12-01").await,
            "/form/passport/expiresOn passport-ends-before-permit",
        ),
        (ask(json!({ "person": born })), "/form/person/birthDate identity-not-changeable"),
        (ask(json!({ "occupation": form["occupation"] })), "/form nothing-to-change"),
        (
            ask(json!({
                "occupation": { "code": "7115", "title": "Плотник" },
                "contact": { "email": "a@example.org", "language": "en" },
            })),
            "/form/contact section-not-changeable",
        ),
    ] {
        let before = app.written().await;
        let reply = app.command(MIGRANT, &case.id, command).await;
        assert_eq!(misfits(&reply), [wrong]);
        assert_eq!(app.written().await[..3], before[..3]);
    }
}

// ── Giving up ────────────────────────────────────────────────────────────────────────────────────────────────

#[actix_web::test]
async fn a_permit_that_is_given_up_ends_without_a_bar() {
    let app = TestApp::spawn().await;
    let case = app.in_force(MIGRANT).await;
    app.command(MIGRANT, &case.id, surrender()).await.expect(200);
    // Until it is confirmed, its holder can change his mind.
    app.command(MIGRANT, &case.id, give("withdrawRequest")).await.expect(200);
    app.command(MIGRANT, &case.id, surrender()).await.expect(200);
    assert_eq!(app.listed(&case).await, Status::Valid);
    app.command(MIGRANT, &case.id, give("confirmSurrender")).await.expect(403);
    let ended = app.command(OFFICER, &case.id, give("confirmSurrender")).await.expect(200).json();
    assert_eq!(
        (&ended["state"], &ended["permit"]["status"]),
        (&json!("surrendered"), &json!("annulled"))
    );
    let found = app.looked_up(&case, "").await;
    assert_eq!((&found["valid"], &found["reason"]), (&json!(false), &json!("annulled")));
    assert_eq!(found["invalidSince"], json!(app.today()));
    assert_eq!(app.listed(&case).await, Status::Invalid);
    let details = format!("/v1/status/{}/details", case.reference);
    let details = app.post(&details).json(json!({ "birthDate": "1990-05-17" })).send().await;
    assert_eq!(details.expect(200).json()["grounds"][0]["code"], "G90");
    app.agreed(&case.id).await;

    // The same person applies again, and nothing bars him.
    let mut form = app.form();
    form["passport"]["number"] = app.see(&case.id).await["form"]["passport"]["number"].clone();
    let again = app.draft_with(MIGRANT, "patent", form).await;
    app.command(MIGRANT, &again.id, give("submit")).await.expect(200);
    app.pay(&again.id).await;
    app.command(OFFICER, &again.id, give("accept")).await.expect(200);
    let seen = app.see(&again.id).await;
    let bar = seen["checks"].as_array().unwrap().iter().find(|one| one["id"] == "permitBan");
    assert_eq!(bar.unwrap()["outcome"], "clear");
}

// ── Suspension ───────────────────────────────────────────────────────────────────────────────────────────────

#[actix_web::test]
async fn a_suspended_permit_says_so_everywhere_until_another_officer_resumes_it() {
    let app = TestApp::spawn().await;
    let case = app.in_force(MIGRANT).await;
    for person in [MIGRANT, OFFICER] {
        app.command(person, &case.id, suspend()).await.expect(403);
    }
    let seen = app.command(SENIOR, &case.id, suspend()).await.expect(200).json();
    assert_eq!(
        (&seen["state"], &seen["permit"]["status"]),
        (&json!("suspended"), &json!("suspended"))
    );
    assert_eq!(seen["suspension"]["grounds"][0]["code"], "G04");
    let found = app.looked_up(&case, "").await;
    assert_eq!((&found["valid"], &found["reason"]), (&json!(false), &json!("suspended")));
    assert_eq!(found["invalidSince"], json!(app.today()));
    assert_eq!(app.listed(&case).await, Status::Suspended);
    // Its holder reads why, and not who.
    let own = app.get(&case.path("")).by(MIGRANT).send().await.expect(200).json();
    assert_eq!(
        (&own["suspension"]["reason"], own["suspension"].get("by")),
        (&json!("A forged certificate?"), None)
    );

    let reply = app.command(SENIOR, &case.id, said("resumePermit")).await;
    assert_eq!(blocked_by(&reply), ["fourEyes"]);
    let seen = app.command(OTHER_SENIOR, &case.id, said("resumePermit")).await.expect(200).json();
    assert_eq!((&seen["state"], seen["permit"].get("suspendedOn")), (&json!("inForce"), None));
    assert_eq!(seen.get("suspension"), None);
    assert_eq!(app.looked_up(&case, "").await["valid"], true);
    assert_eq!(app.listed(&case).await, Status::Valid);
    let mails = app.mails(&case.id).await;
    assert_eq!(mails[mails.len() - 2..], ["permitSuspended", "permitResumed"]);
    app.agreed(&case.id).await;
}

#[actix_web::test]
async fn with_a_proposal_that_is_turned_down_the_suspension_falls() {
    let app = TestApp::spawn().await;
    let case = app.in_force(MIGRANT).await;
    app.command(SENIOR, &case.id, suspend()).await.expect(200);
    let propose = json!({ "command": "proposeAnnulment", "grounds": ["G04"], "reason": "Forged." });
    app.command(OFFICER, &case.id, propose).await.expect(200);
    assert_eq!(app.listed(&case).await, Status::Suspended, "until somebody decides");
    let seen = app.command(SENIOR, &case.id, said("rejectAnnulment")).await.expect(200).json();
    assert_eq!((&seen["state"], &seen["permit"]["status"]), (&json!("inForce"), &json!("inForce")));
    app.agreed(&case.id).await;
}

// ── Re-issue ─────────────────────────────────────────────────────────────────────────────────────────────────

impl TestApp {
    /// A draft of the same person that names a case's permit.
    async fn reissue(&self, case: &Case) -> Case {
        let seen = self.see(&case.id).await;
        let mut form = seen["form"].clone();
        form["reissues"] = seen["permit"]["number"].clone();
        self.draft_with(case.applicant, "patent", form).await
    }

    /// From handed in to in force.
    async fn bring_into_force(&self, case: &Case) {
        self.pay(&case.id).await;
        self.command(OFFICER, &case.id, give("accept")).await.expect(200);
        self.clear(&case.id).await;
        self.command(OTHER_OFFICER, &case.id, give("grant")).await.expect(200);
        self.pay(&case.id).await;
        self.command(OFFICER, &case.id, give("handOver")).await.expect(200);
    }
}

#[actix_web::test]
async fn a_re_issued_permit_takes_the_place_of_the_one_before_as_often_as_one_likes() {
    let app = TestApp::spawn().await;
    let mut old = app.in_force(MIGRANT).await;
    for _ in 0..2 {
        // The thirty days after entry are long over; they do not count.
        app.advance(TimeDelta::days(29));
        let new = app.reissue(&old).await;
        app.command(MIGRANT, &new.id, give("submit")).await.expect(200);
        let duty = app.owed(&new.id).await;
        assert_eq!(
            (&duty["fee"], &duty["amount"]["kopecks"]),
            (&json!("stateDuty"), &json!(420_000))
        );
        assert_eq!(
            app.looked_up(&old, "").await["valid"],
            true,
            "until the new one is handed over"
        );
        app.bring_into_force(&new).await;
        app.drain().await;
        let seen = app.see(&old.id).await;
        assert_eq!(
            (&seen["state"], &seen["permit"]["status"]),
            (&json!("superseded"), &json!("superseded"))
        );
        let found = app.looked_up(&old, "").await;
        assert_eq!((&found["valid"], &found["reason"]), (&json!(false), &json!("superseded")));
        assert_eq!(app.listed(&old).await, Status::Invalid);
        assert_eq!(app.looked_up(&new, "").await["valid"], true);
        app.agreed(&old.id).await;
        app.agreed(&new.id).await;
        old = new;
    }
}

#[actix_web::test]
async fn what_cannot_be_re_issued_is_refused_by_name() {
    let app = TestApp::spawn().await;
    let blocked = async |case: &Case| {
        let reply = app.command(case.applicant, &case.id, give("submit")).await;
        assert_eq!(blocked_by(&reply), ["reissueInTime"]);
        reply.problem("rule-refused")["blockedBy"][0]["detail"].as_str().unwrap().to_owned()
    };
    let own = app.in_force(MIGRANT).await;
    let number = app.see(&own.id).await["permit"]["number"].clone();
    // Somebody else's, and one that nobody has.
    let mut form = app.form();
    form["reissues"] = number.clone();
    let stranger = app.draft_with(EMPLOYER, "patent", form.clone()).await;
    assert!(blocked(&stranger).await.contains("You hold no permit"));
    form["reissues"] = json!(PermitNumber::compose("77", 999_999).as_str());
    let nobody = app.draft_with(MIGRANT, "patent", form).await;
    assert!(blocked(&nobody).await.contains("You hold no permit"));
    // Two at once.
    let (one, other) = (app.reissue(&own).await, app.reissue(&own).await);
    app.command(MIGRANT, &one.id, give("submit")).await.expect(200);
    let reply = app.command(MIGRANT, &other.id, give("submit")).await;
    assert_eq!(blocked_by(&reply), ["noOtherOpenApplication"]);
    app.bring_into_force(&one).await;
    app.drain().await;
    assert!(blocked(&other).await.contains("not in force"));
    // A number that can be none.
    let mut form = app.form();
    form["reissues"] = json!("77-0000000017");
    let body = json!({ "track": "patent", "unit": "77", "form": form });
    let reply = app.post("/v1/applications").by(MIGRANT).key("typo").json(body).send().await;
    assert_eq!(misfits(&reply.expect(422)), ["/form/reissues invalid-permit-number"]);
}

// ── Complaints ───────────────────────────────────────────────────────────────────────────────────────────────

fn complain() -> Value {
    json!({ "command": "complain", "about": "refusalOfService", "text": "It was in the register." })
}

#[actix_web::test]
async fn a_refusal_that_is_complained_of_with_reason_is_decided_anew() {
    let app = TestApp::spawn().await;
    let case = app.checking(MIGRANT).await;
    let refuse = json!({ "command": "refuse", "grounds": ["G04"], "reason": "Forged." });
    app.command(SENIOR, &case.id, refuse).await.expect(200);
    app.command(OFFICER, &case.id, complain()).await.expect(403);
    let held = app.command(MIGRANT, &case.id, complain()).await.expect(200).json();
    assert_eq!(held["state"], "refusalAppealed");
    assert_eq!(held["complaints"][0]["about"], "refusalOfService");
    assert_eq!(app.work(&case.id).await.as_deref(), Some("decision"));

    // Who decided does not judge his own decision, and an officer judges none.
    for command in ["upholdComplaint", "rejectComplaint"] {
        let reply = app.command(SENIOR, &case.id, said(command)).await;
        assert_eq!(blocked_by(&reply), ["fourEyes"]);
        app.command(OTHER_OFFICER, &case.id, said(command)).await.expect(403);
    }
    app.advance(TimeDelta::days(2));
    let seen = app.command(OTHER_SENIOR, &case.id, said("upholdComplaint")).await.expect(200);
    let seen = seen.json();
    assert_eq!((&seen["state"], seen.get("decision")), (&json!("checking"), None));
    // Two days it was closed: the date has moved by them.
    assert_eq!(seen["dueOn"], "2026-03-19");
    assert_eq!(
        (&seen["complaints"][0]["upheld"], &seen["complaints"][0]["by"]),
        (&json!(true), &json!(OTHER_SENIOR.id()))
    );
    let own = app.get(&case.path("")).by(MIGRANT).send().await.expect(200).json();
    assert_eq!(own["complaints"][0].get("by"), None);
    app.clear(&case.id).await;
    app.command(OTHER_OFFICER, &case.id, give("grant")).await.expect(200);
    assert!(app.mails(&case.id).await.contains(&"complaintUpheld".to_owned()));
    app.agreed(&case.id).await;
}

#[actix_web::test]
async fn a_decision_is_complained_of_once_and_the_next_one_again() {
    let app = TestApp::spawn().await;
    let case = app.submitted(MIGRANT).await;
    let refuse = json!({ "command": "refuseIntake", "grounds": ["I01"], "reason": "No photo." });
    app.command(OFFICER, &case.id, refuse.clone()).await.expect(200);
    app.command(MIGRANT, &case.id, complain()).await.expect(200);
    assert_eq!(app.state(&case.id).await, "intakeAppealed");
    app.command(SENIOR, &case.id, said("rejectComplaint")).await.expect(200);
    assert_eq!(app.state(&case.id).await, "intakeRefused");
    let reply = app.command(MIGRANT, &case.id, complain()).await;
    assert_eq!(blocked_by(&reply), ["notComplained"]);

    let reopen = json!({ "command": "reopen", "reason": "It is there.", "basis": "Letter 1" });
    app.command(SENIOR, &case.id, reopen).await.expect(200);
    app.advance(TimeDelta::minutes(5));
    app.command(OFFICER, &case.id, refuse).await.expect(200);
    app.command(MIGRANT, &case.id, complain()).await.expect(200);
    let seen = app.command(SENIOR, &case.id, said("upholdComplaint")).await.expect(200).json();
    assert_eq!(
        (&seen["state"], seen["complaints"].as_array().unwrap().len()),
        (&json!("submitted"), 2)
    );
    app.command(OFFICER, &case.id, give("accept")).await.expect(200);
    app.agreed(&case.id).await;
}

#[actix_web::test]
async fn an_annulment_that_is_complained_of_with_reason_bars_nobody() {
    let app = TestApp::spawn().await;
    let (soon, late) = (app.in_force(EMPLOYER).await, app.in_force(EMPLOYER).await);
    // Three months are paid, and in two the copy of the contract is handed in, or not.
    for case in [&soon, &soon, &late, &late] {
        app.pay(&case.id).await;
    }
    app.advance(TimeDelta::days(65));
    app.drain().await;
    let annul = async |case: &Case| {
        let propose =
            json!({ "command": "proposeAnnulment", "grounds": ["G15"], "reason": "No copy." });
        app.command(OFFICER, &case.id, propose).await.expect(200);
        app.command(SENIOR, &case.id, give("confirmAnnulment")).await.expect(200);
        app.command(EMPLOYER, &case.id, complain()).await.expect(200);
        assert_eq!(app.looked_up(case, "").await["reason"], "annulled", "until it is answered");
    };
    annul(&soon).await;
    annul(&late).await;
    let seen = app.command(OTHER_SENIOR, &soon.id, said("upholdComplaint")).await.expect(200);
    assert_eq!(seen.json()["state"], "inForce");
    assert_eq!(app.looked_up(&soon, "").await["valid"], true);
    assert_eq!(app.listed(&soon).await, Status::Valid);
    app.agreed(&soon.id).await;

    // The paid month is over meanwhile: it is said that the annulment does not count, and nothing is restored.
    app.advance(TimeDelta::days(40));
    let seen = app.command(OTHER_SENIOR, &late.id, said("upholdComplaint")).await.expect(200);
    let seen = seen.json();
    assert_eq!((&seen["state"], &seen["permit"]["status"]), (&json!("expired"), &json!("lapsed")));
    assert_eq!(app.looked_up(&late, "").await["reason"], "lapsed");
    app.agreed(&late.id).await;
    let mut form = app.form();
    form["passport"]["number"] = app.see(&late.id).await["form"]["passport"]["number"].clone();
    let again = app.draft_with(EMPLOYER, "patent", form).await;
    app.command(EMPLOYER, &again.id, give("submit")).await.expect(200);
    app.pay(&again.id).await;
    app.command(OFFICER, &again.id, give("accept")).await.expect(200);
    let seen = app.see(&again.id).await;
    let bar = seen["checks"].as_array().unwrap().iter().find(|one| one["id"] == "permitBan");
    assert_eq!(bar.unwrap()["outcome"], "clear");
}

#[actix_web::test]
async fn a_court_can_order_while_a_complaint_waits() {
    let app = TestApp::spawn().await;
    let case = app.checking(MIGRANT).await;
    let refuse = json!({ "command": "refuse", "grounds": ["G04"], "reason": "Forged." });
    app.command(OTHER_OFFICER, &case.id, refuse).await.expect(200);
    app.command(MIGRANT, &case.id, complain()).await.expect(200);
    let order = json!({
        "command": "courtOrder", "reason": "The decision is void.",
        "basis": { "court": "Tverskoy", "number": "02a-1/2026", "judgedOn": "2026-03-01" },
    });
    let seen = app.command(SENIOR, &case.id, order).await.expect(200).json();
    assert_eq!(seen["state"], "checking");
    app.agreed(&case.id).await;
}

// ── What runs on ─────────────────────────────────────────────────────────────────────────────────────────────

#[actix_web::test]
async fn a_permit_lapses_by_itself_whatever_was_asked_of_it() {
    let app = TestApp::spawn().await;
    let mut cases = Vec::new();
    for (person, command) in [(EMPLOYER, duplicate()), (EMPLOYER, surrender()), (SENIOR, suspend())]
    {
        let case = app.in_force(EMPLOYER).await;
        app.command(person, &case.id, command).await.expect(200);
        cases.push(case);
    }
    let change = app.in_force(EMPLOYER).await;
    let ask = app.new_passport(&change, "2036-01-01").await;
    app.command(EMPLOYER, &change.id, ask).await.expect(200);
    cases.push(change);
    app.advance(TimeDelta::days(40));
    // The days decide, also before the timer has come.
    for case in &cases {
        assert_eq!(app.looked_up(case, "").await["reason"], "lapsed");
        assert_eq!(app.listed(case).await, Status::Invalid);
    }
    app.drain().await;
    for case in &cases {
        let seen = app.see(&case.id).await;
        assert_eq!(
            (&seen["state"], &seen["permit"]["status"]),
            (&json!("lapsed"), &json!("lapsed"))
        );
        assert_eq!((seen.get("request"), seen.get("suspension")), (None, None));
        let open = seen["charges"].as_array().unwrap().iter().filter(|one| one["status"] == "open");
        assert_eq!(open.count(), 0, "nothing is owed for what can never be done");
        app.agreed(&case.id).await;
    }
}

#[actix_web::test]
async fn after_three_working_days_the_senior_officer_is_told() {
    let app = TestApp::spawn().await;
    let (late, soon) = (app.in_force(EMPLOYER).await, app.in_force(EMPLOYER).await);
    app.command(EMPLOYER, &late.id, duplicate()).await.expect(200);
    app.command(EMPLOYER, &soon.id, surrender()).await.expect(200);
    // Monday, 2 March 2026: the third working day is the 5th.
    app.advance(TimeDelta::days(3));
    app.drain().await;
    assert_eq!(app.see(&late.id).await.get("escalatedAt"), None);
    app.command(OFFICER, &soon.id, give("confirmSurrender")).await.expect(200);
    app.advance(TimeDelta::days(1));
    app.drain().await;
    assert!(app.see(&late.id).await["escalatedAt"].is_string());
    assert_eq!(app.state(&late.id).await, "duplicateRequested");
}
