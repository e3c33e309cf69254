//! Tests of TLS against an in-process rustls server.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use aws_lc_rs::digest::{SHA256, digest};
use hezar_core::{Carrier, Fault, Fingerprint, Host, Pin, Security, Stage, Target, Tls, UNREADABLE_PIN};
use proptest::prelude::*;
use rustls_pki_types::CertificateDer;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, copy, split};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

use super::{TlsClients, name};
use crate::{
    Attempt, BoxStream, Cause, DialError, Dialer,
    security::Secure,
    testing::{Authority, Once, chopped_pair},
    transport::TransportConnector,
};

struct World {
    authority: Authority,
    acceptor: TlsAcceptor,
    leaf: CertificateDer<'static>,
    clients: TlsClients,
}

impl World {
    fn new() -> Self {
        let authority = Authority::new();
        let (acceptor, leaf) = authority.server(&["node.example", "192.0.2.1"], &["http/1.1", "h2"]);
        let clients = TlsClients::new(std::slice::from_ref(&authority.root));
        Self { authority, acceptor, leaf, clients }
    }

    /// A handshake between the settings and the server.
    async fn meet(&self, tls: &Tls, host: &str) -> (Result<BoxStream, DialError>, Option<TlsStream<DuplexStream>>) {
        let (ours, theirs) = chopped_pair(7, 3000);
        let (host, attempt) = (Host::new(host).unwrap(), Attempt::within(Duration::from_secs(60)));
        let handshake = self.clients.handshake(ours, tls, &host, &["http/1.1"], None, &attempt);
        let (client, server) = tokio::join!(handshake, self.acceptor.accept(theirs));
        (client.map(|client| Box::new(client.secured()) as BoxStream), server.ok())
    }

    async fn refusal(&self, tls: &Tls, host: &str) -> &'static str {
        let error = self.meet(tls, host).await.0.err().unwrap();
        assert_eq!((error.stage, error.fault()), (Stage::Security, Fault::Node));
        error.code()
    }
}

fn named(name: &str) -> Tls {
    Tls { server_name: Some(name.into()), ..Tls::default() }
}

fn pin(certificate: &CertificateDer<'_>) -> Pin {
    digest(&SHA256, certificate).as_ref().try_into().unwrap()
}

/// Sends `data` and gets it back, while both ways are open and after ours is closed.
pub(super) async fn exchange<C, S>(client: &mut C, server: &mut S, data: &[u8])
where
    C: AsyncRead + AsyncWrite + Unpin,
    S: AsyncRead + AsyncWrite + Unpin,
{
    let echo = async {
        let (mut read, mut write) = split(server);
        copy(&mut read, &mut write).await.unwrap();
        write.shutdown().await.unwrap();
    };
    let talk = async {
        let (mut read, mut write) = split(client);
        let send = async {
            write.write_all(data).await.unwrap();
            // Half-close: the echo goes on after our end.
            write.shutdown().await.unwrap();
        };
        let mut got = Vec::new();
        let ((), received) = tokio::join!(send, read.read_to_end(&mut got));
        received.unwrap();
        got
    };
    let ((), got) = tokio::join!(echo, talk);
    assert!(got == data);
}

#[tokio::test]
async fn a_verified_server_carries_both_directions() {
    let world = World::new();
    let (client, server) = world.meet(&Tls::default(), "node.example").await;
    let (mut client, mut server) = (client.unwrap(), server.unwrap());
    assert_eq!(server.get_ref().1.server_name(), Some("node.example"));
    assert_eq!(server.get_ref().1.alpn_protocol(), Some(&b"http/1.1"[..]));
    let data: Vec<u8> = (0..300_000_u32).map(|i| i.to_le_bytes()[0]).collect();
    exchange(&mut client, &mut server, &data).await;
}

#[tokio::test]
async fn names_are_checked() {
    let world = World::new();
    assert!(world.meet(&named("node.example"), "198.51.100.7").await.0.is_ok());
    assert!(world.meet(&Tls::default(), "192.0.2.1").await.0.is_ok());
    assert_eq!(world.refusal(&named("other.example"), "node.example").await, "certificate");
    assert_eq!(world.refusal(&Tls::default(), "192.0.2.2").await, "certificate");
    let other = Tls { verify_names: vec!["node.example".into()], ..named("front.example") };
    let (client, server) = world.meet(&other, "198.51.100.7").await;
    assert!(client.is_ok());
    assert_eq!(server.unwrap().get_ref().1.server_name(), Some("front.example"));
    let wrong = Tls { verify_names: vec!["other.example".into(), "bad name".into()], ..named("node.example") };
    assert_eq!(world.refusal(&wrong, "node.example").await, "certificate");
    let garbage = Tls { verify_names: vec!["bad name".into()], ..named("node.example") };
    assert_eq!(world.refusal(&garbage, "node.example").await, "certificate");
}

