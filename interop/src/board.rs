//! Runs one row against one peer, and prints the table of all results.

use std::{
    collections::BTreeMap,
    env,
    fmt::Write as _,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};
use futures_util::future::join_all;
use hezar_engine::{Engine, NativeEngine, NativeEngineConfig};
use hezar_lab::{Kind, World, WorldConfig};
use parking_lot::Mutex;
use tokio::{sync::Semaphore, task::JoinSet};

use crate::{
    certificate::Certificate,
    cores::{self, Cores},
    peer::{AtEnd, Fleet, Part, Peer, Relays},
    row::{Row, Transport},
    rows::Table,
    site::Site,
    suite::{self, Report, Stage},
};

/// Rows that are tried at the same time.
const AT_ONCE: usize = 4;

/// One column of the table: a cell for each row; nothing where the peer lacks it.
type Column = Vec<Option<Report>>;

/// How long a server that is restarted is away.
const DOWN: Duration = Duration::from_secs(1);

/// Rows of one peer that may be played again; more is no accident.
const MOST_AGAIN: usize = 2;

/// The columns of this process; nothing for a peer that is not installed.
static BOARD: Mutex<BTreeMap<&'static str, Option<Column>>> = Mutex::new(BTreeMap::new());

/// Runs every row of a table that the peer can play. A process has one table.
///
/// # Errors
/// The rows that fail, or a peer that is required (`HEZAR_REQUIRE_PEERS`) and not installed.
pub async fn run(peer: Peer, table: Table) -> anyhow::Result<()> {
    let name = peer.name();
    let Some(program) = peer.program() else {
        ensure!(env::var_os("HEZAR_REQUIRE_PEERS").is_none(), "{name} is required: cargo xtask peers install");
        println!("{name}: SKIPPED, not installed (cargo xtask peers install)");
        show(name, table, None);
        return Ok(());
    };
    if table == Table::Cores
        && let Some(missing) = cores::missing()
    {
        ensure!(env::var_os("HEZAR_REQUIRE_PEERS").is_none(), "{missing} is required and not there");
        println!("{name}: SKIPPED, {missing} is not there");
        return Ok(());
    }
    let rows = table.chosen();
    if !rows.iter().any(|row| peer.plays(*row)) {
        // A server without any listener would not start.
        println!("{name}: plays none of the chosen rows");
        show(name, table, Some(vec![None; rows.len()]));
        return Ok(());
    }
    let begun = Instant::now();
    let folder = tempfile::tempdir()?;
    let certificate = Certificate::make(folder.path())?;
    let mut fleet = peer.launch(&program, &rows, &certificate, folder.path()).await?;
    let config = NativeEngineConfig { extra_roots: vec![certificate.root.clone()], ..NativeEngineConfig::default() };
    let witness = World::start(WorldConfig::kinds([Kind::Http])).await?;
    let native = NativeEngine::new(&config);
    let cores = if table == Table::Cores { Some(Cores::start(&native, folder.path())?) } else { None };
    let engine =
        cores.as_ref().map_or_else(|| Arc::new(native.clone()) as Arc<dyn Engine>, |cores| Arc::clone(&cores.engine));
    let stage = Arc::new(Stage { site: Site::start().await?, certificate, witness, engine, native });
    let mut column = play(&stage, &fleet, &rows).await?;
    if table == Table::Cores {
        restart(&stage, &mut fleet, &rows, &mut column).await?;
    }

    let failed = column.iter().flatten().filter(|report| !report.failures.is_empty()).count();
    let passed = fleet.parts.len() - failed;
    let lacking = column.len() - fleet.parts.len();
    let seconds = begun.elapsed().as_secs_f64();
    println!("{name}: {passed} rows pass, {failed} fail, {lacking} not played by the peer, {seconds:.1} s");
    let problems = problems(&rows, &column);
    show(name, table, Some(column));
    if failed > 0 {
        let logs: Vec<String> = fleet.processes.iter().map(crate::process::Process::log).collect();
        println!("{name} wrote:\n{}", logs.join("\n"));
    }
    ensure!(failed == 0, "{failed} rows fail against {name}:\n{problems}");
    Ok(())
}

async fn play(stage: &Arc<Stage>, fleet: &Fleet, rows: &[Row]) -> anyhow::Result<Column> {
    let places = Arc::new(Semaphore::new(AT_ONCE));
    let mut running = JoinSet::new();
    for part in fleet.parts.iter().copied() {
        let (stage, places) = (Arc::clone(stage), Arc::clone(&places));
        running.spawn(async move {
            let _place = places.acquire_owned().await;
            (part.row, suite::run(&stage, part).await)
        });
    }
    let mut column: Column = vec![None; rows.len()];
    while let Some(done) = running.join_next().await {
        let (row, report) = done?;
        let place = rows.iter().position(|r| *r == row).context("a row that is not in the table")?;
        if let Some(cell) = column.get_mut(place) {
            *cell = Some(report);
        }
    }
    again(stage, fleet, rows, &mut column).await;
    Ok(column)
}

