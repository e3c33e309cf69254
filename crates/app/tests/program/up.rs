//! `hezar up`: what is given is tried, written once and never over anything, and what fails is said in one line.

use std::{
    fs,
    io::Write,
    net::SocketAddr,
    process::{Child, Command, Stdio},
};

use hezar_lab::{Kind, World, WorldConfig};
use serde_json::Value;

use crate::harness::{Home, Said, eventually};

/// Where the configuration lies that is written.
const FILE: &str = ".config/hezar/hezar.toml";

/// A world of servers, with the settings that let an instance reach nothing but it.
struct Lab {
    world: World,
    _runtime: tokio::runtime::Runtime,
}

impl Lab {
    fn start() -> Self {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let world = runtime.block_on(World::start(WorldConfig::kinds([Kind::Socks5, Kind::Http]))).unwrap();
        Self { world, _runtime: runtime }
    }

    fn link(&self, index: usize) -> &str {
        &self.world.nodes()[index].link
    }
}

/// `hezar up` with these words, in a home whose instances ask for the lab's pages alone and listen where they like.
fn command(home: &Home, words: &[&str]) -> Command {
    let mut command = home.hezar(&["up", "--allow-private"]);
    command.args(words);
    for (name, value) in [
        ("HEZAR_PROBE_URL", "http://demo.hezar/generate_204"),
        ("HEZAR_PROBE_TRACE_URL", "http://demo.hezar/cdn-cgi/trace"),
        ("HEZAR_PROBE_CANARY_URL", ""),
        ("HEZAR_PROBE_CONTROL", ""),
        ("HEZAR_PROXY_LISTEN", "127.0.0.1:0"),
        ("HEZAR_API_LISTEN", "127.0.0.1:0"),
    ] {
        command.env(name, value);
    }
    command
}

fn up(home: &Home, words: &[&str]) -> Said {
    Said::from(command(home, words).output().unwrap())
}

fn json(said: &Said) -> Value {
    serde_json::from_str(said.out.trim()).unwrap_or_else(|error| panic!("{error}: {said:?}"))
}

