//! A source with `tor = …`: how many circuits, and which Tor client carries them.

use std::net::SocketAddr;

use hezar_core::{
    Secret,
    settings::{Given, Optional, SettingValue},
};

use super::SourceConfig;
use crate::config::{redact::HIDDEN, section::Section};

/// The most bridge lines of one source.
const MOST_BRIDGES: usize = 64;
/// The longest bridge line; those of snowflake and webtunnel are long.
const LONGEST_BRIDGE: usize = 1024;

/// The circuits of a Tor source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TorCircuits {
    /// How many.
    pub count: usize,
    /// What carries them.
    pub client: TorClient,
}

/// A Tor client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TorClient {
    /// One that Hezar starts, watches and ends.
    Own {
        /// The countries of the exits, in upper case; empty = all.
        exits: Vec<[u8; 2]>,
        /// Bridge lines; empty = none are used.
        bridges: Vec<Secret>,
    },
    /// One that runs already.
    Existing {
        /// Its SOCKS address.
        socks: SocketAddr,
        /// Its control address.
        control: Option<SocketAddr>,
        /// The password of the control address; when absent, its cookie is read.
        password: Option<Secret>,
    },
}

/// Bridge lines as they are given out: `[transport] address:port [fingerprint] [key=value …]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TorBridges(pub Vec<Secret>);

impl SettingValue for TorBridges {
    type Range = ();
    const JSON_TYPES: &'static [&'static str] = &["array"];

    fn parse(given: &Given, (): &()) -> Option<Self> {
        let lines = Vec::<String>::parse(given, &())?;
        let read = |line: &String| bridge(line).map(Secret::new);
        let bridges = lines.iter().map(read).collect::<Option<Vec<_>>>()?;
        (bridges.len() <= MOST_BRIDGES).then_some(Self(bridges))
    }

    fn expected((): &()) -> String {
        format!(
            "a list of at most {MOST_BRIDGES} bridge lines, such as [\"obfs4 192.0.2.1:443 FINGERPRINT cert=… iat-mode=0\"]"
        )
    }

    fn write(&self) -> Option<Given> {
        Some(Given::List(self.0.iter().map(|_| Given::Text(HIDDEN.to_owned())).collect()))
    }
}

impl Optional for TorBridges {}

/// A bridge line without a leading `Bridge`; `None` when it is none, or would be more than one line of Tor's configuration.
fn bridge(text: &str) -> Option<String> {
    let text = text.trim();
    let line = text.strip_prefix("Bridge ").unwrap_or(text).trim_start();
    let printable = line.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic());
    if !printable || line.contains(['#', '"', '\\']) || line.len() > LONGEST_BRIDGE {
        return None;
    }
    let mut words = line.split_ascii_whitespace();
    let first = words.next()?;
    let is_transport = first.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    let address = if is_transport { words.next()? } else { first };
    address.parse::<SocketAddr>().ok().map(|_| line.to_owned())
}

/// The circuits that a source asks for, if it is a Tor source.
pub(super) fn circuits(source: &SourceConfig) -> Option<TorCircuits> {
    let client = match source.tor_socks {
        None => TorClient::Own {
            exits: source.tor_exits.clone(),
            bridges: source.tor_bridges.clone().map(|bridges| bridges.0).unwrap_or_default(),
        },
        Some(socks) => {
            TorClient::Existing { socks, control: source.tor_control, password: source.tor_password.clone() }
        }
    };
    source.tor.map(|count| TorCircuits { count, client })
}

