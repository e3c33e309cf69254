//! Sessions begin, last, end, and come back after a restart.

use super::*;

const TTL: Duration = Duration::from_secs(600);

fn names<'a>(user: &'a str, session: &'a str) -> SessionNameRef<'a> {
    SessionNameRef { listener: "proxy", user, session }
}

/// A request of a session for which a node was found.
fn served(sessions: &Sessions, user: &str, session: &str, country: Option<[u8; 2]>, now: u64) -> SessionKey {
    let planned = sessions.find_or_plan(names(user, session), TTL, false, Timestamp(now));
    sessions.begin(&planned, country, Timestamp(now)).pool_key()
}

#[test]
fn a_session_keeps_its_key_until_it_ends() {
    let sessions = Sessions::new(100);
    let at = |user, session, now| served(&sessions, user, session, None, now);
    let first = at("alice", "s1", 1_000);
    assert_eq!(at("alice", "s1", 600_999), first);
    assert_ne!(at("alice", "s1", 601_000), first);
    assert_ne!(at("alice", "s2", 1_000), first);
    assert_ne!(at("bob", "s1", 1_000), first);
}

#[test]
fn sessions_are_listed_ended_and_restored() {
    let sessions = Sessions::new(100);
    let pool_key = served(&sessions, "alice", "s1", Some(*b"DE"), 1_000);
    let listed = sessions.list(Timestamp(2_000));
    assert_eq!(listed.len(), 1);
    assert_eq!((listed[0].pool_key(), listed[0].country), (pool_key, Some(*b"DE")));
    assert_eq!(sessions.get(listed[0].id(), Timestamp(2_000)).as_ref(), Some(&listed[0]));
    assert!(sessions.list(Timestamp(601_000)).is_empty());

    let after = Sessions::new(100);
    after.restore(listed[0].clone(), Timestamp(3_000));
    assert_eq!(served(&after, "alice", "s1", Some(*b"DE"), 4_000), pool_key, "the same session goes on");
    after.restore(Session { ends: Timestamp(5), ..listed[0].clone() }, Timestamp(3_000));
    assert_eq!(after.list(Timestamp(4_000)).len(), 1, "what is over does not come back");

    assert!(sessions.end(listed[0].id()).is_some());
    assert!(sessions.end(listed[0].id()).is_none());
    assert_ne!(served(&sessions, "alice", "s1", Some(*b"DE"), 2_500), pool_key);
}

#[test]
fn a_rotation_after_a_restart_gives_the_same_time_as_before() {
    let sessions = Sessions::new(100);
    served(&sessions, "alice", "s1", None, 0);
    let id = names("alice", "s1").id();
    let rotated = sessions.renew(id, Timestamp(540_000)).unwrap();
    assert_eq!(rotated.ends, Timestamp(540_000).after(TTL));
    let after = Sessions::new(100);
    after.restore(rotated, Timestamp(541_000));
    assert_eq!(after.renew(id, Timestamp(550_000)).unwrap().ends, Timestamp(550_000).after(TTL));
}

#[test]
fn a_session_that_is_only_planned_is_in_no_table() {
    let sessions = Sessions::new(100);
    let planned = sessions.find_or_plan(names("alice", "s1"), TTL, false, Timestamp(1_000));
    assert_eq!(sessions.len(), 0);
    // Two requests plan it at once; the first that finds a node begins it for both.
    let other = sessions.find_or_plan(names("alice", "s1"), TTL, false, Timestamp(1_001));
    let begun = sessions.begin(&other, None, Timestamp(1_002));
    assert_eq!(sessions.begin(&planned, None, Timestamp(1_003)), begun);
    assert_eq!(sessions.len(), 1);
}

#[test]
fn countries_of_one_session_have_keys_of_their_own() {
    let sessions = Sessions::new(100);
    let german = served(&sessions, "alice", "s1", Some(*b"DE"), 1_000);
    let american = served(&sessions, "alice", "s1", Some(*b"US"), 1_000);
    assert_ne!(german, american);
    assert_eq!(served(&sessions, "alice", "s1", Some(*b"DE"), 1_000), german);
}

