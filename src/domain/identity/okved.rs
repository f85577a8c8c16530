//! The code of an economic activity.

use serde::{Deserialize, Serialize};

use super::{IdentityError, checked_text};

/// Holds the code of an activity of OK 029-2014 (OKVED 2): two digits of the class and, after points, up to four more.
///
/// Whether the classification has the code is not asked: it is the employer's own statement.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Okved(String);

checked_text!(Okved, IdentityError);

impl Okved {
    /// Parses `NN`, `NN.N`, `NN.NN`, `NN.NN.N` or `NN.NN.NN`, ignoring space around it.
    ///
    /// # Errors
    ///
    /// [`IdentityError::Okved`] for any other shape.
    pub fn parse(text: &str) -> Result<Self, IdentityError> {
        let text = text.trim();
        let parts: Vec<&str> = text.split('.').collect();
        let digits = |part: &&str| part.bytes().all(|byte| byte.is_ascii_digit());
        let sound = parts.iter().all(digits)
            && match parts.as_slice() {
                [class] => class.len() == 2,
                [class, group] => class.len() == 2 && matches!(group.len(), 1 | 2),
                [class, group, kind] => {
                    class.len() == 2 && group.len() == 2 && matches!(kind.len(), 1 | 2)
                }
                _ => false,
            };
        if sound { Ok(Self(text.to_owned())) } else { Err(IdentityError::Okved) }
    }

    /// Tells whether `other` is this activity or a part of it: `47.2` covers `47.25`.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        other.0.starts_with(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_has_two_to_six_digits_in_pairs() {
        for good in ["47", "47.2", "47.25", "47.25.1", "47.25.12", " 01.11 "] {
            assert!(Okved::parse(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "4",
            "472",
            "47.",
            "47.251",
            "47.2.1",
            "47.25.123",
            "47.25.1.1",
            "4a.25",
            "47,25",
            "٤٧",
        ] {
            assert_eq!(Okved::parse(bad), Err(IdentityError::Okved), "{bad}");
        }
    }

    #[test]
    fn a_code_covers_itself_and_its_parts_and_not_its_whole_or_neighbour() {
        let code = |text| Okved::parse(text).unwrap();
        for part in ["47.2", "47.25", "47.25.12"] {
            assert!(code("47.2").covers(&code(part)), "{part}");
        }
        for other in ["47", "47.3", "46.2", "47.35"] {
            assert!(!code("47.2").covers(&code(other)), "{other}");
        }
    }
}
