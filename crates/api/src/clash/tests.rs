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
use tokio_tungstenite::tungstenite;
use tokio_util::sync::CancellationToken;

use crate::{tests::fake::Fake, *};

/// What the fake instance remembers of a dashboard.
#[derive(Default)]
pub(crate) struct FakeDashboard {
    settings: Mutex<ClashSettings>,
    selections: Mutex<BTreeMap<Group, GroupMember>>,
    values: Mutex<BTreeMap<String, Arc<str>>>,
    /// How often the pool was looked at.
    looks: AtomicUsize,
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
        checked: Some(Timestamp(1_795_932_000_123)),
        latency: Some(Duration::from_millis(u64::from(number) * 10)),
        country: Some(if number.is_multiple_of(2) { *b"DE" } else { *b"US" }),
        sources: vec!["my/list".into()],
    };
    (0..10).map(node).collect()
}

#[async_trait]
impl DashboardPort for Fake {
    fn dashboard_pool(&self, most: usize) -> DashboardPool {
        self.dashboard.looks.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let subscription =
            SubscriptionDto { used: Some(5), total: Some(10), expires: Some(4000), ..Default::default() };
        let source = SourceDto {
            name: "my/list".into(),
            kind: "url".into(),
            nodes: 10,
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
        };
        DashboardPool {
            nodes: nodes().into_iter().take(most).collect(),
            total: 10,
            countries: vec![(*b"DE", 5), (*b"US", 4)],
            sources: vec![source],
            selections: self.dashboard.selections.lock().clone().into_iter().collect(),
        }
    }

