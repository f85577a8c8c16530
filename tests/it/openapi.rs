//! The document is whole: what a client generator and a reader need stands at every operation.

use std::collections::BTreeSet;

use propusk::api::openapi;
use serde_json::Value;

use crate::support::app::TestApp;

fn operations() -> Vec<(String, &'static Value)> {
    let paths = openapi::document()["paths"].as_object().unwrap();
    let mut all = Vec::new();
    for (path, item) in paths {
        for (method, operation) in item.as_object().unwrap() {
            all.push((format!("{method} {path}"), operation));
        }
    }
    all
}

fn resolve(value: &'static Value) -> &'static Value {
    match value["$ref"].as_str() {
        Some(path) => openapi::document().pointer(&path[1..]).unwrap_or_else(|| panic!("{path}")),
        None => value,
    }
}

#[actix_web::test]
async fn it_is_served_as_it_is_printed() {
    let app = TestApp::spawn().await;
    let reply = app.get("/v1/openapi.json").send().await.expect(200);
    assert_eq!(reply.text(), openapi::text());
    assert_eq!(reply.header("content-type"), Some("application/json"));
    assert!(openapi::text().ends_with("}\n"));
    assert_eq!(reply.json()["openapi"], "3.1.0");
}

#[test]
fn operation_ids_are_unique_handler_names() {
    let mut seen = BTreeSet::new();
    for (name, operation) in operations() {
        let id = operation["operationId"].as_str().unwrap_or_else(|| panic!("{name} has no id"));
        assert!(id.contains('_') && id == id.to_lowercase(), "{name}: {id} is no verb_noun");
        assert!(seen.insert(id), "{id} stands twice");
    }
}

#[test]
fn operations_have_a_summary_a_tag_and_their_security() {
    let document = openapi::document();
    let tags: Vec<&str> = document["tags"]
        .as_array()
        .unwrap()
        .iter()
        .map(|tag| tag["name"].as_str().unwrap())
        .collect();
    for (name, operation) in operations() {
        assert!(operation["summary"].as_str().is_some_and(|text| !text.is_empty()), "{name}");
        let own = operation["tags"].as_array().unwrap_or_else(|| panic!("{name} has no tag"));
        assert!(own.len() == 1 && tags.contains(&own[0].as_str().unwrap()), "{name}: {own:?}");
        assert!(operation["security"].is_array(), "{name}");
    }
}

#[test]
fn every_response_has_a_description_and_every_problem_an_example() {
    for (name, operation) in operations() {
        let responses = operation["responses"].as_object().unwrap();
        assert!(responses.keys().any(|status| status.starts_with(['2', '3'])), "{name}");
        for (status, response) in responses {
            let response = resolve(response);
            assert!(
                response["description"].as_str().is_some_and(|text| !text.is_empty()),
                "{name} {status}"
            );
            assert!(response["headers"]["X-Request-Id"].is_object(), "{name} {status}");
            for (media_type, media) in response["content"].as_object().into_iter().flatten() {
                assert!(media.get("schema").is_some(), "{name} {status} {media_type}");
                assert!(
                    media.get("example").or(media.get("examples")).is_some(),
                    "{name} {status}"
                );
            }
            if status.starts_with(['4', '5']) {
                assert!(
                    response["content"]["application/problem+json"].is_object(),
                    "{name} {status}"
                );
            }
        }
        for status in ["500", "503"] {
            assert!(responses.contains_key(status), "{name} lacks {status}");
        }
        if operation.get("requestBody").is_some() {
            for status in ["400", "413", "415"] {
                assert!(responses.contains_key(status), "{name} lacks {status}");
            }
        }
    }
}

#[test]
fn requests_take_no_unknown_members_and_have_examples() {
    for (name, operation) in operations() {
        let content = operation["requestBody"]["content"].as_object();
        for (media_type, media) in content.into_iter().flatten() {
            let schema = resolve(&media["schema"]);
            if media_type != "application/json" {
                continue;
            }
            assert!(media["example"].is_object(), "{name}");
            if schema.get("properties").is_some() {
                assert_eq!(schema["additionalProperties"], false, "{name}");
            }
        }
        for parameter in operation["parameters"].as_array().into_iter().flatten() {
            assert!(
                parameter["description"].is_string() && parameter["schema"].is_object(),
                "{name}"
            );
        }
    }
}

#[test]
fn every_reference_leads_somewhere() {
    fn walk(value: &'static Value) {
        match value {
            Value::Object(object) => {
                if object.get("$ref").is_some_and(Value::is_string) {
                    resolve(value);
                }
                object.values().for_each(walk);
            }
            Value::Array(array) => array.iter().for_each(walk),
            _ => {}
        }
    }
    walk(openapi::document());
}

#[test]
fn the_checked_in_document_is_the_one_that_is_served() {
    let checked_in = include_str!("../../openapi/openapi.json");
    assert!(
        checked_in == openapi::text(),
        "the document has changed; if that is wanted: cargo run -- openapi > openapi/openapi.json"
    );
}
