//! The law `restore(store(pool)) == pool`, over generated pools and the real store; and what old or strange rows become.

use std::collections::{BTreeMap, BTreeSet};

use hezar_core::{Fault, NodeSpec, Quarantine, Record, Stage, State};
use hezar_pool::{Exit, Origin, Outcome, Rules, Success, Watch};
use hezar_store::{Access, Contents, Store};
use proptest::prelude::*;

use super::*;
use crate::store_sync::nodes;

const SOURCES: [&str; 3] = ["one", "two", "three"];
const START: u64 = 1_800_000_000_000;

/// How many pools; `HEZAR_LAW_CASES` asks for more.
fn cases() -> u32 {
    std::env::var("HEZAR_LAW_CASES").ok().and_then(|text| text.parse().ok()).unwrap_or(200)
}

/// Node `n` of a few, of every kind of link, one of them a chain.
fn spec(n: u8) -> NodeSpec {
    let key = "b16d5576-57c0-4dda-b610-3f2a9c0e1d4b";
    let link = match n % 8 {
        0 => format!("socks5://user{n}:p%20w@10.0.0.{n}:1080"),
        1 => format!("ss://YWVzLTI1Ni1nY206cGFzcw@node{n}.example:8388"),
        2 => format!("trojan://p%C3%A4ss@node{n}.example:443?sni=cdn.example&type=ws&path=%2F%E2%98%83"),
        3 => format!(
            "vless://{key}@[2001:db8::{n:x}]:443?security=reality&pbk=jNXHt1yRo0vDuchQlIP6Z0ZvjT3KtzVI-T4E7RoLJS0&sid=ab&sni=a.example&fp=chrome"
        ),
        4 => format!("hysteria2://auth@node{n}.example:443?obfs=salamander&obfs-password=x"),
        5 => format!("tuic://{key}:pw@node{n}.example:443?congestion_control=bbr"),
        _ => format!("http://user:pass{n}@192.0.2.{n}:3128"),
    };
    let spec = parse_link(&link).unwrap().0;
    if n % 8 == 7 { spec.through(Arc::new(self::spec(n - 5))).unwrap() } else { spec }
}

/// One thing that happens to a pool.
#[derive(Clone, Debug)]
enum Event {
    List {
        source: u8,
        private: bool,
        nodes: BTreeSet<u8>,
        complete: bool,
    },
    Drop(u8),
    Remove(u8),
    Report {
        node: u8,
        outcome: Outcome,
    },
    Quarantine(u8, &'static str),
    Release(u8),
    Tick,
    /// What has changed is written.
    Write,
}

fn outcome() -> impl Strategy<Value = Outcome> {
    let origin = prop_oneof![Just(Origin::Probe), Just(Origin::Traffic)];
    let exit = proptest::option::of((any::<std::net::IpAddr>(), proptest::option::of(any::<[u8; 2]>())));
    let good = (1..40_000_000_u64, exit).prop_map(|(us, exit)| {
        let letters = |pair: [u8; 2]| pair.map(|byte| b'A' + byte % 26);
        let exit = exit.map(|(ip, country)| Exit { ip, country: country.map(letters) });
        Ok(Success { latency: Duration::from_micros(us), exit })
    });
    let codes: Vec<_> = hezar_engine::Cause::CODES.iter().map(|doc| doc.code).collect();
    let bad = (proptest::sample::select(Stage::ALL.to_vec()), proptest::sample::select(codes), any::<bool>());
    let bad = bad.prop_map(|(stage, code, node)| {
        let fault = if node { Fault::Node } else { Fault::Local };
        Err(hezar_pool::Failure { fault, stage, code: code.into() })
    });
    (origin, prop_oneof![good, bad]).prop_map(|(origin, result)| Outcome { origin, result })
}

fn event() -> impl Strategy<Value = Event> {
    let node = || 0..16_u8;
    let tampering: Vec<_> = hezar_probe::TAMPERING.iter().map(|doc| doc.code).collect();
    prop_oneof![
        4 => (0..3_u8, any::<bool>(), proptest::collection::btree_set(node(), 0..10), any::<bool>())
            .prop_map(|(source, private, nodes, complete)| Event::List { source, private, nodes, complete }),
        1 => (0..3_u8).prop_map(Event::Drop),
        1 => node().prop_map(Event::Remove),
        12 => (node(), outcome()).prop_map(|(node, outcome)| Event::Report { node, outcome }),
        1 => (node(), proptest::sample::select(tampering)).prop_map(|(node, code)| Event::Quarantine(node, code)),
        1 => node().prop_map(Event::Release),
        1 => Just(Event::Tick),
        2 => Just(Event::Write),
    ]
}

/// A pool beside the changes that the program would write for it.
struct Run {
    pool: Nodes,
    watch: Watch,
    now: Timestamp,
    private: BTreeMap<&'static str, bool>,
}

impl Run {
    fn new() -> Self {
        let pool = Nodes::new(Rules::default());
        let watch = pool.watch();
        Self { pool, watch, now: Timestamp(START), private: BTreeMap::new() }
    }

