//! SOCKS5 (RFC 1928) with and without a password (RFC 1929).

use std::io;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{Accepted, Desk, Wire, open, read_address};
use crate::gate::{Service, Verdict};

const NO_METHOD: u8 = 0xff;

pub(super) async fn accept(mut wire: Wire, desk: &Desk<'_>, password: bool) -> Accepted {
    if !greet(&mut wire, desk, password).await? {
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
    let verdict = desk.verdict(&target);
    let reply = match (head, verdict) {
        ([5, 1, _], Verdict::Open(_)) => 0,
        ([5, 1, _], Verdict::Forbidden) => 2,
        ([5, 1, _], Verdict::TargetUnknown) => 4,
        ([5, 1, _], Verdict::TargetRefused) => 5,
        _ => 7,
    };
    wire.write_all(&[5, reply, 0, 1, 0, 0, 0, 0, 0, 0]).await?;
    if reply != 0 {
        wire.shutdown().await?;
        return Ok(None);
    }
    Ok(open(wire, verdict))
}

/// The choice of a method and the check of the password.
async fn greet(wire: &mut Wire, desk: &Desk<'_>, password: bool) -> io::Result<bool> {
    if wire.read_u8().await? != 5 {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut methods = vec![0; usize::from(wire.read_u8().await?)];
    wire.read_exact(&mut methods).await?;
    // A server without users that is told to refuse asks for a password that nobody has.
    let method = if password || desk.refuse { 2 } else { 0 };
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
    let known = user == desk.credential.user.as_bytes() && secret == desk.credential.password.as_bytes();
    let right = known && !desk.refuse;
    wire.write_all(&[1, u8::from(!right)]).await?;
    Ok(right)
}

async fn short(wire: &mut Wire) -> io::Result<Vec<u8>> {
    let mut text = vec![0; usize::from(wire.read_u8().await?)];
    wire.read_exact(&mut text).await?;
    Ok(text)
}
