//! The API over TLS, plainly from this machine, and behind proxies that it trusts.

use hezar_accept::{Certificate, CertificateSlot, ServerTls};
use hezar_core::settings::{Given, SettingValue};
use tokio::io::{AsyncRead, AsyncWrite};

use super::*;
use crate::connection_slots::MAX_PER_ADDRESS;

const REQUEST: &[u8] = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";

fn tls() -> ServerTls {
    let slot = CertificateSlot::new();
    let made = rcgen::generate_simple_self_signed(vec!["hezar.example".to_owned()]).unwrap();
    let (chain, key) = (made.cert.pem(), made.signing_key.serialize_pem());
    slot.set(Certificate::from_pem(chain.as_bytes(), key.as_bytes()).unwrap());
    ServerTls::new(slot).unwrap()
}

async fn told(mut stream: impl AsyncRead + AsyncWrite + Unpin) -> String {
    stream.write_all(REQUEST).await.unwrap();
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    String::from_utf8_lossy(&answer).into_owned()
}

/// A server with these settings, which runs until the runtime ends.
async fn start(config: ApiConfig) -> std::net::SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (settings, stop) = (watch::channel(config), CancellationToken::new());
    tokio::spawn(async move {
        let _held = settings.0;
        serve(listener, settings.1, Arc::new(Fake::default()), stop).await
    });
    address
}

#[tokio::test]
async fn https_is_spoken_and_programs_on_this_machine_may_speak_plainly() {
    let tls = tls();
    let address = start(ApiConfig { tls: Some(tls.clone()), ..config_of("secret", &[]) }).await;
    let secured = tls.connect(TcpStream::connect(address).await.unwrap()).await.unwrap();
    assert!(told(secured).await.starts_with("HTTP/1.1 200 "));
    assert!(told(TcpStream::connect(address).await.unwrap()).await.starts_with("HTTP/1.1 200 "));
}

#[tokio::test]
async fn tls_begins_and_ends_while_the_api_serves() {
    let tls = tls();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, stop) = (listener.local_addr().unwrap(), CancellationToken::new());
    let (settings, receiver) = watch::channel(config_of("secret", &[]));
    tokio::spawn(serve(listener, receiver, Arc::new(Fake::default()), stop.clone()));
    let speaks = async || tls.connect(TcpStream::connect(address).await.unwrap()).await.is_ok();
    assert!(!speaks().await);
    for wanted in [true, false] {
        settings.send_replace(ApiConfig { tls: wanted.then(|| tls.clone()), ..config_of("secret", &[]) });
        while speaks().await != wanted {
            tokio::task::yield_now().await;
        }
    }
    stop.cancel();
}

#[tokio::test]
async fn a_trusted_proxy_may_have_more_connections_than_an_address() {
    for trusted in [false, true] {
        let mut config = config_of("secret", &[]);
        if trusted {
            config.trusted_proxies = Networks::parse(&Given::Text("127.0.0.1".to_owned()), &()).unwrap();
        }
        let address = start(config).await;
        let mut held = Vec::new();
        for _ in 0..MAX_PER_ADDRESS {
            held.push(TcpStream::connect(address).await.unwrap());
        }
        let mut one_more = TcpStream::connect(address).await.unwrap();
        let _ = one_more.write_all(REQUEST).await;
        let mut answer = Vec::new();
        let _ = one_more.read_to_end(&mut answer).await;
        assert_eq!(answer.starts_with(b"HTTP/1.1 200 "), trusted);
    }
}
