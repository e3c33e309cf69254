//! The bytes of a ClientHello from a template (RFC 8446 §4.1.2).
//!
//! ```text
//! | type 1 | length | 3 3 | random | 32 | session id | length | suites | 1 0 | length | extensions |
//! |   1    |   3    |  2  |   32   | 1  |     32     |   2    |  var   |  2  |   2    |    var     |
//! extension: | number | length | body |
//! ```

use rand::{Rng, RngExt};

use super::template::{Extension, GREASE, Template};

/// Where the session id stands in the message.
pub(crate) const SESSION_ID: std::ops::Range<usize> = 39..71;

/// Extensions (RFC 8446 §4.2).
pub(crate) const SERVER_NAME: u16 = 0;
const GROUPS: u16 = 10;
pub(crate) const ALPN: u16 = 16;
pub(crate) const VERSIONS: u16 = 43;
pub(crate) const KEY_SHARES: u16 = 51;
const ENCRYPTED_CLIENT_HELLO: u16 = 0xfe0d;
/// Groups of key shares (RFC 8446 §4.2.7, RFC 9794).
pub(crate) const X25519_MLKEM768: u16 = 0x11ec;
pub(crate) const X25519: u16 = 0x001d;

/// What differs from one hello to the next.
#[derive(Debug)]
pub(super) struct Fields<'a> {
    pub(super) random: &'a [u8; 32],
    pub(super) session_id: &'a [u8; 32],
    pub(super) server_name: Option<&'a str>,
    pub(super) alpn: &'a [Vec<u8>],
    /// The share of X25519MLKEM768.
    pub(super) hybrid: &'a [u8],
    /// The share of X25519.
    pub(super) x25519: &'a [u8],
    /// The X25519 key that is said to have sealed what ECH hides.
    pub(super) ech: &'a [u8; 32],
}

/// Writes a ClientHello message, without a record around it.
pub(super) fn hello(template: &Template, fields: &Fields<'_>, random: &mut impl Rng) -> Vec<u8> {
    let grease = Grease::choose(random);
    let mut hello = Vec::with_capacity(2048);
    hello.push(1);
    within::<3>(&mut hello, |hello| {
        hello.extend_from_slice(&[3, 3]);
        hello.extend_from_slice(fields.random);
        hello.push(32);
        hello.extend_from_slice(fields.session_id);
        within::<2>(hello, |hello| put_all(hello, template.ciphers, grease.cipher));
        hello.extend_from_slice(&[1, 0]);
        within::<2>(hello, |hello| {
            let mut ends = grease.extensions.into_iter();
            for extension in order(template, random) {
                put_extension(hello, extension, fields, &grease, &mut ends, random);
            }
        });
    });
    hello
}

/// The values of RFC 8701 in one hello.
struct Grease {
    cipher: u16,
    group: u16,
    version: u16,
    extensions: [u16; 2],
}

impl Grease {
    fn choose(random: &mut impl Rng) -> Self {
        let mut value = || GREASE + 0x1010 * random.random_range(0..16_u16);
        let (cipher, group, version, first) = (value(), value(), value(), value());
        let mut second = value();
        if second == first {
            // The same extension twice would be an error.
            second ^= 0x1010;
        }
        Self { cipher, group, version, extensions: [first, second] }
    }
}

/// The template's extensions in this hello's order.
fn order(template: &Template, random: &mut impl Rng) -> Vec<Extension> {
    let mut extensions = template.extensions.to_vec();
    if template.shuffled {
        let movable: Vec<usize> =
            (0..extensions.len()).filter(|&i| !matches!(extensions.get(i), Some(Extension::Grease(_)))).collect();
        for last in (1..movable.len()).rev() {
            let other = random.random_range(0..=last);
            if let (Some(&a), Some(&b)) = (movable.get(last), movable.get(other)) {
                extensions.swap(a, b);
            }
        }
    }
    extensions
}

