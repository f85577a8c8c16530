//! The file that proves that something stands in the log, after C2SP tlog-proof.

use std::fmt;

use super::merkle::{Hash, ProofError, verify_inclusion};
use super::note::{self, NoteError, SignedCheckpoint, VerifierKey};
use super::{base64, decimal, from_base64, hash_from_base64};

/// The first line of every proof.
pub const HEADER: &str = "c2sp.org/tlog-proof@v1";
/// How a proof's file name ends.
pub const EXTENSION: &str = "tlog-proof";
/// The most hashes a proof of inclusion has.
const MOST_HASHES: usize = 63;

/// Holds a proof that some leaf stands in a log: everything but the leaf itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogProof {
    /// What the application adds; not authenticated by the proof.
    pub extra: Option<Vec<u8>>,
    /// The leaf's index in the log, from 0.
    pub index: u64,
    /// The hashes of the inclusion proof, the leaf's sibling first.
    pub hashes: Vec<Hash>,
    /// The signed checkpoint, a whole note.
    pub checkpoint: String,
}

/// Says what is wrong with a proof's text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LogProofError {
    /// The first line is another one.
    #[error("the file does not begin with the line {HEADER}")]
    Header,
    /// No blank line, or nothing after it.
    #[error("the file has no blank line with a signed checkpoint after it")]
    Checkpoint,
    /// The line of the extra data.
    #[error("the line 'extra' of the proof is not base64")]
    Extra,
    /// The line of the index.
    #[error("the proof has no line 'index' with a decimal number")]
    Index,
    /// One of the hashes.
    #[error("hash {0} of the proof is not the base64 form of 32 bytes")]
    Hash(usize),
    /// More hashes than any tree needs.
    #[error("the proof has more than {MOST_HASHES} hashes")]
    Hashes,
}

