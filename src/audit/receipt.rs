//! What a receipt proves: that one event stands in the log, and, while its content exists, what the event was. Pure.
//!
//! A receipt is a C2SP tlog-proof file ([`LogProof`]) whose `extra` is JSON: `leaf` is the public leaf; `salt` and
//! `private` open its commitment, and are absent after the content was erased; `v` is 1.

use chrono::{DateTime, SecondsFormat, Utc};
use serde::Deserialize;
use serde_json::Value;
use uuid::Uuid;

use super::merkle::leaf_hash;
use super::note::{SignedCheckpoint, VerifierKey};
use super::proof::{LogProof, LogProofError, Unproven};
use crate::domain::event::leaf::{Leaf, LeafError};
use crate::domain::event::sealed::{NotCanonical, SALT, canonical, commitment, pseudonym};
use crate::domain::event::{Act, BuiltIn};
use crate::domain::workflow::definition::CommandName;

/// A receipt of which everything was verified.
#[derive(Debug, Clone, PartialEq)]
pub struct Receipt {
    /// What is public of the event.
    pub leaf: Leaf,
    /// The event's index in the log, from 0.
    pub index: u64,
    /// The checkpoint in which the log included it.
    pub signed: SignedCheckpoint,
    /// What else the log committed to; `None` when the receipt has no content (any more).
    pub private: Option<Private>,
}

/// What the log committed to and only the receipt shows.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Private {
    /// The event.
    pub event: Uuid,
    /// When, in microseconds.
    pub at: DateTime<Utc>,
    /// The account that acted; `None` when no person did.
    pub actor: Option<Uuid>,
    /// As what it acted.
    pub role: String,
    /// The application.
    pub application: Option<Uuid>,
    /// The command.
    pub command: Option<String>,
    /// The state before.
    pub from: Option<String>,
    /// The state after.
    pub to: Option<String>,
    /// Of a read: what for.
    pub purpose: Option<String>,
    /// Of a read of a list: the applications that it showed.
    #[serde(default)]
    pub subjects: Vec<Uuid>,
    /// What was asked and what it changed.
    pub content: Value,
    /// The version of the form, 1.
    v: u32,
}

/// The `extra` of a receipt.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Extra {
    v: u32,
    leaf: Value,
    salt: Option<String>,
    private: Option<Value>,
}

