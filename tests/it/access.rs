//! Who may call what: every operation of the OpenAPI document with every role and without a token.
//!
//! The table says once more, by hand, what the handlers' signatures say. It must name every operation of the
//! document and no other; there is no list of exceptions. Every pair sends a request that would succeed for the
//! right caller, to an application of the caller's own or of his unit.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU32;
use std::time::Duration;

use actix_web::http::Method;
use chrono::TimeDelta;
use propusk::api::openapi;
use propusk::registers::Register;
use propusk::webhook::Key;
use serde_json::{Value, json};

use crate::support::app::{
    ADMINISTRATOR, AUDITOR, Call, EMPLOYER, MIGRANT, OFFICER, OTHER_MIGRANT, PASSWORD,
    PETERSBURG_OFFICER, Person, REGION_OFFICER, SENIOR, TestApp, WEBHOOK_KEY,
};
use crate::support::drive::{BIRTH_DATE, Case, PDF, fresh, signature};

/// One person of each role, who can see what a test opens at unit 77 or opens it himself.
const ROLES: [Person; 6] = [MIGRANT, EMPLOYER, OFFICER, SENIOR, AUDITOR, ADMINISTRATOR];

/// Anybody, with or without a token.
const ANYONE: Option<&[Person]> = None;
const ACCOUNTS: Option<&[Person]> = Some(&ROLES);
const APPLICANTS: Option<&[Person]> = Some(&[MIGRANT, EMPLOYER]);
const OFFICE: Option<&[Person]> = Some(&[OFFICER, SENIOR]);
const SENIORS: Option<&[Person]> = Some(&[SENIOR]);
const COUNTER: Option<&[Person]> = Some(&[MIGRANT, EMPLOYER, OFFICER, SENIOR]);
const READERS: Option<&[Person]> = Some(&[MIGRANT, EMPLOYER, OFFICER, SENIOR, AUDITOR]);
const AUDITORS: Option<&[Person]> = Some(&[AUDITOR]);
const ADMINISTRATORS: Option<&[Person]> = Some(&[ADMINISTRATOR]);

const TABLE: &[(&str, Option<&[Person]>)] = &[
    ("show_liveness", ANYONE),
    ("show_readiness", ANYONE),
    ("show_start", ANYONE),
    ("show_metrics", ANYONE),
    ("show_jwks", ANYONE),
    ("show_openapi", ANYONE),
    ("open_session", ANYONE),
    ("refresh_session", ANYONE),
    ("end_session", ACCOUNTS),
    ("list_workflows", ANYONE),
    ("show_workflow", ANYONE),
    ("show_diagram", ANYONE),
    ("list_units", ANYONE),
    ("show_status", ANYONE),
    ("show_status_details", ANYONE),
    ("show_permit", ANYONE),
    ("show_status_list", ANYONE),
    ("show_permit_qr", COUNTER),
    ("show_shared_permit", ANYONE),
    ("make_share", ANYONE),
    ("list_shares_of_reference", ANYONE),
    ("revoke_share_of_reference", ANYONE),
    ("list_shares", APPLICANTS),
    ("revoke_share", APPLICANTS),
    ("receive_payment", ANYONE),
    ("receive_register_answer", ANYONE),
    ("show_checkpoint", ANYONE),
    ("show_tile", ANYONE),
    ("show_consistency", ANYONE),
    ("open_application", APPLICANTS),
    ("list_applications", APPLICANTS),
    ("replace_form", APPLICANTS),
    ("attach_document", APPLICANTS),
    ("show_application", READERS),
    ("show_document", READERS),
    ("list_history", READERS),
    ("list_own_accesses", APPLICANTS),
    ("show_clock", READERS),
    ("list_papers", READERS),
    ("show_paper", READERS),
    ("show_receipt", READERS),
    ("show_payment_order", READERS),
    ("give_command", COUNTER),
    ("list_queues", OFFICE),
    ("list_registers", OFFICE),
    ("show_queue", OFFICE),
    ("replace_queue", SENIORS),
    ("remove_queue", SENIORS),
    ("search_applications", OFFICE),
    ("show_workload", OFFICE),
    ("list_queue", OFFICE),
    ("claim_next", OFFICE),
    ("claim_application", OFFICE),
    ("add_note", OFFICE),
    ("expedite_application", SENIORS),
    ("end_expedition", SENIORS),
    ("reassign_application", SENIORS),
    ("send_reminder", OFFICE),
    ("change_many", SENIORS),
    ("list_templates", OFFICE),
    ("preview_text", OFFICE),
    ("release_application", OFFICE),
    ("list_waiting_payments", SENIORS),
    ("show_payment", OFFICE),
    ("match_payment", OFFICE),
    ("release_payment", OFFICE),
    ("refund_payment", OFFICE),
    ("revise_charge", OFFICE),
    ("list_events", AUDITORS),
    ("list_accesses", AUDITORS),
    ("export_events", AUDITORS),
    ("list_calendars", ADMINISTRATORS),
    ("show_calendar", ADMINISTRATORS),
    ("load_calendar", ADMINISTRATORS),
    ("show_proof", AUDITORS),
];

