//! Sources, listeners, users and settings: list, make, change and remove them while the program runs.

mod by_kind;
mod schemas;
mod sources;

use axum::{
    Json,
    extract::FromRequestParts,
    http::{header, request::Parts},
};
use utoipa_axum::router::OpenApiRouter;

use crate::{ApiError, Caller, ChangedBy, ObjectChange, ObjectDto, ObjectType, state::ApiState};

/// What the command line calls itself; its changes are noted as such.
const CLI_AGENT: &str = "hezar-cli/";
/// The header that every request of the page carries.
const PAGE_HEADER: &str = "x-hezar-page";

pub(super) fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().merge(by_kind::routes()).merge(sources::routes()).merge(schemas::routes())
}

impl<S: Sync> FromRequestParts<S> for ChangedBy {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        let who = parts.extensions.get::<Caller>().ok_or(ApiError::Unauthorized)?.name.to_string();
        let agent = parts.headers.get(header::USER_AGENT).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let via = match agent {
            _ if parts.headers.contains_key(PAGE_HEADER) => "page",
            agent if agent.starts_with(CLI_AGENT) => "cli",
            _ => "api",
        };
        Ok(Self { who, via })
    }
}

/// One object, which there is.
fn one(state: &ApiState, kind: ObjectType, name: &str) -> Result<Json<ObjectDto>, ApiError> {
    state.control.object(kind, name).map(Json).ok_or(ApiError::NotFound)
}

/// Changes an object, and gives it as it is now.
async fn change(
    state: &ApiState,
    by: &ChangedBy,
    kind: ObjectType,
    name: &str,
    change: ObjectChange,
) -> Result<Json<ObjectDto>, ApiError> {
    state.control.change_object(by, kind, name, change).await?;
    one(state, kind, name)
}
