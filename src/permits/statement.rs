//! What the QR on a permit says: one signed statement, small enough for a card, true for as long as the permit can last.
//!
//! It says what was so when the permit was issued. Whether months are paid, or the permit annulled since, is not in it:
//! that changes, and paper does not. For that it names its place in the [`super::status_list`].

use chrono::{DateTime, Datelike as _, Duration, NaiveDate, TimeZone as _, Utc};
use chrono_tz::Tz;
use serde::{Deserialize, Serialize};

use super::jws::{self, Untrusted};
use super::keys::{Jwk, PermitKeys, PublishedKeys};
use crate::domain::application::Application;
use crate::domain::permit::PermitNumber;

/// The type of a statement, in the header (RFC 8725, section 3.11).
pub const TYPE: &str = "permit+jwt";

const WHAT: &str = "permit";

/// Where the status list is, under the service's public address.
pub const STATUS_LIST_PATH: &str = "/v1/permits/status-list";

/// What is stated of a permit. The order of the members is the order of the bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Statement {
    /// Series and number.
    pub num: PermitNumber,
    /// The holder's initials: family name, given name, patronymic.
    pub ini: String,
    /// The holder's year of birth.
    pub yob: i32,
    /// Code of the federal subject in which it is valid.
    pub ter: String,
    /// Code of the profession (OKZ), where the track has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub occ: Option<String>,
    /// The instant at which its first day begins, in seconds of the epoch.
    pub nbf: i64,
    /// The instant at which its last day is over, in seconds of the epoch.
    pub exp: i64,
    /// Minutes by which the office's clocks are ahead of UTC at the end of the last day.
    pub off: i32,
    /// Where its status is found.
    pub status: StatusReference,
}

/// A place in a status list, as draft-ietf-oauth-status-list writes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatusReference {
    /// The list and the place.
    pub status_list: StatusPlace,
}

/// Which list, and which place in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatusPlace {
    /// The place.
    pub idx: u64,
    /// Where the list is.
    pub uri: String,
}

/// Says why a permit is not valid, though the office may have signed it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotValid {
    /// Not to be trusted at all.
    #[error(transparent)]
    Untrusted(#[from] Untrusted),
    /// Its term is over.
    #[error("it has expired: its last day was {0}")]
    Expired(NaiveDate),
    /// Its first day is still to come.
    #[error("it is not valid yet: its first day is {0}")]
    NotYet(NaiveDate),
}

/// A statement that the office's key signed, and the key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proven<'k> {
    /// What is stated.
    pub statement: Statement,
    /// The key that signed it.
    pub key: &'k Jwk,
}

impl Statement {
    /// Makes the statement of an application's permit; `None` without a permit, without a holder (after erasure), or with
    /// days beyond all calendars.
    ///
    /// `zone` is the office's, `public_url` the service's address without a slash at the end.
    #[must_use]
    pub fn of(application: &Application, zone: Tz, public_url: &str) -> Option<Self> {
        let permit = application.permit.as_ref()?;
        let person = application.form.person.as_ref()?;
        let names =
            [Some(&person.family_name), Some(&person.given_name), person.patronymic.as_ref()];
        let initials = names.into_iter().flatten().filter_map(|name| {
            name.chars().find(|letter| letter.is_alphabetic()).map(char::to_uppercase)
        });
        let nbf = begins(permit.issued_on, zone)?;
        let exp = begins(permit.ends_on.succ_opt()?, zone)?;
        let occupation = application.form.occupation.as_ref();
        Some(Self {
            num: permit.number.clone(),
            ini: initials.flatten().collect(),
            yob: person.birth_date.year(),
            ter: permit.territory.clone(),
            occ: permit.profession.as_ref().and(occupation).map(|one| one.code.clone()),
            nbf: nbf.timestamp(),
            exp: exp.timestamp(),
            off: (exp.naive_local() - exp.naive_utc()).num_minutes().try_into().ok()?,
            status: StatusReference {
                status_list: StatusPlace {
                    idx: permit.number.serial(),
                    uri: format!("{public_url}{STATUS_LIST_PATH}"),
                },
            },
        })
    }

    /// Signs it: the text that the QR holds. The same statement and key give the same text.
    #[must_use]
    pub fn sign(&self, keys: &PermitKeys) -> String {
        // Serialising a struct of strings and numbers cannot fail; an empty text would prove nothing.
        keys.sign(TYPE, &serde_json::to_vec(self).unwrap_or_default())
    }

    /// Gives the first day of validity.
    #[must_use]
    pub fn first_day(&self) -> NaiveDate {
        // Half a day more: the office's offset may have been another one when the term began.
        self.day(self.nbf + 12 * 3600)
    }

    /// Gives the last day of validity.
    #[must_use]
    pub fn last_day(&self) -> NaiveDate {
        self.day(self.exp - 1)
    }

