//! Records against rustls servers of every suite, against golden bytes, and against servers that do what they may not.

mod edges;
mod oracle;

use std::{sync::Arc, time::Duration};

use aws_lc_rs::aead::AES_128_GCM;
use hezar_core::{Host, Tls};
use proptest::prelude::*;
use rustls::{
    ConnectionTrafficSecrets, HandshakeKind, SupportedCipherSuite,
    crypto::{
        aws_lc_rs::default_provider,
        cipher::{AeadKey, Iv},
    },
};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, ReadBuf};
use tokio_rustls::{TlsAcceptor, server::TlsStream as ServerStream};

use super::{
    ALERT, DATA, Edition, HANDSHAKE, Half, MOST_EMPTY,
    zero_keys::{decode, decode_client, read, zeroed},
};
use crate::{
    Attempt, TlsClients,
    io::codec_stream::Codec,
    security::tls::{Handshaken, tests::exchange},
    testing::{Authority, chopped_pair},
};

/// A handshake, of which the client's end is cut into pieces.
async fn meet(
    clients: &TlsClients,
    acceptor: &TlsAcceptor,
    most: usize,
) -> (Handshaken<crate::BoxStream>, ServerStream<DuplexStream>) {
    let (ours, theirs) = chopped_pair(3, most);
    let (host, tls) = (Host::new("node.example").unwrap(), Tls::default());
    let attempt = Attempt::within(Duration::from_secs(60));
    let client = clients.handshake(ours, &tls, &host, &["h2"], None, &attempt);
    let (client, server) = tokio::join!(client, acceptor.accept(theirs));
    (client.unwrap(), server.unwrap())
}

/// A server that speaks this suite alone.
fn only(authority: &Authority, suite: SupportedCipherSuite) -> TlsAcceptor {
    let mut provider = default_provider();
    provider.cipher_suites = vec![suite];
    let version = suite.version();
    let versions = rustls::ALL_VERSIONS.iter().copied().filter(|known| known.version == version.version);
    authority.server_of(&["node.example"], &["h2"], provider, &versions.collect::<Vec<_>>()).0
}

fn text(length: u32) -> Vec<u8> {
    (0..length).map(|number| number.to_le_bytes()[1]).collect()
}

#[tokio::test]
async fn every_suite_carries_both_directions() {
    let authority = Authority::new();
    let clients = TlsClients::new(std::slice::from_ref(&authority.root));
    let suites = default_provider().cipher_suites;
    let mut seen = [0, 0];
    for suite in suites {
        let acceptor = only(&authority, suite);
        for most in [1000, 100_000] {
            let (client, mut server) = meet(&clients, &acceptor, most).await;
            assert!(client.records().speaks_h2());
            seen[usize::from(client.records().is_tls13())] += 1;
            exchange(&mut client.secured(), &mut server, &text(300_000)).await;
        }
    }
    assert_eq!(seen, [12, 6]);
}

#[tokio::test]
async fn a_handshake_in_small_records_is_put_together() {
    let authority = Authority::new();
    let clients = TlsClients::new(std::slice::from_ref(&authority.root));
    let acceptor = authority.server(&["node.example"], &["h2"]).0;
    let mut config = acceptor.config().as_ref().clone();
    config.max_fragment_size = Some(64);
    let acceptor = TlsAcceptor::from(Arc::new(config));
    for most in [1, 100, 100_000] {
        let (client, mut server) = meet(&clients, &acceptor, most).await;
        exchange(&mut client.secured(), &mut server, &text(3000)).await;
    }
}

#[tokio::test]
async fn a_session_is_resumed() {
    let authority = Authority::new();
    for versions in [&[&rustls::version::TLS13], &[&rustls::version::TLS12]] {
        let clients = TlsClients::new(std::slice::from_ref(&authority.root));
        let acceptor = authority.server_of(&["node.example"], &["h2"], default_provider(), versions).0;
        for kind in [HandshakeKind::Full, HandshakeKind::Resumed, HandshakeKind::Resumed] {
            let (client, mut server) = meet(&clients, &acceptor, 5000).await;
            assert_eq!(server.get_ref().1.handshake_kind(), Some(kind), "{versions:?}");
            exchange(&mut client.secured(), &mut server, b"the ticket comes with the answer").await;
        }
    }
}

