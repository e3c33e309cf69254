//! A configuration with mistakes changes nothing, and does not keep anybody from changing something else.

use serde_json::{Value, json};

use super::{CONFIG, Client};
use crate::harness::{Home, eventually};

#[test]
fn a_file_with_mistakes_changes_nothing_and_names_said_twice_are_refused() {
    let home = Home::new();
    home.write("first.txt", "");
    home.write("hezar.toml", CONFIG);
    let instance = home.start(&[]);
    let client = Client::new(instance.api);
    for name in ["mine", "other"] {
        home.run(&["source", "add", name, "links=ss://YWVzLTEyOC1nY206cGFzc3dvcmQ@127.0.0.1:8388"]).good();
    }
    let before = client.settings();

    // Three mistakes: all are told, by the command, by the status and in the log, and nothing has changed.
    let wrong = CONFIG.replace("[probe]\n", "[probe]\ninterval = 5\ntimout = \"1s\"\n").replace("file = ", "fil = ");
    home.write("hezar.toml", &wrong);
    let mistakes = ["probe.interval", "probe.timout", "source[0].fil"];
    home.run(&["reload"]).refused(2, &mistakes);
    eventually("the watched file is told in the status", || {
        let (_, status) = client.ask("GET", "/api/v1/status", "");
        let told = status["config"]["problems"].to_string();
        mistakes.iter().all(|mistake| told.contains(mistake)).then_some(())
    });
    assert_eq!(client.settings(), before);
    // The instance works on with the configuration that is in force, and commands ask it, whatever the file says.
    home.run(&["settings", "set", "proxy.attempts=3"]).good();
    home.write("hezar.toml", "[proxy\n");
    assert!(home.run(&["source", "list"]).good().contains("mine"));
    home.run(&["reload"]).refused(2, &["line 1"]);

    // The file names what the store names: refused with both places.
    let twice = ["mine", "other"].map(|name| format!("[[source]]\nname = \"{name}\"\nlinks = []\n")).concat();
    home.write("hezar.toml", format!("{CONFIG}{twice}"));
    home.run(&["reload"]).refused(2, &["source \"mine\"", "line 18", "in the store", "hezar source remove mine"]);
    // A start leaves the store's out with a warning, and the next reload goes on so.
    instance.kill();
    let instance = home.start(&[]);
    let client = Client::new(instance.api);
    let (_, mine) = client.ask("GET", "/api/v1/sources/mine", "");
    assert_eq!((&mine["origin"], mine["problem"].is_string()), (&json!("file"), true), "{mine}");
    home.run(&["reload"]).good();
    let (_, status) = client.ask("GET", "/api/v1/status", "");
    assert!(status["config"]["left_out"].to_string().contains("said twice"), "{status}");
    assert_eq!(client.settings()["proxy.attempts"]["value"], 3);
    // One of both places is given up, as the message says.
    home.run(&["source", "remove", "other"]).good();
    let (_, status) = client.ask("GET", "/api/v1/status", "");
    assert!(!status["config"]["left_out"].to_string().contains("other"), "{status}");
    home.run(&["source", "remove", "other"]).refused(1, &["source \"other\" is said by line", "change it there"]);
    // When the file does not name it any more, the store's is in force again.
    home.write("hezar.toml", CONFIG);
    home.run(&["reload"]).good();
    let (_, mine) = client.ask("GET", "/api/v1/sources/mine", "");
    assert_eq!((&mine["origin"], &mine["problem"]), (&json!("store"), &Value::Null), "{mine}");
    let log = instance.terminate();
    assert!(log.iter().any(|line| line.contains("left out") && line.contains("WARN")), "{log:#?}");
}
