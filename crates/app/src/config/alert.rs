//! `[[alert]]`: what this instance tells of its own troubles, and whom.

use std::{ops::RangeInclusive, time::Duration};

use hezar_core::{
    Secret, settings,
    settings::{Given, SettingValue},
};
use hezar_fetch::Via;
use url::Url;

use super::{resolve::plain, section::Section};

/// The most alerts.
const MOST: usize = 32;
/// How long times of an alert may be.
const TIMES: RangeInclusive<Duration> = Duration::ZERO..=Duration::from_secs(30 * 86_400);

/// A trouble that an alert tells of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AlertCondition {
    /// Many of the nodes that were healthy within the last hour are not any more.
    HealthyFall,
    /// No node carries traffic.
    PoolEmpty,
    /// Too few requests succeed.
    Success,
    /// A source cannot be read.
    SourceDead,
    /// The store cannot be written.
    StoreBehind,
    /// A certificate of a listener ends soon.
    Certificate,
    /// The disk of the data folder is nearly full.
    Disk,
    /// The own network or the test page is down.
    Outage,
}

impl AlertCondition {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::HealthyFall,
        Self::PoolEmpty,
        Self::Success,
        Self::SourceDead,
        Self::StoreBehind,
        Self::Certificate,
        Self::Disk,
        Self::Outage,
    ];

    /// Its name in the configuration, the API, the metrics and the messages.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::HealthyFall => "healthy-fall",
            Self::PoolEmpty => "pool-empty",
            Self::Success => "success",
            Self::SourceDead => "source-dead",
            Self::StoreBehind => "store-behind",
            Self::Certificate => "certificate",
            Self::Disk => "disk",
            Self::Outage => "outage",
        }
    }
}

/// The conditions of an alert.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AlertConditions(pub Vec<AlertCondition>);

impl SettingValue for AlertConditions {
    type Range = ();
    const JSON_TYPES: &'static [&'static str] = &["array"];

    fn parse(given: &Given, (): &()) -> Option<Self> {
        let names = Vec::<String>::parse(given, &())?;
        let read = |name: &String| AlertCondition::ALL.into_iter().find(|condition| condition.name() == name);
        let mut conditions = names.iter().map(read).collect::<Option<Vec<_>>>()?;
        conditions.sort_unstable();
        conditions.dedup();
        (!conditions.is_empty()).then_some(Self(conditions))
    }

    fn expected((): &()) -> String {
        format!("a list of {}", AlertCondition::ALL.map(AlertCondition::name).join(", "))
    }

    fn write(&self) -> Option<Given> {
        Some(Given::List(self.0.iter().map(|condition| Given::Text(condition.name().to_owned())).collect()))
    }
}

settings! {
    /// Whom this instance tells of its own troubles.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct AlertConfig in "alert" {
        /// Its name; no other alert has it.
        pub name: Box<str> [1..=64] = "".into();
        /// False: nothing is told.
        pub enabled: bool = true;
        /// The troubles that are told.
        pub when: AlertConditions = AlertConditions(AlertCondition::ALL.to_vec());
        /// How long a trouble must last before it is told.
        pub hold as "for": Duration [TIMES] = Duration::from_secs(60);
        /// The same trouble is told again after this time at the earliest.
        pub cooldown: Duration [TIMES] = Duration::from_secs(3600);
        /// True: it is also told when a trouble is over.
        pub resolved: bool = true;
        /// How messages leave.
        /// "pool": over nodes, and not while none works. "auto": over nodes, and by this machine's own sockets when that fails. "direct": by
        /// this machine's own sockets.
        pub via: Via = Via::Pool;
        /// An https URL that gets a POST with JSON. Plain http needs via = "direct".
        pub webhook: Option<Secret> = None;
        /// The https URL of an ntfy topic.
        pub ntfy: Option<Secret> = None;
        /// A token that webhook or ntfy get as `Authorization: Bearer`.
        pub bearer: Option<Secret> = None;
        /// `healthy-fall`: so many percent of the most healthy nodes within the last hour are lost.
        pub fall_percent: usize [1..=100] = 40;
        /// `success`: of the requests of the last five minutes, at least twenty, fewer percent are served.
        pub success_percent: usize [1..=100] = 90;
        /// `source-dead`: a source could not be read for so long.
        pub source_after: Duration [TIMES] = Duration::from_secs(86_400);
        /// `certificate`: it ends within this time.
        pub certificate_before: Duration [TIMES] = Duration::from_secs(14 * 86_400);
        /// `disk`: fewer percent are free.
        pub disk_percent: usize [1..=100] = 5;
    } and {
        /// The Telegram bot, when messages go to one.
        pub telegram: Option<TelegramConfig> = None;
    }
}

