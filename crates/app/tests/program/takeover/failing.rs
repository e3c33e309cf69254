//! A successor that fails, hangs or is killed costs nothing: the instance before serves on. So does the successor when that one is killed.

use std::{
    io::{BufRead, BufReader, Read, Write},
    os::unix::{fs::PermissionsExt, net::UnixStream},
    path::PathBuf,
    process::{Child, Stdio},
    time::Instant,
};

use super::{Stage, lives, node, signal, tunnel};
use crate::harness::{Instance, PATIENCE, echoes, eventually};

/// What a successor logs when it has the store and the sockets.
const RELEASED: &str = "has released its store";

/// So many stored nodes that a start takes a while.
fn many_nodes(stage: &Stage) {
    let links: String = (0..20_000).map(|n| format!("trojan://pw{n}@b{n}.example.test:443#n{n}\n")).collect();
    stage.home.write("many.txt", links);
    stage.configure("", "[[source]]\nname = \"many\"\nfile = \"many.txt\"\nenabled = true\n");
}

/// A program of its own: a script.
fn script(stage: &Stage, text: &str) -> PathBuf {
    let path = stage.home.write("program.sh", format!("#!/bin/sh\n{text}\n"));
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    path
}

/// What the instance serves, and that it writes to its store.
fn serves(stage: &Stage, instance: &Instance) {
    assert_eq!(stage.serving_pid(), u64::from(instance.pid()));
    eventually("requests are served", || node(instance.proxy, "x").ok());
    // The change is answered for when it is in the store.
    eventually("the store is written", || {
        (stage.home.run(&["settings", "set", "proxy.attempts=9"]).code == Some(0)).then_some(())
    });
}

/// Starts a successor and waits until it has the store and the sockets.
fn successor_with_the_store(stage: &Stage) -> Child {
    let mut command = stage.home.hezar(&["run", "--takeover", "--listen", "127.0.0.1:0", "--api", "127.0.0.1:0"]);
    let mut child = command.env("HEZAR_LOG_FORMAT", "json").stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let released = lines.by_ref().map_while(Result::ok).any(|line| line.contains(RELEASED));
    // What it says later goes nowhere, and must not block it.
    std::thread::spawn(move || lines.for_each(drop));
    assert!(released);
    child
}

#[test]
fn an_upgrade_to_a_program_that_does_not_start_changes_nothing() {
    let stage = Stage::new("", "");
    let instance = stage.start();
    let mut held = tunnel(instance.proxy, "x").unwrap();
    let upgrade = |binary: &PathBuf| stage.home.run(&["upgrade", "--binary", &binary.display().to_string()]);
    for (text, part) in [
        ("echo 'no such library' >&2; exit 3", "no such library"),
        ("echo something else", "is no hezar"),
        // It would start, and then does not.
        ("case \"$*\" in *--check*) echo 'hezar 9';; *) exit 4;; esac", "exit status: 4"),
    ] {
        let said = upgrade(&script(&stage, text));
        said.refused(1, &[part, "serves as ever"]);
        serves(&stage, &instance);
    }
    upgrade(&PathBuf::from("/nowhere/hezar")).refused(1, &["/nowhere/hezar", "cannot be started"]);
    // A configuration that the program could not run with; the mistake is named.
    let good = stage.home.read("hezar.toml");
    stage.home.write("hezar.toml", format!("{good}\n[nonsense]\n"));
    stage.home.run(&["upgrade"]).refused(1, &["nonsense", "serves as ever"]);
    stage.home.run(&["upgrade", "--check"]).refused(1, &["nonsense"]);
    stage.home.write("hezar.toml", good);
    assert!(stage.home.run(&["upgrade", "--check"]).good().contains("nothing was changed"));
    serves(&stage, &instance);
    echoes(&mut held);
    drop(held);
    instance.terminate();
    stage.home.run(&["upgrade"]).refused(1, &["no instance that could be upgraded", "hezar-data"]);
    stage.end();
}

