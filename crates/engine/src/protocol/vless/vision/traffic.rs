//! Watches the traffic inside a stream, to decide how long it is padded and whether it may leave our TLS, as TLS 1.3 does.

/// The most bytes of an opening that are examined. A ServerHello with the largest key share in use has less than half of them.
const MOST_OPENING: usize = 4096;

/// The header of a TLS record.
const HEADER: usize = 5;

/// The type of a TLS record with application data; in TLS 1.3, of every encrypted record.
const DATA: u8 = 0x17;

/// How many pieces of traffic that is not TLS are padded, both directions counted together.
const PADDED_PIECES: u8 = 8;

/// Which end of the connection watches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    /// It writes the ClientHello.
    Client,
    /// It writes the ServerHello.
    Server,
}

/// What is known about the inner traffic.
#[derive(Debug)]
pub(super) struct Traffic {
    side: Side,
    /// The direction from the client to the server.
    up: Opening,
    /// The direction from the server to the client.
    down: Opening,
    written: Records,
    read: Records,
    /// Whether the other side has sent encrypted data of the inner TLS.
    other_is_encrypted: bool,
    pieces: u8,
}

/// The first bytes of a direction, and what they are.
#[derive(Debug, Default)]
struct Opening {
    bytes: Vec<u8>,
    sort: Sort,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Sort {
    #[default]
    Unknown,
    NotTls,
    /// A ClientHello, or a ServerHello of TLS 1.2.
    Tls,
    /// A ServerHello of TLS 1.3 with a cipher suite that may leave our TLS.
    Tls13,
}

/// How a piece is to be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is padded, and so are the pieces after it.
    Pad,
    /// It is the last one that is padded. The rest is sent as it is, inside our TLS.
    Stop,
    /// The bytes behind so many bytes of it may be sent outside our TLS.
    Release(usize),
}

impl Traffic {
    /// The state at the beginning, when nothing is known.
    pub(super) fn new(side: Side) -> Self {
        Self {
            side,
            up: Opening::default(),
            down: Opening::default(),
            written: Records::default(),
            read: Records::default(),
            other_is_encrypted: false,
            pieces: PADDED_PIECES,
        }
    }

    /// Whether a TLS handshake was seen.
    pub(super) fn is_tls(&self) -> bool {
        [self.up.sort, self.down.sort].iter().any(|sort| matches!(sort, Sort::Tls | Sort::Tls13))
    }

    /// Takes note of a piece that has come from the other side.
    pub(super) fn see_read(&mut self, bytes: &[u8]) {
        self.see(bytes, self.side == Side::Server);
        self.other_is_encrypted |= self.read.follow(bytes).is_some();
    }

    /// Decides how a piece is sent to the other side.
    pub(super) fn see_written(&mut self, bytes: &[u8]) -> Verdict {
        self.see(bytes, self.side == Side::Client);
        match (self.down.sort, self.written.follow(bytes)) {
            (Sort::Tls13, Some(end)) if self.in_server_flight() => {
                self.written.follow_all(bytes.get(end..).unwrap_or_default());
                Verdict::Pad
            }
            (Sort::Tls13, Some(end)) => Verdict::Release(end),
            (_, Some(_)) if self.is_tls() => Verdict::Stop,
            // The other side stops one piece earlier.
            _ if self.pieces <= 1 && !self.met_server_hello() => Verdict::Stop,
            _ => Verdict::Pad,
        }
    }

    fn see(&mut self, bytes: &[u8], from_client: bool) {
        self.pieces = self.pieces.saturating_sub(1);
        if from_client {
            self.up.see(bytes, client_hello);
        } else {
            self.down.see(bytes, server_hello);
        }
    }

    /// Whether what we write is still the first flight of an inner server, whose lengths the padding is to hide: its client has not
    /// answered with encrypted data.
    fn in_server_flight(&self) -> bool {
        self.side == Side::Server && !self.other_is_encrypted
    }

    fn met_server_hello(&self) -> bool {
        matches!(self.down.sort, Sort::Tls | Sort::Tls13)
    }
}

impl Opening {
    fn see(&mut self, bytes: &[u8], judge: fn(&[u8]) -> Sort) {
        if self.sort == Sort::Unknown {
            let room = MOST_OPENING - self.bytes.len();
            self.bytes.extend_from_slice(bytes.get(..bytes.len().min(room)).unwrap_or_default());
            self.sort = judge(&self.bytes);
            if self.sort == Sort::Unknown && self.bytes.len() == MOST_OPENING {
                self.sort = Sort::NotTls;
            }
            if self.sort != Sort::Unknown {
                self.bytes = Vec::new();
            }
        }
    }
}

