//! camt.053 of ISO 20022: the bank's statement in XML.

use chrono::NaiveDate;
use encoding_rs::WINDOWS_1251;
use quick_xml::Reader;
use quick_xml::escape::resolve_predefined_entity;
use quick_xml::events::Event;

use super::{Line, Money, Statement, StatementError, amount};

/// How deep elements may lie in one another; the schema has a dozen levels.
const DEEPEST: usize = 64;

/// Decodes the bytes as the declaration says: UTF-8, or Windows-1251.
pub(super) fn decode(bytes: &[u8]) -> Result<String, StatementError> {
    let head: String = bytes.iter().take(200).map(|byte| char::from(*byte)).collect();
    let declared = head.split("?>").next().unwrap_or_default().to_ascii_lowercase();
    if declared.contains("encoding=\"windows-1251\"")
        || declared.contains("encoding='windows-1251'")
    {
        return Ok(WINDOWS_1251.decode_without_bom_handling(bytes).0.into_owned());
    }
    match std::str::from_utf8(bytes) {
        Ok(text) => Ok(text.to_owned()),
        Err(error) => {
            let before = bytes.get(..error.valid_up_to()).unwrap_or_default();
            let line = 1 + before.iter().filter(|byte| **byte == b'\n').count();
            Err(StatementError::new(line, "the file is not in UTF-8, and declares nothing else"))
        }
    }
}

/// An entry being read.
#[derive(Debug, Default, Clone)]
struct Entry {
    line: usize,
    amount: Option<String>,
    currency: Option<String>,
    incoming: Option<bool>,
    booked_on: Option<NaiveDate>,
    reference: Option<String>,
    details: Vec<Details>,
}

/// One transaction of an entry.
#[derive(Debug, Default, Clone)]
struct Details {
    line: usize,
    amount: Option<String>,
    ids: [Option<String>; 3],
    uin: Option<String>,
    kbk: Option<String>,
    payer: Option<String>,
}

#[derive(Debug, Default)]
struct Document {
    statements: usize,
    period: (Option<NaiveDate>, Option<NaiveDate>),
    entries: Vec<Entry>,
    counted: Option<(usize, usize)>,
}

/// Reads the text.
pub(super) fn parse(text: &str) -> Result<Statement, StatementError> {
    let mut reader = Reader::from_str(text);
    let mut path: Vec<String> = Vec::new();
    let mut words = String::new();
    let mut document = Document::default();
    let (mut seen, mut line) = (0, 1);
    let mut closed = false;
    loop {
        let event = reader.read_event();
        let at = usize::try_from(reader.buffer_position()).unwrap_or(usize::MAX).min(text.len());
        let begins = line;
        line += text
            .as_bytes()
            .get(seen..at)
            .unwrap_or_default()
            .iter()
            .filter(|b| **b == b'\n')
            .count();
        seen = at;
        let wrong = |message: String| StatementError::new(line, message);
        let event = event.map_err(|error| {
            wrong(format!("the XML is broken or cut off ({error}); fetch the file again"))
        })?;
        match event {
            Event::Start(start) => {
                path.push(start.local_name().as_ref().to_owned());
                if path.len() > DEEPEST {
                    return Err(wrong("elements lie too deep in one another".to_owned()));
                }
                words.clear();
                let currency = match start.try_get_attribute("Ccy") {
                    Ok(Some(attribute)) => Some(attribute.value.as_ref().to_owned()),
                    Ok(None) => None,
                    Err(error) => return Err(wrong(format!("an attribute is broken ({error})"))),
                };
                document.begins(&path, currency, line);
            }
            Event::End(_) => {
                document.ends(&path, words.trim(), begins)?;
                words.clear();
                path.pop();
                closed = path.is_empty();
            }
            Event::Text(part) => words.push_str(&part),
            Event::CData(part) => words.push_str(&part),
            Event::GeneralRef(name) => match name.resolve_char_ref() {
                Ok(Some(letter)) => words.push(letter),
                Ok(None) => match resolve_predefined_entity(&name) {
                    Some(letters) => words.push_str(letters),
                    None => return Err(wrong(format!("the entity &{}; is not known", &*name))),
                },
                Err(error) => return Err(wrong(format!("a reference is broken ({error})"))),
            },
            Event::DocType(_) => {
                return Err(wrong("the file has a document type; a statement has none".to_owned()));
            }
            Event::Eof => break,
            Event::Empty(_) | Event::Comment(_) | Event::Decl(_) | Event::PI(_) => {}
        }
    }
    if !closed {
        return Err(StatementError::new(line, "the file is cut off; fetch it again"));
    }
    document.statement(line)
}

