//! One row of the table: the description of a server, whichever peer runs it.

use std::fmt;

use crate::core_protocol::CoreProtocol;

/// The method of Shadowsocks behind a plugin.
pub(crate) const PLUGGED_METHOD: &str = "chacha20-ietf-poly1305";
/// Where clients of a tunnel find this process; the server looks on loopback instead (RFC 5737).
pub(crate) const BEHIND_TUNNEL: &str = "203.0.113.7";

/// The proxy protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    Socks4,
    Socks4a,
    Socks5 {
        password: bool,
    },
    Http {
        password: bool,
    },
    Shadowsocks {
        method: &'static str,
        users: bool,
    },
    /// Shadowsocks behind a SIP003 plugin.
    Plugged(Plugged),
    /// One that only a core dials.
    Core(CoreProtocol),
    AnyTls,
    /// VLESS with its own encryption; with both kinds of keys in a row when `post_quantum`, with Vision inside when
    /// `vision`.
    Encrypted {
        looks: &'static str,
        rtt: &'static str,
        post_quantum: bool,
        vision: bool,
    },
    /// Trojan through Trojan: the server is asked for itself, and behind that for the target.
    Chain,
    /// `alter`: the number of alternative ids that server and link name.
    Vmess {
        cipher: &'static str,
        alter: u16,
    },
    Vless,
    VlessVision,
    Trojan,
    /// TUIC 5; whether UDP goes in streams instead of datagrams.
    Tuic {
        congestion: &'static str,
        streams: bool,
    },
    WireGuard,
    Hysteria2 {
        disguise: Option<&'static str>,
        bandwidth: bool,
    },
}

/// The SIP003 plugins; what v2ray-plugin carries itself is not a transport of the row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Plugged {
    ObfsHttp,
    ObfsTls,
    V2ray {
        mux: bool,
    },
    /// Version 3, around this method.
    ShadowTls {
        method: &'static str,
    },
    /// KCP over UDP; only a core dials it.
    Kcptun,
}

impl Plugged {
    /// The method of Shadowsocks behind it.
    pub(crate) const fn method(self) -> &'static str {
        if let Self::ShadowTls { method } = self { method } else { PLUGGED_METHOD }
    }
}