#[test]
fn an_upgrade_starts_the_same_program_with_the_same_arguments() {
    let stage = Stage::new("", "");
    let instance = stage.start();
    let (proxy, before) = (instance.proxy, u64::from(instance.pid()));
    let mut held = tunnel(proxy, "x").unwrap();
    let said = stage.home.run(&["upgrade"]);
    assert!(said.good().contains("serves"), "{said:?}");
    let now = stage.serving_pid();
    assert_ne!(now, before);
    assert!(lives(now) && lives(before));
    assert_eq!(stage.status()["proxy"], proxy.to_string());
    node(proxy, "x").unwrap();
    echoes(&mut held);
    // What was started by an upgrade can be upgraded, and the file of the program may have been replaced meanwhile.
    let binary = stage.home.path().join("hezar-next");
    std::fs::copy(env!("CARGO_BIN_EXE_hezar"), &binary).unwrap();
    stage.home.run(&["upgrade", "--binary", &binary.display().to_string()]).good();
    let last = stage.serving_pid();
    assert!(last != now && lives(last));
    eventually("who has nothing open ends", || (!lives(now)).then_some(()));
    node(proxy, "x").unwrap();
    echoes(&mut held);
    drop(held);
    eventually("the first one ends with its last tunnel", || (!lives(before)).then_some(()));
    signal(last, "TERM");
    eventually("the last one ends", || (!lives(last)).then_some(()));
    instance.ended();
    stage.end();
}

#[test]
fn a_successor_that_cannot_listen_gives_everything_back() {
    let stage = Stage::new("", "");
    let instance = stage.start();
    let mut held = tunnel(instance.proxy, "x").unwrap();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let good = stage.home.read("hezar.toml");
    stage.home.write("hezar.toml", format!("{good}[[listener]]\nname = \"side\"\nlisten = \"{address}\"\n"));
    let said = stage.home.run(&["upgrade"]);
    said.refused(1, &["cannot listen", &address.to_string(), "serves as ever"]);
    stage.home.write("hezar.toml", good);
    serves(&stage, &instance);
    echoes(&mut held);
    let log = instance.terminate();
    assert!(log.iter().any(|line| line.contains("the store was taken back")), "{log:#?}");
    stage.end();
}

#[test]
fn a_successor_that_is_killed_with_the_store_in_its_hands_costs_nothing() {
    let stage = Stage::new("", "");
    many_nodes(&stage);
    let instance = stage.start();
    let mut held = tunnel(instance.proxy, "x").unwrap();
    let mut successor = successor_with_the_store(&stage);
    // The clients of the proxy are served meanwhile.
    node(instance.proxy, "x").unwrap();
    successor.kill().unwrap();
    successor.wait().unwrap();
    serves(&stage, &instance);
    echoes(&mut held);
    instance.terminate();
    stage.end();
}

#[test]
fn a_successor_that_hangs_with_the_store_in_its_hands_is_ended() {
    let stage = Stage::new("", "");
    many_nodes(&stage);
    let instance = stage.start();
    let mut held = tunnel(instance.proxy, "x").unwrap();
    let mut successor = successor_with_the_store(&stage);
    signal(u64::from(successor.id()), "STOP");
    node(instance.proxy, "x").unwrap();
    // Nobody has to end it.
    assert!(!successor.wait().unwrap().success());
    serves(&stage, &instance);
    echoes(&mut held);
    let log = instance.terminate();
    assert!(log.iter().any(|line| line.contains("was killed")), "{log:#?}");
    stage.end();
}

#[test]
fn an_instance_that_is_killed_in_the_middle_leaves_its_clients_to_the_successor() {
    let stage = Stage::new("", "");
    many_nodes(&stage);
    let instance = stage.start();
    let proxy = instance.proxy;
    let mut successor = successor_with_the_store(&stage);
    instance.kill();
    // The socket lives on in the other process: whoever connects waits until that one serves.
    eventually("the successor serves", || node(proxy, "x").ok());
    assert_eq!(stage.serving_pid(), u64::from(successor.id()));
    signal(u64::from(successor.id()), "TERM");
    assert!(successor.wait().unwrap().success());
    stage.end();
}

#[test]
fn without_an_instance_a_successor_starts_as_ever() {
    let stage = Stage::new("", "");
    let first = stage.home.start(&["--takeover"]);
    eventually("nodes that carry traffic", || node(first.proxy, "x").ok());
    stage.home.run(&["run", "--takeover", "--demo"]).refused(2, &["--demo"]);
    first.terminate();
    stage.end();
}

