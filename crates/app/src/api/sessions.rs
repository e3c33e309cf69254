//! Sessions as the API lists, rotates and ends them, and what clients tell about sites.

use hezar_api::{ApiError, EndReport, FeedbackReport, FeedbackRequest, Saved, SessionDto, SessionsQuery};
use hezar_core::NodeId;
use hezar_gateway::{Session, SessionId, site_key, site_name};
use hezar_pool::{ExitKey, Query, SiteVerdict, Strategy};

use super::{
    ApiBackend,
    explain::{country, read_host},
};
use crate::store_sync::sessions;

impl ApiBackend {
    pub(crate) fn fitting_sessions(&self, query: &SessionsQuery) -> Vec<SessionDto> {
        let is = |asked: &Option<String>, name: &str| asked.as_deref().is_none_or(|asked| asked == name);
        let mut sessions = self.sessions.list(self.clock.now());
        sessions.retain(|session| {
            is(&query.session, &session.session)
                && is(&query.user, &session.user)
                && is(&query.listener, &session.listener)
        });
        sessions.sort_by(|a, b| (a.ends, &a.user, &a.session).cmp(&(b.ends, &b.user, &b.session)));
        sessions.iter().map(|session| self.session_dto(session)).collect()
    }

    pub(crate) async fn rotate_session(&self, id: &str) -> Result<Option<Saved<SessionDto>>, ApiError> {
        let (id, now) = (read_session(id)?, self.clock.now());
        let Some(session) = self.sessions.get(id, now) else { return Ok(None) };
        let filter = self.listeners.configs().into_iter().find(|listener| listener.name == session.listener);
        let filter = filter.and_then(|listener| listener.filter);
        let query = Query { filter, country: session.country, strategy: Strategy::Random, ..Query::default() };
        let left = self.pool.pinned(session.pool_key());
        self.pool.rotate(session.pool_key(), &query, rand::random()).ok_or(ApiError::NoExit)?;
        if let Some(left) = left {
            self.renew_left_circuit(left.node);
        }
        let Some(session) = self.sessions.renew(id, now) else { return Ok(None) };
        let row = sessions::row(&self.pool, &session, None);
        let stored = self.table.save(vec![hezar_store::Change::PutSession(row)]).await?;
        Ok(Some(Saved { done: self.session_dto(&session), stored }))
    }

    /// Renews the Tor circuit that a session has left, unless another session still uses it.
    fn renew_left_circuit(&self, node: NodeId) {
        let sessions = self.sessions.list(self.clock.now());
        let is_used =
            |session: &Session| self.pool.pinned(session.pool_key()).is_some_and(|pinned| pinned.node == node);
        if !sessions.iter().any(is_used) {
            self.tor.renew(node);
        }
    }

    pub(crate) async fn forget_session(&self, id: &str) -> Result<Option<Saved<EndReport>>, ApiError> {
        let (id, now) = (read_session(id)?, self.clock.now());
        let Some(session) = self.sessions.end(id) else { return Ok(None) };
        self.pool.end_session(session.pool_key());
        let gone =
            hezar_store::Change::RemoveSession { name: sessions::name(&session), ends: hezar_store::Change::WHENEVER };
        let stored = self.table.save(vec![gone]).await?;
        // One that had run out before was no session any more.
        Ok((session.ends > now).then_some(Saved { done: EndReport { ended: true }, stored }))
    }

    fn session_dto(&self, session: &Session) -> SessionDto {
        let pinned = self.pool.pinned(session.pool_key());
        let node = pinned.and_then(|pinned| self.pool.node(pinned.node));
        let exit = node.and_then(|node| node.record().exit_ip);
        SessionDto {
            id: session.id().to_string(),
            listener: session.listener.to_string(),
            user: session.user.to_string(),
            session: session.session.to_string(),
            country: session.country.map(country),
            node: pinned.map(|pinned| pinned.node.to_string()),
            exit_ip: exit.filter(|ip| pinned.is_some_and(|p| p.exit == ExitKey::from_ip(*ip))).map(|ip| ip.to_string()),
            began: session.began.0,
            ends: session.ends.0,
        }
    }

    pub(crate) fn note_feedback(&self, request: &FeedbackRequest) -> Result<FeedbackReport, ApiError> {
        let verdict = match request.verdict.as_str() {
            "ok" => SiteVerdict::Works,
            "failed" => SiteVerdict::Fails,
            "blocked" => SiteVerdict::Blocked,
            other => return Err(ApiError::BadRequest(format!("verdict {other:?} is not one of ok, failed, blocked"))),
        };
        let host = read_host(&request.site)?;
        let site = site_key(&host);
        let now = self.clock.now();
        let node: NodeId = match (&request.node, &request.session) {
            (Some(node), None) => self.find(node)?.ok_or(ApiError::NotFound)?,
            (None, Some(session)) => {
                let session = self.sessions.get(read_session(session)?, now).ok_or(ApiError::NotFound)?;
                // The exit that the client has seen there, which is another one where the first is refused already.
                self.pool.pinned_at(session.pool_key(), site).ok_or(ApiError::NotFound)?.node
            }
            _ => return Err(ApiError::BadRequest("give one of node and session".to_owned())),
        };
        self.pool.node(node).ok_or(ApiError::NotFound)?;
        self.pool.report_site(node, site, verdict, now);
        Ok(FeedbackReport { node: node.to_string(), site: site_name(&host) })
    }
}

fn read_session(text: &str) -> Result<SessionId, ApiError> {
    text.parse().map_err(|_| ApiError::BadRequest(format!("{text:?} is not a session's id: 16 hexadecimal digits")))
}
