//! Clients before they have logged in: how many there may be, what a wrong password costs, and what the log says of it.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use crate::{
    Refusal,
    auth::{Identity, Login, identify_any, users_of},
    gateway::Shared,
};

mod escaped;
mod failed_logins;
mod log_limit;
mod visitors;

pub(crate) use escaped::Escaped;
pub(crate) use failed_logins::FailedLogins;
pub(crate) use log_limit::LogLimit;
pub(crate) use visitors::Visitors;

/// What counts as one client: an IPv4 address, or the 64 bits of an IPv6 address that one subscriber has.
pub(crate) fn client_key(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V6(v6) => {
            let [a, b, c, d, ..] = v6.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
        v4 @ IpAddr::V4(_) => v4,
    }
}

/// Finds out who a client is. The client's rate is charged first, and an address from which wrong passwords come waits
/// before its next one is looked at. Whoever comes in counts as known from then on.
///
/// # Errors
/// [`Refusal::ClientLimit`], [`Refusal::LoginLimit`], and those of [`identify_any`].
pub(crate) async fn log_in(shared: &Shared, logins: &[Login], client: SocketAddr) -> Result<Identity, Refusal> {
    shared.accounts.charge(&shared.config, client.ip())?;
    let identity = match check(shared, logins, client.ip()).await {
        Err(Refusal::AuthWrong) => return Err(failed_login(shared, logins, client)),
        result => result?,
    };
    if shared.visitors.welcome(client) && !shared.config.users.is_empty() {
        shared.failed_logins.succeeded(client.ip(), &identity.user);
    }
    Ok(identity)
}

/// Looks at the passwords when it is their turn.
async fn check(shared: &Shared, logins: &[Login], client: IpAddr) -> Result<Identity, Refusal> {
    let users = &shared.config.users;
    if users.is_empty() || logins.is_empty() || shared.failed_logins.none() {
        return identify_any(users, logins);
    }
    // A user who has come from there before is let in at once, whatever its neighbours do.
    let known = users_of(users, logins).any(|user| shared.failed_logins.spares(client, user));
    if known {
        match identify_any(users, logins) {
            Err(Refusal::AuthWrong) => shared.failed_logins.guessed(client),
            result => return result,
        }
    }
    shared.failed_logins.wait(client).await?;
    identify_any(users, logins)
}

/// Counts and tells that a password was wrong.
pub(crate) fn failed_login(shared: &Shared, logins: &[Login], client: SocketAddr) -> Refusal {
    let refusal = Refusal::AuthWrong;
    shared.failed_logins.failed(client.ip());
    let ip = client.ip().to_canonical();
    if let Some(left_out) = shared.log.tells(refusal.code(), ip) {
        let name = logins.first().map_or("", |login| &login.name);
        tracing::warn!(
            client = %ip, user = %Escaped(name), listener = %shared.config.name, code = refusal.code(), left_out,
            "login failed"
        );
    }
    refusal
}
