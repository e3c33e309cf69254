//! Subscriptions out: the nodes that work, as clients read them.

use std::{sync::Arc, time::Duration};

use hezar_api::{
    ApiError, SubscriptionAsked, SubscriptionTarget, SubscriptionText, SubscriptionUser, SubscriptionsPort,
};
use hezar_core::{Label, State};
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
        let mut found = None;
        for subscription in &config.subscriptions {
            let own = subscription.token.as_ref().map(|token| blake3::hash(token.expose().as_bytes()));
            if own == Some(given) && subscription.enabled {
                found = Some(subscription.name.to_string());
            }
        }
        found
    }

    fn subscription_text(&self, asked: &SubscriptionAsked) -> Result<SubscriptionText, ApiError> {
        let config = self.dashboard.config();
        let found = config.subscriptions.iter().find(|subscription| *subscription.name == *asked.name);
        let subscription = found.filter(|subscription| subscription.enabled).ok_or(ApiError::NotFound)?;
        let given = convert::subscription(&config, subscription);
        let wanted = wanted(&config, asked)?;
        let (snapshot, now) = (self.pool.snapshot(), self.clock.now());
        let fits = |node: &&Arc<Node<Payload>>| {
            node.state() == State::Healthy
                && !node.resting(now)
                && (subscription.allow_private || !is_private(node.spec()))
                && given.fits::<Payload>(node)
                && wanted.fits::<Payload>(node)
        };
        let mut nodes: Vec<&Arc<Node<Payload>>> = snapshot.routable().filter(fits).collect();
        nodes.sort_by_cached_key(|node| (node.latency().unwrap_or(Duration::MAX), node.id()));
        nodes.truncate(asked.top.unwrap_or(usize::MAX).min(subscription.top));
        let labels: Vec<Label> = nodes.iter().map(|node| node.label()).collect();
        let Written { text, left_out } = written(asked.target, &nodes, &labels);
        Ok(SubscriptionText {
            tag: blake3::hash(text.as_bytes()).to_hex().to_string(),
            text,
            nodes: nodes.len() - left_out,
            left_out,
            title: title(subscription),
            update_every: subscription.interval,
            user: subscription.user.as_deref().and_then(|name| self.subscription_user(&config, name)),
        })
    }
}

impl ApiBackend {
    /// What a user has moved and may move. Of several quotas the longest one is told.
    fn subscription_user(&self, config: &Config, name: &str) -> Option<SubscriptionUser> {
        let user = config.proxy.users.iter().find(|user| *user.name == *name)?;
        let summary = self.usage.summary(name, self.clock.now());
        let quota = user.quota;
        let (used, most) = match (quota.total, quota.month, quota.day) {
            (Some(most), ..) => (summary.total, Some(most)),
            (None, Some(most), _) => (summary.month, Some(most)),
            (None, None, Some(most)) => (summary.today, Some(most)),
            (None, None, None) => (summary.total, None),
        };
        Some(SubscriptionUser {
            upload: used.up,
            download: used.down,
            total: most.map(|most| most.0),
            expires: user.expires.map(|expires| expires.0 / 1000),
        })
    }
}

fn title(subscription: &SubscriptionConfig) -> String {
    subscription.title.clone().unwrap_or_else(|| subscription.name.to_string())
}

fn written(target: SubscriptionTarget, nodes: &[&Arc<Node<Payload>>], labels: &[Label]) -> Written {
    let all = nodes.iter().map(|node| node.spec()).zip(labels);
    match target {
        SubscriptionTarget::Links => Written { text: write::links(all), left_out: 0 },
        SubscriptionTarget::Base64 => Written { text: write::base64(all), left_out: 0 },
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
