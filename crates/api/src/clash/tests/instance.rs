//! The configuration, what dashboards store, and their files.

use super::*;

#[tokio::test]
async fn what_a_dashboard_stores_comes_back_as_it_was() {
    let server = Server::start().await;
    assert_eq!(server.get("/storage/zashboard").await, Value::Null);
    let text = "{\"b\": 1,  \"a\": [2]}";
    assert_eq!(server.ask("PUT", "/storage/zashboard", text).await.0, 204);
    assert_eq!(server.ask("GET", "/storage/zashboard", "").await.2, format!("{text}\n"));
    assert_eq!(server.ask("PUT", "/storage/zashboard", "no json").await.0, 400);
    assert_eq!(server.ask("PUT", "/storage/big", &format!("\"{}\"", "x".repeat(1 << 20))).await.0, 413);
    assert_eq!(server.ask("PUT", &format!("/storage/{}", "k".repeat(300)), "1").await.0, 400);
    assert_eq!(server.ask("DELETE", "/storage/zashboard", "").await.0, 204);
    assert_eq!(server.get("/storage/zashboard").await, Value::Null);
}

#[tokio::test]
async fn the_configuration_is_shown_and_hardly_changed() {
    let server = Server::start().await;
    let configs = server.get("/configs").await;
    assert_eq!((&configs["mixed-port"], &configs["mode"]), (&json!(8000), &json!("rule")));
    assert_eq!((&configs["allow-lan"], &configs["authentication"]), (&json!(false), &json!([])));
    for (body, status) in [
        ("{\"mode\":\"Rule\"}", 204),
        ("{\"mode\":\"global\"}", 400),
        ("{\"ipv6\":false}", 204),
        ("[", 400),
        ("{\"log-level\":\"loud\"}", 400),
        ("{\"log-level\":1}", 400),
        ("{\"log-level\":\"silent\"}", 409),
        ("{\"log-level\":\"info\"}", 204),
        ("{\"log-level\":\"Debug\",\"mode\":\"rule\"}", 204),
    ] {
        assert_eq!(server.ask("PATCH", "/configs", body).await.0, status, "{body}");
    }
    assert_eq!(server.get("/configs").await["log-level"], "debug");
    for (body, status) in [("", 204), ("{\"path\":\"\",\"payload\":\"\"}", 204), ("{\"payload\":\"port: 1\"}", 400)] {
        assert_eq!(server.ask("PUT", "/configs?force=true", body).await.0, status, "{body}");
    }
    let rules = server.get("/rules").await["rules"].clone();
    assert_eq!(rules.as_array().unwrap().last().unwrap()["type"], "Match");
    assert_eq!(rules[0], json!({ "index": 0, "type": "InUser", "payload": "*-country-de", "proxy": "DE", "size": -1 }));
    assert_eq!(server.get("/providers/rules").await, json!({ "providers": {} }));
    assert_eq!(server.ask("GET", "/dns/query?name=a.test", "").await.0, 500);
    assert_eq!(server.ask("POST", "/cache/dns/flush", "").await.0, 204);
    for path in ["/restart", "/upgrade", "/configs/geo"] {
        let answer = server.ask("POST", path, "").await;
        assert!(answer.0 == 501 && answer.json()["message"].is_string(), "{path}");
    }
}

#[tokio::test]
async fn the_files_of_a_dashboard_are_served_and_nothing_beside_them() {
    let server = Server::start().await;
    assert_eq!(server.ask_with("GET", "/ui/", "", "").await.0, 404, "no folder is set");
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("board");
    std::fs::create_dir_all(folder.join("assets")).unwrap();
    std::fs::write(folder.join("index.html"), "<title>board</title>").unwrap();
    std::fs::write(folder.join("assets/app.js"), "let a = 1").unwrap();
    std::fs::write(home.path().join("token"), "secret").unwrap();
    server.fake.dashboard.settings.lock().ui = Some(folder);
    let redirect = server.ask_with("GET", "/ui", "", "").await;
    assert!(redirect.0 == 307 && redirect.1.contains("location: /ui/"), "{}", redirect.1);
    let index = server.ask_with("GET", "/ui/", "", "").await;
    assert!(index.1.contains("content-type: text/html") && index.2.contains("board"), "{}", index.1);
    let script = server.ask_with("GET", "/ui/assets/app.js?v=1", "", "").await;
    assert!(script.1.contains("content-type: text/javascript"), "{}", script.1);
    // A folder is led to its own path with a slash, and never to another machine.
    for (path, location) in [("/ui/assets", "/ui/assets/"), ("/ui//assets", "/ui//assets/")] {
        let Answer(status, head, _) = server.ask_with("GET", path, "", "").await;
        assert!(status == 307 && head.contains(&format!("location: {location}\r\n")), "{path}: {head}");
    }
    for path in [
        "/ui/../token",
        "/ui/%2e%2e/token",
        "/ui/..%2ftoken",
        "/ui/..%5ctoken",
        "/ui/%252e%252e/token",
        "/ui//etc/passwd",
        "/ui/assets/../../token",
        "/ui/index.html%00.js",
        "/ui/none",
        "/view/all/ui/../token",
        "/view/all/ui/%2e%2e/token",
    ] {
        let answer = server.ask_with("GET", path, "", "").await;
        assert!(answer.0 == 404 && !answer.2.contains("secret"), "{path}: {} {}", answer.0, answer.2);
    }
    assert_eq!(server.ask_with("POST", "/ui/", "", "").await.0, 405);
}
