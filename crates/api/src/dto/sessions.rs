//! The JSON of sessions, and of what clients tell of their requests.

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// Filters of `GET /api/v1/sessions`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub struct SessionsQuery {
    /// The name that clients gave the session.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session: Option<String>,
    /// The user's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// The name of a listener.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub listener: Option<String>,
}

/// One session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SessionDto {
    /// 16 hexadecimal digits, for asking about it.
    pub id: String,
    /// The listener that its user came to.
    pub listener: String,
    /// Its user.
    pub user: String,
    /// Its name.
    pub session: String,
    /// The country that was asked for.
    pub country: Option<String>,
    /// The node that it uses.
    pub node: Option<String>,
    /// The address that sites see.
    pub exit_ip: Option<String>,
    /// Its first request, in milliseconds since the Unix epoch.
    pub began: u64,
    /// When it ends, in milliseconds since the Unix epoch.
    pub ends: u64,
}

/// The body of `POST /api/v1/feedback`: what a client saw at a site. Exactly one of `node` and `session` is given.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct FeedbackRequest {
    /// The id of a node.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
    /// The id of a session: the node that it uses is meant.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session: Option<String>,
    /// The host of the site.
    pub site: String,
    /// `ok`, `failed` (once may be chance) or `blocked` (the site refused this exit).
    pub verdict: String,
}

/// The answer to a feedback.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FeedbackReport {
    /// The node that it was noted for.
    pub node: String,
    /// The site that it was noted for: the registrable domain.
    pub site: String,
}
