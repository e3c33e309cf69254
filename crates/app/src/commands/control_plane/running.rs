//! The running instance as commands change it: over its API.

use std::net::SocketAddr;

use anyhow::anyhow;
use async_trait::async_trait;
use hezar_api::{
    AuditDto, AuditParameters, ChangeReport, FetchReport, ListDto, NewTokenDto, ObjectDto, ObjectType, PreviewReport,
    SettingDto, TokenDto, TokenRequest, UsageDayDto, UsageParameters, UserLinksDto, UserLinksQuery,
};
use hyper::StatusCode;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Map, Value};

use super::{ControlPlane, LARGEST_PART, name_of, no_token};
use crate::{
    commands::{
        fetch,
        remote::{encode, percent_encoded},
    },
    config::ObjectKey,
    objects::EditError,
    remote::{Refused, Remote},
};

#[async_trait]
impl ControlPlane for Remote {
    fn api_address(&self) -> Option<SocketAddr> {
        Some(self.address())
    }

    async fn settings(&self) -> anyhow::Result<Vec<SettingDto>> {
        self.get("/api/v1/settings").await
    }

    async fn change_settings(&self, values: Map<String, Value>) -> anyhow::Result<ChangeReport> {
        self.patch("/api/v1/settings", Value::Object(values).to_string()).await
    }

    async fn schema(&self, kind: ObjectType) -> anyhow::Result<Value> {
        let mut schemas: Map<String, Value> = self.get("/api/v1/schemas").await?;
        let schema = schemas.remove(name_of(kind));
        schema.ok_or_else(|| anyhow!("the instance has no schema of a {}: is it another version?", name_of(kind)))
    }

    async fn objects(&self, kind: ObjectType) -> anyhow::Result<Vec<ObjectDto>> {
        whole_list(self, &list_path(kind), &()).await
    }

    async fn create(&self, kind: ObjectType, name: &str, mut value: Map<String, Value>) -> anyhow::Result<ObjectDto> {
        value.insert("name".to_owned(), name.into());
        self.post(&list_path(kind), Value::Object(value).to_string()).await
    }

    async fn change(&self, kind: ObjectType, name: &str, patch: Map<String, Value>) -> anyhow::Result<ObjectDto> {
        let changed = self.patch(&path_of(kind, name), Value::Object(patch).to_string()).await;
        changed.map_err(|error| named(error, kind, name))
    }

    async fn remove(&self, kind: ObjectType, name: &str) -> anyhow::Result<ChangeReport> {
        let removed = self.delete(&path_of(kind, name), String::new()).await;
        removed.map_err(|error| named(error, kind, name))
    }

    async fn refresh_source(&self, name: &str) -> anyhow::Result<FetchReport> {
        source_work(self, name, "refresh").await
    }

    async fn test_source(&self, name: &str) -> anyhow::Result<PreviewReport> {
        source_work(self, name, "test").await
    }

    async fn tokens(&self) -> anyhow::Result<Vec<TokenDto>> {
        self.get("/api/v1/tokens").await
    }

    async fn create_token(&self, request: TokenRequest) -> anyhow::Result<NewTokenDto> {
        self.post("/api/v1/tokens", serde_json::to_string(&request)?).await
    }

    async fn revoke_token(&self, name: &str) -> anyhow::Result<ChangeReport> {
        let revoked = self.delete(&format!("/api/v1/tokens/{}", percent_encoded(name)), String::new()).await;
        revoked.map_err(|error| if is_missing(&error) { no_token(name) } else { error })
    }

    async fn audit(&self, query: AuditParameters) -> anyhow::Result<ListDto<AuditDto>> {
        self.get(&format!("/api/v1/audit?{}", encode(&query)?)).await
    }

    async fn usage(&self, user: Option<String>) -> anyhow::Result<Vec<UsageDayDto>> {
        let query = UsageParameters { user, ..UsageParameters::default() };
        whole_list(self, "/api/v1/usage", &query).await
    }

    async fn links_of_user(&self, user: &str, query: &UserLinksQuery) -> anyhow::Result<UserLinksDto> {
        let path = format!("{}/links?{}", path_of(ObjectType::User, user), encode(query)?);
        self.get(&path).await.map_err(|error| named(error, ObjectType::User, user))
    }
}

fn list_path(kind: ObjectType) -> String {
    format!("/api/v1/{}s", name_of(kind))
}

fn path_of(kind: ObjectType, name: &str) -> String {
    format!("{}/{}", list_path(kind), percent_encoded(name))
}

/// Every part of a list.
async fn whole_list<T: DeserializeOwned>(
    remote: &Remote,
    path: &str,
    query: &(impl Serialize + Sync + ?Sized),
) -> anyhow::Result<Vec<T>> {
    let (filter, mut all, mut cursor) = (encode(query)?, Vec::new(), String::new());
    loop {
        let part: ListDto<T> = remote.get(&format!("{path}?limit={LARGEST_PART}&{filter}{cursor}")).await?;
        all.extend(part.items);
        let Some(next) = part.next else { return Ok(all) };
        cursor = format!("&cursor={next}");
    }
}

async fn source_work<T: DeserializeOwned>(remote: &Remote, name: &str, work: &str) -> anyhow::Result<T> {
    let path = format!("{}/{work}", path_of(ObjectType::Source, name));
    let done = remote.post_for(&path, String::new(), fetch::LONGEST).await;
    done.map_err(|error| named(error, ObjectType::Source, name))
}

fn is_missing(error: &anyhow::Error) -> bool {
    error.downcast_ref::<Refused>().is_some_and(|refused| refused.status == StatusCode::NOT_FOUND)
}

/// Says what it is that the instance has not found.
fn named(error: anyhow::Error, kind: ObjectType, name: &str) -> anyhow::Error {
    if is_missing(&error) { EditError::Missing(ObjectKey::new(kind.into(), name)).into() } else { error }
}
