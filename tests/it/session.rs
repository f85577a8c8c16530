//! Logging in, going on, logging out, and what is no token.

use std::num::NonZeroU32;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::TimeDelta;
use propusk::auth::{NewUser, add_user};
use propusk::domain::actor::Role;
use propusk::error::ErrorCode;
use serde_json::{Value, json};

use crate::support::app::{ADMINISTRATOR, MIGRANT, OFFICER, PASSWORD, Person, Reply, TestApp};

async fn log_in(app: &TestApp, person: Person, password: &str) -> Reply {
    let body = json!({ "email": person.email().to_uppercase(), "password": password });
    app.post("/v1/session").json(body).send().await
}

async fn refresh(app: &TestApp, token: &Value) -> Reply {
    app.post("/v1/session/refresh").json(json!({ "refreshToken": token })).send().await
}

async fn kinds(app: &TestApp) -> Vec<String> {
    let rows = app.sql().await;
    let sessions = "SELECT kind FROM events WHERE actor_id IS NOT NULL ORDER BY xact";
    let rows = rows.query(sessions, &[]).await.unwrap();
    rows.iter().map(|row| row.get(0)).collect()
}

#[actix_web::test]
async fn a_log_in_gives_tokens_that_work() {
    let app = TestApp::spawn().await;
    let reply = log_in(&app, OFFICER, PASSWORD).await.expect(200);
    assert_eq!(reply.header("cache-control"), Some("no-store"));
    let session = reply.json();
    assert_eq!(session["tokenType"], "Bearer");
    assert_eq!(session["expiresIn"], 600);
    let account = json!({ "id": OFFICER.id(), "name": "officer", "role": "officer", "unit": "77" });
    assert_eq!(session["account"], account);
    let token = session["accessToken"].as_str().unwrap();
    app.delete("/v1/session").bearer(token).send().await.expect(204);
    assert_eq!(kinds(&app).await, ["sessionOpened", "sessionEnded"]);
    refresh(&app, &session["refreshToken"]).await.expect(401).problem("unauthenticated");
}

#[actix_web::test]
async fn a_wrong_password_and_an_unknown_account_look_alike() {
    let app = TestApp::spawn().await;
    let wrong = log_in(&app, MIGRANT, "not the password").await.expect(401);
    let unknown = app
        .post("/v1/session")
        .json(json!({ "email": "nobody@example.org", "password": PASSWORD }))
        .send()
        .await
        .expect(401);
    let strip = |reply: &Reply| {
        let mut problem = reply.problem("unauthenticated");
        problem.as_object_mut().unwrap().remove("instance");
        problem
    };
    assert_eq!(strip(&wrong), strip(&unknown));
    assert_eq!(wrong.header("www-authenticate"), Some("Bearer"));
    app.sql().await.batch_execute("UPDATE accounts SET disabled_at = now()").await.unwrap();
    assert_eq!(strip(&log_in(&app, MIGRANT, PASSWORD).await.expect(401)), strip(&wrong));
    assert!(kinds(&app).await.is_empty());
}

#[actix_web::test]
async fn refresh_tokens_rotate_and_a_second_use_ends_the_session() {
    let app = TestApp::spawn().await;
    let first = log_in(&app, MIGRANT, PASSWORD).await.expect(200).json();
    let second = refresh(&app, &first["refreshToken"]).await.expect(200).json();
    assert_ne!(first["refreshToken"], second["refreshToken"]);
    let third = refresh(&app, &second["refreshToken"]).await.expect(200).json();
    refresh(&app, &first["refreshToken"]).await.expect(401);
    refresh(&app, &third["refreshToken"]).await.expect(401);
    assert_eq!(kinds(&app).await, ["sessionOpened", "refreshTokenReused"]);
    refresh(&app, &json!("x".repeat(43))).await.expect(401);
}

#[actix_web::test]
async fn of_two_simultaneous_refreshes_one_goes_on() {
    let app = TestApp::spawn().await;
    let session = log_in(&app, MIGRANT, PASSWORD).await.expect(200).json();
    let token = &session["refreshToken"];
    let (a, b) = futures_util::future::join(refresh(&app, token), refresh(&app, token)).await;
    let mut statuses = [a.status, b.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 401]);
}

#[actix_web::test]
async fn a_session_ends_after_two_weeks() {
    let app = TestApp::spawn().await;
    let session = log_in(&app, MIGRANT, PASSWORD).await.expect(200).json();
    app.advance(TimeDelta::days(14));
    refresh(&app, &session["refreshToken"]).await.expect(401);
}

#[actix_web::test]
async fn log_ins_are_counted_by_address_and_by_account() {
    let app = TestApp::spawn_with(|config| {
        config.login_attempts_per_minute = NonZeroU32::new(3).unwrap();
    })
    .await;
    let attempt = async |email: &str, address: [u8; 4]| {
        let body = json!({ "email": email, "password": "x" });
        app.post("/v1/session").from(address).json(body).send().await
    };
    for n in 0..3 {
        let reply = attempt(&format!("a{n}@example.org"), [192, 0, 2, 1]).await.expect(401);
        assert_eq!(reply.header("ratelimit-policy"), Some("\"account\";q=3;w=60"));
    }
    let reply = attempt("a9@example.org", [192, 0, 2, 1]).await.expect(429);
    reply.problem("too-many-requests");
    assert_eq!(reply.header("retry-after"), Some("20"));
    assert_eq!(reply.header("ratelimit"), Some("\"logins\";r=0;t=20"));
    for n in 0..3 {
        attempt("victim@example.org", [192, 0, 2, 10 + n]).await.expect(401);
    }
    attempt("VICTIM@example.org", [192, 0, 2, 99]).await.expect(429);
    app.advance(TimeDelta::seconds(20));
    attempt("a9@example.org", [192, 0, 2, 1]).await.expect(401);
}

