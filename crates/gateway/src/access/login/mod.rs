//! Identifies clients: who a user name stands for, which options stand behind it, and whether the password is right.

use std::{net::IpAddr, ops::Deref, sync::Arc};

use super::{Admission, PasswordChecker};
use crate::{GatewayConfig, Refusal, User, UserOptions, spans::TraceHandle};

mod credentials;
mod names;
#[cfg(test)]
mod tests;

pub(crate) use credentials::{Basic, basic, decode_login, identify_decoded};

/// A client that may use the proxy, and what it asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Identity {
    /// The name without options; empty when the client gave none.
    pub user: Box<str>,
    /// The settings of the user; absent where no users are configured.
    pub known: Option<KnownUser>,
    pub options: UserOptions,
    /// The right to one request.
    pub admission: Admission,
    /// The trace of the request, if it is sampled.
    pub trace: TraceHandle,
}

/// One of the users of a listener, by its place among them.
#[derive(Clone, Debug)]
pub(crate) struct KnownUser {
    config: Arc<GatewayConfig>,
    index: usize,
}

impl KnownUser {
    /// The user at a place; `None` when there is none.
    pub(crate) fn new(config: &Arc<GatewayConfig>, index: usize) -> Option<Self> {
        (index < config.users.len()).then(|| Self { config: config.clone(), index })
    }
}

impl Deref for KnownUser {
    type Target = User;

    #[expect(
        clippy::indexing_slicing,
        reason = "the index was checked when this was made, and the settings do not change"
    )]
    fn deref(&self) -> &User {
        &self.config.users[self.index]
    }
}

impl PartialEq for KnownUser {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl Eq for KnownUser {}

/// A user name and a password as a client sent them.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Login {
    pub name: Box<str>,
    pub password: Box<str>,
}

/// Decides who the client is. Without users anybody may come in, and a name that is sent anyway only carries options.
///
/// # Errors
/// [`Refusal::AuthMissing`], [`Refusal::AuthWrong`], [`Refusal::BadOption`], [`Refusal::LoginLimit`].
pub(crate) async fn identify(
    config: &Arc<GatewayConfig>,
    login: Option<&Login>,
    passwords: &PasswordChecker,
    client: IpAddr,
) -> Result<Identity, Refusal> {
    let users = config.users.as_slice();
    let Some(login) = login else {
        return if users.is_empty() { Ok(Identity::default()) } else { Err(Refusal::AuthMissing) };
    };
    names::check(&login.name).map_err(Refusal::BadOption)?;
    if users.is_empty() {
        let (user, options) = names::read_unknown_name(&login.name).map_err(Refusal::BadOption)?;
        return Ok(Identity { user, options, ..Identity::default() });
    }
    let Some((index, tail)) = names::find_user(users, &login.name) else {
        passwords.check_unknown(users, &login.password, client).await?;
        return Err(Refusal::AuthWrong);
    };
    let known = KnownUser::new(config, index).ok_or(Refusal::AuthWrong)?;
    // Whoever does not know the password learns nothing about options.
    let behind = passwords.check(&known, &login.password, client).await?.ok_or(Refusal::AuthWrong)?;
    let options = tail.read().and_then(|options| options.with(behind?)).map_err(Refusal::BadOption)?;
    let options = options.or(known.options.options());
    Ok(Identity { user: known.name.clone(), known: Some(known), options, ..Identity::default() })
}

/// The configured users that the readings of a login name, whatever the password.
pub(crate) fn named_users<'a>(users: &'a [User], logins: &'a [Login]) -> impl Iterator<Item = &'a str> {
    let found = logins.iter().filter_map(|login| names::find_user(users, &login.name));
    found.filter_map(|(index, _)| users.get(index)).map(|user| &*user.name)
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
    let (index, tail) = names::find_user(users, name).ok_or(Refusal::AuthWrong)?;
    let user = users.get(index).ok_or(Refusal::AuthWrong)?;
    Ok((user.name.clone(), tail.read().map_err(Refusal::BadOption)?.or(user.options.options())))
}
