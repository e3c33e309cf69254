//! Objects, settings, tokens and the record of changes as the API shows and changes them.

use async_trait::async_trait;
use hezar_api::{
    ApiError, AuditDto, AuditParameters, Caller, ChangeReport, ChangedBy, ListDto, NewTokenDto, ObjectChange,
    ObjectDto, ObjectType, ObjectsPort, ObjectsQuery, PreviewReport, PreviewRequest, Scope, SettingDto, SourceDto,
    TokenDto, TokenRequest, read_cursor, write_cursor,
};
use hezar_store::{AuditQuery, AuditRow, StoreError};
use serde_json::{Map, Value, json};

use super::ApiBackend;
use crate::{
    config::{ConfigOrigin, ObjectKey, ObjectKind, place, schema, settings, shown},
    runtime::{
        AppliedConfig,
        edit::{Actor, Edit, EditAction, EditError, audit},
    },
};

/// Entries of a list unless the query says otherwise.
const USUAL_PART: usize = 100;
/// The most entries of a part.
const LARGEST_PART: usize = 1000;
/// The longest name of a token, in bytes.
const LONGEST_NAME: usize = 64;

impl From<EditError> for ApiError {
    fn from(error: EditError) -> Self {
        let text = error.to_string();
        match error {
            EditError::Missing(_) => Self::NotFound,
            EditError::Exists(_) | EditError::Elsewhere { .. } | EditError::NotApplied(_) => Self::Conflict(text),
            EditError::NeedsRestart(_) | EditError::Malformed(_) | EditError::Invalid(_) => Self::BadRequest(text),
            EditError::NotStored(_) => Self::NotStored(text),
        }
    }
}

const fn kind_of(kind: ObjectType) -> ObjectKind {
    match kind {
        ObjectType::Source => ObjectKind::Source,
        ObjectType::Listener => ObjectKind::Listener,
        ObjectType::User => ObjectKind::User,
    }
}

fn actor(by: &ChangedBy) -> Actor {
    Actor { who: by.who.as_str().into(), via: by.via }
}

fn not_stored(error: &StoreError) -> ApiError {
    ApiError::NotStored(format!("nothing was changed, since the store cannot be written: {error}"))
}

#[async_trait]
impl ObjectsPort for ApiBackend {
    fn caller(&self, token: &str) -> Option<Caller> {
        self.tokens.caller(token)
    }

    fn schemas(&self) -> Map<String, Value> {
        let kinds = [ObjectKind::Source, ObjectKind::Listener, ObjectKind::User];
        kinds.into_iter().map(|kind| (kind.name().to_owned(), schema(kind))).collect()
    }

    fn objects(&self, kind: ObjectType, query: &ObjectsQuery) -> Result<ListDto<ObjectDto>, ApiError> {
        let (applied, kind) = (self.runtime.applied(), kind_of(kind));
        let after: Option<String> = query.cursor.as_deref().map(read_cursor).transpose()?;
        let size = part_size(query.limit)?;
        if !matches!(query.origin.as_deref(), None | Some("file" | "store")) {
            return Err(ApiError::BadRequest("origin is file or store".to_owned()));
        }
        let fits = |key: &ObjectKey| {
            let origin = place(origin(&applied, key)).0;
            after.as_ref().is_none_or(|after| key.name > *after)
                && query.search.as_ref().is_none_or(|text| key.name.contains(text.as_str()))
                && query.origin.as_ref().is_none_or(|wanted| wanted == origin)
        };
        let mut keys: Vec<ObjectKey> = keys(&applied, kind).into_iter().filter(fits).collect();
        let more = keys.len() > size;
        keys.truncate(size);
        let next = keys.last().filter(|_| more).map(|key| write_cursor(&key.name)).transpose()?;
        let statuses = if kind == ObjectKind::Source { self.source_statuses() } else { Vec::new() };
        Ok(ListDto { items: keys.iter().map(|key| self.dto_of(&applied, key, &statuses)).collect(), next })
    }

    fn object(&self, kind: ObjectType, name: &str) -> Option<ObjectDto> {
        let (applied, key) = (self.runtime.applied(), ObjectKey::new(kind_of(kind), name));
        origin(&applied, &key)?;
        let statuses = if key.kind == ObjectKind::Source { self.source_statuses() } else { Vec::new() };
        Some(self.dto_of(&applied, &key, &statuses))
    }

    async fn change_object(
        &self,
        by: &ChangedBy,
        kind: ObjectType,
        name: &str,
        change: ObjectChange,
    ) -> Result<ChangeReport, ApiError> {
        let key = ObjectKey::new(kind_of(kind), name);
        // What the file says is there too, and is changed in the file.
        if let Some(origin) = origin(&self.runtime.applied(), &key).filter(|origin| **origin != ConfigOrigin::Store) {
            return Err(EditError::Elsewhere { key, origin: origin.clone() }.into());
        }
        let action = match change {
            ObjectChange::Create(value) => EditAction::Create(value),
            ObjectChange::Replace(value) => EditAction::Replace(value),
            ObjectChange::Merge(value) => EditAction::Merge(value),
            ObjectChange::Remove => EditAction::Remove,
        };
        let done = self.runtime.edit(&actor(by), vec![Edit { key, action }]).await?;
        Ok(ChangeReport { changed: done.changed })
    }

    fn settings(&self) -> Vec<SettingDto> {
        settings(&self.runtime.applied().config)
    }

