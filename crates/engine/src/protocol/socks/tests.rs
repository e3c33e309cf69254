//! Tests of the SOCKS outbound: golden bytes, refusals, cut streams.

use std::{sync::Arc, time::Duration};

use hezar_core::{Credentials, DomainName, Fault, NodeSpec, Outbound, Secret, SocksProxy, SocksVersion, Stage, Target};
use parking_lot::Mutex;
use proptest::prelude::*;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream},
    net::TcpListener,
};

use super::datagram::relay_address;
use super::{build, wire};
use crate::{
    AddressPolicy, Attempt, BoxDatagram, BoxStream, BuildError, Cause, DialError, Dialer, Engine as _, NativeEngine,
    NativeEngineConfig, Resolver, ResolverConfig, SystemDialer,
    testing::{Far, connector_pair, datagram_connector, heard},
    transport::TransportConnector,
};

fn proxy(version: SocksVersion, user: Option<(&str, &str)>) -> SocksProxy {
    let credentials =
        user.map(|(name, password)| Credentials { username: name.into(), password: Secret::new(password) });
    SocksProxy { version, credentials, tls: None }
}

/// The dialer without a network that looks names up.
fn build_alone(settings: &SocksProxy, connector: TransportConnector) -> Result<Arc<dyn Dialer>, BuildError> {
    let resolver = Arc::clone(connector.via());
    build(settings, connector, resolver)
}

fn dialer(settings: &SocksProxy, seed: u64) -> (Arc<dyn Dialer>, DuplexStream) {
    let (connector, peer) = connector_pair(seed, 7);
    (build_alone(settings, connector).unwrap(), peer)
}

/// Expects and sends bytes in turn, as the server would.
async fn play(peer: &mut DuplexStream, script: &[(&[u8], &[u8])]) {
    for (expected, answer) in script {
        let mut got = vec![0; expected.len()];
        peer.read_exact(&mut got).await.unwrap();
        assert_eq!(got, *expected);
        peer.write_all(answer).await.unwrap();
    }
}

async fn dial(
    settings: &SocksProxy,
    target: &str,
    seed: u64,
    script: &[(&[u8], &[u8])],
) -> (Result<BoxStream, DialError>, DuplexStream) {
    let (dialer, mut peer) = dialer(settings, seed);
    let (target, attempt) = (Target::parse(target).unwrap(), Attempt::within(Duration::from_secs(30)));
    let connect = dialer.connect(&target, &attempt);
    let (result, ()) = tokio::join!(connect, play(&mut peer, script));
    (result, peer)
}

fn verdict(result: Result<BoxStream, DialError>) -> (Stage, &'static str, Fault) {
    let error = result.err().unwrap();
    (error.stage, error.code(), error.fault())
}

#[tokio::test]
async fn socks5_to_a_name() {
    let script: [(&[u8], &[u8]); 2] =
        [(&[5, 1, 0], &[5, 0]), (b"\x05\x01\0\x03\x0bexample.org\x01\xbb", b"\x05\0\0\x01\x01\x02\x03\x04\0\x50early")];
    for seed in 0..20 {
        let (result, mut peer) = dial(&proxy(SocksVersion::V5, None), "example.org:443", seed, &script).await;
        let mut stream = result.unwrap();
        let mut got = [0; 5];
        stream.read_exact(&mut got).await.unwrap();
        assert_eq!(&got, b"early");
        stream.write_all(b"hello").await.unwrap();
        peer.read_exact(&mut got).await.unwrap();
        assert_eq!(&got, b"hello");
    }
}

#[tokio::test]
async fn socks5_with_a_password_to_addresses() {
    let user = proxy(SocksVersion::V5, Some(("user", "pass")));
    let greet: (&[u8], &[u8]) = (&[5, 2, 0, 2], &[5, 2]);
    let login: (&[u8], &[u8]) = (b"\x01\x04user\x04pass", &[1, 0]);
    let v4: (&[u8], &[u8]) = (&[5, 1, 0, 1, 1, 2, 3, 4, 0, 80], b"\x05\0\0\x03\x03abc\0\x50");
    let (result, _peer) = dial(&user, "1.2.3.4:80", 1, &[greet, login, v4]).await;
    assert!(result.is_ok());
    let request = [&[5, 1, 0, 4, 0x20, 1, 0xd, 0xb8][..], &[0; 11], &[1, 0, 80]].concat();
    let reply = [&[5, 0, 0, 4][..], &[0; 18]].concat();
    let (result, _peer) = dial(&user, "[2001:db8::1]:80", 2, &[greet, login, (&request, &reply)]).await;
    assert!(result.is_ok());
}

