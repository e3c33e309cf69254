//! SOCKS4 and 4a: `04 01 port ip user 00 [name 00]`, answered by `00 5A…` or `00 5B…`.

use std::{io, net::Ipv4Addr};

use hezar_core::{Host, Target};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{Accepted, ServerPolicy, Wire, open, read_zero_ended};
use crate::targets::ConnectReply;

const GRANTED: u8 = 0x5a;
const REJECTED: u8 = 0x5b;
const WRONG_USER: u8 = 0x5d;

/// `names` says whether it speaks 4a; without that 0.0.0.x is an address like any other.
pub(super) async fn accept(mut wire: Wire, policy: &ServerPolicy<'_>, names: bool) -> Accepted {
    let (version, command) = (wire.read_u8().await?, wire.read_u8().await?);
    let port = wire.read_u16().await?;
    let address = Ipv4Addr::from(wire.read_u32().await?);
    if (version, command) != (4, 1) {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let user = read_zero_ended(&mut wire).await?;
    // 0.0.0.x with x > 0 says that a name follows.
    let target = if names && address.octets()[..3] == [0; 3] && address.octets()[3] != 0 {
        let name = read_zero_ended(&mut wire).await?;
        Host::new(&String::from_utf8_lossy(&name)).ok()
    } else {
        Some(Host::Ip(address.into()))
    };
    let target = target.and_then(|host| Target::new(host, port).ok());
    let reply = target.map_or(ConnectReply::Forbidden, |target| policy.reply(&target));
    let code = if policy.refuse || user != policy.credential.user.as_bytes() {
        WRONG_USER
    } else if reply.service().is_some() {
        GRANTED
    } else {
        REJECTED
    };
    wire.write_all(&[0, code, 0, 0, 0, 0, 0, 0]).await?;
    if code != GRANTED {
        wire.shutdown().await?;
        return Ok(None);
    }
    Ok(open(wire, reply))
}
