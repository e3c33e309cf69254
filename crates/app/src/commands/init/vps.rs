//! `hezar init --vps DOMAIN`: a machine for phones, without a question.

use std::{
    fs,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, ToSocketAddrs},
    path::{Path, PathBuf},
    process::ExitCode,
    sync::mpsc,
    time::Duration,
};

use anyhow::{Context, bail};
use hezar_core::{Host, Reach};
use hezar_store::folder_of;

use super::{
    super::{GlobalArgs, firewall, runtime, up::Offer},
    keep_what_differs,
    vps_file::{Secrets, USER, VpsFile, sources},
};
use crate::{
    cli::InitArgs,
    config::{Config, template},
    inherited_sockets::{BoundSocket, SocketPlace},
    invitations::{self, Remark, invitations},
    output::{self, Misuse},
    places::FILE_NAME,
    qr::qr,
    replace_file::replace_file,
    service::{Outcome, Scope, Step, is_running, last_log, open_low_ports},
};

/// How long the system's resolver may take to say where the domain leads.
const LONGEST_LOOKUP: Duration = Duration::from_secs(5);
/// What strangers see until somebody puts a better page there.
const PAGE: &str = "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n<title>Welcome</title>\n\
                    <h1>Welcome</h1>\n<p>This site is being set up.</p>\n</html>\n";

/// Writes configuration, site and packet filter, starts the service, and prints the links.
pub(super) fn set_up(global: &mut GlobalArgs, domain: &str, args: &InitArgs) -> anyhow::Result<ExitCode> {
    let domain = domain.trim().trim_end_matches('.').to_ascii_lowercase();
    if !matches!(Host::new(&domain), Ok(Host::Name(_))) || !domain.contains('.') {
        return Err(Misuse(format!(
            "{domain:?} is no domain: give the name that leads to this machine, such as vps.example.org"
        ))
        .into());
    }
    let offer = if args.no_service { None } else { Offer::here().filter(|offer| offer.file().is_some()) };
    let file = place(global, offer);
    // A file that is named elsewhere is not the service's.
    let offer = offer.filter(|offer| offer.file() == Some(&*file));
    global.use_file(&file);
    let secrets = secrets(global, &file, args.force)?;
    let draft = VpsFile {
        domain: &domain,
        listen: all_addresses(),
        secrets,
        acme: acme(args)?,
        sources: sources(&args.sources, args.allow_private),
    };
    let text = draft.text();
    let config = global.reader().parse(&text, &[], &|_| false)?;
    tell_name(&domain);
    // Those of an instance that runs are its own.
    if global.running().is_none() {
        tell_taken_ports(&config);
    }
    write(&file, &text)?;
    match offer {
        Some(offer) => start(offer, global)?,
        None => output::note(format!("start it with: hezar --config {} run", file.display())),
    }
    if let Err(error) = write_filter(global, &file) {
        output::note(format!("the rules of the packet filter were not written: {error:#}"));
    }
    print_links(&config)
}

/// The file of the machine's service where there is one, else the one that is named, or `hezar.toml` here.
fn place(global: &GlobalArgs, offer: Option<Offer>) -> PathBuf {
    let named = global.places.file.clone().filter(|_| global.places.named);
    let of_service = offer.and_then(Offer::file).map(Path::to_owned);
    named.or(of_service).unwrap_or_else(|| PathBuf::from(FILE_NAME))
}

/// New secrets, or with `force` those of the file that is there.
fn secrets(global: &GlobalArgs, file: &Path, force: bool) -> anyhow::Result<Secrets> {
    let secrets = Secrets::generate()?;
    // A package brings the template, which holds no keys.
    let known = fs::read_to_string(file).unwrap_or_default();
    if !file.exists() || known == template() {
        return Ok(secrets);
    }
    if !force {
        bail!(
            "{} is there already: --force writes it again with the same keys, so that links stay good",
            file.display()
        );
    }
    let old = global
        .config()
        .context("the file that is there cannot be read, so its keys would be lost: move it away first")?;
    Ok(secrets.kept_from(&old))
}

/// Every address of this machine, those of IPv6 too where it has one that others reach.
fn all_addresses() -> IpAddr {
    let is_global = |ip: IpAddr| matches!(ip, IpAddr::V6(ip) if !ip.is_loopback() && !ip.is_unicast_link_local());
    let has_ipv6 = if_addrs::get_if_addrs().is_ok_and(|all| all.iter().any(|one| is_global(one.ip())));
    if has_ipv6 { Ipv6Addr::UNSPECIFIED.into() } else { Ipv4Addr::UNSPECIFIED.into() }
}

/// The lines of `[listener.tls]` that the command line asks for.
fn acme(args: &InitArgs) -> anyhow::Result<String> {
    let mut lines = String::new();
    if let Some(directory) = &args.acme_directory {
        lines.push_str(&format!("acme_directory = {}\n", toml::Value::from(directory.as_str())));
    }
    if let Some(file) = &args.acme_ca {
        let file = std::path::absolute(file).with_context(|| format!("{}", file.display()))?;
        lines.push_str(&format!("acme_ca = {}\n", toml::Value::from(file.display().to_string())));
    }
    Ok(lines)
}

