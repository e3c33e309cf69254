//! Turns go by exit, sessions stay with theirs, and what one site refuses is good for the others.

use std::collections::{HashMap, HashSet};

use hezar_core::HttpProxy;

use super::*;
use crate::{ExitKey, Filter, SiteBan, SiteKey, SiteVerdict, Term, TooManyFilters};

fn ok_at(ms: u64, ip: [u8; 4]) -> Outcome {
    let exit = Some(Exit { ip: ip.into(), country: Some(*b"DE") });
    Outcome { origin: Origin::Probe, result: Ok(Success { latency: Duration::from_millis(ms), exit }) }
}

/// Node `n` comes out at `ip(n)`.
fn pool_with(count: u32, ip: impl Fn(u32) -> [u8; 4]) -> TestPool {
    let pool = pool();
    pool.apply(listing("s", 0..count), at(0));
    (0..count).for_each(|n| pool.report(id(n), &ok_at(50, ip(n)), at(1)));
    pool
}

fn exit_of(pool: &TestPool, query: &Query<'_>, rng: u64) -> ExitKey {
    pool.pick(query, rng).unwrap().exit()
}

#[test]
fn many_nodes_behind_one_exit_take_the_turns_of_one() {
    // 90 nodes behind one exit, 9 with one of their own.
    let pool = pool_with(99, |n| if n < 90 { [9, 0, 0, 1] } else { [9, 1, n as u8, 1] });
    assert_eq!(pool.snapshot().exits(), 10);
    let big = ExitKey::from_ip([9, 0, 0, 1].into());
    let round: Vec<_> = (0..100).map(|rng| exit_of(&pool, &query(Strategy::RoundRobin), rng)).collect();
    for turns in round.chunks(10) {
        assert_eq!(turns.iter().collect::<HashSet<_>>().len(), 10, "every exit once a round");
    }
    let nodes: HashSet<_> = (0..900).map(|rng| picked(&pool, &query(Strategy::RoundRobin), rng).unwrap()).collect();
    assert_eq!(nodes.len(), 99, "the nodes behind the exit share its turns");
    for strategy in [Strategy::Random, Strategy::Smart] {
        let hits = (0..10_000).filter(|rng| exit_of(&pool, &query(strategy), *rng) == big).count();
        assert!((700..1300).contains(&hits), "{strategy}: {hits} of 10,000, one exit of ten");
    }
}

#[test]
fn neighbouring_turns_lie_in_different_networks() {
    // 40 networks with 5 exits each, listed network by network.
    let pool = pool_with(200, |n| [9, 0, (n / 5) as u8, (n % 5) as u8]);
    let network = |node: NodeId| pool.node(node).unwrap().exit_place().network;
    let turns: Vec<_> =
        (0..400).map(|rng| network(picked(&pool, &query(Strategy::RoundRobin), rng).unwrap())).collect();
    assert!(turns.windows(2).all(|pair| pair[0] != pair[1]));
    for round in turns.chunks(40) {
        assert_eq!(round.iter().collect::<HashSet<_>>().len(), 40, "every network once before any comes twice");
    }
}

#[test]
fn an_exit_that_moves_takes_its_seat_along() {
    let pool = pool_with(10, |_| [9, 0, 0, 1]);
    assert_eq!(pool.snapshot().exits(), 1);
    pool.report(id(3), &ok_at(50, [9, 0, 0, 2]), at(2));
    assert_eq!(pool.snapshot().exits(), 2);
    kill(&pool, 3, 3);
    assert_eq!(pool.snapshot().exits(), 1);
    pool.apply(PoolChange::Remove((0..10).map(id).collect()), at(4));
    assert_eq!(pool.snapshot().exits(), 0);
    check(&pool);
}

