//! Everything that can be said is changed while the program runs, by the API, by the file and by the command line, under a tunnel of a
//! listener that nobody touches.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
};

use hezar_lab::{World, WorldConfig};
use serde_json::{Value, json};

use crate::harness::{Home, Instance, PATIENCE, eventually};

const TOKEN: &str = "a-token-for-this-test";
const CONFIG: &str = r#"
[api]
token = "a-token-for-this-test"
[probe]
url = "http://demo.hezar/generate_204"
trace_url = ""
canary_url = ""
control = []
timeout = "30s"
[[source]]
name = "first"
file = "first.txt"
allow_private = true
[[listener]]
name = "stays"
listen = "127.0.0.1:0"
"#;
/// What the file of this test or the flags of its harness say already.
const SAID: [&str; 7] =
    ["api.token", "probe.url", "probe.trace_url", "probe.canary_url", "probe.control", "probe.timeout", "log.format"];
/// Said by flags of the harness: these cannot be said in the store. They are changed by listeners and by the API's own test below.
const FLAGS: [&str; 2] = ["proxy.listen", "api.listen"];
/// What would end the test or needs a file that it has not: the API itself, and a country database.
const APART: [&str; 2] = ["api.enabled", "geo.mmdb"];

/// Asks the API, and gives the status and the JSON. A question is asked again where the API, which is changed as well, has hung up.
fn ask(api: SocketAddr, method: &str, path: &str, body: &str) -> (u16, Value) {
    match method {
        "GET" => eventually(path, || ask_once(api, method, path, body)),
        _ => ask_once(api, method, path, body).unwrap(),
    }
}

fn ask_once(api: SocketAddr, method: &str, path: &str, body: &str) -> Option<(u16, Value)> {
    let mut stream = TcpStream::connect(api).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).ok()?;
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {TOKEN}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    Some((head.split(' ').nth(1)?.parse().ok()?, serde_json::from_str(body).unwrap_or_default()))
}

/// A tunnel to the echo, over the only node.
fn tunnel(proxy: SocketAddr) -> Option<TcpStream> {
    let mut stream = TcpStream::connect(proxy).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).ok()?;
    stream.write_all(b"CONNECT echo.hezar:7 HTTP/1.1\r\nHost: echo.hezar\r\n\r\n").ok()?;
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).ok()?;
        head.push(byte[0]);
    }
    head.starts_with(b"HTTP/1.1 200").then_some(stream)
}

fn echoes(stream: &mut TcpStream, text: &str) {
    stream.write_all(text.as_bytes()).unwrap();
    let mut back = vec![0; text.len()];
    stream.read_exact(&mut back).unwrap_or_else(|error| panic!("the tunnel was cut ({error}) at {text}"));
    assert_eq!(back, text.as_bytes());
}

/// Another value for a setting, as JSON; `None` for what this test has no other value for.
fn other_value(setting: &Value, folder: &str) -> Option<Value> {
    let key = setting["key"].as_str()?;
    if APART.contains(&key) {
        return None;
    }
    let special = match key {
        "log.level" => json!("hezar=debug,info"),
        "log.folder" => json!(format!("{folder}/logs")),
        "clash.ui" => json!(format!("{folder}/dashboard")),
        "log.max_bytes" => json!("20MiB"),
        "probe.expect_body" => json!("known"),
        "probe.judge_url" => json!("http://judge.example/azenv.php"),
        "probe.canary_text" | "probe.canary_sha256" => return None,
        "proxy.client_limits" => json!({ "connections": 400 }),
        "api.hosts" => json!(["hezar.example.org"]),
        // These leave the way open that the tunnel takes.
        "proxy.allow_ports" => json!(["1-65535"]),
        "proxy.deny_ports" => json!(["25"]),
        "proxy.allow_hosts" => json!(["*.hezar", "echo.hezar"]),
        "proxy.deny_hosts" => json!(["nobody.example"]),
        "proxy.allow_private_targets" => json!(true),
        "proxy.feedback" => json!([{ "status": [403] }]),
        _ => Value::Null,
    };
    if !special.is_null() {
        return Some(special);
    }
    let current = &setting["value"];
    if let Some(choices) = setting["choices"].as_array().filter(|choices| choices.len() > 1) {
        return choices.iter().find(|choice| *choice != current).cloned();
    }
    match current {
        Value::Bool(on) => Some(json!(!on)),
        Value::Null if setting["types"] == json!(["integer"]) => {
            let expected = setting["expected"].as_str().unwrap_or_default();
            (1..100_000).find(|number| in_range(expected, *number)).map(|number| json!(number))
        }
        Value::Number(number) => {
            let number = number.as_i64()?;
            let fits = |wanted: &i64| in_range(setting["expected"].as_str().unwrap_or_default(), *wanted);
            [number + 1, number - 1, number * 2].into_iter().find(fits).map(|number| json!(number))
        }
        Value::String(text) if text.ends_with("ms") => Some(json!("1s")),
        Value::String(text)
            if text.ends_with(['s', 'm', 'h', 'd']) && text.starts_with(|c: char| c.is_ascii_digit()) =>
        {
            let number: u64 = text[..text.len() - 1].parse().ok()?;
            Some(json!(format!("{}{}", number + 1, &text[text.len() - 1..])))
        }
        Value::String(text) if text.starts_with("http") => Some(json!(format!("{}more", text.trim_end_matches('/')))),
        _ => None,
    }
}

