//! Hezar where it is deployed: beside the real programs that surround it on a machine.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail by panicking")]

mod containers;
mod debian_package;
mod downloads;
mod firewall;
mod guides;
mod kubernetes;
mod memory_store;
mod namespaced_shell;
mod netns;
mod packages;
mod systemd;
mod tls;
mod tor;
mod vps;
mod watch;
