//! What strangers, and clients with a token that go wrong, cannot do to others.

use super::*;
use crate::connection_slots::MAX_PER_ADDRESS;

/// As many streams may be open at a time.
const MOST_STREAMS: usize = 256;

#[tokio::test]
async fn sockets_take_no_connections_from_requests_and_are_bounded_themselves() {
    let server = Server::start().await;
    // A stranger gets none, however often it asks.
    for _ in 0..2 * MAX_PER_ADDRESS {
        assert_eq!(refused(server.socket_with_token("/logs?level=silent", "guess").await), 401);
    }
    let mut open = Vec::new();
    for _ in 0..MOST_STREAMS {
        open.push(server.socket("/logs?level=silent").await.unwrap());
    }
    // They come from one address and are more than it may have connections.
    assert_eq!(server.get("/version").await["meta"], true);
    assert_eq!(refused(server.socket("/traffic").await), 503);
    assert_eq!(server.ask("GET", "/memory", "").await.0, 503);
    // A place is free again as soon as the server notices that its client has gone.
    open.pop();
    let again = async {
        loop {
            if let Ok(socket) = server.socket("/traffic").await {
                return socket;
            }
            tokio::task::yield_now().await;
        }
    };
    let mut socket = tokio::time::timeout(Duration::from_secs(60), again).await.unwrap();
    assert_eq!(next_line(&mut socket).await["up"], 0);
}

#[tokio::test]
async fn sockets_that_are_opened_and_dropped_leave_nothing_behind() {
    let server = Server::start().await;
    for _ in 0..2 * MOST_STREAMS {
        // The server may need a moment to notice that the ones before have gone.
        let open = async {
            loop {
                match server.socket("/logs?level=silent").await {
                    Ok(socket) => return socket,
                    Err(_) => tokio::task::yield_now().await,
                }
            }
        };
        drop(tokio::time::timeout(Duration::from_secs(60), open).await.unwrap());
    }
    assert_eq!(server.get("/version").await["meta"], true);
}

#[tokio::test]
async fn an_address_alone_changes_nothing() {
    let server = Server::start().await;
    let upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                   Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    let body = json!({ "name": "node 6" }).to_string();
    for (method, path) in [("PUT", "/proxies/POOL?token=secret"), ("DELETE", "/connections?token=secret")] {
        assert_eq!(server.ask_with(method, path, upgrade, &body).await.0, 401, "{method} {path}");
    }
    assert!(server.fake.dashboard.selections.lock().is_empty());
    // Neither does the cookie of a browser that is signed in to the page.
    let cookie = "Cookie: hezar-session=guess\r\nX-Hezar-Page: 1\r\n";
    assert_eq!(server.ask_with("PUT", "/proxies/POOL", cookie, &body).await.0, 401);
}

#[tokio::test]
async fn bodies_that_are_deep_or_long_are_refused() {
    let server = Server::start().await;
    let deep = "[".repeat(100_000);
    for (method, path) in [("PUT", "/proxies/POOL"), ("PATCH", "/configs"), ("PUT", "/configs"), ("PUT", "/storage/a")]
    {
        for body in [deep.clone(), format!("{{\"name\":{deep}"), format!("{{\"a\":{deep}{}}}", "]".repeat(100_000))] {
            let answer = server.ask_with(method, path, "Authorization: Bearer secret\r\n", &body).await;
            // What a dashboard stores is only looked through, not read, and may be deep.
            let is_stored = path == "/storage/a" && body.ends_with('}');
            assert_eq!(answer.0, if is_stored { 204 } else { 400 }, "{method} {path} {body:.20}");
        }
    }
    // A stranger's body is not read at all.
    let announced =
        "PUT /storage/a HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: 30000000\r\n\r\n";
    assert_eq!(server.raw(announced).await.0, 401);
}