    async fn change_settings(&self, by: &ChangedBy, values: Map<String, Value>) -> Result<ChangeReport, ApiError> {
        let edit = |(name, value): (String, Value)| {
            let action = if value.is_null() { EditAction::Remove } else { EditAction::Replace(value) };
            Edit { key: ObjectKey::new(ObjectKind::Setting, name), action }
        };
        let done = self.runtime.edit(&actor(by), values.into_iter().map(edit).collect()).await?;
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
        let dto = |row: hezar_store::TokenRow| TokenDto {
            name: row.name.into(),
            scope: row.scope.into(),
            created: row.created.0,
            last_used: row.last_used.map(|at| at.0),
        };
        self.tokens.list().into_iter().map(dto).collect()
    }

    async fn create_token(&self, by: &ChangedBy, request: &TokenRequest) -> Result<NewTokenDto, ApiError> {
        let TokenRequest { name, scope } = request;
        if !(1..=LONGEST_NAME).contains(&name.len()) || name.contains(char::is_control) {
            return Err(ApiError::BadRequest("a token needs a name of 1 to 64 bytes".to_owned()));
        }
        let Some(known) = Scope::ALL.into_iter().find(|known| known.name() == scope) else {
            let names = Scope::ALL.map(Scope::name).join(", ");
            return Err(ApiError::BadRequest(format!("the scope is one of {names}")));
        };
        let new = Some(json!({ "scope": scope }));
        let line = audit(&actor(by), "create", ("token", name), (None, new), self.clock.wall());
        let made = self.tokens.create(name, known, line).await.map_err(|error| not_stored(&error))?;
        let (token, row) = made.ok_or_else(|| {
            ApiError::Conflict(format!("there is a token named {name:?} already: revoke it, or choose another name"))
        })?;
        Ok(NewTokenDto { name: row.name.into(), scope: row.scope.into(), token: token.expose().to_owned() })
    }

    async fn revoke_token(&self, by: &ChangedBy, name: &str) -> Result<bool, ApiError> {
        let line = audit(&actor(by), "revoke", ("token", name), (None, None), self.clock.wall());
        self.tokens.revoke(name, line).await.map_err(|error| not_stored(&error))
    }

    async fn audit(&self, query: &AuditParameters) -> Result<ListDto<AuditDto>, ApiError> {
        let text = |text: &Option<String>| text.as_deref().map(Into::into);
        let size = part_size(query.limit)?;
        let asked = AuditQuery {
            before: query.cursor.as_deref().map(read_cursor).transpose()?,
            kind: text(&query.kind),
            name: text(&query.name),
            who: text(&query.who),
            limit: u32::try_from(size + 1).unwrap_or(u32::MAX),
        };
        let mut rows = self.store.audit(&asked).await.map_err(|error| {
            tracing::warn!(%error, "the record of changes cannot be read");
            ApiError::Internal
        })?;
        let more = rows.len() > size;
        rows.truncate(size);
        let next = rows.last().filter(|_| more).map(|row| write_cursor(&row.id)).transpose()?;
        Ok(ListDto { items: rows.into_iter().map(audit_dto).collect(), next })
    }
}

impl ApiBackend {
    fn dto_of(&self, applied: &AppliedConfig, key: &ObjectKey, statuses: &[SourceDto]) -> ObjectDto {
        let stored = applied.objects.iter().find(|object| object.key == *key);
        let problem = applied.config.left_out.iter().find(|problem| problem.object.as_ref() == Some(key));
        let (origin, line, _) = place(origin(applied, key));
        let listens = || {
            let open = self.listeners.configs().into_iter().zip(self.listeners.addresses());
            open.into_iter().find(|(config, _)| *config.name == *key.name).map(|(_, address)| address.to_string())
        };
        ObjectDto {
            name: key.name.clone(),
            origin: origin.to_owned(),
            line,
            changed: stored.map(|object| object.changed.0),
            problem: problem.map(ToString::to_string),
            value: shown(&applied.config, key).unwrap_or_else(|| json!({ "name": key.name })),
            address: (key.kind == ObjectKind::Listener).then(listens).flatten(),
            status: statuses.iter().find(|status| status.name == key.name).cloned(),
        }
    }

    fn source_statuses(&self) -> Vec<SourceDto> {
        let census = self.table.census(&self.pool.snapshot());
        self.table.sources(&census, &self.pool.left_out())
    }
}

/// Where an object is said; `None` when there is none. One that is left out of the configuration lies in the store.
fn origin<'a>(applied: &'a AppliedConfig, key: &ObjectKey) -> Option<&'a ConfigOrigin> {
    let in_force = applied.config.origins.get(key);
    in_force.or_else(|| applied.objects.iter().any(|object| object.key == *key).then_some(&ConfigOrigin::Store))
}

/// The keys of all objects of a kind, in the order of their names.
fn keys(applied: &AppliedConfig, kind: ObjectKind) -> std::collections::BTreeSet<ObjectKey> {
    let stored = applied.objects.iter().map(|object| &object.key);
    applied.config.origins.keys().chain(stored).filter(|key| key.kind == kind).cloned().collect()
}

fn part_size(limit: Option<usize>) -> Result<usize, ApiError> {
    let size = limit.unwrap_or(USUAL_PART);
    if (1..=LARGEST_PART).contains(&size) {
        return Ok(size);
    }
    Err(ApiError::BadRequest(format!("limit is a number from 1 to {LARGEST_PART}")))
}

fn audit_dto(row: AuditRow) -> AuditDto {
    let value = |text: Option<Box<str>>| text.and_then(|text| serde_json::from_str(&text).ok());
    AuditDto {
        id: row.id,
        at: row.at.0,
        who: row.who.into(),
        via: row.via.into(),
        action: row.action.into(),
        kind: row.kind.into(),
        name: row.name.into(),
        old: value(row.old),
        new: value(row.new),
    }
}
