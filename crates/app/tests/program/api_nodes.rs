//! Lists of nodes and exits in parts, and what operators say about nodes, of a running instance.

use std::collections::BTreeSet;

use hezar_lab::{World, WorldConfig};
use serde_json::{Value, json};

use crate::{
    api,
    harness::{Home, Instance, eventually},
};

const TOKEN: &str = "a-token-for-this-test";

fn start(home: &Home, list: &str) -> Instance {
    home.write("list.txt", list);
    home.write(
        "hezar.toml",
        format!(
            "[probe]\nurl = \"http://demo.hezar/generate_204\"\ntrace_url = \"\"\ncontrol = []\ninterval = \"1h\"\n\
             [proxy]\nnode_wait = \"0s\"\n[api]\ntoken = \"{TOKEN}\"\n\
             [[source]]\nname = \"list\"\nfile = \"list.txt\"\ninterval = \"1h\"\nallow_private = true\n"
        ),
    );
    home.start(&[])
}

fn ask(instance: &Instance, method: &str, path: &str, body: &Value) -> (u16, Value) {
    let body = if body.is_null() { String::new() } else { body.to_string() };
    let (status, body) = api::ask(instance.api, TOKEN, method, path, body.as_bytes());
    (status, serde_json::from_str(&body).unwrap())
}

fn get(instance: &Instance, path: &str) -> Value {
    ask(instance, "GET", path, &Value::Null).1
}

/// The servers that twenty requests came through.
fn carriers(instance: &Instance) -> BTreeSet<String> {
    let carrier = |_| {
        let (status, body) = instance.get("http://demo.hezar/").unwrap();
        assert_eq!(status, 200, "{body}");
        serde_json::from_str::<Value>(&body).unwrap()["node"].to_string()
    };
    (0..20).map(carrier).collect()
}

#[test]
fn parts_of_a_list_hold_each_node_once_in_every_order() {
    let home = Home::new();
    let list: String = (0..25).map(|n| format!("socks5://127.0.9.{n}:9#Name%20{n}\n")).collect();
    let instance = start(&home, &list);
    eventually("all nodes", || (get(&instance, "/api/v1/nodes")["total"] == 25).then_some(()));
    let orders =
        ["id", "-id", "name", "-name", "best", "latency", "checked", "success", "traffic", "throughput", "state"];
    for order in orders {
        let (mut seen, mut cursor) = (Vec::new(), String::new());
        loop {
            let page = get(&instance, &format!("/api/v1/nodes?sort={order}&limit=7{cursor}"));
            assert_eq!(page["total"], 25);
            seen.extend(page["nodes"].as_array().unwrap().iter().map(|node| node["name"].as_str().unwrap().to_owned()));
            let Some(next) = page["next"].as_str() else { break };
            cursor = format!("&cursor={next}");
        }
        assert_eq!((seen.len(), seen.iter().collect::<BTreeSet<_>>().len()), (25, 25), "{order}");
        if order == "-name" {
            assert_eq!(&seen[..2], ["Name 9", "Name 8"]);
        }
    }
    let found = get(&instance, "/api/v1/nodes?search=NAME%202&offset=3&limit=2");
    assert_eq!(
        (&found["total"], &found["offset"], found["nodes"].as_array().unwrap().len()),
        (&json!(6), &json!(3), 2)
    );
    for (path, status) in [
        ("/api/v1/nodes?cursor=odd", 400),
        ("/api/v1/nodes?sort=colour", 400),
        ("/api/v1/nodes?exit=nowhere", 400),
        ("/api/v1/nodes?country=germany", 400),
        ("/api/v1/nodes?state=disabled&tag=paid", 200),
        ("/api/v1/exits?network=203.0.113.0", 400),
        ("/api/v1/exits?sort=-nodes&network=203.0.113.0%2F24", 200),
        ("/api/v1/exits/203.0.113.7", 404),
    ] {
        assert_eq!(ask(&instance, "GET", path, &Value::Null).0, status, "{path}");
    }
    instance.terminate();
}

