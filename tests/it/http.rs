//! What holds for every answer: header fields, problems, methods, media types, the order of refusals.

use actix_web::http::Method;
use actix_web::middleware::from_fn;
use actix_web::{HttpRequest, HttpResponse, post, test};
use propusk::api::extract::{
    IdempotencyKey, IfMatch, IfNoneMatch, Json, Path, Query, fingerprint, versioned,
};
use propusk::api::gateway::gateway;
use propusk::api::openapi;
use propusk::api::page::{Page, PageQuery};
use propusk::app::App;
use propusk::auth::access::{Applicant, Caller};
use propusk::error::{Error, Result};
use serde_json::{Value, json};
use uuid::Uuid;
use validator::Validate;

use crate::support::app::{MIGRANT, OFFICER, Reply, TestApp};

const ALWAYS: [(&str, Option<&str>); 7] = [
    ("x-request-id", None),
    ("api-version", Some(openapi::VERSION)),
    ("x-content-type-options", Some("nosniff")),
    ("strict-transport-security", Some("max-age=31536000; includeSubDomains")),
    ("referrer-policy", Some("no-referrer")),
    ("content-security-policy", None),
    ("cache-control", None),
];

#[track_caller]
fn dressed(reply: &Reply) {
    for (name, value) in ALWAYS {
        let found = reply.header(name);
        assert!(found.is_some() && (value.is_none() || found == value), "{name}: {reply:?}");
    }
    assert_eq!(reply.header("server"), None);
}

#[actix_web::test]
async fn every_answer_is_dressed_also_failures() {
    let app = TestApp::spawn().await;
    dressed(&app.get("/health/live").send().await.expect(200));
    dressed(&app.get("/nowhere").send().await.expect(404));
    dressed(&app.get("/v1/session").send().await.expect(405));
    dressed(&app.delete("/v1/session").send().await.expect(401));
    dressed(&app.post("/v1/session").text("{").send().await.expect(400));
    dressed(&app.request(Method::OPTIONS, "/v1/session").send().await.expect(204));
}

#[actix_web::test]
async fn the_service_is_alive_ready_and_started() {
    let app = TestApp::spawn().await;
    for path in ["/health/live", "/health/ready", "/health/start"] {
        assert_eq!(app.get(path).send().await.expect(200).json(), json!({ "status": "up" }));
    }
}

#[actix_web::test]
async fn it_is_not_ready_without_its_migrations() {
    let app = TestApp::spawn().await;
    app.sql().await.batch_execute("DELETE FROM __diesel_schema_migrations").await.unwrap();
    let reply = app.get("/health/ready").send().await.expect(503);
    reply.problem("unavailable");
    assert_eq!(reply.header("retry-after"), Some("5"));
    app.get("/health/live").send().await.expect(200);
}

#[actix_web::test]
async fn a_failure_of_ours_shows_nothing_of_itself() {
    let app = TestApp::spawn().await;
    app.sql().await.batch_execute("DROP TABLE __diesel_schema_migrations").await.unwrap();
    let problem = app.get("/health/ready").send().await.expect(500).problem("internal");
    let mut names: Vec<&str> = problem.as_object().unwrap().keys().map(String::as_str).collect();
    names.sort_unstable();
    assert_eq!(names, ["instance", "status", "title", "type"]);
}

#[actix_web::test]
async fn a_request_keeps_its_trace_or_its_id_or_gets_one() {
    let app = TestApp::spawn().await;
    let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let id = async |name: &str, value: &str| {
        let reply = app.get("/nowhere").header(name, value).send().await;
        let id = reply.header("x-request-id").unwrap().to_owned();
        assert_eq!(reply.problem("not-found")["instance"], format!("/requests/{id}"));
        id
    };
    assert_eq!(id("traceparent", trace).await, "4bf92f3577b34da6a3ce929d0e0e4736");
    assert_eq!(id("x-request-id", "client-17").await, "client-17");
    assert!(Uuid::parse_str(&id("x-request-id", "a b<script>").await).is_ok());
    let zero = "00-00000000000000000000000000000000-00f067aa0ba902b7-01";
    assert!(Uuid::parse_str(&id("traceparent", zero).await).is_ok());
}

