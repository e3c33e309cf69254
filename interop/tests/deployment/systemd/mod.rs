//! Hezar as a service of a real systemd, which runs in a container of systemd-nspawn.

mod machine;
mod up;
mod vps;

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

use hezar_interop::harness::{eventually, programs};

use crate::{
    debian_package::{System, later_version},
    packages::{Packages, has_root, said, succeed},
};
use machine::Machine;

/// The highest exposure that `systemd-analyze security` may see in the service, times ten.
const MOST_EXPOSURE: &str = "--threshold=20";
/// What a system for these tests has beside a minimal one; a user's own manager needs the PAM module.
const PACKAGES: [&str; 4] = ["systemd", "systemd-sysv", "dbus", "libpam-systemd"];
/// A watchdog that lets the test wait less than the unit's own, and a busy machine enough.
const WATCHDOG: &str = "[Service]\nWatchdogSec=10s\n";
/// One node, which is a demonstration that runs beside the service.
const CONFIGURATION: &str = r#"
[probe]
url = "http://demo.hezar/generate_204"
trace_url = "http://demo.hezar/cdn-cgi/trace"
canary_url = ""
control = []

[store]
memory = true

[[source]]
name = "demonstration"
links = ["socks5://127.0.0.1:18000#demonstration"]
allow_private = true
"#;
/// Starts that demonstration, as a service of its own from a copy of the program, which no upgrade touches.
const DEMONSTRATION: [&str; 12] = [
    "systemd-run",
    "--unit=demonstration",
    "--property=DynamicUser=yes",
    "--setenv=HOME=/tmp",
    "/opt/hezar",
    "run",
    "--demo",
    "--listen=127.0.0.1:18000",
    "--api=127.0.0.1:19090",
    "--data=/tmp/demonstration",
    "--config",
    "/opt/demonstration.toml",
];

fn units() -> PathBuf {
    let manifest = env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
    Path::new(&manifest).parent().unwrap().join("deploy/systemd")
}

#[test]
fn the_units_are_valid_and_exposed_little() {
    let Some((hezar, [analyze])) = programs("the units", ["systemd"]) else { return };
    let folder = tempfile::tempdir().unwrap();
    for name in ["hezar.service", "hezar.socket", "hezar-backup.service", "hezar-backup.timer"] {
        let text = fs::read_to_string(units().join(name)).unwrap();
        fs::write(folder.path().join(name), text.replace("/usr/bin/hezar", &hezar.display().to_string())).unwrap();
    }
    for name in ["hezar.service", "hezar.socket", "hezar-backup.service", "hezar-backup.timer"] {
        let output =
            Command::new(&analyze).args(["verify", "--man=no"]).arg(folder.path().join(name)).output().unwrap();
        assert!(output.status.success() && output.stderr.is_empty(), "{name}: {}", said(&output));
    }
    for name in ["hezar.service", "hezar-backup.service"] {
        let mut security = Command::new(&analyze);
        security.args(["security", "--no-pager", "--offline=true", MOST_EXPOSURE]).arg(folder.path().join(name));
        let report = succeed(&mut security);
        println!("{}", report.lines().last().unwrap_or_default());
    }
}

/// A system with the package, whose service runs from boot on.
fn system_with_package(packages: &Packages) -> System {
    let system = System::new(&PACKAGES);
    system.install(&packages.debian);
    fs::copy(system.path("usr/bin/hezar"), system.path("opt/hezar")).unwrap();
    system.write("opt/demonstration.toml", up::DEMONSTRATION);
    fs::write(system.path("etc/hezar/hezar.toml"), CONFIGURATION).unwrap();
    system.write("etc/systemd/system/hezar.service.d/test.conf", WATCHDOG);
    system
}

#[test]
fn the_service_lives_under_systemd() {
    let test = "the service";
    let Some((hezar, [_, _])) = programs(test, ["debootstrap", "systemd-nspawn"]) else { return };
    if !has_root(test) {
        return;
    }
    let packages = Packages::of(&hezar);
    let Some(machine) = Machine::boot(test, system_with_package(packages)) else { return };
    machine.succeed(&DEMONSTRATION);
    machine.is_active("hezar.service");
    starts_as_a_user_without_rights(&machine);
    ends_of_the_process_are_mended(&machine);
    mistakes_are_not_repeated(&machine);
    backups_are_made(&machine);
    the_package_is_upgraded_without_a_cut(&machine, packages);
    systemd_opens_a_low_port(&machine);
    the_package_ends_with_its_service(&machine);
    the_command_installs_and_removes_a_service(&machine, &hezar);
    the_command_installs_a_users_service(&machine);
    up::ends_with_a_service(&machine);
    vps::is_set_up_for_phones(&machine);
}

