//! Who counts as living, and who probes what.

use std::{sync::Arc, time::Duration};

use hezar_core::{Roles, Timestamp};
use hezar_probe::Ownership;
use hezar_store::{GONE_AFTER, MemberBeat, MemberFigures, MemberRow, Members};
use tokio::time::{Instant, advance};

use super::{Membership, name, roster::Roster};
use crate::config::{Config, Layers};

fn row(name: &str, roles: &str, age: Duration) -> MemberRow {
    let beat = MemberBeat {
        name: name.into(),
        incarnation: 7,
        roles: roles.parse().unwrap(),
        region: "".into(),
        host: "host".into(),
        pid: 1,
        version: "0".into(),
        proxy: "".into(),
        api: "".into(),
        started: Timestamp(1),
        figures: MemberFigures::default(),
    };
    MemberRow { beat, age, member_for: Duration::from_secs(60), draining: false }
}

fn members(rows: Vec<MemberRow>) -> Members {
    Members { rows, is_accepted: true, now: Timestamp(1_000_000), requested: Vec::new() }
}

/// The membership of `a`, as if its store were shared.
fn membership(roles: &str) -> Membership {
    let config = Config::read("[cluster]\nname = \"a\"\n", None, &Layers::default()).unwrap();
    let mut membership = Membership::new(name(&config), &config, None, Timestamp(1));
    membership.set_roles(roles.parse().unwrap());
    membership
}

fn owned(membership: &Membership) -> Ownership {
    membership.ownership().borrow().clone()
}

fn living(roster: &mut Roster, rows: &[MemberRow]) -> Vec<String> {
    roster.note(rows, Instant::now()).iter().map(|name| name.to_string()).collect()
}

const FRESH: Duration = Duration::from_secs(1);
const OLD: Duration = Duration::from_secs(11);

#[tokio::test(start_paused = true)]
async fn a_member_that_is_silent_is_gone_but_not_because_nobody_could_speak() {
    let mut roster = Roster::default();
    let both = |age| [row("a", "probe", FRESH), row("b", "probe", age)];
    assert_eq!(living(&mut roster, &both(OLD)), ["a"], "one that was gone at the start");
    assert_eq!(living(&mut roster, &both(FRESH)), ["a", "b"]);
    for _ in 0..4 {
        advance(Duration::from_secs(2)).await;
        assert_eq!(living(&mut roster, &both(GONE_AFTER)), ["a", "b"]);
    }
    advance(Duration::from_secs(2)).await;
    assert_eq!(living(&mut roster, &both(OLD)), ["a"], "it died");
    assert_eq!(living(&mut roster, &both(FRESH)), ["a", "b"], "it came back");
    // The store was away for a minute: all beats in it are old when it is back.
    advance(Duration::from_secs(60)).await;
    assert_eq!(roster.silence(Instant::now()), Some(Duration::from_secs(60)));
    assert_eq!(living(&mut roster, &both(Duration::from_secs(61))), ["a", "b"], "nobody could speak");
    advance(Duration::from_secs(8)).await;
    assert_eq!(living(&mut roster, &both(Duration::from_secs(69))), ["a", "b"]);
    advance(Duration::from_secs(3)).await;
    assert_eq!(living(&mut roster, &both(Duration::from_secs(72))), ["a"], "it has had its time");
    // Who has left is not waited for.
    assert_eq!(living(&mut roster, &both(FRESH)), ["a", "b"]);
    advance(Duration::from_secs(60)).await;
    assert_eq!(living(&mut roster, &[row("a", "probe", FRESH)]), ["a"]);
}

