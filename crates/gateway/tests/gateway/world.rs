//! A gateway over a pool of fake nodes whose dialers lead to an origin in memory.

use std::{
    convert::Infallible,
    io,
    net::SocketAddr,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use hezar_core::{Credentials, Label, NodeId, NodeSpec, Outbound, SocksProxy, SocksVersion, Stage, Target, Timestamp};
use hezar_engine::{
    Attempt, BoxDatagram, BoxStream, Cause, Clock, Datagram, DialError, Dialer, NativeEngine, NativeEngineConfig,
    RequestForm, Stream,
};
use hezar_gateway::{Connections, Gateway, GatewayConfig, Metrics, Sessions};
use hezar_pool::{Exit, Node, Origin, Outcome, Pool, PoolChange, Rules, Strategy, Success};
use http_body_util::{Either, Full};
use hyper::{Request, Response, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use prometheus_client::registry::Registry;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, ReadBuf, copy, duplex, sink, split},
    net::TcpListener,
    sync::mpsc,
    task::JoinHandle,
};
use tokio_util::sync::CancellationToken;

/// What a fake node does when it is asked to connect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Does {
    /// Connects to a target that sends everything back, and closes when the client has.
    Echo,
    /// Connects to an HTTP origin.
    Web,
    /// Is refused by its server.
    Refuse,
    /// Says that the target cannot be reached.
    NoTarget,
    /// Never answers.
    Hang,
    /// Connects, waits for the first bytes and hangs up.
    HangUp,
    /// Connects, takes everything and never says anything.
    Mute,
    /// Connects to an HTTP origin that takes its time.
    Slow,
    /// Connects, and the first read fails with the node's own fault.
    Lie,
    /// Connects and hangs up before anything can be written.
    HangUpAtOnce,
    /// Cannot be reached, since this machine is offline.
    Offline,
    /// An HTTP proxy that takes plain requests in absolute form and opens no tunnels.
    AbsoluteOnly,
    /// An HTTP proxy that knows CONNECT alone, behind which is the web server of [`Does::Web`].
    TunnelOnly,
    /// An HTTP proxy that lets nobody in and does not say that it is one.
    Closed,
    /// An HTTP proxy that asks for another password.
    Locked,
    /// An HTTP proxy that answers plain requests with an error page of its own.
    ErrorPage,
    /// Connects to a target that answers every head with these bytes and closes; what follows a request's head is not read.
    Says(&'static [u8]),
    /// Connects to a target that answers a head with the first bytes, waits for more of the client, and answers with the others.
    Twice(&'static [u8], &'static [u8]),
    /// Connects to a target that takes everything and sends an interim answer again and again.
    Drips,
}

/// One fake node.
#[derive(Debug)]
pub(crate) struct Fake {
    pub(crate) name: String,
    pub(crate) does: Does,
    pub(crate) connects: AtomicUsize,
    /// How often it was asked for an association.
    pub(crate) associates: AtomicUsize,
    pub(crate) targets: Mutex<Vec<String>>,
    /// Requests that reached the origin through it.
    pub(crate) requests: Arc<AtomicUsize>,
}

#[async_trait]
impl Dialer for Fake {
    async fn connect(&self, target: &Target, _: &Attempt) -> Result<BoxStream, DialError> {
        self.connects.fetch_add(1, Ordering::SeqCst);
        self.targets.lock().push(target.to_string());
        let (near, far) = duplex(32 * 1024);
        match self.does {
            Does::Echo => drop(tokio::spawn(echo(far))),
            Does::Web | Does::TunnelOnly => {
                drop(tokio::spawn(web(far, self.name.clone(), self.requests.clone(), Duration::ZERO)))
            }
            Does::Slow => {
                let pause = Duration::from_millis(300);
                drop(tokio::spawn(web(far, self.name.clone(), self.requests.clone(), pause)));
            }
            Does::Mute => drop(tokio::spawn(async move { copy(&mut { far }, &mut sink()).await })),
            Does::Refuse => return Err(DialError::new(Stage::Connect, Cause::Refused)),
            Does::AbsoluteOnly | Does::Locked | Does::ErrorPage | Does::Closed => {
                return Err(DialError::new(Stage::Handshake, Cause::Forbidden));
            }
            Does::Offline => return Err(DialError::new(Stage::Connect, Cause::NoRoute)),
            Does::NoTarget => {
                return Err(DialError::new(Stage::Handshake, Cause::TargetUnreachable("host unreachable")));
            }
            Does::Hang => std::future::pending().await,
            Does::HangUp => drop(tokio::spawn(async move {
                let mut far = far;
                let _ = far.read(&mut [0; 100]).await;
            })),
            Does::Lie => return Ok(Box::new(Liar)),
            Does::HangUpAtOnce => drop(far),
            Does::Says(answer) => drop(tokio::spawn(says(far, self.requests.clone(), answer, b""))),
            Does::Twice(first, second) => drop(tokio::spawn(says(far, self.requests.clone(), first, second))),
            Does::Drips => drop(tokio::spawn(drips(far))),
        }
        Ok(Box::new(near))
    }

