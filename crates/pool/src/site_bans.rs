//! Exits that a site is spared for a time because somebody said so: bounded, listed, and asked while picking.

use std::{
    collections::{BTreeSet, HashMap},
    net::IpAddr,
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
};

use hezar_core::{ExitKey, SiteKey, Timestamp};
use parking_lot::RwLock;

/// The most bans. When there is one more, the one that would end first ends.
const MOST: usize = 65_536;

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
}

impl Table {
    fn remove(&mut self, key: Key) -> Option<SiteBan> {
        let ban = self.bans.remove(&key)?;
        self.by_end.remove(&(ban.until, key));
        Some(ban)
    }

    fn remove_first(&mut self) {
        if let Some((_, key)) = self.by_end.pop_first() {
            self.bans.remove(&key);
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
        let key = ban.key();
        table.remove(key);
        if table.bans.len() >= MOST {
            table.remove_first();
        }
        table.by_end.insert((ban.until, key));
        table.bans.insert(key, ban);
        self.len.store(table.bans.len(), Relaxed);
    }

    /// Ends a ban; says whether there was one.
    pub(crate) fn remove(&self, site: &str, exit: IpAddr) -> bool {
        let mut table = self.table.write();
        let removed = table.remove(key(site, exit)).is_some();
        self.len.store(table.bans.len(), Relaxed);
        removed
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