fn put_extension(
    hello: &mut Vec<u8>,
    extension: Extension,
    fields: &Fields<'_>,
    grease: &Grease,
    ends: &mut impl Iterator<Item = u16>,
    random: &mut impl Rng,
) {
    match extension {
        Extension::Grease(body) => put(hello, ends.next().unwrap_or(GREASE), |hello| hello.extend_from_slice(body)),
        Extension::Fixed(number, body) => put(hello, number, |hello| hello.extend_from_slice(body)),
        Extension::ServerName => {
            if let Some(name) = fields.server_name {
                put(hello, SERVER_NAME, |hello| {
                    within::<2>(hello, |hello| {
                        hello.push(0);
                        within::<2>(hello, |hello| hello.extend_from_slice(name.as_bytes()));
                    });
                });
            }
        }
        Extension::Alpn if fields.alpn.is_empty() => {}
        Extension::Alpn => put(hello, ALPN, |hello| within::<2>(hello, |hello| put_names(hello, fields.alpn))),
        Extension::Groups(groups) => {
            put(hello, GROUPS, |hello| within::<2>(hello, |hello| put_all(hello, groups, grease.group)));
        }
        Extension::KeyShares => put(hello, KEY_SHARES, |hello| {
            within::<2>(hello, |hello| {
                let shares = [(grease.group, &[0][..]), (X25519_MLKEM768, fields.hybrid), (X25519, fields.x25519)];
                for (group, share) in shares {
                    put(hello, group, |hello| hello.extend_from_slice(share));
                }
            });
        }),
        Extension::Versions(versions) => {
            put(hello, VERSIONS, |hello| within::<1>(hello, |hello| put_all(hello, versions, grease.version)));
        }
        Extension::ApplicationSettings(number) => {
            if fields.alpn.iter().any(|name| name == b"h2") {
                put(hello, number, |hello| within::<2>(hello, |hello| put_names(hello, &[b"h2".to_vec()])));
            }
        }
        Extension::GreaseEch => put(hello, ENCRYPTED_CLIENT_HELLO, |hello| put_ech(hello, fields.ech, random)),
    }
}

/// An outer hello's ECH for HKDF-SHA256 and AES-128-GCM under a key, which is a real one as in BoringSSL: half of all random bytes
/// are no X25519 key. The payload is as long as a real one's.
fn put_ech(hello: &mut Vec<u8>, key: &[u8; 32], random: &mut impl Rng) {
    hello.extend_from_slice(&[0, 0, 1, 0, 1, random.random()]);
    within::<2>(hello, |hello| hello.extend_from_slice(key));
    let payload = 16 + 32 * random.random_range(4..8_usize);
    within::<2>(hello, |hello| {
        let from = hello.len();
        hello.resize(from + payload, 0);
        random.fill_bytes(hello.get_mut(from..).unwrap_or_default());
    });
}

fn put_names(hello: &mut Vec<u8>, names: &[Vec<u8>]) {
    for name in names {
        within::<1>(hello, |hello| hello.extend_from_slice(name));
    }
}

fn put_all(hello: &mut Vec<u8>, values: &[u16], grease: u16) {
    for &value in values {
        hello.extend_from_slice(&(if value == GREASE { grease } else { value }).to_be_bytes());
    }
}

pub(super) fn put(hello: &mut Vec<u8>, number: u16, body: impl FnOnce(&mut Vec<u8>)) {
    hello.extend_from_slice(&number.to_be_bytes());
    within::<2>(hello, body);
}

/// Writes a body behind its length in `N` bytes.
pub(super) fn within<const N: usize>(hello: &mut Vec<u8>, body: impl FnOnce(&mut Vec<u8>)) {
    let from = hello.len();
    hello.resize(from + N, 0);
    body(hello);
    let length = (hello.len() - from - N).to_be_bytes();
    let digits = length.get(length.len() - N..).unwrap_or_default();
    hello.get_mut(from..from + N).unwrap_or_default().copy_from_slice(digits);
}
