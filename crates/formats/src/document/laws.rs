//! Property tests of documents: what is written can be read back, and no text makes a reader fail.

use std::{collections::HashSet, sync::Arc};

use hezar_core::{Label, NodeSpec, Outbound};
use proptest::{collection::vec, prelude::*, strategy::ValueTree, test_runner::TestRunner};

use super::{clash, sing_box, tests::read, write, writers, writers::xray::XrayDialect, yaml};
use crate::{arbitrary::documents as arbitrary, tree::json};

/// What a writer wrote, read again; the labels are all different.
fn back(written: &write::Written, count: usize) -> Result<Vec<NodeSpec>, TestCaseError> {
    let parsed = read(&written.text).unwrap_or_default();
    prop_assert_eq!(&parsed.rejects, &[]);
    prop_assert_eq!(parsed.nodes.len() + written.left_out.len(), count);
    let names: HashSet<_> = parsed.nodes.iter().map(|entry| entry.label.as_str()).collect();
    prop_assert_eq!(names.len(), parsed.nodes.len());
    Ok(parsed.nodes.into_iter().map(|entry| entry.spec).collect())
}

/// Whether the nodes read are some of the portable originals in their order.
fn are_originals(read: &[NodeSpec], nodes: &[(NodeSpec, Label)]) -> bool {
    let mut originals = nodes.iter().map(|(spec, _)| write::portable(spec));
    read.iter().all(|spec| originals.any(|original| original == *spec))
}

