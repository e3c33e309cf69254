//! The keys of options: ours, and what other vendors call the same things.

/// What a key means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Key {
    /// One country or several.
    Country,
    /// A country to some vendors; a part of one to others, which nobody here can choose.
    Region,
    Session,
    /// The length of a session in minutes, unless it has a unit.
    Minutes,
    /// The same in seconds.
    Seconds,
    /// Each use gives the session its full time again; it has no value.
    Renew,
    Strategy,
    /// The number of an autonomous system.
    Asn,
    City,
    Anonymity,
    /// Chooses a product or a service of its vendor and no other exit: it means nothing here, and neither does its value.
    Ignored,
    /// The same without a value.
    Flag,
    /// Chooses exits by something that is not known of them here. Refused: ignoring it would send the request elsewhere.
    TooFine,
}

/// Every key, in lower case. The vendors' words are those of their public documentation: Bright Data (`zone`, `dns`,
/// `route_err`, `c_tag`), Oxylabs (`cc`, `sessid`, `st`), Decodo (`sessionduration`), IPRoyal (`lifetime`, `streaming`,
/// `skipispstatic`, `forcerandom`), Soax (`sessionid`, `sessionlength` in seconds, `opt`), NetNut (`res`, `mob`, `dc`,
/// `stc`, `sid`), DataImpulse (`cr`, `sessttl`), Infatica (`c`, `s`), Nimble (`pipeline`), NodeMaven (`ttl`, `filter`),
/// Proxyrack (`refreshminutes`), helodata, LunaProxy and 922S5 (`region`), Geonode (`type`).
const KEYS: [(&str, Key); 63] = [
    ("country", Key::Country),
    ("session", Key::Session),
    ("sesstime", Key::Minutes),
    ("sessrenew", Key::Renew),
    ("strategy", Key::Strategy),
    ("anonymity", Key::Anonymity),
    ("cc", Key::Country),
    ("cr", Key::Country),
    ("c", Key::Country),
    ("res", Key::Country),
    ("mob", Key::Country),
    ("dc", Key::Country),
    ("stc", Key::Country),
    ("region", Key::Region),
    ("sessid", Key::Session),
    ("sessionid", Key::Session),
    ("sess", Key::Session),
    ("sid", Key::Session),
    ("s", Key::Session),
    ("sessionduration", Key::Minutes),
    ("sessttl", Key::Minutes),
    ("lifetime", Key::Minutes),
    ("life", Key::Minutes),
    ("ttl", Key::Minutes),
    ("refreshminutes", Key::Minutes),
    ("sessionlength", Key::Seconds),
    ("rotate", Key::Flag),
    ("zone", Key::Ignored),
    ("dns", Key::Ignored),
    ("route_err", Key::Ignored),
    ("c_tag", Key::Ignored),
    ("tag", Key::Ignored),
    ("debug", Key::Ignored),
    ("streaming", Key::Ignored),
    ("skipispstatic", Key::Ignored),
    ("forcerandom", Key::Ignored),
    ("opt", Key::Ignored),
    ("type", Key::Ignored),
    ("pipeline", Key::Ignored),
    ("filter", Key::Ignored),
    ("package", Key::Ignored),
    ("plan", Key::Ignored),
    ("product", Key::Ignored),
    ("mode", Key::Ignored),
    ("protocol", Key::Ignored),
    ("anonymous", Key::Ignored),
    ("continent", Key::TooFine),
    ("city", Key::City),
    ("state", Key::TooFine),
    ("st", Key::TooFine),
    ("zip", Key::TooFine),
    ("postal", Key::TooFine),
    ("asn", Key::Asn),
    ("asnum", Key::Asn),
    ("isp", Key::TooFine),
    ("carrier", Key::TooFine),
    ("ip", Key::TooFine),
    ("gip", Key::TooFine),
    ("os", Key::TooFine),
    ("area", Key::TooFine),
    ("proxyip", Key::TooFine),
    ("lat", Key::TooFine),
    ("lon", Key::TooFine),
];

/// The key with this name, in letters of any case.
pub(super) fn key(word: &str) -> Option<(&'static str, Key)> {
    KEYS.into_iter().find(|(name, _)| name.eq_ignore_ascii_case(word))
}
