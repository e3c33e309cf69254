//! The ClientHellos of browsers as data, with the date and the source of each.

use hezar_core::Fingerprint;

/// Stands for a value of RFC 8701 that is chosen anew for every hello.
pub(super) const GREASE: u16 = 0x0a0a;

/// A browser's ClientHello.
#[derive(Debug)]
#[cfg_attr(not(test), allow(dead_code, reason = "where a template comes from is for readers and tests"))]
pub(crate) struct Template {
    /// The browser.
    pub(crate) browser: &'static str,
    /// When the template was last compared with its source.
    pub(crate) date: &'static str,
    /// Where its values come from.
    pub(crate) source: &'static str,
    /// The JA4 of the hello as written here, with a server name.
    pub(crate) ja4: &'static str,
    /// The protocols that the browser offers by ALPN.
    pub(crate) alpn: &'static [&'static str],
    pub(super) ciphers: &'static [u16],
    /// In the browser's order when it has one; else any order, but what is [`Extension::Grease`] keeps its place.
    pub(super) extensions: &'static [Extension],
    pub(super) shuffled: bool,
}

/// One extension.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Extension {
    /// A value of RFC 8701 with this body.
    Grease(&'static [u8]),
    /// The server's name; left out when there is none.
    ServerName,
    /// The protocols offered; left out when there is none.
    Alpn,
    /// Groups, best first.
    Groups(&'static [u16]),
    /// Shares of X25519MLKEM768 and X25519, after one of a GREASE group.
    KeyShares,
    /// Versions, best first.
    Versions(&'static [u16]),
    /// ALPS with this number for HTTP/2; left out when HTTP/2 is not offered.
    ApplicationSettings(u16),
    /// ECH with nothing inside (RFC 9849 §6.2).
    GreaseEch,
    /// Always the same.
    Fixed(u16, &'static [u8]),
}

/// The template for a name of the field. Only Chrome's is kept up to date: it is the name that publishers set most, the
/// other Chromium browsers say the same, and an outdated hello of a rarer browser would stand out more than Chrome's.
pub(crate) const fn template_of(fingerprint: Fingerprint) -> &'static Template {
    match fingerprint {
        Fingerprint::Chrome
        | Fingerprint::Edge
        | Fingerprint::Browser360
        | Fingerprint::Qq
        | Fingerprint::Android
        | Fingerprint::Firefox
        | Fingerprint::Safari
        | Fingerprint::Ios
        | Fingerprint::Random
        | Fingerprint::Randomized => &CHROME,
    }
}

/// Chrome since 133, where ALPS got its second number.
pub(crate) const CHROME: Template = Template {
    browser: "Chrome 133 to 149",
    date: "2026-11-24",
    source: "the hello that public fingerprint databases list for these versions; its fields as in BoringSSL",
    ja4: "t13d1516h2_8daaf6152771_d8a2da3f94cd",
    alpn: &["h2", "http/1.1"],
    ciphers: &[
        GREASE, 0x1301, 0x1302, 0x1303, 0xc02b, 0xc02f, 0xc02c, 0xc030, 0xcca9, 0xcca8, 0xc013, 0xc014, 0x009c, 0x009d,
        0x002f, 0x0035,
    ],
    extensions: &[
        Extension::Grease(&[]),
        Extension::ServerName,
        // extended_master_secret
        Extension::Fixed(23, &[]),
        // renegotiation_info
        Extension::Fixed(0xff01, &[0]),
        Extension::Groups(&[GREASE, 0x11ec, 0x001d, 0x0017, 0x0018]),
        // ec_point_formats: uncompressed
        Extension::Fixed(11, &[1, 0]),
        // session_ticket
        Extension::Fixed(35, &[]),
        Extension::Alpn,
        // status_request: OCSP
        Extension::Fixed(5, &[1, 0, 0, 0, 0]),
        // signature_algorithms
        Extension::Fixed(13, &[0, 16, 4, 3, 8, 4, 4, 1, 5, 3, 8, 5, 5, 1, 8, 6, 6, 1]),
        // signed_certificate_timestamp
        Extension::Fixed(18, &[]),
        Extension::KeyShares,
        // psk_key_exchange_modes: with (EC)DHE
        Extension::Fixed(45, &[1, 1]),
        Extension::Versions(&[GREASE, 0x0304, 0x0303]),
        // compress_certificate: brotli
        Extension::Fixed(27, &[2, 0, 2]),
        Extension::ApplicationSettings(17613),
        Extension::GreaseEch,
        Extension::Grease(&[0]),
    ],
    shuffled: true,
};
