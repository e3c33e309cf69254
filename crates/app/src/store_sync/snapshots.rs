//! Takes snapshots of a store in memory while the program runs, and says how that goes.

use std::{sync::Arc, time::Duration};

use hezar_api::SnapshotsDto;
use hezar_core::Timestamp;
use hezar_engine::Clock;
use hezar_store::{SnapshotStatus, Store, StoreError};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::output;

/// How soon a snapshot follows a change that a person has made, at most.
const URGENT: Duration = Duration::from_secs(60);
/// The pause after a failure; it doubles up to the configured one.
const FIRST_RETRY: Duration = Duration::from_secs(30);

/// Takes snapshots until `stop` is cancelled. A store on the disk needs none, and one that another process has for a while gets none.
pub(crate) async fn run(store: Arc<dyn Store>, clock: Clock, stop: CancellationToken) {
    let mut failures = 0;
    loop {
        let status = store.snapshot_status();
        let pause = status.as_ref().map_or(URGENT, |status| pause(status, clock.wall(), failures));
        tokio::select! {
            () = sleep(pause) => {}
            () = stop.cancelled() => return,
        }
        let Some(status) = store.snapshot_status() else { continue };
        if failures > 0 || is_due(&status, clock.wall()) {
            failures = take(&*store, failures).await;
        }
    }
}

/// Takes one snapshot; returns how many have failed in a row by now.
async fn take(store: &dyn Store, failures: u32) -> u32 {
    match store.snapshot().await {
        Ok(_) => {
            if failures > 0 {
                tracing::info!("snapshots of the store can be taken again");
            }
            0
        }
        Err(error) => {
            let failures = failures.saturating_add(1);
            warn(&error, failures);
            failures
        }
    }
}

/// How long to wait before it is looked again whether a snapshot is due.
fn pause(status: &SnapshotStatus, now: Timestamp, failures: u32) -> Duration {
    if failures > 0 {
        return (FIRST_RETRY.saturating_mul(1 << failures.min(16).saturating_sub(1)))
            .min(status.every.max(FIRST_RETRY));
    }
    // The wall clock may jump either way: the pause never depends on it alone.
    status.every.saturating_sub(status.age(now)).clamp(Duration::from_millis(100), URGENT.min(status.every))
}

fn is_due(status: &SnapshotStatus, now: Timestamp) -> bool {
    status.is_urgent || status.age(now) >= status.every
}

fn warn(error: &StoreError, failures: u32) {
    tracing::error!(
        code = error.code(), %error, failures,
        "no snapshot of the store can be taken: the older ones stay, and what changed since is in memory only; it is tried again"
    );
}

/// What the API says about the snapshots.
pub(crate) fn dto(status: SnapshotStatus, now: Timestamp) -> SnapshotsDto {
    let age_s = status.age(now).as_secs();
    let (error, error_text) = match status.error {
        Some(failure) => (Some(failure.code.to_owned()), Some(failure.text.into())),
        None => (None, None),
    };
    SnapshotsDto {
        age_s,
        every_s: status.every.as_secs(),
        last: status.last.as_ref().map(|last| last.at.0),
        file: status.last.as_ref().map(|last| last.path.display().to_string()),
        bytes: status.last.map_or(0, |last| last.bytes),
        taken: status.taken,
        failures: status.failures,
        error,
        error_text,
        damaged: status.damaged.iter().map(|file| file.display().to_string()).collect(),
    }
}

/// The lines of `hezar status` about the snapshots.
pub(crate) fn lines(snapshots: &SnapshotsDto) -> Vec<String> {
    let age = output::span(snapshots.age_s);
    let last = match snapshots.last {
        Some(_) => format!("the last snapshot is {age} old ({})", output::bytes(snapshots.bytes)),
        None => format!("no snapshot yet, for {age}"),
    };
    let mut lines = vec![format!("store: in memory; {last}")];
    if let Some(text) = &snapshots.error_text {
        lines.push(format!(
            "store: NO SNAPSHOT can be taken; a power cut would lose what changed since the last one: {text}"
        ));
    }
    if let Some(file) = snapshots.damaged.first() {
        lines.push(format!(
            "store: a snapshot was damaged and set aside: {file} (remove it when you have looked at it)"
        ));
    }
    lines
}

#[cfg(test)]
mod tests {
    use hezar_store::SnapshotFile;

    use super::*;

    fn status(age_s: u64, every_s: u64) -> (SnapshotStatus, Timestamp) {
        let now = Timestamp(1_800_000_000_000);
        let last = SnapshotFile { path: "s.zst".into(), at: Timestamp(now.0 - age_s * 1000), bytes: 5 << 20 };
        (SnapshotStatus { every: Duration::from_secs(every_s), last: Some(last), ..SnapshotStatus::default() }, now)
    }

    #[test]
    fn snapshots_are_due_by_age_and_by_what_people_change() {
        for (age, every, urgent, due) in
            [(0, 10, false, false), (9, 10, false, false), (10, 10, false, true), (1, 3600, true, true)]
        {
            let (status, now) = status(age, every);
            assert_eq!(is_due(&SnapshotStatus { is_urgent: urgent, ..status }, now), due, "{age} {every} {urgent}");
        }
        // A store that has none yet counts from its start.
        let new =
            SnapshotStatus { every: Duration::from_secs(10), opened: Timestamp(5_000), ..SnapshotStatus::default() };
        assert!(!is_due(&new, Timestamp(14_999)) && is_due(&new, Timestamp(15_000)));
    }

    #[test]
    fn pauses_are_bounded_whatever_the_clock_says() {
        let (status, now) = status(0, 3600);
        assert_eq!(pause(&status, now, 0), URGENT);
        // The clock was set back by a day, or forward.
        for now in [Timestamp(now.0 - 86_400_000), Timestamp(now.0 + 86_400_000)] {
            assert!((Duration::from_millis(100)..=URGENT).contains(&pause(&status, now, 0)));
        }
        let retries: Vec<u64> = (1..=9).map(|failures| pause(&status, now, failures).as_secs()).collect();
        assert_eq!(retries, [30, 60, 120, 240, 480, 960, 1920, 3600, 3600]);
        assert_eq!(pause(&self::status(0, 1).0, now, 40), FIRST_RETRY);
    }

    #[test]
    fn the_status_names_age_failure_and_damage() {
        let (status, now) = status(720, 3600);
        let good = dto(status, now);
        assert_eq!(lines(&good), ["store: in memory; the last snapshot is 12 min old (5.0 MiB)"]);
        let bad = SnapshotsDto { error_text: Some("the disk is full".into()), damaged: vec!["x.zst".into()], ..good };
        let said = lines(&bad).join("\n");
        assert!(said.contains("NO SNAPSHOT") && said.contains("the disk is full") && said.contains("x.zst"), "{said}");
        assert!(lines(&SnapshotsDto::default())[0].contains("no snapshot yet"));
    }
}
