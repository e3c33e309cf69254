//! SIP003 plugins, built into the dialer. A plugin is a transport to the server, a disguise of the stream, or both.

mod mux;
mod obfs_http;
mod obfs_tls;
#[cfg(test)]
mod tests;

use hezar_core::{Carrier, Plugin, Secret, Tls, WebSocket};

use crate::{
    BoxStream, BuildError,
    io::{codec_stream::CodecStream, header_stream::HeaderStream},
};

/// How the Shadowsocks stream is disguised inside its carrier.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Disguise {
    /// Nothing.
    None,
    /// One HTTP exchange comes in front. The name stands in its Host header; absent = the server's name.
    Http(Option<Box<str>>),
    /// The bytes look like TLS records. The name stands in the hello; absent = the server's name.
    Tls(Option<Box<str>>),
    /// The stream is the only one in v2ray's multiplexer.
    Mux,
}

/// How a plugin changes the connection to a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Plan {
    /// A carrier, and a disguise in it.
    Around(Carrier, Disguise),
    /// ShadowTLS: the site to shake hands with, and the password.
    ShadowTls(Tls, Secret),
}

impl Plan {
    /// The disguise of the Shadowsocks stream.
    pub(super) fn disguise(self) -> Disguise {
        match self {
            Self::Around(_, disguise) => disguise,
            Self::ShadowTls(..) => Disguise::None,
        }
    }
}

/// The host name that clients use with a plugin when the link has none.
const DEFAULT_HOST: &str = "cloudfront.com";

/// How the plugin of a node changes the connection to it.
///
/// # Errors
/// [`BuildError::Unsupported`] for plugins that are not built, [`BuildError::Invalid`] for settings they do not allow.
pub(super) fn plan(plugin: Option<&Plugin>) -> Result<Plan, BuildError> {
    let Some(plugin) = plugin else { return Ok(Plan::Around(Carrier::plain(), Disguise::None)) };
    match plugin.name.as_ref() {
        "obfs-local" => obfs(plugin).map(|disguise| Plan::Around(Carrier::plain(), disguise)),
        "v2ray-plugin" | "xray-plugin" => v2ray(plugin),
        "shadow-tls" => shadow_tls(plugin),
        "restls" => Err(BuildError::Unsupported("the plugin restls")),
        "gost-plugin" => Err(BuildError::Unsupported("the plugin gost-plugin")),
        "kcptun" => Err(BuildError::Unsupported("the plugin kcptun")),
        _ => Err(BuildError::Unsupported("this Shadowsocks plugin")),
    }
}

/// Decodes an answer; the first byte chooses the plugin.
#[cfg(feature = "fuzzing")]
pub(super) fn decode(data: &[u8]) {
    use crate::io::{codec_stream::open_all, header_stream::AnswerHead as _};

    match data.split_first() {
        Some((0, wire)) => open_all(&mut mux::MuxCodec::default(), wire.to_vec()),
        Some((1, wire)) => open_all(&mut obfs_tls::ObfsTlsCodec::new("", 0, [0; 28], [0; 32]), wire.to_vec()),
        Some((_, wire)) => drop(obfs_http::SwitchingProtocols.length(wire)),
        None => {}
    }
}

impl Disguise {
    /// Disguises a stream to `server`. Nothing is sent before the first write.
    pub(super) fn wrap(&self, stream: BoxStream, server: &str) -> BoxStream {
        match self {
            Self::None => stream,
            Self::Http(host) => {
                let request = obfs_http::request(host.as_deref().unwrap_or(server), super::random_array());
                Box::new(HeaderStream::new(stream, request, obfs_http::SwitchingProtocols))
            }
            Self::Tls(host) => {
                let host = host.as_deref().unwrap_or(server);
                let now = u32::try_from(super::unix_now()).unwrap_or_default();
                let codec = obfs_tls::ObfsTlsCodec::new(host, now, super::random_array(), super::random_array());
                Box::new(CodecStream::new(stream, codec))
            }
            Self::Mux => Box::new(CodecStream::new(stream, mux::MuxCodec::default())),
        }
    }
}