/// Tells whether the innermost elements have these names, from the outside in.
fn within(path: &[String], end: &[&str]) -> bool {
    path.len() >= end.len()
        && path.iter().rev().zip(end.iter().rev()).all(|(element, name)| element == name)
}

/// Reads a date, or the date of a time.
fn date(text: &str) -> Option<NaiveDate> {
    text.get(..10)?.parse().ok()
}

impl Document {
    fn begins(&mut self, path: &[String], currency: Option<String>, line: usize) {
        if within(path, &["Stmt"]) {
            self.statements += 1;
        } else if within(path, &["Stmt", "Ntry"]) {
            self.entries.push(Entry { line, ..Entry::default() });
        } else if let Some(entry) = self.entries.last_mut() {
            if within(path, &["Ntry", "NtryDtls", "TxDtls"]) {
                entry.details.push(Details { line, ..Details::default() });
            } else if within(path, &["Ntry", "Amt"]) {
                entry.currency = currency;
            }
        }
    }

    fn ends(&mut self, path: &[String], words: &str, line: usize) -> Result<(), StatementError> {
        let wrong = |what: &str| {
            StatementError::new(
                line,
                format!("{what} is \"{words}\"; the file is no sound camt.053"),
            )
        };
        let given = || (!words.is_empty()).then(|| words.to_owned());
        if within(path, &["Stmt", "FrToDt", "FrDtTm"]) {
            self.period.0 = Some(date(words).ok_or_else(|| wrong("the first day"))?);
        } else if within(path, &["Stmt", "FrToDt", "ToDtTm"]) {
            self.period.1 = Some(date(words).ok_or_else(|| wrong("the last day"))?);
        } else if within(path, &["TxsSummry", "TtlNtries", "NbOfNtries"]) {
            let count = words.parse().map_err(|_| wrong("the number of entries"))?;
            self.counted = Some((count, line));
        }
        let Some(entry) = self.entries.last_mut() else { return Ok(()) };
        if within(path, &["Stmt", "Ntry", "Amt"]) {
            entry.amount = given();
        } else if within(path, &["Stmt", "Ntry", "CdtDbtInd"]) {
            entry.incoming = match words {
                "CRDT" => Some(true),
                "DBIT" => Some(false),
                _ => return Err(wrong("CdtDbtInd")),
            };
        } else if within(path, &["Ntry", "BookgDt", "Dt"])
            || within(path, &["Ntry", "BookgDt", "DtTm"])
        {
            entry.booked_on = Some(date(words).ok_or_else(|| wrong("the day of booking"))?);
        } else if within(path, &["Ntry", "NtryRef"]) || within(path, &["Ntry", "AcctSvcrRef"]) {
            entry.reference = entry.reference.take().or_else(given);
        }
        let Some(details) = entry.details.last_mut() else { return Ok(()) };
        let known = || given().filter(|id| id != "NOTPROVIDED");
        if within(path, &["TxDtls", "Refs", "TxId"]) {
            details.ids[0] = known();
        } else if within(path, &["TxDtls", "Refs", "EndToEndId"]) {
            details.ids[1] = known();
        } else if within(path, &["TxDtls", "Refs", "AcctSvcrRef"]) {
            details.ids[2] = known();
        } else if within(path, &["TxDtls", "Amt"])
            || within(path, &["TxDtls", "AmtDtls", "TxAmt", "Amt"])
        {
            details.amount = given();
        } else if within(path, &["RltdPties", "Dbtr", "Nm"])
            || within(path, &["RltdPties", "Dbtr", "Pty", "Nm"])
        {
            details.payer = given();
        } else if within(path, &["RmtInf", "Strd", "CdtrRefInf", "Ref"]) {
            details.uin = given();
        } else if within(path, &["TxDtls", "Tax", "Rcrd", "CtgyDtls"]) {
            details.kbk = given();
        } else if within(path, &["RmtInf", "Ustrd"]) && details.uin.is_none() {
            details.uin = uin_in(words);
        }
        Ok(())
    }

