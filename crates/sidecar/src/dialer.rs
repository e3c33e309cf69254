//! Dials a node through the slot that it has at a core.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use hezar_core::{Carrier, Host, NodeSpec, Outbound, PacketEncoding, Security, Stage, StreamProtocol, Target, Vless};
use hezar_engine::{AddressPolicy, Attempt, BoxDatagram, BoxStream, Cause, DialError, Dialer, Prepared};
use tokio::io::AsyncWriteExt;

use crate::{
    CoreName,
    current::{Core, CurrentCore},
    datagram::SidecarDatagram,
    slots::{CoreNode, SlotAccess, SlotLease},
    stream::SidecarStream,
};

/// Dials one node through a core.
#[derive(Debug)]
pub(crate) struct SidecarDialer {
    current: Arc<CurrentCore>,
    node: Arc<CoreNode>,
}

/// A slot that the core knows, and the dialer of its listener.
struct Opening {
    core: Arc<Core>,
    lease: SlotLease,
    access: SlotAccess,
    dialer: Arc<dyn Dialer>,
}

impl SidecarDialer {
    pub(crate) const fn new(current: Arc<CurrentCore>, node: Arc<CoreNode>) -> Self {
        Self { current, node }
    }

    /// A slot that the core knows.
    async fn lease(&self, attempt: &Attempt) -> Result<(Arc<Core>, SlotLease, SlotAccess), DialError> {
        let unavailable = |cause| DialError::new(Stage::Connect, cause);
        let core =
            self.current.core().ok_or_else(|| unavailable(Cause::CoreUnavailable("it is not installed any more")))?;
        let addresses = core.addresses(&self.node, attempt).await?;
        let lease = core.slots.lease(&self.node, &addresses).map_err(unavailable)?;
        let ready = tokio::time::timeout_at(attempt.deadline(), lease.ready()).await;
        // A node is not to blame for the time that it waits for its slot.
        let access = ready.unwrap_or(Err(Cause::CoreUnavailable("it was not told in time"))).map_err(unavailable)?;
        Ok((core, lease, access))
    }

    async fn open(&self, attempt: &Attempt) -> Result<Opening, DialError> {
        let (core, lease, access) = self.lease(attempt).await?;
        let listener = core.base.dialer(&listener(&access)?, AddressPolicy::Any);
        let dialer = listener.map_err(|_| DialError::new(Stage::Connect, Cause::Unsupported("the core's listener")))?;
        Ok(Opening { core, lease, access, dialer })
    }
}

/// A slot as a node: VLESS on loopback without TLS.
fn listener(access: &SlotAccess) -> Result<NodeSpec, DialError> {
    let protocol = StreamProtocol::Vless(Vless {
        id: access.user,
        flow: None,
        encryption: None,
        packet_encoding: PacketEncoding::Xudp,
    });
    let odd = || DialError::new(Stage::Connect, Cause::Unsupported("the core's listener"));
    let outbound = Outbound::stream(protocol, Carrier::Tcp { header: None, security: Security::None });
    let server = Target::new(Host::Ip(access.address.ip()), access.address.port()).map_err(|_| odd())?;
    Ok(NodeSpec::new(server, outbound.map_err(|_| odd())?))
}

/// What goes wrong between us and the core's listener is no fault of the node.
fn listener_failed(error: &DialError) -> DialError {
    tracing::debug!(%error, "the listener of the core cannot be reached");
    DialError::new(Stage::Connect, Cause::CoreUnavailable("its listener cannot be reached"))
}

#[async_trait]
impl Dialer for SidecarDialer {
    /// The core dials the node as soon as it knows the target, and says nothing about it: when the node cannot be reached, the stream ends
    /// without any byte.
    async fn connect(&self, target: &Target, attempt: &Attempt) -> Result<BoxStream, DialError> {
        let Opening { core, lease, access, dialer } = self.open(attempt).await?;
        let opening = async {
            let _open = core.gate.read().await;
            let mut stream = dialer.connect(target, attempt).await.map_err(|error| listener_failed(&error))?;
            // The request goes out at once: the core begins to dial, and knows the slot as it is now.
            let sent = async {
                let _none = stream.write(&[]).await?;
                stream.flush().await
            };
            sent.await.map_err(|error| listener_failed(&DialError::new(Stage::Handshake, error.into())))?;
            Ok(stream)
        };
        let stream = within(attempt, opening).await?;
        Ok(Box::new(SidecarStream::new(stream, lease, access.start)))
    }

    async fn associate(&self, attempt: &Attempt) -> Result<BoxDatagram, DialError> {
        if !self.node.spec.carries_datagrams() {
            return Err(DialError::new(Stage::Handshake, Cause::Unsupported("datagrams")));
        }
        let Opening { core, lease, access, dialer } = self.open(attempt).await?;
        let opening = async {
            let _open = core.gate.read().await;
            dialer.associate(attempt).await.map_err(|error| listener_failed(&error))
        };
        let datagram = within(attempt, opening).await?;
        let takes_names = self.current.name == CoreName::Xray;
        Ok(Box::new(SidecarDatagram::new(datagram, lease, access.start, takes_names)))
    }

    async fn prepare(&self, limit: Duration) -> Result<Prepared, DialError> {
        let (_, lease, _) = self.lease(&Attempt::within(limit)).await?;
        Ok(Prepared::holding(lease))
    }
}

/// The gate may be closed for a moment, which is no fault of the node either.
async fn within<T>(attempt: &Attempt, opening: impl Future<Output = Result<T, DialError>>) -> Result<T, DialError> {
    let opened = tokio::time::timeout_at(attempt.deadline(), opening).await;
    opened.unwrap_or_else(|_| Err(DialError::new(Stage::Connect, Cause::CoreUnavailable("it takes over its nodes"))))
}
