//! The workflow files in use: registered by `migrate` as the owner, only read by the service.

use diesel::{ExpressionMethods as _, QueryDsl as _};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use serde_json::json;

use super::events::{self, PlainEvent};
use super::rule_files::digest;
use super::schema::{allowed_transitions as t, workflow_definitions as w};
use super::{hex, query_failed};
use crate::clock::Clock;
use crate::domain::event::{Act, BuiltIn};
use crate::domain::workflow::definition::{CommandName, Definition};
use crate::domain::workflow::engine::built_in_states;
use crate::error::{Error, Result};

/// Registers definitions and the steps they allow, each new one with its event in `role`'s name; gives the names of
/// those.
///
/// At most three statements for each definition; `migrate` runs it, inside its lock and transaction.
///
/// # Errors
/// [`Error::Internal`] when a registered version was given another content: applications are pinned to it.
pub async fn register(
    conn: &mut AsyncPgConnection,
    definitions: &[(&Definition, &str)],
    clock: &dyn Clock,
    role: &'static str,
) -> Result<Vec<String>> {
    let mut added = Vec::new();
    for (definition, source) in definitions {
        let version = i32::try_from(definition.version)
            .map_err(|e| Error::internal("a workflow version beyond 2^31", e))?;
        let digest = digest(source);
        let content = json!({
            "track": definition.track, "version": version, "digest": hex(&digest),
        });
        let event = PlainEvent::now(clock, "definitionRegistered", role, content);
        let inserted = diesel::insert_into(w::table)
            .values((
                w::track.eq(&definition.track),
                w::version.eq(version),
                w::digest.eq(&digest),
                w::source.eq(source),
                w::registered_at.eq(event.at()),
            ))
            .on_conflict_do_nothing()
            .execute(conn)
            .await
            .map_err(|e| query_failed("definitions::register", e))?;
        if inserted == 0 {
            let known: Vec<u8> = w::table
                .find((&definition.track, version))
                .select(w::digest)
                .first(conn)
                .await
                .map_err(|e| query_failed("definitions::register", e))?;
            if known != digest {
                return Err(changed(definition));
            }
            continue;
        }
        let rows: Vec<_> = allowed(definition)
            .into_iter()
            .map(|(command, from, to)| {
                (
                    t::track.eq(&definition.track),
                    t::workflow_version.eq(version),
                    t::command.eq(command),
                    t::from_state.eq(from),
                    t::to_state.eq(to),
                )
            })
            .collect();
        diesel::insert_into(t::table)
            .values(rows)
            .on_conflict_do_nothing()
            .execute(conn)
            .await
            .map_err(|e| query_failed("definitions::register", e))?;
        events::insert(conn, &event).await.map_err(|e| query_failed("definitions::register", e))?;
        added.push(format!("{} v{}", definition.track, definition.version));
    }
    Ok(added)
}

/// Names the definitions that are not registered as they are; `serve` refuses to start with any.
///
/// # Errors
/// [`Error::Internal`] when the database fails.
pub async fn unregistered(
    conn: &mut AsyncPgConnection,
    definitions: &[(&Definition, &str)],
) -> Result<Vec<String>> {
    let known: Vec<(String, i32, Vec<u8>)> = w::table
        .select((w::track, w::version, w::digest))
        .load(conn)
        .await
        .map_err(|e| query_failed("definitions::unregistered", e))?;
    Ok(definitions
        .iter()
        .filter(|(definition, source)| {
            let digest = digest(source);
            !known.iter().any(|(track, version, registered)| {
                *track == definition.track
                    && u32::try_from(*version) == Ok(definition.version)
                    && *registered == digest
            })
        })
        .map(|(definition, _)| format!("{} v{}", definition.track, definition.version))
        .collect())
}

/// Gives every step that an event of this definition may record: command, from, to.
fn allowed(definition: &Definition) -> Vec<(&'static str, String, String)> {
    let mut steps: Vec<(&'static str, String, String)> = definition
        .transitions
        .iter()
        .flat_map(|transition| {
            transition.from.iter().map(|from| {
                (transition.command.name(), from.clone(), transition.target(from).to_owned())
            })
        })
        .collect();
    for act in BuiltIn::ALL {
        for state in built_in_states(definition, act) {
            steps.push((Act::BuiltIn(act).name(), state.to_owned(), state.to_owned()));
        }
    }
    // What two officers agree on instead of a payment leads where the payment does.
    let payments = definition.transitions.iter();
    for payment in payments.filter(|one| one.command == CommandName::RecordPayment) {
        for from in &payment.from {
            let confirmed = Act::BuiltIn(BuiltIn::ConfirmChargeRevision).name();
            steps.push((confirmed, from.clone(), payment.target(from).to_owned()));
        }
    }
    if let Some(initial) = definition.initial() {
        steps.push((Act::BuiltIn(BuiltIn::Open).name(), String::new(), initial.id.clone()));
    }
    steps
}

fn changed(definition: &Definition) -> Error {
    Error::bug(format!(
        "version {} of the track '{}' is in use and its file was changed: applications are pinned to it; put the changes into a new version",
        definition.version, definition.track
    ))
}
