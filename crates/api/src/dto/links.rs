//! The JSON of the links by which users come in by encrypted listeners.

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// The parameters of `GET /api/v1/users/{name}/links`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub struct UserLinksQuery {
    /// Only links of this listener.
    pub listener: Option<String>,
    /// Only links of this name; empty for the one without a name.
    pub link: Option<String>,
    /// Also a configuration for a client, in a form of subscriptions such as `clash`, `sing-box` or `xray`.
    pub target: Option<String>,
}

/// The links of a user.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct UserLinksDto {
    /// All of them, in the order of the listeners.
    pub links: Vec<UserLinkDto>,
    /// The configuration for a client; `null` unless a target was asked for.
    pub document: Option<String>,
}

/// One way of a user into one listener. Whoever has the URI can use the proxy as that user.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct UserLinkDto {
    /// The name of the listener.
    pub listener: String,
    /// The name of the link; empty for the one that every user with a key has.
    pub link: String,
    /// What clients call it: with what is left of the quota and when the user expires.
    pub name: String,
    /// The share link.
    pub uri: String,
}
