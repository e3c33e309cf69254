//! Reads `host:port` with a login, in every order in which lists and links publish it.

use hezar_core::{Credentials, Host, Target};

use crate::{
    field,
    uri::{is_address, unescape},
};

/// A server and the credentials for it.
pub(crate) type Endpoint = (Target, Option<Credentials>);

/// Which texts count as hosts besides addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Names {
    /// None.
    No,
    /// Names that end like those of the Internet.
    Dotted,
    /// Every name; one that ends like those of the Internet is preferred.
    Any,
}

/// Reads `user:password@host:port`, `host:port@user:password`, `host:port:user:password`, `user:password:host:port` and
/// `host:port`, IPv6 with or without brackets.
pub(crate) fn read(text: &str, names: Names) -> Option<Endpoint> {
    if let Some(found) = with_at(text, names) {
        return Some(found);
    }
    if text.contains('@') {
        // A password may contain `@`. Behind a name the text is rather a mail address.
        return with_login(text, Names::No).filter(|(_, login)| login.is_some());
    }
    server(text, names).map(|server| (server, None)).or_else(|| with_login(text, names))
}

/// The login in front of the last `@`, or behind the first one.
fn with_at(text: &str, names: Names) -> Option<Endpoint> {
    let (login, host_port) = text.rsplit_once('@')?;
    if let Some(server) = server(host_port, Names::Dotted) {
        return Some((server, credentials(login)));
    }
    let (front, behind) = text.split_once('@')?;
    if let Some(server) = server(front, Names::Dotted) {
        let (user, password) = behind.split_once(':').unwrap_or((behind, ""));
        return Some((server, field::credentials(user, password)));
    }
    server(host_port, names).map(|server| (server, credentials(login)))
}

/// Reads `user:password`, percent-encoded, or both in base64 when there is no colon; `None` where both are empty.
pub(crate) fn credentials(login: &str) -> Option<Credentials> {
    if let Some((user, password)) = login.split_once(':') {
        return field::credentials(&unescape(user), &unescape(password));
    }
    let text = unescape(login);
    let readable = |text: &String| text.contains(':') && !text.contains(char::is_control);
    let decoded = field::base64_text(&text).filter(readable);
    let text = decoded.as_deref().unwrap_or(&text);
    let (user, password) = text.split_once(':').unwrap_or((text, ""));
    field::credentials(user, password)
}

/// Reads `host:port:user:password`, `user:password:host:port`, and `ip:port:anything`, whose end is not a login.
pub(crate) fn with_login(text: &str, names: Names) -> Option<Endpoint> {
    if text.contains('[') {
        return bracketed(text);
    }
    // A name without a dot may be a user name as well.
    let firm = if names == Names::Any { Names::Dotted } else { names };
    colons(text, firm).or_else(|| bare_ipv6(text)).or_else(|| if names == firm { None } else { colons(text, names) })
}

fn colons(text: &str, names: Names) -> Option<Endpoint> {
    let mut fields = text.splitn(4, ':');
    let (a, b, c) = (fields.next()?, fields.next()?, fields.next()?);
    let d = fields.next();
    let pair = |host: &str, port: &str| server(&format!("{host}:{port}"), names);
    if let Some(server) = pair(a, b) {
        return Some((server, d.and_then(|password| field::credentials(c, password))));
    }
    let server = d.filter(|port| !port.contains(':')).and_then(|port| pair(c, port))?;
    Some((server, field::credentials(a, b)))
}

/// `[2001:db8::1]:1080:user:password` and `user:password:[2001:db8::1]:1080`.
fn bracketed(text: &str) -> Option<Endpoint> {
    let (front, rest) = text.split_once('[')?;
    let (host, behind) = rest.split_once(']')?;
    let behind = behind.strip_prefix(':')?;
    let (port, login) = behind.split_once(':').unwrap_or((behind, front.strip_suffix(':').unwrap_or(front)));
    let (user, password) = login.split_once(':').unwrap_or((login, ""));
    Some((field::server(&format!("[{host}]"), port).ok()?, field::credentials(user, password)))
}

/// `2001:db8::1:1080:user:password`, as Resin writes it.
fn bare_ipv6(text: &str) -> Option<Endpoint> {
    let mut fields = text.rsplitn(4, ':');
    let (password, user, port, host) = (fields.next()?, fields.next()?, fields.next()?, fields.next()?);
    if host.matches(':').count() < 2 || !is_address(host) {
        return None;
    }
    Some((field::server(host, port).ok()?, field::credentials(user, password)))
}

/// `host:port` with an address, or with a name where names are allowed.
fn server(text: &str, names: Names) -> Option<Target> {
    let target = Target::parse(text.trim_end_matches([';', ','])).ok()?;
    let allowed = match target.host() {
        Host::Ip(_) => true,
        Host::Name(_) if names == Names::Any => true,
        Host::Name(name) => names == Names::Dotted && is_dotted(name.as_str()),
    };
    allowed.then_some(target)
}

/// Whether a name ends like those of the Internet.
pub(crate) fn is_dotted(name: &str) -> bool {
    let Some((_, top)) = name.rsplit_once('.') else { return false };
    top.len() >= 2 && (top.starts_with("xn--") || top.bytes().all(|b| b.is_ascii_alphabetic()))
}

#[cfg(test)]
mod tests;
