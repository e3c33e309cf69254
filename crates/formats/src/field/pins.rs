//! Reads certificate pins. A node with a pin that cannot be read is refused, since without the pin it would trust anybody.

use hezar_core::{Pin, UNREADABLE_PIN};
use sha2::{Digest as _, Sha256};

use super::base64_bytes;

/// Certificate hashes, in hexadecimal (colons allowed) or base64, separated by `,`, `~`, `;`, `|` or white space. Those
/// that cannot be read are skipped; where none can, [`UNREADABLE_PIN`] stands for them, because a node without its pin
/// would trust every server.
pub(crate) fn pins(text: &str) -> Vec<Pin> {
    let parts: Vec<&str> = text.split([',', '~', ';', '|']).map(str::trim).filter(|part| !part.is_empty()).collect();
    let read = |part: &&str| match pin(part) {
        Some(pin) => vec![pin],
        None => part.split_whitespace().filter_map(pin).collect(),
    };
    or_unreadable(parts.iter().flat_map(read).collect(), parts.is_empty())
}

fn or_unreadable(pins: Vec<Pin>, absent: bool) -> Vec<Pin> {
    if pins.is_empty() && !absent { vec![UNREADABLE_PIN] } else { pins }
}

/// One hash, perhaps behind the name of its function as OpenSSL prints it: `SHA256 Fingerprint=AB:CD…`, `sha256:…`.
fn pin(text: &str) -> Option<Pin> {
    let lower = text.to_ascii_lowercase();
    let named = ["sha256 fingerprint", "sha-256", "sha256"].iter().find(|name| lower.starts_with(**name));
    let text = named.and_then(|name| text.get(name.len()..)).unwrap_or(text);
    let digits: String =
        text.trim_start_matches([':', '=', '/', ' ']).chars().filter(|c| !c.is_whitespace() && *c != ':').collect();
    let bytes = hex::decode(&digits).ok().or_else(|| base64_bytes(&digits))?;
    bytes.try_into().ok()
}

/// The pins of certificates in PEM, which may be texts of lines or the lines themselves. As for [`pins`], what is there
/// and cannot be read is [`UNREADABLE_PIN`].
pub(crate) fn pem_pins(texts: &[Box<str>]) -> Vec<Pin> {
    let mut body: Option<String> = None;
    let mut pins = Vec::new();
    for line in texts.iter().flat_map(|text| text.lines()).map(str::trim) {
        if line.starts_with("-----BEGIN CERTIFICATE") {
            body = Some(String::new());
        } else if line.starts_with("-----END") {
            let der = body.take().and_then(|body| base64_bytes(&body)).filter(|der| !der.is_empty());
            pins.extend(der.map(|der| Pin::from(Sha256::digest(der))));
        } else if let Some(body) = &mut body {
            body.push_str(line);
        }
    }
    or_unreadable(pins, texts.is_empty())
}