#[test]
fn names_are_compared_when_numbers_collide() {
    let sessions = Sessions::new(100);
    let planned = sessions.find_or_plan(names("alice", "s1"), TTL, false, Timestamp(1_000));
    let begun = sessions.begin(&planned, None, Timestamp(1_000));
    // As if another name had the same number: the table finds the entry and sees that it is somebody else's.
    if let Some(session) = sessions.table.lock().get_mut(begun.id()) {
        session.user = "mallory".into();
    }
    assert_ne!(sessions.find_or_plan(names("alice", "s1"), TTL, false, Timestamp(2_000)).began, begun.began);
}

#[test]
fn the_table_is_bounded() {
    let sessions = Sessions::new(16);
    for number in 0..1000 {
        served(&sessions, &number.to_string(), "s", None, number);
        assert!(sessions.len() <= 16);
    }
    assert_eq!(sessions.len(), 16);
    // Other limits hold from the next session on.
    sessions.set_limits(4, 2);
    served(&sessions, "1", "a", None, 1000);
    assert_eq!(sessions.len(), 4);
    for name in ["b", "c", "d"] {
        served(&sessions, "1", name, None, 1000);
    }
    assert_eq!(sessions.list(Timestamp(1001)).iter().filter(|session| &*session.user == "1").count(), 2);
}

#[test]
fn one_user_does_not_drive_out_the_others() {
    let sessions = Sessions::new(1000).with_user_limit(100);
    let bob = served(&sessions, "bob", "s", None, 0);
    let kept = served(&sessions, "alice", "kept", None, 0);
    for number in 0..10_000_u64 {
        served(&sessions, "alice", &number.to_string(), None, 1);
        assert_eq!(served(&sessions, "alice", "kept", None, 1), kept, "what is in use stays");
    }
    assert_eq!(sessions.len(), 101);
    assert_eq!(served(&sessions, "bob", "s", None, 2), bob);
    // When all is full, whoever has most makes room.
    for user in 0..2000_u64 {
        served(&sessions, &format!("u{user}"), "s", None, 3);
    }
    assert_eq!(sessions.len(), 1000);
    let users: Vec<_> = sessions.list(Timestamp(4)).into_iter().map(|session| session.user).collect();
    assert!(users.iter().all(|user| user.starts_with('u')), "the oldest of those who have one each went");
    assert!(users.iter().any(|user| &**user == "u1999"));
}

#[test]
fn what_has_ended_makes_room_first() {
    let sessions = Sessions::new(4);
    for number in 0..4_u64 {
        served(&sessions, "alice", &number.to_string(), None, number);
    }
    let late = served(&sessions, "bob", "s", None, 700_000);
    assert_eq!(sessions.len(), 1);
    assert_eq!(served(&sessions, "bob", "s", None, 700_001), late);
}

#[test]
fn a_sessions_number_is_the_same_in_every_build_and_reads_back() {
    let id = names("alice", "s1").id();
    assert_eq!(id.to_string(), "7caf9e17e228e2a1");
    assert_eq!(id.to_string().parse(), Ok(id));
    for text in ["", "12", "+123456789abcdef", "0123456789abcdeg", "0123456789abcdef0"] {
        assert_eq!(text.parse::<SessionId>(), Err(ParseSessionIdError), "{text:?}");
    }
}

#[test]
fn a_session_that_renews_itself_ends_its_full_time_after_its_last_use() {
    let (sessions, key) = (Sessions::new(10), names("alice", "s1"));
    let lasts = TTL.as_millis() as u64;
    let planned = sessions.find_or_plan(key, TTL, true, Timestamp(0));
    sessions.begin(&planned, None, Timestamp(0));
    let ends = |renews, now| sessions.find_or_plan(key, TTL, renews, Timestamp(now)).ends.0;
    assert_eq!(ends(false, lasts / 2), lasts);
    assert_eq!(ends(true, lasts / 1000), lasts, "a little is not worth a write to the store");
    assert_eq!(ends(true, lasts / 2), lasts / 2 + lasts);
    let later = sessions.find_or_plan(key, TTL, true, Timestamp(lasts + 1));
    assert_eq!((later.began, later.ends.0), (Timestamp(0), 2 * lasts + 1), "it is the same session");
    assert_ne!(sessions.find_or_plan(key, TTL, true, Timestamp(4 * lasts)).began, Timestamp(0));
}
