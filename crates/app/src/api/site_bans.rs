//! Exits that are not used for a site for a time, as the API lists, makes and lifts these bans.

use std::{net::IpAddr, time::Duration};

use async_trait::async_trait;
use hezar_api::{
    ApiError, Saved, SiteBanDto, SiteBanRequest, SiteBansFilter, SiteBansLifted, SiteBansPage, SiteBansPort,
    SiteBansQuery,
};
use hezar_gateway::site_name;
use hezar_pool::SiteBan;

use super::{
    ApiBackend,
    connections::read_address,
    explain::read_host,
    parts::{Order, PartQuery, Place, SortValue, cut},
};

/// Orders of the list.
const ORDERS: &[&str] = &["until", "since", "site", "exit"];
/// The most bans in one part.
const MOST: usize = 1000;
/// How long a ban lasts unless its request says so, and the longest one, in seconds.
const USUAL: u64 = 3600;
const LONGEST: u64 = 365 * 86_400;
/// The longest reason, in bytes.
const LONGEST_REASON: usize = 200;
/// What stands between the site and the exit in an id: no host and no address holds it.
const SEPARATOR: char = '@';

#[async_trait]
impl SiteBansPort for ApiBackend {
    fn site_bans(&self, query: &SiteBansQuery) -> Result<SiteBansPage, ApiError> {
        let order = Order::read(query.sort.as_deref(), ORDERS)?;
        let wanted = Wanted::read(&query.filter())?;
        let value = |ban: &SiteBan| match order.name {
            "until" => Some(SortValue::Number(ban.until.0)),
            "since" => Some(SortValue::Number(ban.since.0)),
            "site" => Some(SortValue::Text(ban.site.to_string())),
            // The id begins with the exit.
            _ => None,
        };
        let bans = self.pool.exit_bans(self.clock.now());
        let entries = bans
            .into_iter()
            .filter(|ban| wanted.fits(ban))
            .map(|ban| (Place { value: value(&ban), id: (ban.exit, ban.site.to_string()) }, ban));
        let limit = query.limit.unwrap_or(100).clamp(1, MOST);
        let part = cut(entries, &PartQuery { order, cursor: query.cursor.as_deref(), skip: 0, limit })?;
        Ok(SiteBansPage { total: part.total, items: part.items.iter().map(dto).collect(), next: part.next })
    }

    async fn ban_exit(&self, request: &SiteBanRequest) -> Result<Saved<SiteBanDto>, ApiError> {
        let ban = self.read_ban(request)?;
        let done = dto(&ban);
        self.pool.ban_exit(ban);
        Ok(Saved { done, stored: self.site_bans.save().await? })
    }

    async fn lift_site_ban(&self, id: &str) -> Result<Saved<SiteBansLifted>, ApiError> {
        let (site, exit) = read_id(id)?;
        let lifted = usize::from(self.pool.lift_exit_ban(&site, exit));
        Ok(Saved { done: SiteBansLifted { lifted }, stored: self.site_bans.save().await? })
    }

    async fn lift_site_bans(&self, filter: &SiteBansFilter) -> Result<Saved<SiteBansLifted>, ApiError> {
        let wanted = Wanted::read(filter)?;
        if wanted == Wanted::default() {
            return Err(ApiError::BadRequest("the filter says nothing: all bans would be lifted".to_owned()));
        }
        let bans = self.pool.exit_bans(self.clock.now());
        let fitting = bans.iter().filter(|ban| wanted.fits(ban));
        let lifted = fitting.filter(|ban| self.pool.lift_exit_ban(&ban.site, ban.exit)).count();
        Ok(Saved { done: SiteBansLifted { lifted }, stored: self.site_bans.save().await? })
    }
}

