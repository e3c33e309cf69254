//! The circuits of one Tor source: the login that isolates each of them, its generation, and where it comes out.

use std::{
    collections::HashMap,
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

/// A login comes out elsewhere.
#[derive(Clone, Copy, Debug)]
struct Move {
    at: Timestamp,
    /// Whether it came out nowhere before.
    is_first: bool,
    /// The address of the relay that was left.
    left: Option<IpAddr>,
}

/// One circuit as far as it is known.
#[derive(Clone, Debug, Default)]
struct CircuitState {
    /// Another one isolates its streams from those before.
    generation: u32,
    /// The circuit of the client that carries it, and where that ends.
    carrier: Option<(u64, ExitRelay)>,
    /// The address and the country of that relay, as far as the client knows them.
    address: Option<(IpAddr, Option<Country>)>,
    /// Another relay was noticed than before, and the pool has not been told.
    moved: Option<Move>,
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
}

/// An exit that the pool should know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct MovedExit {
    pub(super) index: usize,
    pub(super) ip: IpAddr,
    pub(super) country: Option<Country>,
    /// When it was noticed.
    pub(super) at: Timestamp,
    /// Whether it is the first exit of this login.
    pub(super) is_first: bool,
    /// The address of the relay that was left.
    pub(super) left: Option<IpAddr>,
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
        Self { file, secret: kept.secret.into(), port: kept.port, circuits }
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
        let circuit = self.circuits.get(index);
        if let Some((_, Some(country))) = circuit.and_then(|circuit| circuit.address) {
            text = format!("{text} {}", String::from_utf8_lossy(&country));
        }
        if let Some((_, relay)) = circuit.and_then(|circuit| circuit.carrier.as_ref()) {
            text = format!("{text} {}", relay.nickname);
        }
        Label::new(&text)
    }

    /// Gives a circuit another login, so that its next stream gets another circuit, if possible with another exit.
    pub(super) fn renew(&mut self, index: usize) {
        let Some(circuit) = self.circuits.get_mut(index) else { return };
        let avoided = circuit.carrier.take().map(|(_, relay)| relay.fingerprint);
        circuit.avoided = avoided.or_else(|| circuit.avoided.take());
        (circuit.generation, circuit.tries) = (circuit.generation.wrapping_add(1), 0);
        circuit.address = None;
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

    /// Takes in which circuits the client has. Returns the relays whose addresses should be asked for.
    pub(super) fn note(&mut self, built: Vec<Circuit>, now: Timestamp) -> Vec<String> {
        let mut by_user: HashMap<String, (u64, ExitRelay)> = HashMap::new();
        for Circuit { id, username, exit } in built {
            // The newest one carries what comes from now on.
            if by_user.get(&username).is_none_or(|(known, _)| *known < id) {
                by_user.insert(username, (id, exit));
            }
        }
        let mut relays = Vec::new();
        for index in 0..self.len() {
            let (Some((id, relay)), Some(circuit)) =
                (by_user.remove(&self.username(index)), self.circuits.get_mut(index))
            else {
                continue;
            };
            let same = circuit.carrier.as_ref().is_some_and(|(_, known)| known.fingerprint == relay.fingerprint);
            if !same {
                let left = circuit.address.take().map(|(ip, _)| ip);
                let moved = Move { at: now, is_first: circuit.carrier.is_none(), left };
                // Of several moves that the pool was not told of it knows the beginning.
                circuit.moved = Some(circuit.moved.map_or(moved, |before| Move { at: now, ..before }));
                relays.push(relay.fingerprint.clone());
            }
            circuit.carrier = Some((id, relay));
        }
        relays
    }

    /// Notes the address of a relay.
    pub(super) fn note_address(&mut self, fingerprint: &str, ip: IpAddr, country: Option<Country>) {
        for circuit in &mut self.circuits {
            if circuit.carrier.as_ref().is_some_and(|(_, relay)| relay.fingerprint == fingerprint) {
                circuit.address = Some((ip, country));
            }
        }
    }

    /// Renews the circuits that came out of the relay again which they were to leave; says whether there were any.
    pub(super) fn renew_unmoved(&mut self) -> bool {
        let mut any = false;
        for index in 0..self.len() {
            let Some(circuit) = self.circuits.get_mut(index) else { continue };
            let (Some(avoided), Some((_, relay))) = (&circuit.avoided, &circuit.carrier) else { continue };
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

    /// The circuits whose exits the pool has not been told of.
    pub(super) fn moved(&self) -> Vec<MovedExit> {
        let moved = |(index, circuit): (usize, &CircuitState)| {
            let ((ip, country), Move { at, is_first, left }) = (circuit.address?, circuit.moved?);
            Some(MovedExit { index, ip, country, at, is_first, left })
        };
        self.circuits.iter().enumerate().filter_map(moved).collect()
    }

    /// The pool knows the exit of a circuit.
    pub(super) fn told(&mut self, index: usize) {
        if let Some(circuit) = self.circuits.get_mut(index) {
            circuit.moved = None;
        }
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
        let different: std::collections::HashSet<_> = after.iter().collect();
        assert_eq!(different.len(), 4);
        std::fs::write(folder.path().join("circuits.json"), "{").unwrap();
        assert_ne!(CircuitTable::load(folder.path().join("circuits.json"), 3).ids(socks()), before);
    }

    #[test]
    fn links_are_read_back_as_the_same_nodes() {
        let (_folder, mut table) = table(2);
        assert_eq!(table.note(vec![built(7, "hezar-1-0", 'A')], NOW), ["A".repeat(40)]);
        table.note_address(&"A".repeat(40), "192.0.2.1".parse().unwrap(), Some(*b"DE"));
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
    fn the_newest_circuit_of_a_login_counts_and_a_move_is_told_once() {
        let (_folder, mut table) = table(1);
        table.note(vec![built(9, "hezar-1-0", 'B'), built(7, "hezar-1-0", 'A'), built(1, "other", 'C')], NOW);
        assert_eq!(table.moved(), []);
        table.note_address(&"B".repeat(40), "192.0.2.2".parse().unwrap(), None);
        let ip = "192.0.2.2".parse().unwrap();
        let expected = MovedExit { index: 0, ip, country: None, at: NOW, is_first: true, left: None };
        assert_eq!(table.moved(), [expected]);
        table.told(0);
        assert_eq!(table.note(vec![built(9, "hezar-1-0", 'B')], NOW), Vec::<String>::new());
        assert_eq!(table.moved(), []);
        table.note(vec![built(11, "hezar-1-0", 'A')], NOW);
        table.note_address(&"A".repeat(40), "192.0.2.1".parse().unwrap(), None);
        let moved = table.moved();
        assert_eq!(moved.first().map(|moved| (moved.is_first, moved.left)), Some((false, Some(ip))));
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
