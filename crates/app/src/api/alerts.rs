//! Alerts as the API shows and tests them.

use async_trait::async_trait;
use hezar_api::{AlertDto, AlertTestReport, AlertsPort};

use super::ApiBackend;

#[async_trait]
impl AlertsPort for ApiBackend {
    fn alerts(&self) -> Vec<AlertDto> {
        self.alerts.show()
    }

    async fn test_alert(&self, name: &str) -> Option<AlertTestReport> {
        self.alerts.test(name).await
    }
}