    /// Does it, and says what the collector writes for it.
    fn happen(&mut self, event: &Event) -> Vec<Change> {
        match event {
            Event::List { source, private, nodes, complete } => {
                let name = SOURCES[usize::from(*source)];
                self.private.insert(name, *private);
                let listed = nodes.iter().map(|n| (spec(*n), Label::new(&format!("{name} {n}")))).collect();
                let complete = *complete;
                let (source, allow_private) = (SourceName::from(name), *private);
                let change = PoolChange::List { source: Arc::clone(&source), allow_private, nodes: listed, complete };
                self.pool.apply(change, self.now);
                let row = SourceRow { allow_private, ..SourceRow::new(name, "url") };
                vec![Change::PutSource(row)]
            }
            Event::Drop(source) => {
                let name = SOURCES[usize::from(*source)];
                self.private.remove(name);
                self.pool.apply(PoolChange::DropSource(name.into()), self.now);
                vec![Change::RemoveSource(name.into())]
            }
            Event::Remove(node) => {
                self.pool.apply(PoolChange::Remove(vec![spec(*node).id()]), self.now);
                Vec::new()
            }
            Event::Report { node, outcome } => {
                self.pool.report(spec(*node).id(), outcome, self.now);
                Vec::new()
            }
            Event::Quarantine(node, code) => {
                self.pool.quarantine(spec(*node).id(), *code, self.now);
                Vec::new()
            }
            Event::Release(node) => {
                self.pool.release(spec(*node).id());
                Vec::new()
            }
            Event::Tick => {
                self.pool.tick(self.now);
                Vec::new()
            }
            Event::Write => self.changes(),
        }
    }

