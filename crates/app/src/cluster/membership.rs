//! The membership of this instance: who the others are, and what is its own work among them.

use std::{
    collections::BTreeSet,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use hezar_core::{Role, Roles, Timestamp};
use hezar_probe::Ownership;
use hezar_store::{MemberBeat, MemberFigures, MemberRow, Members, SharedStore, StoreError};
use parking_lot::Mutex;
use tokio::{sync::watch, time::Instant};

use super::roster::Roster;
use crate::{config::Config, host::host_name, version::VERSION};

/// A member and whether it lives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct KnownMember {
    pub(crate) row: MemberRow,
    pub(crate) lives: bool,
    /// Whether it is this instance.
    pub(crate) own: bool,
}

impl KnownMember {
    /// What the API and the metrics call its state.
    pub(crate) const fn state(&self) -> &'static str {
        match (self.lives, self.row.draining) {
            (false, _) => "gone",
            (true, true) => "draining",
            (true, false) => "living",
        }
    }
}

/// What this instance says of itself that changes.
#[derive(Clone, Debug, Default)]
pub(crate) struct OwnFacts {
    pub(crate) figures: MemberFigures,
    /// Where the first listener listens; empty when there is none.
    pub(crate) proxy: Box<str>,
    /// Where the API listens; empty when there is none.
    pub(crate) api: Box<str>,
}

/// Says how this instance is.
type FactSource = Box<dyn Fn() -> OwnFacts + Send + Sync>;

/// Why an instance cannot be drained.
#[derive(Debug)]
pub(crate) enum DrainError {
    /// There is none of this name.
    Unknown,
    /// The store cannot be written.
    Store(StoreError),
}

/// This instance among the members. Where the store is not shared it is the only one.
pub(crate) struct Membership {
    pub(super) name: Arc<str>,
    pub(super) roles: Roles,
    region: Box<str>,
    pub(super) incarnation: i64,
    started: Timestamp,
    pub(super) shared: Option<Arc<dyn SharedStore>>,
    roster: Mutex<Roster>,
    known: watch::Sender<Arc<[KnownMember]>>,
    ownership: watch::Sender<Ownership>,
    draining: watch::Sender<bool>,
    requested: watch::Sender<Arc<[Arc<str>]>>,
    facts: OnceLock<FactSource>,
    /// When the last complete reading of the others' changes began.
    read: Mutex<Option<Instant>>,
    pub(super) failed_beats: AtomicU64,
    /// Of when the copy is that this instance serves from; 0 when it serves from what the shared store says.
    copy_of: AtomicU64,
}

impl Membership {
    /// No other member is known yet.
    pub(crate) fn new(
        name: Arc<str>,
        config: &Config,
        shared: Option<Arc<dyn SharedStore>>,
        started: Timestamp,
    ) -> Self {
        let roles = config.cluster.roles;
        let alone = shared.is_none() && roles.has(Role::Probe);
        let ownership = if alone { Ownership::everything() } else { Ownership::nothing() };
        Self {
            name,
            roles,
            region: config.cluster.region.clone(),
            incarnation: i64::from_le_bytes(rand::random()) | 1,
            started,
            shared,
            roster: Mutex::default(),
            known: watch::Sender::new(Arc::default()),
            ownership: watch::Sender::new(ownership),
            draining: watch::Sender::new(false),
            requested: watch::Sender::new(Arc::default()),
            facts: OnceLock::new(),
            read: Mutex::default(),
            failed_beats: AtomicU64::new(0),
            copy_of: AtomicU64::new(0),
        }
    }

    /// The name of this instance.
    pub(crate) const fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// What this instance does.
    pub(crate) const fn roles(&self) -> Roles {
        self.roles
    }

    /// What other instances share with this one; `None` when it is alone.
    pub(crate) const fn shared(&self) -> Option<&Arc<dyn SharedStore>> {
        self.shared.as_ref()
    }

    #[cfg(test)]
    pub(super) const fn set_roles(&mut self, roles: Roles) {
        self.roles = roles;
    }

    /// Which nodes this instance probes, now and later.
    pub(crate) fn ownership(&self) -> watch::Receiver<Ownership> {
        self.ownership.subscribe()
    }

    /// Whether this instance is drained, now and later.
    pub(crate) fn draining(&self) -> watch::Receiver<bool> {
        self.draining.subscribe()
    }

    /// Sources that somebody wants to be read, as the last beat has brought them.
    pub(crate) fn requested(&self) -> watch::Receiver<Arc<[Arc<str>]>> {
        self.requested.subscribe()
    }

    /// All members by name as the last beat has brought them; without a shared store none.
    pub(crate) fn known(&self) -> Arc<[KnownMember]> {
        Arc::clone(&self.known.borrow())
    }

    /// Notes that a complete reading of what others have changed began then.
    pub(crate) fn note_read(&self, began: Instant) {
        *self.read.lock() = Some(began);
    }

