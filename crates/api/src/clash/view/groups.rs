//! Groups: the whole pool, countries and sources, with what is selected in each.

use std::collections::{BTreeMap, BTreeSet};

use hezar_core::{Country, Group, GroupMember, SourceName};

use super::{
    super::names::{AUTO, GLOBAL, POOL, UniqueNames},
    NodeView, PoolView,
};
use crate::DashboardPool;

/// The most countries that become groups: those with the most nodes.
const MOST_COUNTRIES: usize = 60;
/// The most sources that become groups: those with the most nodes that work.
const MOST_SOURCES: usize = 60;
/// The most nodes that the group of a country or a source shows.
const MOST_MEMBERS: usize = 200;
/// The most nodes that [`AUTO`] shows.
const MOST_AUTO: usize = 20;

/// A group as a dashboard shows it.
#[derive(Debug)]
pub(in super::super) struct GroupView {
    pub(in super::super) name: String,
    /// What it stands for; `None` for [`AUTO`] and [`GLOBAL`], in which nothing can be selected.
    pub(in super::super) group: Option<Group>,
    /// The names of its members; the selected one is in front of all that the group holds but [`AUTO`].
    pub(in super::super) members: Vec<String>,
    /// The selected member; [`AUTO`] when nothing is selected, or it cannot serve now.
    pub(in super::super) now: Option<String>,
}

/// The countries and sources that become groups, and what is selected.
pub(super) struct Parts {
    countries: BTreeMap<Country, String>,
    /// The sources with the indices of their providers, which have the same names.
    sources: Vec<(SourceName, usize)>,
    selections: Vec<(Group, GroupMember)>,
}

impl Parts {
    /// Chooses the countries and names them.
    pub(super) fn new(pool: &DashboardPool, names: &mut UniqueNames) -> Self {
        let name = |country: Country| (country, names.group(&String::from_utf8_lossy(&country)));
        Self {
            countries: shown_countries(pool).into_iter().map(name).collect(),
            sources: shown_sources(pool),
            selections: pool.selections.clone(),
        }
    }

    /// Every group, in the order on the screen.
    pub(super) fn groups(&self, view: &PoolView) -> Vec<GroupView> {
        let of_source =
            |(source, at): &(SourceName, usize)| Some((source.clone(), view.providers.get(*at)?.name.clone()));
        let sources: Vec<(SourceName, String)> = self.sources.iter().filter_map(of_source).collect();
        let parts: Vec<String> =
            self.countries.values().cloned().chain(sources.iter().map(|(_, name)| name.clone())).collect();
        let all = view.nodes.iter().map(|node| node.name.clone());
        let best = view.nodes.iter().filter(|node| node.node.alive).map(|node| node.name.clone()).take(MOST_AUTO);
        let named = |name: &str| name.to_owned();
        let mut groups = vec![
            GroupView {
                name: named(GLOBAL),
                group: None,
                members: [POOL, AUTO].map(named).into_iter().chain(parts.iter().cloned()).collect(),
                now: Some(named(POOL)),
            },
            self.selector(view, POOL, Group::Pool, parts.iter().cloned().chain(all).collect()),
            GroupView { name: named(AUTO), group: None, members: best.collect(), now: None },
        ];
        let (mut by_country, mut by_source) = self.members(view);
        for (country, name) in &self.countries {
            let members = by_country.remove(country).unwrap_or_default();
            groups.push(self.selector(view, name, Group::Country(*country), members));
        }
        for (source, name) in &sources {
            let members = by_source.remove(source).unwrap_or_default();
            groups.push(self.selector(view, name, Group::Source(source.clone()), members));
        }
        groups
    }

    /// A group in which these members can be selected.
    fn selector(&self, view: &PoolView, name: &str, group: Group, members: Vec<String>) -> GroupView {
        let now = self.selected(view, &group);
        let others = members.into_iter().filter(|name| Some(name) != now.as_ref());
        let members = [AUTO.to_owned()].into_iter().chain(now.clone()).chain(others).collect();
        GroupView { name: name.to_owned(), group: Some(group), members, now: Some(now.unwrap_or(AUTO.to_owned())) }
    }

    /// The name of what is selected in a group, unless it cannot serve now.
    fn selected(&self, view: &PoolView, group: &Group) -> Option<String> {
        let (_, member) = self.selections.iter().find(|(of, _)| of == group)?;
        match member {
            GroupMember::Node(id) => view.by_id(*id).filter(|node| node.node.alive).map(|node| node.name.clone()),
            GroupMember::Country(country) => self.countries.get(country).cloned(),
            GroupMember::Source(source) => {
                let (_, at) = self.sources.iter().find(|(of, _)| of == source)?;
                view.providers.get(*at).map(|provider| provider.name.clone())
            }
        }
    }

    /// The names of the first nodes of each country and each source.
    fn members(&self, view: &PoolView) -> (BTreeMap<Country, Vec<String>>, BTreeMap<SourceName, Vec<String>>) {
        let (mut by_country, mut by_source) = (BTreeMap::new(), BTreeMap::new());
        let shown: BTreeSet<&SourceName> = self.sources.iter().map(|(source, _)| source).collect();
        for node in &view.nodes {
            if let Some(country) = node.node.country.filter(|_| node.node.alive) {
                add(by_country.entry(country).or_default(), node);
            }
            for source in node.node.sources.iter().filter(|source| shown.contains(source)) {
                add(by_source.entry(source.clone()).or_default(), node);
            }
        }
        (by_country, by_source)
    }
}

fn add(members: &mut Vec<String>, node: &NodeView) {
    if members.len() < MOST_MEMBERS {
        members.push(node.name.clone());
    }
}

/// The countries with the most nodes, and those in which something is selected.
fn shown_countries(pool: &DashboardPool) -> BTreeSet<Country> {
    let mut countries = pool.countries.clone();
    countries.sort_by_key(|(country, nodes)| (std::cmp::Reverse(*nodes), *country));
    let most = countries.iter().take(MOST_COUNTRIES).map(|(country, _)| *country);
    let selected = pool.selections.iter().flat_map(|(group, member)| {
        let group = if let Group::Country(country) = group { Some(*country) } else { None };
        let member = if let GroupMember::Country(country) = member { Some(*country) } else { None };
        [group, member].into_iter().flatten()
    });
    most.chain(selected).collect()
}

/// The sources with the most nodes that work, and those in which something is selected, in the order of the configuration.
fn shown_sources(pool: &DashboardPool) -> Vec<(SourceName, usize)> {
    let mut by_health: Vec<usize> = (0..pool.sources.len()).collect();
    by_health.sort_by_key(|index| std::cmp::Reverse(pool.sources.get(*index).map(|source| source.healthy)));
    let mut shown: BTreeSet<usize> = by_health.into_iter().take(MOST_SOURCES).collect();
    let selected = |name: &str| {
        pool.selections.iter().any(|(group, member)| {
            matches!(group, Group::Source(source) if **source == *name)
                || matches!(member, GroupMember::Source(source) if **source == *name)
        })
    };
    let of_selections = pool.sources.iter().enumerate().filter(|(_, source)| selected(&source.name));
    shown.extend(of_selections.map(|(index, _)| index));
    let named = |index: usize| pool.sources.get(index).map(|source| (source.name.as_str().into(), index));
    shown.into_iter().filter_map(named).collect()
}
