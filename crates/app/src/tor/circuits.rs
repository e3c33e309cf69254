//! The circuits of one Tor source: the login that isolates each of them, its generation, and where it comes out.

use std::{
    collections::{HashMap, HashSet},
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    time::Duration,
};

use hezar_core::{
    Country, Credentials, Host, Label, NodeId, NodeSpec, Outbound, Secret, SocksProxy, SocksVersion, Target, Timestamp,
};
use hezar_tor::{Circuit, ExitRelay};
use serde::{Deserialize, Serialize};

use crate::running::write_private;

/// How often a circuit is renewed at most because the new one comes out of the same relay again.
const MOST_TRIES: u8 = 5;
/// The pause before something that has not helped is done again; it doubles with each time.
const FIRST_PAUSE: Duration = Duration::from_secs(30);
/// The most doublings of that pause.
const MOST_DOUBLINGS: u32 = 5;
/// An exit that was looked up so shortly before may be that of a circuit that nobody has told of yet.
const LOOK_UP: Duration = Duration::from_secs(6);
/// The most relays whose addresses are kept; the network has some thousands of exits.
const MOST_RELAYS: usize = 16_384;
/// The longest file that is read back: 500 generations and a secret.
const LONGEST_FILE: usize = 64 << 10;

/// What is kept over restarts: nodes with the same logins are the same nodes.
#[derive(Serialize, Deserialize)]
struct Kept {
    secret: String,
    port: Option<u16>,
    generations: Vec<u32>,
}

/// Pauses that grow between things that are done in vain.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Backoff {
    last: Option<Timestamp>,
    doublings: u32,
}

impl Backoff {
    /// Whether it may be done now; then it counts as done.
    pub(super) fn is_due(&mut self, now: Timestamp) -> bool {
        let pause = FIRST_PAUSE.saturating_mul(1 << self.doublings.min(MOST_DOUBLINGS));
        if self.last.is_some_and(|last| now.since(last) < pause) {
            return false;
        }
        self.doublings = if self.last.is_some() { self.doublings.saturating_add(1) } else { 0 };
        self.last = Some(now);
        true
    }
}

/// The address of an exit relay, with its country where that is known.
pub(super) type RelayAddress = (IpAddr, Option<Country>);

/// One circuit as far as it is known.
#[derive(Clone, Debug, Default)]
struct CircuitState {
    /// Another one isolates its streams from those before.
    generation: u32,
    /// Where the client's circuits for this login end, the newest circuit first. When there is none, those that were there last.
    exits: Vec<ExitRelay>,
    /// When all of them were other relays than before.
    moved: Option<Timestamp>,
    /// The relay that the next circuit should not end at.
    avoided: Option<String>,
    tries: u8,
    /// When it is renewed because it fails.
    renewals: Backoff,
}

/// The circuits of one source.
#[derive(Debug)]
pub(super) struct CircuitTable {
    file: PathBuf,
    secret: Secret,
    /// The SOCKS port of the client that was started last.
    port: Option<u16>,
    circuits: Vec<CircuitState>,
    /// The relays that were met, by their fingerprints.
    relays: HashMap<String, RelayAddress>,
}

impl CircuitTable {
    /// The circuits that a file keeps, or new ones where there is no such file.
    pub(super) fn load(file: PathBuf, count: usize) -> Self {
        let text = std::fs::read(&file).ok().filter(|text| text.len() <= LONGEST_FILE);
        let kept: Option<Kept> = text.and_then(|text| serde_json::from_slice(&text).ok());
        let kept = kept.filter(|kept| kept.secret.len() == 32 && kept.secret.bytes().all(|b| b.is_ascii_hexdigit()));
        let kept = kept.unwrap_or_else(|| {
            let secret = format!("{:032x}", rand::random::<u128>());
            Kept { secret, port: None, generations: Vec::new() }
        });
        let circuit = |generation| CircuitState { generation, ..CircuitState::default() };
        let mut circuits: Vec<_> = kept.generations.into_iter().map(circuit).collect();
        circuits.resize(count, CircuitState::default());
        Self { file, secret: kept.secret.into(), port: kept.port, circuits, relays: HashMap::new() }
    }

