//! Bounds the number of idle connections of all nodes. When there are too many, the one that was unused for longest is closed.

use std::{collections::BTreeMap, sync::Arc};

use parking_lot::Mutex;
use tokio::sync::Notify;

/// The idle connections, in the order in which they became idle.
#[derive(Debug)]
pub(crate) struct IdleConnections {
    max: usize,
    table: Mutex<IdleTable>,
}

#[derive(Debug, Default)]
struct IdleTable {
    next: u64,
    close: BTreeMap<u64, Arc<Notify>>,
}

/// The place of one idle connection. It is given back when this is dropped, because the connection is used again or has ended.
#[derive(Debug)]
pub(crate) struct IdleTicket {
    connections: Arc<IdleConnections>,
    number: u64,
}

impl IdleConnections {
    /// At most `max` connections.
    pub(crate) fn new(max: usize) -> Self {
        Self { max, table: Mutex::default() }
    }

    /// Counts a connection as idle. When there are too many, the `close` of the one that was unused for longest is
    /// notified, which may be this one: its owner closes it.
    pub(crate) fn enter(self: &Arc<Self>, close: &Arc<Notify>) -> IdleTicket {
        let mut table = self.table.lock();
        let number = table.next;
        table.next += 1;
        table.close.insert(number, Arc::clone(close));
        let oldest = if table.close.len() > self.max { table.close.pop_first() } else { None };
        drop(table);
        if let Some((_, close)) = oldest {
            // Its owner may look only later: the permit waits for it.
            close.notify_one();
        }
        IdleTicket { connections: Arc::clone(self), number }
    }

    /// How many connections are idle.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.table.lock().close.len()
    }
}

impl Drop for IdleTicket {
    fn drop(&mut self) {
        self.connections.table.lock().close.remove(&self.number);
    }
}
