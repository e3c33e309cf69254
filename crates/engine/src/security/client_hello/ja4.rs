//! JA4 of a ClientHello (github.com/FoxIO-LLC/ja4, technical details), from the bytes on the wire.

use aws_lc_rs::digest::{SHA256, digest};

/// What of a ClientHello is compared.
pub(crate) struct Seen {
    pub(crate) ciphers: Vec<u16>,
    pub(crate) extensions: Vec<(u16, Vec<u8>)>,
}

/// Takes values apart.
struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    fn take(&mut self, length: usize) -> &'a [u8] {
        let (now, later) = self.0.split_at(length);
        self.0 = later;
        now
    }

    fn number(&mut self, length: usize) -> usize {
        self.take(length).iter().fold(0, |sum, &byte| sum << 8 | usize::from(byte))
    }

    fn within(&mut self, length: usize) -> Self {
        let length = self.number(length);
        Bytes(self.take(length))
    }
}

/// Reads a record with one ClientHello, the first or the second of a connection.
pub(crate) fn read(record: &[u8]) -> Seen {
    let mut bytes = Bytes(record);
    assert!(matches!(bytes.take(3), [22, 3, 1 | 3]));
    let mut message = bytes.within(2);
    assert!(bytes.0.is_empty());
    assert_eq!(message.take(1), [1]);
    let mut hello = message.within(3);
    assert_eq!(hello.take(2), [3, 3]);
    hello.take(32);
    hello.within(1);
    let mut suites = hello.within(2);
    let mut ciphers = Vec::new();
    while !suites.0.is_empty() {
        ciphers.push(suites.number(2) as u16);
    }
    assert_eq!(hello.take(2), [1, 0]);
    let mut list = hello.within(2);
    assert!(hello.0.is_empty());
    let mut extensions = Vec::new();
    while !list.0.is_empty() {
        extensions.push((list.number(2) as u16, list.within(2).0.to_vec()));
    }
    Seen { ciphers, extensions }
}

fn grease(value: u16) -> bool {
    value & 0x0f0f == 0x0a0a && value >> 8 == value & 0xff
}

impl Seen {
    pub(crate) fn body(&self, number: u16) -> Option<&[u8]> {
        self.extensions.iter().find(|(found, _)| *found == number).map(|(_, body)| &body[..])
    }

    /// The fingerprint over TCP.
    pub(crate) fn ja4(&self) -> String {
        let list = |values: &[u16]| values.iter().map(|v| format!("{v:04x}")).collect::<Vec<_>>().join(",");
        let hash = |text: String| hex::encode(&digest(&SHA256, text.as_bytes()).as_ref()[..6]);
        let mut ciphers: Vec<u16> = self.ciphers.iter().copied().filter(|v| !grease(*v)).collect();
        let mut extensions: Vec<u16> = self.extensions.iter().map(|e| e.0).filter(|v| !grease(*v)).collect();
        let versions = self.body(43).map_or(&[][..], |body| &body[1..]);
        let versions = versions.chunks(2).map(|v| u16::from_be_bytes([v[0], v[1]])).filter(|v| !grease(*v));
        let version = if versions.max() == Some(0x0304) { "13" } else { "12" };
        let name = if self.body(0).is_some() { 'd' } else { 'i' };
        let alpn = self.body(16).map_or("00".to_owned(), |body| {
            let first = &body[3..3 + usize::from(body[2])];
            [first[0], first[first.len() - 1]].map(char::from).iter().collect()
        });
        let counts = format!("{:02}{:02}", ciphers.len(), extensions.len());
        ciphers.sort_unstable();
        extensions.retain(|v| ![0, 16].contains(v));
        extensions.sort_unstable();
        let schemes = self.body(13).map_or(&[][..], |body| &body[2..]);
        let schemes: Vec<u16> = schemes.chunks(2).map(|v| u16::from_be_bytes([v[0], v[1]])).collect();
        let tail = hash(format!("{}_{}", list(&extensions), list(&schemes)));
        format!("t{version}{name}{counts}{alpn}_{}_{tail}", hash(list(&ciphers)))
    }
}
