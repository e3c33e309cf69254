//! The store of an instance that does not run, as commands change it: what is made here is in force from the next start on.

use std::{net::SocketAddr, sync::Arc};

use anyhow::anyhow;
use async_trait::async_trait;
use hezar_api::{
    AuditDto, AuditParameters, ChangeReport, FetchReport, ListDto, NewTokenDto, ObjectChange, ObjectDto, ObjectType,
    ObjectsQuery, PreviewReport, SettingDto, TokenDto, TokenRequest, UsageDayDto, UsageParameters, UserLinksDto,
    UserLinksQuery,
};
use hezar_core::Timestamp;
use hezar_engine::Clock;
use hezar_store::{Access, ControlContents, Store, StoreError, TokenRow};
use parking_lot::Mutex;
use serde_json::{Map, Value};

use super::{ControlPlane, LARGEST_PART, no_token};
use crate::{
    base::create_data_folder,
    commands::fetch,
    config::{Config, ConfigReader, ObjectKey, ObjectKind, schema, settings},
    geo::GeoDatabases,
    invitations,
    objects::{self, Actor, AppliedConfig, Edit, EditError},
    output,
    runtime::difference::Difference,
    store_sync::usage,
    tokens::ApiTokens,
};

/// Who changes something here, as the record of changes names it.
const WHO: &str = "command line";

/// An instance that does not run: its configuration and its store.
pub(in crate::commands) struct StoppedInstance {
    /// The configuration without the objects of the store.
    config: Config,
    reader: ConfigReader,
    clock: Clock,
    /// What a person is told when the store is opened for the first time.
    note: Mutex<Option<String>>,
}

/// What lies in the store, and what would be in force with it.
struct Opened {
    /// `None` when there is no store yet.
    store: Option<Arc<dyn Store>>,
    applied: AppliedConfig,
    tokens: Vec<TokenRow>,
}

impl StoppedInstance {
    pub(in crate::commands) fn new(config: Config, reader: ConfigReader, note: String) -> Self {
        Self { config, reader, clock: Clock::start(), note: Mutex::new(Some(note)) }
    }

    async fn open_store(&self, access: Access) -> Result<Arc<dyn Store>, StoreError> {
        let note = self.note.lock().take();
        note.iter().for_each(output::note);
        hezar_store::open_configured(&self.config.store, &self.config.data, access).await
    }

    /// Opens the store for reading. Where there is none, nothing lies in it.
    async fn open(&self) -> anyhow::Result<Opened> {
        match self.open_store(Access::ReadOnly).await {
            Ok(store) => self.opened(Some(store)).await,
            Err(StoreError::Missing { .. } | StoreError::DirectoryMissing { .. }) => self.opened(None).await,
            // A store of an older version is brought up to date when it is opened for writing.
            Err(StoreError::Older { .. }) => self.open_for_writing().await.map(|(opened, _)| opened),
            Err(error) => Err(error.into()),
        }
    }

    /// Opens the store for this command alone, and makes it where there is none.
    async fn open_for_writing(&self) -> anyhow::Result<(Opened, Arc<dyn Store>)> {
        create_data_folder(&self.config.data)?;
        let store = self.open_store(Access::Exclusive).await.map_err(|error| self.explained(error))?;
        Ok((self.opened(Some(Arc::clone(&store))).await?, store))
    }

    async fn opened(&self, store: Option<Arc<dyn Store>>) -> anyhow::Result<Opened> {
        let contents = match &store {
            Some(store) => store.load_control().await?,
            None => ControlContents::default(),
        };
        let (objects, tokens) = objects::from_store(contents);
        let config = self.reader.parse(self.config.text.expose(), &objects, &|_| true)?;
        Ok(Opened { store, applied: AppliedConfig { config, objects }, tokens })
    }

    /// Says what to do when another process has the store.
    fn explained(&self, error: StoreError) -> anyhow::Error {
        let StoreError::InUse { path, pid } = &error else { return error.into() };
        let process = pid.map(|pid| format!(" (process {pid})")).unwrap_or_default();
        let api = match self.config.api.address() {
            Some(address) => format!("nobody answers at {address}, where the configuration says that its API listens"),
            None => "its API is switched off (api.enabled)".to_owned(),
        };
        anyhow!(
            "nothing was changed: an instance that runs{process} has the store {}, and it cannot be asked, since {api}. \
             Stop it first; or change the configuration file, which it reads again at SIGHUP",
            path.display()
        )
    }

    /// Changes objects, all of them or none; returns what would be in force since, and what differs.
    async fn edit(&self, edits: Vec<Edit>) -> anyhow::Result<(AppliedConfig, Difference)> {
        let edits = objects::with_credentials(edits).await?;
        let (opened, store) = self.open_for_writing().await?;
        let edited = self.write(&*store, &opened.applied, &edits).await;
        store.close().await;
        let edited = edited?;
        let difference = Difference::between(&opened.applied.config, &edited.config);
        Ok((edited, difference))
    }

    async fn write(
        &self,
        store: &dyn Store,
        applied: &AppliedConfig,
        edits: &[Edit],
    ) -> Result<AppliedConfig, EditError> {
        let now = self.clock.wall();
        let edited = objects::edited(&self.reader, applied, edits, now)?;
        // A database that cannot be read would keep the next start from succeeding.
        GeoDatabases::open(&edited.config.geo).map_err(EditError::NotApplied)?;
        let rows = objects::rows(&actor(), edits, (applied, &edited), now);
        store.write_control(&rows).await.map_err(EditError::NotStored)?;
        Ok(edited)
    }

