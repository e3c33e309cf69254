//! The file's tree with the objects of the store in it.

use serde_json::{Value as Json, json};

use super::*;

fn object(kind: ObjectKind, name: &str, value: Json) -> StoredObject {
    StoredObject { key: ObjectKey::new(kind, name), value, changed: hezar_core::Timestamp(0) }
}

fn source(name: &str) -> StoredObject {
    object(ObjectKind::Source, name, json!({ "url": "https://a.test/SECRET", "interval": "5m" }))
}

fn setting(name: &str, value: Json) -> StoredObject {
    object(ObjectKind::Setting, name, value)
}

fn parse(text: &str, objects: &[StoredObject]) -> Result<Config, Problems> {
    ConfigReader::new(None, Layers::default()).parse(text, objects, &|_| false)
}

#[test]
fn objects_mean_what_they_would_mean_in_the_file() {
    let objects = [
        source("mine"),
        object(ObjectKind::Listener, "side", json!({ "listen": "127.0.0.1:8001", "sources": ["mine"], "top": null })),
        object(ObjectKind::User, "bob", json!({ "password": "x", "quota": { "day": "1GiB" }, "connections": 3 })),
        setting("probe.interval", json!("9s")),
        setting("proxy.client_limits", json!({ "connections": 7 })),
        setting("api.hosts", json!(["a.test"])),
        setting("proxy.feedback", json!([{ "status": [403] }])),
    ];
    let text = "[proxy]\nattempts = 3\nusers = [{ name = \"alice\", password = \"p\" }]\n[[source]]\nname = \"file\"\nlinks = []\n";
    let config = parse(text, &objects).unwrap_or_else(|problems| panic!("{problems}"));
    assert_eq!((config.sources.len(), config.sources[1].interval), (2, Duration::from_secs(300)));
    assert_eq!((config.listeners[0].listen.port(), config.listeners[0].top), (8001, None));
    assert_eq!((config.proxy.users.len(), config.proxy.users[1].limits.connections), (2, Some(3)));
    assert_eq!((config.probe.interval, config.proxy.client_limits.connections), (Duration::from_secs(9), Some(7)));
    let origin = |kind, name: &str| config.origins.get(&ObjectKey::new(kind, name)).cloned();
    assert_eq!(origin(ObjectKind::Source, "file"), Some(ConfigOrigin::File { line: Some(4) }));
    assert_eq!(origin(ObjectKind::User, "alice"), Some(ConfigOrigin::File { line: Some(3) }));
    assert_eq!(origin(ObjectKind::Setting, "proxy.attempts"), Some(ConfigOrigin::File { line: Some(2) }));
    for (kind, name) in [
        (ObjectKind::Source, "mine"),
        (ObjectKind::Listener, "side"),
        (ObjectKind::User, "bob"),
        (ObjectKind::Setting, "probe.interval"),
        (ObjectKind::Setting, "proxy.client_limits"),
        (ObjectKind::Setting, "api.hosts"),
        (ObjectKind::Setting, "proxy.feedback"),
    ] {
        assert_eq!(origin(kind, name), Some(ConfigOrigin::Store), "{name}");
    }
    assert_eq!(origin(ObjectKind::Setting, "probe.timeout"), None);
}

#[test]
fn mistakes_in_the_store_have_the_texts_of_the_file_and_their_place() {
    let objects = [
        object(ObjectKind::Source, "mine", json!({ "url": "ftp://u:SECRET@x", "intervall": "1h" })),
        object(ObjectKind::Listener, "side", json!({ "listen": "127.0.0.1:8000", "sources": ["nobody"] })),
        object(ObjectKind::User, "bob", json!({ "password": "" })),
        setting("probe.interval", json!(5)),
        setting("nowhere", json!(5)),
        setting("nowhere.at_all", json!(5)),
        object(ObjectKind::Source, "flat", json!("text")),
    ];
    let told = parse("[proxy]\nattempts = 0\n", &objects).unwrap_err();
    let lines: Vec<String> = told.0.iter().map(ToString::to_string).collect();
    for expected in [
        "line 2: proxy.attempts: expected a whole number from 1 to 32, found integer 0",
        "store: source \"mine\".url: expected an http or https URL, found \"ftp://…\"",
        "store: source \"mine\".intervall: unknown key; did you mean \"interval\"?",
        "store: listener \"side\".sources: there is no source named \"nobody\"",
        "store: listener \"side\".listen: 127.0.0.1:8000 is taken already: proxy.listen is 127.0.0.1:8000",
        "store: user \"bob\".password: a user needs a password",
        "store: probe.interval: expected a duration from",
        "store: nowhere: a setting is named by its section",
        "store: source \"flat\": expected a table of keys",
    ] {
        assert!(lines.iter().any(|line| line.starts_with(expected)), "missing {expected:?} in {lines:#?}");
    }
    assert!(!told.to_string().contains("SECRET"), "{told}");
}

