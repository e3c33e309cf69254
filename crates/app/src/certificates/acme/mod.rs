//! Certificates from an ACME server (RFC 8555): asked for, kept in the data folder, and renewed before they end.

mod challenge_server;
mod directory_client;
mod order;
mod storage;

use std::{path::PathBuf, sync::Arc, time::Duration};

use anyhow::{Context, ensure};
use hezar_accept::{Certificate, CertificateFacts, CertificateSlot, PortTls};
use hezar_core::Timestamp;
use hezar_engine::{Clock, Dialer};
use rand::RngExt;
use tokio::{sync::Mutex, time::sleep};

use storage::AcmeStorage;

/// The longest sleep until it is looked at the clock again, which may have been set, or the machine may have slept.
const LONGEST_SLEEP: Duration = Duration::from_secs(600);
/// The pause after the server could not be reached, doubled with every failure up to [`LONGEST_PAUSE`].
const PAUSE_UNREACHED: Duration = Duration::from_secs(10);
/// The pause after the server has refused: it counts failures (Let's Encrypt: five for a name in an hour).
const PAUSE_REFUSED: Duration = Duration::from_secs(15 * 60);
const LONGEST_PAUSE: Duration = Duration::from_secs(6 * 3600);

/// Asks ACME servers for certificates, and keeps what they give.
pub(super) struct AcmeClient {
    storage: AcmeStorage,
    /// Reaches the servers directly: a certificate names this machine anyway.
    dialer: Arc<dyn Dialer>,
    clock: Clock,
    /// Held during an order: orders share an account, and may share the address at which challenges are answered.
    ordering: Mutex<()>,
}

impl AcmeClient {
    pub(super) fn new(data: PathBuf, dialer: Arc<dyn Dialer>, clock: Clock) -> Self {
        Self { storage: AcmeStorage::new(data), dialer, clock, ordering: Mutex::default() }
    }

    /// Puts the certificate that is kept for these names into `slot`, if there is one that is still good.
    pub(super) fn restore(&self, settings: &PortTls, names: &[String], slot: &CertificateSlot) {
        slot.set_trouble(Some("the certificate is being asked for".to_owned()));
        let Some((chain, key)) = self.storage.certificate(settings.directory(), names) else { return };
        match Certificate::from_pem(chain.as_bytes(), key.as_bytes()) {
            Ok(kept) if kept.facts().not_after > self.clock.wall() => slot.set(kept),
            Ok(_) => tracing::warn!(names = names.join(" "), "the certificate that was kept has ended"),
            Err(error) => {
                tracing::warn!(names = names.join(" "), %error, "the certificate that was kept cannot be used")
            }
        }
    }

    /// Asks for a certificate when there is none and renews it before it ends, for as long as it runs.
    pub(super) async fn keep_valid(&self, settings: &PortTls, names: &[String], slot: &Arc<CertificateSlot>) {
        let (mut failures, mut was_refused) = (0, false);
        loop {
            if let Some(facts) = slot.facts() {
                self.sleep_until(renewal(&facts, random_share())).await;
            }
            match self.renew(settings, names, slot).await {
                Ok(facts) => {
                    failures = 0;
                    tracing::info!(names = names.join(" "), not_after = facts.not_after.0, "a certificate was issued");
                }
                Err(error) => {
                    let is_refused = order::is_refusal(&error);
                    failures = if is_refused == was_refused { failures + 1 } else { 1 };
                    was_refused = is_refused;
                    let pause = pause_after(failures, is_refused);
                    let text = format!(
                        "the ACME server {} gave no certificate for {}: {error:#}",
                        settings.directory(),
                        names.join(" ")
                    );
                    tracing::warn!(pause = ?pause, "{text}");
                    slot.set_trouble(Some(text));
                    sleep(pause.mul_f64(1.0 + random_share() / 5.0)).await;
                }
            }
        }
    }

    /// Orders a certificate, keeps it and uses it.
    async fn renew(
        &self,
        settings: &PortTls,
        names: &[String],
        slot: &Arc<CertificateSlot>,
    ) -> anyhow::Result<CertificateFacts> {
        let _alone = self.ordering.lock().await;
        let (chain, key) = order::certificate(settings, names, slot, &self.storage, &self.dialer).await?;
        let certificate = Certificate::from_pem(chain.as_bytes(), key.as_bytes()).context("what the server gave")?;
        // Otherwise it would be renewed at once, again and again.
        ensure!(
            renewal(certificate.facts(), 1.0) > self.clock.wall(),
            "what the server gave ends too soon: is the clock of this machine right?"
        );
        self.storage
            .keep_certificate(settings.directory(), names, &chain, &key)
            .context("the certificate cannot be written to the data folder")?;
        let facts = certificate.facts().clone();
        slot.set(certificate);
        Ok(facts)
    }

    async fn sleep_until(&self, moment: Timestamp) {
        loop {
            let left = moment.since(self.clock.wall());
            if left.is_zero() {
                return;
            }
            sleep(left.min(LONGEST_SLEEP)).await;
        }
    }
}

/// A random number from 0 to 1.
fn random_share() -> f64 {
    rand::rng().random_range(0.0..1.0)
}

/// When a certificate is renewed: when a third of its life is left, and up to a thirtieth earlier, so that not everybody comes
/// at the same time. `share` is from 0 to 1.
fn renewal(facts: &CertificateFacts, share: f64) -> Timestamp {
    let life = facts.not_after.since(facts.not_before);
    let left = life / 3 + life.div_f64(30.0).mul_f64(share);
    Timestamp(facts.not_after.0.saturating_sub(u64::try_from(left.as_millis()).unwrap_or(u64::MAX)))
}

/// The pause after so many failures in a row.
fn pause_after(failures: u32, is_refusal: bool) -> Duration {
    let first = if is_refusal { PAUSE_REFUSED } else { PAUSE_UNREACHED };
    first.saturating_mul(1 << failures.saturating_sub(1).min(16)).min(LONGEST_PAUSE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_is_renewed_when_a_third_of_its_life_is_left() {
        let day = 86_400_000;
        let facts = CertificateFacts {
            names: Vec::new(),
            issuer: String::new(),
            not_before: Timestamp(0),
            not_after: Timestamp(90 * day),
            fingerprint: String::new(),
        };
        assert_eq!(renewal(&facts, 0.0), Timestamp(60 * day));
        assert_eq!(renewal(&facts, 1.0), Timestamp(57 * day));
    }

    #[test]
    fn pauses_grow_and_are_longer_after_a_refusal() {
        let seconds = |failures, refused| pause_after(failures, refused).as_secs();
        assert_eq!([1, 2, 3].map(|failures| seconds(failures, false)), [10, 20, 40]);
        assert_eq!([1, 2].map(|failures| seconds(failures, true)), [900, 1800]);
        for failures in [20, u32::MAX] {
            assert_eq!(pause_after(failures, false), LONGEST_PAUSE);
        }
    }
}
