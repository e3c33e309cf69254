//! The processes that drain after they have handed over: what they have open, and what their users move.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use hezar_core::Timestamp;
use hezar_engine::Clock;
use hezar_gateway::{GatewayConfig, OpenElsewhere, Sessions, Usage, UsedBytes};
use hezar_store::{SessionName, SessionRow};
use parking_lot::Mutex;
use tokio::time::Instant;

use super::{
    messages::{CountedReport, Report, ReportAnswer, SessionNote, UsageNote},
    predecessor::LastNews,
};
use crate::{nodes::Nodes, runtime::listeners::Listeners, store_sync::sessions};

/// Processes that are remembered; those that have ended go first.
const MOST: usize = 64;
/// How long a process that drains may be silent: it reports every second.
pub(super) const SILENCE: Duration = Duration::from_secs(30);

/// What reports are entered into.
pub(crate) struct DrainingParts {
    pub(crate) clock: Clock,
    pub(crate) pool: Arc<Nodes>,
    pub(crate) listeners: Arc<Listeners>,
    pub(crate) sessions: Arc<Sessions>,
    pub(crate) usage: Arc<Usage>,
}

/// A process that drains.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DrainingProcess {
    pub(crate) pid: u32,
    /// Requests, tunnels and associations that are open there.
    pub(crate) open: usize,
    /// When it began to drain.
    pub(crate) since: Timestamp,
}

/// All processes that drain.
pub(crate) struct DrainingProcesses {
    parts: DrainingParts,
    table: Mutex<Table>,
}

/// What is known of each process, by its number.
#[derive(Default)]
struct Table {
    entries: BTreeMap<u32, Entry>,
    /// Whether reports are left to a successor.
    is_closed: bool,
}

/// What is known of one process.
struct Entry {
    since: Timestamp,
    last: Report,
    /// When it was heard of last; absent when its connection has ended.
    heard: Option<Instant>,
    /// What each of its users had moved in all when it was told last.
    told: BTreeMap<Box<str>, u64>,
}

impl DrainingProcesses {
    pub(crate) fn new(parts: DrainingParts) -> Self {
        Self { parts, table: Mutex::default() }
    }

    /// Leaves all further reports to a successor; returns which ones were counted here.
    pub(super) fn close(&self) -> Vec<CountedReport> {
        let mut table = self.table.lock();
        table.is_closed = true;
        table.counted()
    }

    /// Takes reports again after [`DrainingProcesses::close`].
    pub(super) fn reopen(&self) {
        self.table.lock().is_closed = false;
    }

    /// Those that drain now.
    pub(crate) fn list(&self) -> Vec<DrainingProcess> {
        let entries = &self.table.lock().entries;
        let process =
            |(pid, entry): (&u32, &Entry)| DrainingProcess { pid: *pid, open: entry.last.open, since: entry.since };
        entries.iter().filter(|(_, entry)| entry.lives()).map(process).collect()
    }

    /// Takes in what was true when the predecessor stopped accepting; this process has served nobody yet.
    pub(crate) fn take_news(&self, news: LastNews) {
        let LastNews { sessions, report, counted } = news;
        let now = self.parts.clock.now();
        for row in sessions.into_iter().filter_map(session_row) {
            sessions::restore(&self.parts.sessions, &self.parts.pool, &row, now);
        }
        self.table.lock().take_counted(counted, now);
        self.take(report);
    }

    /// Takes in a report; the answer says what the process has to do. Without an answer the report is a successor's.
    pub(crate) fn take(&self, mut report: Report) -> Option<ReportAnswer> {
        let parts = &self.parts;
        let now = parts.clock.now();
        for row in std::mem::take(&mut report.sessions).into_iter().filter_map(session_row) {
            // What runs here was used later.
            if !sessions::is_running(&parts.sessions, &row, now) {
                sessions::restore(&parts.sessions, &parts.pool, &row, now);
            }
        }
        let usage = std::mem::take(&mut report.usage);
        let configs = parts.listeners.configs();
        let refused = refused(&configs, &report, now);
        let mut table = self.table.lock();
        let (entry, is_new) = table.entry(&report, now)?;
        // A report that comes a second time was counted already.
        let grown = if is_new { usage } else { Vec::new() };
        for UsageNote { user, up, down } in &grown {
            parts.usage.record(user, UsedBytes { up: *up, down: *down });
        }
        let moved = entry.moved_here(&report, &grown, |user| parts.usage.summary(user, now).total.sum());
        entry.heard = Some(Instant::now());
        entry.last = report;
        self.count_open(&configs, &table.entries);
        drop(table);
        Some(ReportAnswer { usage: moved, refused })
    }

