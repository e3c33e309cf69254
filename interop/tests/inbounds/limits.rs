//! What ends a user's access at every listener: being disabled, a quota, and an expiry.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use futures_util::future::join_all;
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
    let mut note = |row: Row, what: String| report.entry(row.name).or_default().push(what);
    for (what, taken, given) in ways {
        let streams = world.runtime.block_on(open(world, client));
        set(world, &taken);
        let end = Instant::now() + IN_FORCE;
        let served = streams.into_iter().map(|(row, stream)| is_served(client, row, stream, end));
        for (row, is_served) in world.runtime.block_on(join_all(served)) {
            if is_served {
                note(row, format!("a user that is {what} is served"));
            }
        }
        set(world, &given);
        let again = world.rows.iter().map(|(row, _)| eventually_served(client, *row));
        for (row, result) in world.runtime.block_on(join_all(again)) {
            if let Err(error) = result {
                note(row, format!("no longer {what}: {error:#}"));
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

/// Whether a listener goes on with a stream, or serves a new one.
async fn is_served(client: &Client, row: Row, mut stream: TcpStream, end: Instant) -> (Row, bool) {
    let again = async { matches!(timeout(ANSWER, small(client.through(row))).await, Ok(Ok(()))) };
    (row, !has_ended(&mut stream, end).await || again.await)
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

async fn eventually_served(client: &Client, row: Row) -> (Row, anyhow::Result<()>) {
    let end = Instant::now() + IN_FORCE;
    loop {
        let result = match timeout(ANSWER, small(client.through(row))).await {
            Ok(Ok(())) => return (row, Ok(())),
            Ok(Err(error)) => Err(error),
            Err(_) => Err(anyhow::anyhow!("it hangs")),
        };
        if Instant::now() > end {
            return (row, result);
        }
        sleep(Duration::from_millis(200)).await;
    }
}
