//! What the commands ask that change things: a running instance over its API, or the store of one that does not run.

mod running;
mod stopped;

use std::net::SocketAddr;

use anyhow::anyhow;
use async_trait::async_trait;
use hezar_api::{
    AuditDto, AuditParameters, ChangeReport, FetchReport, ListDto, NewTokenDto, ObjectDto, ObjectType, PreviewReport,
    SettingDto, TokenDto, TokenRequest, UsageDayDto, UserLinksDto, UserLinksQuery,
};
use serde_json::{Map, Value};

pub(super) use stopped::StoppedInstance;

/// The most entries of one part of a list.
const LARGEST_PART: usize = 1000;

/// Both check with the same parser, refuse with the same texts and write the same lines to the record of changes.
///
/// Every method fails with the reason, and has then changed nothing.
#[async_trait]
pub(super) trait ControlPlane: Send + Sync {
    /// Where the API listens, or would; `None` when it is switched off.
    fn api_address(&self) -> Option<SocketAddr>;

    /// Every setting with what is in force.
    async fn settings(&self) -> anyhow::Result<Vec<SettingDto>>;

    /// Changes settings, all of them or none; null takes one back to its default.
    async fn change_settings(&self, values: Map<String, Value>) -> anyhow::Result<ChangeReport>;

    /// The JSON schema of a kind of objects.
    async fn schema(&self, kind: ObjectType) -> anyhow::Result<Value>;

    /// All objects of a kind, in the order of their names.
    async fn objects(&self, kind: ObjectType) -> anyhow::Result<Vec<ObjectDto>>;

    /// Makes an object. A subscription without a token gets one, which the answer shows this once.
    async fn create(&self, kind: ObjectType, name: &str, value: Map<String, Value>) -> anyhow::Result<ObjectDto>;

    /// Changes some keys of an object; null takes a key away.
    async fn change(&self, kind: ObjectType, name: &str, patch: Map<String, Value>) -> anyhow::Result<ObjectDto>;

    /// Removes an object.
    async fn remove(&self, kind: ObjectType, name: &str) -> anyhow::Result<ChangeReport>;

    /// Reads a source now.
    async fn refresh_source(&self, name: &str) -> anyhow::Result<FetchReport>;

    /// What a source would give now.
    async fn test_source(&self, name: &str) -> anyhow::Result<PreviewReport>;

    /// All tokens of the API that were made, without the tokens themselves.
    async fn tokens(&self) -> anyhow::Result<Vec<TokenDto>>;

    /// Makes a token.
    async fn create_token(&self, request: TokenRequest) -> anyhow::Result<NewTokenDto>;

    /// Revokes a token.
    async fn revoke_token(&self, name: &str) -> anyhow::Result<ChangeReport>;

    /// One part of the record of changes, the newest in front.
    async fn audit(&self, query: AuditParameters) -> anyhow::Result<ListDto<AuditDto>>;

    /// How much users have moved in the last 30 days, by day.
    async fn usage(&self, user: Option<String>) -> anyhow::Result<Vec<UsageDayDto>>;

    /// The links by which a user comes in by encrypted listeners. Only a running instance knows what is left of the quota.
    async fn links_of_user(&self, user: &str, query: &UserLinksQuery) -> anyhow::Result<UserLinksDto>;
}

/// A kind of objects as commands and their texts name it.
pub(super) const fn name_of(kind: ObjectType) -> &'static str {
    match kind {
        ObjectType::Source => "source",
        ObjectType::Listener => "listener",
        ObjectType::User => "user",
        ObjectType::Subscription => "subscription",
    }
}

/// There is no token of this name.
fn no_token(name: &str) -> anyhow::Error {
    anyhow!("there is no token named {name:?}; `hezar token list` shows all")
}
