//! Which server a store URL names, and how it is connected to.

use std::{fmt, str::FromStr};

use sqlx::{ConnectOptions, postgres::PgConnectOptions};
use url::Url;

use crate::{StoreError, StoreSettings, settings::is_postgres};

/// The parameters of a store URL that are understood, as libpq names them (PostgreSQL 15, §34.1.2).
const PARAMETERS: [&str; 13] = [
    "sslmode",
    "sslrootcert",
    "sslcert",
    "sslkey",
    "host",
    "hostaddr",
    "port",
    "dbname",
    "user",
    "password",
    "application_name",
    "options",
    "statement-cache-capacity",
];

/// A database of PostgreSQL and the way to it. Its texts never hold the password.
pub(crate) struct Server {
    /// `db.example:5432/hezar`.
    pub(crate) name: Box<str>,
    pub(crate) user: Box<str>,
    pub(crate) database: Box<str>,
    /// Whether the server keeps prepared statements for a connection of ours.
    pub(crate) keeps_statements: bool,
    pub(crate) options: PgConnectOptions,
    /// The way for notifications, which a pooler in transaction mode does not deliver.
    pub(crate) listening: PgConnectOptions,
}

impl Server {
    /// Reads the settings.
    ///
    /// # Errors
    /// [`StoreError::Url`].
    pub(crate) fn of(settings: &StoreSettings) -> Result<Self, StoreError> {
        let options = options(settings.url.0.expose())?;
        let listening = settings.listen_url.as_ref().map(|url| self::options(url.0.expose())).transpose()?;
        let database = options.get_database().unwrap_or(options.get_username());
        let address = match options.get_socket() {
            Some(socket) => socket.display().to_string(),
            None => format!("{}:{}", options.get_host(), options.get_port()),
        };
        Ok(Self {
            name: format!("{address}/{database}").into(),
            user: options.get_username().into(),
            database: database.into(),
            keeps_statements: settings.prepared_statements,
            listening: listening.unwrap_or_else(|| options.clone()),
            options,
        })
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("name", &self.name).field("user", &self.user).finish_non_exhaustive()
    }
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PostgreSQL at {}", self.name)
    }
}

fn options(url: &str) -> Result<PgConnectOptions, StoreError> {
    let failed = |detail: &str| StoreError::ServerUrl { detail: detail.into() };
    if !is_postgres(url) {
        return Err(failed("it must begin with postgres://"));
    }
    let parsed = Url::parse(url).map_err(|error| failed(&error.to_string()))?;
    let known = |name: &str| PARAMETERS.contains(&name) || name.starts_with("options[");
    if let Some((unknown, _)) = parsed.query_pairs().find(|(name, _)| !known(name)) {
        return Err(failed(&format!("the parameter {unknown:?} is not known")));
    }
    let options = PgConnectOptions::from_str(url).map_err(|error| failed(&error.to_string()))?;
    // Poolers refuse start parameters that they do not know, and numbers come in binary anyway.
    let options = options.extra_float_digits(None).disable_statement_logging();
    // By this a copy finds out that instances use its target.
    let name = match options.get_application_name() {
        None => "hezar".to_owned(),
        Some(name) if name.starts_with("hezar") => name.to_owned(),
        Some(name) => format!("hezar {name}"),
    };
    Ok(options.application_name(&name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_connection_can_be_told_to_be_of_an_instance() {
        let name = |url: &str| options(url).unwrap().get_application_name().unwrap().to_owned();
        assert_eq!(name("postgres://u@h/d?application_name=gate-1"), "hezar gate-1");
        assert_eq!(name("postgres://u@h/d?application_name=hezar-1"), "hezar-1");
    }
}
