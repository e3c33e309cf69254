//! Texts that hold addresses and are no lists of proxies: no node is invented out of them.

use hezar_formats::{RejectCode, parse, to_link};

fn links(text: &str) -> Vec<String> {
    parse(text.as_bytes()).nodes.iter().map(|entry| to_link(&entry.spec, &entry.label)).collect()
}

fn codes(text: &str) -> Vec<RejectCode> {
    parse(text.as_bytes()).rejects.iter().map(|reject| reject.code).collect()
}

/// Texts that are refused as a whole, with one line that says so.
const PAGES: &[(&str, &str)] = &[
    (
        "a page of nginx",
        "<html>\r\n<head><title>404 Not Found</title></head>\r\n<body>\r\n<center><h1>404 Not Found</h1></center>\r\n\
         <hr><center>nginx/1.24.0</center>\r\n</body>\r\n</html>\r\n",
    ),
    (
        "a page of Apache",
        "<!DOCTYPE HTML PUBLIC \"-//IETF//DTD HTML 2.0//EN\">\n<html><head><title>403</title></head><body>\n\
         <h1>Forbidden</h1>\n<address>Apache/2.4.41 Server at 203.0.113.5:8080</address>\n</body></html>",
    ),
    (
        "a page of Cloudflare",
        "<!DOCTYPE html>\n<html><head><title>Attention Required! | Cloudflare</title></head><body>\n\
         <p>Your IP:<br>203.0.113.7:443<br>Ray ID: 8a</p>\n\
         <a href=\"https://www.cloudflare.com/5xx-error-landing\">Cloudflare</a>\n</body></html>",
    ),
    (
        "a login page",
        "<html><body><form action=\"http://192.168.1.1:8080\"><input name=\"user\"></form>\n\
         <p>Go to http://192.168.1.1:8080 and log in</p></body></html>",
    ),
    (
        "sing-box with inbounds only",
        r#"{"inbounds": [{"type": "mixed", "listen": "127.0.0.1", "listen_port": 2080}],
            "dns": {"servers": [{"address": "203.0.113.53:53"}, {"address": "tls://203.0.113.54"}]}}"#,
    ),
    (
        "Xray with inbounds only",
        r#"{"inbounds": [{"protocol": "socks", "listen": "127.0.0.1", "port": 10808, "settings": {"auth": "noauth"}},
            {"protocol": "http", "listen": "127.0.0.1", "port": 10809}], "api": {"listen": "127.0.0.1:8080"}}"#,
    ),
    ("Xray that dials directly", r#"{"inbounds": [], "outbounds": [{"protocol": "freedom", "tag": "direct"}]}"#),
    ("Clash without nodes", "mixed-port: 7890\nproxies: []\nrules: [\"MATCH,DIRECT\"]\n"),
    ("dns servers", r#"{"servers": ["203.0.113.53:53", "203.0.113.54:53"]}"#),
    ("a server of its own", r#"{"host": "127.0.0.1", "port": 8080, "debug": true}"#),
    (
        "a brook client",
        r#"{"server": "203.0.113.9:9999", "listen": "127.0.0.1:1080", "password": "x", "socks5": "127.0.0.1:1081"}"#,
    ),
    (
        "a mieru client",
        r#"{"profiles": [{"servers": [{"ipAddress": "203.0.113.9", "portBindings": [{"port": 5000}]}]}],
            "socks5Port": 1080, "rpcPort": 8964}"#,
    ),
    (
        "an API's answer",
        r#"{"message": "Not Found", "documentation_url": "https://docs.example.test/rest", "status": "404"}"#,
    ),
    (
        "another YAML configuration",
        "listen: 203.0.113.9:8080\nupstream:\n  - 203.0.113.1:443\n  - 203.0.113.2:443\nproxy: socks5://127.0.0.1:1080\n",
    ),
    (
        "docker compose",
        "services:\n  app:\n    image: x\n    ports:\n      - \"127.0.0.1:8080:80\"\n      - 203.0.113.1:8081:81\n",
    ),
    (
        "OpenVPN",
        "client\ndev tun\nproto tcp\nremote 203.0.113.5 1194\nremote 203.0.113.6 443 tcp\nhttp-proxy 203.0.113.7 8080\n\
         resolv-retry infinite\n",
    ),
    (
        "dnsmasq",
        "server=203.0.113.53\nserver=/example.test/203.0.113.53#5353\naddress=/x.test/203.0.113.9\nlisten-address=127.0.0.1\n",
    ),
    (
        "a hosts file",
        "127.0.0.1 localhost\n203.0.113.9 a.example.test\n::1 localhost ip6-localhost\n0.0.0.0 ads.example.test\n",
    ),
    ("a resolver's settings", "nameserver 203.0.113.53\nnameserver 203.0.113.54\noptions edns0\nsearch lan\n"),
    (
        "a log",
        "2026/11/28 10:00:01 accepted tcp:203.0.113.9:443 [socks -> proxy]\n\
         2026/11/28 10:00:02 203.0.113.9:51234 connected\n203.0.113.9:51234 connection refused by 203.0.113.10:80\n\
         Listening on 127.0.0.1:1080\n",
    ),
    (
        "an access log",
        "203.0.113.5 - - [10/Oct/2026:13:55:36 -0700] \"GET / HTTP/1.1\" 200 2326\n\
         203.0.113.5:443 203.0.113.6 - - [10/Oct/2026:13:55:36 -0700] \"GET / HTTP/1.1\" 200 1\n\
         203.0.113.5:51234 - \"POST /x HTTP/1.1\" 404\n",
    ),
    (
        "netstat",
        "Proto Recv-Q Send-Q Local Address Foreign Address State\ntcp 0 0 10.0.0.1:22 203.0.113.9:51234 ESTABLISHED\n\
         tcp 0 0 127.0.0.1:631 0.0.0.0:* LISTEN\n",
    ),
    (
        "a README",
        "# Tool\n\n## Usage\n\nStart it, then set the proxy of your browser to `127.0.0.1:1080`.\n\n```\n\
         curl -x http://127.0.0.1:8080 https://example.test/\nexport ALL_PROXY=socks5://127.0.0.1:1080\n```\n\n\
         Open http://127.0.0.1:9090 in a browser.\n\n- 203.0.113.9:8080 is the address of our test server\n\n\
         | Port | Use |\n|---|---|\n| 127.0.0.1:1080 | SOCKS |\n| 127.0.0.1:8080 | HTTP |\n",
    ),
    (
        "netstat of Windows",
        "Active Connections\n\n  Proto  Local Address      Foreign Address    State\n  \
         TCP    10.0.0.5:49670     203.0.113.1:443    ESTABLISHED\n  TCP    10.0.0.5:49671     203.0.113.2:443    \
         TIME_WAIT\n",
    ),
    (
        "the server of Hysteria 2",
        "listen: :443\nauth: {type: password, password: p}\noutbounds:\n  - {name: v, type: socks5, socks5: {addr: \
         203.0.113.9:1080}}\n  - {name: h, type: http, http: {url: \"http://u:p@203.0.113.9:8080\"}}\n",
    ),
    ("brackets", "[[[[[[[["),
    ("a playlist", "#EXTM3U\n#EXTINF:-1,One\nhttp://203.0.113.2:8000/\n#EXTINF:-1,Two\nhttp://203.0.113.3:8000\n"),
    (
        "a log in JSON",
        "{\"level\": \"info\", \"remote\": \"203.0.113.1:443\", \"proxy\": \"socks5://203.0.113.9:1080\"}\n\
         {\"level\": \"info\", \"remote\": \"203.0.113.2:443\"}\n",
    ),
    (
        "docker compose with a proxy",
        "services:\n  web:\n    environment:\n      HTTP_PROXY: http://203.0.113.9:3128\n      ALL_PROXY: \
         socks5://203.0.113.9:1080\n",
    ),
    (
        "prose",
        "The service is reachable at 203.0.113.9:8080 from everywhere.\nPlease use 203.0.113.10:8080 instead.\n\
         We are sorry for the trouble.\n",
    ),
];

#[test]
fn pages_and_programs_give_nothing_and_say_so_once() {
    for (name, text) in PAGES {
        assert_eq!(links(text), [""; 0], "{name}");
        assert_eq!(codes(text), [RejectCode::UnknownDocument], "{name}");
    }
}

#[test]
fn a_client_that_knows_one_server_is_that_server() {
    let cases: &[(&str, &str)] = &[
        (
            "server: hy.example.test:27921,28000-29000\nauth: secret\ntls:\n  sni: s.example.test\n  insecure: true\n\
             obfs:\n  type: salamander\n  salamander:\n    password: o\nsocks5:\n  listen: 127.0.0.1:1080\n",
            "hysteria2://secret@hy.example.test:27921?sni=s.example.test&insecure=1&obfs=salamander&obfs-password=o&mport=28000-29000",
        ),
        (
            r#"{"server": "hysteria2://p@hy.example.test:443/?sni=s.test", "http": {"listen": "127.0.0.1:8080"}, "tls": {}}"#,
            "hysteria2://p@hy.example.test:443?sni=s.test",
        ),
        ("server: hy.example.test\nauth: a:b\n", "hysteria2://a%3Ab@hy.example.test:443"),
        (
            r#"{"server": "203.0.113.1:4430", "auth_str": "a", "up_mbps": 10, "down_mbps": 50, "server_name": "s.test",
                "insecure": true, "socks5": {"listen": "127.0.0.1:1080"}}"#,
            "hysteria://203.0.113.1:4430?protocol=udp&auth=a&upmbps=10&downmbps=50&peer=s.test&sni=s.test&insecure=1",
        ),
        (
            r#"{"relay": {"server": "t.example.test:443", "uuid": "5f1c9d1e-0b6a-4d0e-9a55-0c2f6b8e7a11", "password": "p",
                "udp_relay_mode": "quic", "alpn": ["h3"]}, "local": {"server": "127.0.0.1:1080"}}"#,
            "tuic://5f1c9d1e-0b6a-4d0e-9a55-0c2f6b8e7a11:p@t.example.test:443?congestion_control=cubic&udp_relay_mode=quic&alpn=h3",
        ),
        (
            r#"{"run_type": "client", "local_addr": "127.0.0.1", "local_port": 1080, "remote_addr": "t.example.test",
                "remote_port": 443, "password": ["p"], "ssl": {"verify": false, "sni": "s.test"},
                "websocket": {"enabled": true, "path": "/w", "host": "h.test"}}"#,
            "trojan://p@t.example.test:443?type=ws&path=%2Fw&host=h.test&security=tls&sni=s.test&allowInsecure=1",
        ),
        (
            r#"{"server": "203.0.113.1", "server_port": 8388, "local_address": "127.0.0.1", "local_port": 1080,
                "password": "p", "method": "aes-256-gcm", "timeout": 300}"#,
            "ss://YWVzLTI1Ni1nY206cA@203.0.113.1:8388",
        ),
    ];
    for (text, link) in cases {
        assert_eq!(links(text), [*link], "{text}");
        assert_eq!(codes(text), [], "{text}");
    }
    for unsupported in [
        r#"{"listen": "socks://127.0.0.1:1080", "proxy": "https://user:pass@example.test"}"#,
        r#"{"listen": ":1080", "server": "203.0.113.1:443", "uuid": "u", "password": "p", "sni": "s.test"}"#,
    ] {
        assert_eq!(links(unsupported), [""; 0], "{unsupported}");
        assert_eq!(codes(unsupported).len(), 1, "{unsupported}");
    }
}

