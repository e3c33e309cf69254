//! The answers of the Clash API beside mihomo's: the same keys with the same types, but for what is named here.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
};

use hezar_interop::Peer;
use serde_json::{Value, json};

use crate::world::{Lab, Running, ask, eventually, free_addresses};

/// The types of the values at each path; the names in maps of nodes, groups and providers are `*`.
type Shape = BTreeMap<String, BTreeSet<&'static str>>;

/// Maps whose keys are names.
const BY_NAME: [&str; 4] = ["/proxies.proxies", "/providers/proxies.providers", "/providers/rules.providers", ".extra"];

/// What mihomo says and Hezar leaves out, each with the reason: dashboards do without it, and with thousands of nodes it is most of the bytes.
const LEFT_OUT: [&str; 12] = [
    // Of nodes, in providers.
    "/providers/proxies.providers.*.proxies[].xudp",
    "/providers/proxies.providers.*.proxies[].uot",
    "/providers/proxies.providers.*.proxies[].tfo",
    "/providers/proxies.providers.*.proxies[].mptcp",
    "/providers/proxies.providers.*.proxies[].smux",
    "/providers/proxies.providers.*.proxies[].interface",
    "/providers/proxies.providers.*.proxies[].routing-mark",
    "/providers/proxies.providers.*.proxies[].dialer-proxy",
    // Of groups that mihomo makes for its own configuration, and of built-in nodes, which are no groups.
    "/proxies.proxies.*.id",
    "/proxies.proxies.*.fixed",
    "/proxies.proxies.*.expectedStatus",
    "/group.proxies[].expectedStatus",
];

/// What Hezar says beyond mihomo.
const ADDED: [&str; 4] = [
    // For clients of sing-box's own form.
    "/configs.mode-list",
    "/configs.mode-list[]",
    "/configs.modes",
    "/configs.modes[]",
];

fn note(shape: &mut Shape, path: &str, value: &Value) {
    let kind = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "text",
        Value::Array(_) => "list",
        Value::Object(_) => "map",
    };
    shape.entry(path.to_owned()).or_default().insert(kind);
    match value {
        Value::Array(items) => items.iter().for_each(|item| note(shape, &format!("{path}[]"), item)),
        Value::Object(pairs) => {
            let by_name = BY_NAME.iter().any(|end| path.ends_with(end));
            for (key, value) in pairs {
                let key = if by_name { "*" } else { key.as_str() };
                note(shape, &format!("{path}.{key}"), value);
            }
        }
        _ => {}
    }
}

/// The first line of an answer without end.
fn first_line(address: SocketAddr, path: &str, headers: &str) -> Value {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(std::time::Duration::from_secs(30))).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\n{headers}\r\n").unwrap();
    let mut seen = String::new();
    loop {
        let mut buffer = [0; 1024];
        let count = stream.read(&mut buffer).unwrap();
        assert_ne!(count, 0, "{path} ended: {seen}");
        seen.push_str(&String::from_utf8_lossy(&buffer[..count]));
        let line = seen.split("\r\n\r\n").nth(1).and_then(|body| body.lines().find(|line| line.starts_with('{')));
        if let Some(value) = line.and_then(|line| serde_json::from_str(line).ok()) {
            return value;
        }
    }
}

/// Everything that a dashboard reads.
fn shape(controller: SocketAddr, headers: &str) -> Shape {
    let mut shape = Shape::new();
    for path in [
        "/version",
        "/configs",
        "/proxies",
        "/group",
        "/providers/proxies",
        "/rules",
        "/providers/rules",
        "/connections",
    ] {
        let answer = ask(controller, "GET", path, headers, "");
        assert_eq!(answer.status, 200, "{path}: {}", answer.body);
        note(&mut shape, path, &serde_json::from_str(&answer.body).unwrap());
    }
    for path in ["/traffic", "/memory"] {
        note(&mut shape, path, &first_line(controller, path, headers));
    }
    shape
}

