//! The API as a program sees it, over a real socket.

use std::{collections::BTreeMap, sync::Arc};

use async_trait::async_trait;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};
use tokio_util::sync::CancellationToken;

use crate::*;

struct Fake;

fn node() -> NodeDto {
    NodeDto {
        id: "00".repeat(16),
        name: "a".into(),
        state: "healthy".into(),
        scheme: "ss".into(),
        server: "192.0.2.1".into(),
        port: 8388,
        transport: "tcp".into(),
        security: "none".into(),
        insecure: false,
        latency_ms: Some(12),
        failures: 0,
        in_flight: 1,
        last_ok: Some(1),
        last_checked: Some(1),
        next_check: Some(2),
        last_error: None,
        exit_ip: None,
        country: None,
        sources: vec!["mine".into()],
        unsupported: None,
        quarantine: None,
    }
}

fn session() -> SessionDto {
    SessionDto {
        id: "0123456789abcdef".into(),
        listener: "proxy".into(),
        user: "alice".into(),
        session: "a1".into(),
        country: None,
        node: None,
        exit_ip: None,
        began: 1,
        ends: 2,
    }
}

#[async_trait]
impl Control for Fake {
    fn nodes(&self, query: &NodesQuery) -> Result<NodesPage, ApiError> {
        if query.state.as_deref() == Some("odd") {
            return Err(ApiError::BadRequest("state is one of new, healthy, suspect, dead".into()));
        }
        Ok(NodesPage { total: 1, offset: query.offset.unwrap_or(0), nodes: vec![node()] })
    }

    fn node(&self, id: &str) -> Result<Option<NodeDto>, ApiError> {
        Ok((id == node().id).then(node))
    }

    async fn add(&self, text: &str) -> Result<Saved<AddReport>, ApiError> {
        let report = AddReport { added: text.lines().count(), ..AddReport::default() };
        Ok(Saved { done: report, stored: !text.contains("behind") })
    }

    async fn remove(&self, request: &RemoveRequest) -> Result<Saved<RemoveReport>, ApiError> {
        let removed = request.ids.iter().filter(|id| **id == node().id).count();
        Ok(Saved { done: RemoveReport { removed, missing: request.ids.len() - removed }, stored: true })
    }

    fn sessions(&self) -> Vec<SessionDto> {
        vec![session()]
    }

    async fn rotate(&self, id: &str) -> Result<Option<Saved<SessionDto>>, ApiError> {
        Ok((id == session().id).then(|| Saved { done: session(), stored: true }))
    }

    async fn end_session(&self, id: &str) -> Result<Option<Saved<EndReport>>, ApiError> {
        Ok((id == session().id).then_some(Saved { done: EndReport { ended: true }, stored: true }))
    }

    fn feedback(&self, request: &FeedbackRequest) -> Result<FeedbackReport, ApiError> {
        let node = request.node.clone().ok_or(ApiError::NotFound)?;
        Ok(FeedbackReport { node, site: request.site.clone() })
    }

    fn explain(&self, query: &ExplainQuery) -> Result<ExplainDto, ApiError> {
        Ok(ExplainDto {
            listener: "proxy".into(),
            user: query.user.clone().unwrap_or_default(),
            strategy: "smart".into(),
            country: None,
            session: None,
            site: query.host.clone(),
            nodes: 1,
            fitting: 1,
            exits: 1,
            pinned: None,
            pinned_fits: None,
            candidates: vec![CandidateDto { node: node(), score: 1.5 }],
            excluded: Vec::new(),
        })
    }

    fn status(&self) -> StatusDto {
        StatusDto {
            version: "0".into(),
            uptime_s: 1,
            proxy: "127.0.0.1:8000".into(),
            nodes: StateCounts { healthy: 1, ..StateCounts::default() },
            exits: 1,
            schemes: BTreeMap::new(),
            sources: Vec::new(),
            traffic: TrafficDto::default(),
            troubles: Vec::new(),
            store: StoreDto::default(),
        }
    }

    fn metrics(&self) -> String {
        "# EOF\n".into()
    }
}

/// One request to a fresh listener; gives the status line's number and the body.
async fn ask(request: &str) -> (u16, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let stop = CancellationToken::new();
    let config = ApiConfig { token: "secret".into(), hosts: vec!["hezar.example".into()] };
    let served = tokio::spawn(serve(listener, config, Arc::new(Fake), stop.clone()));
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    // A refused head leaves bytes unread, so the close may come as a reset after the answer.
    let _ = stream.read_to_end(&mut answer).await;
    let answer = String::from_utf8(answer).unwrap();
    stop.cancel();
    served.await.unwrap().unwrap();
    let status = answer.split(' ').nth(1).and_then(|s| s.parse().ok()).unwrap();
    (status, answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).unwrap_or_default())
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
    assert_eq!(ask(&request("DELETE", &format!("/api/v1/nodes/{id}"), "")).await.0, 200);
    assert_eq!(ask(&request("DELETE", "/api/v1/nodes/ff", "")).await.0, 404);
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

#[tokio::test]
async fn unknown_paths_say_so() {
    let (status, body) = ask(&request("GET", "/nothing", "")).await;
    assert_eq!(status, 404);
    assert!(body.contains("api-not-found"));
}
