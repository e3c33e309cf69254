//! Sources that bring nothing good: each is named with its code, and the good one beside them still counts.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::Arc,
    thread,
};

use serde_json::Value;

use crate::harness::Home;

/// Each bad source, the code that names it, and what the server does.
const BAD: [(&str, &str); 6] = [
    ("missing", "http-status"),
    ("page", "source-no-nodes"),
    ("gigabyte", "too-large"),
    ("endless", "too-large"),
    ("bomb", "too-large"),
    ("garbage", "source-no-nodes"),
];

#[test]
fn each_bad_source_is_named_and_the_good_one_counts() {
    let site = Site::start();
    let home = Home::new();
    let mut config = String::from("[store]\nurl = \"sqlite:hezar.db\"\n");
    for name in BAD.map(|(name, _)| name).iter().chain(&["good"]) {
        config.push_str(&format!(
            "[[source]]\nname = \"{name}\"\nurl = \"http://{}/{name}\"\nmax_bytes = \"1MiB\"\nallow_private = true\n",
            site.0
        ));
    }
    home.write("hezar.toml", config);
    let said = home.run(&["fetch", "--json"]);
    let rows: Vec<Value> = said.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let row = |name: &str| rows.iter().find(|row| row["source"] == name).unwrap_or_else(|| panic!("{name}: {said:?}"));
    for (name, code) in BAD {
        assert_eq!(row(name)["error"], code, "{name}: {said:?}");
    }
    assert_eq!(row("good")["nodes"], 1, "{said:?}");
    assert_eq!(home.run(&["export"]).good().lines().count(), 1);
    // For people: a table that names the source and the reason.
    let table = home.run(&["fetch"]);
    for (name, code) in BAD {
        let line = table.out.lines().find(|line| line.contains(name)).unwrap_or_else(|| panic!("{name}: {table:?}"));
        assert!(line.contains(code), "{line}");
    }
}

/// A server of one answer for each path, until the process ends.
struct Site(SocketAddr);

impl Site {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let bomb = Arc::new(bomb());
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let bomb = Arc::clone(&bomb);
                // A client that has seen enough hangs up: that ends the answer.
                thread::spawn(move || drop(serve(stream, &bomb)));
            }
        });
        Self(address)
    }
}

fn serve(mut stream: TcpStream, bomb: &[u8]) -> std::io::Result<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") && head.len() < 16 * 1024 {
        let mut byte = [0];
        stream.read_exact(&mut byte)?;
        head.push(byte[0]);
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let path = head.split(' ').nth(1).unwrap_or_default();
    let mut whole = |more: &str, body: &[u8]| {
        write!(stream, "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {}\r\n{more}\r\n", body.len())?;
        stream.write_all(body)
    };
    match path {
        "/page" => whole("Content-Type: text/html\r\n", b"<!doctype html><title>Sign in</title><p>no list here</p>"),
        "/bomb" => whole("Content-Encoding: gzip\r\n", bomb),
        "/garbage" => whole("", b"3q2+796tvu/erb7v3q2+796tvu/erb7v3q2+796tvu8="),
        "/good" => whole("", b"socks5://u:p@127.0.0.1:1080#good\n"),
        "/gigabyte" => {
            write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", 1_u64 << 30)?;
            endless(&mut stream)
        }
        "/endless" => {
            write!(stream, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")?;
            endless(&mut stream)
        }
        _ => write!(stream, "HTTP/1.1 404 Not Found\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"),
    }
}

/// Bytes until the client hangs up, at most a gigabyte.
fn endless(stream: &mut TcpStream) -> std::io::Result<()> {
    let block = [b'x'; 64 * 1024];
    for _ in 0..(1 << 30) / block.len() {
        stream.write_all(&block)?;
    }
    Ok(())
}

/// Sixty-four megabytes of zeroes, a thousandth of that on the wire.
fn bomb() -> Vec<u8> {
    let zeroes = vec![0; 64 << 20];
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        use tokio::io::AsyncReadExt;
        let mut bytes = Vec::new();
        async_compression::tokio::bufread::GzipEncoder::new(zeroes.as_slice()).read_to_end(&mut bytes).await.unwrap();
        bytes
    })
}
