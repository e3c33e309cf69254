//! Subscriptions out: what a client reads at `/sub/TOKEN`, and what strangers do not.

use std::{
    io::{Read, Write},
    net::TcpStream,
};

use hezar_lab::{World, WorldConfig};
use serde_json::Value;

use crate::{
    api,
    harness::{Home, Instance, PATIENCE, PROBE, eventually},
};

const TOKEN: &str = "a-token-for-this-test";

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
            "[api]\ntoken = \"{TOKEN}\"\n{PROBE}\
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
        "hezar-left-out: 1;why=\"a transport that the client does not have\"",
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
    // A token of the store reads the subscription of its name, until it is revoked.
    let made = |name: &str, scope: &str| {
        let body = format!("{{\"name\": \"{name}\", \"scope\": \"{scope}\"}}");
        let (status, made) = api::ask(instance.api, TOKEN, "POST", "/api/v1/tokens", body.as_bytes());
        assert_eq!(status, 201, "{made}");
        let made: Value = serde_json::from_str(&made).unwrap();
        format!("/sub/{}", made["token"].as_str().unwrap())
    };
    let (stored, nowhere) = (made("phone", "subscription"), made("other", "subscription"));
    assert_eq!(read(&instance, &format!("{stored}?target=links"), "").2.lines().count(), 6);
    assert_eq!((read(&instance, &nowhere, "").0, read(&instance, &made("phone-read", "read"), "").0), (404, 404));
    assert_eq!(api::ask(instance.api, TOKEN, "DELETE", "/api/v1/tokens/phone", b"").0, 200);
    assert_eq!(read(&instance, &stored, "").0, 404);
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

/// The user's part of a configuration: three who may use the proxy, and three who may not.
const USERS: &str = r#"
[[proxy.users]]
name = "alice"
password = "p"
quota = { total = "1MiB", month = "1GiB" }
expires = "2100-01-01"

[[proxy.users]]
name = "bob"
password = "p"

[[proxy.users]]
name = "carol"
password = "p"
expires = "2020-01-01"

[[proxy.users]]
name = "dave"
password = "p"
quota = { total = "1GiB", day = "1MiB" }

[[proxy.users]]
name = "erin"
password = "p"
enabled = false
"#;

/// The header `subscription-userinfo`, and how many nodes the subscription of a user gives.
fn told(instance: &Instance, user: &str) -> (String, usize) {
    let (status, head, body) = read(instance, &format!("/sub/token-of-{user}-0123?target=links"), "");
    assert_eq!(status, 200, "{body}");
    let info = head.lines().find_map(|line| line.strip_prefix("subscription-userinfo: ")).unwrap_or_default();
    (info.to_owned(), body.lines().count())
}

/// Lets a user download so many bytes through the proxy; gives how many came, with the head.
fn download(instance: &Instance, login: &str, bytes: usize) -> usize {
    let mut stream = TcpStream::connect(instance.proxy).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    write!(
        stream,
        "GET http://demo.hezar/bytes/{bytes} HTTP/1.1\r\nHost: demo.hezar\r\nConnection: close\r\n\
         Proxy-Authorization: Basic {login}\r\n\r\n"
    )
    .unwrap();
    let mut answer = Vec::new();
    // A quota that ends in the middle ends the connection.
    let _ = stream.read_to_end(&mut answer);
    answer.len()
}

#[test]
fn a_user_reads_what_it_has_moved_and_gets_nodes_as_long_as_it_may_use_the_proxy() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let world = runtime.block_on(World::start(WorldConfig::healthy(3))).unwrap();
    let home = Home::new();
    home.write("list.txt", world.links());
    let subscriptions: String = ["alice", "bob", "carol", "dave", "erin"]
        .map(|user| {
            format!("[[subscription]]\nname = \"{user}\"\ntoken = \"token-of-{user}-0123\"\nuser = \"{user}\"\nallow_private = true\n")
        })
        .concat();
    home.write(
        "hezar.toml",
        format!(
            "[api]\ntoken = \"{TOKEN}\"\n{PROBE}[[source]]\nname = \"list\"\nfile = \"list.txt\"\nallow_private = true\n\
             {USERS}{subscriptions}"
        ),
    );
    let instance = home.start(&[]);
    eventually("all nodes work", || (told(&instance, "bob").1 == 3).then_some(()));
    let expires = 4_102_444_800_u64;
    assert_eq!(told(&instance, "alice"), (format!("upload=0; download=0; total=1048576; expire={expires}"), 3));
    assert_eq!(told(&instance, "bob"), ("upload=0; download=0".to_owned(), 3));
    // The longest quota is told while none is used up.
    assert_eq!(told(&instance, "dave"), ("upload=0; download=0; total=1073741824".to_owned(), 3));
    // Who may not use the proxy gets no nodes that lead around it.
    assert_eq!(told(&instance, "carol"), ("upload=0; download=0; expire=1577836800".to_owned(), 0));
    assert_eq!(told(&instance, "erin"), ("upload=0; download=0".to_owned(), 0));
    // What is moved is told as the API tells it, to the byte.
    for (user, login, bytes, nodes) in [
        ("alice", "YWxpY2U6cA==", 300_000, 3),
        ("bob", "Ym9iOnA=", 2_000_000, 3),
        ("alice", "YWxpY2U6cA==", 800_000, 0),
        ("dave", "ZGF2ZTpw", 1_100_000, 0),
    ] {
        let came = download(&instance, login, bytes);
        assert!(came > bytes || nodes == 0, "{user}: {came} of {bytes}");
        // The last bytes are counted a moment after the client has them.
        eventually("the bytes are told", || {
            let usage = api::ask(instance.api, TOKEN, "GET", &format!("/api/v1/users/{user}/usage"), b"").1;
            let usage: Value = serde_json::from_str(&usage).unwrap();
            let moved = |way: &str| usage["total"][way].as_u64().unwrap();
            let told = told(&instance, user);
            let is_told = told.0.starts_with(&format!("upload={}; download={}", moved("up"), moved("down")));
            (is_told && moved("down") >= bytes.min(1_000_000) as u64 && told.1 == nodes).then_some(())
        });
    }
    // The quota that is used up is told, so that people see why there are no nodes.
    let (info, _) = told(&instance, "dave");
    assert!(info.ends_with("; total=1048576"), "{info}");
    // The form of an empty subscription lets a client send nothing directly.
    let (_, head, clash) = read(&instance, "/sub/token-of-dave-0123?target=clash", "");
    assert!(head.contains("hezar-nodes: 0; left-out=0") && clash.contains("\"MATCH,REJECT\""), "{head}\n{clash}");
    instance.terminate();
    runtime.block_on(world.shutdown());
}

