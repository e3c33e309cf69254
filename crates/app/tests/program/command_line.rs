//! Commands that need no running instance, and what they say when something is wrong.

use std::net::TcpListener;

use crate::harness::{Home, Said};

#[test]
fn help_has_examples() {
    let home = Home::new();
    let help = home.run(&["--help"]);
    assert!(help.good().contains("hezar run --demo"), "{help:?}");
    for command in ["run", "init", "fetch", "probe", "nodes", "add", "remove", "parse", "export", "backup", "restore"] {
        assert!(home.run(&[command, "--help"]).good().contains("Example"), "{command}");
    }
}

#[test]
fn init_writes_a_configuration_that_is_good() {
    let home = Home::new();
    assert!(home.run(&["init"]).good().contains("hezar.toml"));
    assert!(home.run(&["config", "check"]).good().contains("the configuration is good"));
    home.run(&["init"]).refused(1, &["hezar.toml", "--force"]);
    home.run(&["init", "--force"]).good();
    assert!(!home.path().join("hezar.toml.old").exists(), "the same text is not kept");
    for (text, copy) in [("# one\n", "hezar.toml.old"), ("# two\n", "hezar.toml.old.2")] {
        home.write("hezar.toml", text);
        let said = home.run(&["init", "--force"]);
        said.good();
        assert!(said.err.contains(copy) && home.read(copy) == text, "{said:?}");
    }
    assert!(home.run(&["config", "show"]).good().contains("[proxy]"));
}

#[test]
fn every_problem_is_named() {
    let home = Home::new();
    home.write("hezar.toml", "[proxy]\nlissen = 1\nstrategy = \"best\"\n[[source]]\nname = \"x\"\n");
    home.run(&["config", "check"]).refused(
        2,
        &["3 problems", "proxy.lissen: unknown key; did you mean \"listen\"?", "proxy.strategy", "source[0].url"],
    );
    home.run(&["config", "check"])
        .refused(2, &["line 2: proxy.lissen", "line 3: proxy.strategy", "line 4: source[0].url"]);
    home.run(&["run"]).refused(2, &["proxy.lissen"]);
}

#[test]
fn an_unreadable_configuration_is_named() {
    let home = Home::new();
    home.run(&["run", "--config", "nowhere.toml"]).refused(1, &["nowhere.toml", "hezar init"]);
    home.write("binary.toml", [0xff, 0xfe, 0x00]);
    home.run(&["config", "check", "--config", "binary.toml"]).refused(1, &["binary.toml", "UTF-8"]);
    home.write("broken.toml", "[proxy\n");
    home.run(&["config", "check", "--config", "broken.toml"]).refused(2, &["line 1"]);
}

#[test]
fn a_country_database_that_cannot_be_read_is_named_before_the_start() {
    let home = Home::new();
    home.write("hezar.toml", "[geo]\nmmdb = \"nowhere.mmdb\"\n");
    home.run(&["config", "check"]).refused(2, &["nowhere.mmdb", "geo.mmdb"]);
    home.run(&["run"]).refused(1, &["nowhere.mmdb", "geo.mmdb"]);
}

#[test]
fn files_that_a_configuration_names_are_looked_for() {
    let home = Home::new();
    home.write("hezar.toml", "[tor]\nbinary = \"/nowhere/tor\"\n[proxy.tls]\ncert = \"no.pem\"\nkey = \"no.key\"\n");
    home.run(&["config", "check"]).refused(2, &["2 problems", "tor.binary", "/nowhere/tor", "proxy.tls", "no.pem"]);
}

#[test]
fn a_program_is_told_what_is_wrong_with_a_configuration() {
    let home = Home::new();
    let check = || {
        let said = home.run(&["config", "check", "--json"]);
        (said.code, serde_json::from_str::<serde_json::Value>(&said.out).unwrap())
    };
    home.write("hezar.toml", "[proxy]\nstrategy = \"best\"\n");
    let (code, wrong) = check();
    assert_eq!((code, &wrong["good"]), (Some(2), &false.into()));
    assert_eq!((&wrong["problems"][0]["path"], &wrong["problems"][0]["line"]), (&"proxy.strategy".into(), &2.into()));
    home.write("hezar.toml", "");
    let (code, good) = check();
    assert_eq!((code, &good["good"], &good["sources"]), (Some(0), &true.into(), &0.into()));
}

#[test]
fn a_port_in_use_is_named() {
    let home = Home::new();
    home.write("hezar.toml", "");
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    home.run(&["run", "--listen", &address, "--api", "127.0.0.1:0"]).refused(1, &[&address, "--listen", "in use"]);
    home.run(&["run", "--listen", "127.0.0.1:0", "--api", &address]).refused(1, &[&address, "--api", "in use"]);
}

