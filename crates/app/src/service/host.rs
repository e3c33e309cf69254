//! Whether this machine has a systemd that can run a service, and why not.

use std::{env, path::Path, process::Command};

use anyhow::bail;

use crate::{exposure::is_root, output::Misuse};

/// Exists while systemd is the first process (sd_booted(3)).
const BOOTED: &str = "/run/systemd/system";
/// Where packages of distributions put units.
const PACKAGED: [&str; 2] = ["/usr/lib/systemd/system/hezar.service", "/lib/systemd/system/hezar.service"];

/// Whose service it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scope {
    /// The machine's: it runs from boot on, under a user of its own.
    System,
    /// One user's: it needs no root, and runs while the user is logged in, or always with lingering.
    User,
}

impl Scope {
    /// `systemctl` with these words, for the manager of this scope.
    pub(crate) fn systemctl(self, words: &[&str]) -> Vec<String> {
        let user: &[&str] = if self == Self::User { &["--user"] } else { &[] };
        [&["systemctl"], user, words].concat().into_iter().map(str::to_owned).collect()
    }
}

/// Fails with what stands in the way of a service in this scope, and what to do instead.
pub(crate) fn check(scope: Scope) -> anyhow::Result<()> {
    if !cfg!(target_os = "linux") {
        bail!(Misuse(
            "a service is installed on Linux with systemd only; elsewhere start `hezar run` by the system's own means"
                .into()
        ));
    }
    if !Path::new(BOOTED).exists() {
        bail!("systemd does not run here, so that no service can be installed: {}", instead_of_systemd());
    }
    if let Some(unit) = PACKAGED.iter().find(|unit| scope == Scope::System && Path::new(unit).exists()) {
        bail!(
            "the service is part of the package that is installed ({unit}): `systemctl enable --now hezar` starts it, the package manager removes it"
        );
    }
    if scope == Scope::System && !is_root() {
        bail!("a service of the whole system needs root: use sudo, or --user for one of your own");
    }
    if scope == Scope::User && !answers(&scope.systemctl(&["show-environment"])) {
        bail!(
            "your user has no running systemd manager (`systemctl --user` fails): log in as that user itself instead of by su or sudo, or use --system"
        );
    }
    Ok(())
}

/// Whether a package has installed the machine's service, and systemd can start it.
pub(crate) fn is_packaged() -> bool {
    Path::new(BOOTED).exists() && PACKAGED.iter().any(|unit| Path::new(unit).exists())
}

/// Whether the service runs now.
pub(crate) fn is_running(scope: Scope) -> bool {
    answers(&scope.systemctl(&["is-active", "--quiet", "hezar.service"]))
}

/// The last lines of the service's log, for when it does not start; empty where nobody may read them.
pub(crate) fn last_log(scope: Scope) -> String {
    let unit = if scope == Scope::User { "--user-unit" } else { "--unit" };
    let arguments = [unit, "hezar.service", "--lines=8", "--output=cat", "--no-pager", "--quiet"];
    let output = Command::new("journalctl").args(arguments).output();
    output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned()).unwrap_or_default()
}

/// Whether a command succeeds; what it prints is not shown.
fn answers(words: &[String]) -> bool {
    let Some((program, arguments)) = words.split_first() else { return false };
    Command::new(program).args(arguments).output().is_ok_and(|output| output.status.success())
}

fn instead_of_systemd() -> &'static str {
    let in_container = Path::new("/.dockerenv").exists()
        || Path::new("/run/.containerenv").exists()
        || env::var_os("container").is_some()
        || env::var_os("KUBERNETES_SERVICE_HOST").is_some();
    if in_container {
        return "this is a container, whose engine starts `hezar run` again by its restart policy";
    }
    if env::var_os("WSL_DISTRO_NAME").is_some() {
        return "in WSL, put `systemd=true` under [boot] in /etc/wsl.conf and run `wsl --shutdown` in Windows once";
    }
    "let the init system of this machine start `hezar run`"
}
