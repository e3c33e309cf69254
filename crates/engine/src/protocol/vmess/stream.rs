//! Encodes and decodes one VMess stream: the request's header in front of our body, and the answer's header in front of theirs.

use rand::{Rng, RngExt, rngs::StdRng};
use tokio::io::ReadBuf;

use super::{
    body::{Body, BodyKind},
    wire::{Command, Random, ResponseKeys, SEALED_LENGTH, User, request},
};
use crate::{
    Cause,
    io::{
        aead::TAG,
        codec_stream::{Codec, Opened},
    },
};

/// What comes next of the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ResponsePhase {
    /// The encrypted length of the header.
    Length,
    /// The encrypted header of this length.
    Header(usize),
    /// The body.
    Body,
}

/// The codec of one stream.
pub(super) struct VmessCodec {
    header: Vec<u8>,
    ours: Body,
    response_keys: ResponseKeys,
    theirs: Body,
    phase: ResponsePhase,
    random: StdRng,
}

impl VmessCodec {
    /// A stream with a command, opened at `now` in Unix seconds; `random` also makes the padding later.
    ///
    /// # Errors
    /// [`Cause::Unsupported`] never happens: all keys have their algorithms' lengths.
    pub(super) fn new(
        user: &User,
        kind: BodyKind,
        command: Command<'_>,
        now: u64,
        mut random: StdRng,
    ) -> Result<Self, Cause> {
        let mut padding = [0; 16];
        random.fill_bytes(&mut padding);
        let chosen = Random {
            auth: random.random(),
            connection_nonce: random.random(),
            body_nonce: random.random(),
            body_key: random.random(),
            mark: random.random(),
            padding,
        };
        let response_keys = ResponseKeys::for_request(&chosen);
        Ok(Self {
            header: request(user, kind, command, now, &chosen)?,
            ours: Body::new(kind, &chosen.body_key, &chosen.body_nonce)?,
            theirs: Body::new(kind, &response_keys.body_key, &response_keys.body_nonce)?,
            response_keys,
            phase: ResponsePhase::Length,
            random,
        })
    }

    /// The same for a stream inside TLS, where nonces may repeat.
    pub(super) fn inside_tls(mut self, inside: bool) -> Self {
        if inside {
            self.ours.allow_wrap();
            self.theirs.allow_wrap();
        }
        self
    }

    /// Continues as if so many chunks had gone in both directions.
    #[cfg(test)]
    pub(super) fn skip_to(&mut self, number: u32) {
        self.ours.skip_to(number);
        self.theirs.skip_to(number);
    }

    fn put_header(&mut self, wire: &mut Vec<u8>) {
        let header = std::mem::take(&mut self.header);
        wire.extend_from_slice(&header);
    }
}

impl Codec for VmessCodec {
    fn seal(&mut self, payload: &[u8], wire: &mut Vec<u8>) -> Result<usize, Cause> {
        self.put_header(wire);
        if payload.is_empty() {
            // An empty chunk would end our side.
            return Ok(0);
        }
        self.ours.seal(payload, &mut self.random, wire)
    }

    fn finish(&mut self, wire: &mut Vec<u8>) -> Result<(), Cause> {
        self.put_header(wire);
        self.ours.seal(&[], &mut self.random, wire).map(|_| ())
    }

    fn open(&mut self, wire: &mut [u8], out: &mut ReadBuf<'_>) -> Result<Opened, Cause> {
        match self.phase {
            ResponsePhase::Length => {
                let Some(sealed) = wire.get_mut(..SEALED_LENGTH) else { return Ok(Opened::Need(SEALED_LENGTH)) };
                self.phase = ResponsePhase::Header(self.response_keys.open_length(sealed)? + TAG);
                Ok(Opened::Used(SEALED_LENGTH))
            }
            ResponsePhase::Header(length) => {
                let Some(sealed) = wire.get_mut(..length) else { return Ok(Opened::Need(length)) };
                self.response_keys.open_header(sealed)?;
                self.phase = ResponsePhase::Body;
                Ok(Opened::Used(length))
            }
            ResponsePhase::Body => self.theirs.open(wire, out),
        }
    }

    fn may_end(&self) -> bool {
        self.phase == ResponsePhase::Body && !self.theirs.in_chunk()
    }
}
