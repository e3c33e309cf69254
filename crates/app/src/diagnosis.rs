//! Why no request can be served, in one line: for `hezar status`, the log, and the clients that are refused.

use std::{collections::HashMap, sync::Arc, time::Duration};

use hezar_core::Timestamp;
use hezar_engine::Clock;
use hezar_pool::{Counts, State};
use hezar_probe::Outage;
use hezar_store::SourceRow;
use parking_lot::RwLock;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::{
    nodes::Nodes,
    output,
    runtime::prober::ProberSlot,
    sources::{Collector, TOR_NOT_READY, status::SourceTable},
};

/// How often the line is made anew.
const EVERY: Duration = Duration::from_secs(1);
/// How many nodes are looked at for what stops most of them.
const SAMPLE: usize = 512;

/// What the line is made from. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Diagnosis {
    pub(crate) pool: Arc<Nodes>,
    pub(crate) table: SourceTable,
    pub(crate) clock: Clock,
    pub(crate) prober: Arc<ProberSlot>,
    /// The sources that are read.
    pub(crate) collector: Arc<Collector>,
    /// The line as it was made last.
    pub(crate) line: Arc<RwLock<Option<Arc<str>>>>,
}

/// The facts at one moment.
struct Facts<'a> {
    counts: Counts,
    outage: Option<Outage>,
    /// The sources that are read, with what is known about each.
    sources: &'a [Option<SourceRow>],
    /// What is known of dead nodes.
    dead: DeadNodes,
    now: Timestamp,
}

/// What some of the dead nodes have in common.
#[derive(Default)]
struct DeadNodes {
    /// What stops most of them, a code and a stage.
    failure: Option<String>,
    /// When the first of them is probed again: a later time than that of all dead nodes when not all were looked at.
    next_check: Option<Timestamp>,
}

impl Diagnosis {
    /// Makes the line anew, again and again, and logs what changes.
    pub(crate) async fn watch(&self, stop: CancellationToken) {
        loop {
            self.refresh();
            self.table.renew_census(self.pool.snapshot()).await;
            tokio::select! {
                () = stop.cancelled() => return,
                () = sleep(EVERY) => {}
            }
        }
    }

    /// The line as it is now; `None` while requests can be served.
    pub(crate) fn refresh(&self) -> Option<Arc<str>> {
        let reason = self.make();
        let starting = reason.as_ref().is_some_and(|reason| reason.starting);
        let line: Option<Arc<str>> = reason.map(|reason| reason.text.into());
        let old = std::mem::replace(&mut *self.line.write(), line.clone());
        match (&old, &line) {
            (Some(_), None) => tracing::info!("requests can be served"),
            // The same cause with other numbers is no news.
            (old, Some(new)) if old.as_deref().map(cause) != Some(cause(new)) => {
                if starting {
                    tracing::info!("no request can be served yet: {new}");
                } else {
                    tracing::warn!("no request can be served: {new}");
                }
            }
            _ => {}
        }
        line
    }

    fn make(&self) -> Option<Reason> {
        let snapshot = self.pool.snapshot();
        let (counts, outage) = (snapshot.counts(), self.prober.get().outage());
        if counts.routable() > 0 && outage.is_none() {
            return None;
        }
        let sources: Vec<_> = self.collector.names().iter().map(|name| self.table.row(name)).collect();
        let dead = if counts.dead > 0 { self.dead_nodes() } else { DeadNodes::default() };
        reason(&Facts { counts, outage, sources: &sources, dead, now: self.clock.now() })
    }

    /// What has stopped most nodes, a code and a stage, whether they are dead or have failed once.
    pub(crate) fn commonest_failure(&self) -> Option<String> {
        let mut seen: HashMap<(&str, &str), usize> = HashMap::new();
        let snapshot = self.pool.snapshot();
        for failure in snapshot.nodes().take(SAMPLE).filter_map(|node| node.record().failure) {
            *seen.entry((failure.code.as_str(), failure.stage.name())).or_default() += 1;
        }
        commonest(seen)
    }

    /// Looks at some of the dead nodes.
    fn dead_nodes(&self) -> DeadNodes {
        let mut seen: HashMap<(&str, &str), usize> = HashMap::new();
        let mut next_check: Option<Timestamp> = None;
        let snapshot = self.pool.snapshot();
        for node in snapshot.nodes().take(SAMPLE).filter(|node| node.state() == State::Dead) {
            next_check = next_check.into_iter().chain(node.next_check()).min();
            if let Some(failure) = node.record().failure {
                *seen.entry((failure.code.as_str(), failure.stage.name())).or_default() += 1;
            }
        }
        DeadNodes { failure: commonest(seen), next_check }
    }
}

