//! Everything that can be said is changed while the program runs, by the API, by the file and by the command line, under a tunnel of a
//! listener that nobody touches.

mod every_setting;
mod mistakes;
mod moving;
mod objects;
mod stopped;

use std::{
    collections::BTreeMap,
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
};

use serde_json::Value;

use crate::harness::{PATIENCE, eventually};

const TOKEN: &str = "a-token-for-this-test";
const CONFIG: &str = r#"
[api]
token = "a-token-for-this-test"
[probe]
url = "http://demo.hezar/generate_204"
trace_url = ""
canary_url = ""
control = []
timeout = "30s"
[[source]]
name = "first"
file = "first.txt"
allow_private = true
[[listener]]
name = "stays"
listen = "127.0.0.1:0"
"#;

/// A client of the API.
struct Client {
    api: SocketAddr,
    token: String,
}

impl Client {
    fn new(api: SocketAddr) -> Self {
        Self { api, token: TOKEN.to_owned() }
    }

    /// Asks the API, and gives the status and the JSON. A question is asked again where the API, which is changed as well, has hung up.
    fn ask(&self, method: &str, path: &str, body: &str) -> (u16, Value) {
        match method {
            "GET" => eventually(path, || self.ask_once(method, path, body)),
            _ => self.ask_once(method, path, body).unwrap(),
        }
    }

    fn ask_once(&self, method: &str, path: &str, body: &str) -> Option<(u16, Value)> {
        let (mut stream, token) = (TcpStream::connect(self.api).ok()?, &self.token);
        stream.set_read_timeout(Some(PATIENCE)).ok()?;
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        )
        .ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        let (head, body) = answer.split_once("\r\n\r\n")?;
        Some((head.split(' ').nth(1)?.parse().ok()?, serde_json::from_str(body).unwrap_or_default()))
    }

    /// Every setting as the API shows it, by its key.
    fn settings(&self) -> BTreeMap<String, Value> {
        let (status, all) = self.ask("GET", "/api/v1/settings", "");
        assert_eq!(status, 200);
        all.as_array().unwrap().iter().map(|one| (one["key"].as_str().unwrap().to_owned(), one.clone())).collect()
    }
}

/// Fails unless the tunnel carries a text both ways.
fn echoes(stream: &mut TcpStream, text: &str) {
    stream.write_all(text.as_bytes()).unwrap();
    let mut back = vec![0; text.len()];
    stream.read_exact(&mut back).unwrap_or_else(|error| panic!("the tunnel was cut ({error}) at {text}"));
    assert_eq!(back, text.as_bytes());
}
