//! The access rules of a listener as rules of a Clash core, which the core goes through in order for every request.

use std::net::SocketAddr;

use hezar_core::settings::{Given, Networks, SettingValue, is_public};
use hezar_gateway::AccessRules;

/// The ports of electronic mail, which listeners that other machines reach do not lead to unless something is said.
const MAIL_PORTS: &str = "25/465/587";
/// Addresses that are not of the public internet (the IANA special-purpose address registries).
const RESERVED: [&str; 24] = [
    "0.0.0.0/8",
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.0.0.0/24",
    "192.0.2.0/24",
    "192.88.99.0/24",
    "192.168.0.0/16",
    "198.18.0.0/15",
    "198.51.100.0/24",
    "203.0.113.0/24",
    "224.0.0.0/4",
    "240.0.0.0/4",
    "::/127",
    "::ffff:0:0/96",
    "64:ff9b:1::/48",
    "100::/64",
    "2001:db8::/32",
    "2002::/16",
    "fc00::/7",
    "fe80::/10",
    "ff00::/8",
];
/// Names that lead to the machine or the network of whoever resolves them (RFC 6761 §6.3, RFC 6762 §3, RFC 8375, ICANN's `internal`).
const PRIVATE_NAMES: [&str; 4] = ["localhost", "local", "home.arpa", "internal"];

/// The rule that lets nothing through.
const REJECT_ALL: &str = "MATCH,REJECT";
/// Rejects what is no domain name, such as an address in brackets: who resolves it may read it as something that other rules forbid. Clash ignores
/// the case of letters in regular expressions alone, so that names are compared by these.
const ONLY_NAMES: &str = "DOMAIN-REGEX,[^a-z0-9_.-],REJECT";
/// Rejects names that a resolver may read as IPv4 addresses (inet_aton), such as `0x7f.1` and `127.1`. No top-level domain is a number.
const NO_NUMBERS: &str = "DOMAIN-REGEX,(^|\\.)(0x[^.]*|[0-9]+)$,REJECT";
/// The pattern that every host fits.
const ALL_HOSTS: &str = "*";

/// What a rule with a list may not hold: Clash separates its parts by these.
const SEPARATORS: [char; 3] = [',', '(', ')'];

/// Who may use a listener, as far as the rules decide it.
#[derive(Clone, Copy, Debug)]
pub(super) enum AdmittedClients<'a> {
    /// Everybody who reaches it.
    Everybody,
    /// Clients on this machine and in these networks.
    Networks(&'a Networks),
    /// Who logs in.
    Users,
}

impl AdmittedClients<'_> {
    fn rule(self) -> Option<String> {
        match self {
            Self::Everybody => None,
            Self::Networks(networks) => Some(only_clients_of(networks)),
            // A core asks datagrams (SOCKS5 UDP ASSOCIATE) for no password: whoever reaches the port could send them.
            Self::Users => Some("NETWORK,udp,REJECT".to_owned()),
        }
    }
}

/// The rules of a listener, which end in the one that leads everything else to `group`.
pub(super) fn rules(
    access: &AccessRules,
    listen: SocketAddr,
    admission: AdmittedClients<'_>,
    group: &str,
) -> Vec<String> {
    let is_public = is_public(listen);
    let mut rules: Vec<String> = admission.rule().into_iter().collect();
    match &access.deny_ports {
        Some(ports) => rules.extend(ports_of(ports.write()).map(|ports| format!("DST-PORT,{ports},REJECT"))),
        None if is_public => rules.push(format!("DST-PORT,{MAIL_PORTS},REJECT")),
        None => {}
    }
    if let Some(ports) = &access.allow_ports {
        // A list without a port allows none.
        rules.push(match ports_of(ports.write()) {
            Some(ports) => format!("NOT,((DST-PORT,{ports})),REJECT"),
            None => REJECT_ALL.to_owned(),
        });
    }
    let allows_private = access.allow_private_targets.unwrap_or(!is_public);
    if access.deny_hosts.is_some() || access.allow_hosts.is_some() || !allows_private {
        rules.push(ONLY_NAMES.to_owned());
    }
    if let Some(hosts) = access.deny_hosts.as_ref().and_then(SettingValue::write) {
        match includes_all(&hosts) {
            true => rules.push(REJECT_ALL.to_owned()),
            false => rules.extend(hosts_of(hosts).map(|host| format!("{},REJECT{}", host.condition, host.option()))),
        }
    }
    if let Some(hosts) = access.allow_hosts.as_ref().and_then(SettingValue::write)
        && !includes_all(&hosts)
    {
        rules.push(only_hosts(hosts_of(hosts)));
    }
    if !allows_private {
        rules.extend(RESERVED.iter().map(|network| format!("IP-CIDR,{network},REJECT,no-resolve")));
        let names = PRIVATE_NAMES.iter().flat_map(|name| [this_name(name), names_beneath(name)]);
        rules.extend(names.map(|condition| format!("{condition},REJECT")));
        rules.push(NO_NUMBERS.to_owned());
    }
    rules.push(format!("MATCH,{group}"));
    rules
}

