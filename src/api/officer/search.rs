//! Finding an application of the unit by what stands on the paper before the officer.

use actix_web::{HttpRequest, HttpResponse, get};
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_actix_web::service_config::ServiceConfig;
use uuid::Uuid;
use validator::Validate;

use super::super::applicant::{ApplicationPage, listed, summaries};
use super::super::extract::Query;
use super::super::page::{Page, PageQuery};
use super::super::reading::{PurposeHeader, Read, Reading};
use super::unit;
use crate::app::App;
use crate::auth::access::Office;
use crate::domain::lookup::Lookup;
use crate::error::{Error, Result, Violation};
use crate::storage::applications::SummaryRow;
use crate::storage::search;

/// Registers the operation.
pub fn configure(config: &mut ServiceConfig<'_>) {
    config.service(search_applications);
}

/// What is looked for.
#[derive(Debug, Deserialize, Validate, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SearchQuery {
    /// A reference, the number of a passport or permit, or words of the worker's name in Cyrillic or Latin letters, from
    /// their second letter on. All words must be met, in any order.
    #[validate(length(min = 1, max = 100))]
    #[param(min_length = 1, max_length = 100, example = "карим рус")]
    pub q: String,
}

/// Search the unit's applications
///
/// Finds what was handed in to the caller's unit by reference, passport number, permit number or name; Cyrillic letters
/// find what is written in Latin ones and the reverse. Ordered by the word that was met.
#[utoipa::path(tag = "office", params(SearchQuery, PageQuery, PurposeHeader), responses(
    (status = 200, description = "A page of applications.", body = ApplicationPage)))]
#[get("/v1/search")]
pub async fn search_applications(
    app: App,
    request: HttpRequest,
    reader: Reading<Office>,
    Query(query): Query<SearchQuery>,
    Query(page): Query<PageQuery>,
) -> Result<HttpResponse> {
    let lookup = Lookup::parse(&query.q).ok_or_else(|| {
        let detail = "Send a number, or at least two letters of a name.";
        Error::invalid(vec![Violation::new("q", "too-short", detail)])
    })?;
    let list = format!("search {}", query.q);
    let after = page.after::<(String, Uuid)>(&app.tokens, &list)?;
    let (unit, now) = (unit(&reader)?, app.clock.now());
    let mut conn = app.db.conn().await?;
    let rows = search::list(&mut conn, unit, &lookup, now, after.as_ref(), page.fetch()).await?;
    let rules = rows.first().map_or(0, |(_, row)| row.rules());
    let rules = app.casework.rules_at(&mut conn, rules).await?;
    drop(conn);
    let keys = |(word, row): &(String, SummaryRow)| (word.clone(), row.id);
    let page = Page::new(&request, &page, &app.tokens, &list, rows, keys)?;
    let rows: Vec<_> = page.items.into_iter().map(|(_, row)| row).collect();
    // What was typed is personal data: the log says what was shown, not which words found it.
    let read = (!rows.is_empty()).then(|| {
        Read::new("searchRead", &["summary", "personName", "lastNote", "openChecks"])
            .showing(rows.iter().map(|row| row.id))
    });
    let answer =
        listed(summaries(&app, &rules, &request, rows, Some(reader.account()))?, page.link);
    reader.answer(&app, read, answer).await
}
