//! The configuration as `hezar up` would leave it: what stood in the file stays, and tables are added at its end.

use std::{
    collections::HashSet,
    fs, io,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::{Path, PathBuf},
};

use anyhow::{Context, bail};
use hezar_core::{NodeId, settings::is_public};
use hezar_formats::parse_link;
use url::Url;

use super::input::{Given, Place};
use crate::{
    config::{Config, ConfigReader, Layers, MANUAL_SOURCES, PUBLIC_SOURCES, SourceConfig, SourceOrigin},
    output::Misuse,
    replace_file::replace_file,
};

/// Ports that are tried one after the other when the usual one is in use.
const MOST_PORTS: u16 = 50;
const PROXY_PORT: u16 = 8000;
const API_PORT: u16 = 9090;
/// The first port for other machines of the network.
const LAN_PORT: u16 = 8080;
/// The name of the listener for other machines, and of its user.
const LAN_NAME: &str = "lan";
const LAN_USER: &str = "phone";

/// A configuration file with what would be added to it.
#[derive(Debug)]
pub(super) struct Draft {
    pub(super) file: PathBuf,
    /// What stood in the file; `None` when there was none.
    original: Option<String>,
    /// What stands in the file now.
    current: Option<String>,
    /// What stands in front of what is added.
    head: String,
    /// Public sources that are added.
    public: &'static str,
    pub(super) added: Vec<Added>,
    /// Sources that were there before and that the user has named again.
    pub(super) known: Vec<String>,
    /// The listener for other machines, when it is added.
    lan: Option<String>,
    /// The port that a new configuration gives the proxy, when the usual one is in use.
    pub(super) other_port: Option<u16>,
}

/// One `[[source]]` that is added.
#[derive(Debug)]
pub(super) struct Added {
    pub(super) name: String,
    table: String,
    /// Whether the user named just this source.
    pub(super) is_named: bool,
}

/// What is needed to use the proxy from another machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct LanAccess {
    pub(super) listen: SocketAddr,
    pub(super) user: String,
    pub(super) password: String,
}

impl Draft {
    /// Reads the file, if there is one. A new one gets ports that are free now.
    ///
    /// # Errors
    /// The file cannot be read.
    pub(super) fn open(file: PathBuf) -> anyhow::Result<Self> {
        let original = match fs::read_to_string(&file) {
            Ok(text) => Some(text),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(error).with_context(|| format!("cannot read {}", file.display())),
        };
        let (head, other_port) = match &original {
            Some(text) => (text.clone(), None),
            None => {
                let port = free_port(Ipv4Addr::LOCALHOST, PROXY_PORT)?;
                (new_text(port)?, (port != PROXY_PORT).then_some(port))
            }
        };
        Ok(Self {
            file,
            current: original.clone(),
            original,
            head,
            public: "",
            added: Vec::new(),
            known: Vec::new(),
            lan: None,
            other_port,
        })
    }

    pub(super) const fn is_new(&self) -> bool {
        self.original.is_none()
    }

    /// Adds the sources of `hezar init`, unless the configuration has one of them.
    ///
    /// # Errors
    /// They cannot be read, which a test keeps from happening.
    pub(super) fn add_public(&mut self, config: &Config) -> anyhow::Result<()> {
        let public = Config::read(PUBLIC_SOURCES, None, &Layers::default())?;
        let has = |source: &SourceConfig| config.sources.iter().any(|other| other.name == source.name);
        if !public.sources.iter().any(has) {
            self.public = PUBLIC_SOURCES;
        }
        Ok(())
    }

