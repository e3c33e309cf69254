//! A REALITY listener in front of nginx, watched on both sides: what strangers get, and what clients look like.

mod recorder;
mod records;
mod site;

use std::{
    io::{Read, Write},
    net::{Shutdown, SocketAddr, TcpStream},
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use hezar_interop::{
    Peer,
    harness::{eventually, programs},
};
use rand::RngExt;

use self::{
    recorder::{Recorder, Seen},
    records::{hello_length, offers_h2, records, server_fingerprints, server_hello},
    site::{PAGE, Site},
};
use crate::{clients::Client, rows::Row, suite::small, world::World};

/// How often Hezar visits the site for one name of it: once for each first protocol, and four times to see what it tolerates.
const VISITS: usize = 7;
/// sing-box needs uTLS for REALITY, which its package does not have.
const CLIENTS: [Peer; 2] = [Peer::Mihomo, Peer::Xray];

/// nginx, Hezar's listener for it, and watchers: before the listener, between the two, and before the listener with a link of another key.
struct Stage {
    world: World,
    front: Recorder,
    behind: Recorder,
    wrong: Recorder,
    site: Site,
}

impl Stage {
    fn set(hezar: &Path, nginx: &Path) -> Self {
        let (front, behind, wrong) = (Recorder::start(), Recorder::start(), Recorder::start());
        let site = Site::start(nginx);
        behind.lead_to(site.address);
        let row = |front: &Recorder, name, key: &str| {
            let settings = format!(
                "kind = \"vless\"\n[listener.reality]\nprivate_key = \"{key}\"\nshort_ids = [\"6ba85179e30d4fc2\"]\n\
                 site = \"{}\"\nserver_names = [\"localhost\"]",
                behind.address
            );
            Row::behind(front.address.port(), name, Box::leak(Box::new([&*settings.leak()])))
        };
        let rows = vec![
            row(&front, "reality", "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"),
            // What clients show to this one is sent to the first one.
            row(&wrong, "another-key", "IAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"),
        ];
        let world = World::with(hezar, rows);
        front.lead_to(world.rows[0].1);
        wrong.lead_to(world.rows[0].1);
        let stage = Self { world, front, behind, wrong, site };
        // What they have learned is in force when all of them are over.
        eventually("both listeners have visited the site", || stage.behind.has_seen(2 * VISITS).then_some(()));
        stage
    }

    /// What visits of Hezar's own have heard, whose hello offers HTTP/2 first as those of browsers do.
    fn visits_with_h2(&self) -> Vec<Seen> {
        // The client's part of the handshake, and the settings of HTTP/2 among what comes behind the answer.
        let is_whole = |seen: &Seen| records(&seen.up).len() >= 3 && records(&seen.down).len() >= 9;
        let visits: Vec<Seen> =
            self.behind.seen().into_iter().filter(|seen| offers_h2(&seen.up) && is_whole(seen)).collect();
        assert!(
            !visits.is_empty(),
            "no visit: {:?}",
            self.behind.seen().iter().map(|seen| records(&seen.down)).collect::<Vec<_>>()
        );
        visits
    }
}

/// Waits until the site's side of a connection is there, and shows that it was the same on both sides.
fn is_the_sites(stage: &Stage, seen: &dyn Fn() -> Option<Seen>) -> Seen {
    eventually("both sides have seen the same", || {
        let in_front = seen()?;
        stage.behind.seen().into_iter().find(|behind| *behind == in_front)
    })
}

/// What a watcher has seen of the connection that begins with these bytes.
fn at(recorder: &Recorder, begins: &[u8]) -> Option<Seen> {
    recorder.seen().into_iter().rev().find(|seen| seen.up.starts_with(begins) && !seen.up.is_empty())
}

/// Sends bytes and the end, and reads until the end or for three seconds.
fn exchange(to: SocketAddr, bytes: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(to).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(3))).unwrap();
    stream.write_all(bytes).unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    let (mut heard, mut piece) = (Vec::new(), [0; 4096]);
    while let Ok(length @ 1..) = stream.read(&mut piece) {
        heard.extend_from_slice(&piece[..length]);
    }
    heard
}

