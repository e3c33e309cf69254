//! What each listener is shown to do for each client.

use std::{
    collections::BTreeMap,
    future::Future,
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

use anyhow::{Context, ensure};
use futures_util::future::join_all;
use hezar_interop::{Damage, LARGE, Peer, ProxyClient, pattern};
use hezar_lab::{DEMO_HOST, ECHO_HOST, hosts};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    time::{Instant, sleep, timeout},
};

use crate::{
    clients::{AtEnd, Client},
    limits,
    rows::Row,
    world::World,
};

/// A check that takes longer hangs.
const PATIENCE: Duration = Duration::from_secs(40);
/// How long a client with a credential that nobody has waits for bytes that must not come.
const REFUSAL: Duration = Duration::from_secs(3);
/// How often a check is made whose client may send bytes twice.
const TRIES: u32 = 3;
/// What is echoed after the client has said that nothing more comes.
const ECHO: usize = 100_000;
/// The user whose links the clients have.
pub(crate) const USER: &str = "phone";

/// What went wrong at each listener.
type Report = BTreeMap<&'static str, Vec<String>>;

/// Shows a peer at every listener that it is a client of.
pub(crate) fn play(peer: Peer) {
    let Some(world) = World::start(peer) else { return };
    let (right, gone) = (world.add_user(USER), world.add_user("gone"));
    let client = Client::start(peer, &world, &right, "right");
    let wrong = Client::start(peer, &world, &gone, "wrong");
    world.remove_user("gone");
    let mut report = world.runtime.block_on(show(&world, &client, &wrong));
    if report.values().all(Vec::is_empty) {
        limits::show(&world, &client, &mut report);
    }
    for (name, failures) in &report {
        let verdict = if failures.is_empty() { "carried".to_owned() } else { failures.join("; ") };
        println!("inbounds: {} at {name}: {verdict}", peer.name());
    }
    let logs = || format!("{}\n{}\n{}", world.log(), client.log(), wrong.log());
    assert!(report.values().all(Vec::is_empty), "{report:#?}\n{}", logs());
}

/// All listeners at once with little, each in turn with much, then all with the links of somebody who is gone.
async fn show(world: &World, client: &Client, wrong: &Client) -> Report {
    let little = world.rows.iter().map(|(row, _)| async {
        let failures = little(client, *row, client.at_end(*row)).await;
        (row.name, failures)
    });
    let mut report: Report = join_all(little).await.into_iter().collect();
    for (row, _) in world.rows.iter().filter(|(row, _)| row.is_heavy) {
        let failures = much(world, client, *row).await;
        report.entry(row.name).or_default().extend(failures);
    }
    let refused = world.rows.iter().map(|(row, _)| async { (row.name, refused(wrong.through(*row)).await) });
    for (name, result) in join_all(refused).await {
        note(report.entry(name).or_default(), "wrong credential", result);
    }
    report
}

/// What went wrong at one listener; `at_end` is what becomes of the end of one direction.
pub(crate) async fn checks(world: &World, client: &Client, row: Row, at_end: AtEnd) -> Vec<String> {
    let mut failures = little(client, row, at_end).await;
    failures.extend(much(world, client, row).await);
    failures
}

async fn little(client: &Client, row: Row, at_end: AtEnd) -> Vec<String> {
    let (mut failures, way) = (Vec::new(), client.through(row));
    note(&mut failures, "small", in_time(small(way)).await);
    note(&mut failures, "half-close", unless_repeated(client, row, async || half_close(way, at_end).await).await);
    note(&mut failures, "datagrams", in_time(datagrams(way)).await);
    failures
}

async fn much(world: &World, client: &Client, row: Row) -> Vec<String> {
    let (mut failures, way) = (Vec::new(), client.through(row));
    note(&mut failures, "8 MiB both ways", unless_repeated(client, row, async || large(world, way).await).await);
    note(&mut failures, "200 at once", in_time(crowd(way)).await);
    failures
}

fn note(failures: &mut Vec<String>, what: &str, result: anyhow::Result<()>) {
    if let Err(error) = result {
        failures.push(format!("{what}: {error:#}"));
    }
}

/// The outcome of a check of bytes. One that failed because the client itself sent some bytes twice says nothing of the listener, and
/// is made again.
async fn unless_repeated(client: &Client, row: Row, check: impl AsyncFn() -> anyhow::Result<()>) -> anyhow::Result<()> {
    let mut tries = if client.repeats(row) { TRIES } else { 1 };
    loop {
        let result = in_time(check()).await;
        let damage = result.as_ref().err().and_then(|error| error.downcast_ref::<Damage>());
        tries -= 1;
        match damage {
            Some(damage) if damage.is_repetition && tries > 0 => {
                println!(
                    "inbounds: {} at {}: made again, the client repeats itself: {damage}",
                    client.peer(),
                    row.name
                );
            }
            _ => return result,
        }
    }
}

