//! Compares what a judge saw of a request through a proxy with what it sees of a direct one.

use std::{collections::HashMap, net::IpAddr};

use hezar_core::Reach;
use hezar_pool::Anonymity;

use super::echo::{Echo, addresses};

/// Fields in which pages say where a request came from, as the server saw it.
const PEER: [&str; 5] = ["remote-addr", "origin", "ip", "client", "remote-address"];

/// What a judge says of a direct request.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Baseline {
    /// Our own addresses.
    own: Vec<IpAddr>,
    /// Fields that tell of a proxy, with the number of entries in their lists: whatever stands in front of the judge adds
    /// them to every request.
    front: HashMap<Box<str>, usize>,
}

impl Baseline {
    /// What the page of a direct request shows. Behind a front our address is the first one in what the front adds, and the
    /// peer is the front.
    pub(crate) fn of_direct(echo: &Echo) -> Self {
        let firsts = |wanted: &dyn Fn(&str) -> bool| -> Vec<IpAddr> {
            let fields = echo.fields().filter(|(name, _)| wanted(name));
            fields.filter_map(|(_, value)| addresses(value).next()).collect()
        };
        let forwarded = firsts(&|name| tells_proxy(name) && name != "via");
        let own = if forwarded.is_empty() { firsts(&|name| PEER.contains(&name)) } else { forwarded };
        Self { own, front: entries(echo) }
    }
}

/// What is known of a proxy, without asking the judge.
#[derive(Clone, Debug, Default)]
pub(crate) struct Proxy {
    /// Addresses that are the proxy's: its server and its exit.
    pub(crate) own: Vec<IpAddr>,
    /// Whether its server has an address of this machine or its network, so that ours may be such a one, too.
    pub(crate) is_near: bool,
}

/// How much a request through a proxy gives away, by the page that it brought.
///
/// With a baseline that names our address the proxy is transparent when that address turns up. Without one every public
/// address that is not the proxy's own is taken for ours: a proxy may be thought worse than it is, never better.
pub(crate) fn anonymity(echo: &Echo, proxy: &Proxy, baseline: Option<&Baseline>) -> Anonymity {
    let empty = HashMap::new();
    let front = baseline.map_or(&empty, |baseline| &baseline.front);
    let own = baseline.map(|baseline| baseline.own.as_slice()).filter(|own| !own.is_empty());
    let tells_ours = match own {
        Some(own) => names_one_of(echo, own),
        None => names_a_stranger(echo, proxy),
    };
    if tells_ours {
        Anonymity::Transparent
    } else if entries(echo).iter().any(|(name, count)| front.get(name).is_none_or(|usual| count > usual)) {
        Anonymity::Anonymous
    } else {
        Anonymity::Elite
    }
}

/// Whether one of our addresses turns up. Where the proxy comes out at that very address it does so anyway: there only
/// what tells of a proxy counts.
fn names_one_of(echo: &Echo, own: &[IpAddr]) -> bool {
    let shares_exit = peers(echo).any(|peer| own.contains(&peer));
    let counts = |name: &str| tells_proxy(name) || (!shares_exit && !PEER.contains(&name));
    echo.fields()
        .filter(|(name, _)| counts(name))
        .any(|(_, value)| addresses(value).any(|address| own.contains(&address)))
}

/// Whether an address turns up in what tells of a proxy that is neither the proxy's nor the peer's.
fn names_a_stranger(echo: &Echo, proxy: &Proxy) -> bool {
    let known = |address: IpAddr| proxy.own.contains(&address) || peers(echo).any(|peer| peer == address);
    let ours = |address: IpAddr| !known(address) && (proxy.is_near || Reach::of_address(address) == Reach::Public);
    echo.fields().filter(|(name, _)| tells_proxy(name)).any(|(_, value)| addresses(value).any(ours))
}

fn peers(echo: &Echo) -> impl Iterator<Item = IpAddr> {
    echo.fields().filter(|(name, _)| PEER.contains(name)).flat_map(|(_, value)| addresses(value))
}

/// The fields that tell of a proxy, with the number of entries in their lists.
fn entries(echo: &Echo) -> HashMap<Box<str>, usize> {
    let mut counts = HashMap::new();
    for (name, value) in echo.fields().filter(|(name, value)| tells_proxy(name) && !value.trim().is_empty()) {
        *counts.entry(name.into()).or_default() += value.split(',').count();
    }
    counts
}

/// Whether a field of this name is there because of a proxy: `Via`, `Forwarded`, `X-Forwarded-For`, `Proxy-Connection`,
/// `X-Real-IP` and their kinds.
fn tells_proxy(name: &str) -> bool {
    let ends = ["client-ip", "real-ip", "connecting-ip", "originating-ip", "remote-ip"];
    name == "via"
        || name.ends_with("-via")
        || name == "x-remote-addr"
        || name.contains("forwarded")
        || name.contains("proxy")
        || ends.iter().any(|end| name.ends_with(end))
}
