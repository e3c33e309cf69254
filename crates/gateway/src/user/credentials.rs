//! What a user's clients show to an encrypted inbound: derived from the user's key, the protocol and the name of the link.

use hezar_engine::server::{CredentialId, InboundKey, KeyringKind};
use uuid::Builder;

use super::{User, UserKey};
use crate::inbound_settings::{InboundProtocol, encode};

/// The context of the derivation (BLAKE3, mode `derive_key`). Another one makes other credentials of every key.
const CONTEXT: &str = "hezar 2026 inbound credential v1";
/// The same for the numbers of credentials, which no client sees.
const NUMBER: &str = "hezar 2026 number of a credential";
/// The bytes behind a password, which has 24 characters in base64url.
const PASSWORD_BYTES: usize = 18;

impl InboundProtocol {
    /// How its clients show their credentials.
    #[must_use]
    pub const fn keyring_kind(&self) -> KeyringKind {
        match self {
            Self::Shadowsocks(shadowsocks) if shadowsocks.method.has_identities() => KeyringKind::Shadowsocks2022,
            Self::Shadowsocks(_) => KeyringKind::Shadowsocks,
            Self::Trojan => KeyringKind::Trojan,
            Self::Vless => KeyringKind::Vless,
            Self::Hysteria2(_) => KeyringKind::Hysteria2,
            Self::AnyTls => KeyringKind::AnyTls,
        }
    }

    /// What is derived separately: a credential that leaks at one protocol opens no other one.
    const fn label(&self) -> &'static str {
        match self {
            Self::Shadowsocks(shadowsocks) => shadowsocks.method.name(),
            other => other.kind().name(),
        }
    }
}

/// The credential of a link at listeners of a protocol: the bytes of a version 4 UUID for VLESS, of a pre-shared key for
/// Shadowsocks 2022, and else those of a password of 24 characters. The link without a name is the empty text.
#[must_use]
pub fn credential(protocol: &InboundProtocol, key: &UserKey, link: &str) -> InboundKey {
    let mut hasher = blake3::Hasher::new_derive_key(CONTEXT);
    hasher.update(key.bytes());
    for part in [protocol.label(), link] {
        hasher.update(&(part.len() as u64).to_le_bytes()).update(part.as_bytes());
    }
    let mut derived = hasher.finalize_xof();
    let mut bytes = |length: usize| {
        let mut bytes = vec![0; length];
        derived.fill(&mut bytes);
        bytes
    };
    match protocol {
        InboundProtocol::Vless => {
            let mut uuid = [0; 16];
            uuid.copy_from_slice(&bytes(16));
            InboundKey::new(Builder::from_random_bytes(uuid).into_uuid().into_bytes())
        }
        InboundProtocol::Shadowsocks(shadowsocks) => match shadowsocks.method.key_length() {
            Some(length) => InboundKey::new(bytes(length)),
            None => password(&bytes(PASSWORD_BYTES)),
        },
        InboundProtocol::Trojan | InboundProtocol::Hysteria2(_) | InboundProtocol::AnyTls => {
            password(&bytes(PASSWORD_BYTES))
        }
    }
}

fn password(bytes: &[u8]) -> InboundKey {
    InboundKey::new(encode(bytes).into_bytes())
}

impl User {
    /// The user's credential by one of its links; `None` when the user has no key, and so cannot use encrypted listeners.
    #[must_use]
    pub fn credential(&self, protocol: &InboundProtocol, link: &str) -> Option<InboundKey> {
        match (protocol, self.uuid) {
            (InboundProtocol::Vless, Some(uuid)) if link.is_empty() => {
                Some(InboundKey::new(uuid.expose().into_bytes()))
            }
            _ => self.key.as_ref().map(|key| credential(protocol, key, link)),
        }
    }

