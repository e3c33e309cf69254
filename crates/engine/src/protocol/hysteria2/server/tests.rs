//! The server's side of Hysteria 2 against our own client, a plain web client, and strangers.

use std::{
    future::pending,
    io,
    sync::atomic::{AtomicUsize, Ordering},
};

use async_trait::async_trait;
use hezar_core::{Obfs2, Secret, Target};
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use parking_lot::Mutex;
use quinn::{ClientConfig, Connecting, Connection, Endpoint, VarInt, crypto::rustls::QuicClientConfig};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::UdpSocket,
};

use super::*;
use crate::{
    BoxStream, Cause, Dialer, TlsClients,
    protocol::{
        contract,
        hysteria2::{Hysteria2Dialer, wire},
    },
    quic::{Disguise, QuicPool, QuicServer, SharedClients, peer},
    served::{CredentialId, InboundKey, InboundRequest, KeyringKind, RequestRefusal, SessionItem, WebBody},
    testing::{Authority, until},
};

const PASSWORD: &str = "a password of a user";

/// A site that says its path, and keeps what it was asked.
#[derive(Default)]
struct Site(Mutex<Vec<String>>);

#[async_trait]
impl WebAnswer for Site {
    async fn answer(&self, request: Request<Bytes>) -> Response<WebBody> {
        let path = request.uri().path().to_owned();
        self.0.lock().push(format!("{} {path} {}", request.method(), request.body().len()));
        let body = Full::new(Bytes::from(path)).map_err(io::Error::other);
        Response::builder().header("connection", "close").header("server", "nginx").body(WebBody::new(body)).unwrap()
    }
}

/// A server that echoes, and everything that a test needs beside it.
struct World {
    server: Arc<Hysteria2Server>,
    site: Arc<Site>,
    authority: Authority,
    address: SocketAddr,
    obfs: Option<Obfs2>,
    /// A second descriptor of its socket.
    socket: std::net::UdpSocket,
    associations: Arc<AtomicUsize>,
}

/// How the server ends the streams that it was asked for.
#[derive(Clone, Copy)]
enum Ending {
    Echo,
    Refuse(RequestRefusal),
    /// Some bytes, and no end.
    BreakOff,
    /// Some bytes, and nothing is read.
    Deaf,
}

impl World {
    fn start(obfs: Option<Obfs2>, settings: Hysteria2ServerSettings, ending: Ending) -> Self {
        let authority = Authority::new();
        let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = socket.local_addr().unwrap();
        let listener = listen(&authority, socket.try_clone().unwrap(), obfs.as_ref());
        let site = Arc::new(Site::default());
        let server = Arc::new(Hysteria2Server::new(listener, settings, Arc::clone(&site) as Arc<dyn WebAnswer>));
        let associations = Arc::default();
        tokio::spawn(serve(Arc::clone(&server), ending, Arc::clone(&associations)));
        Self { server, site, authority, address, obfs, socket, associations }
    }

    fn plain() -> Self {
        Self::start(None, Hysteria2ServerSettings::default(), Ending::Echo)
    }

    fn clients(&self) -> SharedClients {
        TlsClients::new(std::slice::from_ref(&self.authority.root)).into()
    }

    fn client(&self, auth: &str) -> Hysteria2Dialer {
        let server = QuicServer {
            target: Target::try_from(self.address).unwrap(),
            via: peer::sockets(),
            tls: peer::tls(),
            clients: self.clients(),
            alpn: &["h3"],
            disguise: self.obfs.as_ref().map(|obfs| Disguise::new(obfs).unwrap()),
            hop: None,
        };
        let pool = QuicPool::closing_after(Duration::from_secs(60));
        Hysteria2Dialer { server, auth: Secret::new(auth), sends: 0, receives: 12_500_000, pool }
    }

    /// A connection of HTTP/3 that is no client's.
    async fn stranger(&self) -> (Endpoint, Connection) {
        let endpoint = Endpoint::client("127.0.0.1:0".parse().unwrap()).unwrap();
        let connection = self.begin(&endpoint, self.address).await.unwrap();
        (endpoint, connection)
    }

