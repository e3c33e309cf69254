//! The JSON object inside a VMess link: any scalar is a text, and its keys map to those of a link's parameters.

use std::{borrow::Cow, fmt};

use hezar_core::Carrier;
use serde::{
    Deserialize, Deserializer,
    de::{IgnoredAny, MapAccess, SeqAccess, Visitor},
};

use crate::uri::query::{Pairs, Query};

type Pair<'a> = (Cow<'a, str>, Cow<'a, str>);

/// Reads an object's scalars; raw control characters inside strings and anything behind the object are forgiven.
pub(in crate::link) fn read(text: &str) -> Option<Query<'static>> {
    if !text.trim_start().starts_with('{') {
        return None;
    }
    let object = |text: &str| Object::deserialize(&mut serde_json::Deserializer::from_str(text)).ok();
    let found = object(text).or_else(|| object(&text.replace(char::is_control, " ")))?;
    Some(Query::from_pairs(found.0))
}

/// Moves v2rayN's keys to those of a link's parameters: `type` and `path` mean different things per network.
pub(super) fn to_query<'q>(object: &'q Query<'_>) -> (String, Query<'q>) {
    let header = object.get(&["type", "headertype"]).trim().to_ascii_lowercase();
    let network = object.get(&["net", "network"]).trim().to_ascii_lowercase();
    let network = match network.as_str() {
        "http" if header == "http" => "tcp".to_owned(),
        "none" => String::new(),
        _ => network,
    };
    // Version 1 kept host and path in one field.
    let host_path = (object.get(&["v"]) == "1" || object.get(&["v"]).is_empty())
        .then(|| object.get(&["host"]).split_once(';'))
        .flatten();
    let rename = |(key, value): (&'q str, &'q str)| {
        let key = match (network.as_str(), key) {
            ("grpc" | "gun" | "xhttp" | "splithttp", "type") => "mode",
            (_, "type") => "headerType",
            ("grpc" | "gun", "path") => "serviceName",
            ("grpc" | "gun", "host") => "authority",
            ("kcp" | "mkcp", "path") => "seed",
            ("quic", "path") => "key",
            ("quic", "host") => "quicSecurity",
            // `security` is the cipher in some objects and nothing that a carrier reads.
            (_, "security" | "tls" | "net" | "id" | "ps") => return None,
            (_, key) => key,
        };
        Some((Cow::Borrowed(key), Cow::Borrowed(value)))
    };
    let mut pairs: Vec<Pair<'q>> = object.pairs().filter_map(rename).collect();
    if let Some((host, path)) = host_path {
        pairs.insert(0, ("host".into(), host.into()));
        pairs.insert(1, ("path".into(), path.into()));
    }
    (network, Query::from_pairs(pairs))
}

/// The inverse of [`to_query`].
pub(super) fn from_pairs<'a>(pairs: Pairs<'a>, carrier: &Carrier) -> Vec<Pair<'a>> {
    let rename = |(key, value): (Cow<'static, str>, Cow<'a, str>)| {
        let key = match (carrier, key.as_ref()) {
            (_, "type") => {
                let network = if matches!(carrier, Carrier::Http2 { .. }) { Cow::from("h2") } else { value };
                return vec![(Cow::from("net"), network)];
            }
            (_, "security") => {
                return vec![("tls".into(), if value == "none" { "".into() } else { value })];
            }
            // v2rayN renamed its key; readers of both spellings are around.
            (_, "allowInsecure") => return vec![("allowInsecure".into(), value.clone()), ("insecure".into(), value)],
            (_, "headerType" | "mode") => Cow::from("type"),
            (Carrier::Grpc { .. }, "serviceName") | (Carrier::Kcp { .. }, "seed") | (Carrier::Quic { .. }, "key") => {
                Cow::from("path")
            }
            (Carrier::Grpc { .. }, "authority") | (Carrier::Quic { .. }, "quicSecurity") => Cow::from("host"),
            _ => key,
        };
        vec![(key, value)]
    };
    pairs.into_inner().into_iter().flat_map(rename).collect()
}

/// Writes an object of texts.
pub(super) fn write(object: &[Pair<'_>]) -> String {
    let quoted = |text: &str| serde_json::Value::from(text).to_string();
    let members: Vec<String> = object.iter().map(|(key, value)| format!("{}:{}", quoted(key), quoted(value))).collect();
    format!("{{{}}}", members.join(","))
}

struct Object(Vec<Pair<'static>>);

impl<'de> Deserialize<'de> for Object {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;
        impl<'de> Visitor<'de> for Members {
            type Value = Object;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Object, A::Error> {
                let mut pairs = Vec::with_capacity(16);
                while let Some(key) = map.next_key::<Cow<'de, str>>()? {
                    let Scalar(value) = map.next_value()?;
                    pairs.push((Cow::Owned(key.into_owned()), Cow::Owned(value)));
                }
                Ok(Object(pairs))
            }
        }
        deserializer.deserialize_map(Members)
    }
}

/// A value as text: null is empty, a list is its members joined by commas, an object is skipped.
struct Scalar(String);

impl<'de> Deserialize<'de> for Scalar {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;
        impl<'de> Visitor<'de> for Any {
            type Value = Scalar;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("any value")
            }

            fn visit_bool<E>(self, value: bool) -> Result<Scalar, E> {
                Ok(Scalar(value.to_string()))
            }

            fn visit_i64<E>(self, value: i64) -> Result<Scalar, E> {
                Ok(Scalar(value.to_string()))
            }

            fn visit_u64<E>(self, value: u64) -> Result<Scalar, E> {
                Ok(Scalar(value.to_string()))
            }

            fn visit_f64<E>(self, value: f64) -> Result<Scalar, E> {
                Ok(Scalar(value.to_string()))
            }

            fn visit_str<E>(self, value: &str) -> Result<Scalar, E> {
                Ok(Scalar(value.to_owned()))
            }

            fn visit_string<E>(self, value: String) -> Result<Scalar, E> {
                Ok(Scalar(value))
            }

            fn visit_unit<E>(self) -> Result<Scalar, E> {
                Ok(Scalar(String::new()))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Scalar, A::Error> {
                let mut members = Vec::new();
                while let Some(Scalar(member)) = list.next_element()? {
                    members.push(member);
                }
                Ok(Scalar(members.join(",")))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Scalar, A::Error> {
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(Scalar(String::new()))
            }
        }
        deserializer.deserialize_any(Any)
    }
}
