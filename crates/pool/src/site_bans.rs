//! Exits that are not used for a site for a time because somebody said so: bounded, listed, and asked while picking.

use std::{
    collections::{BTreeSet, HashMap},
    net::IpAddr,
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
};

use hezar_core::{ExitKey, SiteKey, Timestamp};
use parking_lot::RwLock;

/// The most bans. When there is one more, the one that would end first ends.
const MOST: usize = 65_536;
/// From this many untaken changes on, the ends of bans are no longer noted; their beginnings always are.
const MOST_CHANGES: usize = 2 * MOST;

/// An exit that is not used for one site for a time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SiteBan {
    /// The site, as the gateway names it.
    pub site: Box<str>,
    /// The address that the site sees.
    pub exit: IpAddr,
    /// When it began.
    pub since: Timestamp,
    /// When it ends.
    pub until: Timestamp,
    /// Who said so and why, for people.
    pub reason: Box<str>,
}

/// What has become of a ban since the changes were taken last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SiteBanChange {
    /// It has begun, or it has another end or reason.
    Put(SiteBan),
    /// It has ended or was lifted.
    Removed {
        /// The site.
        site: Box<str>,
        /// The address that the site sees.
        exit: IpAddr,
        /// When it has ended: one that ends later elsewhere was renewed. `None` for one that was lifted.
        until: Option<Timestamp>,
    },
}

type Key = (SiteKey, ExitKey);

impl SiteBan {
    fn key(&self) -> Key {
        key(&self.site, self.exit)
    }
}

fn key(site: &str, exit: IpAddr) -> Key {
    (SiteKey::from_name(site), ExitKey::from_ip(exit))
}

/// The bans.
#[derive(Debug, Default)]
pub(crate) struct SiteBans {
    /// How many there are: while there is none, nobody takes the lock.
    len: AtomicUsize,
    table: RwLock<Table>,
}

#[derive(Debug, Default)]
struct Table {
    bans: HashMap<Key, SiteBan, ahash::RandomState>,
    by_end: BTreeSet<(Timestamp, Key)>,
    /// The bans that have changed since that was taken last; of one that is gone, the change.
    changed: HashMap<Key, Option<Gone>, ahash::RandomState>,
}

/// What is said of a ban that is gone, as in [`SiteBanChange::Removed`].
#[derive(Debug)]
struct Gone {
    site: Box<str>,
    exit: IpAddr,
    until: Option<Timestamp>,
}

impl Table {
    fn insert(&mut self, ban: SiteBan) {
        let key = ban.key();
        self.take(key);
        if self.bans.len() >= MOST {
            self.remove_first();
        }
        self.by_end.insert((ban.until, key));
        self.bans.insert(key, ban);
        self.changed.insert(key, None);
    }

    fn take(&mut self, key: Key) -> Option<SiteBan> {
        let ban = self.bans.remove(&key)?;
        self.by_end.remove(&(ban.until, key));
        Some(ban)
    }

    /// Notes that a ban is gone, at its end or because it was lifted.
    fn note_gone(&mut self, ban: SiteBan, is_lifted: bool) {
        let key = ban.key();
        // Beyond the bound the store is not told: it leaves out what has ended by itself.
        self.changed.remove(&key);
        if self.changed.len() < MOST_CHANGES {
            let until = (!is_lifted).then_some(ban.until);
            self.changed.insert(key, Some(Gone { site: ban.site, exit: ban.exit, until }));
        }
    }

    fn remove_first(&mut self) {
        let first = self.by_end.first().copied();
        if let Some(ban) = first.and_then(|(_, key)| self.take(key)) {
            self.note_gone(ban, false);
        }
    }
}

impl SiteBans {
    /// Whether the site is spared the exit; without a time, whether it was when anybody looked last.
    pub(crate) fn contains(&self, site: SiteKey, exit: ExitKey, now: Option<Timestamp>) -> bool {
        if self.len.load(Relaxed) == 0 {
            return false;
        }
        let table = self.table.read();
        table.bans.get(&(site, exit)).is_some_and(|ban| now.is_none_or(|now| ban.until > now))
    }

    /// Begins a ban, or gives the one of the same site and exit another end.
    pub(crate) fn insert(&self, ban: SiteBan) {
        let mut table = self.table.write();
        table.insert(ban);
        self.len.store(table.bans.len(), Relaxed);
    }

    /// Ends a ban; says whether there was one.
    pub(crate) fn remove(&self, site: &str, exit: IpAddr) -> bool {
        let mut table = self.table.write();
        let Some(ban) = table.take(key(site, exit)) else { return false };
        table.note_gone(ban, true);
        self.len.store(table.bans.len(), Relaxed);
        true
    }

    /// Takes over a ban that another process has begun or changed: it is no change of this one.
    pub(crate) fn adopt(&self, ban: SiteBan) {
        let key = ban.key();
        let mut table = self.table.write();
        // What this process has done is newer than what it reads, or is about to be written over it. One that has ended here was
        // renewed elsewhere when it ends later now.
        let is_newer_here =
            |gone: &Option<Gone>| gone.as_ref().and_then(|gone| gone.until).is_none_or(|until| until >= ban.until);
        if table.changed.get(&key).is_some_and(is_newer_here) {
            return;
        }
        table.insert(ban);
        table.changed.remove(&key);
        self.len.store(table.bans.len(), Relaxed);
    }

    /// Takes over that another process has ended a ban.
    pub(crate) fn adopt_end(&self, site: &str, exit: IpAddr) {
        let key = key(site, exit);
        let mut table = self.table.write();
        if table.changed.contains_key(&key) {
            return;
        }
        table.take(key);
        self.len.store(table.bans.len(), Relaxed);
    }

