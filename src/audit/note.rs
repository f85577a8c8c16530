//! Signed notes and the keys that sign them, after C2SP signed-note, tlog-checkpoint and tlog-cosignature. Pure.
//!
//! Two kinds of signature exist here: plain Ed25519 over the note's text (type 0x01), as the log signs its
//! checkpoints, and timestamped cosignatures (type 0x04), as witnesses and the log's own freshness key add.
//! The order of reading: [`open_checkpoint`], [`LogKeys::sign_checkpoint`].

mod key;

use ed25519_dalek::Signature;

use super::checkpoint::{Checkpoint, CheckpointError};
use super::{base64, from_base64};

pub use key::{KeyError, LogKey, LogKeys, SignatureType, VerifierKey};

/// The most signature lines that are read in a note (the standard asks for 16 at least).
pub const MOST_SIGNATURES: usize = 64;
/// The longest note that is read, in bytes.
pub const LONGEST_NOTE: usize = 1 << 20;

/// What every signature line begins with.
const DASH: &str = "\u{2014} ";

/// Says what is wrong with a note.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoteError {
    /// Not of the form.
    #[error("this is no signed note: {0}")]
    Form(&'static str),
    /// A key that is known has not made the signature that stands under its name.
    #[error("the signature of {name} does not match the text")]
    Signature {
        /// The key's name.
        name: String,
    },
    /// No key that is known has signed.
    #[error("the note is not signed by any of the keys that were given")]
    Unsigned,
    /// Two keys that were given are indistinguishable.
    #[error("two different keys of {name} have the same id; only one of them can be trusted")]
    Ambiguous {
        /// The keys' name.
        name: String,
    },
    /// The text is no checkpoint.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// The checkpoint's log has not signed it, whoever else has.
    #[error("the checkpoint of {origin} is not signed by a key of that log that was given")]
    Origin {
        /// The log's name.
        origin: String,
    },
}

/// A signature that was verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// The key that made it.
    pub key: VerifierKey,
    /// When it was made, in seconds since 1970, where the signature says (type 0x04).
    pub at: Option<u64>,
    /// Its line in the note, without the newline.
    pub line: String,
}

/// A note whose signatures by known keys were all verified; there is at least one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opened {
    /// What was signed, with its last newline.
    pub text: String,
    /// The signatures by known keys, in the order of their lines.
    pub signatures: Vec<Verified>,
}

/// A checkpoint that its log has signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedCheckpoint {
    /// What it says.
    pub checkpoint: Checkpoint,
    /// The note's text, extension lines among it.
    pub text: String,
    /// The signatures by known keys: of the log at least one of type 0x01, and perhaps cosignatures.
    pub signatures: Vec<Verified>,
}

/// A signature line taken apart.
struct Line<'a> {
    whole: &'a str,
    name: &'a str,
    id: u32,
    signature: Vec<u8>,
}

impl<'a> Line<'a> {
    /// Takes a line, without its newline, apart.
    fn parse(line: &'a str) -> Result<Self, NoteError> {
        let parts = line.strip_prefix(DASH).and_then(|rest| rest.split_once(' '));
        let (name, signature) =
            parts.ok_or(NoteError::Form("a signature line is a dash, a name and base64"))?;
        if !key::is_name(name) {
            return Err(NoteError::Form("a signature line has no name that a key can have"));
        }
        let bytes = from_base64(signature)
            .ok_or(NoteError::Form("a signature line does not end in base64"))?;
        match bytes.split_first_chunk() {
            Some((id, signature)) if !signature.is_empty() => Ok(Self {
                whole: line,
                name,
                id: u32::from_be_bytes(*id),
                signature: signature.to_vec(),
            }),
            _ => Err(NoteError::Form("a signature is too short")),
        }
    }

