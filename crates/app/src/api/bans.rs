//! What is done with nodes by id or by filter: removing, banning, lifting bans, marking; and the ids that requests name.

use std::sync::Arc;

use hezar_api::{
    ApiError, BanDto, LiftReport, MarkReport, MarkRequest, NodesFilter, RemoveReport, RemoveRequest, Saved,
};
use hezar_core::NodeId;
use hezar_pool::PoolChange;
use hezar_store::Change;
use tokio::task::spawn_blocking;

use super::{ApiBackend, listing::Filter};
use crate::bans::{bound_short_ids, only, read_full_or};

impl ApiBackend {
    pub(crate) fn all_bans(&self) -> Vec<BanDto> {
        self.bans.list()
    }

    /// Removes nodes, and keeps them away if that is asked.
    pub(crate) async fn remove_nodes(&self, request: &RemoveRequest) -> Result<Saved<RemoveReport>, ApiError> {
        let (mut ids, missing) = self.find_all(&request.ids)?;
        match &request.filter {
            Some(filter) if filter.is_empty() => {
                return Err(ApiError::BadRequest("the filter says nothing: all nodes would go".to_owned()));
            }
            Some(filter) => ids.extend(self.fitting(filter).await?),
            None if ids.is_empty() && missing == 0 => {
                return Err(ApiError::BadRequest("give ids or a filter".to_owned()));
            }
            None => {}
        }
        ids.sort_unstable();
        ids.dedup();
        let now = self.clock.now();
        // They are banned before they are removed: a list that is merged meanwhile must not bring them back.
        let bans = if request.ban { self.bans.add(&ids, &self.pool, now)? } else { Vec::new() };
        let applied = self.pool.apply(PoolChange::Remove(ids.clone()), now);
        let banned = bans.len();
        let changes = bans.into_iter().map(Change::PutBan).collect();
        let missing = missing + ids.len() - applied.removed;
        let done = RemoveReport { removed: applied.removed, missing, banned };
        Ok(Saved { done, stored: self.table.save(changes).await? })
    }

    /// Says something about the nodes of a request.
    pub(crate) async fn mark_nodes(&self, request: MarkRequest) -> Result<Saved<MarkReport>, ApiError> {
        let (ids, missing) = match &request.filter {
            Some(filter) => (self.fitting(filter).await?, 0),
            None => self.find_all(&request.ids)?,
        };
        let (annotations, pool, now) = (self.annotations.clone(), Arc::clone(&self.pool), self.clock.now());
        let matched = ids.len();
        let marking = spawn_blocking(move || annotations.mark(&ids, &request.set, &pool, now));
        let changes = marking.await.map_err(|_| ApiError::Internal)??;
        let done = MarkReport { matched, changed: changes.len(), missing };
        Ok(Saved { done, stored: self.table.save(changes).await? })
    }

    /// The nodes that fit a filter.
    pub(super) async fn fitting(&self, filter: &NodesFilter) -> Result<Vec<NodeId>, ApiError> {
        let (filter, pool) = (Filter::new(filter)?, Arc::clone(&self.pool));
        let finding = spawn_blocking(move || {
            pool.snapshot().nodes().filter(|node| filter.fits(node)).map(|node| node.id()).collect()
        });
        finding.await.map_err(|_| ApiError::Internal)
    }

    /// Lifts bans; the nodes come back with the next reading of a source that lists them.
    pub(crate) async fn lift_bans(&self, ids: &[String]) -> Result<Saved<LiftReport>, ApiError> {
        let lifted = self.bans.lift(ids, &self.pool)?;
        let done = LiftReport { lifted: lifted.len(), missing: ids.len() - lifted.len() };
        // A source that has not changed would not be read again for them.
        let mut changes = self.table.forget_validators();
        changes.extend(lifted.into_iter().map(Change::RemoveBan));
        Ok(Saved { done, stored: self.table.save(changes).await? })
    }

    /// The node that an id or a short id names; `None` when there is none.
    ///
    /// # Errors
    /// The text is no id, or it names several nodes.
    pub(crate) fn find(&self, text: &str) -> Result<Option<NodeId>, ApiError> {
        read_full_or(text, |short| {
            let snapshot = self.pool.snapshot();
            only(short, snapshot.nodes().map(|node| node.id()).filter(|id| id.starts_with(short)))
        })
    }

    /// The nodes that ids name, each once, and how many name none.
    fn find_all(&self, texts: &[String]) -> Result<(Vec<NodeId>, usize), ApiError> {
        bound_short_ids(texts)?;
        let mut ids = Vec::with_capacity(texts.len());
        for text in texts {
            ids.extend(self.find(text)?);
        }
        let missing = texts.len() - ids.len();
        ids.sort_unstable();
        ids.dedup();
        Ok((ids, missing))
    }
}
