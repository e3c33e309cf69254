//! The target behind the servers, in the load generator's own process: an echo, bytes down, bytes up, a 204.

use std::{io, net::SocketAddr};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
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

/// Starts it; it runs as long as the runtime.
///
/// # Errors
/// When there is no port.
pub async fn start() -> io::Result<SocketAddr> {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None)?;
    socket.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into())?;
    socket.listen(4096)?;
    socket.set_nonblocking(true)?;
    let listener = TcpListener::from_std(socket.into())?;
    let address = listener.local_addr()?;
    tokio::spawn(async move {
        loop {
            if let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream));
            }
        }
    });
    Ok(address)
}

async fn serve(mut stream: TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
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
        }
        _ => {}
    }
    // The client hangs up.
    stream.read(&mut request).await.map(drop)
}

/// The answer to a probe.
async fn no_content(mut stream: TcpStream) -> io::Result<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") && head.len() < 8192 {
        head.push(stream.read_u8().await?);
    }
    stream.write_all(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n").await?;
    stream.shutdown().await
}