#[actix_web::test]
async fn a_wrong_method_is_told_the_right_ones() {
    let app = TestApp::spawn().await;
    let reply = app.request(Method::PATCH, "/v1/session").send().await.expect(405);
    reply.problem("method-not-allowed");
    assert_eq!(reply.header("allow"), Some("POST, DELETE, OPTIONS"));
    let reply = app.post("/health/live").send().await.expect(405);
    assert_eq!(reply.header("allow"), Some("GET, HEAD, OPTIONS"));
    let reply = app.request(Method::OPTIONS, "/health/live").send().await.expect(204);
    assert_eq!(reply.header("allow"), Some("GET, HEAD, OPTIONS"));
}

#[actix_web::test]
async fn what_the_gateway_refuses_says_what_to_do() {
    let app = TestApp::spawn().await;
    let detail =
        |reply: crate::support::app::Reply| reply.json()["detail"].as_str().unwrap().to_owned();
    let reply = app.delete("/v1/session").send().await.expect(401);
    assert!(detail(reply).contains("POST /v1/session gives one"));
    let reply = app.request(Method::PATCH, "/v1/session").send().await.expect(405);
    assert_eq!(detail(reply), "Use one of: POST, DELETE, OPTIONS.");
    let reply = app.get("/health/live").header("accept", "text/html").send().await.expect(406);
    assert_eq!(detail(reply), "Accept one of: application/json.");
}

#[actix_web::test]
async fn head_is_answered_where_get_is_without_a_body() {
    let app = TestApp::spawn().await;
    for path in ["/health/live", "/v1/openapi.json", "/.well-known/jwks.json"] {
        let get = app.get(path).send().await.expect(200);
        let head = app.request(Method::HEAD, path).send().await.expect(200);
        assert!(head.body.is_empty() && !get.body.is_empty());
        assert_eq!(head.header("content-type"), get.header("content-type"));
    }
    app.request(Method::HEAD, "/nowhere").send().await.expect(404);
    app.request(Method::HEAD, "/v1/session").send().await.expect(405);
}

#[actix_web::test]
async fn only_what_is_on_offer_can_be_accepted() {
    let app = TestApp::spawn().await;
    let with =
        async |accept: &str| app.get("/health/live").header("accept", accept).send().await.status;
    for accept in ["*/*", "application/*", "text/html, application/json;q=0.1", "APPLICATION/JSON"]
    {
        assert_eq!(with(accept).await, 200, "{accept}");
    }
    for accept in ["text/html", "application/xml, image/*", "application/json;q=0"] {
        assert_eq!(with(accept).await, 406, "{accept}");
    }
}

#[actix_web::test]
async fn the_metrics_count_operations() {
    let app = TestApp::spawn().await;
    app.get("/health/live").send().await;
    app.get("/nowhere").send().await;
    let text = app.get("/metrics").send().await.expect(200).text();
    for line in [
        r#"propusk_http_requests_total{operation="show_liveness",status="200"} 1"#,
        r#"propusk_http_requests_total{operation="none",status="404"} 1"#,
        "propusk_database_statements ",
        "propusk_database_connections_in_use 0",
    ] {
        assert!(text.contains(line), "{line}\n{text}");
    }
}

#[actix_web::test]
async fn the_documentation_comes_from_the_binary() {
    let app = TestApp::spawn().await;
    let moved = app.get("/docs").send().await.expect(308);
    assert_eq!(moved.header("location"), Some("/docs/"));
    let page = app.get("/docs/").send().await.expect(200);
    assert!(page.header("content-security-policy").unwrap().contains("default-src 'self'"));
    assert!(!page.text().contains("http://") && !page.text().contains("https://"));
    let start = app.get("/docs/swagger-initializer.js").send().await.expect(200);
    assert!(start.text().contains("/v1/openapi.json"));
    app.get("/docs/no-such-file").send().await.expect(404).problem("not-found");
}

