//! Which requests share an exit: those of a session, or with the strategy `sticky` those of a user or of a client address.

use std::net::IpAddr;

use hezar_core::{KeyHasher, SessionKey};
use hezar_pool::{Country, Strategy};

use super::Selection;
use crate::{GatewayConfig, Session, SessionNameRef, access::Identity};

/// Which requests share an exit with this one.
#[derive(Clone, Debug)]
pub(super) enum Sticky {
    /// No other request.
    Free,
    /// Those with this key, one exit for each country.
    Client(SessionKey),
    /// Those of a session. It begins when a node is found for it: a request that nobody serves leaves nothing behind.
    Session(Box<Session>),
}

impl Sticky {
    pub(super) fn new(
        selection: &Selection,
        config: &GatewayConfig,
        identity: &Identity,
        strategy: Strategy,
        client: IpAddr,
    ) -> Self {
        let listener = &*config.name;
        if let Some(session) = &identity.options.session {
            let ttl = identity.options.session_ttl.unwrap_or(config.session_ttl);
            let name = SessionNameRef { listener, user: &identity.user, session };
            let (renews, now) = (identity.options.session_renew, selection.clock.now());
            return Self::Session(Box::new(selection.sessions.find_or_plan(name, ttl, renews, now)));
        }
        if strategy != Strategy::Sticky {
            return Self::Free;
        }
        let hasher = KeyHasher::new().text("sticky").text(listener).text(&identity.user);
        let hasher = if identity.user.is_empty() { hasher.address(client) } else { hasher };
        Self::Client(SessionKey(hasher.finish()))
    }

    pub(super) const fn is_free(&self) -> bool {
        matches!(self, Self::Free)
    }

    /// Whether it is a session that the client named.
    pub(super) const fn is_session(&self) -> bool {
        matches!(self, Self::Session(_))
    }

    /// The pool's key for requests to this country.
    pub(super) fn key_in(&self, country: Option<Country>) -> Option<SessionKey> {
        match self {
            Self::Free => None,
            Self::Client(client) => Some(client.in_country(country)),
            Self::Session(session) => Some(session.pool_key_in(country)),
        }
    }

    /// A number that is the same for all that share an exit, or one at random.
    pub(super) fn rotation_seed(&self) -> u64 {
        self.key_in(None).map_or_else(rand::random, |key| key.0)
    }

    /// A node in this country was found. False when another request has begun the session in the same moment: then the
    /// node is to be chosen again, by the key that this one has.
    pub(super) fn begin_session(&mut self, selection: &Selection, country: Option<Country>) -> bool {
        let Self::Session(session) = self else { return true };
        let running = selection.sessions.begin(session, country, selection.clock.now());
        let same = running.began == session.began;
        **session = running;
        same
    }
}
