//! The server's side of Shadowsocks: the editions of 2017 and 2022, over streams and over datagrams.
//!
//! A server must not be found by people who try it. So every opening that is no client's has the same end: nothing is
//! answered, and the caller reads on until its time is over. When that is does not depend on what was sent.

mod codec;
#[cfg(feature = "fuzzing")]
mod fuzzing;
mod opening;
mod salts;
mod tcp2017;
mod tcp2022;
mod udp;
mod udp2017;
mod udp2022;

#[cfg(test)]
mod tests;

use std::{fmt, io, sync::Arc};

use tokio::io::AsyncReadExt;

#[cfg(feature = "fuzzing")]
pub(crate) use self::fuzzing::{read_packets, read_streams};
pub use self::udp::ShadowsocksUdp;
use self::{
    codec::AnsweringCodec,
    opening::{Destination, Request, Step},
    salts::{Generation, ReplayFilter},
    tcp2017::Opening2017,
    tcp2022::{Opening2022, Rules2022},
};
use super::{
    aead2022::{KeyError, Keys, MAX_SKEW},
    unix_now,
    wire::{Aead, Method},
};
use crate::{
    BoxStream, BuildError, Prefixed,
    io::codec_stream::CodecStream,
    protocol::{packets, uot},
    served::{
        CredentialId, InboundRequest, Keyring, Opening, ServedStream, Stranger, StrangerReason, StreamRequest,
        read_head, said_nothing,
    },
};

/// How many bytes of a request are read at a time.
const PIECE: usize = 4096;
/// A request of 2022 is accepted for at most so long: as early and as late as clocks may differ. In seconds.
const ACCEPTED: u64 = 2 * MAX_SKEW;
/// How many requests of 2022 are known at once: some 40 MB.
const MOST_REQUESTS: usize = 1_000_000;
/// How many requests of 2017 a generation remembers; they have no time.
const GENERATION: usize = 100_000;

/// The server's side of one Shadowsocks listener. Clones share what was seen.
#[derive(Clone)]
pub struct ShadowsocksServer(Arc<Shared>);

struct Shared {
    edition: Edition,
    streams: ReplayFilter,
    packets: ReplayFilter,
    clock: fn() -> u64,
}

#[derive(Debug)]
enum Edition {
    Aead2017(Aead),
    Aead2022(Rules2022),
}

impl ShadowsocksServer {
    /// The most credentials of a method without identity headers: each of them is tried for every stranger.
    pub const MOST_TRIED: usize = 256;

    /// A server for a method by its standard name, such as `2022-blake3-aes-128-gcm` or `chacha20-ietf-poly1305`. `key` is
    /// the server's own key in base64 where the method has identity headers (2022 with AES); other methods ignore it.
    ///
    /// # Errors
    /// [`BuildError::Unsupported`] for methods that are not served, [`BuildError::Invalid`] for a key that does not fit.
    pub fn new(method: &str, key: &str) -> Result<Self, BuildError> {
        Self::with_clock(method, key, unix_now)
    }

    fn with_clock(method: &str, key: &str, clock: fn() -> u64) -> Result<Self, BuildError> {
        let edition = match Method::new(method) {
            Some(Method::Aead(cipher)) => Edition::Aead2017(cipher),
            Some(Method::Aead2022(cipher)) => {
                let server_key = match cipher {
                    Aead::Chacha20Poly1305 => None,
                    _ => Some(server_key(cipher, key)?),
                };
                Edition::Aead2022(Rules2022 { cipher, server_key, started: clock(), clock })
            }
            Some(Method::None) => return Err(BuildError::Unsupported("a Shadowsocks listener without encryption")),
            None => return Err(BuildError::Unsupported("this Shadowsocks method for a listener")),
        };
        let generation = match edition {
            Edition::Aead2017(_) => Generation::Salts(GENERATION),
            Edition::Aead2022(_) => Generation::Seconds { length: ACCEPTED, most: MOST_REQUESTS },
        };
        let (streams, packets) = (ReplayFilter::new(generation), ReplayFilter::new(Generation::Salts(GENERATION)));
        Ok(Self(Arc::new(Shared { edition, streams, packets, clock })))
    }

