//! Finds out what an HTTP proxy carries: plain requests, tunnels to port 443, tunnels to other ports. A proxy that carries
//! any of them is used for that.

use std::time::Duration;

use hezar_core::{Host, Target};
use hezar_engine::{
    Attempt, Cause, DialError, Dialer, TlsClients, Tunnelled,
    http::{HttpRequest, RequestError},
};
use hezar_pool::{HttpAbility, HttpWay};
use url::Url;

use crate::{BodyRule, CanaryBody, Check, HttpCheck, ProbeConfig, canary::intercepted};

/// The checks that show what an HTTP proxy carries; their URLs are those of the other checks.
#[derive(Debug)]
pub struct HttpNodeChecks {
    /// Pages without TLS; the first one that gives a clear result decides.
    plain: Vec<HttpCheck>,
    /// Pages behind TLS on port 443.
    secure: Vec<HttpCheck>,
    /// A target on another port, and the check of the page there if there is one.
    other: (Target, Option<HttpCheck>),
    /// Whether the probe URL itself is a plain one.
    is_plain_first: bool,
}

/// The most canaries among the checks of one way.
const MOST_CANARIES: usize = 1;

/// What the checks have shown about one node.
#[derive(Debug)]
pub(crate) struct LearnedAbility {
    pub(crate) ability: HttpAbility,
    /// How long the first answer took, or why there was none.
    pub(crate) result: Result<Duration, DialError>,
}

impl HttpNodeChecks {
    /// Makes the checks from the probe URL and its counterpart of the other scheme, a canary, the trace page and the control
    /// URLs.
    ///
    /// # Errors
    /// [`RequestError`] when no request can be made for the probe URL.
    pub fn new(config: &ProbeConfig, tls: &TlsClients) -> Result<Self, RequestError> {
        let is_plain_first = config.url.scheme() == "http";
        let page = |url: &Url| HttpCheck::new(url, Some(config.expect_status), config.expect_body.clone(), tls.clone());
        let own = page(&config.url)?;
        let counterpart =
            with_other_scheme(&config.url).and_then(|url| page(&url).ok()).map(HttpCheck::or_its_redirect);
        let (mut plain, mut secure) = (Vec::new(), Vec::new());
        if is_plain_first {
            plain.push(own);
            secure.extend(counterpart);
        } else {
            secure.push(own);
            plain.extend(counterpart);
        }
        let mut more = |url: &Url, status: Option<u16>, body: Option<BodyRule>| {
            let Ok(check) = HttpCheck::new(url, status, body, tls.clone()) else { return };
            if url.scheme() == "http" { plain.push(check) } else { secure.push(check) }
        };
        for canary in config.canaries.iter().take(MOST_CANARIES) {
            more(&canary.url, Some(200), canary_rule(&canary.body));
        }
        if let Some(url) = &config.trace_url {
            more(url, Some(200), Some(BodyRule::Contains("ip=".into())));
        }
        for url in config.control.iter().filter(|url| url.scheme() == "https") {
            more(url, None, None);
        }
        let target = HttpRequest::of_url(&config.url)?.target().clone();
        let other = match target.port() {
            443 => (at_port(target.host(), 80)?, None),
            _ if is_plain_first => (target, Some(page(&config.url)?)),
            _ => (target, None),
        };
        secure.retain(|check| check.target().port() == 443);
        Ok(Self { plain, secure, other, is_plain_first })
    }

    /// Runs one check in a way that is known to work, the way of the probe URL first; `None` when no way is known to work.
    pub(crate) async fn confirm(
        &self,
        dialer: &dyn Dialer,
        known: HttpAbility,
        attempt: &Attempt,
    ) -> Option<Result<Duration, DialError>> {
        let works = |way| known.works_through(way) == Some(true);
        let tunnel = Tunnelled(dialer);
        let plain = self.plain.first().filter(|_| works(HttpWay::Plain)).map(|check| (check, dialer));
        let other = self.other.1.as_ref().filter(|_| works(HttpWay::TunnelOther)).map(|check| (check, &tunnel as _));
        let secure = self.secure.first().filter(|_| works(HttpWay::Tunnel443)).map(|check| (check, &tunnel as _));
        let ways: [Option<(&HttpCheck, &dyn Dialer)>; 3] =
            if self.is_plain_first { [plain, other, secure] } else { [secure, plain, other] };
        let (check, dialer) = ways.into_iter().flatten().next()?;
        Some(check.check(dialer, attempt).await.map(|()| attempt.elapsed()))
    }

