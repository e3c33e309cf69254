//! What an accepted connection brings before its own protocol: the header of the PROXY protocol, and TLS.
//!
//! The order on the wire is: PROXY header (from trusted proxies alone), TLS handshake, then the protocol of the port.

mod certificate;
mod own_client;
mod proxy_protocol;
mod settings;
mod slot;
mod tls;

#[cfg(feature = "fuzzing")]
pub mod fuzzing;
#[cfg(test)]
mod tests;

pub use certificate::{Certificate, CertificateError, CertificateFacts, CertificateFiles, read_root_certificates};
pub use proxy_protocol::{
    HeaderError, MAX_PROXY_HEADER, PROXY_LOCAL, ProxiedBy, ProxyHeader, begins_proxy_header, read_proxy_header,
};
pub use settings::{CertificateSource, PortTls, TlsMistake};
pub use slot::CertificateSlot;
pub use tls::{Accepted, ServerTls, TLS_HANDSHAKE, TlsStream};
