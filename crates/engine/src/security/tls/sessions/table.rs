//! The sessions by configuration and server name, the longest unused first to go.

use std::collections::{BTreeMap, HashMap, VecDeque};

use rustls::{
    NamedGroup,
    client::{Tls12ClientSessionValue, Tls13ClientSessionValue},
};
use rustls_pki_types::ServerName;

use super::{BUDGET, MOST_TICKETS};

/// What an entry takes besides its sessions, and a session besides ticket and certificates, in bytes.
const AROUND: usize = 400;

/// A configuration and a server's name.
pub(super) type Key = (u64, ServerName<'static>);

/// What is remembered of one server.
#[derive(Default)]
pub(super) struct Server {
    /// The group that it chose last.
    pub(super) group: Option<NamedGroup>,
    tls12: Option<(Tls12ClientSessionValue, usize)>,
    /// The oldest first.
    tls13: VecDeque<(Tls13ClientSessionValue, usize)>,
    /// When it was last touched.
    turn: u64,
}

impl Server {
    pub(super) fn keep_tls12(&mut self, session: Tls12ClientSessionValue, size: usize) {
        self.tls12 = Some((session, size));
    }

    pub(super) fn tls12(&self) -> Option<Tls12ClientSessionValue> {
        self.tls12.as_ref().map(|(session, _)| session.clone())
    }

    pub(super) fn forget_tls12(&mut self) {
        self.tls12 = None;
    }

    pub(super) fn keep_tls13(&mut self, session: Tls13ClientSessionValue, size: usize) {
        if self.tls13.len() >= usize::from(MOST_TICKETS) {
            self.tls13.pop_front();
        }
        self.tls13.push_back((session, size));
    }

    pub(super) fn has_tls13(&self) -> bool {
        !self.tls13.is_empty()
    }

    /// The newest ticket; nobody else gets it.
    pub(super) fn take_tls13(&mut self) -> Option<Tls13ClientSessionValue> {
        self.tls13.pop_back().map(|(session, _)| session)
    }

    fn bytes(&self) -> usize {
        let sizes = self.tls12.iter().map(|(_, size)| size).chain(self.tls13.iter().map(|(_, size)| size));
        AROUND + sizes.map(|size| size + AROUND).sum::<usize>()
    }

    fn is_empty(&self) -> bool {
        self.group.is_none() && self.tls12.is_none() && self.tls13.is_empty()
    }
}

/// The servers, by key and by age.
pub(super) struct Table {
    /// The most that all of it takes, in bytes.
    pub(super) budget: usize,
    servers: HashMap<Key, Server>,
    ages: BTreeMap<u64, Key>,
    bytes: usize,
    turn: u64,
}

impl Default for Table {
    fn default() -> Self {
        Self { budget: BUDGET, servers: HashMap::new(), ages: BTreeMap::new(), bytes: 0, turn: 0 }
    }
}

impl Table {
    /// How much all of it takes, in bytes.
    #[cfg(test)]
    pub(super) const fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn server(&self, key: &Key) -> Option<&Server> {
        self.servers.get(key)
    }

    /// Changes what is remembered of a server, and forgets others until the sum is within the budget.
    pub(super) fn edit<T>(&mut self, key: &Key, change: impl FnOnce(&mut Server) -> T) -> T {
        let mut server = self.remove(key).unwrap_or_default();
        let made = change(&mut server);
        if !server.is_empty() {
            self.turn += 1;
            server.turn = self.turn;
            self.bytes += server.bytes() + length(key);
            self.ages.insert(self.turn, key.clone());
            self.servers.insert(key.clone(), server);
        }
        while self.bytes > self.budget
            && let Some((_, oldest)) = self.ages.first_key_value().map(|(turn, key)| (*turn, key.clone()))
        {
            self.remove(&oldest);
        }
        made
    }

    fn remove(&mut self, key: &Key) -> Option<Server> {
        let server = self.servers.remove(key)?;
        self.ages.remove(&server.turn);
        self.bytes = self.bytes.saturating_sub(server.bytes() + length(key));
        Some(server)
    }
}

/// The length of a name, which is stored twice, in bytes.
fn length((_, name): &Key) -> usize {
    2 * name.to_str().len()
}
