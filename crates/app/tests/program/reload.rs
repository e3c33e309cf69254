//! Another configuration for an instance that runs: by a signal and by `hezar reload`, beside a tunnel that stays open.

use std::{
    io::{Read, Write},
    net::TcpStream,
    process::Command,
};

use hezar_lab::{World, WorldConfig};
use serde_json::Value;

use crate::harness::{Home, Instance, PROBE, echoes, eventually, tunnel};

fn source(name: &str, more: &str) -> String {
    format!("[[source]]\nname = \"{name}\"\nfile = \"{name}.txt\"\nallow_private = true\n{more}\n")
}

fn listener(name: &str, more: &str) -> String {
    format!("[[listener]]\nname = \"{name}\"\nlisten = \"127.0.0.1:0\"\n{more}\n")
}

fn hang_up(instance: &Instance) {
    assert!(Command::new("kill").args(["-HUP", &instance.pid().to_string()]).status().unwrap().success());
}

/// The answer of the API, which reads the file itself.
fn ask_to_reload(home: &Home, instance: &Instance) -> String {
    let token = home.read("hezar-data/token");
    let mut stream = TcpStream::connect(instance.api).unwrap();
    let head =
        format!("POST /api/v1/reload HTTP/1.1\r\nHost: {}\r\nContent-Length: 2\r\nConnection: close\r\n", instance.api);
    write!(stream, "{head}Authorization: Bearer {}\r\n\r\n{{}}", token.trim()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

fn status(home: &Home) -> Value {
    serde_json::from_str(home.run(&["status", "--json"]).good()).unwrap()
}

/// What the status says about a source.
fn row(home: &Home, name: &str) -> Option<Value> {
    status(home)["sources"].as_array()?.iter().find(|source| source["name"] == name).cloned()
}

#[test]
fn everything_changes_beside_an_open_tunnel() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let world = runtime.block_on(World::start(WorldConfig::healthy(9))).unwrap();
    let home = Home::new();
    let links = world.links();
    let lines: Vec<&str> = links.lines().collect();
    for (name, lines) in [("first", &lines[..3]), ("second", &lines[3..6]), ("third", &lines[6..])] {
        home.write(&format!("{name}.txt"), lines.join("\n"));
    }
    let stays = listener("stays", "sources = [\"first\"]");
    let begin =
        [PROBE, &source("first", ""), &source("second", ""), &stays, &listener("goes", ""), &listener("locked", "")]
            .concat();
    home.write("hezar.toml", &begin);
    let instance = home.start(&["--no-watch"]);
    let mut held = eventually("a tunnel", || tunnel(instance.listener("stays")));
    let mut locked = eventually("a tunnel of a third one", || tunnel(instance.listener("locked")));
    let mut of_proxy = eventually("a tunnel of the first listener", || tunnel(instance.proxy));
    eventually("both sources are read", || (status(&home)["nodes"]["healthy"] == 6).then_some(()));
    let first = row(&home, "first").unwrap();

    // A signal: settings of every kind, a source paused, one added, a listener closed, one opened, a user.
    let changed = [
        "[proxy]\nattempts = 3\nidle_timeout = \"1h\"\n",
        &PROBE.replace("timeout = \"30s\"", "timeout = \"31s\"\ninterval = \"50s\""),
        &source("first", ""),
        &source("second", "enabled = false"),
        &source("third", ""),
        &stays,
        &listener("locked", "users = [{ name = \"bob\", password = \"b\" }]"),
        &listener("new", "users = [{ name = \"anna\", password = \"a\" }]\ntop = 1"),
    ]
    .concat();
    home.write("hezar.toml", &changed);
    let goes = instance.listener("goes");
    hang_up(&instance);
    assert_ne!(instance.listener("new"), goes);
    eventually("the paused source is not used, the new one is", || {
        (row(&home, "second").is_none() && row(&home, "third")?["healthy"] == 3).then_some(())
    });
    eventually("the listener is closed", || TcpStream::connect(goes).is_err().then_some(()));
    assert_eq!(home.run(&["nodes", "--source", "second", "--json"]).good(), "");
    assert_eq!(row(&home, "first").unwrap()["next"], first["next"], "the schedule of an unchanged source stays");
    assert!(tunnel(instance.listener("locked")).is_none(), "who comes from now on needs a name");
    for held in [&mut held, &mut of_proxy, &mut locked] {
        echoes(held);
    }

    // A file with mistakes changes nothing, and every mistake is told with its line.
    home.write(
        "hezar.toml",
        format!("[proxy]\nattempts = 0\n[probe]\ntimout = \"1s\"\n{}", source("first", "via = \"x\"")),
    );
    home.run(&["reload"]).refused(2, &["line 2: proxy.attempts", "line 4: probe.timout", "source[0].via"]);
    let answer = ask_to_reload(&home, &instance);
    assert!(answer.starts_with("HTTP/1.1 400") && answer.contains("3 problems"), "{answer}");
    assert!(answer.contains("probe.timout") && answer.contains("source[0].via"), "{answer}");
    echoes(&mut held);

    // What needs a restart is named, and the rest applied.
    home.write("hezar.toml", format!("{begin}[log]\nlevel = \"debug\"\n[store]\nurl = \"sqlite:other.db\"\n"));
    let told = home.run(&["reload", "--json"]);
    let told: Value = serde_json::from_str(told.good()).unwrap();
    assert_eq!(told["restart"], serde_json::json!(["store.url"]));
    let applied: Vec<&str> = told["changed"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    for change in [
        "proxy.attempts",
        "probe.interval",
        "source \"third\" removed",
        "source \"second\" resumed",
        "listener \"new\" removed",
    ] {
        assert!(applied.contains(&change), "{change}: {applied:?}");
    }
    eventually("the source is used again", || (row(&home, "second")?["healthy"] == 3).then_some(()));
    for mut held in [held, of_proxy, locked] {
        echoes(&mut held);
    }
    instance.terminate();
    runtime.block_on(world.shutdown());
}