/// An operation of the document.
#[derive(Debug, Clone)]
struct Operation {
    id: String,
    method: Method,
    template: String,
    protected: bool,
    takes_purpose: bool,
    takes_body: bool,
}

fn operations() -> Vec<Operation> {
    let mut all = Vec::new();
    for (template, item) in openapi::document()["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            all.push(Operation {
                id: operation["operationId"].as_str().unwrap().to_owned(),
                method: method.to_uppercase().parse().unwrap(),
                template: template.clone(),
                protected: operation["security"] != json!([]),
                takes_purpose: operation["parameters"]
                    .as_array()
                    .is_some_and(|all| all.iter().any(|one| one["name"] == "Access-Purpose")),
                takes_body: operation.get("requestBody").is_some(),
            });
        }
    }
    all
}

fn allowed(operation: &str) -> Option<&'static [Person]> {
    let row = TABLE.iter().find(|(id, _)| *id == operation);
    row.unwrap_or_else(|| panic!("the table lacks {operation}")).1
}

/// The service with budgets that this many requests do not exhaust, and a permit in force.
struct World {
    app: TestApp,
    /// Of [`MIGRANT`].
    permit: Case,
    /// Of [`EMPLOYER`].
    employers_permit: Case,
    number: String,
    /// The event that opened each of the two, by application.
    openings: BTreeMap<String, String>,
    /// The share code of the first, and of each the id of another that can be revoked, by application.
    code: String,
    shares: BTreeMap<String, String>,
}

impl World {
    async fn new() -> Self {
        let app = TestApp::spawn_with(|config| {
            config.public_lookups_per_minute = NonZeroU32::MAX;
            config.login_attempts_per_minute = NonZeroU32::new(10_000).unwrap();
            // Nobody asks it: it tells of what a row below says it was asked.
            let key = Key::new(WEBHOOK_KEY.to_vec());
            let (name, limit) = ("borderCrossings", Duration::from_secs(1));
            config.registers = vec![Register::new(name, "http://127.0.0.1:9/", vec![key], limit)];
        })
        .await;
        let permit = app.in_force(MIGRANT).await;
        let employers_permit = app.in_force(EMPLOYER).await;
        let number = app.see(&permit.id).await["permit"]["number"].as_str().unwrap().to_owned();
        let asked = "INSERT INTO register_requests (id, application_id, check_id, round, register, status, created_at) \
                     SELECT id, id, 'entry', 9, 'borderCrossings', 'accepted', now() FROM applications";
        app.sql().await.execute(asked, &[]).await.unwrap();
        app.publish().await;
        let opened = "SELECT application_id::text, id::text FROM events WHERE seq = 1";
        let rows = app.sql().await.query(opened, &[]).await.unwrap();
        let openings = rows.iter().map(|row| (row.get(0), row.get(1))).collect();
        let printed =
            "INSERT INTO papers SELECT id, 1, 'permit', id, $1, 1, now() FROM applications";
        let digest = app.app.blobs.put(PDF).await.unwrap();
        app.sql().await.execute(printed, &[&digest]).await.unwrap();
        let share = async |case: &Case| {
            let body = json!({ "birthDate": BIRTH_DATE, "validFor": "days90", "label": "x" });
            let call = app.post(&format!("/v1/status/{}/shares", case.reference)).json(body);
            call.send().await.expect(201).json()
        };
        let code = share(&permit).await["code"].as_str().unwrap().to_owned();
        let mut shares = BTreeMap::new();
        for case in [&permit, &employers_permit] {
            let made = share(case).await;
            shares.insert(case.id.clone(), made["id"].as_str().unwrap().to_owned());
        }
        Self { app, permit, employers_permit, number, openings, code, shares }
    }