#[test]
fn a_thousand_sessions_keep_their_exits_through_deaths_and_a_restart() {
    // 900 nodes, three behind each of 300 exits.
    let ip = |n: u32| [9, (n % 300 / 20) as u8, (n % 20) as u8, 7];
    let before = pool_with(900, ip);
    let ask = |session: u64| Query { session: Some(session_key(&format!("s{session}"))), ..query(Strategy::Smart) };
    let home: Vec<_> = (0..1000).map(|session| exit_of(&before, &ask(session), session)).collect();
    let check_all = |pool: &TestPool, dead: &dyn Fn(u32) -> bool| {
        let alive: HashSet<_> = (0..900).filter(|n| !dead(*n)).map(|n| ExitKey::from_ip(ip(n).into())).collect();
        let (mut kept, mut moved) = (0, 0);
        for session in 0..1000 {
            let exit = exit_of(pool, &ask(session), session);
            if alive.contains(&home[session as usize]) {
                assert_eq!(exit, home[session as usize], "session {session} lost an exit that is still there");
                kept += 1;
            } else {
                assert_ne!(exit, home[session as usize]);
                moved += 1;
            }
        }
        (kept, moved)
    };
    // Two of three nodes of every exit die, one after the other, and whole exits: numbers 0 to 29.
    let dead = |n: u32| !(30..300).contains(&n);
    for n in (300..900).chain(0..30) {
        kill(&before, n, 10);
        if n % 100 == 0 {
            let so_far = |m: u32| before.node(id(m)).unwrap().state() == State::Dead;
            check_all(&before, &so_far);
        }
    }
    let (kept, moved) = check_all(&before, &dead);
    assert!(kept > 800 && moved > 50, "{kept} kept, {moved} moved");
    // A restart: another pool, other slots, the pins as they were kept.
    let after = pool();
    after.apply(listing("s", (0..900).rev()), at(20));
    (0..900).rev().filter(|n| !dead(*n)).for_each(|n| after.report(id(n), &ok_at(50, ip(n)), at(21)));
    for session in 0..1000 {
        let key = ask(session).session.unwrap();
        after.pin(key, before.pinned(key).unwrap());
    }
    assert_eq!(check_all(&after, &dead), (kept, moved));
    // The pinned nodes are gone altogether, others behind their exits have come back.
    (330..360).for_each(|n| after.report(id(n), &ok_at(50, ip(n)), at(22)));
    after.apply(PoolChange::Remove((30..60).map(id).collect()), at(23));
    let gone = |n: u32| n < 60 || (n >= 300 && !(330..360).contains(&n));
    assert_eq!(check_all(&after, &gone), (kept, moved));
}

#[test]
fn a_session_can_be_rotated_and_ended() {
    let pool = pool_with(20, |n| [9, 0, n as u8 / 10, 1]);
    let ask = Query { session: Some(SessionKey(77)), ..query(Strategy::RoundRobin) };
    let first = exit_of(&pool, &ask, 1);
    for _ in 0..20 {
        let before = pool.pinned(SessionKey(77)).unwrap().exit;
        let node = pool.rotate(SessionKey(77), &ask, 5).unwrap();
        let pinned = pool.pinned(SessionKey(77)).unwrap();
        assert_eq!(pinned.node, node);
        assert_ne!(pinned.exit, before, "two exits: it always goes to the other one");
        assert_eq!(picked(&pool, &ask, 9), Some(node));
    }
    assert_eq!(exit_of(&pool, &ask, 1), first);
    assert!(pool.end_session(SessionKey(77)));
    assert!(!pool.end_session(SessionKey(77)));
    assert!(pool.pinned(SessionKey(77)).is_none());
}

#[test]
fn a_site_that_refuses_a_node_is_spared_it() {
    let pool = healthy(10);
    let (shop, news) = (SiteKey::from_name("shop.example"), SiteKey::from_name("news.example"));
    for n in 0..9 {
        pool.report_site(id(n), shop, SiteVerdict::Blocked, at(2));
    }
    for strategy in Strategy::ALL {
        let at_shop = Query { site: Some(shop), ..query(strategy) };
        assert!((0..40).all(|rng| picked(&pool, &at_shop, rng) == Some(id(9))), "{strategy}");
        let excluding = Query { exclude_nodes: &[id(9)], ..at_shop };
        assert!(picked(&pool, &excluding, 1).is_some(), "{strategy}: a refused node is better than none");
    }
    let at_news = Query { site: Some(news), ..query(Strategy::RoundRobin) };
    let nodes: HashSet<_> = (0..10).map(|rng| picked(&pool, &at_news, rng)).collect();
    assert_eq!(nodes.len(), 10, "good for the others");
    pool.report_site(id(0), shop, SiteVerdict::Works, at(3));
    let at_shop = Query { site: Some(shop), ..query(Strategy::RoundRobin) };
    let nodes: HashSet<_> = (0..20).map(|rng| picked(&pool, &at_shop, rng).unwrap()).collect();
    assert_eq!(nodes, HashSet::from([id(0), id(9)]));
    pool.tick(at(20 * 60));
    let nodes: HashSet<_> = (0..20).map(|rng| picked(&pool, &at_shop, rng)).collect();
    assert_eq!(nodes.len(), 10, "it is forgotten");
}