    /// The number of the credential by one of its links: the same for as long as the user has the same name and key. It is a hash, so
    /// that connections which are open while other users come and go name nobody else by it.
    pub(crate) fn credential_id(&self, link: &str) -> CredentialId {
        let uuid = self.uuid.map(|uuid| uuid.expose().into_bytes());
        let uuid: &[u8] = uuid.as_ref().map_or(&[], |uuid| uuid);
        let key: &[u8] = self.key.as_ref().map_or(&[], |key| key.bytes());
        let mut hasher = blake3::Hasher::new_derive_key(NUMBER);
        for part in [self.name.as_bytes(), link.as_bytes(), key, uuid] {
            hasher.update(&(part.len() as u64).to_le_bytes()).update(part);
        }
        let hash = hasher.finalize();
        CredentialId(u64::from_le_bytes(hash.as_bytes().first_chunk().copied().unwrap_or_default()))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use hezar_core::settings::{Given, SettingValue};

    use super::*;
    use crate::inbound_settings::{InboundHysteria2, InboundShadowsocks, ShadowsocksMethod};

    fn protocols() -> Vec<InboundProtocol> {
        let shadowsocks = |method| InboundProtocol::Shadowsocks(InboundShadowsocks { method, key: None });
        let others = [
            InboundProtocol::Trojan,
            InboundProtocol::Vless,
            InboundProtocol::AnyTls,
            InboundProtocol::Hysteria2(InboundHysteria2::default()),
        ];
        others.into_iter().chain(ShadowsocksMethod::ALL.map(shadowsocks)).collect()
    }

    #[test]
    fn each_link_of_each_protocol_has_a_credential_of_its_own() {
        let mut seen = HashSet::new();
        let keys = [UserKey::new([1; 32]), UserKey::new([2; 32])];
        for key in &keys {
            for protocol in protocols() {
                for link in ["", "germany", "germany "] {
                    let credential = credential(&protocol, key, link);
                    assert!(seen.insert(credential.expose().to_vec()), "{protocol:?} {link}");
                }
            }
        }
    }

    /// Links that are given out must stay good: these were made by the `blake3` crate alone.
    #[test]
    fn the_derivation_never_changes() {
        let key = UserKey::new(std::array::from_fn(|index| u8::try_from(index).unwrap()));
        let trojan = credential(&InboundProtocol::Trojan, &key, "germany");
        assert_eq!(std::str::from_utf8(trojan.expose()).unwrap(), TROJAN_OF_GERMANY);
        let vless = credential(&InboundProtocol::Vless, &key, "");
        assert_eq!(uuid::Uuid::from_slice(vless.expose()).unwrap().to_string(), VLESS);
    }

    const TROJAN_OF_GERMANY: &str = "vS8YBxkaL-FmC0d9dhuVI9zE";
    const VLESS: &str = "221a1cc7-e56f-47a6-a986-38836436be91";

    #[test]
    fn the_lengths_are_those_of_the_protocols() {
        let key = UserKey::generate();
        for protocol in protocols() {
            let length = credential(&protocol, &key, "").expose().len();
            let expected = match &protocol {
                InboundProtocol::Vless => 16,
                InboundProtocol::Shadowsocks(shadowsocks) => shadowsocks.method.key_length().unwrap_or(24),
                _ => 24,
            };
            assert_eq!(length, expected, "{protocol:?}");
        }
        let vless = credential(&InboundProtocol::Vless, &key, "");
        assert_eq!(uuid::Uuid::from_slice(vless.expose()).unwrap().get_version_num(), 4);
    }

    #[test]
    fn a_uuid_from_elsewhere_counts_for_the_link_without_a_name_alone() {
        let text = "b831381d-6324-4d53-ad4f-8cda48b30811";
        let uuid = crate::VlessId::parse(&Given::Text(text.to_owned()), &()).unwrap();
        let mut user = User { uuid: Some(uuid), ..User::new("ali", "p") };
        let shown = |user: &User, link: &str| user.credential(&InboundProtocol::Vless, link);
        assert_eq!(shown(&user, "").unwrap().expose(), uuid.expose().as_bytes());
        assert_eq!((shown(&user, "germany"), user.credential(&InboundProtocol::Trojan, "")), (None, None));
        user.key = Some(UserKey::generate());
        assert_ne!(shown(&user, "germany").unwrap().expose(), uuid.expose().as_bytes());
    }
}
