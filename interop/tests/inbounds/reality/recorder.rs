//! A watcher on a path: it passes bytes on, keeps them, and ends connections as they were ended.

use std::{
    io::{Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

/// What went over one connection.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Seen {
    /// From the client.
    pub(super) up: Vec<u8>,
    /// To the client.
    pub(super) down: Vec<u8>,
}

/// The watcher. Its threads end with the test program.
#[derive(Clone)]
pub(super) struct Recorder {
    pub(super) address: SocketAddr,
    leads_to: Arc<Mutex<Option<SocketAddr>>>,
    seen: Arc<Mutex<Vec<Arc<Mutex<Seen>>>>>,
    /// The directions that have not ended.
    open: Arc<AtomicUsize>,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Recorder {
    /// Begins to listen; connections are closed until it is said where they lead.
    pub(super) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let this = Self { address, leads_to: Arc::default(), seen: Arc::default(), open: Arc::default() };
        let watching = this.clone();
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                watching.pass(client);
            }
        });
        this
    }

    /// Says where connections lead.
    pub(super) fn lead_to(&self, address: SocketAddr) {
        *locked(&self.leads_to) = Some(address);
    }

    /// All connections until now.
    pub(super) fn seen(&self) -> Vec<Seen> {
        locked(&self.seen).iter().map(|seen| locked(seen).clone()).collect()
    }

    /// Whether so many connections have come, and all of them are over.
    pub(super) fn has_seen(&self, connections: usize) -> bool {
        locked(&self.seen).len() >= connections && self.open.load(Ordering::SeqCst) == 0
    }

    fn pass(&self, client: TcpStream) {
        let Some(server) = *locked(&self.leads_to) else { return };
        let Ok(server) = TcpStream::connect(server) else { return };
        let (_, _) = (client.set_nodelay(true), server.set_nodelay(true));
        let seen = Arc::new(Mutex::new(Seen::default()));
        self.open.fetch_add(2, Ordering::SeqCst);
        locked(&self.seen).push(Arc::clone(&seen));
        let (other_client, other_server) = (client.try_clone().unwrap(), server.try_clone().unwrap());
        let (up, ups, downs) = (Arc::clone(&seen), Arc::clone(&self.open), Arc::clone(&self.open));
        thread::spawn(move || {
            copy(client, server, |bytes| locked(&up).up.extend_from_slice(bytes));
            ups.fetch_sub(1, Ordering::SeqCst);
        });
        thread::spawn(move || {
            copy(other_server, other_client, |bytes| locked(&seen).down.extend_from_slice(bytes));
            downs.fetch_sub(1, Ordering::SeqCst);
        });
    }
}

fn copy(mut from: TcpStream, mut to: TcpStream, keep: impl Fn(&[u8])) {
    let mut bytes = vec![0; 16 * 1024];
    while let Ok(length @ 1..) = from.read(&mut bytes) {
        keep(&bytes[..length]);
        if to.write_all(&bytes[..length]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Write);
}
