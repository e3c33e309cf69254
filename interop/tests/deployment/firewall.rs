//! `hezar firewall` between two hosts of the test's own: real connections to allowed and refused ports, over IPv4 and IPv6, with
//! nftables and with iptables.

use std::{
    fs,
    path::PathBuf,
    process::{Child, Command, Output, Stdio},
};

use hezar_interop::harness::{eventually, programs};

use crate::netns::Host;

const IPV4: &str = "198.18.0.1";
const IPV6: &str = "fd5a:48::1";
const USERS: &str = "users = [{ name = \"alice\", password = \"s3cret-s3cret\" }]\n";

/// The ports that something listens on: SSH, a web server, the proxy, a second listener with a range, the API.
const LISTENING: [u16; 7] = [22, 80, 8000, 8001, 24_000, 24_002, 9090];
/// What the rules leave of them for other machines.
const OPEN_V4: [u16; 5] = [22, 8000, 8001, 24_000, 24_002];
/// The proxy's own address is one of IPv4.
const OPEN_V6: [u16; 4] = [22, 8001, 24_000, 24_002];

/// Seconds until a connection that must come is given up.
const PATIENCE: u32 = 30;

/// A server with everything on it, and a client at the other end of the cable.
struct World {
    hezar: PathBuf,
    server: Host,
    client: Host,
    folder: tempfile::TempDir,
    /// Stands for the other programs of the machine too.
    running: Child,
}

impl Drop for World {
    fn drop(&mut self) {
        let _ = self.running.kill();
        let _ = self.running.wait();
    }
}

impl World {
    /// `None` where there can be no namespaces.
    fn new(hezar: PathBuf) -> Option<Self> {
        let (server, client) = (Host::new("server")?, Host::new("client")?);
        server.join(&["198.18.0.1/24", "fd5a:48::1/64"], &client, &["198.18.0.2/24", "198.18.0.3/24", "fd5a:48::2/64"]);
        let folder = tempfile::tempdir().unwrap();
        let ours = format!(
            "[proxy]\nlisten = \"0.0.0.0:8000\"\n{USERS}[api]\nlisten = \"[::]:9090\"\n\
             [[listener]]\nname = \"second\"\nlisten = \"[::]:8001\"\nports = \"24000-24002\"\n"
        );
        fs::write(folder.path().join("hezar.toml"), &ours).unwrap();
        let others =
            "[[listener]]\nname = \"ssh\"\nlisten = \"[::]:22\"\n[[listener]]\nname = \"web\"\nlisten = \"[::]:80\"\n";
        let all = folder.path().join("all");
        fs::create_dir(&all).unwrap();
        fs::write(all.join("hezar.toml"), ours + others).unwrap();
        let log = fs::File::create(folder.path().join("log.txt")).unwrap();
        let mut run = server.command(hezar.to_str().unwrap());
        run.arg("run").current_dir(&all).env("HOME", &all).stdout(log.try_clone().unwrap()).stderr(log);
        let world = Self { running: run.spawn().unwrap(), hezar, server, client, folder };
        eventually("everything listens", || {
            let reached = world.server.reaches("127.0.0.1", &LISTENING, PATIENCE);
            (reached == LISTENING).then_some(())
        });
        Some(world)
    }

    /// A command of Hezar's on the server, with the configuration that knows nothing of the other programs.
    fn hezar(&self, words: &[&str]) -> Command {
        let mut command = self.server.command(self.hezar.to_str().unwrap());
        command
            .args(words)
            .current_dir(self.folder.path())
            .env("HOME", self.folder.path())
            .env_remove("SSH_CONNECTION");
        command
    }

