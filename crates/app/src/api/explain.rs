//! Which nodes a request could use, and why not the others.

use hezar_api::{ApiError, CandidateDto, ExcludedDto, ExplainDto, ExplainQuery, SiteEvidenceDto};
use hezar_core::Host;
use hezar_gateway::{GatewayConfig, Session, SessionNameRef, read_name, site_key, site_name};
use hezar_pool::{CityKey, Need, Query};

use super::ApiBackend;

impl ApiBackend {
    pub(crate) fn explain_request(&self, query: &ExplainQuery) -> Result<ExplainDto, ApiError> {
        let listener = self.listener(query.listener.as_deref())?;
        // Without a user it is said what any user without options could use.
        let (user, options) = match query.user.as_deref() {
            None | Some("") => Default::default(),
            Some(name) => {
                read_name(&listener.users, name).map_err(|refusal| ApiError::BadRequest(refusal.to_string()))?
            }
        };
        let host = query.host.as_deref().map(read_host).transpose()?;
        let (datagrams, need) = match query.network.as_deref() {
            None | Some("tcp") => (false, Need::Anything),
            Some("udp") => (true, Need::Anything),
            Some("http") => (false, Need::Plain { port: 80, allow_transparent: listener.allow_transparent }),
            Some(other) => return Err(ApiError::BadRequest(format!("network {other:?} is not one of tcp, udp, http"))),
        };
        let now = self.clock.now();
        let session = options.session.as_deref().and_then(|session| {
            let names = SessionNameRef { listener: &listener.name, user: &user, session };
            self.sessions.get(names.id(), now)
        });
        let strategy = options.strategy.unwrap_or(listener.strategy);
        let asked = Query {
            strategy,
            filter: listener.filter,
            country: options.countries.first().copied(),
            session: session.as_ref().map(Session::pool_key),
            site: host.as_ref().map(site_key),
            datagrams,
            need,
            anonymity: options.anonymity,
            asn: options.asn,
            city: options.city.as_deref().and_then(CityKey::from_name),
            ..Query::default()
        };
        let told = self.pool.explain(&asked, query.top.unwrap_or(10).clamp(1, 100));
        let candidate = |candidate: &hezar_pool::Candidate| {
            let node = self.pool.node(candidate.node)?;
            Some(CandidateDto { node: self.node_dto(&node), score: candidate.score })
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

    pub(crate) fn evidence_at(&self, id: &str, site: &str) -> Result<Option<SiteEvidenceDto>, ApiError> {
        let host = read_host(site)?;
        let Some(node) = self.find(id)?.filter(|id| self.pool.node(*id).is_some()) else { return Ok(None) };
        let known = self.pool.site_evidence(node, site_key(&host));
        Ok(Some(SiteEvidenceDto {
            site: site_name(&host),
            avoided: known.is_some_and(|known| known.avoided),
            level: known.map_or(0, |known| known.level),
            until: known.map(|known| known.until.0),
        }))
    }

    pub(super) fn listener(&self, name: Option<&str>) -> Result<GatewayConfig, ApiError> {
        let listeners = self.listeners.configs();
        let found = match name {
            Some(name) => listeners.into_iter().find(|listener| *listener.name == *name),
            None => listeners.into_iter().next(),
        };
        found.ok_or_else(|| ApiError::BadRequest(format!("there is no listener {:?}", name.unwrap_or_default())))
    }
}

pub(super) fn country(letters: [u8; 2]) -> String {
    String::from_utf8_lossy(&letters).into_owned()
}

pub(super) fn read_host(text: &str) -> Result<Host, ApiError> {
    Host::new(text).map_err(|error| ApiError::BadRequest(format!("{text:?} is not a host: {error}")))
}
