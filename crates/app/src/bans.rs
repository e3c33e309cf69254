//! Nodes that must not come back, and the ids that a person writes: in full, or as many digits as name one node.

use std::{collections::BTreeMap, sync::Arc};

use hezar_api::{ApiError, BanDto};
use hezar_core::{Label, NodeId, Timestamp};
use hezar_formats::to_link;
use hezar_store::BanRow;
use parking_lot::Mutex;

use crate::nodes::Nodes;

/// The most bans: they are kept in memory and asked for every node of every list.
const MOST_BANS: usize = 100_000;
/// The fewest digits of a short id.
const SHORTEST_ID: usize = 6;
/// The most short ids in one request: each is looked for among all nodes.
const MOST_SHORT_IDS: usize = 100;
/// The most ids that an error names.
const MOST_NAMED: usize = 5;

/// Every ban. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(crate) struct Bans(Arc<Mutex<BTreeMap<NodeId, BanRow>>>);

impl Bans {
    /// The bans that the store kept, told to the pool.
    pub(crate) fn restore(rows: Vec<BanRow>, pool: &Nodes) -> Self {
        pool.ban(rows.iter().map(|row| row.id));
        Self(Arc::new(Mutex::new(rows.into_iter().map(|row| (row.id, row)).collect())))
    }

    /// Takes over a ban that another process has made.
    pub(crate) fn adopt(&self, row: BanRow, pool: &Nodes) {
        pool.ban([row.id]);
        self.0.lock().insert(row.id, row);
    }

    /// Takes over that another process has lifted a ban.
    pub(crate) fn adopt_lift(&self, id: NodeId, pool: &Nodes) {
        pool.lift(id);
        self.0.lock().remove(&id);
    }

    /// The banned nodes.
    pub(crate) fn ids(&self) -> Vec<NodeId> {
        self.0.lock().keys().copied().collect()
    }

    pub(crate) fn list(&self) -> Vec<BanDto> {
        let rows = self.0.lock();
        let dto = |row: &BanRow| BanDto { id: row.id.to_string(), name: row.label.to_string(), since: row.since.0 };
        rows.values().map(dto).collect()
    }

    /// Bans nodes, also in the pool, and returns the rows to be stored.
    ///
    /// # Errors
    /// [`ApiError::BadRequest`]: there would be more than [`MOST_BANS`].
    pub(crate) fn add(&self, ids: &[NodeId], pool: &Nodes, now: Timestamp) -> Result<Vec<BanRow>, ApiError> {
        let mut rows = self.0.lock();
        if rows.len() + ids.len() > MOST_BANS {
            return Err(ApiError::BadRequest(format!("there may be {MOST_BANS} bans at most; lift some first")));
        }
        let made: Vec<BanRow> = ids.iter().map(|id| ban_row(pool, *id, now)).collect();
        rows.extend(made.iter().map(|row| (row.id, row.clone())));
        pool.ban(ids.iter().copied());
        Ok(made)
    }

    /// Lifts the bans that full or short ids name, and returns which these were; none when one of the texts is no id.
    pub(crate) fn lift(&self, texts: &[String], pool: &Nodes) -> Result<Vec<NodeId>, ApiError> {
        bound_short_ids(texts)?;
        let mut rows = self.0.lock();
        let named = |text: &String| {
            read_full_or(text, |short| only(short, rows.keys().copied().filter(|id| id.starts_with(short))))
        };
        let named: Vec<Option<NodeId>> = texts.iter().map(named).collect::<Result<_, _>>()?;
        let lifted: Vec<NodeId> = named.into_iter().flatten().filter(|id| rows.remove(id).is_some()).collect();
        for id in &lifted {
            pool.lift(*id);
        }
        Ok(lifted)
    }
}

fn ban_row(pool: &Nodes, id: NodeId, now: Timestamp) -> BanRow {
    let node = pool.node(id);
    let link = node.as_ref().map(|node| to_link(node.spec(), &Label::default())).unwrap_or_default();
    let label = node.map(|node| node.label().as_str().into()).unwrap_or_default();
    BanRow { id, uri: link.into(), label, since: now }
}

