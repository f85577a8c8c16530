//! The queues of units: what the table holds lies over what the code has, by name. Each change is written with its event
//! in one transaction.
//!
//! A queue is read anew for each list and claim, one small statement by primary key: another process may have changed it.

use chrono::{DateTime, Utc};
use diesel::upsert::excluded;
use diesel::{
    BoolExpressionMethods as _, ExpressionMethods as _, OptionalExtension as _, QueryDsl as _,
    Queryable,
};
use diesel_async::{AsyncConnection as _, AsyncPgConnection, RunQueryDsl as _};
use serde_json::Value;

use super::accounts::Failure;
use super::events::{self, PlainEvent};
use super::schema::{queues as q, units as u};
use super::{Conn, Db, query_failed};
use crate::domain::queue::Queue;
use crate::error::{Error, Result};

#[derive(Queryable)]
struct Row {
    unit: String,
    name: String,
    version: i32,
    title: Value,
    position: i32,
    filter: Value,
    removed_at: Option<DateTime<Utc>>,
}

type Columns = (q::unit_code, q::name, q::version, q::title, q::position, q::filter, q::removed_at);
const COLUMNS: Columns =
    (q::unit_code, q::name, q::version, q::title, q::position, q::filter, q::removed_at);

impl Row {
    /// The queue as it is now; `None` for a removed one.
    fn decode(self) -> Result<Option<Queue>> {
        if self.removed_at.is_some() {
            return Ok(None);
        }
        let Self { unit, name, version, position, .. } = self;
        let corrupt = |column: &'static str| Error::Corrupt {
            table: "queues",
            column,
            row: format!("{unit}/{name}"),
        };
        Ok(Some(Queue {
            title: serde_json::from_value(self.title).map_err(|_| corrupt("title"))?,
            filter: serde_json::from_value(self.filter).map_err(|_| corrupt("filter"))?,
            name: name.clone(),
            position,
            version,
        }))
    }
}

/// Finds a queue of a unit.
///
/// # Errors
/// [`Error::Corrupt`] when its row does not decode.
pub async fn find(conn: &mut Conn, unit: &str, name: &str) -> Result<Option<Queue>> {
    let row: Option<Row> = q::table
        .find((unit, name))
        .select(COLUMNS)
        .first(conn)
        .await
        .optional()
        .map_err(|error| query_failed("queues::find", error))?;
    match row {
        Some(row) => row.decode(),
        None => Ok(Queue::default_named(name)),
    }
}

/// Lists the queues of a unit in their order.
///
/// # Errors
/// [`Error::Corrupt`] when a row does not decode.
pub async fn list(conn: &mut Conn, unit: &str) -> Result<Vec<Queue>> {
    let rows: Vec<Row> = q::table
        .filter(q::unit_code.eq(unit))
        .select(COLUMNS)
        .load(conn)
        .await
        .map_err(|error| query_failed("queues::list", error))?;
    overlaid(rows)
}

/// Lists the queues of every unit, by unit. Two statements.
///
/// # Errors
/// [`Error::Corrupt`] when a row does not decode.
pub async fn list_all(conn: &mut Conn) -> Result<Vec<(String, Vec<Queue>)>> {
    let failed = |error| query_failed("queues::list_all", error);
    let units: Vec<String> =
        u::table.order(u::code).select(u::code).load(conn).await.map_err(failed)?;
    let mut rows: Vec<Row> = q::table.select(COLUMNS).load(conn).await.map_err(failed)?;
    units
        .into_iter()
        .map(|unit| {
            let own = rows.extract_if(.., |row| row.unit == unit).collect();
            Ok((unit, overlaid(own)?))
        })
        .collect()
}

fn overlaid(rows: Vec<Row>) -> Result<Vec<Queue>> {
    let mut queues = Queue::defaults();
    queues.retain(|queue| !rows.iter().any(|row| row.name == queue.name));
    for row in rows {
        queues.extend(row.decode()?);
    }
    queues.sort_by(|one, other| (one.position, &one.name).cmp(&(other.position, &other.name)));
    Ok(queues)
}

/// What a change of a queue rests on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expected {
    /// The queue has this version.
    Version(i32),
    /// There is no such queue.
    Absent,
}

