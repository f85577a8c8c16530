//! What the applicant is asked for, and what his answers bring: documents, and sections of the form that he mends.

use super::{Draft, Misfit, Rejection};
use crate::domain::application::{Application, InformationItem, InformationKind};
use crate::domain::event::Change;
use crate::domain::form::section_of;
use crate::domain::workflow::command::{Answer, Command, RequestedItem};
use crate::domain::workflow::definition::{CheckSource, Consequence};
use crate::domain::workflow::engine::{Context, guards};

/// Gives what is wrong with the checks, documents and fields that are named in a request.
pub(super) fn unfit_items(
    items: &[RequestedItem],
    application: &Application,
    context: &Context<'_>,
) -> Vec<Misfit> {
    let mut misfits = Vec::new();
    for (index, item) in items.iter().enumerate() {
        let mut add = |member: &str, code, detail| {
            misfits.push(Misfit { pointer: format!("/items/{index}/{member}"), code, detail });
        };
        if let Some(check) = &item.check {
            let asks: Vec<&str> = guards::blocking_checks(application, context)
                .filter(|(_, means)| *means == Consequence::Ask)
                .map(|(check, _)| check.id.as_str())
                .collect();
            if !asks.contains(&check.as_str()) {
                let detail = if asks.is_empty() {
                    "No check has an answer about which the applicant is to be asked; leave `check` out.".into()
                } else {
                    format!("Name a check whose answer means asking: {}.", asks.join(", "))
                };
                add("check", "check-does-not-ask", detail);
            }
        }
        if let Some(document) = &item.document {
            let known: Vec<&str> =
                context.definition.documents.iter().map(|rule| rule.id.as_str()).collect();
            if item.kind != InformationKind::Document {
                add("document", "wrong-kind", "Only an item of kind `document` names one.".into());
            } else if !known.contains(&document.as_str()) {
                let detail =
                    format!("This track takes documents of these kinds: {}.", known.join(", "));
                add("document", "unknown-document-kind", detail);
            }
        }
        if let Some(field) = &item.field {
            if item.kind != InformationKind::Field {
                add("field", "wrong-kind", "Only an item of kind `field` names one.".into());
            } else if section_of(field).is_none() {
                let detail =
                    "Name a section of the form, or a field in it, such as person.familyName.";
                add("field", "unknown-field", detail.into());
            }
        }
    }
    misfits
}

/// Gives the section of the form that an item lets the applicant mend.
fn mendable(item: &InformationItem) -> Option<&'static str> {
    match (item.kind, &item.field) {
        (InformationKind::Field, Some(field)) => section_of(field),
        // An officer who named no field may have named it in words that say one.
        (InformationKind::Field, None) => section_of(&item.subject),
        (InformationKind::Document | InformationKind::Visit, _) => None,
    }
}

impl Draft<'_, '_> {
    pub(super) fn answer(&mut self) -> Result<(), Rejection> {
        let Command::AnswerInformation { answers } = self.command else {
            return Err(Rejection::RuleMissing("the command answers nothing".into()));
        };
        let mut misfits = Vec::new();
        for (index, answer) in answers.iter().enumerate() {
            let repeated = answers[..index].iter().any(|other| other.item == answer.item);
            let known = self
                .after
                .information
                .iter()
                .find(|known| known.item == answer.item && known.is_open() && !repeated);
            match known {
                Some(item) => misfits.extend(self.unfit_answer(index, answer, item)),
                None => misfits.push(Misfit {
                    pointer: format!("/answers/{index}/item"),
                    code: "not-asked",
                    detail: format!("Nothing is open under number {}.", answer.item),
                }),
            }
        }
        if !misfits.is_empty() {
            return Err(Rejection::Misfits(misfits));
        }
        let before = self.after.form.clone();
        for answer in answers {
            if let Some(sections) = &answer.form {
                self.amend(answer.item, sections)?;
            }
            self.change(Change::InformationAnswered {
                item: answer.item,
                answer: answer.text.clone(),
            })?;
        }
        let changed = before.changes_to(&self.after.form);
        let changed: Vec<&str> = changed.iter().map(|one| one.field.as_str()).collect();
        self.ask_about_changes(&changed)
    }

    /// Asks anew what was answered about a form that says something else now: of registers that were sent a changed
    /// part, and what the engine finds itself (the other applications it looks at were looked up by the new form).
    fn ask_about_changes(&mut self, changed: &[&str]) -> Result<(), Rejection> {
        let sections = ["person.", "passport.", "entry."];
        let looked_at = changed.iter().any(|one| sections.iter().any(|part| one.starts_with(part)));
        for rule in &self.context.definition.checks {
            let stale = match &rule.source {
                CheckSource::Officer => false,
                CheckSource::Register(_) => {
                    rule.sends.iter().any(|part| changed.contains(&part.as_str()))
                }
                CheckSource::Local(_) => looked_at,
            };
            if stale && self.after.checks.iter().any(|known| known.id == rule.id) {
                let round = self.ask_again(rule)?;
                self.pose(rule, round)?;
            }
        }
        Ok(())
    }

    fn unfit_answer(&self, index: usize, answer: &Answer, item: &InformationItem) -> Vec<Misfit> {
        let mut misfits = Vec::new();
        if let Some(kind) = &item.document {
            // What was there when it was asked for is what was asked about.
            let asked_at = self.after.state_since;
            let handed_in = self
                .after
                .documents
                .iter()
                .any(|document| document.kind == *kind && document.attached_at > asked_at);
            if !handed_in {
                misfits.push(Misfit {
                    pointer: format!("/answers/{index}/item"),
                    code: "document-not-attached",
                    detail: format!(
                        "Hand the document '{kind}' in first; the one that is there is older than the request."
                    ),
                });
            }
        }
        let Some(form) = &answer.form else { return misfits };
        let section = mendable(item);
        let sections: Vec<&str> = form.sections().collect();
        if sections.is_empty() {
            misfits.push(Misfit {
                pointer: format!("/answers/{index}/form"),
                code: "required",
                detail: "Send the section of the form that was asked for, or no form.".into(),
            });
        }
        for other in sections.into_iter().filter(|one| Some(*one) != section) {
            misfits.push(Misfit {
                pointer: format!("/answers/{index}/form/{other}"),
                code: "section-not-asked",
                detail: match section {
                    Some(section) => format!("Only the section '{section}' was asked for."),
                    None => "No section of the form was asked for; answer in words.".into(),
                },
            });
        }
        misfits
    }

    fn amend(&mut self, item: u32, sections: &crate::domain::form::Form) -> Result<(), Rejection> {
        let form = self.after.form.replaced_by(sections);
        let changed = self.after.form.changes_to(&form);
        if changed.is_empty() {
            return Ok(());
        }
        self.change(Change::FormReplaced { form: Box::new(form), changed, item: Some(item) })
    }
}