settings! {
    /// A Telegram bot that tells of troubles.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct TelegramConfig in "telegram" {
        /// The token that @BotFather gave.
        pub token: Option<Secret> = None;
        /// The number of the chat, or the name of a public channel with `@` in front.
        pub chat: Box<str> [1..=64] = "".into();
        /// The server of the Bot API.
        pub api: Box<str> [1..=255] = "https://api.telegram.org".into();
    }
}

impl AlertConfig {
    /// Whether another one tells the same receiver.
    pub(crate) fn has_receiver_of(&self, other: &Self) -> bool {
        (&self.webhook, &self.ntfy, &self.telegram) == (&other.webhook, &other.ntfy, &other.telegram)
    }
}

/// Reads all of them.
pub(super) fn alerts(sections: Vec<Section<'_>>) -> Vec<AlertConfig> {
    let mut read: Vec<AlertConfig> = Vec::new();
    for section in sections {
        if read.len() >= MOST {
            section.problem("name", format_args!("there are at most {MOST} alerts"));
            break;
        }
        let alert = alert(section, &read);
        read.push(alert);
    }
    read
}

fn alert(mut section: Section<'_>, others: &[AlertConfig]) -> AlertConfig {
    let mut alert = AlertConfig::default();
    section.fill_object(&mut alert);
    let telegram: TelegramConfig = plain(section.section("telegram"));
    alert.telegram = (telegram != TelegramConfig::default()).then_some(telegram);
    if alert.name.is_empty() || others.iter().any(|other| other.name == alert.name) {
        section.problem("name", "an alert needs a name of its own of 1 to 64 bytes");
    }
    check_receiver(&section, &alert);
    section.finish();
    alert
}

/// Notes when there is not exactly one receiver, or one that cannot be used.
fn check_receiver(section: &Section<'_>, alert: &AlertConfig) {
    let receivers = [alert.webhook.is_some(), alert.ntfy.is_some(), alert.telegram.is_some()];
    if receivers.into_iter().filter(|given| *given).count() != 1 {
        section.problem("webhook", "an alert needs one receiver: webhook, ntfy or telegram");
    }
    let urls =
        [("webhook", alert.webhook.as_ref().map(Secret::expose)), ("ntfy", alert.ntfy.as_ref().map(Secret::expose))];
    for (key, url) in urls {
        check_url(section, key, url, alert.via);
    }
    let ntfy = alert.ntfy.as_ref().and_then(|url| Url::parse(url.expose()).ok());
    if ntfy.is_some_and(|url| url.path().trim_matches('/').is_empty()) {
        section.problem("ntfy", "the topic is missing: say https://ntfy.sh/TOPIC, with a topic that nobody guesses");
    }
    if let Some(telegram) = &alert.telegram {
        check_url(section, "telegram", Some(&telegram.api), alert.via);
        let is_token =
            |token: &Secret| token.expose().bytes().all(|byte| byte.is_ascii_alphanumeric() || b":_-".contains(&byte));
        if telegram.chat.is_empty()
            || !telegram.token.as_ref().is_some_and(|token| !token.is_empty() && is_token(token))
        {
            section
                .problem("telegram", "a Telegram bot needs a token of letters, digits, ':', '_' and '-', and a chat");
        }
    }
}

