//! The server against our own client, against rustls' clients, and against what is no client.

use std::{
    io::{self, Write as _},
    sync::Arc,
    time::Duration,
};

use hezar_core::{Host, Tls};
use proptest::prelude::*;
use rustls::{
    AlertDescription, ClientConfig, ClientConnection, Error, HandshakeKind, ServerConfig, SupportedCipherSuite,
    SupportedProtocolVersion, crypto::aws_lc_rs::default_provider,
};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, duplex};
use tokio_rustls::{TlsConnector, client::TlsStream as ClientStream};

use super::{ACME_ALPN, TlsAccepted, TlsServer, decode};
use crate::{
    Attempt, TlsClients,
    security::tls::{TlsStream, tests::exchange, trusting},
    testing::{Authority, chopped_pair},
};

struct World {
    authority: Authority,
    server: TlsServer,
}

impl World {
    fn new() -> Self {
        Self::of(|_| {})
    }

    fn of(change: impl FnOnce(&mut ServerConfig)) -> Self {
        Self::with_suites(&default_provider().cipher_suites, rustls::ALL_VERSIONS, change)
    }

    fn with_suites(
        suites: &[SupportedCipherSuite],
        versions: &[&'static SupportedProtocolVersion],
        change: impl FnOnce(&mut ServerConfig),
    ) -> Self {
        let authority = Authority::new();
        let mut provider = default_provider();
        provider.cipher_suites = suites.to_vec();
        let acceptor = authority.server_of(&["node.example"], &["h2", "http/1.1"], provider, versions).0;
        let mut config = acceptor.config().as_ref().clone();
        config.ticketer = rustls::crypto::aws_lc_rs::Ticketer::new().unwrap();
        config.send_tls13_tickets = 1;
        change(&mut config);
        Self { authority, server: TlsServer::new(Arc::new(config)) }
    }

    /// A client of rustls.
    fn connector(&self, alpn: &[&[u8]]) -> TlsConnector {
        let builder = ClientConfig::builder_with_provider(default_provider().into());
        let builder = builder.with_safe_default_protocol_versions().unwrap();
        let verifier = trusting(&self.authority.root);
        let mut config = builder.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth();
        config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
        config.enable_secret_extraction = true;
        TlsConnector::from(Arc::new(config))
    }

    /// A handshake of this client, of which the server's end is cut into pieces.
    async fn meet(&self, connector: &TlsConnector, most: usize) -> (ClientStream<DuplexStream>, TlsStream) {
        let (ours, theirs) = chopped_pair(5, most);
        let name = "node.example".try_into().unwrap();
        let (client, server) = tokio::join!(connector.connect(name, theirs), self.server.accept(ours));
        (client.unwrap(), stream_of(server))
    }
}

fn stream_of(accepted: io::Result<TlsAccepted>) -> TlsStream {
    match accepted.unwrap() {
        TlsAccepted::Stream(stream) => stream,
        TlsAccepted::Challenge => panic!("no challenge was asked for"),
    }
}

fn text(length: u32) -> Vec<u8> {
    (0..length).map(|number| number.to_le_bytes()[1]).collect()
}

#[tokio::test]
async fn every_suite_carries_both_directions() {
    for suite in default_provider().cipher_suites {
        let version = suite.version().version;
        let versions: Vec<_> = rustls::ALL_VERSIONS.iter().copied().filter(|known| known.version == version).collect();
        let world = World::with_suites(&[suite], &versions, |_| {});
        let connector = world.connector(&[b"h2"]);
        for most in [1000, 100_000] {
            let (mut client, mut server) = world.meet(&connector, most).await;
            assert!(server.codec().speaks_h2());
            assert_eq!(server.codec().is_tls13(), suite.tls13().is_some());
            exchange(&mut client, &mut server, &text(300_000)).await;
        }
    }
}

#[tokio::test]
async fn our_own_client_meets_our_server() {
    let world = World::new();
    let clients = TlsClients::new(std::slice::from_ref(&world.authority.root));
    let (host, tls) = (Host::new("node.example").unwrap(), Tls::default());
    for _ in 0..3 {
        let ((ours, theirs), attempt) = (duplex(64 * 1024), Attempt::within(Duration::from_secs(60)));
        let client = clients.handshake(ours, &tls, &host, &["http/1.1"], None, &attempt);
        let (client, server) = tokio::join!(client, world.server.accept(Box::new(theirs)));
        let mut server = stream_of(server);
        assert!(!server.codec().speaks_h2());
        exchange(&mut client.unwrap().boxed().secured(), &mut server, &text(100_000)).await;
    }
}

/// A client whose first data leaves in the same write as its Finished.
#[tokio::test]
async fn data_that_comes_with_the_finished_is_kept() {
    let world = World::new();
    let (ours, mut theirs) = duplex(64 * 1024);
    let config = Arc::clone(world.connector(&[b"http/1.1"]).config());
    let mut client = ClientConnection::new(config, "node.example".try_into().unwrap()).unwrap();
    // rustls sends it as soon as it may.
    client.writer().write_all(b"at once").unwrap();
    let client = async {
        let (mut last, mut heard) = (Vec::new(), vec![0; 20_000]);
        while client.is_handshaking() {
            let length = if client.wants_write() { 0 } else { theirs.read(&mut heard).await.unwrap() };
            let mut piece = &heard[..length];
            while !piece.is_empty() {
                client.read_tls(&mut piece).unwrap();
                client.process_new_packets().unwrap();
            }
            last.clear();
            while client.wants_write() {
                client.write_tls(&mut last).unwrap();
            }
            theirs.write_all(&last).await.unwrap();
        }
        // A change of cipher, Finished, and the data behind it.
        assert!(last.len() > 6 + 5 + 7 + 17, "{}", last.len());
    };
    let (accepted, ()) = tokio::join!(world.server.accept(Box::new(ours)), client);
    let mut got = [0; 7];
    stream_of(accepted).read_exact(&mut got).await.unwrap();
    assert_eq!(&got, b"at once");
}

#[tokio::test]
async fn a_session_is_resumed() {
    for versions in [&[&rustls::version::TLS13], &[&rustls::version::TLS12]] {
        let world = World::with_suites(&default_provider().cipher_suites, versions, |_| {});
        let connector = world.connector(&[b"h2"]);
        for kind in [HandshakeKind::Full, HandshakeKind::Resumed, HandshakeKind::Resumed] {
            let (mut client, mut server) = world.meet(&connector, 5000).await;
            assert_eq!(client.get_ref().1.handshake_kind(), Some(kind), "{versions:?}");
            exchange(&mut client, &mut server, b"the ticket comes with the handshake").await;
        }
    }
}

#[tokio::test]
async fn keys_are_renewed_when_the_client_asks() {
    let world = World::new();
    let (mut client, mut server) = world.meet(&world.connector(&[b"h2"]), 700).await;
    for round in 0..5_u8 {
        client.get_mut().1.refresh_traffic_keys().unwrap();
        client.write_all(&[round; 3000]).await.unwrap();
        client.flush().await.unwrap();
        let mut got = [0; 3000];
        server.read_exact(&mut got).await.unwrap();
        assert_eq!(got, [round; 3000]);
        server.write_all(&[round; 2000]).await.unwrap();
        server.flush().await.unwrap();
        let mut got = [0; 2000];
        client.read_exact(&mut got).await.unwrap();
        assert_eq!(got, [round; 2000]);
    }
}

#[tokio::test]
async fn an_acme_server_is_answered_and_left() {
    let world = World::of(|config| config.alpn_protocols.push(ACME_ALPN.to_vec()));
    let connector = world.connector(&[ACME_ALPN]);
    let (ours, theirs) = duplex(64 * 1024);
    let client = async {
        let mut client = connector.connect("node.example".try_into().unwrap(), theirs).await.unwrap();
        assert_eq!(client.get_ref().1.alpn_protocol(), Some(ACME_ALPN));
        assert_eq!(client.read(&mut [0; 1]).await.unwrap(), 0);
    };
    let (accepted, ()) = tokio::join!(world.server.accept(Box::new(ours)), client);
    assert!(matches!(accepted, Ok(TlsAccepted::Challenge)));
    // Who offers other protocols too is a client.
    let both = world.connector(&[ACME_ALPN, b"http/1.1"]);
    let (client, _server) = world.meet(&both, 5000).await;
    assert_eq!(client.get_ref().1.alpn_protocol(), Some(&b"http/1.1"[..]));
}

async fn answer_to(world: &World, said: &[u8]) -> (Vec<u8>, io::Error) {
    let (ours, mut theirs) = duplex(64 * 1024);
    let client = async {
        // The server may be gone before it has heard everything.
        let _ = theirs.write_all(said).await;
        let _ = theirs.shutdown().await;
        let mut answer = Vec::new();
        theirs.read_to_end(&mut answer).await.unwrap();
        answer
    };
    let (answer, accepted) = tokio::join!(client, world.server.accept(Box::new(ours)));
    (answer, accepted.err().unwrap())
}

#[tokio::test]
async fn what_is_no_client_gets_an_alert_or_nothing() {
    let world = World::new();
    let alert = |description: AlertDescription| vec![21, 3, 3, 0, 2, 2, u8::from(description)];
    let (answer, failure) = answer_to(&world, b"GET / HTTP/1.1\r\nHost: node.example\r\n\r\n").await;
    assert_eq!(failure.kind(), io::ErrorKind::InvalidData);
    assert_eq!(answer, alert(AlertDescription::DecodeError));
    let (answer, failure) = answer_to(&world, &[22, 3, 1, 0, 100, 1, 0, 0, 96]).await;
    assert_eq!((answer.len(), failure.kind()), (0, io::ErrorKind::UnexpectedEof));
    assert_eq!(answer_to(&world, b"").await.0.len(), 0);
    // A hello that never ends is given up.
    let part: Vec<u8> = [&[22, 3, 1, 0x40, 0][..], &[1, 0xff, 0xff, 0xff], &[0; 0x3ffc]].concat();
    let (_, failure) = answer_to(&world, &part.repeat(12)).await;
    assert_eq!(failure.kind(), io::ErrorKind::InvalidData);
}

#[tokio::test]
async fn an_application_protocol_that_nobody_shares_is_refused() {
    let world = World::new();
    let (ours, theirs) = duplex(64 * 1024);
    let connector = world.connector(&[b"gopher"]);
    let (client, server) = tokio::join!(
        connector.connect("node.example".try_into().unwrap(), theirs),
        world.server.accept(Box::new(ours))
    );
    let failure = client.unwrap_err();
    let alert = failure.get_ref().and_then(|inner| inner.downcast_ref::<Error>());
    assert_eq!(alert, Some(&Error::AlertReceived(AlertDescription::NoApplicationProtocol)));
    assert!(server.is_err());
}

/// A layer above leaves TLS: what follows the last record goes bare, both ways.
#[tokio::test]
async fn the_records_can_be_left() {
    let world = World::new();
    let (mut client, mut server) = world.meet(&world.connector(&[b"h2"]), 3000).await;
    exchange_once(&mut client, &mut server, b"sealed").await;
    let mut bare = server.into_beneath().0;
    let mut beneath = client.into_inner().0;
    exchange_once(&mut beneath, &mut bare, b"bare").await;
}

async fn exchange_once<C, S>(client: &mut C, server: &mut S, data: &[u8])
where
    C: AsyncRead + AsyncWrite + Unpin,
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut got = vec![0; data.len()];
    client.write_all(data).await.unwrap();
    client.flush().await.unwrap();
    server.read_exact(&mut got).await.unwrap();
    assert_eq!(got, data);
    server.write_all(data).await.unwrap();
    server.flush().await.unwrap();
    client.read_exact(&mut got).await.unwrap();
    assert_eq!(got, data);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn any_client_in_any_pieces(data in proptest::collection::vec(any::<u8>(), 0..600), piece in 1usize..300) {
        prop_assert_eq!(decode(&data, piece), decode(&data, usize::MAX));
        // Records of a handshake, which is what a server expects.
        let records: Vec<u8> = data.chunks(50).flat_map(|part| [&[22, 3, 1, 0, part.len() as u8], part].concat()).collect();
        prop_assert_eq!(decode(&records, piece), decode(&records, usize::MAX));
    }
}
