//! The bytes of VLESS version 0 (xtls.github.io/en/development/protocols/vless.html).
//!
//! ```text
//! request: | version 0 | user id | length m | addons | command | port | ATYP | address | payload …
//!          |     1     |   16    |    1     |   m    |    1    |  2   |  1   |   var   |        no address for mux
//! answer:  | version 0 | length n | addons | payload …
//!          |     1     |    1     |   n    |
//! ```

use hezar_core::Target;
use uuid::Uuid;

use crate::{
    Cause,
    io::header_stream::AnswerHead,
    protocol::address::{MAX_ADDRESS, put_v2ray},
};

const VERSION: u8 = 0;
/// Open a TCP stream.
pub(super) const CONNECT: u8 = 1;
/// Carry datagrams to one target, each behind its length (2 bytes), both ways.
pub(super) const DATAGRAMS: u8 = 2;
/// Carry frames of mux.cool; this request has no address.
const MUX: u8 = 3;

/// The addons of a request with Vision: a protobuf message whose first field is the flow.
pub(super) const VISION: &[u8] = b"\x0a\x10xtls-rprx-vision";

/// The request for a stream to `target` under a command, without addons.
pub(super) fn request(id: &Uuid, command: u8, target: &Target) -> Vec<u8> {
    let mut bytes = head(id, &[], command);
    put_v2ray(target, &mut bytes);
    bytes
}

/// The request for a TCP stream to `target` with Vision.
pub(super) fn vision(id: &Uuid, target: &Target) -> Vec<u8> {
    let mut bytes = head(id, VISION, CONNECT);
    put_v2ray(target, &mut bytes);
    bytes
}

/// The request for a stream of frames.
pub(super) fn mux(id: &Uuid) -> Vec<u8> {
    head(id, &[], MUX)
}

/// The request for a stream of frames with Vision.
pub(super) fn vision_mux(id: &Uuid) -> Vec<u8> {
    head(id, VISION, MUX)
}

/// The request up to the address; `addons` are at most 255 bytes.
fn head(id: &Uuid, addons: &'static [u8], command: u8) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(1 + 16 + 1 + addons.len() + 1 + MAX_ADDRESS);
    bytes.push(VERSION);
    bytes.extend_from_slice(id.as_bytes());
    bytes.push(addons.len() as u8);
    bytes.extend_from_slice(addons);
    bytes.push(command);
    bytes
}

/// The header in front of the answer. Without a flow its addons have no meaning.
#[derive(Clone, Copy, Debug)]
pub(super) struct ResponseHead;

impl AnswerHead for ResponseHead {
    const PRESENT: bool = true;

    fn length(&self, bytes: &[u8]) -> Result<Option<usize>, Cause> {
        let Some(&version) = bytes.first() else { return Ok(None) };
        if version != VERSION {
            return Err(Cause::Protocol("the answer is not VLESS version 0"));
        }
        let length = bytes.get(1).map(|&addons| 2 + usize::from(addons));
        Ok(length.filter(|&length| bytes.len() >= length))
    }
}
