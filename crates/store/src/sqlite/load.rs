//! Reading everything, row by row, and sending it in parts.

use std::sync::Arc;

use futures_util::TryStreamExt;
use hezar_core::{Code, HttpAbility, LastFailure, NodeId, Quarantine, Record, Secret, Stage, State, Timestamp};
use sqlx::{Row, SqliteConnection, sqlite::SqliteRow};
use tokio::sync::mpsc;

use super::{convert, queries};
use crate::{
    AnnotationRow, BanRow, Contents, DashboardKind, DashboardRow, NodeRow, SessionName, SessionRow, SiteBanRow,
    SourceError, SourceNodes, SourceRow, StrangeRow,
};

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
        part.sources.push(source(&row)?);
    }
    for row in sqlx::query(queries::SELECT_SESSIONS).fetch_all(&mut *connection).await? {
        part.sessions.push(session(&row)?);
    }
    for row in sqlx::query(queries::SELECT_BANS).fetch_all(&mut *connection).await? {
        part.bans.extend(ban(&row)?);
    }
    for row in sqlx::query(queries::SELECT_SITE_BANS).fetch_all(&mut *connection).await? {
        part.site_bans.extend(site_ban(&row)?);
    }
    for row in sqlx::query(queries::SELECT_ANNOTATIONS).fetch_all(&mut *connection).await? {
        part.annotations.extend(annotation(&row)?);
    }
    for row in sqlx::query(queries::SELECT_DASHBOARD).fetch_all(&mut *connection).await? {
        part.dashboard.extend(dashboard(&row)?);
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

/// What a dashboard keeps; `None` when it is of a kind that a later version knows.
fn dashboard(row: &SqliteRow) -> Result<Option<DashboardRow>, sqlx::Error> {
    let name: &str = row.try_get(0)?;
    let Some(kind) = DashboardKind::ALL.into_iter().find(|kind| kind.name() == name) else { return Ok(None) };
    let (key, value): (&str, &str) = (row.try_get(1)?, row.try_get(2)?);
    Ok(Some(DashboardRow { kind, key: key.into(), value: value.into() }))
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

fn ban(row: &SqliteRow) -> Result<Option<BanRow>, sqlx::Error> {
    let Ok(id) = row.try_get::<&str, _>(0)?.parse() else { return Ok(None) };
    let (uri, label) = (Secret::new(row.try_get::<&str, _>(1)?), row.try_get::<&str, _>(2)?.into());
    Ok(Some(BanRow { id, uri, label, since: convert::to_time(row.try_get(3)?) }))
}

/// A ban of an exit for a site; `None` when its exit is no address.
fn site_ban(row: &SqliteRow) -> Result<Option<SiteBanRow>, sqlx::Error> {
    let Ok(exit) = row.try_get::<&str, _>(1)?.parse() else { return Ok(None) };
    Ok(Some(SiteBanRow {
        site: row.try_get::<&str, _>(0)?.into(),
        exit,
        since: convert::to_time(row.try_get(2)?),
        until: convert::to_time(row.try_get(3)?),
        reason: row.try_get::<&str, _>(4)?.into(),
    }))
}

fn annotation(row: &SqliteRow) -> Result<Option<AnnotationRow>, sqlx::Error> {
    let Ok(id) = row.try_get::<&str, _>(0)?.parse() else { return Ok(None) };
    Ok(Some(AnnotationRow {
        id,
        uri: Secret::new(row.try_get::<&str, _>(1)?),
        disabled: row.try_get(2)?,
        pinned: row.try_get(3)?,
        tags: row.try_get::<&str, _>(4)?.split_whitespace().map(Into::into).collect(),
        note: row.try_get::<&str, _>(5)?.into(),
        changed: convert::to_time(row.try_get(6)?),
    }))
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
        origin: text(15)?,
        subscription: text(16)?,
        allow_private: row.try_get(2)?,
        last_fetch: time(3)?,
        last_ok: time(4)?,
        next_fetch: time(5)?,
        validators: text(6)?,
        error,
        failures: number(9)?,
        nodes: number(10)?,
        rejects: number(11)?,
        lived: convert::to_duration(row.try_get(12)?),
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
        lasts: convert::to_duration(row.try_get(8)?),
        exit_ip: row.try_get::<Option<&str>, _>(6)?.and_then(|text| text.parse().ok()),
        node: row.try_get::<Option<&str>, _>(7)?.and_then(|text| text.parse().ok()),
    })
}

fn listing(row: &SqliteRow) -> Result<SourceNodes, sqlx::Error> {
    let source: Arc<str> = row.try_get::<&str, _>(0)?.into();
    let text: &str = row.try_get(1)?;
    let ids = text.as_bytes().chunks(32).filter_map(|digits| std::str::from_utf8(digits).ok()?.parse().ok());
    Ok(SourceNodes { source, ids: ids.collect() })
}
