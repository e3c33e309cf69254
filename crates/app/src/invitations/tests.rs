//! Invitations over every kind of listener and every transport: what is written is what this program and clients read.

use hezar_api::{SubscriptionTarget, UserLinksQuery};
use hezar_core::{Host, SecurityKind, Timestamp, TransportKind};

use super::*;
use crate::config::{Config, Layers};

/// One listener of each kind, transport and security, and a user with two links.
const EVERY_KIND: &str = r#"
[[proxy.users]]
name = "ali"
key = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"
links = [
    { name = "germany", options = "country-de" },
    { name = "sticky", options = "sesstime-120", session = "link" },
    { name = "old", enabled = false },
]

[[listener]]
name = "reality"
kind = "vless"
listen = "0.0.0.0:443"
host = "vps.example.org"
tls.acme = ["vps.example.org"]
reality = { private_key = "dwdtCnMYpX08FsFyUbJmRd9ML4frwJkqsXf7pR25LCo", short_ids = ["6ba85179e30d4fc2", ""] }

[[listener]]
name = "foreign"
kind = "vless"
listen = "192.0.2.7:444"
reality = { private_key = "dwdtCnMYpX08FsFyUbJmRd9ML4frwJkqsXf7pR25LCo", site = "www.example.com:443", server_names = ["www.example.com"] }
transport = { kind = "grpc", path = "q7f0c2" }

[[listener]]
name = "reality-xhttp"
kind = "vless"
listen = "[2001:db8::7]:445"
reality = { private_key = "dwdtCnMYpX08FsFyUbJmRd9ML4frwJkqsXf7pR25LCo", site = "www.example.com:443", server_names = ["www.example.com"] }
transport = { kind = "xhttp", path = "/x", mode = "stream-up", host = "www.example.com" }

[[listener]]
name = "tls"
kind = "vless"
listen = "0.0.0.0:2083"
tls.acme = ["vps.example.org"]

[[listener]]
name = "ws"
kind = "vless"
listen = "0.0.0.0:2053"
tls.acme = ["vps.example.org"]
transport = { kind = "websocket", path = "/q7f0c2", host = "cdn.example.org" }
fallback.address = "127.0.0.1:8088"

[[listener]]
name = "behind-nginx"
kind = "vless"
listen = "127.0.0.1:2054"
host = "vps.example.org:8443"
insecure_plain = true
transport = { kind = "httpupgrade", path = "/up" }

[[listener]]
name = "behind-stream-proxy"
kind = "vless"
listen = "127.0.0.1:2057"
host = "vps.example.org:9443"
insecure_plain = true

[[listener]]
name = "grpc"
kind = "vless"
listen = "0.0.0.0:2055"
tls.acme = ["vps.example.org"]
transport = { kind = "grpc", path = "service" }

[[listener]]
name = "xhttp"
kind = "vless"
listen = "0.0.0.0:2056"
tls.acme = ["vps.example.org"]
transport = { kind = "xhttp", path = "/x" }

[[listener]]
name = "trojan"
kind = "trojan"
listen = "0.0.0.0:8443"
host = "192.0.2.9"
server_name = "vps.example.org"
tls = { cert = "c.pem", key = "k.pem" }

[[listener]]
name = "anytls"
kind = "anytls"
listen = "0.0.0.0:2087"
tls.acme = ["vps.example.org"]

[[listener]]
name = "hy2"
kind = "hysteria2"
listen = "0.0.0.0:443"
tls.acme = ["vps.example.org"]
hysteria2.obfs_password = "p&ss word/?"

[[listener]]
name = "ss-128"
kind = "shadowsocks"
listen = "192.0.2.7:23817"
shadowsocks = { method = "2022-blake3-aes-128-gcm", key = "AAECAwQFBgcICQoLDA0ODw==" }

