//! The certificate of a REALITY server: one Ed25519 key whose "signature" only the owner of the server's key can make.
//!
//! ```text
//! Certificate = SEQUENCE { SEQUENCE { [0] version, serial, algorithm, issuer, validity, subject,
//!                                     SEQUENCE { algorithm, BIT STRING key }, [3] extensions … },
//!                          algorithm, BIT STRING signature }
//! signature = HMAC-SHA512(AuthKey, key)
//! first extension, with ML-DSA-65 = a signature over HMAC-SHA512(AuthKey, key ‖ ClientHello ‖ ServerHello)
//! ```
//!
//! Read by hand: servers leave out or fill in nonsense what a strict reader of X.509 insists on.

/// The object identifier of Ed25519 (RFC 8410), as DER.
const ED25519: [u8; 7] = [0x30, 5, 0x06, 3, 0x2b, 0x65, 0x70];

const SEQUENCE: u8 = 0x30;
const BIT_STRING: u8 = 0x03;
const OCTET_STRING: u8 = 0x04;
const VERSION: u8 = 0xa0;
const EXTENSIONS: u8 = 0xa3;

/// What of a certificate concerns REALITY.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Certificate<'a> {
    /// The Ed25519 public key.
    pub(super) key: &'a [u8; 32],
    /// The 64 bytes in the place of the signature.
    pub(super) signature: &'a [u8],
    /// The content of the first extension.
    pub(super) extension: Option<&'a [u8]>,
}

impl<'a> Certificate<'a> {
    /// Reads DER; `None` unless it is a certificate for an Ed25519 key.
    pub(super) fn parse(der: &'a [u8]) -> Option<Self> {
        let mut outer = Der(Der(der).take(SEQUENCE)?);
        let mut inner = Der(outer.take(SEQUENCE)?);
        outer.take(SEQUENCE)?;
        let signature = bits(outer.take(BIT_STRING)?)?;
        if inner.0.first() == Some(&VERSION) {
            inner.next_element()?;
        }
        // Serial, algorithm, issuer, validity, subject.
        for _ in 0..5 {
            inner.next_element()?;
        }
        let key = inner.take(SEQUENCE)?.strip_prefix(&ED25519)?;
        let key = bits(Der(key).take(BIT_STRING)?)?.try_into().ok()?;
        Some(Self { key, signature, extension: first_extension(inner) })
    }
}

fn first_extension(mut rest: Der<'_>) -> Option<&[u8]> {
    let mut extension = Der(Der(Der(rest.take(EXTENSIONS)?).take(SEQUENCE)?).take(SEQUENCE)?);
    std::iter::from_fn(|| extension.next_element()).find(|(tag, _)| *tag == OCTET_STRING).map(|(_, content)| content)
}

/// The bits of a BIT STRING of whole bytes.
fn bits(content: &[u8]) -> Option<&[u8]> {
    content.strip_prefix(&[0])
}

/// Elements one after another.
struct Der<'a>(&'a [u8]);

impl<'a> Der<'a> {
    /// The next element's tag and content.
    fn next_element(&mut self) -> Option<(u8, &'a [u8])> {
        let [tag, length, rest @ ..] = self.0 else { return None };
        let (length, rest) = match *length {
            0..=0x7f => (usize::from(*length), rest),
            0x81 => (usize::from(*rest.first()?), rest.get(1..)?),
            0x82 => (usize::from(u16::from_be_bytes(rest.get(..2)?.try_into().ok()?)), rest.get(2..)?),
            _ => return None,
        };
        let (content, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        Some((*tag, content))
    }

    /// The next element's content, if it has this tag.
    fn take(&mut self, tag: u8) -> Option<&'a [u8]> {
        self.next_element().filter(|(found, _)| *found == tag).map(|(_, content)| content)
    }
}
