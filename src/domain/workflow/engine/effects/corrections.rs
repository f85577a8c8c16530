//! What puts a decision right: the link to what it corrects, and the form that misstates something.

use super::{Draft, Misfit, Rejection};
use crate::domain::application::{Correction, Decision};
use crate::domain::event::Change;
use crate::domain::form::Person;
use crate::domain::workflow::command::Command;
use crate::domain::workflow::definition::CommandName;

/// The sections that can be put right after the decision.
const CORRECTABLE: [&str; 4] = ["person", "passport", "occupation", "contact"];

/// The fields that say who the person is: not changed without a basis.
const IDENTITY: [&str; 2] = ["person.birthDate", "person.citizenship"];

impl Draft<'_, '_> {
    /// Records what a correction puts right, before it does.
    pub(super) fn link(&mut self) -> Result<(), Rejection> {
        let Some((reason, basis)) = self.command.correction() else { return Ok(()) };
        let command = self.command.name();
        let decided = self.after.decision.as_ref().and_then(Decision::event);
        let entered = self.after.state_event;
        // What is misspelt was decided on; everything else undoes what led into the state.
        let corrects =
            if command == CommandName::Correct { decided.or(entered) } else { entered.or(decided) };
        let correction = Correction {
            command,
            corrects: corrects.ok_or_else(|| {
                Rejection::RuleMissing("the event that is corrected is not known".into())
            })?,
            by: self.person()?,
            at: self.event.at,
            reason: reason.to_owned(),
            basis,
        };
        self.judged()?;
        self.change(Change::Corrected { correction })
    }

    /// Sees that a judgment is not of a day to come.
    fn judged(&self) -> Result<(), Rejection> {
        let today = self.context.today();
        match self.command {
            Command::CourtOrder { basis, .. } if basis.judged_on > today => {
                Err(Rejection::Misfits(vec![Misfit {
                    pointer: "/basis/judgedOn".into(),
                    code: "date-in-future",
                    detail: format!("Send a date not after today, {today}."),
                }]))
            }
            _ => Ok(()),
        }
    }

    pub(super) fn correct_form(&mut self) -> Result<(), Rejection> {
        let Command::Correct { basis, form: sections, .. } = self.command else {
            return Err(Rejection::RuleMissing("the command corrects nothing".into()));
        };
        let form = self.after.form.replaced_by(sections);
        let changed = self.after.form.changes_to(&form);
        let mut misfits: Vec<Misfit> = sections
            .sections()
            .filter(|section| !CORRECTABLE.contains(section))
            .map(|section| Misfit {
                pointer: format!("/form/{section}"),
                code: "section-not-correctable",
                detail: format!(
                    "After the decision only {} can be corrected.",
                    CORRECTABLE.join(", ")
                ),
            })
            .collect();
        if changed.is_empty() {
            misfits.push(Misfit {
                pointer: "/form".into(),
                code: "nothing-to-correct",
                detail: "The form says this already; send what is to be changed.".into(),
            });
        }
        let identity =
            changed.iter().map(|one| one.field.as_str()).find(|field| IDENTITY.contains(field));
        if let Some(field) = identity.filter(|_| basis.is_none()) {
            misfits.push(Misfit {
                pointer: "/basis".into(),
                code: "basis-required",
                detail: format!("Name the document or article on which {field} is changed."),
            });
        }
        let expires_on = form.passport.as_ref().map(|passport| passport.expires_on);
        if let (Some(expires_on), Some(permit)) = (expires_on, &self.after.permit)
            && expires_on < permit.ends_on
            && changed.iter().any(|one| one.field == "passport.expiresOn")
        {
            misfits.push(Misfit {
                pointer: "/form/passport/expiresOn".into(),
                code: "passport-ends-before-permit",
                detail: format!(
                    "The permit lasts until {}; with this passport it would have to be issued anew.",
                    permit.ends_on
                ),
            });
        }
        if !misfits.is_empty() {
            return Err(Rejection::Misfits(misfits));
        }
        let holder_name = form.person.as_ref().map(Person::full_name);
        let profession = form.occupation.as_ref().map(|occupation| occupation.title.clone());
        self.change(Change::FormReplaced { form: Box::new(form), changed, item: None })?;
        match (&self.after.permit, holder_name) {
            (Some(permit), Some(holder_name))
                if permit.holder_name != holder_name || permit.profession != profession =>
            {
                self.change(Change::PermitCorrected { holder_name, profession })
            }
            _ => Ok(()),
        }
    }
}