/// Whether a number is in the range that a text such as "a whole number from 1 to 32" names.
fn in_range(expected: &str, number: i64) -> bool {
    let numbers: Vec<i64> = expected.split([' ', ',']).filter_map(|word| word.parse().ok()).collect();
    numbers.first().is_none_or(|from| number >= *from) && numbers.get(1).is_none_or(|to| number <= *to)
}

fn settings(instance: &Instance) -> BTreeMap<String, Value> {
    let (status, all) = ask(instance.api, "GET", "/api/v1/settings", "");
    assert_eq!(status, 200);
    all.as_array().unwrap().iter().map(|one| (one["key"].as_str().unwrap().to_owned(), one.clone())).collect()
}

/// A JSON value as TOML.
fn toml_text(value: &Value) -> String {
    match value {
        Value::Object(table) => {
            let pairs: Vec<String> = table.iter().map(|(key, value)| format!("{key} = {}", toml_text(value))).collect();
            format!("{{ {} }}", pairs.join(", "))
        }
        Value::Array(values) => format!("[{}]", values.iter().map(toml_text).collect::<Vec<_>>().join(", ")),
        value => value.to_string(),
    }
}

/// A JSON value as the command line takes it.
fn argument(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(values) if values.iter().all(Value::is_string) => {
            values.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(",")
        }
        value => value.to_string(),
    }
}

