//! The second hello: handshakes with servers that ask for another key share, and what browsers never change in it.

use std::sync::Arc;

use parking_lot::Mutex;
use proptest::prelude::*;
use rustls::NamedGroup;
use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

use super::{
    super::{
        Hello, Shape, alpn, config,
        ja4::{self, Seen},
        retry::{is_retry, second_hello},
        template::CHROME,
    },
    name, narrow, talk,
};
use crate::{
    io::read_through::ReadThrough,
    security::{tap::Tap, tls::trusting},
    testing::{Authority, Chopped},
};

/// The groups that Chrome offers without a share, and the length of a share.
const GROUPS: [(NamedGroup, usize); 2] = [(NamedGroup::secp256r1, 65), (NamedGroup::secp384r1, 97)];

/// The records of a client whose server takes this group alone, up to its first encrypted one.
async fn records(authority: &Authority, group: NamedGroup, most: usize) -> Vec<Vec<u8>> {
    let acceptor = narrow(authority, |p| p.kx_groups.retain(|g| g.name() == group), false);
    let config = Arc::new(config(Shape::Browser(&CHROME), trusting(&authority.root), &alpn(CHROME.alpn)).unwrap());
    let hello = Hello::new(Shape::Browser(&CHROME), config, name(), None).unwrap();
    let (ours, theirs) = duplex(64 * 1024);
    let read = Arc::<Mutex<Vec<u8>>>::default();
    let tapped = ReadThrough { reader: Tap(Arc::clone(&read)), inner: theirs };
    let serve = async { acceptor.accept(tapped).await.unwrap().read_u8().await.unwrap() };
    let client = async {
        let mut stream = hello.connect(Chopped::new(ours, 5, most)).await.unwrap().boxed().secured();
        stream.write_all(b"x").await.unwrap();
        stream.flush().await.unwrap();
        stream
    };
    let (word, _open) = tokio::join!(serve, client);
    assert_eq!(word, b'x');
    let (mut records, mut rest) = (Vec::new(), std::mem::take(&mut *read.lock()));
    while rest.first().is_some_and(|kind| *kind != 23) {
        let length = 5 + usize::from(u16::from_be_bytes([rest[3], rest[4]]));
        records.push(rest.drain(..length).collect());
    }
    records
}

#[tokio::test]
async fn a_server_that_asks_for_another_group_is_answered() {
    let authority = Authority::new();
    for (group, _) in GROUPS {
        let acceptor = narrow(&authority, |p| p.kx_groups.retain(|g| g.name() == group), false);
        for most in [1, 7, 1500, 64 * 1024] {
            for shape in [Shape::Browser(&CHROME), Shape::Own] {
                assert_eq!(talk(shape, &acceptor, &authority, most).await.unwrap(), b"pong", "{group:?}");
            }
        }
    }
}

#[tokio::test]
async fn a_second_hello_differs_from_the_first_in_its_key_share_alone() {
    let authority = Authority::new();
    for (group, length) in GROUPS {
        for most in [1, 64 * 1024, 64 * 1024, 64 * 1024] {
            let records = records(&authority, group, most).await;
            let [first, middle, second] = &records[..] else { panic!("{} records", records.len()) };
            // RFC 8446 §D.4, and §5.1 for the version.
            assert_eq!(middle, &[20, 3, 3, 0, 1, 1]);
            assert_eq!((&first[..3], &second[..3]), (&[22, 3, 1][..], &[22, 3, 3][..]));
            // Version, random, session id.
            assert_eq!(first[9..76], second[9..76]);
            let [first, second] = [first, second].map(|record| ja4::read(record));
            assert_eq!(first.ciphers, second.ciphers);
            let differing: Vec<_> =
                first.extensions.iter().zip(&second.extensions).filter(|(before, after)| before != after).collect();
            let [(before, after)] = &differing[..] else { panic!("{differing:?}") };
            assert_eq!((before.0, after.0, first.extensions.len()), (51, 51, second.extensions.len()));
            // One share, and none of a GREASE group: a point without compression.
            let (number, body) = (u16::from(group).to_be_bytes(), u16::try_from(length).unwrap().to_be_bytes());
            let whole = u16::try_from(length + 4).unwrap().to_be_bytes();
            assert_eq!(after.1[..7], [&whole[..], &number, &body, &[4]].concat());
            assert_eq!(after.1.len(), length + 6);
        }
    }
}