#[tokio::test]
async fn keys_are_renewed_when_the_server_asks() {
    let authority = Authority::new();
    let clients = TlsClients::new(std::slice::from_ref(&authority.root));
    let acceptor = authority.server_of(&["node.example"], &["h2"], default_provider(), &[&rustls::version::TLS13]).0;
    let (client, mut server) = meet(&clients, &acceptor, 700).await;
    let mut client = client.secured();
    for round in 0..5_u8 {
        server.get_mut().1.refresh_traffic_keys().unwrap();
        server.write_all(&[round; 3000]).await.unwrap();
        server.flush().await.unwrap();
        let mut got = [0; 3000];
        client.read_exact(&mut got).await.unwrap();
        assert_eq!(got, [round; 3000]);
        // With the first data our keys change too.
        client.write_all(&[round; 2000]).await.unwrap();
        client.flush().await.unwrap();
        let mut got = [0; 2000];
        server.read_exact(&mut got).await.unwrap();
        assert_eq!(got, [round; 2000]);
    }
}

#[tokio::test]
async fn used_up_keys_are_renewed_or_end_the_connection() {
    let authority = Authority::new();
    let clients = TlsClients::new(std::slice::from_ref(&authority.root));
    for versions in [&[&rustls::version::TLS13], &[&rustls::version::TLS12]] {
        let acceptor = authority.server_of(&["node.example"], &["h2"], default_provider(), versions).0;
        let (mut client, mut server) = meet(&clients, &acceptor, 5000).await;
        client.records.limit = 4;
        let mut client = client.secured();
        let send = async {
            for _ in 0..20 {
                client.write_all(&[7; 100]).await?;
                client.flush().await?;
            }
            std::io::Result::Ok(())
        };
        let receive = async {
            let mut got = [0; 2000];
            server.read_exact(&mut got).await.is_ok_and(|_| got == [7; 2000])
        };
        if versions[0].version == rustls::ProtocolVersion::TLSv1_3 {
            let (sent, received) = tokio::join!(send, receive);
            assert!(sent.is_ok() && received);
        } else {
            assert!(send.await.is_err());
        }
    }
}

/// RFC 8448 §3: what the client and the server of the simple handshake say after it.
#[test]
fn golden_records() {
    let half = |key: &str, iv: &str, sequence| {
        let (key, iv) = (hex::decode(key).unwrap(), hex::decode(iv).unwrap().try_into().unwrap());
        Half::with(Edition::Tls13, sequence, &AES_128_GCM, &key, iv).unwrap()
    };
    let data: Vec<u8> = (0..50).collect();
    let mut client = half("17422dda596ed5d9acd890e3c63f5051", "5b78923dee08579033e523d9", 0);
    let mut wire = Vec::new();
    client.seal(DATA, &data, &mut wire).unwrap();
    client.seal(ALERT, &[1, 0], &mut wire).unwrap();
    let said = "1703030043a23f7054b62c94d0affafe8228ba55cbefacea42f914aa66bcab3f2b9819a8a5b46b395bd54a9a20441e2b62974e1f5a6292\
                a2977014bd1e3deae63aeebb21694915e41703030013c9872760655666b74d7ff1153efd6db6d0b0e3";
    assert_eq!(hex::encode(&wire), said);
    // The first record with these keys was a ticket.
    let server = || half("9f02283b6c9c07efc26bb9f2ac92e356", "cf782b88dd83549aadf1e984", 1);
    let said = "17030300432e937e11ef4ac740e538ad36005fc4a46932fc3225d05f82aa1b36e30efaf97d90e6dffc602dcb501a59a8fcc49c4bf2e5f0\
                a21c0047c2abf332540dd032e167c2955d";
    let mut record = hex::decode(said).unwrap();
    let mut room = [0; 60];
    let mut out = ReadBuf::new(&mut room);
    let opened = server().open(&mut record, Some(&mut out)).unwrap();
    assert_eq!((opened.kind, out.initialize_unfilled_to(opened.length)), (DATA, &mut data.clone()[..]));
    let opened = server().open(&mut record, None).unwrap();
    assert_eq!(record[5..5 + opened.length], data);
}

