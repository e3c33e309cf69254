//! Datagrams of Trojan: packets with their addresses in one stream, which begins with a request for datagrams.

use std::io;

use hezar_core::Target;

use super::wire;
use crate::{
    Cause,
    protocol::packets::{PacketCodec, Taken},
};

/// The codec. The request names the first target, as the protocol's own client does.
pub(super) struct Codec {
    /// The hashed password, until the request is sent.
    key: Option<wire::Key>,
}

impl Codec {
    /// A codec for a new stream.
    pub(super) const fn new(key: wire::Key) -> Self {
        Self { key: Some(key) }
    }

    /// A codec for a stream whose request has been read.
    pub(super) const fn answering() -> Self {
        Self { key: None }
    }
}

impl PacketCodec for Codec {
    fn put(&mut self, payload: &[u8], target: &Target, wire: &mut Vec<u8>) -> io::Result<()> {
        wire::check_packet(payload)?;
        if let Some(key) = self.key.take() {
            wire.extend(wire::request(&key, wire::ASSOCIATE, target));
        }
        wire::put_packet(payload, target, wire);
        Ok(())
    }

    fn take(&mut self, wire: &mut [u8]) -> Result<Taken, Cause> {
        wire::take_packet(wire)
    }
}
