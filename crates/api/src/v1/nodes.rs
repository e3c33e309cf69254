//! Nodes: list, add, remove, probe.

use axum::{Json, extract::State, http::StatusCode};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::done_or_accepted;
use crate::{
    AddQuery, AddReport, ApiError, LinkDto, MarkReport, MarkRequest, NodeDto, NodeMarks, NodesPage, NodesQuery,
    ProbeReport, ProbeRequest, ProblemDto, RemoveReport, RemoveRequest, RotateReport, Saved, SiteEvidenceDto,
    SitesQuery,
    body::WholeBody,
    input::{NoParameters, Parameters, Segment, json_body, parameters},
    state::ApiState,
};

pub(super) fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .routes(routes!(link))
        .routes(routes!(list, add, mark, remove))
        .routes(routes!(show, mark_one, remove_one))
        .routes(routes!(sites))
        .routes(routes!(rotate))
        .routes(routes!(probe))
}

/// One page of nodes.
#[utoipa::path(
    get, path = "/nodes", operation_id = "list_nodes", tag = "nodes",
    params(NodesQuery), responses((status = 200, body = NodesPage))
)]
async fn list(State(state): State<ApiState>, query: Parameters<NodesQuery>) -> Result<Json<NodesPage>, ApiError> {
    let query = parameters(query)?;
    state.off_thread(move |control| control.nodes(&query)).await?.map(Json)
}

/// Adds the links of a text: share links, a subscription or a client's configuration, in any encoding.
#[utoipa::path(
    post, path = "/nodes", operation_id = "add_nodes", tag = "nodes", params(AddQuery),
    request_body(content = String, content_type = "text/plain"),
    responses(
        (status = 200, body = Saved<AddReport>, description = "They are in the store."),
        (status = 202, body = Saved<AddReport>, description = "They are in force, and will be written.")
    )
)]
async fn add(
    State(state): State<ApiState>,
    query: Parameters<AddQuery>,
    WholeBody(body): WholeBody,
) -> Result<Saved<AddReport>, ApiError> {
    state.control.add(body, &parameters(query)?).await
}

/// Says something about nodes: switches them off and on, pins them, changes their tags and notes.
#[utoipa::path(
    patch, path = "/nodes", operation_id = "mark_nodes", tag = "nodes", request_body = MarkRequest,
    responses(
        (status = 200, body = Saved<MarkReport>, description = "It is in the store."),
        (status = 202, body = Saved<MarkReport>, description = "It is in force, and will be written.")
    )
)]
async fn mark(State(state): State<ApiState>, _: NoParameters, body: WholeBody) -> Result<Saved<MarkReport>, ApiError> {
    let request: MarkRequest = json_body(&body)?;
    if request.ids.is_empty() == request.filter.is_none() {
        return Err(ApiError::BadRequest("give one of ids and filter; an empty filter means all nodes".to_owned()));
    }
    state.control.mark(request).await
}

/// Removes nodes, and bans them if that is asked.
#[utoipa::path(
    delete, path = "/nodes", operation_id = "remove_nodes", tag = "nodes", request_body = RemoveRequest,
    responses(
        (status = 200, body = Saved<RemoveReport>, description = "They are gone, also from the store."),
        (status = 202, body = Saved<RemoveReport>, description = "They are gone, and the store will be written.")
    )
)]
async fn remove(
    State(state): State<ApiState>,
    _: NoParameters,
    body: WholeBody,
) -> Result<Saved<RemoveReport>, ApiError> {
    let request: RemoveRequest = json_body(&body)?;
    state.control.remove(&request).await
}

/// One node.
#[utoipa::path(
    get, path = "/nodes/{id}", operation_id = "show_node", tag = "nodes",
    params(("id" = String, Path, description = "32 hexadecimal digits, or at least the first 6 where these name one node")),
    responses((status = 200, body = NodeDto))
)]
async fn show(State(state): State<ApiState>, Segment(id): Segment, _: NoParameters) -> Result<Json<NodeDto>, ApiError> {
    state.off_thread(move |control| control.node(&id)).await??.map(Json).ok_or(ApiError::NotFound)
}

