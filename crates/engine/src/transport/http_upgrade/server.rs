//! The server's side of HTTPUpgrade: bytes as they are follow the answer.

use http::{Request, header};

use crate::transport::{ServerPath, UpgradeServer, upgrade::Acceptance};

/// Serves clients at a path.
pub(crate) fn server(path: ServerPath) -> UpgradeServer {
    UpgradeServer::new(path, accept)
}

/// Accepts what asks for a WebSocket without being able to speak it.
fn accept(path: &ServerPath, request: &Request<()>) -> Option<Acceptance> {
    let rest = path.asks_upgrade(request)?;
    let is_websocket = request.headers().contains_key(header::SEC_WEBSOCKET_KEY);
    (rest.is_empty() && !is_websocket).then(|| Acceptance::new(|stream| stream))
}
