//! Writing a batch: neighbours of the same kind share a statement.

use std::collections::BTreeMap;

use hezar_core::{Code, NodeId, Record, State};
use sqlx::{Connection, Sqlite, SqliteConnection, query::Query, sqlite::SqliteArguments};

use super::{convert, history, queries};
use crate::{AnnotationRow, BanRow, Change, NodeRow, SessionRow, SiteBanRow, SourceRow, change::last_of_each};

type Statement<'q> = Query<'q, Sqlite, SqliteArguments>;

/// Writes all the changes in their order, or nothing.
pub(super) async fn transaction(connection: &mut SqliteConnection, changes: &[Change]) -> Result<(), sqlx::Error> {
    // IMMEDIATE takes the write lock now: a lock met half-way could not be waited for.
    let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
    batch(&mut transaction, changes).await?;
    transaction.commit().await
}

/// Applies the changes in their order.
async fn batch(connection: &mut SqliteConnection, changes: &[Change]) -> Result<(), sqlx::Error> {
    for run in changes.chunk_by(|a, b| std::mem::discriminant(a) == std::mem::discriminant(b)) {
        match run.first() {
            Some(Change::PutNode(_)) => put_nodes(connection, run).await?,
            Some(Change::PutRecord(..)) => put_record(connection, run).await?,
            Some(Change::RemoveNode(_)) => remove_nodes(connection, run).await?,
            Some(Change::ListNode { .. }) => list_nodes(connection, run).await?,
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
        let NodeRow { id, uri, label, kept_from, unreadable_since, record } = row;
        let query = query.bind(id.to_string()).bind(uri.expose().to_owned()).bind(label.to_string());
        let query = query.bind(kept_from.as_deref().map(str::to_owned)).bind(unreadable_since.map(convert::from_time));
        bind_record(query, record)
    })
    .await
}

