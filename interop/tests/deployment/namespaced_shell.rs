//! A shell in namespaces of its own: its network is not this machine's, and what it starts ends with it.

use std::{
    env,
    process::{Command, Stdio},
};

/// Whether such a shell can be made. A line says so where it cannot, and where it has to (`HEZAR_REQUIRE_PEERS`) the test fails.
pub(crate) fn can_be_made(test: &str) -> bool {
    let made = Command::new("unshare").args(["--net", "--mount", "true"]).status();
    let is_made = made.is_ok_and(|status| status.success());
    if !is_made {
        assert!(env::var_os("HEZAR_REQUIRE_PEERS").is_none(), "a network namespace is required: run this as root");
        println!("{test}: SKIPPED, no network namespace can be made (not root?)");
    }
    is_made
}

/// The shell, which runs for so many seconds at most. What is set here for Hezar or as a proxy is not set there.
pub(crate) fn shell(longest: &str) -> Command {
    let mut command = Command::new("unshare");
    command.args(["--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "timeout", longest, "bash"]);
    command.stdin(Stdio::null()).env("LC_ALL", "C.UTF-8");
    let is_ours = |name: &str| name.starts_with("HEZAR_") || name.starts_with("XDG_");
    let is_proxy = |name: &str| name.to_lowercase().ends_with("_proxy");
    for name in env::vars_os().filter_map(|(name, _)| name.into_string().ok()) {
        if is_ours(&name) || is_proxy(&name) {
            command.env_remove(name);
        }
    }
    command
}
