//! What the readers of both editions give: the next step of a request's opening.

use hezar_core::Target;

use super::{
    super::wire::{Chunks, Sealer},
    codec::AnswerHead,
};
use crate::{
    protocol::{address::take_socks, uot},
    served::{CredentialId, StrangerReason},
};

/// The next step.
pub(super) enum Step {
    /// Nothing can be said before so many bytes are there.
    Need(usize),
    /// The request is whole.
    Open(Box<Request>),
}

/// What a client wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Destination {
    /// A stream to a target.
    Stream(Target),
    /// Datagrams inside the stream, in the format of sing-box.
    Datagrams,
}

/// A request that has opened.
pub(super) struct Request {
    pub(super) credential: CredentialId,
    pub(super) destination: Destination,
    /// The payload that came with the destination.
    pub(super) payload: Vec<u8>,
    /// How many of the received bytes are used up.
    pub(super) used: usize,
    /// Decrypts what follows them.
    pub(super) theirs: Chunks,
    /// How the answer begins.
    pub(super) head: AnswerHead,
    /// Encrypts the answer.
    pub(super) ours: Sealer,
}

/// The destination in front of a decrypted text and its length; `None` while it is incomplete.
pub(super) fn destination(text: &[u8]) -> Result<Option<(Destination, usize)>, StrangerReason> {
    match take_socks(text) {
        Ok(Some((_, used))) if uot::is_magic(text) == Some(true) => Ok(Some((Destination::Datagrams, used))),
        Ok(Some((Some(target), used))) => Ok(Some((Destination::Stream(target), used))),
        Ok(None) => Ok(None),
        Ok(Some((None, _))) | Err(_) => Err(StrangerReason::Protocol),
    }
}
