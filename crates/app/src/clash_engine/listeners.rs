//! The listeners of the configuration as a Clash core serves them, and what of them such a core cannot do.

use std::net::SocketAddr;

use hezar_core::{
    Timestamp,
    settings::{Settings, is_public},
};
use hezar_gateway::{GatewayConfig, User};
use hezar_pool::Filter;
use serde_json::{Map, Value, json};

use super::rules::{AdmittedClients, rules};
use crate::{
    config::{Config, EngineKind, EngineSettings},
    convert,
};

/// The group of the first listener.
const FIRST: &str = "POOL";

/// The provider of the first listener's nodes.
pub(super) const FIRST_PROVIDER: &str = "pool";

/// A listener as a core serves it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct CoreListener {
    /// The group of the core that it leads to, and its name there.
    group: String,
    is_first: bool,
    address: SocketAddr,
    /// The names and passwords of those who may use it; `None` = nobody has to log in.
    users: Option<Vec<(Box<str>, Box<str>)>>,
    rules: Vec<String>,
    /// Which healthy nodes it uses; `None` = all.
    pub(super) filter: Option<Filter>,
}

impl CoreListener {
    pub(super) fn group(&self) -> &str {
        &self.group
    }

    /// The provider of that group's nodes.
    pub(super) fn provider(&self, number: usize) -> String {
        if number == 0 { FIRST_PROVIDER.to_owned() } else { format!("pool-{number}") }
    }

    /// Whether it is the one that `[proxy]` describes.
    pub(super) const fn is_first(&self) -> bool {
        self.is_first
    }

    pub(super) const fn address(&self) -> SocketAddr {
        self.address
    }

    pub(super) fn rules(&self) -> &[String] {
        &self.rules
    }

    /// Names and passwords; empty = nobody has to log in.
    fn logins(&self) -> Vec<(Box<str>, Box<str>)> {
        match self.users.as_deref() {
            None => Vec::new(),
            // A core lets everybody in when there is nobody in its list.
            Some([]) => vec![nobody()],
            Some(users) => users.to_vec(),
        }
    }

    /// The users of the first listener, as Clash writes them.
    pub(super) fn authentication(&self) -> Vec<String> {
        self.logins().iter().map(|(name, password)| format!("{name}:{password}")).collect()
    }

    /// A further listener as an entry of `listeners`, which goes by the sub-rules of its own name.
    pub(super) fn entry(&self) -> Value {
        let logins = self.logins();
        let users: Vec<Value> =
            logins.iter().map(|(name, password)| json!({ "username": name, "password": password })).collect();
        let mut entry = Map::new();
        entry.insert("name".into(), self.group().into());
        entry.insert("type".into(), "mixed".into());
        entry.insert("listen".into(), self.address.ip().to_string().into());
        entry.insert("port".into(), self.address.port().into());
        entry.insert("udp".into(), self.users.is_none().into());
        entry.insert("rule".into(), self.group().into());
        entry.insert("users".into(), users.into());
        Value::Object(entry)
    }
}

/// The listeners of a configuration at this time, the first one in front; `addresses` are those at which they are to listen, in the same
/// order.
pub(super) fn listeners(config: &Config, addresses: &[SocketAddr], now: Timestamp) -> Vec<CoreListener> {
    let first = (None, convert::gateway(config), None);
    let others = config.listeners.iter().map(|listener| {
        let filter = convert::filter(config, listener);
        (Some(listener.name.clone()), convert::listener(config, listener, None), Some(filter))
    });
    let all = std::iter::once(first).chain(others).zip(addresses).enumerate();
    all.map(|(number, ((name, config, filter), address))| {
        let group = group(name.as_deref(), number);
        CoreListener { is_first: number == 0, ..listener(group, &config, *address, filter, now) }
    })
    .collect()
}

/// The name of the group of a listener. Rules of a core are separated by commas, so that not every name of ours can stand in them.
fn group(name: Option<&str>, number: usize) -> String {
    match name {
        None => FIRST.to_owned(),
        Some(name) if name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)) => {
            format!("{FIRST}-{name}")
        }
        Some(_) => format!("{FIRST}.{number}"),
    }
}