#[test]
fn links_are_tried_and_written_once() {
    let (home, lab) = (Home::new(), Lab::start());
    let said = up(&home, &["--yes", "--no-start", "--json", lab.link(0), lab.link(1)]);
    said.good();
    let report = json(&said);
    assert_eq!((&report["working"], &report["nodes"]), (&2.into(), &2.into()), "{report}");
    let written = home.read(FILE);
    assert!(written.contains("[[source]]\nname = \"pasted\""), "{written}");
    // The same again, from a chat, changes nothing.
    let chat = format!("Sara:\n{}\n\nand https://not.a.list/ in a line\n{}\n", lab.link(0), lab.link(1));
    let mut again = command(&home, &["--yes", "--no-start", "-"]);
    let mut child = again.stdin(Stdio::piped()).stderr(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(chat.as_bytes()).unwrap();
    Said::from(child.wait_with_output().unwrap()).good();
    assert_eq!(home.read(FILE), written);
    home.run(&["config", "check"]).good();
}

#[cfg(unix)]
#[test]
fn a_new_configuration_is_its_owners_alone() {
    use std::os::unix::fs::PermissionsExt;
    let (home, lab) = (Home::new(), Lab::start());
    up(&home, &["--yes", "--no-start", lab.link(0)]).good();
    let mode = fs::metadata(home.path().join(FILE)).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn what_stands_in_a_configuration_stays() {
    let (home, lab) = (Home::new(), Lab::start());
    let before = "# mine\n[proxy]\nattempts = 7 # seven\n\n[[source]]\nname = \"pasted\"\nlinks = [\"ss://YWVzLTI1Ni1nY206cGFzcw@192.0.2.1:8388\"]\nenabled = false";
    home.write("hezar.toml", before);
    up(&home, &["--yes", "--no-start", lab.link(0)]).good();
    let after = home.read("hezar.toml");
    assert!(after.starts_with(before) && after.contains("name = \"pasted-2\""), "{after}");
    assert!(!home.path().join(FILE).exists());
    // A file that cannot be added to is left alone, and the mistake is named.
    let closed = "source = []\n";
    home.write("hezar.toml", closed);
    up(&home, &["--yes", "--no-start", lab.link(0)])
        .refused(2, &["nothing can be added", "duplicate key", "by hand", "[[source]]"]);
    assert_eq!(home.read("hezar.toml"), closed);
}

#[test]
fn why_nothing_works_is_said_in_one_line() {
    let home = Home::new();
    let said = up(&home, &["--yes", "--no-start", "socks5://127.0.0.1:1", "http://127.0.0.1:1/sub"]);
    said.refused(1, &["nothing works: the only node does not work; most often: refused at connect", "kept in"]);
    let third = Home::new();
    let mut private = third.hezar(&["up", "--yes", "--no-start", "socks5://127.0.0.1:1"]);
    Said::from(private.env("HEZAR_PROBE_CONTROL", "").output().unwrap())
        .refused(1, &["forbidden-address", "--allow-private"]);
    // What lists no node at all is not kept.
    let other = Home::new();
    let said = up(&other, &["--yes", "--no-start", "--json", "http://127.0.0.1:1/sub"]);
    said.refused(1, &["nothing works: the source cannot be read", "nothing was written"]);
    assert_eq!(json(&said)["working"], 0);
    assert!(!other.path().join(FILE).exists());
    up(&other, &["--yes"]).refused(2, &["nothing to try", "hezar up - < chat.txt"]);
    up(&other, &["missing.txt"]).refused(2, &["missing.txt"]);
}

#[test]
fn what_is_blocked_is_read_over_a_node_that_was_given_beside_it() {
    let (home, lab) = (Home::new(), Lab::start());
    // The lab's page is no list, but that it came at all takes a node that works.
    let far = "[[source]]\nname = \"far\"\nurl = \"http://demo.hezar/\"\nvia = \"pool\"\n";
    let near = format!("[[source]]\nname = \"near\"\nlinks = [\"{}\"]\nallow_private = true\n", lab.link(0));
    home.write("hezar.toml", format!("{far}{near}"));
    let said = up(&home, &["--yes", "--no-start"]);
    said.good();
    assert!(said.err.contains("far: nothing, no node, ") && said.err.contains("is this a list?"), "{said:?}");
}

#[test]
fn phones_get_an_address_that_stays() {
    let (home, lab) = (Home::new(), Lab::start());
    up(&home, &["--yes", "--no-start", "--lan", lab.link(0)]).good();
    let written = home.read(FILE);
    assert!(written.contains("[[listener]]\nname = \"lan\"") && written.contains("password"), "{written}");
    up(&home, &["--yes", "--no-start", "--lan"]).good();
    assert_eq!(home.read(FILE), written);
}

/// The message of a first try names --allow-private: saying it then must make a difference.
#[test]
fn private_servers_that_were_kept_without_leave_are_taken_with_it() {
    let (home, lab) = (Home::new(), Lab::start());
    fs::create_dir_all(home.path().join(".config/hezar")).unwrap();
    home.write(FILE, format!("[[source]]\nname = \"pasted\"\nlinks = [{:?}]\n", lab.link(0)));
    let said = up(&home, &["--yes", "--no-start", "--json", lab.link(0)]);
    said.good();
    let report = json(&said);
    assert_eq!((&report["working"], &report["nodes"]), (&1.into(), &1.into()), "{report}");
    let written = home.read(FILE);
    assert_eq!(written.matches("[[source]]").count(), 2, "{written}");
    assert!(written.contains("allow_private = true"), "{written}");
}

#[test]
fn a_demonstration_takes_nothing_more() {
    let (home, lab) = (Home::new(), Lab::start());
    fs::create_dir_all(home.path().join(".config/hezar")).unwrap();
    home.write(FILE, "");
    let instance = home.start(&["--demo"]);
    let said = up(&home, &["--yes", lab.link(0)]);
    said.refused(1, &["a demonstration?"]);
    assert_eq!(home.read(FILE), "");
    instance.terminate();
}

/// A started `hezar up`; it is killed when the test ends.
struct Foreground(Child);

impl Drop for Foreground {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn it_serves_and_what_is_given_later_joins_what_runs() {
    let (home, lab) = (Home::new(), Lab::start());
    let out = home.path().join("out");
    let mut first = command(&home, &["--no-service", "--json", lab.link(0)]);
    first.stdout(fs::File::create(&out).unwrap()).stderr(Stdio::null());
    let _running = Foreground(first.spawn().unwrap());
    let report: Value = eventually("a report", || serde_json::from_str(&fs::read_to_string(&out).ok()?).ok());
    assert_eq!(report["working"], 1, "{report}");
    // The address is the one of the configuration; the test's instance took any port.
    let status: Value = serde_json::from_str(home.run(&["status", "--json"]).good()).unwrap();
    let proxy: SocketAddr = status["proxy"].as_str().unwrap().parse().unwrap();
    eventually("an answer", || std::net::TcpStream::connect(proxy).ok());
    let said = up(&home, &["--yes", "--json", lab.link(1)]);
    said.good();
    let report = json(&said);
    assert_eq!((&report["working"], &report["added"]), (&2.into(), &serde_json::json!(["pasted-2"])), "{report}");
}
