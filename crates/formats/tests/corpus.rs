//! Our reading of real published lists beside an independent reading of them.
//!
//! The lists are not part of the repository: `HEZAR_CORPUS` names their folder, or `../shared/corpus` beside the
//! checkout is it. Without them the test says so and passes. Never connect to a server named in them.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use hezar_formats::{Hints, Parsed, parse_with};

/// The part of the independently read links that we must read alike.
const WANTED: f64 = 0.995;

/// Files in which the rows of the independent reading are themselves wrong, and why.
const WRONG_ROWS: &[(&str, &str)] = &[(
    "snakem982_proxypool__source~quan-x-2.conf",
    "rule-set addresses of a Quantumult X configuration (a path and a query) are taken for HTTP proxies",
)];

// What remains differs on purpose:
// - IPv4 addresses with a part above 255 are no hosts (aiboboxx, three rows in each of two files);
// - a REALITY key of 41 characters is no X25519 key (ALIILAPRO, two rows);
// - `de.vmess.comnpmjs.com` is the host in the link itself, and the table has another name (aiboboxx, two rows);
// - `ss://base64==trojan://…` is two links that stick together, not one Shadowsocks server at the second one's host
//   (gfpcom, one row).
// What we read although the table calls it broken: legacy Shadowsocks links with an empty query inside the base64
// (`host:443?`), a Trojan password with a raw `#`, and a VLESS link behind a broken one on the same line.

struct Row {
    line: usize,
    ok: bool,
    scheme: String,
    host: String,
    port: String,
    transport: String,
    security: String,
}

fn folder() -> Option<PathBuf> {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/corpus");
    let folder = std::env::var_os("HEZAR_CORPUS").map_or_else(beside, PathBuf::from);
    folder.join("ORACLE.tsv").is_file().then_some(folder)
}

fn oracle(folder: &Path) -> BTreeMap<String, Vec<Row>> {
    let table = fs::read_to_string(folder.join("ORACLE.tsv")).unwrap_or_default();
    let mut files: BTreeMap<String, Vec<Row>> = BTreeMap::new();
    for line in table.lines() {
        let column = |index| line.split('\t').nth(index).unwrap_or_default();
        let Ok(number) = column(1).parse() else { continue };
        let row = Row {
            line: number,
            ok: column(2) == "ok",
            scheme: scheme(column(3)),
            host: host(column(4)),
            port: column(5).to_owned(),
            transport: column(6).to_owned(),
            security: column(7).to_owned(),
        };
        files.entry(column(0).to_owned()).or_default().push(row);
    }
    files
}

/// One spelling per scheme; ShadowsocksR that adds nothing is read as Shadowsocks.
fn scheme(name: &str) -> String {
    match name.to_ascii_lowercase().as_str() {
        "ssr" => "ss",
        "socks" => "socks5",
        "wg" => "wireguard",
        "hy2" => "hysteria2",
        name => name,
    }
    .to_owned()
}

fn host(text: &str) -> String {
    let text = text.trim_start_matches('[').trim_end_matches(']');
    text.parse::<hezar_core::Host>().map_or_else(|_| text.to_ascii_lowercase(), |host| host.to_string())
}

/// Whether transport and security are those of the other reader, who wrote down the publisher's own words and only
/// those of the stream protocols mean the same as ours.
fn carried_alike(row: &Row, spec: &hezar_core::NodeSpec) -> bool {
    if !["vless", "vmess", "trojan"].contains(&row.scheme.as_str()) {
        return true;
    }
    let transport = match row.transport.as_str() {
        "raw" | "none" | "" => "tcp",
        // Old Trojan links say `ws=1`, which the other reader does not know.
        "tcp" if row.scheme == "trojan" && spec.transport().name() == "ws" => "ws",
        "h2" => "http2",
        "splithttp" => "xhttp",
        // `http` is HTTP/2 or a disguise of raw TCP, by the header type that the other reader did not note.
        "http" if spec.transport().name() == "tcp" => "tcp",
        "http" => "http2",
        name => name,
    };
    let security = match row.security.as_str() {
        "true" => "tls",
        // No TLS in v2rayN, which made these links.
        "auto" | "" => "none",
        name => name,
    };
    transport == spec.transport().name() && security == spec.security().name()
}