/// Restarts the servers under rows that were used a moment ago: each of them has to work again, through the core that still has the node.
async fn restart(stage: &Stage, fleet: &mut Fleet, rows: &[Row], column: &mut Column) -> anyhow::Result<()> {
    let mut routes = Vec::new();
    for part in &fleet.parts {
        routes.push((part.row, suite::open(stage, *part).await));
    }
    for process in &mut fleet.processes {
        process.restart(DOWN).await?;
    }
    // A client of QUIC takes its server for alive for up to a minute, so all rows wait at the same time.
    let outcomes = join_all(routes.into_iter().map(|(row, route)| async move {
        match route {
            Ok(route) => (row, suite::works_again(&route, stage, row).await),
            Err(error) => (row, Err(error)),
        }
    }));
    for (row, outcome) in outcomes.await {
        let place = rows.iter().position(|known| *known == row);
        if let (Err(error), Some(Some(report))) = (outcome, place.and_then(|place| column.get_mut(place))) {
            report.failures.push(format!("after a restart of the server: {error:#}"));
        }
    }
    Ok(())
}

/// Plays a few rows that failed again, alone, and says so: hundreds of rows at the same time on a busy machine meet the
/// peers' own races. What is broken fails again.
async fn again(stage: &Stage, fleet: &Fleet, rows: &[Row], column: &mut Column) {
    let failed = |report: &Option<Report>| report.as_ref().is_some_and(|report| !report.failures.is_empty());
    if column.iter().filter(|report| failed(report)).count() > MOST_AGAIN {
        return;
    }
    for (row, cell) in rows.iter().zip(column).filter(|(_, report)| failed(report)) {
        let Some(part) = fleet.parts.iter().find(|part| part.row == *row) else { continue };
        for _ in 0..chances(part) {
            let reasons = cell.iter().flat_map(|report| &report.failures).cloned().collect::<Vec<_>>().join("; ");
            println!("{row}: FAILED, played again: {reasons}");
            *cell = Some(suite::run(stage, *part).await);
            if !failed(cell) {
                break;
            }
        }
    }
}

/// How often a row that failed is played again.
const fn chances(part: &Part) -> usize {
    match (part.peer, part.row.transport) {
        // sing-box 1.14 flushes its 101 before it takes the connection over from Go's HTTP server, and drops what that has
        // read ahead: the first bytes of any client are lost when they come in between, and a row has dozens of connections.
        (Peer::SingBox, Transport::HttpUpgrade | Transport::EarlyUpgrade) => 4,
        _ => 1,
    }
}

fn problems(rows: &[Row], column: &Column) -> String {
    let mut text = String::new();
    for (row, report) in rows.iter().zip(column) {
        for failure in report.iter().flat_map(|report| &report.failures) {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "  {row}: {failure}");
        }
    }
    text
}

/// Adds a column; the table is printed when it is whole, or when only some peers were asked for.
fn show(name: &'static str, table: Table, column: Option<Column>) {
    let mut board = BOARD.lock();
    board.insert(name, column);
    let chosen = env::args().skip(1).any(|argument| !argument.starts_with('-'));
    if chosen || board.len() == table.peers().len() {
        println!("{}", text(table, &board));
    }
}

fn text(table: Table, board: &BTreeMap<&'static str, Option<Column>>) -> String {
    let peers: Vec<&str> =
        table.peers().iter().map(|peer| peer.name()).filter(|name| board.contains_key(name)).collect();
    let mut text = format!("\n{:44}", "row");
    for peer in &peers {
        let _ = write!(text, "{peer:44}");
    }
    for (number, row) in table.chosen().iter().enumerate() {
        let _ = write!(text, "\n{:44}", row.to_string());
        for peer in table.peers().iter().filter(|peer| board.contains_key(peer.name())) {
            let column = board.get(peer.name()).and_then(Option::as_ref);
            let cell = column.map(|column| column.get(number).and_then(Option::as_ref));
            let _ = write!(text, "{:44}", shown(cell, peer.at_end(*row)));
        }
    }
    text + LEGEND
}

const LEGEND: &str = "
In brackets: the code of the failure with a wrong credential, then with a wrong certificate.
1 the end of one direction cannot be told to the target; 2 the peer ends both directions together;
3 the same, and an upload does not end well in the peer: 8 MiB up is left out
udp: datagrams to several targets over one association, with answers from anywhere; udp*: only from these targets
";

fn shown(cell: Option<Option<&Report>>, at_end: AtEnd) -> String {
    let report = match cell {
        None => return "not installed".to_owned(),
        Some(None) => return "peer lacks it".to_owned(),
        Some(Some(report)) => report,
    };
    if !report.failures.is_empty() {
        return "FAIL".to_owned();
    }
    let note = match at_end {
        AtEnd::Passes => "",
        AtEnd::Swallows => " 1",
        AtEnd::ClosesBoth => " 2",
        AtEnd::HoldsBack => " 3",
    };
    let codes = report.codes.join(", ");
    let datagrams = match report.datagrams {
        Some(Relays::Cone) => " udp",
        Some(Relays::Targets) => " udp*",
        None => "",
    };
    if codes.is_empty() { format!("pass{note}{datagrams}") } else { format!("pass ({codes}){note}{datagrams}") }
}
