//! Records at the edges of what is allowed: lengths, counts, alerts, and messages where none may be.

use std::{sync::Arc, task::Poll, time::Duration};

use aws_lc_rs::aead::{AES_128_GCM, AES_256_GCM, Algorithm, CHACHA20_POLY1305};
use hezar_core::{Host, Tls};
use rustls::{Error, crypto::aws_lc_rs::default_provider};
use tokio::io::{AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf, duplex};

use super::{
    super::{
        ALERT, BAD_RECORD_MAC, DATA, Edition, HANDSHAKE, HEADER, Half, KEY_UPDATE, MOST_EMPTY, MOST_TEXT,
        NEW_SESSION_TICKET, RECORD_OVERFLOW, UNEXPECTED_MESSAGE,
        zero_keys::{read, zeroed},
    },
    meet, text,
};
use crate::{
    Attempt, TlsClients, TlsServer,
    io::codec_stream::{Codec as _, Opened},
    security::tls::server::TlsAccepted,
    testing::Authority,
};

const NEW: Edition = Edition::Tls13;
const OLD: Edition = Edition::Tls12;

/// What the client reads of these sealed records, how it ends, and the alert that it answers with.
fn hear(edition: Edition, records: &[(u8, &[u8])]) -> (Vec<u8>, &'static str, Option<u8>) {
    let (mut ours, mut server) = zeroed(edition, u64::MAX).unwrap();
    let (mut wire, mut said) = (Vec::new(), Vec::new());
    for (kind, text) in records {
        server.seal(*kind, text, &mut wire).unwrap();
        // New keys follow the end of such a message; here they are the same, from the first record on.
        if edition == NEW && *kind == HANDSHAKE && (*text == [KEY_UPDATE, 0, 0, 1, 0] || *text == [0, 1, 0]) {
            server = zeroed(edition, u64::MAX).unwrap().1;
        }
    }
    let mut room = vec![0; 20_000];
    loop {
        let mut out = ReadBuf::new(&mut room);
        match ours.open(&mut wire, &mut out) {
            Ok(Opened::Used(used)) => {
                said.extend_from_slice(out.filled());
                wire.drain(..used);
            }
            Ok(Opened::End) => return (said, "end", None),
            Ok(_) => return (said, "open", None),
            Err(cause) => {
                let mut answer = Vec::new();
                assert!(ours.refuse(&cause, &mut answer), "both sides are over");
                let alert = (!answer.is_empty()).then(|| {
                    let opened = server_opens(edition, &mut answer);
                    assert_eq!((opened.0, opened.1.len(), opened.1[0]), (ALERT, 2, 2));
                    opened.1[1]
                });
                return (said, cause.code(), alert);
            }
        }
    }
}

/// The first record that we have sealed, with the keys that are all zeroes.
fn server_opens(edition: Edition, record: &mut [u8]) -> (u8, Vec<u8>) {
    let (_, mut theirs) = zeroed(edition, u64::MAX).unwrap();
    let opened = theirs.open(record, None).unwrap();
    let from = theirs.text_at();
    (opened.kind, record[from..from + opened.length].to_vec())
}

/// A text of TLS 1.3 with its type inside and so much padding, to be sealed under the type 0.
fn padded(length: usize, padding: usize) -> Vec<u8> {
    let mut inner = vec![1; length];
    inner.push(DATA);
    inner.resize(length + padding, 0);
    inner
}

#[test]
fn a_record_has_a_longest_text() {
    let too_long =
        |edition, kind, text: &[u8]| hear(edition, &[(kind, text)]) == (Vec::new(), "protocol", Some(RECORD_OVERFLOW));
    let whole = |edition, kind, text: &[u8], length| {
        let (said, end, alert) = hear(edition, &[(kind, text)]);
        said.len() == length && end == "open" && alert.is_none()
    };
    for edition in [NEW, OLD] {
        assert!(whole(edition, DATA, &vec![1; MOST_TEXT], MOST_TEXT));
        assert!(too_long(edition, DATA, &vec![1; MOST_TEXT + 1]));
    }
    // Type and padding count too; a padding of 1 is the type 0 that `seal` appends.
    assert!(whole(NEW, 0, &padded(MOST_TEXT - 1, 1), MOST_TEXT - 1));
    assert!(too_long(NEW, 0, &padded(MOST_TEXT, 1)));
    assert!(too_long(NEW, 0, &padded(1, MOST_TEXT + 100)));
    assert!(whole(NEW, 0, &padded(1, MOST_TEXT - 1), 1));
}

