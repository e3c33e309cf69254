//! Trojan against its definition and against a server written down from it.

use std::sync::Arc;

use hezar_core::{Host, Secret, Target, Trojan};
use proptest::prelude::*;
use tokio::io::{AsyncReadExt, DuplexStream};

use super::{build, wire};
use crate::{
    BuildError, Cause, Dialer,
    protocol::laws::{self, Served, pump},
    testing::upstream_pair,
    upstream::Upstream,
};

fn settings() -> Trojan {
    Trojan { password: Secret::new("password"), inner_shadowsocks: None }
}

fn dialer(upstream: Upstream) -> Result<Arc<dyn Dialer>, BuildError> {
    build(&settings(), upstream)
}

/// Reads the request byte by byte and answers with plain payload.
async fn serve(mut peer: DuplexStream) -> Served {
    let mut start = [0; 59];
    peer.read_exact(&mut start).await.unwrap();
    assert_eq!(&start[..], b"d63dc919e201d7bc4c825630d2cf25fdc93d4b2f0d46706d29038d01\r\n\x01");
    assert_eq!(peer.read_u8().await.unwrap(), 3);
    let mut name = vec![0; usize::from(peer.read_u8().await.unwrap())];
    peer.read_exact(&mut name).await.unwrap();
    let port = peer.read_u16().await.unwrap();
    assert_eq!(peer.read_u16().await.unwrap(), 0x0d0a);
    let host = Host::new(std::str::from_utf8(&name).unwrap()).unwrap();
    (Target::new(host, port).unwrap(), pump(peer))
}

#[tokio::test(start_paused = true)]
async fn keeps_the_laws() {
    laws::all(dialer, serve).await;
}

#[test]
fn golden_request() {
    let expected = "643633646339313965323031643762633463383235363330643263663235666463393364346232663064343637303664323930\
                    33386430310d0a01030b6578616d706c652e636f6d01bb0d0a";
    assert_eq!(hex::encode(wire::request(&wire::key("password"), wire::CONNECT, &laws::target())), expected);
    let v4 = wire::request(&wire::key("x"), wire::CONNECT, &Target::parse("192.0.2.7:80").unwrap());
    assert_eq!(&v4[58..], b"\x01\x01\xc0\x00\x02\x07\x00\x50\r\n");
    let v6 = wire::request(&wire::key("x"), wire::CONNECT, &Target::parse("[2001:db8::1]:65535").unwrap());
    assert_eq!(&v6[58..], b"\x01\x04\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01\xff\xff\r\n");
}

#[tokio::test(start_paused = true)]
async fn silence_is_closed() {
    assert!(matches!(laws::cause_of_answer(dialer, b"", 1, 64).await, Some(Cause::Closed)));
    assert!(laws::cause_of_answer(dialer, b"x", 1, 64).await.is_none());
}

#[test]
fn refuses_the_inner_layer() {
    let settings = Trojan { inner_shadowsocks: Some(Secret::new("aes-128-gcm:x")), ..settings() };
    let refused = build(&settings, upstream_pair(1, 1).0).unwrap_err();
    assert_eq!(refused, BuildError::Unsupported("Shadowsocks inside Trojan"));
}

proptest! {
    #[test]
    fn any_password_and_target(password in ".{0,40}", name in "[a-z]{1,60}\\.[a-z]{2,10}", port in 1u16..) {
        let target = Target::parse(&format!("{name}:{port}")).unwrap();
        let bytes = wire::request(&wire::key(&password), wire::CONNECT, &target);
        prop_assert_eq!(bytes.len(), 56 + 2 + 1 + 2 + name.len() + 2 + 2);
        prop_assert!(bytes.ends_with(b"\r\n"));
    }
}
