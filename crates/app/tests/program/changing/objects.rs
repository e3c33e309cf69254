//! Sources, listeners, users and tokens are made, changed and removed while the program runs.

use std::net::{SocketAddr, TcpStream};

use hezar_lab::{World, WorldConfig};
use serde_json::{Value, json};

use super::{CONFIG, Client, echoes};
use crate::{
    api,
    harness::{Home, eventually, tunnel},
};

#[test]
fn sources_listeners_users_and_tokens_come_and_go_under_a_tunnel() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let world = runtime.block_on(World::start(WorldConfig::healthy(6))).unwrap();
    let home = Home::new();
    let links = world.links();
    let lines: Vec<&str> = links.lines().collect();
    home.write("first.txt", lines[..3].join("\n"));
    home.write("second.txt", lines[3..].join("\n"));
    home.write("hezar.toml", CONFIG);
    let instance = home.start(&[]);
    let client = Client::new(instance.api);
    let mut held = eventually("a tunnel", || tunnel(instance.listener("stays")));
    let next = |name: &str| {
        let (_, source) = client.ask("GET", &format!("/api/v1/sources/{name}"), "");
        source["status"]["next"].clone()
    };
    let healthy = |name: &str| {
        let (_, source) = client.ask("GET", &format!("/api/v1/sources/{name}"), "");
        source["status"]["healthy"].as_u64()
    };
    eventually("the first source is read", || (healthy("first")? == 3).then_some(()));
    let scheduled = eventually("the next reading is scheduled", || Some(next("first")).filter(Value::is_u64));

    // A source by the command line: previewed, added, paused, resumed, changed, removed.
    let text = home.run(&["source", "add", "mine", "second.txt", "allow_private=true", "tags=paid"]).good().to_owned();
    assert!(text.contains("source mine added"), "{text}");
    eventually("it gives nodes", || (healthy("mine")? == 3).then_some(()));
    assert!(home.run(&["source", "test", "mine"]).good().contains("3 nodes"));
    home.run(&["source", "pause", "mine"]).good();
    eventually("it is not used", || healthy("mine").is_none().then_some(()));
    home.run(&["source", "resume", "mine"]).good();
    home.run(&["source", "edit", "mine", "interval=2h", "tags="]).good();
    home.run(&["source", "refresh", "mine"]).good();
    let listed = home.run(&["source", "list"]).good().to_owned();
    assert!(listed.contains("mine") && listed.contains("store") && listed.contains("first"), "{listed}");
    echoes(&mut held, "source");
    home.run(&["source", "edit", "first", "interval=2h"]).refused(1, &["source \"first\" is said by line 10"]);
    home.run(&["source", "add", "first", "second.txt"]).refused(1, &["source \"first\"", "line", "in the store"]);
    home.run(&["source", "add", "bad", "interval=1y", "links=x"])
        .refused(1, &["source \"bad\".interval", "a duration"]);

    // A listener: opened, moved, closed.
    let said: Value = serde_json::from_str(
        home.run(&["listener", "add", "side", "listen=127.0.0.1:0", "sources=mine", "--json"]).good(),
    )
    .unwrap();
    let side: SocketAddr = said["address"].as_str().unwrap().parse().unwrap();
    let mut of_side = eventually("a tunnel of the new listener", || tunnel(side));
    let (_, status) = client.ask("GET", "/api/v1/status", "");
    let open: Vec<&str> =
        status["listeners"].as_array().unwrap().iter().filter_map(|one| one["name"].as_str()).collect();
    assert_eq!(open, ["proxy", "stays", "side"], "{status}");
    assert_eq!(status["listeners"][2]["address"], side.to_string(), "{status}");
    let moved = client.ask("PATCH", "/api/v1/listeners/side", &json!({ "listen": "127.0.0.2:0" }).to_string()).1;
    let to: SocketAddr = moved["address"].as_str().unwrap().parse().unwrap();
    assert!(to.ip().to_string() == "127.0.0.2" && tunnel(to).is_some(), "{moved}");
    eventually("the old address is closed", || TcpStream::connect(side).is_err().then_some(()));
    echoes(&mut of_side, "drains");
    home.run(&["source", "remove", "mine"]).refused(1, &["there is no source named \"mine\"", "listener \"side\""]);
    home.run(&["listener", "remove", "side"]).good();
    eventually("it is closed", || TcpStream::connect(to).is_err().then_some(()));
    home.run(&["source", "remove", "mine"]).good();
    assert_eq!(next("first"), scheduled, "the schedule of a source that nobody touched stays");

    // Users and tokens.
    let (status, made) =
        client.ask("POST", "/api/v1/users", &json!({ "name": "bob", "password": "s3cret" }).to_string());
    assert_eq!(status, 201, "{made}");
    assert!(!made.to_string().contains("s3cret"), "{made}");
    home.run(&["user", "edit", "bob", "quota.day=1GiB", "note=pays"]).good();
    home.run(&["user", "disable", "bob"]).good();
    assert!(home.run(&["user", "list"]).good().contains("off"));
    home.run(&["user", "remove", "bob"]).good();
    let token = home.run(&["token", "create", "grafana", "--scope", "read"]).good().trim().to_owned();
    let with = |method: &str| api::ask(instance.api, &token, method, "/api/v1/settings", b"").0;
    assert_eq!((with("GET"), with("PATCH")), (200, 403));
    home.run(&["token", "revoke", "grafana"]).good();
    assert_eq!(with("GET"), 401);

    // Everything is in the record, without secrets, and what stays is there after a power cut.
    home.run(&["source", "add", "kept", "links=ss://YWVzLTEyOC1nY206cGFzc3dvcmQ@11.0.0.1:8388", "enabled=false"])
        .good();
    let lines = home.run(&["audit", "--limit", "100", "--json"]).good().to_owned();
    for expected in ["\"create\"", "\"change\"", "\"remove\"", "\"revoke\"", "\"cli\"", "\"api\"", "127.0.0.2:0"] {
        assert!(lines.contains(expected), "missing {expected} in {lines}");
    }
    assert!(!lines.contains("s3cret") && !lines.contains("YWVzLTEy") && !lines.contains(&token), "{lines}");
    echoes(&mut held, "all of it");
    drop((held, of_side));
    instance.kill();
    let instance = home.start(&[]);
    let client = Client::new(instance.api);
    let (status, kept) = client.ask("GET", "/api/v1/sources/kept", "");
    assert_eq!((status, &kept["value"]["enabled"]), (200, &json!(false)), "{kept}");
    assert_eq!(client.ask("GET", "/api/v1/users/bob", "").0, 404);
    instance.terminate();
    runtime.block_on(world.shutdown());
}
