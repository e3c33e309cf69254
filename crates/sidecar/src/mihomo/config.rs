//! Writes mihomo's configuration: JSON, which YAML includes.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use hezar_core::Host;
use hezar_engine::AddressPolicy;
use serde_json::{Value, json};

use crate::slots::{CoreNode, PlannedSlot, SlotPlan, slot_name};

/// The controller's socket in the home folder.
pub(super) const SOCKET: &str = "ctl.sock";

/// A configuration, and whose entries its nodes are.
#[derive(Debug)]
pub(super) struct Rendered {
    pub(super) text: String,
    /// For each entry of `proxies` the number of its slot.
    pub(super) owners: Vec<usize>,
}

/// Writes the configuration for these slots; `listeners` has an address for each block of them. The nodes that the core has not seen yet come
/// first: it stops at the first one that it refuses.
///
/// Nothing of it ever goes directly to a target: every list of rules ends with REJECT, and an empty slot is a node that rejects. Names are
/// not looked up by the core: it gets the addresses of servers that this machine has looked up, and asks nobody.
pub(super) fn render(plan: &SlotPlan, listeners: &[SocketAddr]) -> Rendered {
    let (entries, owners) = proxies(plan);
    let blocks = || listeners.iter().enumerate();
    let listeners: Vec<Value> = blocks().map(|(block, address)| listener(plan, block, *address)).collect();
    let sub_rules: BTreeMap<String, Value> =
        blocks().map(|(block, _)| (rule_name(block), rules(plan, block))).collect();
    let settings = json!({
        "mode": "rule",
        "log-level": "warning",
        "ipv6": true,
        "allow-lan": false,
        "find-process-mode": "off",
        "profile": { "store-selected": false, "store-fake-ip": false },
        "external-controller-unix": SOCKET,
        "dns": {
            "enable": true,
            "ipv6": true,
            // Names of /etc/hosts lead elsewhere at the node than here.
            "use-system-hosts": false,
            "nameserver": ["rcode://refused"],
            "proxy-server-nameserver": ["rcode://refused"],
        },
        "hosts": hosts(plan),
        "listeners": listeners,
        "sub-rules": sub_rules,
        "rules": ["MATCH,REJECT"],
    });
    // The entries are JSON already.
    let mut text = settings.to_string();
    text.truncate(text.len() - 1);
    text.push_str(",\n\"proxies\": [\n");
    text.push_str(&entries.join(",\n"));
    text.push_str("\n]}\n");
    Rendered { text, owners }
}

fn rule_name(block: usize) -> String {
    format!("slots{block}")
}

fn listener(plan: &SlotPlan, block: usize, address: SocketAddr) -> Value {
    let user =
        |(index, slot): (usize, &PlannedSlot)| json!({ "username": slot_name(index), "uuid": slot.user.to_string() });
    json!({
        "name": format!("in{block}"),
        "type": "vless",
        "listen": address.ip().to_string(),
        "port": address.port(),
        "rule": rule_name(block),
        "allow-insecure": true,
        "users": plan.block(block).map(user).collect::<Vec<_>>(),
    })
}

fn rules(plan: &SlotPlan, block: usize) -> Value {
    let to_slot = |(index, _)| {
        let name = slot_name(index);
        format!("IN-USER,{name},{name}")
    };
    plan.block(block).map(to_slot).chain(["MATCH,REJECT".to_owned()]).collect()
}

/// The entries of `proxies`, and for each of them its slot.
fn proxies(plan: &SlotPlan) -> (Vec<String>, Vec<usize>) {
    let unproven: BTreeSet<usize> = plan.unproven().into_iter().collect();
    let proven = (0..plan.slots.len()).filter(|index| !unproven.contains(index));
    let (mut entries, mut owners) = (Vec::new(), Vec::new());
    for index in unproven.iter().copied().chain(proven) {
        let Some(slot) = plan.slots.get(index) else { continue };
        let name = slot_name(index);
        // A dialer is made for a node that can be written, and for no other one.
        let write = |node: &Arc<CoreNode>| super::render(&name, &node.spec).unwrap_or_default();
        let written = slot.node.as_ref().map(|node| slot.entries.get_or_init(|| write(node)).as_slice());
        match written.unwrap_or_default() {
            [] => entries.push(json!({ "name": name, "type": "reject" }).to_string()),
            written => entries.extend_from_slice(written),
        }
        owners.resize(entries.len(), index);
    }
    (entries, owners)
}

/// The addresses of the servers that have names: of several nodes at a name, those that were found last. Where a name is allowed private
/// addresses for one node and not for another one, it has only those that every node may have.
fn hosts(plan: &SlotPlan) -> BTreeMap<&str, BTreeSet<IpAddr>> {
    let mut hosts = BTreeMap::new();
    for slot in &plan.slots {
        let Some(node) = &slot.node else { continue };
        let Host::Name(name) = node.spec.first_server().host() else { continue };
        let rank = (node.policy == AddressPolicy::PublicOnly, slot.addressed_at);
        let (known_rank, known) = hosts.entry(name.as_str()).or_insert((rank, &slot.addresses));
        if rank > *known_rank {
            (*known_rank, *known) = (rank, &slot.addresses);
        }
    }
    hosts.into_iter().map(|(name, (_, addresses))| (name, addresses.iter().copied().collect())).collect()
}
