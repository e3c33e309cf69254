//! Streams.

use std::{sync::Arc, time::Duration};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use hezar_core::{Secret, Shadowsocks, Target};
use proptest::prelude::*;
use shadowsocks::{
    config::{ServerConfig, ServerType},
    context::Context,
    relay::tcprelay::ProxyClientStream,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex},
    time::timeout,
};

use super::{super::ShadowsocksServer, Listener};
use crate::{
    BoxStream, BuildError, Dialer,
    io::codec_stream::Codec,
    protocol::{
        address::put_socks,
        contract::{self, Served, pump},
        shadowsocks::{
            aead2017::Aead2017Codec,
            aead2022::{Aead2022Codec, Keys},
            build, random, unix_now,
            wire::{Aead, Method, password_key},
        },
    },
    served::{CredentialId, InboundKey, InboundRequest, Keyring, KeyringKind, Opening, StrangerReason, StreamRequest},
    testing::{Chopped, connector_pair, heard},
    transport::TransportConnector,
};

fn dialer(listener: Listener, user: u8) -> impl Fn(TransportConnector) -> Result<Arc<dyn Dialer>, BuildError> {
    let password = Secret::new(listener.password(user));
    let settings = Shadowsocks { method: listener.method.into(), password, plugin: None, udp_over_tcp: false };
    move |connector| build(&settings, connector)
}

fn request(opening: Opening) -> Result<StreamRequest, StrangerReason> {
    match opening {
        Opening::Request(InboundRequest::Stream(request)) => Ok(request),
        Opening::Stranger(stranger) => Err(stranger.why),
        _ => panic!("neither a request nor a stranger"),
    }
}

async fn serve(listener: Listener, user: u8, peer: DuplexStream) -> Served {
    let io = Box::new(Chopped::new(peer, 7, 600));
    let served = request(listener.server().accept(io, &listener.keyring()).await.unwrap()).unwrap();
    assert_eq!(served.credential, CredentialId(10 + u64::from(user)), "{}", listener.method);
    (served.target, pump(served.stream))
}

#[tokio::test(start_paused = true)]
async fn our_own_clients_are_served() {
    for listener in Listener::all() {
        for user in [1, 3] {
            contract::all(dialer(listener, user), |io| serve(listener, user, io)).await;
        }
    }
}

/// A request of the foreign client, an answer, and the ends of both directions.
async fn foreign(listener: Listener, user: u8) {
    let (near, far) = duplex(64 * 1024);
    let config =
        ServerConfig::new(("127.0.0.1", 1), listener.password(user), listener.method.parse().unwrap()).unwrap();
    let context = Context::new_shared(ServerType::Local);
    let mut client = ProxyClientStream::from_stream(context, near, &config, ("example.com".to_owned(), 443));
    let serving = tokio::spawn(async move {
        let served = request(listener.server().accept(Box::new(far), &listener.keyring()).await.unwrap()).unwrap();
        assert_eq!(served.credential, CredentialId(10 + u64::from(user)));
        assert_eq!(served.target, Target::parse("example.com:443").unwrap());
        let mut stream = served.stream;
        let mut question = vec![0; 100_000];
        stream.read_exact(&mut question).await.unwrap();
        assert!(question.iter().all(|byte| *byte == 5));
        stream.write_all(&vec![6; 200_000]).await.unwrap();
        stream.shutdown().await.unwrap();
    });
    let mut question = &vec![5; 100_000][..];
    while !question.is_empty() {
        let length = client.write(&question[..question.len().min(10_000)]).await.unwrap();
        question = &question[length..];
    }
    let mut answer = Vec::new();
    client.read_to_end(&mut answer).await.unwrap();
    assert!(answer == vec![6; 200_000], "{}", listener.method);
    serving.await.unwrap();
}

#[tokio::test]
async fn foreign_clients_are_served() {
    for listener in Listener::all() {
        // The crate is built without this one.
        if listener.method != "aes-192-gcm" {
            foreign(listener, 2).await;
        }
    }
}

