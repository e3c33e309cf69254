//! Test doubles: streams cut into random pieces, dialers that hand them out, TLS servers with certificates of their own.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use async_trait::async_trait;
use hezar_core::{Carrier, Reality, ShortId, Stage, Target};
use parking_lot::Mutex;
use rand::{RngExt, SeedableRng, rngs::SmallRng};
use rustls_pki_types::CertificateDer;
use tokio::{
    io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf, duplex},
    sync::mpsc,
};
use tokio_rustls::TlsAcceptor;

use crate::{
    Attempt, BoxDatagram, BoxStream, Cause, Datagram, DialError, Dialer, Stream, TlsClients, io::copy::copy_packet,
    transport::TransportConnector,
};

/// A stream that reads and writes 1 to `most` bytes at a time, and now and then is not ready at first.
#[derive(Debug)]
pub(crate) struct Chopped<S> {
    inner: S,
    random: SmallRng,
    most: usize,
}

impl<S> Chopped<S> {
    /// Cuts `inner` by a seed, so that a failure can be repeated.
    pub(crate) fn new(inner: S, seed: u64, most: usize) -> Self {
        Self { inner, random: SmallRng::seed_from_u64(seed), most: most.max(1) }
    }

    fn pause(&mut self, cx: &Context<'_>) -> bool {
        let pause = self.random.random_range(0..8) == 0;
        if pause {
            cx.waker().wake_by_ref();
        }
        pause
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Chopped<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.pause(cx) {
            return Poll::Pending;
        }
        let most = self.most;
        let length = self.random.random_range(1..=most).min(buf.remaining());
        let mut piece = vec![0; length];
        let mut piece = ReadBuf::new(&mut piece);
        let result = Pin::new(&mut self.inner).poll_read(cx, &mut piece);
        buf.put_slice(piece.filled());
        result
    }
}

impl<S: Stream> Stream for Chopped<S> {}

impl<S: AsyncWrite + Unpin> AsyncWrite for Chopped<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        if self.pause(cx) {
            return Poll::Pending;
        }
        let most = self.most;
        let length = self.random.random_range(1..=most).min(buf.len());
        Pin::new(&mut self.inner).poll_write(cx, &buf[..length])
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

/// A connected pair: our end is cut into pieces of at most `most` bytes, the peer's end is whole.
pub(crate) fn chopped_pair(seed: u64, most: usize) -> (BoxStream, DuplexStream) {
    let (ours, theirs) = duplex(64 * 1024);
    (Box::new(Chopped::new(ours, seed, most)), theirs)
}

/// A dialer that hands out one prepared stream and remembers what it was asked for.
pub(crate) struct Once {
    stream: Mutex<Option<BoxStream>>,
    datagram: Mutex<Option<BoxDatagram>>,
    /// The target of the one call.
    pub(crate) asked: Mutex<Option<Target>>,
}

impl Once {
    /// Hands out `stream` to the first caller; later callers are refused.
    pub(crate) fn new(stream: BoxStream) -> Self {
        Self { stream: Mutex::new(Some(stream)), datagram: Mutex::new(None), asked: Mutex::new(None) }
    }
}

impl std::fmt::Debug for Once {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Once")
    }
}

#[async_trait]
impl Dialer for Once {
    async fn connect(&self, target: &Target, _: &Attempt) -> Result<BoxStream, DialError> {
        *self.asked.lock() = Some(target.clone());
        self.stream.lock().take().ok_or_else(|| DialError::new(Stage::Connect, Cause::Refused))
    }

    async fn associate(&self, _: &Attempt) -> Result<BoxDatagram, DialError> {
        self.datagram.lock().take().ok_or_else(|| DialError::new(Stage::Connect, Cause::Refused))
    }
}

/// A datagram and the other end's address.
pub(crate) type Flying = (Vec<u8>, Target);

/// The near end of a path of datagrams in memory.
struct Path {
    up: mpsc::Sender<Flying>,
    down: Mutex<mpsc::Receiver<Flying>>,
}

impl Datagram for Path {
    fn poll_send_to(&self, _: &mut Context<'_>, payload: &[u8], target: &Target) -> Poll<io::Result<()>> {
        Poll::Ready(self.up.try_send((payload.to_vec(), target.clone())).map_err(|_| io::ErrorKind::BrokenPipe.into()))
    }