    /// What the program writes for what has changed in the pool.
    fn changes(&self) -> Vec<Change> {
        self.watch.take(usize::MAX).into_iter().flat_map(|touched| nodes::changes(&self.pool, touched)).collect()
    }
}

/// Everything that decides about a node.
#[derive(Clone, Debug, PartialEq)]
struct Deciding {
    spec: NodeSpec,
    label: Label,
    sources: BTreeMap<String, bool>,
    kept_from: Option<Listing>,
    allow_private: bool,
    record: Record,
}

fn deciding(pool: &Nodes) -> BTreeMap<NodeId, Deciding> {
    let snapshot = pool.snapshot();
    let all = snapshot.nodes().map(|node| {
        let deciding = Deciding {
            spec: node.spec().clone(),
            label: node.label(),
            sources: node.sources().iter().map(|l| (l.source.to_string(), l.allow_private)).collect(),
            kept_from: node.kept_from(),
            allow_private: node.allow_private(),
            record: node.record(),
        };
        (node.id(), deciding)
    });
    all.collect()
}

fn restored(state: &Contents, now: Timestamp) -> (Nodes, Loaded) {
    let pool = Nodes::new(Rules::default());
    let mut restorer = Restorer::new(state.listings.clone(), &state.sources, &pool, None, now);
    restorer.take(Vec::new(), state.strange.clone());
    // Rows that have become one node may come in different parts.
    for part in state.nodes.chunks(3) {
        restorer.take(part.to_vec(), Vec::new());
    }
    let loaded = restorer.finish();
    (pool, loaded)
}

/// An id as another build would have made it.
fn old_id(id: NodeId) -> NodeId {
    let mut bytes = *id.as_bytes();
    bytes[0] ^= 0xff;
    NodeId::from_bytes(bytes)
}

/// The same store as another build would have written it: some nodes under another id.
fn aged(mut state: Contents, old: &BTreeSet<NodeId>) -> Contents {
    let age = |id: NodeId| if old.contains(&id) { old_id(id) } else { id };
    state.nodes.iter_mut().for_each(|row| row.id = age(row.id));
    for listing in &mut state.listings {
        listing.ids.iter_mut().for_each(|id| *id = age(*id));
    }
    state
}

async fn empty(store: &dyn Store) {
    let state = store.load().await.unwrap();
    let nodes = state.nodes.iter().map(|row| Change::RemoveNode(row.id));
    let sources = SOURCES.map(|name| Change::RemoveSource(name.into()));
    store.write(&nodes.chain(sources).collect::<Vec<_>>()).await.unwrap();
}

#[test]
fn what_is_stored_in_sqlite_is_the_pool() {
    what_is_stored_is_the_pool("sqlite:law.db", cases());
}

#[cfg(unix)]
#[test]
fn what_is_stored_in_postgresql_is_the_pool() {
    if let Some(url) = hezar_lab::postgres::empty_database("what_is_stored_in_postgresql_is_the_pool").unwrap() {
        // A transaction over the network takes longer than one in a file.
        what_is_stored_is_the_pool(&url, cases() / 4);
    }
}

fn what_is_stored_is_the_pool(url: &str, cases: u32) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let store = runtime.block_on(hezar_store::open(url, folder.path(), Access::Exclusive)).unwrap();
    let pools = (proptest::collection::vec((event(), 0..200_000_000_u64), 1..60), any::<u16>());
    let config = ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(cases) };
    let mut runner = proptest::test_runner::TestRunner::new(config);
    let law = |(events, old): (Vec<(Event, u64)>, u16)| {
        runtime.block_on(async {
            empty(&*store).await;
            let mut run = Run::new();
            for (event, pause) in &events {
                run.now = run.now.after(Duration::from_millis(*pause));
                let changes = run.happen(event);
                store.write(&changes).await.unwrap();
            }
            store.write(&run.changes()).await.unwrap();
            let expected = deciding(&run.pool);

            let state = store.load().await.unwrap();
            let (pool, loaded) = restored(&state, run.now);
            prop_assert_eq!(&deciding(&pool), &expected);
            prop_assert_eq!(&loaded.repairs, &Vec::new());
            prop_assert!(loaded.unreadable.is_empty());

            // An upgrade that makes other ids loses nothing, moves the rows, and is over after one start.
            let old: BTreeSet<_> = (0..16).filter(|n| old & (1 << n) != 0).map(|n| spec(n).id()).collect();
            let state = aged(state, &old);
            let (pool, loaded) = restored(&state, run.now);
            prop_assert_eq!(&deciding(&pool), &expected);
            prop_assert_eq!(loaded.renamed.len(), expected.keys().filter(|id| old.contains(*id)).count());
            empty(&*store).await;
            store.write(&rewritten(&state)).await.unwrap();
            store.write(&loaded.repairs).await.unwrap();
            let (pool, loaded) = restored(&store.load().await.unwrap(), run.now);
            prop_assert_eq!(&deciding(&pool), &expected);
            prop_assert_eq!(&loaded.repairs, &Vec::new());
            Ok(())
        })
    };
    runner.run(&pools, law).unwrap();
}

/// The changes that write a state whole.
fn rewritten(state: &Contents) -> Vec<Change> {
    let mut changes: Vec<_> = state.nodes.iter().cloned().map(Change::PutNode).collect();
    changes.extend(state.sources.iter().cloned().map(Change::PutSource));
    changes.extend(state.listings.iter().map(|listing| Change::SetListing {
        source: Arc::clone(&listing.source),
        ids: listing.ids.clone(),
        complete: true,
    }));
    changes
}

fn row(n: u8, id: NodeId, checked: u64) -> NodeRow {
    let record = Record {
        first_seen: Timestamp(START + checked),
        last_checked: Some(Timestamp(START + checked)),
        failures: u32::try_from(checked).unwrap(),
        ..Record::default()
    };
    let uri = hezar_formats::to_link(&spec(n), &Label::default()).into();
    NodeRow { id, uri, label: format!("row {checked}").into(), kept_from: None, unreadable_since: None, record }
}

