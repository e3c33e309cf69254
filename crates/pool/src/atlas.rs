//! What databases know of exit addresses beside their country: the network's number (ASN) and the city.

use std::{
    fmt::Debug,
    net::IpAddr,
    num::NonZeroU32,
    sync::{Arc, atomic::Ordering::Relaxed},
};

use hezar_core::hash64;
use parking_lot::RwLock;

use crate::Node;

/// A city by its name: letter case, spaces and punctuation do not matter. It is a hash of 32 bits, so that a node needs four bytes for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CityKey(NonZeroU32);

impl CityKey {
    /// The key of a name; `None` when it has no letter and no digit.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        let letters: String = name.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect();
        let hash = hash64(letters.as_bytes()) as u32;
        (!letters.is_empty()).then(|| Self(NonZeroU32::new(hash).unwrap_or(NonZeroU32::MIN)))
    }

    /// The hash.
    pub(crate) const fn number(self) -> u32 {
        self.0.get()
    }
}

/// What is known of addresses.
pub trait Atlas: Debug + Send + Sync {
    /// The number of the autonomous system (RFC 6793) that an address belongs to.
    fn asn(&self, ip: IpAddr) -> Option<NonZeroU32>;

    /// The city that an address is in.
    fn city(&self, ip: IpAddr) -> Option<CityKey>;

    /// Whether it knows autonomous systems at all.
    fn knows_asn(&self) -> bool;

    /// Whether it knows cities at all.
    fn knows_city(&self) -> bool;
}

/// The atlas of a pool, if it has one.
#[derive(Debug, Default)]
pub(crate) struct CurrentAtlas(RwLock<Option<Arc<dyn Atlas>>>);

impl CurrentAtlas {
    pub(crate) fn set(&self, atlas: Option<Arc<dyn Atlas>>) {
        *self.0.write() = atlas;
    }

    pub(crate) fn get(&self) -> Option<Arc<dyn Atlas>> {
        self.0.read().clone()
    }

    /// Notes where a node comes out.
    pub(crate) fn locate<D>(&self, node: &Node<D>) {
        let Some(atlas) = self.get() else { return };
        node.locate(&*atlas);
    }
}

impl<D> Node<D> {
    /// The autonomous system of its exit, when it is known.
    #[must_use]
    pub fn asn(&self) -> Option<NonZeroU32> {
        NonZeroU32::new(self.asn.load(Relaxed))
    }

    /// The city of its exit, when it is known.
    #[must_use]
    pub fn city(&self) -> Option<CityKey> {
        NonZeroU32::new(self.city.load(Relaxed)).map(CityKey)
    }

    /// Notes what an atlas knows of its exit.
    pub(crate) fn locate(&self, atlas: &dyn Atlas) {
        let Some(ip) = self.record().exit_ip else { return };
        self.asn.store(atlas.asn(ip).map_or(0, NonZeroU32::get), Relaxed);
        self.city.store(atlas.city(ip).map_or(0, |city| city.0.get()), Relaxed);
    }
}
