//! The JSON of `POST /api/v1/test`: one request through a listener, and what came of it.

use hezar_core::Secret;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The body of `POST /api/v1/test`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TestRequest {
    /// The page to ask for, `http` or `https`; the one that probes ask for where they come out unless said.
    pub url: Option<String>,
    /// The name of the listener; the first one unless said.
    pub listener: Option<String>,
    /// A user name with its options, as a client sends it.
    pub user: Option<String>,
    /// The user's password.
    #[serde(default, deserialize_with = "secret")]
    #[schema(value_type = Option<String>)]
    pub password: Option<Secret>,
}

fn secret<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Secret>, D::Error> {
    Option::<String>::deserialize(deserializer).map(|text| text.map(Secret::new))
}

/// The answer to `POST /api/v1/test`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TestReport {
    /// Whether the page answered.
    pub works: bool,
    /// The page that was asked for.
    pub url: String,
    /// The address that was asked for it.
    pub listener: String,
    /// The HTTP status of the page's answer.
    pub status: Option<u16>,
    /// The time until the head of the answer, in milliseconds.
    pub latency_ms: u64,
    /// The node that served the request.
    pub node: Option<String>,
    /// The address that the page saw, as far as it is known.
    pub exit_ip: Option<String>,
    /// Its country, ISO 3166-1 alpha-2.
    pub country: Option<String>,
    /// Why it did not work: a stable code.
    pub code: Option<String>,
    /// The same in words.
    pub message: Option<String>,
}
