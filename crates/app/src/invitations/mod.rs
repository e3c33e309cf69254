//! Invitations: what a user enters into a phone to come in by an encrypted listener.

mod labels;
mod node_of;
#[cfg(test)]
mod tests;

use std::net::SocketAddr;

use hezar_api::{ApiError, SubscriptionTarget, UserLinkDto, UserLinksDto, UserLinksQuery};
use hezar_core::{Label, NodeSpec};
use hezar_gateway::User;

use crate::{client_documents::client_document, config::Config};

pub(crate) use labels::Remark;

/// Who gives invitations, where no subscription has another title.
pub(crate) const TITLE: &str = "Hezar";

/// One way of one user into one listener.
#[derive(Clone, Debug)]
pub(crate) struct Invitation {
    /// The name of the listener.
    pub(crate) listener: Box<str>,
    /// The name of the link; empty for the one that every user with a key has.
    pub(crate) link: Box<str>,
    /// What a client dials.
    pub(crate) spec: NodeSpec,
    /// What a client calls it.
    pub(crate) label: Label,
}

impl Invitation {
    /// The share link.
    pub(crate) fn uri(&self) -> String {
        hezar_formats::to_link(&self.spec, &self.label)
    }
}

/// All invitations of a user, in the order of the listeners and of the user's links. `bound` gives the address at which a listener
/// really listens, where it is known. Listeners that no link can name are left out; the configuration's warnings say which.
pub(crate) fn invitations(
    config: &Config,
    name: &str,
    remark: &Remark,
    bound: impl Fn(&str) -> Option<SocketAddr>,
) -> Vec<Invitation> {
    let mut all = Vec::new();
    for listener in config.listeners.iter().filter(|listener| listener.inbound.is_some()) {
        let user = config.users_of(listener).iter().find(|user| *user.name == *name);
        let Some(user) = user.filter(|user| user.may_use(&listener.name)) else { continue };
        let listen = bound(&listener.name).unwrap_or(listener.listen);
        let named = user.links.iter().filter(|link| link.enabled).map(|link| &*link.name);
        let of_link = |link: &str| {
            let spec = node_of::node_of(listener, listen, user, link)?;
            let label = remark.label(&listener.name, link);
            Some(Invitation { listener: listener.name.clone(), link: link.into(), spec, label })
        };
        all.extend(std::iter::once("").chain(named).filter_map(of_link));
    }
    all
}

/// The links of a user as far as the configuration alone says them; `None` when there is no such user.
pub(crate) fn links_of_user(
    config: &Config,
    name: &str,
    query: &UserLinksQuery,
) -> Option<Result<UserLinksDto, ApiError>> {
    let user = user_of(config, name)?;
    let remark = Remark { title: TITLE.to_owned(), left: None, expires: user.expires };
    Some(links_dto(&invitations(config, name, &remark, |_| None), query))
}

/// The first user of this name, whichever listener has it.
pub(crate) fn user_of<'a>(config: &'a Config, name: &str) -> Option<&'a User> {
    let of_listeners = config.listeners.iter().flat_map(|listener| &listener.users);
    config.proxy.users.iter().chain(of_listeners).find(|user| *user.name == *name)
}

/// Those of the invitations that are asked for, as the API shows them.
///
/// # Errors
/// [`ApiError::BadRequest`]: there is no such target.
pub(crate) fn links_dto(invitations: &[Invitation], query: &UserLinksQuery) -> Result<UserLinksDto, ApiError> {
    let target = query.target.as_deref().map(|name| {
        SubscriptionTarget::from_name(name).ok_or_else(|| {
            let known = SubscriptionTarget::ALL.map(SubscriptionTarget::name).join(", ");
            ApiError::BadRequest(format!("target {name:?} is not one of {known}"))
        })
    });
    let is = |wanted: &Option<String>, name: &str| wanted.as_deref().is_none_or(|wanted| wanted == name);
    let is_wanted = |found: &&Invitation| is(&query.listener, &found.listener) && is(&query.link, &found.link);
    let wanted: Vec<&Invitation> = invitations.iter().filter(is_wanted).collect();
    let nodes = wanted.iter().map(|found| (&found.spec, &found.label));
    let document = target.transpose()?.map(|target| client_document(target, nodes).text);
    let links = wanted.into_iter().map(|found| UserLinkDto {
        listener: found.listener.to_string(),
        link: found.link.to_string(),
        name: found.label.to_string(),
        uri: found.uri(),
    });
    Ok(UserLinksDto { links: links.collect(), document })
}
