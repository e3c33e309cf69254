//! Every client connection, and the order in which those that have not logged in make room for new ones.
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
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

use super::client_key;

/// The connections of one listener.
#[derive(Debug)]
pub(crate) struct Visitors {
    slots: Arc<Semaphore>,
    /// How many connections that have not logged in one address may have; this machine's own may have any number.
    pending: usize,
    table: Mutex<Table>,
}

#[derive(Debug, Default)]
struct Table {
    /// The number of the last arrival.
    arrivals: u64,
    places: AHashMap<SocketAddr, Place>,
    /// The connections that have not logged in, by client and arrival.
    strangers: AHashMap<IpAddr, BTreeMap<u64, SocketAddr>>,
    /// Clients by the number of these.
    ranks: BTreeSet<(usize, IpAddr)>,
}

#[derive(Debug)]
struct Place {
    arrival: u64,
    stranger: bool,
    slot: OwnedSemaphorePermit,
    close: CancellationToken,
}

/// The place of one connection, which it leaves when this is dropped.
#[derive(Debug)]
pub(crate) struct Visit {
    visitors: Arc<Visitors>,
    address: SocketAddr,
    arrival: u64,
    /// The place is needed by somebody else.
    pub close: CancellationToken,
}

impl Drop for Visit {
    fn drop(&mut self) {
        self.visitors.table.lock().leave(self.address, Some(self.arrival));
    }
}

impl Visitors {
    /// At most `most` connections, and `pending` that have not logged in from one address.
    pub(crate) fn new(most: usize, pending: usize) -> Arc<Self> {
        Arc::new(Self { slots: Arc::new(Semaphore::new(most)), pending, table: Mutex::default() })
    }

    /// A place for a new connection; nothing when all are taken by clients that have logged in.
    pub(crate) fn arrive(self: &Arc<Self>, address: SocketAddr) -> Option<Visit> {
        let client = client_key(address.ip());
        let mut table = self.table.lock();
        // A client may use its port again before the end of its older connection is noticed here.
        table.leave(address, None);
        let theirs = table.strangers.get(&client).map_or(0, BTreeMap::len);
        let slot = if theirs >= self.pending && !client.is_loopback() {
            table.drive_out(client)
        } else {
            let free = self.slots.clone().try_acquire_owned().ok();
            free.or_else(|| {
                let (_, largest) = table.ranks.last().copied()?;
                table.drive_out(largest)
            })
        }?;
        table.arrivals += 1;
        let (arrival, close) = (table.arrivals, CancellationToken::new());
        table.places.insert(address, Place { arrival, stranger: true, slot, close: close.clone() });
        table.change(client, |strangers| strangers.insert(arrival, address));
        Some(Visit { visitors: self.clone(), address, arrival, close })
    }

    /// Notes that the client has logged in, so that its connection makes no room for others. Returns whether it had not
    /// logged in before.
    pub(crate) fn welcome(&self, address: SocketAddr) -> bool {
        let mut table = self.table.lock();
        let Some(place) = table.places.get_mut(&address) else { return false };
        let stranger = std::mem::take(&mut place.stranger);
        if stranger {
            let arrival = place.arrival;
            table.change(client_key(address.ip()), |strangers| strangers.remove(&arrival));
        }
        stranger
    }

    /// Whether the connection has not logged in.
    pub(crate) fn is_stranger(&self, address: SocketAddr) -> bool {
        self.table.lock().places.get(&address).is_none_or(|place| place.stranger)
    }
}

impl Table {
    /// Closes the oldest connection of a client that has not logged in, and gives its slot.
    fn drive_out(&mut self, client: IpAddr) -> Option<OwnedSemaphorePermit> {
        let address = *self.strangers.get(&client)?.first_key_value()?.1;
        let place = self.leave(address, None)?;
        place.close.cancel();
        Some(place.slot)
    }

    /// Forgets a connection, unless its address has another one already.
    fn leave(&mut self, address: SocketAddr, arrival: Option<u64>) -> Option<Place> {
        self.places.get(&address).filter(|place| arrival.is_none_or(|arrival| arrival == place.arrival))?;
        let place = self.places.remove(&address)?;
        if place.stranger {
            self.change(client_key(address.ip()), |strangers| strangers.remove(&place.arrival));
        }
        Some(place)
    }

