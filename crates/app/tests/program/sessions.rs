//! Sessions, feedback and explanations of a running instance, as a program asks for them.

use std::{
    io::{Read, Write},
    net::TcpStream,
};

use serde_json::Value;

use crate::{
    api,
    harness::{Home, Instance, eventually},
};

/// A request to the API: the status and the JSON.
fn ask(instance: &Instance, token: &str, method: &str, path: &str, body: &str) -> (u16, Value) {
    let (status, body) = api::ask(instance.api, token, method, path, body.as_bytes());
    (status, serde_json::from_str(&body).unwrap())
}

/// The node that served a request of this user name, which is a base64 text with its colon.
fn node(instance: &Instance, login: &str) -> Option<String> {
    let mut stream = TcpStream::connect(instance.proxy).ok()?;
    let url = "http://demo.hezar/";
    write!(
        stream,
        "GET {url} HTTP/1.1\r\nHost: demo.hezar\r\nProxy-Authorization: Basic {login}\r\nConnection: close\r\n\r\n"
    )
    .ok()?;
    let mut text = String::new();
    stream.read_to_string(&mut text).ok()?;
    let body: Value = serde_json::from_str(text.split_once("\r\n\r\n")?.1).ok()?;
    body["node"].as_str().map(str::to_owned)
}

#[test]
fn sessions_are_kept_rotated_explained_and_ended() {
    let home = Home::new();
    let instance = home.start(&["--demo"]);
    let token = home.read(".local/share/hezar/token").trim().to_owned();
    // alice-session-a1:x
    let login = "YWxpY2Utc2Vzc2lvbi1hMTp4";
    eventually("many exits", || {
        let (_, status) = ask(&instance, &token, "GET", "/api/v1/status", "");
        (status["exits"].as_u64() >= Some(5)).then_some(())
    });
    let first = eventually("a first answer", || node(&instance, login));
    for _ in 0..10 {
        assert_eq!(node(&instance, login).as_ref(), Some(&first), "the session keeps its exit");
    }
    let (status, sessions) = ask(&instance, &token, "GET", "/api/v1/sessions", "");
    assert_eq!((status, sessions.as_array().unwrap().len()), (200, 1), "{sessions}");
    let session = &sessions[0];
    assert_eq!((session["user"].as_str(), session["session"].as_str()), (Some("alice"), Some("a1")));
    let id = session["id"].as_str().unwrap();

    let (status, told) =
        ask(&instance, &token, "GET", "/api/v1/explain?user=alice-session-a1&host=demo.hezar&top=3", "");
    assert_eq!(status, 200, "{told}");
    assert_eq!(told["pinned"], session["node"]);
    assert_eq!(told["candidates"].as_array().unwrap().len(), 3);
    assert!(told["excluded"].as_array().unwrap().iter().any(|reason| reason["count"].as_u64() > Some(0)), "{told}");

    let (_, told) = ask(&instance, &token, "GET", "/api/v1/explain?network=udp", "");
    let mute = told["excluded"].as_array().unwrap().iter().find(|reason| reason["reason"] == "datagrams");
    assert!(mute.is_some_and(|mute| mute["count"].as_u64() > Some(0)), "{told}");
    assert_eq!(ask(&instance, &token, "GET", "/api/v1/explain?network=pigeon", "").0, 400);

    let (status, rotated) = ask(&instance, &token, "POST", &format!("/api/v1/sessions/{id}/rotate"), "");
    assert_eq!(status, 200, "{rotated}");
    assert_ne!(rotated["exit_ip"], session["exit_ip"], "another exit");
    let second = node(&instance, login).unwrap();
    assert_ne!(second, first);

    let blocked = format!(r#"{{"session":"{id}","site":"www.demo.hezar","verdict":"blocked"}}"#);
    let (status, noted) = ask(&instance, &token, "POST", "/api/v1/feedback", &blocked);
    assert_eq!((status, noted["site"].as_str()), (200, Some("demo.hezar")), "{noted}");
    let (_, told) = ask(&instance, &token, "GET", "/api/v1/explain?host=demo.hezar", "");
    let reasons: Vec<_> = told["excluded"].as_array().unwrap().iter().map(|reason| &reason["reason"]).collect();
    assert!(reasons.contains(&&Value::from("site")), "{told}");

    assert_eq!(ask(&instance, &token, "DELETE", &format!("/api/v1/sessions/{id}"), "").0, 200);
    assert_eq!(ask(&instance, &token, "DELETE", &format!("/api/v1/sessions/{id}"), "").0, 404);
    assert_eq!(ask(&instance, &token, "POST", "/api/v1/sessions/zz/rotate", "").0, 400);
    instance.terminate();
}