/// Runs a prober with this input and returns what it printed.
fn run(program: &Path, arguments: &[&str], input: &str) -> String {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[test]
fn reality_shows_strangers_the_site() {
    let Some((hezar, [nginx, openssl, curl])) = programs("inbounds", ["nginx", "openssl", "curl"]) else { return };
    let stage = Stage::set(&hezar, &nginx);
    let (front, root) = (stage.front.address, stage.site.root());
    let (address, root) = (front.to_string(), root.to_str().unwrap());
    for options in [
        &["-servername", "localhost"][..],
        &["-noservername"],
        &["-servername", "elsewhere.example"],
        &["-servername", "localhost", "-tls1_2"],
        &["-servername", "localhost", "-groups", "P-384"],
        &["-servername", "localhost", "-groups", "X448"],
    ] {
        let before = stage.front.seen().len();
        let arguments =
            ["s_client", "-connect", &address, "-CAfile", root, "-verify_return_error", "-quiet", "-ign_eof"];
        let said = run(&openssl, &[&arguments[..], options].concat(), "GET / HTTP/1.0\r\n\r\n");
        assert!(said.contains(PAGE), "{options:?}: {said}");
        is_the_sites(&stage, &|| stage.front.seen().get(before).cloned());
        println!("inbounds: openssl s_client {options:?} gets the site's bytes through the REALITY listener");
    }
    for version in ["--http1.1", "--http2"] {
        for (path, length) in [("", PAGE.len()), ("large", 4 << 20)] {
            let before = stage.front.seen().len();
            let url = format!("https://localhost:{}/{path}", front.port());
            let said = run(
                &curl,
                &["-sS", version, "--cacert", root, "-w", "%{http_code} %{size_download}", "-o", "/dev/null", &url],
                "",
            );
            assert_eq!(said, format!("200 {length}"));
            is_the_sites(&stage, &|| stage.front.seen().get(before).cloned());
        }
    }
    let mut random = [0; 300];
    rand::rng().fill(&mut random);
    random[0] = 22;
    for bytes in
        [&b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"[..], &[22, 3, 1, 0, 5, 1, 2, 3, 4, 5], &random, b"\x05\x01\x00"]
    {
        let heard = exchange(front, bytes);
        let seen = is_the_sites(&stage, &|| at(&stage.front, bytes));
        assert_eq!(seen.down, heard);
        assert_eq!(exchange(stage.site.address, bytes).len(), heard.len(), "the site says another thing to {bytes:?}");
    }
}

#[test]
fn reality_clients_look_like_visitors_of_the_site() {
    let needed = ["nginx", CLIENTS[0].name(), CLIENTS[1].name()];
    let Some((hezar, [nginx, ..])) = programs("inbounds", needed) else { return };
    let stage = Stage::set(&hezar, &nginx);
    let visits = stage.visits_with_h2();
    let subscription = stage.world.add_user("phone");
    let (right, other) = (stage.world.rows[0].0, stage.world.rows[1].0);
    for peer in CLIENTS {
        let client = Client::start(peer, &stage.world, &subscription, peer.name());
        let before = stage.front.seen().len();
        let served = || stage.world.runtime.block_on(small(client.through(right)));
        // mihomo listens before it has read its nodes.
        eventually("the first request is served", || served().ok());
        for _ in 0..2 {
            served()
                .unwrap_or_else(|error| panic!("{}: {error:#}\n{}\n{}", peer.name(), client.log(), stage.world.log()));
        }
        for seen in stage.front.seen().into_iter().skip(before) {
            looks_like_a_visit(&stage, &seen, &visits);
            replays_and_changes_get_the_site(&stage, &seen.up[..hello_length(&seen.up)]);
        }
        let before = stage.wrong.seen().len();
        let refused = stage
            .world
            .runtime
            .block_on(async { tokio::time::timeout(Duration::from_secs(5), small(client.through(other))).await });
        assert!(!matches!(refused, Ok(Ok(()))), "{} was served with another key", peer.name());
        assert!(stage.wrong.seen().len() > before, "it did not try");
        for index in before..stage.wrong.seen().len() {
            is_the_sites(&stage, &|| stage.wrong.seen().get(index).cloned());
        }
        println!(
            "inbounds: {} over REALITY looks like a visit of the site; with another key it gets the site",
            peer.name()
        );
    }
}

/// The answer that a client got has the site's own ServerHello and records as long as the site's; so has what came behind it.
fn looks_like_a_visit(stage: &Stage, seen: &Seen, visits: &[Seen]) {
    let hello = &seen.up[..hello_length(&seen.up)];
    let behind =
        eventually("the site has answered", || at(&stage.behind, hello).filter(|behind| behind.down.len() > 1000));
    assert_eq!(behind.up, hello, "the site got more than the hello");
    let (ours, theirs) = (records(&seen.down), records(&behind.down));
    assert_eq!(theirs.len(), 6, "nginx puts each message into a record");
    assert_eq!(ours[..6], theirs[..]);
    assert_eq!(server_hello(&seen.down).1, server_hello(&behind.down).1);
    assert_ne!(server_hello(&seen.down).0, server_hello(&behind.down).0);
    assert_eq!(server_fingerprints(&seen.down), server_fingerprints(&behind.down));
    assert!(
        !seen.down.windows(64).any(|bytes| behind.down[behind.down.len() - 64..] == *bytes),
        "bytes of the site's records"
    );
    // The lengths of tickets vary a little from visit to visit.
    let visited: Vec<_> = visits.iter().map(|visit| records(&visit.down)[6..].to_vec()).collect();
    let is_visited = visited.iter().any(|visited| ours[6..].starts_with(visited));
    assert!(offers_h2(hello) && is_visited, "{:?} instead of one of {visited:?}", &ours[6..]);
}

/// A client's hello that comes again, and one of which a byte was changed.
fn replays_and_changes_get_the_site(stage: &Stage, hello: &[u8]) {
    let random = 5 + 4 + 2;
    let session_id = random + 32 + 1;
    for place in [None, Some(random), Some(random + 31), Some(session_id), Some(session_id + 31), Some(hello.len() - 1)]
    {
        let mut bytes = hello.to_vec();
        if let Some(place) = place {
            bytes[place] ^= 1;
        }
        let before = stage.front.seen().len();
        let heard = exchange(stage.front.address, &bytes);
        let seen = is_the_sites(stage, &|| stage.front.seen().get(before).cloned());
        assert_eq!((seen.up, seen.down), (bytes, heard));
    }
}

/// How long the first answer takes: at the site, and through the listener in front of it. Printed, and not judged.
#[test]
fn reality_strangers_wait_as_long_as_at_the_site() {
    let Some((hezar, [nginx])) = programs("inbounds", ["nginx"]) else { return };
    let stage = Stage::set(&hezar, &nginx);
    // As many watchers on the way as in front of the listener.
    let site = Recorder::start();
    site.lead_to(stage.behind.address);
    let hello = {
        let up = &stage.visits_with_h2()[0].up;
        up[..hello_length(up)].to_vec()
    };
    for (name, bytes) in
        [("hello", &hello[..]), ("garbage", b"\x16\x03\x01\x00\x05hello"), ("HTTP", b"GET / HTTP/1.0\r\n\r\n")]
    {
        let mut times: [Vec<Duration>; 2] = Default::default();
        for _ in 0..100 {
            for (times, address) in times.iter_mut().zip([site.address, stage.front.address]) {
                let begun = Instant::now();
                let mut stream = TcpStream::connect(address).unwrap();
                stream.write_all(bytes).unwrap();
                let length = stream.read(&mut [0; 16]).unwrap_or_default();
                assert!(length > 0, "{name} got no answer");
                times.push(begun.elapsed());
            }
        }
        let [site, listener] = times.map(|mut times| {
            times.sort_unstable();
            [10, 50, 90].map(|at| times[at].as_micros())
        });
        println!(
            "inbounds: {name}: p10, p50 and p90 of the first byte: {site:?} µs at the site, {listener:?} µs at the listener"
        );
    }
}
