//! In which order the API lists nodes.

use std::{cmp::Reverse, sync::Arc};

use hezar_api::ApiError;
use hezar_pool::{Node, State};

use crate::nodes::Payload;

/// An order of nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    /// As they are stored.
    Stored,
    /// Those that work in front, the fastest first.
    Best,
    Latency,
    Country,
    Name,
    /// The last check in front.
    Checked,
}

const NAMES: [(&str, Order); 5] = [
    ("best", Order::Best),
    ("latency", Order::Latency),
    ("country", Order::Country),
    ("name", Order::Name),
    ("checked", Order::Checked),
];

/// Reads the parameter `sort`.
pub(crate) fn read(text: Option<&str>) -> Result<Order, ApiError> {
    let Some(text) = text else { return Ok(Order::Stored) };
    let found = NAMES.iter().find(|(name, _)| *name == text).map(|(_, order)| *order);
    found.ok_or_else(|| {
        let known = NAMES.map(|(name, _)| name).join(", ");
        ApiError::BadRequest(format!("sort {text:?} is not one of {known}"))
    })
}

impl Order {
    /// Sorts nodes; what has no value for the order comes last, and equal ones stay as they are stored.
    pub(crate) fn sort(self, nodes: &mut [&Arc<Node<Payload>>]) {
        match self {
            Self::Stored => {}
            Self::Best => nodes.sort_by_cached_key(|node| (rank(node), latency(node))),
            Self::Latency => nodes.sort_by_cached_key(|node| latency(node)),
            Self::Country => nodes.sort_by_cached_key(|node| node.country().map_or([u8::MAX; 2], |country| country)),
            Self::Name => nodes.sort_by_cached_key(|node| node.label().as_str().to_lowercase()),
            Self::Checked => nodes.sort_by_cached_key(|node| Reverse(node.record().last_checked)),
        }
    }
}

fn latency(node: &Node<Payload>) -> u128 {
    node.record().latency.map_or(u128::MAX, |latency| latency.as_micros())
}

/// The better, the smaller.
fn rank(node: &Node<Payload>) -> u8 {
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
