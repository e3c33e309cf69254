//! The canonical forms of the carriers.

use super::{Carrier, EarlyData, GrpcMode, XhttpMode};
use crate::{Canon, Canonical, Secret};

fn headers(canon: &mut Canon, headers: &[(Box<str>, Box<str>)]) {
    for (name, value) in headers {
        canon.list("header", [name.as_ref(), value.as_ref()]);
    }
}

fn early_data(canon: &mut Canon, early: Option<&EarlyData>) {
    canon.show("ed", early.map(|e| e.max_bytes));
    canon.text("eh", early.and_then(|e| e.header.as_deref()).unwrap_or_default());
}

/// `/` is the default path: both spellings are one node.
fn path(canon: &mut Canon, path: &str) {
    canon.text("path", if path == "/" { "" } else { path });
}

impl Canonical for Carrier {
    fn canonical(&self, canon: &mut Canon) {
        canon.group(self.transport().name());
        match self {
            Self::Tcp { header, security } => {
                if let Some(header) = header {
                    canon.flag("http-header", true);
                    canon.list("host", header.hosts.iter().map(AsRef::as_ref));
                    canon.list("path", header.paths.iter().map(AsRef::as_ref));
                }
                security.canonical(canon);
            }
            Self::WebSocket { websocket: w, tls } => {
                path(canon, &w.path);
                canon.text("host", w.host.as_deref().unwrap_or_default());
                headers(canon, &w.headers);
                early_data(canon, w.early_data.as_ref());
                tls.canonical(canon);
            }
            Self::HttpUpgrade { upgrade: u, tls } => {
                path(canon, &u.path);
                canon.text("host", u.host.as_deref().unwrap_or_default());
                headers(canon, &u.headers);
                early_data(canon, u.early_data.as_ref());
                tls.canonical(canon);
            }
            Self::Grpc { grpc, security } => {
                canon.text("service", &grpc.service_name);
                canon.text("authority", grpc.authority.as_deref().unwrap_or_default());
                canon.flag("multi", grpc.mode == GrpcMode::Multi);
                security.canonical(canon);
            }
            Self::Http2 { http2, tls } => {
                path(canon, &http2.path);
                canon.list("host", http2.hosts.iter().map(AsRef::as_ref));
                tls.canonical(canon);
            }
            Self::Xhttp { xhttp, security } => {
                path(canon, &xhttp.path);
                canon.text("host", xhttp.host.as_deref().unwrap_or_default());
                canon.text("mode", if xhttp.mode == XhttpMode::Auto { "" } else { xhttp.mode.name() });
                // It says what the download is, too.
                canon.text("extra", xhttp.extra.as_deref().unwrap_or_default());
                security.canonical(canon);
            }
            Self::Kcp { kcp, tls } => {
                canon.text("header", &kcp.header);
                canon.text("domain", kcp.domain.as_deref().unwrap_or_default());
                canon.text("seed", kcp.seed.as_ref().map_or("", Secret::expose));
                tls.canonical(canon);
            }
            Self::Quic { quic, tls } => {
                canon.text("encryption", &quic.encryption);
                canon.text("key", quic.key.as_ref().map_or("", Secret::expose));
                canon.text("header", &quic.header);
                tls.canonical(canon);
            }
        }
    }
}
