//! The configuration is read again: at a signal, when somebody asks for it, and when its file has changed.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use hezar_api::ConfigStatusDto;
use hezar_core::Timestamp;
use hezar_store::{AuditRow, ControlChange};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::{Runtime, difference::Difference};
use crate::{
    config::{ObjectKey, Problem, Problems},
    service_manager::Reloading,
};

/// How long a file must have stayed the same before it is read: an editor may be writing it, and half a file may be a good one.
const SETTLED: Duration = Duration::from_millis(100);
/// How often that is waited for.
const MOST_LOOKS: u32 = 20;
/// How often it is looked whether the file has changed.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// How the last reading of the configuration went.
#[derive(Clone, Debug)]
pub(crate) struct ReloadStatus {
    file: Option<PathBuf>,
    /// When a configuration was applied last.
    applied: Timestamp,
    /// Why the last reading changed nothing.
    problems: Vec<String>,
    /// What differs and needs a restart.
    restart: Vec<String>,
}

impl ReloadStatus {
    pub(super) fn new(file: Option<&Path>, applied: Timestamp) -> Self {
        Self { file: file.map(Path::to_owned), applied, problems: Vec::new(), restart: Vec::new() }
    }
}

impl Runtime {
    /// Reads the configuration again and applies what differs.
    ///
    /// # Errors
    /// Every mistake of the configuration, or an address that cannot be bound: then nothing has changed.
    pub(crate) async fn reload(&self) -> anyhow::Result<Difference> {
        let _reloading = Reloading::begin();
        if let Some(file) = self.reader.file() {
            settled(file).await;
        }
        let outcome = self.read_and_apply().await;
        self.note(&outcome);
        if let Ok(difference) = &outcome
            && !difference.changed.is_empty()
        {
            self.record_reload(difference).await;
        }
        outcome
    }

    async fn read_and_apply(&self) -> anyhow::Result<Difference> {
        let _alone = self.changing.lock().await;
        // The file is read on this thread: it is small.
        let text = self.reader.text()?;
        let applied = self.applied();
        // Objects that could not be used until now may stay as they are; others must go together with the file.
        let left_out: BTreeSet<&ObjectKey> =
            applied.config.left_out.iter().filter_map(|problem| problem.object.as_ref()).collect();
        let config = self.reader.parse(&text, &applied.objects, &|key| left_out.contains(key))?;
        let difference = self.apply(&applied.config, &config).await?;
        self.set_applied(&applied.config, config, applied.objects.clone());
        Ok(difference)
    }

    fn note(&self, outcome: &anyhow::Result<Difference>) {
        let mut status = self.reloaded.write();
        match outcome {
            Ok(difference) => {
                status.applied = self.parts.clock.wall();
                status.problems.clear();
                status.restart.clone_from(&difference.restart);
            }
            Err(error) => status.problems = told(error),
        }
    }

    /// Notes a reload in the record of changes; the file itself is the truth, so that a store that fails changes nothing.
    async fn record_reload(&self, difference: &Difference) {
        let file = self.reader.file().map(|file| file.display().to_string()).unwrap_or_default();
        let row = AuditRow {
            id: 0,
            at: self.parts.clock.wall(),
            who: file.clone().into(),
            via: "file".into(),
            action: "reload".into(),
            kind: "configuration".into(),
            name: file.into(),
            old: None,
            new: serde_json::to_string(&difference.changed).ok().map(Into::into),
        };
        if let Err(error) = self.parts.store.write_control(&[ControlChange::Audit(row)]).await {
            tracing::warn!(%error, "the reload could not be noted in the record of changes");
        }
    }

    /// How the last reading of the configuration went, and which objects are not in force.
    pub(crate) fn status(&self) -> ConfigStatusDto {
        let ReloadStatus { file, applied, problems, restart } = self.reloaded.read().clone();
        ConfigStatusDto {
            file: file.map(|file| file.display().to_string()),
            applied: applied.0,
            problems,
            restart,
            left_out: self.applied().config.left_out.iter().map(Problem::to_string).collect(),
        }
    }

    /// Reads the configuration again at every SIGHUP until `stop`; a reading that has begun comes to its end.
    pub(crate) async fn follow_hangups(&self, stop: &CancellationToken) {
        #[cfg(unix)]
        {
            use tokio::signal::unix::{SignalKind, signal};
            if let Ok(mut hangup) = signal(SignalKind::hangup()) {
                while let Some(Some(())) = stop.run_until_cancelled(hangup.recv()).await {
                    tracing::info!("SIGHUP: the configuration is read again");
                    log(&self.reload().await);
                }
            }
        }
        stop.cancelled().await;
    }

    /// Reads the configuration again whenever its file has changed, until `stop`; a reading that has begun comes to its end. The file is looked at by its path, so
    /// that one that is put in its place, or a link that leads elsewhere (Kubernetes), counts as a change too.
    pub(crate) async fn follow_file(&self, stop: &CancellationToken) {
        let Some(file) = self.reader.watched_file() else { return stop.cancelled().await };
        let mut seen = Fingerprint::read(file);
        while stop.run_until_cancelled(sleep(LOOK_EVERY)).await.is_some() {
            let now = Fingerprint::read(file);
            // A file that is gone says nothing: it may be on its way back.
            if now.is_none() || now == seen {
                continue;
            }
            seen = now;
            // What `hezar reload` has applied meanwhile is not applied again.
            let text = self.reader.text().unwrap_or_default();
            if text == self.applied().config.text.expose() {
                continue;
            }
            tracing::info!(file = %file.display(), "the configuration file has changed: it is read again");
            log(&self.reload().await);
        }
    }
}

/// What tells whether a file has changed.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Fingerprint {
    place: PathBuf,
    length: u64,
    modified: Option<SystemTime>,
}

impl Fingerprint {
    /// Follows links; `None` when there is no file.
    fn read(file: &Path) -> Option<Self> {
        let place = std::fs::canonicalize(file).ok()?;
        let metadata = std::fs::metadata(&place).ok()?;
        Some(Self { place, length: metadata.len(), modified: metadata.modified().ok() })
    }
}

/// Waits until nobody writes to a file any more, or for 2 s.
async fn settled(file: &Path) {
    let mut last = Fingerprint::read(file);
    for _ in 0..MOST_LOOKS {
        sleep(SETTLED).await;
        let now = Fingerprint::read(file);
        if now == last {
            return;
        }
        last = now;
    }
}

/// Every problem on its own.
fn told(error: &anyhow::Error) -> Vec<String> {
    match error.downcast_ref::<Problems>() {
        Some(problems) => problems.0.iter().map(Problem::to_string).collect(),
        None => vec![format!("{error:#}")],
    }
}

fn log(result: &anyhow::Result<Difference>) {
    match result {
        Ok(Difference { changed, restart, .. }) if changed.is_empty() && restart.is_empty() => {
            tracing::info!("the configuration was read again: nothing differs");
        }
        Ok(Difference { changed, restart, .. }) => {
            tracing::info!(changed = changed.join(", "), "the configuration was read again and applied");
            if !restart.is_empty() {
                tracing::warn!(keys = restart.join(", "), "these keys need a restart");
            }
        }
        Err(error) => tracing::error!("the configuration was read again and nothing was changed: {error:#}"),
    }
}
