//! Handshakes with ports: the certificate of the moment, challenges, and clients that go away.

use std::sync::Arc;

use rustls::{
    ClientConfig, DigitallySignedStruct, ServerConfig, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

use crate::{Accepted, Certificate, CertificateSlot, ServerTls};

fn certificate() -> Certificate {
    let made = rcgen::generate_simple_self_signed(vec!["proxy.example.org".to_owned()]).unwrap();
    Certificate::from_pem(made.cert.pem().as_bytes(), made.signing_key.serialize_pem().as_bytes()).unwrap()
}

fn port(slot: &Arc<CertificateSlot>) -> ServerTls {
    ServerTls::new(Arc::clone(slot)).unwrap()
}

#[tokio::test]
async fn a_client_and_a_port_speak_through_tls() {
    let slot = CertificateSlot::new();
    slot.set(certificate());
    let tls = port(&slot);
    let (ours, theirs) = duplex(64 << 10);
    let (accepted, connected) = tokio::join!(tls.accept(ours), tls.connect(theirs));
    let Accepted::Client(mut server) = accepted.unwrap() else { panic!("a client has come") };
    let mut client = connected.unwrap();
    client.write_all(b"ping").await.unwrap();
    client.shutdown().await.unwrap();
    let mut text = String::new();
    server.read_to_string(&mut text).await.unwrap();
    assert_eq!(text, "ping");
    // The other direction goes on after the half-close.
    server.write_all(b"pong").await.unwrap();
    server.shutdown().await.unwrap();
    client.read_to_string(&mut text).await.unwrap();
    assert_eq!(text, "pingpong");
}

#[tokio::test]
async fn without_a_certificate_handshakes_fail_and_then_they_do_not() {
    let slot = CertificateSlot::new();
    let tls = port(&slot);
    for filled in [false, true] {
        if filled {
            slot.set(certificate());
        }
        let (ours, theirs) = duplex(64 << 10);
        let (accepted, connected) = tokio::join!(tls.accept(ours), tls.connect(theirs));
        assert_eq!((accepted.is_ok(), connected.is_ok()), (filled, filled));
    }
}

#[tokio::test]
async fn a_port_with_another_certificate_is_not_our_own() {
    let (slot, other) = (CertificateSlot::new(), CertificateSlot::new());
    slot.set(certificate());
    other.set(certificate());
    let (ours, theirs) = duplex(64 << 10);
    let (port, client) = (port(&slot), port(&other));
    let (_, connected) = tokio::join!(port.accept(ours), client.connect(theirs));
    assert!(connected.is_err());
}

#[tokio::test]
async fn bytes_that_are_no_tls_and_clients_that_go_away_end_a_handshake() {
    let slot = CertificateSlot::new();
    slot.set(certificate());
    let tls = port(&slot);
    for sent in [&b""[..], b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\x00\x05\x01\x00\x00"] {
        let (ours, mut theirs) = duplex(64 << 10);
        theirs.write_all(sent).await.unwrap();
        theirs.shutdown().await.unwrap();
        assert!(tls.accept(ours).await.is_err(), "{sent:?}");
    }
}

#[test]
fn a_challenge_is_answered_with_a_certificate_that_carries_its_digest() {
    let proof = Certificate::answering_challenge("proxy.example.org", &[7; 32]).unwrap();
    assert_eq!(proof.facts().names, ["proxy.example.org"]);
    assert!(Certificate::answering_challenge("proxy.example.org", &[7; 31]).is_err());
}

/// What a client that offers these protocols gets of an inbound: the agreed one, and the certificate.
async fn shown(config: &Arc<ServerConfig>, offers: &[&[u8]]) -> Option<(Option<Vec<u8>>, CertificateDer<'static>)> {
    let builder = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()));
    let builder = builder.with_safe_default_protocol_versions().unwrap();
    let verifier = Arc::new(AnyCertificate);
    let mut client = builder.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth();
    client.alpn_protocols = offers.iter().map(|name| name.to_vec()).collect();
    let (ours, theirs) = duplex(64 << 10);
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::clone(config));
    let connector = tokio_rustls::TlsConnector::from(Arc::new(client));
    let name = "proxy.example.org".try_into().unwrap();
    let (_, client) = tokio::join!(acceptor.accept(ours), connector.connect(name, theirs));
    let client = client.ok()?;
    let connection = client.get_ref().1;
    Some((connection.alpn_protocol().map(<[u8]>::to_vec), connection.peer_certificates()?.first()?.clone()))
}

/// Takes every certificate.
#[derive(Debug)]
struct AnyCertificate;

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        rustls::crypto::aws_lc_rs::default_provider().signature_verification_algorithms.supported_schemes()
    }
}

#[tokio::test]
async fn an_inbound_answers_challenges_beside_its_clients() {
    let slot = CertificateSlot::new();
    let (current, proof) = (certificate(), Certificate::answering_challenge("proxy.example.org", &[7; 32]).unwrap());
    let leaf_of = |certificate: &Certificate| certificate.key.cert[0].clone();
    let (current_leaf, proof_leaf) = (leaf_of(&current), leaf_of(&proof));
    slot.set(current);
    let config = port(&slot).inbound_config(&[b"h2", b"http/1.1"]);
    assert!(config.enable_secret_extraction);
    let acme: &[u8] = b"acme-tls/1";
    assert_eq!(shown(&config, &[acme]).await, None, "nobody has asked for a challenge");
    slot.set_challenge("proxy.example.org", &proof);
    assert_eq!(shown(&config, &[acme]).await, Some((Some(acme.to_vec()), proof_leaf)));
    let page = |name: &[u8]| Some((Some(name.to_vec()), current_leaf.clone()));
    assert_eq!(shown(&config, &[acme, b"http/1.1"]).await, page(b"http/1.1"));
    assert_eq!(shown(&config, &[b"http/1.1", b"h2"]).await, page(b"h2"));
    assert_eq!(shown(&config, &[]).await, Some((None, current_leaf.clone())));
    assert_eq!(shown(&config, &[b"gopher"]).await, None);
    let quic = port(&slot).quic_config(b"h3");
    assert_eq!(shown(&quic, &[acme]).await, None);
    assert_eq!(shown(&quic, &[b"h3"]).await, page(b"h3"));
}
