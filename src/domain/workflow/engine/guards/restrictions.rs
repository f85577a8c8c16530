//! The guards that read dated restrictions: where nothing is issued, and which activities are barred.

use super::Blocked;
use crate::domain::application::Application;
use crate::domain::duty::NoticeKind;
use crate::domain::workflow::command::Command;
use crate::domain::workflow::definition::Guard;
use crate::domain::workflow::engine::Context;

/// Says that nothing is issued today on this track in the office's region.
pub(super) fn stopped(guard: &Guard, context: &Context<'_>) -> Option<Blocked> {
    let (track, region) = (&context.definition.track, &context.unit.region);
    let stop = context.rules.restrictions.stop(track, region, context.today())?;
    let reason = stop.reason.get("en").map(String::as_str).unwrap_or_default();
    Some(Blocked {
        guard: guard.name(),
        detail: format!(
            "Issuing is stopped in region {region} {}. {reason} ({}) Wait until it is over, or refuse on that ground.",
            stop.days, stop.basis
        ),
        parts: vec![region.clone()],
    })
}

/// Says that the employer's activity is barred today in the office's region: that of the contract at hand, or else the one
/// that the form states. Ending a contract is never barred.
pub(super) fn banned(
    application: &Application,
    command: Option<&Command>,
    guard: &Guard,
    context: &Context<'_>,
) -> Option<Blocked> {
    let stated = || application.form.employer.as_ref()?.okved.as_ref();
    let (okved, part) = match command {
        Some(Command::ReportDuty { notice: Some(notice), .. }) => match notice.kind {
            NoticeKind::Hiring => (notice.okved.as_ref()?, "notice.okved"),
            NoticeKind::Ending => return None,
        },
        _ => (stated()?, "form.employer.okved"),
    };
    let region = &context.unit.region;
    let ban = context.rules.restrictions.ban(okved, region, context.today())?;
    Some(Blocked {
        guard: guard.name(),
        detail: format!(
            "The employer's activity {okved} is barred to the holders of patents in region {region} {}: {} ({}). Name \
             another employer or activity.",
            ban.days, ban.okved, ban.basis
        ),
        parts: vec![part.to_owned()],
    })
}
