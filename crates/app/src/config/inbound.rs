//! `kind` of a `[[listener]]` with the tables that belong to it: which encrypted inbound it serves, checked as a whole.

use std::{net::SocketAddr, path::Path};

use hezar_core::{Host, Target, XhttpMode};
use hezar_engine::server::ShadowsocksServer;
use hezar_gateway::{
    InboundConfig, InboundFallback, InboundHysteria2, InboundProtocol, InboundReality, InboundShadowsocks,
    InboundTransport, InboundTransportKind, ListenerKind, RealitySite, User,
};

use super::{Config, listener::ListenerConfig, resolve::beside, section::Section};

/// How the key of a REALITY listener is made.
const MAKE_REALITY: &str = "it needs an X25519 key: say private_key = what `hezar key reality` prints";

/// Reads the tables of an encrypted inbound; `None` where the listener serves HTTP and SOCKS.
pub(super) fn inbound(
    section: &mut Section<'_>,
    listener: &ListenerConfig,
    folder: Option<&Path>,
) -> Option<InboundConfig> {
    let kind = listener.kind;
    let mut table = |key, kinds: &[ListenerKind]| {
        let given = section.section_where_given(key)?;
        if kinds.contains(&kind) {
            return Some(given);
        }
        let names: Vec<&str> = kinds.iter().map(|kind| kind.name()).collect();
        let names = names.join(", ");
        section.problem(key, format_args!("only listeners of the kind {names} have it; this one is {}", kind.name()));
        None
    };
    let shadowsocks = table("shadowsocks", &[ListenerKind::Shadowsocks]);
    let hysteria2 = table("hysteria2", &[ListenerKind::Hysteria2]);
    let transport = table("transport", &[ListenerKind::Vless]);
    let reality = table("reality", &[ListenerKind::Vless]);
    let with_site = [ListenerKind::Trojan, ListenerKind::Vless, ListenerKind::Hysteria2, ListenerKind::AnyTls];
    let fallback = table("fallback", &with_site);
    let protocol = match kind {
        ListenerKind::Mixed => None,
        ListenerKind::Shadowsocks => Some(InboundProtocol::Shadowsocks(read_shadowsocks(section, shadowsocks))),
        ListenerKind::Trojan => Some(InboundProtocol::Trojan),
        ListenerKind::Vless => Some(InboundProtocol::Vless),
        ListenerKind::Hysteria2 => Some(InboundProtocol::Hysteria2(read_hysteria2(hysteria2))),
        ListenerKind::AnyTls => Some(InboundProtocol::AnyTls),
    };
    let inbound = InboundConfig {
        protocol: protocol?,
        transport: transport.map(read_transport).unwrap_or_default(),
        reality: reality.map(|table| read_reality(table, listener)),
        fallback: fallback.map(|table| read_fallback(table, folder)).unwrap_or_default(),
    };
    check(section, listener, &inbound);
    Some(inbound)
}

fn read_shadowsocks(section: &Section<'_>, table: Option<Section<'_>>) -> InboundShadowsocks {
    let Some(mut table) = table else {
        let shadowsocks = InboundShadowsocks::default();
        let how = make_shadowsocks(&shadowsocks);
        section.problem("shadowsocks", format_args!("a Shadowsocks listener needs this table: {how}"));
        return shadowsocks;
    };
    let mut shadowsocks = InboundShadowsocks::default();
    table.fill_object(&mut shadowsocks);
    match (shadowsocks.method.key_length(), &shadowsocks.key) {
        (Some(_), _) if shadowsocks.server_key().is_none() => table.problem("key", make_shadowsocks(&shadowsocks)),
        (None, Some(_)) => table.problem("key", "the server has no key of its own with this cipher: leave it out"),
        _ => {}
    }
    table.finish();
    shadowsocks
}

/// How a key of the cipher's length is made.
fn make_shadowsocks(shadowsocks: &InboundShadowsocks) -> String {
    let method = shadowsocks.method.name();
    format!("it needs a key of the cipher's length: say key = what `hezar key shadowsocks {method}` prints")
}

fn read_hysteria2(table: Option<Section<'_>>) -> InboundHysteria2 {
    let Some(mut table) = table else { return InboundHysteria2::default() };
    let mut hysteria2 = InboundHysteria2::default();
    table.fill_object(&mut hysteria2);
    // An empty password is none; the protocol asks for at least four bytes.
    hysteria2.obfs_password = hysteria2.obfs_password.filter(|password| !password.is_empty());
    if hysteria2.obfs_password.as_ref().is_some_and(|password| !(4..=255).contains(&password.expose().len())) {
        table.problem("obfs_password", "it has 4 to 255 bytes, or is empty for no disguise");
    }
    table.finish();
    hysteria2
}

