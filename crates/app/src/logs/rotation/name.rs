//! The names of log files: `hezar.2026-11-28.log` is a day's first file, `hezar.2026-11-28.001.log` the next one, and `….log.gz` one that is
//! finished and compressed.

use hezar_core::civil_date;

/// A file's name, as the files are ordered: by day, then by part.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct LogFileName {
    year: i64,
    month: i64,
    day: i64,
    part: u32,
}

impl LogFileName {
    /// The name for a day, counted from 1970-01-01, and a part of it.
    pub(super) fn new(day: u64, part: u32) -> Self {
        let (year, month, day) = civil_date(i64::try_from(day).unwrap_or(i64::MAX / 86_400));
        Self { year, month, day, part }
    }

    pub(super) const fn part(self) -> u32 {
        self.part
    }

    pub(super) const fn date(self) -> (i64, i64, i64) {
        (self.year, self.month, self.day)
    }

    pub(super) fn text(self, prefix: &str) -> String {
        let Self { year, month, day, part } = self;
        match part {
            0 => format!("{prefix}.{year:04}-{month:02}-{day:02}.log"),
            part => format!("{prefix}.{year:04}-{month:02}-{day:02}.{part:03}.log"),
        }
    }

    /// Reads a name; also says whether the file is compressed.
    pub(super) fn read(text: &str, prefix: &str) -> Option<(Self, bool)> {
        let (plain, is_compressed) = text.strip_suffix(".gz").map_or((text, false), |plain| (plain, true));
        let name = plain.strip_prefix(prefix)?.strip_prefix('.')?.strip_suffix(".log")?;
        let (date, part) = name.split_once('.').map_or((name, Some(0)), |(date, part)| (date, part.parse().ok()));
        let mut numbers = date.splitn(3, '-').map(|number| number.parse::<i64>().ok());
        let name = Self { year: numbers.next()??, month: numbers.next()??, day: numbers.next()??, part: part? };
        // Nothing that only looks like one of ours is ever removed.
        (name.text(prefix) == plain).then_some((name, is_compressed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_read_back_and_days_are_right() {
        for (day, text) in [(0, "1970-01-01"), (19_782, "2024-02-29"), (20_785, "2026-11-28")] {
            assert_eq!(LogFileName::new(day, 0).text("hezar"), format!("hezar.{text}.log"));
            for part in [0, 1, 42, 5000] {
                let name = LogFileName::new(day, part);
                assert_eq!(LogFileName::read(&name.text("a"), "a"), Some((name, false)));
                assert_eq!(LogFileName::read(&format!("{}.gz", name.text("a")), "a"), Some((name, true)));
            }
        }
        for other in [
            "hezar.log",
            "hezar.2026-11-28.log.bz2",
            "hezar.2026-11-28.log.gz.gz",
            "hezar.2026-1-8.log",
            "hezar.x.log",
            "other.2026-11-28.log",
        ] {
            assert_eq!(LogFileName::read(other, "hezar"), None, "{other}");
        }
    }
}
