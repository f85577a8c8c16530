//! Drives applications through the HTTP API to where a test begins.
//!
//! Whatever is done here is done as its person would do it; nothing is put into the database behind the service.

#![allow(dead_code, reason = "the tests of every audience draw on this; not each uses all")]

use std::sync::atomic::{AtomicU32, Ordering};

use actix_web::http::Method;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::{Days, NaiveDate, TimeDelta};
use hmac::{Hmac, KeyInit as _, Mac as _};
use propusk::casework::Casework;
use propusk::domain::event::Event;
use propusk::storage::audit::history;
use serde_json::{Value, json};
use sha2::Sha256;

use super::app::{
    AUDITOR, EMPLOYER, MIGRANT, OFFICER, OTHER_OFFICER, Person, Reply, TestApp, WEBHOOK_KEY,
};

/// The smallest document that is taken.
pub const PDF: &[u8] = b"%PDF-1.7\n1 0 obj\n<< /Type /Catalog >>\nendobj\ntrailer <<>>\n%%EOF\n";

/// A photograph of nobody: light above, dark below.
pub fn portrait() -> Vec<u8> {
    let (width, height) = (90, 120);
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, width, height);
    encoder.set_color(png::ColorType::Grayscale);
    let pixels: Vec<u8> = (0..width * height).map(|at| 230 - (at / width) as u8).collect();
    encoder.write_header().unwrap().write_image_data(&pixels).unwrap();
    bytes
}

/// Day of birth of everybody who applies.
pub const BIRTH_DATE: &str = "1990-05-17";

/// An application that was opened.
#[derive(Debug, Clone)]
pub struct Case {
    /// Id.
    pub id: String,
    /// Public reference.
    pub reference: String,
    /// Who opened it.
    pub applicant: Person,
}

impl Case {
    /// The address of the application, or of something under it.
    pub fn path(&self, below: &str) -> String {
        format!("/v1/applications/{}{below}", self.id)
    }
}

