//! What a permit's holder asks about it and what the office does: papers, data, surrender, suspension.

use chrono::Days;

use super::{Draft, Misfit, Rejection};
use crate::domain::after_life::{
    Asked, Blank, BlankNumber, BlankStatus, Complaint, HolderRequest, Suspension, Verdict,
};
use crate::domain::application::Proposal;
use crate::domain::event::Change;
use crate::domain::form::{Form, Person};
use crate::domain::ground::Grounds;
use crate::domain::permit::PermitStatus;
use crate::domain::workflow::command::Command;
use crate::domain::workflow::definition::{CommandName, Guard};

/// The sections of the form that stand on a permit and that its holder can ask to have changed.
const CHANGEABLE: [&str; 3] = ["person", "passport", "occupation"];

/// Who the person is does not change: what was misstated is put right by `correct`.
const IDENTITY: [&str; 2] = ["person.birthDate", "person.citizenship"];

fn missing(what: &str) -> Rejection {
    Rejection::RuleMissing(what.to_owned())
}

impl Draft<'_, '_> {
    pub(super) fn record_request(&mut self) -> Result<(), Rejection> {
        let (asked, reason) = match self.command {
            Command::RequestDuplicate { cause, reason } => {
                (Asked::Duplicate { cause: *cause }, Some(reason.clone()))
            }
            Command::RequestChange { reason, form } => {
                (self.asked_change(form)?, Some(reason.clone()))
            }
            Command::Surrender { reason } => (Asked::Surrender, reason.clone()),
            _ => return Err(missing("the command asks nothing about the permit")),
        };
        let request = HolderRequest { asked, at: self.event.at, reason };
        self.change(Change::RequestMade { request })
    }

    /// Sees that the sections can be changed so.
    fn asked_change(&self, sections: &Form) -> Result<Asked, Rejection> {
        let form = self.after.form.replaced_by(sections);
        let changes = self.after.form.changes_to(&form);
        let mut misfits: Vec<Misfit> = sections
            .sections()
            .filter(|section| !CHANGEABLE.contains(section))
            .map(|section| Misfit {
                pointer: format!("/form/{section}"),
                code: "section-not-changeable",
                detail: format!("On a permit only {} can be changed.", CHANGEABLE.join(", ")),
            })
            .collect();
        if changes.is_empty() {
            misfits.push(Misfit {
                pointer: "/form".into(),
                code: "nothing-to-change",
                detail: "The permit says this already; send what is to be changed.".into(),
            });
        }
        let identity = changes.iter().filter(|one| IDENTITY.contains(&one.field.as_str()));
        misfits.extend(identity.map(|one| Misfit {
            pointer: format!("/form/{}", one.field.replace('.', "/")),
            code: "identity-not-changeable",
            detail: format!(
                "{} is who the person is; if it was misstated, ask the office to correct it.",
                one.field
            ),
        }));
        if let (Some(passport), Some(permit)) = (&form.passport, &self.after.permit)
            && passport.expires_on < permit.ends_on
            && changes.iter().any(|one| one.field == "passport.expiresOn")
        {
            misfits.push(Misfit {
                pointer: "/form/passport/expiresOn".into(),
                code: "passport-ends-before-permit",
                detail: format!(
                    "The permit lasts until {}; the passport must be valid until then.",
                    permit.ends_on
                ),
            });
        }
        if misfits.is_empty() {
            Ok(Asked::Change { form: Box::new(form), changes })
        } else {
            Err(Rejection::Misfits(misfits))
        }
    }

    pub(super) fn change_form(&mut self) -> Result<(), Rejection> {
        let request = self.after.after_life.request.clone();
        let Some(HolderRequest { asked: Asked::Change { form, changes }, .. }) = request else {
            return Err(missing("no change was asked for"));
        };
        let holder_name = form.person.as_ref().map(Person::full_name);
        let profession = form.occupation.as_ref().map(|occupation| occupation.title.clone());
        self.change(Change::FormReplaced { form, changed: changes, item: None })?;
        let holder_name = holder_name.ok_or_else(|| missing("a permit needs a holder"))?;
        self.change(Change::PermitCorrected { holder_name, profession })
    }

