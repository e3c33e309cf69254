//! The files of an instance: who may read them, whether the store is whole, and whether the ports are free.

use std::{fs, io, path::Path};

use hezar_core::Secret;
use hezar_sidecar::{CoreChoice, CoreName};
use hezar_store::{Access, StoreError};

use super::{Finding, listen_places};
use crate::{
    clash_engine,
    config::{Config, EngineKind, SourceOrigin, TorCircuits, TorClient},
    cores::advice,
    exposure,
    inherited_sockets::{BoundSocket, SocketPlace, SocketProtocol},
    token::TOKEN_FILE,
};

/// A larger store is not copied for a look.
const LARGEST_STORE: u64 = 2 << 30;

/// Everything about the files and the ports of a configuration; `runs` = an instance uses them now.
pub(super) async fn findings(config: &Config, runs: bool) -> Vec<Finding> {
    let mut found = vec![configuration(config)];
    found.extend(exposures(&exposure::warnings(config)));
    found.push(token(&config.data.join(TOKEN_FILE), config.api.token.is_some()));
    found.push(store(config, runs).await);
    found.extend(tor(config));
    found.extend([CoreName::Mihomo, CoreName::Xray].map(|name| core(config, name)));
    found.extend(engine(config).await);
    found.extend(listen_places(config).into_iter().map(|(name, place)| port(&name, place, runs)));
    found
}

fn configuration(config: &Config) -> Finding {
    let place = config.file.as_ref().map_or_else(|| "no file".to_owned(), |file| file.display().to_string());
    match config.warnings.first() {
        Some(warning) => {
            Finding::warn("configuration", format!("{place}: {warning}"), "hezar config check names all of it")
        }
        None => Finding::ok("configuration", place),
    }
}

fn exposures(warnings: &[String]) -> Vec<Finding> {
    if warnings.is_empty() {
        return vec![Finding::ok("permissions", "nobody else can read or reach what is secret")];
    }
    let finding = |warning: &String| {
        // Such a warning ends with what to do.
        let (text, advice) = warning.rsplit_once(": ").unwrap_or((warning, "see docs/access.md"));
        Finding::warn("permissions", text, advice)
    };
    warnings.iter().map(finding).collect()
}

/// The token file; `configured` = the token stands in the configuration instead.
fn token(file: &Path, configured: bool) -> Finding {
    const CHECK: &str = "token";
    match fs::metadata(file) {
        _ if configured => Finding::ok(CHECK, "stands in the configuration (api.token)"),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Finding::skip(CHECK, "is made at the first start of an instance")
        }
        Err(error) => {
            Finding::fail(CHECK, format!("{}: {error}", file.display()), "run this as the user of the instance")
        }
        Ok(_) if exposure::read_by_others(file) => Finding::fail(
            CHECK,
            format!("{} can be read by other users of this machine", file.display()),
            format!("chmod 600 {}; delete it and start again if somebody may have read it", file.display()),
        ),
        Ok(_) => Finding::ok(CHECK, file.display().to_string()),
    }
}

async fn store(config: &Config, runs: bool) -> Finding {
    const CHECK: &str = "store";
    if config.store.url.is_shared() {
        return server(config).await;
    }
    if runs {
        return Finding::skip(CHECK, "the running instance has it open");
    }
    let Some(name) = config.store.url.0.expose().strip_prefix("sqlite:") else {
        return Finding::skip(CHECK, "it is no file");
    };
    if let Some(error) = hezar_store::in_use(config.store.url.0.expose(), &config.data) {
        return Finding::skip(CHECK, error.to_string());
    }
    let file = config.data.join(name);
    match fs::metadata(&file) {
        Err(_) => return Finding::skip(CHECK, "there is none yet"),
        Ok(metadata) if metadata.len() > LARGEST_STORE => {
            return Finding::skip(CHECK, "it is too large to be looked at: hezar backup checks what it writes");
        }
        Ok(_) => {}
    }
    match hezar_store::check_backup(&config.data, &file).await {
        Ok(_) => Finding::ok(CHECK, format!("{} is whole", file.display())),
        Err(error) => Finding::fail(
            CHECK,
            format!("{}: {error}", file.display()),
            "hezar restore FILE puts a backup in its place",
        ),
    }
}

/// A store in PostgreSQL: whether the server lets this program in, and what the database is.
async fn server(config: &Config) -> Finding {
    const CHECK: &str = "store";
    let described = async {
        let store = hezar_store::open_configured(&config.store, &config.data, Access::ReadOnly).await?;
        let described = store.describe().await;
        store.close().await;
        described
    };
    match described.await {
        Ok(about) => Finding::ok(CHECK, format!("{} at {}, schema {}", about.database, about.place, about.schema)),
        Err(StoreError::Older { .. }) => Finding::skip(CHECK, "its tables are made or changed at the next start"),
        Err(error) => {
            let text = error.to_string();
            // Such a text ends with what to do.
            let (text, advice) = text.split_once("; ").unwrap_or((&text, "docs/store.md says more"));
            Finding::fail(CHECK, text, advice)
        }
    }
}

