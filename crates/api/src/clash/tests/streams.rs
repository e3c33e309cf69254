//! Connections, log and totals, once and as streams.

use super::*;

#[tokio::test]
async fn connections_are_shown_and_ended() {
    let server = Server::start().await;
    let snapshot = server.get("/connections").await;
    assert_eq!((&snapshot["downloadTotal"], &snapshot["memory"]), (&json!(0), &json!(12_345)));
    let connection = &snapshot["connections"][0];
    assert_eq!(connection["chains"], json!(["node 6", "AUTO", "POOL"]));
    assert_eq!(connection["metadata"]["host"], "example.com");
    assert_eq!(connection["metadata"]["destinationPort"], "443");
    assert_eq!((&connection["rule"], &connection["rulePayload"]), (&json!("InUser"), &json!("alice")));
    assert_eq!(connection["start"], "2026-11-29T06:00:00.123000000Z");
    assert_eq!(server.ask("DELETE", "/connections/2", "").await.0, 204);
    assert_eq!(server.ask("DELETE", "/connections/no-number", "").await.0, 204);
    assert_eq!(server.fake.alive.lock().len(), 2, "one of three");
    assert_eq!(server.ask("DELETE", "/connections", "").await.0, 204);
    assert!(server.fake.alive.lock().is_empty());
    let mut socket = server.socket("/connections?interval=200").await.unwrap();
    for _ in 0..2 {
        assert_eq!(next_line(&mut socket).await["connections"][0]["id"], "7");
    }
}

#[tokio::test]
async fn the_log_is_followed_in_the_words_of_clash() {
    let server = Server::start().await;
    assert_eq!(server.ask("GET", "/logs?level=odd", "").await.0, 400);
    for (query, line) in [
        ("", json!({ "type": "info", "payload": "started a=1" })),
        ("?format=structured", json!({ "time": "00:00:00", "level": "info", "message": "started a=1", "fields": [] })),
    ] {
        let mut socket = server.socket(&format!("/logs{query}")).await.unwrap();
        // Two lines were there before, and one comes now.
        for number in 0..3 {
            if number == 2 {
                server.fake.logged.send_modify(|last| *last += 1);
            }
            assert_eq!(next_line(&mut socket).await, line);
        }
        server.fake.logged.send_modify(|last| *last = 2);
    }
}

#[tokio::test]
async fn totals_come_without_a_websocket_too() {
    let server = Server::start().await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    let request = "GET /memory HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer secret\r\n\r\n";
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut seen = String::new();
    while !seen.contains("{\"inuse\":12345,\"oslimit\":0}\n") {
        let mut buffer = [0; 512];
        let count = stream.read(&mut buffer).await.unwrap();
        assert_ne!(count, 0, "{seen}");
        seen.push_str(std::str::from_utf8(&buffer[..count]).unwrap());
    }
    assert!(seen.to_lowercase().contains("transfer-encoding: chunked"), "{seen}");
}

#[tokio::test]
async fn a_client_that_has_nothing_to_read_is_asked_whether_it_is_still_there() {
    let server = Server::start().await;
    let mut socket = server.socket("/logs?level=silent").await.unwrap();
    tokio::time::pause();
    let message = tokio::time::timeout(Duration::from_secs(600), socket.next()).await;
    assert!(message.unwrap().unwrap().unwrap().is_ping());
}
