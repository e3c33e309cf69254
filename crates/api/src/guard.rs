//! Who may ask: the Host check against DNS rebinding, and the token.

use std::net::{IpAddr, SocketAddr};

use axum::http::{HeaderMap, header};
use hezar_core::Secret;

use crate::ApiError;

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

    pub(crate) fn check_token(&self, headers: &HeaderMap) -> Result<(), ApiError> {
        let given = headers
            .get(header::AUTHORIZATION)
            .and_then(|value| value.to_str().ok())
            .and_then(|value| value.split_once(' '))
            .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
            .map(|(_, token)| token.trim())
            .ok_or(ApiError::Unauthorized)?;
        if same(given.as_bytes(), self.token.expose().as_bytes()) { Ok(()) } else { Err(ApiError::Unauthorized) }
    }
}

/// The host without its port and brackets.
fn host_name(host: &str) -> &str {
    if let Some(rest) = host.strip_prefix('[') {
        return rest.split(']').next().unwrap_or_default();
    }
    host.rsplit_once(':').map_or(host, |(name, _)| name)
}

/// Compares in a time that does not depend on where the texts differ.
fn same(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).fold(0, |difference, (x, y)| difference | (x ^ y)) == 0
}
