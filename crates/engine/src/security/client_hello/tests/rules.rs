//! What no Chrome ever says: rules over many hellos that a JA4 does not know. A watcher could drop a hello by each of them without
//! ever hitting a browser.

use std::collections::HashSet;

use super::{
    super::{Shape, keys, template::CHROME},
    name, seen,
};
use crate::security::client_hello::ja4::Seen;

const HELLOS: usize = 300;
const MLKEM_KEY: usize = 1184;

/// The key shares in their order.
fn shares(seen: &Seen) -> Vec<(u16, Vec<u8>)> {
    let mut rest = &seen.body(51).unwrap()[2..];
    let mut shares = Vec::new();
    while let Some((&[a, b, c, d], after)) = rest.split_first_chunk() {
        let (share, after) = after.split_at(usize::from(u16::from_be_bytes([c, d])));
        shares.push((u16::from_be_bytes([a, b]), share.to_vec()));
        rest = after;
    }
    shares
}

fn is_grease(value: u16) -> bool {
    value & 0x0f0f == 0x0a0a && value >> 8 == value & 0xff
}

/// A number below 2^255 - 19, as BoringSSL writes every public key (RFC 7748 §5).
fn is_reduced(key: &[u8]) -> bool {
    let all_ones = key[1..31].iter().all(|byte| *byte == 0xff);
    key.len() == 32 && key[31] & 0x80 == 0 && !(key[31] == 0x7f && all_ones && key[0] >= 0xed)
}

/// Whether there is a point with this coordinate on Curve25519: half of all numbers have none, and a public key always has one.
/// Whoever agrees with a small-order or twisted point gets nothing but zeroes or another curve; the public keys of real private
/// keys are told apart by the Legendre symbol of x³ + 486662x² + x.
fn is_on_curve(key: &[u8]) -> bool {
    let x = Field::read(key);
    let square = x.times(&x);
    let right = square.times(&x).plus(&square.times(&Field::small(486_662))).plus(&x);
    right.is_square()
}

/// Numbers modulo 2^255 - 19, slow and simple, as 32 bytes with the lowest first.
#[derive(Clone, PartialEq, Eq)]
struct Field([u32; 32]);

impl Field {
    fn read(bytes: &[u8]) -> Self {
        Self(std::array::from_fn(|i| u32::from(bytes[i])))
    }

    fn small(mut value: u32) -> Self {
        let mut digits = [0; 32];
        for digit in &mut digits {
            *digit = value & 0xff;
            value >>= 8;
        }
        Self(digits)
    }

    /// Carries until every digit is a byte and the number is below 2^255 - 19.
    fn reduced(mut wide: [u32; 64]) -> Self {
        // 2^256 = 38.
        for i in (32..64).rev() {
            wide[i - 32] += 38 * wide[i];
            wide[i] = 0;
        }
        for _ in 0..4 {
            let mut carry = 0;
            for digit in &mut wide[..32] {
                let sum = *digit + carry;
                (*digit, carry) = (sum & 0xff, sum >> 8);
            }
            wide[0] += 38 * carry;
        }
        let mut low: [u32; 32] = wide[..32].try_into().unwrap();
        for _ in 0..2 {
            // Once 19 more reaches 2^255, that much was too much.
            let mut more = low;
            more[0] += 19;
            for i in 0..31 {
                more[i + 1] += more[i] >> 8;
                more[i] &= 0xff;
            }
            if more[31] >= 0x80 {
                more[31] -= 0x80;
                low = more;
            }
        }
        Self(low)
    }

    fn plus(&self, other: &Self) -> Self {
        let mut wide = [0; 64];
        for (sum, (a, b)) in wide.iter_mut().zip(self.0.iter().zip(&other.0)) {
            *sum = a + b;
        }
        Self::reduced(wide)
    }

    fn times(&self, other: &Self) -> Self {
        let mut wide = [0; 64];
        for (i, a) in self.0.iter().enumerate() {
            for (j, b) in other.0.iter().enumerate() {
                wide[i + j] += a * b;
            }
        }
        // The sums have at most 2^21, and 38 times that still fits.
        Self::reduced(wide)
    }

