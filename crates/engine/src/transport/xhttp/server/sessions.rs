//! The sessions of one listener by their ids. A session may be spread over several connections.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Weak},
    time::Duration,
};

use parking_lot::Mutex;
use tokio::time::sleep;
use tokio_util::task::AbortOnDropHandle;

use super::queue::{HeldBytes, UploadQueue};

/// How long an upload may wait for its download (as long as at Xray's server).
const UNPAIRED: Duration = Duration::from_secs(30);
/// The most uploads that wait for their download; beyond it the oldest one is given up.
const MOST_UNPAIRED: usize = 256;
/// The most sessions at the same time.
const MOST_SESSIONS: usize = 65_536;

/// The sessions.
#[derive(Default)]
pub(super) struct Sessions {
    table: Mutex<Table>,
    held: Arc<HeldBytes>,
}

#[derive(Default)]
struct Table {
    sessions: HashMap<Box<str>, Arc<UploadQueue>>,
    /// Uploads without a download, the oldest one first. Those that have found theirs since are still in it.
    unpaired: VecDeque<Unpaired>,
}

/// An upload that began without a download.
struct Unpaired {
    id: Box<str>,
    queue: Weak<UploadQueue>,
    /// Gives it up in time; there are no more of these tasks than entries.
    _timer: AbortOnDropHandle<()>,
}

/// The download's hold on its session, which ends with it.
pub(super) struct SessionGuard {
    sessions: Arc<Sessions>,
    id: Box<str>,
    /// The upload.
    pub(super) queue: Arc<UploadQueue>,
}

impl Sessions {
    /// The upload of a session, which may be new; `None` when there are too many.
    pub(super) fn upload(self: &Arc<Self>, id: &str) -> Option<Arc<UploadQueue>> {
        let mut table = self.table.lock();
        if let Some(queue) = table.sessions.get(id) {
            return Some(Arc::clone(queue));
        }
        if table.sessions.len() >= MOST_SESSIONS {
            return None;
        }
        table.forget_paired();
        if table.unpaired.len() >= MOST_UNPAIRED
            && let Some(oldest) = table.unpaired.pop_front()
        {
            table.give_up(&oldest.id, &oldest.queue);
        }
        let queue = table.begin(id, &self.held);
        let timer = self.give_up_later(id.into(), Arc::downgrade(&queue));
        table.unpaired.push_back(Unpaired { id: id.into(), queue: Arc::downgrade(&queue), _timer: timer });
        drop(table);
        Some(queue)
    }

    /// Ends the session some time later, when it still has no download.
    fn give_up_later(self: &Arc<Self>, id: Box<str>, waiting: Weak<UploadQueue>) -> AbortOnDropHandle<()> {
        let sessions = Arc::downgrade(self);
        AbortOnDropHandle::new(tokio::spawn(async move {
            sleep(UNPAIRED).await;
            if let Some(sessions) = sessions.upgrade() {
                sessions.table.lock().give_up(&id, &waiting);
            }
        }))
    }

    /// Gives a session its download; `None` when it has one, or when there are too many.
    pub(super) fn download(self: &Arc<Self>, id: &str) -> Option<SessionGuard> {
        let mut table = self.table.lock();
        let queue = match table.sessions.get(id) {
            Some(queue) => Arc::clone(queue),
            None if table.sessions.len() >= MOST_SESSIONS => return None,
            None => table.begin(id, &self.held),
        };
        // Under the table's lock, so that nobody gives the upload up meanwhile.
        let is_first = queue.pair();
        drop(table);
        is_first.then(|| SessionGuard { sessions: Arc::clone(self), id: id.into(), queue })
    }

    /// Whether there is a session with this id.
    pub(super) fn has(&self, id: &str) -> bool {
        self.table.lock().sessions.contains_key(id)
    }

    /// Whether there is any session.
    pub(super) fn is_empty(&self) -> bool {
        self.table.lock().sessions.is_empty()
    }

    /// How many sessions there are, and how many bytes their uploads hold back.
    #[cfg(test)]
    pub(super) fn load(&self) -> (usize, usize) {
        (self.table.lock().sessions.len(), self.held.sum())
    }
}

impl Table {
    /// A new session, which counts its bytes in `held`.
    fn begin(&mut self, id: &str, held: &Arc<HeldBytes>) -> Arc<UploadQueue> {
        let queue = Arc::new(UploadQueue::new(Arc::clone(held)));
        self.sessions.insert(id.into(), Arc::clone(&queue));
        queue
    }

    /// Whether the session is still the one with this upload, and has no download.
    fn is_unpaired(&self, id: &str, upload: &Weak<UploadQueue>) -> bool {
        let same = |queue: &&Arc<UploadQueue>| Weak::as_ptr(upload) == Arc::as_ptr(queue);
        self.sessions.get(id).filter(same).is_some_and(|queue| !queue.is_paired())
    }

    /// Ends the session when it is still the one with this upload and without a download.
    fn give_up(&mut self, id: &str, waiting: &Weak<UploadQueue>) {
        if self.is_unpaired(id, waiting)
            && let Some(queue) = self.sessions.remove(id)
        {
            queue.end();
        }
        self.forget_paired();
    }

    /// Forgets the oldest uploads that wait for nothing any more.
    fn forget_paired(&mut self) {
        while let Some(Unpaired { id, queue, .. }) = self.unpaired.front() {
            if self.is_unpaired(id, queue) {
                return;
            }
            self.unpaired.pop_front();
        }
    }
}

impl Drop for SessionGuard {
    fn drop(&mut self) {
        self.sessions.table.lock().sessions.remove(&self.id);
        self.queue.end();
    }
}
