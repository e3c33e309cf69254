//! The web page: serves its files, and signs browsers in with a cookie in the place of the token.

mod files;
mod routes;

pub use routes::SignInCodeDto;
pub(crate) use routes::{code_routes, file_routes, session_routes};