#[tokio::test]
async fn refused_credentials_are_the_nodes_fault() {
    let wrong = (Stage::Handshake, "authentication", Fault::Node);
    let user = proxy(SocksVersion::V5, Some(("user", "pass")));
    let script: [(&[u8], &[u8]); 2] = [(&[5, 2, 0, 2], &[5, 2]), (b"\x01\x04user\x04pass", &[1, 1])];
    assert_eq!(verdict(dial(&user, "a.b:1", 1, &script).await.0), wrong);
    let none = proxy(SocksVersion::V5, None);
    for method in [2, 255] {
        assert_eq!(verdict(dial(&none, "a.b:1", 1, &[(&[5, 1, 0], &[5, method])]).await.0), wrong);
    }
    let four = proxy(SocksVersion::V4, None);
    let ask: &[u8] = &[4, 1, 0, 80, 1, 2, 3, 4, 0];
    assert_eq!(verdict(dial(&four, "1.2.3.4:80", 1, &[(ask, &[0, 93, 0, 0, 0, 0, 0, 0])]).await.0), wrong);
}

#[tokio::test]
async fn reply_codes_say_whose_fault_it_was() {
    let expect = [
        (1, "server-failure", Fault::Node),
        (2, "forbidden", Fault::Node),
        (3, "target-unreachable", Fault::Target),
        (4, "target-unreachable", Fault::Target),
        (5, "target-unreachable", Fault::Target),
        (6, "target-unreachable", Fault::Target),
        (7, "server-failure", Fault::Node),
        (8, "server-failure", Fault::Node),
        (99, "protocol", Fault::Node),
    ];
    for (code, name, fault) in expect {
        // Cut off after the code, as some servers do.
        let script: [(&[u8], &[u8]); 2] = [(&[5, 1, 0], &[5, 0]), (b"\x05\x01\0\x03\x03a.b\0\x01", &[5, code])];
        let (result, _peer) = dial(&proxy(SocksVersion::V5, None), "a.b:1", 3, &script).await;
        assert_eq!(verdict(result), (Stage::Handshake, name, fault), "{code}");
    }
}

#[tokio::test]
async fn socks4_and_4a() {
    let granted: &[u8] = &[0, 90, 1, 2, 3, 4, 5, 6];
    let four = proxy(SocksVersion::V4, Some(("me", "")));
    let (result, _peer) = dial(&four, "1.2.3.4:80", 1, &[(b"\x04\x01\0\x50\x01\x02\x03\x04me\0", granted)]).await;
    assert!(result.is_ok());
    let four_a = proxy(SocksVersion::V4a, None);
    let ask: &[u8] = b"\x04\x01\0\x50\0\0\0\x01\0example.org\0";
    let (result, _peer) = dial(&four_a, "example.org:80", 1, &[(ask, granted)]).await;
    assert!(result.is_ok());
    let refused: &[u8] = &[0, 91, 0, 0, 0, 0, 0, 0];
    let (result, _peer) = dial(&four_a, "example.org:80", 1, &[(ask, refused)]).await;
    assert_eq!(verdict(result), (Stage::Handshake, "target-unreachable", Fault::Target));
    for settings in [&four, &four_a] {
        let result = dial(settings, "[2001:db8::1]:80", 1, &[]).await.0;
        assert_eq!(verdict(result), (Stage::Handshake, "unsupported", Fault::Local));
    }
}

/// What a SOCKS4 server does with a request that names its target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum AtNames {
    Grants,
    Refuses,
    Closes,
    IsSilent,
}

/// A SOCKS4 server that grants every address; returns what each connection asked for.
async fn four_server(at_names: AtNames) -> (Target, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let server = Target::try_from(listener.local_addr().unwrap()).unwrap();
    let asked = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&asked);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let log = Arc::clone(&log);
            tokio::spawn(async move {
                let mut request = [0; 9];
                stream.read_exact(&mut request).await.unwrap();
                let named = request[4..7] == [0; 3];
                log.lock().push(if named { "name".into() } else { format!("{:?}", &request[4..8]) });
                let code = match at_names {
                    AtNames::Closes if named => return,
                    AtNames::IsSilent if named => std::future::pending().await,
                    AtNames::Refuses if named => 91,
                    _ => 90,
                };
                stream.write_all(&[0, code, 0, 0, 0, 0, 0, 0]).await.unwrap();
                let _ = stream.read(&mut [0; 64]).await;
            });
        }
    });
    (server, asked)
}

