//! What can be said about the store as a whole: copies of it, and what it is.

use std::{convert::Infallible, path::PathBuf};

use clap::{Args, Subcommand};
use hezar_core::Secret;

use super::JsonArgs;

#[derive(Debug, Subcommand)]
pub(crate) enum StoreCommand {
    /// Copy everything from one store into another, also of another kind; no instance may use the target
    #[command(
        after_help = "Examples:\n  hezar store copy configured postgres://hezar@db.example/hezar   # from SQLite to PostgreSQL\n  \
                      hezar store copy configured sqlite:copy.db\n  \
                      hezar store copy --replace sqlite:hezar-backup.db postgres://hezar@db.example/hezar\n\n\
                      `configured` is the store of the configuration. Other users of this machine can read what stands on a command line: \
                      leave the password out and give it in the variable PGPASSWORD or in ~/.pgpass."
    )]
    Copy(CopyStoreArgs),
    /// Say which database the store is, its schema, its size, and how many rows each table has
    #[command(after_help = "Examples:\n  hezar store info\n  hezar store info --json | jq .bytes")]
    Info(JsonArgs),
}

#[derive(Debug, Args)]
pub(crate) struct CopyStoreArgs {
    /// Where to read: sqlite:FILE, postgres://USER@HOST/DATABASE, or `configured`
    #[arg(value_name = "FROM", value_parser = secret)]
    pub(crate) from: Secret,
    /// Where to write, in the same forms
    #[arg(value_name = "TO", value_parser = secret)]
    pub(crate) to: Secret,
    /// Give up what the target holds; a file is kept under another name
    #[arg(long)]
    pub(crate) replace: bool,
    #[command(flatten)]
    pub(crate) output: JsonArgs,
}

#[derive(Debug, Args)]
pub(crate) struct BackupArgs {
    /// The file to write; a name that ends with .zst gets a compressed copy. With --keep a folder
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// Replace the file if it exists
    #[arg(long)]
    pub(crate) force: bool,
    /// Write a compressed file named by the time into the folder FILE, and keep the newest N there
    #[arg(long, value_name = "N", conflicts_with = "force", value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) keep: Option<u16>,
    #[command(flatten)]
    pub(crate) output: JsonArgs,
}

#[derive(Debug, Args)]
pub(crate) struct RestoreArgs {
    /// What `hezar backup` has written, or a snapshot of a store in memory
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// Only check the file and say what it holds
    #[arg(long)]
    pub(crate) check: bool,
    #[command(flatten)]
    pub(crate) output: JsonArgs,
}

fn secret(text: &str) -> Result<Secret, Infallible> {
    Ok(Secret::new(text))
}