/// The programs that the Tor sources need, when there are such sources.
fn tor(config: &Config) -> Option<Finding> {
    const CHECK: &str = "tor";
    let clients = config.sources.iter().filter(|source| source.enabled).filter_map(|source| match &source.origin {
        SourceOrigin::Tor(TorCircuits { client: TorClient::Own { bridges, .. }, .. }) => Some(bridges),
        _ => None,
    });
    let bridges: Vec<_> = clients.collect();
    if bridges.is_empty() {
        return None;
    }
    let program = config.tor.binary.clone().or_else(|| hezar_child::find_program("tor"));
    let Some(program) = program.filter(|program| program.is_file()) else {
        let advice = "install it (Debian: apt install tor), or set tor.binary";
        return Some(Finding::fail(CHECK, "the program tor is not there", advice));
    };
    let lines = bridges.into_iter().flatten().map(Secret::expose);
    Some(match hezar_tor::find_transports(lines) {
        Ok(_) => Finding::ok(CHECK, program.display().to_string()),
        Err(error) => Finding::fail(CHECK, error.to_string(), "install one of them (Debian: apt install obfs4proxy)"),
    })
}

/// An installed core that dials what this program does not speak.
fn core(config: &Config, name: CoreName) -> Finding {
    const CHECK: &str = "core";
    let (core, choice) = (name.as_str(), name.choice(&config.sidecar));
    match (choice.find(name), choice) {
        (Some(program), _) => Finding::ok(CHECK, format!("{core}: {}", program.display())),
        (None, CoreChoice::Off) => Finding::skip(CHECK, format!("{core} is switched off (sidecar.{core})")),
        (None, CoreChoice::Auto) => Finding::skip(
            CHECK,
            format!("{core} is not installed: nodes that only it can dial stay unsupported (docs/cores.md)"),
        ),
        (None, CoreChoice::Path(path)) => {
            Finding::fail(CHECK, format!("{} is no program", path.display()), advice(name))
        }
    }
}

/// Whether Clash cores can serve, where they are to.
async fn engine(config: &Config) -> Option<Finding> {
    const CHECK: &str = "engine";
    if config.engine.kind != EngineKind::Clash {
        return None;
    }
    let advice = "docs/cores.md says what Clash cores need and what they cannot do";
    Some(match clash_engine::examine(config).await {
        Ok(program) => Finding::ok(CHECK, format!("clash: {} can serve", program.display())),
        Err(error) => Finding::fail(CHECK, error.to_string(), advice),
    })
}

/// Whether an address can be listened at.
fn port(name: &str, place: SocketPlace, runs: bool) -> Finding {
    const CHECK: &str = "port";
    let SocketPlace { protocol, address } = place;
    let shown = format!("{name} {place}");
    if runs || address.port() == 0 {
        return Finding::skip(CHECK, if runs { format!("{shown}: the instance has it") } else { shown });
    }
    match BoundSocket::bind(place) {
        Ok(_) => Finding::ok(CHECK, format!("{shown} is free")),
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
            let owner = owner(protocol, address.port()).map(|owner| format!(" by {owner}")).unwrap_or_default();
            Finding::fail(CHECK, format!("{shown} is taken{owner}"), "end that program, or choose another port")
        }
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Finding::fail(
            CHECK,
            format!("{shown}: ports below 1024 need rights that this user does not have"),
            "use a higher port, or socket activation (hezar install-service)",
        ),
        Err(error) => Finding::fail(CHECK, format!("{shown}: {error}"), "choose an address of this machine"),
    }
}

/// The process that listens at a port, as far as this user may see it.
fn owner(protocol: SocketProtocol, port: u16) -> Option<String> {
    let table = |family| fs::read_to_string(format!("/proc/net/{}{family}", protocol.name())).unwrap_or_default();
    let inode = ["", "6"].iter().find_map(|family| listening_inode(&table(family), protocol, port))?;
    let socket = format!("socket:[{inode}]");
    fs::read_dir("/proc").ok()?.flatten().find_map(|entry| {
        let pid: u32 = entry.file_name().to_str()?.parse().ok()?;
        let mut files = fs::read_dir(entry.path().join("fd")).ok()?.flatten();
        let holds =
            files.any(|file| fs::read_link(file.path()).is_ok_and(|link| link.to_str() == Some(socket.as_str())));
        let name = fs::read_to_string(entry.path().join("comm")).unwrap_or_default();
        holds.then(|| format!("{} (process {pid})", name.trim()))
    })
}