#[test]
fn marks_act_at_once_and_outlive_a_restart_and_the_node() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let world = runtime.block_on(World::start(WorldConfig::healthy(2))).unwrap();
    let home = Home::new();
    let instance = start(&home, &world.links());
    eventually("two that work", || (get(&instance, "/api/v1/nodes?state=healthy")["total"] == 2).then_some(()));
    let ids: Vec<String> = get(&instance, "/api/v1/nodes")["nodes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|node| node["id"].as_str().unwrap().to_owned())
        .collect();
    let path = |id: &str| format!("/api/v1/nodes/{id}");
    let (status, node) = ask(
        &instance,
        "PATCH",
        &path(&ids[0]),
        &json!({ "disabled": true, "pinned": true, "tags": ["paid"], "note": "ours" }),
    );
    assert_eq!(
        (status, &node["state"], &node["note"], &node["stored"]),
        (200, &json!("disabled"), &json!("ours"), &json!(true))
    );
    assert_eq!(carriers(&instance).len(), 1, "it carries nothing");
    let (_, report) = ask(&instance, "POST", "/api/v1/probe", &json!({ "ids": [ids[0]] }));
    assert_eq!(
        (&report["works"], &report["nodes"][0]["error"]),
        (&json!(0), &json!("node-disabled")),
        "it is not probed"
    );
    // Both by filter; a word that is no tag changes nothing.
    let many =
        |set: Value| ask(&instance, "PATCH", "/api/v1/nodes", &json!({ "filter": { "source": "list" }, "set": set }));
    assert_eq!(many(json!({ "add_tags": ["a b"] })).0, 400);
    let (_, report) = many(json!({ "add_tags": ["all"] }));
    assert_eq!((&report["matched"], &report["changed"]), (&json!(2), &json!(2)));
    assert_eq!(get(&instance, "/api/v1/nodes?tag=all")["total"], 2);
    assert_eq!(get(&instance, "/api/v1/nodes?tag=paid&state=disabled")["total"], 1);
    // Removed by hand, and after a power cut listed again: what was said is still said.
    assert_eq!(
        ask(&instance, "DELETE", "/api/v1/nodes", &json!({ "filter": {} })).0,
        400,
        "an empty filter removes nothing"
    );
    let (_, removed) = ask(&instance, "DELETE", "/api/v1/nodes", &json!({ "filter": { "tag": "paid" } }));
    assert_eq!(removed["removed"], 1);
    instance.kill();
    let instance = home.start(&[]);
    // The source is not due yet, and what has not changed is not read again.
    home.write("list.txt", format!("{}# again\n", world.links()));
    ask(&instance, "POST", "/api/v1/fetch", &json!({ "sources": ["list"] }));
    let back = eventually("the node", || {
        let (status, node) = ask(&instance, "GET", &path(&ids[0]), &Value::Null);
        (status == 200).then_some(node)
    });
    assert_eq!(
        (&back["state"], &back["pinned"], &back["tags"]),
        (&json!("disabled"), &json!(true), &json!(["paid", "all"]))
    );
    let (_, node) = ask(&instance, "PATCH", &path(&ids[0]), &json!({ "disabled": false }));
    assert_ne!(node["state"], "disabled");
    eventually("requests over both", || (carriers(&instance).len() == 2).then_some(()));
    instance.terminate();
    runtime.block_on(world.shutdown());
}

#[test]
fn an_address_with_options_is_ready_to_be_used() {
    let home = Home::new();
    let instance = start(&home, "socks5://127.0.9.1:9\n");
    let told = get(&instance, "/api/v1/proxy?country=de&session=a1");
    let expected = format!("http://anybody-country-de-session-a1@{}", instance.proxy);
    assert_eq!((told["url"].as_str(), &told["fitting"]), (Some(&*expected), &json!(0)), "{told}");
    for (path, status) in [
        ("/api/v1/proxy", 200),
        ("/api/v1/proxy?scheme=socks5h", 200),
        ("/api/v1/proxy?scheme=ftp", 400),
        ("/api/v1/proxy?country=nowhere", 400),
        ("/api/v1/proxy?strategy=best", 400),
        ("/api/v1/proxy?listener=absent", 400),
    ] {
        assert_eq!(ask(&instance, "GET", path, &Value::Null).0, status, "{path}");
    }
    let id = get(&instance, "/api/v1/nodes")["nodes"][0]["id"].as_str().unwrap().to_owned();
    let feedback = json!({ "node": id, "site": "shop.example", "verdict": "blocked" });
    assert_eq!(ask(&instance, "POST", "/api/v1/feedback", &feedback).0, 200);
    let told = get(&instance, &format!("/api/v1/nodes/{id}/sites?site=www.shop.example"));
    assert_eq!((&told["avoided"], &told["site"]), (&json!(true), &json!("shop.example")));
    assert_eq!(get(&instance, &format!("/api/v1/nodes/{id}/sites?site=news.example"))["level"], 0);
    instance.terminate();
}
