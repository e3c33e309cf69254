//! What the writers of whole configurations share: what they give, chains, and names that occur once.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::{Arc, LazyLock},
    time::Duration,
};

use hezar_core::{Carrier, Fingerprint, Label, NodeId, NodeSpec, Outbound, Plugin, Security, StreamNode};
use thiserror::Error;

use crate::tree::MapBuilder;

/// The group of a profile from which a person chooses.
pub(super) const SELECT_GROUP: &str = "Hezar";
/// The group of a profile that uses the fastest node.
pub(super) const FASTEST_GROUP: &str = "Fastest";
/// What clients ask for through every node of a profile.
pub(super) const TEST_URL: &str = "http://www.gstatic.com/generate_204";
/// How often they do.
pub(super) const TEST_INTERVAL: Duration = Duration::from_secs(600);

/// The label of a node that is only there for others.
static UNNAMED: LazyLock<Label> = LazyLock::new(Label::default);

/// Why a client's configuration cannot have a node. Its text is a noun, such as `mKCP` or `a plugin that the client does not have`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Error)]
#[error("{0}")]
pub struct Unwritable(pub(crate) &'static str);

impl Unwritable {
    /// Reading the entry gives another node: some setting is lost.
    pub(super) const UNFAITHFUL: Self = Self("a setting that the client does not have");
    /// Shadowsocks with another method, or a key that the method does not take.
    pub(super) const METHOD: Self = Self("a Shadowsocks method or key that the client does not take");
    /// A SIP003 plugin, or an option of one.
    pub(super) const PLUGIN: Self = Self("a Shadowsocks plugin or an option of it that the client does not have");
    /// A protocol, with some of its settings.
    pub(super) const PROTOCOL: Self = Self("a protocol that the client does not speak");
    /// A transport, with some of its settings.
    pub(super) const TRANSPORT: Self = Self("a transport that the client does not have");
    /// How the server proves who it is.
    pub(super) const SECURITY: Self = Self("a TLS or REALITY setting that the client does not have");
    /// VLESS encryption with keys that cannot be read.
    pub(super) const ENCRYPTION: Self = Self("VLESS encryption that the client cannot read");
    /// WireGuard without an address inside the tunnel.
    pub(super) const NO_ADDRESS: Self = Self("WireGuard without an address inside the tunnel");
    /// WireGuard with an MTU that its addresses do not allow.
    pub(super) const MTU: Self = Self("WireGuard with an MTU or address that the client does not take");
    /// What only the client itself can check, such as a private key.
    pub(super) const UNCHECKED: Self = Self("keys or certificates that only the client itself can check");
    /// WireGuard without the peer's key.
    pub(super) const NO_PEER_KEY: Self = Self("WireGuard without the peer's key");
    /// Through other nodes.
    pub(super) const CHAIN: Self = Self("a chain of nodes, which the client does not have");

    /// The reason.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        self.0
    }
}

/// A node that a client's configuration does not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OmittedNode {
    /// Its place among the given nodes, counted from 0.
    pub index: usize,
    /// Why.
    pub reason: Unwritable,
}

/// A client's configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// The whole text.
    pub text: String,
    /// The nodes that are missing, because the client would not take them.
    pub left_out: Vec<OmittedNode>,
}

impl Written {
    /// How many nodes are missing for each reason.
    #[must_use]
    pub fn reasons(&self) -> BTreeMap<&'static str, usize> {
        let mut reasons = BTreeMap::new();
        for left_out in &self.left_out {
            *reasons.entry(left_out.reason.reason()).or_default() += 1;
        }
        reasons
    }
}

/// An entry to be written, and the name of the entry that it goes through (empty = none).
pub(super) struct Named {
    pub(super) name: String,
    pub(super) via: String,
    pub(super) spec: NodeSpec,
    pub(super) body: MapBuilder,
}

/// Writes a portable node alone.
pub(super) type EntryWriter = fn(&NodeSpec) -> Result<MapBuilder, Unwritable>;

