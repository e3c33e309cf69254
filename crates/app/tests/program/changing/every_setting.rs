//! Every setting is changed by the API, by the command line and by the file, under a tunnel of a listener that nobody touches.

#[path = "../../../src/geo/tests/mmdb.rs"]
mod mmdb;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    net::TcpStream,
    path::Path,
};

use hezar_lab::{World, WorldConfig};
use serde_json::{Map, Value, json};

use super::{Client, echoes};
use crate::harness::{Home, eventually, tunnel};

const CONFIG: &str = r#"
[probe]
control = []
[[source]]
name = "first"
file = "first.txt"
allow_private = true
[[listener]]
name = "stays"
listen = "127.0.0.1:0"
"#;
const RESTART: &str = "needs a restart, and says so";
const PROGRAM: &str = "needs a restart, and says so: who holds a token may not choose a program";
const TLS: &str = "lets the port speak TLS: the tests of TLS change it";
/// Settings that some way does not change here, with the reason.
const EXCEPTIONS: [(&str, &str); 31] = [
    ("api.enabled", "off by the command line and the file; on again by the file alone, since nobody answers"),
    ("api.tls", TLS),
    ("api.listen", "a flag of this test's instance says it: refused with this place"),
    ("cluster.name", RESTART),
    ("cluster.region", RESTART),
    ("cluster.roles", RESTART),
    ("engine.batch", RESTART),
    ("engine.controller_secret", RESTART),
    ("engine.expose_controller", RESTART),
    ("engine.expose_gateway_controller", RESTART),
    ("engine.kind", RESTART),
    ("engine.probe_controller", RESTART),
    ("engine.probe_secret", RESTART),
    ("engine.strategy", RESTART),
    ("engine.update_pause", RESTART),
    ("log.format", "a variable of this test's instance says it: refused with this place"),
    (
        "probe.control",
        "the file says it from the start, since the default pages are not on this machine: changed by the file",
    ),
    ("proxy.listen", "a flag of this test's instance says it: refused with this place"),
    ("proxy.tls", TLS),
    ("sidecar.mihomo", PROGRAM),
    ("sidecar.xray", PROGRAM),
    ("store.connections", RESTART),
    ("store.listen_url", RESTART),
    ("store.memory", RESTART),
    ("store.memory_folder", RESTART),
    ("store.prepared_statements", RESTART),
    ("store.snapshot_every", RESTART),
    ("store.snapshots", RESTART),
    ("store.url", RESTART),
    ("tor.binary", PROGRAM),
    ("tor.options", PROGRAM),
];
/// A page that no node brings, which does no harm: nobody is blamed for what all lack.
const CANARY: &str = "http://demo.hezar/known.txt";

fn exception(key: &str) -> Option<&'static str> {
    EXCEPTIONS.iter().find(|(name, _)| *name == key).map(|(_, reason)| *reason)
}

/// What the settings are between the changes: nodes are checked with a page that only they bring.
fn baseline() -> Map<String, Value> {
    let values = [
        ("probe.url", json!("http://demo.hezar/generate_204")),
        ("probe.trace_url", json!("")),
        ("probe.canary_url", json!("")),
        ("probe.timeout", json!("30s")),
    ];
    values.map(|(key, value)| (key.to_owned(), value)).into_iter().collect()
}

/// Another value for a setting, with those that must change with it.
fn other_values(setting: &Value, folder: &str) -> Map<String, Value> {
    let key = setting["key"].as_str().unwrap();
    let values = match key {
        "probe.canary_url" | "probe.canary_text" => {
            vec![("probe.canary_url", json!(CANARY)), ("probe.canary_text", json!("known"))]
        }
        "probe.canary_sha256" => {
            vec![("probe.canary_url", json!(CANARY)), ("probe.canary_sha256", json!("ab".repeat(32)))]
        }
        _ => {
            let value = other_value(setting, folder);
            vec![(key, value.unwrap_or_else(|| panic!("no other value for {key}: {setting}")))]
        }
    };
    values.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
}

