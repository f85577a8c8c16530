//! The real service on a database of its own, with a clock that stands still.
//!
//! ```ignore
//! let app = TestApp::spawn().await;
//! let reply = app.post("/v1/applications").by(OFFICER).key("a").json(json!({…})).send().await;
//! assert_eq!(reply.expect(201).json()["state"], "draft");
//! app.advance(TimeDelta::days(1));
//! ```

#![allow(dead_code, reason = "the tests of every audience draw on this; not each uses all")]

use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};

use actix_web::body::{BoxBody, MessageBody as _};
use actix_web::dev::{Service, ServiceResponse};
use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};
use actix_web::http::{Method, header};
use actix_web::web::Bytes;
use actix_web::{Error, test};
use chrono::{DateTime, TimeDelta, Utc};
use futures_util::FutureExt as _;
use futures_util::future::LocalBoxFuture;
use propusk::api::openapi;
use propusk::app::{self, App};
use propusk::audit::note::LogKey;
use propusk::auth::passwords::{Cost, Passwords};
use propusk::auth::{Identity, OPERATOR};
use propusk::clock::{Clock as _, FixedClock};
use propusk::config::{Config, DemoConfig, MailTransport};
use propusk::domain::actor::Role;
use propusk::permits::keys::PermitKeys;
use propusk::storage::accounts::{self, NewAccount, Unit};
use propusk::storage::events::PlainEvent;
use propusk::storage::migrate;
use serde_json::Value;
use tokio_postgres::NoTls;
use uuid::Uuid;

use super::db::{self, TestDatabase};

/// The example key of RFC 8037, appendix A.
pub const TOKEN_KEY: &str = "-----BEGIN PRIVATE KEY-----\n\
    MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n\
    -----END PRIVATE KEY-----\n";

/// Everybody's password.
pub const PASSWORD: &str = "tundra lantern quartz ferry";

/// The key under which the payment provider signs.
pub const WEBHOOK_KEY: &[u8] = b"propusk-demo-webhook-key-for-tests";

/// Somebody with an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Person {
    /// Last digits of the account's id.
    pub number: u8,
    /// Local part of the e-mail address, and name.
    pub name: &'static str,
    /// Role.
    pub role: Role,
    /// Unit.
    pub unit: Option<&'static str>,
}

const fn person(number: u8, name: &'static str, role: Role, unit: Option<&'static str>) -> Person {
    Person { number, name, role, unit }
}

pub const MIGRANT: Person = person(1, "migrant", Role::Migrant, None);
pub const OTHER_MIGRANT: Person = person(2, "other-migrant", Role::Migrant, None);
pub const EMPLOYER: Person = person(3, "employer", Role::Employer, None);
pub const OFFICER: Person = person(4, "officer", Role::Officer, Some("77"));
pub const OTHER_OFFICER: Person = person(5, "other-officer", Role::Officer, Some("77"));
pub const SENIOR: Person = person(6, "senior", Role::SeniorOfficer, Some("77"));
pub const OTHER_SENIOR: Person = person(7, "other-senior", Role::SeniorOfficer, Some("77"));
pub const PETERSBURG_OFFICER: Person = person(8, "petersburg", Role::Officer, Some("78"));
pub const REGION_OFFICER: Person = person(9, "region", Role::Officer, Some("50"));
pub const AUDITOR: Person = person(10, "auditor", Role::Auditor, None);
pub const ADMINISTRATOR: Person = person(11, "administrator", Role::Administrator, None);

/// Everybody who has an account in every test.
pub const PEOPLE: [Person; 11] = [
    MIGRANT,
    OTHER_MIGRANT,
    EMPLOYER,
    OFFICER,
    OTHER_OFFICER,
    SENIOR,
    OTHER_SENIOR,
    PETERSBURG_OFFICER,
    REGION_OFFICER,
    AUDITOR,
    ADMINISTRATOR,
];

impl Person {
    /// The account.
    pub fn id(self) -> Uuid {
        Uuid::from_u128(0x0199_0000_0000_7000_8000_0000_0000_0000 + u128::from(self.number))
    }

