//! Values that identify people and organisations: taxpayer number, e-mail, country, passport.
//!
//! Every type here is made by `parse` alone, so that a value that exists is well formed. Nothing here asks a
//! register whether the person exists: that is a check ([`crate::domain::checks`]). The passport's
//! machine-readable zone is read by [`Mrz`].

mod country;
mod email;
mod inn;
mod latin;
mod mrz;
pub mod name;
mod okved;
mod passport;

pub use country::CountryCode;
pub use email::EmailAddress;
pub use inn::Inn;
pub use latin::latin;
pub use mrz::{Mrz, MrzError, Sex};
pub use okved::Okved;
pub use passport::PassportNumber;

/// Says why a text is not the identifying value it was given as, and what to do about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum IdentityError {
    /// The taxpayer number is not 10 or 12 digits.
    #[error("Give the INN as 10 digits (organisation) or 12 digits (person), nothing else.")]
    InnLength,
    /// The taxpayer number's check digits do not match.
    #[error("The INN's check digits do not match; compare it with the certificate digit by digit.")]
    InnCheckDigit,
    /// The address is longer than 254 characters.
    #[error("Give an e-mail address of at most 254 characters.")]
    EmailLength,
    /// The address is not of the form name@domain.
    #[error("Give an e-mail address such as name@example.org, in Latin letters without spaces.")]
    EmailForm,
    /// The country is not a code of ISO 3166-1 alpha-3.
    #[error("Give the country as its three-letter ISO 3166-1 code, such as UZB or TJK.")]
    Country,
    /// The passport number is empty or longer than 20 characters.
    #[error("Give the passport number as 1 to 20 letters and digits.")]
    PassportLength,
    /// The passport number has Cyrillic letters.
    #[error("Type the passport number with Latin letters, as in the passport's last line.")]
    PassportCyrillic,
    /// The passport number has a character that is neither letter nor digit.
    #[error("Give the passport number with letters A to Z and digits only.")]
    PassportCharacter,
    /// The code of an activity is not of the form NN.NN.NN.
    #[error("Give the activity as a code of OKVED 2 (OK 029-2014), such as 47.25 or 47.25.12.")]
    Okved,
}

/// Gives a type that is one checked text its `Display`, `FromStr` and serde's conversions.
///
/// The type must be `struct T(String)` with `T::parse(&str) -> Result<T, E>`, where `E` implements `Display`.
macro_rules! checked_text {
    ($name:ident, $error:ty) => {
        impl $name {
            /// Gives the canonical text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(&self.0)
            }
        }

        impl std::str::FromStr for $name {
            type Err = $error;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Self::parse(text)
            }
        }

        impl TryFrom<String> for $name {
            type Error = $error;

            fn try_from(text: String) -> Result<Self, Self::Error> {
                Self::parse(&text)
            }
        }

        impl From<$name> for String {
            fn from(value: $name) -> Self {
                value.0
            }
        }
    };
}

pub(in crate::domain) use checked_text;
