//! The suite that every row goes through: small, large both ways, half-close, a quota, wrong credential.

use std::{future::Future, sync::Arc, time::Duration};

use anyhow::{Context, bail, ensure};
use futures_util::future::join_all;
use hezar_core::Target;
use hezar_engine::{AddressPolicy, Attempt, Engine, NativeEngine, build};
use hezar_formats::parse_link;
use hezar_lab::{DEMO_HOST, World};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    sync::Mutex,
    time::{Instant, sleep, timeout},
};

use crate::{
    certificate::Certificate,
    datagrams,
    link::link,
    pattern::{Damage, LARGE, pattern},
    peer::{AtEnd, Part, Relays},
    quota,
    route::Route,
    row::{Row, Trust},
    secrets::{Access, SERVER_NAME},
    site::{PAGE, READY, Site, request},
};

/// What is echoed after we have said that nothing more comes.
const ECHO: usize = 100_000;
/// A check that takes longer hangs.
const PATIENCE: Duration = Duration::from_secs(120);
/// How long one attempt may take while a server is restarted.
const AGAIN: Duration = Duration::from_secs(10);
/// How long a node may leave a client with a wrong credential without an answer.
const REFUSAL: Duration = Duration::from_secs(5);

/// What an unaccepted credential or certificate may be called, beside `authentication`: many servers, by design, close,
/// go silent or answer like a web server.
const REFUSALS: [&str; 8] =
    ["authentication", "certificate", "closed", "reset", "protocol", "timeout", "transport-status", "forbidden"];

/// What all rows of a run share.
#[derive(Debug)]
pub(crate) struct Stage {
    pub(crate) site: Site,
    pub(crate) certificate: Certificate,
    /// One healthy node of the lab, on another address than the peer's.
    pub(crate) witness: World,
    /// What dials the rows.
    pub(crate) engine: Arc<dyn Engine>,
    /// The same, or the one beside it that the program speaks itself.
    pub(crate) native: NativeEngine,
}

/// What went wrong in a row, check by check, and how refusals were called.
#[derive(Clone, Debug, Default)]
pub(crate) struct Report {
    pub(crate) failures: Vec<String>,
    pub(crate) codes: Vec<&'static str>,
    /// Whether datagrams were tried, and what the peer does with them.
    pub(crate) datagrams: Option<Relays>,
}

/// Runs all checks of one row.
pub(crate) async fn run(stage: &Stage, part: Part) -> Report {
    let mut report = Report::default();
    let good = link(part, &stage.certificate, Access::Right);
    if part.row.needs_core() {
        report.check("dialled by a core alone", undialable(&good, &stage.native)).await;
    }
    match Route::start(&[&good], &stage.engine, PATIENCE).await {
        Ok(route) => {
            report.check("small", small(&route, stage, part.row)).await;
            report.check("8 MiB down", down(&route, stage, part.row)).await;
            let at_end = part.peer.at_end(part.row);
            if at_end != AtEnd::HoldsBack {
                report.check("8 MiB up", up(&route, stage, part.row)).await;
            }
            if matches!(at_end, AtEnd::Passes | AtEnd::Swallows) {
                report.check("half-close", half_close(&route, stage, part.row, at_end)).await;
            }
            let place = (part.row.site(), stage.site.address.port());
            if part.row.survives_many_ends() {
                report.check("quota", quota::ends_downloads(&good, &stage.engine, PATIENCE, place)).await;
            }
            if route.datagrams {
                report.datagrams(stage, part, &good).await;
            }
            if part.row.has_vision() {
                report.check("inner TLS", inner_tls(&good, stage, part)).await;
            }
            if matches!(part.row.tls, Some(Trust::Reality { .. })) {
                report.check("200 at once", crowd(&route, stage)).await;
            }
        }
        Err(error) => report.failures.push(format!("no route: {error:#}")),
    }
    for access in wrong(part.row) {
        let bad = link(part, &stage.certificate, access);
        let code = refused(&bad, stage);
        match timeout(PATIENCE, code).await {
            Ok(Ok(code)) => report.codes.push(code),
            Ok(Err(error)) => report.failures.push(format!("{access:?}: {error:#}")),
            Err(_) => report.failures.push(format!("{access:?}: hangs")),
        }
    }
    report
}

