//! A user's quota ends parallel downloads over a node, whatever it speaks: what flows is counted on every path.

use std::{sync::Arc, time::Duration};

use anyhow::{Context, ensure};
use futures_util::future::join_all;
use hezar_core::settings::ByteCount;
use hezar_engine::Engine;
use hezar_gateway::{Quota, User};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::{pattern::LARGE, route::Route, site::request};

const NAME: &str = "alice";
const PASSWORD: &str = "secret";
const QUOTA: u64 = 5 << 20;
/// Downloads at a time; each alone is larger than the quota.
const TUNNELS: usize = 10;

/// Downloads until the quota is used up; fails when more than 5 % beyond it is moved.
pub(crate) async fn ends_downloads(
    link: &str,
    engine: &Arc<dyn Engine>,
    patience: Duration,
    (host, port): (&str, u16),
) -> anyhow::Result<()> {
    let quota = Quota { total: Some(ByteCount(QUOTA)), ..Quota::default() };
    let user = User { quota, ..User::new(NAME, PASSWORD) };
    let route = Route::with_users(&[link], engine, patience, vec![user]).await?;
    let downloads = (0..TUNNELS).map(|_| download(&route, host, port));
    let received: usize = join_all(downloads).await.into_iter().sum();
    let used = route.used(NAME);
    ensure!(
        (QUOTA..=QUOTA + QUOTA / 20).contains(&used),
        "{used} bytes of a quota of {QUOTA} were counted, {received} received"
    );
    ensure!(received as u64 <= used, "{received} bytes were received and {used} counted");
    let error = route.connect_as(NAME, PASSWORD, host, port).await.err();
    let refused = error.context("a tunnel was opened beyond the quota")?.to_string();
    ensure!(refused.contains("quota-exceeded"), "refused for another reason: {refused}");
    Ok(())
}

/// What one download brings until it ends, or is ended.
async fn download(route: &Route, host: &str, port: u16) -> usize {
    let Ok(mut stream) = route.connect_as(NAME, PASSWORD, host, port).await else { return 0 };
    if stream.write_all(request("DOWN", LARGE).as_bytes()).await.is_err() {
        return 0;
    }
    let (mut piece, mut received) = (vec![0; 64 * 1024], 0);
    while let Ok(read @ 1..) = stream.read(&mut piece).await {
        received += read;
    }
    received
}
