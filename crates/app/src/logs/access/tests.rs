//! The access log over slow, full and stopped disks, and its bounds.

use std::{
    io::{self, Write},
    net::{IpAddr, Ipv4Addr},
    path::Path,
    sync::mpsc::{Receiver, Sender, channel},
    time::Instant,
};

use hezar_core::{NodeId, Target, Timestamp};

use super::{writer::MOST_WAITING, *};
use crate::config::AccessLogFormat;

/// How long anything may take before a test gives up.
const PATIENCE: Duration = Duration::from_secs(60);

/// A request that has ended.
pub(in crate::logs) fn record() -> AccessRecord {
    let ms = |number: f64| Some(Duration::from_secs_f64(number / 1000.0));
    AccessRecord {
        at: Timestamp(1_796_043_600_123),
        listener: "proxy".into(),
        inbound: "http",
        method: Some(hyper::Method::GET),
        client: Some(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7))),
        user: Some("ann \"x\"\n".into()),
        session: None,
        target: Some(Target::parse("example.org:80").unwrap()),
        node: Some(NodeId::from_bytes(1_u128.to_be_bytes())),
        exit: Some(IpAddr::V4(Ipv4Addr::new(203, 0, 113, 9))),
        country: Some(*b"DE"),
        attempts: 2,
        code: "ok",
        status: Some(404),
        up: 120,
        down: 4096,
        connect: ms(12.5),
        first_byte: ms(20.25),
        total: ms(31.0).unwrap(),
    }
}

/// Ends a request, as the gateway does.
fn hand_over(log: &AccessLog, record: AccessRecord) {
    if let Some(sink) = log.sink() {
        sink.record(record);
    }
}

fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < end, "not within {PATIENCE:?}: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A disk that takes a write only when it is allowed to.
struct StoppedDisk {
    permits: Receiver<io::Result<()>>,
    written: Sender<Vec<u8>>,
}

impl Write for StoppedDisk {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.permits.recv().unwrap_or(Ok(()))?;
        let _ = self.written.send(bytes.to_vec());
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

struct Stopped {
    control: AccessLogControl,
    log: Arc<AccessLog>,
    permits: Sender<io::Result<()>>,
    written: Receiver<Vec<u8>>,
}

impl Stopped {
    fn new() -> Self {
        let ((permits, allowed), (sender, written)) = (channel(), channel());
        let log = Arc::new(AccessLog::default());
        let control = AccessLogControl::new(Arc::clone(&log));
        let disk = StoppedDisk { permits: allowed, written: sender };
        let thread = WriterThread::start(disk, AccessLogFormat::Json, Arc::clone(&control.metrics)).unwrap();
        control.replace(Some(thread));
        Self { control, log, permits, written }
    }

    fn record(&self, number: usize) {
        for _ in 0..number {
            hand_over(&self.log, record());
        }
    }
}

#[test]
fn a_disk_that_stands_still_blocks_no_request_and_what_is_lost_is_counted_and_said() {
    let stopped = Stopped::new();
    let begun = Instant::now();
    stopped.record(MOST_WAITING + 5000);
    assert!(begun.elapsed() < PATIENCE / 2, "handing a record over never waits for the disk");
    let dropped = stopped.control.metrics.dropped();
    assert!((1..=5000).contains(&dropped), "{dropped}");
    // The disk works again: everything that waited is written, and the log says how much is missing.
    drop(stopped.permits);
    let waited = (MOST_WAITING + 5000) as u64 - dropped;
    eventually("the lines that waited", || stopped.control.metrics.lines() == waited);
    hand_over(&stopped.log, record());
    eventually("one more line", || stopped.control.metrics.lines() == waited + 1);
    let text: Vec<u8> = stopped.written.try_iter().flatten().collect();
    let text = String::from_utf8(text).unwrap();
    let told: u64 = text
        .lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["dropped"].as_u64())
        .sum();
    assert_eq!(told, dropped);
}

