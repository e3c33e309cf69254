//! The Clash API of a running instance: what a dashboard selects, tests and ends.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
};

use hezar_lab::{World, WorldConfig};
use serde_json::{Value, json};

use crate::harness::{Home, Instance, PATIENCE, eventually};

const TOKEN: &str = "a-token-for-this-test";

fn start(home: &Home, world: &World, more: &str) -> Instance {
    home.write("list.txt", world.links());
    let config = format!(
        "[probe]\nurl = \"http://demo.hezar/generate_204\"\ntrace_url = \"http://demo.hezar/cdn-cgi/trace\"\ncanary_url = \"\"\n\
         control = []\ntimeout = \"30s\"\n[api]\ntoken = \"{TOKEN}\"\n{more}\n\
         [[source]]\nname = \"list\"\nfile = \"list.txt\"\nallow_private = true\n"
    );
    home.write("hezar.toml", config);
    home.start(&[])
}

/// One request to the API: the status and the body.
fn ask(address: SocketAddr, method: &str, path: &str, body: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {TOKEN}\r\nConnection: close\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
}

fn get(instance: &Instance, path: &str) -> Value {
    let (status, body) = ask(instance.api, "GET", path, "");
    assert_eq!(status, 200, "{path}: {body}");
    serde_json::from_str(&body).unwrap()
}

/// The names of the nodes that work, once there are so many.
fn names(instance: &Instance, count: usize) -> Vec<String> {
    eventually("nodes that work", || {
        let provider = get(instance, "/providers/proxies/list");
        let alive = provider["proxies"].as_array().unwrap().iter().filter(|node| node["alive"] == true);
        let names: Vec<String> = alive.map(|node| node["name"].as_str().unwrap().to_owned()).collect();
        (names.len() == count).then_some(names)
    })
}

/// The node that serves a request.
fn served_by(instance: &Instance) -> String {
    let (status, body) = instance.get("http://demo.hezar/").unwrap();
    assert_eq!(status, 200, "{body}");
    serde_json::from_str::<Value>(&body).unwrap()["node"].as_str().unwrap().to_owned()
}

/// Such a name in a path.
fn encoded(name: &str) -> String {
    name.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

#[test]
fn a_selected_node_serves_the_next_request_also_after_a_crash() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let world = runtime.block_on(World::start(WorldConfig::healthy(4))).unwrap();
    let home = Home::new();
    let instance = start(&home, &world, "");
    let names = names(&instance, 4);
    for name in &names {
        let put = ask(instance.api, "PUT", "/proxies/POOL", &json!({ "name": name }).to_string());
        assert_eq!(put.0, 204, "{put:?}");
        for _ in 0..3 {
            assert_eq!(served_by(&instance), *name);
        }
    }
    let last = names.last().unwrap();
    instance.kill();
    let instance = home.start(&[]);
    eventually("the selected node is known to work", || {
        (get(&instance, "/proxies/POOL")["now"] == **last).then_some(())
    });
    assert_eq!(served_by(&instance), *last);
    let tested = get(&instance, &format!("/proxies/{}/delay?url=http://a.test/&timeout=10000", encoded(last)));
    assert!(tested["delay"].as_u64().is_some_and(|delay| delay > 0), "{tested}");
    assert_eq!(ask(instance.api, "DELETE", "/proxies/POOL", "").0, 204);
    assert_eq!(get(&instance, "/proxies/POOL")["now"], "AUTO");
    let tested = get(&instance, "/group/AUTO/delay?url=http://a.test/&timeout=10000");
    assert_eq!(tested.as_object().unwrap().len(), 4, "{tested}");
    instance.kill();
    let instance = home.start(&[]);
    assert_eq!(get(&instance, "/proxies/POOL")["now"], "AUTO", "that it was given up is remembered, too");
    instance.terminate();
    runtime.block_on(world.shutdown());
}

