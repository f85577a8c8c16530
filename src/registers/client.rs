//! Asks a register over HTTP; believes an answer only when it is signed, whole and to the question.

use std::io::Read as _;
use std::time::Duration;

use ureq::Agent;

use super::Register;
use super::protocol::{AnswerMessage, LARGEST_ANSWER, Question, digest, read};
use crate::clock::SharedClock;
use crate::webhook::{self, Signed};

/// What came of asking.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// It answered.
    Answered {
        /// The answer.
        answer: AnswerMessage,
        /// SHA-256 of its bytes.
        digest: String,
    },
    /// It will answer later, by a callback.
    Later,
    /// It refuses this question: asking again is of no use.
    Refused(String),
    /// It did not answer, or with what cannot be believed.
    Failed(String),
}

/// What a server answered to a message.
pub struct Response {
    /// HTTP status.
    pub status: u16,
    /// Its header fields of Standard Webhooks, as far as they are there.
    fields: Vec<(&'static str, String)>,
    /// The body.
    pub body: Vec<u8>,
}

/// Sends signed messages. Cheap to clone; all clones share their connections.
#[derive(Clone)]
pub struct Client(Agent);

impl Default for Client {
    fn default() -> Self {
        let agent = Agent::config_builder()
            .user_agent(concat!("propusk/", env!("CARGO_PKG_VERSION")))
            .max_redirects(0)
            .http_status_as_error(false)
            .build();
        Self(agent.into())
    }
}

impl Client {
    /// Asks a register. Blocks for the register's time limit at the most.
    #[must_use]
    pub fn ask(&self, register: &Register, question: &Question, clock: &SharedClock) -> Reply {
        let Some(key) = register.keys().first() else {
            return Reply::Failed("has no key to sign with".to_owned());
        };
        let Ok(body) = serde_json::to_vec(question) else {
            return Reply::Failed("cannot be asked this".to_owned());
        };
        let id = question.request_id.to_string();
        let signed = key.sign(&id, clock.now(), &body);
        let response = match self.post(register.url(), &signed, &body, register.timeout()) {
            Ok(response) => response,
            Err(reason) => return Reply::Failed(reason),
        };
        match response.status {
            200 => believe(register, &id, &response, clock),
            202 => Reply::Later,
            status @ (408 | 425 | 429) => Reply::Failed(format!("answers {status}")),
            status @ 400..500 => Reply::Refused(format!("answers {status}")),
            status => Reply::Failed(format!("answers {status}")),
        }
    }

    /// Sends a signed message and reads what comes back. Blocks for `limit` at the most.
    ///
    /// # Errors
    /// Why there is no answer, in words that repeat nothing of it.
    pub fn post(
        &self,
        url: &str,
        signed: &Signed,
        body: &[u8],
        limit: Duration,
    ) -> Result<Response, String> {
        let away = |error: ureq::Error| match error {
            ureq::Error::Timeout(_) => {
                format!("does not answer within {} seconds", limit.as_secs_f32())
            }
            other => format!("does not answer: {other}"),
        };
        let mut request = self.0.post(url).content_type("application/json");
        for (name, value) in signed.fields() {
            request = request.header(name, value);
        }
        let request = request.config().timeout_global(Some(limit)).build();
        let mut response = request.send(body).map_err(away)?;
        let fields = [webhook::ID, webhook::TIMESTAMP, webhook::SIGNATURE]
            .into_iter()
            .filter_map(|name| {
                Some((name, response.headers().get(name)?.to_str().ok()?.to_owned()))
            })
            .collect();
        let mut body = Vec::new();
        // One byte more than is taken: what is longer shows.
        let most = LARGEST_ANSWER as u64 + 1;
        let reader = response.body_mut().with_config().limit(most + 1).reader();
        reader
            .take(most)
            .read_to_end(&mut body)
            .map_err(|error| format!("breaks its answer off: {error}"))?;
        Ok(Response { status: response.status().as_u16(), fields, body })
    }
}

/// Takes an answer for what it says, once it is known whose it is and to what.
fn believe(register: &Register, id: &str, response: &Response, clock: &SharedClock) -> Reply {
    let failed = |reason: &str| Reply::Failed(reason.to_owned());
    let Response { fields, body, .. } = response;
    if body.len() > LARGEST_ANSWER {
        return failed("answers more than is read");
    }
    let field = |name: &str| {
        fields.iter().find(|(known, _)| *known == name).map(|(_, value)| value.as_str())
    };
    let Some(signed) = webhook::verify(field, body, register.keys(), clock.now()) else {
        return failed("answers without a right signature");
    };
    let Some(answer) = read(body) else { return failed("answers what cannot be read") };
    if signed != id || answer.request_id.to_string() != id {
        return failed("answers another request");
    }
    Reply::Answered { answer, digest: digest(body) }
}