/// Reads the options of simple-obfs. The program itself requires a mode; publishers who leave it out mean HTTP.
fn obfs(plugin: &Plugin) -> Result<Disguise, BuildError> {
    let host = first_text(plugin, &["obfs-host", "host"]).map(Into::into);
    match first_text(plugin, &["obfs", "mode"]).unwrap_or("http") {
        "http" => Ok(Disguise::Http(host)),
        "tls" => Ok(Disguise::Tls(host)),
        _ => Err(BuildError::Unsupported("this mode of obfs-local")),
    }
}

fn v2ray(plugin: &Plugin) -> Result<Plan, BuildError> {
    match first_text(plugin, &["mode", "obfs"]).unwrap_or("websocket") {
        "websocket" | "ws" => {}
        "quic" => return Err(BuildError::Unsupported("v2ray-plugin over QUIC")),
        "grpc" => return Err(BuildError::Unsupported("xray-plugin over gRPC")),
        _ => return Err(BuildError::Unsupported("this mode of v2ray-plugin")),
    }
    if ["cert", "certRaw"].iter().any(|name| text(plugin, name).is_some()) {
        return Err(BuildError::Unsupported("a certificate of v2ray-plugin's own"));
    }
    let host: Box<str> = first_text(plugin, &["host", "obfs-host"]).unwrap_or(DEFAULT_HOST).into();
    let websocket = WebSocket {
        path: first_text(plugin, &["path", "obfs-uri"]).unwrap_or("/").into(),
        host: Some(host.clone()),
        headers: Vec::new(),
        early_data: None,
    };
    let skip_verify = plugin.skips_verification();
    let tls = plugin.flag("tls").then(|| Tls { server_name: Some(host), skip_verify, ..Tls::default() });
    // The default of the plugin is 1 on both sides, and a server that expects frames understands nothing else.
    let mux = match plugin.option("mux") {
        None | Some("") => true,
        Some(value) => !matches!(value, "0" | "false"),
    };
    let disguise = if mux { Disguise::Mux } else { Disguise::None };
    Ok(Plan::Around(Carrier::WebSocket { websocket, tls }, disguise))
}

/// Reads the options of ShadowTLS version 3, as the program itself writes them (`v3;passwd=…`) and as Clash does
/// (`version: 3`, `password: …`). Without a version both mean an older one.
fn shadow_tls(plugin: &Plugin) -> Result<Plan, BuildError> {
    match plugin.option("version") {
        Some("3") => {}
        None if plugin.option("v3").is_some() => {}
        Some("1") => return Err(BuildError::Unsupported("version 1 of shadow-tls")),
        None | Some("2") => return Err(BuildError::Unsupported("version 2 of shadow-tls")),
        Some(_) => return Err(BuildError::Unsupported("this version of shadow-tls")),
    }
    if text(plugin, "fingerprint").is_some() {
        return Err(BuildError::Unsupported("a pinned certificate of shadow-tls's site"));
    }
    let password = text(plugin, "password").or_else(|| text(plugin, "passwd"));
    let password = password.ok_or(BuildError::Invalid("shadow-tls needs a password"))?;
    // One of several names is enough.
    let host = text(plugin, "host").and_then(|names| names.split(';').next());
    let alpn = text(plugin, "alpn").unwrap_or_default().split(',').filter(|name| !name.is_empty());
    let site = Tls {
        server_name: host.map(Into::into),
        alpn: alpn.map(Into::into).collect(),
        skip_verify: plugin.skips_verification(),
        ..Tls::default()
    };
    Ok(Plan::ShadowTls(site, Secret::new(password)))
}

/// The text of an option, unless it is empty.
fn text<'a>(plugin: &'a Plugin, name: &str) -> Option<&'a str> {
    plugin.option(name).filter(|value| !value.is_empty())
}

/// The text of the first of these options that has one. Some clients write links with the option names of another plugin.
fn first_text<'a>(plugin: &'a Plugin, names: &[&str]) -> Option<&'a str> {
    names.iter().find_map(|name| text(plugin, name))
}
