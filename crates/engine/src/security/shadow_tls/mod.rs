//! ShadowTLS version 3: a TLS 1.3 handshake with somebody else's site, in which the server shows that it knows the
//! password, and then frames that look like that session's records.
//! Specification: docs/protocol-v3-en.md of shadow-tls.
//!
//! The client authenticates in the session id of its hello. The server masks and marks what the site answers ([`unmasked`]).
//! Where no mark comes, only the site has answered. It is visited as a browser would do it, and the connection fails.
//!
//! ```text
//! session id: | random 28 | the first bytes of HMAC-SHA1(password, the hello with zeroes here) 4 |
//! ```

mod frames;
#[cfg(test)]
mod tests;
mod unmasked;

use std::sync::Arc;

use hezar_core::{Host, Secret, Stage, Tls};
use rand::Rng as _;
use rustls::client::danger::ServerCertVerifier;

use self::{
    frames::{MARK, Marks},
    unmasked::Unmasked,
};
use super::{
    TlsClients,
    client_hello::{Agree, Browser, OwnHello, SESSION_ID},
    decoy,
    tls::name,
};
use crate::{Attempt, BoxStream, Cause, DialError, io::codec_stream::CodecStream};

/// The ShadowTLS settings of one node.
#[derive(Debug)]
pub(crate) struct ShadowTlsClient {
    browser: Browser,
    password: Secret,
    verifier: Arc<dyn ServerCertVerifier>,
}

impl ShadowTlsClient {
    /// The client for a site that is met as `tls` says.
    pub(crate) fn new(tls: &Tls, password: Secret, server: &Host, clients: &TlsClients) -> Self {
        let name = name::server_name(tls.server_name.as_deref(), server);
        let browser = Browser::new(name, tls.fingerprint, &tls.alpn, clients.own_hello_rule());
        Self { browser, password, verifier: clients.verifier(tls) }
    }

    /// When its hello is rustls' own.
    pub(super) const fn own_hello(&self) -> &OwnHello {
        &self.browser.own_hello
    }

    /// Runs the handshake. The stream that comes back leads to a server that knows the password and to nobody else.
    ///
    /// # Errors
    /// [`DialError`] at the security stage: [`Cause::Authentication`] when only the site answered, [`Cause::Hello`] when
    /// another try has another hello.
    pub(crate) async fn wrap(&self, stream: BoxStream, attempt: &Attempt) -> Result<BoxStream, DialError> {
        attempt.stage(Stage::Security, self.handshake(stream)).await
    }

    async fn handshake(&self, stream: BoxStream) -> Result<BoxStream, Cause> {
        let seal = |_: &dyn Agree, _: &[u8; 32], message: &[u8]| Ok(session_id(&self.password, message));
        let hello = self.browser.hello(Arc::clone(&self.verifier), &seal)?;
        let stream = Unmasked::new(stream, self.password.clone());
        let met = self.browser.connect(hello, stream).await?;
        if !met.stream.proven() {
            let modern = met.records().is_tls13();
            decoy::visit(met.boxed().secured(), &self.browser.name().to_str(), "/");
            // Before TLS 1.3 there is nothing to mark.
            let old = || Cause::Tls("the site has no TLS 1.3, so that the server cannot show itself".into());
            return Err(if modern { Cause::Authentication } else { old() });
        }
        let (stream, frames) = met.stream.finish().ok_or(Cause::Authentication)?;
        Ok(Box::new(CodecStream::new(Box::new(stream), frames)))
    }
}

/// The session id of a hello whose session id is all zeroes.
fn session_id(password: &Secret, hello: &[u8]) -> [u8; 32] {
    let mut id = [0; 32];
    let (random, proof) = id.split_at_mut(SESSION_ID.len() - MARK);
    rand::rng().fill_bytes(random);
    let (before, after) = (hello.get(..SESSION_ID.start), hello.get(SESSION_ID.end..));
    let parts = [before.unwrap_or_default(), random, &[0; MARK]];
    proof.copy_from_slice(&Marks::new(password, &parts).mark(after.unwrap_or_default()));
    id
}

/// Reads what a server sends during the handshake and after it, for the fuzz targets; the first comes in pieces of this
/// size. Returns what the site would have said.
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) fn decode(data: &[u8], piece: usize) -> Vec<u8> {
    use self::{frames::Frames, unmasked::Unmask};

    let password = Secret::new("password");
    let mut unmask = Unmask::new(password.clone());
    let mut said = Vec::new();
    for piece in data.chunks(piece.max(1)) {
        unmask.buffer().extend_from_slice(piece);
        while let Some(record) = unmask.next() {
            said.extend_from_slice(&record);
        }
    }
    let random = [7; 32];
    crate::io::codec_stream::open_all(
        &mut Frames::new(&password, &random, Marks::new(&password, &[&random])),
        data.to_vec(),
    );
    said
}
