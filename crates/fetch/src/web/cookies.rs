//! The cookies of one fetch: some hosts set one and redirect to themselves, and go on doing so until it comes back.

use http::HeaderMap;
use url::Url;

/// The most cookies that one fetch keeps.
const MAX_COOKIES: usize = 20;

/// The longest `name=value` that is kept, in bytes; what browsers accept (RFC 6265 §6.1).
const MAX_PAIR_BYTES: usize = 4096;

/// Cookies that servers set on the way (RFC 6265). They live as long as the fetch; paths and expiry are not looked at.
#[derive(Debug, Default)]
pub(super) struct Cookies(Vec<Cookie>);

#[derive(Debug)]
struct Cookie {
    host: Box<str>,
    /// Whether it is sent to the host's subdomains too.
    subdomains: bool,
    /// Whether it is sent over HTTPS only.
    secure: bool,
    name: Box<str>,
    value: Box<str>,
}

impl Cookies {
    /// Takes in what an answer from `url` sets.
    pub(super) fn store(&mut self, url: &Url, headers: &HeaderMap) {
        let Some(host) = url.host_str() else { return };
        for value in headers.get_all("set-cookie") {
            let Some(cookie) = value.to_str().ok().and_then(|text| Cookie::parse(text, host)) else { continue };
            self.0.retain(|old| old.name != cookie.name || old.host != cookie.host);
            if self.0.len() < MAX_COOKIES {
                self.0.push(cookie);
            }
        }
    }

    /// The value of the `Cookie` header of a request to `url`, after the cookies `own` that the source is configured with.
    pub(super) fn header(&self, url: &Url, own: Option<&str>) -> Option<String> {
        let set = self
            .0
            .iter()
            .filter(|cookie| cookie.is_sent_to(url))
            .map(|cookie| format!("{}={}", cookie.name, cookie.value));
        let all: Vec<String> = own.map(str::to_owned).into_iter().chain(set).collect();
        (!all.is_empty()).then(|| all.join("; "))
    }
}

impl Cookie {
    fn parse(text: &str, host: &str) -> Option<Self> {
        let mut parts = text.split(';').map(str::trim);
        let pair = parts.next().filter(|pair| pair.len() <= MAX_PAIR_BYTES)?;
        let (name, value) = pair.split_once('=')?;
        if name.trim().is_empty() {
            return None;
        }
        let mut cookie = Self {
            host: host.into(),
            subdomains: false,
            secure: false,
            name: name.trim().into(),
            value: value.trim().into(),
        };
        for part in parts {
            let (key, value) = part.split_once('=').unwrap_or((part, ""));
            match key.trim().to_ascii_lowercase().as_str() {
                "secure" => cookie.secure = true,
                "domain" => {
                    let domain = value.trim().trim_start_matches('.').to_ascii_lowercase();
                    // A cookie for a whole registry ("com") would go to strangers; such a cookie is for its host alone.
                    if domain.contains('.') && is_domain_or_subdomain(host, &domain) {
                        (cookie.host, cookie.subdomains) = (domain.into(), true);
                    }
                }
                _ => {}
            }
        }
        Some(cookie)
    }

    fn is_sent_to(&self, url: &Url) -> bool {
        let host = url.host_str().unwrap_or_default();
        let fits = if self.subdomains { is_domain_or_subdomain(host, &self.host) } else { *self.host == *host };
        fits && (!self.secure || url.scheme() == "https")
    }
}

/// Whether a host is the domain or one of its subdomains.
fn is_domain_or_subdomain(host: &str, domain: &str) -> bool {
    host.strip_suffix(domain).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}
