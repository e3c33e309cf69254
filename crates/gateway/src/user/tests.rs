//! What passwords, ports and hosts in the settings of users mean.

use std::net::{IpAddr, Ipv4Addr};

use hezar_core::{
    Target,
    settings::{Given, SettingValue},
};

use super::*;
use crate::Refusal;

const PUBLIC: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

fn list(values: &[&str]) -> Given {
    Given::List(values.iter().map(|value| Given::Text((*value).to_owned())).collect())
}

fn ports(values: &[&str]) -> Option<PortSet> {
    PortSet::parse(&list(values), &())
}

fn hosts(values: &[&str]) -> Option<HostPatterns> {
    HostPatterns::parse(&list(values), &())
}

fn check(user: &AccessRules, listener: &AccessRules, listen: IpAddr, target: &str) -> Result<(), &'static str> {
    let permissions = Permissions::new(Some(user), listener, listen);
    permissions.check(&Target::parse(target).unwrap()).map_err(|refusal| refusal.code())
}

#[test]
fn a_hash_is_of_its_password_alone() {
    let hash = PasswordHash::make("s3cret").unwrap();
    assert!(hash.expose().starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{}", hash.expose());
    assert!(hash.verify("s3cret") && !hash.verify("s3cres") && !hash.verify(""));
    assert_eq!(PasswordHash::parse_phc(hash.expose()).unwrap(), hash);
    assert_ne!(PasswordHash::make("s3cret").unwrap(), hash, "every hash has a salt of its own");
    assert!(!format!("{hash:?}").contains("argon2"), "{hash:?}");
}

#[test]
fn hashes_of_other_kinds_and_costs_are_refused() {
    // Argon2 test vector of the reference implementation: "password", "somesalt", t=2, m=65536 KiB, p=1.
    let known = "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc";
    assert!(PasswordHash::parse_phc(known).unwrap().verify("password"));
    for text in ["", "s3cret", "$2y$10$abcdefghijklmnopqrstuv", &known.replace("argon2id", "argon2i"), &known[..40]] {
        assert_eq!(PasswordHash::parse_phc(text), Err(PasswordError::NotArgon2id), "{text}");
    }
    for (from, to) in [("m=65536", "m=1048576"), ("t=2", "t=100"), ("p=1", "p=64")] {
        assert_eq!(PasswordHash::parse_phc(&known.replace(from, to)), Err(PasswordError::TooCostly), "{to}");
    }
}

#[test]
fn ports_are_numbers_and_ranges() {
    let set = ports(&["80", "8000-8100"]).unwrap();
    assert!(set.contains(80) && set.contains(8000) && set.contains(8100) && !set.contains(81));
    assert_eq!(PortSet::parse(&set.write().unwrap(), &()), Some(set));
    assert_eq!(PortSet::parse(&Given::Integer(443), &()), Some(PortSet::new(&[443])));
    for wrong in ["", "x", "0", "90-80", "70000", "80-", "-80"] {
        assert_eq!(ports(&[wrong]), None, "{wrong:?}");
    }
}

#[test]
fn hosts_are_names_suffixes_and_networks() {
    let set = hosts(&["one.example", "*.two.example", ".three.example", "192.0.2.0/24", "2001:db8::/32"]).unwrap();
    let fits = |host: &str| set.matches(Target::parse(&format!("{host}:1")).unwrap().host());
    for host in ["one.example", "ONE.example.", "a.two.example", "three.example", "b.a.three.example", "192.0.2.9"] {
        assert!(fits(host), "{host}");
    }
    assert!(fits("[2001:db8::1]") && fits("[::ffff:192.0.2.9]"), "also an IPv4 address inside an IPv6 one");
    for host in ["a.one.example", "two.example", "xthree.example", "192.0.3.9", "[2001:db9::1]"] {
        assert!(!fits(host), "{host}");
    }
    assert_eq!(HostPatterns::parse(&set.write().unwrap(), &()), Some(set));
    assert!(hosts(&["*"]).unwrap().matches(Target::parse("x.example:1").unwrap().host()));
    for wrong in ["", "10.0.0.0/33", "*.", ".", "a b"] {
        assert_eq!(hosts(&[wrong]), None, "{wrong:?}");
    }
}

#[test]
fn mail_and_private_networks_are_closed_to_other_machines() {
    let none = AccessRules::default();
    for (target, code) in [
        ("mail.example:25", "port-denied"),
        ("mail.example:465", "port-denied"),
        ("mail.example:587", "port-denied"),
        ("10.0.0.1:80", "private-denied"),
        ("[::ffff:127.0.0.1]:80", "private-denied"),
        ("[64:ff9b::a00:1]:80", "private-denied"),
        ("localhost:80", "private-denied"),
        ("a.localhost.:80", "private-denied"),
        ("printer.local:80", "private-denied"),
        ("router.home.arpa:80", "private-denied"),
        ("127.0x1:80", "private-denied"),
    ] {
        assert_eq!(check(&none, &none, PUBLIC, target), Err(code), "{target}");
        assert_eq!(check(&none, &none, LOOPBACK, target), Ok(()), "{target}");
    }
    for target in ["www.example:443", "8.8.8.8:53", "notlocalhost:80", "internal.example:80"] {
        assert_eq!(check(&none, &none, PUBLIC, target), Ok(()), "{target}");
    }
}

#[test]
fn what_a_user_says_counts_before_what_the_listener_says() {
    let listener = AccessRules {
        allow_ports: ports(&["80", "443"]),
        deny_hosts: hosts(&[".blocked.example"]),
        ..AccessRules::default()
    };
    let user =
        AccessRules { allow_ports: ports(&["25"]), deny_ports: Some(PortSet::default()), ..AccessRules::default() };
    let none = AccessRules::default();
    assert_eq!(check(&none, &listener, PUBLIC, "a.example:22"), Err("port-denied"));
    assert_eq!(check(&user, &listener, PUBLIC, "a.example:25"), Ok(()));
    assert_eq!(check(&user, &listener, PUBLIC, "a.example:443"), Err("port-denied"));
    assert_eq!(check(&user, &listener, PUBLIC, "www.blocked.example:25"), Err("host-denied"));
    let only = AccessRules { allow_hosts: hosts(&["a.example", "10.0.0.0/8"]), ..AccessRules::default() };
    assert_eq!(check(&only, &none, PUBLIC, "b.example:443"), Err("host-denied"));
    assert_eq!(check(&only, &none, PUBLIC, "a.example:443"), Ok(()));
    assert_eq!(check(&only, &none, PUBLIC, "10.1.2.3:443"), Err("private-denied"), "a list of hosts opens no network");
    let open = AccessRules { allow_private_targets: Some(true), ..only.clone() };
    assert_eq!(check(&open, &none, PUBLIC, "10.1.2.3:443"), Ok(()));
    assert_eq!(only.or(&open).allow_private_targets, Some(true));
    assert_eq!(Refusal::PrivateDenied.status(), 403);
}

#[test]
fn default_options_are_those_of_user_names() {
    let options = DefaultOptions::parse_text("country-de-strategy-random").unwrap();
    assert_eq!((options.as_str(), &options.options().countries), ("country-de-strategy-random", &vec![*b"DE"]));
    assert_eq!(DefaultOptions::parse_text("").unwrap(), DefaultOptions::default());
    assert!(DefaultOptions::parse_text("contry-de").is_err());
}
