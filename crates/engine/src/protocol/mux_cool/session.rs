//! The server's side of a connection of mux.cool: gives out its sessions as requests, and moves their bytes.

use std::{
    future::{Future as _, poll_fn},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use tokio::{
    io::AsyncWrite as _,
    time::{Sleep, sleep},
};

use super::{
    channel::{Connection, Piece},
    datagrams::MuxDatagrams,
    stream::MuxStream,
    wire::{self, Destination, Frame, Status, Step},
};
use crate::{
    BoxStream, Cause,
    io::{read_buffer::ReadBuffer, write_buffer::WriteBuffer},
    served::{CredentialId, DatagramRequest, InboundRequest, InboundSession, SessionItem, StreamRequest},
};

/// How long a connection may have no session. Clients close theirs sooner.
const MOST_IDLE: Duration = Duration::from_secs(300);

/// The connection.
pub(crate) struct MuxSession {
    io: BoxStream,
    credential: CredentialId,
    read_buffer: ReadBuffer,
    write_buffer: WriteBuffer,
    connection: Arc<Connection>,
    /// Runs while there is no session.
    idle: Option<Pin<Box<Sleep>>>,
}

impl MuxSession {
    /// Serves the frames of `io`, all of them for one credential.
    pub(crate) fn new(io: BoxStream, credential: CredentialId) -> Self {
        Self {
            io,
            credential,
            read_buffer: ReadBuffer::default(),
            write_buffer: WriteBuffer::default(),
            connection: Arc::default(),
            idle: None,
        }
    }

    /// Moves bytes until a request has come. An error is the end of the connection.
    fn poll_request(&mut self, cx: &mut Context<'_>) -> Poll<Result<InboundRequest, Cause>> {
        let polled = self.poll_frames(cx);
        if polled.is_pending() && self.connection.is_idle() {
            let idle = self.idle.get_or_insert_with(|| Box::pin(sleep(MOST_IDLE)));
            return idle.as_mut().poll(cx).map(|()| Err(Cause::Timeout));
        }
        self.idle = None;
        polled
    }

    fn poll_frames(&mut self, cx: &mut Context<'_>) -> Poll<Result<InboundRequest, Cause>> {
        loop {
            self.write(cx)?;
            if !self.connection.may_read(cx) {
                return Poll::Pending;
            }
            match wire::take(self.read_buffer.bytes())? {
                Step::Frame(frame) => {
                    let request = self.serve(&frame)?;
                    self.read_buffer.consume(frame.length);
                    if let Some(request) = request {
                        return Poll::Ready(Ok(request));
                    }
                }
                Step::Need(length) => {
                    if ready!(self.read_buffer.poll_fill(&mut self.io, length, cx))? == 0 {
                        return Poll::Ready(Err(Cause::Closed));
                    }
                }
            }
        }
    }

    /// Sends what the connection takes now. It wakes this task when it takes more.
    fn write(&mut self, cx: &mut Context<'_>) -> Result<(), Cause> {
        loop {
            if self.write_buffer.is_empty() {
                *self.write_buffer.buffer() = self.connection.take_out(cx);
                if self.write_buffer.is_empty() {
                    let _ = Pin::new(&mut self.io).poll_flush(cx)?;
                    return Ok(());
                }
            }
            if self.write_buffer.poll_drain(&mut self.io, cx)?.is_pending() {
                return Ok(());
            }
        }
    }

    /// Acts on a whole frame.
    fn serve(&mut self, frame: &Frame) -> Result<Option<InboundRequest>, Cause> {
        let bytes = self.read_buffer.bytes();
        let payload = frame.payload.clone().and_then(|payload| bytes.get(payload)).map(Bytes::copy_from_slice);
        match frame.status {
            Status::New => {
                let destination = frame.destination(bytes)?;
                return Ok(self.begin(frame.session, destination, payload));
            }
            Status::Keep => {
                let target = match frame.destination(bytes)? {
                    Some(Destination::Datagrams(target)) => target,
                    _ => None,
                };
                if let Some(bytes) = payload {
                    self.connection.deliver(frame.session, Piece { bytes, target });
                }
            }
            Status::End => self.connection.ended(frame.session),
            Status::KeepAlive => {}
        }
        Ok(None)
    }

    /// Begins a session. One that cannot be served is ended at once.
    fn begin(&self, session: u16, destination: Option<Destination>, payload: Option<Bytes>) -> Option<InboundRequest> {
        let mut channel = self.connection.open(session)?;
        let credential = self.credential;
        let request = match destination {
            Some(Destination::Stream(Some(target))) => {
                let stream = Box::new(MuxStream::new(channel));
                InboundRequest::Stream(StreamRequest { credential, target, stream })
            }
            Some(Destination::Datagrams(Some(target))) => {
                let datagram = Box::new(MuxDatagrams::new(channel, target));
                InboundRequest::Datagrams(DatagramRequest { credential, client: None, datagram })
            }
            _ => {
                channel.end(true);
                return None;
            }
        };
        if let Some(bytes) = payload {
            self.connection.deliver(session, Piece { bytes, target: None });
        }
        Some(request)
    }
}

#[async_trait]
impl InboundSession for MuxSession {
    async fn next(&mut self) -> Option<SessionItem> {
        let request = poll_fn(|cx| self.poll_request(cx)).await;
        request.ok().map(SessionItem::Request)
    }
}

impl Drop for MuxSession {
    fn drop(&mut self) {
        self.connection.close();
    }
}
