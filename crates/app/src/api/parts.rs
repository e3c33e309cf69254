//! Parts of sorted lists: the order, and the place where a part ends, which its cursor names.

use std::cmp::Ordering;

use hezar_api::{ApiError, read_cursor, write_cursor};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

/// The value by which an entry is sorted.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) enum SortValue {
    Number(u64),
    Text(String),
}

/// The place of an entry in a sorted list. Entries without a value come last, and equal ones stand in the order of their ids.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Place<I> {
    pub(crate) value: Option<SortValue>,
    pub(crate) id: I,
}

/// An order by one of the names that a list knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Order {
    pub(crate) name: &'static str,
    pub(crate) descending: bool,
}

impl Order {
    /// Reads the parameter `sort`: a name, with `-` in front for the other way round. The first name is the order unless said.
    pub(crate) fn read(text: Option<&str>, names: &'static [&'static str]) -> Result<Self, ApiError> {
        let text = text.unwrap_or(names.first().copied().unwrap_or_default());
        let (descending, asked) = text.strip_prefix('-').map_or((false, text), |name| (true, name));
        let found = names.iter().find(|name| **name == asked);
        let name = found.ok_or_else(|| {
            ApiError::BadRequest(format!(
                "sort {text:?} is not one of {}, with or without - in front",
                names.join(", ")
            ))
        })?;
        Ok(Self { name, descending })
    }

    fn compare<I: Ord>(self, one: &Place<I>, other: &Place<I>) -> Ordering {
        let by_value = match (&one.value, &other.value) {
            (None, None) => Ordering::Equal,
            (None, Some(_)) => Ordering::Greater,
            (Some(_), None) => Ordering::Less,
            (Some(one), Some(other)) if self.descending => other.cmp(one),
            (Some(one), Some(other)) => one.cmp(other),
        };
        by_value.then_with(|| one.id.cmp(&other.id))
    }
}

/// Which part of a list is asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PartQuery<'a> {
    pub(crate) order: Order,
    pub(crate) cursor: Option<&'a str>,
    /// Entries to leave out behind the cursor.
    pub(crate) skip: usize,
    pub(crate) limit: usize,
}

/// One part of a sorted list.
#[derive(Debug)]
pub(crate) struct Part<T> {
    /// All entries of the list.
    pub(crate) total: usize,
    pub(crate) items: Vec<T>,
    pub(crate) next: Option<String>,
}

/// Cuts the part that is asked for out of a list in any order. Only what is returned is sorted.
///
/// # Errors
/// [`ApiError::BadRequest`]: the cursor is not one of this list in this order.
pub(crate) fn cut<T, I: Ord + Clone + Serialize + DeserializeOwned>(
    entries: impl Iterator<Item = (Place<I>, T)>,
    query: &PartQuery<'_>,
) -> Result<Part<T>, ApiError> {
    let order = query.order;
    let after = query.cursor.map(read_cursor::<(String, bool, Place<I>)>).transpose()?;
    if after.as_ref().is_some_and(|(name, descending, _)| *name != order.name || *descending != order.descending) {
        return Err(ApiError::BadRequest("the cursor belongs to another order: begin again without one".to_owned()));
    }
    let mut total = 0;
    let counted = entries.inspect(|_| total += 1);
    let mut rest: Vec<(Place<I>, T)> = match &after {
        None => counted.collect(),
        Some((.., after)) => counted.filter(|(place, _)| order.compare(place, after).is_gt()).collect(),
    };
    let wanted = query.skip.saturating_add(query.limit);
    let more = rest.len() > wanted;
    if more && wanted > 0 {
        rest.select_nth_unstable_by(wanted - 1, |(one, _), (other, _)| order.compare(one, other));
        rest.truncate(wanted);
    }
    rest.sort_unstable_by(|(one, _), (other, _)| order.compare(one, other));
    let last = rest.last().filter(|_| more).map(|(place, _)| (order.name, order.descending, place));
    let next = last.map(|last| write_cursor(&last)).transpose()?;
    Ok(Part { total, items: rest.into_iter().skip(query.skip).map(|(_, item)| item).collect(), next })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NAMES: &[&str] = &["size", "name"];

    fn place(value: Option<u64>, id: u64) -> Place<u64> {
        Place { value: value.map(SortValue::Number), id }
    }

    #[test]
    fn an_order_is_one_of_the_names() {
        assert_eq!(Order::read(None, NAMES), Ok(Order { name: "size", descending: false }));
        assert_eq!(Order::read(Some("-name"), NAMES), Ok(Order { name: "name", descending: true }));
        for bad in ["", "-", "--name", "colour"] {
            assert!(matches!(Order::read(Some(bad), NAMES), Err(ApiError::BadRequest(_))), "{bad}");
        }
    }

    #[test]
    fn a_cursor_of_another_order_is_refused() {
        let entries = || (0..9_u64).map(|id| (place(Some(id), id), id));
        let query =
            |sort, cursor| PartQuery { order: Order::read(Some(sort), NAMES).unwrap(), cursor, skip: 0, limit: 2 };
        let next = cut(entries(), &query("size", None)).unwrap().next.unwrap();
        assert_eq!(cut(entries(), &query("size", Some(&next))).unwrap().items, [2, 3]);
        assert!(cut(entries(), &query("-size", Some(&next))).is_err());
        assert!(cut(entries(), &query("name", Some(&next))).is_err());
    }

    proptest! {
        /// The parts together are the sorted list, whatever the values, and entries that come or go meanwhile change nothing about the others.
        #[test]
        fn the_parts_are_the_list(
            values in proptest::collection::vec(proptest::option::of(0..5_u64), 0..60),
            limit in 1..20_usize,
            descending: bool,
            gone in proptest::collection::vec(any::<bool>(), 60),
        ) {
            let order = Order { name: "size", descending };
            let all: Vec<_> = values.iter().zip(0..).map(|(value, id)| (place(*value, id), id)).collect();
            let mut sorted = all.clone();
            sorted.sort_by(|(one, _), (other, _)| order.compare(one, other));
            let stays = |id: u64| !gone[id as usize];
            let (mut seen, mut cursor) = (Vec::new(), None::<String>);
            loop {
                // From the second part on some are gone.
                let first = cursor.is_none();
                let entries = all.iter().filter(|(_, id)| first || stays(*id)).cloned();
                let part = cut(entries, &PartQuery { order, cursor: cursor.as_deref(), skip: 0, limit }).unwrap();
                prop_assert!(part.items.len() <= limit);
                seen.extend(part.items);
                let Some(next) = part.next else { break };
                cursor = Some(next);
            }
            let expected: Vec<u64> = sorted.iter().enumerate()
                .filter(|(index, (_, id))| *index < limit || stays(*id)).map(|(_, (_, id))| *id).collect();
            prop_assert_eq!(seen, expected);
        }
    }
}
