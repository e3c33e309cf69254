//! `ssh://user:password@host:port?pk=…&passphrase=…&hk=…#name`, as clients based on sing-box write it; `pk` is a private key and
//! `hk` the host's keys, separated by commas.

use std::borrow::Cow;

use hezar_core::{Label, NodeSpec, Ssh, Target};

use super::{Named, assemble};
use crate::{
    RejectCode, field,
    rare::{SshText, exposed},
    uri::{Uri, escape, query::Pairs},
};

pub(super) fn read(body: &str) -> Result<Named, RejectCode> {
    let uri = Uri::split_password(body);
    let query = &uri.query;
    let (username, password) = uri.login();
    let private_key = pem(query.get(&["pk", "privatekey"]));
    let ssh = SshText {
        username: &username,
        password: if password.is_empty() { query.get(&["password"]) } else { &password },
        private_key: &private_key,
        passphrase: query.get(&["passphrase", "privatekeypassphrase"]),
        host_keys: query
            .get(&["hk", "hostkey"])
            .split(',')
            .filter(|key| !key.trim().is_empty())
            .map(Into::into)
            .collect(),
        host_key_algorithms: query.list("hka"),
    };
    Ok((NodeSpec::new(uri.server_or("22")?, ssh.outbound()?), uri.label()))
}

/// A private key in PEM; the lines around it may be left out, or the whole be in base64 once more.
fn pem(text: &str) -> Cow<'_, str> {
    if text.is_empty() || text.contains("-----BEGIN") {
        return text.into();
    }
    if let Some(inner) = field::base64_text(text).filter(|inner| inner.contains("-----BEGIN")) {
        return inner.into();
    }
    // Only a key in OpenSSH's own format has no other name; it begins with these characters.
    if text.starts_with("b3BlbnNzaC1rZXktdjE") {
        return format!("-----BEGIN OPENSSH PRIVATE KEY-----\n{text}\n-----END OPENSSH PRIVATE KEY-----").into();
    }
    text.into()
}

pub(super) fn write(ssh: &Ssh, server: &Target, label: &Label) -> String {
    let mut pairs = Pairs::default();
    pairs.text("pk", exposed(ssh.private_key.as_ref()));
    pairs.text("passphrase", exposed(ssh.passphrase.as_ref()));
    pairs.text("hk", ssh.host_keys.join(","));
    pairs.list("hka", &ssh.host_key_algorithms);
    let password = ssh.password.as_ref().map(|password| format!(":{}", escape(password.expose())));
    let user = format!("{}{}", escape(&ssh.username), password.unwrap_or_default());
    assemble("ssh", Some(&user), server, &pairs, label)
}
