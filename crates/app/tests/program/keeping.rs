//! What was acknowledged is kept: over a full disk, `kill -9`, bans, and sources that change or leave the file.

use std::{
    net::{SocketAddr, TcpStream},
    process::{Command, Stdio},
};

use serde_json::json;

use crate::{
    api,
    harness::{Home, Instance, eventually},
};

const TOKEN: &str = "a-token-for-this-test";
/// How often a full disk is asked for the same kind of change, at most.
const TRIES: u32 = 20;

fn config(sources: &str) -> String {
    format!("[probe]\ncontrol = []\ninterval = \"1h\"\n[api]\ntoken = \"{TOKEN}\"\n{sources}")
}

fn source(name: &str, file: &str) -> String {
    format!("[[source]]\nname = \"{name}\"\nfile = \"{file}\"\ninterval = \"1s\"\n")
}

/// One request to the API: the status and the body.
fn ask(address: SocketAddr, method: &str, path: &str, body: &str) -> (u16, String) {
    api::ask(address, TOKEN, method, path, body.as_bytes())
}

fn get(api: SocketAddr, path: &str) -> serde_json::Value {
    serde_json::from_str(&ask(api, "GET", path, "").1).unwrap()
}

fn total(instance: &Instance, query: &str) -> u64 {
    get(instance.api, &format!("/api/v1/nodes?{query}"))["total"].as_u64().unwrap()
}

fn id(instance: &Instance, search: &str) -> Option<String> {
    let page = get(instance.api, &format!("/api/v1/nodes?search={search}"));
    page["nodes"][0]["id"].as_str().map(str::to_owned)
}

/// A small file system in memory; unmounted at the end.
struct Tmpfs(std::path::PathBuf);

