//! Sources that other instances read: who asks here is told what their rows say afterwards.

use std::{collections::HashMap, sync::Arc, time::Duration};

use hezar_core::Timestamp;
use hezar_fetch::FetchOutcome;
use hezar_store::SourceRow;
use tokio::{
    sync::mpsc::UnboundedSender,
    time::{Instant, sleep},
};
use tokio_util::sync::CancellationToken;

use super::{
    Collector, Reading,
    refresh::{Demand, Order},
    turns::Turns,
};

/// How often the rows of the sources are looked at that somebody waits for.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// How long they are waited for.
const LONGEST_WAIT: Duration = Duration::from_secs(600);

/// Who waits for the reading of a source, which is over when its row tells another time of reading.
struct Waiting {
    before: Option<Timestamp>,
    until: Instant,
    answers: Vec<UnboundedSender<Reading>>,
}

impl Collector {
    /// Passes demands on to the instances that read sources, until `stop`.
    pub(super) async fn pass_on(&self, turns: &Turns, stop: &CancellationToken) {
        let mut ordered = self.ordered.lock().await;
        let mut waiting: HashMap<Arc<str>, Waiting> = HashMap::new();
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                Some(order) = ordered.recv() => match order {
                    Order::Read(demand) => self.request(turns, demand, &mut waiting).await,
                    Order::SourcesChanged => {}
                },
                () = sleep(LOOK_EVERY), if !waiting.is_empty() => self.look(turns, &mut waiting).await,
            }
        }
    }

    async fn request(&self, turns: &Turns, demand: Demand, waiting: &mut HashMap<Arc<str>, Waiting>) {
        for name in &demand.names {
            let Ok(row) = turns.shared.source(name).await else { continue };
            let before = row.and_then(|row| row.last_fetch);
            let until = Instant::now() + LONGEST_WAIT;
            let waiting =
                waiting.entry(Arc::clone(name)).or_insert_with(|| Waiting { before, until, answers: Vec::new() });
            waiting.answers.push(demand.answers.clone());
        }
        if let Err(error) = turns.shared.request_fetch(&demand.names).await {
            tracing::warn!("the instances that read sources cannot be asked: {error}");
            demand.names.iter().for_each(|name| drop(waiting.remove(name)));
        }
    }

    /// Answers for the sources that have been read since.
    async fn look(&self, turns: &Turns, waiting: &mut HashMap<Arc<str>, Waiting>) {
        let names: Vec<Arc<str>> = waiting.keys().cloned().collect();
        for name in names {
            let Ok(Some(row)) = turns.shared.source(&name).await else { continue };
            if waiting.get(&name).is_some_and(|waiting| waiting.before == row.last_fetch) {
                continue;
            }
            let reading = read_elsewhere(row);
            for answers in waiting.remove(&name).map(|waiting| waiting.answers).unwrap_or_default() {
                // Whoever asked may have gone away.
                let _ = answers.send(reading.clone());
            }
        }
        waiting.retain(|_, waiting| waiting.until > Instant::now());
    }
}

/// What another instance's reading gave, as far as the row of the source says it: not how many of its nodes were new.
pub(super) fn read_elsewhere(row: SourceRow) -> Reading {
    let ended = if row.error.is_none() { FetchOutcome::Succeeded } else { FetchOutcome::Failed };
    Reading { row, added: 0, left_out: 0, unchanged: false, ended }
}
