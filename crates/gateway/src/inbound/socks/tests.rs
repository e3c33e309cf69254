//! SOCKS on the wire: known bytes, any splitting, no panic.

use proptest::prelude::*;

use super::wire::*;
use crate::Refusal;

fn whole<T>(read: Read<T>) -> (T, usize) {
    read.unwrap().expect("complete")
}

fn connect(wanted: Result<SocksCommand, Refusal>) -> String {
    match wanted.unwrap() {
        SocksCommand::Connect(target) => target.to_string(),
        SocksCommand::Associate { port } => format!("an association from port {port}"),
    }
}

#[test]
fn associations_need_no_address() {
    let (ask, used) = whole(request(&[5, 3, 0, 1, 0, 0, 0, 0, 0, 0]));
    assert_eq!((connect(ask.command), used), ("an association from port 0".into(), 10));
    let (ask, _) = whole(request(b"\x05\x03\x00\x03\x03?!*\x1f\x90"));
    assert_eq!(connect(ask.command), "an association from port 8080");
    assert_eq!(associated("127.0.0.1:4660".parse().unwrap()), [5, 0, 0, 1, 127, 0, 0, 1, 0x12, 0x34]);
    let mapped = associated("[::ffff:1.2.3.4]:1".parse().unwrap());
    assert_eq!(mapped, [5, 0, 0, 1, 1, 2, 3, 4, 0, 1]);
}

#[test]
fn datagrams() {
    let (target, payload) = datagram(b"\0\0\0\x03\x0bexample.com\x00\x35question").unwrap();
    assert_eq!((target.to_string().as_str(), payload), ("example.com:53", &b"question"[..]));
    let (target, payload) = datagram(b"\0\0\0\x01\x01\x02\x03\x04\x00\x35").unwrap();
    assert_eq!((target.to_string().as_str(), payload), ("1.2.3.4:53", &b""[..]));
    assert_eq!(datagram(b"\0\0\x01\x01\x01\x02\x03\x04\x00\x35x").unwrap_err(), "fragment");
    for bad in [&b""[..], b"\0\0\0", b"\0\0\0\x09aaaaaaaaaa", b"\0\0\0\x01\x01\x02\x03\x04\0\0x", b"\0\0\0\x03\xffa"] {
        assert_eq!(datagram(bad).unwrap_err(), "malformed", "{bad:?}");
    }
}

#[test]
fn greeting_with_both_methods() {
    let (methods, used) = whole(greeting(&[5, 3, 0, 1, 2, 5, 1]));
    assert_eq!(methods, Methods { none: true, login: true });
    assert_eq!(used, 5);
    assert_eq!(whole(greeting(&[5, 0])).0, Methods::default());
    assert!(greeting(&[4, 1]).is_err());
}

#[test]
fn login_with_empty_password() {
    let (login, used) = whole(login(b"\x01\x03bob\x00rest"));
    assert_eq!((&*login[0].name, &*login[0].password, used), ("bob", "", 6));
    assert!(super::wire::login(b"\x02\x01a\x00").is_err());
}

#[test]
fn requests_of_all_address_types() {
    let cases: [(&[u8], &str); 4] = [
        (b"\x05\x01\x00\x01\x7f\x00\x00\x01\x1f\x90", "127.0.0.1:8080"),
        (b"\x05\x01\x00\x03\x0bexample.com\x01\xbb", "example.com:443"),
        (b"\x05\x01\x00\x03\x071.2.3.4\x00\x50", "1.2.3.4:80"),
        (b"\x05\x01\x00\x04\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01\x00\x50", "[::1]:80"),
    ];
    for (bytes, expected) in cases {
        let (ask, used) = whole(request(bytes));
        assert_eq!(connect(ask.command), expected);
        assert_eq!(used, bytes.len());
    }
}

#[test]
fn unsupported_requests_are_read_whole_then_refused() {
    for (command, name) in [(2, "BIND"), (9, "(unknown)")] {
        let (ask, _) = whole(request(&[5, command, 0, 1, 1, 1, 1, 1, 0, 80]));
        assert!(matches!(ask.command, Err(Refusal::UnsupportedCommand(found)) if found == name));
    }
    assert_eq!(request(&[5, 1, 0, 9]).unwrap_err().socks5_reply(), 8);
    assert!(whole(request(&[5, 1, 0, 1, 1, 1, 1, 1, 0, 0])).0.command.is_err());
}