fn listener(
    group: String,
    config: &GatewayConfig,
    address: SocketAddr,
    filter: Option<Filter>,
    now: Timestamp,
) -> CoreListener {
    let may_use = |user: &&User| user.enabled && user.expires.is_none_or(|end| now < end) && user.may_use(&config.name);
    let users = (!config.users.is_empty()).then(|| {
        let users = config.users.iter().filter(may_use);
        users.filter_map(|user| Some((user.name.clone(), user.password.as_ref()?.expose().into()))).collect()
    });
    let admission = match &users {
        Some(_) => AdmittedClients::Users,
        None if is_public(address) => AdmittedClients::Networks(&config.open_to),
        None => AdmittedClients::Everybody,
    };
    let rules = rules(&config.rules, address, admission, &group);
    CoreListener { group, is_first: false, address, users, rules, filter }
}

/// A user whose password nobody knows.
fn nobody() -> (Box<str>, Box<str>) {
    let random = || format!("{:032x}", rand::random::<u128>()).into();
    (random(), random())
}

/// Why a configuration cannot be served by Clash cores: with one of these a client would be served otherwise than its operator
/// means to.
pub(super) fn problems(config: &Config) -> Vec<String> {
    let mut problems = Vec::new();
    for (place, listener) in places(config) {
        if let Some(inbound) = &listener.inbound {
            let kind = inbound.protocol.kind().name();
            problems
                .push(format!("{place} has kind = \"{kind}\": Clash cores serve listeners of the kind mixed alone"));
        } else if listener.tls.is_set() {
            problems.push(format!(
                "{place} has tls, which a Clash core does not serve: leave it out, or put a TLS proxy in front"
            ));
        }
        if !listener.proxy_protocol.is_empty() {
            problems.push(format!("{place} has proxy_protocol, whose headers a Clash core does not read"));
        }
    }
    problems
}

/// What a configuration says and Clash cores do not do, each in one sentence.
pub(crate) fn warnings(config: &Config) -> Vec<String> {
    if config.engine.kind != EngineKind::Clash {
        return Vec::new();
    }
    let mut warnings = vec![
        "engine = \"clash\": options and sessions in user names, failover within a request, quotas, the access log and traces are \
         the native engine's; the Clash cores do without, and carry datagrams at listeners without users alone"
            .to_owned(),
    ];
    for (place, listener) in places(config) {
        let mut ignored = ignored_settings(config, &listener);
        if listener.ports.is_some() {
            ignored.push("ports".to_owned());
        }
        if !ignored.is_empty() {
            warnings.push(format!("engine = \"clash\": of {place} is not applied: {}", ignored.join(", ")));
        }
    }
    if config.engine.probe_controller.is_some() && config.engine.expose_controller.is_some() {
        let warning =
            "engine.expose_controller is not applied: the controller of a core on another machine is exposed there";
        warnings.push(warning.to_owned());
    }
    for address in exposed(&config.engine).filter(|address| is_public(*address)) {
        warnings.push(format!(
            "the controller of a Clash core on {address} can be reached from other machines in plain HTTP: its secret can be read on the way"
        ));
    }
    if config.probe.expect_body.is_some() {
        warnings.push("engine = \"clash\": probe.expect_body is not applied: a core reads no bodies".to_owned());
    }
    let users = config.proxy.users.iter().chain(config.listeners.iter().flat_map(|listener| &listener.users));
    warnings.extend(users.filter_map(ignored_of_user));
    warnings
}

/// Every listener with the words for it.
fn places(config: &Config) -> Vec<(String, GatewayConfig)> {
    let others = config
        .listeners
        .iter()
        .map(|listener| (format!("[[listener]] {:?}", listener.name), convert::listener(config, listener, None)));
    std::iter::once(("[proxy]".to_owned(), convert::gateway(config))).chain(others).collect()
}

