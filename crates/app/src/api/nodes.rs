//! Nodes as the API shows them.

use std::num::NonZeroU32;

use hezar_api::{ApiError, NodeDto};
use hezar_pool::{Country, Node, Pool};

use crate::nodes::{Payload, state_name};

/// Reads a country of a filter.
pub(super) fn read_country(text: &str) -> Result<Country, ApiError> {
    <[u8; 2]>::try_from(text.to_ascii_uppercase().as_bytes())
        .map_err(|_| ApiError::BadRequest(format!("country {text:?} is not a two-letter code")))
}

pub(crate) fn dto(pool: &Pool<Payload>, node: &Node<Payload>) -> NodeDto {
    let spec = node.spec();
    let (record, said) = (node.record(), node.annotation().unwrap_or_default());
    NodeDto {
        id: node.id().to_string(),
        name: node.label().as_str().to_owned(),
        state: state_name(node).to_owned(),
        scheme: spec.scheme().to_owned(),
        server: spec.server.host().to_string(),
        port: spec.server.port(),
        transport: spec.transport().name().to_owned(),
        security: spec.security().name().to_owned(),
        insecure: node.insecure(),
        carries: node.http_ability().name().map(Into::into),
        anonymity: node.anonymity().map(|level| level.name().to_owned()),
        latency_ms: record.latency.map(|latency| u64::try_from(latency.as_millis()).unwrap_or(u64::MAX)),
        // Float to integer casts saturate.
        throughput_bytes_per_second: pool.throughput(node).map(|rate| rate as u64),
        failures: record.failures,
        in_flight: node.in_flight(),
        last_ok: record.last_ok.map(|at| at.0),
        last_checked: record.last_checked.map(|at| at.0),
        next_check: node.next_check().filter(|_| node.is_probed()).map(|at| at.0),
        last_error: record.failure.map(|failure| failure.code.to_string()),
        exit_ip: record.exit_ip.map(|ip| ip.to_string()),
        country: record.country.map(|code| String::from_utf8_lossy(&code).into_owned()),
        asn: node.asn().map(NonZeroU32::get),
        city: None,
        engine: None,
        sources: node.sources().iter().map(|listing| listing.source.to_string()).collect(),
        unsupported: record.unsupported.map(|code| code.to_string()),
        quarantine: record.quarantine.map(|caught| caught.code.to_string()),
        success_rate: record.last_checked.map(|_| 1.0 - record.error_rate),
        first_seen: record.first_seen.0,
        disabled: said.disabled,
        pinned: said.pinned,
        up: 0,
        down: 0,
        tags: said.tags.iter().map(|tag| tag.to_string()).collect(),
        note: said.note.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use hezar_core::Timestamp;
    use hezar_pool::{PoolChange, Rules};

    use super::*;

    #[test]
    fn a_node_shows_how_fast_transfers_were() {
        let pool = Pool::<Payload>::new(Rules::default());
        let parsed = hezar_formats::parse(b"socks5://198.51.100.7:1080#a");
        let nodes = parsed.nodes.into_iter().map(|node| (node.spec, node.label)).collect();
        let listed = PoolChange::List { source: "test".into(), allow_private: false, nodes, complete: true };
        pool.apply(listed, Timestamp(1));
        let snapshot = pool.snapshot();
        let node = snapshot.nodes().next().expect("it is listed");
        assert_eq!(dto(&pool, node).throughput_bytes_per_second, None);
        pool.record_throughput(node.id(), 1_250_000.0, Timestamp(2));
        assert_eq!(dto(&pool, node).throughput_bytes_per_second, Some(1_250_000));
    }
}
