//! Feeds the server side of the inbounds with a client's bytes. In whatever pieces they come, the same must come of them.

use std::sync::Arc;

use hezar_engine::{
    BoxDatagram,
    server::{
        CredentialId, CurrentKeyring, InboundKey, InboundRequest, InboundServer, InboundSettings, Keyring, KeyringKind,
        Opening, ServerPath, ServerProtocol, ServerSecurity, ServerTransport, StrangerReason,
    },
};
use tokio::io::{AsyncRead, AsyncReadExt};

use crate::outbound::{Scripted, block_on};

/// A request for a WebSocket at the path of [`path`].
const WEBSOCKET: &[u8] = b"GET /p HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";

/// What came of a connection.
#[derive(Debug, Default, PartialEq)]
enum Came {
    /// A stream to this target, and its payload.
    Stream(String, Vec<u8>),
    /// Datagrams, each with its target.
    Datagrams(Vec<(Vec<u8>, String)>),
    /// Somebody else's bytes.
    Stranger(StrangerReason, Vec<u8>),
    /// Nothing to read.
    #[default]
    Nothing,
}

/// A request of VLESS from the user with the id 0, and payload with Vision. The first byte is the size of the pieces.
pub(crate) fn vless(data: &[u8]) {
    same_in_pieces(ServerTransport::Tcp, &[], data);
    hezar_engine::fuzzing::server_vision(data);
}

/// Frames of a WebSocket with VLESS in them. The first byte is the size of the pieces.
pub(crate) fn websocket(data: &[u8]) {
    same_in_pieces(ServerTransport::WebSocket(path()), WEBSOCKET, data);
}

/// A request of HTTP/1.1 that may be one for a WebSocket or for an upgrade. The first byte is the size of the pieces.
pub(crate) fn http(data: &[u8]) {
    same_in_pieces(ServerTransport::WebSocket(path()), &[], data);
    same_in_pieces(ServerTransport::HttpUpgrade(path()), &[], data);
}

fn path() -> ServerPath {
    ServerPath::new("/p", None)
}

/// A server of VLESS over this transport, whose only user has the id 0.
pub(crate) fn server(transport: ServerTransport) -> (InboundServer, CurrentKeyring) {
    let settings = InboundSettings { protocol: ServerProtocol::Vless, transport, security: ServerSecurity::None };
    let keyring = Keyring::new(KeyringKind::Vless, [(CredentialId(0), InboundKey::new([0; 16]))]);
    (InboundServer::new(settings), keyring.into())
}

/// Serves the bytes behind the first one, with others in front of them, whole and in pieces.
fn same_in_pieces(transport: ServerTransport, front: &[u8], data: &[u8]) {
    let [piece, bytes @ ..] = data else { return };
    let (server, keyring) = server(transport);
    let bytes: Arc<[u8]> = [front, bytes].concat().into();
    let serve = |piece| {
        let mut came = Came::Nothing;
        block_on(async { came = serve(&server, &keyring, &Scripted { bytes: Arc::clone(&bytes), piece }).await });
        came
    };
    assert_eq!(serve(usize::from(*piece) + 1), serve(usize::MAX), "it depends on the pieces");
}

async fn serve(server: &InboundServer, keyring: &CurrentKeyring, client: &Scripted) -> Came {
    match server.accept(client.stream(), keyring).await {
        Ok(Opening::Request(InboundRequest::Stream(mut request))) => {
            request.stream.grant();
            Came::Stream(request.target.to_string(), read(&mut request.stream).await)
        }
        Ok(Opening::Request(InboundRequest::Datagrams(request))) => Came::Datagrams(receive(&request.datagram).await),
        Ok(Opening::Stranger(mut stranger)) => Came::Stranger(stranger.why, read(&mut stranger.stream).await),
        Ok(Opening::Session(_) | Opening::Relay(_) | Opening::Done) | Err(_) => Came::Nothing,
    }
}

/// Everything up to the end or an error.
pub(crate) async fn read(stream: &mut (impl AsyncRead + Unpin)) -> Vec<u8> {
    let mut bytes = Vec::new();
    while matches!(stream.read_buf(&mut bytes).await, Ok(1..)) {}
    bytes
}

/// Every datagram up to the end or an error.
pub(crate) async fn receive(datagram: &BoxDatagram) -> Vec<(Vec<u8>, String)> {
    let (mut all, mut buffer) = (Vec::new(), vec![0; 65_535]);
    while let Ok((length, target)) = datagram.recv_from(&mut buffer).await {
        all.push((buffer.get(..length).unwrap_or_default().to_vec(), target.to_string()));
    }
    all
}