/// Says why a proof does not prove.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unproven {
    /// The checkpoint is not that of a log that is trusted.
    #[error(transparent)]
    Note(#[from] NoteError),
    /// The hashes do not lead from the leaf to the checkpoint's root.
    #[error(transparent)]
    Inclusion(#[from] ProofError),
}

impl LogProof {
    /// Parses a proof's file: exactly what printing it gives, and nothing else.
    ///
    /// # Errors
    /// [`LogProofError`] names the line.
    pub fn parse(text: &str) -> Result<Self, LogProofError> {
        let body = text.strip_prefix(HEADER).and_then(|rest| rest.strip_prefix('\n'));
        let body = body.ok_or(LogProofError::Header)?;
        let (head, checkpoint) = body.split_once("\n\n").ok_or(LogProofError::Checkpoint)?;
        if note::text(checkpoint).is_err() {
            return Err(LogProofError::Checkpoint);
        }
        let mut lines = head.split('\n').peekable();
        let extra = lines
            .next_if(|line| line.starts_with("extra "))
            .map(|line| from_base64(&line["extra ".len()..]).ok_or(LogProofError::Extra))
            .transpose()?;
        let index = lines
            .next()
            .and_then(|line| decimal(line.strip_prefix("index ")?))
            .ok_or(LogProofError::Index)?;
        let mut hashes = Vec::new();
        for line in lines {
            hashes.push(hash_from_base64(line).ok_or(LogProofError::Hash(hashes.len() + 1))?);
            if hashes.len() > MOST_HASHES {
                return Err(LogProofError::Hashes);
            }
        }
        Ok(Self { extra, index, hashes, checkpoint: checkpoint.to_owned() })
    }

    /// Checks that the leaf with this hash stands in the log, with the keys of the log and of witnesses that are
    /// trusted; gives the checkpoint with the signatures that were verified.
    ///
    /// # Errors
    /// [`Unproven`] says what is wrong.
    pub fn verify(&self, leaf: &Hash, keys: &[VerifierKey]) -> Result<SignedCheckpoint, Unproven> {
        let signed = note::open_checkpoint(&self.checkpoint, keys)?;
        let checkpoint = &signed.checkpoint;
        verify_inclusion(leaf, self.index, checkpoint.size, &self.hashes, &checkpoint.root)?;
        Ok(signed)
    }
}

impl fmt::Display for LogProof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{HEADER}")?;
        if let Some(extra) = &self.extra {
            writeln!(f, "extra {}", base64(extra))?;
        }
        writeln!(f, "index {}", self.index)?;
        for hash in &self.hashes {
            writeln!(f, "{}", base64(hash))?;
        }
        write!(f, "\n{}", self.checkpoint)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::checkpoint::Checkpoint;
    use super::super::merkle::{leaf_hash, node_hash};
    use super::super::note::{LogKey, LogKeys};
    use super::*;

    fn proof() -> (LogProof, LogKeys) {
        let (one, other) = (leaf_hash(b"one"), leaf_hash(b"other"));
        let keys = LogKeys::new(vec![LogKey::generate("log.example", [1; 32]).unwrap()]).unwrap();
        let checkpoint =
            Checkpoint { origin: "log.example".to_owned(), size: 2, root: node_hash(&one, &other) };
        let proof = LogProof {
            extra: Some(b"more".to_vec()),
            index: 1,
            hashes: vec![one],
            checkpoint: keys.sign_checkpoint(&checkpoint, 1_700_000_000).unwrap(),
        };
        (proof, keys)
    }

    #[test]
    fn a_proof_is_written_as_the_standard_has_it_and_proves() {
        let (proof, keys) = proof();
        let text = proof.to_string();
        let hash = base64(&leaf_hash(b"one"));
        let head =
            format!("c2sp.org/tlog-proof@v1\nextra bW9yZQ==\nindex 1\n{hash}\n\nlog.example\n2\n");
        assert!(text.starts_with(&head), "{text}");
        assert_eq!(LogProof::parse(&text), Ok(proof.clone()));
        let signed = proof.verify(&leaf_hash(b"other"), &keys.verifiers()).unwrap();
        assert_eq!(signed.checkpoint.size, 2);
        assert_eq!(
            proof.verify(&leaf_hash(b"another"), &keys.verifiers()),
            Err(ProofError::Root.into())
        );
        assert_eq!(proof.verify(&leaf_hash(b"other"), &[]), Err(NoteError::Unsigned.into()));
    }

    #[test]
    fn a_proof_without_extra_or_hashes_is_one_too() {
        let (mut proof, _) = proof();
        (proof.extra, proof.hashes, proof.index) = (None, Vec::new(), 0);
        let text = proof.to_string();
        assert!(text.starts_with("c2sp.org/tlog-proof@v1\nindex 0\n\nlog.example\n"));
        assert_eq!(LogProof::parse(&text), Ok(proof));
    }

    #[test]
    fn everything_else_is_refused_and_named() {
        let text = proof().0.to_string();
        let hash = text.lines().nth(3).unwrap().to_owned();
        for (text, error) in [
            (String::new(), LogProofError::Header),
            (text.replace("@v1", "@v2"), LogProofError::Header),
            (text.replace("\n\n", "\n"), LogProofError::Checkpoint),
            (text.trim_end().to_owned(), LogProofError::Checkpoint),
            (text.replace("bW9yZQ==", "bW9yZQ"), LogProofError::Extra),
            (text.replace("extra ", "extras "), LogProofError::Index),
            (text.replace("index 1", "index 01"), LogProofError::Index),
            (text.replace("index 1\n", ""), LogProofError::Index),
            (text.replace(&hash, &hash[1..]), LogProofError::Hash(1)),
            (text.replace(&hash, &[hash.as_str(); 64].join("\n")), LogProofError::Hashes),
        ] {
            assert_eq!(LogProof::parse(&text), Err(error), "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_a_proof_or_refused(
            text in "(?s).{0,200}", near in "(extra [a-d=]{0,8}\n)?(index [0-9]{0,3}\n)?([A-D=]{0,44}\n){0,3}\n?(a\n){0,3}\n?(— a AAAAAAA=\n)?",
        ) {
            for text in [text, format!("{HEADER}\n{near}")] {
                if let Ok(proof) = LogProof::parse(&text) {
                    prop_assert_eq!(proof.to_string(), text);
                }
            }
        }
    }
}
