//! Everything that carries traffic: system sockets, each proxy protocol, its transports and its security layers.
//!
//! The face of this crate is [`Dialer`]: a thing that opens streams to targets. [`build`] turns a
//! [`NodeSpec`](hezar_core::NodeSpec) into one. Every await on the network runs inside [`Attempt::stage`], so there is
//! one deadline and every failure knows where it happened and whose fault it was.

mod attempt;
mod clock;
mod dialer;
#[doc(hidden)]
pub mod doors;
mod error;
mod fill;
mod head;
mod hop;
pub mod http;
mod outbound;
mod prefixed;
mod protocol;
mod quic;
mod read_through;
mod security;
mod stream;
mod system;
mod transport;
mod upstream;

#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;

pub use attempt::Attempt;
pub use clock::Clock;
pub use dialer::{Datagram, Dialer, RequestForm, Tunnelled};
pub use error::{BuildError, Cause, DialError};
pub use outbound::{Outbounds, OutboundsConfig, build};
pub use prefixed::Prefixed;
pub use protocol::vless::{HandedOver, handed_over};
pub use security::TlsClients;
pub use stream::{BoxDatagram, BoxStream, Stream};
pub use system::{AddressPolicy, Resolver, ResolverConfig, SystemDialer};
