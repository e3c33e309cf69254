//! The target behind the servers, in the load generator's own process: an echo, bytes down, bytes up, a 204.

use std::{io, net::SocketAddr, sync::Arc};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpListener,
};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{ServerConfig, crypto::aws_lc_rs, pki_types::PrivatePkcs8KeyDer, version::TLS13},
};

/// The length of a request and of an echo: what some servers wait for before they send anything on.
pub const REQUEST: usize = 64;
const CHUNK: usize = 256 * 1024;

/// What a tunnel is used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    /// Every [`REQUEST`] bytes come back, beginning with the request itself.
    Echo,
    /// So many bytes come.
    Down(u64),
    /// So many bytes go; one comes back in the end.
    Up(u64),
}

impl Verb {
    /// On the wire.
    #[must_use]
    pub fn request(self) -> [u8; REQUEST] {
        let (verb, length) = match self {
            Self::Echo => (b'e', 0),
            Self::Down(length) => (b'd', length),
            Self::Up(length) => (b'u', length),
        };
        let mut request = [b'.'; REQUEST];
        request[0] = verb;
        request[1..9].copy_from_slice(&length.to_be_bytes());
        request
    }
}

/// Where it listens.
#[derive(Clone, Debug)]
pub struct Site {
    /// In clear.
    pub clear: SocketAddr,
    /// In TLS 1.3.
    pub tls: SocketAddr,
    /// The certificate of the latter, DER.
    pub certificate: Vec<u8>,
}

/// Starts it under a name; it runs as long as the runtime.
///
/// # Errors
/// When there is no port or no certificate.
pub fn start(name: &str) -> anyhow::Result<Site> {
    let (acceptor, certificate) = acceptor(name)?;
    let (clear, tls) = (listen()?, listen()?);
    let site = Site { clear: clear.local_addr()?, tls: tls.local_addr()?, certificate };
    tokio::spawn(async move {
        while let Ok((stream, _)) = clear.accept().await {
            let _ = stream.set_nodelay(true);
            tokio::spawn(serve(stream));
        }
    });
    tokio::spawn(async move {
        while let Ok((stream, _)) = tls.accept().await {
            let _ = stream.set_nodelay(true);
            let acceptor = acceptor.clone();
            tokio::spawn(async move { serve(acceptor.accept(stream).await?).await });
        }
    });
    Ok(site)
}

fn acceptor(name: &str) -> anyhow::Result<(TlsAcceptor, Vec<u8>)> {
    let key = rcgen::KeyPair::generate()?;
    let certificate = rcgen::CertificateParams::new(vec![name.to_owned()])?.self_signed(&key)?;
    let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_protocol_versions(&[&TLS13])?
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], PrivatePkcs8KeyDer::from(key.serialize_der()).into())?;
    Ok((TlsAcceptor::from(Arc::new(config)), certificate.der().to_vec()))
}

fn listen() -> io::Result<TcpListener> {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None)?;
    socket.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into())?;
    socket.listen(4096)?;
    socket.set_nonblocking(true)?;
    TcpListener::from_std(socket.into())
}

async fn serve<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S) -> io::Result<()> {
    let mut request = [0; REQUEST];
    stream.read_exact(&mut request[..1]).await?;
    if request[0] == b'G' {
        return no_content(stream).await;
    }
    stream.read_exact(&mut request[1..]).await?;
    let length = u64::from_be_bytes(request[1..9].try_into().unwrap_or_default());
    match request[0] {
        b'e' => loop {
            stream.write_all(&request).await?;
            stream.flush().await?;
            stream.read_exact(&mut request).await?;
        },
        b'd' => {
            let chunk = vec![0x5a; CHUNK];
            let mut left = length;
            while left > 0 {
                let part = usize::try_from(left).unwrap_or(CHUNK).min(CHUNK);
                stream.write_all(&chunk[..part]).await?;
                left -= part as u64;
            }
            stream.flush().await?;
        }
        b'u' => {
            let mut chunk = vec![0; CHUNK];
            let mut left = length;
            while left > 0 {
                let read = stream.read(&mut chunk).await?;
                if read == 0 {
                    return Ok(());
                }
                left = left.saturating_sub(read as u64);
            }
            stream.write_all(b"!").await?;
            stream.flush().await?;
        }
        _ => {}
    }
    // The client hangs up.
    stream.read(&mut request).await.map(drop)
}

/// The answer to a probe.
async fn no_content<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S) -> io::Result<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") && head.len() < 8192 {
        head.push(stream.read_u8().await?);
    }
    stream.write_all(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n").await?;
    stream.shutdown().await
}