#[test]
fn rows_that_have_become_one_node_are_merged() {
    let id = spec(3).id();
    let other = NodeId::from_bytes([7; 16]);
    let mut caught = row(3, old_id(id), 5);
    caught.record.quarantine = Some(Quarantine { code: "tampered-body".into(), since: Timestamp(START + 1) });
    let listing = |source: &str, id| SourceNodes { source: source.into(), ids: vec![id] };
    let state = Contents {
        nodes: vec![caught, row(3, other, 9)],
        sources: SOURCES.map(|name| SourceRow::new(name, "url")).to_vec(),
        listings: vec![listing("one", old_id(id)), listing("two", other)],
        ..Contents::default()
    };
    let (pool, loaded) = restored(&state, Timestamp(START + 100));
    let node = pool.node(id).unwrap();
    let record = node.record();
    assert_eq!((pool.snapshot().nodes().count(), loaded.renamed.len()), (1, 2));
    assert_eq!((record.failures, record.first_seen.0), (9, START + 5), "the newer evidence, the first sight");
    assert_eq!(record.quarantine.unwrap().code, "tampered-body");
    let mut sources: Vec<_> = node.sources().iter().map(|listing| listing.source.to_string()).collect();
    sources.sort();
    assert_eq!(sources, ["one", "two"]);
    assert!(loaded.repairs.contains(&Change::RemoveNode(old_id(id))));
    assert!(loaded.repairs.contains(&Change::RemoveNode(other)));
    let put = loaded.repairs.iter().find_map(|change| match change {
        Change::PutNode(row) => Some(row.clone()),
        _ => None,
    });
    assert_eq!(put.unwrap().record, record);
}

#[test]
fn unreadable_rows_are_counted_marked_and_given_up() {
    let now = Timestamp(START);
    let long =
        || NodeRow { uri: format!("trojan://{}@a.example:443", "p".repeat(70_000)).into(), ..row(1, spec(1).id(), 1) };
    let strange = StrangeRow { id: "no id".into(), since: None };
    let state = |since: Option<Timestamp>| Contents {
        nodes: vec![NodeRow { unreadable_since: since, ..long() }, row(2, spec(2).id(), 1)],
        strange: vec![strange.clone()],
        ..Contents::default()
    };
    let (_, loaded) = restored(&state(None), now);
    assert_eq!(loaded.nodes, 1);
    assert_eq!(loaded.unreadable, BTreeMap::from([("too-long", 1), (NO_ROW, 1)]));
    let id: Box<str> = spec(1).id().to_string().into();
    assert!(loaded.repairs.contains(&Change::MarkUnreadable(id.clone(), now)));
    assert!(loaded.repairs.contains(&Change::MarkUnreadable("no id".into(), now)));

    let later = now.after(KEEP_UNREADABLE);
    let (_, loaded) = restored(&state(Some(now)), later);
    assert!(loaded.repairs.contains(&Change::RemoveUnreadable(id)));
    // A version that reads the link again takes the mark away.
    let again = Contents {
        nodes: vec![NodeRow { unreadable_since: Some(now), ..row(2, spec(2).id(), 1) }],
        ..Contents::default()
    };
    let (_, loaded) = restored(&again, later);
    let marked = |change: &Change| matches!(change, Change::PutNode(row) if row.unreadable_since.is_none());
    assert!(loaded.repairs.iter().any(marked) && loaded.unreadable.is_empty());
}

#[test]
fn times_from_a_clock_that_was_ahead_are_brought_back() {
    let mut ahead = row(2, spec(2).id(), 1);
    let future = Some(Timestamp(START + 90 * 86_400_000));
    ahead.record.state = State::Dead;
    (ahead.record.dead_since, ahead.record.last_checked, ahead.record.last_ok) = (future, future, future);
    (ahead.record.exit_seen, ahead.record.unlisted_since) = (future, future);
    let now = Timestamp(START);
    let (pool, _) = restored(&Contents { nodes: vec![ahead], ..Contents::default() }, now);
    let record = pool.node(spec(2).id()).unwrap().record();
    for time in [record.dead_since, record.last_checked, record.last_ok, record.exit_seen, record.unlisted_since] {
        assert_eq!(time, Some(now));
    }
}

