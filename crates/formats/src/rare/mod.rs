//! Builds Snell, SSH and mieru from texts, with the checks that all links and documents share.

use hezar_core::{Mieru, MieruMultiplexing, MieruTransport, NodeSpec, Outbound, Secret, Snell, SnellObfs, Ssh};

use crate::{RejectCode, field, outbound::credential};

/// The settings of Snell in a link or document; empty texts are absent.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct SnellText<'a> {
    pub(crate) psk: &'a str,
    pub(crate) version: &'a str,
    pub(crate) obfs: &'a str,
    pub(crate) obfs_host: &'a str,
}

impl SnellText<'_> {
    /// Snell; without a version it is 1, as in Surge and Clash.
    pub(crate) fn outbound(self) -> Result<Outbound, RejectCode> {
        let version = match self.version.trim() {
            "" => 1,
            text => text.trim_start_matches(['v', 'V']).parse().map_err(|_| RejectCode::BadField)?,
        };
        if !(1..=5).contains(&version) {
            return Err(RejectCode::BadField);
        }
        let obfs = match self.obfs.trim().to_ascii_lowercase().as_str() {
            "" | "none" | "off" => None,
            "http" => Some(SnellObfs::Http),
            "tls" => Some(SnellObfs::Tls),
            _ => return Err(RejectCode::BadField),
        };
        let obfs_host = obfs.and_then(|_| field::filled(self.obfs_host.trim()));
        Ok(Outbound::Snell(Box::new(Snell { psk: credential(self.psk)?, version, obfs, obfs_host })))
    }
}

/// The settings of SSH in a link or document; empty texts are absent.
#[derive(Clone, Debug, Default)]
pub(crate) struct SshText<'a> {
    pub(crate) username: &'a str,
    pub(crate) password: &'a str,
    pub(crate) private_key: &'a str,
    pub(crate) passphrase: &'a str,
    pub(crate) host_keys: Vec<Box<str>>,
    pub(crate) host_key_algorithms: Vec<Box<str>>,
}

impl SshText<'_> {
    /// SSH with at least one way to log in. The path of a key on the publisher's machine is none.
    pub(crate) fn outbound(self) -> Result<Outbound, RejectCode> {
        let is_pem = |key: &Secret| key.expose().starts_with("-----BEGIN") && key.expose().contains("PRIVATE KEY-----");
        let private_key = field::secret(self.private_key.trim()).filter(is_pem);
        let password = field::secret(self.password);
        if password.is_none() && private_key.is_none() {
            return Err(RejectCode::BadCredential);
        }
        let passphrase = field::secret(self.passphrase).filter(|_| private_key.is_some());
        let host_keys: Option<Vec<Box<str>>> = self.host_keys.iter().map(|key| host_key(key)).collect();
        Ok(Outbound::Ssh(Box::new(Ssh {
            username: if self.username.is_empty() { "root".into() } else { self.username.into() },
            password,
            private_key,
            passphrase,
            host_keys: host_keys.ok_or(RejectCode::BadPin)?,
            host_key_algorithms: self.host_key_algorithms,
        })))
    }
}

/// A host's key as `type base64`, without a comment; the blob begins with the type (RFC 4253, section 6.6), which is printable and has no
/// comma (RFC 4251, section 6).
fn host_key(text: &str) -> Option<Box<str>> {
    let (kind, rest) = text.trim().split_once(char::is_whitespace)?;
    if !kind.bytes().all(|byte| byte.is_ascii_graphic() && byte != b',') {
        return None;
    }
    let blob = rest.split_whitespace().next()?;
    let bytes = field::base64_bytes(blob)?;
    let (length, body) = bytes.split_first_chunk::<4>()?;
    let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
    let is_same = body.get(..length).is_some_and(|name| name == kind.as_bytes());
    is_same.then(|| format!("{kind} {blob}").into())
}

/// The settings of mieru in a link or document; empty texts are absent.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct MieruText<'a> {
    pub(crate) host: &'a str,
    pub(crate) port: &'a str,
    /// `first-last`, in place of a port.
    pub(crate) ports: &'a str,
    pub(crate) username: &'a str,
    pub(crate) password: &'a str,
    pub(crate) transport: &'a str,
    pub(crate) multiplexing: &'a str,
    pub(crate) handshake: &'a str,
    pub(crate) traffic_pattern: &'a str,
}

impl MieruText<'_> {
    /// mieru at the first port; unknown levels of multiplexing mean the client's default.
    pub(crate) fn node(self) -> Result<NodeSpec, RejectCode> {
        let ports = if self.port.trim().is_empty() { self.ports.trim() } else { self.port.trim() };
        let (first, last) = match ports.split_once('-') {
            Some((first, last)) => (first.trim(), Some(last.trim().parse().map_err(|_| RejectCode::BadPort)?)),
            None => (ports, None),
        };
        let server = field::server(self.host, first)?;
        if last.is_some_and(|last| last < server.port()) {
            return Err(RejectCode::BadPort);
        }
        let transport = match self.transport.trim().to_ascii_uppercase().as_str() {
            "" | "TCP" => MieruTransport::Tcp,
            "UDP" => MieruTransport::Udp,
            _ => return Err(RejectCode::BadField),
        };
        let named = |level: &MieruMultiplexing| level.name().eq_ignore_ascii_case(self.multiplexing.trim());
        let mieru = Mieru {
            username: if self.username.is_empty() {
                return Err(RejectCode::BadCredential);
            } else {
                self.username.into()
            },
            password: credential(self.password)?,
            last_port: last.filter(|last| *last > server.port()),
            transport,
            multiplexing: MieruMultiplexing::ALL.into_iter().find(named),
            no_wait: self.handshake.trim().eq_ignore_ascii_case("HANDSHAKE_NO_WAIT"),
            traffic_pattern: field::filled(self.traffic_pattern.trim()),
        };
        Ok(NodeSpec::new(server, Outbound::Mieru(Box::new(mieru))))
    }
}

/// The name of mieru's handshake; empty for the one that is the default.
pub(crate) const fn handshake_name(mieru: &Mieru) -> &'static str {
    if mieru.no_wait { "HANDSHAKE_NO_WAIT" } else { "" }
}

/// An optional secret's text; empty when absent.
pub(crate) fn exposed(secret: Option<&Secret>) -> &str {
    secret.map_or("", Secret::expose)
}

#[cfg(test)]
mod tests;
