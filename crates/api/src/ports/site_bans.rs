//! Bans of exits for sites: what the API asks about them and does with them.

use async_trait::async_trait;

use crate::{ApiError, Saved, SiteBanDto, SiteBanRequest, SiteBansFilter, SiteBansLifted, SiteBansPage, SiteBansQuery};

/// Bans of exits for sites: what the API asks about them and does with them. Each change waits a moment until it is in the store.
#[async_trait]
pub trait SiteBansPort: Send + Sync + 'static {
    /// One part of the bans that hold now.
    ///
    /// # Errors
    /// [`ApiError::BadRequest`] when a parameter is malformed.
    fn site_bans(&self, query: &SiteBansQuery) -> Result<SiteBansPage, ApiError>;

    /// Begins a ban, or gives the one of the same site and exit another end and reason.
    ///
    /// # Errors
    /// [`ApiError::BadRequest`] when a value is malformed, [`ApiError::NotFound`] when there is no such node or its exit is not known,
    /// [`ApiError::StoreOverflow`], [`ApiError::StoreRefused`], [`ApiError::Unavailable`].
    async fn ban_exit(&self, request: &SiteBanRequest) -> Result<Saved<SiteBanDto>, ApiError>;

    /// Lifts one ban by its id.
    ///
    /// # Errors
    /// [`ApiError::BadRequest`] when the id is malformed, and those of the store.
    async fn lift_site_ban(&self, id: &str) -> Result<Saved<SiteBansLifted>, ApiError>;

    /// Lifts every ban that fits a filter.
    ///
    /// # Errors
    /// [`ApiError::BadRequest`] when a value is malformed or the filter says nothing, and those of the store.
    async fn lift_site_bans(&self, filter: &SiteBansFilter) -> Result<Saved<SiteBansLifted>, ApiError>;
}
