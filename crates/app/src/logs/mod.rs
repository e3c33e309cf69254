//! Logging: to the terminal, and to daily files when the configuration asks for them.

mod files;
mod recent;

use anyhow::Context;
use tracing_appender::non_blocking::WorkerGuard;
use tracing_subscriber::{
    EnvFilter, Layer, Registry,
    fmt::{
        format::{DefaultFields, Format, Full},
        time::{ChronoLocal, FormatTime},
    },
    layer::SubscriberExt,
    util::SubscriberInitExt,
};

use crate::config::{LogConfig, LogFormat, LogLevel};
use files::LogFiles;
pub(crate) use recent::{level_name, recent};

/// Keeps the background writer alive; what is still buffered is written when it is dropped.
#[must_use]
#[derive(Debug)]
pub(crate) struct LogGuard {
    _writer: Option<WorkerGuard>,
}

/// Starts logging for a command that prints its own table: only errors, unless the configuration asks for more.
pub(crate) fn quiet(config: &LogConfig) -> anyhow::Result<LogGuard> {
    let level = if config.level.0 == "info" { LogLevel("error".to_owned()) } else { config.level.clone() };
    start(&LogConfig { level, ..config.clone() })
}

type BoxLayer = Box<dyn Layer<Registry> + Send + Sync>;

/// Starts logging.
pub(crate) fn start(config: &LogConfig) -> anyhow::Result<LogGuard> {
    let kept = recent::RecentLayer.with_filter(EnvFilter::try_new(&config.level.0)?).boxed();
    let mut layers = vec![terminal(config)?, kept];
    let mut writer = None;
    if let Some(folder) = &config.folder {
        let files = LogFiles::open(folder, config.keep, config.max_bytes.0)
            .with_context(|| format!("cannot write logs to the folder {} (log.folder)", folder.display()))?;
        let (files, guard) = tracing_appender::non_blocking(files);
        layers.push(format(tracing_subscriber::fmt::layer().with_ansi(false).with_writer(files), config)?);
        writer = Some(guard);
    }
    // A second start in one process (tests) keeps the first subscriber.
    let _ = tracing_subscriber::registry().with(layers).try_init();
    Ok(LogGuard { _writer: writer })
}

/// RFC 3339 in the time of this machine's zone, to the millisecond.
const LOCAL_TIME: &str = "%Y-%m-%dT%H:%M:%S%.3f%:z";

/// A person reads the terminal and finds the times of the wall clock there. Programs read files and JSON, which keep to UTC.
fn terminal(config: &LogConfig) -> anyhow::Result<BoxLayer> {
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
) -> anyhow::Result<BoxLayer>
where
    W: for<'w> tracing_subscriber::fmt::MakeWriter<'w> + Send + Sync + 'static,
    T: FormatTime + Send + Sync + 'static,
{
    let filter = EnvFilter::try_new(&config.level.0)?;
    // A terminal that was closed cannot be written to, and saying so on that terminal would panic.
    let layer = layer.log_internal_errors(false);
    Ok(if config.format == LogFormat::Json {
        layer.json().flatten_event(true).with_filter(filter).boxed()
    } else {
        layer.with_filter(filter).boxed()
    })
}

#[cfg(test)]
mod tests {
    use tracing_subscriber::fmt::format::Writer;

    use super::*;

    #[test]
    fn the_times_of_the_terminal_name_their_zone() {
        let mut text = String::new();
        local_time().format_time(&mut Writer::new(&mut text)).unwrap();
        let (time, zone) = text.split_at(23);
        assert!(time.as_bytes()[10] == b'T' && time.as_bytes()[19] == b'.', "{text}");
        assert!(zone.len() == 6 && zone.starts_with(['+', '-']) && zone.as_bytes()[3] == b':', "{text}");
    }
}