#[test]
fn a_subscription_is_made_while_it_runs_and_its_token_is_shown_once() {
    let home = Home::new();
    home.write("hezar.toml", format!("{PROBE}[[source]]\nname = \"none\"\nlinks = []\n{SUBSCRIPTIONS}"));
    let instance = home.start(&[]);
    let made = home.run(&["subscription", "add", "tablet", "top=5", "title=Tablet"]);
    let address = made.good().lines().last().unwrap().to_owned();
    let path = address.strip_prefix(&format!("http://{}", instance.api)).unwrap_or_else(|| panic!("{made:?}"));
    let token = path.strip_prefix("/sub/").unwrap();
    assert_eq!(token.len(), 32, "{made:?}");
    let (status, head, _) = read(&instance, path, "");
    assert!(status == 200 && head.contains("profile-title: "), "{status} {head}");
    let said = home.run(&["subscription", "list", "--json"]);
    assert!(said.good().contains("\"tablet\"") && said.good().contains("\"phone\""), "{said:?}");
    let record = home.run(&["audit", "--kind", "subscription", "--json"]);
    assert!(record.good().contains("\"create\""), "{record:?}");
    assert!(!said.out.contains(token) && !record.out.contains(token));

    // What the file says is changed there; a token of one's own is good, a short one is refused.
    home.run(&["subscription", "edit", "phone", "top=3"]).refused(1, &["subscription \"phone\" is said by line"]);
    home.run(&["subscription", "add", "short", "token=x"]).refused(1, &["token: expected 16 to 128 letters"]);
    home.run(&["subscription", "add", "twin", "token=0123456789abcdef"]).refused(1, &["has the same token"]);
    home.run(&["subscription", "disable", "tablet"]).good();
    assert_eq!(read(&instance, path, "").0, 404);
    home.run(&["subscription", "enable", "tablet"]).good();
    assert_eq!(read(&instance, path, "").0, 200);
    home.run(&["subscription", "remove", "tablet"]).good();
    assert_eq!(read(&instance, path, "").0, 404);
    instance.terminate();
    // The same while nothing runs.
    let made = home.run(&["subscription", "add", "later"]);
    assert!(made.good().contains("/sub/"), "{made:?}");
    let instance = home.start(&[]);
    let path = made.good().lines().last().unwrap().split_once("/sub/").unwrap().1;
    assert_eq!(read(&instance, &format!("/sub/{path}"), "").0, 200);
    instance.terminate();
}

#[test]
fn the_address_of_a_subscription_is_told_while_it_has_one() {
    let home = Home::new();
    home.write("hezar.toml", format!("[api]\ntoken = \"{TOKEN}\"\n"));
    let instance = home.start(&[]);
    let call = |method: &str, path: &str, body: &str| {
        let path = format!("/api/v1/subscriptions{path}");
        let (status, text) = api::ask(instance.api, TOKEN, method, &path, body.as_bytes());
        (status, serde_json::from_str::<Value>(&text).unwrap_or_default())
    };
    let (status, made) = call("POST", "", r#"{"name":"desk"}"#);
    let token = made["token"].as_str().unwrap_or_default();
    assert_eq!(status, 201, "{made}");
    let (status, address) = call("GET", "/desk/address", "");
    assert_eq!((status, address["path"].as_str()), (200, Some(&*format!("/sub/{token}"))), "{address}");
    // What is sent back as it was shown stays as it is.
    assert_eq!(call("PATCH", "/desk", r#"{"token":"…","enabled":false}"#).0, 200);
    assert_eq!(call("GET", "/desk/address", "").0, 404, "disabled");
    assert_eq!(call("PATCH", "/desk", r#"{"enabled":true}"#).0, 200);
    assert_eq!(call("GET", "/desk/address", "").1, address);
    assert_eq!(call("DELETE", "/desk", "").0, 200);
    assert_eq!(call("GET", "/desk/address", "").0, 404, "removed");
    instance.terminate();
}
