//! The pool in a dashboard's words: groups, providers and nodes by name, made at most once a second for all readers.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::Duration,
};

use hezar_core::{Country, Group, GroupMember, NodeId, SourceName};
use tokio::{sync::Mutex, time::Instant};

use super::{
    names::{AUTO, GLOBAL, POOL, UniqueNames},
    proxy,
};
use crate::{ApiError, DashboardInstance, DashboardNode, DashboardPool, SourceDto, state::ApiState};

/// How old a view may be.
const AGE: Duration = Duration::from_secs(1);
/// A view that takes long to make is kept for so many times as long.
const AGE_IN_COSTS: u32 = 10;
/// The most countries that become groups: those with the most nodes.
const MOST_COUNTRIES: usize = 60;
/// The most nodes that the group of a country or a source shows.
const MOST_MEMBERS: usize = 200;
/// The most nodes that [`AUTO`] shows.
const MOST_AUTO: usize = 20;
/// The provider of nodes that no source lists any more.
const UNLISTED: &str = "unlisted";

/// A group as a dashboard shows it.
#[derive(Debug)]
pub(super) struct GroupView {
    pub(super) name: String,
    /// What it stands for; `None` for [`AUTO`] and [`GLOBAL`], in which nothing can be selected.
    pub(super) group: Option<Group>,
    /// The names of its members; the selected one is in front of all that the group holds but [`AUTO`].
    pub(super) members: Vec<String>,
    /// The selected member; [`AUTO`] when nothing is selected, or it cannot serve now.
    pub(super) now: Option<String>,
}

/// A source as a dashboard shows it.
#[derive(Debug)]
pub(super) struct ProviderView {
    pub(super) name: String,
    /// `None` for nodes that no source lists.
    pub(super) source: Option<SourceDto>,
    /// Indices of its nodes.
    pub(super) nodes: Vec<usize>,
}

/// A node with its name.
#[derive(Debug)]
pub(super) struct NodeView {
    pub(super) name: String,
    pub(super) node: DashboardNode,
    /// The name of the provider that shows it.
    pub(super) provider: String,
}

/// The pool at a moment.
#[derive(Debug)]
pub(super) struct PoolView {
    pub(super) nodes: Vec<NodeView>,
    pub(super) groups: Vec<GroupView>,
    pub(super) providers: Vec<ProviderView>,
    pub(super) instance: DashboardInstance,
    by_name: HashMap<String, usize>,
    by_id: HashMap<NodeId, usize>,
    pub(super) bodies: proxy::Bodies,
}

/// The last view that was made.
#[derive(Debug, Default)]
pub(super) struct ViewCache(Mutex<Option<Made>>);

#[derive(Debug)]
struct Made {
    at: Instant,
    /// How long that took.
    cost: Duration,
    view: Arc<PoolView>,
    /// Something that it shows has changed.
    is_stale: bool,
}

impl ViewCache {
    /// The view; who asks while it is made waits for it.
    pub(super) async fn get(&self, api: &ApiState) -> Result<Arc<PoolView>, ApiError> {
        let mut last = self.0.lock().await;
        if let Some(Made { at, cost, view, is_stale }) = &*last {
            let dear = *cost * AGE_IN_COSTS;
            if at.elapsed() < if *is_stale { dear } else { dear.max(AGE) } {
                return Ok(Arc::clone(view));
            }
        }
        let begun = Instant::now();
        let view = api.off_thread(|control| {
            let instance = control.dashboard_instance();
            PoolView::new(control.dashboard_pool(instance.settings.nodes), instance)
        });
        let view = Arc::new(view.await?);
        *last = Some(Made { at: Instant::now(), cost: begun.elapsed(), view: Arc::clone(&view), is_stale: false });
        Ok(view)
    }

    /// Lets the next reader see what has changed.
    pub(super) async fn clear(&self) {
        *self.0.lock().await = None;
    }

    /// Lets readers see soon what a test has shown; there may be many tests a second.
    pub(super) async fn expire(&self) {
        if let Some(made) = &mut *self.0.lock().await {
            made.is_stale = true;
        }
    }
}

impl PoolView {
    pub(super) fn new(pool: DashboardPool, instance: DashboardInstance) -> Self {
        let mut names = UniqueNames::new();
        let countries = shown_countries(&pool);
        let countries: BTreeMap<Country, String> =
            countries.into_iter().map(|country| (country, names.group(&String::from_utf8_lossy(&country)))).collect();
        let sources: Vec<(SourceName, String)> =
            pool.sources.iter().map(|source| (source.name.as_str().into(), names.group(&source.name))).collect();
        let unlisted = names.group(UNLISTED);
        let provider_of = |node: &DashboardNode| {
            let first = sources.iter().find(|(source, _)| node.sources.contains(source));
            first.map_or(&unlisted, |(_, name)| name).clone()
        };
        let nodes: Vec<NodeView> = pool
            .nodes
            .into_iter()
            .map(|node| NodeView { name: names.node(&node), provider: provider_of(&node), node })
            .collect();
        let by_name = nodes.iter().enumerate().map(|(index, node)| (node.name.clone(), index)).collect();
        let by_id = nodes.iter().enumerate().map(|(index, node)| (node.node.id, index)).collect();
        let mut view = Self {
            nodes,
            groups: Vec::new(),
            providers: Vec::new(),
            instance,
            by_name,
            by_id,
            bodies: proxy::Bodies::default(),
        };
        view.groups = view.make_groups(&pool.selections, &countries, &sources);
        view.providers = view.make_providers(pool.sources, &sources, &unlisted);
        view.bodies = proxy::bodies(&view);
        view
    }

