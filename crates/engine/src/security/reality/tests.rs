//! REALITY against a server written down from its definition, and against sites that are what they seem to be.

use std::time::Duration;

use aws_lc_rs::{
    hmac::{self, HMAC_SHA512},
    signature::{KeyPair as _, ML_DSA_65_SIGNING, PqdsaKeyPair},
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use hezar_core::{Fingerprint, Host, Reality, Secret, ShortId};
use proptest::prelude::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio_rustls::TlsAcceptor;

use super::{
    RealityClient, auth,
    certificate::Certificate,
    peer::{self, Guest, Peer},
    verifier::{Hellos, Proof},
};
use crate::{
    Attempt, BuildError, DialError, TlsClients,
    security::client_hello::ServerHello,
    testing::{Authority, Chopped},
};

const SHORT_ID: [u8; 8] = [0xab, 0xcd, 0, 0, 0, 0, 0, 0];

fn settings(peer: &Peer) -> Reality {
    Reality {
        server_name: Some("site.example".into()),
        public_key: peer.public_key(),
        short_id: ShortId::new(&SHORT_ID[..2]).unwrap(),
        spider_x: Some("/start".into()),
        mldsa65_verify: None,
        fingerprint: None,
        own_hello: false,
        alpn: Vec::new(),
    }
}

fn client(settings: &Reality, clients: &TlsClients) -> RealityClient {
    RealityClient::new(settings, &Host::new("192.0.2.1").unwrap(), clients).unwrap()
}

fn attempt() -> Attempt {
    Attempt::within(Duration::from_secs(3600))
}

/// Echoes one word and ends.
async fn pong(peer: &Peer, io: DuplexStream) -> Option<[u8; 16]> {
    let Ok(Guest::Client(mut stream, shown)) = peer.accept(io).await else { return None };
    let mut word = [0; 4];
    stream.read_exact(&mut word).await.ok()?;
    stream.write_all(&word).await.ok()?;
    stream.shutdown().await.ok()?;
    Some(shown)
}

#[tokio::test(start_paused = true)]
async fn a_server_with_our_secret_is_met() {
    let peer = Peer::new(SHORT_ID);
    for fingerprint in [None, Some(Fingerprint::Firefox), Some(Fingerprint::Randomized)] {
        for (own_hello, most) in [(false, 1), (true, 1), (false, 700), (true, 700), (false, 1 << 16)] {
            let settings = Reality { fingerprint, own_hello, ..settings(&peer) };
            let client = client(&settings, &TlsClients::new(&[]));
            let (ours, theirs) = duplex(1 << 16);
            let talk = async {
                let mut stream = client.wrap(Box::new(Chopped::new(ours, 3, most)), &attempt()).await.unwrap();
                stream.write_all(b"ping").await.unwrap();
                stream.flush().await.unwrap();
                let mut answer = Vec::new();
                stream.read_to_end(&mut answer).await.unwrap();
                answer
            };
            let (answer, shown) = tokio::join!(talk, pong(&peer, theirs));
            assert_eq!(answer, b"ping");
            let shown = shown.unwrap();
            assert_eq!((&shown[..3], shown[3]), (&auth::CLIENT_VERSION[..], 0));
            assert!(u32::from_be_bytes(shown[4..8].try_into().unwrap()) > 1_700_000_000);
            assert_eq!(shown[8..], SHORT_ID);
        }
    }
}

/// A dial to a server that takes us for a stranger and hands us to the site. Returns what the site was asked.
async fn stranger(peer: &Peer, client: &RealityClient, site: &TlsAcceptor) -> (DialError, Vec<u8>) {
    let (ours, theirs) = duplex(1 << 16);
    let serve = async {
        let Ok(Guest::Stranger(io)) = peer.accept(theirs).await else { panic!("the stranger was let in") };
        let mut heard = Vec::new();
        if let Ok(mut stream) = site.accept(io).await {
            heard.resize(16 * 1024, 0);
            let length = stream.read(&mut heard).await.unwrap_or_default();
            heard.truncate(length);
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await.unwrap();
            let _ = stream.shutdown().await;
            let _ = stream.read_to_end(&mut heard).await;
        }
        heard
    };
    let attempt = attempt();
    let (result, heard) = tokio::join!(client.wrap(Box::new(ours), &attempt), serve);
    (result.err().unwrap(), heard)
}

#[tokio::test(start_paused = true)]
async fn a_real_site_is_visited_and_left() {
    let (peer, authority) = (Peer::new(SHORT_ID), Authority::new());
    let clients = TlsClients::new(std::slice::from_ref(&authority.root));
    let wrong_id = Reality { short_id: ShortId::default(), ..settings(&peer) };
    let wrong_key = Reality { public_key: Peer::new(SHORT_ID).public_key(), ..settings(&peer) };
    for settings in [wrong_id, wrong_key] {
        for (alpn, greeting) in
            [("http/1.1", "GET /start HTTP/1.1\r\nHost: site.example\r\n"), ("h2", "PRI * HTTP/2.0")]
        {
            let site = authority.server(&["site.example"], &[alpn]).0;
            let (error, heard) = stranger(&peer, &client(&settings, &clients), &site).await;
            assert_eq!(error.code(), "authentication");
            assert!(heard.starts_with(greeting.as_bytes()), "{}", String::from_utf8_lossy(&heard));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_site_that_does_not_verify_gets_nothing() {
    let (peer, authority) = (Peer::new(SHORT_ID), Authority::new());
    let clients = TlsClients::new(std::slice::from_ref(&authority.root));
    let settings = Reality { short_id: ShortId::default(), ..settings(&peer) };
    let other_name = authority.server(&["other.example"], &["h2"]).0;
    let other_issuer = Authority::new().server(&["site.example"], &["h2"]).0;
    for site in [other_name, other_issuer] {
        let (error, heard) = stranger(&peer, &client(&settings, &clients), &site).await;
        assert_eq!((error.code(), heard.len()), ("certificate", 0));
    }
}

#[tokio::test(start_paused = true)]
async fn a_certificate_without_its_key_is_refused() {
    let mut peer = Peer::new(SHORT_ID);
    peer.honest = false;
    let client = client(&settings(&peer), &TlsClients::new(&[]));
    let (ours, theirs) = duplex(1 << 16);
    let attempt = attempt();
    let (result, _) = tokio::join!(client.wrap(Box::new(ours), &attempt), pong(&peer, theirs));
    assert_eq!(result.err().unwrap().code(), "certificate");
}

#[tokio::test(start_paused = true)]
async fn a_server_without_the_second_signature_is_refused() {
    let peer = Peer::new(SHORT_ID);
    let key = PqdsaKeyPair::generate(&ML_DSA_65_SIGNING).unwrap();
    let published = URL_SAFE_NO_PAD.encode(key.public_key().as_ref());
    let settings = Reality { mldsa65_verify: Some(Secret::new(published)), ..settings(&peer) };
    let client = client(&settings, &TlsClients::new(&[]));
    let (ours, theirs) = duplex(1 << 16);
    let attempt = attempt();
    let (result, _) = tokio::join!(client.wrap(Box::new(ours), &attempt), pong(&peer, theirs));
    assert_eq!(result.err().unwrap().code(), "certificate");
}

#[test]
fn the_second_signature_is_over_both_hellos() {
    let pair = PqdsaKeyPair::generate(&ML_DSA_65_SIGNING).unwrap();
    let key = [7; 32];
    let message = [&[1; 32][..], b"client hello", b"server hello"].concat();
    let tag = hmac::sign(&hmac::Key::new(HMAC_SHA512, &key), &message);
    let mut signature = vec![0; ML_DSA_65_SIGNING.signature_len()];
    pair.sign(tag.as_ref(), &mut signature).unwrap();
    let check = |client: &[u8], server: Option<&[u8]>, extension: Option<&[u8]>| {
        let heard = ServerHello::default();
        if let Some(server) = server {
            heard.set(server.into()).unwrap();
        }
        let hellos = Hellos { client: client.into(), server: heard };
        let proof = Proof { key: key.into(), ml_dsa: Some((pair.public_key().as_ref().into(), hellos)) };
        let der = peer::certificate(&[1; 32], &[2; 64], extension);
        proof.check_ml_dsa(&Certificate::parse(&der).unwrap()).is_ok()
    };
    assert!(check(b"client hello", Some(b"server hello"), Some(&signature)));
    assert!(!check(b"client hellO", Some(b"server hello"), Some(&signature)));
    assert!(!check(b"client hello", Some(b"server hellO"), Some(&signature)));
    assert!(!check(b"client hello", None, Some(&signature)));
    assert!(!check(b"client hello", Some(b"server hello"), None));
}

#[test]
fn a_key_of_another_length_is_refused() {
    let peer = Peer::new(SHORT_ID);
    for published in ["", "AAAA", "not base64"] {
        let settings = Reality { mldsa65_verify: Some(Secret::new(published)), ..settings(&peer) };
        let refused = RealityClient::new(&settings, &Host::new("192.0.2.1").unwrap(), &TlsClients::new(&[]));
        assert!(matches!(refused.unwrap_err(), BuildError::Invalid(_)));
    }
}

#[test]
fn certificates_are_read() {
    let der = peer::certificate(&[1; 32], &[2; 64], Some(&[3; 3309]));
    let read = Certificate::parse(&der).unwrap();
    assert_eq!(read, Certificate { key: &[1; 32], signature: &[2; 64], extension: Some(&[3; 3309]) });
    assert_eq!(Certificate::parse(&peer::certificate(&[1; 32], &[2; 64], None)).unwrap().extension, None);
    assert_eq!(Certificate::parse(&peer::certificate(&[1; 33], &[2; 64], None)), None);
    for length in 0..der.len() {
        assert_eq!(Certificate::parse(&der[..length]), None);
    }
}

proptest! {
    #[test]
    fn any_certificate(bytes in proptest::collection::vec(any::<u8>(), 0..200), place in 0..200_usize, value: u8) {
        let _ = Certificate::parse(&bytes);
        let mut der = peer::certificate(&[1; 32], &[2; 64], Some(&[3; 20]));
        let place = place % der.len();
        der[place] = value;
        let _ = Certificate::parse(&der);
    }
}

#[test]
fn secrets_are_not_printed() {
    let proof = Proof { key: zeroize::Zeroizing::new([0xab; 32]), ml_dsa: None };
    let verifier = super::OrRealSite::new(TlsClients::new(&[]).verifier(&hezar_core::Tls::default()));
    verifier.expect(proof);
    let printed = format!("{verifier:?}");
    assert!(!printed.contains("171") && !printed.contains("ab, ab"), "{printed}");
}
