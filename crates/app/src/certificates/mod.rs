//! The certificates of the ports that speak TLS: read from files and again when they change, or had from an ACME server.

mod acme;
mod files;
mod metrics;

use std::{collections::HashMap, path::PathBuf, sync::Arc, time::Duration};

use anyhow::{Context, anyhow};
use hezar_accept::{CertificateSlot, CertificateSource, PortTls, ServerTls};
use hezar_api::CertificateDto;
use hezar_engine::{AddressPolicy, Clock, Engine, NativeEngine};
use parking_lot::Mutex;
use tokio::{sync::Notify, task::JoinSet, time::interval};
use tokio_util::sync::CancellationToken;

use crate::config::Config;
use acme::AcmeClient;
use files::WatchedFiles;
pub(crate) use metrics::register;

/// How often it is looked whether files have changed.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// The name of the API among the ports.
const API: &str = "api";

/// A certificate, with the ports that use it.
struct PortCertificate {
    settings: PortTls,
    tls: ServerTls,
    origin: Origin,
    /// The names of the ports: `proxy`, `api` and those of listeners.
    ports: Mutex<Vec<String>>,
}

/// Where a certificate comes from.
enum Origin {
    Files(WatchedFiles),
    Acme(Vec<String>),
}

impl PortCertificate {
    fn slot(&self) -> &Arc<CertificateSlot> {
        self.tls.slot()
    }
}

/// All certificates that are in use. Ports with equal settings share one.
pub(crate) struct Certificates {
    acme: AcmeClient,
    entries: Mutex<Vec<Arc<PortCertificate>>>,
    changed: Notify,
}

impl Certificates {
    /// No certificate yet. What ACME servers give is kept in the data folder.
    pub(crate) fn new(data: PathBuf, native: &NativeEngine, clock: Clock) -> Self {
        let acme = AcmeClient::new(data, native.direct(AddressPolicy::Any), clock);
        Self { acme, entries: Mutex::default(), changed: Notify::new() }
    }

    /// Reads the certificates that a configuration needs and that are not there yet. Nothing changes for open ports.
    ///
    /// # Errors
    /// Files cannot be read or do not belong together, with the place in the configuration.
    pub(crate) fn prepare(&self, config: &Config) -> anyhow::Result<()> {
        for (port, settings) in ports(config) {
            self.prepare_one(settings).with_context(|| place(config, port))?;
        }
        Ok(())
    }

    fn prepare_one(&self, settings: &PortTls) -> anyhow::Result<()> {
        let Some(source) = settings.source()? else { return Ok(()) };
        if self.of(settings).is_some() {
            return Ok(());
        }
        let slot = CertificateSlot::new();
        let origin = match source {
            CertificateSource::Files(files) => Origin::Files(WatchedFiles::read(files, &slot)?),
            CertificateSource::Acme(names) => {
                self.acme.restore(settings, &names, &slot);
                Origin::Acme(names)
            }
        };
        let tls = ServerTls::new(slot).map_err(|error| anyhow!("TLS cannot be used: {error}"))?;
        let entry = PortCertificate { settings: settings.clone(), tls, origin, ports: Mutex::default() };
        self.entries.lock().push(Arc::new(entry));
        Ok(())
    }

    /// The TLS of a port with these settings; `None` for a plain port, or before [`Certificates::prepare`].
    pub(crate) fn of(&self, settings: &PortTls) -> Option<ServerTls> {
        self.entries.lock().iter().find(|entry| entry.settings == *settings).map(|entry| entry.tls.clone())
    }

    /// Forgets the certificates that a configuration does not use.
    pub(crate) fn keep(&self, config: &Config) {
        let mut users: HashMap<&PortTls, Vec<String>> = HashMap::new();
        for (port, settings) in ports(config) {
            users.entry(settings).or_default().push(port.to_owned());
        }
        self.entries.lock().retain(|entry| {
            let used_by = users.remove(&entry.settings);
            let is_used = used_by.is_some();
            *entry.ports.lock() = used_by.unwrap_or_default();
            is_used
        });
        self.changed.notify_one();
    }

    /// What the API and the metrics say of each port that speaks TLS.
    pub(crate) fn status(&self) -> Vec<CertificateDto> {
        let entries = self.entries.lock().clone();
        let mut all: Vec<CertificateDto> = entries.iter().flat_map(|entry| describe(entry)).collect();
        all.sort_by(|one, other| one.port.cmp(&other.port));
        all
    }

    /// Reads files again when they change, and renews what ACME servers give, until `stop`.
    pub(crate) async fn run(self: Arc<Self>, stop: CancellationToken) {
        let mut looks = interval(LOOK_EVERY);
        let mut renewals = Renewals::default();
        loop {
            let entries = self.entries.lock().clone();
            renewals.follow(&self, &entries);
            tokio::select! {
                () = stop.cancelled() => return,
                () = self.changed.notified() => {}
                _ = looks.tick() => look(entries).await,
            }
        }
    }
}

/// Reads the files with certificates that a configuration names, for nothing but their mistakes.
///
/// # Errors
/// As [`Certificates::prepare`].
pub(crate) fn check(config: &Config) -> anyhow::Result<()> {
    for (port, settings) in ports(config) {
        if let Some(CertificateSource::Files(files)) = settings.source()? {
            WatchedFiles::read(files, &CertificateSlot::new()).with_context(|| place(config, port))?;
        }
    }
    Ok(())
}

/// Where the TLS of a port stands in a configuration.
fn place(config: &Config, port: &str) -> String {
    let is_section = port == API || port == &*config.proxy.name;
    if is_section { format!("{port}.tls") } else { format!("tls of the listener {port:?}") }
}