#[test]
fn a_record_is_padded_to_any_length() {
    for algorithm in [&AES_128_GCM, &AES_256_GCM, &CHACHA20_POLY1305] {
        let half = |edition| Half::with(edition, 9, algorithm, &vec![3; algorithm.key_len()], [4; 12]).unwrap();
        let (mut ours, mut theirs, mut wire) = (half(NEW), half(NEW), Vec::new());
        let shortest = HEADER + 3 + 1 + 16;
        for length in [shortest, shortest + 1, 100, HEADER + MOST_TEXT + 17] {
            wire.clear();
            ours.seal_padded(HANDSHAKE, b"abc", length, &mut wire).unwrap();
            assert_eq!((wire.len(), &wire[..3]), (length, &[DATA, 3, 3][..]));
            assert_eq!(usize::from(u16::from_be_bytes([wire[3], wire[4]])), length - HEADER);
            let opened = theirs.open(&mut wire, None).unwrap();
            assert_eq!((opened.kind, &wire[HEADER..HEADER + opened.length]), (HANDSHAKE, &b"abc"[..]));
        }
        // What does not fit leaves nothing behind, and uses up no number.
        for (edition, length) in [(NEW, shortest - 1), (NEW, 0), (OLD, 100), (OLD, 5)] {
            let mut ours = half(edition);
            assert!(ours.seal_padded(HANDSHAKE, b"abc", length, &mut Vec::new()).is_err());
            wire.clear();
            ours.seal(DATA, b"next", &mut wire).unwrap();
            assert_eq!(half(edition).open(&mut wire, None).unwrap().length, 4);
        }
    }
}

#[test]
fn a_header_has_a_longest_record() {
    for (edition, most) in [(NEW, MOST_TEXT + 256), (OLD, MOST_TEXT + 2048)] {
        for (length, refused) in [(most, false), (most + 1, true), (0xffff, true)] {
            let [high, low] = u16::try_from(length).unwrap().to_be_bytes();
            let (mut ours, _) = zeroed(edition, u64::MAX).unwrap();
            let mut header = [DATA, 3, 3, high, low];
            let opened = ours.open(&mut header, &mut ReadBuf::new(&mut []));
            match opened {
                Ok(Opened::Need(needed)) => assert!(!refused && needed == HEADER + length),
                Ok(other) => panic!("{other:?}"),
                Err(cause) => {
                    let mut answer = Vec::new();
                    assert!(refused && ours.refuse(&cause, &mut answer));
                    assert_eq!(server_opens(edition, &mut answer).1, [2, RECORD_OVERFLOW]);
                }
            }
        }
    }
}

