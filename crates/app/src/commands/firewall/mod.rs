//! `hezar firewall print | remove`: the packet filter that belongs to the configuration in force.

mod system;

use std::{
    io::IsTerminal,
    net::{IpAddr, SocketAddr},
    process::ExitCode,
    time::Duration,
};

use anyhow::Context;
use hezar_api::ObjectType;
use hezar_core::settings::{Given, SettingValue, is_public};
use hezar_gateway::{ListenerKind, PortRange};
use serde_json::Value;
use tokio::{sync::oneshot, time::sleep};

use super::control_plane::ControlPlane;
use crate::{
    cli::PrintFirewallArgs,
    firewall::{ConnectionRate, Firewall, FirewallFormat, PortSpan, ProxyPorts, ssh_port_of_session, without_drop},
    inherited_sockets::SocketProtocol,
    output::{self, Misuse},
    signals::{EndSignals, outlive_hangups},
};

/// How long connections that are open already have to show themselves before what belongs to none is dropped.
const TRACKING: Duration = Duration::from_secs(2);

pub(super) async fn print(plane: &dyn ControlPlane, args: PrintFirewallArgs) -> anyhow::Result<ExitCode> {
    let firewall = firewall(plane, &args).await?;
    let rules = firewall.render(args.format);
    if !args.apply {
        output::line(rules.trim_end())?;
        return Ok(ExitCode::SUCCESS);
    }
    if !args.yes && !std::io::stdin().is_terminal() {
        let text =
            "nobody can be asked whether this machine can still be reached: say --yes to keep the rules without asking";
        return Err(Misuse(text.to_owned()).into());
    }
    apply(&firewall, &rules, &args).await
}

/// The rules that `hezar firewall print` prints without options.
pub(super) async fn default_rules(plane: &dyn ControlPlane) -> anyhow::Result<String> {
    let args = PrintFirewallArgs::defaults()?;
    Ok(firewall(plane, &args).await?.render(args.format))
}

