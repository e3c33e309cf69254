//! The laws of reading and writing.

use hezar_core::{Label, NodeSpec};
use proptest::prelude::*;

use crate::{Hints, Parsed, RejectCode, arbitrary::links as arbitrary, parse, parse_link, parse_with, to_link, write};

/// Real dialects to damage: one line each.
const LINKS: &str = include_str!("../tests/fixtures/dialects.txt");

fn in_range(parsed: &Parsed, bytes: &[u8]) -> bool {
    // One base64 layer can only shorten a text, and so it never has more lines than bytes.
    let most = bytes.len() + 1;
    let lines = parsed.nodes.iter().map(|node| node.line).chain(parsed.rejects.iter().map(|reject| reject.line));
    lines.into_iter().all(|line| (1..=most).contains(&line))
}

#[test]
fn codes_are_listed_once() {
    for code in RejectCode::ALL {
        assert_eq!(RejectCode::CODES.iter().filter(|doc| doc.code == code.code()).count(), 1, "{code:?}");
    }
    assert_eq!(RejectCode::CODES.len(), RejectCode::ALL.len());
}

#[test]
fn a_text_without_end_is_cut() {
    let mut long = "a".repeat(crate::MAX_LINE_BYTES + 1);
    long.push_str(" b\nsocks5://192.0.2.1:1080");
    let parsed = parse(long.as_bytes());
    assert_eq!(parsed.rejects.first().map(|reject| (reject.line, reject.code)), Some((1, RejectCode::TooLong)));
    assert_eq!(parsed.nodes.first().map(|node| node.line), Some(2));
    assert_eq!(parse_link(&format!("trojan://{}@192.0.2.1:443", "x".repeat(70_000))), Err(RejectCode::TooLong));
}

proptest! {
    #[test]
    fn a_link_reads_back_as_its_node(node in arbitrary::node(), label in arbitrary::label()) {
        let link = to_link(&node, &label);
        prop_assert_eq!(parse_link(&link), Ok((node.clone(), label.clone())), "{}", link);
        let parsed = parse(link.as_bytes());
        prop_assert_eq!(parsed.rejects.len(), 0, "{}", &link);
        prop_assert_eq!(parsed.nodes.len(), 1, "{}", &link);
        prop_assert_eq!((&parsed.nodes[0].spec, &parsed.nodes[0].label), (&node, &label));
        prop_assert_eq!(parsed.nodes[0].spec.id(), node.id());
    }

    #[test]
    fn a_list_reads_back_as_its_nodes(nodes in proptest::collection::vec((arbitrary::node(), arbitrary::label()), 1..6)) {
        let entries = || nodes.iter().map(|(node, label)| (node, label));
        for text in [write::links(entries()), write::base64(entries())] {
            let parsed = parse(text.as_bytes());
            let read: Vec<(NodeSpec, Label)> = parsed.nodes.into_iter().map(|node| (node.spec, node.label)).collect();
            prop_assert_eq!(&read, &nodes);
        }
    }

    #[test]
    fn bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..512)) {
        prop_assert!(in_range(&parse(&bytes), &bytes));
    }

    #[test]
    fn texts_never_panic(text in "(vless|vmess|ss|ssr|hy2|tuic|wg|socks|http|://|[ -~]|\\PC|\\n){0,40}") {
        prop_assert!(in_range(&parse(text.as_bytes()), text.as_bytes()));
    }

    #[test]
    fn damaged_links_never_panic(index: proptest::sample::Index, cuts in proptest::collection::vec((any::<proptest::sample::Index>(), any::<Option<u8>>()), 1..6)) {
        let links: Vec<&str> = LINKS.lines().collect();
        let mut bytes = links[index.index(links.len())].as_bytes().to_vec();
        for (at, byte) in cuts {
            if bytes.is_empty() { break; }
            let at = at.index(bytes.len());
            match byte {
                Some(byte) if byte % 3 == 0 => bytes.insert(at, byte),
                Some(byte) => bytes[at] = byte,
                None => { bytes.remove(at); }
            }
        }
        let parsed = parse_with(&bytes, &Hints::default());
        prop_assert!(in_range(&parsed, &bytes));
        for node in parsed.nodes {
            let link = to_link(&node.spec, &node.label);
            prop_assert_eq!(parse_link(&link), Ok((node.spec, node.label)), "{}", link);
        }
    }
}
