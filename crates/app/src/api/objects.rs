//! Objects, settings, tokens and the record of changes as the API shows and changes them.

use async_trait::async_trait;
use hezar_api::{
    ApiError, AuditDto, AuditParameters, Caller, ChangeReport, ChangedBy, ListDto, NewTokenDto, ObjectChange,
    ObjectDto, ObjectType, ObjectsPort, ObjectsQuery, PreviewReport, PreviewRequest, SettingDto, TokenDto,
    TokenRequest,
};
use serde_json::{Map, Value};

use super::ApiBackend;
use crate::{
    config::{ObjectKey, ObjectKind, schema, settings},
    objects::{self, Actor, Edit},
};

fn actor(by: &ChangedBy) -> Actor {
    Actor { who: by.who.as_str().into(), via: by.via }
}

#[async_trait]
impl ObjectsPort for ApiBackend {
    fn caller(&self, token: &str) -> Option<Caller> {
        self.tokens.caller(token)
    }

    fn schemas(&self) -> Map<String, Value> {
        let kinds = ObjectKind::ALL.into_iter().filter(|kind| *kind != ObjectKind::Setting);
        kinds.map(|kind| (kind.name().to_owned(), schema(kind))).collect()
    }

    fn objects(&self, kind: ObjectType, query: &ObjectsQuery) -> Result<ListDto<ObjectDto>, ApiError> {
        let kind = kind.into();
        let mut list = objects::list(&self.runtime.applied(), kind, query)?;
        self.add_live_facts(kind, &mut list.items);
        Ok(list)
    }

    fn object(&self, kind: ObjectType, name: &str) -> Option<ObjectDto> {
        let key = ObjectKey::new(kind.into(), name);
        let mut object = objects::one(&self.runtime.applied(), &key)?;
        self.add_live_facts(key.kind, std::slice::from_mut(&mut object));
        Some(object)
    }

    async fn change_object(
        &self,
        by: &ChangedBy,
        kind: ObjectType,
        name: &str,
        change: ObjectChange,
    ) -> Result<ChangeReport, ApiError> {
        let edit = Edit { key: ObjectKey::new(kind.into(), name), change };
        let done = self.runtime.edit(&actor(by), vec![edit]).await?;
        Ok(ChangeReport { changed: done.changed })
    }

    fn settings(&self) -> Vec<SettingDto> {
        settings(&self.runtime.applied().config)
    }

    async fn change_settings(&self, by: &ChangedBy, values: Map<String, Value>) -> Result<ChangeReport, ApiError> {
        let done = self.runtime.edit(&actor(by), objects::settings_edits(values)).await?;
        Ok(ChangeReport { changed: done.changed })
    }

    async fn preview(&self, request: PreviewRequest) -> Result<PreviewReport, ApiError> {
        match (request.text, request.source) {
            (Some(text), None) => self.collector.preview_text(text).await,
            (None, Some(source)) => {
                let (source, config) = self.runtime.source_alone(source)?;
                self.collector.preview(&source, &config).await
            }
            _ => Err(ApiError::BadRequest("a preview needs a text, or the keys of a source".to_owned())),
        }
    }

    async fn test_source(&self, name: &str) -> Result<PreviewReport, ApiError> {
        let applied = self.runtime.applied();
        let source = applied.config.sources.iter().find(|source| source.name == name).ok_or(ApiError::NotFound)?;
        self.collector.preview(source, &applied.config).await
    }

    fn tokens(&self) -> Vec<TokenDto> {
        self.tokens.dtos()
    }

    async fn create_token(&self, by: &ChangedBy, request: &TokenRequest) -> Result<NewTokenDto, ApiError> {
        self.tokens.create_for(&actor(by), request).await
    }

    async fn revoke_token(&self, by: &ChangedBy, name: &str) -> Result<bool, ApiError> {
        self.tokens.revoke_for(&actor(by), name).await
    }

    async fn audit(&self, query: &AuditParameters) -> Result<ListDto<AuditDto>, ApiError> {
        objects::audit_list(&*self.store, query).await
    }
}

impl From<ObjectType> for ObjectKind {
    fn from(kind: ObjectType) -> Self {
        match kind {
            ObjectType::Source => Self::Source,
            ObjectType::Listener => Self::Listener,
            ObjectType::User => Self::User,
            ObjectType::Subscription => Self::Subscription,
        }
    }
}

impl ApiBackend {
    /// Adds what only a running instance knows: where listeners listen, and what sources gave.
    fn add_live_facts(&self, kind: ObjectKind, objects: &mut [ObjectDto]) {
        match kind {
            ObjectKind::Listener => {
                for listener in objects {
                    listener.address = self.listeners.address(&listener.name).map(|address| address.to_string());
                }
            }
            ObjectKind::Source => {
                let census = self.table.census(&self.pool.snapshot());
                let statuses = self.table.sources(&census, &self.pool.left_out());
                for source in objects {
                    source.status = statuses.iter().find(|status| status.name == source.name).cloned();
                }
            }
            ObjectKind::User | ObjectKind::Subscription | ObjectKind::Setting => {}
        }
    }
}
