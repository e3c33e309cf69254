//! Snell, SSH and mieru as links and documents have them.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use hezar_core::{MieruTransport, NodeSpec, Outbound, SnellObfs};

use crate::{RejectCode, parse, parse_link, to_link, write::clash_proxies};

fn node(link: &str) -> NodeSpec {
    let (spec, label) = parse_link(link).unwrap();
    assert_eq!(parse_link(&to_link(&spec, &label)), Ok((spec.clone(), label)), "{link}");
    spec
}

fn refused(link: &str) -> RejectCode {
    parse_link(link).unwrap_err()
}

/// The entry of one node in a document, whatever client it was written for.
fn only(text: &str) -> NodeSpec {
    let parsed = parse(text.as_bytes());
    assert_eq!((parsed.nodes.len(), &parsed.rejects[..]), (1, &[][..]), "{text}");
    let spec = parsed.nodes[0].spec.clone();
    assert_eq!(node(&to_link(&spec, &parsed.nodes[0].label)), spec);
    spec
}

#[test]
fn snell_of_every_publisher_is_one_node() {
    let link = node("snell://p%40ss@192.0.2.1:44046?version=v4&obfs=http&obfs-host=h.example#a");
    let Outbound::Snell(snell) = &link.outbound else { panic!("{link:?}") };
    assert_eq!((snell.psk.expose(), snell.version, snell.obfs), ("p@ss", 4, Some(SnellObfs::Http)));
    let clash = only(
        "proxies:\n- {name: a, type: snell, server: 192.0.2.1, port: 44046, psk: p@ss, version: 4, \
         obfs-opts: {mode: http, host: h.example}}\n",
    );
    let surge = only("[Proxy]\na = snell, 192.0.2.1, 44046, psk=p@ss, version=4, obfs=http, obfs-host=h.example\n");
    assert_eq!((clash.id(), surge.id()), (link.id(), link.id()));
    assert!(link.carries_datagrams() && !node("snell://p@192.0.2.1:1").carries_datagrams());
    for (link, code) in [
        ("snell://192.0.2.1:1", RejectCode::BadCredential),
        ("snell://p@192.0.2.1:1?version=9", RejectCode::BadField),
        ("snell://p@192.0.2.1:1?obfs=quic", RejectCode::BadField),
        ("snell://p@192.0.2.1", RejectCode::BadPort),
    ] {
        assert_eq!(refused(link), code, "{link}");
    }
}

#[test]
fn ssh_needs_a_login_and_checks_the_keys_that_are_pinned() {
    let key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIEBBQkNERUZHSElKS0xNTk9QUVJTVFVWV1hZWltcXV5f";
    let link = node(&format!("ssh://root:p%3Aw@192.0.2.1?hk={}", key.replace(' ', "%20").replace('+', "%2B")));
    let Outbound::Ssh(ssh) = &link.outbound else { panic!("{link:?}") };
    assert_eq!((link.server.port(), ssh.password.as_ref().unwrap().expose()), (22, "p:w"));
    let sing_box = only(&format!(
        r#"{{"outbounds": [{{"type": "ssh", "server": "192.0.2.1", "server_port": 22, "user": "root", "password": "p:w", "host_key": "{key} root@host"}}]}}"#
    ));
    assert_eq!(sing_box.id(), link.id(), "a comment behind a key means nothing");
    assert!(!link.skips_verification() && node("ssh://u:p@192.0.2.1").skips_verification());
    assert!(!link.carries_datagrams());
    // A repository, the key of a file, and a host's key that cannot be read.
    for (text, code) in [
        ("ssh://git@git.example:22/team/project.git", RejectCode::BadCredential),
        ("ssh://root@192.0.2.1?pk=%2Froot%2F.ssh%2Fid_ed25519", RejectCode::BadCredential),
        ("ssh://root:p@192.0.2.1?hk=ssh-ed25519%20AAAAB3NzaC1yc2E", RejectCode::BadPin),
        ("ssh://root:p@192.0.2.1?hk=nonsense", RejectCode::BadPin),
    ] {
        assert_eq!(refused(text), code, "{text}");
    }
    // A list of a stranger names what no link could hold.
    let blob = [&[0, 0, 0, 3][..], b"a,b", &[0, 0, 0, 1, 0]].concat();
    let entry = |more: String| {
        let text = format!("proxies:\n- {{name: a, type: ssh, server: 192.0.2.1, port: 22, username: u, {more}}}\n");
        parse(text.as_bytes()).rejects[0].code
    };
    let comma = format!("password: p, host-key: [\"a,b {}\"]", STANDARD.encode(blob));
    assert_eq!(entry(comma), RejectCode::BadPin);
    let no_key = "private-key: \"b3BlbnNzaC1rZXktdjEPRIVATE KEY-----\"";
    assert_eq!(entry(no_key.to_owned()), RejectCode::BadCredential);
    let with_key = node("ssh://root@192.0.2.1?pk=b3BlbnNzaC1rZXktdjEAAAAA&passphrase=x");
    let Outbound::Ssh(ssh) = &with_key.outbound else { panic!("{with_key:?}") };
    assert!(ssh.private_key.as_ref().unwrap().expose().starts_with("-----BEGIN OPENSSH PRIVATE KEY-----\n"));
}

#[test]
fn mieru_takes_the_first_of_its_ports() {
    let link = node(
        "mierus://user:pass@192.0.2.1?handshake-mode=HANDSHAKE_NO_WAIT&multiplexing=MULTIPLEXING_HIGH&port=9998-9999\
         &port=6489&profile=home&protocol=UDP&protocol=TCP",
    );
    let Outbound::Mieru(mieru) = &link.outbound else { panic!("{link:?}") };
    assert_eq!((link.server.port(), mieru.last_port), (9998, Some(9999)));
    assert_eq!((mieru.transport, mieru.no_wait), (MieruTransport::Udp, true));
    let clash = only(
        "proxies:\n- {name: home, type: mieru, server: 192.0.2.1, port-range: 9998-9999, transport: UDP, username: user, \
         password: pass, multiplexing: MULTIPLEXING_HIGH, handshake-mode: HANDSHAKE_NO_WAIT}\n",
    );
    assert_eq!(clash.id(), link.id());
    let entry = clash_proxies("n", &clash).unwrap().join("");
    assert!(entry.contains(r#""port-range":"9998-9999""#) && !entry.contains(r#""port":"#), "{entry}");
    for (text, code) in [
        ("mierus://u:p@192.0.2.1?port=9-8", RejectCode::BadPort),
        ("mierus://u:p@192.0.2.1", RejectCode::BadPort),
        ("mierus://u@192.0.2.1?port=9", RejectCode::BadCredential),
        ("mierus://u:p@192.0.2.1?port=9&protocol=SCTP", RejectCode::BadField),
    ] {
        assert_eq!(refused(text), code, "{text}");
    }
}
