//! Writes the `[Proxy]` rows of Surge, and a group that tests them.

use hezar_core::{
    Carrier, Credentials, Label, NodeSpec, Outbound, Shadowsocks, SocksVersion, StreamNode, StreamProtocol, Tls,
    TuicUser, VmessCipher,
};

use super::super::{
    accepted::method_ok,
    surge,
    write::{Names, OmittedNode, SELECT_GROUP, TEST_INTERVAL, TEST_URL, Unwritable, Written, portable},
};
use crate::Parsed;

/// Names of Surge's own.
const RESERVED: &[&str] = &["DIRECT", "REJECT", "REJECT-DROP", "REJECT-TINYGIF", "REJECT-NO-DROP", SELECT_GROUP];

/// Writes every node that Surge has words for; each line is one entry. The proof is reading it back.
pub(crate) fn document<'a>(nodes: impl Iterator<Item = (&'a NodeSpec, &'a Label)>) -> Written {
    let mut names = Names::reserving(RESERVED);
    let mut written = Written { text: String::from("[Proxy]\n"), ..Written::default() };
    let mut members = Vec::new();
    for (index, (spec, label)) in nodes.enumerate() {
        let spec = portable(spec);
        let Some(row) = row(&spec) else {
            let reason = if spec.via().is_some() { Unwritable::CHAIN } else { Unwritable::UNFAITHFUL };
            written.left_out.push(OmittedNode { index, reason });
            continue;
        };
        // Nothing can be quoted in a name.
        let published =
            if label.is_empty() { format!("{} {}", spec.scheme(), spec.server) } else { label.as_str().into() };
        let fit = published.replace([',', '=', '"', '\'', '[', ']', '{', '}', '(', ')', '#', ';', '/', '\\'], " ");
        let fit = if fit.trim().is_empty() { "node" } else { fit.trim() };
        let name = names.name(&spec, &Label::new(fit));
        written.text.push_str(&format!("{name} = {row}\n"));
        members.push(name);
    }
    if members.is_empty() {
        // A profile without a rule would send everything out directly.
        written.text.push_str("\n[Rule]\nFINAL,REJECT\n");
        return written;
    }
    let members = members.join(", ");
    written.text.push_str(&format!(
        "\n[Proxy Group]\n{SELECT_GROUP} = url-test, {members}, url={TEST_URL}, interval={}\n\n[Rule]\nFINAL,{SELECT_GROUP}\n",
        TEST_INTERVAL.as_secs()
    ));
    written
}

/// The fields behind a node's name; `None` when Surge cannot say it.
fn row(spec: &NodeSpec) -> Option<String> {
    if spec.via().is_some() {
        return None;
    }
    let mut row = Row::default();
    let kind = match &spec.outbound {
        Outbound::Socks(socks) if socks.version == SocksVersion::V5 => {
            login(&mut row, socks.credentials.as_ref());
            layer(&mut row, socks.tls.as_deref())?;
            if socks.tls.is_some() { "socks5-tls" } else { "socks5" }
        }
        Outbound::Http(http) => {
            login(&mut row, http.credentials.as_ref());
            layer(&mut row, http.tls.as_deref())?;
            if http.tls.is_some() { "https" } else { "http" }
        }
        Outbound::Shadowsocks(shadowsocks) => shadowsocks_row(&mut row, shadowsocks)?,
        Outbound::Stream(node) => stream(&mut row, node)?,
        Outbound::AnyTls(anytls) => {
            row.option("password", anytls.password.expose());
            tls(&mut row, &anytls.tls)?;
            "anytls"
        }
        Outbound::Hysteria2(node) if node.obfs.is_none() && node.ports.is_empty() => {
            row.option("password", node.auth.expose());
            tls(&mut row, &node.tls)?;
            row.option("download-bandwidth", &node.down_mbps.map(|mbps| mbps.to_string()).unwrap_or_default());
            "hysteria2"
        }
        Outbound::Tuic(node) => {
            let TuicUser::V5 { id, password } = &node.user else { return None };
            row.option("uuid", &id.to_string());
            row.option("password", password.expose());
            row.option("alpn", &node.tls.alpn.join(","));
            tls(&mut row, &Tls { alpn: Vec::new(), ..node.tls.clone() })?;
            "tuic-v5"
        }
        Outbound::Snell(snell) => {
            row.option("psk", snell.psk.expose());
            row.option("version", &snell.version.to_string());
            row.option("obfs", snell.obfs.map_or("", |obfs| obfs.name()));
            row.option("obfs-host", snell.obfs_host.as_deref().unwrap_or_default());
            "snell"
        }
        _ => return None,
    };
    let host = spec.server.host().to_string();
    let text = format!("{kind}, {host}, {}{}", spec.server.port(), row.text?);
    let mut parsed = Parsed::default();
    surge::line(&mut parsed, 1, &format!("n = {text}"));
    matches!(&parsed.nodes[..], [entry] if portable(&entry.spec) == *spec).then_some(text)
}

