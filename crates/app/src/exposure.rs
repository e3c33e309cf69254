//! What others on this machine or in the network could read or reach: one warning for each, at the start and in `config check`.

use std::{collections::BTreeSet, path::Path};

use hezar_core::settings::is_public;

use crate::{
    config::{Config, SourceConfig, SourceOrigin, TorClient},
    places::SYSTEM_FILE,
};

/// Every warning about a configuration and the files that belong to it.
pub(crate) fn warnings(config: &Config) -> Vec<String> {
    let mut warnings = Vec::new();
    let listeners = config.listeners.iter().map(|listener| {
        let (tls, inbound) = (&listener.tls, listener.inbound.as_ref());
        (listener.listen, config.users_of(listener), tls, &listener.proxy_protocol, inbound)
    });
    let proxy = &config.proxy;
    let first = (proxy.listen, &proxy.users[..], &proxy.tls, &proxy.proxy_protocol, None);
    let listeners: Vec<_> = std::iter::once(first).chain(listeners).collect();
    for (listen, users, tls, proxies, inbound) in &listeners {
        // Encrypted listeners show nobody a password, and let nobody in without a credential.
        let is_public_proxy = is_public(*listen) && inbound.is_none();
        if is_public_proxy && !users.is_empty() && !tls.is_set() {
            warnings.push(format!(
                "the proxy on {listen} can be reached from other machines and is not encrypted: \
                 passwords of users pass the network in clear text; give it a certificate (tls)"
            ));
        }
        if !proxies.are_private() {
            warnings.push(format!(
                "the proxy on {listen} trusts proxies with public addresses (proxy_protocol): whoever has one of these may pretend to be \
                 any client"
            ));
        }
        if is_public_proxy && users.is_empty() {
            warnings.push(format!(
                "the proxy on {listen} has no users: whoever has a private address that open_to names may use it. In a container, publish \
                 the port on 127.0.0.1 only"
            ));
        }
    }
    if let Some(listen) = config.api.address().filter(|listen| is_public(*listen) && !config.api.tls.is_set()) {
        let open = if config.api.metrics_token { "" } else { ", and /metrics (names of sources) is open to everybody" };
        warnings.push(format!(
            "the API on {listen} can be reached from other machines in plain HTTP: its token can be read on the way{open}; \
             listen on 127.0.0.1, give it a certificate (api.tls) or put a TLS proxy in front"
        ));
    }
    let keys: BTreeSet<&Path> = listeners
        .iter()
        .map(|(_, _, tls, ..)| *tls)
        .chain([&config.api.tls])
        .filter_map(|tls| tls.key.as_deref())
        .collect();
    for key in keys.into_iter().filter(|key| read_by_others(key)) {
        warnings.push(format!(
            "the private key {} can be read by other users of this machine: chmod 600 {}",
            key.display(),
            key.display()
        ));
    }
    if is_root()
        && (listeners.iter().any(|(listen, ..)| is_public(*listen)) || config.api.address().is_some_and(is_public))
    {
        warnings.push(
            "runs as root with an address that other machines reach: run it as a user of its own, ports above 1023 need no root".to_owned(),
        );
    }
    if let Some(file) = config.file.as_deref().filter(|file| has_secrets(config) && read_by_others(file)) {
        warnings.push(format!(
            "{} holds passwords or tokens and can be read by other users of this machine: chmod 600 {}",
            file.display(),
            file.display()
        ));
    }
    if written_by_others(&config.data) {
        warnings.push(format!(
            "other users of this machine can write to the data folder {}: chmod 700 {}",
            config.data.display(),
            config.data.display()
        ));
    }
    warnings
}

fn has_secrets(config: &Config) -> bool {
    let of_source = |source: &SourceConfig| {
        let origin = match &source.origin {
            SourceOrigin::Url(_) | SourceOrigin::Links(_) | SourceOrigin::Hezar { .. } => true,
            SourceOrigin::GitHub { token, .. } => token.is_some(),
            SourceOrigin::File(_) | SourceOrigin::Telegram { .. } => false,
            SourceOrigin::Tor(circuits) => matches!(&circuits.client, TorClient::Existing { password: Some(_), .. }),
        };
        origin || !source.headers.0.is_empty()
    };
    config.api.token.is_some()
        || !config.proxy.users.is_empty()
        || config.listeners.iter().any(|listener| listener.inbound.is_some() || !listener.users.is_empty())
        || config.sources.iter().any(of_source)
        || !config.alerts.is_empty()
}

#[cfg(unix)]
fn mode(path: &Path) -> u32 {
    use std::os::unix::fs::PermissionsExt;
    // What is not there exposes nothing.
    std::fs::metadata(path).map_or(0, |metadata| metadata.permissions().mode())
}

