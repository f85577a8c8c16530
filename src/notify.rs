//! Which message tells whom what: from an application to an e-mail, and the e-mail to its way.
//!
//! [`Composer`] is pure: it writes a message from the application as it stands when the message goes out, so
//! that a mail which a failing server held back for days does not say what is no longer true. [`Mailer`] sends.
//! When to send is decided in `casework` (a job in the command's transaction), the trying again in `worker`.
//!
//! A message says what happened and where to look; it holds neither passport nor date of birth nor what an
//! officer wrote, because mail is read on the way.

mod mailer;
pub(crate) mod texts;

use std::sync::Arc;

use chrono::{DateTime, Days, NaiveDate, Utc};
use chrono_tz::Tz;
use fluent_bundle::FluentArgs;
use uuid::Uuid;

pub use mailer::{Delivery, MailError, Mailer};
use texts::{Language, Texts};

use crate::domain::application::{Application, Decision, InformationItem, InformationKind};
use crate::domain::duty::DutyStatus;
use crate::domain::event::Alert;
use crate::domain::fee::{Charge, ChargeStatus};
use crate::domain::form::Person;
use crate::domain::ground::{GroundCode, Grounds};
use crate::domain::identity::EmailAddress;
use crate::domain::permit::PermitStatus;
use crate::domain::workflow::definition::{DeadlineBasis, Definition, FeePosition, Phase};
use crate::error::{Error, Result};

/// What a message is written from.
#[derive(Debug, Clone)]
pub struct Case {
    /// The application as it stands.
    pub application: Application,
    /// The definition it is pinned to.
    pub definition: Arc<Definition>,
    /// The title of its unit.
    pub unit_title: String,
    /// The unit's time zone: where its days begin.
    pub time_zone: Tz,
}

/// A message ready to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Email {
    /// Whom it is for.
    pub to: EmailAddress,
    /// The subject.
    pub subject: String,
    /// Plain text.
    pub body: String,
    /// The language of both.
    pub language: &'static str,
    /// `Message-ID` without its brackets: the same for the same event, so that a repeated delivery (the server
    /// took it, we did not hear so) is recognised.
    pub message_id: String,
    /// The `Date` header.
    pub at: DateTime<Utc>,
}

/// Why there is no message to send.
#[derive(Debug, thiserror::Error)]
pub enum NoEmail {
    /// The application has moved on: what the message would say is no longer so.
    #[error("what the message would say is no longer so")]
    Overtaken,
    /// The form names no address.
    #[error("the application names no e-mail address")]
    NoAddress,
    /// There is no message of this name.
    #[error("there is no message '{0}'")]
    Unknown(String),
    /// A text is missing.
    #[error(transparent)]
    Broken(#[from] Error),
}

/// Writes messages.
#[derive(Debug)]
pub struct Composer {
    texts: Texts,
    public_url: String,
    host: String,
}

impl Composer {
    /// Makes a composer whose links begin with `public_url` (`https://permits.example.org`).
    ///
    /// # Errors
    /// [`Error::Internal`] when the texts in the binary are broken.
    pub fn new(public_url: &str) -> Result<Self> {
        let public_url = public_url.trim_end_matches('/').to_owned();
        let after_scheme = public_url.split_once("://").map_or(&*public_url, |(_, rest)| rest);
        let authority = after_scheme.split('/').next().unwrap_or_default();
        let host = authority.split(':').next().filter(|host| !host.is_empty());
        let host = host.unwrap_or("localhost").to_owned();
        Ok(Self { texts: Texts::load()?, public_url, host })
    }

    /// Writes `message` (one of [`MESSAGES`](crate::domain::workflow::definition::MESSAGES)) about `case`, which `event` caused.
    ///
    /// # Errors
    /// [`NoEmail`] says why there is nothing to send.
    pub fn compose(
        &self,
        case: &Case,
        message: &str,
        event: Uuid,
        at: DateTime<Utc>,
    ) -> Result<Email, NoEmail> {
        let application = &case.application;
        let contact = application.form.contact.as_ref().ok_or(NoEmail::NoAddress)?;
        let language = self.texts.language(&contact.language);
        let today = at.with_timezone(&case.time_zone).date_naive();
        let (subject, paragraphs) = write(case, message, event, today, language)?;
        let mut parts = paragraphs;
        parts.push(self.about(case, language)?);
        parts.push(language.text("automatic", &FluentArgs::new())?);
        let mut body = parts.join("\n\n");
        body.push('\n');
        Ok(Email {
            to: contact.email.clone(),
            subject: language.text(subject, &reference(application))?,
            body,
            language: language.name,
            message_id: format!("{event}.{message}@{}", self.host),
            at,
        })
    }