#[tokio::test]
async fn socks4_servers_without_names_get_the_address() {
    let fixed = |name: &str, addresses: &[&str]| {
        (DomainName::new(name).unwrap(), addresses.iter().map(|text| text.parse().unwrap()).collect())
    };
    let static_hosts =
        vec![fixed("site.example", &["2606:4700::1", "1.2.3.4"]), fixed("six.example", &["2606:4700::1"])];
    let servers = vec![std::net::SocketAddr::from(([127, 0, 0, 1], 9))];
    let resolver = ResolverConfig { servers, static_hosts };
    let engine = NativeEngine::new(&NativeEngineConfig { resolver, ..NativeEngineConfig::default() });
    let site = Target::parse("site.example:80").unwrap();
    let attempt = || Attempt::within(Duration::from_secs(2));
    for (at_names, expected) in [
        (AtNames::Grants, vec!["name", "name"]),
        (AtNames::Refuses, vec!["name", "[1, 2, 3, 4]", "[1, 2, 3, 4]"]),
        (AtNames::Closes, vec!["name", "[1, 2, 3, 4]", "[1, 2, 3, 4]"]),
        (AtNames::IsSilent, vec!["name", "[1, 2, 3, 4]", "[1, 2, 3, 4]"]),
    ] {
        let (server, asked) = four_server(at_names).await;
        let node = NodeSpec::new(server, Outbound::Socks(proxy(SocksVersion::V4, None)));
        let dialer = engine.dialer(&node, AddressPolicy::Any).unwrap();
        for _ in 0..2 {
            assert!(dialer.connect(&site, &attempt()).await.is_ok(), "{at_names:?}");
        }
        assert_eq!(*asked.lock(), expected, "{at_names:?}");
        // Known to take addresses only: a name without one is the target's fault.
        if at_names == AtNames::Refuses {
            let target = Target::parse("six.example:80").unwrap();
            let said = verdict(dialer.connect(&target, &attempt()).await);
            assert_eq!(said, (Stage::Resolve, "target-unreachable", Fault::Target));
        }
    }
}

#[tokio::test]
async fn socks4_looks_up_within_the_policy_of_its_node() {
    let static_hosts = vec![(DomainName::new("inside.example").unwrap(), vec!["10.0.0.1".parse().unwrap()])];
    let resolver = Resolver::new(&ResolverConfig { servers: Vec::new(), static_hosts });
    let strict = SystemDialer::new(resolver, AddressPolicy::PublicOnly);
    let (connector, mut peer) = connector_pair(1, 7);
    let dialer = build(&proxy(SocksVersion::V4, None), connector, Arc::new(strict)).unwrap();
    let (target, attempt) = (Target::parse("inside.example:80").unwrap(), Attempt::within(Duration::from_secs(9)));
    let ask: &[u8] = b"\x04\x01\0\x50\0\0\0\x01\0inside.example\0";
    let script: [(&[u8], &[u8]); 1] = [(ask, &[0, 91, 0, 0, 0, 0, 0, 0])];
    let (result, ()) = tokio::join!(dialer.connect(&target, &attempt), play(&mut peer, &script));
    assert_eq!(verdict(result), (Stage::Handshake, "target-unreachable", Fault::Target));
}

#[tokio::test(start_paused = true)]
async fn silence_garbage_and_an_early_end() {
    let none = proxy(SocksVersion::V5, None);
    assert_eq!(verdict(dial(&none, "a.b:1", 1, &[]).await.0), (Stage::Handshake, "timeout", Fault::Node));
    let (result, _peer) = dial(&none, "a.b:1", 1, &[(&[5, 1, 0], b"HTTP/1.1 400 Bad Request")]).await;
    assert_eq!(verdict(result), (Stage::Handshake, "protocol", Fault::Node));
    let (dialer, peer) = dialer(&none, 1);
    drop(peer);
    let result = dialer.connect(&Target::parse("a.b:1").unwrap(), &Attempt::within(Duration::from_secs(9))).await;
    assert!(matches!(verdict(result), (Stage::Handshake, "closed" | "reset", Fault::Node)));
}

/// An association and what is at its other end.
async fn associate(reply: &[u8]) -> (Result<BoxDatagram, DialError>, DuplexStream, Far) {
    let (connector, mut peer, far) = datagram_connector(5, 7);
    let dialer = build_alone(&proxy(SocksVersion::V5, Some(("user", "pass"))), connector).unwrap();
    let script: [(&[u8], &[u8]); 3] =
        [(&[5, 2, 0, 2], &[5, 2]), (b"\x01\x04user\x04pass", &[1, 0]), (&[5, 3, 0, 1, 0, 0, 0, 0, 0, 0], reply)];
    let attempt = Attempt::within(Duration::from_secs(30));
    let (result, ()) = tokio::join!(dialer.associate(&attempt), play(&mut peer, &script));
    (result, peer, far)
}

