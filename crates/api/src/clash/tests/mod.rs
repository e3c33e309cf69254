//! The Clash API as a dashboard sees it, over a real socket.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{Arc, atomic::AtomicUsize},
    time::Duration,
};

use async_trait::async_trait;
use futures_util::StreamExt;
use hezar_core::{Group, GroupMember, NodeId, Target, Timestamp};
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};
use tokio_tungstenite::{WebSocketStream, tungstenite};
use tokio_util::sync::CancellationToken;

use crate::{
    tests::{fake::Fake, fixed_config},
    *,
};

mod access;
mod instance;
mod pool;
mod strangers;
mod streams;
mod views;

/// What the fake instance remembers of a dashboard.
pub(crate) struct FakeDashboard {
    settings: Mutex<ClashSettings>,
    log_level: Mutex<String>,
    selections: Mutex<BTreeMap<Group, GroupMember>>,
    values: Mutex<BTreeMap<String, Arc<str>>>,
    /// How often the pool was looked at.
    looks: AtomicUsize,
}

impl Default for FakeDashboard {
    fn default() -> Self {
        Self {
            settings: Mutex::default(),
            log_level: Mutex::new("info".to_owned()),
            selections: Mutex::default(),
            values: Mutex::default(),
            looks: AtomicUsize::new(0),
        }
    }
}

fn id(number: u8) -> NodeId {
    NodeId::from_bytes([number; 16])
}

/// Ten nodes: those of even numbers in Germany. Two have the same label, one has a group's name.
fn nodes() -> Vec<DashboardNode> {
    let node = |number: u8| DashboardNode {
        id: id(number),
        label: match number {
            1 | 2 => "twin".to_owned(),
            3 => "AUTO".to_owned(),
            4 => "a/b? 🇩🇪 #4".to_owned(),
            5 => "long ".repeat(30),
            _ => format!("node {number}"),
        },
        shares_label: number < 3,
        scheme: "vless",
        alive: number != 9,
        datagrams: true,
        tests: (0..3)
            .map(|test| DashboardTest {
                at: Timestamp(1_700_000_000_000 + test * 1000),
                latency: (number != 9).then(|| Duration::from_millis(u64::from(number) * 10 + test)),
            })
            .collect(),
        country: Some(if number.is_multiple_of(2) { *b"DE" } else { *b"US" }),
        sources: vec!["my/list".into()],
    };
    (0..10).map(node).collect()
}

/// A source that lists 1,000 more nodes than there are.
fn source() -> SourceDto {
    let subscription = SubscriptionDto { used: Some(5), total: Some(10), expires: Some(4000), ..Default::default() };
    SourceDto {
        name: "my/list".into(),
        kind: "url".into(),
        nodes: 1010,
        healthy: 9,
        exits: 1,
        unique_exits: 1,
        half_life_s: None,
        quarantined: false,
        rejected: 0,
        subscription: Some(subscription),
        left_out: 0,
        last_ok: Some(1_795_932_000_000),
        error: None,
        error_text: None,
        next: None,
    }
}

fn is_in(view: &DashboardView, node: &DashboardNode) -> bool {
    match view {
        DashboardView::Best | DashboardView::All => true,
        DashboardView::Healthy => node.alive,
        DashboardView::Country(country) => node.country == Some(*country),
        DashboardView::Source(source) => node.sources.contains(source),
    }
}

#[async_trait]
impl DashboardPort for Fake {
    fn dashboard_pool(&self, view: &DashboardView, most: usize) -> DashboardPool {
        self.dashboard.looks.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        DashboardPool {
            nodes: nodes().into_iter().filter(|node| is_in(view, node)).take(most).collect(),
            countries: vec![(*b"DE", 5), (*b"US", 4)],
            sources: vec![source()],
            selections: self.dashboard.selections.lock().clone().into_iter().collect(),
        }
    }

    fn dashboard_instance(&self) -> DashboardInstance {
        DashboardInstance {
            settings: self.dashboard.settings.lock().clone(),
            listeners: vec![("proxy".into(), SocketAddr::from(([127, 0, 0, 1], 8000)))],
            log_level: self.dashboard.log_level.lock().clone(),
            probe_url: "http://probe.test/".into(),
        }
    }

