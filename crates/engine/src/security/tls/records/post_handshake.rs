//! What comes of messages between the data: new keys, and the tickets that a client keeps.

use rustls::{
    ConnectionTrafficSecrets, Error, client::ClientConnectionData, kernel::KernelConnection,
    server::ServerConnectionData,
};

use super::{
    super::sessions::{self, LONGEST_TICKET, MOST_TICKETS},
    Edition, HELLO_REQUEST, Half, NEW_SESSION_TICKET, UNEXPECTED, failed,
};
use crate::Cause;

/// What the peer may ask for after the handshake: new keys, and whatever else a client takes from its server.
pub(in crate::security) trait PostHandshake: Send + Sync {
    /// Our direction with its next keys.
    ///
    /// # Errors
    /// When the version has none.
    fn renew_ours(&mut self) -> Result<Half, Cause>;

    /// The peer's direction with its next keys.
    ///
    /// # Errors
    /// When the version has none.
    fn renew_theirs(&mut self) -> Result<Half, Cause>;

    /// Acts on another message of the handshake protocol. A server takes none.
    ///
    /// # Errors
    /// [`UNEXPECTED`], or what is wrong with the message.
    fn take_message(&mut self, edition: Edition, kind: u8, body: &[u8]) -> Result<(), Cause> {
        let _ = (edition, kind, body);
        Err(UNEXPECTED)
    }
}

/// The connection state of rustls, which derives keys and takes tickets.
pub(super) struct ClientKernel {
    connection: KernelConnection<ClientConnectionData>,
    /// The length of the server's certificates, which go with every ticket.
    chain: usize,
    tickets: u8,
}

impl ClientKernel {
    /// The state after a handshake with a server whose certificates have `chain` bytes.
    pub(super) const fn new(connection: KernelConnection<ClientConnectionData>, chain: usize) -> Self {
        Self { connection, chain, tickets: 0 }
    }

    /// Passes over what is too long, and over what comes when enough has come.
    fn keep_ticket(&mut self, ticket: &[u8]) -> Result<(), Error> {
        if ticket.len() > LONGEST_TICKET || self.tickets >= MOST_TICKETS {
            return Ok(());
        }
        self.tickets += 1;
        sessions::announced(ticket.len() + self.chain, || self.connection.handle_new_session_ticket(ticket))
    }
}

impl PostHandshake for ClientKernel {
    fn renew_ours(&mut self) -> Result<Half, Cause> {
        half_of(Edition::Tls13, self.connection.update_tx_secret().map_err(failed)?)
    }

    fn renew_theirs(&mut self) -> Result<Half, Cause> {
        half_of(Edition::Tls13, self.connection.update_rx_secret().map_err(failed)?)
    }

    fn take_message(&mut self, edition: Edition, kind: u8, body: &[u8]) -> Result<(), Cause> {
        match (edition, kind, body) {
            (Edition::Tls13, NEW_SESSION_TICKET, ticket) => self.keep_ticket(ticket).map_err(failed),
            // A client may pass over it (RFC 5246 §7.4.1.1).
            (Edition::Tls12, HELLO_REQUEST, []) => Ok(()),
            _ => Err(UNEXPECTED),
        }
    }
}

/// The connection state of rustls, which derives keys. A server takes no other message from its client.
pub(super) struct ServerKernel(KernelConnection<ServerConnectionData>);

impl ServerKernel {
    /// The state after a handshake with a client.
    pub(super) const fn new(connection: KernelConnection<ServerConnectionData>) -> Self {
        Self(connection)
    }
}

impl PostHandshake for ServerKernel {
    fn renew_ours(&mut self) -> Result<Half, Cause> {
        half_of(Edition::Tls13, self.0.update_tx_secret().map_err(failed)?)
    }

    fn renew_theirs(&mut self) -> Result<Half, Cause> {
        half_of(Edition::Tls13, self.0.update_rx_secret().map_err(failed)?)
    }
}

/// One direction with the secrets that rustls gives out.
pub(super) fn half_of(edition: Edition, (sequence, secrets): (u64, ConnectionTrafficSecrets)) -> Result<Half, Cause> {
    Half::new(edition, sequence, &secrets)
}
