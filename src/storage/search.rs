//! Finds applications of a unit by what an officer typed: one statement over the words that each is kept under.
//!
//! The words are written with the application, by [`super::applications::apply`]. A draft has none, nor has what was
//! erased; what was handed in before there were words gets them by [`index_missing`]. Each word has all words of its
//! application beside it, in one index: a question of several words is one walk through those of the first, and looks
//! nothing up.

use chrono::{DateTime, Utc};
use diesel::dsl::{exists, not};
use diesel::pg::Pg;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::sql_types::{Array, BigInt, Text, Uuid as SqlUuid};
use diesel::{BoolExpressionMethods as _, ExpressionMethods as _, QueryDsl as _, QueryResult};
use diesel_async::{AsyncConnection as _, AsyncPgConnection, RunQueryDsl};
use serde_json::Value;
use uuid::Uuid;

use super::applications::SummaryRow;
use super::applications::queue::{SummaryType, walk_summary};
use super::schema::{application_words as w, applications as a};
use super::{Conn, query_failed};
use crate::domain::form::Form;
use crate::domain::lookup::{self, Lookup};
use crate::error::{Error, Result};

/// What sorts after every word that begins with a word: no character is higher.
const HIGHEST: char = '\u{10ffff}';

/// The words that begin with one beginning.
struct Range {
    least: String,
    beyond: String,
    /// The beginning as it stands among all words of an application: after a space.
    within: String,
}

impl Range {
    fn of(beginning: &str) -> Self {
        Self {
            least: beginning.to_owned(),
            beyond: format!("{beginning}{HIGHEST}"),
            within: format!(" {beginning}"),
        }
    }
}

/// Lists what a unit has under a question, by the word that met it and then by id, after the given place; each with the
/// word. What a reference or a permit's number names comes first, under the empty word.
///
/// # Errors
/// [`crate::error::Error::Internal`] when the database fails.
pub async fn list(
    conn: &mut Conn,
    unit: &str,
    lookup: &Lookup,
    now: DateTime<Utc>,
    after: Option<&(String, Uuid)>,
    limit: i64,
) -> Result<Vec<(String, SummaryRow)>> {
    let ranges = lookup
        .terms
        .iter()
        .map(|term| term.iter().map(|beginning| Range::of(beginning)).collect())
        .collect();
    let statement = List {
        unit,
        now,
        after,
        limit,
        ranges,
        reference: lookup.reference.as_ref().map(ToString::to_string),
        permit: lookup.permit.as_ref().map(ToString::to_string),
    };
    statement.load(conn).await.map_err(|error| query_failed("search::list", error))
}

/// Gives words to the applications that were handed in and have none, so many at a time; gives how many got some.
///
/// Each batch is a transaction that keeps its applications from changing meanwhile, so that the words are those of the
/// form as it is. Whoever is interrupted begins again with what is left.
///
/// # Errors
/// [`Error::Corrupt`] when a form does not decode; [`Error::Internal`] when the database fails.
pub async fn index_missing(conn: &mut AsyncPgConnection, batch: i64) -> Result<usize> {
    let (mut indexed, mut after) = (0, Uuid::nil());
    loop {
        let work = async |conn: &mut AsyncPgConnection| {
            let lacking: Vec<(Uuid, String, Value)> = a::table
                .filter(a::submitted_at.is_not_null().and(a::erased_at.is_null()))
                .filter(not(exists(w::table.filter(w::application_id.eq(a::id)))))
                .filter(a::id.gt(after))
                .order(a::id)
                .limit(batch)
                .select((a::id, a::unit_code, a::form))
                .for_share()
                .load(conn)
                .await?;
            let last = lacking.last().map(|(id, ..)| *id);
            let (mut units, mut words) = (Vec::new(), Vec::new());
            let (mut ids, mut all) = (Vec::new(), Vec::new());
            let mut found = 0;
            for (id, unit, form) in lacking {
                let Ok(form) = serde_json::from_value::<Form>(form) else {
                    let (table, column) = ("applications", "form");
                    return Ok(Err(Error::Corrupt { table, column, row: id.to_string() }));
                };
                let own: Vec<String> = lookup::words(&form).into_iter().collect();
                found += usize::from(!own.is_empty());
                let every = format!(" {} ", own.join(" "));
                for word in own {
                    units.push(unit.clone());
                    words.push(word);
                    ids.push(id);
                    all.push(every.clone());
                }
            }
            diesel::sql_query(
                "INSERT INTO application_words (unit_code, word, application_id, all_words) \
                 SELECT * FROM unnest($1, $2, $3, $4) ON CONFLICT DO NOTHING",
            )
            .bind::<Array<Text>, _>(units)
            .bind::<Array<Text>, _>(words)
            .bind::<Array<SqlUuid>, _>(ids)
            .bind::<Array<Text>, _>(all)
            .execute(conn)
            .await?;
            Ok(Ok((last, found)))
        };
        let done: std::result::Result<Result<_>, diesel::result::Error> =
            conn.transaction(work).await;
        let (last, found) =
            done.map_err(|error| query_failed("search::index_missing", error))??;
        indexed += found;
        match last {
            Some(last) => after = last,
            None => return Ok(indexed),
        }
    }
}

