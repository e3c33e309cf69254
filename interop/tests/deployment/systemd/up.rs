//! `hezar up` on a machine with systemd: it ends with a service that serves.

use std::fs;

use super::machine::Machine;

/// The nodes come from a demonstration on the same machine, whose pages are asked for in the place of the internet's.
const SETTINGS: [&str; 4] = [
    "HEZAR_PROBE_URL=http://demo.hezar/generate_204",
    "HEZAR_PROBE_TRACE_URL=http://demo.hezar/cdn-cgi/trace",
    "HEZAR_PROBE_CANARY_URL=",
    "HEZAR_PROBE_CONTROL=",
];
/// The configuration of that demonstration: its nodes can be read as a subscription.
pub(super) const DEMONSTRATION: &str =
    "[[subscription]]\nname = \"world\"\ntoken = \"0123456789abcdef\"\nallow_private = true\n";
pub(super) const SUBSCRIPTION: &str = "http://127.0.0.1:19090/sub/0123456789abcdef";

/// Root gets the machine's service; `/usr/local/bin/hezar` is there, and no service is.
pub(super) fn ends_with_a_service(machine: &Machine) {
    machine.system.write("etc/default/hezar", &SETTINGS.join("\n"));
    let up = |words: &[&str]| {
        machine.succeed(&[&["env"], &SETTINGS[..], &["/usr/local/bin/hezar", "up", "--yes"], words].concat())
    };
    up(&["--allow-private", SUBSCRIPTION]);
    machine.is_active("hezar.service");
    machine.answers(8000);
    let file = machine.system.path("etc/hezar/hezar.toml");
    assert!(fs::read_to_string(&file).unwrap().contains(SUBSCRIPTION));
    // What root has tried lies nowhere that the service could not write to.
    let of_others = ["find", "/var/lib/hezar", "-not", "-user", "hezar"];
    assert_eq!(machine.succeed(&of_others), "");
    assert!(!machine.system.path("root/.config/hezar").exists());
    // It can be said again, and joins what runs.
    let pid = machine.main_pid();
    up(&["--lan"]);
    assert_eq!(machine.main_pid(), pid);
    assert!(fs::read_to_string(&file).unwrap().contains("name = \"lan\""));
    assert_eq!(machine.succeed(&["stat", "--format=%a %U:%G", "/etc/hezar/hezar.toml"]).trim(), "640 root:hezar");
    machine.succeed(&["/usr/local/bin/hezar", "uninstall-service", "--purge"]);
}
