//! What the API and the commands do to a running instance, and what strangers cannot do to it.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    process::Command,
    time::{Duration, Instant},
};

use hezar_lab::{World, WorldConfig};
use serde_json::Value;

use crate::{
    api,
    harness::{Home, Instance, eventually},
};

const TOKEN: &str = "a-token-for-this-test";

/// An instance over a source that lists these nodes.
fn start(home: &Home, list: &str) -> Instance {
    home.write("list.txt", list);
    home.write(
        "hezar.toml",
        format!(
            "[probe]\nurl = \"http://demo.hezar/generate_204\"\ntrace_url = \"\"\ncontrol = []\ninterval = \"1h\"\n\
             [proxy]\nnode_wait = \"0s\"\n[api]\ntoken = \"{TOKEN}\"\n\
             [[source]]\nname = \"list\"\nfile = \"list.txt\"\ninterval = \"1h\"\nallow_private = true\n\
             [[source]]\nname = \"paused\"\nlinks = [\"socks5://11.0.0.9:9\"]\nenabled = false\n"
        ),
    );
    home.start(&[])
}

/// One request to the API: the status and the body.
fn ask(address: SocketAddr, method: &str, path: &str, body: &[u8]) -> (u16, String) {
    api::ask(address, TOKEN, method, path, body)
}

fn json(answer: &(u16, String)) -> Value {
    serde_json::from_str(&answer.1).unwrap_or_else(|error| panic!("{error}: {answer:?}"))
}

