//! What operators say about nodes: kept by the id, so that a node that comes back has it again.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use hezar_api::{ApiError, NodeMarks};
use hezar_core::{Label, NodeId, Timestamp};
use hezar_formats::{parse_link, to_link};
use hezar_pool::Annotation;
use hezar_store::{AnnotationRow, Change};
use parking_lot::Mutex;

use crate::nodes::Nodes;

/// The most nodes about which something is said.
const MOST: usize = 100_000;
/// The most tags of a node, and the longest one, in bytes.
const MOST_TAGS: usize = 16;
const LONGEST_TAG: usize = 64;
/// The longest note, in bytes.
const LONGEST_NOTE: usize = 1000;

/// Every annotation. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(crate) struct Annotations(Arc<Mutex<BTreeMap<NodeId, AnnotationRow>>>);

impl Annotations {
    /// The annotations that the store kept, told to the pool under the ids that this build makes, and what has to be
    /// written for that.
    pub(crate) fn restore(rows: Vec<AnnotationRow>, pool: &Nodes) -> (Self, Vec<Change>) {
        let (mut known, mut repairs) = (BTreeMap::new(), Vec::new());
        for row in rows {
            let id = parse_link(row.uri.expose()).map_or(row.id, |(spec, _)| spec.id());
            if id != row.id {
                repairs.push(Change::RemoveAnnotation(row.id));
                repairs.push(Change::PutAnnotation(AnnotationRow { id, ..row.clone() }));
            }
            known.insert(id, AnnotationRow { id, ..row });
        }
        pool.annotate(known.values().map(|row| (row.id, Some(said(row)))).collect());
        (Self(Arc::new(Mutex::new(known))), repairs)
    }

    /// Takes over what another process has said about nodes; `None` = nothing any more.
    pub(crate) fn adopt(&self, rows: Vec<(NodeId, Option<AnnotationRow>)>, pool: &Nodes) {
        let mut known = self.0.lock();
        let told = rows.iter().map(|(id, row)| (*id, row.as_ref().map(said))).collect();
        for (id, row) in rows {
            match row {
                Some(row) => known.insert(id, row),
                None => known.remove(&id),
            };
        }
        pool.annotate(told);
    }

    /// The nodes about which something is said.
    pub(crate) fn ids(&self) -> Vec<NodeId> {
        self.0.lock().keys().copied().collect()
    }

    /// Says something about nodes, also in the pool; returns what has to be stored, one change for each node of which
    /// something has changed.
    ///
    /// # Errors
    /// [`ApiError::BadRequest`]: a tag or the note cannot be kept, or something would be said about too many nodes. Then
    /// nothing has changed.
    pub(crate) fn mark(
        &self,
        ids: &[NodeId],
        marks: &NodeMarks,
        pool: &Nodes,
        now: Timestamp,
    ) -> Result<Vec<Change>, ApiError> {
        check(marks)?;
        let mut known = self.0.lock();
        let mut changed = Vec::new();
        for id in ids.iter().collect::<BTreeSet<_>>() {
            let before = known.get(id);
            let row = before.cloned().unwrap_or_else(|| nothing_said(pool, *id));
            let after = AnnotationRow { changed: now, ..marked(row.clone(), marks)? };
            let same = AnnotationRow { changed: row.changed, ..after.clone() } == row;
            if !same {
                changed.push(after);
            }
        }
        let new = changed.iter().filter(|row| !is_empty(row) && !known.contains_key(&row.id)).count();
        if known.len() + new > MOST {
            return Err(ApiError::BadRequest(format!("something may be said about {MOST} nodes at most")));
        }
        let mut changes = Vec::with_capacity(changed.len());
        let mut told = Vec::with_capacity(changed.len());
        for row in changed {
            if is_empty(&row) {
                known.remove(&row.id);
                told.push((row.id, None));
                changes.push(Change::RemoveAnnotation(row.id));
            } else {
                known.insert(row.id, row.clone());
                told.push((row.id, Some(said(&row))));
                changes.push(Change::PutAnnotation(row));
            }
        }
        // Under the lock: of two changes at once the pool hears the one that is kept here last.
        pool.annotate(told);
        Ok(changes)
    }
}

fn said(row: &AnnotationRow) -> Annotation {
    let AnnotationRow { disabled, pinned, tags, note, .. } = row;
    Annotation { disabled: *disabled, pinned: *pinned, tags: tags.clone(), note: note.clone() }
}

fn is_empty(row: &AnnotationRow) -> bool {
    said(row) == Annotation::default()
}

fn nothing_said(pool: &Nodes, id: NodeId) -> AnnotationRow {
    let uri = pool.node(id).map(|node| to_link(node.spec(), &Label::default())).unwrap_or_default();
    AnnotationRow {
        id,
        uri: uri.into(),
        disabled: false,
        pinned: false,
        tags: Vec::new(),
        note: "".into(),
        changed: Timestamp(0),
    }
}

fn marked(mut row: AnnotationRow, marks: &NodeMarks) -> Result<AnnotationRow, ApiError> {
    let NodeMarks { disabled, pinned, tags, add_tags, remove_tags, note } = marks;
    row.disabled = disabled.unwrap_or(row.disabled);
    row.pinned = pinned.unwrap_or(row.pinned);
    if let Some(note) = note {
        row.note = note.as_str().into();
    }
    if let Some(tags) = tags {
        row.tags.clear();
        add(&mut row.tags, tags);
    }
    add(&mut row.tags, add_tags);
    row.tags.retain(|tag| !remove_tags.iter().any(|gone| **gone == **tag));
    if row.tags.len() > MOST_TAGS {
        return Err(ApiError::BadRequest(format!("node {} would have more than {MOST_TAGS} tags", row.id)));
    }
    Ok(row)
}