    /// Notes of when the copy is that this instance serves from, since the shared store is away; `None` when it is not.
    pub(crate) fn set_copy_of(&self, written: Option<Timestamp>) {
        self.copy_of.store(written.map_or(0, |written| written.0), Relaxed);
    }

    /// Of when the copy is that this instance serves from, if it does.
    pub(crate) fn copy_of(&self) -> Option<Timestamp> {
        Some(Timestamp(self.copy_of.load(Relaxed))).filter(|written| written.0 > 0)
    }

    /// How old what this instance knows of the changes of others is now; `None` where it follows none.
    pub(super) fn lag(&self) -> Option<Duration> {
        self.read.lock().map(|began| began.elapsed())
    }

    /// Beats that the store has not taken.
    pub(super) fn failed_beats(&self) -> u64 {
        self.failed_beats.load(Relaxed)
    }

    /// For how long the store has not been reached; `None` when it never was.
    pub(crate) fn silence(&self) -> Option<Duration> {
        self.roster.lock().silence(Instant::now())
    }

    /// Lets this instance say how it is: what is given first counts.
    pub(crate) fn set_facts(&self, facts: impl Fn() -> OwnFacts + Send + Sync + 'static) {
        let _ = self.facts.set(Box::new(facts));
    }

    /// This instance as the others see it.
    pub(crate) fn own_row(&self) -> MemberRow {
        let (beat, draining) = (self.beat(), *self.draining.borrow());
        MemberRow { beat, age: Duration::ZERO, member_for: Duration::ZERO, draining }
    }

    pub(super) fn beat(&self) -> MemberBeat {
        let OwnFacts { figures, proxy, api } = self.facts.get().map(|facts| facts()).unwrap_or_default();
        let lag_ms = self.lag().map(|lag| u64::try_from(lag.as_millis()).unwrap_or(u64::MAX));
        MemberBeat {
            name: Arc::clone(&self.name),
            incarnation: self.incarnation,
            roles: self.roles,
            region: self.region.clone(),
            host: host_name().into(),
            pid: std::process::id(),
            version: VERSION.into(),
            proxy,
            api,
            started: self.started,
            figures: MemberFigures { lag_ms, ..figures },
        }
    }

    /// Says that an instance is to be drained, or is not any more. Another one learns so with its next beat.
    ///
    /// # Errors
    /// There is none of this name, or the store cannot be written.
    pub(crate) async fn set_draining(&self, name: &str, draining: bool) -> Result<(), DrainError> {
        let is_own = *name == *self.name;
        if let Some(shared) = &self.shared
            && !shared.set_draining(name, draining).await.map_err(DrainError::Store)?
        {
            return Err(DrainError::Unknown);
        }
        if !is_own && self.shared.is_none() {
            return Err(DrainError::Unknown);
        }
        if is_own {
            self.note_draining(draining);
        }
        Ok(())
    }

    fn note_draining(&self, draining: bool) {
        let changed = self.draining.send_if_modified(|known| std::mem::replace(known, draining) != draining);
        if changed && draining {
            tracing::info!(
                "an operator drains this instance: it is not ready for new clients, and gives up its nodes and sources"
            );
        } else if changed {
            tracing::info!("this instance is not drained any more");
        }
    }

    /// Publishes what a beat has brought.
    pub(super) fn publish(&self, members: &Members) {
        let own = members.rows.iter().find(|row| row.beat.name == self.name);
        if let Some(own) = own {
            self.note_draining(own.draining);
        }
        let mut roster = self.roster.lock();
        let living = roster.note(&members.rows, Instant::now());
        self.set_ownership(self.share(members, living));
        let known = members.rows.iter().map(|row| KnownMember {
            row: row.clone(),
            lives: living.contains(&row.beat.name),
            own: row.beat.name == self.name,
        });
        self.known.send_replace(known.collect());
        drop(roster);
        self.requested.send_if_modified(|requested| {
            *requested = members.requested.clone().into();
            !members.requested.is_empty()
        });
    }

    /// What this instance probes among those that probe in its region, live and are not drained.
    fn share(&self, members: &Members, living: &BTreeSet<Arc<str>>) -> Ownership {
        let probers: Vec<&str> = members
            .rows
            .iter()
            .filter(|row| living.contains(&row.beat.name) && !row.draining)
            .filter(|row| row.beat.roles.has(Role::Probe) && row.beat.region == self.region)
            .map(|row| &*row.beat.name)
            .collect();
        if probers.contains(&&*self.name) { Ownership::shared(&self.name, probers) } else { Ownership::nothing() }
    }

    pub(super) fn set_ownership(&self, ownership: Ownership) {
        self.ownership.send_if_modified(|known| {
            let differs = *known != ownership;
            *known = ownership;
            differs
        });
    }
}
