//! Users and limits: who may use a listener, and how much at a time.

use hezar_core::{Secret, Timestamp, settings, settings::ByteCount};

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

/// The range of quotas in bytes: from 1 MiB to 1 PiB.
const QUOTA: std::ops::RangeInclusive<u64> = 1 << 20..=1 << 50;

settings! {
    /// How many bytes a user may move, both directions together; absent = any number.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Quota in "quota" {
        /// On one day of UTC.
        pub day: Option<ByteCount> [QUOTA] = None;
        /// In one calendar month of UTC.
        pub month: Option<ByteCount> [QUOTA] = None;
        /// In all.
        pub total: Option<ByteCount> [QUOTA] = None;
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
        pub password_hash: Option<Secret> = None;
        /// False: the user is refused, and what it has open ends.
        pub enabled: bool = true;
        /// From then on the user is refused.
        pub expires: Option<Timestamp> = None;
        /// The listeners that the user may use, `proxy` for the first one; empty = all.
        pub listeners: Vec<String> = Vec::new();
        /// Only exits in one of these countries; empty = all.
        pub countries: Vec<[u8; 2]> = Vec::new();
        /// Options that hold unless the user name says otherwise, such as `country-de-sesstime-30`.
        pub options: Option<String> = None;
        /// A remark for people.
        pub note: Option<String> = None;
    } and {
        /// What the user may have at a time.
        pub limits: Limits = Limits::default();
        /// How many bytes the user may move.
        pub quota: Quota = Quota::default();
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
}
