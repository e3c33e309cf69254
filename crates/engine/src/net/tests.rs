//! Tests of the system dialer: policy, races, cached names.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use hezar_core::{DomainName, Fault, Stage, Target};
use hickory_resolver::proto::{
    op::{Message, OpCode, ResponseCode},
    rr::{RData, Record, RecordType},
};
use parking_lot::Mutex;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, UdpSocket},
    time::{Instant, sleep},
};

use super::{
    AddressPolicy, Resolver, ResolverConfig, SystemDialer,
    cache::{Bounds, Cache, Resolved},
    own::{OwnListeners, is_of_this_machine},
    race,
    resolver::lookup_both_families,
};
use crate::{Attempt, Cause, Dialer};

fn attempt() -> Attempt {
    Attempt::within(Duration::from_secs(30))
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn dialer(policy: AddressPolicy, hosts: &[(&str, &[&str])]) -> SystemDialer {
    let host = |(name, ips): &(&str, &[&str])| (DomainName::new(name).unwrap(), ips.iter().map(|t| ip(t)).collect());
    let config = ResolverConfig {
        servers: vec![SocketAddr::from(([127, 0, 0, 1], 9))],
        static_hosts: hosts.iter().map(host).collect(),
    };
    SystemDialer::new(Resolver::new(&config), policy)
}

#[tokio::test]
async fn private_addresses_are_refused_even_behind_a_name() {
    let dialer = dialer(AddressPolicy::PublicOnly, &[("inside.example", &["127.0.0.1", "::1", "10.0.0.1"])]);
    for target in [
        "127.0.0.1:80",
        "[::1]:80",
        "192.168.1.1:80",
        "[fe80::1]:80",
        "[::ffff:10.0.0.1]:80",
        "inside.example:80",
        "localhost:80",
    ] {
        let error = dialer.connect(&Target::parse(target).unwrap(), &attempt()).await.err().unwrap();
        assert_eq!((error.stage, error.code()), (Stage::Resolve, "forbidden-address"), "{target}");
        assert_eq!(error.fault(), Fault::Local);
    }
}

#[tokio::test]
async fn ways_round_to_private_addresses_are_refused_behind_a_name_too() {
    let hosts: [(&str, &[&str]); 1] = [(
        "round.example",
        &["64:ff9b::127.0.0.1", "64:ff9b:1::1", "::ffff:0:10.0.0.1", "2002:7f00:1::", "2001:0:101:101::f5ff:fffe"],
    )];
    let dialer = dialer(AddressPolicy::PublicOnly, &hosts);
    let error = dialer.connect(&Target::parse("round.example:80").unwrap(), &attempt()).await.err().unwrap();
    assert_eq!((error.stage, error.code()), (Stage::Resolve, "forbidden-address"));
}

#[tokio::test]
async fn own_listeners_are_never_dialled() {
    let own = OwnListeners::default();
    let dialer = dialer(AddressPolicy::Any, &[("me.example", &["127.0.0.1"])]).never_to(own.clone());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let by_name = Target::parse(&format!("me.example:{port}")).unwrap();
    assert!(dialer.connect(&by_name, &attempt()).await.is_ok());
    own.set([listener.local_addr().unwrap()]);
    for host in ["me.example", "127.0.0.1", "[::ffff:127.0.0.1]", "[64:ff9b::127.0.0.1]"] {
        let target = Target::parse(&format!("{host}:{port}")).unwrap();
        let error = dialer.connect(&target, &attempt()).await.err().unwrap();
        assert_eq!(
            (error.stage, error.code(), error.fault()),
            (Stage::Resolve, "own-listener", Fault::Local),
            "{host}"
        );
    }
    // A listener on every address is reached over each of them.
    own.set([SocketAddr::from(([0, 0, 0, 0], port))]);
    assert_eq!(dialer.connect(&by_name, &attempt()).await.err().unwrap().code(), "own-listener");
    own.set([SocketAddr::from(([0, 0, 0, 0], port.wrapping_add(1)))]);
    assert!(dialer.connect(&by_name, &attempt()).await.is_ok());
}

#[test]
fn addresses_of_this_machine_are_known() {
    for own in ["127.0.0.1", "127.9.9.9", "::ffff:127.0.0.1", "0.0.0.0"] {
        assert!(is_of_this_machine(ip(own)), "{own}");
    }
    assert!(!is_of_this_machine(ip("192.0.2.99")) && !is_of_this_machine(ip("2001:db8::99")));
    // Whatever address the system would send from is one of its own; connecting a UDP socket sends nothing.
    let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    assert!(is_of_this_machine(socket.local_addr().unwrap().ip()));
}

#[tokio::test]
async fn only_the_allowed_addresses_of_a_name_are_dialled() {
    let dialer = dialer(AddressPolicy::PublicOnly, &[("mixed.example", &["127.0.0.1", "1.1.1.1"])]);
    let addresses = dialer.addresses(&Target::parse("mixed.example:53").unwrap(), &attempt()).await.unwrap();
    assert_eq!(addresses, ["1.1.1.1:53".parse().unwrap()]);
}

#[tokio::test]
async fn a_name_without_addresses_is_unresolved() {
    let dialer = dialer(AddressPolicy::Any, &[("empty.example", &[])]);
    let error = dialer.connect(&Target::parse("empty.example:80").unwrap(), &attempt()).await.err().unwrap();
    assert_eq!((error.stage, error.code(), error.fault()), (Stage::Resolve, "dns", Fault::Node));
}

#[tokio::test]
async fn a_name_reaches_its_listener() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let dialer = dialer(AddressPolicy::Any, &[("here.example", &["127.0.0.1"])]);
    let target = Target::parse(&format!("here.example:{port}")).unwrap();
    let attempt = attempt();
    let (stream, accepted) = tokio::join!(dialer.connect(&target, &attempt), listener.accept());
    let (mut ours, mut theirs) = (stream.unwrap(), accepted.unwrap().0);
    ours.write_all(b"ping").await.unwrap();
    ours.shutdown().await.unwrap();
    let mut got = Vec::new();
    theirs.read_to_end(&mut got).await.unwrap();
    assert_eq!(got, b"ping");
    theirs.write_all(b"pong").await.unwrap();
    drop(theirs);
    got.clear();
    ours.read_to_end(&mut got).await.unwrap();
    assert_eq!(got, b"pong");
}

