//! Picking goes on while writers change everything.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use super::*;
use crate::SiteKey;

#[test]
fn pick_while_writers_apply() {
    let pool = healthy(500);
    // Nodes 0..100 are never touched, so there is always somebody to pick.
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for thread in 0..3_u64 {
            let (pool, done) = (&pool, &done);
            scope.spawn(move || {
                let mut held = std::collections::VecDeque::new();
                let mut rng = thread << 32;
                while !done.load(Relaxed) {
                    rng += 1;
                    let strategy = Strategy::ALL[(rng % 7) as usize];
                    let session = (rng % 3 == 0).then_some(SessionKey(rng % 50));
                    let query = Query { session, site: Some(SiteKey(rng)), ..query(strategy) };
                    held.push_back(pool.pick(&query, rng).expect("somebody is always there"));
                    if held.len() > 20 {
                        held.pop_front();
                    }
                    if rng % 64 == 0 {
                        std::thread::yield_now();
                    }
                }
            });
        }
        for round in 0..60_u64 {
            let now = at(10 + round);
            for n in 100..500_u32 {
                match (u64::from(n) + round) % 4 {
                    0 => pool.report(id(n), &bad(Origin::Probe), now),
                    1 => pool.report(id(n), &ok_in(u64::from(n), b"DE"), now),
                    2 => pool.report(id(n), &ok(round + 1), now),
                    _ => {}
                }
            }
            pool.apply(PoolChange::Remove((400..450).map(id).collect()), now);
            pool.apply(listing("s", 0..500), now);
        }
        done.store(true, Relaxed);
    });
    check(&pool);
}

#[test]
fn reports_from_many_threads_agree_in_the_end() {
    let pool = healthy(8);
    std::thread::scope(|scope| {
        for thread in 0..4_u64 {
            let pool = &pool;
            scope.spawn(move || {
                for step in 0..2000_u64 {
                    let n = ((step * 7 + thread) % 8) as u32;
                    let outcome =
                        if (step + thread) % 3 == 0 { ok_in(step % 90 + 1, b"FR") } else { bad(Origin::Probe) };
                    pool.report(id(n), &outcome, at(10 + step));
                }
            });
        }
    });
    check(&pool);
}
