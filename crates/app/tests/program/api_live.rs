//! Connections, events, the log and jobs of a running instance, as a program sees them.

use std::{
    io::{BufRead, BufReader, Read, Write},
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
    _home: Home,
}

impl Program {
    fn start() -> Self {
        let home = Home::new();
        let instance = home.start(&["--demo"]);
        let token = home.read(".local/share/hezar/token").trim().to_owned();
        eventually("an answer", || matches!(instance.get("http://demo.hezar/"), Some((200, _))).then_some(()));
        Self { instance, token, _home: home }
    }

    fn ask(&self, method: &str, path: &str, body: &str) -> (u16, Value) {
        let (status, body) = api::ask(self.instance.api, &self.token, method, path, body.as_bytes());
        (status, serde_json::from_str(&body).unwrap())
    }

    /// Opens a tunnel and keeps it.
    fn tunnel(&self) -> TcpStream {
        eventually("a tunnel", || {
            let mut stream = TcpStream::connect(self.instance.proxy).ok()?;
            stream.set_read_timeout(Some(PATIENCE)).ok()?;
            stream.write_all(b"CONNECT demo.hezar:80 HTTP/1.1\r\nHost: demo.hezar:80\r\n\r\n").ok()?;
            let mut status = [0; 12];
            stream.read_exact(&mut status).ok()?;
            (status == *b"HTTP/1.1 200").then_some(stream)
        })
    }

    /// The events of a topic from now on, each with its JSON.
    fn events(&self, topics: &str) -> impl Iterator<Item = (String, Value)> + use<> {
        let mut stream = TcpStream::connect(self.instance.api).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        write!(
            stream,
            "GET /api/v1/events?topics={topics} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {}\r\n\r\n",
            self.token
        )
        .unwrap();
        let mut lines = BufReader::new(stream).lines();
        // Behind the head of the answer nothing is missed.
        while !lines.next().unwrap().unwrap().is_empty() {}
        let mut name = String::new();
        lines.map_while(Result::ok).filter_map(move |line| {
            if let Some(event) = line.strip_prefix("event: ") {
                name = event.to_owned();
            }
            let data = line.strip_prefix("data: ")?;
            Some((name.clone(), serde_json::from_str(data).unwrap()))
        })
    }
}

#[test]
fn connections_are_listed_while_they_live_and_ended() {
    let program = Program::start();
    let mut tunnels: Vec<TcpStream> = (0..3).map(|_| program.tunnel()).collect();
    let path = "/api/v1/connections?inbound=connect&target=demo.HEZAR&limit=2";
    let (_, page) = program.ask("GET", path, "");
    assert_eq!((page["total"].as_u64(), page["items"].as_array().unwrap().len()), (Some(3), 2), "{page}");
    assert_eq!(page["items"][0]["client"], "127.0.0.1");
    let next = page["next"].as_str().unwrap();
    let (_, rest) = program.ask("GET", &format!("{path}&cursor={next}"), "");
    assert_eq!(rest["items"].as_array().unwrap().len(), 1, "{rest}");
    for (path, status) in [
        ("/api/v1/connections?client=nobody", 400),
        ("/api/v1/connections?sort=colour", 400),
        ("/api/v1/connections?node=0000000000000000", 404),
        ("/api/v1/connections?user=nobody&sort=-down", 200),
    ] {
        assert_eq!(program.ask("GET", path, "").0, status, "{path}");
    }
    let first = page["items"][0]["id"].as_u64().unwrap();
    assert_eq!(program.ask("DELETE", &format!("/api/v1/connections/{first}"), "").0, 200);
    let ended = program.ask("DELETE", "/api/v1/connections", r#"{"inbound":"connect"}"#).1;
    assert!(ended["ended"].as_u64().unwrap() >= 2, "{ended}");
    for tunnel in &mut tunnels {
        let mut rest = Vec::new();
        // An end by reset is an end as well.
        let _ = tunnel.read_to_end(&mut rest);
    }
    eventually("no tunnel", || (program.ask("GET", path, "").1["total"] == 0).then_some(()));
    assert_eq!(program.ask("DELETE", &format!("/api/v1/connections/{first}"), "").0, 404);
    program.instance.terminate();
}

#[test]
fn events_tell_traffic_counts_nodes_and_jobs() {
    let program = Program::start();
    let mut events = program.events("traffic,counts,jobs,log");
    let (status, report) = program.ask("POST", "/api/v1/probe", r#"{"wait":0}"#);
    let job = report["job"].as_str().unwrap().to_owned();
    assert_eq!(status, 202);
    let mut missing = vec!["traffic", "counts", "jobs"];
    while !missing.is_empty() {
        let (name, data) = events.next().unwrap();
        match &*name {
            "traffic" => assert!(data["down"].as_u64().is_some()),
            "counts" => assert!(data["nodes"]["healthy"].as_u64().is_some()),
            "jobs" => assert_eq!(data["id"], *job),
            _ => {}
        }
        missing.retain(|wanted| *wanted != name);
    }
    let done = eventually("the end of the job", || {
        let (_, job) = program.ask("GET", &format!("/api/v1/jobs/{job}"), "");
        (job["state"] == "done").then_some(job)
    });
    assert_eq!(done["result"]["asked"], report["asked"]);
    assert_eq!(done["result"]["pending"], 0, "{done}");
    let (_, log) = program.ask("GET", "/api/v1/log?search=proxy%20listens", "");
    assert_eq!(log["items"][0]["message"], "proxy listens", "{log}");
    assert!(program.ask("GET", "/api/v1/log?level=error", "").1["items"].as_array().unwrap().is_empty());
    assert_eq!(program.ask("GET", "/api/v1/log?level=loud", "").0, 400);
    // Clients that watch do not hold up the end.
    let log = program.instance.terminate();
    assert!(!log.iter().any(|line| line.contains("cut off")), "{log:#?}");
}

#[test]
fn every_refusal_is_explained() {
    let program = Program::start();
    let (_, codes) = program.ask("GET", "/api/v1/errors", "");
    assert!(codes.as_array().unwrap().len() > 100);
    for path in ["/api/v1/nodes/absent", "/api/v1/nodes?state=odd", "/api/v1/jobs/9"] {
        let (_, problem) = program.ask("GET", path, "");
        let (status, told) = program.ask("GET", problem["type"].as_str().unwrap(), "");
        assert_eq!((status, &told["code"]), (200, &problem["code"]), "{path}");
        assert!(told["advice"].as_str().unwrap().ends_with('.'));
    }
    assert_eq!(program.ask("GET", "/api/v1/version", "").1["version"], env!("CARGO_PKG_VERSION"));
    let (_, instances) = program.ask("GET", "/api/v1/instances", "");
    assert_eq!(instances[0]["pid"].as_u64(), Some(program.instance.pid().into()));
    program.instance.terminate();
}
