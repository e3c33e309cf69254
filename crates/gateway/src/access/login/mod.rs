//! Identifies clients: user names with options, and passwords, which are compared in constant time.

use std::hint::black_box;

use hezar_core::Secret;

use super::{Admission, UserOptions};
use crate::{OptionError, Refusal, User};

mod credentials;
mod names;
#[cfg(test)]
mod tests;

pub(crate) use credentials::{Basic, basic, decode_login, identify_decoded};
use names::Tail;

/// A client that may use the proxy, and what it asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Identity {
    /// The name without options; empty when the client gave none.
    pub user: Box<str>,
    /// Whether that is one of the configured users.
    pub is_configured: bool,
    pub options: UserOptions,
    /// The right to one request.
    pub admission: Admission,
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
    names::check(&login.name).map_err(Refusal::BadOption)?;
    if users.is_empty() {
        let (user, options) = names::read_unknown_name(&login.name).map_err(Refusal::BadOption)?;
        return Ok(Identity { user, options, ..Identity::default() });
    }
    let (user, name, password) = known_user(users, login).ok_or(Refusal::AuthWrong)?;
    let options = name.read().and_then(|options| options.with(password?)).map_err(Refusal::BadOption)?;
    Ok(Identity { user: user.into(), is_configured: true, options, admission: Admission::default() })
}

/// The configured users that the decode_login of a login name, whatever the password.
pub(crate) fn named_users<'a>(users: &'a [User], logins: &'a [Login]) -> impl Iterator<Item = &'a str> {
    logins.iter().filter_map(|login| names::find_user(users, &login.name)).map(|(user, _)| &*user.name)
}

/// The configured user of a login, what follows the name, and the options behind the password.
fn known_user<'a>(
    users: &'a [User],
    login: &'a Login,
) -> Option<(&'a str, Tail<'a>, Result<UserOptions, OptionError>)> {
    let found = names::find_user(users, &login.name);
    // An unknown name costs the same comparison as a known one.
    let expected = found.as_ref().and_then(|(user, _)| user.password.as_ref()).map_or("\u{0}", Secret::expose);
    let whole = constant_time_eq(login.password.as_bytes(), expected.as_bytes());
    // IPRoyal and PacketStream write the options behind the password: `secret_country-us_session-a1b2`.
    let (front, behind) = login.password.split_at_checked(expected.len()).unwrap_or((&login.password, ""));
    let front = constant_time_eq(front.as_bytes(), expected.as_bytes());
    let (user, name) = found?;
    user.password.as_ref()?;
    let password = match behind.strip_prefix('_') {
        _ if whole => Ok(UserOptions::default()),
        Some(options) if front => UserOptions::parse_with(options, &['_']),
        _ => return None,
    };
    Some((&user.name, name, password))
}

/// What a name means to a listener with these users, for whoever asks without logging in.
///
/// # Errors
/// [`Refusal::AuthWrong`] when no user has such a name, [`Refusal::BadOption`].
pub fn read_name(users: &[User], name: &str) -> Result<(Box<str>, UserOptions), Refusal> {
    names::check(name).map_err(Refusal::BadOption)?;
    if users.is_empty() {
        return names::read_unknown_name(name).map_err(Refusal::BadOption);
    }
    let (user, tail) = names::find_user(users, name).ok_or(Refusal::AuthWrong)?;
    Ok((user.name.clone(), tail.read().map_err(Refusal::BadOption)?))
}

/// Compares in a time that depends only on the length of `given`.
fn constant_time_eq(given: &[u8], expected: &[u8]) -> bool {
    let mut difference = u8::from(given.len() != expected.len());
    for (index, byte) in given.iter().enumerate() {
        let other = expected.get(index % expected.len().max(1)).copied().unwrap_or_default();
        difference = black_box(difference | (byte ^ other));
    }
    difference == 0
}
