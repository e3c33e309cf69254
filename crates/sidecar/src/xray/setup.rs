//! How an installed Xray is started with a user for each slot.

use std::{net::SocketAddr, path::PathBuf, sync::Arc};

use async_trait::async_trait;
use hezar_child::Launcher;
use hezar_formats::write::XrayDialect;
use parking_lot::Mutex;
use tokio::net::{TcpListener, TcpStream, UnixStream};
use uuid::Uuid;

use super::{
    api::{XrayApi, succeeds},
    config,
};
use crate::{CoreCommand, CoreError, CoreHome, CoreSetup};

/// The socket of Xray's API in the home folder.
const API_SOCKET: &str = "api.sock";

/// Where a start of Xray listens, and how it is talked to.
#[derive(Clone, Copy, Debug)]
struct Started {
    listen: SocketAddr,
    dialect: XrayDialect,
}

/// Starts Xray without outbounds; [`XrayApi`] adds them.
#[derive(Debug)]
pub struct XraySetup {
    program: PathBuf,
    launcher: Launcher,
    slots: Arc<[(Box<str>, Uuid)]>,
    started: Mutex<Option<Started>>,
}

impl XraySetup {
    /// The installed `program` with a user for each slot, which has a name and an id.
    #[must_use]
    pub fn new(program: PathBuf, launcher: Launcher, slots: Arc<[(Box<str>, Uuid)]>) -> Self {
        Self { program, launcher, slots, started: Mutex::new(None) }
    }

    /// Where the users of the slots come in, by VLESS; `None` before the first start.
    #[must_use]
    pub fn listen(&self) -> Option<SocketAddr> {
        self.started.lock().map(|started| started.listen)
    }

    /// How this Xray is told what hides mKCP's packets.
    #[must_use]
    pub fn dialect(&self) -> XrayDialect {
        self.started.lock().map(|started| started.dialect).unwrap_or_default()
    }

    /// The API of the Xray in the folder `home`.
    #[must_use]
    pub fn api(&self, home: &CoreHome) -> XrayApi {
        XrayApi::new(self.launcher.clone(), self.program.clone(), home.file(API_SOCKET))
    }

    /// Tries the older words: newer versions refuse them, while the older ones pass over the newer words without a message.
    async fn find_dialect(&self, home: &CoreHome) -> Result<XrayDialect, CoreError> {
        let file = home.write("dialect.json", config::with_kcp_settings().to_string().as_bytes())?;
        let arguments = ["run".as_ref(), "-test".as_ref(), "-config".as_ref(), file.as_os_str()];
        let older = succeeds(&self.launcher, &self.program, &arguments, home.path()).await;
        Ok(if older { XrayDialect::KcpSettings } else { XrayDialect::FinalMask })
    }
}

#[async_trait]
impl CoreSetup for XraySetup {
    fn name(&self) -> &'static str {
        "xray"
    }

    async fn prepare(&self, home: &CoreHome) -> Result<CoreCommand, CoreError> {
        // The program may have been exchanged since the last start.
        let dialect = self.find_dialect(home).await?;
        // Somebody else may take it meanwhile: then this start fails, and the next one finds another one.
        let listen = async { TcpListener::bind(("127.0.0.1", 0)).await?.local_addr() };
        let listen = listen.await.map_err(CoreError::NoPort)?;
        home.remove(API_SOCKET)?;
        let slots = self.slots.iter().map(|(name, id)| (name.as_ref(), *id));
        let text = config::render(slots, listen, &home.file(API_SOCKET)).to_string();
        let file = home.write("config.json", text.as_bytes())?;
        *self.started.lock() = Some(Started { listen, dialect });
        let arguments = vec!["run".into(), "-config".into(), file.into_os_string()];
        Ok(CoreCommand { program: self.program.clone(), arguments, environment: Vec::new() })
    }

    async fn is_ready(&self, home: &CoreHome) -> bool {
        let Some(listen) = self.listen() else { return false };
        UnixStream::connect(home.file(API_SOCKET)).await.is_ok() && TcpStream::connect(listen).await.is_ok()
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
