//! What a witness is asked and how it decides, after C2SP tlog-witness. Pure, but for the [`client`].
//!
//! A witness signs that a log's checkpoint continues everything that it has seen of the log before. Who keeps what was
//! seen, and serves the answers, is [`crate::witness`].

pub mod client;
pub mod cosigning;

use std::fmt;

use super::checkpoint::{Checkpoint, CheckpointError};
use super::merkle::{Hash, ProofError, empty_root, verify_consistency};
use super::note::{self, NoteError, SignatureType, SignedCheckpoint, VerifierKey};
use super::{base64, decimal, hash_from_base64};

/// The most hashes a request may have.
pub const MOST_HASHES: usize = 63;

/// What a log asks of a witness: the body of `add-checkpoint`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AddCheckpoint {
    /// The size of the checkpoint that the witness is thought to know.
    pub old: u64,
    /// The consistency proof from there.
    pub proof: Vec<Hash>,
    /// The new checkpoint, a whole note.
    pub note: String,
}

/// Says what is wrong with a request's form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// The first line.
    #[error("the request does not begin with the line 'old' and a decimal number")]
    Old,
    /// One of the hashes.
    #[error("hash {0} of the proof is not the base64 form of 32 bytes")]
    Hash(usize),
    /// More hashes than any tree needs.
    #[error("the proof has more than {MOST_HASHES} hashes")]
    Hashes,
    /// No blank line, or no checkpoint after it.
    #[error("the request has no blank line with a signed checkpoint after it")]
    Checkpoint,
}

impl AddCheckpoint {
    /// Parses a request's body: exactly what printing it gives, and nothing else.
    ///
    /// # Errors
    /// [`RequestError`] names the line.
    pub fn parse(body: &str) -> Result<Self, RequestError> {
        let (first, rest) = body.split_once('\n').ok_or(RequestError::Old)?;
        let old = first.strip_prefix("old ").and_then(decimal).ok_or(RequestError::Old)?;
        let mut rest = rest;
        let mut proof = Vec::new();
        loop {
            let (line, after) = rest.split_once('\n').ok_or(RequestError::Checkpoint)?;
            rest = after;
            if line.is_empty() {
                break;
            }
            if proof.len() == MOST_HASHES {
                return Err(RequestError::Hashes);
            }
            proof.push(hash_from_base64(line).ok_or(RequestError::Hash(proof.len() + 1))?);
        }
        if note::text(rest).is_err() {
            return Err(RequestError::Checkpoint);
        }
        Ok(Self { old, proof, note: rest.to_owned() })
    }
}

impl fmt::Display for AddCheckpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "old {}", self.old)?;
        for hash in &self.proof {
            writeln!(f, "{}", base64(hash))?;
        }
        write!(f, "\n{}", self.note)
    }
}

/// Why a witness does not cosign.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The request is not of the form (400).
    #[error(transparent)]
    Form(#[from] RequestError),
    /// The note's text is no checkpoint (400).
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// The old size is beyond the new one (400).
    #[error("the old size {old} is larger than the checkpoint's {size}")]
    Backwards {
        /// The old size.
        old: u64,
        /// The checkpoint's.
        size: u64,
    },
    /// The log has not signed (403).
    #[error(transparent)]
    Forbidden(NoteError),
    /// The log is not one of those that are witnessed (404).
    #[error("the log {origin} is not witnessed here")]
    UnknownLog {
        /// Its name.
        origin: String,
    },
    /// The old size is not that of the checkpoint that was cosigned last (409).
    #[error("the checkpoint that was cosigned last has {size} leaves")]
    Conflict {
        /// The size of that one.
        size: u64,
    },
    /// The checkpoint contradicts the one that was cosigned last (422).
    #[error(
        "the checkpoint does not continue the one of {old} leaves that was cosigned last: {error}"
    )]
    Inconsistent {
        /// The size of that one.
        old: u64,
        /// Why.
        error: ProofError,
        /// The checkpoint with the log's own signatures: with the one that was cosigned last it may be proof that the
        /// log contradicts itself.
        evidence: String,
    },
}

impl Refusal {
    /// Gives the HTTP status of the answer.
    #[must_use]
    pub const fn status(&self) -> u16 {
        match self {
            Self::Form(_) | Self::Checkpoint(_) | Self::Backwards { .. } => 400,
            Self::Forbidden(_) => 403,
            Self::UnknownLog { .. } => 404,
            Self::Conflict { .. } => 409,
            Self::Inconsistent { .. } => 422,
        }
    }
}

