//! Writes the configuration of a Tor client (`torrc`, tor(1)).

use std::{fmt::Write, path::Path};

use crate::TransportProgram;

/// How long a circuit may be unused before its next stream gets another one, in seconds: every probe counts as a use, so that a
/// circuit that works keeps its exit.
const DIRTINESS: u32 = 3600;

/// What is in the configuration of a Tor client.
#[derive(Clone, Debug)]
pub struct Torrc<'a> {
    /// The folder of the client's files.
    pub folder: &'a Path,
    /// The port of SOCKS on 127.0.0.1; `None` = the client chooses one.
    pub socks_port: Option<u16>,
    /// The countries of the exits, by their two letters; empty = all.
    pub exits: &'a [[u8; 2]],
    /// Bridge lines; empty = none are used.
    pub bridges: Vec<&'a str>,
    /// The programs of their transports.
    pub transports: &'a [TransportProgram],
    /// Further lines, which win over those above.
    pub options: &'a [String],
}

impl Torrc<'_> {
    /// The folder in which the client keeps what it knows of the network.
    pub(crate) const DATA: &'static str = "data";
    /// The file in which the client says where its control port is.
    pub(crate) const CONTROL_PORT: &'static str = "control-port";
    /// The file that whoever uses the control port has to be able to read.
    pub(crate) const COOKIE: &'static str = "cookie";

    /// The text of the file.
    #[must_use]
    pub fn text(&self) -> String {
        let file = |name: &str| quoted(&self.folder.join(name));
        let port = self.socks_port.map_or_else(|| "auto".to_owned(), |port| port.to_string());
        let mut text = String::from("# Written by Hezar at every start of this Tor client.\n");
        // Writing to a String cannot fail.
        let mut line = |arguments: std::fmt::Arguments<'_>| {
            let _ = writeln!(text, "{arguments}");
        };
        line(format_args!("DataDirectory {}", file(Self::DATA)));
        line(format_args!("SocksPort 127.0.0.1:{port} IsolateSOCKSAuth KeepAliveIsolateSOCKSAuth"));
        line(format_args!("MaxCircuitDirtiness {DIRTINESS}"));
        line(format_args!("ControlPort 127.0.0.1:auto"));
        line(format_args!("ControlPortWriteToFile {}", file(Self::CONTROL_PORT)));
        line(format_args!("CookieAuthentication 1"));
        line(format_args!("CookieAuthFile {}", file(Self::COOKIE)));
        line(format_args!("ClientOnly 1"));
        // Clients say whether they want a name or an address; Tor would warn of every address.
        line(format_args!("WarnUnsafeSocks 0"));
        line(format_args!("Log notice stdout"));
        if !self.exits.is_empty() {
            let exits: Vec<String> = self
                .exits
                .iter()
                .map(|country| format!("{{{}}}", String::from_utf8_lossy(country).to_lowercase()))
                .collect();
            line(format_args!("ExitNodes {}", exits.join(",")));
            line(format_args!("StrictNodes 1"));
        }
        if !self.bridges.is_empty() {
            line(format_args!("UseBridges 1"));
        }
        for bridge in &self.bridges {
            line(format_args!("Bridge {bridge}"));
        }
        for TransportProgram { transport, program } in self.transports {
            line(format_args!("ClientTransportPlugin {transport} exec {}", program.display()));
        }
        for option in self.options {
            line(format_args!("{option}"));
        }
        text
    }
}

/// A path as a quoted value: with the escapes of C, as tor(1) reads them.
fn quoted(path: &Path) -> String {
    let mut text = String::from("\"");
    for letter in path.to_string_lossy().chars() {
        match letter {
            '"' | '\\' => text.extend(['\\', letter]),
            letter => text.push(letter),
        }
    }
    text.push('"');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_says_what_was_asked_for() {
        let transports = [TransportProgram { transport: "obfs4".to_owned(), program: "/usr/bin/obfs4proxy".into() }];
        let torrc = Torrc {
            folder: Path::new("/d \"x\""),
            socks_port: None,
            exits: &[*b"DE", *b"NL"],
            bridges: vec!["obfs4 192.0.2.1:1 cert=x"],
            transports: &transports,
            options: &["ClientUseIPv6 1".to_owned()],
        };
        let text = torrc.text();
        for line in [
            "DataDirectory \"/d \\\"x\\\"/data\"",
            "SocksPort 127.0.0.1:auto IsolateSOCKSAuth KeepAliveIsolateSOCKSAuth",
            "ExitNodes {de},{nl}",
            "StrictNodes 1",
            "UseBridges 1",
            "Bridge obfs4 192.0.2.1:1 cert=x",
            "ClientTransportPlugin obfs4 exec /usr/bin/obfs4proxy",
            "ClientUseIPv6 1",
        ] {
            assert!(text.lines().any(|written| written == line), "{line}: {text}");
        }
        let plain =
            Torrc { exits: &[], bridges: Vec::new(), transports: &[], options: &[], socks_port: Some(9), ..torrc };
        let text = plain.text();
        assert!(
            text.contains("SocksPort 127.0.0.1:9 ") && !text.contains("Exit") && !text.contains("Bridge"),
            "{text}"
        );
    }
}