impl Drop for Tmpfs {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

fn tmpfs(home: &Home) -> Option<Tmpfs> {
    let folder = home.path().join("full");
    std::fs::create_dir(&folder).unwrap();
    let mut mount = Command::new("mount");
    mount.args(["-t", "tmpfs", "-o", "size=1500k", "tmpfs"]).arg(&folder).stderr(Stdio::null());
    mount.status().is_ok_and(|status| status.success()).then_some(Tmpfs(folder))
}

#[test]
fn a_full_disk_costs_nothing_that_was_acknowledged() {
    let home = Home::new();
    let Some(disk) = tmpfs(&home) else {
        eprintln!("SKIPPED a_full_disk_costs_nothing_that_was_acknowledged: mounting a file system needs root");
        return;
    };
    home.write("hezar.toml", config(&format!("[store]\nurl = \"sqlite:{}/p.db\"\n", disk.0.display())));
    let instance = home.start(&[]);
    let fill = disk.0.join("fill");
    let _ = std::fs::write(&fill, vec![1; 4 << 20]);
    let many: String = (0..500).map(|n| format!("trojan://pw{n}@b{n}.example.test:443#n{n}\n")).collect();
    let (status, body) = ask(instance.api, "POST", "/api/v1/nodes", &many);
    assert_eq!(status, 202, "{body}");
    assert!(body.contains("\"added\":500") && body.contains("\"stored\":false"), "{body}");
    let store = get(instance.api, "/api/v1/status")["store"].clone();
    assert!(store["behind_s"].is_u64() && store["last_error"] == "store-full", "{store}");
    let metrics = ask(instance.api, "GET", "/metrics", "").1;
    assert!(metrics.contains("hezar_store_behind_seconds"), "{metrics}");

    std::fs::remove_file(fill).unwrap();
    let (status, body) = ask(instance.api, "POST", "/api/v1/nodes", "trojan://pw@keep.example.test:443#keep\n");
    assert_eq!(status, 200, "{body}");
    assert!(body.contains("\"added\":1") && body.contains("\"stored\":true"), "{body}");
    assert!(get(instance.api, "/api/v1/status")["store"]["behind_s"].is_null());
    instance.kill();
    let instance = home.start(&[]);
    assert_eq!((total(&instance, "search=keep"), total(&instance, "")), (1, 501));
    instance.terminate();
}

/// Tries until the full disk takes it no longer; gives the number of the try that was refused.
fn refused(what: &str, mut attempt: impl FnMut(u32) -> (u16, String)) -> u32 {
    let is_refused = |number: &u32| match attempt(*number) {
        (503, body) => {
            assert!(body.contains("nothing was changed"), "{what}: {body}");
            true
        }
        (200 | 201, _) => false,
        (status, body) => panic!("{what}: {status} {body}"),
    };
    (0..TRIES).find(is_refused).unwrap_or_else(|| panic!("the full disk took every {what}"))
}

#[test]
fn an_edit_that_a_full_disk_does_not_take_is_undone() {
    let home = Home::new();
    let Some(disk) = tmpfs(&home) else {
        eprintln!("SKIPPED an_edit_that_a_full_disk_does_not_take_is_undone: mounting a file system needs root");
        return;
    };
    home.write("hezar.toml", config(&format!("[store]\nurl = \"sqlite:{}/p.db\"\n", disk.0.display())));
    let instance = home.start(&[]);
    let api = instance.api;
    let post = |kind: &str, body: serde_json::Value| ask(api, "POST", &format!("/api/v1/{kind}"), &body.to_string());
    let listener = |name: String| post("listeners", json!({ "name": name, "listen": "127.0.0.1:0" }));
    let attempts = |api| {
        let settings = get(api, "/api/v1/settings");
        settings.as_array().unwrap().iter().find(|one| one["key"] == "proxy.attempts").unwrap()["value"].as_u64()
    };
    for number in 0..TRIES {
        assert_eq!(listener(format!("side-{number}")).0, 201);
    }
    let fill = disk.0.join("fill");
    let _ = std::fs::write(&fill, vec![1; 4 << 20]);

    // What is refused is not there, and what could not be removed still is. Small changes may fit in where a large one does not.
    let links: Vec<String> = (0..500).map(|n| format!("trojan://password@b{n}.example.test:443")).collect();
    let source = refused("source", |n| {
        post("sources", json!({ "name": format!("more-{n}"), "links": links, "enabled": false }))
    });
    assert_eq!(ask(api, "GET", &format!("/api/v1/sources/more-{source}"), "").0, 404);
    let opened = refused("listener", |n| listener(format!("more-{n}")));
    assert_eq!(ask(api, "GET", &format!("/api/v1/listeners/more-{opened}"), "").0, 404);
    let before = attempts(api);
    let value = |n: u32| 1 + u64::from(n % 30);
    let setting = |n: u32| ask(api, "PATCH", "/api/v1/settings", &json!({ "proxy.attempts": value(n) }).to_string());
    let changed = refused("setting", setting);
    let confirmed = changed.checked_sub(1).map_or(before, |last| Some(value(last)));
    assert_eq!(attempts(api), confirmed);
    let side = refused("removal", |n| ask(api, "DELETE", &format!("/api/v1/listeners/side-{n}"), ""));
    let status = get(api, "/api/v1/status");
    let open = |name: &str| status["listeners"].as_array().unwrap().iter().find(|one| one["name"] == name).cloned();
    assert_eq!(open(&format!("more-{opened}")), None, "{status}");
    let address = open(&format!("side-{side}")).unwrap()["address"].as_str().unwrap().to_owned();
    assert!(TcpStream::connect(&address).is_ok(), "{address} is open again");

    // The record holds nothing of it, and neither does the store.
    std::fs::remove_file(fill).unwrap();
    assert_eq!(setting(28).0, 200);
    assert_eq!(get(api, &format!("/api/v1/audit?kind=listener&name=more-{opened}"))["items"], json!([]));
    instance.kill();
    let instance = home.start(&[]);
    assert_eq!(attempts(instance.api), Some(value(28)));
    let there = |path: String| ask(instance.api, "GET", &format!("/api/v1/{path}"), "").0;
    assert_eq!(there(format!("sources/more-{source}")), 404);
    assert_eq!(there(format!("listeners/more-{opened}")), 404);
    assert_eq!(there(format!("listeners/side-{side}")), 200);
    instance.terminate();
}

#[test]
fn a_banned_node_stays_away_until_the_ban_is_lifted() {
    let home = Home::new();
    home.write("hezar.toml", config(&source("list", "list.txt")));
    let list = "socks5://192.0.2.1:1080#one\nsocks5://192.0.2.2:1080#two\n";
    home.write("list.txt", list);
    let instance = home.start(&[]);
    let banned = eventually("the node", || id(&instance, "two"));
    assert_eq!(ask(instance.api, "GET", &format!("/api/v1/nodes/{}", &banned[..6]), "").0, 200, "a short id");
    let (status, body) =
        ask(instance.api, "DELETE", "/api/v1/nodes", &format!(r#"{{"ids":["{}"],"ban":true}}"#, &banned[..8]));
    assert_eq!(status, 200);
    assert!(body.contains("\"removed\":1") && body.contains("\"banned\":1"), "{body}");
    // What was answered for survives a crash, and the list cannot bring it back.
    instance.kill();
    home.write("list.txt", format!("{list}socks5://192.0.2.3:1080#three\n"));
    let instance = home.start(&[]);
    eventually("the new list", || id(&instance, "three"));
    assert_eq!((id(&instance, "two"), total(&instance, "")), (None, 2));
    assert_eq!(get(instance.api, "/api/v1/bans")[0]["name"], "two");
    assert_eq!(ask(instance.api, "DELETE", &format!("/api/v1/bans/{}", &banned[..6]), "").0, 200);
    eventually("the node after the ban", || id(&instance, "two"));
    assert_eq!(get(instance.api, "/api/v1/bans"), json!([]));
    instance.terminate();
}

#[test]
fn bans_of_exits_for_sites_outlive_a_crash_until_they_end_or_are_lifted() {
    let home = Home::new();
    home.write("hezar.toml", config(""));
    let instance = home.start(&[]);
    let bans = "/api/v1/bans/sites";
    let ban = |api, site: &str, exit: &str, seconds: u64| {
        let body = format!(r#"{{"site":"{site}","exit":"{exit}","seconds":{seconds},"reason":"captcha"}}"#);
        let (status, body) = ask(api, "POST", bans, &body);
        assert_eq!(status, 200, "it is in the store: {body}");
    };
    let sites = |api, query: &str| -> Vec<String> {
        let page = get(api, &format!("{bans}?sort=site&{query}"));
        let items = page["items"].as_array().unwrap();
        items.iter().map(|item| item["site"].as_str().unwrap().to_owned()).collect()
    };
    ban(instance.api, "www.a.example", "192.0.2.1", 3600);
    ban(instance.api, "b.example", "192.0.2.1", 3600);
    ban(instance.api, "c.example", "192.0.2.2", 3600);
    ban(instance.api, "d.example", "192.0.2.2", 1);
    assert_eq!(ask(instance.api, "DELETE", &format!("{bans}/c.example@192.0.2.2"), "").0, 200);
    // What was answered for survives a crash: the bans, and that one was lifted.
    instance.kill();
    let instance = home.start(&[]);
    eventually("the end of the short ban", || (sites(instance.api, "").len() == 2).then_some(()));
    assert_eq!(sites(instance.api, ""), ["a.example", "b.example"]);
    assert_eq!(sites(instance.api, "site=cdn.a.example&exit=192.0.2.1&search=captcha"), ["a.example"]);

    assert!(home.run(&["site-ban", "list", "--site", "b.example", "--json"]).good().contains("b.example@192.0.2.1"));
    home.run(&["site-ban", "add", "e.example", "--exit", "2001:db8::1", "--for", "2d"]).good();
    assert!(home.run(&["site-ban", "list"]).good().contains("2001:db8::1"));
    assert!(home.run(&["site-ban", "lift", "--exit", "192.0.2.1"]).good().contains("2 bans lifted"));
    instance.kill();
    let instance = home.start(&[]);
    assert_eq!(sites(instance.api, ""), ["e.example"]);
    home.run(&["site-ban", "lift", "e.example@2001:db8::1"]).good();
    assert!(sites(instance.api, "").is_empty());
    instance.terminate();
}

#[test]
fn a_changed_source_is_read_at_once_and_one_that_left_leaves_nothing() {
    let home = Home::new();
    home.write("a.txt", "socks5://192.0.2.1:1080#one\nsocks5://192.0.2.2:1080#shared\n");
    home.write("b.txt", "socks5://192.0.2.2:1080#shared\n");
    home.write("c.txt", "socks5://192.0.2.9:1080#other\n");
    let slow = |name: &str, file: &str| source(name, file).replace("\"1s\"", "\"30d\"");
    home.write("hezar.toml", config(&(slow("a", "a.txt") + &slow("b", "b.txt"))));
    let instance = home.start(&[]);
    eventually("both lists", || (total(&instance, "source=a") == 2 && total(&instance, "source=b") == 1).then_some(()));
    instance.terminate();

    // The same name for another file: due in thirty days, and read now.
    home.write("hezar.toml", config(&(slow("a", "c.txt") + &slow("b", "b.txt"))));
    let instance = home.start(&[]);
    eventually("the other file", || id(&instance, "other"));
    assert_eq!(total(&instance, "source=a"), 1);
    instance.terminate();

    home.write("hezar.toml", config(&slow("b", "b.txt")));
    let instance = home.start(&[]);
    assert_eq!(total(&instance, ""), 1, "what another source lists stays, also of what it listed before");
    assert!(id(&instance, "shared").is_some());
    instance.terminate();
}
