//! Random nodes of the protocols that few lists publish.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use hezar_core::*;
use proptest::{option, prelude::*, sample::select};

use super::{Words, empty_or, rarely, secret};
use crate::{clash_only, tree::Tree};

pub(super) fn snell<W: Words>() -> BoxedStrategy<Outbound> {
    let obfs = option::of((select(vec![SnellObfs::Http, SnellObfs::Tls]), option::of(W::name())));
    (secret::<W>(), 1..=5_u8, obfs)
        .prop_map(|(psk, version, obfs)| {
            let (obfs, obfs_host) = obfs.map_or((None, None), |(obfs, host)| (Some(obfs), host));
            Outbound::Snell(Box::new(Snell { psk, version, obfs, obfs_host }))
        })
        .boxed()
}

/// A key that the program of the tests cannot check is in some of them only.
pub(super) fn ssh<W: Words>() -> BoxedStrategy<Outbound> {
    let private_key = rarely::<W, _>("[A-Za-z0-9+/]{8,80}").prop_map(|body| {
        body.map(|body| Secret::new(format!("-----BEGIN PRIVATE KEY-----\n{body}\n-----END PRIVATE KEY-----")))
    });
    let host_key = any::<[u8; 32]>().prop_map(|key| {
        let blob = [&[0, 0, 0, 11][..], b"ssh-ed25519", &[0, 0, 0, 32], &key].concat();
        Box::from(format!("ssh-ed25519 {}", STANDARD.encode(blob)))
    });
    let algorithms = rarely::<W, _>(select(vec!["ssh-ed25519", "rsa-sha2-256"]));
    let login = (W::text(), secret::<W>(), private_key, rarely::<W, _>(secret::<W>()));
    (login, rarely::<W, _>(host_key), algorithms)
        .prop_map(|((username, password, private_key, passphrase), host_key, algorithm)| {
            Outbound::Ssh(Box::new(Ssh {
                username: (&*username).into(),
                password: Some(password),
                passphrase: passphrase.filter(|_| private_key.is_some()),
                private_key,
                host_keys: host_key.into_iter().collect(),
                host_key_algorithms: algorithm.into_iter().map(Into::into).collect(),
            }))
        })
        .boxed()
}

/// mieru at this server's port.
pub(super) fn mieru<W: Words>(port: u16) -> BoxedStrategy<Outbound> {
    let last_port = rarely::<W, _>(port..=u16::MAX).prop_map(move |last| last.filter(|last| *last > port));
    let transport = select(vec![MieruTransport::Tcp, MieruTransport::Udp]);
    let level = option::of(select(MieruMultiplexing::ALL.to_vec()));
    (W::text(), secret::<W>(), last_port, transport, level, any::<bool>())
        .prop_map(|(username, password, last_port, transport, multiplexing, no_wait)| {
            let username = (&*username).into();
            let traffic_pattern = None;
            Outbound::Mieru(Box::new(Mieru {
                username,
                password,
                last_port,
                transport,
                multiplexing,
                no_wait,
                traffic_pattern,
            }))
        })
        .boxed()
}

pub(super) fn clash_only<W: Words>() -> BoxedStrategy<Outbound> {
    let key = || any::<[u8; 32]>().prop_map(|key| STANDARD.encode(key));
    let texts = (W::text(), empty_or(W::text()), W::name());
    (select(ClashKind::ALL.to_vec()), texts, (key(), key()), any::<bool>(), 1..200_u8)
        .prop_map(|(kind, (secret, user, name), (private, public), flag, number)| {
            let text = |text: &str| Tree::Quoted(text.into());
            let map = |pairs: &[(&str, Tree)]| {
                Tree::Map(pairs.iter().map(|(name, value)| (Box::from(*name), value.clone())).collect())
            };
            let number = Tree::Plain(number.to_string().into());
            let entry = map(&[
                ("key", if kind == ClashKind::OpenVpn { Tree::Null } else { text(&secret) }),
                ("password", text(&secret)),
                ("username", text(&user)),
                ("sni", text(&name)),
                ("skip-cert-verify", Tree::Plain(flag.to_string().into())),
                ("private-key", if needs_keys(kind) { text(&private) } else { Tree::Null }),
                ("public-key", text(&public)),
                ("ip", text("172.16.0.2/32")),
                ("ca", text("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----")),
                ("amnezia-wg-option", map(&[("jc", number.clone()), ("s1", number), ("h1", text("5-9"))])),
            ]);
            let settings = clash_only::settings(kind, &entry).unwrap();
            Outbound::ClashOnly(Box::new(ClashOnly { kind, settings }))
        })
        .boxed()
}

const fn needs_keys(kind: ClashKind) -> bool {
    matches!(kind, ClashKind::AmneziaWg | ClashKind::Masque)
}
