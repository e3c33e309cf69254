//! The table of sessions. It is bounded for each user and in all; the user with most sessions makes room for others.

use std::{cmp::Reverse, collections::BTreeMap, sync::Arc, time::Duration};

use ahash::AHashMap;
use hezar_core::Timestamp;

use super::{Session, SessionId, SessionNameRef};

/// The least time between two sweeps for sessions that have ended.
const SWEEP: Duration = Duration::from_secs(1);

/// How many sessions an owner has, and the number of the oldest use among them.
type Rank = (usize, Reverse<u64>);

/// A user at a listener.
type Owner = Arc<(Box<str>, Box<str>)>;

/// Sessions by their number. Each belongs to an owner, whose sessions are ordered by their last use.
#[derive(Debug, Default)]
pub(super) struct Table {
    sessions: AHashMap<SessionId, Entry>,
    /// The sessions of each owner, the longest unused one in front.
    owners: AHashMap<Owner, BTreeMap<u64, SessionId>>,
    /// Owners by the number of their sessions, and of two with as many the one whose oldest was used longer ago behind.
    ranks: BTreeMap<Rank, Owner>,
    /// The number of the last use.
    uses: u64,
    swept: Timestamp,
}

#[derive(Debug)]
struct Entry {
    session: Session,
    owner: Owner,
    used: u64,
}

impl Table {
    /// The session with these names, which counts as used now. Numbers may collide, so the names are compared.
    pub(super) fn touch(&mut self, names: SessionNameRef<'_>, now: Timestamp) -> Option<&mut Session> {
        let id = names.id();
        let entry = self.sessions.get_mut(&id)?;
        if !entry.session.has_names(names) || entry.session.ends <= now {
            return None;
        }
        self.uses += 1;
        let uses = self.owners.get_mut(&entry.owner)?;
        let before = rank(uses);
        uses.remove(&entry.used);
        uses.insert(self.uses, id);
        entry.used = self.uses;
        let after = rank(uses);
        if before != after {
            rerank(&mut self.ranks, &entry.owner, before, after);
        }
        Some(&mut entry.session)
    }

    pub(super) fn get(&self, id: SessionId) -> Option<&Session> {
        self.sessions.get(&id).map(|entry| &entry.session)
    }

    pub(super) fn get_mut(&mut self, id: SessionId) -> Option<&mut Session> {
        self.sessions.get_mut(&id).map(|entry| &mut entry.session)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Session> {
        self.sessions.values().map(|entry| &entry.session)
    }

    pub(super) fn len(&self) -> usize {
        self.sessions.len()
    }

    /// Takes a session in, at most `most` in all and `of_user` of one user.
    pub(super) fn insert(&mut self, session: Session, most: usize, max_per_user: usize, now: Timestamp) {
        let id = session.id();
        self.remove(id);
        let owner: Owner = Arc::new((session.listener.clone(), session.user.clone()));
        while self.owners.get(&owner).is_some_and(|uses| uses.len() >= max_per_user) {
            self.drop_oldest(&owner);
        }
        if self.len() >= most {
            self.make_room(most, now);
        }
        self.uses += 1;
        let uses = self.owners.entry(owner.clone()).or_default();
        let before = rank(uses);
        uses.insert(self.uses, id);
        let after = rank(uses);
        rerank(&mut self.ranks, &owner, before, after);
        self.sessions.insert(id, Entry { session, owner, used: self.uses });
    }

    pub(super) fn remove(&mut self, id: SessionId) -> Option<Session> {
        let Entry { session, owner, used } = self.sessions.remove(&id)?;
        if let Some(uses) = self.owners.get_mut(&owner) {
            let before = rank(uses);
            uses.remove(&used);
            let after = rank(uses);
            if uses.is_empty() {
                self.owners.remove(&owner);
            }
            rerank(&mut self.ranks, &owner, before, after);
        }
        Some(session)
    }

    /// Drops what has ended, or else the oldest session of whoever has most.
    fn make_room(&mut self, most: usize, now: Timestamp) {
        if now.since(self.swept) >= SWEEP {
            self.swept = now;
            let ended = self.sessions.iter().filter(|(_, entry)| entry.session.ends <= now);
            let ended: Vec<SessionId> = ended.map(|(id, _)| *id).collect();
            for id in ended {
                self.remove(id);
            }
        }
        while self.len() >= most {
            let Some((_, owner)) = self.ranks.last_key_value() else { return };
            let owner = owner.clone();
            self.drop_oldest(&owner);
        }
    }

    fn drop_oldest(&mut self, owner: &Owner) {
        let oldest = self.owners.get(owner).and_then(|uses| uses.first_key_value().map(|(_, id)| *id));
        if let Some(id) = oldest {
            self.remove(id);
        }
    }
}

/// Absent when there is no session.
fn rank(uses: &BTreeMap<u64, SessionId>) -> Option<Rank> {
    uses.first_key_value().map(|(oldest, _)| (uses.len(), Reverse(*oldest)))
}

fn rerank(ranks: &mut BTreeMap<Rank, Owner>, owner: &Owner, before: Option<Rank>, after: Option<Rank>) {
    if let Some(before) = before {
        ranks.remove(&before);
    }
    if let Some(after) = after {
        ranks.insert(after, owner.clone());
    }
}