fn starts_as_a_user_without_rights(machine: &Machine) {
    // This is the machine's first boot, which enables whatever no preset names.
    assert_eq!(machine.property("hezar.socket", "UnitFileState"), "disabled");
    let pid = machine.main_pid();
    let status = machine.succeed(&["cat", &format!("/proc/{pid}/status")]);
    let field = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)).unwrap().trim().to_owned();
    assert_ne!(field("Uid:").split_whitespace().next(), Some("0"));
    assert_eq!((field("CapEff:").trim_matches('0'), &*field("NoNewPrivs:"), &*field("Seccomp:")), ("", "1", "2"));
    // Root's commands find the service without being told where it is.
    eventually("a ready service", || machine.run(&["hezar", "health"]).status.success().then_some(()));
    assert!(machine.succeed(&["hezar", "status"]).contains("healthy"));
    eventually("a status line", || machine.property("hezar.service", "StatusText").contains("nodes").then_some(()));
    machine.answers(8000);
    machine.succeed(&["systemctl", "reload", "hezar.service"]);
    assert_eq!(machine.main_pid(), pid);
    let security = machine.succeed(&["systemd-analyze", "security", "--no-pager", MOST_EXPOSURE, "hezar.service"]);
    println!("{}", security.lines().last().unwrap_or_default());
    assert!(machine.metrics().contains("process_start_time_seconds"), "the process cannot see itself");
    let log = machine.succeed(&["journalctl", "--unit=hezar.service", "--output=cat"]);
    assert!(!log.contains("chmod") && !log.contains("panicked"), "{log}");
}

/// A process that hangs is ended by the watchdog, one that is killed is replaced.
fn ends_of_the_process_are_mended(machine: &Machine) {
    machine.succeed(&["hezar", "subscription", "add", "phone"]);
    for signal in ["STOP", "KILL"] {
        let before = machine.main_pid();
        machine.signal(signal, &before);
        another_process_serves(machine, &before);
    }
    assert_eq!(machine.property("hezar.service", "NRestarts"), "2");
    // The store in memory is still there.
    assert!(machine.succeed(&["hezar", "subscription", "list"]).contains("phone"));
}

fn another_process_serves(machine: &Machine, before: &str) {
    eventually("another process", || {
        let now = machine.main_pid();
        (now != before && now != "0" && machine.state("hezar.service") == "active").then_some(())
    });
    machine.answers(8000);
}

fn mistakes_are_not_repeated(machine: &Machine) {
    let file = machine.system.path("etc/hezar/hezar.toml");
    fs::write(&file, "[proxy]\nlisten = \"nowhere\"\n").unwrap();
    assert!(!machine.run(&["systemctl", "reload", "hezar.service"]).status.success(), "a mistake was taken");
    // The program reads the changed file by itself as well, and says so to systemd while it does.
    machine.is_active("hezar.service");
    assert!(!machine.run(&["systemctl", "restart", "hezar.service"]).status.success());
    assert_eq!(machine.state("hezar.service"), "failed");
    assert_eq!(machine.property("hezar.service", "ExecMainStatus"), "2");
    fs::write(&file, CONFIGURATION).unwrap();
    machine.succeed(&["systemctl", "restart", "hezar.service"]);
    machine.answers(8000);
}

fn backups_are_made(machine: &Machine) {
    machine.succeed(&["systemctl", "start", "hezar-backup.service"]);
    let made = machine.succeed(&["ls", "/var/lib/hezar/backups"]);
    assert!(made.trim().ends_with(".db.zst") && made.lines().count() == 1, "{made}");
    assert_eq!(machine.state("hezar-backup.timer"), "active");
}

fn the_package_is_upgraded_without_a_cut(machine: &Machine, packages: &Packages) {
    let work = tempfile::tempdir().unwrap();
    let later = later_version(&packages.debian, work.path());
    let before = machine.main_pid();
    let done = AtomicBool::new(false);
    let (served, failed) = thread::scope(|scope| {
        let client = scope.spawn(|| {
            let (mut served, mut failed) = (0, 0);
            while !done.load(Ordering::Relaxed) {
                if machine.ask(8000).contains("200 OK") { served += 1 } else { failed += 1 }
            }
            (served, failed)
        });
        fs::copy(&later, machine.system.path("later.deb")).unwrap();
        let output = machine.run(&["dpkg", "--force-confold", "--install", "/later.deb"]);
        done.store(true, Ordering::Relaxed);
        assert!(output.status.success(), "{}", said(&output));
        client.join().unwrap()
    });
    println!("upgraded by dpkg: {served} requests served meanwhile, {failed} failed");
    assert_ne!(machine.main_pid(), before, "{}", machine.log());
    assert!(served > 0 && failed == 0, "{failed} failed of {}; {}", served + failed, machine.log());
    assert_eq!(machine.property("hezar.service", "NRestarts"), "0");
    // systemd knows the process that has taken over: when it is killed, another one comes.
    let successor = machine.main_pid();
    machine.signal("KILL", &successor);
    another_process_serves(machine, &successor);
}

