//! Tests of the crate's face: the clock, what cannot be built, and nodes over real loopback sockets.

use std::{sync::Arc, time::Duration};

use hezar_core::{
    Carrier, Credentials, Fault, Grpc, Http2, HttpHeader, HttpUpgrade, NodeSpec, Outbound, Security, SocksProxy,
    SocksVersion, Stage, StreamProtocol, Target, Timestamp, Tls, Trojan, WebSocket, Xhttp,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use crate::{
    AddressPolicy, Attempt, BoxStream, BuildError, Cause, Clock, DialError, Dialer, Engine, EngineList, NativeEngine,
    NativeEngineConfig,
    testing::{Authority, reality},
};

fn attempt() -> Attempt {
    Attempt::within(Duration::from_secs(60))
}

fn socks(server: &Target, tls: Option<Tls>) -> NodeSpec {
    let credentials = Some(Credentials { username: "u".into(), password: "p".into() });
    let settings = SocksProxy { version: SocksVersion::V5, credentials, tls: tls.map(Box::new) };
    NodeSpec::new(server.clone(), Outbound::Socks(settings))
}

fn trojan(carrier: Carrier) -> NodeSpec {
    let trojan = Trojan { password: "p".into(), inner_shadowsocks: None };
    let outbound = Outbound::stream(StreamProtocol::Trojan(trojan), carrier).unwrap();
    NodeSpec::new(Target::parse("node.example:443").unwrap(), outbound)
}

#[tokio::test(start_paused = true)]
async fn the_clock_goes_forward() {
    let clock = Clock::starting_at(Timestamp(1_000_000));
    assert_eq!(clock.now(), Timestamp(1_000_000));
    tokio::time::advance(Duration::from_millis(250)).await;
    assert_eq!(clock.now(), Timestamp(1_000_250));
    assert!(Clock::start().now().0 > 1_700_000_000_000);
}

#[tokio::test(start_paused = true)]
async fn every_stage_has_the_same_deadline() {
    let attempt = Attempt::within(Duration::from_secs(5));
    for stage in [Stage::Resolve, Stage::Connect, Stage::Security, Stage::Transport, Stage::Handshake, Stage::Exchange]
    {
        let silent = std::future::pending::<std::io::Result<()>>();
        let error = attempt.stage(stage, silent).await.unwrap_err();
        assert_eq!((error.stage, error.code(), error.fault()), (stage, "timeout", Fault::Node));
        assert_eq!(attempt.elapsed().as_secs(), 5);
    }
}

#[test]
fn what_is_not_implemented_is_refused_when_it_is_built() {
    let engine = NativeEngine::new(&NativeEngineConfig::default());
    let refused = [Carrier::Kcp { kcp: hezar_core::Kcp::default(), tls: None }];
    for carrier in refused {
        let error = engine.dialer(&trojan(carrier), AddressPolicy::PublicOnly).unwrap_err();
        assert_eq!(error.code(), "node-unsupported");
    }
    let reality = Carrier::Tcp { header: None, security: Security::Reality(reality()) };
    assert!(engine.dialer(&trojan(reality), AddressPolicy::PublicOnly).is_ok());
    for tls in [None, Some(Tls::default())] {
        let security = tls.clone().map_or(Security::None, Security::Tls);
        let built = [
            Carrier::Tcp { header: Some(HttpHeader::default()), security: security.clone() },
            Carrier::WebSocket { websocket: WebSocket::default(), tls: tls.clone() },
            Carrier::HttpUpgrade { upgrade: HttpUpgrade::default(), tls: tls.clone() },
            Carrier::Grpc { grpc: Grpc::default(), security: security.clone() },
            Carrier::Xhttp { xhttp: Xhttp::default(), security },
            Carrier::Http2 { http2: Http2::default(), tls },
        ];
        for carrier in built {
            assert!(engine.dialer(&trojan(carrier), AddressPolicy::PublicOnly).is_ok());
        }
    }
}

/// What a test server does with its one connection.
#[derive(Clone, Copy, PartialEq)]
enum Mood {
    Serves,
    Resets,
    Closes,
    Refuses,
}

async fn serve<S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin>(mut stream: S, mood: Mood) {
    let mut greeting = [0; 4];
    stream.read_exact(&mut greeting).await.unwrap();
    assert_eq!(greeting, [5, 2, 0, 2]);
    if mood == Mood::Closes {
        return;
    }
    stream.write_all(&[5, 2]).await.unwrap();
    let mut login = [0; 5];
    stream.read_exact(&mut login).await.unwrap();
    assert_eq!(&login, b"\x01\x01u\x01p");
    stream.write_all(&[1, u8::from(mood == Mood::Refuses)]).await.unwrap();
    if mood == Mood::Refuses {
        return;
    }
    let mut request = [0; 10];
    stream.read_exact(&mut request).await.unwrap();
    assert_eq!(request, *b"\x05\x01\0\x03\x03a.b\0\x50");
    stream.write_all(b"\x05\0\0\x01\0\0\0\0\0\0").await.unwrap();
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).await.unwrap();
    stream.write_all(&rest).await.unwrap();
    stream.shutdown().await.unwrap();
}

