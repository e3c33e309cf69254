//! All rows of the table: every outbound × transport × security that the engine has.

use std::env;

use crate::{
    Peer,
    core_protocol::CoreProtocol,
    row::{Plugged, Protocol, Row, Transport, Trust},
};

const AEAD: [&str; 6] = [
    "aes-128-gcm",
    "aes-256-gcm",
    "chacha20-ietf-poly1305",
    "2022-blake3-aes-128-gcm",
    "2022-blake3-aes-256-gcm",
    "2022-blake3-chacha20-poly1305",
];
const STREAM: [&str; 7] =
    ["aes-128-cfb", "aes-256-cfb", "aes-128-ctr", "aes-256-ctr", "camellia-256-cfb", "rc4-md5", "chacha20-ietf"];
const MULTI_USER: [&str; 2] = ["2022-blake3-aes-128-gcm", "2022-blake3-aes-256-gcm"];
const SHADOW_TLS: [&str; 2] = ["aes-128-gcm", "2022-blake3-aes-256-gcm"];
const CIPHERS: [&str; 4] = ["aes-128-gcm", "chacha20-poly1305", "none", "zero"];
const ENCRYPTIONS: [(&str, &str, bool); 6] = [
    ("native", "1rtt", false),
    ("native", "0rtt", true),
    ("xorpub", "1rtt", true),
    ("xorpub", "0rtt", false),
    ("random", "1rtt", false),
    ("random", "0rtt", true),
];
const TRANSPORTS: [Transport; 4] = [Transport::Tcp, Transport::WebSocket, Transport::EarlyHeader, Transport::EarlyPath];
/// REALITY as nearly all links have it.
const REALITY: Trust = Trust::Reality { hello: "chrome", ml_dsa: false };
/// REALITY after a hello that is no browser's.
const REALITY_OWN: Trust = Trust::Reality { hello: "none", ml_dsa: false };
/// Tried with VLESS in the clear and over TLS, with the others over TLS only.
const MORE_TRANSPORTS: [Transport; 14] = [
    Transport::HttpHeader,
    Transport::HttpUpgrade,
    Transport::EarlyUpgrade,
    Transport::Grpc,
    Transport::GrpcMulti,
    Transport::GrpcPath,
    Transport::Http2,
    Transport::Xhttp("auto"),
    Transport::Xhttp("packet-up"),
    Transport::Xhttp("stream-up"),
    Transport::Xhttp("stream-one"),
    Transport::XhttpHttp1,
    Transport::XhttpPlaced,
    Transport::XhttpGet,
];

/// Which rows there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Table {
    /// Those that the program dials itself.
    Native,
    /// Those that only a core dials.
    Cores,
}

impl Table {
    /// The peers that play rows of it, in the order of its columns.
    pub(crate) const fn peers(self) -> &'static [Peer] {
        match self {
            Self::Native => {
                &[Peer::SingBox, Peer::Mihomo, Peer::Xray, Peer::V2ray, Peer::ShadowsocksLibev, Peer::Hysteria]
            }
            Self::Cores => &[Peer::SingBox, Peer::Mihomo, Peer::Xray, Peer::V2ray, Peer::ShadowsocksR],
        }
    }

    /// The rows to try, in the order of the table: all, or those whose name contains `HEZAR_INTEROP_ROWS`.
    pub(crate) fn chosen(self) -> Vec<Row> {
        let part = env::var("HEZAR_INTEROP_ROWS").unwrap_or_default();
        let all = match self {
            Self::Native => all(),
            Self::Cores => of_cores(),
        };
        all.into_iter().filter(|row| row.to_string().contains(&part)).collect()
    }
}

