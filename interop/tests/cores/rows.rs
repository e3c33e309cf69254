//! Every row that only a core dials, through the sidecar against real servers: `cargo test -p hezar-interop --test cores rows --
//! --nocapture` prints the table.

use hezar_interop::{Peer, Table, run};

async fn play(peer: Peer) {
    run(peer, Table::Cores).await.unwrap_or_else(|error| panic!("{error:#}"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sing_box() {
    play(Peer::SingBox).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mihomo() {
    play(Peer::Mihomo).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn xray() {
    play(Peer::Xray).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn v2ray() {
    play(Peer::V2ray).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn shadowsocksr() {
    play(Peer::ShadowsocksR).await;
}
