//! AnyTLS on the wire, both ways: frames inside TLS. Specification: docs/protocol.md of anytls-go, version 2.
//!
//! ```text
//! first:   | SHA-256 of the password 32 | length 2 | padding |
//! frames:  | command | stream 4 | length 2 | data |
//! ```

use sha2::{Digest, Sha256};

/// The length of a frame's header, in bytes.
pub(super) const HEADER: usize = 7;
/// The most payload that we put in one frame: with its header it fills one TLS record.
pub(super) const MAX_PAYLOAD: usize = 16 * 1024 - HEADER;
/// The longest text that a peer may send in a frame that is not payload.
pub(super) const MAX_TEXT: usize = 16 * 1024;

/// What a frame is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Command {
    Waste = 0,
    Syn = 1,
    Push = 2,
    Fin = 3,
    Settings = 4,
    Alert = 5,
    UpdatePadding = 6,
    SynAck = 7,
    HeartRequest = 8,
    HeartResponse = 9,
    ServerSettings = 10,
}

impl Command {
    /// The command of a byte.
    const fn new(byte: u8) -> Option<Self> {
        Some(match byte {
            0 => Self::Waste,
            1 => Self::Syn,
            2 => Self::Push,
            3 => Self::Fin,
            4 => Self::Settings,
            5 => Self::Alert,
            6 => Self::UpdatePadding,
            7 => Self::SynAck,
            8 => Self::HeartRequest,
            9 => Self::HeartResponse,
            10 => Self::ServerSettings,
            _ => return None,
        })
    }
}

/// The header of a frame. The command is absent when it is unknown; the data of such a frame is skipped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) command: Option<Command>,
    pub(super) stream: u32,
    pub(super) length: usize,
}

impl Header {
    /// Reads a header from the front of `bytes`; `None` while it is incomplete.
    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        let [command, a, b, c, d, high, low] = *bytes.first_chunk()?;
        Some(Self {
            command: Command::new(command),
            stream: u32::from_be_bytes([a, b, c, d]),
            length: usize::from(u16::from_be_bytes([high, low])),
        })
    }
}

/// Appends a frame; `data` is at most 65535 bytes long.
pub(super) fn put_frame(command: Command, stream: u32, data: &[u8], wire: &mut Vec<u8>) {
    wire.reserve(HEADER + data.len());
    wire.push(command as u8);
    wire.extend_from_slice(&stream.to_be_bytes());
    wire.extend_from_slice(&u16::try_from(data.len()).unwrap_or(u16::MAX).to_be_bytes());
    wire.extend_from_slice(data);
}

/// The SHA-256 hash of a password, as it is sent.
pub(super) type PasswordHash = [u8; 32];

/// Hashes a password.
pub(super) fn key(password: &str) -> PasswordHash {
    Sha256::digest(password).into()
}

/// The first bytes of a connection.
pub(super) fn hello(key: &PasswordHash, padding: usize) -> Vec<u8> {
    let padding = u16::try_from(padding).unwrap_or(u16::MAX);
    let mut wire = Vec::with_capacity(34 + usize::from(padding));
    wire.extend_from_slice(key);
    wire.extend_from_slice(&padding.to_be_bytes());
    wire.resize(34 + usize::from(padding), 0);
    wire
}

/// The client's settings.
pub(super) fn settings(scheme_digest: &str) -> String {
    format!("v=2\nclient=hezar/{}\npadding-md5={scheme_digest}", env!("CARGO_PKG_VERSION"))
}

/// The settings of a server that speaks version 2.
pub(super) const SERVER_SETTINGS: &[u8] = b"v=2";

/// The protocol version in the settings of a peer.
pub(super) fn version(settings: &[u8]) -> Option<u32> {
    setting(settings, "v").and_then(|version| version.parse().ok())
}

/// The digest by which a client names its padding scheme in its settings.
pub(super) fn scheme_digest(settings: &[u8]) -> Option<&str> {
    setting(settings, "padding-md5")
}

fn setting<'a>(settings: &'a [u8], name: &str) -> Option<&'a str> {
    let text = std::str::from_utf8(settings).ok()?;
    let mut pairs = text.lines().filter_map(|line| line.split_once('='));
    pairs.find(|(found, _)| *found == name).map(|(_, value)| value.trim())
}
