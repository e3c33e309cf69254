//! The canonical forms of the protocols.

use super::{
    Congestion, Credentials, Hysteria, Hysteria2, HysteriaTransport, Mieru, MieruTransport, Obfs2, Outbound,
    PacketEncoding, Shadowsocks, Snell, SocksVersion, Ssh, StreamProtocol, Tuic, TuicUser, UdpRelayMode, Vision,
    VmessCipher, WireGuard,
};
use crate::{Canon, Canonical, Secret, Tls};

impl Canonical for Credentials {
    fn canonical(&self, canon: &mut Canon) {
        canon.text("user", &self.username);
        canon.text("password", self.password.expose());
    }
}

impl Canonical for Option<Credentials> {
    fn canonical(&self, canon: &mut Canon) {
        if let Some(credentials) = self {
            credentials.canonical(canon);
        }
    }
}

fn tls(canon: &mut Canon, tls: Option<&Tls>) {
    if let Some(tls) = tls {
        tls.canonical(canon);
    }
}

fn packet_encoding(canon: &mut Canon, encoding: PacketEncoding) {
    canon.text(
        "packet",
        match encoding {
            PacketEncoding::Xudp => "",
            PacketEncoding::PacketAddr => "packet",
            PacketEncoding::None => "none",
        },
    );
}

fn ports(canon: &mut Canon, ports: &[(u16, u16)]) {
    for (first, last) in ports {
        canon.show("ports", Some(format_args!("{first}-{last}")));
    }
}

fn bandwidth(canon: &mut Canon, up: Option<u32>, down: Option<u32>) {
    canon.show("up", up);
    canon.show("down", down);
}

impl Canonical for StreamProtocol {
    fn canonical(&self, canon: &mut Canon) {
        match self {
            Self::Vless(vless) => {
                canon.raw("id", vless.id.as_bytes());
                canon.text(
                    "flow",
                    match vless.flow {
                        None => "",
                        Some(Vision::Plain) => "vision",
                        Some(Vision::Udp443) => "vision-udp443",
                    },
                );
                canon.text("encryption", vless.encryption.as_ref().map_or("", Secret::expose));
                packet_encoding(canon, vless.packet_encoding);
            }
            Self::Vmess(vmess) => {
                canon.raw("id", vmess.id.as_bytes());
                canon.show("aid", (vmess.alter_id > 0).then_some(vmess.alter_id));
                canon.text("cipher", if vmess.cipher == VmessCipher::Auto { "" } else { vmess.cipher.name() });
                packet_encoding(canon, vmess.packet_encoding);
            }
            Self::Trojan(trojan) => {
                canon.text("password", trojan.password.expose());
                canon.text("inner", trojan.inner_shadowsocks.as_ref().map_or("", Secret::expose));
            }
        }
    }
}

impl Canonical for Shadowsocks {
    fn canonical(&self, canon: &mut Canon) {
        canon.text("method", &self.method);
        canon.text("password", self.password.expose());
        canon.flag("uot", self.udp_over_tcp);
        if let Some(plugin) = &self.plugin {
            canon.text("plugin", &plugin.name);
            for (name, value) in &plugin.options {
                canon.list("option", [name.as_ref(), value.as_ref()]);
            }
        }
    }
}

impl Canonical for Hysteria2 {
    fn canonical(&self, canon: &mut Canon) {
        canon.text("auth", self.auth.expose());
        ports(canon, &self.ports);
        canon.show("hop", self.hop_interval);
        match &self.obfs {
            None => {}
            Some(Obfs2::Salamander { password }) => canon.list("salamander", [password.expose()]),
            Some(Obfs2::Gecko { password, min_packet, max_packet }) => {
                canon.list("gecko", [password.expose()]);
                canon.show("min-packet", *min_packet);
                canon.show("max-packet", *max_packet);
            }
        }
        bandwidth(canon, self.up_mbps, self.down_mbps);
        self.tls.canonical(canon);
    }
}

impl Canonical for Hysteria {
    fn canonical(&self, canon: &mut Canon) {
        canon.text("auth", self.auth.expose());
        ports(canon, &self.ports);
        canon.text(
            "transport",
            match self.transport {
                HysteriaTransport::Udp => "",
                HysteriaTransport::WechatVideo => "wechat-video",
                HysteriaTransport::FakeTcp => "faketcp",
            },
        );
        canon.text("xplus", self.obfs.as_ref().map_or("", |obfs| obfs.0.expose()));
        bandwidth(canon, self.up_mbps, self.down_mbps);
        self.tls.canonical(canon);
    }
}

