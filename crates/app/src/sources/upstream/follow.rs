//! Follows the feeds of other instances: waits until one has changed, and lets its source be read.

use std::{collections::HashMap, time::Duration};

use tokio::{
    task::{Id, JoinSet},
    time::sleep,
};
use tokio_util::sync::CancellationToken;

use super::{Upstream, await_change};
use crate::{
    config::SourceOrigin,
    sources::{Collector, reader::Reader},
    supervise,
};

/// The pause between two readings of a feed that changes all the time.
const LEAST_PAUSE: Duration = Duration::from_secs(1);
/// For so many nodes of a feed the pause is a second longer: a reading that finds much changed costs more.
const NODES_PER_SECOND: usize = 50_000;
/// The pause after a failure; it doubles with each further one.
const FIRST_BACKOFF: Duration = Duration::from_secs(1);
/// After so many failures in a row the source is read, so that everybody sees what is wrong.
const TOLD_AFTER: u32 = 3;
/// The longest of these pauses.
const LONGEST_BACKOFF: Duration = Duration::from_secs(60);

/// Follows the feeds of all sources that are other instances, as the configuration says, until the stop.
pub(in crate::sources) async fn follow_all(collector: &std::sync::Arc<Collector>, stop: &CancellationToken) {
    let mut changes = collector.changes();
    let (mut running, mut tasks): (JoinSet<()>, HashMap<Id, (Reader, CancellationToken)>) = Default::default();
    loop {
        changes.mark_unchanged();
        let wanted: Vec<Reader> =
            collector.readers().iter().filter(|reader| reader.upstream.is_some()).cloned().collect();
        for (reader, end) in tasks.values() {
            if !wanted.iter().any(|other| other.is(reader)) {
                end.cancel();
            }
        }
        for reader in wanted {
            if tasks.values().any(|(other, _)| other.is(&reader)) {
                continue;
            }
            let (end, collector, followed) = (stop.child_token(), collector.clone(), reader.clone());
            let ended = end.clone();
            let task = running.spawn(supervise::named("feeds", async move {
                tokio::select! {
                    () = ended.cancelled() => {}
                    () = follow(&collector, &followed) => {}
                }
            }));
            tasks.insert(task.id(), (reader, end));
        }
        tokio::select! {
            () = stop.cancelled() => break,
            changed = changes.changed() => if changed.is_err() { break },
            Some(ended) = running.join_next_with_id() => {
                // One that has panicked begins again.
                let id = ended.map_or_else(|error| error.id(), |(id, ())| id);
                tasks.remove(&id);
                sleep(LEAST_PAUSE).await;
            }
        }
    }
    running.shutdown().await;
}

/// Follows one feed without end.
async fn follow(collector: &Collector, reader: &Reader) {
    let (mut backoff, mut failures) = (FIRST_BACKOFF, 0_u32);
    loop {
        let pause = match wait_and_read(collector, reader).await {
            Ok(pause) => {
                (backoff, failures) = (FIRST_BACKOFF, 0);
                pause
            }
            Err(error) => {
                tracing::debug!(source = %reader.source.name, error = format!("{error:#}"), "the feed cannot be followed now");
                failures = failures.saturating_add(1);
                if failures == TOLD_AFTER {
                    // When the readers are busy or gone, the schedule reads it later.
                    let _ = collector.fetch_now(std::slice::from_ref(&reader.source.name));
                }
                let pause = backoff;
                backoff = (backoff * 2).min(LONGEST_BACKOFF);
                pause
            }
        };
        sleep(pause).await;
    }
}

/// Waits for a change, and lets it be read; returns the pause that follows.
async fn wait_and_read(collector: &Collector, reader: &Reader) -> anyhow::Result<Duration> {
    let (Some(upstream), SourceOrigin::Hezar { url, token }) = (&reader.upstream, &reader.source.origin) else {
        anyhow::bail!("it is no feed");
    };
    if collector.is_drained() {
        return Ok(LEAST_PAUSE);
    }
    let Some(cursor) = upstream.cursor() else {
        // After a restart, or where another member has read it until now, the schedule may read it much later. One that cannot be read is
        // left to the schedule, which knows pauses.
        let has_failed = reader.table.row(&reader.source.name).is_some_and(|row| row.failures > 0);
        return if has_failed { Ok(LEAST_PAUSE) } else { read_now(collector, reader, upstream).await };
    };
    let route = reader.routes.in_order().into_iter().next();
    let Some(dialer) = route else { anyhow::bail!("there is no way to it") };
    if !await_change(&*dialer, &reader.tls, url, token, &cursor).await? {
        // One that is ending, or means us ill, does not wait before it says so.
        return Ok(LEAST_PAUSE);
    }
    read_now(collector, reader, upstream).await
}

/// Lets a feed be read; returns the pause that follows.
async fn read_now(collector: &Collector, reader: &Reader, upstream: &Upstream) -> anyhow::Result<Duration> {
    let (_, mut readings) = collector
        .fetch_now(std::slice::from_ref(&reader.source.name))
        .map_err(|error| anyhow::anyhow!("it cannot be read now: {error:?}"))?;
    if let Some(reading) = readings.recv().await
        && let Some(error) = reading.row.error
    {
        anyhow::bail!("{}", error.text);
    }
    let more = u32::try_from(upstream.len() / NODES_PER_SECOND).unwrap_or(u32::MAX);
    Ok(LEAST_PAUSE.saturating_mul(more.saturating_add(1)))
}