    /// An application on which the operation succeeds for a caller whom the table allows.
    async fn case(&self, operation: &Operation, caller: Option<Person>) -> Case {
        let applicant = if caller == Some(EMPLOYER) { EMPLOYER } else { MIGRANT };
        if operation.template.starts_with("/v1/status/{reference}/") {
            // Its budget is free again.
            self.app.advance(TimeDelta::hours(1));
        }
        match operation.id.as_str() {
            "replace_form" | "attach_document" => {
                self.app.open(applicant, "patent", self.app.form()).await
            }
            "give_command" if caller.is_some_and(|one| one.role.is_applicant()) => {
                self.app.open(applicant, "patent", self.app.form()).await
            }
            "send_reminder" => self.app.granted(MIGRANT).await,
            "show_payment" | "refund_payment" => self.payment("waits", None).await,
            "match_payment" => {
                let case = self.app.handed_in(MIGRANT).await;
                let uin = self.app.owed(&case.id).await["uin"].as_str().unwrap().to_owned();
                Case { reference: uin, ..self.payment("matches nothing", None).await }
            }
            "release_payment" => {
                let case = self.app.handed_in(MIGRANT).await;
                let owed = self.app.owed(&case.id).await;
                let payment = self.payment("is a part", owed["uin"].as_str()).await;
                let withdraw = json!({ "command": "withdraw" });
                self.app.command(MIGRANT, &case.id, withdraw).await.expect(200);
                payment
            }
            "show_payment_order" | "revise_charge" => {
                let case = self.app.handed_in(applicant).await;
                let owed = self.app.owed(&case.id).await;
                Case { reference: owed["id"].as_str().unwrap().to_owned(), ..case }
            }
            "end_expedition" => {
                let case = self.app.submitted(MIGRANT).await;
                let call = self.app.put(&case.path("/expedition")).by(SENIOR);
                let call = call.if_match(self.app.version(&case.id).await);
                call.json(json!({ "reason": "x" })).send().await.expect(200);
                case
            }
            "give_command"
            | "claim_next"
            | "claim_application"
            | "expedite_application"
            | "reassign_application" => self.app.submitted(MIGRANT).await,
            "release_application" => {
                let case = self.app.submitted(MIGRANT).await;
                let holder = caller.filter(|one| one.role.is_office()).unwrap_or(OFFICER);
                let call = self.app.put(&case.path("/claim")).by(holder);
                call.if_match(self.app.version(&case.id).await).send().await.expect(200);
                case
            }
            _ if applicant == EMPLOYER => self.employers_permit.clone(),
            _ => self.permit.clone(),
        }
    }

    /// A payment of one kopeck, which stands in the place of an application.
    async fn payment(&self, name: &str, uin: Option<&str>) -> Case {
        let id = format!("{name} {}", fresh());
        let payment = json!({ "id": id, "uin": uin, "amountKopecks": 1, "paidAt": self.app.now() });
        self.app.callback(payment).await.expect(200);
        let sql = "SELECT id::text FROM payments WHERE provider_id = 'provider:' || $1";
        let row = self.app.sql().await.query_one(sql, &[&id]).await.unwrap();
        Case { id: row.get(0), ..self.permit.clone() }
    }

    /// A code of the case that can be revoked.
    fn share(&self, case: &Case) -> &str {
        self.shares.get(&case.id).unwrap_or(&self.shares[&self.permit.id])
    }

