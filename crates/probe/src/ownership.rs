//! Which nodes a prober probes when several share a pool: rendezvous hashing (highest random weight) over the living probers.
//!
//! Each prober computes for each key the weight of every prober, and the highest weight owns the key. So all that know the same
//! probers agree without talking to each other, and when one joins or leaves, only the keys that it gains or loses move.
//! Thaler and Ravishankar, "Using Name-Based Mappings to Increase Hit Rates", IEEE/ACM Transactions on Networking 6 (1998).

use std::collections::BTreeSet;

use hezar_core::hash64;
use hezar_pool::Node;

use crate::context::Payload;

/// Which nodes a prober schedules. Demands for other nodes are served all the same.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ownership(Kind);

#[derive(Clone, Debug, Default, PartialEq, Eq)]
enum Kind {
    /// No other prober probes the nodes.
    #[default]
    Everything,
    /// This one with others, each by the hash of its name.
    Shared { own: u64, others: Box<[u64]> },
    /// Others probe them all.
    Nothing,
}

impl Ownership {
    /// Every node: there is no other prober.
    #[must_use]
    pub const fn everything() -> Self {
        Self(Kind::Everything)
    }

    /// No node: others probe them, or nobody does.
    #[must_use]
    pub const fn nothing() -> Self {
        Self(Kind::Nothing)
    }

    /// The share of the prober named `own` among all of these, in which it may be named too. Equal names are one prober.
    #[must_use]
    pub fn shared<'n>(own: &str, probers: impl IntoIterator<Item = &'n str>) -> Self {
        let others: BTreeSet<u64> =
            probers.into_iter().filter(|name| *name != own).map(|name| hash64(name.as_bytes())).collect();
        Self(Kind::Shared { own: hash64(own.as_bytes()), others: others.into_iter().collect() })
    }

    /// Whether others may probe nodes that this prober does not.
    pub(crate) const fn is_shared(&self) -> bool {
        !matches!(self.0, Kind::Everything)
    }

    /// Whether this prober owns a key.
    #[must_use]
    pub fn owns(&self, key: u64) -> bool {
        match &self.0 {
            Kind::Everything => true,
            Kind::Nothing => false,
            Kind::Shared { own, others } => {
                let weight = |prober: u64| (mix(prober ^ key), prober);
                let own = weight(*own);
                others.iter().all(|other| weight(*other) < own)
            }
        }
    }

    /// Whether this prober owns a node.
    #[must_use]
    pub fn owns_node(&self, node: &Node<Payload>) -> bool {
        match &self.0 {
            Kind::Everything => true,
            Kind::Nothing => false,
            Kind::Shared { .. } => self.owns(owner_key(node)),
        }
    }
}

/// What decides who owns a node: its server, so that the limits for a server hold over all probers. Servers on loopback are as
/// many machines as there are probers, and no limit applies to them, so that each node there is dealt out by itself.
fn owner_key(node: &Node<Payload>) -> u64 {
    if node.on_loopback() { hash64(node.id().as_bytes()) } else { node.server_key().0 }
}

/// Makes every bit of the result depend on every bit of the number: the finalizer of SplitMix64 (Steele, Lea and Flood, "Fast
/// Splittable Pseudorandom Number Generators", OOPSLA 2014). It must never change: probers of different versions agree by it.
const fn mix(number: u64) -> u64 {
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const KEYS: u64 = 100_000;

    fn key(number: u64) -> u64 {
        hash64(&number.to_le_bytes())
    }

    /// Which of the probers owns each key.
    fn owners(probers: &[&str]) -> Vec<usize> {
        let shares: Vec<_> = probers.iter().map(|own| Ownership::shared(own, probers.iter().copied())).collect();
        let owner = |number| {
            let owning: Vec<usize> = (0..shares.len()).filter(|index| shares[*index].owns(key(number))).collect();
            assert_eq!(owning.len(), 1, "each key has one owner");
            owning[0]
        };
        (0..KEYS).map(owner).collect()
    }

    #[test]
    fn shares_are_even_within_a_few_percent() {
        let names: Vec<String> = (0..10).map(|number| format!("prober-{number}")).collect();
        for count in [1, 2, 3, 10] {
            let probers: Vec<&str> = names[..count].iter().map(String::as_str).collect();
            let owners = owners(&probers);
            for prober in 0..count {
                let owned = owners.iter().filter(|owner| **owner == prober).count() as f64;
                let even = KEYS as f64 / count as f64;
                assert!((owned / even - 1.0).abs() < 0.05, "{prober} of {count} owns {owned}");
            }
        }
    }

    #[test]
    fn only_the_keys_of_a_prober_that_leaves_move() {
        let before = owners(&["a", "b", "c"]);
        let after = owners(&["a", "b"]);
        for (before, after) in before.iter().zip(&after) {
            assert!(*before == 2 || before == after, "a key moved between probers that stay");
        }
        let gained = after.iter().zip(&before).filter(|(after, before)| **before == 2 && **after == 0).count();
        let lost = before.iter().filter(|before| **before == 2).count();
        assert!((gained as f64 / lost as f64 - 0.5).abs() < 0.05, "{gained} of {lost}");
    }

    /// Probers of other versions and on other machines must come to the same result: the first numbers of SplitMix64 from the seed 0.
    #[test]
    fn weights_are_the_same_in_every_build() {
        const GAMMA: u64 = 0x9e37_79b9_7f4a_7c15;
        let numbers = [1, 2, 3].map(|step: u64| mix(GAMMA.wrapping_mul(step)));
        assert_eq!(numbers, [0xe220_a839_7b1d_cdaf, 0x6e78_9e6a_a1b9_65f4, 0x06c4_5d18_8009_454f]);
    }

    proptest! {
        /// The order in which probers are named, and whether one names itself, changes nothing.
        #[test]
        fn names_are_a_set(mut names in proptest::collection::vec("[a-z]{1,8}", 1..6), numbers in proptest::collection::vec(any::<u64>(), 1..50)) {
            let own = names[0].clone();
            let one = Ownership::shared(&own, names.iter().map(String::as_str));
            names.reverse();
            names.retain(|name| *name != own);
            let other = Ownership::shared(&own, names.iter().map(String::as_str));
            prop_assert_eq!(&one, &other);
            for number in numbers {
                prop_assert_eq!(one.owns(number), other.owns(number));
            }
        }
    }

    #[test]
    fn one_prober_alone_owns_everything_and_a_machine_without_the_role_nothing() {
        for number in 0..100 {
            assert!(Ownership::everything().owns(key(number)));
            assert!(Ownership::shared("a", []).owns(key(number)));
            assert!(!Ownership::nothing().owns(key(number)));
        }
    }
}