/// What was seen most often, a code and a stage; among equals always the same one, so that the line does not change by
/// itself.
fn commonest(seen: HashMap<(&str, &str), usize>) -> Option<String> {
    let ((code, stage), _) = seen.into_iter().max_by_key(|(what, number)| (*number, *what))?;
    Some(format!("{code} at {stage}"))
}

/// What a line says before its first semicolon, without numbers: what follows there are times and advice.
fn cause(line: &str) -> String {
    line.chars().take_while(|c| *c != ';').filter(|c| !c.is_ascii_digit()).collect()
}

/// Why no request can be served.
struct Reason {
    text: String,
    /// Whether it is so at every first start, and passes without anybody's doing.
    starting: bool,
}

impl Reason {
    fn starting(text: String) -> Self {
        Self { text, starting: true }
    }

    fn fault(text: impl Into<String>) -> Self {
        Self { text: text.into(), starting: false }
    }
}

/// The one line; no name of a source, no address and no secret is in it, as clients read it too.
fn reason(facts: &Facts<'_>) -> Option<Reason> {
    match facts.outage {
        Some(Outage::Uplink) => {
            return Some(Reason::fault(
                "this machine's own network seems to be down (no URL of probe.control can be reached directly); \
                 nodes are judged again when it is back",
            ));
        }
        Some(Outage::ProbeUrl) if facts.counts.routable() == 0 => {
            return Some(Reason::fault(
                "the page of probe.url does not answer, so no node can be judged; another one can be configured",
            ));
        }
        _ => {}
    }
    let counts = facts.counts;
    if counts.routable() > 0 {
        return None;
    }
    let total = counts.total();
    if total == 0 {
        return Some(without_nodes(facts));
    }
    if counts.new > 0 {
        let checked = total - counts.new;
        let text = format!("the first nodes are being checked: {checked} of {total} so far, and none of them works");
        return Some(Reason::starting(text));
    }
    let all = |number: usize| if number == 1 { "the only node".to_owned() } else { format!("all {number} nodes") };
    let are = |number: usize| if number == 1 { "is" } else { "are" };
    Some(Reason::fault(if counts.unsupported == total {
        format!("no node can be dialled: this program does not speak the protocol of {}", all(total))
    } else if counts.dead + counts.quarantined == 0 {
        format!("{} that can be dialled {} switched off by an operator", all(counts.disabled), are(counts.disabled))
    } else if counts.dead == 0 {
        format!(
            "{} that can be dialled {} in quarantine, for changing what passes through",
            all(counts.quarantined),
            are(counts.quarantined)
        )
    } else {
        let number = counts.dead + counts.quarantined;
        let share = if number == 1 { "" } else { ", most of them" };
        let most = facts.dead.failure.as_ref().map(|failure| format!("{share}: {failure}")).unwrap_or_default();
        let sources = next_fetch(facts).map(|next| format!("; sources are read again in {next}")).unwrap_or_default();
        let next = facts.dead.next_check.map(|at| remaining(at, facts.now));
        let next = next.map_or_else(|| "the next try comes soon".to_owned(), |next| format!("next try within {next}"));
        format!(
            "{} that can be dialled {} dead{most}; {next}, or now by `hezar probe`{sources}",
            all(number),
            are(number)
        )
    }))
}

/// Why there is not even a node.
fn without_nodes(facts: &Facts<'_>) -> Reason {
    let by_hand = "links can be added by hand with `hezar add`";
    let sources = facts.sources;
    if sources.is_empty() {
        return Reason::fault(format!(
            "there is no source and no node: add a [[source]] to the configuration; {by_hand}"
        ));
    }
    let read = |row: &&Option<SourceRow>| row.as_ref().is_some_and(|row| row.last_fetch.is_some());
    let errors: Vec<_> = sources.iter().flatten().filter_map(|row| row.error.as_ref()).collect();
    let next = next_fetch(facts).map(|next| format!("; next try in {next}")).unwrap_or_default();
    if errors.len() == sources.len() && errors.iter().any(|error| *error.code == *TOR_NOT_READY) {
        return Reason::starting("Tor circuits are being built; `hezar status` shows how far that is".to_owned());
    }
    if errors.len() == sources.len() {
        let code = errors.last().map_or("", |error| &*error.code);
        let number = sources.len();
        let who = match number {
            1 => "the source cannot be read".to_owned(),
            _ => format!("none of the {number} sources can be read"),
        };
        let way = "is the network up? Where sources are blocked, `hezar add LINK` gives a node to read them over";
        return Reason::fault(format!("{who} (the last failure: {code}){next}; {way}"));
    }
    if sources.iter().filter(read).count() < sources.len() {
        return Reason::starting(format!("the sources are being read for the first time; {by_hand}"));
    }
    Reason::fault(format!("the sources list no node{next}; {by_hand}"))
}

