//! Shadowsocks, AEAD (SIP004) and 2022 (SIP022).

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
};

use shadowsocks::{config::ServerConfig, crypto::CipherKind, relay::tcprelay::ProxyServerStream};

use super::{Accepted, ServerPolicy, Wire, swallow};
use crate::{Kind, write_buffered::WriteBuffered};

pub(super) async fn accept(mut wire: Wire, policy: &ServerPolicy<'_>, kind: Kind) -> Accepted {
    if policy.refuse {
        swallow(&mut wire).await?;
        return Ok(None);
    }
    let method: CipherKind =
        kind.method().unwrap_or_default().parse().map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?;
    // The crate derives the key from the password only inside a whole server configuration.
    let server =
        ServerConfig::new(SocketAddr::from((Ipv4Addr::LOCALHOST, 1)), policy.credential.password.as_str(), method)
            .map_err(io::Error::other)?;
    let mut stream = ProxyServerStream::from_stream(policy.salts.clone(), wire, method, server.key());
    let target = stream.handshake().await?;
    let stream = WriteBuffered::new(stream);
    // Shadowsocks cannot say no: the connection ends.
    Ok(policy.reply(&target).service().map(|service| (Box::new(stream) as Box<dyn super::Tunnel>, service)))
}
