//! The checkpoint: a tree's size and root under the log's name, after C2SP tlog-checkpoint. Unsigned here;
//! [`super::note`] signs and opens it.

use std::fmt;

use super::merkle::Hash;
use super::{base64, decimal, hash_from_base64};

/// Holds what a checkpoint says: the note's text, without signatures.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// The log's name, of one line, not empty.
    pub origin: String,
    /// How many leaves the tree has, at most 2^63 - 1.
    pub size: u64,
    /// The root over them.
    pub root: Hash,
}

/// Says why a text is no checkpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CheckpointError {
    /// Fewer than three lines, an empty one, or no newline at the end.
    #[error(
        "a checkpoint is three lines (origin, size, root), each ended by a newline and none empty"
    )]
    Lines,
    /// The second line.
    #[error("the checkpoint's size is not a decimal number without leading zeros")]
    Size,
    /// The third line.
    #[error("the checkpoint's root is not the base64 form of 32 bytes")]
    Root,
}

impl Checkpoint {
    /// Parses a checkpoint's text. Extension lines after the third are accepted and not kept.
    ///
    /// # Errors
    /// [`CheckpointError`] names the line.
    pub fn parse(text: &str) -> Result<Self, CheckpointError> {
        let lines: Vec<&str> =
            text.strip_suffix('\n').ok_or(CheckpointError::Lines)?.split('\n').collect();
        let [origin, size, root, ..] = *lines.as_slice() else {
            return Err(CheckpointError::Lines);
        };
        if lines.iter().any(|line| line.is_empty()) {
            return Err(CheckpointError::Lines);
        }
        Ok(Self {
            origin: origin.to_owned(),
            size: decimal(size).ok_or(CheckpointError::Size)?,
            root: hash_from_base64(root).ok_or(CheckpointError::Root)?,
        })
    }
}

impl fmt::Display for Checkpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\n{}\n{}\n", self.origin, self.size, base64(&self.root))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const EXAMPLE: &str =
        "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n";

    #[test]
    fn the_example_of_the_standard_is_read_and_written() {
        let checkpoint = Checkpoint::parse(EXAMPLE).unwrap();
        assert_eq!(checkpoint.origin, "example.com/behind-the-sofa");
        assert_eq!(checkpoint.size, 20_852_163);
        assert_eq!(checkpoint.root[..4], [0x0a, 0xc5, 0x18, 0x6a]);
        assert_eq!(checkpoint.to_string(), EXAMPLE);
    }

    #[test]
    fn extension_lines_are_read_over() {
        let extended = format!("{EXAMPLE}more\nand more\n");
        assert_eq!(Checkpoint::parse(&extended), Checkpoint::parse(EXAMPLE));
    }

    #[test]
    fn everything_else_is_refused_and_named() {
        for (text, error) in [
            ("", CheckpointError::Lines),
            ("a\n1\n", CheckpointError::Lines),
            (&EXAMPLE[..EXAMPLE.len() - 1], CheckpointError::Lines),
            (&format!("{EXAMPLE}\n"), CheckpointError::Lines),
            (&format!("\n{EXAMPLE}"), CheckpointError::Lines),
            (&EXAMPLE.replace("2085", "02085"), CheckpointError::Size),
            (&EXAMPLE.replace("2085", "+2085"), CheckpointError::Size),
            (&EXAMPLE.replace("2085", "-2085"), CheckpointError::Size),
            (&EXAMPLE.replace("20852163", "9223372036854775808"), CheckpointError::Size),
            (&EXAMPLE.replace("q2I=", "q2I"), CheckpointError::Root),
            (&EXAMPLE.replace("q2I=", "q2J="), CheckpointError::Root),
            (&EXAMPLE.replace("q2I=", "q2I=="), CheckpointError::Root),
            (&EXAMPLE.replace("CsUY", ""), CheckpointError::Root),
        ] {
            assert_eq!(Checkpoint::parse(text), Err(error), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn every_checkpoint_parses_to_itself(
            origin in "[^\n]{1,40}", size in 0..=i64::MAX as u64, root in any::<[u8; 32]>(),
        ) {
            let checkpoint = Checkpoint { origin, size, root };
            prop_assert_eq!(Checkpoint::parse(&checkpoint.to_string()), Ok(checkpoint));
        }

        #[test]
        fn any_text_is_parsed_or_refused(text in "(?s).{0,200}") {
            if let Ok(checkpoint) = Checkpoint::parse(&text) {
                prop_assert!(text.starts_with(&checkpoint.to_string()));
            }
        }
    }
}
