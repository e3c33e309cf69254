//! Keeps the cookies of one fetch: some hosts set a cookie and redirect to themselves until it comes back.

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
        for value in headers.get_all("set-cookie") {
            let Some(cookie) = value.to_str().ok().and_then(|text| Cookie::parse(text, url)) else { continue };
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
    fn parse(text: &str, url: &Url) -> Option<Self> {
        let host = url.host_str()?;
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
                    // A cookie for all names under a public suffix ("com", "co.uk") would go to strangers (RFC 6265 §5.3);
                    // such a cookie is for its host alone.
                    let is_name = url.domain().is_some() && psl::domain_str(&domain).is_some();
                    if is_name && is_domain_or_subdomain(host, &domain) {
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

#[cfg(test)]
mod tests {
    use super::*;

    /// The hosts among `asked` that get a cookie which `host` sets for `domain`.
    fn receivers(host: &str, domain: &str, asked: &[&'static str]) -> Vec<&'static str> {
        let url = |host: &str| Url::parse(&format!("https://{host}/")).unwrap();
        let mut headers = HeaderMap::new();
        headers.insert("set-cookie", format!("a=1; Domain={domain}").parse().unwrap());
        let mut cookies = Cookies::default();
        cookies.store(&url(host), &headers);
        asked.iter().copied().filter(|asked| cookies.header(&url(asked), None).is_some()).collect()
    }

    #[test]
    fn a_public_suffix_is_no_domain() {
        let asked = ["a.co.uk", "b.co.uk", "sub.a.co.uk"];
        assert_eq!(receivers("a.co.uk", "co.uk", &asked), ["a.co.uk"]);
        assert_eq!(receivers("a.co.uk", ".CO.UK", &asked), ["a.co.uk"]);
        assert_eq!(receivers("a.co.uk", "a.co.uk", &asked), ["a.co.uk", "sub.a.co.uk"]);
        assert_eq!(
            receivers("user.github.io", "github.io", &["user.github.io", "other.github.io"]),
            ["user.github.io"]
        );
        assert_eq!(receivers("a.example.com", "com", &["a.example.com", "b.example.com"]), ["a.example.com"]);
    }

    #[test]
    fn a_domain_that_is_not_the_hosts_own_is_passed_over() {
        let asked = ["a.example.com", "b.example.com", "other.com", "notexample.com"];
        assert_eq!(receivers("a.example.com", "other.com", &asked), ["a.example.com"]);
        assert_eq!(receivers("a.example.com", "example.com", &asked), ["a.example.com", "b.example.com"]);
        assert_eq!(receivers("127.0.0.1", "0.0.1", &["127.0.0.1", "1.0.0.1"]), ["127.0.0.1"]);
    }
}