    /// Adds a table for each place that no source of `config` reads, and one for the links that none lists.
    ///
    /// # Errors
    /// A place that the configuration does not take.
    pub(super) fn add(&mut self, given: &Given, config: &Config, allow_private: bool) -> anyhow::Result<()> {
        // A source that refuses private addresses does not do for who takes them.
        let does = |source: &&SourceConfig| source.allow_private || !allow_private;
        let usable: Vec<_> = config.sources.iter().filter(does).collect();
        for place in &given.places {
            let name = self.free_name(&name_of(place), config);
            let table = table(&name, &format!("{} = {}", place.key, quoted(&place.value)), allow_private);
            let source = self.read(&table)?;
            match usable.iter().find(|other| other.origin == source.origin) {
                Some(known) => self.known.push(known.name.clone()),
                None => self.added.push(Added { name, table, is_named: place.is_named }),
            }
        }
        let listed: HashSet<NodeId> = usable.iter().copied().flat_map(listed_links).collect();
        let mut seen = HashSet::new();
        let is_new = |link: &&String| id_of(link).is_some_and(|id| !listed.contains(&id) && seen.insert(id));
        let links: Vec<String> =
            given.links.iter().filter(is_new).map(|link| format!("    {},\n", quoted(link))).collect();
        if !links.is_empty() {
            let name = self.free_name("pasted", config);
            let table = table(&name, &format!("links = [\n{}]", links.concat()), allow_private);
            self.added.push(Added { name, table, is_named: true });
        } else if !given.links.is_empty() {
            let lists = |source: &&SourceConfig| listed_links(source).next().is_some();
            self.known.extend(config.sources.iter().filter(lists).map(|source| source.name.clone()));
        }
        Ok(())
    }

    /// Makes sure that other machines of the network can use the proxy.
    ///
    /// # Errors
    /// No port is free.
    pub(super) fn open_lan(&mut self, config: &Config) -> anyhow::Result<()> {
        if lan_access(config).is_some() {
            return Ok(());
        }
        let address = SocketAddr::from((Ipv4Addr::UNSPECIFIED, free_port(Ipv4Addr::UNSPECIFIED, LAN_PORT)?));
        let password = hex::encode(rand::random::<[u8; 6]>());
        self.lan = Some(format!(
            "\n# For phones and other machines of this network.\n[[listener]]\nname = \"{LAN_NAME}\"\nlisten = \"{address}\"\n\
             users = [{{ name = \"{LAN_USER}\", password = \"{password}\" }}]\n"
        ));
        Ok(())
    }

    /// The whole text as it would be.
    pub(super) fn text(&self) -> String {
        let end = if self.head.is_empty() || self.head.ends_with('\n') { "" } else { "\n" };
        format!("{}{end}{}", self.head, self.additions())
    }

    /// What is added at the end.
    fn additions(&self) -> String {
        let mut text = String::new();
        if !self.public.is_empty() {
            text.push('\n');
            text.push_str(self.public);
        }
        self.added.iter().for_each(|added| text.push_str(&added.table));
        text.push_str(self.lan.as_deref().unwrap_or_default());
        text
    }

    /// The configuration that the text means.
    ///
    /// # Errors
    /// The tables do not go together with what stands in the file, which was good without them.
    pub(super) fn parsed(&self, reader: &ConfigReader) -> anyhow::Result<Config> {
        let config = reader.parse(&self.text(), &[], &|_| false);
        config.map_err(|problems| {
            let why = problems.0.first().map(ToString::to_string).unwrap_or_default();
            Misuse(format!(
                "nothing can be added at the end of {} ({why}); add it by hand:\n{}",
                self.file.display(),
                self.additions()
            ))
            .into()
        })
    }

    /// Writes the text, unless it is what the file holds. The file keeps its owner and mode; a new one is readable by its owner alone.
    ///
    /// # Errors
    /// The file has changed since it was read, or cannot be written.
    pub(super) fn write(&mut self) -> anyhow::Result<()> {
        let text = self.text();
        self.put(Some(text))
    }

    /// Leaves the file as it was before the first write.
    ///
    /// # Errors
    /// As for [`Draft::write`].
    pub(super) fn undo(&mut self) -> anyhow::Result<()> {
        self.put(self.original.clone())
    }

    fn put(&mut self, text: Option<String>) -> anyhow::Result<()> {
        if self.current == text {
            return Ok(());
        }
        if fs::read_to_string(&self.file).ok() != self.current {
            bail!("{} was changed by somebody else meanwhile: it is left alone; start again", self.file.display());
        }
        let written = match &text {
            Some(text) => replace_file(&self.file, text),
            None => fs::remove_file(&self.file),
        };
        written.with_context(|| format!("cannot write {}", self.file.display()))?;
        self.current = text;
        Ok(())
    }

