//! VMess outbound with AEAD headers, whatever the `alterId` of the node is.
//!
//! An `alterId` above 0 once meant the old header with MD5. Servers recognise AEAD headers since v2ray 4.28.1 (2020) and accept
//! nothing else since 2022, whatever their configuration says, and Xray has no such setting any more. v2rayNG reads such links
//! the same way.

mod body;
mod datagram;
mod kdf;
mod stream;
mod wire;

#[cfg(test)]
mod peer;
#[cfg(test)]
mod tests;

use std::{
    fmt,
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use async_trait::async_trait;
use hezar_core::{PacketEncoding, Stage, Target, Vmess, VmessCipher};
use rand::{SeedableRng, rngs::StdRng};

use self::{
    body::BodyKind,
    stream::VmessCodec,
    wire::{Command, User},
};
use super::{packets::Packets, stream_per_target::PerTarget, xudp::Xudp};
use crate::{
    Attempt, BoxDatagram, BoxStream, BuildError, Cause, DialError, Dialer, io::codec_stream::CodecStream,
    transport::TransportConnector,
};

/// Builds the dialer; `connector` opens streams to the server.
///
/// # Errors
/// None; every setting can be dialled.
pub(crate) fn build(settings: &Vmess, connector: TransportConnector) -> Result<Arc<dyn Dialer>, BuildError> {
    let (user, kind) = (User::new(&settings.id), kind(settings.cipher));
    let packets = settings.packet_encoding;
    Ok(Arc::new(VmessDialer { user, kind, packets, connector: Arc::new(connector) }))
}

/// The body of a cipher setting. `auto` means AES where the processor has instructions for it, else ChaCha20, as in other
/// clients.
const fn kind(cipher: VmessCipher) -> BodyKind {
    match cipher {
        VmessCipher::Auto if cfg!(any(target_arch = "x86_64", target_arch = "aarch64", target_arch = "s390x")) => {
            BodyKind::Aes128Gcm
        }
        VmessCipher::Aes128Gcm => BodyKind::Aes128Gcm,
        VmessCipher::Auto | VmessCipher::Chacha20Poly1305 => BodyKind::Chacha20Poly1305,
        VmessCipher::None => BodyKind::Plain,
        VmessCipher::Zero => BodyKind::Raw,
    }
}

/// Dials targets through one VMess server.
struct VmessDialer {
    user: User,
    kind: BodyKind,
    packets: PacketEncoding,
    connector: Arc<TransportConnector>,
}

impl fmt::Debug for VmessDialer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VmessDialer")
            .field("kind", &self.kind)
            .field("connector", &self.connector)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl Dialer for VmessDialer {
    /// The server sends its header together with the first payload, so a wrong id shows at the first read.
    async fn connect(&self, target: &Target, attempt: &Attempt) -> Result<BoxStream, DialError> {
        let stream = self.connector.open(attempt).await?;
        let codec = codec(&self.user, self.kind, Command::Connect(target)).map_err(failed)?;
        Ok(Box::new(CodecStream::new(stream, codec.inside_tls(self.connector.is_secured()))))
    }

    async fn associate(&self, attempt: &Attempt) -> Result<BoxDatagram, DialError> {
        if self.packets == PacketEncoding::Xudp {
            let stream = self.connector.open(attempt).await?;
            let codec = codec(&self.user, self.kind, Command::Mux).map_err(failed)?;
            let codec = codec.inside_tls(self.connector.is_secured());
            return Ok(Box::new(Packets::new(Box::new(CodecStream::new(stream, codec)), Xudp::default())));
        }
        let connector = Arc::clone(&self.connector);
        let streams = datagram::Streams { user: self.user.clone(), kind: self.kind, encoding: self.packets, connector };
        Ok(Box::new(PerTarget::open(streams, attempt).await?))
    }
}

fn codec(user: &User, kind: BodyKind, command: Command<'_>) -> Result<VmessCodec, Cause> {
    // A clock that shows a time before 1970 counts as 0; the server refuses the request then.
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    VmessCodec::new(user, kind, command, now, StdRng::from_rng(&mut rand::rng()))
}

const fn failed(cause: Cause) -> DialError {
    DialError::new(Stage::Handshake, cause)
}