/// A store that the version at commit c6dc952 wrote, with nodes in every state that its own program could bring about:
/// healthy, suspect, dead, unsupported, unlisted, added by hand, and two sessions.
const OLD_STORE: &[u8] = include_bytes!("../../../tests/fixtures/store-c6dc952.db");

#[tokio::test]
async fn a_store_of_an_older_version_opens_keeps_everything_and_can_be_written() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("old.db"), OLD_STORE).unwrap();
    let open = || hezar_store::open("sqlite:old.db", folder.path(), Access::Exclusive);
    let store = open().await.unwrap();
    let state = store.load().await.unwrap();
    let now = Timestamp(1_795_920_000_000);
    let (pool, mut loaded) = restored(&state, now);
    let sessions = loaded.rename_sessions(state.sessions.clone());
    assert_eq!((loaded.nodes, &loaded.unreadable), (28, &BTreeMap::new()));
    let counts = pool.snapshot().counts();
    assert_eq!((counts.healthy, counts.suspect, counts.dead, counts.new), (2, 15, 9, 2));
    let by_hand: Vec<_> = pool.snapshot().nodes().filter(|node| node.listed_by("manual")).map(|n| n.label()).collect();
    assert_eq!(by_hand, [Label::new("by hand")]);
    for row in &state.nodes {
        let id = loaded.renamed.get(&row.id).copied().unwrap_or(row.id);
        let record = pool.node(id).unwrap().record();
        assert_eq!((record.failures, record.first_seen), (row.record.failures, row.record.first_seen));
        assert_eq!((record.last_ok, record.last_checked), (row.record.last_ok, row.record.last_checked));
        assert_eq!(
            (record.latency, record.exit_ip, record.country),
            (row.record.latency, row.record.exit_ip, row.record.country)
        );
        assert_eq!(record.dead_since.is_some(), row.record.state == State::Dead);
        assert_eq!(record.failure, row.record.failure);
    }
    let failing = pool.snapshot().nodes().filter(|node| node.record().failure.is_some()).count();
    let known =
        pool.snapshot().nodes().filter(|node| node.latency().is_some() && node.record().exit_ip.is_some()).count();
    let unlisted = pool.snapshot().nodes().filter(|node| node.record().unlisted_since == Some(now)).count();
    assert_eq!((failing, known, unlisted), (24, 17, 3));
    assert_eq!(sessions.len(), 2);
    // No id of this store has changed; a selection follows one that has.
    let new = state.nodes.first().unwrap().id;
    let old: NodeId = "0123456789abcdef0123456789abcdef".parse().unwrap();
    loaded.renamed.insert(old, new);
    let selected = |id| DashboardRow {
        kind: DashboardKind::Selection,
        key: "pool".into(),
        value: GroupMember::Node(id).to_string().into(),
    };
    assert_eq!(loaded.rename_selections(vec![selected(old)]), [selected(new)]);
    assert!(loaded.repairs.contains(&Change::PutDashboard(selected(new))), "it is written, too");
    for session in &sessions {
        assert_eq!(session.lasts, Duration::from_secs(36_000));
        assert!(session.node.and_then(|id| pool.node(id)).is_some());
    }
    let list = state.sources.iter().find(|row| &*row.name == "list").unwrap();
    assert!(list.allow_private && list.validators.is_some() && list.nodes == 24);

    // What the older version did not say is written, and then nothing is left to say.
    store.write(&loaded.repairs).await.unwrap();
    store.close().await;
    let store = open().await.unwrap();
    let (again, loaded) = restored(&store.load().await.unwrap(), now);
    assert_eq!(deciding(&again), deciding(&pool));
    assert_eq!(loaded.repairs, []);
}

#[test]
fn a_ban_follows_the_id_of_its_node() {
    let id = spec(2).id();
    let uri = || hezar_formats::to_link(&spec(2), &Label::default()).into();
    let old = BanRow { id: old_id(id), uri: uri(), label: "x".into(), since: Timestamp(1) };
    let (found, repairs) = bans(vec![old.clone()]);
    assert_eq!(found[0].id, id);
    assert_eq!(repairs, [Change::RemoveBan(old.id), Change::PutBan(found[0].clone())]);
    assert_eq!(bans(found).1, []);
}
