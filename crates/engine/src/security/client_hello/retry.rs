//! A browser's second hello, in answer to a HelloRetryRequest (RFC 8446 §4.1.2, §4.1.4).
//!
//! It is the first hello once more, with the same random, session id, GREASE values and order of extensions. Only two
//! things change: the key shares become the one share of the group that the server asks for, and a cookie comes back.
//! Both are taken from the second hello that rustls writes, so rustls has the key and has checked what was asked for.
//! BoringSSL sends no GREASE share beside the one asked for, and no padding in this hello.

use rand::{Rng, RngExt};

use super::wire::{KEY_SHARES, put, within};
use crate::security::message_reader::{Extension, MessageReader, body};

/// The random of a ServerHello that is a HelloRetryRequest (RFC 8446 §4.1.3).
const RETRY: [u8; 32] = [
    0xcf, 0x21, 0xad, 0x74, 0xe5, 0x9a, 0x61, 0x11, 0xbe, 0x1d, 0x8c, 0x02, 0x1e, 0x65, 0xb8, 0x91, 0xc2, 0xa2, 0x11,
    0x16, 0x7a, 0xbb, 0x8c, 0x5e, 0x07, 0x9e, 0x09, 0xe2, 0xc8, 0xa8, 0x33, 0x9c,
];

/// Where the random stands in a hello of either side.
const RANDOM: std::ops::Range<usize> = 6..38;

const COOKIE: u16 = 44;

/// Type, length, version and random of a hello of either side.
pub(crate) const HELLO_HEAD: usize = 38;

/// The random of a hello of either side; `None` when it is too short for one.
pub(crate) fn random_of(hello: &[u8]) -> Option<&[u8; 32]> {
    hello.get(RANDOM)?.try_into().ok()
}

/// Whether a ServerHello message is a HelloRetryRequest.
pub(crate) fn is_retry(server_hello: &[u8]) -> bool {
    random_of(server_hello) == Some(&RETRY)
}

/// The second hello after `first`, a browser's; `retry` is the server's message, and `of_rustls` what rustls answers to
/// it. `None` unless each is a whole message of its kind.
pub(super) fn second_hello(first: &[u8], retry: &[u8], of_rustls: &[u8], random: &mut impl Rng) -> Option<Vec<u8>> {
    let (head, offered) = client_hello(first)?;
    let (_, theirs) = client_hello(of_rustls)?;
    let asked = hello_retry_request(retry)?;
    let mut extensions = offered;
    if body(&asked, KEY_SHARES).is_some() {
        let share = body(&theirs, KEY_SHARES)?;
        extensions.iter_mut().filter(|found| found.0 == KEY_SHARES).for_each(|found| found.1 = share);
    }
    if body(&asked, COOKIE).is_some() {
        // Shuffled like the others, between the GREASE extensions at both ends.
        let place = random.random_range(1..extensions.len().max(2));
        extensions.insert(place.min(extensions.len()), (COOKIE, body(&theirs, COOKIE)?));
    }
    let mut hello = Vec::with_capacity(first.len());
    hello.extend_from_slice(first.get(..1)?);
    within::<3>(&mut hello, |hello| {
        hello.extend_from_slice(head);
        within::<2>(hello, |hello| {
            for (number, body) in extensions {
                put(hello, number, |hello| hello.extend_from_slice(body));
            }
        });
    });
    Some(hello)
}

/// What stands between the length of a ClientHello and its extensions, and those.
fn client_hello(message: &[u8]) -> Option<(&[u8], Vec<Extension<'_>>)> {
    let mut rest = MessageReader(message.get(HELLO_HEAD..)?);
    rest.within::<1>()?;
    rest.within::<2>()?;
    rest.within::<1>()?;
    let head = message.get(4..message.len() - rest.0.len())?;
    Some((head, rest.extensions()?))
}

fn hello_retry_request(message: &[u8]) -> Option<Vec<Extension<'_>>> {
    let mut rest = MessageReader(message.get(HELLO_HEAD..)?);
    rest.within::<1>()?;
    // The cipher suite and the compression method.
    rest.take(3)?;
    rest.extensions()
}
