//! What the connections of one listener share, by what it is used for.

use std::{collections::BTreeMap, net::SocketAddr, sync::Arc};

use arc_swap::ArcSwapOption;
use hezar_engine::{BuildError, Clock, Dialer, Engine};
use hezar_pool::Pool;
use parking_lot::Mutex;
use tokio::sync::{Notify, watch};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    AccessLog, Connections, GatewayConfig, GroupSelections, Metrics, Refusal, RequestTracer, Sessions, SharedSessions,
    Usage,
    accepting::Accepting,
    access::{Access, PasswordChecker},
    config::Policy,
    encrypted_inbound::EncryptedInbound,
    failover::{
        Blame, Explanation, HedgeBudget, LatencyEstimator, NodeArrivals, RecentTargets, Selection, TransferSizes,
        UdpAvoidance,
    },
    telemetry::Telemetry,
};

/// What all listeners of a gateway share.
#[derive(Debug)]
pub(crate) struct Services {
    pub(crate) pool: Arc<Pool<Arc<dyn Dialer>>>,
    pub(crate) engine: Arc<dyn Engine>,
    pub(crate) clock: Clock,
    pub(crate) metrics: Metrics,
    pub(crate) sessions: Arc<Sessions>,
    /// The sessions of all gateways, where there are several.
    pub(crate) shared_sessions: Option<Arc<dyn SharedSessions>>,
    pub(crate) groups: Arc<GroupSelections>,
    pub(crate) explanation: Explanation,
    /// Everything that is alive.
    pub(crate) connections: Arc<Connections>,
    /// What users have moved.
    pub(crate) usage: Arc<Usage>,
    /// Where every request is recorded.
    pub(crate) access_log: Arc<AccessLog>,
    /// Chooses the requests whose spans are kept.
    pub(crate) tracer: RequestTracer,
    /// What checks the passwords of users.
    pub(crate) passwords: Arc<PasswordChecker>,
    /// Whether clients are accepted.
    pub(crate) accepting: watch::Sender<Accepting>,
}

/// What the connections of one listener share.
#[derive(Debug)]
pub(crate) struct Context {
    /// The settings.
    pub(crate) policy: Arc<Policy>,
    /// The encrypted inbound of the listener, if it has one.
    encrypted: ArcSwapOption<EncryptedInbound>,
    /// Tells those who wait with older settings that there are others.
    pub(crate) configured: Notify,
    /// Who may come in.
    pub(crate) access: Access,
    /// How nodes are chosen.
    pub(crate) selection: Arc<Selection>,
    /// What is counted and logged.
    pub(crate) telemetry: Arc<Telemetry>,
    /// The owner of every task of the listener.
    pub(crate) tasks: TaskTracker,
    /// The ports beside the first one that are open.
    pub(crate) ports: Mutex<BTreeMap<u16, CancellationToken>>,
    /// Whether clients are accepted.
    pub(crate) accepting: watch::Sender<Accepting>,
    /// Begins the drain: no new requests.
    pub(crate) drain: CancellationToken,
    /// The listener is closed while others go on: its UDP socket may be another one's now.
    pub(crate) close: CancellationToken,
    /// Ends what is left after the grace period.
    pub(crate) kill: CancellationToken,
}

impl Context {
    /// What the connections of a listener with these settings share, until `drain` is cancelled.
    ///
    /// # Errors
    /// [`BuildError`] when its encrypted inbound cannot be served.
    pub(crate) fn new(
        config: GatewayConfig,
        services: &Services,
        drain: CancellationToken,
    ) -> Result<Arc<Self>, BuildError> {
        let metrics = services.metrics.for_listener(&config.name);
        let config = Arc::new(config);
        let encrypted = EncryptedInbound::build(&config, None, &*services.engine)?;
        let policy = Arc::new(Policy::new(config));
        let access = Access::new(
            policy.clone(),
            services.pool.clone(),
            services.clock,
            services.usage.clone(),
            services.passwords.clone(),
            services.tracer.clone(),
        );
        let selection = Selection {
            policy: policy.clone(),
            pool: services.pool.clone(),
            engine: services.engine.clone(),
            clock: services.clock,
            metrics: metrics.clone(),
            sessions: services.sessions.clone(),
            shared_sessions: services.shared_sessions.clone(),
            groups: services.groups.clone(),
            explanation: services.explanation.clone(),
            latency: LatencyEstimator::new(),
            hedge_budget: HedgeBudget::default(),
            node_arrivals: NodeArrivals::default(),
            udp_avoidance: UdpAvoidance::default(),
            recent_targets: RecentTargets::default(),
            transfer_sizes: TransferSizes::default(),
            blame: Blame::default(),
        };
        let telemetry = Telemetry {
            metrics,
            connections: services.connections.clone(),
            usage: services.usage.clone(),
            clock: services.clock,
            log: access.log.clone(),
            access_log: services.access_log.clone(),
            policy: policy.clone(),
        };
        Ok(Arc::new(Self {
            policy,
            encrypted: ArcSwapOption::new(encrypted),
            configured: Notify::new(),
            access,
            selection: Arc::new(selection),
            telemetry: Arc::new(telemetry),
            tasks: TaskTracker::new(),
            ports: Mutex::default(),
            accepting: services.accepting.clone(),
            drain,
            close: CancellationToken::new(),
            kill: CancellationToken::new(),
        }))
    }

