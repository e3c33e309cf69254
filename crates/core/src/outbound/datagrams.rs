//! Which nodes can carry datagrams, told from their description alone.

use super::{ClashKind, MieruTransport, Outbound, Shadowsocks, SocksProxy, SocksVersion};

impl Outbound {
    /// Whether the protocol with these settings carries datagrams. Whether the server really does shows when it is used.
    #[must_use]
    pub const fn carries_datagrams(&self) -> bool {
        match self {
            // The datagrams of SOCKS5 travel beside the stream: TLS around that would promise what it does not keep.
            Self::Socks(SocksProxy { version, tls, .. }) => matches!(version, SocksVersion::V5) && tls.is_none(),
            // A plugin disguises the stream alone, and datagrams beside it would lift the disguise.
            Self::Shadowsocks(Shadowsocks { plugin, udp_over_tcp, .. }) => *udp_over_tcp || plugin.is_none(),
            Self::Stream(_) | Self::Hysteria2(_) | Self::Tuic(_) | Self::WireGuard(_) | Self::AnyTls(_) => true,
            Self::ShadowsocksR(_) | Self::Hysteria(_) | Self::Mieru(_) | Self::ClashOnly(_) => true,
            Self::Snell(snell) => snell.version >= 3,
            Self::Http(_) | Self::Ssh(_) => false,
        }
    }

    /// Whether the datagrams that it carries travel to its server as datagrams, not inside a stream.
    #[must_use]
    pub const fn sends_datagrams(&self) -> bool {
        match self {
            Self::Shadowsocks(Shadowsocks { udp_over_tcp, .. }) => !*udp_over_tcp,
            Self::Stream(_) | Self::AnyTls(_) | Self::Snell(_) | Self::Ssh(_) => false,
            Self::Mieru(mieru) => matches!(mieru.transport, MieruTransport::Udp),
            Self::ClashOnly(node) => !matches!(node.kind, ClashKind::GostRelay | ClashKind::Sudoku),
            _ => true,
        }
    }
}
