//! Keeps Xray running while nodes want it, and its outbounds in step with the slots.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::{
    api::{XrayApi, XrayApiError},
    outbound,
    setup::XraySetup,
};
use crate::{
    CoreHome,
    current::Core,
    follow::{CoreDriver, run_driven},
    slots::{SlotPlan, slot_name},
};

/// How long the first change waits for others.
const GATHER: Duration = Duration::from_millis(10);
/// The pause after Xray could not be told something.
const AGAIN: Duration = Duration::from_secs(1);

/// Runs Xray until nobody has used it for a while.
pub(crate) async fn run_once(core: &Core, home: Arc<CoreHome>, stop: &CancellationToken) {
    let (program, launcher) = (core.start.program.clone(), core.start.launcher.clone());
    let setup = Arc::new(XraySetup::new(program, launcher, Arc::clone(&core.slots)));
    let api = setup.api(&home);
    let mut driver = Driver { core, setup: &setup, api, suspect: None };
    run_driven(core, Arc::clone(&setup), home, &mut driver, stop).await;
}

/// Tells one Xray what its slots hold.
struct Driver<'a> {
    core: &'a Core,
    setup: &'a XraySetup,
    api: XrayApi,
    /// What was being added when Xray was lost last: a slot and what was put into it.
    suspect: Option<(usize, u64)>,
}

/// The outbounds that one start of Xray has: what was put into a slot, by the number of the slot.
type Known = BTreeMap<usize, u64>;

/// Something for each of some slots.
type BySlot<T> = Vec<(usize, T)>;

/// What no slot ever holds: its changes are counted from 1 on.
const NEVER: u64 = 0;

impl Driver<'_> {
    /// Tells Xray what its slots hold now, and whether there was anything to tell. Nodes that it refuses are set aside.
    async fn tell(&mut self, known: &mut Known) -> Result<bool, XrayApiError> {
        let plan = self.core.slots.plan();
        let planned = |index: usize| plan.slots.get(index).filter(|slot| slot.node.is_some());
        let stale: Vec<usize> = known
            .iter()
            .filter(|(index, revision)| planned(**index).is_none_or(|slot| slot.revision != **revision))
            .map(|(index, _)| *index)
            .collect();
        let names: Vec<String> = stale.iter().map(|index| slot_name(*index)).collect();
        self.api.remove(&names.iter().map(String::as_str).collect::<Vec<_>>()).await?;
        for index in &stale {
            known.remove(index);
        }

        let (wanted, mut refused) = self.wanted(&plan, known);
        let outbounds: Vec<(String, String)> = wanted.iter().map(|(_, outbound)| outbound.clone()).collect();
        // Whatever is interrupted is taken out before it is added again.
        known.extend(wanted.iter().map(|(index, _)| (*index, NEVER)));
        let added = match self.api.add(&outbounds).await {
            Ok(added) => added,
            Err(error) => {
                self.suspect(&error, &plan, &wanted);
                return Err(error);
            }
        };
        for (index, (tag, _)) in &wanted {
            if let Some((_, reason)) = added.refused.iter().find(|(refused, _)| refused == tag) {
                known.remove(index);
                refused.push((*index, reason.clone()));
            } else if let Some(slot) = planned(*index) {
                known.insert(*index, slot.revision);
            }
        }
        for (index, reason) in &refused {
            if let Some(slot) = planned(*index) {
                self.core.slots.refuse(*index, slot, reason);
            }
        }
        let left_out: Vec<usize> = refused.into_iter().map(|(index, _)| index).collect();
        self.core.slots.publish(&plan.without(&left_out));
        Ok(!stale.is_empty() || !outbounds.is_empty())
    }

    /// Sets a node aside that was being added both times when Xray was lost: it would end every start of it.
    fn suspect(&mut self, error: &XrayApiError, plan: &SlotPlan, wanted: &BySlot<(String, String)>) {
        let XrayApiError::Failed { adding: Some(adding), reason } = error else { return };
        let index = wanted.iter().find(|(_, (tag, _))| tag == adding).map(|(index, _)| *index);
        let Some((index, slot)) = index.and_then(|index| Some((index, plan.slots.get(index)?))) else { return };
        let suspect = Some((index, slot.revision));
        if std::mem::replace(&mut self.suspect, suspect) == suspect {
            self.core.slots.refuse(index, slot, &format!("Xray ends when it takes the node: {reason}"));
        }
    }

    /// The outbounds that Xray lacks, each by its slot; and the slots whose nodes this Xray cannot have, with the reasons.
    fn wanted(&self, plan: &SlotPlan, known: &Known) -> (BySlot<(String, String)>, BySlot<String>) {
        let (mut wanted, mut refused) = (Vec::new(), Vec::new());
        for (index, slot) in plan.slots.iter().enumerate().filter(|(index, _)| !known.contains_key(index)) {
            let Some(node) = &slot.node else { continue };
            let tag = slot_name(index);
            match outbound::render(&tag, node, &slot.addresses, self.setup.dialect()) {
                Ok(json) => wanted.push((index, (tag, json))),
                Err(reason) => refused.push((index, reason.to_string())),
            }
        }
        (wanted, refused)
    }
}

