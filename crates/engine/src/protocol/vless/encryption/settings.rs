//! The settings of VLESS encryption, as links write them: `mlkem768x25519plus.native|xorpub|random.1rtt|0rtt[.padding…].key[.key…]`.

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use rand::{Rng, RngExt};

use crate::BuildError;

/// The length of ML-KEM-768's encapsulation key, in bytes.
pub(super) const KEM_KEY: usize = 1184;
/// The longest padding that a hello can have, in bytes.
const MAX_PADDING: u32 = 18 + 65535;
/// The shortest first piece of padding, in bytes: an encrypted length and one encrypted byte.
const LEAST_PADDING: u32 = 35;
/// The most keys in one link. Nobody publishes more than two.
const MOST_KEYS: usize = 8;

/// How much of VLESS encryption is made to look random.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Looks {
    /// Nothing.
    Native,
    /// The public keys look random.
    XorPub,
    /// Everything looks random.
    Random,
}

/// A public key of the server, or of a relay in front of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum PublicKey {
    X25519([u8; 32]),
    MlKem768(Box<[u8]>),
}

impl PublicKey {
    /// The key itself.
    pub(super) fn bytes(&self) -> &[u8] {
        match self {
            Self::X25519(key) => key,
            Self::MlKem768(key) => key,
        }
    }
}

/// A chance in percent, and the range of a random value.
type Chance = [u32; 3];

/// The pieces of the hello's padding and the pauses between them, in milliseconds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Padding {
    pieces: Vec<Chance>,
    pauses: Vec<Chance>,
}

/// The settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Settings {
    pub(super) looks: Looks,
    /// Whether tickets of the server are used.
    pub(super) resumes: bool,
    pub(super) padding: Padding,
    pub(super) keys: Vec<PublicKey>,
}

const INVALID: BuildError = BuildError::Invalid("VLESS encryption is not as its definition has it");

impl Settings {
    /// Reads the text of a link.
    ///
    /// # Errors
    /// [`BuildError::Unsupported`] for another kind of encryption, [`BuildError::Invalid`] for malformed settings.
    pub(super) fn read(text: &str) -> Result<Self, BuildError> {
        let mut parts = text.split('.');
        if parts.next() != Some("mlkem768x25519plus") {
            return Err(BuildError::Unsupported("this VLESS encryption"));
        }
        let looks = match parts.next() {
            Some("native") => Looks::Native,
            Some("xorpub") => Looks::XorPub,
            Some("random") => Looks::Random,
            _ => return Err(INVALID),
        };
        let resumes = match parts.next() {
            Some("1rtt") => false,
            Some("0rtt") => true,
            _ => return Err(INVALID),
        };
        // Keys are told from padding by their length: they are longer.
        let (padding, keys): (Vec<&str>, Vec<&str>) = parts.partition(|part| part.len() < 20);
        let keys: Option<Vec<_>> = keys.into_iter().map(key).collect();
        let keys = keys.filter(|keys| (1..=MOST_KEYS).contains(&keys.len())).ok_or(INVALID)?;
        Ok(Self { looks, resumes, padding: Padding::read(&padding).ok_or(INVALID)?, keys })
    }
}

fn key(text: &str) -> Option<PublicKey> {
    let bytes = BASE64_URL_SAFE_NO_PAD.decode(text).ok()?;
    match <[u8; 32]>::try_from(bytes.as_slice()) {
        Ok(key) => Some(PublicKey::X25519(key)),
        Err(_) => (bytes.len() == KEM_KEY).then(|| PublicKey::MlKem768(bytes.into())),
    }
}

impl Padding {
    fn read(parts: &[&str]) -> Option<Self> {
        if parts.is_empty() {
            return Some(Self { pieces: vec![[100, 111, 1111], [50, 0, 3333]], pauses: vec![[75, 0, 111]] });
        }
        let (mut pieces, mut pauses) = (Vec::new(), Vec::new());
        for (index, part) in parts.iter().enumerate() {
            let numbers: Vec<u32> = part.split('-').map(str::parse).collect::<Result<_, _>>().ok()?;
            let list = if index % 2 == 0 { &mut pieces } else { &mut pauses };
            list.push(*numbers.first_chunk::<3>()?);
        }
        let first: &Chance = pieces.first()?;
        let longest: u64 = pieces.iter().map(|[_, from, to]| u64::from(*from.max(to))).sum();
        let fits = first[0] >= 100 && first[1].min(first[2]) >= LEAST_PADDING && longest <= u64::from(MAX_PADDING);
        fits.then_some(Self { pieces, pauses })
    }

    /// Random lengths of the pieces in bytes, and random pauses after them in milliseconds.
    pub(super) fn draw(&self, random: &mut impl Rng) -> (Vec<usize>, Vec<u64>) {
        let mut value = |[chance, from, to]: &Chance| {
            let happens = *chance >= random.random_range(0..100);
            let (from, to) = (from.min(to), from.max(to));
            match happens {
                false => 0,
                true if from == to => *from,
                true => random.random_range(*from..*to),
            }
        };
        let pieces = self.pieces.iter().map(|piece| value(piece) as usize).collect();
        let pauses = self.pauses.iter().map(|pause| u64::from(value(pause))).collect();
        (pieces, pauses)
    }
}
