//! Every setting that decides how a node is dialled is part of its identity, and two spellings of one setting are not.

use super::{
    identity::{ID, all_differ, id, secret, tcp, tls, trojan, websocket},
    *,
};

fn credentials(username: &str, password: &str) -> Option<Credentials> {
    Some(Credentials { username: username.into(), password: secret(password) })
}

#[test]
fn every_setting_of_socks_and_http_is_part_of_the_identity() {
    let logins = || [None, credentials("u", ""), credentials("u", "p"), credentials("p", "u")];
    let tls = || Some(Box::new(tls()));
    let socks = logins()
        .into_iter()
        .map(|credentials| SocksProxy { version: SocksVersion::V5, credentials, tls: None })
        .chain([SocksVersion::V4, SocksVersion::V4a].map(|version| SocksProxy {
            version,
            credentials: None,
            tls: None,
        }))
        .chain([SocksProxy { version: SocksVersion::V5, credentials: None, tls: tls() }]);
    let http = logins()
        .into_iter()
        .flat_map(|credentials| [None, tls()].map(|tls| HttpProxy { credentials: credentials.clone(), tls }));
    all_differ(socks.map(Outbound::Socks).chain(http.map(Outbound::Http)));
}

#[test]
fn every_setting_of_shadowsocks_is_part_of_the_identity() {
    let base =
        || Shadowsocks { method: "aes-128-gcm".into(), password: secret("p"), plugin: None, udp_over_tcp: false };
    let plugin = |name: &str, options: &[(&str, &str)]| {
        let options = options.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        Some(Box::new(Plugin { name: name.into(), options }))
    };
    let changes = [
        base(),
        Shadowsocks { method: "aes-256-gcm".into(), ..base() },
        Shadowsocks { password: secret("other"), ..base() },
        Shadowsocks { udp_over_tcp: true, ..base() },
        Shadowsocks { plugin: plugin("obfs-local", &[]), ..base() },
        Shadowsocks { plugin: plugin("v2ray-plugin", &[]), ..base() },
        Shadowsocks { plugin: plugin("v2ray-plugin", &[("tls", "")]), ..base() },
        Shadowsocks { plugin: plugin("v2ray-plugin", &[("host", "a"), ("path", "b")]), ..base() },
        Shadowsocks { plugin: plugin("v2ray-plugin", &[("host", "b"), ("path", "a")]), ..base() },
    ];
    all_differ(changes.map(Outbound::Shadowsocks));
    let ssr = || ShadowsocksR {
        method: "rc4-md5".into(),
        password: secret("p"),
        protocol: "origin".into(),
        protocol_param: "".into(),
        obfs: "plain".into(),
        obfs_param: "".into(),
    };
    let changes = [
        ssr(),
        ShadowsocksR { method: "aes-256-cfb".into(), ..ssr() },
        ShadowsocksR { password: secret("other"), ..ssr() },
        ShadowsocksR { protocol: "auth_chain_a".into(), ..ssr() },
        ShadowsocksR { protocol_param: "x".into(), ..ssr() },
        ShadowsocksR { obfs: "http_simple".into(), ..ssr() },
        ShadowsocksR { obfs_param: "x".into(), ..ssr() },
    ];
    all_differ(changes.map(|settings| Outbound::ShadowsocksR(Box::new(settings))));
}

#[test]
fn every_setting_of_a_stream_protocol_is_part_of_the_identity() {
    let vless = || Vless { id: ID, flow: None, encryption: None, packet_encoding: PacketEncoding::Xudp };
    let vlesses = [
        vless(),
        Vless { id: uuid::Uuid::nil(), ..vless() },
        Vless { flow: Some(Vision::Plain), ..vless() },
        Vless { flow: Some(Vision::Udp443), ..vless() },
        Vless { encryption: Some(secret("mlkem768x25519plus.native.1rtt.key")), ..vless() },
        Vless { packet_encoding: PacketEncoding::PacketAddr, ..vless() },
        Vless { packet_encoding: PacketEncoding::None, ..vless() },
    ];
    let (cipher, packet_encoding) = (VmessCipher::Auto, PacketEncoding::Xudp);
    let vmess = || Vmess { id: ID, alter_id: 0, cipher, packet_encoding };
    let ciphers = [VmessCipher::Aes128Gcm, VmessCipher::Chacha20Poly1305, VmessCipher::None, VmessCipher::Zero];
    let vmesses = ciphers.map(|cipher| Vmess { cipher, ..vmess() }).into_iter().chain([
        vmess(),
        Vmess { id: uuid::Uuid::nil(), ..vmess() },
        Vmess { alter_id: 1, ..vmess() },
        Vmess { packet_encoding: PacketEncoding::None, ..vmess() },
    ]);
    let trojans = [("p", None), ("other", None), ("p", Some(secret("ss;aes-128-gcm:p")))]
        .map(|(password, inner_shadowsocks)| Trojan { password: secret(password), inner_shadowsocks });
    let protocols = vlesses.map(StreamProtocol::Vless).into_iter();
    let protocols = protocols.chain(vmesses.map(StreamProtocol::Vmess)).chain(trojans.map(StreamProtocol::Trojan));
    all_differ(protocols.map(|protocol| Outbound::stream(protocol, tcp(Security::Tls(tls()))).unwrap()));
}

