//! A server that plays the payment provider, for tests and for whoever tries the office out.
//!
//! It takes money that anybody says he pays and tells the office of it over real sockets, as Standard Webhooks says; on
//! demand it repeats, reorders, forges, or keeps silent. `GET /statement` is what its bank would say: with it `propusk
//! payments reconcile` finds what was kept silent. Whoever reaches it can pay: it is nothing to be kept where others come.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use actix_web::dev::{Server, ServerHandle};
use actix_web::{App, HttpResponse, HttpServer, web};
use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::clock::SharedClock;
use crate::error::{Error, Result};
use crate::registers::client::Client;
use crate::webhook::{Key, Signed};

/// How long the office has to answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// The port that it takes unless told otherwise.
pub const PORT: u16 = 8091;

/// The path at the office.
const CALLBACK: &str = "/v1/callbacks/payments";

/// How the provider behaves.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Mode {
    /// Tells of each payment once.
    #[default]
    Normal,
    /// Tells of each payment three times, the last time in another message.
    Repeat,
    /// Keeps what it has to tell until `POST /flush`, and tells the latest first.
    Reorder,
    /// Signs with a key that nobody knows.
    Forge,
    /// Changes the amount after it has signed.
    Alter,
    /// Says that it sent the message ten minutes ago.
    Late,
    /// Says that it sends the message the day after tomorrow.
    Ahead,
    /// Takes the money and tells nobody.
    Silent,
}

/// What `POST /payments` takes: what somebody pays.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Pay {
    /// How much, in kopecks.
    pub amount_kopecks: i64,
    /// What is quoted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uin: Option<String>,
    /// Who pays.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payer: Option<String>,
    /// His passport.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payer_document: Option<String>,
    /// The code of the budget's income.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kbk: Option<String>,
}

/// What a [`Simulator`] is made of.
pub struct Options {
    /// The secret that it shares with the office.
    pub key: Key,
    /// Where the office is, as `http://host:port`.
    pub office: String,
    /// Time, for signatures.
    pub clock: SharedClock,
}

/// Plays the provider. Clones are the same one.
#[derive(Clone)]
pub struct Simulator(Arc<Parts>);

struct Parts {
    options: Options,
    client: Client,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    mode: Mode,
    taken: Vec<(String, DateTime<Utc>, Pay)>,
    held: Vec<(String, Vec<u8>)>,
    told: Vec<Value>,
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
    /// Makes a provider that behaves.
    #[must_use]
    pub fn new(options: Options) -> Self {
        Self(Arc::new(Parts { options, client: Client::default(), state: Mutex::default() }))
    }

    /// Sets how it behaves from now on.
    pub fn play(&self, mode: Mode) {
        self.with(|state| state.mode = mode);
    }

    /// Gives what became of every message: `id`, `status` and `answer`.
    #[must_use]
    pub fn told(&self) -> Vec<Value> {
        self.with(|state| state.told.clone())
    }