[[listener]]
name = "ss-256"
kind = "shadowsocks"
listen = "192.0.2.7:23818"
shadowsocks = { method = "2022-blake3-aes-256-gcm", key = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=" }

[[listener]]
name = "ss-old"
kind = "shadowsocks"
listen = "192.0.2.7:23819"
shadowsocks.method = "chacha20-ietf-poly1305"

[[listener]]
name = "mixed"
listen = "127.0.0.1:8001"
"#;

fn read(text: &str) -> Config {
    Config::read(text, None, &Layers::default()).unwrap_or_else(|problems| panic!("{problems}"))
}

fn of_ali(config: &Config) -> Vec<Invitation> {
    invitations(config, "ali", &Remark { title: TITLE.to_owned(), ..Remark::default() }, |_| None)
}

#[test]
fn what_is_written_reads_back_as_the_same_node() {
    let config = read(EVERY_KIND);
    let all = of_ali(&config);
    // Three links that are enabled for each of the 15 encrypted listeners.
    assert_eq!(all.len(), 3 * 15);
    for invitation in &all {
        let uri = invitation.uri();
        let (spec, label) = hezar_formats::parse_link(&uri).unwrap_or_else(|code| panic!("{code:?}: {uri}"));
        assert_eq!((&spec, &label), (&invitation.spec, &invitation.label), "{uri}");
    }
    let mut ids: Vec<_> = all.iter().map(|invitation| invitation.spec.id()).collect();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), all.len(), "each link of each listener is a node of its own");
}

#[test]
fn links_say_what_clients_need() {
    let config = read(EVERY_KIND);
    let all = of_ali(&config);
    let uri = |listener: &str| {
        let found = all.iter().find(|found| &*found.listener == listener && found.link.is_empty());
        found.map(Invitation::uri).unwrap_or_default()
    };
    for (listener, parts) in [
        (
            "reality",
            &[
                "@vps.example.org:443?",
                "flow=xtls-rprx-vision",
                "security=reality",
                "sni=vps.example.org",
                "fp=chrome",
                "pbk=hSDwCYkwp1R0i33ctD73Wg2_Og0mOBr066SpjqqbTmo",
                "sid=6ba85179e30d4fc2",
            ][..],
        ),
        ("foreign", &["@192.0.2.7:444?", "type=grpc", "serviceName=q7f0c2", "sni=www.example.com"]),
        ("reality-xhttp", &["@[2001:db8::7]:445?", "type=xhttp", "mode=stream-up"]),
        ("tls", &["@vps.example.org:2083?", "flow=xtls-rprx-vision", "security=tls"]),
        ("ws", &["type=ws", "path=%2Fq7f0c2", "host=cdn.example.org"]),
        ("behind-nginx", &["@vps.example.org:8443?", "security=tls", "type=httpupgrade"]),
        ("trojan", &["trojan://", "@192.0.2.9:8443?", "sni=vps.example.org"]),
        ("hy2", &["hysteria2://", "obfs=salamander", "sni=vps.example.org"]),
        ("ss-128", &["ss://2022-blake3-aes-128-gcm:AAECAwQFBgcICQoLDA0ODw%3D%3D%3A"]),
        ("anytls", &["anytls://", "@vps.example.org:2087"]),
    ] {
        let uri = uri(listener);
        for part in parts {
            assert!(uri.contains(part), "{listener}: {part} in {uri}");
        }
    }
    assert!(!uri("behind-stream-proxy").contains("flow="), "another program has the TLS that Vision would leave");
    let security =
        |listener: &str| all.iter().find(|found| &*found.listener == listener).unwrap().spec.outbound.security();
    assert_eq!((security("foreign"), security("ws")), (SecurityKind::Reality, SecurityKind::Tls));
    let quic = all.iter().find(|found| &*found.listener == "hy2").unwrap();
    assert_eq!(quic.spec.outbound.transport(), TransportKind::Quic);
}

