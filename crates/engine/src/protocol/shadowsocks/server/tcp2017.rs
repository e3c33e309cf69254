//! Reads the opening of a stream of the 2017 edition. Nothing in it says who sends it, so each user's key is tried.

use super::{
    super::{
        aead2017::session_key,
        random,
        wire::{Aead, Chunks, MAX_PAYLOAD, SEALED_LENGTH, Sealer, password_key},
    },
    codec::AnswerHead,
    opening::{Destination, Request, Step, destination},
    salts::ReplayFilter,
    tried,
};
use crate::{
    Cause,
    io::aead::TAG,
    served::{CredentialId, Keyring, StrangerReason},
};

/// The target must be whole after so many bytes; clients send it in one chunk.
const MOST: usize = 64 * 1024;

/// Reads one opening. It is asked again with the same bytes and more, and decrypts them in place.
#[derive(Default)]
pub(super) struct Opening2017 {
    known: Option<Known>,
}

/// A client whose first length has opened.
struct Known {
    credential: CredentialId,
    key: Vec<u8>,
    sealer: Sealer,
    /// How many bytes are used up.
    used: usize,
    /// The length of the payload that comes next, if its length was read.
    due: Option<usize>,
    text: Vec<u8>,
}

impl Opening2017 {
    /// The next step; `now` in Unix seconds.
    ///
    /// # Errors
    /// Why the bytes are no client's.
    pub(super) fn step(
        &mut self,
        cipher: Aead,
        filter: &ReplayFilter,
        keyring: &Keyring,
        wire: &mut [u8],
        now: u64,
    ) -> Result<Step, StrangerReason> {
        let known = match &mut self.known {
            Some(known) => known,
            None => {
                let length = cipher.key_length() + SEALED_LENGTH;
                let Some(head) = wire.get(..length) else { return Ok(Step::Need(length)) };
                let (salt, sealed) = head.split_at(cipher.key_length());
                let known = find(cipher, keyring, salt, sealed).ok_or(StrangerReason::Credential)?;
                if !filter.accept(salt, now) {
                    return Err(StrangerReason::Replayed);
                }
                self.known.insert(known)
            }
        };
        loop {
            if let Some(need) = known.open(wire)? {
                return Ok(Step::Need(need));
            }
            let Some((destination, used)) = destination(&known.text)? else {
                if known.used > MOST {
                    return Err(StrangerReason::Protocol);
                }
                continue;
            };
            let known = self.known.take().ok_or(StrangerReason::Protocol)?;
            let payload = known.text.get(used..).unwrap_or_default().to_vec();
            return known.answered(cipher, filter, destination, payload, now).map_err(|_| StrangerReason::Protocol);
        }
    }
}

impl Known {
    /// Decrypts one chunk. Returns how many bytes are needed when it is not whole yet.
    fn open(&mut self, wire: &mut [u8]) -> Result<Option<usize>, StrangerReason> {
        if self.due.is_none() {
            let end = self.used + SEALED_LENGTH;
            let Some(sealed) = wire.get_mut(self.used..end) else { return Ok(Some(end)) };
            let text = self.sealer.open(sealed).ok_or(StrangerReason::Protocol)?;
            (self.due, self.used) = (Some(length(text)?), end);
        }
        let due = self.due.unwrap_or_default();
        let end = self.used + due + TAG;
        let Some(sealed) = wire.get_mut(self.used..end) else { return Ok(Some(end)) };
        let text = self.sealer.open(sealed).ok_or(StrangerReason::Protocol)?;
        self.text.extend_from_slice(text);
        (self.due, self.used) = (None, end);
        Ok(None)
    }

    fn answered(
        self,
        cipher: Aead,
        filter: &ReplayFilter,
        destination: Destination,
        payload: Vec<u8>,
        now: u64,
    ) -> Result<Step, Cause> {
        let salt = random(cipher.key_length());
        // Both directions use the same key: our own answer, sent to us, would open as a request.
        filter.accept(&salt, now);
        let ours = Sealer::new(cipher, &session_key(&self.key, &salt)?)?;
        let theirs = Chunks::new(self.sealer, MAX_PAYLOAD, None, true);
        let head = AnswerHead::Salt(salt);
        let (credential, used) = (self.credential, self.used);
        Ok(Step::Open(Box::new(Request { credential, destination, payload, used, theirs, head, ours })))
    }
}

fn length(text: &[u8]) -> Result<usize, StrangerReason> {
    let length = text.first_chunk().map_or(usize::MAX, |bytes| usize::from(u16::from_be_bytes(*bytes)));
    if length > MAX_PAYLOAD { Err(StrangerReason::Protocol) } else { Ok(length) }
}

/// The client whose key opens the length of the first chunk.
fn find(cipher: Aead, keyring: &Keyring, salt: &[u8], sealed: &[u8]) -> Option<Known> {
    tried(keyring).find_map(|(credential, password)| {
        let key = password_key(password, cipher.key_length());
        let mut sealer = Sealer::new(cipher, &session_key(&key, salt).ok()?).ok()?;
        // A key that does not fit may leave anything in the buffer.
        let mut sealed = sealed.to_vec();
        let due = length(sealer.open(&mut sealed)?).ok()?;
        let used = salt.len() + SEALED_LENGTH;
        Some(Known { credential, key, sealer, used, due: Some(due), text: Vec::new() })
    })
}
