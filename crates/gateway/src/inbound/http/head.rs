//! Waits for the first head of a connection, bounded in size and time, before HTTP begins.

use hezar_engine::http::head_end;

use crate::{Refusal, inbound::ClientBuffer};

/// Waits until a whole head has arrived, or so much that it is refused (it stays in the buffer).
///
/// # Errors
/// [`Refusal::ClientTimeout`], [`Refusal::ClientGone`].
pub(super) async fn wait_for_head(buffer: &mut ClientBuffer, limit: usize) -> Result<(), Refusal> {
    let mut searched = 0;
    loop {
        if searched == 0 {
            // A blank line before the request is allowed (RFC 9112 §2.2).
            let blank = buffer.bytes().iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
            buffer.skip(blank);
        }
        let bytes = buffer.bytes();
        let is_none = bytes.first().is_some_and(|byte| !byte.is_ascii_alphabetic());
        if is_none || bytes.len() > limit || head_end(bytes, searched).is_some() {
            return Ok(());
        }
        searched = bytes.len();
        buffer.read_more().await?;
    }
}
