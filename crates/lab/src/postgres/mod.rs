//! A real PostgreSQL server for tests: on a free port, in a temporary folder, as a user without rights, ended and removed with the test.

mod pooler;
mod programs;
mod server;

use std::{
    env, io,
    sync::{
        OnceLock,
        atomic::{AtomicU32, Ordering},
    },
};

pub use pooler::Pooler;
pub use server::PostgresServer;

/// A server that is there already, such as `postgres://user:password@127.0.0.1:5432/postgres`: tests make their databases in it.
const EXISTING: &str = "HEZAR_TEST_POSTGRES";
/// Set where nothing may be left out (`cargo xtask test --require-peers`).
const REQUIRED: &str = "HEZAR_REQUIRE_PEERS";

/// The URL of a new, empty database for the test `test`: in the server that `HEZAR_TEST_POSTGRES` names, or in one that all tests of this
/// program share. `None` when PostgreSQL is not installed, and then a line says so.
///
/// # Errors
/// The server cannot be started, or PostgreSQL is required (`HEZAR_REQUIRE_PEERS`) and not installed.
pub fn empty_database(test: &str) -> io::Result<Option<String>> {
    static SERVER: OnceLock<Result<Option<PostgresServer>, String>> = OnceLock::new();
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let name = format!("hezar_{}_{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
    if let Ok(existing) = env::var(EXISTING) {
        return server::create_database(&existing, &name).map(Some);
    }
    let shared = SERVER.get_or_init(|| PostgresServer::start_if_installed(test).map_err(|error| error.to_string()));
    match shared {
        Ok(Some(server)) => server.create_database(&name).map(Some),
        Ok(None) => Ok(None),
        Err(error) => Err(io::Error::other(error.clone())),
    }
}

/// Says that a test is left out, or that this is an error.
fn left_out(test: &str, program: &str, package: &str) -> io::Result<()> {
    if env::var_os(REQUIRED).is_some() {
        return Err(io::Error::other(format!("{test} needs {program} (apt-get install {package})")));
    }
    println!("LEFT OUT: {test} needs {program} (apt-get install {package})");
    Ok(())
}
