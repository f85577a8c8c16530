//! The guard about grounds that follow from a duty.

use super::Blocked;
use crate::domain::application::Application;
use crate::domain::duty::DutyStatus;
use crate::domain::workflow::command::Command;
use crate::domain::workflow::definition::{DutyConsequence, Guard};
use crate::domain::workflow::engine::Context;

/// Says that the command names a ground that follows from a duty which is not overdue.
///
/// Of a permit that was issued before the duty was kept nobody knows: the officer answers for the ground himself.
pub(super) fn missed(
    application: &Application,
    command: Option<&Command>,
    guard: &Guard,
    context: &Context<'_>,
) -> Option<Blocked> {
    let grounds = command?.grounds()?;
    for rule in &context.definition.permit.duties {
        let DutyConsequence::ProposeAnnulment(code) = &rule.consequence else { continue };
        let mut owed = application.duties.iter().filter(|one| one.duty == rule.id).peekable();
        let is_kept = owed.peek().is_some();
        let named = grounds.iter().any(|one| one == code);
        if named && is_kept && owed.all(|one| one.status != DutyStatus::Overdue) {
            return Some(Blocked {
                guard: guard.name(),
                detail: format!(
                    "{code} can be named only while the duty '{}' is overdue, and it is not. Look at the duties of the \
                     application.",
                    rule.id
                ),
                parts: vec![rule.id.clone()],
            });
        }
    }
    None
}
