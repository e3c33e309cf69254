//! What the page does besides showing: signing in by the address of `hezar page`, testing the proxy, copying a link.

use std::{
    io::{Read, Write},
    net::TcpStream,
};

use serde_json::Value;

use crate::{
    api,
    harness::{Home, Instance, PATIENCE, eventually},
};

struct Program {
    instance: Instance,
    token: String,
    home: Home,
}

impl Program {
    fn start() -> Self {
        let home = Home::new();
        let instance = home.start(&["--demo"]);
        let token = home.read(".local/share/hezar/token").trim().to_owned();
        eventually("an answer", || matches!(instance.get("http://demo.hezar/"), Some((200, _))).then_some(()));
        Self { instance, token, home }
    }

    fn ask(&self, method: &str, path: &str, body: &str) -> (u16, Value) {
        let (status, body) = api::ask(self.instance.api, &self.token, method, path, body.as_bytes());
        (status, serde_json::from_str(&body).unwrap())
    }

    /// A request as the page sends it: without a token, with its own header; gives the whole answer.
    fn ask_as_page(&self, method: &str, path: &str, cookie: &str, body: &str) -> String {
        let mut stream = TcpStream::connect(self.instance.api).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nX-Hezar-Page: 1\r\nCookie: {cookie}\r\nConnection: close\r\n\
             Content-Length: {}\r\n\r\n{body}",
            self.instance.api,
            body.len()
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }
}

#[test]
fn the_command_gives_an_address_that_signs_in_once() {
    let program = Program::start();
    let said = program.home.run(&["page", "--print"]);
    let address = said.good().trim().to_owned();
    let (page, code) = address.split_once("/#code=").unwrap();
    assert_eq!(page, format!("http://{}", program.instance.api));
    let body = format!("{{\"code\":\"{code}\"}}");
    let answer = program.ask_as_page("POST", "/api/v1/session", "", &body);
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    let cookie = answer.lines().find_map(|line| line.strip_prefix("set-cookie: ")).unwrap();
    let cookie = cookie.split(';').next().unwrap();
    let status = program.ask_as_page("GET", "/api/v1/status", cookie, "");
    assert!(status.starts_with("HTTP/1.1 200 ") && status.contains("\"healthy\""), "{status}");
    assert!(program.ask_as_page("POST", "/api/v1/session", "", &body).starts_with("HTTP/1.1 401 "));
    assert!(program.ask_as_page("GET", "/", "", "").contains("<title>Hezar</title>"));
}

#[test]
fn a_test_names_the_exit_and_what_is_wrong() {
    let program = Program::start();
    let (status, report) = program.ask("POST", "/api/v1/test", "{}");
    assert_eq!(
        (status, report["works"].as_bool(), report["status"].as_u64()),
        (200, Some(true), Some(200)),
        "{report}"
    );
    assert_eq!(report["url"], "http://demo.hezar/cdn-cgi/trace");
    let (_, node) = program.ask("GET", &format!("/api/v1/nodes/{}", report["node"].as_str().unwrap()), "");
    assert_eq!((&node["exit_ip"], &node["country"]), (&report["exit_ip"], &report["country"]));
    // What the gateway refuses comes with its code.
    let (_, refused) = program.ask("POST", "/api/v1/test", r#"{"user":"alice-country-xx"}"#);
    assert_eq!(refused["works"], false, "{refused}");
    assert!(refused["code"].is_string() && refused["message"].is_string(), "{refused}");
    assert_eq!(program.ask("POST", "/api/v1/test", r#"{"listener":"none"}"#).0, 404);
    assert_eq!(program.ask("POST", "/api/v1/test", r#"{"url":"ftp://demo.hezar/"}"#).0, 400);
}

#[test]
fn a_node_that_was_removed_comes_back_by_its_link() {
    let program = Program::start();
    let (_, page) = program.ask("GET", "/api/v1/nodes?state=healthy&limit=1", "");
    let id = page["nodes"][0]["id"].as_str().unwrap();
    let (status, link) = program.ask("GET", &format!("/api/v1/nodes/{id}/link"), "");
    assert_eq!(status, 200);
    assert_eq!(program.ask("DELETE", &format!("/api/v1/nodes/{id}"), "").0, 200);
    let (_, added) = program.ask("POST", "/api/v1/nodes?allow_private=true", link["link"].as_str().unwrap());
    assert_eq!((added["added"].as_u64(), &added["ids"][0]), (Some(1), &page["nodes"][0]["id"]), "{added}");
    assert_eq!(program.ask("GET", "/api/v1/nodes/ffffffff/link", "").0, 404);
}
