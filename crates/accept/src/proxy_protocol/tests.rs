//! Headers of both versions, good and bad, and that more bytes change nothing that is decided.

use proptest::prelude::*;

use super::*;

/// A header of version 2.
fn v2(version_command: u8, family: u8, body: &[u8]) -> Vec<u8> {
    let length = u16::try_from(body.len()).unwrap().to_be_bytes();
    [v2::SIGNATURE, &[version_command, family], &length, body].concat()
}

fn client(bytes: &[u8]) -> Result<String, HeaderError> {
    let header = read_proxy_header(bytes)?.expect("the header is whole");
    Ok(match header.by {
        ProxiedBy::Client(address) => format!("{address} {}", header.length),
        ProxiedBy::Proxy => format!("proxy {}", header.length),
    })
}

#[test]
fn lines_of_version_1_name_the_client() {
    for (line, expected) in [
        ("PROXY TCP4 192.0.2.7 203.0.113.1 50000 443\r\nGET", "192.0.2.7:50000 44"),
        ("PROXY TCP6 2001:db8::7 2001:db8::1 1 65535\r\n", "[2001:db8::7]:1 44"),
        ("PROXY UNKNOWN\r\n", "proxy 15"),
        ("PROXY UNKNOWN ffff:: ffff:: 1 2\r\nx", "proxy 33"),
    ] {
        assert_eq!(client(line.as_bytes()).as_deref(), Ok(expected), "{line:?}");
    }
}

#[test]
fn lines_of_version_1_that_do_not_follow_the_specification_are_refused() {
    for line in [
        "PROXY TCP4 192.0.2.7 203.0.113.1 50000 443\n",
        "PROXY TCP4 2001:db8::7 2001:db8::1 1 2\r\n",
        "PROXY TCP6 192.0.2.7 203.0.113.1 1 2\r\n",
        "PROXY TCP4 192.0.2.7 203.0.113.1 65536 443\r\n",
        "PROXY TCP4 192.0.2.7 203.0.113.1 +1 443\r\n",
        "PROXY TCP4 192.0.2.7 203.0.113.1 01 443\r\n",
        "PROXY TCP4 192.0.2.7 203.0.113.1 1 443 9\r\n",
        "PROXY TCP4  192.0.2.7 203.0.113.1 1 443\r\n",
        "PROXY UDP4 192.0.2.7 203.0.113.1 1 443\r\n",
        "PROXY \r\n",
    ] {
        assert!(matches!(client(line.as_bytes()), Err(HeaderError::Malformed(_))), "{line:?}");
    }
    let long = format!("PROXY UNKNOWN {}", "x".repeat(200));
    assert_eq!(client(long.as_bytes()), Err(HeaderError::TooLong));
}

#[test]
fn headers_of_version_2_name_the_client() {
    let v4 = [192, 0, 2, 7, 203, 0, 113, 1, 0xc3, 0x50, 1, 0xbb];
    assert_eq!(client(&v2(0x21, 0x11, &v4)).as_deref(), Ok("192.0.2.7:50000 28"));
    let mut v6 = [0; 36];
    v6[..4].copy_from_slice(&[0x20, 0x01, 0x0d, 0xb8]);
    v6[33] = 7;
    assert_eq!(client(&v2(0x21, 0x21, &v6)).as_deref(), Ok("[2001:db8::]:7 52"));
    // What follows the addresses is left out, and counts to the length.
    assert_eq!(client(&v2(0x21, 0x11, &[&v4[..], &[4, 0, 1, 9]].concat())).as_deref(), Ok("192.0.2.7:50000 32"));
    // LOCAL, and clients without an address.
    assert_eq!(client(PROXY_LOCAL).as_deref(), Ok("proxy 16"));
    assert_eq!(client(&v2(0x20, 0x00, &[])).as_deref(), Ok("proxy 16"));
    assert_eq!(client(&v2(0x20, 0x11, &v4)).as_deref(), Ok("proxy 28"));
    assert_eq!(client(&v2(0x21, 0x31, &[0; 216])).as_deref(), Ok("proxy 232"));
}

#[test]
fn headers_of_version_2_that_do_not_follow_the_specification_are_refused() {
    for (header, what) in [
        (v2(0x11, 0x11, &[0; 12]), "version 1"),
        (v2(0x22, 0x11, &[0; 12]), "a command that does not exist"),
        (v2(0x21, 0x11, &[0; 11]), "short IPv4 addresses"),
        (v2(0x21, 0x21, &[0; 35]), "short IPv6 addresses"),
        (v2(0x21, 0x12, &[0; 12]), "datagrams"),
    ] {
        assert!(matches!(client(&header), Err(HeaderError::Malformed(_))), "{what}");
    }
    assert_eq!(read_proxy_header(&v2(0x21, 0x11, &[0; MAX_PROXY_HEADER])), Err(HeaderError::TooLong));
}

#[test]
fn other_protocols_are_no_header() {
    for bytes in [&b"GET / HTTP/1.1\r\n"[..], b"\x05\x01\x00", b"\x16\x03\x01", b"PRO\n", b"PROXYX", b"\r\n\r\nG"] {
        assert_eq!(read_proxy_header(bytes), Err(HeaderError::Absent), "{bytes:?}");
        assert!(!begins_proxy_header(bytes));
    }
    assert_eq!(read_proxy_header(b""), Ok(None));
}

/// Good headers and bytes that are nearly ones.
fn any_bytes() -> impl Strategy<Value = Vec<u8>> {
    let line = "PROXY (TCP4|TCP6|UNKNOWN|X) [0-9a-f.:]{0,20} [0-9a-f.:]{0,20} [0-9]{1,6} [0-9]{1,6}\r\n";
    let binary = (any::<u8>(), any::<u8>(), prop::collection::vec(any::<u8>(), 0..64));
    prop_oneof![
        prop::collection::vec(any::<u8>(), 0..64),
        line.prop_map(String::into_bytes),
        binary.prop_map(|(version, family, body)| v2(version, family, &body)),
        (prop_oneof![Just(0x20), Just(0x21)], prop::collection::vec(any::<u8>(), 36..64))
            .prop_map(|(version, body)| v2(version, 0x21, &body)),
    ]
}

proptest! {
    /// However the bytes arrive, the outcome is the same: what is decided for some bytes stays decided when more follow.
    #[test]
    fn more_bytes_change_nothing_that_is_decided(bytes in any_bytes(), rest in prop::collection::vec(any::<u8>(), 0..32)) {
        let whole = [&bytes[..], &rest].concat();
        let last = read_proxy_header(&whole);
        for end in 0..whole.len() {
            match read_proxy_header(&whole[..end]) {
                Ok(None) => {}
                decided => prop_assert_eq!(decided, last, "after {} of {} bytes", end, whole.len()),
            }
        }
        if let Ok(Some(header)) = last {
            prop_assert!(header.length <= whole.len() && header.length <= MAX_PROXY_HEADER);
        }
    }

    /// No header needs more than the bound to be decided.
    #[test]
    fn the_bound_decides(bytes in any_bytes()) {
        let mut whole = bytes;
        whole.resize(MAX_PROXY_HEADER, 0);
        prop_assert!(!matches!(read_proxy_header(&whole), Ok(None)));
    }
}
