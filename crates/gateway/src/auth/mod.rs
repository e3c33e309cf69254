//! Who a client is: user names with options, passwords compared in constant time.

use std::{hint::black_box, net::IpAddr, time::Duration};

use base64::{Engine as _, engine::general_purpose::STANDARD};

use crate::{
    OptionError, Refusal, User,
    gateway::Shared,
    limits::Pass,
    options::{UserOptions, session},
};

#[cfg(test)]
mod tests;

/// A client that may use the proxy, and what it asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Identity {
    /// The name without options; empty when the client gave none.
    pub user: Box<str>,
    pub options: UserOptions,
    /// The right to one request.
    pub pass: Pass,
}

/// A user name and a password as a client sent them.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Login {
    pub name: Box<str>,
    pub password: Box<str>,
}

/// What vendors put in front of the user's own name: Bright Data, Oxylabs, Decodo.
const PREFIXES: [&str; 3] = ["brd-customer-", "customer-", "user-"];

/// Decides who the client is. Without users anybody may come in, and a name that is sent anyway only carries options.
///
/// # Errors
/// [`Refusal::AuthMissing`], [`Refusal::AuthWrong`], [`Refusal::BadOption`].
pub(crate) fn identify(users: &[User], login: Option<&Login>) -> Result<Identity, Refusal> {
    let Some(login) = login else {
        return if users.is_empty() { Ok(Identity::default()) } else { Err(Refusal::AuthMissing) };
    };
    if users.is_empty() {
        return anybody(&login.name).map_err(Refusal::BadOption);
    }
    let (user, name, password) = known_user(users, login).ok_or(Refusal::AuthWrong)?;
    let options = name.read().and_then(|options| options.with(password?)).map_err(Refusal::BadOption)?;
    Ok(Identity { user: user.into(), options, pass: Pass::default() })
}

/// Lets somebody who is known begin a request.
///
/// # Errors
/// [`Refusal::UserLimit`], [`Refusal::ClientLimit`].
pub(crate) fn admit(shared: &Shared, identity: Identity, client: IpAddr) -> Result<Identity, Refusal> {
    let pass = shared.accounts.admit(&shared.config, &identity.user, client)?;
    Ok(Identity { pass, ..identity })
}

/// A name as it is, or, when that does not read, behind a vendor's prefix.
fn anybody(name: &str) -> Result<Identity, OptionError> {
    let read = |name: &str| {
        let (user, options) = name.split_once('-').unwrap_or((name, ""));
        UserOptions::parse(options).map(|options| Identity { user: user.into(), options, pass: Pass::default() })
    };
    read(name).or_else(|error| bare(name).and_then(|name| read(name).ok()).ok_or(error))
}

/// The name behind a vendor's prefix.
fn bare(name: &str) -> Option<&str> {
    PREFIXES.iter().find_map(|prefix| {
        let (front, rest) = name.split_at_checked(prefix.len())?;
        (front.eq_ignore_ascii_case(prefix) && !rest.is_empty()).then_some(rest)
    })
}

/// What follows the user's name.
enum Tail<'a> {
    Options(&'a str),
    /// `Platform.Account` (Resin): the account keeps an exit of its own for a week.
    Account(&'a str),
}

impl Tail<'_> {
    fn read(&self) -> Result<UserOptions, OptionError> {
        match self {
            Self::Options(text) => UserOptions::parse(text),
            Self::Account(account) => {
                let session_ttl = Some(Duration::from_secs(7 * 86_400));
                Ok(UserOptions { session: Some(session(account)?), session_ttl, ..UserOptions::default() })
            }
        }
    }
}

/// The configured user of a login (the longest that fits, as names may contain hyphens and dots), what follows the
/// name, and the options behind the password.
fn known_user<'a>(
    users: &'a [User],
    login: &'a Login,
) -> Option<(&'a str, Tail<'a>, Result<UserOptions, OptionError>)> {
    let found = named(users, &login.name);
    // An unknown name costs the same comparison as a known one.
    let expected = found.as_ref().map_or("\u{0}", |(user, _)| user.password.expose());
    let whole = equal(login.password.as_bytes(), expected.as_bytes());
    // IPRoyal writes the options behind the password: `secret_country-us_session-a1b2`.
    let (front, behind) = login.password.split_at_checked(expected.len()).unwrap_or((&login.password, ""));
    let front = equal(front.as_bytes(), expected.as_bytes());
    let (user, name) = found?;
    let password = match behind.strip_prefix('_') {
        _ if whole => Ok(UserOptions::default()),
        Some(options) if front => UserOptions::parse(&options.replace('_', "-")),
        _ => return None,
    };
    Some((&user.name, name, password))
}

/// The configured user that a name begins with, and what follows it.
fn named<'a>(users: &'a [User], name: &'a str) -> Option<(&'a User, Tail<'a>)> {
    let tail = |name: &'a str, user: &User| match name.strip_prefix(&*user.name)? {
        "" => Some(Tail::Options("")),
        rest => match rest.strip_prefix('-') {
            Some(options) => Some(Tail::Options(options)),
            None => rest.strip_prefix('.').map(Tail::Account),
        },
    };
    let longest = |name: &'a str| {
        let found = users.iter().filter_map(|user| Some((user, tail(name, user)?)));
        found.max_by_key(|(user, _)| user.name.len())
    };
    // A user of the configuration comes before a vendor's prefix that looks like one.
    longest(name).or_else(|| bare(name).and_then(longest))
}

/// What a name means to a listener with these users, for whoever asks without logging in.
///
/// # Errors
/// [`Refusal::AuthWrong`] when no user has such a name, [`Refusal::BadOption`].
pub fn read_name(users: &[User], name: &str) -> Result<(Box<str>, UserOptions), Refusal> {
    if users.is_empty() {
        return anybody(name).map(|identity| (identity.user, identity.options)).map_err(Refusal::BadOption);
    }
    let (user, tail) = named(users, name).ok_or(Refusal::AuthWrong)?;
    Ok((user.name.clone(), tail.read().map_err(Refusal::BadOption)?))
}

/// Compares in a time that depends only on the length of `given`.
fn equal(given: &[u8], expected: &[u8]) -> bool {
    let mut difference = u8::from(given.len() != expected.len());
    for (index, byte) in given.iter().enumerate() {
        let other = expected.get(index % expected.len().max(1)).copied().unwrap_or_default();
        difference = black_box(difference | (byte ^ other));
    }
    difference == 0
}

/// Reads the value of `Proxy-Authorization` (RFC 7617). `None`: another scheme, or not readable.
pub(crate) fn basic(value: &[u8]) -> Option<Login> {
    let text = std::str::from_utf8(value).ok()?.trim();
    let (scheme, token) = text.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = STANDARD.decode(token.trim()).ok()?;
    let decoded = String::from_utf8(decoded).ok()?;
    let (name, password) = decoded.split_once(':')?;
    Some(Login { name: name.into(), password: password.into() })
}
