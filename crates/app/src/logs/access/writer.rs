//! The thread that makes lines of records and writes them, a batch at a time.

use std::{
    io::{self, Write},
    sync::{
        Arc,
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    thread::{self, sleep},
    time::Duration,
};

use hezar_core::Timestamp;
use hezar_gateway::AccessRecord;

use super::{format, metrics::AccessLogMetrics};
use crate::{config::AccessLogFormat, output};

/// Records that wait at most, some 10 MiB of them; what comes beyond is counted and dropped.
pub(super) const MOST_WAITING: usize = 16_384;
/// The bytes after which a batch is written.
const BATCH: usize = 256 << 10;
/// How long the next batch gathers after one that was not full: few writes cost less of a processor than many.
const GATHER: Duration = Duration::from_millis(100);

/// A thread that writes until its last sender is dropped.
#[derive(Debug)]
pub(crate) struct WriterThread {
    records: SyncSender<AccessRecord>,
    /// Disconnected when the thread has ended.
    ended: Receiver<()>,
}

impl WriterThread {
    /// Starts it.
    ///
    /// # Errors
    /// The system gives no thread.
    pub(super) fn start(
        output: impl Write + Send + 'static,
        format: AccessLogFormat,
        metrics: Arc<AccessLogMetrics>,
    ) -> io::Result<Self> {
        let (records, received) = sync_channel(MOST_WAITING);
        let (running, ended) = sync_channel::<()>(0);
        let mut writer = LineWriter { output, format, told: metrics.dropped(), metrics, is_torn: false };
        thread::Builder::new().name("access log".to_owned()).spawn(move || {
            // Dropped when the thread ends, however it does.
            let _running = running;
            writer.run(&received);
        })?;
        Ok(Self { records, ended })
    }

    /// Where records are handed over.
    pub(super) fn records(&self) -> SyncSender<AccessRecord> {
        self.records.clone()
    }

    /// Hands nothing over any more; what comes back is disconnected when the thread has ended.
    pub(super) fn into_end(self) -> Receiver<()> {
        self.ended
    }
}

struct LineWriter<W> {
    output: W,
    format: AccessLogFormat,
    metrics: Arc<AccessLogMetrics>,
    /// Dropped lines that the access log itself has told of.
    told: u64,
    /// Whether the last line may have been written in part.
    is_torn: bool,
}

impl<W: Write> LineWriter<W> {
    fn run(&mut self, records: &Receiver<AccessRecord>) {
        let mut lines = Vec::with_capacity(BATCH);
        while let Ok(first) = records.recv() {
            let count = self.gather(first, records, &mut lines);
            let is_full = lines.len() >= BATCH;
            self.write(&mut lines, count);
            if !is_full {
                sleep(GATHER);
            }
        }
    }

    /// Makes lines of what is there; returns how many records they stand for.
    fn gather(&mut self, first: AccessRecord, records: &Receiver<AccessRecord>, lines: &mut Vec<u8>) -> u64 {
        if std::mem::take(&mut self.is_torn) {
            lines.push(b'\n');
        }
        let dropped = self.metrics.dropped();
        let missing = dropped.saturating_sub(std::mem::replace(&mut self.told, dropped));
        if missing > 0 {
            format::write_dropped(self.format, Timestamp(output::now_ms()), missing, lines);
        }
        let mut count = 0;
        for record in std::iter::once(first).chain(records.try_iter()) {
            format::write_line(self.format, &record, lines);
            count += 1;
            if lines.len() >= BATCH {
                break;
            }
        }
        count
    }

    fn write(&mut self, lines: &mut Vec<u8>, count: u64) {
        match self.output.write_all(lines).and_then(|()| self.output.flush()) {
            Ok(()) => self.metrics.note_written(count, lines.len() as u64),
            Err(error) => {
                self.is_torn = true;
                self.metrics.note_dropped(count, error);
            }
        }
        lines.clear();
    }
}
