//! What is kept of entries that only Clash cores can dial, and what is not.

use hezar_core::{ClashOnly, Label, NodeSpec, Outbound};

use super::MAX_TEXT;
use crate::{
    RejectCode, field, parse, parse_link, to_link,
    write::{clash, clash_proxies},
};

fn nodes(text: &str) -> Vec<NodeSpec> {
    let parsed = parse(text.as_bytes());
    assert_eq!(parsed.rejects, [], "{text}");
    for entry in &parsed.nodes {
        let link = to_link(&entry.spec, &entry.label);
        assert_eq!(parse_link(&link), Ok((entry.spec.clone(), entry.label.clone())), "{link}");
    }
    parsed.nodes.into_iter().map(|entry| entry.spec).collect()
}

#[test]
fn every_kind_is_kept_whole_and_written_for_a_core() {
    let text = "proxies:
- {name: a, type: sudoku, server: 192.0.2.1, port: 443, key: abc, padding-min: 2, httpmask: {disable: false, mode: ws}}
- {name: b, type: trusttunnel, server: 192.0.2.1, port: 443, username: u, password: p, alpn: [h2], skip-cert-verify: true}
- {name: c, type: masque, server: 192.0.2.1, port: 443, private-key: AAAA, public-key: BBBB, ip: 172.16.0.2}
- {name: d, type: gost-relay, server: 192.0.2.1, port: 443, tls: true, username: u, password: p}
- {name: e, type: shadowquic, server: 192.0.2.1, port: 443, username: u, password: p, sni: s.example}
- {name: f, type: openvpn, server: 192.0.2.1, port: 1194, proto: udp, ca: \"-----BEGIN CERTIFICATE-----\\nAAAA\\n\", peer-info: {IV_HWADDR: x}}
";
    let nodes = nodes(text);
    let schemes: Vec<_> = nodes.iter().map(NodeSpec::scheme).collect();
    assert_eq!(schemes, ["sudoku", "trusttunnel", "masque", "gost-relay", "shadowquic", "openvpn"]);
    assert!(nodes[1].skips_verification() && !nodes[4].skips_verification());
    let entry = clash_proxies("s1", &nodes[0]).unwrap().join("");
    for part in [r#""type":"sudoku""#, r#""padding-min":2"#, r#""httpmask":{"disable":false,"mode":"ws"}"#] {
        assert!(entry.contains(part), "{part} is missing in {entry}");
    }
}

#[test]
fn a_sudoku_node_has_few_tables() {
    let tables = vec!["xpxvvpvv"; 64].join(", ");
    let text = format!(
        "proxies: [{{name: a, type: sudoku, server: 192.0.2.1, port: 443, key: abc, custom-tables: [{tables}]}}]"
    );
    let entry = clash_proxies("s1", &nodes(&text)[0]).unwrap().join("");
    assert_eq!(entry.matches("xpxvvpvv").count(), 4, "{entry}");
}

#[test]
fn amneziawg_is_read_from_every_configuration_and_plain_wireguard_stays_plain() {
    const KEY: &str = "AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA=";
    let clash = format!(
        "proxies:\n- {{name: a, type: wireguard, server: 192.0.2.1, port: 51820, private-key: {KEY}, public-key: {KEY}, \
         ip: 10.0.0.2, amnezia-wg-option: {{jc: 5, s1: 30, h1: 5-9}}}}\n"
    );
    let wg_quick = format!(
        "[Interface]\nPrivateKey = {KEY}\nAddress = 10.0.0.2/32\nJc = 5\nS1 = 30\nH1 = 5-9\n\n[Peer]\nPublicKey = {KEY}\n\
         Endpoint = 192.0.2.1:51820\nAllowedIPs = 0.0.0.0/0\n"
    );
    let [clash_nodes, wg_nodes] = [nodes(&clash), nodes(&wg_quick)];
    assert_eq!(clash_nodes[0].scheme(), "amneziawg");
    assert_eq!(clash_nodes[0].id(), wg_nodes[0].id());
    // Junk packets alone change nothing for the server.
    assert_eq!(nodes(&clash.replace(", s1: 30, h1: 5-9", ""))[0].scheme(), "wireguard");
}

#[test]
fn a_stranger_chooses_no_way_out_of_the_core_and_makes_it_read_no_file() {
    let settings =
        r#"{"key":"k","dialer-proxy":"DIRECT","interface-name":"eth0","routing-mark":1,"name":"x","server":"y"}"#;
    let link = format!("hezar-clash://sudoku@192.0.2.1:443?settings={}", field::base64_url(settings));
    let (spec, _) = parse_link(&link).unwrap();
    let Outbound::ClashOnly(node) = &spec.outbound else { panic!("{spec:?}") };
    assert_eq!(node.settings.expose(), r#"{"key":"k"}"#);
    let file = "proxies:\n- {name: a, type: trusttunnel, server: 192.0.2.1, port: 443, password: p, certificate: ./client.crt}\n";
    assert_eq!(parse(file.as_bytes()).rejects[0].code, RejectCode::BadPin);
    let link = |settings: &str| {
        let settings = field::base64_url(settings);
        parse_link(&format!("hezar-clash://sudoku@192.0.2.1:443?settings={settings}")).unwrap_err()
    };
    assert_eq!(link("{}"), RejectCode::BadCredential);
    assert_eq!(link("[]"), RejectCode::BadCredential);
    assert_eq!(link("{"), RejectCode::BadEncoding);
    assert_eq!(parse_link("hezar-clash://direct@192.0.2.1:443?settings=e30"), Err(RejectCode::UnsupportedScheme));
    // Two texts within their own bound are too much together.
    let long = "x".repeat(ClashOnly::MAX_SETTINGS_BYTES / 2);
    assert_eq!(link(&format!(r#"{{"key":"{long}","aead-method":"{long}"}}"#)), RejectCode::TooLong);
}

#[test]
fn what_is_longer_than_a_setting_may_be_is_left_out_of_lists_and_tables_too() {
    let long = "x".repeat(MAX_TEXT + 1);
    let text = format!(
        "proxies:\n- {{name: f, type: openvpn, server: 192.0.2.1, port: 1194, ca: \"-----BEGIN CERTIFICATE-----\\nAAAA\\n\", \
         data-ciphers: [{long}], peer-info: {{a: {long}, b: c}}}}\n"
    );
    let nodes = nodes(&text);
    let Outbound::ClashOnly(node) = &nodes[0].outbound else { panic!("{nodes:?}") };
    assert!(node.settings.expose().ends_with(r#""peer-info":{"b":"c"}}"#), "{}", node.settings.expose());
}

/// A single one would make a core refuse the whole document, as mihomo 1.19 does.
#[test]
fn settings_that_a_core_refuses_are_not_exported() {
    const KEY: &str = "AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA=";
    let is_written = |entry: &str| {
        let nodes = nodes(&format!("proxies:\n- {{name: a, server: 192.0.2.1, port: 443, {entry}}}\n"));
        let [spec] = &nodes[..] else { panic!("{nodes:?}") };
        clash(std::iter::once((spec, &Label::default()))).left_out.is_empty()
    };
    let amnezia = |more: &str| {
        is_written(&format!(
            "type: wireguard, private-key: {KEY}, public-key: {KEY}, {more} amnezia-wg-option: {{s1: 30}}"
        ))
    };
    assert!(amnezia("ip: 10.0.0.2/32, reserved: AQID,") && amnezia("ipv6: \"fd00::2/128\", mtu: 1280,"));
    for more in ["", "ip: 0.0.0.0/0,", "ip: 10.0.0.255/24,", "ip: 10.0.0.2/32, mtu: 600,"] {
        assert!(!amnezia(more), "{more}");
    }
    let tunnel = |more: &str| is_written(&format!("type: trusttunnel, username: u, password: p{more}"));
    assert!(tunnel("") && tunnel(", alpn: [h2]") && tunnel(", quic: true") && tunnel(", quic: true, alpn: [h2, h3]"));
    assert!(!tunnel(", alpn: [h3]") && !tunnel(", quic: true, alpn: [h2]"));
    let mieru = |more: &str| is_written(&format!("type: mieru, username: u, password: p, transport: TCP{more}"));
    assert!(mieru("") && !mieru(", traffic-pattern: AAAA"));
}
