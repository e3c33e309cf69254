//! Supervision of background tasks by name: a panic is logged and counted, and the task is started again or the program ends.

use std::{
    any::Any,
    collections::VecDeque,
    panic::{self, AssertUnwindSafe, PanicHookInfo},
    time::Duration,
};

use anyhow::{Context, anyhow, bail};
use futures_util::FutureExt;
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family},
    registry::Registry,
};
use tokio::{
    task::JoinSet,
    time::{Instant, sleep},
};
use tokio_util::sync::CancellationToken;

/// The pause before a task is started again; it doubles with each further failure.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
/// The longest of these pauses.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// Failures within [`WINDOW`] after which a task is given up, and the program with it.
const MOST_FAILURES: usize = 6;
const WINDOW: Duration = Duration::from_secs(600);
/// The name of what no supervised task has begun, such as the connection of a client.
const UNNAMED: &str = "other";

tokio::task_local! {
    /// The supervised task that runs on this thread now.
    static NAME: &'static str;
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct TaskLabel {
    task: &'static str,
}

/// How often tasks have panicked and were started again. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(crate) struct TaskMetrics {
    panics: Family<TaskLabel, Counter>,
    restarts: Family<TaskLabel, Counter>,
}

impl TaskMetrics {
    pub(crate) fn register(&self, registry: &mut Registry) {
        registry.register("hezar_task_panics", "Panics of tasks, by the name of the task", self.panics.clone());
        registry.register("hezar_task_restarts", "Background tasks that were started again", self.restarts.clone());
    }

    /// Logs and counts every panic of the process from now on, also those of tasks that nobody waits for.
    pub(crate) fn watch_panics(&self) {
        let panics = self.panics.clone();
        let previous = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            let task = NAME.try_with(|name| *name).unwrap_or(UNNAMED);
            panics.get_or_create(&TaskLabel { task }).inc();
            log(task, info);
            if std::env::var_os("RUST_BACKTRACE").is_some() {
                previous(info);
            }
        }));
    }

    fn restarted(&self, task: &'static str) {
        self.restarts.get_or_create(&TaskLabel { task }).inc();
    }
}

fn log(task: &str, info: &PanicHookInfo<'_>) {
    let place = info.location().map(ToString::to_string).unwrap_or_default();
    tracing::error!(task, place, "a task panicked, which is a bug: {}", message(info.payload()));
}

/// What a panic said.
fn message(payload: &(dyn Any + Send)) -> &str {
    let text = payload.downcast_ref::<&str>().copied();
    text.or_else(|| payload.downcast_ref::<String>().map(String::as_str)).unwrap_or("(no message)")
}

/// Runs a future under a name, by which its panics are logged.
pub(crate) async fn named<T>(name: &'static str, task: impl Future<Output = T>) -> T {
    NAME.scope(name, task).await
}

/// Runs a future under a name; a panic in it becomes an error.
async fn guarded(name: &'static str, task: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<()> {
    let ended = named(name, AssertUnwindSafe(task).catch_unwind()).await;
    ended.unwrap_or_else(|payload| Err(anyhow!("it panicked: {}", message(&*payload))))
}

/// The background tasks of an instance.
#[derive(Debug)]
pub(crate) struct Supervisor {
    tasks: JoinSet<anyhow::Result<()>>,
    stop: CancellationToken,
    metrics: TaskMetrics,
}

impl Supervisor {
    /// A supervisor whose tasks end when `stop` is cancelled; it cancels `stop` itself when a task is given up.
    pub(crate) fn new(stop: CancellationToken, metrics: TaskMetrics) -> Self {
        Self { tasks: JoinSet::new(), stop, metrics }
    }

    /// Cancelled when the tasks are to end.
    pub(crate) const fn stop(&self) -> &CancellationToken {
        &self.stop
    }

    /// Runs what `start` makes. When it fails, panics or ends before the stop, `start` makes it anew.
    pub(crate) fn restarting<T>(&mut self, name: &'static str, start: impl Fn() -> T + Send + Sync + 'static)
    where
        T: Future<Output = anyhow::Result<()>> + Send,
    {
        let (stop, metrics) = (self.stop.clone(), self.metrics.clone());
        // Of a counter that begins at zero Prometheus sees the first step, too.
        drop(metrics.restarts.get_or_create(&TaskLabel { task: name }));
        self.tasks.spawn(async move { keep_running(name, start, &stop, &metrics).await });
    }

    /// Runs a task that cannot be started anew: when it fails, panics or ends before the stop, the program ends.
    pub(crate) fn essential(
        &mut self,
        name: &'static str,
        task: impl Future<Output = anyhow::Result<()>> + Send + 'static,
    ) {
        let stop = self.stop.clone();
        self.tasks.spawn(async move {
            guarded(name, task).await.with_context(|| format!("the task {name:?} failed"))?;
            if stop.is_cancelled() { Ok(()) } else { Err(anyhow!("the task {name:?} ended by itself")) }
        });
    }

    /// Waits until all tasks have ended. The first failure asks the others to end.
    ///
    /// # Errors
    /// The first failure.
    pub(crate) async fn finished(mut self) -> anyhow::Result<()> {
        let mut result = Ok(());
        while let Some(joined) = self.tasks.join_next().await {
            let ended = joined.unwrap_or_else(|error| Err(anyhow!(error)));
            if let Err(error) = &ended {
                tracing::error!("the program ends: {error:#}");
                self.stop.cancel();
            }
            result = result.and(ended);
        }
        result
    }
}

