//! A proxy address that is ready to be used, with the options of a client in its user name.

use std::net::{IpAddr, SocketAddr};

use hezar_api::{ApiError, ExplainQuery, ProxyDto, ProxyQuery};
use url::Url;

use super::ApiBackend;

/// The user of a listener that has none: what stands in front of the options.
// Not "user": that is a prefix which vendors put in front of names.
const ANYBODY: &str = "anybody";
/// The schemes of addresses.
const SCHEMES: [&str; 3] = ["http", "socks5", "socks5h"];
/// The only scheme of a listener that speaks TLS: clients know none for SOCKS inside TLS.
const TLS_SCHEMES: [&str; 1] = ["https"];

impl ApiBackend {
    /// `host` is how the client reached this machine.
    pub(crate) fn ready_address(&self, query: &ProxyQuery, host: &str) -> Result<ProxyDto, ApiError> {
        let listener = self.listener(query.listener.as_deref())?;
        if listener.inbound.is_some() {
            let told = "this listener speaks neither HTTP nor SOCKS: GET /api/v1/users/NAME/links has its links";
            return Err(ApiError::BadRequest(told.to_owned()));
        }
        let tls = listener.server_tls.as_ref();
        let scheme = scheme(query.scheme.as_deref(), tls.is_some())?;
        let address = self.listeners.address(&listener.name).ok_or(ApiError::NotFound)?;
        let has_users = !listener.users.is_empty();
        let username = user_name(query, has_users)?;
        let asked = ExplainQuery {
            user: Some(username.clone()),
            listener: Some(listener.name.to_string()),
            top: Some(1),
            ..ExplainQuery::default()
        };
        // This also says what is wrong with the options.
        let told = self.explain_request(&asked)?;
        let host = reachable_host(address, host);
        let names = tls.and_then(|tls| tls.slot().facts()).map(|facts| facts.names).unwrap_or_default();
        let host = certified_host(host, &names);
        let password = query.password.as_deref().filter(|password| !password.is_empty());
        let url = url(scheme, &host, address.port(), &username, password)?;
        Ok(ProxyDto {
            url,
            scheme: scheme.to_owned(),
            host,
            port: address.port(),
            username,
            password_needed: has_users && password.is_none(),
            fitting: told.fitting,
        })
    }
}

/// The user name with its options; empty when neither is needed.
fn user_name(query: &ProxyQuery, has_users: bool) -> Result<String, ApiError> {
    let asn = query.asn.map(|asn| asn.to_string());
    let options = [
        ("country", query.country.as_deref()),
        ("asn", asn.as_deref()),
        ("city", query.city.as_deref()),
        ("session", query.session.as_deref()),
        ("sesstime", query.sesstime.as_deref()),
        ("strategy", query.strategy.as_deref()),
        ("anonymity", query.anonymity.as_deref()),
    ];
    let mut tail = String::new();
    for (name, value) in options {
        let Some(value) = value.filter(|value| !value.is_empty()) else { continue };
        // A hyphen ends a value, except in the name of a strategy, which is read as a whole.
        if value.contains('-') && name != "strategy" {
            return Err(ApiError::BadRequest(format!("{name} {value:?} must not hold a hyphen")));
        }
        tail.push_str(&format!("-{name}-{value}"));
    }
    let user = query.user.as_deref().filter(|user| !user.is_empty());
    match user {
        None if has_users => Err(ApiError::BadRequest("this listener has users: name one with user=".to_owned())),
        None if tail.is_empty() => Ok(tail),
        user => Ok(format!("{}{tail}", user.unwrap_or(ANYBODY))),
    }
}

/// The scheme that was asked for, or the usual one.
fn scheme(asked: Option<&str>, tls: bool) -> Result<&str, ApiError> {
    let known: &[&str] = if tls { &TLS_SCHEMES } else { &SCHEMES };
    match asked {
        None => Ok(if tls { "https" } else { "http" }),
        Some(scheme) if known.contains(&scheme) => Ok(scheme),
        Some(scheme) => Err(ApiError::BadRequest(format!("scheme {scheme:?} is not one of {}", known.join(", ")))),
    }
}

