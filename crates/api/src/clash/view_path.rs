//! `/view/…` in front of a path: the same Clash API over another part of the pool than the best nodes. Dashboards take such a
//! prefix as a part of the address.

use std::sync::Arc;

use axum::{
    Router,
    extract::{FromRequestParts, Request, State},
    http::{StatusCode, Uri, request::Parts},
    response::{IntoResponse, Response},
};
use hyper::service::Service;
use hyper_util::service::TowerToHyperService;
use percent_encoding::percent_decode_str;

use super::{
    ClashState,
    reply::ClashError,
    view::{CachedView, PoolView},
};
use crate::{ApiError, DashboardView};

/// Serves the paths of the Clash API below `/view/` too.
pub(super) fn routes(clash: Router) -> Router {
    Router::new().nest_service("/view", Router::new().fallback(in_view).with_state(clash))
}

async fn in_view(State(clash): State<Router>, mut request: Request) -> Response {
    let found = split(request.uri()).and_then(|(view, rest)| Some((view, rest.parse::<Uri>().ok()?)));
    let Some((view, uri)) = found else { return ApiError::NotFound.into_response() };
    *request.uri_mut() = uri;
    request.extensions_mut().insert(view);
    let Ok(answer) = TowerToHyperService::new(clash).call(request).await;
    answer
}

/// The view that the front of a path names, and the rest of the path with the query.
fn split(uri: &Uri) -> Option<(DashboardView, String)> {
    let mut rest = uri.path().strip_prefix('/')?;
    let mut word = || {
        let (word, behind) = rest.split_once('/').unwrap_or((rest, ""));
        rest = behind;
        percent_decode_str(word).decode_utf8().ok()
    };
    let view = match &*word()? {
        "all" => DashboardView::All,
        "healthy" => DashboardView::Healthy,
        "country" => {
            let code = word()?.to_ascii_uppercase();
            let letters = <[u8; 2]>::try_from(code.as_bytes()).ok()?;
            DashboardView::Country(Some(letters).filter(|letters| letters.iter().all(u8::is_ascii_uppercase))?)
        }
        "source" => DashboardView::Source(Arc::from(word()?)),
        _ => return None,
    };
    let query = uri.query().map(|query| format!("?{query}")).unwrap_or_default();
    Some((view, format!("/{rest}{query}")))
}

/// The view that a request is for.
pub(super) struct View(pub(super) Arc<CachedView>);

impl FromRequestParts<ClashState> for View {
    type Rejection = ClashError;

    async fn from_request_parts(parts: &mut Parts, state: &ClashState) -> Result<Self, ClashError> {
        let asked = parts.extensions.get::<DashboardView>().cloned().unwrap_or_default();
        let view = state.views.get(&asked).map(Self);
        view.ok_or_else(|| ClashError(StatusCode::SERVICE_UNAVAILABLE, "too many views are in use".to_owned()))
    }
}

/// The pool in the view that a request is for, as it was at most a moment ago.
pub(super) struct Shown(pub(super) Arc<PoolView>);

impl FromRequestParts<ClashState> for Shown {
    type Rejection = ClashError;

    async fn from_request_parts(parts: &mut Parts, state: &ClashState) -> Result<Self, ClashError> {
        let View(view) = View::from_request_parts(parts, state).await?;
        Ok(Self(view.pool(&state.api).await?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_front_of_the_path_names_the_view() {
        let read = |path: &str| split(&path.parse().unwrap());
        let source = |name: &str| DashboardView::Source(name.into());
        for (path, view, rest) in [
            ("/all/proxies?a=b", DashboardView::All, "/proxies?a=b"),
            ("/healthy/group/POOL/delay", DashboardView::Healthy, "/group/POOL/delay"),
            ("/country/de/proxies/a%2Fb", DashboardView::Country(*b"DE"), "/proxies/a%2Fb"),
            ("/source/my%2Flist/version", source("my/list"), "/version"),
            ("/all", DashboardView::All, "/"),
        ] {
            assert_eq!(read(path), Some((view, rest.to_owned())), "{path}");
        }
        for path in ["/", "/odd/proxies", "/country/d/proxies", "/country/deu/x", "/country/1a/x", "/source/%ff/x"] {
            assert_eq!(read(path), None, "{path}");
        }
    }
}
