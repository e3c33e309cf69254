//! What HTTP proxies give away: found out from a judge, shown, chosen by, and kept from telling our address.

use std::{
    collections::BTreeSet,
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
};

use hezar_lab::{Kind, World, WorldConfig};
use serde_json::Value;

use crate::harness::{Home, Instance, PATIENCE, eventually};

/// By their index in the world: elite, anonymous, transparent, and one that tunnels everything.
const KINDS: [Kind; 4] = [Kind::HttpPlain, Kind::HttpAnonymous, Kind::HttpTransparent, Kind::Socks5];
const LEVELS: [&str; 4] = ["elite", "anonymous", "transparent", "elite"];
const CONFIG: &str = r#"
[probe]
url = "http://demo.hezar/generate_204"
trace_url = "http://demo.hezar/cdn-cgi/trace"
judge_url = "http://demo.hezar/judge"
canary_url = ""
control = []
timeout = "30s"
[[listener]]
name = "elite"
listen = "127.0.0.1:0"
tags = "anonymity:elite"
[[listener]]
name = "transparent"
listen = "127.0.0.1:0"
tags = "anonymity:transparent"
[[source]]
name = "lab"
file = "links.txt"
allow_private = true
"#;

/// The body of an answer with status 200.
fn ask(proxy: SocketAddr, url: &str, login: &str) -> Option<Value> {
    let mut stream = TcpStream::connect(proxy).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let request = format!("GET {url} HTTP/1.1\r\nHost: demo.hezar\r\n{login}Connection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    let (head, body) = text.split_once("\r\n\r\n")?;
    head.starts_with("HTTP/1.1 200").then(|| serde_json::from_str(body).ok())?
}

fn indexes(proxy: SocketAddr, login: &str) -> BTreeSet<u64> {
    let answer = || ask(proxy, "http://demo.hezar/", login).and_then(|body| body["index"].as_u64());
    (0..40).map(|_| eventually("an answer", answer)).collect()
}

/// Whether any of some plain requests reached the target with our address.
fn tells_our_address(proxy: SocketAddr) -> bool {
    let headers = || ask(proxy, "http://demo.hezar/headers", "").map(|body| body["headers"].to_string());
    (0..10).any(|_| eventually("the headers", headers).contains("x-forwarded-for"))
}

fn json(home: &Home, arguments: &[&str]) -> Vec<Value> {
    home.run(arguments).out.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Waits until all levels are known, and gives them in the order of the world.
fn levels(home: &Home, ports: &[u16]) -> Vec<String> {
    eventually("the levels of all nodes", || {
        let nodes = json(home, &["nodes", "--json", "--state", "healthy"]);
        let level = |port: &u16| {
            let node = nodes.iter().find(|node| node["port"] == *port)?;
            node["anonymity"].as_str().map(str::to_owned)
        };
        ports.iter().map(level).collect()
    })
}

fn start(home: &Home, extra: &str) -> Instance {
    // In turn, so that some requests reach every node that may serve them; `smart` leaves out a slow one for long.
    home.write("hezar.toml", format!("[proxy]\nstrategy = \"round-robin\"\n{extra}\n{CONFIG}"));
    home.start(&[])
}

#[test]
fn a_judge_shows_what_nodes_give_away_and_ours_is_not_told() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let world = runtime.block_on(World::start(WorldConfig::kinds(KINDS))).unwrap();
    let home = Home::new();
    home.write("links.txt", world.links());
    let ports: Vec<u16> = world.nodes().iter().map(|node| node.address.port()).collect();

    let instance = start(&home, "");
    assert_eq!(levels(&home, &ports), LEVELS);
    let few = home.run(&["nodes", "--anonymity", "transparent"]);
    assert!(few.good().contains("transparent: ") && few.good().contains("1 node"), "{few:?}");

    // Everybody serves, and nobody tells our address: where it would, a tunnel carries the plain request.
    assert_eq!(indexes(instance.proxy, ""), BTreeSet::from([0, 1, 2, 3]));
    assert!(!tells_our_address(instance.proxy) && !tells_our_address(instance.listener("transparent")));
    // By the user name, and by the listener. `x-anonymity-elite:` and `x-anonymity-anonymous:`
    let elite = "Proxy-Authorization: Basic eC1hbm9ueW1pdHktZWxpdGU6\r\n";
    let anonymous = "Proxy-Authorization: Basic eC1hbm9ueW1pdHktYW5vbnltb3VzOg==\r\n";
    assert_eq!(indexes(instance.proxy, elite), BTreeSet::from([0, 3]));
    assert_eq!(indexes(instance.proxy, anonymous), BTreeSet::from([0, 1, 3]));
    assert_eq!(indexes(instance.listener("elite"), ""), BTreeSet::from([0, 3]));
    instance.terminate();

    // What is known survives a restart, and the setting lets the transparent one do as it does.
    let instance = start(&home, "allow_transparent = true");
    assert_eq!(levels(&home, &ports), LEVELS);
    assert!(tells_our_address(instance.listener("transparent")));
    instance.terminate();
    runtime.block_on(world.shutdown());
}
