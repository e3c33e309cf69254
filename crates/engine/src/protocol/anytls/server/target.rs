//! What a stream of a client is for: its first bytes say it.

use hezar_core::Target;

use crate::{
    Cause,
    protocol::{
        address::take_socks,
        uot::{self, Uot},
    },
};

/// What a stream is for.
pub(super) enum Asked {
    /// A stream to this target.
    Stream(Target),
    /// Datagrams, framed so.
    Datagrams(Uot),
}

/// Reads what a stream is for from its first bytes; `None` while they are incomplete.
///
/// # Errors
/// [`Cause::Protocol`] when it is for nothing that can be.
pub(super) fn take_target(bytes: &[u8]) -> Result<Option<(Asked, usize)>, Cause> {
    let Some(is_magic) = uot::is_magic(bytes) else { return Ok(None) };
    let Some((target, length)) = take_socks(bytes)? else { return Ok(None) };
    if is_magic {
        let read = uot::take_request(bytes.get(length..).unwrap_or_default())?;
        return Ok(read.map(|(codec, more)| (Asked::Datagrams(codec), length + more)));
    }
    let target = target.ok_or(Cause::Protocol("an address that is none"))?;
    Ok(Some((Asked::Stream(target), length)))
}
