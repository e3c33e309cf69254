//! Writing sessions, many at a time.

use std::{borrow::Cow, collections::BTreeMap};

use uuid::Uuid;

use super::{
    load,
    transaction::Transaction,
    values::{country_text, text, uuid},
};
use crate::{
    Change, SessionName, SessionRow,
    numbers::{from_duration, from_time},
};

const PUT: &str = "INSERT INTO sessions (listener, username, session, country, began, ends, lasts_ms, exit_ip, proxy) \
     SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::bigint[], $6::bigint[], $7::bigint[], $8::text[], \
     $9::uuid[]) ON CONFLICT (listener, username, session) DO UPDATE SET country = excluded.country, began = excluded.began, \
     ends = excluded.ends, lasts_ms = excluded.lasts_ms, exit_ip = excluded.exit_ip, proxy = excluded.proxy, version = DEFAULT";
/// A session of the same name that has ended gives its place to the new one.
const ENTER: &str = "INSERT INTO sessions (listener, username, session, country, began, ends, lasts_ms, exit_ip, proxy) \
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT (listener, username, session) DO UPDATE SET country = excluded.country, \
     began = excluded.began, ends = excluded.ends, lasts_ms = excluded.lasts_ms, exit_ip = excluded.exit_ip, proxy = excluded.proxy, \
     version = DEFAULT WHERE sessions.ends <= excluded.began";
const SELECT_ONE: &str = "SELECT listener, username, session, country, began, ends, lasts_ms, exit_ip, proxy FROM sessions \
     WHERE listener = $1 AND username = $2 AND session = $3";
/// One that another instance has renewed or begun anew meanwhile stays.
const DELETE: &str = "DELETE FROM sessions USING unnest($1::text[], $2::text[], $3::text[], $4::bigint[]) \
     AS gone (listener, username, session, ends) WHERE sessions.listener = gone.listener AND sessions.username = gone.username \
     AND sessions.session = gone.session AND sessions.ends <= gone.ends";

/// The names, column by column.
#[derive(Default)]
struct NameColumns<'a> {
    listeners: Vec<Cow<'a, str>>,
    users: Vec<Cow<'a, str>>,
    sessions: Vec<Cow<'a, str>>,
}

impl<'a> NameColumns<'a> {
    fn of(names: impl Iterator<Item = &'a SessionName>) -> Self {
        let mut columns = Self::default();
        for SessionName { listener, user, session } in names {
            columns.listeners.push(text(listener));
            columns.users.push(text(user));
            columns.sessions.push(text(session));
        }
        columns
    }
}

/// Writes a run of [`Change::PutSession`].
pub(super) async fn put(transaction: &mut Transaction, run: &[Change]) -> Result<(), sqlx::Error> {
    // The last row of each session, in an order that every instance keeps to.
    let rows: BTreeMap<&SessionName, &SessionRow> = run
        .iter()
        .filter_map(|change| match change {
            Change::PutSession(row) => Some((&row.name, row)),
            _ => None,
        })
        .collect();
    let names = NameColumns::of(rows.keys().copied());
    let countries: Vec<Option<String>> = rows.values().map(|row| row.country.map(country_text)).collect();
    let began: Vec<i64> = rows.values().map(|row| from_time(row.began)).collect();
    let ends: Vec<i64> = rows.values().map(|row| from_time(row.ends)).collect();
    let lasts: Vec<i64> = rows.values().map(|row| from_duration(row.lasts)).collect();
    let exits: Vec<Option<String>> = rows.values().map(|row| row.exit_ip.map(|ip| ip.to_string())).collect();
    let nodes: Vec<Option<Uuid>> = rows.values().map(|row| row.node.as_ref().map(uuid)).collect();
    let query = transaction.query(PUT).bind(names.listeners).bind(names.users).bind(names.sessions).bind(countries);
    query.bind(began).bind(ends).bind(lasts).bind(exits).bind(nodes).execute(&mut **transaction).await?;
    Ok(())
}

/// Writes a run of [`Change::RemoveSession`].
pub(super) async fn remove(transaction: &mut Transaction, run: &[Change]) -> Result<(), sqlx::Error> {
    let gone = run.iter().filter_map(|change| match change {
        Change::RemoveSession { name, ends } => Some((name, from_time(*ends))),
        _ => None,
    });
    let (names, ends): (Vec<&SessionName>, Vec<i64>) = gone.unzip();
    let names = NameColumns::of(names.into_iter());
    let query = transaction.query(DELETE).bind(names.listeners).bind(names.users).bind(names.sessions).bind(ends);
    query.execute(&mut **transaction).await?;
    Ok(())
}

/// Writes a session unless one of its name runs; returns the one that is there then.
pub(super) async fn enter(transaction: &mut Transaction, row: &SessionRow) -> Result<SessionRow, sqlx::Error> {
    // Without `..`: a field that is added must be written here.
    let SessionRow { name, country, began, ends, lasts, exit_ip, node } = row;
    let SessionName { listener, user, session } = name;
    let query = transaction.query(ENTER).bind(text(listener)).bind(text(user)).bind(text(session));
    let query = query.bind(country.map(country_text)).bind(from_time(*began)).bind(from_time(*ends));
    let query = query.bind(from_duration(*lasts)).bind(exit_ip.map(|ip| ip.to_string())).bind(node.as_ref().map(uuid));
    if query.execute(&mut **transaction).await?.rows_affected() > 0 {
        return Ok(row.clone());
    }
    let query = transaction.query(SELECT_ONE).bind(text(listener)).bind(text(user)).bind(text(session));
    // Another instance may end it in this moment.
    let found = query.fetch_optional(&mut **transaction).await?;
    found.map_or_else(|| Ok(row.clone()), |found| load::session(&found))
}
