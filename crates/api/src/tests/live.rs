//! Connections, the log, events and jobs, as a program sees them.

use super::*;

/// A server that lives as long as the test, and its fake.
struct Server {
    address: std::net::SocketAddr,
    fake: Arc<Fake>,
    stop: CancellationToken,
    serving: tokio::task::JoinHandle<Result<(), ApiServeError>>,
}

impl Server {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, stop, fake) =
            (listener.local_addr().unwrap(), CancellationToken::new(), Arc::new(Fake::default()));
        let config = fixed_config(&[]);
        let serving = tokio::spawn(serve(listener, config, Arc::clone(&fake) as Arc<dyn Control>, stop.clone()));
        Self { address, fake, stop, serving }
    }

    async fn end(self) {
        self.stop.cancel();
        self.serving.await.unwrap().unwrap();
    }

    async fn ask(&self, method: &str, path: &str, body: &str) -> (u16, serde_json::Value) {
        let request = request(method, path, body);
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        check_contract(request.as_bytes(), status, head, body);
        (status, serde_json::from_str(body).unwrap())
    }

    /// Opens a stream of events, and reads its head.
    async fn watch(&self, path: &str, more: &str) -> EventReader {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        let head = format!(
            "GET {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer secret\r\nConnection: close\r\n{more}\r\n"
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut reader = EventReader { stream, text: String::new() };
        let head = reader.until("\r\n\r\n").await.unwrap();
        assert!(head.starts_with("HTTP/1.1 200") && head.contains("text/event-stream"), "{head}");
        reader
    }
}

struct EventReader {
    stream: TcpStream,
    text: String,
}

impl EventReader {
    /// The text up to a mark; `None` when the stream ends before.
    async fn until(&mut self, mark: &str) -> Option<String> {
        loop {
            if let Some(end) = self.text.find(mark) {
                return Some(self.text.drain(..end + mark.len()).collect());
            }
            let mut bytes = [0; 4096];
            match self.stream.read(&mut bytes).await {
                Ok(0) | Err(_) => return None,
                Ok(read) => self.text.push_str(std::str::from_utf8(&bytes[..read]).unwrap()),
            }
        }
    }

    /// The name, the id and the data of the next event.
    async fn event(&mut self) -> Option<(String, String, String)> {
        let text = self.until("\n\n").await?;
        let field = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default().to_owned();
        Some((field("event: "), field("id: "), field("data: ")))
    }
}

