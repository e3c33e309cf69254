//! XTLS Vision: a VLESS stream that does not encrypt inner TLS 1.3 a second time once the inner handshake is over.
//!
//! The first pieces of each direction are padded ([`wire`]), so that an inner TLS handshake is not recognised by its lengths.
//! When the inner traffic turns out to be TLS 1.3 ([`traffic`]), a direction says so in its last block and leaves our TLS:
//! what follows goes to the socket as it is. Each direction does this at its own time. A direction leaves VLESS encryption
//! in the same way ([`layer`]).

mod datagram;
mod direction_decoder;
mod io;
mod layer;
mod stream;
#[cfg(test)]
mod tests;
mod traffic;
mod wire;

#[cfg(feature = "fuzzing")]
pub(crate) use self::direction_decoder::{read_vision_answer, read_vision_payload};
pub(super) use self::{datagram::No443, layer::Layer, stream::VisionStream};
