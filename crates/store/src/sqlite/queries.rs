//! Every SQL statement of the SQLite store.

use std::{fmt::Write, sync::LazyLock};

/// `HEZR`: marks the file as ours (`PRAGMA application_id`, SQLite file format §1.3.17).
pub(super) const APPLICATION_ID: i64 = 0x4845_5a52;
pub(super) const GET_APPLICATION: &str = "PRAGMA application_id";
pub(super) const SET_APPLICATION: &str = "PRAGMA application_id = 1212504658";
/// The table that SQLx keeps alone does not make a file a database in use.
pub(super) const COUNT_TABLES: &str =
    "SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name <> '_sqlx_migrations'";
pub(super) const COUNT_OUR_TABLES: &str =
    "SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name IN ('_sqlx_migrations', 'proxies')";
pub(super) const SCHEMA_VERSION: &str = "SELECT coalesce(max(version), 0) FROM _sqlx_migrations WHERE success";
pub(super) const SQLITE_VERSION: &str = "SELECT sqlite_version()";
pub(super) const TABLE_NAMES: &str = "SELECT name FROM sqlite_master WHERE type = 'table' AND name <> '_sqlx_migrations' \
     AND name NOT LIKE 'sqlite!_%' ESCAPE '!' ORDER BY name";
pub(super) const DATABASE_BYTES: &str = "SELECT page_count * page_size FROM pragma_page_count, pragma_page_size";
pub(super) const BACKUP: &str = "VACUUM INTO ?";
/// One line that says `ok`, or the first thing that is wrong (SQLite: pragma quick_check).
pub(super) const QUICK_CHECK: &str = "PRAGMA quick_check(1)";
pub(super) const COUNT_NODES: &str = "SELECT count(*) FROM proxies";
pub(super) const COUNT_ROUTABLE: &str = "SELECT count(*) FROM proxies WHERE healthy = 1";
pub(super) const COUNT_SOURCES: &str = "SELECT count(*) FROM sources";
pub(super) const COUNT_USERS: &str = "SELECT count(*) FROM objects WHERE kind = 'user'";
/// When something was written last: every probe changes a node, and every minute is a row of the history.
pub(super) const LAST_CHANGE: &str =
    "SELECT max((SELECT coalesce(max(last_checked), 0) FROM proxies), (SELECT coalesce(max(at), 0) FROM history))";

/// The measured columns, in the order of `apply::bind_record` behind `healthy`, and of `load::Fields::record`. `healthy` follows
/// from the state and is only written.
const MEASURED: [&str; 18] = [
    "state",
    "failures",
    "last_ok",
    "last_checked",
    "first_seen",
    "latency_us",
    "exit_ip",
    "country",
    "last_error",
    "unsupported",
    "quarantine",
    "quarantined_at",
    "dead_since",
    "unlisted_since",
    "error_rate",
    "exit_seen",
    "failure_stage",
    "http_ability",
];
/// How many columns of a node are written with its record.
const RECORD_COLUMNS: usize = 1 + MEASURED.len();

/// How many texts [`SELECT_NODES`] joins: the id, what is measured, since when the row is unreadable, and the source that it is kept
/// from, which may be any text and therefore comes last.
pub(super) const NODE_FIELDS: usize = MEASURED.len() + 3;
/// What stands between them: ASCII's unit separator.
pub(super) const SEPARATOR: char = '\u{1f}';
/// The link, the name, and all the rest joined to one text, in which nothing is an empty text: SQLx copies every value of a row by
/// itself, and a million rows have 21 million. `concat` takes NULL for an empty text, and joins all in one step.
pub(super) static SELECT_NODES: LazyLock<String> = LazyLock::new(|| {
    let columns = ["id"].into_iter().chain(MEASURED).chain(["unreadable_since", "kept_from"]);
    let fields: Vec<_> = columns.collect();
    format!("SELECT uri, label, concat({}) FROM proxies", fields.join(", char(31), "))
});
/// Must follow the order in which `decode::source` reads.
pub(super) const SELECT_SOURCES: &str = "SELECT name, kind, allow_private, last_fetch, last_ok, next_fetch, \
     validators, error_code, error_text, failures, nodes, rejects, lived_ms, deaths_milli, barren, \
     origin, subscription FROM sources ORDER BY name";