#[tokio::test]
async fn an_unknown_issuer_is_refused_unless_told_otherwise() {
    let world = World { clients: TlsClients::new(&[]), ..World::new() };
    assert_eq!(world.refusal(&Tls::default(), "node.example").await, "certificate");
    let skip = Tls { skip_verify: true, ..named("what.ever") };
    assert!(world.meet(&skip, "node.example").await.0.is_ok());
}

#[tokio::test]
async fn pins_decide() {
    let world = World { clients: TlsClients::new(&[]), ..World::new() };
    let pinned = |pins: Vec<Pin>, skip_verify| Tls { pins, skip_verify, ..named("node.example") };
    let leaf = pin(&world.leaf);
    assert!(world.meet(&pinned(vec![[1; 32], leaf], false), "node.example").await.0.is_ok());
    assert!(world.meet(&pinned(vec![leaf], true), "node.example").await.0.is_ok());
    assert_eq!(world.refusal(&pinned(vec![[1; 32]], false), "node.example").await, "certificate");
    assert_eq!(world.refusal(&pinned(vec![[1; 32]], true), "node.example").await, "certificate");
    // A pin was published and could not be read: the door stays shut, although checks are switched off.
    assert_eq!(world.refusal(&pinned(vec![UNREADABLE_PIN], true), "node.example").await, "certificate");
    // A pinned issuer vouches for what it signed, under the right name.
    let root = pin(&world.authority.root);
    assert!(world.meet(&pinned(vec![root], false), "node.example").await.0.is_ok());
    let other = Tls { pins: vec![root], ..named("other.example") };
    assert_eq!(world.refusal(&other, "node.example").await, "certificate");
    assert!(world.meet(&Tls { skip_verify: true, ..other }, "node.example").await.0.is_ok());
}

#[tokio::test]
async fn a_pinned_issuer_must_have_signed() {
    let (honest, world) = (Authority::new(), World::new());
    // The impostor's leaf, and the honest authority's certificate appended to its chain.
    let (_, impostor) = world.authority.server(&["node.example"], &[]);
    let key = super::Key {
        alpn: Vec::new(),
        disable_sni: false,
        skip_verify: true,
        pins: vec![pin(&honest.root)],
        verify_names: Vec::new(),
        fingerprint: None,
        ech: None,
    };
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let verifier = super::NodeVerifier::new(None, provider, &key);
    let verdict = rustls::client::danger::ServerCertVerifier::verify_server_cert(
        &verifier,
        &impostor,
        std::slice::from_ref(&honest.root),
        &"node.example".try_into().unwrap(),
        &[],
        rustls_pki_types::UnixTime::now(),
    );
    assert!(verdict.is_err());
}

#[tokio::test]
async fn odd_names_do_not_matter_when_nothing_is_verified() {
    let world = World::new();
    for name in
        ["", "not a name", "1.2.3.4", "[2001:db8::1]", "*.example.org", "münchen.example", "under_score.example.", "\0"]
    {
        let tls = Tls { skip_verify: true, ..named(name) };
        assert!(world.meet(&tls, "node.example").await.0.is_ok(), "{name:?}");
    }
    let hidden = Tls { disable_sni: true, ..named("node.example") };
    let (client, server) = world.meet(&hidden, "node.example").await;
    assert!(client.is_ok());
    assert_eq!(server.unwrap().get_ref().1.server_name(), None);
}

#[tokio::test]
async fn an_alpn_that_nobody_shares_is_a_tls_failure() {
    let world = World::new();
    let tls = Tls { alpn: vec!["gopher".into(), "x".repeat(300).into(), "".into()], ..Tls::default() };
    assert_eq!(world.refusal(&tls, "node.example").await, "tls");
}

#[tokio::test]
async fn an_end_without_close_notify_is_an_end() {
    let world = World::new();
    let (client, server) = world.meet(&Tls::default(), "node.example").await;
    let (mut client, mut server) = (client.unwrap(), server.unwrap());
    server.write_all(b"last words").await.unwrap();
    server.flush().await.unwrap();
    drop(server.into_inner().0);
    let mut got = Vec::new();
    client.read_to_end(&mut got).await.unwrap();
    assert_eq!(got, b"last words");
}