    /// Writes to an account of the office that `alert` is so of `case`; nothing of the applicant but the reference.
    ///
    /// # Errors
    /// [`NoEmail::Overtaken`] when it is no longer so.
    pub fn alert(
        &self,
        case: &Case,
        alert: Alert,
        (account, address): (Uuid, &str),
        language: &str,
        event: Uuid,
        at: DateTime<Utc>,
    ) -> Result<Email, NoEmail> {
        let application = &case.application;
        let language = self.texts.language(language);
        let to = EmailAddress::parse(address).map_err(|_| NoEmail::NoAddress)?;
        let today = at.with_timezone(&case.time_zone).date_naive();
        let mut args = reference(application);
        let (subject, body) = match (alert, application.due_on) {
            _ if application.phase == Phase::Closed => return Err(NoEmail::Overtaken),
            (Alert::DueSoon, Some(due)) if application.decision.is_none() && due >= today => {
                args.set("due", language.date(due)?);
                ("alert-due-soon-subject", "alert-due-soon-body")
            }
            (Alert::Overdue, due)
                if application.escalated_at.is_some() || is_broken(application, due) =>
            {
                ("alert-overdue-subject", "alert-overdue-body")
            }
            (Alert::DutyOverdue, _) if owes(application, &[DutyStatus::Overdue]) => {
                ("alert-duty-subject", "alert-duty-body")
            }
            _ => return Err(NoEmail::Overtaken),
        };
        args.set("unit", line(&case.unit_title));
        args.set("link", format!("{}/v1/applications/{}", self.public_url, application.id));
        let parts = [body, "alert-link", "automatic"].map(|key| language.text(key, &args));
        let mut body = parts.into_iter().collect::<Result<Vec<_>>>()?.join("\n\n");
        body.push('\n');
        Ok(Email {
            message_id: format!("{event}.{}.{account}@{}", alert.name(), self.host),
            subject: language.text(subject, &args)?,
            body,
            language: language.name,
            to,
            at,
        })
    }

