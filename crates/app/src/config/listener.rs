//! `[[listener]]`: further addresses for clients, each with its own nodes, users and limits.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::Path,
    time::Duration,
};

use hezar_accept::PortTls;
use hezar_core::{
    settings,
    settings::{Given, Networks, Optional, SettingValue, is_public},
};
use hezar_gateway::{AccessRules, FeedbackRule, InboundConfig, Limits, ListenerKind, PortRange, User};
use hezar_pool::{Strategy, TooManyFilters};

use super::{
    Config, Expression, expression,
    feedback::feedback_rules,
    inbound::{check_links, inbound},
    resolve::{MAKE_SAFE, ONLY_PRIVATE, plain, port_tls},
    section::Section,
    source::MANUAL_SOURCES,
    user::users,
};

settings! {
    /// A further address that clients use, over a part of the pool.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct ListenerConfig in "listener" {
        /// Its name; no other listener has it.
        pub name: Box<str> [1..=64] = "".into();
        /// What clients speak there: mixed is HTTP and SOCKS; the others are encrypted: docs/inbounds.md.
        pub kind: ListenerKind = ListenerKind::Mixed;
        /// The host that links name, with a port where that is another one; absent = the first name of an ACME certificate, else the address.
        pub host: Option<Box<str>> [1..=255] = None;
        /// The name that links ask for in TLS; absent = the first name of an ACME certificate, else `host`.
        pub server_name: Option<Box<str>> [1..=255] = None;
        /// True: a Trojan or VLESS port on loopback without TLS, for a web server in front that has it.
        pub insecure_plain: bool = false;
        /// The address; any other than loopback needs users or `open_to`.
        pub listen: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);
        /// While there are no users: private networks of clients that need none; as in `[proxy]` when it is absent.
        pub open_to: Option<Networks> = None;
        /// How a node is chosen; as in `[proxy]` when it is absent.
        pub strategy: Option<Strategy> = None;
        /// Only nodes with an exit in one of these countries; empty = all.
        pub countries: Vec<[u8; 2]> = Vec::new();
        /// Only nodes that one of these sources lists; empty = all.
        pub sources: Vec<String> = Vec::new();
        /// Only nodes of one of these link schemes; empty = all.
        pub schemes: Vec<String> = Vec::new();
        /// Tags of sources, and `label:`, `country:`, `scheme:`, `source:`, `is:insecure`, `anonymity:` (`elite`, `anonymous`, `transparent`, `unknown`); with `&`, `!`, brackets and a bar for "or".
        pub tags: Option<TagFilter> = None;
        /// Only nodes that answer as fast as this.
        pub max_latency: Option<Duration> [Duration::from_millis(100)..=Duration::from_secs(600)] = None;
        /// Only so many nodes, the fastest ones.
        pub top: Option<usize> [1..=1_000_000] = None;
        /// False: no nodes that take any certificate.
        pub allow_insecure: bool = true;
        /// Ports beside that of `listen`: each is a session, for clients that cannot send a user name with one in it.
        pub ports: Option<PortRange> = None;
        /// HTTP answers name the exit, node and session (`X-Hezar-…`); as in `[proxy]` when it is absent.
        pub exit_headers: Option<bool> = None;
        /// Proxies in front that name their clients with the PROXY protocol; those of `[proxy]` do not count here.
        pub proxy_protocol: Networks = Networks::default();
    } and {
        /// Its own users; empty = those of `[proxy]`.
        pub users: Vec<User> = Vec::new();
        /// What one client address may have at a time.
        pub client_limits: Limits = Limits::default();
        /// What the answers to plain requests say of exits; empty = as in `[proxy]`.
        pub feedback: Vec<FeedbackRule> = Vec::new();
        /// Where clients may go; a rule that is absent here is as in `[proxy]`.
        pub rules: AccessRules = AccessRules::default();
        /// Whether the port speaks TLS; that of `[proxy]` does not count here.
        pub tls: PortTls = PortTls::default();
        /// The encrypted inbound; absent where `kind` is mixed.
        pub inbound: Option<InboundConfig> = None;
    }
}

/// A tag expression with its text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TagFilter {
    /// The text.
    pub text: String,
    /// What it means.
    pub expression: Expression,
}

impl SettingValue for TagFilter {
    type Range = ();

    fn parse(given: &Given, (): &()) -> Option<Self> {
        let text = given.text()?;
        expression::read(text).map(|expression| Self { text: text.to_owned(), expression })
    }

    fn expected((): &()) -> String {
        "an expression such as \"paid & !slow\"".to_owned()
    }

    fn write(&self) -> Option<Given> {
        Some(Given::Text(self.text.clone()))
    }
}

impl Optional for TagFilter {}

/// Reads all of them; what a listener does not say, it does as `[proxy]` does.
pub(super) fn listeners(sections: Vec<Section<'_>>, config: &Config) -> Vec<ListenerConfig> {
    let mut read: Vec<ListenerConfig> = Vec::new();
    for section in sections {
        if read.len() >= TooManyFilters::MOST {
            section.problem("name", format_args!("there are at most {} listeners", TooManyFilters::MOST));
            break;
        }
        if let Some(listener) = listener(section, config, &read) {
            read.push(listener);
        }
    }
    read
}

fn listener(mut section: Section<'_>, config: &Config, others: &[ListenerConfig]) -> Option<ListenerConfig> {
    let mut listener = ListenerConfig::default();
    section.fill_object(&mut listener);
    section.fill_object(&mut listener.rules);
    listener.feedback = feedback_rules(&mut section);
    listener.users = users(&mut section);
    listener.client_limits = plain(section.section("client_limits"));
    let folder = config.file.as_deref().and_then(Path::parent);
    listener.tls = port_tls(&mut section, folder);
    listener.inbound = inbound(&mut section, &listener, folder);
    listener.schemes.iter_mut().for_each(|scheme| scheme.make_ascii_lowercase());
    let good = !listener.name.is_empty() && &*listener.name != "proxy";
    let told = section.was_given("name") && listener.name.is_empty();
    if (!good && !told) || others.iter().any(|other| other.name == listener.name) {
        section.problem("name", "a listener needs a name of its own of 1 to 64 characters, other than \"proxy\"");
    }
    if !section.was_given("listen") {
        section.problem("listen", "a listener needs an address, such as \"127.0.0.1:8001\"");
    }
    for source in &listener.sources {
        if !config.sources.iter().any(|known| known.name == *source) && !MANUAL_SOURCES.contains(&source.as_str()) {
            section.problem("sources", format_args!("there is no source named {source:?}"));
        }
    }
    let open_to = listener.open_to.as_ref().unwrap_or(&config.proxy.open_to);
    check_links(&section, &listener, config.users_of(&listener));
    let needs_users = listener.inbound.is_none() && is_public(listener.listen);
    if needs_users && config.users_of(&listener).is_empty() && open_to.is_empty() {
        section.problem("listen", format_args!("it can be reached from other machines: {MAKE_SAFE}"));
    }
    if listener.open_to.as_ref().is_some_and(|networks| !networks.are_private()) {
        section.problem("open_to", ONLY_PRIVATE);
    }
    section.finish();
    good.then_some(listener)
}
