//! Nodes with every text that a link can carry, however odd: wider than what configurations can say.

use hezar_core::*;
use proptest::{collection::vec, option, prelude::*, sample::select};
use uuid::Uuid;

use crate::field;

fn word() -> impl Strategy<Value = Box<str>> {
    "[A-Za-z0-9][A-Za-z0-9.-]{0,11}".prop_map(Into::into)
}

/// Any text that is not empty.
fn text() -> impl Strategy<Value = Box<str>> {
    prop_oneof![4 => "[ -~]{1,16}", 1 => "\\PC{1,8}", 1 => "[:/@#?&=%+;, \\\\<>\"'|`\\[\\]]{1,8}"].prop_map(Into::into)
}

/// A text whose ends are no white space.
fn trimmed() -> impl Strategy<Value = Box<str>> {
    text().prop_filter_map("empty", |text| field::filled(text.trim()))
}

fn secret() -> impl Strategy<Value = Secret> {
    text().prop_map(Secret::new)
}

fn key() -> impl Strategy<Value = Box<str>> {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    any::<[u8; 32]>().prop_map(|key| STANDARD.encode(key).into())
}

fn uuid() -> impl Strategy<Value = Uuid> {
    any::<u128>().prop_map(Uuid::from_u128)
}

/// Any published name.
pub(crate) fn label() -> BoxedStrategy<Label> {
    prop_oneof![1 => Just(Label::default()), 4 => "\\PC{0,24}".prop_map(|name| Label::new(&name))].boxed()
}

/// Any server.
pub(crate) fn server() -> BoxedStrategy<Target> {
    let host = prop_oneof![
        any::<std::net::Ipv4Addr>().prop_map(|address| Host::Ip(address.into())),
        any::<std::net::Ipv6Addr>().prop_map(|address| Host::Ip(address.into())),
        "[a-z0-9]([a-z0-9_-]{0,8}[a-z0-9])?(\\.[a-z]{2,6}){0,3}"
            .prop_filter_map("a name", |name| Host::new(&name).ok()),
    ];
    (host, 1_u16..).prop_map(|(host, port)| Target::new(host, port).unwrap()).boxed()
}

fn fingerprint() -> impl Strategy<Value = Option<Fingerprint>> {
    option::of(select(Fingerprint::ALL.to_vec()))
}

fn alpn() -> impl Strategy<Value = Vec<Box<str>>> {
    prop_oneof![
        3 => vec(select(vec!["h2", "http/1.1", "h3"]).prop_map(Into::into), 0..3),
        1 => vec(text(), 0..3),
    ]
}

/// Any TLS settings.
pub(crate) fn tls() -> BoxedStrategy<Tls> {
    (
        (option::of(trimmed()), any::<bool>(), alpn(), any::<bool>()),
        (vec(any::<[u8; 32]>(), 0..3), vec(text(), 0..3), fingerprint(), option::of(trimmed())),
    )
        .prop_map(|((server_name, disable_sni, alpn, skip_verify), (pins, verify_names, fingerprint, ech))| Tls {
            server_name,
            disable_sni,
            alpn,
            skip_verify,
            pins,
            verify_names,
            fingerprint,
            ech,
        })
        .boxed()
}

fn reality() -> BoxedStrategy<Reality> {
    (
        (option::of(trimmed()), any::<[u8; 32]>(), vec(any::<u8>(), 0..=8), option::of(text())),
        (option::of(secret()), fingerprint(), any::<bool>(), alpn()),
    )
        .prop_map(|((server_name, public_key, short_id, spider_x), (mldsa65_verify, fingerprint, own, alpn))| Reality {
            server_name,
            public_key,
            short_id: ShortId::new(&short_id).unwrap(),
            spider_x,
            mldsa65_verify,
            fingerprint,
            own_hello: own && fingerprint.is_none(),
            alpn,
        })
        .boxed()
}

fn security() -> BoxedStrategy<Security> {
    prop_oneof![Just(Security::None), tls().prop_map(Security::Tls), reality().prop_map(Security::Reality)].boxed()
}

/// Paths; early data never stands in them.
fn path() -> impl Strategy<Value = Box<str>> {
    prop_oneof![Just("".into()), Just("/".into()), "/[a-z0-9/?&=%,-]{0,12}".prop_map(Into::into), text()]
        .prop_filter("early data has its own field", |path| !path.contains("ed="))
}