/// Every port that a configuration opens, by its name, with its TLS settings.
fn ports(config: &Config) -> impl Iterator<Item = (&str, &PortTls)> {
    let listeners = config.listeners.iter().map(|listener| (&*listener.name, &listener.tls));
    let api = config.api.address().map(|_| (API, &config.api.tls));
    std::iter::once((&*config.proxy.name, &config.proxy.tls)).chain(api).chain(listeners)
}

/// Reads the files of these certificates, on a thread that serves no requests.
async fn look(entries: Vec<Arc<PortCertificate>>) {
    let reading = tokio::task::spawn_blocking(move || {
        for entry in entries {
            if let Origin::Files(files) = &entry.origin {
                files.refresh(entry.slot());
            }
        }
    });
    // A look that panicked has changed nothing, and the panic is logged: the next one tries again.
    let _ = reading.await;
}

/// One entry for each port that uses a certificate.
fn describe(entry: &PortCertificate) -> Vec<CertificateDto> {
    let (facts, error) = (entry.slot().facts(), entry.slot().trouble());
    let origin = match entry.origin {
        Origin::Files(_) => "files",
        Origin::Acme(_) => "acme",
    };
    let dto = |port: &String| CertificateDto {
        port: port.clone(),
        origin: origin.to_owned(),
        names: facts.as_ref().map(|facts| facts.names.clone()).unwrap_or_default(),
        issuer: facts.as_ref().map(|facts| facts.issuer.clone()),
        not_after: facts.as_ref().map(|facts| facts.not_after.0),
        fingerprint: facts.as_ref().map(|facts| facts.fingerprint.clone()),
        error: error.clone(),
    };
    entry.ports.lock().iter().map(dto).collect()
}

/// The tasks that renew certificates, one for each that an ACME server gives.
#[derive(Default)]
struct Renewals {
    tasks: JoinSet<()>,
    running: Vec<(Arc<PortCertificate>, tokio::task::AbortHandle)>,
}

impl Renewals {
    /// Begins and ends tasks so that exactly these certificates are renewed.
    fn follow(&mut self, certificates: &Arc<Certificates>, entries: &[Arc<PortCertificate>]) {
        while self.tasks.try_join_next().is_some() {}
        self.running.retain(|(entry, task)| {
            let is_wanted = entries.iter().any(|wanted| Arc::ptr_eq(wanted, entry));
            if !is_wanted {
                task.abort();
            }
            // One that panicked begins anew.
            is_wanted && !task.is_finished()
        });
        for entry in entries {
            let Origin::Acme(names) = &entry.origin else { continue };
            // What no port uses (yet) costs nothing.
            let is_used = !entry.ports.lock().is_empty();
            if !is_used || self.running.iter().any(|(running, _)| Arc::ptr_eq(running, entry)) {
                continue;
            }
            let (certificates, renewed, names) = (Arc::clone(certificates), Arc::clone(entry), names.clone());
            let task = self.tasks.spawn(async move {
                certificates.acme.keep_valid(&renewed.settings, &names, renewed.slot()).await;
            });
            self.running.push((Arc::clone(entry), task));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use super::*;
    use crate::config::Layers;

    /// Writes a new certificate and its key into `cert.pem` and `key.pem` of a folder.
    pub(super) fn write_certificate(folder: &Path) {
        let made = rcgen::generate_simple_self_signed(vec!["proxy.example.org".to_owned()]).unwrap();
        fs::write(folder.join("cert.pem"), made.cert.pem()).unwrap();
        fs::write(folder.join("key.pem"), made.signing_key.serialize_pem()).unwrap();
    }

    fn certificates(data: &Path) -> Certificates {
        let native = NativeEngine::new(&hezar_engine::NativeEngineConfig::default());
        Certificates::new(data.to_owned(), &native, Clock::start())
    }

    fn config(folder: &Path, text: &str) -> Config {
        Config::read(text, Some(&folder.join("hezar.toml")), &Layers::default()).unwrap()
    }

    #[test]
    fn ports_with_equal_settings_share_a_certificate_that_goes_when_nobody_uses_it() {
        let folder = tempfile::tempdir().unwrap();
        write_certificate(folder.path());
        let tls = "tls = { cert = \"cert.pem\", key = \"key.pem\" }";
        let both = config(folder.path(), &format!("[proxy]\n{tls}\n[api]\n{tls}"));
        let all = certificates(folder.path());
        all.prepare(&both).unwrap();
        assert!(all.status().is_empty(), "nobody uses it yet");
        all.keep(&both);
        let status = all.status();
        let ports: Vec<_> = status.iter().map(|certificate| certificate.port.as_str()).collect();
        assert_eq!(ports, ["api", "proxy"]);
        assert_eq!(status[0].names, ["proxy.example.org"]);
        assert!(all.of(&both.proxy.tls) == all.of(&both.api.tls) && all.of(&both.proxy.tls).is_some());
        all.keep(&config(folder.path(), ""));
        assert!(all.status().is_empty() && all.of(&both.proxy.tls).is_none());
    }

    #[test]
    fn what_cannot_be_used_is_refused_with_its_place() {
        let folder = tempfile::tempdir().unwrap();
        let config = config(folder.path(), "api.tls = { cert = \"cert.pem\", key = \"key.pem\" }");
        let refused = |what: &str| {
            for outcome in [certificates(folder.path()).prepare(&config), check(&config)] {
                let error = format!("{:#}", outcome.unwrap_err());
                assert!(error.contains("api.tls") && error.contains("cert.pem") && error.contains(what), "{error}");
            }
        };
        refused("cannot read");
        write_certificate(folder.path());
        let key = fs::read(folder.path().join("key.pem")).unwrap();
        write_certificate(folder.path());
        fs::write(folder.path().join("key.pem"), key).unwrap();
        refused("does not belong to the certificate");
    }
}
