//! The stable codes of refused lines and entries.

use hezar_core::CodeDoc;

/// Why a line or an entry was refused. Add variants freely; a published code never changes its meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum RejectCode {
    /// The scheme or type is not one of ours (`vpn://`, `sn://`, MTProto, …).
    UnsupportedScheme,
    /// The text is neither a link nor any list form.
    NotALink,
    /// The address of a web page or a subscription, not of a proxy.
    WebAddress,
    /// The server's host is missing or malformed.
    BadHost,
    /// The port is missing or malformed.
    BadPort,
    /// The base64 or JSON inside the link is broken.
    BadEncoding,
    /// The user id, password, token or key is missing or malformed.
    BadCredential,
    /// The cipher is unknown.
    BadMethod,
    /// REALITY's public key or short id is missing or malformed.
    BadReality,
    /// No server speaks that protocol over that transport and security.
    ImpossiblePair,
    /// A field that the entry cannot do without is missing or has the wrong type.
    BadField,
    /// The line, the link or the whole text is longer than the limit.
    TooLong,
    /// The document is broken at this entry.
    BadDocument,
    /// The node goes through another one that is not there, or through too many, or through itself.
    BadChain,
    /// A certificate pin is there and cannot be read or checked.
    BadPin,
    /// The whole text is something else than a list or a configuration with servers.
    UnknownDocument,
    /// A publisher's message in the shape of a node.
    InfoEntry,
}

impl RejectCode {
    /// Every refusal.
    pub const ALL: [Self; 17] = [
        Self::UnsupportedScheme,
        Self::NotALink,
        Self::WebAddress,
        Self::BadHost,
        Self::BadPort,
        Self::BadEncoding,
        Self::BadCredential,
        Self::BadMethod,
        Self::BadReality,
        Self::ImpossiblePair,
        Self::BadField,
        Self::TooLong,
        Self::BadDocument,
        Self::BadChain,
        Self::BadPin,
        Self::UnknownDocument,
        Self::InfoEntry,
    ];

    /// Every code with its meaning, for docs/errors.md.
    pub const CODES: &'static [CodeDoc] = &[
        CodeDoc::new("unsupported-scheme", "The link or entry is of a protocol that Hezar does not have."),
        CodeDoc::new("not-a-link", "The text is neither a share link nor an entry of a known list form."),
        CodeDoc::new("web-address", "An http(s) address of a page or a subscription, not of a proxy."),
        CodeDoc::new("bad-host", "The server's host is missing or malformed."),
        CodeDoc::new("bad-port", "The port is missing or not a number from 1 to 65535."),
        CodeDoc::new("bad-encoding", "The base64 or JSON inside the link is broken or cut off."),
        CodeDoc::new("bad-credential", "The user id, password, token or key is missing or malformed."),
        CodeDoc::new("bad-method", "The cipher is not a known one."),
        CodeDoc::new("bad-reality", "REALITY's public key or short id is missing or malformed."),
        CodeDoc::new("impossible-pair", "No server speaks this protocol over this transport and security."),
        CodeDoc::new("bad-field", "A field that the entry cannot do without is missing or has the wrong type."),
        CodeDoc::new("too-long", "The line, the link or the whole text is longer than the limit."),
        CodeDoc::new("bad-document", "The YAML or JSON document is broken at this entry."),
        CodeDoc::new(
            "bad-chain",
            "The node is dialled through another one that the document does not have, through itself, or through too many.",
        ),
        CodeDoc::new(
            "bad-pin",
            "A pinned certificate or key is named that cannot be read or checked; without it anybody could pose as the server.",
        ),
        CodeDoc::new(
            "unknown-document",
            "The text is a web page, prose, or the configuration of a program, and names no server that can be read.",
        ),
        CodeDoc::new(
            "info-entry",
            "A message of the publisher (traffic left, expiry) in the shape of a node, at the server of another entry.",
        ),
    ];

    /// The stable code.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::UnsupportedScheme => "unsupported-scheme",
            Self::NotALink => "not-a-link",
            Self::WebAddress => "web-address",
            Self::BadHost => "bad-host",
            Self::BadPort => "bad-port",
            Self::BadEncoding => "bad-encoding",
            Self::BadCredential => "bad-credential",
            Self::BadMethod => "bad-method",
            Self::BadReality => "bad-reality",
            Self::ImpossiblePair => "impossible-pair",
            Self::BadField => "bad-field",
            Self::TooLong => "too-long",
            Self::BadDocument => "bad-document",
            Self::BadChain => "bad-chain",
            Self::BadPin => "bad-pin",
            Self::UnknownDocument => "unknown-document",
            Self::InfoEntry => "info-entry",
        }
    }
}
