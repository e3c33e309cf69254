//! The API as a program sees it, over a real socket; every answer is checked against the OpenAPI document.

mod contract;
mod document;
pub(crate) mod fake;
mod feed;
mod history;
mod live;
mod objects;
mod page;
mod replaced;
mod site_bans;
mod tls;
mod upgrade;

use std::{
    sync::{Arc, LazyLock, atomic::Ordering},
    time::Duration,
};

use hyper::StatusCode;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::watch,
};
use tokio_util::sync::CancellationToken;

use self::{
    contract::{Contract, Seen},
    fake::{Fake, node, session},
};
use hezar_core::settings::Networks;

use crate::*;

static CONTRACT: LazyLock<Contract> = LazyLock::new(|| Contract::new(&openapi_json()));

/// The settings of a server, which do not change.
pub(crate) fn fixed_config(hosts: &[&str]) -> watch::Receiver<ApiConfig> {
    watch::channel(config_of("secret", hosts)).1
}

/// The settings of a server with this token and these names.
fn config_of(token: &str, hosts: &[&str]) -> ApiConfig {
    let hosts = hosts.iter().map(|host| (*host).to_owned()).collect();
    ApiConfig {
        token: token.into(),
        hosts,
        only_health: false,
        open_metrics: true,
        tls: None,
        trusted_proxies: Networks::default(),
    }
}

/// One request to a fresh listener; gives the status line's number and the body.
async fn ask(request: &str) -> (u16, String) {
    ask_bytes(request.as_bytes()).await
}

async fn ask_bytes(request: &[u8]) -> (u16, String) {
    ask_with(fixed_config(&["hezar.example"]), request).await
}

/// One request to a fresh listener with these settings.
async fn ask_with(config: watch::Receiver<ApiConfig>, request: &[u8]) -> (u16, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let stop = CancellationToken::new();
    let served = tokio::spawn(serve(listener, config, Arc::new(Fake::default()), stop.clone()));
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request).await.unwrap();
    let mut answer = Vec::new();
    // A refused head leaves bytes unread, so the close may come as a reset after the answer.
    let _ = stream.read_to_end(&mut answer).await;
    let answer = String::from_utf8(answer).unwrap();
    stop.cancel();
    served.await.unwrap().unwrap();
    let status = answer.split(' ').nth(1).and_then(|s| s.parse().ok()).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    check_contract(request, status, head, body);
    (status, body.to_owned())
}

/// Fails when the OpenAPI document does not describe the answer.
fn check_contract(request: &[u8], status: u16, head: &str, body: &str) {
    let request = String::from_utf8_lossy(request);
    let mut words = request.split(' ');
    let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    // An answer in chunks is not read here.
    if head.to_lowercase().contains("transfer-encoding: chunked") {
        return;
    }
    let content_type = head.lines().find_map(|line| line.strip_prefix("content-type: ")).unwrap_or_default();
    let seen = Seen { method, path, status, content_type, body: body.as_bytes() };
    if let Err(wrong) = CONTRACT.check(&seen) {
        panic!(
            "{method} {path:.60} answers {status} {content_type} against the OpenAPI document: {wrong}: {body:.500}"
        );
    }
}

