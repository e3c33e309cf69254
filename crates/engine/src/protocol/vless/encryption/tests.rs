//! VLESS encryption against a server written down from its definition.

use std::sync::Arc;

use aws_lc_rs::{
    agreement::{PrivateKey, UnparsedPublicKey, X25519, agree},
    kem::{Ciphertext, DecapsulationKey, EncapsulationKey, ML_KEM_768},
};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use hezar_core::{PacketEncoding, Secret, Vless};
use proptest::prelude::*;
use rand::{SeedableRng, rngs::SmallRng};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, ReadHalf, WriteHalf, duplex, split};

pub(in super::super) use super::settings::Looks;
use super::{
    Encryption, Tickets,
    cipher::{Counted, Headers, Mask},
    hello::{Hello, Keys},
    kdf,
    masked::Masked,
    records::Records,
    settings::{KEM_KEY, Settings},
};
use crate::{
    BoxStream, BuildError, Cause, Dialer,
    io::codec_stream::CodecStream,
    protocol::{
        contract,
        vless::{build, tests::serve as serve_vless, vision::Layer},
    },
    testing::chopped_pair,
    transport::TransportConnector,
};

/// A server's private keys in a row: X25519, then ML-KEM-768.
pub(in super::super) struct Server {
    x25519: PrivateKey,
    kem: DecapsulationKey,
    looks: Looks,
    /// The secret of the one ticket that it gives out.
    ticket: parking_lot::Mutex<Vec<u8>>,
}

const TICKET: [u8; 16] = [0, 100, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3];

impl Server {
    pub(in super::super) fn new(looks: Looks) -> Arc<Self> {
        let kem = DecapsulationKey::generate(&ML_KEM_768).unwrap();
        Arc::new(Self { x25519: PrivateKey::generate(&X25519).unwrap(), kem, looks, ticket: Default::default() })
    }

    fn public(&self) -> [Vec<u8>; 2] {
        let kem = self.kem.encapsulation_key().unwrap().key_bytes().unwrap().as_ref().to_vec();
        [self.x25519.compute_public_key().unwrap().as_ref().to_vec(), kem]
    }

    /// What its clients are told.
    pub(in super::super) fn text(&self, rtt: &str) -> String {
        let looks = match self.looks {
            Looks::Native => "native",
            Looks::XorPub => "xorpub",
            Looks::Random => "random",
        };
        let keys = self.public().map(|key| BASE64_URL_SAFE_NO_PAD.encode(key)).join(".");
        format!("mlkem768x25519plus.{looks}.{rtt}.100-50-60.100-1-5.100-40-41.{keys}")
    }

    /// The relays' secret.
    async fn relays(&self, peer: &mut DuplexStream) -> ([u8; 16], Vec<u8>) {
        let mut iv = [0; 16];
        peer.read_exact(&mut iv).await.unwrap();
        let [x25519, kem] = self.public();
        let (mut first, mut hash, mut second) = ([0; 32], [0; 32], [0; 1088]);
        peer.read_exact(&mut first).await.unwrap();
        peer.read_exact(&mut hash).await.unwrap();
        peer.read_exact(&mut second).await.unwrap();
        if self.looks != Looks::Native {
            Mask::new(&x25519, &iv).apply(&mut first);
        }
        let secret = agree(&self.x25519, UnparsedPublicKey::new(&X25519, first), (), |secret| Ok(secret.to_vec()));
        let mut mask = Mask::new(&secret.unwrap(), &iv);
        mask.apply(&mut hash);
        assert_eq!(hash, *blake3::hash(&kem).as_bytes());
        mask.apply(&mut second[..32]);
        if self.looks != Looks::Native {
            Mask::new(&kem, &iv).apply(&mut second);
        }
        (iv, self.kem.decapsulate(Ciphertext::from(&second[..])).unwrap().as_ref().to_vec())
    }

    /// Takes the encryption off a connection.
    async fn accept(&self, peer: DuplexStream) -> DuplexStream {
        let (peer, keys, mask) = self.handshake(peer).await;
        records(peer, keys, mask)
    }

    /// The same, but it can be left.
    pub(in super::super) async fn accept_layer(&self, peer: DuplexStream) -> Box<dyn Layer> {
        let (peer, (open, seal), mask) = self.handshake(peer).await;
        let stream: BoxStream = match mask {
            Some((incoming, out)) => Box::new(Masked::with(Box::new(peer), out, incoming)),
            None => Box::new(peer),
        };
        Box::new(CodecStream::new(
            stream,
            Records::fresh(Keys { united: Default::default(), iv: [0; 16], seal }, open, 0),
        ))
    }

