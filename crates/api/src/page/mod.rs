//! The web page: serves its files, and signs browsers in with a cookie in the place of the token.

mod browser;
mod files;
mod routes;
mod sign_in;

pub use routes::SignInCodeDto;
pub(crate) use routes::{PageAccess, code_routes, file_routes, session_routes};