    /// The connection of a process has ended: nothing is open there any more, or it will say so.
    pub(crate) fn disconnected(&self, pid: u32) {
        let configs = self.parts.listeners.configs();
        let mut table = self.table.lock();
        if let Some(entry) = table.entries.get_mut(&pid) {
            entry.heard = None;
            entry.last.open = 0;
            entry.last.by_user.clear();
        }
        self.count_open(&configs, &table.entries);
    }

    /// Counts anew without the processes that have not been heard of for [`SILENCE`], such as one that was killed before its first report.
    pub(super) fn forget_silent(&self) {
        let configs = self.parts.listeners.configs();
        self.count_open(&configs, &self.table.lock().entries);
    }

    /// Lets what is open in all these processes count against the limits of users and clients here.
    fn count_open(&self, configs: &[GatewayConfig], table: &BTreeMap<u32, Entry>) {
        for config in configs {
            let notes = table.values().filter(|entry| entry.lives()).flat_map(|entry| &entry.last.by_user);
            let open: Vec<OpenElsewhere> = notes
                .filter(|note| note.listener == config.name)
                .map(|note| OpenElsewhere { user: note.user.clone(), client: note.client, open: note.open })
                .collect();
            self.parts.listeners.set_open_elsewhere(&config.name, &open);
        }
    }
}

impl Table {
    /// The place of a report, and whether it was not counted before; `None` when reports are left to a successor.
    fn entry(&mut self, report: &Report, now: Timestamp) -> Option<(&mut Entry, bool)> {
        if self.is_closed {
            return None;
        }
        if self.entries.len() >= MOST {
            self.entries.retain(|_, entry| entry.lives());
        }
        let entry = self.entries.entry(report.pid).or_insert_with(|| Entry::new(now));
        let is_new = report.number > entry.last.number;
        Some((entry, is_new))
    }

    fn counted(&self) -> Vec<CountedReport> {
        self.entries.iter().map(|(pid, entry)| CountedReport { pid: *pid, number: entry.last.number }).collect()
    }

    fn take_counted(&mut self, counted: Vec<CountedReport>, now: Timestamp) {
        for CountedReport { pid, number } in counted {
            let last = Report { pid, number, ..Report::default() };
            self.entries.insert(pid, Entry { last, ..Entry::new(now) });
        }
    }
}

impl Entry {
    fn new(since: Timestamp) -> Self {
        Self { since, last: Report::default(), heard: None, told: BTreeMap::new() }
    }

    /// Whether the process has been heard of lately.
    fn lives(&self) -> bool {
        self.heard.is_some_and(|heard| heard.elapsed() < SILENCE)
    }

    /// What the users of a report have moved outside of its process since the last answer; `total` is what one has moved in all.
    fn moved_here(&mut self, report: &Report, grown: &[UsageNote], total: impl Fn(&str) -> u64) -> Vec<UsageNote> {
        let users: std::collections::BTreeSet<&str> =
            report.by_user.iter().map(|note| &*note.user).filter(|user| !user.is_empty()).collect();
        self.told.retain(|user, _| users.contains(&**user));
        let mut moved = Vec::new();
        for user in users {
            let now = total(user);
            let before = self.told.insert(user.into(), now).unwrap_or(now);
            let own: u64 =
                grown.iter().filter(|note| *note.user == *user).map(|note| note.up.saturating_add(note.down)).sum();
            let here = now.saturating_sub(before).saturating_sub(own);
            if here > 0 {
                moved.push(UsageNote { user: user.into(), up: 0, down: here });
            }
        }
        moved
    }
}

/// Users of a report who may not use their listener any more, each with the listener. Their quotas are held there.
fn refused(configs: &[GatewayConfig], report: &Report, now: Timestamp) -> Vec<(Box<str>, Box<str>)> {
    let may_stay = |listener: &str, user: &str| {
        let Some(config) = configs.iter().find(|config| *config.name == *listener) else { return true };
        let known = config.users.iter().find(|known| *known.name == *user);
        // Encrypted listeners let nobody in without a user.
        let takes_everybody = config.users.is_empty() && config.inbound.is_none();
        takes_everybody || known.is_some_and(|known| known.enabled && known.expires.is_none_or(|end| now < end))
    };
    let notes = report.by_user.iter().filter(|note| !may_stay(&note.listener, &note.user));
    let mut refused: Vec<_> = notes.map(|note| (note.listener.clone(), note.user.clone())).collect();
    refused.dedup();
    refused
}

