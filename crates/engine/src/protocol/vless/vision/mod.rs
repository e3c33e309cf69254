//! XTLS Vision: a VLESS stream whose inner TLS 1.3 travels bare once its handshake is over.
//!
//! The first pieces of each direction are padded ([`wire`]), so that an inner TLS handshake does not show by its
//! lengths. When the inner traffic turns out to be TLS 1.3 ([`traffic`]), a direction says so in its last block and leaves
//! our TLS: what follows is the socket's, in each direction on its own. In the same way a direction leaves VLESS encryption
//! ([`layer`]).

mod datagram;
#[cfg(test)]
mod gate;
mod io;
mod layer;
mod response_decoder;
mod stream;
#[cfg(test)]
mod tests;
mod traffic;
mod wire;

#[cfg(feature = "fuzzing")]
pub(crate) use self::response_decoder::read_vision_answer;
pub(super) use self::{datagram::No443, layer::Layer, stream::VisionStream};
