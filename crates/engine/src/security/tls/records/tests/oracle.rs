//! Our records beside rustls' own: two clients with the same keys hear one rustls server, whose bytes are cut, joined, changed, left
//! out, doubled and exchanged on the way. They read the same, and it ends the same.

use std::{
    cell::RefCell,
    io::{Cursor, Read, Write},
    sync::{Arc, LazyLock},
};

use aws_lc_rs::agreement::{PrivateKey, UnparsedPublicKey, X25519, agree};
use proptest::prelude::*;
use rand::{SeedableRng, rngs::StdRng};
use rustls::{
    ClientConfig, ClientConnection, Error, NamedGroup, PeerMisbehaved, ServerConfig, ServerConnection,
    client::{Resumption, UnbufferedClientConnection},
    crypto::{
        ActiveKeyExchange, CryptoProvider, GetRandomFailed, SecureRandom, SharedSecret, SupportedKxGroup,
        aws_lc_rs::default_provider,
    },
    ffdhe_groups::FfdheGroup,
};

use super::super::{Records, zero_keys::read};
use crate::testing::Authority;

thread_local! {
    /// What both clients draw.
    static DRAWN: RefCell<StdRng> = RefCell::new(StdRng::seed_from_u64(0));
}

static KEY: LazyLock<(PrivateKey, Vec<u8>)> = LazyLock::new(|| {
    let key = PrivateKey::generate(&X25519).unwrap();
    let public = key.compute_public_key().unwrap().as_ref().to_vec();
    (key, public)
});

/// Gives both clients the same.
#[derive(Debug)]
struct Same;

impl SecureRandom for Same {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), GetRandomFailed> {
        DRAWN.with_borrow_mut(|random| random.fill_bytes(bytes));
        Ok(())
    }
}

impl SupportedKxGroup for Same {
    fn start(&self) -> Result<Box<dyn ActiveKeyExchange>, Error> {
        Ok(Box::new(Self))
    }

    fn ffdhe_group(&self) -> Option<FfdheGroup<'static>> {
        None
    }

    fn name(&self) -> NamedGroup {
        NamedGroup::X25519
    }
}

impl ActiveKeyExchange for Same {
    fn complete(self: Box<Self>, theirs: &[u8]) -> Result<SharedSecret, Error> {
        let refused = Error::PeerMisbehaved(PeerMisbehaved::InvalidKeyShare);
        agree(&KEY.0, UnparsedPublicKey::new(&X25519, theirs), refused, |secret| Ok(SharedSecret::from(secret)))
    }

    fn pub_key(&self) -> &[u8] {
        &KEY.1
    }

    fn ffdhe_group(&self) -> Option<FfdheGroup<'static>> {
        None
    }

    fn group(&self) -> NamedGroup {
        NamedGroup::X25519
    }
}

/// One suite's server and what its clients need.
struct World {
    server: Arc<ServerConfig>,
    client: Arc<ClientConfig>,
    tls13: bool,
}

/// A world of every suite that rustls has.
static WORLDS: LazyLock<Vec<World>> = LazyLock::new(|| {
    let authority = Authority::new();
    let world = |suite: rustls::SupportedCipherSuite| {
        let provider = || CryptoProvider { cipher_suites: vec![suite], ..default_provider() };
        let version = if suite.tls13().is_some() { &rustls::version::TLS13 } else { &rustls::version::TLS12 };
        let acceptor = authority.server_of(&["node.example"], &["h2"], provider(), &[version]).0;
        let mut server = acceptor.config().as_ref().clone();
        server.max_fragment_size = Some(400);
        let provider = CryptoProvider { kx_groups: vec![&Same], secure_random: &Same, ..provider() };
        let builder =
            ClientConfig::builder_with_provider(Arc::new(provider)).with_protocol_versions(&[version]).unwrap();
        let verifier = crate::security::tls::trusting(&authority.root);
        let mut client = builder.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth();
        client.resumption = Resumption::disabled();
        client.enable_secret_extraction = true;
        World { server: Arc::new(server), client: Arc::new(client), tls13: suite.tls13().is_some() }
    };
    default_provider().cipher_suites.into_iter().map(world).collect()
});

/// A server after the handshake, and the two clients that have heard the same of it.
struct Twins {
    server: ServerConnection,
    rustls: ClientConnection,
    ours: Records,
}

