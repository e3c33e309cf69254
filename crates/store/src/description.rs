//! What a store is and how large, for `hezar store info`.

/// What a store is and what it holds, in numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreDescription {
    /// The database with its version: `SQLite 3.50.4` or `PostgreSQL 15.14`.
    pub database: Box<str>,
    /// The file, or the server and the database. It never holds the password.
    pub place: Box<str>,
    /// The number of its newest migration.
    pub schema: i64,
    /// What the whole database takes on the disk.
    pub bytes: u64,
    /// Its tables in the order of their names.
    pub tables: Vec<TableDescription>,
}

/// One table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableDescription {
    /// Its name.
    pub name: Box<str>,
    /// How many rows it has now.
    pub rows: u64,
    /// What it takes on the disk with its indexes; `None` where the database cannot say.
    pub bytes: Option<u64>,
}