    /// Forgets those that have ended.
    pub(crate) fn expire(&self, now: Timestamp) {
        if self.len.load(Relaxed) == 0 {
            return;
        }
        let mut table = self.table.write();
        while table.by_end.first().is_some_and(|(until, _)| *until <= now) {
            table.remove_first();
        }
        self.len.store(table.bans.len(), Relaxed);
    }

    /// Those that hold now, those that end first in front.
    pub(crate) fn list(&self, now: Timestamp) -> Vec<SiteBan> {
        let table = self.table.read();
        let running = table.by_end.iter().filter(|(until, _)| *until > now);
        running.filter_map(|(_, key)| table.bans.get(key).cloned()).collect()
    }

    /// Takes what has changed since it was taken last, each ban once and as it is now.
    pub(crate) fn take_changes(&self) -> Vec<SiteBanChange> {
        let mut table = self.table.write();
        let changed = std::mem::take(&mut table.changed).into_iter();
        let change = |(key, gone)| match gone {
            Some(Gone { site, exit, until }) => Some(SiteBanChange::Removed { site, exit, until }),
            None => table.bans.get(&key).cloned().map(SiteBanChange::Put),
        };
        changed.filter_map(change).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ban(site: &str, number: u32, until: u64) -> SiteBan {
        let exit = IpAddr::V4(number.into());
        SiteBan { site: site.into(), exit, since: Timestamp(0), until: Timestamp(until), reason: "test".into() }
    }

    #[test]
    fn bans_hold_until_they_end_or_are_lifted() {
        let (bans, exit) = (SiteBans::default(), |number: u32| ExitKey::from_ip(IpAddr::V4(number.into())));
        let holds =
            |site: &str, number, now| bans.contains(SiteKey::from_name(site), exit(number), Some(Timestamp(now)));
        assert!(!holds("a.example", 1, 5));
        bans.insert(ban("a.example", 1, 10));
        assert!(holds("a.example", 1, 9) && !holds("a.example", 1, 10));
        assert!(!holds("b.example", 1, 9) && !holds("a.example", 2, 9));
        bans.insert(ban("a.example", 1, 20));
        assert_eq!(bans.list(Timestamp(5)), [ban("a.example", 1, 20)], "one of each pair");
        assert!(bans.remove("a.example", IpAddr::V4(1.into())) && !bans.remove("a.example", IpAddr::V4(1.into())));
        assert!(!holds("a.example", 1, 9) && bans.list(Timestamp(0)).is_empty());
    }

    #[test]
    fn changes_are_taken_once_and_say_what_holds_now() {
        let bans = SiteBans::default();
        let removed = |site: &str, number: u32, until: Option<u64>| {
            let exit = IpAddr::V4(number.into());
            SiteBanChange::Removed { site: site.into(), exit, until: until.map(Timestamp) }
        };
        bans.insert(ban("a.example", 1, 10));
        bans.insert(ban("a.example", 1, 20));
        assert_eq!(bans.take_changes(), [SiteBanChange::Put(ban("a.example", 1, 20))]);
        assert_eq!(bans.take_changes(), []);
        bans.remove("a.example", IpAddr::V4(1.into()));
        bans.insert(ban("a.example", 1, 30));
        assert_eq!(bans.take_changes(), [SiteBanChange::Put(ban("a.example", 1, 30))], "lifted and begun again");
        bans.insert(ban("b.example", 2, 5));
        bans.remove("b.example", IpAddr::V4(2.into()));
        assert_eq!(bans.take_changes(), [removed("b.example", 2, None)], "the store may know it from before");
        bans.expire(Timestamp(30));
        assert_eq!(bans.take_changes(), [removed("a.example", 1, Some(30))]);
    }

    #[test]
    fn what_has_ended_here_is_taken_over_when_it_was_renewed_elsewhere() {
        let bans = SiteBans::default();
        let lists = |untils: &[u64]| {
            let until: Vec<u64> = bans.list(Timestamp(0)).iter().map(|ban| ban.until.0).collect();
            assert_eq!(until, untils);
        };
        bans.insert(ban("a.example", 1, 10));
        bans.expire(Timestamp(10));
        bans.adopt(ban("a.example", 1, 10));
        lists(&[]);
        bans.adopt(ban("a.example", 1, 20));
        lists(&[20]);
        assert_eq!(bans.take_changes(), [], "nothing is written over the renewal");
        bans.remove("a.example", IpAddr::V4(1.into()));
        bans.adopt(ban("a.example", 1, 30));
        lists(&[]);
    }

    #[test]
    fn changes_that_nobody_takes_are_bounded_and_every_ban_is_among_them() {
        let bans = SiteBans::default();
        for number in 0..4 * MOST as u32 {
            bans.insert(ban("a.example", number, 1000 + u64::from(number)));
        }
        let changes = bans.take_changes();
        assert!(changes.len() <= MOST_CHANGES + MOST, "{}", changes.len());
        let begun = changes.iter().filter(|change| matches!(change, SiteBanChange::Put(_))).count();
        assert_eq!(begun, MOST);
    }

    #[test]
    fn they_are_bounded_and_expire() {
        let bans = SiteBans::default();
        for number in 0..MOST as u32 + 100 {
            bans.insert(ban("a.example", number, 1000 + u64::from(number)));
        }
        let listed = bans.list(Timestamp(0));
        assert_eq!((listed.len(), listed[0].until), (MOST, Timestamp(1100)));
        bans.expire(Timestamp(1000 + MOST as u64));
        assert_eq!(bans.list(Timestamp(0)).len(), 99);
        bans.expire(Timestamp(u64::MAX));
        let table = bans.table.read();
        assert!(table.bans.is_empty() && table.by_end.is_empty());
    }
}
