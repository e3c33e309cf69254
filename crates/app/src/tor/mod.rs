//! The Tor clients behind the sources with `tor = …`: one task for each, started and ended as the configuration says.

mod circuits;
mod log;
mod own_client;
mod progress;
mod source;

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use hezar_core::{NodeId, Role};
use hezar_engine::Clock;
use parking_lot::RwLock;
use tokio::{
    sync::watch,
    task::{Id, JoinError, JoinHandle, JoinSet},
    time::sleep,
};
use tokio_util::sync::CancellationToken;

use crate::{
    config::{Config, SourceOrigin, TorCircuits},
    geo::GeoLookup,
    nodes::Nodes,
    sources::Collector,
    supervise,
};
use source::{Surroundings, TorSource};

/// The pause before a task that has panicked is started again.
const PAUSE: Duration = Duration::from_secs(5);
/// The folder of all clients inside the data folder.
const FOLDER: &str = "tor";

/// The Tor sources of an instance.
pub(crate) struct TorSources {
    folder: PathBuf,
    around: Surroundings,
    wanted: watch::Sender<Vec<(String, TorCircuits)>>,
    running: RwLock<Vec<Arc<TorSource>>>,
}

/// The task of one source.
struct Task {
    source: Arc<TorSource>,
    stop: CancellationToken,
}

impl TorSources {
    /// The Tor sources of a configuration, whose clients begin with [`TorSources::run`].
    pub(crate) fn new(
        config: &Config,
        collector: Arc<Collector>,
        pool: Arc<Nodes>,
        clock: Clock,
        geo: Arc<GeoLookup>,
    ) -> Self {
        let around = Surroundings { settings: config.tor.clone(), collector, pool, clock, geo };
        let (wanted, _) = watch::channel(wanted(config));
        Self { folder: config.data.join(FOLDER), around, wanted, running: RwLock::default() }
    }

    /// Follows another configuration.
    pub(crate) fn apply(&self, config: &Config) {
        let wanted = wanted(config);
        self.wanted.send_if_modified(|known| {
            let differs = *known != wanted;
            *known = wanted;
            differs
        });
    }

    /// Gives the circuit of a node another login, so that it comes out elsewhere. Returns the node that takes its place, or `None` when
    /// the node is no circuit of a Tor client that can be used now.
    pub(crate) fn renew(&self, node: NodeId) -> Option<NodeId> {
        self.running.read().iter().find_map(|source| source.renew(node))
    }

    /// Keeps the clients running until the stop, and ends them.
    pub(crate) async fn run(&self, stop: &CancellationToken) {
        let (mut changes, mut ended) = (self.wanted.subscribe(), JoinSet::new());
        let mut tasks: HashMap<Id, Task> = HashMap::new();
        self.remove_strangers();
        loop {
            self.follow(&mut tasks, &mut ended);
            tokio::select! {
                () = stop.cancelled() => break,
                changed = changes.changed() => if changed.is_err() { break },
                Some(joined) = ended.join_next_with_id() => {
                    if joined.is_err() {
                        sleep(PAUSE).await;
                    }
                    self.forget(joined, &mut tasks);
                }
            }
        }
        tasks.values().for_each(|task| task.stop.cancel());
        while ended.join_next().await.is_some() {}
    }

    /// Starts the tasks that are missing, and ends those that are wanted no more. A source whose client is another one starts again
    /// when its old client has ended.
    fn follow(&self, tasks: &mut HashMap<Id, Task>, ended: &mut JoinSet<()>) {
        let wanted = self.wanted.borrow().clone();
        for task in tasks.values() {
            match wanted.iter().find(|(name, _)| *name == task.source.name) {
                Some((_, circuits)) if task.source.has_client(circuits) => task.source.set_count(circuits.count),
                _ => task.stop.cancel(),
            }
        }
        for (name, circuits) in &wanted {
            if tasks.values().any(|task| task.source.name == *name) {
                continue;
            }
            let folder = self.folder.join(folder_name(name));
            let source = Arc::new(TorSource::new(name, circuits, folder, self.around.clone()));
            let stop = CancellationToken::new();
            let (running, stopped) = (Arc::clone(&source), stop.clone());
            let task = ended.spawn(supervise::named("tor", async move { running.run(&stopped).await }));
            tasks.insert(task.id(), Task { source, stop });
        }
        *self.running.write() = tasks.values().map(|task| Arc::clone(&task.source)).collect();
    }

    /// A task has ended: after a panic it starts again, and the files of a source that is gone are removed.
    fn forget(&self, joined: Result<(Id, ()), JoinError>, tasks: &mut HashMap<Id, Task>) {
        let id = joined.as_ref().map_or_else(JoinError::id, |(id, ())| *id);
        let Some(task) = tasks.remove(&id) else { return };
        if !self.wanted.borrow().iter().any(|(name, _)| *name == task.source.name) {
            remove_folder(task.source.folder());
        }
    }

    /// Removes what sources have left that were taken away while no instance ran.
    fn remove_strangers(&self) {
        let known: Vec<String> = self.wanted.borrow().iter().map(|(name, _)| folder_name(name)).collect();
        let Ok(entries) = std::fs::read_dir(&self.folder) else { return };
        for entry in entries.flatten() {
            let is_known = entry.file_name().to_str().is_some_and(|name| known.iter().any(|known| known == name));
            if !is_known {
                remove_folder(&entry.path());
            }
        }
    }
}

/// The task of an instance that keeps its Tor clients running. It outlives the drain of the tunnels that go over them.
pub(crate) struct TorTask {
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl TorTask {
    pub(crate) fn start(sources: Arc<TorSources>) -> Self {
        let stop = CancellationToken::new();
        let stopped = stop.clone();
        let task = tokio::spawn(supervise::named("tor", async move { sources.run(&stopped).await }));
        Self { stop, task }
    }

    /// Ends the clients.
    pub(crate) async fn end(self) {
        self.stop.cancel();
        // A panic in it was logged by its hook; the clients end when this process does.
        let _ = self.task.await;
    }
}

/// The sources that are switched on and list circuits; none where another process reads the sources.
fn wanted(config: &Config) -> Vec<(String, TorCircuits)> {
    if !config.cluster.roles.has(Role::Fetch) {
        return Vec::new();
    }
    let sources = config.sources.iter().filter(|source| source.enabled);
    let circuits = sources.filter_map(|source| match &source.origin {
        SourceOrigin::Tor(circuits) => Some((source.name.clone(), circuits.clone())),
        _ => None,
    });
    circuits.collect()
}

/// The name of a source as that of a folder.
fn folder_name(source: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'_');
    if (1..=40).contains(&source.len()) && source.bytes().all(plain) {
        return source.to_owned();
    }
    let hash = blake3::hash(source.as_bytes()).to_hex();
    format!("x{}", hash.get(..40).unwrap_or_default())
}

fn remove_folder(folder: &Path) {
    match std::fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            tracing::warn!(folder = %folder.display(), %error, "the files of a Tor client cannot be removed");
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::folder_name;

    #[test]
    fn folders_have_harmless_names_of_their_own() {
        assert_eq!(folder_name("tor-1"), "tor-1");
        let strange: Vec<String> = ["", "..", "a/b", "Tor", "tör", &"x".repeat(41)].map(folder_name).into();
        assert!(strange.iter().all(|name| name.len() == 41 && name.starts_with('x')), "{strange:?}");
        assert!(strange.iter().enumerate().all(|(index, name)| !strange[..index].contains(name)));
    }
}
