//! SOCKS4, SOCKS4a and SOCKS5: CONNECT, and in SOCKS5 UDP ASSOCIATE.

use std::{net::SocketAddr, sync::Arc};

use super::{
    ClientBuffer, Handover,
    connect::{ConnectedRequest, connect},
};
use crate::{
    Refusal,
    access::{Identity, Login},
    context::Context,
    telemetry::{AccessLogEntry, InboundKind},
};

pub(super) mod association;
#[cfg(test)]
mod tests;
mod udp_relay_socket;
mod wire;

use wire::SocksCommand;

/// Whether the bytes are a datagram that would be passed on.
#[cfg(feature = "fuzzing")]
pub(crate) fn reads_datagram(bytes: &[u8]) -> bool {
    wire::datagram(bytes).is_ok()
}

/// A request that was refused, and the bytes that say so.
struct Refused {
    refusal: Refusal,
    answer: Vec<u8>,
}

/// The version's way to answer.
#[derive(Clone, Copy)]
enum Version {
    Four,
    Five,
}

/// Serves a SOCKS5 client.
pub(super) async fn serve5(context: &Arc<Context>, mut buffer: ClientBuffer, client: SocketAddr) -> Option<Handover> {
    let asked = negotiate5(context, &mut buffer, client).await;
    serve(context, buffer, client, Version::Five, asked).await
}

/// Serves a SOCKS4 or SOCKS4a client.
pub(super) async fn serve4(context: &Arc<Context>, mut buffer: ClientBuffer, client: SocketAddr) -> Option<Handover> {
    let asked = negotiate4(context, &mut buffer, client).await;
    serve(context, buffer, client, Version::Four, asked).await
}

async fn serve(
    context: &Arc<Context>,
    mut buffer: ClientBuffer,
    client: SocketAddr,
    version: Version,
    asked: Result<(Identity, SocksCommand), Refused>,
) -> Option<Handover> {
    let (identity, command) = match asked {
        Ok(asked) => asked,
        Err(Refused { refusal: refusal @ (Refusal::ClientGone | Refusal::ClientTimeout), .. }) => {
            context.telemetry.reject(client, &refusal);
            return None;
        }
        Err(Refused { refusal, answer }) => {
            version.log_entry(context, client).refused(&refusal, 0);
            buffer.send_and_close(&answer, &context.access.reject_budget).await;
            return None;
        }
    };
    let (identity, target) = match admit(context, identity, &command, client) {
        Ok(identity) => match command {
            SocksCommand::Connect(target) => (identity, target),
            SocksCommand::Associate { port } => {
                return Some(Handover::Association { buffer, client, identity: Box::new(identity), port });
            }
        },
        Err((refusal, user)) => {
            let mut log_entry = version.log_entry(context, client);
            log_entry.set_user(&user);
            if let SocksCommand::Connect(target) = &command {
                log_entry.set_target(target);
            }
            log_entry.refused(&refusal, 0);
            buffer.send_and_close(&version.refused(&refusal), &context.access.reject_budget).await;
            return None;
        }
    };
    let log_entry = version.log_entry(context, client);
    match connect(context, &mut buffer, client, &identity, &target, log_entry).await {
        Ok(ConnectedRequest { failover, connected, log_entry }) => {
            buffer.write(&version.granted()).await.ok()?;
            Some(Handover::Tunnel { client: buffer.into_client(), failover, connected, log_entry })
        }
        Err(Some(refusal)) => {
            buffer.send_and_close(&version.refused(&refusal), &context.access.reject_budget).await;
            None
        }
        Err(None) => None,
    }
}

/// Whether somebody who is known may do this now; with a refusal comes who it was.
fn admit(
    context: &Context,
    identity: Identity,
    command: &SocksCommand,
    client: SocketAddr,
) -> Result<Identity, (Refusal, Box<str>)> {
    let user = identity.user.clone();
    let checked = context.access.admit(identity, client).and_then(|identity| {
        if let SocksCommand::Connect(target) = command {
            context.access.check_target(&identity, target)?;
        }
        Ok(identity)
    });
    checked.map_err(|refusal| (refusal, user))
}

impl Version {
    fn log_entry(self, context: &Arc<Context>, client: SocketAddr) -> AccessLogEntry {
        let inbound = match self {
            Self::Four => InboundKind::Socks4,
            Self::Five => InboundKind::Socks5,
        };
        AccessLogEntry::new(&context.telemetry, inbound, client)
    }

    fn granted(self) -> Vec<u8> {
        match self {
            Self::Four => wire::reply4(90).to_vec(),
            Self::Five => wire::reply(0).to_vec(),
        }
    }

    fn refused(self, refusal: &Refusal) -> Vec<u8> {
        match self {
            Self::Four => wire::reply4(refusal.socks4_reply()).to_vec(),
            Self::Five => wire::reply(refusal.socks5_reply()).to_vec(),
        }
    }

    fn refuse(self, refusal: Refusal) -> Refused {
        Refused { answer: self.refused(&refusal), refusal }
    }
}

async fn negotiate5(
    context: &Context,
    buffer: &mut ClientBuffer,
    client: SocketAddr,
) -> Result<(Identity, SocksCommand), Refused> {
    let identity = greet5(context, buffer, client).await?;
    let asked = buffer.read(wire::request).await.map_err(|refusal| Version::Five.refuse(refusal))?;
    let wanted = asked.command.map_err(|refusal| Version::Five.refuse(refusal))?;
    Ok((identity, wanted))
}

/// Greeting and login. A client that offers to log in is always asked to: its name may carry options.
async fn greet5(context: &Context, buffer: &mut ClientBuffer, client: SocketAddr) -> Result<Identity, Refused> {
    let no_method = |refusal| Refused { refusal, answer: vec![5, wire::METHOD_REFUSED] };
    let offered = buffer.read(wire::greeting).await.map_err(no_method)?;
    if offered.login {
        let bad_login = |refusal| Refused { refusal, answer: vec![1, 1] };
        buffer.write(&[5, wire::METHOD_LOGIN]).await.map_err(bad_login)?;
        let logins = buffer.read(wire::login).await.map_err(bad_login)?;
        let identity = context.access.log_in(&logins, client).await.map_err(bad_login)?;
        buffer.write(&[1, 0]).await.map_err(bad_login)?;
        return Ok(identity);
    }
    if !offered.none {
        return Err(no_method(Refusal::BadSocks("no login method that fits")));
    }
    let identity = context.access.log_in(&[], client).await.map_err(no_method)?;
    buffer.write(&[5, wire::METHOD_NONE]).await.map_err(no_method)?;
    Ok(identity)
}

/// SOCKS4 has a name and no password: with users configured nobody can log in, without them the name carries options.
async fn negotiate4(
    context: &Context,
    buffer: &mut ClientBuffer,
    client: SocketAddr,
) -> Result<(Identity, SocksCommand), Refused> {
    let refuse = |refusal| Version::Four.refuse(refusal);
    let asked = buffer.read(wire::request4).await.map_err(refuse)?;
    let open = context.config().users.is_empty();
    let logins = asked.user.filter(|_| open).map(|name| [Login { name, password: "".into() }]);
    let logins = logins.as_ref().map_or(&[][..], |logins| logins);
    let identity = context.access.log_in(logins, client).await.map_err(refuse)?;
    Ok((identity, asked.command.map_err(refuse)?))
}
