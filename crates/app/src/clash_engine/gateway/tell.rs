//! Tells the GATEWAY core of other members and listeners.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, atomic::Ordering},
};

use hezar_core::NodeId;
use hezar_sidecar::{ControllerError, CoreState, RefusedProxy};

use super::GatewayCore;
use crate::clash_engine::{
    CORE_REFUSED,
    listeners::CoreListener,
    members::{members, provider},
    mihomo::provider_file,
};

/// What the core was told last, in this life of it.
#[derive(Default)]
pub(super) struct Told {
    start: u64,
    providers: HashMap<String, Arc<str>>,
    listeners: Vec<CoreListener>,
}

impl GatewayCore {
    /// Brings listeners and members up to date, and the core with them while it serves. False: the core has to be told again.
    pub(super) async fn update(&self) -> bool {
        let mut told = self.told.lock().await;
        let listeners = (*self.plan.lock())();
        *self.setup.listeners.write() = listeners;
        self.collect_members();
        let CoreState::Up { start, .. } = self.state() else { return true };
        if told.start != start {
            // A core that has just begun has read its providers too, but whether it took them is not known.
            let listeners = self.setup.started_with.lock().clone();
            *told = Told { start, providers: HashMap::new(), listeners };
        }
        self.tell_listeners(&mut told).await && self.tell_members(&mut told).await
    }

    /// Writes the members of every group down, for the core and for its next start.
    pub(super) fn collect_members(&self) {
        let listeners = self.setup.listeners.read().clone();
        let (mut texts, mut all) = (HashMap::new(), HashSet::new());
        for (number, listener) in listeners.iter().enumerate() {
            let members = members(&self.pool, listener.filter.as_ref());
            members.iter().for_each(|node| self.names.note(node));
            let entries: Vec<Arc<str>> = members.iter().filter_map(|node| self.entries.of(node)).collect();
            if listener.is_first() {
                self.members.store(entries.len() as u64, Ordering::Relaxed);
            }
            all.extend(members.iter().map(|node| node.id()));
            texts.insert(listener.provider(number), provider(&entries).into());
        }
        self.entries.keep(|id| all.contains(&id));
        self.names.forget_old();
        *self.setup.providers.write() = texts;
    }

    /// Loads the configuration anew when the listeners or their users are other ones, which is the one thing that a core does by cutting
    /// its tunnels.
    async fn tell_listeners(&self, told: &mut Told) -> bool {
        let listeners = self.setup.listeners.read().clone();
        if told.listeners == listeners {
            return true;
        }
        let configuration = self.setup.configuration();
        let written = self
            .setup
            .providers
            .read()
            .iter()
            .try_for_each(|(name, text)| self.home.write(&provider_file(name), text.as_bytes()).map(drop));
        if let Err(error) = written {
            tracing::warn!("the GATEWAY core cannot be told of other listeners: {error}");
            return false;
        }
        match self.controller().put_configuration(&configuration).await {
            Ok(()) => {
                tracing::info!("the GATEWAY core serves other listeners or users; its open tunnels have ended");
                *told = Told { start: told.start, providers: HashMap::new(), listeners };
                true
            }
            Err(error) => {
                tracing::warn!("the GATEWAY core did not take other listeners: {error}");
                false
            }
        }
    }

    /// Lets the core read the providers that have changed.
    async fn tell_members(&self, told: &mut Told) -> bool {
        let mut is_told = true;
        let names: Vec<String> = self.setup.providers.read().keys().cloned().collect();
        for name in names {
            is_told &= self.tell_provider(&name, told).await;
        }
        is_told
    }

    async fn tell_provider(&self, name: &str, told: &mut Told) -> bool {
        loop {
            let Some(text) = self.setup.providers.read().get(name).cloned() else { return true };
            if told.providers.get(name) == Some(&text) {
                return true;
            }
            let updated = match self.home.write(&provider_file(name), text.as_bytes()) {
                Ok(_) => self.controller().update_provider(name).await,
                Err(error) => {
                    tracing::warn!("the members of the GATEWAY core cannot be written: {error}");
                    return false;
                }
            };
            match updated {
                Ok(()) => {
                    self.updates.fetch_add(1, Ordering::Relaxed);
                    told.providers.insert(name.to_owned(), text);
                    return true;
                }
                Err(error) if self.set_aside(&error, &text) => self.collect_members(),
                Err(error) => {
                    tracing::warn!(provider = name, "the GATEWAY core did not take its members: {error}");
                    return false;
                }
            }
        }
    }

    /// Sets the node aside that the core refuses, if it names one: the others are not to suffer.
    fn set_aside(&self, error: &ControllerError, text: &str) -> bool {
        let Some(refused) = error.refusal().and_then(RefusedProxy::find) else { return false };
        // The list begins on the second line.
        let line = text.lines().nth(refused.index + 1).unwrap_or_default();
        let Some(id) = id_of_entry(line) else { return false };
        tracing::warn!(node = %id, "the GATEWAY core refuses a node, which is set aside: {}", refused.reason);
        self.refused.fetch_add(1, Ordering::Relaxed);
        self.pool.mark_unsupported(id, CORE_REFUSED);
        true
    }
}

/// The id under which a node stands in a line of a provider.
fn id_of_entry(line: &str) -> Option<NodeId> {
    let entry: serde_json::Value = serde_json::from_str(line.trim_start().strip_prefix("- ")?).ok()?;
    entry.get("name")?.as_str()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_node_of_a_line_is_known_by_its_name() {
        let id = "000102030405060708090a0b0c0d0e0f";
        let line = format!("  - {{\"name\":\"{id}\",\"type\":\"socks5\"}}");
        assert_eq!(id_of_entry(&line).unwrap().to_string(), id);
        assert_eq!(id_of_entry("  - {\"name\":\"none\",\"type\":\"reject\"}"), None);
        assert_eq!(id_of_entry("proxies:"), None);
    }
}
