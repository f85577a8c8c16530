//! The public leaf of an event in the transparency log: what anyone may know, and a commitment to the rest.
//!
//! A leaf is the RFC 8785 (JSON canonicalisation) form of one flat object, its members in the order of their
//! names, absent ones left out, hexadecimal in lower case:
//!
//! ```text
//! {"at":"2026-11-24T10:00:00Z","commitment":"…64…","event":"uuid","kind":"accepted","pseudonym":"…32…","seq":4,
//!  "track":"patent","unit":"77","v":1,"workflow":1}
//! ```

use std::borrow::Cow;

use uuid::Uuid;

/// The version of the form, its member `v`.
pub const VERSION: u32 = 1;

/// The last second of the year 9999, the last that the form can name, in seconds since 1970.
const LAST_SECOND: i64 = 253_402_300_799;
const DAY: i64 = 86_400;

/// Holds what is public of an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leaf {
    /// When, in whole seconds since 1970, in UTC. The form can name 1970 to 9999; [`Leaf::encode`] takes the nearest.
    pub at: i64,
    /// SHA-256 of the salt and the private content.
    pub commitment: [u8; 32],
    /// The event's id.
    pub event: Uuid,
    /// What happened, in the past tense, such as `accepted`.
    pub kind: String,
    /// The application, unlinkably: HMAC-SHA256 under the event's salt, its first half.
    pub pseudonym: Option<[u8; 16]>,
    /// The event's number within its application, from 1.
    pub seq: Option<i32>,
    /// The application's track.
    pub track: Option<String>,
    /// Code of the office.
    pub unit: Option<String>,
    /// Version of the track's definition.
    pub workflow: Option<i32>,
}

/// Says what is wrong with a leaf, and where.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the leaf is not of the form at byte {place}: {what}")]
pub struct LeafError {
    /// The byte, from 0.
    pub place: usize,
    /// What is wrong.
    pub what: &'static str,
}

/// A leaf that borrows its texts from the bytes it was read from.
struct Parts<'a> {
    at: i64,
    commitment: [u8; 32],
    event: Uuid,
    kind: Cow<'a, str>,
    pseudonym: Option<[u8; 16]>,
    seq: Option<i32>,
    track: Option<Cow<'a, str>>,
    unit: Option<Cow<'a, str>>,
    workflow: Option<i32>,
}

impl Leaf {
    /// Gives the leaf's bytes: what is hashed into the tree and stands in the entry bundle.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(320);
        out.extend_from_slice(b"{\"at\":\"");
        write_time(&mut out, self.at);
        out.extend_from_slice(b"\",\"commitment\":\"");
        write_hex(&mut out, &self.commitment);
        out.extend_from_slice(b"\",\"event\":\"");
        out.extend_from_slice(self.event.hyphenated().encode_lower(&mut [0; 36]).as_bytes());
        out.extend_from_slice(b"\",\"kind\":");
        write_text(&mut out, &self.kind);
        if let Some(pseudonym) = &self.pseudonym {
            out.extend_from_slice(b",\"pseudonym\":\"");
            write_hex(&mut out, pseudonym);
            out.push(b'"');
        }
        if let Some(seq) = self.seq {
            out.extend_from_slice(format!(",\"seq\":{seq}").as_bytes());
        }
        if let Some(track) = &self.track {
            out.extend_from_slice(b",\"track\":");
            write_text(&mut out, track);
        }
        if let Some(unit) = &self.unit {
            out.extend_from_slice(b",\"unit\":");
            write_text(&mut out, unit);
        }
        out.extend_from_slice(format!(",\"v\":{VERSION}").as_bytes());
        if let Some(workflow) = self.workflow {
            out.extend_from_slice(format!(",\"workflow\":{workflow}").as_bytes());
        }
        out.push(b'}');
        out
    }

    /// Parses a leaf: exactly the bytes that [`Leaf::encode`] gives, and nothing else.
    ///
    /// # Errors
    /// [`LeafError`] names the first byte that is not as it must be.
    pub fn parse(bytes: &[u8]) -> Result<Self, LeafError> {
        let parts = Reader { bytes, place: 0 }.leaf()?;
        Ok(Self {
            at: parts.at,
            commitment: parts.commitment,
            event: parts.event,
            kind: parts.kind.into_owned(),
            pseudonym: parts.pseudonym,
            seq: parts.seq,
            track: parts.track.map(Cow::into_owned),
            unit: parts.unit.map(Cow::into_owned),
            workflow: parts.workflow,
        })
    }

    /// Checks that bytes are a leaf, as [`Leaf::parse`] does, without keeping anything.
    ///
    /// # Errors
    /// [`LeafError`] names the first byte that is not as it must be.
    pub fn check(bytes: &[u8]) -> Result<(), LeafError> {
        Reader { bytes, place: 0 }.leaf().map(|_| ())
    }
}

