//! Tells requests of the page itself from those that another site makes in the same browser (cross-site request forgery).

use axum::http::{HeaderMap, HeaderName, Method, header};

use crate::ApiError;

/// The page sends it with every request; a form or an image of another site cannot.
pub(crate) const PAGE_HEADER: HeaderName = HeaderName::from_static("x-hezar-page");
const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Checks that a browser sends a request for a page of this very address. `SameSite` alone does not know ports, so that a page
/// of another program on this machine would count as the same site.
///
/// # Errors
/// [`ApiError::CrossSite`] where the browser names another origin, and for changes without the page's own header.
pub(crate) fn check_same_origin(method: &Method, headers: &HeaderMap) -> Result<(), ApiError> {
    let text = |name: HeaderName| headers.get(name).map(|value| value.to_str().unwrap_or_default());
    let site_fits = text(FETCH_SITE).is_none_or(|site| matches!(site, "same-origin" | "none"));
    let host = text(header::HOST).unwrap_or_default();
    let origin_fits = text(header::ORIGIN).is_none_or(|origin| {
        let authority = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
        authority.is_some_and(|authority| authority.eq_ignore_ascii_case(host))
    });
    // What changes nothing may come from a link or an event source, which send no header of their own.
    let declared = method.is_safe() || headers.contains_key(PAGE_HEADER);
    if site_fits && origin_fits && declared { Ok(()) } else { Err(ApiError::CrossSite) }
}

/// Whether the browser reaches the page over https, as it says itself: a server in front may end the TLS.
pub(crate) fn is_over_https(headers: &HeaderMap) -> bool {
    headers.get(header::ORIGIN).is_some_and(|origin| origin.as_bytes().starts_with(b"https://"))
}

/// The value of a cookie (RFC 6265, section 5.4).
pub(crate) fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let pairs = headers.get_all(header::COOKIE).into_iter().filter_map(|value| value.to_str().ok());
    let pairs = pairs.flat_map(|value| value.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.into_iter().find(|(given, _)| *given == name).map(|(_, value)| value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let pairs = pairs.iter().map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap()));
        [(header::HOST, "127.0.0.1:9090".parse().unwrap())].into_iter().chain(pairs).collect()
    }

    #[test]
    fn another_origin_is_refused_and_a_change_needs_the_header() {
        let page = ("x-hezar-page", "1");
        let own = ("origin", "http://127.0.0.1:9090");
        for (method, pairs) in [
            (Method::GET, vec![]),
            (Method::GET, vec![("sec-fetch-site", "none")]),
            (Method::GET, vec![("sec-fetch-site", "same-origin"), own]),
            (Method::POST, vec![page]),
            (Method::DELETE, vec![page, own, ("sec-fetch-site", "same-origin")]),
            (Method::POST, vec![page, ("origin", "https://127.0.0.1:9090")]),
        ] {
            assert_eq!(check_same_origin(&method, &headers(&pairs)), Ok(()), "{method} {pairs:?}");
        }
        for (method, pairs) in [
            (Method::POST, vec![]),
            (Method::POST, vec![own, ("sec-fetch-site", "same-origin")]),
            (Method::GET, vec![("sec-fetch-site", "same-site")]),
            (Method::GET, vec![("sec-fetch-site", "cross-site")]),
            (Method::POST, vec![page, ("origin", "http://127.0.0.1:8080")]),
            (Method::POST, vec![page, ("origin", "null")]),
            (Method::GET, vec![("origin", "http://127.0.0.1:9090.evil.example")]),
        ] {
            assert_eq!(check_same_origin(&method, &headers(&pairs)), Err(ApiError::CrossSite), "{method} {pairs:?}");
        }
    }

    #[test]
    fn a_cookie_is_found_by_its_whole_name() {
        let headers = headers(&[("cookie", "a=1; hezar=x=y;hezar2=z")]);
        assert_eq!(cookie(&headers, "hezar"), Some("x=y"));
        assert_eq!(cookie(&headers, "hezar2"), Some("z"));
        assert_eq!(cookie(&headers, "eza"), None);
    }
}
