//! Writes what carries a protocol, in the words of sing-box: TLS, REALITY and the transports.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use hezar_core::{Carrier, EarlyData, GrpcMode, QuicTransport, Tls};

use super::super::{
    accepted::{ech_ok, headers_ok, path_ok},
    write::Unwritable,
};
use crate::tree::{MapBuilder, headers};

/// Writes TLS settings. With `quic` the fingerprint of a browser is left out, since
/// sing-box has none for QUIC.
pub(super) fn tls(map: &mut MapBuilder, tls: &Tls, quic: bool) -> Result<(), Unwritable> {
    if !tls.pins.is_empty() || !tls.verify_names.is_empty() {
        return Err(Unwritable::SECURITY);
    }
    let mut opts = MapBuilder::default();
    opts.flag("enabled", true).flag("disable_sni", tls.disable_sni);
    opts.text("server_name", tls.server_name.as_deref().unwrap_or_default());
    opts.flag("insecure", tls.skip_verify).texts("alpn", &tls.alpn);
    if let Some(fingerprint) = tls.fingerprint.filter(|_| !quic) {
        opts.map("utls", utls(fingerprint.name()));
    }
    if let Some(config) = &tls.ech {
        if !ech_ok(config) {
            return Err(Unwritable::SECURITY);
        }
        let pem = ["-----BEGIN ECH CONFIGS-----".into(), config.clone(), "-----END ECH CONFIGS-----".into()];
        let mut ech = MapBuilder::default();
        ech.flag("enabled", true).texts("config", &pem);
        opts.map("ech", ech);
    }
    map.map("tls", opts);
    Ok(())
}

fn utls(fingerprint: &str) -> MapBuilder {
    let mut utls = MapBuilder::default();
    utls.flag("enabled", true).text("fingerprint", fingerprint);
    utls
}

/// Writes TLS or REALITY beneath a transport.
pub(super) fn security(map: &mut MapBuilder, carrier: &Carrier) -> Result<(), Unwritable> {
    let Some(reality) = carrier.reality() else {
        return carrier.tls().map_or(Ok(()), |layer| tls(map, layer, false));
    };
    // The hello of sing-box with REALITY is always that of a browser.
    if reality.mldsa65_verify.is_some() || reality.own_hello {
        return Err(Unwritable::SECURITY);
    }
    let mut keys = MapBuilder::default();
    keys.flag("enabled", true).text("public_key", &URL_SAFE_NO_PAD.encode(reality.public_key));
    keys.text("short_id", &reality.short_id.to_hex());
    let mut opts = MapBuilder::default();
    opts.flag("enabled", true).text("server_name", reality.server_name.as_deref().unwrap_or_default());
    opts.texts("alpn", &reality.alpn);
    opts.map("utls", utls(reality.fingerprint.map_or("", |f| f.name()))).map("reality", keys);
    map.map("tls", opts);
    Ok(())
}

/// The settings of a transport; `None` for raw TCP, which needs none.
pub(super) fn transport(carrier: &Carrier) -> Result<Option<MapBuilder>, Unwritable> {
    let mut opts = MapBuilder::default();
    match carrier {
        Carrier::Tcp { header: None, .. } => return Ok(None),
        Carrier::Tcp { header: Some(header), security: hezar_core::Security::None } => {
            let path = match header.paths.as_slice() {
                [] => "",
                [path] if path_ok(path) => path,
                _ => return Err(Unwritable::TRANSPORT),
            };
            opts.text("type", "http").texts("host", &header.hosts).text("path", path);
        }
        Carrier::WebSocket { websocket: w, .. } => {
            if !headers_ok(&w.headers) || !path_ok(&w.path) {
                return Err(Unwritable::TRANSPORT);
            }
            opts.text("type", "ws").text("path", &w.path);
            opts.map("headers", headers::join(w.host.as_deref(), &w.headers));
            if let Some(EarlyData { max_bytes, header }) = &w.early_data {
                opts.number("max_early_data", Some(max_bytes));
                opts.text("early_data_header_name", header.as_deref().unwrap_or_default());
            }
        }
        Carrier::HttpUpgrade { upgrade: u, .. } => {
            if !headers_ok(&u.headers) || !path_ok(&u.path) || u.early_data.is_some() {
                return Err(Unwritable::TRANSPORT);
            }
            opts.text("type", "httpupgrade").text("host", u.host.as_deref().unwrap_or_default());
            opts.text("path", &u.path).map("headers", headers::join(None, &u.headers));
        }
        Carrier::Grpc { grpc, .. } => {
            if grpc.authority.is_some() || grpc.mode != GrpcMode::Gun {
                return Err(Unwritable::TRANSPORT);
            }
            opts.text("type", "grpc").text("service_name", &grpc.service_name);
        }
        // Without TLS, the same type means HTTP/1.1.
        Carrier::Http2 { http2, tls: Some(_) } if path_ok(&http2.path) => {
            opts.text("type", "http").texts("host", &http2.hosts).text("path", &http2.path);
        }
        Carrier::Quic { quic, tls: Some(_) } if *quic == QuicTransport::default() => {
            opts.text("type", "quic");
        }
        _ => return Err(Unwritable::TRANSPORT),
    }
    Ok(Some(opts))
}
