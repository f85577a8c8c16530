//! A server that plays the registers, for the demo, for tests and for whoever tries the office out.
//!
//! It speaks the protocol of `openapi/registers.md` over real sockets and answers from the data it is asked about, by the
//! rules of [`answers`]: the same question always has the same answer. `PUT /_sim/{register}` makes a register slow,
//! silent, lying or late ([`Play`]); `GET /_sim/{register}` says what it was asked. Whoever reaches it can do so: it is
//! nothing to be kept where others come.

pub mod answers;

use std::collections::{BTreeMap, VecDeque};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use actix_web::dev::{Server, ServerHandle};
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::sync::watch;
use uuid::Uuid;

use crate::clock::SharedClock;
use crate::error::{Error, Result};
use crate::registers::Register;
use crate::registers::client::Client;
use crate::registers::protocol::{AnswerMessage, AnswerOutcome, LARGEST_ANSWER, Question};
use crate::webhook::{self, Key};

/// The registers that it plays.
pub const REGISTERS: [&str; 8] = [
    "borderCrossings",
    "companies",
    "controlledPersons",
    "criminalRecords",
    "educationDocuments",
    "medicalCertificates",
    "payments",
    "taxNumbers",
];

/// How many of the latest questions are remembered for each register.
const REMEMBERED: usize = 20;

/// How long a slow register takes when nothing else is said.
const SLOW: u64 = 60_000;

/// How long the office has to take a callback, and after what times it is sent again.
const CALLBACK: Duration = Duration::from_secs(10);
const AGAIN: [u64; 3] = [1, 5, 30];

/// How a register behaves.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Mode {
    /// Answers at once, or after `delayMs`.
    #[default]
    Normal,
    /// Answers 503.
    Down,
    /// Answers after `delayMs`, or a minute.
    Slow,
    /// Answers another request than it was asked.
    Lying,
    /// Signs with a key that nobody knows.
    WrongSignature,
    /// Does not sign.
    Unsigned,
    /// Signs what is no answer.
    Garbage,
    /// Answers more than is read.
    Huge,
    /// Refuses the question with 400.
    Refusing,
    /// Takes the question and calls back after `delayMs`.
    Later,
    /// Answers at once and calls back with the same.
    Twice,
    /// Answers at once and calls back with the opposite.
    Contradicting,
}

/// What `PUT /_sim/{register}` takes: how a register behaves, and what it answers in place of what its rules say.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Play {
    /// How it behaves.
    pub mode: Mode,
    /// After how many milliseconds it answers or calls back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delay_ms: Option<u64>,
    /// What it answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outcome: Option<AnswerOutcome>,
    /// Why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

impl From<Mode> for Play {
    fn from(mode: Mode) -> Self {
        Self { mode, ..Self::default() }
    }
}

/// What a [`Simulator`] is made of.
pub struct Options {
    /// The key of every register that has none of its own.
    pub key: Option<Key>,
    /// Keys by register.
    pub keys: BTreeMap<String, Key>,
    /// Where callbacks go, as `scheme://host:port`, in place of what the question says.
    pub callback_base: Option<String>,
    /// Time, for signatures.
    pub clock: SharedClock,
}

/// Plays the registers. Clones are the same one.
#[derive(Clone)]
pub struct Simulator(Arc<Parts>);

struct Parts {
    options: Options,
    client: Client,
    played: Mutex<BTreeMap<String, Played>>,
    /// How many callbacks are under way.
    calling: watch::Sender<usize>,
}

/// What is known of a register that is played.
#[derive(Default)]
struct Played {
    play: Play,
    asked: u64,
    last: VecDeque<Value>,
    callbacks: Vec<Value>,
}

/// A simulator that serves from this process.
pub struct Running {
    /// Where.
    pub address: SocketAddr,
    handle: ServerHandle,
}

impl Running {
    /// Ends it; what runs is broken off.
    pub async fn stop(&self) {
        self.handle.stop(false).await;
    }
}

impl Simulator {
    /// Makes a simulator in which every register behaves.
    #[must_use]
    pub fn new(options: Options) -> Self {
        Self(Arc::new(Parts {
            options,
            client: Client::default(),
            played: Mutex::default(),
            calling: watch::Sender::new(0),
        }))
    }

    /// Sets how a register behaves from now on.
    pub fn play(&self, register: &str, play: impl Into<Play>) {
        self.with(register, |played| played.play = play.into());
    }

    /// Gives what a register was asked last, the latest first.
    #[must_use]
    pub fn questions(&self, register: &str) -> Vec<Value> {
        self.with(register, |played| played.last.iter().cloned().collect())
    }

    /// Gives how often a register was asked.
    #[must_use]
    pub fn asked(&self, register: &str) -> u64 {
        self.with(register, |played| played.asked)
    }

    /// Gives what became of a register's callbacks: `requestId`, `status` and `answer` of each.
    #[must_use]
    pub fn callbacks(&self, register: &str) -> Vec<Value> {
        self.with(register, |played| played.callbacks.clone())
    }

    /// Waits until no callback is under way.
    pub async fn settled(&self) {
        // The sender is our own: it does not go before us.
        let _ = self.0.calling.subscribe().wait_for(|count| *count == 0).await;
    }

