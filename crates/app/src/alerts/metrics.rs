//! What is counted of alerts.

use std::sync::Arc;

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family},
    registry::Registry,
};

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct MessageLabels {
    alert: Arc<str>,
    result: &'static str,
}

/// The messages of alerts, by how they ended. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(crate) struct AlertMetrics {
    messages: Family<MessageLabels, Counter>,
}

impl AlertMetrics {
    pub(crate) fn register(&self, registry: &mut Registry) {
        let help = "Messages of alerts: sent, failed after all tries, or dropped because too many waited";
        registry.register("hezar_alert_messages", help, self.messages.clone());
    }

    pub(super) fn ended(&self, alert: &str, result: &'static str) {
        self.messages.get_or_create(&MessageLabels { alert: alert.into(), result }).inc();
    }

    #[cfg(test)]
    pub(super) fn count(&self, alert: &str, result: &'static str) -> u64 {
        self.messages.get_or_create(&MessageLabels { alert: alert.into(), result }).get()
    }
}
