//! The peers as clients: what a subscription says, and a local port for each of its nodes.

use std::{collections::BTreeMap, fs, net::SocketAddr, path::Path};

use hezar_core::{NodeSpec, Obfs2, Outbound};
use hezar_interop::{
    Peer, ProxyClient,
    harness::{Running, listening_addresses},
};
use serde_json::{Value, json};

use crate::{rows::Row, world::World};

/// What becomes of the end of one direction at a client; each is what the program shows at a server of its own, too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AtEnd {
    /// It passes, and the other direction goes on.
    Passes,
    /// Both directions end.
    ClosesBoth,
    /// It is never told; the other direction goes on.
    Swallows,
}

/// A running client. It ends when it is dropped.
pub(crate) struct Client {
    peer: Peer,
    running: Running,
    ways: BTreeMap<&'static str, ProxyClient>,
}

/// A node of the subscription: what the client calls it, its listener, and the local port that leads to it.
struct Way {
    node: NodeSpec,
    tag: String,
    row: Row,
    local: SocketAddr,
}

impl Client {
    /// Starts a peer with what a subscription gives it; every listener must be among it.
    pub(crate) fn start(peer: Peer, world: &World, subscription: &str, name: &str) -> Self {
        Self::start_changed(peer, world, subscription, name, |given| given)
    }

    /// The same with a change that the subscription cannot say.
    pub(crate) fn start_changed(
        peer: Peer,
        world: &World,
        subscription: &str,
        name: &str,
        change: impl FnOnce(String) -> String,
    ) -> Self {
        let folder = world.folder(name);
        let target = match peer {
            Peer::SingBox => "sing-box",
            Peer::Mihomo => "clash",
            Peer::Hysteria => "links",
            _ => "xray",
        };
        let given = world.read(subscription, target);
        let ways = ways(world, &given);
        let given = change(given);
        let (program, root) = (peer.program().unwrap(), world.root());
        let arguments: &[&str] = match peer {
            Peer::Mihomo => {
                fs::write(folder.join("sub.yaml"), &given).unwrap();
                fs::write(folder.join("config.yaml"), mihomo(&ways).to_string()).unwrap();
                &["-d", "."]
            }
            Peer::Hysteria => {
                fs::write(folder.join("client.json"), hysteria(&ways, &root).to_string()).unwrap();
                &["client", "client.json"]
            }
            _ => {
                let given = if peer == Peer::SingBox { without_browsers(&given) } else { given };
                fs::write(folder.join("sub.json"), &given).unwrap();
                let own = if peer == Peer::SingBox { sing_box(&ways) } else { xray(&ways) };
                fs::write(folder.join("in.json"), own.to_string()).unwrap();
                &["run", "-c", "sub.json", "-c", "in.json"]
            }
        };
        // They are programs in Go, which take the roots that they trust from there; and mihomo would take a client for itself
        // when the client's port is one that it dialled from.
        let variables = [("SSL_CERT_FILE", root.to_str().unwrap()), ("DISABLE_LOOPBACK_DETECTOR", "1")];
        let mut running = Running::start_with(&program, arguments, &folder, &variables);
        ways.iter().for_each(|way| running.accepts(way.local));
        let ways = ways.into_iter().map(|way| (way.row.name, ProxyClient { gateway: way.local })).collect();
        Self { peer, running, ways }
    }

    /// What it does with the end of one direction.
    pub(crate) fn at_end(&self, row: Row) -> AtEnd {
        let is_of = |kinds: &[&str]| kinds.iter().any(|kind| row.name.contains(kind));
        match self.peer {
            Peer::SingBox if !is_of(&["trojan", "upgrade"]) => AtEnd::ClosesBoth,
            Peer::Mihomo if is_of(&["grpc", "xhttp", "anytls", "hysteria2"]) => AtEnd::ClosesBoth,
            Peer::Xray if is_of(&["ss-2022"]) => AtEnd::Swallows,
            Peer::Hysteria => AtEnd::ClosesBoth,
            _ => AtEnd::Passes,
        }
    }

    /// Whether it is known to send some bytes twice when the machine is busy. Xray (v1.260327.0) does with XHTTP in many requests: its
    /// writer counts the bytes of a buffer after it has passed the buffer on, when it may be empty already, and sends them again.
    pub(crate) fn repeats(&self, row: Row) -> bool {
        self.peer == Peer::Xray && row.name == "vless-xhttp"
    }

    /// The program.
    pub(crate) fn peer(&self) -> &'static str {
        self.peer.name()
    }

    /// The way through one listener.
    pub(crate) fn through(&self, row: Row) -> ProxyClient {
        self.ways[row.name]
    }

    /// The end of what it has written.
    pub(crate) fn log(&self) -> String {
        let log = self.running.log();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(30)..].join("\n")
    }
}

