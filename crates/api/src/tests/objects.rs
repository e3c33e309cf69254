//! Objects, settings, tokens and the record of changes as a program sees them, and what each scope may do.

use serde_json::{Value, json};

use super::*;

fn as_token(token: &str, method: &str, path: &str, body: &str) -> String {
    request(method, path, body).replace("Bearer secret", &format!("Bearer {token}"))
}

#[tokio::test]
async fn objects_are_listed_made_changed_and_removed() {
    for kind in ["sources", "listeners", "users", "subscriptions"] {
        let path = |rest: &str| format!("/api/v1/{kind}{rest}");
        let (status, body) = ask(&request("GET", &path("?limit=5&search=m&origin=store"), "")).await;
        let list: ListDto<ObjectDto> = serde_json::from_str(&body).unwrap();
        assert_eq!((status, list.items.len()), (200, 1), "{kind}");
        assert_eq!(ask(&request("GET", &path("?colour=red"), "")).await.0, 400);
        assert_eq!(ask(&request("GET", &path("/mine"), "")).await.0, 200);
        assert_eq!(ask(&request("GET", &path("/nobody"), "")).await.0, 404);
        assert_eq!(ask(&request("POST", &path(""), r#"{"name":"mine"}"#)).await.0, 201);
        assert_eq!(ask(&request("POST", &path(""), r#"{"name":"taken"}"#)).await.0, 409);
        assert_eq!(ask(&request("POST", &path(""), r#"{"name":"unstored"}"#)).await.0, 503);
        for wrong in ["", "{}", "[]", r#"{"name":7}"#, "no json"] {
            assert_eq!(ask(&request("POST", &path(""), wrong)).await.0, 400, "{wrong}");
        }
        assert_eq!(ask(&request("PATCH", &path("/mine"), r#"{"enabled":false}"#)).await.0, 200);
        assert_eq!(ask(&request("PUT", &path("/mine"), r#"{"enabled":false}"#)).await.0, 200);
        assert_eq!(ask(&request("DELETE", &path("/mine"), "")).await.0, 200);
        for method in ["PATCH", "PUT", "DELETE"] {
            assert_eq!(ask(&request(method, &path("/nobody"), "{}")).await.0, 404, "{method}");
            assert_eq!(ask(&request(method, &path("/taken"), "{}")).await.0, 409, "{method}");
        }
    }
}

#[tokio::test]
async fn a_subscription_without_a_token_gets_one_that_is_shown_once() {
    let token = |body: &str| serde_json::from_str::<Value>(body).unwrap()["token"].as_str().map(str::to_owned);
    let made = ask(&request("POST", "/api/v1/subscriptions", r#"{"name":"mine"}"#)).await.1;
    assert_eq!(token(&made).map(|token| token.len()), Some(32), "{made}");
    let given = ask(&request("POST", "/api/v1/subscriptions", r#"{"name":"mine","token":"0123456789abcdef"}"#)).await.1;
    let user = ask(&request("POST", "/api/v1/users", r#"{"name":"mine"}"#)).await.1;
    let shown = ask(&request("GET", "/api/v1/subscriptions/mine", "")).await.1;
    for body in [given, user, shown] {
        assert_eq!(token(&body), None, "{body}");
    }
}

#[tokio::test]
async fn sources_are_paused_tested_and_previewed() {
    for action in ["pause", "resume", "refresh", "test"] {
        let (status, body) = ask(&request("POST", &format!("/api/v1/sources/mine/{action}"), "")).await;
        assert!(matches!(status, 200 | 202), "{action}: {status} {body}");
        assert_eq!(ask(&request("POST", &format!("/api/v1/sources/nobody/{action}"), "")).await.0, 404, "{action}");
    }
    let (status, body) = ask(&request("POST", "/api/v1/sources/preview", r#"{"text":"a\nb"}"#)).await;
    assert_eq!((status, serde_json::from_str::<PreviewReport>(&body).unwrap().nodes), (200, 2));
    assert_eq!(ask(&request("POST", "/api/v1/sources/preview", "{}")).await.0, 400);
}

#[tokio::test]
async fn the_address_of_a_subscription_is_told_to_admins_alone() {
    let path = "/api/v1/subscriptions/phone/address";
    let (status, body) = ask(&request("GET", path, "")).await;
    let address: SubscriptionAddressDto = serde_json::from_str(&body).unwrap();
    assert_eq!((status, address.path.as_str()), (200, "/sub/0123456789abcdef"));
    assert_eq!(ask(&request("GET", "/api/v1/subscriptions/nobody/address", "")).await.0, 404);
    assert_eq!(ask(&as_token("hz_read", "GET", path, "")).await.0, 403);
}

#[tokio::test]
async fn the_links_of_a_user_are_told_to_admins_alone() {
    let path = "/api/v1/users/ali/links";
    let (status, body) = ask(&request("GET", path, "")).await;
    let found: UserLinksDto = serde_json::from_str(&body).unwrap();
    assert_eq!((status, found.links.len(), found.document), (200, 1, None));
    let (_, body) = ask(&request("GET", &format!("{path}?target=clash&listener=trojan&link="), "")).await;
    assert!(serde_json::from_str::<UserLinksDto>(&body).unwrap().document.is_some(), "{body}");
    assert_eq!(ask(&request("GET", "/api/v1/users/nobody/links", "")).await.0, 404);
    assert_eq!(ask(&request("GET", &format!("{path}?form=clash"), "")).await.0, 400);
    assert_eq!(ask(&as_token("hz_read", "GET", path, "")).await.0, 403);
}

#[tokio::test]
async fn settings_are_described_and_changed() {
    assert_eq!(ask(&request("GET", "/api/v1/schemas", "")).await.0, 200);
    let (status, body) = ask(&request("GET", "/api/v1/settings", "")).await;
    assert_eq!((status, serde_json::from_str::<Vec<SettingDto>>(&body).unwrap().len()), (200, 1));
    let (status, body) = ask(&request("PATCH", "/api/v1/settings", r#"{"probe.interval":null}"#)).await;
    assert_eq!(
        (status, serde_json::from_str::<Value>(&body).unwrap()),
        (200, json!({ "changed": ["probe.interval"] }))
    );
    assert_eq!(ask(&request("PATCH", "/api/v1/settings", "[]")).await.0, 400);
}

#[tokio::test]
async fn tokens_are_made_and_revoked_and_changes_recorded() {
    assert_eq!(ask(&request("GET", "/api/v1/tokens", "")).await.0, 200);
    assert_eq!(ask(&request("POST", "/api/v1/tokens", r#"{"name":"a","scope":"read"}"#)).await.0, 201);
    assert_eq!(ask(&request("POST", "/api/v1/tokens", r#"{"name":"a"}"#)).await.0, 400);
    assert_eq!(ask(&request("DELETE", "/api/v1/tokens/a", "")).await.0, 200);
    assert_eq!(ask(&request("DELETE", "/api/v1/tokens/b", "")).await.0, 404);
    assert_eq!(ask(&request("GET", "/api/v1/audit?kind=source&limit=3", "")).await.0, 200);
}

#[tokio::test]
async fn a_scope_allows_what_it_names_and_no_more() {
    let feedback = r#"{"node":"n","site":"shop.example","verdict":"blocked"}"#;
    for (token, method, path, body, expected) in [
        ("hz_read", "GET", "/api/v1/sources", "", 200),
        ("hz_read", "GET", "/api/v1/status", "", 200),
        ("hz_read", "PATCH", "/api/v1/sources/mine", "{}", 403),
        ("hz_read", "POST", "/api/v1/tokens", "{}", 403),
        ("hz_read", "POST", "/api/v1/feedback", feedback, 403),
        ("hz_feedback", "POST", "/api/v1/feedback", feedback, 200),
        ("hz_feedback", "GET", "/api/v1/status", "", 403),
        ("hz_subscription", "GET", "/api/v1/status", "", 403),
        ("hz_admin", "PATCH", "/api/v1/sources/mine", "{}", 200),
        ("hz_nobody", "GET", "/api/v1/status", "", 401),
    ] {
        assert_eq!(ask(&as_token(token, method, path, body)).await.0, expected, "{token} {method} {path}");
    }
}
