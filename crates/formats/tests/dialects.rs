//! Links in the words of other clients, and links that must not read as something else.

use hezar_formats::{RejectCode, parse_link, to_link};

const ID: &str = "5f1c9d1e-0b6a-4d0e-9a55-0c2f6b8e7a11";
const KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8";

fn read(link: &str) -> String {
    match parse_link(link) {
        Ok((node, label)) => to_link(&node, &label),
        Err(code) => code.code().to_owned(),
    }
}

fn base64(text: &str) -> String {
    use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
    URL_SAFE_NO_PAD.encode(text)
}

#[test]
fn logins_of_socks_and_http_links_in_every_order() {
    let cases = [
        ("socks5://u:Gv$s#B3@203.0.113.11:5555", "socks5://u:Gv%24s%23B3@203.0.113.11:5555"),
        ("socks5://u:a?b=c&d@203.0.113.11:5555", "socks5://u:a%3Fb%3Dc%26d@203.0.113.11:5555"),
        ("socks5://u:a/b@c@203.0.113.11:5555#n", "socks5://u:a%2Fb%40c@203.0.113.11:5555#n"),
        ("socks5://u:p@ss#w@203.0.113.11:5555#n", "socks5://u:p%40ss%23w@203.0.113.11:5555#n"),
        ("socks5://user:1234#x@203.0.113.11:5555", "socks5://user:1234%23x@203.0.113.11:5555"),
        ("http://u:p#w@203.0.113.11:8080", "http://u:p%23w@203.0.113.11:8080"),
        ("http://u:p?w@proxy.example.test:8080", "http://u:p%3Fw@proxy.example.test:8080"),
        ("socks5://203.0.113.16:1080:alice:s3cret", "socks5://alice:s3cret@203.0.113.16:1080"),
        ("socks5://alice:s3cret:203.0.113.16:1080", "socks5://alice:s3cret@203.0.113.16:1080"),
        ("socks5://proxy.example.test:1080:alice:a:b", "socks5://alice:a%3Ab@proxy.example.test:1080"),
        ("socks4://203.0.113.16:1080@alice:s3cret", "socks4://alice:s3cret@203.0.113.16:1080"),
        ("http://203.0.113.16:8080:alice:s3cret/", "http://alice:s3cret@203.0.113.16:8080"),
        ("https://alice:s3cret:203.0.113.16:8443", "https://alice:s3cret@203.0.113.16:8443"),
        ("socks5://[2001:db8::1]:1080:alice:s3cret", "socks5://alice:s3cret@[2001:db8::1]:1080"),
        ("socks5://alice:s3cret:[2001:db8::1]:1080", "socks5://alice:s3cret@[2001:db8::1]:1080"),
        ("socks5://2001:db8::1:1080:alice:s3cret", "socks5://alice:s3cret@[2001:db8::1]:1080"),
        ("socks5://alice:1234@localhost:1080", "socks5://alice:1234@localhost:1080"),
        ("socks5://203.0.113.16:1080;", "socks5://203.0.113.16:1080"),
        ("socks5+tls://u:p@203.0.113.16:1080", "socks5://u:p@203.0.113.16:1080?security=tls"),
        ("socks+tls://203.0.113.16:1080", "socks5://203.0.113.16:1080?security=tls"),
        ("http+tls://203.0.113.16:443", "https://203.0.113.16:443"),
    ];
    for (link, wanted) in cases {
        assert_eq!(read(link), wanted, "{link}");
    }
    for page in [
        "http://example.test?x=a@b.example.test:80",
        "http://example.test/path?mail=a@b.example.test:80",
        "http://example.test/#a@b.example.test:80",
        "http://example.test",
    ] {
        assert_eq!(parse_link(page), Err(RejectCode::WebAddress), "{page}");
    }
    assert_eq!(parse_link("quic+socks5://203.0.113.16:1080"), Err(RejectCode::UnsupportedScheme));
}

#[test]
fn ports_that_clients_take_when_a_link_names_none() {
    for (link, port) in [
        ("trojan://pw@a.example.test", 443),
        ("hysteria2://pw@a.example.test", 443),
        ("hysteria://a.example.test?auth=x", 443),
        ("anytls://pw@a.example.test", 443),
        (&format!("tuic://{ID}:pw@a.example.test"), 443),
        (&format!("wireguard://{KEY}@a.example.test?publickey={KEY}"), 51820),
        ("socks5://u:p@a.example.test", 1080),
        ("socks5://203.0.113.1", 1080),
    ] {
        assert_eq!(parse_link(link).unwrap().0.server.port(), port, "{link}");
    }
    assert_eq!(parse_link(&format!("vless://{ID}@a.example.test")), Err(RejectCode::BadPort));
}