    /// Where {payment} and {charge} stand, the case is the payment, and its reference the charge's id or UIN.
    fn path(&self, operation: &Operation, case: &Case) -> String {
        let event = self.openings.get(&case.id).unwrap_or(&self.openings[&self.permit.id]);
        let id = if operation.id == "show_proof" { event } else { &case.id };
        let path = operation
            .template
            .replace("{id}", id)
            .replace("{event}", event)
            .replace("{tile}", "entries/000.p/1")
            .replace("{kind}", "passport")
            .replace("{reference}", &case.reference)
            .replace("{number}", &self.number)
            .replace("{track}", "patent")
            .replace("{country}", "RUS")
            .replace("{year}", "2026")
            .replace("{payment}", &case.id)
            .replace("{charge}", &case.reference)
            .replace("{register}", "borderCrossings")
            .replace("{paper}", "permit-1")
            .replace("{share}", self.share(case))
            .replace(
                "{queue}",
                match operation.id.as_str() {
                    "replace_queue" => "mine",
                    "remove_queue" => "payment",
                    _ => "intake",
                },
            );
        assert!(!path.contains('{'), "say what stands for the parameters of {path}");
        match operation.id.as_str() {
            "list_accesses" => format!("{path}?application={}", case.id),
            "export_events" => format!("{path}?format=ndjson"),
            "show_consistency" => format!("{path}?from=1"),
            "end_expedition" => format!("{path}?reason=x"),
            "search_applications" => format!("{path}?q={}", case.reference),
            _ => path,
        }
    }

    /// The request without a token, complete in everything else.
    async fn call(&self, operation: &Operation, caller: Option<Person>, case: &Case) -> Call<'_> {
        let call = self.app.request(operation.method.clone(), &self.path(operation, case));
        let key = fresh().to_string();
        let version = match operation.template.contains("{id}") && operation.method != "GET" {
            true => self.app.version(&case.id).await,
            false => 0,
        };
        match operation.id.as_str() {
            "open_session" => call.json(credentials(caller)),
            "refresh_session" => {
                let session = self.app.post("/v1/session").json(credentials(caller)).send().await;
                let token = session.expect(200).json()["refreshToken"].clone();
                call.json(json!({ "refreshToken": token }))
            }
            "show_status_details" | "list_shares_of_reference" => {
                call.json(json!({ "birthDate": BIRTH_DATE }))
            }
            "make_share" => {
                call.json(json!({ "birthDate": BIRTH_DATE, "validFor": "once", "label": "x" }))
            }
            "revoke_share_of_reference" => {
                call.json(json!({ "birthDate": BIRTH_DATE, "share": self.share(case) }))
            }
            "show_shared_permit" => call.json(json!({ "code": self.code, "birthDate": BIRTH_DATE,
                "viewer": "x", "purpose": "x" })),
            "receive_payment" => {
                let body = json!({ "type": "payment.received", "data": {
                    "id": key, "amountKopecks": 1, "paidAt": self.app.now() } });
                let (body, at) = (body.to_string(), self.app.now().timestamp());
                call.header("webhook-id", &key)
                    .header("webhook-timestamp", &at.to_string())
                    .header("webhook-signature", &signature(WEBHOOK_KEY, &key, at, &body))
                    .text(&body)
            }
            "receive_register_answer" => {
                let id = self.permit.id.as_str();
                let body = json!({ "requestId": id, "outcome": "clear" }).to_string();
                let at = self.app.now().timestamp();
                call.header("webhook-id", id)
                    .header("webhook-timestamp", &at.to_string())
                    .header("webhook-signature", &signature(WEBHOOK_KEY, id, at, &body))
                    .text(&body)
            }
            "open_application" => call.key(&key).json(json!({ "track": "patent", "unit": "77" })),
            "load_calendar" => {
                let known = self.app.app.casework.calendar("RUS", 2026).await.unwrap();
                call.if_match(known.number).body("application/toml", known.text)
            }
            "replace_form" => call.if_match(version).json(self.app.form()),
            "attach_document" => call.if_match(version).body("application/pdf", PDF),
            "give_command" => {
                let office = caller.is_some_and(|one| one.role.is_office());
                let command = if office { "accept" } else { "withdraw" };
                call.if_match(version).key(&key).json(json!({ "command": command }))
            }
            "claim_next" => call.key(&key),
            "claim_application" | "release_application" | "end_expedition" => {
                call.if_match(version)
            }
            "add_note" => call.if_match(version).key(&key).json(json!({ "text": "seen" })),
            "match_payment" => call.if_match(1).key(&key).json(json!({ "uin": case.reference })),
            "release_payment" => call.if_match(1).key(&key).json(json!({ "reason": "x" })),
            "refund_payment" => {
                call.if_match(1).key(&key).json(json!({ "step": "propose", "reason": "x" }))
            }
            "revise_charge" => {
                let body = json!({ "step": "propose", "change": "annul", "reason": "x" });
                call.if_match(version).key(&key).json(body)
            }
            "preview_text" => call.json(json!({ "template": "annulment" })),
            "send_reminder" => call.if_match(version).key(&key).json(json!({ "reason": "x" })),
            "expedite_application" => call.if_match(version).json(json!({ "reason": "x" })),
            "reassign_application" => {
                let body = json!({ "to": OFFICER.id(), "reason": "x" });
                call.if_match(version).json(body)
            }
            "change_many" => {
                let body = json!({ "action": "release", "applications": [case.id], "reason": "x" });
                call.key(&key).json(body)
            }
            "replace_queue" => call.header("if-none-match", "*").json(json!({
                "title": { "en": "Mine", "ru": "Мои" }, "position": 5 })),
            "remove_queue" => call.if_match(0),
            _ => {
                assert!(!operation.takes_body, "say what {} takes", operation.id);
                call
            }
        }
    }

    /// The same request with nothing right in it but the address.
    fn garbage(&self, operation: &Operation, case: &Case) -> Call<'_> {
        self.app
            .request(operation.method.clone(), &self.path(operation, case))
            .header("if-match", "nonsense")
            .header("idempotency-key", "")
            .text("{\"\u{0}")
    }
}

