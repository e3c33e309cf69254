//! HTTP: CONNECT, absolute-form requests, what is passed on and what is not.

use std::collections::HashSet;

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::{
    clients::*,
    world::{Does, config, eventually, world},
};

fn data(length: usize) -> Vec<u8> {
    (0..length).map(|n| (n * 31 % 251) as u8).collect()
}

#[tokio::test]
async fn connect_keeps_half_close_and_early_bytes() {
    let world = world(config(), &[Does::Echo]).await;
    let mut stream = connect(&world).await;
    let head = ask(&mut stream, b"CONNECT example.com:443 HTTP/1.1\r\nHost: example.com:443\r\n\r\nearly ").await;
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    assert!(!head.to_lowercase().contains("content-length") && !head.to_lowercase().contains("transfer-encoding"));
    let mut early = [0; 6];
    stream.read_exact(&mut early).await.unwrap();
    assert_eq!(&early, b"early ");
    expect_echo(stream, b"the rest").await;
    eventually("the lease is given back", || world.pool.node(world.ids[0]).unwrap().in_flight() == 0).await;
}

#[tokio::test]
async fn eight_mebibytes_both_ways() {
    let world = world(config(), &[Does::Echo, Does::Web]).await;
    let data = data(8 << 20);
    let mut done = 0;
    // Round-robin: one of the two is the echo.
    for _ in 0..2 {
        let stream = tunnel(&world, "example.com:443").await;
        if world.connects()[0] > done {
            done += 1;
            expect_echo(stream, &data).await;
        }
    }
    assert_eq!(done, 1);
}

#[tokio::test]
async fn eight_mebibytes_posted_and_answered() {
    let world = world(config(), &[Does::Web]).await;
    let data = Bytes::from(data(8 << 20));
    let mut client = http(&world).await;
    let response = client.send_request(request("POST", "http://origin.test/echo", data.clone())).await.unwrap();
    let (status, _, body) = whole(response).await;
    assert_eq!(status, 200);
    assert!(body == data);
    drop(client);
    eventually("bytes are counted", || {
        let metrics = world.metrics();
        let counted = |direction: &str| {
            metrics
                .lines()
                .find_map(|line| {
                    line.strip_prefix(&format!("hezar_bytes_total{{direction=\"{direction}\",listener=\"proxy\"}} "))
                })
                .is_some_and(|value| value.parse::<u64>().unwrap() >= 8 << 20)
        };
        counted("up") && counted("down")
    })
    .await;
}

#[tokio::test]
async fn each_request_on_a_kept_connection_takes_its_own_node() {
    let world = world(config(), &[Does::Web; 3]).await;
    let mut client = http(&world).await;
    let mut seen = HashSet::new();
    for _ in 0..6 {
        let response = client.send_request(request("GET", "http://origin.test/who", "")).await.unwrap();
        let (status, _, name) = whole(response).await;
        assert_eq!(status, 200);
        seen.insert(name);
    }
    assert_eq!(seen.len(), 3);
    assert_eq!(world.connects().iter().sum::<usize>(), 6);
}

#[tokio::test]
async fn nothing_of_the_client_leaks() {
    let world = world(config(), &[Does::Web]).await;
    let mut client = http(&world).await;
    let mut asked = request("GET", "http://user:pw@origin.test:8080/headers?q=1", "");
    for (name, value) in [
        ("proxy-authorization", "Basic eDo="),
        ("proxy-connection", "keep-alive"),
        ("connection", "x-hop"),
        ("x-hop", "1"),
        ("accept", "text/x-kept"),
    ] {
        asked.headers_mut().insert(name, value.parse().unwrap());
    }
    let (status, _, body) = whole(client.send_request(asked).await.unwrap()).await;
    let text = String::from_utf8(body.to_vec()).unwrap();
    assert_eq!(status, 200);
    assert!(text.starts_with("GET /headers?q=1\n"), "{text}");
    assert!(text.contains("\"host\": \"origin.test:8080\"") && text.contains("text/x-kept"), "{text}");
    for secret in ["proxy-", "x-hop", "127.0.0.1", "forwarded", "via", "hezar", "user:pw"] {
        assert!(!text.to_lowercase().contains(secret), "{secret} in {text}");
    }
    assert_eq!(world.fakes[0].targets.lock().clone(), ["origin.test:8080"]);
}

