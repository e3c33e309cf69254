//! The answers that name every node or every group: made once for a view, with a tag by which readers ask whether they have changed.

use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};

use axum::{
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use hyper::body::Bytes;
use serde::Serialize;

use super::{
    proxy::{self, GroupJson, ProviderJson},
    reply::json_line,
    view::PoolView,
};
use crate::etag;

/// JSON text that many readers get.
#[derive(Clone, Debug, Default)]
pub(super) struct LongAnswer {
    text: Bytes,
    /// The entity tag (RFC 9110, section 8.8.3).
    tag: String,
}

/// The long answers of a view.
#[derive(Debug, Default)]
pub(super) struct LongAnswers {
    pub(super) proxies: LongAnswer,
    pub(super) groups: LongAnswer,
    pub(super) providers: LongAnswer,
}

impl LongAnswers {
    pub(super) fn new(view: &PoolView) -> Self {
        let groups: Vec<GroupJson<'_>> = view.groups.iter().map(|of| proxy::group(view, of)).collect();
        let providers: Vec<ProviderJson<'_>> = view.providers.iter().map(|of| proxy::provider(view, of)).collect();
        let groups_by_name = InOrder(groups.iter().map(|group| (group.name, group)).collect());
        let providers_by_name = InOrder(providers.iter().map(|provider| (provider.name, provider)).collect());
        Self {
            proxies: LongAnswer::new(&InOrder(vec![("proxies", &groups_by_name)])),
            groups: LongAnswer::new(&InOrder(vec![("proxies", &groups)])),
            providers: LongAnswer::new(&InOrder(vec![("providers", &providers_by_name)])),
        }
    }
}

impl LongAnswer {
    fn new(value: &impl Serialize) -> Self {
        let text = json_line(value);
        let hash = BuildHasherDefault::<DefaultHasher>::default().hash_one(&text);
        Self { tag: format!("\"{hash:016x}-{:x}\"", text.len()), text: text.into() }
    }

    /// The answer, or 304 for a client that has it.
    pub(super) fn response(&self, asked: &HeaderMap) -> Response {
        let tag = [(header::ETAG, self.tag.clone()), (header::CACHE_CONTROL, "no-cache".to_owned())];
        if etag::is_known(asked, &self.tag) {
            return (StatusCode::NOT_MODIFIED, tag).into_response();
        }
        (tag, [(header::CONTENT_TYPE, "application/json")], self.text.clone()).into_response()
    }
}

/// A map with its entries in this order, which is the order on the screen.
struct InOrder<'a, T>(Vec<(&'a str, &'a T)>);

impl<T: Serialize> Serialize for InOrder<'_, T> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().copied())
    }
}
