//! The control API: health, metrics and nodes over HTTP, behind a token and a Host check.
//!
//! Nothing here knows the engine or the pool: the application implements [`Control`], the one door.

mod control;
mod dto;
mod error;
mod guard;
mod routes;
mod saved;
mod serve;

pub use control::Control;
pub use dto::{
    AddReport, CandidateDto, EndReport, ExcludedDto, ExplainDto, ExplainQuery, FeedbackReport, FeedbackRequest,
    NodeDto, NodesPage, NodesQuery, RejectDto, RemoveReport, RemoveRequest, SessionDto, SourceDto, StateCounts,
    StatusDto, StoreDto, TrafficDto, TroubleDto,
};
pub use error::ApiError;
pub use saved::Saved;
pub use serve::{ApiConfig, ServeError, serve};

#[cfg(test)]
mod tests;