/// Notes which keys of Tor stand where they have no meaning.
pub(super) fn check(section: &Section<'_>, source: &SourceConfig) {
    for key in ["tor_socks", "tor_control", "tor_password", "tor_exits", "tor_bridges"] {
        if section.was_given(key) && !section.was_given("tor") {
            section.problem(key, "belongs to a source with tor = 40 (the number of circuits)");
        }
    }
    if section.was_given("tor") && section.was_given("allow_private") && !source.allow_private {
        section.problem("allow_private", "the nodes of a Tor source are a Tor client on this machine: leave it out");
    }
    for key in ["tor_exits", "tor_bridges"] {
        if section.was_given(key) && source.tor_socks.is_some() {
            section.problem(key, "the Tor client at tor_socks has a configuration of its own: say it there");
        }
    }
    for key in ["tor_control", "tor_password"] {
        if section.was_given(key) && source.tor_socks.is_none() {
            section.problem(key, "belongs to a Tor client that runs already: give its tor_socks too");
        }
    }
    if source.tor_password.is_some() && source.tor_control.is_none() {
        section.problem("tor_password", "is the password of tor_control, which is not given");
    }
}

#[cfg(test)]
mod tests {
    use super::{TorClient, bridge};
    use crate::config::{Config, Layers, Problems, SourceOrigin};

    fn read(keys: &str) -> Result<Config, Problems> {
        Config::read(&format!("[[source]]\nname = \"t\"\n{keys}"), None, &Layers::default())
    }

    #[test]
    fn a_tor_source_has_a_client_of_its_own_or_one_that_runs() {
        let config = read("tor = 40\ntor_exits = [\"de\"]\ntor_bridges = [\"192.0.2.1:443\"]\n").unwrap();
        let SourceOrigin::Tor(circuits) = &config.sources[0].origin else { panic!("{config:?}") };
        assert!(circuits.count == 40 && config.sources[0].allow_private);
        assert!(
            matches!(&circuits.client, TorClient::Own { exits, bridges } if exits[..] == [*b"DE"] && bridges.len() == 1)
        );
        assert!(!config.show().contains("192.0.2.1"), "bridges are not shown");
        let config = read("tor = 2\ntor_socks = 9050\ntor_control = \"127.0.0.1:9051\"\n").unwrap();
        let SourceOrigin::Tor(circuits) = &config.sources[0].origin else { panic!("{config:?}") };
        assert!(matches!(&circuits.client, TorClient::Existing { socks, .. } if socks.port() == 9050), "{circuits:?}");
    }

    #[test]
    fn keys_of_tor_that_do_not_go_together_are_named() {
        for (keys, part) in [
            ("tor = 0\n", "tor"),
            ("tor = 501\n", "tor"),
            ("tor = 2\nurl = \"http://192.0.2.1/\"\n", "two sources"),
            ("url = \"http://192.0.2.1/\"\ntor_exits = [\"DE\"]\n", "belongs to a source with tor"),
            ("tor = 2\ntor_control = 9051\n", "tor_socks"),
            ("tor = 2\ntor_socks = 9050\ntor_exits = [\"DE\"]\n", "configuration of its own"),
            ("tor = 2\ntor_socks = 9050\ntor_password = \"x\"\n", "tor_control"),
            ("tor = 2\nallow_private = false\n", "leave it out"),
            ("tor = 2\ntor_bridges = [\"sh -c x\"]\n", "bridge lines"),
        ] {
            let problems = read(keys).unwrap_err().to_string();
            assert!(problems.contains(part), "{keys}: {problems}");
        }
    }

    #[test]
    fn a_bridge_is_one_line_with_an_address() {
        let good = "obfs4 192.0.2.1:443 0123456789ABCDEF0123456789ABCDEF01234567 cert=abc/+ iat-mode=0";
        assert_eq!(bridge(good).as_deref(), Some(good));
        assert_eq!(bridge(&format!("Bridge {good}")).as_deref(), Some(good));
        assert_eq!(bridge("[2001:db8::1]:9001").as_deref(), Some("[2001:db8::1]:9001"));
        for bad in [
            "",
            "obfs4",
            "obfs4 example.test:443",
            "192.0.2.1:1\nClientTransportPlugin x exec /bin/sh",
            "192.0.2.1:1 a\rb",
            "192.0.2.1:1 \\",
            "192.0.2.1:1 # more",
        ] {
            assert_eq!(bridge(bad), None, "{bad:?}");
        }
    }
}