/// The handshake message of this type at the front of a stream. Without one, `Err` says what the stream is.
fn message(stream: &[u8], kind: u8) -> Result<&[u8], Sort> {
    let known = [0x16, 3];
    let length = stream.len().min(2);
    if stream.get(..length) != known.get(..length) || stream.get(HEADER).is_some_and(|found| *found != kind) {
        return Err(Sort::NotTls);
    }
    match stream {
        [_, _, _, _, _, _, rest @ ..] => Ok(rest),
        _ => Err(Sort::Unknown),
    }
}

fn client_hello(stream: &[u8]) -> Sort {
    message(stream, 1).map_or_else(|sort| sort, |_| Sort::Tls)
}

fn server_hello(stream: &[u8]) -> Sort {
    let rest = match message(stream, 2) {
        Ok(rest) => rest,
        Err(sort) => return sort,
    };
    // Length, version and random, then the session id.
    let Some((&id, rest)) = rest.get(3 + 2 + 32..).and_then(<[u8]>::split_first) else { return Sort::Unknown };
    let Some(rest) = rest.get(usize::from(id)..) else { return Sort::Unknown };
    let [high, low, _, a, b, rest @ ..] = rest else {
        return Sort::Unknown;
    };
    let Some(extensions) = rest.get(..usize::from(u16::from_be_bytes([*a, *b]))) else { return Sort::Unknown };
    // The CCM suite with short tags would be recognised from outside.
    let hidden = (0x1301..=0x1304).contains(&u16::from_be_bytes([*high, *low]));
    if hidden && extension(extensions, 43) == Some(&[3, 4]) { Sort::Tls13 } else { Sort::Tls }
}

fn extension(mut extensions: &[u8], number: u16) -> Option<&[u8]> {
    while let [a, b, c, d, rest @ ..] = extensions {
        let (body, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes([*c, *d])))?;
        if u16::from_be_bytes([*a, *b]) == number {
            return Some(body);
        }
        extensions = rest;
    }
    None
}

/// Follows the TLS records of a direction.
#[derive(Debug, Default)]
struct Records {
    header: [u8; HEADER],
    filled: usize,
    /// How many bytes of the record's body are still to come.
    left: usize,
    lost: bool,
}

impl Records {
    /// Follows the records through a piece. Returns where in it the first record with application data ends, if it does; nothing
    /// behind that is examined.
    fn follow(&mut self, bytes: &[u8]) -> Option<usize> {
        let mut at = 0;
        while at < bytes.len() && !self.lost {
            let rest = bytes.get(at..).unwrap_or_default();
            if self.left == 0 {
                at += self.begin(rest);
                continue;
            }
            let body = self.left.min(rest.len());
            (self.left, at) = (self.left - body, at + body);
            if self.left == 0 && self.header.first() == Some(&DATA) {
                return Some(at);
            }
        }
        None
    }

    /// Follows the records through the whole piece.
    fn follow_all(&mut self, mut bytes: &[u8]) {
        while let Some(end) = self.follow(bytes) {
            bytes = bytes.get(end..).unwrap_or_default();
        }
    }