fn early_data() -> impl Strategy<Value = Option<EarlyData>> {
    let header = prop_oneof![Just(None), Just(Some("Sec-WebSocket-Protocol".into())), word().prop_map(Some)];
    option::of((1_u32.., header).prop_map(|(max_bytes, header)| EarlyData { max_bytes, header }))
}

fn headers() -> impl Strategy<Value = Vec<(Box<str>, Box<str>)>> {
    let no_host = |(name, _): &(Box<str>, Box<str>)| !name.eq_ignore_ascii_case("host");
    vec((word(), text()).prop_filter("Host has its own field", no_host), 0..3)
}

fn disguise() -> impl Strategy<Value = Box<str>> {
    select(vec!["", "srtp", "utp", "wechat-video", "dtls", "wireguard"]).prop_map(Into::into)
}

fn extra() -> impl Strategy<Value = Option<Box<str>>> {
    option::of(select(vec![
        "{}",
        r#"{"xPaddingBytes":"100-1000"}"#,
        r#"{"headers":{"a b":"c \"d\""},"z":[1,2],"a":null}"#,
        DOWNLOAD,
    ]))
    .prop_map(|extra| extra.map(Into::into))
}

const DOWNLOAD: &str = concat!(
    r#"{"xPaddingBytes":7,"downloadSettings":{"address":"b.example","port":8443,"security":"tls","#,
    r#""tlsSettings":{"serverName":"c.example","alpn":["h3"]},"xhttpSettings":{"path":"/d","noGRPCHeader":true}}}"#,
);

/// What belongs to an `extra`.
pub(crate) fn download(extra: Option<&str>) -> Option<Box<XhttpDownload>> {
    crate::document::xray_download(extra.unwrap_or_default()).unwrap().map(Box::new)
}

/// Any transport with any security it can have.
pub(crate) fn carrier() -> BoxedStrategy<Carrier> {
    let header = (vec(text(), 0..3), vec(text(), 0..3)).prop_map(|(hosts, paths)| HttpHeader { hosts, paths });
    let websocket = (path(), option::of(text()), headers(), early_data())
        .prop_map(|(path, host, headers, early_data)| WebSocket { path, host, headers, early_data });
    let upgrade = (path(), option::of(text()), headers(), early_data())
        .prop_map(|(path, host, headers, early_data)| HttpUpgrade { path, host, headers, early_data });
    let grpc = (prop_oneof![Just("".into()), text()], option::of(text()), select(vec![GrpcMode::Gun, GrpcMode::Multi]))
        .prop_map(|(service_name, authority, mode)| Grpc { service_name, authority, mode });
    let http2 = (path(), vec(text(), 0..3)).prop_map(|(path, hosts)| Http2 { path, hosts });
    let modes = vec![XhttpMode::Auto, XhttpMode::PacketUp, XhttpMode::StreamUp, XhttpMode::StreamOne];
    let xhttp = (path(), option::of(text()), select(modes), extra()).prop_map(|(path, host, mode, extra)| Xhttp {
        path,
        host,
        mode,
        download: download(extra.as_deref()),
        extra,
    });
    let kcp = (disguise(), option::of(secret())).prop_map(|(header, seed)| Kcp { header, seed });
    let ciphers = select(vec!["", "aes-128-gcm", "chacha20-poly1305"]).prop_map(Box::<str>::from);
    let quic = (ciphers, option::of(secret()), disguise()).prop_map(|(encryption, key, header)| QuicTransport {
        encryption,
        key,
        header,
    });
    prop_oneof![
        (option::of(header), security()).prop_map(|(header, security)| Carrier::Tcp { header, security }),
        (websocket, option::of(tls())).prop_map(|(websocket, tls)| Carrier::WebSocket { websocket, tls }),
        (upgrade, option::of(tls())).prop_map(|(upgrade, tls)| Carrier::HttpUpgrade { upgrade, tls }),
        (grpc, security()).prop_map(|(grpc, security)| Carrier::Grpc { grpc, security }),
        (http2, option::of(tls())).prop_map(|(http2, tls)| Carrier::Http2 { http2, tls }),
        (xhttp, security()).prop_map(|(xhttp, security)| Carrier::Xhttp { xhttp, security }),
        (kcp, option::of(tls())).prop_map(|(kcp, tls)| Carrier::Kcp { kcp, tls }),
        (quic, option::of(tls())).prop_map(|(quic, tls)| Carrier::Quic { quic, tls }),
    ]
    .boxed()
}