    fn must(&self, words: &[&str]) -> String {
        let output = self.hezar(words).output().unwrap();
        assert!(output.status.success(), "{words:?}: {}", said(&output));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// The client reaches these ports, and no other one at which something listens.
    fn lets_in(&self, address: &str, open: &[u16], what: &str) {
        let closed: Vec<u16> = LISTENING.into_iter().filter(|port| !open.contains(port)).collect();
        assert_eq!(self.client.reaches(address, open, PATIENCE), open, "{what}: {address}");
        // A refused connection never comes, however long one waits; an accepted one comes at once.
        assert_eq!(self.client.reaches(address, &closed, 2), [0; 0], "{what}: {address}");
    }

    /// How many of so many connections, opened as fast as it goes from one address, are let in.
    fn flood(&self, from: &str, target: &str, count: usize) -> usize {
        let script = format!(
            "for i in $(seq {count}); do (curl --silent --max-time 1 --interface {from} --output /dev/null http://{target}:8001/ && echo in) & done; wait"
        );
        let target = self.client.command("bash").args(["-c", &script]).output().unwrap();
        String::from_utf8_lossy(&target.stdout).lines().count()
    }
}

fn said(output: &Output) -> String {
    format!("{} {}", output.status, String::from_utf8_lossy(&output.stderr))
}

/// What one of the two tools is asked for in this test.
fn holds(world: &World, format: &str) {
    world.must(&["firewall", "print", "--format", format, "--apply", "--yes"]);
    world.lets_in(IPV4, &OPEN_V4, format);
    world.lets_in(IPV6, &OPEN_V6, format);
    assert_eq!(world.server.reaches("127.0.0.1", &LISTENING, PATIENCE), LISTENING, "{format}: loopback stays open");
    // Packets that answer the server's own requests come in, also on a host that drops all others.
    world.server.must(&["ping", "-c", "1", "-W", "5", "198.18.0.2"]);
    world.client.must(&["ping", "-c", "1", "-W", "5", IPV4]);
    world.client.must(&["ping", "-c", "1", "-W", "5", IPV6]);
    // The neighbour is looked for anew: without neighbour discovery IPv6 would end here.
    world.client.must(&["ip", "-6", "neighbour", "flush", "all"]);
    world.server.must(&["ip", "-6", "neighbour", "flush", "all"]);
    assert_eq!(world.client.reaches(IPV6, &[8001], PATIENCE), [8001], "{format}: neighbour discovery");
    // Applied again, with another port: the rules are replaced, not added to.
    world.must(&["firewall", "print", "--format", format, "--allow", "80", "--apply", "--yes"]);
    world.lets_in(IPV4, &[&OPEN_V4[..], &[80]].concat(), format);
    world.must(&["firewall", "remove"]);
    world.lets_in(IPV4, &LISTENING, "everything is as before");
}

/// An address that opens many connections is held up, and no other one.
fn limits(world: &World, format: &str) {
    world.must(&["firewall", "print", "--format", format, "--rate", "1", "--burst", "5", "--apply", "--yes"]);
    for (from, target) in [("198.18.0.2", IPV4), ("fd5a:48::2", "[fd5a:48::1]")] {
        let let_in = world.flood(from, target, 60);
        // The burst, and one for each second that the flood lasts.
        assert!((5..40).contains(&let_in), "{format}: {let_in} of 60 connections from {from} were let in");
        println!("firewall: {format} let in {let_in} of 60 connections from {from} at once (burst 5, 1/s)");
    }
    assert_eq!(world.flood("198.18.0.3", IPV4, 1), 1, "{format}: another address is not concerned");
    assert_eq!(world.client.reaches(IPV4, &[22], PATIENCE), [22], "{format}: nor is SSH");
    world.must(&["firewall", "remove"]);
}

/// Rules that nobody confirms are taken back, and what was in force before is in force again.
fn takes_back(world: &World, format: &str) {
    let apply = ["firewall", "print", "--format", format, "--apply"];
    let refused = world.hezar(&apply).output().unwrap();
    assert_eq!(refused.status.code(), Some(2), "nobody can be asked: {}", said(&refused));
    world.must(&[&apply[..], &["--allow", "80", "--yes"]].concat());
    // With a terminal, on which nobody says anything, or something else, or yes.
    let on_terminal = |answer: &str| {
        let command = format!("{} {} --wait 5s; echo code=$?", world.hezar.display(), apply.join(" "));
        let mut script = world.server.command("script");
        script.args(["--quiet", "--command", &command, "/dev/null"]);
        script.current_dir(world.folder.path()).env("HOME", world.folder.path());
        let mut child = script.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        std::io::Write::write_all(&mut stdin, answer.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        drop(stdin);
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    for answer in ["", "no\n"] {
        let said = on_terminal(answer);
        assert!(said.contains("code=1"), "{format} {answer:?}: {said}");
        world.lets_in(IPV4, &[&OPEN_V4[..], &[80]].concat(), &format!("{format}: the rules from before: {said}"));
    }
    let said = on_terminal("yes\n");
    assert!(said.contains("code=0"), "{format}: {said}");
    world.lets_in(IPV4, &OPEN_V4, &format!("{format}: {said}"));
    world.must(&["firewall", "remove"]);
}

/// The session's own port is never closed.
fn keeps_the_operator(world: &World) {
    let mut print = world.hezar(&["firewall", "print", "--ssh", "22"]);
    let output = print.env("SSH_CONNECTION", "198.18.0.2 50000 198.18.0.1 2222").output().unwrap();
    assert!(String::from_utf8_lossy(&output.stdout).contains("tcp dport 2222 accept"), "{}", said(&output));
    assert!(said(&output).contains("port 2222"), "{}", said(&output));
}

/// A changed configuration gives changed rules, and the same one the same.
fn follows_the_configuration(world: &World) {
    let before = world.must(&["firewall", "print"]);
    assert_eq!(world.must(&["firewall", "print"]), before);
    world.must(&["listener", "add", "third", "listen=0.0.0.0:8002"]);
    let after = world.must(&["firewall", "print"]);
    let new: Vec<&str> = after.lines().filter(|line| !before.contains(line)).collect();
    assert_eq!(new, ["\t\tmeta nfproto ipv4 tcp dport 8002 jump proxy # third"]);
    world.must(&["listener", "remove", "third"]);
    // An ACME server must reach the port at which its challenges are answered.
    let tls = ["tls.acme=proxy.example.test", "tls.acme_http=0.0.0.0:80"];
    world.must(&[&["listener", "add", "named", "listen=127.0.0.1:8003"][..], &tls].concat());
    let rules = world.must(&["firewall", "print"]);
    assert!(rules.contains("meta nfproto ipv4 tcp dport 80 jump proxy # named-acme"), "{rules}");
    world.must(&["listener", "remove", "named"]);
}

#[test]
fn only_ssh_and_the_proxy_are_reached_from_other_machines() {
    let parts = ["nft", "iptables", "ip", "ping", "curl"];
    let Some((hezar, _)) = programs("firewall", parts) else { return };
    let Some(world) = World::new(hezar) else {
        assert!(std::env::var_os("HEZAR_REQUIRE_PEERS").is_none(), "network namespaces cannot be made");
        println!("firewall: SKIPPED, network namespaces cannot be made");
        return;
    };
    world.lets_in(IPV4, &LISTENING, "without rules");
    for format in ["nft", "iptables"] {
        holds(&world, format);
        limits(&world, format);
        takes_back(&world, format);
    }
    keeps_the_operator(&world);
    follows_the_configuration(&world);
}
