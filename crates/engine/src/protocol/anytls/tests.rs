//! AnyTLS against its definition and against a server written down from it.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use hezar_core::{AnyTls, Host, Secret, Target, Tls};
use parking_lot::Mutex;
use proptest::prelude::*;
use rand::{SeedableRng, rngs::SmallRng};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream, ReadHalf, WriteHalf, duplex, split},
    sync::mpsc,
    time::sleep,
};

use super::{
    AnyTlsDialer, Pool, build,
    padding::Scheme,
    wire::{self, Command, Header},
};
use crate::{
    Attempt, BoxStream, BuildError, Cause, DialError, Dialer,
    budget::ConnectionBudget,
    protocol::contract::{self, Served},
    testing::Chopped,
    transport::TransportConnector,
};

fn dialer(connector: TransportConnector) -> Result<Arc<dyn Dialer>, BuildError> {
    build(&AnyTls { password: Secret::new("password"), tls: Tls::default() }, connector)
}

type Reader = ReadHalf<DuplexStream>;
type Writer = WriteHalf<DuplexStream>;

async fn hello(from: &mut Reader) {
    let mut key = [0; 32];
    from.read_exact(&mut key).await.unwrap();
    assert_eq!(key, wire::key("password"));
    let padding = from.read_u16().await.unwrap();
    assert_eq!(padding, 30, "the default scheme says so");
    from.read_exact(&mut vec![0; usize::from(padding)]).await.unwrap();
}

/// The next frame that is no padding; nothing at the connection's end.
async fn frame(from: &mut Reader) -> Option<(Command, u32, Vec<u8>)> {
    loop {
        let mut bytes = [0; wire::HEADER];
        from.read_exact(&mut bytes).await.ok()?;
        let header = Header::read(&bytes).unwrap();
        let mut data = vec![0; header.length];
        from.read_exact(&mut data).await.ok()?;
        let command = header.command.unwrap();
        if command != Command::Waste {
            return Some((command, header.stream, data));
        }
    }
}

async fn send(to: &mut Writer, command: Command, stream: u32, data: &[u8]) -> bool {
    let mut bytes = Vec::new();
    wire::put_frame(command, stream, data, &mut bytes);
    to.write_all(&bytes).await.is_ok()
}

fn address(bytes: &[u8]) -> Target {
    assert_eq!((bytes[0], usize::from(bytes[1])), (3, bytes.len() - 4));
    let (name, port) = bytes[2..].split_at(bytes.len() - 4);
    Target::new(Host::new(std::str::from_utf8(name).unwrap()).unwrap(), u16::from_be_bytes([port[0], port[1]])).unwrap()
}

/// A server for the laws, which ends a direction of the stream when the connection or the frame says so.
async fn serve(peer: DuplexStream) -> Served {
    let (mut from, mut to) = split(peer);
    hello(&mut from).await;
    let (command, _, settings) = frame(&mut from).await.unwrap();
    assert_eq!(command, Command::Settings);
    assert!(settings.starts_with(b"v=2\nclient=hezar/"));
    assert_eq!(frame(&mut from).await.unwrap(), (Command::Syn, 1, Vec::new()));
    let (command, stream, request) = frame(&mut from).await.unwrap();
    assert_eq!((command, stream), (Command::Push, 1));
    let (ours, theirs) = duplex(16 * 1024);
    let (mut app_reader, mut app_writer) = split(theirs);
    tokio::spawn(async move {
        while let Some((command, _, data)) = frame(&mut from).await {
            match command {
                Command::Push => drop(app_writer.write_all(&data).await),
                Command::Fin => break,
                other => assert_eq!(other, Command::HeartResponse),
            }
        }
        let _ = app_writer.shutdown().await;
        // The connection outlives the stream.
        while frame(&mut from).await.is_some() {}
    });
    tokio::spawn(async move {
        send(&mut to, Command::ServerSettings, 0, b"v=2").await;
        send(&mut to, Command::SynAck, 1, b"").await;
        send(&mut to, Command::HeartRequest, 0, b"").await;
        let mut buffer = [0; 9000];
        loop {
            let read = app_reader.read(&mut buffer).await.unwrap_or(0);
            send(&mut to, Command::Waste, 0, &[0; 100]).await;
            if read == 0 {
                send(&mut to, Command::Fin, 1, b"").await;
                break;
            }
            if !send(&mut to, Command::Push, 1, &buffer[..read]).await {
                break;
            }
        }
        sleep(Duration::from_secs(3600)).await;
    });
    (address(&request), ours)
}

/// What this protocol cannot do is missing here: it has no end for one direction.
#[tokio::test(start_paused = true)]
async fn keeps_the_laws() {
    contract::all_without_half_close(dialer, serve).await;
}

#[test]
fn golden_frames() {
    let mut bytes = wire::hello(&[7; 32], 3);
    wire::put_frame(Command::Syn, 1, b"", &mut bytes);
    wire::put_frame(Command::Push, 1, b"ab", &mut bytes);
    assert_eq!(bytes[..32], [7; 32]);
    assert_eq!(&bytes[32..], b"\0\x03\0\0\0\x01\0\0\0\x01\0\0\x02\0\0\0\x01\0\x02ab");
    assert_eq!(wire::version(b"a=b\nv=2"), Some(2));
    assert_eq!(wire::version(b"\xff"), None);
}