#[test]
fn every_setting_of_the_rarer_transports_is_part_of_the_identity() {
    let grpc = || Grpc { service_name: "g".into(), authority: None, mode: GrpcMode::Gun };
    let grpcs = [
        grpc(),
        Grpc { service_name: "other".into(), ..grpc() },
        Grpc { authority: Some("a".into()), ..grpc() },
        Grpc { mode: GrpcMode::Multi, ..grpc() },
    ]
    .map(|grpc| Carrier::Grpc { grpc, security: Security::None });
    let early = || Some(EarlyData { max_bytes: 2048, header: None });
    let upgrade = || HttpUpgrade { path: "/u".into(), ..HttpUpgrade::default() };
    let upgrades = [
        upgrade(),
        HttpUpgrade { path: "/other".into(), ..upgrade() },
        HttpUpgrade { host: Some("h".into()), ..upgrade() },
        HttpUpgrade { headers: vec![("a".into(), "b".into())], ..upgrade() },
        HttpUpgrade { early_data: early(), ..upgrade() },
    ]
    .map(|upgrade| Carrier::HttpUpgrade { upgrade, tls: None });
    let http2s = [("/2", vec![]), ("/other", vec![]), ("/2", vec!["h".into()]), ("/2", vec!["h".into(), "i".into()])]
        .map(|(path, hosts)| Carrier::Http2 { http2: Http2 { path: path.into(), hosts }, tls: Some(tls()) });
    let kcps =
        [("", None, None), ("srtp", None, None), ("", None, Some(secret("s"))), ("dns", Some("d.example"), None)]
            .map(|(header, domain, seed)| Kcp { header: header.into(), domain: domain.map(Into::into), seed })
            .map(|kcp| Carrier::Kcp { kcp, tls: None });
    let quics = [("", None, ""), ("aes-128-gcm", None, ""), ("", Some(secret("k")), ""), ("", None, "srtp")]
        .map(|(encryption, key, header)| QuicTransport { encryption: encryption.into(), key, header: header.into() })
        .map(|quic| Carrier::Quic { quic, tls: None });
    let header = |hosts: &[&str], paths: &[&str]| {
        let boxed = |texts: &[&str]| texts.iter().map(|text| (*text).into()).collect();
        let header = Some(HttpHeader { hosts: boxed(hosts), paths: boxed(paths) });
        Carrier::Tcp { header, security: Security::None }
    };
    let headers =
        [header(&[], &[]), header(&["h"], &[]), header(&[], &["/p"]), header(&["h", "i"], &[]), Carrier::plain()];
    let all = grpcs.into_iter().chain(upgrades).chain(http2s).chain(kcps).chain(quics).chain(headers);
    all_differ(all.map(trojan));
}

#[test]
fn every_setting_of_hysteria_1_and_tuic_is_part_of_the_identity() {
    let hysteria = || Hysteria {
        auth: secret("a"),
        ports: Vec::new(),
        transport: HysteriaTransport::Udp,
        obfs: None,
        up_mbps: Some(10),
        down_mbps: Some(20),
        tls: tls(),
    };
    let changes = [
        hysteria(),
        Hysteria { auth: secret("other"), ..hysteria() },
        Hysteria { ports: vec![(1, 2)], ..hysteria() },
        Hysteria { ports: vec![(1, 2), (3, 4)], ..hysteria() },
        Hysteria { transport: HysteriaTransport::WechatVideo, ..hysteria() },
        Hysteria { transport: HysteriaTransport::FakeTcp, ..hysteria() },
        Hysteria { obfs: Some(HysteriaObfs(secret("o"))), ..hysteria() },
        Hysteria { up_mbps: Some(20), down_mbps: Some(10), ..hysteria() },
        Hysteria { up_mbps: None, ..hysteria() },
        Hysteria { tls: Tls::default(), ..hysteria() },
    ];
    all_differ(changes.map(|settings| Outbound::Hysteria(Box::new(settings))));
    let tuic = || Tuic {
        user: TuicUser::V5 { id: ID, password: secret("p") },
        congestion: Congestion::Cubic,
        udp_relay: UdpRelayMode::Native,
        reduce_rtt: false,
        tls: tls(),
    };
    let changes = [
        tuic(),
        Tuic { user: TuicUser::V5 { id: ID, password: secret("other") }, ..tuic() },
        Tuic { user: TuicUser::V5 { id: uuid::Uuid::nil(), password: secret("p") }, ..tuic() },
        Tuic { user: TuicUser::V4 { token: secret("p") }, ..tuic() },
        Tuic { congestion: Congestion::NewReno, ..tuic() },
        Tuic { congestion: Congestion::Bbr, ..tuic() },
        Tuic { udp_relay: UdpRelayMode::Quic, ..tuic() },
        Tuic { reduce_rtt: true, ..tuic() },
        Tuic { tls: Tls::default(), ..tuic() },
    ];
    all_differ(changes.map(|settings| Outbound::Tuic(Box::new(settings))));
}

