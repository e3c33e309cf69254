//! The page that says where traffic comes out: `key=value` lines, of which `ip` and `loc` matter.

use hezar_pool::{Country, Exit};

/// Reads such a page; nothing when no line names an address.
pub(crate) fn parse_trace(body: &[u8]) -> Option<Exit> {
    let text = String::from_utf8_lossy(body);
    let value = |key: &str| {
        let lines = text.lines().filter_map(|line| line.split_once('='));
        lines.into_iter().find(|(k, _)| k.trim() == key).map(|(_, value)| value.trim())
    };
    let ip = value("ip")?.parse().ok()?;
    Some(Exit { ip, country: value("loc").and_then(country) })
}

/// A country code. XX (unknown) and T1 (Tor), which such pages also serve, name no country.
fn country(text: &str) -> Option<Country> {
    let letters: Country = text.as_bytes().try_into().ok()?;
    let letters = letters.map(|b| b.to_ascii_uppercase());
    (letters.iter().all(u8::is_ascii_uppercase) && letters != *b"XX").then_some(letters)
}
