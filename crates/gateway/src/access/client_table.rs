//! The client connections of a listener. Those that have not logged in make room for new ones.
//!
//! A new connection always finds a place as long as somebody who has not logged in has one: the oldest connection of the
//! address with most of them is closed for it. A client that only opens connections therefore loses connections of its own.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use ahash::AHashMap;
use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

use super::client_key;
use crate::UserOptions;

/// The connections of one listener.
#[derive(Debug, Default)]
pub(crate) struct ClientTable {
    table: Mutex<Table>,
}

#[derive(Debug, Default)]
struct Table {
    /// The number of the last arrival.
    arrivals: u64,
    entries: AHashMap<SocketAddr, Entry>,
    /// The connections that have not logged in, by client and arrival.
    pending_by_client: AHashMap<IpAddr, BTreeMap<u64, SocketAddr>>,
    /// Clients by the number of these.
    ranks: BTreeSet<(usize, IpAddr)>,
}

#[derive(Debug)]
struct Entry {
    arrival: u64,
    pending: bool,
    /// What a client that came to this port has unless it says otherwise.
    options: Option<UserOptions>,
    close: CancellationToken,
}

/// The place of one connection, which is free again when this is dropped.
#[derive(Debug)]
pub(crate) struct ClientEntry {
    clients: Arc<ClientTable>,
    address: SocketAddr,
    arrival: u64,
    /// Is cancelled when the place is given to another connection.
    pub close: CancellationToken,
}

impl Drop for ClientEntry {
    fn drop(&mut self) {
        self.clients.table.lock().remove(self.address, Some(self.arrival));
    }
}

impl ClientTable {
    pub(crate) fn new() -> Arc<Self> {
        Arc::default()
    }

    /// A place for a new connection; nothing when all `max` are taken by clients that have logged in. One address has at
    /// most `max_pending` connections that have not logged in; this machine's own addresses have any number.
    pub(crate) fn insert(self: &Arc<Self>, address: SocketAddr, max: usize, max_pending: usize) -> Option<ClientEntry> {
        let client = client_key(address.ip());
        let mut table = self.table.lock();
        // A client may use its port again before the end of its older connection is noticed here.
        table.remove(address, None);
        let theirs = table.pending_by_client.get(&client).map_or(0, BTreeMap::len);
        if theirs >= max_pending && !client.is_loopback() {
            table.evict_oldest(client)?;
        } else if table.entries.len() >= max {
            let (_, largest) = table.ranks.last().copied()?;
            table.evict_oldest(largest)?;
        }
        table.arrivals += 1;
        let (arrival, close) = (table.arrivals, CancellationToken::new());
        table.entries.insert(address, Entry { arrival, pending: true, options: None, close: close.clone() });
        table.change(client, |pending_by_client| pending_by_client.insert(arrival, address));
        Some(ClientEntry { clients: self.clone(), address, arrival, close })
    }

    /// Notes that the client has logged in, so that its connection makes no room for others. Returns whether it had not
    /// logged in before.
    pub(crate) fn mark_logged_in(&self, address: SocketAddr) -> bool {
        let mut table = self.table.lock();
        let Some(entry) = table.entries.get_mut(&address) else { return false };
        let pending = std::mem::take(&mut entry.pending);
        if pending {
            let arrival = entry.arrival;
            table.change(client_key(address.ip()), |pending_by_client| pending_by_client.remove(&arrival));
        }
        pending
    }

    /// Notes what the client has because of the port that it came to.
    pub(crate) fn set_options(&self, address: SocketAddr, options: UserOptions) {
        if let Some(entry) = self.table.lock().entries.get_mut(&address) {
            entry.options = Some(options);
        }
    }

    /// What the client has because of the port that it came to.
    pub(crate) fn options(&self, address: SocketAddr) -> Option<UserOptions> {
        self.table.lock().entries.get(&address)?.options.clone()
    }

    /// Whether the connection has not logged in.
    pub(crate) fn is_pending(&self, address: SocketAddr) -> bool {
        self.table.lock().entries.get(&address).is_none_or(|entry| entry.pending)
    }
}

impl Table {
    /// Closes the oldest connection of a client that has not logged in; `None` when it has none.
    fn evict_oldest(&mut self, client: IpAddr) -> Option<()> {
        let address = *self.pending_by_client.get(&client)?.first_key_value()?.1;
        let entry = self.remove(address, None)?;
        entry.close.cancel();
        Some(())
    }

    /// Forgets a connection, unless its address has another one already.
    fn remove(&mut self, address: SocketAddr, arrival: Option<u64>) -> Option<Entry> {
        self.entries.get(&address).filter(|entry| arrival.is_none_or(|arrival| arrival == entry.arrival))?;
        let entry = self.entries.remove(&address)?;
        if entry.pending {
            self.change(client_key(address.ip()), |pending_by_client| pending_by_client.remove(&entry.arrival));
        }
        Some(entry)
    }

