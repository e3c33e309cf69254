//! Nodes and bans: what the API asks about them and does with them.

use async_trait::async_trait;
use hyper::body::Bytes;

use crate::{
    AddQuery, AddReport, ApiError, BanDto, ExitDto, ExitsPage, ExitsQuery, LiftReport, LinkDto, MarkReport,
    MarkRequest, NodeDto, NodesPage, NodesQuery, ProbeReport, ProbeRequest, RemoveReport, RemoveRequest, RotateReport,
    Saved, SiteEvidenceDto,
};

/// Nodes and bans: what the API asks about them and does with them.
#[async_trait]
pub trait NodesPort: Send + Sync + 'static {
    /// One page of nodes.
    ///
    /// # Errors
    /// [`ApiError::BadRequest`] when a filter's value is not known.
    fn nodes(&self, query: &NodesQuery) -> Result<NodesPage, ApiError>;

    /// One node.
    ///
    /// # Errors
    /// [`ApiError::BadRequest`] when the id is malformed.
    fn node(&self, id: &str) -> Result<Option<NodeDto>, ApiError>;

    /// The share link of one node, with its credentials.
    ///
    /// # Errors
    /// [`ApiError::BadRequest`] when the id is malformed.
    fn link(&self, id: &str) -> Result<Option<LinkDto>, ApiError>;

    /// Adds the links in `text` (any form and encoding that the parser reads), and waits a moment until they are in the store.
    ///
    /// # Errors
    /// [`ApiError::Unavailable`] while the instance shuts down, [`ApiError::StoreOverflow`], [`ApiError::StoreRefused`].
    async fn add(&self, text: Bytes, query: &AddQuery) -> Result<Saved<AddReport>, ApiError>;

    /// Probes nodes now, and waits for the results as long as the request says.
    ///
    /// # Errors
    /// [`ApiError::BadRequest`] when a filter's value is not known, [`ApiError::Busy`] when too much is asked for.
    async fn probe(&self, request: &ProbeRequest) -> Result<ProbeReport, ApiError>;

    /// Removes nodes by id, bans them if that is asked, and waits a moment until that is in the store.
    ///
    /// # Errors
    /// [`ApiError::BadRequest`] when an id is malformed or names several nodes, or there are too many bans, and those of [`NodesPort::add`].
    async fn remove(&self, request: &RemoveRequest) -> Result<Saved<RemoveReport>, ApiError>;

    /// Gives the Tor circuit that a node stands for another login, so that it comes out elsewhere. `None` when there is no such node.
    ///
    /// # Errors
    /// [`ApiError::BadRequest`] when the id is malformed, [`ApiError::Conflict`] when the node is no circuit of a Tor client that can
    /// be used now.
    fn rotate_node(&self, id: &str) -> Result<Option<RotateReport>, ApiError>;

    /// Every ban, in the order of the ids.
    fn bans(&self) -> Vec<BanDto>;

    /// Lifts bans, and waits a moment until that is in the store.
    ///
    /// # Errors
    /// [`ApiError::BadRequest`] when an id is malformed or names several nodes, and those of [`NodesPort::add`].
    async fn lift(&self, ids: &[String]) -> Result<Saved<LiftReport>, ApiError>;

    /// Says something about nodes, and waits a moment until that is in the store.
    ///
    /// # Errors
    /// [`ApiError::BadRequest`] when a value is malformed or too much is said, and those of [`NodesPort::add`].
    async fn mark(&self, request: MarkRequest) -> Result<Saved<MarkReport>, ApiError>;

    /// What is known of a node at one site; `None` when there is no such node.
    ///
    /// # Errors
    /// [`ApiError::BadRequest`] when the id or the site is malformed.
    fn site_evidence(&self, id: &str, site: &str) -> Result<Option<SiteEvidenceDto>, ApiError>;

    /// One part of the exits.
    ///
    /// # Errors
    /// [`ApiError::BadRequest`] when a filter's value is malformed.
    fn exits(&self, query: &ExitsQuery) -> Result<ExitsPage, ApiError>;

    /// One exit; `None` when no node is known to have it.
    ///
    /// # Errors
    /// [`ApiError::BadRequest`] when it is no address.
    fn exit(&self, ip: &str) -> Result<Option<ExitDto>, ApiError>;
}
