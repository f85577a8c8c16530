//! What becomes of the duties after issue: opened, reported, looked at, let go, found overdue.

use chrono::{Datelike as _, NaiveDate};

use super::super::{Misfit, Rejection};
use super::Draft;
use crate::domain::calendar::MissingYear;
use crate::domain::duty::{DutyProof, DutyStatus, Notice, Obligation, reminders_by};
use crate::domain::event::{Alert, Change};
use crate::domain::permit::PermitStatus;
use crate::domain::workflow::command::Command;
use crate::domain::workflow::definition::{Duty, DutyStart};

/// How many duties one permit can have: more are a slip of the pen or mischief.
const MOST: usize = 100;

fn misfit(pointer: &str, code: &'static str, detail: impl Into<String>) -> Rejection {
    Rejection::Misfits(vec![Misfit { pointer: pointer.into(), code, detail: detail.into() }])
}

fn no_calendar(missing: &MissingYear) -> Rejection {
    Rejection::RuleMissing(missing.to_string())
}

impl Draft<'_, '_> {
    fn set_duty(&mut self, obligation: Obligation) -> Result<(), Rejection> {
        self.change(Change::DutySet { obligation: Box::new(obligation) })
    }

    /// Gives a duty another status from now on.
    fn move_duty(&mut self, known: &Obligation, status: DutyStatus) -> Result<(), Rejection> {
        self.set_duty(Obligation { status, since: self.event.at, ..known.clone() })
    }

    fn rule(&self, duty: &str) -> Option<&Duty> {
        self.context.definition.permit.duty(duty)
    }

    fn begin(&self, rule: &Duty, counts_from: NaiveDate) -> Result<Obligation, Rejection> {
        let number = self.after.duties.iter().map(|one| one.number).max().unwrap_or(0) + 1;
        let now = (self.event.at, self.context.today());
        Obligation::begin(rule, number, counts_from, now, &self.context.rules.calendar)
            .map_err(|missing| no_calendar(&missing))?
            .ok_or_else(|| Rejection::RuleMissing(format!("the duty '{}' has no term", rule.id)))
    }

    pub(super) fn open_duties(&mut self) -> Result<(), Rejection> {
        let today = self.context.today();
        for rule in &self.context.definition.permit.duties {
            if rule.start == DutyStart::Issue && rule.term.is_some() {
                let obligation = self.begin(rule, today)?;
                self.set_duty(obligation)?;
            }
        }
        Ok(())
    }

    pub(super) fn report_duty(&mut self) -> Result<(), Rejection> {
        let Command::ReportDuty { duty, document, notice } = self.command else {
            return Err(Rejection::RuleMissing("the command reports no duty".into()));
        };
        let rules = &self.context.definition.permit.duties;
        let Some(rule) = rules.iter().find(|rule| rule.id == *duty && rule.term.is_some()) else {
            let owed = rules.iter().filter(|rule| rule.term.is_some());
            let known: Vec<&str> = owed.map(|rule| rule.id.as_str()).collect();
            let detail = format!("The duties that can be reported are: {}.", known.join(", "));
            return Err(misfit("/duty", "unknown-duty", detail));
        };
        let (known, begun) = match (rule.start, notice) {
            (DutyStart::Issue, None) => {
                let known = self.after.duties.iter().find(|one| one.duty == *duty).cloned();
                let none = "Nothing is owed: the permit was issued before this duty was kept.";
                (known.ok_or_else(|| misfit("/duty", "nothing-owed", none))?, false)
            }
            (DutyStart::Issue, Some(_)) => {
                let detail = "This duty counts from the issue; leave the event out.";
                return Err(misfit("/notice", "not-expected", detail));
            }
            (DutyStart::Event, None) => {
                let detail = "Say what happened, when and with which employer.";
                return Err(misfit("/notice", "required", detail));
            }
            (DutyStart::Event, Some(notice)) => self.of_event(rule, notice)?,
        };
        if !known.status.is_owed() {
            let detail =
                format!("This duty is {}; nothing is awaited for it.", known.status.name());
            return Err(misfit("/duty", "not-owed", detail));
        }
        let Some(document) = document else {
            let proof = rule.proof.as_deref().unwrap_or_default();
            // The event alone opens the duty; told a second time it says nothing.
            return match begun {
                true => self.set_duty(known),
                false => Err(misfit(
                    "/document",
                    "required",
                    format!("Hand the document '{proof}' in and name it here."),
                )),
            };
        };
        let proof = self.proof(rule, document, known.number)?;
        let (status, since) = (DutyStatus::Reported, self.event.at);
        self.set_duty(Obligation { status, since, proof: Some(proof), reason: None, ..known })
    }

