//! Builds a [`Carrier`] (transport with security) from the texts of a link or a document.

pub(crate) mod xray;

use hezar_core::{
    Carrier, EarlyData, Grpc, GrpcMode, Http2, HttpHeader, HttpUpgrade, Kcp, Pin, QuicTransport, Reality, Security,
    SecurityKind, Tls, WebSocket, Xhttp, XhttpMode,
};

use crate::{RejectCode, field};

/// The header in which Xray puts early data.
pub(crate) const EARLY_DATA_HEADER: &str = "Sec-WebSocket-Protocol";

/// The security settings of a link or document; empty texts are absent.
#[derive(Clone, Debug)]
pub(crate) struct SecurityText<'a> {
    pub(crate) kind: SecurityKind,
    pub(crate) server_name: &'a str,
    pub(crate) disable_sni: bool,
    pub(crate) alpn: Vec<Box<str>>,
    pub(crate) skip_verify: bool,
    pub(crate) pins: Vec<Pin>,
    pub(crate) verify_names: Vec<Box<str>>,
    pub(crate) fingerprint: &'a str,
    pub(crate) ech: &'a str,
    /// REALITY only, like the three below.
    pub(crate) public_key: &'a str,
    pub(crate) short_id: &'a str,
    pub(crate) spider_x: &'a str,
    pub(crate) mldsa65_verify: &'a str,
}

impl Default for SecurityText<'_> {
    fn default() -> Self {
        Self {
            kind: SecurityKind::None,
            server_name: "",
            disable_sni: false,
            alpn: Vec::new(),
            skip_verify: false,
            pins: Vec::new(),
            verify_names: Vec::new(),
            fingerprint: "",
            ech: "",
            public_key: "",
            short_id: "",
            spider_x: "",
            mldsa65_verify: "",
        }
    }
}

impl SecurityText<'_> {
    /// The TLS settings, whatever the kind.
    pub(crate) fn tls(&self) -> Tls {
        Tls {
            server_name: field::filled(self.server_name.trim()),
            disable_sni: self.disable_sni,
            alpn: self.alpn.clone(),
            skip_verify: self.skip_verify,
            pins: self.pins.clone(),
            verify_names: self.verify_names.clone(),
            fingerprint: field::fingerprint(self.fingerprint),
            ech: field::filled(self.ech.trim()),
        }
    }

    /// The REALITY settings; the public key is mandatory.
    pub(crate) fn reality(&self) -> Result<Reality, RejectCode> {
        Ok(Reality {
            server_name: field::filled(self.server_name.trim()),
            public_key: field::key32(self.public_key).ok_or(RejectCode::BadReality)?,
            short_id: field::short_id(self.short_id).ok_or(RejectCode::BadReality)?,
            spider_x: field::filled(self.spider_x),
            mldsa65_verify: field::secret(self.mldsa65_verify),
            fingerprint: field::fingerprint(self.fingerprint),
            own_hello: self.fingerprint.trim().eq_ignore_ascii_case("none"),
            alpn: self.alpn.clone(),
        })
    }

    /// The layer of this kind.
    pub(crate) fn security(&self) -> Result<Security, RejectCode> {
        match self.kind {
            SecurityKind::None => Ok(Security::None),
            SecurityKind::Tls => Ok(Security::Tls(self.tls())),
            SecurityKind::Reality => self.reality().map(Security::Reality),
        }
    }

    /// The layer of a transport that has no REALITY form.
    fn optional_tls(&self) -> Result<Option<Tls>, RejectCode> {
        match self.kind {
            SecurityKind::None => Ok(None),
            SecurityKind::Tls => Ok(Some(self.tls())),
            SecurityKind::Reality => Err(RejectCode::ImpossiblePair),
        }
    }
}

/// The transport settings of a link or document; empty texts are absent.
#[derive(Clone, Debug, Default)]
pub(crate) struct CarrierText<'a> {
    /// `tcp`, `ws`, `grpc`, `h2`, `httpupgrade`, `xhttp`, `kcp`, `quic` or one of their aliases; empty = `tcp`.
    pub(crate) network: &'a str,
    /// The disguise of raw TCP (`http`), mKCP or QUIC.
    pub(crate) header_type: &'a str,
    pub(crate) hosts: Vec<Box<str>>,
    pub(crate) paths: Vec<Box<str>>,
    /// Headers other than Host.
    pub(crate) headers: Vec<(Box<str>, Box<str>)>,
    /// Early data from fields of its own; `ed` inside the path is found without it.
    pub(crate) early_data: Option<EarlyData>,
    pub(crate) service_name: &'a str,
    pub(crate) authority: &'a str,
    /// gRPC's or XHTTP's mode.
    pub(crate) mode: &'a str,
    /// XHTTP's `extra` object as compact JSON.
    pub(crate) extra: &'a str,
    /// mKCP's seed.
    pub(crate) seed: &'a str,
    pub(crate) quic_security: &'a str,
    pub(crate) quic_key: &'a str,
}

