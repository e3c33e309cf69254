//! The server side of each protocol: read the request, look the target up, answer in the protocol's own way.

mod datagrams;
mod half;
mod http;
mod socks4;
mod socks5;

use std::{
    io,
    net::{Ipv4Addr, Ipv6Addr},
};

use hezar_core::{Host, Target};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, BufReader, DuplexStream},
    net::TcpStream,
};
use tokio_util::either::Either;

use crate::{
    Kind,
    link::Credential,
    targets::{ConnectReply, Service},
};

pub(crate) use datagrams::associate;
pub(crate) use half::ServerHalf;

/// A client's connection: its socket, or the end of the way to it when the client is far.
pub(crate) type Connection = Either<TcpStream, DuplexStream>;

/// The same while its protocol is read.
pub(crate) type Wire = BufReader<Connection>;

/// What is left of it after the handshake.
pub(crate) trait Tunnel: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Tunnel for T {}

/// An open tunnel and what it leads to; nothing when the client was refused.
pub(crate) type Accepted = io::Result<Option<(Box<dyn Tunnel>, Service)>>;

/// What a server knows about its clients.
#[derive(Debug)]
pub(crate) struct ServerPolicy<'a> {
    /// The right credential.
    pub(crate) credential: &'a Credential,
    /// Whether even that one is refused.
    pub(crate) refuse: bool,
    /// Whether it says of every target that it refuses connections.
    pub(crate) deny: bool,
    /// What reads requests, for the kinds of which the program has a server half.
    pub(crate) half: Option<&'a ServerHalf>,
}

impl ServerPolicy<'_> {
    /// What a client is told that asks for this target.
    fn reply(&self, target: &Target) -> ConnectReply {
        if self.deny { ConnectReply::TargetRefused } else { ConnectReply::to_target(target) }
    }
}

/// The handshake of one connection.
pub(crate) async fn accept(kind: Kind, wire: Wire, policy: &ServerPolicy<'_>) -> Accepted {
    match kind {
        Kind::Socks4 => socks4::accept(wire, policy, false).await,
        Kind::Socks4a => socks4::accept(wire, policy, true).await,
        Kind::Socks5 => socks5::accept(wire, policy, false).await,
        Kind::Socks5Auth => socks5::accept(wire, policy, true).await,
        Kind::Http
        | Kind::HttpAuth
        | Kind::HttpTunnel443
        | Kind::HttpPlain
        | Kind::HttpAnonymous
        | Kind::HttpTransparent => http::accept(wire, policy, kind).await,
        Kind::ShadowsocksAes128 | Kind::ShadowsocksChacha20 | Kind::Shadowsocks2022 | Kind::Trojan | Kind::Vless => {
            half::accept(wire, policy).await
        }
    }
}

/// Protocols that cannot say no read on until the client gives up, so that nobody can tell them from a slow server.
async fn swallow(wire: &mut (impl AsyncRead + Unpin)) -> io::Result<()> {
    let mut buffer = [0; 1024];
    while wire.read(&mut buffer).await? > 0 {}
    Ok(())
}

/// Reads a SOCKS5 address (RFC 1928 §5); `None` for one that cannot be a target, such as port 0.
async fn read_address(wire: &mut (impl AsyncRead + Unpin)) -> io::Result<Option<Target>> {
    let host = match wire.read_u8().await? {
        1 => Some(Host::Ip(Ipv4Addr::from(wire.read_u32().await?).into())),
        3 => {
            let mut name = vec![0; usize::from(wire.read_u8().await?)];
            wire.read_exact(&mut name).await?;
            std::str::from_utf8(&name).ok().and_then(|name| Host::new(name).ok())
        }
        4 => Some(Host::Ip(Ipv6Addr::from(wire.read_u128().await?).into())),
        _ => return Err(io::ErrorKind::InvalidData.into()),
    };
    let port = wire.read_u16().await?;
    Ok(host.and_then(|host| Target::new(host, port).ok()))
}

/// Reads up to and without a zero byte, at most 255 bytes.
async fn read_zero_ended(wire: &mut Wire) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    loop {
        match wire.read_u8().await? {
            0 => return Ok(text),
            byte if text.len() < 255 => text.push(byte),
            _ => return Err(io::ErrorKind::InvalidData.into()),
        }
    }
}

/// Opens the tunnel on the wire itself.
fn open(wire: Wire, reply: ConnectReply) -> Option<(Box<dyn Tunnel>, Service)> {
    reply.service().map(|service| (Box::new(wire) as Box<dyn Tunnel>, service))
}
