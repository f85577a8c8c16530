//! The coded reasons for which an office says no, and their wording for the person concerned.
//!
//! The list is data (`workflows/grounds.toml`); which transition demands a ground is the workflow's.

mod catalogue;

use serde::{Deserialize, Serialize};

pub use catalogue::{Confidence, Ground, GroundCatalogue, GroundKind};

use crate::domain::identity::checked_text;

/// Holds the code of a ground: `G01` to `G99` to refuse or annul, `I01` to `I99` to refuse intake.
///
/// The code is well formed; whether the list has it is asked of [`GroundCatalogue`].
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct GroundCode(String);

checked_text!(GroundCode, GroundCodeError);

/// Says that a text is no code of a ground.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[error("Give the ground's code as G or I and two digits, such as G04 or I02.")]
pub struct GroundCodeError;

impl GroundCode {
    /// Parses a code, ignoring case and space around it.
    ///
    /// # Errors
    ///
    /// [`GroundCodeError`] for anything but `G` or `I` and two digits that are not both zero.
    pub fn parse(text: &str) -> Result<Self, GroundCodeError> {
        let code = text.trim().to_ascii_uppercase();
        match code.as_bytes() {
            [b'G' | b'I', b'0', b'0'] => Err(GroundCodeError),
            [b'G' | b'I', b'0'..=b'9', b'0'..=b'9'] => Ok(Self(code)),
            _ => Err(GroundCodeError),
        }
    }

    /// Tells whether the code is one to refuse intake and not to refuse or annul.
    #[must_use]
    pub fn is_intake(&self) -> bool {
        self.0.starts_with('I')
    }
}

/// Holds at least one ground, each once, in the order given.
///
/// As a value of this type is never empty, a decision against a person that carries one states a reason
/// (law 115-FZ, Art. 18(9)). Serialised it is an array; an empty array is refused.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "Vec<GroundCode>", into = "Vec<GroundCode>")]
pub struct Grounds(Vec<GroundCode>);

/// Says that a decision states no ground.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("Give at least one ground.")]
pub struct NoGround;

impl Grounds {
    /// Makes the list, dropping repetitions, or `None` from an empty one.
    #[must_use]
    pub fn new(codes: Vec<GroundCode>) -> Option<Self> {
        let mut distinct: Vec<GroundCode> = Vec::with_capacity(codes.len());
        for code in codes {
            if !distinct.contains(&code) {
                distinct.push(code);
            }
        }
        if distinct.is_empty() { None } else { Some(Self(distinct)) }
    }

    /// Goes through the codes in the order given.
    pub fn iter(&self) -> impl Iterator<Item = &GroundCode> {
        self.0.iter()
    }

    /// Gives the codes in the order given; never empty.
    #[must_use]
    pub fn as_slice(&self) -> &[GroundCode] {
        &self.0
    }
}

impl TryFrom<Vec<GroundCode>> for Grounds {
    type Error = NoGround;

    fn try_from(codes: Vec<GroundCode>) -> Result<Self, Self::Error> {
        Self::new(codes).ok_or(NoGround)
    }
}

impl From<Grounds> for Vec<GroundCode> {
    fn from(grounds: Grounds) -> Self {
        grounds.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(text: &str) -> GroundCode {
        GroundCode::parse(text).unwrap()
    }

    #[test]
    fn codes_are_a_letter_and_two_digits() {
        assert_eq!(code(" g04 ").as_str(), "G04");
        assert!(code("I02").is_intake());
        assert!(!code("G99").is_intake());
        for text in ["", "G", "G4", "G004", "G00", "I00", "X01", "GAA", "Г01", "G٠١"] {
            assert_eq!(GroundCode::parse(text), Err(GroundCodeError), "{text}");
        }
    }

    #[test]
    fn grounds_are_never_empty_and_hold_each_code_once_in_order() {
        assert_eq!(Grounds::new(vec![]), None);
        let grounds = Grounds::new(vec![code("G06"), code("G04"), code("G06")]).unwrap();
        assert_eq!(grounds.as_slice(), [code("G06"), code("G04")]);
        assert_eq!(grounds.iter().count(), 2);
    }

    #[test]
    fn grounds_are_serialised_as_an_array_that_may_not_be_empty() {
        let grounds: Grounds = serde_json::from_str(r#"["G04","G04","G06"]"#).unwrap();
        assert_eq!(serde_json::to_string(&grounds).unwrap(), r#"["G04","G06"]"#);
        let error = serde_json::from_str::<Grounds>("[]").unwrap_err();
        assert!(error.to_string().contains("Give at least one ground."));
        assert!(serde_json::from_str::<Grounds>(r#"["G4"]"#).is_err());
    }
}
