//! The pool in a dashboard's words: groups, providers and nodes by name.

mod cache;
mod groups;
mod providers;

use std::collections::HashMap;

use hezar_core::{Group, GroupMember, NodeId};

use super::{
    long_answers::LongAnswers,
    names::{AUTO, UniqueNames},
};
use crate::{DashboardInstance, DashboardNode, DashboardPool};
use groups::Parts;
use providers::{Providers, without_hidden};

pub(super) use cache::{CachedView, ViewCache};
pub(super) use groups::GroupView;
pub(super) use providers::ProviderView;

/// A node with its name.
#[derive(Debug)]
pub(super) struct NodeView {
    pub(super) name: String,
    pub(super) node: DashboardNode,
    /// The index of the provider that shows it.
    provider: usize,
}

/// The nodes of a view at a moment, with every group and provider.
#[derive(Debug)]
pub(super) struct PoolView {
    /// The best ones in front.
    pub(super) nodes: Vec<NodeView>,
    pub(super) groups: Vec<GroupView>,
    pub(super) providers: Vec<ProviderView>,
    pub(super) instance: DashboardInstance,
    pub(super) answers: LongAnswers,
    by_name: HashMap<String, usize>,
    by_id: HashMap<NodeId, usize>,
}

impl PoolView {
    pub(super) fn new(pool: DashboardPool, instance: DashboardInstance) -> Self {
        let mut names = UniqueNames::new();
        let parts = Parts::new(&pool, &mut names);
        let mut providers = Providers::new(pool.sources, &pool.nodes, &mut names);
        let mut nodes = Vec::with_capacity(pool.nodes.len());
        for (index, node) in pool.nodes.into_iter().enumerate() {
            let provider = providers.of_node(&node);
            if let Some(provider) = providers.list.get_mut(provider) {
                provider.nodes.push(index);
            }
            nodes.push(NodeView { name: names.node(&node), provider, node });
        }
        // The provider of nodes without a source is only shown when there are any.
        providers.list.retain(|provider| provider.source.is_some() || !provider.nodes.is_empty());
        let mut view = Self {
            by_name: nodes.iter().enumerate().map(|(index, node)| (node.name.clone(), index)).collect(),
            by_id: nodes.iter().enumerate().map(|(index, node)| (node.node.id, index)).collect(),
            nodes,
            groups: Vec::new(),
            providers: providers.list,
            instance,
            answers: LongAnswers::default(),
        };
        view.groups = parts.groups(&view);
        view.answers = LongAnswers::new(&view);
        view
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

    /// The provider of this name, also when the name tells another number of hidden nodes.
    pub(super) fn provider(&self, name: &str) -> Option<&ProviderView> {
        let is_named = |name: &str| self.providers.iter().find(|provider| provider.name == name);
        is_named(name).or_else(|| is_named(without_hidden(name)))
    }

    /// The name of the provider that shows a node.
    pub(super) fn provider_of(&self, node: &NodeView) -> &str {
        self.providers.get(node.provider).map(|provider| &*provider.name_with_hidden).unwrap_or_default()
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
