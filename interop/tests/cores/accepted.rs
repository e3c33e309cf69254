//! What is written for Clash cores and sing-box is accepted as a whole by the real programs.

use std::{
    collections::BTreeSet,
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use hezar_core::{Label, NodeSpec};
use hezar_formats::{
    Hints,
    arbitrary::{documents, links},
    parse, parse_with,
    write::{self, Written},
};
use hezar_interop::harness::programs;
use proptest::{
    strategy::{BoxedStrategy, Strategy, ValueTree},
    test_runner::TestRunner,
};
use serde_json::Value;

type Nodes = Vec<(NodeSpec, Label)>;

/// The program that checks a configuration in a folder of its own.
struct Checker {
    program: PathBuf,
    folder: tempfile::TempDir,
}

impl Checker {
    fn new(program: PathBuf) -> Self {
        Self { program, folder: tempfile::tempdir().unwrap() }
    }

    /// Fails unless mihomo accepts the text.
    fn mihomo(&self, what: &str, text: &str) {
        self.check(what, "config.yaml", text, &["-t", "-d", "."]);
    }

    /// Fails unless sing-box accepts the text. The build that the tests use cannot imitate browsers, nor speak REALITY, which needs that:
    /// both are taken out before.
    fn sing_box(&self, what: &str, text: &str) {
        let mut config: Value = serde_json::from_str(text).unwrap();
        for outbound in config["outbounds"].as_array_mut().unwrap() {
            if let Some(tls) = outbound.get_mut("tls").and_then(Value::as_object_mut) {
                tls.remove("utls");
                tls.remove("reality");
            }
        }
        self.check(what, "config.json", &config.to_string(), &["check", "-c", "config.json"]);
    }

    fn check(&self, what: &str, file: &str, text: &str, arguments: &[&str]) {
        fs::write(self.folder.path().join(file), text).unwrap();
        let output = Command::new(&self.program).args(arguments).current_dir(self.folder.path()).output().unwrap();
        let told = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).join("");
        let errors: Vec<&str> = told.lines().filter(|line| line.contains("error") || line.contains("FATAL")).collect();
        assert!(output.status.success(), "{what} is refused: {errors:?}");
    }
}

fn checkers() -> Option<[Checker; 2]> {
    let (_, [mihomo, sing_box]) = programs("accepted configurations", ["mihomo", "sing-box"])?;
    Some([mihomo, sing_box].map(Checker::new))
}

/// The same random nodes in every run.
fn some(count: usize, node: BoxedStrategy<NodeSpec>, label: BoxedStrategy<Label>) -> Nodes {
    let (mut runner, strategy) = (TestRunner::deterministic(), (node, label));
    (0..count).map(|_| strategy.new_tree(&mut runner).unwrap().current()).collect()
}

fn pairs(nodes: &Nodes) -> impl Iterator<Item = (&NodeSpec, &Label)> {
    nodes.iter().map(|(spec, label)| (spec, label))
}

/// Checks everything that is written of these nodes, and gives the configurations for Clash and for sing-box without groups.
fn check_all([mihomo, sing_box]: &[Checker; 2], what: &str, nodes: &Nodes) -> [Written; 2] {
    let clash = write::clash(pairs(nodes));
    mihomo.mihomo(what, &clash.text);
    mihomo.mihomo(what, &write::clash_profile(pairs(nodes)).text);
    let boxed = write::sing_box(pairs(nodes));
    sing_box.sing_box(what, &boxed.text);
    sing_box.sing_box(what, &write::sing_box_routed(pairs(nodes)).text);
    sing_box.sing_box(what, &write::sing_box_profile(pairs(nodes)).text);
    [clash, boxed]
}

fn schemes(text: &str) -> BTreeSet<&'static str> {
    parse(text.as_bytes()).nodes.iter().map(|entry| entry.spec.scheme()).collect()
}