    /// Checks the signature with the key of its name and id; gives the time it tells.
    fn verify(&self, key: &VerifierKey, text: &str) -> Option<Option<u64>> {
        match key.kind() {
            SignatureType::Ed25519 => {
                let signature = Signature::from_slice(&self.signature).ok()?;
                key.verifies(text.as_bytes(), &signature).then_some(None)
            }
            SignatureType::Cosignature => {
                let (at, signature) = self.signature.split_first_chunk()?;
                let at = u64::from_be_bytes(*at);
                let signature = Signature::from_slice(signature).ok()?;
                let message = cosigned(text, at);
                let fits = i64::try_from(at).is_ok() && Checkpoint::parse(text).is_ok();
                (fits && key.verifies(message.as_bytes(), &signature)).then_some(Some(at))
            }
        }
    }
}

/// Gives the message that a cosignature of `text` signs.
fn cosigned(text: &str, at: u64) -> String {
    format!("cosignature/v1\ntime {at}\n{text}")
}

/// Gives a signature line, with its newline.
fn line(name: &str, id: u32, signature: &[&[u8]]) -> String {
    let mut bytes = id.to_be_bytes().to_vec();
    bytes.extend(signature.iter().copied().flatten());
    format!("{DASH}{name} {}\n", base64(&bytes))
}

/// Splits a note into its text and its signature lines.
fn split(note: &str) -> Result<(&str, Vec<Line<'_>>), NoteError> {
    if note.len() > LONGEST_NOTE {
        return Err(NoteError::Form("it is too long"));
    }
    if note.bytes().any(|byte| byte < b' ' && byte != b'\n') {
        return Err(NoteError::Form("it has a control character"));
    }
    let blank = note
        .rfind("\n\n")
        .ok_or(NoteError::Form("no blank line parts the text from the signatures"))?;
    let (text, signatures) = (&note[..=blank], &note[blank + 2..]);
    let signatures = signatures
        .strip_suffix('\n')
        .ok_or(NoteError::Form("it does not end in a signature line and a newline"))?;
    let mut lines = Vec::new();
    for one in signatures.split('\n') {
        if lines.len() == MOST_SIGNATURES {
            return Err(NoteError::Form("it has too many signatures"));
        }
        lines.push(Line::parse(one)?);
    }
    Ok((text, lines))
}

/// Opens a note with the keys that its reader trusts. Signatures of other keys are ignored, as is a second one of
/// the same key.
///
/// # Errors
/// [`NoteError`]: not a note, a wrong signature under the name and id of a known key, or no signature of one.
pub fn open(note: &str, keys: &[VerifierKey]) -> Result<Opened, NoteError> {
    let (text, lines) = split(note)?;
    let signatures = verified(text, &lines, keys)?;
    if signatures.is_empty() {
        return Err(NoteError::Unsigned);
    }
    Ok(Opened { text: text.to_owned(), signatures })
}

