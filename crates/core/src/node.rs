//! A node and its identity.

use std::{fmt, iter, str::FromStr, sync::Arc};

use thiserror::Error;

use crate::{Canon, Canonical, Outbound, SocksProxy, SocksVersion, Target, TransportKind, security::SecurityKind};

/// The identity of a node: the first 128 bits of BLAKE3 over its canonical form. The same endpoint published under ten
/// names has one id. Written as 32 lower-case hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NodeId([u8; 16]);

impl NodeId {
    /// The id with these bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The 16 bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }

    /// Whether its text begins with these hexadecimal digits; letter case does not matter.
    #[must_use]
    pub fn starts_with(&self, digits: &str) -> bool {
        let nibbles = self.0.iter().flat_map(|byte| [byte >> 4, byte & 15]);
        let digit = |text: char| text.to_digit(16);
        digits.len() <= 32 && digits.chars().zip(nibbles).all(|(text, nibble)| digit(text) == Some(nibble.into()))
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut digits = [0; 32];
        hex::encode_to_slice(self.0, &mut digits).map_err(|_| fmt::Error)?;
        f.write_str(std::str::from_utf8(&digits).map_err(|_| fmt::Error)?)
    }
}

impl fmt::Debug for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NodeId({self})")
    }
}

/// The text is not 32 hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("a node id is 32 hexadecimal digits")]
pub struct ParseNodeIdError;

impl FromStr for NodeId {
    type Err = ParseNodeIdError;

    fn from_str(text: &str) -> Result<Self, ParseNodeIdError> {
        let mut bytes = [0; 16];
        hex::decode_to_slice(text, &mut bytes).map_err(|_| ParseNodeIdError)?;
        Ok(Self(bytes))
    }
}

/// The chain would have more than [`NodeSpec::MAX_HOPS`] nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("a chain has at most {} nodes", NodeSpec::MAX_HOPS)]
pub struct ChainTooLong;

/// Everything needed to dial one upstream proxy. Its display name is not part of it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct NodeSpec {
    /// The address of the proxy server.
    pub server: Target,
    /// The protocol and what carries it.
    pub outbound: Outbound,
    /// The node through which the server is dialled; absent = directly. Shared, because many nodes go through one.
    via: Option<Arc<Self>>,
}

impl NodeSpec {
    /// Puts a node together.
    #[must_use]
    pub const fn new(server: Target, outbound: Outbound) -> Self {
        Self { server, outbound, via: None }
    }

    /// The most nodes in a chain, the last one included.
    pub const MAX_HOPS: usize = 8;

    /// The same node, dialled through another one. When it goes through one already, that one is dialled through `via`.
    ///
    /// # Errors
    /// [`ChainTooLong`] beyond [`NodeSpec::MAX_HOPS`].
    pub fn through(mut self, via: Arc<Self>) -> Result<Self, ChainTooLong> {
        let via = match self.via.take() {
            None => via,
            Some(nearer) => Arc::new(Arc::unwrap_or_clone(nearer).through(via)?),
        };
        if via.hops().count() >= Self::MAX_HOPS {
            return Err(ChainTooLong);
        }
        self.via = Some(via);
        Ok(self)
    }

    /// The node through which the server is dialled.
    #[must_use]
    pub fn via(&self) -> Option<&Self> {
        self.via.as_deref()
    }

    /// The chain from this node back to the one that is dialled directly.
    pub fn hops(&self) -> impl Iterator<Item = &Self> {
        iter::successors(Some(self), |node| node.via())
    }

    /// The server that this machine connects to: the node's own, or that of the first node of its chain.
    #[must_use]
    pub fn first_server(&self) -> &Target {
        self.hops().last().map_or(&self.server, |node| &node.server)
    }

    /// The node without its chain.
    #[must_use]
    pub fn alone(&self) -> Self {
        Self::new(self.server.clone(), self.outbound.clone())
    }

    /// The identity.
    #[must_use]
    pub fn id(&self) -> NodeId {
        let mut canon = Canon::new();
        canon.text("server", &self.server.to_string());
        self.outbound.canonical(&mut canon);
        if let Some(via) = &self.via {
            canon.raw("via", via.id().as_bytes());
        }
        let hash = blake3::hash(canon.as_bytes());
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&hash.as_bytes()[..16]);
        NodeId(bytes)
    }

    /// The link scheme in its standard spelling: `vless`, `ss`, `hysteria2`, `socks5`, …
    #[must_use]
    pub const fn scheme(&self) -> &'static str {
        self.outbound.scheme()
    }

    /// What carries the protocol's bytes.
    #[must_use]
    pub const fn transport(&self) -> TransportKind {
        self.outbound.transport()
    }

    /// Whether its last server is an HTTP proxy: what such a server carries (tunnels, to which ports, plain requests)
    /// differs from one to the next.
    #[must_use]
    pub const fn is_http_proxy(&self) -> bool {
        matches!(self.outbound, Outbound::Http(_))
    }

    /// Whether it can carry datagrams: its protocol does, and where they travel as datagrams, so does every node of its
    /// chain that they meet on the way.
    #[must_use]
    pub fn carries_datagrams(&self) -> bool {
        let way = || self.via().is_none_or(|via| !self.outbound.sends_datagrams() || via.carries_datagrams());
        self.outbound.carries_datagrams() && way()
    }

    /// Whether it can reach onion services: its last server is a Tor client.
    #[must_use]
    pub const fn reaches_onion_services(&self) -> bool {
        matches!(self.outbound, Outbound::Socks(SocksProxy { version: SocksVersion::Tor, .. }))
    }

    /// Whether the certificate of one of its servers is accepted unseen, the nodes of its chain included: anybody on the
    /// way can pose as that server. A pin that is checked counts as a check.
    #[must_use]
    pub fn skips_verification(&self) -> bool {
        self.hops().any(|node| node.outbound.skips_verification())
    }

    /// What protects them.
    #[must_use]
    pub const fn security(&self) -> SecurityKind {
        self.outbound.security()
    }
}
