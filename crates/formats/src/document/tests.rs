//! What the readers of documents promise, on small documents of every kind.

use hezar_core::{
    Carrier, Fingerprint, NodeSpec, Obfs2, Outbound, PacketEncoding, Security, SecurityKind, SocksVersion,
    StreamProtocol, TuicUser, Vision, Xhttp,
};

use super::{Document, clash, sing_box, write, writers::xray::XrayDialect};
use crate::{ListScheme, Parsed, RejectCode};

pub(super) fn read(text: &str) -> Option<Parsed> {
    match super::read(text, ListScheme::Http) {
        Document::Read(parsed) => Some(parsed),
        Document::Foreign(_) | Document::None => None,
    }
}

fn nodes(text: &str) -> Vec<NodeSpec> {
    let parsed = read(text).unwrap_or_else(|| panic!("not a document: {text}"));
    assert_eq!(parsed.rejects, [], "{text}");
    parsed.nodes.into_iter().map(|entry| entry.spec).collect()
}

fn node(text: &str) -> NodeSpec {
    let mut nodes = nodes(text);
    assert_eq!(nodes.len(), 1, "{text}");
    nodes.remove(0)
}

fn carrier(spec: &NodeSpec) -> &Carrier {
    match &spec.outbound {
        Outbound::Stream(node) => node.carrier(),
        other => panic!("no carrier: {other:?}"),
    }
}

fn codes(parsed: &Parsed) -> Vec<(usize, &'static str)> {
    parsed.rejects.iter().map(|reject| (reject.line, reject.code.code())).collect()
}

const ID: &str = "b831381d-6324-4d53-ad4f-8cda48b30811";
const KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8";

#[test]
fn what_is_no_document() {
    for text in [
        "",
        "\n\n",
        "vless://a@192.0.2.1:443\ntrojan://b@192.0.2.2:443#proxies:",
        "192.0.2.1:1080",
        "<html>\nproxies:\n- {name: a, type: http, server: 192.0.2.1, port: 1}\n</html>",
        "proxies: see below",
        "some text\nproxies:\nmore text",
        "{}",
        "[]",
        "{\"a\": 1}",
        "{",
        "[Section]\nkey = value",
        "key = value",
        "name = http, see, below",
        "# only a comment",
    ] {
        assert_eq!(read(text), None, "{text}");
    }
}

#[test]
fn clash_values_keep_their_text() {
    let text = format!(
        "proxies:\r\n- name: a\r\n  type: vless\r\n  server: 192.0.2.1\r\n  port: \"443\"\r\n  uuid: {ID}\r\n  tls: true\r\n  \
         reality-opts: {{public-key: {KEY}, short-id: 12345678}}\r\n- {{name: b, type: trojan, server: example.org, \
         port: 443, password: 0123456}}\r\n- {{name: c, type: vless, server: example.org, port: 1, uuid: {ID}, \
         tls: true, reality-opts: {{public-key: {KEY}, short-id: 01e5}}}}\r\n"
    );
    let nodes = nodes(&text);
    let short_id = |spec: &NodeSpec| carrier(spec).reality().unwrap().short_id.as_bytes().to_vec();
    assert_eq!(short_id(&nodes[0]), [0x12, 0x34, 0x56, 0x78]);
    assert_eq!(short_id(&nodes[2]), [0x01, 0xe5]);
    let Outbound::Stream(trojan) = &nodes[1].outbound else { panic!() };
    assert!(matches!(trojan.protocol(), StreamProtocol::Trojan(t) if t.password.expose() == "0123456"));
}

#[test]
fn clash_documents_and_other_lists() {
    let text = "\u{feff}# comment\nport: 7890\nproxies:\n  - {name: a, type: http, server: 192.0.2.1, port: 8080}\n\
                proxy-groups:\n  - {name: g, type: select, proxies: [a]}\nrules:\n  - MATCH,g\n---\nproxies:\n\
                - {name: b, type: socks5, server: 192.0.2.2, port: 1080, username: null}\n- {name: d, type: direct}\n";
    let parsed = read(text).unwrap();
    let found: Vec<_> = parsed.nodes.iter().map(|e| (e.line, e.spec.scheme(), e.label.as_str())).collect();
    assert_eq!(found, [(1, "http", "a"), (2, "socks5", "b")]);
    assert_eq!(parsed.rejects, []);
    assert_eq!(nodes("proxies: [{name: a, type: http, server: 192.0.2.1, port: 8080}]").len(), 1);
    assert_eq!(nodes("- {name: a, type: http, server: 192.0.2.1, port: 8080}").len(), 1);
    assert_eq!(nodes("{proxies: [{name: a, type: http, server: 192.0.2.1, port: 8080}]}").len(), 1);
    assert_eq!(
        nodes("{\"proxies\": [{\"name\": \"a\", \"type\": \"http\", \"server\": \"192.0.2.1\", \"port\": 80}]}").len(),
        1
    );
}

#[test]
fn clash_anchors() {
    let text =
        "x: &x {type: ss, cipher: aes-128-gcm, password: p}\nproxies:\n- {<<: *x, name: a, server: 192.0.2.1, port: 1}";
    assert_eq!(node(text).scheme(), "ss");
    let mut bomb = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for level in 1..12 {
        bomb.push_str(&format!("a{level}: &a{level} [{}]\n", format!("*a{},", level - 1).repeat(10)));
    }
    bomb.push_str("proxies:\n- {name: a, type: http, server: 192.0.2.1, port: 80}\n");
    // The bomb itself is refused, the entry beneath it is not lost.
    assert_eq!(node(&bomb).scheme(), "http");
    let deep = format!("proxies:\n- {{name: {}}}", "[".repeat(100_000));
    assert_eq!(codes(&read(&deep).unwrap()), [(1, "bad-document")]);
}

