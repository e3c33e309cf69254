//! Sources and the configuration of a running instance.

use async_trait::async_trait;

use crate::{ApiError, FetchReport, FetchRequest, ReloadReport};

/// Sources and the configuration of a running instance.
#[async_trait]
pub trait SettingsPort: Send + Sync + 'static {
    /// Reads sources now, and waits for the results as long as the request says.
    ///
    /// # Errors
    /// [`ApiError::BadRequest`] when there is no such source, [`ApiError::Busy`] when too much is asked for.
    async fn fetch(&self, request: &FetchRequest) -> Result<FetchReport, ApiError>;

    /// Reads the configuration again and applies what differs.
    ///
    /// # Errors
    /// [`ApiError::BadRequest`] with every mistake; then nothing has changed.
    async fn reload(&self) -> Result<ReloadReport, ApiError>;
}
