//! Asks a witness for its cosignature.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use ureq::Agent;

use super::super::decimal;
use super::super::merkle::Hash;
use super::super::note::{self, KeyError, NoteError, SignatureType, VerifierKey};
use super::AddCheckpoint;

/// How long a witness has for its answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// The longest answer that is read, in bytes.
const LONGEST_ANSWER: u64 = 64 * 1024;

/// A witness that is asked: its key and its address.
#[derive(Clone)]
pub struct Witness {
    key: VerifierKey,
    url: String,
    agent: Agent,
}

/// Says why a text names no witness.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WitnessError {
    /// Not of the form.
    #[error(
        "a witness is named by its verifier key, a space and its address (http:// or https://)"
    )]
    Form,
    /// The key.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The key is not one of cosignatures.
    #[error("the key of the witness {0} is not one that cosigns (type 0x04)")]
    Type(String),
}

/// Says why there is no cosignature.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AskError {
    /// The witness knows another checkpoint as its last (409): ask again from this size.
    #[error("the witness knows {size} leaves")]
    Known {
        /// The size of the checkpoint that it cosigned last.
        size: u64,
    },
    /// The witness refuses.
    #[error("the witness answers {status}: {told}")]
    Refused {
        /// The HTTP status.
        status: u16,
        /// The first line of what it says.
        told: String,
    },
    /// The witness is away.
    #[error("the witness does not answer: {0}")]
    Away(String),
    /// The answer is no cosignature of the checkpoint by the witness.
    #[error("the witness's answer is no cosignature of the checkpoint by its key: {0}")]
    Answer(#[from] NoteError),
}

impl Witness {
    /// Parses `<vkey> <url>`, as the settings have it; the address is the witness's submission prefix.
    ///
    /// # Errors
    /// [`WitnessError`] says what is wrong.
    pub fn parse(text: &str) -> Result<Self, WitnessError> {
        let (key, url) = text.trim().split_once(' ').ok_or(WitnessError::Form)?;
        let (key, url) = (VerifierKey::parse(key)?, url.trim().trim_end_matches('/'));
        if key.kind() != SignatureType::Cosignature {
            return Err(WitnessError::Type(key.name().to_owned()));
        }
        let known = url.starts_with("https://") || url.starts_with("http://");
        if !known || url.contains(char::is_whitespace) {
            return Err(WitnessError::Form);
        }
        let agent = Agent::config_builder()
            .timeout_global(Some(PATIENCE))
            .user_agent(concat!("propusk/", env!("CARGO_PKG_VERSION")))
            .max_redirects(0)
            .http_status_as_error(false)
            .build();
        Ok(Self { key, url: url.to_owned(), agent: agent.into() })
    }

    /// Gives the key that verifies its cosignatures.
    #[must_use]
    pub const fn key(&self) -> &VerifierKey {
        &self.key
    }

    /// Asks for a cosignature of the checkpoint `note`, with the consistency proof from `old` leaves; gives the
    /// signature line with its newline, verified. Blocks for a few seconds at the most.
    ///
    /// # Errors
    /// [`AskError`]; of these [`AskError::Known`] says from which size to ask again.
    pub fn ask(&self, old: u64, proof: &[Hash], note: &str) -> Result<String, AskError> {
        let request = AddCheckpoint { old, proof: proof.to_vec(), note: note.to_owned() };
        let away = |error: ureq::Error| AskError::Away(error.to_string());
        let mut answer = self
            .agent
            .post(format!("{}/add-checkpoint", self.url))
            .content_type("text/plain; charset=utf-8")
            .send(request.to_string())
            .map_err(away)?;
        let status = answer.status().as_u16();
        let text = answer
            .body_mut()
            .with_config()
            .limit(LONGEST_ANSWER)
            .lossy_utf8(true)
            .read_to_string()
            .map_err(away)?;
        match status {
            200 => {
                let keys = std::slice::from_ref(&self.key);
                let lines = note::cosignatures(note::text(note)?, &text, keys)?;
                Ok(lines.into_iter().map(|one| one.line + "\n").collect())
            }
            409 => match text.strip_suffix('\n').and_then(decimal) {
                Some(size) => Err(AskError::Known { size }),
                None => Err(AskError::Refused { status, told: first_line(&text) }),
            },
            _ => Err(AskError::Refused { status, told: first_line(&text) }),
        }
    }
}

/// Gives the first line of an answer, fit for a line of the log.
fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().chars().filter(|c| !c.is_control()).take(200).collect()
}

impl FromStr for Witness {
    type Err = WitnessError;

    fn from_str(text: &str) -> Result<Self, WitnessError> {
        Self::parse(text)
    }
}

impl fmt::Display for Witness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.key, self.url)
    }
}

impl fmt::Debug for Witness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Witness({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::note::LogKey;
    use super::*;

    #[test]
    fn a_witness_is_named_by_key_and_address() {
        let key = LogKey::generate("witness.example", [1; 32]).unwrap();
        let vkey = key.cosigner_verifier();
        let witness = Witness::parse(&format!(" {vkey}  https://witness.example/ ")).unwrap();
        assert_eq!(witness.to_string(), format!("{vkey} https://witness.example"));
        assert_eq!(witness.key(), &vkey);
        for (text, error) in [
            (String::new(), WitnessError::Form),
            (vkey.to_string(), WitnessError::Form),
            (format!("{vkey} witness.example"), WitnessError::Form),
            (format!("{vkey} https://a https://b"), WitnessError::Form),
            ("key https://a".to_owned(), WitnessError::Key(KeyError::Verifier)),
            (
                format!("{} https://a", key.verifier()),
                WitnessError::Type("witness.example".to_owned()),
            ),
        ] {
            assert_eq!(Witness::parse(&text).unwrap_err(), error, "{text}");
        }
    }
}
