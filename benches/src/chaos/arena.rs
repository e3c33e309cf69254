//! A program under load with a world of its own: the same nodes and the same schedule of faults for each program, so that none takes part
//! of another's nodes, and the connections that each one makes can be counted.

use std::{
    fmt::Write as _,
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use hezar_lab::{FaultSchedule, World, WorldConfig};
use tokio::time::Instant;

use super::{
    Load, Shot,
    contestant::{Contestant, ContestantSettings, INTERVAL_SECS, peer},
};

/// A program that can be put under load.
#[derive(Clone, Debug)]
pub enum Program {
    /// This one.
    Hezar(ContestantSettings),
    /// This one with Clash cores as its engine; the path is mihomo's.
    HezarClash(PathBuf, ContestantSettings),
    /// mihomo, by its path.
    Mihomo(PathBuf),
    /// sing-box, by its path.
    SingBox(PathBuf),
    /// This one behind a VLESS listener and a client; the path is Xray's.
    HezarVless(PathBuf, ContestantSettings),
    /// mihomo behind the same client; the paths are Xray's and mihomo's.
    MihomoBehindXray(PathBuf, PathBuf),
}

impl Program {
    /// This program, and the peers that are installed unless it runs `alone`; the names of the missing ones come second.
    #[must_use]
    pub fn all(settings: ContestantSettings, alone: bool) -> (Vec<Self>, Vec<&'static str>) {
        let (mut programs, mut missing) = (vec![Self::Hezar(settings.clone())], Vec::new());
        if alone {
            return (programs, missing);
        }
        match peer("mihomo") {
            Some(path) => programs.extend([Self::HezarClash(path.clone(), settings), Self::Mihomo(path)]),
            None => missing.push("mihomo"),
        }
        match peer("sing-box") {
            Some(path) => programs.push(Self::SingBox(path)),
            None => missing.push("sing-box"),
        }
        (programs, missing)
    }

    /// An Xray client over a VLESS listener of this program, and over mihomo unless this program runs `alone`; the names of missing
    /// peers come second.
    #[must_use]
    pub fn behind_xray(settings: ContestantSettings, alone: bool) -> (Vec<Self>, Vec<&'static str>) {
        let Some(xray) = peer("xray") else { return (Vec::new(), vec!["xray"]) };
        let ours = Self::HezarVless(xray.clone(), settings);
        match peer("mihomo") {
            _ if alone => (vec![ours], Vec::new()),
            Some(mihomo) => (vec![ours, Self::MihomoBehindXray(xray, mihomo)], Vec::new()),
            None => (vec![ours], vec!["mihomo"]),
        }
    }

    fn start(&self, home: &Path, nodes: &[SocketAddr]) -> anyhow::Result<Contestant> {
        match self {
            Self::Hezar(settings) => Contestant::hezar(home, &links(nodes), settings),
            Self::HezarClash(mihomo, settings) => Contestant::hezar_clash(mihomo, home, &links(nodes), settings),
            Self::Mihomo(path) => Contestant::mihomo(path, home, nodes),
            Self::SingBox(path) => Contestant::sing_box(path, home, nodes),
            Self::HezarVless(xray, settings) => Contestant::hezar_vless(xray, home, &links(nodes), settings),
            Self::MihomoBehindXray(xray, mihomo) => Contestant::mihomo_behind_xray(xray, mihomo, home, nodes),
        }
    }
}

fn links(nodes: &[SocketAddr]) -> String {
    nodes.iter().fold(String::new(), |mut list, node| {
        // Writing into a text never fails.
        let _ = writeln!(list, "socks5://{node}");
        list
    })
}

/// A running program and its world.
#[derive(Debug)]
pub struct Lane {
    /// The program.
    pub contestant: Contestant,
    /// Its nodes.
    pub world: World,
}

/// What came of a load.
#[derive(Clone, Debug)]
pub struct Ran {
    /// Every request.
    pub shots: Vec<Shot>,
    /// How many connections to nodes one request cost; see [`Lane::run`].
    pub attempts: f64,
}

impl Lane {
    /// Starts a world of SOCKS5 nodes and a program over it; its files lie in `home`.
    ///
    /// # Errors
    /// When either does not start.
    pub async fn open(program: Program, config: WorldConfig, home: PathBuf) -> anyhow::Result<Self> {
        let world = World::start(config).await?;
        let nodes: Vec<SocketAddr> = world.nodes().iter().map(|node| node.address).collect();
        let contestant = tokio::task::spawn_blocking(move || program.start(&home, &nodes)).await??;
        Ok(Self { contestant, world })
    }

    /// Runs a load while the schedule changes the nodes.
    ///
    /// The attempts are the connections that the nodes have accepted, without probes. Of this program its own counters tell the
    /// probes and the connections that were refused; of a peer the probes are what its interval says, and refused
    /// connections are not seen.
    ///
    /// # Errors
    /// When the schedule or the load cannot run, or the program's counters cannot be read.
    pub async fn run(&self, load: &Load, schedule: &FaultSchedule) -> anyhow::Result<Ran> {
        let (before, began) = (self.connections(schedule, Duration::ZERO).await?, Instant::now());
        let shots = tokio::select! {
            ended = self.world.follow(schedule) => { ended?; Vec::new() }
            shots = super::run(load) => shots?,
        };
        let after = self.connections(schedule, began.elapsed()).await?;
        let attempts = (after - before) / shots.len().max(1) as f64;
        Ok(Ran { shots, attempts })
    }

    /// The connections that were made for clients so far; of a peer `probed` is how long it has been probing.
    async fn connections(&self, schedule: &FaultSchedule, probed: Duration) -> anyhow::Result<f64> {
        let nodes = self.world.nodes();
        let accepted: u64 =
            nodes.iter().filter_map(|node| self.world.counts(node.index).ok()).map(|counts| counts.accepted).sum();
        let Some(api) = &self.contestant.api else {
            let refusing = schedule.faults.iter().filter(|fault| **fault == hezar_lab::Fault::Refused).count();
            let refused = schedule.bad * refusing as f64 / schedule.faults.len().max(1) as f64;
            let probes = nodes.len() as f64 * probed.as_secs_f64() / INTERVAL_SECS as f64 * (1.0 - refused);
            return Ok(accepted as f64 - probes);
        };
        let refused = ["code=\"refused\""];
        let probes = api.counter("hezar_probe_total", &[]).await? - api.counter("hezar_probe_total", &refused).await?;
        Ok(accepted as f64 - probes + api.counter("hezar_attempts_total", &refused).await?)
    }
}
