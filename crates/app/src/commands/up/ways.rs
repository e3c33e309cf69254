//! How browsers, Telegram and phones use the proxy: the addresses to enter, and one to scan.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::Serialize;
use url::form_urlencoded;

use super::draft::LanAccess;
use crate::remote::reachable;

/// Beginnings of the names of interfaces that lead to no phone: tunnels, containers, virtual machines.
const VIRTUAL: [&str; 11] = ["tun", "tap", "wg", "utun", "ppp", "docker", "br-", "veth", "virbr", "vmnet", "tailscale"];

/// The ways to the proxy.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Ways {
    /// The address for programs on this machine.
    pub(super) proxy: SocketAddr,
    /// Opens Telegram's own question on this machine.
    pub(super) telegram: String,
    /// The way for other machines of the network, when one is open.
    pub(super) phone: Option<Phone>,
}

/// What a phone enters.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Phone {
    /// This machine's address in its network, with the port. Where it has none now, the address that it listens on.
    pub(super) address: SocketAddr,
    pub(super) user: String,
    pub(super) password: String,
    /// Opens Telegram's own question on the phone.
    pub(super) telegram: String,
    /// A share link for v2rayNG, NekoBox, Hiddify and others.
    pub(super) link: String,
}

impl Ways {
    pub(super) fn new(proxy: SocketAddr, lan: Option<&LanAccess>) -> Self {
        let proxy = reachable(proxy);
        let phone = lan.map(|lan| Phone::new(lan, own_address().unwrap_or(lan.listen.ip())));
        Self { proxy, telegram: telegram(proxy, None), phone }
    }
}

impl Phone {
    fn new(lan: &LanAccess, own: IpAddr) -> Self {
        let host = if lan.listen.ip().is_unspecified() { own } else { lan.listen.ip() };
        let address = SocketAddr::new(host, lan.listen.port());
        let (user, password) = (lan.user.clone(), lan.password.clone());
        // The form that v2rayNG knows as well; others read it beside `socks5://user:password@…`.
        let userinfo = URL_SAFE_NO_PAD.encode(format!("{user}:{password}"));
        Self {
            address,
            telegram: telegram(address, Some((&user, &password))),
            link: format!("socks://{userinfo}@{address}#Hezar"),
            user,
            password,
        }
    }
}

/// The link that Telegram's clients take for a SOCKS5 proxy.
fn telegram(address: SocketAddr, login: Option<(&str, &str)>) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.append_pair("server", &address.ip().to_string()).append_pair("port", &address.port().to_string());
    if let Some((user, password)) = login {
        query.append_pair("user", user).append_pair("pass", password);
    }
    format!("tg://socks?{}", query.finish())
}

/// The address of this machine that a phone in the same network most likely reaches.
fn own_address() -> Option<IpAddr> {
    let interfaces = if_addrs::get_if_addrs().ok()?;
    let real = interfaces.iter().filter(|one| !VIRTUAL.iter().any(|start| one.name.starts_with(start)));
    real.filter_map(|one| match one.ip() {
        IpAddr::V4(ip) if !ip.is_loopback() && !ip.is_link_local() => Some(ip),
        _ => None,
    })
    .min_by_key(rank)
    .map(IpAddr::V4)
}

/// Home networks first, addresses of the internet last.
fn rank(ip: &Ipv4Addr) -> u8 {
    match ip.octets() {
        [192, 168, ..] => 0,
        [10, ..] => 1,
        _ if ip.is_private() => 2,
        _ => 3,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lan() -> LanAccess {
        LanAccess { listen: "0.0.0.0:8080".parse().unwrap(), user: "phone".to_owned(), password: "p&ss".to_owned() }
    }

    #[test]
    fn a_phone_gets_an_address_a_link_and_a_question_of_telegram() {
        let phone = Phone::new(&lan(), "192.168.1.5".parse().unwrap());
        assert_eq!(phone.address.to_string(), "192.168.1.5:8080");
        assert_eq!(phone.telegram, "tg://socks?server=192.168.1.5&port=8080&user=phone&pass=p%26ss");
        let (spec, label) = hezar_formats::parse_link(&phone.link).unwrap();
        assert!(phone.link.starts_with("socks://cGhvbmU6cCZzcw@"), "{}", phone.link);
        assert_eq!((spec.server.to_string().as_str(), label.as_str()), ("192.168.1.5:8080", "Hezar"));
    }

    #[test]
    fn programs_on_this_machine_use_loopback() {
        let ways = Ways::new("0.0.0.0:8000".parse().unwrap(), None);
        assert_eq!(ways.proxy.to_string(), "127.0.0.1:8000");
        assert_eq!(ways.telegram, "tg://socks?server=127.0.0.1&port=8000");
    }

    #[test]
    fn home_networks_come_first() {
        let mut ips: Vec<Ipv4Addr> =
            ["203.0.113.1", "172.20.0.1", "192.168.0.2", "10.0.0.3"].map(|ip| ip.parse().unwrap()).to_vec();
        ips.sort_by_key(rank);
        assert_eq!(ips[0].to_string(), "192.168.0.2");
        assert_eq!(ips[3].to_string(), "203.0.113.1");
    }
}
