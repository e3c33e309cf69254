//! What `hezar up` ends with: whether it works, and the addresses to enter; as text or as JSON.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
    time::{Duration, Instant},
};

use anyhow::bail;
use hezar_api::StatusDto;
use serde::{Deserialize, Serialize};

use super::{
    super::runtime,
    draft::{Draft, lan_access},
    texts::{Texts, fill},
    trial::Trial,
    ways::Ways,
};
use crate::{config::Config, output, qr::qr, remote::Remote, running::Running};

/// How long a start may take.
const LONGEST_START: Duration = Duration::from_secs(60);
/// How long the first working node may take after the start.
const LONGEST_CHECK: Duration = Duration::from_secs(30);
const PAUSE: Duration = Duration::from_millis(200);

/// What was done and found.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Report {
    /// The configuration file.
    config: PathBuf,
    /// The sources that were added to it.
    added: Vec<String>,
    /// All nodes that are known.
    nodes: usize,
    /// Those that carry traffic.
    working: usize,
    /// Why none does.
    reason: Option<String>,
    /// Where the last request through the proxy came out.
    exit: Option<String>,
    #[serde(flatten)]
    ways: Ways,
}

/// The part of the answer to `POST /api/v1/test` that is shown.
#[derive(Deserialize)]
struct Tested {
    works: bool,
    exit_ip: Option<String>,
    country: Option<String>,
}

impl Report {
    pub(super) fn new(config: &Config, draft: &Draft, trial: &Trial) -> Self {
        Self {
            config: draft.file.clone(),
            added: draft.added.iter().map(|added| added.name.clone()).collect(),
            nodes: trial.nodes,
            working: trial.working,
            reason: trial.reason.clone(),
            exit: None,
            ways: Ways::new(config.proxy.listen, lan_access(config).as_ref()),
        }
    }

    /// The end when nothing works; the reason has been told.
    pub(super) fn failed(&self, json: bool) -> anyhow::Result<ExitCode> {
        if json {
            output::json(self)?;
        }
        Ok(ExitCode::FAILURE)
    }

    pub(super) fn print(&self) -> anyhow::Result<ExitCode> {
        output::json(self)?;
        Ok(ExitCode::SUCCESS)
    }

    /// Waits until an instance with this data folder serves, tries it, and says how to use it.
    ///
    /// # Errors
    /// No instance has begun to serve.
    pub(super) fn when_serving(mut self, texts: &Texts, data: &Path, json: bool) -> anyhow::Result<ExitCode> {
        let remote = started(data)?;
        runtime()?.block_on(self.check(&remote))?;
        if json {
            output::json(&self)?;
        } else {
            self.lines(texts).iter().for_each(output::note);
        }
        Ok(if self.working > 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }

    /// Asks the instance until a node works, and sends one request through it.
    async fn check(&mut self, remote: &Remote) -> anyhow::Result<()> {
        let end = Instant::now() + LONGEST_CHECK;
        loop {
            let status: StatusDto = remote.get("/api/v1/status").await?;
            let nodes = &status.nodes;
            self.working = nodes.healthy + nodes.suspect;
            self.nodes = self.working + nodes.new + nodes.dead + nodes.unsupported + nodes.quarantined + nodes.disabled;
            self.reason = status.reason;
            if self.working > 0 || Instant::now() > end {
                break;
            }
            tokio::time::sleep(PAUSE).await;
        }
        if self.working > 0 {
            let tested: Option<Tested> = remote.post("/api/v1/test", "{}").await.ok();
            self.exit = tested.filter(|tested| tested.works).and_then(exit);
        }
        Ok(())
    }

    fn lines(&self, texts: &Texts) -> Vec<String> {
        let mut lines = vec![String::new()];
        if self.working > 0 {
            let through =
                self.exit.as_ref().map(|exit| format!(" {}", fill(texts.through, &[exit]))).unwrap_or_default();
            lines.push(format!("{}{through}", fill(texts.works, &[&self.working, &self.nodes])));
        } else {
            lines.push(fill(texts.not_yet, &[&self.reason.as_deref().unwrap_or_default()]));
        }
        let Ways { proxy, telegram, phone } = &self.ways;
        lines.push(format!("  {}", fill(texts.browser, &[&proxy.ip(), &proxy.port()])));
        lines.push(format!("  {}", fill(texts.terminal, &[proxy, proxy, proxy])));
        lines.push(format!("  {}", fill(texts.telegram, &[telegram])));
        match phone {
            None => lines.push(format!("  {}", texts.no_phone)),
            Some(phone) => {
                let address = &phone.address;
                let values: [&dyn std::fmt::Display; 4] =
                    [&address.ip(), &address.port(), &phone.user, &phone.password];
                lines.push(format!("  {}", fill(texts.phone, &values)));
                lines.push(format!("             {}", phone.telegram));
                lines.push(format!("             {}", phone.link));
                lines.push(qr(&phone.link));
            }
        }
        lines.push(format!("  {}", texts.page));
        lines
    }
}

fn exit(tested: Tested) -> Option<String> {
    let Tested { exit_ip, country, .. } = tested;
    let country = country.map(|country| format!(" ({country})")).unwrap_or_default();
    exit_ip.map(|ip| format!("{ip}{country}"))
}

/// The instance that runs with this data folder, once it does.
fn started(data: &Path) -> anyhow::Result<Remote> {
    let end = Instant::now() + LONGEST_START;
    while Instant::now() < end {
        if let Some(running) = Running::in_folder(data) {
            return Ok(running.into());
        }
        std::thread::sleep(PAUSE);
    }
    bail!("no instance serves after {} s; `hezar status` says more", LONGEST_START.as_secs())
}
