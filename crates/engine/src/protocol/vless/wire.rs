//! The bytes of VLESS version 0 (xtls.github.io/en/development/protocols/vless.html).
//!
//! ```text
//! request: | version 0 | user id | length m | addons | command | port | ATYP | address | payload …
//!          |     1     |   16    |    1     |   m    |    1    |  2   |  1   |   var   |
//! answer:  | version 0 | length n | addons | payload …
//!          |     1     |    1     |   n    |
//! ```

use hezar_core::Target;
use uuid::Uuid;

use crate::{
    Cause,
    protocol::{
        address::{MAX_ADDRESS, put_v2ray},
        headed::AnswerHead,
    },
};

const VERSION: u8 = 0;
/// Open a TCP stream.
const CONNECT: u8 = 1;

/// The request for a TCP stream to `target`, without addons.
pub(super) fn request(id: &Uuid, target: &Target) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(1 + 16 + 1 + 1 + MAX_ADDRESS);
    bytes.push(VERSION);
    bytes.extend_from_slice(id.as_bytes());
    bytes.push(0);
    bytes.push(CONNECT);
    put_v2ray(target, &mut bytes);
    bytes
}

/// The header in front of the answer. Its addons mean nothing without a flow.
#[derive(Clone, Copy, Debug)]
pub(super) struct Answer;

impl AnswerHead for Answer {
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