    /// A connection to an address that may be the server's.
    fn begin(&self, endpoint: &Endpoint, address: SocketAddr) -> Connecting {
        let server = Target::parse("quic.example:443").unwrap();
        let (tls, name) = self.clients().tls.for_quic(&peer::tls(), server.host(), &["h3"]).unwrap();
        let config = ClientConfig::new(Arc::new(QuicClientConfig::try_from(tls).unwrap()));
        endpoint.connect_with(config, address, &name).unwrap()
    }
}

fn listen(authority: &Authority, socket: std::net::UdpSocket, obfs: Option<&Obfs2>) -> QuicListener {
    let (acceptor, _) = authority.server(&[peer::NAME], &["http/1.1"]);
    QuicListener::bind(socket, Arc::clone(acceptor.config()), obfs, &[b"h3"]).unwrap()
}

fn keyring() -> Arc<Keyring> {
    let keys = [(CredentialId(0), "another"), (CredentialId(7), PASSWORD)];
    let keys = keys.map(|(id, key)| (id, InboundKey::new(key.as_bytes())));
    Arc::new(Keyring::new(KeyringKind::Hysteria2, keys))
}

/// A client's stream that has been an echo.
async fn echoing(client: &Hysteria2Dialer) -> BoxStream {
    let mut stream = client.connect(&contract::target(), &contract::attempt()).await.unwrap();
    stream.write_all(b"ping").await.unwrap();
    stream.read_exact(&mut [0; 4]).await.unwrap();
    stream
}

async fn serve(server: Arc<Hysteria2Server>, ending: Ending, associations: Arc<AtomicUsize>) {
    while let Some(connection) = server.accept().await {
        let associations = Arc::clone(&associations);
        tokio::spawn(async move {
            let Some(mut session) = connection.open(&keyring()).await else { return };
            while let Some(SessionItem::Request(request)) = session.next().await {
                assert_eq!(request.credential(), CredentialId(7));
                if matches!(request, InboundRequest::Datagrams(_)) {
                    associations.fetch_add(1, Ordering::Relaxed);
                }
                tokio::spawn(end(request, ending));
            }
        });
    }
}

async fn end(request: InboundRequest, ending: Ending) {
    match (request, ending) {
        (InboundRequest::Stream(mut request), Ending::Echo) => {
            request.stream.grant();
            request.stream.flush().await.unwrap();
            let (mut read, mut write) = tokio::io::split(request.stream);
            if tokio::io::copy(&mut read, &mut write).await.is_ok() {
                write.shutdown().await.unwrap();
            }
        }
        (InboundRequest::Stream(mut request), Ending::Refuse(why)) => {
            request.stream.refuse(why);
            request.stream.shutdown().await.unwrap();
        }
        (InboundRequest::Stream(mut request), Ending::BreakOff) => {
            request.stream.write_all(b"half of").await.unwrap();
            request.stream.flush().await.unwrap();
            let mut all = [0; 4];
            request.stream.read_exact(&mut all).await.unwrap();
        }
        (InboundRequest::Stream(mut request), Ending::Deaf) => {
            request.stream.write_all(b"well").await.unwrap();
            request.stream.flush().await.unwrap();
            pending().await
        }
        (InboundRequest::Datagrams(request), _) => {
            let mut buffer = vec![0; 65_536];
            while let Ok((length, target)) = request.datagram.recv_from(&mut buffer).await {
                let _ = request.datagram.send_to(&buffer[..length], &target).await;
            }
        }
    }
}

fn salamander() -> Obfs2 {
    Obfs2::Salamander { password: Secret::new("a-lizard-on-the-wall") }
}

