//! The credentials of one inbound: who is it that shows these bytes.

use std::{
    collections::{HashMap, HashSet},
    fmt,
};

use aws_lc_rs::digest::{SHA224, SHA256, digest};

use super::{CredentialId, StrangerReason};

/// How clients show a key: what [`Keyring::find`] is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyringKind {
    /// The 16 bytes of a UUID, as they are.
    Vless,
    /// A password: the SHA-224 of it in 56 hexadecimal digits.
    Trojan,
    /// A password: the SHA-256 of it, 32 bytes.
    AnyTls,
    /// A password, as it is.
    Hysteria2,
    /// A pre-shared key: the first 16 bytes of its BLAKE3 (SIP023).
    Shadowsocks2022,
    /// A password, which is never shown: whoever serves tries all of them ([`Keyring::iter`]).
    Shadowsocks,
}

impl KeyringKind {
    /// What a client with this key shows.
    fn shown(self, key: &[u8]) -> Vec<u8> {
        match self {
            Self::Vless | Self::Hysteria2 | Self::Shadowsocks => key.to_vec(),
            Self::Trojan => hex::encode(digest(&SHA224, key)).into_bytes(),
            Self::AnyTls => digest(&SHA256, key).as_ref().to_vec(),
            Self::Shadowsocks2022 => blake3::hash(key).as_bytes().iter().copied().take(16).collect(),
        }
    }

    /// How many of the first bytes are told apart from those of strangers at once. Digits of Trojan hold four bits each.
    const fn prefix(self) -> usize {
        match self {
            Self::Trojan => 8,
            _ => 4,
        }
    }

    /// Whether the key itself is needed later.
    const fn keeps_keys(self) -> bool {
        matches!(self, Self::Shadowsocks2022 | Self::Shadowsocks)
    }
}

/// What a user has of one inbound: the 16 bytes of a UUID, the bytes of a password, or a pre-shared key.
#[derive(Clone, PartialEq, Eq)]
pub struct InboundKey(Box<[u8]>);

impl InboundKey {
    /// Wraps the bytes.
    pub fn new(bytes: impl Into<Box<[u8]>>) -> Self {
        Self(bytes.into())
    }

    /// The bytes themselves, for the wire or for a link.
    #[must_use]
    pub const fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for InboundKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("InboundKey(…)")
    }
}

/// The keyed hash of what is shown.
type Fingerprint = [u8; 16];

/// The credentials of one inbound. What is shown is looked up by a hash under a key of this process, so that the time of a
/// look-up says nothing about the credentials.
pub struct Keyring {
    kind: KeyringKind,
    secret: [u8; 32],
    shown: HashMap<Fingerprint, CredentialId>,
    prefixes: HashSet<Box<[u8]>>,
    /// In the order in which they were given.
    keys: Vec<(CredentialId, Box<[u8]>)>,
    /// Where in `keys` the key of a credential is.
    places: HashMap<CredentialId, usize>,
}

impl Keyring {
    /// A keyring of these keys. Of two that are the same, the first one counts.
    pub fn new(kind: KeyringKind, keys: impl IntoIterator<Item = (CredentialId, InboundKey)>) -> Self {
        let mut keyring = Self {
            kind,
            secret: rand::random(),
            shown: HashMap::new(),
            prefixes: HashSet::new(),
            keys: Vec::new(),
            places: HashMap::new(),
        };
        for (credential, InboundKey(key)) in keys {
            let shown = kind.shown(&key);
            let fingerprint = keyring.fingerprint(&shown);
            keyring.shown.entry(fingerprint).or_insert(credential);
            keyring.prefixes.insert(shown.iter().copied().take(kind.prefix()).collect());
            if kind.keeps_keys() {
                keyring.places.insert(credential, keyring.keys.len());
                keyring.keys.push((credential, key));
            }
        }
        keyring
    }

    /// Whose credential it is that a client shows.
    #[must_use]
    pub fn find(&self, shown: &[u8]) -> Option<CredentialId> {
        self.shown.get(&self.fingerprint(shown)).copied()
    }

    /// Whether what a client shows may begin so. Fewer bytes than are told apart may always.
    pub(super) fn may_begin_with(&self, prefix: &[u8]) -> bool {
        prefix.get(..self.kind.prefix()).is_none_or(|prefix| self.prefixes.contains(prefix))
    }

    /// Whose credential the first `length` bytes of a connection show; `None` while they are incomplete. Bytes with which no credential
    /// begins are known at once: a site would already be answering them.
    ///
    /// # Errors
    /// [`StrangerReason::Credential`] when nobody has it.
    pub(crate) fn identify(&self, bytes: &[u8], length: usize) -> Result<Option<CredentialId>, StrangerReason> {
        let shown = bytes.get(..length).unwrap_or(bytes);
        if !self.may_begin_with(shown) {
            return Err(StrangerReason::Credential);
        }
        if shown.len() < length {
            return Ok(None);
        }
        self.find(shown).map(Some).ok_or(StrangerReason::Credential)
    }

    /// The key behind a credential, of the kinds whose keys are needed later (Shadowsocks); else nothing.
    #[must_use]
    pub fn psk(&self, credential: CredentialId) -> &[u8] {
        let key = self.places.get(&credential).and_then(|at| self.keys.get(*at));
        key.map(|(_, key)| &**key).unwrap_or_default()
    }

    /// All keys in the order in which they were given, of the kinds whose keys are needed later (Shadowsocks).
    pub fn iter(&self) -> impl Iterator<Item = (CredentialId, &[u8])> {
        self.keys.iter().map(|(credential, key)| (*credential, &**key))
    }

    /// How many different credentials there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.shown.len()
    }

    /// Whether nobody has a credential.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.shown.is_empty()
    }

    fn fingerprint(&self, shown: &[u8]) -> Fingerprint {
        let hash = blake3::keyed_hash(&self.secret, shown);
        hash.as_bytes().first_chunk().copied().unwrap_or_default()
    }
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keyring").field("kind", &self.kind).field("credentials", &self.len()).finish_non_exhaustive()
    }
}
