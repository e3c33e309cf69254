//! The site that a target belongs to: the registrable domain, so that `www` and `api` of one shop are one site.

use hezar_core::{Host, SiteKey};

/// The name under which evidence about a site is kept: the public suffix and one label more, else the host itself.
#[must_use]
pub fn site_name(host: &Host) -> String {
    let text = host.to_string().to_ascii_lowercase();
    match host {
        Host::Ip(_) => text,
        Host::Name(_) => psl::domain_str(&text).map_or_else(|| text.clone(), str::to_owned),
    }
}

/// The key of the site that a host belongs to, for [`Query::site`](hezar_pool::Query::site).
#[must_use]
pub fn site_key(host: &Host) -> SiteKey {
    SiteKey::from_name(&site_name(host))
}

#[cfg(test)]
mod tests {
    use hezar_core::Target;

    use super::*;

    #[test]
    fn hosts_of_one_owner_are_one_site() {
        let name = |text: &str| site_name(Target::parse(text).unwrap().host());
        assert_eq!(name("www.shop.example.co.uk:443"), "example.co.uk");
        assert_eq!(name("API.example.com:443"), "example.com");
        assert_eq!(name("alice.github.io:443"), "alice.github.io", "private suffixes are owners too");
        assert_eq!(name("localhost:80"), "localhost");
        assert_eq!(name("192.0.2.1:80"), "192.0.2.1");
        assert_ne!(
            site_key(Target::parse("a.com:1").unwrap().host()),
            site_key(Target::parse("b.com:1").unwrap().host())
        );
    }
}