impl Report {
    /// Every way of packing datagrams that the peer knows.
    async fn datagrams(&mut self, stage: &Stage, part: Part, good: &str) {
        let bad = link(part, &stage.certificate, Access::WrongSecret);
        for (packing, relays) in part.peer.relays(part.row) {
            self.datagrams.get_or_insert(*relays);
            let carried = datagrams::carried(format!("{good}{packing}"), *relays, &stage.engine);
            self.check(&format!("datagrams{packing}"), carried).await;
            if part.row.has_credential() {
                let refused = datagrams::refused(format!("{bad}{packing}"), &stage.engine);
                self.check(&format!("datagrams{packing} with a wrong credential"), refused).await;
            }
        }
    }

    async fn check(&mut self, name: &str, work: impl Future<Output = anyhow::Result<()>>) {
        match timeout(PATIENCE, work).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => self.failures.push(format!("{name}: {error:#}")),
            Err(_) => self.failures.push(format!("{name}: hangs")),
        }
    }
}

/// A route that has carried something.
pub(crate) async fn open(stage: &Stage, part: Part) -> anyhow::Result<Route> {
    let link = link(part, &stage.certificate, Access::Right);
    let route = Route::start(&[&link], &stage.engine, AGAIN).await?;
    small(&route, stage, part.row).await?;
    Ok(route)
}

/// Asks until the row works: a node that has failed rests for a moment, and a client of QUIC may take its server for alive.
pub(crate) async fn works_again(route: &Route, stage: &Stage, row: Row) -> anyhow::Result<()> {
    let end = Instant::now() + PATIENCE;
    loop {
        let Err(error) = small(route, stage, row).await else { return Ok(()) };
        ensure!(Instant::now() < end, "{error:#}");
        sleep(Duration::from_millis(200)).await;
    }
}

/// The ways in which a client of this row can be wrong.
fn wrong(row: Row) -> Vec<Access> {
    let secret = row.has_credential().then_some(Access::WrongSecret);
    let checked = row.tls.is_some_and(|trust| trust != Trust::Skip);
    secret.into_iter().chain(checked.then_some(Access::WrongCertificate)).collect()
}

/// The program itself must not dial what a core is shown with.
async fn undialable(link: &str, native: &NativeEngine) -> anyhow::Result<()> {
    let (spec, _) = parse_link(link).map_err(|code| anyhow::anyhow!("{code:?}"))?;
    ensure!(native.dialer(&spec, AddressPolicy::Any).is_err(), "the program dials it itself");
    Ok(())
}

const fn host(row: Row) -> &'static str {
    if row.takes_names() { "localhost" } else { row.site() }
}

async fn small(route: &Route, stage: &Stage, row: Row) -> anyhow::Result<()> {
    let answer = route.get(host(row), stage.site.address.port()).await?;
    ensure!(answer.status == 200, "{}", answer.head);
    ensure!(answer.body == PAGE.as_bytes(), "another body: {:?}", String::from_utf8_lossy(&answer.body));
    Ok(())
}

async fn down(route: &Route, stage: &Stage, row: Row) -> anyhow::Result<()> {
    let mut stream = route.connect(row.site(), stage.site.address.port()).await?;
    stream.write_all(request("DOWN", LARGE).as_bytes()).await?;
    let mut bytes = vec![0; LARGE];
    stream.read_exact(&mut bytes).await.context("the stream ended early")?;
    Damage::check(&bytes, pattern(LARGE))?;
    Ok(())
}

async fn up(route: &Route, stage: &Stage, row: Row) -> anyhow::Result<()> {
    let mut stream = route.socks(host(row), stage.site.address.port()).await?;
    if row.spoils_early_uploads() {
        stream.write_all(request("READY", LARGE).as_bytes()).await?;
        let mut ready = [0; READY.len()];
        stream.read_exact(&mut ready).await.context("the first answer")?;
    } else {
        stream.write_all(request("UP", LARGE).as_bytes()).await?;
    }
    stream.write_all(pattern(LARGE)).await?;
    let mut verdict = [0; 7];
    stream.read_exact(&mut verdict).await.context("no verdict")?;
    ensure!(&verdict == b"intact\n", "damaged");
    Ok(())
}

