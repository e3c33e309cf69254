//! The tests that every association over a stream must pass, whatever pieces its bytes come in.

use std::{future::Future, sync::Arc, time::Duration};

use hezar_core::Target;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::timeout,
};

use super::{
    contract::attempt,
    packets::{PacketCodec, Taken},
};
use crate::{
    BoxDatagram, BuildError, Cause, Datagram, Dialer,
    testing::{connector_pair, heard},
    transport::TransportConnector,
};

/// The pieces that streams are cut into.
const PIECES: [(u64, usize); 4] = [(1, 1), (2, 3), (3, 100), (4, 64 * 1024)];
/// How long silence counts as an end. Paused time passes it at once when nothing else is left to do.
const NEVER: Duration = Duration::from_secs(3000);

pub(crate) fn at(text: &str) -> Target {
    Target::parse(text).unwrap()
}

/// An association over `connector`.
pub(crate) async fn associate<B>(build: &B, connector: TransportConnector) -> BoxDatagram
where
    B: Fn(TransportConnector) -> Result<Arc<dyn Dialer>, BuildError>,
{
    build(connector).unwrap().associate(&attempt()).await.unwrap()
}

/// The next datagram or the end; silence counts as an end.
pub(crate) async fn next(association: &BoxDatagram) -> Result<(Vec<u8>, String), Cause> {
    match timeout(NEVER, heard(&**association)).await {
        Ok(Ok((payload, from))) => Ok((payload, from.to_string())),
        Ok(Err(error)) => Err(error.into()),
        Err(_) => Err(Cause::Timeout),
    }
}

/// The server gets exactly these bytes for the datagrams.
pub(crate) async fn sends<B>(build: B, datagrams: &[(&str, &[u8])], expected: &[u8])
where
    B: Fn(TransportConnector) -> Result<Arc<dyn Dialer>, BuildError>,
{
    for (seed, most) in PIECES {
        let (connector, mut peer) = connector_pair(seed, most);
        let association = associate(&build, connector).await;
        for (target, payload) in datagrams {
            association.send_to(payload, &at(target)).await.unwrap();
        }
        let mut bytes = vec![0; expected.len()];
        timeout(NEVER, peer.read_exact(&mut bytes)).await.expect("all bytes come").unwrap();
        assert_eq!(hex::encode(bytes), hex::encode(expected));
        assert!(timeout(NEVER, peer.read_u8()).await.is_err(), "more than expected");
    }
}

/// These datagrams come out of the server's answer to one for `first`; returns what ended it.
pub(crate) async fn receives<B>(build: B, first: &str, answer: &[u8], expected: &[(&[u8], &str)]) -> Cause
where
    B: Fn(TransportConnector) -> Result<Arc<dyn Dialer>, BuildError>,
{
    let mut last = Cause::Closed;
    for (seed, most) in PIECES {
        let (connector, mut peer) = connector_pair(seed, most);
        let association = associate(&build, connector).await;
        association.send_to(b"question", &at(first)).await.unwrap();
        peer.write_all(answer).await.unwrap();
        peer.shutdown().await.unwrap();
        for (payload, from) in expected {
            let (found, sender) = next(&association).await.unwrap();
            assert_eq!((&found[..], &sender[..]), (*payload, *from), "in pieces of {most}");
        }
        last = next(&association).await.unwrap_err();
        assert!(next(&association).await.is_err(), "an end is not forgotten");
    }
    last
}

/// A client sends two datagrams, which [`are_answered`] expects.
pub(crate) async fn ask(association: &BoxDatagram) {
    association.send_to(b"question", &at("dns.example:53")).await.unwrap();
    association.send_to(&[5; 1200], &at("192.0.2.9:443")).await.unwrap();
}

/// A server half receives what [`ask`] has sent, and its answer comes back. When the client drops its association, the server's one ends.
pub(crate) async fn are_answered(association: BoxDatagram, served: &dyn Datagram) {
    let (dns, other) = (at("dns.example:53"), at("192.0.2.9:443"));
    assert_eq!(heard(served).await.unwrap(), (b"question".to_vec(), dns));
    assert_eq!(heard(served).await.unwrap(), (vec![5; 1200], other.clone()));
    served.send_to(b"answer", &other).await.unwrap();
    assert_eq!(heard(&*association).await.unwrap(), (b"answer".to_vec(), other));
    drop(association);
    assert!(heard(served).await.is_err());
}

/// Repeats a call that is cancelled again and again, until it ends. No byte of a datagram may be lost by that.
pub(crate) async fn impatient<F, T>(mut call: impl FnMut() -> F) -> T
where
    F: Future<Output = T>,
{
    for _ in 0..50 {
        if let Ok(done) = timeout(Duration::from_micros(1), call()).await {
            return done;
        }
        tokio::task::yield_now().await;
    }
    call().await
}

/// Decodes any bytes to their end or to an error. No step may use more bytes than there are.
pub(crate) fn survives(mut codec: impl PacketCodec, mut bytes: Vec<u8>) {
    let mut at = 0;
    loop {
        let there = bytes.len() - at;
        match codec.take(&mut bytes[at..]) {
            Ok(Taken::Need(length)) => {
                assert!(length > there, "{length} of {there}");
                return;
            }
            Ok(Taken::Used(used)) => {
                assert!((1..=there).contains(&used));
                at += used;
            }
            Ok(Taken::Packet { used, payload, .. }) => {
                assert!((1..=there).contains(&used) && payload.start <= payload.end && payload.end <= used);
                at += used;
            }
            Ok(Taken::End) | Err(_) => return,
        }
    }
}