    fn poll_recv_from(&self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<(usize, Target)>> {
        let (payload, from) = ready!(self.down.lock().poll_recv(cx)).ok_or(Cause::Closed)?;
        Poll::Ready(Ok((copy_packet(&payload, buffer), from)))
    }
}

/// The far end: what was sent to it, and what it sends.
pub(crate) struct Far {
    pub(crate) heard: mpsc::Receiver<Flying>,
    pub(crate) says: mpsc::Sender<Flying>,
}

/// A connector whose one stream and one path of datagrams lead to the peer, which is `192.0.2.1:443`.
pub(crate) fn datagram_connector(seed: u64, most: usize) -> (TransportConnector, DuplexStream, Far) {
    let (ours, theirs) = chopped_pair(seed, most);
    let ((up, heard), (says, down)) = (mpsc::channel(1000), mpsc::channel(1000));
    let once = Once::new(ours);
    *once.datagram.lock() = Some(Box::new(Path { up, down: down.into() }));
    (plain_connector(once), theirs, Far { heard, says })
}

/// One datagram and who sent it.
pub(crate) async fn heard(association: &dyn Datagram) -> io::Result<Flying> {
    let mut buffer = vec![0; 70_000];
    let (length, from) = association.recv_from(&mut buffer).await?;
    buffer.truncate(length);
    Ok((buffer, from))
}

/// A connector without security and transport, whose one stream is the first end of a pair; the other end is the peer.
pub(crate) fn connector_pair(seed: u64, most: usize) -> (TransportConnector, DuplexStream) {
    let (ours, theirs) = chopped_pair(seed, most);
    (plain_connector(Once::new(ours)), theirs)
}

fn plain_connector(once: Once) -> TransportConnector {
    let server = Target::parse("192.0.2.1:443").unwrap();
    TransportConnector::new(&server, &Carrier::plain(), Arc::new(once), &TlsClients::new(&[]).into()).unwrap()
}

/// Settings of REALITY that no server has.
pub(crate) fn reality() -> Reality {
    Reality {
        server_name: None,
        public_key: [1; 32],
        short_id: ShortId::default(),
        spider_x: None,
        mldsa65_verify: None,
        fingerprint: None,
        own_hello: false,
        alpn: Vec::new(),
    }
}

/// A certificate authority and what it signs.
pub(crate) struct Authority {
    /// The authority's own certificate.
    pub(crate) root: CertificateDer<'static>,
    issuer: rcgen::Issuer<'static, rcgen::KeyPair>,
}

impl Authority {
    /// A new one with its own key.
    pub(crate) fn new() -> Self {
        let mut params = rcgen::CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let key = rcgen::KeyPair::generate().unwrap();
        let root = params.self_signed(&key).unwrap().der().clone();
        Self { root, issuer: rcgen::Issuer::new(params, key) }
    }

    /// A server with a certificate for `names`, offering the ALPN protocols. Returns the certificate beside it.
    pub(crate) fn server(&self, names: &[&str], alpn: &[&str]) -> (TlsAcceptor, CertificateDer<'static>) {
        self.server_of(names, alpn, rustls::crypto::aws_lc_rs::default_provider(), rustls::ALL_VERSIONS)
    }

    /// The same with a provider and versions of its own; the key is one of RSA where all suites ask for that.
    pub(crate) fn server_of(
        &self,
        names: &[&str],
        alpn: &[&str],
        provider: rustls::crypto::CryptoProvider,
        versions: &[&'static rustls::SupportedProtocolVersion],
    ) -> (TlsAcceptor, CertificateDer<'static>) {
        let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
        let rsa = provider.cipher_suites.iter().all(|suite| format!("{:?}", suite.suite()).contains("_RSA_"));
        let kind = if rsa { &rcgen::PKCS_RSA_SHA256 } else { &rcgen::PKCS_ECDSA_P256_SHA256 };
        let key = rcgen::KeyPair::generate_for(kind).unwrap();
        let leaf = rcgen::CertificateParams::new(names).unwrap().signed_by(&key, &self.issuer).unwrap().der().clone();
        let mut config = rustls::ServerConfig::builder_with_provider(provider.into())
            .with_protocol_versions(versions)
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![leaf.clone(), self.root.clone()], key.into())
            .unwrap();
        config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
        (TlsAcceptor::from(Arc::new(config)), leaf)
    }
}

/// A dialer that makes a new pair for each call; the peers' ends come out of the receiver.
pub(crate) struct Many {
    peers: mpsc::UnboundedSender<DuplexStream>,
    seed: u64,
    most: usize,
}

impl Many {
    /// Our ends are cut by the seed, as those of [`chopped_pair`].
    pub(crate) fn new(seed: u64, most: usize) -> (Self, mpsc::UnboundedReceiver<DuplexStream>) {
        let (peers, receiver) = mpsc::unbounded_channel();
        (Self { peers, seed, most }, receiver)
    }
}

impl std::fmt::Debug for Many {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Many")
    }
}

#[async_trait]
impl Dialer for Many {
    async fn connect(&self, _: &Target, _: &Attempt) -> Result<BoxStream, DialError> {
        let (ours, theirs) = chopped_pair(self.seed, self.most);
        self.peers.send(theirs).map_err(|_| DialError::new(Stage::Connect, Cause::Refused))?;
        Ok(ours)
    }
}

/// Waits for something that another task brings about.
pub(crate) async fn until(what: impl Fn() -> bool) {
    let waiting = async {
        while !what() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), waiting).await.unwrap();
}
