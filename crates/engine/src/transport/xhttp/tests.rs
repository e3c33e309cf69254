//! Tests of XHTTP: golden heads, what `extra` asks for, sessions on servers in memory over both versions of HTTP.

use std::{
    collections::{BTreeMap, HashMap},
    convert::Infallible,
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use bytes::{Buf, Bytes};
use hezar_core::{Host, Security, Target, Tls, Xhttp, XhttpDownload, XhttpMode};
use http::{Request, Response};
use http_body_util::{BodyExt, StreamBody};
use hyper::{body::Frame, service::service_fn};
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream, split},
    sync::mpsc::{self, UnboundedReceiver, UnboundedSender},
    time::{sleep, timeout},
};

use super::{
    Endpoint, Version, XhttpClient,
    endpoint::{Connections, XhttpEndpoint},
    plan::Purpose,
};
use crate::{
    Attempt, BoxStream, BuildError, Cause, DialError, Dialer, budget::ConnectionBudget, quic::peer::Peer,
    security::Secure, security::SecureConnector, testing::Many,
};

fn server() -> Target {
    Target::parse("node.example:443").unwrap()
}

pub(super) fn settings(mode: XhttpMode, extra: &str) -> Xhttp {
    let extra = (!extra.is_empty()).then(|| extra.into());
    Xhttp { path: "/x".into(), host: Some("a.example".into()), mode, extra, download: None }
}

/// A client whose connections are not secured.
pub(super) fn built_on(via: Arc<dyn Dialer>, settings: &Xhttp, security: &Security) -> Result<XhttpClient, BuildError> {
    let connect_to = |target: &Target, _: &Security, version| {
        let connector = Arc::new(SecureConnector::new(target.clone(), Arc::clone(&via), Secure::Nothing));
        Ok(match version {
            Version::Http1 => Endpoint::Http1(connector),
            Version::Http2 => Endpoint::Http2(connector, ConnectionBudget::default()),
            Version::Http3 => return Err(BuildError::Unsupported("sockets")),
        })
    };
    XhttpClient::new(settings, security, &server(), &connect_to)
}

fn built(settings: &Xhttp, security: &Security) -> Result<XhttpClient, BuildError> {
    built_on(Arc::new(Many::new(1, 4096).0), settings, security)
}

fn version(endpoint: &XhttpEndpoint) -> Version {
    match endpoint.connections {
        Connections::Http1(_) => Version::Http1,
        Connections::Http2(..) => Version::Http2,
        Connections::Http3(_) => Version::Http3,
    }
}

/// The download takes another endpoint.
fn elsewhere(xhttp: Xhttp, security: Security) -> Option<Box<XhttpDownload>> {
    let server = Some(Target::parse("other.example:8443").unwrap());
    Some(Box::new(XhttpDownload { server, xhttp, security }))
}

pub(super) fn tls(alpn: &[&str]) -> Security {
    Security::Tls(Tls { alpn: alpn.iter().map(|name| Box::from(*name)).collect(), ..Tls::default() })
}

fn reality() -> Security {
    Security::Reality(crate::testing::reality())
}

#[test]
fn auto_is_what_xray_makes_of_it() {
    let made = |mode, security: &Security| {
        let client = built(&settings(mode, ""), security).unwrap();
        (client.mode, version(&client.up))
    };
    assert_eq!(made(XhttpMode::Auto, &Security::None), (XhttpMode::PacketUp, Version::Http1));
    assert_eq!(made(XhttpMode::Auto, &tls(&[])), (XhttpMode::PacketUp, Version::Http2));
    assert_eq!(made(XhttpMode::Auto, &tls(&["h3", "h2"])), (XhttpMode::PacketUp, Version::Http2));
    assert_eq!(made(XhttpMode::Auto, &tls(&["http/1.1"])), (XhttpMode::PacketUp, Version::Http1));
    assert_eq!(made(XhttpMode::Auto, &reality()), (XhttpMode::StreamOne, Version::Http2));
    assert_eq!(made(XhttpMode::StreamUp, &Security::None), (XhttpMode::StreamUp, Version::Http2));
}

