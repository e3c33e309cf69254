//! One request of an encrypted inbound: who asks, whether it may, and which node serves it.

use std::{future::pending, net::SocketAddr, sync::Arc};

use hezar_core::{Host, Target};
use hezar_engine::{
    BoxDatagram,
    server::{BoxServed, CredentialId, DatagramRequest, InboundRequest, StreamRequest},
};
use tokio::time::Instant;

use super::super::{
    ClientBuffer, ClientSocket,
    connect::{ConnectedRequest, connect},
};
use crate::{
    Refusal,
    access::Identity,
    association::{PendingAssociation, UnwrappedDatagrams},
    context::Context,
    encrypted_inbound::EncryptedInbound,
    telemetry::AccessLogEntry,
    tunnel::tunnel,
};

/// The target that sing-box's clients name when they begin a connection of many streams (`multiplex`), whatever the protocol.
const MULTIPLEX: &str = "sp.mux.sing-box.arpa";

/// The long part of a request, with everything that it needs.
pub(in crate::inbound) enum ServedRequest {
    /// A stream with its node.
    Stream { buffer: ClientBuffer, request: Box<ConnectedRequest> },
    /// Datagrams, which have no node yet.
    Datagrams(Box<UnwrappedAssociation>),
}

/// An association of somebody who may have one.
pub(in crate::inbound) struct UnwrappedAssociation {
    datagram: BoxDatagram,
    client: SocketAddr,
    identity: Identity,
    log_entry: AccessLogEntry,
}

impl ServedRequest {
    /// Carries the bytes until the request ends.
    pub(in crate::inbound) async fn run(self, context: &Arc<Context>) {
        match self {
            Self::Stream { buffer, request } => {
                let ConnectedRequest { failover, connected, log_entry } = *request;
                tunnel(context, buffer.into_client(), failover, connected, log_entry).await;
            }
            // In a box: its state is larger than that of a tunnel, and tunnels are many.
            Self::Datagrams(association) => Box::pin(association.run(context)).await,
        }
    }
}

/// Serves one request until it ends, or until the listener ends what is left.
pub(super) async fn serve_to_end(
    context: &Arc<Context>,
    inbound: &EncryptedInbound,
    request: InboundRequest,
    client: SocketAddr,
) {
    let served = async {
        // Each phase is in a box of its own, as in `inbound::serve`.
        if let Some(served) = Box::pin(serve(context, inbound, request, client)).await {
            Box::pin(served.run(context)).await;
        }
    };
    tokio::select! {
        () = served => {}
        () = context.kill.cancelled() => {}
    }
}

/// Serves one request as far as it is short; `None` when that was all.
pub(super) async fn serve(
    context: &Arc<Context>,
    inbound: &EncryptedInbound,
    request: InboundRequest,
    client: SocketAddr,
) -> Option<ServedRequest> {
    match request {
        InboundRequest::Stream(StreamRequest { credential, target, stream }) => {
            let mut log_entry = AccessLogEntry::new(&context.telemetry, inbound.stream_kind(), client);
            log_entry.set_target(&target);
            let buffer = unwrapped(context, stream);
            match admit(context, credential, Some(&target), client, &mut log_entry) {
                Ok(identity) => serve_stream(context, buffer, client, &identity, &target, log_entry).await,
                Err(refusal) => {
                    buffer.refuse_and_close(&refusal, &context.access.reject_budget).await;
                    None
                }
            }
        }
        InboundRequest::Datagrams(DatagramRequest { credential, client: sender, datagram }) => {
            let client = sender.unwrap_or(client);
            let mut log_entry = AccessLogEntry::new(&context.telemetry, inbound.datagrams_kind(), client);
            let identity = admit(context, credential, None, client, &mut log_entry).ok()?;
            Some(ServedRequest::Datagrams(Box::new(UnwrappedAssociation { datagram, client, identity, log_entry })))
        }
    }
}

/// Refuses a request without looking at who asks.
pub(super) async fn refuse(
    context: &Arc<Context>,
    inbound: &EncryptedInbound,
    request: InboundRequest,
    client: SocketAddr,
    refusal: &Refusal,
) {
    let kind = match &request {
        InboundRequest::Stream(_) => inbound.stream_kind(),
        InboundRequest::Datagrams(_) => inbound.datagrams_kind(),
    };
    AccessLogEntry::new(&context.telemetry, kind, client).refused(refusal, 0);
    if let InboundRequest::Stream(StreamRequest { stream, .. }) = request {
        unwrapped(context, stream).refuse_and_close(refusal, &context.access.reject_budget).await;
    }
}

/// Whether whoever has shown a credential may do this now; the log learns who it is, and of a refusal.
fn admit(
    context: &Context,
    credential: CredentialId,
    target: Option<&Target>,
    client: SocketAddr,
    log_entry: &mut AccessLogEntry,
) -> Result<Identity, Refusal> {
    let recognized = recognize(context, credential, client).and_then(|identity| {
        log_entry.set_user(&identity.user);
        let identity = context.access.admit(identity, client)?;
        if let Some(target) = target {
            check_is_a_place(target)?;
            context.access.check_target(&identity, target)?;
        }
        Ok(identity)
    });
    recognized.inspect_err(|refusal| log_entry.refused(refusal, 0))
}

/// Whether a target is a place, and not a word between client and server: no node should be asked for it.
fn check_is_a_place(target: &Target) -> Result<(), Refusal> {
    match target.host() {
        Host::Name(name) if name.as_str() == MULTIPLEX => Err(Refusal::UnsupportedCommand("multiplex of sing-box")),
        _ => Ok(()),
    }
}

/// Who has shown a credential.
fn recognize(context: &Context, credential: CredentialId, client: SocketAddr) -> Result<Identity, Refusal> {
    // A session may have begun with older settings, or before the listener became a mixed one.
    let now = context.encrypted().ok_or(Refusal::UserRemoved)?;
    let holder = now.holder(credential).ok_or(Refusal::UserRemoved)?;
    context.access.recognize(holder, client)
}

async fn serve_stream(
    context: &Arc<Context>,
    mut buffer: ClientBuffer,
    client: SocketAddr,
    identity: &Identity,
    target: &Target,
    log_entry: AccessLogEntry,
) -> Option<ServedRequest> {
    match connect(context, &mut buffer, client, identity, target, log_entry).await {
        Ok(request) => {
            buffer.grant().await.ok()?;
            Some(ServedRequest::Stream { buffer, request: Box::new(request) })
        }
        Err(Some(refusal)) => {
            buffer.refuse_and_close(&refusal, &context.access.reject_budget).await;
            None
        }
        Err(None) => None,
    }
}

impl UnwrappedAssociation {
    /// Serves it to its end.
    async fn run(self, context: &Arc<Context>) {
        let Self { datagram, client, identity, log_entry } = self;
        let Ok(association) = PendingAssociation::begin(context, &identity, client, log_entry) else { return };
        // A client that leaves meanwhile is noticed when a node is there.
        let Ok(association) = association.connect(pending()).await else { return };
        association.run(UnwrappedDatagrams::new(datagram, context.telemetry.metrics.clone()), pending()).await;
    }
}

/// The bytes of a client whose protocol has been unwrapped; nothing more is read of it before its node is connected.
fn unwrapped(context: &Context, stream: BoxServed) -> ClientBuffer {
    ClientBuffer::new(ClientSocket::Unwrapped(stream), Instant::now() + context.config().setup_timeout)
}
