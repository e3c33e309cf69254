//! One request through a listener of the instance, to see whether it works.

use axum::{Json, extract::State};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    ApiError, ProblemDto, TestReport, TestRequest,
    body::WholeBody,
    input::{NoParameters, json_body},
    state::ApiState,
};

pub(super) fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(test))
}

/// Sends one request through a listener, as a client would, and says which exit it came from.
#[utoipa::path(
    post, path = "/test", operation_id = "test_listener", tag = "status", request_body = TestRequest,
    responses(
        (status = 200, body = TestReport, description = "The request was sent; `works` says how it ended."),
        (status = 404, body = ProblemDto, content_type = "application/problem+json", description = "There is no such listener.")
    )
)]
async fn test(State(state): State<ApiState>, _: NoParameters, body: WholeBody) -> Result<Json<TestReport>, ApiError> {
    state.control.test(&json_body(&body)?).await.map(Json)
}
