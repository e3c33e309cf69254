//! Target names over SOCKS4: the server is asked by name (SOCKS4a) first. Only if it refuses, the name is looked up here.
//!
//! A list that says `socks4` rarely knows whether its servers read names. Our own network can see a look-up here, and
//! answer it falsely. So names are looked up here only for the servers that need it.

use std::sync::{
    Arc,
    atomic::{AtomicU8, Ordering::Relaxed},
};

use hezar_core::{Host, Stage, Target};

use super::Socks;
use crate::{Attempt, BoxStream, Cause, DialError, Dialer};

/// Nothing is known yet.
const UNKNOWN: u8 = 0;
/// The server reads names.
const NAMES: u8 = 1;
/// The server takes addresses only.
const ADDRESSES: u8 = 2;

/// What is known of whether a server accepts names, and the resolver for a server that does not.
#[derive(Debug)]
pub(super) struct NameForm {
    learned: AtomicU8,
    resolver: Arc<dyn Dialer>,
}

impl NameForm {
    /// The state at the beginning: nothing is known. Unless `resolver` uses this machine's network, names always go to the server.
    pub(super) const fn new(resolver: Arc<dyn Dialer>) -> Self {
        Self { learned: AtomicU8::new(UNKNOWN), resolver }
    }

    /// An IPv4 address of the target that the address policy of the node allows.
    async fn address(&self, target: &Target, attempt: &Attempt) -> Result<Target, DialError> {
        let unknown = || DialError::new(Stage::Resolve, Cause::TargetUnreachable("its name has no IPv4 address"));
        let network = self.resolver.local_network().ok_or_else(unknown)?;
        let found = network.candidates(target, attempt).await.map_err(|_| unknown())?;
        // IPv4 comes first, see `candidates`.
        let address = found.into_iter().find(std::net::SocketAddr::is_ipv4).ok_or_else(unknown)?;
        Target::new(Host::Ip(address.ip()), address.port()).map_err(|_| unknown())
    }
}

impl Socks {
    /// Opens a stream to a named target through a SOCKS4 server, in the form that the server understands.
    pub(super) async fn connect_by_name(&self, target: &Target, attempt: &Attempt) -> Result<BoxStream, DialError> {
        let learned = self.names.learned.load(Relaxed);
        if learned == ADDRESSES {
            let address = self.names.address(target, attempt).await?;
            return self.connect_as_is(&address, attempt).await;
        }
        if learned == NAMES || self.names.resolver.local_network().is_none() {
            return self.connect_as_is(target, attempt).await;
        }
        // A server that takes the placeholder address for a real one may stay silent: half the time is reserved for a second try.
        let error = match self.connect_as_is(target, &attempt.at_most(attempt.remaining() / 2)).await {
            Ok(stream) => {
                self.names.learned.store(NAMES, Relaxed);
                return Ok(stream);
            }
            Err(error) if may_be_about_the_name(&error) => error,
            Err(error) => return Err(error),
        };
        let Ok(address) = self.names.address(target, attempt).await else { return Err(error) };
        let stream = self.connect_as_is(&address, attempt).await?;
        self.names.learned.store(ADDRESSES, Relaxed);
        Ok(stream)
    }
}

/// Whether a server that takes addresses only may have failed this way at a request with a name.
fn may_be_about_the_name(error: &DialError) -> bool {
    let refused = matches!(
        error.cause,
        Cause::TargetUnreachable(_)
            | Cause::ServerFailure(_)
            | Cause::Forbidden
            | Cause::Closed
            | Cause::Reset
            | Cause::Timeout
    );
    error.stage == Stage::Handshake && refused
}
