//! Who may use the Clash API: tokens, scopes, and other sites.

use super::*;

#[tokio::test]
async fn the_token_is_needed_and_counts_in_a_query_for_websockets_only() {
    let server = Server::start().await;
    for (method, path) in
        [("GET", "/version"), ("GET", "/proxies?token=secret"), ("PUT", "/proxies/POOL"), ("GET", "/logs")]
    {
        let answer = server.ask_with(method, path, "", "").await;
        assert_eq!((answer.0, answer.json()), (401, json!({ "message": "Unauthorized" })), "{method} {path}");
    }
    assert_eq!(refused(server.socket_with_token("/traffic", "wrong").await), 401);
    let first = next_line(&mut server.socket("/traffic").await.unwrap()).await;
    assert_eq!(first, json!({ "up": 0, "down": 0, "upTotal": 0, "downTotal": 0 }));
}

#[tokio::test]
async fn a_token_of_the_store_may_do_what_its_scope_says() {
    let server = Server::start().await;
    for (token, get, put) in
        [("hz_admin", 200, 204), ("hz_read", 200, 403), ("hz_feedback", 403, 403), ("hz_odd", 401, 401)]
    {
        let headers = format!("Authorization: Bearer {token}\r\n");
        assert_eq!(server.ask_with("GET", "/version", &headers, "").await.0, get, "{token}");
        let body = "{\"name\":\"node 6\"}";
        assert_eq!(server.ask_with("PUT", "/proxies/POOL", &headers, body).await.0, put, "{token}");
    }
}

#[tokio::test]
async fn a_preflight_is_answered_before_the_token_is_asked_for() {
    let server = Server::start().await;
    let headers = "Origin: https://board.example\r\nAccess-Control-Request-Method: PUT\r\n\
                   Access-Control-Request-Headers: authorization\r\nAccess-Control-Request-Private-Network: true\r\n";
    let Answer(status, head, _) = server.ask_with("OPTIONS", "/proxies/POOL", headers, "").await;
    assert_eq!(status, 200, "{head}");
    for line in [
        "access-control-allow-origin: *",
        "access-control-allow-private-network: true",
        "access-control-max-age: 300",
        "access-control-allow-headers: content-type,authorization",
    ] {
        assert!(head.contains(line), "{line} is missing in {head}");
    }
    let foreign = server.raw("GET /version HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n").await;
    assert_eq!(foreign.0, 421, "the check against rebinding stays");
    let plain =
        server.ask_with("GET", "/version", "Authorization: Bearer secret\r\nOrigin: http://a.test\r\n", "").await;
    assert!(plain.1.contains("access-control-allow-origin: *"), "{}", plain.1);
    // Other paths of the API are not open to other sites.
    let v1 =
        server.ask_with("GET", "/api/v1/status", "Authorization: Bearer secret\r\nOrigin: http://a.test\r\n", "").await;
    assert!(v1.0 == 200 && !v1.1.contains("access-control"), "{}", v1.1);
}

#[tokio::test]
async fn switched_off_it_does_not_exist() {
    let server = Server::start().await;
    server.fake.dashboard.settings.lock().enabled = false;
    for path in ["/version", "/proxies", "/ui/", "/view/all/proxies"] {
        assert_eq!(server.ask("GET", path, "").await.0, 404, "{path}");
    }
    let preflight = "Origin: https://board.example\r\nAccess-Control-Request-Method: PUT\r\n";
    let Answer(status, head, _) = server.ask_with("OPTIONS", "/proxies", preflight, "").await;
    assert!(status == 404 && !head.contains("access-control"), "{status} {head}");
    assert_eq!(server.ask("GET", "/api/v1/status", "").await.0, 200);
}