fn credentials(caller: Option<Person>) -> Value {
    json!({ "email": caller.unwrap_or(MIGRANT).email(), "password": PASSWORD })
}

#[test]
fn the_table_names_exactly_the_operations_of_the_document() {
    let documented: BTreeSet<String> = operations().into_iter().map(|one| one.id).collect();
    let listed: BTreeSet<String> = TABLE.iter().map(|(id, _)| (*id).to_owned()).collect();
    assert_eq!(listed, documented);
    assert_eq!(listed.len(), TABLE.len(), "an operation stands twice");
    for operation in operations() {
        assert_eq!(operation.protected, allowed(&operation.id).is_some(), "{}", operation.id);
    }
}

#[actix_web::test]
async fn without_a_token_only_public_operations_answer() {
    let world = World::new().await;
    for operation in operations() {
        let case = world.case(&operation, None).await;
        let reply = world.call(&operation, None, &case).await.send().await;
        if allowed(&operation.id).is_none() {
            assert!((200..300).contains(&reply.status), "{}: {}", operation.id, reply.text());
            continue;
        }
        let before = world.app.written().await;
        for reply in [reply, world.garbage(&operation, &case).send().await] {
            assert_eq!(reply.status, 401, "{}: {}", operation.id, reply.text());
            reply.problem("unauthenticated");
            assert_eq!(reply.header("www-authenticate"), Some("Bearer"), "{}", operation.id);
        }
        let forged = world.call(&operation, None, &case).await.bearer("no.such.token");
        assert_eq!(forged.send().await.status, 401, "{}", operation.id);
        assert_eq!(world.app.written().await, before, "{} wrote", operation.id);
    }
}