/// Rejects clients that are neither on this machine nor in one of the networks.
fn only_clients_of(networks: &Networks) -> String {
    let own = ["127.0.0.0/8".to_owned(), "::1/128".to_owned()];
    let all = own.into_iter().chain(networks.iter().map(|network| network.prefix()));
    let conditions: Vec<String> = all.map(|network| format!("(NOT,((SRC-IP-CIDR,{network})))")).collect();
    format!("AND,({}),REJECT", conditions.join(","))
}

/// Rejects hosts that none of the conditions fits.
fn only_hosts(hosts: impl Iterator<Item = HostCondition>) -> String {
    let conditions: Vec<String> = hosts.map(|host| format!("(NOT,(({}{})))", host.condition, host.option())).collect();
    match conditions.as_slice() {
        [] => REJECT_ALL.to_owned(),
        [one] => format!("{},REJECT", one.trim_start_matches('(').strip_suffix(')').unwrap_or(one)),
        all => format!("AND,({}),REJECT", all.join(",")),
    }
}

/// A set of ports as Clash writes it: `25/8000-8100`; `None` for an empty one.
fn ports_of(written: Option<Given>) -> Option<String> {
    let Some(Given::List(values)) = written else { return None };
    let ports: Vec<String> = values
        .into_iter()
        .filter_map(|value| match value {
            Given::Integer(port) => Some(port.to_string()),
            Given::Text(range) => Some(range),
            _ => None,
        })
        .collect();
    (!ports.is_empty()).then(|| ports.join("/"))
}

/// A pattern for hosts as a condition of a rule.
struct HostCondition {
    condition: String,
    is_network: bool,
}

impl HostCondition {
    /// Names are not resolved to see whether an address fits.
    const fn option(&self) -> &'static str {
        if self.is_network { ",no-resolve" } else { "" }
    }
}

fn patterns(written: &Given) -> impl Iterator<Item = &str> {
    let values: &[Given] = if let Given::List(values) = written { values } else { &[] };
    values.iter().filter_map(Given::text)
}

fn includes_all(written: &Given) -> bool {
    patterns(written).any(|pattern| pattern == ALL_HOSTS)
}

/// Patterns as conditions.
fn hosts_of(written: Given) -> impl Iterator<Item = HostCondition> {
    let texts: Vec<String> = patterns(&written).map(str::to_owned).collect();
    texts.into_iter().filter(|text| !text.contains(SEPARATORS)).flat_map(|text| host_conditions(&text))
}

/// The conditions of which one holds for a host that a pattern fits.
fn host_conditions(pattern: &str) -> Vec<HostCondition> {
    let named = |condition: String| HostCondition { condition, is_network: false };
    if let Some(name) = pattern.strip_prefix("*.") {
        return vec![named(names_beneath(name))];
    }
    if let Some(name) = pattern.strip_prefix('.') {
        return vec![named(this_name(name)), named(names_beneath(name))];
    }
    match pattern.parse::<hezar_core::settings::Network>() {
        Ok(network) => vec![HostCondition { condition: format!("IP-CIDR,{}", network.prefix()), is_network: true }],
        Err(_) => vec![named(this_name(pattern))],
    }
}