#[tokio::test(start_paused = true)]
async fn silence_garbage_and_an_early_end() {
    let world = World::new();
    let host = Host::new("node.example").unwrap();
    for (answer, closes, code) in
        [("", false, "timeout"), ("", true, "closed"), ("HTTP/1.1 400 Bad\r\n\r\n", true, "tls")]
    {
        let (ours, mut theirs) = chopped_pair(1, 500);
        let (tls, attempt) = (Tls::default(), Attempt::within(Duration::from_secs(5)));
        let handshake = world.clients.handshake(ours, &tls, &host, &[], None, &attempt);
        let server = async {
            let _ = theirs.read_u8().await;
            let _ = theirs.write_all(answer.as_bytes()).await;
            if closes {
                let _ = theirs.shutdown().await;
            }
        };
        let (result, ()) = tokio::join!(handshake, server);
        let error = result.err().unwrap();
        assert_eq!((error.stage, error.code(), error.fault()), (Stage::Security, code, Fault::Node));
    }
}

/// Dials an in-process server, again and again.
#[derive(Debug)]
struct Dialled {
    acceptor: Acceptor,
    times: AtomicUsize,
}

struct Acceptor(TlsAcceptor);

impl std::fmt::Debug for Acceptor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Acceptor")
    }
}

#[async_trait]
impl Dialer for Dialled {
    async fn connect(&self, _: &Target, _: &Attempt) -> Result<BoxStream, DialError> {
        self.times.fetch_add(1, Ordering::Relaxed);
        let (ours, theirs) = tokio::io::duplex(1 << 16);
        let handshake = self.acceptor.0.accept(theirs);
        tokio::spawn(async move {
            if let Ok(mut stream) = handshake.await {
                let (mut read, mut write) = split(&mut stream);
                let _ = copy(&mut read, &mut write).await;
            }
        });
        Ok(Box::new(ours))
    }
}

#[tokio::test]
async fn a_browsers_hello_gives_way_to_our_own_where_it_must() {
    let authority = Authority::new();
    let clients = TlsClients::new(std::slice::from_ref(&authority.root));
    let server = Target::parse("node.example:443").unwrap();
    let attempt = Attempt::within(Duration::from_secs(60));
    for (versions, dials) in [(&[&rustls::version::TLS13], [1, 2]), (&[&rustls::version::TLS12], [3, 4])] {
        let provider = rustls::crypto::aws_lc_rs::default_provider();
        let acceptor = Acceptor(authority.server_of(&["node.example"], &["h2"], provider, versions).0);
        let dialled = Arc::new(Dialled { acceptor, times: AtomicUsize::new(0) });
        let tls = Tls { fingerprint: Some(Fingerprint::Chrome), ..Tls::default() };
        let carrier = Carrier::Tcp { header: None, security: Security::Tls(tls) };
        let via: Arc<dyn Dialer> = Arc::<Dialled>::clone(&dialled);
        let connector = TransportConnector::new(&server, &carrier, via, &clients.clone().into()).unwrap();
        for times in dials {
            let mut stream = connector.open(&attempt).await.unwrap();
            assert_eq!(dialled.times.load(Ordering::Relaxed), times);
            stream.write_all(b"ping").await.unwrap();
            stream.flush().await.unwrap();
            stream.read_exact(&mut [0; 4]).await.unwrap();
        }
    }
}

#[tokio::test]
async fn a_setting_keeps_a_browsers_hello_where_it_fails() {
    let authority = Authority::new();
    let clients = TlsClients::with(std::slice::from_ref(&authority.root), false);
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    let acceptor = authority.server_of(&["node.example"], &["h2"], provider, &[&rustls::version::TLS12]).0;
    let dialled = Arc::new(Dialled { acceptor: Acceptor(acceptor), times: AtomicUsize::new(0) });
    let (server, attempt) = (Target::parse("node.example:443").unwrap(), Attempt::within(Duration::from_secs(60)));
    let tls = Tls { fingerprint: Some(Fingerprint::Chrome), ..Tls::default() };
    let carrier = Carrier::Tcp { header: None, security: Security::Tls(tls) };
    let via: Arc<dyn Dialer> = Arc::<Dialled>::clone(&dialled);
    let connector = TransportConnector::new(&server, &carrier, via, &clients.into()).unwrap();
    for dials in 1..=4 {
        let failed = connector.open(&attempt).await.err().unwrap();
        assert!(matches!(failed.cause, Cause::Hello(_)), "{failed}");
        assert_eq!(dialled.times.load(Ordering::Relaxed), dials, "one hello for each stream");
    }
}

