//! What the API shows of alerts: the state of each trouble, and how the last message ended.

use std::collections::BTreeMap;

use hezar_api::{AlertDto, AlertTroubleDto};
use hezar_core::Timestamp;
use hezar_fetch::Via;
use parking_lot::Mutex;

use super::progress::Progress;
use crate::config::{AlertCondition, AlertConfig};

/// How the last message of an alert ended.
#[derive(Clone, Debug)]
struct LastMessage {
    at: Timestamp,
    error: Option<String>,
}

/// What is known of one alert.
#[derive(Debug, Default)]
struct Entry {
    troubles: BTreeMap<AlertCondition, (Progress, Option<String>)>,
    last: Option<LastMessage>,
}

/// The states of all alerts, by name.
#[derive(Debug, Default)]
pub(crate) struct AlertBoard(Mutex<BTreeMap<Box<str>, Entry>>);

impl AlertBoard {
    /// Notes the state of a trouble, with what is wrong while something is.
    pub(super) fn note(&self, alert: &str, condition: AlertCondition, progress: Progress, text: Option<String>) {
        self.0.lock().entry(alert.into()).or_default().troubles.insert(condition, (progress, text));
    }

    /// Notes how a message ended.
    pub(super) fn note_message(&self, alert: &str, at: Timestamp, error: Option<String>) {
        self.0.lock().entry(alert.into()).or_default().last = Some(LastMessage { at, error });
    }

    /// Forgets everything of alerts that are not among these, and the troubles that these do not tell any more.
    pub(super) fn retain(&self, alerts: &[AlertConfig]) {
        self.0.lock().retain(|name, entry| {
            let Some(config) = alerts.iter().find(|alert| alert.name == *name) else { return false };
            entry.troubles.retain(|condition, _| config.enabled && config.when.0.contains(condition));
            true
        });
    }

    /// The alerts of a configuration with what is known of each.
    pub(crate) fn show(&self, alerts: &[AlertConfig]) -> Vec<AlertDto> {
        let board = self.0.lock();
        let nothing = Entry::default();
        alerts.iter().map(|config| dto(config, board.get(&config.name).unwrap_or(&nothing))).collect()
    }
}

fn dto(config: &AlertConfig, entry: &Entry) -> AlertDto {
    let trouble = |condition: &AlertCondition| {
        let (progress, text) = entry.troubles.get(condition).cloned().unwrap_or_default();
        AlertTroubleDto {
            condition: condition.name().to_owned(),
            state: progress.state.name().to_owned(),
            since: progress.since.map(|at| at.0),
            text,
        }
    };
    AlertDto {
        name: config.name.to_string(),
        enabled: config.enabled,
        receiver: receiver(config).to_owned(),
        via: Via::name(config.via).to_owned(),
        troubles: config.when.0.iter().map(trouble).collect(),
        last_message: entry.last.as_ref().map(|last| last.at.0),
        last_error: entry.last.as_ref().and_then(|last| last.error.clone()),
    }
}

/// The kind of receiver that an alert has.
fn receiver(config: &AlertConfig) -> &'static str {
    match (&config.telegram, &config.ntfy) {
        (Some(_), _) => "telegram",
        (None, Some(_)) => "ntfy",
        (None, None) => "webhook",
    }
}