    /// The source that a table alone describes.
    fn read(&self, table: &str) -> anyhow::Result<SourceConfig> {
        let config = Config::read(table, Some(&self.file), &Layers::default())?;
        config.sources.into_iter().next().context("a table without a source")
    }

    /// A name that no source has.
    fn free_name(&self, wanted: &str, config: &Config) -> String {
        let is_taken = |name: &str| {
            MANUAL_SOURCES.contains(&name)
                || config.sources.iter().any(|source| source.name == name)
                || self.added.iter().any(|added| added.name == name)
        };
        let numbered = (2..).map(|number| format!("{wanted}-{number}"));
        std::iter::once(wanted.to_owned()).chain(numbered).find(|name| !is_taken(name)).unwrap_or_default()
    }
}

/// How other machines use the proxy that this configuration describes; `None` when they cannot, or when their password is not known.
pub(super) fn lan_access(config: &Config) -> Option<LanAccess> {
    let first = (config.proxy.listen, &config.proxy.users[..]);
    let mixed = config.listeners.iter().filter(|listener| listener.inbound.is_none());
    let others = mixed.map(|listener| (listener.listen, config.users_of(listener)));
    std::iter::once(first).chain(others).filter(|(listen, _)| is_public(*listen)).find_map(|(listen, users)| {
        let user = users.iter().find(|user| user.enabled && user.password.is_some())?;
        let password = user.password.as_ref()?.expose().to_owned();
        Some(LanAccess { listen, user: user.name.to_string(), password })
    })
}

/// A configuration that names its two addresses.
fn new_text(proxy: u16) -> anyhow::Result<String> {
    let api = free_port(Ipv4Addr::LOCALHOST, API_PORT)?;
    Ok(format!(
        "# Written by `hezar up`. `hezar init` shows every setting; `hezar config check` finds mistakes.\n\n\
         [proxy]\nlisten = \"127.0.0.1:{proxy}\"\n\n[api]\nlisten = \"127.0.0.1:{api}\"\n"
    ))
}

/// The first port from this one on that nobody listens on.
fn free_port(address: Ipv4Addr, first: u16) -> anyhow::Result<u16> {
    let mut ports = first..first + MOST_PORTS;
    let free = ports.find(|port| TcpListener::bind((address, *port)).is_ok());
    free.with_context(|| format!("no port from {first} to {} is free on {address}", first + MOST_PORTS - 1))
}

fn table(name: &str, origin: &str, allow_private: bool) -> String {
    let private = if allow_private { "allow_private = true\n" } else { "" };
    format!("\n[[source]]\nname = {}\n{origin}\n{private}", quoted(name))
}

/// A text as TOML writes it.
fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

/// What a person would call a place: the host, the channel, the repository or the file.
fn name_of(place: &Place) -> String {
    let text = match place.key {
        "url" => Url::parse(&place.value).ok().and_then(|url| url.host_str().map(str::to_owned)).unwrap_or_default(),
        "file" => Path::new(&place.value).file_stem().unwrap_or_default().to_string_lossy().into_owned(),
        _ => place.value.trim_end_matches('/').rsplit(['/', '@']).next().unwrap_or_default().to_owned(),
    };
    let plain: String = text
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() || matches!(c, '.' | '_') { c.to_ascii_lowercase() } else { '-' })
        .take(40)
        .collect();
    let plain = plain.trim_matches(['-', '.']);
    if plain.is_empty() { "subscription".to_owned() } else { plain.to_owned() }
}

fn id_of(link: &str) -> Option<NodeId> {
    parse_link(link).ok().map(|(spec, _)| spec.id())
}

/// The nodes of the links that stand in the configuration itself.
fn listed_links(source: &SourceConfig) -> impl Iterator<Item = NodeId> {
    let links = match &source.origin {
        SourceOrigin::Links(links) => &links[..],
        _ => &[],
    };
    links.iter().filter_map(|link| id_of(link.expose()))
}
