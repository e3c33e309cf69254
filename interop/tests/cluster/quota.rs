//! A user's quota counts over all gateways together.

use std::thread;

use hezar_interop::harness::eventually;

use crate::{
    load::exchange,
    stage::{Stage, know_healthy},
};

const MIB: u64 = 1 << 20;
/// What the user may move.
const QUOTA: u64 = 60 * MIB;
/// One download.
const PART: u64 = MIB;

#[test]
fn a_quota_counts_over_all_gateways() {
    let Some((mut stage, [])) = Stage::open("cluster: quota", 4, []) else { return };
    stage.cluster.proxy =
        "users = [{ name = \"alice\", password = \"p\", quota = { total = \"60MiB\" } }]\n".to_owned();
    let _fetcher = stage.cluster.member("fetcher", "fetch").unwrap();
    let _prober = stage.cluster.member("prober", "probe").unwrap();
    let gateways = stage.cluster.gateways(3).unwrap();
    know_healthy(&gateways, 4);

    // Each gateway serves as fast as a tenth of the quota a second, until it refuses.
    let downloads = gateways.iter().map(|gateway| {
        let proxy = gateway.proxy;
        thread::spawn(move || {
            let mut moved = 0;
            for _ in 0..QUOTA / PART {
                let text =
                    exchange(proxy, Some("alice"), &format!("http://demo.hezar/bytes/{PART}")).unwrap_or_default();
                let body = text.split_once("\r\n\r\n").map_or(0, |(_, body)| body.len() as u64);
                if !text.starts_with("HTTP/1.1 200") {
                    return (moved, true);
                }
                moved += body;
                thread::sleep(std::time::Duration::from_millis(450));
            }
            (moved, false)
        })
    });
    let downloads: Vec<_> = downloads.collect();
    let ended: Vec<(u64, bool)> = downloads.into_iter().map(|download| download.join().unwrap()).collect();
    let moved: u64 = ended.iter().map(|(moved, _)| moved).sum();
    let over = moved as f64 / QUOTA as f64 - 1.0;
    println!("cluster: {} MiB of a quota of 60 MiB over 3 gateways: {:+.1} %", moved / MIB, over * 100.0);
    assert!(ended.iter().all(|(_, refused)| *refused), "{ended:?}");
    // Each of three gateways counts what the others have moved a few seconds later, on a busy machine more: far from three quotas.
    assert!((-0.2..0.5).contains(&over), "{over}");
    for gateway in &gateways {
        eventually("the same usage everywhere", || {
            let total = gateway.get("/api/v1/users/alice/usage")?["total"]["down"].as_u64()?;
            (total.abs_diff(moved) <= moved / 20).then_some(())
        });
    }
}