async fn in_time(work: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<()> {
    timeout(PATIENCE, work).await.unwrap_or_else(|_| Err(anyhow::anyhow!("hangs")))
}

/// A page of the lab's origin, which names the node that it came over. Not every client tells the end of the connection.
pub(crate) async fn small(way: ProxyClient) -> anyhow::Result<()> {
    let mut stream = BufReader::new(way.socks(DEMO_HOST, 80).await?);
    let request = format!("GET / HTTP/1.1\r\nHost: {DEMO_HOST}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let (mut head, mut length) = (String::new(), 0);
    while stream.read_line(&mut head).await? > 2 {
        let line = head.lines().last().unwrap_or_default().to_ascii_lowercase();
        length = line.strip_prefix("content-length:").and_then(|value| value.trim().parse().ok()).unwrap_or(length);
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await?;
    let body = String::from_utf8_lossy(&body);
    ensure!(head.starts_with("HTTP/1.1 200") && body.contains("\"node\""), "another answer: {head:?} {body:?}");
    Ok(())
}

/// The echo's answer to much, while it is sent; and the user's account, which has counted the same.
async fn large(world: &World, way: ProxyClient) -> anyhow::Result<()> {
    let before = world.used(USER);
    let stream = way.socks(ECHO_HOST, 7).await?;
    let (mut reader, mut writer) = stream.into_split();
    let mut back = vec![0; LARGE];
    let (first, rest) = back.split_at_mut(1000);
    writer.write_all(pattern(first.len())).await?;
    reader.read_exact(first).await.context("nothing came back")?;
    let sending = tokio::spawn(async move {
        writer.write_all(&pattern(LARGE)[1000..]).await?;
        anyhow::Ok(writer)
    });
    reader.read_exact(rest).await.context("the stream ended early")?;
    Damage::check(&back, pattern(LARGE))?;
    drop((sending.await??, reader));
    let moved = 2 * LARGE as u64;
    let end = Instant::now() + Duration::from_secs(10);
    loop {
        let used = world.used(USER) - before;
        if used.abs_diff(moved) <= moved / 50 {
            return Ok(());
        }
        ensure!(Instant::now() < end, "{used} bytes were counted instead of {moved}");
        sleep(Duration::from_millis(100)).await;
    }
}

/// After the client has closed its direction everything still comes back, and then the end, where the client passes both on. One that
/// ends both directions may lose what has not come back yet.
async fn half_close(way: ProxyClient, at_end: AtEnd) -> anyhow::Result<()> {
    let mut stream = way.socks(ECHO_HOST, 7).await?;
    let sent = pattern(ECHO);
    // Little comes first: Xray's Trojan client gives a stream up whose first bytes do not fit in its buffer.
    let (first, rest) = sent.split_at(1000);
    stream.write_all(first).await?;
    let mut back = vec![0; first.len()];
    stream.read_exact(&mut back).await.context("nothing came back")?;
    stream.write_all(rest).await?;
    stream.shutdown().await?;
    if at_end == AtEnd::Swallows {
        back.resize(sent.len(), 0);
        stream.read_exact(&mut back[first.len()..]).await.context("the answer was cut off")?;
    } else {
        let ended = stream.read_to_end(&mut back).await;
        ensure!(at_end == AtEnd::ClosesBoth || ended.is_ok(), "no clean end: {ended:?}");
    }
    if at_end == AtEnd::ClosesBoth && sent.starts_with(&back) {
        return Ok(());
    }
    Ok(Damage::check(&back, sent)?)
}

/// Small and full-sized datagrams over one association. They name the echo by its address, since mihomo looks names up itself.
async fn datagrams(way: ProxyClient) -> anyhow::Result<()> {
    let address = hosts().find(|(name, _)| *name == ECHO_HOST).map_or(Ipv4Addr::UNSPECIFIED, |(_, address)| address);
    let echo = SocketAddr::from((address, 7));
    let association = way.associate().await?.context("the association was refused")?;
    for round in 0..3 {
        association.ask(echo, format!("round {round}").as_bytes(), echo).await?;
    }
    association.ask(echo, pattern(1200), echo).await.context("a datagram of 1200 bytes")
}

/// Many clients at once.
async fn crowd(way: ProxyClient) -> anyhow::Result<()> {
    for result in join_all((0..200).map(|_| small(way))).await {
        result?;
    }
    Ok(())
}

/// A client whose credential nobody has gets nothing of the target.
async fn refused(way: ProxyClient) -> anyhow::Result<()> {
    match timeout(REFUSAL, small(way)).await {
        Ok(Ok(())) => Err(anyhow::anyhow!("it was served")),
        Ok(Err(_)) | Err(_) => Ok(()),
    }
}
