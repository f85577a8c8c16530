//! The registers of other agencies: who is asked what, how, and what becomes of the answers.
//!
//! A register is named by a check of a definition and configured under that name ([`Register`]); a name that is not
//! configured is asked by officers, by hand. [`protocol`] is what goes over the wire (`openapi/registers.md` says it for
//! the other side), [`client`] sends a question and believes only a signed answer, [`breaker`] leaves a register alone
//! that does not answer, [`reception`] takes answers in, whichever way they come. The job that asks is
//! `worker::registers`; the operation that late answers come by is in `api::callbacks`.

pub mod breaker;
pub mod client;
pub mod metrics;
pub mod protocol;
pub mod reception;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use self::client::Client;
use self::metrics::RegisterMetrics;
use crate::webhook::{Key, KeyError};

/// How long a register has for an answer, when nothing else is said.
const TIMEOUT: Duration = Duration::from_secs(10);

/// The longest that a register can be given: a job must end before its lease does.
const LONGEST_TIMEOUT: u64 = 30;

/// How a register is written down.
pub const REGISTER_FORM: &str = "its name, its https:// URL (http:// only on this machine) and a whsec_ secret of at \
                                 least 24 bytes in base64, with spaces between; then timeout=1s to timeout=30s if need be";

/// A register that answers by itself.
#[derive(Clone, PartialEq, Eq)]
pub struct Register {
    name: String,
    url: String,
    keys: Vec<Key>,
    timeout: Duration,
}

/// Says why a text names no register. Never repeats it, as it holds a secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RegisterError {
    /// Not of the form.
    #[error("a register without name, URL or secret")]
    Form,
    /// The name is none that a definition could use.
    #[error("a register whose name is not of letters and digits in camelCase")]
    Name,
    /// The address.
    #[error("for {0} no address that personal data may be sent to")]
    Url(String),
    /// A secret.
    #[error("for {0} {1}")]
    Key(String, KeyError),
    /// The time limit.
    #[error("for {0} a time limit that is not of 1s to 30s")]
    Timeout(String),
}

impl Register {
    /// Makes a register whose URL, name and keys are known to be right.
    #[must_use]
    pub fn new(name: &str, url: &str, keys: Vec<Key>, timeout: Duration) -> Self {
        Self { name: name.to_owned(), url: url.to_owned(), keys, timeout }
    }

    /// Parses `name url whsec_… [whsec_…] [timeout=10s]`, as the settings have it. The first secret signs, any verifies.
    ///
    /// # Errors
    /// [`RegisterError`] says what is wrong.
    pub fn parse(text: &str) -> Result<Self, RegisterError> {
        let mut words = text.split_whitespace();
        let (Some(name), Some(url)) = (words.next(), words.next()) else {
            return Err(RegisterError::Form);
        };
        let camel = name.starts_with(|first: char| first.is_ascii_lowercase())
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric())
            && name.len() <= 60;
        if !camel {
            return Err(RegisterError::Name);
        }
        if !is_safe(url) {
            return Err(RegisterError::Url(name.to_owned()));
        }
        let (mut keys, mut timeout) = (Vec::new(), TIMEOUT);
        for word in words {
            if let Some(limit) = word.strip_prefix("timeout=") {
                let seconds = limit.strip_suffix('s').and_then(|number| number.parse().ok());
                let seconds = seconds.filter(|number| (1..=LONGEST_TIMEOUT).contains(number));
                let seconds = seconds.ok_or_else(|| RegisterError::Timeout(name.to_owned()))?;
                timeout = Duration::from_secs(seconds);
            } else {
                let key = Key::parse(word);
                keys.push(key.map_err(|error| RegisterError::Key(name.to_owned(), error))?);
            }
        }
        if keys.is_empty() {
            return Err(RegisterError::Form);
        }
        Ok(Self::new(name, url, keys, timeout))
    }

    /// Gives the name that definitions use.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Gives the address that is asked.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Gives the keys that sign what it sends; what we send is signed with the first.
    #[must_use]
    pub fn keys(&self) -> &[Key] {
        &self.keys
    }

    /// Gives how long it has for an answer.
    #[must_use]
    pub const fn timeout(&self) -> Duration {
        self.timeout
    }
}

