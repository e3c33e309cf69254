//! Random nodes for the property tests of links: every text that a link can carry, however odd.

use std::sync::Arc;

use hezar_core::*;
use proptest::{collection::vec, prelude::*, sample::select};

use super::{Words, empty_or, secret};
use crate::field;

/// Any node, some of them behind others.
pub fn node() -> BoxedStrategy<NodeSpec> {
    let chained = vec(super::node::<Links>(), 2..5)
        .prop_map(|nodes| nodes.into_iter().reduce(|nearer, node| node.through(Arc::new(nearer)).unwrap()).unwrap());
    prop_oneof![9 => super::node::<Links>(), 1 => chained].boxed()
}

/// Any published name.
pub fn label() -> BoxedStrategy<Label> {
    prop_oneof![1 => Just(Label::default()), 4 => "\\PC{0,24}".prop_map(|name| Label::new(&name))].boxed()
}

struct Links;

fn word() -> impl Strategy<Value = Box<str>> {
    "[A-Za-z0-9][A-Za-z0-9.-]{0,11}".prop_map(Into::into)
}

/// A text that neither begins nor ends with white space.
fn trimmed() -> BoxedStrategy<Box<str>> {
    Links::text().prop_filter_map("empty", |text| field::filled(text.trim())).boxed()
}

impl Words for Links {
    const RARE: f64 = 0.5;
    const EXTRAS: &'static [&'static str] = &[
        "{}",
        r#"{"xPaddingBytes":"100-1000"}"#,
        r#"{"headers":{"a b":"c \"d\""},"z":[1,2],"a":null}"#,
        concat!(
            r#"{"xPaddingBytes":7,"downloadSettings":{"address":"b.example","port":8443,"security":"tls","#,
            r#""tlsSettings":{"serverName":"c.example","alpn":["h3"]},"#,
            r#""xhttpSettings":{"path":"/d","noGRPCHeader":true}}}"#,
        ),
    ];

    fn text() -> BoxedStrategy<Box<str>> {
        prop_oneof![4 => "[ -~]{1,16}", 1 => "\\PC{1,8}", 1 => "[:/@#?&=%+;, \\\\<>\"'|`\\[\\]]{1,8}"]
            .prop_map(Into::into)
            .boxed()
    }

    fn host() -> BoxedStrategy<Host> {
        prop_oneof![
            any::<std::net::Ipv4Addr>().prop_map(|address| Host::Ip(address.into())),
            any::<std::net::Ipv6Addr>().prop_map(|address| Host::Ip(address.into())),
            "[a-z0-9]([a-z0-9_-]{0,8}[a-z0-9])?(\\.[a-z]{2,6}){0,3}"
                .prop_filter_map("a name", |name| Host::new(&name).ok()),
        ]
        .boxed()
    }

    fn name() -> BoxedStrategy<Box<str>> {
        trimmed()
    }

    fn verify_name() -> BoxedStrategy<Box<str>> {
        Self::text()
    }

    fn alpn() -> BoxedStrategy<Box<str>> {
        prop_oneof![3 => select(vec!["h2", "http/1.1", "h3"]).prop_map(Into::into), 1 => Self::text()].boxed()
    }

    fn ech() -> BoxedStrategy<Box<str>> {
        trimmed()
    }

    fn path() -> BoxedStrategy<Box<str>> {
        let paths: BoxedStrategy<Box<str>> =
            prop_oneof![Just("".into()), Just("/".into()), "/[a-z0-9/?&=%,-]{0,12}".prop_map(Into::into), Self::text()]
                .boxed();
        paths.prop_filter("early data has its own field", |path| !path.contains("ed=")).boxed()
    }

    fn host_header() -> BoxedStrategy<Box<str>> {
        Self::text()
    }

    fn disguise_path() -> BoxedStrategy<Box<str>> {
        Self::text()
    }

    fn header_name() -> BoxedStrategy<Box<str>> {
        word().prop_filter("Host has its own field", |name| !name.eq_ignore_ascii_case("host")).boxed()
    }

    fn header_value() -> BoxedStrategy<Box<str>> {
        Self::text()
    }

    fn encryption() -> BoxedStrategy<Secret> {
        "mlkem768x25519plus\\.(native|xorpub)\\.0rtt\\.[A-Za-z0-9_-]{4,20}".prop_map(Secret::new).boxed()
    }

    fn inner_shadowsocks() -> BoxedStrategy<Secret> {
        secret::<Self>().boxed()
    }

    fn credentials() -> BoxedStrategy<Option<Credentials>> {
        let part = || empty_or(Self::text());
        (part(), part()).prop_map(|(user, password)| field::credentials(&user, &password)).boxed()
    }

    fn cipher() -> BoxedStrategy<(Box<str>, Secret)> {
        let methods = select(vec![
            "aes-256-gcm",
            "chacha20-ietf-poly1305",
            "2022-blake3-aes-128-gcm",
            "rc4-md5",
            "aes-128-cfb",
            "none",
        ]);
        (methods.prop_map(Into::into), secret::<Self>()).boxed()
    }

    fn plugin() -> BoxedStrategy<Plugin> {
        let name = select(vec!["obfs-local", "v2ray-plugin", "shadow-tls", "xray-plugin", "a;b"]);
        let blank = |(name, _): &(Box<str>, Box<str>)| !name.trim().is_empty();
        (name, vec((Self::text(), empty_or(Self::text())).prop_filter("an option has a name", blank), 0..4))
            .prop_map(|(name, options)| Plugin { name: name.into(), options })
            .boxed()
    }

    fn password() -> BoxedStrategy<Secret> {
        empty_or(secret::<Self>()).boxed()
    }

    fn ports() -> BoxedStrategy<Vec<(u16, u16)>> {
        vec((1_u16.., 1_u16..).prop_map(|(a, b)| (a.min(b), a.max(b))), 0..4).boxed()
    }

    fn number(_: u32) -> BoxedStrategy<u32> {
        (1_u32..).boxed()
    }

    fn short(_: u16) -> BoxedStrategy<u16> {
        (1_u16..).boxed()
    }
}