    fn statement(self, last: usize) -> Result<Statement, StatementError> {
        if self.statements == 0 {
            let message = "the XML holds no statement (BkToCstmrStmt/Stmt); it is no camt.053";
            return Err(StatementError::new(1, message));
        }
        if let Some((count, line)) = self.counted
            && count != self.entries.len()
        {
            let message = format!("the file says {count} entries and has {}", self.entries.len());
            return Err(StatementError::new(line, message));
        }
        let (mut lines, mut outgoing) = (Vec::new(), 0);
        let mut days: Vec<NaiveDate> = Vec::new();
        for (number, entry) in self.entries.into_iter().enumerate() {
            let lacks = |what: &str| {
                StatementError::new(entry.line, format!("the entry has no {what} that can be read"))
            };
            let booked_on = entry.booked_on.ok_or_else(|| lacks("BookgDt"))?;
            days.push(booked_on);
            if !matches!(entry.currency.as_deref(), Some("RUB" | "RUR")) {
                return Err(lacks("amount in roubles (Ccy=\"RUB\")"));
            }
            let whole = entry.amount.as_deref().and_then(amount).ok_or_else(|| lacks("amount"))?;
            if !entry.incoming.ok_or_else(|| lacks("CdtDbtInd"))? {
                outgoing += 1;
                continue;
            }
            let alone = entry.details.len() <= 1;
            let details = match entry.details.is_empty() {
                true => vec![Details { line: entry.line, ..Details::default() }],
                false => entry.details.clone(),
            };
            let mut sum = Money::ZERO;
            for (part, one) in details.into_iter().enumerate() {
                let own = match &one.amount {
                    Some(text) => amount(text).ok_or_else(|| {
                        StatementError::new(one.line, format!("the amount is \"{text}\""))
                    })?,
                    None if alone => whole,
                    None => return Err(lacks("amount for each of its transactions")),
                };
                sum = sum.checked_add(own).ok_or_else(|| lacks("amount"))?;
                let id = one.ids.into_iter().flatten().next();
                let reference = entry.reference.clone().filter(|_| alone);
                let id = id
                    .or(reference)
                    .unwrap_or_else(|| format!("camt-{booked_on}-{}-{}", number + 1, part + 1));
                let (uin, kbk, payer) = (one.uin, one.kbk, one.payer);
                lines.push(Line { line: one.line, id, amount: own, booked_on, uin, kbk, payer });
            }
            if sum != whole {
                let message = format!("the entry is of {whole}, its transactions add up to {sum}");
                return Err(StatementError::new(entry.line, message));
            }
        }
        let from = self.period.0.or_else(|| days.iter().min().copied());
        let to = self.period.1.or_else(|| days.iter().max().copied());
        let (Some(from), Some(to)) = (from, to) else {
            let message = "the file has neither a period (FrToDt) nor an entry";
            return Err(StatementError::new(last, message));
        };
        Ok(Statement { from, to, lines, outgoing })
    }
}

/// Finds a UIN in the words of a payment order: `УИН 18810000…` or `УИН18810000…///`.
fn uin_in(words: &str) -> Option<String> {
    let (_, after) = words.split_once("УИН")?;
    let uin: String = after
        .trim_start_matches([':', ' ', '/', '-'])
        .chars()
        .take_while(|letter| letter.is_alphanumeric())
        .collect();
    matches!(uin.chars().count(), 20 | 25).then_some(uin)
}
