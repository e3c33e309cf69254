//! Reading everything, row by row, and sending it in parts.

use std::sync::Arc;

use futures_util::TryStreamExt;
use hezar_core::{Code, HttpAbility, LastFailure, NodeId, Quarantine, Record, Secret, Stage, State, Timestamp};
use sqlx::{Row, SqliteConnection, sqlite::SqliteRow};
use tokio::sync::mpsc;

use super::{convert, queries};
use crate::{AnnotationRow, BanRow, Contents, NodeRow, SessionRow, SourceNodes, StrangeRow, decode};

/// How many nodes one part holds.
const PART: usize = 8192;

/// Sends the whole store, in one consistent view, as [`Store::load_in_parts`](crate::Store::load_in_parts) says.
pub(super) async fn in_parts(
    connection: &mut SqliteConnection,
    parts: &mpsc::Sender<Contents>,
) -> Result<(), sqlx::Error> {
    let mut transaction = sqlx::Connection::begin(connection).await?;
    let first = everything_but_nodes(&mut transaction).await?;
    if parts.send(first).await.is_ok() {
        nodes(&mut transaction, parts).await?;
    }
    transaction.rollback().await
}

async fn everything_but_nodes(connection: &mut SqliteConnection) -> Result<Contents, sqlx::Error> {
    let mut part = Contents::default();
    for row in sqlx::query(queries::SELECT_SOURCES).fetch_all(&mut *connection).await? {
        part.sources.push(decode::source(&row)?);
    }
    for row in sqlx::query(queries::SELECT_SESSIONS).fetch_all(&mut *connection).await? {
        part.sessions.push(session(&row)?);
    }
    for row in sqlx::query(queries::SELECT_BANS).fetch_all(&mut *connection).await? {
        part.bans.extend(ban(&row)?);
    }
    for row in sqlx::query(queries::SELECT_SITE_BANS).fetch_all(&mut *connection).await? {
        part.site_bans.extend(decode::site_ban(&row)?);
    }
    for row in sqlx::query(queries::SELECT_ANNOTATIONS).fetch_all(&mut *connection).await? {
        part.annotations.extend(annotation(&row)?);
    }
    for row in sqlx::query(queries::SELECT_DASHBOARD).fetch_all(&mut *connection).await? {
        part.dashboard.extend(decode::dashboard(&row)?);
    }
    let mut rows = sqlx::query(queries::SELECT_LISTINGS).fetch(&mut *connection);
    while let Some(row) = rows.try_next().await? {
        part.listings.push(listing(&row)?);
    }
    Ok(part)
}

async fn nodes(connection: &mut SqliteConnection, parts: &mpsc::Sender<Contents>) -> Result<(), sqlx::Error> {
    let mut part = Contents::default();
    let mut rows = sqlx::query(queries::SELECT_NODES.as_str()).fetch(connection);
    while let Some(row) = rows.try_next().await? {
        match node(&row)? {
            Ok(node) => part.nodes.push(node),
            Err(strange) => part.strange.push(strange),
        }
        if part.nodes.len() + part.strange.len() >= PART && parts.send(std::mem::take(&mut part)).await.is_err() {
            return Ok(());
        }
    }
    // Nobody may receive any more.
    let _ = parts.send(part).await;
    Ok(())
}

/// A row of `proxies`; of one that someone else must have written, what names it.
fn node(row: &SqliteRow) -> Result<Result<NodeRow, StrangeRow>, sqlx::Error> {
    let fields = Fields::split(row.try_get(2)?);
    let Some((id, record)) = fields.id().zip(fields.record()) else {
        let [name, ..] = fields.0;
        return Ok(Err(StrangeRow { id: name.into(), since: fields.time(19) }));
    };
    let uri = Secret::new(row.try_get::<&str, _>(0)?);
    let label = row.try_get::<&str, _>(1)?.into();
    let kept_from = fields.text(20).map(Into::into);
    Ok(Ok(NodeRow { id, uri, label, kept_from, unreadable_since: fields.time(19), record }))
}

/// The joined texts of a row, in the order of `queries::SELECT_NODES`; an empty one says that there is no value.
struct Fields<'a>([&'a str; queries::NODE_FIELDS]);

impl<'a> Fields<'a> {
    fn split(joined: &'a str) -> Self {
        let mut texts = joined.splitn(queries::NODE_FIELDS, queries::SEPARATOR);
        Self(std::array::from_fn(|_| texts.next().unwrap_or_default()))
    }

    fn text(&self, field: usize) -> Option<&'a str> {
        self.0.get(field).copied().filter(|text| !text.is_empty())
    }

    fn number<T: std::str::FromStr>(&self, field: usize) -> Option<T> {
        self.text(field)?.parse().ok()
    }

    fn time(&self, field: usize) -> Option<Timestamp> {
        self.number(field).map(convert::to_time)
    }

    fn code(&self, field: usize) -> Option<Code> {
        self.text(field).map(Code::from_text)
    }

    fn id(&self) -> Option<NodeId> {
        self.number(0)
    }

    /// The record; `None` when there is no such state.
    fn record(&self) -> Option<Record> {
        let stage = self.text(17).and_then(Stage::from_name);
        Some(Record {
            state: State::from_name(self.text(1)?)?,
            failures: convert::to_u32(self.number(2).unwrap_or_default()),
            last_ok: self.time(3),
            last_checked: self.time(4),
            first_seen: self.time(5).unwrap_or_default(),
            dead_since: self.time(13),
            unlisted_since: self.time(14),
            latency: self.number(6).map(convert::to_latency),
            error_rate: self.number::<f64>(15).unwrap_or_default() as f32,
            exit_ip: self.number(7),
            exit_seen: self.time(16),
            country: self.text(8).and_then(|text| text.as_bytes().try_into().ok()),
            failure: stage.zip(self.code(9)).map(|(stage, code)| LastFailure { stage, code }),
            http_ability: HttpAbility::from_byte(self.number(18).unwrap_or_default()),
            unsupported: self.code(10),
            quarantine: self.code(11).map(|code| Quarantine { code, since: self.time(12).unwrap_or_default() }),
        })
    }
}

/// The node that a column names; `None` when its text is no id.
fn node_id(row: &SqliteRow, column: usize) -> Result<Option<NodeId>, sqlx::Error> {
    Ok(row.try_get::<Option<&str>, _>(column)?.and_then(|text| text.parse().ok()))
}

fn ban(row: &SqliteRow) -> Result<Option<BanRow>, sqlx::Error> {
    node_id(row, 0)?.map(|id| decode::ban(row, id)).transpose()
}

fn annotation(row: &SqliteRow) -> Result<Option<AnnotationRow>, sqlx::Error> {
    node_id(row, 0)?.map(|id| decode::annotation(row, id)).transpose()
}

fn session(row: &SqliteRow) -> Result<SessionRow, sqlx::Error> {
    decode::session(row, node_id(row, 8)?)
}

fn listing(row: &SqliteRow) -> Result<SourceNodes, sqlx::Error> {
    let source: Arc<str> = row.try_get::<&str, _>(0)?.into();
    let text: &str = row.try_get(1)?;
    let ids = text.as_bytes().chunks(32).filter_map(|digits| std::str::from_utf8(digits).ok()?.parse().ok());
    Ok(SourceNodes { source, ids: ids.collect() })
}