    fn change(&mut self, client: IpAddr, work: impl FnOnce(&mut BTreeMap<u64, SocketAddr>) -> Option<SocketAddr>) {
        let pending_by_client = self.pending_by_client.entry(client).or_default();
        let before = pending_by_client.len();
        work(pending_by_client);
        let after = pending_by_client.len();
        self.ranks.remove(&(before, client));
        if after > 0 {
            self.ranks.insert((after, client));
        } else {
            self.pending_by_client.remove(&client);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(host: u8, port: u16) -> SocketAddr {
        SocketAddr::from(([203, 0, 113, host], port))
    }

    #[test]
    fn strangers_make_room_and_known_clients_stay() {
        let clients = ClientTable::new();
        let known = clients.insert(at(1, 1), 10, 100).unwrap();
        assert!(clients.is_pending(at(1, 1)) && clients.mark_logged_in(at(1, 1)) && !clients.mark_logged_in(at(1, 1)));
        let neighbour = clients.insert(at(2, 1), 10, 100).unwrap();
        let attack: Vec<_> = (0..1000).map(|port| clients.insert(at(9, port), 10, 100).unwrap()).collect();
        assert_eq!(attack.iter().filter(|entry| !entry.close.is_cancelled()).count(), 8);
        assert!(attack[991].close.is_cancelled() && !attack[992].close.is_cancelled(), "the newest are left");
        assert!(!known.close.is_cancelled() && !neighbour.close.is_cancelled());
        let third = clients.insert(at(3, 1), 10, 100).unwrap();
        assert!(!third.close.is_cancelled());
        drop(attack);
        assert_eq!(clients.table.lock().entries.len(), 3);
        drop((known, neighbour, third));

        let table = clients.table.lock();
        assert!(table.entries.is_empty() && table.pending_by_client.is_empty() && table.ranks.is_empty());
    }

    #[test]
    fn one_address_has_only_so_many_before_it_logs_in_and_any_number_after() {
        let clients = ClientTable::new();
        let known: Vec<_> = (0..100).map(|port| clients.insert(at(1, port), 1000, 4).unwrap()).collect();
        assert_eq!(known.iter().filter(|entry| !entry.close.is_cancelled()).count(), 4);
        drop(known);
        let known: Vec<_> = (0..100)
            .map(|port| {
                let entry = clients.insert(at(1, port), 1000, 4).unwrap();
                clients.mark_logged_in(at(1, port));
                entry
            })
            .collect();
        assert!(known.iter().all(|entry| !entry.close.is_cancelled()));
        let local = |port| SocketAddr::from(([127, 0, 0, 1], port));
        let own: Vec<_> = (0..100).map(|port| clients.insert(local(port), 1000, 4).unwrap()).collect();
        assert!(own.iter().all(|entry| !entry.close.is_cancelled()));
        let network = |host: u16| format!("[2001:db8::{host:x}]:1").parse().unwrap();
        let six: Vec<_> = (1..100).map(|host| clients.insert(network(host), 1000, 4).unwrap()).collect();
        assert_eq!(six.iter().filter(|entry| !entry.close.is_cancelled()).count(), 4);
    }

    #[test]
    fn known_clients_take_all_places() {
        let clients = ClientTable::new();
        let _first = clients.insert(at(1, 1), 2, 2).unwrap();
        let _second = clients.insert(at(1, 2), 2, 2).unwrap();
        assert!(clients.mark_logged_in(at(1, 1)) && clients.mark_logged_in(at(1, 2)));
        assert!(clients.insert(at(2, 1), 2, 2).is_none());
    }

    #[test]
    fn an_address_that_comes_again_keeps_its_new_place() {
        let clients = ClientTable::new();
        let first = clients.insert(at(1, 1), 1, 1).unwrap();
        let second = clients.insert(at(1, 1), 1, 1).unwrap();
        drop(first);
        assert_eq!(clients.table.lock().entries.len(), 1);
        drop(second);
        assert!(clients.table.lock().entries.is_empty());
    }

    #[test]
    fn ports_that_are_used_again_never_shut_a_client_out() {
        let clients = ClientTable::new();
        for _ in 0..20 {
            let (first, second) = (clients.insert(at(1, 1), 100, 4), clients.insert(at(1, 1), 100, 4));
            assert!(first.is_some() && second.is_some());
            drop((first, second));
        }
        let table = clients.table.lock();
        assert!(table.entries.is_empty() && table.pending_by_client.is_empty() && table.ranks.is_empty());
    }
}