/// Notes what is wrong with the URL of a receiver. A node is a stranger: over it goes only what TLS protects.
fn check_url(section: &Section<'_>, key: &str, url: Option<&str>, via: Via) {
    let Some(url) = url else { return };
    let is_url = |scheme: &str| Url::parse(url).is_ok_and(|url| url.scheme() == scheme && url.host_str().is_some());
    if !is_url("https") && !is_url("http") {
        section.problem(key, "expected an https URL");
    } else if is_url("http") && via != Via::Direct {
        section.problem(key, "plain http could be read by the node that carries it: use https, or via = \"direct\"");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, Layers};

    fn read(text: &str) -> Result<Vec<AlertConfig>, String> {
        let config = Config::read(text, None, &Layers::default());
        config.map(|config| config.alerts).map_err(|problems| problems.to_string())
    }

    #[test]
    fn an_alert_is_read_with_its_receiver() {
        let alerts = read(
            "[[alert]]\nname = \"phone\"\nwhen = [\"disk\", \"pool-empty\", \"disk\"]\nfor = \"5m\"\nvia = \"auto\"\n\
             telegram = { token = \"12:Ab_c\", chat = \"-100\" }\n\
             [[alert]]\nname = \"hook\"\nwebhook = \"http://127.0.0.1:1/x\"\nvia = \"direct\"\n",
        )
        .unwrap();
        assert_eq!(alerts[0].when.0, [AlertCondition::PoolEmpty, AlertCondition::Disk]);
        assert_eq!((alerts[0].hold, alerts[0].via), (Duration::from_secs(300), Via::Auto));
        assert_eq!(alerts[0].telegram.as_ref().map(|telegram| &*telegram.chat), Some("-100"));
        assert_eq!(alerts[1].when.0, AlertCondition::ALL);
    }

    #[test]
    fn mistakes_are_told_without_secrets() {
        let hook = |rest: &str| format!("[[alert]]\nname = \"a\"\n{rest}\n");
        for (text, part) in [
            (hook(""), "one receiver"),
            (hook("webhook = \"https://SECRET.test\"\nntfy = \"https://SECRET.test\""), "one receiver"),
            (hook("webhook = \"http://SECRET.test/\""), "plain http"),
            (hook("ntfy = \"ftp://SECRET.test/\""), "https URL"),
            (hook("ntfy = \"https://SECRET.test/\""), "topic is missing"),
            (hook("ntfy = [\"https://SECRET.test/\"]"), "expected a text"),
            (hook("telegram = { token = \"SECRET/..\", chat = \"1\" }"), "Telegram bot needs"),
            (hook("telegram = { token = \"SECRET\" }"), "Telegram bot needs"),
            (hook("webhook = \"https://SECRET.test\"\nwhen = [\"rain\"]"), "a list of healthy-fall"),
            (hook("webhook = \"https://SECRET.test\"\nwhen = []"), "a list of healthy-fall"),
            ("[[alert]]\nwebhook = \"https://SECRET.test\"\n".to_owned(), "a name of its own"),
            (hook("webhook = \"https://SECRET.test\"").repeat(2), "a name of its own"),
        ] {
            let error = read(&text).unwrap_err();
            assert!(error.contains(part) && !error.contains("SECRET"), "{text}: {error}");
        }
        let many: String =
            (0..=MOST).map(|n| format!("[[alert]]\nname = \"a{n}\"\nwebhook = \"https://h.test\"\n")).collect();
        assert!(read(&many).unwrap_err().contains("at most 32"));
    }

    #[test]
    fn what_is_shown_hides_secrets() {
        let text = "[[alert]]\nname = \"a\"\ntelegram = { token = \"SECRET\", chat = \"1\" }\n\
                    [[alert]]\nname = \"b\"\nntfy = \"https://SECRET.test/SECRET\"\nbearer = \"SECRET\"\n";
        let shown = Config::read(text, None, &Layers::default()).unwrap().show();
        assert!(
            shown.contains("name = \"b\"") && shown.contains("chat = \"1\"") && !shown.contains("SECRET"),
            "{shown}"
        );
    }
}