/// A whole request with the payload `hello`, made at a time.
fn opening(listener: Listener, password: &str, clock: fn() -> u64) -> Vec<u8> {
    let mut address = Vec::new();
    put_socks(&contract::target(), &mut address);
    let mut wire = Vec::new();
    match Method::new(listener.method).unwrap() {
        Method::Aead(cipher) => {
            let key = password_key(password, cipher.key_length());
            let salt = random(cipher.key_length());
            Aead2017Codec::new(cipher, &key, address, salt).unwrap().seal(b"hello", &mut wire).unwrap();
        }
        Method::Aead2022(cipher) => {
            let keys = Keys::new(cipher, password).unwrap();
            let salt = random(cipher.key_length());
            Aead2022Codec::new(keys, address, salt, vec![0], clock).unwrap().seal(b"hello", &mut wire).unwrap();
        }
        Method::None => panic!("no cipher"),
    }
    wire
}

/// What becomes of these bytes, after which the client waits; `None` when the server waits for more.
async fn outcome(
    server: &ShadowsocksServer,
    listener: Listener,
    bytes: &[u8],
) -> Option<Result<CredentialId, StrangerReason>> {
    let (mut near, far) = duplex(256 * 1024);
    near.write_all(bytes).await.unwrap();
    let opening = timeout(Duration::from_secs(3000), server.accept(Box::new(far), &listener.keyring())).await.ok()?;
    let opening = request(opening.unwrap()).map(|request| request.credential);
    // The server's end is gone by now: whatever it had written would come before the end.
    let mut answer = Vec::new();
    near.read_to_end(&mut answer).await.unwrap();
    assert!(answer.is_empty(), "{}: something was answered", listener.method);
    Some(opening)
}

#[tokio::test(start_paused = true)]
async fn a_request_that_is_sent_again_is_a_strangers() {
    for listener in Listener::all() {
        let server = listener.server();
        let bytes = opening(listener, &listener.password(2), unix_now);
        assert_eq!(outcome(&server, listener, &bytes).await, Some(Ok(CredentialId(12))), "{}", listener.method);
        assert_eq!(
            outcome(&server, listener, &bytes).await,
            Some(Err(StrangerReason::Replayed)),
            "{}",
            listener.method
        );
        assert_eq!(outcome(&server.clone(), listener, &bytes).await, Some(Err(StrangerReason::Replayed)));
    }
}

#[tokio::test(start_paused = true)]
async fn wrong_keys_and_altered_bytes_are_a_strangers() {
    for listener in Listener::all() {
        let server = listener.server();
        let bytes = opening(listener, &listener.password(9), unix_now);
        let expected = Some(Err(StrangerReason::Credential));
        assert_eq!(outcome(&server, listener, &bytes).await, expected, "{}: an unknown user", listener.method);
        for length in [100, 1000, 70_000] {
            assert_eq!(outcome(&server, listener, &random(length)).await, expected, "{}: garbage", listener.method);
        }
        for at in 0..opening(listener, &listener.password(2), unix_now).len() {
            let mut bytes = opening(listener, &listener.password(2), unix_now);
            bytes[at] ^= 1;
            assert!(matches!(outcome(&server, listener, &bytes).await, Some(Err(_))), "{}: byte {at}", listener.method);
        }
    }
}

/// Nobody learns from an end how long a header is.
#[tokio::test(start_paused = true)]
async fn a_request_that_is_not_whole_is_waited_for() {
    for listener in Listener::all() {
        let server = listener.server();
        let whole = opening(listener, &listener.password(2), unix_now).len();
        for length in [1, 16, 33, 50, whole - 1] {
            let bytes = opening(listener, &listener.password(2), unix_now);
            assert_eq!(outcome(&server, listener, &bytes[..length]).await, None, "{} {length}", listener.method);
        }
        let (mut near, far) = duplex(1024);
        near.write_all(&[1; 5]).await.unwrap();
        near.shutdown().await.unwrap();
        let ended = server.accept(Box::new(far), &listener.keyring()).await.unwrap();
        assert_eq!(request(ended).map(|request| request.credential), Err(StrangerReason::TooShort));
        let (near, far) = duplex(1024);
        drop(near);
        assert!(server.accept(Box::new(far), &listener.keyring()).await.is_err());
    }
}

const NOON: u64 = 1_800_000_000;

