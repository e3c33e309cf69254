//! What a world consists of.

use std::time::Duration;

use crate::{Distance, Distances, Fault};

/// The protocol that an upstream server speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// SOCKS4 with a user id: addresses only, see [`hosts`](crate::hosts).
    Socks4,
    /// SOCKS4a with a user id.
    Socks4a,
    /// SOCKS5 without a password.
    Socks5,
    /// SOCKS5 with user and password (RFC 1929).
    Socks5Auth,
    /// HTTP CONNECT.
    Http,
    /// HTTP CONNECT with Basic credentials.
    HttpAuth,
    /// HTTP CONNECT to port 443 alone; nothing else.
    HttpTunnel443,
    /// HTTP requests in absolute form; no CONNECT.
    HttpPlain,
    /// HTTP CONNECT, and requests in absolute form with a `Via` of its own.
    HttpAnonymous,
    /// The same, also with the client's address in `X-Forwarded-For`.
    HttpTransparent,
    /// Shadowsocks `aes-128-gcm`.
    ShadowsocksAes128,
    /// Shadowsocks `chacha20-ietf-poly1305`.
    ShadowsocksChacha20,
    /// Shadowsocks `2022-blake3-aes-256-gcm`.
    Shadowsocks2022,
    /// Trojan without TLS.
    Trojan,
    /// VLESS without TLS.
    Vless,
}

impl Kind {
    /// Every kind that takes names and tunnels to any port.
    pub const ALL: [Self; 10] = [
        Self::Socks5,
        Self::Http,
        Self::ShadowsocksChacha20,
        Self::Trojan,
        Self::Socks5Auth,
        Self::HttpAuth,
        Self::Shadowsocks2022,
        Self::Vless,
        Self::Socks4a,
        Self::ShadowsocksAes128,
    ];

    /// A name for labels and JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Socks4 => "socks4",
            Self::Socks4a => "socks4a",
            Self::Socks5 => "socks5",
            Self::Socks5Auth => "socks5-auth",
            Self::Http => "http",
            Self::HttpAuth => "http-auth",
            Self::HttpTunnel443 => "http-443",
            Self::HttpPlain => "http-plain",
            Self::HttpAnonymous => "http-anonymous",
            Self::HttpTransparent => "http-transparent",
            Self::ShadowsocksAes128 => "ss-aes-128-gcm",
            Self::ShadowsocksChacha20 => "ss-chacha20",
            Self::Shadowsocks2022 => "ss-2022",
            Self::Trojan => "trojan",
            Self::Vless => "vless",
        }
    }

    /// The Shadowsocks method, for the kinds that have one.
    pub(crate) const fn method(self) -> Option<&'static str> {
        match self {
            Self::ShadowsocksAes128 => Some("aes-128-gcm"),
            Self::ShadowsocksChacha20 => Some("chacha20-ietf-poly1305"),
            Self::Shadowsocks2022 => Some("2022-blake3-aes-256-gcm"),
            _ => None,
        }
    }
}

/// One upstream server.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct UpstreamConfig {
    /// What it speaks.
    pub kind: Kind,
    /// How it behaves at first.
    pub fault: Fault,
    /// The country that its trace page names (ISO 3166-1, upper case).
    pub country: [u8; 2],
    /// How far it is; `None` = it is on this machine, and nothing is delayed.
    pub distance: Option<Distance>,
}

/// A world.
#[derive(Clone, Debug)]
pub struct WorldConfig {
    /// The seed of credentials and noise: the same seed makes the same ones.
    pub seed: u64,
    /// The servers, in the order of their indexes.
    pub upstreams: Vec<UpstreamConfig>,
    /// The most connections that one server holds at a time; it closes further ones at once.
    pub max_connections: usize,
    /// The longest life of one connection.
    pub max_life: Duration,
}

const COUNTRIES: [[u8; 2]; 6] = [*b"DE", *b"NL", *b"US", *b"FI", *b"JP", *b"FR"];

impl WorldConfig {
    /// Servers with these faults, their kinds and countries going round.
    #[must_use]
    pub fn of(faults: impl IntoIterator<Item = Fault>) -> Self {
        let kinds = Kind::ALL.iter().cycle();
        let countries = COUNTRIES.iter().cycle();
        let upstreams = faults
            .into_iter()
            .zip(kinds.zip(countries))
            .map(|(fault, (&kind, &country))| UpstreamConfig { kind, fault, country, distance: None })
            .collect();
        Self { seed: 1, upstreams, max_connections: 1024, max_life: Duration::from_secs(600) }
    }

    /// This many healthy servers over all kinds.
    #[must_use]
    pub fn healthy(count: usize) -> Self {
        Self::of(std::iter::repeat_n(Fault::Healthy, count))
    }

    /// Healthy servers of these kinds.
    #[must_use]
    pub fn kinds(kinds: impl IntoIterator<Item = Kind>) -> Self {
        let mut config = Self::of([]);
        config.upstreams.extend(
            kinds.into_iter().zip(COUNTRIES.iter().cycle()).map(|(kind, &country)| UpstreamConfig {
                kind,
                fault: Fault::Healthy,
                country,
                distance: None,
            }),
        );
        config
    }

    /// The same servers at these distances.
    #[must_use]
    pub fn at_distances(mut self, distances: &Distances) -> Self {
        let drawn = distances.draw(self.upstreams.len());
        for (upstream, distance) in self.upstreams.iter_mut().zip(drawn) {
            upstream.distance = Some(distance);
        }
        self
    }

    /// The same servers with these rates in bits a second, going round; they stand at distance 0 unless they have one.
    #[must_use]
    pub fn with_rates(mut self, rates: &[u64]) -> Self {
        for (upstream, rate) in self.upstreams.iter_mut().zip(rates.iter().cycle()) {
            upstream.distance = Some(upstream.distance.unwrap_or_default().with_rate(*rate));
        }
        self
    }

    /// The demonstration: 24 servers of all kinds, 14 of them healthy, 3 slow, 7 dead in various ways.
    #[must_use]
    pub fn demo() -> Self {
        let healthy = |count| std::iter::repeat_n(Fault::Healthy, count);
        let slow = [120, 250, 400].map(|ms| Fault::Slow(Duration::from_millis(ms)));
        let dead = [
            Fault::Refused,
            Fault::Mute,
            Fault::Garbage,
            Fault::Mute,
            Fault::AcceptThenClose,
            Fault::WrongCredential,
            Fault::Reset,
        ];
        Self::of(healthy(10).chain(slow).chain(healthy(4)).chain(dead))
    }
}