#[test]
fn the_default_scheme() {
    let scheme = Scheme::default();
    let random = &mut SmallRng::seed_from_u64(1);
    assert_eq!(scheme.first(random), 30);
    let one = scheme.shape(1, &[1; 50], random);
    assert_eq!(one.len(), 1);
    assert!((100..400).contains(&one[0].len()), "{}", one[0].len());
    // A check mark ends the write when nothing is left.
    assert_eq!(scheme.shape(2, &[1; 50], random).len(), 1);
    let cut: Vec<_> = scheme.shape(2, &[1; 2000], random);
    assert!(cut.len() >= 3 && cut.concat().iter().filter(|b| **b == 1).count() >= 2000);
    assert_eq!(scheme.shape(3, &[1; 9], random).len(), 2);
    assert_eq!(scheme.shape(8, &[1; 50], random), [vec![1; 50]]);
    assert!(Scheme::read(b"0=30-30").is_none());
    assert!(Scheme::read(b"stop=x").is_none());
}

/// A server whose connections a test holds in its hands.
#[derive(Debug, Default)]
struct Servers {
    made: Mutex<Vec<DuplexStream>>,
}

#[async_trait]
impl Dialer for Servers {
    async fn connect(&self, _: &Target, _: &Attempt) -> Result<BoxStream, DialError> {
        let (ours, theirs) = duplex(64 * 1024);
        self.made.lock().push(theirs);
        Ok(Box::new(Chopped::new(ours, 1, 1000)))
    }
}

struct Bench {
    servers: Arc<Servers>,
    dialer: AnyTlsDialer,
}

impl Bench {
    fn new() -> Self {
        let servers = Arc::new(Servers::default());
        let connector = TransportConnector::new(
            &Target::parse("192.0.2.1:443").unwrap(),
            &hezar_core::Carrier::plain(),
            Arc::clone(&servers) as Arc<dyn Dialer>,
            &crate::TlsClients::new(&[]).into(),
        );
        let pool = Arc::new(Pool::new(&ConnectionBudget::default()));
        let dialer = AnyTlsDialer { key: wire::key("password"), connector: connector.unwrap(), pool };
        Self { servers, dialer }
    }

    async fn connect(&self) -> BoxStream {
        self.dialer.connect(&contract::target(), &contract::attempt()).await.unwrap()
    }

    fn connections(&self) -> usize {
        self.servers.made.lock().len()
    }

    /// Takes the server's end of the newest connection, its hello read.
    async fn server(&self) -> (Reader, Writer) {
        let made = self.servers.made.lock().pop().unwrap();
        let (mut from, to) = split(made);
        hello(&mut from).await;
        (from, to)
    }
}

#[tokio::test(start_paused = true)]
async fn a_connection_serves_one_stream_after_another() {
    let bench = Bench::new();
    let first = bench.connect().await;
    let (mut from, mut to) = bench.server().await;
    let (seen, mut frames) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Some((command, stream, _)) = frame(&mut from).await {
            seen.send((command, stream)).unwrap();
        }
    });
    send(&mut to, Command::ServerSettings, 0, b"v=2").await;
    drop(first);
    assert_eq!(bench.dialer.pool.len(), 1);
    let mut second = bench.connect().await;
    assert_eq!((bench.connections(), bench.dialer.pool.len()), (0, 0), "no new connection");
    // Late bytes of the first stream are nobody's.
    send(&mut to, Command::Push, 1, b"late").await;
    send(&mut to, Command::Push, 2, b"x").await;
    assert_eq!(second.read_u8().await.unwrap(), b'x');
    for expected in
        [(Command::Settings, 0), (Command::Syn, 1), (Command::Push, 1), (Command::Fin, 1), (Command::Syn, 2)]
    {
        assert_eq!(frames.recv().await, Some(expected));
    }
    // Two at once are two connections.
    let _third = bench.connect().await;
    assert_eq!(bench.connections(), 1);
}

#[tokio::test(start_paused = true)]
async fn idle_connections_end() {
    let bench = Bench::new();
    drop(bench.connect().await);
    let (mut from, _to) = bench.server().await;
    while frame(&mut from).await.is_some() {}
    sleep(Duration::from_millis(1)).await;
    assert_eq!(bench.dialer.pool.len(), 0, "its time was over");

    drop(bench.connect().await);
    drop(bench.servers.made.lock().pop());
    sleep(Duration::from_millis(100)).await;
    assert_eq!(bench.dialer.pool.len(), 0, "its death was noticed");

    let many = [bench.connect().await, bench.connect().await];
    assert_eq!(bench.connections(), 2);
    drop(many);
    assert_eq!(bench.dialer.pool.len(), 2);
    let pool = Arc::downgrade(&bench.dialer.pool);
    let Bench { dialer, servers } = bench;
    drop(dialer);
    assert!(pool.upgrade().is_none());
    let made = std::mem::take(&mut *servers.made.lock());
    for made in made {
        let (mut from, _to) = split(made);
        hello(&mut from).await;
        while frame(&mut from).await.is_some() {}
    }
}