#[test]
fn every_setting_is_changed_while_it_runs_and_no_tunnel_is_cut() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let world = runtime.block_on(World::start(WorldConfig::healthy(3))).unwrap();
    let home = Home::new();
    home.write("first.txt", world.links());
    home.write("hezar.toml", CONFIG);
    let instance = home.start(&[]);
    let mut held = eventually("a tunnel", || tunnel(instance.listener("stays")));
    let folder = home.path().display().to_string();
    let mut table = String::from("| setting | API | command line | file |\n|---|---|---|---|\n");
    let before = settings(&instance);
    let (mut changed, mut with_restart) = (0, Vec::new());
    for (key, setting) in &before {
        if SAID.contains(&key.as_str()) || FLAGS.contains(&key.as_str()) {
            // What the file, the environment or a flag says is refused with its place, and stays.
            let (status, told) = ask(instance.api, "PATCH", "/api/v1/settings", &json!({ key: "1s" }).to_string());
            assert_eq!(status, 409, "{key}: {told}");
            assert!(told["detail"].as_str().unwrap().contains("is said by"), "{key}: {told}");
            let _ = writeln!(table, "| {key} | {} says it | | see below |", setting["origin"].as_str().unwrap());
            continue;
        }
        if setting["changeable"] == false {
            let patch = json!({ key: "sqlite:other.db" }).to_string();
            let (status, told) = ask(instance.api, "PATCH", "/api/v1/settings", &patch);
            assert_eq!(status, 400, "{key}: {told}");
            assert!(told["detail"].as_str().unwrap().contains("start again"), "{key}: {told}");
            with_restart.push(key.clone());
            let _ = writeln!(table, "| {key} | needs a restart, and says so | | |");
            continue;
        }
        let Some(value) = other_value(setting, &folder) else {
            assert!(
                APART.contains(&key.as_str()) || key.starts_with("probe.canary"),
                "no other value for {key}: {setting}"
            );
            let _ = writeln!(table, "| {key} | not by this test | | |");
            continue;
        };
        // By the API, and back.
        let (status, told) = ask(instance.api, "PATCH", "/api/v1/settings", &json!({ key: value }).to_string());
        assert_eq!((status, &told["changed"]), (200, &json!([key])), "{key} = {value}: {told}");
        echoes(&mut held, key);
        let (status, told) = ask(instance.api, "PATCH", "/api/v1/settings", &json!({ key: null }).to_string());
        assert_eq!((status, &told["changed"]), (200, &json!([key])), "{key} back: {told}");
        changed += 1;
        let _ = writeln!(table, "| {key} | {value} | {value} | {value} |");
    }
    assert!(changed > 40, "{changed}");
    assert_eq!(with_restart, ["geo.asn_mmdb", "geo.city_mmdb", "store.url"]);

    // By the command line: every setting in one call, and back in one.
    let values: BTreeMap<&String, Value> = before
        .iter()
        .filter(|(key, _)| !SAID.contains(&key.as_str()) && !FLAGS.contains(&key.as_str()))
        .filter(|(_, setting)| setting["changeable"] == true)
        .filter_map(|(key, setting)| Some((key, other_value(setting, &folder)?)))
        .collect();
    let assignments: Vec<String> = values.iter().map(|(key, value)| format!("{key}={}", argument(value))).collect();
    let words: Vec<&str> = ["settings", "set"].into_iter().chain(assignments.iter().map(String::as_str)).collect();
    home.run(&words).good();
    echoes(&mut held, "command line");
    let now = settings(&instance);
    for key in values.keys() {
        assert_eq!(now[*key]["origin"], "store", "{key}");
        assert_ne!(now[*key]["value"], before[*key]["value"], "{key}");
    }
    let words: Vec<&str> = ["settings", "unset"].into_iter().chain(values.keys().map(|key| key.as_str())).collect();
    home.run(&words).good();
    assert_eq!(settings(&instance), before, "everything is as it was");

    // By the file, which is watched: nobody asks for a reload.
    let mut file = CONFIG.to_owned();
    for section in ["proxy", "api", "clash", "pool", "probe", "fetch", "tls", "geo", "log"] {
        let lines: String = values
            .iter()
            .filter_map(|(key, value)| {
                Some(format!("{} = {}\n", key.strip_prefix(section)?.strip_prefix('.')?, toml_text(value)))
            })
            .collect();
        if file.contains(&format!("[{section}]\n")) {
            file = file.replace(&format!("[{section}]\n"), &format!("[{section}]\n{lines}"));
        } else {
            file = format!("[{section}]\n{lines}{file}");
        }
    }
    home.write("next.toml", &file);
    std::fs::rename(home.path().join("next.toml"), home.path().join("hezar.toml")).unwrap();
    eventually("the file is applied", || (settings(&instance)["proxy.attempts"]["origin"] == "file").then_some(()));
    echoes(&mut held, "file");
    let now = settings(&instance);
    for key in values.keys() {
        assert_eq!(now[*key]["origin"], "file", "{key}");
        assert_ne!(now[*key]["value"], before[*key]["value"], "{key}");
    }
    let (_, status) = ask(instance.api, "GET", "/api/v1/status", "");
    assert_eq!(status["config"]["problems"], json!([]));
    println!("{table}");
    instance.terminate();
    runtime.block_on(world.shutdown());
}

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
    let mut held = eventually("a tunnel", || tunnel(instance.listener("stays")));
    let next = |name: &str| {
        let (_, source) = ask(instance.api, "GET", &format!("/api/v1/sources/{name}"), "");
        source["status"]["next"].clone()
    };
    let healthy = |name: &str| {
        let (_, source) = ask(instance.api, "GET", &format!("/api/v1/sources/{name}"), "");
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
    let moved = ask(instance.api, "PATCH", "/api/v1/listeners/side", &json!({ "listen": "127.0.0.2:0" }).to_string()).1;
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
        ask(instance.api, "POST", "/api/v1/users", &json!({ "name": "bob", "password": "s3cret" }).to_string());
    assert_eq!(status, 201, "{made}");
    assert!(!made.to_string().contains("s3cret"), "{made}");
    home.run(&["user", "edit", "bob", "quota.day=1GiB", "note=pays"]).good();
    home.run(&["user", "disable", "bob"]).good();
    assert!(home.run(&["user", "list"]).good().contains("off"));
    home.run(&["user", "remove", "bob"]).good();
    let token = home.run(&["token", "create", "grafana", "--scope", "read"]).good().trim().to_owned();
    let with = |method: &str| {
        let mut stream = TcpStream::connect(instance.api).unwrap();
        write!(stream, "{method} /api/v1/settings HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer.split(' ').nth(1).unwrap().to_owned()
    };
    assert_eq!((with("GET"), with("PATCH")), ("200".to_owned(), "403".to_owned()));
    home.run(&["token", "revoke", "grafana"]).good();
    assert_eq!(with("GET"), "401");

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
    let (status, kept) = ask(instance.api, "GET", "/api/v1/sources/kept", "");
    assert_eq!((status, &kept["value"]["enabled"]), (200, &json!(false)), "{kept}");
    assert_eq!(ask(instance.api, "GET", "/api/v1/users/bob", "").0, 404);
    instance.terminate();
    runtime.block_on(world.shutdown());
}

#[test]
fn a_file_with_mistakes_changes_nothing_and_names_said_twice_are_refused() {
    let home = Home::new();
    home.write("first.txt", "");
    home.write("hezar.toml", CONFIG);
    let instance = home.start(&[]);
    home.run(&["source", "add", "mine", "links=ss://YWVzLTEyOC1nY206cGFzc3dvcmQ@11.0.0.1:8388"]).good();
    let before = settings(&instance);

    // Three mistakes: all are told, by the command, by the status and in the log, and nothing has changed.
    let wrong = CONFIG.replace("[probe]\n", "[probe]\ninterval = 5\ntimout = \"1s\"\n").replace("file = ", "fil = ");
    home.write("hezar.toml", &wrong);
    let mistakes = ["probe.interval", "probe.timout", "source[0].fil"];
    home.run(&["reload"]).refused(2, &mistakes);
    eventually("the watched file is told in the status", || {
        let (_, status) = ask(instance.api, "GET", "/api/v1/status", "");
        let told = status["config"]["problems"].to_string();
        mistakes.iter().all(|mistake| told.contains(mistake)).then_some(())
    });
    assert_eq!(settings(&instance), before);
    // The API still works on the configuration that is in force.
    assert_eq!(ask(instance.api, "PATCH", "/api/v1/settings", r#"{"proxy.attempts":3}"#).0, 200);

    // The file names what the store names: refused with both places.
    home.write("hezar.toml", format!("{CONFIG}[[source]]\nname = \"mine\"\nlinks = []\n"));
    home.run(&["reload"]).refused(1, &["source \"mine\"", "line 18", "in the store", "hezar source remove mine"]);
    // A start leaves the store's out with a warning, and the next reload goes on so.
    instance.kill();
    let instance = home.start(&[]);
    let (_, mine) = ask(instance.api, "GET", "/api/v1/sources/mine", "");
    assert_eq!((&mine["origin"], mine["problem"].is_string()), (&json!("file"), true), "{mine}");
    home.run(&["reload"]).good();
    let (_, status) = ask(instance.api, "GET", "/api/v1/status", "");
    assert!(status["config"]["left_out"].to_string().contains("said twice"), "{status}");
    assert_eq!(settings(&instance)["proxy.attempts"]["value"], 3);
    // When the file does not name it any more, the store's is in force again.
    home.write("hezar.toml", CONFIG);
    home.run(&["reload"]).good();
    let (_, mine) = ask(instance.api, "GET", "/api/v1/sources/mine", "");
    assert_eq!((&mine["origin"], &mine["problem"]), (&json!("store"), &Value::Null), "{mine}");
    let log = instance.terminate();
    assert!(log.iter().any(|line| line.contains("left out") && line.contains("WARN")), "{log:#?}");
}
