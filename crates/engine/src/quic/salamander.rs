//! Salamander, which disguises the packets of Hysteria 2 (v2.hysteria.network/docs/developers/Protocol).
//!
//! ```text
//! | salt | packet ⊕ BLAKE2b-256(password ‖ salt), repeated |
//! |  8   |                     as before                   |
//! ```
//! It hides that the packets are QUIC; QUIC's own encryption protects their content.

use blake2::{Blake2b, Digest, digest::consts::U32};

/// The salt in front of a packet, in bytes.
pub(super) const SALT: usize = 8;

/// The state of the hash after the password, before the salt.
#[derive(Clone)]
pub(super) struct Salamander(Blake2b<U32>);

impl Salamander {
    /// The disguise with a password.
    pub(super) fn new(password: &str) -> Self {
        Self(Blake2b::new_with_prefix(password.as_bytes()))
    }

    /// Appends `packet` to `out`, disguised by `salt`.
    pub(super) fn put(&self, salt: [u8; SALT], packet: &[u8], out: &mut Vec<u8>) {
        out.extend_from_slice(&salt);
        let from = out.len();
        out.extend_from_slice(packet);
        self.mask(salt, out.get_mut(from..).unwrap_or_default());
    }

    /// Unmasks the packet behind the salt in place and returns it; `None` when the bytes are too short.
    pub(super) fn open<'a>(&self, packet: &'a mut [u8]) -> Option<&'a mut [u8]> {
        let (salt, packet) = packet.split_first_chunk_mut::<SALT>()?;
        self.mask(*salt, packet);
        (!packet.is_empty()).then_some(packet)
    }

    fn mask(&self, salt: [u8; SALT], packet: &mut [u8]) {
        let key = self.0.clone().chain_update(salt).finalize();
        for block in packet.chunks_mut(key.len()) {
            block.iter_mut().zip(&key).for_each(|(byte, key)| *byte ^= key);
        }
    }
}
