//! ShadowTLS against a server written down from its definition, with a real TLS site behind it, and against sites alone.

use std::time::Duration;

use aws_lc_rs::hmac::{HMAC_SHA1_FOR_LEGACY_USE_ONLY, Key, sign};
use hezar_core::{Host, Secret, Tls};
use proptest::prelude::*;
use sha2::{Digest, Sha256};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream, ReadBuf, WriteHalf, duplex, split},
    sync::oneshot,
};
use tokio_rustls::TlsAcceptor;

use super::{
    ShadowTlsClient, decode,
    frames::{Frames, Marks},
    session_id,
    unmasked::Unmask,
};
use crate::{
    Attempt, BoxStream, Cause, DialError, TlsClients,
    io::codec_stream::{Codec, Opened},
    security::{
        client_hello::{OwnHello, SESSION_ID},
        tls::records::{ALERT, DATA},
    },
    testing::{Authority, Chopped},
};

const PASSWORD: &str = "open sesame";

fn password() -> Secret {
    Secret::new(PASSWORD)
}

fn attempt() -> Attempt {
    Attempt::within(Duration::from_secs(3600))
}

fn client(password: &str, authority: &Authority) -> ShadowTlsClient {
    let tls = Tls { server_name: Some("site.example".into()), ..Tls::default() };
    let clients = TlsClients::new(std::slice::from_ref(&authority.root));
    ShadowTlsClient::new(&tls, Secret::new(password), &Host::new("192.0.2.1").unwrap(), &clients)
}

fn hmac(parts: &[&[u8]]) -> [u8; 4] {
    let tag = sign(&Key::new(HMAC_SHA1_FOR_LEGACY_USE_ONLY, PASSWORD.as_bytes()), &parts.concat());
    tag.as_ref()[..4].try_into().unwrap()
}

/// One record with its header; nothing at the end.
async fn record(from: &mut (impl AsyncReadExt + Unpin)) -> Option<Vec<u8>> {
    let mut record = vec![0; 5];
    from.read_exact(&mut record).await.ok()?;
    record.resize(5 + usize::from(u16::from_be_bytes([record[3], record[4]])), 0);
    from.read_exact(&mut record[5..]).await.ok()?;
    Some(record)
}

fn data(parts: &[&[u8]]) -> Vec<u8> {
    let body = parts.concat();
    [&[DATA, 3, 3][..], &(body.len() as u16).to_be_bytes(), &body].concat()
}

/// Whether a hello is one of our clients'.
fn knows(hello: &[u8]) -> bool {
    let mut message = hello[5..].to_vec();
    let proof: [u8; 4] = message[67..71].try_into().unwrap();
    message[67..71].fill(0);
    message[38] == 32 && proof == hmac(&[&message])
}

/// What a server came to.
enum Met {
    /// A client: its frames come out of the stream, and what is written to it goes out in frames.
    Client(DuplexStream),
    /// A stranger, or nobody any more.
    Nobody,
}

/// A ShadowTLS server with a site behind it. The site must run on its own.
async fn serve(peer: DuplexStream, site: DuplexStream) -> Met {
    let (mut from, to) = split(peer);
    let (mut from_site, mut to_site) = split(site);
    let Some(hello) = record(&mut from).await else { return Met::Nobody };
    to_site.write_all(&hello).await.unwrap();
    if !knows(&hello) {
        let mut peer = from.unsplit(to);
        let mut site = from_site.unsplit(to_site);
        let _ = tokio::io::copy_bidirectional(&mut peer, &mut site).await;
        return Met::Nobody;
    }
    let Some(answer) = record(&mut from_site).await else { return Met::Nobody };
    let random: [u8; 32] = answer[11..43].try_into().unwrap();
    let (stop, stopped) = oneshot::channel();
    let down = tokio::spawn(relay_down(from_site, to, answer, random, stopped));
    // Until the first frame of the client's.
    let first = loop {
        let Some(record) = record(&mut from).await else { return Met::Nobody };
        if record[0] == DATA && record[5..9] == hmac(&[&random, b"C", &record[9..]]) {
            break record;
        }
        if to_site.write_all(&record).await.is_err() {
            return Met::Nobody;
        }
    };
    stop.send(()).unwrap();
    let mut to = down.await.unwrap();
    let (ours, theirs) = duplex(16 * 1024);
    let (mut app_from, mut app_to) = split(theirs);
    tokio::spawn(async move {
        let mut seen = [&random[..], b"C"].concat();
        let mut next = Some(first);
        while let Some(frame) = next {
            seen.extend_from_slice(&frame[9..]);
            let mark = hmac(&[&seen]);
            assert_eq!(frame[5..9], mark);
            seen.extend_from_slice(&mark);
            app_to.write_all(&frame[9..]).await.unwrap();
            next = record(&mut from).await;
        }
        let _ = app_to.shutdown().await;
    });
    tokio::spawn(async move {
        let mut seen = [&random[..], b"S"].concat();
        let mut piece = vec![0; 40_000];
        loop {
            let read = app_from.read(&mut piece).await.unwrap();
            if read == 0 {
                break;
            }
            seen.extend_from_slice(&piece[..read]);
            let mark = hmac(&[&seen]);
            seen.extend_from_slice(&mark);
            if to.write_all(&data(&[&mark, &piece[..read]])).await.is_err() {
                return;
            }
        }
        let _ = to.write_all(&[ALERT, 3, 3, 0, 2, 1, 0]).await;
        let _ = to.shutdown().await;
    });
    Met::Client(ours)
}

