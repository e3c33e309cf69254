//! Logging: to the terminal, to daily files when the configuration asks for them, and the access log.

pub(crate) mod access;
mod recent;
mod rotation;

use std::path::Path;

use anyhow::Context;
use parking_lot::Mutex;
use tracing_appender::non_blocking::WorkerGuard;
use tracing_subscriber::{
    EnvFilter, Layer, Registry,
    fmt::{
        format::{DefaultFields, Format, Full},
        time::{ChronoLocal, FormatTime},
    },
    layer::SubscriberExt,
    reload,
    util::SubscriberInitExt,
};

use crate::config::{LogConfig, LogFormat, LogLevel};
pub(crate) use recent::{level_name, recent};
use rotation::{LogFiles, RotationPolicy};

/// Where the log can be changed. It keeps the background writer alive; what is still buffered is written when it is dropped.
#[must_use]
pub(crate) struct LogControl {
    filter: reload::Handle<EnvFilter, Registry>,
    layers: reload::Handle<Vec<BoxLayer>, Registry>,
    writer: Mutex<Option<WorkerGuard>>,
    /// False in a process that had a log before (tests): then that one stays.
    is_used: bool,
}

/// What a configuration makes of the log.
pub(crate) struct LogParts {
    filter: EnvFilter,
    layers: Vec<BoxLayer>,
    writer: Option<WorkerGuard>,
}

impl LogControl {
    /// Logs as a configuration says from now on.
    ///
    /// # Errors
    /// The log has ended.
    pub(crate) fn apply(&self, parts: LogParts) -> anyhow::Result<()> {
        if !self.is_used {
            return Ok(());
        }
        self.layers.reload(parts.layers)?;
        self.filter.reload(parts.filter)?;
        // The old writer ends after the last line that was meant for it.
        *self.writer.lock() = parts.writer;
        Ok(())
    }
}

/// Starts logging for a command that prints its own table: only errors, unless the configuration asks for more.
pub(crate) fn quiet(config: &LogConfig) -> anyhow::Result<LogControl> {
    let level = if config.level.0 == "info" { LogLevel("error".to_owned()) } else { config.level.clone() };
    start(&LogConfig { level, ..config.clone() })
}

/// The files together are at most as large as so many of them before they are compressed.
const FILES: u64 = 8;

type BoxLayer = Box<dyn Layer<Registry> + Send + Sync>;

/// Starts logging.
pub(crate) fn start(config: &LogConfig) -> anyhow::Result<LogControl> {
    let LogParts { filter, layers, writer } = parts(config)?;
    let (filter, filter_handle) = reload::Layer::new(filter);
    let (layers, layers_handle) = reload::Layer::new(layers);
    // A second start in one process (tests) keeps the first subscriber.
    let started = tracing_subscriber::registry().with(layers.with_filter(filter)).try_init();
    let (writer, is_used) = (Mutex::new(writer), started.is_ok());
    Ok(LogControl { filter: filter_handle, layers: layers_handle, writer, is_used })
}

/// Opens what a configuration logs to; nothing is logged there yet.
///
/// # Errors
/// The folder cannot be written.
pub(crate) fn parts(config: &LogConfig) -> anyhow::Result<LogParts> {
    let mut layers = vec![terminal(config), recent::RecentLayer.boxed()];
    let mut writer = None;
    if let Some(folder) = &config.folder {
        let files = LogFiles::open(rotation(config, folder))
            .with_context(|| format!("cannot write logs to the folder {} (log.folder)", folder.display()))?;
        let (files, guard) = tracing_appender::non_blocking(files);
        layers.push(format(tracing_subscriber::fmt::layer().with_ansi(false).with_writer(files), config));
        writer = Some(guard);
    }
    Ok(LogParts { filter: EnvFilter::try_new(&config.level.0)?, layers, writer })
}

/// How the files of the program's log are kept.
fn rotation(config: &LogConfig, folder: &Path) -> RotationPolicy {
    RotationPolicy {
        folder: folder.to_owned(),
        prefix: "hezar",
        days: config.keep,
        most: config.max_bytes.0,
        file_bytes: config.max_bytes.0 / FILES,
        compress: config.compress,
        rotate: true,
    }
}

