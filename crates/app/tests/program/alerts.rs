//! Alerts that an instance sends itself, without Prometheus.

use serde_json::Value;

use crate::{
    harness::{Home, PATIENCE, eventually},
    receiver::receiver,
};

#[test]
fn a_trouble_is_told_to_every_kind_of_receiver_and_a_test_too() {
    let (home, (address, heard)) = (Home::new(), receiver());
    // Any disk has fewer than all of its blocks free.
    let alert = |name: &str, receiver: String| {
        format!(
            "[[alert]]\nname = \"{name}\"\nwhen = [\"disk\"]\ndisk_percent = 100\nfor = \"0ms\"\nvia = \"direct\"\n{receiver}\n"
        )
    };
    let text = [
        alert("hook", format!("webhook = \"http://{address}/hook\"\nbearer = \"let-me-in\"")),
        alert("topic", format!("ntfy = \"http://{address}/topic\"")),
        alert("bot", format!("telegram = {{ token = \"12:Ab\", chat = \"-100\", api = \"http://{address}\" }}")),
    ]
    .concat();
    home.write("hezar.toml", text);
    let instance = home.start(&["--demo"]);
    let mut waiting = vec!["post /hook ", "post /topic ", "post /bot12:ab/sendmessage "];
    while !waiting.is_empty() {
        let (head, body) = heard.recv_timeout(PATIENCE).unwrap();
        assert!(body.contains("are free where the data lies"), "{body}");
        if head.starts_with("post /hook ") {
            let json: Value = serde_json::from_str(&body).unwrap();
            assert_eq!((&json["condition"], &json["status"]), (&"disk".into(), &"firing".into()));
            assert!(head.contains("authorization: bearer let-me-in"), "{head}");
        }
        if head.starts_with("post /bot") {
            assert_eq!(serde_json::from_str::<Value>(&body).unwrap()["chat_id"], "-100");
        }
        waiting.retain(|begin| !head.starts_with(begin));
    }
    let listed = home.run(&["alert", "list", "--json"]);
    assert_eq!(listed.good().lines().filter(|line| line.contains("\"firing\"")).count(), 3, "{listed:?}");
    let status = home.run(&["status"]);
    assert!(status.good().contains("alert hook/disk: "), "{status:?}");
    let said = home.run(&["alert", "test", "hook"]);
    assert!(said.good().contains("has taken the message"), "{said:?}");
    let tested = || heard.recv_timeout(PATIENCE).is_ok_and(|(_, body)| body.contains("\"test\"")).then_some(());
    eventually("the test arrives", tested);
    home.run(&["alert", "test", "nobody"]).refused(1, &["no alert named \"nobody\""]);
    instance.terminate();
}

#[test]
fn an_alert_over_nodes_says_when_none_works() {
    let home = Home::new();
    home.write("hezar.toml", "[[alert]]\nname = \"phone\"\nntfy = \"https://ntfy.test/SECRET\"\n");
    let instance = home.start(&[]);
    let said = home.run(&["alert", "test", "phone"]);
    assert_eq!(said.code, Some(1), "{said:?}");
    assert!(said.out.contains("no node works") && said.out.contains("via = \"auto\""), "{said:?}");
    assert!(!said.out.contains("SECRET"), "{said:?}");
    instance.terminate();
}
