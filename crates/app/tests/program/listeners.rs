//! Several listeners in one instance: each has its own strategy, nodes, users and limits.

use std::{
    collections::BTreeSet,
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
};

use hezar_lab::{World, WorldConfig};
use serde_json::Value;

use crate::harness::{Home, PATIENCE, PROBE, echoes, eventually, tunnel};

const CONFIG: &str = r#"
[proxy]
strategy = "sticky"
[[listener]]
name = "german"
listen = "127.0.0.1:0"
countries = ["DE"]
strategy = "random"
users = [{ name = "anna", password = "a" }]
[[listener]]
name = "second"
listen = "127.0.0.1:0"
sources = ["second"]
strategy = "round-robin"
client_limits = { connections = 1 }
[[source]]
name = "first"
file = "first.txt"
allow_private = true
[[source]]
name = "second"
file = "second.txt"
allow_private = true
"#;
/// `anna:a`.
const ANNA: &str = "Proxy-Authorization: Basic YW5uYTph\r\n";

/// The status, and the index of the node that answered.
fn ask(proxy: SocketAddr, login: &str) -> (u16, Option<u64>) {
    let mut stream = TcpStream::connect(proxy).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let request = format!("GET http://demo.hezar/ HTTP/1.1\r\nHost: demo.hezar\r\n{login}Connection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    let index = serde_json::from_str(body).ok().and_then(|body: Value| body["index"].as_u64());
    (head.split(' ').nth(1).unwrap().parse().unwrap(), index)
}

/// The nodes that answer so many requests. A request may be counted as open a moment longer than its answer takes.
fn served(proxy: SocketAddr, login: &str, requests: usize) -> BTreeSet<u64> {
    let answer = || Some(ask(proxy, login)).filter(|(status, _)| *status == 200).and_then(|(_, index)| index);
    (0..requests).map(|_| eventually("an answer", answer)).collect()
}

#[test]
fn each_listener_has_its_own_strategy_nodes_users_and_limits() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let world = runtime.block_on(World::start(WorldConfig::healthy(12))).unwrap();
    let home = Home::new();
    let links = world.links();
    let lines: Vec<&str> = links.lines().collect();
    home.write("first.txt", lines[..6].join("\n"));
    home.write("second.txt", lines[6..].join("\n"));
    home.write("hezar.toml", [CONFIG, PROBE].concat());
    let instance = home.start(&[]);
    let (german, second) = (instance.listener("german"), instance.listener("second"));

    // Nodes and strategies: two Germans in no order, six of one source in turns, always the same one of all twelve.
    eventually("both German nodes", || (served(german, ANNA, 20) == BTreeSet::from([0, 6])).then_some(()));
    eventually("six in turns", || (served(second, "", 6) == (6..12).collect()).then_some(()));
    eventually("one that stays", || (served(instance.proxy, "", 10).len() == 1).then_some(()));

    // Users: the German listener has one of its own, and nobody else may use it.
    assert_eq!(ask(german, "").0, 407);
    assert_eq!(ask(german, "Proxy-Authorization: Basic YW5uYTpi\r\n").0, 407);

    // Limits: one open request for each client, at one of the three.
    let mut held = eventually("a tunnel", || tunnel(second));
    assert_eq!(ask(second, "").0, 429);
    assert_eq!((ask(instance.proxy, "").0, ask(german, ANNA).0), (200, 200));
    echoes(&mut held);
    drop(held);
    eventually("the place is free", || (ask(second, "").0 == 200).then_some(()));
    instance.terminate();
    runtime.block_on(world.shutdown());
}