fn session_row(note: SessionNote) -> Option<SessionRow> {
    let SessionNote { listener, user, session, country, began, ends, lasts, exit_ip, node } = note;
    let node = match node {
        Some(node) => Some(node.parse().ok()?),
        None => None,
    };
    Some(SessionRow {
        name: SessionName { listener, user, session },
        country,
        began: Timestamp(began),
        ends: Timestamp(ends),
        lasts: Duration::from_millis(lasts),
        exit_ip,
        node,
    })
}

#[cfg(test)]
mod tests {
    use hezar_gateway::{InboundConfig, InboundFallback, InboundProtocol, InboundTransport, User};

    use super::*;
    use crate::takeover::messages::OpenNote;

    fn report(users: &[&str]) -> Report {
        let note = |user: &&str| OpenNote {
            listener: "proxy".into(),
            user: (*user).into(),
            client: std::net::Ipv4Addr::LOCALHOST.into(),
            open: 1,
        };
        Report { by_user: users.iter().map(note).collect(), ..Report::default() }
    }

    #[test]
    fn a_report_is_counted_once_whoever_it_comes_to() {
        let now = Timestamp(1);
        let sent = |number| Report { pid: 7, number, ..Report::default() };
        let mut first = Table::default();
        let (entry, is_new) = first.entry(&sent(5), now).unwrap();
        assert!(is_new);
        entry.last = sent(5);
        assert!(!first.entry(&sent(5), now).unwrap().1, "it comes once more, since its answer was lost");
        first.is_closed = true;
        assert!(first.entry(&sent(6), now).is_none());
        let mut second = Table::default();
        second.take_counted(first.counted(), now);
        assert!(!second.entry(&sent(5), now).unwrap().1, "the one before has counted it");
        assert!(second.entry(&sent(6), now).unwrap().1);
    }

    #[test]
    fn what_a_user_moves_here_is_told_once_and_without_its_own_share() {
        let mut entry = Entry::new(Timestamp(1));
        let (report, none) = (report(&["alice", ""]), Vec::new());
        assert_eq!(entry.moved_here(&report, &[], |_| 100), none, "before the first report nothing is told");
        let own = [UsageNote { user: "alice".into(), up: 15, down: 5 }];
        let told = entry.moved_here(&report, &own, |_| 150);
        assert_eq!(told, [UsageNote { user: "alice".into(), up: 0, down: 30 }]);
        assert_eq!(entry.moved_here(&report, &[], |_| 150), none);
    }

    #[test]
    fn users_who_may_not_stay_are_named_with_their_listener() {
        let user = |name| User::new(name, "p");
        let gone = User { enabled: false, ..user("bob") };
        let late = User { expires: Some(Timestamp(9)), ..user("carol") };
        let config = GatewayConfig { users: vec![user("alice"), gone, late], ..GatewayConfig::default() };
        let report = report(&["alice", "bob", "carol", "dora"]);
        let names = |configs: &[GatewayConfig], now| -> Vec<String> {
            refused(configs, &report, Timestamp(now)).into_iter().map(|(_, user)| user.into()).collect()
        };
        assert_eq!(names(std::slice::from_ref(&config), 8), ["bob", "dora"]);
        assert_eq!(names(&[config], 9), ["bob", "carol", "dora"]);
        // A listener that is closed ends its tunnels by itself; one without users takes everybody.
        assert!(names(&[], 9).is_empty());
        assert!(names(&[GatewayConfig::default()], 9).is_empty());
        let inbound = InboundConfig {
            protocol: InboundProtocol::Trojan,
            transport: InboundTransport::default(),
            reality: None,
            fallback: InboundFallback::default(),
        };
        let encrypted = GatewayConfig { inbound: Some(inbound), ..GatewayConfig::default() };
        assert_eq!(names(&[encrypted], 9), ["alice", "bob", "carol", "dora"], "its last user was removed");
    }
}