/// However many clients there are, one stream whose target takes nothing leaves room for the others of its client.
#[tokio::test]
async fn a_stream_that_nobody_reads_does_not_stop_the_others() {
    let world = World::start(None, Hysteria2ServerSettings::default(), Ending::Deaf);
    let _crowd: Vec<_> = (0..600).map(|_| Arc::clone(&world.server.shared.clients)).collect();
    let client = world.client(PASSWORD);
    let mut stuck = client.connect(&contract::target(), &contract::attempt()).await.unwrap();
    // Until its window is full.
    while let Ok(written) = timeout(Duration::from_secs(1), stuck.write_all(&[0; 16 * 1024])).await {
        written.unwrap();
    }
    let asking = async {
        let mut other = client.connect(&contract::target(), &contract::attempt()).await.unwrap();
        other.write_all(b"a question").await.unwrap();
        let mut heard = [0; 4];
        other.read_exact(&mut heard).await.unwrap();
        heard
    };
    let heard = timeout(Duration::from_secs(20), asking).await.expect("the other one has no room");
    assert_eq!(&heard, b"well");
}

#[tokio::test]
async fn our_client_is_served_with_and_without_a_disguise() {
    for obfs in [None, Some(salamander())] {
        let rates = Hysteria2ServerSettings { sends: Some(1_000_000_000), receives: Some(1_000_000_000) };
        for settings in [Hysteria2ServerSettings::default(), rates] {
            let world = World::start(obfs.clone(), settings, Ending::Echo);
            let client = world.client(PASSWORD);
            let mut stream = client.connect(&contract::target(), &contract::attempt()).await.unwrap();
            let sent: Vec<u8> = (0..1_000_000_u32).map(|n| (n % 251) as u8).collect();
            let (mut read, mut write) = tokio::io::split(&mut stream);
            let mut received = Vec::new();
            let writing = async {
                write.write_all(&sent).await?;
                write.shutdown().await
            };
            let (written, read) = tokio::join!(writing, read.read_to_end(&mut received));
            written.unwrap();
            read.unwrap();
            assert!(received == sent);

            let datagrams = client.associate(&contract::attempt()).await.unwrap();
            let mut buffer = vec![0; 65_536];
            for length in [1, 1200, 5000, 60_000] {
                let payload: Vec<u8> = (0..length).map(|n: u32| (n % 249) as u8).collect();
                datagrams.send_to(&payload, &contract::target()).await.unwrap();
                let (received, from) = datagrams.recv_from(&mut buffer).await.unwrap();
                assert_eq!(from, contract::target());
                assert!(buffer[..received] == payload, "{length}");
            }
        }
    }
}

#[tokio::test]
async fn a_wrong_password_reaches_the_site() {
    let world = World::plain();
    let failed = world.client("wrong").connect(&contract::target(), &contract::attempt()).await.err().unwrap();
    assert!(matches!(failed.cause, Cause::Authentication), "{failed}");
    assert_eq!(*world.site.0.lock(), ["POST /auth 0"]);
}

/// Asks the site and gives the status, the headers and the body of its answer.
async fn ask(
    sender: &mut h3::client::SendRequest<h3_quinn::OpenStreams, Bytes>,
    request: Request<()>,
    body: &[u8],
) -> (u16, http::HeaderMap, String) {
    let mut stream = sender.send_request(request).await.unwrap();
    // A server that has answered already may have stopped the body.
    let _ = stream.send_data(Bytes::copy_from_slice(body)).await;
    let _ = stream.finish().await;
    let answer = stream.recv_response().await.unwrap();
    let mut text = Vec::new();
    while let Ok(Some(piece)) = stream.recv_data().await {
        bytes::BufMut::put(&mut text, piece);
    }
    (answer.status().as_u16(), answer.headers().clone(), String::from_utf8(text).unwrap())
}

