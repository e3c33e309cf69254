//! A server whose settings change or that is asked to end while clients are connected.

use std::net::SocketAddr;

use super::*;

/// How long a test waits for what has to come.
const PATIENCE: Duration = Duration::from_secs(60);

struct Server {
    address: SocketAddr,
    config: watch::Sender<ApiConfig>,
    stop: CancellationToken,
    serving: tokio::task::JoinHandle<Result<(), ApiServeError>>,
}

impl Server {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (config, settings) = watch::channel(config_of("secret", &[]));
        let stop = CancellationToken::new();
        let serving = tokio::spawn(serve(listener, settings, Arc::new(Fake::default()), stop.clone()));
        Self { address, config, stop, serving }
    }

    async fn connect(&self) -> Connection {
        Connection(TcpStream::connect(self.address).await.unwrap())
    }

    /// Changes the settings; they are in force when a host of theirs is answered.
    async fn change(&self, token: &str, host: &str) {
        self.config.send_replace(config_of(token, &[host]));
        let answered = async {
            while self.connect().await.ask(&format!("GET /healthz HTTP/1.1\r\nHost: {host}\r\n\r\n")).await != 200 {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(PATIENCE, answered).await.unwrap();
    }
}

/// A connection that is kept alive.
struct Connection(TcpStream);

impl Connection {
    /// Sends a request and reads its answer; gives the status.
    async fn ask(&mut self, request: &str) -> u16 {
        self.0.write_all(request.as_bytes()).await.unwrap();
        self.answer().await
    }

    async fn ask_with(&mut self, token: &str) -> u16 {
        let head = format!("GET /api/v1/version HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n\r\n");
        self.ask(&head).await
    }

    /// The status of the next answer.
    async fn answer(&mut self) -> u16 {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(self.0.read_u8().await.unwrap());
        }
        let head = String::from_utf8(head).unwrap().to_lowercase();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
        self.0.read_exact(&mut vec![0; length.parse().unwrap()]).await.unwrap();
        head.split(' ').nth(1).unwrap().parse().unwrap()
    }
}

#[tokio::test]
async fn another_token_counts_from_the_next_request_on_and_ends_no_connection() {
    let server = Server::start().await;
    let mut kept = server.connect().await;
    let mut silent = server.connect().await;
    assert_eq!((kept.ask_with("secret").await, kept.ask_with("other").await), (200, 401));
    let mut events = server.connect().await;
    let head =
        "GET /api/v1/events HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nAuthorization: Bearer secret\r\n\r\n";
    events.0.write_all(head.as_bytes()).await.unwrap();
    assert_eq!(events.0.read_u8().await.unwrap(), b'H');

    server.change("secret", "one.example").await;
    assert_eq!(kept.ask_with("secret").await, 200, "the same token under other hosts");
    server.change("other", "two.example").await;
    assert_eq!((kept.ask_with("secret").await, kept.ask_with("other").await), (401, 200));
    assert_eq!(silent.ask_with("other").await, 200);
    // Who watches by the old token does so no longer.
    let mut rest = Vec::new();
    tokio::time::timeout(PATIENCE, events.0.read_to_end(&mut rest)).await.unwrap().unwrap();

    drop((kept, silent, events));
    server.stop.cancel();
    server.serving.await.unwrap().unwrap();
}

#[tokio::test]
async fn requests_that_are_on_their_way_are_answered_by_a_server_that_ends() {
    let server = Server::start().await;
    let (mut half, mut waiting, mut idle) = (server.connect().await, server.connect().await, server.connect().await);
    assert_eq!(idle.ask_with("secret").await, 200);
    half.0.write_all(b"GET /healthz HTTP/1.1\r\n").await.unwrap();
    let text = "GET /api/v1/log?after=99&wait=1 HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer secret\r\n\r\n";
    waiting.0.write_all(text.as_bytes()).await.unwrap();
    // All three are accepted, since a later one is answered.
    assert_eq!(server.connect().await.ask_with("secret").await, 200);
    server.stop.cancel();
    assert_eq!(tokio::time::timeout(PATIENCE, idle.0.read(&mut [0])).await.unwrap().unwrap(), 0, "it has no request");
    half.0.write_all(b"Host: localhost\r\n\r\n").await.unwrap();
    assert_eq!((half.answer().await, waiting.answer().await), (200, 200));
    tokio::time::timeout(PATIENCE, server.serving).await.unwrap().unwrap().unwrap();
}

#[tokio::test]
async fn a_request_that_does_not_end_is_cut_off_after_a_while() {
    let server = Server::start().await;
    let mut stuck = server.connect().await;
    let text =
        "POST /api/v1/nodes HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer secret\r\nContent-Length: 9\r\n\r\na";
    stuck.0.write_all(text.as_bytes()).await.unwrap();
    assert_eq!(server.connect().await.ask_with("secret").await, 200);
    server.stop.cancel();
    tokio::time::timeout(PATIENCE, server.serving).await.unwrap().unwrap().unwrap();
    // Neither an answer nor an open connection is left.
    let ended = tokio::time::timeout(PATIENCE, stuck.0.read(&mut [0])).await.unwrap();
    assert!(!matches!(ended, Ok(1..)), "{ended:?}");
}
