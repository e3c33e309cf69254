//! Identities: they never change with the program, and every setting that decides how a node is dialled is part of them.

use std::collections::HashSet;

use uuid::{Uuid, uuid};

use super::*;

pub(super) const ID: Uuid = uuid!("b831381d-6324-4d53-ad4f-8cda48b30811");

pub(super) fn secret(text: &str) -> Secret {
    Secret::new(text)
}

pub(super) fn tls() -> Tls {
    Tls { server_name: Some("sni.example".into()), ..Tls::default() }
}

pub(super) fn reality() -> Reality {
    Reality {
        server_name: Some("sni.example".into()),
        public_key: [7; 32],
        short_id: ShortId::new(&[1, 2]).unwrap(),
        spider_x: None,
        mldsa65_verify: None,
        fingerprint: Some(Fingerprint::Chrome),
        own_hello: false,
        alpn: Vec::new(),
    }
}

fn xhttp() -> Xhttp {
    Xhttp { path: "/x".into(), host: None, mode: XhttpMode::Auto, extra: None, download: None }
}

pub(super) fn websocket() -> WebSocket {
    WebSocket { path: "/w".into(), host: None, headers: Vec::new(), early_data: None }
}

pub(super) fn trojan(carrier: Carrier) -> Outbound {
    let trojan = Trojan { password: secret("p"), inner_shadowsocks: None };
    Outbound::stream(StreamProtocol::Trojan(trojan), carrier).unwrap()
}

pub(super) fn tcp(security: Security) -> Carrier {
    Carrier::Tcp { header: None, security }
}

fn hysteria2() -> Hysteria2 {
    let (ports, tls) = (Vec::new(), tls());
    Hysteria2 { auth: secret("a"), ports, hop_interval: None, obfs: None, up_mbps: None, down_mbps: None, tls }
}

fn wireguard() -> WireGuard {
    WireGuard {
        private_key: secret("k"),
        public_key: Some("peer".into()),
        pre_shared_key: None,
        addresses: vec!["10.0.0.2/32".into()],
        reserved: [0; 3],
        mtu: None,
        keepalive: None,
    }
}