    /// Writes the registers down as the office's settings have them, when this simulator is at `address`.
    #[must_use]
    pub fn registers(&self, address: SocketAddr, timeout: Duration) -> Vec<Register> {
        let configured = |name: &&str| {
            let url = format!("http://{address}/{name}");
            Some(Register::new(name, &url, vec![self.key(name)?.clone()], timeout))
        };
        REGISTERS.iter().filter_map(configured).collect()
    }

    /// Serves on `listener` until the process is told to stop.
    ///
    /// # Errors
    /// [`Error::Internal`] when the listener cannot be used.
    pub fn serve(&self, listener: TcpListener) -> Result<Server> {
        self.server(listener, true)
    }

    /// Serves on a free port of the loopback address, beside whatever else this process does.
    ///
    /// # Errors
    /// [`Error::Internal`] when there is none.
    pub fn start(&self) -> Result<Running> {
        let failed = |error| Error::internal("cannot listen for the simulated registers", error);
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let server = self.server(listener, false)?;
        let handle = server.handle();
        actix_web::rt::spawn(server);
        Ok(Running { address, handle })
    }

    fn server(&self, listener: TcpListener, signals: bool) -> Result<Server> {
        let simulator = self.clone();
        let server = HttpServer::new(move || {
            App::new()
                .app_data(web::Data::new(simulator.clone()))
                .app_data(web::PayloadConfig::new(LARGEST_ANSWER))
                .service(web::resource("/_sim/{register}").get(show).put(set))
                .service(web::resource("/{register}").post(ask))
        })
        .workers(1)
        .shutdown_timeout(1)
        .listen(listener)
        .map_err(|error| Error::internal("cannot serve the simulated registers", error))?;
        Ok(if signals { server.run() } else { server.disable_signals().run() })
    }

    fn key(&self, register: &str) -> Option<&Key> {
        let Options { key, keys, .. } = &self.0.options;
        keys.get(register).or(key.as_ref())
    }

    fn with<T>(&self, register: &str, look: impl FnOnce(&mut Played) -> T) -> T {
        let mut played = self.0.played.lock().unwrap_or_else(PoisonError::into_inner);
        look(played.entry(register.to_owned()).or_default())
    }

    /// Answers a question as the register's play says.
    async fn answer(
        &self,
        register: &str,
        key: &Key,
        question: &Question,
        play: &Play,
    ) -> HttpResponse {
        let id = question.request_id.to_string();
        let answer = answers::answer(register, question, play);
        let body = write(&answer);
        let pause = match play.mode {
            Mode::Slow => Some(play.delay_ms.unwrap_or(SLOW)),
            Mode::Later => None,
            _ => play.delay_ms,
        };
        if let Some(millis) = pause {
            tokio::time::sleep(Duration::from_millis(millis)).await;
        }
        match play.mode {
            Mode::Normal | Mode::Slow => self.signed(key, &id, body),
            Mode::Down => HttpResponse::ServiceUnavailable().finish(),
            Mode::Refusing => HttpResponse::BadRequest().finish(),
            Mode::Lying => {
                let request_id = Uuid::from_u128(question.request_id.as_u128() ^ 1);
                let body = write(&AnswerMessage { request_id, ..answer });
                self.signed(key, &request_id.to_string(), body)
            }
            Mode::WrongSignature => self.signed(&Key::new(vec![0; 32]), &id, body),
            Mode::Unsigned => HttpResponse::Ok().content_type("application/json").body(body),
            Mode::Garbage => self.signed(key, &id, b"{\"outcome\": \"clear\"".to_vec()),
            Mode::Huge => {
                let mut body = body;
                body.resize(LARGEST_ANSWER + 1, b' ');
                self.signed(key, &id, body)
            }
            Mode::Later => {
                self.call_back(register, key, question, body, play.delay_ms.unwrap_or(0));
                HttpResponse::Accepted().finish()
            }
            Mode::Twice => {
                self.call_back(register, key, question, body.clone(), 0);
                self.signed(key, &id, body)
            }
            Mode::Contradicting => {
                let outcome = match answer.outcome {
                    AnswerOutcome::Hit => AnswerOutcome::Clear,
                    AnswerOutcome::Clear | AnswerOutcome::NoData => AnswerOutcome::Hit,
                };
                let other = write(&AnswerMessage { outcome, reason: None, ..answer });
                self.call_back(register, key, question, other, 0);
                self.signed(key, &id, body)
            }
        }
    }

    fn signed(&self, key: &Key, id: &str, body: Vec<u8>) -> HttpResponse {
        let signed = key.sign(id, self.0.options.clock.now(), &body);
        let mut response = HttpResponse::Ok();
        for (name, value) in signed.fields() {
            response.insert_header((name, value));
        }
        response.content_type("application/json").body(body)
    }