    /// Euler's criterion: the power (p - 1) / 2 = 2^254 - 10 is 1 or 0.
    fn is_square(&self) -> bool {
        let mut power = Self::small(1);
        for bit in (0..254).rev() {
            power = power.times(&power);
            // 2^254 - 10 has every bit but 2^0 and 2^3.
            if bit != 0 && bit != 3 {
                power = power.times(self);
            }
        }
        power == Self::small(1) || power == Self::small(0)
    }
}

#[test]
fn the_rule_for_points_knows_points() {
    let mut no_points = 0;
    for _ in 0..40 {
        assert!(is_on_curve(&keys::public_key_of_nobody().unwrap()));
        let mut random = [0; 32];
        rand::Rng::fill_bytes(&mut rand::rng(), &mut random);
        random[31] &= 0x7f;
        no_points += usize::from(!is_on_curve(&random));
    }
    assert!((5..36).contains(&no_points), "{no_points}");
}

/// FIPS 203 §7.2: every number of 12 bits in an encapsulation key is below 3329.
fn is_encapsulation_key(key: &[u8]) -> bool {
    let numbers = key[..1152].chunks(3).flat_map(|bytes| {
        let [a, b, c] = [0, 1, 2].map(|i| u16::from(bytes[i]));
        [a | (b & 15) << 8, b >> 4 | c << 4]
    });
    key.len() == MLKEM_KEY && numbers.into_iter().all(|number| number < 3329)
}

#[tokio::test]
async fn no_hello_says_what_no_browser_says() {
    let (mut once, mut payloads) = (HashSet::new(), HashSet::new());
    for number in 0..HELLOS {
        let seen = seen(Shape::Browser(&CHROME), CHROME.alpn, name()).await;
        let shares = shares(&seen);
        let [(grease, nothing), (0x11ec, hybrid), (0x001d, classical)] = &shares[..] else { panic!("{shares:?}") };
        let (kem, tail) = hybrid.split_at(MLKEM_KEY);
        let groups = &seen.body(10).unwrap()[2..];
        assert!(is_grease(*grease) && nothing == &[0], "a GREASE share");
        assert_eq!(groups[..2], grease.to_be_bytes(), "the GREASE group and share are one");
        assert_ne!(tail, classical, "two shares, two keys");
        assert!(is_encapsulation_key(kem));
        // Outer, HKDF-SHA256, AES-128-GCM, a number, a key and a payload.
        let ech = seen.body(0xfe0d).unwrap();
        assert_eq!((&ech[..5], &ech[6..8]), (&[0, 0, 1, 0, 1][..], &[0, 32][..]));
        let (enc, payload) = (&ech[8..40], &ech[42..]);
        assert_eq!(usize::from(u16::from_be_bytes([ech[40], ech[41]])), payload.len());
        assert!([144, 176, 208, 240].contains(&payload.len()));
        payloads.insert(payload.len());
        for key in [tail, &classical[..], enc] {
            assert!(is_reduced(key), "a public key with its top bit set");
            // The costly rule, for some of them.
            assert!(number >= 12 || is_on_curve(key), "a public key that is no point");
        }
        for value in [kem, tail, classical, enc, payload] {
            assert!(once.insert(value.to_vec()), "a value that comes again");
        }
        let greased = seen.extensions.iter().filter(|(number, _)| is_grease(*number));
        let greased: Vec<_> = greased.map(|(number, body)| (*number, body.len())).collect();
        assert!(greased.len() == 2 && greased[0].0 != greased[1].0 && greased[0].1 == 0 && greased[1].1 == 1);
        assert_eq!(seen.ciphers.iter().filter(|value| is_grease(**value)).count(), 1);
        assert!(is_grease(seen.ciphers[0]));
        for absent in [21, 41, 42, 44, 22, 28, 49, 50] {
            assert_eq!(seen.body(absent), None, "padding, tickets, early data, cookies and the like");
        }
    }
    assert_eq!(payloads.len(), 4);
}

#[tokio::test]
async fn our_own_hello_is_that_of_rustls() {
    let seen = seen(Shape::Own, &["h2"], name()).await;
    let shares = shares(&seen);
    let [(0x11ec, hybrid), (0x001d, classical)] = &shares[..] else { panic!("{shares:?}") };
    assert_eq!(&hybrid[MLKEM_KEY..], classical, "rustls has one key in both");
}
