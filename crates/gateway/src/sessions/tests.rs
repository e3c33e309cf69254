//! Sessions begin, last and end.

use super::*;

const TTL: Duration = Duration::from_secs(600);

#[test]
fn a_session_keeps_its_key_until_it_ends() {
    let sessions = Sessions::new(100);
    let first = sessions.key("alice", "s1", TTL, Timestamp(1_000));
    assert_eq!(sessions.key("alice", "s1", TTL, Timestamp(600_999)), first);
    assert_ne!(sessions.key("alice", "s1", TTL, Timestamp(601_000)), first);
    assert_ne!(sessions.key("alice", "s2", TTL, Timestamp(1_000)), first);
    assert_ne!(sessions.key("bob", "s1", TTL, Timestamp(1_000)), first);
}

#[test]
fn the_table_is_bounded() {
    let sessions = Sessions::new(16);
    for number in 0..1000 {
        sessions.key("u", &number.to_string(), TTL, Timestamp(number));
        assert!(sessions.len() <= 16);
    }
    assert!(sessions.len() > 8);
}
