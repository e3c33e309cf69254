//! `hezar health`: the exit code that containers and monitors go by.

use std::{fs, net::TcpListener, time::Instant};

use crate::harness::{Home, PATIENCE, eventually};

#[test]
fn health_follows_readiness() {
    let home = Home::new();
    home.run(&["health"]).refused(1, &["not ready: no instance answers on 127.0.0.1:9090"]);
    let instance = home.start(&["--demo"]);
    eventually("a healthy instance", || (home.run(&["health"]).code == Some(0)).then_some(()));
    assert_eq!(home.run(&["health"]).good(), "ready\n");
    assert_eq!(home.run(&["health", "--json"]).good(), "{\"ready\":true}\n");
    // Another user, or a container, has neither the data folder nor the token.
    let stranger = Home::new();
    stranger.write("hezar.toml", format!("[api]\nlisten = \"{}\"\n", instance.api));
    assert_eq!(stranger.run(&["health"]).good(), "ready\n");
    assert_eq!(fs::read_dir(stranger.path()).unwrap().count(), 1, "health wrote something");
    instance.terminate();
    stranger.run(&["health"]).refused(1, &["not ready: no instance answers"]);
}

#[test]
fn an_instance_without_nodes_is_alive_and_not_ready() {
    let home = Home::new();
    home.write("hezar.toml", "");
    let instance = home.start(&[]);
    let said = home.run(&["health"]);
    said.refused(1, &["not ready: "]);
    assert_eq!(said.err.trim_end().lines().count(), 1, "{said:?}");
    assert_eq!(home.run(&["health", "--live"]).good(), "ready\n");
    let json: serde_json::Value = serde_json::from_str(&home.run(&["health", "--json"]).out).unwrap();
    assert_eq!((&json["ready"], json["reason"].is_string()), (&false.into(), true));
    instance.terminate();
}

#[test]
fn a_silent_port_does_not_hold_health_up() {
    let home = Home::new();
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    home.write("hezar.toml", format!("[api]\nlisten = \"{}\"\n", silent.local_addr().unwrap()));
    let begun = Instant::now();
    home.run(&["health", "--timeout", "1"]).refused(1, &["did not answer within 1 s"]);
    assert!(begun.elapsed() < PATIENCE);
    home.write("hezar.toml", "[api]\nenabled = false\n");
    home.run(&["health"]).refused(1, &["switched off"]);
}
