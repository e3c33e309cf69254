//! The ports from the API to the running instance, by what they are about; the application implements them.

mod alerts;
mod cores;
mod dashboard;
mod feed;
mod history;
mod live;
mod nodes;
mod objects;
mod sessions;
mod settings;
mod site_bans;
mod subscriptions;
mod usage;

pub use alerts::AlertsPort;
pub use cores::CoresPort;
pub use dashboard::{
    DashboardConnection, DashboardInstance, DashboardNode, DashboardPool, DashboardPort, DashboardTest, DashboardView,
};
pub use feed::FeedPort;
pub use history::HistoryPort;
pub use live::LivePort;
pub use nodes::NodesPort;
pub use objects::ObjectsPort;
pub use sessions::SessionsPort;
pub use settings::SettingsPort;
pub use site_bans::SiteBansPort;
pub use subscriptions::{SubscriptionAsked, SubscriptionText, SubscriptionUser, SubscriptionsPort};
pub use usage::UsagePort;

/// What the API can ask of a running instance: all ports together.
pub trait Control:
    NodesPort
    + SessionsPort
    + LivePort
    + SettingsPort
    + SiteBansPort
    + UsagePort
    + AlertsPort
    + CoresPort
    + HistoryPort
    + ObjectsPort
    + DashboardPort
    + SubscriptionsPort
    + FeedPort
{
}

impl<T> Control for T where
    T: NodesPort
        + SessionsPort
        + LivePort
        + SettingsPort
        + SiteBansPort
        + UsagePort
        + AlertsPort
        + CoresPort
        + HistoryPort
        + ObjectsPort
        + DashboardPort
        + SubscriptionsPort
        + FeedPort
{
}