/// Names the nodes of a document, and those that others go through: each of these becomes one entry too.
pub(super) struct Chains {
    names: Names,
    entry: EntryWriter,
    hops: HashMap<NodeId, String>,
    left_out: Vec<OmittedNode>,
}

impl Chains {
    /// Without entries; `entry` writes each of them.
    pub(super) fn new(names: Names, entry: EntryWriter) -> Self {
        Self { names, entry, hops: HashMap::new(), left_out: Vec::new() }
    }

    /// A name for what is beneath the entry of this name and no node of its own.
    pub(super) fn beneath(&mut self, name: &str) -> String {
        self.names.unique(format!("{name} shadow-tls"))
    }

    /// The entries of the node at this place: those it goes through that are not written yet, then its own. `None` when the client would
    /// not take one of them; then the node is left out.
    pub(super) fn entries(&mut self, index: usize, spec: &NodeSpec, label: &Label) -> Option<Vec<Named>> {
        let entries = self.named(spec, label);
        entries.map_err(|reason| self.left_out.push(OmittedNode { index, reason })).ok()
    }

    /// The nodes that were left out.
    pub(super) fn into_left_out(self) -> Vec<OmittedNode> {
        self.left_out
    }

    fn named(&mut self, spec: &NodeSpec, label: &Label) -> Result<Vec<Named>, Unwritable> {
        let bodies: Result<Vec<_>, _> = spec
            .hops()
            .map(|hop| {
                let alone = portable(&hop.alone());
                (self.entry)(&alone).map(|body| (hop, alone, body))
            })
            .collect();
        let (mut entries, mut via) = (Vec::new(), String::new());
        for (hop, alone, body) in bodies?.into_iter().rev() {
            let is_last = std::ptr::eq(hop, spec);
            let known = if is_last { None } else { self.hops.get(&hop.id()) };
            if let Some(known) = known {
                via.clone_from(known);
                continue;
            }
            let name = self.names.name(&alone, if is_last { label } else { &UNNAMED });
            if !is_last {
                self.hops.insert(hop.id(), name.clone());
            }
            entries.push(Named { name: name.clone(), via: std::mem::replace(&mut via, name), spec: alone, body });
        }
        Ok(entries)
    }
}

/// The bandwidths, up and down in Mbit/s, of Hysteria 1 nodes that name none: the clients insist on both. Most links that name some have
/// about these.
const HYSTERIA_MBPS: (u32, u32) = (11, 55);

/// A node without what no other client's behaviour depends on: the spider's path of REALITY, the imitated browser
/// inside QUIC, where none exists, and a plugin's spelling. What all clients would choose alike is filled in: REALITY's absent
/// fingerprint is Chrome's, a node of WARP has its keys, and Hysteria 1 its bandwidths. What a writer writes reads back as this.
#[must_use]
pub(crate) fn portable(spec: &NodeSpec) -> NodeSpec {
    let outbound = match &spec.outbound {
        Outbound::Stream(node) => portable_stream(node).unwrap_or_else(|| spec.outbound.clone()),
        Outbound::Hysteria2(hysteria2) => {
            let mut hysteria2 = hysteria2.clone();
            hysteria2.tls.fingerprint = None;
            Outbound::Hysteria2(hysteria2)
        }
        Outbound::Hysteria(hysteria) => {
            let mut hysteria = hysteria.clone();
            hysteria.tls.fingerprint = None;
            hysteria.up_mbps = hysteria.up_mbps.or(Some(HYSTERIA_MBPS.0));
            hysteria.down_mbps = hysteria.down_mbps.or(Some(HYSTERIA_MBPS.1));
            Outbound::Hysteria(hysteria)
        }
        Outbound::Tuic(tuic) => {
            let mut tuic = tuic.clone();
            tuic.tls.fingerprint = None;
            Outbound::Tuic(tuic)
        }
        Outbound::WireGuard(node) => Outbound::WireGuard(Box::new(node.completed(spec.server.host()))),
        Outbound::Shadowsocks(shadowsocks) => {
            let mut shadowsocks = shadowsocks.clone();
            shadowsocks.plugin = shadowsocks.plugin.map(|plugin| Box::new(portable_plugin(*plugin)));
            Outbound::Shadowsocks(shadowsocks)
        }
        other => other.clone(),
    };
    let alone = NodeSpec::new(spec.server.clone(), outbound);
    match spec.via() {
        // As long as the original, so never too long.
        Some(via) => alone.clone().through(Arc::new(portable(via))).unwrap_or(alone),
        None => alone,
    }
}

