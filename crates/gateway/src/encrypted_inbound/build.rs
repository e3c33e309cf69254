//! Turns the settings of an encrypted listener into a server half of the engine.

use hezar_engine::{
    BuildError, TlsServer,
    server::{
        InboundServer, InboundSettings, ServerPath, ServerProtocol, ServerSecurity, ServerTransport, ServerXhttp,
        ShadowsocksServer,
    },
};

use super::reality::{self, Sites};
use crate::{
    GatewayConfig, InboundConfig, InboundProtocol, InboundShadowsocks, InboundTransport, InboundTransportKind,
};

/// The server half for connections; `None` for a protocol whose clients send packets only.
///
/// # Errors
/// [`BuildError`] when the settings do not fit together.
pub(super) fn server(
    config: &GatewayConfig,
    inbound: &InboundConfig,
    sites: &Sites<'_>,
) -> Result<Option<InboundServer>, BuildError> {
    let protocol = match &inbound.protocol {
        InboundProtocol::Trojan => ServerProtocol::Trojan,
        InboundProtocol::Shadowsocks(shadowsocks) => ServerProtocol::Shadowsocks(shadowsocks_server(shadowsocks)?),
        InboundProtocol::Vless => ServerProtocol::Vless,
        InboundProtocol::AnyTls => ServerProtocol::AnyTls,
        InboundProtocol::Hysteria2(_) => return Ok(None),
    };
    let transport = match inbound.transport.kind {
        InboundTransportKind::Tcp => ServerTransport::Tcp,
        InboundTransportKind::WebSocket => ServerTransport::WebSocket(path(inbound)),
        InboundTransportKind::HttpUpgrade => ServerTransport::HttpUpgrade(path(inbound)),
        InboundTransportKind::Grpc => ServerTransport::Grpc(inbound.transport.path.clone().unwrap_or_default()),
        InboundTransportKind::Xhttp => ServerTransport::Xhttp(xhttp(inbound)),
    };
    let security = security(config, inbound, sites)?;
    Ok(Some(InboundServer::new(InboundSettings { protocol, transport, security })))
}

/// Where clients of a transport over HTTP/1.1 are expected.
fn path(inbound: &InboundConfig) -> ServerPath {
    let transport = &inbound.transport;
    ServerPath::new(transport.path.as_deref().unwrap_or_default(), transport.host.as_deref())
}

fn xhttp(inbound: &InboundConfig) -> ServerXhttp {
    let InboundTransport { path, host, .. } = inbound.transport.clone();
    ServerXhttp { path: path.unwrap_or_else(|| "/".into()), host }
}

fn shadowsocks_server(settings: &InboundShadowsocks) -> Result<ShadowsocksServer, BuildError> {
    let key = settings.key.as_ref().map_or("", |key| key.expose());
    ShadowsocksServer::new(settings.method.name(), key)
}

fn security(config: &GatewayConfig, inbound: &InboundConfig, sites: &Sites<'_>) -> Result<ServerSecurity, BuildError> {
    if let Some(settings) = &inbound.reality {
        return reality::server(config, inbound, settings, sites).map(ServerSecurity::Reality);
    }
    let tls = config.server_tls.as_ref();
    Ok(tls.map_or(ServerSecurity::None, |tls| ServerSecurity::Tls(TlsServer::new(tls.inbound_config(alpn(inbound))))))
}

/// The application protocols that the inbound and the site behind it speak.
const fn alpn(inbound: &InboundConfig) -> &'static [&'static [u8]] {
    match inbound.transport.kind {
        // Strangers speak either version, also where clients speak HTTP/2 alone.
        InboundTransportKind::Grpc | InboundTransportKind::Xhttp => &[b"h2", b"http/1.1"],
        InboundTransportKind::Tcp => alpn_of_site(inbound),
        InboundTransportKind::WebSocket | InboundTransportKind::HttpUpgrade => &[b"http/1.1"],
    }
}

/// The application protocols of what answers strangers. Our own site speaks both; to a web server behind it the client's bytes go as they
/// are, and few speak HTTP/2 without TLS.
pub(super) const fn alpn_of_site(inbound: &InboundConfig) -> &'static [&'static [u8]] {
    if inbound.fallback.address.is_none() { &[b"h2", b"http/1.1"] } else { &[b"http/1.1"] }
}