    fn with<T>(&self, look: impl FnOnce(&mut State) -> T) -> T {
        look(&mut self.0.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Takes a payment and tells the office of it as the mode says; gives the payment's id.
    pub async fn pay(&self, pay: Pay) -> String {
        let clock = &self.0.options.clock;
        let (id, now) = (format!("pay_{}", clock.new_id().simple()), clock.now());
        let mut data = serde_json::to_value(&pay).unwrap_or_default();
        data["id"] = json!(id);
        data["paidAt"] = json!(now);
        let body = json!({ "type": "payment.received", "data": data }).to_string().into_bytes();
        let mode = self.with(|state| {
            state.taken.push((id.clone(), now, pay));
            state.mode
        });
        let key = &self.0.options.key;
        match mode {
            Mode::Normal => self.tell(&key.sign(&id, now, &body), &body).await,
            Mode::Repeat => {
                let signed = key.sign(&id, now, &body);
                self.tell(&signed, &body).await;
                self.tell(&signed, &body).await;
                self.tell(&key.sign(&format!("{id}_again"), now, &body), &body).await;
            }
            Mode::Reorder => self.with(|state| state.held.push((id.clone(), body))),
            Mode::Forge => {
                self.tell(&Key::new(vec![0; 32]).sign(&id, now, &body), &body).await;
            }
            Mode::Alter => {
                let signed = key.sign(&id, now, &body);
                data["amountKopecks"] = json!(1);
                let other = json!({ "type": "payment.received", "data": data }).to_string();
                self.tell(&signed, other.as_bytes()).await;
            }
            Mode::Late => {
                self.tell(&key.sign(&id, now - TimeDelta::minutes(10), &body), &body).await;
            }
            Mode::Ahead => self.tell(&key.sign(&id, now + TimeDelta::days(2), &body), &body).await,
            Mode::Silent => {}
        }
        id
    }

    /// Tells what was kept, the latest first; gives how much that was.
    pub async fn flush(&self) -> usize {
        let held = self.with(|state| std::mem::take(&mut state.held));
        for (id, body) in held.iter().rev() {
            let signed = self.0.options.key.sign(id, self.0.options.clock.now(), body);
            self.tell(&signed, body).await;
        }
        held.len()
    }

    async fn tell(&self, signed: &Signed, body: &[u8]) {
        let url = format!("{}{CALLBACK}", self.0.options.office.trim_end_matches('/'));
        let (client, signed, body) = (self.0.client.clone(), signed.clone(), body.to_vec());
        let id = signed.id.clone();
        let posted = web::block(move || client.post(&url, &signed, &body, PATIENCE)).await;
        let (status, answer) = match posted {
            Ok(Ok(response)) => {
                (response.status, serde_json::from_slice(&response.body).unwrap_or(Value::Null))
            }
            Ok(Err(away)) => (0, json!(away)),
            Err(_) => (0, Value::Null),
        };
        let told = json!({ "id": id, "status": status, "answer": answer });
        self.with(|state| state.told.push(told));
    }

    /// Writes what its bank would say: camt.053 with everything that it took.
    #[must_use]
    pub fn statement(&self) -> String {
        let entries = self.with(|state| {
            let entries = state.taken.iter().map(|(id, at, pay)| {
                let (roubles, kopecks) = (pay.amount_kopecks / 100, pay.amount_kopecks % 100);
                let uin = pay.uin.as_deref().map(escaped).unwrap_or_default();
                format!(
                    "   <Ntry><Amt Ccy=\"RUB\">{roubles}.{kopecks:02}</Amt><CdtDbtInd>CRDT</CdtDbtInd>\
                     <BookgDt><Dt>{}</Dt></BookgDt><NtryDtls><TxDtls><Refs><TxId>{id}</TxId></Refs>\
                     <RmtInf><Strd><CdtrRefInf><Ref>{uin}</Ref></CdtrRefInf></Strd></RmtInf>\
                     </TxDtls></NtryDtls></Ntry>\n",
                    at.date_naive()
                )
            });
            entries.collect::<String>()
        });
        let today = self.0.options.clock.now().date_naive();
        format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
             <Document xmlns=\"urn:iso:std:iso:20022:tech:xsd:camt.053.001.08\">\n <BkToCstmrStmt>\n  <Stmt>\n   \
             <FrToDt><FrDtTm>{today}T00:00:00</FrDtTm><ToDtTm>{today}T23:59:59</ToDtTm></FrToDt>\n\
             {entries}  </Stmt>\n </BkToCstmrStmt>\n</Document>\n"
        )
    }

    /// Serves on `listener` until the process is told to stop.
    ///
    /// # Errors
    /// [`Error::Internal`] when the listener cannot be used.
    pub fn serve(&self, listener: TcpListener) -> Result<Server> {
        self.server(listener, true)
    }

    /// Serves on port 8091 of the loopback address, or on a free one if that is taken, beside whatever else this process does.
    ///
    /// # Errors
    /// [`Error::Internal`] when there is none.
    pub fn start(&self) -> Result<Running> {
        let failed = |error| Error::internal("cannot listen for the simulated provider", error);
        let bind = |port| TcpListener::bind((Ipv4Addr::LOCALHOST, port));
        let listener = bind(PORT).or_else(|_| bind(0)).map_err(failed)?;
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
                .service(web::resource("/payments").get(show).post(pay))
                .service(web::resource("/mode").put(set))
                .service(web::resource("/flush").post(flush))
                .service(web::resource("/statement").get(statement))
        })
        .workers(1)
        .shutdown_timeout(1)
        .listen(listener)
        .map_err(|error| Error::internal("cannot serve the simulated provider", error))?;
        Ok(if signals { server.run() } else { server.disable_signals().run() })
    }
}

/// Writes a text so that it can stand in XML.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

fn unfit(error: &serde_json::Error) -> HttpResponse {
    HttpResponse::BadRequest().json(json!({ "detail": error.to_string() }))
}

async fn pay(simulator: web::Data<Simulator>, body: web::Bytes) -> HttpResponse {
    match serde_json::from_slice::<Pay>(&body) {
        Ok(pay) if pay.amount_kopecks > 0 => {
            let id = simulator.pay(pay).await;
            HttpResponse::Ok().json(json!({ "id": id, "last": simulator.told().last() }))
        }
        Ok(_) => HttpResponse::BadRequest().json(json!({ "detail": "pay a kopeck at least" })),
        Err(error) => unfit(&error),
    }
}

async fn show(simulator: web::Data<Simulator>) -> HttpResponse {
    HttpResponse::Ok().json(simulator.with(|state| {
        let taken =
            state.taken.iter().map(|(id, at, pay)| json!({ "id": id, "at": at, "paid": pay }));
        json!({
            "mode": state.mode, "taken": taken.collect::<Vec<_>>(), "held": state.held.len(),
            "told": state.told,
        })
    }))
}

async fn set(simulator: web::Data<Simulator>, body: web::Bytes) -> HttpResponse {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Asked {
        mode: Mode,
    }
    match serde_json::from_slice::<Asked>(&body) {
        Ok(Asked { mode }) => {
            simulator.play(mode);
            HttpResponse::Ok().json(json!({ "mode": mode }))
        }
        Err(error) => unfit(&error),
    }
}

async fn flush(simulator: web::Data<Simulator>) -> HttpResponse {
    let told = simulator.flush().await;
    HttpResponse::Ok().json(json!({ "told": told }))
}

async fn statement(simulator: web::Data<Simulator>) -> HttpResponse {
    HttpResponse::Ok().content_type("application/xml").body(simulator.statement())
}
