//! Who has which credential of an encrypted listener.

use std::{collections::hash_map::Entry, fmt, net::IpAddr, sync::Arc};

use ahash::{AHashMap, AHashSet};
use hezar_engine::server::{CredentialId, Keyring};

use super::{Identity, client_key, login::KnownUser};
use crate::{GatewayConfig, InboundConfig, InboundProtocol, LinkSession, User, UserLink, UserOptions};

/// The context of the hash that names the session of one client address (BLAKE3, mode `derive_key`).
const CLIENT_SESSION: &str = "hezar 2026 session of a client address";

/// The credentials of one listener, made of its settings.
pub(crate) struct CredentialTable {
    config: Arc<GatewayConfig>,
    keyring: Arc<Keyring>,
    places: Arc<AHashMap<CredentialId, Place>>,
}

/// Where a credential belongs.
#[derive(Clone, Copy)]
struct Place {
    user: usize,
    /// The link; absent = the one without a name, which every user with a key has.
    link: Option<usize>,
}

/// Somebody who has shown a credential.
pub(crate) struct Holder {
    known: KnownUser,
    link: Option<usize>,
}

impl CredentialTable {
    /// The credentials of all users of a listener. Whether each of them may come in now is asked for every request. What `before`
    /// has is used again when the same users have the same credentials: making them takes about a microsecond for each.
    pub(crate) fn new(config: &Arc<GatewayConfig>, inbound: &InboundConfig, before: Option<&Self>) -> Self {
        if let Some(before) = before.filter(|before| before.has_same_credentials(config)) {
            let (keyring, places) = (before.keyring.clone(), before.places.clone());
            return Self { config: config.clone(), keyring, places };
        }
        let mut places = AHashMap::new();
        let mut keys = Vec::new();
        for (index, user) in config.users.iter().enumerate() {
            for (link, name) in open_links(user) {
                let Some(key) = user.credential(&inbound.protocol, name) else { continue };
                let id = user.credential_id(name);
                // Two with one number would be taken for each other.
                if let Entry::Vacant(place) = places.entry(id) {
                    place.insert(Place { user: index, link });
                    keys.push((id, key));
                }
            }
        }
        let keyring = Arc::new(Keyring::new(inbound.protocol.keyring_kind(), keys));
        Self { config: config.clone(), keyring, places: Arc::new(places) }
    }

    /// Whether a listener with these settings has the same users in the same places with the same credentials.
    fn has_same_credentials(&self, config: &GatewayConfig) -> bool {
        let mut users = self.config.users.iter().zip(&config.users);
        protocol(&self.config) == protocol(config)
            && self.config.users.len() == config.users.len()
            && users.all(|(before, now)| {
                before.name == now.name && has_same_key(before, now) && links(before).eq(links(now))
            })
    }

    /// The settings that it is made of.
    pub(crate) const fn config(&self) -> &Arc<GatewayConfig> {
        &self.config
    }

    /// What tells the credentials apart.
    pub(crate) const fn keyring(&self) -> &Arc<Keyring> {
        &self.keyring
    }

    /// The users with a credential that counted before and counts no more: their key was made anew, or a link of theirs is gone. Users who
    /// are gone themselves are not among them.
    pub(crate) fn users_with_lost_credentials<'a>(&self, before: &'a Self) -> AHashSet<&'a str> {
        if Arc::ptr_eq(&self.keyring, &before.keyring) {
            return AHashSet::default();
        }
        let now: AHashMap<&str, &User> = self.config.users.iter().map(|user| (&*user.name, user)).collect();
        let is_meant = |user: &&User| now.get(&*user.name).is_some_and(|now| has_lost_one(user, now));
        before.config.users.iter().filter(is_meant).map(|user| &*user.name).collect()
    }

    /// Whose credential it is, by whichever table of the listener it was recognized; `None` when they have it no more.
    pub(crate) fn holder(&self, credential: CredentialId) -> Option<Holder> {
        let place = *self.places.get(&credential)?;
        Some(Holder { known: KnownUser::new(&self.config, place.user)?, link: place.link })
    }
}

/// The links by which a user may come in, first the one without a name.
fn open_links(user: &User) -> impl Iterator<Item = (Option<usize>, &str)> {
    let named = user.links.iter().enumerate().filter(|(_, link)| link.enabled);
    [(None, "")].into_iter().chain(named.map(|(at, link)| (Some(at), &*link.name)))
}

/// Whether a credential of a user's counts no more. What a user had without a key was none.
fn has_lost_one(before: &User, now: &User) -> bool {
    let is_open = |name: &str| now.links.iter().any(|link| link.enabled && *link.name == *name);
    let is_lost = |link: &UserLink| link.enabled && !is_open(&link.name);
    before.has_key() && (!has_same_key(before, now) || before.links.iter().any(is_lost))
}