/// The fields behind the port; `None` once one of them cannot be written.
struct Row {
    text: Option<String>,
}

impl Default for Row {
    fn default() -> Self {
        Self { text: Some(String::new()) }
    }
}

impl Row {
    /// An option, left out when empty.
    fn option(&mut self, name: &str, value: &str) {
        if value.is_empty() {
            return;
        }
        let bare =
            !value.contains(|c: char| c.is_whitespace() || matches!(c, ',' | '"' | '\'' | '=' | '{' | '[' | '('));
        let text = if bare { value.to_owned() } else { format!("\"{value}\"") };
        let fits = !value.contains(['"', '\n', '\r']);
        self.text = self.text.take().filter(|_| fits).map(|row| format!("{row}, {name}={text}"));
    }

    fn flag(&mut self, name: &str, on: bool) {
        self.option(name, if on { "true" } else { "" });
    }
}

fn login(row: &mut Row, credentials: Option<&Credentials>) {
    if let Some(credentials) = credentials {
        row.option("username", &credentials.username);
        row.option("password", credentials.password.expose());
    }
}

fn layer(row: &mut Row, layer: Option<&Tls>) -> Option<()> {
    layer.map_or(Some(()), |layer| tls(row, layer))
}

/// Surge knows no ALPN, no ECH and no names to check instead of the one that is sent.
fn tls(row: &mut Row, tls: &Tls) -> Option<()> {
    if !tls.alpn.is_empty() || tls.ech.is_some() || !tls.verify_names.is_empty() || tls.pins.len() > 1 {
        return None;
    }
    row.option("sni", if tls.disable_sni { "off" } else { tls.server_name.as_deref().unwrap_or_default() });
    row.flag("skip-cert-verify", tls.skip_verify);
    if let Some(pin) = tls.pins.first() {
        row.option("server-cert-fingerprint-sha256", &hex::encode(pin));
    }
    Some(())
}

fn shadowsocks_row(row: &mut Row, shadowsocks: &Shadowsocks) -> Option<&'static str> {
    if !method_ok(shadowsocks) || shadowsocks.udp_over_tcp {
        return None;
    }
    row.option("encrypt-method", &shadowsocks.method);
    row.option("password", shadowsocks.password.expose());
    if let Some(plugin) = &shadowsocks.plugin {
        let value = |name: &str| {
            let found = plugin.options.iter().find(|(of, _)| **of == *name);
            found.map(|(_, value)| &**value).unwrap_or_default()
        };
        match &*plugin.name {
            "obfs-local" => {
                row.option("obfs", value("obfs"));
                row.option("obfs-host", value("obfs-host"));
            }
            "shadow-tls" => {
                row.option("shadow-tls-password", value("password"));
                row.option("shadow-tls-sni", value("host"));
                row.option("shadow-tls-version", value("version"));
            }
            _ => return None,
        }
    }
    row.flag("udp-relay", true);
    Some("ss")
}

/// VMess and Trojan, over TCP or WebSocket. Surge does not speak VLESS.
fn stream(row: &mut Row, node: &StreamNode) -> Option<&'static str> {
    let kind = match node.protocol() {
        StreamProtocol::Vmess(vmess) if vmess.cipher == VmessCipher::Auto => {
            row.option("username", &vmess.id.to_string());
            row.flag("vmess-aead", vmess.alter_id == 0);
            row.option("alterId", &if vmess.alter_id == 0 { String::new() } else { vmess.alter_id.to_string() });
            "vmess"
        }
        StreamProtocol::Trojan(trojan) if trojan.inner_shadowsocks.is_none() => {
            row.option("password", trojan.password.expose());
            "trojan"
        }
        _ => return None,
    };
    let layer = match node.carrier() {
        Carrier::Tcp { header: None, security } => match security {
            hezar_core::Security::None => None,
            hezar_core::Security::Tls(tls) => Some(tls),
            hezar_core::Security::Reality(_) => return None,
        },
        Carrier::WebSocket { websocket, tls } if websocket.early_data.is_none() => {
            row.flag("ws", true);
            row.option("ws-path", &websocket.path);
            let host = websocket.host.iter().map(|host| format!("Host:{host}"));
            let headers: Vec<_> =
                host.chain(websocket.headers.iter().map(|(name, value)| format!("{name}:{value}"))).collect();
            row.option("ws-headers", &headers.join("|"));
            tls.as_ref()
        }
        _ => return None,
    };
    if kind == "vmess" {
        row.flag("tls", layer.is_some());
    }
    if let Some(layer) = layer {
        tls(row, layer)?;
    }
    Some(kind)
}
