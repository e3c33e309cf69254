//! Reading rows of the tables that every kind of database has alike. The columns stand in the order in which the queries name them.
//!
//! What names a node is kept in another form by each kind, so it is read there and given to the functions here.

use hezar_core::{NodeId, Secret, Timestamp, UtcDay};
use sqlx::{ColumnIndex, Decode, Row, Type};

use crate::{
    AnnotationRow, AuditRow, BanRow, DashboardKind, DashboardRow, HistorySample, NodeSums, ObjectRow, SessionName,
    SessionRow, SiteBanRow, SourceError, SourceRow, TokenRow, UsageRow,
    history::{latency_from_text, requests_from_text},
    numbers::{to_count, to_duration, to_time, to_u32},
};

/// The values of a row by the number of their column.
pub(crate) trait Columns {
    fn text(&self, column: usize) -> Result<&str, sqlx::Error>;
    fn optional_text(&self, column: usize) -> Result<Option<&str>, sqlx::Error>;
    fn number(&self, column: usize) -> Result<i64, sqlx::Error>;
    fn optional_number(&self, column: usize) -> Result<Option<i64>, sqlx::Error>;
    fn flag(&self, column: usize) -> Result<bool, sqlx::Error>;

    fn optional_box(&self, column: usize) -> Result<Option<Box<str>>, sqlx::Error> {
        self.optional_text(column).map(|text| text.map(Into::into))
    }

    fn time(&self, column: usize) -> Result<Timestamp, sqlx::Error> {
        self.number(column).map(to_time)
    }

    fn optional_time(&self, column: usize) -> Result<Option<Timestamp>, sqlx::Error> {
        self.optional_number(column).map(|number| number.map(to_time))
    }
}

impl<R: Row> Columns for R
where
    usize: ColumnIndex<R>,
    for<'r> &'r str: Decode<'r, R::Database> + Type<R::Database>,
    for<'r> i64: Decode<'r, R::Database> + Type<R::Database>,
    for<'r> bool: Decode<'r, R::Database> + Type<R::Database>,
{
    fn text(&self, column: usize) -> Result<&str, sqlx::Error> {
        self.try_get(column)
    }

    fn optional_text(&self, column: usize) -> Result<Option<&str>, sqlx::Error> {
        self.try_get(column)
    }

    fn number(&self, column: usize) -> Result<i64, sqlx::Error> {
        self.try_get(column)
    }

    fn optional_number(&self, column: usize) -> Result<Option<i64>, sqlx::Error> {
        self.try_get(column)
    }

    fn flag(&self, column: usize) -> Result<bool, sqlx::Error> {
        self.try_get(column)
    }
}

pub(crate) fn source(row: &impl Columns) -> Result<SourceRow, sqlx::Error> {
    let count = |column: usize| row.number(column).map(to_u32);
    let error = match (row.optional_box(7)?, row.optional_box(8)?) {
        (Some(code), detail) => Some(SourceError { code, text: detail.unwrap_or_default() }),
        (None, _) => None,
    };
    Ok(SourceRow {
        name: row.text(0)?.into(),
        kind: row.text(1)?.into(),
        origin: row.optional_box(15)?,
        subscription: row.optional_box(16)?,
        allow_private: row.flag(2)?,
        last_fetch: row.optional_time(3)?,
        last_ok: row.optional_time(4)?,
        next_fetch: row.optional_time(5)?,
        validators: row.optional_box(6)?,
        error,
        failures: count(9)?,
        nodes: count(10)?,
        rejects: count(11)?,
        lived: to_duration(row.number(12)?),
        deaths_milli: count(13)?,
        barren: count(14)?,
    })
}

/// A session; the last column, which names its node, is not read.
pub(crate) fn session(row: &impl Columns, node: Option<NodeId>) -> Result<SessionRow, sqlx::Error> {
    Ok(SessionRow {
        name: SessionName { listener: row.text(0)?.into(), user: row.text(1)?.into(), session: row.text(2)?.into() },
        country: row.optional_text(3)?.and_then(|text| text.as_bytes().try_into().ok()),
        began: row.time(4)?,
        ends: row.time(5)?,
        lasts: to_duration(row.number(6)?),
        exit_ip: row.optional_text(7)?.and_then(|text| text.parse().ok()),
        node,
    })
}