/// The cases that BoringSSL's test runner has for what comes after a handshake, as far as a client without certificates has them.
#[test]
fn messages_after_the_handshake() {
    let update: (u8, &[u8]) = (HANDSHAKE, &[KEY_UPDATE, 0, 0, 1, 0]);
    let data: (u8, &[u8]) = (DATA, b"x");
    let many = usize::from(MOST_EMPTY);
    let refused = ("protocol", Some(UNEXPECTED_MESSAGE));
    let fine = ("open", None);
    for (edition, records, (end, alert)) in [
        // Key updates: a flood, one in two parts, one in TLS 1.2, too short, too long, with an unknown wish, with another behind it.
        (NEW, vec![update; many], fine),
        (NEW, [vec![update; many], vec![data], vec![update; many]].concat(), fine),
        (NEW, vec![update; many + 1], refused),
        (NEW, vec![(HANDSHAKE, &[KEY_UPDATE, 0][..]), (HANDSHAKE, &[0, 1, 0]), data], fine),
        (OLD, vec![update], refused),
        (NEW, vec![(HANDSHAKE, &[KEY_UPDATE, 0, 0, 0])], refused),
        (NEW, vec![(HANDSHAKE, &[KEY_UPDATE, 0, 0, 2, 0, 0])], refused),
        (NEW, vec![(HANDSHAKE, &[KEY_UPDATE, 0, 0, 1, 2])], refused),
        (NEW, vec![(HANDSHAKE, &[KEY_UPDATE, 0, 0, 1, 0, KEY_UPDATE, 0, 0, 1, 0])], refused),
        (NEW, vec![(HANDSHAKE, &[KEY_UPDATE, 0, 0, 1, 0, KEY_UPDATE])], refused),
        // What comes between the parts of a message: data, an alert, a change of cipher.
        (NEW, vec![(HANDSHAKE, &[4, 0]), data], refused),
        (NEW, vec![(HANDSHAKE, &[4, 0]), (DATA, &[])], refused),
        (NEW, vec![(HANDSHAKE, &[4, 0]), (ALERT, &[1, 90])], refused),
        (NEW, vec![(HANDSHAKE, &[4, 0]), (ALERT, &[1, 0])], refused),
        (OLD, vec![(HANDSHAKE, &[0, 0]), (ALERT, &[1, 90])], refused),
        (OLD, vec![(HANDSHAKE, &[0, 0]), (HANDSHAKE, &[0, 0]), data], fine),
        // Messages that have no place: requests for certificates and a new handshake, a hello, the end of early data, Finished, unknown ones.
        (NEW, vec![(HANDSHAKE, &[13, 0, 0, 0])], refused),
        (NEW, vec![(HANDSHAKE, &[0, 0, 0, 0])], refused),
        (NEW, vec![(HANDSHAKE, &[2, 0, 0, 0])], refused),
        (NEW, vec![(HANDSHAKE, &[5, 0, 0, 0])], refused),
        (NEW, vec![(HANDSHAKE, &[20, 0, 0, 0])], refused),
        (NEW, vec![(HANDSHAKE, &[254, 0, 0, 0])], refused),
        (OLD, vec![(HANDSHAKE, &[0, 0, 0, 1, 0])], refused),
        (OLD, vec![(HANDSHAKE, &[2, 0, 0, 0])], refused),
        (OLD, vec![(HANDSHAKE, &[4, 0, 0, 1, 0])], refused),
        (OLD, vec![(HANDSHAKE, &[0, 0, 0, 0]); many], fine),
        (OLD, vec![(HANDSHAKE, &[0, 0, 0, 0]); many + 1], refused),
        // Records of other kinds, and empty ones.
        (NEW, vec![(20, &[1])], refused),
        (OLD, vec![(20, &[1])], refused),
        (OLD, vec![(24, &[1])], refused),
        (NEW, vec![(HANDSHAKE, &[])], refused),
        (NEW, vec![(ALERT, &[])], refused),
        // Alerts: half of one, two in one record, one that is none, warnings, and a flood of these.
        (NEW, vec![(ALERT, &[1])], refused),
        (NEW, vec![(ALERT, &[1, 0, 1, 0])], refused),
        (NEW, vec![(ALERT, &[1, 90]); many + 1], refused),
        (OLD, vec![(ALERT, &[1, 41]); many], fine),
        (OLD, vec![(ALERT, &[1, 41]); many + 1], refused),
        // The server's own alert is not answered.
        (NEW, vec![(ALERT, &[2, 20])], ("io", None)),
        (NEW, vec![(ALERT, &[1, 41])], ("io", None)),
        (OLD, vec![(ALERT, &[2, 40])], ("io", None)),
        (NEW, vec![data, (ALERT, &[1, 0]), data], ("end", None)),
    ] {
        let heard = hear(edition, &records);
        assert_eq!((heard.1, heard.2), (end, alert), "{edition:?} {records:?}");
    }
}

