//! What users have moved.

use async_trait::async_trait;

use crate::{ApiError, ListDto, UsageDayDto, UsageParameters, UserUsageDto};

/// What users have moved.
#[async_trait]
pub trait UsagePort: Send + Sync + 'static {
    /// The bytes of users by day, the oldest day in front, one part of the list at a time.
    ///
    /// # Errors
    /// [`ApiError::BadRequest`] when a date or the cursor is malformed, [`ApiError::Busy`] when the store cannot be read now.
    async fn usage(&self, query: &UsageParameters) -> Result<ListDto<UsageDayDto>, ApiError>;

    /// What one user has moved so far; `None` when there is no such user.
    fn usage_of_user(&self, name: &str) -> Option<UserUsageDto>;
}
