//! The QUIC connections of a listener over UDP: Hysteria 2.

use std::sync::Arc;

use hezar_core::Obfs2;
use hezar_engine::{
    BuildError,
    server::{Hysteria2Connection, Hysteria2Server, Hysteria2ServerSettings, QuicListener, WebAnswer},
};
use tokio::net::UdpSocket;

use crate::{
    GatewayConfig, InboundHysteria2, Refusal, ServeError, accepting::Accepting, access::ClientEntry, context::Context,
    encrypted_inbound::EncryptedInbound, inbound, telemetry::GaugeGuard,
};

/// The application protocol of Hysteria 2 in QUIC.
const HTTP3: &[u8] = b"h3";
/// Bytes per second in a Mbit/s.
const MBIT: u64 = 125_000;

/// What is served over QUIC, with the settings that the listener was opened with.
#[derive(Debug)]
pub(crate) struct QuicServer(Hysteria2Server);

impl QuicServer {
    /// A server with these settings over this socket.
    ///
    /// # Errors
    /// [`ServeError`]: the settings do not fit together, or the socket cannot be used.
    pub(crate) fn new(
        config: &GatewayConfig,
        settings: &InboundHysteria2,
        inbound: &EncryptedInbound,
        socket: UdpSocket,
    ) -> Result<Self, ServeError> {
        let tls = config.server_tls.as_ref().ok_or(BuildError::Invalid("Hysteria 2 needs TLS"))?;
        let site = inbound.fallback().ok_or(BuildError::Invalid("Hysteria 2 needs a site for strangers"))?;
        let disguise = settings.obfs_password.clone().map(|password| Obfs2::Salamander { password });
        let listener = QuicListener::bind(socket.into_std()?, tls.quic_config(HTTP3), disguise.as_ref(), &[HTTP3]);
        let rate = |mbps: Option<u32>| mbps.map(|mbps| u64::from(mbps) * MBIT);
        let rates = Hysteria2ServerSettings { sends: rate(settings.down_mbps), receives: rate(settings.up_mbps) };
        Ok(Self(Hysteria2Server::new(listener?, rates, Arc::clone(site) as Arc<dyn WebAnswer>)))
    }

    /// Serves until the listener accepts nobody any more. What runs then may go on for as long as the server lives.
    pub(crate) async fn run(&self, context: &Arc<Context>) {
        let mut accepting = context.accepting.subscribe();
        loop {
            let now = *accepting.borrow_and_update();
            if now == Accepting::HandedOver {
                return;
            }
            tokio::select! {
                connection = self.0.accept(), if now == Accepting::Yes => match connection {
                    Some(connection) => spawn_connection(context, connection),
                    None => return,
                },
                () = context.drain.cancelled() => break,
                _ = accepting.changed() => {}
            }
        }
        self.0.stop_accepting();
    }

    /// Ends what runs, and lets go of the socket.
    pub(crate) async fn close(&self) {
        self.0.close().await;
    }
}

/// Serves a connection in a task of its own, or refuses it when there is no place for it.
fn spawn_connection(context: &Arc<Context>, connection: Hysteria2Connection) {
    let (config, client) = (context.config(), connection.client());
    let entry = context.access.clients.insert(client, config.max_connections, config.max_pending_per_client);
    let Some(entry) = entry else { return context.telemetry.reject(client, &Refusal::ConnectionLimit) };
    let (context, open) = (context.clone(), GaugeGuard::new(&context.telemetry.metrics.connections));
    let owner = context.tasks.clone();
    owner.spawn(async move {
        serve_connection(&context, connection, entry).await;
        drop(open);
    });
}

/// Serves a connection until it is over, must end, or makes room for another one.
async fn serve_connection(context: &Arc<Context>, connection: Hysteria2Connection, entry: ClientEntry) {
    let client = connection.client();
    let serve = async {
        let Some(inbound) = context.encrypted() else { return };
        let session = tokio::select! {
            // In a box, which is freed when it is known who the client is.
            session = Box::pin(connection.open(inbound.keyring())) => session,
            () = context.closed() => None,
        };
        if let Some(session) = session {
            inbound::serve_session(context, inbound, session, client).await;
        }
    };
    tokio::select! {
        () = serve => {}
        () = context.kill.cancelled() => {}
        () = entry.close.cancelled() => context.telemetry.reject(client, &Refusal::ConnectionLimit),
    }
    drop(entry);
}