#[tokio::test]
async fn strangers_see_a_web_server() {
    let world = World::plain();
    let (_endpoint, connection) = world.stranger().await;
    let quic = h3_quinn::Connection::new(connection.clone());
    let (mut driver, mut sender) = h3::client::new(quic).await.unwrap();
    let driving = tokio::spawn(async move { std::future::poll_fn(|cx| driver.poll_close(cx)).await });
    let get = Request::get("https://quic.example/index.html").body(()).unwrap();
    let (status, headers, body) = ask(&mut sender, get, b"").await;
    assert_eq!((status, &*body, headers["server"].as_bytes()), (200, "/index.html", &b"nginx"[..]));
    assert!(!headers.contains_key("connection"), "HTTP/3 has no such field");
    assert!(headers.contains_key("date"), "web servers say it");
    // Without the name of the service, or with a credential that nobody has, it is a request as any other.
    for (uri, credential) in [("https://quic.example/auth", PASSWORD), ("https://hysteria/auth", "guess")] {
        let request = Request::post(uri).header("hysteria-auth", credential).body(()).unwrap();
        let (status, headers, body) = ask(&mut sender, request, b"some words").await;
        assert_eq!((status, &*body), (200, "/auth"));
        assert!(!headers.contains_key("hysteria-udp"));
    }
    let long = Request::post("https://quic.example/upload").body(()).unwrap();
    assert_eq!(ask(&mut sender, long, &vec![b'x'; 100_000]).await.0, 413);
    assert_eq!(*world.site.0.lock(), ["GET /index.html 0", "POST /auth 10", "POST /auth 10"]);
    // The same connection may still become a client's.
    let auth = wire::auth(PASSWORD, 0, &mut rand::rng()).unwrap();
    let (status, headers, _) = ask(&mut sender, auth, b"").await;
    assert_eq!(
        (status, headers["hysteria-udp"].as_bytes(), headers["hysteria-cc-rx"].as_bytes()),
        (233, &b"true"[..], &b"auto"[..])
    );
    driving.abort();
}

#[tokio::test]
async fn a_stranger_cannot_fill_the_memory() {
    let world = World::plain();
    let (_endpoint, connection) = world.stranger().await;
    let (mut send, _receive) = connection.open_bi().await.unwrap();
    // HEADERS of 2³⁰ bytes.
    send.write_all(&[1, 0xc0, 0, 0, 0, 0x40, 0, 0, 0]).await.unwrap();
    let piece = vec![0; 64 << 10];
    let mut sent = 0;
    while send.write_all(&piece).await.is_ok() {
        sent += piece.len();
        assert!(sent < 1 << 30, "it takes everything");
    }
    let closed = connection.closed().await;
    assert!(
        matches!(&closed, quinn::ConnectionError::ApplicationClosed(close) if close.error_code == VarInt::from_u32(0x107)),
        "{closed}"
    );
}

/// Carries packets to a server and none back.
async fn one_way(to: SocketAddr) -> SocketAddr {
    let (front, back) = (UdpSocket::bind("127.0.0.1:0").await.unwrap(), UdpSocket::bind("127.0.0.1:0").await.unwrap());
    let address = front.local_addr().unwrap();
    tokio::spawn(async move {
        let mut packet = [0; 2000];
        while let Ok(length) = front.recv(&mut packet).await {
            back.send_to(&packet[..length], to).await.unwrap();
        }
    });
    address
}

#[tokio::test]
async fn clients_come_in_while_handshakes_of_others_hang() {
    let world = World::plain();
    let endpoint = Endpoint::client("127.0.0.1:0".parse().unwrap()).unwrap();
    let dead_end = one_way(world.address).await;
    let hanging: Vec<Connecting> = (0..RETRY_FROM + 20).map(|_| world.begin(&endpoint, dead_end)).collect();
    let under_way = || MOST_HANDSHAKES - world.server.handshakes.available_permits();
    until(|| under_way() >= RETRY_FROM).await;
    let client = world.client(PASSWORD);
    let _stream = echoing(&client).await;
    // Whoever has not shown that its address is its own costs nothing from then on.
    assert_eq!(under_way(), RETRY_FROM);
    drop(hanging);
}

#[tokio::test]
async fn nothing_answers_whoever_does_not_know_the_disguise() {
    let world = World::start(Some(salamander()), Hysteria2ServerSettings::default(), Ending::Echo);
    let prober = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    prober.set_nonblocking(true).unwrap();
    for number in 0..200_u32 {
        let mut packet = vec![0; 1200];
        rand::fill(&mut packet[..]);
        // Some look like QUIC: a first packet of version 1, and one of an unknown version.
        if number % 4 == 0 {
            packet[..5].copy_from_slice(&[0xc0, 0, 0, 0, 1]);
        } else if number % 4 == 1 {
            packet[..5].copy_from_slice(&[0xc0, 0x1a, 0x2a, 0x3a, 0x4a]);
        }
        prober.send_to(&packet, world.address).unwrap();
    }
    // A client that comes later is served, so that the server has seen them all.
    let client = world.client(PASSWORD);
    let _stream = echoing(&client).await;
    let heard = prober.recv_from(&mut [0; 2000]);
    assert!(heard.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock), "{heard:?}");
}

