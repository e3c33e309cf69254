//! The routes of `/api/v1`, a module for each subject. Each handler describes itself for the OpenAPI document.

mod alerts;
mod bans;
mod codes;
mod connections;
mod cores;
mod document;
mod events;
mod exits;
mod feed;
mod history;
mod instances;
mod jobs;
mod links;
mod log;
mod nodes;
mod objects;
mod proxy;
mod sessions;
mod settings;
mod site_bans;
mod status;
mod subscriptions;
mod tokens;
mod trial;
mod usage;

use axum::http::StatusCode;
use utoipa_axum::router::OpenApiRouter;

use crate::{page, state::ApiState};

/// Every route of `/api/v1`, without that prefix.
pub(crate) fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .merge(status::routes())
        .merge(instances::routes())
        .merge(alerts::routes())
        .merge(cores::routes())
        .merge(history::routes())
        .merge(nodes::routes())
        .merge(exits::routes())
        .merge(feed::routes())
        .merge(bans::routes())
        .merge(site_bans::routes())
        .merge(sessions::routes())
        .merge(proxy::routes())
        .merge(settings::routes())
        .merge(connections::routes())
        .merge(jobs::routes())
        .merge(events::routes())
        .merge(log::routes())
        .merge(codes::routes())
        .merge(trial::routes())
        .merge(page::code_routes())
        .merge(usage::routes())
        .merge(objects::routes())
        .merge(subscriptions::routes())
        .merge(links::routes())
        .merge(tokens::routes())
        .merge(document::routes())
}

/// 202 while something of what was asked for goes on.
const fn done_or_accepted(pending: usize) -> StatusCode {
    if pending == 0 { StatusCode::OK } else { StatusCode::ACCEPTED }
}
