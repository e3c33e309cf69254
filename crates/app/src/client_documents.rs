//! A list of nodes in the form that a client reads.

use hezar_api::SubscriptionTarget;
use hezar_core::{Label, NodeSpec};
use hezar_formats::write::{self, Written};

/// Writes nodes in a form. Where the form has no way to say one of them, it is left out, with the reason.
pub(crate) fn client_document<'a>(
    target: SubscriptionTarget,
    nodes: impl Iterator<Item = (&'a NodeSpec, &'a Label)>,
) -> Written {
    match target {
        SubscriptionTarget::Links => Written { text: write::links(nodes), ..Written::default() },
        SubscriptionTarget::Base64 => Written { text: write::base64(nodes), ..Written::default() },
        SubscriptionTarget::Clash => write::clash_profile(nodes),
        SubscriptionTarget::SingBox => write::sing_box_routed(nodes),
        SubscriptionTarget::SingBoxProfile => write::sing_box_profile(nodes),
        SubscriptionTarget::Xray => write::xray(nodes),
        SubscriptionTarget::Surge => write::surge(nodes),
        SubscriptionTarget::Addresses => write::addresses(nodes),
    }
}
