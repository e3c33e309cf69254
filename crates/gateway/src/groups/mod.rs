//! The node, country or source that a person has selected in a group of nodes: requests leave through it first.
//!
//! A selection concerns requests that name no session. A selection in the pool concerns requests that name no country. A
//! selection in a country's group concerns requests that ask for this country, and those that name no country while the country
//! is selected in the pool.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
};

use arc_swap::ArcSwap;
use hezar_core::{Country, Group, GroupMember, NodeId, SourceName};
use hezar_pool::{Filter, FilterId, Pool, Term};
use parking_lot::Mutex;
use thiserror::Error;

#[cfg(test)]
mod tests;

/// Why nothing was selected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SelectionError {
    /// Only a node can be selected in the group of a country or a source.
    #[error("only a node can be selected in the group of a country or of a source")]
    NotAMember,
    /// The node's exit is not in the country, or the source does not list it.
    #[error("the group does not hold this node")]
    ForeignNode,
    /// There are as many selections as there may be.
    #[error("there are {} selections, and there may be no more", GroupSelections::MOST)]
    TooMany,
}

/// What is selected, by group.
#[derive(Clone, Debug, Default)]
struct Table {
    members: BTreeMap<Group, GroupMember>,
    /// The filter of the source that is selected in the pool.
    filter: Option<(SourceName, FilterId)>,
}

/// Every selection. Reading takes no lock.
#[derive(Debug, Default)]
pub struct GroupSelections {
    table: ArcSwap<Table>,
    /// Held while something is selected.
    changing: Mutex<()>,
    strict: AtomicBool,
}

/// What is selected for requests of one kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Selected {
    pub(crate) country: Option<Country>,
    /// Lets the nodes of a source through.
    pub(crate) filter: Option<FilterId>,
    pub(crate) node: Option<NodeId>,
}

impl Selected {
    /// Whether a part of the pool is selected.
    pub(crate) const fn is_part(&self) -> bool {
        self.country.is_some() || self.filter.is_some()
    }

    /// Whether anything is selected.
    pub(crate) const fn is_any(&self) -> bool {
        self.is_part() || self.node.is_some()
    }
}

impl GroupSelections {
    /// The most selections at a time: one for the pool, and one for each country and source.
    pub const MOST: usize = 1024;

    /// Whether a request fails when what is selected cannot serve it; otherwise it leaves through the whole pool.
    #[must_use]
    pub fn is_strict(&self) -> bool {
        self.strict.load(Relaxed)
    }

    /// Changes [`GroupSelections::is_strict`].
    pub fn set_strict(&self, strict: bool) {
        self.strict.store(strict, Relaxed);
    }

    /// What is selected in each group.
    #[must_use]
    pub fn list(&self) -> Vec<(Group, GroupMember)> {
        self.table.load().members.iter().map(|(group, member)| (group.clone(), member.clone())).collect()
    }

    /// What is selected in a group.
    #[must_use]
    pub fn get(&self, group: &Group) -> Option<GroupMember> {
        self.table.load().members.get(group).cloned()
    }

    /// Whether nothing is selected anywhere.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.table.load().members.is_empty()
    }

    /// Selects a member of a group for every request from now on; `None` selects the whole group again. The node need not
    /// be there or work now.
    ///
    /// # Errors
    /// [`SelectionError`]; then nothing has changed.
    pub fn select<D>(&self, pool: &Pool<D>, group: &Group, member: Option<GroupMember>) -> Result<(), SelectionError>
    where
        D: Clone + Send + Sync + 'static,
    {
        if let Some(member) = &member {
            check(pool, group, member)?;
        }
        let _changing = self.changing.lock();
        let mut table = Table::clone(&self.table.load());
        let is_new = member.is_some() && !table.members.contains_key(group);
        if is_new && table.members.len() >= Self::MOST {
            return Err(SelectionError::TooMany);
        }
        let made = match (group, &member) {
            (Group::Pool, Some(GroupMember::Source(source))) => {
                let filter = Filter { term: Term::Source(vec![source.clone()]), max_latency: None, top: None };
                Some((source.clone(), pool.add_filter(filter).map_err(|_| SelectionError::TooMany)?))
            }
            _ => None,
        };
        if *group == Group::Pool
            && let Some((_, old)) = std::mem::replace(&mut table.filter, made)
        {
            pool.remove_filter(old);
        }
        match member {
            None => table.members.remove(group),
            Some(member) => table.members.insert(group.clone(), member),
        };
        self.table.store(Arc::new(table));
        Ok(())
    }

    /// What is selected for requests that name no country.
    pub(crate) fn selected_in_pool(&self) -> Selected {
        let table = self.table.load();
        match table.members.get(&Group::Pool) {
            None => Selected::default(),
            Some(GroupMember::Node(node)) => Selected { node: Some(*node), ..Selected::default() },
            Some(GroupMember::Country(country)) => {
                Selected { country: Some(*country), ..table.node_of(&Group::Country(*country)) }
            }
            Some(GroupMember::Source(source)) => {
                let filter = table.filter.as_ref().filter(|(name, _)| name == source).map(|(_, id)| *id);
                Selected { filter, ..table.node_of(&Group::Source(source.clone())) }
            }
        }
    }

    /// What is selected for requests that ask for a country.
    pub(crate) fn selected_in_country(&self, country: Country) -> Selected {
        self.table.load().node_of(&Group::Country(country))
    }
}

impl Table {
    /// The node that is selected in a group.
    fn node_of(&self, group: &Group) -> Selected {
        match self.members.get(group) {
            Some(GroupMember::Node(node)) => Selected { node: Some(*node), ..Selected::default() },
            _ => Selected::default(),
        }
    }
}

/// Whether a member may be selected in a group. Of a node that is not in the pool nothing is known.
fn check<D>(pool: &Pool<D>, group: &Group, member: &GroupMember) -> Result<(), SelectionError>
where
    D: Clone + Send + Sync + 'static,
{
    let GroupMember::Node(id) = member else {
        return if *group == Group::Pool { Ok(()) } else { Err(SelectionError::NotAMember) };
    };
    let Some(node) = pool.node(*id) else { return Ok(()) };
    let holds = match group {
        Group::Pool => true,
        Group::Country(country) => node.country() == Some(*country),
        Group::Source(source) => node.listed_by(source),
    };
    if holds { Ok(()) } else { Err(SelectionError::ForeignNode) }
}
