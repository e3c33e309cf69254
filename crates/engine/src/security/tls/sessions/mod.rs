//! The TLS sessions that can be resumed, in one store for the whole process whose size in bytes is bounded.
//!
//! rustls' own cache is bounded in tickets, and each may bring 64 KiB besides the server's certificates. A list chooses how
//! many configurations and names there are, so only a bound on the sum of all is one.

mod measure;
mod table;
#[cfg(test)]
mod tests;

use std::{
    cell::Cell,
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use parking_lot::Mutex;
use rustls::{
    NamedGroup,
    client::{ClientSessionStore, Tls12ClientSessionValue, Tls13ClientSessionValue},
};
use rustls_pki_types::ServerName;

use self::table::Table;

/// The most that all sessions take, in bytes: some thousand servers with ordinary certificates.
const BUDGET: usize = 16 << 20;

/// The longest ticket that is kept, in bytes. Ordinary ones have some hundred, and 2 KiB with a client's certificate in them.
pub(super) const LONGEST_TICKET: usize = 4 << 10;

/// The most tickets of one connection that are kept; servers send one to four.
pub(super) const MOST_TICKETS: u8 = 4;

/// The largest session that is kept, in bytes: ticket and certificates.
const LARGEST: usize = 16 << 10;

thread_local! {
    /// The size of the session that is about to be stored on this thread, in bytes.
    static ANNOUNCED: Cell<Option<usize>> = const { Cell::new(None) };
}

/// Runs `work`, which stores a session of this size in bytes on this thread. rustls does not tell a store how large a session is;
/// to measure it costs more than to know it.
pub(super) fn announced<T>(size: usize, work: impl FnOnce() -> T) -> T {
    ANNOUNCED.set(Some(size));
    let made = work();
    ANNOUNCED.set(None);
    made
}

/// The sessions of all configurations.
#[derive(Default)]
pub(super) struct Sessions {
    table: Arc<Mutex<Table>>,
    configurations: AtomicU64,
}

impl Sessions {
    /// The store of one more configuration. None sees the sessions of another one.
    pub(super) fn for_configuration(&self) -> Arc<dyn ClientSessionStore> {
        let configuration = self.configurations.fetch_add(1, Ordering::Relaxed);
        Arc::new(OfConfiguration { table: Arc::clone(&self.table), configuration })
    }

    /// Changes the bound.
    #[cfg(test)]
    pub(super) fn allow(&self, budget: usize) {
        self.table.lock().budget = budget;
    }

    /// How much all sessions take, in bytes.
    #[cfg(test)]
    pub(super) fn bytes(&self) -> usize {
        self.table.lock().bytes()
    }
}

/// The part of the store that one configuration sees.
struct OfConfiguration {
    table: Arc<Mutex<Table>>,
    configuration: u64,
}

impl fmt::Debug for OfConfiguration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sessions").field("configuration", &self.configuration).finish_non_exhaustive()
    }
}

impl OfConfiguration {
    fn key(&self, name: &ServerName<'_>) -> table::Key {
        (self.configuration, name.to_owned())
    }
}

impl ClientSessionStore for OfConfiguration {
    fn set_kx_hint(&self, name: ServerName<'static>, group: NamedGroup) {
        self.table.lock().edit(&self.key(&name), |server| server.group = Some(group));
    }

    fn kx_hint(&self, name: &ServerName<'_>) -> Option<NamedGroup> {
        self.table.lock().server(&self.key(name))?.group
    }

    fn set_tls12_session(&self, name: ServerName<'static>, session: Tls12ClientSessionValue) {
        if let Some(size) = measure::size(&session, LONGEST_TICKET, LARGEST) {
            self.table.lock().edit(&self.key(&name), |server| server.keep_tls12(session, size));
        }
    }

    fn tls12_session(&self, name: &ServerName<'_>) -> Option<Tls12ClientSessionValue> {
        self.table.lock().server(&self.key(name))?.tls12()
    }

    fn remove_tls12_session(&self, name: &ServerName<'static>) {
        let (key, mut table) = (self.key(name), self.table.lock());
        if table.server(&key).is_some_and(|server| server.tls12().is_some()) {
            table.edit(&key, table::Server::forget_tls12);
        }
    }

    fn insert_tls13_ticket(&self, name: ServerName<'static>, session: Tls13ClientSessionValue) {
        let size = match ANNOUNCED.get() {
            Some(size) => Some(size).filter(|size| *size <= LARGEST),
            None => measure::size(&session, LONGEST_TICKET, LARGEST),
        };
        if let Some(size) = size {
            self.table.lock().edit(&self.key(&name), |server| server.keep_tls13(session, size));
        }
    }

    fn take_tls13_ticket(&self, name: &ServerName<'static>) -> Option<Tls13ClientSessionValue> {
        let (key, mut table) = (self.key(name), self.table.lock());
        if !table.server(&key).is_some_and(table::Server::has_tls13) {
            return None;
        }
        table.edit(&key, table::Server::take_tls13)
    }
}