    /// Reads a client's request. The caller bounds the time, and shows strangers the same end as clients that it waits for
    /// in vain: silence until that time is over. The bytes of a stranger are used up, since no site stands behind this port.
    ///
    /// # Errors
    /// The connection failed, or ended before it said anything.
    pub async fn accept(&self, mut stream: BoxStream, keyring: &Keyring) -> io::Result<Opening> {
        let mut reader = self.reader();
        let mut received = Vec::new();
        let why = loop {
            match reader.step(self, keyring, &mut received) {
                Ok(Step::Open(request)) => return open(stream, *request, received).await,
                Ok(Step::Need(length)) => received.reserve(PIECE.max(length.saturating_sub(received.len()))),
                Err(why) => break why,
            }
            if stream.read_buf(&mut received).await? > 0 {
                continue;
            }
            if received.is_empty() {
                return Err(said_nothing());
            }
            break StrangerReason::TooShort;
        };
        Ok(Opening::Stranger(Stranger { stream, why }))
    }

    fn reader(&self) -> Reader {
        match self.0.edition {
            Edition::Aead2017(_) => Reader::Aead2017(Opening2017::default()),
            Edition::Aead2022(_) => Reader::Aead2022(Opening2022::default()),
        }
    }
}

/// The keys that are tried where nothing says whose it is.
fn tried(keyring: &Keyring) -> impl Iterator<Item = (CredentialId, &[u8])> {
    keyring.iter().take(ShadowsocksServer::MOST_TRIED)
}

/// Reads the opening of one stream.
enum Reader {
    Aead2017(Opening2017),
    Aead2022(Opening2022),
}

impl Reader {
    fn step(&mut self, server: &ShadowsocksServer, keyring: &Keyring, wire: &mut [u8]) -> Result<Step, StrangerReason> {
        let shared = &*server.0;
        match (self, &shared.edition) {
            (Self::Aead2017(opening), Edition::Aead2017(cipher)) => {
                opening.step(*cipher, &shared.streams, keyring, wire, (shared.clock)())
            }
            (Self::Aead2022(opening), Edition::Aead2022(rules)) => opening.step(rules, &shared.streams, keyring, wire),
            _ => Err(StrangerReason::Protocol),
        }
    }
}

/// The request, and its stream without the protocol.
async fn open(stream: BoxStream, request: Request, received: Vec<u8>) -> io::Result<Opening> {
    let Request { credential, destination, payload, used, theirs, head, ours } = request;
    let rest = received.get(used..).unwrap_or_default().to_vec();
    let stream = CodecStream::underway(stream, AnsweringCodec::new(head, ours, theirs), rest);
    let stream = Prefixed::new(payload.into(), stream);
    match destination {
        Destination::Stream(target) => {
            let stream = Box::new(stream);
            Ok(Opening::Request(InboundRequest::Stream(StreamRequest { credential, target, stream })))
        }
        Destination::Datagrams => open_datagrams(Box::new(stream), credential).await,
    }
}

/// Shadowsocks has no answer to a request.
impl ServedStream for Prefixed<CodecStream<AnsweringCodec>> {}

/// Reads the request for datagrams inside a stream.
async fn open_datagrams(stream: BoxStream, credential: CredentialId) -> io::Result<Opening> {
    let judge = |bytes: &[u8]| uot::take_request(bytes).map_err(|_| StrangerReason::Protocol);
    Ok(match read_head(stream, PIECE, judge).await? {
        Ok((codec, stream)) => Opening::Request(packets::request(credential, stream, codec)),
        Err(stranger) => Opening::Stranger(stranger),
    })
}

fn server_key(cipher: Aead, key: &str) -> Result<Box<[u8]>, BuildError> {
    match Keys::new(cipher, key) {
        Ok(Keys { chain, own, .. }) if chain.is_empty() => Ok(own),
        Ok(_) | Err(KeyError::Chain) => Err(BuildError::Invalid("a Shadowsocks listener has one key, not a chain")),
        Err(KeyError::Encoding) => Err(BuildError::Invalid("the key of a Shadowsocks listener is not base64")),
        Err(KeyError::Length) => {
            Err(BuildError::Invalid("the key of a Shadowsocks listener has not the length that its method needs"))
        }
    }
}

impl fmt::Debug for ShadowsocksServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, cipher) = match &self.0.edition {
            Edition::Aead2017(cipher) => ("2017", cipher),
            Edition::Aead2022(rules) => ("2022", &rules.cipher),
        };
        f.debug_struct("ShadowsocksServer").field("edition", &name).field("cipher", cipher).finish_non_exhaustive()
    }
}
