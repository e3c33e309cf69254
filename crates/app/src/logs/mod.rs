//! Logging: to the terminal, and to daily files when the configuration asks for them.

mod recent;
mod rotation;

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
use rotation::LogFiles;

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
        let files = LogFiles::open(folder, config.keep, config.max_bytes.0)
            .with_context(|| format!("cannot write logs to the folder {} (log.folder)", folder.display()))?;
        let (files, guard) = tracing_appender::non_blocking(files);
        layers.push(format(tracing_subscriber::fmt::layer().with_ansi(false).with_writer(files), config));
        writer = Some(guard);
    }
    Ok(LogParts { filter: EnvFilter::try_new(&config.level.0)?, layers, writer })
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