/// The nodes of a subscription, told apart by the ports of their listeners. Hezar reads its own words here.
fn ways(world: &World, given: &str) -> Vec<Way> {
    let parsed = hezar_formats::parse(given.as_bytes());
    assert!(parsed.rejects.is_empty(), "Hezar does not read what it gave out: {:?}\n{given}", parsed.rejects);
    let locals = listening_addresses(world.rows.len());
    let ways = world.rows.iter().zip(locals).map(|((row, address), local)| {
        let port = row.front.unwrap_or(address.port());
        let node = parsed.nodes.iter().find(|node| node.spec.server.port() == port);
        let node = node.unwrap_or_else(|| panic!("{} is not in the subscription: {given}", row.name));
        Way { node: node.spec.clone(), tag: node.label.to_string(), row: *row, local }
    });
    ways.collect()
}

/// The nodes of sing-box without the hello of a browser, which the program that is published as a package cannot send.
fn without_browsers(given: &str) -> String {
    let mut config: Value = serde_json::from_str(given).unwrap();
    for outbound in config["outbounds"].as_array_mut().unwrap() {
        if let Some(tls) = outbound.get_mut("tls").and_then(Value::as_object_mut) {
            tls.remove("utls");
        }
    }
    config.to_string()
}

fn inbound(way: &Way) -> String {
    format!("in {}", way.row.name)
}

/// Links are read by Hysteria's program, which cannot be had, and not by its library.
fn hysteria(ways: &[Way], root: &Path) -> Value {
    let fronts = ways.iter().map(|way| {
        let Outbound::Hysteria2(node) = &way.node.outbound else { panic!("{} is no Hysteria 2", way.tag) };
        let obfs = node.obfs.as_ref().map(|obfs| match obfs {
            Obfs2::Salamander { password } | Obfs2::Gecko { password, .. } => {
                json!({ "Type": "salamander", "Password": password.expose() })
            }
        });
        json!({
            "Listen": way.local, "Server": way.node.server.to_string(), "Name": node.tls.server_name, "Root": root,
            "Auth": node.auth.expose(), "Obfs": obfs,
        })
    });
    Value::Array(fronts.collect())
}

fn sing_box(ways: &[Way]) -> Value {
    let inbounds = ways.iter().map(
        |way| json!({ "type": "mixed", "tag": inbound(way), "listen": "127.0.0.1", "listen_port": way.local.port() }),
    );
    let rules = ways.iter().map(|way| json!({ "inbound": [inbound(way)], "outbound": way.tag }));
    json!({ "inbounds": inbounds.collect::<Vec<_>>(), "route": { "rules": rules.collect::<Vec<_>>() } })
}

fn xray(ways: &[Way]) -> Value {
    let inbounds = ways.iter().map(|way| {
        json!({
            "protocol": "socks", "tag": inbound(way), "listen": "127.0.0.1", "port": way.local.port(),
            "settings": { "udp": true, "ip": "127.0.0.1" },
        })
    });
    let rules = ways.iter().map(|way| json!({ "type": "field", "inboundTag": [inbound(way)], "outboundTag": way.tag }));
    json!({ "inbounds": inbounds.collect::<Vec<_>>(), "routing": { "rules": rules.collect::<Vec<_>>() } })
}

/// Each node is the only one of a group, since its port can name a group and no node of a provider.
fn mihomo(ways: &[Way]) -> Value {
    let listeners = ways.iter().map(|way| {
        json!({
            "name": inbound(way), "type": "mixed", "listen": "127.0.0.1", "port": way.local.port(), "udp": true,
            "users": [], "proxy": way.row.name,
        })
    });
    let groups = ways.iter().map(|way| {
        json!({ "name": way.row.name, "type": "select", "use": ["sub"], "filter": format!("^{}$", escaped(&way.tag)) })
    });
    json!({
        "mode": "rule", "log-level": "info", "ipv6": false, "rules": ["MATCH,REJECT"],
        "proxy-providers": { "sub": { "type": "file", "path": "./sub.yaml" } },
        "listeners": listeners.collect::<Vec<_>>(), "proxy-groups": groups.collect::<Vec<_>>(),
    })
}

/// The text as a regular expression.
fn escaped(text: &str) -> String {
    let escape = |letter: char| {
        let backslash = if letter.is_ascii_punctuation() { "\\" } else { "" };
        format!("{backslash}{letter}")
    };
    text.chars().map(escape).collect()
}
