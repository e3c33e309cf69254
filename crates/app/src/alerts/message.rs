//! A message about a trouble, in the form that each receiver wants.

use hezar_core::{Secret, Timestamp};
use hezar_engine::http::{HttpRequest, RequestError};
use serde_json::json;

use crate::{
    config::{AlertConfig, TelegramConfig},
    version::VERSION,
};

/// What a message is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Status {
    Firing,
    Resolved,
    /// Somebody tries the receiver.
    Test,
}

impl Status {
    const fn name(self) -> &'static str {
        match self {
            Self::Firing => "firing",
            Self::Resolved => "resolved",
            Self::Test => "test",
        }
    }
}

/// A message about a trouble.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Message {
    /// The name of the alert.
    pub(super) alert: Box<str>,
    /// The name of the condition; `test` when there is none.
    pub(super) condition: &'static str,
    pub(super) status: Status,
    pub(super) text: String,
    /// When; webhooks get it in milliseconds since the Unix epoch.
    pub(super) at: Timestamp,
    /// The name of this machine.
    pub(super) host: String,
}

impl Message {
    /// The request that brings it to the receiver of an alert.
    ///
    /// # Errors
    /// [`RequestError`]: the configuration names a receiver that cannot be asked. It does not say which.
    pub(super) fn request(&self, config: &AlertConfig) -> Result<HttpRequest, RequestError> {
        if let Some(telegram) = &config.telegram {
            return self.to_telegram(telegram);
        }
        let request = match (&config.webhook, &config.ntfy) {
            (Some(url), _) => HttpRequest::get(url.expose())?.with_body("application/json", self.json()),
            (None, Some(url)) => self.to_ntfy(url),
            (None, None) => Err(RequestError::Host),
        }?;
        match &config.bearer {
            Some(token) => request.with_header("authorization", &format!("Bearer {}", token.expose())),
            None => Ok(request),
        }
    }

    /// What a webhook gets.
    fn json(&self) -> String {
        json!({
            "alert": self.alert,
            "condition": self.condition,
            "status": self.status.name(),
            "text": self.text,
            "at": self.at.0,
            "host": self.host,
            "version": VERSION,
        })
        .to_string()
    }

    /// `sendMessage` of the Bot API, <https://core.telegram.org/bots/api#sendmessage>.
    fn to_telegram(&self, telegram: &TelegramConfig) -> Result<HttpRequest, RequestError> {
        let token = telegram.token.as_ref().map_or("", Secret::expose);
        let url = format!("{}/bot{token}/sendMessage", telegram.api.trim_end_matches('/'));
        let body = json!({ "chat_id": telegram.chat, "text": self.line() }).to_string();
        HttpRequest::get(&url)?.with_body("application/json", body)
    }

    /// A message to a topic, <https://docs.ntfy.sh/publish/>.
    fn to_ntfy(&self, url: &Secret) -> Result<HttpRequest, RequestError> {
        let (tags, priority) = match self.status {
            Status::Firing => ("warning", "high"),
            Status::Resolved => ("white_check_mark", "default"),
            Status::Test => ("information_source", "default"),
        };
        let request = HttpRequest::get(url.expose())?.with_body("text/plain; charset=utf-8", self.line())?;
        request.with_header("tags", tags)?.with_header("priority", priority)
    }

    /// One line for people.
    fn line(&self) -> String {
        let what = match self.status {
            Status::Firing => "",
            Status::Resolved => "over: ",
            Status::Test => "test: ",
        };
        format!("Hezar at {}: {what}{} ({})", self.host, self.text, self.condition)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn message() -> Message {
        Message {
            alert: "phone".into(),
            condition: "disk",
            status: Status::Firing,
            text: "1 MiB is \"free\"".into(),
            at: Timestamp(86_400_000),
            host: "gate".into(),
        }
    }

    #[test]
    fn a_webhook_gets_json() {
        let json: Value = serde_json::from_str(&message().json()).unwrap();
        assert_eq!(
            (&json["alert"], &json["condition"], &json["status"]),
            (&"phone".into(), &"disk".into(), &"firing".into())
        );
        assert_eq!((&json["at"], &json["text"]), (&86_400_000.into(), &"1 MiB is \"free\"".into()));
    }

    #[test]
    fn no_receiver_no_request_and_no_secret_in_an_error() {
        assert!(message().request(&AlertConfig::default()).is_err());
        let config = AlertConfig { webhook: Some("ht!tp://SECRET".into()), ..AlertConfig::default() };
        let error = message().request(&config).unwrap_err();
        assert!(!format!("{error} {error:?} {config:?}").contains("SECRET"));
    }

    #[test]
    fn people_read_one_line() {
        assert_eq!(message().line(), "Hezar at gate: 1 MiB is \"free\" (disk)");
        let over = Message { status: Status::Resolved, ..message() };
        assert_eq!(over.line(), "Hezar at gate: over: 1 MiB is \"free\" (disk)");
    }
}
