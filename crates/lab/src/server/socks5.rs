//! SOCKS5 (RFC 1928) with and without a password (RFC 1929).

use std::io;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{Accepted, ServerPolicy, Wire, open, read_address};
use crate::targets::{ConnectReply, Service};

const NO_METHOD: u8 = 0xff;

pub(super) async fn accept(mut wire: Wire, policy: &ServerPolicy<'_>, password: bool) -> Accepted {
    if !greet(&mut wire, policy, password).await? {
        wire.shutdown().await?;
        return Ok(None);
    }
    let mut head = [0; 3];
    wire.read_exact(&mut head).await?;
    let target = read_address(&mut wire).await?;
    if head[..2] == [5, 3] {
        // The address is the client's own and means nothing here; the answer names the socket.
        return Ok(Some((Box::new(wire), Service::Datagrams)));
    }
    let reply = target.map_or(ConnectReply::Forbidden, |target| policy.reply(&target));
    let code = match (head, reply) {
        ([5, 1, _], ConnectReply::Open(_)) => 0,
        ([5, 1, _], ConnectReply::Forbidden) => 2,
        ([5, 1, _], ConnectReply::TargetUnknown) => 4,
        ([5, 1, _], ConnectReply::TargetRefused) => 5,
        _ => 7,
    };
    wire.write_all(&[5, code, 0, 1, 0, 0, 0, 0, 0, 0]).await?;
    if code != 0 {
        wire.shutdown().await?;
        return Ok(None);
    }
    Ok(open(wire, reply))
}

/// The choice of a method and the check of the password.
async fn greet(wire: &mut Wire, policy: &ServerPolicy<'_>, password: bool) -> io::Result<bool> {
    if wire.read_u8().await? != 5 {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut methods = vec![0; usize::from(wire.read_u8().await?)];
    wire.read_exact(&mut methods).await?;
    // A server without users that is told to refuse asks for a password that nobody has.
    let method = if password || policy.refuse { 2 } else { 0 };
    if !methods.contains(&method) {
        wire.write_all(&[5, NO_METHOD]).await?;
        return Ok(false);
    }
    wire.write_all(&[5, method]).await?;
    if method == 0 {
        return Ok(true);
    }
    if wire.read_u8().await? != 1 {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let user = short(wire).await?;
    let secret = short(wire).await?;
    let known = user == policy.credential.user.as_bytes() && secret == policy.credential.password.as_bytes();
    let right = known && !policy.refuse;
    wire.write_all(&[1, u8::from(!right)]).await?;
    Ok(right)
}

async fn short(wire: &mut Wire) -> io::Result<Vec<u8>> {
    let mut text = vec![0; usize::from(wire.read_u8().await?)];
    wire.read_exact(&mut text).await?;
    Ok(text)
}