impl CarrierText<'_> {
    /// The transport with its security.
    pub(crate) fn carrier(&self, security: &SecurityText<'_>) -> Result<Carrier, RejectCode> {
        let network = self.network.trim().to_ascii_lowercase();
        Ok(match network.as_str() {
            "ws" | "websocket" => Carrier::WebSocket { websocket: self.websocket(), tls: security.optional_tls()? },
            "httpupgrade" | "http-upgrade" => {
                Carrier::HttpUpgrade { upgrade: self.upgrade(), tls: security.optional_tls()? }
            }
            "grpc" | "gun" => Carrier::Grpc { grpc: self.grpc(), security: security.security()? },
            "h2" | "http" | "http2" => Carrier::Http2 {
                http2: Http2 { path: self.path().into(), hosts: self.hosts.clone() },
                tls: security.optional_tls()?,
            },
            "xhttp" | "splithttp" => {
                let download = xray::download(self.extra)?.map(Box::new);
                Carrier::Xhttp { xhttp: Xhttp { download, ..self.xhttp() }, security: security.security()? }
            }
            "kcp" | "mkcp" => Carrier::Kcp { kcp: self.kcp(), tls: security.optional_tls()? },
            "quic" => Carrier::Quic { quic: self.quic(), tls: security.optional_tls()? },
            // As in v2rayN, an unknown name means raw TCP.
            _ => Carrier::Tcp { header: self.http_header(), security: security.security()? },
        })
    }

    fn path(&self) -> &str {
        self.paths.first().map_or("", AsRef::as_ref)
    }

    fn host(&self) -> Option<Box<str>> {
        self.hosts.first().filter(|host| !host.is_empty()).cloned()
    }

    fn path_and_early_data(&self) -> (Box<str>, Option<EarlyData>) {
        let (path, found) = split_early_data(self.path());
        (path, self.early_data.clone().or(found))
    }

    fn websocket(&self) -> WebSocket {
        let (path, early_data) = self.path_and_early_data();
        WebSocket { path, host: self.host(), headers: self.headers.clone(), early_data }
    }

    fn upgrade(&self) -> HttpUpgrade {
        let (path, early_data) = self.path_and_early_data();
        HttpUpgrade { path, host: self.host(), headers: self.headers.clone(), early_data }
    }

    fn grpc(&self) -> Grpc {
        let mode = if self.mode.trim().eq_ignore_ascii_case("multi") { GrpcMode::Multi } else { GrpcMode::Gun };
        Grpc { service_name: self.service_name.into(), authority: field::filled(self.authority), mode }
    }

    /// XHTTP whose download uses the same server as the upload.
    pub(crate) fn xhttp(&self) -> Xhttp {
        let name = self.mode.trim();
        let mode = XhttpMode::ALL.into_iter().find(|mode| mode.name() == name).unwrap_or_default();
        Xhttp { path: self.path().into(), host: self.host(), mode, extra: field::filled(self.extra), download: None }
    }

    fn kcp(&self) -> Kcp {
        let header: Box<str> = if self.header_type.trim() == "dns" { "dns".into() } else { self.disguise() };
        let domain = if header.as_ref() == "dns" { self.host() } else { None };
        Kcp { header, domain, seed: field::secret(self.seed) }
    }

    fn quic(&self) -> QuicTransport {
        let encryption = if self.quic_security == "none" { "" } else { self.quic_security };
        QuicTransport { encryption: encryption.into(), key: field::secret(self.quic_key), header: self.disguise() }
    }

    fn disguise(&self) -> Box<str> {
        match self.header_type.trim() {
            disguise @ ("srtp" | "utp" | "wechat-video" | "dtls" | "wireguard") => disguise.into(),
            _ => "".into(),
        }
    }

    fn http_header(&self) -> Option<HttpHeader> {
        let http = self.header_type.trim().eq_ignore_ascii_case("http");
        http.then(|| HttpHeader { hosts: self.hosts.clone(), paths: self.paths.clone() })
    }
}

/// Takes Xray's `ed=N` out of a path's query: the rest of the path, and the early data it asks for.
pub(crate) fn split_early_data(path: &str) -> (Box<str>, Option<EarlyData>) {
    let Some((route, query)) = path.split_once('?') else { return (path.into(), None) };
    let size = |pair: &str| pair.strip_prefix("ed=").and_then(|value| value.parse::<u32>().ok());
    let Some(max_bytes) = query.split('&').find_map(size) else { return (path.into(), None) };
    let rest: Vec<&str> = query.split('&').filter(|pair| size(pair).is_none()).collect();
    let path = if rest.is_empty() { route.into() } else { format!("{route}?{}", rest.join("&")).into() };
    let early = (max_bytes > 0).then(|| EarlyData { max_bytes, header: Some(EARLY_DATA_HEADER.into()) });
    (path, early)
}
