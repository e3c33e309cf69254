//! What has been copied: counts of every kind of row, and a digest that does not depend on their order.

use std::{
    fmt::{self, Write},
    time::{Duration, Instant},
};

use super::{Batch, CopyReport};
use crate::{Change, ControlChange};

/// How often progress is told.
const EVERY: Duration = Duration::from_secs(1);

/// How many rows there are of each kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it")]
pub struct CopyCounts {
    pub nodes: u64,
    pub listed: u64,
    pub sources: u64,
    pub sessions: u64,
    pub bans: u64,
    pub site_bans: u64,
    pub annotations: u64,
    pub dashboard: u64,
    pub objects: u64,
    pub tokens: u64,
    pub usage: u64,
    pub history: u64,
    pub audit: u64,
}

impl CopyCounts {
    /// The names and the numbers, in the order of the fields.
    #[must_use]
    pub const fn named(&self) -> [(&'static str, u64); 13] {
        [
            ("nodes", self.nodes),
            ("listed", self.listed),
            ("sources", self.sources),
            ("sessions", self.sessions),
            ("bans", self.bans),
            ("site_bans", self.site_bans),
            ("annotations", self.annotations),
            ("dashboard", self.dashboard),
            ("objects", self.objects),
            ("tokens", self.tokens),
            ("usage", self.usage),
            ("history", self.history),
            ("audit", self.audit),
        ]
    }
}

impl fmt::Display for CopyCounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let texts: Vec<String> = self.named().iter().map(|(name, number)| format!("{name} {number}")).collect();
        f.write_str(&texts.join(", "))
    }
}

/// The tally of what is read.
pub(super) struct Tally<'a> {
    counts: CopyCounts,
    digest: u128,
    strange: u64,
    text: String,
    progress: &'a (dyn Fn(CopyCounts) + Send + Sync),
    told: Instant,
}

impl<'a> Tally<'a> {
    pub(super) fn of(progress: &'a (dyn Fn(CopyCounts) + Send + Sync)) -> Self {
        Self {
            counts: CopyCounts::default(),
            digest: 0,
            strange: 0,
            text: String::new(),
            progress,
            told: Instant::now(),
        }
    }

    pub(super) const fn add_strange(&mut self, number: u64) {
        self.strange = self.strange.saturating_add(number);
    }

    pub(super) fn add(&mut self, batch: &Batch) {
        match batch {
            Batch::Changes(changes) => changes.iter().for_each(|change| self.add_change(change)),
            Batch::Control(changes) => changes.iter().for_each(|change| self.add_control(change)),
            Batch::Usage(rows) => rows.iter().for_each(|row| {
                self.counts.usage += 1;
                self.row(format_args!("{row:?}"), "");
            }),
            Batch::End => {}
        }
        if self.told.elapsed() >= EVERY {
            self.told = Instant::now();
            (self.progress)(self.counts);
        }
    }

    fn add_change(&mut self, change: &Change) {
        let secret = match change {
            Change::PutNode(row) => row.uri.expose(),
            Change::PutBan(row) => row.uri.expose(),
            Change::PutAnnotation(row) => row.uri.expose(),
            _ => "",
        };
        let counter = match change {
            Change::PutNode(_) => &mut self.counts.nodes,
            Change::PutSource(_) => &mut self.counts.sources,
            Change::PutSession(_) => &mut self.counts.sessions,
            Change::PutBan(_) => &mut self.counts.bans,
            Change::PutSiteBan(_) => &mut self.counts.site_bans,
            Change::PutAnnotation(_) => &mut self.counts.annotations,
            Change::PutDashboard(_) => &mut self.counts.dashboard,
            Change::PutHistory(_) => &mut self.counts.history,
            Change::SetListing { source, ids, .. } => {
                self.counts.listed += ids.len() as u64;
                ids.iter().for_each(|id| self.row(format_args!("{source:?} lists {id}"), ""));
                return;
            }
            // Nothing else is read of a store.
            _ => return,
        };
        *counter += 1;
        self.row(format_args!("{change:?}"), secret);
    }

    fn add_control(&mut self, change: &ControlChange) {
        match change {
            ControlChange::PutObject(row) => {
                self.counts.objects += 1;
                self.row(format_args!("{row:?}"), row.value.expose());
            }
            ControlChange::PutToken(row) => {
                self.counts.tokens += 1;
                self.row(format_args!("{row:?}"), "");
            }
            ControlChange::Audit(row) => {
                self.counts.audit += 1;
                self.row(format_args!("{row:?}"), "");
            }
            // Nothing else is read of a store.
            _ => {}
        }
    }

    /// Adds the hash of a row's text, which shows no secret, and of its secret.
    fn row(&mut self, text: fmt::Arguments<'_>, secret: &str) {
        self.text.clear();
        let _ = write!(self.text, "{text} {secret:?}");
        // PostgreSQL's texts hold no NUL: U+FFFD stands in its place there.
        if self.text.contains("\\0") {
            self.text = self.text.replace("\\0", "\u{fffd}");
        }
        let hash = blake3::hash(self.text.as_bytes());
        if let Some(first) = hash.as_bytes().first_chunk() {
            self.digest = self.digest.wrapping_add(u128::from_be_bytes(*first));
        }
    }

    pub(super) fn report(self) -> CopyReport {
        (self.progress)(self.counts);
        CopyReport { counts: self.counts, digest: format!("{:032x}", self.digest), strange: self.strange, kept: None }
    }
}
