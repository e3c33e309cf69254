//! An optional point in time in few bytes, because a million nodes hold several each.

use hezar_core::Timestamp;

/// An optional point in time in six bytes: milliseconds up to the year 10889, in network order. What is later is taken for that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PackedTime([u8; 6]);

impl PackedTime {
    /// No time.
    pub(super) const NONE: Self = Self([0xff; 6]);
    const LATEST: u64 = (1 << 48) - 2;

    /// The point in time.
    pub(super) fn get(self) -> Option<Timestamp> {
        let [a, b, c, d, e, f] = self.0;
        (self != Self::NONE).then(|| Timestamp(u64::from_be_bytes([0, 0, a, b, c, d, e, f])))
    }
}

impl From<Timestamp> for PackedTime {
    fn from(time: Timestamp) -> Self {
        let [_, _, a, b, c, d, e, f] = time.0.min(Self::LATEST).to_be_bytes();
        Self([a, b, c, d, e, f])
    }
}

impl From<Option<Timestamp>> for PackedTime {
    fn from(time: Option<Timestamp>) -> Self {
        time.map_or(Self::NONE, Self::from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_comes_back_as_it_was() {
        for time in [0, 1, 1_800_000_000_123, PackedTime::LATEST] {
            assert_eq!(PackedTime::from(Timestamp(time)).get(), Some(Timestamp(time)));
        }
        assert_eq!(PackedTime::from(Timestamp(u64::MAX)).get(), Some(Timestamp(PackedTime::LATEST)));
        assert_eq!(PackedTime::from(None).get(), None);
    }
}