/// Another value for a setting; `None` when this test has none, and must get one.
fn other_value(setting: &Value, folder: &str) -> Option<Value> {
    let special = match setting["key"].as_str()? {
        "api.token" => json!("another-token-for-this-test"),
        "api.hosts" => json!(["hezar.example.org"]),
        "api.trusted_proxies" | "proxy.proxy_protocol" => json!(["192.0.2.0/24"]),
        "proxy.open_to" => json!(["private"]),
        "clash.ui" => json!(format!("{folder}/dashboard")),
        "geo.mmdb" => json!(format!("{folder}/country.mmdb")),
        "geo.asn_mmdb" => json!(format!("{folder}/asn.mmdb")),
        "geo.city_mmdb" => json!(format!("{folder}/city.mmdb")),
        "log.level" => json!("hezar=debug,info"),
        "log.folder" => json!(format!("{folder}/logs")),
        "log.max_bytes" | "access_log.max_bytes" | "access_log.file_bytes" => json!("20MiB"),
        "log.privacy" => json!("users,targets"),
        "access_log.folder" => json!(format!("{folder}/access")),
        "otlp.endpoint" => json!("http://127.0.0.1:9/"),
        "otlp.bearer" => json!("a-token-of-the-collector"),
        "otlp.service" => json!("hezar-here"),
        "probe.url" => json!("http://demo.hezar/"),
        "probe.trace_url" => json!("http://demo.hezar/cdn-cgi/trace"),
        "probe.expect_body" => json!("known"),
        "probe.judge_url" => json!("http://judge.example/azenv.php"),
        "proxy.client_limits" => json!({ "connections": 400 }),
        // These leave the way open that the tunnel takes.
        "proxy.allow_ports" => json!(["1-65535"]),
        "proxy.deny_ports" => json!(["25"]),
        "proxy.allow_hosts" => json!(["*.hezar", "echo.hezar"]),
        "proxy.deny_hosts" => json!(["nobody.example"]),
        "proxy.allow_private_targets" => json!(true),
        "proxy.feedback" => json!([{ "status": [403] }]),
        _ => return value_of_its_kind(setting),
    };
    Some(special)
}

/// A value of the same kind as the one in force.
fn value_of_its_kind(setting: &Value) -> Option<Value> {
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

/// The three databases of addresses, each with one network of documentation.
fn write_databases(folder: &Path) {
    let databases: [(&str, &[u8]); 3] = [
        ("country.mmdb", b"\xe1\x4ccountry_code\x42nl"),
        ("asn.mmdb", b"\xe1\x58autonomous_system_number\xc2\x34\x17"),
        ("city.mmdb", b"\xe1\x44city\x46Berlin"),
    ];
    for (name, data) in databases {
        std::fs::write(folder.join(name), mmdb::database(192, data)).unwrap();
    }
}

/// The file with these settings in their sections.
fn file_with(values: &Map<String, Value>) -> String {
    let mut sections = BTreeMap::<&str, String>::new();
    for (path, value) in values {
        let (section, key) = path.split_once('.').unwrap();
        let _ = writeln!(sections.entry(section).or_default(), "{key} = {}", toml_text(value));
    }
    sections.entry("probe").or_default();
    let lists = CONFIG.split_once("control = []\n").unwrap().1;
    let sections: String = sections.iter().map(|(name, lines)| format!("[{name}]\n{lines}")).collect();
    sections + lists
}

/// Puts a file in the place of the watched one, at once.
fn replace_file(home: &Home, text: &str) {
    home.write("next.toml", text);
    std::fs::rename(home.path().join("next.toml"), home.path().join("hezar.toml")).unwrap();
}

/// Whether a change says that it has changed a setting; the keys of a canary are one.
fn names(told: &Value, key: &str) -> bool {
    let key = if key.starts_with("probe.canary_") { "probe.canary_url" } else { key };
    told["changed"].as_array().is_some_and(|changed| changed.iter().any(|one| one == key))
}

/// Runs `hezar settings set` or `unset`.
fn by_command_line<'a>(home: &Home, action: &'a str, words: impl Iterator<Item = &'a String>) {
    let words: Vec<&str> = ["settings", action].into_iter().chain(words.map(String::as_str)).collect();
    home.run(&words).good();
}

/// Fails unless all of these are said in one place and differ from what they were.
fn assert_changed(
    now: &BTreeMap<String, Value>,
    before: &BTreeMap<String, Value>,
    values: &Map<String, Value>,
    place: &str,
) {
    for key in values.keys() {
        assert_eq!(now[key]["origin"], place, "{key}");
        assert_ne!(now[key]["value"], before[key]["value"], "{key}");
    }
}

