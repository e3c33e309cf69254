//! Clients before they have logged in: how many there may be, what a wrong password costs, and what the log says of it.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use crate::{Refusal, context::Context};

mod client_table;
mod escaped;
mod failed_logins;
mod limits;
mod log_limit;
mod login;
mod reject_budget;
mod sessions;
mod username_options;

pub(crate) use client_table::ClientTable;
pub(crate) use escaped::Escaped;
pub(crate) use failed_logins::FailedLogins;
pub(crate) use limits::{Accounts, Admission, Throttled};
pub(crate) use log_limit::LogLimit;
pub use login::read_name;
pub(crate) use login::{Basic, Identity, Login, admit, basic, readings};
use login::{identify_any, users_of};
pub(crate) use reject_budget::{READ_SIZE, RejectBudget};
pub use sessions::{Session, SessionKey, Sessions};
pub use username_options::UserOptions;

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
pub(crate) async fn log_in(context: &Context, logins: &[Login], client: SocketAddr) -> Result<Identity, Refusal> {
    context.accounts.charge(&context.config, client.ip())?;
    let identity = match check(context, logins, client.ip()).await {
        Err(Refusal::AuthWrong) => return Err(failed_login(context, logins, client)),
        result => result?,
    };
    if context.clients.mark_logged_in(client) && !context.config.users.is_empty() {
        context.failed_logins.succeeded(client.ip(), &identity.user);
    }
    Ok(identity)
}

/// Looks at the passwords when it is their turn.
async fn check(context: &Context, logins: &[Login], client: IpAddr) -> Result<Identity, Refusal> {
    let users = &context.config.users;
    if users.is_empty() || logins.is_empty() || context.failed_logins.none() {
        return identify_any(users, logins);
    }
    // A user who has come from there before is let in at once, whatever its neighbours do.
    let known = users_of(users, logins).any(|user| context.failed_logins.spares(client, user));
    if known {
        match identify_any(users, logins) {
            Err(Refusal::AuthWrong) => context.failed_logins.guessed(client),
            result => return result,
        }
    }
    context.failed_logins.wait(client).await?;
    identify_any(users, logins)
}

/// Counts and tells that a password was wrong.
pub(crate) fn failed_login(context: &Context, logins: &[Login], client: SocketAddr) -> Refusal {
    let refusal = Refusal::AuthWrong;
    context.failed_logins.failed(client.ip());
    let ip = client.ip().to_canonical();
    if let Some(left_out) = context.log.permits(refusal.code(), ip) {
        let name = logins.first().map_or("", |login| &login.name);
        tracing::warn!(
            client = %ip, user = %Escaped(name), listener = %context.config.name, code = refusal.code(), left_out,
            "login failed"
        );
    }
    refusal
}
