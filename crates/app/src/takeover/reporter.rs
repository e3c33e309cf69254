//! What a process that drains tells the one that serves: what is open, what users have moved, which sessions have begun.

use std::{collections::BTreeMap, net::IpAddr, path::PathBuf, sync::Arc, time::Duration};

use anyhow::Context;
use hezar_core::UtcDay;
use hezar_gateway::{Connections, UsedBytes, UserDay};
use hezar_store::{Change, SessionRow, Store, UsageRow};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::{
    channel::Channel,
    endpoint,
    handover::Handover,
    messages::{OpenNote, Report, ReportAnswer, Request, SessionNote, UsageNote},
};

/// How often is reported.
const EVERY: Duration = Duration::from_secs(1);
/// How long an answer may take.
const ANSWER: Duration = Duration::from_secs(10);
/// How often the last report is tried.
const LAST_TRIES: u32 = 30;
/// Users and clients that are named in one report.
const MOST_NOTES: usize = 10_000;

/// The reports of a process that drains.
pub(crate) struct Reporter {
    handover: Arc<Handover>,
    data: PathBuf,
    channel: Option<Channel>,
    /// A report that was not answered so far; it is sent again as it is.
    unanswered: Option<Report>,
    number: u64,
}

impl Reporter {
    pub(crate) fn new(handover: Arc<Handover>) -> Self {
        let data = handover.parts().data.clone();
        // Larger than any number of an earlier process that had the same process id.
        let number = handover.parts().clock.now().0;
        Self { handover, data, channel: None, unanswered: None, number }
    }

    /// Reports until `drained`, and then what is left. What nobody takes is written to the store when no process has it.
    pub(crate) async fn run(mut self, drained: CancellationToken) {
        let mut tries = 0;
        loop {
            let is_last = drained.is_cancelled();
            let outcome = self.report().await;
            if let Err(error) = &outcome {
                tracing::debug!("no report: {error:#}");
                self.channel = None;
            }
            tries = if is_last { tries + 1 } else { 0 };
            if is_last && (outcome.is_ok() || tries >= LAST_TRIES) {
                break;
            }
            tokio::select! {
                () = sleep(EVERY) => {}
                () = drained.cancelled(), if !is_last => {}
            }
        }
        if let Err(error) = self.store_the_rest().await {
            tracing::error!("what users have moved at the end could not be kept: {error:#}");
        }
    }

    /// Sends one report and does what the answer says; twice when one was left from before.
    async fn report(&mut self) -> anyhow::Result<()> {
        while let Some(report) = self.unanswered.clone() {
            self.send(report).await?;
        }
        let report = self.make().await;
        self.unanswered = Some(report.clone());
        self.send(report).await
    }

    async fn make(&mut self) -> Report {
        let parts = self.handover.parts();
        let now = parts.clock.now();
        let mut usage: BTreeMap<Box<str>, UsedBytes> = BTreeMap::new();
        for UserDay { user, day: _, bytes } in parts.usage.take_growth(now) {
            let sum = usage.entry(user).or_default();
            sum.up = sum.up.saturating_add(bytes.up);
            sum.down = sum.down.saturating_add(bytes.down);
        }
        let usage = usage.into_iter().map(|(user, UsedBytes { up, down })| UsageNote { user, up, down }).collect();
        let sessions = session_notes(&parts.session_sync.lock().await.changes(now));
        self.number += 1;
        Report { number: self.number, usage, sessions, ..open_now(&parts.connections) }
    }

    async fn send(&mut self, report: Report) -> anyhow::Result<()> {
        let channel = match self.channel.take() {
            Some(channel) => channel,
            None => {
                let stream = endpoint::connect(&self.data).await?;
                Channel::new(stream.context("no instance serves with this data folder")?)
            }
        };
        channel.send(&Request::Report(report)).await?;
        let answer: ReportAnswer = channel.receive(ANSWER).await?;
        self.unanswered = None;
        self.channel = Some(channel);
        self.obey(answer);
        Ok(())
    }

    fn obey(&self, answer: ReportAnswer) {
        let parts = self.handover.parts();
        let day = UtcDay::containing(parts.clock.now());
        // It is counted against quotas and told to nobody: the other process has told the store.
        parts.usage.restore(answer.usage.into_iter().map(|UsageNote { user, up, down }| {
            let bytes = UsedBytes { up, down };
            UserDay { user, day, bytes }
        }));
        for (listener, user) in answer.refused {
            let ended = parts.connections.end_matching(|one| *one.listener == *listener && one.user == user);
            tracing::info!(%listener, %user, ended, "a user may not use the listener any more: its tunnels end");
        }
    }

    /// Adds to the store what no instance has taken, unless one has the store.
    async fn store_the_rest(self) -> anyhow::Result<()> {
        let left = self.unanswered.map(|report| report.usage).unwrap_or_default();
        if left.is_empty() {
            return Ok(());
        }
        let parts = self.handover.parts();
        let day = UtcDay::containing(parts.clock.now());
        let rows: Vec<UsageRow> =
            left.into_iter().map(|UsageNote { user, up, down }| UsageRow { user, day, up, down }).collect();
        parts.store.take_back().await?;
        parts.store.add_usage(&rows).await?;
        parts.store.close().await;
        Ok(())
    }
}

/// What is open now.
pub(super) fn open_now(connections: &Connections) -> Report {
    let open = connections.list(0, usize::MAX);
    let mut counts: BTreeMap<(Box<str>, Box<str>, IpAddr), u32> = BTreeMap::new();
    for one in &open {
        let key = ((*one.listener).into(), one.user.clone(), one.client);
        if counts.len() < MOST_NOTES || counts.contains_key(&key) {
            *counts.entry(key).or_default() += 1;
        }
    }
    let by_user =
        counts.into_iter().map(|((listener, user, client), open)| OpenNote { listener, user, client, open }).collect();
    Report { pid: std::process::id(), open: open.len(), by_user, ..Report::default() }
}

/// The sessions among changes. Those that have ended are not told: they end by themselves.
pub(super) fn session_notes(changes: &[Change]) -> Vec<SessionNote> {
    let put = changes.iter().filter_map(|change| match change {
        Change::PutSession(row) => Some(row),
        _ => None,
    });
    put.map(session_note).collect()
}

fn session_note(row: &SessionRow) -> SessionNote {
    let SessionRow { name, country, began, ends, lasts, exit_ip, node } = row;
    SessionNote {
        listener: name.listener.clone(),
        user: name.user.clone(),
        session: name.session.clone(),
        country: *country,
        began: began.0,
        ends: ends.0,
        lasts: u64::try_from(lasts.as_millis()).unwrap_or(u64::MAX),
        exit_ip: *exit_ip,
        node: node.map(|node| node.to_string()),
    }
}
