//! How an installed Xray is started with a user for each slot.

use std::{net::SocketAddr, path::PathBuf, sync::Arc};

use async_trait::async_trait;
use hezar_child::Launcher;
use hezar_formats::write::XrayDialect;
use parking_lot::Mutex;
use tokio::net::UnixStream;

use super::{
    api::{XrayApi, run_to_end},
    config,
};
use crate::{
    CoreCommand, CoreError, CoreHome, CoreSetup,
    loopback::{accept, are_own, free_address},
    slots::{SlotTable, slot_name},
};

/// The socket of Xray's API in the home folder.
const API_SOCKET: &str = "api.sock";
/// The most that is kept of what Xray calls its version, in characters.
const MOST_VERSION: usize = 32;

/// Where a start of Xray listens, and how it is talked to.
#[derive(Clone, Debug)]
struct Started {
    listen: SocketAddr,
    dialect: XrayDialect,
    version: Option<String>,
    /// Whether it was seen that Xray, and nobody else, listens there.
    is_checked: bool,
}

/// Starts Xray with a user for each slot and without outbounds, which [`XrayApi`] adds.
#[derive(Debug)]
pub(super) struct XraySetup {
    program: PathBuf,
    launcher: Launcher,
    slots: Arc<SlotTable>,
    started: Mutex<Option<Started>>,
}

impl XraySetup {
    pub(super) const fn new(program: PathBuf, launcher: Launcher, slots: Arc<SlotTable>) -> Self {
        Self { program, launcher, slots, started: Mutex::new(None) }
    }

    /// Where the users of the slots come in, by VLESS; `None` before the first start.
    pub(super) fn listen(&self) -> Option<SocketAddr> {
        self.started.lock().as_ref().map(|started| started.listen)
    }

    /// How this Xray is told what hides mKCP's packets.
    pub(super) fn dialect(&self) -> XrayDialect {
        self.started.lock().as_ref().map(|started| started.dialect).unwrap_or_default()
    }

    /// The version that it says.
    pub(super) fn version(&self) -> Option<String> {
        self.started.lock().as_ref()?.version.clone()
    }

    /// The API of the Xray in the folder `home`.
    pub(super) fn api(&self, home: &CoreHome) -> XrayApi {
        XrayApi::new(self.launcher.clone(), self.program.clone(), home.file(API_SOCKET))
    }

    /// Tries the older words: newer versions refuse them, while the older ones pass over the newer words without a message.
    async fn find_dialect(&self, home: &CoreHome) -> Result<XrayDialect, CoreError> {
        let file = home.write("dialect.json", config::with_kcp_settings().to_string().as_bytes())?;
        let arguments = ["run".as_ref(), "-test".as_ref(), "-config".as_ref(), file.as_os_str()];
        let older = run_to_end(&self.launcher, &self.program, &arguments, home.path()).await.is_some();
        Ok(if older { XrayDialect::KcpSettings } else { XrayDialect::FinalMask })
    }

    /// The word after the name in `Xray 26.3.27 (…)`.
    async fn find_version(&self, home: &CoreHome) -> Option<String> {
        let text = run_to_end(&self.launcher, &self.program, &["version".as_ref()], home.path()).await?;
        text.split_whitespace().nth(1).map(|word| word.chars().take(MOST_VERSION).collect())
    }
}

#[async_trait]
impl CoreSetup for XraySetup {
    fn name(&self) -> &'static str {
        "xray"
    }

    async fn prepare(&self, home: &CoreHome) -> Result<CoreCommand, CoreError> {
        // The program may have been exchanged since the last start.
        let (dialect, version) = (self.find_dialect(home).await?, self.find_version(home).await);
        let listen = free_address().await?;
        home.remove(API_SOCKET)?;
        let users: Vec<_> =
            self.slots.users().into_iter().enumerate().map(|(index, user)| (slot_name(index), user)).collect();
        let text = config::render(&users, listen, &home.file(API_SOCKET)).to_string();
        let file = home.write("config.json", text.as_bytes())?;
        *self.started.lock() = Some(Started { listen, dialect, version, is_checked: false });
        let arguments = vec!["run".into(), "-config".into(), file.into_os_string()];
        Ok(CoreCommand { program: self.program.clone(), arguments, environment: Vec::new() })
    }

    async fn is_ready(&self, home: &CoreHome) -> bool {
        let Some(listen) = self.listen() else { return false };
        if UnixStream::connect(home.file(API_SOCKET)).await.is_err() || !accept(&[listen]).await {
            return false;
        }
        // Xray ends when somebody else has taken the port meanwhile; until then nobody may be taken for it.
        let mut started = self.started.lock();
        let Some(started) = &mut *started else { return false };
        started.is_checked = started.is_checked || are_own(&[listen]);
        started.is_checked
    }

    fn level(&self, line: &str) -> tracing::Level {
        // It writes a time, then the level in brackets; what it prints before it has read its configuration has none.
        match line.split_once('[').and_then(|(_, rest)| rest.split_once(']')) {
            _ if line.starts_with("Failed to start") => tracing::Level::ERROR,
            Some(("Error", _)) => tracing::Level::ERROR,
            Some(("Warning", rest)) if !rest.ends_with(" started") => tracing::Level::WARN,
            _ => tracing::Level::DEBUG,
        }
    }
}
