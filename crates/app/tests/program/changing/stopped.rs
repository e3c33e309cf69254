//! The command line changes the store of an instance that does not run, with the same checks, texts and records.

use serde_json::Value;

use crate::harness::{Home, PROBE, Said};

const NOTE: &str = "no instance that can be asked runs";

fn lines(said: &Said) -> Vec<Value> {
    said.good().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Without what differs from one moment to the next.
fn without_time(mut line: Value) -> Value {
    for key in ["at", "id", "who"] {
        line.as_object_mut().unwrap().remove(key);
    }
    line
}

/// Makes, changes and removes something of every kind, and is refused here and there; returns what was said.
fn edits(home: &Home) -> Vec<(Option<i32>, String, String)> {
    let commands: [&[&str]; 25] = [
        &["source", "add", "mine", "list.txt", "interval=2h", "tags=paid,eu"],
        &["source", "edit", "mine", "interval=3h", "tags="],
        &["source", "edit", "mine", "interval=never"],
        &["source", "edit", "mine", "intervall=3h"],
        &["source", "edit", "first", "interval=3h"],
        &["source", "add", "first", "links=x"],
        &["source", "pause", "mine"],
        &["source", "resume", "mine"],
        &["source", "remove", "nobody"],
        &["listener", "add", "side", "listen=127.0.0.1:0", "sources=mine"],
        &["listener", "add", "bad", "listen=127.0.0.1:0", "sources=nobody"],
        &["listener", "add", "open", "listen=0.0.0.0:0"],
        &["listener", "edit", "side", "top=3"],
        &["listener", "remove", "side"],
        &["user", "add", "bob", "password=s3cret", "quota.day=1GiB"],
        &["user", "add", "bob", "password=s3cret"],
        &["user", "disable", "bob"],
        &["user", "edit", "bob", "quota.day=much"],
        &["settings", "set", "proxy.attempts=3", "probe.interval=9s"],
        &["settings", "set", "proxy.attempts=300"],
        &["settings", "set", "probe.timeout=9s"],
        &["settings", "set", "store.url=sqlite:x.db"],
        &["settings", "set", "geo.mmdb=nowhere.mmdb"],
        &["settings", "unset", "probe.interval", "fetch.timeout"],
        &["token", "revoke", "nobody"],
    ];
    let run = |words: &&[&str]| {
        let said = home.run(words);
        let told: String = said.err.lines().filter(|line| !line.contains(NOTE)).collect::<Vec<_>>().join("\n");
        let told = ["400 Bad Request", "404 Not Found", "409 Conflict"]
            .iter()
            .fold(told, |told, status| told.replace(&format!("the instance refused ({status}): "), ""));
        // Only a running instance knows where it listens.
        let out = said.out.split("; it listens on").next().unwrap_or_default().trim().to_owned();
        (said.code, out, told)
    };
    commands.iter().map(run).collect()
}

fn home() -> Home {
    let home = Home::new();
    home.write("list.txt", "socks5://127.0.0.1:1\n");
    home.write("hezar.toml", format!("{PROBE}[[source]]\nname = \"first\"\nlinks = []\n"));
    home
}

#[test]
fn a_stopped_instance_is_changed_as_a_running_one_is() {
    let (stopped, running) = (home(), home());
    let instance = running.start(&[]);
    let (of_stopped, of_running) = (edits(&stopped), edits(&running));
    for (index, (stopped, running)) in of_stopped.iter().zip(&of_running).enumerate() {
        assert_eq!(stopped, running, "command {index}");
    }
    assert_eq!(of_stopped.iter().filter(|(code, ..)| *code == Some(0)).count(), 11, "{of_stopped:#?}");
    // The record has the same lines, and says who made them.
    let record = |home: &Home| lines(&home.run(&["audit", "--limit", "100", "--json"]));
    let (of_stopped, of_running) = (record(&stopped), record(&running));
    assert!(of_stopped.iter().all(|line| line["who"] == "command line" && line["via"] == "cli"), "{of_stopped:#?}");
    let normal = |record: Vec<Value>| record.into_iter().map(without_time).collect::<Vec<_>>();
    assert_eq!(normal(of_stopped), normal(of_running));
    for list in ["source", "listener", "user"] {
        let shown = |home: &Home| -> Vec<Value> {
            let mut all = lines(&home.run(&[list, "list", "--json"]));
            for one in &mut all {
                for live in ["changed", "status", "address"] {
                    one[live] = Value::Null;
                }
            }
            all
        };
        assert_eq!(shown(&stopped), shown(&running), "{list}");
    }
    instance.terminate();

    // What was made while nothing ran is in force after the start, a token too; passwords are hashed.
    let token = stopped.run(&["token", "create", "grafana"]).good().trim().to_owned();
    let instance = stopped.start(&[]);
    let said = stopped.run(&["user", "list", "--json"]);
    assert!(said.good().contains("bob") && !said.err.contains(NOTE), "{said:?}");
    let client = super::Client { api: instance.api, token };
    assert_eq!(client.settings()["proxy.attempts"]["value"], 3);
    assert_eq!(client.ask("PATCH", "/api/v1/settings", "{}").0, 403);
    instance.terminate();
    let database = std::fs::read(stopped.path().join("hezar-data/hezar.db")).unwrap();
    assert!(!database.windows(6).any(|bytes| bytes == b"s3cret"));
}

#[test]
fn nothing_is_made_by_looking_and_a_first_source_needs_no_file() {
    let home = Home::new();
    let said = home.run(&["source", "list"]);
    assert!(said.good().is_empty() && said.err.contains("hezar source add") && said.err.contains(NOTE), "{said:?}");
    for command in [&["settings", "list"][..], &["audit"], &["token", "list"], &["user", "usage"]] {
        home.run(command).good();
    }
    assert!(!home.path().join(".local").exists(), "nothing is left behind");
    home.write("list.txt", "socks5://127.0.0.1:1\n");
    let list = home.path().join("list.txt").display().to_string();
    home.run(&["source", "add", "mine", &list, "allow_private=true"]).good();
    assert!(home.run(&["source", "test", "mine"]).good().starts_with("1 node (1 socks5)"));
    assert!(home.run(&["source", "refresh", "mine"]).good().contains("mine"));
    assert_eq!(home.run(&["export"]).good().lines().count(), 1);
    // A file with mistakes is said with all of them, as by every other command.
    home.write("bad.toml", "[prob]\n");
    home.run(&["source", "list", "--config", "bad.toml"]).refused(2, &["prob: unknown key"]);
}
