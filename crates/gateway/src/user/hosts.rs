//! Patterns for hosts, as access rules name them: `example.org`, `*.example.org`, `.example.org`, `192.0.2.0/24`, `*`.

use hezar_core::{
    Host, leads_to,
    settings::{Given, Network, Optional, SettingValue},
};

/// The most patterns of one list.
const MOST_PATTERNS: usize = 1024;

/// A list of patterns for hosts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HostPatterns(Vec<Pattern>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Pattern {
    /// `*`: every host.
    All,
    /// This name.
    Name(Box<str>),
    /// `*.name`: every name beneath this one.
    Beneath(Box<str>),
    /// `.name`: this name and every one beneath it.
    Suffix(Box<str>),
    /// Every address with this prefix (RFC 4632, RFC 4291 §2.3).
    Network(Network),
}

impl HostPatterns {
    /// Reads the patterns; `None` when one of them is none.
    #[must_use]
    pub fn read<'a>(texts: impl IntoIterator<Item = &'a str>) -> Option<Self> {
        let patterns: Vec<_> = texts.into_iter().map(Pattern::read).collect::<Option<_>>()?;
        (patterns.len() <= MOST_PATTERNS).then_some(Self(patterns))
    }

    /// Whether one of them fits a host.
    #[must_use]
    pub fn matches(&self, host: &Host) -> bool {
        self.0.iter().any(|pattern| pattern.matches(host))
    }
}

impl Pattern {
    fn read(text: &str) -> Option<Self> {
        let text = text.trim();
        if text == "*" {
            return Some(Self::All);
        }
        if text.contains('/') {
            return text.parse().ok().map(Self::Network);
        }
        if let Some(name) = text.strip_prefix("*.") {
            return Some(Self::Beneath(name_of(name)?));
        }
        if let Some(name) = text.strip_prefix('.') {
            return Some(Self::Suffix(name_of(name)?));
        }
        match Host::new(text).ok()? {
            Host::Ip(address) => Some(Self::Network(address.into())),
            Host::Name(_) => Some(Self::Name(name_of(text)?)),
        }
    }

    fn matches(&self, host: &Host) -> bool {
        match (self, host) {
            (Self::All, _) => true,
            // An IPv4 address that is written as an IPv6 one leads to the same place.
            (Self::Network(network), Host::Ip(ip)) => network.contains(*ip) || network.contains(leads_to(*ip)),
            (Self::Name(name), Host::Name(_)) => fold(host) == **name,
            (Self::Beneath(name), Host::Name(_)) => is_beneath(&fold(host), name),
            (Self::Suffix(name), Host::Name(_)) => {
                let host = fold(host);
                host == **name || is_beneath(&host, name)
            }
            _ => false,
        }
    }

    fn show(&self) -> String {
        match self {
            Self::All => "*".to_owned(),
            Self::Name(name) => name.to_string(),
            Self::Beneath(name) => format!("*.{name}"),
            Self::Suffix(name) => format!(".{name}"),
            Self::Network(network) => network.to_string(),
        }
    }
}

/// The name as hosts are compared: in lower case, without the dot of the root.
fn name_of(text: &str) -> Option<Box<str>> {
    match Host::new(text).ok()? {
        host @ Host::Name(_) => Some(fold(&host).into()),
        Host::Ip(_) => None,
    }
}

fn fold(host: &Host) -> String {
    let text = host.to_string().to_ascii_lowercase();
    text.strip_suffix('.').map_or_else(|| text.clone(), str::to_owned)
}

fn is_beneath(host: &str, name: &str) -> bool {
    host.strip_suffix(name).is_some_and(|front| front.len() > 1 && front.ends_with('.'))
}

impl SettingValue for HostPatterns {
    type Range = ();
    const JSON_TYPES: &'static [&'static str] = &["array"];

    fn parse(given: &Given, (): &()) -> Option<Self> {
        let texts = Vec::<String>::parse(given, &())?;
        Self::read(texts.iter().map(String::as_str))
    }

    fn expected((): &()) -> String {
        "a list of hosts, such as [\"example.org\", \"*.example.org\", \".example.org\", \"192.0.2.0/24\"]".to_owned()
    }

    fn write(&self) -> Option<Given> {
        Some(Given::List(self.0.iter().map(|pattern| Given::Text(pattern.show())).collect()))
    }
}

impl Optional for HostPatterns {}