/// After we have closed our direction everything still comes back, and where the target can learn of it, the end too.
async fn half_close(route: &Route, stage: &Stage, row: Row, at_end: AtEnd) -> anyhow::Result<()> {
    let mut stream = route.socks(row.site(), stage.site.address.port()).await?;
    let sent = pattern(ECHO);
    stream.write_all(request("ECHO", 0).as_bytes()).await?;
    stream.write_all(sent).await?;
    stream.shutdown().await?;
    let mut back = vec![0; ECHO];
    stream.read_exact(&mut back).await.context("the answer was cut off")?;
    Damage::check(&back, sent)?;
    if at_end == AtEnd::Passes {
        let more = stream.read(&mut [0; 16]).await.context("no clean end")?;
        ensure!(more == 0, "bytes after the end");
    }
    Ok(())
}

/// TLS through the node, both ways: it must have left the node's own TLS or encryption each time, in both directions.
async fn inner_tls(link: &str, stage: &Stage, part: Part) -> anyhow::Result<()> {
    // The count is the engine's.
    static ALONE: Mutex<()> = Mutex::const_new(());
    let _alone = ALONE.lock().await;
    let before = stage.native.handed_over();
    let dialer = |link: &str| parse_link(link).map(|(spec, _)| spec).map_err(|code| anyhow::anyhow!("{code:?}"));
    let node = stage.native.dialer(&dialer(link)?, AddressPolicy::Any)?;
    let secured = dialer(&format!("https://{}?sni={SERVER_NAME}", part.site))?;
    let dialer = build(&secured, node, stage.native.tls())?;
    let (target, attempt) = (Target::parse(&stage.site.address.to_string())?, Attempt::within(PATIENCE));
    let mut stream = dialer.connect(&target, &attempt).await?;
    stream.write_all(request("DOWN", LARGE).as_bytes()).await?;
    stream.flush().await?;
    let mut bytes = vec![0; LARGE];
    stream.read_exact(&mut bytes).await.context("the stream ended early")?;
    Damage::check(&bytes, pattern(LARGE)).context("on the way down")?;
    let mut stream = dialer.connect(&target, &attempt).await?;
    stream.write_all(request("UP", LARGE).as_bytes()).await?;
    stream.write_all(pattern(LARGE)).await?;
    stream.flush().await?;
    let mut verdict = [0; 7];
    stream.read_exact(&mut verdict).await.context("no verdict")?;
    ensure!(&verdict == b"intact\n", "damaged on the way up");
    let after = stage.native.handed_over();
    ensure!(after.sending - before.sending == 2, "we did not leave what is around the inner TLS");
    ensure!(after.receiving - before.receiving == 2, "the peer did not leave what is around the inner TLS");
    Ok(())
}

/// Many clients at once.
async fn crowd(route: &Route, stage: &Stage) -> anyhow::Result<()> {
    let clients = (0..200).map(|_| route.get("localhost", stage.site.address.port()));
    for answer in join_all(clients).await {
        let answer = answer?;
        ensure!(answer.status == 200 && answer.body == PAGE.as_bytes(), "{}", answer.head);
    }
    Ok(())
}

/// A node that does not accept us is blamed, and the code says nearly why; the client never notices, because there is
/// another node. That one is also the witness: a node that hangs up after it has connected may only have passed on what
/// the target did, so it is blamed when another node did better.
async fn refused(link: &str, stage: &Stage) -> anyhow::Result<&'static str> {
    let witness = stage.witness.nodes().first().context("no witness")?;
    let route = Route::start(&[link, &witness.link], &stage.engine, REFUSAL).await?;
    // The nodes take turns, but who is first is not said.
    for _ in 0..4 {
        let answer = route.get(DEMO_HOST, 80).await?;
        ensure!(answer.status == 200, "the client read {}", answer.head);
        let Some(failure) = route.record()?.failure else {
            continue;
        };
        ensure!(REFUSALS.contains(&failure.code.as_str()), "the code is {} at {}", failure.code, failure.stage);
        return Ok(failure.code.as_str());
    }
    bail!("the node was not blamed")
}
