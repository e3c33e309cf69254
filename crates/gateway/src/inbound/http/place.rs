//! Where a request wants to go: the target, and the request line and Host to send there.

use hezar_core::{Host, Target, TargetError};
use http::{HeaderValue, Uri, uri::PathAndQuery};

use crate::Refusal;

/// The place that an absolute-form request names.
#[derive(Debug)]
pub(super) struct Place {
    pub target: Target,
    /// The value of `Host`: what the client named, never its user info.
    pub host: HeaderValue,
    /// The origin-form of the request line.
    pub path: Uri,
}

const BAD_HOST: Refusal = Refusal::BadRequest("the host in the request line is not valid");
const BAD_PORT: Refusal = Refusal::BadRequest("the port in the request line must be from 1 to 65535");

fn refusal(error: TargetError) -> Refusal {
    match error {
        TargetError::MissingPort => Refusal::BadRequest("CONNECT needs host:port"),
        TargetError::BadPort => BAD_PORT,
        _ => BAD_HOST,
    }
}

/// The target of CONNECT.
pub(super) fn of_connect(uri: &Uri) -> Result<Target, Refusal> {
    let authority = uri.authority().ok_or(Refusal::BadRequest("CONNECT needs host:port"))?;
    Target::parse(authority.as_str()).map_err(refusal)
}

/// The place of an absolute-form request.
pub(super) fn of_absolute(uri: &Uri) -> Result<Place, Refusal> {
    let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) else { return Err(Refusal::NotProxied) };
    match scheme.to_ascii_lowercase().as_str() {
        "http" | "ws" => {}
        "https" | "wss" => {
            return Err(Refusal::BadRequest(
                "https:// cannot be asked for in plain text: clients tunnel it with CONNECT, \
                 which yours does when this address is set as its HTTPS proxy",
            ));
        }
        _ => return Err(Refusal::BadRequest("only http:// can be asked for; everything else goes through CONNECT")),
    }
    let text = authority.as_str();
    let named = text.rsplit_once('@').map_or(text, |(_, named)| named);
    let port = match authority.port() {
        Some(port) => port.as_str().parse().map_err(|_| BAD_PORT)?,
        None if named.ends_with(':') || !named.contains(':') || named.ends_with(']') => 80,
        None => return Err(BAD_PORT),
    };
    let target = Host::new(authority.host()).and_then(|host| Target::new(host, port)).map_err(refusal)?;
    let host = HeaderValue::from_str(named).map_err(|_| BAD_HOST)?;
    let path = uri.path_and_query().cloned().unwrap_or_else(|| PathAndQuery::from_static("/"));
    Ok(Place { target, host, path: Uri::from(path) })
}