    /// Gives the duty that follows from an event, and whether it begins with this report.
    fn of_event(&self, rule: &Duty, notice: &Notice) -> Result<(Obligation, bool), Rejection> {
        let today = self.context.today();
        let issued_on = self.after.permit.as_ref().map_or(today, |permit| permit.issued_on);
        if notice.on > today {
            let detail = format!("Send a date not after today, {today}.");
            return Err(misfit("/notice/on", "date-in-future", detail));
        }
        if notice.on < issued_on || notice.on.year() < 1900 {
            let detail = format!("Send a date from the issue of the permit on, {issued_on}.");
            return Err(misfit("/notice/on", "date-before-issue", detail));
        }
        let same = |one: &&Obligation| {
            one.duty == rule.id
                && one.notice.as_ref().is_some_and(|known| known.is_of_the_same(notice))
        };
        if let Some(known) = self.after.duties.iter().find(same) {
            return Ok((known.clone(), false));
        }
        if self.after.duties.len() >= MOST {
            let detail = format!("A permit can have {MOST} duties; write to the office.");
            return Err(misfit("/duty", "too-many", detail));
        }
        let begun = self.begin(rule, notice.on)?;
        Ok((Obligation { notice: Some(notice.clone()), ..begun }, true))
    }

    /// Finds the document among those handed in: the right one, and not the proof of another event.
    fn proof(&self, rule: &Duty, document: &str, number: u32) -> Result<DutyProof, Rejection> {
        let wanted = rule.proof.as_deref().unwrap_or_default();
        if document != wanted {
            let detail = format!("This duty is proved by the document '{wanted}'.");
            return Err(misfit("/document", "wrong-document", detail));
        }
        let handed_in = self.after.documents.iter().find(|one| one.kind == document);
        let handed_in = handed_in.ok_or_else(|| {
            let detail = format!("Hand the document '{document}' in first.");
            misfit("/document", "document-not-attached", detail)
        })?;
        let used = self.after.duties.iter().filter(|one| one.number != number).any(|one| {
            let proof = one.proof.as_ref();
            proof.is_some_and(|proof| {
                proof.document == document && handed_in.attached_at <= proof.at
            })
        });
        if used {
            let detail = "This document proves another event; hand in the one of this event first.";
            return Err(misfit("/document", "document-not-attached", detail));
        }
        Ok(DutyProof {
            document: document.to_owned(),
            digest: handed_in.digest.clone(),
            at: self.event.at,
        })
    }

    /// Finds the command's duty, if it stands as the command needs it.
    fn numbered(&self, number: u32, fits: &[DutyStatus]) -> Result<Obligation, Rejection> {
        let known = self.after.duties.iter().find(|one| one.number == number);
        let known = known.ok_or_else(|| {
            misfit(
                "/number",
                "unknown-duty",
                "Name a duty by the number that the application shows.",
            )
        })?;
        if fits.contains(&known.status) {
            return Ok(known.clone());
        }
        let names: Vec<&str> = fits.iter().map(|status| status.name()).collect();
        let status = known.status.name();
        let detail =
            format!("This duty is {status}; that is for one that is {}.", names.join(" or "));
        Err(misfit("/number", "wrong-status", detail))
    }

