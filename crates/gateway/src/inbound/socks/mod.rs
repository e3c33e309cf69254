//! SOCKS4, SOCKS4a and SOCKS5: CONNECT, and in SOCKS5 UDP ASSOCIATE.

use std::{net::SocketAddr, sync::Arc};

use super::Inbox;
use crate::{
    Refusal,
    access::log_in,
    auth::{Identity, Login, admit},
    course::Course,
    gateway::{Shared, reject},
    journal::{Inbound, Journal},
    tunnel::tunnel,
};

mod association;
mod door;
#[cfg(test)]
mod tests;
mod wire;

use wire::Wanted;

/// Whether the bytes are a datagram that would be passed on.
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
pub(super) async fn serve5(shared: &Arc<Shared>, mut inbox: Inbox, client: SocketAddr) {
    let asked = negotiate5(shared, &mut inbox, client).await;
    serve(shared, inbox, client, Version::Five, asked).await;
}

/// Serves a SOCKS4 or SOCKS4a client.
pub(super) async fn serve4(shared: &Arc<Shared>, mut inbox: Inbox, client: SocketAddr) {
    let asked = negotiate4(shared, &mut inbox, client).await;
    serve(shared, inbox, client, Version::Four, asked).await;
}

async fn serve(
    shared: &Arc<Shared>,
    mut inbox: Inbox,
    client: SocketAddr,
    version: Version,
    asked: Result<(Identity, Wanted), Refused>,
) {
    let asked = asked.and_then(|(identity, target)| {
        let identity = admit(shared, identity, client.ip()).map_err(|refusal| version.refuse(refusal))?;
        Ok((identity, target))
    });
    let (identity, target) = match asked {
        Ok((identity, Wanted::Connect(target))) => (identity, target),
        Ok((identity, Wanted::Associate { port })) => {
            return association::serve(shared, inbox, client, &identity, port).await;
        }
        Err(Refused { refusal: refusal @ (Refusal::ClientGone | Refusal::ClientTimeout), .. }) => {
            return reject(shared, client, &refusal);
        }
        Err(Refused { refusal, answer }) => {
            version.journal(shared, client).refused(&refusal, 0);
            return inbox.farewell(&answer, &shared.courtesy).await;
        }
    };
    let mut journal = version.journal(shared, client);
    journal.identity(&identity);
    journal.target(&target);
    let mut course = Course::new(shared, &identity, client.ip(), &target);
    let route = tokio::select! {
        biased;
        route = course.next() => route,
        // The journal says that the client is gone.
        () = inbox.hung_up() => return,
    };
    match route {
        Ok(route) => {
            journal.connected(route.lease.id(), course.attempts());
            if inbox.write(&version.granted()).await.is_ok() {
                tunnel(shared, inbox.into_client(), course, route, journal).await;
            }
        }
        Err(refusal) => {
            journal.refused(&refusal, course.attempts());
            inbox.farewell(&version.refused(&refusal), &shared.courtesy).await;
        }
    }
}

impl Version {
    fn journal(self, shared: &Arc<Shared>, client: SocketAddr) -> Journal {
        let inbound = match self {
            Self::Four => Inbound::Socks4,
            Self::Five => Inbound::Socks5,
        };
        Journal::new(shared, inbound, client)
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

async fn negotiate5(shared: &Shared, inbox: &mut Inbox, client: SocketAddr) -> Result<(Identity, Wanted), Refused> {
    let identity = greet5(shared, inbox, client).await?;
    let asked = inbox.read(wire::request).await.map_err(|refusal| Version::Five.refuse(refusal))?;
    let wanted = asked.wanted.map_err(|refusal| Version::Five.refuse(refusal))?;
    Ok((identity, wanted))
}

/// Greeting and login. A client that offers to log in is always asked to: its name may carry options.
async fn greet5(shared: &Shared, inbox: &mut Inbox, client: SocketAddr) -> Result<Identity, Refused> {
    let no_method = |refusal| Refused { refusal, answer: vec![5, wire::METHOD_REFUSED] };
    let offered = inbox.read(wire::greeting).await.map_err(no_method)?;
    if offered.login {
        let bad_login = |refusal| Refused { refusal, answer: vec![1, 1] };
        inbox.write(&[5, wire::METHOD_LOGIN]).await.map_err(bad_login)?;
        let logins = inbox.read(wire::login).await.map_err(bad_login)?;
        let identity = log_in(shared, &logins, client).await.map_err(bad_login)?;
        inbox.write(&[1, 0]).await.map_err(bad_login)?;
        return Ok(identity);
    }
    if !offered.none {
        return Err(no_method(Refusal::BadSocks("no login method that fits")));
    }
    let identity = log_in(shared, &[], client).await.map_err(no_method)?;
    inbox.write(&[5, wire::METHOD_NONE]).await.map_err(no_method)?;
    Ok(identity)
}

/// SOCKS4 has a name and no password: with users configured nobody can log in, without them the name carries options.
async fn negotiate4(shared: &Shared, inbox: &mut Inbox, client: SocketAddr) -> Result<(Identity, Wanted), Refused> {
    let refuse = |refusal| Version::Four.refuse(refusal);
    let asked = inbox.read(wire::request4).await.map_err(refuse)?;
    let open = shared.config.users.is_empty();
    let logins = asked.user.filter(|_| open).map(|name| [Login { name, password: "".into() }]);
    let logins = logins.as_ref().map_or(&[][..], |logins| logins);
    let identity = log_in(shared, logins, client).await.map_err(refuse)?;
    Ok((identity, asked.wanted.map_err(refuse)?))
}
