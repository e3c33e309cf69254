//! TLS with a target itself, for probes and sources: rustls as it comes, since here the end of the data decides what was said.
//!
//! Only `close_notify` is an end; anything else that ends the connection is an error, so that nobody on the way can cut a list
//! short. Nothing is resumed: a ticket would tell the target that requests over different nodes have one origin.

use std::sync::Arc;

use hezar_core::{Host, Tls};
use rustls::{
    ClientConfig, Error,
    client::{Resumption, danger::ServerCertVerifier},
    crypto::CryptoProvider,
};
use tokio_rustls::{TlsConnector, client::TlsStream};

use super::{Shape, cause_of, name};
use crate::{BoxStream, Cause, Stream};

impl Stream for TlsStream<BoxStream> {}

/// TLS with targets: one configuration for all of them.
pub(super) struct TargetTls(TlsConnector);

impl TargetTls {
    /// Checks certificates with `verifier`.
    ///
    /// # Errors
    /// Never: the provider has what the versions need.
    pub(super) fn new(provider: &Arc<CryptoProvider>, verifier: Arc<dyn ServerCertVerifier>) -> Result<Self, Error> {
        let builder =
            ClientConfig::builder_with_provider(Arc::clone(provider)).with_safe_default_protocol_versions()?;
        let mut config = builder.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        config.resumption = Resumption::disabled();
        Ok(Self(Arc::new(config).into()))
    }

    /// Runs the handshake.
    ///
    /// # Errors
    /// [`Cause::Certificate`], [`Cause::Tls`] or a failure of the stream.
    pub(super) async fn secure(&self, stream: BoxStream, target: &Host) -> Result<BoxStream, Cause> {
        let name = name::to_send(&Tls::default(), target);
        let secured = self.0.connect(name, stream).await.map_err(|error| cause_of(error, Shape::Own))?;
        Ok(Box::new(secured))
    }
}

/// Why there is no configuration.
pub(super) fn refused(error: &Error) -> Cause {
    Cause::Tls(error.to_string().into())
}