    pub(super) fn confirm_duty(&mut self) -> Result<(), Rejection> {
        let Command::ConfirmDuty { number } = self.command else {
            return Err(Rejection::RuleMissing("the command confirms no duty".into()));
        };
        let known = self.numbered(*number, &[DutyStatus::Reported])?;
        self.move_duty(&known, DutyStatus::Fulfilled)
    }

    /// Takes the proof back: the duty is owed as it was, and overdue if it was found so before.
    pub(super) fn reject_duty_proof(&mut self) -> Result<(), Rejection> {
        let Command::RejectDutyProof { number, reason } = self.command else {
            return Err(Rejection::RuleMissing("the command rejects no proof".into()));
        };
        let known = self.numbered(*number, &[DutyStatus::Reported])?;
        let late = known.overdue_at.is_some();
        let today = self.context.today();
        let come = self.rule(&known.duty).map_or(0, |rule| reminders_by(rule, known.due_on, today));
        let returned = Obligation {
            status: if late { DutyStatus::Overdue } else { DutyStatus::Open },
            since: self.event.at,
            proof: None,
            reason: Some(reason.clone()),
            // What the mail about the proof says needs no reminder of the same day.
            reminders: known.reminders.max(come),
            ..known
        };
        self.set_duty(returned)
    }

    pub(super) fn excuse_duty(&mut self) -> Result<(), Rejection> {
        let Command::ExcuseDuty { number, reason } = self.command else {
            return Err(Rejection::RuleMissing("the command excuses no duty".into()));
        };
        let fits = [DutyStatus::Open, DutyStatus::Reported, DutyStatus::Overdue];
        let mut known = self.numbered(*number, &fits)?;
        known.reason = Some(reason.clone());
        self.move_duty(&known, DutyStatus::Excused)
    }

    /// Reminds of all whose day has come in one message.
    pub(super) fn remind_duties(&mut self) -> Result<(), Rejection> {
        let today = self.context.today();
        for known in self.after.duties.clone() {
            let Some(rule) = self.rule(&known.duty) else { continue };
            if known.next_reminder(rule).is_some_and(|day| day <= today) {
                let reminders = reminders_by(rule, known.due_on, today);
                self.set_duty(Obligation { reminders, ..known })?;
            }
        }
        self.messages.push("dutyReminder".to_owned());
        Ok(())
    }

    /// Decides nothing: the holder and the office are told, and an officer decides.
    pub(super) fn mark_duties_overdue(&mut self) -> Result<(), Rejection> {
        let today = self.context.today();
        for known in self.after.duties.clone() {
            if known.status == DutyStatus::Open && known.due_on < today {
                let overdue = Obligation { overdue_at: Some(self.event.at), ..known };
                self.move_duty(&overdue, DutyStatus::Overdue)?;
            }
        }
        self.alerts.push(Alert::DutyOverdue);
        self.messages.push("dutyOverdue".to_owned());
        Ok(())
    }

    /// With the annulment: what was not done is broken for good, where the proposal names that as its ground.
    pub(super) fn breach_duties(&mut self) -> Result<(), Rejection> {
        let Some(proposal) = self.after.proposal.clone() else { return Ok(()) };
        for known in self.after.duties.clone() {
            let named = self
                .rule(&known.duty)
                .is_some_and(|rule| proposal.grounds.iter().any(|code| rule.follows(code)));
            let missed = known.status == DutyStatus::Overdue
                || (known.status == DutyStatus::Reported && known.overdue_at.is_some());
            if named && missed {
                self.move_duty(&known, DutyStatus::Breached)?;
            }
        }
        Ok(())
    }

    /// With the permit that is in force again: what was broken is owed again, as late as it was.
    pub(super) fn restore_duties(&mut self) -> Result<(), Rejection> {
        if self.after.permit.as_ref().is_none_or(|one| one.status != PermitStatus::InForce) {
            return Ok(());
        }
        for known in self.after.duties.clone() {
            if known.status == DutyStatus::Breached {
                self.move_duty(&known, DutyStatus::Overdue)?;
            }
        }
        Ok(())
    }
}
