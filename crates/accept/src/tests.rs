//! Handshakes with ports: the certificate of the moment, challenges, and clients that go away.

use std::sync::Arc;

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
