//! Which known name was meant by one that is not known.

/// The known name that was most probably meant: at most two edits away, or the same but for `-` and `_`.
pub(super) fn nearest<'n>(known: impl Iterator<Item = &'n str>, name: &str) -> Option<&'n str> {
    let same = |known: &str| known == name.replace('-', "_");
    let distance = |known: &str| if same(known) { 0 } else { edits(known, name) };
    let near = known.map(|known| (distance(known), known)).filter(|(edits, known)| *edits <= 2 && *edits < known.len());
    near.min_by_key(|(edits, _)| *edits).map(|(_, known)| known)
}

/// How many letters must be put in, left out or replaced to make one name of the other (Levenshtein); of a long name the beginning.
fn edits(known: &str, name: &str) -> usize {
    let known: Vec<char> = known.chars().collect();
    let mut row: Vec<usize> = (0..=known.len()).collect();
    for (i, c) in name.chars().take(64).enumerate() {
        let mut previous = row.first().copied().unwrap_or_default();
        if let Some(first) = row.first_mut() {
            *first = i + 1;
        }
        for (j, k) in known.iter().enumerate() {
            let (left, above) = (row.get(j).copied().unwrap_or_default(), row.get(j + 1).copied().unwrap_or_default());
            let cost = (previous + usize::from(*k != c)).min(left + 1).min(above + 1);
            previous = above;
            if let Some(cell) = row.get_mut(j + 1) {
                *cell = cost;
            }
        }
    }
    row.last().copied().unwrap_or(usize::MAX)
}
