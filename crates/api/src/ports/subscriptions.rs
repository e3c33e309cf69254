//! Subscriptions that this instance gives out.

use std::{collections::BTreeMap, time::Duration};

use hezar_core::Secret;

use crate::{ApiError, SubscriptionTarget, UserLinksDto, UserLinksQuery};

/// What is asked of a subscription. It narrows down what the subscription itself gives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubscriptionAsked {
    /// The name of the subscription.
    pub name: String,
    /// The form.
    pub target: SubscriptionTarget,
    /// Whether the links of encrypted listeners are asked for in the place of nodes; absent = as the subscription says.
    pub inbounds: Option<bool>,
    /// Two-letter codes of countries; empty = any.
    pub countries: Vec<String>,
    /// Link schemes; empty = any.
    pub schemes: Vec<String>,
    /// Names of sources; empty = any.
    pub sources: Vec<String>,
    /// A tag expression, as listeners have them.
    pub tags: Option<String>,
    /// The longest latency, such as `500ms`.
    pub max_latency: Option<String>,
    /// The most nodes.
    pub top: Option<usize>,
}

/// How much the user of a subscription has moved and may move.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SubscriptionUser {
    /// Bytes from the user.
    pub upload: u64,
    /// Bytes to the user.
    pub download: u64,
    /// Bytes that may be moved in all; absent = any number.
    pub total: Option<u64>,
    /// When the user expires, in seconds since the Unix epoch; absent = never.
    pub expires: Option<u64>,
}

/// A subscription as it is given out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubscriptionText {
    /// The text.
    pub text: String,
    /// A hash of the text, of letters and digits.
    pub tag: String,
    /// How many nodes are in it.
    pub nodes: usize,
    /// How many are missing because the client would not take them, for each reason.
    pub left_out: BTreeMap<&'static str, usize>,
    /// What clients call it.
    pub title: String,
    /// How often clients should read it.
    pub update_every: Duration,
    /// Of the user that it belongs to.
    pub user: Option<SubscriptionUser>,
}

/// Subscriptions that this instance gives out.
pub trait SubscriptionsPort: Send + Sync + 'static {
    /// The name of the subscription with this token. It takes as long for an unknown token as for a known one.
    fn subscription(&self, token: &str) -> Option<String>;

    /// The token of a subscription, which is the last part of its address; `None` where it has no address now.
    fn subscription_token(&self, name: &str) -> Option<Secret>;

    /// The nodes of a subscription that work now, the best ones in front.
    ///
    /// # Errors
    /// [`ApiError::BadRequest`] when a value is malformed, [`ApiError::NotFound`] when there is no such subscription any more.
    fn subscription_text(&self, asked: &SubscriptionAsked) -> Result<SubscriptionText, ApiError>;

    /// The links by which a user comes in by encrypted listeners.
    ///
    /// # Errors
    /// [`ApiError::BadRequest`] when a value is malformed, [`ApiError::NotFound`] when there is no such user.
    fn links_of_user(&self, user: &str, query: &UserLinksQuery) -> Result<UserLinksDto, ApiError>;
}
