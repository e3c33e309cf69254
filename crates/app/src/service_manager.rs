//! What a service manager is told (sd_notify(3)), and the sockets that it gives (sd_listen_fds(3)). Without one nothing happens.

use std::{sync::Arc, time::Duration};

use hezar_gateway::Connections;
use sd_notify::NotifyState;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::{
    inherited_sockets::{API_SOCKET, BoundSocket, InheritedSocket, InheritedSockets, SocketRole},
    nodes::Nodes,
};

/// How often the line of state is looked at, unless the manager watches more closely.
const STATUS_EVERY: Duration = Duration::from_secs(10);
/// The names that a manager gives sockets without one: `unknown`, or that of the unit.
const UNNAMED: [&str; 2] = ["unknown", "stored"];

/// Takes the listening sockets that a service manager has opened (socket activation). It has to be called before any other thread runs.
pub(crate) fn sockets() -> InheritedSockets {
    let names: Vec<String> = match sd_notify::listen_fds_with_names() {
        Ok(named) => named.map(|(_, name)| name).collect(),
        Err(error) => {
            tell_before_the_log(&format!("the sockets of the service manager cannot be used: {error}"));
            return InheritedSockets::default();
        }
    };
    if names.is_empty() {
        return InheritedSockets::default();
    }
    let mut given = listenfd::ListenFd::from_env();
    let mut sockets = Vec::new();
    for (index, name) in names.into_iter().enumerate() {
        let socket = take(&mut given, index);
        match socket.and_then(|socket| socket.map(|socket| InheritedSocket::new(role(&name), None, socket)).transpose())
        {
            Ok(Some(socket)) => sockets.push(socket),
            Ok(None) => {}
            Err(error) => {
                tell_before_the_log(&format!("the socket {name} of the service manager cannot be used: {error}"))
            }
        }
    }
    InheritedSockets::new(sockets)
}

/// The socket of this number, which is one of TCP that listens, or one of UDP.
fn take(given: &mut listenfd::ListenFd, index: usize) -> std::io::Result<Option<BoundSocket>> {
    // One of another kind stays where it is.
    match given.take_tcp_listener(index) {
        Ok(socket) => Ok(socket.map(BoundSocket::Tcp)),
        Err(error) => given.take_udp_socket(index).map_err(|_| error).map(|socket| socket.map(BoundSocket::Udp)),
    }
}

/// There is no log yet.
fn tell_before_the_log(text: &str) {
    crate::output::note(format!("hezar: {text}"));
}

fn role(name: &str) -> SocketRole {
    match name {
        API_SOCKET => SocketRole::Api,
        // A unit's own name says nothing of what a socket is for.
        name if name.is_empty() || UNNAMED.contains(&name) || name.contains(".socket") => SocketRole::Any,
        name => SocketRole::Listener(name.into()),
    }
}

/// Tells a state, if somebody wants to know.
fn notify(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::debug!(%error, "the service manager cannot be told");
    }
}

/// This process serves; with `takes_over` it is the service's main process from now on.
pub(crate) fn ready(takes_over: bool) {
    if takes_over {
        notify(&[NotifyState::MainPid(std::process::id()), NotifyState::Ready]);
    } else {
        notify(&[NotifyState::Ready]);
    }
}

/// This process is about to end, and no other one serves in its place.
pub(crate) fn stopping() {
    notify(&[NotifyState::Stopping, NotifyState::Status("draining")]);
}

/// The configuration is read again until this is dropped.
pub(crate) struct Reloading(());

impl Reloading {
    pub(crate) fn begin() -> Self {
        match NotifyState::monotonic_usec_now() {
            Ok(now) => notify(&[NotifyState::Reloading, now]),
            Err(_) => notify(&[NotifyState::Reloading]),
        }
        Self(())
    }
}

impl Drop for Reloading {
    fn drop(&mut self) {
        notify(&[NotifyState::Ready]);
    }
}

/// Says until `stop` that the program lives, and how it is. What it looks at for that are the parts that every request needs: where they
/// hang, the manager hears nothing and starts the service again.
pub(crate) async fn follow(pool: Arc<Nodes>, connections: Arc<Connections>, stop: CancellationToken) {
    let watchdog = sd_notify::watchdog_enabled().map(|time| time / 2);
    let mut ticks = interval(watchdog.unwrap_or(STATUS_EVERY).clamp(Duration::from_millis(50), STATUS_EVERY));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut told = String::new();
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = ticks.tick() => {}
        }
        let counts = pool.snapshot().counts();
        let (routable, total, open) = (counts.routable(), counts.total(), connections.len());
        let line = format!("serving: {routable} of {total} nodes carry traffic, {open} connections open");
        if watchdog.is_some() {
            notify(&[NotifyState::Watchdog]);
        }
        if line != told {
            notify(&[NotifyState::Status(&line)]);
            told = line;
        }
    }
}
