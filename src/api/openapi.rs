//! The OpenAPI 3.1 document: collected from the handlers, then completed so that no handler can forget.
//!
//! Completing adds what holds for every operation of a kind: security, the problems that can occur, header
//! fields, `additionalProperties: false` on requests, examples. The result is the table of [`routes`] that
//! [`gateway`](super::gateway) works with, too: what is not documented is not reachable with the wrong method,
//! without a token or with a foreign media type.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use actix_web::http::Method;
use serde_json::{Map, Value, json};
use utoipa::OpenApi as _;
use utoipa_actix_web::AppExt as _;

use super::problem;
use super::shares::SHARED_PERMIT_PATH;
use crate::error::ErrorCode;
use crate::permits::statement::STATUS_LIST_PATH;

/// The API's version, in the document and in `API-Version` of every answer.
pub const VERSION: &str = "1.0.0";

const METHODS: [&str; 5] = ["get", "put", "post", "patch", "delete"];

#[derive(utoipa::OpenApi)]
#[openapi(components(schemas(problem::Problem, problem::ProblemError)))]
struct Base;

/// Gives the document.
#[must_use]
pub fn document() -> &'static Value {
    &BUILT.document
}

/// Gives the document as text: pretty, with a line feed at the end.
#[must_use]
pub fn text() -> &'static str {
    &BUILT.text
}

/// Gives the documented paths with their methods.
#[must_use]
pub fn routes() -> &'static Routes {
    &BUILT.routes
}

struct Built {
    document: Value,
    text: String,
    routes: Routes,
}

static BUILT: LazyLock<Built> = LazyLock::new(|| {
    let (_, collected) = actix_web::App::new()
        .into_utoipa_app()
        .openapi(Base::openapi())
        .configure(super::configure)
        .split_for_parts();
    // Serialising a document of strings and maps cannot fail; an empty one would fail every test.
    let mut document = serde_json::to_value(collected).unwrap_or_default();
    complete(&mut document);
    let mut text = serde_json::to_string_pretty(&document).unwrap_or_default();
    text.push('\n');
    let routes = Routes::of(&document);
    Built { document, text, routes }
});

// ── Routes ────────────────────────────────────────────────────────────────────────────────────────────────

/// One documented operation.
#[derive(Debug, Clone)]
pub struct Operation {
    /// The operation id: the handler's name.
    pub id: String,
    /// Whether it needs no token.
    pub public: bool,
    /// Whether it is a public look-up, counted against the caller's address.
    pub lookup: bool,
    /// The media types that it answers with when all is well.
    pub offers: Vec<String>,
}

/// One documented path.
#[derive(Debug, Clone)]
pub struct Route {
    /// The path with its parameters in braces.
    pub template: String,
    segments: Vec<Option<String>>,
    /// Whether the last parameter takes the rest of the path: `{tile}`, whose slashes C2SP tlog-tiles wants.
    rest: bool,
    operations: Vec<(Method, Operation)>,
}

/// Every documented path.
#[derive(Debug)]
pub struct Routes(Vec<Route>);

impl Route {
    /// Finds the operation of a method.
    #[must_use]
    pub fn operation(&self, method: &Method) -> Option<&Operation> {
        self.operations.iter().find(|(one, _)| one == method).map(|(_, operation)| operation)
    }

    /// The value of `Allow`.
    #[must_use]
    pub fn allow(&self) -> String {
        let mut methods: Vec<&str> = self.operations.iter().map(|(one, _)| one.as_str()).collect();
        if methods.contains(&"GET") {
            methods.push("HEAD");
        }
        methods.push("OPTIONS");
        methods.join(", ")
    }

    fn matches(&self, path: &str) -> bool {
        let mut parts = path.split('/');
        let fits = self.segments.iter().all(|segment| {
            parts.next().is_some_and(|part| match segment {
                Some(fixed) => part == fixed,
                None => !part.is_empty(),
            })
        });
        fits && (self.rest || parts.next().is_none())
    }
}

