//! What every command that uses the store needs: the configuration, the store, and the pool filled from it.

use std::{path::Path, sync::Arc};

use anyhow::Context;
use hezar_core::Role;
use hezar_engine::{Clock, Engine, NativeEngine, NativeEngineConfig};
use hezar_pool::{Pool, Watch};
use hezar_store::{
    DashboardRow, ReleasableStore, SessionRow, SourceRow, Store, StoreError, TokenRow, create_private_folder,
};
use prometheus_client::registry::Registry;
use tokio::sync::mpsc;

use crate::{
    annotations::Annotations,
    bans::Bans,
    cluster::{self, FollowStart},
    config::{Config, ConfigReader, MANUAL_PRIVATE, StoredObject},
    convert,
    cores::Cores,
    geo::{GeoDatabases, GeoLookup},
    local_copy::OpenedCopy,
    nodes::Nodes,
    objects, rlimit,
    store_sync::{
        restore::{self, Loaded, Restorer},
        site_bans,
    },
};

/// Descriptors kept for everything that is not a probe or a tunnel.
const SPARE_FILES: u64 = 256;

/// The rooms that every command with a store needs.
pub(crate) struct Base {
    pub(crate) config: Config,
    /// The objects of the store, those that are left out of the configuration too.
    pub(crate) objects: Vec<StoredObject>,
    /// The tokens of the store.
    pub(crate) tokens: Vec<TokenRow>,
    pub(crate) clock: Clock,
    /// The protocols that this program speaks itself.
    pub(crate) native: NativeEngine,
    /// The cores that dial what it does not speak.
    pub(crate) cores: Arc<Cores>,
    /// What builds the dialers of nodes: each of these in turn, until one can.
    pub(crate) engine: Arc<dyn Engine>,
    pub(crate) pool: Arc<Nodes>,
    pub(crate) store: Arc<dyn Store>,
    /// What the instance begins with: the store, or the copy of one that cannot be reached.
    pub(crate) contents: Arc<dyn Store>,
    /// The same store, as it is released for a successor.
    pub(crate) releasable: Arc<ReleasableStore>,
    pub(crate) registry: Registry,
    /// What came of the store's rows.
    pub(crate) loaded: Loaded,
    /// Nodes that must not come back.
    pub(crate) bans: Bans,
    /// What operators say about nodes.
    pub(crate) annotations: Annotations,
    /// The sources as the store knew them.
    pub(crate) sources: Vec<SourceRow>,
    /// What dashboards keep in the store.
    pub(crate) dashboard: Vec<DashboardRow>,
    /// The sessions as the store knew them.
    pub(crate) sessions: Vec<SessionRow>,
    /// Everything that changes in the pool from its first moment.
    pub(crate) watch: Option<Watch>,
    /// Countries, networks and cities of addresses, as far as databases are configured.
    pub(crate) geo: Arc<GeoLookup>,
    /// The name of this instance among those that share its store; `None` when it shares none.
    pub(crate) name: Option<Arc<str>>,
    /// Where the following of a shared store begins.
    pub(crate) follow: Option<FollowStart>,
    /// Whether the nodes are those of `--demo`.
    pub(crate) demo: bool,
    files: u64,
}

impl Base {
    /// Opens the store that a configuration names, adds the objects in it to the configuration, and fills the pool. Objects
    /// that do not go together with the configuration are left out, each with a warning.
    pub(crate) async fn open(config: Config, reader: &ConfigReader) -> anyhow::Result<Self> {
        create_data_folder(&config.data)?;
        let store = Arc::new(ReleasableStore::open(&config.store, &config.data).await?);
        Self::fill(config, reader, OpenedStore { store, copy: None }).await
    }

    /// The same for an instance: when the database that instances share is away, it begins with its copy on this machine.
    pub(crate) async fn open_or_copy(config: Config, reader: &ConfigReader) -> anyhow::Result<Self> {
        create_data_folder(&config.data)?;
        let store = OpenedStore::open(&config).await?;
        Self::fill(config, reader, store).await
    }

