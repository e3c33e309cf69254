//! The list of nodes: filters, orders and parts, over one snapshot of the pool.

use std::{collections::HashMap, net::IpAddr, sync::Arc};

use hezar_api::{ApiError, NodeDto, NodesFilter, NodesPage, NodesQuery};
use hezar_core::{Host, NodeId};
use hezar_pool::{Anonymity, Country, Node, Snapshot, State};

use super::{
    connections::read_address,
    exits::micros,
    nodes::read_country,
    parts::{Order, PartQuery, Place, SortValue, cut},
};
use crate::nodes::{Payload, state_name};

/// The orders, the default in front.
const ORDERS: &[&str] =
    &["id", "best", "latency", "country", "name", "checked", "success", "traffic", "throughput", "state", "in_flight"];
/// The states that a filter may name.
const STATES: [&str; 7] = ["new", "healthy", "suspect", "dead", "unsupported", "quarantined", "disabled"];

/// The filters of one query, read once.
pub(crate) struct Filter {
    state: Option<&'static str>,
    scheme: Option<String>,
    source: Option<String>,
    country: Option<Country>,
    asn: Option<u32>,
    anonymity: Option<Anonymity>,
    search: Option<String>,
    tag: Option<String>,
    exit: Option<IpAddr>,
}

impl Filter {
    pub(crate) fn new(filter: &NodesFilter) -> Result<Self, ApiError> {
        let state = filter.state.as_deref().map(|asked| {
            STATES
                .into_iter()
                .find(|state| *state == asked)
                .ok_or_else(|| ApiError::BadRequest(format!("state {asked:?} is not one of {}", STATES.join(", "))))
        });
        let anonymity = filter
            .anonymity
            .as_deref()
            .map(|text| text.parse().map_err(|error| ApiError::BadRequest(format!("anonymity {text:?}: {error}"))));
        Ok(Self {
            state: state.transpose()?,
            scheme: filter.scheme.clone(),
            source: filter.source.clone(),
            country: filter.country.as_deref().map(read_country).transpose()?,
            asn: filter.asn,
            anonymity: anonymity.transpose()?,
            search: filter.search.as_ref().map(|text| text.to_lowercase()).filter(|text| !text.is_empty()),
            tag: filter.tag.clone(),
            exit: filter.exit.as_deref().map(read_address).transpose()?,
        })
    }

    pub(crate) fn fits(&self, node: &Node<Payload>) -> bool {
        self.state.is_none_or(|state| state_name(node) == state)
            && self.scheme.as_deref().is_none_or(|scheme| node.spec().scheme() == scheme)
            && self.country.is_none_or(|country| node.country() == Some(country))
            && self.asn.is_none_or(|asn| node.asn().is_some_and(|known| known.get() == asn))
            && self.anonymity.is_none_or(|level| node.anonymity() == Some(level))
            && self.source.as_deref().is_none_or(|source| node.listed_by(source))
            && self.tag.as_deref().is_none_or(|tag| node.has_tag(tag))
            && self.exit.is_none_or(|exit| node.exit_ip() == Some(exit))
            && self.search.as_deref().is_none_or(|text| is_found(node, text))
    }
}

/// Whether the label or the server of a node contains a text, which is in lower case.
fn is_found(node: &Node<Payload>, text: &str) -> bool {
    let server = &node.spec().server;
    let at_server = match server.host() {
        Host::Name(name) if !text.contains(':') => name.as_str().contains(text),
        // Only a text of these characters can be a part of an address.
        Host::Ip(_) if !text.bytes().all(|byte| byte.is_ascii_hexdigit() || b".:[]".contains(&byte)) => false,
        _ => server.to_string().contains(text),
    };
    at_server || contains_ignoring_case(node.label().as_str(), text)
}

/// Whether a text contains another one, which is in lower case.
fn contains_ignoring_case(text: &str, lower: &str) -> bool {
    if !lower.is_ascii() {
        return text.to_lowercase().contains(lower);
    }
    text.as_bytes().windows(lower.len()).any(|part| part.eq_ignore_ascii_case(lower.as_bytes()))
}

/// One page of the nodes that fit.
pub(crate) fn page(
    snapshot: &Snapshot<Payload>,
    query: &NodesQuery,
    bytes: &HashMap<NodeId, (u64, u64)>,
    show: impl Fn(&Node<Payload>) -> NodeDto,
) -> Result<NodesPage, ApiError> {
    let (filter, order) = (Filter::new(&query.filter())?, Order::read(query.sort.as_deref(), ORDERS)?);
    let skip = if query.cursor.is_some() { 0 } else { query.offset.unwrap_or(0) };
    let entries = snapshot
        .nodes()
        .filter(|node| filter.fits(node))
        .map(|node| (Place { value: value(order, node, bytes), id: number(node) }, node));
    let part = PartQuery { order, cursor: query.cursor.as_deref(), skip, limit: query.page_size() };
    let part = cut(entries, &part)?;
    let nodes = part.items.into_iter().map(|node| with_bytes(show(node), bytes.get(&node.id()))).collect();
    Ok(NodesPage { total: part.total, offset: skip, nodes, next: part.next })
}

/// The id as two numbers, in which cursors can be written.
fn number(node: &Node<Payload>) -> (u64, u64) {
    let number = u128::from_be_bytes(*node.id().as_bytes());
    ((number >> 64) as u64, number as u64)
}

/// The node with what it has carried.
pub(super) fn with_bytes(node: NodeDto, bytes: Option<&(u64, u64)>) -> NodeDto {
    let (up, down) = bytes.copied().unwrap_or_default();
    NodeDto { up, down, ..node }
}

fn value(order: Order, node: &Arc<Node<Payload>>, bytes: &HashMap<NodeId, (u64, u64)>) -> Option<SortValue> {
    let number = match order.name {
        "best" => {
            let latency = node.latency().map_or(u64::MAX, micros).min(u64::from(u32::MAX));
            u64::from(rank(node)) << 32 | latency
        }
        "latency" => micros(node.latency()?),
        "country" => u64::from(u16::from_be_bytes(node.country()?)),
        "name" => return Some(SortValue::Text(node.label().as_str().to_lowercase())),
        // The last check in front.
        "checked" => u64::MAX - node.record().last_checked?.0,
        "success" => {
            node.record().last_checked?;
            ((1.0 - node.error_rate()) * 1e6) as u64
        }
        "traffic" => bytes.get(&node.id()).map_or(0, |(up, down)| up.saturating_add(*down)),
        "throughput" => node.throughput()? as u64,
        "state" => u64::from(rank(node)),
        "in_flight" => u64::from(node.in_flight()),
        _ => return None,
    };
    Some(SortValue::Number(number))
}

/// The better, the smaller.
pub(super) fn rank(node: &Node<Payload>) -> u8 {
    if node.disabled() {
        return 6;
    }
    if node.unsupported().is_some() {
        return 5;
    }
    if node.quarantine().is_some() {
        return 4;
    }
    match node.state() {
        State::Healthy => 0,
        State::Suspect => 1,
        State::New => 2,
        State::Dead => 3,
    }
}

#[cfg(test)]
mod tests;
