//! Buffers what a client sends, within one deadline, until something whole can be parsed.

use std::{io, net::SocketAddr, time::Duration};

use bytes::{Buf, Bytes, BytesMut};
use hezar_engine::Prefixed;
use tokio::{
    io::AsyncWriteExt,
    time::{Instant, timeout, timeout_at},
};

use super::ClientSocket;
use crate::{
    Refusal,
    access::{self, RejectBudget},
    relay::read_at_most,
};

/// How long a short answer may take to be sent, and how long a refused client may take to read it.
const SEND_TIMEOUT: Duration = Duration::from_secs(2);
/// How much a refused client may still send before it is cut off.
const MAX_READS: usize = (2 << 20) / access::READ_SIZE;
/// The most that is taken from a client before its node is connected.
const EARLY_BYTES: usize = 64 * 1024;
/// Read at a time.
const PIECE: usize = 4096;

/// A client's stream and the bytes that were read from it and not yet used.
#[derive(Debug)]
pub(crate) struct ClientBuffer {
    stream: ClientSocket,
    bytes: BytesMut,
    deadline: Instant,
}

impl ClientBuffer {
    /// A new client has until `deadline` to make its first request.
    pub(crate) fn new(stream: ClientSocket, deadline: Instant) -> Self {
        Self { stream, bytes: BytesMut::new(), deadline }
    }

    /// Until when the client must have made its first request.
    pub(super) const fn deadline(&self) -> Instant {
        self.deadline
    }

    /// The bytes that are there.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Takes bytes away from the beginning.
    pub(super) fn skip(&mut self, count: usize) {
        self.bytes.advance(count.min(self.bytes.len()));
    }

    /// The first byte, which stays.
    pub(super) async fn peek(&mut self) -> Result<u8, Refusal> {
        loop {
            if let Some(first) = self.bytes.first() {
                return Ok(*first);
            }
            self.read_more().await?;
        }
    }

    /// Reads at least one more byte.
    pub(super) async fn read_more(&mut self) -> Result<(), Refusal> {
        // As much again as is there already: a long head costs few reads, and a short one little memory.
        let most = self.bytes.len().clamp(PIECE, access::READ_SIZE);
        match timeout_at(self.deadline, read_at_most(&mut self.stream, &mut self.bytes, most)).await {
            Err(_) => Err(Refusal::ClientTimeout),
            Ok(Ok(0) | Err(_)) => Err(Refusal::ClientGone),
            Ok(Ok(_)) => Ok(()),
        }
    }

    /// Reads until `parse` finds something whole, and takes its bytes away.
    pub(super) async fn read<T>(
        &mut self,
        parse: impl Fn(&[u8]) -> Result<Option<(T, usize)>, Refusal>,
    ) -> Result<T, Refusal> {
        loop {
            if let Some((value, used)) = parse(&self.bytes)? {
                self.skip(used);
                return Ok(value);
            }
            self.read_more().await?;
        }
    }

    /// Ends when the client hangs up while it waits for an answer. Bytes that it sends meanwhile are kept for the
    /// target; a client that has sent some and closed its half still wants the answer.
    pub(super) async fn client_hung_up(&mut self) {
        while self.bytes.len() < EARLY_BYTES {
            match read_at_most(&mut self.stream, &mut self.bytes, PIECE).await {
                Ok(0) if self.bytes.is_empty() => return,
                Ok(0) => break,
                Ok(_) => {}
                Err(_) => return,
            }
        }
        std::future::pending().await
    }

    /// Sends a short answer.
    pub(super) async fn write(&mut self, answer: &[u8]) -> Result<(), Refusal> {
        let write = async {
            self.stream.write_all(answer).await?;
            self.stream.flush().await
        };
        match timeout(SEND_TIMEOUT, write).await {
            Ok(Ok(())) => Ok(()),
            _ => Err(Refusal::ClientGone),
        }
    }

    /// Tells the client of an encrypted inbound that it is served.
    pub(super) async fn grant(&mut self) -> Result<(), Refusal> {
        if let Some(served) = self.stream.served() {
            served.grant();
        }
        self.write(&[]).await
    }

    /// Whether the client is one of an encrypted inbound, who may be told early that it is served.
    pub(super) fn is_unwrapped(&self) -> bool {
        matches!(self.stream, ClientSocket::Unwrapped(_))
    }

    /// Tells the client of an encrypted inbound why it is not served, and closes.
    pub(super) async fn refuse_and_close(mut self, refusal: &Refusal, reject_budget: &RejectBudget) {
        if let Some(served) = self.stream.served() {
            served.refuse(refusal.request_refusal());
        }
        self.send_and_close(&[], reject_budget).await;
    }

    /// Sends a last answer and closes, so that the client can read it: closing while its bytes are still unread would
    /// reset the connection and throw the answer away. When too many clients have to be heard out, that is what happens.
    pub(super) async fn send_and_close(mut self, answer: &[u8], reject_budget: &RejectBudget) {
        let Self { stream, bytes, .. } = &mut self;
        let polite = async {
            stream.write_all(answer).await?;
            stream.shutdown().await?;
            // The head that was refused is not needed any more, and a buffer only when something comes.
            *bytes = BytesMut::new();
            for _ in 0..MAX_READS {
                bytes.clear();
                let read = read_at_most(stream, bytes, access::READ_SIZE).await?;
                if read == 0 || !reject_budget.allows_read() {
                    break;
                }
            }
            Ok::<(), io::Error>(())
        };
        // Whether the client took it or not, the connection ends here.
        let _ = timeout(SEND_TIMEOUT, polite).await;
    }

    /// The address at which the client reached us.
    pub(super) fn local_address(&self) -> io::Result<SocketAddr> {
        self.stream.local_address()
    }

    /// The client's socket, and what was read from it.
    pub(super) fn into_parts(self) -> (ClientSocket, BytesMut) {
        (self.stream, self.bytes)
    }

    /// The client's stream, what was read too far in front.
    pub(super) fn into_client(self) -> Prefixed<ClientSocket> {
        // An empty front would hold its buffer for as long as the tunnel lives.
        let front = if self.bytes.is_empty() { Bytes::new() } else { self.bytes.freeze() };
        Prefixed::new(front, self.stream)
    }
}
