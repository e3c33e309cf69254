//! What the words promise.

mod health;
mod identity;
mod identity_fields;
mod kinds;

use std::sync::Arc;

use proptest::prelude::*;

use crate::*;

fn socks(host: &str, port: u16) -> NodeSpec {
    let server = Target::new(Host::new(host).unwrap(), port).unwrap();
    let socks = SocksProxy { version: SocksVersion::V5, credentials: None, tls: None };
    NodeSpec::new(server, Outbound::Socks(socks))
}

#[test]
fn identity_is_stable() {
    // A change of these digits loses every stored measurement: never edit them, fix the canonical form instead.
    assert_eq!(socks("192.0.2.1", 1080).id().to_string(), "4254ecba997a029360fbbbdc5958b2dd");
}

#[test]
fn identity_ignores_spelling() {
    assert_eq!(socks("Example.ORG.", 1).id(), socks("example.org", 1).id());
    assert_ne!(socks("example.org", 1).id(), socks("example.org", 2).id());
}

#[test]
fn a_chain_is_part_of_the_identity() {
    let (near, far) = (Arc::new(socks("192.0.2.1", 1)), Arc::new(socks("192.0.2.2", 2)));
    let alone = socks("192.0.2.3", 3);
    let chained = alone.clone().through(Arc::clone(&near)).unwrap();
    assert_ne!(chained.id(), alone.id());
    assert_ne!(chained.id(), alone.clone().through(Arc::clone(&far)).unwrap().id());
    assert_eq!(chained.alone(), alone);
    let longer = chained.clone().through(Arc::clone(&far)).unwrap();
    assert_eq!(longer.hops().map(|node| node.server.port()).collect::<Vec<_>>(), [3, 1, 2]);
    assert_eq!((longer.first_server(), alone.first_server()), (&far.server, &alone.server));
    let mut longest = alone;
    for _ in 1..NodeSpec::MAX_HOPS {
        longest = longest.through(Arc::clone(&near)).unwrap();
    }
    assert_eq!(longest.through(near), Err(ChainTooLong));
}

#[test]
fn datagrams_where_the_protocol_carries_them_without_a_leak() {
    let carries = |outbound: Outbound| outbound.carries_datagrams();
    let proxy = |version, tls| Outbound::Socks(SocksProxy { version, credentials: None, tls });
    assert!(carries(proxy(SocksVersion::V5, None)));
    assert!(!carries(proxy(SocksVersion::V4a, None)));
    assert!(!carries(proxy(SocksVersion::V5, Some(Box::default()))));
    assert!(!carries(Outbound::Http(HttpProxy { credentials: None, tls: None })));
    let plugin = || Some(Box::new(Plugin { name: "obfs-local".into(), options: Vec::new() }));
    let shadowsocks = |plugin, udp_over_tcp| {
        let (method, password) = ("aes-128-gcm".into(), Secret::new("x"));
        Outbound::Shadowsocks(Shadowsocks { method, password, plugin, udp_over_tcp })
    };
    assert!(carries(shadowsocks(None, false)));
    assert!(!carries(shadowsocks(plugin(), false)));
    assert!(carries(shadowsocks(plugin(), true)));
    let http = NodeSpec::new(
        Target::parse("192.0.2.9:1").unwrap(),
        Outbound::Http(HttpProxy { credentials: None, tls: None }),
    );
    let behind = |outbound| NodeSpec::new(http.server.clone(), outbound).through(Arc::new(http.clone())).unwrap();
    assert!(!behind(shadowsocks(None, false)).carries_datagrams(), "a chain is as narrow as its narrowest part");
    assert!(behind(shadowsocks(None, true)).carries_datagrams());
    assert!(socks("192.0.2.1", 1).through(Arc::new(socks("192.0.2.2", 1))).unwrap().carries_datagrams());
}