#[test]
fn who_starts_after_a_crash_of_the_successor_finds_addresses_and_store_free() {
    let stage = Stage::new("", "");
    let before = stage.start();
    let mut held = tunnel(before.proxy, "x").unwrap();
    let successor = stage.home.start(&["--takeover"]);
    let (proxy, api) = (successor.proxy, successor.api);
    eventually("it says what it has open", || (stage.status()["draining"][0]["connections"] == 1).then_some(()));
    successor.kill();
    let (proxy, api) = (proxy.to_string(), api.to_string());
    let mut command = stage.home.hezar(&["run", "--listen", &proxy, "--api", &api]);
    command.env("HEZAR_LOG_FORMAT", "json").stderr(Stdio::piped());
    let fresh = Instance::start(command);
    eventually("requests are served", || node(fresh.proxy, "x").ok());
    // The one that drains finds it, and what it still carries is counted there.
    echoes(&mut held);
    eventually("it says what it has open", || (stage.status()["draining"][0]["pid"] == before.pid()).then_some(()));
    drop(held);
    before.ended();
    fresh.terminate();
    stage.end();
}

#[test]
fn strangers_at_the_socket_hold_nothing_up() {
    let stage = Stage::new("", "");
    let instance = stage.start();
    let socket = stage.home.path().join("hezar-data/takeover.sock");
    let said = |bytes: &[u8]| {
        let mut stream = UnixStream::connect(&socket).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(bytes).unwrap();
        let mut answer = Vec::new();
        // An end or a reset: nobody answers what is no message.
        let _ = stream.read_to_end(&mut answer);
        answer
    };
    for junk in [&b"GET / HTTP/1.1\r\n\r\n"[..], &[255; 4], b"\0\0\0\x02{}", b"\0\0\0\x04null"] {
        assert!(said(junk).is_empty(), "{junk:?}");
    }
    let silent: Vec<_> = (0..10).map(|_| UnixStream::connect(&socket).unwrap()).collect();
    stage.home.run(&["upgrade", "--check"]).good();
    let begun = Instant::now();
    instance.terminate();
    // They would have had ten seconds to say something.
    println!("ended {:?} after it was asked to, beside {} silent clients", begun.elapsed(), silent.len());
    stage.end();
}

#[test]
fn only_one_process_takes_over_at_a_time() {
    let stage = Stage::new("", "");
    many_nodes(&stage);
    let instance = stage.start();
    let mut first = successor_with_the_store(&stage);
    // Stopped for a moment, so that it cannot be done before the second one asks.
    signal(u64::from(first.id()), "STOP");
    let second = stage.home.run(&["run", "--takeover", "--listen", "127.0.0.1:0", "--api", "127.0.0.1:0"]);
    second.refused(1, &["another process takes over just now"]);
    signal(u64::from(first.id()), "CONT");
    eventually("the first one serves", || (stage.serving_pid() == u64::from(first.id())).then_some(()));
    instance.ended();
    signal(u64::from(first.id()), "TERM");
    assert!(first.wait().unwrap().success());
    stage.end();
}

#[test]
fn a_process_that_drains_ends_after_its_time_or_when_it_is_asked_to() {
    for (settings, is_asked) in [("takeover_drain = \"1s\"", false), ("drain = \"0s\"", true)] {
        let stage = Stage::new(settings, "");
        let before = stage.start();
        let mut held = tunnel(before.proxy, "x").unwrap();
        let successor = stage.home.start(&["--takeover"]);
        eventually("it says what it has open", || (stage.status()["draining"][0]["connections"] == 1).then_some(()));
        if is_asked {
            echoes(&mut held);
            signal(u64::from(before.pid()), "TERM");
        }
        before.ended();
        assert!(matches!(held.read(&mut [0; 1]), Ok(0) | Err(_)), "{settings}: the tunnel was cut");
        eventually("nobody drains any more", || stage.status()["draining"].is_null().then_some(()));
        successor.terminate();
        stage.end();
    }
}