#[test]
fn a_session_whose_exit_is_refused_has_a_second_fixed_one_for_that_site() {
    // Two nodes behind each of ten exits.
    let pool = pool_with(20, |n| [9, 0, (n / 2) as u8, 1]);
    for (day, strategy) in [Strategy::Smart, Strategy::RoundRobin, Strategy::Random].into_iter().enumerate() {
        let start = day as u64 * 86_400;
        let (session, site) = (Some(session_key(strategy.name())), Some(SiteKey::from_name(strategy.name())));
        let (elsewhere, there) = (Query { session, ..query(strategy) }, Query { session, site, ..query(strategy) });
        let exits = |query: &Query<'_>| (0..12).map(|rng| exit_of(&pool, query, rng)).collect::<HashSet<_>>();
        let mut seen = Vec::new();
        for _ in 0..4 {
            let exit: Vec<_> = exits(&there).into_iter().collect();
            assert_eq!(exit.len(), 1, "{strategy}: twelve requests, one exit");
            assert!(!seen.contains(&exit[0]), "{strategy}: another one than those that are refused");
            seen.push(exit[0]);
            let node = pool.pinned_at(session.unwrap(), site.unwrap()).unwrap().node;
            assert_eq!(Some(node), picked(&pool, &there, 0));
            pool.report_site(node, site.unwrap(), SiteVerdict::Blocked, at(start + 2));
        }
        assert_eq!(exits(&elsewhere), HashSet::from([seen[0]]), "{strategy}: other sites see the first exit");
        let other = Query { session: Some(session_key("bob")), ..there };
        assert_eq!(exits(&other).len(), 1);
        // The first ban is over: the session is at home again.
        pool.tick(at(start + 7 * 3600));
        assert_eq!(exits(&there), HashSet::from([seen[0]]), "{strategy}");
    }
}

#[test]
fn a_session_whose_node_fails_at_a_site_keeps_another_one_behind_its_exit_there() {
    let pool = pool_with(12, |n| [9, 0, (n / 4) as u8, 1]);
    let (session, site) = (Some(session_key("alice")), Some(SiteKey::from_name("shop")));
    let (elsewhere, there) =
        (Query { session, ..query(Strategy::Random) }, Query { session, site, ..query(Strategy::Random) });
    let (first, exit) = (picked(&pool, &there, 0).unwrap(), exit_of(&pool, &there, 0));
    (0..2).for_each(|_| pool.report_site(first, site.unwrap(), SiteVerdict::Fails, at(2)));
    let nodes: HashSet<_> = (0..12).map(|rng| picked(&pool, &there, rng).unwrap()).collect();
    assert!(nodes.len() == 1 && !nodes.contains(&first));
    assert_eq!(exit_of(&pool, &there, 0), exit);
    assert_eq!(picked(&pool, &elsewhere, 0), Some(first));
}