    fn about(&self, case: &Case, language: Language<'_>) -> Result<String> {
        let application = &case.application;
        let track = case.definition.title.get(language.name).map_or(&*application.track, |t| t);
        let name = application.form.person.as_ref().map(Person::full_name);
        let link = format!("{}/v1/status/{}", self.public_url, application.reference);
        let mut args = reference(application);
        args.set("track", line(track));
        args.set("name", line(name.as_deref().unwrap_or_default()));
        args.set("unit", line(&case.unit_title));
        args.set("link", link);
        let lines = ["about", "office", "status"].map(|key| language.text(key, &args));
        Ok(lines.into_iter().collect::<Result<Vec<_>>>()?.join("\n"))
    }
}

/// Tells whether the date that was not kept is still the one promised, and the decision awaited.
fn is_broken(application: &Application, due_on: Option<NaiveDate>) -> bool {
    let told = application.clock.as_ref().and_then(|clock| clock.told);
    application.phase == Phase::Checks && due_on.is_some() && told == due_on
}

/// Gives the key of the subject, and the paragraphs that say what happened.
fn write(
    case: &Case,
    message: &str,
    event: Uuid,
    today: NaiveDate,
    language: Language<'_>,
) -> Result<(&'static str, Vec<String>), NoEmail> {
    let application = &case.application;
    let over = application.phase == Phase::Closed;
    // A decision that was withdrawn and made anew has its own message.
    let other = application.decision.as_ref().and_then(Decision::event).is_some_and(|e| e != event);
    match message {
        "accepted" if over || application.decision.is_some() => Err(NoEmail::Overtaken),
        "dateChanged" => match application.due_on {
            Some(due) if application.decision.is_none() && !over => {
                let mut args = FluentArgs::new();
                args.set("due", language.date(due)?);
                Ok(("date-changed-subject", vec![language.text("date-changed-body", &args)?]))
            }
            Some(_) | None => Err(NoEmail::Overtaken),
        },
        "accepted" => Ok(("accepted-subject", vec![accepted(application, language)?])),
        "informationRequested" => Ok(("information-requested-subject", asked(case, language)?)),
        "reminder" if application.phase == Phase::InForce => {
            Ok(("reminder-paid-subject", paid_period(case, today, language)?))
        }
        "reminder" => Ok(("reminder-subject", reminder(case, language)?)),
        "decided" | "intakeRefused" if other => Err(NoEmail::Overtaken),
        "decided" => match &application.decision {
            Some(Decision::Granted { .. }) if !over => {
                Ok(("decided-granted-subject", granted(case, language)?))
            }
            Some(Decision::Refused { grounds, .. }) => {
                let text = refused("decided-refused-body", grounds, language)?;
                Ok(("decided-refused-subject", text))
            }
            Some(Decision::Granted { .. }) | None => Err(NoEmail::Overtaken),
        },
        "intakeRefused" => match &application.decision {
            Some(Decision::Refused { grounds, .. }) => {
                let text = refused("intake-refused-body", grounds, language)?;
                Ok(("intake-refused-subject", text))
            }
            Some(Decision::Granted { .. }) | None => Err(NoEmail::Overtaken),
        },
        "ready" if application.phase != Phase::Issuance => Err(NoEmail::Overtaken),
        "ready" => Ok(("ready-subject", vec![language.text("ready-body", &FluentArgs::new())?])),
        "corrected" => {
            Ok(("corrected-subject", vec![language.text("corrected-body", &FluentArgs::new())?]))
        }
        "courtOrdered" if application.phase == Phase::InForce => {
            let text = language.text("court-reinstated-body", &FluentArgs::new())?;
            Ok(("court-reinstated-subject", vec![text]))
        }
        "undone" | "reopened" | "courtOrdered" if over || application.decision.is_some() => {
            Err(NoEmail::Overtaken)
        }
        "undone" => Ok(("undone-subject", reopened("undone-body", application, language)?)),
        "reopened" => Ok(("reopened-subject", reopened("reopened-body", application, language)?)),
        "courtOrdered" => {
            Ok(("court-ordered-subject", reopened("court-ordered-body", application, language)?))
        }
        "dutyReminder" => Ok(("duty-reminder-subject", duties(case, DutyStatus::Open, language)?)),
        "dutyOverdue" => Ok(("duty-overdue-subject", duties(case, DutyStatus::Overdue, language)?)),
        "dutyProofRejected" => {
            let owed = [DutyStatus::Open, DutyStatus::Overdue];
            if over || !owes(application, &owed) {
                return Err(NoEmail::Overtaken);
            }
            let text = language.text("duty-proof-rejected-body", &FluentArgs::new())?;
            Ok(("duty-proof-rejected-subject", vec![text]))
        }
        "permitSuspended" | "permitResumed" => {
            let status = application.permit.as_ref().map(|permit| permit.status);
            let (told, subject, body) = if message == "permitSuspended" {
                (PermitStatus::Suspended, "permit-suspended-subject", "permit-suspended-body")
            } else {
                (PermitStatus::InForce, "permit-resumed-subject", "permit-resumed-body")
            };
            if status.is_some_and(|status| status != told) {
                return Err(NoEmail::Overtaken);
            }
            Ok((subject, vec![language.text(body, &FluentArgs::new())?]))
        }
        "permitRenewed" | "requestRefused" if over => Err(NoEmail::Overtaken),
        "permitRenewed" => {
            let text = language.text("permit-renewed-body", &FluentArgs::new())?;
            Ok(("permit-renewed-subject", vec![text]))
        }
        "requestRefused" => {
            let text = language.text("request-refused-body", &FluentArgs::new())?;
            Ok(("request-refused-subject", vec![text]))
        }
        "complaintUpheld" => {
            let body = match application.phase {
                Phase::InForce => "complaint-upheld-in-force-body",
                Phase::Closed => "complaint-upheld-late-body",
                Phase::Submission | Phase::Checks | Phase::Fee | Phase::Issuance => {
                    "complaint-upheld-body"
                }
            };
            let text = language.text(body, &FluentArgs::new())?;
            Ok(("complaint-upheld-subject", vec![text]))
        }
        "complaintRejected" => {
            let text = language.text("complaint-rejected-body", &FluentArgs::new())?;
            Ok(("complaint-rejected-subject", vec![text]))
        }
        "surrendered" => {
            let text = language.text("surrendered-body", &FluentArgs::new())?;
            Ok(("surrendered-subject", vec![text]))
        }
        other => Err(NoEmail::Unknown(other.to_owned())),
    }
}

fn owes(application: &Application, how: &[DutyStatus]) -> bool {
    application.duties.iter().any(|one| how.contains(&one.status))
}

/// Says what is owed after issue and stands so, each with its last day.
fn duties(case: &Case, status: DutyStatus, language: Language<'_>) -> Result<Vec<String>, NoEmail> {
    let owed = case.application.duties.iter().filter(|one| one.status == status);
    let items = owed.map(|one| {
        let rule = case.definition.permit.duty(&one.duty);
        let title = rule.and_then(|rule| rule.title.get(language.name)).unwrap_or(&one.duty);
        let mut args = FluentArgs::new();
        args.set("subject", line(title));
        args.set("due", language.date(one.due_on)?);
        language.text("item", &args)
    });
    let items: Vec<String> = items.collect::<Result<_>>()?;
    if items.is_empty() || case.application.phase != Phase::InForce {
        return Err(NoEmail::Overtaken);
    }
    let (head, closing) = match status {
        DutyStatus::Overdue => ("duty-overdue-body", "duty-overdue-closing"),
        _ => ("duty-reminder-body", "duty-reminder-closing"),
    };
    let none = FluentArgs::new();
    Ok(vec![language.text(head, &none)?, bullets(items), language.text(closing, &none)?])
}

fn accepted(application: &Application, language: Language<'_>) -> Result<String> {
    let mut args = FluentArgs::new();
    // There is no date while the clock stands still, as when something was asked for before this went out.
    match application.due_on {
        Some(due) => {
            args.set("due", language.date(due)?);
            language.text("accepted-body", &args)
        }
        None => language.text("accepted-body-undated", &args),
    }
}

fn asked(case: &Case, language: Language<'_>) -> Result<Vec<String>, NoEmail> {
    let items: Vec<&InformationItem> =
        case.application.information.iter().filter(|item| item.is_open()).collect();
    let due = items.iter().map(|item| item.due_on).max().ok_or(NoEmail::Overtaken)?;
    let mut args = FluentArgs::new();
    args.set("count", items.len());
    args.set("due", language.date(due)?);
    let head = language.text("information-requested-body", &args)?;
    let list = items.into_iter().map(|item| asked_item(case, item, language));
    let closing = language.text("information-requested-closing", &FluentArgs::new())?;
    Ok(vec![head, bullets(list.collect::<Result<_>>()?), closing])
}

/// Says what is awaited of the applicant: things, money, or himself.
fn reminder(case: &Case, language: Language<'_>) -> Result<Vec<String>, NoEmail> {
    let application = &case.application;
    let none = FluentArgs::new();
    let mut paragraphs = vec![language.text("reminder-body", &none)?];
    if application.information.iter().any(InformationItem::is_open) {
        paragraphs.extend(asked(case, language)?);
        return Ok(paragraphs);
    }
    let owed = owed(case, language)?;
    match application.phase {
        Phase::Issuance => paragraphs.push(language.text("ready-body", &none)?),
        Phase::Submission | Phase::Fee if !owed.is_empty() => paragraphs.extend(owed),
        Phase::Submission | Phase::Checks | Phase::Fee | Phase::InForce | Phase::Closed => {
            return Err(NoEmail::Overtaken);
        }
    }
    Ok(paragraphs)
}

/// Says until when the permit is paid, and what the next month costs; nothing when that is far away again.
fn paid_period(
    case: &Case,
    today: NaiveDate,
    language: Language<'_>,
) -> Result<Vec<String>, NoEmail> {
    let deadlines = case.definition.states.iter().flat_map(|state| &state.deadlines);
    let earliest = deadlines
        .filter_map(|deadline| match deadline.basis {
            DeadlineBasis::BeforePaidThrough(days) => Some(days),
            _ => None,
        })
        .max();
    let permit = case.application.permit.as_ref();
    let paid = permit.and_then(|permit| permit.paid_through.filter(|paid| *paid < permit.ends_on));
    let (Some(paid), Some(earliest)) = (paid, earliest) else { return Err(NoEmail::Overtaken) };
    if paid < today || paid > today + Days::new(u64::from(earliest)) {
        return Err(NoEmail::Overtaken);
    }
    let mut args = FluentArgs::new();
    args.set("paid", language.date(paid)?);
    let mut paragraphs = vec![language.text("reminder-paid-body", &args)?];
    paragraphs.extend(bills(case, open(case).collect(), language)?);
    Ok(paragraphs)
}

fn asked_item(case: &Case, item: &InformationItem, language: Language<'_>) -> Result<String> {
    let (kind, subject) = match item.kind {
        InformationKind::Document => {
            let kind = item.document.as_ref().unwrap_or(&item.subject);
            let rule = case.definition.documents.iter().find(|rule| rule.id == *kind);
            let title = rule.and_then(|rule| rule.title.get(language.name));
            ("kind-document", title.unwrap_or(&item.subject).clone())
        }
        InformationKind::Field => {
            let field = item.field.as_ref().unwrap_or(&item.subject);
            let key = field_key(field.split(['.', '/']).next().unwrap_or_default());
            let title = language.text(&key, &FluentArgs::new());
            ("kind-field", title.unwrap_or_else(|_| item.subject.clone()))
        }
        InformationKind::Visit => ("kind-visit", item.subject.clone()),
    };
    let mut args = FluentArgs::new();
    args.set("subject", line(&subject));
    let subject = language.text(kind, &args)?;
    args.set("subject", subject);
    args.set("due", language.date(item.due_on)?);
    language.text("item", &args)
}

/// Gives the key of the text that names a part of the form (one of `domain::form::FIELDS`).
fn field_key(field: &str) -> String {
    let mut key = String::from("field-");
    for c in field.chars() {
        if c.is_ascii_uppercase() {
            key.push('-');
        }
        key.push(c.to_ascii_lowercase());
    }
    key
}

fn granted(case: &Case, language: Language<'_>) -> Result<Vec<String>> {
    let mut paragraphs = vec![language.text("decided-granted-body", &FluentArgs::new())?];
    paragraphs.extend(owed(case, language)?);
    Ok(paragraphs)
}

/// Says what is still to be paid; nothing when that is nothing.
fn owed(case: &Case, language: Language<'_>) -> Result<Vec<String>> {
    // Of a permit that was handed over before this went out, the next month is another matter.
    let before = |charge: &&Charge| {
        case.definition.fee(&charge.fee).is_none_or(|fee| fee.position != FeePosition::WhileInForce)
    };
    let owed: Vec<&Charge> = open(case).filter(before).collect();
    let mut args = FluentArgs::new();
    args.set("count", owed.len());
    let bills = bills(case, owed, language)?;
    if bills.is_empty() {
        return Ok(bills);
    }
    let mut paragraphs = vec![language.text("decided-granted-payment", &args)?];
    paragraphs.extend(bills);
    Ok(paragraphs)
}

/// Gives the bills on which something is due.
fn open(case: &Case) -> impl Iterator<Item = &Charge> {
    case.application
        .charges
        .iter()
        .filter(|charge| charge.status == ChargeStatus::Open && charge.outstanding().kopecks() > 0)
}

/// Lists bills and how to pay them; nothing when there are none.
fn bills(case: &Case, bills: Vec<&Charge>, language: Language<'_>) -> Result<Vec<String>> {
    let list = bills.into_iter().map(|charge| {
        let title = case.definition.fee(&charge.fee).and_then(|fee| fee.title.get(language.name));
        let mut args = FluentArgs::new();
        args.set("title", line(title.unwrap_or(&charge.fee)));
        args.set("amount", language.money(charge.outstanding())?);
        args.set("uin", charge.uin.as_str().to_owned());
        language.text("charge", &args)
    });
    let list: Vec<String> = list.collect::<Result<_>>()?;
    if list.is_empty() {
        return Ok(list);
    }
    Ok(vec![bullets(list), language.text("charge-hint", &FluentArgs::new())?])
}

/// Says that the office looks at it again, and until when where a date is promised.
fn reopened(key: &str, application: &Application, language: Language<'_>) -> Result<Vec<String>> {
    let mut args = FluentArgs::new();
    let mut paragraphs = vec![language.text(key, &args)?];
    if let Some(due) = application.due_on {
        args.set("due", language.date(due)?);
        paragraphs.push(language.text("decided-anew-by", &args)?);
    }
    Ok(paragraphs)
}

/// Names the codes alone: what they mean can be nobody else's business, and mail is read on the way.
fn refused(key: &str, grounds: &Grounds, language: Language<'_>) -> Result<Vec<String>> {
    let codes: Vec<&str> = grounds.iter().map(GroundCode::as_str).collect();
    let mut args = FluentArgs::new();
    args.set("count", codes.len());
    args.set("grounds", codes.join(", "));
    Ok(vec![language.text(key, &args)?, language.text("appeal", &FluentArgs::new())?])
}

fn reference(application: &Application) -> FluentArgs<'static> {
    let mut args = FluentArgs::new();
    args.set("reference", application.reference.to_string());
    args
}

fn bullets(items: Vec<String>) -> String {
    items.into_iter().map(|item| format!("- {item}")).collect::<Vec<_>>().join("\n")
}

/// Keeps what people typed on one line, so that it cannot pass for a paragraph of ours.
fn line(text: &str) -> String {
    text.split(|c: char| c.is_control()).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests;
