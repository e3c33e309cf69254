//! Sets of ports, as access rules name them: `"443"`, `"8000-8100"`.

use hezar_core::settings::{Given, Optional, SettingValue};

/// The most ranges of one set.
const MOST_RANGES: usize = 256;

/// A set of ports.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PortSet(Vec<(u16, u16)>);

impl PortSet {
    /// The set of these ports.
    #[must_use]
    pub fn new(ports: &[u16]) -> Self {
        Self(ports.iter().map(|port| (*port, *port)).collect())
    }

    /// Whether a port is one of them.
    #[must_use]
    pub fn contains(&self, port: u16) -> bool {
        self.0.iter().any(|(first, last)| (*first..=*last).contains(&port))
    }

    /// Whether all of them are from `first` to `last`.
    pub(crate) fn is_within(&self, first: u16, last: u16) -> bool {
        self.0.iter().all(|range| range.0 >= first && range.1 <= last)
    }

    /// Reads one entry: a port, or two with a hyphen between them.
    fn read_range(text: &str) -> Option<(u16, u16)> {
        let text = text.trim();
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        let (first, last) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
        (first > 0 && first <= last).then_some((first, last))
    }
}

impl SettingValue for PortSet {
    type Range = ();
    const JSON_TYPES: &'static [&'static str] = &["array", "integer", "string"];

    fn parse(given: &Given, (): &()) -> Option<Self> {
        let entry = |given: &Given| match given {
            Given::Integer(port) => u16::try_from(*port).ok().filter(|port| *port > 0).map(|port| (port, port)),
            given => Self::read_range(given.text()?),
        };
        let ranges: Vec<_> = match given {
            Given::List(values) => values.iter().map(entry).collect::<Option<_>>()?,
            Given::Text(text) | Given::Variable(text) => {
                let entries = text.split(',').filter(|entry| !entry.trim().is_empty());
                entries.map(Self::read_range).collect::<Option<_>>()?
            }
            given => vec![entry(given)?],
        };
        (ranges.len() <= MOST_RANGES).then_some(Self(ranges))
    }

    fn expected((): &()) -> String {
        "a list of ports and ranges of ports, such as [443, \"8000-8100\"]".to_owned()
    }

    fn write(&self) -> Option<Given> {
        let show = |(first, last): &(u16, u16)| match first == last {
            true => Given::Integer(i64::from(*first)),
            false => Given::Text(format!("{first}-{last}")),
        };
        Some(Given::List(self.0.iter().map(show).collect()))
    }
}

impl Optional for PortSet {}