#[test]
fn every_setting_is_changed_while_it_runs_and_no_tunnel_is_cut() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let world = runtime.block_on(World::start(WorldConfig::healthy(3))).unwrap();
    let home = Home::new();
    home.write("first.txt", world.links());
    home.write("hezar.toml", CONFIG);
    write_databases(home.path());
    let folder = home.path().display().to_string();
    let instance = home.start(&[]);
    let own_token = home.read("hezar-data/token").trim().to_owned();
    let mut client = Client { api: instance.api, token: own_token.clone() };
    let (baseline, other_token) = (baseline(), "another-token-for-this-test".to_owned());
    let patch = |client: &Client, values: &Map<String, Value>| {
        client.ask("PATCH", "/api/v1/settings", &Value::Object(values.clone()).to_string())
    };
    assert_eq!(patch(&client, &baseline).0, 200);
    let mut held = eventually("a tunnel", || tunnel(instance.listener("stays")));
    let before = client.settings();
    let mut table = String::from("| setting | by the API | by the command line | by the file |\n|---|---|---|---|\n");
    let (mut all, mut refused) = (Map::new(), Vec::new());
    for (key, setting) in &before {
        if let Some(reason) = exception(key) {
            if key != "api.enabled" && reason != TLS {
                refused.push((key, setting));
            }
            let _ = writeln!(table, "| {key} | {reason} | | |");
            continue;
        }
        // By the API, and back.
        let values = other_values(setting, &folder);
        let (status, told) = patch(&client, &values);
        assert!(status == 200 && names(&told, key), "{key}: {told}");
        if key == "api.token" {
            client.token.clone_from(&other_token);
        }
        echoes(&mut held, key);
        let back = values.keys().map(|key| (key.clone(), baseline.get(key).cloned().unwrap_or_default())).collect();
        let (status, told) = patch(&client, &back);
        assert!(status == 200 && names(&told, key), "{key} back: {told}");
        client.token.clone_from(&own_token);
        let _ = writeln!(table, "| {key} | {0} | {0} | {0} |", values[key]);
        all.extend(values);
    }
    assert!(all.len() > 60, "{}", all.len());
    // What another place says, or what needs a restart, is refused with this reason.
    for (key, setting) in refused {
        let value = if setting["value"].is_null() { json!("elsewhere") } else { setting["value"].clone() };
        let (status, told) = client.ask("PATCH", "/api/v1/settings", &json!({ key: value }).to_string());
        let (expected, reason) =
            if setting["changeable"] == false { (400, "start again") } else { (409, "is said by") };
        assert_eq!(status, expected, "{key}: {told}");
        assert!(told["detail"].as_str().unwrap().contains(reason), "{key}: {told}");
    }
    let fixed: BTreeSet<&str> =
        before.iter().filter(|(_, one)| one["changeable"] == false).map(|(key, _)| key.as_str()).collect();
    let restart = EXCEPTIONS.iter().filter(|(_, reason)| reason.starts_with(RESTART)).map(|(key, _)| *key);
    assert_eq!(fixed, restart.collect());

    // By the command line: every setting in one call, and back in one. A canary has a text or a hash.
    let hash = Map::from_iter([("probe.canary_sha256".to_owned(), all.remove("probe.canary_sha256").unwrap())]);
    let with_hash: Map<_, _> = hash.into_iter().chain([("probe.canary_url".to_owned(), json!(CANARY))]).collect();
    for values in [&all, &with_hash] {
        let words: Vec<String> = values.iter().map(|(key, value)| format!("{key}={}", argument(value))).collect();
        by_command_line(&home, "set", words.iter());
        echoes(&mut held, "command line");
        let is_new_token = values.contains_key("api.token");
        client.token.clone_from(if is_new_token { &other_token } else { &own_token });
        assert_changed(&client.settings(), &before, values, "store");
        by_command_line(&home, "unset", values.keys());
        client.token.clone_from(&own_token);
        assert_eq!(patch(&client, &baseline).0, 200);
        assert_eq!(client.settings(), before, "everything is as it was");
    }

    // By the file, which is watched: nobody asks for a reload.
    let nothing = baseline.keys().map(|key| (key.clone(), Value::Null)).collect();
    assert_eq!(patch(&client, &nothing).0, 200);
    all.insert("probe.control".to_owned(), json!(["http://127.0.0.1:1/"]));
    let with_hash: Map<_, _> = with_hash.into_iter().chain([("probe.control".to_owned(), json!([]))]).collect();
    for values in [&all, &with_hash] {
        replace_file(&home, &file_with(values));
        let is_new_token = values.contains_key("api.token");
        client.token.clone_from(if is_new_token { &other_token } else { &own_token });
        let applied = |client: &Client| {
            let (status, all) = client.ask("GET", "/api/v1/settings", "");
            let is_said = |key: &str| {
                let found = all.as_array().and_then(|all| all.iter().find(|one| one["key"] == key));
                found.is_some_and(|one| one["origin"] == "file")
            };
            (status == 200 && values.keys().all(|key| is_said(key))).then_some(())
        };
        eventually("the file is applied", || applied(&client));
        echoes(&mut held, "file");
        let differing: Map<_, _> = values.clone().into_iter().filter(|(key, _)| key != "probe.control").collect();
        assert_changed(&client.settings(), &before, &differing, "file");
    }
    let (_, status) = client.ask("GET", "/api/v1/status", "");
    assert_eq!(status["config"]["problems"], json!([]));

    // The API itself: off and on by the file, off by the command line. Nobody is cut by it.
    replace_file(&home, &CONFIG.replace("[probe]", "[api]\nenabled = false\n[probe]"));
    eventually("the API is off", || TcpStream::connect(instance.api).is_err().then_some(()));
    echoes(&mut held, "off by the file");
    home.run(&["settings", "set", "proxy.attempts=3"]).refused(1, &["process", "api.enabled", "SIGHUP"]);
    replace_file(&home, CONFIG);
    eventually("the API is on", || (home.run(&["status"]).code == Some(0)).then_some(()));
    echoes(&mut held, "on by the file");
    home.run(&["settings", "set", "api.enabled=false"]).good();
    eventually("the API is off", || (home.run(&["status"]).code == Some(1)).then_some(()));
    echoes(&mut held, "off by the command line");
    println!("{table}");
    instance.terminate();
    home.run(&["settings", "unset", "api.enabled"]).good();
    assert!(home.run(&["settings", "get", "api.enabled"]).good().contains("true"));
    runtime.block_on(world.shutdown());
}