/// The inode of the socket that listens at a port, in a table such as /proc/net/tcp (proc(5)).
fn listening_inode(table: &str, protocol: SocketProtocol, port: u16) -> Option<u64> {
    // TCP_LISTEN; and TCP_CLOSE, in which a socket of UDP is that is connected with none.
    let listening = if protocol == SocketProtocol::Udp { "07" } else { "0A" };
    table.lines().skip(1).find_map(|line| {
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        let (local, state, inode) = (words.get(1)?, words.get(3)?, words.get(9)?);
        let (_, digits) = local.rsplit_once(':')?;
        (u16::from_str_radix(digits, 16) == Ok(port) && *state == listening).then(|| inode.parse().ok())?
    })
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, UdpSocket};

    use super::{super::Verdict, *};
    use crate::config::Layers;

    #[test]
    fn a_port_that_is_taken_is_told_with_its_owner() {
        let any = "127.0.0.1:0";
        for held in [BoundSocket::Tcp(TcpListener::bind(any).unwrap()), BoundSocket::Udp(UdpSocket::bind(any).unwrap())]
        {
            let place = held.place().unwrap();
            let found = port("proxy", place, false);
            assert_eq!(found.verdict, Verdict::Fail);
            #[cfg(target_os = "linux")]
            assert!(found.text.contains(&format!("process {}", std::process::id())), "{found:?}");
            assert_eq!(port("proxy", place, true).verdict, Verdict::Skip);
            drop(held);
            assert_eq!(port("proxy", place, false).verdict, Verdict::Ok);
        }
    }

    #[test]
    fn listening_sockets_are_found_in_the_kernels_table() {
        let table = "  sl  local_address rem_address   st tx rx tr when retr uid timeout inode\n\
                     0: 0100007F:1F90 00000000:0000 0A 0:0 0:0 0 0 0 4711 1\n\
                     1: 0100007F:1F91 00000000:0000 01 0:0 0:0 0 0 0 4712 1\n";
        let tcp = [8080, 8081].map(|port| listening_inode(table, SocketProtocol::Tcp, port));
        assert_eq!(tcp, [Some(4711), None]);
    }

    #[cfg(unix)]
    #[test]
    fn a_token_that_others_read_fails() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("token");
        assert_eq!((token(&file, false).verdict, token(&file, true).verdict), (Verdict::Skip, Verdict::Ok));
        fs::write(&file, "x").unwrap();
        for (mode, verdict) in [(0o644, Verdict::Fail), (0o600, Verdict::Ok)] {
            fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
            assert_eq!(token(&file, false).verdict, verdict);
        }
    }

    #[test]
    fn a_tor_source_needs_its_programs() {
        let found = |text: &str| tor(&Config::read(text, None, &Layers::default()).unwrap());
        assert_eq!(found(""), None);
        let source = "[[source]]\nname = \"t\"\ntor = 2\n";
        let missing = found(&format!("[tor]\nbinary = \"/nowhere/tor\"\n{source}")).unwrap();
        assert_eq!(missing.verdict, Verdict::Fail);
        let program = std::env::current_exe().unwrap();
        let there = format!("[tor]\nbinary = \"{}\"\n{source}", program.display());
        assert_eq!(found(&there).unwrap().verdict, Verdict::Ok);
        let unknown = found(&format!("{there}tor_bridges = [\"nothing 192.0.2.1:1\"]\n")).unwrap();
        assert_eq!(unknown.verdict, Verdict::Fail);
    }

    #[test]
    fn exposures_say_what_to_do() {
        assert_eq!(exposures(&[])[0].verdict, Verdict::Ok);
        let found = exposures(&["others can write to the data folder /d: chmod 700 /d".to_owned()]);
        assert_eq!(found[0].advice.as_deref(), Some("chmod 700 /d"));
    }

    #[tokio::test]
    async fn a_store_that_is_no_database_fails() {
        let folder = tempfile::tempdir().unwrap();
        let layers = Layers { data: Some(folder.path().to_owned()), ..Layers::default() };
        let mut config = Config::read("[store]\nurl = \"sqlite:x.db\"\n", None, &layers).unwrap();
        assert_eq!(store(&config, false).await.verdict, Verdict::Skip);
        fs::write(folder.path().join("x.db"), "garbage".repeat(1000)).unwrap();
        assert_eq!(store(&config, false).await.verdict, Verdict::Fail);
        assert_eq!(store(&config, true).await.verdict, Verdict::Skip);
        let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        config.store.url = hezar_store::StoreUrl(format!("postgres://u:word@{closed}/d").into());
        let away = store(&config, true).await;
        assert_eq!(away.verdict, Verdict::Fail);
        assert!(!format!("{away:?}").contains("word"), "{away:?}");
    }
}
