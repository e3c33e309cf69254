//! VLESS without TLS: `00 id addons 01 port type address`, answered by `00 00`.

use std::{
    io,
    net::{Ipv4Addr, Ipv6Addr},
};

use shadowsocks::relay::socks5::Address;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{Accepted, ServerPolicy, Wire, open, swallow};

pub(super) async fn accept(mut wire: Wire, policy: &ServerPolicy<'_>) -> Accepted {
    let version = wire.read_u8().await?;
    let mut id = [0; 16];
    wire.read_exact(&mut id).await?;
    if version != 0 || policy.refuse || &id != policy.credential.id.as_bytes() {
        swallow(&mut wire).await?;
        return Ok(None);
    }
    let mut addons = vec![0; usize::from(wire.read_u8().await?)];
    wire.read_exact(&mut addons).await?;
    if wire.read_u8().await? != 1 {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let port = wire.read_u16().await?;
    let target = match wire.read_u8().await? {
        1 => Address::SocketAddress((Ipv4Addr::from(wire.read_u32().await?), port).into()),
        2 => {
            let mut name = vec![0; usize::from(wire.read_u8().await?)];
            wire.read_exact(&mut name).await?;
            Address::DomainNameAddress(String::from_utf8_lossy(&name).into_owned(), port)
        }
        3 => Address::SocketAddress((Ipv6Addr::from(wire.read_u128().await?), port).into()),
        _ => return Err(io::ErrorKind::InvalidData.into()),
    };
    let reply = policy.reply(&target);
    if reply.service().is_some() {
        wire.write_all(&[0, 0]).await?;
    }
    Ok(open(wire, reply))
}
