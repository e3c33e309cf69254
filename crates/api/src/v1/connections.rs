//! Connections that are alive: list them, end one, end all of a filter.

use axum::{Json, extract::State};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    ApiError, ConnectionsEnded, ConnectionsFilter, ConnectionsPage, ConnectionsQuery, ProblemDto,
    body::WholeBody,
    input::{NoParameters, Parameters, Segment, json_body, parameters},
    state::ApiState,
};

pub(super) fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(list, end_all)).routes(routes!(end))
}

/// The requests, tunnels and associations that are alive.
#[utoipa::path(
    get, path = "/connections", operation_id = "list_connections", tag = "connections",
    params(ConnectionsQuery),
    responses(
        (status = 200, body = ConnectionsPage),
        (status = 404, body = ProblemDto, content_type = "application/problem+json", description = "There is no such node.")
    )
)]
async fn list(
    State(state): State<ApiState>,
    query: Parameters<ConnectionsQuery>,
) -> Result<Json<ConnectionsPage>, ApiError> {
    let query = parameters(query)?;
    state.off_thread(move |control| control.connections(&query)).await?.map(Json)
}

/// Ends every connection that fits the filter in the body; an empty body means all of them.
#[utoipa::path(
    delete, path = "/connections", operation_id = "end_connections", tag = "connections",
    request_body = ConnectionsFilter,
    responses(
        (status = 200, body = ConnectionsEnded),
        (status = 404, body = ProblemDto, content_type = "application/problem+json", description = "There is no such node.")
    )
)]
async fn end_all(
    State(state): State<ApiState>,
    _: NoParameters,
    body: WholeBody,
) -> Result<Json<ConnectionsEnded>, ApiError> {
    let filter: ConnectionsFilter = json_body(&body)?;
    state.off_thread(move |control| control.end_connections(&filter)).await?.map(Json)
}

/// Ends one connection.
#[utoipa::path(
    delete, path = "/connections/{id}", operation_id = "end_connection", tag = "connections",
    params(("id" = u64, Path, description = "The number of the connection")),
    responses((status = 200, body = ConnectionsEnded))
)]
async fn end(
    State(state): State<ApiState>,
    Segment(id): Segment,
    _: NoParameters,
) -> Result<Json<ConnectionsEnded>, ApiError> {
    let number = id.parse().map_err(|_| ApiError::BadRequest(format!("{id:?} is not the number of a connection")))?;
    if state.control.end_connection(number) { Ok(Json(ConnectionsEnded { ended: 1 })) } else { Err(ApiError::NotFound) }
}
