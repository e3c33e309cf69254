//! What the settings of encrypted inbounds take, and what they never show.

use hezar_core::settings::{Given, SettingValue};

use super::*;

fn text(text: &str) -> Given {
    Given::Text(text.to_owned())
}

#[test]
fn keys_are_base64_in_either_alphabet_with_or_without_padding() {
    let bytes = [0xfb; 32];
    let url = encode(&bytes);
    assert!(url.starts_with("-_v7") && !url.contains('='), "{url}");
    for written in [url.clone(), format!("{url}="), url.replace('-', "+").replace('_', "/")] {
        assert_eq!(decode::<32>(&written), Some(bytes), "{written}");
    }
    for wrong in ["", "xx", "!", &url[..40], &format!("{url}AAAA")] {
        assert_eq!(decode::<32>(wrong), None, "{wrong}");
    }
}

#[test]
fn a_private_key_is_never_told() {
    let key = RealityPrivateKey::generate();
    let exposed = key.to_text();
    assert_eq!(RealityPrivateKey::parse(&text(exposed.expose()), &()), Some(key.clone()));
    assert!(!format!("{key:?} {:?}", key.write()).contains(exposed.expose()));
    let wrong = RealityPrivateKey::read(&text("SECRET"), &()).unwrap_err();
    assert!(!format!("{wrong:?}").contains("SECRET"), "{wrong:?}");
}

/// RFC 7748, section 6.1: the keys of Alice.
#[test]
fn the_public_key_belongs_to_the_private_one() {
    let key = RealityPrivateKey::parse(&text("dwdtCnMYpX08FsFyUbJmRd9ML4frwJkqsXf7pR25LCo"), &()).unwrap();
    let public = decode::<32>("hSDwCYkwp1R0i33ctD73Wg2_Og0mOBr066SpjqqbTmo");
    assert_eq!((key.public_key(), public.is_some()), (public, true));
}

#[test]
fn short_ids_are_pairs_of_hexadecimal_digits() {
    let read = |given: &[&str]| ShortIds::parse(&Given::List(given.iter().map(|id| text(id)).collect()), &());
    let ids = read(&["6ba85179e30d4fc2", "", "AB"]).unwrap();
    assert_eq!(ids.first().as_bytes(), [0x6b, 0xa8, 0x51, 0x79, 0xe3, 0x0d, 0x4f, 0xc2]);
    assert_eq!(ids.as_slice().len(), 3);
    assert_eq!(ShortIds::parse(&ids.write().unwrap(), &()), Some(ids));
    for wrong in [&["abc"][..], &["zz"], &["+1"], &["001122334455667788"], &["é0"], &[]] {
        assert_eq!(read(wrong), None, "{wrong:?}");
    }
}

#[test]
fn a_site_is_ones_own_or_an_address() {
    let read = |given: &str| RealitySite::parse(&text(given), &());
    assert_eq!(read("self"), Some(RealitySite::Own));
    let foreign = read("www.example.com:443").unwrap();
    assert_eq!(RealitySite::parse(&foreign.write().unwrap(), &()), Some(foreign));
    assert_eq!((read("www.example.com"), read("")), (None, None));
}

#[test]
fn the_key_of_a_server_has_the_length_of_its_cipher() {
    let server = |method, bytes: &[u8]| InboundShadowsocks { method, key: Some(encode(bytes).into()) }.server_key();
    assert_eq!(server(ShadowsocksMethod::Aes128Gcm2022, &[1; 16]), Some(vec![1; 16]));
    assert_eq!(server(ShadowsocksMethod::Aes128Gcm2022, &[1; 32]), None);
    assert_eq!(server(ShadowsocksMethod::Aes256Gcm2022, &[1; 32]), Some(vec![1; 32]));
    assert_eq!(server(ShadowsocksMethod::Aes128Gcm, &[1; 16]), None);
}

#[test]
fn every_word_reads_back() {
    for kind in ListenerKind::ALL {
        assert_eq!(ListenerKind::parse(&kind.write().unwrap(), &()), Some(kind));
    }
    for method in ShadowsocksMethod::ALL {
        assert_eq!(ShadowsocksMethod::parse(&method.write().unwrap(), &()), Some(method));
    }
    assert_eq!(InboundTransportKind::parse(&text("quic"), &()), None);
    assert_eq!(LinkSession::choices(), ["none", "link", "client"]);
}