    /// Writes what has to outlive this process; without it the nodes are other ones after a restart, which is no failure.
    pub(super) fn save(&self) {
        let generations = self.circuits.iter().map(|circuit| circuit.generation).collect();
        let kept = Kept { secret: self.secret.expose().to_owned(), port: self.port, generations };
        let Ok(text) = serde_json::to_vec(&kept) else { return };
        // A crash in the middle leaves the old file.
        let new = self.file.with_extension("new");
        let written = write_private(&new, &text).and_then(|_| std::fs::rename(&new, &self.file));
        if let Err(error) = written {
            tracing::warn!(file = %self.file.display(), %error, "the circuits of a Tor source cannot be kept");
        }
    }

    pub(super) const fn port(&self) -> Option<u16> {
        self.port
    }

    pub(super) const fn set_port(&mut self, port: u16) {
        self.port = Some(port);
    }

    pub(super) fn set_count(&mut self, count: usize) {
        self.circuits.resize(count, CircuitState::default());
    }

    pub(super) fn len(&self) -> usize {
        self.circuits.len()
    }

    fn username(&self, index: usize) -> String {
        let generation = self.circuits.get(index).map_or(0, |circuit| circuit.generation);
        format!("hezar-{}-{generation}", index + 1)
    }

    /// The node of a circuit at a client's SOCKS address; `None` for an address that is none.
    pub(super) fn node(&self, index: usize, socks: SocketAddr) -> Option<NodeSpec> {
        let credentials = Credentials { username: self.username(index).into(), password: self.secret.clone() };
        let proxy = SocksProxy { version: SocksVersion::Tor, credentials: Some(credentials), tls: None };
        let server = Target::new(Host::Ip(socks.ip()), socks.port()).ok()?;
        Some(NodeSpec::new(server, Outbound::Socks(proxy)))
    }

    /// The identities of all nodes.
    pub(super) fn ids(&self, socks: SocketAddr) -> Vec<NodeId> {
        (0..self.len()).filter_map(|index| Some(self.node(index, socks)?.id())).collect()
    }

    /// The links of all nodes, each with a label that says where it comes out, as far as that is known.
    pub(super) fn links(&self, socks: SocketAddr) -> Vec<Secret> {
        let link = |index| Some(Secret::new(hezar_formats::to_link(&self.node(index, socks)?, &self.label(index))));
        (0..self.len()).filter_map(link).collect()
    }

    fn label(&self, index: usize) -> Label {
        let mut text = format!("tor {}", index + 1);
        if let Some(relay) = self.circuits.get(index).and_then(|circuit| circuit.exits.first()) {
            if let Some((_, Some(country))) = self.relays.get(&relay.fingerprint) {
                text = format!("{text} {}", String::from_utf8_lossy(country));
            }
            text = format!("{text} {}", relay.nickname);
        }
        Label::new(&text)
    }

    /// Gives a circuit another login, so that its next stream gets another circuit, if possible with another exit.
    pub(super) fn renew(&mut self, index: usize) {
        let Some(circuit) = self.circuits.get_mut(index) else { return };
        let avoided = circuit.exits.first().map(|relay| relay.fingerprint.clone());
        circuit.avoided = avoided.or_else(|| circuit.avoided.take());
        (circuit.generation, circuit.tries) = (circuit.generation.wrapping_add(1), 0);
        (circuit.exits, circuit.moved) = (Vec::new(), None);
    }

    /// Gives a circuit that fails another login, unless it got one a moment ago; says whether it did.
    pub(super) fn renew_failing(&mut self, index: usize, now: Timestamp) -> bool {
        let is_due = self.circuits.get_mut(index).is_some_and(|circuit| circuit.renewals.is_due(now));
        if is_due {
            self.renew(index);
        }
        is_due
    }

    /// Notes that a circuit works.
    pub(super) fn works(&mut self, index: usize) {
        if let Some(circuit) = self.circuits.get_mut(index) {
            circuit.renewals = Backoff::default();
        }
    }