#[actix_web::test]
async fn only_trusted_proxies_say_who_calls() {
    let app = TestApp::spawn_with(|config| {
        config.login_attempts_per_minute = NonZeroU32::new(1).unwrap();
        config.trusted_proxies = vec![propusk::config::values::network("10.0.0.0/8").unwrap()];
    })
    .await;
    let attempt = async |n: u8, peer: [u8; 4], forwarded: &str| {
        let body = json!({ "email": format!("a{n}@example.org"), "password": "x" });
        let call = app.post("/v1/session").from(peer).header("x-forwarded-for", forwarded);
        call.json(body).send().await.status
    };
    assert_eq!(attempt(1, [10, 0, 0, 1], "203.0.113.5, 10.0.0.2").await, 401);
    assert_eq!(attempt(2, [10, 0, 0, 1], "203.0.113.5").await, 429);
    assert_eq!(attempt(3, [10, 0, 0, 1], "203.0.113.5, 203.0.113.6").await, 401);
    assert_eq!(attempt(4, [192, 0, 2, 1], "203.0.113.7").await, 401);
    assert_eq!(attempt(5, [192, 0, 2, 1], "203.0.113.8").await, 429);
}

#[actix_web::test]
async fn what_is_no_valid_token_is_refused_everywhere() {
    let app = TestApp::spawn().await;
    let good = app.token(MIGRANT);
    let parts: Vec<&str> = good.split('.').collect();
    let part = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let claims: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(parts[1]).unwrap()).unwrap();
    let mut promoted = claims.clone();
    promoted["role"] = json!("administrator");
    let none = part(json!({ "alg": "none", "typ": "JWT" }));
    let symmetric = part(json!({ "alg": "HS256", "typ": "JWT" }));
    let forged = [
        format!("{none}.{}.", parts[1]),
        format!("{none}.{}.{}", parts[1], parts[2]),
        format!("{symmetric}.{}.{}", parts[1], parts[2]),
        format!("{}.{}.{}", parts[0], part(promoted), parts[2]),
        format!("{}.{}.", parts[0], parts[1]),
        "garbage".to_owned(),
        String::new(),
    ];
    for token in forged {
        for path in ["/health/live", "/v1/session", "/nowhere"] {
            let reply = app.delete(path).bearer(&token).send().await.expect(401);
            reply.problem("unauthenticated");
        }
    }
    app.get("/health/live").header("authorization", "Basic dTpw").send().await.expect(401);
    app.get("/health/live").bearer(&good).send().await.expect(200);
    app.advance(TimeDelta::minutes(10));
    app.get("/health/live").bearer(&good).send().await.expect(401);
}

#[actix_web::test]
async fn a_token_of_another_key_is_refused() {
    let app = TestApp::spawn().await;
    let other = "-----BEGIN PRIVATE KEY-----\n\
        MC4CAQAwBQYDK2VwBCIEIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f\n\
        -----END PRIVATE KEY-----\n";
    let tokens = propusk::auth::tokens::Tokens::new(other, &app.app.public_url).unwrap();
    let token = tokens.issue(&ADMINISTRATOR.identity(), &*app.clock).unwrap();
    app.delete("/v1/session").bearer(&token).send().await.expect(401);
}

#[actix_web::test]
async fn a_user_is_added_with_all_mistakes_named() {
    let app = TestApp::spawn().await;
    let user = |email: &str, role, unit: Option<&str>, password: &str| NewUser {
        email: email.to_owned(),
        name: "New".to_owned(),
        role,
        unit: unit.map(str::to_owned),
        password: password.to_owned(),
    };
    let add = async |user: NewUser| {
        add_user(&app.app.db, &*app.clock, &app.app.passwords, user, None).await
    };
    add(user("New@example.org", Role::Officer, Some("78"), PASSWORD)).await.unwrap();
    let body = json!({ "email": "new@example.org", "password": PASSWORD });
    app.post("/v1/session").json(body).send().await.expect(200);

    let taken = add(user("NEW@example.org", Role::Migrant, None, PASSWORD)).await.unwrap_err();
    assert_eq!(taken.code(), ErrorCode::RuleRefused);
    let nowhere = add(user("b@example.org", Role::Officer, Some("99"), PASSWORD)).await;
    assert_eq!(nowhere.unwrap_err().code(), ErrorCode::RuleRefused);
    let wrong = add(user("no address", Role::Migrant, Some("77"), "short")).await.unwrap_err();
    let propusk::error::Error::Refused(refusal) = wrong else { panic!("{wrong}") };
    let pointers: Vec<&str> = refusal.violations.iter().map(|one| one.pointer.as_str()).collect();
    assert_eq!(pointers, ["/email", "/unit", "/password"]);
}
