//! The side under test: the running gateway over a small pool, and a client in front of it.

use std::{
    net::{Ipv4Addr, SocketAddr},
    ops::Deref,
    sync::Arc,
    time::Duration,
};

use anyhow::{Context, bail, ensure};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use hezar_core::NodeId;
use hezar_engine::{Clock, Dialer, Engine};
use hezar_gateway::{Gateway, GatewayConfig, Metrics, Usage, User};
use hezar_pool::{Origin, Outcome, Pool, PoolChange, Record, Rules, Strategy};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream, UdpSocket},
};
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};

/// The longest head of an answer.
const MAX_HEAD: usize = 16 * 1024;

/// A gateway over few nodes. Dropping it ends it.
#[derive(Debug)]
pub(crate) struct Route {
    client: ProxyClient,
    pool: Arc<Pool<Arc<dyn Dialer>>>,
    node: NodeId,
    usage: Arc<Usage>,
    clock: Clock,
    /// Whether the node's protocol carries datagrams.
    pub(crate) datagrams: bool,
    _server: AbortOnDropHandle<()>,
}

/// An association of SOCKS5: the stream that holds it, and a socket that is connected to the gateway's.
#[derive(Debug)]
pub struct Association {
    pub(crate) socket: UdpSocket,
    _control: TcpStream,
}

/// A client of a gateway, or of another proxy that speaks HTTP and SOCKS.
#[derive(Clone, Copy, Debug)]
pub struct ProxyClient {
    /// Where the proxy listens.
    pub gateway: SocketAddr,
}

impl Deref for Route {
    type Target = ProxyClient;

    fn deref(&self) -> &ProxyClient {
        &self.client
    }
}

/// An HTTP answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Route {
    /// Starts a gateway over the nodes of these links; the first one is the one in question.
    pub(crate) async fn start(links: &[&str], engine: &Arc<dyn Engine>, patience: Duration) -> anyhow::Result<Self> {
        Self::with_users(links, engine, patience, Vec::new()).await
    }

    /// The same, for these users alone.
    pub(crate) async fn with_users(
        links: &[&str],
        engine: &Arc<dyn Engine>,
        patience: Duration,
        users: Vec<User>,
    ) -> anyhow::Result<Self> {
        let nodes: Result<Vec<_>, _> = links.iter().map(|link| hezar_formats::parse_link(link)).collect();
        let nodes = nodes.map_err(|code| anyhow::anyhow!("a link of {links:?} is refused: {code:?}"))?;
        let datagrams = nodes.first().is_some_and(|(spec, _)| spec.carries_datagrams());
        let ids: Vec<NodeId> = nodes.iter().map(|(spec, _)| spec.id()).collect();
        let node = *ids.first().context("no link")?;
        let pool = Arc::new(Pool::new(Rules::default()));
        let clock = Clock::start();
        pool.apply(
            PoolChange::List { source: "interop".into(), allow_private: true, nodes, complete: true },
            clock.now(),
        );
        for id in ids {
            pool.report(id, &Outcome::success(Origin::Probe, Duration::from_millis(1)), clock.now());
        }
        let config = GatewayConfig {
            // Longer than one attempt: a request whose own time is over says nothing about the node.
            deadline: patience * 2,
            attempt_timeout: patience,
            strategy: Strategy::RoundRobin,
            users,
            ..GatewayConfig::default()
        };
        let gateway = Gateway::new(config, Arc::clone(&pool), Arc::clone(engine), clock, Metrics::default());
        let usage = Arc::clone(gateway.usage());
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let serve = async move {
            // The task is aborted in the end: a failure to serve shows at the first connection.
            let _ = gateway.serve(listener, CancellationToken::new()).await;
        };
        let server = AbortOnDropHandle::new(tokio::spawn(serve));
        Ok(Self { client: ProxyClient { gateway: address }, pool, node, usage, clock, datagrams, _server: server })
    }

    /// The bytes that a user has moved.
    pub(crate) fn used(&self, user: &str) -> u64 {
        self.usage.summary(user, self.clock.now()).total.sum()
    }

    /// What the pool knows about the node.
    pub(crate) fn record(&self) -> anyhow::Result<Record> {
        Ok(self.pool.node(self.node).context("the node is gone")?.record())
    }
}