/// Writes a text as RFC 8785 has it, which is how `serde_json` writes it too.
fn write_text(out: &mut Vec<u8>, text: &str) {
    if text.bytes().all(is_plain) {
        out.push(b'"');
        out.extend_from_slice(text.as_bytes());
        out.push(b'"');
    } else {
        out.extend_from_slice(serde_json::Value::from(text).to_string().as_bytes());
    }
}

/// Tells whether a byte stands in a JSON string as itself, wherever it is.
const fn is_plain(byte: u8) -> bool {
    matches!(byte, b' '..=b'~') && byte != b'"' && byte != b'\\'
}

fn write_hex(out: &mut Vec<u8>, bytes: &[u8]) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for byte in bytes {
        out.push(DIGITS[usize::from(byte >> 4)]);
        out.push(DIGITS[usize::from(byte & 15)]);
    }
}

fn write_time(out: &mut Vec<u8>, at: i64) {
    let at = at.clamp(0, LAST_SECOND);
    let (year, month, day) = date(at / DAY);
    let second = at % DAY;
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    out.extend_from_slice(
        format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z").as_bytes(),
    );
}

/// Gives year, month and day of a day counted from 1970 on, in the proleptic Gregorian calendar.
///
/// Years are taken to begin in March, so that a leap day ends one; 153 days are five months.
const fn date(day: i64) -> (i64, i64, i64) {
    // Days since 0000-03-01; 146,097 are the days of 400 years.
    let day = day + 719_468;
    let era = day / 146_097;
    let of_era = day % 146_097;
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = year + era * 400 + (month <= 2) as i64;
    (year, month, day)
}

