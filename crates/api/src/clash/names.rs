//! Names of nodes and groups: unique, short, and of groups without characters that some dashboards do not encode in paths.

use std::collections::HashSet;

use crate::DashboardNode;

/// The longest name of a node, in characters, before the digits of its id.
const LONGEST: usize = 60;

/// Names that are no node's: those of groups, and words that dashboards know.
const RESERVED: [&str; 9] = [POOL, AUTO, GLOBAL, "DIRECT", "REJECT", "REJECT-DROP", "COMPATIBLE", "PASS", "PASS-RULE"];

/// The group of all nodes.
pub(super) const POOL: &str = "POOL";
/// What is selected in a group that uses any of its nodes.
pub(super) const AUTO: &str = "AUTO";
/// The group of all groups.
pub(super) const GLOBAL: &str = "GLOBAL";

/// Gives names that occur once.
#[derive(Debug)]
pub(super) struct UniqueNames(HashSet<String>);

impl UniqueNames {
    pub(super) fn new() -> Self {
        Self(RESERVED.iter().map(|name| (*name).to_owned()).collect())
    }

    /// A group's name. Some dashboards write it into a path as it is.
    pub(super) fn group(&mut self, name: &str) -> String {
        let base: String = name.chars().map(|c| if matches!(c, '/' | '?' | '#' | '%') { '_' } else { c }).collect();
        let base = if base.is_empty() || RESERVED.contains(&base.as_str()) { format!("{base} group") } else { base };
        let mut name = base.clone();
        for number in 2.. {
            if self.0.insert(name.clone()) {
                break;
            }
            name = format!("{base} {number}");
        }
        name
    }

    /// A node's name: its label, and the first digits of its id where another node has the same. It stays the same over
    /// restarts as long as that is so.
    pub(super) fn node(&mut self, node: &DashboardNode) -> String {
        let id = node.id.to_string();
        let label: String = match node.label.as_str() {
            "" => format!("{} node", node.scheme),
            label => label.chars().take(LONGEST).collect(),
        };
        let is_cut = label.len() < node.label.len();
        if !node.shares_label && !is_cut && !node.label.is_empty() && self.0.insert(label.clone()) {
            return label;
        }
        let name = format!("{label} #{}", id.get(..6).unwrap_or(&id));
        if self.0.insert(name.clone()) {
            return name;
        }
        // The whole id occurs once.
        format!("{label} #{id}")
    }
}