/// ShadowTLS in Clash's words and one order, also where its own program's are published (`v3;passwd=…`). v2ray-plugin with each option once
/// and with its mode, which is WebSocket where none is named.
fn portable_plugin(mut plugin: Plugin) -> Plugin {
    const ORDER: [&str; 5] = ["host", "password", "version", "alpn", "skip-cert-verify"];
    if plugin.name.as_ref() == "v2ray-plugin" {
        let mut seen = HashSet::new();
        plugin.options.retain(|(name, _)| seen.insert(name.clone()));
        for (name, value) in &mut plugin.options {
            match name.as_ref() {
                // A number of streams in one connection.
                "mux" => *value = if matches!(value.as_ref(), "0" | "false") { "0" } else { "1" }.into(),
                "tls" if matches!(value.as_ref(), "1" | "true" | "tls") => *value = "".into(),
                _ => {}
            }
        }
        if seen.insert("mode".into()) {
            plugin.options.insert(0, ("mode".into(), "websocket".into()));
        }
    }
    if plugin.name.as_ref() == "shadow-tls" {
        for (name, value) in &mut plugin.options {
            match (name.as_ref(), value.as_ref()) {
                ("passwd", _) => *name = "password".into(),
                ("v3", "") => (*name, *value) = ("version".into(), "3".into()),
                _ => {}
            }
        }
        let place = |name: &str| ORDER.iter().position(|known| *known == name).unwrap_or(ORDER.len());
        plugin.options.sort_by_key(|(name, _)| place(name));
    }
    plugin
}

fn portable_stream(node: &StreamNode) -> Option<Outbound> {
    let mut carrier = node.carrier().clone();
    if let Carrier::Tcp { security: Security::Reality(reality), .. }
    | Carrier::Grpc { security: Security::Reality(reality), .. }
    | Carrier::Xhttp { security: Security::Reality(reality), .. } = &mut carrier
    {
        reality.spider_x = None;
        if !reality.own_hello {
            reality.fingerprint = reality.fingerprint.or(Some(Fingerprint::Chrome));
        }
    }
    Outbound::stream(node.protocol().clone(), carrier).ok()
}

/// Gives each node a name of its own.
#[derive(Default)]
pub(super) struct Names {
    used: HashSet<String>,
    /// The last number given to a name, so that a thousand equal names cost no thousand tries each.
    numbers: HashMap<String, usize>,
}

impl Names {
    /// Names that the client keeps for itself.
    pub(super) fn reserving(names: &[&str]) -> Self {
        Self { used: names.iter().map(|name| (*name).to_owned()).collect(), numbers: HashMap::new() }
    }

    /// The label, or scheme and server; a number follows when the name is taken.
    pub(super) fn name(&mut self, spec: &NodeSpec, label: &Label) -> String {
        let base =
            if label.is_empty() { format!("{} {}", spec.scheme(), spec.server) } else { label.as_str().to_owned() };
        self.unique(base)
    }

    fn unique(&mut self, base: String) -> String {
        let number = self.numbers.entry(base.clone()).or_insert(0);
        loop {
            *number += 1;
            let name = if *number == 1 { base.clone() } else { format!("{base} {number}") };
            if self.used.insert(name.clone()) {
                return name;
            }
        }
    }
}
