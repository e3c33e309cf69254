//! The control API: health, metrics and nodes over HTTP, behind a token and a Host check.
//!
//! Nothing here knows the engine or the pool: the application implements [`Control`], the one door.

mod body;
mod dto;
mod error;
mod guard;
mod page;
mod places;
mod ports;
mod routes;
mod saved;
mod serve;
mod settings;
mod stream;

pub use dto::{
    AddQuery, AddReport, BanDto, CandidateDto, EndReport, ExcludedDto, ExplainDto, ExplainQuery, FeedbackReport,
    FeedbackRequest, FetchReport, FetchRequest, FetchedDto, HealthDto, LiftReport, LiftRequest, NodeDto, NodesPage,
    NodesQuery, ProbeReport, ProbeRequest, ProbedDto, RejectDto, ReloadReport, RemoveReport, RemoveRequest, SessionDto,
    SessionsQuery, SourceDto, StateCounts, StatusDto, StoreDto, SubscriptionDto, TrafficDto, TroubleDto,
};
pub use error::ApiError;
pub use ports::{Control, LivePort, NodesPort, SessionsPort, SettingsPort};
pub use saved::Saved;
pub use serve::{ApiConfig, ApiServeError, serve};
pub use settings::{ApiSettings, ApiToken};

#[cfg(test)]
mod tests;
