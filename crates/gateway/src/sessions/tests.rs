//! Sessions begin, last, end, and come back after a restart.

use super::*;

const TTL: Duration = Duration::from_secs(600);

fn key<'a>(user: &'a str, session: &'a str) -> SessionKey<'a> {
    SessionKey { listener: "proxy", user, session }
}

#[test]
fn a_session_keeps_its_key_until_it_ends() {
    let sessions = Sessions::new(100);
    let at = |user, session, now| sessions.key(key(user, session), None, TTL, Timestamp(now));
    let first = at("alice", "s1", 1_000);
    assert_eq!(at("alice", "s1", 600_999), first);
    assert_ne!(at("alice", "s1", 601_000), first);
    assert_ne!(at("alice", "s2", 1_000), first);
    assert_ne!(at("bob", "s1", 1_000), first);
}

#[test]
fn sessions_are_listed_ended_and_restored() {
    let sessions = Sessions::new(100);
    let pool_key = sessions.key(key("alice", "s1"), Some(*b"DE"), TTL, Timestamp(1_000));
    let listed = sessions.list(Timestamp(2_000));
    assert_eq!(listed.len(), 1);
    assert_eq!((listed[0].pool_key(), listed[0].country), (pool_key, Some(*b"DE")));
    assert_eq!(sessions.get(listed[0].id(), Timestamp(2_000)).as_ref(), Some(&listed[0]));
    assert!(sessions.list(Timestamp(601_000)).is_empty());

    let after = Sessions::new(100);
    after.restore(listed[0].clone(), Timestamp(3_000));
    assert_eq!(after.key(key("alice", "s1"), None, TTL, Timestamp(4_000)), pool_key, "the same session goes on");
    after.restore(Session { ends: Timestamp(5), ..listed[0].clone() }, Timestamp(3_000));
    assert_eq!(after.list(Timestamp(4_000)).len(), 1, "what is over does not come back");

    assert!(sessions.end(listed[0].id()).is_some());
    assert!(sessions.end(listed[0].id()).is_none());
    assert_ne!(sessions.key(key("alice", "s1"), None, TTL, Timestamp(2_500)), pool_key);
}

#[test]
fn the_table_is_bounded() {
    let sessions = Sessions::new(16);
    for number in 0..1000 {
        sessions.key(key("u", &number.to_string()), None, TTL, Timestamp(number));
        assert!(sessions.len() <= 16);
    }
    assert!(sessions.len() > 8);
}
