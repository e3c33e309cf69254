//! The paths of the page: its files, and the sign-in of browsers.

use axum::{
    Json, Router,
    extract::{FromRequest, Path, Request, State},
    http::{HeaderMap, HeaderName, header},
    response::{IntoResponse, Response},
    routing::get,
};
use hezar_core::Secret;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::files;
use crate::{
    ApiError, ProblemDto,
    body::WholeBody,
    guard::Guard,
    input::{NoParameters, Parameters, json_body, parameters},
    sign_in::{
        CODE_LIFE, LONGEST, NOT_KEPT, bearer,
        browser::{check_same_origin, cookie, is_over_https},
    },
    state::ApiState,
};

/// The body of `POST /api/v1/session`. Exactly one of the two is given.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct SignInRequest {
    /// An API token.
    token: Option<String>,
    /// A code of `POST /api/v1/session/code`.
    code: Option<String>,
}

/// Whether this browser is signed in.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
struct SignInDto {
    /// True while its cookie stands for a token that is good.
    signed_in: bool,
}

/// A code that signs one browser in, once.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct SignInCodeDto {
    /// For the fragment of the page's address: `/#code=CODE`.
    pub code: String,
    /// How long it can be used, in seconds.
    pub expires_in_s: u64,
}

/// The paths of the page's files.
pub(crate) fn file_routes() -> Router<ApiState> {
    let asset = async |Path(name): Path<String>, headers: HeaderMap| files::file(&format!("assets/{name}"), &headers);
    Router::new().route("/", get(async |headers: HeaderMap| files::index(&headers))).route("/assets/{name}", get(asset))
}

/// The paths of the sign-in, which need no token.
pub(crate) fn session_routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(state, sign_in, sign_out))
}

/// The path of the one-time codes, which needs one.
pub(crate) fn code_routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(make_code))
}

/// Checks that a token is good for anything at all.
fn check_token(guard: &Guard, token: &Secret) -> Result<(), ApiError> {
    let headers = HeaderMap::from_iter([(header::AUTHORIZATION, bearer(token)?)]);
    guard.caller(&headers).map(drop)
}

/// Whether this browser is signed in.
#[utoipa::path(
    get, path = "/session", operation_id = "sign_in_state", tag = "page", security(()),
    responses((status = 200, body = SignInDto))
)]
async fn state(
    State(state): State<ApiState>,
    headers: HeaderMap,
    query: Parameters<NoParameters>,
) -> Result<([(HeaderName, &'static str); 1], Json<SignInDto>), ApiError> {
    parameters(query)?;
    let token = state.page.token(&headers);
    let signed_in = token.is_some_and(|token| check_token(&state.guard, &token).is_ok());
    Ok(([NOT_KEPT], Json(SignInDto { signed_in })))
}

/// Signs this browser in: gives it a cookie that stands for the token.
#[utoipa::path(
    post, path = "/session", operation_id = "sign_in", tag = "page", security(()), request_body = SignInRequest,
    responses(
        (status = 200, body = SignInDto, headers(("set-cookie" = String, description = "The sign-in, hidden from scripts."))),
        (status = 401, body = ProblemDto, content_type = "application/problem+json", description = "The token or the code is not good."),
        (status = 403, body = ProblemDto, content_type = "application/problem+json", description = "Another site asks, or X-Hezar-Page is missing.")
    ),
    params(("X-Hezar-Page" = Option<String>, Header, description = "Anything; forms of other sites cannot send it."))
)]
async fn sign_in(
    State(state): State<ApiState>,
    query: Parameters<NoParameters>,
    request: Request,
) -> Result<Response, ApiError> {
    parameters(query)?;
    // Another site must not sign the user in either: what the user enters then would be that site's.
    check_same_origin(request.method(), request.headers())?;
    let over_https = is_over_https(request.headers());
    let before = cookie(request.headers(), &state.page.cookie).map(str::to_owned);
    let given: SignInRequest = json_body(&WholeBody::from_request(request, &()).await?)?;
    let token: Secret = match (given.token, given.code) {
        (Some(token), None) => token.into(),
        (None, Some(code)) => state.page.sign_ins.redeem(&code).ok_or(ApiError::Unauthorized)?,
        _ => return Err(ApiError::BadRequest("give one of token and code".to_owned())),
    };
    check_token(&state.guard, &token)?;
    if let Some(before) = before {
        state.page.sign_ins.sign_out(&before);
    }
    let secret = state.page.sign_ins.sign_in(token);
    Ok((state.page.set_cookie(&secret, LONGEST.as_secs(), over_https), Json(SignInDto { signed_in: true }))
        .into_response())
}

/// Signs this browser out.
#[utoipa::path(
    delete, path = "/session", operation_id = "sign_out", tag = "page", security(()),
    responses(
        (status = 200, body = SignInDto),
        (status = 403, body = ProblemDto, content_type = "application/problem+json", description = "Another site asks, or X-Hezar-Page is missing.")
    ),
    params(("X-Hezar-Page" = Option<String>, Header, description = "Anything; forms of other sites cannot send it."))
)]
async fn sign_out(
    State(state): State<ApiState>,
    query: Parameters<NoParameters>,
    request: Request,
) -> Result<Response, ApiError> {
    parameters(query)?;
    check_same_origin(request.method(), request.headers())?;
    if let Some(secret) = cookie(request.headers(), &state.page.cookie) {
        state.page.sign_ins.sign_out(secret);
    }
    Ok((state.page.set_cookie("", 0, is_over_https(request.headers())), Json(SignInDto { signed_in: false }))
        .into_response())
}

/// Makes a code that signs one browser in, once, with the token of this request.
#[utoipa::path(
    post, path = "/session/code", operation_id = "make_sign_in_code", tag = "page",
    responses((status = 200, body = SignInCodeDto))
)]
async fn make_code(
    State(state): State<ApiState>,
    headers: HeaderMap,
    query: Parameters<NoParameters>,
) -> Result<([(HeaderName, &'static str); 1], Json<SignInCodeDto>), ApiError> {
    parameters(query)?;
    let token = crate::guard::bearer(&headers).ok_or(ApiError::Unauthorized)?;
    let code = state.page.sign_ins.make_code(token.into());
    Ok(([NOT_KEPT], Json(SignInCodeDto { code, expires_in_s: CODE_LIFE.as_secs() })))
}