/// Decides whether to cosign: the request's checkpoint is signed by a log among `logs` (keys of type 0x01) and
/// continues the one that `last` knows to have been cosigned last for its origin, or none was.
///
/// Whoever cosigns must keep the new checkpoint first, and let no other decision for the log come between.
///
/// # Errors
/// [`Refusal`] says why not.
pub fn decide(
    request: &AddCheckpoint,
    logs: &[VerifierKey],
    last: impl FnOnce(&str) -> Option<Checkpoint>,
) -> Result<SignedCheckpoint, Refusal> {
    let text = note::text(&request.note).map_err(|_| RequestError::Checkpoint)?;
    let Checkpoint { origin, size, root } = Checkpoint::parse(text)?;
    let keys: Vec<VerifierKey> = logs
        .iter()
        .filter(|key| key.name() == origin && key.kind() == SignatureType::Ed25519)
        .cloned()
        .collect();
    if keys.is_empty() {
        return Err(Refusal::UnknownLog { origin });
    }
    let signed = note::open_checkpoint(&request.note, &keys).map_err(Refusal::Forbidden)?;
    if request.old > size {
        return Err(Refusal::Backwards { old: request.old, size });
    }
    let (old, old_root) =
        last(&origin).map_or_else(|| (0, empty_root()), |last| (last.size, last.root));
    if request.old != old {
        return Err(Refusal::Conflict { size: old });
    }
    verify_consistency(old, &old_root, size, &root, &request.proof).map_err(|error| {
        let lines = signed.signatures.iter().map(|one| format!("{}\n", one.line));
        let evidence = format!("{}\n{}", signed.text, lines.collect::<String>());
        Refusal::Inconsistent { old, error, evidence }
    })?;
    Ok(signed)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::merkle::{leaf_hash, node_hash};
    use super::super::note::{LogKey, LogKeys};
    use super::*;

    const ORIGIN: &str = "log.example";

    fn keys() -> LogKeys {
        LogKeys::new(vec![LogKey::generate(ORIGIN, [1; 32]).unwrap()]).unwrap()
    }

    fn logs() -> Vec<VerifierKey> {
        keys().verifiers()
    }

    fn checkpoint(size: u64) -> Checkpoint {
        let leaf = |number: u8| leaf_hash(&[number]);
        let root = match size {
            0 => empty_root(),
            1 => leaf(0),
            2 => node_hash(&leaf(0), &leaf(1)),
            _ => node_hash(&node_hash(&leaf(0), &leaf(1)), &leaf(2)),
        };
        Checkpoint { origin: ORIGIN.to_owned(), size, root }
    }

    fn request(old: u64, proof: &[Hash], checkpoint: &Checkpoint) -> AddCheckpoint {
        let note = keys().sign_checkpoint(checkpoint, 1_700_000_000).unwrap();
        AddCheckpoint { old, proof: proof.to_vec(), note }
    }

    fn decided(request: &AddCheckpoint, last: Option<u64>) -> Result<u64, (u16, String)> {
        decide(request, &logs(), |origin| {
            assert_eq!(origin, ORIGIN);
            last.map(checkpoint)
        })
        .map(|signed| signed.checkpoint.size)
        .map_err(|refusal| (refusal.status(), refusal.to_string()))
    }

    #[test]
    fn the_request_of_the_standard_is_read_and_written() {
        let body = "old 20852014\n\
            PlRNCrwHpqhGrupue0L7gxbjbMiKA9temvuZZDDpkaw=\n\
            jrJZDmY8Y7SyJE0MWLpLozkIVMSMZcD5kvuKxPC3swk=\n\
            5+pKlUdi2LeF/BcMHBn+Ku6yhPGNCswZZD1X/6QgPd8=\n\
            /6WVhPs2CwSsb5rYBH5cjHV/wSmA79abXAwhXw3Kj/0=\n\n\
            example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\n\
            — example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=\n\
            — example.com/behind-the-sofa opLqBQsREYCgu6xQkYQwJr9fo45a62DN9EdmHXnZdXNqlcVGlCum2Wks+49/V6267UEjw6QUXTS5Rovnzv++qbSzm9Q=\n";
        let request = AddCheckpoint::parse(body).unwrap();
        assert_eq!((request.old, request.proof.len()), (20_852_014, 4));
        assert!(request.note.starts_with("example.com/behind-the-sofa\n"));
        assert_eq!(request.to_string(), body);
    }

    #[test]
    fn everything_else_is_refused_and_named() {
        let body = request(1, &[[7; 32]], &checkpoint(2)).to_string();
        let hash = base64(&[7; 32]);
        for (body, error) in [
            (String::new(), RequestError::Old),
            (body.replace("old 1", "old 01"), RequestError::Old),
            (body.replace("old 1", "old"), RequestError::Old),
            (body.replace("old 1", "old -1"), RequestError::Old),
            (body.replace("old 1", "size 1"), RequestError::Old),
            (body.replace(&hash, &hash[4..]), RequestError::Hash(1)),
            (body.replace(&format!("{hash}\n\n"), &format!("{hash}\n")), RequestError::Hash(2)),
            (body.replace(&hash, &[hash.as_str(); 64].join("\n")), RequestError::Hashes),
            (body.split_inclusive('\n').take(3).collect(), RequestError::Checkpoint),
            (body.trim_end().to_owned(), RequestError::Checkpoint),
            ("old 0\n".to_owned(), RequestError::Checkpoint),
        ] {
            assert_eq!(AddCheckpoint::parse(&body), Err(error), "{body}");
        }
    }

    #[test]
    fn a_log_that_goes_on_is_cosigned_and_one_that_stands_still_too() {
        let two = [leaf_hash(&[1])];
        let three = [leaf_hash(&[2])];
        assert_eq!(decided(&request(0, &[], &checkpoint(0)), None), Ok(0));
        assert_eq!(decided(&request(0, &[], &checkpoint(3)), None), Ok(3));
        assert_eq!(decided(&request(0, &[], &checkpoint(3)), Some(0)), Ok(3));
        assert_eq!(decided(&request(1, &two, &checkpoint(2)), Some(1)), Ok(2));
        assert_eq!(decided(&request(2, &three, &checkpoint(3)), Some(2)), Ok(3));
        assert_eq!(decided(&request(2, &[], &checkpoint(2)), Some(2)), Ok(2));
    }

    #[test]
    fn each_refusal_has_the_status_of_the_standard() {
        let good = request(1, &[leaf_hash(&[1])], &checkpoint(2));
        let status = |request: &AddCheckpoint, last| decided(request, last).unwrap_err().0;

        // 400: no checkpoint, or backwards (before anything is said about what was seen).
        let key = &keys().keys()[0].clone();
        let text = "log.example\nnot a number\n";
        let note = note::join(text, &key.signature_line(text)).unwrap();
        assert_eq!(status(&AddCheckpoint { note, ..good.clone() }, Some(1)), 400);
        assert_eq!(status(&request(3, &[], &checkpoint(2)), Some(1)), 400);

        // 403: unsigned by the log, or with a signature under its name that is none.
        let text = checkpoint(2).to_string();
        let other = LogKey::generate(ORIGIN, [2; 32]).unwrap();
        let note = note::join(&text, &other.signature_line(&text)).unwrap();
        assert_eq!(status(&AddCheckpoint { note, ..good.clone() }, Some(1)), 403);
        let note = good.note.replace(&base64(&checkpoint(2).root), &base64(&[0; 32]));
        assert_eq!(status(&AddCheckpoint { note, ..good.clone() }, Some(1)), 403);
        let note = note::join(&text, &key.freshness_line(&text, 5)).unwrap();
        assert_eq!(status(&AddCheckpoint { note, ..good.clone() }, Some(1)), 403);

        // 404: another log.
        assert_eq!(decide(&good, &[], |_| None).unwrap_err().status(), 404);

        // 409: not what was seen last, with its size.
        let conflict = decide(&good, &logs(), |_| Some(checkpoint(2))).unwrap_err();
        assert_eq!((conflict.status(), conflict), (409, Refusal::Conflict { size: 2 }));
        assert_eq!(status(&good, None), 409);
        assert_eq!(status(&request(0, &[], &checkpoint(2)), Some(2)), 409);

        // 422: a fork, a proof that is none or too much, an empty tree with a root.
        let mut fork = checkpoint(2);
        fork.root[0] ^= 1;
        assert_eq!(status(&request(1, &[leaf_hash(&[1])], &fork), Some(1)), 422);
        let found = decide(&request(2, &[], &fork), &logs(), |_| Some(checkpoint(2)));
        let Err(Refusal::Inconsistent { evidence, .. }) = found else { panic!("{found:?}") };
        assert_eq!(note::open_checkpoint(&evidence, &logs()).unwrap().checkpoint, fork);
        assert_eq!(status(&request(2, &[], &fork), Some(2)), 422);
        assert_eq!(status(&request(1, &[], &checkpoint(2)), Some(1)), 422);
        assert_eq!(status(&request(0, &[[7; 32]], &checkpoint(2)), None), 422);
        assert_eq!(status(&request(2, &[[7; 32]], &checkpoint(2)), Some(2)), 422);
        let mut empty = checkpoint(0);
        empty.root[0] ^= 1;
        assert_eq!(status(&request(0, &[], &empty), None), 422);
        assert_eq!(status(&request(0, &[], &empty), Some(0)), 422);
    }

    proptest! {
        #[test]
        fn any_body_is_a_request_or_refused(
            text in "(?s).{0,200}", near in "old [0-9]{1,3}\n([A-D]{43}=\n){0,3}\n?(a\n){0,3}\n?(— a AAAAAAA=\n)?",
        ) {
            for text in [text, near] {
                if let Ok(request) = AddCheckpoint::parse(&text) {
                    prop_assert_eq!(request.to_string(), text);
                    let _ = decide(&request, &logs(), |_| None);
                }
            }
        }
    }
}