    fn dashboard_instance(&self) -> DashboardInstance {
        DashboardInstance {
            settings: self.dashboard.settings.lock().clone(),
            listeners: vec![("proxy".into(), SocketAddr::from(([127, 0, 0, 1], 8000)))],
            log_level: "info".into(),
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
        let config = ApiConfig { token: "secret".into(), hosts: Vec::new() };
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

    async fn get(&self, path: &str) -> Value {
        let answer = self.ask("GET", path, "").await;
        assert_eq!(answer.0, 200, "{path}: {}", answer.2);
        answer.json()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

#[tokio::test]
async fn the_token_is_needed_and_counts_in_a_query_for_websockets_only() {
    let server = Server::start().await;
    for (method, path) in
        [("GET", "/version"), ("GET", "/proxies?token=secret"), ("PUT", "/proxies/POOL"), ("GET", "/logs")]
    {
        let answer = server.ask_with(method, path, "", "").await;
        assert_eq!((answer.0, answer.json()), (401, json!({ "message": "Unauthorized" })), "{method} {path}");
    }
    let open = async |query: &str| {
        let stream = TcpStream::connect(server.address).await.unwrap();
        tokio_tungstenite::client_async(format!("ws://localhost/traffic{query}"), stream).await
    };
    let Err(tungstenite::Error::Http(refused)) = open("?token=wrong").await else { panic!() };
    assert_eq!(refused.status(), 401);
    let (mut socket, _) = open("?token=secret").await.unwrap();
    let first: Value = serde_json::from_str(socket.next().await.unwrap().unwrap().to_text().unwrap()).unwrap();
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
async fn groups_name_nodes_and_providers_describe_them() {
    let server = Server::start().await;
    assert_eq!(server.get("/version").await["meta"], true);
    let proxies = server.get("/proxies").await["proxies"].clone();
    let pool: Vec<&str> =
        proxies["POOL"]["all"].as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect();
    assert_eq!(pool[..4], ["AUTO", "DE", "US", "my_list"], "{pool:?}");
    assert_eq!((&proxies["POOL"]["type"], &proxies["POOL"]["now"]), (&json!("Selector"), &json!("AUTO")));
    assert_eq!((&proxies["AUTO"]["type"], proxies["AUTO"].get("now")), (&json!("LoadBalance"), None));
    assert_eq!(proxies["GLOBAL"]["all"], json!(["POOL", "AUTO", "DE", "US", "my_list"]));
    assert_eq!(proxies["DE"]["all"].as_array().unwrap().len(), 6);
    assert!(proxies.get("DIRECT").is_none());
    let unique: std::collections::BTreeSet<_> = pool.iter().collect();
    assert_eq!(unique.len(), pool.len());
    for name in ["twin #010101", "twin #020202", "AUTO #030303", "a/b? 🇩🇪 #4", "node 6"] {
        assert!(pool.contains(&name), "{name} in {pool:?}");
    }
    let providers = server.get("/providers/proxies").await["providers"].clone();
    let mine = &providers["my_list"];
    assert_eq!((&mine["vehicleType"], mine["proxies"].as_array().unwrap().len()), (&json!("HTTP"), 10));
    assert_eq!(mine["subscriptionInfo"], json!({ "Upload": 0, "Download": 5, "Total": 10, "Expire": 4 }));
    let node = &mine["proxies"][6];
    assert_eq!((&node["name"], &node["type"], &node["alive"]), (&json!("node 6"), &json!("Vless"), &json!(true)));
    assert_eq!(node["history"], json!([{ "time": "2026-11-29T06:00:00.123000000Z", "delay": 60 }]));
    let dead = &mine["proxies"][9];
    assert_eq!((&dead["alive"], &dead["history"][0]["delay"]), (&json!(false), &json!(0)));
    assert_eq!(server.get("/group").await["proxies"].as_array().unwrap().len(), 6);
    assert_eq!(server.get("/group/POOL").await["name"], "POOL");
    // A name with a slash and other signs comes encoded.
    let path = "/proxies/a%2Fb%3F%20%F0%9F%87%A9%F0%9F%87%AA%20%234";
    assert_eq!(server.get(path).await["type"], "Vless");
    assert_eq!(server.get("/providers/proxies/my_list/node%206").await["name"], "node 6");
    for missing in
        ["/proxies/absent", "/group/node%206", "/providers/proxies/absent", "/providers/proxies/absent/node%206"]
    {
        let answer = server.ask("GET", missing, "").await;
        assert_eq!((answer.0, answer.json()), (404, json!({ "message": "Resource not found" })), "{missing}");
    }
    assert!(
        server.fake.dashboard.looks.load(std::sync::atomic::Ordering::Relaxed) <= 3,
        "many answers, few looks at the pool"
    );
}

#[tokio::test]
async fn a_member_is_selected_and_given_up() {
    let server = Server::start().await;
    let put = async |group: &str, name: &str| {
        server.ask("PUT", &format!("/proxies/{group}"), &json!({ "name": name }).to_string()).await
    };
    assert_eq!(put("POOL", "node 6").await.0, 204);
    assert_eq!(server.fake.dashboard.selections.lock().get(&Group::Pool), Some(&GroupMember::Node(id(6))));
    let pool = server.get("/proxies/POOL").await;
    assert_eq!((&pool["now"], &pool["all"][1]), (&json!("node 6"), &json!("node 6")), "the selected one is in front");
    assert_eq!(put("POOL", "DE").await.0, 204);
    assert_eq!(put("DE", "node 8").await.0, 204);
    assert_eq!(put("POOL", "my_list").await.0, 204);
    let selections = server.fake.dashboard.selections.lock().clone();
    let expected =
        [(Group::Pool, GroupMember::Source("my/list".into())), (Group::Country(*b"DE"), GroupMember::Node(id(8)))];
    assert_eq!(selections, BTreeMap::from(expected));
    // A selected node that is dead is not shown as the one in use.
    assert_eq!(put("POOL", "node 9").await.0, 204);
    assert_eq!(server.get("/proxies/POOL").await["now"], "AUTO");
    assert_eq!(put("POOL", "AUTO").await.0, 204);
    assert_eq!(server.ask("DELETE", "/proxies/DE", "").await.0, 204);
    assert!(server.fake.dashboard.selections.lock().is_empty());
    for (group, name, status, message) in [
        ("POOL", "absent", 400, "Selector update error: proxy not exist"),
        ("DE", "US", 400, "Selector update error: proxy not exist"),
        ("AUTO", "node 6", 400, "Must be a Selector"),
        ("node%206", "node 6", 400, "Must be a Selector"),
        ("absent", "node 6", 404, "Resource not found"),
    ] {
        let answer = put(group, name).await;
        assert_eq!((answer.0, answer.json()), (status, json!({ "message": message })), "{group} {name}");
    }
    assert_eq!(put("GLOBAL", "POOL").await.0, 204);
    assert_eq!(put("GLOBAL", "DE").await.0, 400);
    let broken = server.ask("PUT", "/proxies/POOL", "{").await;
    assert_eq!((broken.0, broken.json()), (400, json!({ "message": "Body invalid" })));
}

#[tokio::test]
async fn long_answers_are_compressed_and_sent_once() {
    let server = Server::start().await;
    let headers = "Authorization: Bearer secret\r\nAccept-Encoding: gzip\r\n";
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    let request = format!("GET /proxies HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{headers}\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    let head = String::from_utf8_lossy(&answer).to_lowercase();
    assert!(head.contains("content-encoding: gzip"), "{head:.300}");
    let Answer(_, head, _) = server.ask("GET", "/providers/proxies", "").await;
    let tag = head.lines().find_map(|line| line.strip_prefix("etag: ")).unwrap().to_owned();
    for known in [tag.clone(), format!("W/{tag}"), format!("\"other\", {tag}")] {
        let headers = format!("Authorization: Bearer secret\r\nIf-None-Match: {known}\r\n");
        let answer = server.ask_with("GET", "/providers/proxies", &headers, "").await;
        assert_eq!((answer.0, answer.2.len()), (304, 0), "{known}");
    }
}

#[tokio::test]
async fn tests_of_nodes_need_their_parameters() {
    let server = Server::start().await;
    for query in [
        "",
        "?timeout=100",
        "?url=http://a.test/",
        "?url=http://a.test/&timeout=32768",
        "?url=http://a.test/&timeout=-1",
        "?url=file:///etc/passwd&timeout=100",
    ] {
        let answer = server.ask("GET", &format!("/proxies/node%206/delay{query}"), "").await;
        assert_eq!((answer.0, answer.json()), (400, json!({ "message": "Body invalid" })), "{query}");
    }
    // The fake prober never says anything.
    let answer = server.ask("GET", "/proxies/node%206/delay?url=http://a.test/&timeout=100", "").await;
    assert_eq!((answer.0, answer.json()), (504, json!({ "message": "Timeout" })));
    let answer = server.ask("GET", "/group/DE/delay?url=http://a.test/&timeout=40000", "").await;
    assert_eq!((answer.0, answer.json()), (504, json!({ "message": "get delay: all proxies timeout" })));
    assert_eq!(server.ask("GET", "/providers/proxies/my_list/healthcheck", "").await.0, 204);
    assert_eq!(server.ask("PUT", "/providers/proxies/my_list", "").await.0, 204);
}

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
    let stream = TcpStream::connect(server.address).await.unwrap();
    let url = "ws://localhost/connections?token=secret&interval=200";
    let (mut socket, _) = tokio_tungstenite::client_async(url, stream).await.unwrap();
    for _ in 0..2 {
        let line: Value = serde_json::from_str(socket.next().await.unwrap().unwrap().to_text().unwrap()).unwrap();
        assert_eq!(line["connections"][0]["id"], "7");
    }
}

#[tokio::test]
async fn the_log_is_followed_in_the_words_of_clash() {
    let server = Server::start().await;
    assert_eq!(server.ask("GET", "/logs?level=odd", "").await.0, 400);
    for (query, line) in [
        ("", json!({ "type": "info", "payload": "started a=1" })),
        ("&format=structured", json!({ "time": "00:00:00", "level": "info", "message": "started a=1", "fields": [] })),
    ] {
        let stream = TcpStream::connect(server.address).await.unwrap();
        let url = format!("ws://localhost/logs?token=secret{query}");
        let (mut socket, _) = tokio_tungstenite::client_async(url, stream).await.unwrap();
        // Two lines were there before, and one comes now.
        for number in 0..3 {
            if number == 2 {
                server.fake.logged.send_modify(|last| *last += 1);
            }
            let seen: Value = serde_json::from_str(socket.next().await.unwrap().unwrap().to_text().unwrap()).unwrap();
            assert_eq!(seen, line);
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
    for (body, status) in
        [("{\"mode\":\"Rule\"}", 204), ("{\"mode\":\"global\"}", 400), ("{\"ipv6\":false}", 204), ("[", 400)]
    {
        assert_eq!(server.ask("PATCH", "/configs", body).await.0, status, "{body}");
    }
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
    for path in
        ["/ui/../token", "/ui/%2e%2e/token", "/ui/..%2ftoken", "/ui//etc/passwd", "/ui/assets/../../token", "/ui/none"]
    {
        let answer = server.ask_with("GET", path, "", "").await;
        assert!(answer.0 == 404 && !answer.2.contains("secret"), "{path}: {} {}", answer.0, answer.2);
    }
    assert_eq!(server.ask_with("POST", "/ui/", "", "").await.0, 405);
}

#[tokio::test]
async fn switched_off_it_does_not_exist() {
    let server = Server::start().await;
    server.fake.dashboard.settings.lock().enabled = false;
    for path in ["/version", "/proxies", "/ui/"] {
        assert_eq!(server.ask("GET", path, "").await.0, 404, "{path}");
    }
    assert_eq!(server.ask("GET", "/api/v1/status", "").await.0, 200);
}