#[test]
fn shadowrocket() {
    let authority = base64(&format!("auto:{ID}@203.0.113.9:2086"));
    let vless = format!("vless://{ID}@203.0.113.9:2086?encryption=none");
    let cases = [
        (
            format!("vless://{authority}?remarks=%F0%9F%92%A6%20one&obfsParam=w.example.test&path=/p?ed=2560&obfs=websocket"),
            format!("{vless}&type=ws&path=%2Fp%3Fed%3D2560&host=w.example.test&security=none#%F0%9F%92%A6%20one"),
        ),
        (
            format!("vless://{authority}?remarks=r&tls=1&peer=s.example.test&xtls=2&pbk={KEY}&sid=ab"),
            format!("{vless}&flow=xtls-rprx-vision&type=tcp&security=reality&sni=s.example.test&pbk={KEY}&sid=ab#r"),
        ),
        (
            format!("vless://{authority}?obfs=grpc&path=svc&tls=1&peer=s.example.test#n"),
            format!("{vless}&type=grpc&serviceName=svc&mode=gun&security=tls&sni=s.example.test#n"),
        ),
        (
            format!("vless://{}?type=ws&path=/x", base64(&format!("{ID}@203.0.113.9:2086"))),
            format!("{vless}&type=ws&path=%2Fx&security=none"),
        ),
        (
            "trojan://pw@203.0.113.9:443?peer=s.example.test&plugin=obfs-local;obfs=websocket;obfs-host=h.example.test;obfs-uri=/p#n"
                .to_owned(),
            "trojan://pw@203.0.113.9:443?type=ws&path=%2Fp&host=h.example.test&security=tls&sni=s.example.test#n".to_owned(),
        ),
        (
            format!("trojan://{}?peer=s.example.test#n", base64("pw@203.0.113.9:443")),
            "trojan://pw@203.0.113.9:443?type=tcp&security=tls&sni=s.example.test#n".to_owned(),
        ),
        (
            format!("socks5://{}?remarks=n&tls=1", base64("u:p@203.0.113.9:1080")),
            "socks5://u:p@203.0.113.9:1080?security=tls#n".to_owned(),
        ),
        (format!("http://{}?remarks=n", base64("u:p@203.0.113.9:80")), "http://u:p@203.0.113.9:80#n".to_owned()),
    ];
    for (link, wanted) in cases {
        assert_eq!(read(&link), wanted, "{link}");
    }
}

#[test]
fn words_that_links_leave_out() {
    // Version 5 of TUIC allows an empty password, and a token is no UUID.
    assert!(read(&format!("tuic://{ID}@a.example.test:443")).starts_with(&format!("tuic://{ID}:@a.example.test:443")));
    assert!(read(&format!("tuic://{ID}@a.example.test:443?version=4")).contains("version=4"));
    assert!(read("tuic://token@a.example.test:443").contains("version=4"));
    // REALITY's key without the word.
    let vless = |rest: &str| read(&format!("vless://{ID}@a.example.test:443?{rest}"));
    assert!(vless(&format!("pbk={KEY}&sid=ab&type=tcp&flow=xtls-rprx-vision")).contains("security=reality"));
    assert!(vless(&format!("pbk={KEY}&security=none")).contains("security=none"));
    assert!(vless(&format!("pbk={KEY}&type=ws")).contains("security=none"), "REALITY has no WebSocket");
    assert!(vless("pbk=short").contains("security=none"));
    // v2ray-plugin's options in the words of simple-obfs, and the reverse.
    let plugin = |text: &str| {
        let text = text.replace(';', "%3B").replace('=', "%3D");
        read(&format!("ss://bm9uZTp4@203.0.113.1:443?plugin={text}"))
            .split("plugin=")
            .nth(1)
            .unwrap()
            .replace("%3B", ";")
            .replace("%3D", "=")
    };
    assert_eq!(
        plugin("v2ray-plugin;obfs=websocket;obfs-host=h.test;obfs-uri=x;tls"),
        "v2ray-plugin;mode=websocket;host=h.test;path=x;tls"
    );
    assert_eq!(plugin("v2ray-plugin;host=h.test;obfs-host=g.test"), "v2ray-plugin;host=h.test;obfs-host=g.test");
    assert_eq!(plugin("obfs-local;mode=http;host=h.test"), "obfs-local;obfs=http;obfs-host=h.test");
}

