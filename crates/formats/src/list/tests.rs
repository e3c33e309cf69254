//! Lines of lists: addresses with columns about them, and what is none.

use proptest::prelude::*;

use super::*;

fn row(line: &str) -> Row {
    read(line, ListScheme::Http)
}

fn links(line: &str) -> Vec<String> {
    let Row::Nodes(nodes) = row(line) else { panic!("{line}: {:?}", row(line)) };
    nodes.iter().map(|node| crate::to_link(node, &hezar_core::Label::default())).collect()
}

#[test]
fn addresses_may_have_columns_about_them() {
    for line in [
        "192.0.2.1:8080",
        "1. 192.0.2.1:8080",
        "DE 192.0.2.1:8080 elite 120ms",
        "192.0.2.1\t8080\tGermany\tanonymous",
        "\"192.0.2.1\",\"8080\"",
        "| 192.0.2.1 | 8080 | DE |",
        "Germany, Berlin, 192.0.2.1:8080",
    ] {
        assert_eq!(links(line), ["http://192.0.2.1:8080"], "{line}");
    }
    assert_eq!(links("[2001:db8::1]:8080"), ["http://[2001:db8::1]:8080"]);
}

#[test]
fn the_protocol_stands_in_a_column_or_at_the_address() {
    for line in ["socks5 192.0.2.1:1080", "192.0.2.1:1080@socks5", "socks5:192.0.2.1:1080", "192.0.2.1,1080,SOCKS5"] {
        assert_eq!(links(line), ["socks5://192.0.2.1:1080"], "{line}");
    }
    assert_eq!(row("SOCKS4:"), Row::Heading(ListScheme::Socks4));
    assert_eq!(row("HTTPS"), Row::Heading(ListScheme::Http));
}

#[test]
fn a_login_is_in_the_two_columns_behind_the_address() {
    assert_eq!(links("192.0.2.1:80 user pass1"), ["http://user:pass1@192.0.2.1:80"]);
    assert_eq!(links("192.0.2.1:80 elite Germany"), ["http://192.0.2.1:80"], "these are properties");
    assert_eq!(links("192.0.2.1:80 12 34"), ["http://192.0.2.1:80"], "these are numbers");
}

#[test]
fn what_only_looks_like_an_address_is_refused() {
    for (line, code) in [
        ("192.0.2.1", RejectCode::BadPort),
        ("192.0.2.1:99999", RejectCode::BadPort),
        ("192.0.2.1:", RejectCode::BadPort),
        ("192.0.2.999:80", RejectCode::BadHost),
    ] {
        assert_eq!(row(line), Row::Spoilt(code), "{line}");
    }
}

#[test]
fn prose_is_no_row() {
    for line in [
        "connected to 192.0.2.1:80",
        "192.0.2.1:80 was refused",
        "TCP 192.0.2.1:80 192.0.2.2:443 ESTABLISHED",
        "listen = 192.0.2.1:80",
        "a sentence without any address",
    ] {
        assert_eq!(row(line), Row::Prose, "{line}");
    }
    assert_eq!((row("-----"), row("| | |")), (Row::Blank, Row::Blank));
    assert!(is_label("Proxy:") && is_label("New SOCKS:") && !is_label("use the proxy:"));
    assert!(is_row_around("DE 1.", "120ms") && !is_row_around("see also", ""));
}

proptest! {
    #[test]
    fn any_line_is_a_row_or_none(line in "[0-9a-z.:@, \\[\\]|\"-]{0,60}") {
        if let Row::Nodes(nodes) = row(&line) {
            prop_assert!(!nodes.is_empty());
        }
    }

    #[test]
    fn an_address_is_itself(ip: std::net::Ipv4Addr, port in 1..=u16::MAX) {
        prop_assert_eq!(links(&format!("{ip}:{port}")), [format!("http://{ip}:{port}")]);
        prop_assert_eq!(links(&format!("{ip} {port}")), [format!("http://{ip}:{port}")]);
    }
}
