//! Three takeovers in a row while clients come, tunnels carry bytes and connections wait for their next request.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use serde_json::Value;

use super::{PASSWORD, Stage, basic, node, tunnel};
use crate::harness::{PATIENCE, echoes, eventually};

const TUNNELS: u64 = 20;
const TAKEOVERS: u32 = 3;
/// What each exchange of a tunnel moves, in one direction.
const WORD: u64 = 10;

/// Clients that work until they are asked to end.
struct Clients {
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<Result<u64, String>>>,
}

impl Clients {
    fn new() -> Self {
        Self { stop: Arc::default(), threads: Vec::new() }
    }

    /// Does something again and again, until it fails.
    fn add(&mut self, pause: Duration, mut step: impl FnMut(u64) -> Result<(), String> + Send + 'static) {
        let stop = Arc::clone(&self.stop);
        self.threads.push(thread::spawn(move || {
            let mut done = 0;
            while !stop.load(Relaxed) {
                step(done)?;
                done += 1;
                thread::sleep(pause);
            }
            Ok(done)
        }));
    }

    /// How often each client did its work; the first failure fails the test.
    fn end(self) -> Vec<u64> {
        self.stop.store(true, Relaxed);
        self.threads.into_iter().map(|thread| thread.join().unwrap().unwrap()).collect()
    }
}

/// Requests over one connection for as long as it is kept, then over another one. A connection that is closed before a request has
/// been sent is no failure; one that is closed instead of an answer is.
struct KeptAlive {
    proxy: SocketAddr,
    stream: Option<TcpStream>,
    connections: Arc<AtomicU64>,
}

impl KeptAlive {
    fn ask(&mut self) -> Result<(), String> {
        let mut stream = match self.stream.take() {
            Some(stream) => stream,
            None => {
                self.connections.fetch_add(1, Relaxed);
                TcpStream::connect(self.proxy).map_err(|error| format!("connect: {error}"))?
            }
        };
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let head = format!("Host: demo.hezar\r\nProxy-Authorization: {}\r\n\r\n", basic("alice"));
        let asked = stream.write_all(format!("GET http://demo.hezar/ HTTP/1.1\r\n{head}").as_bytes());
        asked.map_err(|error| format!("kept alive, write: {error}"))?;
        let mut answer = Vec::new();
        while !answer.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).map_err(|error| format!("kept alive, read: {error}"))?;
            answer.extend_from_slice(&byte);
        }
        let head = String::from_utf8_lossy(&answer).to_ascii_lowercase();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).ok_or_else(|| head.clone())?;
        let mut body = vec![0; length.trim().parse().map_err(|_| head.clone())?];
        stream.read_exact(&mut body).map_err(|error| format!("kept alive, body: {error}"))?;
        if !head.starts_with("http/1.1 200") {
            return Err(head);
        }
        if !head.contains("connection: close") {
            self.stream = Some(stream);
        }
        Ok(())
    }
}

/// What the API says that a user has moved in all, up and down.
fn used(stage: &Stage, user: &str) -> (u64, u64) {
    let said = stage.home.run(&["user", "usage", user, "--json"]);
    let days: Vec<Value> = said.good().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let sum = |key: &str| days.iter().map(|day| day[key].as_u64().unwrap()).sum();
    (sum("up"), sum("down"))
}

