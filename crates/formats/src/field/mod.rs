//! Reads single values in the spellings of all dialects: keys, ports, ciphers, sizes, times.

mod pins;
mod plugin;

use std::net::IpAddr;

use base64::{
    Engine as _, alphabet,
    engine::{
        GeneralPurpose,
        general_purpose::{GeneralPurposeConfig, URL_SAFE_NO_PAD},
    },
};
use hezar_core::{Credentials, Fingerprint, Host, PacketEncoding, Secret, ShortId, Target, Vision, VmessCipher};
use uuid::Uuid;

pub(crate) use self::{
    pins::{pem_pins, pins},
    plugin::{plugin_name, plugin_options, plugin_options_text, plugin_words},
};
use crate::RejectCode;

/// Base64 of the standard alphabet, with or without padding; superfluous last bits are ignored.
const LOOSE: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(base64::engine::DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// Decodes base64 of either alphabet, padded or not; white space is skipped.
pub(crate) fn base64_bytes(text: &str) -> Option<Vec<u8>> {
    let standard: Vec<u8> = text
        .bytes()
        .filter(|b| !b.is_ascii_whitespace())
        .map(|b| match b {
            b'-' => b'+',
            b'_' => b'/',
            other => other,
        })
        .collect();
    // Some publishers pad too much or too little, so padding is not counted.
    let end = standard.iter().rposition(|b| *b != b'=').map_or(0, |last| last + 1);
    LOOSE.decode(standard.get(..end)?).ok()
}

/// Decodes base64 that holds UTF-8.
pub(crate) fn base64_text(text: &str) -> Option<String> {
    String::from_utf8(base64_bytes(text)?).ok()
}

/// Encodes in the URL-safe alphabet without padding.
pub(crate) fn base64_url(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Reads a host and a port from two texts. Some converters leave the rest of a link behind the port: `443?`, `443/`.
pub(crate) fn server(host: &str, port: &str) -> Result<Target, RejectCode> {
    let host = Host::new(host.trim()).map_err(|_| RejectCode::BadHost)?;
    let port = port.trim().trim_end_matches(['/', '?']);
    if port.is_empty() || !port.bytes().all(|b| b.is_ascii_digit()) {
        return Err(RejectCode::BadPort);
    }
    let port = port.parse().map_err(|_| RejectCode::BadPort)?;
    Target::new(host, port).map_err(|_| RejectCode::BadPort)
}

/// A switch: `1`, `true`, `yes` or `on`, in any letter case.
pub(crate) fn truth(text: &str) -> bool {
    ["1", "true", "yes", "on"].iter().any(|yes| text.trim().eq_ignore_ascii_case(yes))
}

/// A text unless it is empty.
pub(crate) fn filled(text: &str) -> Option<Box<str>> {
    (!text.is_empty()).then(|| text.into())
}

/// A secret unless it is empty.
pub(crate) fn secret(text: &str) -> Option<Secret> {
    (!text.is_empty()).then(|| Secret::new(text))
}

/// A comma-separated list without empty members.
pub(crate) fn list(text: &str) -> Vec<Box<str>> {
    text.split(',').map(str::trim).filter(|part| !part.is_empty()).map(Into::into).collect()
}

/// The user of VLESS or VMess: a UUID, or 1 to 30 bytes of any text, which Xray maps to a UUIDv5 in the nil namespace.
/// Converters copy it out of links still percent-encoded.
pub(crate) fn user_id(text: &str) -> Result<Uuid, RejectCode> {
    if let Ok(id) = Uuid::try_parse(text.trim()) {
        return Ok(id);
    }
    let decoded = percent_encoding::percent_decode_str(text).decode_utf8().unwrap_or(text.into());
    if let Ok(id) = Uuid::try_parse(decoded.trim()) {
        return Ok(id);
    }
    let text = decoded.as_ref();
    if (1..=30).contains(&text.len()) {
        return Ok(Uuid::new_v5(&Uuid::nil(), text.as_bytes()));
    }
    Err(RejectCode::BadCredential)
}

/// The flow of VLESS; flows that no server speaks any more are dropped.
pub(crate) fn flow(text: &str) -> Option<Vision> {
    match text.trim() {
        "xtls-rprx-vision" => Some(Vision::Plain),
        "xtls-rprx-vision-udp443" => Some(Vision::Udp443),
        _ => None,
    }
}

/// VLESS encryption; `none` and nothing are the same.
pub(crate) fn encryption(text: &str) -> Option<Secret> {
    let text = text.trim();
    if text.eq_ignore_ascii_case("none") { None } else { secret(text) }
}

/// The packing of UDP; unknown and absent mean XUDP.
pub(crate) fn packet_encoding(text: &str) -> PacketEncoding {
    match text.trim().to_ascii_lowercase().as_str() {
        "packet" | "packetaddr" => PacketEncoding::PacketAddr,
        "none" => PacketEncoding::None,
        _ => PacketEncoding::Xudp,
    }
}

/// The name of a packing, as in links.
pub(crate) const fn packet_encoding_name(encoding: PacketEncoding) -> &'static str {
    match encoding {
        PacketEncoding::Xudp => "xudp",
        PacketEncoding::PacketAddr => "packetaddr",
        PacketEncoding::None => "none",
    }
}

/// The body cipher of VMess; unknown names mean `auto`.
pub(crate) fn vmess_cipher(text: &str) -> VmessCipher {
    match text.trim().to_ascii_lowercase().as_str() {
        "aes-128-gcm" => VmessCipher::Aes128Gcm,
        "chacha20-poly1305" | "chacha20-ietf-poly1305" => VmessCipher::Chacha20Poly1305,
        "none" => VmessCipher::None,
        "zero" => VmessCipher::Zero,
        _ => VmessCipher::Auto,
    }
}

/// The browser to imitate; `chrome120` or `HelloFirefox_Auto` count as the browser they name.
pub(crate) fn fingerprint(text: &str) -> Option<Fingerprint> {
    let name = text.trim().to_ascii_lowercase();
    let name = name.strip_prefix("hello").unwrap_or(&name);
    Fingerprint::ALL.into_iter().filter(|f| name.starts_with(f.name())).max_by_key(|f| f.name().len())
}

/// A 32-byte key in base64 of either alphabet.
pub(crate) fn key32(text: &str) -> Option<[u8; 32]> {
    base64_bytes(text.trim())?.try_into().ok()
}

/// A REALITY short id in hexadecimal.
pub(crate) fn short_id(text: &str) -> Option<ShortId> {
    ShortId::from_hex(text.trim())
}

/// Ports and port ranges such as `443,5000-6000`, also with `:` inside and `/`, `;` or `|` between ranges; each range is
/// put in order.
pub(crate) fn port_ranges(text: &str) -> Option<Vec<(u16, u16)>> {
    text.split([',', '/', ';', '|']).map(str::trim).filter(|part| !part.is_empty()).map(port_range).collect()
}

fn port_range(text: &str) -> Option<(u16, u16)> {
    let (first, last) = text.split_once(['-', ':']).unwrap_or((text, text));
    let port = |text: &str| text.trim().parse::<u16>().ok().filter(|port| *port > 0);
    // `:6000` and `5000:` are open ranges in sing-box.
    let first = if first.trim().is_empty() && !last.trim().is_empty() { 1 } else { port(first)? };
    let last = if last.trim().is_empty() { u16::MAX } else { port(last)? };
    Some((first.min(last), first.max(last)))
}

/// The inverse of [`port_ranges`], with this character inside a range.
pub(crate) fn port_ranges_text(ranges: &[(u16, u16)], dash: char) -> String {
    let range = |(first, last): &(u16, u16)| {
        if first == last { first.to_string() } else { format!("{first}{dash}{last}") }
    };
    ranges.iter().map(range).collect::<Vec<_>>().join(",")
}

/// A bandwidth in Mbit/s: a bare number, or one with a unit such as `Mbps`, `gbps`, `kbps` or `MBps` (bytes).
pub(crate) fn mbps(text: &str) -> Option<u32> {
    let text = text.trim();
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at_checked(end)?;
    let number: f64 = number.parse().ok()?;
    let unit = unit.trim();
    let factor = match unit.bytes().next().map(|b| b.to_ascii_lowercase()) {
        None | Some(b'm') => 1.0,
        Some(b'k') => 0.001,
        Some(b'g') => 1000.0,
        Some(b't') => 1_000_000.0,
        Some(b'b') => 0.000_001,
        Some(_) => return None,
    };
    let bytes = if unit.bytes().any(|b| b == b'B') { 8.0 } else { 1.0 };
    let mbps = (number * factor * bytes).round().clamp(0.0, f64::from(u32::MAX));
    // A float cast saturates, and the value is already within range.
    let mbps = mbps as u32;
    (mbps > 0).then_some(mbps)
}

/// Seconds: `30`, `30s`, `2m`, or the first number of a range.
pub(crate) fn seconds(text: &str) -> Option<u32> {
    let text = text.trim();
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at_checked(end)?;
    let number: u32 = number.parse().ok()?;
    let seconds = match unit.trim() {
        "ms" => number / 1000,
        "m" => number.saturating_mul(60),
        "h" => number.saturating_mul(3600),
        _ => number,
    };
    (seconds > 0).then_some(seconds)
}

/// The reserved bytes of WireGuard: `1,2,3`, `[1, 2, 3]`, base64 of three bytes, or six hexadecimal digits.
pub(crate) fn reserved(text: &str) -> Option<[u8; 3]> {
    let text = text.trim().trim_start_matches('[').trim_end_matches(']');
    if text.is_empty() {
        return Some([0; 3]);
    }
    let numbers: Option<Vec<u8>> = text.split(',').map(|part| part.trim().parse().ok()).collect();
    let bytes = match numbers {
        Some(numbers) if text.contains(',') => numbers,
        _ => match hex::decode(text.trim_start_matches("0x")) {
            Ok(bytes) => bytes,
            Err(_) => base64_bytes(text)?,
        },
    };
    bytes.try_into().ok()
}

/// Shadowsocks methods that some server speaks, in their standard names.
const METHODS: &[&str] = &[
    "2022-blake3-aes-128-gcm",
    "2022-blake3-aes-256-gcm",
    "2022-blake3-chacha20-poly1305",
    "2022-blake3-chacha8-poly1305",
    "aes-128-ccm",
    "aes-192-ccm",
    "aes-256-ccm",
    "aes-128-gcm",
    "aes-192-gcm",
    "aes-256-gcm",
    "aes-128-gcm-siv",
    "aes-256-gcm-siv",
    "aes-128-cfb",
    "aes-192-cfb",
    "aes-256-cfb",
    "aes-128-cfb1",
    "aes-192-cfb1",
    "aes-256-cfb1",
    "aes-128-cfb8",
    "aes-192-cfb8",
    "aes-256-cfb8",
    "aes-128-ctr",
    "aes-192-ctr",
    "aes-256-ctr",
    "aes-128-ofb",
    "aes-192-ofb",
    "aes-256-ofb",
    "bf-cfb",
    "camellia-128-cfb",
    "camellia-192-cfb",
    "camellia-256-cfb",
    "cast5-cfb",
    "chacha20",
    "chacha20-ietf",
    "chacha20-ietf-poly1305",
    "chacha8-ietf-poly1305",
    "des-cfb",
    "idea-cfb",
    "none",
    "rc2-cfb",
    "rc4",
    "rc4-md5",
    "rc4-md5-6",
    "salsa20",
    "seed-cfb",
    "table",
    "xchacha20",
    "xchacha20-ietf-poly1305",
    "xchacha8-ietf-poly1305",
];

/// A Shadowsocks method in its standard name.
pub(crate) fn method(text: &str) -> Result<Box<str>, RejectCode> {
    let lower = text.trim().to_ascii_lowercase().replace('_', "-");
    let name = lower.strip_prefix("aead-").unwrap_or(&lower);
    let name = match name {
        "chacha20-poly1305" => "chacha20-ietf-poly1305",
        "xchacha20-poly1305" => "xchacha20-ietf-poly1305",
        "plain" | "dummy" => "none",
        name => name,
    };
    if METHODS.contains(&name) { Ok(name.into()) } else { Err(RejectCode::BadMethod) }
}

/// A user and a password; both empty means that none are asked for.
pub(crate) fn credentials(username: &str, password: &str) -> Option<Credentials> {
    let empty = username.is_empty() && password.is_empty();
    (!empty).then(|| Credentials { username: username.into(), password: Secret::new(password) })
}

/// An address inside a tunnel in CIDR notation; without a prefix length it is that one address.
pub(crate) fn cidr(text: &str) -> Option<Box<str>> {
    let text = text.trim();
    let (address, length) = match text.split_once('/') {
        Some((address, length)) => (address, Some(length.trim().parse::<u8>().ok()?)),
        None => (text, None),
    };
    let address = address.trim().trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>().ok()?;
    let longest = if address.is_ipv4() { 32 } else { 128 };
    let length = length.unwrap_or(longest);
    (length <= longest).then(|| format!("{address}/{length}").into())
}

#[cfg(test)]
mod tests;