/// Nodes that every client has words for.
fn is_common(spec: &NodeSpec) -> bool {
    match &spec.outbound {
        Outbound::Shadowsocks(s) => s.plugin.is_none() && s.method.ends_with("-gcm"),
        Outbound::Http(http) => http.tls.is_none(),
        _ => false,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn clash_reads_back(nodes in vec((arbitrary::node(), arbitrary::label()), 0..12)) {
        let written = clash::write::document(nodes.iter().map(|(spec, label)| (spec, label)));
        let read = back(&written, nodes.len())?;
        prop_assert!(are_originals(&read, &nodes));
        prop_assert!(read.len() >= nodes.iter().filter(|(spec, _)| is_common(spec)).count());
    }

    #[test]
    fn sing_box_reads_back(nodes in vec((arbitrary::node(), arbitrary::label()), 0..12)) {
        let written = sing_box::write::document(nodes.iter().map(|(spec, label)| (spec, label)));
        prop_assert!(serde_json::from_str::<serde_json::Value>(&written.text).is_ok());
        // Endpoints come after outbounds.
        let (endpoints, mut nodes): (Vec<_>, Vec<_>) =
            nodes.into_iter().partition(|(spec, _)| matches!(spec.outbound, Outbound::WireGuard(_)));
        nodes.extend(endpoints);
        let read = back(&written, nodes.len())?;
        prop_assert!(are_originals(&read, &nodes));
        prop_assert!(read.len() >= nodes.iter().filter(|(spec, _)| is_common(spec)).count());
    }

    #[test]
    fn xray_reads_back(nodes in vec((arbitrary::node(), arbitrary::label()), 0..12)) {
        let written = writers::xray::document(nodes.iter().map(|(spec, label)| (spec, label)));
        prop_assert!(serde_json::from_str::<serde_json::Value>(&written.text).is_ok());
        let read = back(&written, nodes.len())?;
        prop_assert!(are_originals(&read, &nodes));
    }

    #[test]
    fn an_outbound_of_xray_reads_back_in_both_dialects(spec in arbitrary::node(), label in arbitrary::label()) {
        for dialect in [XrayDialect::FinalMask, XrayDialect::KcpSettings] {
            if let Ok(outbound) = writers::xray::outbound(&spec, "a tag", dialect) {
                let text = format!(r#"{{"outbounds": [{outbound}]}}"#);
                let written = write::Written { text, ..write::Written::default() };
                prop_assert!(are_originals(&back(&written, 1)?, &[(spec.clone(), label.clone())]));
            }
        }
    }

    #[test]
    fn surge_reads_back(nodes in vec((arbitrary::node(), arbitrary::label()), 0..12)) {
        let written = writers::surge::document(nodes.iter().map(|(spec, label)| (spec, label)));
        let read: Vec<_> = back(&written, nodes.len())?.iter().map(write::portable).collect();
        prop_assert!(are_originals(&read, &nodes));
    }

    #[test]
    fn a_chain_reads_back(nodes in vec(arbitrary::node(), 2..5), label in arbitrary::label()) {
        let chain = |nodes: &[NodeSpec]| {
            let chain = nodes.iter().cloned().reduce(|nearer, node| node.through(Arc::new(nearer)).unwrap());
            chain.unwrap()
        };
        let spec = chain(&nodes);
        // Twice, the second time through what is there already.
        let twice = || [(&spec, &label), (&spec, &label)].into_iter();
        for written in [clash::write::document(twice()), sing_box::write::document(twice())] {
            if written.left_out.is_empty() {
                let parsed = read(&written.text).unwrap();
                prop_assert_eq!(&parsed.rejects, &[]);
                prop_assert_eq!(parsed.nodes.len(), nodes.len() + 1, "{}", written.text);
                let expected = write::portable(&spec);
                prop_assert_eq!(parsed.nodes.iter().filter(|entry| entry.spec == expected).count(), 2, "{}", written.text);
            }
        }
    }

    #[test]
    fn no_text_breaks_a_reader(text in "([-{}\\[\\]:,\"'#&*!|>?%@\n\t \\\\]|proxies:|name|server: |- |\\[Proxy\\]|[Peer]|= |[a-z0-9é]|---\n){0,120}") {
        let _ = read(&text);
        let _ = read(&format!("proxies:\n- {text}"));
        let _ = read(&format!("{{\"outbounds\": [{text}"));
        let _ = read(&format!("[Proxy]\n{text}"));
        let _ = yaml::read(&text);
        let _ = json::salvage(&text);
    }

    #[test]
    fn a_cut_or_scratched_document_breaks_no_reader(
        nodes in vec((arbitrary::node(), arbitrary::label()), 1..4), cut in any::<prop::sample::Index>(), sign in any::<char>()
    ) {
        let pairs = || nodes.iter().map(|(spec, label)| (spec, label));
        for text in [clash::write::document(pairs()).text, sing_box::write::document(pairs()).text] {
            let places: Vec<_> = text.char_indices().map(|(at, _)| at).collect();
            let at = places[cut.index(places.len())];
            let _ = read(&text[..at]);
            let _ = read(&format!("{}{sign}{}", &text[..at], &text[at..]));
        }
    }
}

/// What the writers must have words for: scheme, transport, security.
const BOTH: &[&str] = &[
    "anytls/tcp/tls",
    "http/tcp/none",
    "https/tcp/tls",
    "hysteria/quic/tls",
    "hysteria2/quic/tls",
    "socks5/tcp/none",
    "ss/tcp/none",
    "ssh/tcp/none",
    "trojan/grpc/reality",
    "trojan/httpupgrade/tls",
    "trojan/tcp/tls",
    "trojan/ws/tls",
    "tuic/quic/tls",
    "vless/grpc/tls",
    "vless/http2/tls",
    "vless/httpupgrade/none",
    "vless/tcp/reality",
    "vless/ws/tls",
    "vmess/grpc/none",
    "vmess/tcp/none",
    "vmess/ws/tls",
    "wireguard/udp/none",
];

/// What the writer for Clash must have words for besides.
const CLASH: &[&str] = &[
    "amneziawg/udp/none",
    "gost-relay/tcp/none",
    "mieru/tcp/none",
    "mieru/udp/none",
    "shadowquic/quic/tls",
    "snell/tcp/none",
    "ssr/tcp/none",
    "trusttunnel/tcp/tls",
    "vless/xhttp/reality",
];

/// The writers write every kind of node in these lists, and leave out less than two of three; otherwise the tests of reading
/// back would test little.
#[test]
fn few_are_left_out() {
    // So many nodes are enough for a kind that one node in thousands has.
    const COUNT: usize = 12_000;
    let nodes = vec((arbitrary::node(), arbitrary::label()), COUNT);
    let nodes = nodes.new_tree(&mut TestRunner::deterministic()).unwrap().current();
    let pairs = || nodes.iter().map(|(spec, label)| (spec, label));
    for (name, written, also) in [
        ("clash", clash::write::document(pairs()), CLASH),
        ("sing-box", sing_box::write::document(pairs()), &["socks4/tcp/none", "trojan/ws/none"][..]),
    ] {
        let kind = |spec: &NodeSpec| format!("{}/{}/{}", spec.scheme(), spec.transport(), spec.security());
        let kinds: HashSet<_> = read(&written.text).unwrap().nodes.iter().map(|entry| kind(&entry.spec)).collect();
        let missing: Vec<_> = BOTH.iter().chain(also).filter(|kind| !kinds.contains(**kind)).collect();
        assert!(missing.is_empty(), "{name} lacks {missing:?}");
        assert!(written.left_out.len() * 3 < COUNT * 2, "{name} leaves out {} of {COUNT}", written.left_out.len());
    }
}
