//! What a configuration may say, and what it is told when it is wrong.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    time::Duration,
};

use hezar_core::settings::{read_bytes, read_duration, show_duration};
use hezar_fetch::Via;
use hezar_pool::Strategy;
use hezar_probe::CanaryBody;

use super::*;

mod inbounds;
mod mistakes;
mod objects;

fn read(text: &str) -> Result<Config, Problems> {
    Config::read(text, None, &Layers::default())
}

fn problems(text: &str) -> Vec<String> {
    let told = |problem: &Problem| Problem { line: None, ..problem.clone() }.to_string();
    read(text).unwrap_err().0.iter().map(told).collect()
}

#[test]
fn empty_is_the_default() {
    let config = read("").unwrap();
    assert_eq!(config.proxy.listen.to_string(), "127.0.0.1:8000");
    assert_eq!(config.api.address().unwrap().to_string(), "127.0.0.1:9090");
    assert_eq!((config.proxy.attempts, config.health.dead_after), (16, 3));
    assert_eq!(config.data, PathBuf::from("hezar-data"));
    assert!(config.sources.is_empty());
}

#[test]
fn the_template_reads() {
    let config = read(&template()).unwrap();
    assert!(config.sources.len() >= 5);
}

#[test]
fn every_commented_key_of_the_template_reads() {
    let template = template();
    let uncommented: String = template
        .lines()
        .map(|line| match line.strip_prefix("# ") {
            Some(rest)
                if rest.starts_with('[') || rest.split(" = ").next().is_some_and(|k| !k.contains([' ', '.', ':'])) =>
            {
                rest
            }
            _ => line,
        })
        .filter(|line| !line.contains("token = \"…\""))
        .map(|line| format!("{line}\n"))
        .collect();
    let config = read(&uncommented).unwrap_or_else(|problems| panic!("{problems}\n{uncommented}"));
    assert_eq!(config.proxy.users.len(), 1);
    assert!(config.log.folder.is_some());
}

#[test]
fn what_is_shown_reads_back() {
    let text = r#"
        [proxy]
        listen = "[::1]:1"
        strategy = "sticky"
        [[source]]
        name = "a"
        github = "o/r"
        paths = ["*.txt"]
        [[source]]
        name = "b"
        telegram = "@chan_nel"
        via = "pool"
        interval = "90m"
    "#;
    let shown = read(text).unwrap().show();
    let again = read(&shown).unwrap_or_else(|problems| panic!("{problems}\n{shown}"));
    assert_eq!(again.show(), shown);
    assert_eq!(again.proxy.strategy, Strategy::Sticky);
    assert_eq!(again.sources[1].interval, Duration::from_secs(5400));
    assert_eq!(again.sources[1].via, Via::Pool);
}

/// Every place of the configuration that may hold a secret.
const SECRETS: &str = r#"
    proxy.users = [{ name = "alice", password = "SECRET" }]
    api.token = "SECRET-of-sixteen-or-more"
    probe.url = "https://u:SECRET@probe.example/?k=SECRET"
    probe.trace_url = "https://u:SECRET@probe.example/"
    probe.canary_url = "https://u:SECRET@probe.example/?SECRET"
    probe.canary_text = "x"
    probe.control = ["http://u:SECRET@probe.example/?SECRET"]
    fetch.github_api = "https://u:SECRET@api.example/"
    fetch.telegram = "https://u:SECRET@api.example/"
    listener = [{ name = "l", listen = "127.0.0.1:1", users = [{ name = "bob", password = "SECRET" }] }]
    source = [
        { name = "a", links = ["ss://SECRET@h:1"] },
        { name = "b", github = "a/b", token = "SECRET" },
        { name = "c", url = "https://u:SECRET@sub.example:81/SECRET?token=SECRET", headers = { X-Key = "SECRET" } },
        { name = "d", url = "ssconf://sub.example/SECRET/{Ymd}" },
    ]
"#;

