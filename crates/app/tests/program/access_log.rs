//! The access log and what privacy leaves out, as a whole program writes them.

use std::{
    fs,
    io::{Read, Write},
    net::TcpStream,
    path::PathBuf,
    process::Command,
};

use hezar_lab::{World, WorldConfig};
use serde_json::Value;

use crate::harness::{Home, Instance, PATIENCE, PROBE, echoes, eventually, tunnel};

fn config(home: &Home, more: &str) {
    let text = format!(
        "{PROBE}[api]\ntoken = \"a-token-for-this-test\"\n{more}\n[[source]]\nname = \"list\"\nfile = \"list.txt\"\nallow_private = true\n"
    );
    home.write("hezar.toml", text);
}

fn files(home: &Home) -> Vec<PathBuf> {
    let mut files: Vec<_> =
        fs::read_dir(home.path().join("requests")).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    files.sort_unstable();
    files
}

fn text(home: &Home) -> String {
    files(home).iter().map(|file| fs::read_to_string(file).unwrap()).collect()
}

/// The first line for which `fits` is true.
fn line(home: &Home, what: &str, fits: impl Fn(&Value) -> bool) -> Value {
    eventually(what, || {
        let lines = text(home);
        let mut lines = lines.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        lines.find(|line| fits(line))
    })
}

/// A request with a name and a password; the status.
fn ask_as(instance: &Instance, login: &str, url: &str) -> u16 {
    let mut stream = TcpStream::connect(instance.proxy).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let host = url.split('/').nth(2).unwrap();
    let login = base64(login);
    write!(
        stream,
        "GET {url} HTTP/1.1\r\nHost: {host}\r\nProxy-Authorization: Basic {login}\r\nConnection: close\r\n\r\n"
    )
    .unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    String::from_utf8_lossy(&answer).split(' ').nth(1).unwrap().parse().unwrap()
}

fn base64(text: &str) -> String {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD.encode(text)
}

#[test]
fn every_request_has_a_line_and_the_files_can_be_rotated_by_others() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let world = runtime.block_on(World::start(WorldConfig::healthy(3))).unwrap();
    let home = Home::new();
    home.write("list.txt", world.links());
    config(&home, "[access_log]\nfolder = \"requests\"");
    let instance = home.start(&["--no-watch"]);
    eventually("an answer", || instance.get("http://demo.hezar/").filter(|(status, _)| *status == 200));
    let served = line(&home, "a line of an answer", |line| line["status"] == 200 && line["inbound"] == "http");
    assert!(served["code"] == "ok" && served["method"] == "GET" && served["target"] == "demo.hezar:80", "{served}");
    assert!(served["node"].as_str().unwrap().len() == 32 && served["client"] == "127.0.0.1", "{served}");
    assert!(served["down"].as_u64() > Some(0) && served["up"].as_u64() > Some(0), "{served}");
    let (connect, first, total) = (&served["connect_ms"], &served["first_byte_ms"], &served["total_ms"]);
    assert!(connect.as_f64() <= first.as_f64() && first.as_f64() <= total.as_f64() && connect.is_f64(), "{served}");
    // A tunnel has its line when it ends.
    let mut held = eventually("a tunnel", || tunnel(instance.proxy));
    echoes(&mut held);
    drop(held);
    let tunnelled = line(&home, "a line of a tunnel", |line| line["target"] == "echo.hezar:7");
    assert!(tunnelled["method"] == "CONNECT" && tunnelled["up"] == 10 && tunnelled["down"] == 10, "{tunnelled}");
    // Another format without own rotation, while it runs.
    config(&home, "[access_log]\nfolder = \"requests\"\nformat = \"combined\"\nrotate = false");
    home.run(&["reload"]).good();
    instance.get("http://demo.hezar/").unwrap();
    let single = home.path().join("requests/access.log");
    let lines = eventually("a combined line", || fs::read_to_string(&single).ok().filter(|text| text.ends_with('\n')));
    assert!(
        lines.starts_with("127.0.0.1 - - [") && lines.contains("\"GET http://demo.hezar:80/ HTTP/1.1\" 200 "),
        "{lines}"
    );
    let moved = home.path().join("requests/access.log.1");
    fs::rename(&single, &moved).unwrap();
    assert!(Command::new("kill").args(["-USR1", &instance.pid().to_string()]).status().unwrap().success());
    // The signal comes when it comes: requests go on until one has its line in the new file.
    eventually("a line in a file made anew", || {
        instance.get("http://demo.hezar/").unwrap();
        fs::read_to_string(&single).ok().filter(|text| text.ends_with('\n'))
    });
    let metrics = instance.ask_api("/metrics", "");
    assert!(
        metrics.contains("hezar_access_log_lines_total") && metrics.contains("hezar_access_log_dropped_total 0"),
        "{metrics}"
    );
    // The last lines are written before the program ends.
    for _ in 0..20 {
        instance.get("http://demo.hezar/").unwrap();
    }
    instance.terminate();
    let written = fs::read_to_string(&single).unwrap().lines().count();
    assert!(written >= 20, "{written}");
    runtime.block_on(world.shutdown());
}

#[test]
fn what_is_private_stands_in_no_log() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let world = runtime.block_on(World::start(WorldConfig::healthy(2))).unwrap();
    for (privacy, hidden) in [
        ("off", &[][..]),
        ("users", &["annabelle", "intruder"]),
        ("targets", &["demo.hezar", "nobody.example"]),
        ("all", &["annabelle", "intruder", "demo.hezar", "nobody.example", "client=", "\"client\""]),
    ] {
        let home = Home::new();
        home.write("list.txt", world.links());
        let users = "users = [{ name = \"annabelle\", password = \"x\" }]\ndeny_hosts = [\"nobody.example\"]";
        config(
            &home,
            &format!(
                "[log]\nprivacy = \"{privacy}\"\nfolder = \"program\"\n[access_log]\nfolder = \"requests\"\n[proxy]\n{users}"
            ),
        );
        let instance = home.start(&["--no-watch"]);
        eventually("an answer", || {
            (ask_as(&instance, "annabelle-session-a1:x", "http://demo.hezar/") == 200).then_some(())
        });
        for (login, url) in [("annabelle:x", "http://nobody.example/"), ("intruder:wrong", "http://demo.hezar/")] {
            assert!(ask_as(&instance, login, url) >= 400);
        }
        let refused = line(&home, "a refused request", |line| line["code"] == "host-denied");
        // Who was refused what is told as far as it may be.
        assert_eq!(refused["user"].is_null(), ["users", "all"].contains(&privacy), "{refused}");
        assert_eq!(refused["target"].is_null(), ["targets", "all"].contains(&privacy), "{refused}");
        line(&home, "a wrong password", |line| line["code"] == "auth-wrong");
        let mut logs = instance.terminate().join("\n");
        logs.push_str(&text(&home));
        for file in fs::read_dir(home.path().join("program")).unwrap() {
            logs.push_str(&fs::read_to_string(file.unwrap().path()).unwrap());
        }
        assert!(logs.contains("login failed") && logs.contains("host-denied"), "{logs}");
        if privacy == "off" {
            assert!(
                logs.contains("intruder") && logs.contains("nobody.example") && logs.contains("annabelle"),
                "{logs}"
            );
        }
        for word in hidden {
            assert!(!logs.contains(word), "{privacy}: {word} stands in\n{logs}");
        }
    }
    runtime.block_on(world.shutdown());
}
