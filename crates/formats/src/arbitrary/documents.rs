//! Random nodes for the property tests of configurations: only what configurations can express.

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use hezar_core::*;
use proptest::{collection::vec, option, prelude::*, sample::select};

use super::Words;

/// Any node.
pub fn node() -> BoxedStrategy<NodeSpec> {
    super::node::<Documents>()
}

/// A label as [`Label::new`] leaves it.
pub fn label() -> impl Strategy<Value = Label> {
    prop_oneof![Just(Label::default()), Documents::text().prop_map(|text| Label::new(&text))]
}

struct Documents;

fn matching(pattern: &'static str) -> BoxedStrategy<Box<str>> {
    pattern.prop_map(Into::into).boxed()
}

/// One word of a list that is joined by commas.
fn word() -> BoxedStrategy<Box<str>> {
    matching("[a-z0-9][a-z0-9/._-]{0,10}")
}

impl Words for Documents {
    const RARE: f64 = 0.2;
    const EXTRAS: &'static [&'static str] = &[
        r#"{"xPaddingBytes":"100-1000"}"#,
        r#"{"scMaxEachPostBytes":1000000,"noGRPCHeader":true}"#,
        r#"{"headers":{"User-Agent":"a b"},"xmux":{"maxConcurrency":"16-32"}}"#,
    ];

    /// As publishers have it: letters of several scripts, spaces inside, every sign that some format quotes.
    fn text() -> BoxedStrategy<Box<str>> {
        matching("[a-zA-Z0-9ا-ی🇩🇪 :@/?#%&=+;,\"'\\\\\\[\\]{}|<>!*~.-]{0,12}[a-zA-Z0-9]")
    }

    fn host() -> BoxedStrategy<Host> {
        prop_oneof![
            any::<[u8; 4]>().prop_map(|octets| Host::Ip(octets.into())),
            any::<[u8; 16]>().prop_map(|octets| Host::Ip(octets.into())),
            Self::name().prop_map(|name| Host::new(&name).unwrap()),
        ]
        .boxed()
    }

    fn name() -> BoxedStrategy<Box<str>> {
        matching("[a-z][a-z0-9-]{0,8}\\.example")
    }

    fn verify_name() -> BoxedStrategy<Box<str>> {
        Self::name()
    }

    fn alpn() -> BoxedStrategy<Box<str>> {
        select(vec!["h2", "http/1.1", "h3"]).prop_map(Into::into).boxed()
    }

    fn ech() -> BoxedStrategy<Box<str>> {
        let list = vec(any::<u8>(), 8..40).prop_map(|body| {
            let length = u16::try_from(body.len()).unwrap().to_be_bytes();
            STANDARD.encode([&length[..], &body].concat()).into()
        });
        prop_oneof![3 => list, 1 => Just("example.org+https://192.0.2.1/dns-query".into())].boxed()
    }

    fn path() -> BoxedStrategy<Box<str>> {
        prop_oneof![
            Just("".into()),
            Just("/".into()),
            matching("/[a-zA-Z0-9@._~%:+-]{0,10}"),
            matching("/[a-z]{1,5}\\?[a-d]=[a-z0-9/]{1,5}")
        ]
        .boxed()
    }

    fn host_header() -> BoxedStrategy<Box<str>> {
        matching("[a-z][a-z0-9-]{0,8}\\.example(:[1-9][0-9]{0,2})?")
    }

    fn disguise_path() -> BoxedStrategy<Box<str>> {
        matching("/[a-z]{0,5}")
    }

    fn header_name() -> BoxedStrategy<Box<str>> {
        matching("X-[A-Za-z]{1,6}")
    }

    fn header_value() -> BoxedStrategy<Box<str>> {
        "[a-zA-Z0-9 /.;()]{0,10}[a-z0-9]".prop_map(|value: String| value.trim().into()).boxed()
    }

    fn encryption() -> BoxedStrategy<Secret> {
        let key = any::<[u8; 32]>().prop_map(|key| URL_SAFE_NO_PAD.encode(key));
        key.prop_map(|key| Secret::new(format!("mlkem768x25519plus.native.0rtt.{key}"))).boxed()
    }

    fn inner_shadowsocks() -> BoxedStrategy<Secret> {
        Self::text().prop_map(|password| Secret::new(format!("aes-128-gcm:{password}"))).boxed()
    }

    fn credentials() -> BoxedStrategy<Option<Credentials>> {
        let both = (Self::text(), Self::password())
            .prop_map(|(username, password)| Credentials { username: (&*username).into(), password });
        option::of(both).boxed()
    }

    fn cipher() -> BoxedStrategy<(Box<str>, Secret)> {
        let methods = vec![
            "aes-128-gcm",
            "chacha20-ietf-poly1305",
            "aes-256-cfb",
            "rc4-md5",
            "none",
            "camellia-128-cfb",
            "chacha20",
            "aes-256-ccm",
        ];
        let plain = (select(methods), Self::password());
        let new = vec(any::<[u8; 32]>(), 1..3).prop_map(|keys| {
            let keys: Vec<_> = keys.iter().map(|key| STANDARD.encode(key)).collect();
            ("2022-blake3-aes-256-gcm", Secret::new(keys.join(":")))
        });
        prop_oneof![plain, new].prop_map(|(method, password)| (method.into(), password)).boxed()
    }

    fn plugin() -> BoxedStrategy<Plugin> {
        let obfs = (any::<bool>(), option::of(Self::name())).prop_map(|(http, host)| {
            let mut options = vec![("obfs".into(), if http { "http" } else { "tls" }.into())];
            options.extend(host.map(|host| ("obfs-host".into(), host)));
            Plugin { name: "obfs-local".into(), options }
        });
        let v2ray = (any::<bool>(), Self::name(), "/[a-z]{0,5}").prop_map(|(tls, host, path)| {
            let mut options =
                vec![("mode".into(), "websocket".into()), ("host".into(), host), ("path".into(), path.into())];
            if tls {
                options.push(("tls".into(), "".into()));
            }
            Plugin { name: "v2ray-plugin".into(), options }
        });
        let shadow_tls = (option::of(Self::name()), "[a-z]{1,9}", 1..4_u8, vec("h[1-3]", 0..3), any::<bool>());
        let shadow_tls = shadow_tls.prop_map(|(host, password, version, alpn, blind)| {
            let mut options =
                vec![("version".into(), version.to_string().into()), ("password".into(), password.into())];
            options.extend(host.map(|host| ("host".into(), host)));
            options.extend(blind.then(|| ("skip-cert-verify".into(), "".into())));
            options.extend((!alpn.is_empty()).then(|| ("alpn".into(), alpn.join(",").into())));
            Plugin { name: "shadow-tls".into(), options }
        });
        let other = (word(), vec((word(), Self::text()), 0..3))
            .prop_map(|(name, options)| Plugin { name: format!("x-{name}").into(), options });
        prop_oneof![obfs, v2ray, shadow_tls, other].boxed()
    }

    fn password() -> BoxedStrategy<Secret> {
        Self::text().prop_map(Secret::new).boxed()
    }

    /// Ranges in order, none of them the server's own port alone: that one is never repeated.
    fn ports() -> BoxedStrategy<Vec<(u16, u16)>> {
        let range = (1..60_000_u16, 1..5_000_u16).prop_map(|(first, more)| (first, first + more));
        prop_oneof![2 => Just(Vec::new()), 1 => vec(range, 1..3)].boxed()
    }

    fn number(usual: u32) -> BoxedStrategy<u32> {
        (1..usual).boxed()
    }

    fn short(usual: u16) -> BoxedStrategy<u16> {
        (1..usual).boxed()
    }
}
