//! Any node that can be published: the strategies behind the laws of reading and writing.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use hezar_core::*;
use proptest::{collection::vec, option, prelude::*};
use uuid::Uuid;

/// A text as publishers have it: letters of several scripts, spaces inside, every sign that some format quotes.
pub(crate) fn text() -> impl Strategy<Value = Box<str>> {
    "[a-zA-Z0-9ا-ی🇩🇪 :@/?#%&=+;,\"'\\\\\\[\\]{}|<>!*~.-]{0,12}[a-zA-Z0-9]".prop_map(Into::into)
}

fn secret() -> impl Strategy<Value = Secret> {
    text().prop_map(Secret::new)
}

/// A label as [`Label::new`] leaves it.
pub(crate) fn label() -> impl Strategy<Value = Label> {
    prop_oneof![Just(Label::default()), text().prop_map(|text| Label::new(&text))]
}

/// One word of a list that is joined by commas.
fn word() -> impl Strategy<Value = Box<str>> {
    "[a-z0-9][a-z0-9/._-]{0,10}".prop_map(Into::into)
}

fn host_text() -> impl Strategy<Value = Box<str>> {
    "[a-z][a-z0-9-]{0,8}\\.example(:[1-9][0-9]{0,2})?".prop_map(Into::into)
}

fn name_text() -> impl Strategy<Value = Box<str>> {
    "[a-z][a-z0-9-]{0,8}\\.example".prop_map(Into::into)
}

/// A path without Xray's `ed`, which would be read as early data.
fn path() -> impl Strategy<Value = Box<str>> {
    prop_oneof![
        Just("".into()),
        Just("/".into()),
        "/[a-zA-Z0-9@._~%:+-]{0,10}".prop_map(Into::into),
        "/[a-z]{1,5}\\?[a-d]=[a-z0-9/]{1,5}".prop_map(Into::into)
    ]
}

pub(crate) fn server() -> impl Strategy<Value = Target> {
    let host = prop_oneof![
        any::<[u8; 4]>().prop_map(|octets| Host::Ip(octets.into())),
        any::<[u8; 16]>().prop_map(|octets| Host::Ip(octets.into())),
        name_text().prop_map(|name| Host::new(&name).unwrap()),
    ];
    (host, 1..=u16::MAX).prop_map(|(host, port)| Target::new(host, port).unwrap())
}

fn fingerprint() -> impl Strategy<Value = Fingerprint> {
    proptest::sample::select(Fingerprint::ALL.to_vec())
}

fn ech() -> impl Strategy<Value = Box<str>> {
    let list = vec(any::<u8>(), 8..40).prop_map(|body| {
        let length = u16::try_from(body.len()).unwrap().to_be_bytes();
        STANDARD.encode([&length[..], &body].concat()).into()
    });
    prop_oneof![3 => list, 1 => Just("example.org+https://192.0.2.1/dns-query".into())]
}

fn alpn() -> impl Strategy<Value = Vec<Box<str>>> {
    vec(proptest::sample::select(vec!["h2", "http/1.1", "h3"]).prop_map(Into::into), 0..3)
}