#[tokio::test]
async fn refusals_are_told_and_a_broken_stream_is_no_whole_one() {
    let cases = [
        (RequestRefusal::Forbidden, "forbidden"),
        (RequestRefusal::Unreachable, "unreachable"),
        (RequestRefusal::Busy, "busy"),
    ];
    for (why, text) in cases {
        let world = World::start(None, Hysteria2ServerSettings::default(), Ending::Refuse(why));
        let client = world.client(PASSWORD);
        let mut stream = client.connect(&contract::target(), &contract::attempt()).await.unwrap();
        stream.write_all(b"ping").await.unwrap();
        let failed = stream.read_u8().await.unwrap_err();
        assert!(failed.get_ref().is_some(), "{text}: {failed}");
    }
    let world = World::start(None, Hysteria2ServerSettings::default(), Ending::BreakOff);
    let client = world.client(PASSWORD);
    let mut stream = client.connect(&contract::target(), &contract::attempt()).await.unwrap();
    stream.write_all(b"ping").await.unwrap();
    let mut received = Vec::new();
    assert!(stream.read_to_end(&mut received).await.is_err(), "it looks whole");
    assert_eq!(received, b"half of");
}

#[tokio::test]
async fn a_client_has_so_many_associations_and_no_more() {
    let world = World::plain();
    let client = world.client(PASSWORD);
    let mut open = Vec::new();
    for _ in 0..300 {
        let datagrams = client.associate(&contract::attempt()).await.unwrap();
        datagrams.send_to(b"ping", &contract::target()).await.unwrap();
        // One after another, as far as they are served.
        if open.len() < 256 {
            datagrams.recv_from(&mut [0; 16]).await.unwrap();
        }
        open.push(datagrams);
    }
    assert_eq!(world.associations.load(Ordering::Relaxed), 256);
}

#[tokio::test]
async fn a_closed_server_leaves_its_socket_to_another_one() {
    let world = World::plain();
    let client = world.client(PASSWORD);
    let mut stream = echoing(&client).await;
    world.server.close().await;
    assert!(stream.read_u8().await.is_err(), "the client is told");
    assert!(world.server.accept().await.is_none());
    let listener = listen(&world.authority, world.socket.try_clone().unwrap(), None);
    let site = Arc::clone(&world.site) as Arc<dyn WebAnswer>;
    let next = Arc::new(Hysteria2Server::new(listener, Hysteria2ServerSettings::default(), site));
    tokio::spawn(serve(next, Ending::Echo, Arc::default()));
    // Every packet reaches the other one: the first one reads nothing any more.
    for _ in 0..10 {
        echoing(&world.client(PASSWORD)).await;
    }
}

#[tokio::test]
async fn a_server_that_accepts_nobody_yet_leaves_the_packets_to_another_one() {
    let world = World::plain();
    let site = Arc::clone(&world.site) as Arc<dyn WebAnswer>;
    let listener = listen(&world.authority, world.socket.try_clone().unwrap(), None);
    let next = Hysteria2Server::new(listener, Hysteria2ServerSettings::default(), site);
    for _ in 0..10 {
        echoing(&world.client(PASSWORD)).await;
    }
    world.server.close().await;
    tokio::spawn(serve(Arc::new(next), Ending::Echo, Arc::default()));
    echoing(&world.client(PASSWORD)).await;
}

#[tokio::test]
async fn what_runs_goes_on_when_nobody_is_accepted_any_more() {
    let world = World::plain();
    let client = world.client(PASSWORD);
    let mut stream = echoing(&client).await;
    world.server.stop_accepting();
    let attempt = crate::Attempt::within(Duration::from_millis(500));
    assert!(world.client(PASSWORD).connect(&contract::target(), &attempt).await.is_err());
    stream.write_all(b"pong").await.unwrap();
    stream.read_exact(&mut [0; 4]).await.unwrap();
}
