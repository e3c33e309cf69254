//! Connections that are alive, as the API lists and ends them.

use std::{collections::HashMap, net::IpAddr, time::Duration};

use hezar_api::{ApiError, ConnectionDto, ConnectionsEnded, ConnectionsFilter, ConnectionsPage, ConnectionsQuery};
use hezar_core::NodeId;
use hezar_gateway::ConnectionInfo;
use parking_lot::Mutex;
use tokio::time::Instant;

use super::{
    ApiBackend,
    explain::country,
    parts::{Order, PartQuery, Place, SortValue, cut},
};

/// Orders of the list.
const ORDERS: &[&str] = &["since", "up", "down", "rate", "user"];
/// The most connections in one part.
const MOST: usize = 1000;
/// The shortest time over which a rate is taken.
const SHORTEST: Duration = Duration::from_secs(1);
/// A rate over a longer time would say nothing of now.
const LONGEST: Duration = Duration::from_secs(15);

/// Bytes of every connection at one moment, by its number.
struct Sample {
    at: Instant,
    bytes: HashMap<u64, (u64, u64)>,
}

/// Takes the bytes of the connections now and then, while somebody looks, to tell how fast they flow.
#[derive(Default)]
pub(crate) struct RateSampler(Mutex<[Option<Sample>; 2]>);

impl RateSampler {
    /// Takes a sample, if the last one is old enough.
    fn observe(&self, connections: &[ConnectionInfo]) {
        let now = Instant::now();
        let mut samples = self.0.lock();
        if samples[1].as_ref().is_some_and(|newer| now - newer.at < SHORTEST) {
            return;
        }
        let bytes = connections.iter().map(|info| (info.id, (info.up, info.down))).collect();
        samples.swap(0, 1);
        samples[1] = Some(Sample { at: now, bytes });
    }

    /// Bytes a second up and down since the sample before the last; `None` when there is none that is young enough.
    fn rates(&self, connections: &[ConnectionInfo]) -> HashMap<u64, (u64, u64)> {
        let now = Instant::now();
        let samples = self.0.lock();
        let young = samples.iter().flatten().find(|sample| (SHORTEST..=LONGEST).contains(&(now - sample.at)));
        let Some(Sample { at, bytes }) = young else { return HashMap::new() };
        let milliseconds = u64::try_from((now - *at).as_millis()).unwrap_or(u64::MAX).max(1);
        let rate = |bytes: u64, before: u64| bytes.saturating_sub(before).saturating_mul(1000) / milliseconds;
        let rates = connections.iter().filter_map(|info| {
            let (up, down) = bytes.get(&info.id)?;
            Some((info.id, (rate(info.up, *up), rate(info.down, *down))))
        });
        rates.collect()
    }
}

/// A filter whose values have been read.
struct Wanted<'a> {
    filter: &'a ConnectionsFilter,
    client: Option<IpAddr>,
    exit: Option<IpAddr>,
    node: Option<NodeId>,
    target: Option<String>,
}

impl<'a> Wanted<'a> {
    fn read(filter: &'a ConnectionsFilter, backend: &ApiBackend) -> Result<Self, ApiError> {
        let node = match filter.node.as_deref() {
            // A connection may outlive its node in the pool.
            Some(text) => match text.parse() {
                Ok(id) => Some(id),
                Err(_) => Some(backend.find(text)?.ok_or(ApiError::NotFound)?),
            },
            None => None,
        };
        Ok(Self {
            filter,
            client: filter.client.as_deref().map(read_address).transpose()?,
            exit: filter.exit.as_deref().map(read_address).transpose()?,
            node,
            target: filter.target.as_ref().map(|text| text.to_lowercase()),
        })
    }

    fn fits(&self, info: &ConnectionInfo) -> bool {
        let is = |asked: &Option<String>, name: &str| asked.as_deref().is_none_or(|asked| asked == name);
        is(&self.filter.user, &info.user)
            && is(&self.filter.listener, &info.listener)
            && is(&self.filter.inbound, info.inbound)
            && self.client.is_none_or(|client| info.client.to_canonical() == client)
            && self.node.is_none_or(|node| info.node == Some(node))
            && self.exit.is_none_or(|exit| info.exit == Some(exit))
            && self.target.as_deref().is_none_or(|text| {
                info.target.as_ref().is_some_and(|target| target.to_string().to_lowercase().contains(text))
            })
    }
}

