//! Several members over one PostgreSQL under load: how soon changes are seen, how often nodes are probed, and what clients notice of
//! deaths.

use clap::{Parser, Subcommand};
use hezar_bench::cluster::{
    AwayRun, ChangesRun, ChaosRun, FailoverRun, MillionRun, ProbesRun, QuotaRun, SessionsRun, StandstillRun,
};

#[derive(Clone, Debug, Parser)]
#[command(about = "Several members over one PostgreSQL; needs the programs of PostgreSQL, and HAProxy for some runs")]
struct Cli {
    #[command(subcommand)]
    run: Run,
}

#[derive(Clone, Debug, Subcommand)]
enum Run {
    /// How soon every gateway sees that a node is added, dies, works again and is removed.
    Changes(ChangesRun),
    /// Probes per node and interval while probers come, die and return.
    Probes(ProbesRun),
    /// A prober stands still while nodes die: no stale verdict wins.
    Standstill(StandstillRun),
    /// The database is away, and then killed, under load.
    Away(AwayRun),
    /// The database fails over to its standby under load.
    Failover(FailoverRun),
    /// Sessions over a balancer that sprays, while a gateway is killed.
    Sessions(SessionsRun),
    /// One user's quota over all gateways.
    Quota(QuotaRun),
    /// Gateways are killed one by one behind a balancer, while nodes turn bad and good.
    Chaos(ChaosRun),
    /// A million nodes: loading, memory, what verdicts cost the database, and the lag of changes.
    Million(MillionRun),
}

#[tokio::main(flavor = "multi_thread", worker_threads = 4)]
async fn main() -> anyhow::Result<()> {
    rlimit::increase_nofile_limit(u64::MAX)?;
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    println!("| load of the machine before | {} |", load.trim());
    match Cli::parse().run {
        Run::Changes(run) => run.run().await,
        Run::Probes(run) => run.run().await,
        Run::Standstill(run) => run.run().await,
        Run::Away(run) => run.run().await,
        Run::Failover(run) => run.run().await,
        Run::Sessions(run) => run.run().await,
        Run::Quota(run) => run.run().await,
        Run::Chaos(run) => run.run().await,
        Run::Million(run) => run.run().await,
    }
}