/// TCP has no route to a multicast address; an IPv6 address on a machine without IPv6 is like that.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn no_route_is_the_fault_of_this_machine() {
    let dialer = dialer(AddressPolicy::Any, &[]);
    let error = dialer.connect(&Target::parse("224.0.0.1:9").unwrap(), &attempt()).await.err().unwrap();
    assert_eq!((error.stage, error.code(), error.fault()), (Stage::Connect, "no-route", Fault::Local));
    assert!(error.retryable(), "another node may have an address that can be reached");
    for kind in [io::ErrorKind::NetworkUnreachable, io::ErrorKind::HostUnreachable, io::ErrorKind::NetworkDown] {
        assert_eq!(Cause::of_own_socket(kind.into()).fault(), Fault::Local, "{kind}");
        // Told by a layer that does not own the first socket, it is about another machine.
        assert_eq!(Cause::from(io::Error::from(kind)).fault(), Fault::Node, "{kind}");
    }
    assert_eq!(Cause::of_own_socket(io::ErrorKind::AddrNotAvailable.into()).fault(), Fault::Local);
    assert_eq!(Cause::of_own_socket(io::ErrorKind::ConnectionRefused.into()).fault(), Fault::Node);
}

#[tokio::test]
async fn a_closed_port_is_refused() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let target = Target::try_from(listener.local_addr().unwrap()).unwrap();
    drop(listener);
    let error = dialer(AddressPolicy::Any, &[]).connect(&target, &attempt()).await.err().unwrap();
    assert_eq!((error.stage, error.code(), error.fault()), (Stage::Connect, "refused", Fault::Node));
}

#[tokio::test]
async fn datagrams_go_both_ways() {
    let dialer = dialer(AddressPolicy::Any, &[("udp.example", &["127.0.0.1"])]);
    let peer = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let port = peer.local_addr().unwrap().port();
    let association = dialer.associate(&attempt()).await.unwrap();
    association.send_to(b"ask", &Target::parse(&format!("udp.example:{port}")).unwrap()).await.unwrap();
    let mut buffer = [0; 16];
    let (length, from) = peer.recv_from(&mut buffer).await.unwrap();
    assert_eq!(&buffer[..length], b"ask");
    peer.send_to(b"answer", from).await.unwrap();
    let (length, from) = association.recv_from(&mut buffer).await.unwrap();
    assert_eq!((&buffer[..length], from.to_string()), (&b"answer"[..], format!("127.0.0.1:{port}")));
}

/// A DNS server that knows `known.example` and counts its questions.
async fn dns_server(socket: UdpSocket, questions: Arc<AtomicUsize>) {
    let mut buffer = [0; 1500];
    loop {
        let (length, from) = socket.recv_from(&mut buffer).await.unwrap();
        questions.fetch_add(1, Ordering::Relaxed);
        let question = Message::from_vec(&buffer[..length]).unwrap();
        let query = question.queries[0].clone();
        let mut answer = Message::response(question.id, OpCode::Query);
        let data = match query.query_type() {
            RecordType::A => RData::A("1.2.3.4".parse().unwrap()),
            _ => RData::AAAA("2606:4700::1".parse().unwrap()),
        };
        if query.name().to_ascii() == "known.example." {
            answer.add_answer(Record::from_rdata(query.name().clone(), 300, data));
        } else {
            answer.metadata.response_code = ResponseCode::NXDomain;
        }
        answer.add_query(query);
        socket.send_to(&answer.to_vec().unwrap(), from).await.unwrap();
    }
}