#[test]
fn what_may_not_come_ends_the_connection() {
    let sealed = |edition, records: &[(u8, &[u8])]| {
        let (mut ours, mut server) = zeroed(edition, u64::MAX).unwrap();
        let mut wire = Vec::new();
        records.iter().for_each(|(kind, text)| server.seal(*kind, text, &mut wire).unwrap());
        let mut said = Vec::new();
        let end = read(&mut ours, &wire, usize::MAX, &mut said);
        (String::from_utf8(said).unwrap(), end)
    };
    let (new, old) = (Edition::Tls13, Edition::Tls12);
    let hello = (DATA, &b"hello"[..]);
    for (edition, records, end) in [
        (new, vec![hello, (ALERT, &[1, 0])], "end"),
        (old, vec![hello, (ALERT, &[1, 0])], "end"),
        (new, vec![hello, (ALERT, &[1, 90]), (DATA, &[])], "may end"),
        (old, vec![hello, (ALERT, &[1, 100]), (HANDSHAKE, &[0, 0, 0, 0])], "may end"),
        (new, vec![hello, (ALERT, &[1, 100])], "io"),
        (old, vec![hello, (ALERT, &[2, 20])], "io"),
        (new, vec![hello, (ALERT, &[1])], "protocol"),
        (new, vec![hello, (HANDSHAKE, &[])], "protocol"),
        (new, vec![hello, (HANDSHAKE, &[0, 0, 0, 0])], "protocol"),
        (old, vec![hello, (HANDSHAKE, &[4, 0, 0, 1, 0])], "protocol"),
        (new, vec![hello, (20, &[1])], "protocol"),
        // A ticket in two records, whole and with data in between.
        (new, vec![hello, (HANDSHAKE, &[4, 0, 0]), (HANDSHAKE, &[1, 0])], "may end"),
        (new, vec![hello, (HANDSHAKE, &[4, 0, 0])], "cut"),
        (new, vec![hello, (HANDSHAKE, &[4, 0, 0]), (DATA, &[65])], "protocol"),
        // New keys, with something behind them in the same record, and a word that is neither yes nor no.
        (new, vec![hello, (HANDSHAKE, &[24, 0, 0, 1, 0, 4, 0, 0, 1, 0])], "protocol"),
        (new, vec![hello, (HANDSHAKE, &[24, 0, 0, 1, 2])], "protocol"),
    ] {
        assert_eq!(sealed(edition, &records), ("hello".to_owned(), end), "{records:?}");
    }
    let idle = vec![(DATA, &[][..]); usize::from(MOST_EMPTY)];
    assert_eq!(sealed(new, &[&idle[..], &[hello], &idle].concat()), ("hello".to_owned(), "may end"));
    assert_eq!(sealed(new, &[&idle[..], &[(DATA, &[]), hello]].concat()), (String::new(), "protocol"));
    let long = (HANDSHAKE, &[4, 1, 0, 0].iter().copied().chain([0; 16_000]).collect::<Vec<_>>()[..]);
    assert_eq!(sealed(new, &[hello, long, long, long, long, long]).1, "protocol");
}

#[test]
fn headers_that_are_none() {
    for header in [[23, 3, 3, 0xff, 0xff], [23, 2, 3, 0, 32], [22, 3, 3, 0, 32], [21, 3, 3, 0, 2]] {
        let (mut ours, _) = zeroed(Edition::Tls13, u64::MAX).unwrap();
        assert_eq!(read(&mut ours, &header, 1, &mut Vec::new()), "protocol", "{header:?}");
    }
    // No room for a tag, and nothing but zeroes.
    let (mut ours, mut server) = zeroed(Edition::Tls13, u64::MAX).unwrap();
    assert_eq!(read(&mut ours, &[23, 3, 3, 0, 3, 1, 2, 3], 1, &mut Vec::new()), "protocol");
    let mut wire = Vec::new();
    server.seal(0, &[0; 10], &mut wire).unwrap();
    assert_eq!(read(&mut zeroed(Edition::Tls13, u64::MAX).unwrap().0, &wire, 1, &mut Vec::new()), "protocol");
    assert!(ours.may_end());
}

proptest! {
    #[test]
    fn any_records_in_any_pieces(data in proptest::collection::vec(any::<u8>(), 0..2000), piece in 1usize..500) {
        prop_assert_eq!(decode(&data, piece), decode(&data, usize::MAX));
        prop_assert_eq!(decode_client(&data, piece), decode_client(&data, usize::MAX));
    }

    #[test]
    fn what_one_half_seals_the_other_opens(
        old: bool,
        kind in 1u8..,
        texts in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..200), 0..20),
        flipped: Option<usize>,
    ) {
        let edition = if old { Edition::Tls12 } else { Edition::Tls13 };
        let secrets = ConnectionTrafficSecrets::Aes256Gcm { key: AeadKey::from([1; 32]), iv: Iv::from([2; 12]) };
        let half = || Half::new(edition, 0, &secrets).unwrap();
        let (mut ours, mut theirs) = (half(), half());
        for text in texts {
            let mut record = Vec::new();
            theirs.seal(kind, &text, &mut record).unwrap();
            if let Some(place) = flipped {
                // The version in the header is nobody's business in TLS 1.2; everything else is authentic.
                let place = 5 + place % (record.len() - 5);
                record[place] ^= 1;
                prop_assert!(ours.open(&mut record, None).is_none());
                break;
            }
            let opened = ours.open(&mut record, None).unwrap();
            prop_assert_eq!(opened.kind, kind);
            let from = ours.text_at();
            prop_assert_eq!(&record[from..from + opened.length], &text[..]);
        }
    }
}