/// Says whether the domain does not lead here. It does not stop the set-up: the record may be made later.
fn tell_name(domain: &str) {
    let own: Vec<IpAddr> =
        if_addrs::get_if_addrs().map(|all| all.iter().map(|one| one.ip()).collect()).unwrap_or_default();
    let Some(found) = addresses_of(domain) else {
        output::note(format!("{domain} leads nowhere yet: make a DNS record (A, AAAA) with this machine's address"));
        return;
    };
    // Behind a translation of addresses, this machine does not know the one that others reach.
    let is_behind_nat = own.iter().all(|ip| Reach::of_address(*ip) == Reach::Private);
    if !is_behind_nat && !found.iter().any(|ip| own.contains(ip)) {
        output::note(format!(
            "{domain} does not lead to an address of this machine: its certificate cannot be had until it does"
        ));
    }
}

/// Where a name leads; `None` where it leads nowhere, or the system's resolver does not answer in time.
fn addresses_of(domain: &str) -> Option<Vec<IpAddr>> {
    let (answer, answered) = mpsc::channel();
    let asked = (domain.to_owned(), 443);
    // The system's resolver cannot be given less time: the thread ends with the process.
    std::thread::spawn(move || {
        let found = asked.to_socket_addrs().map(|found| found.map(|address| address.ip()).collect());
        let _ = answer.send(found);
    });
    answered.recv_timeout(LONGEST_LOOKUP).ok()?.ok()
}

/// Says which ports other programs have.
fn tell_taken_ports(config: &Config) {
    let is_taken = |place: &SocketPlace| {
        BoundSocket::bind(*place).is_err_and(|error| error.kind() == std::io::ErrorKind::AddrInUse)
    };
    for listener in &config.listeners {
        for place in SocketPlace::of_listener(listener.kind, listener.listen).filter(is_taken) {
            let (port, protocol, name) = (place.address.port(), place.protocol.name(), &listener.name);
            output::note(format!("port {port}/{protocol} is in use: {name} cannot open it until that program ends"));
        }
    }
}

/// Writes the configuration, and the site beside it unless there is one. What stood in the file is kept beside it, too.
fn write(file: &Path, text: &str) -> anyhow::Result<()> {
    let folder = folder_of(file);
    let site = folder.join("site");
    keep_what_differs(file, text)?;
    fs::create_dir_all(&site).with_context(|| format!("cannot make {}", site.display()))?;
    replace_file(file, text).with_context(|| format!("cannot write {}", file.display()))?;
    let page = site.join("index.html");
    if !page.exists() {
        fs::write(&page, PAGE).with_context(|| format!("cannot write {}", page.display()))?;
    }
    output::note(format!("wrote {} and {}; put a site of your own there", file.display(), page.display()));
    Ok(())
}

/// Writes the packet filter beside the configuration; another one that stood there is kept. It is not put into force unasked: it would
/// close what else this machine serves.
fn write_filter(global: &GlobalArgs, file: &Path) -> anyhow::Result<()> {
    let rules = runtime()?.block_on(async { firewall::default_rules(&*global.control_plane().await?).await })?;
    let path = file.with_file_name("firewall.nft");
    keep_what_differs(&path, &rules)?;
    fs::write(&path, rules).with_context(|| format!("cannot write {}", path.display()))?;
    output::note(format!(
        "wrote {}: `hezar firewall print --apply` puts these rules into force, and takes them back unless you can still log in",
        path.display()
    ));
    Ok(())
}

/// Installs and starts the service of the machine. One that runs already, as a package starts it, takes up what was written.
fn start(offer: Offer, global: &GlobalArgs) -> anyhow::Result<()> {
    let was_running = is_running(Scope::System);
    let mut has_new_rights = false;
    for step in open_low_ports() {
        let outcome = step.perform()?;
        has_new_rights |= matches!((&step, &outcome), (Step::Unit { .. }, Outcome::Done(_)));
        let (Outcome::Done(text) | Outcome::Left(text)) = outcome;
        output::note(text);
    }
    offer.start(global)?;
    if was_running {
        // A process is given the right to low ports when it starts.
        let word = if has_new_rights { "restart" } else { "reload" };
        let taken_up = Step::run(["systemctl", word, "hezar.service"]).perform();
        if taken_up.is_err() {
            output::note(last_log(Scope::System));
        }
        let (Outcome::Done(text) | Outcome::Left(text)) = taken_up?;
        output::note(text);
    }
    Ok(())
}

/// Prints every link, and of each listener the link without a name as a QR code, too.
fn print_links(config: &Config) -> anyhow::Result<ExitCode> {
    let remark = Remark { title: invitations::TITLE.to_owned(), ..Remark::default() };
    for invitation in invitations(config, USER, &remark, |_| None) {
        let uri = invitation.uri();
        output::note(invitation.label.as_str());
        output::line(&uri)?;
        if invitation.link.is_empty() {
            output::line(qr(&uri))?;
        }
    }
    output::note(format!(
        "these links are secrets: whoever has one uses this machine as {USER}; `hezar user link {USER} --qr` prints them again"
    ));
    Ok(ExitCode::SUCCESS)
}