    /// Adds bytes to the header, and returns how many it took.
    fn begin(&mut self, bytes: &[u8]) -> usize {
        let room = self.header.get_mut(self.filled..).unwrap_or_default();
        let length = room.len().min(bytes.len());
        room.iter_mut().zip(bytes).for_each(|(place, byte)| *place = *byte);
        self.filled += length;
        if self.filled == HEADER {
            let [kind, major, _, high, low] = self.header;
            self.lost = !(0x14..=DATA).contains(&kind) || major != 3;
            self.left = usize::from(u16::from_be_bytes([high, low]));
            self.filled = 0;
        }
        length
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::{Side, Sort, Traffic, Verdict, client_hello, server_hello};

    /// A ServerHello with this suite, and supported versions or none.
    pub(in super::super) fn hello(suite: u16, tls13: bool) -> Vec<u8> {
        let extensions: &[u8] = if tls13 { &[0, 51, 0, 1, 9, 0, 43, 0, 2, 3, 4] } else { &[0, 23, 0, 0] };
        let mut body = [&[3, 3][..], &[7; 32], &[32], &[8; 32], &suite.to_be_bytes(), &[0]].concat();
        body.extend_from_slice(&(extensions.len() as u16).to_be_bytes());
        body.extend_from_slice(extensions);
        let length = (body.len() as u16).to_be_bytes();
        let mut record = vec![0x16, 3, 3];
        record.extend_from_slice(&(body.len() as u16 + 4).to_be_bytes());
        record.extend_from_slice(&[2, 0, length[0], length[1]]);
        record.extend_from_slice(&body);
        record
    }

    pub(in super::super) fn data(length: u16) -> Vec<u8> {
        let mut record = vec![0x17, 3, 3];
        record.extend_from_slice(&length.to_be_bytes());
        record.resize(5 + usize::from(length), 9);
        record
    }

    const CLIENT_HELLO: &[u8] = &[0x16, 3, 1, 0, 5, 1, 0, 0, 1, 0];

    #[test]
    fn openings() {
        assert_eq!(server_hello(&hello(0x1301, true)), Sort::Tls13);
        assert_eq!(server_hello(&hello(0x1305, true)), Sort::Tls);
        assert_eq!(server_hello(&hello(0xc02f, false)), Sort::Tls);
        assert_eq!(server_hello(CLIENT_HELLO), Sort::NotTls);
        assert_eq!(client_hello(CLIENT_HELLO), Sort::Tls);
        assert_eq!(client_hello(b"GET / HTTP/1.1"), Sort::NotTls);
        let hello = hello(0x1303, true);
        for length in 0..hello.len() {
            assert_eq!(server_hello(&hello[..length]), Sort::Unknown);
        }
    }

    #[test]
    fn tls13_is_released_with_its_first_data() {
        let (hello, data) = (hello(0x1301, true), data(40));
        for pieces in [1, 3, 1000] {
            let mut traffic = Traffic::new(Side::Client);
            assert_eq!(traffic.see_written(CLIENT_HELLO), Verdict::Pad);
            hello.chunks(pieces).for_each(|piece| traffic.see_read(piece));
            assert_eq!(traffic.see_written(&[0x14, 3, 3, 0, 1]), Verdict::Pad);
            // A record in pieces, and the beginning of the next one with its end.
            assert_eq!(traffic.see_written(&[&[1], &data[..20]].concat()), Verdict::Pad);
            assert_eq!(traffic.see_written(&[&data[20..], &data[..30]].concat()), Verdict::Release(25));
        }
    }

    #[test]
    fn a_server_releases_what_it_writes() {
        let (hello, data) = (hello(0x1301, true), data(40));
        let mut traffic = Traffic::new(Side::Server);
        traffic.see_read(CLIENT_HELLO);
        assert_eq!(traffic.see_written(&hello[..20]), Verdict::Pad);
        // The rest of the ServerHello, two whole records and the beginning of one in a single write: all that belongs to the handshake.
        let coalesced = [&hello[20..], &data, &data, &data[..9]].concat();
        assert_eq!(traffic.see_written(&coalesced), Verdict::Pad);
        traffic.see_read(&[0x14, 3, 3, 0, 1, 1]);
        assert_eq!(traffic.see_written(&data[9..12]), Verdict::Pad);
        // The client's Finished ends the handshake, and the next record that ends may be the last one.
        traffic.see_read(&data);
        assert_eq!(traffic.see_written(&[&data[12..], &data[..]].concat()), Verdict::Release(data.len() - 12));

        let mut old = Traffic::new(Side::Server);
        old.see_read(CLIENT_HELLO);
        assert_eq!(old.see_written(&super::tests::hello(0xc02f, false)), Verdict::Pad);
        assert_eq!(old.see_written(&data), Verdict::Stop);
        // A hello that the other side writes is none of a server.
        let mut wrong = Traffic::new(Side::Server);
        wrong.see_read(&hello);
        assert_eq!(wrong.see_written(&data), Verdict::Pad);
    }

    #[test]
    fn other_traffic_stops() {
        let mut old = Traffic::new(Side::Client);
        old.see_written(CLIENT_HELLO);
        old.see_read(&hello(0xc02f, false));
        assert_eq!(old.see_written(&data(40)), Verdict::Stop);
        let mut early = Traffic::new(Side::Client);
        early.see_written(CLIENT_HELLO);
        assert_eq!(early.see_written(&data(40)), Verdict::Stop);
        let mut plain = Traffic::new(Side::Client);
        let verdicts: Vec<_> = (0..7).map(|_| plain.see_written(b"EHLO example")).collect();
        assert_eq!(verdicts.iter().position(|verdict| *verdict == Verdict::Stop), Some(6));
    }
}
