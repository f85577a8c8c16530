//! The permit: what order 805/2021 has on the blank of a patent, and on the work permit the employer.

use chrono::{DateTime, NaiveDate, Utc};
use fluent_bundle::FluentArgs;

use super::sheet::{MARGIN, MM, Sheet, Style};
use super::{Bilingual, Words, day, joined};
use crate::error::{Error, Result};
use crate::qr::Qr;

/// Side of the QR's modules: more than the 25 mm that a telephone's camera needs.
const CODE: f32 = 30.0 * MM;
/// Width and height of the photograph.
const PHOTO: (f32, f32) = (30.0 * MM, 40.0 * MM);
/// Where the rows begin, to the right of the photograph.
const ROWS: f32 = MARGIN + CODE + 24.0;

/// Everything that stands on a permit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PermitPaper {
    /// The holder's language.
    pub language: String,
    /// What the track is called.
    pub title: Bilingual,
    /// Series and number: `77 0000000016`.
    pub number: String,
    /// Number of the paper that it is printed on; none on permits that were issued before papers had one.
    pub blank: Option<String>,
    /// The photograph as a JPEG; a frame stands where there is none.
    pub photo: Option<Vec<u8>>,
    /// The holder's name as the office writes it.
    pub name: String,
    /// The name in Latin letters.
    pub latin_name: String,
    /// Whether the passport's machine-readable zone says so; else it was transliterated.
    pub latin_of_passport: bool,
    /// Date of birth.
    pub birth_date: NaiveDate,
    /// Citizenship, ISO 3166-1 alpha-3.
    pub citizenship: String,
    /// Series and number of the passport.
    pub passport: String,
    /// Profession with its code.
    pub profession: Option<String>,
    /// The holder's taxpayer number.
    pub inn: Option<String>,
    /// The employer, on tracks whose permit is bound to one.
    pub employer: Option<String>,
    /// Code of the federal subject in which it is valid.
    pub territory: String,
    /// The office that issued it.
    pub unit: String,
    /// Day of issue.
    pub issued_on: NaiveDate,
    /// Last paid day on that day, where months are paid.
    pub paid_through: Option<NaiveDate>,
    /// Last day of the term.
    pub ends_on: NaiveDate,
    /// Who issued it.
    pub issued_by: String,
    /// Reference of the application.
    pub reference: String,
    /// The signed text in the QR.
    pub code: String,
    /// Where its validity is asked.
    pub check_at: String,
    /// The instant of the event that it is printed for.
    pub at: DateTime<Utc>,
}

pub(super) fn print(paper: &PermitPaper, words: &Words<'_>) -> Result<Vec<u8>> {
    let mut sheet = Sheet::new()?;
    sheet.text(&words.line("country")?, Style::OTHER);
    sheet.skip(4.0);
    let (title, own) = paper.title.pair();
    sheet.text(&title, Style::TITLE);
    if let Some(own) = own {
        sheet.text(&own, Style::OTHER);
    }
    sheet.skip(14.0);

    let top = sheet.y();
    match &paper.photo {
        Some(photo) => sheet.picture(photo, (MARGIN, top), PHOTO)?,
        None => sheet.frame((MARGIN, top), PHOTO),
    }
    let code = Qr::new(&paper.code);
    let code = code.ok_or_else(|| Error::bug("a permit does not fit into a QR"))?;
    let at = (MARGIN, top + PHOTO.1 + 24.0);
    sheet.code(code, at, CODE);
    let mut args = FluentArgs::new();
    args.set("link", paper.check_at.clone());
    let (check, own) = words.both_with("permit-check", &args)?;
    let beneath = sheet.beside(&check, Style::LABEL, (MARGIN, at.1 + CODE + 12.0), CODE);
    if let Some(own) = own {
        sheet.beside(&own, Style::LABEL, (MARGIN, beneath + 4.0), CODE);
    }

    sheet.indent(ROWS);
    let latin = if paper.latin_of_passport { "permit-name-passport" } else { "permit-name-latin" };
    let rows = [
        ("permit-number", Some(paper.number.clone())),
        ("permit-blank", paper.blank.clone()),
        ("permit-name", Some(paper.name.clone())),
        (latin, Some(paper.latin_name.clone())),
        ("permit-birth-date", Some(day(paper.birth_date))),
        ("permit-citizenship", Some(paper.citizenship.clone())),
        ("permit-passport", Some(paper.passport.clone())),
        ("permit-profession", paper.profession.clone()),
        ("permit-inn", paper.inn.clone()),
        ("permit-employer", paper.employer.clone()),
        ("permit-territory", Some(paper.territory.clone())),
        ("permit-unit", Some(paper.unit.clone())),
        ("permit-issued-on", Some(day(paper.issued_on))),
        ("permit-paid-through", paper.paid_through.map(day)),
        ("permit-ends-on", Some(day(paper.ends_on))),
        ("permit-issued-by", Some(paper.issued_by.clone())),
        ("permit-reference", Some(paper.reference.clone())),
    ];
    for (label, value) in rows {
        let Some(value) = value else { continue };
        sheet.room(40.0);
        sheet.text(&words.line(label)?, Style::LABEL);
        let style = if label == "permit-number" { Style::STRONG } else { Style::VALUE };
        sheet.text(&value, style);
        if label == "permit-paid-through" {
            let (note, own) = words.both("permit-prolonged")?;
            sheet.text(&joined((note, own)), Style::LABEL);
        }
        sheet.skip(6.0);
    }
    let (title, _) = paper.title.pair();
    let foot = format!("{title} {}", paper.number);
    sheet.print(&foot, &foot, paper.at)
}