impl Routes {
    fn of(document: &Value) -> Self {
        let mut routes: Vec<Route> = members(&document["paths"])
            .map(|(template, item)| Route {
                template: template.clone(),
                rest: template.ends_with("/{tile}"),
                segments: template
                    .split('/')
                    .map(|part| (!part.starts_with('{')).then(|| part.to_owned()))
                    .collect(),
                operations: METHODS
                    .iter()
                    .filter_map(|name| Some((*name, item.get(*name)?)))
                    .filter_map(|(name, operation)| {
                        let method = Method::from_bytes(name.to_uppercase().as_bytes()).ok()?;
                        Some((method, Operation::of(template, operation)))
                    })
                    .collect(),
            })
            .collect();
        // A fixed segment goes before a parameter at the same place.
        routes
            .sort_by_key(|route| route.segments.iter().map(Option::is_none).collect::<Vec<bool>>());
        Self(routes)
    }

    /// Finds the route of a path.
    #[must_use]
    pub fn find(&self, path: &str) -> Option<&Route> {
        self.0.iter().find(|route| route.matches(path))
    }

    /// Lists every operation with its method and path template.
    pub fn operations(&self) -> impl Iterator<Item = (&Method, &str, &Operation)> {
        self.0.iter().flat_map(|route| {
            route
                .operations
                .iter()
                .map(|(method, operation)| (method, route.template.as_str(), operation))
        })
    }
}

impl Operation {
    fn of(template: &str, operation: &Value) -> Self {
        let public = operation["security"].as_array().is_some_and(Vec::is_empty);
        let tag = operation["tags"][0].as_str().unwrap_or_default();
        let offers: BTreeSet<String> = members(&operation["responses"])
            .filter(|(status, _)| status.starts_with('2'))
            .flat_map(|(_, response)| members(&response["content"]))
            .map(|(media_type, _)| media_type.clone())
            .collect();
        Self {
            id: operation["operationId"].as_str().unwrap_or_default().to_owned(),
            public,
            lookup: public
                && template.starts_with("/v1/")
                && (tag == "log"
                    || tag == "public"
                        && (template.contains('{')
                            || [STATUS_LIST_PATH, SHARED_PERMIT_PATH].contains(&template))),
            offers: offers.into_iter().collect(),
        }
    }
}

fn members(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flatten()
}

// ── Completing ────────────────────────────────────────────────────────────────────────────────────────────

fn complete(document: &mut Value) {
    document["info"] = json!({
        "title": "Propusk",
        "summary": "Work permits, from the application to the permit that anyone can verify",
        "description": include_str!("openapi/description.md").trim(),
        "version": VERSION,
        "contact": { "name": "The Propusk team", "url": "https://propusk.example/contact",
                     "email": "api@propusk.example" },
        "license": { "name": "European Union Public Licence 1.2", "identifier": "EUPL-1.2" },
    });
    document["servers"] = json!([{ "url": "/", "description": "The server of this document" }]);
    document["tags"] = json!([
        { "name": "public", "description": "For anyone, without an account" },
        { "name": "session", "description": "Logging in, going on, logging out" },
        { "name": "applications", "description": "One application: its applicant, the officers of its unit, auditors" },
        { "name": "office", "description": "For officers and senior officers: the queues of their unit" },
        { "name": "audit", "description": "For auditors: who did, saw and changed what" },
        { "name": "administration", "description": "For administrators: the calendars of the office" },
        { "name": "log", "description": "The public transparency log, for anyone and for tools that nobody here wrote" },
        { "name": "callbacks", "description": "For machines that call back with a signature" },
        { "name": "health", "description": "For those who run the service" },
    ]);
    document["security"] = json!([{ "bearer": [] }]);
    complete_components(document);
    let components = document["components"].clone();
    if let Some(paths) = document["paths"].as_object_mut() {
        for (template, item) in paths {
            for method in METHODS {
                if let Some(operation) = item.get_mut(method) {
                    complete_operation(operation, template, &components);
                }
            }
        }
    }
    close_requests(document);
}