    /// Takes in which circuits the client has; says whether any login has another newest exit.
    pub(super) fn note(&mut self, built: Vec<Circuit>, now: Timestamp) -> bool {
        let mut by_user: HashMap<String, Vec<(u64, ExitRelay)>> = HashMap::new();
        for Circuit { id, username, exit } in built {
            by_user.entry(username).or_default().push((id, exit));
        }
        let mut changed = false;
        for index in 0..self.len() {
            let Some(mut built) = by_user.remove(&self.username(index)) else { continue };
            let Some(circuit) = self.circuits.get_mut(index) else { continue };
            built.sort_by_key(|(id, _)| std::cmp::Reverse(*id));
            let exits: Vec<ExitRelay> = built.into_iter().map(|(_, exit)| exit).collect();
            changed |= exits.first() != circuit.exits.first();
            if !circuit.exits.is_empty() && !exits.iter().any(|exit| circuit.exits.contains(exit)) {
                circuit.moved = Some(now);
            }
            circuit.exits = exits;
        }
        changed
    }

    /// The relays whose addresses are not known, each once.
    pub(super) fn unknown_relays(&self) -> HashSet<String> {
        let exits = self.circuits.iter().flat_map(|circuit| &circuit.exits);
        let unknown = exits.filter(|exit| !self.relays.contains_key(&exit.fingerprint));
        unknown.map(|exit| exit.fingerprint.clone()).collect()
    }

    /// Notes the address of a relay.
    pub(super) fn note_address(&mut self, fingerprint: String, address: RelayAddress) {
        if self.relays.len() >= MOST_RELAYS {
            self.relays.clear();
        }
        self.relays.insert(fingerprint, address);
    }

    /// Where a circuit comes out, when the exit that is known of its node, and was looked up at `seen`, is that of a circuit that is
    /// gone, or when none is known.
    pub(super) fn other_exit(
        &self,
        index: usize,
        known: Option<IpAddr>,
        seen: Option<Timestamp>,
        now: Timestamp,
    ) -> Option<RelayAddress> {
        // A probe may have met a circuit that is younger than the last look.
        if seen.is_some_and(|seen| now.since(seen) < LOOK_UP) {
            return None;
        }
        let circuit = self.circuits.get(index)?;
        let newest = *self.relays.get(&circuit.exits.first()?.fingerprint)?;
        let Some(known) = known else { return Some(newest) };
        let mut ends = circuit.exits.iter().filter_map(|exit| self.relays.get(&exit.fingerprint));
        if ends.any(|(ip, _)| *ip == known) {
            return None;
        }
        // The exit of a relay may have another address than the relay itself: then only a move shows that it is an old one.
        let is_relay = self.relays.values().any(|(ip, _)| *ip == known);
        let is_before_move = circuit.moved.is_some_and(|moved| seen.is_none_or(|seen| seen < moved));
        (is_relay || is_before_move).then_some(newest)
    }

    /// Renews the circuits that came out of the relay again which they were to leave; says whether there were any.
    pub(super) fn renew_unmoved(&mut self) -> bool {
        let mut any = false;
        for index in 0..self.len() {
            let Some(circuit) = self.circuits.get_mut(index) else { continue };
            let (Some(avoided), Some(relay)) = (&circuit.avoided, circuit.exits.first()) else { continue };
            if *avoided != relay.fingerprint || circuit.tries >= MOST_TRIES {
                circuit.avoided = None;
                continue;
            }
            let tries = circuit.tries + 1;
            self.renew(index);
            if let Some(circuit) = self.circuits.get_mut(index) {
                circuit.tries = tries;
            }
            any = true;
        }
        any
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_000_000);

    fn socks() -> SocketAddr {
        "127.0.0.1:9150".parse().unwrap()
    }

    fn table(count: usize) -> (tempfile::TempDir, CircuitTable) {
        let folder = tempfile::tempdir().unwrap();
        let table = CircuitTable::load(folder.path().join("circuits.json"), count);
        (folder, table)
    }

    fn built(id: u64, username: &str, relay: char) -> Circuit {
        let exit = ExitRelay { fingerprint: relay.to_string().repeat(40), nickname: format!("relay{relay}") };
        Circuit { id, username: username.to_owned(), exit }
    }

    #[test]
    fn nodes_are_the_same_after_a_restart_and_differ_from_each_other() {
        let (folder, mut table) = table(3);
        table.renew(1);
        table.set_port(9150);
        table.save();
        let again = CircuitTable::load(folder.path().join("circuits.json"), 4);
        assert_eq!((again.port(), again.len()), (Some(9150), 4));
        let (before, after) = (table.ids(socks()), again.ids(socks()));
        assert_eq!(before, after[..3]);
        let different: HashSet<_> = after.iter().collect();
        assert_eq!(different.len(), 4);
        std::fs::write(folder.path().join("circuits.json"), "{").unwrap();
        assert_ne!(CircuitTable::load(folder.path().join("circuits.json"), 3).ids(socks()), before);
    }

