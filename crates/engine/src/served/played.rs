//! Plays a client of any bytes to a server half, for the fuzz targets.

use std::{
    io,
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll, Waker},
};

use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf, join};

use super::{InboundRequest, Opening, SessionItem, Stranger};
use crate::{BoxDatagram, BoxStream};

/// Gives these bytes in pieces of one size.
struct Pieces {
    data: Vec<u8>,
    at: usize,
    piece: usize,
}

impl AsyncRead for Pieces {
    fn poll_read(mut self: Pin<&mut Self>, _: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let rest = self.data.get(self.at..).unwrap_or_default();
        let length = rest.len().min(self.piece).min(buf.remaining());
        buf.put_slice(rest.get(..length).unwrap_or_default());
        self.at += length;
        Poll::Ready(Ok(()))
    }
}

/// Keeps what is written.
#[derive(Clone, Default)]
struct Kept(Arc<Mutex<Vec<u8>>>);

impl AsyncWrite for Kept {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        self.0.lock().extend_from_slice(data);
        Poll::Ready(Ok(data.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// What came of it.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Played {
    /// What the requests ask for, and the bytes behind each of them.
    heard: Vec<u8>,
    /// What the client is answered.
    said: Vec<u8>,
    /// Everything that comes out of the stream again, when it is no client's.
    stranger: Option<Vec<u8>>,
}

/// Says all of `data` in pieces of this size, and reads everything that is asked for.
///
/// # Panics
/// When a stranger loses a byte.
pub(crate) fn play<F>(data: &[u8], piece: usize, open: impl FnOnce(BoxStream) -> F) -> Played
where
    F: Future<Output = io::Result<Opening>>,
{
    // Sessions have timers.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
    let Ok(runtime) = runtime else { return Played::default() };
    let _time = runtime.enter();
    let said = Kept::default();
    let client = join(Pieces { data: data.to_vec(), at: 0, piece: piece.max(1) }, said.clone());
    let mut cx = Context::from_waker(Waker::noop());
    let mut played = Played::default();
    match pin!(open(Box::new(client))).poll(&mut cx) {
        Poll::Ready(Ok(Opening::Request(request))) => hear(request, &mut played.heard, &mut cx),
        Poll::Ready(Ok(Opening::Session(mut session))) => {
            let mut requests = Vec::new();
            while let Poll::Ready(Some(SessionItem::Request(request))) = session.next().as_mut().poll(&mut cx) {
                requests.push(request);
            }
            requests.into_iter().for_each(|request| hear(request, &mut played.heard, &mut cx));
        }
        Poll::Ready(Ok(Opening::Stranger(Stranger { stream, .. }))) => {
            let mut all = Vec::new();
            read_stream(stream, &mut all, &mut cx);
            assert_eq!(all, data, "a stranger has lost bytes");
            played.stranger = Some(all);
        }
        _ => {}
    }
    played.said = std::mem::take(&mut *said.0.lock());
    played
}

fn hear(request: InboundRequest, heard: &mut Vec<u8>, cx: &mut Context<'_>) {
    match request {
        InboundRequest::Stream(request) => {
            heard.extend_from_slice(request.target.to_string().as_bytes());
            read_stream(request.stream, heard, cx);
        }
        InboundRequest::Datagrams(request) => read_datagrams(&request.datagram, heard, cx),
    }
}

fn read_stream(mut stream: impl AsyncRead + Unpin, heard: &mut Vec<u8>, cx: &mut Context<'_>) {
    let mut room = [0; 300];
    loop {
        let mut out = ReadBuf::new(&mut room);
        let read = Pin::new(&mut stream).poll_read(cx, &mut out);
        if !matches!(read, Poll::Ready(Ok(()))) || out.filled().is_empty() {
            return;
        }
        heard.extend_from_slice(out.filled());
    }
}

fn read_datagrams(datagram: &BoxDatagram, heard: &mut Vec<u8>, cx: &mut Context<'_>) {
    let mut room = [0; 300];
    while let Poll::Ready(Ok((length, target))) = datagram.poll_recv_from(cx, &mut room) {
        heard.extend_from_slice(target.to_string().as_bytes());
        heard.extend_from_slice(room.get(..length).unwrap_or_default());
    }
}
