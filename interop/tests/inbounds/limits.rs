//! What ends a user's access at every listener: being disabled, a quota, and an expiry.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use hezar_lab::ECHO_HOST;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{sleep, timeout},
};

use crate::{
    clients::Client,
    rows::Row,
    suite::{USER, small},
    world::World,
};

/// By then a user's streams have ended and new ones are refused.
const IN_FORCE: Duration = Duration::from_secs(10);
/// What is answered is answered by then.
const ANSWER: Duration = Duration::from_secs(2);

/// Takes the user's access away in each way and gives it back, and notes the listeners that went on serving.
pub(crate) fn show(world: &World, client: &Client, report: &mut BTreeMap<&'static str, Vec<String>>) {
    let used = world.used(USER);
    let ways = [
        ("disabled", json!({ "enabled": false }), json!({ "enabled": true })),
        ("over its quota", json!({ "quota": { "total": used } }), json!({ "quota": null })),
        ("expired", json!({ "expires": "2020-01-01" }), json!({ "expires": null })),
    ];
    for (what, taken, given) in ways {
        let streams: Vec<(Row, TcpStream)> = world.runtime.block_on(open(world, client));
        set(world, &taken);
        let served = world.runtime.block_on(still_served(client, streams));
        for name in served {
            report.entry(name).or_default().push(format!("a user that is {what} is served"));
        }
        set(world, &given);
        for (row, _) in &world.rows {
            if let Err(error) = world.runtime.block_on(eventually_served(client, *row)) {
                report.entry(row.name).or_default().push(format!("no longer {what}: {error:#}"));
            }
        }
    }
}

fn set(world: &World, change: &Value) {
    let changed = world.api("PATCH", &format!("/api/v1/users/{USER}"), change);
    assert!((200..300).contains(&changed.status), "{change}: {} {}", changed.status, changed.body);
}

/// A stream through each listener that has carried something.
async fn open(world: &World, client: &Client) -> Vec<(Row, TcpStream)> {
    let mut streams = Vec::new();
    for (row, _) in &world.rows {
        let mut stream = client.through(*row).socks(ECHO_HOST, 7).await.unwrap();
        stream.write_all(b"hello").await.unwrap();
        stream.read_exact(&mut [0; 5]).await.unwrap();
        streams.push((*row, stream));
    }
    streams
}

/// The listeners whose stream goes on, or that serve a new one.
async fn still_served(client: &Client, streams: Vec<(Row, TcpStream)>) -> Vec<&'static str> {
    let end = Instant::now() + IN_FORCE;
    let mut served = Vec::new();
    for (row, mut stream) in streams {
        let again = async { matches!(timeout(ANSWER, small(client.through(row))).await, Ok(Ok(()))) };
        if !has_ended(&mut stream, end).await || again.await {
            served.push(row.name);
        }
    }
    served
}

/// Whether nothing comes back any more. Not every client tells the end of a stream.
async fn has_ended(stream: &mut TcpStream, end: Instant) -> bool {
    loop {
        let echoed = async {
            stream.write_all(b"ping").await?;
            stream.read_exact(&mut [0; 4]).await
        };
        if !matches!(timeout(ANSWER, echoed).await, Ok(Ok(_))) {
            return true;
        }
        if Instant::now() > end {
            return false;
        }
        sleep(Duration::from_millis(200)).await;
    }
}

async fn eventually_served(client: &Client, row: Row) -> anyhow::Result<()> {
    let end = Instant::now() + IN_FORCE;
    loop {
        match timeout(Duration::from_secs(5), small(client.through(row))).await {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(error)) if Instant::now() > end => return Err(error),
            Err(_) if Instant::now() > end => anyhow::bail!("it hangs"),
            _ => sleep(Duration::from_millis(200)).await,
        }
    }
}
