//! Keyrings and the reading of heads.

use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

use super::{CredentialId, HeadRead, InboundKey, Keyring, KeyringKind, StrangerReason, read_head};

fn keyring(kind: KeyringKind, keys: &[&[u8]]) -> Keyring {
    Keyring::new(kind, (0..).map(CredentialId).zip(keys.iter().map(|key| InboundKey::new(*key))))
}

#[test]
fn finds_what_each_kind_shows() {
    let trojan = keyring(KeyringKind::Trojan, &[b"other", b"password"]);
    let shown = b"d63dc919e201d7bc4c825630d2cf25fdc93d4b2f0d46706d29038d01";
    assert_eq!(trojan.find(shown), Some(CredentialId(1)));
    assert_eq!(trojan.find(b"password"), None);
    assert!(trojan.may_begin_with(b"d63dc91") && trojan.may_begin_with(shown));
    assert!(!trojan.may_begin_with(b"d63dc918"));

    let vless = keyring(KeyringKind::Vless, &[&[7; 16], &[8; 16]]);
    assert_eq!(vless.find(&[8; 16]), Some(CredentialId(1)));
    assert!(vless.may_begin_with(&[9; 3]) && !vless.may_begin_with(&[9; 4]));
    assert!(vless.psk(CredentialId(1)).is_empty(), "a UUID is not kept");

    let any_tls = keyring(KeyringKind::AnyTls, &[b"password"]);
    let sha256 = hex::decode("5e884898da28047151d0e56f8dc6292773603d0d6aabbdd62a11ef721d1542d8").unwrap();
    assert_eq!(any_tls.find(&sha256), Some(CredentialId(0)));

    let shadowsocks = keyring(KeyringKind::Shadowsocks2022, &[&[1; 16], &[2; 16]]);
    let hash = blake3::hash(&[2; 16]);
    assert_eq!(shadowsocks.find(&hash.as_bytes()[..16]), Some(CredentialId(1)));
    assert_eq!(shadowsocks.psk(CredentialId(1)), [2; 16]);
    assert_eq!(shadowsocks.iter().count(), 2);
}

/// Where not all keys are tried, it is the first ones that are, whatever their numbers.
#[test]
fn keys_stay_in_the_order_in_which_they_were_given() {
    let keys = [(CredentialId(9), InboundKey::new(*b"first")), (CredentialId(3), InboundKey::new(*b"second"))];
    let keyring = Keyring::new(KeyringKind::Shadowsocks, keys);
    let all: Vec<_> = keyring.iter().collect();
    assert_eq!(all, [(CredentialId(9), &b"first"[..]), (CredentialId(3), b"second")]);
    assert_eq!((keyring.psk(CredentialId(3)), keyring.psk(CredentialId(4))), (&b"second"[..], &b""[..]));
}

#[test]
fn the_first_of_two_equal_keys_counts() {
    let keyring = keyring(KeyringKind::Hysteria2, &[b"same", b"same"]);
    assert_eq!((keyring.find(b"same"), keyring.len()), (Some(CredentialId(0)), 1));
    assert_eq!(format!("{keyring:?}"), "Keyring { kind: Hysteria2, credentials: 1, .. }");
}

/// Three letters are a head, in any pieces; a digit is a stranger's.
fn judge(bytes: &[u8]) -> HeadRead<usize> {
    if bytes.iter().take(3).any(u8::is_ascii_digit) {
        return Err(StrangerReason::Credential);
    }
    Ok((bytes.len() >= 3).then_some((bytes.len(), 3)))
}

#[tokio::test]
async fn a_head_is_taken_away_and_the_rest_stays() {
    let (ours, mut theirs) = duplex(2);
    let send = async {
        theirs.write_all(b"abcdefg").await.unwrap();
        theirs.shutdown().await.unwrap();
    };
    let read = async {
        let (_, mut stream) = read_head(Box::new(ours), 64, judge).await.unwrap().ok().unwrap();
        let mut rest = String::new();
        stream.read_to_string(&mut rest).await.unwrap();
        rest
    };
    assert_eq!(tokio::join!(send, read).1, "defg");
}

#[tokio::test]
async fn a_stranger_loses_no_byte() {
    for (sent, most, why) in [
        ("a1", 64, StrangerReason::Credential),
        ("ab", 64, StrangerReason::TooShort),
        ("ab", 2, StrangerReason::Protocol),
    ] {
        let (ours, mut theirs) = duplex(64);
        theirs.write_all(sent.as_bytes()).await.unwrap();
        theirs.shutdown().await.unwrap();
        let mut stranger = read_head(Box::new(ours), most, judge).await.unwrap().err().unwrap();
        assert_eq!(stranger.why, why);
        let mut all = String::new();
        stranger.stream.read_to_string(&mut all).await.unwrap();
        assert_eq!(all, sent);
    }
}

#[tokio::test]
async fn a_connection_that_says_nothing_is_an_error() {
    let (ours, theirs) = duplex(64);
    drop(theirs);
    let error = read_head(Box::new(ours), 64, judge).await.map(|_| ()).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::UnexpectedEof);
}