impl CoreDriver for Driver<'_> {
    async fn serve(&mut self, start: u64, pid: u32) {
        self.core.start.set_trouble(None);
        self.core.start.set_version(self.setup.version());
        let mut known = Known::new();
        let Some(listen) = self.setup.listen() else { return };
        self.core.slots.set_up(start, pid, vec![listen]);
        loop {
            let began = Instant::now();
            match self.tell(&mut known).await {
                Ok(was_told) => self.core.start.note_reload(began.elapsed(), was_told),
                Err(error) => {
                    // Whether Xray is gone shows soon.
                    tracing::debug!("xray was not told its nodes: {error}");
                    self.core.slots.plan_again();
                    sleep(AGAIN).await;
                }
            }
            self.core.slots.changed().await;
            sleep(GATHER).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use hezar_child::Launcher;
    use hezar_engine::{AddressPolicy, NativeEngine, NativeEngineConfig};
    use hezar_formats::parse_link;
    use parking_lot::Mutex;
    use tokio::sync::RwLock;

    use super::*;
    use crate::{
        current::CoreStart,
        slots::{CoreNode, SlotTable},
    };

    const ID: &str = "7d4f4b57-6d0a-4e0f-9a43-1f0d4cf0a5b1";

    fn core() -> Core {
        let launcher = Launcher::new("launcher".into(), []);
        let start = CoreStart {
            program: "xray".into(),
            modified: None,
            launcher,
            folder: "folder".into(),
            memory_bytes: 1,
            most_slots: 2,
            counters: Arc::default(),
            known: Mutex::default(),
        };
        let base = Arc::new(NativeEngine::new(&NativeEngineConfig::default()));
        Core { slots: SlotTable::new(2, 2), gate: RwLock::default(), base, start }
    }

    #[tokio::test]
    async fn a_node_that_ends_xray_twice_is_not_tried_a_third_time() {
        let core = core();
        let node = |port: u16| {
            let (spec, _) = parse_link(&format!("vless://{ID}@192.0.2.1:{port}?encryption=none&type=kcp")).unwrap();
            CoreNode::new(spec, AddressPolicy::Any)
        };
        let addresses = || vec!["192.0.2.1".parse().unwrap()].into();
        let _leases = [1, 2].map(|port| core.slots.lease(&node(port), &addresses()).unwrap());
        let setup = XraySetup::new("xray".into(), core.start.launcher.clone(), Arc::clone(&core.slots));
        let api = XrayApi::new(core.start.launcher.clone(), "xray".into(), "socket".into());
        let mut driver = Driver { core: &core, setup: &setup, api, suspect: None };
        let plan = core.slots.plan();
        let (wanted, _) = driver.wanted(&plan, &Known::new());
        let lost = |tag: &str| XrayApiError::Failed { adding: Some(tag.to_owned()), reason: "gone".to_owned() };
        let refused = || core.slots.refused().len();
        // Another one each time: it may have been an accident.
        for tag in ["s00000", "s00001", "s00000"] {
            driver.suspect(&lost(tag), &plan, &wanted);
            driver.suspect(&XrayApiError::Late, &plan, &wanted);
            assert_eq!(refused(), 0, "{tag}");
        }
        driver.suspect(&lost("s00000"), &plan, &wanted);
        assert_eq!(refused(), 1);
        assert!(core.slots.refused()[0].1.contains("gone"), "{:?}", core.slots.refused());
    }
}
