//! Subscriptions out: the nodes that work, as clients read them.

use std::{sync::Arc, time::Duration};

use hezar_api::{
    ApiError, Scope, SubscriptionAsked, SubscriptionTarget, SubscriptionText, SubscriptionUser, SubscriptionsPort,
};
use hezar_core::{Label, Secret, State};
use hezar_formats::write::{self, Written};
use hezar_pool::{Filter, Node, Term};

use super::{ApiBackend, manual::is_private};
use crate::{
    config::{Config, SubscriptionConfig},
    convert,
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
        let given = convert::subscription(&config, subscription);
        let wanted = wanted(&config, asked)?;
        let (snapshot, now) = (self.pool.snapshot(), self.clock.now());
        let user = subscription.user.as_deref().map(|name| self.subscription_user(&config, name));
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
        let written = written(asked.target, &nodes, &labels);
        let (left_out, text) = (written.reasons(), written.text);
        Ok(SubscriptionText {
            tag: blake3::hash(text.as_bytes()).to_hex().to_string(),
            text,
            nodes: nodes.len() - left_out.values().sum::<usize>(),
            left_out,
            title: title(subscription),
            update_every: subscription.interval,
            user: user.and_then(|user| user.told),
        })
    }
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

fn written(target: SubscriptionTarget, nodes: &[&Arc<Node<Payload>>], labels: &[Label]) -> Written {
    let all = nodes.iter().map(|node| node.spec()).zip(labels);
    match target {
        SubscriptionTarget::Links => Written { text: write::links(all), ..Written::default() },
        SubscriptionTarget::Base64 => Written { text: write::base64(all), ..Written::default() },
        SubscriptionTarget::Clash => write::clash_profile(all),
        SubscriptionTarget::SingBox => write::sing_box_routed(all),
        SubscriptionTarget::SingBoxProfile => write::sing_box_profile(all),
        SubscriptionTarget::Xray => write::xray(all),
        SubscriptionTarget::Surge => write::surge(all),
        SubscriptionTarget::Addresses => write::addresses(all),
    }
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