    /// The address to log in with.
    pub fn email(self) -> String {
        format!("{}@example.org", self.name)
    }

    /// What a token says of the person; the session is made up.
    pub fn identity(self) -> Identity {
        Identity {
            account: self.id(),
            role: self.role,
            unit: self.unit.map(str::to_owned),
            name: self.name.to_owned(),
            session: self.id(),
        }
    }
}

type Answer = LocalBoxFuture<'static, Result<ServiceResponse<BoxBody>, Error>>;

/// The service under test.
pub struct TestApp {
    /// What the handlers share.
    pub app: App,
    /// The clock.
    pub clock: Arc<FixedClock>,
    /// The database.
    pub database: TestDatabase,
    /// Where mail goes.
    pub mail_directory: std::path::PathBuf,
    call: Box<dyn Fn(test::TestRequest) -> Answer>,
}

impl TestApp {
    /// Starts the service with units 77, 78 and 50 and the [`PEOPLE`], on Monday, 2 March 2026, 09:00 in Moscow.
    pub async fn spawn() -> Self {
        Self::spawn_with(|_| ()).await
    }

    /// As [`TestApp::spawn`], with settings of its own.
    pub async fn spawn_with(adapt: impl FnOnce(&mut Config)) -> Self {
        Self::spawn_at(Self::clock(), adapt).await
    }

    /// A clock that stands where [`TestApp::spawn`] begins.
    pub fn clock() -> Arc<FixedClock> {
        let start = DateTime::from_timestamp(1_772_431_200, 0).unwrap();
        Arc::new(FixedClock::new(start, 7))
    }

    /// As [`TestApp::spawn_with`], by a clock that others share.
    pub async fn spawn_at(clock: Arc<FixedClock>, adapt: impl FnOnce(&mut Config)) -> Self {
        let database = TestDatabase::new().await;
        let mut config = Config::demo(DemoConfig {
            database_url: database.url().to_owned(),
            port: 8080,
            data_dir: db::test_dir(&format!("app-{}", clock_free_name(database.url()))),
            token_key: TOKEN_KEY.to_owned(),
            payment_webhook_secret: WEBHOOK_KEY.to_owned(),
            log_key: log_key(),
            permit_key: permit_key(),
        })
        .unwrap();
        config.database.pool_size = 8;
        adapt(&mut config);
        let mail_directory = match &config.mail.transport {
            MailTransport::Directory(directory) => directory.clone(),
            MailTransport::Smtp(_) => std::path::PathBuf::new(),
        };
        let app = App::with_password_cost(&config, clock.clone(), Cost::LEAST).unwrap();
        insert_people(&app, database.url()).await;
        register_rules(&app, database.url()).await;
        let service = test::init_service(app::service(app.clone())).await;
        let call = Box::new(move |request: test::TestRequest| {
            service.call(request.to_request()).boxed_local()
        });
        Self { app, clock, database, mail_directory, call }
    }

    /// Moves the clock.
    pub fn advance(&self, delta: TimeDelta) {
        self.clock.advance(delta);
    }

    /// The instant.
    pub fn now(&self) -> DateTime<Utc> {
        self.clock.now()
    }

    /// An access token that is valid for ten minutes from now, without logging in.
    pub fn token(&self, person: Person) -> String {
        self.app.tokens.issue(&person.identity(), &*self.clock).unwrap()
    }

    /// Begins a request.
    pub fn request(&self, method: Method, path: &str) -> Call<'_> {
        Call {
            app: self,
            method,
            path: path.to_owned(),
            headers: HeaderMap::new(),
            body: Bytes::new(),
            peer: SocketAddr::from(([192, 0, 2, 1], 40_000)),
        }
    }

    pub fn get(&self, path: &str) -> Call<'_> {
        self.request(Method::GET, path)
    }

    pub fn post(&self, path: &str) -> Call<'_> {
        self.request(Method::POST, path)
    }

    pub fn put(&self, path: &str) -> Call<'_> {
        self.request(Method::PUT, path)
    }

    pub fn delete(&self, path: &str) -> Call<'_> {
        self.request(Method::DELETE, path)
    }

    /// Numbers all that is committed, signs and publishes it, as the sequencer of `propusk serve` does by itself.
    pub async fn publish(&self) {
        let mut seat =
            self.app.sequencer.sit().await.unwrap().expect("nobody else is the sequencer");
        while seat.tick(&|_| Ok(())).await.unwrap().more {}
    }

    /// A connection as the database's owner, for looking behind the API.
    pub async fn sql(&self) -> tokio_postgres::Client {
        connect(self.database.url()).await
    }
}

