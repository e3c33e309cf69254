//! The protocol that a file's name suggests for entries that do not name theirs.

use hezar_core::{Credentials, HttpProxy, NodeSpec, Outbound, SocksProxy, SocksVersion, Target};

/// The protocol of a list of bare addresses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum ListScheme {
    /// HTTP CONNECT. Lists called `https` mean these, too: HTTP proxies that can reach HTTPS sites.
    #[default]
    Http,
    /// SOCKS4.
    Socks4,
    /// SOCKS4a.
    Socks4a,
    /// SOCKS5.
    Socks5,
}

impl ListScheme {
    /// Reads a protocol's name; letter case does not matter.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        const NAMES: [(&str, ListScheme); 7] = [
            ("http", ListScheme::Http),
            ("https", ListScheme::Http),
            ("socks4", ListScheme::Socks4),
            ("socks4a", ListScheme::Socks4a),
            ("socks5", ListScheme::Socks5),
            ("socks5h", ListScheme::Socks5),
            ("socks", ListScheme::Socks5),
        ];
        NAMES.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, scheme)| *scheme)
    }

    /// The node at this address.
    pub(crate) fn node(self, server: Target, credentials: Option<Credentials>) -> NodeSpec {
        let socks = |version, credentials| Outbound::Socks(SocksProxy { version, credentials, tls: None });
        let outbound = match self {
            Self::Http => Outbound::Http(HttpProxy { credentials, tls: None }),
            Self::Socks4 => socks(SocksVersion::V4, credentials),
            Self::Socks4a => socks(SocksVersion::V4a, credentials),
            Self::Socks5 => socks(SocksVersion::V5, credentials),
        };
        NodeSpec::new(server, outbound)
    }
}

/// What is known about a text from its name or its source.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Hints {
    /// The protocol of entries such as `192.0.2.1:1080`.
    pub default_scheme: ListScheme,
}

impl Hints {
    /// Looks for a protocol in the last part of a path or URL: `lists/socks5.txt` is a list of SOCKS5 proxies.
    #[must_use]
    pub fn from_file_name(name: &str) -> Self {
        let path = name.split(['?', '#']).next().unwrap_or_default();
        let file = path.trim_end_matches('/').rsplit(['/', '\\']).next().unwrap_or_default().to_ascii_lowercase();
        let default_scheme = match file.as_str() {
            name if name.contains("socks4a") => ListScheme::Socks4a,
            name if name.contains("socks4") => ListScheme::Socks4,
            name if name.contains("socks") => ListScheme::Socks5,
            _ => ListScheme::Http,
        };
        Self { default_scheme }
    }
}
