//! The rules that are written, and that deploy/ has those of the default configuration.

use super::*;

/// What `hezar firewall print` writes for the default configuration.
fn default_firewall() -> Firewall {
    Firewall {
        ssh: vec![22],
        allow: Vec::new(),
        proxy: Vec::new(),
        rate: Some(ConnectionRate { per_second: 50, burst: 200 }),
    }
}

fn proxy(address: &str, ports: &str) -> ProxyPorts {
    let (address, ports) = (address.parse().unwrap(), ports.parse().unwrap());
    ProxyPorts { listener: "proxy".to_owned(), address, ports, protocol: SocketProtocol::Tcp }
}

#[test]
fn deploy_has_the_rules_of_the_default_configuration() {
    let deploy = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy");
    for (file, format) in [("firewall.nft", FirewallFormat::Nft), ("firewall-iptables.sh", FirewallFormat::Iptables)] {
        let (file, rules) = (deploy.join(file), default_firewall().render(format));
        if std::env::var_os("HEZAR_UPDATE_DOCS").is_some() {
            std::fs::write(&file, &rules).unwrap();
        }
        assert_eq!(std::fs::read_to_string(&file).unwrap(), rules, "{}: HEZAR_UPDATE_DOCS=1 writes it", file.display());
    }
}

#[test]
fn each_family_opens_what_its_addresses_reach() {
    for (address, nft, in_v4, in_v6) in [
        ("0.0.0.0", "meta nfproto ipv4 tcp dport 8000 jump", Some("-p tcp --dport 8000 -m"), None),
        ("::", "\t\ttcp dport 8000 jump", Some("INPUT -p tcp --dport 8000 -m"), Some("INPUT -p tcp --dport 8000 -m")),
        ("10.1.2.3", "ip daddr 10.1.2.3 tcp dport 8000 jump", Some("-d 10.1.2.3 -p tcp --dport 8000"), None),
        ("::ffff:10.1.2.3", "ip daddr 10.1.2.3 tcp dport 8000 jump", Some("-d 10.1.2.3 -p tcp --dport 8000"), None),
        ("fd00::1", "ip6 daddr fd00::1 tcp dport 8000 jump", None, Some("-d fd00::1 -p tcp --dport 8000")),
    ] {
        let firewall = Firewall { proxy: vec![proxy(address, "8000")], ..default_firewall() };
        let written = firewall.render(FirewallFormat::Nft);
        assert!(written.contains(nft), "{address}: {written}");
        let written = firewall.render(FirewallFormat::Iptables);
        let (v4, v6) = written.split_once("RULES6=").unwrap();
        for (rules, expected) in [(v4, in_v4), (v6, in_v6)] {
            assert_eq!(rules.contains("--dport 8000 "), expected.is_some(), "{address}: {rules}");
            assert!(expected.is_none_or(|text| rules.contains(text)), "{address}: {rules}");
        }
    }
}

#[test]
fn limits_ranges_and_other_ports_are_written_for_both() {
    let firewall = Firewall {
        ssh: vec![22, 2222],
        allow: vec!["443".parse().unwrap(), "6000-6010/udp".parse().unwrap()],
        proxy: vec![proxy("::", "24000-24099")],
        rate: None,
    };
    let nft = firewall.render(FirewallFormat::Nft);
    for part in
        ["tcp dport 2222 accept", "tcp dport 443 accept", "udp dport 6000-6010 accept", "tcp dport 24000-24099 jump"]
    {
        assert!(nft.contains(part), "{part}: {nft}");
    }
    assert!(!nft.contains("limit rate"), "{nft}");
    let iptables = firewall.render(FirewallFormat::Iptables);
    for part in ["-p tcp --dport 443 -j ACCEPT", "-p udp --dport 6000:6010 -j ACCEPT", "--dport 24000:24099"] {
        assert_eq!(iptables.matches(part).count(), 2, "{part}: {iptables}");
    }
    assert!(!iptables.contains("hashlimit"), "{iptables}");
}

#[test]
fn listeners_over_udp_are_let_in_without_counting_addresses() {
    let open = ProxyPorts { protocol: SocketProtocol::Udp, ..proxy("::", "443") };
    let firewall = Firewall { proxy: vec![open], ..default_firewall() };
    let nft = firewall.render(FirewallFormat::Nft);
    assert!(nft.contains("\t\tudp dport 443 accept # proxy\n"), "{nft}");
    let iptables = firewall.render(FirewallFormat::Iptables);
    let rule = "-A HEZAR-INPUT -p udp --dport 443 -m comment --comment proxy -j ACCEPT";
    assert_eq!(iptables.matches(rule).count(), 2, "{iptables}");
}

#[test]
fn names_of_listeners_write_no_rules() {
    let open = ProxyPorts { listener: "a\n\t\taccept; '$(id)".to_owned(), ..proxy("::", "8000") };
    let firewall = Firewall { proxy: vec![open], ..default_firewall() };
    for format in [FirewallFormat::Nft, FirewallFormat::Iptables] {
        let written = firewall.render(format);
        assert!(written.contains("a???accept?????id?"), "{written}");
        assert_eq!(written.lines().count(), {
            let plain = Firewall { proxy: vec![proxy("::", "8000")], ..default_firewall() };
            plain.render(format).lines().count()
        });
    }
}

#[test]
fn without_its_last_word_everything_is_let_in() {
    let (nft, iptables) = (FirewallFormat::Nft, FirewallFormat::Iptables);
    let rules = default_firewall().render(nft);
    assert_eq!(without_drop(nft, &rules).matches("drop;").count() + 1, rules.matches("drop;").count());
    let rules = default_firewall().render(iptables);
    assert_eq!(without_drop(iptables, &rules).lines().count() + 2, rules.lines().count(), "one of each family");
}

#[test]
fn ports_are_numbers_ranges_and_protocols() {
    for good in ["1", "65535", "8000-8099", "443/tcp", "51820/udp"] {
        assert!(good.parse::<AllowedPort>().is_ok(), "{good}");
    }
    for bad in ["", "0", "65536", "9-8", "a", "443/sctp", "1-2-3", "443/", "/udp"] {
        assert!(bad.parse::<AllowedPort>().is_err(), "{bad}");
    }
}