#[tokio::test(start_paused = true)]
async fn requests_of_2022_have_the_time_of_now() {
    for listener in Listener::all().filter(|listener| listener.is_2022()) {
        let server = |clock| ShadowsocksServer::with_clock(listener.method, &listener.server_key(), clock).unwrap();
        let (clock, started): (fn() -> u64, _) = (|| NOON, NOON - 1000);
        let mut server = server(clock);
        if let super::super::Edition::Aead2022(rules) = &mut Arc::get_mut(&mut server.0).unwrap().edition {
            rules.started = started;
        }
        let times: [(fn() -> u64, bool); 5] =
            [(|| NOON, true), (|| NOON - 30, true), (|| NOON + 30, true), (|| NOON - 31, false), (|| NOON + 31, false)];
        for (time, accepted) in times {
            let bytes = opening(listener, &listener.password(1), time);
            let expected = if accepted { Ok(CredentialId(11)) } else { Err(StrangerReason::Clock) };
            assert_eq!(outcome(&server, listener, &bytes).await, Some(expected), "{} {}", listener.method, time());
        }
        // The process before may have served it.
        let young = ShadowsocksServer::with_clock(listener.method, &listener.server_key(), clock).unwrap();
        let bytes = opening(listener, &listener.password(1), || NOON - 1);
        assert_eq!(outcome(&young, listener, &bytes).await, Some(Err(StrangerReason::Clock)));
    }
}

#[tokio::test(start_paused = true)]
async fn the_server_speaks_first_or_not_at_all() {
    for listener in Listener::all() {
        contract::speaks_first(contract::connect(&dialer(listener, 1), &|io| serve(listener, 1, io), 3, 100).await)
            .await;
        let (mut near, far) = duplex(1024);
        near.write_all(&opening(listener, &listener.password(1), unix_now)).await.unwrap();
        let served = request(listener.server().accept(Box::new(far), &listener.keyring()).await.unwrap()).unwrap();
        let mut stream = served.stream;
        stream.flush().await.unwrap();
        stream.shutdown().await.unwrap();
        drop(stream);
        let mut answer = Vec::new();
        near.read_to_end(&mut answer).await.unwrap();
        assert!(answer.is_empty(), "{}: a target that says nothing is an end without a byte", listener.method);
    }
}

/// With one key for both directions, the server's own answer opens like a request.
#[tokio::test(start_paused = true)]
async fn our_own_answer_is_no_request() {
    for listener in Listener::all() {
        let server = listener.server();
        let (mut near, far) = duplex(64 * 1024);
        near.write_all(&opening(listener, &listener.password(1), unix_now)).await.unwrap();
        let served = request(server.accept(Box::new(far), &listener.keyring()).await.unwrap()).unwrap();
        let mut stream = served.stream;
        // What a request would begin with.
        stream.write_all(b"\x03\x0bexample.com\x01\xbbhello").await.unwrap();
        stream.shutdown().await.unwrap();
        let mut answer = Vec::new();
        near.read_to_end(&mut answer).await.unwrap();
        assert!(matches!(outcome(&server, listener, &answer).await, Some(Err(_)) | None), "{}", listener.method);
    }
}

/// Some clients send the target in a chunk of its own, or in several.
#[tokio::test(start_paused = true)]
async fn the_target_may_come_in_several_chunks() {
    use crate::protocol::shadowsocks::{aead2017::session_key, wire::Sealer};
    let listener = Listener { method: "aes-256-gcm" };
    let (cipher, key) = (Aead::Aes256Gcm, password_key(listener.password(3), 32));
    let salt = random(32);
    let mut sealer = Sealer::new(cipher, &session_key(&key, &salt).unwrap()).unwrap();
    let mut wire = salt;
    for piece in [&b"\x03\x0bexam"[..], b"", b"ple.com\x01", b"\xbb"] {
        sealer.seal_chunk(&[piece], &mut wire).unwrap();
    }
    assert_eq!(outcome(&listener.server(), listener, &wire).await, Some(Ok(CredentialId(13))));
    // Chunks without end that never bring one.
    let salt = random(32);
    let mut sealer = Sealer::new(cipher, &session_key(&key, &salt).unwrap()).unwrap();
    let mut wire = salt;
    for _ in 0..2000 {
        sealer.seal_chunk(&[], &mut wire).unwrap();
    }
    assert_eq!(outcome(&listener.server(), listener, &wire).await, Some(Err(StrangerReason::Protocol)));
}

