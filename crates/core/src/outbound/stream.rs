//! The protocols that ride on a carrier, and which of the pairs there are.

use thiserror::Error;
use uuid::Uuid;

use crate::{Carrier, Secret, Security};

/// XTLS Vision.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Vision {
    /// `xtls-rprx-vision`: UDP to port 443 is refused.
    Plain,
    /// `xtls-rprx-vision-udp443`.
    Udp443,
}

/// How UDP is packed into a VLESS or VMess stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum PacketEncoding {
    /// XUDP, Xray's.
    #[default]
    Xudp,
    /// `packetaddr`, v2fly's.
    PacketAddr,
    /// One stream for each target, without an address in the packets.
    None,
}

/// VLESS.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Vless {
    /// The user.
    pub id: Uuid,
    /// The flow.
    pub flow: Option<Vision>,
    /// VLESS encryption (`mlkem768x25519plus…`) as published; absent = none.
    pub encryption: Option<Secret>,
    /// The packing of UDP.
    pub packet_encoding: PacketEncoding,
}

/// The cipher of a VMess body.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum VmessCipher {
    /// The client chooses.
    #[default]
    Auto,
    /// AES-128-GCM.
    Aes128Gcm,
    /// ChaCha20-Poly1305.
    Chacha20Poly1305,
    /// The body is framed and not encrypted.
    None,
    /// The body is neither encrypted nor framed.
    Zero,
}

impl VmessCipher {
    /// The name in links.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Aes128Gcm => "aes-128-gcm",
            Self::Chacha20Poly1305 => "chacha20-poly1305",
            Self::None => "none",
            Self::Zero => "zero",
        }
    }
}

/// VMess.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Vmess {
    /// The user.
    pub id: Uuid,
    /// The number of alternative ids, as published: 0 says that the server is not older than AEAD headers.
    pub alter_id: u16,
    /// The body cipher.
    pub cipher: VmessCipher,
    /// The packing of UDP.
    pub packet_encoding: PacketEncoding,
}

/// Trojan.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Trojan {
    /// The password.
    pub password: Secret,
    /// trojan-go's inner Shadowsocks layer, `method:password` behind `ss;`.
    pub inner_shadowsocks: Option<Secret>,
}

/// The protocols that ride on a [`Carrier`].
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum StreamProtocol {
    /// VLESS.
    Vless(Vless),
    /// VMess.
    Vmess(Vmess),
    /// Trojan.
    Trojan(Trojan),
}

/// The pair of a protocol and a carrier that no server can speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ImpossiblePair {
    /// Vision needs TLS or REALITY directly over TCP, or VLESS encryption.
    #[error("Vision needs TLS or REALITY over raw TCP, or VLESS encryption")]
    VisionCarrier,
}

/// A stream protocol on its carrier. The fields are private so that an impossible pair cannot be made.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct StreamNode {
    protocol: StreamProtocol,
    carrier: Carrier,
}

impl StreamNode {
    /// Puts a protocol on a carrier.
    ///
    /// # Errors
    /// [`ImpossiblePair`] when no server speaks that pair.
    pub fn new(protocol: StreamProtocol, carrier: Carrier) -> Result<Self, ImpossiblePair> {
        if let StreamProtocol::Vless(Vless { flow: Some(_), encryption: None, .. }) = &protocol {
            let secured_tcp =
                matches!(&carrier, Carrier::Tcp { header: None, security: Security::Tls(_) | Security::Reality(_) });
            if !secured_tcp {
                return Err(ImpossiblePair::VisionCarrier);
            }
        }
        Ok(Self { protocol, carrier })
    }

    /// The protocol.
    #[must_use]
    pub const fn protocol(&self) -> &StreamProtocol {
        &self.protocol
    }

    /// The carrier.
    #[must_use]
    pub const fn carrier(&self) -> &Carrier {
        &self.carrier
    }
}
