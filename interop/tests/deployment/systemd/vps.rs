//! `hezar init --vps` on a machine with systemd: it ends with a service that has the low ports and no other right.

use super::{machine::Machine, up::SUBSCRIPTION};

/// CAP_NET_BIND_SERVICE alone (capabilities(7)), as /proc shows it.
const LOW_PORTS_ALONE: &str = "0000000000000400";

/// `/usr/local/bin/hezar` is there, and no service is. One is installed first, which runs with the file that it brings, as a package's does.
pub(super) fn is_set_up_for_phones(machine: &Machine) {
    let hezar = "/usr/local/bin/hezar";
    let set_up = |more: &[&str]| {
        let words = [&[hezar, "init", "--vps", "vps.test.example", "--allow-private"], more, &[SUBSCRIPTION]].concat();
        let said = machine.succeed(&words);
        said.lines().filter(|line| line.contains("://")).map(str::to_owned).collect::<Vec<_>>()
    };
    machine.succeed(&[hezar, "install-service"]);
    machine.is_active("hezar.service");
    let links = set_up(&[]);
    assert_eq!(links.len(), 21, "{links:?}");
    machine.is_active("hezar.service");
    let pid = machine.main_pid();
    let status = machine.succeed(&["cat", &format!("/proc/{pid}/status")]);
    let field = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)).unwrap().trim().to_owned();
    assert_ne!(field("Uid:").split_whitespace().next(), Some("0"));
    assert_eq!((&*field("CapEff:"), &*field("CapBnd:")), (LOW_PORTS_ALONE, LOW_PORTS_ALONE));
    machine.succeed(&["bash", "-c", "exec 3<>/dev/tcp/127.0.0.1/443"]);
    assert_eq!(machine.succeed(&["stat", "--format=%a %U:%G", "/etc/hezar/hezar.toml"]).trim(), "640 root:hezar");
    let page = machine.succeed(&["runuser", "--user=hezar", "--", "cat", "/etc/hezar/site/index.html"]);
    assert!(page.contains("Welcome"), "the service reads the site");
    assert!(machine.succeed(&["cat", "/etc/hezar/firewall.nft"]).contains("443"));
    let printed = machine.succeed(&[hezar, "user", "link", "phone", "--listener", "hysteria2", "--link", ""]);
    assert!(links.contains(&printed.trim().to_owned()), "{printed}");
    // It is not written again unasked; written again it keeps its keys, and the service goes on.
    assert!(!machine.run(&[hezar, "init", "--vps", "vps.test.example"]).status.success());
    assert_eq!(set_up(&["--force"]), links);
    assert_eq!((machine.main_pid(), machine.state("hezar.service")), (pid.clone(), "active".to_owned()));
    // What is written for another name is in force at once: the instance that runs tells its links.
    let other = [hezar, "init", "--vps", "other.test.example", "--allow-private", "--force", SUBSCRIPTION];
    let written = machine.succeed(&other);
    let asked = machine.run(&[hezar, "user", "link", "phone", "--listener", "hysteria2", "--link", ""]);
    let (told, notes) = (String::from_utf8_lossy(&asked.stdout), String::from_utf8_lossy(&asked.stderr));
    assert!(!notes.contains("no instance"), "{notes}");
    assert!(told.contains("@other.test.example:443") && written.contains(told.trim()), "{told}");
    assert_eq!((machine.main_pid(), machine.state("hezar.service")), (pid, "active".to_owned()));
    machine.succeed(&[hezar, "uninstall-service", "--purge"]);
    assert!(!machine.system.path("etc/systemd/system/hezar.service.d/low-ports.conf").exists());
    assert!(!machine.system.path("etc/hezar").exists());
}
