//! The JSON of exits that are not used for a site for a time.

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// Filters and the page of `GET /api/v1/bans/sites`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub struct SiteBansQuery {
    /// The host of a site; `www.example.com` means the site `example.com`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub site: Option<String>,
    /// The address of an exit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exit: Option<String>,
    /// A text that the site or the reason contains; letter case does not matter.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub search: Option<String>,
    /// `until` (those that end first in front; the default), `since`, `site` or `exit`; with `-` in front the other way round.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sort: Option<String>,
    /// The cursor of the part to return: `next` of the part before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
    /// How many bans to return, 1 to 1000; default 100.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
}

impl SiteBansQuery {
    /// The filter in it.
    #[must_use]
    pub fn filter(&self) -> SiteBansFilter {
        let Self { site, exit, search, .. } = self.clone();
        SiteBansFilter { site, exit, search }
    }
}

/// Which bans are meant, the body of `DELETE /api/v1/bans/sites`. All that is given must fit, and something must be given.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SiteBansFilter {
    /// The host of a site; `www.example.com` means the site `example.com`.
    pub site: Option<String>,
    /// The address of an exit.
    pub exit: Option<String>,
    /// A text that the site or the reason contains; letter case does not matter.
    pub search: Option<String>,
}

/// An exit that is not used for a site for a time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SiteBanDto {
    /// Its id: the site and the exit, as `example.com@203.0.113.7`.
    pub id: String,
    /// The site: a registrable domain, or an address.
    pub site: String,
    /// The address of the exit.
    pub exit: String,
    /// When it began, in milliseconds since the Unix epoch.
    pub since: u64,
    /// When it ends, in milliseconds since the Unix epoch.
    pub until: u64,
    /// Who said so and why.
    pub reason: String,
}

/// One part of the list of bans.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SiteBansPage {
    /// How many bans match the filters.
    pub total: usize,
    /// The bans of this part.
    pub items: Vec<SiteBanDto>,
    /// The cursor of the next part; `null` at the end of the list.
    pub next: Option<String>,
}

/// The body of `POST /api/v1/bans/sites`. Exactly one of `exit` and `node` is given.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SiteBanRequest {
    /// A host of the site; the ban holds for all hosts of its registrable domain.
    pub site: String,
    /// The address of the exit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit: Option<String>,
    /// A node, whose exit is meant: its id, in full or short.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
    /// How long it lasts in seconds, 1 to 31,536,000 (a year); an hour unless said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seconds: Option<u64>,
    /// Why, for people: at most 200 bytes, without control characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// The answer to lifting bans of exits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SiteBansLifted {
    /// How many were lifted.
    pub lifted: usize,
}
