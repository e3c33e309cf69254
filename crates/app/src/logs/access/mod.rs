//! The access log: a line for every request, written by a thread of its own, so that no request ever waits for a disk.

mod format;
mod metrics;
#[cfg(test)]
mod tests;
mod writer;

use std::{
    sync::{
        Arc,
        mpsc::{RecvTimeoutError, SyncSender},
    },
    time::Duration,
};

use anyhow::Context;
use hezar_gateway::{AccessLog, AccessRecord, AccessSink};
use parking_lot::Mutex;
use prometheus_client::registry::Registry;

use super::rotation::{LogFiles, RotationPolicy};
use crate::config::AccessLogConfig;
use metrics::AccessLogMetrics;
use writer::WriterThread;

/// How long the end of the program waits for the last lines.
const LONGEST_CLOSE: Duration = Duration::from_secs(5);

/// Where the access log can be changed while the gateway serves.
#[derive(Debug)]
pub(crate) struct AccessLogControl {
    log: Arc<AccessLog>,
    thread: Mutex<Option<WriterThread>>,
    metrics: Arc<AccessLogMetrics>,
}

/// What takes the records on the tasks of requests.
#[derive(Debug)]
struct Queue {
    records: SyncSender<AccessRecord>,
    metrics: Arc<AccessLogMetrics>,
}

impl AccessSink for Queue {
    fn record(&self, record: AccessRecord) {
        if self.records.try_send(record).is_err() {
            self.metrics.note_dropped(1, "more requests end than the disk takes lines");
        }
    }
}

impl AccessLogControl {
    /// Controls the access log of a gateway, which begins with none.
    pub(crate) fn new(log: Arc<AccessLog>) -> Self {
        Self { log, thread: Mutex::default(), metrics: Arc::default() }
    }

    /// Opens what a configuration wants, and writes nothing there yet.
    ///
    /// # Errors
    /// The folder cannot be written.
    pub(crate) fn open(&self, config: &AccessLogConfig) -> anyhow::Result<Option<WriterThread>> {
        let Some(folder) = &config.folder else { return Ok(None) };
        let policy = RotationPolicy {
            folder: folder.clone(),
            prefix: "access",
            days: config.keep,
            most: config.max_bytes.0,
            file_bytes: config.file_bytes.0.min(config.max_bytes.0 / 4),
            compress: config.compress,
            rotate: config.rotate,
        };
        let context = || format!("cannot write the access log to the folder {} (access_log.folder)", folder.display());
        let files = LogFiles::open(policy).with_context(context)?;
        Ok(Some(WriterThread::start(files, config.format, Arc::clone(&self.metrics))?))
    }

    /// Requests are recorded there from now on. The thread before writes what it still has.
    pub(crate) fn replace(&self, thread: Option<WriterThread>) {
        let sink = thread.as_ref().map(|thread| {
            let queue = Queue { records: thread.records(), metrics: Arc::clone(&self.metrics) };
            Arc::new(queue) as Arc<dyn AccessSink>
        });
        self.log.set_sink(sink);
        *self.thread.lock() = thread;
    }

    /// Records nothing more, and waits a moment until everything is written. It blocks.
    pub(crate) fn close(&self) {
        self.log.set_sink(None);
        let Some(ended) = self.thread.lock().take().map(WriterThread::into_end) else { return };
        if ended.recv_timeout(LONGEST_CLOSE) == Err(RecvTimeoutError::Timeout) {
            tracing::warn!("the disk does not take the last lines of the access log: they are lost");
        }
    }

    /// Tells how it goes.
    pub(crate) fn register(&self, registry: &mut Registry) {
        self.metrics.register(registry);
    }
}