    /// Prints the permit; the paper before is superseded, or spoilt where the office says so.
    pub(super) fn print_blank(&mut self) -> Result<(), Rejection> {
        let serial = self.context.supplies.blank_serial;
        let serial = serial.ok_or_else(|| missing("no serial number for a paper was supplied"))?;
        let spoilt = self.transition.command == CommandName::ReplaceBlank;
        let blank = Blank {
            number: BlankNumber::compose(&self.context.unit.region, serial),
            status: BlankStatus::Valid,
            printed_at: self.event.at,
            ended_at: None,
        };
        let before = if spoilt { BlankStatus::Spoilt } else { BlankStatus::Superseded };
        self.change(Change::BlankPrinted { blank, before })
    }

    /// Ends the permit at its holder's request; the ground is the one that the transition lists.
    pub(super) fn surrender(&mut self) -> Result<(), Rejection> {
        let grounds = Grounds::new(self.transition.grounds.clone());
        let grounds = grounds.ok_or_else(|| missing("no ground is listed for a surrender"))?;
        let reason = self.after.after_life.request.as_ref().and_then(|one| one.reason.clone());
        let proposal = Proposal {
            by: self.person()?,
            at: self.event.at,
            grounds,
            reason: reason.unwrap_or_default(),
        };
        self.change(Change::AnnulmentProposed { proposal })?;
        let on = self.context.today();
        self.change(Change::PermitEnded { status: PermitStatus::Annulled, on })
    }

    pub(super) fn suspend_permit(&mut self) -> Result<(), Rejection> {
        let (grounds, reason) = self.grounds()?;
        let suspension = Suspension {
            by: self.person()?,
            at: self.event.at,
            on: self.context.today(),
            grounds,
            reason,
        };
        self.change(Change::PermitSuspended { suspension })
    }

    pub(super) fn record_complaint(&mut self) -> Result<(), Rejection> {
        let Command::Complain { about, text } = self.command else {
            return Err(missing("the command complains of nothing"));
        };
        let decided_at = self.after.decided_at();
        let complaint = Complaint {
            about: *about,
            text: text.clone(),
            at: self.event.at,
            decided_at: decided_at.ok_or_else(|| missing("there is no decision"))?,
            verdict: None,
        };
        self.change(Change::Complained { complaint })
    }

    pub(super) fn answer_complaint(&mut self) -> Result<(), Rejection> {
        let (upheld, reason) = match self.command {
            Command::UpholdComplaint { reason } => (true, reason),
            Command::RejectComplaint { reason } => (false, reason),
            _ => return Err(missing("the command answers no complaint")),
        };
        let (by, at, reason) = (self.person()?, self.event.at, reason.clone());
        self.change(Change::ComplaintAnswered { verdict: Verdict { upheld, by, at, reason } })?;
        // Of an annulment that does not count and that came too late to be taken back nothing is held against the holder: the
        // permit ended with its days.
        if self.transition.guards.contains(&Guard::PermitOver)
            && let Some(permit) = &self.after.permit
        {
            let unpaid = permit.paid_through.filter(|paid| *paid < permit.ends_on);
            let (status, last) = match unpaid {
                Some(paid) => (PermitStatus::Lapsed, paid),
                None => (PermitStatus::Expired, permit.ends_on),
            };
            let on = last + Days::new(1);
            self.change(Change::PermitEnded { status, on })?;
            self.change(Change::ProposalDropped)?;
        }
        Ok(())
    }

    pub(super) fn resume_permit(&mut self) -> Result<(), Rejection> {
        let status = self.after.permit.as_ref().map(|permit| permit.status);
        if status == Some(PermitStatus::Suspended) {
            self.change(Change::PermitResumed)?;
        }
        Ok(())
    }
}