#[test]
fn a_banned_exit_is_not_used_for_its_site_until_the_ban_ends_or_is_lifted() {
    let pool = pool_with(6, |n| [9, 0, (n / 3) as u8, 1]);
    let (site, exit) = (Some(SiteKey::from_name("shop")), std::net::IpAddr::from([9, 0, 0, 1]));
    let ask = |site, now| {
        let query = Query { site, now: Some(at(now)), ..query(Strategy::Random) };
        (0..60).map(|rng| picked(&pool, &query, rng).unwrap()).collect::<HashSet<_>>().len()
    };
    let ban = |until| SiteBan { site: "shop".into(), exit, since: at(2), until: at(until), reason: "test".into() };
    pool.ban_exit(ban(100));
    assert_eq!((ask(site, 3), ask(Some(SiteKey::from_name("other")), 3), ask(None, 3)), (3, 6, 6));
    let explained = pool.explain(&Query { site, now: Some(at(3)), ..query(Strategy::Random) }, 10);
    assert_eq!(explained.excluded["site"].count, 3);
    assert_eq!((ask(site, 100), pool.exit_bans(at(100)).len(), pool.exit_bans(at(99))), (6, 0, vec![ban(100)]));
    pool.ban_exit(ban(1000));
    assert_eq!(ask(site, 100), 3);
    assert!(pool.lift_exit_ban("shop", exit) && !pool.lift_exit_ban("shop", exit));
    assert_eq!(ask(site, 100), 6);
    let all = |exit: u8| SiteBan { exit: [9, 0, exit, 1].into(), ..ban(1000) };
    (0..2).for_each(|exit| pool.ban_exit(all(exit)));
    assert_eq!(ask(site, 100), 6, "a site that refuses every exit gets one of them all the same");
}

#[test]
fn a_refused_exit_is_refused_with_all_nodes_behind_it() {
    let pool = pool_with(6, |n| [9, 0, (n / 3) as u8, 1]);
    pool.report_site(id(0), SiteKey(7), SiteVerdict::Blocked, at(2));
    let refused: Vec<_> = (0..6).map(|n| pool.sites.avoids(SiteKey(7), id(n))).collect();
    assert_eq!(refused, [true, true, true, false, false, false]);
    pool.report_site(id(3), SiteKey(8), SiteVerdict::Fails, at(2));
    pool.report_site(id(3), SiteKey(8), SiteVerdict::Fails, at(3));
    assert!(
        pool.sites.avoids(SiteKey(8), id(3)) && !pool.sites.avoids(SiteKey(8), id(4)),
        "a failure may be the node's own"
    );
}

#[test]
fn one_failure_at_a_site_may_be_chance() {
    let pool = healthy(2);
    let ask = Query { site: Some(SiteKey(5)), ..query(Strategy::RoundRobin) };
    pool.report_site(id(0), SiteKey(5), SiteVerdict::Fails, at(2));
    assert_eq!((0..10).map(|rng| picked(&pool, &ask, rng)).collect::<HashSet<_>>().len(), 2);
    pool.report_site(id(0), SiteKey(5), SiteVerdict::Fails, at(3));
    assert!((0..10).all(|rng| picked(&pool, &ask, rng) == Some(id(1))));
}

#[test]
fn evidence_at_sites_is_bounded() {
    let pool = healthy(2);
    for site in (0..300_000).map(SiteKey) {
        pool.report_site(id(0), site, SiteVerdict::Blocked, at(2));
    }
    let known = (0..300_000).filter(|site| pool.sites.avoids(SiteKey(*site), id(0))).count();
    assert!((10_000..=65_600).contains(&known), "{known}");
}

#[test]
fn a_quarantined_node_carries_nothing_whatever_its_health() {
    let pool = healthy(3);
    pool.quarantine(id(1), "tampered-body", at(2));
    assert_eq!(pool.snapshot().counts().quarantined, 1);
    check(&pool);
    for strategy in Strategy::ALL {
        assert!((0..100).all(|rng| picked(&pool, &query(strategy), rng) != Some(id(1))), "{strategy}");
    }
    pool.report(id(1), &ok(1), at(3));
    assert!(!pool.node(id(1)).unwrap().routable(), "a success does not let it out");
    pool.release(id(1));
    check(&pool);
    assert!(pool.node(id(1)).unwrap().routable());
}

