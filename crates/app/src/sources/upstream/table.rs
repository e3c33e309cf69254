//! The upstreams by the names of their sources.

use std::{collections::HashMap, sync::Arc};

use parking_lot::RwLock;

use super::Upstream;

/// All upstreams. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Upstreams {
    own_name: Arc<str>,
    by_source: Arc<RwLock<HashMap<String, Arc<Upstream>>>>,
}

impl Upstreams {
    /// No upstreams yet, of an instance that has this name in feeds.
    pub(crate) fn new(own_name: Arc<str>) -> Self {
        Self { own_name, by_source: Arc::default() }
    }

    /// The name of this instance in feeds.
    pub(crate) fn own_name(&self) -> Arc<str> {
        Arc::clone(&self.own_name)
    }

    /// The upstream that a source is; `None` when the source is something else.
    pub(crate) fn get(&self, source: &str) -> Option<Arc<Upstream>> {
        self.by_source.read().get(source).cloned()
    }

    /// An upstream of which nothing is known yet.
    pub(in crate::sources) fn unread(&self) -> Arc<Upstream> {
        Arc::new(Upstream::new(Arc::clone(&self.own_name)))
    }

    /// Notes the upstream that a source is from now on, or that it is none.
    pub(in crate::sources) fn set(&self, source: &str, upstream: Option<Arc<Upstream>>) {
        let mut by_source = self.by_source.write();
        match upstream {
            Some(upstream) => by_source.insert(source.to_owned(), upstream),
            None => by_source.remove(source),
        };
    }

    /// Forgets the upstreams of all other sources.
    pub(in crate::sources) fn keep(&self, is_kept: impl Fn(&str) -> bool) {
        self.by_source.write().retain(|source, _| is_kept(source));
    }
}
