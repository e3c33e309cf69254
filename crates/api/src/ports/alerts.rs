//! Alerts that the instance sends itself.

use async_trait::async_trait;

use crate::{AlertDto, AlertTestReport};

/// Alerts that the instance sends itself.
#[async_trait]
pub trait AlertsPort: Send + Sync + 'static {
    /// Every alert of the configuration with the state of its troubles.
    fn alerts(&self) -> Vec<AlertDto>;

    /// Sends a message that says that it is a test, once, and waits for how that ends; `None` when there is no such alert.
    async fn test_alert(&self, name: &str) -> Option<AlertTestReport>;
}