#[test]
fn user_names_may_hold_what_options_begin_with() {
    let config = read(r#"proxy.users = [{ name = "alice-b.c_d", password = "p" }]"#).unwrap();
    assert_eq!(&*config.proxy.users[0].name, "alice-b.c_d");
    for bad in ["", "a:b", "a\\nb", "a\\u009bb", &"a".repeat(65)] {
        let text = format!(r#"proxy.users = [{{ name = "{bad}", password = "p" }}]"#);
        assert!(problems(&text).iter().any(|problem| problem.contains("users")), "{bad:?}");
    }
}

#[test]
fn exits_are_named_unless_that_is_switched_off() {
    assert!(read("").unwrap().proxy.name_exit);
    let config = read("proxy.name_exit = false").unwrap();
    assert!(!config.proxy.name_exit);
    assert!(config.show().contains("name_exit = false"));
    assert_eq!(problems("proxy.name_exit = \"no\"").len(), 1);
}

#[test]
fn sessions_are_bounded_by_settings() {
    let proxy = read("").unwrap().proxy;
    assert_eq!((proxy.max_sessions, proxy.max_sessions_per_user), (100_000, 10_000));
    let proxy = read("proxy.max_sessions = 7\nproxy.max_sessions_per_user = 3").unwrap().proxy;
    assert_eq!((proxy.max_sessions, proxy.max_sessions_per_user), (7, 3));
    assert_eq!(problems("proxy.max_sessions_per_user = 0").len(), 1);
    assert_eq!(read("").unwrap().proxy.max_pending_per_client, 256);
    assert_eq!(read("proxy.max_pending_per_client = 4").unwrap().proxy.max_pending_per_client, 4);
}

#[test]
fn the_log_is_bounded_by_a_setting() {
    assert_eq!(read("").unwrap().log.max_bytes.0, 1 << 30);
    assert_eq!(read(r#"log.max_bytes = "20MiB""#).unwrap().log.max_bytes.0, 20 << 20);
    assert_eq!(problems(r#"log.max_bytes = "20KiB""#).len(), 1);
}

#[test]
fn what_an_api_that_is_off_would_use_is_not_shown() {
    let shown = |text: &str| {
        let shown = Config::read(text, None, &Layers::default()).unwrap().show();
        shown.parse::<toml::Table>().unwrap()["api"].clone()
    };
    let off = shown("[api]\nenabled = false\nlisten = \"127.0.0.1:9191\"\nhosts = [\"a.example\"]\n");
    assert_eq!(off, toml::Value::Table([("enabled".to_owned(), toml::Value::Boolean(false))].into_iter().collect()));
    assert_eq!(shown("")["listen"].as_str(), Some("127.0.0.1:9090"));
}

#[test]
fn secrets_are_not_shown() {
    let config = read(SECRETS).unwrap();
    let shown = config.show();
    assert!(!shown.contains("SECRET"), "{shown}");
    assert!(shown.contains("https://sub.example:81/"), "{shown}");
    assert!(read(&shown.replace("\"…\"", "\"a-token-of-this-test\"")).is_ok(), "{shown}");
    let debug = format!("{:?} {:?} {:?}", config.sources, config.proxy.users, config.api);
    assert!(!debug.contains("SECRET"), "{debug}");
    let environment = [("HEZAR_API_TOKEN".to_owned(), "SECRET".to_owned())].into();
    assert!(!format!("{:?}", Layers { environment, ..Layers::default() }).contains("SECRET"));
}

#[test]
fn problems_tell_no_secret() {
    for text in [
        "api.token = \"SECRET\"",
        "api.token = [\"SECRET\"]",
        "proxy.users = [{ name = \"a\", password = [\"SECRET\"] }]",
        "proxy.users = [\"alice:SECRET\"]",
        "source = [{ name = \"a\", url = \"ht!tp://u:SECRET@x/?token=SECRET\" }]",
        "source = [{ name = \"a\", url = [\"https://u:SECRET@x/\"] }]",
        "source = [{ name = \"a\", links = { x = \"SECRET\" } }]",
        "source = [{ name = \"a\", github = \"https://SECRET@github.com/a/b/c/d\" }]",
        "source = [{ name = \"a\", links = [], headers = \"SECRET\" }]",
        "source = [{ name = \"a\", github = \"a/b\", token = { x = \"SECRET\" } }]",
        "store.url = \"mysql://u:SECRET@h/db\"",
        "probe.control = [\"ftp://u:SECRET@h/\"]",
        "probe.url = \"u:SECRET@h\"",
        "[api]\ntoken = \"SECRET",
        "[api]\ntoken = SECRET\n",
        "[api]\ntoken = \"\"\"SECRET\nSECRET",
    ] {
        let told = read(text).unwrap_err().to_string();
        assert!(!told.contains("SECRET"), "{text}: {told}");
    }
    let told =
        with_variables(&[("HEZAR_API_TOKEN", "SECRET"), ("HEZAR_SECRET", "SECRET-value")]).unwrap_err().to_string();
    assert!(!told.contains("\"SECRET"), "{told}");
}

#[test]
fn all_problems_at_once_with_their_paths() {
    let found = problems(
        r#"
        prox = 1
        [proxy]
        listen = "0.0.0.0:8000"
        strategy = "quickest"
        attempts = 0
        idle-timeout = "5m"
        [probe]
        timeout = 5
        url = "ftp://x"
        [[source]]
        url = "https://a.example/"
        file = "b"
        [[source]]
        name = "c"
        intervall = "1h"
        links = []
        "#,
    );
    let expected = [
        "prox: unknown key; did you mean \"proxy\"?",
        "proxy.listen: 0.0.0.0:8000 can be reached from other machines",
        "proxy.strategy: expected one of smart",
        "proxy.attempts: expected a whole number from 1 to 32, found integer 0",
        "proxy.idle-timeout: unknown key; did you mean \"idle_timeout\"?",
        "probe.timeout: expected a duration from 100ms to 10m",
        "probe.url: expected an http or https URL, found \"ftp://…\"",
        "source[0].url: a source is read from one place, and this one has url and file",
        "source[0].name: every source needs a name",
        "source[1].intervall: unknown key; did you mean \"interval\"?",
    ];
    for text in expected {
        assert!(found.iter().any(|problem| problem.starts_with(text)), "missing {text:?} in {found:#?}");
    }
    assert_eq!(found.len(), expected.len(), "{found:#?}");
}

#[test]
fn an_address_without_users_is_open_to_private_networks_at_most() {
    let open = |networks: &str| {
        read(&format!(
            "[proxy]\nlisten = \"0.0.0.0:8000\"\nopen_to = {networks}\n[[listener]]\nname = \"b\"\nlisten = \"0.0.0.0:8001\"\n"
        ))
    };
    assert!(open("[\"private\"]").is_ok(), "a listener does as [proxy] does");
    assert_eq!(open("[]").unwrap_err().0.len(), 2, "each address is told of");
    let public = open("[\"private\", \"203.0.113.0/24\"]").unwrap_err();
    assert!(public.0[0].to_string().contains("proxy.open_to: only private networks"), "{public:?}");
    let of_listener =
        "[proxy]\nlisten = \"127.0.0.1:1\"\n[[listener]]\nname = \"b\"\nlisten = \"[::]:2\"\nopen_to = [\"::/0\"]\n";
    assert!(read(of_listener).unwrap_err().0[0].to_string().contains("open_to: only private networks"));
}

#[test]
fn broken_toml_names_its_line() {
    let problems = read("[proxy]\nlisten = \n").unwrap_err();
    assert!(problems.to_string().contains("line 2: column 10"), "{problems}");
}

#[test]
fn flags_win_over_the_environment_and_both_over_the_file() {
    let environment: BTreeMap<_, _> =
        [("HEZAR_PROXY_LISTEN", "127.0.0.1:1"), ("HEZAR_PROBE_DEAD_AFTER", "7"), ("HEZAR_API_ENABLED", "false")]
            .map(|(k, v)| (k.to_owned(), v.to_owned()))
            .into();
    let flags = [("proxy.listen".to_owned(), "127.0.0.1:2".to_owned())].into();
    let layers = Layers { environment, flags, data: Some("d".into()), ..Layers::default() };
    let config = Config::read("[proxy]\nlisten = \"127.0.0.1:3\"", None, &layers).unwrap();
    assert_eq!(config.proxy.listen.port(), 2);
    assert_eq!(config.health.dead_after, 7);
    assert!(config.api.address().is_none());
    assert_eq!(config.data, PathBuf::from("d"));
}

fn with_variables(variables: &[(&str, &str)]) -> Result<Config, Problems> {
    let environment = variables.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    Config::read("", None, &Layers { environment, ..Layers::default() })
}

#[test]
fn an_unknown_variable_is_a_warning_and_a_bad_value_of_a_known_one_a_problem() {
    let config = with_variables(&[("HEZAR_PROXY_LISTN", "x"), ("HEZAR_COLOUR", "red")]).unwrap();
    assert_eq!(config.warnings.len(), 2, "{:?}", config.warnings);
    assert!(config.warnings.iter().any(|text| text.contains("HEZAR_COLOUR")));
    assert!(config.warnings.iter().any(|text| text.ends_with("did you mean HEZAR_PROXY_LISTEN?")));
    let problems = with_variables(&[("HEZAR_PROXY_ATTEMPTS", "many")]).unwrap_err();
    assert!(problems.to_string().contains("HEZAR_PROXY_ATTEMPTS: expected a whole number"), "{problems}");
}

#[test]
fn what_kubernetes_makes_for_a_service_of_our_name_is_passed_over() {
    let config = with_variables(&[
        ("HEZAR_PORT", "tcp://10.0.0.11:8000"),
        ("HEZAR_SERVICE_HOST", "10.0.0.11"),
        ("HEZAR_SERVICE_PORT_PROXY", "8000"),
        ("HEZAR_PORT_8000_TCP_ADDR", "10.0.0.11"),
        ("HEZAR_API_PORT", "tcp://10.0.0.11:9090"),
    ]);
    assert_eq!(config.unwrap().warnings, Vec::<String>::new());
}

#[test]
fn every_problem_has_the_line_of_its_key() {
    let text = "[proxy]\nattempts = 0\n\n[probe]\nurl = \"x\"\nprob = 1\n[[source]]\nname = \"a\"\nlinks = []\n[[source]]\nname = \"b\"\n";
    let lines: Vec<_> = read(text).unwrap_err().0.iter().map(|problem| problem.line).collect();
    assert_eq!(lines, [Some(2), Some(5), Some(6), Some(10)], "{}", read(text).unwrap_err());
    assert!(read("\n[proxy\n").unwrap_err().to_string().contains("line 2"));
}

#[test]
fn the_nearest_key_is_meant() {
    assert!(problems("[prob]\n")[0].ends_with("did you mean \"probe\"?"));
    assert!(problems("[geos]\n")[0].ends_with("did you mean \"geo\"?"));
    assert!(problems("colours = 1\n")[0].contains("known here: data, proxy"));
}

#[test]
fn two_sockets_on_one_port_are_a_problem() {
    let listener = |listen: &str| {
        format!("[[listener]]\nname = \"x\"\nlisten = \"{listen}\"\nusers = [{{ name = \"a\", password = \"b\" }}]\n")
    };
    for (listen, path) in [
        ("127.0.0.1:8000", "listener[0].listen"),
        ("0.0.0.0:8000", "listener[0].listen"),
        ("[::]:8000", "listener[0].listen"),
        ("[::ffff:127.0.0.1]:8000", "listener[0].listen"),
        ("0.0.0.0:9090", "listener[0].listen"),
    ] {
        let found = problems(&listener(listen));
        assert!(
            found.len() == 1 && found[0].starts_with(path) && found[0].contains("taken already"),
            "{listen}: {found:?}"
        );
    }
    for listen in ["127.0.0.2:8000", "[::1]:8000", "127.0.0.1:0"] {
        assert!(read(&listener(listen)).is_ok(), "{listen}");
    }
    assert!(problems("[api]\nlisten = \"127.0.0.1:8000\"")[0].starts_with("api.listen"));
    // UDP and TCP have ports of their own; Shadowsocks needs both.
    let tls = "[listener.tls]\nacme = [\"proxy.example.org\"]\n";
    let of_kind = |kind: &str, rest: &str| {
        format!("[[listener]]\nname = \"{kind}\"\nkind = \"{kind}\"\nlisten = \"127.0.0.1:8443\"\n{rest}")
    };
    let [trojan, hysteria2] = [of_kind("trojan", tls), of_kind("hysteria2", tls)];
    let key = "[listener.shadowsocks]\nkey = \"AAAAAAAAAAAAAAAAAAAAAA==\"\n";
    let shadowsocks = of_kind("shadowsocks", key);
    assert!(read(&format!("{trojan}{hysteria2}")).is_ok(), "{:?}", problems(&format!("{trojan}{hysteria2}")));
    for other in [trojan, hysteria2] {
        let found = problems(&format!("{other}{shadowsocks}"));
        assert!(found.len() == 1 && found[0].starts_with("listener[1].listen"), "{found:?}");
    }
    assert!(read("[api]\nlisten = \"127.0.0.1:8000\"\nenabled = false").is_ok());
}

#[test]
fn addresses_are_read_as_people_write_them() {
    for (text, address) in [
        ("\"8001\"", "127.0.0.1:8001"),
        ("8001", "127.0.0.1:8001"),
        ("\"localhost:8001\"", "127.0.0.1:8001"),
        ("\"[::1]:8001\"", "[::1]:8001"),
    ] {
        assert_eq!(read(&format!("[proxy]\nlisten = {text}")).unwrap().proxy.listen.to_string(), address, "{text}");
    }
    for (text, part) in [
        ("\":8001\"", "127.0.0.1:8001"),
        ("\"*:8001\"", "0.0.0.0:8001"),
        ("\"127.0.0.1\"", "has no port"),
        ("\"example.org:1\"", "such as"),
        ("70000", "such as"),
        ("true", "such as"),
    ] {
        let found = problems(&format!("[proxy]\nlisten = {text}"));
        assert!(found.len() == 1 && found[0].contains(part), "{text}: {found:?}");
    }
}

#[test]
fn a_source_of_one_kind_that_is_wrong_has_one_problem() {
    for origin in ["url = \"x\"", "github = \"x\"", "telegram = \"x y\""] {
        let found = problems(&format!("[[source]]\nname = \"a\"\n{origin}"));
        assert_eq!(found.len(), 1, "{origin}: {found:?}");
    }
    assert!(!read("[[source]]\nname = \"a\"\nlinks = []\nenabled = false").unwrap().sources[0].enabled);
}

#[test]
fn paths_start_at_the_folder_of_the_file() {
    let text = "data = \"d\"\n[log]\nfolder = \"l\"\n[geo]\nmmdb = \"g\"\n[[source]]\nname = \"a\"\nfile = \"f\"\n";
    let config = Config::read(text, Some(Path::new("/etc/x/hezar.toml")), &Layers::default()).unwrap();
    assert_eq!(config.data, Path::new("/etc/x/d"));
    assert_eq!(config.log.folder.as_deref(), Some(Path::new("/etc/x/l")));
    assert_eq!(config.geo.mmdb.as_deref(), Some(Path::new("/etc/x/g")));
    assert!(matches!(&config.sources[0].origin, SourceOrigin::File(file) if file == Path::new("/etc/x/f")));
    let layers = Layers { default_data: "/home/a/data".into(), ..Layers::default() };
    assert_eq!(Config::read("", None, &layers).unwrap().data, Path::new("/home/a/data"));
}

#[test]
fn two_sources_need_two_names() {
    assert!(problems("source = [{name='a',links=[]},{name='a',links=[]}]")[0].contains("two sources"));
}

#[test]
fn durations_and_sizes() {
    assert_eq!(read_duration("1h30m"), Some(Duration::from_secs(5400)));
    assert_eq!(read_duration("250ms"), Some(Duration::from_millis(250)));
    for bad in ["", "5", "s", "-1s", "1y", "99999999999999999999s", "1é"] {
        assert_eq!(read_duration(bad), None, "{bad}");
    }
    assert_eq!(read_bytes("32MiB"), Some(32 << 20));
    assert_eq!(read_bytes("1 GiB"), Some(1 << 30));
    assert_eq!(read_bytes("x"), None);
    for seconds in [1, 60, 90, 3600, 86_400, 90_061] {
        let duration = Duration::from_secs(seconds);
        assert_eq!(read_duration(&show_duration(duration)), Some(duration));
    }
}

proptest::proptest! {
    #[test]
    fn any_text_is_a_configuration_or_problems(text in "\\PC{0,200}") {
        let _ = read(&text);
    }
}

#[test]
fn listeners_take_what_they_do_not_say_from_the_proxy() {
    let text = r#"
        [proxy]
        strategy = "round-robin"
        users = [{ name = "alice", password = "p", connections = 5, bytes_per_second = "1MiB" }]
        client_limits = { requests_per_second = 9 }
        [[source]]
        name = "a"
        links = ["socks5://11.0.0.1:1"]
        tags = ["paid"]
        [[listener]]
        name = "europe"
        listen = "127.0.0.1:8001"
        countries = ["de", "NL"]
        sources = ["a"]
        schemes = ["SOCKS5"]
        tags = "paid & !label:slow"
        max_latency = "800ms"
        top = 50
        [[listener]]
        name = "other"
        listen = "0.0.0.0:8002"
        strategy = "random"
        users = [{ name = "bob", password = "q" }]
        client_limits = { connections = 3 }
    "#;
    let config = read(text).unwrap();
    let limits = config.proxy.users[0].limits;
    assert_eq!((limits.connections, limits.requests, limits.bytes), (Some(5), None, Some(ByteCount(1 << 20))));
    assert_eq!(config.proxy.client_limits.requests, Some(9));
    let [europe, other] = &config.listeners[..] else { panic!("{:?}", config.listeners) };
    let served = |listener: &ListenerConfig| crate::convert::listener(&config, listener, None);
    assert_eq!((served(europe).strategy, &*served(europe).users[0].name), (Strategy::RoundRobin, "alice"));
    assert_eq!((&europe.countries[..], europe.top), (&[*b"DE", *b"NL"][..], Some(50)));
    assert_eq!((served(other).strategy, &*served(other).users[0].name), (Strategy::Random, "bob"));
    assert_eq!(other.client_limits.connections, Some(3));
    // What is shown reads back.
    let shown = config.show().replace("\u{2026}", "hidden");
    let again = read(&shown).unwrap_or_else(|problems| panic!("{problems}\n{shown}"));
    assert_eq!(again.listeners[0].tags, europe.tags);
    assert_eq!(again.proxy.users[0].limits, limits);
}

#[test]
fn mistakes_in_listeners_are_named() {
    let with = |keys: &str| problems(&format!("[[listener]]\nname = \"x\"\nlisten = \"127.0.0.1:1\"\n{keys}"));
    for (keys, place) in [
        ("countries = [\"deu\"]", "listener[0].countries"),
        ("sources = [\"nobody\"]", "listener[0].sources"),
        ("tags = \"a &\"", "listener[0].tags"),
        ("top = 0", "listener[0].top"),
        ("colour = \"red\"", "listener[0].colour"),
    ] {
        assert!(with(keys).iter().any(|problem| problem.starts_with(place)), "{keys}: {:?}", with(keys));
    }
    let open = problems("[[listener]]\nname = \"x\"\nlisten = \"0.0.0.0:1\"");
    assert!(open[0].contains("add users"), "{open:?}");
    let twice = "[[listener]]\nname = \"x\"\nlisten = \"127.0.0.1:1\"\n";
    assert_eq!(problems(&format!("{twice}{}", twice.replace(":1\"", ":2\""))).len(), 1);
    assert_eq!(problems("[[listener]]\nname = \"x\"").len(), 1);
    assert_eq!(
        problems(
            &(0..hezar_pool::TooManyFilters::MOST + 4)
                .map(|n| twice.replace("\"x\"", &format!("\"x{n}\"")).replace(":1\"", &format!(":{}\"", n + 1)))
                .collect::<String>()
        )
        .len(),
        1
    );
}

#[test]
fn a_canary_is_whole_absent_or_the_usual_ones() {
    let canaries = |text: &str| read(text).unwrap().probe.canaries;
    let known = "[probe]\ncanary_url = \"https://example.org/x\"\n";
    let [page] = &canaries(&format!("{known}canary_text = \"hello\""))[..] else { panic!() };
    assert_eq!((page.url.as_str(), &page.body), ("https://example.org/x", &CanaryBody::Text("hello".into())));
    let hash = format!("{known}canary_sha256 = \"{}\"", "0f".repeat(32));
    assert_eq!(canaries(&hash)[0].body, CanaryBody::Sha256([15; 32]));
    for more in ["", "canary_text = \"a\"\ncanary_sha256 = \"b\""] {
        assert!(!problems(&format!("{known}{more}")).is_empty());
    }
    assert!(!problems("[probe]\ncanary_text = \"a\"").is_empty());
    assert!(!problems("[probe]\ncanary_url = \"\"\ncanary_text = \"a\"").is_empty());
    let usual = canaries("");
    assert!(usual.len() >= 2 && usual.iter().all(|page| page.url.scheme() == "http"));
    assert!(canaries("[probe]\ncanary_url = \"\"").is_empty());
    // What is shown means the same when it is read again.
    for text in ["", "[probe]\ncanary_url = \"\"", hash.as_str()] {
        let shown = read(text).unwrap().show();
        assert_eq!(canaries(&shown), canaries(text), "{shown}");
    }
}

#[test]
fn the_pool_is_bounded_and_may_refuse_insecure_nodes() {
    let config = read("").unwrap();
    assert_eq!((config.pool.max_nodes, config.pool.max_nodes_per_source), (1_000_000, 100_000));
    assert!(config.pool.allow_insecure);
    let text = "[pool]\nmax_nodes = 5\nmax_nodes_per_source = 4\nmax_nodes_per_server = 3\nallow_insecure = false\n\
                [[listener]]\nname = \"l\"\nlisten = \"127.0.0.1:1\"\nallow_insecure = false";
    let config = read(text).unwrap();
    let pool = &config.pool;
    assert_eq!((pool.max_nodes, pool.max_nodes_per_source, pool.max_nodes_per_server), (5, 4, 3));
    assert!(!pool.allow_insecure && !config.listeners[0].allow_insecure);
    assert!(read(&config.show()).unwrap().show().contains("max_nodes_per_server = 3"));
    assert_eq!(problems("[pool]\nmax_nodes = 0").len(), 1);
    let probe = |text: &str| read(text).unwrap().probe.per_host_per_second;
    assert_eq!((probe(""), probe("[probe]\nper_host_per_second = 0")), (16, 0));
}

/// `HEZAR_UPDATE_DOCS=1 cargo test -p hezar reference` writes the page.
#[test]
fn the_reference_of_all_settings_is_in_step() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/settings.md");
    let made = reference();
    if std::env::var_os("HEZAR_UPDATE_DOCS").is_some() {
        std::fs::write(&file, &made).unwrap();
    }
    let written = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(written == made, "docs/settings.md is old: HEZAR_UPDATE_DOCS=1 cargo test -p hezar reference");
}

/// What the parser of a table knows is what is described, in both directions.
#[test]
fn every_key_of_a_table_is_described() {
    let known = |text: &str| -> BTreeSet<String> {
        let told = problems(text).into_iter().find_map(|told| Some(told.split_once("known here: ")?.1.to_owned()));
        told.unwrap_or_else(|| panic!("{text}")).split(", ").map(str::to_owned).collect()
    };
    let described = |section: &str| -> BTreeSet<String> {
        let objects = ObjectKind::ALL.into_iter().flat_map(described::keys_of);
        let all = described::described().into_iter().chain(objects).filter(|key| key.section == section);
        all.map(|key| key.key.split('.').next().unwrap_or_default().to_owned()).collect()
    };
    for (text, section) in [
        ("[[listener]]\nname = \"a\"\nlisten = 1\nnothing_like_it = 1", "listener"),
        ("[[source]]\nname = \"a\"\nlinks = []\nnothing_like_it = 1", "source"),
        ("[[proxy.users]]\nname = \"a\"\npassword = \"b\"\nnothing_like_it = 1", "user"),
        ("[proxy]\nnothing_like_it = 1", "proxy"),
        ("[api]\nnothing_like_it = 1", "api"),
        ("[pool]\nnothing_like_it = 1", "pool"),
        ("[probe]\nnothing_like_it = 1", "probe"),
        ("[fetch]\nnothing_like_it = 1", "fetch"),
        ("[log]\nnothing_like_it = 1", "log"),
    ] {
        assert_eq!(known(text), described(section), "{section}");
    }
}

#[test]
fn a_judge_is_a_plain_page_and_our_address_is_not_told_by_default() {
    let config = read("").unwrap();
    assert!(config.probe.judge_url.is_none() && !config.proxy.allow_transparent);
    let text = "[proxy]\nallow_transparent = true\n[probe]\njudge_url = \"http://judge.example/azenv.php\"";
    let config = read(text).unwrap();
    assert!(crate::convert::gateway(&config).allow_transparent);
    assert_eq!(config.probe.judge_url.as_ref().unwrap().as_str(), "http://judge.example/azenv.php");
    let shown = config.show();
    assert!(shown.contains("judge_url = \"http://judge.example/azenv.php\""), "{shown}");
    assert!(shown.contains("allow_transparent = true"), "{shown}");
    assert!(read("[probe]\njudge_url = \"\"").unwrap().probe.judge_url.is_none());
    let secure = problems("[probe]\njudge_url = \"https://judge.example/\"");
    assert!(secure[0].contains("nobody adds headers to https"), "{secure:?}");
}