/// Masks and marks what the site says until it is told to stop, and a last record after that.
async fn relay_down(
    mut from_site: tokio::io::ReadHalf<DuplexStream>,
    mut to: WriteHalf<DuplexStream>,
    hello: Vec<u8>,
    random: [u8; 32],
    mut stopped: oneshot::Receiver<()>,
) -> WriteHalf<DuplexStream> {
    let mask: [u8; 32] = Sha256::digest([PASSWORD.as_bytes(), &random].concat()).into();
    let mut seen = random.to_vec();
    let mut masked = |payload: &[u8]| {
        let payload: Vec<u8> = payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask).collect();
        seen.extend_from_slice(&payload);
        data(&[&hmac(&[&seen]), &payload])
    };
    let mut next = Some(hello);
    loop {
        if let Some(record) = next.take() {
            let record = if record[0] == DATA { masked(&record[5..]) } else { record };
            if to.write_all(&record).await.is_err() {
                return to;
            }
        }
        tokio::select! {
            more = record(&mut from_site) => match more {
                Some(record) => next = Some(record),
                None => { let _ = (&mut stopped).await; break; }
            },
            _ = &mut stopped => break,
        }
    }
    // What the site said too late; the client is to leave it out.
    let _ = to.write_all(&masked(b"one more ticket")).await;
    to
}

/// A site that shakes hands and answers one request. Returns what it was asked.
async fn site(acceptor: TlsAcceptor, io: DuplexStream) -> Vec<u8> {
    let Ok(mut stream) = acceptor.accept(io).await else { return Vec::new() };
    let mut heard = vec![0; 16 * 1024];
    let length = stream.read(&mut heard).await.unwrap_or_default();
    heard.truncate(length);
    let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
    let _ = stream.shutdown().await;
    heard
}

/// A dial to a server with this site behind it; what the site was asked comes with it.
async fn dial(
    client: &ShadowTlsClient,
    acceptor: &TlsAcceptor,
    most: usize,
) -> (Result<BoxStream, DialError>, Met, Vec<u8>) {
    let (ours, theirs) = duplex(1 << 16);
    let (to_site, behind) = duplex(1 << 16);
    let asked = tokio::spawn(site(acceptor.clone(), behind));
    let server = tokio::spawn(serve(theirs, to_site));
    let attempt = attempt();
    let mut result = client.wrap(Box::new(Chopped::new(ours, 7, most)), &attempt).await;
    // The server knows us by the first frame.
    if let Ok(stream) = &mut result {
        stream.write_all(b"ping").await.unwrap();
        stream.flush().await.unwrap();
    }
    let met = server.await.unwrap();
    (result, met, asked.await.unwrap())
}