/// What we read at a line: scheme, host and port.
fn read(parsed: &Parsed) -> BTreeMap<usize, Vec<(String, String, String)>> {
    let mut lines: BTreeMap<usize, Vec<_>> = BTreeMap::new();
    for entry in &parsed.nodes {
        let server = &entry.spec.server;
        let node = (scheme(entry.spec.scheme()), server.host().to_string(), server.port().to_string());
        lines.entry(entry.line).or_default().push(node);
    }
    lines
}

#[test]
fn reads_real_lists_like_an_independent_reader() {
    let Some(folder) = folder() else {
        eprintln!("SKIPPED: no corpus; HEZAR_CORPUS names its folder");
        return;
    };
    let (mut all, mut same, mut carried) = (0_usize, 0_usize, 0_usize);
    for (file, rows) in oracle(&folder) {
        let bytes = fs::read(folder.join(&file)).unwrap();
        let parsed = parse_with(&bytes, &Hints::from_file_name(&file));
        let lines = read(&parsed);
        if let Some((_, why)) = WRONG_ROWS.iter().find(|(name, _)| *name == file) {
            eprintln!("{file}: left out: {why}");
            continue;
        }
        let (mut file_all, mut file_same, mut extra) = (0, 0, 0);
        for row in rows {
            let wanted = (row.scheme.clone(), row.host.clone(), row.port.clone());
            let found = lines.get(&row.line).map_or(&[][..], Vec::as_slice);
            if !row.ok {
                extra += usize::from(!found.is_empty());
                if !found.is_empty() {
                    eprintln!("{file}:{}: read although refused by the other: {found:?}", row.line);
                }
                continue;
            }
            file_all += 1;
            if found.contains(&wanted) {
                file_same += 1;
                let mut nodes = parsed.nodes.iter().filter(|node| node.line == row.line);
                if !nodes.any(|node| carried_alike(&row, &node.spec)) {
                    carried += 1;
                    eprintln!("{file}:{}: carried by {} and {}", row.line, row.transport, row.security);
                }
                continue;
            }
            let code = parsed.rejects.iter().find(|reject| reject.line == row.line);
            let code = code.map(|reject| (reject.code.code(), reject.excerpt.clone()));
            eprintln!("{file}:{}: wanted {wanted:?}, found {found:?}, refused {code:?}", row.line);
        }
        eprintln!(
            "{file}: {file_same} of {file_all} alike, {extra} more, {} nodes, {} refusals",
            parsed.nodes.len(),
            parsed.rejects.len()
        );
        all += file_all;
        same += file_same;
    }
    eprintln!("{same} of {all} links read alike, {carried} of them carried differently");
    assert!(same as f64 >= WANTED * all as f64, "{same} of {all}");
    assert!(carried as f64 <= (1.0 - WANTED) * all as f64, "{carried} of {all} carried differently");
}

#[test]
fn every_line_of_every_list_is_in_range() {
    let Some(folder) = folder() else { return };
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let parsed = parse_with(&fs::read(&path).unwrap(), &Hints::default());
        let lines = parsed.nodes.iter().map(|node| node.line).chain(parsed.rejects.iter().map(|reject| reject.line));
        assert!(lines.into_iter().all(|line| line > 0), "{}", path.display());
        for node in &parsed.nodes {
            let link = hezar_formats::to_link(&node.spec, &node.label);
            let again = hezar_formats::parse_link(&link);
            assert_eq!(again.as_ref().map(|(spec, _)| spec), Ok(&node.spec), "{}:{} {link}", path.display(), node.line);
            assert_eq!(again.map(|(_, label)| label), Ok(node.label.clone()), "{link}");
        }
    }
}