#[actix_web::test]
async fn pages_of_allowed_origins_may_call() {
    let portal = "https://portal.example";
    let app = TestApp::spawn_with(|config| config.cors_origins = vec![portal.to_owned()]).await;
    let from = async |method: Method, origin: &str| {
        app.request(method, "/health/live").header("origin", origin).send().await
    };
    let reply = from(Method::GET, portal).await;
    assert_eq!(reply.header("access-control-allow-origin"), Some(portal));
    let exposed = reply.header("access-control-expose-headers").unwrap();
    assert!(exposed.contains("Idempotency-Replayed") && exposed.contains("ETag"));
    let reply = from(Method::OPTIONS, portal).await.expect(204);
    let allowed = reply.header("access-control-allow-headers").unwrap();
    assert!(allowed.contains("If-Match") && allowed.contains("Access-Purpose"), "{allowed}");
    let reply = from(Method::GET, "https://evil.example").await;
    assert_eq!(reply.header("access-control-allow-origin"), None);
    assert_eq!(reply.header("vary"), Some("Origin"));
}

// ── Extractors, on handlers that exist only here ──────────────────────────────────────────────────────────

#[derive(serde::Deserialize, Validate)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Wish {
    #[validate(length(min = 2, max = 5))]
    first_word: String,
    amount: i32,
}

#[derive(serde::Deserialize, Validate)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Narrow {
    size: Option<u8>,
}

/// The body stands before the caller on purpose: the order must not matter.
#[expect(clippy::too_many_arguments, reason = "every extractor in one handler")]
#[post("/test/wishes/{id}")]
async fn wish(
    Json(wish): Json<Wish>,
    Path(id): Path<Uuid>,
    Query(narrow): Query<Narrow>,
    Query(page): Query<PageQuery>,
    if_match: IfMatch,
    key: IdempotencyKey,
    caller: Caller<Applicant>,
    request: HttpRequest,
) -> HttpResponse {
    HttpResponse::Ok().json(json!({
        "word": wish.first_word, "amount": wish.amount, "id": id, "size": narrow.size,
        "limit": page.limit, "version": if_match.0, "key": key.0, "account": caller.account(),
        "fingerprint": fingerprint(&request)[0],
    }))
}

#[actix_web::get("/test/list")]
async fn list(
    app: App,
    request: HttpRequest,
    Query(page): Query<PageQuery>,
) -> Result<HttpResponse> {
    let after: Option<u32> = page.after(&app.tokens, "test")?;
    let rows: Vec<u32> =
        (after.unwrap_or(0) + 1..=5).take(usize::try_from(page.fetch()).unwrap()).collect();
    let page = Page::new(&request, &page, &app.tokens, "test", rows, |row| *row)?;
    let mut response = HttpResponse::Ok();
    if let Some(link) = page.link {
        response.insert_header(("link", link));
    }
    Ok(response.json(json!({ "items": page.items })))
}

#[actix_web::get("/test/thing")]
async fn thing(if_none_match: IfNoneMatch) -> HttpResponse {
    versioned(&json!({ "a": 1 }), 3, &if_none_match)
}

#[actix_web::get("/test/broken")]
async fn broken() -> Result<HttpResponse> {
    Err(Error::internal("the secret context", std::io::Error::other("the secret cause")))
}

struct Sent {
    status: u16,
    body: Value,
    link: Option<String>,
}

/// Sends a request to the handlers of this file behind the real gateway.
async fn send(app: &TestApp, request: test::TestRequest) -> Sent {
    let service = actix_web::App::new()
        .app_data(app.app.clone())
        .service(wish)
        .service(list)
        .service(thing)
        .service(broken)
        .wrap(from_fn(gateway));
    let service = test::init_service(service).await;
    let response = test::call_service(&service, request.to_request()).await;
    let status = response.status().as_u16();
    let link = response.headers().get("link").map(|link| link.to_str().unwrap().to_owned());
    let body = test::read_body(response).await;
    Sent { status, body: serde_json::from_slice(&body).unwrap_or_default(), link }
}

fn good(app: &TestApp, path: &str, body: &str) -> test::TestRequest {
    test::TestRequest::post()
        .uri(path)
        .insert_header(("authorization", format!("Bearer {}", app.token(MIGRANT))))
        .insert_header(("content-type", "application/json"))
        .insert_header(("if-match", "\"v12\""))
        .insert_header(("idempotency-key", "\"k-1\""))
        .set_payload(body.to_owned())
}