fn all() -> Vec<Row> {
    let mut rows = vec![
        Row::plain(Protocol::Socks4),
        Row::plain(Protocol::Socks4a),
        Row::plain(Protocol::Socks5 { password: false }),
        Row::plain(Protocol::Socks5 { password: true }),
        Row::plain(Protocol::Http { password: false }),
        Row::plain(Protocol::Http { password: true }),
    ];
    let https = Row::plain(Protocol::Http { password: true });
    rows.extend([Trust::Verify, Trust::Pin, Trust::Skip].map(|trust| Row { tls: Some(trust), ..https }));
    rows.push(Row { tls: Some(Trust::Verify), ..Row::plain(Protocol::Http { password: false }) });
    let shadowsocks = |method, users| Row::plain(Protocol::Shadowsocks { method, users });
    rows.extend(AEAD.map(|method| shadowsocks(method, false)));
    rows.extend(MULTI_USER.map(|method| shadowsocks(method, true)));
    rows.push(shadowsocks("none", false));
    rows.extend(STREAM.map(|method| shadowsocks(method, false)));
    rows.extend([Plugged::ObfsHttp, Plugged::ObfsTls].map(|plugin| Row::plain(Protocol::Plugged(plugin))));
    rows.extend(SHADOW_TLS.map(|method| Row::plain(Protocol::Plugged(Plugged::ShadowTls { method }))));
    for mux in [false, true] {
        let row = Row::plain(Protocol::Plugged(Plugged::V2ray { mux }));
        rows.extend([row, Row { tls: Some(Trust::Verify), ..row }]);
    }
    for protocol in [Protocol::Vmess { cipher: "auto", alter: 0 }, Protocol::Vless, Protocol::Trojan] {
        for transport in TRANSPORTS {
            rows.extend([None, Some(Trust::Verify)].map(|tls| Row { protocol, transport, tls }));
        }
        for transport in MORE_TRANSPORTS {
            let clear = (protocol == Protocol::Vless).then_some(None);
            let secured = Some(Some(Trust::Verify));
            rows.extend([clear, secured].into_iter().flatten().map(|tls| Row { protocol, transport, tls }));
        }
        let tcp = Row::plain(protocol);
        rows.extend([Trust::Browser, Trust::Pin, Trust::Skip, REALITY].map(|trust| Row { tls: Some(trust), ..tcp }));
    }
    for (looks, rtt, post_quantum) in ENCRYPTIONS {
        let encrypted = |vision| Row::plain(Protocol::Encrypted { looks, rtt, post_quantum, vision });
        rows.extend([false, true].map(encrypted));
    }
    let encrypted = |looks, vision| Protocol::Encrypted { looks, rtt: "0rtt", post_quantum: false, vision };
    let websocket = |vision| Row {
        protocol: encrypted("native", vision),
        transport: Transport::WebSocket,
        tls: Some(Trust::Verify),
    };
    rows.extend([false, true].map(websocket));
    for looks in ["native", "xorpub", "random"] {
        let row = Row::plain(encrypted(looks, true));
        rows.extend([Trust::Verify, REALITY].map(|trust| Row { tls: Some(trust), ..row }));
    }
    rows.push(Row { transport: Transport::Xhttp("auto"), tls: Some(REALITY), ..Row::plain(encrypted("random", true)) });
    rows.push(Row { tls: Some(Trust::Verify), ..Row::plain(Protocol::Chain) });
    rows.push(Row::plain(Protocol::WireGuard));
    let anytls = Row::plain(Protocol::AnyTls);
    rows.extend([Trust::Verify, Trust::Pin, Trust::Skip].map(|trust| Row { tls: Some(trust), ..anytls }));
    rows.push(Row { transport: Transport::WebSocket, tls: Some(Trust::Browser), ..Row::plain(Protocol::Vless) });
    rows.push(Row { tls: Some(Trust::Reality { hello: "chrome", ml_dsa: true }), ..Row::plain(Protocol::Vless) });
    rows.push(Row { tls: Some(Trust::Ech), ..Row::plain(Protocol::Vless) });
    let vision = Row::plain(Protocol::VlessVision);
    let vless = Row::plain(Protocol::Vless);
    let apart = [Transport::XhttpApart("packet-up"), Transport::XhttpApart("stream-up")];
    for tls in [None, Some(Trust::Verify)] {
        rows.extend(apart.map(|transport| Row { transport, tls, ..vless }));
    }
    for trust in [Trust::Verify, Trust::Pin] {
        let modes = ["packet-up", "stream-up", "stream-one"].map(Transport::XhttpHttp3);
        rows.extend(modes.map(|transport| Row { transport, tls: Some(trust), ..vless }));
    }
    let carried = [
        Transport::Grpc,
        Transport::Xhttp("auto"),
        Transport::Xhttp("stream-up"),
        Transport::Xhttp("packet-up"),
        Transport::XhttpApart("stream-up"),
    ];
    rows.extend(carried.map(|transport| Row { transport, tls: Some(REALITY), ..vless }));
    rows.extend(
        [Trust::Verify, Trust::Browser, Trust::Own, REALITY, REALITY_OWN]
            .map(|trust| Row { tls: Some(trust), ..vision }),
    );
    rows.extend([Trust::Own, REALITY_OWN].map(|trust| Row { tls: Some(trust), ..vless }));
    rows.push(Row { transport: Transport::Grpc, tls: Some(REALITY_OWN), ..vless });
    rows.push(Row { transport: Transport::Xhttp("auto"), tls: Some(REALITY_OWN), ..vless });
    for cipher in CIPHERS {
        let tcp = Row::plain(Protocol::Vmess { cipher, alter: 0 });
        let secured = Row { transport: Transport::WebSocket, tls: Some(Trust::Verify), ..tcp };
        rows.extend([tcp, secured]);
    }
    let alternative = Row::plain(Protocol::Vmess { cipher: "auto", alter: 64 });
    rows.extend([alternative, Row { transport: Transport::WebSocket, tls: Some(Trust::Verify), ..alternative }]);
    let hysteria2 = |disguise, bandwidth, trust| Row {
        tls: Some(trust),
        ..Row::plain(Protocol::Hysteria2 { disguise, bandwidth })
    };
    rows.extend([Trust::Verify, Trust::Pin, Trust::Skip].map(|trust| hysteria2(None, false, trust)));
    rows.extend([Some("salamander"), Some("gecko")].map(|disguise| hysteria2(disguise, false, Trust::Verify)));
    rows.push(hysteria2(None, true, Trust::Verify));
    let tuic =
        |congestion, streams, trust| Row { tls: Some(trust), ..Row::plain(Protocol::Tuic { congestion, streams }) };
    rows.push(tuic("cubic", false, Trust::Verify));
    rows.push(tuic("new_reno", false, Trust::Pin));
    rows.push(tuic("bbr", true, Trust::Skip));
    rows
}

