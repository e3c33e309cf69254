//! What the readers of both editions give: the next step of a request's opening.

use hezar_core::Target;

use super::{
    super::wire::{Chunks, Sealer},
    codec::AnswerHead,
};
use crate::{
    protocol::address::take_socks,
    served::{CredentialId, StrangerReason},
};

/// The next step.
pub(super) enum Step {
    /// Nothing can be said before so many bytes are there.
    Need(usize),
    /// The request is whole.
    Open(Box<Request>),
}

/// A request that has opened.
pub(super) struct Request {
    pub(super) credential: CredentialId,
    pub(super) target: Target,
    /// The payload that came with the target.
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

/// The target in front of a decrypted text and its length; `None` while it is incomplete.
pub(super) fn target(text: &[u8]) -> Result<Option<(Target, usize)>, StrangerReason> {
    match take_socks(text) {
        Ok(Some((Some(target), used))) => Ok(Some((target, used))),
        Ok(None) => Ok(None),
        Ok(Some((None, _))) | Err(_) => Err(StrangerReason::Protocol),
    }
}
