//! What a database is and how large.

use sqlx::{AssertSqlSafe, Row};

use super::{Server, transaction::Transaction};
use crate::{StoreDescription, TableDescription, numbers::to_count};

const DATABASE: &str = "SELECT current_setting('server_version'), pg_database_size(current_database()), \
     (SELECT coalesce(max(version), 0) FROM hezar_migrations WHERE success)";
/// The tables of the schema in which the program has made its own.
const TABLES: &str = "SELECT relname::text, pg_total_relation_size(oid), oid::regclass::text FROM pg_class \
     WHERE relkind = 'r' AND relnamespace = (SELECT relnamespace FROM pg_class WHERE oid = 'hezar_migrations'::regclass) \
     AND relname <> 'hezar_migrations' ORDER BY relname COLLATE \"C\"";

pub(super) async fn describe(transaction: &mut Transaction, server: &Server) -> Result<StoreDescription, sqlx::Error> {
    let about = transaction.query(DATABASE).fetch_one(&mut **transaction).await?;
    let mut tables = Vec::new();
    for row in transaction.query(TABLES).fetch_all(&mut **transaction).await? {
        let (name, bytes, quoted): (&str, i64, &str) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
        // The name is the server's own, quoted where it has to be.
        let count = sqlx::query_scalar(AssertSqlSafe(format!("SELECT count(*) FROM {quoted}"))).persistent(false);
        let rows: i64 = count.fetch_one(&mut **transaction).await?;
        tables.push(TableDescription { name: name.into(), rows: to_count(rows), bytes: Some(to_count(bytes)) });
    }
    Ok(StoreDescription {
        database: format!("PostgreSQL {}", about.try_get::<&str, _>(0)?).into(),
        place: server.name.clone(),
        schema: about.try_get(2)?,
        bytes: to_count(about.try_get(1)?),
        tables,
    })
}
