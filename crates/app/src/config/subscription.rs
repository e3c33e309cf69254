//! `[[subscription]]`: addresses at which clients read the nodes that work.

use std::time::Duration;

use hezar_core::{Secret, settings};

use super::{Config, listener::TagFilter, section::Section};

/// The most subscriptions: the token of a request is compared with each of theirs.
const MOST: usize = 1000;
/// How often clients may be told to read a subscription again.
const INTERVAL: std::ops::RangeInclusive<Duration> = Duration::from_secs(3600)..=Duration::from_secs(30 * 86_400);

settings! {
    /// A subscription that is given out at `/sub/TOKEN` of the API's address.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct SubscriptionConfig in "subscription" {
        /// Its name; no other subscription has it.
        pub name: Box<str> [1..=64] = "".into();
        /// The last part of its address: 16 to 128 letters, digits, hyphens and underscores.
        pub token: Option<Secret> = None;
        /// False: its address does not exist.
        pub enabled: bool = true;
        /// What clients call it; its name when it is absent.
        pub title: Option<String> = None;
        /// How often clients should read it again.
        pub interval: Duration [INTERVAL] = Duration::from_secs(12 * 3600);
        /// The user whose quota and expiry clients are told.
        /// There are no nodes while this user may not use the proxy.
        pub user: Option<String> = None;
        /// True: in the place of nodes, the user's links of this instance's encrypted listeners, as `doors=1` in the address asks for them.
        pub inbounds: bool = false;
        /// Only nodes with an exit in one of these countries; empty = all.
        pub countries: Vec<[u8; 2]> = Vec::new();
        /// Only nodes that one of these sources lists; empty = all.
        pub sources: Vec<String> = Vec::new();
        /// Only nodes of one of these link schemes; empty = all.
        pub schemes: Vec<String> = Vec::new();
        /// An expression as in `[[listener]]`.
        pub tags: Option<TagFilter> = None;
        /// Only nodes that answer as fast as this.
        pub max_latency: Option<Duration> [Duration::from_millis(100)..=Duration::from_secs(600)] = None;
        /// Only so many nodes, the fastest ones.
        pub top: usize [1..=10_000] = 200;
        /// False: no nodes that take any certificate.
        pub allow_insecure: bool = true;
        /// True: also nodes on private and loopback addresses, which other machines hardly reach.
        pub allow_private: bool = false;
    }
}

/// Reads all of them.
pub(super) fn subscriptions(sections: Vec<Section<'_>>, config: &Config) -> Vec<SubscriptionConfig> {
    let mut read: Vec<SubscriptionConfig> = Vec::new();
    for section in sections {
        if read.len() >= MOST {
            section.problem("name", format_args!("there are at most {MOST} subscriptions"));
            break;
        }
        read.push(subscription(section, config, &read));
    }
    read
}

fn subscription(mut section: Section<'_>, config: &Config, others: &[SubscriptionConfig]) -> SubscriptionConfig {
    let mut subscription = SubscriptionConfig::default();
    section.fill_object(&mut subscription);
    subscription.schemes.iter_mut().for_each(|scheme| scheme.make_ascii_lowercase());
    let told = section.was_given("name") && subscription.name.is_empty();
    let taken = others.iter().any(|other| other.name == subscription.name);
    if (subscription.name.is_empty() && !told) || taken {
        section.problem("name", "a subscription needs a name of its own of 1 to 64 characters");
    }
    match &subscription.token {
        None => section.problem("token", "a subscription needs a token, the last part of its address"),
        Some(token) if !is_token(token.expose()) => {
            section.problem("token", "expected 16 to 128 letters, digits, hyphens and underscores");
        }
        Some(token) if others.iter().any(|other| other.token.as_ref() == Some(token)) => {
            section.problem("token", "another subscription has the same token");
        }
        Some(_) => {}
    }
    if let Some(user) = subscription.user.as_deref()
        && !config.proxy.users.iter().any(|known| *known.name == *user)
    {
        section.problem("user", format_args!("there is no user named {user:?}"));
    }
    if subscription.inbounds && subscription.user.is_none() {
        section.problem("inbounds", "the links of encrypted listeners are a user's: say user");
    }
    section.finish();
    subscription
}

fn is_token(text: &str) -> bool {
    let sign = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    (16..=128).contains(&text.len()) && text.bytes().all(sign)
}
