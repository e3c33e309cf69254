//! The peers: where their programs are, which rows they can run, and how they are configured.

mod hysteria;
mod mihomo;
mod shadowsocks_libev;
mod shadowsocksr;
mod sing_box;
mod xray;

use std::{
    collections::BTreeMap,
    env,
    ffi::OsString,
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use anyhow::Context;
use serde::Deserialize;
use serde_json::Value;

use crate::{
    certificate::Certificate,
    process::{Process, ReadyTunnel, free_ports},
    row::{Plugged, Protocol, Row, Transport},
};

/// A program of another project.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Peer {
    SingBox,
    Mihomo,
    Xray,
    V2ray,
    ShadowsocksLibev,
    Hysteria,
    ShadowsocksR,
}

/// What becomes of the end of one direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AtEnd {
    /// The target sees it, and the other direction goes on.
    Passes,
    /// The target never sees it; the other direction goes on.
    Swallows,
    /// Both directions end.
    ClosesBoth,
    /// Both directions end, and the last bytes of an upload stay in the peer until more come.
    HoldsBack,
}

/// What a peer's server does with datagrams.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Relays {
    /// Many targets over one association, and answers from anywhere.
    Cone,
    /// Many targets over one association, and answers from these alone.
    Targets,
}

/// One server to play: who, where, and what.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Part {
    pub(crate) peer: Peer,
    pub(crate) row: Row,
    pub(crate) address: SocketAddr,
    /// Another way to the server, if the row has one.
    pub(crate) download: SocketAddr,
    /// An HTTPS proxy of the same peer: the site behind REALITY, and what inner TLS goes to.
    pub(crate) site: SocketAddr,
}

/// The servers of one peer, running.
#[derive(Debug)]
pub(crate) struct Fleet {
    pub(crate) parts: Vec<Part>,
    pub(crate) processes: Vec<Process>,
}

/// An entry of peers.toml, as far as it concerns finding the program.
#[derive(Debug, Deserialize)]
struct Pinned {
    version: Option<String>,
    binary: String,
}

/// The program of an entry of peers.toml, where it is installed.
pub(crate) fn installed(name: &str) -> Option<PathBuf> {
    let peers: BTreeMap<String, Pinned> = toml::from_str(include_str!("../../peers.toml")).ok()?;
    let pinned = peers.get(name)?;
    let Some(version) = &pinned.version else {
        return on_path(&pinned.binary);
    };
    let program = folder()?.join(format!("{name}-{version}")).join(&pinned.binary);
    program.is_file().then_some(program)
}