fn meet(world: &World, seed: u64) -> Twins {
    let name = || "node.example".try_into().unwrap();
    let mut server = ServerConnection::new(Arc::clone(&world.server)).unwrap();
    DRAWN.set(StdRng::seed_from_u64(seed));
    let mut rustls = ClientConnection::new(Arc::clone(&world.client), name()).unwrap();
    let mut heard = Vec::new();
    loop {
        let mut said = Vec::new();
        while rustls.wants_write() {
            rustls.write_tls(&mut said).unwrap();
        }
        let mut said = &said[..];
        while !said.is_empty() {
            server.read_tls(&mut said).unwrap();
            server.process_new_packets().unwrap();
        }
        if !rustls.is_handshaking() && !server.is_handshaking() {
            break;
        }
        let answer = sent(&mut server);
        heard.extend_from_slice(&answer);
        let mut answer = &answer[..];
        while !answer.is_empty() {
            rustls.read_tls(&mut answer).unwrap();
            rustls.process_new_packets().unwrap();
        }
    }
    DRAWN.set(StdRng::seed_from_u64(seed));
    let twin = UnbufferedClientConnection::new(Arc::clone(&world.client), name()).unwrap();
    let stream = tokio::io::join(Cursor::new(heard), tokio::io::sink());
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let ours = runtime.block_on(crate::security::tls::handshake(twin, stream)).unwrap().records;
    Twins { server, rustls, ours }
}

fn sent(server: &mut ServerConnection) -> Vec<u8> {
    let mut wire = Vec::new();
    while server.wants_write() {
        server.write_tls(&mut wire).unwrap();
    }
    wire
}

/// What a server does after the handshake.
#[derive(Clone, Debug)]
enum Act {
    Say(Vec<u8>),
    NewKeys,
    Bye,
}

/// What happens to its records on the way. Numbers are taken modulo what there is.
#[derive(Clone, Debug)]
enum Harm {
    Flip(usize, usize, u8),
    Drop(usize),
    Double(usize),
    Exchange(usize, usize),
    Forge(usize, u8, Vec<u8>),
    Cut(usize),
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        6 => proptest::collection::vec(any::<u8>(), 1..900).prop_map(Act::Say),
        2 => Just(Act::NewKeys),
        1 => Just(Act::Bye),
    ]
}

fn harm() -> impl Strategy<Value = Harm> {
    let at = any::<usize>;
    prop_oneof![
        (at(), at(), 0..8_u8).prop_map(|(record, byte, bit)| Harm::Flip(record, byte, bit)),
        at().prop_map(Harm::Drop),
        at().prop_map(Harm::Double),
        (at(), at()).prop_map(|(one, other)| Harm::Exchange(one, other)),
        (at(), prop_oneof![Just(20_u8), Just(22), Just(23)], proptest::collection::vec(any::<u8>(), 1..60))
            .prop_map(|(place, kind, body)| Harm::Forge(place, kind, body)),
        at().prop_map(Harm::Cut),
    ]
}

fn split(mut wire: &[u8]) -> Vec<Vec<u8>> {
    let mut records = Vec::new();
    while let Some(&[_, _, _, high, low]) = wire.first_chunk() {
        let (record, rest) = wire.split_at(5 + usize::from(u16::from_be_bytes([high, low])));
        records.push(record.to_vec());
        wire = rest;
    }
    records
}

fn harmed(wire: &[u8], harms: &[Harm], tls13: bool) -> Vec<u8> {
    let mut records = split(wire);
    let mut cut = 0;
    for harm in harms {
        let count = records.len();
        if count == 0 {
            break;
        }
        match harm {
            Harm::Flip(record, byte, bit) => {
                let record = &mut records[record % count];
                let byte = byte % record.len();
                // The header's version is nobody's business, and neither is its type in TLS 1.3: rustls does not look at them, we do. How
                // long a header may say that a record is, rustls decides later than we.
                let unseen = byte == 1 || byte == 2 || byte == 0 && tls13;
                if !unseen {
                    record[byte] ^= 1 << if byte == 3 { bit % 6 } else { *bit };
                }
            }
            Harm::Drop(record) => drop(records.remove(record % count)),
            Harm::Double(record) => records.insert(record % count, records[record % count].clone()),
            Harm::Exchange(one, other) => records.swap(one % count, other % count),
            Harm::Forge(place, kind, body) => {
                let forged = [&[*kind, 3, 3, 0, body.len() as u8], &body[..]].concat();
                records.insert(place % (count + 1), forged);
            }
            Harm::Cut(bytes) => cut = *bytes,
        }
    }
    let mut wire = records.concat();
    let length = wire.len();
    if length > 0 {
        wire.truncate(length - cut % length);
    }
    wire
}

/// How it ends.
#[derive(Debug, PartialEq, Eq)]
enum End {
    Waits,
    Closed,
    Refused,
}