fn request(method: &str, path: &str, body: &str) -> String {
    format!(
        "{method} {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer secret\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

#[tokio::test]
async fn pages_and_filters() {
    let (status, body) = ask(&request("GET", "/api/v1/nodes?limit=5&offset=3", "")).await;
    assert_eq!(status, 200);
    let page: NodesPage = serde_json::from_str(&body).unwrap();
    assert_eq!((page.total, page.offset, page.nodes), (1, 3, vec![node()]));
    assert_eq!(ask(&request("GET", "/api/v1/nodes?state=odd", "")).await.0, 400);
    let (status, body) = ask(&request("GET", "/api/v1/nodes?colour=red", "")).await;
    assert_eq!(status, 400);
    assert!(body.contains("colour") && body.contains("api-bad-request"), "{body}");
}

#[tokio::test]
async fn one_node() {
    let id = node().id;
    assert_eq!(ask(&request("GET", &format!("/api/v1/nodes/{id}"), "")).await.0, 200);
    assert_eq!(ask(&request("GET", "/api/v1/nodes/ff", "")).await.0, 404);
    let (status, body) = ask(&request("GET", &format!("/api/v1/nodes/{id}/link"), "")).await;
    assert_eq!((status, body.as_str()), (200, r#"{"link":"ss://a"}"#));
    assert_eq!(ask(&request("GET", "/api/v1/nodes/ff/link", "")).await.0, 404);
    assert_eq!(ask(&request("DELETE", &format!("/api/v1/nodes/{id}"), "")).await.0, 200);
    assert_eq!(ask(&request("DELETE", "/api/v1/nodes/ff", "")).await.0, 404);
}

#[tokio::test]
async fn history_probes_and_readiness() {
    let (status, body) = ask(&request("GET", "/api/v1/history?from=0&to=120000&step=120&series=nodes,bytes", "")).await;
    let history: HistoryDto = serde_json::from_str(&body).unwrap();
    assert_eq!((status, history.step, history.points.len()), (200, 120, 1));
    assert!(!body.contains("latency"), "what is missing is left out: {body}");
    assert_eq!(ask(&request("GET", "/api/v1/history?since=0", "")).await.0, 400);
    let id = node().id;
    let (status, body) = ask(&request("GET", &format!("/api/v1/nodes/{id}/probes"), "")).await;
    let probes: NodeProbesDto = serde_json::from_str(&body).unwrap();
    assert_eq!((status, probes.probes.len(), probes.probes[1].counted), (200, 2, false));
    assert_eq!(ask(&request("GET", "/api/v1/nodes/ff/probes", "")).await.0, 404);
    // For a load balancer: no token, and the status says it.
    let (status, body) = ask("GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").await;
    let ready: ReadyDto = serde_json::from_str(&body).unwrap();
    assert_eq!((status, ready.ready, ready.reason.as_deref()), (503, false, Some("no node works")));
}

#[tokio::test]
async fn adds_and_removes() {
    let (status, body) = ask(&request("POST", "/api/v1/nodes", "ss://a\nss://b\n")).await;
    assert_eq!((status, serde_json::from_str::<AddReport>(&body).unwrap().added), (200, 2));
    let (status, body) = ask(&request("DELETE", "/api/v1/nodes", r#"{"ids":["x"]}"#)).await;
    assert_eq!((status, serde_json::from_str::<RemoveReport>(&body).unwrap().missing), (200, 1));
    assert_eq!(ask(&request("DELETE", "/api/v1/nodes", "no json")).await.0, 400);
    // What is not on the disk yet is accepted, and says so.
    let (status, body) = ask(&request("POST", "/api/v1/nodes", "behind\n")).await;
    let report: Saved<AddReport> = serde_json::from_str(&body).unwrap();
    assert_eq!((status, report.stored, report.done.added), (202, false, 1));
}

#[tokio::test]
async fn sessions_feedback_and_explanations() {
    let (status, body) = ask(&request("GET", "/api/v1/sessions", "")).await;
    assert_eq!((status, serde_json::from_str::<Vec<SessionDto>>(&body).unwrap()), (200, vec![session()]));
    let id = session().id;
    assert_eq!(ask(&request("POST", &format!("/api/v1/sessions/{id}/rotate"), "")).await.0, 200);
    assert_eq!(ask(&request("POST", "/api/v1/sessions/00/rotate", "")).await.0, 404);
    assert_eq!(ask(&request("POST", &format!("/api/v1/nodes/{}/rotate", node().id), "")).await.0, 200);
    assert_eq!(ask(&request("POST", "/api/v1/nodes/ffffffffffffffffffffffffffffffff/rotate", "")).await.0, 404);
    assert_eq!(ask(&request("DELETE", &format!("/api/v1/sessions/{id}"), "")).await.0, 200);
    assert_eq!(ask(&request("DELETE", "/api/v1/sessions/00", "")).await.0, 404);
    let told = r#"{"node":"n","site":"shop.example","verdict":"blocked"}"#;
    assert_eq!(ask(&request("POST", "/api/v1/feedback", told)).await.0, 200);
    assert_eq!(ask(&request("POST", "/api/v1/feedback", r#"{"colour":"red"}"#)).await.0, 400);
    let (status, body) = ask(&request("GET", "/api/v1/explain?user=alice-country-de&host=shop.example", "")).await;
    let told: ExplainDto = serde_json::from_str(&body).unwrap();
    assert_eq!((status, told.user.as_str(), told.site.as_deref()), (200, "alice-country-de", Some("shop.example")));
    assert_eq!(told.candidates[0].node, node());
    assert_eq!(ask(&request("GET", "/api/v1/explain?colour=red", "")).await.0, 400);
}

#[tokio::test]
async fn needs_the_token() {
    for header in ["", "Authorization: Bearer wrong\r\n", "Authorization: Basic secret\r\n"] {
        let text = format!("GET /api/v1/status HTTP/1.1\r\nHost: localhost\r\n{header}Connection: close\r\n\r\n");
        let (status, body) = ask(&text).await;
        assert_eq!(status, 401, "{header}");
        assert!(body.contains("api-unauthorized"));
    }
}

#[tokio::test]
async fn health_and_metrics_are_open() {
    for path in ["/healthz", "/metrics"] {
        let text = format!("GET {path} HTTP/1.1\r\nHost: 127.0.0.1:9090\r\nConnection: close\r\n\r\n");
        assert_eq!(ask(&text).await.0, 200, "{path}");
    }
}

#[tokio::test]
async fn refuses_foreign_hosts() {
    for (host, status) in [
        ("evil.example", 421),
        ("192.0.2.1", 421),
        ("hezar.example:9090", 200),
        ("[::1]:9090", 200),
        ("LOCALHOST", 200),
    ] {
        let text = format!("GET /healthz HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        assert_eq!(ask(&text).await.0, status, "{host}");
    }
}

#[tokio::test]
async fn an_oversized_head_is_refused() {
    let text = format!("GET /healthz HTTP/1.1\r\nHost: localhost\r\nX: {}\r\n\r\n", "a".repeat(400_000));
    assert_eq!(ask(&text).await.0, 431);
}

/// A status, and a code in a JSON body, for everything that can be wrong with a request.
#[tokio::test]
async fn every_error_is_json_with_a_code() {
    let with = |method: &str, path: &str, more: &str| {
        format!(
            "{method} {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer secret\r\nConnection: close\r\n{more}\r\n"
        )
    };
    let too_long = format!("Content-Length: {}\r\n", (32 << 20) + 1);
    for (text, status, code) in [
        (with("PUT", "/api/v1/nodes", ""), 405, "api-method"),
        (with("POST", "/healthz", ""), 405, "api-method"),
        (with("BREW", "/api/v1/status", ""), 405, "api-method"),
        (with("POST", "/api/v1/nodes", &too_long), 413, "api-too-large"),
        (with("POST", "/api/v1/nodes", "Content-Encoding: gzip\r\nContent-Length: 0\r\n"), 415, "api-media-type"),
        (with("POST", "/api/v1/nodes", "Content-Type: multipart/form-data; boundary=x\r\n"), 415, "api-media-type"),
        (with("POST", "/api/v1/nodes", "Transfer-Encoding: chunked\r\n\r\nxyz\r\n"), 400, "api-bad-request"),
        (request("POST", "/api/v1/feedback", "\u{fffd}{"), 400, "api-bad-request"),
        (request("GET", "/api/v1/nodes/%FF", ""), 400, "api-bad-request"),
        (request("GET", "/api/v1/nodes?limit=many", ""), 400, "api-bad-request"),
        (request("GET", "/api/v1/status?colour=red", ""), 400, "api-bad-request"),
        (request("GET", "/api/v1/sessions?colour=red", ""), 400, "api-bad-request"),
        (request("POST", "/api/v1/nodes?colour=red", "ss://a"), 400, "api-bad-request"),
        (request("POST", "/api/v1/fetch", "{\"colour\":1}"), 400, "api-bad-request"),
        (request("POST", "/api/v1/probe", "[]"), 400, "api-bad-request"),
        (request("GET", "/api/v1", ""), 404, "api-not-found"),
        ("nonsense\r\n\r\n".to_owned(), 400, "api-bad-request"),
        ("GET /healthz HTTP/1.1\r\nHost: a\r\nHost\x01: b\r\n\r\n".to_owned(), 400, "api-bad-request"),
        (with("GET", &format!("/{}", "a".repeat(70_000)), ""), 431, "api-bad-request"),
        (with("GET", "/healthz", &format!("X: {}\r\n", "a".repeat(100_000))), 431, "api-bad-request"),
    ] {
        let (got, body) = ask(&text).await;
        let line = text.lines().next().unwrap_or_default();
        let line: String = line.chars().take(60).collect();
        let json: serde_json::Value =
            serde_json::from_str(&body).unwrap_or_else(|e| panic!("{line}: {got} {e}: {body:?}"));
        assert_eq!((got, json["error"].as_str()), (status, Some(code)), "{line}");
        assert!(json["message"].as_str().is_some_and(|text| !text.is_empty()), "{line}");
    }
}

#[tokio::test]
async fn a_list_is_bytes_in_any_encoding() {
    let body = b"ss://a#\xc4\xe3\n\xff\xfe\n";
    let mut text = format!("POST /api/v1/nodes HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer secret\r\nConnection: close\r\nContent-Length: {}\r\n\r\n", body.len()).into_bytes();
    text.extend_from_slice(body);
    let (status, answer) = ask_bytes(&text).await;
    assert_eq!((status, serde_json::from_str::<AddReport>(&answer).unwrap().added), (200, 2));
}

#[tokio::test]
async fn work_that_goes_on_is_accepted() {
    for path in ["/api/v1/probe", "/api/v1/fetch"] {
        assert_eq!(ask(&request("POST", path, "")).await.0, 200, "{path}");
        assert_eq!(ask(&request("POST", path, "{\"wait\":0}")).await.0, 202, "{path}");
    }
    assert_eq!(ask(&request("GET", "/api/v1/sessions?session=other", "")).await.1, "[]");
}

/// One request over an open connection, its answer read up to the end of the body.
async fn ask_again(stream: &mut TcpStream, path: &str) {
    stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n").as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"# EOF\n") {
        assert_ne!(stream.read_buf(&mut answer).await.unwrap(), 0);
    }
}

#[tokio::test]
async fn cores_are_told_with_what_they_refuse() {
    let (status, body) = ask(&request("GET", "/api/v1/cores", "")).await;
    assert!(status == 200 && body.contains("\"no such cipher\"") && body.contains("\"nodes\":7"), "{status} {body}");
}

#[tokio::test]
async fn alerts_are_listed_and_tested() {
    let (status, body) = ask(&request("GET", "/api/v1/alerts", "")).await;
    assert!(status == 200 && body.contains("\"firing\""), "{status} {body}");
    let (status, body) = ask(&request("POST", "/api/v1/alerts/phone/test", "")).await;
    assert!(status == 200 && body.contains("timeout"), "{status} {body}");
    assert_eq!(ask(&request("POST", "/api/v1/alerts/other/test", "")).await.0, 404);
}

#[tokio::test]
async fn metrics_of_nodes_need_a_token_and_the_others_where_it_is_so_configured() {
    let without = |path: &str| format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    assert_eq!(ask(&without("/metrics")).await.0, 200);
    assert_eq!(ask(&without("/metrics/nodes")).await.0, 401);
    let (status, text) = ask(&request("GET", "/metrics/nodes", "")).await;
    assert!(status == 200 && text.contains("hezar_node_up"), "{status} {text}");
    let closed = || watch::channel(ApiConfig { open_metrics: false, ..config_of("secret", &[]) }).1;
    assert_eq!(ask_with(closed(), without("/metrics").as_bytes()).await.0, 401);
    assert_eq!(ask_with(closed(), request("GET", "/metrics", "").as_bytes()).await.0, 200);
    assert_eq!(ask_with(closed(), without("/healthz").as_bytes()).await.0, 200);
}

#[tokio::test]
async fn an_instance_without_the_role_answers_health_and_metrics_alone() {
    let without = |path: &str| format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    let limited = || watch::channel(ApiConfig { only_health: true, ..config_of("secret", &[]) }).1;
    for path in ["/healthz", "/readyz", "/metrics"] {
        let status = ask_with(limited(), without(path).as_bytes()).await.0;
        assert!(matches!(status, 200 | 503), "{path}: {status}");
    }
    assert_eq!(ask_with(limited(), without("/metrics/nodes").as_bytes()).await.0, 401);
    for path in ["/api/v1/status", "/", "/sub/x", "/version", "/api/v1/openapi.json"] {
        let (status, body) = ask_with(limited(), request("GET", path, "").as_bytes()).await;
        assert!(status == 421 && body.contains("api-other-role"), "{path}: {status} {body}");
    }
    let foreign = "GET /healthz HTTP/1.1\r\nHost: rebound.example\r\nConnection: close\r\n\r\n";
    assert_eq!(ask_with(limited(), foreign.as_bytes()).await.0, 421);
}

#[tokio::test]
async fn metrics_are_made_at_most_once_a_second_however_many_ask() {
    let (listener, control) = (TcpListener::bind("127.0.0.1:0").await.unwrap(), Arc::new(Fake::default()));
    let (address, stop) = (listener.local_addr().unwrap(), CancellationToken::new());
    let config = fixed_config(&[]);
    let served = tokio::spawn(serve(listener, config, Arc::clone(&control) as Arc<dyn Control>, stop.clone()));
    let began = tokio::time::Instant::now();
    let asking = (0..8).map(|_| async move {
        let mut stream = TcpStream::connect(address).await.unwrap();
        for _ in 0..50 {
            ask_again(&mut stream, "/metrics").await;
        }
    });
    let asking: Vec<_> = asking.map(tokio::spawn).collect();
    for one in asking {
        one.await.unwrap();
    }
    let most = began.elapsed().as_secs() as usize + 1;
    let made = control.metrics_made.load(Ordering::Relaxed);
    assert!((1..=most).contains(&made), "{made} pages in {:?}", began.elapsed());
    stop.cancel();
    served.await.unwrap().unwrap();
}

/// Peers that pipeline and never read, and peers that never finish a head, leave places for others and lose theirs.
#[tokio::test]
async fn one_address_never_takes_all_places_and_who_does_not_read_is_cut_off() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, stop) = (listener.local_addr().unwrap(), CancellationToken::new());
    let config = fixed_config(&[]);
    let served = tokio::spawn(serve(listener, config, Arc::new(Fake::default()), stop.clone()));
    let mut hostile = Vec::new();
    for number in 0..300 {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let text = if number % 2 == 0 { "GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n" } else { "GET /metr" };
        // The refused ones are closed already.
        let _ = stream.write_all(text.as_bytes()).await;
        hostile.push(stream);
    }
    // Another address of this machine is served at once.
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.2:0".parse().unwrap()).unwrap();
    let mut stream = socket.connect(address).await.unwrap();
    let served_in_time = tokio::time::timeout(Duration::from_secs(5), ask_again(&mut stream, "/metrics")).await;
    assert!(served_in_time.is_ok(), "another address waits");
    stop.cancel();
    drop(hostile);
    served.await.unwrap().unwrap();
}

#[tokio::test]
async fn unknown_paths_say_so() {
    let (status, body) = ask(&request("GET", "/nothing", "")).await;
    assert_eq!(status, 404);
    assert!(body.contains("api-not-found"));
}

#[tokio::test]
async fn bans_are_made_listed_and_lifted() {
    let id = node().id;
    let (status, body) = ask(&request("POST", "/api/v1/bans", &format!(r#"{{"ids":["{id}"]}}"#))).await;
    assert_eq!((status, serde_json::from_str::<RemoveReport>(&body).unwrap().banned), (200, 1));
    let (status, body) = ask(&request("GET", "/api/v1/bans", "")).await;
    assert_eq!((status, serde_json::from_str::<Vec<BanDto>>(&body).unwrap()[0].since), (200, 1));
    let (status, body) = ask(&request("DELETE", "/api/v1/bans", r#"{"ids":["x"]}"#)).await;
    assert_eq!((status, serde_json::from_str::<LiftReport>(&body).unwrap().missing), (200, 1));
    assert_eq!(ask(&request("DELETE", &format!("/api/v1/bans/{id}"), "")).await.0, 200);
    assert_eq!(ask(&request("DELETE", "/api/v1/bans/ff", "")).await.0, 404);
}

#[tokio::test]
async fn usage_is_told_by_day_and_by_user() {
    let (status, body) = ask(&request("GET", "/api/v1/usage?user=alice&from=2027-01-01&limit=10", "")).await;
    assert_eq!(status, 200);
    assert!(body.contains("\"day\":\"2027-01-31\"") && body.contains("\"next\":null"), "{body}");
    assert_eq!(ask(&request("GET", "/api/v1/usage?from=odd", "")).await.0, 400);
    assert_eq!(ask(&request("GET", "/api/v1/usage?form=2027-01-01", "")).await.0, 400);
    let (status, body) = ask(&request("GET", "/api/v1/users/alice/usage", "")).await;
    assert_eq!((status, body.contains("\"total\":{\"up\":1,\"down\":2}")), (200, true), "{body}");
    assert_eq!(ask(&request("GET", "/api/v1/users/bob/usage", "")).await.0, 404);
}

#[tokio::test]
async fn nodes_are_marked_one_or_many() {
    let id = node().id;
    let path = format!("/api/v1/nodes/{id}");
    let (status, body) = ask(&request("PATCH", &path, r#"{"disabled":true,"tags":["paid"]}"#)).await;
    assert_eq!((status, serde_json::from_str::<Saved<NodeDto>>(&body).unwrap().stored), (200, true));
    assert_eq!(ask(&request("PATCH", &path, r#"{"colour":1}"#)).await.0, 400);
    assert_eq!(ask(&request("PATCH", "/api/v1/nodes/ff", "{}")).await.0, 404);
    let many = |which: &str| request("PATCH", "/api/v1/nodes", &format!(r#"{{{which}"set":{{"pinned":true}}}}"#));
    let (status, body) = ask(&many(&format!(r#""ids":["{id}","x"],"#))).await;
    let report: MarkReport = serde_json::from_str(&body).unwrap();
    assert_eq!((status, report.matched, report.missing), (200, 1, 1));
    assert_eq!(ask(&many(r#""filter":{"state":"dead"},"#)).await.0, 200);
    assert_eq!(ask(&many("")).await.0, 400, "neither ids nor a filter");
    assert_eq!(ask(&many(r#""ids":["x"],"filter":{},"#)).await.0, 400, "both");
}

#[tokio::test]
async fn exits_sites_and_proxy_addresses() {
    assert_eq!(ask(&request("GET", "/api/v1/exits?country=de&sort=-nodes", "")).await.0, 200);
    assert_eq!(ask(&request("GET", "/api/v1/exits/203.0.113.7", "")).await.0, 200);
    assert_eq!(ask(&request("GET", "/api/v1/exits/203.0.113.8", "")).await.0, 404);
    let id = node().id;
    assert_eq!(ask(&request("GET", &format!("/api/v1/nodes/{id}/sites?site=example.com"), "")).await.0, 200);
    assert_eq!(ask(&request("GET", &format!("/api/v1/nodes/{id}/sites"), "")).await.0, 400);
    let (status, body) = ask(&request("GET", "/api/v1/proxy?country=de", "")).await;
    assert_eq!((status, serde_json::from_str::<ProxyDto>(&body).unwrap().host), (200, "localhost".into()));
}
