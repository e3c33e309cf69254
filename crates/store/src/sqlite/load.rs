//! Reading everything, row by row.

use std::{collections::HashSet, sync::Arc};

use futures_util::TryStreamExt;
use hezar_core::{NodeId, Secret};
use sqlx::{Row, SqliteConnection, sqlite::SqliteRow};

use super::{convert, queries};
use crate::{Health, Listing, NodeRow, NodeState, SessionName, SessionRow, SourceError, SourceRow, State};

/// Reads the whole store in one consistent view.
pub(super) async fn everything(connection: &mut SqliteConnection) -> Result<State, sqlx::Error> {
    let mut transaction = sqlx::Connection::begin(connection).await?;
    let mut state = State::default();
    {
        let mut rows = sqlx::query(queries::SELECT_NODES).fetch(&mut *transaction);
        while let Some(row) = rows.try_next().await? {
            match node(&row)? {
                Some(node) => state.nodes.push(node),
                None => state.skipped += 1,
            }
        }
    }
    for row in sqlx::query(queries::SELECT_SOURCES).fetch_all(&mut *transaction).await? {
        state.sources.push(source(&row)?);
    }
    for row in sqlx::query(queries::SELECT_SESSIONS).fetch_all(&mut *transaction).await? {
        state.sessions.push(session(&row)?);
    }
    let known: HashSet<NodeId> = state.nodes.iter().map(|node| node.id).collect();
    let mut rows = sqlx::query(queries::SELECT_LISTINGS).fetch(&mut *transaction);
    while let Some(row) = rows.try_next().await? {
        let listing = listing(&row, &known)?;
        if !listing.ids.is_empty() {
            state.listings.push(listing);
        }
    }
    drop(rows);
    transaction.rollback().await?;
    Ok(state)
}

/// `None` for a row that someone else must have written.
fn node(row: &SqliteRow) -> Result<Option<NodeRow>, sqlx::Error> {
    let id: Option<NodeId> = row.try_get::<&str, _>(0)?.parse().ok();
    let state = NodeState::from_name(row.try_get(3)?);
    let (Some(id), Some(state)) = (id, state) else { return Ok(None) };
    let health = Health {
        state,
        failures: convert::to_u32(row.try_get(4)?),
        last_ok: row.try_get::<Option<i64>, _>(5)?.map(convert::to_time),
        last_checked: row.try_get::<Option<i64>, _>(6)?.map(convert::to_time),
        first_seen: convert::to_time(row.try_get(7)?),
        latency: row.try_get::<Option<i64>, _>(8)?.map(convert::to_latency),
        exit_ip: row.try_get::<Option<&str>, _>(9)?.and_then(|text| text.parse().ok()),
        country: row.try_get::<Option<&str>, _>(10)?.and_then(|text| text.as_bytes().try_into().ok()),
        last_error: row.try_get::<Option<&str>, _>(11)?.map(Into::into),
        unsupported: row.try_get::<Option<&str>, _>(12)?.map(Into::into),
        quarantine: match (row.try_get::<Option<&str>, _>(13)?, row.try_get::<Option<i64>, _>(14)?) {
            (Some(code), at) => Some((code.into(), convert::to_time(at.unwrap_or(0)))),
            (None, _) => None,
        },
    };
    let uri = Secret::new(row.try_get::<&str, _>(1)?);
    Ok(Some(NodeRow { id, uri, label: row.try_get::<&str, _>(2)?.into(), health }))
}

fn source(row: &SqliteRow) -> Result<SourceRow, sqlx::Error> {
    let text = |column: usize| row.try_get::<Option<&str>, _>(column).map(|text| text.map(Box::<str>::from));
    let time = |column: usize| row.try_get::<Option<i64>, _>(column).map(|number| number.map(convert::to_time));
    let number = |column: usize| row.try_get(column).map(convert::to_u32);
    let error = match (text(7)?, text(8)?) {
        (Some(code), detail) => Some(SourceError { code, text: detail.unwrap_or_default() }),
        (None, _) => None,
    };
    Ok(SourceRow {
        name: row.try_get::<&str, _>(0)?.into(),
        kind: row.try_get::<&str, _>(1)?.into(),
        allow_private: row.try_get(2)?,
        last_fetch: time(3)?,
        last_ok: time(4)?,
        next_fetch: time(5)?,
        validators: text(6)?,
        error,
        failures: number(9)?,
        nodes: number(10)?,
        rejects: number(11)?,
        lived: convert::to_latency(row.try_get(12)?),
        deaths_milli: number(13)?,
        barren: number(14)?,
    })
}

fn session(row: &SqliteRow) -> Result<SessionRow, sqlx::Error> {
    let text = |column: usize| row.try_get::<&str, _>(column).map(Box::<str>::from);
    Ok(SessionRow {
        name: SessionName { listener: text(0)?, user: text(1)?, session: text(2)? },
        country: row.try_get::<Option<&str>, _>(3)?.and_then(|text| text.as_bytes().try_into().ok()),
        began: convert::to_time(row.try_get(4)?),
        ends: convert::to_time(row.try_get(5)?),
        exit_ip: row.try_get::<Option<&str>, _>(6)?.and_then(|text| text.parse().ok()),
        node: row.try_get::<Option<&str>, _>(7)?.and_then(|text| text.parse().ok()),
    })
}

fn listing(row: &SqliteRow, known: &HashSet<NodeId>) -> Result<Listing, sqlx::Error> {
    let source: Arc<str> = row.try_get::<&str, _>(0)?.into();
    let text: &str = row.try_get(1)?;
    let ids = text.as_bytes().chunks(32).filter_map(|digits| std::str::from_utf8(digits).ok()?.parse().ok());
    Ok(Listing { source, ids: ids.filter(|id| known.contains(id)).collect() })
}