#[tokio::test(start_paused = true)]
async fn nodes_are_shared_by_the_probers_of_the_region_that_live_and_are_not_drained() {
    let membership = membership("probe,api");
    let region = MemberRow {
        beat: MemberBeat { region: "ir".into(), ..row("d", "probe", FRESH).beat },
        ..row("d", "probe", FRESH)
    };
    let drained = MemberRow { draining: true, ..row("e", "probe", FRESH) };
    let rows = vec![
        row("a", "probe,api", FRESH),
        row("b", "fetch,probe", FRESH),
        row("c", "gateway", FRESH),
        region,
        drained,
        row("f", "probe", OLD),
    ];
    membership.publish(&members(rows.clone()));
    assert_eq!(owned(&membership), Ownership::shared("a", ["a", "b"]));
    let known = membership.known();
    let states: Vec<_> = known.iter().map(|member| (&*member.row.beat.name, member.state(), member.own)).collect();
    assert_eq!(states[0], ("a", "living", true));
    assert_eq!(states[4..], [("e", "draining", false), ("f", "gone", false)]);
    // The same members again wake nobody.
    let mut watch = membership.ownership();
    watch.mark_unchanged();
    membership.publish(&members(rows.clone()));
    assert!(!watch.has_changed().unwrap());
    // An operator drains this one: it gives its nodes up.
    let own_drained = MemberRow { draining: true, ..row("a", "probe,api", FRESH) };
    membership.publish(&members(vec![own_drained, row("b", "probe", FRESH)]));
    assert_eq!(owned(&membership), Ownership::nothing());
    assert!(*membership.draining().borrow());
    membership.publish(&members(rows));
    assert_eq!(owned(&membership), Ownership::shared("a", ["a", "b"]));
}

#[tokio::test(start_paused = true)]
async fn another_process_of_the_same_name_is_refused_while_it_lives_and_replaced_when_it_is_dead() {
    let membership = membership("gateway");
    let seen = |age: u64, now: u64| Members {
        rows: vec![row("a", "gateway", Duration::from_millis(age))],
        is_accepted: false,
        now: Timestamp(now),
        requested: Vec::new(),
    };
    // It is dead: however long one looks, its last beat stays the same.
    let mut rival = membership.watch_rival(None, &seen(500, 10_000)).unwrap();
    assert!(rival.is_some());
    for step in 1..4 {
        rival = membership.watch_rival(rival, &seen(500 + step * 2000, 10_000 + step * 2000)).unwrap();
    }
    assert!(rival.is_some());
    // It lives: the next look shows another beat.
    let told = membership.watch_rival(rival, &seen(300, 18_000)).unwrap_err().to_string();
    assert!(told.contains("\"a\"") && told.contains("cluster.name") && told.contains("process 1 on host"), "{told}");
    // A third process under the name is watched anew.
    let mut other = seen(0, 19_000);
    other.rows[0].beat.incarnation = 9;
    assert!(membership.watch_rival(rival, &other).unwrap().is_some());
}

#[tokio::test]
async fn one_instance_alone_is_drained_by_its_name() {
    let membership = membership("fetch,probe,gateway,api");
    assert_eq!(owned(&membership), Ownership::everything());
    assert!(membership.set_draining("b", true).await.is_err());
    membership.set_draining("a", true).await.unwrap();
    assert!(*membership.draining().borrow());
    membership.set_draining("a", false).await.unwrap();
    assert!(!*membership.draining().borrow());
    assert_eq!(membership.roles(), Roles::all());
    assert_eq!(membership.name(), &Arc::from("a"));
}

#[tokio::test(start_paused = true)]
async fn the_lag_that_a_beat_tells_grows_while_the_store_stands_still() {
    let membership = membership("gateway");
    let lag = || membership.beat().figures.lag_ms;
    assert_eq!(lag(), None, "it follows nobody");
    membership.note_read(Instant::now());
    assert_eq!(lag(), Some(0));
    for seconds in [1, 2, 62] {
        let known = Duration::from_secs(seconds);
        advance(known - Duration::from_millis(lag().unwrap())).await;
        assert_eq!((lag(), membership.lag()), (Some(seconds * 1000), Some(known)), "nothing is read meanwhile");
    }
    membership.note_read(Instant::now());
    assert_eq!(lag(), Some(0));
}
