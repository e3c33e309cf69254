//! `HEZAR_*` variables: which ones name keys, which ones name files with the value of a key, and which ones Kubernetes or Docker made
//! for a service of the same name.

use std::{collections::BTreeMap, fs::File, io::Read};

use anyhow::{Context, ensure};

/// What the name of a variable ends with whose value is the path of a file.
const FILE_SUFFIX: &str = "_FILE";
/// The longest value that such a file may hold, in bytes.
const MAX_VALUE: u64 = 64 << 10;

/// Puts the content of files in the place of the variables that name them: with `HEZAR_API_TOKEN_FILE=/run/secrets/token` the key
/// `api.token` is what that file holds, without the end of its last line. Secrets stay out of the environment in this way.
///
/// # Errors
/// A file cannot be read, or the variable without `_FILE` is set too.
pub(crate) fn with_value_files(
    variables: impl IntoIterator<Item = (String, String)>,
) -> anyhow::Result<BTreeMap<String, String>> {
    let (files, mut values): (BTreeMap<_, _>, BTreeMap<_, _>) =
        variables.into_iter().partition(|(name, path)| names_file(name, path));
    for (variable, path) in files {
        let name = variable.strip_suffix(FILE_SUFFIX).unwrap_or(&variable).to_owned();
        ensure!(!values.contains_key(&name), "{name} and {variable} are both set: set one of them");
        let value = read_value(&path).with_context(|| format!("{variable}: cannot take the value from {path}"))?;
        values.insert(name, value);
    }
    Ok(values)
}

fn names_file(name: &str, value: &str) -> bool {
    name.ends_with(FILE_SUFFIX) && !value.is_empty() && !is_service_link(name, value)
}

fn read_value(path: &str) -> anyhow::Result<String> {
    let mut text = String::new();
    // A pipe or a device may have no end.
    File::open(path)?.take(MAX_VALUE + 1).read_to_string(&mut text)?;
    ensure!(text.len() as u64 <= MAX_VALUE, "it is longer than 64 KiB");
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}

/// Whether Kubernetes (service environment variables) or Docker (container links) makes such a variable for a service whose name
/// begins with "hezar": `HEZAR_SERVICE_HOST`, `HEZAR_PORT=tcp://10.0.0.1:8000`, `HEZAR_PORT_8000_TCP_ADDR`, and the like.
pub(super) fn is_service_link(name: &str, value: &str) -> bool {
    let address = ["tcp://", "udp://", "sctp://"].iter().any(|scheme| value.starts_with(scheme));
    if name.ends_with("_PORT") && address {
        return true;
    }
    if name.ends_with("_SERVICE_HOST") || name.ends_with("_SERVICE_PORT") || name.contains("_SERVICE_PORT_") {
        return true;
    }
    // Docker's `--link` gives NAME the path of both containers, and copies the other one's environment.
    if (name.ends_with("_NAME") && value.starts_with('/')) || name.contains("_ENV_") {
        return true;
    }
    name.match_indices("_PORT_").any(|(at, found)| is_port_form(name.get(at + found.len()..).unwrap_or_default()))
}

/// `8000_TCP`, and that with `_ADDR`, `_PORT` or `_PROTO`.
fn is_port_form(rest: &str) -> bool {
    let mut parts = rest.split('_');
    let port = parts.next().is_some_and(|port| port.parse::<u16>().is_ok());
    let transport = parts.next().is_some_and(|part| ["TCP", "UDP", "SCTP"].contains(&part));
    let last = parts.next().is_none_or(|part| ["ADDR", "PORT", "PROTO"].contains(&part));
    port && transport && last && parts.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variables(pairs: &[(&str, &str)]) -> anyhow::Result<BTreeMap<String, String>> {
        with_value_files(pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())))
    }

    #[test]
    fn values_come_from_files_that_variables_name() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("token");
        std::fs::write(&file, "sixteen-characters\r\n").unwrap();
        let path = file.to_str().unwrap();
        let read =
            variables(&[("HEZAR_API_TOKEN_FILE", path), ("HEZAR_PROXY_LISTEN", "1"), ("HEZAR_X_FILE", "")]).unwrap();
        assert_eq!(read["HEZAR_API_TOKEN"], "sixteen-characters");
        assert_eq!((read["HEZAR_PROXY_LISTEN"].as_str(), read.contains_key("HEZAR_API_TOKEN_FILE")), ("1", false));
        let both = variables(&[("HEZAR_API_TOKEN_FILE", path), ("HEZAR_API_TOKEN", "x")]).unwrap_err();
        assert!(both.to_string().contains("both set"), "{both:#}");
        let missing = folder.path().join("missing");
        let missing = variables(&[("HEZAR_API_TOKEN_FILE", missing.to_str().unwrap())]).unwrap_err();
        assert!(format!("{missing:#}").contains("HEZAR_API_TOKEN_FILE: cannot take the value"), "{missing:#}");
        std::fs::write(&file, vec![b'a'; MAX_VALUE as usize + 1]).unwrap();
        assert!(format!("{:#}", variables(&[("HEZAR_API_TOKEN_FILE", path)]).unwrap_err()).contains("64 KiB"));
    }

    #[test]
    fn the_forms_of_kubernetes_and_docker_are_known() {
        for (name, value) in [
            ("HEZAR_PORT", "tcp://10.0.0.11:8000"),
            ("HEZAR_PROXY_PORT", "udp://[fd00::1]:8000"),
            ("HEZAR_SERVICE_HOST", "10.0.0.11"),
            ("HEZAR_SERVICE_PORT", "8000"),
            ("HEZAR_SERVICE_PORT_HTTP", "8000"),
            ("HEZAR_API_SERVICE_PORT_METRICS", "9090"),
            ("HEZAR_PORT_8000_TCP", "tcp://10.0.0.11:8000"),
            ("HEZAR_PORT_8000_TCP_ADDR", "10.0.0.11"),
            ("HEZAR_PORT_8000_UDP_PROTO", "udp"),
            ("HEZAR_PROXY_PORT_8000_TCP_PORT", "8000"),
            ("HEZAR_NAME", "/web/hezar"),
            ("HEZAR_ENV_PATH", "/bin"),
        ] {
            assert!(is_service_link(name, value), "{name}={value}");
        }
        for (name, value) in [
            ("HEZAR_PROXY_LISTEN", "127.0.0.1:1"),
            ("HEZAR_PORT", "8000"),
            ("HEZAR_PORT_ALL_TCP", "x"),
            ("HEZAR_PORT_8000_TCP_MORE", "x"),
            ("HEZAR_PROBE_URL", "tcp://x"),
        ] {
            assert!(!is_service_link(name, value), "{name}={value}");
        }
    }
}