#[test]
fn every_client_format_takes_what_it_can_say() {
    let config = read(EVERY_KIND);
    let all = of_ali(&config);
    for target in [SubscriptionTarget::Clash, SubscriptionTarget::SingBox, SubscriptionTarget::Xray] {
        let query = UserLinksQuery { target: Some(target.name().to_owned()), ..UserLinksQuery::default() };
        let document = links_dto(&all, &query).unwrap().document.unwrap();
        let read = hezar_formats::parse(document.as_bytes());
        let nodes = read.nodes.iter().filter(|entry| all.iter().any(|found| found.spec.id() == entry.spec.id()));
        assert!(nodes.count() >= 3 * 9, "{}: {} of {}", target.name(), read.nodes.len(), all.len());
    }
}

#[test]
fn links_are_of_a_user_at_the_listeners_that_it_may_use() {
    let limited = EVERY_KIND.replacen("name = \"ali\"", "name = \"ali\"\nlisteners = [\"trojan\", \"mixed\"]", 1);
    let all = of_ali(&read(&limited));
    assert!(all.len() == 3 && all.iter().all(|found| &*found.listener == "trojan"));
    let config = read(EVERY_KIND);
    let stranger = invitations(&config, "nobody", &Remark::default(), |_| None);
    assert!(stranger.is_empty());
    let only = |listener: &str, link: &str| {
        let query = UserLinksQuery { listener: Some(listener.to_owned()), link: Some(link.to_owned()), target: None };
        links_dto(&of_ali(&config), &query).unwrap().links.len()
    };
    assert_eq!((only("hy2", "germany"), only("hy2", ""), only("hy2", "old"), only("mixed", "")), (1, 1, 0, 0));
    let odd = UserLinksQuery { target: Some("odd".to_owned()), ..UserLinksQuery::default() };
    assert!(links_dto(&[], &odd).is_err());
}

#[test]
fn names_say_what_is_left_and_until_when() {
    let remark = Remark {
        title: "Hezar".to_owned(),
        left: Some(12 * (1 << 30) + (1 << 29)),
        expires: Some(Timestamp(1_804_204_800_000)),
    };
    assert_eq!(
        remark.label("reality", "germany").as_str(),
        "Hezar · reality · germany · 12.5 GiB left · until 2027-03-05"
    );
    let persian = Remark { title: "هزار".to_owned(), ..remark };
    assert_eq!(persian.label("hy2", "").as_str(), "هزار · hy2 · 12.5 GiB مانده · تا 2027-03-05");
    assert_eq!(Remark::default().label("hy2", "").as_str(), "hy2");
}

#[test]
fn a_listener_whose_port_the_system_chose_is_named_by_the_real_one() {
    let text = "[[proxy.users]]\nname = \"ali\"\nkey = \"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8\"\n\
                [[listener]]\nname = \"t\"\nkind = \"trojan\"\nlisten = \"127.0.0.1:0\"\ntls.acme = [\"vps.example.org\"]\n";
    let config = read(text);
    let remark = Remark::default();
    assert!(invitations(&config, "ali", &remark, |_| None).is_empty());
    let bound = |_: &str| Some("127.0.0.1:4443".parse().unwrap());
    let found = invitations(&config, "ali", &remark, bound);
    assert_eq!(found[0].spec.server.to_string(), "vps.example.org:4443");
    assert!(matches!(found[0].spec.server.host(), Host::Name(_)));
}

#[test]
fn names_in_other_scripts_are_asked_for_as_dns_has_them() {
    let key = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8";
    let tls = "tls.acme = [\"نمونه.example\"]\n";
    let reality = format!("kind = \"vless\"\nreality.private_key = \"{key}\"\n");
    for kind in ["kind = \"trojan\"\n", "kind = \"hysteria2\"\n", &*reality] {
        let text = format!(
            "[[proxy.users]]\nname = \"ali\"\nkey = \"{key}\"\n[[listener]]\nname = \"l\"\nlisten = \"0.0.0.0:443\"\n{kind}{tls}"
        );
        let uri = of_ali(&read(&text))[0].uri();
        assert_eq!(uri.matches("xn--hhbbbed.example").count(), 2, "the address and sni of {uri}");
    }
}
