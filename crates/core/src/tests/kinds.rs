//! Protocols, transports and security layers: their names, and what each description says of itself.

use std::collections::HashSet;

use super::{
    identity::{kinds, reality, tls},
    *,
};

#[test]
fn a_node_says_what_it_consists_of() {
    for (name, outbound) in kinds() {
        let node = NodeSpec::new(Target::parse("node.example:443").unwrap(), outbound);
        assert_eq!(node.is_http_proxy(), name == "https");
        assert_eq!((node.scheme(), node.transport()), (node.outbound.scheme(), node.outbound.transport()));
        let layers = node.outbound.tls_layers().count();
        assert_eq!(node.security() == SecurityKind::Tls, layers > 0, "{name}: TLS is what has TLS settings");
        if let Outbound::Stream(stream) = &node.outbound {
            let carrier = stream.carrier();
            assert_eq!(carrier.tls().is_some(), carrier.security() == SecurityKind::Tls, "{name}");
            assert_eq!(carrier.reality().is_some(), carrier.security() == SecurityKind::Reality, "{name}");
            assert_eq!((carrier.transport(), carrier.security()), (node.transport(), node.security()), "{name}");
        }
    }
    let transports: HashSet<_> = kinds().iter().map(|(_, outbound)| outbound.transport().to_string()).collect();
    let names = ["tcp", "ws", "grpc", "httpupgrade", "http2", "xhttp", "kcp", "quic", "udp"];
    assert_eq!(transports, HashSet::from(names.map(str::to_owned)));
    let securities: HashSet<_> = kinds().iter().map(|(_, outbound)| outbound.security().to_string()).collect();
    assert_eq!(securities, HashSet::from(["none", "tls", "reality"].map(str::to_owned)));
}

#[test]
fn security_has_the_kind_of_its_settings() {
    for (security, kind) in [
        (Security::None, SecurityKind::None),
        (Security::Tls(tls()), SecurityKind::Tls),
        (Security::Reality(reality()), SecurityKind::Reality),
    ] {
        assert_eq!(security.kind(), kind);
        for carrier in [
            Carrier::Tcp { header: None, security: security.clone() },
            Carrier::Grpc { grpc: Grpc::default(), security: security.clone() },
            Carrier::Xhttp { xhttp: Xhttp::default(), security: security.clone() },
        ] {
            assert_eq!(carrier.security(), kind, "{carrier:?}");
        }
    }
    assert_eq!(reality().fingerprint_name(), Some("chrome"));
    assert_eq!(Reality { own_hello: true, ..reality() }.fingerprint_name(), Some("none"));
    assert_eq!(Reality { fingerprint: None, ..reality() }.fingerprint_name(), None);
    assert_eq!(ShortId::new(&[1, 2]).unwrap().padded(), [1, 2, 0, 0, 0, 0, 0, 0]);
}

#[test]
fn options_of_plugins_are_words_or_values() {
    let options = [("tls", ""), ("mux", "0"), ("mode", "websocket"), ("udp", "true"), ("tls", "0")];
    let options = options.map(|(name, value)| (name.into(), value.into())).to_vec();
    let plugin = Plugin { name: "v2ray-plugin".into(), options };
    assert_eq!(
        ["tls", "mux", "mode", "host"].map(|name| plugin.option(name)),
        [Some(""), Some("0"), Some("websocket"), None]
    );
    assert_eq!(["tls", "mux", "mode", "udp", "host"].map(|name| plugin.flag(name)), [true, false, false, true, false]);
}

#[test]
fn vision_is_accepted_where_a_server_can_leave_its_layer() {
    let vless = |encryption: Option<&str>| {
        let encryption = encryption.map(Secret::new);
        let (id, packet_encoding) = (uuid::Uuid::nil(), PacketEncoding::Xudp);
        StreamProtocol::Vless(Vless { id, flow: Some(Vision::Udp443), encryption, packet_encoding })
    };
    let header = || Some(HttpHeader { hosts: Vec::new(), paths: Vec::new() });
    let secured = |header, security| Carrier::Tcp { header, security };
    let websocket = || Carrier::WebSocket { websocket: WebSocket::default(), tls: Some(tls()) };
    assert!(Outbound::stream(vless(None), secured(None, Security::Reality(reality()))).is_ok());
    let disguised = Outbound::stream(vless(None), secured(header(), Security::Tls(tls())));
    assert_eq!(disguised, Err(ImpossiblePair::VisionCarrier), "there are bytes in front of TLS");
    assert_eq!(Outbound::stream(vless(None), websocket()), Err(ImpossiblePair::VisionCarrier));
    assert!(Outbound::stream(vless(Some("mlkem768x25519plus.native.0rtt.key")), websocket()).is_ok());
    assert!(!ImpossiblePair::VisionCarrier.to_string().is_empty());
}
