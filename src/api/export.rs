//! The log as a file: events in the order of their leaves, then a manifest that says what the file is and signs it.
//!
//! Pages are fetched while the caller takes them, so neither the file nor any list of it is ever held whole.

use actix_web::HttpResponse;
use actix_web::http::header;
use actix_web::web::Bytes;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, Utc};
use futures_util::{Stream, stream};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tracing::Instrument as _;
use utoipa::ToSchema;
use uuid::Uuid;

use super::auditor::EventView;
use super::problem;
use super::reading::Read;
use super::views::hex;
use crate::app::App;
use crate::domain::event::sealed::canonical;
use crate::error::{Error, Result};
use crate::storage::audit::export::{self, Rest};
use crate::storage::audit::{EventRow, Filter};
use crate::storage::log;

/// How the file is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub enum Format {
    /// A JSON object in each line.
    Ndjson,
    /// Comma-separated values after RFC 4180, UTF-8, with a line of names.
    Csv,
}

/// An export that can begin.
pub struct Export {
    app: App,
    filter: Filter,
    format: Format,
    size: i64,
    root: Vec<u8>,
    rest: Rest,
    /// Whether there is the application that the filter names.
    found: bool,
    exported_at: DateTime<Utc>,
}

impl Export {
    /// Looks up what the latest checkpoint covers and which of it can fit the filter.
    ///
    /// # Errors
    /// [`Error::Internal`] when the database fails.
    pub async fn prepare(app: &App, filter: Filter, format: Format) -> Result<Self> {
        let mut conn = app.db.conn().await?;
        let published = log::find_latest(&mut conn).await?.map(|row| (row.size, row.root));
        // The root of an empty tree is the hash of nothing (RFC 6962, 2.1).
        let (size, root) = published.unwrap_or_else(|| (0, Sha256::digest(b"").to_vec()));
        let rest = export::find_rest(&mut conn, &filter, size).await?;
        let found = match filter.application {
            Some(application) => export::exists(&mut conn, application).await?,
            None => false,
        };
        let exported_at = app.clock.now();
        Ok(Self { app: app.clone(), filter, format, size, root, rest, found, exported_at })
    }

    /// Says what will be shown.
    #[must_use]
    pub fn read(&self) -> Read {
        let read = Read::new("logExported", &["events"])
            .with("filter", &self.filter)
            .with("format", self.format)
            .with("treeSize", self.size);
        match self.filter.application.filter(|_| self.found) {
            Some(application) => read.about(application),
            None => read,
        }
    }

    /// Makes the answer; nothing is fetched before the caller takes it.
    #[must_use]
    pub fn answer(self) -> HttpResponse {
        let (media_type, extension) = match self.format {
            Format::Ndjson => ("application/x-ndjson", "ndjson"),
            Format::Csv => ("text/csv; charset=utf-8", "csv"),
        };
        let name = format!("attachment; filename=\"log-{}.{extension}\"", self.size);
        HttpResponse::Ok()
            .content_type(media_type)
            .insert_header((header::CACHE_CONTROL, "no-store"))
            .insert_header((header::CONTENT_DISPOSITION, name))
            .streaming(self.stream())
    }

    fn stream(self) -> impl Stream<Item = Result<Bytes>> {
        let span = tracing::Span::current();
        let writer = Writer { hash: Sha256::new(), count: 0, first: None, last: None };
        let begun = Some((self, writer, true));
        stream::try_unfold(begun, move |state| {
            let step = async {
                let Some((export, writer, first)) = state else { return Ok(None) };
                // The answer has begun: a failure can only break it off, without its manifest.
                export.step(writer, first).await.inspect_err(problem::log).map(Some)
            };
            step.instrument(span.clone())
        })
    }

    /// Gives the next part of the file, and what comes after it.
    async fn step(
        mut self,
        mut writer: Writer,
        first: bool,
    ) -> Result<(Bytes, Option<(Self, Writer, bool)>)> {
        let mut part = Vec::new();
        if first && self.format == Format::Csv {
            write_csv(&mut part, [COLUMNS.map(str::to_owned)])?;
        }
        while part.is_empty() && self.rest.from < self.rest.to {
            let mut conn = self.app.db.conn().await?;
            let (rows, rest) = export::next_page(&mut conn, &self.filter, self.rest).await?;
            drop(conn);
            writer.count(&rows);
            match self.format {
                Format::Ndjson => write_ndjson(&mut part, rows)?,
                Format::Csv => write_csv(&mut part, rows.into_iter().map(cells))?,
            }
            self.rest = rest;
        }
        if !part.is_empty() {
            writer.hash.update(&part);
            return Ok((part.into(), Some((self, writer, false))));
        }
        let manifest = json!({ "manifest": self.manifest(writer)? });
        let start = if self.format == Format::Csv { "# " } else { "" };
        Ok((format!("{start}{manifest}\n").into(), None))
    }

