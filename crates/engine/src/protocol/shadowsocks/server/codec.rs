//! The codec of a served stream: encrypts the answer and decrypts the rest of the request.

use tokio::io::ReadBuf;

use super::super::{
    aead2022::ANSWER,
    wire::{Chunks, MAX_PAYLOAD, Sealer},
};
use crate::{
    Cause,
    io::codec_stream::{Codec, Opened},
};

/// What comes before the first payload of an answer.
pub(super) enum AnswerHead {
    /// 2017: the salt.
    Salt(Vec<u8>),
    /// 2022: the salt, and a header with the time and the salt of the request.
    Timed { salt: Vec<u8>, request_salt: Vec<u8>, clock: fn() -> u64 },
}

/// Encrypts and decrypts one stream of a client.
pub(super) struct AnsweringCodec {
    /// The head, until the first payload is sent.
    head: Option<AnswerHead>,
    ours: Sealer,
    theirs: Chunks,
}

impl AnsweringCodec {
    /// An answer that begins with `head` and is encrypted by `ours`, to a request of which `theirs` decrypts the rest.
    pub(super) const fn new(head: AnswerHead, ours: Sealer, theirs: Chunks) -> Self {
        Self { head: Some(head), ours, theirs }
    }
}

impl Codec for AnsweringCodec {
    /// An answer has no form without a payload: nothing is appended for an empty one.
    fn seal(&mut self, payload: &[u8], wire: &mut Vec<u8>) -> Result<usize, Cause> {
        let payload = payload.get(..payload.len().min(MAX_PAYLOAD)).unwrap_or_default();
        if payload.is_empty() {
            return Ok(0);
        }
        match self.head.take() {
            None => self.ours.seal_chunk(&[payload], wire)?,
            Some(AnswerHead::Salt(salt)) => {
                wire.extend_from_slice(&salt);
                self.ours.seal_chunk(&[payload], wire)?;
            }
            Some(AnswerHead::Timed { salt, request_salt, clock }) => {
                wire.extend_from_slice(&salt);
                let from = wire.len();
                wire.push(ANSWER);
                wire.extend_from_slice(&clock().to_be_bytes());
                wire.extend_from_slice(&request_salt);
                wire.extend_from_slice(&u16::try_from(payload.len()).unwrap_or(u16::MAX).to_be_bytes());
                self.ours.seal(wire, from)?;
                let from = wire.len();
                wire.extend_from_slice(payload);
                self.ours.seal(wire, from)?;
            }
        }
        Ok(payload.len())
    }

    fn finish(&mut self, _: &mut Vec<u8>) -> Result<(), Cause> {
        Ok(())
    }

    fn open(&mut self, wire: &mut [u8], out: &mut ReadBuf<'_>) -> Result<Opened, Cause> {
        self.theirs.open(wire, out)
    }

    fn may_end(&self) -> bool {
        self.theirs.may_end()
    }
}
