//! Placeholder while the house is being built.
#![allow(missing_docs)]
use serde::{Deserialize, Serialize};
macro_rules! text {
    ($n:ident) => {
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
        pub struct $n(String);
        impl $n {
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }
    };
}
text!(CountryCode);
text!(EmailAddress);
text!(Inn);
text!(PassportNumber);