#[tokio::test(start_paused = true)]
async fn a_server_with_our_password_is_met() {
    let authority = Authority::new();
    let acceptor = authority.server(&["site.example"], &["h2", "http/1.1"]).0;
    for (own_hello, most) in [(false, 1), (true, 1), (false, 700), (true, 700), (false, 1 << 16)] {
        let mut client = client(PASSWORD, &authority);
        client.browser.own_hello = OwnHello::only_when(own_hello);
        let (result, met, asked) = dial(&client, &acceptor, most).await;
        let (mut stream, Met::Client(mut app)) = (result.unwrap(), met) else { panic!("we were not known") };
        assert!(asked.is_empty(), "the site was asked");
        let mut word = [0; 4];
        app.read_exact(&mut word).await.unwrap();
        assert_eq!(&word, b"ping");
        let down: Vec<u8> = (0..200_000_usize).map(|i| ((i * 7) >> 3) as u8).collect();
        let (up, sent) = (down.repeat(2), down.clone());
        let expected = up.clone();
        let serving = tokio::spawn(async move {
            let (mut from, mut to) = split(app);
            let writing = tokio::spawn(async move {
                to.write_all(&sent).await.unwrap();
                to.shutdown().await.unwrap();
            });
            let mut received = Vec::new();
            from.read_to_end(&mut received).await.unwrap();
            writing.await.unwrap();
            assert!(received == expected, "what went up differs");
        });
        let (mut from, mut to) = split(&mut stream);
        let writing = async {
            to.write_all(&up).await.unwrap();
            to.shutdown().await.unwrap();
        };
        let mut received = Vec::new();
        let (read, ()) = tokio::join!(from.read_to_end(&mut received), writing);
        read.unwrap();
        assert!(received == down, "what came down differs");
        serving.await.unwrap();
    }
}

/// With another password, or where there is no ShadowTLS at all, it is only the site that answers.
#[tokio::test(start_paused = true)]
async fn a_site_alone_is_visited_and_left() {
    let authority = Authority::new();
    for (alpn, greeting) in [("http/1.1", "GET / HTTP/1.1\r\nHost: site.example\r\n"), ("h2", "PRI * HTTP/2.0")] {
        let acceptor = authority.server(&["site.example"], &[alpn]).0;
        let (result, met, asked) = dial(&client("another", &authority), &acceptor, 900).await;
        assert_eq!(result.err().unwrap().code(), "authentication");
        assert!(matches!(met, Met::Nobody));
        assert!(asked.starts_with(greeting.as_bytes()), "{}", String::from_utf8_lossy(&asked));
        let (ours, theirs) = duplex(1 << 16);
        let (client, attempt) = (client(PASSWORD, &authority), attempt());
        let (result, asked) = tokio::join!(client.wrap(Box::new(ours), &attempt), site(acceptor, theirs));
        assert_eq!(result.err().unwrap().code(), "authentication");
        assert!(asked.starts_with(greeting.as_bytes()), "{}", String::from_utf8_lossy(&asked));
    }
}

#[tokio::test(start_paused = true)]
async fn a_site_that_does_not_verify_gets_nothing() {
    let authority = Authority::new();
    let other_name = authority.server(&["other.example"], &["h2"]).0;
    let other_issuer = Authority::new().server(&["site.example"], &["h2"]).0;
    for acceptor in [other_name, other_issuer] {
        for password in [PASSWORD, "another"] {
            let (result, _, asked) = dial(&client(password, &authority), &acceptor, 900).await;
            assert_eq!((result.err().unwrap().code(), asked.len()), ("certificate", 0));
        }
    }
}

/// Such a site has nothing to mark before the first byte of ours: it is left, whoever is in front of it.
#[tokio::test(start_paused = true)]
async fn a_site_without_tls_1_3_is_left() {
    let authority = Authority::new();
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    let acceptor = authority.server_of(&["site.example"], &["http/1.1"], provider, &[&rustls::version::TLS12]).0;
    let client = client(PASSWORD, &authority);
    for _ in 0..2 {
        let (result, ..) = dial(&client, &acceptor, 900).await;
        assert!(matches!(result.err().unwrap().cause, Cause::Hello(_)));
    }
    let (result, _, asked) = dial(&client, &acceptor, 900).await;
    assert_eq!(result.err().unwrap().code(), "tls");
    assert!(asked.starts_with(b"GET / HTTP/1.1\r\n"));
}

#[test]
fn golden_session_id() {
    let mut hello = vec![0; 200];
    (hello[0], hello[38]) = (1, 32);
    let id = session_id(&password(), &hello);
    hello[SESSION_ID].copy_from_slice(&id);
    let record = [&[22, 3, 1, 0, 200][..], &hello].concat();
    assert!(knows(&record));
    assert_ne!(session_id(&password(), &hello), id);
    hello[199] = 1;
    assert!(!knows(&[&[22, 3, 1, 0, 200][..], &hello].concat()));
}

fn frames(random: &[u8; 32]) -> Frames {
    Frames::new(&password(), random, Marks::new(&password(), &[random]))
}

