//! Ports that are sessions: for clients that cannot send a user name with a session in it, each port keeps an exit of its own.

use std::{fmt, ops::RangeInclusive, time::Duration};

use hezar_core::settings::{Given, Optional, SettingValue};

use crate::UserOptions;

/// The most ports of one listener: each has a socket of its own.
const MOST_PORTS: u16 = 1000;
/// How long the session of a port lasts without a request.
const LASTS: Duration = Duration::from_secs(30 * 86_400);

/// Ports from one to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PortRange {
    first: u16,
    last: u16,
}

impl PortRange {
    /// All of them.
    #[must_use]
    pub const fn ports(self) -> RangeInclusive<u16> {
        self.first..=self.last
    }

    /// The options of a client that came to one of these ports and gave no session: it has that of the port, which lasts for 30 days
    /// after its last use. `None` for another port.
    pub(crate) fn options(self, port: u16) -> Option<UserOptions> {
        self.ports().contains(&port).then(|| UserOptions {
            session: Some(format!("port{port}").into()),
            session_ttl: Some(LASTS),
            session_renew: true,
            ..UserOptions::default()
        })
    }
}

/// `24000-24099`, as the setting is written.
impl fmt::Display for PortRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.first, self.last)
    }
}

impl SettingValue for PortRange {
    type Range = ();

    fn parse(given: &Given, (): &()) -> Option<Self> {
        let text = given.text()?;
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        let (first, last): (u16, u16) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
        (first > 0 && first <= last && last - first < MOST_PORTS).then_some(Self { first, last })
    }

    fn expected((): &()) -> String {
        format!("two ports, such as \"24000-24099\", at most {MOST_PORTS} from the first to the last")
    }

    fn write(&self) -> Option<Given> {
        Some(Given::Text(self.to_string()))
    }
}

impl Optional for PortRange {}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Option<PortRange> {
        PortRange::parse(&Given::Text(text.to_owned()), &())
    }

    #[test]
    fn a_range_has_a_session_for_each_port() {
        let range = read("24000-24099").unwrap();
        assert_eq!((range.ports().count(), PortRange::parse(&range.write().unwrap(), &())), (100, Some(range)));
        assert_eq!(range.options(24_001).unwrap().session.as_deref(), Some("port24001"));
        assert_ne!(range.options(24_000), range.options(24_099));
        assert_eq!((range.options(23_999), range.options(24_100)), (None, None));
        assert_eq!(read("8000").unwrap().ports().count(), 1);
        for wrong in ["", "0-9", "9-8", "1-1001", "24000-", "a-b", "65000-65536"] {
            assert_eq!(read(wrong), None, "{wrong:?}");
        }
        assert!(read("1-1000").is_some());
    }
}