#[test]
fn one_broken_clash_entry_costs_only_itself() {
    let good = |n: u8| format!("- {{name: n{n}, type: http, server: 192.0.2.{n}, port: 80}}\n");
    let text = format!(
        "proxies:\n{}- {{name: \"a\"b\"-1\", type: http, server: \"2001:db8::1\", port: 80}}\n- {{name: x, type: {{\n\
         {}- {{name: y, type: http}}\n- {{type: juicity, server: 192.0.2.9, port: 1}}\nproxy-groups:\n- {{name: z}}\n",
        good(1),
        good(2)
    );
    let parsed = read(&text).unwrap();
    assert_eq!(parsed.nodes.iter().map(|e| e.line).collect::<Vec<_>>(), [1, 2, 4]);
    assert_eq!(codes(&parsed), [(3, "bad-document"), (5, "bad-host"), (6, "unsupported-scheme")]);
    let block = "proxies:\n  - name: @channel [1]\n    type: http\n    server: 192.0.2.1\n    port: 80\n  - name: ok\n    \
                 type: http\n    server: 192.0.2.2\n    port: 81\n\trules: x\n";
    assert_eq!(read(block).unwrap().nodes[0].label.as_str(), "@channel [1]");
    assert_eq!(read(block).unwrap().nodes.len(), 2);
}

#[test]
fn clash_streams() {
    let websocket = node(&format!(
        "proxies:\n- {{name: a, type: vmess, server: 192.0.2.1, port: 80, uuid: {ID}, alterId: 2, cipher: auto, network: ws, \
         ws-path: /old, ws-headers: {{Host: example.org, User-Agent: x}}, tls: true, servername: sni.example, \
         skip-cert-verify: true, client-fingerprint: chrome, alpn: [h2, http/1.1]}}"
    ));
    let Carrier::WebSocket { websocket: w, tls: Some(tls) } = carrier(&websocket) else { panic!() };
    assert_eq!((w.path.as_ref(), w.host.as_deref()), ("/old", Some("example.org")));
    assert_eq!(w.headers, [("User-Agent".into(), "x".into())]);
    assert_eq!((tls.server_name.as_deref(), tls.skip_verify), (Some("sni.example"), true));
    assert_eq!((tls.fingerprint, tls.alpn.len()), (Some(Fingerprint::Chrome), 2));

    let opts = "ws-opts: {path: \"/p?ed=2048\", v2ray-http-upgrade: true}";
    let upgrade = node(&format!(
        "proxies:\n- {{name: a, type: vless, server: 192.0.2.1, port: 80, uuid: {ID}, network: ws, {opts}, flow: xtls-rprx-vision}}"
    ));
    let Carrier::HttpUpgrade { upgrade: u, tls: None } = carrier(&upgrade) else { panic!() };
    assert_eq!((u.path.as_ref(), u.early_data.as_ref().unwrap().max_bytes), ("/p", 2048));

    let vision = node(&format!(
        "proxies:\n- {{name: a, type: vless, server: 192.0.2.1, port: 443, uuid: me, tls: true, flow: xtls-rprx-vision, \
         packet-encoding: packetaddr, reality-opts: {{public-key: {KEY}}}}}"
    ));
    let Outbound::Stream(stream) = &vision.outbound else { panic!() };
    let StreamProtocol::Vless(vless) = stream.protocol() else { panic!() };
    assert_eq!((vless.flow, vless.packet_encoding), (Some(Vision::Plain), PacketEncoding::PacketAddr));
    assert_eq!(vless.id.get_version_num(), 5);

    let header = node(&format!(
        "proxies:\n- {{name: a, type: vmess, server: 192.0.2.1, port: 80, uuid: {ID}, network: http, \
         http-opts: {{path: [/a, /b], headers: {{Host: [h.example]}}}}}}"
    ));
    assert!(
        matches!(carrier(&header), Carrier::Tcp { header: Some(h), .. } if h.paths.len() == 2 && h.hosts.len() == 1)
    );
    let ignored =
        node("proxies:\n- {name: a, type: trojan, server: 192.0.2.1, port: 443, password: p, ws-opts: {path: /x}}");
    assert!(matches!(carrier(&ignored), Carrier::Tcp { header: None, security: Security::Tls(_) }));
}

