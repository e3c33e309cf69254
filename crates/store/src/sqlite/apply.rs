//! Writing a batch: neighbours of the same kind share a statement.

use std::collections::HashSet;

use hezar_core::NodeId;
use sqlx::{Sqlite, SqliteConnection, query::Query, sqlite::SqliteArguments};

use super::{convert, queries};
use crate::{Change, Health, NodeRow, SessionRow, SourceRow};

type Statement<'q> = Query<'q, Sqlite, SqliteArguments>;

/// Applies the changes in their order.
pub(super) async fn batch(connection: &mut SqliteConnection, changes: &[Change]) -> Result<(), sqlx::Error> {
    for run in changes.chunk_by(|a, b| std::mem::discriminant(a) == std::mem::discriminant(b)) {
        match run.first() {
            Some(Change::PutNode(_)) => put_nodes(connection, run).await?,
            Some(Change::PutHealth(..)) => put_health(connection, run).await?,
            Some(Change::RemoveNode(_)) => remove_nodes(connection, run).await?,
            _ => one_by_one(connection, run).await?,
        }
    }
    Ok(())
}

async fn put_nodes(connection: &mut SqliteConnection, run: &[Change]) -> Result<(), sqlx::Error> {
    let rows = last_of_each(run.iter().filter_map(|change| match change {
        Change::PutNode(row) => Some((row.id, row)),
        _ => None,
    }));
    in_sizes(connection, &rows, &queries::PUT_NODES, |query, row: &&NodeRow| {
        let query = query.bind(row.id.to_string()).bind(row.uri.expose().to_owned()).bind(row.label.to_string());
        bind_health(query, &row.health)
    })
    .await
}

async fn put_health(connection: &mut SqliteConnection, run: &[Change]) -> Result<(), sqlx::Error> {
    let rows = last_of_each(run.iter().filter_map(|change| match change {
        Change::PutHealth(id, health) => Some((*id, (*id, health))),
        _ => None,
    }));
    in_sizes(connection, &rows, &queries::PUT_HEALTH, |query, (id, health)| {
        bind_health(query.bind(id.to_string()), health)
    })
    .await
}

async fn remove_nodes(connection: &mut SqliteConnection, run: &[Change]) -> Result<(), sqlx::Error> {
    let ids = convert::id_array(run.iter().filter_map(|change| match change {
        Change::RemoveNode(id) => Some(id),
        _ => None,
    }));
    sqlx::query(queries::DELETE_NODES_LISTED).bind(ids.as_str()).execute(&mut *connection).await?;
    sqlx::query(queries::DELETE_NODES).bind(ids.as_str()).execute(connection).await?;
    Ok(())
}

async fn one_by_one(connection: &mut SqliteConnection, run: &[Change]) -> Result<(), sqlx::Error> {
    for change in run {
        match change {
            Change::PutSource(row) => put_source(connection, row).await?,
            Change::RemoveSource(name) => {
                sqlx::query(queries::DELETE_LISTING).bind(&**name).execute(&mut *connection).await?;
                sqlx::query(queries::DELETE_SOURCE).bind(&**name).execute(&mut *connection).await?;
            }
            Change::SetListing { source, ids, complete } => {
                set_listing(connection, source, ids, *complete).await?;
            }
            Change::PutSession(row) => put_session(connection, row).await?,
            Change::RemoveSession(name) => {
                let query = sqlx::query(queries::DELETE_SESSION).bind(&*name.listener).bind(&*name.user);
                query.bind(&*name.session).execute(&mut *connection).await?;
            }
            Change::PutNode(_) | Change::PutHealth(..) | Change::RemoveNode(_) => {}
        }
    }
    Ok(())
}