/// The condition that a target is this name, in any case of letters.
fn this_name(name: &str) -> String {
    format!("DOMAIN-REGEX,^{}$", name.replace('.', "\\."))
}

/// The condition that a target is a name beneath this one.
fn names_beneath(name: &str) -> String {
    format!("DOMAIN-REGEX,\\.{}$", name.replace('.', "\\."))
}

#[cfg(test)]
mod tests {
    use hezar_gateway::{HostPatterns, PortSet};

    use super::*;

    fn given(texts: &[&str]) -> Given {
        Given::List(texts.iter().map(|text| Given::Text((*text).to_owned())).collect())
    }

    #[test]
    fn a_loopback_listener_leads_everything_to_the_group() {
        let rules =
            rules(&AccessRules::default(), "127.0.0.1:8000".parse().unwrap(), AdmittedClients::Everybody, "POOL");
        assert_eq!(rules, ["MATCH,POOL"]);
    }

    #[test]
    fn a_listener_for_others_has_the_usual_denials_and_ends_in_the_group() {
        let networks = Networks::parse(&given(&["192.168.1.0/24", "10.1.2.3"]), &()).unwrap();
        let rules = rules(
            &AccessRules::default(),
            "0.0.0.0:8000".parse().unwrap(),
            AdmittedClients::Networks(&networks),
            "POOL",
        );
        assert_eq!(
            rules[0],
            "AND,((NOT,((SRC-IP-CIDR,127.0.0.0/8))),(NOT,((SRC-IP-CIDR,::1/128))),(NOT,((SRC-IP-CIDR,192.168.1.0/24))),\
             (NOT,((SRC-IP-CIDR,10.1.2.3/32)))),REJECT"
        );
        assert_eq!(rules[1], "DST-PORT,25/465/587,REJECT");
        let has = |rule: &str| rules.iter().any(|known| known == rule);
        assert!(has("IP-CIDR,10.0.0.0/8,REJECT,no-resolve") && has(r"DOMAIN-REGEX,\.home\.arpa$,REJECT"), "{rules:?}");
        // `LOCALHOST`, `127.1` and `[::1]` lead where `localhost` does.
        assert!(has("DOMAIN-REGEX,^localhost$,REJECT") && has(ONLY_NAMES) && has(NO_NUMBERS), "{rules:?}");
        assert_eq!(rules.last().unwrap(), "MATCH,POOL");
    }

    #[test]
    fn datagrams_that_nobody_asks_for_a_password_are_rejected() {
        let rules = rules(&AccessRules::default(), "127.0.0.1:1".parse().unwrap(), AdmittedClients::Users, "POOL");
        assert_eq!(rules, ["NETWORK,udp,REJECT", "MATCH,POOL"]);
    }

    #[test]
    fn ports_and_hosts_become_rules_in_order() {
        let access = AccessRules {
            deny_ports: PortSet::parse(&given(&["25", "6000-6010"]), &()),
            allow_ports: Some(PortSet::new(&[80, 443])),
            deny_hosts: HostPatterns::read(["*.ads.test", "192.0.2.0/24"]),
            allow_hosts: HostPatterns::read([".good.test", "198.51.100.7"]),
            allow_private_targets: Some(true),
        };
        let rules = rules(&access, "0.0.0.0:1".parse().unwrap(), AdmittedClients::Everybody, "POOL");
        assert_eq!(
            rules,
            [
                "DST-PORT,25/6000-6010,REJECT",
                "NOT,((DST-PORT,80/443)),REJECT",
                "DOMAIN-REGEX,[^a-z0-9_.-],REJECT",
                r"DOMAIN-REGEX,\.ads\.test$,REJECT",
                "IP-CIDR,192.0.2.0/24,REJECT,no-resolve",
                r"AND,((NOT,((DOMAIN-REGEX,^good\.test$))),(NOT,((DOMAIN-REGEX,\.good\.test$))),(NOT,((IP-CIDR,198.51.100.7/32,no-resolve)))),REJECT",
                "MATCH,POOL",
            ]
        );
    }
}