async fn put_record(connection: &mut SqliteConnection, run: &[Change]) -> Result<(), sqlx::Error> {
    let rows = last_of_each(run.iter().filter_map(|change| match change {
        Change::PutRecord(id, record) => Some((*id, (*id, record))),
        _ => None,
    }));
    in_sizes(connection, &rows, &queries::PUT_RECORD, |query, (id, record)| {
        bind_record(query.bind(id.to_string()), record)
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

async fn list_nodes(connection: &mut SqliteConnection, run: &[Change]) -> Result<(), sqlx::Error> {
    let nodes = last_of_each(run.iter().filter_map(|change| match change {
        Change::ListNode { id, sources } => Some((*id, (id, sources))),
        _ => None,
    }));
    let ids = convert::id_array(nodes.iter().map(|(id, _)| *id));
    sqlx::query(queries::DELETE_NODES_LISTED).bind(ids.as_str()).execute(&mut *connection).await?;
    let mut by_source: BTreeMap<&str, Vec<&NodeId>> = BTreeMap::new();
    for (id, sources) in nodes {
        sources.iter().for_each(|source| by_source.entry(source).or_default().push(id));
    }
    for (source, ids) in by_source {
        let ids = convert::id_array(ids);
        sqlx::query(queries::GROW_LISTING).bind(source).bind(ids.as_str()).execute(&mut *connection).await?;
    }
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
            Change::RemoveSession { name, ends: _ } => {
                let query = sqlx::query(queries::DELETE_SESSION).bind(&*name.listener).bind(&*name.user);
                query.bind(&*name.session).execute(&mut *connection).await?;
            }
            Change::PutBan(row) => put_ban(connection, row).await?,
            Change::RemoveBan(id) => {
                sqlx::query(queries::DELETE_BAN).bind(id.to_string()).execute(&mut *connection).await?;
            }
            Change::PutSiteBan(row) => put_site_ban(connection, row).await?,
            Change::RemoveSiteBan { site, exit, until: _ } => {
                let query = sqlx::query(queries::DELETE_SITE_BAN).bind(&**site).bind(exit.to_string());
                query.execute(&mut *connection).await?;
            }
            Change::PutAnnotation(row) => put_annotation(connection, row).await?,
            Change::RemoveAnnotation(id) => {
                sqlx::query(queries::DELETE_ANNOTATION).bind(id.to_string()).execute(&mut *connection).await?;
            }
            Change::PutDashboard(row) => {
                let query = sqlx::query(queries::PUT_DASHBOARD).bind(row.kind.name()).bind(&*row.key);
                query.bind(&*row.value).execute(&mut *connection).await?;
            }
            Change::RemoveDashboard(kind, key) => {
                let query = sqlx::query(queries::DELETE_DASHBOARD).bind(kind.name()).bind(&**key);
                query.execute(&mut *connection).await?;
            }
            Change::MarkUnreadable(id, since) => {
                let query = sqlx::query(queries::MARK_UNREADABLE).bind(convert::from_time(*since)).bind(&**id);
                query.execute(&mut *connection).await?;
            }
            Change::RemoveUnreadable(id) => {
                sqlx::query(queries::DELETE_UNREADABLE_LISTED).bind(&**id).execute(&mut *connection).await?;
                sqlx::query(queries::DELETE_UNREADABLE).bind(&**id).execute(&mut *connection).await?;
            }
            Change::PutHistory(row) => history::put(connection, row).await?,
            Change::PruneHistory { step, before } => history::prune(connection, *step, *before).await?,
            Change::PutNode(_) | Change::PutRecord(..) | Change::RemoveNode(_) | Change::ListNode { .. } => {}
        }
    }
    Ok(())
}

async fn put_source(connection: &mut SqliteConnection, row: &SourceRow) -> Result<(), sqlx::Error> {
    // Without `..`: a field that is added must be written here.
    let SourceRow {
        name,
        kind,
        origin,
        subscription,
        allow_private,
        last_fetch,
        last_ok,
        next_fetch,
        validators,
        error,
        failures,
        nodes,
        rejects,
        lived,
        deaths_milli,
        barren,
    } = row;
    sqlx::query(queries::PUT_SOURCE)
        .bind(&**name)
        .bind(&**kind)
        .bind(*allow_private)
        .bind(last_fetch.map(convert::from_time))
        .bind(last_ok.map(convert::from_time))
        .bind(next_fetch.map(convert::from_time))
        .bind(validators.as_deref())
        .bind(error.as_ref().map(|error| &*error.code))
        .bind(error.as_ref().map(|error| &*error.text))
        .bind(i64::from(*failures))
        .bind(i64::from(*nodes))
        .bind(i64::from(*rejects))
        .bind(convert::from_duration(*lived))
        .bind(i64::from(*deaths_milli))
        .bind(i64::from(*barren))
        .bind(origin.as_deref())
        .bind(subscription.as_deref())
        .execute(connection)
        .await?;
    Ok(())
}

async fn put_session(connection: &mut SqliteConnection, row: &SessionRow) -> Result<(), sqlx::Error> {
    let SessionRow { name, country, began, ends, lasts, exit_ip, node } = row;
    sqlx::query(queries::PUT_SESSION)
        .bind(&*name.listener)
        .bind(&*name.user)
        .bind(&*name.session)
        .bind(country.map(|letters| String::from_utf8_lossy(&letters).into_owned()))
        .bind(convert::from_time(*began))
        .bind(convert::from_time(*ends))
        .bind(exit_ip.map(|ip| ip.to_string()))
        .bind(node.map(|id| id.to_string()))
        .bind(convert::from_duration(*lasts))
        .execute(connection)
        .await?;
    Ok(())
}

async fn put_ban(connection: &mut SqliteConnection, row: &BanRow) -> Result<(), sqlx::Error> {
    let BanRow { id, uri, label, since } = row;
    let query = sqlx::query(queries::PUT_BAN).bind(id.to_string()).bind(uri.expose()).bind(&**label);
    query.bind(convert::from_time(*since)).execute(connection).await?;
    Ok(())
}

async fn put_site_ban(connection: &mut SqliteConnection, row: &SiteBanRow) -> Result<(), sqlx::Error> {
    let SiteBanRow { site, exit, since, until, reason } = row;
    let query = sqlx::query(queries::PUT_SITE_BAN).bind(&**site).bind(exit.to_string());
    let query = query.bind(convert::from_time(*since)).bind(convert::from_time(*until));
    query.bind(&**reason).execute(connection).await?;
    Ok(())
}

async fn put_annotation(connection: &mut SqliteConnection, row: &AnnotationRow) -> Result<(), sqlx::Error> {
    let AnnotationRow { id, uri, disabled, pinned, tags, note, changed } = row;
    sqlx::query(queries::PUT_ANNOTATION)
        .bind(id.to_string())
        .bind(uri.expose())
        .bind(*disabled)
        .bind(*pinned)
        .bind(tags.join(" "))
        .bind(&**note)
        .bind(convert::from_time(*changed))
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

/// Must follow the order of `queries::MEASURED`. Without `..`: a field that is added must be written here.
fn bind_record<'q>(query: Statement<'q>, record: &Record) -> Statement<'q> {
    let Record {
        state,
        failures,
        last_ok,
        last_checked,
        first_seen,
        dead_since,
        unlisted_since,
        latency,
        error_rate,
        exit_ip,
        exit_seen,
        country,
        failure,
        http_ability,
        unsupported,
        quarantine,
    } = record;
    query
        .bind(healthy(*state))
        .bind(state.name())
        .bind(i64::from(*failures))
        .bind(last_ok.map(convert::from_time))
        .bind(last_checked.map(convert::from_time))
        .bind(convert::from_time(*first_seen))
        .bind(latency.map(convert::from_latency))
        .bind(exit_ip.map(|ip| ip.to_string()))
        .bind(country.map(|letters| String::from_utf8_lossy(&letters).into_owned()))
        .bind(failure.map(|failure| failure.code.as_str()))
        .bind(unsupported.map(Code::as_str))
        .bind(quarantine.map(|caught| caught.code.as_str()))
        .bind(quarantine.map(|caught| convert::from_time(caught.since)))
        .bind(dead_since.map(convert::from_time))
        .bind(unlisted_since.map(convert::from_time))
        .bind(f64::from(*error_rate))
        .bind(exit_seen.map(convert::from_time))
        .bind(failure.map(|failure| failure.stage.name()))
        .bind(i64::from(http_ability.byte()))
}

/// The column `healthy`: `None` never judged, `Some(true)` may carry traffic, `Some(false)` dead.
const fn healthy(state: State) -> Option<bool> {
    match state {
        State::New => None,
        State::Healthy | State::Suspect => Some(true),
        State::Dead => Some(false),
    }
}
