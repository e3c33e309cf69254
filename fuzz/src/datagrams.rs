//! Feeds the client side of every association with a server's bytes and datagrams.

use std::{
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use async_trait::async_trait;
use hezar_core::Target;
use hezar_engine::{Attempt, BoxDatagram, BoxStream, Datagram, DialError, Dialer, TlsClients, build};
use hezar_formats::parse_link;
use parking_lot::Mutex;
use tokio::{io, time::timeout};

use crate::outbound::{Scripted, block_on};

/// One link per way of reading datagrams.
const LINKS: [&str; 16] = [
    "socks5://192.0.2.1:1",
    "socks5://u:p@192.0.2.1:1",
    "ss://none:p@192.0.2.1:1",
    "ss://aes-256-gcm:p@192.0.2.1:1",
    "ss://aes-256-cfb:p@192.0.2.1:1",
    "ss://2022-blake3-aes-128-gcm:AAAAAAAAAAAAAAAAAAAAAA%3D%3D@192.0.2.1:1",
    "ss://2022-blake3-chacha20-poly1305:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA%3D@192.0.2.1:1",
    "ss://none:p@192.0.2.1:1?uot=1",
    "trojan://p@192.0.2.1:1?security=none",
    "vless://00000000-0000-0000-0000-000000000000@192.0.2.1:1",
    "vless://00000000-0000-0000-0000-000000000000@192.0.2.1:1?packetEncoding=none",
    "vless://00000000-0000-0000-0000-000000000000@192.0.2.1:1?packetEncoding=packetaddr",
    "vmess://00000000-0000-0000-0000-000000000000@192.0.2.1:1?encryption=zero",
    "vmess://00000000-0000-0000-0000-000000000000@192.0.2.1:1?encryption=none",
    "vmess://00000000-0000-0000-0000-000000000000@192.0.2.1:1?encryption=none&packetEncoding=none",
    "vmess://00000000-0000-0000-0000-000000000000@192.0.2.1:1?encryption=none&packetEncoding=packetaddr",
];

/// The first byte chooses the protocol, the second the size of the pieces, the third how much of the rest is the stream;
/// what is left are datagrams, each behind its length.
pub(crate) fn answer(data: &[u8]) {
    let [protocol, piece, stream, bytes @ ..] = data else { return };
    let link = LINKS.get(usize::from(*protocol) % LINKS.len()).copied().unwrap_or_default();
    let Ok((spec, _)) = parse_link(link) else { return };
    let (stream, datagrams) = bytes.split_at(bytes.len().min(usize::from(*stream)));
    let stream = Scripted { bytes: stream.into(), piece: usize::from(*piece) + 1 };
    let server = Arc::new(Server { stream, datagrams: datagrams.into() });
    let Ok(dialer) = build(&spec, server, &TlsClients::new(&[])) else { return };
    block_on(async move {
        let Ok(target) = Target::parse("192.0.2.9:80") else { return };
        let Ok(association) = dialer.associate(&Attempt::within(Duration::from_secs(5))).await else { return };
        let _ = association.send_to(b"question", &target).await;
        let mut buffer = [0; 700];
        // An association never gives more datagrams than its server sent bytes, so this ends.
        while let Ok(Ok(_)) = timeout(Duration::from_secs(60), association.recv_from(&mut buffer)).await {}
    });
}

/// A server that says its piece whatever it is told.
#[derive(Debug)]
struct Server {
    stream: Scripted,
    datagrams: Arc<[u8]>,
}

#[async_trait]
impl Dialer for Server {
    async fn connect(&self, target: &Target, attempt: &Attempt) -> Result<BoxStream, DialError> {
        self.stream.connect(target, attempt).await
    }

    async fn associate(&self, _: &Attempt) -> Result<BoxDatagram, DialError> {
        Ok(Box::new(Datagrams { bytes: Arc::clone(&self.datagrams), said: Mutex::new(0) }))
    }
}

struct Datagrams {
    bytes: Arc<[u8]>,
    said: Mutex<usize>,
}

impl Datagram for Datagrams {
    fn poll_send_to(&self, _: &mut Context<'_>, _: &[u8], _: &Target) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_recv_from(&self, _: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<(usize, Target)>> {
        let mut said = self.said.lock();
        let rest = self.bytes.get(*said..).unwrap_or_default();
        let Some((length, rest)) = rest.split_first() else {
            return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()));
        };
        let datagram = rest.get(..rest.len().min(usize::from(*length))).unwrap_or_default();
        *said += 1 + datagram.len();
        let length = datagram.len().min(buffer.len());
        for (to, from) in buffer.iter_mut().zip(datagram) {
            *to = *from;
        }
        let from = Target::parse("192.0.2.1:1").map_err(io::Error::other)?;
        Poll::Ready(Ok((length, from)))
    }
}