#[test]
fn an_open_address_needs_users() {
    let home = Home::new();
    home.run(&["run", "--listen", "0.0.0.0:0"]).refused(2, &["proxy.listen", "users"]);
}

#[test]
fn a_run_without_anything_to_serve_says_what_to_do() {
    let home = Home::new();
    for _ in 0..2 {
        home.run(&["run"])
            .refused(2, &["no configuration", "hezar init", "--config", "--demo", ".config/hezar/hezar.toml"]);
    }
    assert!(!home.path().join("hezar-data").exists() && !home.path().join(".local").exists(), "nothing is left behind");
    // A store without nodes is nothing to serve either.
    home.run(&["fetch"]).good();
    home.run(&["run"]).refused(2, &["hezar init"]);
}

#[test]
fn addresses_on_the_command_line_have_examples() {
    let home = Home::new();
    for (address, part) in [(":8000", "127.0.0.1:8000"), ("example.org:1", "0.0.0.0:8000"), ("127.0.0.1", "no port")] {
        home.run(&["run", "--listen", address]).refused(2, &[part]);
    }
    // A port alone is loopback; there is nothing to serve, which is said after the address was read.
    home.run(&["run", "--listen", "8000", "--api", "localhost:9000"]).refused(2, &["hezar init"]);
}

#[test]
fn warnings_do_not_stop_a_configuration() {
    let home = Home::new();
    let mut command = home.hezar(&["config", "check"]);
    command.env("HEZAR_PORT", "tcp://10.0.0.1:8000").env("HEZAR_COLOUR", "red").env("HEZAR_API_LISTEN", "0.0.0.0:9090");
    let said = Said::from(command.output().unwrap());
    assert!(said.good().contains("is good"), "{said:?}");
    let warnings = said.err.lines().filter(|line| line.starts_with("warning: ")).count();
    for part in ["HEZAR_COLOUR", "API on 0.0.0.0:9090"] {
        assert!(said.err.contains(part), "{said:?}");
    }
    assert!(!said.err.contains("HEZAR_PORT") && (2..=3).contains(&warnings), "{said:?}");
}

#[cfg(unix)]
#[test]
fn init_writes_a_file_that_only_its_owner_reads() {
    use std::os::unix::fs::PermissionsExt;
    let home = Home::new();
    let said = home.run(&["init"]);
    assert_eq!(said.good().trim(), "wrote hezar.toml; start with: hezar run");
    let mode = std::fs::metadata(home.path().join("hezar.toml")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn without_an_instance_the_commands_say_so() {
    let home = Home::new();
    home.run(&["nodes"]).refused(1, &["token", "hezar run"]);
    home.write("hezar.toml", "[api]\nlisten = \"127.0.0.1:1\"\ntoken = \"sixteen-characters\"\n");
    home.run(&["status"]).refused(1, &["127.0.0.1:1", "hezar run"]);
}

#[test]
fn parse_prints_nodes_and_refusals() {
    let home = Home::new();
    home.write(
        "list.txt",
        "ss://YWVzLTI1Ni1nY206cGFzcw@192.0.2.1:8388#one\nnonsense here\ntrojan://p@192.0.2.2:443#two\n",
    );
    let said = home.run(&["parse", "list.txt", "--json"]);
    let lines: Vec<serde_json::Value> = said.good().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 3, "{said:?}");
    assert_eq!(
        (&lines[0]["scheme"], &lines[0]["port"], &lines[0]["name"]),
        (&"ss".into(), &8388.into(), &"one".into())
    );
    assert_eq!((&lines[1]["line"], lines[1]["reject"].is_string()), (&2.into(), true));
    assert_eq!((&lines[2]["line"], &lines[2]["security"]), (&3.into(), &"tls".into()));
    assert!(home.run(&["parse", "list.txt"]).good().contains("2 nodes (2 distinct), 1 line refused"));
    home.run(&["parse", "missing.txt"]).refused(1, &["missing.txt"]);
}

#[test]
fn a_configuration_that_is_no_text_is_not_said_to_be_missing() {
    let home = Home::new();
    std::fs::write(home.path().join("hezar.toml"), b"[proxy]\xff").unwrap();
    let said = home.run(&["config", "check"]);
    said.refused(1, &["hezar.toml", "not UTF-8"]);
    assert!(!said.err.contains("hezar init"), "{said:?}");
}

#[test]
fn a_store_that_is_none_is_named() {
    let home = Home::new();
    std::fs::create_dir(home.path().join("hezar-data")).unwrap();
    home.write(
        "hezar-data/hezar.db",
        "this is not a database, and much longer than a header of one would be ".repeat(40),
    );
    let said = home.run(&["export"]);
    said.refused(1, &["hezar.db"]);
}
