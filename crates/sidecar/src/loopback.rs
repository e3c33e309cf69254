//! Where cores listen for this process.

use std::net::SocketAddr;

use tokio::net::{TcpListener, TcpStream};

use crate::CoreError;

/// A port of the loopback interface that is free now. Somebody else may take it meanwhile: then the core does not become ready.
///
/// # Errors
/// [`CoreError::NoPort`].
pub(crate) async fn free_address() -> Result<SocketAddr, CoreError> {
    let address = async { TcpListener::bind(("127.0.0.1", 0)).await?.local_addr() };
    address.await.map_err(CoreError::NoPort)
}

/// Whether all of these accept connections.
pub(crate) async fn accept(listeners: &[SocketAddr]) -> bool {
    for listener in listeners {
        if TcpStream::connect(listener).await.is_err() {
            return false;
        }
    }
    true
}
