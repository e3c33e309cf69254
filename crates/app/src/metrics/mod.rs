//! Metrics that are read from the running instance when somebody asks for them: pool, sources, process, disk, and single nodes.

mod instance;
mod nodes;
mod pool;
mod process;
#[cfg(test)]
mod tests;

use std::fmt;

use prometheus_client::{
    encoding::{DescriptorEncoder, EncodeMetric},
    metrics::{MetricType, gauge::ConstGauge},
};

pub(crate) use instance::{register_data_folder, register_instance};
pub(crate) use nodes::NodeMetrics;
pub(crate) use pool::register_pool;
pub(crate) use process::{process_usage, register_process, register_tasks};

/// A number of things as the value of a gauge.
fn whole(number: usize) -> ConstGauge<i64> {
    ConstGauge::new(i64::try_from(number).unwrap_or(i64::MAX))
}

/// Writes a gauge without labels.
fn gauge(
    encoder: &mut DescriptorEncoder<'_>,
    (name, help): (&str, &str),
    value: &impl EncodeMetric,
) -> Result<(), fmt::Error> {
    value.encode(encoder.encode_descriptor(name, help, None, MetricType::Gauge)?)
}