fn protocol(config: &GatewayConfig) -> Option<&InboundProtocol> {
    config.inbound.as_ref().map(|inbound| &inbound.protocol)
}

/// What of a user's links decides on credentials.
fn links(user: &User) -> impl Iterator<Item = (&str, bool)> {
    user.links.iter().map(|link| (&*link.name, link.enabled))
}

/// Whether both derive their credentials from the same.
fn has_same_key(one: &User, other: &User) -> bool {
    (&one.key, one.uuid) == (&other.key, other.uuid)
}

impl Holder {
    /// Who it is and what the link asks for, for a client at this address.
    pub(crate) fn identity(self, client: IpAddr) -> Identity {
        let user = &*self.known;
        let link = self.link.and_then(|link| user.links.get(link));
        let options = link.map_or_else(|| user.options.options().clone(), |link| link_options(user, link, client));
        Identity { user: user.name.clone(), options, known: Some(self.known), ..Identity::default() }
    }
}

/// The options of a link; what it does not say is as the user's own options say.
fn link_options(user: &User, link: &UserLink, client: IpAddr) -> UserOptions {
    let mut options = link.options.options().clone().or(user.options.options());
    let session = match link.session {
        LinkSession::None => None,
        LinkSession::Link => Some(format!("link-{}", link.name)),
        LinkSession::Client => Some(client_session(client)),
    };
    // What the link's own options name is meant more exactly.
    if link.options.options().session.is_none() && session.is_some() {
        options.session = session.map(Into::into);
    }
    options
}

/// The session of one client address. It does not show the address, and is the same in every process.
fn client_session(client: IpAddr) -> String {
    let hash = blake3::derive_key(CLIENT_SESSION, client_key(client).to_string().as_bytes());
    let name: String = hash.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    format!("client-{name}")
}

