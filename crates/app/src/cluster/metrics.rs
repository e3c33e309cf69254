//! The metrics of the membership.

use std::{fmt, sync::Arc};

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric},
    metrics::{MetricType, counter::ConstCounter, gauge::ConstGauge},
    registry::Registry,
};

use hezar_engine::Clock;

use super::Membership;

/// Registers what an instance of several says of the others; nothing where it is alone.
pub(crate) fn register(registry: &mut Registry, membership: Arc<Membership>, clock: Clock) {
    if membership.shared().is_some() {
        registry.register_collector(Box::new(MemberCollector(membership, clock)));
    }
}

struct MemberCollector(Arc<Membership>, Clock);

impl fmt::Debug for MemberCollector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemberCollector").finish_non_exhaustive()
    }
}

impl Collector for MemberCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let known = self.0.known();
        let help = "Instances that share the store, by their state";
        let mut family = encoder.encode_descriptor("hezar_cluster_members", help, None, MetricType::Gauge)?;
        for state in ["living", "draining", "gone"] {
            let number = known.iter().filter(|member| member.state() == state).count();
            ConstGauge::new(number as i64).encode(family.encode_family(&[("state", state)])?)?;
        }
        let help = "Processes that share the store: 1, the labels say which";
        let mut family = encoder.encode_descriptor("hezar_cluster_member", help, None, MetricType::Gauge)?;
        for member in known.iter().filter(|member| member.lives) {
            let beat = &member.row.beat;
            let roles = beat.roles.to_string();
            let labels =
                [("member", &*beat.name), ("roles", &roles), ("region", &beat.region), ("version", &beat.version)];
            ConstGauge::new(1_i64).encode(family.encode_family(&labels)?)?;
        }
        let help = "Beats that the shared store has not taken";
        ConstCounter::new(self.0.failed_beats()).encode(encoder.encode_descriptor(
            "hezar_cluster_failed_beats",
            help,
            None,
            MetricType::Counter,
        )?)?;
        let help = "Whether an operator drains this instance";
        let draining = i64::from(*self.0.draining().borrow());
        ConstGauge::new(draining).encode(encoder.encode_descriptor(
            "hezar_cluster_draining",
            help,
            None,
            MetricType::Gauge,
        )?)?;
        let copy_age = self.0.copy_of().map(|written| self.1.wall().since(written));
        let ages = [
            (
                "hezar_cluster_copy_age_seconds",
                "Age of the local copy that this instance serves from; 0 when it serves from the shared store",
                Some(copy_age.unwrap_or_default()),
            ),
            (
                "hezar_cluster_changes_age_seconds",
                "Age of what is known of the changes of other instances",
                self.0.lag(),
            ),
            ("hezar_cluster_silence_seconds", "Since when the shared store was reached last", self.0.silence()),
        ];
        for (name, help, age) in ages {
            let Some(age) = age else { continue };
            let gauge = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
            ConstGauge::new(age.as_secs_f64()).encode(gauge)?;
        }
        Ok(())
    }
}
