//! Countries of citizenship.

use serde::{Deserialize, Serialize};

use super::{IdentityError, checked_text};

/// Holds a country as its ISO 3166-1 alpha-3 code, in upper case.
///
/// The codes that ICAO 9303 adds for travel documents (`XXA`, stateless, and others) are no countries and
/// are refused here; a passport's zone keeps them as text.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct CountryCode(String);

checked_text!(CountryCode, IdentityError);

impl CountryCode {
    /// Every code of ISO 3166-1 alpha-3 officially assigned, in order.
    pub const ALL: [&'static str; 249] = [
        "ABW", "AFG", "AGO", "AIA", "ALA", "ALB", "AND", "ARE", "ARG", "ARM", "ASM", "ATA", "ATF",
        "ATG", "AUS", "AUT", "AZE", "BDI", "BEL", "BEN", "BES", "BFA", "BGD", "BGR", "BHR", "BHS",
        "BIH", "BLM", "BLR", "BLZ", "BMU", "BOL", "BRA", "BRB", "BRN", "BTN", "BVT", "BWA", "CAF",
        "CAN", "CCK", "CHE", "CHL", "CHN", "CIV", "CMR", "COD", "COG", "COK", "COL", "COM", "CPV",
        "CRI", "CUB", "CUW", "CXR", "CYM", "CYP", "CZE", "DEU", "DJI", "DMA", "DNK", "DOM", "DZA",
        "ECU", "EGY", "ERI", "ESH", "ESP", "EST", "ETH", "FIN", "FJI", "FLK", "FRA", "FRO", "FSM",
        "GAB", "GBR", "GEO", "GGY", "GHA", "GIB", "GIN", "GLP", "GMB", "GNB", "GNQ", "GRC", "GRD",
        "GRL", "GTM", "GUF", "GUM", "GUY", "HKG", "HMD", "HND", "HRV", "HTI", "HUN", "IDN", "IMN",
        "IND", "IOT", "IRL", "IRN", "IRQ", "ISL", "ISR", "ITA", "JAM", "JEY", "JOR", "JPN", "KAZ",
        "KEN", "KGZ", "KHM", "KIR", "KNA", "KOR", "KWT", "LAO", "LBN", "LBR", "LBY", "LCA", "LIE",
        "LKA", "LSO", "LTU", "LUX", "LVA", "MAC", "MAF", "MAR", "MCO", "MDA", "MDG", "MDV", "MEX",
        "MHL", "MKD", "MLI", "MLT", "MMR", "MNE", "MNG", "MNP", "MOZ", "MRT", "MSR", "MTQ", "MUS",
        "MWI", "MYS", "MYT", "NAM", "NCL", "NER", "NFK", "NGA", "NIC", "NIU", "NLD", "NOR", "NPL",
        "NRU", "NZL", "OMN", "PAK", "PAN", "PCN", "PER", "PHL", "PLW", "PNG", "POL", "PRI", "PRK",
        "PRT", "PRY", "PSE", "PYF", "QAT", "REU", "ROU", "RUS", "RWA", "SAU", "SDN", "SEN", "SGP",
        "SGS", "SHN", "SJM", "SLB", "SLE", "SLV", "SMR", "SOM", "SPM", "SRB", "SSD", "STP", "SUR",
        "SVK", "SVN", "SWE", "SWZ", "SXM", "SYC", "SYR", "TCA", "TCD", "TGO", "THA", "TJK", "TKL",
        "TKM", "TLS", "TON", "TTO", "TUN", "TUR", "TUV", "TWN", "TZA", "UGA", "UKR", "UMI", "URY",
        "USA", "UZB", "VAT", "VCT", "VEN", "VGB", "VIR", "VNM", "VUT", "WLF", "WSM", "YEM", "ZAF",
        "ZMB", "ZWE",
    ];

    /// Parses a code in upper or lower case, ignoring space around it.
    ///
    /// # Errors
    ///
    /// [`IdentityError::Country`] for anything but an officially assigned code.
    pub fn parse(text: &str) -> Result<Self, IdentityError> {
        let code = text.trim().to_ascii_uppercase();
        match Self::ALL.binary_search(&code.as_str()) {
            Ok(_) => Ok(Self(code)),
            Err(_) => Err(IdentityError::Country),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_in_strict_order_so_that_a_binary_search_finds_every_code() {
        assert!(CountryCode::ALL.windows(2).all(|pair| pair[0] < pair[1]));
        for code in CountryCode::ALL {
            assert_eq!(CountryCode::parse(code).unwrap().as_str(), code);
        }
    }

    #[test]
    fn case_and_surrounding_space_do_not_matter() {
        assert_eq!(CountryCode::parse(" uzb ").unwrap().as_str(), "UZB");
    }

    #[test]
    fn other_codes_are_refused() {
        for text in ["", "UZ", "UTO", "XXA", "SUN", "860", "УЗБ"] {
            assert_eq!(CountryCode::parse(text), Err(IdentityError::Country), "{text}");
        }
    }
}