impl fmt::Debug for CredentialTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CredentialTable").field("keyring", &self.keyring).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{DefaultOptions, InboundFallback, InboundTransport, UserKey};

    fn inbound() -> InboundConfig {
        InboundConfig {
            protocol: InboundProtocol::Trojan,
            transport: InboundTransport::default(),
            reality: None,
            fallback: InboundFallback::default(),
        }
    }

    fn link(name: &str, options: &str, session: LinkSession) -> UserLink {
        let options = DefaultOptions::parse_text(options).unwrap();
        UserLink { name: name.into(), options, session, enabled: true }
    }

    fn user(name: &str, links: Vec<UserLink>) -> User {
        let key = Some(UserKey::new([7; 32]));
        let options = DefaultOptions::parse_text("country-de-asn-1").unwrap();
        User { key, links, options, ..User::new(name, "p") }
    }

    fn table(users: Vec<User>) -> CredentialTable {
        after(users, None)
    }

    fn after(users: Vec<User>, before: Option<&CredentialTable>) -> CredentialTable {
        let config = GatewayConfig { users, inbound: Some(inbound()), ..GatewayConfig::default() };
        CredentialTable::new(&Arc::new(config), &inbound(), before)
    }

    /// Every credential of a table, in the order of the links.
    fn identities(table: &CredentialTable, now: &CredentialTable, client: &str) -> Vec<Option<Identity>> {
        let ids =
            table.config.users.iter().flat_map(|user| open_links(user).map(move |(_, name)| user.credential_id(name)));
        ids.map(|id| Some(now.holder(id)?.identity(client.parse().unwrap()))).collect()
    }

    #[test]
    fn each_link_has_its_own_options_and_session() {
        let links = vec![
            link("nl", "country-nl", LinkSession::None),
            link("home", "", LinkSession::Link),
            link("phone", "", LinkSession::Client),
            link("own", "session-a1", LinkSession::Link),
        ];
        let table = table(vec![user("ali", links)]);
        let found = identities(&table, &table, "192.0.2.7");
        let options: Vec<_> = found.iter().map(|identity| &identity.as_ref().unwrap().options).collect();
        let countries: Vec<_> = options.iter().map(|options| options.countries[0]).collect();
        assert_eq!(countries, [*b"DE", *b"NL", *b"DE", *b"DE", *b"DE"]);
        assert!(options.iter().all(|options| options.asn.is_some()), "what a link does not say is the user's");
        let sessions: Vec<_> = options.iter().map(|options| options.session.as_deref()).collect();
        assert_eq!((sessions[0], sessions[1], sessions[2]), (None, None, Some("link-home")));
        assert_eq!(sessions[4], Some("a1"));
        let elsewhere = identities(&table, &table, "192.0.2.8");
        assert_ne!(elsewhere[3].as_ref().unwrap().options.session.as_deref(), sessions[3]);
        assert!(!sessions[3].unwrap().contains("192"), "{sessions:?}");
    }

    #[test]
    fn a_credential_of_older_settings_counts_while_its_user_has_it() {
        let links = vec![link("nl", "", LinkSession::None)];
        let before = table(vec![user("ali", links.clone()), user("sara", Vec::new())]);
        let names = |now: &CredentialTable| -> Vec<Option<Box<str>>> {
            identities(&before, now, "192.0.2.7").into_iter().map(|found| found.map(|identity| identity.user)).collect()
        };
        let (ali, sara) = (Some("ali".into()), Some("sara".into()));
        assert_eq!(names(&before), [ali.clone(), ali.clone(), sara.clone()]);
        let others = table(vec![user("new", links.clone()), user("ali2", links.clone()), user("omid", Vec::new())]);
        assert_eq!(names(&others), [None, None, None], "with the same key, but by other names");
        let moved = table(vec![user("new", Vec::new()), user("sara", Vec::new()), user("ali", links.clone())]);
        assert_eq!(names(&moved), [ali.clone(), ali.clone(), sara.clone()]);
        let removed = table(vec![user("ali", links.clone())]);
        assert_eq!(names(&removed), [ali.clone(), ali.clone(), None]);
        let without_link = table(vec![user("ali", Vec::new()), user("sara", Vec::new())]);
        assert_eq!(names(&without_link), [ali.clone(), None, sara.clone()]);
        let switched_off = UserLink { enabled: false, ..links[0].clone() };
        assert_eq!(names(&table(vec![user("ali", vec![switched_off])])), [ali, None, None]);
        let other_key = User { key: Some(UserKey::new([8; 32])), ..user("ali", links) };
        assert_eq!(names(&table(vec![other_key])), [None, None, None]);
    }

    #[test]
    fn who_has_lost_a_credential_is_known() {
        let links = vec![link("nl", "", LinkSession::None)];
        let before = table(vec![user("ali", links.clone()), user("sara", Vec::new()), User::new("omid", "p")]);
        let lost = |users: Vec<User>| {
            let mut lost: Vec<_> = table(users).users_with_lost_credentials(&before).into_iter().collect();
            lost.sort_unstable();
            lost
        };
        assert!(before.users_with_lost_credentials(&before).is_empty());
        assert!(lost(vec![user("sara", Vec::new()), user("ali", links.clone())]).is_empty(), "another order");
        assert!(
            lost(vec![user("sara", links.clone()), user("omid", links.clone())]).is_empty(),
            "one is gone, and two have more"
        );
        let off = vec![UserLink { enabled: false, ..links[0].clone() }];
        assert_eq!(lost(vec![user("ali", off), user("sara", Vec::new())]), ["ali"]);
        assert_eq!(
            lost(vec![user("ali", Vec::new()), User { key: None, ..user("sara", Vec::new()) }]),
            ["ali", "sara"]
        );
        let other_key = User { key: Some(UserKey::new([8; 32])), ..user("sara", Vec::new()) };
        assert_eq!(lost(vec![user("ali", links.clone()), other_key]), ["sara"]);
    }

    #[test]
    fn credentials_are_made_anew_only_when_they_change() {
        let links = vec![link("nl", "country-nl", LinkSession::None)];
        let before = table(vec![user("ali", links.clone())]);
        let reused = |users: Vec<User>| Arc::ptr_eq(&before.keyring, &after(users, Some(&before)).keyring);
        let other_options = vec![link("nl", "country-us", LinkSession::Link)];
        assert!(reused(vec![User { enabled: false, ..user("ali", other_options.clone()) }]));
        let now = after(vec![user("ali", other_options)], Some(&before));
        let found = identities(&now, &now, "192.0.2.7");
        assert_eq!(found[1].as_ref().unwrap().options.countries, [*b"US"], "the options are those of now");
        let renamed = vec![link("us", "country-nl", LinkSession::None)];
        let off = vec![UserLink { enabled: false, ..links[0].clone() }];
        for changed in [
            vec![user("ali", renamed)],
            vec![user("ali", off)],
            vec![User { key: Some(UserKey::new([8; 32])), ..user("ali", links.clone()) }],
            vec![user("ali", links.clone()), user("sara", Vec::new())],
            Vec::new(),
        ] {
            assert!(!reused(changed));
        }
    }

    #[test]
    fn a_user_without_a_key_has_no_credential() {
        let table = table(vec![User::new("ali", "p")]);
        assert!(table.keyring().is_empty() && table.places.is_empty());
    }
}
