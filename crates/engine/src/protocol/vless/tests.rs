//! VLESS against its definition and against a server written down from it.

use std::sync::Arc;

use hezar_core::{Host, PacketEncoding, Secret, Target, Vision, Vless};
use proptest::prelude::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use uuid::{Uuid, uuid};

use super::{build, wire};
use crate::{
    BuildError, Cause, Dialer,
    protocol::{
        headed::AnswerHead,
        laws::{self, Served, pump},
    },
    testing::upstream_pair,
    upstream::Upstream,
};

const ID: Uuid = uuid!("b831381d-6324-4d53-ad4f-8cda48b30811");

fn settings() -> Vless {
    Vless { id: ID, flow: None, encryption: None, packet_encoding: PacketEncoding::Xudp }
}

fn dialer(upstream: Upstream) -> Result<Arc<dyn Dialer>, BuildError> {
    build(&settings(), upstream)
}

/// Reads the request and answers with a header that has addons.
pub(super) async fn serve(mut peer: DuplexStream) -> Served {
    let mut start = [0; 19];
    peer.read_exact(&mut start).await.unwrap();
    assert_eq!((start[0], &start[1..17], start[17], start[18]), (0, &ID.as_bytes()[..], 0, 1));
    let port = peer.read_u16().await.unwrap();
    assert_eq!(peer.read_u8().await.unwrap(), 2);
    let mut name = vec![0; usize::from(peer.read_u8().await.unwrap())];
    peer.read_exact(&mut name).await.unwrap();
    peer.write_all(b"\x00\x03abc").await.unwrap();
    let host = Host::new(std::str::from_utf8(&name).unwrap()).unwrap();
    (Target::new(host, port).unwrap(), pump(peer))
}

#[tokio::test(start_paused = true)]
async fn keeps_the_laws() {
    laws::all(dialer, serve).await;
}

#[test]
fn golden_request() {
    let expected = "00b831381d63244d53ad4f8cda48b30811000101bb020b6578616d706c652e636f6d";
    assert_eq!(hex::encode(wire::request(&ID, wire::CONNECT, &laws::target())), expected);
    let v6 = wire::request(&ID, wire::CONNECT, &Target::parse("[2001:db8::1]:80").unwrap());
    assert_eq!(&v6[18..], b"\x01\x00\x50\x03\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01");
}

#[tokio::test(start_paused = true)]
async fn names_what_went_wrong() {
    let cause = |answer| laws::cause_of_answer(dialer, answer, 1, 64);
    assert!(matches!(cause(b"").await, Some(Cause::Closed)));
    assert!(matches!(cause(b"\0").await, Some(Cause::Closed)));
    assert!(matches!(cause(b"\0\x05abc").await, Some(Cause::Closed)));
    assert!(matches!(cause(b"HTTP/1.1 400 Bad Request\r\n\r\n").await, Some(Cause::Protocol(_))));
    assert!(cause(b"\0\0").await.is_none());
    assert!(cause(b"\0\0payload").await.is_none());
}

#[test]
fn refuses_what_is_not_built() {
    let refusal = |settings| build(&settings, upstream_pair(1, 1).0).unwrap_err();
    assert_eq!(refusal(Vless { flow: Some(Vision::Plain), ..settings() }), BuildError::Unsupported("XTLS Vision"));
    assert_eq!(
        refusal(Vless { encryption: Some(Secret::new("none at all")), ..settings() }),
        BuildError::Unsupported("this VLESS encryption")
    );
}

proptest! {
    #[test]
    fn any_answer_head(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        if let Ok(Some(length)) = wire::Answer.length(&bytes) {
            prop_assert!(length <= bytes.len());
            prop_assert_eq!(length, 2 + usize::from(bytes[1]));
        }
    }
}