async fn put_source(connection: &mut SqliteConnection, row: &SourceRow) -> Result<(), sqlx::Error> {
    sqlx::query(queries::PUT_SOURCE)
        .bind(&*row.name)
        .bind(&*row.kind)
        .bind(row.allow_private)
        .bind(row.last_fetch.map(convert::from_time))
        .bind(row.last_ok.map(convert::from_time))
        .bind(row.next_fetch.map(convert::from_time))
        .bind(row.validators.as_deref())
        .bind(row.error.as_ref().map(|error| &*error.code))
        .bind(row.error.as_ref().map(|error| &*error.text))
        .bind(i64::from(row.failures))
        .bind(i64::from(row.nodes))
        .bind(i64::from(row.rejects))
        .bind(convert::from_latency(row.lived))
        .bind(i64::from(row.deaths_milli))
        .bind(i64::from(row.barren))
        .execute(connection)
        .await?;
    Ok(())
}

async fn put_session(connection: &mut SqliteConnection, row: &SessionRow) -> Result<(), sqlx::Error> {
    sqlx::query(queries::PUT_SESSION)
        .bind(&*row.name.listener)
        .bind(&*row.name.user)
        .bind(&*row.name.session)
        .bind(row.country.map(|letters| String::from_utf8_lossy(&letters).into_owned()))
        .bind(convert::from_time(row.began))
        .bind(convert::from_time(row.ends))
        .bind(row.exit_ip.map(|ip| ip.to_string()))
        .bind(row.node.map(|id| id.to_string()))
        .execute(connection)
        .await?;
    Ok(())
}

async fn set_listing(
    connection: &mut SqliteConnection,
    source: &str,
    ids: &[NodeId],
    complete: bool,
) -> Result<(), sqlx::Error> {
    let ids = convert::id_array(ids);
    if complete {
        sqlx::query(queries::SHRINK_LISTING).bind(source).bind(ids.as_str()).execute(&mut *connection).await?;
    }
    sqlx::query(queries::GROW_LISTING).bind(source).bind(ids.as_str()).execute(connection).await?;
    Ok(())
}

/// One statement must not meet the same row twice: an UPDATE … FROM would take any of them.
fn last_of_each<T>(rows: impl DoubleEndedIterator<Item = (NodeId, T)>) -> Vec<T> {
    let mut seen = HashSet::new();
    rows.rev().filter(|(id, _)| seen.insert(*id)).map(|(_, row)| row).collect()
}

/// Writes the rows with the largest statements that they fill.
async fn in_sizes<T>(
    connection: &mut SqliteConnection,
    mut rows: &[T],
    statements: &'static [String; 3],
    bind: impl for<'q> Fn(Statement<'q>, &T) -> Statement<'q>,
) -> Result<(), sqlx::Error> {
    for (size, statement) in queries::SIZES.into_iter().zip(statements) {
        while let Some((now, later)) = rows.split_at_checked(size) {
            let query = now.iter().fold(sqlx::query(statement.as_str()), &bind);
            query.execute(&mut *connection).await?;
            rows = later;
        }
    }
    Ok(())
}

/// Must follow `queries::HEALTH`.
fn bind_health<'q>(query: Statement<'q>, health: &Health) -> Statement<'q> {
    let country = health.country.map(|letters| String::from_utf8_lossy(&letters).into_owned());
    query
        .bind(health.state.healthy())
        .bind(health.state.name())
        .bind(i64::from(health.failures))
        .bind(health.last_ok.map(convert::from_time))
        .bind(health.last_checked.map(convert::from_time))
        .bind(convert::from_time(health.first_seen))
        .bind(health.latency.map(convert::from_latency))
        .bind(health.exit_ip.map(|ip| ip.to_string()))
        .bind(country)
        .bind(health.last_error.as_deref().map(str::to_owned))
        .bind(health.unsupported.as_deref().map(str::to_owned))
        .bind(health.quarantine.as_ref().map(|(code, _)| code.to_string()))
        .bind(health.quarantine.as_ref().map(|(_, at)| convert::from_time(*at)))
}
