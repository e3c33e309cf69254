//! What single fields mean, in every spelling met in the wild.

use hezar_core::{Fingerprint, UNREADABLE_PIN, Vision};
use proptest::{collection::vec, prelude::*};
use sha2::{Digest as _, Sha256};

use super::*;

#[test]
fn servers() {
    assert_eq!(server(" example.org ", "443?").unwrap().to_string(), "example.org:443");
    assert_eq!(server("[2001:db8::1]", "443/").unwrap().to_string(), "[2001:db8::1]:443");
    assert_eq!(server("example.org", "0"), Err(RejectCode::BadPort));
    assert_eq!(server("example.org", "-1"), Err(RejectCode::BadPort));
    assert_eq!(server("example.org", ""), Err(RejectCode::BadPort));
    assert_eq!(server("", "1"), Err(RejectCode::BadHost));
}

#[test]
fn users() {
    let plain = user_id("b831381d-6324-4d53-ad4f-8cda48b30811").unwrap();
    assert_eq!(user_id("b831381d63244d53ad4f8cda48b30811"), Ok(plain));
    assert_eq!(user_id("b831381d%2D6324-4d53-ad4f-8cda48b30811"), Ok(plain));
    // The value that Xray derives from this text.
    assert_eq!(user_id("example").unwrap().to_string(), "feb54431-301b-52bb-a6dd-e1e93e81bb9e");
    assert_eq!(user_id("%40me"), user_id("@me"));
    assert_eq!(user_id(""), Err(RejectCode::BadCredential));
    assert_eq!(user_id(&"x".repeat(31)), Err(RejectCode::BadCredential));
}

#[test]
fn flows_and_fingerprints() {
    assert_eq!(flow("xtls-rprx-vision-udp443"), Some(Vision::Udp443));
    assert_eq!(flow("xtls-rprx-direct"), None);
    assert_eq!(fingerprint("Chrome"), Some(Fingerprint::Chrome));
    assert_eq!(fingerprint("randomized"), Some(Fingerprint::Randomized));
    assert_eq!(fingerprint("HelloFirefox_Auto"), Some(Fingerprint::Firefox));
    assert_eq!(fingerprint("none"), None);
}

#[test]
fn keys() {
    assert_eq!(base64_bytes("AQ-_"), base64_bytes("AQ+/"));
    assert_eq!(base64_bytes("AQ"), Some(vec![1]));
    assert_eq!(base64_bytes("AQ====="), Some(vec![1]));
    assert_eq!(base64_bytes("A Q\n"), Some(vec![1]));
    assert_eq!(base64_bytes("%"), None);
    assert_eq!(short_id("0102").unwrap().as_bytes(), [1, 2]);
    assert_eq!(short_id("").unwrap().as_bytes(), [0; 0]);
    assert_eq!(short_id("010"), None);
    assert_eq!(pins(&"AB:".repeat(32)).len(), 1);
    for readable in ["SHA256 Fingerprint=", "sha256:", "sha256//", ""] {
        assert_eq!(pins(&format!("{readable}{}", "AB:".repeat(32))), [[0xab; 32]], "{readable}");
    }
    let hash = "ab".repeat(32);
    assert_eq!(pins(&format!("{hash};{hash} {hash}|x")).len(), 3, "a partly readable list is what is readable");
    // What is there and cannot be read never reads as nothing.
    for unreadable in ["chrome", "ab:cd", &hash[1..], "sha1:00", "sha256/", "-----BEGIN"] {
        assert_eq!(pins(unreadable), [UNREADABLE_PIN], "{unreadable}");
    }
    assert_eq!((pins("").len(), pins(" , ").len()), (0, 0));
    let pem = |body: &str| vec![format!("-----BEGIN CERTIFICATE-----\n{body}\n-----END CERTIFICATE-----\n").into()];
    assert_eq!(pem_pins(&pem("AQID")), [<[u8; 32]>::from(Sha256::digest([1, 2, 3]))]);
    assert_eq!(pem_pins(&pem("%")), [UNREADABLE_PIN]);
    assert_eq!(pem_pins(&[]).len(), 0);
    assert_eq!([reserved("1, 2,3"), reserved("[1,2,3]"), reserved("AQID"), reserved("010203")], [Some([1, 2, 3]); 4]);
    assert_eq!((reserved(""), reserved("1,2"), reserved("x")), (Some([0; 3]), None, None));
}

#[test]
fn quantities() {
    assert_eq!([mbps("11 Mbps"), mbps("11"), mbps("11mbps"), mbps("0.011 gbps")], [Some(11); 4]);
    assert_eq!([mbps("10 MBps"), mbps("80000 kbps")], [Some(80); 2]);
    assert_eq!((mbps("0"), mbps(""), mbps("fast"), mbps("1 x")), (None, None, None, None));
    assert_eq!([seconds("30"), seconds("30s"), seconds("30-60"), seconds("30000ms")], [Some(30); 4]);
    assert_eq!((seconds("2m"), seconds("0"), seconds("")), (Some(120), None, None));
    assert_eq!(port_ranges("443,6000-5000 / 7000:8000"), Some(vec![(443, 443), (5000, 6000), (7000, 8000)]));
    assert_eq!((port_ranges(""), port_ranges("0"), port_ranges("a")), (Some(Vec::new()), None, None));
    assert_eq!((cidr("10.0.0.2"), cidr("fd00::1/64")), (Some("10.0.0.2/32".into()), Some("fd00::1/64".into())));
    assert_eq!((cidr("10.0.0.2/33"), cidr("x")), (None, None));
}

#[test]
fn methods() {
    assert_eq!(method("AEAD_CHACHA20_POLY1305").as_deref(), Ok("chacha20-ietf-poly1305"));
    assert_eq!(method("AES-256-GCM").as_deref(), Ok("aes-256-gcm"));
    assert_eq!(method("plain").as_deref(), Ok("none"));
    assert_eq!(method("rot13"), Err(RejectCode::BadMethod));
}

proptest! {
    #[test]
    fn plugin_options_round_trip(options in vec(("[a-z;=\\\\]{1,5}", "[a-z;=\\\\ ]{0,5}"), 0..4)) {
        let options: Vec<(Box<str>, Box<str>)> = options.into_iter().map(|(k, v)| (k.into(), v.into())).collect();
        prop_assert_eq!(plugin_options(&plugin_options_text(&options)), options);
    }

    #[test]
    fn port_ranges_round_trip(ranges in vec((1..100_u16, 100..200_u16), 0..4)) {
        prop_assert_eq!(port_ranges(&port_ranges_text(&ranges, '-')), Some(ranges.clone()));
        prop_assert_eq!(port_ranges(&port_ranges_text(&ranges, ':')), Some(ranges));
    }

    #[test]
    fn no_text_breaks_a_field(text in "\\PC{0,20}") {
        let _ = (mbps(&text), seconds(&text), port_ranges(&text), reserved(&text), cidr(&text), user_id(&text));
        let _ = (pins(&text), key32(&text), short_id(&text), fingerprint(&text), plugin_options(&text));
        let _ = (method(&text), server(&text, &text), base64_bytes(&text));
    }
}