    async fn connect_for_http(
        &self,
        target: &Target,
        attempt: &Attempt,
    ) -> Result<(BoxStream, RequestForm), DialError> {
        let (near, far) = duplex(32 * 1024);
        let page: &[u8] = match self.does {
            Does::AbsoluteOnly => {
                drop(tokio::spawn(web(far, self.name.clone(), self.requests.clone(), Duration::ZERO)));
                let authorization = Some("Basic bm9kZQ==".parse().unwrap());
                return Ok((Box::new(near), RequestForm::Absolute { authorization }));
            }
            Does::TunnelOnly => b"HTTP/1.1 405 No\r\nContent-Length: 0\r\n\r\n",
            Does::Closed => b"HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n",
            Does::Locked => b"HTTP/1.1 407 No\r\nProxy-Authenticate: Basic\r\nContent-Length: 0\r\n\r\n",
            Does::ErrorPage => b"HTTP/1.1 503 No\r\nX-Squid-Error: ERR_DNS_FAIL 0\r\nContent-Length: 0\r\n\r\n",
            _ => return Ok((self.connect(target, attempt).await?, RequestForm::Origin)),
        };
        self.connects.fetch_add(1, Ordering::SeqCst);
        drop(tokio::spawn(async move {
            let mut far = far;
            let _ = far.read(&mut [0; 4096]).await;
            let _ = far.write_all(page).await;
            let _ = far.read(&mut [0; 1]).await;
        }));
        Ok((Box::new(near), RequestForm::Absolute { authorization: None }))
    }

    /// Echo sends datagrams back, HangUp ends at the first one, Mute takes everything; most carry none.
    async fn associate(&self, _: &Attempt) -> Result<BoxDatagram, DialError> {
        self.associates.fetch_add(1, Ordering::SeqCst);
        match self.does {
            Does::Echo | Does::HangUp | Does::Mute => {}
            Does::Refuse => return Err(DialError::new(Stage::Connect, Cause::Refused)),
            Does::Hang => std::future::pending().await,
            _ => return Err(DialError::new(Stage::Handshake, Cause::Unsupported("datagrams"))),
        }
        let (sender, receiver) = mpsc::channel(100);
        Ok(Box::new(Flight { does: self.does, sender, receiver: receiver.into() }))
    }
}

/// An association of a fake node. A target `moved.example` answers from `elsewhere.example`.
struct Flight {
    does: Does,
    sender: mpsc::Sender<Option<Answer>>,
    receiver: Mutex<mpsc::Receiver<Option<Answer>>>,
}

/// A payload and its sender; its absence ends the association.
type Answer = (Vec<u8>, Target);

impl Datagram for Flight {
    fn poll_send_to(&self, _: &mut Context<'_>, payload: &[u8], target: &Target) -> Poll<io::Result<()>> {
        if payload.len() > 10_000 {
            return Poll::Ready(Err(io::ErrorKind::InvalidInput.into()));
        }
        let from = match target.to_string().as_str() {
            "moved.example:1" => Target::parse("elsewhere.example:2").unwrap(),
            _ => target.clone(),
        };
        let answer = match self.does {
            Does::Echo if payload == b"end" => None,
            Does::Echo => Some((payload.to_vec(), from)),
            Does::HangUp => None,
            _ => return Poll::Ready(Ok(())),
        };
        Poll::Ready(self.sender.try_send(answer).map_err(|_| io::ErrorKind::BrokenPipe.into()))
    }

    fn poll_recv_from(&self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<(usize, Target)>> {
        match ready!(self.receiver.lock().poll_recv(cx)).flatten() {
            Some((payload, from)) => {
                buffer[..payload.len()].copy_from_slice(&payload);
                Poll::Ready(Ok((payload.len(), from)))
            }
            None => Poll::Ready(Err(Cause::Closed.into())),
        }
    }
}

/// A stream that takes everything and then reports that the node did not accept the credentials.
struct Liar;

impl AsyncRead for Liar {
    fn poll_read(self: Pin<&mut Self>, _: &mut Context<'_>, _: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Err(Cause::Authentication.into()))
    }
}

impl Stream for Liar {}

impl AsyncWrite for Liar {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(data.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

async fn echo(far: DuplexStream) {
    let (mut read, mut write) = split(far);
    let _ = copy(&mut read, &mut write).await;
    let _ = write.shutdown().await;
}

/// Reads a head and gives the first answer; then, if there is a second one, reads on and gives that.
async fn says(mut far: DuplexStream, requests: Arc<AtomicUsize>, first: &'static [u8], second: &'static [u8]) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match far.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) => return,
        }
    }
    requests.fetch_add(1, Ordering::SeqCst);
    let _ = far.write_all(first).await;
    if !second.is_empty() {
        let _ = far.read_u8().await;
        let _ = far.write_all(second).await;
    }
    let _ = far.shutdown().await;
    let _ = copy(&mut far, &mut sink()).await;
}

