//! Hellos as they leave, and handshakes that go on after them.

mod retry;
mod rules;

use std::{collections::HashSet, sync::Arc};

use hezar_core::Fingerprint;
use rustls_pki_types::ServerName;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio_rustls::TlsAcceptor;

use super::{Hello, Shape, alpn, config, ja4, template, template_of, transcript};
use crate::{
    Cause,
    security::tls::trusting,
    testing::{Authority, Chopped},
};

fn name() -> ServerName<'static> {
    ServerName::try_from("node.example").unwrap()
}

/// The first record of a connection.
async fn first_record(peer: &mut DuplexStream) -> Vec<u8> {
    let mut record = vec![0; 5];
    peer.read_exact(&mut record).await.unwrap();
    let length = usize::from(u16::from_be_bytes([record[3], record[4]]));
    record.resize(5 + length, 0);
    peer.read_exact(&mut record[5..]).await.unwrap();
    record
}

/// What leaves for these settings.
async fn seen(shape: Shape, names: &[&str], server: ServerName<'static>) -> ja4::Seen {
    let authority = Authority::new();
    let config = Arc::new(config(shape, trusting(&authority.root), &alpn(names)).unwrap());
    let hello = Hello::new(shape, config, server, None).unwrap();
    let (ours, mut theirs) = duplex(64 * 1024);
    let record = async {
        let record = first_record(&mut theirs).await;
        drop(theirs);
        record
    };
    let (result, record) = tokio::join!(hello.connect(ours), record);
    assert!(result.is_err());
    ja4::read(&record)
}

#[tokio::test]
async fn every_template_has_its_fingerprint() {
    for fingerprint in Fingerprint::ALL {
        let template = template_of(fingerprint);
        assert!(!template.browser.is_empty() && !template.source.is_empty());
        assert_eq!(template.date.len(), "2026-01-01".len());
        for _ in 0..20 {
            let seen = seen(Shape::Browser(template), template.alpn, name()).await;
            assert_eq!(seen.ja4(), template.ja4);
        }
    }
}

#[tokio::test]
async fn extensions_change_places_and_grease_changes_values() {
    let shape = Shape::Browser(&template::CHROME);
    let (mut orders, mut ciphers) = (HashSet::new(), HashSet::new());
    for _ in 0..20 {
        let seen = seen(shape, template::CHROME.alpn, name()).await;
        let numbers: Vec<u16> = seen.extensions.iter().map(|(number, _)| *number).collect();
        let (first, last) = (numbers[0], numbers[numbers.len() - 1]);
        assert!(first & 0x0f0f == 0x0a0a && last & 0x0f0f == 0x0a0a && first != last);
        assert_eq!(numbers.iter().collect::<HashSet<_>>().len(), numbers.len(), "an extension comes twice");
        orders.insert(numbers);
        ciphers.insert(seen.ciphers[0]);
    }
    assert!(orders.len() > 10 && ciphers.len() > 3);
}

#[tokio::test]
async fn names_and_protocols_are_followed() {
    let shape = Shape::Browser(&template::CHROME);
    // A WebSocket: HTTP/2 and its settings are not offered.
    let web_socket = seen(shape, &["http/1.1"], name()).await;
    assert_eq!(web_socket.body(16), Some(&b"\x00\x09\x08http/1.1"[..]));
    assert_eq!(web_socket.body(17613), None);
    assert!(web_socket.ja4().starts_with("t13d1515h1_8daaf6152771_"));
    let address = seen(shape, &[], ServerName::try_from("192.0.2.1").unwrap()).await;
    assert_eq!((address.body(0), address.body(16)), (None, None));
    assert!(address.ja4().starts_with("t13i151300_"));
    assert_eq!(seen(shape, &["h2"], name()).await.body(0), Some(&b"\x00\x0f\x00\x00\x0cnode.example"[..]));
    let own = seen(Shape::Own, &["h2"], name()).await;
    assert!(own.ja4().starts_with("t13d10"), "{}", own.ja4());
}

/// A handshake in these pieces. Returns what the client read.
async fn talk(shape: Shape, acceptor: &TlsAcceptor, authority: &Authority, most: usize) -> Result<Vec<u8>, Cause> {
    let config = Arc::new(config(shape, trusting(&authority.root), &alpn(&["h2"])).unwrap());
    let hello = Hello::new(shape, config, name(), None).unwrap();
    let random = hello.script.random;
    let (ours, theirs) = duplex(64 * 1024);
    let ours = Chopped::new(ours, 5, most);
    let serve = async {
        let mut stream = acceptor.accept(theirs).await.ok()?;
        let mut word = [0; 4];
        stream.read_exact(&mut word).await.ok()?;
        stream.write_all(b"pong").await.ok()?;
        stream.shutdown().await.ok()
    };
    let client = async {
        let mut stream = hello.connect(ours).await?.boxed().secured();
        assert!(!transcript::contains(&random), "a hello is forgotten after its handshake");
        stream.write_all(b"ping").await?;
        stream.flush().await?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await?;
        Ok(answer)
    };
    let (answer, _) = tokio::join!(client, serve);
    assert!(!transcript::contains(&random));
    answer
}

#[tokio::test]
async fn a_browsers_hello_is_followed_up() {
    let authority = Authority::new();
    let (acceptor, _) = authority.server(&["node.example"], &["h2"]);
    for most in [1, 7, 1500, 64 * 1024] {
        for shape in [Shape::Browser(&template::CHROME), Shape::Own] {
            assert_eq!(talk(shape, &acceptor, &authority, most).await.unwrap(), b"pong");
        }
    }
}

/// A server with only this key exchange, TLS version or cipher suite.
fn narrow(authority: &Authority, change: impl FnOnce(&mut rustls::crypto::CryptoProvider), tls12: bool) -> TlsAcceptor {
    let mut provider = rustls::crypto::aws_lc_rs::default_provider();
    change(&mut provider);
    let version = if tls12 { &rustls::version::TLS12 } else { &rustls::version::TLS13 };
    authority.server_of(&["node.example"], &["h2"], provider, &[version]).0
}

#[tokio::test]
async fn every_suite_and_share_is_followed_up() {
    let authority = Authority::new();
    for number in 0..3 {
        let acceptor = narrow(&authority, |p| p.cipher_suites = vec![p.cipher_suites[number]], false);
        assert!(talk(Shape::Browser(&template::CHROME), &acceptor, &authority, 1500).await.is_ok());
    }
    for group in [rustls::NamedGroup::X25519, rustls::NamedGroup::X25519MLKEM768] {
        let acceptor = narrow(&authority, |p| p.kx_groups.retain(|g| g.name() == group), false);
        for shape in [Shape::Browser(&template::CHROME), Shape::Own] {
            assert!(talk(shape, &acceptor, &authority, 1500).await.is_ok(), "{group:?}");
        }
    }
}

#[tokio::test]
async fn what_rustls_cannot_follow_up_is_named() {
    let authority = Authority::new();
    let old = narrow(&authority, |_| (), true);
    let failed = talk(Shape::Browser(&template::CHROME), &old, &authority, 1500).await.unwrap_err();
    assert!(matches!(failed, Cause::Hello(_)), "{failed}");
    assert!(talk(Shape::Own, &old, &authority, 1500).await.is_ok());
    // A wrong certificate is no reason to try again.
    let (acceptor, _) = Authority::new().server(&["node.example"], &["h2"]);
    let refused = talk(Shape::Browser(&template::CHROME), &acceptor, &authority, 1500).await.unwrap_err();
    assert!(matches!(refused, Cause::Certificate(_)), "{refused}");
}