/// Reads an IP address of a filter.
pub(super) fn read_address(text: &str) -> Result<IpAddr, ApiError> {
    let read: Result<IpAddr, _> = text.parse();
    read.map(|address| address.to_canonical())
        .map_err(|_| ApiError::BadRequest(format!("{text:?} is not an IP address")))
}

impl ApiBackend {
    pub(crate) fn connections_page(&self, query: &ConnectionsQuery) -> Result<ConnectionsPage, ApiError> {
        let order = Order::read(query.sort.as_deref(), ORDERS)?;
        let filter = query.filter();
        let wanted = Wanted::read(&filter, self)?;
        let alive = self.connections.list(0, usize::MAX);
        let rates = self.rates.rates(&alive);
        self.rates.observe(&alive);
        let value = |info: &ConnectionInfo| match order.name {
            "up" => Some(SortValue::Number(info.up)),
            "down" => Some(SortValue::Number(info.down)),
            "rate" => rates.get(&info.id).map(|(up, down)| SortValue::Number(up.saturating_add(*down))),
            "user" => Some(SortValue::Text(info.user.to_string())),
            _ => Some(SortValue::Number(info.since.0)),
        };
        let entries = alive
            .into_iter()
            .filter(|info| wanted.fits(info))
            .map(|info| (Place { value: value(&info), id: info.id }, info));
        let limit = query.limit.unwrap_or(100).clamp(1, MOST);
        let part = cut(entries, &PartQuery { order, cursor: query.cursor.as_deref(), skip: 0, limit })?;
        let items = part.items.iter().map(|info| self.connection_dto(info, rates.get(&info.id).copied())).collect();
        Ok(ConnectionsPage { total: part.total, items, next: part.next })
    }

    pub(crate) fn end_fitting_connections(&self, filter: &ConnectionsFilter) -> Result<ConnectionsEnded, ApiError> {
        let wanted = Wanted::read(filter, self)?;
        Ok(ConnectionsEnded { ended: self.connections.end_matching(|info| wanted.fits(info)) })
    }

    fn connection_dto(&self, info: &ConnectionInfo, rates: Option<(u64, u64)>) -> ConnectionDto {
        let node = info.node.and_then(|id| self.pool.node(id));
        ConnectionDto {
            id: info.id,
            user: info.user.to_string(),
            listener: info.listener.to_string(),
            inbound: info.inbound.to_owned(),
            client: info.client.to_string(),
            target: info.target.as_ref().map(ToString::to_string),
            node: info.node.map(|id| id.to_string()),
            node_name: node.as_ref().map(|node| node.label().as_str().to_owned()),
            exit_ip: info.exit.map(|exit| exit.to_string()),
            country: node.and_then(|node| node.country()).map(country),
            since: info.since.0,
            up: info.up,
            down: info.down,
            up_rate: rates.map(|(up, _)| up),
            down_rate: rates.map(|(_, down)| down),
        }
    }
}

#[cfg(test)]
mod tests {
    use hezar_core::Timestamp;

    use super::*;

    fn info(id: u64, up: u64, down: u64) -> ConnectionInfo {
        ConnectionInfo {
            id,
            listener: "proxy".into(),
            inbound: "connect",
            client: [127, 0, 0, 1].into(),
            user: "".into(),
            target: None,
            since: Timestamp(1),
            node: None,
            exit: None,
            up,
            down,
        }
    }

    #[tokio::test(start_paused = true)]
    async fn rates_are_those_of_the_last_seconds() {
        let sampler = RateSampler::default();
        let look = |connections: &[ConnectionInfo]| {
            let rates = sampler.rates(connections);
            sampler.observe(connections);
            rates
        };
        assert!(look(&[info(1, 0, 0)]).is_empty(), "nothing to compare with");
        tokio::time::advance(Duration::from_secs(2)).await;
        assert_eq!(look(&[info(1, 1000, 4000), info(2, 5, 5)]), HashMap::from([(1, (500, 2000))]));
        tokio::time::advance(Duration::from_millis(500)).await;
        let rates = look(&[info(1, 1000, 4000), info(2, 5, 5)]);
        assert_eq!(rates, HashMap::from([(1, (400, 1600))]), "one of half a second is too short");
        tokio::time::advance(Duration::from_secs(60)).await;
        assert!(look(&[info(1, 9000, 9000)]).is_empty(), "what was a minute ago is not now");
    }
}
