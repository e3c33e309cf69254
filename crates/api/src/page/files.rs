//! Serves the embedded files of the page with the headers that keep a browser from running or loading anything else.

use axum::{
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use hezar_page::PageFile;

use crate::{ApiError, etag};

/// Only the page's own files run and load, it talks to its own address alone, and no other site may frame it (CSP level 3).
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
                      manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; \
                      require-trusted-types-for 'script'";
/// The names of files below this folder change with their content.
const HASHED: &str = "assets/";
const HEADERS: [(HeaderName, HeaderValue); 6] = [
    (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY)),
    (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
    (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    (HeaderName::from_static("cross-origin-opener-policy"), HeaderValue::from_static("same-origin")),
    (HeaderName::from_static("cross-origin-resource-policy"), HeaderValue::from_static("same-origin")),
];

/// The page's start, or a plain page that says why this build has none.
pub(super) fn index(headers: &HeaderMap) -> Response {
    match hezar_page::find("index.html") {
        Some(file) => serve(file, headers),
        None => (HEADERS, [(header::CONTENT_TYPE, "text/html; charset=utf-8")], explanation()).into_response(),
    }
}

/// The file at this path below the page's root.
pub(super) fn file(path: &str, headers: &HeaderMap) -> Result<Response, ApiError> {
    hezar_page::find(path).map(|file| serve(file, headers)).ok_or(ApiError::NotFound)
}

fn serve(file: &PageFile, headers: &HeaderMap) -> Response {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let tag = format!("\"{}\"", file.tag);
    let caching = if file.path.starts_with(HASHED) { "public, max-age=31536000, immutable" } else { "no-cache" };
    let common = [(header::ETAG, tag.as_str()), (header::CACHE_CONTROL, caching), (header::VARY, "accept-encoding")];
    if etag::is_known(headers, &tag) {
        return (StatusCode::NOT_MODIFIED, HEADERS, common).into_response();
    }
    let kind = [(header::CONTENT_TYPE, file.content_type)];
    if accepts_gzip(text(header::ACCEPT_ENCODING)) {
        return (HEADERS, common, kind, [(header::CONTENT_ENCODING, "gzip")], file.gzip).into_response();
    }
    (HEADERS, common, kind, file.content()).into_response()
}

/// Reads `Accept-Encoding` (RFC 9110, section 12.5.3): gzip counts where it is named without the weight 0.
fn accepts_gzip(accepted: &str) -> bool {
    accepted.split(',').any(|one| {
        let (coding, weight) = one.split_once(';').unwrap_or((one, ""));
        let weight = weight.trim().trim_start_matches("q=").trim_end_matches(['0', '.']);
        coding.trim().eq_ignore_ascii_case("gzip") && (!weight.is_empty() || !one.contains(';'))
    })
}

fn explanation() -> String {
    let reason = hezar_page::missing().unwrap_or("it was left out");
    let reason = reason.replace('&', "&amp;").replace('<', "&lt;");
    format!(
        "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content=\"width=device-width\"><title>Hezar</title>\
         <h1>Hezar is running</h1><p>This build has no web page: {reason}.</p>\
         <p>Install Node.js 20.19 or newer and build again with <code>cargo build --release</code>, or name a ready build of \
         the folder <code>web</code> in the variable <code>HEZAR_PAGE_DIST</code>.</p>\
         <p>Everything else works: <code>hezar status</code>, <code>hezar top</code> and the API under \
         <a href=/api/v1/openapi.json>/api/v1</a>.</p>\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gzip_is_sent_to_those_that_take_it() {
        for good in ["gzip", "deflate, gzip", "br, GZIP;q=0.5", "gzip;q=1.0", "gzip; q=0.001"] {
            assert!(accepts_gzip(good), "{good}");
        }
        for bad in ["", "br", "gzip;q=0", "gzip; q=0.000", "x-gzip2", "identity"] {
            assert!(!accepts_gzip(bad), "{bad}");
        }
    }

    #[test]
    fn the_explanation_needs_nothing_that_the_policy_forbids() {
        let text = explanation();
        assert!(!text.contains("<script") && !text.contains("style") && text.contains("HEZAR_PAGE_DIST"), "{text}");
    }
}
