//! Reads the INI files of wg-quick(8): one interface and its peers, each peer a node.

use hezar_core::{Label, NodeSpec};

use super::ini;
use crate::{
    Parsed, RejectCode, amnezia, field,
    outbound::WireGuardText,
    tree::{MapBuilder, Tree},
};

/// Whether a text is such a file.
pub(super) fn is_wg_quick(text: &str) -> bool {
    ini::lines(text).any(|line| line.section == "interface" && setting(line.text).0.eq_ignore_ascii_case("privatekey"))
}

/// `Key = value` without the comment behind it: neither sign occurs in a value.
fn setting(line: &str) -> (&str, &str) {
    let line = line.split(['#', ';']).next().unwrap_or_default();
    let (key, value) = line.split_once('=').unwrap_or((line, ""));
    (key.trim(), value.trim())
}

/// One section's settings, with keys in lower case.
struct Section {
    line: usize,
    name: String,
    title: String,
    settings: MapBuilder,
}

/// Reads every peer.
pub(super) fn read(text: &str) -> Parsed {
    let mut parsed = Parsed::default();
    let mut interface = Tree::Null;
    for section in sections(text) {
        let settings = section.settings.into_tree();
        match section.name.as_str() {
            "interface" => interface = settings,
            "peer" => match node(&interface, &settings) {
                Ok(spec) => parsed.accept(section.line, spec, Label::new(&section.title)),
                Err(code) => parsed.refuse(section.line, "[Peer]", code),
            },
            _ => {}
        }
    }
    parsed
}

fn sections(text: &str) -> Vec<Section> {
    let mut sections: Vec<Section> = Vec::new();
    // The comment right above a section is its name.
    let mut comment = "";
    for (line, number) in text.lines().zip(1..) {
        let line = line.trim();
        if line.is_empty() {
            continue;
        }
        if ini::is_comment(line) {
            comment = line.trim_start_matches(['#', ';', '/', ' ']);
            comment = comment.strip_prefix("Name").map_or(comment, |rest| rest.trim_start_matches([' ', '=', ':']));
            continue;
        }
        if let Some(name) = ini::section(line.split(['#', ';']).next().unwrap_or_default()) {
            let title = comment.to_owned();
            sections.push(Section { line: number, name, title, settings: MapBuilder::default() });
        } else if let Some(section) = sections.last_mut() {
            let (key, value) = setting(line);
            section.settings.text(&key.to_ascii_lowercase(), value);
        }
        comment = "";
    }
    sections
}

fn node(interface: &Tree, peer: &Tree) -> Result<NodeSpec, RejectCode> {
    // A key may be given several times.
    let addresses = interface.pairs().iter().filter(|(key, _)| key.as_ref() == "address");
    let outbound = WireGuardText {
        private_key: interface.text(&["privatekey"]),
        public_key: peer.text(&["publickey"]),
        pre_shared_key: peer.text(&["presharedkey"]),
        addresses: addresses.flat_map(|(_, value)| value.words()).collect(),
        reserved: match peer.text(&["reserved"]) {
            "" => interface.text(&["reserved"]),
            reserved => reserved,
        },
        mtu: interface.text(&["mtu"]),
        keepalive: peer.text(&["persistentkeepalive"]),
    }
    .outbound()?;
    let outbound = amnezia::with_options(outbound, interface)?;
    let (host, port) = peer.text(&["endpoint"]).rsplit_once(':').ok_or(RejectCode::BadHost)?;
    Ok(NodeSpec::new(field::server(host, port)?, outbound))
}
