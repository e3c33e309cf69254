//! An instance that moves from SQLite to PostgreSQL and back, and what becomes of it there.

use hezar_lab::{World, WorldConfig};
use serde_json::Value;

use crate::{
    harness::{Home, Instance, PROBE, eventually},
    takeover::{lives, signal},
};

/// The same list of nodes, and another store.
fn configure(home: &Home, store: &str) {
    let source = "[[source]]\nname = \"list\"\nfile = \"list.txt\"\nallow_private = true\n";
    let text = format!("{PROBE}[api]\ntoken = \"a-token-for-this-test\"\n[store]\nurl = \"{store}\"\n{source}");
    home.write("hezar.toml", text);
}

fn served(instance: &Instance) -> bool {
    instance.get("http://demo.hezar/").is_some_and(|(status, _)| status == 200)
}

fn json(home: &Home, arguments: &[&str]) -> Value {
    serde_json::from_str(home.run(arguments).good()).unwrap()
}

fn subscriptions(home: &Home) -> String {
    home.run(&["subscription", "list", "--json"]).good().to_owned()
}

#[test]
fn an_instance_moves_to_postgresql_and_back_with_all_that_it_knows() {
    let test = "an_instance_moves_to_postgresql_and_back_with_all_that_it_knows";
    let Some(database) = hezar_lab::postgres::empty_database(test).unwrap() else { return };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let world = runtime.block_on(World::start(WorldConfig::healthy(4))).unwrap();
    let home = Home::new();
    home.write("list.txt", world.links());
    configure(&home, "sqlite:hezar.db");
    let instance = home.start(&[]);
    eventually("an answer", || served(&instance).then_some(()));
    home.run(&["subscription", "add", "ann", "top=50"]).good();
    instance.terminate();

    let there = json(&home, &["store", "copy", "configured", &database, "--json"]);
    assert_eq!((&there["rows"]["nodes"], &there["rows"]["objects"]), (&4.into(), &1.into()), "{there}");
    home.run(&["store", "copy", "configured", &database]).refused(1, &["holds something already", "--replace"]);
    home.run(&["store", "copy", "configured", "mysql://x"]).refused(1, &["sqlite:FILE", "postgres://"]);

    configure(&home, &database);
    let info = json(&home, &["store", "info", "--json"]);
    assert!(info["database"].as_str().unwrap().starts_with("PostgreSQL"), "{info}");
    assert!(!home.run(&["config", "show"]).good().contains("secret%20word"));
    let instance = home.start(&[]);
    // It knows from the start which nodes work, and what was made while the one before ran.
    eventually("an answer over what the database knows", || served(&instance).then_some(()));
    assert!(subscriptions(&home).contains("\"ann\""));
    home.run(&["subscription", "add", "bob", "top=50"]).good();
    home.run(&["store", "copy", "sqlite:hezar-data/hezar.db", &database, "--replace"])
        .refused(1, &["in use by another"]);
    // What was confirmed is there after `kill -9`.
    instance.kill();
    let instance = home.start(&[]);
    eventually("an answer after a kill", || served(&instance).then_some(()));
    assert!(subscriptions(&home).contains("\"bob\""));
    // Another process takes over without closing the database.
    home.run(&["upgrade"]).good();
    assert!(subscriptions(&home).contains("\"bob\""));
    home.run(&["backup", "b.db.zst"]).good();
    home.run(&["restore", "b.db.zst"]).refused(1, &["in PostgreSQL", "hezar store copy --replace"]);

    let back = json(&home, &["store", "copy", "configured", "sqlite:back.db", "--json"]);
    assert_eq!((&back["rows"]["nodes"], &back["rows"]["objects"], &back["strange"]), (&4.into(), &2.into(), &0.into()));
    home.run(&["restore", "--check", "back.db"]).good();
    drop(instance);
    let successor: Value = serde_json::from_str(&home.read("hezar-data/instance.json")).unwrap();
    let successor = successor["pid"].as_u64().unwrap();
    signal(successor, "TERM");
    eventually("the successor ends", || (!lives(successor)).then_some(()));
    runtime.block_on(world.shutdown());
}