/// The host itself when a certificate with these names is for it, else the first name that a certificate is for.
fn certified_host(host: String, names: &[String]) -> String {
    if names.iter().any(|name| name.eq_ignore_ascii_case(&host)) {
        return host;
    }
    names.iter().find(|name| !name.contains('*')).cloned().unwrap_or(host)
}

/// Where the client reaches a listener: the address itself, or this machine as the client named it when the listener
/// listens on every address.
fn reachable_host(address: SocketAddr, host: &str) -> String {
    if address.ip().is_unspecified() { host.to_owned() } else { address.ip().to_string() }
}

fn url(scheme: &str, host: &str, port: u16, username: &str, password: Option<&str>) -> Result<String, ApiError> {
    let host = match host.parse::<IpAddr>() {
        Ok(IpAddr::V6(address)) => format!("[{address}]"),
        _ => host.to_owned(),
    };
    let mut url = Url::parse(&format!("{scheme}://{host}:{port}")).map_err(|_| ApiError::ForeignHost)?;
    // Neither can fail for an address with a host.
    let _ = url.set_username(username);
    let _ = url.set_password(password);
    // The port is always said, also where it is the one of the scheme.
    let text = url.to_string();
    let text = text.trim_end_matches('/');
    Ok(if url.port().is_none() { format!("{text}:{port}") } else { text.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_carry_user_names_that_are_written_for_a_url() {
        let text = |scheme, host, port, user, password| url(scheme, host, port, user, password).unwrap();
        assert_eq!(text("http", "127.0.0.1", 8000, "", None), "http://127.0.0.1:8000");
        assert_eq!(text("http", "proxy.example", 80, "", None), "http://proxy.example:80");
        assert_eq!(
            text("socks5h", "::1", 1080, "al ice-country-de", Some("p@ss:w/rd")),
            "socks5h://al%20ice-country-de:p%40ss%3Aw%2Frd@[::1]:1080"
        );
    }

    #[test]
    fn options_become_a_user_name() {
        let query = ProxyQuery {
            country: Some("de,nl".into()),
            session: Some("a1".into()),
            strategy: Some("least-latency".into()),
            ..ProxyQuery::default()
        };
        assert_eq!(user_name(&query, false).unwrap(), "anybody-country-de,nl-session-a1-strategy-least-latency");
        let place = ProxyQuery { asn: Some(13_335), city: Some("new york".into()), ..ProxyQuery::default() };
        assert_eq!(user_name(&place, false).unwrap(), "anybody-asn-13335-city-new york");
        assert!(user_name(&query, true).is_err(), "a listener with users needs one");
        let alice = ProxyQuery { user: Some("alice".into()), ..ProxyQuery::default() };
        assert_eq!(user_name(&alice, true).unwrap(), "alice");
        assert_eq!(user_name(&ProxyQuery::default(), false).unwrap(), "");
        assert!(user_name(&ProxyQuery { session: Some("a-b".into()), ..ProxyQuery::default() }, false).is_err());
    }

    #[test]
    fn a_listener_with_tls_is_reached_over_https_under_a_name_of_its_certificate() {
        assert_eq!((scheme(None, true), scheme(None, false)), (Ok("https"), Ok("http")));
        assert!(scheme(Some("http"), true).is_err() && scheme(Some("https"), false).is_err());
        assert_eq!(scheme(Some("socks5h"), false), Ok("socks5h"));
        let names = ["*.example.org".to_owned(), "proxy.example.org".to_owned()];
        let host = |host: &str, names: &[String]| certified_host(host.to_owned(), names);
        assert_eq!(host("192.0.2.1", &names), "proxy.example.org");
        assert_eq!(host("Proxy.example.org", &names), "Proxy.example.org");
        assert_eq!(host("192.0.2.1", &[]), "192.0.2.1");
    }

    #[test]
    fn the_host_is_the_one_that_the_client_reaches() {
        let address = |text: &str| text.parse().unwrap();
        assert_eq!(reachable_host(address("127.0.0.1:1"), "proxy.example"), "127.0.0.1");
        assert_eq!(reachable_host(address("0.0.0.0:1"), "proxy.example"), "proxy.example");
        assert_eq!(reachable_host(address("[::]:1"), "192.0.2.1"), "192.0.2.1");
    }
}