async fn accept(listener: TcpListener) -> TcpStream {
    listener.accept().await.unwrap().0
}

async fn dial(engine: &NativeEngine, spec: &NodeSpec, allow_private: bool) -> Result<BoxStream, DialError> {
    let target = Target::parse("a.b:80").unwrap();
    engine.dialer(spec, AddressPolicy::allowing_private(allow_private)).unwrap().connect(&target, &attempt()).await
}

async fn listener() -> (TcpListener, Target) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let server = Target::try_from(listener.local_addr().unwrap()).unwrap();
    (listener, server)
}

async fn echo(mut stream: BoxStream) {
    stream.write_all(b"hello").await.unwrap();
    stream.shutdown().await.unwrap();
    let mut got = Vec::new();
    stream.read_to_end(&mut got).await.unwrap();
    assert_eq!(got, b"hello");
}

#[tokio::test]
async fn a_node_over_real_sockets() {
    let engine = NativeEngine::new(&NativeEngineConfig::default());
    let (listener, server) = listener().await;
    let spec = socks(&server, None);
    let error = dial(&engine, &spec, false).await.err().unwrap();
    assert_eq!((error.stage, error.code()), (Stage::Resolve, "forbidden-address"));
    let client = async { echo(dial(&engine, &spec, true).await.unwrap()).await };
    tokio::join!(client, async { serve(accept(listener).await, Mood::Serves).await });
}

#[tokio::test]
async fn a_chain_over_real_sockets() {
    let engine = NativeEngine::new(&NativeEngineConfig::default());
    let (listener, first) = listener().await;
    let far = Target::parse("far.example:1080").unwrap();
    let chained = socks(&far, None).through(socks(&first, None).into()).unwrap();
    let client = async { echo(dial(&engine, &chained, true).await.unwrap()).await };
    let server = async {
        let mut stream = accept(listener).await;
        proxy(&mut stream, b"\x05\x01\0\x03\x0bfar.example\x04\x38", 0).await;
        serve(stream, Mood::Serves).await;
    };
    tokio::join!(client, server);
}

#[tokio::test]
async fn a_server_that_its_chain_cannot_reach_is_a_bad_node() {
    let engine = NativeEngine::new(&NativeEngineConfig::default());
    let (listener, first) = listener().await;
    let far = Target::parse("far.example:1080").unwrap();
    let chained = socks(&far, None).through(socks(&first, None).into()).unwrap();
    let server = async {
        let mut stream = accept(listener).await;
        proxy(&mut stream, b"\x05\x01\0\x03\x0bfar.example\x04\x38", 4).await;
    };
    let (result, ()) = tokio::join!(dial(&engine, &chained, true), server);
    let error = result.err().unwrap();
    assert_eq!((error.code(), error.fault()), ("unreachable", Fault::Node));
}

/// The first server of a chain: expects a request and answers with a code.
async fn proxy(stream: &mut TcpStream, expected: &[u8], code: u8) {
    let mut greeting = [0; 4];
    stream.read_exact(&mut greeting).await.unwrap();
    stream.write_all(&[5, 2]).await.unwrap();
    stream.read_exact(&mut [0; 5]).await.unwrap();
    stream.write_all(&[1, 0]).await.unwrap();
    let mut request = vec![0; expected.len()];
    stream.read_exact(&mut request).await.unwrap();
    assert_eq!(request, expected);
    stream.write_all(&[5, code, 0, 1, 0, 0, 0, 0, 0, 0]).await.unwrap();
}

