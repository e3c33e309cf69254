//! The answers of the Clash API beside mihomo's: the same keys with the same types, but for what is named here.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
};

use hezar_interop::{
    Peer,
    harness::{Running, ask, eventually, free_addresses},
};
use serde_json::{Value, json};

use crate::world::Lab;

/// The types of the values at each path; the names in maps of nodes, groups and providers are `*`.
type Shape = BTreeMap<String, BTreeSet<&'static str>>;

/// Maps whose keys are names.
const BY_NAME: [&str; 4] = ["/proxies.proxies", "/providers/proxies.providers", "/providers/rules.providers", ".extra"];

/// Keys that only one of the two programs has, with the reason. A key that is in neither list fails the test.
type KnownDifferences = [(&'static str, &'static [&'static str])];

/// What mihomo says and Hezar leaves out.
const LEFT_OUT: &KnownDifferences = &[
    (
        "dashboards do without these fields of nodes, and with thousands of nodes they are most of the bytes",
        &[
            "/providers/proxies.providers.*.proxies[].xudp",
            "/providers/proxies.providers.*.proxies[].uot",
            "/providers/proxies.providers.*.proxies[].tfo",
            "/providers/proxies.providers.*.proxies[].mptcp",
            "/providers/proxies.providers.*.proxies[].smux",
            "/providers/proxies.providers.*.proxies[].interface",
            "/providers/proxies.providers.*.proxies[].routing-mark",
            "/providers/proxies.providers.*.proxies[].dialer-proxy",
        ],
    ),
    (
        "they are the tests of `history` once more, by the address that is asked; Hezar asks one address",
        &["/providers/proxies.providers.*.proxies[].extra.*"],
    ),
    (
        "mihomo makes a provider of each group, so its providers hold groups too",
        &[
            "/providers/proxies.providers.*.proxies[].all",
            "/providers/proxies.providers.*.proxies[].emptyFallback",
            "/providers/proxies.providers.*.proxies[].expectedStatus",
            "/providers/proxies.providers.*.proxies[].hidden",
            "/providers/proxies.providers.*.proxies[].icon",
            "/providers/proxies.providers.*.proxies[].now",
            "/providers/proxies.providers.*.proxies[].testUrl",
        ],
    ),
    (
        "only groups that test by themselves and built-in nodes have them, and Hezar has neither",
        &["/proxies.proxies.*.id", "/proxies.proxies.*.expectedStatus", "/group.proxies[].expectedStatus"],
    ),
    (
        "they configure inbounds that Hezar does not have",
        &[
            "/configs.tuic-server.ech-key",
            "/configs.tuic-server.mux-option",
            "/configs.tun.dns-hijack[]",
            "/configs.tun.file-descriptor",
            "/configs.tun.inet4-address",
            "/configs.tun.processors-per-channel",
            "/configs.tun.recvmsgx",
        ],
    ),
    ("Hezar does not count how often a rule is met", &["/rules.rules[].extra"]),
];

/// What Hezar says and mihomo does not.
const ADDED: &KnownDifferences = &[
    (
        "clients of sing-box's form of this API read the modes",
        &["/configs.mode-list", "/configs.mode-list[]", "/configs.modes", "/configs.modes[]"],
    ),
    (
        "the group AUTO shows the median latency of its nodes; mihomo tests no group of this type",
        &[
            "/group.proxies[].history[]",
            "/group.proxies[].history[].delay",
            "/group.proxies[].history[].time",
            "/proxies.proxies.*.history[]",
            "/proxies.proxies.*.history[].delay",
            "/proxies.proxies.*.history[].time",
        ],
    ),
];

/// The paths in a list of known differences, of which none may be out of date: each must be in `has` and not in `lacks`.
fn known_paths(list: &KnownDifferences, has: &Shape, lacks: &Shape) -> BTreeSet<&'static str> {
    for (reason, paths) in list {
        for path in *paths {
            assert!(
                has.contains_key(*path) && !lacks.contains_key(*path),
                "{path} is no difference any more: {reason}"
            );
        }
    }
    list.iter().flat_map(|(_, paths)| paths.iter().copied()).collect()
}

/// Whether a path is one of these or lies beneath one of them.
fn is_beneath(path: &str, known: &BTreeSet<&'static str>) -> bool {
    known.iter().any(|known| {
        path.strip_prefix(known).is_some_and(|rest| rest.is_empty() || rest.starts_with('.') || rest.starts_with('['))
    })
}

/// Every difference between two shapes that is not known, one a line.
fn differences(ours: &Shape, theirs: &Shape) -> Vec<String> {
    let (added, left_out) = (known_paths(ADDED, ours, theirs), known_paths(LEFT_OUT, theirs, ours));
    let mut found = Vec::new();
    for (path, kinds) in ours {
        match theirs.get(path) {
            None if added.contains(path.as_str()) => {}
            None => found.push(format!("Hezar alone has {path} ({kinds:?})")),
            // mihomo writes null for a list without elements.
            Some(theirs) if kinds.iter().any(|kind| theirs.contains(kind)) || theirs.contains("null") => {}
            Some(theirs) => found.push(format!("{path} is {kinds:?} in Hezar and {theirs:?} in mihomo")),
        }
    }
    for (path, kinds) in theirs {
        if !ours.contains_key(path) && !is_beneath(path, &left_out) {
            found.push(format!("mihomo alone has {path} ({kinds:?})"));
        }
    }
    found
}

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

/// A tunnel through a proxy that stays open; `None` when the proxy opens none now.
fn hold(proxy: SocketAddr) -> Option<TcpStream> {
    let mut stream = TcpStream::connect(proxy).ok()?;
    stream.set_read_timeout(Some(std::time::Duration::from_secs(30))).ok()?;
    stream.write_all(b"CONNECT echo.hezar:7 HTTP/1.1\r\nHost: echo.hezar:7\r\n\r\nhello").ok()?;
    let mut seen = Vec::new();
    while !seen.ends_with(b"hello") {
        let mut byte = [0];
        stream.read_exact(&mut byte).ok()?;
        seen.extend_from_slice(&byte);
    }
    Some(stream)
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
    // mihomo opens none before it has read its provider.
    let _open = [mixed, lab.proxy].map(|proxy| eventually("a tunnel", || hold(proxy)));
    let (theirs, ours) = (shape(controller, &token), shape(lab.api, &token));
    let found = differences(&ours, &theirs);
    assert!(found.is_empty(), "{}", found.join("\n"));
    println!("clients: {} keys of {} endpoints have mihomo's types", ours.len(), 10);

    let theirs = errors(controller, &token);
    let ours = errors(lab.api, &token);
    assert_eq!(theirs, ours);
    for (status, headers) in [(401, ""), (401, "Authorization: Bearer wrong\r\n")] {
        let [theirs, ours] = [controller, lab.api].map(|at| ask(at, "GET", "/version", headers, ""));
        assert_eq!((theirs.status, ours.status, theirs.body.trim()), (status, status, ours.body.trim()));
    }
}
