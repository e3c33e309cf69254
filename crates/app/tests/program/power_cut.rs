//! `kill -9` at random moments while fetching and probing: the store opens, no node is lost, and it serves again.

use std::{
    collections::BTreeSet,
    fs,
    time::{Duration, Instant},
};

use hezar_lab::{World, WorldConfig};

use crate::harness::{Home, Instance, eventually};

/// How many times; `HEZAR_KILLS` asks for more.
fn rounds() -> u64 {
    std::env::var("HEZAR_KILLS").ok().and_then(|text| text.parse().ok()).unwrap_or(8)
}

const CONFIG: &str = r#"
[probe]
url = "http://demo.hezar/generate_204"
trace_url = ""
canary_url = ""
control = []
interval = "1s"
timeout = "1s"
[api]
token = "a-token-for-this-test"
[[source]]
name = "list"
file = "list.txt"
interval = "1s"
allow_private = true
"#;

#[test]
fn a_power_cut_loses_no_node() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let world = runtime.block_on(World::start(WorldConfig::healthy(8))).unwrap();
    let home = Home::new();
    home.write("hezar.toml", CONFIG);
    home.write("list.txt", world.links());
    let mut expected = BTreeSet::new();
    let mut slowest = Duration::ZERO;
    for round in 0..rounds() {
        let begun = Instant::now();
        let instance = home.start(&[]);
        if round > 0 {
            // Known-good nodes of the last run serve at once.
            eventually("an answer after the restart", || served(&instance).then_some(()));
            slowest = slowest.max(begun.elapsed());
            let stored = ids(&home, &instance);
            let lost: Vec<_> = expected.difference(&stored).collect();
            assert!(lost.is_empty(), "round {round}: lost {lost:?}");
        }
        eventually("an answer", || served(&instance).then_some(()));
        // Nodes that come by list and nodes that come by hand, while probes run.
        let mut list = world.links();
        for number in 0..round * 20 {
            list.push_str(&format!("socks5://user{number}:x@127.0.0.9:{}\n", 1000 + number));
        }
        fs::write(home.path().join("list.txt"), list).unwrap();
        let link = format!("socks5://by-hand-{round}:x@127.0.0.9:1080");
        let added = add(&home, &instance, &link);
        expected.insert(added);
        // A different moment of the work in every round; the exact one does not matter.
        std::thread::sleep(Duration::from_millis(round * 137 % 900));
        expected.extend(exported_ids(&home));
        instance.kill();
    }
    println!("{} kills, {} nodes kept, slowest start to first answer {slowest:?}", rounds(), expected.len());
    let instance = home.start(&[]);
    eventually("an answer at the end", || served(&instance).then_some(()));
    assert!(expected.is_subset(&ids(&home, &instance)));
    instance.terminate();
    runtime.block_on(world.shutdown());
}

fn served(instance: &Instance) -> bool {
    instance.get("http://demo.hezar/").is_some_and(|(status, body)| status == 200 && body.contains("\"node\""))
}

/// The ids in the running instance.
fn ids(home: &Home, instance: &Instance) -> BTreeSet<String> {
    let api = format!("--config=api-{}.toml", instance.api.port());
    home.write(
        &format!("api-{}.toml", instance.api.port()),
        format!("[api]\nlisten = \"{}\"\ntoken = \"a-token-for-this-test\"\n", instance.api),
    );
    let said = home.run(&[&api, "nodes", "--json", "--limit", "100000"]);
    said.good()
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["id"].as_str().unwrap().to_owned())
        .collect()
}

fn add(home: &Home, instance: &Instance, link: &str) -> String {
    let name = format!("api-{}.toml", instance.api.port());
    home.write(&name, format!("[api]\nlisten = \"{}\"\ntoken = \"a-token-for-this-test\"\n", instance.api));
    let said = home.run(&["--config", &name, "add", "--allow-private", link, "--json"]);
    let report: serde_json::Value = serde_json::from_str(said.good()).unwrap();
    report["ids"][0].as_str().unwrap().to_owned()
}

/// What is in the file at this moment, read beside the running instance.
fn exported_ids(home: &Home) -> BTreeSet<String> {
    let links = home.run(&["export"]).good().to_owned();
    home.write("exported.txt", links);
    let said = home.run(&["parse", "exported.txt", "--json"]);
    said.good()
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["id"].as_str().unwrap().to_owned())
        .collect()
}