#[test]
fn what_needs_another_client_is_refused() {
    let code = |extra: &str, security: &Security| built(&settings(XhttpMode::StreamUp, extra), security).err();
    assert_eq!(code("", &tls(&["h3"])), Some(BuildError::Unsupported("sockets")));
    assert_eq!(code("", &tls(&["http/1.1"])), Some(BuildError::Unsupported("XHTTP's streamed modes over HTTP/1.1")));
    let plain = |extra| code(extra, &Security::None).map(|error| error.code());
    assert_eq!(plain(r#"{"uplinkDataPlacement":"cookie"}"#), Some("node-unsupported"));
    assert_eq!(plain(r#"{"uplinkHTTPMethod":"get"}"#), Some("node-invalid"));
    assert_eq!(plain(r#"{"seqPlacement":"moon"}"#), Some("node-invalid"));
    assert_eq!(plain(r#"{"xPaddingObfsMode":true,"xPaddingKey":"a&b"}"#), Some("node-invalid"));
    // Nonsense is no setting.
    assert_eq!(plain(r#"{"headers":7,"xPaddingBytes":"many","scMaxEachPostBytes":-1,"xmux":[]}"#), None);
    assert_eq!(plain("[]"), None);
}

#[test]
fn golden_heads() {
    let security = tls(&[]);
    let extra = r#"{"headers":{"X-Mine":"yes","Host":"no.example"},"xPaddingBytes":"3-3"}"#;
    let plan = built(&settings(XhttpMode::PacketUp, extra), &security).unwrap().up.plan;
    let piece = plan.head(Purpose::Piece { session: "S", number: 7, length: 4 }, true);
    assert_eq!((piece.method().as_str(), piece.uri().to_string()), ("POST", "https://a.example/x/S/7".to_owned()));
    let header =
        |request: &Request<()>, name: &str| request.headers().get(name).map(|v| v.to_str().unwrap().to_owned());
    assert_eq!(header(&piece, "referer").unwrap(), "https://a.example/x/?x_padding=XXX");
    assert_eq!(header(&piece, "x-mine").unwrap(), "yes");
    assert_eq!(header(&piece, "content-length").unwrap(), "4");
    assert!(header(&piece, "user-agent").unwrap().starts_with("Mozilla"));
    assert_eq!((header(&piece, "content-type"), header(&piece, "host")), (None, None));
    let down = plan.head(Purpose::Download { session: "S" }, false);
    assert_eq!((down.method().as_str(), down.uri().to_string()), ("GET", "/x/S".to_owned()));
    assert_eq!(header(&down, "host").unwrap(), "a.example");
    let both = plan.head(Purpose::Both, true);
    assert_eq!(both.uri(), "https://a.example/x/");
    assert_eq!(header(&both, "content-type").unwrap(), "application/grpc");
    assert_eq!(plan.session().len(), 36);
}

#[test]
fn words_in_other_places() {
    let extra = r#"{"sessionIDPlacement":"cookie","seqPlacement":"query","seqKey":"n","uplinkHTTPMethod":"put",
        "xPaddingObfsMode":true,"xPaddingPlacement":"header","xPaddingMethod":"tokenish","xPaddingBytes":{"from":200,"to":200},
        "sessionIDTable":"hex","sessionIDLength":"8-12","noGRPCHeader":true}"#;
    let settings = Xhttp { path: "/x?y=1".into(), ..settings(XhttpMode::PacketUp, extra) };
    let plan = built(&settings, &tls(&[])).unwrap().up.plan;
    let head = plan.head(Purpose::Piece { session: "S", number: 0, length: 1 }, true);
    assert_eq!((head.method().as_str(), head.uri().to_string()), ("PUT", "https://a.example/x/?y=1&n=0".to_owned()));
    assert_eq!(head.headers()["cookie"], "x_session=S");
    assert!(!head.headers().contains_key("referer"));
    // Base62 letters have five to eight bits each.
    assert!((200..=320).contains(&head.headers()["x-padding"].len()));
    let session = plan.session();
    assert!((8..=12).contains(&session.len()) && session.bytes().all(|b| b.is_ascii_hexdigit()));
    assert!(!plan.head(Purpose::Both, true).headers().contains_key("content-type"));
}

/// What a server knows of a session: it echoes the upload.
struct Session {
    down: Option<UnboundedSender<Bytes>>,
    download: Option<UnboundedReceiver<Bytes>>,
    next: u64,
    waiting: BTreeMap<u64, Bytes>,
}

/// Sessions of all connections.
#[derive(Default)]
struct Site {
    sessions: Mutex<HashMap<String, Session>>,
    posts: Mutex<Vec<usize>>,
}

impl Site {
    fn with<T>(&self, id: &str, act: impl FnOnce(&mut Session) -> T) -> T {
        let mut sessions = self.sessions.lock();
        act(sessions.entry(id.to_owned()).or_insert_with(|| {
            let (down, download) = mpsc::unbounded_channel();
            Session { down: Some(down), download: Some(download), next: 0, waiting: BTreeMap::new() }
        }))
    }

    fn push(&self, id: &str, bytes: Bytes) {
        self.with(id, |session| {
            if let Some(down) = &session.down {
                let _ = down.send(bytes);
            }
        });
    }

    /// Puts pieces in order. `QUIT` ends the session.
    fn piece(&self, id: &str, number: u64, bytes: Bytes) {
        self.posts.lock().push(bytes.len());
        self.with(id, |session| {
            session.waiting.insert(number, bytes);
            while let Some(bytes) = session.waiting.remove(&session.next) {
                session.next += 1;
                if bytes == "QUIT" {
                    session.down = None;
                }
                if let Some(down) = &session.down {
                    let _ = down.send(bytes);
                }
            }
        });
    }
}

/// The session and the number in a path.
fn words(path: &str) -> (Option<String>, Option<u64>) {
    let mut words = path.strip_prefix("/x/").unwrap().split('/').filter(|word| !word.is_empty());
    (words.next().map(str::to_owned), words.next().map(|number| number.parse().unwrap()))
}

async fn serve_http2(peer: DuplexStream, site: Arc<Site>) {
    let mut wire = h2::server::handshake(peer).await.unwrap();
    while let Some(Ok((request, respond))) = wire.accept().await {
        tokio::spawn(answer_http2(request, respond, Arc::clone(&site)));
    }
}

async fn answer_http2(request: Request<h2::RecvStream>, mut respond: h2::server::SendResponse<Bytes>, site: Arc<Site>) {
    let (session, number) = words(request.uri().path());
    assert!(request.headers()["referer"].to_str().unwrap().contains("/x/?x_padding=XXX"));
    if request.method() == "GET" && number.is_none() {
        let mut sending = respond.send_response(Response::new(()), false).unwrap();
        let mut download = site.with(&session.unwrap(), |session| session.download.take()).unwrap();
        while let Some(bytes) = download.recv().await {
            send(&mut sending, bytes).await;
        }
        let _ = sending.send_data(Bytes::new(), true);
        return;
    }
    let mut body = request.into_body();
    let mut sending = number.is_none().then(|| respond.send_response(Response::new(()), false).unwrap());
    if let (Some(sending), Some(_)) = (&mut sending, &session) {
        send(sending, Bytes::from_static(b"XXXXXXXX")).await;
    }
    let mut whole = Vec::new();
    while let Some(Ok(bytes)) = body.data().await {
        body.flow_control().release_capacity(bytes.len()).unwrap();
        match (&session, number, &mut sending) {
            (Some(_), Some(_), _) => whole.extend_from_slice(&bytes),
            (Some(session), None, _) => site.push(session, bytes),
            (None, _, Some(sending)) => send(sending, bytes).await,
            _ => unreachable!(),
        }
    }
    match (session, number) {
        (Some(session), Some(number)) => {
            site.piece(&session, number, whole.into());
            respond.send_response(Response::new(()), true).unwrap();
        }
        (Some(session), None) => site.with(&session, |session| session.down = None),
        _ => {}
    }
    if let Some(mut sending) = sending {
        let _ = sending.send_data(Bytes::new(), true);
    }
}

async fn send(sending: &mut h2::SendStream<Bytes>, mut bytes: Bytes) {
    while !bytes.is_empty() {
        sending.reserve_capacity(bytes.len());
        let Some(Ok(room)) = std::future::poll_fn(|cx| sending.poll_capacity(cx)).await else { return };
        let _ = sending.send_data(bytes.split_to(room.min(bytes.len())), false);
    }
}

async fn serve_http1(peer: DuplexStream, site: Arc<Site>) {
    let service = service_fn(move |request: Request<hyper::body::Incoming>| {
        let site = Arc::clone(&site);
        async move {
            let (session, number) = words(request.uri().path());
            let session = session.unwrap();
            assert_eq!(request.headers()["host"], "a.example");
            let (down, download) = mpsc::unbounded_channel();
            let download = if let Some(number) = number {
                let body = request.into_body().collect().await.unwrap().to_bytes();
                site.piece(&session, number, body);
                drop(down);
                download
            } else {
                site.with(&session, |session| session.download.take()).unwrap()
            };
            let frames = futures_util::stream::unfold(download, |mut download| async move {
                let bytes = download.recv().await?;
                Some((Ok::<_, Infallible>(Frame::data(bytes)), download))
            });
            Ok::<_, Infallible>(Response::new(StreamBody::new(frames)))
        }
    });
    let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(peer), service).await;
}

/// Dials one of two servers.
#[derive(Debug)]
struct Two {
    main: Many,
    other: Many,
}

#[async_trait]
impl Dialer for Two {
    async fn connect(&self, target: &Target, attempt: &Attempt) -> Result<BoxStream, DialError> {
        let other = *target.host() == Host::new("other.example").unwrap();
        if other { &self.other } else { &self.main }.connect(target, attempt).await
    }
}

/// A client, and a server for every connection that it opens.
struct World {
    client: XhttpClient,
    site: Arc<Site>,
}

impl World {
    fn new(mode: XhttpMode, version: Version, extra: &str, seed: u64, most: usize) -> Self {
        let settings = settings(mode, extra);
        Self::of(&settings, [version; 2], seed, most)
    }

    /// Versions of the main server and of the other one.
    fn of(settings: &Xhttp, versions: [Version; 2], seed: u64, most: usize) -> Self {
        let security = if versions[0] == Version::Http1 { Security::None } else { tls(&[]) };
        let (main, main_peers) = Many::new(seed, most);
        let (other, other_peers) = Many::new(seed, most);
        let client = built_on(Arc::new(Two { main, other }), settings, &security).unwrap();
        assert_eq!(version(&client.up), versions[0]);
        let site = Arc::<Site>::default();
        for (version, mut peers) in versions.into_iter().zip([main_peers, other_peers]) {
            let serving = Arc::clone(&site);
            tokio::spawn(async move {
                while let Some(peer) = peers.recv().await {
                    match version {
                        Version::Http1 => tokio::spawn(serve_http1(peer, Arc::clone(&serving))),
                        _ => tokio::spawn(serve_http2(peer, Arc::clone(&serving))),
                    };
                }
            });
        }
        Self { client, site }
    }

    async fn open(&self) -> BoxStream {
        self.client.open(&Attempt::within(Duration::from_secs(60))).await.unwrap()
    }
}

pub(super) const EVERY: [(XhttpMode, Version); 4] = [
    (XhttpMode::StreamOne, Version::Http2),
    (XhttpMode::StreamUp, Version::Http2),
    (XhttpMode::PacketUp, Version::Http2),
    (XhttpMode::PacketUp, Version::Http1),
];

#[tokio::test(start_paused = true)]
async fn questions_and_answers() {
    for (mode, version) in EVERY {
        let by_get = if mode == XhttpMode::PacketUp { r#"{"uplinkHTTPMethod":"get"}"# } else { "" };
        for (seed, most, extra) in [(1, 50, ""), (2, 64 * 1024, by_get)] {
            let world = World::new(mode, version, extra, seed, most);
            let mut stream = world.open().await;
            for _ in 0..3 {
                stream.write_all(b"question").await.unwrap();
                stream.flush().await.unwrap();
                let mut back = [0; 8];
                timeout(Duration::from_secs(20), stream.read_exact(&mut back)).await.unwrap().unwrap();
                assert_eq!(&back, b"question");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn much_both_ways() {
    let data: Vec<u8> = (0..900_000_u32).map(|i| i.wrapping_mul(2_654_435_761).to_le_bytes()[3]).collect();
    for (mode, version) in EVERY {
        let extra = r#"{"scMaxEachPostBytes":"30000-40000","scMinPostsIntervalMs":5}"#;
        let world = World::new(mode, version, extra, 3, 64 * 1024);
        let (mut read, mut write) = split(world.open().await);
        let writing = async {
            write.write_all(&data).await.unwrap();
            write.flush().await.unwrap();
        };
        let reading = async {
            let mut back = vec![0; data.len()];
            timeout(Duration::from_secs(600), read.read_exact(&mut back)).await.unwrap().unwrap();
            assert!(back == data, "{mode:?} damages");
        };
        tokio::join!(writing, reading);
        let posts = world.site.posts.lock();
        assert!(posts.iter().all(|length| *length <= 40_000), "{posts:?}");
        assert_eq!(posts.is_empty(), mode != XhttpMode::PacketUp);
    }
}

#[tokio::test(start_paused = true)]
async fn streamed_modes_tell_the_end() {
    for mode in [XhttpMode::StreamOne, XhttpMode::StreamUp] {
        let world = World::new(mode, Version::Http2, "", 3, 1000);
        let mut stream = world.open().await;
        stream.write_all(b"last words").await.unwrap();
        stream.shutdown().await.unwrap();
        let mut all = Vec::new();
        timeout(Duration::from_secs(20), stream.read_to_end(&mut all)).await.unwrap().unwrap();
        assert_eq!(all, b"last words");
    }
}

#[tokio::test(start_paused = true)]
async fn packets_go_out_after_the_end_and_the_server_ends() {
    for version in [Version::Http1, Version::Http2] {
        let world = World::new(XhttpMode::PacketUp, version, "", 3, 1000);
        let mut stream = world.open().await;
        stream.write_all(b"first").await.unwrap();
        sleep(Duration::from_secs(1)).await;
        stream.write_all(b"QUIT").await.unwrap();
        stream.shutdown().await.unwrap();
        assert!(stream.write_all(b"more").await.is_err());
        let mut all = Vec::new();
        timeout(Duration::from_secs(20), stream.read_to_end(&mut all)).await.unwrap().unwrap();
        assert_eq!(all, b"first");
    }
}

#[tokio::test(start_paused = true)]
async fn short_writes_travel_together() {
    let world = World::new(XhttpMode::PacketUp, Version::Http2, r#"{"scMinPostsIntervalMs":1000}"#, 3, 64 * 1024);
    let mut stream = world.open().await;
    for _ in 0..10 {
        stream.write_all(b"ten bytes!").await.unwrap();
        sleep(Duration::from_millis(10)).await;
    }
    let mut back = [0; 100];
    stream.read_exact(&mut back).await.unwrap();
    assert_eq!(*world.site.posts.lock(), [10, 90]);
}

/// The code that a reader sees when every request is answered with this status.
async fn refused(mode: XhttpMode, status: u16, method: &'static str) -> &'static str {
    let (dialer, mut peers) = Many::new(1, 4096);
    let client = built_on(Arc::new(dialer), &settings(mode, ""), &tls(&[])).unwrap();
    let mut stream = client.open(&Attempt::within(Duration::from_secs(60))).await.unwrap();
    let peer = peers.try_recv().unwrap();
    tokio::spawn(async move {
        let mut wire = h2::server::handshake(peer).await.unwrap();
        let mut kept = Vec::new();
        while let Some(Ok((request, mut respond))) = wire.accept().await {
            if request.method() == method {
                respond.send_response(Response::builder().status(status).body(()).unwrap(), true).unwrap();
            } else {
                kept.push(respond.send_response(Response::new(()), false).unwrap());
            }
        }
    });
    stream.write_all(b"question").await.unwrap();
    let error = timeout(Duration::from_secs(60), stream.read_u8()).await.unwrap().unwrap_err();
    Cause::from(error).code()
}

#[tokio::test(start_paused = true)]
async fn refusals_by_their_names() {
    for mode in [XhttpMode::StreamUp, XhttpMode::PacketUp] {
        for method in ["GET", "POST"] {
            assert_eq!(refused(mode, 404, method).await, "transport-status", "{mode:?} {method}");
        }
    }
    assert_eq!(refused(XhttpMode::StreamOne, 400, "POST").await, "transport-status");
}

#[tokio::test(start_paused = true)]
async fn sessions_share_a_connection() {
    let world = World::new(XhttpMode::PacketUp, Version::Http2, "", 3, 64 * 1024);
    let mut streams = Vec::new();
    for _ in 0..5 {
        let mut stream = world.open().await;
        stream.write_all(b"question").await.unwrap();
        streams.push(stream);
    }
    for stream in &mut streams {
        let mut back = [0; 8];
        stream.read_exact(&mut back).await.unwrap();
    }
    assert_eq!(world.site.sessions.lock().len(), 5);
    let Connections::Http2(_, connections) = &world.client.up.connections else { panic!() };
    assert_eq!(connections.alive(), 1);
}

#[tokio::test(start_paused = true)]
async fn downloads_take_another_way() {
    let (one, two) = (Version::Http1, Version::Http2);
    for (mode, versions) in [
        (XhttpMode::StreamUp, [two, two]),
        (XhttpMode::StreamUp, [two, one]),
        (XhttpMode::PacketUp, [two, one]),
        (XhttpMode::PacketUp, [one, two]),
        (XhttpMode::PacketUp, [one, one]),
    ] {
        let download = settings(XhttpMode::Auto, "");
        let security = if versions[1] == one { Security::None } else { tls(&[]) };
        let settings = Xhttp { download: elsewhere(download, security), ..settings(mode, "") };
        let world = World::of(&settings, versions, 1, 5000);
        let mut streams = Vec::new();
        for _ in 0..3 {
            let mut stream = world.open().await;
            stream.write_all(b"question").await.unwrap();
            stream.flush().await.unwrap();
            streams.push(stream);
        }
        for stream in &mut streams {
            let mut back = [0; 8];
            timeout(Duration::from_secs(20), stream.read_exact(&mut back)).await.unwrap().unwrap();
            assert_eq!(&back, b"question", "{mode:?} {versions:?}");
        }
    }
}

#[test]
fn heads_of_another_way() {
    let extra = r#"{"xPaddingBytes":2,"sessionPlacement":"header"}"#;
    let other = Xhttp { path: "/d?q".into(), host: None, ..settings(XhttpMode::Auto, extra) };
    let security = Security::Tls(Tls { server_name: Some("b.example".into()), ..Tls::default() });
    let made = |mode, main: &Security| {
        let download = elsewhere(other.clone(), security.clone());
        built(&Xhttp { download, ..settings(mode, "") }, main)
    };
    let client = made(XhttpMode::Auto, &reality()).unwrap();
    assert_eq!(client.mode, XhttpMode::StreamUp);
    let head = client.down.as_ref().unwrap().plan.head(Purpose::Download { session: "S" }, true);
    assert_eq!((head.method().as_str(), head.uri().to_string()), ("GET", "https://b.example/d/?q".to_owned()));
    assert_eq!(head.headers()["x-session"], "S");
    assert_eq!(head.headers()["referer"], "https://b.example/d/?x_padding=XX");
    let head = client.up.plan.head(Purpose::Upload { session: "S" }, true);
    assert_eq!(head.uri(), "https://a.example/x/S");
    assert_eq!(made(XhttpMode::Auto, &tls(&[])).unwrap().mode, XhttpMode::PacketUp);
    assert_eq!(made(XhttpMode::StreamOne, &reality()).err().map(|error| error.code()), Some("node-invalid"));
}

#[tokio::test(start_paused = true)]
async fn either_way_may_fail() {
    for lost in ["main", "other"] {
        let (main, main_peers) = Many::new(1, 4096);
        let (other, other_peers) = Many::new(1, 4096);
        // Who lets a receiver go refuses connections.
        let (gone, _kept) = if lost == "main" { (main_peers, other_peers) } else { (other_peers, main_peers) };
        drop(gone);
        let download = elsewhere(settings(XhttpMode::Auto, ""), tls(&[]));
        let settings = Xhttp { download, ..settings(XhttpMode::StreamUp, "") };
        let client = built_on(Arc::new(Two { main, other }), &settings, &tls(&[])).unwrap();
        let error = client.open(&Attempt::within(Duration::from_secs(60))).await.err().unwrap();
        assert_eq!(error.cause.code(), "refused", "{lost}");
    }
}

async fn serve_http3(connection: quinn::Connection, site: Arc<Site>) {
    let mut http = h3::server::Connection::<_, Bytes>::new(h3_quinn::Connection::new(connection)).await.unwrap();
    while let Ok(Some(resolver)) = http.accept().await {
        let site = Arc::clone(&site);
        tokio::spawn(async move {
            let (request, stream) = resolver.resolve_request().await.unwrap();
            let (session, number) = words(request.uri().path());
            let (mut send, mut receive) = stream.split();
            if number.is_none() {
                send.send_response(Response::new(())).await.unwrap();
            }
            if request.method() == "GET" {
                let mut download = site.with(&session.unwrap(), |session| session.download.take()).unwrap();
                while let Some(bytes) = download.recv().await {
                    let _ = send.send_data(bytes).await;
                }
                return send.finish().await;
            }
            let mut whole = Vec::new();
            while let Ok(Some(mut data)) = receive.recv_data().await {
                let bytes = data.copy_to_bytes(data.remaining());
                match (&session, number) {
                    (Some(_), Some(_)) => whole.extend_from_slice(&bytes),
                    (Some(session), None) => site.push(session, bytes),
                    (None, _) => send.send_data(bytes).await?,
                }
            }
            if let (Some(session), Some(number)) = (session, number) {
                site.piece(&session, number, whole.into());
                send.send_response(Response::new(())).await?;
            }
            send.finish().await
        });
    }
}

#[tokio::test]
async fn sessions_over_http3() {
    let data: Vec<u8> = (0..600_000_u32).map(|i| i.wrapping_mul(2_654_435_761).to_le_bytes()[3]).collect();
    let (peer, site) = (Peer::start(&["h3"], None), Arc::<Site>::default());
    let (endpoint, serving) = (peer.endpoint.clone(), Arc::clone(&site));
    tokio::spawn(async move {
        while let Some(incoming) = endpoint.accept().await {
            tokio::spawn(serve_http3(incoming.await.unwrap(), Arc::clone(&serving)));
        }
    });
    let connect_to = |target: &Target, _: &Security, version| {
        assert_eq!(version, Version::Http3);
        Ok(Endpoint::Http3(Box::new(peer.server(target))))
    };
    let target = Target::try_from(peer.address).unwrap();
    for (mode, apart) in [
        (XhttpMode::StreamOne, false),
        (XhttpMode::StreamUp, false),
        (XhttpMode::PacketUp, false),
        (XhttpMode::PacketUp, true),
    ] {
        let mut settings = settings(mode, "");
        if apart {
            let download = XhttpDownload { server: None, xhttp: settings.clone(), security: tls(&["h3"]) };
            settings.download = Some(Box::new(download));
        }
        let client = XhttpClient::new(&settings, &tls(&["h3"]), &target, &connect_to).unwrap();
        let (mut read, mut write) = split(client.open(&Attempt::within(Duration::from_secs(60))).await.unwrap());
        let writing = async {
            write.write_all(&data).await.unwrap();
            write.flush().await.unwrap();
        };
        let reading = async {
            let mut back = vec![0; data.len()];
            timeout(Duration::from_secs(60), read.read_exact(&mut back)).await.unwrap().unwrap();
            assert!(back == data, "{mode:?} damages");
        };
        tokio::join!(writing, reading);
        let Connections::Http3(connections) = &client.up.connections else { panic!() };
        assert_eq!(connections.alive(), 1);
    }
}
