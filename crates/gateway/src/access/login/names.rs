//! Splits a login name into the user and the options or the account behind it.

use std::time::Duration;

use crate::{OptionError, User, UserOptions};

/// The longest name, in bytes: what SOCKS5 can carry (RFC 1929).
const LONGEST: usize = 255;
/// How long an account keeps its exit unless the name says otherwise.
const ACCOUNT: Duration = Duration::from_secs(7 * 86_400);
/// The places of one name at which options are looked for.
const PLACES: usize = 16;

/// What vendors put in front of the user's own name: Bright Data (and its old name Luminati), Oxylabs, Decodo, Soax,
/// Nimble.
const PREFIXES: [&str; 6] = ["brd-customer-", "lum-customer-", "customer-", "user-", "package-", "account-"];

/// Refuses names that no client needs and that harm whoever keeps or prints them.
///
/// # Errors
/// [`OptionError::Name`].
pub(super) fn check(name: &str) -> Result<(), OptionError> {
    let good = name.len() <= LONGEST && !name.chars().any(|c| c.is_control() || directs_text(c));
    if good { Ok(()) } else { Err(OptionError::Name) }
}

/// The characters that turn the direction of the text around them (Unicode's `Bidi_Control`).
const fn directs_text(c: char) -> bool {
    matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// What follows the user's name.
#[derive(Clone, Copy, Debug)]
pub(super) enum Tail<'a> {
    Options(&'a str),
    /// Pairs with other separators: `__cr.de;sessid.a1` (DataImpulse), `_c_de_s_a1` (Infatica), `;country=de` (Proxyrack).
    Foreign(&'a str, &'static [char]),
    /// `Platform.Account` (Resin): the account keeps an exit of its own for a week.
    Account(&'a str),
}

impl<'a> Tail<'a> {
    /// What stands behind the name of a user, if it is something that may stand there.
    fn after_user_name(rest: &'a str) -> Option<Self> {
        if rest.is_empty() {
            return Some(Self::Options(""));
        }
        if let Some(options) = rest.strip_prefix("__") {
            return Some(Self::Foreign(options, &['.', ';']));
        }
        let (first, tail) = (rest.chars().next()?, rest.get(1..)?);
        match first {
            '-' => Some(Self::Options(tail)),
            '.' => Some(Self::Account(tail)),
            '_' => Some(Self::Foreign(tail, &['_'])),
            ';' => Some(Self::Foreign(tail, &[';', '='])),
            _ => None,
        }
    }

    pub(super) fn read(self) -> Result<UserOptions, OptionError> {
        match self {
            Self::Options(text) => UserOptions::parse(text),
            Self::Foreign(text, separators) => UserOptions::parse_with(text, separators),
            Self::Account(text) => account(text),
        }
    }
}

/// An account is any text. Options may stand behind it; they begin at the first hyphen from which on all can be read.
fn account(text: &str) -> Result<UserOptions, OptionError> {
    let (name, options) = split(text, '-', UserOptions::pairs).unwrap_or((text, UserOptions::default()));
    if name.is_empty() {
        return Err(OptionError::Session);
    }
    let session = options.session.or_else(|| Some(name.into()));
    Ok(UserOptions { session, session_ttl: options.session_ttl.or(Some(ACCOUNT)), ..options })
}

/// The first place from which on options can be read, and what they say.
fn split(
    text: &str,
    separator: char,
    read: impl Fn(&str) -> Result<UserOptions, OptionError>,
) -> Option<(&str, UserOptions)> {
    let places = text.match_indices(separator).take(PLACES);
    let mut read = places.filter_map(|(at, _)| Some((text.get(..at)?, read(text.get(at + 1..)?).ok()?)));
    read.find(|(_, options)| *options != UserOptions::default())
}

/// Reads a name that no configured user has: as it is, or, when it cannot be read so, behind a vendor's prefix.
///
/// # Errors
/// [`OptionError`]: what stands behind the name is no options.
pub(super) fn read_unknown_name(name: &str) -> Result<(Box<str>, UserOptions), OptionError> {
    let read = |name: &str| {
        let (user, tail) = split_unknown_name(name);
        tail.read().map(|options| (user.into(), options))
    };
    read(name).or_else(|error| strip_vendor_prefix(name).and_then(|name| read(name).ok()).ok_or(error))
}

/// Cuts a name that is not known where its user ends.
fn split_unknown_name(name: &str) -> (&str, Tail<'_>) {
    let at = |text: &str| name.find(text).filter(|at| *at > 0);
    let (hyphen, dot) = (at("-"), at("."));
    // What an address of electronic mail has behind its dot is no account.
    let account = dot.filter(|dot| hyphen.is_none_or(|hyphen| *dot < hyphen));
    let account = account.filter(|dot| !name[..*dot].contains('@') && *dot + 1 < name.len());
    let place = at("__").filter(|at| account.is_none_or(|dot| *at < dot)).or(account).or(hyphen).or_else(|| at(";"));
    let cut = place.and_then(|at| Some((name.get(..at)?, Tail::after_user_name(name.get(at..)?)?)));
    if let Some(cut) = cut {
        return cut;
    }
    let underscores = split(name, '_', |text| UserOptions::parse_with(text, &['_']));
    let end = underscores.map_or(name.len(), |(user, _)| user.len());
    let (user, rest) = name.split_at(end);
    (user, Tail::after_user_name(rest).unwrap_or(Tail::Options("")))
}

/// The name behind a vendor's prefix.
fn strip_vendor_prefix(name: &str) -> Option<&str> {
    PREFIXES.iter().find_map(|prefix| {
        let (front, rest) = name.split_at_checked(prefix.len())?;
        (front.eq_ignore_ascii_case(prefix) && !rest.is_empty()).then_some(rest)
    })
}

/// The place among the users of the one that a name begins with (the longest that fits, as names may contain hyphens, dots and
/// underscores), and what follows it.
pub(super) fn find_user<'a>(users: &[User], name: &'a str) -> Option<(usize, Tail<'a>)> {
    let longest = |name: &'a str| {
        let found = users.iter().enumerate().filter_map(|(index, user)| {
            let tail = Tail::after_user_name(name.strip_prefix(&*user.name)?)?;
            Some((user.name.len(), index, tail))
        });
        found.max_by_key(|(length, ..)| *length).map(|(_, index, tail)| (index, tail))
    };
    // A user of the configuration comes before a vendor's prefix that looks like one.
    longest(name).or_else(|| strip_vendor_prefix(name).and_then(longest))
}