#[test]
fn filters_keep_views_of_their_own() {
    let pool = healthy(30);
    (0..10).for_each(|n| pool.report(id(n), &ok_in(10, b"DE"), at(2)));
    let german = Filter { term: Term::Country(vec![*b"DE"]), max_latency: None, top: None };
    let german = pool.add_filter(german).unwrap();
    let fast = Filter { term: Term::All(Vec::new()), max_latency: Some(Duration::from_millis(155)), top: None };
    let fast = pool.add_filter(fast).unwrap();
    let other = Filter { term: Term::Not(Box::new(Term::Source(vec!["s".into()]))), max_latency: None, top: Some(3) };
    let other = pool.add_filter(other).unwrap();
    let nodes = |filter, rounds: u64| -> HashSet<_> {
        let query = Query { filter: Some(filter), ..query(Strategy::RoundRobin) };
        (0..rounds).filter_map(|rng| picked(&pool, &query, rng)).collect()
    };
    assert_eq!(nodes(german, 40), (0..10).map(id).collect());
    assert_eq!(nodes(fast, 60), (0..15).map(id).collect());
    assert!(nodes(other, 5).is_empty());
    // New nodes of another source; the three fastest of them.
    pool.apply(listing("t", 100..110), at(3));
    (100..110).for_each(|n| pool.report(id(n), &ok(u64::from(n)), at(3)));
    assert_eq!(nodes(other, 20), [100, 101, 102].map(id).into());
    kill(&pool, 101, 4);
    assert_eq!(nodes(other, 20), [100, 102, 103].map(id).into(), "the next one moves up");
    pool.report(id(109), &ok(1), at(9_000));
    assert_eq!(nodes(other, 20), [109, 100, 102].map(id).into(), "and a faster one pushes the last one out");
    let PoolChange::List { source, nodes: more, .. } = listing("s", 100..101) else { unreachable!() };
    pool.apply(PoolChange::List { source, allow_private: false, nodes: more, complete: false }, at(9_001));
    assert_eq!(nodes(other, 20), [109, 102, 103].map(id).into(), "listings count at once");
    pool.apply(PoolChange::Remove(vec![id(109)]), at(9_002));
    assert_eq!(nodes(other, 20), [102, 103, 104].map(id).into());
    let everything = Filter { term: Term::All(Vec::new()), max_latency: None, top: None };
    let most = (0..).take_while(|_| pool.add_filter(everything.clone()).is_ok()).count();
    assert_eq!(most + 3, TooManyFilters::MOST);
}

#[test]
fn an_explanation_names_the_reasons() {
    let pool = healthy(10);
    pool.apply(listing("t", 100..104), at(2));
    kill(&pool, 9, 3);
    pool.quarantine(id(8), "tampered-tls", at(3));
    pool.mark_unsupported(id(103), "unsupported");
    (0..6).for_each(|n| pool.report(id(n), &ok_in(10, b"DE"), at(3)));
    (0..2).for_each(|_| pool.report_site(id(5), SiteKey(1), SiteVerdict::Fails, at(3)));
    let tried = [id(4)];
    let query =
        Query { country: Some(*b"DE"), site: Some(SiteKey(1)), exclude_nodes: &tried, ..query(Strategy::Smart) };
    let told = pool.explain(&query, 3);
    assert_eq!((told.nodes, told.fitting, told.exits), (14, 4, 1), "all German ones come out at one address");
    let counts: HashMap<_, _> = told.excluded.iter().map(|(reason, excluded)| (*reason, excluded.count)).collect();
    let expected =
        [("new", 3), ("dead", 1), ("quarantined", 1), ("unsupported", 1), ("country", 2), ("site", 1), ("tried", 1)];
    assert_eq!(counts, HashMap::from(expected));
    assert_eq!(told.candidates.len(), 3);
    assert!(told.candidates.windows(2).all(|pair| pair[0].score <= pair[1].score));
    assert_eq!(told.excluded["new"].examples.len(), 3);
}

#[test]
fn an_explanation_of_an_association_names_the_nodes_that_carry_no_datagrams() {
    let pool = healthy(3);
    let proxy = HttpProxy { credentials: None, tls: None };
    let spec = NodeSpec::new(Target::parse("11.9.9.9:8080").unwrap(), Outbound::Http(proxy));
    let stream_only = spec.id();
    let nodes = vec![(spec, Label::default())];
    pool.apply(PoolChange::List { source: "h".into(), allow_private: false, nodes, complete: true }, at(2));
    pool.report(stream_only, &ok(1), at(3));
    assert_eq!(pool.explain(&query(Strategy::Smart), 5).fitting, 4);
    let told = pool.explain(&Query { datagrams: true, ..query(Strategy::Smart) }, 5);
    assert_eq!((told.nodes, told.fitting), (4, 3));
    assert_eq!(told.excluded["datagrams"].examples, [stream_only]);
}
