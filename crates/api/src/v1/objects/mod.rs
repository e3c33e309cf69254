//! Sources, listeners, users and settings: list, make, change and remove them while the program runs.

mod listeners;
mod schemas;
mod sources;
mod users;

use axum::{
    Json,
    extract::FromRequestParts,
    http::{StatusCode, header, request::Parts},
};
use serde_json::Value;
use utoipa_axum::router::OpenApiRouter;

use crate::{
    ApiError, Caller, ChangeReport, ChangedBy, ObjectChange, ObjectDto, ObjectType, body::WholeBody, input::json_body,
    state::ApiState,
};

/// What the command line calls itself; its changes are noted as such.
const CLI_AGENT: &str = "hezar-cli/";
/// The header that every request of the page carries.
const PAGE_HEADER: &str = "x-hezar-page";

pub(super) fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .merge(sources::routes())
        .merge(listeners::routes())
        .merge(users::routes())
        .merge(schemas::routes())
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

/// Makes an object of the body, which names it.
async fn create(
    state: &ApiState,
    by: &ChangedBy,
    kind: ObjectType,
    body: &WholeBody,
) -> Result<(StatusCode, Json<ObjectDto>), ApiError> {
    let value: Value = json_body(body)?;
    let name = value.get("name").and_then(Value::as_str).unwrap_or_default().to_owned();
    if name.is_empty() {
        return Err(ApiError::BadRequest("the body needs a name".to_owned()));
    }
    state.control.change_object(by, kind, &name, ObjectChange::Create(value)).await?;
    Ok((StatusCode::CREATED, one(state, kind, &name)?))
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

/// Removes an object.
async fn remove(
    state: &ApiState,
    by: &ChangedBy,
    kind: ObjectType,
    name: &str,
) -> Result<Json<ChangeReport>, ApiError> {
    state.control.change_object(by, kind, name, ObjectChange::Remove).await.map(Json)
}