    fn change(&mut self, client: IpAddr, work: impl FnOnce(&mut BTreeMap<u64, SocketAddr>) -> Option<SocketAddr>) {
        let strangers = self.strangers.entry(client).or_default();
        let before = strangers.len();
        work(strangers);
        let after = strangers.len();
        self.ranks.remove(&(before, client));
        if after > 0 {
            self.ranks.insert((after, client));
        } else {
            self.strangers.remove(&client);
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
        let visitors = Visitors::new(10, 100);
        let known = visitors.arrive(at(1, 1)).unwrap();
        assert!(visitors.is_stranger(at(1, 1)) && visitors.welcome(at(1, 1)) && !visitors.welcome(at(1, 1)));
        let neighbour = visitors.arrive(at(2, 1)).unwrap();
        let attack: Vec<_> = (0..1000).map(|port| visitors.arrive(at(9, port)).unwrap()).collect();
        assert_eq!(attack.iter().filter(|visit| !visit.close.is_cancelled()).count(), 8);
        assert!(attack[991].close.is_cancelled() && !attack[992].close.is_cancelled(), "the newest are left");
        assert!(!known.close.is_cancelled() && !neighbour.close.is_cancelled());
        let third = visitors.arrive(at(3, 1)).unwrap();
        assert!(!third.close.is_cancelled());
        drop(attack);
        assert_eq!(visitors.table.lock().places.len(), 3);
        drop((known, neighbour, third));
        assert_eq!(visitors.slots.available_permits(), 10);
        let table = visitors.table.lock();
        assert!(table.places.is_empty() && table.strangers.is_empty() && table.ranks.is_empty());
    }

    #[test]
    fn one_address_has_only_so_many_before_it_logs_in_and_any_number_after() {
        let visitors = Visitors::new(1000, 4);
        let known: Vec<_> = (0..100).map(|port| visitors.arrive(at(1, port)).unwrap()).collect();
        assert_eq!(known.iter().filter(|visit| !visit.close.is_cancelled()).count(), 4);
        drop(known);
        let known: Vec<_> = (0..100)
            .map(|port| {
                let visit = visitors.arrive(at(1, port)).unwrap();
                visitors.welcome(at(1, port));
                visit
            })
            .collect();
        assert!(known.iter().all(|visit| !visit.close.is_cancelled()));
        let local = |port| SocketAddr::from(([127, 0, 0, 1], port));
        let own: Vec<_> = (0..100).map(|port| visitors.arrive(local(port)).unwrap()).collect();
        assert!(own.iter().all(|visit| !visit.close.is_cancelled()));
        let network = |host: u16| format!("[2001:db8::{host:x}]:1").parse().unwrap();
        let six: Vec<_> = (1..100).map(|host| visitors.arrive(network(host)).unwrap()).collect();
        assert_eq!(six.iter().filter(|visit| !visit.close.is_cancelled()).count(), 4);
    }

    #[test]
    fn known_clients_take_all_places() {
        let visitors = Visitors::new(2, 2);
        let _first = visitors.arrive(at(1, 1)).unwrap();
        let _second = visitors.arrive(at(1, 2)).unwrap();
        assert!(visitors.welcome(at(1, 1)) && visitors.welcome(at(1, 2)));
        assert!(visitors.arrive(at(2, 1)).is_none());
    }

    #[test]
    fn an_address_that_comes_again_keeps_its_new_place() {
        let visitors = Visitors::new(1, 1);
        let first = visitors.arrive(at(1, 1)).unwrap();
        let second = visitors.arrive(at(1, 1)).unwrap();
        drop(first);
        assert_eq!(visitors.table.lock().places.len(), 1);
        drop(second);
        assert_eq!(visitors.slots.available_permits(), 1);
    }

    #[test]
    fn ports_that_are_used_again_never_shut_a_client_out() {
        let visitors = Visitors::new(100, 4);
        for _ in 0..20 {
            let (first, second) = (visitors.arrive(at(1, 1)), visitors.arrive(at(1, 1)));
            assert!(first.is_some() && second.is_some());
            drop((first, second));
        }
        let table = visitors.table.lock();
        assert!(table.places.is_empty() && table.strangers.is_empty() && table.ranks.is_empty());
    }
}