/// The share link of one node. It holds the node's credentials, so that it takes a token of the scope `admin`.
#[utoipa::path(
    get, path = "/nodes/{id}/link", operation_id = "show_node_link", tag = "nodes",
    params(("id" = String, Path, description = "32 hexadecimal digits, or at least the first 6 where these name one node")),
    responses((status = 200, body = LinkDto))
)]
async fn link(State(state): State<ApiState>, Segment(id): Segment, _: NoParameters) -> Result<Json<LinkDto>, ApiError> {
    state.off_thread(move |control| control.link(&id)).await??.map(Json).ok_or(ApiError::NotFound)
}

/// Says something about one node, and answers with the node.
#[utoipa::path(
    patch, path = "/nodes/{id}", operation_id = "mark_node", tag = "nodes",
    params(("id" = String, Path, description = "32 hexadecimal digits, or at least the first 6 where these name one node")),
    request_body = NodeMarks, responses((status = 200, body = Saved<NodeDto>), (status = 202, body = Saved<NodeDto>))
)]
async fn mark_one(
    State(state): State<ApiState>,
    Segment(id): Segment,
    _: NoParameters,
    body: WholeBody,
) -> Result<Saved<NodeDto>, ApiError> {
    let request = MarkRequest { ids: vec![id.clone()], filter: None, set: json_body(&body)? };
    let report = state.control.mark(request).await?;
    let node = state.control.node(&id)?.ok_or(ApiError::NotFound)?;
    Ok(report.map(|_| node))
}

/// What is known of a node at one site.
#[utoipa::path(
    get, path = "/nodes/{id}/sites", operation_id = "show_node_at_site", tag = "nodes",
    params(("id" = String, Path, description = "32 hexadecimal digits, or at least the first 6 where these name one node"), SitesQuery),
    responses((status = 200, body = SiteEvidenceDto))
)]
async fn sites(
    State(state): State<ApiState>,
    Segment(id): Segment,
    query: Parameters<SitesQuery>,
) -> Result<Json<SiteEvidenceDto>, ApiError> {
    let SitesQuery { site } = parameters(query)?;
    state.off_thread(move |control| control.site_evidence(&id, &site)).await??.map(Json).ok_or(ApiError::NotFound)
}

/// Gives a Tor circuit another login, so that the next stream over it comes out elsewhere. Another node takes the place of this one.
#[utoipa::path(
    post, path = "/nodes/{id}/rotate", operation_id = "rotate_node", tag = "nodes",
    params(("id" = String, Path, description = "32 hexadecimal digits, or at least the first 6 where these name one node")),
    responses(
        (status = 200, body = RotateReport),
        (status = 409, body = ProblemDto, content_type = "application/problem+json", description = "The node is no Tor circuit, or its Tor client is not ready.")
    )
)]
async fn rotate(
    State(state): State<ApiState>,
    Segment(id): Segment,
    _: NoParameters,
) -> Result<Json<RotateReport>, ApiError> {
    state.off_thread(move |control| control.rotate_node(&id)).await??.map(Json).ok_or(ApiError::NotFound)
}

/// Removes one node.
#[utoipa::path(
    delete, path = "/nodes/{id}", operation_id = "remove_node", tag = "nodes",
    params(("id" = String, Path, description = "32 hexadecimal digits, or at least the first 6 where these name one node")),
    responses((status = 200, body = Saved<RemoveReport>), (status = 202, body = Saved<RemoveReport>))
)]
async fn remove_one(
    State(state): State<ApiState>,
    Segment(id): Segment,
    _: NoParameters,
) -> Result<Saved<RemoveReport>, ApiError> {
    let report = state.control.remove(&RemoveRequest { ids: vec![id], ..RemoveRequest::default() }).await?;
    if report.done.removed == 0 { Err(ApiError::NotFound) } else { Ok(report) }
}

/// Probes nodes now, and waits for the results as long as the request says.
#[utoipa::path(
    post, path = "/probe", operation_id = "probe_nodes", tag = "nodes", request_body = ProbeRequest,
    responses(
        (status = 200, body = ProbeReport, description = "All results are in."),
        (status = 202, body = ProbeReport, description = "Some probes go on."),
        (status = 404, body = ProblemDto, content_type = "application/problem+json", description = "A named node does not exist.")
    )
)]
async fn probe(
    State(state): State<ApiState>,
    _: NoParameters,
    body: WholeBody,
) -> Result<(StatusCode, Json<ProbeReport>), ApiError> {
    let request: ProbeRequest = json_body(&body)?;
    let report = state.control.probe(&request).await?;
    Ok((done_or_accepted(report.pending), Json(report)))
}
