//! Network namespaces of a test: hosts with addresses of their own, joined by a cable, which nothing outside of them sees.

use std::process::{Command, Stdio};

/// A host of its own: a network namespace that is removed when this is dropped.
#[derive(Debug)]
pub(crate) struct Host {
    name: String,
}

impl Host {
    /// Makes it. `None` where this is not allowed (no root, or no `ip`).
    pub(crate) fn new(role: &str) -> Option<Self> {
        let host = Self { name: format!("hz-{}-{role}", std::process::id()) };
        let made = Command::new("ip").args(["netns", "add", &host.name]).stderr(Stdio::null()).status();
        made.is_ok_and(|status| status.success()).then(|| {
            host.must(&["ip", "link", "set", "lo", "up"]);
            host
        })
    }

    /// Its name, as `ip` takes it.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Joins two hosts by a cable. Each end gets these addresses, written as `198.18.0.1/24`.
    pub(crate) fn join(&self, addresses: &[&str], other: &Self, other_addresses: &[&str]) {
        self.must(&["ip", "link", "add", "cable", "type", "veth", "peer", "name", "cable", "netns", &other.name]);
        for (host, addresses) in [(self, addresses), (other, other_addresses)] {
            host.configure("cable", addresses);
        }
    }

    /// Gives an interface addresses and switches it on.
    pub(crate) fn configure(&self, interface: &str, addresses: &[&str]) {
        for address in addresses {
            // Without the search for other owners of an IPv6 address, it can be used at once.
            let options: &[&str] = if address.contains(':') { &["nodad"] } else { &[] };
            self.must(&[&["ip", "address", "add", address, "dev", interface][..], options].concat());
        }
        self.must(&["ip", "link", "set", interface, "up"]);
    }

    /// A command that runs on this host.
    pub(crate) fn command(&self, program: &str) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.name, program]).stdin(Stdio::null());
        command
    }

    /// Runs a command on this host, which must succeed.
    pub(crate) fn must(&self, words: &[&str]) -> String {
        let output = self.command(words[0]).args(&words[1..]).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{words:?}: {} {said}", output.status);
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Which of these ports accept a connection from here, all tried at once. What is dropped is given up after so many seconds.
    pub(crate) fn reaches(&self, address: &str, ports: &[u16], seconds: u32) -> Vec<u16> {
        let tries = ports.iter().map(|port| {
            let script = format!("exec 3<>/dev/tcp/{address}/{port}");
            let mut command = self.command("timeout");
            command.args([&seconds.to_string(), "bash", "-c", &script]).stderr(Stdio::null());
            (*port, command.spawn().unwrap())
        });
        let tries: Vec<_> = tries.collect();
        let reached = tries.into_iter().filter_map(|(port, mut child)| child.wait().unwrap().success().then_some(port));
        reached.collect()
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        let _ = Command::new("ip").args(["netns", "delete", &self.name]).stderr(Stdio::null()).status();
    }
}