/// Gives the day counted from 1970 on; the inverse of [`date`].
const fn day_number(year: i64, month: i64, day: i64) -> i64 {
    let year = year - (month <= 2) as i64;
    let (era, of_era) = (year / 400, year % 400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

/// Reads a leaf from the left to the right.
struct Reader<'a> {
    bytes: &'a [u8],
    place: usize,
}

impl<'a> Reader<'a> {
    fn leaf(mut self) -> Result<Parts<'a>, LeafError> {
        self.expect(b"{\"at\":\"", "a leaf begins with its time")?;
        let at = self.time()?;
        self.expect(b"\",\"commitment\":\"", "the member commitment follows the time")?;
        let commitment = self.hex()?;
        self.expect(b"\",\"event\":\"", "the member event follows the commitment")?;
        let event = self.uuid()?;
        self.expect(b"\",\"kind\":\"", "the member kind follows the event")?;
        let kind = self.text()?;
        let pseudonym = self.optional(b",\"pseudonym\":\"", |reader| {
            let pseudonym = reader.hex()?;
            reader.expect(b"\"", "a pseudonym has 32 digits")?;
            Ok(pseudonym)
        })?;
        let seq = self.optional(b",\"seq\":", Self::number)?;
        let track = self.optional(b",\"track\":\"", Self::text)?;
        let unit = self.optional(b",\"unit\":\"", Self::text)?;
        self.expect(b",\"v\":1", "the member v is 1 and stands in the order of names")?;
        let workflow = self.optional(b",\"workflow\":", Self::number)?;
        self.expect(b"}", "the leaf ends here")?;
        if self.place != self.bytes.len() {
            return Err(self.wrong("nothing follows the leaf"));
        }
        Ok(Parts { at, commitment, event, kind, pseudonym, seq, track, unit, workflow })
    }

    const fn wrong(&self, what: &'static str) -> LeafError {
        LeafError { place: self.place, what }
    }

    fn rest(&self) -> &'a [u8] {
        &self.bytes[self.place..]
    }

    fn expect(&mut self, text: &[u8], what: &'static str) -> Result<(), LeafError> {
        if !self.rest().starts_with(text) {
            return Err(self.wrong(what));
        }
        self.place += text.len();
        Ok(())
    }

    fn optional<T>(
        &mut self,
        name: &[u8],
        value: impl FnOnce(&mut Self) -> Result<T, LeafError>,
    ) -> Result<Option<T>, LeafError> {
        if !self.rest().starts_with(name) {
            return Ok(None);
        }
        self.place += name.len();
        value(self).map(Some)
    }

    fn time(&mut self) -> Result<i64, LeafError> {
        let wrong = self.wrong("a time is written like 2026-11-24T10:00:00Z");
        let text: &[u8; 20] = self.rest().first_chunk().ok_or(wrong)?;
        // Each digit's weight; a sign where none may stand.
        for (byte, form) in text.iter().zip(b"0000-00-00T00:00:00Z") {
            let fits = if *form == b'0' { byte.is_ascii_digit() } else { byte == form };
            if !fits {
                return Err(wrong);
            }
        }
        let number = |from: usize, to: usize| {
            text[from..to].iter().fold(0, |sum, digit| sum * 10 + i64::from(digit - b'0'))
        };
        let (year, month, day) = (number(0, 4), number(5, 7), number(8, 10));
        let (hour, minute, second) = (number(11, 13), number(14, 16), number(17, 19));
        let days = day_number(year, month, day);
        let exists = year >= 1970
            && (1..=12).contains(&month)
            && date(days) == (year, month, day)
            && hour < 24
            && minute < 60
            && second < 60;
        if !exists {
            return Err(wrong);
        }
        self.place += text.len();
        Ok(days * DAY + hour * 3600 + minute * 60 + second)
    }

    fn hex<const N: usize>(&mut self) -> Result<[u8; N], LeafError> {
        let wrong = self.wrong("bytes are hexadecimal digits in lower case, two for each");
        let digits = self.rest().get(..2 * N).ok_or(wrong)?;
        let mut bytes = [0; N];
        for (byte, pair) in bytes.iter_mut().zip(digits.as_chunks::<2>().0) {
            let [high, low] = pair.map(|digit| NIBBLES[usize::from(digit)]);
            if high | low > 15 {
                return Err(wrong);
            }
            *byte = high << 4 | low;
        }
        self.place += 2 * N;
        Ok(bytes)
    }

    fn uuid(&mut self) -> Result<Uuid, LeafError> {
        let wrong = self.wrong("an id is a UUID in lower case");
        let text: &[u8; 36] = self.rest().first_chunk().ok_or(wrong)?;
        let id = Uuid::try_parse_ascii(text).map_err(|_| wrong)?;
        if id.hyphenated().encode_lower(&mut [0; 36]).as_bytes() != text {
            return Err(wrong);
        }
        self.place += text.len();
        Ok(id)
    }

    fn number(&mut self) -> Result<i32, LeafError> {
        let wrong = self.wrong("a number is an integer without additional zeros");
        let rest = self.rest();
        let end = rest.iter().position(|byte| !matches!(byte, b'0'..=b'9' | b'-'));
        let text = str::from_utf8(&rest[..end.unwrap_or(rest.len())]).map_err(|_| wrong)?;
        let number: i32 = text.parse().map_err(|_| wrong)?;
        let digits = text.strip_prefix('-').unwrap_or(text);
        let canonical = text == "0" || !digits.starts_with('0');
        if !canonical {
            return Err(wrong);
        }
        self.place += text.len();
        Ok(number)
    }

    /// Reads a string after its opening quotation mark.
    fn text(&mut self) -> Result<Cow<'a, str>, LeafError> {
        let wrong = self.wrong("a text is a JSON string as RFC 8785 writes it");
        let rest = self.rest();
        let plain = rest.iter().position(|byte| !is_plain(*byte)).ok_or(wrong)?;
        if rest[plain] == b'"' {
            self.place += plain + 1;
            return str::from_utf8(&rest[..plain]).map(Cow::Borrowed).map_err(|_| wrong);
        }
        // Rare: letters beyond ASCII, or escapes. What the other reader makes of it must be written the same again.
        let opened = &self.bytes[self.place - 1..];
        let mut texts = serde_json::Deserializer::from_slice(opened).into_iter::<String>();
        let text = texts.next().and_then(Result::ok).ok_or(wrong)?;
        let mut again = Vec::new();
        write_text(&mut again, &text);
        if !opened.starts_with(&again) {
            return Err(wrong);
        }
        self.place += again.len() - 1;
        Ok(Cow::Owned(text))
    }
}

