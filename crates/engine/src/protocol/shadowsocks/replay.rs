//! The packet numbers that were seen, in a window that moves with the highest one, so that repeated packets are refused.

const WORDS: u64 = 32;
/// The size of the window: older numbers count as repeated.
const SIZE: u64 = (WORDS - 1) * 64;

/// The window.
#[derive(Clone, Debug, Default)]
pub(super) struct Window {
    highest: u64,
    seen: [u64; WORDS as usize],
}

impl Window {
    /// Notes a number. Returns false when it was noted before, or is older than the window.
    pub(super) fn accept(&mut self, number: u64) -> bool {
        if number > self.highest {
            let (old, new) = (self.highest / 64, number / 64);
            for word in (old + 1..=new).take(WORDS as usize) {
                self.seen[(word % WORDS) as usize] = 0;
            }
            self.highest = number;
        } else if self.highest - number >= SIZE {
            return false;
        }
        let (word, bit) = (&mut self.seen[(number / 64 % WORDS) as usize], 1 << (number % 64));
        let fresh = *word & bit == 0;
        *word |= bit;
        fresh
    }
}