fn add(tags: &mut Vec<Box<str>>, more: &[String]) {
    for tag in more {
        if !tags.iter().any(|known| **known == **tag) {
            tags.push(tag.as_str().into());
        }
    }
}

fn check(marks: &NodeMarks) -> Result<(), ApiError> {
    for tag in marks.tags.iter().flatten().chain(&marks.add_tags) {
        let fits = (1..=LONGEST_TAG).contains(&tag.len())
            && !tag.contains(|c: char| c.is_whitespace() || c.is_control() || "&|!():".contains(c));
        if !fits {
            let rule = "1 to 64 bytes, without white space and without & | ! ( ) :";
            return Err(ApiError::BadRequest(format!("{tag:?} is not a tag: {rule}")));
        }
    }
    let note = marks.note.as_deref().unwrap_or_default();
    if note.len() > LONGEST_NOTE || note.contains(char::is_control) {
        return Err(ApiError::BadRequest(format!("a note has at most {LONGEST_NOTE} bytes and no control characters")));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use hezar_core::NodeSpec;
    use hezar_pool::{PoolChange, Rules};

    use super::*;

    fn spec(link: &str) -> NodeSpec {
        parse_link(link).unwrap().0
    }

    fn pool(links: &[&str]) -> (Nodes, Vec<NodeId>) {
        let pool = Nodes::new(Rules::default());
        let nodes: Vec<_> = links.iter().map(|link| (spec(link), Label::default())).collect();
        let ids = nodes.iter().map(|(spec, _)| spec.id()).collect();
        let list = PoolChange::List { source: "s".into(), allow_private: false, nodes, complete: true };
        pool.apply(list, Timestamp(1));
        (pool, ids)
    }

    fn texts(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|text| (*text).to_owned()).collect()
    }

    #[test]
    fn marks_are_merged_and_what_says_nothing_is_removed() {
        let (pool, ids) = pool(&["socks5://11.0.0.1:1", "socks5://11.0.0.2:1"]);
        let annotations = Annotations::default();
        let mark = |marks: NodeMarks| annotations.mark(&ids, &marks, &pool, Timestamp(5)).unwrap();
        let marks = NodeMarks { disabled: Some(true), tags: Some(texts(&["a", "b", "a"])), ..NodeMarks::default() };
        assert_eq!(mark(marks.clone()).len(), 2);
        assert!(mark(marks).is_empty(), "the same again changes nothing");
        let node = pool.node(ids[0]).unwrap();
        assert!(node.disabled() && node.has_tag("b"));
        mark(NodeMarks { add_tags: texts(&["c"]), remove_tags: texts(&["a"]), ..NodeMarks::default() });
        let expected: [Box<str>; 2] = ["b".into(), "c".into()];
        assert_eq!(node.annotation().unwrap().tags, expected);
        let gone = mark(NodeMarks { disabled: Some(false), tags: Some(Vec::new()), ..NodeMarks::default() });
        assert!(gone.iter().all(|change| matches!(change, Change::RemoveAnnotation(_))) && gone.len() == 2);
        assert!(node.annotation().is_none() && annotations.0.lock().is_empty());
    }

    #[test]
    fn one_bad_value_changes_nothing() {
        let (pool, ids) = pool(&["socks5://11.0.0.1:1"]);
        let annotations = Annotations::default();
        let long = "x".repeat(65);
        for tag in ["", "a b", "a|b", "!a", "a:b", "a\u{7}", &long] {
            let marks = NodeMarks { disabled: Some(true), add_tags: texts(&[tag]), ..NodeMarks::default() };
            assert!(annotations.mark(&ids, &marks, &pool, Timestamp(5)).is_err(), "{tag:?}");
        }
        let many = (0..17).map(|n| n.to_string()).collect();
        let marks = NodeMarks { tags: Some(many), ..NodeMarks::default() };
        assert!(annotations.mark(&ids, &marks, &pool, Timestamp(5)).is_err());
        let marks = NodeMarks { note: Some("x".repeat(1001)), ..NodeMarks::default() };
        assert!(annotations.mark(&ids, &marks, &pool, Timestamp(5)).is_err());
        assert!(!pool.node(ids[0]).unwrap().disabled() && annotations.0.lock().is_empty());
    }

    #[test]
    fn annotations_come_back_before_their_nodes_and_under_the_ids_of_this_build() {
        let link = "socks5://11.0.0.1:1";
        let old = NodeId::from_bytes([7; 16]);
        let (empty, _) = pool(&[]);
        let row = AnnotationRow { id: old, uri: link.to_owned().into(), disabled: true, ..nothing_said(&empty, old) };
        let (annotations, repairs) = Annotations::restore(vec![row.clone()], &empty);
        let id = spec(link).id();
        assert_eq!(repairs, [Change::RemoveAnnotation(old), Change::PutAnnotation(AnnotationRow { id, ..row })]);
        let nodes = vec![(spec(link), Label::default())];
        let list = PoolChange::List { source: "s".into(), allow_private: false, nodes, complete: true };
        empty.apply(list, Timestamp(1));
        assert!(empty.node(id).unwrap().disabled() && annotations.0.lock().contains_key(&id));
    }
}