    async fn select(&self, group: Group, member: Option<GroupMember>) -> Result<Saved<()>, ApiError> {
        let mut selections = self.dashboard.selections.lock();
        match member {
            Some(member) => selections.insert(group, member),
            None => selections.remove(&group),
        };
        Ok(Saved { done: (), stored: true })
    }

    async fn set_log_level(&self, by: &ChangedBy, level: &str) -> Result<(), ApiError> {
        if level == "silent" {
            return Err(ApiError::Conflict("the file says it".into()));
        }
        assert_eq!((&*by.who, by.via), ("token", "api"));
        level.clone_into(&mut self.dashboard.log_level.lock());
        Ok(())
    }

    fn dashboard_connections(&self) -> Vec<DashboardConnection> {
        vec![DashboardConnection {
            id: 7,
            listener: "proxy".into(),
            inbound: "connect",
            client: [127, 0, 0, 1].into(),
            user: "alice".into(),
            target: Target::parse("example.com:443").ok(),
            since: Timestamp(1_795_932_000_123),
            node: Some(id(6)),
            exit: "192.0.2.1".parse().ok(),
            up: 10,
            down: 20,
        }]
    }

    fn resident_memory(&self) -> u64 {
        12_345
    }

    fn stored_value(&self, key: &str) -> Option<Arc<str>> {
        self.dashboard.values.lock().get(key).cloned()
    }

    async fn store_value(&self, key: &str, value: Option<Arc<str>>) -> Result<Saved<()>, ApiError> {
        let mut values = self.dashboard.values.lock();
        match value {
            Some(value) => values.insert(key.to_owned(), value),
            None => values.remove(key),
        };
        Ok(Saved { done: (), stored: true })
    }
}

/// A running API.
struct Server {
    address: SocketAddr,
    fake: Arc<Fake>,
    stop: CancellationToken,
}

/// An answer: the status, the head and the body.
struct Answer(u16, String, String);

impl Answer {
    fn json(&self) -> Value {
        assert!(self.2.ends_with('\n'), "JSON ends with a line break: {}", self.2);
        serde_json::from_str(&self.2).unwrap_or_else(|error| panic!("{error}: {}", self.2))
    }
}

impl Server {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (fake, stop) = (Arc::new(Fake::default()), CancellationToken::new());
        let config = fixed_config(&[]);
        tokio::spawn(serve(listener, config, fake.clone(), stop.clone()));
        Self { address, fake, stop }
    }

    async fn raw(&self, request: &str) -> Answer {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        let answer = String::from_utf8(answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        Answer(head.split(' ').nth(1).unwrap().parse().unwrap(), head.to_lowercase(), body.to_owned())
    }

    async fn ask_with(&self, method: &str, path: &str, headers: &str, body: &str) -> Answer {
        let length = body.len();
        self.raw(&format!(
            "{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: {length}\r\n{headers}\r\n{body}"
        ))
        .await
    }

    async fn ask(&self, method: &str, path: &str, body: &str) -> Answer {
        self.ask_with(method, path, "Authorization: Bearer secret\r\n", body).await
    }

    /// A WebSocket, with the token in its address.
    async fn socket(&self, path: &str) -> Result<WebSocketStream<TcpStream>, tungstenite::Error> {
        self.socket_with_token(path, "secret").await
    }

    async fn socket_with_token(
        &self,
        path: &str,
        token: &str,
    ) -> Result<WebSocketStream<TcpStream>, tungstenite::Error> {
        let stream = TcpStream::connect(self.address).await.unwrap();
        let sign = if path.contains('?') { '&' } else { '?' };
        let url = format!("ws://localhost{path}{sign}token={token}");
        tokio_tungstenite::client_async(url, stream).await.map(|(socket, _)| socket)
    }

    async fn get(&self, path: &str) -> Value {
        let answer = self.ask("GET", path, "").await;
        assert_eq!(answer.0, 200, "{path}: {}", answer.2);
        answer.json()
    }
}

/// The next message of a socket as JSON.
async fn next_line(socket: &mut WebSocketStream<TcpStream>) -> Value {
    serde_json::from_str(socket.next().await.unwrap().unwrap().to_text().unwrap()).unwrap()
}

/// The status with which a WebSocket was refused.
fn refused(opened: Result<WebSocketStream<TcpStream>, tungstenite::Error>) -> u16 {
    match opened {
        Err(tungstenite::Error::Http(answer)) => answer.status().as_u16(),
        other => panic!("{other:?}"),
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}