const ID: &str = "0199a5d2-7c1e-7000-8000-2f6d1c0b9a31";
const GOOD: &str = r#"{"firstWord":"abc","amount":7}"#;

fn pointers(sent: &Sent) -> Vec<String> {
    let errors = sent.body["errors"].as_array().cloned().unwrap_or_default();
    let text = |error: &Value| {
        format!("{} {}", error["pointer"].as_str().unwrap(), error["code"].as_str().unwrap())
    };
    let mut found: Vec<String> = errors.iter().map(text).collect();
    found.sort();
    found
}

#[actix_web::test]
async fn a_request_that_fits_reaches_its_handler() {
    let app = TestApp::spawn().await;
    let path = format!("/test/wishes/{ID}?size=3&limit=5");
    let sent = send(&app, good(&app, &path, GOOD)).await;
    assert_eq!(sent.status, 200, "{}", sent.body);
    let (body, print) = (sent.body.clone(), sent.body["fingerprint"].clone());
    assert_eq!(
        body,
        json!({ "word": "abc", "amount": 7, "id": ID, "size": 3, "limit": 5, "version": 12,
                "key": "k-1", "account": MIGRANT.id(), "fingerprint": print })
    );
}

#[actix_web::test]
async fn a_missing_token_and_a_wrong_role_answer_before_everything_else() {
    let app = TestApp::spawn().await;
    let bad = || test::TestRequest::post().uri("/test/wishes/no-uuid?size=x").set_payload("{");
    assert_eq!(send(&app, bad()).await.status, 401);
    let officer = ("authorization", format!("Bearer {}", app.token(OFFICER)));
    assert_eq!(send(&app, bad().insert_header(officer)).await.status, 403);
}

#[actix_web::test]
async fn a_path_that_does_not_parse_names_nothing() {
    let app = TestApp::spawn().await;
    for id in ["7", "0199a5d2", "%00", "%FF"] {
        let sent = send(&app, good(&app, &format!("/test/wishes/{id}"), GOOD)).await;
        assert_eq!(sent.status, 404, "{id}");
    }
}

#[actix_web::test]
async fn every_parameter_that_does_not_fit_is_named() {
    let app = TestApp::spawn().await;
    let sent = send(&app, good(&app, &format!("/test/wishes/{ID}?size=300&sort=a"), GOOD)).await;
    assert_eq!(
        (sent.status, pointers(&sent)),
        (400, vec!["size wrong-type".to_owned(), "sort unknown-member".to_owned()])
    );
    let sent = send(&app, good(&app, &format!("/test/wishes/{ID}?limit=0"), GOOD)).await;
    assert_eq!((sent.status, pointers(&sent)), (400, vec!["limit range".to_owned()]));
    let sent = send(&app, good(&app, &format!("/test/wishes/{ID}?size=1&size=2"), GOOD)).await;
    assert_eq!((sent.status, pointers(&sent)), (400, vec!["size duplicate-parameter".to_owned()]));
}

#[actix_web::test]
async fn header_fields_that_a_change_needs_are_demanded() {
    let app = TestApp::spawn().await;
    let path = format!("/test/wishes/{ID}");
    let with = async |name: &'static str, value: Option<&str>| {
        let mut request = test::TestRequest::post()
            .uri(&path)
            .insert_header(("authorization", format!("Bearer {}", app.token(MIGRANT))))
            .insert_header(("content-type", "application/json"))
            .set_payload(GOOD);
        for (own, usual) in [("if-match", "\"v12\""), ("idempotency-key", "k")] {
            match (own == name, value) {
                (false, _) => request = request.insert_header((own, usual)),
                (true, Some(value)) => request = request.insert_header((own, value)),
                (true, None) => {}
            }
        }
        let sent = send(&app, request).await;
        (sent.status, pointers(&sent).join(","))
    };
    let plain = |status: u16| (status, String::new());
    assert_eq!(with("if-match", None).await, plain(428));
    assert_eq!(with("if-match", Some("\"v1x\"")).await, plain(412));
    assert_eq!(with("if-match", Some("W/\"v12\"")).await, plain(412));
    for malformed in ["*", "v12", "\"v1\", \"v2\"", "12"] {
        let expected = (400, "If-Match malformed".to_owned());
        assert_eq!(with("if-match", Some(malformed)).await, expected, "{malformed}");
    }
    let expected = (400, "Idempotency-Key required".to_owned());
    assert_eq!(with("idempotency-key", None).await, expected);
    for malformed in ["", "a b", "\"\"", &"x".repeat(256)] {
        let expected = (400, "Idempotency-Key malformed".to_owned());
        assert_eq!(with("idempotency-key", Some(malformed)).await, expected, "{malformed}");
    }
}

