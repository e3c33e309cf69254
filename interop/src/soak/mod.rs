//! A soak: mixed load over all rows through the real program while the servers restart at random.

use std::{
    fs,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use tokio::{task::JoinSet, time::sleep};
use tokio_util::sync::CancellationToken;

use crate::{
    certificate::Certificate,
    link::link,
    peer::Fleet,
    process::{Process, free_ports},
    route::ProxyClient,
    row::{Protocol, Row, Trust},
    rows::Table,
    secrets::Access,
    site::Site,
};

mod gauge;
mod load;

use gauge::Gauge;
use load::Tally;

/// Clients at the same time.
const CLIENTS: u64 = 24;
/// Between two lines of figures.
const LOOK: Duration = Duration::from_secs(10);
/// What everything gets to come to rest after the load: longer than the program keeps anything idle.
const REST: Duration = Duration::from_secs(150);
/// Sockets and tasks that a probe may have open when the figures are taken.
const SLACK: u64 = 4;
/// The choices of a run are repeatable.
const SEED: u64 = 0x5eed;

/// Loads `program` for `duration`, then waits for it to come to rest.
///
/// # Errors
/// When a peer does not start, no request succeeds, the program panics or ends, or sockets or tasks stay behind.
pub async fn soak(program: &Path, duration: Duration) -> anyhow::Result<()> {
    rlimit::increase_nofile_limit(u64::MAX)?;
    let folder = tempfile::tempdir()?;
    let certificate = Certificate::make(folder.path())?;
    let site = Site::start().await?;
    let mut fleets = Vec::new();
    for peer in Table::Native.peers() {
        match peer.program() {
            Some(file) => fleets.push(peer.launch(&file, &played(), &certificate, folder.path()).await?),
            None => println!("{}: SKIPPED, not installed", peer.name()),
        }
    }
    let (hezar, client, gauge) = start(program, &fleets, &certificate, folder.path(), &site).await?;
    let nodes: usize = fleets.iter().map(|fleet| fleet.parts.len()).sum();
    println!("{nodes} nodes on {} peers, {CLIENTS} clients, {} s", fleets.len(), duration.as_secs());
    println!("{}", Gauge::HEAD);

    // Every node has been probed by then, and every connection of the probes is gone.
    sleep(LOOK).await;
    let before = gauge.read().await?;
    println!("{before} before the load");
    let (stop, tally) = (CancellationToken::new(), Arc::new(Tally::default()));
    let mut tasks = JoinSet::new();
    for number in 0..CLIENTS {
        tasks.spawn(load::run(client, site.address, StdRng::seed_from_u64(SEED + number), stop.clone(), tally.clone()));
    }
    let mut restarts = JoinSet::new();
    for (number, fleet) in fleets.into_iter().enumerate() {
        restarts.spawn(unrest(fleet, StdRng::seed_from_u64(SEED + 1000 + number as u64), stop.clone()));
    }
    let begun = Instant::now();
    while begun.elapsed() < duration {
        sleep(LOOK.min(duration.saturating_sub(begun.elapsed()))).await;
        println!("{} {tally}", gauge.read().await?);
    }
    stop.cancel();
    tasks.join_all().await;
    let restarted = restarts.join_all().await;
    let (mut fleets, mut times) = (Vec::new(), 0);
    for result in restarted {
        let (fleet, count) = result?;
        fleets.push(fleet);
        times += count;
    }
    println!("{} end of the load, {times} restarts of servers", gauge.read().await?);
    let after = gauge.rest(&before, SLACK, REST).await?;
    println!("{after} at rest");
    ensure!(!hezar.wrote("panicked"), "the program panicked:\n{}", hezar.log());
    ensure!(tally.good() > 0, "no request succeeded");
    ensure!(after.within(&before, SLACK), "sockets or tasks stay behind: {before} before, {after} after");
    drop(fleets);
    println!("1 passed, 0 failed");
    Ok(())
}

/// The rows, as the program can trust them: it has no root of ours, but it knows the certificate's hash.
fn played() -> Vec<Row> {
    let mut rows = Vec::new();
    for row in Table::Native.chosen() {
        let verified = row.tls == Some(Trust::Verify);
        let row = if verified { Row { tls: Some(Trust::Pin), ..row } } else { row };
        // A plugin's options have no place for a hash.
        let trusted = !(verified && matches!(row.protocol, Protocol::Plugged(_)));
        if trusted && !rows.contains(&row) {
            rows.push(row);
        }
    }
    rows
}

async fn start(
    program: &Path,
    fleets: &[Fleet],
    certificate: &Certificate,
    folder: &Path,
    site: &Site,
) -> anyhow::Result<(Process, ProxyClient, Gauge)> {
    let parts = fleets.iter().flat_map(|fleet| &fleet.parts);
    let links: Vec<String> = parts.map(|part| link(*part, certificate, Access::Right)).collect();
    fs::write(folder.join("nodes.txt"), links.join("\n"))?;
    let ports = free_ports(2)?;
    let (proxy, api) = ports.first().zip(ports.get(1)).context("no free port")?;
    let token = "a-token-of-the-soak";
    // A tunnel whose client has left stays until then where the node's protocol has no sign for it.
    let text = format!(
        "[proxy]\nlisten = \"{proxy}\"\nidle_timeout = \"1m\"\n\
         [api]\nlisten = \"{api}\"\ntoken = \"{token}\"\n[log]\nlevel = \"error\"\n\
         [probe]\nurl = \"http://{}/\"\nexpect_status = 200\ntrace_url = \"\"\ncanary_url = \"\"\ncontrol = []\ninterval = \"10s\"\n\
         per_host = 64\n[[source]]\nname = \"soak\"\nfile = \"nodes.txt\"\nallow_private = true\n",
        site.address
    );
    fs::write(folder.join("hezar.toml"), text)?;
    let hezar = Process::start(program, &["run".into()], folder, &[(*proxy, false), (*api, false)]).await?;
    let id = hezar.id().context("the program has ended")?;
    Ok((hezar, ProxyClient { gateway: *proxy }, Gauge::new(id, *api, token)))
}

/// Restarts the servers of one peer, one after the other, at random times.
async fn unrest(mut fleet: Fleet, mut random: StdRng, stop: CancellationToken) -> anyhow::Result<(Fleet, u64)> {
    let mut count = 0;
    loop {
        let wait = Duration::from_millis(random.random_range(5_000..20_000));
        tokio::select! {
            () = sleep(wait) => {}
            () = stop.cancelled() => return Ok((fleet, count)),
        }
        let place = random.random_range(0..fleet.processes.len().max(1));
        let down = Duration::from_millis(random.random_range(0..3_000));
        if let Some(process) = fleet.processes.get_mut(place) {
            process.restart(down).await?;
            count += 1;
        }
    }
}
