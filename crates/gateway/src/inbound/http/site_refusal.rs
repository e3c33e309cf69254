//! Answers that say that a site refuses the exit, as the listener's rules describe them, and what follows.

use std::time::Duration;

use hezar_core::Host;
use hezar_pool::{SiteBan, SiteVerdict};
use http::{header::CONTENT_ENCODING, response};

use super::body::DownBody;
use crate::{
    FeedbackRule,
    context::Context,
    failover::NodeLease,
    feedback::LOOKED_AT,
    site::{site_key, site_name},
};

/// How long the beginning of a body is waited for.
const WAIT: Duration = Duration::from_secs(5);

/// The rules that an answer fits as far as its head says.
pub(super) fn fitting_rules(rules: &[FeedbackRule], host: &Host, head: &response::Parts) -> Vec<FeedbackRule> {
    rules.iter().filter(|rule| rule.fits_head(host, head.status)).cloned().collect()
}

/// The first of these rules that an answer fits, and its body again, of which the beginning is looked at when a rule asks for it.
pub(super) async fn refusing_rule(
    mut fitting: Vec<FeedbackRule>,
    head: &response::Parts,
    body: DownBody,
) -> hyper::Result<(Option<FeedbackRule>, DownBody)> {
    let encoding = head.headers.get(CONTENT_ENCODING);
    let is_encoded = encoding.is_some_and(|value| !value.as_bytes().eq_ignore_ascii_case(b"identity"));
    let looks = !is_encoded && fitting.iter().any(|rule| rule.body.is_some());
    let (beginning, body) = if looks {
        let (beginning, body) = body.read_beginning(LOOKED_AT, WAIT).await?;
        (Some(beginning), body)
    } else {
        (None, body)
    };
    fitting.retain(|rule| rule.fits_body(beginning.as_deref()));
    Ok((fitting.into_iter().next(), body))
}

/// Does not use the exit for the site for as long as the rule says. Where the exit is not known, the node is spared the site for as long
/// as feedback of a client would do.
pub(super) fn ban_exit(context: &Context, lease: &NodeLease, host: &Host, rule: &FeedbackRule) {
    let (pool, now) = (&context.selection.pool, context.telemetry.clock.now());
    let site = site_name(host);
    let shown = (!context.telemetry.privacy().targets).then(|| tracing::field::display(&site));
    tracing::info!(
        listener = %context.telemetry.listener(), node = %lease.id(), site = shown, ban = ?rule.ban, "the site refuses the exit, by a rule"
    );
    let Some(exit) = lease.record().exit_ip else {
        return pool.report_site(lease.id(), site_key(host), SiteVerdict::Blocked, now);
    };
    let reason = format!("feedback rule of listener {}", context.telemetry.listener()).into();
    pool.ban_exit(SiteBan { site: site.into(), exit, since: now, until: now.after(rule.ban), reason });
}