/// The settings of a listener that differ from the defaults and that a core has nothing for.
fn ignored_settings(config: &Config, listener: &GatewayConfig) -> Vec<String> {
    /// What a core does as Hezar does, in its own way, or what is no matter of a listener.
    const SERVED: [&str; 5] = ["listen", "open_to", "drain", "max_sessions", "max_sessions_per_user"];
    let defaults = GatewayConfig::default();
    let keys = listener.differences(&defaults).map(|setting| setting.key());
    let mut ignored: Vec<String> = keys.filter(|key| !SERVED.contains(key)).map(str::to_owned).collect();
    if !listener.feedback.is_empty() {
        ignored.push("feedback".to_owned());
    }
    if !listener.client_limits.none() {
        ignored.push("client_limits".to_owned());
    }
    // What the first listener says holds for the others and is told there.
    if listener.name != config.proxy.name {
        let first = convert::gateway(config);
        let told = ignored_settings(config, &first);
        ignored.retain(|key| !told.contains(key));
    }
    ignored
}

/// What of a user a core has nothing for.
fn ignored_of_user(user: &User) -> Option<String> {
    if user.password.is_none() {
        return Some(format!(
            "engine = \"clash\": the user {:?} has only a password_hash, and a Clash core needs the password: it cannot log in",
            user.name
        ));
    }
    let ignored = [
        ("limits", !user.limits.none()),
        ("quota", user.quota != hezar_gateway::Quota::default()),
        ("countries", !user.countries.is_empty()),
        ("options", user.options != hezar_gateway::DefaultOptions::default()),
        ("access rules", !user.rules.is_empty()),
    ];
    let ignored: Vec<&str> = ignored.into_iter().filter(|(_, is_set)| *is_set).map(|(name, _)| name).collect();
    (!ignored.is_empty())
        .then(|| format!("engine = \"clash\": of the user {:?} is not applied: {}", user.name, ignored.join(", ")))
}

/// The addresses at which the controllers of the cores listen for others.
pub(super) fn exposed(settings: &EngineSettings) -> impl Iterator<Item = SocketAddr> {
    settings.expose_controller.into_iter().chain(settings.expose_gateway_controller)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Layers;

    fn read(text: &str) -> Config {
        Config::read(text, None, &Layers::default()).unwrap()
    }

    #[test]
    fn what_would_be_served_otherwise_than_it_is_meant_is_refused() {
        assert!(problems(&read("engine = \"clash\"")).is_empty());
        let found = problems(&read(
            "[proxy]\nproxy_protocol = [\"127.0.0.1\"]\n[[listener]]\nname = \"a\"\nlisten = 8001\ntls = { cert = \"c\", key = \"k\" }",
        ));
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(found[0].starts_with("[proxy] has proxy_protocol") && found[1].contains("\"a\" has tls"), "{found:?}");
    }

    #[test]
    fn what_is_not_applied_is_named_once() {
        assert!(warnings(&read("[proxy]\nattempts = 3")).is_empty(), "the native engine does it all");
        let text = warnings(&read(
            "[proxy]\nattempts = 3\nusers = [{ name = \"a\", password = \"b\", quota = { day = \"1GiB\" } }]\n[engine]\nkind = \"clash\"\n\
             [[listener]]\nname = \"x\"\nlisten = 8001\nexit_headers = true",
        ))
        .join("\n");
        assert!(text.contains("of [proxy] is not applied: attempts"), "{text}");
        assert!(text.contains("of [[listener]] \"x\" is not applied: exit_headers"), "{text}");
        assert!(text.contains("of the user \"a\" is not applied: quota"), "{text}");
        assert_eq!(text.matches("attempts").count(), 1, "{text}");
    }

    #[test]
    fn a_controller_that_others_reach_is_told() {
        let told = |address: &str| {
            warnings(&read(&format!("[engine]\nkind = \"clash\"\nexpose_controller = \"{address}\""))).len()
        };
        assert_eq!(told("0.0.0.0:9091"), told("127.0.0.1:9091") + 1);
    }

    #[test]
    fn names_that_rules_cannot_hold_become_numbers() {
        assert_eq!(group(None, 0), "POOL");
        assert_eq!(group(Some("de-1"), 1), "POOL-de-1");
        assert_eq!(group(Some("a,b"), 2), "POOL.2");
    }
}
