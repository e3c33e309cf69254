//! A database that was restored from a dump: its rows carry the numbers of transactions of the server that it comes from.

use sqlx::{Connection, Executor, PgConnection};

use super::{Server, error::translate, schema};
use crate::StoreError;

/// Whether any row is from a transaction that this server has not begun. To those who follow it would be new at every reading, until the
/// server has come so far.
const IS_AHEAD: &str = "SELECT EXISTS (SELECT FROM tombstones_cleared WHERE version >= pg_snapshot_xmax(pg_current_snapshot())) \
     OR EXISTS (SELECT FROM tombstones WHERE version >= pg_snapshot_xmax(pg_current_snapshot())) \
     OR EXISTS (SELECT FROM proxies WHERE version >= pg_snapshot_xmax(pg_current_snapshot())) \
     OR EXISTS (SELECT FROM records WHERE version >= pg_snapshot_xmax(pg_current_snapshot())) \
     OR EXISTS (SELECT FROM sources WHERE version >= pg_snapshot_xmax(pg_current_snapshot())) \
     OR EXISTS (SELECT FROM listings WHERE version >= pg_snapshot_xmax(pg_current_snapshot())) \
     OR EXISTS (SELECT FROM sessions WHERE version >= pg_snapshot_xmax(pg_current_snapshot())) \
     OR EXISTS (SELECT FROM bans WHERE version >= pg_snapshot_xmax(pg_current_snapshot())) \
     OR EXISTS (SELECT FROM site_bans WHERE version >= pg_snapshot_xmax(pg_current_snapshot())) \
     OR EXISTS (SELECT FROM annotations WHERE version >= pg_snapshot_xmax(pg_current_snapshot())) \
     OR EXISTS (SELECT FROM dashboard WHERE version >= pg_snapshot_xmax(pg_current_snapshot())) \
     OR EXISTS (SELECT FROM objects WHERE version >= pg_snapshot_xmax(pg_current_snapshot())) \
     OR EXISTS (SELECT FROM api_tokens WHERE version >= pg_snapshot_xmax(pg_current_snapshot())) \
     OR EXISTS (SELECT FROM usage WHERE version >= pg_snapshot_xmax(pg_current_snapshot()))";
/// Gives such rows the number of this transaction. Whoever has a position of before loads everything anew.
const RENUMBER: &str = "DO $$ DECLARE followed text; BEGIN \
     UPDATE database_identity SET id = gen_random_uuid(); \
     DELETE FROM tombstones; \
     UPDATE tombstones_cleared SET version = '0'; \
     FOREACH followed IN ARRAY ARRAY['proxies', 'records', 'sources', 'listings', 'sessions', 'bans', 'site_bans', 'annotations', \
     'dashboard', 'objects', 'api_tokens', 'usage'] LOOP \
     EXECUTE format('UPDATE %I SET version = DEFAULT WHERE version >= pg_snapshot_xmax(pg_current_snapshot())', followed); \
     END LOOP; END $$";

/// Gives rows that come from another server numbers of this one. Any number of instances may do so at once.
pub(super) async fn renumber(connection: &mut PgConnection, server: &Server) -> Result<(), StoreError> {
    let failed = |error| translate(server, error);
    let mut transaction = connection.begin_with(schema::BEGIN).await.map_err(failed)?;
    if !schema::flag(&mut transaction, IS_AHEAD).await.map_err(failed)? {
        return Ok(());
    }
    transaction.execute(schema::LOCK).await.map_err(failed)?;
    // Another instance may have been first.
    if !schema::flag(&mut transaction, IS_AHEAD).await.map_err(failed)? {
        return Ok(());
    }
    tracing::info!("the database was restored from another server: its rows get new numbers");
    transaction.execute(RENUMBER).await.map_err(failed)?;
    transaction.commit().await.map_err(failed)
}