/// Errors, as a status and a message.
fn errors(controller: SocketAddr, headers: &str) -> Vec<(String, u16, Value)> {
    let asks = [
        ("GET", "/proxies/absent", ""),
        ("GET", "/group/absent", ""),
        ("GET", "/providers/proxies/absent", ""),
        ("PUT", "/proxies/POOL", "{\"name\":\"absent\"}"),
        ("PUT", "/proxies/POOL", "{"),
        ("PUT", "/proxies/AUTO", "{\"name\":\"absent\"}"),
        ("PUT", "/proxies/absent", "{\"name\":\"absent\"}"),
        ("GET", "/group/POOL/delay", ""),
        ("GET", "/proxies/AUTO/delay?url=http://a.test/&timeout=40000", ""),
        ("DELETE", "/connections/absent", ""),
        ("PATCH", "/configs", "["),
    ];
    asks.into_iter()
        .map(|(method, path, body)| {
            let answer = ask(controller, method, path, headers, body);
            let message = serde_json::from_str(&answer.body).unwrap_or(Value::Null);
            (format!("{method} {path} {body}"), answer.status, message)
        })
        .collect()
}

/// A tunnel through a proxy that stays open.
fn hold(proxy: SocketAddr) -> TcpStream {
    let mut stream = TcpStream::connect(proxy).unwrap();
    stream.set_read_timeout(Some(std::time::Duration::from_secs(30))).unwrap();
    stream.write_all(b"CONNECT echo.hezar:7 HTTP/1.1\r\nHost: echo.hezar:7\r\n\r\nhello").unwrap();
    let mut seen = Vec::new();
    while !seen.ends_with(b"hello") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        seen.extend_from_slice(&byte);
    }
    stream
}

#[test]
fn answers_have_the_shape_of_mihomos() {
    let Some(lab) = Lab::start(Peer::Mihomo) else { return };
    let folder = lab.folder("mihomo");
    let [mixed, controller] = free_addresses(2)[..] else { panic!() };
    fs::write(folder.join("sub.yaml"), lab.subscription("clash", "").body).unwrap();
    let config = json!({
        "mixed-port": mixed.port(), "bind-address": "127.0.0.1", "mode": "rule", "ipv6": false, "secret": lab.token,
        "external-controller": controller.to_string(),
        "proxy-providers": { "sub": { "type": "file", "path": "./sub.yaml" } },
        "proxy-groups": [
            { "name": "POOL", "type": "select", "use": ["sub"], "proxies": ["AUTO"] },
            { "name": "AUTO", "type": "load-balance", "use": ["sub"], "url": "http://demo.hezar/", "interval": 3600 },
        ],
        "rules": ["MATCH,POOL"],
    });
    fs::write(folder.join("config.yaml"), config.to_string()).unwrap();
    let mut running = Running::start(&Peer::Mihomo.program().unwrap(), &["-d", "."], &folder);
    running.accepts(controller);
    running.accepts(mixed);
    let token = format!("Authorization: Bearer {}\r\n", lab.token);
    eventually("mihomo has tested its nodes", || {
        let provider: Value =
            serde_json::from_str(&ask(controller, "GET", "/providers/proxies/sub", &token, "").body).ok()?;
        provider["proxies"].as_array()?.iter().any(|node| node["history"][0].is_object()).then_some(())
    });
    let _open = (hold(mixed), hold(lab.proxy));
    let (theirs, ours) = (shape(controller, &token), shape(lab.api, &token));
    // What only one of them says is told and no failure: it depends on the nodes, and on which have been tested.
    let (mut wrong, mut alone) = (Vec::new(), Vec::new());
    for (path, kinds) in &ours {
        match theirs.get(path) {
            None if ADDED.contains(&path.as_str()) => {}
            None => alone.push(format!("Hezar alone says {path} ({kinds:?})")),
            // A list without elements is nothing to somebody who writes Go.
            Some(theirs) if kinds.iter().any(|kind| theirs.contains(kind)) || theirs.contains("null") => {}
            Some(theirs) => wrong.push(format!("{path} is {kinds:?} in Hezar and {theirs:?} in mihomo")),
        }
    }
    for (path, kinds) in &theirs {
        let beneath = |missing: &&str| path == *missing || path.starts_with(&format!("{missing}."));
        if !ours.contains_key(path) && !LEFT_OUT.iter().any(beneath) {
            alone.push(format!("mihomo alone says {path} ({kinds:?})"));
        }
    }
    println!("{}", alone.join("\n"));
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    println!("clients: {} keys of {} endpoints have mihomo's types", ours.len(), 10);

    let theirs = errors(controller, &token);
    let ours = errors(lab.api, &token);
    assert_eq!(theirs, ours);
    for (status, headers) in [(401, ""), (401, "Authorization: Bearer wrong\r\n")] {
        let [theirs, ours] = [controller, lab.api].map(|at| ask(at, "GET", "/version", headers, ""));
        assert_eq!((theirs.status, ours.status, theirs.body.trim()), (status, status, ours.body.trim()));
    }
}
