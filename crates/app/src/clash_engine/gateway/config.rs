//! The configuration of the GATEWAY core: listeners, the groups behind them, and rules that let nothing out directly.

use std::net::SocketAddr;

use hezar_core::Secret;
use serde_json::{Map, Value, json};

use crate::{
    clash_engine::{
        listeners::CoreListener,
        mihomo::{basics, provider_file},
    },
    config::CoreStrategy,
};

/// What the GATEWAY core is told beside its listeners.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct GatewayOptions {
    pub(crate) strategy: CoreStrategy,
    /// Where its controller listens beside its socket, and the secret that it asks for.
    pub(crate) exposed: Option<(SocketAddr, Secret)>,
    /// Where it asks for the addresses of nodes' servers.
    pub(crate) names: SocketAddr,
}

/// The configuration in JSON, which YAML includes.
pub(super) fn render(listeners: &[CoreListener], options: &GatewayOptions) -> String {
    let mut config = basics(options.exposed.as_ref(), Some(options.names));
    let first = listeners.iter().find(|listener| listener.is_first());
    if let Some(first) = first {
        config.insert("mixed-port".into(), first.address().port().into());
        config.insert("bind-address".into(), bind_address(first.address()).into());
        // Without it a core listens on 127.0.0.1, whatever the address is.
        config.insert("allow-lan".into(), true.into());
        config.insert("authentication".into(), first.authentication().into());
    }
    let (mut providers, mut groups, mut sub_rules) = (Map::new(), Vec::new(), Map::new());
    for (number, listener) in listeners.iter().enumerate() {
        let provider = listener.provider(number);
        let path = provider_file(&provider);
        providers.insert(
            provider.clone(),
            json!({ "type": "file", "path": format!("./{path}"), "health-check": { "enable": false } }),
        );
        groups.push(json!({
            "name": listener.group(),
            "type": "load-balance",
            "strategy": options.strategy.name(),
            "use": [provider],
            // A group without members would send requests directly.
            "empty-fallback": "REJECT",
        }));
        if !listener.is_first() {
            sub_rules.insert(listener.group().to_owned(), listener.rules().into());
        }
    }
    let others: Vec<Value> =
        listeners.iter().filter(|listener| !listener.is_first()).map(CoreListener::entry).collect();
    config.insert("listeners".into(), others.into());
    config.insert("proxy-providers".into(), providers.into());
    config.insert("proxy-groups".into(), groups.into());
    config.insert("sub-rules".into(), sub_rules.into());
    config.insert("rules".into(), first.map_or_else(|| json!(["MATCH,REJECT"]), |first| first.rules().into()));
    Value::Object(config).to_string()
}

/// An address as `bind-address` has it: IPv6 in brackets.
fn bind_address(address: SocketAddr) -> String {
    match address {
        SocketAddr::V4(address) => address.ip().to_string(),
        SocketAddr::V6(address) => format!("[{}]", address.ip()),
    }
}

#[cfg(test)]
mod tests {
    use hezar_core::Timestamp;

    use super::*;
    use crate::{
        clash_engine::listeners::listeners,
        config::{Config, Layers},
    };

    fn rendered(text: &str, addresses: &[&str]) -> Value {
        let config = Config::read(text, None, &Layers::default()).unwrap();
        let addresses: Vec<SocketAddr> = addresses.iter().map(|address| address.parse().unwrap()).collect();
        let listeners = listeners(&config, &addresses, Timestamp(1_000));
        let options =
            GatewayOptions { strategy: CoreStrategy::RoundRobin, exposed: None, names: ([127, 0, 0, 1], 53).into() };
        serde_json::from_str(&render(&listeners, &options)).unwrap()
    }

    #[test]
    fn the_first_listener_is_the_mixed_port_and_every_list_of_rules_ends_in_a_group() {
        let config = rendered("", &["127.0.0.1:8000"]);
        assert_eq!(config["mixed-port"], 8000);
        assert_eq!(config["bind-address"], "127.0.0.1");
        assert_eq!(config["authentication"], json!([]));
        assert_eq!(config["rules"], json!(["MATCH,POOL"]));
        assert_eq!(config["proxy-groups"][0]["empty-fallback"], "REJECT");
        assert_eq!(config["proxy-groups"][0]["strategy"], "round-robin");
        assert_eq!(config["external-controller"], Value::Null);
    }

    #[test]
    fn a_further_listener_has_a_group_and_rules_of_its_own() {
        let config = rendered(
            "[proxy]\nusers = [{ name = \"a\", password = \"b:c\" }, { name = \"old\", password = \"x\", expires = \"1970-01-01\" }]\n\
             [[listener]]\nname = \"de\"\nlisten = \"[::1]:8001\"\ncountries = [\"DE\"]\nusers = [{ name = \"off\", password = \"x\", enabled = false }]",
            &["[::1]:8000", "[::1]:8001"],
        );
        assert_eq!(config["bind-address"], "[::1]");
        assert_eq!(config["authentication"], json!(["a:b:c"]), "who has expired is not in the list");
        let listener = &config["listeners"][0];
        assert_eq!((&listener["listen"], &listener["port"]), (&json!("::1"), &json!(8001)));
        assert_eq!(listener["rule"], "POOL-de");
        assert_eq!(listener["udp"], false);
        assert_eq!(config["sub-rules"]["POOL-de"], json!(["NETWORK,udp,REJECT", "MATCH,POOL-de"]));
        assert_eq!(config["rules"][0], "NETWORK,udp,REJECT", "a core asks datagrams for no password");
        assert_eq!(config["proxy-groups"][1]["use"], json!(["pool-1"]));
        let users = listener["users"].as_array().unwrap();
        assert_eq!(users.len(), 1, "an empty list would let everybody in");
        assert_ne!(users[0]["username"], "off");
    }
}