pub(crate) fn tls() -> BoxedStrategy<Tls> {
    (
        option::of(name_text()),
        prop::bool::weighted(0.1),
        alpn(),
        any::<bool>(),
        prop_oneof![4 => Just(Vec::new()), 1 => vec(any::<Pin>(), 1..3)],
        prop_oneof![4 => Just(Vec::new()), 1 => vec(name_text(), 1..3)],
        option::of(fingerprint()),
        option::weighted(0.2, ech()),
    )
        .prop_map(|(server_name, disable_sni, alpn, skip_verify, pins, verify_names, fingerprint, ech)| Tls {
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
        option::of(name_text()),
        any::<[u8; 32]>(),
        vec(any::<u8>(), 0..=8),
        option::of(path().prop_filter("not empty", |path| !path.is_empty())),
        option::weighted(0.1, secret()),
        (option::of(fingerprint()), prop::bool::weighted(0.1)),
        alpn(),
    )
        .prop_map(|(server_name, public_key, short_id, spider_x, mldsa65_verify, (fingerprint, own), alpn)| Reality {
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

fn headers() -> impl Strategy<Value = Vec<(Box<str>, Box<str>)>> {
    let header = (
        "X-[A-Za-z]{1,6}".prop_map(Into::into),
        "[a-zA-Z0-9 /.;()]{0,10}[a-z0-9]".prop_map(|v: String| v.trim().into()),
    );
    prop_oneof![3 => Just(Vec::new()), 1 => vec(header, 1..3)]
}

fn early_data() -> impl Strategy<Value = Option<EarlyData>> {
    let header = prop_oneof![
        3 => Just(Some("Sec-WebSocket-Protocol".into())),
        1 => Just(None),
        1 => Just(Some("X-Early".into()))
    ];
    option::weighted(0.3, (1..10_000_u32, header).prop_map(|(max_bytes, header)| EarlyData { max_bytes, header }))
}

fn disguise() -> impl Strategy<Value = Box<str>> {
    proptest::sample::select(vec!["", "srtp", "utp", "wechat-video", "dtls", "wireguard"]).prop_map(Into::into)
}

fn extra() -> impl Strategy<Value = Box<str>> {
    proptest::sample::select(vec![
        r#"{"xPaddingBytes":"100-1000"}"#,
        r#"{"scMaxEachPostBytes":1000000,"noGRPCHeader":true}"#,
        r#"{"headers":{"User-Agent":"a b"},"xmux":{"maxConcurrency":"16-32"}}"#,
    ])
    .prop_map(Into::into)
}

pub(crate) fn carrier() -> BoxedStrategy<Carrier> {
    let tls = || option::of(tls());
    let header = (vec(host_text(), 0..3), vec("/[a-z]{0,5}".prop_map(Into::into), 0..3))
        .prop_map(|(hosts, paths)| HttpHeader { hosts, paths });
    let http = || (path(), option::of(host_text()), headers(), early_data());
    let xhttp_mode =
        proptest::sample::select(vec![XhttpMode::Auto, XhttpMode::PacketUp, XhttpMode::StreamUp, XhttpMode::StreamOne]);
    let quic_encryption = proptest::sample::select(vec!["", "aes-128-gcm", "chacha20-poly1305"]);
    prop_oneof![
        (option::weighted(0.2, header), security()).prop_map(|(header, security)| Carrier::Tcp { header, security }),
        (http(), tls()).prop_map(|((path, host, headers, early_data), tls)| Carrier::WebSocket {
            websocket: WebSocket { path, host, headers, early_data },
            tls
        }),
        (http(), tls()).prop_map(|((path, host, headers, early_data), tls)| Carrier::HttpUpgrade {
            upgrade: HttpUpgrade { path, host, headers, early_data },
            tls
        }),
        (prop_oneof![Just("".into()), text()], option::of(host_text()), any::<bool>(), security()).prop_map(
            |(service_name, authority, multi, security)| {
                let mode = if multi { GrpcMode::Multi } else { GrpcMode::Gun };
                Carrier::Grpc { grpc: Grpc { service_name, authority, mode }, security }
            }
        ),
        (path(), vec(host_text(), 0..3), tls())
            .prop_map(|(path, hosts, tls)| Carrier::Http2 { http2: Http2 { path, hosts }, tls }),
        (path(), option::of(host_text()), xhttp_mode, option::of(extra()), security()).prop_map(
            |(path, host, mode, extra, security)| {
                Carrier::Xhttp { xhttp: Xhttp { path, host, mode, extra, download: None }, security }
            }
        ),
        (disguise(), option::of(secret()), tls())
            .prop_map(|(header, seed, tls)| Carrier::Kcp { kcp: Kcp { header, seed }, tls }),
        (quic_encryption, option::of(secret()), disguise(), tls()).prop_map(|(encryption, key, header, tls)| {
            Carrier::Quic { quic: QuicTransport { encryption: encryption.into(), key, header }, tls }
        }),
    ]
    .boxed()
}

fn id() -> impl Strategy<Value = Uuid> {
    any::<[u8; 16]>().prop_map(Uuid::from_bytes)
}

fn packet_encoding() -> impl Strategy<Value = PacketEncoding> {
    proptest::sample::select(vec![PacketEncoding::Xudp, PacketEncoding::PacketAddr, PacketEncoding::None])
}

fn encryption() -> impl Strategy<Value = Secret> {
    let key = any::<[u8; 32]>().prop_map(|key| base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(key));
    key.prop_map(|key| Secret::new(format!("mlkem768x25519plus.native.0rtt.{key}")))
}

fn protocol() -> BoxedStrategy<StreamProtocol> {
    let vless = (
        id(),
        proptest::sample::select(vec![None, Some(Vision::Plain), Some(Vision::Udp443)]),
        option::weighted(0.2, encryption()),
        packet_encoding(),
    )
        .prop_map(|(id, flow, encryption, packet_encoding)| Vless { id, flow, encryption, packet_encoding });
    let ciphers = vec![
        VmessCipher::Auto,
        VmessCipher::Aes128Gcm,
        VmessCipher::Chacha20Poly1305,
        VmessCipher::None,
        VmessCipher::Zero,
    ];
    let vmess = (id(), 0..100_u16, proptest::sample::select(ciphers), packet_encoding())
        .prop_map(|(id, alter_id, cipher, packet_encoding)| Vmess { id, alter_id, cipher, packet_encoding });
    let inner = text().prop_map(|password| Secret::new(format!("aes-128-gcm:{password}")));
    let trojan = (secret(), option::weighted(0.1, inner))
        .prop_map(|(password, inner_shadowsocks)| Trojan { password, inner_shadowsocks });
    prop_oneof![
        vless.prop_map(StreamProtocol::Vless),
        vmess.prop_map(StreamProtocol::Vmess),
        trojan.prop_map(StreamProtocol::Trojan)
    ]
    .boxed()
}

fn stream() -> BoxedStrategy<Outbound> {
    (protocol(), carrier())
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

fn credentials() -> impl Strategy<Value = Option<Credentials>> {
    option::of((text(), secret()).prop_map(|(username, password)| Credentials { username, password }))
}

fn plugin() -> BoxedStrategy<Plugin> {
    let obfs = (any::<bool>(), option::of(name_text())).prop_map(|(http, host)| {
        let mut options = vec![("obfs".into(), if http { "http" } else { "tls" }.into())];
        options.extend(host.map(|host| ("obfs-host".into(), host)));
        Plugin { name: "obfs-local".into(), options }
    });
    let v2ray = (any::<bool>(), name_text(), "/[a-z]{0,5}").prop_map(|(tls, host, path)| {
        let mut options =
            vec![("mode".into(), "websocket".into()), ("host".into(), host), ("path".into(), path.into())];
        if tls {
            options.push(("tls".into(), "".into()));
        }
        Plugin { name: "v2ray-plugin".into(), options }
    });
    let shadow_tls = (option::of(name_text()), "[a-z]{1,9}", 1..4_u8, vec("h[1-3]", 0..3), any::<bool>());
    let shadow_tls = shadow_tls.prop_map(|(host, password, version, alpn, blind)| {
        let mut options = vec![("version".into(), version.to_string().into()), ("password".into(), password.into())];
        options.extend(host.map(|host| ("host".into(), host)));
        options.extend(blind.then(|| ("skip-cert-verify".into(), "".into())));
        options.extend((!alpn.is_empty()).then(|| ("alpn".into(), alpn.join(",").into())));
        Plugin { name: "shadow-tls".into(), options }
    });
    let other = (word(), vec((word(), text()), 0..3))
        .prop_map(|(name, options)| Plugin { name: format!("x-{name}").into(), options });
    prop_oneof![obfs, v2ray, shadow_tls, other].boxed()
}

fn shadowsocks() -> BoxedStrategy<Outbound> {
    let methods = vec!["aes-128-gcm", "chacha20-ietf-poly1305", "aes-256-cfb", "rc4-md5", "none", "camellia-128-cfb"];
    let plain = (proptest::sample::select(methods), secret());
    let new = vec(any::<[u8; 32]>(), 1..3).prop_map(|keys| {
        let keys: Vec<_> = keys.iter().map(|key| STANDARD.encode(key)).collect();
        ("2022-blake3-aes-256-gcm", Secret::new(keys.join(":")))
    });
    (prop_oneof![plain, new], option::weighted(0.3, plugin()), prop::bool::weighted(0.2))
        .prop_map(|((method, password), plugin, udp_over_tcp)| {
            Outbound::Shadowsocks(Shadowsocks { method: method.into(), password, plugin, udp_over_tcp })
        })
        .boxed()
}

fn shadowsocksr() -> BoxedStrategy<Outbound> {
    let empty_or = || prop_oneof![Just("".into()), text()];
    (
        proptest::sample::select(vec!["aes-256-cfb", "chacha20-ietf", "none"]),
        secret(),
        proptest::sample::select(vec!["auth_aes128_md5", "auth_chain_a"]),
        empty_or(),
        proptest::sample::select(vec!["plain", "http_simple", "tls1.2_ticket_auth"]),
        empty_or(),
    )
        .prop_map(|(method, password, protocol, protocol_param, obfs, obfs_param)| {
            Outbound::ShadowsocksR(ShadowsocksR {
                method: method.into(),
                password,
                protocol: protocol.into(),
                protocol_param,
                obfs: obfs.into(),
                obfs_param,
            })
        })
        .boxed()
}

/// Ranges in order, none of them the server's own port alone: that one is never repeated.
fn ports() -> impl Strategy<Value = Vec<(u16, u16)>> {
    let range = (1..60_000_u16, 1..5_000_u16).prop_map(|(first, more)| (first, first + more));
    prop_oneof![2 => Just(Vec::new()), 1 => vec(range, 1..3)]
}

fn mbps() -> impl Strategy<Value = Option<u32>> {
    option::of(1..10_000_u32)
}

fn hysteria2() -> BoxedStrategy<Outbound> {
    let obfs = prop_oneof![
        3 => secret().prop_map(|password| Obfs2::Salamander { password }),
        1 => (secret(), option::of(1..1500_u16), option::of(1..1500_u16))
            .prop_map(|(password, min_packet, max_packet)| Obfs2::Gecko { password, min_packet, max_packet }),
    ];
    let auth = prop_oneof![Just(Secret::default()), secret()];
    (auth, ports(), option::of(1..100_u32), option::of(obfs), mbps(), mbps(), tls())
        .prop_map(|(auth, ports, hop_interval, obfs, up_mbps, down_mbps, tls)| {
            Outbound::Hysteria2(Box::new(Hysteria2 { auth, ports, hop_interval, obfs, up_mbps, down_mbps, tls }))
        })
        .boxed()
}

fn hysteria() -> BoxedStrategy<Outbound> {
    let transports = vec![HysteriaTransport::Udp, HysteriaTransport::WechatVideo, HysteriaTransport::FakeTcp];
    let obfs = option::of(secret().prop_map(HysteriaObfs));
    (secret(), ports(), proptest::sample::select(transports), obfs, mbps(), mbps(), tls())
        .prop_map(|(auth, ports, transport, obfs, up_mbps, down_mbps, tls)| {
            Outbound::Hysteria(Box::new(Hysteria { auth, ports, transport, obfs, up_mbps, down_mbps, tls }))
        })
        .boxed()
}

fn tuic() -> BoxedStrategy<Outbound> {
    let user = prop_oneof![
        3 => (id(), secret()).prop_map(|(id, password)| TuicUser::V5 { id, password }),
        1 => secret().prop_map(|token| TuicUser::V4 { token }),
    ];
    let congestion = proptest::sample::select(vec![Congestion::Cubic, Congestion::NewReno, Congestion::Bbr]);
    (user, congestion, any::<bool>(), any::<bool>(), tls())
        .prop_map(|(user, congestion, quic, reduce_rtt, tls)| {
            let udp_relay = if quic { UdpRelayMode::Quic } else { UdpRelayMode::Native };
            Outbound::Tuic(Box::new(Tuic { user, congestion, udp_relay, reduce_rtt, tls }))
        })
        .boxed()
}

fn wireguard() -> BoxedStrategy<Outbound> {
    let key = || any::<[u8; 32]>().prop_map(|key| STANDARD.encode(key));
    let v4 = (any::<[u8; 4]>(), 0..=32_u8)
        .prop_map(|(octets, length)| format!("{}/{length}", std::net::Ipv4Addr::from(octets)).into());
    let v6 = (any::<[u8; 16]>(), 0..=128_u8)
        .prop_map(|(octets, length)| format!("{}/{length}", std::net::Ipv6Addr::from(octets)).into());
    let addresses = prop_oneof![
        3 => (v4.clone(), v6.clone()).prop_map(|(v4, v6)| vec![v4, v6]),
        2 => vec(prop_oneof![v4, v6], 0..4)
    ];
    let reserved = prop_oneof![Just([0; 3]), any::<[u8; 3]>()];
    let peer = (option::weighted(0.9, key()), option::of(key()));
    (key(), peer, addresses, reserved, option::of(576..1500_u16), option::of(1..200_u16))
        .prop_map(|(private_key, (public_key, pre_shared_key), addresses, reserved, mtu, keepalive)| {
            Outbound::WireGuard(Box::new(WireGuard {
                private_key: private_key.into(),
                public_key: public_key.map(Into::into),
                pre_shared_key: pre_shared_key.map(Into::into),
                addresses,
                reserved,
                mtu,
                keepalive,
            }))
        })
        .boxed()
}

/// Any protocol.
pub(crate) fn outbound() -> BoxedStrategy<Outbound> {
    let versions = vec![SocksVersion::V4, SocksVersion::V4a, SocksVersion::V5];
    let tls_or_none = || option::weighted(0.3, tls());
    prop_oneof![
        1 => (proptest::sample::select(versions), credentials(), tls_or_none())
            .prop_map(|(version, credentials, tls)| Outbound::Socks(SocksProxy { version, credentials, tls })),
        1 => (credentials(), tls_or_none()).prop_map(|(credentials, tls)| Outbound::Http(HttpProxy { credentials, tls })),
        1 => shadowsocks(),
        1 => shadowsocksr(),
        4 => stream(),
        1 => (secret(), tls()).prop_map(|(password, tls)| Outbound::AnyTls(Box::new(AnyTls { password, tls }))),
        1 => hysteria2(),
        1 => hysteria(),
        1 => tuic(),
        1 => wireguard(),
    ]
        .boxed()
}

/// Any node.
pub(crate) fn node() -> BoxedStrategy<NodeSpec> {
    (server(), outbound()).prop_map(|(server, outbound)| NodeSpec::new(server, outbound)).boxed()
}
