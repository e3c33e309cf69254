//! The small languages inside values: durations, sizes and addresses.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    time::Duration,
};

use super::quote;

/// What an address to listen on looks like.
pub const ADDRESS_EXAMPLES: &str = "an address and a port, such as \"127.0.0.1:8000\" (this machine only), \"0.0.0.0:8000\" (all networks) or \"[::1]:8000\"";

/// Reads an address to listen on: `127.0.0.1:8000`, `[::1]:8000`, `localhost:8000`, or `8000` alone for loopback.
///
/// # Errors
/// What is wrong, with examples; the text is made for people.
pub fn listen_address(text: &str) -> Result<SocketAddr, String> {
    let text = text.trim();
    if let Ok(address) = text.parse() {
        return Ok(address);
    }
    let loopback = |port: u16| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    if let Ok(port) = text.strip_prefix("localhost:").unwrap_or(text).parse() {
        return Ok(loopback(port));
    }
    if let Some(port) = text.strip_prefix(':').or_else(|| text.strip_prefix("*:"))
        && let Ok(port) = port.parse::<u16>()
    {
        return Err(format!(
            "{text:?} does not say who may connect: \"127.0.0.1:{port}\" is for this machine only, \"0.0.0.0:{port}\" for all networks"
        ));
    }
    if text.parse::<IpAddr>().is_ok() {
        return Err(format!("{text:?} has no port; expected {ADDRESS_EXAMPLES}"));
    }
    Err(format!("expected {ADDRESS_EXAMPLES}, found {}", quote(text)))
}

/// Whether a socket on this address accepts connections from other machines.
#[must_use]
pub fn is_public(address: SocketAddr) -> bool {
    !address.ip().to_canonical().is_loopback()
}

/// Reads `500ms`, `5s`, `30m`, `6h`, `7d`, or several together as `1h30m`.
#[must_use]
pub fn read_duration(text: &str) -> Option<Duration> {
    let mut rest = text.trim();
    let mut total = Duration::ZERO;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let number: u64 = rest.get(..digits)?.parse().ok()?;
        rest = rest.get(digits..)?;
        let letters = rest.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(rest.len());
        let milliseconds = match rest.get(..letters)? {
            "ms" => 1,
            "s" => 1000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            _ => return None,
        };
        total = total.checked_add(Duration::from_millis(number.checked_mul(milliseconds)?))?;
        rest = rest.get(letters..)?.trim_start();
    }
    Some(total)
}

/// Writes a duration in the same language.
#[must_use]
pub fn show_duration(duration: Duration) -> String {
    let milliseconds = duration.as_millis();
    for (unit, length) in [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000)] {
        if milliseconds >= length && milliseconds.is_multiple_of(length) {
            return format!("{}{unit}", milliseconds / length);
        }
    }
    format!("{milliseconds}ms")
}

/// Reads a number of bytes: `4096`, `64KiB`, `32MiB`, `1GiB`.
#[must_use]
pub fn read_bytes(text: &str) -> Option<u64> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let number: u64 = text.get(..digits)?.parse().ok()?;
    let factor = match text.get(digits..)?.trim() {
        "" | "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => return None,
    };
    number.checked_mul(factor)
}
