//! What may happen between the end of a probe and the moment when the prober learns of it.

use std::{sync::atomic::Ordering::Relaxed, time::Duration};

use hezar_pool::{PoolChange, State};
use url::Url;

use super::*;
use crate::{
    ProbeConfig,
    tests::{Nodes, START, WORKS, Way, World, config, id, list, pool, prober},
};

fn runner(config: ProbeConfig, pool: &Arc<Nodes>, world: &Arc<World>) -> Runner {
    Runner::endless(prober(config, pool, world, false).context)
}

/// Starts what is due, and waits until the tasks have ended, without taking in what they found.
async fn probes_end(runner: &mut Runner) {
    runner.start();
    tokio::time::sleep(Duration::from_secs(1)).await;
}

async fn take_in(runner: &mut Runner) {
    while let Some(done) = runner.tasks.join_next_with_id().await {
        runner.collect(done);
    }
}

#[tokio::test(start_paused = true)]
async fn a_node_that_comes_back_while_its_old_probe_is_not_taken_in_stays_in_the_schedule() {
    for traced in [false, true] {
        for absorbed in [true, false] {
            let (world, pool) = (World::new(WORKS), pool(0..3));
            let mut config = config();
            config.trace_url = traced.then(|| Url::parse("http://trace.test/").unwrap());
            let mut runner = runner(config, &pool, &world);
            let watch = pool.watch_states();
            runner.fill();
            probes_end(&mut runner).await;
            if traced {
                // The checks are over and taken in; the exit lookups have ended and are not.
                while let Some(done) = runner.tasks.try_join_next_with_id() {
                    runner.collect(done);
                }
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
            pool.apply(PoolChange::Remove(vec![id(1)]), START);
            list(&pool, 0..3, START);
            if absorbed {
                runner.absorb(&watch);
            }
            take_in(&mut runner).await;
            runner.absorb(&watch);
            assert!(runner.schedule.contains(id(1)), "traced {traced}, absorbed {absorbed}");
            assert_eq!(runner.schedule.running(), 0, "no slot is lost or freed twice");
            assert_eq!(pool.node(id(1)).unwrap().state(), State::New, "what the old node did is not the new one's");
            probes_end(&mut runner).await;
            take_in(&mut runner).await;
            assert_eq!(pool.node(id(1)).unwrap().state(), State::Healthy);
            assert!(runner.running.is_empty());
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_old_probe_does_not_end_the_new_nodes_probe() {
    let (world, pool) = (World::new(WORKS), pool(0..1));
    let mut runner = runner(config(), &pool, &world);
    let watch = pool.watch_states();
    runner.fill();
    probes_end(&mut runner).await;
    pool.apply(PoolChange::Remove(vec![id(0)]), START);
    list(&pool, 0..1, START);
    runner.absorb(&watch);
    // The new node's probe runs when the old one's result is taken in.
    runner.start();
    let old = runner.tasks.try_join_next_with_id().unwrap();
    runner.collect(old);
    assert_eq!(runner.schedule.running(), 1);
    assert!(runner.schedule.is_running(id(0)));
    take_in(&mut runner).await;
    assert_eq!(pool.node(id(0)).unwrap().state(), State::Healthy);
    assert_eq!(runner.schedule.running(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_panic_costs_neither_the_node_nor_its_slot() {
    let (world, pool) = (World::new(Way::Panics), pool(0..4));
    let mut runner = runner(config(), &pool, &world);
    runner.fill();
    probes_end(&mut runner).await;
    take_in(&mut runner).await;
    assert_eq!((runner.schedule.running(), runner.running.len(), runner.schedule.len()), (0, 0, 4));
    assert_eq!(runner.context.metrics.panics("probe"), 4);
    *world.usual.lock() = WORKS;
    tokio::time::sleep(Duration::from_secs(60)).await;
    probes_end(&mut runner).await;
    take_in(&mut runner).await;
    assert_eq!(pool.snapshot().counts().healthy, 4);
    assert_eq!(world.running.load(Relaxed), 0);
}