#[actix_web::test]
async fn every_role_reaches_exactly_what_is_its_own() {
    let world = World::new().await;
    for operation in operations() {
        for caller in ROLES {
            let pair = format!("{} by {}", operation.id, caller.name);
            let case = world.case(&operation, Some(caller)).await;
            let before = world.app.written().await;
            let call = world.call(&operation, Some(caller), &case).await;
            let reply = call.by(caller).send().await;
            if allowed(&operation.id).is_none_or(|callers| callers.contains(&caller)) {
                assert!((200..300).contains(&reply.status), "{pair}: {}", reply.text());
                let reply = world.garbage(&operation, &case).by(caller).send().await;
                let refused = [401, 403].contains(&reply.status) && operation.protected;
                assert!(!refused, "{pair}: {}", reply.text());
                continue;
            }
            for reply in [reply, world.garbage(&operation, &case).by(caller).send().await] {
                assert_eq!(reply.status, 403, "{pair}: {}", reply.text());
                reply.problem("forbidden");
            }
            assert_eq!(world.app.written().await, before, "{pair} wrote");
        }
    }
}

#[actix_web::test]
async fn what_is_not_yours_is_not_there() {
    let world = World::new().await;
    let strangers = [OTHER_MIGRANT, EMPLOYER, PETERSBURG_OFFICER, REGION_OFFICER];
    let nothing = Case { id: MIGRANT.id().to_string(), ..world.permit.clone() };
    let mut tried = 0;
    for operation in operations() {
        if !operation.template.contains("{id}") {
            continue;
        }
        for stranger in strangers {
            let same_role = |one: &Person| one.role == stranger.role;
            if !allowed(&operation.id).is_some_and(|callers| callers.iter().any(same_role)) {
                continue;
            }
            // The application is one on which its own people would succeed.
            let own = if stranger.role.is_office() { OFFICER } else { MIGRANT };
            let case = world.case(&operation, Some(own)).await;
            let before = world.app.written().await;
            let call = world.call(&operation, Some(own), &case).await.by(stranger);
            let reply = call.send().await;
            let pair = format!("{} by {}", operation.id, stranger.name);
            assert_eq!(reply.status, 404, "{pair}: {}", reply.text());
            let hidden = reply.problem("not-found");
            // Byte for byte what an application that does not exist answers.
            let call =
                world.app.request(operation.method.clone(), &world.path(&operation, &nothing));
            let call = match operation.id.as_str() {
                "attach_document" => call.if_match(1).body("application/pdf", PDF),
                "replace_form" => call.if_match(1).json(json!({})),
                "give_command" => {
                    call.if_match(1).key(&fresh().to_string()).json(json!({"command": "withdraw"}))
                }
                "add_note" => {
                    call.if_match(1).key(&fresh().to_string()).json(json!({ "text": "seen" }))
                }
                "send_reminder" => {
                    call.if_match(1).key(&fresh().to_string()).json(json!({ "reason": "x" }))
                }
                "expedite_application" => call.if_match(1).json(json!({ "reason": "x" })),
                "revise_charge" => {
                    let body = json!({ "step": "propose", "change": "annul", "reason": "x" });
                    call.if_match(1).key(&fresh().to_string()).json(body)
                }
                "preview_text" => call.json(json!({ "template": "annulment" })),
                "reassign_application" => {
                    call.if_match(1).json(json!({ "to": OFFICER.id(), "reason": "x" }))
                }
                _ => call.if_match(1),
            };
            let mut unknown = call.by(stranger).send().await.expect(404).problem("not-found");
            unknown["instance"] = hidden["instance"].clone();
            assert_eq!(hidden, unknown, "{pair}");
            assert_eq!(world.app.written().await, before, "{pair} wrote");
            tried += 1;
        }
    }
    assert!(tried > 20, "{tried}");
}

#[actix_web::test]
async fn lists_show_nothing_of_others() {
    let app = TestApp::spawn().await;
    app.submitted(MIGRANT).await;
    for stranger in [OTHER_MIGRANT, EMPLOYER] {
        let reply = app.get("/v1/applications").by(stranger).send().await.expect(200);
        assert_eq!(reply.json(), json!({ "items": [] }));
    }
    let queue = "/v1/queues/intake/applications";
    for stranger in [PETERSBURG_OFFICER, REGION_OFFICER] {
        let reply = app.get(queue).by(stranger).send().await.expect(200);
        assert_eq!(reply.json(), json!({ "items": [] }));
        let counts = app.get("/v1/queues").by(stranger).send().await.expect(200).json();
        assert!(counts["items"].as_array().unwrap().iter().all(|one| one["waiting"] == 0));
        let claim = app.post("/v1/queues/intake/claims").by(stranger).key("k");
        assert!(claim.send().await.expect(204).body.is_empty());
    }
    let reply = app.get(queue).by(OFFICER).send().await.expect(200);
    assert_eq!(reply.json()["items"].as_array().unwrap().len(), 1);
}

