//! The words of health: names that the store and the API keep, and records that are merged and brought back from wrong clocks.

use proptest::prelude::*;

use super::*;

fn at(ms: u64) -> Timestamp {
    Timestamp(ms)
}

/// A record whose last evidence is from this time.
fn record(checked: u64) -> Record {
    Record { last_checked: Some(at(checked)), first_seen: at(checked / 2), ..Record::default() }
}

#[test]
fn names_are_read_back_and_nothing_else_is() {
    for state in State::ALL {
        assert_eq!(State::from_name(state.name()), Some(state));
        assert_eq!(State::from_number(state as u8 | 0xfc), state, "only the lowest two bits count");
    }
    for stage in Stage::ALL {
        assert_eq!(Stage::from_name(stage.name()), Some(stage));
        assert_eq!(stage.to_string(), stage.name());
    }
    assert!(Stage::ALL.is_sorted(), "the order of the stages is that of an attempt");
    assert_eq!((State::from_name("Healthy"), Stage::from_name("")), (None, None));
    assert_eq!(State::ALL.map(State::routable), [false, true, true, false]);
    let faults = [Fault::Node, Fault::Target, Fault::Client, Fault::Local].map(|fault| fault.to_string());
    assert_eq!(faults, ["node", "target", "client", "local"]);
    for level in Anonymity::ALL {
        assert_eq!(level.name().to_uppercase().parse(), Ok(level));
    }
    assert_eq!("high".parse::<Anonymity>(), Err(ParseAnonymityError));
    for fingerprint in Fingerprint::ALL {
        assert_eq!(Fingerprint::from_name(&fingerprint.name().to_uppercase()), Some(fingerprint));
    }
    assert_eq!(Fingerprint::from_name("netscape"), None);
}

#[test]
fn of_two_records_the_newer_evidence_counts_and_nothing_that_matters_is_forgotten() {
    let caught = Quarantine { code: Code::new("tampered-body"), since: at(5) };
    let older = Record {
        last_ok: Some(at(90)),
        state: State::Healthy,
        quarantine: Some(caught),
        country: Some(*b"DE"),
        ..record(100)
    };
    let newer = Record { state: State::Dead, failures: 3, last_ok: Some(at(70)), ..record(200) };
    for merged in [older.clone().merge(newer.clone()), newer.clone().merge(older)] {
        assert_eq!((merged.state, merged.failures, merged.last_checked), (State::Dead, 3, Some(at(200))));
        assert_eq!(
            (merged.first_seen, merged.last_ok),
            (at(50), Some(at(90))),
            "the first listing and the last success"
        );
        assert_eq!(merged.quarantine, Some(caught), "a node that was caught stays caught");
        assert_eq!(merged.country, None, "an exit belongs to its evidence");
    }
    assert_eq!(record(0).merge(newer.clone()).state, newer.state);
}

#[test]
fn what_a_wrong_clock_has_stored_is_brought_back_to_now() {
    let future = Some(at(1_000_000));
    let caught = Quarantine { code: Code::new("tampered-tls"), since: at(1_000_000) };
    let stored = Record {
        first_seen: at(1_000_000),
        last_ok: future,
        last_checked: future,
        dead_since: Some(at(10)),
        unlisted_since: future,
        exit_seen: future,
        quarantine: Some(caught),
        ..Record::default()
    };
    let read = stored.no_later_than(at(100));
    let now = Some(at(100));
    assert_eq!((read.first_seen, read.last_ok, read.last_checked), (at(100), now, now));
    assert_eq!((read.dead_since, read.unlisted_since, read.exit_seen), (Some(at(10)), now, now));
    assert_eq!(read.quarantine, Some(Quarantine { since: at(100), ..caught }));
}

#[test]
fn a_proxy_that_may_be_transparent_meets_no_higher_level() {
    use Anonymity::{Anonymous, Elite, Transparent};
    assert!(Transparent.is_met_by(None) && !Anonymous.is_met_by(None) && !Elite.is_met_by(None));
    assert!(Anonymous.is_met_by(Some(Elite)) && Anonymous.is_met_by(Some(Anonymous)));
    assert!(!Elite.is_met_by(Some(Anonymous)));
    let refuses_plain = HttpAbility::default().with(HttpWay::Plain, false).with_anonymity(Transparent);
    assert_eq!(refuses_plain.anonymity(), Some(Elite), "what travels in tunnels gets no header");
    assert_eq!(refuses_plain.seen_anonymity(), Some(Transparent));
}

#[test]
fn plain_requests_travel_as_the_proxy_is_known_to_take_them() {
    let known = |way, works| HttpAbility::default().with(way, works);
    assert!(HttpAbility::default().is_plain(80), "nothing is known: every HTTP proxy should take the absolute form");
    assert!(!known(HttpWay::TunnelOther, true).is_plain(80), "only the tunnel is known to work");
    assert!(known(HttpWay::Tunnel443, true).is_plain(80), "that tunnel leads to another port");
    assert!(known(HttpWay::TunnelOther, true).with(HttpWay::Plain, true).is_plain(80));
    assert_eq!((HttpWay::tunnel(443), HttpWay::tunnel(8443)), (HttpWay::Tunnel443, HttpWay::TunnelOther));
}

fn ability() -> impl Strategy<Value = HttpAbility> {
    any::<u8>().prop_map(HttpAbility::from_byte)
}

const WAYS: [HttpWay; 3] = [HttpWay::Plain, HttpWay::Tunnel443, HttpWay::TunnelOther];

proptest! {
    #[test]
    fn abilities_keep_what_is_known_and_survive_the_store(newer in ability(), older in ability(), works: bool) {
        prop_assert_eq!(HttpAbility::from_byte(newer.byte()), newer);
        for way in WAYS {
            let changed = newer.with(way, works);
            prop_assert_eq!(changed.works_through(way), Some(works));
            prop_assert!(WAYS.iter().all(|other| *other == way || changed.works_through(*other) == newer.works_through(*other)));
            prop_assert_eq!(changed.seen_anonymity(), newer.seen_anonymity());
            let both = newer.or(older);
            prop_assert_eq!(both.works_through(way), newer.works_through(way).or(older.works_through(way)));
        }
        prop_assert_eq!(newer.or(older).seen_anonymity(), newer.seen_anonymity().or(older.seen_anonymity()));
        prop_assert_eq!(newer.any_works(), newer.name().is_some());
    }

    #[test]
    fn merging_does_not_depend_on_the_order(a in 0..50_u64, b in 0..50_u64, ok_a in 0..50_u64, ok_b in 0..50_u64) {
        prop_assume!((a, ok_a) != (b, ok_b));
        let records = [(a, ok_a), (b, ok_b)].map(|(checked, ok)| Record { last_ok: Some(at(ok)), ..record(checked) });
        let [first, second] = records;
        prop_assert_eq!(first.clone().merge(second.clone()), second.merge(first));
    }

    #[test]
    fn an_optional_time_is_an_option(ms in proptest::option::of(0..u64::MAX)) {
        let time = ms.map(Timestamp);
        prop_assert_eq!(OptionalTime::from(time).get(), time);
        prop_assert_eq!(OptionalTime::from(time).is_none(), time.is_none());
    }
}