#[test]
fn a_certificate_that_nobody_checks_is_told() {
    let tls = |skip_verify, pins| Some(Tls { skip_verify, pins, ..Tls::default() });
    let node = |tls: Option<Tls>| {
        let http = HttpProxy { credentials: None, tls: tls.map(Box::new) };
        NodeSpec::new(Target::parse("192.0.2.9:1").unwrap(), Outbound::Http(http))
    };
    assert!(!node(None).skips_verification());
    assert!(!node(tls(false, Vec::new())).skips_verification());
    assert!(!node(tls(true, vec![[1; 32]])).skips_verification(), "the pin is a check");
    let blind = node(tls(true, Vec::new()));
    assert!(blind.skips_verification());
    assert!(
        node(None).through(Arc::new(blind)).unwrap().skips_verification(),
        "a chain is as safe as its weakest part"
    );

    let security = Security::Tls(tls(true, Vec::new()).unwrap());
    let extra = Xhttp { path: "/".into(), host: None, mode: XhttpMode::Auto, extra: None, download: None };
    let download = XhttpDownload { server: None, xhttp: extra.clone(), security };
    let xhttp = Xhttp { download: Some(Box::new(download)), ..extra };
    let carrier = Carrier::Xhttp { xhttp, security: Security::None };
    let trojan = StreamProtocol::Trojan(Trojan { password: Secret::new("x"), inner_shadowsocks: None });
    assert!(Outbound::stream(trojan, carrier).unwrap().skips_verification());

    let plugin = |name: &str, words: &[&str]| {
        let options = words.iter().map(|word| ((*word).into(), "".into())).collect();
        Plugin { name: name.into(), options }.skips_verification()
    };
    assert!(plugin("shadow-tls", &["skip-cert-verify"]));
    assert!(plugin("v2ray-plugin", &["tls", "allowInsecure"]));
    assert!(!plugin("v2ray-plugin", &["allowInsecure"]), "nothing to check without TLS");
}

#[test]
fn id_round_trips_through_text() {
    let id = socks("192.0.2.1", 1080).id();
    assert_eq!(id.to_string().parse(), Ok(id));
    assert_eq!("+".repeat(32).parse::<NodeId>(), Err(ParseNodeIdError));
}

#[test]
fn hosts() {
    for good in ["1.2.3.4", "::1", "[2001:db8::1]", "a.example", "a_b.example", "xn--mgbh0fb.example", "localhost"] {
        assert!(Host::new(good).is_ok(), "{good}");
    }
    for bad in ["", ".", "a..b", "1.2.3", "999.1.1.1", "a b", "[::1", "a/b", "-%", "[1.2.3.4]"] {
        assert!(Host::new(bad).is_err(), "{bad}");
    }
    assert_eq!(Host::new("пример.example").unwrap().to_string(), "xn--e1afmkfd.example");
}

#[test]
fn targets() {
    assert_eq!(Target::parse("[::1]:80").unwrap().to_string(), "[::1]:80");
    assert_eq!(Target::parse("a.example"), Err(TargetError::MissingPort));
    assert_eq!(Target::parse("a.example:"), Err(TargetError::MissingPort));
    assert_eq!(Target::parse("a.example:0"), Err(TargetError::BadPort));
    assert_eq!(Target::parse("a.example:+80"), Err(TargetError::BadPort));
    assert_eq!(Target::parse("a.example:65536"), Err(TargetError::BadPort));
    assert_eq!(Target::parse("::1:80"), Err(TargetError::BadHost));
}