    /// The keys and masks of what comes in, then of what goes out.
    async fn handshake(&self, mut peer: DuplexStream) -> (DuplexStream, (Counted, Counted), Option<(Mask, Mask)>) {
        let (iv, relay_secret) = self.relays(&mut peer).await;
        let mut relay = Counted::new(&iv, &relay_secret).unwrap();
        let length = sealed_length(&mut relay, &mut peer).await;
        let mut public = vec![0; length];
        peer.read_exact(&mut public).await.unwrap();
        let masked = self.looks == Looks::Random;
        if length == 32 {
            let context = public.clone();
            assert_eq!(relay.open(&[], &mut public).unwrap(), TICKET);
            let united = [self.ticket.lock().as_slice(), &relay_secret].concat();
            let random = [9; 16];
            peer.write_all(&random).await.unwrap();
            let mask = masked.then(|| (Mask::new(&united, &iv), Mask::new(&united, &random)));
            let keys = (Counted::new(&context, &united).unwrap(), Counted::new(&random, &united).unwrap());
            return (peer, keys, mask);
        }
        assert_eq!(length, KEM_KEY + 32 + 16);
        let public = relay.open(&[], &mut public).unwrap().to_vec();
        let (ciphertext, secret) =
            EncapsulationKey::new(&ML_KEM_768, &public[..KEM_KEY]).unwrap().encapsulate().unwrap();
        let own = PrivateKey::generate(&X25519).unwrap();
        let shared = agree(&own, UnparsedPublicKey::new(&X25519, &public[KEM_KEY..]), (), |s| Ok(s.to_vec())).unwrap();
        let mut united = [secret.as_ref(), &shared].concat();
        self.ticket.lock().clone_from(&united);
        united.extend_from_slice(&relay_secret);
        let share = [ciphertext.as_ref(), own.compute_public_key().unwrap().as_ref()].concat();
        let mut seal = Counted::new(&share, &united).unwrap();
        let mut answer = share;
        relay.seal_last(&mut answer, 0).unwrap();
        for part in [TICKET.as_slice(), &[0, 30], &[7; 14]] {
            let from = answer.len();
            answer.extend_from_slice(part);
            seal.seal(&[], &mut answer, from).unwrap();
        }
        peer.write_all(&answer).await.unwrap();
        let padding = sealed_length(&mut relay, &mut peer).await;
        let mut padding = vec![0; padding];
        peer.read_exact(&mut padding).await.unwrap();
        assert!(relay.open(&[], &mut padding).is_some());
        let mask = masked.then(|| (Mask::new(&united, &iv), Mask::new(&united, &TICKET)));
        let keys = (Counted::new(&public, &united).unwrap(), seal);
        (peer, keys, mask)
    }
}

async fn sealed_length(aead: &mut Counted, peer: &mut DuplexStream) -> usize {
    let mut length = [0; 18];
    peer.read_exact(&mut length).await.unwrap();
    let length = aead.open(&[], &mut length).unwrap();
    usize::from(u16::from_be_bytes([length[0], length[1]]))
}

/// Records both ways.
fn records(peer: DuplexStream, (open, seal): (Counted, Counted), mask: Option<(Mask, Mask)>) -> DuplexStream {
    let (ours, theirs) = duplex(16 * 1024);
    let (from_peer, to_peer) = split(peer);
    let (from_app, to_app) = split(theirs);
    let (unmask, mask) = mask.unzip();
    tokio::spawn(up(from_peer, to_app, open, unmask));
    tokio::spawn(down(from_app, to_peer, seal, mask));
    ours
}

async fn up(
    mut from: ReadHalf<DuplexStream>,
    mut to: WriteHalf<DuplexStream>,
    mut open: Counted,
    mut mask: Option<Mask>,
) {
    let mut header = [0; 5];
    while from.read_exact(&mut header).await.is_ok() {
        if let Some(mask) = &mut mask {
            mask.apply(&mut header);
        }
        assert_eq!(header[..3], [23, 3, 3]);
        let mut sealed = vec![0; usize::from(u16::from_be_bytes([header[3], header[4]]))];
        from.read_exact(&mut sealed).await.unwrap();
        to.write_all(open.open(&header, &mut sealed).unwrap()).await.unwrap();
    }
    let _ = to.shutdown().await;
}