fn packet_encoding() -> impl Strategy<Value = PacketEncoding> {
    select(vec![PacketEncoding::Xudp, PacketEncoding::PacketAddr, PacketEncoding::None])
}

fn stream() -> BoxedStrategy<Outbound> {
    let flow = select(vec![None, Some(Vision::Plain), Some(Vision::Udp443)]);
    let encryption =
        option::of("mlkem768x25519plus\\.(native|xorpub)\\.0rtt\\.[A-Za-z0-9_-]{4,20}".prop_map(Secret::new));
    let vless = (uuid(), flow, encryption, packet_encoding()).prop_map(|(id, flow, encryption, packet_encoding)| {
        StreamProtocol::Vless(Vless { id, flow, encryption, packet_encoding })
    });
    let ciphers = vec![
        VmessCipher::Auto,
        VmessCipher::Aes128Gcm,
        VmessCipher::Chacha20Poly1305,
        VmessCipher::None,
        VmessCipher::Zero,
    ];
    let vmess = (uuid(), any::<u16>(), select(ciphers), packet_encoding()).prop_map(
        |(id, alter_id, cipher, packet_encoding)| {
            StreamProtocol::Vmess(Vmess { id, alter_id, cipher, packet_encoding })
        },
    );
    let trojan = (secret(), option::of(secret()))
        .prop_map(|(password, inner_shadowsocks)| StreamProtocol::Trojan(Trojan { password, inner_shadowsocks }));
    (prop_oneof![vless, vmess, trojan], carrier())
        .prop_map(|(mut protocol, carrier)| {
            if let Ok(outbound) = Outbound::stream(protocol.clone(), carrier.clone()) {
                return outbound;
            }
            if let StreamProtocol::Vless(vless) = &mut protocol {
                vless.flow = None;
            }
            Outbound::stream(protocol, carrier).unwrap()
        })
        .boxed()
}

fn credentials() -> BoxedStrategy<Option<Credentials>> {
    let part = || prop_oneof![1 => Just(Box::<str>::from("")), 4 => text()];
    (part(), part()).prop_map(|(user, password)| field::credentials(&user, &password)).boxed()
}

fn plugin() -> BoxedStrategy<Plugin> {
    let name = select(vec!["obfs-local", "v2ray-plugin", "shadow-tls", "xray-plugin", "a;b"]);
    let value = prop_oneof![1 => Just(Box::<str>::from("")), 2 => text()];
    let blank = |(name, _): &(Box<str>, Box<str>)| !name.trim().is_empty();
    (name, vec((text(), value).prop_filter("an option has a name", blank), 0..4))
        .prop_map(|(name, options)| Plugin { name: name.into(), options })
        .boxed()
}

fn shadowsocks() -> BoxedStrategy<Outbound> {
    let methods =
        vec!["aes-256-gcm", "chacha20-ietf-poly1305", "2022-blake3-aes-128-gcm", "rc4-md5", "aes-128-cfb", "none"];
    (select(methods), secret(), option::of(plugin()), any::<bool>())
        .prop_map(|(method, password, plugin, udp_over_tcp)| {
            Outbound::Shadowsocks(Shadowsocks { method: method.into(), password, plugin, udp_over_tcp })
        })
        .boxed()
}

fn shadowsocks_r() -> BoxedStrategy<Outbound> {
    let param = || prop_oneof![Just(Box::<str>::from("")), text()];
    let protocols = vec!["auth_aes128_md5", "auth_chain_a", "origin"];
    let obfses = vec!["http_simple", "tls1.2_ticket_auth", "random_head"];
    (select(protocols), select(obfses), secret(), param(), param())
        .prop_map(|(protocol, obfs, password, protocol_param, obfs_param)| {
            Outbound::ShadowsocksR(ShadowsocksR {
                method: "aes-256-cfb".into(),
                password,
                protocol: protocol.into(),
                protocol_param,
                obfs: obfs.into(),
                obfs_param,
            })
        })
        .boxed()
}

fn ports() -> impl Strategy<Value = Vec<(u16, u16)>> {
    vec((1_u16.., 1_u16..).prop_map(|(a, b)| (a.min(b), a.max(b))), 0..4)
}

fn bandwidth() -> impl Strategy<Value = Option<u32>> {
    option::of(1_u32..)
}