#[tokio::test]
async fn a_node_over_tls_keeps_half_closed_streams() {
    let authority = Authority::new();
    let config = NativeEngineConfig { extra_roots: vec![authority.root.clone()], ..NativeEngineConfig::default() };
    let (engine, (acceptor, _)) = (NativeEngine::new(&config), authority.server(&["node.example"], &[]));
    let (listener, server) = listener().await;
    let tls = Tls { server_name: Some("node.example".into()), ..Tls::default() };
    let spec = socks(&server, Some(tls));
    let client = async { echo(dial(&engine, &spec, true).await.unwrap()).await };
    let server = async { serve(acceptor.accept(accept(listener).await).await.unwrap(), Mood::Serves).await };
    tokio::join!(client, server);
}

#[tokio::test]
async fn failures_of_a_real_server() {
    let engine = NativeEngine::new(&NativeEngineConfig::default());
    for (mood, code) in [(Mood::Closes, "closed"), (Mood::Resets, "reset"), (Mood::Refuses, "authentication")] {
        let (listener, server) = listener().await;
        let serving = async {
            let mut stream = accept(listener).await;
            if mood == Mood::Resets {
                stream.read_u8().await.unwrap();
                // Closing without lingering sends a reset.
                socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO)).unwrap();
                return;
            }
            serve(stream, mood).await;
        };
        let spec = socks(&server, None);
        let (result, ()) = tokio::join!(dial(&engine, &spec, true), serving);
        let error = result.err().unwrap();
        assert_eq!((error.stage, error.code(), error.fault()), (Stage::Handshake, code, Fault::Node));
        assert!(error.retryable());
    }
}

/// Builds nodes of one port, and says which engine it is by its error.
#[derive(Debug)]
struct OnePort(u16, &'static str);

impl Engine for OnePort {
    fn dialer(&self, node: &NodeSpec, policy: AddressPolicy) -> Result<Arc<dyn Dialer>, BuildError> {
        if node.server.port() == self.0 { Ok(self.direct(policy)) } else { Err(BuildError::Unsupported(self.1)) }
    }

    fn direct(&self, _: AddressPolicy) -> Arc<dyn Dialer> {
        Arc::new(Named(self.1))
    }
}

/// A dialer that only says who made it.
#[derive(Debug)]
struct Named(&'static str);

#[async_trait::async_trait]
impl Dialer for Named {
    async fn connect(&self, _: &Target, _: &Attempt) -> Result<BoxStream, DialError> {
        Err(DialError::new(Stage::Connect, Cause::Unsupported(self.0)))
    }
}

#[test]
fn the_first_engine_that_can_build_a_node_builds_it() {
    let others = [OnePort(1, "second"), OnePort(2, "third")].map(|engine| Arc::new(engine) as Arc<dyn Engine>);
    let list = EngineList::new(Arc::new(OnePort(1, "first")), others);
    let built = |port: u16| {
        let node = socks(&Target::parse(&format!("192.0.2.1:{port}")).unwrap(), None);
        list.dialer(&node, AddressPolicy::PublicOnly).map(|dialer| format!("{dialer:?}"))
    };
    assert_eq!(built(1).unwrap(), "Named(\"first\")");
    assert_eq!(built(2).unwrap(), "Named(\"third\")");
    assert_eq!(built(3), Err(BuildError::Unsupported("first")), "the first engine's reason");
    assert_eq!(format!("{:?}", list.direct(AddressPolicy::Any)), "Named(\"first\")");
    let node = |port: u16| socks(&Target::parse(&format!("192.0.2.1:{port}")).unwrap(), None);
    assert_eq!((list.engine_of(&node(1)), list.engine_of(&node(2))), (Ok("native"), Ok("native")));
    assert_eq!(list.engine_of(&node(3)), Err(BuildError::Unsupported("first")), "the reason of a dialer");
}