#[tokio::test]
async fn web_socket_through_absolute_form() {
    let world = world(config(), &[Does::Web]).await;
    let mut client = http(&world).await;
    let mut asked = request("GET", "http://origin.test/ws", "");
    asked.headers_mut().insert("connection", "Upgrade".parse().unwrap());
    asked.headers_mut().insert("upgrade", "websocket".parse().unwrap());
    let response = client.send_request(asked).await.unwrap();
    assert_eq!(response.status(), 101);
    assert_eq!(response.headers()["upgrade"], "websocket");
    let mut stream = TokioIo::new(hyper::upgrade::on(response).await.unwrap());
    stream.write_all(b"hello").await.unwrap();
    let mut back = [0; 5];
    stream.read_exact(&mut back).await.unwrap();
    assert_eq!(&back, b"hello");
}

#[tokio::test]
async fn head_has_no_body_and_http_1_0_works() {
    let world = world(config(), &[Does::Web]).await;
    let mut client = http(&world).await;
    let response = client.send_request(request("HEAD", "http://origin.test/who", "")).await.unwrap();
    assert_eq!(response.headers()["content-length"], "6");
    assert!(response.into_body().collect().await.unwrap().to_bytes().is_empty());
    let answer = say(&world, b"GET http://origin.test/who HTTP/1.0\r\n\r\n").await;
    let answer = String::from_utf8(answer).unwrap();
    assert!(answer.starts_with("HTTP/1.0 200 ") && answer.ends_with("node-0"), "{answer}");
}

#[tokio::test]
async fn requests_that_are_not_for_a_proxy() {
    let world = world(config(), &[Does::Web]).await;
    for (line, code, words) in [
        ("GET / HTTP/1.1\r\nHost: 127.0.0.1", "not-a-proxy-request", "curl -x"),
        ("GET https://example.com/ HTTP/1.1\r\nHost: example.com", "bad-request", "CONNECT"),
        ("GET ftp://example.com/ HTTP/1.1\r\nHost: example.com", "bad-request", "http://"),
        ("CONNECT example.com HTTP/1.1\r\nHost: example.com", "bad-request", "host:port"),
        ("CONNECT exa_mple..com:1 HTTP/1.1\r\nHost: example.com", "bad-request", "host"),
    ] {
        let answer = say(&world, format!("{line}\r\nConnection: close\r\n\r\n").as_bytes()).await;
        let answer = String::from_utf8(answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
        assert!(answer.contains(&format!("details=\"{code}\"")) && answer.contains(words), "{answer}");
    }
    assert_eq!(world.connects(), [0]);
}

#[tokio::test]
async fn connect_after_another_request_on_the_same_connection() {
    let world = world(config(), &[Does::Web]).await;
    let mut stream = connect(&world).await;
    let head = ask(&mut stream, b"GET http://origin.test/who HTTP/1.1\r\nHost: origin.test\r\n\r\n").await;
    assert!(head.starts_with("HTTP/1.1 200 "));
    stream.read_exact(&mut [0; 6]).await.unwrap();
    let head = ask(&mut stream, b"CONNECT origin.test:80 HTTP/1.1\r\nHost: origin.test:80\r\n\r\n").await;
    assert!(head.starts_with("HTTP/1.1 200 "));
    let inner = ask(&mut stream, b"GET /who HTTP/1.1\r\nHost: origin.test\r\n\r\n").await;
    assert!(inner.starts_with("HTTP/1.1 200 "));
}

#[tokio::test]
async fn options_without_a_path_asks_the_server_itself() {
    let world = world(config(), &[Does::Web]).await;
    for (uri, arrives) in [("http://origin.test", "OPTIONS *\n"), ("http://origin.test/", "OPTIONS /\n")] {
        let head = format!("OPTIONS {uri} HTTP/1.1\r\nHost: origin.test\r\nConnection: close\r\n\r\n");
        let answer = String::from_utf8(say(&world, head.as_bytes()).await).unwrap();
        let is_server = uri == "http://origin.test";
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        assert_eq!(answer.contains(arrives), is_server, "{answer}");
    }
}
