//! The stream beneath TLS during the handshake with the site. It removes the masks and marks of the server.
//!
//! ```text
//! ← | 17 03 03 | length 2 | mark 4 | the site's record, masked |
//!   mark: the first bytes of HMAC-SHA1(password, ServerRandom, the masked records so far)
//!   mask: SHA-256(password, ServerRandom), over and over
//! ```

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::{Buf, BytesMut};
use hezar_core::Secret;
use sha2::{Digest, Sha256};
use tokio::io::{AsyncRead, ReadBuf};
use tokio_util::io::poll_read_buf;

use super::frames::{Frames, MARK, Marks, put_header};
use crate::{
    BoxStream,
    io::{
        copy::pour,
        prefixed::Prefixed,
        read_through::{ReadThrough, Reader},
    },
    security::tls::records::{DATA, HANDSHAKE, HEADER, record_header},
};

/// The size of a read.
const CHUNK: usize = 8 * 1024;
/// The handshake type of a ServerHello, and where its random stands in the record.
const SERVER_HELLO: u8 = 2;
const RANDOM: usize = HEADER + 4 + 2;

/// Takes records apart, without any I/O.
pub(super) struct Unmask {
    password: Secret,
    raw: BytesMut,
    met: Option<Met>,
}

/// What is known once the server has said its hello.
struct Met {
    random: [u8; 32],
    mask: [u8; 32],
    marks: Marks,
    /// Whether the last record was marked, and with it all before.
    proven: bool,
}

impl Unmask {
    pub(super) fn new(password: Secret) -> Self {
        Self { password, raw: BytesMut::new(), met: None }
    }

    /// Where received bytes go.
    pub(super) const fn buffer(&mut self) -> &mut BytesMut {
        &mut self.raw
    }

    /// The next record as the site sent it; `None` while it is not whole.
    pub(super) fn next(&mut self) -> Option<BytesMut> {
        let (kind, whole) = record_header(&self.raw)?;
        if self.raw.len() < whole {
            return None;
        }
        let mut record = self.raw.split_to(whole);
        match (kind, &mut self.met) {
            // Only the first counts, even if it asks for another hello.
            (HANDSHAKE, None) if record.get(HEADER) == Some(&SERVER_HELLO) => {
                let random = record.get(RANDOM..).and_then(|random| random.first_chunk());
                self.met = random.map(|random| Met::new(&self.password, *random));
            }
            (DATA, Some(met)) => met.unmask(&mut record),
            _ => {}
        }
        Some(record)
    }

    /// The frames to go on with and what came ahead of them; `None` unless the server has shown the password.
    fn finish(self) -> Option<(Frames, BytesMut)> {
        let met = self.met.filter(|met| met.proven)?;
        Some((Frames::new(&self.password, &met.random, met.marks), self.raw))
    }
}

impl Met {
    fn new(password: &Secret, random: [u8; 32]) -> Self {
        let mask = Sha256::new().chain_update(password.expose()).chain_update(random).finalize().into();
        Self { random, mask, marks: Marks::new(password, &[&random]), proven: false }
    }

    /// Makes a marked record the site's; leaves another one as it is.
    fn unmask(&mut self, record: &mut BytesMut) {
        let Some((mark, payload)) = record.get_mut(HEADER..).and_then(<[u8]>::split_first_chunk_mut) else { return };
        self.proven = self.marks.mark(payload) == *mark;
        if !self.proven {
            return;
        }
        payload.iter_mut().zip(self.mask.iter().cycle()).for_each(|(byte, mask)| *byte ^= mask);
        let length = payload.len();
        record.advance(MARK);
        let mut header = Vec::with_capacity(HEADER);
        put_header(&mut header, length);
        record.get_mut(..HEADER).unwrap_or_default().copy_from_slice(&header);
    }
}

/// The stream.
pub(super) type Unmasked = ReadThrough<Site, BoxStream>;

/// What the site says on it.
pub(super) struct Site {
    unmask: Unmask,
    /// What rustls has not taken yet.
    record: BytesMut,
}

impl Unmasked {
    pub(super) fn new(inner: BoxStream, password: Secret) -> Self {
        Self { reader: Site { unmask: Unmask::new(password), record: BytesMut::new() }, inner }
    }

    /// Whether the server has shown that it knows the password.
    pub(super) fn proven(&self) -> bool {
        self.reader.unmask.met.as_ref().is_some_and(|met| met.proven)
    }

    /// The stream beneath, at the first byte that is not the site's, and the frames to go on with. `None` as for
    /// [`Unmasked::proven`].
    pub(super) fn finish(self) -> Option<(Prefixed<BoxStream>, Frames)> {
        let (frames, ahead) = self.reader.unmask.finish()?;
        Some((Prefixed::new(ahead.freeze(), self.inner), frames))
    }
}

impl Reader for Site {
    fn poll_read<S: AsyncRead + Unpin>(
        &mut self,
        inner: &mut S,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        while self.record.is_empty() {
            if let Some(record) = self.unmask.next() {
                self.record = record;
                continue;
            }
            let raw = self.unmask.buffer();
            raw.reserve(CHUNK);
            // An end in the middle of a record is one all the same.
            if ready!(poll_read_buf(Pin::new(&mut *inner), cx, raw))? == 0 {
                return Poll::Ready(Ok(()));
            }
        }
        pour(&mut self.record, buf);
        Poll::Ready(Ok(()))
    }
}
