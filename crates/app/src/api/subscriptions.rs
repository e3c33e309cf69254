//! Subscriptions out: the nodes that work, as clients read them.

use std::{sync::Arc, time::Duration};

use hezar_api::{
    ApiError, Scope, SubscriptionAsked, SubscriptionText, SubscriptionUser, SubscriptionsPort, UserLinksDto,
    UserLinksQuery,
};
use hezar_core::{Label, Secret, State, Timestamp};
use hezar_formats::write::Written;
use hezar_pool::{Filter, Node, Term};

use super::{ApiBackend, manual::is_private};
use crate::{
    client_documents::client_document,
    config::{Config, SubscriptionConfig},
    convert,
    invitations::{self, Invitation, Remark},
    nodes::Payload,
};

impl SubscriptionsPort for ApiBackend {
    fn subscription(&self, token: &str) -> Option<String> {
        let config = self.dashboard.config();
        // Hashes are compared in constant time, and all of them: an unknown token takes as long as a known one.
        let given = blake3::hash(token.as_bytes());
        let stored = self.tokens.caller(token).filter(|caller| caller.scope == Scope::Subscription);
        let mut found = None;
        for subscription in &config.subscriptions {
            let own = subscription.token.as_ref().map(|token| blake3::hash(token.expose().as_bytes()));
            let is_stored = stored.as_ref().is_some_and(|caller| *caller.name == *subscription.name);
            if (own == Some(given) || is_stored) && subscription.enabled {
                found = Some(subscription.name.to_string());
            }
        }
        found
    }

    fn subscription_token(&self, name: &str) -> Option<Secret> {
        let config = self.dashboard.config();
        let found =
            config.subscriptions.iter().find(|subscription| *subscription.name == *name && subscription.enabled);
        found.and_then(|subscription| subscription.token.clone())
    }

    fn subscription_text(&self, asked: &SubscriptionAsked) -> Result<SubscriptionText, ApiError> {
        let config = self.dashboard.config();
        let found = config.subscriptions.iter().find(|subscription| *subscription.name == *asked.name);
        let subscription = found.filter(|subscription| subscription.enabled).ok_or(ApiError::NotFound)?;
        let user = subscription.user.as_deref().map(|name| self.subscription_user(&config, name));
        if asked.inbounds.unwrap_or(subscription.inbounds) {
            return self.inbounds_text(&config, subscription, asked, user);
        }
        let given = convert::subscription(&config, subscription);
        let wanted = wanted(&config, asked)?;
        let (snapshot, now) = (self.pool.snapshot(), self.clock.now());
        let may_use = user.as_ref().is_none_or(|user| user.may_use);
        let fits = |node: &&Arc<Node<Payload>>| {
            may_use
                && node.state() == State::Healthy
                && !node.resting(now)
                && (subscription.allow_private || !is_private(node.spec()))
                && given.fits::<Payload>(node)
                && wanted.fits::<Payload>(node)
        };
        let mut nodes: Vec<&Arc<Node<Payload>>> = snapshot.routable().filter(fits).collect();
        nodes.sort_by_cached_key(|node| (node.latency().unwrap_or(Duration::MAX), node.id()));
        nodes.truncate(asked.top.unwrap_or(usize::MAX).min(subscription.top));
        let labels: Vec<Label> = nodes.iter().map(|node| node.label()).collect();
        let written = client_document(asked.target, nodes.iter().map(|node| node.spec()).zip(&labels));
        Ok(answer(subscription, written, nodes.len(), user))
    }

    fn links_of_user(&self, user: &str, query: &UserLinksQuery) -> Result<UserLinksDto, ApiError> {
        let config = self.dashboard.config();
        invitations::user_of(&config, user).ok_or(ApiError::NotFound)?;
        let owner = self.subscription_user(&config, user);
        let found = self.invitations(&config, user, &remark(invitations::TITLE, owner.told.as_ref()));
        invitations::links_dto(&found, query)
    }
}

/// What is given out of `count` nodes.
fn answer(
    subscription: &SubscriptionConfig,
    written: Written,
    count: usize,
    user: Option<SubscriptionOwner>,
) -> SubscriptionText {
    let (left_out, text) = (written.reasons(), written.text);
    SubscriptionText {
        tag: blake3::hash(text.as_bytes()).to_hex().to_string(),
        text,
        nodes: count - left_out.values().sum::<usize>(),
        left_out,
        title: title(subscription),
        update_every: subscription.interval,
        user: user.and_then(|user| user.told),
    }
}

/// What the names of invitations say of a user.
fn remark(title: &str, user: Option<&SubscriptionUser>) -> Remark {
    let left = |user: &SubscriptionUser| Some(user.total?.saturating_sub(user.upload.saturating_add(user.download)));
    let expires = user.and_then(|user| user.expires).map(|seconds| Timestamp(seconds.saturating_mul(1000)));
    Remark { title: title.to_owned(), left: user.and_then(left), expires }
}

