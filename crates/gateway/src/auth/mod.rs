//! Who a client is: user names with options, passwords compared in constant time.

use std::hint::black_box;

use base64::{Engine as _, engine::general_purpose::STANDARD};

use crate::{Refusal, User, options::UserOptions};

#[cfg(test)]
mod tests;

/// A client that may use the proxy, and what it asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Identity {
    /// The name without options; empty when the client gave none.
    pub user: Box<str>,
    pub options: UserOptions,
}

/// A user name and a password as a client sent them.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Login {
    pub name: Box<str>,
    pub password: Box<str>,
}

/// Decides who the client is. Without users anybody may come in, and a name that is sent anyway only carries options.
///
/// # Errors
/// [`Refusal::AuthMissing`], [`Refusal::AuthWrong`], [`Refusal::BadOption`].
pub(crate) fn identify(users: &[User], login: Option<&Login>) -> Result<Identity, Refusal> {
    let Some(login) = login else {
        return if users.is_empty() { Ok(Identity::default()) } else { Err(Refusal::AuthMissing) };
    };
    let (user, options) = if users.is_empty() {
        login.name.split_once('-').unwrap_or((&login.name, ""))
    } else {
        known_user(users, login).ok_or(Refusal::AuthWrong)?
    };
    let options = UserOptions::parse(options).map_err(Refusal::BadOption)?;
    Ok(Identity { user: user.into(), options })
}

/// The configured user that the name begins with (the longest, as names may contain hyphens) and the options after it.
fn known_user<'a>(users: &'a [User], login: &'a Login) -> Option<(&'a str, &'a str)> {
    let options = |user: &User| match login.name.strip_prefix(&*user.name)? {
        "" => Some(""),
        rest => rest.strip_prefix('-'),
    };
    let found = users.iter().filter_map(|user| Some((user, options(user)?))).max_by_key(|(user, _)| user.name.len());
    // An unknown name costs the same comparison as a known one.
    let expected = found.map_or("\u{0}", |(user, _)| user.password.expose());
    let same = equal(login.password.as_bytes(), expected.as_bytes());
    found.filter(|_| same).map(|(user, options)| (&*user.name, options))
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