/// A pin is often the only authentication beside `insecure`.
#[test]
fn a_pin_that_cannot_be_read_opens_no_door() {
    let links = [
        "hysteria2://pw@a.example.test:443?insecure=1&pinSHA256=garbage".to_owned(),
        format!("tuic://{ID}:pw@a.example.test:443?allow_insecure=1&pinSHA256={}", "ab".repeat(20)),
        "anytls://pw@a.example.test:443?insecure=1&pinSHA256=sha1:00".to_owned(),
        "trojan://pw@a.example.test:443?allowInsecure=1&pcs=x".to_owned(),
        "https://u:p@a.example.test:443?allowInsecure=1&pcs=x".to_owned(),
        "trojan://pw@a.example.test:443?allowInsecure=1&pinnedPeerCertificatePublicKeySha256=AAAA".to_owned(),
    ];
    for link in links {
        assert_eq!(parse_link(&link), Err(RejectCode::BadPin), "{link}");
    }
    let trojan = format!("hysteria2://pw@a.example.test:443?insecure=1&pinSHA256={}", "AB:".repeat(32));
    assert!(!parse_link(&trojan).unwrap().0.skips_verification());
    let documents = [
        "proxies:\n- {name: a, type: trojan, server: a.example.test, port: 443, password: p, skip-cert-verify: true, fingerprint: 00}".to_owned(),
        "proxies:\n- {name: a, type: hysteria, server: a.example.test, port: 443, auth-str: p, skip-cert-verify: true, ca: ./my.ca}".to_owned(),
        r#"{"outbounds": [{"type": "trojan", "tag": "a", "server": "a.example.test", "server_port": 443, "password": "p",
            "tls": {"enabled": true, "insecure": true, "certificate_public_key_sha256": ["AAAA"]}}]}"#.to_owned(),
        r#"{"outbounds": [{"type": "trojan", "tag": "a", "server": "a.example.test", "server_port": 443, "password": "p",
            "tls": {"enabled": true, "insecure": true, "certificate": "-----BEGIN x"}}]}"#.to_owned(),
        r#"{"outbounds": [{"protocol": "trojan", "settings": {"servers": [{"address": "a.example.test", "port": 443, "password": "p"}]},
            "streamSettings": {"security": "tls", "tlsSettings": {"allowInsecure": true, "pinnedPeerCertificateChainSha256": ["AAAA"]}}}]}"#.to_owned(),
        r#"{"outbounds": [{"protocol": "trojan", "settings": {"servers": [{"address": "a.example.test", "port": 443, "password": "p"}]},
            "streamSettings": {"security": "tls", "tlsSettings": {"allowInsecure": true, "pinnedPeerCertSha256": "zz"}}}]}"#.to_owned(),
        "[Proxy]\na = trojan, a.example.test, 443, password=p, skip-cert-verify=true, server-cert-fingerprint-sha256=zz".to_owned(),
        "[server_local]\ntrojan=a.example.test:443, password=p, over-tls=true, tls-verification=false, tls-pubkey-sha256=AAAA, tag=a".to_owned(),
        "server: a.example.test:443\nauth: p\ntls:\n  insecure: true\n  pinSHA256: zz\n".to_owned(),
    ];
    for text in documents {
        let parsed = hezar_formats::parse(text.as_bytes());
        assert_eq!(parsed.nodes, [], "{text}");
        assert_eq!(parsed.rejects.iter().map(|one| one.code).collect::<Vec<_>>(), [RejectCode::BadPin], "{text}");
    }
    // A browser's name is none, and a certificate that comes along is one.
    let text =
        "proxies:\n- {name: a, type: trojan, server: a.example.test, port: 443, password: p, fingerprint: chrome}";
    assert!(
        to_link(&hezar_formats::parse(text.as_bytes()).nodes[0].spec, &hezar_core::Label::default())
            .contains("fp=chrome")
    );
    let text = r#"{"outbounds": [{"type": "trojan", "tag": "a", "server": "a.example.test", "server_port": 443, "password": "p",
        "tls": {"enabled": true, "certificate": ["-----BEGIN CERTIFICATE-----", "AQID", "-----END CERTIFICATE-----"]}}]}"#;
    let node = &hezar_formats::parse(text.as_bytes()).nodes[0].spec;
    assert!(to_link(node, &hezar_core::Label::default()).contains("pcs=039058c6f2c0cb492c533b0a4d14ef77"));
}