#[tokio::test]
async fn datagrams_travel_beside_the_stream() {
    let at = |text: &str| Target::parse(text).unwrap();
    let (association, peer, mut far) = associate(b"\x05\0\0\x01\0\0\0\0\x12\x34").await;
    let association = association.unwrap();
    association.send_to(b"question", &at("example.org:53")).await.unwrap();
    let (bytes, to) = far.heard.recv().await.unwrap();
    assert_eq!((&bytes[..], to), (&b"\0\0\0\x03\x0bexample.org\x00\x35question"[..], at("192.0.2.1:4660")));
    // A stranger, a fragment, garbage and a sender that is none are passed over.
    for (bytes, from) in [
        (&b"\0\0\0\x01\x01\x02\x03\x04\x00\x35stranger"[..], "192.0.2.2:4660"),
        (b"\0\0\x01\x01\x01\x02\x03\x04\x00\x35fragment", "192.0.2.1:4660"),
        (b"\0\0\0\x07", "192.0.2.1:4660"),
        (b"", "192.0.2.1:4660"),
        (b"\0\0\0\x01\x01\x02\x03\x04\x00\x00port 0", "192.0.2.1:4660"),
        (b"\0\0\0\x01\x01\x02\x03\x04\x00\x35answer", "192.0.2.1:4660"),
    ] {
        far.says.send((bytes.to_vec(), at(from))).await.unwrap();
    }
    assert_eq!(heard(&*association).await.unwrap(), (b"answer".to_vec(), at("1.2.3.4:53")));
    let large = vec![0; 65_500];
    let error = association.send_to(&large, &at("1.2.3.4:1")).await.unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput);
    // The association ends with the stream.
    drop(peer);
    assert!(matches!(Cause::from(heard(&*association).await.unwrap_err()), Cause::Closed | Cause::Reset));
}

#[tokio::test]
async fn refused_associations_say_why() {
    for code in [1, 2, 5, 7] {
        let (result, ..) = associate(&[5, code]).await;
        let error = result.err().unwrap();
        assert_eq!((error.stage, error.code(), error.fault()), (Stage::Handshake, "unsupported", Fault::Local));
    }
    let (result, ..) = associate(b"\x05\0\0\x01\x01\x02\x03\x04\0\0").await;
    assert_eq!(result.err().unwrap().code(), "protocol");
    for settings in
        [proxy(SocksVersion::V4a, None), SocksProxy { tls: Some(Box::default()), ..proxy(SocksVersion::V5, None) }]
    {
        let (connector, ..) = datagram_connector(1, 7);
        let result =
            build_alone(&settings, connector).unwrap().associate(&Attempt::within(Duration::from_secs(9))).await;
        assert_eq!(result.err().unwrap().code(), "unsupported");
        let server = Target::parse("192.0.2.1:1").unwrap();
        assert!(!NodeSpec::new(server, Outbound::Socks(settings)).carries_datagrams());
    }
}

#[test]
fn the_relay_is_where_the_server_is_unless_it_says_better() {
    let relay = |server: &str, bound: &str| {
        relay_address(&Target::parse(server).unwrap(), Target::parse(bound).ok()).map(|target| target.to_string())
    };
    assert_eq!(relay("9.9.9.9:1080", "8.8.8.8:5").as_deref(), Some("8.8.8.8:5"));
    assert_eq!(relay("9.9.9.9:1080", "0.0.0.0:5").as_deref(), Some("9.9.9.9:5"));
    assert_eq!(relay("proxy.example:1080", "[::]:5").as_deref(), Some("proxy.example:5"));
    // Inside the server's own network, and never ours.
    assert_eq!(relay("9.9.9.9:1080", "127.0.0.1:5").as_deref(), Some("9.9.9.9:5"));
    assert_eq!(relay("127.0.0.1:1080", "127.0.0.1:5").as_deref(), Some("127.0.0.1:5"));
    assert_eq!(relay("9.9.9.9:1080", "8.8.8.8:0"), None);
}

#[test]
fn credentials_must_fit() {
    let long = "x".repeat(256);
    let (connector, _peer) = connector_pair(0, 9);
    assert_eq!(build_alone(&proxy(SocksVersion::V5, Some((&long, ""))), connector).unwrap_err().code(), "node-invalid");
}

proptest! {
    #[test]
    fn any_answer_is_read_or_refused(front in any::<[u8; 5]>(), method in any::<[u8; 2]>(), four in any::<[u8; 8]>()) {
        if let Ok(rest) = wire::reply(front) {
            prop_assert!(rest <= 257);
        }
        let _ = wire::open_datagram(&four);
        let _ = (wire::method(method, true), wire::password_answer(method), wire::reply4(four));
    }
}