/// Computed apart, with OpenSSL's AEADs, from RFC 8446 §5.2 and §5.3, RFC 5288 and RFC 7905: the key is 00 01 02 …, the IV a0 a1 a2 …
#[test]
fn known_answers() {
    const TEXT: &[u8] = b"the quick brown fox";
    const FAR: u64 = 0x0102_0304_0506_0708;
    let cases: [(Edition, &'static Algorithm, u64, &str); 12] = [
        (NEW, &AES_128_GCM, 0, "1703030024deee5d9b0ffc5a69e158d7722965de4035815b1f15a8e09642f7572d66641091a3e2e738"),
        (NEW, &AES_128_GCM, FAR, "17030300241c1dfd92324f4ba14c83a9c0b8470a1df91d633893df3986c5129ff65bfa54405b98596a"),
        (
            OLD,
            &AES_128_GCM,
            1,
            "170303002ba4a5a6a7a8a9aaaa4b9203badb9fe58c6c8b74ff61112f542fa40bff5860ef385801172f0efcfa04ff9abb",
        ),
        (
            OLD,
            &AES_128_GCM,
            FAR,
            "170303002ba5a7a5a3adafada31c1dfd92324f4ba14c83a9c0b8470a1df91d634a01b1364dfd5806437e86c14925c9ed",
        ),
        (NEW, &AES_256_GCM, 0, "17030300249270190d34be6bdc0945e5a1680daefe16c321072922ed06dec0076dd935059a865b1d66"),
        (NEW, &AES_256_GCM, FAR, "170303002485becc670858641d4a345b8b4e2b3caa32570b02a1b32c36795c63b95432cf640aa1dfb0"),
        (
            OLD,
            &AES_256_GCM,
            1,
            "170303002ba4a5a6a7a8a9aaaa21f6a647a19a74fa8df7bff75aac0987936df26d6b80166ed44e9861a2ecd00e25b726",
        ),
        (
            OLD,
            &AES_256_GCM,
            FAR,
            "170303002ba5a7a5a3adafada385becc670858641d4a345b8b4e2b3caa32570bf4725a1471b6583badb15aee2f3362ac",
        ),
        (
            NEW,
            &CHACHA20_POLY1305,
            0,
            "170303002478c31d7f3c93abcecb2f9166938d93dbfb31aba8df293bf133585b82bb3789adc2cd3db1",
        ),
        (
            NEW,
            &CHACHA20_POLY1305,
            FAR,
            "1703030024d2972176a2fe57f5dedc8e283c902a46137ff34e75f02b3c2ae72b80fdf8b5cb2bf34169",
        ),
        (
            OLD,
            &CHACHA20_POLY1305,
            1,
            "1703030023061da9d39e082a8e7fb00b453cd2705a7672e7217c24c5ac8b2e082f209ee0fd825400",
        ),
        (
            OLD,
            &CHACHA20_POLY1305,
            FAR,
            "1703030023d2972176a2fe57f5dedc8e283c902a46137ff366ee5098faa38c7352465c7863d6c05b",
        ),
    ];
    for (edition, algorithm, sequence, wire) in cases {
        let key: Vec<u8> = (0..algorithm.key_len() as u8).collect();
        let half = || Half::with(edition, sequence, algorithm, &key, std::array::from_fn(|i| 0xa0 + i as u8)).unwrap();
        let (mut sealed, mut server) = (Vec::new(), half());
        server.seal(DATA, TEXT, &mut sealed).unwrap();
        assert_eq!(hex::encode(&sealed), wire, "{edition:?} {algorithm:?}");
        let mut theirs = half();
        let opened = theirs.open(&mut sealed, None).unwrap();
        let from = theirs.text_at();
        assert_eq!((opened.kind, &sealed[from..from + opened.length]), (DATA, TEXT));
    }
}

#[test]
fn a_wire_that_is_cut_anywhere_says_what_was_whole() {
    for edition in [NEW, OLD] {
        let (_, mut server) = zeroed(edition, u64::MAX).unwrap();
        let (mut wire, mut ends) = (Vec::new(), vec![(0, 0)]);
        for length in [1, 30, 5] {
            server.seal(DATA, &vec![7; length], &mut wire).unwrap();
            ends.push((wire.len(), ends.last().unwrap().1 + length));
        }
        for cut in 0..=wire.len() {
            let (mut ours, _) = zeroed(edition, u64::MAX).unwrap();
            let mut said = Vec::new();
            let end = read(&mut ours, &wire[..cut], 7, &mut said);
            let (place, whole) = *ends.iter().rev().find(|(place, _)| *place <= cut).unwrap();
            assert_eq!((said.len(), end), (whole, if place == cut { "may end" } else { "cut" }));
        }
    }
}

/// Servers of both versions, and what went over the wire beneath them.
async fn pair(tls13: bool) -> (crate::security::TlsStream, tokio_rustls::server::TlsStream<tokio::io::DuplexStream>) {
    let authority = Authority::new();
    let clients = TlsClients::new(std::slice::from_ref(&authority.root));
    let version = if tls13 { &rustls::version::TLS13 } else { &rustls::version::TLS12 };
    let acceptor = authority.server_of(&["node.example"], &["h2"], default_provider(), &[version]).0;
    let (client, server) = meet(&clients, &acceptor, 100_000).await;
    (client.secured(), server)
}

#[tokio::test]
async fn what_came_before_a_bad_record_is_read_first() {
    for tls13 in [true, false] {
        for room in [1, 4, 100, 30_000] {
            let (mut client, mut server) = pair(tls13).await;
            let answer = text(20_000);
            server.write_all(&answer).await.unwrap();
            server.flush().await.unwrap();
            server.get_mut().0.write_all(&[DATA, 3, 3, 0, 40]).await.unwrap();
            server.get_mut().0.write_all(&[9; 40]).await.unwrap();
            let (mut got, mut piece) = (Vec::new(), vec![0; room]);
            let failure = loop {
                match client.read(&mut piece).await {
                    Ok(length) => got.extend_from_slice(&piece[..length]),
                    Err(failure) => break failure,
                }
            };
            assert!(got == answer, "{} bytes, {room}", got.len());
            assert!(failure.to_string().contains("does not open"), "{failure}");
            assert!(client.read(&mut piece).await.is_err(), "a failure stays");
            // Our side is over too, and the server knows why.
            assert_eq!(client.write(b"more").await.unwrap_err().kind(), std::io::ErrorKind::BrokenPipe);
            client.shutdown().await.unwrap();
            let heard = server.read(&mut piece).await.unwrap_err();
            let heard = heard.get_ref().and_then(|inner| inner.downcast_ref::<Error>()).unwrap();
            assert_eq!(heard, &Error::AlertReceived(rustls::AlertDescription::from(BAD_RECORD_MAC)));
        }
    }
}

#[tokio::test]
async fn what_was_sealed_before_the_keys_were_used_up_is_sent() {
    let (mut client, mut server) = pair(false).await;
    client.codec_mut().limit = 3;
    let sent = client.write(&text(60_000)).await.unwrap();
    assert_eq!(sent, MOST_TEXT);
    assert!(client.write(b"more").await.is_err());
    client.flush().await.unwrap();
    let mut got = vec![0; sent];
    server.read_exact(&mut got).await.unwrap();
    assert!(got == text(60_000)[..sent]);
}

#[tokio::test]
async fn both_sides_renew_their_keys_near_the_limit() {
    let (mut client, mut server) = pair(true).await;
    client.codec_mut().limit = 3;
    for round in 0..40_u8 {
        server.get_mut().1.refresh_traffic_keys().unwrap();
        for _ in 0..3 {
            server.write_all(&[round; 100]).await.unwrap();
            client.write_all(&[round; 200]).await.unwrap();
        }
        server.flush().await.unwrap();
        client.flush().await.unwrap();
        let (mut down, mut up) = ([0; 300], [0; 600]);
        client.read_exact(&mut down).await.unwrap();
        server.read_exact(&mut up).await.unwrap();
        assert!(down == [round; 300] && up == [round; 600]);
    }
}

#[tokio::test]
async fn a_key_update_after_our_end_is_heard_and_not_answered() {
    let (mut client, mut server) = pair(true).await;
    client.write_all(b"all").await.unwrap();
    client.shutdown().await.unwrap();
    let mut got = Vec::new();
    server.read_to_end(&mut got).await.unwrap();
    assert_eq!(got, b"all");
    for _ in 0..3 {
        server.get_mut().1.refresh_traffic_keys().unwrap();
        server.write_all(b"still here").await.unwrap();
    }
    server.shutdown().await.unwrap();
    got.clear();
    client.read_to_end(&mut got).await.unwrap();
    assert_eq!(got, b"still here".repeat(3));
    assert!(client.write(b"x").await.is_err());
    // Nothing of ours comes behind our end.
    let mut beneath = [0; 1];
    let (stream, _) = server.into_inner();
    let mut stream = stream;
    assert_eq!(stream.read(&mut beneath).await.unwrap(), 0);
}

#[tokio::test]
async fn a_write_that_is_cut_at_every_byte_is_whole() {
    let authority = Authority::new();
    let clients = TlsClients::new(std::slice::from_ref(&authority.root));
    let acceptor = authority.server(&["node.example"], &["h2"]).0;
    let (client, mut server) = meet(&clients, &acceptor, 1).await;
    let mut client = client.secured();
    let sent = text(5000);
    let write = async {
        for piece in sent.chunks(997) {
            client.write_all(piece).await.unwrap();
        }
        client.shutdown().await.unwrap();
    };
    let mut got = Vec::new();
    let ((), read) = tokio::join!(write, server.read_to_end(&mut got));
    read.unwrap();
    assert!(got == sent);
}

/// What is relied on in rustls beyond its stable interface. Who changes the version reads its notes on security and on
/// `rustls::kernel`, and then changes this.
#[tokio::test]
async fn rustls_is_the_one_that_was_read() {
    const READ: &str = "0.23.46";
    let lock = include_str!("../../../../../../../Cargo.lock");
    assert_eq!(lock.matches("name = \"rustls\"\n").count(), 1);
    assert!(lock.contains(&format!("name = \"rustls\"\nversion = \"{READ}\"\n")));
    let manifest = include_str!("../../../../../../../Cargo.toml");
    assert!(manifest.contains(&format!("rustls = {{ version = \"={READ}\"")));
    let provider = default_provider();
    assert_eq!(provider.cipher_suites.len(), 9);
    for suite in provider.cipher_suites {
        let limit = match suite {
            rustls::SupportedCipherSuite::Tls13(suite) => suite.common.confidentiality_limit,
            rustls::SupportedCipherSuite::Tls12(suite) => suite.common.confidentiality_limit,
        };
        // RFC 8446 §5.5: 2^24.5 records for AES-GCM, and the sequence number for ChaCha20.
        let most = if format!("{:?}", suite.suite()).contains("CHACHA20") { u64::MAX } else { 1 << 24 };
        assert_eq!(limit, most, "{suite:?}");
    }
    for (tls13, sequence) in [(true, 0), (false, 1)] {
        let authority = Authority::new();
        let clients = TlsClients::new(std::slice::from_ref(&authority.root));
        let version = if tls13 { &rustls::version::TLS13 } else { &rustls::version::TLS12 };
        let acceptor = authority.server_of(&["node.example"], &["h2"], default_provider(), &[version]).0;
        let (client, _server) = meet(&clients, &acceptor, 100_000).await;
        let mut records = client.records;
        assert_eq!((records.ours.sequence(), records.theirs.sequence()), (sequence, sequence));
        // The next keys begin at 0; before TLS 1.3 there are none, and no ticket comes after the handshake.
        let (ours, theirs) = (records.post_handshake.renew_ours(), records.post_handshake.renew_theirs());
        assert_eq!(ours.ok().map(|half| half.sequence()), tls13.then_some(0));
        assert_eq!(theirs.ok().map(|half| half.sequence()), tls13.then_some(0));
        assert!(records.post_handshake.take_message(records.edition, NEW_SESSION_TICKET, b"no ticket").is_err());
    }
}

/// A failure while the connection takes nothing: the alert waits for the next flush.
#[tokio::test]
async fn an_alert_waits_for_a_connection_that_is_full() {
    let (mut client, mut server) = pair(true).await;
    // The server reads nothing, so that what we write fills the connection.
    std::future::poll_fn(|cx| {
        while let Poll::Ready(sent) = std::pin::Pin::new(&mut client).poll_write(cx, &[5; 10_000]) {
            sent.unwrap();
        }
        Poll::Ready(())
    })
    .await;
    server.get_mut().0.write_all(&[DATA, 3, 3, 0, 40]).await.unwrap();
    server.get_mut().0.write_all(&[9; 40]).await.unwrap();
    assert!(client.read(&mut [0; 10]).await.is_err());
    let mut got = Vec::new();
    let (flushed, received) = tokio::join!(client.shutdown(), server.read_to_end(&mut got));
    flushed.unwrap();
    let failure = received.unwrap_err();
    let alert = failure.get_ref().and_then(|inner| inner.downcast_ref::<Error>());
    assert_eq!(alert, Some(&Error::AlertReceived(rustls::AlertDescription::from(BAD_RECORD_MAC))));
}

/// What only a server may say, a client may not: tickets, requests for a new handshake or a certificate, another hello.
#[tokio::test]
async fn a_server_takes_no_message_of_a_server() {
    let authority = Authority::new();
    let (host, tls) = (Host::new("node.example").unwrap(), Tls::default());
    for version in rustls::ALL_VERSIONS {
        let acceptor = authority.server_of(&["node.example"], &["h2"], default_provider(), &[version]).0;
        let server = TlsServer::new(Arc::clone(acceptor.config()));
        for message in [&[4, 0, 0, 1, 0][..], &[0, 0, 0, 0], &[1, 0, 0, 0], &[13, 0, 0, 0]] {
            let clients = TlsClients::new(std::slice::from_ref(&authority.root));
            let (ours, theirs) = duplex(64 * 1024);
            let attempt = Attempt::within(Duration::from_secs(60));
            let client = clients.handshake(ours, &tls, &host, &["h2"], None, &attempt);
            let (client, server) = tokio::join!(client, server.accept(Box::new(theirs)));
            let mut client = client.unwrap();
            let Ok(TlsAccepted::Stream(mut server)) = server else { panic!("{message:?}") };
            let mut wire = Vec::new();
            client.records.ours.seal(HANDSHAKE, message, &mut wire).unwrap();
            client.stream.write_all(&wire).await.unwrap();
            let failure = server.read(&mut [0; 10]).await.unwrap_err();
            assert!(failure.to_string().contains("no place here"), "{failure}");
        }
    }
}
