//! Every row of the table against every peer: `cargo test -p hezar-interop -- --nocapture` prints the table.

use std::fmt;

use hezar_interop::{Peer, Table, run};

/// A failure as a test shows it: the text, nothing around it.
struct Shown(String);

impl fmt::Debug for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

async fn play(peer: Peer) -> Result<(), Shown> {
    run(peer, Table::Native).await.map_err(|error| Shown(format!("{error:#}")))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sing_box() -> Result<(), Shown> {
    play(Peer::SingBox).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mihomo() -> Result<(), Shown> {
    play(Peer::Mihomo).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn xray() -> Result<(), Shown> {
    play(Peer::Xray).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn v2ray() -> Result<(), Shown> {
    play(Peer::V2ray).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn shadowsocks_libev() -> Result<(), Shown> {
    play(Peer::ShadowsocksLibev).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hysteria() -> Result<(), Shown> {
    play(Peer::Hysteria).await
}
