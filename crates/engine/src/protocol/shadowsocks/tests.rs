//! Shadowsocks against golden bytes (computed apart, from the definition) and against the server side of the
//! `shadowsocks` crate, which shares no code with ours.

use std::sync::Arc;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use hezar_core::{Host, Plugin, Secret, Shadowsocks, Target};
use proptest::prelude::*;
use shadowsocks::{
    config::{ServerConfig, ServerType, ServerUser, ServerUserManager},
    context::Context,
    crypto::CipherKind,
    relay::{socks5::Address, tcprelay::ProxyServerStream},
};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, copy, duplex, split};

use super::{aead2017, aead2022, build, wire};
use crate::{
    BuildError, Cause, Dialer,
    io::codec_stream::Codec,
    protocol::{
        address::put_socks,
        contract::{self, Served, pump},
    },
    testing::connector_pair,
    transport::TransportConnector,
};

fn settings(method: &str, password: &str) -> Shadowsocks {
    Shadowsocks { method: method.into(), password: Secret::new(password), plugin: None, udp_over_tcp: false }
}

fn dialer(method: &str, password: &str) -> impl Fn(TransportConnector) -> Result<Arc<dyn Dialer>, BuildError> {
    let settings = settings(method, password);
    move |connector| build(&settings, connector)
}

/// The crate wants the 2022 header in one read, so its beginning is gathered first.
fn gathered(peer: DuplexStream, header: usize) -> DuplexStream {
    let (ours, theirs) = duplex(64 * 1024);
    let (mut peer_reader, mut peer_writer) = split(peer);
    let (mut reader, mut writer) = split(theirs);
    tokio::spawn(async move {
        let mut start = vec![0; header];
        peer_reader.read_exact(&mut start).await.unwrap();
        writer.write_all(&start).await.unwrap();
        let _ = copy(&mut peer_reader, &mut writer).await;
        let _ = writer.shutdown().await;
    });
    tokio::spawn(async move {
        let _ = copy(&mut reader, &mut peer_writer).await;
        let _ = peer_writer.shutdown().await;
    });
    ours
}

/// A server for a method and a password; with `user`, the password is the server's own and the user has that key.
async fn serve(method: &str, password: &str, user: Option<&str>, peer: DuplexStream) -> Served {
    let kind: CipherKind = method.parse().unwrap();
    let config = ServerConfig::new(("127.0.0.1", 1), password, kind).unwrap();
    let users = user.map(|key| {
        let mut users = ServerUserManager::new();
        users.add_user(ServerUser::with_encoded_key("user", key).unwrap());
        Arc::new(users)
    });
    let header = kind.is_aead_2022().then(|| kind.salt_len() + if user.is_some() { 16 } else { 0 } + 11 + 16);
    let peer = gathered(peer, header.unwrap_or(1));
    let context = Context::new_shared(ServerType::Server);
    let mut stream = ProxyServerStream::from_stream_with_user_manager(context, peer, kind, config.key(), users);
    let Address::DomainNameAddress(name, port) = stream.handshake().await.unwrap() else { panic!("an address") };
    (Target::new(Host::new(&name).unwrap(), port).unwrap(), pump(stream))
}

async fn keeps_the_laws(method: &'static str, password: &'static str) {
    contract::all(dialer(method, password), |io| serve(method, password, None, io)).await;
}

/// A key of `length` equal bytes.
fn key(byte: u8, length: usize) -> String {
    BASE64_STANDARD.encode(vec![byte; length])
}

#[tokio::test(start_paused = true)]
async fn aead_2017() {
    for method in ["aes-128-gcm", "aes-256-gcm", "chacha20-ietf-poly1305"] {
        keeps_the_laws(method, "barfoo!").await;
    }
}

#[tokio::test(start_paused = true)]
async fn aead_2022() {
    for (method, length) in
        [("2022-blake3-aes-128-gcm", 16), ("2022-blake3-aes-256-gcm", 32), ("2022-blake3-chacha20-poly1305", 32)]
    {
        keeps_the_laws(method, key(5, length).leak()).await;
    }
}