#[test]
fn clash_others() {
    let text = format!(
        "proxies:
- {{name: 1, type: hysteria2, server: example.org, ports: '443,5000-6000', password: p, obfs: salamander, obfs-password: o, up: 30 Mbps}}
- {{name: 2, type: hysteria, server: example.org, port: 1, auth-str: a, up: 11 Mbps, down: '55', obfs: x, protocol: faketcp}}
- {{name: 3, type: tuic, server: example.org, port: 1, uuid: {ID}, password: p, congestion-controller: bbr, reduce-rtt: true}}
- {{name: 4, type: tuic, server: example.org, port: 1, token: t}}
- {{name: 5, type: anytls, server: example.org, port: 1, password: p}}
- {{name: 6, type: wireguard, server: 192.0.2.1, port: 2480, ip: 172.16.0.2, ipv6: 'fd01::1/64', private-key: {KEY}, public-key: {KEY}, reserved: [1, 2, 3]}}
- {{name: 7, type: ss, server: 192.0.2.1, port: 1, cipher: AEAD_AES_128_GCM, password: 123456, plugin: obfs, plugin-opts: {{mode: tls, host: h}}}}
- {{name: 8, type: ssr, server: 192.0.2.1, port: 1, cipher: aes-256-cfb, password: p, obfs: plain, protocol: auth_aes128_md5}}
- {{name: 9, type: ssr, server: 192.0.2.1, port: 1, cipher: aes-256-cfb, password: p, obfs: plain, protocol: origin}}
"
    );
    let nodes = nodes(&text);
    let schemes: Vec<_> = nodes.iter().map(NodeSpec::scheme).collect();
    assert_eq!(schemes, ["hysteria2", "hysteria", "tuic", "tuic", "anytls", "wireguard", "ss", "ssr", "ss"]);
    let Outbound::Hysteria2(h) = &nodes[0].outbound else { panic!() };
    assert_eq!((nodes[0].server.port(), h.ports.as_slice(), h.up_mbps), (443, &[(5000, 6000)][..], Some(30)));
    assert!(matches!(&h.obfs, Some(Obfs2::Salamander { .. })));
    assert!(matches!(&nodes[3].outbound, Outbound::Tuic(t) if matches!(t.user, TuicUser::V4 { .. })));
    let Outbound::WireGuard(w) = &nodes[5].outbound else { panic!() };
    assert_eq!(
        (w.addresses[0].as_ref(), w.addresses[1].as_ref(), w.reserved),
        ("172.16.0.2/32", "fd01::1/64", [1, 2, 3])
    );
    let Outbound::Shadowsocks(s) = &nodes[6].outbound else { panic!() };
    assert_eq!((s.method.as_ref(), s.password.expose()), ("aes-128-gcm", "123456"));
    assert_eq!(s.plugin.as_ref().unwrap().options, [("obfs".into(), "tls".into()), ("obfs-host".into(), "h".into())]);
}

#[test]
fn sing_box() {
    let text = format!(
        r#"// a comment
{{ "log": {{}}, "outbounds": [
  {{"type": "selector", "tag": "s", "outbounds": ["a"]}}, {{"type": "direct", "tag": "d"}},
  # another one
  {{"type": "vless", "tag": "a", "server": "192.0.2.1", "server_port": 443, "uuid": "{ID}", "flow": "xtls-rprx-vision",
    "tls": {{"enabled": true, "reality": {{"enabled": true, "public_key": "{KEY}", "short_id": "ab"}}, "utls": {{"enabled": true, "fingerprint": "firefox"}}}}, }},
  {{"type": "hysteria2", "tag": "b", "server": "example.org", "server_ports": ["443:443", "2000:3000"], "password": "p", "hop_interval": "30s", "tls": {{"enabled": true}}}},
  {{"type": "socks", "tag": "c", "server": "192.0.2.1", "server_port": 1, "version": "4a"}},
  {{"type": "shadowsocks", "tag": "e", "method": "aes-128-gcm", "password": "p", "detour": "f"}},
  {{"type": "shadowtls", "tag": "f", "server": "192.0.2.7", "server_port": 443, "version": 3, "password": "q", "tls": {{"enabled": true, "server_name": "h.example"}}}},
  {{"type": "naive", "server": "192.0.2.1"}},
],
"endpoints": [ {{"type": "wireguard", "tag": "w", "address": ["10.0.0.2/32"], "private_key": "{KEY}", "peers": [{{"address": "192.0.2.1", "port": 51820, "public_key": "{KEY}", "reserved": "AQID"}}]}} ] }}"#
    );
    let parsed = read(&text).unwrap();
    let found: Vec<_> = parsed.nodes.iter().map(|e| (e.line, e.spec.scheme(), e.label.as_str())).collect();
    assert_eq!(
        found,
        [(3, "vless", "a"), (4, "hysteria2", "b"), (5, "socks4", "c"), (6, "ss", "e"), (9, "wireguard", "w")]
    );
    assert_eq!(codes(&parsed), [(8, "unsupported-scheme")]);
    assert!(matches!(&parsed.nodes[2].spec.outbound, Outbound::Socks(s) if s.version == SocksVersion::V4a));
    assert_eq!(parsed.nodes[3].spec.server.to_string(), "192.0.2.7:443");
    assert_eq!(parsed.nodes[1].spec.server.port(), 443);
}

