//! Clients before they have logged in: how many there may be, what a wrong password costs, and what the log says of it.

use std::{
    net::{IpAddr, Ipv6Addr, SocketAddr},
    sync::Arc,
};

use crate::{Refusal, User, config::Policy};

mod client_table;
mod escaped;
mod failed_logins;
mod limits;
mod log_limit;
mod login;
mod reject_budget;
mod sessions;
mod slots;
mod username_options;

pub(crate) use client_table::ClientTable;
pub(crate) use escaped::Escaped;
pub(crate) use failed_logins::FailedLogins;
pub(crate) use limits::{Accounts, Admission, Throttled};
pub(crate) use log_limit::LogLimit;
pub use login::read_name;
pub(crate) use login::{Basic, Identity, Login, basic, decode_login};
use login::{identify_decoded, named_users};
pub(crate) use reject_budget::{READ_SIZE, RejectBudget};
pub use sessions::{ParseSessionIdError, Session, SessionId, SessionNameRef, Sessions};
pub(crate) use slots::Slots;
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

/// Who may come in at one listener, and what clients have open there.
#[derive(Debug)]
pub(crate) struct Access {
    policy: Arc<Policy>,
    accounts: Accounts,
    /// The connections, and which of them have not logged in.
    pub(crate) clients: Arc<ClientTable>,
    failed_logins: FailedLogins,
    /// How often the log is told the same.
    pub(crate) log: Arc<LogLimit>,
    /// How much is read from refused clients.
    pub(crate) reject_budget: RejectBudget,
    /// The open UDP associations.
    pub(crate) associations: Slots,
}

impl Access {
    pub(crate) fn new(policy: Arc<Policy>) -> Self {
        Self {
            policy,
            accounts: Accounts::new(),
            clients: ClientTable::new(),
            failed_logins: FailedLogins::new(),
            log: Arc::new(LogLimit::new()),
            reject_budget: RejectBudget::new(),
            associations: Slots::default(),
        }
    }

    /// Finds out who a client is. The client's rate is charged first, and an address from which wrong passwords come waits
    /// before its next one is looked at. Whoever comes in counts as known from then on.
    ///
    /// # Errors
    /// [`Refusal::ClientLimit`], [`Refusal::LoginLimit`], and those of [`identify_decoded`].
    pub(crate) async fn log_in(&self, logins: &[Login], client: SocketAddr) -> Result<Identity, Refusal> {
        let config = self.policy.load_full();
        self.accounts.charge(&config, client.ip())?;
        let identity = match self.check(&config.users, logins, client.ip()).await {
            Err(Refusal::AuthWrong) => return Err(self.failed_login(logins, client)),
            result => result?,
        };
        if self.clients.mark_logged_in(client) && !config.users.is_empty() {
            self.failed_logins.succeeded(client.ip(), &identity.user);
        }
        Ok(identity)
    }

    /// Looks at the passwords when it is their turn.
    async fn check(&self, users: &[User], logins: &[Login], client: IpAddr) -> Result<Identity, Refusal> {
        if users.is_empty() || logins.is_empty() || self.failed_logins.is_empty() {
            return identify_decoded(users, logins);
        }
        // A user who has come from there before is let in at once, whatever its neighbours do.
        let known = named_users(users, logins).any(|user| self.failed_logins.is_trusted(client, user));
        if known {
            match identify_decoded(users, logins) {
                Err(Refusal::AuthWrong) => self.failed_logins.record_guess(client),
                result => return result,
            }
        }
        self.failed_logins.wait(client).await?;
        identify_decoded(users, logins)
    }

    /// Counts and tells that a password was wrong.
    pub(crate) fn failed_login(&self, logins: &[Login], client: SocketAddr) -> Refusal {
        let refusal = Refusal::AuthWrong;
        self.failed_logins.failed(client.ip());
        let ip = client.ip().to_canonical();
        if let Some(left_out) = self.log.permits(refusal.code(), ip) {
            let name = logins.first().map_or("", |login| &login.name);
            tracing::warn!(
                client = %ip, user = %Escaped(name), listener = %self.policy.load().name, code = refusal.code(), left_out,
                "login failed"
            );
        }
        refusal
    }

    /// Lets somebody who is known, and whose client was charged, begin a request.
    ///
    /// # Errors
    /// [`Refusal::UserLimit`], [`Refusal::ClientLimit`].
    pub(crate) fn admit(&self, identity: Identity, client: IpAddr) -> Result<Identity, Refusal> {
        let admission = self.accounts.admit(&self.policy.load(), &identity.user, client)?;
        Ok(Identity { admission, ..identity })
    }
}
