//! Counts the open connections of each client address, so that one client cannot take all of them.

use std::{collections::HashMap, net::IpAddr, sync::Arc};

use parking_lot::Mutex;
use tokio::sync::OwnedSemaphorePermit;

use crate::peer::network;

/// The most connections of one address at a time.
pub(crate) const MAX_PER_ADDRESS: usize = 32;

/// The open connections by address. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(crate) struct ConnectionSlots(Arc<Mutex<HashMap<IpAddr, usize>>>);

/// The slot of one open connection; it is free again when this is dropped.
#[derive(Debug)]
pub(crate) struct ConnectionSlot {
    slots: ConnectionSlots,
    address: IpAddr,
}

impl ConnectionSlots {
    /// A slot for a connection from this address; `None` when it has as many as it may. An IPv6 network of 64 bits counts as one.
    pub(crate) fn take(&self, address: IpAddr) -> Option<ConnectionSlot> {
        let address = network(address);
        let mut open = self.0.lock();
        let count = open.entry(address).or_default();
        if *count >= MAX_PER_ADDRESS {
            return None;
        }
        *count += 1;
        Some(ConnectionSlot { slots: self.clone(), address })
    }
}

/// What an open connection holds: a place among all, and one among those of its address. Clones are the same places, which
/// are free again when the last clone is dropped or one of them is released. A trusted proxy may have more than its address has.
#[derive(Clone, Debug)]
pub(crate) struct HeldSlots(Arc<Mutex<Option<Places>>>);

type Places = (OwnedSemaphorePermit, Option<ConnectionSlot>);

impl HeldSlots {
    pub(crate) fn new(among_all: OwnedSemaphorePermit, of_address: Option<ConnectionSlot>) -> Self {
        Self(Arc::new(Mutex::new(Some((among_all, of_address)))))
    }

    /// Gives the places back while the connection lives on, for one that is counted in another way from now on.
    pub(crate) fn release(&self) {
        *self.0.lock() = None;
    }
}

impl Drop for ConnectionSlot {
    fn drop(&mut self) {
        let mut open = self.slots.0.lock();
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
    fn each_address_has_its_own_slots_and_gets_them_back() {
        let slots = ConnectionSlots::default();
        let address = |text: &str| text.parse::<IpAddr>().unwrap();
        let mut held: Vec<_> =
            (0..MAX_PER_ADDRESS).map(|n| slots.take(address(&format!("2001:db8::{n:x}"))).unwrap()).collect();
        assert!(slots.take(address("2001:db8::ffff")).is_none());
        assert!(slots.take(address("2001:db8:0:1::1")).is_some());
        assert!(slots.take(address("127.0.0.1")).is_some());
        held.pop();
        assert!(slots.take(address("2001:db8::ffff")).is_some());
        drop(held);
        assert!(slots.0.lock().is_empty());
    }
}