fn complete_components(document: &mut Value) {
    let components = &mut document["components"];
    components["securitySchemes"] = json!({ "bearer": {
        "type": "http", "scheme": "bearer", "bearerFormat": "JWT",
        "description": "An access token from `POST /v1/session`.",
    }});
    let string = |description: &str, example: &str| {
        json!({ "description": description, "schema": { "type": "string", "maxLength": 1024 },
                "example": example })
    };
    components["headers"] = json!({
        "RequestId": string("Names this request: quote it when you ask for help.",
                            "0199a5d2-7c1e-7000-8000-2f6d1c0b9a31"),
        "ApiVersion": string("The API's version.", VERSION),
        "RetryAfter": { "description": "Seconds after which to send the same request again.",
                        "schema": { "type": "integer", "minimum": 0 }, "example": 5 },
        "WwwAuthenticate": string("The scheme to use.", "Bearer"),
        "RateLimit": string("What is left of the budget, and for how long.", "\"lookups\";r=29;t=2"),
        "RateLimitPolicy": string("The budget and its window in seconds.", "\"lookups\";q=30;w=60"),
    });
    let mut responses = Map::new();
    for (name, code, description) in PROBLEMS {
        let entry = problem::describe(*code);
        let mut example = json!({
            "type": format!("{}{}", problem::TYPE_BASE, entry.slug),
            "title": entry.title,
            "status": entry.status,
            "instance": "/requests/0199a5d2-7c1e-7000-8000-2f6d1c0b9a31",
        });
        if entry.status < 500 {
            example["detail"] = json!(description);
        }
        if entry.status == 400 {
            example["errors"] = json!([
                { "pointer": "/email", "code": "required", "detail": "Add this member." }]);
        }
        let mut headers = json!({
            "X-Request-Id": { "$ref": "#/components/headers/RequestId" },
            "API-Version": { "$ref": "#/components/headers/ApiVersion" },
        });
        if entry.status == 401 {
            headers["WWW-Authenticate"] = json!({ "$ref": "#/components/headers/WwwAuthenticate" });
        }
        if matches!(entry.status, 429 | 503) {
            headers["Retry-After"] = json!({ "$ref": "#/components/headers/RetryAfter" });
        }
        if entry.status == 429 {
            headers["RateLimit"] = json!({ "$ref": "#/components/headers/RateLimit" });
            headers["RateLimit-Policy"] = json!({ "$ref": "#/components/headers/RateLimitPolicy" });
        }
        let response = json!({
            "description": description,
            "headers": headers,
            "content": { (problem::MEDIA_TYPE): {
                "schema": { "$ref": "#/components/schemas/Problem" }, "example": example } },
        });
        responses.insert((*name).to_owned(), response);
    }
    components["responses"] = Value::Object(responses);
}

/// The reusable problem responses: name, the code that stands for the status, description.
const PROBLEMS: &[(&str, ErrorCode, &str)] = &[
    (
        "BadRequest",
        ErrorCode::InvalidRequest,
        "The request does not fit its schema; every error is listed.",
    ),
    ("Unauthorized", ErrorCode::Unauthenticated, "There is no valid access token."),
    ("Forbidden", ErrorCode::Forbidden, "The caller's role may not do this."),
    ("NotFound", ErrorCode::NotFound, "There is no such thing, or it is not the caller's."),
    ("NotAcceptable", ErrorCode::NotAcceptable, "None of the accepted media types is on offer."),
    (
        "Conflict",
        ErrorCode::WrongState,
        "The state does not allow this, or the same request is in progress.",
    ),
    ("PreconditionFailed", ErrorCode::StaleVersion, "The thing has changed since it was read."),
    ("PayloadTooLarge", ErrorCode::PayloadTooLarge, "The body is too large."),
    (
        "UnsupportedMediaType",
        ErrorCode::UnsupportedMediaType,
        "The body's media type is not accepted here.",
    ),
    (
        "Unprocessable",
        ErrorCode::RuleRefused,
        "A rule refuses, or the idempotency key belongs to another request.",
    ),
    ("PreconditionRequired", ErrorCode::PreconditionRequired, "If-Match is missing."),
    ("TooManyRequests", ErrorCode::TooManyRequests, "A budget of requests is exhausted."),
    (
        "InternalServerError",
        ErrorCode::Internal,
        "The service failed; the failure is logged under the instance.",
    ),
    ("ServiceUnavailable", ErrorCode::Unavailable, "The service is busy or a part of it is away."),
];

