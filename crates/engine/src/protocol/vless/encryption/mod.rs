//! VLESS encryption (`mlkem768x25519plus`), client side: a post-quantum handshake beneath VLESS, with tickets that save
//! the round trip of the handshake.

mod cipher;
mod hello;
mod kdf;
mod masked;
mod records;
mod settings;
#[cfg(test)]
pub(super) mod tests;

use std::{sync::Arc, time::Duration};

use hezar_core::Stage;
use parking_lot::Mutex;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::{Instant, sleep},
};

use self::{
    hello::{ANSWER, Hello, Ticket},
    masked::Masked,
    records::Records,
    settings::{Looks, Settings},
};
use crate::{Attempt, BoxStream, BuildError, Cause, DialError, io::codec_stream::CodecStream};

/// Decodes settings and records, and unmasks headers in pieces of this size. Returns the unmasked bytes.
#[cfg(feature = "fuzzing")]
pub(super) fn decode(data: &[u8], piece: usize) -> Vec<u8> {
    use self::cipher::{Headers, Mask};

    if let Ok(text) = std::str::from_utf8(data) {
        let _ = Settings::read(text);
    }
    let key = || cipher::Counted::new(b"", b"");
    if let (Ok(seal), Ok(open)) = (key(), key()) {
        let keys = hello::Keys { united: Default::default(), iv: [0; 16], seal };
        let padding = data.first().copied().unwrap_or_default().into();
        let mut records = Records::fresh(keys, open, padding);
        crate::io::codec_stream::open_all(&mut records, data.to_vec());
    }
    let (mut shown, mut headers) = (data.to_vec(), Headers::new(Mask::new(b"", &[0; 16]), 0));
    shown.chunks_mut(piece.max(1)).for_each(|piece| headers.show(piece));
    shown
}

/// The ticket of a node, as long as it is valid.
#[derive(Debug, Default)]
struct Tickets(Mutex<Option<(Ticket, Instant)>>);

impl Tickets {
    fn get(&self) -> Option<Ticket> {
        let ticket = self.0.lock();
        ticket.as_ref().filter(|(_, end)| Instant::now() < *end).map(|(ticket, _)| ticket.clone())
    }

    fn put(&self, ticket: Ticket) {
        let end = Instant::now() + Duration::from_secs(ticket.seconds);
        *self.0.lock() = Some((ticket, end));
    }

    /// Drops a ticket that the server does not know. A newer ticket stays.
    fn forget(&self, forgotten: &Ticket) {
        self.0.lock().take_if(|(ticket, _)| ticket.bytes() == forgotten.bytes());
    }
}

/// The encryption of one node.
#[derive(Debug)]
pub(super) struct Encryption {
    settings: Settings,
    tickets: Arc<Tickets>,
}

impl Encryption {
    /// Reads the text of a link.
    ///
    /// # Errors
    /// [`BuildError`] when the text is malformed or names another encryption.
    pub(super) fn new(text: &str) -> Result<Self, BuildError> {
        Ok(Self { settings: Settings::read(text)?, tickets: Arc::default() })
    }

    /// Encrypts a stream: at once with a ticket, or after a handshake.
    ///
    /// # Errors
    /// [`DialError`] at the handshake.
    pub(super) async fn wrap(&self, stream: BoxStream, attempt: &Attempt) -> Result<CodecStream<Records>, DialError> {
        if self.settings.resumes
            && let Some(ticket) = self.tickets.get()
        {
            let resumed = ticket.resume(&self.settings, &mut rand::rng());
            let (front, keys) = resumed.map_err(|cause| DialError::new(Stage::Handshake, cause))?;
            let stream: BoxStream = match self.settings.looks {
                Looks::Random => Box::new(Masked::resumed(stream, &keys, front.len())),
                Looks::Native | Looks::XorPub => stream,
            };
            return Ok(CodecStream::new(stream, Records::resumed(front, keys, (Arc::clone(&self.tickets), ticket))));
        }
        attempt.stage(Stage::Handshake, self.handshake(stream)).await
    }

    async fn handshake(&self, mut stream: BoxStream) -> Result<CodecStream<Records>, Cause> {
        let (pieces, pauses) = self.settings.padding.draw(&mut rand::rng());
        let hello = Hello::new(&self.settings, pieces.iter().sum(), &mut rand::rng())?;
        let mut rest = hello.wire.as_slice();
        for (index, piece) in pieces.iter().enumerate() {
            let front = if index == 0 { hello.padding_from } else { 0 };
            let (now, later) = rest.split_at_checked(front + piece).unwrap_or((rest, &[]));
            rest = later;
            if !now.is_empty() {
                stream.write_all(now).await?;
                stream.flush().await?;
            }
            if let Some(pause) = pauses.get(index).filter(|pause| **pause > 0) {
                sleep(Duration::from_millis(*pause)).await;
            }
        }
        let mut answer = [0; ANSWER];
        stream.read_exact(&mut answer).await?;
        let (keys, open, ticket, padding) = hello.answer(&mut answer)?;
        if self.settings.looks == Looks::Random {
            stream = Box::new(Masked::fresh(stream, &keys, &ticket, padding));
        }
        if self.settings.resumes && ticket.seconds > 0 {
            self.tickets.put(ticket);
        }
        Ok(CodecStream::new(stream, Records::fresh(keys, open, padding)))
    }
}