#[tokio::test]
async fn names_are_asked_for_once() {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let config = ResolverConfig { servers: vec![socket.local_addr().unwrap()], ..ResolverConfig::default() };
    let (resolver, questions) = (Resolver::new(&config), Arc::new(AtomicUsize::new(0)));
    let checks = async {
        for _ in 0..3 {
            let (known, unknown) = (name("known.example"), name("unknown.example"));
            let (found, nothing) = tokio::join!(resolver.resolve(&known), resolver.resolve(&unknown));
            assert!(found.unwrap().contains(&ip("1.2.3.4")));
            assert_eq!(nothing.unwrap_err().code(), "dns");
        }
    };
    tokio::select! {
        () = checks => {}
        () = dns_server(socket, Arc::clone(&questions)) => {}
    }
    // Two names, two families.
    assert_eq!(questions.load(Ordering::Relaxed), 4);
}

#[test]
fn families_take_turns() {
    let all: Vec<SocketAddr> = ["1.0.0.1:1", "1.0.0.2:1", "1.0.0.3:1", "[2::1]:1"].map(|t| t.parse().unwrap()).into();
    let order: Vec<_> = race::interleave(&all).into_iter().map(|a| a.ip().to_string()).collect();
    assert_eq!(order, ["2::1", "1.0.0.1", "1.0.0.2", "1.0.0.3"]);
    let many: Vec<SocketAddr> = (0..100).map(|i| SocketAddr::from(([1, 0, 0, i], 1))).collect();
    assert_eq!(race::interleave(&many).len(), race::MOST);
}

/// How a fake address behaves: after so many milliseconds it answers or fails.
async fn behave(address: SocketAddr, plan: &[(u64, bool)]) -> io::Result<u16> {
    let (delay, works) = plan[usize::from(address.port()) - 1];
    sleep(Duration::from_millis(delay)).await;
    if works { Ok(address.port()) } else { Err(io::ErrorKind::ConnectionRefused.into()) }
}

async fn race_of(plan: &[(u64, bool)]) -> (io::Result<u16>, u128) {
    let addresses = (1..=plan.len()).map(|p| SocketAddr::from(([1, 1, 1, 1], u16::try_from(p).unwrap()))).collect();
    let started = Instant::now();
    (race::first(addresses, |address| behave(address, plan)).await, started.elapsed().as_millis())
}

#[tokio::test(start_paused = true)]
async fn a_silent_address_does_not_hold_the_next_one() {
    let (winner, took) = race_of(&[(60_000, true), (10, true)]).await;
    assert_eq!((winner.unwrap(), took), (2, 260));
}

#[tokio::test(start_paused = true)]
async fn a_failed_address_starts_the_next_one_at_once() {
    let (winner, took) = race_of(&[(10, false), (20, false), (30, true)]).await;
    assert_eq!((winner.unwrap(), took), (3, 60));
}

#[tokio::test(start_paused = true)]
async fn the_first_address_is_preferred() {
    let (winner, took) = race_of(&[(200, true), (1, true)]).await;
    assert_eq!((winner.unwrap(), took), (1, 200));
}

#[tokio::test(start_paused = true)]
async fn all_failing_is_a_failure() {
    let (winner, _) = race_of(&[(10, false), (20, false)]).await;
    assert_eq!(winner.unwrap_err().kind(), io::ErrorKind::ConnectionRefused);
    assert!(race::first(Vec::new(), |a| behave(a, &[])).await.is_err());
}

#[tokio::test]
async fn a_missing_address_family_is_not_what_is_told() {
    let addresses = (1..=2).map(|p| SocketAddr::from(([1, 1, 1, 1], p))).collect();
    let kinds = [io::ErrorKind::NetworkUnreachable, io::ErrorKind::ConnectionRefused];
    let connect = |address: SocketAddr| std::future::ready(Err::<(), _>(kinds[usize::from(address.port()) - 1].into()));
    assert_eq!(race::first(addresses, connect).await.unwrap_err().kind(), io::ErrorKind::ConnectionRefused);
    let missing = || io::Error::from(io::ErrorKind::AddrNotAvailable);
    assert_eq!(
        super::as_missing_family("[2::1]:1".parse().unwrap(), missing()).kind(),
        io::ErrorKind::NetworkUnreachable
    );
    assert_eq!(
        super::as_missing_family("1.1.1.1:1".parse().unwrap(), missing()).kind(),
        io::ErrorKind::AddrNotAvailable
    );
}

