//! Sessions, and what clients saw at sites.

use axum::{Json, extract::State};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    ApiError, EndReport, FeedbackReport, FeedbackRequest, ProblemDto, Saved, SessionDto, SessionsQuery,
    body::WholeBody,
    input::{NoParameters, Parameters, Segment, json_body, parameters},
    state::ApiState,
};

pub(super) fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(end)).routes(routes!(rotate)).routes(routes!(feedback))
}

/// The sessions that run, those that end first in front.
#[utoipa::path(
    get, path = "/sessions", operation_id = "list_sessions", tag = "sessions",
    params(SessionsQuery), responses((status = 200, body = Vec<SessionDto>))
)]
async fn list(
    State(state): State<ApiState>,
    query: Parameters<SessionsQuery>,
) -> Result<Json<Vec<SessionDto>>, ApiError> {
    let query = parameters(query)?;
    state.off_thread(move |control| control.sessions(&query)).await.map(Json)
}

/// Gives a session another exit and its full time.
#[utoipa::path(
    post, path = "/sessions/{id}/rotate", operation_id = "rotate_session", tag = "sessions",
    params(("id" = String, Path, description = "16 hexadecimal digits")),
    responses((status = 200, body = Saved<SessionDto>), (status = 202, body = Saved<SessionDto>))
)]
async fn rotate(
    State(state): State<ApiState>,
    Segment(id): Segment,
    _: NoParameters,
) -> Result<Saved<SessionDto>, ApiError> {
    state.control.rotate(&id).await?.ok_or(ApiError::NotFound)
}

/// Ends a session.
#[utoipa::path(
    delete, path = "/sessions/{id}", operation_id = "end_session", tag = "sessions",
    params(("id" = String, Path, description = "16 hexadecimal digits")),
    responses((status = 200, body = Saved<EndReport>), (status = 202, body = Saved<EndReport>))
)]
async fn end(
    State(state): State<ApiState>,
    Segment(id): Segment,
    _: NoParameters,
) -> Result<Saved<EndReport>, ApiError> {
    state.control.end_session(&id).await?.ok_or(ApiError::NotFound)
}

/// Notes what a client saw at a site: a node that one site refuses is spared that site, and good for the others.
#[utoipa::path(
    post, path = "/feedback", operation_id = "give_feedback", tag = "sessions", request_body = FeedbackRequest,
    responses(
        (status = 200, body = FeedbackReport),
        (status = 404, body = ProblemDto, content_type = "application/problem+json", description = "There is no such node or session.")
    )
)]
async fn feedback(
    State(state): State<ApiState>,
    _: NoParameters,
    body: WholeBody,
) -> Result<Json<FeedbackReport>, ApiError> {
    state.control.feedback(&json_body(&body)?).map(Json)
}
