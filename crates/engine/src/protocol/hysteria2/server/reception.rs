//! HTTP/3 with whoever has connected: web requests are answered, and one of them may authenticate a client.

use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt, stream::FuturesUnordered};
use h3::server::RequestResolver;
use quinn::{Connection, VarInt};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until, timeout};

use super::{Http3, Shared, web};
use crate::{
    protocol::hysteria2::wire,
    quic::Promise,
    served::{CredentialId, Keyring},
};

/// A connection without a request is closed after this.
const IDLE: Duration = Duration::from_secs(30);
/// How long the head of a request may take.
const HEAD: Duration = Duration::from_secs(10);
/// The most requests of one connection at a time.
const MOST_REQUESTS: usize = 16;
/// How often it is looked at how much a stranger has sent.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// The most that a stranger may send over one connection, in bytes. HTTP/3 keeps a frame until it is whole, whatever length it names.
const MOST_RECEIVED: u64 = 4 << 20;
/// H3_EXCESSIVE_LOAD (RFC 9114 §8.1).
const EXCESSIVE_LOAD: u32 = 0x107;

/// Receives one connection.
pub(super) struct Reception<'a> {
    pub(super) shared: &'a Shared,
    pub(super) keyring: &'a Keyring,
    /// Gets the rate at which the client is sent, if it names one.
    pub(super) promise: &'a Promise,
}

impl Reception<'_> {
    /// Answers requests until one shows a credential, and says whose it is; `None` when the connection is over.
    pub(super) async fn receive(&self, connection: &Connection, http3: &mut Http3) -> Option<CredentialId> {
        let mut exchanges = FuturesUnordered::new();
        let mut idle_until = Instant::now() + IDLE;
        let mut looks = interval(LOOK_EVERY);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                accepted = http3.accept(), if exchanges.len() < MOST_REQUESTS => match accepted {
                    Ok(Some(request)) => exchanges.push(self.serve(request)),
                    Ok(None) | Err(_) => return None,
                },
                Some(credential) = exchanges.next() => {
                    if credential.is_some() {
                        return credential;
                    }
                    idle_until = Instant::now() + IDLE;
                }
                // Only clients have a use for datagrams.
                datagram = connection.read_datagram() => drop(datagram.ok()?),
                _ = looks.tick() => {
                    if connection.stats().udp_rx.bytes > MOST_RECEIVED {
                        connection.close(VarInt::from_u32(EXCESSIVE_LOAD), b"");
                        return None;
                    }
                }
                () = sleep_until(idle_until), if exchanges.is_empty() => return None,
            }
        }
    }

    /// Serves one request; gives the credential that it has shown. A wrong one is answered as any other request.
    async fn serve(&self, request: RequestResolver<h3_quinn::Connection, Bytes>) -> Option<CredentialId> {
        let (request, mut stream) = timeout(HEAD, request.resolve_request()).await.ok()?.ok()?;
        let known =
            wire::read_auth(&request).and_then(|auth| Some((self.keyring.find(auth.credential)?, auth.receives)));
        let Some((credential, receives)) = known else {
            web::answer(&*self.shared.web, request, stream).await;
            return None;
        };
        let settings = &self.shared.settings;
        if let Some(rate) = wire::server_rate(settings.sends, receives) {
            self.promise.settle(rate);
        }
        let answer = wire::accepted_answer(settings.receives, &mut rand::rng()).ok()?;
        stream.send_response(answer).await.ok()?;
        stream.finish().await.ok()?;
        Some(credential)
    }
}
