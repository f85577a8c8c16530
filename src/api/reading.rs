//! Reads of personal data by staff: each is an event of the log, written before the answer leaves.
//!
//! A handler that shows personal data takes a [`Reading`] in place of a `Caller` and lets its answer go through
//! [`Reading::answer`]. An applicant who reads his own file leaves no event, nor does an answer without a body: to HEAD,
//! or 304. A read that cannot be written down is refused.

use std::future::{Ready, ready};
use std::ops::Deref;

use actix_web::dev::Payload;
use actix_web::http::{StatusCode, header};
use actix_web::{FromRequest, HttpMessage as _, HttpRequest, HttpResponse};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use utoipa::ToSchema;
use uuid::Uuid;

use super::extract::single;
use crate::app::App;
use crate::auth::access::{Access, Caller};
use crate::casework::Seen;
use crate::domain::actor::Role;
use crate::error::{Error, Result, Violation};
use crate::storage::events::{self, PlainEvent};

/// What personal data is read for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub enum Purpose {
    /// To work on the application.
    Casework,
    /// To look after the work of colleagues.
    Supervision,
    /// To look whether the service does what it says.
    Audit,
    /// To answer a complaint.
    Complaint,
    /// For a court.
    Court,
    /// To count.
    Statistics,
}

impl Purpose {
    /// Every purpose.
    pub const ALL: [Self; 6] = [
        Self::Casework,
        Self::Supervision,
        Self::Audit,
        Self::Complaint,
        Self::Court,
        Self::Statistics,
    ];

    /// Gives the purpose's name as it stands in the header field and in the log.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Casework => "casework",
            Self::Supervision => "supervision",
            Self::Audit => "audit",
            Self::Complaint => "complaint",
            Self::Court => "court",
            Self::Statistics => "statistics",
        }
    }

    /// What a role reads for when it does not say.
    const fn usual(role: Role) -> Self {
        match role {
            Role::SeniorOfficer => Self::Supervision,
            Role::Auditor | Role::Administrator => Self::Audit,
            Role::Migrant | Role::Employer | Role::Officer => Self::Casework,
        }
    }
}

/// Documents the header field that says what a read is for.
#[derive(utoipa::IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "documents a header field")]
pub struct PurposeHeader {
    /// What staff read personal data for: it stands in the log beside who read what. If it is missing, officers read for
    /// `casework`, senior officers for `supervision`, auditors for `audit`.
    #[param(rename = "Access-Purpose", inline, required = false, example = "complaint")]
    access_purpose: Option<Purpose>,
}

/// Marks a request that asks for header fields alone: nothing will be shown.
#[derive(Debug, Clone, Copy)]
pub(super) struct HeadersAlone;

/// What an answer shows, in the words of the log: never the data itself.
#[derive(Debug, Clone)]
pub struct Read {
    kind: &'static str,
    application: Option<Uuid>,
    unit: Option<String>,
    subjects: Vec<Uuid>,
    content: Map<String, Value>,
}

impl Read {
    /// Makes a read of this kind of event that shows these parts.
    #[must_use]
    pub fn new(kind: &'static str, fields: &[&'static str]) -> Self {
        let content = Map::from_iter([("fields".to_owned(), json!(fields))]);
        Self { kind, application: None, unit: None, subjects: Vec::new(), content }
    }

    /// Names the one application that is shown.
    #[must_use]
    pub fn of(self, seen: &Seen<'_>) -> Self {
        Self { unit: Some(seen.unit.code.clone()), ..self.about(seen.application.id) }
    }

    /// As [`Read::of`], where the application's unit is not at hand: the reader's stands for it.
    #[must_use]
    pub fn about(self, application: Uuid) -> Self {
        Self { application: Some(application), ..self }
    }

    /// Names the unit of what is shown.
    #[must_use]
    pub fn in_unit(self, unit: Option<String>) -> Self {
        Self { unit, ..self }
    }

    /// Names the applications in a list that is shown.
    #[must_use]
    pub fn showing(self, applications: impl IntoIterator<Item = Uuid>) -> Self {
        let mut subjects: Vec<Uuid> = applications.into_iter().collect();
        subjects.sort_unstable();
        subjects.dedup();
        Self { subjects, ..self }
    }

    /// Says more of what was asked or shown.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Serialize) -> Self {
        self.content.insert(name.to_owned(), json!(value));
        self
    }
}

/// A caller who has one of `A`'s roles and reads personal data. Document it with `params(PurposeHeader)`.
///
/// Fails as [`Caller`] does, and with 400 for a purpose that is none.
#[derive(Debug)]
pub struct Reading<A: Access> {
    caller: Caller<A>,
    purpose: Purpose,
    shows: bool,
}

impl<A: Access> Deref for Reading<A> {
    type Target = Caller<A>;

    fn deref(&self) -> &Caller<A> {
        &self.caller
    }
}

impl<A: Access> FromRequest for Reading<A> {
    type Error = Error;
    type Future = Ready<Result<Self>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        // A caller's refusal is there when it is created; see `auth::access`.
        let caller = Caller::<A>::from_request(request, payload).into_inner();
        ready(caller.and_then(|caller| {
            let purpose = purpose(request)?.unwrap_or(Purpose::usual(caller.role()));
            let shows = request.extensions().get::<HeadersAlone>().is_none();
            Ok(Self { caller, purpose, shows })
        }))
    }
}

fn purpose(request: &HttpRequest) -> Result<Option<Purpose>> {
    let name = header::HeaderName::from_static("access-purpose");
    let Some(field) = single(request, &name)? else { return Ok(None) };
    let found = Purpose::ALL.into_iter().find(|purpose| purpose.name() == field);
    found.map(Some).ok_or_else(|| {
        let names = Purpose::ALL.map(Purpose::name).join(", ");
        let detail = format!("Send one of: {names}.");
        Error::invalid(vec![Violation::new("Access-Purpose", "unknown-value", detail)])
    })
}

impl<A: Access> Reading<A> {
    /// Writes down what `answer` shows, and lets it go; `None` says that it shows nobody's data.
    ///
    /// One statement for staff, none for applicants. Hold no connection meanwhile: this takes one.
    ///
    /// # Errors
    /// The database's, when the event cannot be written: the answer is then withheld.
    pub async fn answer(
        &self,
        app: &App,
        read: impl Into<Option<Read>>,
        answer: HttpResponse,
    ) -> Result<HttpResponse> {
        let shown = self.shows && answer.status() == StatusCode::OK;
        match read.into() {
            Some(read) if shown && !self.caller.role().is_applicant() => {
                let event = self.event(app, read);
                events::record(&mut app.db.conn().await?, &event).await?;
                Ok(answer)
            }
            _ => Ok(answer),
        }
    }

    fn event(&self, app: &App, read: Read) -> PlainEvent {
        let role = self.caller.role().name();
        let content = Value::Object(read.content);
        let unit = read.unit.or_else(|| self.caller.unit().map(str::to_owned));
        let event = PlainEvent::now(&*app.clock, read.kind, role, content)
            .by(self.caller.account())
            .in_unit(unit)
            .for_purpose(self.purpose.name())
            .showing(read.subjects);
        match read.application {
            Some(application) => event.about(application),
            None => event,
        }
    }
}
