//! `hezar run --demo` as the README promises it: both protocols on one port, many nodes, the dead ones never.

use std::{
    collections::BTreeSet,
    io::{Read, Write},
    net::{TcpStream, UdpSocket},
    time::Duration,
};

use serde_json::Value;

use crate::harness::{Home, Instance, PATIENCE, eventually};

const URL: &str = "http://demo.hezar/";
const ROUNDS: usize = 50;
/// Dead servers of the demonstration world; their nodes stay out of every answer.
const DEAD: usize = 7;

#[test]
fn the_demo_serves_over_both_protocols() {
    let home = Home::new();
    let instance = home.start(&["--demo"]);
    let token = home.read(".local/share/hezar/token");
    eventually("a first answer", || answer(instance.get(URL)).map(drop));
    let mut used = BTreeSet::new();
    for round in 0..ROUNDS {
        let over_http = answer(instance.get(URL)).unwrap_or_else(|| panic!("HTTP request {round} failed"));
        let over_socks = answer(socks(&instance)).unwrap_or_else(|| panic!("SOCKS request {round} failed"));
        used.extend([over_http, over_socks]);
    }
    assert!(used.len() >= 5, "only {used:?}");

    home.write("api.toml", format!("[api]\nlisten = \"{}\"\ntoken = \"{}\"\n", instance.api, token.trim()));
    // A state may change between two looks: the two agree when nothing is being decided.
    let (healthy, dead) = eventually("a settled pool in which metrics and nodes agree", || {
        let before = states(&instance.ask_api("/metrics", ""));
        let said = home.run(&["--config", "api.toml", "nodes", "--json", "--limit", "1000"]);
        let nodes: Vec<Value> = said.good().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let count = |state: &str| nodes.iter().filter(|node| node["state"] == state).count();
        let listed = (count("healthy"), count("dead"));
        (listed == before && listed.1 == DEAD).then_some(listed)
    });
    assert_eq!(healthy + dead, 24);
    instance.terminate();
}

/// Two of ten kinds of servers of the demonstration carry datagrams; the gateway finds one of them.
#[test]
fn the_demo_carries_datagrams() {
    const QUESTION: &[u8] = b"\0\0\0\x03\x0aecho.hezar\x00\x07there and back";
    let home = Home::new();
    let instance = home.start(&["--demo"]);
    eventually("a first answer", || answer(instance.get(URL)).map(drop));
    let mut association = None;
    let answer = eventually("a datagram that comes back", || {
        let (control, socket) = association.take().or_else(|| associate(&instance))?;
        // A gateway that has given the association up has closed its socket.
        socket.send(QUESTION).ok()?;
        let mut buffer = [0; 100];
        match socket.recv(&mut buffer) {
            Ok(length) => Some(buffer[..length].to_vec()),
            Err(error) => {
                let silent = matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut);
                association = silent.then_some((control, socket));
                None
            }
        }
    });
    assert_eq!(answer, QUESTION);
    instance.terminate();
}

/// A SOCKS5 association: the stream that holds it, and a socket to the gateway's.
fn associate(instance: &Instance) -> Option<(TcpStream, UdpSocket)> {
    let mut control = TcpStream::connect(instance.proxy).ok()?;
    control.set_read_timeout(Some(PATIENCE)).ok()?;
    control.write_all(b"\x05\x01\x00\x05\x03\x00\x01\0\0\0\0\0\0").ok()?;
    let mut reply = [0; 12];
    control.read_exact(&mut reply).ok()?;
    let [5, 0, 5, 0, 0, 1, a, b, c, d, high, low] = reply else { return None };
    let socket = UdpSocket::bind("127.0.0.1:0").ok()?;
    socket.connect((std::net::Ipv4Addr::new(a, b, c, d), u16::from_be_bytes([high, low]))).ok()?;
    socket.set_read_timeout(Some(Duration::from_millis(500))).ok()?;
    Some((control, socket))
}

/// The node that answered, when the answer is a good one.
fn answer(got: Option<(u16, String)>) -> Option<String> {
    let (status, body) = got?;
    let body: Value = serde_json::from_str(&body).ok()?;
    (status == 200).then(|| body["node"].as_str().map(str::to_owned)).flatten()
}

/// The same request through SOCKS5, the name resolved by the exit.
fn socks(instance: &Instance) -> Option<(u16, String)> {
    let mut stream = TcpStream::connect(instance.proxy).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).ok()?;
    stream.write_all(b"\x05\x01\x00\x05\x01\x00\x03\x0ademo.hezar\x00\x50").ok()?;
    let mut reply = [0; 12];
    stream.read_exact(&mut reply).ok()?;
    if reply[..4] != [5, 0, 5, 0] {
        return None;
    }
    stream.write_all(b"GET / HTTP/1.1\r\nHost: demo.hezar\r\nConnection: close\r\n\r\n").ok()?;
    let mut text = String::new();
    stream.read_to_string(&mut text).ok()?;
    let (head, body) = text.split_once("\r\n\r\n")?;
    Some((head.split(' ').nth(1)?.parse().ok()?, body.to_owned()))
}

/// The healthy and the dead nodes of the metrics.
fn states(metrics: &str) -> (usize, usize) {
    let value = |state: &str| {
        let name = format!("hezar_pool_nodes{{state=\"{state}\"}} ");
        metrics.lines().find_map(|line| line.strip_prefix(&name)).and_then(|number| number.parse().ok()).unwrap_or(0)
    };
    (value("healthy"), value("dead"))
}
