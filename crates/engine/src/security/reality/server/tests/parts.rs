//! Decoders on bytes of any kind and in any pieces.

use proptest::prelude::*;

use super::{
    super::{
        client_hello::{FirstProtocol, HelloReader, Progress},
        decode,
    },
    world::{NAME, Script, World, hello_of, record, scripted, whole},
};
use crate::security::reality::certificate::Certificate;

async fn sample() -> Vec<u8> {
    let world = World::new(scripted(Script { suite: 0x1301, group: 0x001d, lengths: vec![32, 1800, 101, 74] }));
    hello_of(&world.settings()).await
}

#[tokio::test(start_paused = true)]
async fn a_hello_may_be_cut_into_records_and_pieces() {
    let bytes = sample().await;
    let expected = whole(&bytes);
    assert_eq!((expected.server_name(), expected.first_protocol()), (Some(NAME), FirstProtocol::Http2));
    assert!(expected.offers_tls13() && expected.share(0x001d).is_some_and(|share| share.len() == 32));
    assert_eq!(expected.share(0x11ec).map(<[u8]>::len), Some(1184 + 32));
    for size in [1, 5, 100, 1000] {
        let cut: Vec<u8> = bytes[5..].chunks(size).flat_map(|piece| record(22, piece)).collect();
        for piece in [1, 3, 500, usize::MAX] {
            let mut reader = HelloReader::default();
            let mut last = Progress::More;
            for piece in cut.chunks(piece) {
                assert!(matches!(last, Progress::More));
                last = reader.take(piece);
            }
            let Progress::Whole(hello) = last else { panic!("no hello in records of {size}, pieces of {piece}") };
            assert_eq!(hello, expected);
        }
    }
}

#[test]
fn what_is_no_hello() {
    for bytes in [
        &b"G"[..],
        &[22, 2, 1, 0, 5],
        &[22, 3, 1, 0, 0],
        &[22, 3, 1, 0, 4, 2, 0, 0, 9],
        &[22, 3, 1, 0, 4, 1, 1, 0, 0],
        &[22, 3, 1, 0, 4, 1, 0, 0, 0],
        &[22, 3, 1, 0xff, 0xff],
        &[22, 3, 1, 0, 4, 1, 0, 0, 0, 22],
    ] {
        assert!(matches!(HelloReader::default().take(bytes), Progress::NotOne), "{bytes:?}");
    }
}

#[test]
fn our_certificate_is_read_by_our_client() {
    let key = super::super::CertificateKey::generate().unwrap();
    let der = key.certificate(&zeroize::Zeroizing::new([7; 32]));
    let read = Certificate::parse(&der).unwrap();
    assert_eq!((read.signature.len(), read.extension), (64, None));
    // A strict reader takes it, too.
    assert!(rustls::server::ParsedCertificate::try_from(&der.into()).is_ok());
}

proptest! {
    #[test]
    fn any_bytes_in_any_pieces(data in proptest::collection::vec(any::<u8>(), 0..3000), piece in 1..700_usize) {
        prop_assert_eq!(decode(&data, piece), decode(&data, usize::MAX));
    }

    #[test]
    fn a_hello_with_any_change(places in proptest::collection::vec((any::<usize>(), any::<u8>()), 1..4), piece in 1..700_usize) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let mut bytes = runtime.block_on(sample());
        for (place, value) in places {
            let place = place % bytes.len();
            bytes[place] = value;
        }
        prop_assert_eq!(decode(&bytes, piece), decode(&bytes, usize::MAX));
    }
}
