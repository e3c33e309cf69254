//! A database in memory: what `kill -9`, a stop of the machine and a damaged snapshot cost, and backups of it.

use std::{fs, path::PathBuf};

use hezar_lab::{World, WorldConfig};
use serde_json::Value;

use crate::harness::{Home, Instance, PROBE, eventually};

fn config(home: &Home, every: &str) {
    fs::create_dir_all(home.path().join("memory")).unwrap();
    let text = format!(
        "{PROBE}[api]\ntoken = \"a-token-for-this-test\"\n[store]\nmemory = true\nmemory_folder = \"memory\"\n\
         snapshot_every = \"{every}\"\nsnapshots = 3\n[[source]]\nname = \"list\"\nfile = \"list.txt\"\nallow_private = true\n"
    );
    home.write("hezar.toml", text);
}

fn snapshots(home: &Home) -> Vec<PathBuf> {
    let entries = fs::read_dir(home.path().join("hezar-data/snapshots")).into_iter().flatten().flatten();
    let mut files: Vec<PathBuf> =
        entries.map(|entry| entry.path()).filter(|path| path.extension().is_some_and(|end| end == "zst")).collect();
    files.sort_unstable();
    files
}

/// The machine stops: nothing in memory is left.
fn lose_memory(home: &Home) {
    fs::remove_dir_all(home.path().join("memory")).unwrap();
    fs::create_dir(home.path().join("memory")).unwrap();
}

fn status(home: &Home) -> Value {
    serde_json::from_str(home.run(&["status", "--json"]).good()).unwrap()
}

fn nodes(home: &Home) -> usize {
    home.run(&["export"]).good().lines().filter(|line| !line.is_empty()).count()
}

fn add_user(home: &Home, name: &str) {
    home.run(&["user", "add", name, "password=s3cret"]).good();
}

fn users(home: &Home) -> Vec<String> {
    let listed = home.run(&["user", "list", "--json"]);
    let users = listed.good().lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    users.map(|user| user["name"].as_str().unwrap().to_owned()).collect()
}

fn served(instance: &Instance) -> bool {
    instance.get("http://demo.hezar/").is_some_and(|(status, _)| status == 200)
}

#[test]
fn a_power_cut_costs_what_came_after_the_last_snapshot_and_a_damaged_one_is_skipped() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let world = runtime.block_on(World::start(WorldConfig::healthy(4))).unwrap();
    let home = Home::new();
    config(&home, "1h");
    home.write("list.txt", world.links());
    // A clean end leaves a snapshot, and nothing in memory.
    let instance = home.start(&[]);
    eventually("an answer", || served(&instance).then_some(()));
    let text = home.run(&["status"]).good().to_owned();
    assert!(text.contains("store: in memory; no snapshot yet"), "{text}");
    instance.terminate();
    assert_eq!(snapshots(&home).len(), 1);
    lose_memory(&home);
    assert_eq!(nodes(&home), 4, "commands read the snapshot");
    // What people change by hand is in a snapshot soon, although the next one is due in an hour.
    let instance = home.start(&[]);
    eventually("an answer from what the snapshot knows", || served(&instance).then_some(()));
    add_user(&home, "ann");
    eventually("a snapshot after a change", || {
        (status(&home)["store"]["snapshots"]["taken"].as_u64() > Some(0)).then_some(())
    });
    // Beside the running instance a backup is made of the database in memory.
    let backup: Value = serde_json::from_str(home.run(&["backup", "b.db.zst", "--json"]).good()).unwrap();
    assert!(backup["bytes"].as_u64() > Some(100), "{backup}");
    home.run(&["backup", "b.db.zst"]).refused(1, &["exists already", "--force"]);
    home.run(&["backup", "--force", "b.db.zst"]).good();
    home.run(&["restore", "b.db.zst"]).refused(1, &["in use"]);
    instance.kill();
    // kill -9 alone loses nothing; with the memory gone, the newest good snapshot counts.
    assert_eq!(users(&home), ["ann"]);
    lose_memory(&home);
    let newest = snapshots(&home).pop().unwrap();
    fs::write(&newest, "no snapshot any more").unwrap();
    let instance = home.start(&[]);
    eventually("an answer from the snapshot before", || served(&instance).then_some(()));
    assert_eq!(users(&home), Vec::<String>::new(), "the user was in the damaged one alone");
    let told = status(&home)["store"]["snapshots"].clone();
    assert_eq!(told["damaged"].as_array().map(Vec::len), Some(1), "{told}");
    let log = instance.terminate();
    assert!(log.iter().any(|line| line.contains("a snapshot is damaged")), "{log:#?}");
    // The backup brings the user back.
    let checked = home.run(&["restore", "--check", "b.db.zst"]);
    assert!(checked.good().contains("holds 4 nodes") && checked.good().contains("1 user"), "{checked:?}");
    assert_eq!(users(&home), Vec::<String>::new());
    let restored: Value = serde_json::from_str(home.run(&["restore", "b.db.zst", "--json"]).good()).unwrap();
    assert_eq!((&restored["restored"], &restored["users"]), (&Value::Bool(true), &Value::from(1)));
    assert_eq!(users(&home), ["ann"]);
    runtime.block_on(world.shutdown());
}

#[test]
fn snapshots_are_taken_as_time_goes_by_kept_in_number_and_measured() {
    let home = Home::new();
    config(&home, "1s");
    home.write("list.txt", "socks5://a:b@127.0.0.9:1080\n");
    let instance = home.start(&[]);
    eventually("five snapshots", || (status(&home)["store"]["snapshots"]["taken"].as_u64() >= Some(5)).then_some(()));
    assert!(snapshots(&home).len() <= 4, "three, and one more while an old one is being removed");
    let metrics = instance.ask_api("/metrics", "");
    for name in ["hezar_store_snapshot_age_seconds", "hezar_store_snapshots_total", "hezar_store_snapshot_bytes"] {
        assert!(metrics.contains(name), "{metrics}");
    }
    let text = home.run(&["status"]).good().to_owned();
    assert!(text.contains("store: in memory; the last snapshot is"), "{text}");
    // No folder for snapshots: said, and the program serves on.
    let folder = home.path().join("hezar-data/snapshots");
    fs::rename(&folder, home.path().join("away")).unwrap();
    fs::write(&folder, "no folder").unwrap();
    eventually("a failure", || (status(&home)["store"]["snapshots"]["failures"].as_u64() > Some(0)).then_some(()));
    let text = home.run(&["status"]).good().to_owned();
    assert!(text.contains("NO SNAPSHOT can be taken"), "{text}");
    fs::remove_file(&folder).unwrap();
    fs::rename(home.path().join("away"), &folder).unwrap();
    instance.terminate();
    assert!((1..=3).contains(&snapshots(&home).len()));
}
