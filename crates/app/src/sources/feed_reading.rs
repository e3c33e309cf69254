//! Reads another instance's feed as a source: only what has changed, with what the other one knows of its nodes.

use std::{collections::HashSet, sync::Arc};

use hezar_core::{NodeId, Timestamp};
use hezar_engine::Dialer;
use hezar_fetch::{FetchOutcome, Fetched, SourceKind, SourceSpec, Validators};
use hezar_pool::{Hearsay, LeftOut};
use hezar_store::SourceRow;
use tokio::task::spawn_blocking;
use url::Url;

use super::{
    LOOP, NO_NODES, Reading,
    failure::Failure,
    reader::{Reader, unbroken},
    upstream::{FeedContent, FeedFault, Upstream},
};

/// What has become of a feed in the pool.
#[derive(Default)]
struct FeedMerged {
    added: usize,
    /// Nodes that serve from now on because the other instance says that they work.
    believed: usize,
    listed: usize,
    left_out: LeftOut,
}

impl Reader {
    /// Fetches what is new in the feed.
    pub(super) async fn bring_feed(
        &self,
        base: &Url,
        upstream: &Upstream,
        spec: SourceSpec,
        via: &dyn Dialer,
        now: Timestamp,
    ) -> Result<FeedContent, Failure> {
        let question = upstream.question(base, self.source.interval, now);
        let (spec, wall) = (SourceSpec { kind: SourceKind::Url(question), ..spec }, self.clock.wall());
        let bytes = match self.fetcher.fetch(&spec, via, &Validators::default(), wall).await {
            Ok(Fetched::Documents(found)) => found.documents.into_iter().next().map(|document| document.bytes),
            Ok(Fetched::NotModified) => None,
            Err(error) => return Err(Failure::of_fetch(&error, now, wall)),
        };
        let own_name = upstream.own_name();
        // Parsing takes a core for a while: not on a thread that carries traffic.
        let read = spawn_blocking(move || Some(FeedContent::read(&bytes?, &own_name, now)));
        match unbroken(read.await) {
            Some(Ok(content)) if content.is_loop() => {
                let text = format!("all {} nodes that it has to tell came from this instance", content.from_us);
                Err(Failure::new(LOOP, text))
            }
            Some(Ok(content)) => Ok(content),
            Some(Err(FeedFault::OurOwn)) => {
                Err(Failure::new(LOOP, "it is this instance itself: give the address of another one".to_owned()))
            }
            Some(Err(FeedFault::NotAFeed)) | None => {
                let text = "the answer is no feed: is it the address of the API of a Hezar that has feeds?";
                Err(Failure::new(NO_NODES, text.to_owned()))
            }
        }
    }

    /// Takes in what the feed said.
    pub(super) async fn merge_feed(
        &self,
        mut row: SourceRow,
        upstream: Arc<Upstream>,
        content: FeedContent,
        now: Timestamp,
    ) -> Reading {
        (row.last_ok, row.error) = (Some(now), None);
        row.rejects = u32::try_from(content.rejects).unwrap_or(u32::MAX);
        if upstream.is_news_from_us(&content) {
            tracing::info!(
                source = %row.name, nodes = content.from_us,
                "nodes that came from this instance are not counted: the other one takes from it, too"
            );
        }
        let (reader, name) = (self.clone(), Arc::clone(&row.name));
        let merged = unbroken(spawn_blocking(move || reader.merge_feed_now(&name, &upstream, &content, now)).await);
        row.nodes = u32::try_from(merged.listed).unwrap_or(u32::MAX);
        if merged.left_out.total() > 0 {
            tracing::warn!(source = %row.name, nodes = merged.left_out.total(), "nodes left out: [pool] allows no more");
        }
        tracing::debug!(
            source = %row.name, nodes = row.nodes, added = merged.added, believed = merged.believed, "feed merged"
        );
        Reading {
            row,
            added: merged.added,
            left_out: merged.left_out.total(),
            unchanged: false,
            ended: FetchOutcome::Succeeded,
        }
    }

    fn merge_feed_now(
        &self,
        name: &Arc<str>,
        upstream: &Upstream,
        content: &FeedContent,
        now: Timestamp,
    ) -> FeedMerged {
        let retired = self.retired.read();
        if *retired {
            return FeedMerged::default();
        }
        let mut seen = HashSet::new();
        let told = content.told.iter().filter(|told| seen.insert(told.id));
        let nodes = told.map(|told| (told.id, told.spec.clone(), told.label.clone())).collect();
        let left: Vec<NodeId> = upstream.left_by(content);
        let applied = self.pool.list(name, self.source.allow_private, nodes, content.whole, now);
        if !content.whole {
            self.pool.unlist_nodes(name, &left, now);
        }
        let is_listed = |id: &NodeId| self.pool.node(*id).is_some_and(|node| node.listed());
        let unlisted: Vec<NodeId> = left.into_iter().filter(|id| !is_listed(id)).collect();
        self.pool.disbelieve(&unlisted);
        let said: Vec<(NodeId, Hearsay)> = content.told.iter().map(|told| (told.id, told.hearsay)).collect();
        let believed = self.pool.believe(&said, now);
        upstream.note(content, now, |id| self.pool.node(id).is_some_and(|node| node.listed_by(name)));
        let listed = self.pool.sources().into_iter().find(|(source, ..)| source == name);
        FeedMerged {
            added: applied.added,
            believed,
            listed: listed.map_or(0, |(.., nodes)| nodes),
            left_out: applied.left_out,
        }
    }
}
