//! The servers of nodes that have names: a core asks Hezar for their addresses, so that it never dials one that the node's source does not
//! allow, also when the name leads elsewhere between a check and a dial.

use std::{collections::HashMap, io, net::SocketAddr, sync::Arc, time::Duration};

use hezar_core::{DomainName, Host};
use hezar_engine::{AddressPolicy, Dialer, Engine, NameServer};
use hezar_pool::Node;
use parking_lot::Mutex;
use tokio::time::Instant;

/// How long a name is answered for after its node was given to a core last. Members of groups are given again every 30 s.
const KEPT: Duration = Duration::from_secs(600);

/// The names of the servers that the cores have, with a server that answers for them.
pub(super) struct Names {
    server: NameServer,
    engine: Arc<dyn Engine>,
    known: Mutex<HashMap<DomainName, Known, ahash::RandomState>>,
}

/// When nodes with a name were given to a core last.
#[derive(Clone, Copy, Debug)]
struct Known {
    given: Instant,
    /// One that must not be at a private address.
    given_public: Option<Instant>,
}

impl Names {
    /// A server at a free port of 127.0.0.1.
    ///
    /// # Errors
    /// No port is free.
    pub(super) async fn bind(engine: Arc<dyn Engine>) -> io::Result<Self> {
        Ok(Self { server: NameServer::bind().await?, engine, known: Mutex::default() })
    }

    /// Where the cores ask.
    pub(super) const fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// Notes that a core is given this node.
    pub(super) fn note<P>(&self, node: &Node<P>) {
        let Host::Name(name) = node.spec().server.host() else { return };
        self.note_name(name, AddressPolicy::allowing_private(node.allow_private()));
    }

    fn note_name(&self, name: &DomainName, policy: AddressPolicy) {
        let now = Instant::now();
        let given_public = (policy == AddressPolicy::PublicOnly).then_some(now);
        let mut known = self.known.lock();
        match known.get_mut(name) {
            Some(known) => {
                known.given = now;
                known.given_public = given_public.or(known.given_public);
            }
            None => drop(known.insert(name.clone(), Known { given: now, given_public })),
        }
    }

    /// Forgets the names of nodes that no core was given for a while.
    pub(super) fn forget_old(&self) {
        self.known.lock().retain(|_, known| known.given.elapsed() < KEPT);
    }

    /// Which addresses a name may have; the same for all nodes at it, so that none reaches a private one by another's leave.
    fn policy(&self, name: &DomainName) -> Option<AddressPolicy> {
        let known = *self.known.lock().get(name)?;
        let is_public = known.given_public.is_some_and(|given| given.elapsed() < KEPT);
        Some(AddressPolicy::allowing_private(!is_public))
    }

    /// Answers the cores until it is dropped.
    pub(super) async fn run(&self) {
        let dialer_of = |name: &DomainName| -> Option<Arc<dyn Dialer>> { Some(self.engine.direct(self.policy(name)?)) };
        self.server.run(dialer_of).await;
    }
}

#[cfg(test)]
mod tests {
    use hezar_engine::{NativeEngine, NativeEngineConfig};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_name_has_private_addresses_only_while_every_node_at_it_may() {
        let names = Names::bind(Arc::new(NativeEngine::new(&NativeEngineConfig::default()))).await.unwrap();
        let name = DomainName::new("a.example.test").unwrap();
        assert_eq!(names.policy(&name), None);
        names.note_name(&name, AddressPolicy::Any);
        assert_eq!(names.policy(&name), Some(AddressPolicy::Any));
        names.note_name(&name, AddressPolicy::PublicOnly);
        names.note_name(&name, AddressPolicy::Any);
        assert_eq!(names.policy(&name), Some(AddressPolicy::PublicOnly));
        tokio::time::advance(KEPT).await;
        names.note_name(&name, AddressPolicy::Any);
        assert_eq!(names.policy(&name), Some(AddressPolicy::Any));
        tokio::time::advance(KEPT).await;
        names.forget_old();
        assert_eq!(names.policy(&name), None);
    }
}