/// Lets all log files be opened again at every SIGUSR1, for as long as it runs: an outside program may have moved them.
pub(crate) async fn follow_reopen_signals() {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        if let Ok(mut asked) = signal(SignalKind::user_defined1()) {
            while asked.recv().await.is_some() {
                rotation::reopen_all();
                tracing::info!("SIGUSR1: the log files are opened again");
            }
        }
    }
    std::future::pending::<()>().await;
}

/// RFC 3339 in the time of this machine's zone, to the millisecond.
const LOCAL_TIME: &str = "%Y-%m-%dT%H:%M:%S%.3f%:z";

/// A person reads the terminal and finds the times of the wall clock there. Programs read files and JSON, which keep to UTC.
fn terminal(config: &LogConfig) -> BoxLayer {
    let colour = std::io::IsTerminal::is_terminal(&std::io::stderr());
    let layer = tracing_subscriber::fmt::layer().with_ansi(colour).with_writer(std::io::stderr);
    if config.format == LogFormat::Json {
        format(layer, config)
    } else {
        format(layer.with_timer(local_time()), config)
    }
}

fn local_time() -> ChronoLocal {
    ChronoLocal::new(LOCAL_TIME.to_owned())
}

fn format<W, T>(
    layer: tracing_subscriber::fmt::Layer<Registry, DefaultFields, Format<Full, T>, W>,
    config: &LogConfig,
) -> BoxLayer
where
    W: for<'w> tracing_subscriber::fmt::MakeWriter<'w> + Send + Sync + 'static,
    T: FormatTime + Send + Sync + 'static,
{
    // A terminal that was closed cannot be written to, and saying so on that terminal would panic.
    let layer = layer.log_internal_errors(false);
    if config.format == LogFormat::Json { layer.json().flatten_event(true).boxed() } else { layer.boxed() }
}

#[cfg(test)]
mod tests {
    use tracing_subscriber::fmt::format::Writer;

    use super::*;

    #[test]
    fn a_log_that_is_in_use_takes_another_level_format_and_folder() {
        let folder = tempfile::tempdir().unwrap();
        let config = |level: &str, format, name: &str| LogConfig {
            level: LogLevel(level.to_owned()),
            format,
            folder: Some(folder.path().join(name)),
            ..LogConfig::default()
        };
        let first = parts(&config("info", LogFormat::Pretty, "first")).unwrap();
        let (filter, filter_handle) = reload::Layer::new(first.filter);
        let (layers, layers_handle) = reload::Layer::new(first.layers);
        let subscriber = tracing_subscriber::registry().with(layers.with_filter(filter));
        let writer = Mutex::new(first.writer);
        let control = LogControl { filter: filter_handle, layers: layers_handle, writer, is_used: true };
        tracing::subscriber::with_default(subscriber, || {
            tracing::info!("one");
            tracing::debug!("two");
            control.apply(parts(&config("debug", LogFormat::Json, "second")).unwrap()).unwrap();
            tracing::debug!("three");
        });
        assert!(parts(&config("info", LogFormat::Json, "\0")).is_err());
        drop(control);
        let text = |name: &str| -> String {
            let files = std::fs::read_dir(folder.path().join(name)).unwrap();
            files.map(|file| std::fs::read_to_string(file.unwrap().path()).unwrap()).collect()
        };
        let (first, second) = (text("first"), text("second"));
        assert!(first.contains("one") && !first.contains("two") && !first.contains("three"), "{first}");
        assert!(second.contains("\"message\":\"three\"") && !second.contains("two"), "{second}");
    }

    #[test]
    fn the_times_of_the_terminal_name_their_zone() {
        let mut text = String::new();
        local_time().format_time(&mut Writer::new(&mut text)).unwrap();
        let (time, zone) = text.split_at(23);
        assert!(time.as_bytes()[10] == b'T' && time.as_bytes()[19] == b'.', "{text}");
        assert!(zone.len() == 6 && zone.starts_with(['+', '-']) && zone.as_bytes()[3] == b':', "{text}");
    }
}