/// The key of the tests' log, as its file would hold it.
pub fn log_key() -> String {
    LogKey::generate("permits.example.org/log", [5; 32]).unwrap().private_line() + "\n"
}

/// The key of the tests' permits, as its file would hold it; made a day before [`TestApp::clock`].
pub fn permit_key() -> String {
    let made = DateTime::from_timestamp(1_772_344_800, 0).unwrap();
    PermitKeys::generate([6; 32], made, None).private_text()
}

/// The last part of the URL's path: unique among the tests.
fn clock_free_name(url: &str) -> &str {
    let path = url.split('?').next().unwrap();
    path.rsplit('/').next().unwrap()
}

async fn connect(url: &str) -> tokio_postgres::Client {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
    actix_web::rt::spawn(async move {
        let _ = connection.await;
    });
    client
}

async fn insert_people(app: &App, url: &str) {
    for (code, title) in [("77", "Moscow"), ("78", "St Petersburg"), ("50", "Moscow Region")] {
        let unit = Unit {
            code: code.to_owned(),
            title: title.to_owned(),
            region: code.to_owned(),
            time_zone: "Europe/Moscow".to_owned(),
        };
        let content = serde_json::json!({ "title": title });
        let event = PlainEvent::now(&*app.clock, "unitAdded", OPERATOR, content);
        migrate::add_unit(url, &unit, &event.in_unit(Some(code.to_owned()))).await.unwrap();
    }
    for person in PEOPLE {
        let account = NewAccount {
            id: person.id(),
            email: person.email(),
            name: person.name.to_owned(),
            role: person.role,
            unit: person.unit.map(str::to_owned),
            password_hash: password_hash().await,
            created_at: app.clock.now(),
        };
        let content = serde_json::json!({ "account": person.id(), "role": person.role });
        let event = PlainEvent::now(&*app.clock, "accountAdded", "operator", content)
            .in_unit(account.unit.clone());
        accounts::insert(&app.db, &account, &event).await.unwrap();
    }
}

/// Puts the rules where the database looks for them, as `propusk migrate` does; throws dice of its own.
async fn register_rules(app: &App, url: &str) {
    let clock = FixedClock::new(app.clock.now(), 1);
    migrate::register(url, &app.casework.rules(), &clock, OPERATOR).await.unwrap();
}

async fn password_hash() -> String {
    static HASH: OnceLock<String> = OnceLock::new();
    if HASH.get().is_none() {
        let passwords = Passwords::new(Cost::LEAST, 1).unwrap();
        let _ = HASH.set(passwords.hash(PASSWORD.to_owned(), [1; 16]).await.unwrap());
    }
    HASH.get().unwrap().clone()
}

/// A request in the making.
pub struct Call<'a> {
    app: &'a TestApp,
    method: Method,
    path: String,
    headers: HeaderMap,
    body: Bytes,
    peer: SocketAddr,
}