/// What carries it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Transport {
    Tcp,
    WebSocket,
    /// WebSocket whose first bytes travel in a header of the opening request.
    EarlyHeader,
    /// WebSocket whose first bytes travel in the path of the opening request.
    EarlyPath,
    /// Raw TCP behind heads of HTTP/1.1.
    HttpHeader,
    HttpUpgrade,
    /// HTTPUpgrade whose first bytes do not wait for the answer.
    EarlyUpgrade,
    Grpc,
    /// gRPC whose messages may hold several pieces.
    GrpcMulti,
    /// gRPC whose service name is a path.
    GrpcPath,
    Http2,
    /// XHTTP in this mode.
    Xhttp(&'static str),
    /// XHTTP in this mode, whose download comes through another listener of the server. Where the server has no TLS, that one
    /// has.
    XhttpApart(&'static str),
    /// XHTTP in this mode, over HTTP/3.
    XhttpHttp3(&'static str),
    /// XHTTP in packet-up mode, uploaded by GET.
    XhttpGet,
    /// XHTTP in packet-up mode, over HTTP/1.1 whatever the security.
    XhttpHttp1,
    /// XHTTP in packet-up mode, whose session, numbers and padding are not where they usually are.
    XhttpPlaced,
    /// mKCP with this disguise, and with a seed or without; only a core dials it.
    Kcp {
        header: &'static str,
        seed: bool,
    },
}

impl Transport {
    /// WebSocket, early data or not.
    pub(crate) const fn is_websocket(self) -> bool {
        matches!(self, Self::WebSocket | Self::EarlyHeader | Self::EarlyPath)
    }
}

/// How we believe the server's certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trust {
    /// It verifies against a root.
    Verify,
    /// The same, after a browser's hello.
    Browser,
    /// The same, with the name in an encrypted hello.
    Ech,
    /// Its hash is in the link.
    Pin,
    /// Unseen.
    Skip,
    /// It verifies against a root, after a hello that is no browser's.
    Own,
    /// It shows a REALITY server's secret, and perhaps a second signature.
    Reality { hello: &'static str, ml_dsa: bool },
}

/// One row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) protocol: Protocol,
    pub(crate) transport: Transport,
    pub(crate) tls: Option<Trust>,
}

impl Row {
    pub(crate) const fn plain(protocol: Protocol) -> Self {
        Self { protocol, transport: Transport::Tcp, tls: None }
    }

    /// Whether the server knows its clients by a credential.
    pub(crate) const fn has_credential(self) -> bool {
        match self.protocol {
            Protocol::Socks4 | Protocol::Socks4a => false,
            Protocol::Socks5 { password } | Protocol::Http { password } => password,
            Protocol::Shadowsocks { method, .. } => !matches!(method.as_bytes(), b"none"),
            Protocol::Plugged(_)
            | Protocol::Core(_)
            | Protocol::AnyTls
            | Protocol::Encrypted { .. }
            | Protocol::Chain
            | Protocol::Vmess { .. }
            | Protocol::Vless
            | Protocol::VlessVision
            | Protocol::Trojan
            | Protocol::Hysteria2 { .. }
            | Protocol::WireGuard
            | Protocol::Tuic { .. } => true,
        }
    }

    /// Whether only a core dials it.
    pub(crate) const fn needs_core(self) -> bool {
        matches!(self.protocol, Protocol::Core(_) | Protocol::Plugged(Plugged::Kcptun))
            || matches!(self.transport, Transport::Kcp { .. })
    }

    /// Whether a server goes on when several downloads are ended in the middle: those of mKCP answer nobody for minutes then, also for clients
    /// of their own (Xray 26.3).
    pub(crate) const fn survives_many_ends(self) -> bool {
        !matches!(self.transport, Transport::Kcp { .. })
    }

    /// Whether a client spoils what it is given before the server's first bytes: those of ShadowsocksR keep it until then where the obfs
    /// begins with an exchange of its own, and mihomo's appends to it and sends it from two threads without a lock. The server then
    /// finds a wrong checksum.
    pub(crate) fn spoils_early_uploads(self) -> bool {
        matches!(self.protocol, Protocol::Core(CoreProtocol::ShadowsocksR { obfs, .. }) if obfs != "http_simple")
    }

    /// Whether Vision is spoken: the inner TLS leaves what is around it.
    pub(crate) const fn has_vision(self) -> bool {
        matches!(self.protocol, Protocol::VlessVision | Protocol::Encrypted { vision: true, .. })
    }

    /// Whether the end of one direction can be told while the other goes on: a WebSocket has no such sign, and of the
    /// protocols inside only VMess has one of its own. XHTTP has one when it streams its upload.
    pub(crate) fn tells_half_close(self) -> bool {
        // mKCP tells nothing of it.
        if matches!(self.transport, Transport::Kcp { .. }) {
            return false;
        }
        // Neither v2ray-plugin's WebSocket nor AnyTLS has one.
        let never = matches!(self.protocol, Protocol::Plugged(Plugged::V2ray { .. }) | Protocol::AnyTls);
        let websocket = self.transport.is_websocket();
        let packets = match self.transport {
            // Under REALITY, `auto` streams.
            Transport::Xhttp("auto") => !matches!(self.tls, Some(Trust::Reality { .. })),
            Transport::Xhttp(mode) | Transport::XhttpApart(mode) | Transport::XhttpHttp3(mode) => mode == "packet-up",
            transport => {
                matches!(transport, Transport::XhttpHttp1 | Transport::XhttpPlaced | Transport::XhttpGet)
            }
        };
        !(websocket || packets || never) || matches!(self.protocol, Protocol::Vmess { .. })
    }

    /// Whether there is another way to the server.
    pub(crate) const fn has_download_listener(self) -> bool {
        matches!(self.transport, Transport::XhttpApart(_))
    }

    /// Whether the server listens on a UDP port.
    pub(crate) const fn over_udp(self) -> bool {
        match self.protocol {
            Protocol::Hysteria2 { .. } | Protocol::Tuic { .. } | Protocol::WireGuard => true,
            Protocol::Plugged(Plugged::Kcptun) => true,
            Protocol::Core(protocol) => protocol.over_udp(),
            _ => matches!(self.transport, Transport::XhttpHttp3(_) | Transport::Kcp { .. }),
        }
    }

    /// Whether names can be asked for; WireGuard knows addresses only, and a SOCKS4 server that takes no names gets
    /// the address.
    pub(crate) const fn takes_names(self) -> bool {
        !matches!(self.protocol, Protocol::WireGuard)
    }

    /// The address under which the server reaches this process: a packet to a loopback address ends in a tunnel's stack.
    pub(crate) const fn site(self) -> &'static str {
        if matches!(self.protocol, Protocol::WireGuard) { BEHIND_TUNNEL } else { "127.0.0.1" }
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.protocol {
            Protocol::Socks4 => write!(f, "socks4"),
            Protocol::Socks4a => write!(f, "socks4a"),
            Protocol::Socks5 { password } => write!(f, "socks5{}", if password { " password" } else { "" }),
            Protocol::Http { password } => write!(f, "http{}", if password { " password" } else { "" }),
            Protocol::Shadowsocks { method, users } => write!(f, "ss {method}{}", if users { " users" } else { "" }),
            Protocol::AnyTls => write!(f, "anytls"),
            Protocol::Core(protocol) => write!(f, "{protocol}"),
            Protocol::WireGuard => write!(f, "wireguard"),
            Protocol::Encrypted { looks, rtt, post_quantum, vision } => {
                let (keys, flow) = (if post_quantum { " pq" } else { "" }, if vision { " vision" } else { "" });
                write!(f, "vless encrypted {looks} {rtt}{keys}{flow}")
            }
            Protocol::Chain => write!(f, "trojan through trojan"),
            Protocol::Plugged(Plugged::ObfsHttp) => write!(f, "ss obfs http"),
            Protocol::Plugged(Plugged::ObfsTls) => write!(f, "ss obfs tls"),
            Protocol::Plugged(Plugged::V2ray { mux }) => {
                write!(f, "ss v2ray-plugin{}", if mux { " mux" } else { "" })
            }
            Protocol::Plugged(Plugged::Kcptun) => write!(f, "ss kcptun"),
            Protocol::Plugged(Plugged::ShadowTls { method }) => write!(f, "ss shadow-tls {method}"),
            Protocol::Vmess { cipher, alter: 0 } => write!(f, "vmess {cipher}"),
            Protocol::Vmess { cipher, alter } => write!(f, "vmess {cipher} alterId {alter}"),
            Protocol::Vless => write!(f, "vless"),
            Protocol::VlessVision => write!(f, "vless vision"),
            Protocol::Trojan => write!(f, "trojan"),
            Protocol::Tuic { congestion, streams } => {
                write!(f, "tuic {congestion}{}", if streams { " streams" } else { "" })
            }
            Protocol::Hysteria2 { disguise, bandwidth } => {
                let bandwidth = if bandwidth { " brutal" } else { "" };
                write!(f, "hysteria2{bandwidth}{}{}", if disguise.is_some() { " " } else { "" }, disguise.unwrap_or(""))
            }
        }?;
        if let Transport::Kcp { header, seed } = self.transport {
            write!(f, " · mkcp {header}{}", if seed { " seed" } else { "" })?;
        }
        f.write_str(match self.transport {
            Transport::Kcp { .. } => "",
            Transport::Tcp => "",
            Transport::WebSocket => " · ws",
            Transport::EarlyHeader => " · ws early (header)",
            Transport::EarlyPath => " · ws early (path)",
            Transport::HttpHeader => " · tcp http",
            Transport::HttpUpgrade => " · httpupgrade",
            Transport::EarlyUpgrade => " · httpupgrade early",
            Transport::Grpc => " · grpc",
            Transport::GrpcMulti => " · grpc multi",
            Transport::GrpcPath => " · grpc path",
            Transport::Http2 => " · http2",
            Transport::Xhttp("auto") => " · xhttp auto",
            Transport::Xhttp("packet-up") => " · xhttp packet-up",
            Transport::Xhttp("stream-up") => " · xhttp stream-up",
            Transport::Xhttp(_) => " · xhttp stream-one",
            Transport::XhttpApart("packet-up") => " · xhttp packet-up (apart)",
            Transport::XhttpApart(_) => " · xhttp stream-up (apart)",
            Transport::XhttpHttp3("packet-up") => " · xhttp packet-up (h3)",
            Transport::XhttpHttp3("stream-up") => " · xhttp stream-up (h3)",
            Transport::XhttpHttp3(_) => " · xhttp stream-one (h3)",
            Transport::XhttpGet => " · xhttp packet-up (get)",
            Transport::XhttpHttp1 => " · xhttp packet-up (h1)",
            Transport::XhttpPlaced => " · xhttp packet-up (extra)",
        })?;
        f.write_str(match self.tls {
            None => "",
            Some(Trust::Verify) => " · tls",
            Some(Trust::Browser) => " · tls fp=chrome",
            Some(Trust::Ech) => " · tls ech",
            Some(Trust::Pin) => " · tls pinned",
            Some(Trust::Skip) => " · tls unverified",
            Some(Trust::Own) => " · tls fp=none",
            Some(Trust::Reality { ml_dsa: true, .. }) => " · reality ml-dsa",
            Some(Trust::Reality { hello: "none", .. }) => " · reality fp=none",
            Some(Trust::Reality { .. }) => " · reality",
        })
    }
}