impl Peer {
    /// The name in peers.toml.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::SingBox => "sing-box",
            Self::Mihomo => "mihomo",
            Self::Xray => "xray",
            Self::V2ray => "v2ray",
            Self::ShadowsocksLibev => "shadowsocks-libev",
            Self::Hysteria => "hysteria",
            Self::ShadowsocksR => "shadowsocksr",
        }
    }

    /// The installed program.
    #[must_use]
    pub fn program(self) -> Option<PathBuf> {
        installed(self.name())
    }

    /// Whether the peer can play the row.
    pub(crate) fn plays(self, row: Row) -> bool {
        match self {
            Self::SingBox => sing_box::plays(row),
            Self::Mihomo => mihomo::plays(row),
            Self::Xray => xray::plays(row, xray::Dialect::Xray),
            Self::V2ray => xray::plays(row, xray::Dialect::V2ray),
            Self::ShadowsocksLibev => shadowsocks_libev::plays(row),
            Self::Hysteria => hysteria::plays(row),
            Self::ShadowsocksR => shadowsocksr::plays(row),
        }
    }

    /// What the peer's server does when the client's direction ends before the target's.
    pub(crate) fn at_end(self, row: Row) -> AtEnd {
        match (self, row.protocol) {
            // Hysteria's server leaves its loop as soon as one direction has ended.
            (Self::ShadowsocksLibev | Self::Hysteria, _) => AtEnd::ClosesBoth,
            // What mihomo dials by these protocols ends as a whole when the client's direction does.
            (_, Protocol::Core(_) | Protocol::Plugged(Plugged::Kcptun)) => AtEnd::ClosesBoth,
            // Its own client shows the same against itself: an upload over mKCP is reset.
            (_, Protocol::Trojan) if matches!(row.transport, Transport::Kcp { .. }) => AtEnd::HoldsBack,
            // sing-box's client shows the same against it.
            (Self::Mihomo, Protocol::Vmess { cipher, .. }) if cipher != "zero" => AtEnd::HoldsBack,
            // Its own client shows the same against it, and not against sing-box.
            (Self::Xray, Protocol::Shadowsocks { method, .. }) if method.starts_with("2022-") => AtEnd::Swallows,
            _ if row.tells_half_close() => AtEnd::Passes,
            _ => AtEnd::Swallows,
        }
    }

    /// What the peer's server does with the datagrams of a row: for each way of packing them that it knows, what is
    /// added to the link, and how far they go. The first one is shown.
    pub(crate) const fn relays(self, row: Row) -> &'static [(&'static str, Relays)] {
        match (self, row.protocol) {
            // The targets are on loopback addresses, which no packet of a tunnel may have.
            (_, Protocol::WireGuard) => &[],
            // Xray dials them, which packs datagrams as XUDP; v2ray does not know it.
            (Self::V2ray, Protocol::Vless | Protocol::Vmess { .. })
                if matches!(row.transport, Transport::Kcp { .. }) =>
            {
                &[]
            }
            (Self::Xray, _) if matches!(row.transport, Transport::Kcp { .. }) => &[("", Relays::Cone)],
            // Answers from two targets at once end the whole program: "concurrent write to websocket connection" (4.34).
            (Self::V2ray, Protocol::Trojan) if row.transport.is_websocket() => &[],
            // v2ray keeps a path per target, and does not know XUDP.
            (Self::V2ray, Protocol::Vless | Protocol::Vmess { .. }) => &[("&packetEncoding=none", Relays::Targets)],
            (Self::V2ray, _) => &[("", Relays::Targets)],
            (Self::SingBox | Self::Mihomo, Protocol::Vless | Protocol::Vmess { .. }) => &[
                ("", Relays::Cone),
                ("&packetEncoding=none", Relays::Targets),
                ("&packetEncoding=packetaddr", Relays::Cone),
            ],
            // sing's UDP over TCP.
            (Self::SingBox | Self::Mihomo, Protocol::Shadowsocks { .. }) => {
                &[("", Relays::Cone), ("?uot=1", Relays::Cone)]
            }
            (_, Protocol::Vless | Protocol::Vmess { .. }) => {
                &[("", Relays::Cone), ("&packetEncoding=none", Relays::Targets)]
            }
            _ => &[("", Relays::Cone)],
        }
    }

    /// Starts servers for all rows that the peer can play.
    pub(crate) async fn launch(
        self,
        program: &Path,
        rows: &[Row],
        certificate: &Certificate,
        folder: &Path,
    ) -> anyhow::Result<Fleet> {
        let rows: Vec<Row> = rows.iter().copied().filter(|row| self.plays(*row)).collect();
        let mut result = Err(anyhow::anyhow!("never tried"));
        // A port may be gone by the time the peer binds it.
        for _ in 0..3 {
            result = self.try_launch(program, &rows, certificate, folder).await;
            if result.is_ok() {
                break;
            }
        }
        result.with_context(|| format!("{} does not start", self.name()))
    }

    async fn try_launch(
        self,
        program: &Path,
        rows: &[Row],
        certificate: &Certificate,
        folder: &Path,
    ) -> anyhow::Result<Fleet> {
        let downloads = rows.iter().filter(|row| row.has_download_listener()).count();
        let mut ports = free_ports(rows.len() + downloads + 1)?.into_iter();
        let mut port = || ports.next().context("no port");
        let site = port()?;
        let mut parts = Vec::new();
        for &row in rows {
            let address = port()?;
            let download = if row.has_download_listener() { port()? } else { address };
            parts.push(Part { peer: self, row, address, download, site });
        }
        let mut fleet = Fleet { processes: Vec::new(), parts };
        let groups: Vec<&[Part]> = match self {
            Self::ShadowsocksLibev => fleet.parts.chunks(1).collect(),
            // The site has a process of its own: it does not connect to itself.
            Self::Mihomo => vec![&[], &fleet.parts],
            _ => vec![&fleet.parts],
        };
        for (number, group) in groups.into_iter().enumerate() {
            let file = folder.join(format!("{}-{number}.json", self.name()));
            let ready = ReadyTunnel::open().await?;
            fs::write(&file, self.render(group, certificate, site, &ready).to_string())?;
            let mut ports: Vec<(SocketAddr, bool)> =
                group.iter().map(|part| (part.address, part.row.over_udp())).collect();
            if ports.is_empty() {
                ports.push((site, false));
            }
            fleet.processes.push(Process::start(program, &self.arguments(&file), folder, &ports).await?);
            if self == Self::Mihomo {
                // It accepts before it carries, and hangs up on who comes in between.
                ready.carried().await?;
            }
        }
        Ok(fleet)
    }

    fn render(self, parts: &[Part], certificate: &Certificate, site: SocketAddr, ready: &ReadyTunnel) -> Value {
        match self {
            Self::SingBox => sing_box::render(parts, certificate, site),
            Self::Mihomo => mihomo::render(parts, certificate, site, ready),
            Self::Xray => xray::render(parts, certificate, site, xray::Dialect::Xray),
            Self::V2ray => xray::render(parts, certificate, site, xray::Dialect::V2ray),
            Self::ShadowsocksLibev => shadowsocks_libev::render(parts, certificate),
            Self::Hysteria => hysteria::render(parts, certificate),
            Self::ShadowsocksR => shadowsocksr::render(parts),
        }
    }

    fn arguments(self, file: &Path) -> Vec<OsString> {
        let words: &[&str] = match self {
            Self::SingBox | Self::Xray => &["run", "-c"],
            // Its home is the working folder: it reads certificates from nowhere else.
            Self::Mihomo => &["-d", ".", "-f"],
            Self::V2ray => &["-config"],
            Self::ShadowsocksLibev => &["-c"],
            Self::Hysteria | Self::ShadowsocksR => &[],
        };
        words.iter().map(OsString::from).chain([file.as_os_str().to_owned()]).collect()
    }
}

/// A program of the system.
fn on_path(binary: &str) -> Option<PathBuf> {
    let paths = env::var_os("PATH")?;
    env::split_paths(&paths).map(|folder| folder.join(binary)).find(|file| file.is_file())
}

/// Where `cargo xtask peers install` puts them.
pub(crate) fn folder() -> Option<PathBuf> {
    if let Some(folder) = env::var_os("HEZAR_PEERS") {
        return Some(folder.into());
    }
    let cache = env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let cache = cache.or_else(|| env::var_os("HOME").map(|home| Path::new(&home).join(".cache")))?;
    Some(cache.join("hezar/peers"))
}