    fn make_groups(
        &self,
        selections: &[(Group, GroupMember)],
        countries: &BTreeMap<Country, String>,
        sources: &[(SourceName, String)],
    ) -> Vec<GroupView> {
        let selected = |group: &Group| selections.iter().find(|(of, _)| of == group).map(|(_, member)| member);
        let now = |group: &Group| match selected(group) {
            Some(GroupMember::Node(id)) => self.by_id(*id).filter(|node| node.node.alive).map(|node| node.name.clone()),
            Some(GroupMember::Country(country)) => countries.get(country).cloned(),
            Some(GroupMember::Source(source)) => named(sources, source),
            None => None,
        };
        let parts: Vec<String> =
            countries.values().cloned().chain(sources.iter().map(|(_, name)| name.clone())).collect();
        let selector = |name: &str, group: Group, parts: &[String], nodes: Vec<String>| {
            let now = now(&group);
            let in_front = [Some(AUTO.to_owned()), now.clone()].into_iter().flatten();
            let others = parts.iter().cloned().chain(nodes).filter(|name| Some(name) != now.as_ref());
            let members = in_front.chain(others).collect();
            GroupView { name: name.to_owned(), group: Some(group), members, now: Some(now.unwrap_or(AUTO.to_owned())) }
        };
        let fitting = |most: usize, fits: &dyn Fn(&DashboardNode) -> bool| {
            self.nodes.iter().filter(|node| fits(&node.node)).map(|node| node.name.clone()).take(most).collect()
        };
        let global = [POOL, AUTO].into_iter().map(str::to_owned).chain(parts.iter().cloned()).collect();
        let mut groups = vec![
            GroupView { name: GLOBAL.to_owned(), group: None, members: global, now: Some(POOL.to_owned()) },
            selector(POOL, Group::Pool, &parts, fitting(usize::MAX, &|_| true)),
            GroupView {
                name: AUTO.to_owned(),
                group: None,
                members: fitting(MOST_AUTO, &|node| node.alive),
                now: None,
            },
        ];
        for (country, name) in countries {
            let nodes = fitting(MOST_MEMBERS, &|node| node.alive && node.country == Some(*country));
            groups.push(selector(name, Group::Country(*country), &[], nodes));
        }
        for (source, name) in sources {
            let nodes = fitting(MOST_MEMBERS, &|node| node.sources.contains(source));
            groups.push(selector(name, Group::Source(source.clone()), &[], nodes));
        }
        groups
    }

    fn make_providers(
        &self,
        sources: Vec<SourceDto>,
        names: &[(SourceName, String)],
        unlisted: &str,
    ) -> Vec<ProviderView> {
        let mut nodes: HashMap<&str, Vec<usize>> = HashMap::new();
        for (index, node) in self.nodes.iter().enumerate() {
            nodes.entry(node.provider.as_str()).or_default().push(index);
        }
        let mut providers: Vec<ProviderView> = sources
            .into_iter()
            .zip(names)
            .map(|(source, (_, name))| ProviderView {
                name: name.clone(),
                source: Some(source),
                nodes: nodes.remove(name.as_str()).unwrap_or_default(),
            })
            .collect();
        if let Some(nodes) = nodes.remove(unlisted) {
            providers.push(ProviderView { name: unlisted.to_owned(), source: None, nodes });
        }
        providers
    }

    /// The node of this name.
    pub(super) fn node(&self, name: &str) -> Option<&NodeView> {
        self.nodes.get(*self.by_name.get(name)?)
    }

    /// The node of this identity, if it is shown.
    pub(super) fn by_id(&self, id: NodeId) -> Option<&NodeView> {
        self.nodes.get(*self.by_id.get(&id)?)
    }

    /// The group of this name.
    pub(super) fn group(&self, name: &str) -> Option<&GroupView> {
        self.groups.iter().find(|group| group.name == name)
    }

    /// The provider of this name.
    pub(super) fn provider(&self, name: &str) -> Option<&ProviderView> {
        self.providers.iter().find(|provider| provider.name == name)
    }

    /// What a name means in a group: `Ok(None)` for [`AUTO`], `Err` when the group does not hold it.
    pub(super) fn member(&self, group: &Group, name: &str) -> Result<Option<GroupMember>, ()> {
        if name == AUTO {
            return Ok(None);
        }
        if let Some(node) = self.node(name) {
            return Ok(Some(GroupMember::Node(node.node.id)));
        }
        match (group, self.group(name).and_then(|part| part.group.clone())) {
            (Group::Pool, Some(Group::Country(country))) => Ok(Some(GroupMember::Country(country))),
            (Group::Pool, Some(Group::Source(source))) => Ok(Some(GroupMember::Source(source))),
            _ => Err(()),
        }
    }
}

fn named(sources: &[(SourceName, String)], source: &SourceName) -> Option<String> {
    sources.iter().find(|(of, _)| of == source).map(|(_, name)| name.clone())
}

/// The countries with the most nodes, and those in which something is selected.
fn shown_countries(pool: &DashboardPool) -> Vec<Country> {
    let mut countries = pool.countries.clone();
    countries.sort_by_key(|(country, nodes)| (std::cmp::Reverse(*nodes), *country));
    let mut shown: Vec<Country> = countries.iter().take(MOST_COUNTRIES).map(|(country, _)| *country).collect();
    for (group, member) in &pool.selections {
        for country in [
            if let Group::Country(country) = group { Some(*country) } else { None },
            if let GroupMember::Country(country) = member { Some(*country) } else { None },
        ]
        .into_iter()
        .flatten()
        {
            if !shown.contains(&country) {
                shown.push(country);
            }
        }
    }
    shown
}
