//! The metrics of certificates, read when somebody asks for them.

use std::sync::Arc;

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric},
    metrics::{MetricType, gauge::ConstGauge},
    registry::Registry,
};

use super::Certificates;

/// The end of every certificate, and whether something is wrong with it.
pub(crate) fn register(registry: &mut Registry, certificates: Arc<Certificates>) {
    registry.register_collector(Box::new(CertificateCollector(certificates)));
}

struct CertificateCollector(Arc<Certificates>);

impl std::fmt::Debug for CertificateCollector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CertificateCollector").finish_non_exhaustive()
    }
}

impl Collector for CertificateCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let all = self.0.status();
        if all.is_empty() {
            return Ok(());
        }
        let mut family = encoder.encode_descriptor(
            "hezar_certificate_expiry_timestamp_seconds",
            "Until when the certificate of a port is good, in seconds since 1970",
            None,
            MetricType::Gauge,
        )?;
        for certificate in &all {
            let Some(not_after) = certificate.not_after else { continue };
            ConstGauge::new(i64::try_from(not_after / 1000).unwrap_or(i64::MAX))
                .encode(family.encode_family(&[("name", certificate.port.as_str())])?)?;
        }
        let mut family = encoder.encode_descriptor(
            "hezar_certificate_failing",
            "1 while there is no certificate, or reading or renewing it fails",
            None,
            MetricType::Gauge,
        )?;
        for certificate in &all {
            ConstGauge::new(i64::from(certificate.error.is_some()))
                .encode(family.encode_family(&[("name", certificate.port.as_str())])?)?;
        }
        Ok(())
    }
}
