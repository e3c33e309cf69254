//! What a server half hands to whoever knows users and nodes: requests, sessions of requests, and strangers.

use std::{fmt, io, net::SocketAddr, pin::Pin};

use async_trait::async_trait;
use hezar_core::Target;

use crate::{BoxDatagram, BoxStream, Stream};

mod current_keyring;
mod head;
mod keyring;
#[cfg(any(test, feature = "fuzzing"))]
mod played;
mod web;

#[cfg(test)]
mod tests;

pub use current_keyring::CurrentKeyring;
pub(crate) use head::{HALF_HEAD, HeadRead, read_head, read_prompt_head};
pub use keyring::{InboundKey, Keyring, KeyringKind};
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) use played::{Played, play};
pub(crate) use web::adapt_head;
pub use web::{WebAnswer, WebBody, WebRequest, WebResponder};

/// Which credential a client has shown: the number by which whoever made the [`Keyring`] knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CredentialId(pub u64);

/// What a client asks for.
pub enum InboundRequest {
    /// A stream to one target.
    Stream(StreamRequest),
    /// Datagrams to any target.
    Datagrams(DatagramRequest),
}

impl InboundRequest {
    /// Who asks.
    #[must_use]
    pub const fn credential(&self) -> CredentialId {
        match self {
            Self::Stream(request) => request.credential,
            Self::Datagrams(request) => request.credential,
        }
    }
}

/// A client's request for a stream to one target.
pub struct StreamRequest {
    /// Who asks.
    pub credential: CredentialId,
    /// Where the bytes go.
    pub target: Target,
    /// The client's bytes without its protocol.
    pub stream: BoxServed,
}

/// A client's request for an association. A datagram that is received names its target; one that is sent names its sender.
pub struct DatagramRequest {
    /// Who asks.
    pub credential: CredentialId,
    /// Where the client's packets come from, where they come over UDP alone; `None` = from the connection's address.
    pub client: Option<SocketAddr>,
    /// The client's datagrams without its protocol. An error of it is the end of the association.
    pub datagram: BoxDatagram,
}

/// A client's stream, and the way to tell the client how its request went. Both calls only queue bytes: write, flush or
/// shutdown sends them.
pub trait ServedStream: Stream {
    /// Says that the target is being served. Calls after the first one do nothing.
    fn grant(&mut self) {}

    /// Says that the target is not served; the caller shuts the stream down after it.
    fn refuse(&mut self, _why: RequestRefusal) {}
}

/// A stream whose protocol has no answer to a request: the client learns from the target's bytes, or from the end of the stream, how it
/// went.
impl ServedStream for BoxStream {}

/// An open stream of a client, whatever its protocol.
pub type BoxServed = Box<dyn ServedStream>;

/// Why a request is not served, as far as a client is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestRefusal {
    /// The user may not do this.
    Forbidden,
    /// The target cannot be reached.
    Unreachable,
    /// A limit is reached.
    Busy,
    /// No node could serve it.
    Failed,
}

impl RequestRefusal {
    /// A few words for protocols that say why.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::Forbidden => "forbidden",
            Self::Unreachable => "unreachable",
            Self::Busy => "busy",
            Self::Failed => "failed",
        }
    }
}

/// What the first bytes of a connection turned out to be.
pub enum Opening {
    /// One request.
    Request(InboundRequest),
    /// A connection with many requests.
    Session(BoxSession),
    /// Nobody who is known.
    Stranger(Stranger),
    /// Nobody who is known, either; it talks to a site already.
    Relay(SiteRelay),
    /// Everything that the connection came for is done, such as an ACME challenge.
    Done,
}

/// A connection of somebody who is no client. Everything that was read so far comes out of the stream again, unless no site can answer
/// there: with Shadowsocks, and inside a transport that has answered.
pub struct Stranger {
    /// The stream beneath the proxy protocol.
    pub stream: BoxStream,
    /// Why it is no client's.
    pub why: StrangerReason,
}

/// A connection of somebody who is no client, and one to a site that answers it.
pub struct SiteRelay {
    /// Why it is no client's.
    pub why: StrangerReason,
    /// Passes bytes both ways until the connection is over, however long that is; ten minutes without a byte end it.
    pub run: Pin<Box<dyn Future<Output = ()> + Send>>,
}

/// Why a connection is no client's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StrangerReason {
    /// It shows a credential that nobody has.
    Credential,
    /// Its bytes are not of the protocol.
    Protocol,
    /// Its bytes were seen before.
    Replayed,
    /// Its time is too far from ours.
    Clock,
    /// It ended before its request was whole.
    TooShort,
    /// It asks a known server for something that is not served, which is named here.
    Command(&'static str),
}

/// One connection with many requests.
#[async_trait]
pub trait InboundSession: Send {
    /// The next request; `None` when the connection is over. Cancel safe.
    async fn next(&mut self) -> Option<SessionItem>;

    /// Asks the client to send new requests over another connection, where the protocol has a word for that. Those that run go on.
    fn go_away(&mut self) {}

    /// Whether requests that came over other connections may need this one.
    fn is_needed(&self) -> bool {
        false
    }
}

/// An open session, whatever its protocol.
pub type BoxSession = Box<dyn InboundSession>;

/// What comes over a session.
pub enum SessionItem {
    /// A client's request.
    Request(InboundRequest),
    /// A web request of somebody who is no client, or of a client's browser.
    Web(Box<WebRequest>),
    /// A request inside the session is no client's. Its stream is closed, or a web request follows.
    Stranger(StrangerReason),
}

impl fmt::Debug for Stranger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stranger").field("why", &self.why).finish_non_exhaustive()
    }
}

/// The error of a connection that ended before it said anything.
pub(crate) fn said_nothing() -> io::Error {
    io::Error::new(io::ErrorKind::UnexpectedEof, "the connection ended before its first byte")
}
