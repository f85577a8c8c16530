//! What does not fit gets a clear problem, and nothing is written.

use serde_json::json;

use crate::support::app::{MIGRANT, Reply, SENIOR, TestApp};

async fn post(app: &TestApp, body: &str) -> Reply {
    app.post("/v1/session").text(body).send().await
}

#[actix_web::test]
async fn every_member_that_does_not_fit_is_named_at_once() {
    let app = TestApp::spawn().await;
    let errors = post(&app, r#"{"email":"a","pasword":"x","more":1}"#).await.expect(400).errors();
    assert_eq!(
        errors,
        ["/email length", "/more unknown-member", "/password required", "/pasword unknown-member"]
    );
    let errors = post(&app, r#"{"email":7,"password":["x"]}"#).await.expect(400).errors();
    assert_eq!(errors, ["/email wrong-type", "/password wrong-type"]);
    let errors = post(&app, "{}").await.expect(400).errors();
    assert_eq!(errors, ["/email required", "/password required"]);
}

#[actix_web::test]
async fn an_array_is_no_object_and_neither_is_a_string() {
    let app = TestApp::spawn().await;
    for body in [r#"["a@example.org","x"]"#, r#""x""#, "null", "[]", "7"] {
        assert_eq!(post(&app, body).await.expect(400).errors(), [" wrong-type"], "{body}");
    }
}

#[actix_web::test]
async fn a_nul_character_is_found_before_the_database_sees_it() {
    let app = TestApp::spawn().await;
    let errors = post(&app, r#"{"email":"a\u0000b@example.org","password":"\u0000"}"#).await;
    assert_eq!(errors.expect(400).errors(), ["/email nul-character", "/password nul-character"]);
}

#[actix_web::test]
async fn spaces_alone_are_no_text() {
    let app = TestApp::spawn().await;
    let errors = post(&app, r#"{"email":" \t","password":"\u00a0"}"#).await;
    assert_eq!(errors.expect(400).errors(), ["/email blank", "/password blank"]);
    let case = app.checking(MIGRANT).await;
    let blank = json!({ "command": "extendClock", "workingDays": 5, "reason": " ", "basis": "  " });
    let reply = app.command(SENIOR, &case.id, blank).await.expect(400);
    assert_eq!(reply.errors(), ["/basis blank", "/reason blank"]);
    let path = case.path("/claim?reason=%20");
    let ended = app.delete(&path).by(SENIOR).if_match(app.version(&case.id).await);
    assert_eq!(ended.send().await.expect(400).errors(), ["reason blank"]);
}

#[actix_web::test]
async fn a_member_stands_once() {
    let app = TestApp::spawn().await;
    let errors = post(&app, r#"{"email":"a@b.c","email":"d@e.f","password":"x"}"#).await;
    assert_eq!(errors.expect(400).errors(), ["/email duplicate-member"]);
}

#[actix_web::test]
async fn text_that_is_no_json_says_where_it_ends() {
    let app = TestApp::spawn().await;
    for body in ["", "{", "{\"email\":}", "{} {}", "\u{0}"] {
        let reply = post(&app, body).await.expect(400);
        assert_eq!(reply.errors(), [" malformed-json"], "{body:?}");
        assert!(!reply.text().contains("expected"), "no library's words: {}", reply.text());
    }
    let reply = app.post("/v1/session").body("application/json", vec![b'"', 0xff, b'"']);
    reply.send().await.expect(400);
}

#[actix_web::test]
async fn deep_nesting_is_refused() {
    let app = TestApp::spawn().await;
    let body = format!("{{\"email\":{}{}}}", "[".repeat(50_000), "]".repeat(50_000));
    assert_eq!(post(&app, &body).await.expect(400).errors(), [" too-deep"]);
}

#[actix_web::test]
async fn a_body_of_ten_megabytes_is_too_large() {
    let app = TestApp::spawn().await;
    let body = format!("{{\"email\":\"{}\"}}", "a".repeat(10_000_000));
    let problem = post(&app, &body).await.expect(413).problem("payload-too-large");
    assert_eq!(problem["limitBytes"], 262_144);
}

#[actix_web::test]
async fn only_json_is_read() {
    let app = TestApp::spawn().await;
    let body = json!({ "email": "a@example.org", "password": "x" }).to_string();
    for media_type in ["text/plain", "application/x-www-form-urlencoded", "application/jsonp", ""] {
        let reply = app.post("/v1/session").body(media_type, body.clone()).send().await;
        reply.expect(415).problem("unsupported-media-type");
    }
    let latin = "application/json; charset=iso-8859-1";
    app.post("/v1/session").body(latin, body.clone()).send().await.expect(415);
    let packed = app.post("/v1/session").text(&body).header("content-encoding", "gzip");
    packed.send().await.expect(415);
    let spelt = "Application/JSON; charset=\"UTF-8\"";
    app.post("/v1/session").body(spelt, body).send().await.expect(401);
}
