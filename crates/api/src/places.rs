//! Counts the open connections of each client address, so that one client cannot take all of them.

use std::{collections::HashMap, net::IpAddr, sync::Arc};

use parking_lot::Mutex;

/// The most connections of one address at a time.
pub(crate) const MOST_OF_ONE: usize = 32;

/// The open connections by address. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(crate) struct Places(Arc<Mutex<HashMap<IpAddr, usize>>>);

/// One open connection; its place is free again when it is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    places: Places,
    address: IpAddr,
}

impl Places {
    /// A place for a connection from this address; `None` when it has as many as it may. An IPv6 network of 64 bits counts as one.
    pub(crate) fn take(&self, address: IpAddr) -> Option<Place> {
        let address = network(address);
        let mut open = self.0.lock();
        let count = open.entry(address).or_default();
        if *count >= MOST_OF_ONE {
            return None;
        }
        *count += 1;
        Some(Place { places: self.clone(), address })
    }
}

/// What one peer can choose its addresses from.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => IpAddr::V6((u128::from(v6) & (u128::MAX << 64)).into()),
        v4 => v4,
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.places.0.lock();
        if let Some(count) = open.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                open.remove(&self.address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_address_has_its_own_places_and_gets_them_back() {
        let places = Places::default();
        let address = |text: &str| text.parse::<IpAddr>().unwrap();
        let mut held: Vec<_> =
            (0..MOST_OF_ONE).map(|n| places.take(address(&format!("2001:db8::{n:x}"))).unwrap()).collect();
        assert!(places.take(address("2001:db8::ffff")).is_none());
        assert!(places.take(address("2001:db8:0:1::1")).is_some());
        assert!(places.take(address("127.0.0.1")).is_some());
        held.pop();
        assert!(places.take(address("2001:db8::ffff")).is_some());
        drop(held);
        assert!(places.0.lock().is_empty());
    }
}
