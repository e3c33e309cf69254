//! The views with what only writers need of them.

use std::{collections::BTreeMap, sync::Arc};

use super::{
    exits::ExitTableWriter,
    snapshot::Views,
    view::{View, ViewKey},
};

/// The views, and the writers' side of their exits.
#[derive(Debug)]
pub(super) struct ViewTables {
    views: Arc<Views>,
    exit_writers: BTreeMap<ViewKey, ExitTableWriter>,
}

impl ViewTables {
    pub(super) fn new() -> Self {
        Self { views: Arc::new(vec![(ViewKey::ALL, Arc::default())]), exit_writers: BTreeMap::new() }
    }

    /// The views as readers see them.
    pub(super) fn views(&self) -> Arc<Views> {
        Arc::clone(&self.views)
    }

    /// The number of nodes in a view; 0 when there is no such view.
    pub(super) fn len_of(&self, key: ViewKey) -> usize {
        let found = self.views.binary_search_by_key(&key, |(k, _)| *k);
        found.ok().and_then(|index| self.views.get(index)).map_or(0, |(_, view)| view.len())
    }

    /// The view with this key, made if there is none. Views stay when they become empty: there are at most as many as
    /// filters times pairs of letters, and their turn counter should not start again.
    pub(super) fn view_mut(&mut self, key: ViewKey) -> (&mut View, &mut ExitTableWriter) {
        let views = Arc::make_mut(&mut self.views);
        let index = match views.binary_search_by_key(&key, |(k, _)| *k) {
            Ok(index) => index,
            Err(index) => {
                views.insert(index, (key, Arc::default()));
                index
            }
        };
        (Arc::make_mut(&mut views[index].1), self.exit_writers.entry(key).or_default())
    }

    /// Ends the views of a filter.
    pub(super) fn remove_views_of(&mut self, filter: u32) {
        Arc::make_mut(&mut self.views).retain(|(key, _)| key.filter != filter);
        self.exit_writers.retain(|key, _| key.filter != filter);
    }
}