#[test]
fn a_connection_is_shown_and_ended_by_a_dashboard() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let world = runtime.block_on(World::start(WorldConfig::healthy(2))).unwrap();
    let home = Home::new();
    let instance = start(&home, &world, "");
    let names = names(&instance, 2);
    let mut tunnel = TcpStream::connect(instance.proxy).unwrap();
    tunnel.set_read_timeout(Some(PATIENCE)).unwrap();
    tunnel.write_all(b"CONNECT echo.hezar:7 HTTP/1.1\r\nHost: echo.hezar\r\n\r\nhello").unwrap();
    let mut seen = Vec::new();
    while !seen.ends_with(b"hello") {
        let mut byte = [0];
        tunnel.read_exact(&mut byte).unwrap();
        seen.extend_from_slice(&byte);
    }
    let connection = eventually("the tunnel is shown with its bytes", || {
        let all = get(&instance, "/connections")["connections"].as_array().unwrap().clone();
        all.into_iter().find(|connection| connection["download"] == 5)
    });
    assert_eq!(connection["metadata"]["host"], "echo.hezar");
    assert!(names.iter().any(|name| connection["chains"][0] == **name), "{connection}");
    let path = format!("/connections/{}", connection["id"].as_str().unwrap());
    assert_eq!(ask(instance.api, "DELETE", &path, "").0, 204);
    assert!(matches!(tunnel.read(&mut [0; 16]), Ok(0) | Err(_)), "it is cut");
    instance.terminate();
    runtime.block_on(world.shutdown());
}

#[test]
fn what_a_dashboard_stores_survives_and_its_settings_change_while_it_runs() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let world = runtime.block_on(World::start(WorldConfig::healthy(2))).unwrap();
    let home = Home::new();
    let instance = start(&home, &world, "");
    assert_eq!(ask(instance.api, "PUT", "/storage/board", "{\"theme\": \"dark\"}").0, 204);
    instance.kill();
    let instance = start(&home, &world, "[clash]\nui = \"board\"");
    assert_eq!(get(&instance, "/storage/board"), json!({ "theme": "dark" }));
    std::fs::create_dir(home.path().join("board")).unwrap();
    home.write("board/index.html", "<title>a board</title>");
    let (status, page) = ask(instance.api, "GET", "/ui/", "");
    assert!(status == 200 && page.contains("a board"), "{status} {page}");
    let text = home.read("hezar.toml").replace("ui = \"board\"", "enabled = false");
    home.write("hezar.toml", text);
    home.run(&["reload"]).good();
    assert_eq!(ask(instance.api, "GET", "/version", "").0, 404);
    instance.terminate();
    runtime.block_on(world.shutdown());
}

#[test]
fn a_dashboard_changes_the_log_level_and_sees_the_last_tests_of_a_node() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let world = runtime.block_on(World::start(WorldConfig::healthy(2))).unwrap();
    let home = Home::new();
    let instance = start(&home, &world, "");
    let names = names(&instance, 2);
    // Each probe is one more test, ten of them at most, the newest at the end.
    let tests = || {
        let node = get(&instance, &format!("/proxies/{}", encoded(&names[0])));
        let tests = node["history"].as_array().unwrap().clone();
        assert!(tests.is_sorted_by_key(|test| test["time"].as_str().unwrap().to_owned()), "{tests:?}");
        tests
    };
    for _ in 0..12 {
        assert_eq!(ask(instance.api, "POST", "/api/v1/probe", "{\"wait\": 30}").0, 200);
    }
    let tests = eventually("ten tests", || Some(tests()).filter(|tests| tests.len() == 10));
    assert!(tests.iter().all(|test| test["delay"].as_u64() > Some(0)), "{tests:?}");
    // The log tells more at once, and after a restart.
    let level = |instance: &Instance| get(instance, "/configs")["log-level"].as_str().unwrap().to_owned();
    assert_eq!(level(&instance), "info");
    assert_eq!(ask(instance.api, "PATCH", "/configs", "{\"log-level\": \"debug\"}"), (204, String::new()));
    assert_eq!(level(&instance), "debug");
    TcpStream::connect(instance.api).unwrap().write_all(b"no HTTP\r\n\r\n").unwrap();
    eventually("a line of this level", || {
        let lines = get(&instance, "/api/v1/log?level=debug")["items"].as_array().unwrap().clone();
        lines.iter().any(|line| line["message"] == "api connection ended").then_some(())
    });
    instance.kill();
    let instance = home.start(&[]);
    assert_eq!(level(&instance), "debug");
    assert_eq!(ask(instance.api, "PATCH", "/configs", "{\"log-level\": \"warning\"}").0, 204);
    assert_eq!(level(&instance), "warning");
    instance.terminate();
    // What the file says is changed in the file.
    let home = Home::new();
    let instance = start(&home, &world, "[log]\nlevel = \"info\"");
    let (status, message) = ask(instance.api, "PATCH", "/configs", "{\"log-level\": \"debug\"}");
    assert!(status == 409 && message.contains("log.level is said by line"), "{status} {message}");
    instance.terminate();
    runtime.block_on(world.shutdown());
}
