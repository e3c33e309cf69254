//! Access rules: which ports and hosts may be reached through a listener, and by a user.

use std::net::IpAddr;

use hezar_core::{Host, Reach, Target, settings};

use super::{HostPatterns, PortSet};
use crate::Refusal;

/// The ports of electronic mail: submission and relay of it through open proxies is what gets exits listed.
const MAIL_PORTS: [u16; 3] = [25, 465, 587];

/// Names that lead to the machine or the network of whoever resolves them: RFC 6761 §6.3, RFC 6762 §3, RFC 8375, and the zone that
/// ICANN has reserved for private use.
const PRIVATE_NAMES: [&str; 4] = ["localhost", "local", "home.arpa", "internal"];

settings! {
    /// Where clients of a listener, or a user, may go. What is absent for a user is as the listener says; what is absent for
    /// a listener is as `[proxy]` says.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct AccessRules in "proxy" {
        /// Only these ports of targets.
        pub allow_ports: Option<PortSet> = None, example "[80, 443, \"8000-8999\"]";
        /// Not these ports of targets.
        /// Default: 25, 465 and 587 (electronic mail) on a listener that other machines can reach, none on loopback.
        pub deny_ports: Option<PortSet> = None, example "[25, 465, 587]";
        /// Only these hosts.
        /// `example.org` is the one host, `*.example.org` every one beneath it, `.example.org` both, `192.0.2.0/24` a network.
        pub allow_hosts: Option<HostPatterns> = None, example "[\".example.org\"]";
        /// Not these hosts.
        pub deny_hosts: Option<HostPatterns> = None, example "[\"*.example.net\", \"192.0.2.0/24\"]";
        /// True: also targets on private, loopback and link-local addresses.
        /// Default: false on a listener that other machines can reach, true on loopback.
        pub allow_private_targets: Option<bool> = None, example "false";
    }
}

impl AccessRules {
    /// What holds on a listener that other machines can reach where nothing is said.
    #[must_use]
    pub fn for_other_machines() -> Self {
        Self { deny_ports: Some(PortSet::new(&MAIL_PORTS)), allow_private_targets: Some(false), ..Self::default() }
    }

    /// Whether nothing is said.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// These rules, and what `general` says where these say nothing.
    #[must_use]
    pub fn or(&self, general: &Self) -> Self {
        Self {
            allow_ports: self.allow_ports.clone().or_else(|| general.allow_ports.clone()),
            deny_ports: self.deny_ports.clone().or_else(|| general.deny_ports.clone()),
            allow_hosts: self.allow_hosts.clone().or_else(|| general.allow_hosts.clone()),
            deny_hosts: self.deny_hosts.clone().or_else(|| general.deny_hosts.clone()),
            allow_private_targets: self.allow_private_targets.or(general.allow_private_targets),
        }
    }
}

/// The rules that hold for one request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Permissions<'a> {
    user: Option<&'a AccessRules>,
    listener: &'a AccessRules,
    is_loopback: bool,
}

impl<'a> Permissions<'a> {
    /// The rules of a user at a listener with this address.
    pub(crate) fn new(user: Option<&'a AccessRules>, listener: &'a AccessRules, listen: IpAddr) -> Self {
        Self { user, listener, is_loopback: listen.to_canonical().is_loopback() }
    }

    /// Whether a target may be asked for.
    ///
    /// # Errors
    /// [`Refusal::PortDenied`], [`Refusal::HostDenied`], [`Refusal::PrivateDenied`].
    pub(crate) fn check(&self, target: &Target) -> Result<(), Refusal> {
        self.check_port(target.port())?;
        self.check_host(target.host())
    }

    fn check_port(&self, port: u16) -> Result<(), Refusal> {
        let is_denied = match self.rule(|rules| rules.deny_ports.as_ref()) {
            Some(denied) => denied.contains(port),
            None => !self.is_loopback && MAIL_PORTS.contains(&port),
        };
        let is_allowed = self.rule(|rules| rules.allow_ports.as_ref()).is_none_or(|allowed| allowed.contains(port));
        if is_allowed && !is_denied { Ok(()) } else { Err(Refusal::PortDenied(port)) }
    }

    fn check_host(&self, host: &Host) -> Result<(), Refusal> {
        let is_denied = self.rule(|rules| rules.deny_hosts.as_ref()).is_some_and(|denied| denied.matches(host));
        let is_allowed = self.rule(|rules| rules.allow_hosts.as_ref()).is_none_or(|allowed| allowed.matches(host));
        if is_denied || !is_allowed {
            return Err(Refusal::HostDenied);
        }
        let may_be_private = self.rule(|rules| rules.allow_private_targets.as_ref());
        if !may_be_private.copied().unwrap_or(self.is_loopback) && is_private(host) {
            return Err(Refusal::PrivateDenied);
        }
        Ok(())
    }

    /// The user's rule, or else the listener's.
    fn rule<T>(&self, rule: impl Fn(&'a AccessRules) -> Option<&'a T>) -> Option<&'a T> {
        self.user.and_then(&rule).or_else(|| rule(self.listener))
    }
}

/// Whether a host is on a private network as far as its text says. Names that the node resolves to a private address are not seen.
fn is_private(host: &Host) -> bool {
    match host {
        Host::Ip(ip) => Reach::of_address(*ip) == Reach::Private,
        Host::Name(_) => {
            let text = host.to_string().to_ascii_lowercase();
            let name = text.strip_suffix('.').unwrap_or(&text);
            let last = name.rsplit('.').next().unwrap_or(name);
            let is_reserved = |reserved: &str| {
                name.strip_suffix(reserved).is_some_and(|front| front.is_empty() || front.ends_with('.'))
            };
            // A resolver may read `0x7f.1` as an IPv4 address (inet_aton); a number in decimal digits is no name.
            let is_number = last.starts_with("0x");
            is_number || PRIVATE_NAMES.into_iter().any(is_reserved)
        }
    }
}
