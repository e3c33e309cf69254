//! The OpenAPI document itself, and the check of answers against it.

use serde_json::Value;

use super::*;

#[test]
fn the_document_is_openapi_3_1_and_describes_every_operation() {
    let document: Value = serde_json::from_str(&openapi_json()).unwrap();
    assert_eq!(document["openapi"], "3.1.0");
    let mut ids = std::collections::HashSet::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let id = operation["operationId"].as_str().unwrap();
            assert!(ids.insert(id), "two operations are named {id}");
            let text = operation["summary"].as_str().unwrap_or_default();
            assert!(text.len() > 5 && text.ends_with('.'), "{method} {path}: {text:?} is no sentence");
            assert!(operation["tags"].as_array().is_some_and(|tags| tags.len() == 1), "{method} {path}: one tag");
            let responses = operation["responses"].as_object().unwrap();
            assert!(responses.keys().any(|status| status.starts_with('2')), "{method} {path}: no success");
            assert!(!path.starts_with("/api") || responses.contains_key("401"), "{method} {path}: 401");
        }
    }
    // Every reference leads somewhere.
    let text = document.to_string();
    for reference in text.split("\"$ref\":\"#").skip(1).map(|rest| rest.split('"').next().unwrap()) {
        assert!(document.pointer(reference).is_some(), "{reference}");
    }
}

#[tokio::test]
async fn the_document_is_served() {
    let (status, body) = ask(&request("GET", "/api/v1/openapi.json", "")).await;
    assert_eq!(status, 200);
    assert_eq!(body, openapi_json());
}

#[test]
fn an_answer_that_is_not_described_is_found() {
    let contract = Contract::new(&openapi_json());
    let check = |method, path, status, content_type, body: &str| {
        contract.check(&Seen { method, path, status, content_type, body: body.as_bytes() })
    };
    let json = "application/json";
    assert_eq!(check("GET", "/healthz", 200, json, r#"{"status":"ok","serving":true}"#), Ok(()));
    for (method, path, status, kind, body) in [
        ("GET", "/healthz", 200, json, r#"{"status":"ok"}"#),
        ("GET", "/healthz", 200, json, r#"{"status":"ok","serving":1}"#),
        ("GET", "/healthz", 200, json, "no"),
        ("GET", "/healthz", 200, "text/html", "<p>"),
        ("GET", "/healthz", 299, json, r#"{"status":"ok","serving":true}"#),
        ("PUT", "/healthz", 200, json, r#"{"status":"ok","serving":true}"#),
        ("GET", "/api/v1/absent", 200, json, "{}"),
        ("GET", "/api/v1/nodes/ff?x=1", 200, json, "{}"),
        ("GET", "/api/v1/nodes/ff", 404, "application/problem+json", r#"{"error":"api-not-found"}"#),
    ] {
        assert!(check(method, path, status, kind, body).is_err(), "{method} {path} {status} {body}");
    }
}

#[test]
fn a_body_is_required_where_an_empty_one_is_refused() {
    let document: Value = serde_json::from_str(&openapi_json()).unwrap();
    for (path, method, required) in [
        ("/api/v1/feedback", "post", true),
        ("/api/v1/nodes", "patch", true),
        ("/api/v1/nodes", "post", false),
        ("/api/v1/probe", "post", false),
        ("/api/v1/connections", "delete", false),
    ] {
        let body = &document["paths"][path][method]["requestBody"];
        assert_eq!(body["required"].as_bool(), Some(required), "{method} {path}: {body}");
    }
}
