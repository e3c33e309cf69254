//! Who may use a listener, and what each of them may do there.

use hezar_core::{Secret, Timestamp, settings, settings::ByteCount};

mod credentials;
mod default_options;
mod hosts;
mod key;
mod link;
mod password;
mod ports;
mod quota;
mod rules;
#[cfg(test)]
mod tests;

pub use credentials::credential;
pub use default_options::DefaultOptions;
pub use hosts::HostPatterns;
pub use key::{UserKey, VlessId};
pub use link::{MOST_USER_LINKS, UserLink};
pub use password::{PasswordError, PasswordHash};
pub use ports::PortSet;
pub use quota::Quota;
pub use rules::AccessRules;
pub(crate) use rules::Permissions;

settings! {
    /// The limits of one user or one client; absent = none.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Limits in "limits" {
        /// Requests and tunnels open at a time.
        pub connections: Option<u32> [1..=1_000_000] = None;
        /// Requests begun per second; a second's worth may come at once.
        pub requests as "requests_per_second": Option<u32> [1..=1_000_000] = None;
        /// Bytes per second, both directions together; what comes faster waits.
        pub bytes as "bytes_per_second": Option<ByteCount> [1024..=1 << 40] = None;
    }
}

impl Limits {
    /// Whether nothing is limited.
    #[must_use]
    pub const fn none(&self) -> bool {
        self.connections.is_none() && self.requests.is_none() && self.bytes.is_none()
    }
}

settings! {
    /// Somebody who may use the proxy.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct User in "user" {
        /// The name, which no other user has; options may follow it after a hyphen when a client logs in.
        pub name: Box<str> [1..=64] = "".into();
        /// The password, of 1 to 255 bytes; or password_hash.
        pub password: Option<Secret> = None;
        /// The password as an argon2id hash in the PHC form (`$argon2id$v=19$…`), instead of password.
        pub password_hash: Option<PasswordHash> = None;
        /// The key from which everything derives that the user's clients show to encrypted listeners; without one the user cannot use them.
        pub key: Option<UserKey> = None;
        /// The UUID of the link without a name at VLESS listeners, where the user had one before; absent = it derives from `key`.
        pub uuid: Option<VlessId> = None;
        /// False: the user is refused, and what it has open ends.
        pub enabled: bool = true;
        /// From then on the user is refused, and what it has open ends.
        pub expires: Option<Timestamp> = None;
        /// The listeners that the user may use, `proxy` for the first one; empty = all.
        pub listeners: Vec<String> = Vec::new();
        /// Only exits in one of these countries; empty = all.
        pub countries: Vec<[u8; 2]> = Vec::new();
        /// Options that hold unless the user name says otherwise, such as `country-de-sesstime-30`.
        pub options: DefaultOptions = DefaultOptions::default();
        /// A remark for people.
        pub note: Option<String> = None;
    } and {
        /// What the user may have at a time.
        pub limits: Limits = Limits::default();
        /// How many bytes the user may move.
        pub quota: Quota = Quota::default();
        /// Where the user may go; a rule that is absent here is the listener's.
        pub rules: AccessRules = AccessRules::default();
        /// Further links for encrypted listeners.
        pub links: Vec<UserLink> = Vec::new();
    }
}

impl User {
    /// A user with a password and without limits.
    #[must_use]
    pub fn new(name: impl Into<Box<str>>, password: impl Into<Secret>) -> Self {
        Self { name: name.into(), password: Some(password.into()), ..Self::default() }
    }

    /// The same user with limits.
    #[must_use]
    pub fn with_limits(self, limits: Limits) -> Self {
        Self { limits, ..self }
    }

    /// Whether the listener of this name is one that the user may use.
    #[must_use]
    pub fn may_use(&self, listener: &str) -> bool {
        self.listeners.is_empty() || self.listeners.iter().any(|name| name == listener)
    }

    /// Whether the user has credentials of encrypted listeners.
    #[must_use]
    pub const fn has_key(&self) -> bool {
        self.key.is_some() || self.uuid.is_some()
    }

    /// Whether a password can be right.
    #[must_use]
    pub fn has_password(&self) -> bool {
        self.password_hash.is_some() || self.password.as_ref().is_some_and(|password| !password.is_empty())
    }
}