async fn keep_running<T>(
    name: &'static str,
    start: impl Fn() -> T,
    stop: &CancellationToken,
    metrics: &TaskMetrics,
) -> anyhow::Result<()>
where
    T: Future<Output = anyhow::Result<()>>,
{
    let mut failures: VecDeque<Instant> = VecDeque::new();
    let mut pause = FIRST_PAUSE;
    loop {
        // The future is made inside: making it may panic too.
        let ended = guarded(name, async { start().await }).await;
        if stop.is_cancelled() {
            return ended.with_context(|| format!("the task {name:?} failed"));
        }
        let reason = ended.err().map_or_else(|| "it ended by itself".to_owned(), |error| format!("{error:#}"));
        let now = Instant::now();
        failures.retain(|at| now.duration_since(*at) < WINDOW);
        if failures.is_empty() {
            pause = FIRST_PAUSE;
        }
        failures.push_back(now);
        if failures.len() >= MOST_FAILURES {
            bail!(
                "the task {name:?} failed {MOST_FAILURES} times in {} min, the last time: {reason}",
                WINDOW.as_secs() / 60
            );
        }
        tracing::error!(task = name, failures = failures.len(), pause = ?pause, "a task is started again: {reason}");
        metrics.restarted(name);
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            () = sleep(pause) => {}
        }
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    };

    use super::*;

    fn supervisor() -> (Supervisor, CancellationToken, TaskMetrics) {
        let (stop, metrics) = (CancellationToken::new(), TaskMetrics::default());
        (Supervisor::new(stop.clone(), metrics.clone()), stop, metrics)
    }

    fn count(family: &Family<TaskLabel, Counter>, task: &'static str) -> u64 {
        family.get_or_create(&TaskLabel { task }).get()
    }

    #[tokio::test(start_paused = true)]
    async fn a_task_that_panics_is_logged_counted_and_started_again() {
        let (mut supervisor, stop, metrics) = supervisor();
        metrics.watch_panics();
        let runs = Arc::new(AtomicUsize::new(0));
        let (counted, ended) = (Arc::clone(&runs), stop.clone());
        supervisor.restarting("prober", move || {
            let (run, stop) = (counted.fetch_add(1, Ordering::Relaxed), ended.clone());
            async move {
                match run {
                    0 => panic!("on purpose"),
                    1 => Ok(()),
                    2 => Err(anyhow!("on purpose")),
                    _ => {
                        stop.cancel();
                        stop.cancelled().await;
                        Ok(())
                    }
                }
            }
        });
        supervisor.finished().await.unwrap();
        assert_eq!(runs.load(Ordering::Relaxed), 4);
        assert_eq!((count(&metrics.panics, "prober"), count(&metrics.restarts, "prober")), (1, 3));
        // A panic that no supervised task has made is counted too.
        assert!(tokio::spawn(async { panic!("on purpose") }).await.is_err());
        assert!(count(&metrics.panics, UNNAMED) >= 1);
        // The other tests of this process print their panics as usual.
        drop(panic::take_hook());
    }

    #[tokio::test(start_paused = true)]
    async fn a_task_that_panics_again_and_again_ends_the_program() {
        let (mut supervisor, stop, metrics) = supervisor();
        supervisor.restarting("api", || async { panic!("on purpose") });
        let waiting = stop.clone();
        supervisor.essential("gateway", async move {
            waiting.cancelled().await;
            Ok(())
        });
        let error = supervisor.finished().await.unwrap_err().to_string();
        assert!(error.contains("api") && error.contains("on purpose"), "{error}");
        assert!(stop.is_cancelled());
        assert_eq!(count(&metrics.restarts, "api"), MOST_FAILURES as u64 - 1);
    }

    #[tokio::test(start_paused = true)]
    async fn rare_failures_are_forgiven() {
        let (mut supervisor, stop, _) = supervisor();
        let runs = Arc::new(AtomicUsize::new(0));
        let (counted, ended) = (Arc::clone(&runs), stop.clone());
        supervisor.restarting("geo", move || {
            if counted.fetch_add(1, Ordering::Relaxed) == 3 * MOST_FAILURES {
                ended.cancel();
            }
            async {
                sleep(WINDOW / 2).await;
                panic!("on purpose")
            }
        });
        // The last one panics after the stop, which is told.
        assert!(supervisor.finished().await.is_err());
        assert_eq!(runs.load(Ordering::Relaxed), 3 * MOST_FAILURES + 1);
    }

    #[tokio::test(start_paused = true)]
    async fn an_essential_task_that_panics_fails_or_ends_ends_the_program() {
        for (number, part) in [(0, "on purpose"), (1, "no more"), (2, "ended by itself")] {
            let (mut supervisor, stop, _) = supervisor();
            supervisor.essential("persist", async move {
                match number {
                    0 => panic!("on purpose"),
                    1 => Err(anyhow!("no more")),
                    _ => Ok(()),
                }
            });
            let error = format!("{:#}", supervisor.finished().await.unwrap_err());
            assert!(error.contains("persist") && error.contains(part), "{error}");
            assert!(stop.is_cancelled());
        }
    }
}