/// Must follow the order in which `decode::session` reads.
pub(super) const SELECT_SESSIONS: &str =
    "SELECT listener, username, session, country, began, ends, lasts_ms, exit_ip, proxy FROM sessions";
pub(super) const PUT_SESSION: &str = "INSERT INTO sessions (listener, username, session, country, began, ends, \
     exit_ip, proxy, lasts_ms) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (listener, username, session) DO UPDATE SET \
     country = excluded.country, began = excluded.began, ends = excluded.ends, exit_ip = excluded.exit_ip, \
     proxy = excluded.proxy, lasts_ms = excluded.lasts_ms";
pub(super) const SELECT_BANS: &str = "SELECT id, uri, label, since FROM bans";
pub(super) const PUT_BAN: &str = "INSERT INTO bans (id, uri, label, since) VALUES (?, ?, ?, ?) ON CONFLICT (id) DO \
     UPDATE SET uri = excluded.uri, label = excluded.label, since = excluded.since";
pub(super) const DELETE_BAN: &str = "DELETE FROM bans WHERE id = ?";
/// Must follow the order in which `load::site_ban` reads.
pub(super) const SELECT_SITE_BANS: &str = "SELECT site, exit, since, until, reason FROM site_bans";
pub(super) const PUT_SITE_BAN: &str = "INSERT INTO site_bans (site, exit, since, until, reason) VALUES (?, ?, ?, ?, ?) \
     ON CONFLICT (site, exit) DO UPDATE SET since = excluded.since, until = excluded.until, reason = excluded.reason";
pub(super) const DELETE_SITE_BAN: &str = "DELETE FROM site_bans WHERE site = ? AND exit = ?";
pub(super) const SELECT_ANNOTATIONS: &str = "SELECT id, uri, disabled, pinned, tags, note, changed FROM annotations";
pub(super) const PUT_ANNOTATION: &str = "INSERT INTO annotations (id, uri, disabled, pinned, tags, note, changed) \
     VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET uri = excluded.uri, disabled = excluded.disabled, \
     pinned = excluded.pinned, tags = excluded.tags, note = excluded.note, changed = excluded.changed";
pub(super) const DELETE_ANNOTATION: &str = "DELETE FROM annotations WHERE id = ?";
pub(super) const SELECT_DASHBOARD: &str = "SELECT kind, key, value FROM dashboard";
pub(super) const PUT_DASHBOARD: &str = "INSERT INTO dashboard (kind, key, value) VALUES (?, ?, ?) ON CONFLICT \
     (kind, key) DO UPDATE SET value = excluded.value";
pub(super) const DELETE_DASHBOARD: &str = "DELETE FROM dashboard WHERE kind = ? AND key = ?";
pub(super) const MARK_UNREADABLE: &str = "UPDATE proxies SET unreadable_since = ? WHERE id = ?";
pub(super) const DELETE_UNREADABLE: &str = "DELETE FROM proxies WHERE id = ?";
pub(super) const DELETE_UNREADABLE_LISTED: &str = "DELETE FROM listings WHERE proxy = ?";
pub(super) const DELETE_SESSION: &str = "DELETE FROM sessions WHERE listener = ? AND username = ? AND session = ?";
/// One row per source: the ids in one text, 32 digits each.
pub(super) const SELECT_LISTINGS: &str = "SELECT source, group_concat(proxy, '') FROM listings GROUP BY source";

/// Must follow the order in which `history::put` binds.
pub(super) const PUT_HISTORY: &str = "INSERT INTO history (step, at, samples, new, healthy, suspect, dead, unsupported, \
     quarantined, disabled, up, down, requests, latency) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) \
     ON CONFLICT (step, at) DO UPDATE SET samples = excluded.samples, new = excluded.new, healthy = excluded.healthy, \
     suspect = excluded.suspect, dead = excluded.dead, unsupported = excluded.unsupported, \
     quarantined = excluded.quarantined, disabled = excluded.disabled, up = excluded.up, down = excluded.down, requests = excluded.requests, \
     latency = excluded.latency";
