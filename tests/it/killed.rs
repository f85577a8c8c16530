//! A process that is killed between the provider's callback and the commit: nothing is lost, and nothing happens twice.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::net::{SocketAddr, TcpListener};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::SigningKey;
use ed25519_dalek::pkcs8::EncodePrivateKey as _;
use ed25519_dalek::pkcs8::spki::der::pem::LineEnding;
use propusk::clock::{Clock as _, FixedClock, SystemClock};
use propusk::demo::http::{self, Answer, Request};
use serde_json::{Value, json};
use tokio_postgres::Client;

use crate::support::app::{MIGRANT, TestApp, log_key, permit_key};
use crate::support::db::test_dir;
use crate::support::drive::{fresh, signature};

/// The provider's key: one that is not the demo's, which `serve` refuses.
const KEY: &[u8] = b"the provider's key, 32 bytes long";

/// `propusk serve` as a process of its own; killed when dropped.
struct Served {
    child: Child,
    address: SocketAddr,
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Starts the service on a test's database and waits until it listens.
fn serve(app: &TestApp) -> Served {
    let folder = test_dir(&format!("killed-{}", fresh()));
    fs::create_dir_all(&folder).unwrap();
    let token_key = folder.join("token.pem");
    let pem = SigningKey::from_bytes(&[9; 32]).to_pkcs8_pem(LineEnding::LF).unwrap();
    fs::write(&token_key, pem.as_bytes()).unwrap();
    let address = TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap();
    let place = |name: &str| {
        let place = folder.join(name);
        fs::create_dir_all(&place).unwrap();
        place.into_os_string()
    };
    let mut child = Command::new(env!("CARGO_BIN_EXE_propusk"))
        .arg("serve")
        .env_clear()
        .env("DATABASE_URL", app.database.url())
        .env("PROPUSK_LISTEN", address.to_string())
        .env("PROPUSK_PUBLIC_URL", "http://127.0.0.1:8080")
        .env("PROPUSK_HTTP_WORKERS", "1")
        .env("PROPUSK_TOKEN_KEY_FILE", &token_key)
        .env("PROPUSK_PAYMENT_WEBHOOK_SECRETS", format!("whsec_{}", STANDARD.encode(KEY)))
        .env("PROPUSK_MAIL_FROM", "Permits <noreply@example.org>")
        .env("PROPUSK_MAIL_DIRECTORY", place("mail"))
        .env("PROPUSK_DOCUMENTS_DIRECTORY", place("documents"))
        .env("PROPUSK_LOG_KEY", log_key())
        .env("PROPUSK_PERMIT_KEY", permit_key())
        .env("PROPUSK_LOG_DIRECTORY", place("log"))
        .env("PROPUSK_LOG", "warn")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let listens = lines.any(|line| line.is_ok_and(|line| line.contains("listens on")));
    assert!(listens, "the service did not start");
    // Nobody reads further: the pipe goes, and the service does not mind.
    Served { child, address }
}

/// Tells a process of a payment, as the provider does; `None` where it gave no answer.
async fn tell(address: SocketAddr, id: &str, payment: &Value) -> Option<Answer> {
    let body = json!({ "type": "payment.received", "data": payment }).to_string();
    let at = SystemClock.now().timestamp();
    let fields = vec![
        ("Content-Type", "application/json".to_owned()),
        ("webhook-id", id.to_owned()),
        ("webhook-timestamp", at.to_string()),
        ("webhook-signature", signature(KEY, id, at, &body)),
    ];
    let path = "/v1/callbacks/payments";
    let request = Request { method: "POST", path, fields, body: body.into_bytes() };
    http::send(address, &request).await.ok()
}

/// Gives the backend that waits for a lock in the database, once there is one.
async fn waiting(sql: &Client) -> i32 {
    let waiting = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
    loop {
        if let Some(row) = sql.query_opt(waiting, &[]).await.unwrap() {
            return row.get(0);
        }
    }
}

/// Waits until a backend has ended its statement.
async fn ended(sql: &Client, pid: i32) {
    let busy = "SELECT FROM pg_stat_activity WHERE pid = $1 AND state = 'active'";
    while sql.query_opt(busy, &[&pid]).await.unwrap().is_some() {}
}

/// What the ledger holds: payments, their money, what the charges were paid, and events of payments.
async fn ledger(sql: &Client) -> (i64, i64, i64, i64) {
    let all = "SELECT count(*), coalesce(sum(matched_kopecks), 0)::bigint, \
               (SELECT sum(paid_kopecks)::bigint FROM charges), \
               (SELECT count(*) FROM events WHERE kind = 'paymentRecorded') FROM payments";
    let row = sql.query_one(all, &[]).await.unwrap();
    (row.get(0), row.get(1), row.get(2), row.get(3))
}

/// Kills the service while it waits to write a payment, then lets the database go on; `dies` says whether what it was
/// doing for the service dies with it. Gives what the provider is told when it repeats itself to a new process.
async fn killed_while_it_writes(dies: bool) -> String {
    // The process has the machine's clock; the test has the same.
    let clock = Arc::new(FixedClock::new(SystemClock.now(), 7));
    let app = TestApp::spawn_at(clock, |_| ()).await;
    let case = app.handed_in(MIGRANT).await;
    let owed = app.owed(&case.id).await;
    let due = owed["outstanding"]["kopecks"].as_i64().unwrap();
    let payment =
        json!({ "id": "killed", "uin": owed["uin"], "amountKopecks": due, "paidAt": app.now() });
    let (sql, holder) = (app.sql().await, app.sql().await);
    let mut first = serve(&app);
    holder.batch_execute("BEGIN; SELECT FROM applications FOR UPDATE").await.unwrap();
    let telling = actix_web::rt::spawn({
        let (address, payment) = (first.address, payment.clone());
        async move { tell(address, "msg_1", &payment).await }
    });
    let backend = waiting(&sql).await;
    first.child.kill().unwrap();
    first.child.wait().unwrap();
    let answer = telling.await.unwrap();
    assert!(answer.is_none(), "the provider was answered {answer:?}, and nothing is written");
    assert_eq!(ledger(&sql).await, (0, 0, 0, 0));
    if dies {
        sql.execute("SELECT pg_terminate_backend($1)", &[&backend]).await.unwrap();
        ended(&sql, backend).await;
    }
    holder.batch_execute("ROLLBACK").await.unwrap();
    ended(&sql, backend).await;

    let second = serve(&app);
    let again = tell(second.address, "msg_1", &payment).await.expect("an answer");
    assert_eq!(again.status, 200, "{}", again.json);
    assert_eq!(ledger(&sql).await, (1, due, due, 1));
    let third = tell(second.address, "msg_2", &payment).await.expect("an answer");
    assert_eq!(third.json["outcome"], "known");
    assert_eq!(ledger(&sql).await, (1, due, due, 1));
    assert_eq!(app.state(&case.id).await, "submitted");
    app.agreed(&case.id).await;
    again.json["outcome"].as_str().unwrap().to_owned()
}

#[actix_web::test]
async fn a_payment_whose_write_died_with_the_process_takes_effect_when_it_is_told_again() {
    assert_eq!(killed_while_it_writes(true).await, "booked");
}

#[actix_web::test]
async fn a_payment_that_was_written_after_the_process_died_is_known_when_it_is_told_again() {
    assert_eq!(killed_while_it_writes(false).await, "known");
}