fn complete_operation(operation: &mut Value, template: &str, components: &Value) {
    let declared = operation["security"].as_array();
    let public = declared.is_some_and(|list| list.iter().all(|one| one == &json!({})));
    operation["security"] = if public { json!([]) } else { json!([{ "bearer": [] }]) };
    let parameters = operation["parameters"].as_array().cloned().unwrap_or_default();
    let has = |place: &str| parameters.iter().any(|one| one["in"] == place);
    let header =
        |name: &str| parameters.iter().any(|one| one["in"] == "header" && one["name"] == name);
    let body = operation.get("requestBody").is_some();
    let lookup = Operation::of(template, operation).lookup;

    let mut statuses = BTreeSet::from([500, 503]);
    let mut add = |when: bool, list: &[u16]| {
        if when {
            statuses.extend(list);
        }
    };
    add(!public, &[401, 403]);
    add(public, &[401]);
    add(has("query") || has("header") || body, &[400]);
    add(has("path"), &[404]);
    add(body, &[400, 413, 415]);
    add(header("Idempotency-Key"), &[409, 422]);
    add(header("If-Match"), &[412, 428]);
    // What changes an application asks its state, its holder and its rules.
    add(header("If-Match") && template.starts_with("/v1/applications/"), &[409, 422]);
    add(lookup, &[429]);
    let answers_content = members(&operation["responses"])
        .any(|(status, response)| status.starts_with('2') && response.get("content").is_some());
    add(answers_content, &[406]);

    let mut responses = operation["responses"].as_object().cloned().unwrap_or_default();
    for status in statuses {
        responses.entry(status.to_string()).or_insert(Value::Null);
    }
    for (status, response) in &mut responses {
        complete_response(
            status,
            response,
            lookup || template.starts_with("/v1/session"),
            components,
        );
    }
    operation["responses"] = Value::Object(responses);

    if let Some(request) = operation.get_mut("requestBody") {
        request["required"] = json!(true);
        if let Some(content) = request["content"].as_object_mut() {
            for media in content.values_mut() {
                add_example(media, components);
            }
        }
    }
    if let Some(list) = operation.get_mut("parameters").and_then(Value::as_array_mut) {
        for parameter in list {
            if parameter["description"].as_str().unwrap_or_default().is_empty() {
                let name = parameter["name"].as_str().unwrap_or_default();
                parameter["description"] = json!(format!("The {name} of the thing that is meant."));
            }
        }
    }
}

fn complete_response(status: &str, response: &mut Value, counted: bool, components: &Value) {
    let number: u16 = status.parse().unwrap_or(0);
    let standard = PROBLEMS.iter().find(|(_, code, _)| problem::describe(*code).status == number);
    if let Some((name, ..)) = standard {
        let own = response["description"].as_str().unwrap_or_default().to_owned();
        *response = if own.is_empty() {
            json!({ "$ref": format!("#/components/responses/{name}") })
        } else {
            let mut full = components["responses"][*name].clone();
            full["description"] = json!(own);
            full
        };
        return;
    }
    if response["description"].as_str().unwrap_or_default().is_empty() {
        response["description"] = json!("Done.");
    }
    if let Some(content) = response.get_mut("content").and_then(Value::as_object_mut) {
        for media in content.values_mut() {
            add_example(media, components);
        }
    }
    if !response["headers"].is_object() {
        response["headers"] = json!({});
    }
    response["headers"]["X-Request-Id"] = json!({ "$ref": "#/components/headers/RequestId" });
    response["headers"]["API-Version"] = json!({ "$ref": "#/components/headers/ApiVersion" });
    if counted {
        response["headers"]["RateLimit"] = json!({ "$ref": "#/components/headers/RateLimit" });
        response["headers"]["RateLimit-Policy"] =
            json!({ "$ref": "#/components/headers/RateLimitPolicy" });
    }
}

fn add_example(media: &mut Value, components: &Value) {
    if media.get("example").is_none() && media.get("examples").is_none() {
        media["example"] = example_of(&media["schema"], components, 0);
    }
}

