//! The provider's payment page: where a charge can be paid at once.

use super::{Charge, Money};

/// Holds the address of a payment page, with places for the UIN and the amount of a charge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PaymentPage(String);

/// The places that an address can have: the UIN, the amount in kopecks, and in roubles with a point.
const PLACES: [&str; 3] = ["{uin}", "{kopecks}", "{roubles}"];

impl PaymentPage {
    /// Reads an address such as `https://pay.example/bill?uin={uin}&amount={kopecks}`.
    ///
    /// # Errors
    ///
    /// What is wrong with it, in words that follow its name: it is not https, names no UIN, or has a place that is not known.
    pub fn parse(text: &str) -> Result<Self, String> {
        let fits = text.strip_prefix("https://").is_some_and(|rest| {
            let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
            !host.is_empty() && !host.contains(['{', '}', '@'])
        });
        if !fits || text.chars().any(|c| c.is_whitespace() || c.is_control()) {
            return Err(format!(
                "is {text:?}; write https://host/path?uin={{uin}}&amount={{kopecks}}: people pay there"
            ));
        }
        if !text.contains(PLACES[0]) {
            return Err(format!("is {text:?}; put {{uin}} where the charge's number belongs"));
        }
        let rest = PLACES.iter().fold(text.to_owned(), |text, place| text.replace(place, ""));
        if rest.contains(['{', '}']) {
            return Err(format!("is {text:?}; it can have the places {}", PLACES.join(", ")));
        }
        Ok(Self(text.to_owned()))
    }

    /// Gives the address at which what is due of a charge is paid; `None` when nothing is.
    #[must_use]
    pub fn link(&self, charge: &Charge) -> Option<String> {
        let due = charge.outstanding();
        if due == Money::ZERO {
            return None;
        }
        let kopecks = due.kopecks();
        let roubles = format!("{}.{:02}", kopecks / 100, kopecks % 100);
        // A UIN is letters and digits: it needs no escaping.
        let link = self.0.replace(PLACES[0], charge.uin.as_str());
        Some(link.replace(PLACES[1], &kopecks.to_string()).replace(PLACES[2], &roubles))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payment_page_is_https_names_the_uin_and_nothing_that_is_not_known() {
        assert!(PaymentPage::parse("https://pay.example/?uin={uin}&sum={roubles}").is_ok());
        for wrong in [
            "http://pay.example/?uin={uin}",
            "https:///?uin={uin}",
            "https://{uin}.example/",
            "https://pay.example@evil.example{uin}",
            "https://pay.example/?sum={kopecks}",
            "https://pay.example/?uin={uin}&for={name}",
            "https://pay.example/?uin={uin}&note=a b",
        ] {
            assert!(PaymentPage::parse(wrong).is_err(), "{wrong}");
        }
    }
}
