//! Writes nodes as `outbounds` and `endpoints` that sing-box accepts.

use hezar_core::{Label, NodeSpec, Outbound};

use super::{
    super::{
        accepted::keys_ok,
        write::{Chains, FASTEST_GROUP, Named, Names, SELECT_GROUP, Unwritable, Written},
    },
    outbound,
    profile::{Entries, PROFILE, ROUTE},
    read, shadow_tls,
};
use crate::tree::{MapBuilder, Tree};

/// Writes every node that sing-box has words for; one entry per line.
pub(crate) fn document<'a>(nodes: impl Iterator<Item = (&'a NodeSpec, &'a Label)>) -> Written {
    entries(nodes).into_written("")
}

/// The same with a group to choose from, one that tests all of them, and a route that leads everything there.
pub(crate) fn routed<'a>(nodes: impl Iterator<Item = (&'a NodeSpec, &'a Label)>) -> Written {
    let mut entries = entries(nodes);
    entries.add_groups();
    entries.into_written(ROUTE)
}

/// The same as a whole profile of the clients for phones and desktops, which take the traffic of the whole device.
pub(crate) fn profile<'a>(nodes: impl Iterator<Item = (&'a NodeSpec, &'a Label)>) -> Written {
    let mut entries = entries(nodes);
    entries.add_groups();
    entries.into_written(PROFILE)
}

fn entries<'a>(nodes: impl Iterator<Item = (&'a NodeSpec, &'a Label)>) -> Entries {
    let mut chains = Chains::new(Names::reserving(&[SELECT_GROUP, FASTEST_GROUP, "direct"]), entry);
    let (mut outbounds, mut endpoints, mut tags) = (Vec::new(), Vec::new(), Vec::new());
    for (index, (spec, label)) in nodes.enumerate() {
        let Some(entries) = chains.entries(index, spec, label) else { continue };
        tags.extend(entries.last().map(|entry| Box::from(entry.name.as_str())));
        for Named { name, via, spec, body } in entries {
            let mut map = MapBuilder::default();
            map.text("tag", &name);
            map.append(body);
            let beneath = shadow_tls::write(&spec).map(|beneath| (chains.beneath(&name), beneath));
            map.text("detour", beneath.as_ref().map_or(&via, |(tag, _)| tag));
            if let Some((tag, beneath)) = beneath {
                let mut map = MapBuilder::default();
                map.text("tag", &tag).append(beneath).text("detour", &via);
                outbounds.push(map.into_tree().json());
            }
            let is_endpoint = matches!(spec.outbound, Outbound::WireGuard(_));
            let list = if is_endpoint { &mut endpoints } else { &mut outbounds };
            list.push(map.into_tree().json());
        }
    }
    Entries { outbounds, endpoints, tags, left_out: chains.into_left_out() }
}

/// A portable node's entry without a tag. The proof that nothing is lost is reading it back.
fn entry(spec: &NodeSpec) -> Result<MapBuilder, Unwritable> {
    if !keys_ok(spec) {
        return Err(Unwritable::UNCHECKED);
    }
    let mut map = MapBuilder::default();
    let kind = match &spec.outbound {
        Outbound::Socks(_) => "socks",
        Outbound::Http(_) => "http",
        Outbound::Shadowsocks(_) => "shadowsocks",
        // Removed in 1.6.
        Outbound::ShadowsocksR(_) => return Err(Unwritable::PROTOCOL),
        other => other.scheme(),
    };
    map.text("type", kind);
    let beneath = shadow_tls::write(spec).map(MapBuilder::into_tree);
    match &spec.outbound {
        Outbound::WireGuard(node) => outbound::wireguard(&mut map, spec, node)?,
        Outbound::Hysteria2(node) => {
            server(&mut map, spec, &node.ports);
            outbound::hysteria2(&mut map, node)?;
        }
        Outbound::Hysteria(node) => {
            server(&mut map, spec, &node.ports);
            outbound::hysteria(&mut map, node)?;
        }
        other => {
            if beneath.is_none() {
                server(&mut map, spec, &[]);
            }
            outbound::body(&mut map, other)?;
        }
    }
    let tree = map.into_tree();
    let faithful = matches!(read::entry(&tree, beneath.as_ref()), Ok(Some(back)) if back == *spec);
    if faithful { Ok(MapBuilder::from_tree(tree)) } else { Err(Unwritable::UNFAITHFUL) }
}

/// Where the server is; `server_ports` takes the place of `server_port`.
fn server(map: &mut MapBuilder, spec: &NodeSpec, ports: &[(u16, u16)]) {
    map.text("server", &spec.server.host().to_string());
    let own = spec.server.port();
    if ports.is_empty() {
        map.number("server_port", Some(own));
        return;
    }
    let range = |(first, last): (u16, u16)| Tree::Quoted(format!("{first}:{last}").into());
    let ranges = std::iter::once((own, own)).chain(ports.iter().copied()).map(range).collect();
    map.put("server_ports", Tree::List(ranges));
}