#[test]
fn probe_and_fetch_ask_the_running_instance() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let world = runtime.block_on(World::start(WorldConfig::healthy(4))).unwrap();
    let home = Home::new();
    // Nothing listens on the discard port of this address.
    let dead = "socks5://dead:x@127.0.0.9:9\n";
    let instance = start(&home, dead);
    let reason = eventually("a reason", || {
        let reason = json(&ask(instance.api, "GET", "/api/v1/status", b""))["reason"].as_str().map(str::to_owned);
        reason.filter(|reason| reason.contains("none of them works") || reason.contains("dead"))
    });
    let (status, body) = instance.get("http://demo.hezar/").unwrap();
    assert!(status == 503 && body.contains("pool-empty"), "{status} {body}");
    assert!(body.contains(reason.split(',').next_back().unwrap_or_default()) || body.contains(": "), "{body}");
    assert!(home.run(&["status"]).good().contains("no request can be served: "));

    home.write("list.txt", format!("{dead}{}", world.links()));
    let said = home.run(&["fetch", "--json"]);
    let fetched: Value = serde_json::from_str(said.good()).unwrap();
    assert_eq!((&fetched["source"], &fetched["nodes"], &fetched["added"]), (&"list".into(), &5.into(), &4.into()));
    home.run(&["fetch", "--source", "absent"]).refused(1, &["absent"]);
    home.run(&["fetch", "--source", "paused"]).refused(1, &["paused", "switched off"]);

    let said = home.run(&["probe", "--json"]);
    let works = said.good().lines().filter(|line| line.contains("\"works\":true")).count();
    assert_eq!((said.out.lines().count(), works), (5, 4), "{said:?}");
    assert!(matches!(instance.get("http://demo.hezar/"), Some((200, _))));
    eventually("no reason any more", || {
        json(&ask(instance.api, "GET", "/api/v1/status", b""))["reason"].is_null().then_some(())
    });

    // By filter, by id, and without waiting.
    let answer = ask(instance.api, "POST", "/api/v1/probe", br#"{"state":"healthy","source":"list"}"#);
    assert_eq!((answer.0, json(&answer)["works"].as_u64()), (200, Some(4)), "{answer:?}");
    let answer = ask(instance.api, "POST", "/api/v1/probe", br#"{"wait":0}"#);
    assert_eq!((answer.0, json(&answer)["asked"].as_u64()), (202, Some(5)), "{answer:?}");
    assert_eq!(ask(instance.api, "POST", "/api/v1/probe", br#"{"state":"odd"}"#).0, 400);
    assert_eq!(ask(instance.api, "POST", "/api/v1/fetch", br#"{"sources":["absent"]}"#).0, 400);
    let best = home.run(&["nodes", "--json"]);
    let id =
        serde_json::from_str::<Value>(best.good().lines().next().unwrap()).unwrap()["id"].as_str().unwrap().to_owned();
    assert_eq!(home.run(&["probe", "--json", &id]).out.lines().count(), 1);
    let sorted = json(&ask(instance.api, "GET", "/api/v1/nodes?sort=best", b""));
    assert_eq!(sorted["nodes"][4]["scheme"], "socks5", "{sorted}");
    assert_ne!(sorted["nodes"][4]["state"], "healthy", "{sorted}");
    assert_eq!(ask(instance.api, "GET", "/api/v1/nodes?sort=colour", b"").0, 400);
    instance.terminate();
    runtime.block_on(world.shutdown());
}

#[test]
fn links_by_hand_are_added_or_refused_with_what_to_do() {
    let home = Home::new();
    let instance = start(&home, "socks5://11.0.0.1:1\n");
    let said = home.run(&["add", "socks5://127.0.0.1:9050"]);
    assert_eq!(said.code, Some(1), "{said:?}");
    assert!(said.out.contains("forbidden-address") && said.out.contains("--allow-private"), "{said:?}");
    let said = home.run(&["add", "--allow-private", "socks5://127.0.0.1:9050"]);
    assert!(said.good().contains("1 added"), "{said:?}");
    let said = home.run(&["add", "https://t.me/some_channel", "https://sub.example/x"]);
    assert!(
        said.out.contains("telegram = \"some_channel\"") && said.out.contains("url = \"https://sub.example/x\""),
        "{said:?}"
    );
    // Bytes that are no UTF-8 are read as those of a source.
    let answer =
        ask(instance.api, "POST", "/api/v1/nodes", b"socks5://11.0.0.2:1#\xc4\xe3\xba\xc3\nsocks5://11.0.0.3:1\n");
    assert_eq!((answer.0, json(&answer)["added"].as_u64()), (200, Some(2)), "{answer:?}");
    assert_eq!(json(&ask(instance.api, "GET", "/api/v1/nodes?source=manual", b""))["total"], 2);
    assert_eq!(json(&ask(instance.api, "GET", "/api/v1/nodes?source=manual-private", b""))["total"], 1);
    // They are there after a restart, and the private one may still be dialled.
    instance.kill();
    let instance = home.start(&[]);
    assert_eq!(json(&ask(instance.api, "GET", "/api/v1/nodes?source=manual", b""))["total"], 2);
    let private = json(&ask(instance.api, "POST", "/api/v1/probe", br#"{"source":"manual-private"}"#));
    assert_ne!(private["nodes"][0]["error"], "forbidden-address", "{private}");
    instance.terminate();
}

/// Closing a terminal, or an operator's `kill -HUP`, ends nothing: the configuration is read again, and has not changed.
#[cfg(unix)]
#[test]
fn a_hangup_ends_nothing() {
    let home = Home::new();
    let instance = start(&home, "socks5://11.0.0.1:1\n");
    let pid = instance.pid().to_string();
    for _ in 0..3 {
        assert!(Command::new("kill").args(["-HUP", &pid]).status().unwrap().success());
    }
    assert_eq!(ask(instance.api, "GET", "/healthz", b"").0, 200);
    let log = instance.terminate();
    assert!(log.iter().any(|line| line.contains("SIGHUP")), "{log:#?}");
}

/// Asks /healthz over sixteen connections that are all open before the first is answered.
fn sixteen_at_once(address: SocketAddr) -> std::io::Result<()> {
    let open = |_| {
        let mut stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        write!(stream, "GET /healthz HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n")?;
        Ok(stream)
    };
    let streams = (0..16).map(open).collect::<std::io::Result<Vec<_>>>()?;
    streams.into_iter().try_for_each(|mut stream| stream.read_exact(&mut [0; 12]))
}

/// Scrapers without a token, sockets that never read, and large lists: a client of the proxy is served all the while.
#[test]
fn strangers_at_the_api_do_not_stop_the_proxy() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let world = runtime.block_on(World::start(WorldConfig::healthy(4))).unwrap();
    let home = Home::new();
    let mut list = world.links();
    for number in 0..20_000_u32 {
        let [_, b, c, d] = number.to_be_bytes();
        list.push_str(&format!("socks5://u:x@127.{}.{c}.{d}:9\n", b + 10));
    }
    let instance = start(&home, &list);
    eventually("an answer", || matches!(instance.get("http://demo.hezar/"), Some((200, _))).then_some(()));
    let served = |what: &str| {
        let mut slowest = Duration::ZERO;
        for _ in 0..30 {
            let begun = Instant::now();
            let got = instance.get("http://demo.hezar/");
            assert!(matches!(got, Some((200, _))), "{what}: {got:?}");
            slowest = slowest.max(begun.elapsed());
        }
        slowest
    };
    let before = served("before");
    let silent: Vec<TcpStream> = (0..300)
        .filter_map(|_| {
            let mut stream = TcpStream::connect(instance.api).ok()?;
            let request = format!("GET /metrics HTTP/1.1\r\nHost: {}\r\n\r\n", instance.api);
            // Those beyond the limit of one address are closed.
            let _ = stream.write_all(request.repeat(20).as_bytes());
            Some(stream)
        })
        .collect();
    let during = served("while sockets do not read");
    drop(silent);
    let address = instance.api;
    // The places of connections that have ended are free when the program has seen that.
    eventually("room at the API", || sixteen_at_once(address).ok());
    let scraping: Vec<_> = (0..8)
        .map(|_| {
            std::thread::spawn(move || {
                for _ in 0..20 {
                    assert_eq!(ask(address, "GET", "/metrics", b"").0, 200);
                    assert_eq!(ask(address, "GET", "/healthz", b"").0, 200);
                }
            })
        })
        .collect();
    let lists: Vec<_> = (0..2_u8)
        .map(|number| {
            let list: String =
                (0..20_000_u32).map(|n| format!("socks5://11.{number}.{}.{}:1\n", n / 250, n % 250)).collect();
            std::thread::spawn(move || {
                let (status, told) = ask(address, "POST", "/api/v1/nodes", list.as_bytes());
                // On a slow disk all of it is accepted before all of it is stored.
                assert!(matches!(status, 200 | 202), "{status}: {told:.300}");
            })
        })
        .collect();
    let loaded = served("while metrics are scraped and lists are posted");
    scraping.into_iter().chain(lists).for_each(|thread| thread.join().unwrap());
    println!(
        "slowest of 30 requests: {before:?} alone, {during:?} beside deaf sockets, {loaded:?} beside scrapers and lists"
    );
    instance.terminate();
    runtime.block_on(world.shutdown());
}
