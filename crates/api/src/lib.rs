//! The control API: health, metrics and nodes over HTTP, behind a token and a Host check.
//!
//! Nothing here knows the engine or the pool: the application implements [`Control`], the one door.

mod body;
mod caller;
mod clash;
mod connection_slots;
mod dto;
mod entrance;
mod error;
mod etag;
mod events;
mod guard;
mod input;
mod jobs;
mod metrics;
mod metrics_page;
mod openapi;
mod page;
mod paging;
mod peer;
mod ports;
mod problem;
mod router;
mod saved;
mod serve;
mod settings;
mod sign_in;
mod state;
mod stream;
mod subscription;
mod subscription_target;
mod v1;

pub use caller::{Caller, Scope};
pub use dto::{
    AddQuery, AddReport, AlertEvent, BanDto, BytesDto, CandidateDto, CertificateDto, CodeDto, ConnectionDto,
    ConnectionsEnded, ConnectionsFilter, ConnectionsPage, ConnectionsQuery, CoreDto, CoresDto, CountsEvent,
    DrainReport, DrainingDto, EndReport, EngineCoreDto, EngineDto, EventData, EventsQuery, ExcludedDto, ExitDto,
    ExitsPage, ExitsQuery, ExplainDto, ExplainQuery, FeedChangesDto, FeedChangesQuery, FeedHeadDto, FeedLineDto,
    FeedNodeDto, FeedQuery, FeedbackReport, FeedbackRequest, FetchReport, FetchRequest, FetchedDto, HealthDto,
    HealthzDto, HistoryBytesDto, HistoryDto, HistoryLatencyDto, HistoryPointDto, HistoryQuery, InstanceDto, JobDto,
    JobProgress, LiftReport, LiftRequest, LinkDto, ListenerStatusDto, LogLineDto, LogPage, LogQuery, MarkReport,
    MarkRequest, MissingCoreDto, NodeChange, NodeDto, NodeMarks, NodeProbeDto, NodeProbesDto, NodesEvent, NodesFilter,
    NodesPage, NodesQuery, ProbeReport, ProbeRequest, ProbedDto, ProxyDto, ProxyQuery, ReadyDto, RefusedNodeDto,
    RejectDto, ReloadReport, RemoveReport, RemoveRequest, RotateReport, SessionDto, SessionsQuery, SiteBanDto,
    SiteBanRequest, SiteBansFilter, SiteBansLifted, SiteBansPage, SiteBansQuery, SiteEvidenceDto, SitesQuery,
    SnapshotsDto, SourceDto, StateCounts, StatusDto, StoreDto, SubscriptionDto, TestReport, TestRequest, TrafficDto,
    TrafficEvent, TroubleDto, UsageDayDto, UsageParameters, UserLinkDto, UserLinksDto, UserLinksQuery, UserUsageDto,
    VersionDto,
};
pub use dto::{AlertDto, AlertTestReport, AlertTroubleDto};
pub use dto::{
    AuditDto, AuditParameters, ChangeReport, ChangedBy, ConfigStatusDto, NewTokenDto, ObjectChange, ObjectDto,
    ObjectType, ObjectsQuery, PreviewNodeDto, PreviewReport, PreviewRequest, SettingDto, SubscriptionAddressDto,
    TokenDto, TokenRequest,
};
pub use error::ApiError;
pub use events::{EventHub, Topic};
pub use jobs::{JobTable, RunningJob};
pub use page::SignInCodeDto;
pub use paging::{ListDto, read_cursor, write_cursor};
pub use ports::{
    AlertsPort, Control, CoresPort, DashboardConnection, DashboardInstance, DashboardNode, DashboardPool,
    DashboardPort, DashboardTest, DashboardView, FeedPort, HistoryPort, LivePort, NodesPort, ObjectsPort, SessionsPort,
    SettingsPort, SiteBansPort, SubscriptionAsked, SubscriptionText, SubscriptionUser, SubscriptionsPort, UsagePort,
};
pub use problem::ProblemDto;
pub use router::openapi_json;
pub use saved::Saved;
pub use serve::{ApiConfig, ApiServeError, serve};
pub use settings::{ApiSettings, ApiToken, ClashSettings};
pub use subscription_target::SubscriptionTarget;

#[cfg(test)]
mod tests;