#[test]
fn reach() {
    let private = [
        "127.0.0.1",
        "10.1.2.3",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.1.1",
        "100.64.0.1",
        "0.0.0.0",
        "255.255.255.255",
        "224.0.0.1",
        "198.18.0.1",
        "::1",
        "::",
        "fe80::1",
        "fd00::1",
        "ff02::1",
        "::ffff:10.0.0.1",
        "::127.0.0.1",
        "::ffff:0:10.0.0.1",
        "64:ff9b::7f00:1",
        "64:ff9b::10.0.0.1",
        "64:ff9b:1::1.1.1.1",
        "64:ff9b:1:a00:0:100::",
        "2002:7f00:1::",
        "2002:c0a8:101::1",
        // Teredo: by its server, and by the client whose bits are turned round.
        "2001:0:7f00:1::fefe:fefe",
        "2001:0:101:101::f5ff:fffe",
        "2606:4700::5efe:10.0.0.1",
        "fe80::5efe:1.1.1.1",
        "2001:db8::1",
        "3fff::1",
        "5f00::1",
        "2001:20::1",
        "2001:2::1",
        "100::1",
        "localhost",
        "a.localhost",
    ];
    for host in private {
        assert_eq!(Host::new(host).unwrap().reach(), Reach::Private, "{host}");
    }
    let public = [
        "1.1.1.1",
        "2606:4700::1111",
        "::ffff:1.1.1.1",
        "::ffff:0:1.1.1.1",
        "64:ff9b::101:101",
        "2002:101:101::1",
        "2001:0:101:101::fefe:fefe",
        "2001:4860:4860::8888",
        "example.org",
    ];
    for host in public {
        assert_eq!(Host::new(host).unwrap().reach(), Reach::Public, "{host}");
    }
    let led = |text: &str| leads_to(text.parse().unwrap()).to_string();
    assert_eq!(led("2001:0:101:101::f5ff:fffe"), "10.0.0.1");
    assert_eq!(led("64:ff9b::9.9.9.9"), "9.9.9.9");
    assert_eq!(led("2606:4700::1111"), "2606:4700::1111");
}

#[test]
fn vision_needs_secured_tcp() {
    let vless = Vless {
        id: uuid::Uuid::nil(),
        flow: Some(Vision::Plain),
        encryption: None,
        packet_encoding: PacketEncoding::Xudp,
    };
    let pair = |carrier| StreamNode::new(StreamProtocol::Vless(vless.clone()), carrier);
    assert_eq!(pair(Carrier::plain()), Err(ImpossiblePair::VisionCarrier));
    let websocket = Carrier::WebSocket { websocket: WebSocket::default(), tls: Some(Tls::default()) };
    assert_eq!(pair(websocket), Err(ImpossiblePair::VisionCarrier));
    assert!(pair(Carrier::Tcp { header: None, security: Security::Tls(Tls::default()) }).is_ok());
}

#[test]
fn secrets_and_labels() {
    assert_eq!(format!("{:?}", Secret::new("hunter2")), "Secret(…)");
    assert_eq!(Label::new(" a\nb\u{7} ").as_str(), "a b");
    assert_eq!(Label::new("a\u{202e}gnp.exe\u{2066}\u{61c} \u{200f}").as_str(), "agnp.exe", "no Bidi_Control");
    assert_eq!(Label::new("a\u{2028}b").as_str(), "a b");
    assert_eq!(Label::new(&"é".repeat(1000)).as_str().len(), Label::MAX_BYTES);
}

#[test]
fn timestamps() {
    let second = std::time::Duration::from_secs(1);
    assert_eq!(Timestamp(500).after(second).since(Timestamp(500)), second);
    assert_eq!(Timestamp(1).since(Timestamp(2)), std::time::Duration::ZERO);
}

proptest! {
    #[test]
    fn short_ids_keep_their_length(bytes in proptest::collection::vec(any::<u8>(), 0..12)) {
        match ShortId::new(&bytes) {
            Some(id) => prop_assert_eq!(id.as_bytes(), &bytes[..]),
            None => prop_assert!(bytes.len() > 8),
        }
    }

    #[test]
    fn any_text_is_a_host_or_an_error(text in "\\PC{0,80}") {
        if let Ok(host) = Host::new(&text) {
            prop_assert_eq!(Host::new(&host.to_string()), Ok(host));
        }
    }

    #[test]
    fn any_target_round_trips(text in "[a-z0-9.:\\[\\]-]{0,30}") {
        if let Ok(target) = Target::parse(&text) {
            prop_assert_eq!(Target::parse(&target.to_string()), Ok(target));
        }
    }

    #[test]
    fn no_field_imitates_another(a in ".{0,8}", b in ".{0,8}", c in ".{0,8}", d in ".{0,8}") {
        let form = |x: &str, y: &str| { let mut canon = Canon::new(); canon.text("x", x); canon.text("y", y); canon.as_bytes().to_vec() };
        prop_assert_eq!(form(&a, &b) == form(&c, &d), (&a, &b) == (&c, &d));
    }
}