    #[test]
    fn links_are_read_back_as_the_same_nodes() {
        let (_folder, mut table) = table(2);
        assert!(table.note(vec![built(7, "hezar-1-0", 'A')], NOW));
        assert_eq!(table.unknown_relays(), HashSet::from(["A".repeat(40)]));
        table.note_address("A".repeat(40), ("192.0.2.1".parse().unwrap(), Some(*b"DE")));
        assert_eq!(table.unknown_relays(), HashSet::new());
        let text: Vec<String> = table.links(socks()).iter().map(|link| link.expose().to_owned()).collect();
        let parsed = hezar_formats::parse(text.join("\n").as_bytes());
        let ids: Vec<_> = parsed.nodes.iter().map(|entry| entry.spec.id()).collect();
        assert_eq!(ids, table.ids(socks()));
        let labels: Vec<_> = parsed.nodes.iter().map(|entry| entry.label.as_str().to_owned()).collect();
        assert_eq!(labels, ["tor 1 DE relayA", "tor 2"]);
        assert!(
            parsed.nodes.iter().all(|entry| entry.spec.reaches_onion_services() && !entry.spec.carries_datagrams())
        );
    }

    #[test]
    fn a_renewed_circuit_leaves_its_relay_as_far_as_possible() {
        let (_folder, mut table) = table(1);
        table.note(vec![built(7, "hezar-1-0", 'A')], NOW);
        table.renew(0);
        for try_number in 1..=MOST_TRIES {
            table.note(vec![built(8, &format!("hezar-1-{try_number}"), 'A')], NOW);
            assert!(table.renew_unmoved(), "{try_number}");
        }
        // There may be no other relay.
        table.note(vec![built(9, "hezar-1-6", 'A')], NOW);
        assert!(!table.renew_unmoved());
        table.renew(0);
        table.note(vec![built(10, "hezar-1-7", 'B')], NOW);
        assert!(!table.renew_unmoved());
    }

    #[test]
    fn an_exit_that_a_circuit_has_left_is_known_to_be_old() {
        let (_folder, mut table) = table(1);
        let ip = |number: u8| IpAddr::from([192, 0, 2, number]);
        for (relay, number) in [("A", 1), ("B", 2)] {
            table.note_address(relay.repeat(40), (ip(number), None));
        }
        let later = NOW.after(LOOK_UP);
        let other = |table: &CircuitTable, known, seen| table.other_exit(0, known, seen, later);
        assert_eq!(other(&table, Some(ip(1)), Some(NOW)), None, "nothing is known of its circuits");
        assert!(table.note(vec![built(9, "hezar-1-0", 'B'), built(7, "hezar-1-0", 'A'), built(1, "other", 'C')], NOW));
        assert_eq!(other(&table, None, None), Some((ip(2), None)), "the newest one");
        assert_eq!(other(&table, Some(ip(1)), Some(NOW)), None, "it still ends there too");
        assert!(!table.note(vec![built(9, "hezar-1-0", 'B')], NOW));
        assert_eq!(other(&table, Some(ip(1)), Some(NOW)), Some((ip(2), None)), "it ends there no more");
        assert_eq!(table.other_exit(0, Some(ip(1)), Some(later), later), None, "a probe may know better");
        // An address of the exit that is not the relay's own stays until the circuit moves.
        assert_eq!(other(&table, Some(ip(9)), Some(NOW)), None);
        assert!(table.note(vec![built(11, "hezar-1-0", 'A')], later));
        assert_eq!(other(&table, Some(ip(9)), Some(NOW)), Some((ip(1), None)));
    }

    #[test]
    fn circuits_that_fail_are_renewed_with_growing_pauses() {
        let (_folder, mut table) = table(1);
        assert!(table.renew_failing(0, NOW));
        assert!(!table.renew_failing(0, NOW.after(FIRST_PAUSE / 2)));
        let second = NOW.after(FIRST_PAUSE);
        assert!(table.renew_failing(0, second));
        assert!(!table.renew_failing(0, second.after(FIRST_PAUSE)));
        table.works(0);
        assert!(table.renew_failing(0, second.after(FIRST_PAUSE)));
    }
}
