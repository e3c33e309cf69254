//! Any transport with any security it can have.

use hezar_core::*;
use proptest::{collection::vec, option, prelude::*, sample::select};

use super::{Words, empty_or, rarely, secret, some};

/// Any TLS settings.
pub(super) fn tls<W: Words>() -> BoxedStrategy<Tls> {
    (
        (option::of(W::name()), prop::bool::weighted(W::RARE), vec(W::alpn(), 0..3), any::<bool>()),
        (some::<W, _>(any::<Pin>()), some::<W, _>(W::verify_name()), fingerprint(), rarely::<W, _>(W::ech())),
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

fn fingerprint() -> impl Strategy<Value = Option<Fingerprint>> {
    option::of(select(Fingerprint::ALL.to_vec()))
}

fn reality<W: Words>() -> BoxedStrategy<Reality> {
    let spider_x = W::path().prop_filter("not empty", |path| !path.is_empty());
    (
        (option::of(W::name()), any::<[u8; 32]>(), vec(any::<u8>(), 0..=8), option::of(spider_x)),
        (rarely::<W, _>(secret::<W>()), fingerprint(), prop::bool::weighted(W::RARE), vec(W::alpn(), 0..3)),
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

fn security<W: Words>() -> BoxedStrategy<Security> {
    prop_oneof![Just(Security::None), tls::<W>().prop_map(Security::Tls), reality::<W>().prop_map(Security::Reality)]
        .boxed()
}

fn early_data<W: Words>() -> impl Strategy<Value = Option<EarlyData>> {
    let header = prop_oneof![
        3 => Just(Some("Sec-WebSocket-Protocol".into())),
        1 => Just(None),
        1 => W::header_name().prop_map(Some)
    ];
    rarely::<W, _>((W::number(10_000), header).prop_map(|(max_bytes, header)| EarlyData { max_bytes, header }))
}

fn disguise() -> impl Strategy<Value = Box<str>> {
    select(vec!["", "srtp", "utp", "wechat-video", "dtls", "wireguard"]).prop_map(Into::into)
}

fn xhttp<W: Words>() -> impl Strategy<Value = Xhttp> {
    let modes = select(XhttpMode::ALL.to_vec());
    let extra = option::of(select(W::EXTRAS));
    (W::path(), option::of(W::host_header()), modes, extra).prop_map(|(path, host, mode, extra)| Xhttp {
        path,
        host,
        mode,
        download: crate::carrier::xray::download(extra.unwrap_or_default()).unwrap().map(Box::new),
        extra: extra.map(Into::into),
    })
}

pub(super) fn carrier<W: Words>() -> BoxedStrategy<Carrier> {
    let tls = || option::of(tls::<W>());
    let header = (vec(W::host_header(), 0..3), vec(W::disguise_path(), 0..3))
        .prop_map(|(hosts, paths)| HttpHeader { hosts, paths });
    let headers = || some::<W, _>((W::header_name(), W::header_value()));
    let upgrade = || (W::path(), option::of(W::host_header()), headers(), early_data::<W>());
    let grpc_modes = select(vec![GrpcMode::Gun, GrpcMode::Multi]);
    let grpc = (empty_or(W::text()), option::of(W::host_header()), grpc_modes)
        .prop_map(|(service_name, authority, mode)| Grpc { service_name, authority, mode });
    let http2 = (W::path(), vec(W::host_header(), 0..3)).prop_map(|(path, hosts)| Http2 { path, hosts });
    let plain = disguise().prop_map(|header| (header, None));
    let dns = option::of(W::host_header()).prop_map(|domain| ("dns".into(), domain));
    let kcp = (prop_oneof![plain, dns], option::of(secret::<W>())).prop_map(|((header, domain), seed)| Kcp {
        header,
        domain,
        seed,
    });
    let quic_ciphers = select(vec!["", "aes-128-gcm", "chacha20-poly1305"]).prop_map(Box::<str>::from);
    let quic = (quic_ciphers, option::of(secret::<W>()), disguise())
        .prop_map(|(encryption, key, header)| QuicTransport { encryption, key, header });
    prop_oneof![
        (rarely::<W, _>(header), security::<W>()).prop_map(|(header, security)| Carrier::Tcp { header, security }),
        (upgrade(), tls()).prop_map(|((path, host, headers, early_data), tls)| Carrier::WebSocket {
            websocket: WebSocket { path, host, headers, early_data },
            tls
        }),
        (upgrade(), tls()).prop_map(|((path, host, headers, early_data), tls)| Carrier::HttpUpgrade {
            upgrade: HttpUpgrade { path, host, headers, early_data },
            tls
        }),
        (grpc, security::<W>()).prop_map(|(grpc, security)| Carrier::Grpc { grpc, security }),
        (http2, tls()).prop_map(|(http2, tls)| Carrier::Http2 { http2, tls }),
        (xhttp::<W>(), security::<W>()).prop_map(|(xhttp, security)| Carrier::Xhttp { xhttp, security }),
        (kcp, tls()).prop_map(|(kcp, tls)| Carrier::Kcp { kcp, tls }),
        (quic, tls()).prop_map(|(quic, tls)| Carrier::Quic { quic, tls }),
    ]
    .boxed()
}