/// A ban; the first column, which names the node, is not read.
pub(crate) fn ban(row: &impl Columns, id: NodeId) -> Result<BanRow, sqlx::Error> {
    Ok(BanRow { id, uri: Secret::new(row.text(1)?), label: row.text(2)?.into(), since: row.time(3)? })
}

/// A ban of an exit for a site; `None` when its exit is no address.
pub(crate) fn site_ban(row: &impl Columns) -> Result<Option<SiteBanRow>, sqlx::Error> {
    let Ok(exit) = row.text(1)?.parse() else { return Ok(None) };
    let (site, reason) = (row.text(0)?.into(), row.text(4)?.into());
    Ok(Some(SiteBanRow { site, exit, since: row.time(2)?, until: row.time(3)?, reason }))
}

/// What is said about a node; the first column, which names it, is not read.
pub(crate) fn annotation(row: &impl Columns, id: NodeId) -> Result<AnnotationRow, sqlx::Error> {
    Ok(AnnotationRow {
        id,
        uri: Secret::new(row.text(1)?),
        disabled: row.flag(2)?,
        pinned: row.flag(3)?,
        tags: row.text(4)?.split_whitespace().map(Into::into).collect(),
        note: row.text(5)?.into(),
        changed: row.time(6)?,
    })
}

/// What a dashboard keeps; `None` when it is of a kind that a later version knows.
pub(crate) fn dashboard(row: &impl Columns) -> Result<Option<DashboardRow>, sqlx::Error> {
    let Some(kind) = DashboardKind::from_name(row.text(0)?) else { return Ok(None) };
    Ok(Some(DashboardRow { kind, key: row.text(1)?.into(), value: row.text(2)?.into() }))
}

/// What was counted; the first column, the time, is not read.
pub(crate) fn history_sample(row: &impl Columns) -> Result<HistorySample, sqlx::Error> {
    let count = |column: usize| row.number(column).map(to_count);
    let nodes = NodeSums {
        new: count(2)?,
        healthy: count(3)?,
        suspect: count(4)?,
        dead: count(5)?,
        unsupported: count(6)?,
        quarantined: count(7)?,
        disabled: count(8)?,
    };
    let (requests, latency) = (requests_from_text(row.text(11)?), latency_from_text(row.text(12)?));
    Ok(HistorySample { samples: count(1)?, nodes, requests, up: count(9)?, down: count(10)?, latency })
}

/// What a user has moved on a day.
pub(crate) fn usage(row: &impl Columns) -> Result<UsageRow, sqlx::Error> {
    Ok(UsageRow {
        user: row.text(0)?.into(),
        day: UtcDay(u32::try_from(row.number(1)?).unwrap_or_default()),
        up: to_count(row.number(2)?),
        down: to_count(row.number(3)?),
    })
}

pub(crate) fn object(row: &impl Columns) -> Result<ObjectRow, sqlx::Error> {
    let (kind, name) = (row.text(0)?.into(), row.text(1)?.into());
    Ok(ObjectRow { kind, name, value: Secret::new(row.text(2)?), changed: row.time(3)? })
}

pub(crate) fn token(row: &impl Columns) -> Result<TokenRow, sqlx::Error> {
    Ok(TokenRow {
        name: row.text(0)?.into(),
        hash: row.text(1)?.into(),
        scope: row.text(2)?.into(),
        created: row.time(3)?,
        last_used: row.optional_time(4)?,
    })
}

/// A line of the record of changes.
pub(crate) fn audit(row: &impl Columns) -> Result<AuditRow, sqlx::Error> {
    Ok(AuditRow {
        id: row.number(0)?,
        at: row.time(1)?,
        who: row.text(2)?.into(),
        via: row.text(3)?.into(),
        action: row.text(4)?.into(),
        kind: row.text(5)?.into(),
        name: row.text(6)?.into(),
        old: row.optional_box(7)?,
        new: row.optional_box(8)?,
    })
}
