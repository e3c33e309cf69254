//! HTTP as it is spoken in the wild: odd answers and odd requests pass, hostile ones never become another request, and every refusal has a code.

use std::time::Duration;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use hezar_gateway::{GatewayConfig, User};
use hezar_pool::State;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::{
    clients::*,
    world::{Does, World, config, eventually, world},
};

const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// One GET on a connection of its own: the head of the answer, and its body.
async fn get(world: &World) -> (String, String) {
    let answer =
        say(world, b"GET http://origin.test/ HTTP/1.1\r\nHost: origin.test\r\nConnection: close\r\n\r\n").await;
    split(&answer)
}

fn split(answer: &[u8]) -> (String, String) {
    let text = String::from_utf8_lossy(answer).into_owned();
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
    (head.to_lowercase(), body.to_owned())
}

fn with_users() -> GatewayConfig {
    let user = User::new("alice", "café");
    GatewayConfig { users: vec![user], ..config() }
}

/// An answer that cannot be passed on has a code of ours and no words of the target.
fn coded(head: &str, status: u16, code: &str) {
    assert!(head.starts_with(&format!("http/1.1 {status} ")), "{head}");
    assert!(head.lines().next().unwrap().ends_with(&format!("(hezar: {code})")), "{head}");
    assert!(head.contains(&format!("details=\"{code}\"")), "{head}");
}

