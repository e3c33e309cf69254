//! The words of lists: those that tell a sentence from a row, and those that describe a proxy.

use crate::{ListScheme, uri};

/// Whether a word or sign belongs to a sentence or a log, and so to no column of a list.
pub(super) fn is_sentence(word: &str) -> bool {
    const WORDS: &[&str] = &[
        "accepted",
        "already",
        "and",
        "are",
        "because",
        "can",
        "closed",
        "connected",
        "connecting",
        "connection",
        "does",
        "error",
        "failed",
        "for",
        "from",
        "has",
        "have",
        "into",
        "listen",
        "listening",
        "not",
        "refused",
        "that",
        "the",
        "then",
        "this",
        "use",
        "via",
        "was",
        "will",
        "with",
        "you",
        "your",
        "GET",
        "POST",
        "CONNECT",
        "->",
        "=>",
        "-->",
    ];
    let bare = word.trim_end_matches(['.', ':', '!', '?']);
    WORDS.contains(&bare) || bare.starts_with("HTTP/")
}

/// Whether a column tells something about a proxy: its country, speed, anonymity, when it was seen.
pub(super) fn is_property(text: &str) -> bool {
    const WORDS: &[&str] = &[
        "alive",
        "anonymity",
        "anonymous",
        "broadband",
        "datacenter",
        "dead",
        "dedicated",
        "distorting",
        "down",
        "elite",
        "false",
        "fast",
        "free",
        "google",
        "high",
        "hia",
        "hosting",
        "isp",
        "live",
        "low",
        "medium",
        "mobile",
        "n/a",
        "no",
        "noa",
        "none",
        "null",
        "ok",
        "online",
        "premium",
        "private",
        "public",
        "residential",
        "rotating",
        "shared",
        "slow",
        "ssl",
        "static",
        "tls",
        "transparent",
        "true",
        "unknown",
        "up",
        "valid",
        "working",
        "yes",
    ];
    let upper = text.bytes().filter(|b| b.is_ascii_uppercase()).count();
    let letters = text.bytes().all(|b| b.is_ascii_alphabetic());
    let country = letters && upper == text.len() && text.len() <= 3;
    let place = letters && upper == 1 && text.starts_with(|c: char| c.is_ascii_uppercase());
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let measure = digits > 0
        && text.bytes().skip(digits).all(|b| b.is_ascii_alphabetic() || matches!(b, b'.' | b'%' | b'/' | b'-'))
        && text.len() - digits <= 4
        && digits < text.len();
    let bracketed = text.starts_with(['[', '{']) || !text.is_ascii() || text.contains([':', '/']);
    let word = WORDS.iter().any(|word| text.eq_ignore_ascii_case(word)) || ListScheme::from_name(text).is_some();
    let address = uri::is_address(text);
    country || place || measure || bracketed || word || address || !text.contains(|c: char| c.is_ascii_alphanumeric())
}
