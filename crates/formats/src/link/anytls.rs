//! `anytls://password@host:port/?…#name`, after anytls-go's URI scheme.

use hezar_core::{AnyTls, Label, NodeSpec, Outbound, Secret, SecurityKind, Target};

use super::{Named, assemble, security};
use crate::{
    RejectCode,
    uri::{Uri, escape, query::Pairs},
};

pub(super) fn read(body: &str) -> Result<Named, RejectCode> {
    let uri = Uri::split_password(body);
    let query = &uri.query;
    // Some scripts write REALITY, which no AnyTLS server speaks.
    if security::kind(query.get(&["security"]), SecurityKind::Tls) == SecurityKind::Reality {
        return Err(RejectCode::ImpossiblePair);
    }
    let password = match uri.user() {
        password if password.is_empty() => query.get(&["password", "auth"]).into(),
        password => password,
    };
    if uri.userinfo.is_none() && password.is_empty() {
        return Err(RejectCode::BadCredential);
    }
    let anytls = AnyTls { password: Secret::new(password), tls: security::read_tls(query) };
    Ok((NodeSpec::new(uri.server_or("443")?, Outbound::AnyTls(Box::new(anytls))), uri.label()))
}

pub(super) fn write(anytls: &AnyTls, server: &Target, label: &Label) -> String {
    let mut pairs = Pairs::default();
    security::write_tls(&anytls.tls, &security::SHORT, &mut pairs);
    let password = escape(anytls.password.expose()).to_string();
    assemble("anytls", Some(&password), server, &pairs, label)
}