impl ProxyClient {
    /// A tunnel by HTTP CONNECT.
    pub(crate) async fn connect(&self, host: &str, port: u16) -> anyhow::Result<TcpStream> {
        self.connect_with(host, port, "").await
    }

    /// The same, by a user.
    pub(crate) async fn connect_as(
        &self,
        user: &str,
        password: &str,
        host: &str,
        port: u16,
    ) -> anyhow::Result<TcpStream> {
        let login = STANDARD.encode(format!("{user}:{password}"));
        self.connect_with(host, port, &format!("Proxy-Authorization: Basic {login}\r\n")).await
    }

    async fn connect_with(&self, host: &str, port: u16, headers: &str) -> anyhow::Result<TcpStream> {
        let mut stream = TcpStream::connect(self.gateway).await?;
        let asked = format!("CONNECT {host}:{port} HTTP/1.1\r\nHost: {host}:{port}\r\n{headers}\r\n");
        stream.write_all(asked.as_bytes()).await?;
        let head = read_head(&mut stream).await?;
        ensure!(status(&head)? == 200, "CONNECT was refused: {head}");
        Ok(stream)
    }

    /// A tunnel by SOCKS5.
    ///
    /// # Errors
    /// The proxy refuses, or the connection fails.
    pub async fn socks(&self, host: &str, port: u16) -> anyhow::Result<TcpStream> {
        let mut stream = TcpStream::connect(self.gateway).await?;
        let length = u8::try_from(host.len()).context("the name is too long")?;
        let request = [&[5, 1, 0, 5, 1, 0, 3, length], host.as_bytes(), &port.to_be_bytes()].concat();
        stream.write_all(&request).await?;
        let mut reply = [0; 12];
        stream.read_exact(&mut reply).await.context("no SOCKS reply")?;
        ensure!(reply.get(..4) == Some(&[5, 0, 5, 0]), "SOCKS was refused: {reply:?}");
        Ok(stream)
    }

    /// An association by SOCKS5; nothing when it is refused.
    ///
    /// # Errors
    /// The connection fails.
    pub async fn associate(&self) -> anyhow::Result<Option<Association>> {
        let mut control = TcpStream::connect(self.gateway).await?;
        control.write_all(&[5, 1, 0, 5, 3, 0, 1, 0, 0, 0, 0, 0, 0]).await?;
        let mut reply = [0; 12];
        control.read_exact(&mut reply).await.context("no SOCKS reply")?;
        let [5, 0, 5, 0, 0, 1, a, b, c, d, high, low] = reply else { return Ok(None) };
        let socket = UdpSocket::bind("127.0.0.1:0").await?;
        socket.connect((Ipv4Addr::new(a, b, c, d), u16::from_be_bytes([high, low]))).await?;
        Ok(Some(Association { socket, _control: control }))
    }

    /// A page through the gateway as an HTTP proxy.
    pub(crate) async fn get(&self, host: &str, port: u16) -> anyhow::Result<Answer> {
        let mut stream = TcpStream::connect(self.gateway).await?;
        let request = format!("GET http://{host}:{port}/ HTTP/1.1\r\nHost: {host}:{port}\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await?;
        let head = read_head(&mut stream).await?;
        let mut body = Vec::new();
        stream.read_to_end(&mut body).await?;
        Ok(Answer { status: status(&head)?, head, body })
    }
}

async fn read_head(stream: &mut TcpStream) -> anyhow::Result<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        if head.len() == MAX_HEAD {
            bail!("the head is too long");
        }
        head.push(stream.read_u8().await.context("the gateway closed without an answer")?);
    }
    Ok(String::from_utf8_lossy(&head).into_owned())
}

fn status(head: &str) -> anyhow::Result<u16> {
    head.split(' ').nth(1).and_then(|word| word.parse().ok()).with_context(|| format!("not HTTP: {head}"))
}
