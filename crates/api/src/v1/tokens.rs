//! `/tokens` and `/audit`: who may do what, and who did what.

use axum::{Json, extract::State, http::StatusCode};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    ApiError, AuditDto, AuditParameters, ChangeReport, ChangedBy, ListDto, NewTokenDto, TokenDto, TokenRequest,
    body::WholeBody,
    input::{NoParameters, Parameters, Segment, json_body, parameters},
    state::ApiState,
};

pub(super) fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(list, create)).routes(routes!(revoke)).routes(routes!(audit))
}

/// All tokens that were made here, without the tokens themselves.
#[utoipa::path(
    get, path = "/tokens", operation_id = "list_tokens", tag = "tokens", responses((status = 200, body = Vec<TokenDto>))
)]
async fn list(State(state): State<ApiState>, _: NoParameters) -> Result<Json<Vec<TokenDto>>, ApiError> {
    Ok(Json(state.control.tokens()))
}

/// Makes a token. It is shown this once, and kept as a hash.
#[utoipa::path(
    post, path = "/tokens", operation_id = "create_token", tag = "tokens", request_body = TokenRequest,
    responses((status = 201, body = NewTokenDto))
)]
async fn create(
    State(state): State<ApiState>,
    _: NoParameters,
    by: ChangedBy,
    body: WholeBody,
) -> Result<(StatusCode, Json<NewTokenDto>), ApiError> {
    let made = state.control.create_token(&by, &json_body(&body)?).await?;
    Ok((StatusCode::CREATED, Json(made)))
}

/// Revokes a token: it is refused from now on.
#[utoipa::path(
    delete, path = "/tokens/{name}", operation_id = "revoke_token", tag = "tokens",
    params(("name" = String, Path, description = "Its name")), responses((status = 200, body = ChangeReport))
)]
async fn revoke(
    State(state): State<ApiState>,
    Segment(name): Segment,
    _: NoParameters,
    by: ChangedBy,
) -> Result<Json<ChangeReport>, ApiError> {
    if !state.control.revoke_token(&by, &name).await? {
        return Err(ApiError::NotFound);
    }
    Ok(Json(ChangeReport { changed: vec![format!("token {name:?} revoked")] }))
}

/// The record of changes, the newest in front: who changed what, when and how. The newest 10,000 are kept.
#[utoipa::path(
    get, path = "/audit", operation_id = "list_audit", tag = "tokens", params(AuditParameters),
    responses((status = 200, body = ListDto<AuditDto>))
)]
async fn audit(
    State(state): State<ApiState>,
    query: Parameters<AuditParameters>,
) -> Result<Json<ListDto<AuditDto>>, ApiError> {
    state.control.audit(&parameters(query)?).await.map(Json)
}