#[test]
fn what_the_file_says_too_is_refused_with_both_places_or_left_out() {
    let text = "[probe]\ninterval = \"8s\"\n[[source]]\nname = \"mine\"\nlinks = []\n[[proxy.users]]\nname = \"bob\"\npassword = \"p\"\n";
    let objects = [
        source("mine"),
        source("other"),
        setting("probe.interval", json!("9s")),
        object(ObjectKind::User, "bob", json!({ "password": "x" })),
    ];
    let told = parse(text, &objects).unwrap_err().to_string();
    for expected in [
        "line 2: probe.interval: it is said twice, by line 2 of the configuration file and in the store",
        "line 4: source \"mine\": it is said twice",
        "(`hezar source remove mine`)",
        "line 7: user \"bob\": it is said twice",
    ] {
        assert!(told.contains(expected), "missing {expected:?} in {told}");
    }
    // A start goes on without the objects, and says so.
    let reader = ConfigReader::new(None, Layers::default());
    let config = reader.parse(text, &objects, &|_| true).unwrap();
    assert_eq!((config.left_out.len(), config.sources.len(), config.probe.interval), (3, 2, Duration::from_secs(8)));
    assert_eq!(config.sources[1].name, "other");
    // What may not be left out is still refused.
    let bob = ObjectKey::new(ObjectKind::User, "bob");
    let told = reader.parse(text, &objects, &|key| *key != bob).unwrap_err().to_string();
    assert!(told.contains("bob") && !told.contains("mine"), "{told}");
    // A mistake of the file is one with or without objects.
    assert!(reader.parse("[prob]\n", &objects, &|_| true).is_err());
}

#[test]
fn only_the_object_that_takes_an_address_from_the_file_is_left_out() {
    let text = "[[listener]]\nname = \"l\"\nlisten = \"127.0.0.1:8001\"\n";
    let others = [
        source("mine"),
        setting("probe.interval", json!("9s")),
        setting("proxy.attempts", json!(3)),
        object(ObjectKind::User, "bob", json!({ "password": "x" })),
        object(ObjectKind::Listener, "side", json!({ "listen": "127.0.0.1:8002", "sources": ["mine"] })),
    ];
    let reader = ConfigReader::new(None, Layers::default());
    for guilty in [setting("proxy.listen", json!("127.0.0.1:8001")), setting("api.listen", json!("0.0.0.0:8001"))] {
        let objects: Vec<StoredObject> = others.iter().cloned().chain([guilty.clone()]).collect();
        assert!(parse(text, &objects).is_err());
        let config = reader.parse(text, &objects, &|_| true).unwrap();
        let [left_out] = config.left_out.as_slice() else { panic!("{:?}", config.left_out) };
        assert_eq!(left_out.object.as_ref(), Some(&guilty.key));
        // Both places are named: the line of the file, and the store.
        let told = left_out.to_string();
        for part in ["store: ", &guilty.key.name, "line 3: listener[0].listen", "127.0.0.1:8001"] {
            assert!(told.contains(part), "missing {part:?} in {told}");
        }
        assert_eq!((config.proxy.listen.port(), config.proxy.attempts), (8000, 3));
        assert_eq!((config.probe.interval, config.proxy.users.len()), (Duration::from_secs(9), 1));
        assert_eq!((config.sources.len(), config.listeners.len()), (1, 2));
    }
}

#[test]
fn an_address_that_two_stored_listeners_take_is_named_by_both() {
    let listener = |name| object(ObjectKind::Listener, name, json!({ "listen": "127.0.0.1:8001" }));
    let told = parse("", &[listener("one"), listener("other")]).unwrap_err().to_string();
    let expected =
        "listener \"other\".listen: 127.0.0.1:8001 is taken already: listener \"one\".listen is 127.0.0.1:8001";
    assert!(told.contains(expected), "{told}");
}

#[test]
fn a_stored_key_that_excludes_one_of_the_file_is_left_out_alone() {
    let text = "[probe]\ncanary_url = \"http://a.test/x\"\ncanary_text = \"known\"\n";
    let objects = [setting("probe.canary_sha256", json!("ab".repeat(32))), setting("probe.interval", json!("9s"))];
    let config = ConfigReader::new(None, Layers::default()).parse(text, &objects, &|_| true).unwrap();
    assert_eq!(config.left_out.len(), 1);
    assert_eq!(config.left_out[0].path, "probe.canary_sha256");
    assert_eq!(config.probe.interval, Duration::from_secs(9));
}

#[test]
fn the_data_folder_is_known_of_a_file_with_mistakes() {
    let path = Some(Path::new("/etc/x/hezar.toml"));
    for (text, expected) in [
        ("data = \"/var/h\"\n[proxy\nattempts = \n", "/var/h"),
        ("[prob]\ninterval = 5\n", "/etc/x/hezar-data"),
        ("data = \"here\"\n[[source]]\nfil = 1", "/etc/x/here"),
        ("data = 5\n", "/etc/x/hezar-data"),
    ] {
        assert_eq!(resolve::data_folder_alone(text, path, &Layers::default()), Path::new(expected), "{text}");
    }
}

#[test]
fn what_the_environment_says_is_not_said_by_the_store() {
    let environment = [("HEZAR_PROBE_INTERVAL".to_owned(), "7s".to_owned())].into();
    let reader = ConfigReader::new(None, Layers { environment, ..Layers::default() });
    let objects = [setting("probe.interval", json!("9s"))];
    let told = reader.parse("", &objects, &|_| false).unwrap_err().to_string();
    assert!(told.contains("the environment variable HEZAR_PROBE_INTERVAL and in the store"), "{told}");
    let config = reader.parse("", &objects, &|_| true).unwrap();
    let interval = ObjectKey::new(ObjectKind::Setting, "probe.interval");
    assert_eq!(config.origins[&interval], ConfigOrigin::Environment("HEZAR_PROBE_INTERVAL".into()));
}