struct List<'a> {
    unit: &'a str,
    now: DateTime<Utc>,
    after: Option<&'a (String, Uuid)>,
    limit: i64,
    /// For each term, from which word to which, in order: one of them must be met.
    ranges: Vec<Vec<Range>>,
    reference: Option<String>,
    permit: Option<String>,
}

impl QueryId for List<'_> {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl Query for List<'_> {
    type SqlType = (Text, SummaryType);
}

impl QueryFragment<Pg> for List<'_> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql("SELECT found.word, ");
        walk_summary(&self.now, out.reborrow())?;
        out.push_sql(" FROM (");
        let mut between = "";
        if self.after.is_none() {
            for (condition, number) in [
                ("a.reference = ", &self.reference),
                ("a.id = (SELECT p.application_id FROM permits p WHERE p.number = ", &self.permit),
            ] {
                let Some(number) = number else { continue };
                out.push_sql(between);
                between = " UNION ALL ";
                out.push_sql(
                    "SELECT '' AS word, a.id AS application_id FROM applications a \
                     WHERE a.submitted_at IS NOT NULL AND a.erased_at IS NULL AND a.unit_code = ",
                );
                out.push_bind_param::<Text, str>(self.unit)?;
                out.push_sql(" AND ");
                out.push_sql(condition);
                out.push_bind_param::<Text, _>(number)?;
                if condition.contains('(') {
                    out.push_sql(")");
                }
            }
        }
        if let Some((first, further)) = self.ranges.split_first() {
            for (index, range) in first.iter().enumerate() {
                out.push_sql(between);
                between = " UNION ALL ";
                self.walk_words(range, &first[..index], further, out.reborrow())?;
            }
        }
        if between.is_empty() {
            out.push_sql("SELECT '' AS word, NULL::uuid AS application_id WHERE false");
        }
        out.push_sql(
            ") AS found JOIN applications a ON a.id = found.application_id \
             ORDER BY found.word COLLATE \"C\", found.application_id LIMIT ",
        );
        out.push_bind_param::<BigInt, _>(&self.limit)
    }
}

impl List<'_> {
    /// The words of one stretch in order, each the first of its application that meets the term: none of the stretches
    /// before it has one, and within its own it is the first.
    fn walk_words<'b>(
        &'b self,
        range: &'b Range,
        earlier: &'b [Range],
        further: &'b [Vec<Range>],
        mut out: AstPass<'_, 'b, Pg>,
    ) -> QueryResult<()> {
        out.push_sql(
            "(SELECT w.word, w.application_id FROM application_words w WHERE w.unit_code = ",
        );
        out.push_bind_param::<Text, str>(self.unit)?;
        out.push_sql(" AND ");
        walk_range("w", range, out.reborrow())?;
        if let Some((word, id)) = self.after {
            out.push_sql(" AND (w.word, w.application_id) > (");
            out.push_bind_param::<Text, _>(word)?;
            out.push_sql(", ");
            out.push_bind_param::<SqlUuid, _>(id)?;
            out.push_sql(")");
        }
        out.push_sql(" AND strpos(w.all_words, ");
        out.push_bind_param::<Text, _>(&range.within)?;
        out.push_sql(") = strpos(w.all_words, ' ' || w.word || ' ')");
        for range in earlier {
            out.push_sql(" AND strpos(w.all_words, ");
            out.push_bind_param::<Text, _>(&range.within)?;
            out.push_sql(") = 0");
        }
        for term in further {
            self.walk_further(term, out.reborrow())?;
        }
        out.push_sql(" ORDER BY w.word, w.application_id LIMIT ");
        out.push_bind_param::<BigInt, _>(&self.limit)?;
        out.push_sql(")");
        Ok(())
    }

    /// Another term that must be met. Where no word of the unit meets it, that is seen once, before any walk.
    fn walk_further<'b>(
        &'b self,
        term: &'b [Range],
        mut out: AstPass<'_, 'b, Pg>,
    ) -> QueryResult<()> {
        for (index, range) in term.iter().enumerate() {
            out.push_sql(if index == 0 { " AND (" } else { " OR " });
            out.push_sql("strpos(w.all_words, ");
            out.push_bind_param::<Text, _>(&range.within)?;
            out.push_sql(") > 0");
        }
        for (index, range) in term.iter().enumerate() {
            out.push_sql(if index == 0 { ") AND (" } else { " OR " });
            out.push_sql("EXISTS (SELECT FROM application_words e WHERE e.unit_code = ");
            out.push_bind_param::<Text, str>(self.unit)?;
            out.push_sql(" AND ");
            walk_range("e", range, out.reborrow())?;
            out.push_sql(")");
        }
        out.push_sql(")");
        Ok(())
    }
}

fn walk_range<'b>(alias: &str, range: &'b Range, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
    out.push_sql(alias);
    out.push_sql(".word >= ");
    out.push_bind_param::<Text, _>(&range.least)?;
    out.push_sql(" AND ");
    out.push_sql(alias);
    out.push_sql(".word < ");
    out.push_bind_param::<Text, _>(&range.beyond)?;
    Ok(())
}
