//! Clients, and what a watcher sees of them.

use hezar_core::{Fingerprint, Reality};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::{
    super::{Answer, CertificateKey, Finishing, Meeting, RealityAccepted, session_id, unix_time},
    world::{SHORT_ID, Script, World, attempt, client, hello_of, records, scripted, whole},
};
use crate::security::{client_hello::SESSION_ID, reality::auth};

const APART: [usize; 4] = [32, 1800, 101, 74];

fn scripts() -> Vec<Script> {
    let mut scripts = Vec::new();
    for suite in [0x1301, 0x1302, 0x1303] {
        for group in [0x001d, 0x11ec] {
            let apart = [&APART[..], &[250, 300]].concat();
            for lengths in [APART.to_vec(), vec![2600], vec![16_406, 500], apart] {
                scripts.push(Script { suite, group, lengths });
            }
        }
    }
    scripts
}

/// All suites, key exchanges and shapes of an answer; the client's TLS is that of rustls.
#[tokio::test(start_paused = true)]
async fn a_watcher_sees_the_answer_of_the_site() {
    for script in scripts() {
        let world = World::new(scripted(script.clone()));
        let hellos = [(None, false), (Some(Fingerprint::Firefox), false), (None, true)];
        let clients =
            hellos.map(|(fingerprint, own_hello)| client(&Reality { fingerprint, own_hello, ..world.settings() }));
        for client in clients.iter().cycle().take(42) {
            let heard = world.talk(client).await;
            let heard = records(&heard);
            let lengths: Vec<usize> = heard.iter().map(|record| record.len()).collect();
            let expected = [&[heard[0].len(), 6][..], &script.lengths].concat();
            // What follows is data.
            assert_eq!(lengths[..expected.len()], expected[..], "{script:?}");
            assert_eq!(heard[1], [20, 3, 3, 0, 1, 1]);
            assert!(heard[2..].iter().all(|record| record[..3] == [23, 3, 3]));
            check_server_hello(heard[0], &script);
        }
    }
}

/// The ServerHello is the site's up to its last bytes, which are the key share.
fn check_server_hello(ours: &[u8], script: &Script) {
    let share = if script.group == 0x11ec { 1088 + 32 } else { 32 };
    let (front, key) = ours.split_at(ours.len() - share);
    assert_eq!(front[11..43], [0x5a; 32]);
    assert_eq!(front[76..78], script.suite.to_be_bytes());
    assert_eq!(front[front.len() - 4..front.len() - 2], script.group.to_be_bytes());
    assert!(key != vec![9; share] && key[share - 32..] != [9; 32]);
}

/// Keys are renewed in both directions, more than once.
#[tokio::test(start_paused = true)]
async fn keys_are_renewed() {
    for suite in [0x1301, 0x1302, 0x1303] {
        let world = World::new(scripted(Script { suite, group: 0x001d, lengths: APART.to_vec() }));
        let (ours, accepted) = world.connect();
        let client = client(&world.settings());
        let attempt = attempt();
        let (ours, accepted) = tokio::join!(client.wrap(Box::new(ours), &attempt), accepted);
        let (mut ours, Ok(RealityAccepted::Client(mut theirs))) = (ours.unwrap(), accepted) else {
            panic!("no client")
        };
        ours.codec_mut().limit = 3;
        theirs.codec_mut().limit = 3;
        for round in 0..20_u8 {
            let mut heard = [0; 100];
            ours.write_all(&[round; 100]).await.unwrap();
            ours.flush().await.unwrap();
            theirs.read_exact(&mut heard).await.unwrap();
            assert_eq!(heard, [round; 100]);
            theirs.write_all(&[!round; 100]).await.unwrap();
            theirs.flush().await.unwrap();
            ours.read_exact(&mut heard).await.unwrap();
            assert_eq!(heard, [!round; 100]);
        }
    }
}

/// A server that has the secret but not the key of its certificate is refused by our client.
#[tokio::test(start_paused = true)]
async fn a_certificate_without_its_key_is_refused() {
    let script = Script { suite: 0x1301, group: 0x001d, lengths: APART.to_vec() };
    for honest in [true, false] {
        let world = World::new(scripted(script.clone()));
        let (ours, theirs) = tokio::io::duplex(1 << 16);
        let serve = async {
            let server = &world.server;
            let (mut meeting, hello) = Meeting::begin(Box::new(theirs), &*server.site).await.unwrap().unwrap();
            let hello = hello.unwrap();
            let (key, _) = session_id::open(&server.key, &hello).unwrap();
            let flight = meeting.hear_site().await.unwrap().unwrap();
            let other = CertificateKey::generate().unwrap();
            let signer = if honest { &*server.certificates } else { &other };
            let certificate = server.certificates.certificate(&key);
            let answer = Answer::signed(&hello, &flight, &certificate, |hash| signer.sign(hash)).unwrap();
            meeting.held.clear();
            Finishing::run(meeting, answer, 1).await.is_ok_and(|finished| finished.is_some())
        };
        let client = client(&world.settings());
        let attempt = attempt();
        let (met, served) = tokio::join!(client.wrap(Box::new(ours), &attempt), serve);
        assert_eq!((met.map_err(|error| error.code()).err(), served), ((!honest).then_some("certificate"), honest));
    }
}

#[tokio::test(start_paused = true)]
async fn a_session_id_is_for_one_server() {
    let script = Script { suite: 0x1301, group: 0x001d, lengths: APART.to_vec() };
    let (world, other) = (World::new(scripted(script.clone())), World::new(scripted(script)));
    let hello = whole(&hello_of(&world.settings()).await);
    let (key, shown) = session_id::open(&world.server.key, &hello).unwrap();
    assert!(shown.time.abs_diff(unix_time()) < 60);
    assert_eq!(shown.short_id, SHORT_ID);
    assert!(session_id::open(&other.server.key, &hello).is_none());
    // The same once more, with the version that our client says it is.
    let mut message = hello.message().to_vec();
    message[SESSION_ID].fill(0);
    let short_id = world.settings().short_id;
    let sealed = auth::session_id(&key, hello.random().unwrap(), &message, short_id, shown.time).unwrap();
    assert_eq!(&sealed, hello.session_id().unwrap());
}