/// Makes an example that fits a schema, out of the examples, defaults and limits that it names.
fn example_of(schema: &Value, components: &Value, depth: u8) -> Value {
    if depth > 12 {
        return Value::Null;
    }
    if let Some(name) = schema["$ref"].as_str().and_then(|path| path.rsplit('/').next()) {
        return example_of(&components["schemas"][name], components, depth + 1);
    }
    for key in ["example", "default", "const"] {
        if let Some(value) = schema.get(key) {
            return value.clone();
        }
    }
    for key in ["examples", "enum"] {
        if let Some(value) = schema[key].as_array().and_then(|list| list.first()) {
            return value.clone();
        }
    }
    if let Some(parts) = schema["allOf"].as_array() {
        let mut whole = Map::new();
        for part in parts {
            if let Value::Object(members) = example_of(part, components, depth + 1) {
                whole.extend(members);
            }
        }
        return Value::Object(whole);
    }
    for key in ["oneOf", "anyOf"] {
        let choice = schema[key].as_array().and_then(|list| {
            list.iter().find(|one| one["type"] != "null").or_else(|| list.first())
        });
        if let Some(choice) = choice {
            return example_of(choice, components, depth + 1);
        }
    }
    let kind = schema["type"].as_str().or_else(|| {
        schema["type"].as_array()?.iter().filter_map(Value::as_str).find(|one| *one != "null")
    });
    match kind {
        Some("object") => {
            let object: Map<String, Value> = members(&schema["properties"])
                .map(|(name, part)| (name.clone(), example_of(part, components, depth + 1)))
                .filter(|(_, value)| !value.is_null())
                .collect();
            Value::Object(object)
        }
        Some("array") => json!([example_of(&schema["items"], components, depth + 1)]),
        Some("integer" | "number") => schema.get("minimum").cloned().unwrap_or(json!(1)),
        Some("boolean") => json!(true),
        Some("string") => match schema["format"].as_str() {
            Some("uuid") => json!("0199a5d2-7c1e-7000-8000-2f6d1c0b9a31"),
            Some("date") => json!("2026-11-24"),
            Some("date-time") => json!("2026-11-24T09:00:00Z"),
            _ => json!("text"),
        },
        _ => Value::Null,
    }
}

/// Refuses unknown members in everything that a request body is made of.
fn close_requests(document: &mut Value) {
    let mut wanted: Vec<String> = Vec::new();
    for (_, item) in members(&document["paths"]) {
        for (_, operation) in members(item) {
            references(&operation["requestBody"], &mut wanted);
        }
    }
    let mut closed = BTreeMap::new();
    while let Some(name) = wanted.pop() {
        if closed.contains_key(&name) {
            continue;
        }
        let mut schema = document["components"]["schemas"][&name].clone();
        references(&schema, &mut wanted);
        close(&mut schema);
        closed.insert(name, schema);
    }
    for (name, schema) in closed {
        document["components"]["schemas"][&name] = schema;
    }
}

fn references(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(object) => {
            if let Some(Value::String(path)) = object.get("$ref")
                && let Some(name) = path.strip_prefix("#/components/schemas/")
            {
                found.push(name.to_owned());
            }
            object.values().for_each(|part| references(part, found));
        }
        Value::Array(array) => array.iter().for_each(|part| references(part, found)),
        _ => {}
    }
}

/// Closes an object schema and those in it; parts of an `allOf` stay open, since each sees the whole object. Says of text
/// that it is not spaces alone.
fn close(schema: &mut Value) {
    let Some(object) = schema.as_object_mut() else { return };
    let text = object.get("type").is_some_and(|kind| *kind == "string" || kind[0] == "string");
    if text && !["pattern", "format", "enum"].iter().any(|key| object.contains_key(*key)) {
        let least = object.get("minLength").and_then(Value::as_u64).unwrap_or(0);
        object.insert("pattern".to_owned(), json!(if least > 0 { "\\S" } else { "^$|\\S" }));
    }
    if object.get("type").is_some_and(|kind| kind == "object") && object.contains_key("properties")
    {
        object.entry("additionalProperties").or_insert(json!(false));
    }
    for (key, part) in object {
        match (key.as_str(), part) {
            ("properties", Value::Object(parts)) => parts.values_mut().for_each(close),
            ("items", part) => close(part),
            ("oneOf" | "anyOf", Value::Array(parts)) => parts.iter_mut().for_each(close),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fixed_segment_goes_before_a_parameter() {
        let get = json!({ "get": { "operationId": "x", "responses": {} } });
        let routes = Routes::of(&json!({ "paths": {
            "/v1/a/{id}": get, "/v1/a/mine": get, "/v1/{kind}/b": get } }));
        let template = |path: &str| routes.find(path).map(|route| route.template.clone());
        assert_eq!(template("/v1/a/mine").as_deref(), Some("/v1/a/mine"));
        assert_eq!(template("/v1/a/7").as_deref(), Some("/v1/a/{id}"));
        assert_eq!(template("/v1/c/b").as_deref(), Some("/v1/{kind}/b"));
        assert_eq!(template("/v1/a/"), None);
        assert_eq!(template("/v1/a/7/8"), None);
        assert_eq!(routes.find("/v1/a/7").unwrap().allow(), "GET, HEAD, OPTIONS");
    }
}
