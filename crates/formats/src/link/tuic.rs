//! `tuic://uuid:password@host:port?…#name` (version 5) and `tuic://token@host:port?…#name` (version 4).

use hezar_core::{Label, NodeSpec, Outbound, Secret, Target, Tuic, TuicUser, UdpRelayMode};
use uuid::Uuid;

use super::{Named, assemble, security};
use crate::{
    RejectCode, outbound,
    uri::{Uri, escape, query::Pairs},
};

pub(super) fn read(body: &str) -> Result<Named, RejectCode> {
    let uri = Uri::split_password(body);
    let query = &uri.query;
    let tuic = Tuic {
        user: user(&uri)?,
        congestion: outbound::congestion(query.get(&["congestioncontrol", "congestioncontroller", "congestion"])),
        udp_relay: outbound::udp_relay(query.get(&["udprelaymode"])),
        reduce_rtt: query.flag(&["reducertt", "zerortthandshake", "zerortt"]),
        tls: security::read_tls(query),
    };
    Ok((NodeSpec::new(uri.server_or("443")?, Outbound::Tuic(Box::new(tuic))), uri.label()))
}

/// The colon between user and password is met raw and escaped; the password may hold colons and `@`.
fn user(uri: &Uri<'_>) -> Result<TuicUser, RejectCode> {
    let query = &uri.query;
    let text = uri.user();
    if query.get(&["version"]) == "4" && !text.is_empty() {
        return Ok(TuicUser::V4 { token: Secret::new(text) });
    }
    let (id, password) = match text.split_once(':') {
        Some((id, "")) => (id, query.get(&["password"])),
        Some(pair) => pair,
        None if !query.get(&["password"]).is_empty() => {
            (if text.is_empty() { query.get(&["uuid"]) } else { text.as_ref() }, query.get(&["password"]))
        }
        // A token is not a UUID, and version 5 allows an empty password.
        None if Uuid::try_parse(&text).is_ok() => (text.as_ref(), ""),
        None => {
            let token = if text.is_empty() { query.get(&["token"]) } else { &text };
            return match token {
                "" => Err(RejectCode::BadCredential),
                token => Ok(TuicUser::V4 { token: Secret::new(token) }),
            };
        }
    };
    if id.is_empty() {
        return Err(RejectCode::BadCredential);
    }
    outbound::tuic_user(id, password, "")
}

pub(super) fn write(tuic: &Tuic, server: &Target, label: &Label) -> String {
    let mut pairs = Pairs::default();
    let userinfo = match &tuic.user {
        TuicUser::V5 { id, password } => format!("{id}:{}", escape(password.expose())),
        TuicUser::V4 { token } => {
            pairs.text("version", "4");
            escape(token.expose()).to_string()
        }
    };
    pairs.text("congestion_control", tuic.congestion.name());
    pairs.text("udp_relay_mode", if tuic.udp_relay == UdpRelayMode::Quic { "quic" } else { "native" });
    pairs.flag("reduce_rtt", tuic.reduce_rtt);
    security::write_tls(&tuic.tls, &security::TUIC, &mut pairs);
    assemble("tuic", Some(&userinfo), server, &pairs, label)
}