/// sing-box and mihomo pack datagrams into a stream when they are told to.
#[tokio::test(start_paused = true)]
async fn datagrams_inside_a_stream_are_served() {
    for listener in Listener::all() {
        let (connector, peer) = connector_pair(5, 40);
        let password = Secret::new(listener.password(2));
        let settings = Shadowsocks { method: listener.method.into(), password, plugin: None, udp_over_tcp: true };
        let association = build(&settings, connector).unwrap().associate(&contract::attempt()).await.unwrap();
        let target = Target::parse("example.com:53").unwrap();
        association.send_to(b"question", &target).await.unwrap();
        let io = Box::new(Chopped::new(peer, 8, 30));
        let opening = listener.server().accept(io, &listener.keyring()).await.unwrap();
        let Opening::Request(InboundRequest::Datagrams(served)) = opening else { panic!("{}", listener.method) };
        assert_eq!(served.credential, CredentialId(12));
        assert_eq!(heard(&*served.datagram).await.unwrap(), (b"question".to_vec(), target.clone()));
        served.datagram.send_to(b"answer", &target).await.unwrap();
        assert_eq!(heard(&*association).await.unwrap(), (b"answer".to_vec(), target.clone()));
    }
}

/// Nothing says whose a request is, so the work for a stranger grows with the keys: it is bounded.
#[tokio::test(start_paused = true)]
async fn so_many_keys_are_tried_and_no_more() {
    let listener = Listener { method: "aes-128-gcm" };
    let users = (0..300_u64).map(|user| (CredentialId(user), InboundKey::new(format!("password {user}").into_bytes())));
    let keyring = Keyring::new(KeyringKind::Shadowsocks, users);
    for (user, is_known) in [(0, true), (255, true), (256, false), (299, false)] {
        let (mut near, far) = duplex(1024);
        near.write_all(&opening(listener, &format!("password {user}"), unix_now)).await.unwrap();
        let opening = request(listener.server().accept(Box::new(far), &keyring).await.unwrap());
        assert_eq!(opening.map(|request| request.credential).ok(), is_known.then_some(CredentialId(user)));
    }
}

/// SIP022: a request has padding or payload, and a known kind.
#[tokio::test(start_paused = true)]
async fn requests_that_break_the_rules_of_2022_are_a_strangers() {
    let listener = Listener { method: "2022-blake3-chacha20-poly1305" };
    let keys = Keys::new(Aead::Chacha20Poly1305, &BASE64_STANDARD.encode(listener.user_key(1))).unwrap();
    let address = b"\x01\x01\x02\x03\x04\x00\x50";
    let cases: [(u8, Vec<u8>, bool); 7] = [
        (0, [&address[..], &[0, 0], b"payload"].concat(), true),
        (0, [&address[..], &[0, 1, 7]].concat(), true),
        (1, [&address[..], &[0, 0], b"payload"].concat(), false),
        (0, [&address[..], &[0, 0]].concat(), false),
        (0, [&address[..], &[0, 9], b"short"].concat(), false),
        (0, address.to_vec(), false),
        (0, vec![9; 20], false),
    ];
    for (kind, text, accepted) in cases {
        let salt = random(32);
        let mut sealer = keys.sealer(&salt).unwrap();
        let mut wire = salt;
        let from = wire.len();
        wire.push(kind);
        wire.extend_from_slice(&unix_now().to_be_bytes());
        wire.extend_from_slice(&u16::try_from(text.len()).unwrap().to_be_bytes());
        sealer.seal(&mut wire, from).unwrap();
        let from = wire.len();
        wire.extend_from_slice(&text);
        sealer.seal(&mut wire, from).unwrap();
        let outcome = outcome(&listener.server(), listener, &wire).await;
        assert_eq!(outcome.map(|outcome| outcome.is_ok()), Some(accepted), "{kind} {text:?}");
    }
}

proptest! {
    #[test]
    fn garbage_does_not_panic(bytes in proptest::collection::vec(any::<u8>(), 1..400), seed: u64, most in 1..300_usize) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        for listener in Listener::all() {
            runtime.block_on(async {
                let (mut near, far) = duplex(1024);
                near.write_all(&bytes).await.unwrap();
                near.shutdown().await.unwrap();
                let io: BoxStream = Box::new(Chopped::new(far, seed, most));
                let opening = listener.server().accept(io, &listener.keyring()).await.unwrap();
                assert!(request(opening).is_err());
            });
        }
    }
}