fn verified(
    text: &str,
    lines: &[Line<'_>],
    keys: &[VerifierKey],
) -> Result<Vec<Verified>, NoteError> {
    let mut found: Vec<Verified> = Vec::new();
    for line in lines {
        let mut known = keys.iter().filter(|key| key.name() == line.name && key.id() == line.id);
        let Some(key) = known.next() else { continue };
        if known.any(|other| other != key) {
            return Err(NoteError::Ambiguous { name: line.name.to_owned() });
        }
        if found.iter().any(|earlier| earlier.key == *key) {
            continue;
        }
        let at = line
            .verify(key, text)
            .ok_or_else(|| NoteError::Signature { name: line.name.to_owned() })?;
        found.push(Verified { key: key.clone(), at, line: line.whole.to_owned() });
    }
    Ok(found)
}

/// Opens a checkpoint: a note whose text is a [`Checkpoint`], signed by a key (type 0x01) of the log that it names.
/// Keys of witnesses may be among `keys`; their cosignatures are then verified too.
///
/// # Errors
/// [`NoteError`] says what is wrong.
pub fn open_checkpoint(note: &str, keys: &[VerifierKey]) -> Result<SignedCheckpoint, NoteError> {
    let Opened { text, signatures } = open(note, keys)?;
    let checkpoint = Checkpoint::parse(&text)?;
    let by_the_log = signatures
        .iter()
        .any(|one| one.key.kind() == SignatureType::Ed25519 && one.key.name() == checkpoint.origin);
    if !by_the_log {
        return Err(NoteError::Origin { origin: checkpoint.origin });
    }
    Ok(SignedCheckpoint { checkpoint, text, signatures })
}

/// Gives the text of a note without asking who signed it.
///
/// # Errors
/// [`NoteError::Form`] when it is no note.
pub fn text(note: &str) -> Result<&str, NoteError> {
    split(note).map(|(text, _)| text)
}

/// Puts a text and signature lines together into a note.
///
/// # Errors
/// [`NoteError::Form`] when the text does not end in a newline or has control characters, or the lines are none.
pub fn join(text: &str, lines: &str) -> Result<String, NoteError> {
    if !text.ends_with('\n') {
        return Err(NoteError::Form("its text does not end in a newline"));
    }
    let note = format!("{text}\n{lines}");
    let (found, _) = split(&note)?;
    if found != text {
        return Err(NoteError::Form("its signature lines have a blank line"));
    }
    Ok(note)
}

/// Appends signature lines, each with its newline, to a note: as a witness's cosignature is. Whether they verify
/// is not asked; see [`cosignatures`].
///
/// # Errors
/// [`NoteError::Form`] when either is not of the form, or the lines would be too many.
pub fn append(note: &str, lines: &str) -> Result<String, NoteError> {
    join(text(note)?, &format!("{}{lines}", &note[text(note)?.len() + 1..]))
}

/// Gives those of the signature lines in `lines` that keys among `keys` made as cosignatures (type 0x04) of the
/// checkpoint `text`: what a client keeps of a witness's answer. Lines of unknown keys are ignored.
///
/// # Errors
/// [`NoteError`] when the lines are not of the form, when a known key's does not verify, and when none is known.
pub fn cosignatures(
    text: &str,
    lines: &str,
    keys: &[VerifierKey],
) -> Result<Vec<Verified>, NoteError> {
    let mut opened = open(&join(text, lines)?, keys)?;
    opened.signatures.retain(|one| one.key.kind() == SignatureType::Cosignature);
    if opened.signatures.is_empty() { Err(NoteError::Unsigned) } else { Ok(opened.signatures) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::merkle::empty_root;
    use super::*;

    const VKEY: &str = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k";
    const NOTE: &str = "This is an example message.\n\n— example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n";
    const AT: u64 = 1_679_315_147;

    fn vkey() -> VerifierKey {
        VKEY.parse().unwrap()
    }

    fn keys(seeds: &[u8]) -> LogKeys {
        let lines: Vec<String> = seeds
            .iter()
            .map(|seed| LogKey::generate("log.example/work", [*seed; 32]).unwrap().private_line())
            .collect();
        lines.join("\n").parse().unwrap()
    }

    fn checkpoint() -> Checkpoint {
        Checkpoint { origin: "log.example/work".to_owned(), size: 0, root: empty_root() }
    }

    #[test]
    fn the_example_of_the_standard_opens() {
        let opened = open(NOTE, &[vkey()]).unwrap();
        assert_eq!(opened.text, "This is an example message.\n");
        assert_eq!(opened.signatures.len(), 1);
        assert_eq!(opened.signatures[0].at, None);
        assert_eq!(text(NOTE), Ok("This is an example message.\n"));
        assert_eq!(open_checkpoint(NOTE, &[vkey()]), Err(CheckpointError::Lines.into()));
    }

    #[test]
    fn a_changed_text_or_signature_is_refused_and_an_unknown_key_ignored() {
        let wrong = NoteError::Signature { name: "example.com/foo".to_owned() };
        assert_eq!(open(&NOTE.replace("an example", "another"), &[vkey()]), Err(wrong.clone()));
        assert_eq!(open(&NOTE.replace("Okn8", "Okn9"), &[vkey()]), Err(wrong));
        assert_eq!(open(NOTE, &[]), Err(NoteError::Unsigned));
        assert_eq!(open(NOTE, &keys(&[1]).verifiers()), Err(NoteError::Unsigned));
        let more = append(NOTE, "— example.com/bar AAAAAAA=\n").unwrap();
        assert_eq!(open(&more, &[vkey()]).unwrap().signatures.len(), 1);
        let twice = append(NOTE, NOTE.split_once("\n\n").unwrap().1).unwrap();
        assert_eq!(open(&twice, &[vkey()]).unwrap().signatures.len(), 1);
    }

    #[test]
    fn what_is_no_note_is_refused() {
        for (note, why) in [
            (String::new(), "no blank line parts the text from the signatures"),
            ("text\n".to_owned(), "no blank line parts the text from the signatures"),
            ("text\n\n".to_owned(), "it does not end in a signature line and a newline"),
            (NOTE.trim_end().to_owned(), "it does not end in a signature line and a newline"),
            (NOTE.replace("an example", "an\texample"), "it has a control character"),
            (NOTE.replace('\n', "\r\n"), "it has a control character"),
            (NOTE.replace("— ", "- "), "a signature line is a dash, a name and base64"),
            (
                NOTE.replace("com/foo U", "com/fooU"),
                "a signature line is a dash, a name and base64",
            ),
            (
                NOTE.replace("com/foo", "com+foo"),
                "a signature line has no name that a key can have",
            ),
            (NOTE.replace("aQM=", "aQM"), "a signature line does not end in base64"),
            (NOTE.replace("aQM=", "aQN="), "a signature line does not end in base64"),
            ("a\n\n— b AAAA\n".to_owned(), "a signature is too short"),
            (format!("a\n\n{}", "— b AAAAAAA=\n".repeat(65)), "it has too many signatures"),
            ("a".repeat(LONGEST_NOTE + 1), "it is too long"),
        ] {
            assert_eq!(open(&note, &[vkey()]), Err(NoteError::Form(why)), "{note:?}");
        }
    }

    #[test]
    fn the_text_may_have_blank_lines() {
        let key = &keys(&[3]);
        let note = key.sign_text("export", "one\n\ntwo\n").unwrap();
        let opened = open(&note, &key.purpose_verifiers("export").unwrap()).unwrap();
        assert_eq!(opened.text, "one\n\ntwo\n");
        assert!(key.sign_text("export", "no newline").is_err());
        assert!(key.sign_text("export", "tab\t\n").is_err());
        assert!(key.sign_text("ex port", "text\n").is_err());
    }

    #[test]
    fn a_checkpoint_carries_a_signature_and_a_timestamped_one_of_each_key() {
        let keys = keys(&[1, 2]);
        let note = keys.sign_checkpoint(&checkpoint(), AT).unwrap();
        let signed = open_checkpoint(&note, &keys.verifiers()).unwrap();
        assert_eq!(signed.checkpoint, checkpoint());
        let kinds: Vec<_> = signed.signatures.iter().map(|one| (one.key.kind(), one.at)).collect();
        assert_eq!(
            kinds,
            [
                (SignatureType::Ed25519, None),
                (SignatureType::Ed25519, None),
                (SignatureType::Cosignature, Some(AT)),
                (SignatureType::Cosignature, Some(AT)),
            ]
        );
        // One key alone opens it, whichever: that is the overlap of a rotation.
        for key in keys.keys() {
            open_checkpoint(&note, &[key.verifier()]).unwrap();
        }
        // A freshness key alone does not speak for the log's content.
        assert_eq!(
            open_checkpoint(&note, &[keys.keys()[0].freshness_verifier()]),
            Err(NoteError::Origin { origin: "log.example/work".to_owned() })
        );
        let other = Checkpoint { origin: "other.example".to_owned(), ..checkpoint() };
        assert!(keys.sign_checkpoint(&other, AT).is_err());
    }

    #[test]
    fn a_key_does_not_speak_for_another_log() {
        let foreign = LogKey::generate("other.example", [9; 32]).unwrap();
        let text = checkpoint().to_string();
        let note = join(&text, &foreign.signature_line(&text)).unwrap();
        assert_eq!(
            open_checkpoint(&note, &[foreign.verifier()]),
            Err(NoteError::Origin { origin: "log.example/work".to_owned() })
        );
    }

    #[test]
    fn a_witness_cosigns_and_its_line_is_appended() {
        let keys = keys(&[1]);
        let witness = LogKey::generate("witness.example/w1", [7; 32]).unwrap();
        let note = keys.sign_checkpoint(&checkpoint(), AT).unwrap();
        let text = text(&note).unwrap();
        let lines = witness.cosignature_line(text, AT + 5);
        let trusted = [witness.cosigner_verifier()];
        let kept = cosignatures(text, &lines, &trusted).unwrap();
        assert_eq!((kept.len(), kept[0].at), (1, Some(AT + 5)));
        assert_eq!(format!("{}\n", kept[0].line), lines);
        let all = [keys.verifiers(), trusted.to_vec()].concat();
        let cosigned = append(&note, &lines).unwrap();
        assert_eq!(open_checkpoint(&cosigned, &all).unwrap().signatures.len(), 3);

        let mut bytes = from_base64(lines.trim_end().rsplit(' ').next().unwrap()).unwrap();
        bytes[11] += 1;
        let later = format!("— witness.example/w1 {}\n", base64(&bytes));
        assert!(matches!(cosignatures(text, &later, &trusted), Err(NoteError::Signature { .. })));
        let moved = witness.cosignature_line(&text.replace("\n0\n", "\n1\n"), AT);
        assert!(matches!(cosignatures(text, &moved, &trusted), Err(NoteError::Signature { .. })));
        assert!(cosignatures(text, &format!("{lines}\n{lines}"), &trusted).is_err());
        assert!(cosignatures(text, "", &trusted).is_err());
    }

    #[test]
    fn another_implementation_opens_our_notes_and_we_open_its() {
        use signed_note::{Note, StandardVerifier, VerifierList};

        let keys = keys(&[1, 2]);
        let note = keys.sign_checkpoint(&checkpoint(), AT).unwrap();
        let theirs = Note::from_bytes(note.as_bytes()).unwrap();
        for key in keys.keys() {
            let verifier = StandardVerifier::new(&key.verifier().to_string()).unwrap();
            let list = VerifierList::new(vec![Box::new(verifier)]);
            let (known, unknown) = theirs.verify(&list).unwrap();
            assert_eq!((known.len(), unknown.len()), (1, 3));
        }
        let signer = signed_note::StandardSigner::new(&keys.keys()[0].private_line()).unwrap();
        let mut note = Note::new(b"text\n", &[]).unwrap();
        note.add_sigs(&[&signer]).unwrap();
        let ours = String::from_utf8(note.to_bytes()).unwrap();
        assert_eq!(open(&ours, &keys.verifiers()).unwrap().text, "text\n");
    }

    proptest! {
        #[test]
        fn any_text_is_opened_or_refused(
            text in "(?s).{0,300}", near in "(a|\n){0,6}\n\n(— [a-c+ ]{0,3} [A-D=]{0,12}\n?){0,3}",
        ) {
            for text in [text, near] {
                let _ = open(&text, &[vkey()]);
                let _ = append(&text, &text);
                let _ = cosignatures(&text, &text, &[vkey()]);
            }
        }

        #[test]
        fn every_signed_text_opens_and_no_other_bit_does(
            lines in "([ -~]{0,20}\n){1,4}", place in any::<prop::sample::Index>(), bit in 0..7_u8,
        ) {
            let keys = keys(&[5]);
            let verifiers = keys.purpose_verifiers("export").unwrap();
            let note = keys.sign_text("export", &lines).unwrap();
            prop_assert_eq!(open(&note, &verifiers).unwrap().text, lines);
            let mut bytes = note.into_bytes();
            let place = place.index(bytes.len());
            bytes[place] ^= 1 << bit;
            if let Ok(changed) = String::from_utf8(bytes) {
                prop_assert!(open(&changed, &verifiers).is_err());
            }
        }
    }
}