impl ApiBackend {
    fn read_ban(&self, request: &SiteBanRequest) -> Result<SiteBan, ApiError> {
        let exit = match (&request.exit, &request.node) {
            (Some(exit), None) => read_address(exit)?,
            (None, Some(node)) => {
                let node = self.find(node)?.and_then(|id| self.pool.node(id));
                node.and_then(|node| node.exit_ip()).ok_or(ApiError::NotFound)?
            }
            _ => return Err(ApiError::BadRequest("give one of exit and node".to_owned())),
        };
        let seconds = request.seconds.unwrap_or(USUAL);
        if !(1..=LONGEST).contains(&seconds) {
            return Err(ApiError::BadRequest(format!("seconds are 1 to {LONGEST}")));
        }
        let reason = request.reason.as_deref().unwrap_or_default();
        if reason.len() > LONGEST_REASON || reason.contains(char::is_control) {
            return Err(ApiError::BadRequest(format!(
                "a reason has at most {LONGEST_REASON} bytes and no control characters"
            )));
        }
        let (site, since) = (read_site(&request.site)?, self.clock.now());
        let until = since.after(Duration::from_secs(seconds));
        Ok(SiteBan { site: site.into(), exit, since, until, reason: reason.into() })
    }
}

/// A filter whose values have been read.
#[derive(Debug, Default, PartialEq, Eq)]
struct Wanted {
    site: Option<String>,
    exit: Option<IpAddr>,
    /// In lower case.
    search: Option<String>,
}

impl Wanted {
    fn read(filter: &SiteBansFilter) -> Result<Self, ApiError> {
        Ok(Self {
            site: filter.site.as_deref().map(read_site).transpose()?,
            exit: filter.exit.as_deref().map(read_address).transpose()?,
            search: filter.search.as_ref().map(|text| text.to_lowercase()).filter(|text| !text.is_empty()),
        })
    }

    fn fits(&self, ban: &SiteBan) -> bool {
        let holds = |text: &str| ban.site.contains(text) || ban.reason.to_lowercase().contains(text);
        self.site.as_deref().is_none_or(|site| site == &*ban.site)
            && self.exit.is_none_or(|exit| exit == ban.exit.to_canonical())
            && self.search.as_deref().is_none_or(holds)
    }
}

/// The site that a host belongs to.
fn read_site(host: &str) -> Result<String, ApiError> {
    read_host(host).map(|host| site_name(&host))
}

/// The site and the exit that an id names.
fn read_id(id: &str) -> Result<(String, IpAddr), ApiError> {
    let parts = id.rsplit_once(SEPARATOR);
    let (site, exit) = parts.ok_or_else(|| {
        ApiError::BadRequest(format!("{id:?} is not the id of such a ban, as example.com@203.0.113.7"))
    })?;
    Ok((read_site(site)?, read_address(exit)?))
}

fn dto(ban: &SiteBan) -> SiteBanDto {
    SiteBanDto {
        id: format!("{}{SEPARATOR}{}", ban.site, ban.exit),
        site: ban.site.to_string(),
        exit: ban.exit.to_string(),
        since: ban.since.0,
        until: ban.until.0,
        reason: ban.reason.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use hezar_core::Timestamp;

    use super::*;

    fn ban(site: &str, exit: &str) -> SiteBan {
        let exit = exit.parse().unwrap();
        SiteBan { site: site.into(), exit, since: Timestamp(1), until: Timestamp(2), reason: "Rule of proxy".into() }
    }

    #[test]
    fn an_id_names_its_ban() {
        for (site, exit) in [("example.com", "203.0.113.7"), ("[2001:db8::2]", "2001:db8::1"), ("localhost", "::1")] {
            let site = read_site(site).unwrap();
            let (read, address) = read_id(&dto(&ban(&site, exit)).id).unwrap();
            assert_eq!((read, address), (site, exit.parse().unwrap()));
        }
        for bad in ["", "@", "example.com", "example.com@", "@203.0.113.7", "example.com@x", "a b@203.0.113.7"] {
            assert!(matches!(read_id(bad), Err(ApiError::BadRequest(_))), "{bad:?}");
        }
    }

    #[test]
    fn a_filter_takes_any_host_of_the_site() {
        let fits = |site: &str, exit: &str, search: &str| {
            let given = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
            let filter = SiteBansFilter { site: given(site), exit: given(exit), search: given(search) };
            Wanted::read(&filter).unwrap().fits(&ban("example.com", "203.0.113.7"))
        };
        assert!(fits("", "", "") && fits("www.Example.com", "", "") && fits("", "::ffff:203.0.113.7", ""));
        assert!(fits("", "", "RULE of") && fits("", "", "example"));
        assert!(!fits("example.org", "", "") && !fits("example.com", "203.0.113.8", "") && !fits("", "", "other"));
        assert!(Wanted::read(&SiteBansFilter { exit: Some("x".into()), ..SiteBansFilter::default() }).is_err());
    }
}