#[tokio::test(start_paused = true)]
async fn losers_are_dropped() {
    struct Counted(Arc<AtomicUsize>);
    impl Drop for Counted {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
    let dropped = Arc::new(AtomicUsize::new(0));
    let addresses = (1..=3).map(|p| SocketAddr::from(([1, 1, 1, 1], p))).collect();
    let won = race::first(addresses, |address| {
        let guard = Counted(Arc::clone(&dropped));
        async move {
            let result = behave(address, &[(9000, true), (9000, true), (1, true)]).await;
            drop(guard);
            result
        }
    });
    assert_eq!(won.await.unwrap(), 3);
    assert_eq!(dropped.load(Ordering::Relaxed), 3);
}

#[tokio::test(start_paused = true)]
async fn one_family_waits_for_the_other_only_shortly() {
    let answer = |delay: u64, ips: Vec<u8>| async move {
        sleep(Duration::from_millis(delay)).await;
        Ok(ips)
    };
    assert_eq!(lookup_both_families(answer(10, vec![4]), answer(40, vec![6])).await, (Some(vec![4]), Some(vec![6])));
    assert_eq!(lookup_both_families(answer(10, vec![4]), answer(5000, vec![6])).await, (Some(vec![4]), None));
    assert_eq!(lookup_both_families(answer(5000, vec![4]), answer(10, vec![6])).await, (None, Some(vec![6])));
    // An empty answer is no reason to give up on the other one.
    assert_eq!(lookup_both_families(answer(5000, vec![4]), answer(10, vec![])).await, (Some(vec![4]), Some(vec![])));
}

fn name(text: &str) -> DomainName {
    DomainName::new(text).unwrap()
}

struct Asked {
    cache: Cache,
    times: Arc<Mutex<usize>>,
}

impl Asked {
    fn new(entries: usize) -> Self {
        Self { cache: Cache::new(Bounds { entries, ..Bounds::default() }), times: Arc::default() }
    }

    async fn get(&self, text: &str, ips: &'static [&'static str], ttl: u64) -> usize {
        let times = Arc::clone(&self.times);
        let ask = || async move {
            *times.lock() += 1;
            sleep(Duration::from_millis(100)).await;
            Resolved { addresses: ips.iter().map(|t| ip(t)).collect(), ttl: Duration::from_secs(ttl) }
        };
        self.cache.get(&name(text), ask).await.len()
    }

    fn times(&self) -> usize {
        *self.times.lock()
    }
}

#[tokio::test(start_paused = true)]
async fn callers_share_a_question_and_its_answer() {
    let asked = Asked::new(10);
    let (a, b) = tokio::join!(asked.get("a.example", &["1.1.1.1"], 300), asked.get("a.example", &["1.1.1.1"], 300));
    assert_eq!((a, b, asked.times()), (1, 1, 1));
    asked.get("a.example", &["1.1.1.1"], 300).await;
    assert_eq!(asked.times(), 1);
    sleep(Duration::from_secs(301)).await;
    asked.get("a.example", &["1.1.1.1"], 300).await;
    assert_eq!(asked.times(), 2);
}

#[tokio::test(start_paused = true)]
async fn times_to_live_are_clamped() {
    let asked = Asked::new(10);
    asked.get("short.example", &["1.1.1.1"], 0).await;
    sleep(Duration::from_secs(50)).await;
    asked.get("short.example", &["1.1.1.1"], 0).await;
    assert_eq!(asked.times(), 1);
    asked.get("long.example", &["1.1.1.1"], 1 << 30).await;
    sleep(Duration::from_secs(3601)).await;
    asked.get("long.example", &["1.1.1.1"], 1 << 30).await;
    assert_eq!(asked.times(), 3);
    asked.get("none.example", &[], 1 << 30).await;
    asked.get("none.example", &[], 1 << 30).await;
    assert_eq!(asked.times(), 4);
    sleep(Duration::from_secs(31)).await;
    asked.get("none.example", &[], 0).await;
    assert_eq!(asked.times(), 5);
}

#[tokio::test(start_paused = true)]
async fn a_question_that_everybody_gave_up_is_asked_again() {
    let asked = Asked::new(10);
    let given_up = tokio::time::timeout(Duration::from_millis(10), asked.get("a.example", &["1.1.1.1"], 300));
    assert!(given_up.await.is_err());
    assert_eq!(asked.get("a.example", &["1.1.1.1"], 300).await, 1);
    assert_eq!(asked.times(), 2);
}

#[tokio::test(start_paused = true)]
async fn the_cache_is_bounded() {
    let asked = Asked::new(8);
    for i in 0..100 {
        asked.get(&format!("n{i}.example"), &["1.1.1.1"], 300).await;
        assert!(asked.cache.len() <= 8);
    }
}