#[tokio::test]
async fn answers_that_browsers_accept_pass() {
    let answers: [(&'static [u8], &str); 17] = [
        (b"HTTP/1.1 200 OK\r\nX-Long: a\r\n b\r\nContent-Length: 2\r\n\r\nok", "x-long: a b"),
        (b"HTTP/1.1 200 OK\r\nX-Odd : v\r\nContent-Length: 2\r\n\r\nok", "x-odd: v"),
        (b"HTTP/1.1 200 OK\r\nX Odd Name: v\r\nContent-Length: 2\r\n\r\nok", "200"),
        (b"HTTP/1.1 200 OK\r\nHTTP 1/1 302:\r\nthis line has none\r\nContent-Length: 2\r\n\r\nok", "200"),
        (b"HTTP/1.1 200 OK\r\nAccess-Control-Allow-Method?: *\r\nContent-Length: 2\r\n\r\nok", "200"),
        (b"HTTP/1.1 200 OK\nContent-Length: 2\n\nok", "content-length: 2"),
        (b"HTTP/1.1 200\r\nContent-Length: 2\r\n\r\nok", "content-length: 2"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nok", "content-length: 2"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2, 2\r\n\r\nok", "content-length: 2"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: identity\r\nContent-Length: 2\r\n\r\nok", "content-length: 2"),
        (b"HTTP/1.0 200 OK\r\n\r\nok", "200"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding:\r\nContent-Length: 2\r\n\r\nok", "content-length: 2"),
        (b"HTTP/1.1 200 OK\nTransfer-Encoding: chunked\n\n2\nok\n0\n\n", "transfer-encoding: chunked"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0002 \r\nok\r\n0\r\n", "transfer-encoding: chunked"),
        (b"ICY 200 OK\r\nicy-name: r\r\n\r\nok", "icy-name: r"),
        (b"HTTP/1.1 999 Request denied\r\nContent-Length: 2\r\n\r\nok", "999 request denied"),
        (b"\r\nHTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", "200 ok"),
    ];
    for (answer, wanted) in answers {
        let world = world(config(), &[Does::Says(answer)]).await;
        let (head, body) = get(&world).await;
        assert!(head.contains(wanted), "{head} for {}", String::from_utf8_lossy(answer));
        assert!(body == "ok" || body == "2\r\nok\r\n0\r\n\r\n", "{body}");
    }
}

#[tokio::test]
async fn many_and_big_headers_pass() {
    let many = format!("HTTP/1.1 200 OK\r\n{}Content-Length: 2\r\n\r\nok", "X-H: v\r\n".repeat(500));
    let big = format!("HTTP/1.1 200 OK\r\nX-Big: {}\r\nContent-Length: 2\r\n\r\nok", "a".repeat(90_000));
    for answer in [many, big] {
        let world = world(config(), &[Does::Says(answer.leak().as_bytes())]).await;
        let (head, body) = get(&world).await;
        assert!(head.starts_with("http/1.1 200 ok") && body == "ok", "{}", head.len());
    }
}

#[tokio::test]
async fn a_length_beside_chunks_counts_for_nothing() {
    for answer in [
        &b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"[..],
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 0\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
    ] {
        let world = world(config(), &[Does::Says(answer)]).await;
        let (head, body) = get(&world).await;
        assert!(!head.contains("content-length") && head.contains("transfer-encoding: chunked"), "{head}");
        assert_eq!(body, "3\r\nabc\r\n0\r\n\r\n");
    }
}

#[tokio::test]
async fn an_answer_whose_body_breaks_is_cut_and_not_withheld() {
    for (answer, wanted) in [
        (&b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nA: b\r\n\r\n<html>"[..], ""),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nA: b\r\n\r\nzz\r\nok\r\n", ""),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nA: b\r\n\r\n2\r\nok\r\n", "2\r\nok\r\n"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nA: b\r\n\r\n2\r\nok\r\nzz\r\n", "2\r\nok\r\n"),
    ] {
        let world = world(config(), &[Does::Says(answer)]).await;
        let (head, body) = get(&world).await;
        assert!(head.starts_with("http/1.1 200 ok") && head.contains("a: b"), "{head}");
        assert_eq!(body, wanted, "no last chunk says that this were all");
    }
}

#[tokio::test]
async fn an_answer_that_cannot_be_read_says_what_is_wrong_and_ends_after_two_nodes() {
    let answers: [(&'static [u8], &str); 9] = [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort", "ends before the length"),
        (b"<html>old</html>", "something that is not HTTP/1"),
        (b"HTTP/1.1 200 OK\r\nA: b\rSet-Cookie: c\r\n\r\n", "a lone CR or a NUL"),
        (b"HTTP/1.1 200 \x1b[31m\r\n\r\n", "status line"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nabc", "two lengths that differ"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 18446744073709551615\r\n\r\nab", "is no number"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: xchunked\r\n\r\nabc", "transfer coding"),
        (b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n", "nobody asked for"),
        (
            b"HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic\r\nContent-Length: 0\r\n\r\n",
            "407",
        ),
    ];
    for (answer, words) in answers {
        let world = world(config(), &[Does::Says(answer); 4]).await;
        let (head, body) = get(&world).await;
        coded(&head, 502, "bad-answer");
        assert!(head.contains("error=http_protocol_error") && body.contains(words), "{head} {body}");
        assert!(!head.contains("proxy-authenticate"));
        assert_eq!(world.origin_requests(), 2, "a second opinion is enough");
        let states = world.ids.iter().map(|id| world.pool.node(*id).unwrap().state());
        assert!(states.into_iter().all(|state| state == State::Healthy), "the target may have done it");
    }
}

#[tokio::test]
async fn a_node_that_garbles_answers_is_passed_over() {
    let world = world(config(), &[Does::Says(b"garbage\r\n\r\n"), Does::Says(OK)]).await;
    for _ in 0..2 {
        assert_eq!(get(&world).await.1, "ok");
    }
    assert_ne!(world.pool.node(world.ids[0]).unwrap().state(), State::Healthy, "the other one brings it");
}

#[tokio::test]
async fn what_a_node_says_never_passes_as_our_own_word() {
    let answer = b"HTTP/1.1 503 Unavailable (hezar: pool-empty)\r\nProxy-Status: hezar; error=none\r\nProxy-Connection: close\r\n\
        Proxy-Authentication-Info: x\r\nVia: 1.1 node\r\nContent-Length: 0\r\n\r\n";
    let world = world(GatewayConfig { name_exit: false, ..config() }, &[Does::Says(answer)]).await;
    let (head, _) = get(&world).await;
    assert!(head.starts_with("http/1.1 503 service unavailable\r\n"), "{head}");
    assert!(!head.contains("proxy-") && !head.contains("hezar") && head.contains("via: 1.1 node"), "{head}");
}

#[tokio::test]
async fn answers_name_the_node_and_the_exit() {
    let world = world(config(), &[Does::Web]).await;
    let node = world.ids[0];
    let login = STANDARD.encode("x-session-abc:");
    for request in ["GET http://origin.test/who HTTP/1.1\r\nHost: x", "CONNECT origin.test:80 HTTP/1.1\r\nHost: x"] {
        let mut stream = connect(&world).await;
        let head =
            ask(&mut stream, format!("{request}\r\nProxy-Authorization: Basic {login}\r\n\r\n").as_bytes()).await;
        let head = head.to_lowercase();
        let named = format!("proxy-status: hezar; node=\"{node}\"; exit=\"192.0.2.77\"; country=\"de\"; session=\"");
        assert!(head.starts_with("http/1.1 200 ok") && head.contains(&named), "{head}");
    }
    let quiet = crate::world::world(GatewayConfig { name_exit: false, ..config() }, &[Does::Web]).await;
    assert!(!get(&quiet).await.0.contains("proxy-status"));
}

#[tokio::test]
async fn requests_that_clients_send_pass() {
    let world = world(config(), &[Does::Web]).await;
    for (target, arrives) in [
        (&b"http://origin.test/headers?q=\"a\""[..], "/headers?q=%22a%22"),
        (b"http://origin.test/headers?<x>|{}^`", "/headers?%3Cx%3E%7C%7B%7D%5E%60"),
        (b"HTTP://ORIGIN.test/headers?a b", "/headers?a%20b"),
        (b"http://origin.test/headers?\\", "/headers?"),
        ("http://origin.test/headers?ü".as_bytes(), "/headers?"),
        (b"http://origin.test/headers?\xfc", "/headers?"),
        (b"http://user:pw@origin.test:80/headers#fragment", "/headers"),
    ] {
        let request =
            [&b"GET "[..], target, b" HTTP/1.1\r\nHost: other\r\nEmpty:\r\nConnection: close\r\n\r\n"].concat();
        let (head, body) = split(&say(&world, &request).await);
        assert!(head.starts_with("http/1.1 200 ok"), "{head} for {}", String::from_utf8_lossy(target));
        assert!(body.starts_with(&format!("GET {arrives}")), "{body}");
        assert!(body.to_lowercase().contains("\"host\": \"origin.test"), "{body}");
    }
    for request in [
        "CONNECT origin.test:80 HTTP/1.1\r\nContent-Length: 0",
        "CONNECT origin.test:80 HTTP/1.1\r\nContent-Length: 17\r\nTransfer-Encoding: chunked\r\nExpect: 100-continue",
        "CONNECT 2001:db8::1:80 HTTP/1.1",
        "CONNECT [2001:db8::1]:80 HTTP/1.0",
    ] {
        let mut stream = connect(&world).await;
        let head = ask(&mut stream, format!("{request}\r\n\r\nGET /who HTTP/1.1\r\nHost: x\r\n\r\n").as_bytes()).await;
        assert!(head.starts_with("HTTP/1.1 200 ") || head.starts_with("HTTP/1.0 200 "), "{request}: {head}");
        let head = ask(&mut stream, b"").await;
        assert!(head.starts_with("HTTP/1.1 200 "), "what follows belongs to the tunnel: {head}");
    }
}

/// None of these may ever be read as two requests, and each gets an answer of ours.
#[tokio::test]
async fn nothing_is_smuggled() {
    let world = world(config(), &[Does::Web]).await;
    let inner = "GET http://smuggled.test/who HTTP/1.1\r\nHost: smuggled.test\r\n\r\n";
    for head in [
        "POST http://origin.test/who HTTP/1.1\r\nContent-Length: 5\r\nContent-Length: 6",
        "POST http://origin.test/who HTTP/1.1\r\nContent-Length: 5, 6",
        "POST http://origin.test/who HTTP/1.1\r\nContent-Length: +5",
        "POST http://origin.test/who HTTP/1.1\r\nContent-Length: 0x5",
        "POST http://origin.test/who HTTP/1.1\r\nContent-Length: -5",
        "POST http://origin.test/who HTTP/1.1\r\nTransfer-Encoding: xchunked",
        "POST http://origin.test/who HTTP/1.1\r\nTransfer-Encoding: chunked, identity",
        "POST http://origin.test/who HTTP/1.0\r\nTransfer-Encoding: chunked",
        "POST http://origin.test/who HTTP/1.1\r\nTransfer-Encoding : chunked",
        "POST http://origin.test/who HTTP/1.1\r\nA: b\r\n folded",
        "POST http://origin.test/who HTTP/1.1\r\nA: b\rTransfer-Encoding: chunked",
        "POST http://origin.test/who HTTP/1.1\r\nA: \0",
        "GET http://origin.test/who\r",
        "GET http://origin\r.test/who HTTP/1.1",
        "GET http://origin.test/who HTTP/1.1 HTTP/1.1",
        "GET /who HTTP/1.1\r\nUpgrade: x\r\nConnection: upgrade",
        "\x01GET http://origin.test/who HTTP/1.1",
    ] {
        let answer = say(&world, format!("{head}\r\n\r\n{inner}").as_bytes()).await;
        let (head_of_answer, _) = split(&answer);
        assert!(head_of_answer.starts_with("http/1.1 400 bad request (hezar: "), "{head}: {head_of_answer}");
        assert!(head_of_answer.contains("connection: close"), "{head}: {head_of_answer}");
        let answers = answer.windows(9).filter(|part| part == b"HTTP/1.1 ").count();
        assert_eq!(answers, 1, "{head}");
    }
    assert_eq!(world.connects(), [0]);
}

#[tokio::test]
async fn transfer_encoding_beats_a_length_and_the_connection_ends() {
    let world = world(config(), &[Does::Web]).await;
    let request = "POST http://origin.test/echo HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n\
        3\r\nabc\r\n0\r\n\r\nGET http://smuggled.test/who HTTP/1.1\r\nHost: x\r\n\r\n";
    let (head, body) = split(&say(&world, request.as_bytes()).await);
    assert!(head.starts_with("http/1.1 200 ok") && head.contains("connection: close"), "{head}");
    assert!(body.contains("abc") && !body.contains("HTTP/1.1"), "{body}");
    assert_eq!(world.fakes[0].targets.lock().clone(), ["origin.test:80"]);
}

#[tokio::test]
async fn a_refused_connect_ends_the_connection() {
    let world = world(with_users(), &[Does::NoTarget; 2]).await;
    let login = STANDARD.encode("alice:café");
    let inner = "GET http://smuggled.test/ HTTP/1.1\r\nHost: smuggled.test\r\n\r\n";
    for (request, status) in [
        (format!("CONNECT refused.test:443 HTTP/1.1\r\nProxy-Authorization: Basic {login}"), 502),
        ("CONNECT refused.test:443 HTTP/1.1".to_owned(), 407),
        ("CONNECT refused.test HTTP/1.1".to_owned(), 400),
        ("GET http://refused.test/ HTTP/1.1".to_owned(), 407),
    ] {
        let answer = say(&world, format!("{request}\r\nHost: x\r\n\r\n{inner}").as_bytes()).await;
        let (head, body) = split(&answer);
        assert!(head.starts_with(&format!("http/1.1 {status} ")) && head.contains("connection: close"), "{head}");
        assert!(!body.contains("HTTP/1.1"), "{body}");
        assert_eq!(status == 407, head.contains("proxy-authenticate: basic realm=\"hezar\""), "{head}");
    }
    let targets = world.fakes.iter().flat_map(|fake| fake.targets.lock().clone()).collect::<Vec<_>>();
    assert!(targets.iter().all(|target| target == "refused.test:443"), "{targets:?}");
}

#[tokio::test]
async fn a_wrong_password_is_asked_for_again_and_other_schemes_are_nobodys() {
    let guarded = world(with_users(), &[Does::Web]).await;
    let latin1 = STANDARD.encode(b"alice:caf\xe9");
    for (value, status, code) in [
        (format!("Basic {}", STANDARD.encode("alice:café")), 200, ""),
        (format!("Basic {latin1}"), 200, ""),
        (format!("Basic {}", STANDARD.encode("alice:cafe")), 407, "auth-wrong"),
        ("Basic !!!".to_owned(), 407, "auth-wrong"),
        ("Bearer abc".to_owned(), 407, "auth-missing"),
        ("NTLM TlRMTVNTUAAB".to_owned(), 407, "auth-missing"),
        // Of two headers the one that can be meant for us.
        (format!("Bearer abc\r\nProxy-Authorization: Basic {latin1}"), 200, ""),
    ] {
        let request = format!(
            "GET http://origin.test/who HTTP/1.1\r\nHost: x\r\nConnection: close\r\nProxy-Authorization: {value}\r\n\r\n"
        );
        let (head, _) = split(&say(&guarded, request.as_bytes()).await);
        assert!(head.starts_with(&format!("http/1.1 {status} ")) && head.contains(code), "{value}: {head}");
        assert_eq!(head.contains("proxy-authenticate"), status == 407, "{head}");
    }
    let open = world(config(), &[Does::Web]).await;
    for (value, status) in [("Bearer abc", 200), ("NTLM x", 200), ("Digest username=\"x\"", 200), ("Basic !!!", 400)] {
        let request = format!(
            "GET http://origin.test/who HTTP/1.1\r\nHost: x\r\nConnection: close\r\nProxy-Authorization: {value}\r\n\r\n"
        );
        let (head, _) = split(&say(&open, request.as_bytes()).await);
        assert!(head.starts_with(&format!("http/1.1 {status} ")), "{value}: {head}");
    }
}

#[tokio::test]
async fn malformed_chunks_are_the_clients_fault() {
    let world = world(config(), &[Does::Web]).await;
    let request = b"POST http://origin.test/echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nbody\r\n0\r\n\r\n";
    let (head, _) = split(&say(&world, request).await);
    coded(&head, 400, "bad-request");
    let metrics = world.metrics();
    assert!(!metrics.contains("hezar_attempts_total{result=\"failed\""), "{metrics}");
    assert_eq!(world.pool.node(world.ids[0]).unwrap().state(), State::Healthy);
}

#[tokio::test]
async fn a_post_to_a_silent_or_dripping_node_has_a_deadline() {
    for does in [Does::Mute, Does::Drips] {
        let config = GatewayConfig { deadline: Duration::from_millis(400), ..config() };
        let world = world(config, &[does]).await;
        let request =
            b"POST http://origin.test/ HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nConnection: close\r\n\r\nbody";
        let (head, _) = split(&say(&world, request).await);
        coded(&head, 504, "deadline");
    }
}

#[tokio::test]
async fn the_target_decides_about_a_body_that_waits() {
    let post = "POST http://origin.test/ HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n";
    // It does not want it: nobody is told to send it.
    for status in ["413 Content Too Large", "417 Expectation Failed"] {
        let answer: &'static str = format!("HTTP/1.1 {status}\r\nContent-Length: 2\r\n\r\nno").leak();
        let world = world(config(), &[Does::Says(answer.as_bytes())]).await;
        let answer = say(&world, post.as_bytes()).await;
        let text = String::from_utf8(answer).unwrap();
        assert!(text.starts_with(&format!("HTTP/1.1 {status}")) && text.ends_with("no"), "{text}");
    }
    // It does.
    let world = world(config(), &[Does::Twice(b"HTTP/1.1 100 Continue\r\n\r\n", OK)]).await;
    let mut stream = connect(&world).await;
    let head = ask(&mut stream, post.as_bytes()).await;
    assert_eq!(head, "HTTP/1.1 100 Continue\r\n\r\n");
    let head = ask(&mut stream, b"body").await;
    assert!(head.starts_with("HTTP/1.1 200 OK"), "{head}");
    // It says nothing: after a moment the client is told to send it all the same.
    let silent = crate::world::world(config(), &[Does::Twice(b"", OK)]).await;
    let mut stream = connect(&silent).await;
    assert_eq!(ask(&mut stream, post.as_bytes()).await, "HTTP/1.1 100 Continue\r\n\r\n");
    assert!(ask(&mut stream, b"body").await.starts_with("HTTP/1.1 200 OK"));
}

#[tokio::test]
async fn requests_in_one_go_are_answered_in_their_order() {
    let world = world(config(), &[Does::Web]).await;
    let mut stream = connect(&world).await;
    let requests = "\r\nGET http://origin.test/headers?1 HTTP/1.1\r\nHost: x\r\n\r\n\
        POST http://origin.test/echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n2;x\r\nab\r\n0\r\nA: b\r\n\r\n\r\n\
        POST http://origin.test/echo HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\ncd\
        GET https://origin.test/ HTTP/1.1\r\nHost: x\r\n\r\n\
        GET http://origin.test/headers?2 HTTP/1.1\r\nHost: x\r\n\r\n\
        GET http://origin.test/ HTTP/9.9\r\nHost: x\r\n\r\n\
        GET http://origin.test/headers?3 HTTP/1.1\r\nHost: x\r\n\r\n";
    // In pieces, so that heads and bodies arrive cut.
    for piece in requests.as_bytes().chunks(11) {
        stream.write_all(piece).await.unwrap();
    }
    let mut all = String::new();
    stream.read_to_string(&mut all).await.unwrap();
    let mut rest = all.as_str();
    for part in [
        "GET /headers?1\n",
        "ab",
        "cd",
        "400 Bad Request (hezar: bad-request)",
        "GET /headers?2\n",
        "400 Bad Request (hezar: bad-request)",
    ] {
        let place = rest.find(part).unwrap_or_else(|| panic!("{part} is missing in {all}"));
        rest = &rest[place + part.len()..];
    }
    assert!(!all.contains("headers?3"), "nothing follows a head that cannot be read: {all}");
}

#[tokio::test]
async fn the_bytes_of_a_websocket_are_never_read_as_requests() {
    let switched = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
    let world = world(config(), &[Does::Twice(switched, b"hello")]).await;
    let mut stream = connect(&world).await;
    let upgrade = "GET http://origin.test/ws HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
    let head = ask(&mut stream, format!("{upgrade}\x01\x02GET http://x/ HTTP/1.1\r\n\r\n").as_bytes()).await;
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    let mut back = String::new();
    stream.read_to_string(&mut back).await.unwrap();
    assert_eq!(back, "hello");
    // A target that does not switch: the answer, and the end of the connection.
    let plain = crate::world::world(config(), &[Does::Says(OK)]).await;
    let (head, body) = split(&say(&plain, upgrade.as_bytes()).await);
    assert!(head.contains("connection: close") && body == "ok", "{head}");
    eventually("the lease is given back", || plain.pool.node(plain.ids[0]).unwrap().in_flight() == 0).await;
}

#[tokio::test]
async fn heads_that_are_too_large_are_told_so() {
    let world = world(GatewayConfig { max_head: 8192, ..config() }, &[Does::Web]).await;
    for request in [
        format!("GET http://origin.test/{} HTTP/1.1\r\n\r\n", "a".repeat(9000)),
        format!("GET http://origin.test/ HTTP/1.1\r\n{}\r\n", "a:\r\n".repeat(1001)),
        format!(
            "GET http://origin.test/who HTTP/1.1\r\nHost: x\r\n\r\nGET http://origin.test/ HTTP/1.1\r\nA: {}",
            "a".repeat(300_000)
        ),
    ] {
        let (head, body) = split(&say(&world, request.as_bytes()).await);
        let last = body.rfind("HTTP/1.1").map_or(head.clone(), |place| body[place..].to_lowercase());
        assert!(last.starts_with("http/1.1 431 request header fields too large (hezar: header-too-large)"), "{last}");
    }
}