/// Gives a key or number that nothing else in this process has.
pub fn fresh() -> u32 {
    static NEXT: AtomicU32 = AtomicU32::new(1_000_000);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// The guards that block a command, by name.
pub fn blocked_by(reply: &Reply) -> Vec<String> {
    let problem = reply.problem("rule-refused");
    let guards = problem["blockedBy"].as_array();
    let guards = guards.unwrap_or_else(|| panic!("no guard blocks: {problem}"));
    guards.iter().map(|one| one["guard"].as_str().unwrap().to_owned()).collect()
}

/// What does not fit an application, as `pointer code`.
pub fn misfits(reply: &Reply) -> Vec<String> {
    let problem = reply.problem("rule-refused");
    let errors = problem["errors"].as_array().unwrap().iter();
    errors
        .map(|one| {
            format!("{} {}", one["pointer"].as_str().unwrap(), one["code"].as_str().unwrap())
        })
        .collect()
}

/// Signs a message as the payment provider does; gives the value of `webhook-signature`.
pub fn signature(key: &[u8], id: &str, timestamp: i64, body: &str) -> String {
    let mac = Hmac::<Sha256>::new_from_slice(key)
        .unwrap()
        .chain_update(format!("{id}.{timestamp}.{body}"))
        .finalize();
    format!("v1,{}", STANDARD.encode(mac.into_bytes()))
}

impl TestApp {
    /// Today in Moscow.
    pub fn today(&self) -> NaiveDate {
        (self.now() + TimeDelta::hours(3)).date_naive()
    }

    /// A complete form of somebody with a passport of his own, who entered five days ago.
    pub fn form(&self) -> Value {
        let today = self.today();
        json!({
            "person": {
                "familyName": "Каримов", "givenName": "Рустам", "patronymic": "Алишерович",
                "birthDate": BIRTH_DATE, "sex": "male", "citizenship": "UZB",
            },
            "passport": {
                "number": format!("FA{}", fresh()),
                "issuedOn": "2021-01-02", "expiresOn": "2031-01-01",
            },
            "entry": { "enteredOn": today - Days::new(5), "migrationCard": "4526 1234567" },
            "occupation": { "code": "7112", "title": "Каменщик" },
            "employer": { "inn": "7707083893", "name": "ООО «Стройка»" },
            "contract": {
                "salaryKopecks": 90_000_000, "salaryPeriod": "quarter",
                "startsOn": today + Days::new(30),
            },
            "contact": { "email": "rustam@example.org", "language": "ru" },
            "prepaidMonths": 1,
        })
    }

    /// Opens an application at unit 77 with what is stated so far.
    pub async fn open(&self, applicant: Person, track: &str, form: Value) -> Case {
        self.open_at("77", applicant, track, form).await
    }

    /// As [`TestApp::open`], at another unit.
    pub async fn open_at(&self, unit: &str, who: Person, track: &str, form: Value) -> Case {
        let body = json!({ "track": track, "unit": unit, "form": form });
        let call = self.post("/v1/applications").by(who).key(&fresh().to_string()).json(body);
        let opened = call.send().await.expect(201).json();
        let text = |name: &str| opened[name].as_str().unwrap().to_owned();
        Case { id: text("id"), reference: text("reference"), applicant: who }
    }

    /// Hands in every document that the track requires.
    pub async fn attach_all(&self, case: &Case, track: &str) {
        let rules = self.app.casework.rules();
        let rules = rules.current(track, self.today()).unwrap();
        let shown = self.get(&format!("/v1/workflows/{track}")).send().await.expect(200).json();
        let kinds = shown["documents"].as_array().unwrap();
        assert_eq!(kinds.len(), rules.documents.len());
        for kind in kinds.iter().filter(|kind| kind["required"] == true) {
            self.attach(case, kind["kind"].as_str().unwrap()).await.expect(200);
        }
    }

    /// Hands in one document.
    pub async fn attach(&self, case: &Case, kind: &str) -> Reply {
        let version = self.version(&case.id).await;
        let (media_type, bytes) = match kind {
            "photo" => ("image/png", portrait()),
            _ => ("application/pdf", PDF.to_vec()),
        };
        self.put(&case.path(&format!("/documents/{kind}")))
            .by(case.applicant)
            .if_match(version)
            .body(media_type, bytes)
            .send()
            .await
    }

    /// The application as auditors see it.
    pub async fn see(&self, id: &str) -> Value {
        let path = format!("/v1/applications/{id}");
        self.get(&path).by(AUDITOR).send().await.expect(200).json()
    }

    /// The application's state.
    pub async fn state(&self, id: &str) -> String {
        self.see(id).await["state"].as_str().unwrap().to_owned()
    }

    /// The application's version; asks for header fields alone, which leaves no event.
    pub async fn version(&self, id: &str) -> i64 {
        let path = format!("/v1/applications/{id}");
        self.request(Method::HEAD, &path).by(AUDITOR).send().await.expect(200).version()
    }

    /// Gives a command on the version that is current.
    pub async fn command(&self, person: Person, id: &str, command: Value) -> Reply {
        let version = self.version(id).await;
        self.post(&format!("/v1/applications/{id}/commands"))
            .by(person)
            .key(&fresh().to_string())
            .if_match(version)
            .json(command)
            .send()
            .await
    }

    /// Sends a message as the payment provider.
    pub async fn callback(&self, payment: Value) -> Reply {
        let body = json!({ "type": "payment.received", "data": payment }).to_string();
        let (id, at) = (format!("msg_{}", fresh()), self.now().timestamp());
        self.post("/v1/callbacks/payments")
            .header("webhook-id", &id)
            .header("webhook-timestamp", &at.to_string())
            .header("webhook-signature", &signature(WEBHOOK_KEY, &id, at, &body))
            .text(&body)
            .send()
            .await
    }

    /// What is owed first.
    pub async fn owed(&self, id: &str) -> Value {
        let seen = self.see(id).await;
        let charges = seen["charges"].as_array().unwrap();
        let owed = charges.iter().rfind(|charge| charge["outstanding"]["kopecks"] != 0);
        owed.expect("something is owed").clone()
    }

    /// Pays what is owed, by the provider's callback.
    pub async fn pay(&self, id: &str) {
        let owed = self.owed(id).await;
        let payment = json!({
            "id": format!("pay_{}", fresh()), "uin": owed["uin"],
            "amountKopecks": owed["outstanding"]["kopecks"], "paidAt": self.now(),
        });
        let reply = self.callback(payment).await.expect(200);
        assert_eq!(reply.json(), json!({ "outcome": "booked" }));
    }

    /// A complete draft that can be handed in.
    pub async fn draft(&self, applicant: Person, track: &str) -> Case {
        self.draft_with(applicant, track, self.form()).await
    }

    /// As [`TestApp::draft`], with a form of its own.
    pub async fn draft_with(&self, applicant: Person, track: &str, form: Value) -> Case {
        let case = self.open(applicant, track, form).await;
        self.attach_all(&case, track).await;
        case
    }

    /// Handed in, the state duty not yet paid.
    pub async fn handed_in(&self, applicant: Person) -> Case {
        let case = self.draft(applicant, "patent").await;
        self.command(applicant, &case.id, json!({ "command": "submit" })).await.expect(200);
        case
    }

    /// Handed in and paid: waits in the intake queue.
    pub async fn submitted(&self, applicant: Person) -> Case {
        let case = self.handed_in(applicant).await;
        self.pay(&case.id).await;
        case
    }

    /// Taken in by [`OFFICER`], no check answered.
    pub async fn checking(&self, applicant: Person) -> Case {
        let case = self.submitted(applicant).await;
        self.command(OFFICER, &case.id, json!({ "command": "accept" })).await.expect(200);
        case
    }

    /// Answers every check of an application that is not clear with "clear", as [`OFFICER`].
    pub async fn clear(&self, id: &str) {
        let seen = self.see(id).await;
        for check in seen["checks"].as_array().unwrap() {
            if check["clear"] == true {
                continue;
            }
            let finding =
                json!({ "command": "recordFinding", "check": check["id"], "outcome": "clear" });
            self.command(OFFICER, id, finding).await.expect(200);
        }
    }

    /// Granted by [`OTHER_OFFICER`], the first month's tax not yet paid.
    pub async fn granted(&self, applicant: Person) -> Case {
        let case = self.checking(applicant).await;
        self.clear(&case.id).await;
        self.command(OTHER_OFFICER, &case.id, json!({ "command": "grant" })).await.expect(200);
        case
    }

    /// Paid and handed over.
    pub async fn in_force(&self, applicant: Person) -> Case {
        let case = self.granted(applicant).await;
        self.pay(&case.id).await;
        self.command(OFFICER, &case.id, json!({ "command": "handOver" })).await.expect(200);
        case
    }

    /// A petition of the employer for a highly qualified specialist, ready to be handed in.
    pub async fn petition(&self) -> Case {
        self.draft(EMPLOYER, "highly-qualified-specialist").await
    }

    /// A complete draft of a patent by [`MIGRANT`].
    pub async fn patent_draft(&self) -> Case {
        self.draft(MIGRANT, "patent").await
    }

    /// Gives an application's events, and sees that folding them gives the row.
    pub async fn agreed(&self, id: &str) -> Vec<Event> {
        let id = id.parse().unwrap();
        let mut conn = self.app.db.conn().await.unwrap();
        let events = history(&mut conn, id).await.unwrap();
        drop(conn);
        let differences = |seen: &propusk::casework::Seen<'_>| {
            Ok(Casework::differences(seen.application, &events))
        };
        let auditor = AUDITOR.identity().actor();
        let found = self.app.casework.see(&auditor, id, differences).await.unwrap();
        assert_eq!(found, Vec::<String>::new());
        events
    }

    /// The kind of office work that an application waits for.
    pub async fn work(&self, id: &str) -> Option<String> {
        let work = format!("SELECT work FROM applications WHERE id = '{id}'");
        self.sql().await.query_one(&work, &[]).await.unwrap().get(0)
    }

    /// The messages that wait to be sent about an application.
    pub async fn mails(&self, id: &str) -> Vec<String> {
        let mails = format!(
            "SELECT payload ->> 'message' FROM jobs WHERE kind = 'mail' \
             AND payload ->> 'application' = '{id}' ORDER BY id"
        );
        let rows = self.sql().await.query(&mails, &[]).await.unwrap();
        rows.iter().map(|row| row.get(0)).collect()
    }

    /// How many reads of personal data stand in the log.
    pub async fn reads(&self) -> i64 {
        let count = "SELECT count(*) FROM events WHERE purpose IS NOT NULL";
        self.sql().await.query_one(count, &[]).await.unwrap().get(0)
    }

    /// How much stands in the database of what requests write: whoever wrote nothing leaves it as it was.
    pub async fn written(&self) -> Vec<i64> {
        let row = "SELECT (SELECT count(*) FROM events), (SELECT count(*) FROM applications), \
                   (SELECT coalesce(sum(version), 0)::bigint FROM applications), \
                   (SELECT count(*) FROM charges), (SELECT count(*) FROM payments), \
                   (SELECT count(*) FROM permits), (SELECT count(*) FROM jobs), \
                   (SELECT count(*) FROM idempotency_keys)";
        let row = self.sql().await.query_one(row, &[]).await.unwrap();
        (0..8).map(|column| row.get(column)).collect()
    }

    /// Runs what is due; gives how many jobs ended well.
    pub async fn drain(&self) -> usize {
        let report = propusk::app::worker(&self.app).unwrap().drain().await.unwrap();
        assert_eq!((report.retried, report.dead), Default::default());
        report.done.len()
    }
}