    fn day(&self, at: i64) -> NaiveDate {
        let local = at.saturating_add(i64::from(self.off) * 60);
        DateTime::from_timestamp(local, 0).map_or(NaiveDate::MAX, |at| at.date_naive())
    }
}

/// Gives the first instant of a day in a zone.
fn begins(day: NaiveDate, zone: Tz) -> Option<DateTime<Tz>> {
    let midnight = day.and_hms_opt(0, 0, 0)?;
    // Where clocks are put forward at midnight, the day begins an hour later.
    let later = || zone.from_local_datetime(&(midnight + Duration::hours(1))).earliest();
    zone.from_local_datetime(&midnight).earliest().or_else(later)
}

/// Verifies a permit's text at `now`: that one of the office's keys signed it while it signed, and the permit's days.
///
/// # Errors
/// The first thing that is wrong, the signature before the content.
pub fn verify<'k>(
    text: &str,
    keys: &'k PublishedKeys,
    now: DateTime<Utc>,
) -> Result<Proven<'k>, NotValid> {
    let now = now.timestamp();
    let (statement, key): (Statement, _) = jws::open(text, (TYPE, WHAT), keys, now)?;
    // What a key had signed before it was retired began before.
    if key.retired.is_some_and(|since| since <= statement.nbf) {
        return Err(Untrusted::KeyRetired(key.kid.clone()).into());
    }
    if now < statement.nbf {
        return Err(NotValid::NotYet(statement.first_day()));
    }
    if statement.exp <= now {
        return Err(NotValid::Expired(statement.last_day()));
    }
    Ok(Proven { statement, key })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    fn keys(seed: u8) -> PermitKeys {
        PermitKeys::generate([seed; 32], at("2026-01-01T00:00:00Z"), None)
    }

    fn statement() -> Statement {
        Statement {
            num: PermitNumber::compose("77", 1),
            ini: "КРА".to_owned(),
            yob: 1990,
            ter: "77".to_owned(),
            occ: Some("7112".to_owned()),
            nbf: at("2026-02-09T21:00:00Z").timestamp(),
            exp: at("2027-02-09T21:00:00Z").timestamp(),
            off: 180,
            status: StatusReference {
                status_list: StatusPlace {
                    idx: 1,
                    uri: format!("https://permits.example.org{STATUS_LIST_PATH}"),
                },
            },
        }
    }

    fn verify_at(text: &str, keys: &PermitKeys, time: &str) -> Result<Statement, NotValid> {
        let published = keys.published(at("2026-01-02T00:00:00Z"));
        verify(text, &published, at(time)).map(|proven| proven.statement)
    }

    const NOON: &str = "2026-11-24T09:00:00Z";

    #[test]
    fn the_same_permit_and_key_give_the_same_small_text() {
        let text = statement().sign(&keys(1));
        assert_eq!(text, statement().sign(&keys(1)));
        insta::assert_snapshot!(text, @"eyJhbGciOiJFZERTQSIsImtpZCI6IlVERFJlT1psIiwidHlwIjoicGVybWl0K2p3dCJ9.eyJudW0iOiI3Ny0wMDAwMDAwMDE2IiwiaW5pIjoi0JrQoNCQIiwieW9iIjoxOTkwLCJ0ZXIiOiI3NyIsIm9jYyI6IjcxMTIiLCJuYmYiOjE3NzA2NzA4MDAsImV4cCI6MTgwMjIwNjgwMCwib2ZmIjoxODAsInN0YXR1cyI6eyJzdGF0dXNfbGlzdCI6eyJpZHgiOjEsInVyaSI6Imh0dHBzOi8vcGVybWl0cy5leGFtcGxlLm9yZy92MS9wZXJtaXRzL3N0YXR1cy1saXN0In19fQ.njkzXq5zxAVjTRaByzHp5C62LkOagQ7sl6yeebopIPqjQOElnJRMn1-U7Jke0ADMexwr2WBL_ksz7iMVk7NyCw");
        assert!(text.len() < 450, "{}", text.len());
    }

    #[test]
    fn a_permit_is_valid_from_its_first_day_to_the_end_of_its_last() {
        let text = statement().sign(&keys(1));
        for (time, outcome) in [
            ("2026-02-09T20:59:59Z", Err(NotValid::NotYet(statement().first_day()))),
            ("2026-02-09T21:00:00Z", Ok(statement())),
            ("2027-02-09T20:59:59Z", Ok(statement())),
            ("2027-02-09T21:00:00Z", Err(NotValid::Expired(statement().last_day()))),
        ] {
            assert_eq!(verify_at(&text, &keys(1), time), outcome, "{time}");
        }
        assert_eq!(statement().first_day().to_string(), "2026-02-10");
        assert_eq!(statement().last_day().to_string(), "2027-02-09");
    }

    #[test]
    fn days_begin_where_the_office_is_whatever_the_clocks_do() {
        for (zone, day) in [
            (chrono_tz::Asia::Kamchatka, "2026-03-02"),
            (chrono_tz::Europe::Kaliningrad, "2026-03-02"),
            // Clocks that are put forward at midnight, and offsets that differ between beginning and end.
            (chrono_tz::Africa::Cairo, "2026-04-24"),
            (chrono_tz::Europe::Berlin, "2026-01-10"),
            (chrono_tz::Europe::Berlin, "2026-07-10"),
            (chrono_tz::America::New_York, "2026-03-08"),
        ] {
            let first: NaiveDate = day.parse().unwrap();
            let last = first + chrono::Months::new(5);
            let exp = begins(last.succ_opt().unwrap(), zone).unwrap();
            let said = Statement {
                nbf: begins(first, zone).unwrap().timestamp(),
                exp: exp.timestamp(),
                off: i32::try_from((exp.naive_local() - exp.naive_utc()).num_minutes()).unwrap(),
                ..statement()
            };
            assert_eq!((said.first_day(), said.last_day()), (first, last), "{zone}");
        }
    }

    #[test]
    fn every_altered_letter_is_noticed() {
        let text = statement().sign(&keys(1));
        for (place, _) in text.char_indices() {
            let mut bytes = text.clone().into_bytes();
            bytes[place] = if bytes[place] == b'A' { b'B' } else { b'A' };
            let altered = String::from_utf8(bytes).unwrap();
            assert!(verify_at(&altered, &keys(1), NOON).is_err(), "{place}: {altered}");
        }
        for length in 0..text.len() {
            assert!(verify_at(&text[..length], &keys(1), NOON).is_err(), "{length}");
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        let text = statement().sign(&keys(1));
        let refused = |text: &str, keys: &PermitKeys| match verify_at(text, keys, NOON) {
            Err(NotValid::Untrusted(reason)) => reason,
            other => panic!("{other:?}"),
        };
        let kid = |seed| keys(seed).signer().kid.clone();
        let parts: Vec<&str> = text.split('.').collect();
        assert_eq!(refused("hello", &keys(1)), Untrusted::NotSigned);
        assert_eq!(refused("https://example.org/a.b.c", &keys(1)), Untrusted::NotSigned);
        assert_eq!(refused(&format!("{text}.x"), &keys(1)), Untrusted::NotSigned);
        assert_eq!(refused(&text[..text.len() - 3], &keys(1)), Untrusted::Cut);
        assert_eq!(refused(&text[..parts[0].len() + 40], &keys(1)), Untrusted::Cut);
        assert_eq!(refused(&text, &keys(2)), Untrusted::UnknownKey(kid(1)));
        // Signed anew by somebody else: under his own name, and under the office's.
        let longer = Statement { exp: statement().exp + 86_400, ..statement() };
        let forged = longer.sign(&keys(2));
        assert_eq!(refused(&forged, &keys(1)), Untrusted::UnknownKey(kid(2)));
        let posed = [parts[0], forged.split_once('.').unwrap().1].join(".");
        assert_eq!(refused(&posed, &keys(1)), Untrusted::Forged(kid(1)));
        // Other things that the same key signs, and unsigned ones.
        let other = keys(1).sign("statuslist+jwt", b"{}");
        assert_eq!(refused(&other, &keys(1)), Untrusted::OtherKind("permit"));
        let none =
            ["eyJhbGciOiJub25lIiwia2lkIjoiIiwidHlwIjoicGVybWl0K2p3dCJ9", parts[1], ""].join(".");
        assert_eq!(refused(&none, &keys(1)), Untrusted::OtherKind("permit"));
        let empty = keys(1).sign(TYPE, b"{}");
        assert_eq!(refused(&empty, &keys(1)), Untrusted::Content(kid(1), "permit"));
    }

    #[test]
    fn a_retired_key_proves_what_it_signed_before_and_nothing_later() {
        let old = keys(1);
        let text = statement().sign(&old);
        let later = Statement { nbf: at("2026-06-30T21:00:00Z").timestamp(), ..statement() };
        let back_dated = later.sign(&old);
        let kid = old.signer().kid.clone();
        let turned = old
            .with_next([2; 32], at("2026-04-01T00:00:00Z"))
            .unwrap()
            .promote(at("2026-05-01T00:00:00Z"), at("2029-05-01T00:00:00Z"));
        assert_eq!(verify_at(&text, &turned, NOON), Ok(statement()));
        let retired = NotValid::Untrusted(Untrusted::KeyRetired(kid.clone()));
        assert_eq!(verify_at(&back_dated, &turned, NOON), Err(retired));
        assert_eq!(verify_at(&later.sign(&turned), &turned, NOON), Ok(later));
        let over = NotValid::Untrusted(Untrusted::KeyOver(kid));
        assert_eq!(verify_at(&text, &turned, "2029-05-01T00:00:00Z"), Err(over));
    }
}