    /// Takes other settings, which hold for every request from now on.
    ///
    /// # Errors
    /// [`BuildError`] when the encrypted inbound cannot be served; then the old settings stay.
    pub(crate) fn configure(&self, config: GatewayConfig) -> Result<(), BuildError> {
        let config = Arc::new(config);
        let before = self.encrypted();
        let encrypted = EncryptedInbound::build(&config, before.as_deref(), &*self.selection.engine)?;
        self.policy.store(config);
        self.encrypted.store(encrypted.clone());
        self.configured.notify_waiters();
        if let (Some(before), Some(now)) = (&before, &encrypted) {
            self.end_revoked(now, before);
        }
        Ok(())
    }

    /// Ends what runs of users who have lost a credential: by which one a request came is not remembered, and whoever has another one
    /// comes back at once.
    fn end_revoked(&self, now: &EncryptedInbound, before: &EncryptedInbound) {
        let users = now.users_with_lost_credentials(before);
        if !users.is_empty() {
            let check = |user: &str| if users.contains(user) { Err(Refusal::UserRemoved) } else { Ok(()) };
            self.telemetry.connections.end_refused(self.telemetry.listener(), check);
        }
    }

    /// The encrypted inbound of the listener as it is now; absent where clients speak HTTP and SOCKS.
    pub(crate) fn encrypted(&self) -> Option<Arc<EncryptedInbound>> {
        self.encrypted.load_full()
    }

    /// Whether a successor accepts the clients. Connections that are open here go on; those of HTTP end with the next answer.
    pub(crate) fn is_handed_over(&self) -> bool {
        *self.accepting.borrow() == Accepting::HandedOver
    }

    /// Completes when a successor accepts the clients. Cancel safe.
    async fn handed_over(&self) {
        let mut accepting = self.accepting.subscribe();
        // It cannot fail: the sender lives as long as this.
        let _ = accepting.wait_for(|accepting| *accepting == Accepting::HandedOver).await;
    }

    /// Completes when the listener accepts nobody any more: its drain has begun, or a successor accepts. Cancel safe.
    pub(crate) async fn closed(&self) {
        tokio::select! {
            () = self.drain.cancelled() => {}
            () = self.handed_over() => {}
        }
    }

    /// Completes when the UDP socket of the listener must not be read any more, since another listener or a successor reads it. Cancel
    /// safe.
    pub(crate) async fn has_left_udp_socket(&self) {
        tokio::select! {
            () = self.close.cancelled() => {}
            () = self.handed_over() => {}
        }
    }

    /// Counts a connection that ended before its protocol began, and tells the log of those that somebody can do something about.
    pub(crate) fn note_rejected(&self, client: SocketAddr, refusal: &Refusal) {
        let is_usual = matches!(refusal, Refusal::ClientGone | Refusal::ClientTimeout | Refusal::ShuttingDown);
        if !is_usual && let Some(left_out) = self.access.log.permits(refusal.code(), client.ip()) {
            let listener = self.telemetry.listener();
            let shown = (!self.telemetry.privacy().clients).then(|| tracing::field::display(client));
            tracing::info!(%listener, client = shown, code = refusal.code(), left_out, "{refusal}");
        }
        self.telemetry.reject(client, refusal);
    }

    /// The settings as they are now.
    pub(crate) fn config(&self) -> Arc<GatewayConfig> {
        self.policy.load_full()
    }
}
