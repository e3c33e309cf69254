//! The store under servers that send too much, and the debug output that sizes are told from.

use std::{sync::Arc, time::Duration};

use hezar_core::{Host, Tls};
use rustls::{HandshakeKind, ServerConfig, crypto::aws_lc_rs::default_provider, server::ProducesTickets};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::TlsAcceptor;

use super::{LARGEST, LONGEST_TICKET, MOST_TICKETS};
use crate::{Attempt, TlsClients, testing::Authority};

/// Makes tickets of one length that it takes back by their number.
#[derive(Debug)]
struct Padded {
    length: usize,
    states: parking_lot::Mutex<Vec<Vec<u8>>>,
}

impl ProducesTickets for Padded {
    fn enabled(&self) -> bool {
        true
    }

    fn lifetime(&self) -> u32 {
        3600
    }

    fn encrypt(&self, plain: &[u8]) -> Option<Vec<u8>> {
        let mut states = self.states.lock();
        let mut ticket = vec![7; self.length];
        ticket[..8].copy_from_slice(&(states.len() as u64).to_be_bytes());
        states.push(plain.to_vec());
        Some(ticket)
    }

    fn decrypt(&self, cipher: &[u8]) -> Option<Vec<u8>> {
        let number = u64::from_be_bytes(cipher.get(..8)?.try_into().ok()?);
        self.states.lock().get(usize::try_from(number).ok()?).cloned()
    }
}

/// A server that sends tickets of this length, so many in TLS 1.3.
fn server(authority: &Authority, tls13: bool, length: usize, tickets: usize) -> TlsAcceptor {
    let version = if tls13 { &rustls::version::TLS13 } else { &rustls::version::TLS12 };
    let made = authority.server_of(&["node.example", "*.node.example"], &["h2"], default_provider(), &[version]).0;
    let mut config: ServerConfig = made.config().as_ref().clone();
    config.ticketer = Arc::new(Padded { length, states: parking_lot::Mutex::default() });
    config.session_storage = Arc::new(rustls::server::NoServerSessionStorage {});
    config.send_tls13_tickets = tickets;
    TlsAcceptor::from(Arc::new(config))
}

/// Connects, exchanges a word, and says what kind of handshake that was.
async fn visit(clients: &TlsClients, acceptor: &TlsAcceptor, name: &str, tls: &Tls) -> HandshakeKind {
    // Room for all tickets: the server writes them before anybody reads.
    let (ours, theirs) = tokio::io::duplex(1 << 20);
    let (host, attempt) = (Host::new(name).unwrap(), Attempt::within(Duration::from_secs(60)));
    let client = clients.handshake(ours, tls, &host, &["h2"], None, &attempt);
    let (client, server) = tokio::join!(client, acceptor.accept(theirs));
    let (mut client, mut server) = (client.unwrap().boxed().secured(), server.unwrap());
    server.write_all(b"word").await.unwrap();
    server.flush().await.unwrap();
    client.read_exact(&mut [0; 4]).await.unwrap();
    server.get_ref().1.handshake_kind().unwrap()
}

#[tokio::test]
async fn tickets_are_kept_up_to_their_bound() {
    let authority = Authority::new();
    // In TLS 1.3 a ticket's message has some bytes around the ticket.
    for (tls13, length, kept) in [
        (true, 200, true),
        (true, LONGEST_TICKET - 100, true),
        (true, LONGEST_TICKET + 1, false),
        (true, 60_000, false),
        (false, 200, true),
        (false, LONGEST_TICKET, true),
        (false, LONGEST_TICKET + 1, false),
        (false, 60_000, false),
    ] {
        let clients = TlsClients::new(std::slice::from_ref(&authority.root));
        let acceptor = server(&authority, tls13, length, 2);
        let tls = Tls::default();
        assert_eq!(visit(&clients, &acceptor, "node.example", &tls).await, HandshakeKind::Full);
        let expected = if kept { HandshakeKind::Resumed } else { HandshakeKind::Full };
        assert_eq!(visit(&clients, &acceptor, "node.example", &tls).await, expected, "{tls13} {length}");
    }
}