#[actix_web::test]
async fn what_the_caller_has_is_not_sent_again() {
    let app = TestApp::spawn().await;
    for (tags, status) in
        [("\"v3\"", 304), ("\"v1\", W/\"v3\"", 304), ("*", 304), ("\"v2\"", 200), ("v3", 200)]
    {
        let request =
            test::TestRequest::get().uri("/test/thing").insert_header(("if-none-match", tags));
        assert_eq!(send(&app, request).await.status, status, "{tags}");
    }
}

#[actix_web::test]
async fn pages_follow_their_links_and_forged_cursors_are_refused() {
    let app = TestApp::spawn().await;
    let mut target = "/test/list?limit=2&x=%3E".to_owned();
    let mut seen = Vec::new();
    loop {
        let sent = send(&app, test::TestRequest::get().uri(&target)).await;
        assert_eq!(sent.status, 200, "{target}");
        seen.push(sent.body["items"].clone());
        let Some(link) = sent.link else { break };
        target =
            link.strip_prefix('<').unwrap().strip_suffix(">; rel=\"next\"").unwrap().to_owned();
        assert!(target.starts_with("/test/list?x=%3E&limit=2&cursor="), "{target}");
    }
    assert_eq!(seen, [json!([1, 2]), json!([3, 4]), json!([5])]);
    let cursor = target.split("cursor=").nth(1).unwrap();
    let turned: String = cursor.chars().rev().collect();
    for forged in ["Mg", &turned, &cursor[1..], "%00", "no cursor"] {
        let uri = format!("/test/list?cursor={}", forged.replace(' ', "+"));
        let sent = send(&app, test::TestRequest::get().uri(&uri)).await;
        assert_eq!(sent.status, 400, "{forged}");
    }
}

#[actix_web::test]
async fn the_causes_of_our_failures_stay_in_the_log() {
    let app = TestApp::spawn().await;
    let sent = send(&app, test::TestRequest::get().uri("/test/broken")).await;
    assert_eq!(sent.status, 500);
    assert!(!sent.body.to_string().contains("secret"), "{}", sent.body);
}

// ── On a socket ───────────────────────────────────────────────────────────────────────────────────────────

/// Sends bytes to the served application and gives all that comes back.
async fn exchange(address: std::net::SocketAddr, request: String) -> String {
    actix_web::rt::task::spawn_blocking(move || {
        use std::io::{Read as _, Write as _};
        let mut stream = std::net::TcpStream::connect(address).unwrap();
        // The server may answer and close before it has read everything.
        let _ = stream.write_all(request.as_bytes());
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        String::from_utf8_lossy(&answer).into_owned()
    })
    .await
    .unwrap()
}

#[actix_web::test]
async fn what_is_served_on_a_socket_keeps_its_word() {
    let app = TestApp::spawn().await;
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let server = propusk::app::serve(app.app.clone(), listener, 1).unwrap();
    let handle = server.handle();
    actix_web::rt::spawn(server);

    let head = "HEAD /health/live HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    let answer = exchange(address, head.to_owned()).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(answer.contains("content-length: 15\r\n"), "{answer}");
    assert!(answer.ends_with("\r\n\r\n"), "{answer}");

    let announced = "POST /v1/session HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n\
                     Content-Length: 10000000\r\nConnection: close\r\n\r\n{";
    let answer = exchange(address, announced.to_owned()).await;
    assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
    handle.stop(false).await;
}