#[test]
fn a_full_disk_loses_its_batch_alone_and_no_line_is_glued_to_a_torn_one() {
    let stopped = Stopped::new();
    stopped.permits.send(Err(io::ErrorKind::StorageFull.into())).unwrap();
    stopped.record(1);
    eventually("the failed line", || stopped.control.metrics.dropped() == 1);
    drop(stopped.permits);
    hand_over(&stopped.log, record());
    eventually("the next line", || stopped.control.metrics.lines() == 1);
    let text = String::from_utf8(stopped.written.try_iter().flatten().collect()).unwrap();
    assert!(text.starts_with("\n{") && text.ends_with("}\n"), "{text}");
}

#[test]
fn what_was_recorded_before_the_end_is_written_and_a_dead_disk_does_not_hold_the_end_up() {
    let stopped = Stopped::new();
    stopped.record(3);
    drop(stopped.permits);
    stopped.control.close();
    assert_eq!(stopped.control.metrics.lines(), 3);
    hand_over(&stopped.log, record());
    assert_eq!(stopped.control.metrics.dropped(), 0, "nothing is recorded after the end");
    let dead = Stopped::new();
    dead.record(3);
    dead.control.close();
    assert_eq!(dead.control.metrics.lines(), 0);
}

fn total(folder: &Path) -> u64 {
    std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().metadata().map_or(0, |about| about.len())).sum()
}

#[test]
fn the_files_stay_within_their_bound_and_another_configuration_takes_over() {
    let folder = tempfile::tempdir().unwrap();
    let log = Arc::new(AccessLog::default());
    let control = AccessLogControl::new(Arc::clone(&log));
    let config = |name: &str, format| AccessLogConfig {
        folder: Some(folder.path().join(name)),
        format,
        max_bytes: hezar_core::settings::ByteCount(1 << 20),
        ..AccessLogConfig::default()
    };
    control.replace(control.open(&config("first", AccessLogFormat::Json)).unwrap());
    for round in 1..=20 {
        for _ in 0..1000 {
            hand_over(&log, AccessRecord { user: Some("x".repeat(500).into()), ..record() });
        }
        eventually("a round", || control.metrics.lines() == round * 1000);
        let size = total(&folder.path().join("first"));
        assert!(size <= 1 << 20, "{size}");
    }
    control.replace(control.open(&config("second", AccessLogFormat::Combined)).unwrap());
    hand_over(&log, record());
    control.close();
    let file = std::fs::read_dir(folder.path().join("second")).unwrap().next().unwrap().unwrap().path();
    assert!(file.file_name().unwrap().to_str().unwrap().starts_with("access."));
    assert!(std::fs::read_to_string(file).unwrap().starts_with("192.0.2.7 - ann"));
    let refused = control.open(&config("\0", AccessLogFormat::Json)).unwrap_err();
    assert!(refused.to_string().contains("access_log.folder"), "{refused}");
    assert!(control.open(&AccessLogConfig::default()).unwrap().is_none());
}

/// 2.4 KB a line, 500 of them a second: 100 GiB a day. Prints how many lines a second the thread can take.
#[test]
fn long_lines_are_written_faster_than_they_come() {
    let folder = tempfile::tempdir().unwrap();
    let log = Arc::new(AccessLog::default());
    let control = AccessLogControl::new(Arc::clone(&log));
    let config = AccessLogConfig {
        folder: Some(folder.path().to_owned()),
        max_bytes: hezar_core::settings::ByteCount(8 << 20),
        ..AccessLogConfig::default()
    };
    control.replace(control.open(&config).unwrap());
    let long = AccessRecord { user: Some("x".repeat(2060).into()), ..record() };
    let (begun, mut handed) = (Instant::now(), 0);
    while handed < 20_000 {
        // As many as fit into the queue: this is about what the thread can do, not about what it must drop.
        if handed - control.metrics.lines() < MOST_WAITING as u64 / 2 {
            hand_over(&log, long.clone());
            handed += 1;
        } else {
            std::thread::yield_now();
        }
    }
    eventually("all lines", || control.metrics.lines() == handed);
    let rate = handed as f64 / begun.elapsed().as_secs_f64();
    println!("{handed} lines of 2.4 KB: {rate:.0} a second; {} bytes on the disk", total(folder.path()));
    assert_eq!(control.metrics.dropped(), 0);
    assert!(total(folder.path()) <= 8 << 20);
}
