//! Compares our protection of TLS records with rustls' own, for the fuzz targets: an error that our two halves share would
//! not show if they were only tested against each other.

use rustls::{
    ContentType, ProtocolVersion, SupportedCipherSuite,
    crypto::{
        aws_lc_rs::default_provider,
        cipher::{
            AeadKey, InboundOpaqueMessage, Iv, MessageDecrypter, MessageEncrypter, OutboundChunks, OutboundPlainMessage,
        },
    },
};

use super::{DATA, Edition, HANDSHAKE, HEADER, Half};

/// One direction, as rustls protects it and as we do.
struct Beside {
    encrypter: Box<dyn MessageEncrypter>,
    decrypter: Box<dyn MessageDecrypter>,
    ours: Half,
    /// A half of ours that seals for rustls.
    server: Half,
}

impl Beside {
    /// Keys of one byte for a suite; `None` for suites whose keys cannot be made from outside (AES-128).
    fn new(suite: SupportedCipherSuite, key: u8) -> Option<(Self, Edition)> {
        let new_key = || AeadKey::from([key; 32]);
        let iv = [key ^ 0x55; 12];
        let (encrypter, decrypter, secrets, edition) = match suite {
            SupportedCipherSuite::Tls13(suite) if suite.aead_alg.key_len() == 32 => {
                let aead = suite.aead_alg;
                let secrets = aead.extract_keys(new_key(), Iv::from(iv)).ok()?;
                let pair = (aead.encrypter(new_key(), Iv::from(iv)), aead.decrypter(new_key(), Iv::from(iv)));
                (pair.0, pair.1, secrets, Edition::Tls13)
            }
            SupportedCipherSuite::Tls12(suite) if suite.aead_alg.key_block_shape().enc_key_len == 32 => {
                let aead = suite.aead_alg;
                let (fixed, explicit) = iv.split_at_checked(aead.key_block_shape().fixed_iv_len)?;
                let secrets = aead.extract_keys(new_key(), fixed, explicit).ok()?;
                let pair = (aead.encrypter(new_key(), fixed, explicit), aead.decrypter(new_key(), fixed));
                (pair.0, pair.1, secrets, Edition::Tls12)
            }
            _ => return None,
        };
        let half = || Half::new(edition, 0, &secrets).ok();
        Some((Self { encrypter, decrypter, ours: half()?, server: half()? }, edition))
    }

    /// A record of rustls', the same of ours.
    fn seal(&mut self, kind: u8, text: &[u8], sequence: u64) -> Option<(Vec<u8>, Vec<u8>)> {
        let (typ, payload) = (ContentType::from(kind), OutboundChunks::Single(text));
        let plain = OutboundPlainMessage { typ, version: ProtocolVersion::TLSv1_2, payload };
        let theirs = self.encrypter.encrypt(plain, sequence).ok()?.encode();
        let mut ours = Vec::new();
        self.server.seal(kind, text, &mut ours).ok()?;
        Some((theirs, ours))
    }

    /// What rustls opens, and what we do.
    fn open(&mut self, record: &[u8], sequence: u64) -> [Option<(u8, Vec<u8>)>; 2] {
        let (mut theirs, mut ours) = (record.to_vec(), record.to_vec());
        let (header, body) = theirs.split_at_mut(HEADER);
        let typ = ContentType::from(header.first().copied().unwrap_or_default());
        let message = InboundOpaqueMessage::new(typ, ProtocolVersion::TLSv1_2, body);
        let plain = self.decrypter.decrypt(message, sequence).ok();
        let from = self.ours.text_at();
        let opened = self.ours.open(&mut ours, None);
        [
            plain.map(|plain| (u8::from(plain.typ), plain.payload.to_vec())),
            opened.map(|text| (text.kind, ours.get(from..from + text.length).unwrap_or_default().to_vec())),
        ]
    }
}

/// The first byte chooses suite and key; then come records with a length, a place and a text each. A place behind the text changes
/// nothing, another one changes a byte of the sealed record.
pub(crate) fn compare(data: &[u8]) {
    let Some((&choice, mut rest)) = data.split_first() else { return };
    let suites = default_provider().cipher_suites;
    let Some(suite) = suites.get(usize::from(choice) % suites.len()) else { return };
    let Some((mut beside, _)) = Beside::new(*suite, choice) else { return };
    let mut sequence = 0;
    while let Some((&[length, place], after)) = rest.split_first_chunk() {
        let Some((text, after)) = after.split_at_checked(usize::from(length)) else { return };
        rest = after;
        let kind = if place & 1 == 0 { DATA } else { HANDSHAKE };
        let Some((mut record, ours)) = beside.seal(kind, text, sequence) else { return };
        assert_eq!(record, ours, "a record that rustls seals in another way");
        let changed = record.get_mut(HEADER + usize::from(place)).map(|byte| *byte ^= 1).is_some();
        let [theirs, ours] = beside.open(&record, sequence);
        assert_eq!(ours, theirs, "a record that rustls opens in another way");
        assert_eq!(ours.is_none(), changed, "what is not authentic does not open");
        if changed {
            return;
        }
        sequence += 1;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_version_and_length_of_key_is_compared() {
        let made = default_provider().cipher_suites.into_iter().filter_map(|suite| Beside::new(suite, 1));
        let editions: Vec<_> = made.map(|(_, edition)| edition).collect();
        let count = |edition| editions.iter().filter(|found| **found == edition).count();
        assert_eq!((count(Edition::Tls13), count(Edition::Tls12)), (2, 4));
    }

    proptest! {
        #[test]
        fn any_records(data in proptest::collection::vec(any::<u8>(), 0..3000)) {
            compare(&data);
        }
    }
}
