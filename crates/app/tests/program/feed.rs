//! One instance as the source of another: what it tells is followed as it changes, and instances that take from each other notice it.

use hezar_lab::{World, WorldConfig};
use serde_json::{Value, json};

use crate::{
    api::ask,
    harness::{Home, Instance, PROBE, echoes, eventually, tunnel},
};

const TOKEN: &str = "a-token-for-this-test";

fn config(sources: &str) -> String {
    format!("[api]\ntoken = \"{TOKEN}\"\n{PROBE}{sources}")
}

/// A token of an instance with this scope.
fn token(instance: &Instance, name: &str, scope: &str) -> String {
    let body = json!({ "name": name, "scope": scope }).to_string();
    let (status, body) = ask(instance.api, TOKEN, "POST", "/api/v1/tokens", body.as_bytes());
    assert_eq!(status / 100, 2, "{body}");
    serde_json::from_str::<Value>(&body).unwrap()["token"].as_str().unwrap().to_owned()
}

/// What an instance says of the nodes that a source lists.
fn listed(instance: &Instance, source: &str) -> Vec<Value> {
    let path = format!("/api/v1/nodes?source={source}&limit=1000");
    let (status, body) = ask(instance.api, TOKEN, "GET", &path, b"");
    assert_eq!(status, 200, "{body}");
    serde_json::from_str::<Value>(&body).unwrap()["nodes"].as_array().unwrap().clone()
}

/// The code of what is wrong with a source, if anything is.
fn error_of(instance: &Instance, source: &str) -> Option<String> {
    let (_, body) = ask(instance.api, TOKEN, "GET", "/api/v1/status", b"");
    let status: Value = serde_json::from_str(&body).unwrap();
    let row = status["sources"].as_array()?.iter().find(|row| row["name"] == source)?;
    row["error"].as_str().map(str::to_owned)
}

#[test]
fn an_instance_follows_another_one_and_loops_are_told() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let world = runtime.block_on(World::start(WorldConfig::healthy(6))).unwrap();
    let links: Vec<String> = world.links().lines().map(str::to_owned).collect();
    let (first_home, second_home) = (Home::new(), Home::new());
    first_home.write("list.txt", links[..5].join("\n") + "\nsocks5://dead:x@127.0.0.9:9#dead\n");
    let own = "[[source]]\nname = \"own\"\nfile = \"list.txt\"\nallow_private = true\n";
    first_home.write("hezar.toml", config(own));
    let first = first_home.start(&[]);
    eventually("the nodes of the first instance", || (listed(&first, "own").len() == 6).then_some(()));

    // A token that may only read sees no links, and so no feed.
    let reading = token(&first, "grafana", "read");
    assert_eq!(ask(first.api, &reading, "GET", "/api/v1/feed", b"").0, 403);
    let following = token(&first, "second", "feed");
    assert_eq!(ask(first.api, &following, "GET", "/api/v1/nodes", b"").0, 403);

    let source = format!(
        "[[source]]\nname = \"first\"\nhezar = \"http://{}\"\ntoken = \"{following}\"\nallow_private = true\n",
        first.api
    );
    second_home.write("hezar.toml", config(&source));
    let second = second_home.start(&[]);
    let taken = eventually("the nodes that work at the first instance", || {
        let nodes = listed(&second, "first");
        (nodes.len() == 5).then_some(nodes)
    });
    assert!(taken.iter().all(|node| node["name"] != "dead"), "{taken:#?}");
    let mut carried = eventually("a tunnel over a node of the first instance", || tunnel(second.proxy));
    echoes(&mut carried);

    // What comes and goes there comes and goes here, long before the source is due again.
    assert_eq!(ask(first.api, TOKEN, "POST", "/api/v1/nodes?allow_private=true", links[5].as_bytes()).0 / 100, 2);
    eventually("the node that was added", || (listed(&second, "first").len() == 6).then_some(()));
    let gone = taken[0]["id"].as_str().unwrap();
    let body = json!({ "ids": [gone], "ban": true }).to_string();
    assert_eq!(ask(first.api, TOKEN, "DELETE", "/api/v1/nodes", body.as_bytes()).0 / 100, 2);
    eventually("the end of the node that was removed", || {
        let nodes = listed(&second, "first");
        (nodes.len() == 5 && nodes.iter().all(|node| node["id"] != gone)).then_some(())
    });
    assert_eq!(error_of(&second, "first"), None);

    // The first one takes from the second one now: it learns that this brings it nothing.
    let back = token(&second, "first", "feed");
    let body =
        json!({ "name": "back", "hezar": format!("http://{}", second.api), "token": back, "allow_private": true });
    let (status, said) = ask(first.api, TOKEN, "POST", "/api/v1/sources", body.to_string().as_bytes());
    assert_eq!(status / 100, 2, "{said}");
    eventually("the loop", || (error_of(&first, "back").as_deref() == Some("source-loop")).then_some(()));
    assert!(listed(&first, "back").is_empty());

    // Without the first one the second one goes on, and says what is wrong.
    first.kill();
    echoes(&mut eventually("a tunnel", || tunnel(second.proxy)));
    assert_eq!(listed(&second, "first").len(), 5);
    eventually("the word that the first one is away", || error_of(&second, "first"));
    second.terminate();
}