async fn down(
    mut from: ReadHalf<DuplexStream>,
    mut to: WriteHalf<DuplexStream>,
    mut seal: Counted,
    mut mask: Option<Mask>,
) {
    let mut buffer = [0; 16_000];
    loop {
        let read = from.read(&mut buffer).await.unwrap();
        if read == 0 {
            break;
        }
        let [high, low] = (read as u16 + 16).to_be_bytes();
        let header = [23, 3, 3, high, low];
        let mut wire = [&header[..], &buffer[..read]].concat();
        seal.seal(&header, &mut wire, 5).unwrap();
        if let Some(mask) = &mut mask {
            mask.apply(&mut wire[..5]);
        }
        if to.write_all(&wire).await.is_err() {
            return;
        }
    }
    let _ = to.shutdown().await;
}

fn dialer(text: String) -> impl Fn(TransportConnector) -> Result<Arc<dyn Dialer>, BuildError> {
    move |connector| {
        let encryption = Some(Secret::new(text.as_str()));
        let id = "b831381d-6324-4d53-ad4f-8cda48b30811".parse().unwrap();
        build(&Vless { id, flow: None, encryption, packet_encoding: PacketEncoding::Xudp }, connector)
    }
}

#[tokio::test(start_paused = true)]
async fn keeps_the_laws() {
    for looks in [Looks::Native, Looks::XorPub, Looks::Random] {
        let server = Server::new(looks);
        let serve = |peer| {
            let server = Arc::clone(&server);
            async move { serve_vless(server.accept(peer).await).await }
        };
        contract::all(dialer(server.text("1rtt")), serve).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_ticket_saves_the_round_trip() {
    for looks in [Looks::Native, Looks::Random] {
        let server = Server::new(looks);
        let encryption = Encryption::new(&server.text("0rtt")).unwrap();
        for round in 0..3 {
            let (ours, theirs) = chopped_pair(round, 100);
            let accepting = tokio::spawn({
                let server = Arc::clone(&server);
                async move { server.accept(theirs).await }
            });
            let mut client = encryption.wrap(ours, &contract::attempt()).await.unwrap();
            client.write_all(b"ping").await.unwrap();
            client.flush().await.unwrap();
            let mut app = accepting.await.unwrap();
            let mut buffer = [0; 4];
            app.read_exact(&mut buffer).await.unwrap();
            assert_eq!(&buffer, b"ping");
            app.write_all(b"pong").await.unwrap();
            client.read_exact(&mut buffer).await.unwrap();
            assert_eq!(&buffer, b"pong");
        }
        // A server that forgot the ticket answers with noise, and is asked anew.
        let (ours, mut theirs) = chopped_pair(9, 100);
        let mut client = encryption.wrap(ours, &contract::attempt()).await.unwrap();
        theirs.write_all(&[1; 1300]).await.unwrap();
        assert!(matches!(Cause::from(client.read_u8().await.unwrap_err()), Cause::Protocol(_)));
        assert!(encryption.tickets.get().is_none());
    }
}

#[test]
fn contexts_of_any_bytes() {
    for length in [0, 1, 63, 64, 65, 1023, 1024, 1025, 2048, 2049, 3072, 5000, 8197] {
        let context: String = "the length of this text varies ".chars().cycle().take(length).collect();
        assert_eq!(kdf::derive(context.as_bytes(), b"material"), blake3::derive_key(&context, b"material"), "{length}");
    }
    let _ = kdf::derive(&[0xff; 100], b"");
}

#[test]
fn settings() {
    let read = |text: &str| Settings::read(text);
    let key = BASE64_URL_SAFE_NO_PAD.encode([1; 32]);
    let good = read(&format!("mlkem768x25519plus.native.0rtt.{key}")).unwrap();
    assert!(good.resumes && good.looks == Looks::Native && good.keys.len() == 1);
    let long = BASE64_URL_SAFE_NO_PAD.encode([1; KEM_KEY]);
    assert_eq!(read(&format!("mlkem768x25519plus.random.1rtt.{key}.{long}")).unwrap().keys.len(), 2);
    assert_eq!(read("none"), Err(BuildError::Unsupported("this VLESS encryption")));
    for bad in [
        "mlkem768x25519plus".to_owned(),
        format!("mlkem768x25519plus.plain.1rtt.{key}"),
        format!("mlkem768x25519plus.native.2rtt.{key}"),
        "mlkem768x25519plus.native.1rtt.100-50-60".to_owned(),
        format!("mlkem768x25519plus.native.1rtt.{key}x"),
        format!("mlkem768x25519plus.native.1rtt.50-50-60.{key}"),
        format!("mlkem768x25519plus.native.1rtt.100-1-60.{key}"),
        format!("mlkem768x25519plus.native.1rtt.100-99-99999.{key}"),
        format!("mlkem768x25519plus.native.1rtt.100-x-60.{key}"),
        format!("mlkem768x25519plus.native.1rtt{}", format!(".{key}").repeat(9)),
    ] {
        assert!(matches!(read(&bad), Err(BuildError::Invalid(_))), "{bad}");
    }
}

#[tokio::test(start_paused = true)]
async fn another_key_does_not_open() {
    let (server, other) = (Server::new(Looks::Native), Server::new(Looks::Native));
    let settings = Settings::read(&server.text("1rtt")).unwrap();
    let hello = Hello::new(&settings, 40, &mut rand::rng()).unwrap();
    assert!(matches!(hello.answer(&mut [0; super::ANSWER]), Err(Cause::Authentication)));
    let (ours, theirs) = chopped_pair(1, 100);
    drop(theirs);
    let encryption = Encryption::new(&other.text("1rtt")).unwrap();
    assert!(encryption.wrap(ours, &contract::attempt()).await.is_err());
    assert!(Tickets::default().get().is_none());
}

/// Bodies pass, headers of records are masked, and where no record begins everything is; in any pieces.
#[test]
fn masked_headers() {
    let stream = [&[23, 3, 3, 0, 4][..], b"body", &[23, 3, 3, 0, 0], &[21, 3, 3, 0, 2], b"al", &[23, 3, 3]].concat();
    let mask = || Mask::new(b"material", &[7; 16]);
    let mut key = vec![0; 40];
    mask().apply(&mut key);
    let (mut expected, mut used) = (stream.clone(), 0);
    for (at, byte) in expected.iter_mut().enumerate() {
        if !(5..9).contains(&at) {
            *byte ^= key[used];
            used += 1;
        }
    }
    for piece in 1..=stream.len() {
        let mut wire = stream.clone();
        let mut headers = Headers::new(mask(), 0);
        wire.chunks_mut(piece).for_each(|piece| headers.hide(piece));
        assert_eq!(wire, expected, "{piece}");
        let mut headers = Headers::new(mask(), 0);
        wire.chunks_mut(piece).for_each(|piece| headers.show(piece));
        assert_eq!(wire, stream, "{piece}");
    }
    let mut behind = [&b"skipped"[..], &stream].concat();
    Headers::new(mask(), 7).hide(&mut behind);
    assert_eq!(behind, [&b"skipped"[..], &expected].concat());
}

proptest! {
    #[test]
    fn any_text_is_settings_or_an_error(text in "(mlkem768x25519plus|native|xorpub|1rtt|0rtt|\\.|[0-9]{1,4}-|[A-Za-z0-9_-]{43}){0,10}") {
        if let Ok(settings) = Settings::read(&text) {
            let (pieces, pauses) = settings.padding.draw(&mut SmallRng::seed_from_u64(1));
            prop_assert!((35..=18 + 65535).contains(&pieces.iter().sum::<usize>()));
            prop_assert!(pauses.len() <= pieces.len());
        }
    }

    #[test]
    fn garbage_does_not_panic(answer in proptest::collection::vec(any::<u8>(), 0..200), seed: u64, most in 1..300_usize) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        let key = BASE64_URL_SAFE_NO_PAD.encode([9; 32]);
        let encryption = Encryption::new(&format!("mlkem768x25519plus.random.0rtt.{key}")).unwrap();
        let hello = Settings::read(&format!("mlkem768x25519plus.random.0rtt.{key}")).unwrap();
        prop_assert_eq!(hello, encryption.settings.clone());
        encryption.tickets.put(super::hello::Ticket::for_tests(TICKET));
        runtime.block_on(async {
            let (ours, mut theirs) = chopped_pair(seed, most);
            let mut client = encryption.wrap(ours, &contract::attempt()).await.unwrap();
            theirs.write_all(&answer).await.unwrap();
            theirs.shutdown().await.unwrap();
            assert!(client.read_to_end(&mut Vec::new()).await.is_err());
        });
    }
}