#[tokio::test(start_paused = true)]
async fn identity_headers() {
    for (method, length) in [("2022-blake3-aes-128-gcm", 16), ("2022-blake3-aes-256-gcm", 32)] {
        let (server, user) = (&*key(6, length).leak(), &*key(7, length).leak());
        let both = format!("{server}:{user}");
        contract::all(dialer(method, &both), |io| serve(method, server, Some(user), io)).await;
    }
}

#[cfg(feature = "stream-cipher")]
#[tokio::test(start_paused = true)]
async fn stream_ciphers() {
    for method in ["aes-256-cfb", "aes-128-ctr", "rc4-md5", "chacha20-ietf", "camellia-192-cfb"] {
        keeps_the_laws(method, "barfoo!").await;
    }
}

#[tokio::test(start_paused = true)]
async fn no_cipher() {
    for method in ["none", "plain"] {
        contract::all(dialer(method, ""), |io| serve("none", "", None, io)).await;
    }
}

#[test]
fn golden_requests() {
    let cases = [
        (
            wire::Aead::Aes128Gcm,
            "000102030405060708090a0b0c0d0e0f6f4051bba8abc6dd093a70772d20c2a6496e83cb3671df0e3535\
             facc60e35e9eb81f70ee6c6d7ec59d9f45b16ab6b5c6970a1c481e4327e8df3cd258d8d9a44bd78dc28a\
             a99e9c083f0d70100972d9a0a0500135e7349a7fa461a6a3",
        ),
        (
            wire::Aead::Aes256Gcm,
            "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1ffe235e2dc19de661aad4\
             c0dca27e61107ec2dd9bc51b0d8a83b231613d79afc6f71ad0f7319314ed97634b9a71d2164baab90238\
             0ef2e4cae67362339d63cf5f9c0fe8f5914cbc9ff9c44a2ff031f9e179efc519771ca893dccfa4cc",
        ),
        (
            wire::Aead::Chacha20Poly1305,
            "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1fa03b55ca9440c8d1a013\
             54bacf37ab76b8964db967f534f21b56fa73a5ec1204edfae3fc3e4181f4610c26e32ff0b06cc94266a2\
             32a0ed4bc4524ac15069859ee0d5acf4a3fa706a7ea6f126de4b36166ad7a48642054ad1f276c46c",
        ),
    ];
    for (cipher, expected) in cases {
        let key = wire::password_key("barfoo!", cipher.key_length());
        let salt = (0..32).take(cipher.key_length()).collect();
        let mut address = Vec::new();
        put_socks(&Target::parse("example.com:80").unwrap(), &mut address);
        let mut codec = aead2017::Aead2017Codec::new(cipher, &key, address, salt).unwrap();
        let mut bytes = Vec::new();
        assert_eq!(codec.seal(b"GET /", &mut bytes).unwrap(), 5);
        assert_eq!(codec.seal(b"more", &mut bytes).unwrap(), 4);
        assert_eq!(hex::encode(bytes), expected);
    }
}

#[tokio::test(start_paused = true)]
async fn names_what_went_wrong() {
    let page = b"HTTP/1.1 400 Bad Request\r\nServer: nginx\r\nConnection: close\r\nContent-Length: 0\r\n\r\n0123456789";
    for (method, password) in [("aes-256-gcm", "x".to_owned()), ("2022-blake3-aes-256-gcm", key(1, 32))] {
        let cause = |answer| contract::cause_of_answer(dialer(method, &password), answer, 1, 64);
        assert!(matches!(cause(b"").await, Some(Cause::Closed)));
        assert!(matches!(cause(b"short").await, Some(Cause::Closed)));
        assert!(matches!(cause(page).await, Some(Cause::Authentication)), "{method}");
    }
}

