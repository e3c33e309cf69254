//! A user's quota ends ten downloads at once, on every kind of path, and what was moved is known after `kill -9`.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    thread,
    time::{Duration, Instant},
};

use hezar_lab::{Kind, World, WorldConfig};
use serde_json::Value;

use crate::harness::{Home, Instance, PATIENCE, eventually, open_tunnel};

const MIB: u64 = 1 << 20;
const QUOTA: u64 = 50 * MIB;
const TUNNELS: u64 = 10;
/// What one download would bring: together they are twice the quota.
const EACH: u64 = 10 * MIB;

/// Each user has the whole quota.
fn config() -> String {
    let user = |name| format!("{{ name = \"{name}\", password = \"p\", quota = {{ total = \"50MiB\" }} }}");
    format!(
        "[proxy]\nusers = [{}, {}, {}]\n[probe]\nurl = \"http://demo.hezar/generate_204\"\ntrace_url = \"\"\ncanary_url = \"\"\n\
         control = []\n[api]\ntoken = \"a-token-for-this-test\"\n[[source]]\nname = \"list\"\nfile = \"list.txt\"\nallow_private = true\n",
        user("alice"),
        user("bob"),
        user("carol"),
    )
}

/// A tunnel of a user; the head of the answer when it is refused.
fn tunnel(proxy: SocketAddr, user: &str) -> Result<TcpStream, String> {
    let login = match user {
        "alice" => "YWxpY2U6cA==",
        "bob" => "Ym9iOnA=",
        _ => "Y2Fyb2w6cA==",
    };
    open_tunnel(proxy, "demo.hezar:80", &format!("Proxy-Authorization: Basic {login}\r\n"))
}

/// Downloads until the tunnel ends; gives the bytes.
fn download(mut stream: TcpStream) -> u64 {
    let asked = format!("GET /bytes/{EACH} HTTP/1.1\r\nHost: demo.hezar\r\nConnection: close\r\n\r\n");
    if stream.write_all(asked.as_bytes()).is_err() {
        return 0;
    }
    let (mut piece, mut bytes) = (vec![0; 64 * 1024], 0);
    while let Ok(read @ 1..) = stream.read(&mut piece) {
        bytes += read as u64;
    }
    bytes
}

/// What the API says that a user has moved in all.
fn used(instance: &Instance, user: &str) -> u64 {
    let mut stream = TcpStream::connect(instance.api).unwrap();
    let path = format!("GET /api/v1/users/{user}/usage HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n", instance.api);
    write!(stream, "{path}Authorization: Bearer a-token-for-this-test\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200"), "{answer}");
    let told: Value = serde_json::from_str(body).unwrap();
    let number = |key: &str| told["total"][key].as_u64().unwrap();
    number("up") + number("down")
}

#[test]
fn ten_downloads_end_together_where_the_quota_ends() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    // Ciphers keep the bytes in this program; between SOCKS nodes and clients the kernel moves them.
    for (path, kinds, user) in [
        ("encrypted", vec![Kind::ShadowsocksChacha20, Kind::Shadowsocks2022], "alice"),
        ("spliced", vec![Kind::Socks5, Kind::Http], "bob"),
    ] {
        let world = runtime.block_on(World::start(WorldConfig::kinds(kinds))).unwrap();
        let home = Home::new();
        home.write("hezar.toml", config());
        home.write("list.txt", world.links());
        let instance = home.start(&[]);
        eventually("a tunnel", || tunnel(instance.proxy, user).ok());
        let begun = Instant::now();
        // All of them are open before the first one moves anything.
        let streams: Vec<_> = (0..TUNNELS).map(|_| tunnel(instance.proxy, user).unwrap()).collect();
        let downloads: Vec<_> = streams.into_iter().map(|stream| thread::spawn(move || download(stream))).collect();
        let received: u64 = downloads.into_iter().map(|download| download.join().unwrap()).sum();
        let took = begun.elapsed();
        let counted = used(&instance, user);
        let over = (counted.max(QUOTA) - QUOTA) as f64 * 100.0 / QUOTA as f64;
        println!(
            "{path}: {TUNNELS} downloads ended after {took:?}: {received} bytes received, {counted} counted, {over:.2} % over {QUOTA}"
        );
        assert!((QUOTA..=QUOTA + QUOTA / 20).contains(&counted), "{path}: {counted} of {QUOTA}");
        assert!(received <= QUOTA + QUOTA / 20, "{path}: {received} received of {QUOTA}");
        let refused = tunnel(instance.proxy, user).unwrap_err();
        assert!(refused.starts_with("HTTP/1.1 403") && refused.contains("quota-exceeded"), "{refused}");
        assert!(tunnel(instance.proxy, "carol").is_ok(), "the others go on");
        runtime.block_on(world.shutdown());
    }
}

#[test]
fn usage_survives_a_kill() {
    /// As much may be lost.
    const LOST: Duration = Duration::from_secs(10);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let world = runtime.block_on(World::start(WorldConfig::kinds([Kind::Shadowsocks2022]))).unwrap();
    let home = Home::new();
    home.write("hezar.toml", config());
    home.write("list.txt", world.links());
    let instance = home.start(&[]);
    let first = eventually("a tunnel", || tunnel(instance.proxy, "alice").ok());
    assert!(download(first) >= EACH, "the body and its head");
    let counted = used(&instance, "alice");
    thread::sleep(LOST);
    instance.kill();
    let instance = home.start(&[]);
    let kept = used(&instance, "alice");
    println!("{counted} bytes were counted 10 s before the kill, {kept} after it");
    assert_eq!(kept, counted);
    // The quota goes on where it was.
    let (mut received, begun) = (0, Instant::now());
    loop {
        match tunnel(instance.proxy, "alice") {
            Ok(stream) => received += download(stream),
            Err(refused) if refused.contains("quota-exceeded") => break,
            // The nodes are not probed yet.
            Err(_) => thread::sleep(Duration::from_millis(50)),
        }
        assert!(begun.elapsed() < PATIENCE, "{received}");
    }
    let total = used(&instance, "alice");
    assert!((QUOTA..=QUOTA + QUOTA / 20).contains(&total), "{total}");
    runtime.block_on(world.shutdown());
}
