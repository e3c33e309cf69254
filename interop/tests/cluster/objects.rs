//! What a person makes or changes on one instance is in force on all.

use std::{
    net::{TcpListener, TcpStream},
    time::{Duration, Instant},
};

use hezar_interop::harness::PATIENCE;
use hezar_lab::cluster::Member;

use crate::{
    load::{percentile, request},
    stage::{Stage, id, know_healthy},
};

const NODES: usize = 6;

#[test]
fn what_is_made_on_one_instance_is_in_force_on_all() {
    let Some((mut stage, [])) = Stage::open("cluster: objects", NODES, []) else { return };
    stage.cluster.proxy = "users = [{ name = \"alice\", password = \"p\" }]\n".to_owned();
    let fetcher = stage.cluster.member("fetcher", "fetch,api").unwrap();
    let _prober = stage.cluster.member("prober", "probe").unwrap();
    let gateways = stage.cluster.gateways(2).unwrap();
    know_healthy(&gateways, NODES);
    let (first, second) = (&gateways[0], &gateways[1]);
    let mut times = Vec::new();
    let mut change = |at: &Member, (method, path, body): (&str, &str, &str), seen: &dyn Fn() -> bool| {
        let answer = at.ask(method, path, body);
        assert!(answer.status / 100 == 2, "{method} {path}: {} {}", answer.status, answer.body);
        times.push(until(&format!("{method} {path}"), seen));
    };

    // A user, over the API of a process that serves nobody.
    let bob = |password: &str| format!(r#"{{ "name": "bob", "password": "{password}" }}"#);
    change(&fetcher, ("POST", "/api/v1/users", &bob("p")), &|| {
        gateways.iter().all(|gateway| request(gateway.proxy, Some("bob")).is_ok())
    });
    change(first, ("PUT", "/api/v1/users/bob", &bob("other")), &|| request(second.proxy, Some("bob")).is_err());
    change(second, ("DELETE", "/api/v1/users/bob", ""), &|| first.get("/api/v1/users/bob").is_none());

    // A listener opens on every gateway, and on no other process; its port must be free on each machine.
    let port = free_port();
    let side = format!(r#"{{ "name": "side", "listen": "127.0.0.1:{port}" }}"#);
    let answer = second.ask("POST", "/api/v1/listeners", &side);
    assert!(answer.status / 100 == 2, "{}", answer.body);
    assert!(TcpStream::connect(("127.0.0.1", port)).is_ok());
    // Here all are on one machine: the other gateway says that it cannot, and serves on.
    until("the other gateway says what it lacks", &|| first.log().contains("not in force here"));
    assert!(request(first.proxy, Some("alice")).is_ok());
    let answer = second.ask("DELETE", "/api/v1/listeners/side", "");
    assert!(answer.status / 100 == 2, "{}", answer.body);

    // A setting.
    let setting = r#"{ "proxy.max_sessions": 4321 }"#;
    let value = |member: &Member| {
        let settings = member.get("/api/v1/settings").map(|settings| settings.to_string()).unwrap_or_default();
        settings.contains("4321")
    };
    change(first, ("PATCH", "/api/v1/settings", setting), &|| value(second) && value(&fetcher));

    // What is said about a node; a ban; an exit that is banned for a site.
    let links = stage.world.links();
    let ids: Vec<String> = links.lines().map(id).collect();
    let off = format!(r#"{{ "ids": ["{}"], "set": {{ "disabled": true }} }}"#, ids[0]);
    change(second, ("PATCH", "/api/v1/nodes", &off), &|| first.state(&ids[0]).as_deref() == Some("disabled"));
    let ban = format!(r#"{{ "ids": ["{}"] }}"#, ids[1]);
    change(first, ("POST", "/api/v1/bans", &ban), &|| {
        let bans = second.get("/api/v1/bans").map(|bans| bans.to_string()).unwrap_or_default();
        bans.contains(&ids[1]) && second.state(&ids[1]).is_none() && fetcher.state(&ids[1]).is_none()
    });
    let site = r#"{ "site": "a.example", "exit": "192.0.2.1", "seconds": 600 }"#;
    let site_bans = |member: &Member| member.get("/api/v1/bans/sites").map(|bans| bans.to_string()).unwrap_or_default();
    change(second, ("POST", "/api/v1/bans/sites", site), &|| site_bans(first).contains("a.example"));

    // A token, which is good on every instance at once, and refused after it was revoked.
    let token = r#"{ "name": "reader", "scope": "read" }"#;
    let tokens = |member: &Member| member.get("/api/v1/tokens").map(|tokens| tokens.to_string()).unwrap_or_default();
    change(first, ("POST", "/api/v1/tokens", token), &|| {
        [second, &fetcher].iter().all(|member| tokens(member).contains("reader"))
    });
    change(second, ("DELETE", "/api/v1/tokens/reader", ""), &|| !tokens(first).contains("reader"));

    let (p50, longest) = (percentile(&mut times, 0.5), percentile(&mut times, 1.0));
    println!("cluster: {} changes are in force elsewhere after p50 {p50} ms, at most {longest} ms", times.len());
}

/// How long it takes until something is so.
fn until(what: &str, is_so: &dyn Fn() -> bool) -> Duration {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < PATIENCE, "not within {PATIENCE:?}: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
    began.elapsed()
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}
