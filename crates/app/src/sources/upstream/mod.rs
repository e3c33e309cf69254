//! Another instance as a source: what its feed says, how it is followed, and over whose feeds its nodes came.

mod content;
mod follow;
mod table;
#[cfg(test)]
mod tests;

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use hezar_core::{NodeId, Secret, Timestamp};
use hezar_engine::{
    Attempt, Dialer, TlsClients,
    http::{self, HttpRequest, ResponseLimits},
};
use parking_lot::Mutex;
use url::Url;

use crate::config::feed_url;

pub(super) use content::{FeedContent, FeedFault, links};
pub(super) use follow::follow_all;
pub(crate) use table::Upstreams;

/// How long the other instance may wait for a change before it answers.
const WAIT: Duration = Duration::from_secs(20);
/// How much longer the answer may take.
const GRACE: Duration = Duration::from_secs(10);
/// The most bytes of the answer that says whether something has changed.
const ANSWER_BYTES: u64 = 64 * 1024;

/// Another instance that is a source.
pub(crate) struct Upstream {
    /// The name of this instance in feeds.
    own_name: Arc<str>,
    known: Mutex<Known>,
}

/// What its feed has said so far.
#[derive(Default)]
struct Known {
    /// Where to go on.
    cursor: Option<String>,
    /// When everything was read last.
    whole: Option<Timestamp>,
    /// Each of its nodes with the instances over whose feeds it came here, the nearest one in front.
    nodes: HashMap<NodeId, Arc<[Box<str>]>>,
    /// How many of our own nodes it told last that it does not tell.
    from_us: usize,
}

impl Upstream {
    fn new(own_name: Arc<str>) -> Self {
        Self { own_name, known: Mutex::default() }
    }

    /// The name of this instance in feeds.
    pub(super) fn own_name(&self) -> Arc<str> {
        Arc::clone(&self.own_name)
    }

    /// Over whose feeds a node came here, the nearest one in front; `None` when this upstream does not tell it now.
    pub(crate) fn via(&self, id: NodeId) -> Option<Arc<[Box<str>]>> {
        self.known.lock().nodes.get(&id).cloned()
    }

    /// Where the feed at `base` is asked for what is new. Once an `interval` everything is asked for, so that nothing that went wrong
    /// lasts.
    pub(super) fn question(&self, base: &Url, interval: Duration, now: Timestamp) -> Secret {
        let known = self.known.lock();
        let is_fresh = known.whole.is_some_and(|whole| now.since(whole) < interval);
        let mut url = feed_url(base, &[]);
        url.query_pairs_mut().append_pair("reader", &self.own_name);
        if let Some(cursor) = known.cursor.as_deref().filter(|_| is_fresh) {
            url.query_pairs_mut().append_pair("after", cursor);
        }
        Secret::new(url.as_str())
    }

    /// Notes what an answer said, after the pool has taken it in. Nodes that the pool has left out are not remembered: the other
    /// instance may name new ones without end.
    pub(super) fn note(&self, content: &FeedContent, now: Timestamp, is_listed: impl Fn(NodeId) -> bool) {
        let mut known = self.known.lock();
        if content.whole {
            known.nodes.clear();
            known.whole = Some(now);
            known.from_us = content.from_us;
        }
        for id in &content.gone {
            known.nodes.remove(id);
        }
        let told = content.told.iter().filter(|told| is_listed(told.id));
        known.nodes.extend(told.map(|told| (told.id, Arc::clone(&told.via))));
        known.cursor = Some(content.cursor.clone());
    }

    /// Of the nodes that were told so far those that a whole answer does not name, or that an answer says are gone.
    pub(super) fn left_by(&self, content: &FeedContent) -> Vec<NodeId> {
        if !content.whole {
            return content.gone.clone();
        }
        let named: HashSet<NodeId> = content.told.iter().map(|told| told.id).collect();
        self.known.lock().nodes.keys().filter(|id| !named.contains(*id)).copied().collect()
    }

    /// Whether it newly tells that so many of its nodes came from here.
    pub(super) fn is_news_from_us(&self, content: &FeedContent) -> bool {
        content.whole && content.from_us > 0 && self.known.lock().from_us == 0
    }

    /// Where to go on; `None` before the first answer.
    fn cursor(&self) -> Option<String> {
        self.known.lock().cursor.clone()
    }

    /// How many nodes it tells.
    fn len(&self) -> usize {
        self.known.lock().nodes.len()
    }
}

/// Waits at the other instance until its feed has changed behind the cursor; says whether it has.
async fn await_change(
    via: &dyn Dialer,
    tls: &TlsClients,
    base: &Url,
    token: &Secret,
    cursor: &str,
) -> anyhow::Result<bool> {
    let mut url = feed_url(base, &["changes"]);
    let wait = WAIT.as_secs().to_string();
    url.query_pairs_mut().append_pair("after", cursor).append_pair("wait", &wait);
    let request = HttpRequest::of_url(&url)?.with_header("authorization", &format!("Bearer {}", token.expose()))?;
    let limits = ResponseLimits { body: ANSWER_BYTES, ..ResponseLimits::default() };
    let answer = http::send(via, tls, &request, &Attempt::within(WAIT + GRACE), limits).await?;
    anyhow::ensure!(answer.status() == 200, "it answers with HTTP status {}", answer.status());
    let said: hezar_api::FeedChangesDto = serde_json::from_slice(&answer.bytes().await?)?;
    Ok(said.changed)
}
