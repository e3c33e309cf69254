//! Small lists in every dress, beside what must be read in them.

use std::fmt::Write as _;

use base64::{Engine as _, engine::general_purpose::STANDARD};

use super::{parse, parse_with};
use crate::{Hints, ListScheme, Parsed, RejectCode};

/// One line per node and per refusal.
fn summary(parsed: &Parsed) -> String {
    let mut text = String::new();
    for node in &parsed.nodes {
        let (spec, name) = (&node.spec, &node.label);
        let (scheme, transport, security) = (spec.scheme(), spec.transport(), spec.security());
        writeln!(text, "{} {scheme} {} {transport} {security} {name}", node.line, spec.server).unwrap();
    }
    for reject in &parsed.rejects {
        writeln!(text, "{} {}", reject.line, reject.code.code()).unwrap();
    }
    text
}

#[test]
fn every_dialect() {
    let parsed = parse(include_bytes!("../../tests/fixtures/dialects.txt"));
    insta::assert_snapshot!("dialects", summary(&parsed));
    let specs: String = parsed.nodes.iter().map(|node| crate::to_link(&node.spec, &node.label) + "\n").collect();
    insta::assert_snapshot!("dialects_rewritten", specs);
}

#[test]
fn every_refusal() {
    let parsed = parse(include_bytes!("../../tests/fixtures/refused.txt"));
    insta::assert_snapshot!("refused", summary(&parsed));
}

#[test]
fn plain_addresses() {
    let parsed = parse(include_bytes!("../../tests/fixtures/addresses.txt"));
    let links: String = parsed
        .nodes
        .iter()
        .map(|node| format!("{} {}\n", node.line, crate::to_link(&node.spec, &node.label)))
        .collect();
    insta::assert_snapshot!("addresses", links);
    assert_eq!(parsed.rejects, []);
}

#[test]
fn web_pages_and_markdown() {
    insta::assert_snapshot!("page", summary(&parse(include_bytes!("../../tests/fixtures/page.html"))));
    insta::assert_snapshot!("readme", summary(&parse(include_bytes!("../../tests/fixtures/readme.md"))));
}

const LIST: &str = "#profile-title: base64:TmFtZQ==\n\ntrojan://pw@192.0.2.1:443#one\r\n\u{feff}\u{200b}ss://YWVzLTI1Ni1nY206cHc@192.0.2.2:443#two\n";

#[test]
fn base64_in_every_wrapping() {
    let plain = parse(LIST.as_bytes());
    assert_eq!(plain.nodes.iter().map(|node| node.line).collect::<Vec<_>>(), [3, 4]);
    let standard = STANDARD.encode(LIST);
    let url_safe = standard.replace('+', "-").replace('/', "_").replace('=', "");
    let wrapped: Vec<&str> = standard.as_bytes().chunks(76).map(|line| std::str::from_utf8(line).unwrap()).collect();
    let wrapped = wrapped.join("\r\n");
    let twice = STANDARD.encode(&standard);
    let thrice = STANDARD.encode(&twice);
    let titled = format!("//profile-update-interval: 1\n\n{standard}\n");
    for text in [&standard, &url_safe, &wrapped, &twice, &thrice, &titled] {
        assert_eq!(parse(text.as_bytes()), plain, "{text}");
    }
    let too_deep = parse(STANDARD.encode(&thrice).as_bytes());
    assert_eq!(too_deep.nodes, []);
    assert_eq!(too_deep.rejects.len(), 1);
}

#[test]
fn a_base64_line_stands_at_its_own_line() {
    let text = format!("trojan://pw@192.0.2.9:443\n{}\nnonsense", STANDARD.encode(LIST));
    let parsed = parse(text.as_bytes());
    assert_eq!(parsed.nodes.iter().map(|node| node.line).collect::<Vec<_>>(), [1, 2, 2]);
    assert_eq!(
        parsed.rejects.iter().map(|reject| (reject.line, reject.code)).collect::<Vec<_>>(),
        [(3, RejectCode::NotALink)]
    );
}

#[test]
fn other_encodings() {
    let utf16: Vec<u8> = "\u{feff}trojan://pw@192.0.2.1:443#ü".encode_utf16().flat_map(u16::to_le_bytes).collect();
    assert_eq!(parse(&utf16).nodes[0].label.as_str(), "ü");
    let bare: Vec<u8> = "trojan://pw@192.0.2.1:443#ü\n".encode_utf16().flat_map(u16::to_be_bytes).collect();
    assert_eq!(parse(&bare).nodes[0].label.as_str(), "ü");
    // GBK: what is in ASCII is read, and only the name suffers.
    let gbk: &[u8] = b"trojan://pw@192.0.2.1:443#\xcf\xe3\xb8\xdb 1\nproxies";
    assert_eq!(parse(gbk).nodes[0].spec.server.to_string(), "192.0.2.1:443");
    let latin: &[u8] = b"trojan://pw@192.0.2.1:443#\xfc\ntrojan://pw@192.0.2.2:443";
    assert_eq!(parse(latin).nodes.len(), 2);
}

#[test]
fn file_names() {
    let scheme = |name| Hints::from_file_name(name).default_scheme;
    assert_eq!(scheme("https://example.org/http/lists/SOCKS5.txt?raw=1"), ListScheme::Socks5);
    assert_eq!(scheme("socks4a_proxies.txt"), ListScheme::Socks4a);
    assert_eq!(scheme("socks4.txt"), ListScheme::Socks4);
    assert_eq!(scheme("socks/https.txt"), ListScheme::Http);
    assert_eq!(scheme(""), ListScheme::Http);
    let parsed = parse_with(b"192.0.2.1:1080", &Hints { default_scheme: ListScheme::Socks5 });
    assert_eq!(parsed.nodes[0].spec.scheme(), "socks5");
}

#[test]
fn nothing_is_nothing() {
    for text in ["", "\n\n", "# only a remark\n// another", "\u{feff}"] {
        assert_eq!(parse(text.as_bytes()), Parsed::default(), "{text:?}");
    }
}

#[test]
fn odd_lines_cost_no_more_than_their_length() {
    // Quadratic work on a megabyte would take minutes; the test only has to end.
    let size = 1 << 20;
    for unit in [
        "x?http://",
        "vless://",
        "<a \"",
        "&amp",
        "=/ss://",
        "1.2.3.4:",
        "@",
        "|",
        "dm1lc3M6Ly8",
        "(",
        "://",
        ",'a",
        "'a,",
        "[",
    ] {
        let line = format!("vless://x?{}", unit.repeat(size / unit.len()));
        assert_eq!(parse(line.as_bytes()).nodes, [], "{unit}");
        let text = format!("</p>{}", unit.repeat(size / unit.len()));
        assert!(parse(text.as_bytes()).nodes.is_empty(), "{unit}");
        let row = format!("[Proxy]\na = trojan, {}", unit.repeat(size / unit.len()));
        assert!(parse(row.as_bytes()).nodes.is_empty(), "{unit}");
    }
}