/// A hello of either side with these extensions.
fn message(kind: u8, server: bool, extensions: &[(u16, &[u8])]) -> Vec<u8> {
    let mut list = Vec::new();
    for (number, body) in extensions {
        list.extend_from_slice(&number.to_be_bytes());
        list.extend_from_slice(&u16::try_from(body.len()).unwrap().to_be_bytes());
        list.extend_from_slice(body);
    }
    let mut hello = [&[3, 3][..], &[7; 32], &[1, 9]].concat();
    hello.extend_from_slice(if server { &[0x13, 1, 0] } else { &[0, 2, 0x13, 1, 1, 0] });
    hello.extend_from_slice(&u16::try_from(list.len()).unwrap().to_be_bytes());
    hello.extend_from_slice(&list);
    [&[kind, 0, 0, u8::try_from(hello.len()).unwrap()][..], &hello].concat()
}

fn numbers(message: &[u8]) -> Vec<(u16, Vec<u8>)> {
    let length = u16::try_from(message.len()).unwrap().to_be_bytes();
    let Seen { extensions, .. } = ja4::read(&[&[22, 3, 3, length[0], length[1]][..], message].concat());
    extensions
}

#[test]
fn a_cookie_comes_back_between_the_ends() {
    let first = message(1, false, &[(0x0a0a, b""), (51, b"shares"), (13, b"x"), (0x1a1a, b"\0")]);
    let cookie = &b"\0\x03yum"[..];
    let of_rustls = message(1, false, &[(44, cookie), (51, b"one")]);
    let mut places = [0; 5];
    for _ in 0..200 {
        let asked = message(2, true, &[(43, b"\x03\x04"), (44, cookie)]);
        let second = numbers(&second_hello(&first, &asked, &of_rustls, &mut rand::rng()).unwrap());
        places[second.iter().position(|(number, body)| *number == 44 && body == cookie).unwrap()] += 1;
        // Only the cookie is new: the server has asked for no other share.
        let rest: Vec<_> = second.into_iter().filter(|(number, _)| *number != 44).collect();
        assert_eq!(rest, numbers(&first));
    }
    assert!(places[0] == 0 && places[4] == 0 && places[1..4].iter().all(|count| *count > 20), "{places:?}");
    let asked = message(2, true, &[(51, b"\0\x18"), (44, cookie)]);
    let both = numbers(&second_hello(&first, &asked, &of_rustls, &mut rand::rng()).unwrap());
    assert!(both.contains(&(51, b"one".to_vec())) && both.contains(&(44, cookie.to_vec())));
}

#[test]
fn what_cannot_be_answered_is_not() {
    let first = message(1, false, &[(0x0a0a, b""), (51, b"shares")]);
    let asked = message(2, true, &[(51, b"\0\x18")]);
    let none = message(1, false, &[]);
    assert!(second_hello(&first, &asked, &none, &mut rand::rng()).is_none(), "rustls has no share");
    for end in 0..first.len() {
        assert!(second_hello(&first[..end], &asked, &first, &mut rand::rng()).is_none(), "{end}");
    }
    assert!(!is_retry(&asked) && !is_retry(b""));
}

proptest! {
    #[test]
    fn any_bytes_as_messages(first: Vec<u8>, retry: Vec<u8>, of_rustls: Vec<u8>) {
        let _ = (second_hello(&first, &retry, &of_rustls, &mut rand::rng()), is_retry(&retry));
    }
}
