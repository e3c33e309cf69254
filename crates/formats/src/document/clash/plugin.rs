//! Reads and writes Shadowsocks plugins as Clash writes them: a name, and a map of options with Clash's own keys.

use hezar_core::Plugin;

use crate::{
    field,
    tree::{MapBuilder, Tree},
};

type Options = Vec<(Box<str>, Box<str>)>;

/// The options of kcptun.
const KCPTUN: &[&str] = &[
    "key",
    "crypt",
    "mode",
    "nocomp",
    "acknodelay",
    "conn",
    "autoexpire",
    "scavengettl",
    "mtu",
    "ratelimit",
    "sndwnd",
    "rcvwnd",
    "datashard",
    "parityshard",
    "dscp",
    "nodelay",
    "interval",
    "resend",
    "sockbuf",
    "smuxver",
    "smuxbuf",
    "framesize",
    "streambuf",
    "keepalive",
];

/// Those of them that are numbers.
const KCPTUN_NUMBERS: &[&str] = KCPTUN.split_at(5).1;

/// Reads `plugin` and `plugin-opts`.
pub(super) fn read(entry: &Tree) -> Option<Plugin> {
    let name = field::plugin_name(entry.text(&["plugin"]));
    if name.is_empty() {
        return None;
    }
    let opts = entry.any(&["plugin-opts", "plugin_opts"]);
    if opts.is_scalar() {
        let mut options = field::plugin_options(opts.scalar());
        field::plugin_words(&name, &mut options);
        return Some(Plugin { name, options });
    }
    let obfs = name.as_ref() == "obfs-local";
    let mut options = Options::new();
    for (key, value) in opts.pairs() {
        let key: Box<str> = match key.as_ref() {
            "mode" if obfs => "obfs".into(),
            "host" if obfs => "obfs-host".into(),
            _ => key.clone(),
        };
        match value {
            Tree::Plain(text) if key.as_ref() == "mux" => {
                options.push((key, if field::truth(text) { "1" } else { "0" }.into()));
            }
            Tree::Plain(text) if text.eq_ignore_ascii_case("true") => options.push((key, "".into())),
            Tree::Plain(text) if text.eq_ignore_ascii_case("false") => {}
            Tree::Map(_) => {}
            value => {
                let texts = value.texts();
                if !texts.is_empty() {
                    options.push((key, texts.join(",").into()));
                }
            }
        }
    }
    field::plugin_words(&name, &mut options);
    Some(Plugin { name, options })
}

/// The plugin's name and options in Clash's words; `None` when Clash has no such plugin.
pub(super) fn write(plugin: &Plugin) -> Option<(&str, MapBuilder)> {
    let (name, known): (&str, &[&str]) = match plugin.name.as_ref() {
        "obfs-local" => ("obfs", &["obfs", "obfs-host"]),
        "v2ray-plugin" => ("v2ray-plugin", &["mode", "tls", "host", "path", "mux"]),
        "shadow-tls" => ("shadow-tls", &["host", "password", "version", "alpn", "skip-cert-verify"]),
        "restls" => ("restls", &["host", "password", "version-hint", "restls-script"]),
        "gost-plugin" => ("gost-plugin", &["mode", "tls", "mux", "host", "path", "skip-cert-verify", "fingerprint"]),
        "kcptun" => ("kcptun", KCPTUN),
        _ => return None,
    };
    let mut opts = MapBuilder::default();
    for (key, value) in &plugin.options {
        if !known.contains(&key.as_ref()) {
            return None;
        }
        let key = match key.as_ref() {
            "obfs" => "mode",
            "obfs-host" => "host",
            key => key,
        };
        match (key, value.as_ref()) {
            ("mux", value) => opts.put(key, Tree::Plain(field::truth(value).to_string().into())),
            ("alpn", value) => opts.texts(key, &value.split(',').map(Into::into).collect::<Vec<_>>()),
            ("version", value) => opts.put(key, Tree::Plain(value.into())),
            (key, value) if KCPTUN_NUMBERS.contains(&key) => opts.put(key, Tree::Plain(value.into())),
            (_, "") => opts.flag(key, true),
            (_, value) => opts.text(key, value),
        };
    }
    // mihomo refuses these plugins without a mode.
    let needs_mode = matches!(name, "obfs" | "v2ray-plugin" | "gost-plugin");
    let has_mode = plugin.options.iter().any(|(key, _)| matches!(key.as_ref(), "mode" | "obfs"));
    (has_mode || !needs_mode).then_some((name, opts))
}
