//! Keeps what was made of the pool for a moment, so that many readers cost as much as one.

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use parking_lot::Mutex as SyncMutex;
use tokio::{sync::Mutex, time::Instant};

use super::PoolView;
use crate::{ApiError, DashboardView, state::ApiState};

/// How old a view may be.
const AGE: Duration = Duration::from_secs(1);
/// A view that takes long to make is kept for so many times as long.
const AGE_IN_COSTS: u32 = 10;
/// The most nodes of a view that was asked for by its path.
const MOST_NODES: usize = 100_000;
/// The most views besides [`DashboardView::Best`] at a time; each may hold tens of megabytes.
const MOST_VIEWS: usize = 8;

/// The views that are in use.
#[derive(Debug, Default)]
pub(in super::super) struct ViewCache {
    best: Arc<CachedView>,
    /// They live as long as a request or a stream uses them.
    others: SyncMutex<Vec<Weak<CachedView>>>,
}

impl ViewCache {
    /// A view, which every reader shares; `None` when too many other ones are in use.
    pub(in super::super) fn get(&self, view: &DashboardView) -> Option<Arc<CachedView>> {
        if *view == DashboardView::Best {
            return Some(Arc::clone(&self.best));
        }
        let mut others = self.others.lock();
        others.retain(|other| other.strong_count() > 0);
        let in_use = others.iter().filter_map(Weak::upgrade).find(|other| other.view == *view);
        if in_use.is_some() || others.len() >= MOST_VIEWS {
            return in_use;
        }
        let new = Arc::new(CachedView { view: view.clone(), ..CachedView::default() });
        others.push(Arc::downgrade(&new));
        Some(new)
    }

    /// Lets the next reader of any view see what has changed.
    pub(in super::super) async fn clear(&self) {
        for view in self.in_use() {
            *view.last.lock().await = None;
        }
    }

    /// Lets readers see soon what a test has shown; there may be many tests a second.
    pub(in super::super) async fn expire(&self) {
        for view in self.in_use() {
            if let Some(made) = &mut *view.last.lock().await {
                made.is_stale = true;
            }
        }
    }

    fn in_use(&self) -> Vec<Arc<CachedView>> {
        let others = self.others.lock();
        others.iter().filter_map(Weak::upgrade).chain([Arc::clone(&self.best)]).collect()
    }
}

/// One view, with what was made of it last.
#[derive(Debug, Default)]
pub(in super::super) struct CachedView {
    view: DashboardView,
    last: Mutex<Option<Made>>,
    /// The last snapshot of the connections, and when it was made.
    pub(in super::super) connections: Mutex<Option<(Instant, Arc<str>)>>,
}

#[derive(Debug)]
struct Made {
    at: Instant,
    /// How long that took.
    cost: Duration,
    view: Arc<PoolView>,
    /// Something that it shows has changed.
    is_stale: bool,
}

impl CachedView {
    /// The pool in this view; who asks while it is made waits for it.
    pub(in super::super) async fn pool(&self, api: &ApiState) -> Result<Arc<PoolView>, ApiError> {
        let mut last = self.last.lock().await;
        if let Some(Made { at, cost, view, is_stale }) = &*last {
            let longest = *cost * AGE_IN_COSTS;
            if at.elapsed() < if *is_stale { longest } else { longest.max(AGE) } {
                return Ok(Arc::clone(view));
            }
        }
        let (begun, asked) = (Instant::now(), self.view.clone());
        let view = api.off_thread(move |control| {
            let instance = control.dashboard_instance();
            let most = if asked == DashboardView::Best { instance.settings.nodes } else { MOST_NODES };
            PoolView::new(control.dashboard_pool(&asked, most), instance)
        });
        let view = Arc::new(view.await?);
        *last = Some(Made { at: Instant::now(), cost: begun.elapsed(), view: Arc::clone(&view), is_stale: false });
        Ok(view)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_view_lives_as_long_as_it_is_used_and_there_are_few() {
        let cache = ViewCache::default();
        let country = |n: u8| DashboardView::Country([b'A', b'A' + n]);
        let most = u8::try_from(MOST_VIEWS).unwrap();
        let mut used: Vec<_> = (0..most).map(|n| cache.get(&country(n)).unwrap()).collect();
        assert!(Arc::ptr_eq(&used[0], &cache.get(&country(0)).unwrap()), "readers share it");
        assert!(cache.get(&country(most)).is_none() && cache.get(&DashboardView::Best).is_some());
        used.pop();
        assert!(cache.get(&country(most)).is_some());
    }
}