/// The first thing that is wrong with a receipt.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReceiptError {
    /// The file is no proof.
    #[error(transparent)]
    File(#[from] LogProofError),
    /// The extra data is missing or not of the form.
    #[error("the line 'extra' of the receipt is not that of a receipt: {0}")]
    Extra(String),
    /// The leaf is not of the form.
    #[error("the receipt's leaf cannot stand in the log: {0}")]
    Leaf(#[from] LeafError),
    /// The leaf does not stand in the log.
    #[error("{0}")]
    Unproven(#[from] Unproven),
    /// The content has no canonical form.
    #[error("the receipt's content is not what the log committed to: {0}")]
    NotCanonical(#[from] NotCanonical),
    /// Content or salt are not those of the commitment.
    #[error("the receipt's content is not what the log committed to: their SHA-256 differs")]
    Commitment,
    /// Leaf and content say different things, although the log committed to both.
    #[error("leaf and content of the event contradict each other: {0}")]
    Contradiction(&'static str),
}

/// Writes the `extra` of a receipt: the leaf, and, unless they were erased, the salt and the private content as it
/// was committed to.
#[must_use]
pub fn extra(leaf: &Leaf, opening: Option<(&[u8; SALT], &str)>) -> Vec<u8> {
    let leaf = leaf.encode();
    let mut extra = b"{\"leaf\":".to_vec();
    extra.extend_from_slice(&leaf);
    if let Some((salt, private)) = opening {
        extra.extend_from_slice(b",\"private\":");
        extra.extend_from_slice(private.as_bytes());
        let digits: String = salt.iter().map(|byte| format!("{byte:02x}")).collect();
        extra.extend_from_slice(format!(",\"salt\":\"{digits}\"").as_bytes());
    }
    extra.extend_from_slice(b",\"v\":1}");
    extra
}

impl Receipt {
    /// Reads a receipt's file and verifies everything in it, with the keys of the log and of witnesses that are
    /// trusted.
    ///
    /// # Errors
    /// [`ReceiptError`] names the first thing that is wrong.
    pub fn open(file: &str, keys: &[VerifierKey]) -> Result<Self, ReceiptError> {
        let proof = LogProof::parse(file)?;
        let wrong = |why: &str| ReceiptError::Extra(why.to_owned());
        let bytes = proof.extra.as_deref().ok_or_else(|| wrong("there is none"))?;
        let Extra { v, leaf, salt, private } =
            serde_json::from_slice(bytes).map_err(|error| wrong(&error.to_string()))?;
        if v != 1 {
            return Err(wrong("only version 1 is known"));
        }
        let bytes = canonical(&leaf)?;
        let leaf = Leaf::parse(bytes.as_bytes())?;
        let signed = proof.verify(&leaf_hash(bytes.as_bytes()), keys)?;
        let private = match (salt, private) {
            (None, None) => None,
            (Some(salt), Some(private)) => {
                let salt = salt_of(&salt)
                    .ok_or_else(|| wrong("the salt is not 32 bytes in hexadecimal"))?;
                Some(opened(&leaf, &salt, private)?)
            }
            _ => return Err(wrong("salt and private content come together or not at all")),
        };
        Ok(Self { leaf, index: proof.index, signed, private })
    }
}

fn salt_of(digits: &str) -> Option<[u8; SALT]> {
    let lower = digits.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    if digits.len() != 2 * SALT || !lower {
        return None;
    }
    let mut salt = [0; SALT];
    for (place, byte) in salt.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&digits[2 * place..2 * place + 2], 16).ok()?;
    }
    Some(salt)
}

/// Checks the private content against the leaf's commitment, and that both say the same.
fn opened(leaf: &Leaf, salt: &[u8; SALT], private: Value) -> Result<Private, ReceiptError> {
    if commitment(salt, &canonical(&private)?) != leaf.commitment {
        return Err(ReceiptError::Commitment);
    }
    let at = private.get("at").cloned();
    let private: Private = serde_json::from_value(private)
        .map_err(|error| ReceiptError::Extra(format!("the private content: {error}")))?;
    if private.v != 1 {
        return Err(ReceiptError::Extra(
            "only version 1 of the private content is known".to_owned(),
        ));
    }
    let written = private.at.to_rfc3339_opts(SecondsFormat::Micros, true);
    let expected = private.application.map(|application| pseudonym(salt, application));
    let known = private.command.as_deref().and_then(kind_of);
    let contradiction = if private.event != leaf.event {
        "the event's id"
    } else if private.at.timestamp() != leaf.at || at != Some(Value::String(written)) {
        "the time"
    } else if expected != leaf.pseudonym {
        "the application and its pseudonym"
    } else if known.is_some_and(|kind| kind != leaf.kind) {
        "the command and the kind of the event"
    } else {
        return Ok(private);
    };
    Err(ReceiptError::Contradiction(contradiction))
}

/// Gives the kind of event that a command leaves; `None` for a command that this version does not know.
fn kind_of(command: &str) -> Option<&'static str> {
    let acts = CommandName::ALL.into_iter().map(Act::Command);
    let mut acts = acts.chain(BuiltIn::ALL.into_iter().map(Act::BuiltIn));
    acts.find(|act| act.name() == command).map(Act::event)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::super::checkpoint::Checkpoint;
    use super::super::merkle::{Hash, ProofError, node_hash};
    use super::super::note::{LogKey, LogKeys, NoteError};
    use super::*;

    const SALT_BYTES: [u8; 32] = [7; 32];
    const APPLICATION: Uuid = Uuid::from_u128(3);

    fn keys() -> LogKeys {
        LogKeys::new(vec![LogKey::generate("log.example", [1; 32]).unwrap()]).unwrap()
    }

    fn private() -> Value {
        json!({
            "actor": Uuid::from_u128(2), "application": APPLICATION,
            "at": "2026-11-24T10:00:00.123456Z", "command": "accept", "content": { "changes": [] },
            "event": Uuid::from_u128(1), "from": "submitted", "role": "officer", "to": "checking", "v": 1,
        })
    }

    fn leaf(private: &Value) -> Leaf {
        Leaf {
            at: 1_795_514_400,
            commitment: commitment(&SALT_BYTES, &canonical(private).unwrap()),
            event: Uuid::from_u128(1),
            kind: "accepted".to_owned(),
            pseudonym: Some(pseudonym(&SALT_BYTES, APPLICATION)),
            seq: Some(4),
            track: Some("patent".to_owned()),
            unit: Some("77".to_owned()),
            workflow: Some(1),
        }
    }

    /// A log whose second leaf is this one, and its receipt.
    fn receipt(leaf: &Leaf, extra: Vec<u8>) -> String {
        let first: Hash = leaf_hash(b"first");
        let root = node_hash(&first, &leaf_hash(&leaf.encode()));
        let checkpoint = Checkpoint { origin: "log.example".to_owned(), size: 2, root };
        let proof = LogProof {
            extra: Some(extra),
            index: 1,
            hashes: vec![first],
            checkpoint: keys().sign_checkpoint(&checkpoint, 1_795_600_000).unwrap(),
        };
        proof.to_string()
    }

    fn whole(private: &Value) -> String {
        let leaf = leaf(private);
        receipt(&leaf, extra(&leaf, Some((&SALT_BYTES, &canonical(private).unwrap()))))
    }

    fn open(file: &str) -> Result<Receipt, ReceiptError> {
        Receipt::open(file, &keys().verifiers())
    }

    #[test]
    fn a_receipt_shows_the_event_and_where_it_stands() {
        let receipt = open(&whole(&private())).unwrap();
        assert_eq!((receipt.index, receipt.signed.checkpoint.size), (1, 2));
        assert_eq!(receipt.leaf.kind, "accepted");
        let shown = receipt.private.unwrap();
        assert_eq!(shown.application, Some(APPLICATION));
        assert_eq!(shown.command.as_deref(), Some("accept"));
    }

    #[test]
    fn a_receipt_without_content_still_proves_the_leaf() {
        let leaf = leaf(&private());
        let receipt = open(&receipt(&leaf, extra(&leaf, None))).unwrap();
        assert_eq!((receipt.private, receipt.leaf), (None, leaf));
    }

    #[test]
    fn the_extra_is_as_documented() {
        let leaf = leaf(&private());
        let text = String::from_utf8(extra(&leaf, Some((&SALT_BYTES, "{}")))).unwrap();
        let digits = "07".repeat(32);
        let leaf = String::from_utf8(leaf.encode()).unwrap();
        assert_eq!(
            text,
            format!("{{\"leaf\":{leaf},\"private\":{{}},\"salt\":\"{digits}\",\"v\":1}}")
        );
    }

    #[test]
    fn what_is_wrong_with_a_receipt_is_named() {
        let private = private();
        let good = leaf(&private);
        let text = canonical(&private).unwrap();
        let opening = Some((&SALT_BYTES, text.as_str()));
        let with = |extra: &str| receipt(&good, extra.as_bytes().to_vec());
        let full = String::from_utf8(extra(&good, opening)).unwrap();

        let told = |file: &str| open(file).unwrap_err().to_string();
        assert_eq!(told(""), "the file does not begin with the line c2sp.org/tlog-proof@v1");
        assert!(told(&with("{}")).starts_with("the line 'extra' of the receipt"));
        assert!(
            told(&with(&full.replace("\"v\":1}", "\"v\":1,\"x\":1}"))).contains("unknown field")
        );
        assert!(
            told(&with(&full.replace("},\"salt\"", "},\"v\":2,\"salt\"")))
                .contains("duplicate field")
        );
        assert_eq!(
            open(&with(&full.replace("\"salt\":\"0707", "\"salt\":\"0807"))),
            Err(ReceiptError::Commitment)
        );
        assert!(
            told(&with(&full.replace("\"salt\":\"0707", "\"salt\":\"07"))).contains("32 bytes")
        );
        assert_eq!(
            open(&with(&full.replace("submitted", "drafted"))),
            Err(ReceiptError::Commitment)
        );
        assert!(told(&with(&full.replace("[]", "1.5"))).contains("53 bits"));
        assert_eq!(
            open(&with(&full.replace("\"unit\":\"77\"", "\"unit\":\"78\""))),
            Err(Unproven::Inclusion(ProofError::Root).into())
        );
        assert!(
            told(&with(&full.replace("\"seq\":4", "\"number\":4")))
                .contains("cannot stand in the log")
        );
        let alone = format!(
            "{{\"leaf\":{},\"salt\":\"{}\",\"v\":1}}",
            String::from_utf8(good.encode()).unwrap(),
            "07".repeat(32)
        );
        assert!(told(&with(&alone)).contains("come together"));
        assert_eq!(
            Receipt::open(&with(&full), &[]),
            Err(Unproven::Note(NoteError::Unsigned).into())
        );
        // The file's form may differ, as long as it says the same.
        open(&with(&full.replace("{\"leaf\":", "{ \"leaf\": "))).unwrap();
    }

    #[test]
    fn a_log_that_committed_to_something_else_than_its_leaf_says_is_found() {
        let commits = |member: &str, value: Value| {
            let mut other = private();
            other[member] = value;
            whole(&other)
        };
        for (member, value, told) in [
            ("event", json!(Uuid::from_u128(9)), "the event's id"),
            ("at", json!("2026-11-24T10:00:01.000000Z"), "the time"),
            ("at", json!("2026-11-24T10:00:00Z"), "the time"),
            ("application", json!(Uuid::from_u128(9)), "the application and its pseudonym"),
            ("command", json!("refuse"), "the command and the kind of the event"),
        ] {
            let found = open(&commits(member, value));
            assert_eq!(found, Err(ReceiptError::Contradiction(told)), "{member}");
        }
        open(&commits("command", json!("aCommandOfTomorrow"))).unwrap();
        let mut anonymous = private();
        anonymous.as_object_mut().unwrap().remove("application");
        assert_eq!(
            open(&whole(&anonymous)),
            Err(ReceiptError::Contradiction("the application and its pseudonym"))
        );
        assert!(matches!(open(&commits("v", json!(2))), Err(ReceiptError::Extra(_))));
        assert!(matches!(open(&commits("more", json!(2))), Err(ReceiptError::Extra(_))));
    }

    proptest! {
        #[test]
        fn any_extra_is_opened_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..100), place in any::<prop::sample::Index>(), byte in any::<u8>()) {
            let private = private();
            let leaf = leaf(&private);
            let _ = open(&receipt(&leaf, bytes));
            let mut near = extra(&leaf, Some((&SALT_BYTES, &canonical(&private).unwrap())));
            let place = place.index(near.len());
            let same = near[place] == byte;
            near[place] = byte;
            prop_assert_eq!(open(&receipt(&leaf, near)).is_ok(), same);
        }
    }
}
