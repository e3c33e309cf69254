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

use crate::api;

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

    /// One request: the status and the JSON.
    fn ask(&self, method: &str, path: &str, body: &str) -> (u16, Value) {
        let (status, body) = api::ask(self.api, &self.token, method, path, body.as_bytes());
        (status, serde_json::from_str(&body).unwrap_or_default())
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