#[tokio::test]
async fn connections_are_listed_in_parts_and_ended() {
    let server = Server::start().await;
    let (_, page) = server.ask("GET", "/api/v1/connections?limit=2", "").await;
    assert_eq!((page["total"].as_u64(), page["items"].as_array().unwrap().len()), (Some(3), 2));
    let next = page["next"].as_str().unwrap();
    let (_, page) = server.ask("GET", &format!("/api/v1/connections?limit=2&cursor={next}"), "").await;
    assert_eq!((page["items"][0]["id"].as_u64(), page["next"].is_null()), (Some(3), true));
    assert_eq!(server.ask("GET", "/api/v1/connections?cursor=odd", "").await.0, 400);
    assert_eq!(server.ask("DELETE", "/api/v1/connections/2", "").await.1["ended"], 1);
    assert_eq!(server.ask("DELETE", "/api/v1/connections/2", "").await.0, 404);
    assert_eq!(server.ask("DELETE", "/api/v1/connections/two", "").await.0, 400);
    assert_eq!(server.ask("DELETE", "/api/v1/connections", r#"{"user":"bob"}"#).await.1["ended"], 0);
    assert_eq!(server.ask("DELETE", "/api/v1/connections", r#"{"colour":"red"}"#).await.0, 400);
    assert_eq!(server.ask("DELETE", "/api/v1/connections", "").await.1["ended"], 2);
    server.end().await;
}

#[tokio::test]
async fn versions_instances_and_codes_are_told() {
    let server = Server::start().await;
    assert_eq!(server.ask("GET", "/api/v1/version", "").await.1["api"], "v1");
    assert_eq!(server.ask("GET", "/api/v1/instances", "").await.1[0]["own"], true);
    let (status, report) = server.ask("POST", "/api/v1/instances/one/drain", "").await;
    assert_eq!((status, report["draining"].as_bool()), (200, Some(true)));
    assert_eq!(server.ask("POST", "/api/v1/instances/one/undrain", "").await.1["draining"], false);
    assert_eq!(server.ask("POST", "/api/v1/instances/two/drain", "").await.0, 404);
    assert_eq!(server.ask("GET", "/api/v1/errors", "").await.0, 200);
    // The type of a problem is the path of its explanation.
    let (_, problem) = server.ask("GET", "/api/v1/errors/absent", "").await;
    let (status, code) = server.ask("GET", problem["type"].as_str().unwrap(), "").await;
    assert_eq!((status, code["code"].as_str()), (200, Some("api-not-found")));
    server.end().await;
}

#[tokio::test]
async fn the_log_is_waited_for() {
    let server = Server::start().await;
    let (_, page) = server.ask("GET", "/api/v1/log", "").await;
    assert_eq!((page["items"].as_array().unwrap().len(), page["last"].as_u64()), (2, Some(2)));
    assert!(server.ask("GET", "/api/v1/log?after=2", "").await.1["items"].as_array().unwrap().is_empty());
    let waiting = server.ask("GET", "/api/v1/log?after=2&wait=60", "");
    let logging = async {
        // The request is waiting when somebody else listens to the log.
        while server.fake.logged.receiver_count() == 0 {
            tokio::task::yield_now().await;
        }
        server.fake.logged.send_replace(3);
    };
    let ((_, page), ()) = tokio::join!(waiting, logging);
    assert_eq!((page["items"][0]["number"].as_u64(), page["last"].as_u64()), (Some(3), Some(3)));
    server.end().await;
}

#[tokio::test]
async fn jobs_are_told_until_their_end() {
    let server = Server::start().await;
    let job = server.fake.jobs.start("probe", JobProgress { done: 0, total: 2 }).unwrap();
    let path = format!("/api/v1/jobs/{}", job.id());
    assert_eq!(server.ask("GET", &path, "").await.1["state"], "running");
    job.finish(&serde_json::json!({ "asked": 2 }));
    assert_eq!(server.ask("GET", &path, "").await.1["result"]["asked"], 2);
    assert!(server.ask("GET", "/api/v1/jobs", "").await.1[0]["result"].is_null());
    assert_eq!(server.ask("GET", "/api/v1/jobs/99", "").await.0, 404);
    server.end().await;
}

#[tokio::test]
async fn events_come_in_order_and_who_comes_back_misses_none() {
    let server = Server::start().await;
    let hub = &server.fake.hub;
    let mut reader = server.watch("/api/v1/events?topics=counts,log", "").await;
    let counts = CountsEvent::default();
    hub.publish(Topic::Traffic, &TrafficEvent::default());
    hub.publish(Topic::Counts, &counts);
    hub.publish(Topic::Counts, &counts);
    let (name, id, data) = reader.event().await.unwrap();
    assert_eq!((&*name, &*id), ("counts", "1-2"), "topics that were not asked for do not come");
    assert_eq!(serde_json::from_str::<CountsEvent>(&data).unwrap(), counts);
    drop(reader);
    let mut reader = server.watch("/api/v1/events", &format!("Last-Event-ID: {id}\r\n")).await;
    assert_eq!(reader.event().await.unwrap().1, "1-3");
    let mut lost = server.watch("/api/v1/events", "Last-Event-ID: ff-7\r\n").await;
    assert_eq!(lost.event().await.unwrap().0, "reset");
    // A publisher never waits: a reader that lags behind is cut off after what it has missed.
    let mut slow = server.watch("/api/v1/events", "").await;
    (0..10_000).for_each(|_| hub.publish(Topic::Counts, &counts));
    let mut read = 0;
    while slow.event().await.is_some() {
        read += 1;
    }
    assert!(read < 10_000, "{read}");
    assert_eq!(server.ask("GET", "/api/v1/events?topics=weather", "").await.0, 400);
    // The end of the program ends streams.
    let mut fresh = server.watch("/api/v1/events", "").await;
    server.end().await;
    assert!(fresh.event().await.is_none());
}

#[tokio::test]
async fn watchers_are_bounded() {
    let server = Server::start().await;
    let mut readers = Vec::new();
    // One address has 32 places.
    for _ in 0..31 {
        readers.push(server.watch("/api/v1/events", "").await);
    }
    assert_eq!(server.ask("GET", "/api/v1/jobs", "").await.0, 200);
    server.end().await;
}
