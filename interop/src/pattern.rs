//! Bytes in which any loss, swap or repetition shows, and what is wrong with those that came.

use std::{error::Error, fmt, sync::LazyLock};

/// The largest transfer.
pub const LARGE: usize = 8 << 20;

/// How many bytes before and behind a damage are looked for further on.
const BEFORE: usize = 32;
const BEHIND: usize = 64;
/// The most bytes that count as a repetition: the buffer of a client, and the head of its protocol.
const MOST_REPEATED: usize = 16 << 10;

/// The first bytes, at most [`LARGE`], of a sequence in which any loss, swap or repetition shows.
#[must_use]
pub fn pattern(length: usize) -> &'static [u8] {
    static BYTES: LazyLock<Vec<u8>> = LazyLock::new(|| {
        let mut state = 0x2545_f491_u32;
        let next = |_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            state.to_be_bytes()[0]
        };
        (0..LARGE).map(next).collect()
    });
    BYTES.get(..length).unwrap_or(&BYTES)
}

/// Where bytes are others than those that were sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Damage {
    at: usize,
    length: usize,
    /// Whether some of what was sent comes twice there, and everything goes on behind it.
    pub is_repetition: bool,
}

impl Damage {
    /// Compares what came with what was sent.
    ///
    /// # Errors
    /// The first damage.
    pub fn check(came: &[u8], sent: &[u8]) -> Result<(), Self> {
        if came == sent {
            return Ok(());
        }
        let same = came.iter().zip(sent).take_while(|(came, sent)| came == sent);
        let at = same.count();
        Err(Self { at, length: sent.len(), is_repetition: repeats(came, sent, at) })
    }
}

/// Whether the bytes around `at`, from where on others came, come a little later.
fn repeats(came: &[u8], sent: &[u8], at: usize) -> bool {
    let from = at.saturating_sub(BEFORE);
    let around = sent.get(from..sent.len().min(at + BEHIND)).unwrap_or_default();
    let later = came.get(from + 1..came.len().min(at + MOST_REPEATED + BEHIND)).unwrap_or_default();
    !around.is_empty() && later.windows(around.len()).any(|window| window == around)
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { at, length, is_repetition } = self;
        let what = if *is_repetition { "what was sent before comes again" } else { "other bytes come, or none" };
        write!(f, "damaged: from byte {at} of {length} on {what}")
    }
}

impl Error for Damage {}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is wrong when these came instead of the pattern.
    fn damage(came: &[&[u8]], length: usize) -> Damage {
        Damage::check(&came.concat(), pattern(length)).unwrap_err()
    }

    #[test]
    fn a_piece_that_comes_twice_is_told_from_other_damage() {
        let sent = pattern(100_000);
        assert_eq!(Damage::check(sent, sent), Ok(()));
        let twice = damage(&[&sent[..9_000], b"a head", &sent[1_000..9_000], &sent[9_000..]], 100_000);
        assert_eq!(twice, Damage { at: 9_000, length: 100_000, is_repetition: true });
        let at_the_end = damage(&[sent, &sent[92_000..]], 100_000);
        assert_eq!(at_the_end, Damage { at: 100_000, length: 100_000, is_repetition: true });
        let swapped = damage(&[&sent[..9_000], &sent[12_000..14_000], &sent[9_000..12_000], &sent[14_000..]], 100_000);
        assert_eq!(swapped, Damage { at: 9_000, length: 100_000, is_repetition: false });
        let lost = damage(&[&sent[..9_000], &sent[9_100..]], 100_000);
        assert_eq!(lost, Damage { at: 9_000, length: 100_000, is_repetition: false });
        let cut = damage(&[&sent[..9_000]], 100_000);
        assert_eq!(cut, Damage { at: 9_000, length: 100_000, is_repetition: false });
        let nothing = damage(&[], 100_000);
        assert_eq!(nothing, Damage { at: 0, length: 100_000, is_repetition: false });
    }
}