#[test]
fn three_takeovers_cost_no_request_and_no_tunnel() {
    let user = |name| format!("{{ name = \"{name}\", password = \"{PASSWORD}\", quota = {{ total = \"1GiB\" }} }}");
    let stage = Stage::new(&format!("users = [{}, {}]", user("alice"), user("bob")), "");
    let mut instance = stage.start();
    let proxy = instance.proxy;
    let sessions: Vec<String> = (0..10).map(|number| format!("alice-session-s{number}")).collect();
    let exits: Vec<String> = sessions.iter().map(|name| node(proxy, name).unwrap()).collect();

    let mut clients = Clients::new();
    let moved = Arc::new(AtomicU64::new(0));
    for _ in 0..TUNNELS {
        let (mut stream, moved) = (tunnel(proxy, "bob").unwrap(), Arc::clone(&moved));
        clients.add(Duration::from_millis(50), move |_| {
            echoes(&mut stream);
            moved.fetch_add(WORD, Relaxed);
            Ok(())
        });
    }
    for (name, exit) in sessions.iter().cloned().zip(exits.iter().cloned()) {
        clients.add(Duration::from_millis(100), move |_| match node(proxy, &name) {
            Ok(now) if now == exit => Ok(()),
            Ok(now) => Err(format!("{name} came out at {now}, before at {exit}")),
            Err(error) => Err(error),
        });
    }
    let connections = Arc::new(AtomicU64::new(0));
    for _ in 0..4 {
        let mut kept = KeptAlive { proxy, stream: None, connections: Arc::clone(&connections) };
        clients.add(Duration::from_millis(40), move |_| kept.ask());
    }

    let mut before = Vec::new();
    for _ in 0..TAKEOVERS {
        let successor = stage.home.start(&["--takeover"]);
        assert_eq!(successor.proxy, proxy);
        eventually("the successor is the one that commands find", || {
            (stage.serving_pid() == u64::from(successor.pid())).then_some(())
        });
        assert_eq!(stage.status()["nodes"]["healthy"], 6, "the store was handed over");
        before.push(std::mem::replace(&mut instance, successor));
        // A session that begins here is known to the next one.
        let name = format!("alice-session-new{}", before.len());
        let exit = node(proxy, &name).unwrap();
        clients.add(Duration::from_millis(100), move |_| match node(proxy, &name) {
            Ok(now) if now == exit => Ok(()),
            other => Err(format!("{name} came out at {other:?}, before at {exit}")),
        });
    }
    let draining = eventually("the first one says what it has open", || {
        let status = stage.status();
        let processes = status["draining"].as_array()?.clone();
        processes.iter().find(|one| one["pid"] == before[0].pid() && one["connections"] == TUNNELS).cloned()
    });
    assert!(draining["since"].as_u64() > Some(0), "{draining}");
    assert!(stage.home.run(&["status"]).good().contains("drains after an upgrade"));
    let done = clients.end();
    println!(
        "{TAKEOVERS} takeovers: every client went on, {done:?} times; {connections:?} connections of four kept alive"
    );
    assert!(done.iter().all(|times| *times > 0));

    // With the last tunnel the instances before end by themselves, and what they have moved is known to the one that serves.
    for instance in before {
        let log = instance.ended();
        assert!(log.iter().any(|line| line.contains("the last connection has ended")), "{log:#?}");
    }
    let expected = moved.load(Relaxed);
    eventually("what all processes have moved", || {
        let now = used(&stage, "bob");
        if now != (expected, expected) {
            println!("{now:?} of {expected} are counted");
        }
        (now == (expected, expected)).then_some(())
    });
    assert!(stage.status()["draining"].is_null());
    // Nothing of that is lost with the next start.
    instance.terminate();
    let instance = stage.home.start(&[]);
    assert_eq!(used(&stage, "bob"), (expected, expected));
    let sessions_after: Vec<String> = eventually("nodes that carry traffic", || {
        sessions.iter().map(|name| node(instance.proxy, name).ok()).collect()
    });
    assert_eq!(sessions_after, exits);
    instance.terminate();
    stage.end();
}

#[test]
fn quotas_and_limits_hold_over_both_processes() {
    const MIB: u64 = 1 << 20;
    let alice =
        format!("{{ name = \"alice\", password = \"{PASSWORD}\", connections = 2, quota = {{ total = \"8MiB\" }} }}");
    let bob = format!("{{ name = \"bob\", password = \"{PASSWORD}\" }}");
    let stage = Stage::new(&format!("users = [{alice}, {bob}]"), "");
    let before = stage.start();
    let (mut first, mut of_bob) = (tunnel(before.proxy, "alice").unwrap(), tunnel(before.proxy, "bob").unwrap());
    let successor = stage.home.start(&["--takeover"]);
    // One of two is open in the process before.
    let mut second = eventually("one more", || tunnel(successor.proxy, "alice").ok());
    let refused = tunnel(successor.proxy, "alice").unwrap_err();
    assert!(refused.starts_with("HTTP/1.1 429") && refused.contains("user-limit"), "{refused}");

    // 5 MiB there and 5 MiB here are more than 8: whoever comes second meets the end of the quota.
    let piece = vec![7; MIB as usize];
    let carried = |stream: &mut TcpStream, times: u64| {
        let mut bytes = 0;
        let mut back = vec![0; piece.len()];
        for _ in 0..times {
            let (mut writer, sent) = (stream.try_clone().unwrap(), piece.clone());
            let writing = thread::spawn(move || writer.write_all(&sent).is_ok());
            let read = stream.read_exact(&mut back).is_ok();
            if !(read & writing.join().unwrap()) {
                break;
            }
            bytes += 2 * MIB;
        }
        bytes
    };
    assert_eq!(carried(&mut first, 3), 6 * MIB);
    eventually("the one that serves knows of it", || (used(&stage, "alice").0 >= 3 * MIB).then_some(()));
    let over = carried(&mut second, 4);
    assert!(over <= 2 * MIB, "{over} bytes beyond a quota of which 6 MiB were used in the other process");
    eventually("the tunnel of the process before ends as well", || {
        (first.write_all(b"x").is_err() || matches!(first.read(&mut [0; 1]), Ok(0) | Err(_))).then_some(())
    });

    // A user who is removed is removed everywhere.
    echoes(&mut of_bob);
    stage.configure(&format!("users = [{alice}]"), "");
    stage.home.run(&["reload"]).good();
    eventually("the tunnel of a user who is gone ends", || {
        (of_bob.write_all(b"x").is_err() || matches!(of_bob.read(&mut [0; 1]), Ok(0) | Err(_))).then_some(())
    });
    before.ended();
    successor.terminate();
    stage.end();
}
