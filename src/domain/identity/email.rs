//! An address that mail can be sent to.

use serde::{Deserialize, Serialize};

use super::{IdentityError, checked_text};

/// Holds an e-mail address of the plain form `name@domain`.
///
/// The domain is in lower case; the part before the @ is kept as typed, because only its host may say
/// whether case matters (RFC 5321, 2.4). Quoted names, address literals and letters outside ASCII are
/// refused: mail to them is commonly lost.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct EmailAddress(String);

checked_text!(EmailAddress, IdentityError);

impl EmailAddress {
    /// Parses an address of at most 254 characters (RFC 5321, 4.5.3.1.3), ignoring space around it.
    ///
    /// # Errors
    ///
    /// [`IdentityError::EmailLength`] or [`IdentityError::EmailForm`].
    pub fn parse(text: &str) -> Result<Self, IdentityError> {
        let text = text.trim();
        if text.len() > 254 {
            return Err(IdentityError::EmailLength);
        }
        let (name, domain) = text.split_once('@').ok_or(IdentityError::EmailForm)?;
        if is_name(name) && is_domain(domain) {
            Ok(Self(format!("{name}@{}", domain.to_ascii_lowercase())))
        } else {
            Err(IdentityError::EmailForm)
        }
    }
}

/// Tells whether `name` is a dot-atom of RFC 5322 of at most 64 characters.
fn is_name(name: &str) -> bool {
    name.len() <= 64
        && name.split('.').all(|atom| {
            !atom.is_empty()
                && atom
                    .chars()
                    .all(|c| c.is_ascii_alphanumeric() || "!#$%&'*+-/=?^_`{|}~".contains(c))
        })
}

/// Tells whether `domain` is a host name of at least two labels whose last is no number.
fn is_domain(domain: &str) -> bool {
    let labels: Vec<&str> = domain.split('.').collect();
    labels.len() >= 2
        && labels
            .last()
            .is_some_and(|last| last.len() >= 2 && !last.starts_with(|c: char| c.is_ascii_digit()))
        && labels.iter().all(|label| {
            (1..=63).contains(&label.len())
                && !label.starts_with('-')
                && !label.ends_with('-')
                && label.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_addresses_parse_and_their_domain_becomes_lower_case() {
        let address = EmailAddress::parse(" Rustam.K+permits@Example.ORG ").unwrap();
        assert_eq!(address.as_str(), "Rustam.K+permits@example.org");
        assert!(EmailAddress::parse("a@xn--e1afmkfd.xn--p1ai").is_ok());
    }

    #[test]
    fn malformed_addresses_are_refused() {
        for text in [
            "",
            "a",
            "@example.org",
            "a@",
            "a@localhost",
            "a b@example.org",
            "a@@example.org",
            ".a@example.org",
            "a..b@example.org",
            "a@-x.org",
            "a@x-.org",
            "a@x..org",
            "a@[127.0.0.1]",
            "a@127.0.0.1",
            "почта@example.org",
            "a@example.org\r\nBcc: b@example.org",
        ] {
            assert_eq!(EmailAddress::parse(text), Err(IdentityError::EmailForm), "{text}");
        }
    }

    #[test]
    fn an_address_longer_than_254_characters_is_refused() {
        let domain = format!("{}.org", vec!["x".repeat(60); 4].join("."));
        let text = format!("{}@{domain}", "a".repeat(254 - domain.len() - 1));
        assert!(EmailAddress::parse(&text).is_ok());
        assert_eq!(EmailAddress::parse(&format!("a{text}")), Err(IdentityError::EmailLength));
    }
}