/// Must follow the order in which `decode::history_sample` reads.
pub(super) const SELECT_HISTORY: &str = "SELECT at, samples, new, healthy, suspect, dead, unsupported, quarantined, \
     disabled, up, down, requests, latency FROM history WHERE step = ? AND at >= ? AND at < ? ORDER BY at";
pub(super) const PRUNE_HISTORY: &str = "DELETE FROM history WHERE step = ? AND at < ?";

pub(super) const DELETE_NODES: &str = "DELETE FROM proxies WHERE id IN (SELECT value FROM json_each(?))";
pub(super) const DELETE_NODES_LISTED: &str = "DELETE FROM listings WHERE proxy IN (SELECT value FROM json_each(?))";

pub(super) const PUT_SOURCE: &str = "INSERT INTO sources (name, kind, allow_private, last_fetch, last_ok, \
     next_fetch, validators, error_code, error_text, failures, nodes, rejects, lived_ms, deaths_milli, barren, origin, \
     subscription) \
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) \
     ON CONFLICT (name) DO UPDATE SET kind = excluded.kind, allow_private = excluded.allow_private, \
     last_fetch = excluded.last_fetch, last_ok = excluded.last_ok, next_fetch = excluded.next_fetch, \
     validators = excluded.validators, error_code = excluded.error_code, error_text = excluded.error_text, \
     failures = excluded.failures, nodes = excluded.nodes, rejects = excluded.rejects, \
     lived_ms = excluded.lived_ms, deaths_milli = excluded.deaths_milli, barren = excluded.barren, \
     origin = excluded.origin, subscription = excluded.subscription";
pub(super) const DELETE_SOURCE: &str = "DELETE FROM sources WHERE name = ?";
pub(super) const DELETE_LISTING: &str = "DELETE FROM listings WHERE source = ?";
/// Only what is gone: most of a list is the same as the last time.
pub(super) const SHRINK_LISTING: &str =
    "DELETE FROM listings WHERE source = ? AND proxy NOT IN (SELECT value FROM json_each(?))";
pub(super) const GROW_LISTING: &str =
    "INSERT INTO listings (source, proxy) SELECT ?, value FROM json_each(?) WHERE true ON CONFLICT DO NOTHING";

/// How many rows one statement writes: few sizes, so that each is prepared once and kept.
pub(super) const SIZES: [usize; 3] = [128, 16, 1];

/// Upserts of whole nodes, one statement per entry of [`SIZES`]. The order is that of `apply::put_nodes`.
pub(super) static PUT_NODES: LazyLock<[String; 3]> = LazyLock::new(|| {
    SIZES.map(|rows| {
        format!(
            "INSERT INTO proxies (id, uri, label, kept_from, unreadable_since, {}) VALUES {} ON CONFLICT (id) DO UPDATE \
             SET uri = excluded.uri, label = excluded.label, kept_from = excluded.kept_from, \
             unreadable_since = excluded.unreadable_since, {}",
            record_list(),
            tuples(rows, 5 + RECORD_COLUMNS),
            assignments("excluded"),
        )
    })
});

/// Updates of what is measured, one statement per entry of [`SIZES`]. The order is that of `apply::put_record`.
pub(super) static PUT_RECORD: LazyLock<[String; 3]> = LazyLock::new(|| {
    SIZES.map(|rows| {
        format!(
            "WITH news (id, {}) AS (VALUES {}) UPDATE proxies SET {} FROM news WHERE proxies.id = news.id",
            record_list(),
            tuples(rows, 1 + RECORD_COLUMNS),
            assignments("news"),
        )
    })
});

/// The columns that are written with a record.
fn record_columns() -> impl Iterator<Item = &'static str> {
    ["healthy"].into_iter().chain(MEASURED)
}

fn record_list() -> String {
    record_columns().collect::<Vec<_>>().join(", ")
}

fn assignments(from: &str) -> String {
    record_columns().map(|column| format!("{column} = {from}.{column}")).collect::<Vec<_>>().join(", ")
}

/// `(?, ?), (?, ?)`.
fn tuples(rows: usize, columns: usize) -> String {
    let tuple = format!("({})", vec!["?"; columns].join(", "));
    let mut text = String::with_capacity(rows * (tuple.len() + 2));
    for row in 0..rows {
        let _ = write!(text, "{}{tuple}", if row == 0 { "" } else { ", " });
    }
    text
}
