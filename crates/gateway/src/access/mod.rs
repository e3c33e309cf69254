//! Clients before they have logged in: how many there may be, what a wrong password costs, and what the log says of it.

use std::{
    net::{IpAddr, Ipv6Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use ahash::AHashMap;
use hezar_core::Target;
use hezar_engine::{Clock, Dialer};
use hezar_pool::{Country, Pool};
use tokio::time::{MissedTickBehavior, interval};

use crate::{
    Connections, GatewayConfig, OptionError, Refusal, RequestTracer, Usage, User, config::Policy, user::Permissions,
};

mod client_table;
mod credentials;
mod escaped;
mod failed_logins;
mod limits;
mod log_limit;
mod login;
mod passwords;
mod reject_budget;
mod sessions;
mod slots;

pub(crate) use client_table::{ClientEntry, ClientTable};
pub(crate) use credentials::{CredentialTable, Holder};
pub(crate) use escaped::Escaped;
pub(crate) use failed_logins::FailedLogins;
pub use limits::OpenElsewhere;
pub(crate) use limits::{Accounts, Admission, Throttled};
pub(crate) use log_limit::LogLimit;
pub use login::read_name;
pub(crate) use login::{Basic, Identity, Login, basic, decode_login};
use login::{identify_decoded, named_users};
pub(crate) use passwords::PasswordChecker;
pub(crate) use reject_budget::{READ_SIZE, RejectBudget};
pub use sessions::{ParseSessionIdError, Session, SessionId, SessionNameRef, Sessions, SharedSession, SharedSessions};
pub(crate) use slots::{Slot, Slots};

/// How often running connections are held against the settings of their users.
const CHECKED_EVERY: Duration = Duration::from_secs(1);

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
    /// Chooses the requests whose spans are kept.
    tracer: RequestTracer,
    clock: Clock,
    pool: Arc<Pool<Arc<dyn Dialer>>>,
    usage: Arc<Usage>,
    accounts: Accounts,
    /// The connections, and which of them have not logged in.
    pub(crate) clients: Arc<ClientTable>,
    failed_logins: FailedLogins,
    passwords: Arc<PasswordChecker>,
    /// How often the log is told the same.
    pub(crate) log: Arc<LogLimit>,
    /// How much is read from refused clients.
    pub(crate) reject_budget: RejectBudget,
    /// The open UDP associations.
    pub(crate) associations: Slots,
}

impl Access {
    pub(crate) fn new(
        policy: Arc<Policy>,
        pool: Arc<Pool<Arc<dyn Dialer>>>,
        clock: Clock,
        usage: Arc<Usage>,
        passwords: Arc<PasswordChecker>,
        tracer: RequestTracer,
    ) -> Self {
        Self {
            policy,
            tracer,
            clock,
            pool,
            usage,
            accounts: Accounts::new(),
            clients: ClientTable::new(),
            failed_logins: FailedLogins::new(),
            passwords,
            log: Arc::new(LogLimit::new()),
            reject_budget: RejectBudget::new(),
            associations: Slots::default(),
        }
    }

    /// Finds out who a client is. The client's rate is charged first, and an address from which wrong passwords come waits
    /// before its next one is looked at. Whoever comes in counts as known from then on.
    ///
    /// # Errors
    /// [`Refusal::ClientDenied`], [`Refusal::ClientLimit`], [`Refusal::LoginLimit`], and those of [`identify_decoded`].
    pub(crate) async fn log_in(&self, logins: &[Login], client: SocketAddr) -> Result<Identity, Refusal> {
        let config = self.policy.load_full();
        if !config.is_open_to(client.ip()) {
            return Err(Refusal::ClientDenied);
        }
        self.accounts.charge(&config, client.ip())?;
        let identity = match self.check(&config, logins, client.ip()).await {
            Err(Refusal::AuthWrong) => return Err(self.failed_login(logins, client)),
            result => result?,
        };
        if self.clients.mark_logged_in(client) && !config.users.is_empty() {
            self.failed_logins.succeeded(client.ip(), &identity.user);
        }
        Ok(identity)
    }

    /// Lets somebody in who has shown a credential of an encrypted listener. The client's rate is charged first. Whoever comes in
    /// counts as known from then on.
    ///
    /// # Errors
    /// [`Refusal::ClientLimit`].
    pub(crate) fn recognize(&self, holder: Holder, client: SocketAddr) -> Result<Identity, Refusal> {
        self.accounts.charge(&self.policy.load(), client.ip())?;
        self.clients.mark_logged_in(client);
        Ok(holder.identity(client.ip()))
    }

    /// See [`Gateway::set_open_elsewhere`](crate::Gateway::set_open_elsewhere).
    pub(crate) fn set_open_elsewhere(&self, open: &[OpenElsewhere]) {
        self.accounts.set_open_elsewhere(open);
    }

    /// Looks at the passwords when it is their turn.
    async fn check(&self, config: &Arc<GatewayConfig>, logins: &[Login], client: IpAddr) -> Result<Identity, Refusal> {
        let users = config.users.as_slice();
        if users.is_empty() || logins.is_empty() || self.failed_logins.is_empty() {
            return identify_decoded(config, logins, &self.passwords, client).await;
        }
        // A user who has come from there before is let in at once, whatever its neighbours do.
        let known = named_users(users, logins).any(|user| self.failed_logins.is_trusted(client, user));
        if known {
            match identify_decoded(config, logins, &self.passwords, client).await {
                Err(Refusal::AuthWrong) => self.failed_logins.record_guess(client),
                result => return result,
            }
        }
        self.failed_logins.wait(client).await?;
        identify_decoded(config, logins, &self.passwords, client).await
    }

    /// Counts and tells that a password was wrong.
    pub(crate) fn failed_login(&self, logins: &[Login], client: SocketAddr) -> Refusal {
        let refusal = Refusal::AuthWrong;
        self.failed_logins.failed(client.ip());
        let ip = client.ip().to_canonical();
        if let Some(left_out) = self.log.permits(refusal.code(), ip) {
            let (policy, name) = (self.policy.load(), logins.first().map_or("", |login| &login.name));
            tracing::warn!(
                client = (!policy.log_privacy.clients).then(|| tracing::field::display(ip)),
                user = (!policy.log_privacy.users).then(|| tracing::field::display(Escaped(name))),
                listener = %policy.name, code = refusal.code(), left_out,
                "login failed"
            );
        }
        refusal
    }

    /// Lets somebody who is known, and whose client was charged, begin a request.
    ///
    /// # Errors
    /// [`Refusal::UserLimit`], [`Refusal::ClientLimit`], [`Refusal::CountryDenied`], and those of [`Access::check_user`].
    pub(crate) fn admit(&self, mut identity: Identity, client: SocketAddr) -> Result<Identity, Refusal> {
        let config = self.policy.load();
        if config.ports.is_some()
            && let Some(of_port) = self.clients.options(client)
        {
            identity.options = identity.options.or(&of_port);
        }
        if let Some(user) = &identity.known {
            self.check_user(user, &config.name)?;
            allowed_countries(&mut identity.options.countries, &user.countries)?;
        }
        if identity.options.asn.is_some() && !self.pool.knows_asn() {
            return Err(Refusal::BadOption(OptionError::NoDatabase("asn")));
        }
        if identity.options.city.is_some() && !self.pool.knows_city() {
            return Err(Refusal::BadOption(OptionError::NoDatabase("city")));
        }
        let admission = self.accounts.admit(&config, &identity.user, client.ip())?;
        let trace = self.tracer.begin(self.clock.wall());
        Ok(Identity { admission, trace, ..identity })
    }

    /// Whether a user may use a listener now.
    ///
    /// # Errors
    /// [`Refusal::UserDisabled`], [`Refusal::UserExpired`], [`Refusal::ListenerDenied`], [`Refusal::QuotaExceeded`].
    fn check_user(&self, user: &User, listener: &str) -> Result<(), Refusal> {
        let now = self.clock.now();
        if !user.enabled {
            return Err(Refusal::UserDisabled);
        }
        if user.expires.is_some_and(|end| now >= end) {
            return Err(Refusal::UserExpired);
        }
        if !user.may_use(listener) {
            return Err(Refusal::ListenerDenied);
        }
        self.usage.account(&user.name).check(&user.quota, now)
    }

    /// Whether somebody may reach a target through this listener.
    ///
    /// # Errors
    /// [`Refusal::PortDenied`], [`Refusal::HostDenied`], [`Refusal::PrivateDenied`].
    pub(crate) fn check_target(&self, identity: &Identity, target: &Target) -> Result<(), Refusal> {
        let config = self.policy.load();
        let of_user = identity.known.as_ref().map(|user| &user.rules);
        Permissions::new(of_user, &config.rules, config.listen.ip()).check(target)
    }

    /// Ends what runs of users who may not use the listener any more: once a second, for as long as it is polled.
    pub(crate) async fn end_refused(&self, connections: &Connections) {
        let mut ticks = interval(CHECKED_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let config = self.policy.load_full();
            let users: AHashMap<&str, &User> = config.users.iter().map(|user| (&*user.name, user)).collect();
            connections.end_refused(&config.name, |name| match users.get(name) {
                Some(user) => self.check_user(user, &config.name),
                None => Err(Refusal::UserRemoved),
            });
        }
    }
}

/// Leaves of the countries that were asked for those that are allowed; all that are allowed when none was asked for.
///
/// # Errors
/// [`Refusal::CountryDenied`] when none is left.
fn allowed_countries(asked: &mut Vec<Country>, allowed: &[Country]) -> Result<(), Refusal> {
    if allowed.is_empty() {
        return Ok(());
    }
    if asked.is_empty() {
        *asked = allowed.to_vec();
        return Ok(());
    }
    asked.retain(|country| allowed.contains(country));
    if asked.is_empty() { Err(Refusal::CountryDenied) } else { Ok(()) }
}