#[test]
fn broken_json_loses_only_the_broken_part() {
    let good = |n: u8| format!(r#"{{"type": "http", "tag": "{n}", "server": "192.0.2.{n}", "server_port": 80}}"#);
    let broken = format!(
        r#"{{"dns": {{x}}, "outbounds": [{}, {{"type": "http", "tag" "2"}}, {}], "route": {{"#,
        good(1),
        good(3)
    );
    let parsed = read(&broken).unwrap();
    assert_eq!(parsed.nodes.iter().map(|e| e.line).collect::<Vec<_>>(), [1, 3]);
    assert_eq!(codes(&parsed), [(2, "bad-document")]);
    let cut = format!(r#"{{"outbounds": [{}, {}, {{"type": "http", "ta"#, good(1), good(2));
    assert_eq!((read(&cut).unwrap().nodes.len(), codes(&read(&cut).unwrap())), (2, vec![(3, "bad-document")]));
}

#[test]
fn xray() {
    let proxy = format!(
        r#"{{"protocol": "vless", "tag": "proxy", "settings": {{"vnext": [{{"address": "192.0.2.1", "port": 443, "users": [{{"id": "{ID}", "encryption": "none", "flow": ""}}]}}]}},
        "streamSettings": {{"network": "xhttp", "security": "reality", "realitySettings": {{"publicKey": "{KEY}", "shortId": "", "spiderX": "/"}},
        "xhttpSettings": {{"path": "/x", "mode": "stream-one", "extra": {{"b": 1, "a": "2"}}}}}}}}"#
    );
    let flat = r#"{"protocol": "trojan", "settings": {"address": "example.org", "port": 443, "password": "p"},
        "streamSettings": {"network": "raw", "security": "tls", "tlsSettings": {"serverName": "s.example", "alpn": ["h2"]}}}"#;
    let text = format!(
        r#"[{{"remarks": "first", "outbounds": [{proxy}, {{"protocol": "freedom"}}]}}, {{"remarks": "second", "outbounds": [{flat}]}}]"#
    );
    let parsed = read(&text).unwrap();
    assert_eq!(parsed.rejects, []);
    let found: Vec<_> = parsed.nodes.iter().map(|e| (e.spec.scheme(), e.label.as_str())).collect();
    assert_eq!(found, [("vless", "first"), ("trojan", "second")]);
    let Carrier::Xhttp { xhttp, security: Security::Reality(reality) } = carrier(&parsed.nodes[0].spec) else {
        panic!()
    };
    assert_eq!((xhttp.extra.as_deref(), reality.spider_x.as_deref()), (Some(r#"{"b":1,"a":"2"}"#), Some("/")));
    assert_eq!(carrier(&parsed.nodes[1].spec).tls().unwrap().server_name.as_deref(), Some("s.example"));
}

#[test]
fn mkcp_in_both_dialects_of_xray() {
    let link = format!("vless://{ID}@192.0.2.1:443?encryption=none&type=kcp&headerType=dns&host=d.example&seed=s");
    let (spec, _) = crate::parse_link(&link).unwrap();
    let stream = |dialect| {
        let outbound = crate::write::xray_outbound(&spec, "t", dialect).unwrap();
        let outbound: serde_json::Value = serde_json::from_str(&outbound).unwrap();
        assert_eq!((&outbound["tag"], &outbound["protocol"]), (&"t".into(), &"vless".into()));
        outbound["streamSettings"].clone()
    };
    let header = serde_json::json!({ "type": "header-dns", "settings": { "domain": "d.example" } });
    let seed = serde_json::json!({ "type": "mkcp-aes128gcm", "settings": { "password": "s" } });
    let masks = serde_json::json!({ "network": "kcp", "finalmask": { "udp": [header, seed] } });
    assert_eq!(stream(XrayDialect::FinalMask), masks);
    let settings = serde_json::json!({ "header": { "type": "dns", "domain": "d.example" }, "seed": "s" });
    assert_eq!(stream(XrayDialect::KcpSettings), serde_json::json!({ "network": "kcp", "kcpSettings": settings }));
    let (bare, _) = crate::parse_link(&link.replace("&headerType=dns&host=d.example&seed=s", "")).unwrap();
    let outbound = crate::write::xray_outbound(&bare, "t", XrayDialect::FinalMask).unwrap();
    assert!(outbound.contains(r#""finalmask":{"udp":[{"type":"mkcp-original"}]}"#), "{outbound}");
}

/// A node whose `xhttpSettings` are these.
fn xhttp(settings: &str) -> Result<Xhttp, &'static str> {
    let text = format!(
        r#"[{{"outbounds": [{{"protocol": "trojan", "settings": {{"address": "example.org", "port": 443, "password": "p"}},
        "streamSettings": {{"network": "xhttp", "xhttpSettings": {settings}}}}}]}}]"#
    );
    let parsed = read(&text).unwrap();
    let Some(node) = parsed.nodes.first() else { return Err(parsed.rejects[0].code.code()) };
    let Carrier::Xhttp { xhttp, .. } = carrier(&node.spec) else { panic!() };
    Ok(xhttp.clone())
}