#[tokio::test]
async fn a_connection_leaves_few_tickets() {
    let authority = Authority::new();
    let clients = TlsClients::new(std::slice::from_ref(&authority.root));
    let acceptor = server(&authority, true, 3000, 30);
    visit(&clients, &acceptor, "node.example", &Tls::default()).await;
    let bytes = clients.sessions().bytes();
    let most = usize::from(MOST_TICKETS);
    assert!(bytes > most * 3000 && bytes < (most + 1) * LARGEST.min(6000), "{bytes}");
    // Without sessions left of it, nothing but the group is remembered; each can be used once.
    let none = server(&authority, true, 3000, 0);
    for _ in 0..=MOST_TICKETS {
        visit(&clients, &none, "node.example", &Tls::default()).await;
    }
    assert!(clients.sessions().bytes() < 1000);
}

#[tokio::test]
async fn no_list_of_servers_goes_beyond_the_budget() {
    const BUDGET: usize = 512 << 10;
    let authority = Authority::new();
    for tls13 in [true, false] {
        let clients = TlsClients::new(std::slice::from_ref(&authority.root));
        clients.sessions().allow(BUDGET);
        // One server under many names, and a configuration more for every fourth of them.
        let acceptor = server(&authority, tls13, LONGEST_TICKET - 100, 4);
        let visited =
            |number: usize| Tls { alpn: vec!["h2".into(), (number / 4).to_string().into()], ..Tls::default() };
        for number in 0..BUDGET / LONGEST_TICKET + 10 {
            visit(&clients, &acceptor, &format!("{number}.node.example"), &visited(number)).await;
            assert!(clients.sessions().bytes() <= BUDGET);
        }
        assert!(clients.sessions().bytes() > BUDGET - 8 * LARGEST);
        // The first has gone; now it is the last.
        for kind in [HandshakeKind::Full, HandshakeKind::Resumed] {
            assert_eq!(visit(&clients, &acceptor, "0.node.example", &visited(0)).await, kind);
        }
    }
}

#[tokio::test]
async fn no_configuration_sees_the_sessions_of_another_one() {
    let authority = Authority::new();
    let clients = TlsClients::new(std::slice::from_ref(&authority.root));
    let acceptor = server(&authority, true, 200, 4);
    let (checked, unchecked) = (Tls::default(), Tls { skip_verify: true, ..Tls::default() });
    assert_eq!(visit(&clients, &acceptor, "node.example", &unchecked).await, HandshakeKind::Full);
    assert_eq!(visit(&clients, &acceptor, "node.example", &checked).await, HandshakeKind::Full);
    assert_eq!(visit(&clients, &acceptor, "node.example", &checked).await, HandshakeKind::Resumed);
}

#[test]
fn the_size_of_a_session_is_that_of_its_bytes() {
    /// What rustls' output looks like; the servers of the other tests show that it still does.
    #[derive(Debug)]
    #[allow(dead_code, reason = "it is for its debug output")]
    struct Session {
        common: Common,
    }
    #[derive(Debug)]
    #[allow(dead_code, reason = "it is for its debug output")]
    struct Common {
        ticket: Hex,
        epoch: u64,
        chain: Hex,
    }
    struct Hex(usize);
    impl std::fmt::Debug for Hex {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            (0..self.0).try_for_each(|byte| write!(f, "{:02x}", byte % 256))
        }
    }
    let size = |ticket, chain| {
        let session = Session { common: Common { ticket: Hex(ticket), epoch: 12_345_678, chain: Hex(chain) } };
        super::measure::size(&session, 4096, 16_384)
    };
    for (ticket, chain) in [(0, 0), (1, 5000), (4096, 12_000)] {
        let measured = size(ticket, chain).unwrap();
        assert!((ticket + chain..ticket + chain + 100).contains(&measured), "{measured}");
    }
    assert_eq!((size(4097, 0), size(10, 16_384), size(60_000, 60_000)), (None, None, None));
    assert_eq!(super::measure::size(&"no session", 4096, 16_384), None);
}
