//! Reads the opening of a stream of the 2022 edition (SIP022), with one identity header (SIP023) where the cipher has them.
//!
//! With AES the identity header says whose key follows. ChaCha20 has no such header, so each user's key is tried.

use aws_lc_rs::cipher::DecryptionContext;

use super::{
    super::{
        aead2022::{IDENTITY_CONTEXT, KeyName, Keys, MAX_SKEW, REQUEST, derive},
        aes_block::header_opening_key,
        random,
        wire::{Aead, Chunks, Sealer},
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

/// The length of an identity header, in bytes.
const IDENTITY: usize = size_of::<KeyName>();
/// Type, time and length, encrypted.
const FIXED: usize = 1 + 8 + 2 + TAG;

/// The secrets and rules of one listener.
#[derive(Debug)]
pub(super) struct Rules2022 {
    pub(super) cipher: Aead,
    /// The server's own key, which identity headers are encrypted with. ChaCha20 has none.
    pub(super) server_key: Option<Box<[u8]>>,
    /// Older requests may have been served by the process before, whose salts are not known.
    pub(super) started: u64,
    /// Tells Unix seconds.
    pub(super) clock: fn() -> u64,
}

impl Rules2022 {
    /// Whether a request with this time may be new.
    pub(super) fn is_timely(&self, time: u64) -> bool {
        time.abs_diff((self.clock)()) <= MAX_SKEW && time >= self.started
    }

    /// The keys of one user, as a server uses them.
    pub(super) fn keys(&self, own: &[u8]) -> Keys {
        Keys { cipher: self.cipher, chain: Vec::new(), own: own.into() }
    }
}

/// Reads one opening. It is asked again with the same bytes and more, and decrypts them in place.
#[derive(Default)]
pub(super) struct Opening2022 {
    fixed: Option<Fixed>,
}

/// What the header of fixed length says.
struct Fixed {
    credential: CredentialId,
    keys: Keys,
    sealer: Sealer,
    salt: Vec<u8>,
    /// Where the header of variable length begins, and how long its text is.
    from: usize,
    length: usize,
}

impl Opening2022 {
    /// The next step.
    ///
    /// # Errors
    /// Why the bytes are no client's.
    pub(super) fn step(
        &mut self,
        rules: &Rules2022,
        filter: &ReplayFilter,
        keyring: &Keyring,
        wire: &mut [u8],
    ) -> Result<Step, StrangerReason> {
        let fixed = match &mut self.fixed {
            Some(fixed) => fixed,
            None => {
                let identity = if rules.server_key.is_some() { IDENTITY } else { 0 };
                let length = rules.cipher.key_length() + identity + FIXED;
                let Some(head) = wire.get_mut(..length) else { return Ok(Step::Need(length)) };
                self.fixed.insert(open_fixed(rules, filter, keyring, head)?)
            }
        };
        let end = fixed.from + fixed.length + TAG;
        let Some(sealed) = wire.get_mut(fixed.from..end) else { return Ok(Step::Need(end)) };
        let text = fixed.sealer.open(sealed).ok_or(StrangerReason::Protocol)?;
        let (destination, payload) = read_variable(text)?;
        let fixed = self.fixed.take().ok_or(StrangerReason::Protocol)?;
        fixed.answered(rules, destination, payload.to_vec(), end).map_err(|_| StrangerReason::Protocol)
    }
}

impl Fixed {
    fn answered(
        self,
        rules: &Rules2022,
        destination: Destination,
        payload: Vec<u8>,
        used: usize,
    ) -> Result<Step, Cause> {
        let salt = random(rules.cipher.key_length());
        let ours = self.keys.sealer(&salt)?;
        let head = AnswerHead::Timed { salt, request_salt: self.salt, clock: rules.clock };
        let theirs = Chunks::new(self.sealer, usize::from(u16::MAX), None, true);
        Ok(Step::Open(Box::new(Request {
            credential: self.credential,
            destination,
            payload,
            used,
            theirs,
            head,
            ours,
        })))
    }
}

fn open_fixed(
    rules: &Rules2022,
    filter: &ReplayFilter,
    keyring: &Keyring,
    head: &mut [u8],
) -> Result<Fixed, StrangerReason> {
    let from = head.len();
    let (salt, rest) = head.split_at_mut_checked(rules.cipher.key_length()).ok_or(StrangerReason::Protocol)?;
    let opened = match &rules.server_key {
        Some(server_key) => open_identified(rules, server_key, keyring, salt, rest),
        None => open_by_trial(rules, keyring, salt, rest),
    };
    let (credential, keys, sealer, text) = opened.ok_or(StrangerReason::Credential)?;
    let [kind, time @ .., high, low] = text;
    if kind != REQUEST {
        return Err(StrangerReason::Protocol);
    }
    if !rules.is_timely(u64::from_be_bytes(time)) {
        return Err(StrangerReason::Clock);
    }
    if !filter.accept(salt, (rules.clock)()) {
        return Err(StrangerReason::Replayed);
    }
    let length = usize::from(u16::from_be_bytes([high, low]));
    Ok(Fixed { credential, keys, sealer, salt: salt.to_vec(), from, length })
}

type OpenedFixed = (CredentialId, Keys, Sealer, [u8; FIXED - TAG]);

fn open_identified(
    rules: &Rules2022,
    server_key: &[u8],
    keyring: &Keyring,
    salt: &[u8],
    rest: &mut [u8],
) -> Option<OpenedFixed> {
    let (name, sealed) = rest.split_first_chunk_mut::<IDENTITY>()?;
    let key = derive(IDENTITY_CONTEXT, server_key, salt);
    let cipher = header_opening_key(key.get(..rules.cipher.key_length())?).ok()?;
    cipher.decrypt(name, DecryptionContext::None).ok()?;
    let credential = keyring.find(name)?;
    open_as(rules, keyring, credential, salt, sealed)
}

fn open_by_trial(rules: &Rules2022, keyring: &Keyring, salt: &[u8], sealed: &[u8]) -> Option<OpenedFixed> {
    // A key that does not fit may leave anything in the buffer.
    let open = |(credential, _)| open_as(rules, keyring, credential, salt, &mut sealed.to_vec());
    tried(keyring).find_map(open)
}

fn open_as(
    rules: &Rules2022,
    keyring: &Keyring,
    credential: CredentialId,
    salt: &[u8],
    sealed: &mut [u8],
) -> Option<OpenedFixed> {
    let keys = rules.keys(keyring.psk(credential));
    let mut sealer = keys.sealer(salt).ok()?;
    let text = *sealer.open(sealed)?.first_chunk()?;
    Some((credential, keys, sealer, text))
}

/// Reads | address | padding length 2 | padding | payload |. Padding or payload must be there.
fn read_variable(text: &[u8]) -> Result<(Destination, &[u8]), StrangerReason> {
    let (destination, used) = destination(text)?.ok_or(StrangerReason::Protocol)?;
    let rest = text.get(used..).and_then(|rest| rest.split_first_chunk()).ok_or(StrangerReason::Protocol)?;
    let (length, rest) = rest;
    let padding = usize::from(u16::from_be_bytes(*length));
    let payload = rest.get(padding..).ok_or(StrangerReason::Protocol)?;
    if padding == 0 && payload.is_empty() {
        return Err(StrangerReason::Protocol);
    }
    Ok((destination, payload))
}
