//! Random nodes (strategies of proptest) for the property tests of reading and writing.
//!
//! The structure of nodes is the same for all tests and stands here. Their texts and numbers differ: links can express
//! everything ([`links`]), configurations cannot ([`documents`]).

#![allow(clippy::unwrap_used, reason = "values that cannot be made are a mistake of the tests")]

mod carrier;
pub mod documents;
pub mod links;
mod rare;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use hezar_core::*;
use proptest::{collection::vec, option, prelude::*, sample::select};
use uuid::Uuid;

use self::carrier::{carrier, tls};

/// The texts and numbers of one kind of publishers.
pub(crate) trait Words: 'static {
    /// How often a node has what few nodes have.
    const RARE: f64;
    /// The `extra` objects of XHTTP.
    const EXTRAS: &'static [&'static str];

    /// A text without a structure; never empty.
    fn text() -> BoxedStrategy<Box<str>>;
    /// The host of a server.
    fn host() -> BoxedStrategy<Host>;
    /// A server's name in TLS.
    fn name() -> BoxedStrategy<Box<str>>;
    /// Another name that its certificate may have.
    fn verify_name() -> BoxedStrategy<Box<str>>;
    /// A protocol offered by ALPN.
    fn alpn() -> BoxedStrategy<Box<str>>;
    /// An ECH configuration.
    fn ech() -> BoxedStrategy<Box<str>>;
    /// A path, perhaps empty; early data never stands in it.
    fn path() -> BoxedStrategy<Box<str>>;
    /// A Host header.
    fn host_header() -> BoxedStrategy<Box<str>>;
    /// The path of a request that is only a disguise.
    fn disguise_path() -> BoxedStrategy<Box<str>>;
    /// The name of a header; never Host, which has its own field.
    fn header_name() -> BoxedStrategy<Box<str>>;
    /// The value of a header.
    fn header_value() -> BoxedStrategy<Box<str>>;
    /// VLESS encryption.
    fn encryption() -> BoxedStrategy<Secret>;
    /// Trojan's inner Shadowsocks.
    fn inner_shadowsocks() -> BoxedStrategy<Secret>;
    /// User and password.
    fn credentials() -> BoxedStrategy<Option<Credentials>>;
    /// A method of Shadowsocks and a password for it.
    fn cipher() -> BoxedStrategy<(Box<str>, Secret)>;
    /// A plugin of Shadowsocks.
    fn plugin() -> BoxedStrategy<Plugin>;
    /// A password that some publish empty.
    fn password() -> BoxedStrategy<Secret>;
    /// Ports to hop over.
    fn ports() -> BoxedStrategy<Vec<(u16, u16)>>;
    /// A number from 1, usually less than `usual`.
    fn number(usual: u32) -> BoxedStrategy<u32>;
    /// The same.
    fn short(usual: u16) -> BoxedStrategy<u16>;
}

fn secret<W: Words>() -> impl Strategy<Value = Secret> {
    W::text().prop_map(Secret::new)
}

fn empty_or<T: Default + Clone + std::fmt::Debug>(other: impl Strategy<Value = T>) -> impl Strategy<Value = T> {
    prop_oneof![1 => Just(T::default()), 4 => other]
}

fn rarely<W: Words, S: Strategy>(what: S) -> impl Strategy<Value = Option<S::Value>> {
    option::weighted(W::RARE, what)
}

/// A list that is empty for most nodes.
fn some<W: Words, S: Strategy>(of: S) -> impl Strategy<Value = Vec<S::Value>> {
    rarely::<W, _>(vec(of, 1..3)).prop_map(Option::unwrap_or_default)
}

fn id() -> impl Strategy<Value = Uuid> {
    any::<u128>().prop_map(Uuid::from_u128)
}

fn packet_encoding() -> impl Strategy<Value = PacketEncoding> {
    select(vec![PacketEncoding::Xudp, PacketEncoding::PacketAddr, PacketEncoding::None])
}

fn protocol<W: Words>() -> BoxedStrategy<StreamProtocol> {
    let flow = select(vec![None, Some(Vision::Plain), Some(Vision::Udp443)]);
    let vless = (id(), flow, rarely::<W, _>(W::encryption()), packet_encoding())
        .prop_map(|(id, flow, encryption, packet_encoding)| Vless { id, flow, encryption, packet_encoding });
    let ciphers = vec![
        VmessCipher::Auto,
        VmessCipher::Aes128Gcm,
        VmessCipher::Chacha20Poly1305,
        VmessCipher::None,
        VmessCipher::Zero,
    ];
    let vmess = (id(), empty_or(W::short(100)), select(ciphers), packet_encoding())
        .prop_map(|(id, alter_id, cipher, packet_encoding)| Vmess { id, alter_id, cipher, packet_encoding });
    let trojan = (secret::<W>(), rarely::<W, _>(W::inner_shadowsocks()))
        .prop_map(|(password, inner_shadowsocks)| Trojan { password, inner_shadowsocks });
    prop_oneof![
        vless.prop_map(StreamProtocol::Vless),
        vmess.prop_map(StreamProtocol::Vmess),
        trojan.prop_map(StreamProtocol::Trojan)
    ]
    .boxed()
}