fn rustls_reads(client: &mut ClientConnection, wire: &[u8], piece: usize) -> (Vec<u8>, End) {
    let mut said = Vec::new();
    for mut piece in wire.chunks(piece) {
        while !piece.is_empty() {
            client.read_tls(&mut piece).unwrap();
            let processed = client.process_new_packets();
            let mut room = [0; 4096];
            while let Ok(length @ 1..) = client.reader().read(&mut room) {
                said.extend_from_slice(&room[..length]);
            }
            match processed {
                Err(_) => return (said, End::Refused),
                Ok(state) if state.peer_has_closed() => return (said, End::Closed),
                Ok(_) => {}
            }
        }
    }
    (said, End::Waits)
}

fn we_read(records: &mut Records, wire: &[u8], piece: usize) -> (Vec<u8>, End) {
    let mut said = Vec::new();
    let end = match read(records, wire, piece, &mut said) {
        "end" => End::Closed,
        "may end" | "cut" => End::Waits,
        _ => End::Refused,
    };
    (said, end)
}

/// The type of the record whose end is missing, if the bytes end within one, behind its header.
fn unfinished_type(mut wire: &[u8]) -> Option<u8> {
    while let Some(&[kind, _, _, high, low]) = wire.first_chunk() {
        let Some(rest) = wire.get(5 + usize::from(u16::from_be_bytes([high, low]))..) else { return Some(kind) };
        wire = rest;
    }
    None
}

fn compare(world: &World, seed: u64, acts: &[Act], harms: &[Harm], pieces: [usize; 2]) -> (usize, End) {
    let Twins { mut server, mut rustls, mut ours } = meet(world, seed);
    let mut wire = sent(&mut server);
    for act in acts {
        match act {
            Act::Say(text) => server.writer().write_all(text).unwrap(),
            Act::NewKeys if world.tls13 => server.refresh_traffic_keys().unwrap(),
            Act::NewKeys => {}
            Act::Bye => server.send_close_notify(),
        }
        wire.extend(sent(&mut server));
        if matches!(act, Act::Bye) {
            break;
        }
    }
    let wire = harmed(&wire, harms, world.tls13);
    let mut theirs = rustls_reads(&mut rustls, &wire, pieces[0]);
    let ours = we_read(&mut ours, &wire, pieces[1]);
    // In TLS 1.3 we refuse a record of another type than application data by its header; rustls waits for its last byte first.
    if world.tls13 && unfinished_type(&wire).is_some_and(|kind| kind != 23) && theirs.1 == End::Waits {
        theirs.1 = End::Refused;
    }
    assert_eq!(ours, theirs, "ours, then rustls'");
    (ours.0.len(), ours.1)
}

#[test]
fn every_suite_reads_as_rustls_does() {
    let say = |length| Act::Say(vec![7; length]);
    let acts = [say(1), say(900), Act::NewKeys, say(400), Act::NewKeys, Act::NewKeys, say(401), Act::Bye];
    assert_eq!(WORLDS.len(), 9);
    for world in &*WORLDS {
        for pieces in [[1, 1], [1 << 20, 1], [1, 1 << 20], [300, 7]] {
            assert_eq!(compare(world, 1, &acts, &[], pieces), (1702, End::Closed));
        }
        assert_eq!(compare(world, 2, &acts, &[Harm::Cut(1)], [50, 60]), (1702, End::Waits));
        assert_eq!(compare(world, 3, &acts, &[Harm::Flip(usize::MAX / 2 * 2, 20, 3)], [50, 60]).1, End::Refused);
    }
}

#[test]
fn a_foreign_record_is_refused_by_its_header() {
    for world in WORLDS.iter().filter(|world| world.tls13) {
        for kind in [20, 22] {
            let harms = [Harm::Forge(usize::MAX, kind, vec![1; 40]), Harm::Cut(7)];
            let (_, end) = compare(world, 4, &[Act::Say(vec![7; 10])], &harms, [30, 30]);
            assert_eq!(end, End::Refused);
        }
    }
    // Before TLS 1.3 every type that there is may be a record's.
    for world in WORLDS.iter().filter(|world| !world.tls13) {
        for (kind, refused) in [(17, true), (19, true), (25, true), (22, false), (24, false)] {
            let harms = [Harm::Forge(usize::MAX, kind, vec![1; 40]), Harm::Cut(7)];
            let (_, end) = compare(world, 4, &[Act::Say(vec![7; 10])], &harms, [30, 30]);
            assert_eq!(end == End::Refused, refused, "{kind}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]
    #[test]
    fn any_server_is_read_as_rustls_reads_it(
        suite in 0..9_usize,
        seed: u64,
        acts in proptest::collection::vec(act(), 0..12),
        harms in proptest::collection::vec(harm(), 0..3),
        pieces in [1..2000_usize, 1..2000_usize],
    ) {
        compare(&WORLDS[suite], seed, &acts, &harms, pieces);
    }
}