fn read_transport(mut table: Section<'_>) -> InboundTransport {
    let mut transport = InboundTransport::default();
    table.fill_object(&mut transport);
    let kind = transport.kind;
    let path = transport.path.as_deref();
    let is_visible = |text: &str| text.bytes().all(|byte| byte.is_ascii_graphic());
    if path.is_some_and(|path| !is_visible(path) || path.contains(['?', '#'])) {
        table.problem("path", "it has visible ASCII characters without '?' and '#'");
    }
    match kind {
        InboundTransportKind::Tcp if path.is_some() => table.problem("path", "tcp has no path"),
        InboundTransportKind::Grpc if path.is_none() => {
            table.problem("path", "gRPC needs the name of its service, such as \"q7f0c2\"");
        }
        InboundTransportKind::WebSocket | InboundTransportKind::HttpUpgrade | InboundTransportKind::Xhttp
            if !path.is_some_and(|path| path.starts_with('/')) =>
        {
            table.problem("path", "it needs a path that nobody guesses and that begins with '/', such as \"/q7f0c2\"");
        }
        _ => {}
    }
    if transport.host.as_deref().is_some_and(|host| Host::new(host).is_err()) {
        table.problem("host", "expected a host name or an address");
    }
    if transport.mode != XhttpMode::Auto && kind != InboundTransportKind::Xhttp {
        table.problem("mode", "only xhttp has modes");
    }
    table.finish();
    transport
}

fn read_reality(mut table: Section<'_>, listener: &ListenerConfig) -> InboundReality {
    let mut reality = InboundReality::default();
    table.fill_object(&mut reality);
    if reality.private_key.is_none() && !table.was_given("private_key") {
        table.problem("private_key", MAKE_REALITY);
    }
    if reality.server_names.is_empty() {
        reality.server_names = name_of_site(&reality.site, listener).into_iter().collect();
    }
    if reality.server_names.is_empty() {
        table.problem("server_names", "REALITY needs the names that clients ask for, such as [\"www.example.com\"]");
    }
    for name in &mut reality.server_names {
        // Clients ask for a name as DNS has it.
        match Host::new(name.trim()) {
            Ok(Host::Name(known)) => known.as_str().clone_into(name),
            _ => table.problem("server_names", format_args!("{name:?} is no host name")),
        }
    }
    table.finish();
    reality
}

/// The name that browsers ask the site for.
fn name_of_site(site: &RealitySite, listener: &ListenerConfig) -> Option<String> {
    let name = |host: &Host| matches!(host, Host::Name(_)).then(|| host.to_string());
    match site {
        RealitySite::Foreign(target) => name(target.host()),
        RealitySite::Own => {
            let public = listener.host.as_deref().and_then(host_and_port);
            public.and_then(|(host, _)| name(&host)).or_else(|| listener.tls.acme.first().cloned())
        }
    }
}

fn read_fallback(mut table: Section<'_>, folder: Option<&Path>) -> InboundFallback {
    let mut fallback = InboundFallback::default();
    table.fill_object(&mut fallback);
    if fallback.folder.is_some() && fallback.address.is_some() {
        table.problem("address", "strangers see a folder or an address, not both");
    }
    fallback.folder = fallback.folder.map(|path| beside(folder, path));
    table.finish();
    fallback
}

/// What must fit together: security, transport, and the settings that only ports of HTTP and SOCKS have.
fn check(section: &Section<'_>, listener: &ListenerConfig, inbound: &InboundConfig) {
    let kind = listener.kind;
    check_security(section, listener, inbound);
    if inbound.reality.is_some()
        && matches!(inbound.transport.kind, InboundTransportKind::WebSocket | InboundTransportKind::HttpUpgrade)
    {
        section.problem("reality", "clients have REALITY over tcp, grpc and xhttp only; use TLS with this transport");
    }
    for (key, is_given) in [
        ("ports", listener.ports.is_some()),
        ("exit_headers", listener.exit_headers.is_some()),
        ("open_to", listener.open_to.is_some()),
    ] {
        if is_given {
            section.problem(key, format_args!("only listeners of the kind mixed have it; this one is {}", kind.name()));
        }
    }
    if kind.uses_udp() && !listener.proxy_protocol.is_empty() {
        section.problem("proxy_protocol", "the PROXY protocol is not read from UDP packets");
    }
    if listener.host.as_deref().is_some_and(|host| host_and_port(host).is_none()) {
        section.problem("host", "expected a host name or an address, with or without a port");
    }
    if listener.server_name.as_deref().is_some_and(|name| !matches!(Host::new(name), Ok(Host::Name(_)))) {
        section.problem("server_name", "expected a host name");
    }
}