/// The program has no right to open port 80; systemd opens it, and starts the program for the first client.
fn systemd_opens_a_low_port(machine: &Machine) {
    machine.succeed(&["systemctl", "stop", "hezar.service"]);
    let configuration = format!("[proxy]\nlisten = \"127.0.0.1:80\"\n{CONFIGURATION}");
    fs::write(machine.system.path("etc/hezar/hezar.toml"), configuration).unwrap();
    machine
        .system
        .write("etc/systemd/system/hezar.socket.d/test.conf", "[Socket]\nListenStream=\nListenStream=127.0.0.1:80\n");
    machine.succeed(&["systemctl", "daemon-reload"]);
    machine.succeed(&["systemctl", "start", "hezar.socket"]);
    assert_eq!(machine.state("hezar.service"), "inactive");
    machine.answers(80);
    assert_eq!(machine.state("hezar.service"), "active");
    machine.succeed(&["systemctl", "stop", "hezar.socket", "hezar.service"]);
}

fn the_package_ends_with_its_service(machine: &Machine) {
    fs::write(machine.system.path("etc/hezar/hezar.toml"), CONFIGURATION).unwrap();
    machine.succeed(&["systemctl", "start", "hezar.service"]);
    machine.answers(8000);
    fs::remove_dir_all(machine.system.path("etc/systemd/system/hezar.service.d")).unwrap();
    machine.succeed(&["dpkg", "--purge", "hezar"]);
    assert_eq!(machine.property("hezar.service", "LoadState"), "not-found");
    assert_eq!(machine.ask(8000), "", "the program runs on");
}

fn the_command_installs_and_removes_a_service(machine: &Machine, hezar: &Path) {
    fs::copy(hezar, machine.system.path("root/hezar")).unwrap();
    machine.system.write("etc/hezar/hezar.toml", CONFIGURATION);
    let said = machine.succeed(&["/root/hezar", "install-service"]);
    for part in [
        "copied the program to /usr/local/bin/hezar",
        "kept /etc/hezar/hezar.toml",
        "wrote /etc/systemd/system/hezar.service",
    ] {
        assert!(said.contains(part), "{part} is not in {said}");
    }
    machine.is_active("hezar.service");
    assert_eq!(machine.property("hezar-backup.timer", "ActiveState"), "active");
    assert_eq!(machine.succeed(&["stat", "--format=%a %U:%G", "/etc/hezar/hezar.toml"]).trim(), "640 root:hezar");
    // Repeated, it changes nothing; what somebody has changed stays.
    let pid = machine.main_pid();
    let again = machine.succeed(&["/root/hezar", "install-service"]);
    assert!(!again.contains("wrote") && !again.contains("copied"), "{again}");
    assert_eq!(machine.main_pid(), pid);
    let unit = machine.system.path("etc/systemd/system/hezar.service");
    let changed = fs::read_to_string(&unit).unwrap() + "# mine\n";
    fs::write(&unit, &changed).unwrap();
    assert!(machine.succeed(&["/root/hezar", "install-service"]).contains("which you have changed"));
    assert_eq!(fs::read_to_string(&unit).unwrap(), changed);
    machine.succeed(&["/usr/local/bin/hezar", "uninstall-service"]);
    assert!(!unit.exists() && machine.state("hezar.service") != "active");
    assert!(machine.system.path("var/lib/hezar").is_dir() && machine.system.path("etc/hezar/hezar.toml").is_file());
    machine.succeed(&["/usr/local/bin/hezar", "uninstall-service", "--purge"]);
    assert!(!machine.system.path("var/lib/hezar").exists() && !machine.system.path("etc/hezar").exists());
    assert!(!machine.run(&["getent", "passwd", "hezar"]).status.success());
}

fn the_command_installs_a_users_service(machine: &Machine) {
    machine.succeed(&["useradd", "--create-home", "alice"]);
    machine.succeed(&["loginctl", "enable-linger", "alice"]);
    let uid = machine.succeed(&["id", "--user", "alice"]).trim().to_owned();
    machine.is_active(&format!("user@{uid}.service"));
    let runtime = format!("XDG_RUNTIME_DIR=/run/user/{uid}");
    let as_alice = |words: &[&str]| {
        let start = ["runuser", "--user=alice", "--", "env", "HOME=/home/alice", &runtime];
        machine.succeed(&[&start, words].concat())
    };
    machine.system.write("home/alice/.config/hezar/hezar.toml", CONFIGURATION);
    machine.succeed(&["chown", "--recursive", "alice:alice", "/home/alice"]);
    let said = as_alice(&["/usr/local/bin/hezar", "install-service"]);
    assert!(said.contains("enable-linger"), "{said}");
    machine.answers(8000);
    let status = as_alice(&["/usr/local/bin/hezar", "status"]);
    assert!(status.contains("127.0.0.1:8000"), "{status}");
    assert!(machine.system.path("home/alice/.local/share/hezar/token").is_file());
    as_alice(&["/usr/local/bin/hezar", "uninstall-service", "--purge"]);
    for gone in [".config/systemd/user/hezar.service", ".local/share/hezar", ".config/hezar/hezar.toml"] {
        assert!(!machine.system.path("home/alice").join(gone).exists(), "{gone} stays");
    }
}
