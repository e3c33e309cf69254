//! The server's side of VLESS: reads a client's request, and keeps every byte of whoever is no client.

#[cfg(test)]
pub(super) mod tests;

use std::{
    future::poll_fn,
    io,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use tokio::{
    io::AsyncReadExt as _,
    time::{Instant, timeout_at},
};

use super::{
    datagram::Codec,
    vision::VisionStream,
    wire::{self, VlessCommand, VlessRequest},
};
use crate::{
    BoxStream,
    io::{
        header_stream::{HeaderStream, NoHead},
        prefixed::Prefixed,
    },
    protocol::{
        mux_cool::{self, MuxSession},
        packet_addr::Addressing,
        packets,
        xudp::Xudp,
    },
    security::TlsStream,
    served::{
        BoxServed, HALF_HEAD, HeadRead, InboundRequest, Keyring, Opening, ServedStream, Stranger, StrangerReason,
        StreamRequest, read_head, said_nothing,
    },
};

/// The longest request: the id, 255 bytes of addons, the command and a name of 255 bytes.
const MAX_HEAD: usize = 1024;

/// Why a request with Vision is not served.
const NOT_LEAVABLE: StrangerReason = StrangerReason::Command("Vision without TLS 1.3 beneath it");

/// What carries the protocol.
pub(crate) enum Layered {
    /// TLS or REALITY over TCP, which Vision can leave.
    Leavable(Box<TlsStream>),
    /// Any other stream.
    Other(BoxStream),
}

impl Layered {
    /// The stream, for what leaves no layer.
    pub(crate) fn into_stream(self) -> BoxStream {
        match self {
            Self::Leavable(tls) => tls,
            Self::Other(stream) => stream,
        }
    }
}

/// Reads a request. The response header leaves with the first bytes of the answer, or alone when there are none for a while.
///
/// # Errors
/// The connection failed, or ended before it said anything.
pub(crate) async fn accept(carrier: Layered, keyring: &Keyring) -> io::Result<Opening> {
    let read = match carrier {
        Layered::Leavable(tls) => read_leavable(tls, keyring).await?,
        Layered::Other(stream) => read_other(stream, keyring).await?,
    };
    match read {
        Ok((request, stream)) => serve(request, stream).await,
        Err(stranger) => Ok(Opening::Stranger(stranger)),
    }
}

/// A request, and the stream of its payload.
type Read = Result<(VlessRequest, BoxServed), Stranger>;

async fn read_other(stream: BoxStream, keyring: &Keyring) -> io::Result<Read> {
    let read = read_head(stream, MAX_HEAD, |bytes| judge(bytes, keyring, false)).await?;
    Ok(read.map(|(request, stream)| (request, answering(stream))))
}

/// Reads record by record. What follows the request stays in the layer, so that Vision knows where its last record ends.
async fn read_leavable(mut tls: Box<TlsStream>, keyring: &Keyring) -> io::Result<Read> {
    let mut head = Vec::new();
    let mut until = None;
    let why = loop {
        let piece = poll_fn(|cx| poll_piece(&mut tls, &mut head, keyring, cx));
        let judged = match until {
            None => piece.await?,
            Some(until) => match timeout_at(until, piece).await {
                Ok(judged) => judged?,
                Err(_) => break StrangerReason::TooShort,
            },
        };
        match judged {
            Ok(Some((request, _))) => return Ok(Ok(stream_of(request, tls))),
            Err(why) => break why,
            Ok(None) => until = until.or_else(|| Some(Instant::now() + HALF_HEAD)),
        }
    };
    Ok(Err(Stranger { stream: Box::new(Prefixed::new(head.into(), tls)), why }))
}

fn stream_of(request: VlessRequest, tls: Box<TlsStream>) -> (VlessRequest, BoxServed) {
    if !request.vision {
        return (request, answering(tls));
    }
    let stream = VisionStream::answering(tls, request.id, wire::RESPONSE.to_vec());
    (request, Box::new(stream))
}

/// Reads one record, and judges what has come so far. Everything but what follows a request is taken out of the layer.
fn poll_piece(
    tls: &mut TlsStream,
    head: &mut Vec<u8>,
    keyring: &Keyring,
    cx: &mut Context<'_>,
) -> Poll<io::Result<HeadRead<VlessRequest>>> {
    let leavable = tls.codec().is_tls13();
    let before = head.len();
    head.extend_from_slice(ready!(tls.poll_chunk(cx))?);
    let more = head.len() - before;
    let judged = match judge(head, keyring, leavable) {
        Ok(None) if head.is_empty() => return Poll::Ready(Err(said_nothing())),
        Ok(None) if more == 0 => Err(StrangerReason::TooShort),
        Ok(None) if head.len() >= MAX_HEAD => Err(StrangerReason::Protocol),
        judged => judged,
    };
    tls.consume(if let Ok(Some((_, length))) = judged { length.saturating_sub(before) } else { more });
    Poll::Ready(Ok(judged))
}

/// Judges the front of a connection, whose layer may be `leavable`.
fn judge(bytes: &[u8], keyring: &Keyring, leavable: bool) -> HeadRead<VlessRequest> {
    match wire::take_request(bytes, keyring)? {
        Some((request, _)) if request.vision && !leavable => Err(NOT_LEAVABLE),
        head => Ok(head),
    }
}

/// The stream behind a request without Vision.
fn answering(stream: BoxStream) -> BoxServed {
    Box::new(HeaderStream::answering(stream, wire::RESPONSE.to_vec()))
}

/// What is asked for, over a stream of its payload. Only a stream to one target is granted by somebody else.
async fn serve(request: VlessRequest, mut stream: BoxServed) -> io::Result<Opening> {
    let credential = request.credential;
    Ok(match request.command {
        VlessCommand::Connect(target) => {
            Opening::Request(InboundRequest::Stream(StreamRequest { credential, target, stream }))
        }
        VlessCommand::Datagrams(target) => {
            stream.grant();
            let codec = Codec { addressing: Addressing::for_request_to(&target) };
            Opening::Request(packets::request(credential, stream, codec))
        }
        VlessCommand::Mux => {
            stream.grant();
            let mut front = [0; mux_cool::FRONT];
            stream.read_exact(&mut front).await?;
            let stream = Box::new(Prefixed::new(Bytes::copy_from_slice(&front), stream));
            if mux_cool::is_xudp(front) {
                Opening::Request(packets::request(credential, stream, Xudp::answering()))
            } else {
                Opening::Session(Box::new(MuxSession::new(stream, credential)))
            }
        }
    })
}

impl ServedStream for HeaderStream<NoHead> {
    fn grant(&mut self) {
        self.release();
    }
}
