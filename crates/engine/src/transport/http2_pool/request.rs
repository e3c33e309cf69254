//! The head of a request on a shared connection.

use hezar_core::Host;
use http::{Request, Uri, Version, uri::Authority};

use crate::BuildError;

/// A request to the first usable of `authorities`, else to the server's host.
///
/// # Errors
/// [`BuildError::Invalid`] when HTTP cannot carry the path or the server's host.
pub(crate) fn request(
    method: &str,
    secure: bool,
    authorities: &[Option<&str>],
    server: &Host,
    path: &str,
) -> Result<Request<()>, BuildError> {
    let usable = |text: &&&str| !text.trim().is_empty();
    let parsed = authorities.iter().flatten().filter(usable).find_map(|text| text.trim().parse::<Authority>().ok());
    let authority = parsed.or_else(|| server.bracketed().parse().ok());
    let authority = authority.ok_or(BuildError::Invalid("the server's name is none that HTTP can carry"))?;
    let scheme = if secure { "https" } else { "http" };
    let uri = Uri::builder().scheme(scheme).authority(authority).path_and_query(path).build();
    let uri = uri.map_err(|_| BuildError::Invalid("the path is none that HTTP can carry"))?;
    let request = Request::builder().method(method).uri(uri).version(Version::HTTP_2).body(());
    request.map_err(|_| BuildError::Invalid("the request is none that HTTP can carry"))
}