#[cfg(not(unix))]
fn mode(_: &Path) -> u32 {
    0
}

/// Whether users other than the owner may read the file. The group of the system's configuration is that of its service alone.
pub(crate) fn read_by_others(file: &Path) -> bool {
    let readers = if file == Path::new(SYSTEM_FILE) { 0o004 } else { 0o044 };
    mode(file) & readers != 0
}

/// Whether users other than the owner may change the file or what is in the folder.
pub(crate) fn written_by_others(path: &Path) -> bool {
    mode(path) & 0o022 != 0
}

/// Whether this process has the rights of root.
#[cfg(unix)]
pub(crate) fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Whether this process has the rights of root.
#[cfg(not(unix))]
pub(crate) const fn is_root() -> bool {
    false
}

#[cfg(unix)]
#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::config::Layers;

    fn read(text: &str, file: Option<&Path>) -> Vec<String> {
        let data = file.and_then(Path::parent).map(|folder| folder.join("data"));
        warnings(&Config::read(text, file, &Layers { data, ..Layers::default() }).unwrap())
    }

    #[test]
    fn each_exposure_is_told_once() {
        assert_eq!(read("", None), Vec::<String>::new());
        let open = "[proxy]\nlisten = \"0.0.0.0:8000\"\nusers = [{ name = \"a\", password = \"b\" }]\n[api]\nlisten = \"[::]:9090\"\n";
        let told = read(open, None);
        for part in ["proxy on 0.0.0.0:8000", "API on [::]:9090"] {
            assert_eq!(told.iter().filter(|text| text.contains(part)).count(), 1, "{told:?}");
        }
        assert_eq!(told.iter().any(|text| text.contains("root")), is_root());
        let told = read("[proxy]\nlisten = \"0.0.0.0:8000\"\nopen_to = [\"private\"]\n", None);
        assert_eq!(told.iter().filter(|text| text.contains("0.0.0.0:8000 has no users")).count(), 1, "{told:?}");
        assert_eq!(read("[api]\nlisten = \"[::ffff:127.0.0.1]:9090\"\n", None), Vec::<String>::new());
        let key = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8";
        let encrypted = format!(
            "[[proxy.users]]\nname = \"a\"\nkey = \"{key}\"\n[[listener]]\nname = \"s\"\nkind = \"shadowsocks\"\nlisten = \"0.0.0.0:8388\"\n\
             shadowsocks.method = \"aes-128-gcm\"\n"
        );
        let told = read(&encrypted, None);
        assert!(told.iter().all(|text| text.contains("root")), "its credentials pass in no clear text: {told:?}");
        let told = read("[proxy]\nproxy_protocol = [\"0.0.0.0/0\"]\n", None);
        assert!(told.len() == 1 && told[0].contains("pretend to be"), "{told:?}");
    }

    #[test]
    fn ports_with_tls_hide_passwords_and_their_keys_are_for_the_owner() {
        let folder = tempfile::tempdir().unwrap();
        let (file, key) = (folder.path().join("hezar.toml"), folder.path().join("key.pem"));
        let tls = "tls = { cert = \"cert.pem\", key = \"key.pem\" }";
        let text = format!(
            "[proxy]\nlisten = \"0.0.0.0:8000\"\nusers = [{{ name = \"a\", password = \"b\" }}]\n{tls}\n[api]\nlisten = \"[::]:9090\"\n{tls}\n"
        );
        let told = |mode| {
            std::fs::write(&key, "").unwrap();
            std::fs::set_permissions(&key, PermissionsExt::from_mode(mode)).unwrap();
            let all = read(&text, Some(&file)).into_iter();
            all.filter(|text| !text.contains("root")).collect::<Vec<_>>()
        };
        assert_eq!(told(0o600), Vec::<String>::new());
        let told = told(0o644);
        assert!(told.len() == 1 && told[0].contains("key.pem"), "{told:?}");
    }

    #[test]
    fn files_that_others_read_or_write_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("hezar.toml");
        std::fs::write(&file, "").unwrap();
        std::fs::create_dir(folder.path().join("data")).unwrap();
        let set = |path: &Path, mode| std::fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
        set(&file, 0o644);
        set(&folder.path().join("data"), 0o700);
        let secret = "[api]\ntoken = \"sixteen-characters\"\n";
        assert_eq!(read("", Some(&file)), Vec::<String>::new());
        assert!(read(secret, Some(&file))[0].contains("chmod 600"));
        set(&file, 0o600);
        assert_eq!(read(secret, Some(&file)), Vec::<String>::new());
        set(&folder.path().join("data"), 0o777);
        assert!(read(secret, Some(&file))[0].contains("chmod 700"));
    }
}