#[tokio::test(start_paused = true)]
async fn the_pool_is_bounded() {
    let bench = Bench::new();
    let mut streams = Vec::new();
    for _ in 0..40 {
        streams.push(bench.connect().await);
    }
    drop(streams);
    assert_eq!(bench.dialer.pool.len(), 16);
}

#[tokio::test(start_paused = true)]
async fn what_servers_say() {
    let said = async |command, stream, data: &'static [u8]| {
        let bench = Bench::new();
        let mut client = bench.connect().await;
        let (_from, mut to) = bench.server().await;
        send(&mut to, command, stream, data).await;
        drop(to);
        drop(_from);
        let cause = Cause::from(client.read_u8().await.unwrap_err());
        drop(client);
        (cause, bench.dialer.pool.len())
    };
    assert!(matches!(said(Command::SynAck, 1, b"refused").await, (Cause::TargetUnreachable(_), 1)));
    assert!(matches!(said(Command::Alert, 0, b"go away").await, (Cause::ServerFailure(_), 0)));
    assert!(matches!(said(Command::Fin, 9, b"").await, (Cause::Closed, 0)));

    let bench = Bench::new();
    let client = bench.connect().await;
    let (_from, mut to) = bench.server().await;
    send(&mut to, Command::UpdatePadding, 0, b"stop=2\n0=5-5\n1=50-50").await;
    drop(client);
    sleep(Duration::from_millis(100)).await;
    let scheme = Arc::clone(&bench.dialer.pool.scheme.lock());
    assert_eq!(scheme.first(&mut rand::rng()), 5);
}

#[tokio::test(start_paused = true)]
async fn a_reused_connection_that_went_silent_is_given_up() {
    let bench = Bench::new();
    drop(bench.connect().await);
    let (_from, mut to) = bench.server().await;
    send(&mut to, Command::ServerSettings, 0, b"v=2").await;
    sleep(Duration::from_millis(100)).await;
    let mut client = bench.connect().await;
    let cause = Cause::from(client.read_u8().await.unwrap_err());
    assert!(matches!(cause, Cause::Timeout));
    drop(client);
    assert_eq!(bench.dialer.pool.len(), 0);
}

#[tokio::test(start_paused = true)]
async fn datagrams() {
    let bench = Bench::new();
    let association = bench.dialer.associate(&contract::attempt()).await.unwrap();
    let (mut from, mut to) = bench.server().await;
    for _ in 0..2 {
        frame(&mut from).await.unwrap();
    }
    let (_, _, request) = frame(&mut from).await.unwrap();
    assert_eq!(request, b"\x03\x17sp.v2.udp-over-tcp.arpa\0\0\0\x01\0\0\0\0\0\0");
    association.send_to(b"question", &Target::parse("a.example:53").unwrap()).await.unwrap();
    let (_, _, sent) = frame(&mut from).await.unwrap();
    assert_eq!(sent, b"\x02\x09a.example\0\x35\0\x08question");
    send(&mut to, Command::Push, 1, b"\0\xc0\0\x02\x07\0\x35\0\x06ans").await;
    send(&mut to, Command::Push, 1, b"wer").await;
    let mut buffer = [0; 4];
    let (length, sender) = association.recv_from(&mut buffer).await.unwrap();
    assert_eq!((&buffer[..length], sender.to_string().as_str()), (&b"answ"[..], "192.0.2.7:53"));
    send(&mut to, Command::Push, 1, b"\x09").await;
    assert!(association.recv_from(&mut buffer).await.is_err());
    assert!(association.send_to(&[0; 70_000], &contract::target()).await.is_err());
}

#[test]
fn an_unused_pool_needs_no_runtime() {
    drop(Arc::new(Pool::new(&ConnectionBudget::default())));
}

proptest! {
    #[test]
    fn any_scheme_keeps_the_payload(text in "stop=[0-9]{1,3}(\n[0-9]{1,2}=(c|[0-9]{1,5}-[0-9]{1,5})(,(c|[0-9]{1,5}-[0-9]{1,5})){0,5}){0,5}",
        payload in proptest::collection::vec(1_u8..255, 0..3000), number in 0_u32..30)
    {
        let Some(scheme) = Scheme::read(text.as_bytes()) else { return Ok(()) };
        let mut bytes = scheme.shape(number, &payload, &mut SmallRng::seed_from_u64(1)).concat();
        // Payload first, whole; padding frames of zeroes after it.
        let padding = bytes.split_off(payload.len());
        prop_assert_eq!(bytes, payload);
        let mut rest = &padding[..];
        while let Some(header) = Header::read(rest) {
            prop_assert_eq!(header.command, Some(Command::Waste));
            rest = &rest[wire::HEADER + header.length..];
        }
        prop_assert!(rest.is_empty());
    }

    #[test]
    fn garbage_does_not_panic(answer in proptest::collection::vec(any::<u8>(), 0..200), seed: u64, most in 1..300_usize) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(contract::cause_of_answer(dialer, &answer, seed, most));
    }
}
