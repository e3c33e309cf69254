//! A machine with a systemd of its own: a Debian system that systemd-nspawn boots, with loopback as its only network.

use std::{
    env,
    fs::{self, File},
    process::{Child, Command, Output, Stdio},
    thread,
    time::{Duration, Instant},
};

use hezar_interop::harness::eventually;
use rustix::process::{Pid, Signal, kill_process};

use crate::{
    debian_package::System,
    packages::{said, succeed},
};

/// How long a machine may take to boot, and to end.
const BOOT: Duration = Duration::from_secs(60);

pub(super) struct Machine {
    pub(super) system: System,
    nspawn: Child,
    /// Its first process, as this system numbers it.
    leader: String,
}

impl Machine {
    /// Boots a system. `None`, with a line that says so, where containers cannot be had and nothing is required.
    pub(super) fn boot(test: &str, system: System) -> Option<Self> {
        // There is no network to wait for.
        system.succeed(&["systemctl", "mask", "systemd-networkd-wait-online.service"]);
        let log = File::create(system.path("nspawn.log")).unwrap();
        let mut nspawn = Command::new("systemd-nspawn");
        nspawn.args(["--register=no", "--keep-unit", "--private-network", "--quiet", "--boot"]);
        nspawn.arg(format!("--machine=hezar-test-{}", std::process::id())).arg("--directory").arg(system.path(""));
        let nspawn = nspawn.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap();
        let mut machine = Self { system, nspawn, leader: String::new() };
        let end = Instant::now() + BOOT;
        while Instant::now() < end && machine.nspawn.try_wait().unwrap().is_none() {
            let own = machine.nspawn.id();
            let children = fs::read_to_string(format!("/proc/{own}/task/{own}/children")).unwrap_or_default();
            machine.leader = children.split_whitespace().next().unwrap_or_default().to_owned();
            let state = if machine.leader.is_empty() {
                String::new()
            } else {
                said(&machine.run(&["systemctl", "is-system-running"]))
            };
            if ["running", "degraded"].contains(&state.trim()) {
                return Some(machine);
            }
            thread::sleep(Duration::from_millis(200));
        }
        let log = fs::read_to_string(machine.system.path("nspawn.log")).unwrap_or_default();
        assert!(env::var_os("HEZAR_REQUIRE_PEERS").is_none(), "{test}: the machine does not boot: {log}");
        println!("{test}: SKIPPED, systemd-nspawn boots no machine here: {log}");
        None
    }

    /// Runs a command inside of it.
    pub(super) fn run(&self, words: &[&str]) -> Output {
        self.command(words).output().unwrap()
    }

    /// Runs a command that has to succeed, and gives what it printed.
    pub(super) fn succeed(&self, words: &[&str]) -> String {
        succeed(&mut self.command(words))
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new("nsenter");
        command.args(["--target", &self.leader, "--all", "--wd=/", "--"]).args(words);
        command.env_clear().env("HOME", "/root").env("LC_ALL", "C").env("DEBIAN_FRONTEND", "noninteractive");
        command.env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin").stdin(Stdio::null());
        command
    }

    /// What a unit's property is now.
    pub(super) fn property(&self, unit: &str, name: &str) -> String {
        self.succeed(&["systemctl", "show", "--value", "--property", name, unit]).trim().to_owned()
    }

    pub(super) fn state(&self, unit: &str) -> String {
        self.property(unit, "ActiveState")
    }

    pub(super) fn main_pid(&self) -> String {
        self.property("hezar.service", "MainPID")
    }

    /// Sends a signal to a process; `kill` is a word of the shell, and a program only in larger systems.
    pub(super) fn signal(&self, signal: &str, pid: &str) {
        self.succeed(&["bash", "-c", &format!("kill -{signal} {pid}")]);
    }

    /// Waits until a unit is active.
    pub(super) fn is_active(&self, unit: &str) {
        let end = Instant::now() + BOOT;
        while self.state(unit) != "active" {
            assert!(Instant::now() < end, "{unit} is never active: {}", self.log());
            thread::sleep(Duration::from_millis(100));
        }
    }

    /// The end of the service's log.
    pub(super) fn log(&self) -> String {
        said(&self.run(&["journalctl", "--no-pager", "--lines=60", "--output=cat", "--unit=hezar.service"]))
    }

    /// What the API says at /metrics.
    pub(super) fn metrics(&self) -> String {
        let script = "exec 3<>/dev/tcp/127.0.0.1/9090 && printf 'GET /metrics HTTP/1.0\\r\\nHost: localhost\\r\\n\\r\\n' >&3 && cat <&3";
        self.succeed(&["timeout", "30", "bash", "-c", script])
    }

    /// The first line of an answer of the demonstration through the proxy on this port; empty when there is none.
    pub(super) fn ask(&self, port: u16) -> String {
        let script = format!(
            "exec 3<>/dev/tcp/127.0.0.1/{port} && printf 'GET http://demo.hezar/ HTTP/1.0\\r\\n\\r\\n' >&3 && head -n 1 <&3"
        );
        String::from_utf8_lossy(&self.run(&["timeout", "30", "bash", "-c", &script]).stdout).into_owned()
    }

    /// Waits until the demonstration answers through the proxy on this port.
    pub(super) fn answers(&self, port: u16) {
        eventually("an answer through the proxy", || self.ask(port).contains("200 OK").then_some(()));
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        // Asked so, systemd-nspawn lets the machine shut down.
        if let Some(pid) = i32::try_from(self.nspawn.id()).ok().and_then(Pid::from_raw) {
            let _ = kill_process(pid, Signal::TERM);
        }
        let end = Instant::now() + BOOT;
        while Instant::now() < end {
            if let Ok(Some(_)) = self.nspawn.try_wait() {
                return;
            }
            thread::sleep(Duration::from_millis(100));
        }
        let _ = self.nspawn.kill();
        let _ = self.nspawn.wait();
    }
}