/// Refuses more links than a listener can tell apart: where nothing in a request says whose it is, every key is tried.
pub(super) fn check_links(section: &Section<'_>, listener: &ListenerConfig, users: &[User]) {
    let Some(InboundProtocol::Shadowsocks(settings)) = listener.inbound.as_ref().map(|inbound| &inbound.protocol)
    else {
        return;
    };
    let links = users.iter().filter(|user| user.has_key()).map(|user| 1 + user.links.len()).sum::<usize>();
    let most = ShadowsocksServer::MOST_TRIED;
    if !settings.method.has_identities() && links > most {
        section.problem(
            "shadowsocks",
            format_args!(
                "with this cipher a listener takes at most {most} links of users, and these have {links}: use a cipher of 2022"
            ),
        );
    }
}

/// A host with the port that may follow it.
fn host_and_port(text: &str) -> Option<(Host, Option<u16>)> {
    match Host::new(text) {
        Ok(host) => Some((host, None)),
        Err(_) => Target::parse(text).ok().map(|target| (target.host().clone(), Some(target.port()))),
    }
}

/// Where links say that a listener is which listens at this address; `None` where nothing names it.
pub(crate) fn link_server(listener: &ListenerConfig, listen: SocketAddr) -> Option<Target> {
    let (ip, port) = (listen.ip(), listen.port());
    let (host, own_port) = match &listener.host {
        Some(text) => host_and_port(text)?,
        None => match listener.tls.acme.first() {
            Some(name) => (Host::new(name).ok()?, None),
            // Without TLS of its own, clients come to what is in front of it.
            None if ip.is_unspecified() || listener.insecure_plain => return None,
            None => (Host::Ip(ip), None),
        },
    };
    Target::new(host, own_port.unwrap_or(port)).ok()
}

fn check_security(section: &Section<'_>, listener: &ListenerConfig, inbound: &InboundConfig) {
    let (kind, has_tls) = (listener.kind.name(), listener.tls.is_set());
    let own_site = match &inbound.reality {
        Some(reality) if has_tls && reality.site != RealitySite::Own => {
            return section.problem(
                "tls",
                "REALITY shows the certificate of its site: it has TLS of its own with site = \"self\" only",
            );
        }
        Some(reality) => reality.site == RealitySite::Own,
        None => false,
    };
    match &inbound.protocol {
        InboundProtocol::Shadowsocks(_) if has_tls => section.problem("tls", "Shadowsocks has no TLS"),
        InboundProtocol::Shadowsocks(_) => {}
        _ if has_tls => {
            if listener.insecure_plain {
                section.problem("insecure_plain", "it means a port without TLS, and this one has TLS");
            }
        }
        _ if own_site => section.problem(
            "tls",
            "site = \"self\" needs the site's certificate: say acme = [\"vps.example.org\"], or cert and key",
        ),
        _ if inbound.reality.is_some() => {}
        InboundProtocol::Trojan | InboundProtocol::Vless if listener.insecure_plain => {
            if !listener.listen.ip().to_canonical().is_loopback() {
                section.problem(
                    "insecure_plain",
                    "a port without TLS listens on loopback only, behind a program that has TLS",
                );
            }
        }
        _ => {
            section.problem("tls", format_args!("{kind} needs TLS: say acme = [\"vps.example.org\"], or cert and key"))
        }
    }
}

/// What is odd with encrypted listeners and does no harm.
pub(super) fn warnings(config: &Config) -> Vec<String> {
    config
        .listeners
        .iter()
        .filter(|listener| listener.inbound.is_some())
        .filter_map(|listener| warning(config, listener))
        .collect()
}

fn warning(config: &Config, listener: &ListenerConfig) -> Option<String> {
    let name = &listener.name;
    if !config.users_of(listener).iter().any(User::has_key) {
        return Some(format!(
            "nobody can use the listener {name:?}: no user has a key; `hezar user key NAME --new` makes one"
        ));
    }
    // A port that the system chooses is known later.
    (link_server(listener, listener.listen).is_none() && listener.listen.port() != 0)
        .then(|| format!("no link can name the listener {name:?}: say host = \"vps.example.org\" there"))
}