#[test]
fn lists_stay_lists() {
    let cases: &[(&str, usize)] = &[
        ("203.0.113.1:80", 1),
        ("Updated today\n203.0.113.1:80\n203.0.113.2:80 US 120ms elite\n", 2),
        ("http://203.0.113.1:80\nsocks5://203.0.113.2:1080", 2),
        ("# proxies\n\n1. 203.0.113.1:80\n2. 203.0.113.2:80", 2),
        ("Proxy: socks5://203.0.113.1:1080 (fresh)", 1),
        ("ip:port\n203.0.113.1:80", 1),
        ("HTTP:\n203.0.113.1:80\n203.0.113.2:80\n", 2),
        ("http:\n  - 203.0.113.1:80\nsocks5:\n  - 203.0.113.2:1080\n  - 203.0.113.3:1080\n", 3),
        (r#"{"http": ["203.0.113.1:80"], "socks5": "203.0.113.2:1080 203.0.113.3:1080"}"#, 3),
        ("['203.0.113.1:80', '203.0.113.2:80']", 2),
        (
            "## Free\n\n| IP | Port | Type |\n|---|---|---|\n| 203.0.113.1 | 80 | HTTP |\n| 203.0.113.2 | 1080 | SOCKS5 |\n",
            2,
        ),
        (
            "<table>\n<tr><th>IP</th><th>Port</th></tr>\n<tr><td>203.0.113.1</td><td>80</td></tr></table><p>Some words.</p>",
            1,
        ),
        (r#"{"list": {"15": {"ip": "203.0.113.1", "port": "80", "user": "u", "pass": "p", "type": "http"}}}"#, 1),
        (r#"{"a": {"b": "vless://b831381d-6324-4d53-ad4f-8cda48b30811@203.0.113.1:443#x"}, "status": "ok"}"#, 1),
        (r#"[{"name": "x", "url": "socks5://u:p@203.0.113.1:1080"}]"#, 1),
    ];
    for (text, count) in cases {
        let found = links(text);
        assert_eq!(found.len(), *count, "{text}: {found:?}");
    }
    for text in [
        "## HTTP\n203.0.113.1:80\n203.0.113.3:80\n\n## SOCKS5\n203.0.113.2:1080\n203.0.113.4:1080\n",
        "HTTP:\n203.0.113.1:80\n203.0.113.3:80\nSocks5 🔥\n203.0.113.2:1080\n203.0.113.4:1080\n",
    ] {
        let schemes: Vec<_> = parse(text.as_bytes()).nodes.iter().map(|entry| entry.spec.scheme()).collect();
        assert_eq!(schemes, ["http", "http", "socks5", "socks5"], "{text}");
        assert_eq!(codes(text), []);
    }
    let found = links("http:\n  - 203.0.113.1:80\nsocks5:\n  - 203.0.113.2:1080\n");
    assert_eq!(found, ["http://203.0.113.1:80", "socks5://203.0.113.2:1080"]);
}

#[test]
fn a_protocol_that_nobody_names_is_refused_unless_the_fields_say_proxy() {
    assert_eq!(
        links(r#"{"results": [{"username": "u", "password": "p", "proxy_address": "203.0.113.7", "port": 8168}]}"#),
        ["http://u:p@203.0.113.7:8168"]
    );
    assert_eq!(links(r#"[{"ip": "203.0.113.7", "port": 80, "anonymity": "elite"}]"#), ["http://203.0.113.7:80"]);
    let nameless = r#"[{"ip": "203.0.113.7", "port": 80}, {"ip": "203.0.113.8", "port": 80}]"#;
    assert_eq!((links(nameless).len(), codes(nameless)), (0, vec![RejectCode::BadField; 2]));
}

#[test]
fn what_lies_elsewhere_is_named() {
    let text = "mixed-port: 7890\nexternal-controller: 203.0.113.200:9090\nproxy-providers:\n  one:\n    type: http\n    \
                url: https://example.test/sub\n  two:\n    type: file\n    path: ./two.yaml\n  three:\n    type: inline\n    \
                payload:\n      - {name: a, type: trojan, server: a.example.test, port: 443, password: p}\n";
    assert_eq!(links(text).len(), 1);
    let parsed = parse(text.as_bytes());
    let refused: Vec<_> = parsed.rejects.iter().map(|one| (one.code, one.excerpt.as_ref())).collect();
    assert_eq!(
        refused,
        [
            (RejectCode::WebAddress, "provider one: https://example.test/sub"),
            (RejectCode::BadField, "provider two: ./two.yaml")
        ]
    );
}

#[test]
fn logins_in_columns() {
    let alice = "http://alice:s3cret@203.0.113.5:8080";
    for text in [
        "203.0.113.5:8080|alice|s3cret",
        "203.0.113.5,8080,alice,s3cret",
        "203.0.113.5;8080;alice;s3cret",
        "203.0.113.5:8080;alice;s3cret",
        "203.0.113.5:8080 alice s3cret",
        "203.0.113.5\t8080\talice\ts3cret",
        "203.0.113.5:8080 | alice | s3cret | DE | 120ms",
        "alice:s3cret:203.0.113.5:8080",
        "alice:s3cret@203.0.113.5:8080",
        "203.0.113.5:8080@alice:s3cret",
        "203.0.113.5:8080:alice:s3cret",
        "http:203.0.113.5:8080:alice:s3cret",
        "IP,Port,Username,Password\n203.0.113.5,8080,alice,s3cret",
        "\"Username\";\"Country\";\"IP Address\";\"Port\";\"Password\"\n\"alice\";\"DE\";\"203.0.113.5\";\"8080\";\"s3cret\"",
    ] {
        assert_eq!(links(text), [alice], "{text}");
    }
    for text in
        ["203.0.113.5:8080@socks5", "socks5@203.0.113.5:8080", "203.0.113.5:8080:SOCKS5", "socks5:203.0.113.5:8080"]
    {
        assert_eq!(links(text), ["socks5://203.0.113.5:8080"], "{text}");
    }
    for text in [
        "203.0.113.5:8080 Germany Berlin",
        "203.0.113.5:8080|US|elite",
        "203.0.113.5,8080,anonymous,120ms",
        "203.0.113.5:8080 US-N-S +",
        "203.0.113.5\t8080\tUnited States\telite proxy",
        "203.0.113.5:8080 200 1500",
    ] {
        assert_eq!(links(text), ["http://203.0.113.5:8080"], "{text}");
    }
}

#[test]
fn messages_of_the_publisher_do_not_take_a_nodes_name() {
    let text = "trojan://pw@a.example.test:443#剩余流量：10 GB\ntrojan://pw@a.example.test:443#套餐到期：2030-01-01\n\
                trojan://pw@a.example.test:443#Tokyo 1\ntrojan://pw@b.example.test:443#Traffic: 1 GB\n\
                trojan://pw@a.example.test:443#📊 10.5GB / 100GB\n";
    let parsed = parse(text.as_bytes());
    let names: Vec<_> = parsed.nodes.iter().map(|entry| entry.label.as_str()).collect();
    assert_eq!(names, ["Tokyo 1", "Traffic: 1 GB"]);
    assert_eq!(codes(text), [RejectCode::InfoEntry; 3]);
}

#[test]
fn base64_broken_by_spaces() {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    let list = "trojan://pw@203.0.113.1:443#one\ntrojan://pw@203.0.113.2:443#two>>>>>>\n";
    let whole = STANDARD.encode(list);
    let wrapped =
        whole.as_bytes().chunks(20).map(|part| std::str::from_utf8(part).unwrap()).collect::<Vec<_>>().join(" ");
    assert!(whole.contains('+'), "{whole}");
    for text in [&wrapped, &whole.replace('+', " ")] {
        assert_eq!(links(text).len(), 2, "{text}");
    }
    let object = r#"{"v":"2","ps":">>>>>>","add":"203.0.113.1","port":"443","id":"b831381d-6324-4d53-ad4f-8cda48b30811","net":"tcp"}"#;
    let blob = STANDARD.encode(object);
    let (front, behind) = blob.split_at(40);
    assert_eq!(links(&format!("vmess://{front} {behind}")).len(), 1);
    assert_eq!(links(&format!("vmess://{}", blob.replace('+', " "))).len(), 1);
    // Words behind a link stay words.
    assert_eq!(links(&format!("vmess://{blob} and more words")).len(), 1);
}

#[test]
fn interfaces_of_lists() {
    let cases: &[(&str, &[&str])] = &[
        (
            r#"[{"proxy": "203.0.113.7:1080", "protocol": "socks5"}, {"proxy": "u:p@203.0.113.8:80", "protocol": "http"}]"#,
            &["socks5://203.0.113.7:1080", "http://u:p@203.0.113.8:80"],
        ),
        (r#"{"data": [{"ipPort": "203.0.113.7:8080", "type": "http"}]}"#, &["http://203.0.113.7:8080"]),
        (
            r#"{"http": [{"ip": "203.0.113.1", "port": 80}], "socks5": [{"ip": "203.0.113.2", "port": 1080}]}"#,
            &["http://203.0.113.1:80", "socks5://203.0.113.2:1080"],
        ),
        (
            "ip,port,protocols\n203.0.113.1,4145,\"socks4,socks5\"\n203.0.113.2,80,\"http,https\"\n",
            &["socks4://203.0.113.1:4145", "socks5://203.0.113.1:4145", "http://203.0.113.2:80"],
        ),
        (
            "host,port,login,password\n203.0.113.1,8080,\"al,ice\",\"p,w\"\"x\"\n",
            &["http://al%2Cice:p%2Cw%22x@203.0.113.1:8080"],
        ),
        (
            "socks5,203.0.113.1,1080,user,pass\nhttp,203.0.113.2,80,,\n",
            &["socks5://user:pass@203.0.113.1:1080", "http://203.0.113.2:80"],
        ),
        (
            "user:p@ss@203.0.113.1:80\n203.0.113.1:80:user:p@ss\nuser:p@ss:203.0.113.1:80\n",
            &["http://user:p%40ss@203.0.113.1:80"; 3],
        ),
        ("\"203.0.113.1\",\"8080\",\"alice\",\"p,w\"\n", &["http://alice:p%2Cw@203.0.113.1:8080"]),
        (r#"{"data": {"count": 1, "proxy_list": ["203.0.113.1:80"]}}"#, &["http://203.0.113.1:80"]),
        (
            r#"{"code": 0, "data": "203.0.113.1:80\r\n203.0.113.2:80"}"#,
            &["http://203.0.113.1:80", "http://203.0.113.2:80"],
        ),
        (
            "http://u:p@203.0.113.1:80,US\nsocks5://203.0.113.2:1080,DE,elite\nhttp://u:p,w@203.0.113.3:80,US\n",
            &["http://u:p@203.0.113.1:80", "socks5://203.0.113.2:1080", "http://u:p%2Cw@203.0.113.3:80"],
        ),
        ("\"203.0.113.1:80\\n203.0.113.2:80\"", &["http://203.0.113.1:80", "http://203.0.113.2:80"]),
        (
            "\"dHJvamFuOi8vcHdAMjAzLjAuMTEzLjE6NDQzI29uZQo=\"",
            &["trojan://pw@203.0.113.1:443?type=tcp&security=tls#one"],
        ),
    ];
    for (text, expected) in cases {
        assert_eq!(links(text), *expected, "{text}");
        assert_eq!(codes(text), [], "{text}");
    }
}

#[test]
fn a_spoilt_entry_among_others_is_refused() {
    for text in [
        r#"[{"ip": "203.0.113.7", "protocol": "http"}, {"ip": "203.0.113.8", "port": 80, "protocol": "http"}]"#,
        "{\"ip\": \"203.0.113.7\", \"protocol\": \"http\"}\n{\"ip\": \"203.0.113.8\", \"port\": 80, \"protocol\": \"http\"}\n",
    ] {
        assert_eq!(links(text), ["http://203.0.113.8:80"], "{text}");
        assert_eq!(codes(text), [RejectCode::BadPort], "{text}");
    }
}

#[test]
fn logins_of_hysteria_in_base64() {
    let text =
        |auth: &str| format!(r#"{{"server": "203.0.113.1:3000", "auth": "{auth}", "up_mbps": 10, "down_mbps": 50}}"#);
    assert_eq!(links(&text("cGFzcw==")), ["hysteria://203.0.113.1:3000?protocol=udp&auth=pass&upmbps=10&downmbps=50"]);
    assert_eq!(codes(&text("!")), [RejectCode::BadCredential]);
}

#[test]
fn anchors_of_long_lists_are_no_bomb() {
    let mut text = String::from(
        "x: &x {type: trojan, password: p, sni: s.test, skip-cert-verify: true, network: ws, ws-opts: {path: /w}}\nproxies:\n",
    );
    for port in 1..=3000 {
        text.push_str(&format!("- {{<<: *x, name: n{port}, server: 203.0.113.1, port: {port}}}\n"));
    }
    assert_eq!((links(&text).len(), codes(&text).len()), (3000, 0));
}

#[test]
fn shadowsocks_in_the_words_of_its_programs() {
    let client = r#"{"servers": [{"address": "203.0.113.1", "port": 8388, "method": "aes-256-gcm", "password": "p"}]}"#;
    assert_eq!(links(client), ["ss://YWVzLTI1Ni1nY206cA@203.0.113.1:8388"]);
    let server = r#"{"server": "0.0.0.0", "server_port": 8388, "method": "aes-256-gcm", "password": "p"}"#;
    assert_eq!((links(server).len(), codes(server)), (0, vec![RejectCode::BadHost]));
    let with_protocol = r#"{"configs": [{"server": "203.0.113.1", "server_port": 8388, "password": "p",
        "method": "aes-256-cfb", "protocol": "auth_sha1_v4", "obfs": "plain"}]}"#;
    assert_eq!(parse(with_protocol.as_bytes()).nodes[0].spec.scheme(), "ssr");
}

#[test]
fn pins_in_the_words_of_other_clients() {
    for key in ["server-cert-fingerprint", "tls-fingerprint"] {
        let text = |pin: &str| {
            format!("proxies:\n- {{type: trojan, server: 203.0.113.1, port: 443, password: p, {key}: {pin}}}\n")
        };
        assert_eq!(codes(&text("nothing")), [RejectCode::BadPin], "{key}");
        assert!(links(&text(&"ab".repeat(32)))[0].contains("pcs="), "{key}");
    }
    assert_eq!(codes("anytls://p@203.0.113.1:443?hpkp=nothing"), [RejectCode::BadPin]);
}

#[test]
fn sections_that_are_not_read_are_named() {
    let text = "[Proxy]\na = http,203.0.113.1,80\n[Remote Proxy]\nb = https://example.test/sub,udp=true\n[Proxy Chain]\n\
                c = a,b\n[Proxy Group]\nd = select, policy-path=https://example.test/sub\ne = select, a\n";
    assert_eq!(links(text), ["http://203.0.113.1:80#a"]);
    assert_eq!(codes(text), [RejectCode::WebAddress, RejectCode::BadChain, RejectCode::WebAddress]);
    let text = "[server_remote]\nhttps://example.test/sub, tag=x\n[server_local]\nhttp=203.0.113.1:80, tag=a\n";
    assert_eq!((links(text).len(), codes(text)), (1, vec![RejectCode::WebAddress]));
}