    /// Sends an answer to where the question says, from a task of its own; again, when it was not taken.
    fn call_back(&self, register: &str, key: &Key, question: &Question, body: Vec<u8>, delay: u64) {
        let url = match &self.0.options.callback_base {
            Some(base) => rebase(&question.callback_url, base),
            None => question.callback_url.clone(),
        };
        let (simulator, key, id) = (self.clone(), key.clone(), question.request_id.to_string());
        let register = register.to_owned();
        self.0.calling.send_modify(|count| *count += 1);
        actix_web::rt::spawn(async move {
            tokio::time::sleep(Duration::from_millis(delay)).await;
            for wait in AGAIN.into_iter().map(Some).chain([None]) {
                let sent = simulator.send(&url, &key, &id, &body).await;
                let (status, answer) = sent.unwrap_or((0, Value::Null));
                let told = json!({ "requestId": id, "status": status, "answer": answer });
                simulator.with(&register, |played| played.callbacks.push(told));
                match wait {
                    Some(seconds) if status == 0 || status >= 500 => {
                        tokio::time::sleep(Duration::from_secs(seconds)).await;
                    }
                    _ => break,
                }
            }
            simulator.0.calling.send_modify(|count| *count -= 1);
        });
    }

    /// Sends a callback once; gives status and body of what was answered.
    async fn send(&self, url: &str, key: &Key, id: &str, body: &[u8]) -> Option<(u16, Value)> {
        let signed = key.sign(id, self.0.options.clock.now(), body);
        let (client, url, body) = (self.0.client.clone(), url.to_owned(), body.to_vec());
        let posting = web::block(move || client.post(&url, &signed, &body, CALLBACK));
        let response = posting.await.ok()?.ok()?;
        Some((response.status, serde_json::from_slice(&response.body).unwrap_or(Value::Null)))
    }
}

fn write(answer: &AnswerMessage) -> Vec<u8> {
    serde_json::to_vec(answer).unwrap_or_default()
}

/// Puts another scheme and host before the path of an address.
fn rebase(url: &str, base: &str) -> String {
    let path = url.split_once("://").and_then(|(_, rest)| rest.split_once('/'));
    let path = path.map(|(_, path)| path).unwrap_or_default();
    format!("{}/{path}", base.trim_end_matches('/'))
}

async fn ask(
    simulator: web::Data<Simulator>,
    register: web::Path<String>,
    request: HttpRequest,
    body: web::Bytes,
) -> HttpResponse {
    if !REGISTERS.contains(&register.as_str()) {
        return HttpResponse::NotFound().finish();
    }
    let Some(key) = simulator.key(&register).cloned() else {
        return HttpResponse::Unauthorized().finish();
    };
    let field = |name: &str| request.headers().get(name).and_then(|value| value.to_str().ok());
    let now = simulator.0.options.clock.now();
    let Some(id) = webhook::verify(field, &body, [&key], now) else {
        return HttpResponse::Unauthorized().finish();
    };
    let question = serde_json::from_slice::<Question>(&body).ok();
    let Some(question) = question.filter(|question| question.request_id.to_string() == id) else {
        return HttpResponse::BadRequest().finish();
    };
    let play = simulator.with(&register, |played| {
        played.asked += 1;
        played.last.push_front(serde_json::from_slice(&body).unwrap_or(Value::Null));
        played.last.truncate(REMEMBERED);
        played.play.clone()
    });
    simulator.answer(&register, &key, &question, &play).await
}

async fn show(simulator: web::Data<Simulator>, register: web::Path<String>) -> HttpResponse {
    if !REGISTERS.contains(&register.as_str()) {
        return HttpResponse::NotFound().finish();
    }
    HttpResponse::Ok().json(simulator.with(&register, |played| {
        json!({
            "register": register.as_str(), "play": played.play, "asked": played.asked,
            "last": played.last, "callbacks": played.callbacks,
        })
    }))
}

async fn set(
    simulator: web::Data<Simulator>,
    register: web::Path<String>,
    body: web::Bytes,
) -> HttpResponse {
    if !REGISTERS.contains(&register.as_str()) {
        return HttpResponse::NotFound().finish();
    }
    match serde_json::from_slice::<Play>(&body) {
        Ok(play) => {
            simulator.play(&register, play.clone());
            HttpResponse::Ok().json(play)
        }
        Err(error) => HttpResponse::BadRequest().json(json!({ "detail": error.to_string() })),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_callback_can_be_sent_to_another_host() {
        let url = "https://permits.example.org/v1/callbacks/registers/payments";
        let here = "http://127.0.0.1:8080/v1/callbacks/registers/payments";
        assert_eq!(rebase(url, "http://127.0.0.1:8080"), here);
        assert_eq!(rebase(url, "http://127.0.0.1:8080/"), here);
    }

    #[test]
    fn a_play_is_read_as_it_is_documented() {
        let play: Play = serde_json::from_str(r#"{"mode":"wrongSignature"}"#).unwrap();
        assert_eq!(play, Mode::WrongSignature.into());
        let play: Play =
            serde_json::from_str(r#"{"mode":"later","delayMs":5,"outcome":"hit"}"#).unwrap();
        assert_eq!((play.mode, play.delay_ms), (Mode::Later, Some(5)));
        assert!(serde_json::from_str::<Play>(r#"{"mode":"later","delay":5}"#).is_err());
    }
}