fn stream<W: Words>() -> BoxedStrategy<Outbound> {
    (protocol::<W>(), carrier::<W>())
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

fn shadowsocks<W: Words>() -> BoxedStrategy<Outbound> {
    (W::cipher(), rarely::<W, _>(W::plugin()), prop::bool::weighted(W::RARE))
        .prop_map(|((method, password), plugin, udp_over_tcp)| {
            let plugin = plugin.map(Box::new);
            Outbound::Shadowsocks(Shadowsocks { method, password, plugin, udp_over_tcp })
        })
        .boxed()
}

fn shadowsocks_r<W: Words>() -> BoxedStrategy<Outbound> {
    let methods = select(vec!["aes-256-cfb", "chacha20-ietf", "none"]);
    // `origin` with `plain` is Shadowsocks.
    let pairs = select(vec![
        ("auth_aes128_md5", "plain"),
        ("auth_chain_a", "http_simple"),
        ("auth_chain_a", "tls1.2_ticket_auth"),
        ("origin", "random_head"),
    ]);
    (methods, secret::<W>(), pairs, empty_or(W::text()), empty_or(W::text()))
        .prop_map(|(method, password, (protocol, obfs), protocol_param, obfs_param)| {
            Outbound::ShadowsocksR(Box::new(ShadowsocksR {
                method: method.into(),
                password,
                protocol: protocol.into(),
                protocol_param,
                obfs: obfs.into(),
                obfs_param,
            }))
        })
        .boxed()
}

fn mbps<W: Words>() -> impl Strategy<Value = Option<u32>> {
    option::of(W::number(10_000))
}

fn hysteria2<W: Words>() -> BoxedStrategy<Outbound> {
    let obfs = prop_oneof![
        3 => secret::<W>().prop_map(|password| Obfs2::Salamander { password }),
        1 => (secret::<W>(), option::of(W::short(1500)), option::of(W::short(1500)))
            .prop_map(|(password, min_packet, max_packet)| Obfs2::Gecko { password, min_packet, max_packet }),
    ];
    let (auth, hop_interval) = (empty_or(secret::<W>()), option::of(W::number(100)));
    (auth, W::ports(), hop_interval, option::of(obfs), mbps::<W>(), mbps::<W>(), tls::<W>())
        .prop_map(|(auth, ports, hop_interval, obfs, up_mbps, down_mbps, tls)| {
            Outbound::Hysteria2(Box::new(Hysteria2 { auth, ports, hop_interval, obfs, up_mbps, down_mbps, tls }))
        })
        .boxed()
}

fn hysteria<W: Words>() -> BoxedStrategy<Outbound> {
    let transports = select(vec![HysteriaTransport::Udp, HysteriaTransport::WechatVideo, HysteriaTransport::FakeTcp]);
    let obfs = option::of(secret::<W>().prop_map(HysteriaObfs));
    (W::password(), W::ports(), transports, obfs, mbps::<W>(), mbps::<W>(), tls::<W>())
        .prop_map(|(auth, ports, transport, obfs, up_mbps, down_mbps, tls)| {
            Outbound::Hysteria(Box::new(Hysteria { auth, ports, transport, obfs, up_mbps, down_mbps, tls }))
        })
        .boxed()
}

fn tuic<W: Words>() -> BoxedStrategy<Outbound> {
    let user = prop_oneof![
        3 => (id(), W::password()).prop_map(|(id, password)| TuicUser::V5 { id, password }),
        1 => secret::<W>().prop_map(|token| TuicUser::V4 { token }),
    ];
    let congestion = select(vec![Congestion::Cubic, Congestion::NewReno, Congestion::Bbr]);
    (user, congestion, select(vec![UdpRelayMode::Native, UdpRelayMode::Quic]), any::<bool>(), tls::<W>())
        .prop_map(|(user, congestion, udp_relay, reduce_rtt, tls)| {
            Outbound::Tuic(Box::new(Tuic { user, congestion, udp_relay, reduce_rtt, tls }))
        })
        .boxed()
}

fn wireguard<W: Words>() -> BoxedStrategy<Outbound> {
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
    (key(), peer, addresses, reserved, option::of(W::short(1500)), option::of(W::short(200)))
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

/// Any protocol at a server's port.
fn outbound<W: Words>(port: u16) -> BoxedStrategy<Outbound> {
    let versions = select(vec![SocksVersion::V4, SocksVersion::V4a, SocksVersion::V5, SocksVersion::Tor]);
    let socks = (versions, W::credentials(), rarely::<W, _>(tls::<W>())).prop_map(|(version, credentials, tls)| {
        Outbound::Socks(SocksProxy { version, credentials, tls: tls.map(Box::new) })
    });
    let http = (W::credentials(), rarely::<W, _>(tls::<W>()))
        .prop_map(|(credentials, tls)| Outbound::Http(HttpProxy { credentials, tls: tls.map(Box::new) }));
    let anytls =
        (secret::<W>(), tls::<W>()).prop_map(|(password, tls)| Outbound::AnyTls(Box::new(AnyTls { password, tls })));
    prop_oneof![
        1 => socks,
        1 => http,
        1 => shadowsocks::<W>(),
        1 => shadowsocks_r::<W>(),
        4 => stream::<W>(),
        1 => anytls,
        1 => hysteria2::<W>(),
        1 => hysteria::<W>(),
        1 => tuic::<W>(),
        1 => wireguard::<W>(),
        1 => rare::snell::<W>(),
        1 => rare::ssh::<W>(),
        1 => rare::mieru::<W>(port),
        1 => rare::clash_only::<W>(),
    ]
    .boxed()
}

/// Any node that stands alone.
fn node<W: Words>() -> BoxedStrategy<NodeSpec> {
    let server = (W::host(), 1..=u16::MAX).prop_map(|(host, port)| Target::new(host, port).unwrap());
    let node =
        |server: Target| outbound::<W>(server.port()).prop_map(move |outbound| NodeSpec::new(server.clone(), outbound));
    server.prop_flat_map(node).boxed()
}