    /// Does one thing to one object, and shows it as it is since.
    async fn edit_one(&self, key: ObjectKey, change: ObjectChange) -> anyhow::Result<ObjectDto> {
        let (edited, _) = self.edit(vec![Edit { key: key.clone(), change }]).await?;
        let shown = objects::one(&edited, &key);
        shown.ok_or_else(|| EditError::Missing(key).into())
    }
}

fn actor() -> Actor {
    Actor { who: WHO.into(), via: "cli" }
}

#[async_trait]
impl ControlPlane for StoppedInstance {
    fn api_address(&self) -> Option<SocketAddr> {
        self.config.api.address()
    }

    async fn settings(&self) -> anyhow::Result<Vec<SettingDto>> {
        Ok(settings(&self.open().await?.applied.config))
    }

    async fn change_settings(&self, values: Map<String, Value>) -> anyhow::Result<ChangeReport> {
        let (_, difference) = self.edit(objects::settings_edits(values)).await?;
        Ok(ChangeReport { changed: difference.changed })
    }

    async fn schema(&self, kind: ObjectType) -> anyhow::Result<Value> {
        Ok(schema(kind.into()))
    }

    async fn objects(&self, kind: ObjectType) -> anyhow::Result<Vec<ObjectDto>> {
        let applied = self.open().await?.applied;
        let (mut all, mut query) = (Vec::new(), ObjectsQuery { limit: Some(LARGEST_PART), ..ObjectsQuery::default() });
        loop {
            let part = objects::list(&applied, kind.into(), &query)?;
            all.extend(part.items);
            if part.next.is_none() {
                return Ok(all);
            }
            query.cursor = part.next;
        }
    }

    async fn create(&self, kind: ObjectType, name: &str, value: Map<String, Value>) -> anyhow::Result<ObjectDto> {
        let mut value = Value::Object(value);
        let token = kind.make_missing_token(&mut value);
        let made = self.edit_one(ObjectKey::new(kind.into(), name), ObjectChange::Create(value)).await?;
        Ok(ObjectDto { token, ..made })
    }

    async fn change(&self, kind: ObjectType, name: &str, patch: Map<String, Value>) -> anyhow::Result<ObjectDto> {
        self.edit_one(ObjectKey::new(kind.into(), name), ObjectChange::Merge(Value::Object(patch))).await
    }

    async fn remove(&self, kind: ObjectType, name: &str) -> anyhow::Result<ChangeReport> {
        let edit = Edit { key: ObjectKey::new(kind.into(), name), change: ObjectChange::Remove };
        let (_, difference) = self.edit(vec![edit]).await?;
        Ok(ChangeReport { changed: difference.changed })
    }

    async fn refresh_source(&self, name: &str) -> anyhow::Result<FetchReport> {
        let (sources, _) = fetch::read_sources(self.config.clone(), &self.reader, &[name.to_owned()], false).await?;
        Ok(FetchReport { asked: sources.len(), sources, ..FetchReport::default() })
    }

    async fn test_source(&self, name: &str) -> anyhow::Result<PreviewReport> {
        fetch::preview(self.config.clone(), &self.reader, name).await
    }

    async fn tokens(&self) -> anyhow::Result<Vec<TokenDto>> {
        let opened = self.open().await?;
        let Some(store) = opened.store else { return Ok(Vec::new()) };
        Ok(ApiTokens::new(opened.tokens, store, self.clock).dtos())
    }

    async fn create_token(&self, request: TokenRequest) -> anyhow::Result<NewTokenDto> {
        let (opened, store) = self.open_for_writing().await?;
        let made = ApiTokens::new(opened.tokens, Arc::clone(&store), self.clock).create_for(&actor(), &request).await;
        store.close().await;
        Ok(made?)
    }

    async fn revoke_token(&self, name: &str) -> anyhow::Result<ChangeReport> {
        let (opened, store) = self.open_for_writing().await?;
        let revoked = ApiTokens::new(opened.tokens, Arc::clone(&store), self.clock).revoke_for(&actor(), name).await;
        store.close().await;
        if revoked? {
            Ok(ChangeReport { changed: vec![format!("token {name:?} revoked")] })
        } else {
            Err(no_token(name))
        }
    }

    async fn audit(&self, query: AuditParameters) -> anyhow::Result<ListDto<AuditDto>> {
        match self.open().await?.store {
            Some(store) => Ok(objects::audit_list(&*store, &query).await?),
            None => Ok(ListDto { items: Vec::new(), next: None }),
        }
    }

    async fn usage(&self, user: Option<String>) -> anyhow::Result<Vec<UsageDayDto>> {
        let Some(store) = self.open().await?.store else { return Ok(Vec::new()) };
        let (now, mut all): (Timestamp, _) = (self.clock.now(), Vec::new());
        let mut query = UsageParameters { user, limit: Some(LARGEST_PART), ..UsageParameters::default() };
        loop {
            let part = usage::list(&*store, &query, now).await?;
            all.extend(part.items);
            if part.next.is_none() {
                return Ok(all);
            }
            query.cursor = part.next;
        }
    }

    async fn links_of_user(&self, user: &str, query: &UserLinksQuery) -> anyhow::Result<UserLinksDto> {
        let config = self.open().await?.applied.config;
        match invitations::links_of_user(&config, user, query) {
            Some(links) => Ok(links?),
            None => Err(EditError::Missing(ObjectKey::new(ObjectKind::User, user)).into()),
        }
    }
}