/// Those that only a core dials.
fn of_cores() -> Vec<Row> {
    let core = |protocol| Row::plain(Protocol::Core(protocol));
    let ssr = |protocol, obfs| core(CoreProtocol::ShadowsocksR { protocol, obfs });
    let mut rows = vec![
        ssr("auth_aes128_md5", "tls1.2_ticket_auth"),
        ssr("auth_aes128_sha1", "http_simple"),
        ssr("auth_aes128_md5", "random_head"),
    ];
    for obfs in [false, true] {
        let row = core(CoreProtocol::Hysteria { obfs });
        rows.push(Row { tls: Some(if obfs { Trust::Skip } else { Trust::Pin }), ..row });
    }
    rows.extend([(4, false), (5, false), (5, true)].map(|(version, obfs)| core(CoreProtocol::Snell { version, obfs })));
    rows.extend([Trust::Pin, Trust::Skip].map(|trust| Row { tls: Some(trust), ..core(CoreProtocol::TuicToken) }));
    rows.push(core(CoreProtocol::Mieru { udp: false }));
    rows.extend([core(CoreProtocol::Sudoku), core(CoreProtocol::ShadowQuic)]);
    let trusttunnel = |quic| Row { tls: Some(Trust::Skip), ..core(CoreProtocol::TrustTunnel { quic }) };
    rows.extend([false, true].map(trusttunnel));
    rows.push(Row::plain(Protocol::Plugged(Plugged::Kcptun)));
    let kcp = |protocol, header, seed| Row { transport: Transport::Kcp { header, seed }, ..Row::plain(protocol) };
    for (header, seed) in
        [("", false), ("srtp", true), ("utp", false), ("wechat-video", true), ("dtls", false), ("wireguard", true)]
    {
        rows.push(kcp(Protocol::Vless, header, seed));
    }
    rows.push(kcp(Protocol::Vless, "dns", true));
    rows.push(kcp(Protocol::Vmess { cipher: "auto", alter: 0 }, "", true));
    rows.push(Row { tls: Some(Trust::Pin), ..kcp(Protocol::Trojan, "srtp", false) });
    rows
}