#[test]
fn socks4_and_4a() {
    let (ask, used) = whole(request4(b"\x04\x01\x00\x50\x01\x02\x03\x04bob\x00tail"));
    assert_eq!((connect(ask.command), ask.user.as_deref(), used), ("1.2.3.4:80".into(), Some("bob"), 12));
    let bytes = b"\x04\x01\x01\xbb\x00\x00\x00\x07\x00example.com\x00";
    let (ask, used) = whole(request4(bytes));
    assert_eq!((connect(ask.command), ask.user, used), ("example.com:443".into(), None, bytes.len()));
    assert!(whole(request4(b"\x04\x02\x00\x50\x01\x02\x03\x04\x00")).0.command.is_err());
    let mut endless = b"\x04\x01\x00\x50\x01\x02\x03\x04".to_vec();
    endless.resize(endless.len() + MAX_TEXT + 1, b'a');
    assert!(request4(&endless).is_err());
}

/// Feeds growing prefixes: nothing may be decided early, and what follows must not change the result.
fn split_invariant<T: std::fmt::Debug>(bytes: &[u8], tail: &[u8], read: impl Fn(&[u8]) -> Read<T>) {
    let Ok(Some((value, used))) = read(bytes) else { return };
    for end in 0..used {
        assert!(matches!(read(&bytes[..end]), Ok(None)), "decided after {end} of {used} bytes");
    }
    let longer = [&bytes[..used], tail].concat();
    let (again, used_again) = whole(read(&longer));
    assert_eq!((format!("{value:?}"), used), (format!("{again:?}"), used_again));
}

proptest! {
    #[test]
    fn any_splitting_reads_the_same(
        name in "[a-z]{1,20}(\\.[a-z]{1,10}){1,3}", user in "[a-z]{0,20}", port in 1..=u16::MAX,
        tail in prop::collection::vec(any::<u8>(), 0..20),
    ) {
        let port = port.to_be_bytes();
        let five = [&[5, 1, 0, 3, name.len() as u8][..], name.as_bytes(), &port].concat();
        split_invariant(&five, &tail, request);
        let four = [&[4, 1][..], &port, &[0, 0, 0, 1], user.as_bytes(), &[0], name.as_bytes(), &[0]].concat();
        split_invariant(&four, &tail, request4);
        let login_bytes = [&[1, user.len() as u8][..], user.as_bytes(), &[name.len() as u8], name.as_bytes()].concat();
        split_invariant(&login_bytes, &tail, |bytes| Ok(login(bytes)?.map(|(l, n)| (l.into_iter().map(|l| (l.name, l.password)).collect::<Vec<_>>(), n))));
    }

    #[test]
    fn datagrams_round_trip(
        host in prop::sample::select(vec!["1.2.3.4", "2001:db8::1", "a.example"]), port in 1..=u16::MAX,
        payload in prop::collection::vec(any::<u8>(), 0..2000),
    ) {
        let target = hezar_core::Target::new(hezar_core::Host::new(host).unwrap(), port).unwrap();
        let bytes = put_datagram(&target, &payload);
        prop_assert_eq!(datagram(&bytes).unwrap(), (target, &payload[..]));
    }

    #[test]
    fn garbage_datagrams_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        if let Ok((_, payload)) = datagram(&bytes) {
            prop_assert!(bytes.ends_with(payload));
        }
    }

    #[test]
    fn garbage_never_panics(mut bytes in prop::collection::vec(any::<u8>(), 0..700), version in prop::sample::select(vec![1u8, 4, 5])) {
        if let Some(first) = bytes.first_mut() { *first = version; }
        for used in [
            greeting(&bytes).ok().flatten().map(|r| r.1), login(&bytes).ok().flatten().map(|r| r.1),
            request(&bytes).ok().flatten().map(|r| r.1), request4(&bytes).ok().flatten().map(|r| r.1),
        ].into_iter().flatten() {
            prop_assert!(used <= bytes.len());
        }
    }
}
