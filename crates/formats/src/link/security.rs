//! TLS and REALITY in the parameters of a link.

use hezar_core::{Fingerprint, Pin, Reality, Security, SecurityKind, Tls, UNREADABLE_PIN};

use crate::{
    carrier::SecurityText,
    field,
    uri::query::{Pairs, Query},
};

/// The names under which links say that the certificate is not verified; they may disagree, and one yes is enough.
const SKIP_VERIFY: &[&str] = &["allowinsecure", "insecure", "skipcertverify", "tlsallowinsecure"];

/// The kind that a `security` or `tls` value names; nothing means `default`.
pub(super) fn kind(text: &str, default: SecurityKind) -> SecurityKind {
    let text = text.trim().to_ascii_lowercase();
    if text.is_empty() {
        return default;
    }
    if text.ends_with("reality") {
        SecurityKind::Reality
    } else if text.ends_with("tls") || field::truth(&text) {
        SecurityKind::Tls
    } else {
        SecurityKind::None
    }
}

/// Everything that the parameters say about security.
pub(super) fn read<'q>(query: &'q Query<'_>, kind: SecurityKind) -> SecurityText<'q> {
    if kind == SecurityKind::None {
        return SecurityText::default();
    }
    let verified = query.get(&["verifycert"]);
    SecurityText {
        kind,
        server_name: query.get(&["sni", "peer", "servername", "tlsservername"]),
        disable_sni: query.flag(&["disablesni"]),
        alpn: query.list("alpn"),
        skip_verify: query.flag(SKIP_VERIFY) || (!verified.is_empty() && !field::truth(verified)),
        pins: pins(query),
        verify_names: query.list("vcn"),
        fingerprint: query.get(&["fp", "clientfingerprint"]),
        ech: query.get(&["ech"]),
        public_key: query.get(&["pbk", "publickey"]),
        short_id: query.get(&["sid", "shortid"]),
        spider_x: query.get(&["spx", "spiderx"]),
        mldsa65_verify: query.get(&["pqv"]),
    }
}

/// The names of pinned certificates, and those of pins that cannot be checked here: hashes of keys and of whole chains.
const PINS: &[&str] = &["pcs", "pinsha256", "pinnedpeercertsha256", "pinnedcertsha256", "hpkp"];
const OTHER_PINS: &[&str] =
    &["pinnedpeercertificatechainsha256", "pinnedpeercertificatepublickeysha256", "certificatepublickeysha256"];

fn pins(query: &Query<'_>) -> Vec<Pin> {
    if query.get(OTHER_PINS).is_empty() { field::pins(&query.all(PINS)) } else { vec![UNREADABLE_PIN] }
}

/// The TLS settings of a protocol that always has TLS.
pub(super) fn read_tls(query: &Query<'_>) -> Tls {
    read(query, SecurityKind::Tls).tls()
}

/// The spellings in which dialects differ.
pub(super) struct Spelling {
    pub(super) insecure: &'static str,
    pub(super) pins: &'static str,
}

/// The spelling of stream protocols.
pub(super) const STREAM: Spelling = Spelling { insecure: "allowInsecure", pins: "pcs" };
/// The spelling of Hysteria and AnyTLS.
pub(super) const SHORT: Spelling = Spelling { insecure: "insecure", pins: "pinSHA256" };
/// The spelling of TUIC.
pub(super) const TUIC: Spelling = Spelling { insecure: "allow_insecure", pins: "pinSHA256" };

/// Writes the layer with its `security` key.
pub(super) fn write<'a>(security: &'a Security, pairs: &mut Pairs<'a>) {
    pairs.text("security", security.kind().name());
    match security {
        Security::None => {}
        Security::Tls(tls) => write_tls(tls, &STREAM, pairs),
        Security::Reality(reality) => write_reality(reality, pairs),
    }
}

/// Writes an optional TLS layer with its `security` key.
pub(super) fn write_optional<'a>(tls: Option<&'a Tls>, pairs: &mut Pairs<'a>) {
    pairs.text("security", if tls.is_some() { "tls" } else { "none" });
    if let Some(tls) = tls {
        write_tls(tls, &STREAM, pairs);
    }
}

/// Writes the settings of TLS.
pub(super) fn write_tls<'a>(tls: &'a Tls, spelling: &Spelling, pairs: &mut Pairs<'a>) {
    pairs.optional("sni", tls.server_name.as_deref());
    pairs.list("alpn", &tls.alpn);
    pairs.optional("fp", tls.fingerprint.map(Fingerprint::name));
    pairs.flag(spelling.insecure, tls.skip_verify);
    pairs.text(spelling.pins, tls.pins.iter().map(hex::encode).collect::<Vec<_>>().join(","));
    pairs.list("vcn", &tls.verify_names);
    pairs.flag("disable_sni", tls.disable_sni);
    pairs.optional("ech", tls.ech.as_deref());
}

fn write_reality<'a>(reality: &'a Reality, pairs: &mut Pairs<'a>) {
    pairs.optional("sni", reality.server_name.as_deref());
    pairs.text("pbk", field::base64_url(reality.public_key));
    pairs.text("sid", reality.short_id.to_hex());
    pairs.optional("spx", reality.spider_x.as_deref());
    pairs.optional("pqv", reality.mldsa65_verify.as_ref().map(hezar_core::Secret::expose));
    pairs.optional("fp", reality.fingerprint_name());
    pairs.list("alpn", &reality.alpn);
}