#[test]
fn xhttp_downloads() {
    let download = format!(
        r#"{{"address": "2001:db8::1", "port": 8443, "network": "xhttp", "security": "reality",
        "realitySettings": {{"password": "{KEY}", "serverName": "s.example"}},
        "xhttpSettings": {{"host": "h.example", "path": "/d", "xPaddingBytes": 7}}}}"#
    );
    // Beside the others, or in `extra`, as an object or as a text: the same.
    let inside = format!(r#"{{"path": "/u", "extra": {{"noGRPCHeader": true, "downloadSettings": {download}}}}}"#);
    let beside = format!(r#"{{"path": "/u", "noGRPCHeader": true, "downloadSettings": {download}}}"#);
    let found = xhttp(&inside).unwrap();
    assert_eq!(xhttp(&beside).unwrap(), found);
    let download = found.download.as_deref().unwrap();
    assert_eq!(download.server.as_ref().unwrap().to_string(), "[2001:db8::1]:8443");
    assert_eq!((download.xhttp.path.as_ref(), download.xhttp.host.as_deref()), ("/d", Some("h.example")));
    assert_eq!(download.xhttp.extra.as_deref(), Some(r#"{"xPaddingBytes":7}"#));
    assert_eq!(download.security.kind(), SecurityKind::Reality);
    // The node's own server, in the clear.
    let near = xhttp(r#"{"downloadSettings": {"xhttpSettings": {"path": "/d"}}}"#).unwrap().download.unwrap();
    assert_eq!((near.server, near.security), (None, Security::None));
    assert_eq!(xhttp(r#"{"downloadSettings": null, "mode": "auto"}"#).unwrap().download, None);
    assert_eq!(xhttp(r#"{"downloadSettings": {"address": "b.example"}}"#), Err("bad-port"));
    assert_eq!(xhttp(r#"{"downloadSettings": {"network": "ws"}}"#), Err("impossible-pair"));
    assert_eq!(xhttp(r#"{"downloadSettings": {"security": "reality"}}"#), Err("bad-reality"));
}

#[test]
fn xhttp_in_the_words_of_mihomo() {
    let text = format!(
        "proxies:\n- name: x\n  type: vless\n  server: a.example\n  port: 443\n  uuid: {ID}\n  tls: true\n  servername: s.example\n  \
         client-fingerprint: chrome\n  network: xhttp\n  xhttp-opts:\n    path: /u\n    mode: stream-up\n    \
         session-placement: header\n    reuse-settings:\n      max-concurrency: 16-32\n    download-settings:\n      \
         path: /d\n      server: b.example\n      reality-opts:\n        public-key: {KEY}\n"
    );
    let spec = node(&text);
    let Carrier::Xhttp { xhttp, .. } = carrier(&spec) else { panic!() };
    let extra = xhttp.extra.as_deref().unwrap();
    assert!(extra.starts_with(r#"{"sessionPlacement":"header","xmux":{"maxConcurrency":"16-32"},"downloadSettings":"#));
    let download = xhttp.download.as_deref().unwrap();
    assert_eq!(download.server.as_ref().unwrap().to_string(), "b.example:443");
    assert_eq!(download.xhttp.path.as_ref(), "/d");
    assert_eq!(
        download.xhttp.extra.as_deref(),
        Some(r#"{"sessionPlacement":"header","xmux":{"maxConcurrency":"16-32"}}"#)
    );
    let Security::Reality(reality) = &download.security else { panic!() };
    assert_eq!((reality.server_name.as_deref(), reality.fingerprint), (Some("s.example"), Some(Fingerprint::Chrome)));
}

#[test]
fn plain_json() {
    let server =
        r#"{"server": "192.0.2.1", "server_port": "8388", "password": "p", "method": "aes-256-gcm", "remarks": "r"}"#;
    for text in [
        format!(r#"{{"version": 1, "servers": [{server}], "bytes_used": 0}}"#),
        format!("[{server}]"),
        server.to_owned(),
    ] {
        assert_eq!(node(&text).server.to_string(), "192.0.2.1:8388");
    }
    let list = r#"{"data": [{"ip": "192.0.2.1", "port": "80", "protocols": ["http", "socks5"]}, {"ip": "192.0.2.2", "port": 1, "type": "socks4"}]}"#;
    let schemes: Vec<_> = nodes(list).iter().map(NodeSpec::scheme).collect();
    assert_eq!(schemes, ["http", "socks5", "socks4"]);
    let links =
        format!(r#"["trojan://p@example.org:443#a", {{"add": "192.0.2.1", "port": 443, "id": "{ID}", "ps": "b"}}]"#);
    let found: Vec<_> = read(&links).unwrap().nodes.iter().map(|e| (e.spec.scheme(), e.label.to_string())).collect();
    assert_eq!(found, [("trojan", "a".to_owned()), ("vmess", "b".to_owned())]);
    let nested = format!("[{},\n\"ports\":\n[443]\n}}]", server.trim_end_matches('}'));
    assert_eq!(node(&nested).scheme(), "ss");
    assert_eq!(nodes(r#"["192.0.2.1:80", "192.0.2.2:80:user:pass"]"#).len(), 2);
    assert_eq!(read(r#"["https://example.org/page"]"#), None);
}

#[test]
fn surge_and_loon() {
    let text = format!(
        "[General]\nloglevel = notify\n[Proxy]\nD = direct\nA = ss, 192.0.2.1, 8388, encrypt-method=aes-128-gcm, password=\"a,b=\", obfs=http, obfs-host=h.example\n\
         B = vmess, example.org, 443, username={ID}, tls=true, ws=true, ws-path=/p, ws-headers=Host:h.example|X:1, vmess-aead=true\n\
         C = trojan, example.org, 443, password=p, sni=s.example, skip-cert-verify=true\nE = https, example.org, 443, user, pass\n\
         F = Shadowsocks,192.0.2.1,8389,aes-128-gcm,\"p\"\nG = juicity, example.org, 1, psk=x\n[Proxy Group]\nX = select, A\n"
    );
    let parsed = read(&text).unwrap();
    let found: Vec<_> = parsed.nodes.iter().map(|e| (e.line, e.spec.scheme(), e.label.as_str())).collect();
    assert_eq!(found, [(5, "ss", "A"), (6, "vmess", "B"), (7, "trojan", "C"), (8, "https", "E"), (9, "ss", "F")]);
    assert_eq!(codes(&parsed), [(10, "unsupported-scheme")]);
    assert!(matches!(&parsed.nodes[0].spec.outbound, Outbound::Shadowsocks(s) if s.password.expose() == "a,b="));
    let bare = "a = vmess, 192.0.2.1, 443, auto, \"b831381d-6324-4d53-ad4f-8cda48b30811\", over-tls=true, obfs=ws, obfs-path=\"/\", obfs-header=\"Host: h.example[Rr][Nn]A: b\"\n";
    assert!(
        matches!(carrier(&node(bare)), Carrier::WebSocket { websocket, tls: Some(_) } if websocket.host.as_deref() == Some("h.example"))
    );
}

#[test]
fn quantumult_x() {
    let text = format!(
        "[server_local]\nvless=192.0.2.1:443, method=none, password={ID}, obfs=over-tls, obfs-host=h.example, reality-base64-pubkey={KEY}, reality-hex-shortid=01, vless-flow=xtls-rprx-vision, tag=A\n\
         ;comment\nshadowsocks=[2001:db8::1]:8388, method=chacha20-ietf-poly1305, password=a=, obfs=wss, obfs-host=h, obfs-uri=/x, tag=B\n\
         trojan=192.0.2.1:443, password=p, over-tls=true, tls-host=s.example, tls-verification=false, tag=C\n[filter_local]\nfinal, direct\n"
    );
    let nodes = nodes(&text);
    assert!(carrier(&nodes[0]).reality().is_some());
    assert_eq!(nodes[1].server.to_string(), "[2001:db8::1]:8388");
    assert!(
        matches!(&nodes[1].outbound, Outbound::Shadowsocks(s) if s.plugin.as_ref().unwrap().name.as_ref() == "v2ray-plugin")
    );
    assert!(carrier(&nodes[2]).tls().unwrap().skip_verify);
}

#[test]
fn wg_quick() {
    let text = format!(
        "# mine\n[Interface]\nPrivateKey = {KEY}= ; inline\nAddress = 10.0.0.2/32, fd00::2\nMTU = 1280 # too\n\n# first\n[Peer]\n\
         PublicKey = {KEY}=\nEndpoint = [2001:db8::1]:51820\nAllowedIPs = 0.0.0.0/0\nPersistentKeepalive = 25\n[Peer]\nEndpoint = example.org\n"
    );
    let parsed = read(&text).unwrap();
    assert_eq!(codes(&parsed), [(13, RejectCode::BadHost.code())]);
    let entry = &parsed.nodes[0];
    let Outbound::WireGuard(w) = &entry.spec.outbound else { panic!() };
    assert_eq!(
        (entry.line, entry.label.as_str(), entry.spec.server.to_string().as_str()),
        (8, "first", "[2001:db8::1]:51820")
    );
    assert_eq!((w.addresses.len(), w.mtu, w.keepalive), (2, Some(1280), Some(25)));
}

#[test]
fn chains() {
    let clash = "proxies:
- {name: a, type: socks5, server: 192.0.2.1, port: 1}
- {name: b, type: socks5, server: 192.0.2.2, port: 2, dialer-proxy: a}
- {name: c, type: socks5, server: 192.0.2.3, port: 3, dialer-proxy: b}
- {name: d, type: socks5, server: 192.0.2.4, port: 4, dialer-proxy: DIRECT}
- {name: e, type: socks5, server: 192.0.2.5, port: 5, dialer-proxy: nobody}
- {name: f, type: socks5, server: 192.0.2.6, port: 6, dialer-proxy: g}
- {name: g, type: socks5, server: 192.0.2.7, port: 7, dialer-proxy: f}
- {name: h, type: socks5, server: 192.0.2.8, port: 8, dialer-proxy: h}
- {name: i, type: reject}
- {name: j, type: socks5, server: 192.0.2.10, port: 10, dialer-proxy: i}
";
    let parsed = read(clash).unwrap();
    let hops = |spec: &NodeSpec| spec.hops().map(|hop| hop.server.port()).collect::<Vec<_>>();
    let read_hops: Vec<_> = parsed.nodes.iter().map(|entry| hops(&entry.spec)).collect();
    assert_eq!(read_hops, [vec![1], vec![2, 1], vec![3, 2, 1], vec![4]]);
    let refused: Vec<_> = parsed.rejects.iter().map(|reject| (reject.line, reject.code)).collect();
    assert_eq!(refused, [5, 6, 7, 8, 10].map(|line| (line, RejectCode::BadChain)));

    let sing_box = r#"{"outbounds": [
        {"type": "socks", "tag": "a", "server": "192.0.2.1", "server_port": 1, "detour": "direct"},
        {"type": "direct", "tag": "direct"},
        {"type": "selector", "tag": "choice", "outbounds": ["a"]},
        {"type": "shadowtls", "tag": "tls", "server": "192.0.2.2", "server_port": 2, "version": 3, "detour": "a"},
        {"type": "shadowsocks", "tag": "b", "method": "aes-128-gcm", "password": "p", "detour": "tls"},
        {"type": "socks", "tag": "c", "server": "192.0.2.3", "server_port": 3, "detour": "choice"},
        {"type": "socks", "tag": "d", "server": "192.0.2.4", "server_port": 4, "detour": "tls"}],
        "endpoints": [{"type": "wireguard", "tag": "w", "private_key": "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
            "peers": [{"address": "192.0.2.5", "port": 5, "public_key": "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="}],
            "address": ["10.0.0.2/32"], "detour": "a"}]}"#;
    let parsed = read(sing_box).unwrap();
    let read_hops: Vec<_> = parsed.nodes.iter().map(|entry| hops(&entry.spec)).collect();
    assert_eq!(read_hops, [vec![1], vec![2, 1], vec![5, 1]]);
    assert_eq!(parsed.rejects.len(), 2, "{:?}", parsed.rejects);
}

#[test]
fn a_chain_is_bounded() {
    let entry =
        |n: usize| format!("- {{name: n{n}, type: socks5, server: 192.0.2.1, port: 1, dialer-proxy: n{}}}\n", n + 1);
    let text = format!(
        "proxies:\n{}- {{name: n20, type: socks5, server: 192.0.2.1, port: 1}}\n",
        (0..20).map(entry).collect::<String>()
    );
    let parsed = read(&text).unwrap();
    assert_eq!((parsed.nodes.len(), parsed.rejects.len()), (NodeSpec::MAX_HOPS, 21 - NodeSpec::MAX_HOPS));
}

/// sing-box has an entry of its own for what is a plugin elsewhere.
#[test]
fn shadow_tls_in_both_words() {
    let link =
        "ss://YWVzLTEyOC1nY206cA@192.0.2.7:443?plugin=shadow-tls%3Bv3%3Bpasswd%3Dq%3Bhost%3Dh.example%3Balpn%3Dh2";
    let (spec, label) = crate::parse_link(&format!("{link}#a")).unwrap();
    let hop = crate::parse_link("socks5://192.0.2.1:1").unwrap().0;
    let chain = spec.clone().through(std::sync::Arc::new(hop)).unwrap();
    let nodes = [(&spec, &label), (&chain, &label)];
    let clash = clash::write::document(nodes.into_iter());
    let sing_box = sing_box::write::document(nodes.into_iter());
    for written in [&clash, &sing_box] {
        assert_eq!(written.left_out, []);
        let back: Vec<_> = read(&written.text).unwrap().nodes.into_iter().map(|entry| entry.spec).collect();
        let portable = write::portable(&chain);
        // The hop is an entry too.
        assert_eq!((back.len(), &back[0], back.last()), (3, &write::portable(&spec), Some(&portable)));
    }
    assert!(clash.text.contains("shadow-tls"), "{}", clash.text);
    for word in [r#""type":"shadowtls""#, r#""tag":"a shadow-tls""#, r#""detour":"a shadow-tls""#, r#""version":3"#] {
        assert!(sing_box.text.replace("\": ", "\":").contains(word), "{word} is not in {}", sing_box.text);
    }
}

/// <https://yaml.org/type/merge.html>: own keys win, then the earlier of the merged maps, and merged maps merge.
#[test]
fn merge_keys() {
    let text = "a: &a {type: trojan, port: 443, password: first}\nb: &b\n  <<: *a\n  password: second\n  sni: s.example.test\n\
                c: &c {server: 192.0.2.9, sni: other.example.test, ws-opts: {path: /c}}\nproxies:\n\
                - {name: p1, server: 192.0.2.1, <<: [*b, *c]}\n\
                - {<<: *a, <<: *c, name: p2, password: own}\n\
                - {name: p3, server: 192.0.2.3, \"<<\": *a, type: http, port: 80}\n\
                - {name: p4, <<: [*c, {<<: *b, port: 8443}]}\n";
    let links: Vec<String> =
        nodes(text).iter().map(|node| crate::to_link(node, &hezar_core::Label::default())).collect();
    assert_eq!(
        links,
        [
            "trojan://second@192.0.2.1:443?type=tcp&security=tls&sni=s.example.test",
            "trojan://own@192.0.2.9:443?type=tcp&security=tls&sni=other.example.test",
            "http://192.0.2.3:80",
            "trojan://second@192.0.2.9:8443?type=tcp&security=tls&sni=other.example.test",
        ]
    );
    // Merging copies, and copies are bounded.
    let mut bomb = String::from("a0: &a0 {k0: xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx}\n");
    for level in 1..40 {
        let last = level - 1;
        bomb.push_str(&format!("a{level}: &a{level} {{k{level}: {{<<: *a{last}}}, <<: [*a{last}, *a{last}]}}\n"));
    }
    bomb.push_str("proxies:\n- {name: a, type: http, server: 192.0.2.1, port: 80}\n");
    assert_eq!(node(&bomb).scheme(), "http");
}

/// What is dialled through another node is never dialled directly.
#[test]
fn chains_in_other_words() {
    let text = "proxies:\n- {name: a, type: socks5, server: 192.0.2.1, port: 1}\nproxy-providers:\n  p:\n    type: inline\n    \
                override: {dialer-proxy: a, skip-cert-verify: true}\n    payload:\n    \
                - {name: b, type: trojan, server: 192.0.2.2, port: 2, password: p, skip-cert-verify: false}\n";
    let nodes = nodes(text);
    assert_eq!(nodes[1].hops().map(|hop| hop.server.port()).collect::<Vec<_>>(), [2, 1]);
    assert!(nodes[1].skips_verification());
    let surge =
        "[Proxy]\nA = trojan, 192.0.2.1, 443, password=p\nB = trojan, 192.0.2.2, 443, password=p, underlying-proxy=A\n";
    let parsed = read(surge).unwrap();
    assert_eq!((parsed.nodes.len(), codes(&parsed)), (1, vec![(3, "bad-chain")]));
    assert!(parsed.rejects[0].excerpt.starts_with("underlying-proxy A of B"));
    let link = "trojan://p@192.0.2.1:443#a&&detour=trojan://p@192.0.2.2:443#b";
    assert_eq!(crate::parse_link(link), Err(RejectCode::BadChain));
}

#[test]
fn chains_of_xray() {
    let proxy = |tag: &str, port: u16, rest: &str| {
        format!(
            r#"{{"protocol": "socks", "tag": "{tag}", "settings": {{"servers": [{{"address": "192.0.2.1", "port": {port}}}]}}{rest}}}"#
        )
    };
    let dialer = |name: &str| format!(r#", "streamSettings": {{"sockopt": {{"dialerProxy": "{name}"}}}}"#);
    let text = format!(
        r#"{{"remarks": "r", "outbounds": [{}, {}, {}, {}, {}, {}, {},
        {{"protocol": "freedom", "tag": "fragment", "settings": {{"fragment": {{"packets": "tlshello"}}}}}},
        {{"protocol": "blackhole", "tag": "block"}},
        {{"protocol": "socks", "tag": "two", "settings": {{"servers": [{{"address": "192.0.2.1", "port": 20}}, {{"address": "192.0.2.1", "port": 21}}]}},
         "proxySettings": {{"tag": "b"}}}}]}}"#,
        proxy("a", 1, r#", "proxySettings": {"tag": "b"}"#),
        proxy("b", 2, &dialer("c")),
        proxy("c", 3, &dialer("fragment")),
        proxy("d", 4, r#", "proxySettings": {"tag": "nobody"}"#),
        proxy("e", 5, &dialer("block")),
        proxy("f", 6, &dialer("f")),
        proxy("g", 7, r#", "proxySettings": {"tag": "two"}"#),
    );
    let parsed = read(&text).unwrap();
    let hops = |spec: &NodeSpec| spec.hops().map(|hop| hop.server.port()).collect::<Vec<_>>();
    let found: Vec<_> = parsed.nodes.iter().map(|entry| hops(&entry.spec)).collect();
    assert_eq!(found, [vec![1, 2, 3], vec![2, 3], vec![3], vec![20, 2, 3], vec![21, 2, 3]]);
    let refused: Vec<_> = parsed.rejects.iter().map(|one| (one.line, one.code)).collect();
    assert_eq!(refused, [4, 5, 6, 7].map(|line| (line, RejectCode::BadChain)));
    assert!(parsed.rejects[0].excerpt.starts_with("proxySettings.tag nobody of {"), "{}", parsed.rejects[0].excerpt);
    assert!(parsed.rejects[1].excerpt.starts_with("dialerProxy block of {"));
}

/// Every node that is accepted is readable later, and a short document cannot become a long list.
#[test]
fn what_a_document_can_cost() {
    let long = |bytes: usize| {
        format!(
            "- {{name: base, type: vless, server: 192.0.2.1, port: 1, uuid: {ID}, network: ws, ws-opts: {{path: /{}}}}}\n",
            "x".repeat(bytes)
        )
    };
    assert_eq!(codes(&read(&format!("proxies:\n{}", long(70_000))).unwrap()), [(1, "too-long")]);
    // Its link has three characters for each.
    assert_eq!(codes(&read(&format!("proxies:\n{}", long(30_000).replace('x', "é"))).unwrap()), [(1, "too-long")]);

    let entry =
        |n: usize| format!("- {{name: n{n}, type: socks5, server: 192.0.2.2, port: {}, dialer-proxy: base}}\n", n + 1);
    let text = format!("proxies:\n{}{}", long(40_000), (0..2000).map(entry).collect::<String>());
    let parsed = read(&text).unwrap();
    let cost: usize = parsed.nodes.iter().map(|entry| crate::to_link(&entry.spec, &entry.label).len()).sum();
    assert!(cost < 5 << 20, "{cost} bytes of links out of {} bytes", text.len());
    assert!(parsed.nodes.len() > 50 && parsed.rejects.iter().all(|one| one.code == RejectCode::TooLong));
    assert_eq!(parsed.nodes.len() + parsed.rejects.len(), 2001);
    let mut reader = crate::LinkReader::default();
    for entry in &parsed.nodes {
        assert_eq!(
            reader.read(&crate::to_link(&entry.spec, &entry.label)),
            Ok((entry.spec.clone(), entry.label.clone()))
        );
    }
    // One copy of the chain serves all of them, out of documents and out of links.
    let shared = |nodes: &[NodeSpec]| std::ptr::eq(nodes[1].via().unwrap(), nodes[2].via().unwrap());
    let specs: Vec<NodeSpec> = parsed.nodes.iter().map(|entry| entry.spec.clone()).collect();
    let links: Vec<NodeSpec> =
        parsed.nodes.iter().map(|entry| reader.read(&crate::to_link(&entry.spec, &entry.label)).unwrap().0).collect();
    assert!(shared(&specs) && shared(&links));
    // Short chains are as many as the list is long.
    let text = format!(
        "proxies:\n- {{name: base, type: socks5, server: 192.0.2.1, port: 1}}\n{}",
        (0..2000).map(entry).collect::<String>()
    );
    assert_eq!(nodes(&text).len(), 2001);
    // A chain whose links together are too long for one.
    let hop = |n: usize| {
        format!(
            "- {{name: h{n}, type: vless, server: 192.0.2.1, port: 1, uuid: {ID}, network: ws, ws-opts: {{path: /{}}}, dialer-proxy: h{}}}\n",
            "x".repeat(20_000),
            n + 1
        )
    };
    let text = format!(
        "proxies:\n{}- {{name: h3, type: socks5, server: 192.0.2.1, port: 1}}\n",
        (0..3).map(hop).collect::<String>()
    );
    assert_eq!(codes(&read(&text).unwrap()), [(1, "too-long")]);
}

#[test]
fn rows_with_quotes_and_brackets() {
    let text = "[Proxy]\nA = trojan, 192.0.2.1, 443, password='a,b', sni=s.example.test\n\
                B = trojan, 192.0.2.1, 443, password=\"a,\\\"b\", sni=s.example.test\n\
                C = trojan, 192.0.2.1, 443, password=a(b, sni=s.example.test\n\
                D = trojan, 192.0.2.1, 443, password=it's, sni=s.example.test\n\
                E = trojan, 192.0.2.1, 443, password=a\"b, sni=s.example.test\n\
                F = vmess, 192.0.2.1, 443, username=b831381d-6324-4d53-ad4f-8cda48b30811, ws=true, ws-headers=\"Host:h.example.test|X:a,b\", tls=true, sni=s.example.test\n";
    let password = |spec: &NodeSpec| match &spec.outbound {
        Outbound::Stream(node) => match node.protocol() {
            StreamProtocol::Trojan(trojan) => trojan.password.expose().to_owned(),
            _ => String::new(),
        },
        _ => String::new(),
    };
    let nodes = nodes(text);
    assert_eq!(nodes.iter().map(password).collect::<Vec<_>>(), ["a,b", "a,\"b", "a(b", "it's", "a\"b", ""]);
    for node in &nodes {
        assert_eq!(carrier(node).tls().unwrap().server_name.as_deref(), Some("s.example.test"));
    }
    let Carrier::WebSocket { websocket, .. } = carrier(&nodes[5]) else { panic!() };
    assert_eq!(websocket.headers, [("X".into(), "a,b".into())]);
}
