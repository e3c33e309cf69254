//! What each source lists, as this process has merged it: for a store that several processes write to, where a node's sources must not
//! be replaced by what one of them knows.

use std::collections::BTreeMap;

use hezar_core::{NodeId, SourceName};
use parking_lot::Mutex;

/// What a source lists, as this process has merged it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnList {
    /// The source.
    pub source: SourceName,
    /// The nodes; one that was merged twice may stand here twice.
    pub ids: Vec<NodeId>,
    /// Whether these are all that the source lists, or were added to what it listed before.
    pub complete: bool,
}

/// The lists since they were taken last, one a source. Empty and free of cost until somebody keeps them.
#[derive(Debug, Default)]
pub(crate) struct OwnLists(Mutex<Option<BTreeMap<SourceName, OwnList>>>);

impl OwnLists {
    /// Keeps lists from now on.
    pub(crate) fn keep(&self) {
        self.0.lock().get_or_insert_default();
    }

    /// Whether anybody wants to know.
    pub(crate) fn are_kept(&self) -> bool {
        self.0.lock().is_some()
    }

    pub(crate) fn note(&self, list: OwnList) {
        let mut lists = self.0.lock();
        let Some(lists) = &mut *lists else { return };
        match lists.get_mut(&list.source) {
            Some(known) if !list.complete => known.ids.extend(list.ids),
            _ => {
                lists.insert(SourceName::clone(&list.source), list);
            }
        }
    }

    /// Forgets the list of a source that is gone.
    pub(crate) fn forget(&self, source: &str) {
        if let Some(lists) = &mut *self.0.lock() {
            lists.remove(source);
        }
    }

    pub(crate) fn take(&self) -> Vec<OwnList> {
        let mut lists = self.0.lock();
        lists.as_mut().map(std::mem::take).unwrap_or_default().into_values().collect()
    }
}