impl Call<'_> {
    /// Sends the person's fresh token.
    pub fn by(self, person: Person) -> Self {
        let token = self.app.token(person);
        self.bearer(&token)
    }

    /// Sends a token.
    pub fn bearer(self, token: &str) -> Self {
        self.header("authorization", &format!("Bearer {token}"))
    }

    /// Adds a header field.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
        self.headers.append(name, HeaderValue::from_str(value).unwrap());
        self
    }

    /// Sends `If-Match` for a version.
    pub fn if_match(self, version: i64) -> Self {
        self.header("if-match", &format!("\"v{version}\""))
    }

    /// Sends an `Idempotency-Key`.
    pub fn key(self, key: &str) -> Self {
        self.header("idempotency-key", key)
    }

    /// Sends JSON.
    pub fn json(self, body: impl serde::Serialize) -> Self {
        let text = serde_json::to_string(&body).unwrap();
        self.text(&text)
    }

    /// Sends text that says it is JSON.
    pub fn text(self, body: &str) -> Self {
        self.body("application/json", body.to_owned())
    }

    /// Sends a body of any type.
    pub fn body(mut self, media_type: &str, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self.header("content-type", media_type)
    }

    /// Comes from another address.
    pub fn from(mut self, address: [u8; 4]) -> Self {
        self.peer = SocketAddr::from((address, 40_000));
        self
    }

    /// Sends it.
    pub async fn send(self) -> Reply {
        let mut request = test::TestRequest::with_uri(&self.path)
            .method(self.method.clone())
            .peer_addr(self.peer)
            .set_payload(self.body.clone());
        // A request without a body announces none.
        let mut headers = self.headers.clone();
        if self.body.is_empty() {
            headers.remove(header::CONTENT_LENGTH);
        }
        for (name, value) in &headers {
            request = request.append_header((name.clone(), value.clone()));
        }
        let response = (self.app.call)(request).await.unwrap();
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let body = response.into_body().try_into_bytes();
        let body = match body {
            Ok(bytes) => bytes,
            Err(body) => actix_web::body::to_bytes(body).await.unwrap(),
        };
        let reply = Reply { what: format!("{} {}", self.method, self.path), status, headers, body };
        self.is_documented(&reply);
        reply
    }

    /// Sees that the document foretold this status, where it knows the operation.
    fn is_documented(&self, reply: &Reply) {
        let path = self.path.split('?').next().unwrap_or_default();
        let Some(route) = openapi::routes().find(path) else { return };
        let method = if self.method == Method::HEAD { Method::GET } else { self.method.clone() };
        if route.operation(&method).is_none() {
            return;
        }
        let operation =
            &openapi::document()["paths"][&route.template][method.as_str().to_lowercase().as_str()];
        let known = operation["responses"].get(reply.status.to_string()).is_some();
        assert!(known, "{} answers {}, undocumented: {}", reply.what, reply.status, reply.text());
    }
}

/// An answer.
#[derive(Debug)]
pub struct Reply {
    what: String,
    /// The status.
    pub status: u16,
    /// The header fields.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

impl Reply {
    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{}: {error}: {}", self.what, self.text()))
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// A header field.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    /// The version in `ETag`.
    pub fn version(&self) -> i64 {
        let tag = self.header("etag").unwrap_or_else(|| panic!("{}: no ETag", self.what));
        tag.trim_matches('"').trim_start_matches('v').parse().unwrap()
    }

    /// Fails the test unless the status is this.
    #[track_caller]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}: {}", self.what, self.text());
        self
    }

    /// Fails the test unless this is the problem with the slug and its status; gives the document.
    #[track_caller]
    pub fn problem(&self, slug: &str) -> Value {
        assert_eq!(self.header("content-type"), Some("application/problem+json"), "{}", self.what);
        let problem = self.json();
        let kind = problem["type"].as_str().unwrap();
        assert!(kind.ends_with(&format!("/{slug}")), "{}: {problem}", self.what);
        assert_eq!(problem["status"], self.status, "{}", self.what);
        problem
    }

    /// As [`Reply::problem`] of a request that does not fit: gives `pointer code` of each error, sorted.
    #[track_caller]
    pub fn errors(&self) -> Vec<String> {
        let problem = self.problem("invalid-request");
        let text = |error: &Value| {
            let part = |name: &str| error[name].as_str().unwrap().to_owned();
            format!("{} {}", part("pointer"), part("code"))
        };
        let mut errors: Vec<String> =
            problem["errors"].as_array().unwrap().iter().map(text).collect();
        errors.sort();
        errors
    }
}