/// The user of a subscription.
#[derive(Default)]
struct SubscriptionOwner {
    /// What clients are told; `None` when there is no such user any more.
    told: Option<SubscriptionUser>,
    /// Whether the user may use the proxy now, and so is given nodes.
    may_use: bool,
}

impl ApiBackend {
    /// The links of encrypted listeners in the place of nodes; none while the user may not use the proxy.
    fn inbounds_text(
        &self,
        config: &Config,
        subscription: &SubscriptionConfig,
        asked: &SubscriptionAsked,
        user: Option<SubscriptionOwner>,
    ) -> Result<SubscriptionText, ApiError> {
        let (Some(name), Some(owner)) = (subscription.user.as_deref(), user) else {
            let told = "this subscription has no user, and the links of encrypted listeners are a user's";
            return Err(ApiError::BadRequest(told.to_owned()));
        };
        let is_narrowed = !asked.countries.is_empty() || !asked.sources.is_empty();
        if is_narrowed || asked.tags.is_some() || asked.max_latency.is_some() {
            let told = "with doors=1 only target, scheme and top can be said: the others are of nodes";
            return Err(ApiError::BadRequest(told.to_owned()));
        }
        let mut found = match owner.may_use {
            true => self.invitations(config, name, &remark(&title(subscription), owner.told.as_ref())),
            false => Vec::new(),
        };
        let is_wanted = |invitation: &Invitation| {
            let scheme = invitation.spec.outbound.scheme();
            asked.schemes.is_empty() || asked.schemes.iter().any(|wanted| wanted.eq_ignore_ascii_case(scheme))
        };
        found.retain(is_wanted);
        found.truncate(asked.top.unwrap_or(usize::MAX).min(subscription.top));
        let written = client_document(asked.target, found.iter().map(|found| (&found.spec, &found.label)));
        Ok(answer(subscription, written, found.len(), Some(owner)))
    }

    fn invitations(&self, config: &Config, user: &str, remark: &Remark) -> Vec<Invitation> {
        invitations::invitations(config, user, remark, |listener| self.listeners.address(listener))
    }

    /// The user of this name. Of several quotas the one that is used up is told, or else the longest one.
    fn subscription_user(&self, config: &Config, name: &str) -> SubscriptionOwner {
        let Some(user) = config.proxy.users.iter().find(|user| *user.name == *name) else {
            return SubscriptionOwner::default();
        };
        let (now, quota) = (self.clock.now(), user.quota);
        let usage = self.usage.summary(name, now);
        let quotas = [(quota.total, usage.total), (quota.month, usage.month), (quota.day, usage.today)];
        let mut quotas = quotas.into_iter().filter_map(|(most, used)| Some((used, most?.0)));
        let longest = quotas.clone().next();
        let used_up = quotas.find(|(used, most)| used.sum() >= *most);
        let is_expired = user.expires.is_some_and(|expires| expires <= now);
        let (used, most) = used_up.or(longest).unzip();
        let used = used.unwrap_or(usage.total);
        SubscriptionOwner {
            told: Some(SubscriptionUser {
                upload: used.up,
                download: used.down,
                total: most,
                expires: user.expires.map(|expires| expires.0 / 1000),
            }),
            may_use: user.enabled && !is_expired && used_up.is_none(),
        }
    }
}

fn title(subscription: &SubscriptionConfig) -> String {
    subscription.title.clone().unwrap_or_else(|| subscription.name.to_string())
}

/// What the parameters of the address ask for.
fn wanted(config: &Config, asked: &SubscriptionAsked) -> Result<Filter, ApiError> {
    let mut terms = Vec::new();
    let countries = asked.countries.iter().map(|text| {
        let code = <[u8; 2]>::try_from(text.to_ascii_uppercase().as_bytes());
        code.map_err(|_| ApiError::BadRequest(format!("country {text:?} is not a two-letter code")))
    });
    let countries = countries.collect::<Result<Vec<_>, _>>()?;
    if !countries.is_empty() {
        terms.push(Term::Country(countries));
    }
    if !asked.schemes.is_empty() {
        terms.push(Term::Scheme(asked.schemes.iter().map(|scheme| scheme.to_ascii_lowercase().into()).collect()));
    }
    if !asked.sources.is_empty() {
        terms.push(Term::Source(asked.sources.iter().map(|name| name.as_str().into()).collect()));
    }
    if let Some(text) = &asked.tags {
        let term = convert::tags(config, text);
        terms.push(term.ok_or_else(|| ApiError::BadRequest(format!("tags {text:?} is not an expression")))?);
    }
    let max_latency = asked.max_latency.as_deref().map(|text| {
        hezar_core::settings::read_duration(text)
            .ok_or_else(|| ApiError::BadRequest(format!("max_latency {text:?} is not a duration such as 500ms")))
    });
    Ok(Filter { term: Term::All(terms), max_latency: max_latency.transpose()?, top: None })
}
