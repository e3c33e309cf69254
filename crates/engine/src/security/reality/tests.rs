//! The client against our server, and against sites that are what they seem to be.

use aws_lc_rs::{
    hmac::{self, HMAC_SHA512},
    signature::{KeyPair as _, ML_DSA_65_SIGNING, PqdsaKeyPair},
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use hezar_core::{Fingerprint, Host, Reality, Secret, ShortId};
use proptest::prelude::*;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex},
    sync::mpsc,
};
use tokio_rustls::TlsAcceptor;

use super::{
    RealityClient,
    certificate::Certificate,
    server::{
        RealityAccepted, SiteConnector, sample_certificate,
        tests::world::{NAME, TestSite, World, attempt, echo},
    },
    verifier::{Hellos, Proof},
};
use crate::{
    BuildError, DialError, TlsClients,
    security::client_hello::ServerHello,
    testing::{Authority, Chopped, reality},
};

fn client(settings: &Reality, clients: &TlsClients) -> RealityClient {
    RealityClient::new(settings, &Host::new("192.0.2.1").unwrap(), clients).unwrap()
}

/// A site with this TLS, and what requests it heard.
fn site(tls: TlsAcceptor) -> (impl SiteConnector, mpsc::UnboundedReceiver<Vec<u8>>) {
    let (requests, heard) = mpsc::unbounded_channel();
    let site = TestSite(move |io: DuplexStream| {
        let (tls, requests) = (tls.clone(), requests.clone());
        async move {
            let Ok(mut stream) = tls.accept(io).await else { return };
            let mut request = vec![0; 16 * 1024];
            let length = stream.read(&mut request).await.unwrap_or_default();
            if length == 0 {
                // A visit of the server's own.
                return;
            }
            request.truncate(length);
            let _ = requests.send(request);
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
            let _ = stream.shutdown().await;
            let _ = stream.read_to_end(&mut Vec::new()).await;
        }
    });
    (site, heard)
}

fn world() -> World {
    World::new(site(Authority::new().server(&[NAME], &["h2"]).0).0)
}

#[tokio::test(start_paused = true)]
async fn a_server_with_our_secret_is_met() {
    let world = world();
    for fingerprint in [None, Some(Fingerprint::Firefox), Some(Fingerprint::Randomized)] {
        for (own_hello, most) in [(false, 1), (true, 1), (false, 700), (true, 700), (false, 1 << 16)] {
            let settings = Reality { fingerprint, own_hello, ..world.settings() };
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
            let serve =
                async { echo(world.server.accept(Box::new(Chopped::new(theirs, 4, most))).await.unwrap()).await };
            let (answer, ()) = tokio::join!(talk, serve);
            assert_eq!(answer, b"ping");
        }
    }
}

/// A dial to a server that takes us for a stranger and hands us to the site.
async fn stranger(world: &World, client: &RealityClient) -> DialError {
    let (ours, theirs) = duplex(1 << 16);
    let serve = async {
        let Ok(RealityAccepted::Stranger(relay)) = world.server.accept(Box::new(theirs)).await else {
            panic!("the stranger was let in")
        };
        relay.run.await;
    };
    let attempt = attempt();
    let (result, ()) = tokio::join!(client.wrap(Box::new(ours), &attempt), serve);
    result.err().unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_real_site_is_visited_and_left() {
    let authority = Authority::new();
    let clients = TlsClients::new(std::slice::from_ref(&authority.root));
    for (alpn, greeting) in [("http/1.1", "GET /start HTTP/1.1\r\nHost: site.example\r\n"), ("h2", "PRI * HTTP/2.0")] {
        let (site, mut heard) = site(authority.server(&[NAME], &[alpn]).0);
        let met = World::new(site);
        let wrong_id = Reality { short_id: ShortId::default(), ..met.settings() };
        let wrong_key = Reality { public_key: world().public_key, ..met.settings() };
        for settings in [wrong_id, wrong_key] {
            let error = stranger(&met, &client(&settings, &clients)).await;
            assert_eq!(error.code(), "authentication");
            let heard = heard.recv().await.unwrap();
            assert!(heard.starts_with(greeting.as_bytes()), "{}", String::from_utf8_lossy(&heard));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_site_that_does_not_verify_gets_nothing() {
    let authority = Authority::new();
    let clients = TlsClients::new(std::slice::from_ref(&authority.root));
    let other_name = authority.server(&["other.example"], &["h2"]).0;
    let other_issuer = Authority::new().server(&[NAME], &["h2"]).0;
    for tls in [other_name, other_issuer] {
        let (site, mut heard) = site(tls);
        let world = World::new(site);
        let settings = Reality { short_id: ShortId::default(), ..world.settings() };
        assert_eq!(stranger(&world, &client(&settings, &clients)).await.code(), "certificate");
        assert!(heard.try_recv().is_err());
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_without_the_second_signature_is_refused() {
    let world = world();
    let key = PqdsaKeyPair::generate(&ML_DSA_65_SIGNING).unwrap();
    let published = URL_SAFE_NO_PAD.encode(key.public_key().as_ref());
    let settings = Reality { mldsa65_verify: Some(Secret::new(published)), ..world.settings() };
    let client = client(&settings, &TlsClients::new(&[]));
    let (ours, theirs) = duplex(1 << 16);
    let attempt = attempt();
    let (result, _) = tokio::join!(client.wrap(Box::new(ours), &attempt), world.server.accept(Box::new(theirs)));
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
        let der = sample_certificate(&[1; 32], &[2; 64], extension);
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
    for published in ["", "AAAA", "not base64"] {
        let settings = Reality { mldsa65_verify: Some(Secret::new(published)), ..reality() };
        let refused = RealityClient::new(&settings, &Host::new("192.0.2.1").unwrap(), &TlsClients::new(&[]));
        assert!(matches!(refused.unwrap_err(), BuildError::Invalid(_)));
    }
}

#[test]
fn certificates_are_read() {
    let der = sample_certificate(&[1; 32], &[2; 64], Some(&[3; 3309]));
    let read = Certificate::parse(&der).unwrap();
    assert_eq!(read, Certificate { key: &[1; 32], signature: &[2; 64], extension: Some(&[3; 3309]) });
    assert_eq!(Certificate::parse(&sample_certificate(&[1; 32], &[2; 64], None)).unwrap().extension, None);
    assert_eq!(Certificate::parse(&sample_certificate(&[1; 33], &[2; 64], None)), None);
    for length in 0..der.len() {
        assert_eq!(Certificate::parse(&der[..length]), None);
    }
}

proptest! {
    #[test]
    fn any_certificate(bytes in proptest::collection::vec(any::<u8>(), 0..200), place in 0..200_usize, value: u8) {
        let _ = Certificate::parse(&bytes);
        let mut der = sample_certificate(&[1; 32], &[2; 64], Some(&[3; 20]));
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