#[test]
fn every_setting_of_snell_ssh_and_mieru_is_part_of_the_identity() {
    let snell = || Snell { psk: secret("p"), version: 4, obfs: None, obfs_host: None };
    let snells = [
        snell(),
        Snell { psk: secret("other"), ..snell() },
        Snell { version: 5, ..snell() },
        Snell { obfs: Some(SnellObfs::Http), ..snell() },
        Snell { obfs: Some(SnellObfs::Tls), ..snell() },
        Snell { obfs: Some(SnellObfs::Tls), obfs_host: Some("h".into()), ..snell() },
    ];
    all_differ(snells.map(|settings| Outbound::Snell(Box::new(settings))));
    let ssh = || Ssh {
        username: "u".into(),
        password: Some(secret("p")),
        private_key: None,
        passphrase: None,
        host_keys: Vec::new(),
        host_key_algorithms: Vec::new(),
    };
    let changes = [
        ssh(),
        Ssh { username: "other".into(), ..ssh() },
        Ssh { password: None, private_key: Some(secret("p")), ..ssh() },
        Ssh { private_key: Some(secret("k")), ..ssh() },
        Ssh { passphrase: Some(secret("k")), ..ssh() },
        Ssh { host_keys: vec!["k".into()], ..ssh() },
        Ssh { host_key_algorithms: vec!["k".into()], ..ssh() },
    ];
    all_differ(changes.map(|settings| Outbound::Ssh(Box::new(settings))));
    let mieru = || Mieru {
        username: "u".into(),
        password: secret("p"),
        last_port: None,
        transport: MieruTransport::Tcp,
        multiplexing: None,
        no_wait: false,
        traffic_pattern: None,
    };
    let levels = MieruMultiplexing::ALL.map(|level| Mieru { multiplexing: Some(level), ..mieru() });
    let changes = [
        mieru(),
        Mieru { username: "p".into(), password: secret("u"), ..mieru() },
        Mieru { last_port: Some(9), ..mieru() },
        Mieru { transport: MieruTransport::Udp, ..mieru() },
        Mieru { no_wait: true, ..mieru() },
        Mieru { traffic_pattern: Some("t".into()), ..mieru() },
    ];
    all_differ(changes.into_iter().chain(levels).map(|settings| Outbound::Mieru(Box::new(settings))));
    let kinds = ClashKind::ALL.map(|kind| ClashOnly { kind, settings: secret("{}") });
    let other = ClashOnly { kind: ClashKind::Sudoku, settings: secret(r#"{"key":"k"}"#) };
    all_differ(kinds.into_iter().chain([other]).map(|settings| Outbound::ClashOnly(Box::new(settings))));
}

#[test]
fn two_spellings_of_one_setting_are_one_node() {
    let path = |path: &str| {
        let websocket = WebSocket { path: path.into(), ..websocket() };
        id(trojan(Carrier::WebSocket { websocket, tls: None }))
    };
    assert_eq!(path("/"), path(""), "`/` is the default path");
    assert_ne!(path("/"), path("/w"));
    let kcp =
        |header: &str| id(trojan(Carrier::Kcp { kcp: Kcp { header: header.into(), ..Kcp::default() }, tls: None }));
    assert_ne!(kcp("none"), kcp("srtp"));
    let named = |host: &str| socks(host, 1).id();
    assert_eq!(named("[2001:db8::1]"), named("2001:db8:0:0::1"));
    assert_eq!(named("ПРИМЕР.example"), named("xn--e1afmkfd.example"));
}