/// The value of each hexadecimal digit in lower case; 255 for every other byte.
const NIBBLES: [u8; 256] = {
    let mut table = [255; 256];
    let mut value = 0;
    while value < 16 {
        table[b"0123456789abcdef"[value] as usize] = value as u8;
        value += 1;
    }
    table
};

#[cfg(test)]
mod tests {
    use chrono::{DateTime, SecondsFormat};
    use proptest::prelude::*;

    use super::*;

    const FULL: &str = concat!(
        r#"{"at":"2026-11-24T10:00:00Z","commitment":"#,
        r#""00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff","#,
        r#""event":"0193a5c4-7d00-7abc-8def-0123456789ab","kind":"accepted","#,
        r#""pseudonym":"0123456789abcdef0123456789abcdef","seq":4,"track":"patent","unit":"77","#,
        r#""v":1,"workflow":1}"#
    );
    const SHORT: &str = concat!(
        r#"{"at":"1970-01-01T00:00:00Z","commitment":"#,
        r#""0000000000000000000000000000000000000000000000000000000000000000","#,
        r#""event":"00000000-0000-0000-0000-000000000000","kind":"unitAdded","v":1}"#
    );

    fn full() -> Leaf {
        let half = [0x00, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88, 0x99, 0xaa, 0xbb];
        let mut commitment = [0; 32];
        commitment[..12].copy_from_slice(&half);
        commitment[12..16].copy_from_slice(&[0xcc, 0xdd, 0xee, 0xff]);
        commitment.copy_within(0..16, 16);
        Leaf {
            at: 1_795_514_400,
            commitment,
            event: "0193a5c4-7d00-7abc-8def-0123456789ab".parse().unwrap(),
            kind: "accepted".to_owned(),
            pseudonym: Some(
                [0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef].repeat(2).try_into().unwrap(),
            ),
            seq: Some(4),
            track: Some("patent".to_owned()),
            unit: Some("77".to_owned()),
            workflow: Some(1),
        }
    }

    #[test]
    fn a_leaf_is_written_as_documented() {
        assert_eq!(String::from_utf8(full().encode()).unwrap(), FULL);
        assert_eq!(Leaf::parse(FULL.as_bytes()), Ok(full()));
        let short = Leaf::parse(SHORT.as_bytes()).unwrap();
        assert_eq!((short.at, short.kind.as_str(), short.seq), (0, "unitAdded", None));
        assert_eq!(String::from_utf8(short.encode()).unwrap(), SHORT);
    }

    #[test]
    fn the_form_is_that_of_a_json_writer_with_sorted_members() {
        let value: serde_json::Value = serde_json::from_str(FULL).unwrap();
        assert_eq!(value.to_string(), FULL);
    }