    fn manifest(&self, writer: Writer) -> Result<Value> {
        let mut manifest = json!({
            "format": self.format,
            "filter": self.filter,
            "count": writer.count,
            "treeSize": self.size,
            "root": STANDARD.encode(&self.root),
            "exportedAt": self.exported_at,
            "sha256": hex(&writer.hash.finalize()),
        });
        if let (Some(first), Some(last)) = (writer.first, writer.last) {
            manifest["firstIndex"] = json!(first);
            manifest["lastIndex"] = json!(last);
        }
        let failed = |error| Error::internal("a manifest has no canonical form", error);
        let text = canonical(&manifest).map_err(failed)? + "\n";
        let note = self.app.log_keys.sign_text("export", &text);
        let note = note.map_err(|error| Error::internal("cannot sign a manifest", error))?;
        manifest["signature"] = json!(note);
        Ok(manifest)
    }
}

/// What the manifest will say of the rows.
struct Writer {
    hash: Sha256,
    count: u64,
    first: Option<i64>,
    last: Option<i64>,
}

impl Writer {
    fn count(&mut self, rows: &[EventRow]) {
        self.count += u64::try_from(rows.len()).unwrap_or(0);
        self.first = self.first.or(rows.first().and_then(|row| row.index));
        self.last = rows.last().and_then(|row| row.index).or(self.last);
    }
}

fn write_ndjson(part: &mut Vec<u8>, rows: Vec<EventRow>) -> Result<()> {
    for row in rows {
        let line = serde_json::to_writer(&mut *part, &EventView::from(row));
        line.map_err(|error| Error::internal("cannot write an event", error))?;
        part.push(b'\n');
    }
    Ok(())
}

/// The names of the columns, as in JSON.
const COLUMNS: [&str; 16] = [
    "index",
    "id",
    "at",
    "kind",
    "actor",
    "role",
    "unit",
    "application",
    "seq",
    "command",
    "from",
    "to",
    "purpose",
    "subjects",
    "commitment",
    "content",
];

fn cells(row: EventRow) -> [String; 16] {
    let text = |value: Option<String>| value.unwrap_or_default();
    let id = |value: Option<Uuid>| text(value.map(|id| id.to_string()));
    let subjects = row.subjects.unwrap_or_default().iter().map(Uuid::to_string).collect::<Vec<_>>();
    [
        text(row.index.map(|index| index.to_string())),
        row.id.to_string(),
        row.at.to_rfc3339_opts(chrono::SecondsFormat::AutoSi, true),
        row.kind,
        id(row.actor_id),
        row.actor_role,
        text(row.unit_code),
        id(row.application_id),
        text(row.seq.map(|seq| seq.to_string())),
        text(row.command),
        text(row.from_state),
        text(row.to_state),
        text(row.purpose),
        subjects.join(" "),
        hex(&row.commitment),
        text(row.content),
    ]
}

fn write_csv(part: &mut Vec<u8>, rows: impl IntoIterator<Item = [String; 16]>) -> Result<()> {
    let failed = |error| Error::internal("cannot write an event", error);
    let mut csv = csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(part);
    for row in rows {
        csv.write_record(row.map(harmless)).map_err(failed)?;
    }
    csv.flush().map_err(|error| Error::internal("cannot write an event", error))
}

/// Keeps a spreadsheet from taking a cell for a formula (OWASP, CSV injection).
fn harmless(cell: String) -> String {
    if cell.starts_with(['=', '+', '-', '@', '\t', '\r']) { format!("'{cell}") } else { cell }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_is_no_formula() {
        for (cell, written) in [
            ("=1+1", "'=1+1"),
            ("+7 495", "'+7 495"),
            ("-1", "'-1"),
            ("@a", "'@a"),
            ("\tx", "'\tx"),
            ("\rx", "'\rx"),
            ("a=1", "a=1"),
            ("", ""),
        ] {
            assert_eq!(harmless(cell.to_owned()), written);
        }
    }

    #[test]
    fn cells_with_commas_quotes_and_line_feeds_stay_one() {
        let mut part = Vec::new();
        let mut row = [const { String::new() }; 16];
        row[0] = "a\"b,c\nd".to_owned();
        row[1] = "=x".to_owned();
        write_csv(&mut part, [row]).unwrap();
        let text = String::from_utf8(part).unwrap();
        assert_eq!(text, format!("\"a\"\"b,c\nd\",'=x{}\r\n", ",".repeat(14)));
    }
}