/// How long until the next source is read.
fn next_fetch(facts: &Facts<'_>) -> Option<String> {
    let next = facts.sources.iter().flatten().filter_map(|row| row.next_fetch).min()?;
    Some(remaining(next, facts.now))
}

/// How long until then, at least a second.
fn remaining(then: Timestamp, now: Timestamp) -> String {
    output::span(then.since(now).as_secs().max(1))
}

#[cfg(test)]
mod tests {
    use hezar_store::SourceError;

    use super::*;

    fn row(error: Option<&str>, fetched: bool) -> Option<SourceRow> {
        let mut row = SourceRow::new("secret-name", "url");
        row.error = error.map(|code| SourceError { code: code.into(), text: "text with secret-name".into() });
        row.last_fetch = fetched.then_some(Timestamp(1));
        row.next_fetch = Some(Timestamp(25_000));
        Some(row)
    }

    fn told(counts: Counts, outage: Option<Outage>, sources: &[Option<SourceRow>]) -> Option<String> {
        let dead = DeadNodes { failure: Some("refused at connect".to_owned()), next_check: Some(Timestamp(13_000)) };
        let dead = if counts.dead > 0 { dead } else { DeadNodes::default() };
        let reason = reason(&Facts { counts, outage, sources, dead, now: Timestamp(1000) })?;
        assert_eq!(reason.starting, reason.text.contains("are being"), "{}", reason.text);
        Some(reason.text)
    }

    #[test]
    fn of_two_causes_that_are_as_common_it_is_always_the_same_one() {
        let causes = [("refused", "connect"), ("timeout", "connect"), ("dns", "resolve"), ("tls", "handshake")];
        for _ in 0..64 {
            // Every map has an order of its own.
            let seen = causes.into_iter().map(|cause| (cause, 3)).collect();
            assert_eq!(commonest(seen).as_deref(), Some("tls at handshake"));
        }
    }

    #[test]
    fn a_line_with_other_times_is_the_same_cause() {
        let [one, other] =
            ["12 s", "1 min 5 s"].map(|span| cause(&format!("all 7 nodes are dead; next try within {span}")));
        assert_eq!(one, other);
        assert_ne!(one, cause("the only node is dead; next try within 12 s"));
    }

    #[test]
    fn each_cause_has_its_line() {
        let none = Counts::default();
        let failed = [row(Some("dns"), true), row(Some("timeout"), true)];
        for (counts, outage, sources, part) in [
            (none, None, &[][..], "no source and no node"),
            (
                none,
                None,
                &failed[..],
                "none of the 2 sources can be read (the last failure: timeout); next try in 24 s",
            ),
            (none, None, &[row(None, false), row(Some("dns"), true)], "read for the first time"),
            (none, None, &[None], "read for the first time"),
            (none, None, &[row(Some("dns"), true), row(Some(TOR_NOT_READY), true)], "circuits are being built"),
            (none, None, &[row(None, true)], "list no node"),
            (Counts { new: 3, dead: 7, ..none }, None, &failed, "7 of 10 so far"),
            (
                Counts { dead: 7, unsupported: 3, ..none },
                None,
                &failed,
                "all 7 nodes that can be dialled are dead, most of them: refused at connect; next try within 12 s",
            ),
            (Counts { unsupported: 3, ..none }, None, &failed, "does not speak the protocol of all 3 nodes"),
            (Counts { quarantined: 3, ..none }, None, &failed, "in quarantine"),
            (
                Counts { disabled: 2, unsupported: 1, ..none },
                None,
                &failed,
                "all 2 nodes that can be dialled are switched off",
            ),
            (
                Counts { dead: 1, ..none },
                None,
                &failed,
                "the only node that can be dialled is dead: refused at connect; next",
            ),
            (none, None, &failed[..1], "the source cannot be read (the last failure: dns)"),
            (Counts { suspect: 3, ..none }, Some(Outage::Uplink), &failed, "own network"),
            (Counts { dead: 3, ..none }, Some(Outage::ProbeUrl), &failed, "probe.url"),
        ] {
            let line = told(counts, outage, sources).unwrap();
            assert!(line.contains(part), "{line}");
            assert!(!line.contains("secret-name") && !line.contains('\n'), "{line}");
        }
        assert_eq!(told(Counts { healthy: 1, dead: 9, ..none }, None, &failed), None);
        assert_eq!(told(Counts { suspect: 1, ..none }, Some(Outage::ProbeUrl), &failed), None);
    }
}
