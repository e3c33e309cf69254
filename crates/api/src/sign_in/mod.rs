//! Who is signed in to the page: a cookie that stands for a token, and what makes it safe against other sites.

pub(crate) mod browser;
mod table;

use axum::{
    extract::Request,
    http::{HeaderMap, HeaderName, HeaderValue, header},
};
use hezar_core::Secret;

use crate::ApiError;
use browser::{check_same_origin, cookie};
use table::SignIns;
pub(crate) use table::{CODE_LIFE, LONGEST};

/// Nothing about a sign-in is kept by a cache.
pub(crate) const NOT_KEPT: (HeaderName, &str) = (header::CACHE_CONTROL, "no-store");

/// Browsers that are signed in at one address of the API.
#[derive(Debug)]
pub(crate) struct PageAccess {
    pub(crate) sign_ins: SignIns,
    /// Cookies do not know ports: the name keeps two instances on one machine apart.
    pub(crate) cookie: String,
}

impl PageAccess {
    /// For an API that listens on this port.
    pub(crate) fn new(port: u16) -> Self {
        Self { sign_ins: SignIns::default(), cookie: format!("hezar-{port}") }
    }

    /// Gives a request of a signed-in browser the token that its cookie stands for, so that everything behind this decides by
    /// the token alone. A request that brings a token of its own is left as it is.
    ///
    /// # Errors
    /// [`ApiError::CrossSite`] when another site makes the request.
    pub(crate) fn adopt_cookie(&self, request: &mut Request) -> Result<(), ApiError> {
        if request.headers().contains_key(header::AUTHORIZATION) {
            return Ok(());
        }
        let Some(token) = self.token(request.headers()) else { return Ok(()) };
        check_same_origin(request.method(), request.headers())?;
        request.headers_mut().insert(header::AUTHORIZATION, bearer(&token)?);
        Ok(())
    }

    /// The token that the cookie in these headers stands for.
    pub(crate) fn token(&self, headers: &HeaderMap) -> Option<Secret> {
        cookie(headers, &self.cookie).and_then(|secret| self.sign_ins.token(secret))
    }

    /// Sets the cookie; one that was set over https is never sent over http.
    pub(crate) fn set_cookie(&self, secret: &str, seconds: u64, over_https: bool) -> [(HeaderName, String); 2] {
        let secure = if over_https { "; Secure" } else { "" };
        let cookie = format!("{}={secret}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Strict{secure}", self.cookie);
        [(header::SET_COOKIE, cookie), (NOT_KEPT.0, NOT_KEPT.1.to_owned())]
    }
}

/// The header that carries a token.
pub(crate) fn bearer(token: &Secret) -> Result<HeaderValue, ApiError> {
    let mut value = HeaderValue::try_from(format!("Bearer {}", token.expose())).map_err(|_| ApiError::Unauthorized)?;
    value.set_sensitive(true);
    Ok(value)
}
