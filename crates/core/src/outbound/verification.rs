//! Which nodes leave the server's certificate unchecked, told from their description alone.

use super::{HttpProxy, Outbound, Plugin, Shadowsocks, SocksProxy};
use crate::{Carrier, Security, Tls};

/// The options by which a plugin accepts every certificate, in the words of Clash and of v2ray-plugin.
const PLUGIN_OPTIONS: [&str; 2] = ["skip-cert-verify", "allowInsecure"];

impl Plugin {
    /// The value of an option; a bare word has an empty one.
    #[must_use]
    pub fn option(&self, name: &str) -> Option<&str> {
        self.options.iter().find(|(key, _)| key.as_ref() == name).map(|(_, value)| value.as_ref())
    }

    /// Whether an option is a bare word or has a value that means yes.
    #[must_use]
    pub fn flag(&self, name: &str) -> bool {
        self.option(name).is_some_and(|value| matches!(value, "" | "1" | "true" | "tls"))
    }

    /// Whether the plugin shakes hands in TLS and accepts every certificate.
    #[must_use]
    pub fn skips_verification(&self) -> bool {
        let tls = self.name.as_ref() == "shadow-tls" || self.flag("tls");
        tls && PLUGIN_OPTIONS.iter().any(|name| self.flag(name))
    }
}

impl Outbound {
    /// The TLS layers that the outbound's own settings describe; REALITY and plugins are none of them.
    pub fn tls_layers(&self) -> impl Iterator<Item = &Tls> {
        let (first, second) = match self {
            Self::Socks(SocksProxy { tls, .. }) | Self::Http(HttpProxy { tls, .. }) => (tls.as_deref(), None),
            Self::Stream(node) => (node.carrier().tls(), download_tls(node.carrier())),
            Self::AnyTls(anytls) => (Some(&anytls.tls), None),
            Self::Hysteria2(hysteria) => (Some(&hysteria.tls), None),
            Self::Hysteria(hysteria) => (Some(&hysteria.tls), None),
            Self::Tuic(tuic) => (Some(&tuic.tls), None),
            Self::Shadowsocks(_) | Self::ShadowsocksR(_) | Self::WireGuard(_) => (None, None),
            Self::Snell(_) | Self::Ssh(_) | Self::Mieru(_) | Self::ClashOnly(_) => (None, None),
        };
        first.into_iter().chain(second)
    }

    /// Whether a server's certificate is accepted unseen somewhere: anybody on the way can pose as that server.
    #[must_use]
    pub fn skips_verification(&self) -> bool {
        let skips = match self {
            Self::Shadowsocks(Shadowsocks { plugin, .. }) => {
                plugin.as_ref().is_some_and(|plugin| plugin.skips_verification())
            }
            Self::Ssh(ssh) => ssh.host_keys.is_empty(),
            Self::ClashOnly(node) => node.skips_verification(),
            _ => false,
        };
        skips || self.tls_layers().any(Tls::skips_verification)
    }
}

/// The TLS layer of a download that takes another way than the upload.
fn download_tls(carrier: &Carrier) -> Option<&Tls> {
    let Carrier::Xhttp { xhttp, .. } = carrier else { return None };
    match &xhttp.download.as_ref()?.security {
        Security::Tls(tls) => Some(tls),
        Security::None | Security::Reality(_) => None,
    }
}