async fn drips(far: DuplexStream) {
    let (mut read, mut write) = split(far);
    let drip = async {
        while write.write_all(b"HTTP/1.1 103 Early Hints\r\n\r\n").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let mut nowhere = sink();
    let _ = tokio::join!(copy(&mut read, &mut nowhere), drip);
}

async fn web(far: DuplexStream, name: String, requests: Arc<AtomicUsize>, pause: Duration) {
    let service = service_fn(|request| {
        requests.fetch_add(1, Ordering::SeqCst);
        let name = name.clone();
        async move {
            tokio::time::sleep(pause).await;
            Ok::<_, Infallible>(origin(request, &name))
        }
    });
    let _ = http1::Builder::new().serve_connection(TokioIo::new(far), service).with_upgrades().await;
}

type OriginBody = Either<Full<Bytes>, Incoming>;

/// `/who` names the node, `/headers` and `*` repeat what arrived, `/echo` sends the body back, `/ws` switches to an echo.
fn origin(mut request: Request<Incoming>, name: &str) -> Response<OriginBody> {
    let text = |text: String| Response::new(Either::Left(Full::from(text)));
    match request.uri().path() {
        "/echo" => Response::new(Either::Right(request.into_body())),
        "/headers" | "*" => text(format!("{} {}\n{:?}", request.method(), request.uri(), request.headers())),
        "/ws" => {
            let upgraded = hyper::upgrade::on(&mut request);
            tokio::spawn(async move {
                let (mut read, mut write) = split(TokioIo::new(upgraded.await.unwrap()));
                let _ = copy(&mut read, &mut write).await;
                let _ = write.shutdown().await;
            });
            let mut response = text(String::new());
            *response.status_mut() = hyper::StatusCode::SWITCHING_PROTOCOLS;
            response.headers_mut().insert("connection", "upgrade".parse().unwrap());
            response.headers_mut().insert("upgrade", "websocket".parse().unwrap());
            response
        }
        _ => text(name.to_owned()),
    }
}

/// A running gateway.
pub(crate) struct World {
    pub(crate) address: SocketAddr,
    pub(crate) pool: Arc<Pool<Arc<dyn Dialer>>>,
    pub(crate) fakes: Vec<Arc<Fake>>,
    pub(crate) ids: Vec<NodeId>,
    pub(crate) drain: CancellationToken,
    pub(crate) serving: JoinHandle<()>,
    pub(crate) registry: Registry,
    pub(crate) sessions: Arc<Sessions>,
    pub(crate) connections: Arc<Connections>,
    pub(crate) gateway: Arc<Gateway>,
}

/// Settings for tests: round-robin, so that every node gets its turn; generous times.
pub(crate) fn config() -> GatewayConfig {
    GatewayConfig {
        strategy: Strategy::RoundRobin,
        attempts: 4,
        deadline: Duration::from_secs(60),
        grace: Duration::from_secs(60),
        ..GatewayConfig::default()
    }
}

/// A gateway over nodes that each have a server of their own.
pub(crate) async fn world(config: GatewayConfig, nodes: &[Does]) -> World {
    let servers: Vec<_> = (0..nodes.len()).map(|n| format!("192.0.2.{}:1080", n + 1)).collect();
    let nodes: Vec<_> = servers.iter().map(String::as_str).zip(nodes.iter().copied()).collect();
    world_at(config, &nodes).await
}

/// A gateway over nodes at given servers.
pub(crate) async fn world_at(config: GatewayConfig, nodes: &[(&str, Does)]) -> World {
    world_with(config, nodes, |gateway, _| gateway).await
}

/// The same, with a gateway that is changed before it serves; its nodes have these ids.
pub(crate) async fn world_with(
    mut config: GatewayConfig,
    nodes: &[(&str, Does)],
    change: impl FnOnce(Gateway, &[NodeId]) -> Gateway,
) -> World {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    config.listen = address;
    let pool = Arc::new(Pool::new(Rules::default()));
    let clock = Clock::start();
    let specs: Vec<NodeSpec> = nodes.iter().enumerate().map(|(n, (server, _))| spec(server, n)).collect();
    let listed = specs.iter().cloned().map(|spec| (spec, Label::default())).collect();
    let source = "test".into();
    pool.apply(PoolChange::List { source, allow_private: false, nodes: listed, complete: true }, clock.now());
    let mut fakes = Vec::new();
    for (n, (_, does)) in nodes.iter().enumerate() {
        let fake = Arc::new(Fake {
            name: format!("node-{n}"),
            does: *does,
            connects: AtomicUsize::new(0),
            associates: AtomicUsize::new(0),
            targets: Mutex::default(),
            requests: Arc::default(),
        });
        let node = arm(&pool, specs[n].id(), &fake);
        let exit = Exit { ip: "192.0.2.77".parse().unwrap(), country: Some(if n % 2 == 0 { *b"DE" } else { *b"US" }) };
        let success = Success { latency: Duration::from_millis(50), exit: Some(exit) };
        pool.report(node.id(), &Outcome { origin: Origin::Probe, result: Ok(success) }, clock.now());
        fakes.push(fake);
    }
    let metrics = Metrics::default();
    let mut registry = Registry::default();
    metrics.register(&mut registry);
    let engine = Arc::new(NativeEngine::new(&NativeEngineConfig::default()));
    let sessions = Arc::new(Sessions::new(config.max_sessions).with_user_limit(config.max_sessions_per_user));
    let gateway = Gateway::new(config, pool.clone(), engine, clock, metrics).with_sessions(sessions.clone());
    let ids: Vec<NodeId> = specs.iter().map(NodeSpec::id).collect();
    let gateway = change(gateway, &ids);
    let connections = gateway.connections().clone();
    let gateway = Arc::new(gateway);
    let serves = gateway.clone();
    let drain = CancellationToken::new();
    let token = drain.clone();
    let serving = tokio::spawn(async move { serves.serve(listener, token).await.unwrap() });
    World { address, pool, fakes, ids, drain, serving, registry, sessions, connections, gateway }
}

fn spec(server: &str, number: usize) -> NodeSpec {
    let credentials = Some(Credentials { username: format!("u{number}").into(), password: "p".into() });
    let proxy = SocksProxy { version: SocksVersion::V5, credentials, tls: None };
    NodeSpec::new(Target::parse(server).unwrap(), Outbound::Socks(proxy))
}

fn arm(pool: &Pool<Arc<dyn Dialer>>, id: NodeId, fake: &Arc<Fake>) -> Arc<Node<Arc<dyn Dialer>>> {
    let node = pool.node(id).unwrap();
    let payload: Arc<dyn Dialer> = fake.clone();
    node.payload(|_| Ok::<_, Infallible>(payload)).unwrap();
    node
}

impl World {
    /// Removes every node and lists it again, as one that was never probed.
    pub(crate) fn exchange(&self, now: Timestamp) {
        let spec = |id: &NodeId| (self.pool.node(*id).unwrap().spec().clone(), Label::default());
        let nodes = self.ids.iter().map(spec).collect();
        self.pool.apply(PoolChange::Remove(self.ids.clone()), now);
        self.pool.apply(PoolChange::List { source: "test".into(), allow_private: false, nodes, complete: true }, now);
        for (id, fake) in self.ids.iter().zip(&self.fakes) {
            arm(&self.pool, *id, fake);
        }
    }

    /// The first node is probed and healthy once a request waits for it. Until then nothing went through it.
    pub(crate) async fn first_probe(&self) {
        eventually("a request waits", || !self.connections.is_empty()).await;
        assert_eq!((self.connects()[0], self.associates()[0]), (0, 0), "nobody has probed it");
        let success = Success { latency: Duration::from_millis(50), exit: None };
        self.pool.report(self.ids[0], &Outcome { origin: Origin::Probe, result: Ok(success) }, Timestamp(2));
    }

    /// How often each node was asked to connect.
    pub(crate) fn connects(&self) -> Vec<usize> {
        self.fakes.iter().map(|fake| fake.connects.load(Ordering::SeqCst)).collect()
    }

    /// How often each node was asked for an association.
    pub(crate) fn associates(&self) -> Vec<usize> {
        self.fakes.iter().map(|fake| fake.associates.load(Ordering::SeqCst)).collect()
    }

    /// How many requests reached the origin.
    pub(crate) fn origin_requests(&self) -> usize {
        self.fakes.iter().map(|fake| fake.requests.load(Ordering::SeqCst)).sum()
    }

    /// The metrics as text.
    pub(crate) fn metrics(&self) -> String {
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &self.registry).unwrap();
        text
    }
}

/// Waits until something has become true; the bound only ends a test that would never end.
pub(crate) async fn eventually(what: &str, condition: impl Fn() -> bool) {
    let end = tokio::time::Instant::now() + Duration::from_secs(60);
    while !condition() {
        assert!(tokio::time::Instant::now() < end, "never happened: {what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}