fn hysteria2() -> BoxedStrategy<Outbound> {
    let obfs = prop_oneof![
        secret().prop_map(|password| Obfs2::Salamander { password }),
        (secret(), any::<Option<u16>>(), any::<Option<u16>>())
            .prop_map(|(password, min_packet, max_packet)| { Obfs2::Gecko { password, min_packet, max_packet } }),
    ];
    let auth = prop_oneof![1 => Just(Secret::default()), 4 => secret()];
    (auth, ports(), option::of(1_u32..), option::of(obfs), bandwidth(), bandwidth(), tls())
        .prop_map(|(auth, ports, hop_interval, obfs, up_mbps, down_mbps, tls)| {
            Outbound::Hysteria2(Box::new(Hysteria2 { auth, ports, hop_interval, obfs, up_mbps, down_mbps, tls }))
        })
        .boxed()
}

fn hysteria() -> BoxedStrategy<Outbound> {
    let transports = vec![HysteriaTransport::Udp, HysteriaTransport::WechatVideo, HysteriaTransport::FakeTcp];
    let auth = prop_oneof![1 => Just(Secret::default()), 4 => secret()];
    let obfs = option::of(secret().prop_map(HysteriaObfs));
    (auth, ports(), select(transports), obfs, bandwidth(), bandwidth(), tls())
        .prop_map(|(auth, ports, transport, obfs, up_mbps, down_mbps, tls)| {
            Outbound::Hysteria(Box::new(Hysteria { auth, ports, transport, obfs, up_mbps, down_mbps, tls }))
        })
        .boxed()
}

fn tuic() -> BoxedStrategy<Outbound> {
    let user = prop_oneof![
        3 => (uuid(), prop_oneof![1 => Just(Secret::default()), 4 => secret()])
            .prop_map(|(id, password)| TuicUser::V5 { id, password }),
        1 => secret().prop_map(|token| TuicUser::V4 { token }),
    ];
    let congestion = select(vec![Congestion::Cubic, Congestion::NewReno, Congestion::Bbr]);
    (user, congestion, select(vec![UdpRelayMode::Native, UdpRelayMode::Quic]), any::<bool>(), tls())
        .prop_map(|(user, congestion, udp_relay, reduce_rtt, tls)| {
            Outbound::Tuic(Box::new(Tuic { user, congestion, udp_relay, reduce_rtt, tls }))
        })
        .boxed()
}

fn anytls() -> BoxedStrategy<Outbound> {
    (secret(), tls()).prop_map(|(password, tls)| Outbound::AnyTls(Box::new(AnyTls { password, tls }))).boxed()
}

fn wireguard() -> BoxedStrategy<Outbound> {
    let address = (any::<std::net::IpAddr>(), 0_u8..=32).prop_map(|(ip, bits)| format!("{ip}/{bits}").into());
    (
        (key(), option::of(key()), option::of(key().prop_map(Secret::new)), vec(address, 0..3)),
        (any::<[u8; 3]>(), option::of(1_u16..), option::of(1_u16..)),
    )
        .prop_map(|((private_key, public_key, pre_shared_key, addresses), (reserved, mtu, keepalive))| {
            Outbound::WireGuard(Box::new(WireGuard {
                private_key: Secret::new(private_key),
                public_key,
                pre_shared_key,
                addresses,
                reserved,
                mtu,
                keepalive,
            }))
        })
        .boxed()
}

/// Any outbound.
pub(crate) fn outbound() -> BoxedStrategy<Outbound> {
    let versions = select(vec![SocksVersion::V4, SocksVersion::V4a, SocksVersion::V5]);
    let socks = (versions, credentials(), option::of(tls()))
        .prop_map(|(version, credentials, tls)| Outbound::Socks(SocksProxy { version, credentials, tls }));
    let http = (credentials(), option::of(tls()))
        .prop_map(|(credentials, tls)| Outbound::Http(HttpProxy { credentials, tls }));
    prop_oneof![
        1 => socks,
        1 => http,
        1 => shadowsocks(),
        1 => shadowsocks_r(),
        6 => stream(),
        1 => anytls(),
        1 => hysteria2(),
        1 => hysteria(),
        1 => tuic(),
        1 => wireguard(),
    ]
    .boxed()
}

/// Any node.
pub(crate) fn node() -> BoxedStrategy<NodeSpec> {
    let alone = || (server(), outbound()).prop_map(|(server, outbound)| NodeSpec::new(server, outbound));
    let chained = vec(alone(), 2..5).prop_map(|nodes| {
        nodes.into_iter().reduce(|nearer, node| node.through(std::sync::Arc::new(nearer)).unwrap()).unwrap()
    });
    prop_oneof![9 => alone(), 1 => chained].boxed()
}
