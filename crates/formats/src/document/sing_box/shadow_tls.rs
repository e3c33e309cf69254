//! ShadowTLS: sing-box writes it as an outbound beneath another one, elsewhere it is a plugin.

use crate::tree::{MapBuilder, Tree};
use hezar_core::{NodeSpec, Outbound, Plugin};

/// The plugin's name.
pub(super) const NAME: &str = "shadow-tls";

/// Whether an entry is ShadowTLS, which is only used beneath another entry.
pub(in super::super) fn is_shadow_tls(entry: &Tree) -> bool {
    entry.text(&["type"]) == "shadowtls"
}

/// Whether TLS settings pin a server in a way that cannot be checked here.
pub(super) fn has_other_pin(tls: &Tree) -> bool {
    ["certificate_public_key_sha256", "certificate_path"].iter().any(|key| !tls.get(key).texts().is_empty())
}

/// The plugin that corresponds to an entry.
pub(super) fn read(entry: &Tree) -> Plugin {
    let tls = entry.get("tls");
    let alpn = tls.get("alpn").words().join(",");
    let fields = [
        ("host", tls.text(&["server_name"])),
        ("password", entry.text(&["password"])),
        ("version", entry.text(&["version"])),
        ("alpn", &alpn),
    ];
    let filled = fields.into_iter().filter(|(_, value)| !value.is_empty());
    let blind = tls.flag(&["insecure"]).then_some(("skip-cert-verify", ""));
    // The engine cannot pin the certificate of this plugin's site, and refuses the node with this option.
    let pinned = has_other_pin(tls) || !tls.get("certificate").texts().is_empty();
    let pinned = pinned.then_some(("fingerprint", "certificate"));
    let options = filled.chain(blind).chain(pinned).map(|(name, value)| (name.into(), value.into())).collect();
    Plugin { name: NAME.into(), options }
}

/// The entry beneath a Shadowsocks node's; `None` when it has no such plugin.
pub(super) fn write(spec: &NodeSpec) -> Option<MapBuilder> {
    let Outbound::Shadowsocks(shadowsocks) = &spec.outbound else { return None };
    let plugin = shadowsocks.plugin.as_ref().filter(|plugin| plugin.name.as_ref() == NAME)?;
    let option = |name: &str| plugin.options.iter().find(|(key, _)| key.as_ref() == name).map(|(_, value)| value);
    let text = |name: &str| option(name).map(AsRef::as_ref).unwrap_or_default();
    let alpn: Vec<Box<str>> = text("alpn").split(',').filter(|name| !name.is_empty()).map(Into::into).collect();
    let mut tls = MapBuilder::default();
    tls.flag("enabled", true).text("server_name", text("host"));
    tls.flag("insecure", option("skip-cert-verify").is_some()).texts("alpn", &alpn);
    let mut map = MapBuilder::default();
    map.text("type", "shadowtls").text("server", &spec.server.host().to_string());
    map.number("server_port", Some(spec.server.port())).number("version", text("version").parse::<u8>().ok());
    map.text("password", text("password")).map("tls", tls);
    Some(map)
}