#[test]
fn golden_frames() {
    let mut wire = Vec::new();
    let mut frames = frames(&[9; 32]);
    for (payload, length) in [(&b"one"[..], 3), (b"", 0), (b"two", 3)] {
        assert_eq!(frames.seal(payload, &mut wire).unwrap(), length);
    }
    frames.finish(&mut wire).unwrap();
    // Of Python's hmac: HMAC-SHA1("open sesame", 32 times 9, "C", "one"), then with that mark's start and "two" behind.
    assert_eq!(hex::encode(wire), "1703030007f0058f3c6f6e65170303000779046a8a74776f");
    let mut wire = Vec::new();
    assert_eq!(frames.seal(&[0; 40_000], &mut wire).unwrap(), 16 * 1024);
    assert_eq!(wire.len(), 5 + 4 + 16 * 1024);
}

fn open(frames: &mut Frames, wire: &[u8]) -> Result<Opened, Cause> {
    frames.open(&mut wire.to_vec(), &mut ReadBuf::new(&mut [0; 16]))
}

#[test]
fn what_comes_in_frames() {
    let random = [9; 32];
    let mut frames = frames(&random);
    let first = hmac(&[&random, b"S", b"one"]);
    let late = data(&[&hmac(&[&random, b"ticket"]), b"ticket"]);
    assert_eq!(open(&mut frames, &late).unwrap(), Opened::Used(late.len()));
    let wire = data(&[&first, b"one"]);
    for length in 0..wire.len() {
        let need = if length < 5 { 5 } else { wire.len() };
        assert_eq!(open(&mut frames, &wire[..length]).unwrap(), Opened::Need(need));
    }
    assert_eq!(open(&mut frames, &wire).unwrap(), Opened::Held(12, 9..12));
    assert_eq!(open(&mut frames, &[ALERT, 3, 3, 0, 2, 1, 0]).unwrap(), Opened::Used(7));
    // An empty frame is one; nobody is told of it.
    let second = hmac(&[&random, b"S", b"one", &first]);
    assert_eq!(open(&mut frames, &data(&[&second])).unwrap(), Opened::Held(9, 9..9));
    // Alerts are passed over, but not for ever.
    for _ in 0..64 {
        assert_eq!(open(&mut frames, &[ALERT, 3, 3, 0, 2, 1, 0]).unwrap(), Opened::Used(7));
    }
    assert!(matches!(open(&mut frames, &[ALERT, 3, 3, 0, 2, 1, 0]), Err(Cause::Protocol(_))));
    // After the first frame the site says no more, and no frame comes twice.
    for wrong in [&late, &wire, &data(&[b"abc"]), &vec![22, 3, 3, 0, 0], &vec![DATA, 3, 3, 0, 0]] {
        assert!(matches!(open(&mut frames, wrong), Err(Cause::Protocol(_))));
    }
}

/// A handshake's records from a server, and what the site said in them.
fn masked() -> (Vec<u8>, Vec<u8>) {
    let random = [5; 32];
    let mask: [u8; 32] = Sha256::digest([PASSWORD.as_bytes(), &random].concat()).into();
    let hello = [&[22, 3, 3, 0, 40, 2, 0, 0, 36, 3, 3][..], &random, &[0, 0]].concat();
    let (mut wire, mut said, mut seen) = (hello.clone(), hello, random.to_vec());
    for body in [vec![1; 100], Vec::new(), vec![2; 16_640]] {
        let payload: Vec<u8> = body.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask).collect();
        seen.extend_from_slice(&payload);
        wire.extend_from_slice(&data(&[&hmac(&[&seen]), &payload]));
        said.extend_from_slice(&data(&[&body]));
    }
    (wire, said)
}

fn unmasked(wire: &[u8], piece: usize) -> Vec<u8> {
    let mut unmask = Unmask::new(password());
    let mut said = Vec::new();
    for piece in wire.chunks(piece) {
        unmask.buffer().extend_from_slice(piece);
        while let Some(record) = unmask.next() {
            said.extend_from_slice(&record);
        }
    }
    said
}

#[test]
fn masks_and_marks_come_off() {
    let (wire, said) = masked();
    for piece in [1, 3, 44, 1000, wire.len()] {
        assert!(unmasked(&wire, piece) == said, "in pieces of {piece}");
    }
    // A record with another mark stays as it is.
    let mut other = wire.clone();
    other[50] ^= 1;
    assert_eq!(unmasked(&other, 100)[45..100], other[45..100]);
}

proptest! {
    #[test]
    fn any_answer(bytes in proptest::collection::vec(any::<u8>(), 0..200), place in 0..300_usize, piece in 1..200_usize) {
        prop_assert_eq!(decode(&bytes, piece), decode(&bytes, usize::MAX));
        let (mut wire, _) = masked();
        wire.splice(place..place, bytes);
        prop_assert!(unmasked(&wire, piece) == unmasked(&wire, wire.len()));
    }
}
