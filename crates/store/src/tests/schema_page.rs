//! docs/schema.md says what the migrations make.

use std::{collections::BTreeMap, fs, path::Path};

use sqlx::{Connection, PgConnection, SqliteConnection};

use super::place::Place;

/// Types by table and column.
type Columns = BTreeMap<(String, String), String>;

const SQLITE: &str = "SELECT m.name, c.name, lower(c.type), c.\"notnull\" <> 0 FROM sqlite_master m JOIN pragma_table_info(m.name) c \
     WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite%' AND m.name <> '_sqlx_migrations'";
const POSTGRES: &str = "SELECT c.relname::text, a.attname::text, format_type(a.atttypid, NULL), a.attnotnull FROM pg_attribute a \
     JOIN pg_class c ON c.oid = a.attrelid WHERE c.relkind = 'r' AND c.relnamespace = 'public'::regnamespace \
     AND a.attnum > 0 AND NOT a.attisdropped AND c.relname <> 'hezar_migrations'";

fn columns(rows: Vec<(String, String, String, bool)>) -> Columns {
    let text = |kind: String, is_set: bool| {
        let kind = kind.replace("timestamp with time zone", "timestamptz");
        if is_set { format!("{kind} not null") } else { kind }
    };
    rows.into_iter().map(|(table, column, kind, is_set)| ((table, column), text(kind, is_set))).collect()
}

/// What the page says: one column of its tables, where there is no dash.
fn of_page(column: usize) -> Columns {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/schema.md");
    let page = fs::read_to_string(file).unwrap();
    let mut table = String::new();
    let mut found = Columns::new();
    for line in page.lines() {
        if let Some(name) = line.strip_prefix("## ") {
            name.clone_into(&mut table);
        }
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let Some(name) = cells.get(1).and_then(|name| name.strip_prefix('`')?.strip_suffix('`')) else { continue };
        assert!(cells.get(4).is_some_and(|meaning| !meaning.is_empty()), "{line}");
        if let Some(kind) = cells.get(column).filter(|kind| **kind != "–") {
            found.insert((table.clone(), name.to_owned()), (*kind).to_owned());
        }
    }
    found
}

#[tokio::test]
async fn the_page_of_the_schema_is_that_of_sqlite() {
    let place = Place::sqlite();
    place.open().await.close().await;
    let file = place.folder().join("hezar.db");
    let mut connection = SqliteConnection::connect(file.to_str().unwrap()).await.unwrap();
    let rows = sqlx::query_as(SQLITE).fetch_all(&mut connection).await.unwrap();
    assert_eq!(of_page(2), columns(rows));
}

#[tokio::test]
async fn the_page_of_the_schema_is_that_of_postgresql() {
    let Some(place) = Place::postgres("the_page_of_the_schema_is_that_of_postgresql") else { return };
    place.open().await.close().await;
    let mut connection = PgConnection::connect(place.url()).await.unwrap();
    let rows = sqlx::query_as(POSTGRES).fetch_all(&mut connection).await.unwrap();
    assert_eq!(of_page(3), columns(rows));
}