impl fmt::Debug for Register {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Register")
            .field("name", &self.name)
            .field("url", &self.url)
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}

/// Tells whether personal data may be sent there: encrypted, or not leaving this machine. No password in the address.
fn is_safe(url: &str) -> bool {
    let Some((scheme, rest)) = url.split_once("://") else { return false };
    let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let here = ["localhost", "127.0.0.1", "[::1]"].iter().any(|name| {
        host.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with(':'))
    });
    let known = scheme == "https" || (scheme == "http" && here);
    known && !host.is_empty() && !host.contains('@') && url.is_ascii() && !rest.contains('#')
}

/// Every register that answers by itself, and what asking them takes. Cheap to clone.
#[derive(Clone)]
pub struct Registers(Arc<Parts>);

struct Parts {
    all: BTreeMap<String, Register>,
    client: Client,
    metrics: RegisterMetrics,
    public_url: String,
}

impl Registers {
    /// Makes them; `public_url` is how they reach us.
    #[must_use]
    pub fn new(registers: &[Register], public_url: &str) -> Self {
        let all = registers.iter().map(|one| (one.name.clone(), one.clone())).collect();
        Self(Arc::new(Parts {
            all,
            client: Client::default(),
            metrics: RegisterMetrics::default(),
            public_url: public_url.to_owned(),
        }))
    }

    /// Finds a register by its name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Register> {
        self.0.all.get(name)
    }

    /// Gives their names.
    #[must_use]
    pub fn names(&self) -> BTreeSet<String> {
        self.0.all.keys().cloned().collect()
    }

    /// Gives what sends questions.
    #[must_use]
    pub fn client(&self) -> &Client {
        &self.0.client
    }

    /// Gives what is counted.
    #[must_use]
    pub fn metrics(&self) -> &RegisterMetrics {
        &self.0.metrics
    }

    /// Gives the address at which a register answers later.
    #[must_use]
    pub fn callback_url(&self, name: &str) -> String {
        format!("{}/v1/callbacks/registers/{name}", self.0.public_url)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

    #[test]
    fn a_register_is_named_by_name_address_and_secret() {
        let text = format!(" taxNumbers  https://tax.example/ask {SECRET} timeout=3s {SECRET}");
        let register = Register::parse(&text).unwrap();
        assert_eq!((register.name(), register.url()), ("taxNumbers", "https://tax.example/ask"));
        assert_eq!((register.keys().len(), register.timeout()), (2, Duration::from_secs(3)));
        let here = Register::parse(&format!("a http://127.0.0.1:1/a {SECRET}")).unwrap();
        assert_eq!(here.timeout(), TIMEOUT);
        let shown = format!("{register:?}");
        assert!(!shown.contains("whsec") && !shown.contains("MfKQ"), "{shown}");
        assert!(!shown.contains("49"), "no bytes of the key: {shown}");
    }

    #[test]
    fn what_is_wrong_is_said_without_the_secret() {
        for (text, error) in [
            (String::new(), RegisterError::Form),
            ("a https://a.example".into(), RegisterError::Form),
            (format!("Tax https://a.example {SECRET}"), RegisterError::Name),
            (format!("a-b https://a.example {SECRET}"), RegisterError::Name),
            (format!("a http://a.example {SECRET}"), RegisterError::Url("a".into())),
            (format!("a http://localhost.example {SECRET}"), RegisterError::Url("a".into())),
            (format!("a https://u:p@a.example {SECRET}"), RegisterError::Url("a".into())),
            (format!("a a.example {SECRET}"), RegisterError::Url("a".into())),
            ("a https://a hunter2".into(), RegisterError::Key("a".into(), KeyError::Prefix)),
            (format!("a https://a {SECRET} timeout=0s"), RegisterError::Timeout("a".into())),
            (format!("a https://a {SECRET} timeout=31s"), RegisterError::Timeout("a".into())),
            (format!("a https://a {SECRET} timeout=5"), RegisterError::Timeout("a".into())),
        ] {
            let found = Register::parse(&text).unwrap_err();
            assert_eq!(found, error, "{text}");
            assert!(!found.to_string().contains("hunter2") && !found.to_string().contains("MfKQ"));
        }
    }
}
