//! Logging: to the terminal, and to daily files when asked.

use anyhow::Context;
use tracing_appender::non_blocking::WorkerGuard;
use tracing_subscriber::{EnvFilter, Layer, Registry, layer::SubscriberExt, util::SubscriberInitExt};

use crate::{config::LogConfig, log_files::LogFiles};

/// Keeps the background writer alive; what is still buffered is written when it is dropped.
#[must_use]
#[derive(Debug)]
pub(crate) struct LogGuard {
    _writer: Option<WorkerGuard>,
}

/// Starts logging for a command that prints its own table: only errors, unless the configuration asks for more.
pub(crate) fn quiet(config: &LogConfig) -> anyhow::Result<LogGuard> {
    let level = if config.level == "info" { "error".to_owned() } else { config.level.clone() };
    start(&LogConfig { level, ..config.clone() })
}

type BoxLayer = Box<dyn Layer<Registry> + Send + Sync>;

/// Starts logging.
pub(crate) fn start(config: &LogConfig) -> anyhow::Result<LogGuard> {
    let mut layers = vec![terminal(config)?];
    let mut writer = None;
    if let Some(folder) = &config.folder {
        let files = LogFiles::open(folder, config.keep, config.max_bytes)
            .with_context(|| format!("cannot write logs to the folder {} (log.folder)", folder.display()))?;
        let (files, guard) = tracing_appender::non_blocking(files);
        layers.push(format(tracing_subscriber::fmt::layer().with_ansi(false).with_writer(files), config)?);
        writer = Some(guard);
    }
    // A second start in one process (tests) keeps the first subscriber.
    let _ = tracing_subscriber::registry().with(layers).try_init();
    Ok(LogGuard { _writer: writer })
}

fn terminal(config: &LogConfig) -> anyhow::Result<BoxLayer> {
    let colour = std::io::IsTerminal::is_terminal(&std::io::stderr());
    format(tracing_subscriber::fmt::layer().with_ansi(colour).with_writer(std::io::stderr), config)
}

fn format<W>(
    layer: tracing_subscriber::fmt::Layer<
        Registry,
        tracing_subscriber::fmt::format::DefaultFields,
        tracing_subscriber::fmt::format::Format,
        W,
    >,
    config: &LogConfig,
) -> anyhow::Result<BoxLayer>
where
    W: for<'w> tracing_subscriber::fmt::MakeWriter<'w> + Send + Sync + 'static,
{
    let filter = EnvFilter::try_new(&config.level)?;
    // A terminal that was closed cannot be written to, and saying so on that terminal would panic.
    let layer = layer.log_internal_errors(false);
    Ok(if config.json {
        layer.json().flatten_event(true).with_filter(filter).boxed()
    } else {
        layer.with_filter(filter).boxed()
    })
}
