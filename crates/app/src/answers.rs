//! The answers about sessions, feedback and explanations.

use hezar_api::{
    ApiError, CandidateDto, EndReport, ExcludedDto, ExplainDto, ExplainQuery, FeedbackReport, FeedbackRequest, Saved,
    SessionDto, SessionsQuery, TrafficDto, TroubleDto,
};
use hezar_core::{Host, NodeId};
use hezar_gateway::{GatewayConfig, Session, SessionKey, Traffic, read_name, site_key, site_name};
use hezar_pool::{Query, SiteVerdict, Strategy, exit_key};

use crate::{
    control::{Desk, dto},
    sessions,
};

impl Desk {
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
        let filter = self.listeners.iter().find(|listener| listener.name == session.listener);
        let filter = filter.and_then(|listener| listener.filter);
        let query = Query { filter, country: session.country, strategy: Strategy::Random, ..Query::default() };
        self.pool.rotate(session.pool_key(), &query, rand::random()).ok_or(ApiError::NoExit)?;
        let Some(session) = self.sessions.renew(id, now) else { return Ok(None) };
        let row = sessions::row(&self.pool, &session, None);
        let stored = self.board.save(vec![hezar_store::Change::PutSession(row)]).await?;
        Ok(Some(Saved { done: self.session_dto(&session), stored }))
    }

    pub(crate) async fn forget_session(&self, id: &str) -> Result<Option<Saved<EndReport>>, ApiError> {
        let (id, now) = (read_session(id)?, self.clock.now());
        let Some(session) = self.sessions.end(id) else { return Ok(None) };
        self.pool.end_session(session.pool_key());
        let gone = hezar_store::Change::RemoveSession(sessions::name(&session));
        let stored = self.board.save(vec![gone]).await?;
        // One that had run out before was no session any more.
        Ok((session.ends > now).then_some(Saved { done: EndReport { ended: true }, stored }))
    }

    fn session_dto(&self, session: &Session) -> SessionDto {
        let pinned = self.pool.pinned(session.pool_key());
        let node = pinned.and_then(|pinned| self.pool.node(pinned.node));
        let exit = node.and_then(|node| node.record().exit_ip);
        SessionDto {
            id: format!("{:016x}", session.id()),
            listener: session.listener.to_string(),
            user: session.user.to_string(),
            session: session.session.to_string(),
            country: session.country.map(country),
            node: pinned.map(|pinned| pinned.node.to_string()),
            exit_ip: exit.filter(|ip| pinned.is_some_and(|p| p.exit == exit_key(*ip))).map(|ip| ip.to_string()),
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

    pub(crate) fn explain_request(&self, query: &ExplainQuery) -> Result<ExplainDto, ApiError> {
        let listener = self.listener(query.listener.as_deref())?;
        let name = query.user.as_deref().unwrap_or_default();
        let (user, options) =
            read_name(&listener.users, name).map_err(|refusal| ApiError::BadRequest(refusal.to_string()))?;
        let host = query.host.as_deref().map(read_host).transpose()?;
        let datagrams = match query.network.as_deref() {
            None | Some("tcp") => false,
            Some("udp") => true,
            Some(other) => return Err(ApiError::BadRequest(format!("network {other:?} is not one of tcp, udp"))),
        };
        let now = self.clock.now();
        let session = options.session.as_deref().and_then(|session| {
            let key = SessionKey { listener: &listener.name, user: &user, session };
            self.sessions.get(key.id(), now)
        });
        let strategy = options.strategy.unwrap_or(listener.strategy);
        let asked = Query {
            strategy,
            filter: listener.filter,
            country: options.countries.first().copied(),
            session: session.as_ref().map(Session::pool_key),
            site: host.as_ref().map(site_key),
            datagrams,
            ..Query::default()
        };
        let told = self.pool.explain(&asked, query.top.unwrap_or(10).clamp(1, 100));
        let candidate = |candidate: &hezar_pool::Candidate| {
            let node = self.pool.node(candidate.node)?;
            Some(CandidateDto { node: dto(&node), score: candidate.score })
        };
        let excluded = told.excluded.into_iter().map(|(reason, excluded)| ExcludedDto {
            reason: reason.to_owned(),
            count: excluded.count,
            examples: excluded.examples.iter().map(ToString::to_string).collect(),
        });
        Ok(ExplainDto {
            listener: listener.name.to_string(),
            user: user.to_string(),
            strategy: strategy.name().to_owned(),
            country: options.countries.first().copied().map(country),
            session: options.session.map(Into::into),
            site: host.as_ref().map(site_name),
            nodes: told.nodes,
            fitting: told.fitting,
            exits: told.exits,
            pinned: told.pinned.map(|(node, _)| node.to_string()),
            pinned_fits: told.pinned.map(|(_, fits)| fits),
            candidates: told.candidates.iter().filter_map(candidate).collect(),
            excluded: excluded.collect(),
        })
    }

    pub(crate) fn traffic(&self) -> TrafficDto {
        let Traffic { ok, failed, refused, up, down, tunnels, connections } = self.metrics.traffic();
        TrafficDto { ok, failed, refused, up, down, tunnels, connections }
    }

    pub(crate) fn troubles(&self) -> Vec<TroubleDto> {
        let troubles = self.metrics.troubles().into_iter().map(|trouble| TroubleDto {
            at: trouble.at.0,
            inbound: trouble.inbound.to_owned(),
            user: trouble.user.into(),
            target: trouble.target.map(|target| target.to_string()),
            node: trouble.node.map(|node| node.to_string()),
            code: trouble.code.to_owned(),
        });
        troubles.collect()
    }

    fn listener(&self, name: Option<&str>) -> Result<&GatewayConfig, ApiError> {
        let found = match name {
            Some(name) => self.listeners.iter().find(|listener| *listener.name == *name),
            None => self.listeners.first(),
        };
        found.ok_or_else(|| ApiError::BadRequest(format!("there is no listener {:?}", name.unwrap_or_default())))
    }
}

fn country(letters: [u8; 2]) -> String {
    String::from_utf8_lossy(&letters).into_owned()
}

fn read_session(text: &str) -> Result<u64, ApiError> {
    let digits = text.len() == 16 && text.bytes().all(|b| b.is_ascii_hexdigit());
    let id = u64::from_str_radix(text, 16).ok().filter(|_| digits);
    id.ok_or_else(|| ApiError::BadRequest(format!("{text:?} is not a session's id: 16 hexadecimal digits")))
}

fn read_host(text: &str) -> Result<Host, ApiError> {
    Host::new(text).map_err(|error| ApiError::BadRequest(format!("{text:?} is not a host: {error}")))
}