/// Writes a queue and its event; gives its version, or `None` when the table is not as expected. `version` of the queue
/// is not looked at. Two statements and the transaction's frame.
///
/// # Errors
/// [`Error::Internal`] when the database fails.
pub async fn save(
    db: &Db,
    unit: &str,
    queue: &Queue,
    expected: Expected,
    event: &PlainEvent,
) -> Result<Option<i32>> {
    let mut conn = db.conn().await?;
    let conn: &mut AsyncPgConnection = &mut conn;
    let encode = |value: serde_json::Result<Value>| {
        value.map_err(|error| Error::internal("cannot encode a queue", error))
    };
    let title = encode(serde_json::to_value(&queue.title))?;
    let filter = encode(serde_json::to_value(&queue.filter))?;
    let save = async |conn: &mut AsyncPgConnection| {
        let values = (
            q::unit_code.eq(unit),
            q::name.eq(&queue.name),
            q::version.eq(1),
            q::title.eq(&title),
            q::position.eq(queue.position),
            q::filter.eq(&filter),
        );
        let written: Option<i32> = match expected {
            Expected::Version(0) => diesel::insert_into(q::table)
                .values(values)
                .on_conflict_do_nothing()
                .returning(q::version)
                .get_result(conn)
                .await
                .optional()?,
            Expected::Version(version) => diesel::update(current(unit, &queue.name, version))
                .set((
                    q::version.eq(q::version + 1),
                    q::title.eq(&title),
                    q::position.eq(queue.position),
                    q::filter.eq(&filter),
                ))
                .returning(q::version)
                .get_result(conn)
                .await
                .optional()?,
            // What the code has is there unless a row hides it.
            Expected::Absent if Queue::default_named(&queue.name).is_some() => {
                diesel::update(removed(unit, &queue.name))
                    .set((
                        q::version.eq(q::version + 1),
                        q::title.eq(&title),
                        q::position.eq(queue.position),
                        q::filter.eq(&filter),
                        q::removed_at.eq(None::<DateTime<Utc>>),
                    ))
                    .returning(q::version)
                    .get_result(conn)
                    .await
                    .optional()?
            }
            Expected::Absent => {
                use diesel::query_dsl::methods::FilterDsl as _;
                diesel::insert_into(q::table)
                    .values(values)
                    .on_conflict((q::unit_code, q::name))
                    .do_update()
                    .set((
                        q::version.eq(q::version + 1),
                        q::title.eq(excluded(q::title)),
                        q::position.eq(excluded(q::position)),
                        q::filter.eq(excluded(q::filter)),
                        q::removed_at.eq(None::<DateTime<Utc>>),
                    ))
                    .filter(q::removed_at.is_not_null())
                    .returning(q::version)
                    .get_result(conn)
                    .await
                    .optional()?
            }
        };
        let Some(version) = written else { return Ok(None) };
        events::insert(conn, &event.clone().adding("version", version.into())).await?;
        Ok::<_, Failure>(Some(version))
    };
    conn.transaction(save).await.map_err(|failure| failed("queues::save", failure))
}

/// Removes a queue and writes the event; `false` when the table is not as expected. Two statements and the transaction's
/// frame.
///
/// # Errors
/// [`Error::Internal`] when the database fails.
pub async fn remove(
    db: &Db,
    unit: &str,
    queue: &Queue,
    version: i32,
    event: &PlainEvent,
) -> Result<bool> {
    let mut conn = db.conn().await?;
    let conn: &mut AsyncPgConnection = &mut conn;
    let encode = |value: serde_json::Result<Value>| {
        value.map_err(|error| Error::internal("cannot encode a queue", error))
    };
    let title = encode(serde_json::to_value(&queue.title))?;
    let filter = encode(serde_json::to_value(&queue.filter))?;
    let remove = async |conn: &mut AsyncPgConnection| {
        let gone = if version == 0 {
            diesel::insert_into(q::table)
                .values((
                    q::unit_code.eq(unit),
                    q::name.eq(&queue.name),
                    q::version.eq(1),
                    q::title.eq(&title),
                    q::position.eq(queue.position),
                    q::filter.eq(&filter),
                    q::removed_at.eq(Some(event.at())),
                ))
                .on_conflict_do_nothing()
                .execute(conn)
                .await?
        } else {
            diesel::update(current(unit, &queue.name, version))
                .set((q::version.eq(q::version + 1), q::removed_at.eq(Some(event.at()))))
                .execute(conn)
                .await?
        };
        if gone > 0 {
            events::insert(conn, event).await?;
        }
        Ok::<_, Failure>(gone > 0)
    };
    conn.transaction(remove).await.map_err(|failure| failed("queues::remove", failure))
}

#[diesel::dsl::auto_type(no_type_alias)]
fn current<'a>(unit: &'a str, name: &'a str, version: i32) -> _ {
    q::table.filter(
        q::unit_code
            .eq(unit)
            .and(q::name.eq(name))
            .and(q::version.eq(version))
            .and(q::removed_at.is_null()),
    )
}

#[diesel::dsl::auto_type(no_type_alias)]
fn removed<'a>(unit: &'a str, name: &'a str) -> _ {
    q::table.filter(q::unit_code.eq(unit).and(q::name.eq(name)).and(q::removed_at.is_not_null()))
}

fn failed(query: &'static str, failure: Failure) -> Error {
    match failure {
        Failure::Ours(error) => error,
        Failure::Diesel(error) => query_failed(query, error),
    }
}
