//! Shadowsocks plugins: SIP002's `plugin` key, Shadowrocket's JSON keys, and v2rayN's transport keys.

use hezar_core::{Plugin, Target};

use super::{security, vmess};
use crate::{
    field,
    uri::{self, query::Query},
};

/// The most options of one plugin.
const MAX_OPTIONS: usize = 64;

/// What a link says about a plugin.
#[derive(Default)]
pub(super) struct PluginParameters {
    pub(super) plugin: Option<Plugin>,
    /// The plugin's own server, which the client dials instead of the Shadowsocks server.
    pub(super) server: Option<Target>,
}

/// Reads the plugin from a link's parameters.
pub(super) fn read(query: &Query<'_>) -> PluginParameters {
    let text = query.get(&["plugin"]);
    if !text.is_empty() {
        return sip002(text);
    }
    for key in ["shadowtls", "v2rayplugin"] {
        let text = query.get(&[key]);
        if !text.is_empty() {
            return json(if key == "shadowtls" { "shadow-tls" } else { "v2ray-plugin" }, text).unwrap_or_default();
        }
    }
    PluginParameters { plugin: websocket(query), server: None }
}

/// `name;key=value;word`, with `\` in front of a literal `;`, `=` or `\`.
fn sip002(text: &str) -> PluginParameters {
    let (name, rest) = text.split_once(';').unwrap_or((text, ""));
    // Some publishers put an object in place of the options.
    if rest.trim_start().starts_with('{')
        && let Some(found) = json(name, rest)
    {
        return found;
    }
    // The name ends where SIP003's options begin, so it is read as the first of them.
    let mut options = field::plugin_options(text);
    if options.is_empty() {
        return PluginParameters::default();
    }
    let (name, _) = options.remove(0);
    let name = field::plugin_name(&name);
    options.truncate(MAX_OPTIONS);
    field::plugin_words(&name, &mut options);
    let plugin = (name.as_ref() != "none").then_some(Plugin { name, options });
    PluginParameters { plugin, server: None }
}

/// An object in JSON, plain or in base64: true is a bare word, false and empty are left out.
fn json(name: &str, text: &str) -> Option<PluginParameters> {
    let decoded = if text.trim_start().starts_with('{') { None } else { field::base64_text(text) };
    let object = vmess::read_object(decoded.as_deref().unwrap_or(text))?;
    let server = uri::server(object.get(&["address"]), object.get(&["port"])).ok();
    let option = |key: &str| {
        let value = object.get(&[&key.to_ascii_lowercase()]);
        match value {
            // Absent would mean yes: v2ray-plugin's default.
            "false" => (key.into(), "0".into()),
            "true" => (key.into(), "".into()),
            value => (key.into(), value.into()),
        }
    };
    let own = |key: &&str| {
        let value = object.get(&[&key.to_ascii_lowercase()]);
        !["address", "port"].contains(key) && (!matches!(value, "" | "false") || (*key == "mux" && value == "false"))
    };
    let options = object.keys().filter(own).take(MAX_OPTIONS).map(option).collect();
    Some(PluginParameters { plugin: Some(Plugin { name: field::plugin_name(name), options }), server })
}

/// v2rayN writes Shadowsocks over WebSocket with the keys of VLESS; on the wire that is v2ray-plugin without mux.
fn websocket(query: &Query<'_>) -> Option<Plugin> {
    if !["ws", "websocket"].contains(&query.get(&["type"])) {
        return None;
    }
    let mut options: Vec<(Box<str>, Box<str>)> = vec![("mode".into(), "websocket".into())];
    let kind = security::kind(query.get(&["security"]), hezar_core::SecurityKind::None);
    if kind == hezar_core::SecurityKind::Tls {
        options.push(("tls".into(), "".into()));
    }
    for (key, names) in [("host", &["host", "sni"][..]), ("path", &["path"][..])] {
        let value = query.get(names);
        if !value.is_empty() {
            options.push((key.into(), value.into()));
        }
    }
    options.push(("mux".into(), "0".into()));
    Some(Plugin { name: "v2ray-plugin".into(), options })
}

/// The value of SIP002's `plugin` key.
pub(super) fn write(plugin: &Plugin) -> String {
    let name = field::plugin_options_text(&[(plugin.name.clone(), "".into())]);
    if plugin.options.is_empty() { name } else { format!("{name};{}", field::plugin_options_text(&plugin.options)) }
}