    /// Tries every way, until a failure shows that no further one can work.
    pub(crate) async fn learn(&self, dialer: &dyn Dialer, attempt: impl Fn() -> Attempt + Sync) -> LearnedAbility {
        let mut found = LearnedAbility { ability: HttpAbility::default(), result: Err(no_answer()) };
        let order = if self.is_plain_first {
            [HttpWay::Plain, HttpWay::TunnelOther, HttpWay::Tunnel443]
        } else {
            [HttpWay::Tunnel443, HttpWay::Plain, HttpWay::TunnelOther]
        };
        let mut first_error = None;
        for way in order {
            let started = attempt();
            let (works, error) = self.check_way(way, dialer, &attempt).await;
            if let Some(works) = works {
                found.ability = found.ability.with(way, works);
            }
            match error {
                // A tunnel that opens does not prove that bytes come through it.
                None if works == Some(true) && found.result.is_err() && self.is_proof(way) => {
                    found.result = Ok(started.elapsed());
                }
                Some(error) => {
                    let hopeless = rules_out_every_way(&error);
                    first_error.get_or_insert(error);
                    if hopeless {
                        break;
                    }
                }
                None => {}
            }
        }
        if let (Err(_), Some(error)) = (&found.result, first_error) {
            found.result = Err(error);
        }
        if found.result.is_ok() && found.ability.works_through(HttpWay::Plain).is_none() {
            // It accepts CONNECT and answered no plain request.
            found.ability = found.ability.with(HttpWay::Plain, false);
        }
        found
    }

    /// Whether a success in this way proves that bytes come through: for a mere tunnel to another port it does not.
    fn is_proof(&self, way: HttpWay) -> bool {
        way != HttpWay::TunnelOther || self.other.1.is_some()
    }

    /// Whether one way works, if a check shows it, and the first failure.
    async fn check_way(
        &self,
        way: HttpWay,
        dialer: &dyn Dialer,
        attempt: &(impl Fn() -> Attempt + Sync),
    ) -> (Option<bool>, Option<DialError>) {
        let tunnel = Tunnelled(dialer);
        let (checks, via): (&[HttpCheck], &dyn Dialer) = match way {
            HttpWay::Plain => (&self.plain, dialer),
            HttpWay::Tunnel443 => (&self.secure, &tunnel),
            HttpWay::TunnelOther => match &self.other {
                (_, Some(check)) => (std::slice::from_ref(check), &tunnel),
                (target, None) => return interpret(dialer.connect(target, &attempt()).await.map(drop)),
            },
        };
        let mut first = None;
        for check in checks {
            match interpret(check.check(via, &attempt()).await) {
                (None, Some(error)) => {
                    let hopeless = rules_out_every_way(&error);
                    first.get_or_insert(error);
                    if hopeless {
                        break;
                    }
                }
                told => return told,
            }
        }
        (None, first)
    }
}

/// Whether the way works, if the result shows it, and the failure.
fn interpret(result: Result<(), DialError>) -> (Option<bool>, Option<DialError>) {
    match result {
        Ok(()) => (Some(true), None),
        Err(error) => (error.refuses_tunnel().then_some(false), Some(error)),
    }
}

/// Whether a failure shows that no way works: the server cannot be reached, rejects our credentials, is silent or intercepts
/// TLS.
pub(crate) fn rules_out_every_way(error: &DialError) -> bool {
    error.stage < hezar_core::Stage::Handshake
        || matches!(error.cause, Cause::Timeout | Cause::Authentication)
        || intercepted(error).is_some()
}

fn no_answer() -> DialError {
    DialError::new(hezar_core::Stage::Exchange, Cause::Closed)
}

/// The same page under the other scheme, http or https, on its usual port; `None` for a URL with an explicit port.
fn with_other_scheme(url: &Url) -> Option<Url> {
    let mut twin = url.clone();
    let other = if url.scheme() == "http" { "https" } else { "http" };
    (url.port().is_none() && twin.set_scheme(other).is_ok()).then_some(twin)
}

fn canary_rule(body: &CanaryBody) -> Option<BodyRule> {
    match body {
        CanaryBody::Text(text) => Some(BodyRule::StartsWith(text.clone())),
        CanaryBody::Sha256(_) => None,
    }
}

fn at_port(host: &Host, port: u16) -> Result<Target, RequestError> {
    Target::new(host.clone(), port).map_err(|_| RequestError::Host)
}
