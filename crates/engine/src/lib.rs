//! Everything that carries traffic: system sockets, each proxy protocol, its transports and its security layers.
//!
//! The face of this crate is [`Dialer`]: a thing that opens streams to targets. An [`Engine`] turns a
//! [`NodeSpec`](hezar_core::NodeSpec) into one; [`NativeEngine`] is the engine whose protocols are in this crate. Every await on the network runs inside [`Attempt::stage`], so there is
//! one deadline and every failure knows where it happened and whose fault it was.

mod attempt;
mod budget;
mod build_error;
mod chain;
mod clock;
mod datagram;
mod dialer;
mod engine;
mod error;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod hand_over;
pub mod http;
mod io;
mod native;
mod net;
mod protocol;
mod quic;
mod security;
mod served;
pub mod server;
mod settings;
mod stream;
mod transport;

#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;

pub use attempt::Attempt;
pub use build_error::BuildError;
pub use clock::Clock;
pub use datagram::{BoxDatagram, Datagram};
pub use dialer::{Dialer, LocalNetwork, Prepared, RequestForm, Tunnelled};
pub use engine::{Engine, EngineList};
pub use error::{Cause, DialError};
pub use hand_over::HandedOver;
pub use io::prefixed::Prefixed;
pub use native::{NativeEngine, NativeEngineConfig, build};
pub use net::{AddressPolicy, NameServer, Resolver, ResolverConfig, SystemDialer};
pub use security::{TlsClients, TlsServer};
pub use settings::TlsSettings;
pub use stream::{BoxStream, Stream};
