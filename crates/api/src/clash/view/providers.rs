//! Providers: the sources, each with the nodes that it lists first.

use std::collections::HashMap;

use hezar_core::SourceName;

use super::super::names::UniqueNames;
use crate::{DashboardNode, SourceDto};

/// The provider of nodes that no source lists any more.
const UNLISTED: &str = "unlisted";

/// A source as a dashboard shows it.
#[derive(Debug)]
pub(in super::super) struct ProviderView {
    /// Its name, which is also the name of the source's group.
    pub(in super::super) name: String,
    /// The name with the number of nodes that the source lists and the view does not show.
    pub(in super::super) name_with_hidden: String,
    /// `None` for nodes that no source lists.
    pub(in super::super) source: Option<SourceDto>,
    /// The indices of its nodes.
    pub(in super::super) nodes: Vec<usize>,
}

/// Every provider, and where a source is among them.
pub(super) struct Providers {
    pub(super) list: Vec<ProviderView>,
    /// The indices of the sources in the list.
    index: HashMap<SourceName, usize>,
}

impl Providers {
    /// One provider for each source, and one for nodes without a source, which is the last; the nodes are still missing.
    pub(super) fn new(sources: Vec<SourceDto>, shown: &[DashboardNode], names: &mut UniqueNames) -> Self {
        let index: HashMap<SourceName, usize> =
            sources.iter().enumerate().map(|(index, source)| (source.name.as_str().into(), index)).collect();
        let mut listed = vec![0; sources.len()];
        for at in shown.iter().flat_map(|node| &node.sources).filter_map(|source| index.get(source)) {
            if let Some(count) = listed.get_mut(*at) {
                *count += 1;
            }
        }
        let provider = |(source, listed): (SourceDto, usize)| {
            let name = names.group(&source.name);
            ProviderView {
                name_with_hidden: with_hidden(&name, source.nodes.saturating_sub(listed)),
                name,
                source: Some(source),
                nodes: Vec::new(),
            }
        };
        let mut list: Vec<ProviderView> = sources.into_iter().zip(listed).map(provider).collect();
        let name = names.group(UNLISTED);
        list.push(ProviderView { name_with_hidden: name.clone(), name, source: None, nodes: Vec::new() });
        Self { list, index }
    }

    /// The index of the provider that shows a node: that of the first source that lists it.
    pub(super) fn of_node(&self, node: &DashboardNode) -> usize {
        let first = node.sources.iter().filter_map(|source| self.index.get(source)).min();
        first.copied().unwrap_or(self.list.len() - 1)
    }
}

/// `mine (+8,412)` for a source of which 8,412 nodes are not shown.
fn with_hidden(name: &str, hidden: usize) -> String {
    if hidden == 0 {
        return name.to_owned();
    }
    let digits = hidden.to_string();
    let mut count = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            count.push(',');
        }
        count.push(digit);
    }
    format!("{name} (+{count})")
}

/// A provider's name without the number of hidden nodes, which may have changed since a dashboard has read it.
pub(super) fn without_hidden(name: &str) -> &str {
    let Some((base, count)) = name.strip_suffix(')').and_then(|rest| rest.rsplit_once(" (+")) else { return name };
    if count.bytes().all(|byte| byte.is_ascii_digit() || byte == b',') { base } else { name }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_of_hidden_nodes_stands_behind_the_name() {
        for (hidden, name) in [(0, "mine"), (7, "mine (+7)"), (8412, "mine (+8,412)"), (1_000_000, "mine (+1,000,000)")]
        {
            assert_eq!(with_hidden("mine", hidden), name);
            assert_eq!(without_hidden(name), "mine");
        }
        for name in ["mine (+1", "mine (old)", "(+1)", ""] {
            assert_eq!(without_hidden(name), name);
        }
    }
}