/// One node of every protocol, transport and security layer, each with its name.
pub(super) fn kinds() -> Vec<(&'static str, Outbound)> {
    let credentials = || Some(Credentials { username: "u".into(), password: secret("p") });
    let vless = Vless { id: ID, flow: Some(Vision::Plain), encryption: None, packet_encoding: PacketEncoding::Xudp };
    let (cipher, packet_encoding) = (VmessCipher::Auto, PacketEncoding::PacketAddr);
    let vmess = Vmess { id: ID, alter_id: 0, cipher, packet_encoding };
    let grpc = Grpc { service_name: "g".into(), authority: None, mode: GrpcMode::Multi };
    let upgrade = HttpUpgrade { path: "/u".into(), host: None, headers: Vec::new(), early_data: None };
    let kcp = Kcp { header: "srtp".into(), domain: None, seed: Some(secret("s")) };
    let quic = QuicTransport { encryption: "none".into(), key: None, header: "utp".into() };
    let header = Some(HttpHeader { hosts: vec!["h.example".into()], paths: vec!["/".into()] });
    let shadowsocks = Shadowsocks {
        method: "aes-128-gcm".into(),
        password: secret("p"),
        plugin: Some(Box::new(Plugin { name: "obfs-local".into(), options: vec![("obfs".into(), "http".into())] })),
        udp_over_tcp: true,
    };
    let ssr = ShadowsocksR {
        method: "rc4-md5".into(),
        password: secret("p"),
        protocol: "origin".into(),
        protocol_param: "".into(),
        obfs: "plain".into(),
        obfs_param: "".into(),
    };
    let hysteria = Hysteria {
        auth: secret("a"),
        ports: vec![(1, 2)],
        transport: HysteriaTransport::FakeTcp,
        obfs: Some(HysteriaObfs(secret("o"))),
        up_mbps: Some(1),
        down_mbps: Some(2),
        tls: tls(),
    };
    let tuic = Tuic {
        user: TuicUser::V5 { id: ID, password: secret("p") },
        congestion: Congestion::Bbr,
        udp_relay: UdpRelayMode::Quic,
        reduce_rtt: true,
        tls: tls(),
    };
    let snell =
        Snell { psk: secret("p"), version: 4, obfs: Some(SnellObfs::Http), obfs_host: Some("h.example".into()) };
    let ssh = Ssh {
        username: "u".into(),
        password: Some(secret("p")),
        private_key: None,
        passphrase: None,
        host_keys: vec!["ssh-ed25519 AAAA".into()],
        host_key_algorithms: Vec::new(),
    };
    let mieru = Mieru {
        username: "u".into(),
        password: secret("p"),
        last_port: Some(445),
        transport: MieruTransport::Udp,
        multiplexing: Some(MieruMultiplexing::Low),
        no_wait: true,
        traffic_pattern: None,
    };
    let sudoku = ClashOnly { kind: ClashKind::Sudoku, settings: secret(r#"{"key":"k"}"#) };
    let stream = |protocol, carrier| Outbound::stream(protocol, carrier).unwrap();
    vec![
        ("socks4a", Outbound::Socks(SocksProxy { version: SocksVersion::V4a, credentials: credentials(), tls: None })),
        ("tor", Outbound::Socks(SocksProxy { version: SocksVersion::Tor, credentials: credentials(), tls: None })),
        ("https", Outbound::Http(HttpProxy { credentials: credentials(), tls: Some(Box::new(tls())) })),
        ("shadowsocks", Outbound::Shadowsocks(shadowsocks)),
        ("shadowsocksr", Outbound::ShadowsocksR(Box::new(ssr))),
        ("vless vision reality", stream(StreamProtocol::Vless(vless), tcp(Security::Reality(reality())))),
        ("vmess http", stream(StreamProtocol::Vmess(vmess), Carrier::Tcp { header, security: Security::None })),
        ("trojan tls", trojan(tcp(Security::Tls(tls())))),
        ("trojan ws", trojan(Carrier::WebSocket { websocket: websocket(), tls: Some(tls()) })),
        ("trojan httpupgrade", trojan(Carrier::HttpUpgrade { upgrade, tls: None })),
        ("trojan grpc", trojan(Carrier::Grpc { grpc, security: Security::Tls(tls()) })),
        ("trojan h2", trojan(Carrier::Http2 { http2: Http2 { path: "/2".into(), hosts: Vec::new() }, tls: None })),
        ("trojan xhttp", trojan(Carrier::Xhttp { xhttp: xhttp(), security: Security::Reality(reality()) })),
        ("trojan kcp", trojan(Carrier::Kcp { kcp, tls: None })),
        ("trojan quic", trojan(Carrier::Quic { quic, tls: Some(tls()) })),
        ("anytls", Outbound::AnyTls(Box::new(AnyTls { password: secret("p"), tls: tls() }))),
        ("hysteria2", Outbound::Hysteria2(Box::new(hysteria2()))),
        ("hysteria", Outbound::Hysteria(Box::new(hysteria))),
        ("tuic", Outbound::Tuic(Box::new(tuic))),
        ("wireguard", Outbound::WireGuard(Box::new(wireguard()))),
        ("snell", Outbound::Snell(Box::new(snell))),
        ("ssh", Outbound::Ssh(Box::new(ssh))),
        ("mieru", Outbound::Mieru(Box::new(mieru))),
        ("sudoku", Outbound::ClashOnly(Box::new(sudoku))),
    ]
}

pub(super) fn id(outbound: Outbound) -> NodeId {
    NodeSpec::new(Target::parse("node.example:443").unwrap(), outbound).id()
}

/// Fails unless all of these have different identities.
pub(super) fn all_differ(outbounds: impl IntoIterator<Item = Outbound>) {
    let mut ids = HashSet::new();
    for outbound in outbounds {
        let text = format!("{outbound:?}");
        assert!(ids.insert(id(outbound)), "{text} has the identity of one before it");
    }
}

const GOLDEN: [(&str, &str); 24] = [
    ("socks4a", "54de8d35e002cca8abab86dfe85cea83"),
    ("tor", "4cd7328b7120f0559f2d49b1aff26bc7"),
    ("https", "75927be91673570faa0e2b68d0ee2d5f"),
    ("shadowsocks", "0ccfa7f99c2fdb021723fc326555c141"),
    ("shadowsocksr", "0e20b17724040ea0eb3880e31363363b"),
    ("vless vision reality", "ed6c6b0735ee09fc48a259b326ac6dd0"),
    ("vmess http", "210e63e295f7db65df4c1ae3779d2f53"),
    ("trojan tls", "588b1373f5175bab2a9670f1b797a86f"),
    ("trojan ws", "8938a41bd2b737890279cb62a9b0ac31"),
    ("trojan httpupgrade", "bf4fb68c1950dc5460458d0e63d3dfa2"),
    ("trojan grpc", "6e184573098e2c1208fecffb22cee4bb"),
    ("trojan h2", "539ef5a3bbb90a4eb29fb2b91f053e3b"),
    ("trojan xhttp", "585709cb5d91ccc6a11da99327237d7e"),
    ("trojan kcp", "d672e89804dd33d31d3655b2d5071057"),
    ("trojan quic", "f766b0a4827c1e9bc4803d0ddcfb1457"),
    ("anytls", "f6d9b32411ca0137a8a6c7af7823a373"),
    ("hysteria2", "b52fb701e985d52fd4b862c3f05f6189"),
    ("hysteria", "b9ac55f292b81a97fefc730c7d24890d"),
    ("tuic", "8ff91a38584ee3f4bbb015a6bad4e85f"),
    ("wireguard", "4f5c7f6382e6ed78d35b0910a722b76e"),
    ("snell", "425d9a6ffb8d362825338fa8f7fc262c"),
    ("ssh", "3dd6a4bb4cce051ed5e8530cc320d29f"),
    ("mieru", "fbdd48eab1fcf02e1074f14444cba850"),
    ("sudoku", "22df3173bf84ed1a9d758f5780cb6870"),
];

#[test]
fn identities_never_change() {
    let found: Vec<_> = kinds().into_iter().map(|(name, outbound)| (name, id(outbound).to_string())).collect();
    // A change of these digits loses every stored measurement: never edit them, fix the canonical form instead.
    let expected: Vec<_> = GOLDEN.into_iter().map(|(name, digits)| (name, digits.to_owned())).collect();
    assert_eq!(found, expected, "{found:#?}");
}

#[test]
fn kinds_differ_and_have_the_schemes_of_their_links() {
    let schemes: HashSet<_> = kinds().iter().map(|(_, outbound)| outbound.scheme()).collect();
    assert_eq!(schemes.len(), 17, "{schemes:?}");
    all_differ(kinds().into_iter().map(|(_, outbound)| outbound));
}

#[test]
fn every_setting_of_tls_and_reality_is_part_of_the_identity() {
    let text = || Some("other".into());
    let changes = [
        tls(),
        Tls { server_name: text(), ..tls() },
        Tls { disable_sni: true, ..tls() },
        Tls { alpn: vec!["h2".into()], ..tls() },
        Tls { alpn: vec!["h2".into(), "http/1.1".into()], ..tls() },
        Tls { skip_verify: true, ..tls() },
        Tls { pins: vec![[1; 32]], ..tls() },
        Tls { verify_names: vec!["other".into()], ..tls() },
        Tls { fingerprint: Some(Fingerprint::Firefox), ..tls() },
        Tls { ech: text(), ..tls() },
    ];
    let reality_changes = [
        reality(),
        Reality { server_name: text(), ..reality() },
        Reality { public_key: [8; 32], ..reality() },
        Reality { short_id: ShortId::new(&[1, 2, 0]).unwrap(), ..reality() },
        Reality { spider_x: text(), ..reality() },
        Reality { mldsa65_verify: Some(secret("v")), ..reality() },
        Reality { fingerprint: Some(Fingerprint::Safari), ..reality() },
        Reality { own_hello: true, ..reality() },
        Reality { alpn: vec!["h2".into()], ..reality() },
    ];
    let securities = changes.map(Security::Tls).into_iter().chain(reality_changes.map(Security::Reality));
    all_differ(securities.chain([Security::None]).map(|security| trojan(tcp(security))));
}

#[test]
fn every_setting_of_a_transport_is_part_of_the_identity() {
    let early = |header| Some(EarlyData { max_bytes: 2048, header });
    let pair = || vec![("a".into(), "b".into())];
    let changes = [
        websocket(),
        WebSocket { path: "/other".into(), ..websocket() },
        WebSocket { host: Some("h".into()), ..websocket() },
        WebSocket { headers: pair(), ..websocket() },
        WebSocket { early_data: early(None), ..websocket() },
        WebSocket { early_data: early(Some("Sec-WebSocket-Protocol".into())), ..websocket() },
    ];
    // Its `download` is read from `extra`, which is part of the identity.
    let xhttp_changes = [
        xhttp(),
        Xhttp { path: "/other".into(), ..xhttp() },
        Xhttp { host: Some("h".into()), ..xhttp() },
        Xhttp { mode: XhttpMode::StreamUp, ..xhttp() },
        Xhttp { extra: Some("{}".into()), ..xhttp() },
    ];
    let websockets = changes.map(|websocket| Carrier::WebSocket { websocket, tls: None });
    let others = xhttp_changes.map(|xhttp| Carrier::Xhttp { xhttp, security: Security::None });
    all_differ(websockets.into_iter().chain(others).map(trojan));
}

#[test]
fn every_setting_of_hysteria_2_and_wireguard_is_part_of_the_identity() {
    let gecko = |min_packet| Some(Obfs2::Gecko { password: secret("o"), min_packet, max_packet: None });
    let changes = [
        hysteria2(),
        Hysteria2 { auth: secret("other"), ..hysteria2() },
        Hysteria2 { ports: vec![(1, 2)], ..hysteria2() },
        Hysteria2 { hop_interval: Some(9), ..hysteria2() },
        Hysteria2 { obfs: Some(Obfs2::Salamander { password: secret("o") }), ..hysteria2() },
        Hysteria2 { obfs: gecko(None), ..hysteria2() },
        Hysteria2 { obfs: gecko(Some(600)), ..hysteria2() },
        Hysteria2 { up_mbps: Some(1), ..hysteria2() },
        Hysteria2 { down_mbps: Some(1), ..hysteria2() },
        Hysteria2 { tls: Tls::default(), ..hysteria2() },
    ];
    all_differ(changes.map(|settings| Outbound::Hysteria2(Box::new(settings))));
    let changes = [
        wireguard(),
        WireGuard { private_key: secret("other"), ..wireguard() },
        WireGuard { public_key: None, ..wireguard() },
        WireGuard { pre_shared_key: Some(secret("s")), ..wireguard() },
        WireGuard { addresses: vec!["10.0.0.3/32".into()], ..wireguard() },
        WireGuard { reserved: [1, 2, 3], ..wireguard() },
        WireGuard { mtu: Some(1280), ..wireguard() },
        WireGuard { keepalive: Some(25), ..wireguard() },
    ];
    all_differ(changes.map(|settings| Outbound::WireGuard(Box::new(settings))));
}

#[test]
fn the_first_digits_of_an_id_find_it() {
    let id: NodeId = "4254ecba997a029360fbbbdc5958b2dd".parse().unwrap();
    for digits in ["", "4", "4254EC", "4254ecba997a029360fbbbdc5958b2dd"] {
        assert!(id.starts_with(digits), "{digits}");
    }
    for digits in ["5", "4254ed", "425g", "4254ecba997a029360fbbbdc5958b2dd0"] {
        assert!(!id.starts_with(digits), "{digits}");
    }
}