/// An ECHConfigList with one configuration for X25519, HKDF-SHA256 and AES-128-GCM.
fn ech_list() -> Vec<u8> {
    let key = aws_lc_rs::agreement::PrivateKey::generate(&aws_lc_rs::agreement::X25519).unwrap();
    let name = b"public.example";
    let mut contents = vec![7, 0, 0x20, 0, 32];
    contents.extend_from_slice(key.compute_public_key().unwrap().as_ref());
    contents.extend_from_slice(&[0, 4, 0, 1, 0, 1, 0, name.len() as u8]);
    contents.extend_from_slice(name);
    contents.extend_from_slice(&[0, 0]);
    let length = contents.len() as u8;
    [&[0, length + 4, 0xfe, 0x0d, 0, length][..], &contents].concat()
}

#[tokio::test]
async fn ech_hides_the_name() {
    let ech = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, ech_list());
    for (fingerprint, ech, shown) in [
        (None, ech.clone(), "public.example"),
        (Some(Fingerprint::Chrome), ech, "public.example"),
        (None, "node.example+https://resolver.example/dns-query".to_owned(), "node.example"),
    ] {
        let tls = Tls { ech: Some(ech.into()), fingerprint, ..named("node.example") };
        TlsClients::check(&tls).unwrap();
        let (ours, mut theirs) = tokio::io::duplex(1 << 16);
        let (clients, host) = (TlsClients::new(&[]), Host::new("192.0.2.1").unwrap());
        let attempt = Attempt::within(Duration::from_secs(60));
        let record = async {
            let mut record = vec![0; 5];
            theirs.read_exact(&mut record).await.unwrap();
            record.resize(5 + usize::from(u16::from_be_bytes([record[3], record[4]])), 0);
            theirs.read_exact(&mut record[5..]).await.unwrap();
            drop(theirs);
            record
        };
        let handshake = clients.handshake(ours, &tls, &host, &[], fingerprint, &attempt);
        let (result, record) = tokio::join!(handshake, record);
        assert!(result.is_err());
        let seen = crate::security::client_hello::ja4::read(&record);
        assert_eq!(seen.body(0).map(|body| &body[5..]), Some(shown.as_bytes()));
        assert_eq!(seen.body(0xfe0d).is_some(), shown == "public.example");
    }
    let garbage = Tls { ech: Some("AAAA".into()), ..Tls::default() };
    assert!(TlsClients::check(&garbage).is_err());
}

#[test]
fn equal_settings_share_one_configuration() {
    let clients = TlsClients::new(&[]);
    let a = clients.config(&named("a.example"), &["http/1.1"]).unwrap();
    let b = clients.config(&named("b.example"), &["http/1.1"]).unwrap();
    assert!(Arc::ptr_eq(&a, &b));
    let c = clients.config(&Tls { skip_verify: true, ..Tls::default() }, &["http/1.1"]).unwrap();
    assert!(!Arc::ptr_eq(&a, &c));
    for i in 0..2000_u32 {
        let alpn = vec![i.to_string().into()];
        clients.config(&Tls { alpn, ..Tls::default() }, &[]).unwrap();
    }
    assert!(clients.0.configs.lock().len() <= super::MOST_CONFIGS);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn any_text_is_a_name_or_nothing(text in "\\PC{0,300}") {
        let _ = name::read(&text);
    }
}

#[test]
fn the_future_of_a_dial_is_small() {
    let (host, clients) = (Host::new("node.example").unwrap(), TlsClients::new(&[]));
    let secure = Secure::tls(Some(&Tls::default()), &host, &clients, &[]);
    let (via, server) = (Once::new(chopped_pair(1, 1).0), Target::parse("node.example:443").unwrap());
    let attempt = Attempt::within(Duration::from_secs(60));
    for size in [
        size_of_val(&secure.connect(&via, &server, &attempt)),
        size_of_val(&secure.connect_leavable(&via, &server, &attempt)),
    ] {
        assert!(size < 1024, "{size} bytes");
    }
}