    async fn fill(config: Config, reader: &ConfigReader, opened: OpenedStore) -> anyhow::Result<Self> {
        let files = rlimit::raise_open_file_limit();
        let OpenedStore { store: releasable, copy } = opened;
        let store: Arc<dyn Store> = Arc::clone(&releasable) as Arc<dyn Store>;
        let (clock, name, follow) = match store.shared() {
            Some(shared) => {
                // Once: where the data folder cannot be written, the next one would be another.
                let name = cluster::name(&config);
                shared.identify(cluster::identity(Arc::clone(&name), &config));
                let start = FollowStart::find(&*shared, copy.as_ref().map(|copy| copy.written)).await?;
                (start.database_clock.clock(), Some(name), Some(start))
            }
            None => (Clock::start(), None, None),
        };
        let contents = copy.map_or_else(|| Arc::clone(&store), |copy| copy.contents);
        let (objects, tokens) = objects::from_store(contents.load_control().await?);
        let config = reader.parse(config.text.expose(), &objects, &|_| true)?;
        for problem in &config.left_out {
            tracing::warn!("an object of the store is left out: {problem}");
        }
        let pool = Arc::new(Pool::new(convert::rules(&config)));
        let geo = Arc::new(GeoLookup::new(GeoDatabases::open(&config.geo)?, &pool));
        let (parts, mut received) = mpsc::channel(2);
        let reader = Arc::clone(&contents);
        let reading = tokio::spawn(async move { reader.load_in_parts(parts).await });
        let first = received.recv().await.unwrap_or_default();
        let mut sources = first.sources;
        for row in &mut sources {
            // What a source may do is said by the configuration, not by the store, which may be older; unless this process leaves
            // reading the sources to others, whose configuration names them.
            let configured = config.sources.iter().find(|source| *source.name == *row.name);
            let by_hand = *row.name == *MANUAL_PRIVATE;
            let otherwise = by_hand || (!config.cluster.roles.has(Role::Fetch) && row.allow_private);
            row.allow_private = configured.map_or(otherwise, |source| source.allow_private);
        }
        let (bans, mut repairs) = restore::bans(first.bans);
        let bans = Bans::restore(bans, &pool);
        let (annotations, more_repairs) = Annotations::restore(first.annotations, &pool);
        repairs.extend(more_repairs);
        repairs.extend(site_bans::restore(first.site_bans, &pool, clock.now()));
        // Reading links takes the processors' time; nothing else runs yet, but the store is read meanwhile.
        let (nodes, countries, permissions, now) = (Arc::clone(&pool), Arc::clone(&geo), sources.clone(), clock.now());
        let restoring = tokio::task::spawn_blocking(move || {
            let mut restorer = Restorer::new(first.listings, &permissions, &nodes, Some(&*countries), now);
            while let Some(part) = received.blocking_recv() {
                restorer.take(part.nodes, part.strange);
            }
            restorer.finish()
        });
        reading.await??;
        let mut loaded = restoring.await?;
        loaded.repairs.append(&mut repairs);
        let sessions = loaded.rename_sessions(first.sessions);
        let dashboard = loaded.rename_selections(first.dashboard);
        let watch = Some(pool.watch_own());
        tracing::info!(nodes = loaded.nodes, "store loaded");
        loaded.warn();
        let native =
            NativeEngine::new(&NativeEngineConfig { tls: config.tls.clone(), ..NativeEngineConfig::default() });
        let cores = Cores::new(&config, &native, &pool)?;
        let engine = Arc::clone(&cores.engine);
        let registry = Registry::default();
        Ok(Self {
            config,
            objects,
            tokens,
            clock,
            native,
            cores,
            engine,
            pool,
            store,
            contents,
            releasable,
            loaded,
            bans,
            annotations,
            registry,
            sources,
            dashboard,
            sessions,
            watch,
            geo,
            name,
            follow,
            demo: false,
            files,
        })
    }

    /// Probes at a time when the configuration does not say how many: a share of the open-file limit.
    pub(crate) fn probe_share(&self) -> usize {
        let share = usize::try_from(self.files.saturating_sub(SPARE_FILES) / 4).unwrap_or(usize::MAX);
        share.clamp(16, 2000)
    }
}

/// A store, and what stands for it while it cannot be reached.
struct OpenedStore {
    store: Arc<ReleasableStore>,
    copy: Option<OpenedCopy>,
}

impl OpenedStore {
    async fn open(config: &Config) -> anyhow::Result<Self> {
        let error = match ReleasableStore::open(&config.store, &config.data).await {
            Ok(store) => return Ok(Self { store: Arc::new(store), copy: None }),
            Err(error) => error,
        };
        let is_away = matches!(error, StoreError::Unreachable { .. } | StoreError::Slow { .. });
        let copy = if is_away { OpenedCopy::open(&config.data).await? } else { None };
        let Some(copy) = copy else { return Err(error.into()) };
        tracing::error!(
            %error, code = error.code(), copy_of = copy.written.0,
            "the store that instances share is away: this one begins with its copy on this machine, and catches up later"
        );
        let store = Arc::new(ReleasableStore::open_later(&config.store, &config.data)?);
        Ok(Self { store, copy: Some(copy) })
    }
}

/// Makes the data folder where it is missing.
pub(crate) fn create_data_folder(data: &Path) -> anyhow::Result<()> {
    create_private_folder(data).with_context(|| format!("cannot create the data folder {} (--data)", data.display()))
}