    #[test]
    fn every_other_form_of_the_same_is_refused() {
        for (from, to) in [
            ("{", " {"),
            ("}", "} "),
            ("}", ""),
            (":4", ": 4"),
            (":4", ":4.0"),
            (":4", ":04"),
            (":4", ":-0"),
            (":4", ":+4"),
            (":4", ":4e0"),
            (":4", ":"),
            (":4", ":4-"),
            (":4", ":2147483648"),
            (":4", ":null"),
            (":4", ":\"4\""),
            ("0011", "0g11"),
            ("aabb", "AABB"),
            ("0193a5c4-", "0193A5C4-"),
            ("0193a5c4-7d00", "0193a5c47d00"),
            ("10:00:00Z", "10:00:00.0Z"),
            ("10:00:00Z", "10:00:00+00:00"),
            ("10:00:00Z", "10:00:60Z"),
            ("10:00:00Z", "24:00:00Z"),
            ("11-24", "02-29"),
            ("11-24", "11-31"),
            ("11-24", "13-01"),
            ("11-24", "00-01"),
            ("11-24", "01-00"),
            ("2026", "1969"),
            ("T10", "t10"),
            ("accepted", "acce\\u0070ted"),
            ("accepted", "acc\\/epted"),
            ("accepted", "acc\nepted"),
            ("accepted", "acc\"epted"),
            ("\"v\":1", "\"v\":2"),
            ("\"v\":1", "\"v\":11"),
            ("\"v\":1,", ""),
            (",\"v\":1,\"workflow\":1", ",\"workflow\":1,\"v\":1"),
            ("\"seq\":4,\"track\":\"patent\"", "\"track\":\"patent\",\"seq\":4"),
            ("\"seq\":4", "\"seq\":4,\"seq\":4"),
            ("\"unit\"", "\"name\":\"x\",\"unit\""),
        ] {
            let text = FULL.replacen(from, to, 1);
            assert_ne!(text, FULL, "{from}");
            let error = Leaf::parse(text.as_bytes()).unwrap_err();
            assert!(error.place <= text.len());
            assert_eq!(Leaf::check(text.as_bytes()), Err(error));
        }
        let mut bytes = FULL.as_bytes().to_vec();
        let place = FULL.find("accepted").unwrap();
        bytes[place] = 0xff;
        assert_eq!(
            Leaf::parse(&bytes).unwrap_err().to_string(),
            format!(
                "the leaf is not of the form at byte {place}: a text is a JSON string as RFC 8785 writes it"
            )
        );
    }

    #[test]
    fn times_beyond_the_form_are_written_as_the_nearest() {
        for (at, shown) in [
            (-1, "1970-01-01T00:00:00Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (LAST_SECOND, "9999-12-31T23:59:59Z"),
            (i64::MAX, "9999-12-31T23:59:59Z"),
        ] {
            let encoded = Leaf { at, ..full() }.encode();
            assert_eq!(str::from_utf8(&encoded[7..27]).unwrap(), shown);
        }
    }

    fn leaves() -> impl Strategy<Value = Leaf> {
        let text = || prop_oneof!["[a-zA-Z0-9-]{0,20}", "(?s).{0,12}"];
        (
            (0..=LAST_SECOND, any::<[u8; 32]>(), any::<[u8; 16]>(), text()),
            (
                proptest::option::of(any::<[u8; 16]>()),
                proptest::option::of(any::<i32>()),
                proptest::option::of(text()),
                proptest::option::of(text()),
                proptest::option::of(any::<i32>()),
            ),
        )
            .prop_map(
                |((at, commitment, event, kind), (pseudonym, seq, track, unit, workflow))| Leaf {
                    at,
                    commitment,
                    event: Uuid::from_bytes(event),
                    kind,
                    pseudonym,
                    seq,
                    track,
                    unit,
                    workflow,
                },
            )
    }

    proptest! {
        #[test]
        fn every_leaf_parses_to_itself_and_is_canonical_json(leaf in leaves()) {
            let bytes = leaf.encode();
            prop_assert_eq!(Leaf::parse(&bytes), Ok(leaf.clone()));
            prop_assert_eq!(Leaf::check(&bytes), Ok(()));
            let value: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
            let written = value.to_string();
            prop_assert_eq!(written.as_bytes(), &bytes);
            let at = DateTime::from_timestamp(leaf.at, 0).unwrap();
            prop_assert_eq!(&value["at"], &at.to_rfc3339_opts(SecondsFormat::Secs, true));
        }

        #[test]
        fn whatever_parses_is_what_would_be_written(
            leaf in leaves(), place in any::<prop::sample::Index>(), byte in any::<u8>(), cut in any::<bool>(),
        ) {
            let mut bytes = leaf.encode();
            let place = place.index(bytes.len());
            if cut {
                bytes.remove(place);
            } else {
                bytes[place] = byte;
            }
            if let Ok(leaf) = Leaf::parse(&bytes) {
                prop_assert_eq!(leaf.encode(), bytes);
            }
        }

        #[test]
        fn any_bytes_are_a_leaf_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            if let Ok(leaf) = Leaf::parse(&bytes) {
                prop_assert_eq!(leaf.encode(), bytes);
            }
        }
    }
}
