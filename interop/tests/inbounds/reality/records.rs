//! What a watcher reads in TLS without any key: lengths of records, and the fingerprints of a ServerHello.

/// A record's type and its length, header included.
pub(super) type Record = (u8, usize);

/// The whole records that `bytes` begin with.
pub(super) fn records(mut bytes: &[u8]) -> Vec<Record> {
    let mut records = Vec::new();
    while let [kind, 3, _, high, low, ..] = *bytes {
        let length = 5 + usize::from(u16::from_be_bytes([high, low]));
        let Some(rest) = bytes.get(length..) else { break };
        records.push((kind, length));
        bytes = rest;
    }
    records
}

/// What JA3S and JA4S (github.com/salesforce/ja3, github.com/FoxIO-LLC/ja4) are hashes of: the version, the cipher suite, and the extensions in their
/// order with the chosen version.
pub(super) fn server_fingerprints(down: &[u8]) -> (String, String) {
    let (hello, _) = server_hello(down);
    let number = |at: usize| u16::from_be_bytes([hello[at], hello[at + 1]]);
    let after_session = 4 + 2 + 32 + 1 + usize::from(hello[38]);
    let (suite, mut at) = (number(after_session), after_session + 5);
    let (mut extensions, mut version) = (Vec::new(), number(4));
    while at < hello.len() {
        let (extension, length) = (number(at), usize::from(number(at + 2)));
        if extension == 43 {
            version = number(at + 4);
        }
        extensions.push(extension);
        at += 4 + length;
    }
    let joined = |write: &dyn Fn(&u16) -> String, by: &str| extensions.iter().map(write).collect::<Vec<_>>().join(by);
    let ja3s = format!("{},{suite},{}", number(4), joined(&|extension| extension.to_string(), "-"));
    let version = if version == 0x0304 { "13" } else { "12" };
    let all = joined(&|extension| format!("{extension:04x}"), ",");
    (ja3s, format!("t{version}{:02}00_{suite:04x}_{all}", extensions.len()))
}

/// The ServerHello that `down` begins with, and the same without its key share.
pub(super) fn server_hello(down: &[u8]) -> (&[u8], Vec<u8>) {
    let (kind, length) = records(down)[0];
    assert_eq!((kind, down[5]), (22, 2), "no ServerHello");
    let hello = &down[5..length];
    let mut rest = hello.to_vec();
    let after_session = 4 + 2 + 32 + 1 + usize::from(hello[38]);
    let mut at = after_session + 5;
    while at < hello.len() {
        let length = usize::from(u16::from_be_bytes([hello[at + 2], hello[at + 3]]));
        if hello[at..at + 2] == [0, 51] {
            // Behind the group and the length of the key.
            rest[at + 8..at + 4 + length].fill(0);
        }
        at += 4 + length;
    }
    (hello, rest)
}

/// The length of the hello that a client's bytes begin with, its record's header included.
pub(super) fn hello_length(up: &[u8]) -> usize {
    let mut length = 0;
    for (kind, record) in records(up) {
        if kind != 22 {
            break;
        }
        length += record;
    }
    length
}

/// Whether a client's hello offers HTTP/2 first.
pub(super) fn offers_h2(up: &[u8]) -> bool {
    up.windows(7).any(|bytes| bytes == [0, 16, 0, 14, 0, 12, 2] || bytes == [0, 16, 0, 5, 0, 3, 2])
}