#[test]
fn random_nodes_of_every_kind_are_accepted() {
    let Some(checkers) = checkers() else { return };
    let configured = some(3000, documents::node(), documents::label().boxed());
    let [clash, boxed] = check_all(&checkers, "a configuration of random nodes", &configured);
    let written = (clash.left_out.len(), boxed.left_out.len());
    check_all(&checkers, "a configuration of random links", &some(3000, links::node(), links::label()));
    // What a client has no word for is left out; a writer that leaves out whole kinds would prove nothing.
    let both = "anytls http https hysteria hysteria2 socks5 ss ssh trojan tuic vless vmess wireguard";
    let only_clash = "amneziawg gost-relay mieru shadowquic snell ssr trusttunnel";
    let wanted = |names: &[&'static str]| names.iter().flat_map(|names| names.split(' ')).collect::<BTreeSet<_>>();
    assert_eq!(schemes(&clash.text), wanted(&[both, only_clash]));
    assert_eq!(schemes(&boxed.text), wanted(&[both, "socks4"]));
    println!("accepted: mihomo {} and sing-box {} of 3000 random nodes", 3000 - written.0, 3000 - written.1);
}

/// Settings that only the core itself can check: an export leaves them out, and the sidecar tries them.
const TRIED: &str = r#"
proxies:
- {name: sudoku, type: sudoku, server: 192.0.2.1, port: 443, key: abc, aead-method: chacha20-poly1305, padding-min: 2, padding-max: 7,
   table-type: prefer_ascii, custom-tables: [xpxvvpvv, vxpvxvvp], httpmask: {disable: false, mode: stream, path-root: aabb}}
- {name: masque, type: masque, server: 192.0.2.1, port: 443, mtu: 1280, ip: 172.16.0.2, ipv6: "2001:db8::2", network: h2,
   private-key: MHcCAQEEIJx6JP4XoiWFy3eSIq8mGp0tzw1FDmsHCiQWb2niB9efoAoGCCqGSM49AwEHoUQDQgAEnSeVUfqK1fBiiEEEWjOVCk3mxdOUiayrbIGKxDSNiu7m4erRs6Nm2ipM6f7xZZjSuRxsrBgjPoG0B2W25Yc+rA==,
   public-key: MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEW0oFtf1cXi95Uu42BOrZcr6S7sg27nYe8EZLe/GFcABkiHE5/YMXxPtpFq8AbJt/yfrqcG48ICZiNgwT7gqiJg==}
- {name: openvpn, type: openvpn, server: 192.0.2.1, port: 1194, proto: udp, cipher: AES-128-GCM, username: u, password: p, ca: CERTIFICATE}
"#;

#[test]
fn what_only_the_core_can_check_is_tried_and_never_exported() {
    let Some([mihomo, sing_box]) = checkers() else { return };
    let authority = rcgen::generate_simple_self_signed(["ca.example".to_owned()]).unwrap().cert.pem();
    let text = TRIED.replace("CERTIFICATE", &serde_json::to_string(&authority).unwrap());
    let parsed = parse(text.as_bytes());
    assert_eq!((parsed.nodes.len(), &parsed.rejects[..]), (3, &[][..]));
    let nodes: Nodes = parsed.nodes.into_iter().map(|entry| (entry.spec, entry.label)).collect();
    for (spec, label) in &nodes {
        let entries = write::clash_proxies(label.as_str(), spec).unwrap().join(",");
        mihomo.mihomo(label.as_str(), &format!("proxies: [{entries}]\nrules: ['MATCH,REJECT']\n"));
    }
    let [clash, _] = check_all(&[mihomo, sing_box], "an export without them", &nodes);
    assert_eq!(clash.left_out.len(), nodes.len());
}

/// Texts that a careless writer would break a document with.
#[test]
fn names_and_passwords_of_every_sign_are_accepted() {
    let Some(checkers) = checkers() else { return };
    let odd = [
        "\u{1f1e9}\u{1f1ea}",
        "a: b # c",
        "- x",
        "{y}",
        "\"q\\",
        "\u{0}\u{7}\u{1b}",
        "\u{2028}\u{feff}",
        "null",
        "1e5",
        "<<",
        "DIRECT",
        "*a",
    ];
    let nodes: Nodes = odd
        .iter()
        .map(|text| {
            let link = format!("trojan://{}@192.0.2.1:443?type=ws&path=%2F", percent(text));
            (hezar_formats::parse_link(&link).unwrap().0, Label::new(text))
        })
        .collect();
    let [clash, boxed] = check_all(&checkers, "odd texts", &nodes);
    for written in [clash, boxed] {
        assert_eq!(written.left_out, []);
        let back = parse(written.text.as_bytes());
        assert!(back.nodes.iter().map(|entry| &entry.spec).eq(nodes.iter().map(|(spec, _)| spec)), "{}", written.text);
    }
}

fn percent(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

/// The folder of real published lists, which are not part of the repository: `HEZAR_CORPUS`, or `../shared/corpus` beside the checkout.
fn corpus() -> Option<PathBuf> {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/corpus");
    let folder = env::var_os("HEZAR_CORPUS").map_or_else(beside, PathBuf::from);
    folder.join("ORACLE.tsv").is_file().then_some(folder)
}

#[test]
fn every_published_list_is_accepted() {
    let Some(folder) = corpus() else {
        println!("SKIPPED: no corpus; HEZAR_CORPUS names its folder");
        return;
    };
    let Some(checkers) = checkers() else { return };
    let (mut files, mut all, mut left_out) = (0, 0, [0; 2]);
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if name == "ORACLE.tsv" {
            continue;
        }
        let parsed = parse_with(&fs::read(&path).unwrap(), &Hints::from_file_name(&name));
        let nodes: Nodes = parsed.nodes.into_iter().map(|entry| (entry.spec, entry.label)).collect();
        let written = check_all(&checkers, &name, &nodes);
        (files, all) = (files + 1, all + nodes.len());
        left_out.iter_mut().zip(written).for_each(|(sum, written)| *sum += written.left_out.len());
    }
    println!(
        "accepted: {files} lists with {all} nodes; left out for mihomo {}, for sing-box {}",
        left_out[0], left_out[1]
    );
}
