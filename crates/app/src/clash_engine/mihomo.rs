//! What is particular to mihomo: its version, its command line, the settings that both cores have, and the levels of its log.

use std::{
    ffi::OsString,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use anyhow::{Context, bail};
use hezar_core::Secret;
use hezar_sidecar::{Controller, CoreCommand, CoreHome};
use serde_json::{Map, Value, json};
use tokio::{process::Command, time::timeout};

/// The oldest version that can be told to reject requests while a group has no member; an older one sends them directly.
pub(crate) const OLDEST: (u32, u32, u32) = (1, 19, 27);
/// How long the program may take to say its version.
const ASKED: Duration = Duration::from_secs(10);
/// The socket of a core's controller in its home folder.
pub(super) const SOCKET: &str = "controller.sock";
/// The file of the configuration in a core's home folder.
pub(super) const CONFIGURATION: &str = "config.json";

/// Finds out that the program is a mihomo that never sends anything out directly.
///
/// # Errors
/// It cannot be started, or it is another program or an older version.
pub(super) async fn check_version(program: &Path) -> anyhow::Result<()> {
    let mut command = Command::new(program);
    // What is in this process's environment, such as secrets, is not its business.
    command
        .env_clear()
        .envs(std::env::var_os("PATH").map(|path| ("PATH", path)))
        .arg("-v")
        .stdin(std::process::Stdio::null())
        .kill_on_drop(true);
    let shown = program.display();
    let said = timeout(ASKED, command.output()).await.with_context(|| format!("{shown} does not say its version"))?;
    let said = said.with_context(|| format!("{shown} cannot be started"))?;
    judge(&shown.to_string(), &String::from_utf8_lossy(&said.stdout))
}

/// Whether what the program `shown` says of itself is a version that never sends anything out directly.
fn judge(shown: &str, said: &str) -> anyhow::Result<()> {
    let Some(version) = version(said) else {
        bail!("{shown} is no release of mihomo: `{shown} -v` says {:?}", said.lines().next().unwrap_or_default());
    };
    if version < OLDEST {
        let ((a, b, c), (x, y, z)) = (version, OLDEST);
        bail!(
            "{shown} is mihomo {a}.{b}.{c}: versions before {x}.{y}.{z} send requests directly while no node works \
             (they know no empty-fallback); install a newer one"
        );
    }
    Ok(())
}

/// The version in `Mihomo Meta v1.19.32 linux amd64 …`.
fn version(said: &str) -> Option<(u32, u32, u32)> {
    let word = said.split_whitespace().find_map(|word| word.strip_prefix('v').filter(|rest| rest.contains('.')))?;
    let mut numbers = word.split('.').map(|number| number.parse().ok());
    Some((numbers.next()??, numbers.next()??, numbers.next()??))
}

/// How the core is started in its home folder, which holds its configuration.
pub(super) fn command(program: PathBuf, home: &CoreHome) -> CoreCommand {
    let arguments: Vec<OsString> = vec!["-d".into(), home.path().into(), "-f".into(), home.file(CONFIGURATION).into()];
    CoreCommand { program, arguments, environment: Vec::new() }
}

/// The file of a provider in the home folder.
pub(super) fn provider_file(provider: &str) -> String {
    format!("{provider}.yaml")
}

/// What every core is told: no port, no direct way, nothing remembered. It asks `names` for the addresses of nodes' servers; a core on
/// another machine looks them up by itself. Targets of datagrams that are names are looked up as this machine does.
pub(super) fn basics(exposed: Option<&(SocketAddr, Secret)>, names: Option<SocketAddr>) -> Map<String, Value> {
    let mut config = Map::new();
    config.insert("mixed-port".into(), 0.into());
    config.insert("mode".into(), "rule".into());
    config.insert("log-level".into(), "warning".into());
    config.insert("ipv6".into(), true.into());
    config.insert("find-process-mode".into(), "off".into());
    config.insert("profile".into(), json!({ "store-selected": false, "store-fake-ip": false }));
    config.insert("external-controller-unix".into(), SOCKET.into());
    if let Some(names) = names {
        let dns = json!({
            "enable": true,
            "ipv6": true,
            "use-hosts": false,
            "use-system-hosts": false,
            "nameserver": ["system"],
            "proxy-server-nameserver": [names.to_string()],
        });
        config.insert("dns".into(), dns);
    }
    if let Some((address, secret)) = exposed {
        config.insert("external-controller".into(), address.to_string().into());
        config.insert("secret".into(), secret.expose().into());
    }
    config
}

/// Whether a core serves. It answers before it has its providers, and says of them that they do not exist.
#[derive(Debug, Default)]
pub(super) struct Readiness(AtomicBool);

impl Readiness {
    /// The core is started anew.
    pub(super) fn reset(&self) {
        self.0.store(false, Ordering::Relaxed);
    }

    /// Whether the core was ready since its start.
    pub(super) fn was_ready(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// Whether the core has this provider; once it has, whether it answers.
    pub(super) async fn is_ready(&self, controller: &Controller, provider: &str) -> bool {
        if self.was_ready() {
            return controller.version().await.is_ok();
        }
        let is_ready = controller.provider_nodes(provider).await.is_ok();
        self.0.store(is_ready, Ordering::Relaxed);
        is_ready
    }
}

/// How important a line of its log is: `time="…" level=warning msg="…"`.
pub(super) fn level(line: &str) -> tracing::Level {
    let level = line.split_once(" level=").and_then(|(_, rest)| rest.split_whitespace().next());
    match level {
        Some("info") => tracing::Level::INFO,
        Some("debug") => tracing::Level::DEBUG,
        // The warnings of a core are dials that failed, one for every attempt of a client.
        Some("warning") => tracing::Level::INFO,
        _ => tracing::Level::WARN,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_of_a_release_is_read_and_others_are_not_taken() {
        assert_eq!(version("Mihomo Meta v1.19.32 linux amd64 with go1.26.8 Wed Sep 30"), Some((1, 19, 32)));
        assert!(version("Mihomo Meta v1.19.26 linux").unwrap() < OLDEST);
        assert_eq!(version("Mihomo Meta alpha-1a2b3c linux amd64"), None);
        assert_eq!(version(""), None);
    }

    #[test]
    fn a_core_that_may_send_requests_directly_is_not_taken() {
        let judged = |version: &str| judge("core", &format!("Mihomo Meta {version} linux amd64\nUse tags: x"));
        assert!(judged("v1.19.27").is_ok());
        let old = judged("v1.19.26").unwrap_err().to_string();
        assert!(old.contains("mihomo 1.19.26") && old.contains("1.19.27"), "{old}");
        assert!(judged("alpha-1a2b3c").unwrap_err().to_string().contains("no release"));
    }

    #[test]
    fn failed_dials_of_the_core_are_not_troubles_of_this_program() {
        assert_eq!(level("time=\"2026\" level=warning msg=\"[TCP] dial POOL error\""), tracing::Level::INFO);
        assert_eq!(level("time=\"2026\" level=fatal msg=\"Parse config error\""), tracing::Level::WARN);
        assert_eq!(level("panic: x"), tracing::Level::WARN);
    }
}