#[tokio::test(start_paused = true)]
async fn other_passwords_do_not_open() {
    let (connector, peer) = connector_pair(1, 64);
    let mut client = build(&settings("aes-128-gcm", "ours"), connector).unwrap();
    let mut client =
        Arc::get_mut(&mut client).unwrap().connect(&contract::target(), &contract::attempt()).await.unwrap();
    client.write_all(b"x").await.unwrap();
    client.flush().await.unwrap();
    let kind: CipherKind = "aes-128-gcm".parse().unwrap();
    let config = ServerConfig::new(("127.0.0.1", 1), "theirs", kind).unwrap();
    let context = Context::new_shared(ServerType::Server);
    let mut server = ProxyServerStream::from_stream(context, peer, kind, config.key());
    assert!(server.handshake().await.is_err());
    server.write_all(b"an answer under another key").await.unwrap();
    let cause = Cause::from(client.read_u8().await.unwrap_err());
    assert!(matches!(cause, Cause::Authentication));
}

#[test]
fn checks_the_settings() {
    let refusal = |settings: Shadowsocks| build(&settings, connector_pair(1, 1).0).unwrap_err();
    for (method, password) in [
        ("2022-blake3-aes-128-gcm", key(1, 15)),
        ("2022-blake3-aes-128-gcm", key(1, 32)),
        ("2022-blake3-aes-256-gcm", String::new()),
        ("2022-blake3-aes-256-gcm", "not base64!".to_owned()),
        ("2022-blake3-aes-128-gcm", format!("{}:{}", key(1, 16), key(1, 17))),
        ("2022-blake3-aes-128-gcm", format!("{}:", key(1, 16))),
        ("2022-blake3-chacha20-poly1305", format!("{0}:{0}", key(1, 32))),
    ] {
        assert!(matches!(refusal(settings(method, &password)), BuildError::Invalid(_)), "{method} {password}");
    }
    for method in ["", "table", "rc4", "chacha20", "aes-256-cfb8", "aes-512-cfb", "AES-256-GCM", "xyz"] {
        assert!(matches!(refusal(settings(method, "x")), BuildError::Unsupported(_)), "{method}");
    }
    let plugin = Plugin { name: "kcptun".into(), options: Vec::new() };
    let settings = Shadowsocks { plugin: Some(Box::new(plugin)), ..settings("none", "") };
    assert_eq!(refusal(settings), BuildError::Unsupported("the plugin kcptun"));
}

#[test]
fn keys_without_padding_and_url_safe() {
    let keys = |text: &str| aead2022::Keys::new(wire::Aead::Aes128Gcm, text).is_ok();
    assert!(keys("+/+/+/+/+/+/+/+/+/+/+w=="));
    assert!(keys("+/+/+/+/+/+/+/+/+/+/+w"));
    assert!(keys("-_-_-_-_-_-_-_-_-_-_-w"));
}

proptest! {
    #[test]
    fn any_settings_build_or_not(method in "[a-z0-9-]{0,30}", password in "\\PC{0,60}") {
        let _ = build(&settings(&method, &password), connector_pair(1, 1).0);
    }

    #[test]
    fn garbage_does_not_panic(answer in proptest::collection::vec(any::<u8>(), 0..200), seed: u64, most in 1..300_usize) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        for (method, password, fails) in [
            ("aes-128-gcm", "x".to_owned(), true),
            ("2022-blake3-aes-128-gcm", key(1, 16), true),
            ("aes-256-cfb", "x".to_owned(), answer.len() < 16),
        ] {
            let cause = runtime.block_on(contract::cause_of_answer(dialer(method, &password), &answer, seed, most));
            prop_assert_eq!(cause.is_some(), fails);
        }
    }
}

/// Nothing in the key of 2017 says who has sealed.
#[test]
fn our_own_bytes_are_no_answer() {
    for cipher in [wire::Aead::Aes128Gcm, wire::Aead::Aes256Gcm, wire::Aead::Chacha20Poly1305] {
        let key = vec![7; cipher.key_length()];
        let mut codec =
            aead2017::Aead2017Codec::new(cipher, &key, vec![1, 1, 2, 3, 4, 0, 80], vec![9; key.len()]).unwrap();
        let mut bytes = Vec::new();
        codec.seal(b"hello", &mut bytes).unwrap();
        let answer = codec.open(&mut bytes, &mut tokio::io::ReadBuf::new(&mut [0; 100]));
        assert!(matches!(answer, Err(Cause::Protocol(_))), "{answer:?}");
    }
}
