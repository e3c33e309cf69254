//! Subscriptions out: what a client reads at `/sub/TOKEN`, and what strangers do not.

use std::{
    io::{Read, Write},
    net::TcpStream,
};

use hezar_lab::{World, WorldConfig};
use serde_json::Value;

use crate::harness::{Home, Instance, PATIENCE, eventually};

const SUBSCRIPTIONS: &str = r#"
[[subscription]]
name = "phone"
token = "0123456789abcdef"
title = "Telefon ۱"
interval = "90m"
allow_private = true

[[subscription]]
name = "outside"
token = "outside-outside-outside"

[[subscription]]
name = "off"
token = "off-off-off-off-off"
enabled = false
"#;

/// The status, the head in lower case, and the body.
fn read(instance: &Instance, path: &str, headers: &str) -> (u16, String, String) {
    let mut stream = TcpStream::connect(instance.api).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let host = instance.api;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n{headers}\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), head.to_lowercase(), body.to_owned())
}

#[test]
fn a_client_reads_the_nodes_that_work_in_its_own_form() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let world = runtime.block_on(World::start(WorldConfig::healthy(6))).unwrap();
    let home = Home::new();
    home.write("list.txt", format!("{}socks5://dead:x@127.0.0.9:9#dead\n", world.links()));
    home.write(
        "hezar.toml",
        format!(
            "[probe]\nurl = \"http://demo.hezar/generate_204\"\ntrace_url = \"http://demo.hezar/cdn-cgi/trace\"\n\
             canary_url = \"\"\ncontrol = []\ntimeout = \"30s\"\n\
             [[source]]\nname = \"list\"\nfile = \"list.txt\"\nallow_private = true\n{SUBSCRIPTIONS}"
        ),
    );
    let instance = home.start(&[]);
    let phone = "/sub/0123456789abcdef";
    let links = eventually("all nodes that work", || {
        let (status, _, body) = read(&instance, &format!("{phone}?target=links"), "");
        assert_eq!(status, 200, "{body}");
        (body.lines().count() == 6).then_some(body)
    });
    assert!(!links.contains("dead"), "{links}");
    // The same client gets the same form without a parameter.
    let (_, head, clash) = read(&instance, phone, "User-Agent: clash.meta/v1.19.32\r\n");
    assert!(clash.starts_with("proxies:\n") && clash.contains("\"MATCH,Hezar\""), "{clash}");
    for header in [
        "content-type: text/yaml",
        "profile-update-interval: 2\r\n",
        "profile-title: base64:vgvszwzvbidbsq==",
        "content-disposition: attachment; filename*=utf-8''telefon%20%db%b1%2eyaml",
        "hezar-nodes: 5; left-out=1",
    ] {
        assert!(head.contains(header), "{header} is missing in {head}");
    }
    let (_, _, sing_box) = read(&instance, &format!("{phone}?target=sing-box"), "");
    let sing_box: Value = serde_json::from_str(&sing_box).unwrap();
    assert_eq!(sing_box["outbounds"].as_array().unwrap().len(), 6 + 3, "{sing_box}");
    // Parameters narrow it down.
    let count = |query: &str| read(&instance, &format!("{phone}?target=links&{query}"), "").2.lines().count();
    assert_eq!((count("top=2"), count("top=100"), count("max_latency=10m")), (2, 6, 6));
    assert_eq!(count("scheme=socks5,http,socks,ss,trojan,vless"), 6);
    assert_eq!((count("source=list"), count("source=other"), count("tags=!source:list")), (6, 0, 0));
    assert_eq!(read(&instance, &format!("{phone}?target=odd"), "").0, 400);
    assert_eq!(read(&instance, &format!("{phone}?country=germany"), "").0, 400);
    assert_eq!(read(&instance, &format!("{phone}?max_latency=soon"), "").0, 400);
    // Nodes that other machines do not reach are left out unless the subscription says otherwise.
    let (status, _, outside) = read(&instance, "/sub/outside-outside-outside?target=links", "");
    assert_eq!((status, &*outside), (200, ""));
    // What has not changed is not sent again.
    let tag = head.lines().find_map(|line| line.strip_prefix("etag: ")).unwrap();
    let headers = format!("User-Agent: clash.meta/v1.19.32\r\nIf-None-Match: {tag}\r\n");
    let again = read(&instance, phone, &headers);
    assert!(again.0 == 304 || !again.1.contains(tag), "the order of nodes may have changed: {}", again.1);
    // Unknown, switched off and malformed tokens are the same.
    let unknown = read(&instance, "/sub/fedcba9876543210", "");
    assert_eq!(unknown.0, 404);
    for path in ["/sub/off-off-off-off-off", "/sub/0123456789abcde", "/sub/%00"] {
        assert_eq!(read(&instance, path, "").2, unknown.2, "{path}");
    }
    // It is revoked while the instance runs.
    let text = home.read("hezar.toml").replace("0123456789abcdef", "another-token-now");
    home.write("hezar.toml", text);
    home.run(&["reload"]).good();
    assert_eq!(read(&instance, phone, "").0, 404);
    assert_eq!(read(&instance, "/sub/another-token-now", "").0, 200);
    // Who guesses for long is not answered any more, with the right token either.
    let refused = (0..30).find(|_| read(&instance, "/sub/guess-guess-guess-1", "").0 == 429);
    assert!(refused.is_some());
    assert_eq!(read(&instance, "/sub/another-token-now", "").0, 429);
    instance.terminate();
    runtime.block_on(world.shutdown());
}