impl Canonical for Tuic {
    fn canonical(&self, canon: &mut Canon) {
        match &self.user {
            TuicUser::V5 { id, password } => {
                canon.raw("id", id.as_bytes());
                canon.text("password", password.expose());
            }
            TuicUser::V4 { token } => canon.list("token", [token.expose()]),
        }
        canon.text("congestion", if self.congestion == Congestion::Cubic { "" } else { self.congestion.name() });
        canon.flag("udp-quic", self.udp_relay == UdpRelayMode::Quic);
        canon.flag("reduce-rtt", self.reduce_rtt);
        self.tls.canonical(canon);
    }
}

impl Canonical for WireGuard {
    fn canonical(&self, canon: &mut Canon) {
        canon.text("private-key", self.private_key.expose());
        canon.text("public-key", self.public_key.as_deref().unwrap_or_default());
        canon.text("psk", self.pre_shared_key.as_ref().map_or("", Secret::expose));
        canon.list("address", self.addresses.iter().map(AsRef::as_ref));
        if self.reserved != [0; 3] {
            canon.raw("reserved", &self.reserved);
        }
        canon.show("mtu", self.mtu);
        canon.show("keepalive", self.keepalive);
    }
}

impl Canonical for Snell {
    fn canonical(&self, canon: &mut Canon) {
        canon.text("psk", self.psk.expose());
        canon.show("version", Some(self.version));
        canon.text("obfs", self.obfs.map_or("", |obfs| obfs.name()));
        canon.text("obfs-host", self.obfs_host.as_deref().unwrap_or_default());
    }
}

impl Canonical for Ssh {
    fn canonical(&self, canon: &mut Canon) {
        canon.text("user", &self.username);
        canon.text("password", self.password.as_ref().map_or("", Secret::expose));
        canon.text("key", self.private_key.as_ref().map_or("", Secret::expose));
        canon.text("passphrase", self.passphrase.as_ref().map_or("", Secret::expose));
        canon.list("host-key", self.host_keys.iter().map(AsRef::as_ref));
        canon.list("algorithm", self.host_key_algorithms.iter().map(AsRef::as_ref));
    }
}

impl Canonical for Mieru {
    fn canonical(&self, canon: &mut Canon) {
        canon.text("user", &self.username);
        canon.text("password", self.password.expose());
        canon.show("last-port", self.last_port);
        canon.flag("udp", self.transport == MieruTransport::Udp);
        canon.text("multiplexing", self.multiplexing.map_or("", |level| level.name()));
        canon.flag("no-wait", self.no_wait);
        canon.text("pattern", self.traffic_pattern.as_deref().unwrap_or_default());
    }
}

impl Canonical for Outbound {
    fn canonical(&self, canon: &mut Canon) {
        canon.group(self.scheme());
        match self {
            Self::Socks(socks) => {
                canon.flag("4a", socks.version == SocksVersion::V4a);
                socks.credentials.canonical(canon);
                tls(canon, socks.tls.as_deref());
            }
            Self::Http(http) => {
                http.credentials.canonical(canon);
                tls(canon, http.tls.as_deref());
            }
            Self::Shadowsocks(shadowsocks) => shadowsocks.canonical(canon),
            Self::ShadowsocksR(ssr) => {
                canon.text("method", &ssr.method);
                canon.text("password", ssr.password.expose());
                canon.text("protocol", &ssr.protocol);
                canon.text("protocol-param", &ssr.protocol_param);
                canon.text("obfs", &ssr.obfs);
                canon.text("obfs-param", &ssr.obfs_param);
            }
            Self::Stream(node) => {
                node.protocol().canonical(canon);
                node.carrier().canonical(canon);
            }
            Self::AnyTls(anytls) => {
                canon.text("password", anytls.password.expose());
                anytls.tls.canonical(canon);
            }
            Self::Hysteria2(hysteria) => hysteria.canonical(canon),
            Self::Hysteria(hysteria) => hysteria.canonical(canon),
            Self::Tuic(tuic) => tuic.canonical(canon),
            Self::WireGuard(wireguard) => wireguard.canonical(canon),
            Self::Snell(snell) => snell.canonical(canon),
            Self::Ssh(ssh) => ssh.canonical(canon),
            Self::Mieru(mieru) => mieru.canonical(canon),
            Self::ClashOnly(node) => canon.text("settings", node.settings.expose()),
        }
    }
}