#[actix_web::test]
async fn an_auditor_reads_everything_and_changes_nothing() {
    let world = World::new().await;
    let app = &world.app;
    let draft = app.draft(MIGRANT, "patent").await;
    let elsewhere = app.open_at("78", EMPLOYER, "patent", app.form()).await;
    let (before, reads) = (app.written().await, app.reads().await);
    for case in [&world.permit, &world.employers_permit, &draft, &elsewhere] {
        let seen = app.get(&case.path("")).by(AUDITOR).send().await.expect(200).json();
        assert_eq!(seen["commands"], json!([]), "an auditor is offered no command");
        app.get(&case.path("/history")).by(AUDITOR).send().await.expect(200);
    }
    app.get(&world.permit.path("/clock")).by(AUDITOR).send().await.expect(200);
    let bytes = app.get(&draft.path("/documents/passport")).by(AUDITOR).send().await.expect(200);
    assert_eq!(bytes.body, PDF);
    let events = app.get("/v1/audit/events?limit=100").by(AUDITOR).send().await.expect(200).json();
    for case in [&world.permit, &draft, &elsewhere] {
        let path = format!("/v1/audit/events?application={}", case.id);
        let own = app.get(&path).by(AUDITOR).send().await.expect(200).json();
        let own = own["items"].as_array().unwrap();
        assert!(!own.is_empty() && own.iter().all(|event| event["application"] == case.id));
    }
    assert!(events["items"].as_array().unwrap().len() > 40);
    for operation in operations() {
        let others = allowed(&operation.id).is_some_and(|callers| !callers.contains(&AUDITOR));
        if operation.method == "GET" || !others {
            continue;
        }
        let call = world.call(&operation, Some(OFFICER), &draft).await;
        call.by(AUDITOR).send().await.expect(403).problem("forbidden");
    }
    // What he leaves behind are the events of his reading.
    let after = app.written().await;
    assert_eq!(after[1..], before[1..]);
    assert_eq!(after[0] - before[0], app.reads().await - reads);
}

#[actix_web::test]
async fn what_shows_staff_personal_data_is_recorded_once_and_says_so_in_the_document() {
    let world = World::new().await;
    world.app.callback(json!({ "amountKopecks": 1, "paidAt": world.app.now() })).await.expect(200);
    world.app.submitted(MIGRANT).await;
    let mut unrecorded = BTreeSet::new();
    for operation in operations() {
        for caller in [MIGRANT, OFFICER, SENIOR, AUDITOR] {
            let pair = format!("{} by {}", operation.id, caller.name);
            let allowed = allowed(&operation.id);
            if operation.method != "GET" || !allowed.is_some_and(|all| all.contains(&caller)) {
                continue;
            }
            let case = world.case(&operation, Some(caller)).await;
            let before = world.app.written().await[0];
            let call = world.call(&operation, Some(caller), &case).await.by(caller);
            call.send().await.expect(200);
            let written = world.app.written().await[0] - before;
            let recorded = operation.takes_purpose && !caller.role.is_applicant();
            assert_eq!(written, i64::from(recorded), "{pair}");
            if !operation.takes_purpose && !caller.role.is_applicant() {
                unrecorded.insert(operation.id.clone());
            }
        }
    }
    // Counts of how much waits are nobody's data, nor are words that nothing is filled into.
    let nobodys =
        ["list_queues", "list_registers", "list_templates", "show_queue", "show_workload"];
    assert_eq!(unrecorded, BTreeSet::from(nobodys.map(str::to_owned)));
}
