//! The text exchange of 1C with a client's bank (`1CClientBankExchange`): `Key=Value` in sections.

use std::collections::BTreeMap;

use chrono::NaiveDate;
use encoding_rs::{IBM866, WINDOWS_1251};

use super::{Line, Statement, StatementError, amount};

/// What every file begins with.
pub(super) const HEADER: &str = "1CClientBankExchange";

/// What every file ends with.
const END: &str = "КонецФайла";

/// Decodes the bytes: UTF-8 where they are that, else the code page in which the file has its end.
pub(super) fn decode(bytes: &[u8]) -> Result<String, StatementError> {
    if let Ok(text) = std::str::from_utf8(bytes) {
        return Ok(text.to_owned());
    }
    let pages = [WINDOWS_1251, IBM866].map(|page| page.decode_without_bom_handling(bytes).0);
    let known =
        |text: &&std::borrow::Cow<'_, str>| text.contains("СекцияДокумент") || text.contains(END);
    match pages.iter().find(known) {
        Some(text) => Ok(text.clone().into_owned()),
        None => Err(StatementError::new(1, "the file is in none of UTF-8, Windows-1251 and DOS")),
    }
}

/// Reads `dd.mm.yyyy`.
fn date(text: &str) -> Option<NaiveDate> {
    NaiveDate::parse_from_str(text, "%d.%m.%Y").ok()
}

/// Reads the text.
pub(super) fn parse(text: &str) -> Result<Statement, StatementError> {
    let mut own: Vec<String> = Vec::new();
    let (mut from, mut to) = (None, None);
    let mut section: Option<(usize, BTreeMap<String, String>)> = None;
    let (mut lines, mut outgoing, mut ended) = (Vec::new(), 0, false);
    let mut last = 1;
    for (number, raw) in text.lines().enumerate() {
        let (number, raw) = (number + 1, raw.trim());
        last = number;
        if raw.is_empty() || number == 1 {
            continue;
        }
        if ended {
            return Err(StatementError::new(number, format!("there is more after {END}")));
        }
        let (key, value) = raw.split_once('=').unwrap_or((raw, ""));
        let (key, value) = (key.trim(), value.trim());
        let day = || {
            date(value).ok_or_else(|| {
                StatementError::new(number, format!("{key} is \"{value}\"; write dd.mm.yyyy"))
            })
        };
        match (key, &mut section) {
            (END, None) => ended = true,
            (END | "СекцияДокумент", Some((begun, _))) => {
                let message = format!("the document of line {begun} has no КонецДокумента");
                return Err(StatementError::new(number, message));
            }
            ("СекцияДокумент", None) => section = Some((number, BTreeMap::new())),
            ("КонецДокумента", Some((begun, fields))) => {
                match document(*begun, fields, &own)? {
                    Some(line) => lines.push(line),
                    None => outgoing += 1,
                }
                section = None;
            }
            ("КонецДокумента", None) => {
                return Err(StatementError::new(number, "КонецДокумента ends no document"));
            }
            (_, Some((_, fields))) => {
                fields.insert(key.to_owned(), value.to_owned());
            }
            ("ДатаНачала", None) => {
                let day = day()?;
                from = Some(from.map_or(day, |known: NaiveDate| known.min(day)));
            }
            ("ДатаКонца", None) => {
                let day = day()?;
                to = Some(to.map_or(day, |known: NaiveDate| known.max(day)));
            }
            ("РасчСчет", None) => own.push(value.to_owned()),
            (_, None) => {}
        }
    }
    if !ended {
        return Err(StatementError::new(
            last,
            format!("the file is cut off: it has no {END}; fetch it again"),
        ));
    }
    let days = || lines.iter().map(|line: &Line| line.booked_on);
    let (from, to) = (from.or_else(|| days().min()), to.or_else(|| days().max()));
    let (Some(from), Some(to)) = (from, to) else {
        return Err(StatementError::new(
            last,
            "the file has neither ДатаНачала and ДатаКонца nor a document",
        ));
    };
    Ok(Statement { from, to, lines, outgoing })
}

/// Reads one document; `None` for what went out.
fn document(
    begun: usize,
    fields: &BTreeMap<String, String>,
    own: &[String],
) -> Result<Option<Line>, StatementError> {
    let field = |key: &str| fields.get(key).filter(|value| !value.is_empty());
    let need = |key: &str| {
        field(key).ok_or_else(|| StatementError::new(begun, format!("the document has no {key}")))
    };
    let sum = need("Сумма")?;
    let amount = amount(sum)
        .ok_or_else(|| StatementError::new(begun, format!("Сумма is \"{sum}\"; write 4200.00")))?;
    let from = need("ПлательщикСчет")?;
    if own.contains(from) || (field("ДатаСписано").is_some() && field("ДатаПоступило").is_none())
    {
        return Ok(None);
    }
    let day = field("ДатаПоступило").map_or_else(|| need("Дата"), Ok)?;
    let booked_on = date(day).ok_or_else(|| {
        StatementError::new(begun, format!("the day is \"{day}\"; write dd.mm.yyyy"))
    })?;
    let number = need("Номер")?;
    Ok(Some(Line {
        line: begun,
        // Payers number their orders themselves: only with day and account a number is one order's.
        id: format!("1c-{}-{number}-{from}", need("Дата")?),
        amount,
        booked_on,
        uin: field("Код").filter(|uin| *uin != "0").cloned(),
        kbk: field("ПоказательКБК").cloned(),
        payer: field("Плательщик1").or_else(|| field("Плательщик")).cloned(),
    }))
}