pub(super) fn remove() -> anyhow::Result<ExitCode> {
    for format in [FirewallFormat::Nft, FirewallFormat::Iptables] {
        match system::remove(format)? {
            true => output::note(format!("the rules of {} are gone", system::name(format))),
            false => {
                output::note(format!("{} is not installed: there is nothing of it to take away", system::name(format)))
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// The firewall of the configuration in force.
async fn firewall(plane: &dyn ControlPlane, args: &PrintFirewallArgs) -> anyhow::Result<Firewall> {
    let mut ssh = args.ssh.clone();
    if let Some(port) = ssh_port_of_session().filter(|port| !ssh.contains(port)) {
        output::note(format!("your SSH session came in at port {port}: it stays open too"));
        ssh.push(port);
    }
    let api = plane.api_address().filter(|address| is_public(*address));
    if let Some(address) = api {
        output::note(format!(
            "the API on {address} is closed to other machines by these rules (--allow {}/tcp would open it)",
            address.port()
        ));
    }
    let rate = ConnectionRate { per_second: args.rate, burst: args.burst };
    let rate = (rate.per_second > 0).then_some(rate);
    Ok(Firewall { ssh, allow: args.allow.clone(), proxy: proxy_ports(plane).await?, rate })
}

/// The ports of all listeners that other machines can reach, and those at which ACME servers look for the answers to their challenges.
async fn proxy_ports(plane: &dyn ControlPlane) -> anyhow::Result<Vec<ProxyPorts>> {
    let settings = plane.settings().await?;
    let setting =
        |name: &str| settings.iter().find(|setting| setting.key == name).and_then(|setting| setting.value.clone());
    let mut found = Vec::new();
    add(&mut found, "proxy", &setting("proxy.listen").unwrap_or_default(), None, ListenerKind::Mixed)?;
    add_challenges(&mut found, "proxy", setting("proxy.tls").as_ref())?;
    add_challenges(&mut found, "api", setting("api.tls").as_ref())?;
    for listener in plane.objects(ObjectType::Listener).await? {
        // One that is not in force has no socket.
        if listener.problem.is_none() {
            let kind = ListenerKind::ALL.into_iter().find(|kind| listener.value["kind"].as_str() == Some(kind.name()));
            let (listen, ports) = (&listener.value["listen"], listener.value["ports"].as_str());
            add(&mut found, &listener.name, listen, ports, kind.unwrap_or_default())?;
            add_challenges(&mut found, &listener.name, listener.value.get("tls"))?;
        }
    }
    Ok(found)
}

/// Adds the address of a listener, and the ports that it has beside that one, if other machines can reach it.
fn add(
    found: &mut Vec<ProxyPorts>,
    listener: &str,
    listen: &Value,
    ports: Option<&str>,
    kind: ListenerKind,
) -> anyhow::Result<()> {
    let address = address_of(listener, listen)?;
    if is_public(address) {
        let open =
            |protocol, ports| ProxyPorts { listener: listener.to_owned(), address: address.ip(), ports, protocol };
        found.extend(SocketProtocol::of(kind).iter().map(|protocol| open(*protocol, address.port().into())));
        let range = ports.and_then(|text| PortRange::parse(&Given::Text(text.to_owned()), &())).map(PortRange::ports);
        let range = range.map(|ports| PortSpan { first: *ports.start(), last: *ports.end() });
        found.extend(range.map(|range| open(SocketProtocol::Tcp, range)));
    }
    Ok(())
}

/// Adds the address at which challenges over HTTP are answered (`acme_http`).
fn add_challenges(found: &mut Vec<ProxyPorts>, listener: &str, tls: Option<&Value>) -> anyhow::Result<()> {
    match tls.and_then(|tls| tls.get("acme_http")) {
        Some(address) => add(found, &format!("{listener}-acme"), address, None, ListenerKind::Mixed),
        None => Ok(()),
    }
}

fn address_of(listener: &str, value: &Value) -> anyhow::Result<SocketAddr> {
    let address = value.as_str().and_then(|text| text.parse().ok());
    address.with_context(|| format!("the listener {listener:?} has no address that can be read: {value}"))
}

/// Puts the rules into force: first without what drops the rest, so that the system's connection tracking learns of what is open already,
/// and then as a whole. Takes them back unless somebody says in time that they may stay.
async fn apply(firewall: &Firewall, rules: &str, args: &PrintFirewallArgs) -> anyhow::Result<ExitCode> {
    let before = system::current(args.format)?;
    // From here on nothing ends this process before it has taken the rules back.
    outlive_hangups();
    let mut end = EndSignals::listen();
    system::load(args.format, &without_drop(args.format, rules))?;
    sleep(TRACKING).await;
    system::load(args.format, rules)?;
    tell(firewall);
    if args.yes || confirmed(args.wait, &mut end).await {
        output::note(
            "the rules stay in force until the next restart of the machine; docs/firewall.md says how to load them at each start",
        );
        return Ok(ExitCode::SUCCESS);
    }
    system::restore(&before)?;
    output::note("the rules were taken back: everything is as it was before");
    Ok(ExitCode::FAILURE)
}

/// Says what other machines reach now.
fn tell(firewall: &Firewall) {
    let join = |ports: Vec<String>| if ports.is_empty() { "none".to_owned() } else { ports.join(", ") };
    output::note("in force now: everything from other machines is dropped, but for");
    output::note(format!("  SSH        {}", join(firewall.ssh.iter().map(ToString::to_string).collect())));
    output::note(format!("  the proxy  {}", join(firewall.proxy.iter().map(shown).collect())));
    output::note(format!("  others     {}", join(firewall.allow.iter().map(ToString::to_string).collect())));
    output::note("  ICMP, and what belongs to open connections");
}

fn shown(open: &ProxyPorts) -> String {
    let protocol = if open.protocol == SocketProtocol::Udp { "/udp" } else { "" };
    match open.address {
        all if all.is_unspecified() => format!("{}{protocol}", open.ports),
        IpAddr::V4(address) => format!("{address}:{}{protocol}", open.ports),
        IpAddr::V6(address) => format!("[{address}]:{}{protocol}", open.ports),
    }
}

/// Whether the operator says in time that this machine can still be reached. The end of a lost terminal says no.
async fn confirmed(wait: Duration, end: &mut EndSignals) -> bool {
    output::note(format!(
        "Open a second session to this machine now. Does it work? Type yes within {} s, or the rules are taken back:",
        wait.as_secs()
    ));
    let (sender, answer) = oneshot::channel();
    // Reading from a terminal cannot be given up, so a thread of its own does it: it must not hold up the end.
    std::thread::spawn(move || {
        let mut line = String::new();
        let read = std::io::stdin().read_line(&mut line);
        let _ = sender.send(read.is_ok() && line.trim() == "yes");
    });
    tokio::select! {
        answer = answer => answer.unwrap_or(false),
        () = sleep(wait) => false,
        () = end.received() => false,
    }
}
