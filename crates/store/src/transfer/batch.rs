//! Everything that a store holds, as changes that make another store the same.

use hezar_core::{Timestamp, UtcDay};
use tokio::sync::mpsc;

use super::tally::Tally;
use crate::{
    AuditQuery, AuditRow, Change, Contents, ControlChange, HistoryStep, MOST_AUDIT_ROWS, Store, StoreError, UsageQuery,
    UsageRow,
};

/// How many changes one batch holds.
const ROWS: usize = 8192;
/// How many rows of usage are read at a time.
const PAGE: u32 = 8192;

/// A part of a copy, written in this order.
#[derive(Debug)]
pub(crate) enum Batch {
    Changes(Vec<Change>),
    Control(Vec<ControlChange>),
    Usage(Vec<UsageRow>),
    /// All of it has been read.
    End,
}

/// Sends everything but the end. It stops early when nobody receives any more.
pub(super) async fn read_store(
    source: &dyn Store,
    tally: &mut Tally<'_>,
    batches: &mpsc::Sender<Batch>,
) -> Result<(), StoreError> {
    let (parts, mut received) = mpsc::channel::<Contents>(1);
    let pass_on = async {
        while let Some(part) = received.recv().await {
            tally.add_strange(part.strange.len() as u64);
            if !send_all(part.into_changes(), tally, batches).await {
                break;
            }
        }
        // Who loads notices that nobody receives.
        drop(received);
    };
    let (loaded, ()) = tokio::join!(source.load_in_parts(parts), pass_on);
    loaded?;
    let history = history(source).await?;
    send_all(history, tally, batches).await;
    send(Batch::Control(control(source).await?), tally, batches).await;
    usage(source, tally, batches).await
}

/// Sends changes in batches; false when nobody receives any more.
async fn send_all(changes: Vec<Change>, tally: &mut Tally<'_>, batches: &mpsc::Sender<Batch>) -> bool {
    let mut changes = changes.into_iter().peekable();
    while changes.peek().is_some() {
        let batch = Batch::Changes(changes.by_ref().take(ROWS).collect());
        if !send(batch, tally, batches).await {
            return false;
        }
    }
    true
}

async fn send(batch: Batch, tally: &mut Tally<'_>, batches: &mpsc::Sender<Batch>) -> bool {
    tally.add(&batch);
    batches.send(batch).await.is_ok()
}

async fn history(source: &dyn Store) -> Result<Vec<Change>, StoreError> {
    let mut changes = Vec::new();
    for step in HistoryStep::ALL {
        // The databases keep times as signed numbers.
        let rows = source.history(step, Timestamp(0), Timestamp(i64::MAX as u64)).await?;
        changes.extend(rows.into_iter().map(Change::PutHistory));
    }
    Ok(changes)
}

/// Objects and tokens, and the record of changes in its order; its numbers are given anew.
async fn control(source: &dyn Store) -> Result<Vec<ControlChange>, StoreError> {
    let contents = source.load_control().await?;
    let limit = u32::try_from(MOST_AUDIT_ROWS).unwrap_or(u32::MAX);
    let lines = source.audit(&AuditQuery { limit, ..AuditQuery::default() }).await?;
    let mut changes = contents.into_changes();
    changes.extend(lines.into_iter().rev().map(|line| ControlChange::Audit(AuditRow { id: 0, ..line })));
    Ok(changes)
}

async fn usage(source: &dyn Store, tally: &mut Tally<'_>, batches: &mpsc::Sender<Batch>) -> Result<(), StoreError> {
    let mut after = None;
    loop {
        let query = UsageQuery { user: None, from: UtcDay(0), to: UtcDay(u32::MAX), after, limit: PAGE };
        let rows = source.usage(&query).await?;
        let Some(last) = rows.last() else { return Ok(()) };
        after = Some((last.day, last.user.clone()));
        if !send(Batch::Usage(rows), tally, batches).await {
            return Ok(());
        }
    }
}
