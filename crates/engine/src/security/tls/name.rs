//! The name of a server in TLS: what is sent as SNI and what a certificate is checked against.

use hezar_core::{DomainName, Host, Tls};
use rustls_pki_types::ServerName;

/// The name for the handshake: the published one when it can be read, else the server's own host. An address is never
/// sent as SNI (RFC 6066 §3).
pub(super) fn to_send(tls: &Tls, server: &Host) -> ServerName<'static> {
    server_name(tls.server_name.as_deref(), server)
}

/// The published name when it can be read, else the server's own host.
pub(crate) fn server_name(published: Option<&str>, server: &Host) -> ServerName<'static> {
    published.and_then(read).unwrap_or_else(|| server_name_of_host(server))
}

/// Reads a published name; garbage is `None`, since a name is often only decoration.
pub(super) fn read(text: &str) -> Option<ServerName<'static>> {
    let text = text.trim();
    if let Ok(name) = ServerName::try_from(text.trim_matches(['[', ']']).trim_end_matches('.')) {
        return Some(name.to_owned());
    }
    let name = DomainName::new(text).ok()?;
    ServerName::try_from(name.as_str()).ok().map(|name| name.to_owned())
}

fn server_name_of_host(host: &Host) -> ServerName<'static> {
    match host {
        Host::Ip(address) => ServerName::from(*address),
        // Every domain name that this workspace accepts is one for TLS too; the address stands in if that changes.
        Host::Name(name) => ServerName::try_from(name.as_str().to_owned())
            .unwrap_or_else(|_| ServerName::from(std::net::IpAddr::from([0, 0, 0, 0]))),
    }
}