/// Refuses a request with so many short ids that looking for them takes long.
///
/// # Errors
/// [`ApiError::BadRequest`]: more than [`MOST_SHORT_IDS`].
pub(crate) fn bound_short_ids(texts: &[String]) -> Result<(), ApiError> {
    if texts.iter().filter(|text| text.len() < 32).count() > MOST_SHORT_IDS {
        return Err(ApiError::BadRequest(format!("more than {MOST_SHORT_IDS} short ids: write some in full")));
    }
    Ok(())
}

/// Reads a full id, or asks for what a short one names.
pub(crate) fn read_full_or(
    text: &str,
    short: impl FnOnce(&str) -> Result<Option<NodeId>, ApiError>,
) -> Result<Option<NodeId>, ApiError> {
    if let Ok(id) = text.parse() {
        return Ok(Some(id));
    }
    if !(SHORTEST_ID..32).contains(&text.len()) || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        let problem = "is not a node id: 32 hexadecimal digits, or the first 6 or more of them";
        return Err(ApiError::BadRequest(format!("{text:?} {problem}")));
    }
    short(text)
}

/// The one id that fits, or an error that names those that do.
pub(crate) fn only(short: &str, mut fitting: impl Iterator<Item = NodeId>) -> Result<Option<NodeId>, ApiError> {
    let first = fitting.next();
    let others: Vec<NodeId> = fitting.collect();
    let Some(first) = first.filter(|_| !others.is_empty()) else { return Ok(first) };
    let count = others.len() + 1;
    let mut ids: Vec<String> = std::iter::once(first).chain(others).take(MOST_NAMED).map(|id| id.to_string()).collect();
    if count > MOST_NAMED {
        ids.push("…".to_owned());
    }
    Err(ApiError::BadRequest(format!("{short:?} fits {count} nodes, write more digits: {}", ids.join(", "))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(first: u8, second: u8, third: u8, rest: u8) -> NodeId {
        let mut bytes = [rest; 16];
        bytes[..3].copy_from_slice(&[first, second, third]);
        NodeId::from_bytes(bytes)
    }

    #[test]
    fn one_bad_id_lifts_no_ban_and_so_leaves_none_that_only_the_store_knows() {
        let pool = Nodes::new(hezar_pool::Rules::default());
        let row = |id| BanRow { id, uri: String::new().into(), label: "".into(), since: Timestamp(1) };
        let ids = [id(0xab, 0xcd, 0xef, 1), id(0xab, 0xcd, 0xe0, 2)];
        let bans = Bans::restore(ids.map(row).into(), &pool);
        let texts = |texts: [&str; 2]| texts.map(str::to_owned);
        assert!(bans.lift(&texts(["abcdef", "no id"]), &pool).is_err());
        assert_eq!(bans.list().len(), 2);
        assert_eq!(bans.lift(&texts(["abcdef", &ids[0].to_string()]), &pool), Ok(vec![ids[0]]));
        assert_eq!(bans.list().len(), 1);
        assert!(bans.lift(&vec!["abcde0".to_owned(); MOST_SHORT_IDS + 1], &pool).is_err());
        assert_eq!(bans.lift(&vec!["abcde0".to_owned(); MOST_SHORT_IDS], &pool), Ok(vec![ids[1]]));
    }

    #[test]
    fn a_short_id_names_one_node_or_says_which_it_could_be() {
        let ids = [id(0xab, 0xcd, 0xef, 1), id(0xab, 0xcd, 0xef, 2), id(0xab, 0xcd, 0xe0, 3)];
        let find = |text: &str| read_full_or(text, |s| only(s, ids.into_iter().filter(|id| id.starts_with(s))));
        assert_eq!(find("abcde0"), Ok(Some(ids[2])));
        assert_eq!(find("ABCDEF01"), Ok(Some(ids[0])), "letter case does not matter");
        assert_eq!(find("abcdef010"), Ok(Some(ids[0])), "an odd number of digits");
        assert_eq!(find("123456"), Ok(None));
        assert_eq!(find(&ids[1].to_string()), Ok(Some(ids[1])));
        let Err(ApiError::BadRequest(text)) = find("abcdef") else { panic!() };
        assert!(
            text.contains("fits 2 nodes") && text.contains(&ids[0].to_string()) && text.contains(&ids[1].to_string())
        );
        for bad in ["", "abcde", "abcdeg", "abcdef-1", &"a".repeat(33)] {
            assert!(matches!(find(bad), Err(ApiError::BadRequest(_))), "{bad:?}");
        }
    }
}
