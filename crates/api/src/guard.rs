//! Decides who may use the API: checks the Host header (against DNS rebinding) and the token.

use std::net::{IpAddr, SocketAddr};

use axum::http::{HeaderMap, header};
use hezar_core::Secret;

use crate::{ApiError, Caller, Scope};

/// The name of the token that the configuration or the data folder holds.
const OWN_TOKEN: &str = "token";

/// The rules of one listener.
#[derive(Clone, Debug)]
pub(crate) struct Guard {
    token: Secret,
    listen: SocketAddr,
    hosts: Vec<String>,
}

impl Guard {
    pub(crate) const fn new(token: Secret, listen: SocketAddr, hosts: Vec<String>) -> Self {
        Self { token, listen, hosts }
    }

    /// A browser that was lured to a page with a rebound name sends that name: only addresses and known names pass.
    pub(crate) fn check_host(&self, headers: &HeaderMap) -> Result<(), ApiError> {
        let host = headers.get(header::HOST).and_then(|value| value.to_str().ok()).ok_or(ApiError::ForeignHost)?;
        let name = host_name(host);
        let known = match name.parse::<IpAddr>() {
            Ok(address) => address.is_loopback() || !self.listen.ip().is_loopback(),
            Err(_) => name.eq_ignore_ascii_case("localhost") || self.hosts.iter().any(|h| h.eq_ignore_ascii_case(name)),
        };
        if known { Ok(()) } else { Err(ApiError::ForeignHost) }
    }

    /// Who sends the request, by its token.
    pub(crate) fn caller(&self, headers: &HeaderMap) -> Result<Caller, ApiError> {
        let given = bearer(headers).ok_or(ApiError::Unauthorized)?;
        if !same(given.as_bytes(), self.token.expose().as_bytes()) {
            return Err(ApiError::Unauthorized);
        }
        Ok(Caller { name: OWN_TOKEN.into(), scope: Scope::Admin })
    }
}

/// The token that a request brings (RFC 6750, section 2.1).
pub(crate) fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
}

/// The host without its port and brackets.
pub(crate) fn host_name(host: &str) -> &str {
    if let Some(rest) = host.strip_prefix('[') {
        return rest.split(']').next().unwrap_or_default();
    }
    host.rsplit_once(':').map_or(host, |(name, _)| name)
}

/// Compares in a time that does not depend on where the texts differ.
fn same(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).fold(0, |difference, (x, y)| difference | (x ^ y)) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guard(listen: &str) -> Guard {
        Guard::new(Secret::new("t0ken"), listen.parse().unwrap(), vec!["hezar.example".into()])
    }

    fn headers(name: header::HeaderName, value: &str) -> HeaderMap {
        [(name, value.parse().unwrap())].into_iter().collect()
    }

    #[test]
    fn the_token_is_compared_whole() {
        let guard = guard("127.0.0.1:9090");
        let check = |value: &str| guard.caller(&headers(header::AUTHORIZATION, value)).map(|caller| caller.scope);
        for good in ["Bearer t0ken", "bearer t0ken", "BEARER  t0ken "] {
            assert_eq!(check(good), Ok(Scope::Admin), "{good}");
        }
        for bad in ["t0ken", "Bearer", "Bearer ", "Bearer t0ke", "Bearer t0ken1", "Bearer T0KEN", "Basic t0ken", ""] {
            assert_eq!(check(bad), Err(ApiError::Unauthorized), "{bad}");
        }
        assert_eq!(guard.caller(&HeaderMap::new()), Err(ApiError::Unauthorized));
    }

    #[test]
    fn a_rebound_name_is_refused_on_every_listener() {
        for listen in ["127.0.0.1:9090", "[::1]:9090", "192.0.2.1:9090", "0.0.0.0:9090"] {
            let guard = guard(listen);
            let check = |host: &str| guard.check_host(&headers(header::HOST, host)).is_ok();
            for known in ["localhost", "LOCALHOST:9090", "127.0.0.1:9090", "[::1]:9090", "[::1]", "Hezar.Example:443"] {
                assert!(check(known), "{known} at {listen}");
            }
            for foreign in
                ["evil.example", "evil.example:9090", "hezar.example.evil", "localhost.evil.example", "", ":9090"]
            {
                assert!(!check(foreign), "{foreign} at {listen}");
            }
            assert!(guard.check_host(&HeaderMap::new()).is_err(), "no Host at all");
        }
    }

    #[test]
    fn an_address_of_the_machine_is_known_only_where_it_is_served() {
        let host = headers(header::HOST, "192.0.2.1:9090");
        assert!(guard("192.0.2.1:9090").check_host(&host).is_ok());
        assert!(guard("127.0.0.1:9090").check_host(&host).is_err());
    }
}
