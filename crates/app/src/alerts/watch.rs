//! Looks at the facts every few seconds, and tells the receivers of alerts and the readers of events what is new.

use std::{collections::HashMap, sync::Arc, time::Duration};

use hezar_api::{AlertEvent, AlertTestReport, EventHub, Topic};
use tokio::{
    task::spawn_blocking,
    time::{MissedTickBehavior, interval},
};
use tokio_util::sync::CancellationToken;

use super::{
    AlertBoard, AlertSender, FactSources,
    facts::{Facts, Trends},
    message::{Message, Status},
    progress::{News, Progress, TroubleState},
    sender::Outgoing,
    troubles::trouble,
};
use crate::{
    config::{AlertCondition, AlertConfig},
    runtime::Runtime,
};

/// How often the facts are looked at.
const EVERY: Duration = Duration::from_secs(5);

/// Looks at the facts and tells what is new.
pub(crate) struct AlertWatch {
    pub(crate) sources: Arc<FactSources>,
    pub(crate) runtime: Arc<Runtime>,
    pub(crate) sender: Arc<AlertSender>,
    pub(crate) board: Arc<AlertBoard>,
    pub(crate) hub: Arc<EventHub>,
    /// The name of this machine, for messages.
    pub(crate) host: String,
}

/// What was seen so far.
#[derive(Default)]
struct Seen {
    trends: Trends,
    progress: HashMap<(Box<str>, AlertCondition), Progress>,
    /// The alerts as they were the last time.
    alerts: Vec<AlertConfig>,
}

impl Seen {
    /// Forgets the progress of what is not told any more, or told to somebody else.
    fn follow(&mut self, alerts: &[AlertConfig]) {
        if self.alerts == alerts {
            return;
        }
        let find = |list: &[AlertConfig], name: &str| list.iter().find(|alert| *alert.name == *name).cloned();
        self.progress.retain(|(name, condition), _| {
            let (Some(old), Some(new)) = (find(&self.alerts, name), find(alerts, name)) else { return false };
            new.enabled && new.when.0.contains(condition) && old.has_receiver_of(&new)
        });
        self.alerts = alerts.to_vec();
    }
}

impl AlertWatch {
    /// Looks until `stop`.
    pub(crate) async fn run(&self, stop: CancellationToken) {
        let mut seen = Seen::default();
        let mut ticks = interval(EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = ticks.tick() => {}
            }
            let sources = Arc::clone(&self.sources);
            // A panic in it is logged by its hook; the next look tries again.
            let Ok(facts) = spawn_blocking(move || sources.read()).await else { continue };
            let applied = self.runtime.applied();
            self.look(&facts, &applied.config.alerts, &mut seen);
        }
    }

    /// Takes in the facts of a moment, and tells what is new.
    fn look(&self, facts: &Facts, alerts: &[AlertConfig], seen: &mut Seen) {
        seen.follow(alerts);
        self.board.retain(alerts);
        for config in alerts.iter().filter(|alert| alert.enabled) {
            for condition in &config.when.0 {
                self.look_at(*condition, config, facts, seen);
            }
        }
        seen.trends.note(facts);
    }

    fn look_at(&self, condition: AlertCondition, config: &AlertConfig, facts: &Facts, seen: &mut Seen) {
        let text = trouble(condition, config, facts, &seen.trends);
        let progress = seen.progress.entry((config.name.clone(), condition)).or_default();
        let news = progress.step(text.is_some(), facts.now, config);
        self.board.note(&config.name, condition, *progress, text.clone());
        let Some(news) = news else { return };
        let status = match news {
            News::Firing => Status::Firing,
            News::Resolved => Status::Resolved,
        };
        let text = text.unwrap_or_else(|| "the trouble is over".to_owned());
        tracing::warn!(alert = %config.name, condition = condition.name(), active = status == Status::Firing, "{text}");
        let event = AlertEvent {
            alert: format!("{}/{}", config.name, condition.name()),
            active: status == Status::Firing,
            text: text.clone(),
        };
        self.hub.publish(Topic::Alerts, &event);
        let message = self.message(config, condition.name(), status, text);
        self.sender.leave(Outgoing { config: config.clone(), message });
    }

    fn message(&self, config: &AlertConfig, condition: &'static str, status: Status, text: String) -> Message {
        let (alert, at) = (config.name.clone(), self.sources.clock.wall());
        Message { alert, condition, status, text, at, host: self.host.clone() }
    }

    /// Sends a message that says that it is a test, and waits for how that ends; `None` when there is no such alert.
    pub(crate) async fn test(&self, name: &str) -> Option<AlertTestReport> {
        let config = self.runtime.applied().config.alerts.iter().find(|alert| *alert.name == *name)?.clone();
        let text = "this is a test of the alert; nothing is wrong".to_owned();
        let message = self.message(&config, "test", Status::Test, text);
        let error = self.sender.deliver(&Outgoing { config, message }).await.err();
        Some(AlertTestReport { sent: error.is_none(), error: error.map(|error| format!("{error:#}")) })
    }

    /// The troubles that are told or would be, each as `ALERT/CONDITION: text`.
    pub(crate) fn firing(&self) -> Vec<String> {
        let mut lines = Vec::new();
        for alert in self.show() {
            let firing = alert.troubles.iter().filter(|trouble| trouble.state == TroubleState::Firing.name());
            lines.extend(firing.map(|trouble| {
                format!("{}/{}: {}", alert.name, trouble.condition, trouble.text.as_deref().unwrap_or_default())
            }));
        }
        lines
    }

    /// Every alert with its states.
    pub(crate) fn show(&self) -> Vec<hezar_api::AlertDto> {
        self.board.show(&self.runtime.applied().config.alerts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_bound_keeps_what_was_told_and_another_receiver_does_not() {
        let config = |disk_percent, url: &str, when: &[AlertCondition]| AlertConfig {
            name: "phone".into(),
            disk_percent,
            webhook: Some(url.into()),
            when: crate::config::AlertConditions(when.to_vec()),
            ..AlertConfig::default()
        };
        let disk = [AlertCondition::Disk];
        let seen = || {
            let mut seen = Seen { alerts: vec![config(5, "https://a.test", &disk)], ..Seen::default() };
            seen.progress.insert(("phone".into(), AlertCondition::Disk), Progress::default());
            seen
        };
        for (alerts, kept) in [
            (vec![config(6, "https://a.test", &disk)], 1),
            (vec![config(5, "https://b.test", &disk)], 0),
            (vec![config(5, "https://a.test", &[AlertCondition::Success])], 0),
            (vec![AlertConfig { enabled: false, ..config(5, "https://a.test", &disk) }], 0),
            (Vec::new(), 0),
        ] {
            let mut seen = seen();
            seen.follow(&alerts);
            assert_eq!(seen.progress.len(), kept, "{alerts:?}");
        }
    }
}
